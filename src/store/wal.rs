//! What a write-ahead log has, read without SQLite, which would change it.
//!
//! Its form is in SQLite's file format, 4 (<https://www.sqlite.org/fileformat2.html#walformat>): a
//! head, and frames with a page each. What counts are the frames up to the last one that ends a
//! transaction, before the first that is not what was written.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read};
use std::path::Path;

const HEAD_BYTES: usize = 32;
const FRAME_HEAD_BYTES: usize = 24;
/// The first number of a log, but for its last bit.
const MAGIC: u32 = 0x377f_0682;
const FORMAT: u32 = 3_007_000;

/// What the committed transactions of a log come to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Committed {
    pub(super) page_bytes: u64,
    /// Pages of the database after the last one of them.
    pub(super) pages: u32,
    /// The pages that the log has, of those that the file is too short for: no more than frames.
    pub(super) beyond: BTreeSet<u32>,
}

/// Reads a log, beside a file of `file_bytes`. None if it is not there, or SQLite would not take
/// anything of it.
pub(super) fn committed(log: &Path, file_bytes: u64) -> io::Result<Option<Committed>> {
    match File::open(log) {
        Ok(log) => read(&mut BufReader::with_capacity(256 * 1024, log), file_bytes),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn read(log: &mut impl Read, file_bytes: u64) -> io::Result<Option<Committed>> {
    let mut head = [0; HEAD_BYTES];
    if !filled(log, &mut head)? {
        return Ok(None);
    }
    let page_bytes = number(&head, 8);
    let is_size = page_bytes.is_power_of_two() && (512..=65_536).contains(&page_bytes);
    if number(&head, 0) & !1 != MAGIC || !is_size || number(&head, 4) != FORMAT {
        return Ok(None);
    }
    let mut sum = Sum { is_big_endian: number(&head, 0) & 1 == 1, one: 0, two: 0 };
    sum.add(&head[..24]);
    if !sum.is(&head[24..]) {
        return Ok(None);
    }
    let page_bytes = u64::from(page_bytes);
    let in_file = file_bytes / page_bytes;
    let (mut beyond, mut of_transaction) = (BTreeSet::new(), Vec::new());
    let mut pages = None;
    let mut frame = vec![0; FRAME_HEAD_BYTES + page_bytes as usize];
    while filled(log, &mut frame)? {
        let (page, pages_after) = (number(&frame, 0), number(&frame, 4));
        sum.add(&frame[..8]);
        sum.add(&frame[FRAME_HEAD_BYTES..]);
        if page == 0 || frame[8..16] != head[16..24] || !sum.is(&frame[16..24]) {
            break;
        }
        if u64::from(page) > in_file {
            of_transaction.push(page);
        }
        if pages_after > 0 {
            pages = Some(pages_after);
            beyond.extend(of_transaction.drain(..));
        }
    }
    Ok(pages.map(|pages| Committed { page_bytes, pages, beyond }))
}

/// Where a log is not what was written although more was committed behind that, which SQLite does
/// not take then: a byte of it, or none.
///
/// A frame that is not whole at the end is what a kill leaves, and so are frames behind it that end no
/// transaction.
pub(super) fn damaged_at(log: &Path) -> io::Result<Option<u64>> {
    let file = match File::open(log) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let found = damage(&mut BufReader::with_capacity(256 * 1024, &file))?;
    let Some((head, at)) = found else { return Ok(None) };
    // A server may have begun the log anew meanwhile.
    let mut now = [0; HEAD_BYTES];
    let is_same = filled(&mut File::open(log)?, &mut now)? && now == head;
    Ok(is_same.then_some(at))
}

fn damage(log: &mut impl Read) -> io::Result<Option<([u8; HEAD_BYTES], u64)>> {
    let mut head = [0; HEAD_BYTES];
    if !filled(log, &mut head)? {
        return Ok(None);
    }
    let page_bytes = number(&head, 8);
    let is_size = page_bytes.is_power_of_two() && (512..=65_536).contains(&page_bytes);
    let mut sum = Sum { is_big_endian: number(&head, 0) & 1 == 1, one: 0, two: 0 };
    sum.add(&head[..24]);
    if number(&head, 0) & !1 != MAGIC || !is_size || !sum.is(&head[24..]) {
        // The head is written at once, before any frame.
        return Ok(Some((head, 0)));
    }
    let mut frame = vec![0; FRAME_HEAD_BYTES + page_bytes as usize];
    let (mut at, mut bad) = (HEAD_BYTES as u64, None);
    while filled(log, &mut frame)? {
        let is_of_this_log = frame[8..16] == head[16..24];
        if bad.is_none() {
            sum.add(&frame[..8]);
            sum.add(&frame[FRAME_HEAD_BYTES..]);
            if number(&frame, 0) == 0 || !is_of_this_log || !sum.is(&frame[16..24]) {
                bad = Some(at);
            }
        } else if is_of_this_log && number(&frame, 4) > 0 {
            return Ok(bad.map(|bad| (head, bad)));
        }
        at += frame.len() as u64;
    }
    Ok(None)
}

/// Whether there was so much to read.
fn filled(from: &mut impl Read, into: &mut [u8]) -> io::Result<bool> {
    match from.read_exact(into) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// The big-endian number at `place`.
pub(super) fn number(bytes: &[u8], place: usize) -> u32 {
    let bytes = bytes.get(place..).and_then(<[u8]>::first_chunk);
    bytes.map_or(0, |bytes| u32::from_be_bytes(*bytes))
}

/// The sum that goes on from the head through all frames.
struct Sum {
    is_big_endian: bool,
    one: u32,
    two: u32,
}

impl Sum {
    fn add(&mut self, bytes: &[u8]) {
        let (words, _) = bytes.as_chunks::<4>();
        let (pairs, _) = words.as_chunks::<2>();
        for [one, two] in pairs {
            let word = |bytes: &[u8; 4]| match self.is_big_endian {
                true => u32::from_be_bytes(*bytes),
                false => u32::from_le_bytes(*bytes),
            };
            let (one, two) = (word(one), word(two));
            self.one = self.one.wrapping_add(one).wrapping_add(self.two);
            self.two = self.two.wrapping_add(two).wrapping_add(self.one);
        }
    }

    fn is(&self, written: &[u8]) -> bool {
        (number(written, 0), number(written, 4)) == (self.one, self.two)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::Connection;

    #[test]
    fn what_is_committed_is_what_sqlite_reads() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.db");
        let db = Connection::open(&file).unwrap();
        db.execute_batch(
            "PRAGMA page_size = 1024; PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0;
             PRAGMA cache_size = 10; CREATE TABLE x (y); INSERT INTO x VALUES (zeroblob(9000));
             INSERT INTO x VALUES (zeroblob(9000));",
        )
        .unwrap();
        let pages: u32 = db.query_row("PRAGMA page_count", (), |row| row.get(0)).unwrap();
        let log = folder.path().join("x.db-wal");
        let whole = committed(&log, 1_024).unwrap().unwrap();
        assert_eq!((whole.page_bytes, whole.pages), (1_024, pages));
        assert_eq!(whole.beyond, (2..=pages).collect(), "all but the first, which the file has");
        // A transaction that is not committed counts for nothing, though its pages are there.
        let before = log.metadata().unwrap().len();
        db.execute_batch("BEGIN; INSERT INTO x VALUES (zeroblob(90000))").unwrap();
        assert!(log.metadata().unwrap().len() > before);
        assert_eq!(committed(&log, 1_024).unwrap().unwrap(), whole);
        // Wherever the log is cut or changed, what is before that counts.
        let bytes = std::fs::read(&log).unwrap();
        let mut counts = Vec::new();
        for len in (0..before as usize).step_by(97) {
            let cut = read(&mut &bytes[..len], 0).unwrap();
            let mut changed = bytes.clone();
            changed[len] ^= 4;
            assert_eq!(read(&mut &changed[..], 0).unwrap(), cut, "at {len}");
            counts.push(cut.map_or(0, |committed| committed.pages));
        }
        assert!(counts.is_sorted() && counts[0] == 0 && counts.last() < Some(&pages));
    }

    #[test]
    fn damage_before_a_commit_is_seen_and_what_a_kill_leaves_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.db");
        let db = Connection::open(&file).unwrap();
        db.execute_batch(
            "PRAGMA page_size = 1024; PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0;
             CREATE TABLE x (y); INSERT INTO x VALUES (1); INSERT INTO x VALUES (2);
             INSERT INTO x VALUES (3);",
        )
        .unwrap();
        let bytes = std::fs::read(folder.path().join("x.db-wal")).unwrap();
        let frame = FRAME_HEAD_BYTES + 1_024;
        let frames = (bytes.len() - HEAD_BYTES) / frame;
        let found = |bytes: &[u8]| damage(&mut &bytes[..]).unwrap().map(|(_, at)| at);
        for place in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[place] ^= 16;
            let in_frame = place.saturating_sub(HEAD_BYTES) / frame;
            let expected = match place {
                ..HEAD_BYTES => Some(0),
                _ if in_frame + 1 == frames => None,
                _ => Some((HEAD_BYTES + in_frame * frame) as u64),
            };
            assert_eq!(found(&changed), expected, "byte {place}");
        }
        for len in 0..bytes.len() {
            assert_eq!(found(&bytes[..len]), None, "cut to {len}");
        }
    }
}
