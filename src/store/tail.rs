//! The tail: the newest commits of the [journal](super::journal), in a file of their own.
//!
//! A commit that changes rooms in memory alone needs no table. It is one record at the end of this
//! file, and one `fdatasync`. Every other commit is a row of the table `journal`; the numbers go
//! through both. When all that the file has is in the tables, and that on disk, it is written from
//! its start again.
//!
//! A record:
//!
//! ```text
//! bytes
//!     4  01 'P' 'J', and 02 if the commit before it is a record, 01 if it is a row
//!     4  how long its list is, in bytes; all numbers are little endian
//!     8  the number of the commit
//!     8  the number of the commit before it; one that merges does not count
//!     8  the checksum of the tail's name, these numbers and the list
//!     …  its messages and marks, a list in JSON, which never has the byte 01
//!     …  zeros, up to a multiple of 8 bytes
//! ```
//!
//! The name is the epoch, and the number of the commit that has noted in `meta` that the tail
//! begins. Each tail is a new file. It begins with a record without a list, with 00 for what is
//! before it.

use super::disk::{self, FileIdentity, if_there, real};
use super::integrity::{TAIL, with};
use super::rows::{damaged, meta};
use super::{loss, schema, sums};
use crate::base::limits::{TAIL_AHEAD_BYTES, TAIL_BYTES, TAIL_BYTES_MAX, TAIL_OVER_BYTES};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Result};
use std::collections::BTreeMap;
use std::fs::{File, Permissions};
use std::io::{self, Read, Seek};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

const BEGINS: u8 = 0;
const FOLLOWS_A_ROW: u8 = 1;
const FOLLOWS_A_RECORD: u8 = 2;
const HEAD_BYTES: usize = 32;
/// Where records begin.
const STEP_BYTES: usize = 8;
/// Linux keeps what is written at once as one piece, and writes all of it to the disk again when
/// some of it changes.
const PAGE: [u8; 4_096] = [0; 4_096];

/// A place in the journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct JournalPlace {
    pub(super) n: u64,
    /// It is a record of the tail, and no row.
    pub(super) is_record: bool,
}

/// A commit in the tail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TailRecord {
    /// The commit before it.
    pub(super) after: JournalPlace,
    /// A list in JSON.
    pub(super) list: String,
}

/// Which tail it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TailName {
    pub(super) epoch: String,
    /// The number of the commit that notes it.
    pub(super) begun: u64,
}

impl TailName {
    fn sum(&self, n: u64, after: JournalPlace, list: &str) -> i64 {
        let numbers = [self.begun, n, after.n, u64::from(after.is_record)];
        let numbers = numbers.map(|number| ValueRef::Integer(number.cast_signed()));
        let texts = [&self.epoch, list].map(|text| ValueRef::Text(text.as_bytes()));
        sums::sum(texts.into_iter().chain(numbers))
    }

    /// The record at the start of some bytes, with its number and length; `None` for that which
    /// begins the tail.
    fn record(&self, bytes: &[u8]) -> Option<(Option<(u64, TailRecord)>, usize)> {
        let (head, rest) = bytes.split_at_checked(HEAD_BYTES)?;
        let number = |at: usize| head[at..].first_chunk().copied().map_or(0, u64::from_le_bytes);
        let kind = match head.first_chunk() {
            Some([1, b'P', b'J', kind @ (BEGINS | FOLLOWS_A_ROW | FOLLOWS_A_RECORD)]) => *kind,
            _ => return None,
        };
        let len = usize::try_from(number(0) >> 32).ok()?;
        let list = std::str::from_utf8(rest.get(..len)?).ok()?;
        let (n, is_record) = (number(8), kind == FOLLOWS_A_RECORD);
        let after = JournalPlace { n: number(16), is_record };
        if self.sum(n, after, list) != number(24).cast_signed() {
            return None;
        }
        let record = (kind != BEGINS).then(|| (n, TailRecord { after, list: list.to_owned() }));
        Some((record, (HEAD_BYTES + len).next_multiple_of(STEP_BYTES)))
    }

    /// A record as it is written.
    fn put(&self, bytes: &mut Vec<u8>, kind: u8, n: u64, after: JournalPlace, list: &str) -> bool {
        let Ok(len) = u32::try_from(list.len()) else { return false };
        bytes.clear();
        bytes.extend([1, b'P', b'J', kind]);
        bytes.extend(len.to_le_bytes());
        let sum = self.sum(n, after, list).cast_unsigned();
        bytes.extend([n, after.n, sum].into_iter().flat_map(u64::to_le_bytes));
        bytes.extend_from_slice(list.as_bytes());
        bytes.resize(bytes.len().next_multiple_of(STEP_BYTES), 0);
        true
    }

    /// What a file's bytes have of this tail, from the `oldest` commit on.
    fn find(&self, bytes: &[u8], oldest: u64) -> FoundTail {
        let mut found =
            FoundTail { oldest: Some(oldest), is_missing: true, ..FoundTail::default() };
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            at += match self.record(rest) {
                Some((record, len)) => {
                    found.is_missing = false;
                    found.records.extend(record.filter(|(n, _)| *n >= oldest));
                    len
                }
                // Behind a damaged record the next one is found again.
                None => STEP_BYTES,
            };
        }
        found
    }
}

/// What is needed of a tail.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FoundTail {
    /// The oldest commit that the journal has, here or in the table; `None` if there is no tail.
    pub(super) oldest: Option<u64>,
    pub(super) records: BTreeMap<u64, TailRecord>,
    /// There must be one, and it is not there, or is another one.
    pub(super) is_missing: bool,
    /// What follows a row that is not there counts, too.
    pub(super) keeps_all: bool,
}

impl FoundTail {
    /// Whether each record that says that it follows one does so.
    fn is_whole(&self) -> bool {
        let is_needed = |place: &JournalPlace| {
            place.is_record && self.oldest.is_some_and(|oldest| place.n >= oldest)
        };
        let mut after = self.records.values().map(|record| record.after).filter(is_needed);
        after.all(|place| self.records.contains_key(&place.n))
    }
}

/// The tail that an open database has named, and the number of the oldest commit that the journal
/// has; `None` if it has named none.
pub(super) fn named(db: &Connection) -> Result<Option<(TailName, u64)>> {
    if schema::version(db)? < schema::WITH_TAIL {
        return Ok(None);
    }
    let number = |key| {
        let number = meta(db, key)?.parse::<u64>();
        number.map_err(|_| damaged(format!("the {key} is no number")))
    };
    let (begun, oldest) = (number(loss::TAIL_BEGUN)?, number(loss::OLDEST_COMMIT)?);
    if begun == 0 {
        return Ok(None);
    }
    Ok(Some((TailName { epoch: meta(db, "epoch")?, begun }, oldest)))
}

/// The tail beside a database, held: while it is, a server does not write over what it has.
#[derive(Debug)]
pub(super) struct HeldTail {
    file: Option<File>,
}

/// A tail that a server writes may show a record before the one that it follows. Real damage looks
/// so each time.
const READS: u32 = 4;

impl HeldTail {
    /// Takes it before the database is read, so that it has what that does not have yet.
    pub(super) fn take(database: &Path) -> io::Result<HeldTail> {
        let file = if_there(disk::open(&with(&real(database), TAIL)))?;
        file.as_ref().map_or(Ok(()), File::lock_shared)?;
        Ok(HeldTail { file })
    }

    /// Reads what is needed of it, by the database that is `open`, which may be a copy.
    pub(super) fn read(&self, open: &Connection) -> Result<FoundTail> {
        let named = match named(open) {
            // Nothing can be read of it. Whoever reads the rest says what is wrong.
            Err(_) if self.file.is_none() => None,
            other => other?,
        };
        let Some((name, oldest)) = named else { return Ok(FoundTail::default()) };
        let Some(file) = &self.file else { return Ok(name.find(&[], oldest)) };
        let mut found = FoundTail::default();
        for _ in 0..READS {
            let mut bytes = Vec::new();
            let mut file = file;
            let read =
                file.rewind().and_then(|()| file.take(2 * TAIL_BYTES_MAX).read_to_end(&mut bytes));
            read.map_err(|error| failed("read", error))?;
            found = name.find(&bytes, oldest);
            if found.is_whole() {
                break;
            }
        }
        Ok(found)
    }
}

/// An error of the tail's file, as those of the database.
fn failed(what: &str, error: io::Error) -> rusqlite::Error {
    let error = io::Error::new(error.kind(), format!("cannot {what} the tail: {error}"));
    rusqlite::Error::ToSqlConversionFailure(error.into())
}

/// Removes the tail beside a database.
pub(super) fn remove(file: &Path) -> io::Result<()> {
    disk::remove(&with(&real(file), TAIL))
}

/// The tail of an open store.
#[derive(Debug)]
pub(super) struct TailWriter {
    path: PathBuf,
    file: File,
    identity: FileIdentity,
    name: TailName,
    /// Where the next record goes.
    at: u64,
    /// The file's length.
    len: u64,
    /// The newest record.
    newest: u64,
    /// From how many bytes on it is to be written from its start again.
    is_long_at: u64,
    /// Up to here there may be something in it.
    used: u64,
    /// A record, as it is written.
    bytes: Vec<u8>,
}

impl TailWriter {
    /// Begins the tail of a database, which notes its `name` then. It replaces another one, of which
    /// nothing is needed; who reads that goes on.
    pub(super) fn begin(database: &Path, name: TailName) -> io::Result<TailWriter> {
        let path = with(&real(database), TAIL);
        let mode = database.metadata()?.mode() & 0o777;
        disk::remove(&path)?;
        let file =
            File::options().read(true).write(true).create_new(true).mode(mode).open(&path)?;
        // Whoever may read the database may read its tail.
        file.set_permissions(Permissions::from_mode(mode))?;
        let mut bytes = Vec::new();
        name.put(&mut bytes, BEGINS, 0, JournalPlace::default(), "");
        file.write_all_at(&bytes, 0)?;
        file.sync_all()?;
        disk::sync(disk::folder_of(&path))?;
        let (identity, len) = disk::identity_and_len_of(&file)?;
        Ok(TailWriter {
            path,
            file,
            identity,
            name,
            at: len,
            len,
            newest: 0,
            is_long_at: TAIL_BYTES,
            used: len,
            bytes,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// How many bytes are in use.
    pub(super) fn bytes(&self) -> u64 {
        self.at
    }

    /// Its identity, as it was begun.
    pub(super) fn identity(&self) -> FileIdentity {
        self.identity
    }

    /// The commit that is to note it.
    pub(super) fn begun(&self) -> u64 {
        self.name.begun
    }

    /// Whether there is space for a list of so many bytes.
    pub(super) fn has_space(&self, bytes: usize) -> bool {
        self.at + (HEAD_BYTES + bytes) as u64 <= TAIL_BYTES_MAX
    }

    /// Whether it is to be written from its start again.
    pub(super) fn is_long(&self) -> bool {
        self.at >= self.is_long_at
    }

    /// Whether that should have been done.
    pub(super) fn is_too_long(&self) -> bool {
        self.at >= self.is_long_at + TAIL_OVER_BYTES
    }

    /// It cannot be written from its start for now.
    pub(super) fn goes_on(&mut self) {
        self.is_long_at = (self.at + TAIL_BYTES).min(TAIL_BYTES_MAX / 2);
    }

    /// Whether it has, or had, records.
    pub(super) fn is_used(&self) -> bool {
        self.used > HEAD_BYTES as u64
    }

    /// Whether nobody reads it.
    pub(super) fn is_free(&self) -> bool {
        self.file.try_lock().is_ok_and(|()| self.file.unlock().is_ok())
    }

    /// The number of the newest record.
    pub(super) fn newest(&self) -> u64 {
        self.newest
    }

    /// Adds a commit. It is on disk when this returns.
    pub(super) fn append(&mut self, n: u64, after: JournalPlace, list: &str) -> Result<()> {
        let kind = if after.is_record { FOLLOWS_A_RECORD } else { FOLLOWS_A_ROW };
        if !self.name.put(&mut self.bytes, kind, n, after, list) {
            return Err(failed("write", io::ErrorKind::FileTooLarge.into()));
        }
        let end = self.at + self.bytes.len() as u64;
        self.lengthen(end);
        // Even if it fails: then it may be there, until something is written over it.
        self.newest = n;
        let written = self.file.write_all_at(&self.bytes, self.at);
        if let Err(error) = written.and_then(|()| self.file.sync_data()) {
            // Best removed; otherwise the next commit, a row, has its number.
            let _ = self.file.write_all_at(&[0; HEAD_BYTES], self.at);
            return Err(failed("write", error));
        }
        self.at = end;
        (self.len, self.used) = (self.len.max(end), self.used.max(end));
        Ok(())
    }

    /// Writes zeros ahead of a record that ends there, if it needs that, as a sync of bytes that are
    /// overwritten takes half as long as one of bytes that are appended. If that fails, the record's
    /// own error says why.
    fn lengthen(&mut self, end: u64) {
        while end > self.len {
            let until = (self.len + 1).next_multiple_of(TAIL_AHEAD_BYTES);
            if self.put_zeros(self.len, until).is_err() {
                return;
            }
            self.len = until;
        }
    }

    fn put_zeros(&self, from: u64, until: u64) -> io::Result<()> {
        let mut at = from;
        while at < until {
            let piece = (PAGE.len() as u64 - at % PAGE.len() as u64).min(until - at);
            let piece = usize::try_from(piece).map_or(&PAGE[..], |len| &PAGE[..len]);
            self.file.write_all_at(piece, at)?;
            at += piece.len() as u64;
        }
        Ok(())
    }

    /// Begins at the start of the file again, and empties it if that `is_to_go`. All of it must be in
    /// the tables, on disk. It goes on where it is while somebody reads it.
    pub(super) fn begin_again(&mut self, is_to_go: bool) {
        if self.file.try_lock().is_err() {
            return;
        }
        let begin = HEAD_BYTES as u64;
        if is_to_go {
            let kept = self.len.min(TAIL_AHEAD_BYTES);
            let is_cut = self.len == kept || self.file.set_len(kept).is_ok();
            self.len = if is_cut { kept } else { self.len };
            // What is not wiped out now is so the next time.
            if is_cut && self.put_zeros(begin, self.used.min(kept)).is_ok() {
                self.used = begin;
            }
        }
        (self.at, self.is_long_at) = (begin, TAIL_BYTES);
        // To release what is held does not fail.
        let _ = self.file.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTS: [&str; 3] = [r#"["x"]"#, "[]", r#"["\u0001PJ\u0002"]"#];

    fn name() -> TailName {
        TailName { epoch: "life".into(), begun: 4 }
    }

    /// Beside a database.
    fn tail(folder: &Path) -> TailWriter {
        let database = folder.join("x.db");
        File::create(&database).unwrap();
        TailWriter::begin(&database, name()).unwrap()
    }

    /// Adds the lists as commits from `n` on.
    fn fill(tail: &mut TailWriter, n: u64) {
        for (list, n) in LISTS.iter().zip(n..) {
            tail.append(n, JournalPlace { n: n - 1, is_record: n > 5 }, list).unwrap();
        }
    }

    fn bytes(tail: &TailWriter) -> Vec<u8> {
        std::fs::read(tail.path()).unwrap()
    }

    /// The numbers that are found.
    fn numbers(tail: &TailWriter, oldest: u64) -> Vec<u64> {
        name().find(&bytes(tail), oldest).records.into_keys().collect()
    }

    #[test]
    fn records_are_read_as_they_were_written_and_only_by_their_name() {
        let folder = tempfile::tempdir().unwrap();
        let mut tail = tail(folder.path());
        assert!(!name().find(&bytes(&tail), 0).is_missing, "it is begun");
        fill(&mut tail, 5);
        let found = name().find(&bytes(&tail), 0);
        let expected = LISTS.iter().zip(5..).map(|(list, n)| {
            let after = JournalPlace { n: n - 1, is_record: n > 5 };
            (n, TailRecord { after, list: (*list).to_owned() })
        });
        assert_eq!(found.records, expected.collect());
        assert_eq!(numbers(&tail, 7), [7]);
        for other in [TailName { epoch: "other".into(), ..name() }, TailName { begun: 5, ..name() }]
        {
            let found = other.find(&bytes(&tail), 0);
            assert!(found.is_missing && found.records.is_empty());
        }
    }

    #[test]
    fn it_is_lengthened_ahead_and_what_it_was_longer_before_has_lower_numbers() {
        let folder = tempfile::tempdir().unwrap();
        let mut tail = tail(folder.path());
        fill(&mut tail, 5);
        assert_eq!(bytes(&tail).len() as u64, TAIL_AHEAD_BYTES);
        let list = format!("[{}]", " ".repeat(TAIL_AHEAD_BYTES as usize));
        tail.append(8, JournalPlace { n: 7, is_record: true }, &list).unwrap();
        assert_eq!(bytes(&tail).len() as u64, 2 * TAIL_AHEAD_BYTES);
        tail.begin_again(false);
        tail.append(10, JournalPlace { n: 9, is_record: false }, "[]").unwrap();
        assert_eq!(numbers(&tail, 10), [10]);
        assert_eq!(numbers(&tail, 0), [6, 7, 8, 10]);
        tail.begin_again(true);
        assert_eq!((bytes(&tail).len() as u64, numbers(&tail, 0).len()), (TAIL_AHEAD_BYTES, 0));
        assert!(bytes(&tail)[HEAD_BYTES..].iter().all(|byte| *byte == 0) && !tail.is_used());
        assert!(!name().find(&bytes(&tail), 0).is_missing);
        fill(&mut tail, 12);
        assert_eq!(numbers(&tail, 0), [12, 13, 14]);
    }

    #[test]
    fn it_is_not_written_from_its_start_while_somebody_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut tail = tail(folder.path());
        fill(&mut tail, 5);
        let at = tail.bytes();
        let held = HeldTail::take(&folder.path().join("x.db")).unwrap();
        assert!(!tail.is_free());
        tail.begin_again(true);
        assert_eq!(tail.bytes(), at);
        drop(held);
        assert!(tail.is_free());
        tail.begin_again(false);
        assert!(tail.bytes() == HEAD_BYTES as u64 && tail.is_used(), "the texts are still there");
    }

    #[test]
    fn another_one_is_another_file_with_the_rights_of_the_database() {
        let folder = tempfile::tempdir().unwrap();
        let mut first = tail(folder.path());
        fill(&mut first, 5);
        let aside = folder.path().join("aside");
        std::fs::hard_link(first.path(), &aside).unwrap();
        let before = std::fs::read(&aside).unwrap();
        let database = folder.path().join("x.db");
        std::fs::set_permissions(&database, Permissions::from_mode(0o640)).unwrap();
        let mut second = TailWriter::begin(&database, name()).unwrap();
        fill(&mut second, 9);
        assert_eq!(numbers(&second, 0), [9, 10, 11]);
        assert_eq!(std::fs::read(aside).unwrap(), before, "that of a store that was put aside");
        assert_eq!(second.path().metadata().unwrap().mode() & 0o777, 0o640);
    }

    #[test]
    fn a_record_that_could_not_be_written_is_none_and_the_next_one_takes_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let mut tail = tail(folder.path());
        fill(&mut tail, 5);
        let (at, writable) = (tail.bytes(), tail.file.try_clone().unwrap());
        let after = JournalPlace { n: 7, is_record: true };
        tail.file = File::open(tail.path()).unwrap();
        let error = tail.append(8, after, "[1]").unwrap_err().to_string();
        assert!(error.starts_with("cannot write the tail: "), "{error}");
        assert_eq!(tail.newest(), 8, "it may be there");
        tail.file = writable;
        tail.append(8, after, "[2]").unwrap();
        assert_eq!(name().find(&bytes(&tail), 8).records[&8].list, "[2]");
        assert!(tail.bytes() > at);
    }

    #[test]
    fn it_has_space_up_to_its_bound_and_is_long_before() {
        let folder = tempfile::tempdir().unwrap();
        let mut tail = tail(folder.path());
        assert!(!tail.is_long() && tail.has_space(1_000));
        tail.at = TAIL_BYTES;
        assert!(tail.is_long());
        tail.goes_on();
        assert!(!tail.is_long());
        tail.at = TAIL_BYTES_MAX - 100;
        tail.goes_on();
        assert!(tail.is_long(), "it is tried again and again");
        assert!(tail.has_space(100 - HEAD_BYTES) && !tail.has_space(101 - HEAD_BYTES));
    }

    #[test]
    fn any_bytes_are_read_and_a_record_behind_them_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let mut tail = tail(folder.path());
        tail.append(5, JournalPlace { n: 4, is_record: false }, "[]").unwrap();
        let end = usize::try_from(tail.bytes()).unwrap();
        let record = bytes(&tail)[HEAD_BYTES..end].to_vec();
        proptest::proptest!(|(noise in proptest::collection::vec(0u8..6, 0..200))| {
            let mut all = [&[1, b'P', b'J', 1][..], &noise].concat();
            all.resize(all.len().next_multiple_of(STEP_BYTES), 0);
            all.extend_from_slice(&record);
            proptest::prop_assert_eq!(name().find(&all, 0).records.len(), 1);
            name().find(&all[..all.len() - 1], 0);
        });
    }
}
