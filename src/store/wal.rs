//! Reads a write-ahead log without SQLite, which would change it.
//!
//! Its format is in SQLite's file format, 4 (<https://www.sqlite.org/fileformat2.html#walformat>):
//! a head, and frames with a page each. The frames that count are those before the first damaged
//! one, up to the last that ends a transaction.

use super::disk::{if_there, open};
use std::collections::BTreeSet;
use std::io::{self, BufReader, ErrorKind, Read};
use std::path::Path;

const HEAD_BYTES: usize = 32;
const FRAME_HEAD_BYTES: usize = 24;
/// The first number of a log, without its last bit.
const MAGIC: u32 = 0x377f_0682;
const FORMAT: u32 = 3_007_000;
/// How many bytes are read at once.
const BUFFER_BYTES: usize = 256 * 1024;

/// The result of the committed transactions of a log.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Committed {
    pub(super) page_bytes: u64,
    /// Pages of the database after the last transaction.
    pub(super) pages: u32,
    /// The pages in the log for which the file is too short; no more than it has frames.
    pub(super) beyond: BTreeSet<u32>,
}

/// Reads a log beside a file of `file_bytes`. `None` if it does not exist, or SQLite would not use
/// anything of it.
pub(super) fn committed(log: &Path, file_bytes: u64) -> io::Result<Option<Committed>> {
    let Some(log) = if_there(open(log))? else { return Ok(None) };
    pages_of(&mut BufReader::with_capacity(BUFFER_BYTES, log), file_bytes)
}

/// Where a log is damaged although more was committed behind that, which SQLite then ignores: the
/// offset of the first damaged frame, or 0 for the head.
///
/// A kill leaves an incomplete frame at the end, or frames at the end that end no transaction. That
/// is not damage.
pub(super) fn damaged_at(log: &Path) -> io::Result<Option<u64>> {
    let Some(file) = if_there(open(log))? else { return Ok(None) };
    let found = damage_of(&mut BufReader::with_capacity(BUFFER_BYTES, file))?;
    let Some((head, at)) = found else { return Ok(None) };
    // A server may have begun the log anew meanwhile.
    let mut now = [0; HEAD_BYTES];
    let is_same = filled(&mut open(log)?, &mut now)? && now == head;
    Ok(is_same.then_some(at))
}

fn pages_of(log: &mut impl Read, file_bytes: u64) -> io::Result<Option<Committed>> {
    let mut head = [0; HEAD_BYTES];
    if !filled(log, &mut head)? {
        return Ok(None);
    }
    let Some(mut frames) = WalFrames::new(log, &head) else { return Ok(None) };
    let page_bytes = frames.page_bytes();
    let in_file = file_bytes / page_bytes;
    let (mut beyond, mut of_transaction) = (BTreeSet::new(), Vec::new());
    let mut pages = None;
    while let Some(frame) = frames.next()?.filter(|frame| frame.is_right) {
        if u64::from(frame.page) > in_file {
            of_transaction.push(frame.page);
        }
        if frame.pages_after > 0 {
            pages = Some(frame.pages_after);
            beyond.extend(of_transaction.drain(..));
        }
    }
    Ok(pages.map(|pages| Committed { page_bytes, pages, beyond }))
}

fn damage_of(log: &mut impl Read) -> io::Result<Option<([u8; HEAD_BYTES], u64)>> {
    let mut head = [0; HEAD_BYTES];
    if !filled(log, &mut head)? {
        return Ok(None);
    }
    let Some(mut frames) = WalFrames::new(log, &head) else {
        // The head is written at once, before any frame. If it is all zeros, it was never written.
        let has_frames = filled(log, &mut [0; FRAME_HEAD_BYTES])?;
        return Ok((has_frames && head != [0; HEAD_BYTES]).then_some((head, 0)));
    };
    let (mut at, mut bad) = (HEAD_BYTES as u64, None);
    while let Some(frame) = frames.next()? {
        if bad.is_some() && frame.is_of_this_log && frame.pages_after > 0 {
            return Ok(bad.map(|bad| (head, bad)));
        }
        if !frame.is_right {
            bad = bad.or(Some(at));
        }
        at += FRAME_HEAD_BYTES as u64 + frames.page_bytes();
    }
    Ok(None)
}

struct WalFrame {
    page: u32,
    /// Pages of the database after it, if it ends a transaction; else 0.
    pages_after: u32,
    /// It was not left in the file by an earlier log.
    is_of_this_log: bool,
    /// It and all frames before it are of this log and undamaged.
    is_right: bool,
}

/// The frames behind a head, in order.
struct WalFrames<'a, R> {
    log: &'a mut R,
    salts: [u8; 8],
    sum: Sum,
    /// Whether all frames until now were right.
    is_right: bool,
    frame: Vec<u8>,
}

impl<'a, R: Read> WalFrames<'a, R> {
    /// `None` if SQLite would not have written the head.
    fn new(log: &'a mut R, head: &[u8; HEAD_BYTES]) -> Option<WalFrames<'a, R>> {
        let page_bytes = number(head, 8);
        let is_size = page_bytes.is_power_of_two() && (512..=65_536).contains(&page_bytes);
        if number(head, 0) & !1 != MAGIC || !is_size || number(head, 4) != FORMAT {
            return None;
        }
        let mut sum = Sum { is_big_endian: number(head, 0) & 1 == 1, one: 0, two: 0 };
        sum.add(&head[..24]);
        let salts = *head[16..].first_chunk()?;
        let frame = vec![0; FRAME_HEAD_BYTES + page_bytes as usize];
        sum.is(&head[24..]).then_some(WalFrames { log, salts, sum, is_right: true, frame })
    }

    fn page_bytes(&self) -> u64 {
        (self.frame.len() - FRAME_HEAD_BYTES) as u64
    }

    /// `None` at the end, also within a frame.
    fn next(&mut self) -> io::Result<Option<WalFrame>> {
        if !filled(self.log, &mut self.frame)? {
            return Ok(None);
        }
        let (head, page) = self.frame.split_at(FRAME_HEAD_BYTES);
        let is_of_this_log = head[8..16] == self.salts;
        self.sum.add(&head[..8]);
        self.sum.add(page);
        self.is_right &= number(head, 0) > 0 && is_of_this_log && self.sum.is(&head[16..]);
        Ok(Some(WalFrame {
            page: number(head, 0),
            pages_after: number(head, 4),
            is_of_this_log,
            is_right: self.is_right,
        }))
    }
}

/// Whether there were enough bytes.
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

/// The checksum, which runs from the head through all frames.
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
        // An uncommitted transaction does not count, although its pages are there.
        let before = log.metadata().unwrap().len();
        db.execute_batch("BEGIN; INSERT INTO x VALUES (zeroblob(90000))").unwrap();
        assert!(log.metadata().unwrap().len() > before);
        assert_eq!(committed(&log, 1_024).unwrap().unwrap(), whole);
        // Wherever the log is cut or changed, what is before that counts.
        let bytes = std::fs::read(&log).unwrap();
        let mut counts = Vec::new();
        for len in (0..before as usize).step_by(97) {
            let cut = pages_of(&mut &bytes[..len], 0).unwrap();
            let mut changed = bytes.clone();
            changed[len] ^= 4;
            assert_eq!(pages_of(&mut &changed[..], 0).unwrap(), cut, "at {len}");
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
        let found = |bytes: &[u8]| damage_of(&mut &bytes[..]).unwrap().map(|(_, at)| at);
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
