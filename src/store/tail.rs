//! The tail: the newest commits of the [journal](super::journal), in a file of their own.
//!
//! A commit that changes rooms in memory alone needs no table. It is one record at the end of this
//! file, and one `fdatasync`: SQLite's part would cost more than both. Every other commit is a row
//! of the table `journal`; the numbers go through both. When all that the file has is in the tables,
//! and that on disk, it is written from its start again.
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
//! begins. So what an older tail has left in the file, or another store, is no record.

use super::disk::{self, if_there, real};
use super::integrity::{TAIL, with};
use super::rows::{damaged, meta};
use super::{loss, sums};
use crate::base::limits::{TAIL_AHEAD_BYTES, TAIL_BYTES, TAIL_BYTES_MAX};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Result};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

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

    /// The record at the start of some bytes, with its number and length.
    fn record(&self, bytes: &[u8]) -> Option<(u64, TailRecord, usize)> {
        let (head, rest) = bytes.split_at_checked(HEAD_BYTES)?;
        let number = |at: usize| head[at..].first_chunk().copied().map_or(0, u64::from_le_bytes);
        let is_record = match head.first_chunk() {
            Some([1, b'P', b'J', FOLLOWS_A_ROW]) => false,
            Some([1, b'P', b'J', FOLLOWS_A_RECORD]) => true,
            _ => return None,
        };
        let len = usize::try_from(number(0) >> 32).ok()?;
        let list = std::str::from_utf8(rest.get(..len)?).ok()?;
        let (n, after) = (number(8), JournalPlace { n: number(16), is_record });
        let is_right = self.sum(n, after, list) == number(24).cast_signed();
        let record = TailRecord { after, list: list.to_owned() };
        is_right.then(|| (n, record, (HEAD_BYTES + len).next_multiple_of(STEP_BYTES)))
    }

    /// The records in a file's bytes, by number, from the `oldest` on that is needed.
    fn records(&self, bytes: &[u8], oldest: u64) -> BTreeMap<u64, TailRecord> {
        let mut found = BTreeMap::new();
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            at += match self.record(rest) {
                Some((n, record, len)) => {
                    if n >= oldest {
                        found.insert(n, record);
                    }
                    len
                }
                // Behind a damaged record the next one is found again.
                None => STEP_BYTES,
            };
        }
        found
    }
}

/// The tail that an open database has named, and the number of the oldest commit that is needed of
/// it; `None` if it has named none.
fn named(db: &Connection) -> Result<Option<(TailName, u64)>> {
    let number = |key| {
        let number = meta(db, key)?.parse::<u64>();
        number.map_err(|_| damaged(format!("the {key} is no number")))
    };
    let begun = number(loss::TAIL_BEGUN)?;
    Ok((begun > 0)
        .then_some((TailName { epoch: meta(db, "epoch")?, begun }, number(loss::OLDEST)?)))
}

/// What is needed of a tail.
#[derive(Debug, Default)]
pub(super) struct FoundTail {
    /// The oldest commit that is needed, here or in the table.
    pub(super) oldest: u64,
    pub(super) records: BTreeMap<u64, TailRecord>,
}

/// What is needed of the tail beside a database, by the database that is `open`, which may be a copy
/// of it. Nothing if there is none.
pub(super) fn read(open: &Connection, file: &Path) -> Result<FoundTail> {
    let tail = if_there(disk::open(&with(&real(file), TAIL)));
    let Some(tail) = tail.map_err(|error| failed("read", error))? else {
        return Ok(FoundTail::default());
    };
    let Some((name, oldest)) = named(open)? else { return Ok(FoundTail::default()) };
    let mut bytes = Vec::new();
    let read = tail.take(2 * TAIL_BYTES_MAX).read_to_end(&mut bytes);
    read.map_err(|error| failed("read", error))?;
    Ok(FoundTail { oldest, records: name.records(&bytes, oldest) })
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

/// While it is there, a server does not write over what a tail has.
#[derive(Debug)]
pub(super) struct TailGuard {
    _tail: Option<File>,
}

impl TailGuard {
    /// Takes it before the database is read, so that the tail has what that does not have yet.
    pub(super) fn take(file: &Path) -> io::Result<TailGuard> {
        let tail = if_there(disk::open(&with(&real(file), TAIL)))?;
        tail.as_ref().map_or(Ok(()), File::lock_shared)?;
        Ok(TailGuard { _tail: tail })
    }
}

/// The tail of an open store.
#[derive(Debug)]
pub(super) struct TailWriter {
    path: PathBuf,
    file: File,
    name: TailName,
    /// Where the next record goes.
    at: u64,
    /// The file's length.
    len: u64,
    /// The newest record.
    newest: u64,
    /// A record, as it is written.
    bytes: Vec<u8>,
    has_failed: bool,
}

impl TailWriter {
    /// Begins the tail of a database, which notes its `name`.
    pub(super) fn begin(file: &Path, name: TailName) -> io::Result<TailWriter> {
        let path = with(&real(file), TAIL);
        let mut options = File::options();
        let tail = options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let tail = tail.open(&path)?;
        disk::sync(disk::folder_of(&path))?;
        let (_, len) = disk::identity_and_len_of(&tail)?;
        Ok(TailWriter {
            path,
            file: tail,
            name,
            at: 0,
            len,
            newest: 0,
            bytes: Vec::new(),
            has_failed: false,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// How many bytes are in use.
    pub(super) fn bytes(&self) -> u64 {
        self.at
    }

    /// Whether it takes no more: it is full, or what it wrote last may or may not be there.
    pub(super) fn is_closed(&self) -> bool {
        self.has_failed || self.at >= TAIL_BYTES_MAX
    }

    /// Whether it is to be written from its start again.
    pub(super) fn is_long(&self) -> bool {
        self.at >= TAIL_BYTES
    }

    /// The number of the newest record.
    pub(super) fn newest(&self) -> u64 {
        self.newest
    }

    /// Adds a commit. It is on disk when this returns.
    pub(super) fn append(&mut self, n: u64, after: JournalPlace, list: &str) -> Result<()> {
        self.bytes.clear();
        let kind = if after.is_record { FOLLOWS_A_RECORD } else { FOLLOWS_A_ROW };
        let len = u32::try_from(list.len());
        let len = len.map_err(|_| failed("write", io::ErrorKind::FileTooLarge.into()))?;
        self.bytes.extend([1, b'P', b'J', kind]);
        self.bytes.extend(len.to_le_bytes());
        let sum = self.name.sum(n, after, list).cast_unsigned();
        self.bytes.extend([n, after.n, sum].into_iter().flat_map(u64::to_le_bytes));
        self.bytes.extend_from_slice(list.as_bytes());
        self.bytes.resize(self.bytes.len().next_multiple_of(STEP_BYTES), 0);
        let end = self.at + self.bytes.len() as u64;
        self.lengthen(end);
        let written = self.file.write_all_at(&self.bytes, self.at);
        if let Err(error) = written.and_then(|()| self.file.sync_data()) {
            // Nobody must find it later.
            self.has_failed = self.file.write_all_at(&[0; HEAD_BYTES], self.at).is_err();
            return Err(failed("write", error));
        }
        (self.at, self.newest) = (end, n);
        self.len = self.len.max(end);
        Ok(())
    }

    /// Writes zeros ahead of a record that ends there, if it needs that, as a sync of bytes that are
    /// overwritten takes half as long as one of bytes that are appended. If that fails, the record's
    /// own error says why.
    fn lengthen(&mut self, end: u64) {
        while end > self.len {
            let until = self.len + TAIL_AHEAD_BYTES;
            for at in (self.len..until).step_by(PAGE.len()) {
                if self.file.write_all_at(&PAGE, at).is_err() {
                    return;
                }
            }
            self.len = until;
        }
    }

    /// Begins at the start of the file again. All of it must be in the tables, on disk. It goes on
    /// where it is while somebody reads it.
    pub(super) fn begin_again(&mut self) {
        if self.file.try_lock().is_ok() {
            self.at = 0;
            // To release what is held does not fail.
            let _ = self.file.unlock();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTS: [&str; 3] = [r#"["x"]"#, "[]", r#"["\u0001PJ\u0002"]"#];

    fn name() -> TailName {
        TailName { epoch: "life".into(), begun: 4 }
    }

    fn tail(folder: &Path) -> TailWriter {
        TailWriter::begin(&folder.join("x.db"), name()).unwrap()
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

    #[test]
    fn records_are_read_as_they_were_written_and_only_by_their_name() {
        let folder = tempfile::tempdir().unwrap();
        let mut tail = tail(folder.path());
        fill(&mut tail, 5);
        let found = name().records(&bytes(&tail), 0);
        let expected = LISTS.iter().zip(5..).map(|(list, n)| {
            let after = JournalPlace { n: n - 1, is_record: n > 5 };
            (n, TailRecord { after, list: (*list).to_owned() })
        });
        assert_eq!(found, expected.collect());
        assert_eq!(name().records(&bytes(&tail), 7).into_keys().collect::<Vec<_>>(), [7]);
        for other in [TailName { epoch: "other".into(), ..name() }, TailName { begun: 5, ..name() }]
        {
            assert!(other.records(&bytes(&tail), 0).is_empty());
        }
    }

    #[test]
    fn it_is_lengthened_ahead_and_what_it_was_longer_before_is_no_record() {
        let folder = tempfile::tempdir().unwrap();
        let mut tail = tail(folder.path());
        fill(&mut tail, 5);
        assert_eq!(bytes(&tail).len() as u64, TAIL_AHEAD_BYTES);
        let list = format!("[{}]", " ".repeat(TAIL_AHEAD_BYTES as usize));
        tail.append(8, JournalPlace { n: 7, is_record: true }, &list).unwrap();
        assert_eq!(bytes(&tail).len() as u64, 2 * TAIL_AHEAD_BYTES);
        tail.begin_again();
        tail.append(10, JournalPlace { n: 9, is_record: false }, "[]").unwrap();
        // Those behind it are found, and not needed.
        let found = name().records(&bytes(&tail), 10);
        assert_eq!(found.into_keys().collect::<Vec<_>>(), [10]);
        assert_eq!(name().records(&bytes(&tail), 0).into_keys().collect::<Vec<_>>(), [6, 7, 8, 10]);
    }

    #[test]
    fn it_is_not_written_from_its_start_while_somebody_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut tail = tail(folder.path());
        fill(&mut tail, 5);
        let at = tail.bytes();
        let guard = TailGuard::take(&folder.path().join("x.db")).unwrap();
        tail.begin_again();
        assert_eq!(tail.bytes(), at);
        drop(guard);
        tail.begin_again();
        assert_eq!(tail.bytes(), 0);
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
        assert!(tail.is_closed(), "what it has there could not be wiped out");
        tail.file = writable;
        tail.has_failed = false;
        tail.append(8, after, "[2]").unwrap();
        assert_eq!(name().records(&bytes(&tail), 8)[&8].list, "[2]");
        assert!(tail.bytes() > at && tail.newest() == 8);
    }

    #[test]
    fn any_bytes_are_read_and_a_record_behind_them_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let mut tail = tail(folder.path());
        tail.append(5, JournalPlace { n: 4, is_record: false }, "[]").unwrap();
        let record = bytes(&tail)[..usize::try_from(tail.bytes()).unwrap()].to_vec();
        proptest::proptest!(|(noise in proptest::collection::vec(0u8..6, 0..200))| {
            let mut all = [&[1, b'P', b'J', 1][..], &noise].concat();
            all.resize(all.len().next_multiple_of(STEP_BYTES), 0);
            all.extend_from_slice(&record);
            proptest::prop_assert_eq!(name().records(&all, 0).len(), 1);
            name().records(&all[..all.len() - 1], 0);
        });
    }
}
