//! The mark: how many commits a store has had, recorded outside its write-ahead log and its tail.
//!
//! SQLite takes any log that it finds for complete: one that was removed, cut or replaced by an
//! older one leaves no trace. So each batch, once it is committed, adds a line here: the number of
//! commits, and the new heads of the rooms and streams that it added to. `lost` compares that with
//! what a start finds.
//!
//! A line is written after its batch is on disk, and is not synced itself, so the mark never says
//! more than the log has. After a power loss it may say less; then a loss may go unnoticed, but
//! none is made up. Each line has its own checksum, and an incomplete line is skipped.
//!
//! ```text
//! parlor-mark 1 77f5sjqppxdtpdvb 40 57 0fe2d9a1c07b5d44
//! 58 room:tea=12 room:den=4 61f0b36d0ac98e21
//! 59 stream:picture=7 8a4d1e0c5b2f9977
//! ```
//!
//! The first line has the epoch, how many commits `parlor.db` has without its log, and how many
//! there were when the file was begun.

use super::disk::{self, if_there};
use super::{loss, sums};
use crate::base::limits::{BATCH_RECORDS_MAX, MARK_BYTES, MARK_LINE_BYTES_MAX};
use crate::base::{StoreChange, Written};
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The extension of its name: that of `parlor.db` is `parlor.mark`.
const ENDING: &str = "mark";
/// The extension while it is being made.
const NEW_ENDING: &str = "mark.new";
/// The beginning of the first line: the name, and the version of the format.
const BEGIN: &str = "parlor-mark 1";

/// The newest entry or event of each log that has changed: `room:tea` or `stream:picture`, and its
/// number.
pub(super) type Heads = BTreeMap<String, u64>;

/// The heads that a batch has moved.
pub(super) fn heads_of(batch: &[Written]) -> BTreeMap<(&'static str, &str), u64> {
    let mut heads = BTreeMap::new();
    for written in batch {
        let moved = match written {
            Written::Changed(StoreChange::Room { room, what, .. }) => {
                what.entries().last().map(|entry| ("room", room.as_str(), entry.seq))
            }
            Written::Changed(StoreChange::Event { stream, event, .. }) => {
                Some(("stream", stream.as_str(), event.seq))
            }
            Written::Changed(_) | Written::Unchanged(_) => None,
        };
        if let Some((kind, name, seq)) = moved {
            let head = heads.entry((kind, name)).or_insert(seq);
            *head = seq.max(*head);
        }
    }
    heads
}

/// The content of a mark.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct MarkContent {
    pub(super) epoch: String,
    /// Commits that `parlor.db` has without its log.
    pub(super) in_file: u64,
    /// Commits when it was begun. It does not know which logs changed before that.
    pub(super) begun: u64,
    /// Commits of the store.
    pub(super) commits: u64,
    pub(super) heads: Heads,
}

/// What is found in the mark's place.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum MarkState {
    Nothing,
    /// Its first line is damaged.
    Damaged,
    Mark(MarkContent),
}

/// Reads the mark of the database `file`.
pub(super) fn read(file: &Path) -> io::Result<MarkState> {
    match if_there(disk::open(&file.with_extension(ENDING)))? {
        Some(mark) => parse(&mut BufReader::new(mark)),
        None => Ok(MarkState::Nothing),
    }
}

fn parse(mark: &mut impl BufRead) -> io::Result<MarkState> {
    let mut line = Vec::new();
    let mut marked = match next_line(mark, &mut line)?.and_then(first_line) {
        Some(marked) => marked,
        None => return Ok(MarkState::Damaged),
    };
    while !line.is_empty() {
        let Some(text) = next_line(mark, &mut line)? else { continue };
        let mut words = text.split(' ');
        let Some(Ok(commits)) = words.next().map(str::parse::<u64>) else { continue };
        marked.commits = marked.commits.max(commits);
        for (name, head) in words.filter_map(|word| word.rsplit_once('=')) {
            let Ok(head) = head.parse::<u64>() else { continue };
            let known = marked.heads.entry(name.to_owned()).or_default();
            *known = head.max(*known);
        }
    }
    Ok(MarkState::Mark(marked))
}

/// A line without its checksum, if it is whole. At the end of the file `line` is empty.
fn next_line<'a>(mark: &mut impl BufRead, line: &'a mut Vec<u8>) -> io::Result<Option<&'a str>> {
    line.clear();
    Read::take(mark, MARK_LINE_BYTES_MAX as u64).read_until(b'\n', line)?;
    let text = line.strip_suffix(b"\n").and_then(|line| std::str::from_utf8(line).ok());
    let parts = text.and_then(|line| line.rsplit_once(' '));
    Ok(parts.filter(|(text, sum)| sum_of(text) == *sum).map(|(text, _)| text))
}

fn first_line(text: &str) -> Option<MarkContent> {
    let mut words = text.strip_prefix(BEGIN)?.strip_prefix(' ')?.split(' ');
    let epoch = words.next()?.to_owned();
    let (in_file, begun) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    Some(MarkContent { epoch, in_file, begun, commits: begun, heads: Heads::new() })
}

fn sum_of(text: &str) -> String {
    format!("{:016x}", sums::sum_of_text(text).cast_unsigned())
}

fn put_line(lines: &mut String, text: &str) {
    let _ = writeln!(lines, "{text} {}", sum_of(text));
}

/// Removes the mark of a database, because it is of another one.
pub(super) fn remove(file: &Path) -> io::Result<()> {
    disk::remove(&file.with_extension(ENDING))
}

/// The mark of an open store.
#[derive(Debug)]
pub(super) struct Mark {
    /// The database.
    of: PathBuf,
    file: File,
    /// Where the next line goes.
    at: u64,
    /// The length at which it is begun anew.
    end: u64,
    /// Everything but the heads, which are only in the file.
    content: MarkContent,
    /// `parlor.db` says without its log that it needs one.
    is_log_called_for: bool,
    has_failed: bool,
}

impl Mark {
    /// Begins the mark of the database `of` anew. It is on disk before it replaces the old one;
    /// until then the old one says nothing false.
    pub(super) fn begin(
        of: &Path,
        content: MarkContent,
        is_log_called_for: bool,
    ) -> io::Result<Mark> {
        let (new, place) = (of.with_extension(NEW_ENDING), of.with_extension(ENDING));
        let mut lines = String::new();
        let MarkContent { epoch, in_file, begun, commits, heads } = &content;
        put_line(&mut lines, &format!("{BEGIN} {epoch} {in_file} {begun}"));
        let heads: Vec<String> =
            heads.iter().map(|(name, head)| format!("{name}={head}")).collect();
        for some in heads.chunks(BATCH_RECORDS_MAX) {
            put_line(&mut lines, &format!("{commits} {}", some.join(" ")));
        }
        let mut options = File::options();
        let file = options.write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all_at(lines.as_bytes(), 0)?;
        file.sync_all()?;
        std::fs::rename(&new, &place)?;
        disk::sync(disk::folder_of(of))?;
        let at = lines.len() as u64;
        // If many logs have changed, it is as long as it must be.
        let end = (2 * at).max(MARK_BYTES);
        let content = MarkContent { heads: Heads::new(), ..content };
        Ok(Mark { of: of.to_owned(), file, at, end, content, is_log_called_for, has_failed: false })
    }

    /// Says within a transaction that a server writes, so that a log must be there.
    pub(super) fn call_for_log(&self, transaction: &Connection) -> rusqlite::Result<()> {
        if self.calls_for_log() { loss::call_for_log(transaction, true) } else { Ok(()) }
    }

    /// Whether each transaction says that.
    pub(super) fn calls_for_log(&self) -> bool {
        !self.is_log_called_for
    }

    /// Records that the store has so many commits, and the heads that the last one moved. Of which
    /// logs something is in no table yet `is_late` tells by their names.
    pub(super) fn committed(
        &mut self,
        db: &Connection,
        commits: u64,
        heads: &BTreeMap<(&'static str, &str), u64>,
        is_late: impl Fn(&str) -> bool,
    ) {
        self.content.commits = commits;
        let mut text = self.content.commits.to_string();
        for ((kind, name), head) in heads {
            let _ = write!(text, " {kind}:{name}={head}");
        }
        let mut line = String::new();
        put_line(&mut line, &text);
        // The next line overwrites one that was only partly written.
        let written = self.file.write_all_at(line.as_bytes(), self.at);
        if written.is_ok() {
            self.at += line.len() as u64;
        }
        self.tell(written);
        if !self.is_log_called_for {
            self.is_log_called_for = is_log_in_file(db);
        }
        if self.at >= self.end {
            self.rewrite(db, is_late);
        }
    }

    /// Begins the mark anew, so that it does not grow. It keeps what the log has beyond the file,
    /// which is nothing unless somebody reads the file or brings it there; and what is in no table
    /// yet, as the names of logs tell.
    fn rewrite(&mut self, db: &Connection, is_late: impl Fn(&str) -> bool) {
        let mut content = self.content.clone();
        let mut found = read(&self.of).map(|found| match found {
            MarkState::Mark(MarkContent { heads, .. }) => content.heads = heads,
            MarkState::Nothing | MarkState::Damaged => content.begun = content.commits,
        });
        // Before the log is brought there, as a thread may add to it meanwhile.
        let count = loss::count(db);
        if is_log_in_file(db) {
            content.begun = content.commits;
            content.heads.retain(|name, _| is_late(name));
            found = count.map_err(io::Error::other).map(|count| content.in_file = count.noted);
        }
        match found.and_then(|()| Mark::begin(&self.of, content, self.is_log_called_for)) {
            Ok(mark) => *self = mark,
            Err(error) => {
                self.end = self.at + MARK_BYTES;
                self.tell(Err(error));
            }
        }
    }

    /// Logs only the first failure in a row.
    fn tell(&mut self, done: io::Result<()>) {
        if let Err(error) = &done
            && !self.has_failed
        {
            let place = self.of.with_extension(ENDING);
            log::warn!(
                "{} cannot be written: {error}. If the write-ahead log is lost now, a start may not notice",
                place.display()
            );
        }
        self.has_failed = done.is_err();
    }
}

/// Brings the log into the file, as far as no reader prevents it. Returns whether that is all of
/// it.
fn is_log_in_file(db: &Connection) -> bool {
    let sql = "PRAGMA wal_checkpoint(PASSIVE)";
    let brought = db.query_row(sql, (), |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))
    });
    matches!(brought, Ok((0, frames, done)) if frames == done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};

    fn marked(commits: u64, heads: &[(&str, u64)]) -> MarkContent {
        let heads = heads.iter().map(|(name, head)| ((*name).to_owned(), *head)).collect();
        MarkContent { epoch: "life".into(), in_file: 3, begun: 5, commits, heads }
    }

    impl Mark {
        fn add(&mut self, db: &Connection, heads: &BTreeMap<(&'static str, &str), u64>) {
            self.committed(db, self.content.commits + 1, heads, |_| false);
        }
    }

    fn mark(of: &Path) -> Mark {
        Mark::begin(of, marked(5, &[]), true).unwrap()
    }

    #[test]
    fn it_says_what_the_newest_commit_was() {
        let folder = tempfile::tempdir().unwrap();
        let of = folder.path().join("parlor.db");
        assert_eq!(read(&of).unwrap(), MarkState::Nothing);
        let db = Connection::open_in_memory().unwrap();
        let mut mark = mark(&of);
        assert_eq!(read(&of).unwrap(), MarkState::Mark(marked(5, &[])));
        mark.add(&db, &BTreeMap::from([(("room", "dm:a:b"), 4), (("stream", "a"), 2)]));
        mark.add(&db, &BTreeMap::from([(("room", "dm:a:b"), 6)]));
        mark.add(&db, &BTreeMap::new());
        let expected = marked(8, &[("room:dm:a:b", 6), ("stream:a", 2)]);
        assert_eq!(read(&of).unwrap(), MarkState::Mark(expected));
        remove(&of).unwrap();
        remove(&of).unwrap();
        assert_eq!(read(&of).unwrap(), MarkState::Nothing);
    }

    #[test]
    fn a_line_that_is_not_whole_is_passed_over_wherever_it_is_cut_or_changed() {
        let folder = tempfile::tempdir().unwrap();
        let of = folder.path().join("parlor.db");
        let db = Connection::open_in_memory().unwrap();
        let mut mark = mark(&of);
        for seq in 1..=4 {
            mark.add(&db, &BTreeMap::from([(("room", "tea"), seq)]));
        }
        let bytes = std::fs::read(of.with_extension(ENDING)).unwrap();
        let first = bytes.iter().position(|byte| *byte == b'\n').unwrap();
        let line = (bytes.len() - first - 1) / 4;
        for len in 0..bytes.len() {
            let expected = match len.checked_sub(first + 1) {
                None => MarkState::Damaged,
                Some(more) if more < line => MarkState::Mark(marked(5, &[])),
                Some(more) => {
                    let lines = (more / line) as u64;
                    MarkState::Mark(marked(5 + lines, &[("room:tea", lines)]))
                }
            };
            assert_eq!(parse(&mut &bytes[..len]).unwrap(), expected, "cut at {len}");
            // What a power loss may leave.
            let mut zeros = bytes[..len].to_vec();
            zeros.resize(bytes.len() + 9_000, 0);
            assert_eq!(parse(&mut &zeros[..]).unwrap(), expected, "zeros from {len} on");
            let mut changed = bytes.clone();
            changed[len] ^= 2;
            match parse(&mut &changed[..]).unwrap() {
                MarkState::Damaged => assert!(len <= first, "changed at {len}"),
                MarkState::Mark(MarkContent { commits, .. }) => {
                    let is_of_last = len >= bytes.len() - line - 1;
                    assert!(len > first && (commits == 9 || is_of_last && commits >= 7), "{len}");
                }
                MarkState::Nothing => panic!("at {len}"),
            }
        }
    }

    #[test]
    fn a_line_that_cannot_be_written_is_made_up_for_by_the_next_one() {
        let folder = tempfile::tempdir().unwrap();
        let of = folder.path().join("parlor.db");
        let db = Connection::open_in_memory().unwrap();
        let mut mark = mark(&of);
        let only_to_read = File::open(of.with_extension(ENDING)).unwrap();
        let file = std::mem::replace(&mut mark.file, only_to_read);
        mark.add(&db, &BTreeMap::from([(("room", "tea"), 1)]));
        assert!(mark.has_failed);
        assert_eq!(read(&of).unwrap(), MarkState::Mark(marked(5, &[])));
        // Half of the line was written.
        file.write_all_at(b"6 room:tea=1 0123456789abcdef and more", mark.at).unwrap();
        mark.file = file;
        mark.add(&db, &BTreeMap::from([(("room", "den"), 3)]));
        assert!(!mark.has_failed);
        assert_eq!(read(&of).unwrap(), MarkState::Mark(marked(7, &[("room:den", 3)])));
    }

    #[test]
    fn it_is_begun_anew_before_it_grows_and_keeps_what_it_knows() {
        let folder = tempfile::tempdir().unwrap();
        let of = folder.path().join("parlor.db");
        let mut db = Connection::open(&of).unwrap();
        db.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE x (y)").unwrap();
        sums::add_row_sum(&db).unwrap();
        crate::store::schema::prepare(&mut db, "life").unwrap().unwrap();
        loss::note_commits(&db, 4, 4).unwrap();
        let mut mark = mark(&of);
        let names: Vec<String> = (0..100).map(|name| format!("{name}{}", "x".repeat(60))).collect();
        let heads: BTreeMap<_, _> = names.iter().map(|name| (("room", name.as_str()), 1)).collect();
        let fill = |mark: &mut Mark| {
            for _ in 0..2 * MARK_BYTES / 7_000 {
                mark.add(&db, &heads);
                assert!(of.with_extension(ENDING).metadata().unwrap().len() < MARK_BYTES + 10_000);
            }
            let MarkState::Mark(found) = read(&of).unwrap() else { panic!("it is damaged") };
            assert_eq!((found.commits, &found.heads.len()), (mark.content.commits, &100));
            found
        };
        let begun = fill(&mut mark);
        assert!(begun.begun > 5 && begun.in_file == 4);
        loss::note_commits(&db, 6, 6).unwrap();
        // While somebody reads, the log is not brought into the file.
        let reader = Connection::open(&of).unwrap();
        reader.execute_batch("BEGIN; SELECT * FROM x").unwrap();
        db.execute_batch("INSERT INTO x VALUES (1)").unwrap();
        assert_eq!(fill(&mut mark).in_file, begun.in_file);
    }

    #[test]
    fn it_never_says_of_the_file_what_only_the_log_has_whoever_adds_to_that_meanwhile() {
        let folder = tempfile::tempdir().unwrap();
        let of = folder.path().join("parlor.db");
        let open = || {
            let db = Connection::open(&of).unwrap();
            sums::add_row_sum(&db).unwrap();
            db.execute_batch("PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0").unwrap();
            db
        };
        let mut db = open();
        crate::store::schema::prepare(&mut db, "life").unwrap().unwrap();
        let (other, is_over) = (open(), &AtomicBool::new(false));
        let mut mark = mark(&of);
        std::thread::scope(|scope| {
            scope.spawn(move || {
                for n in 1.. {
                    loss::note_commits(&other, n, n).unwrap();
                    if is_over.load(Ordering::Relaxed) {
                        break;
                    }
                }
            });
            for _ in 0..100 {
                mark.rewrite(&db, |_| false);
                let in_file = loss::StoreTraces::read(&of).unwrap().in_file.unwrap().noted;
                let said = mark.content.in_file;
                is_over.store(said > in_file, Ordering::Relaxed);
                assert!(said <= in_file, "it says {said}, and the file has {in_file}");
            }
            is_over.store(true, Ordering::Relaxed);
        });
        assert!(mark.content.in_file > 3);
    }
}
