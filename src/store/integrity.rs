//! Whether the files of a store are whole and belong together, before SQLite sees them.
//!
//! SQLite takes any log beside a file for that file's own, deletes it if the file is empty, and
//! does not notice that the end of a file with a log is missing. So this is checked first, without
//! SQLite, and nothing is changed by it.

use super::disk::{identity, if_there, real};
use super::wal::{self, number};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The end of the name of a write-ahead log.
pub(super) const WAL: &str = "-wal";
/// The end of the name of a rollback journal, which SQLite has while it switches a file to a
/// write-ahead log.
pub(super) const JOURNAL: &str = "-journal";
/// The end of the name of the write-ahead log's index, which is made anew when it is missing.
pub(super) const INDEX: &str = "-shm";
/// The end of the name of the [tail](super::tail), which is no file of SQLite's.
pub(super) const TAIL: &str = "-tail";
/// SQLite's locks are on this byte of a file; the page with it is never written.
const LOCKS_AT: u64 = 0x4000_0000;

/// Why files are not a whole store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotWhole {
    /// The file is missing, and its log exists.
    #[error("it is not there, and its log {} is", name_of(.0))]
    Gone(PathBuf),
    /// The file is empty, and its log is not.
    #[error("it is empty, and its log {} is not", name_of(.0))]
    Empty(PathBuf),
    /// The log is of another file.
    #[error("{} beside it is the log of another file, and must be moved away", name_of(.0))]
    NotItsLog(PathBuf),
    /// The log is older than the file.
    #[error("{} beside it is an older log than its own, and must be moved away", name_of(.0))]
    OlderLog(PathBuf),
    /// The file is older than the beginning of the log.
    #[error("it is older than {} beside it, which does not go on where it ends and must be moved away", name_of(.0))]
    OlderFile(PathBuf),
    /// The last bytes of the file are missing.
    #[error("its last {0} bytes are not there")]
    Cut(u64),
}

fn name_of(log: &Path) -> impl std::fmt::Display {
    log.file_name().unwrap_or(log.as_os_str()).display()
}

/// The name of a file that belongs to `file`.
pub(super) fn with(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// A log or a tail that is not empty, beside a file or where that was.
pub(super) fn log_beside(file: &Path) -> Option<PathBuf> {
    let has_something = |log: &PathBuf| log.metadata().is_ok_and(|log| log.len() > 0);
    [WAL, JOURNAL, TAIL].into_iter().map(|ending| with(file, ending)).find(has_something)
}

/// What is wrong with a database's files; `None` if nothing is, or there are none. A server may use
/// them meanwhile.
pub(super) fn fault(file: &Path) -> io::Result<Option<NotWhole>> {
    let file = &real(file);
    if Served::is(file) {
        return Ok(None);
    }
    // The order matters: what a server moves from the log to the file meanwhile is found in one of
    // them.
    let head = DatabaseHeader::read(file)?;
    let bytes_before = bytes_of(file)?.unwrap_or(0);
    let log = with(file, WAL);
    let committed = wal::committed(&log, bytes_before)?;
    let bytes = match (bytes_of(file)?, log_beside(file)) {
        (None, log) => return Ok(log.map(NotWhole::Gone)),
        // While a file is being made, it is empty and has a journal.
        (Some(0), Some(found)) if found != with(file, JOURNAL) => {
            return Ok(Some(NotWhole::Empty(found)));
        }
        (Some(0), _) => return Ok(None),
        (Some(bytes), _) => bytes,
    };
    let needed = match (committed, head) {
        // Checked again, because a server may have given it its first log meanwhile.
        (Some(_), Some(head)) if head.never_had_a_log && is_without_log(file)? => {
            return Ok(Some(NotWhole::NotItsLog(log)));
        }
        // What the log has need not be in the file, because a kill may come when it is half moved
        // there.
        (Some(log), _) => {
            let is_needed = |page: &u32| {
                let holds_locks = u64::from(*page) == LOCKS_AT / log.page_bytes + 1;
                !log.beyond.contains(page) && !holds_locks
            };
            let in_file = bytes / log.page_bytes;
            let mut beyond = (1..=log.pages).rev().take_while(|page| u64::from(*page) > in_file);
            beyond.find(is_needed).map_or(0, u64::from) * log.page_bytes
        }
        (None, Some(head)) => head.file_bytes,
        (None, None) => 0,
    };
    Ok(needed.checked_sub(bytes).filter(|missing| *missing > 0).map(NotWhole::Cut))
}

/// Where the log beside a file is damaged, so that what was committed behind that is lost.
pub(super) fn log_damaged_at(file: &Path) -> io::Result<Option<u64>> {
    let file = &real(file);
    if Served::is(file) {
        return Ok(None);
    }
    wal::damaged_at(&with(file, WAL))
}

/// Finishes what a kill interrupted when a new store had just replaced an old one: removes the old
/// one's log, which already has its other name, from beside the new file.
pub(super) fn settle(file: &Path) -> io::Result<()> {
    let Some(NotWhole::NotItsLog(log)) = fault(file)? else { return Ok(()) };
    let (Some(folder), Some(own)) = (log.parent(), identity(&log)) else { return Ok(()) };
    for entry in folder.read_dir()? {
        let other = entry?.path();
        if other != log && identity(&other) == Some(own) {
            return std::fs::remove_file(&log);
        }
    }
    Ok(())
}

fn is_without_log(file: &Path) -> io::Result<bool> {
    Ok(DatabaseHeader::read(file)?.is_some_and(|head| head.never_had_a_log))
}

fn bytes_of(file: &Path) -> io::Result<Option<u64>> {
    Ok(if_there(file.metadata())?.map(|file| file.len()))
}

/// What the head of a database says (SQLite's file format, 1.3).
struct DatabaseHeader {
    /// Nothing was ever written to it through a write-ahead log.
    never_had_a_log: bool,
    /// The length of the file when the head was written; 0 if it does not say.
    file_bytes: u64,
}

impl DatabaseHeader {
    /// `None` if there is no head.
    fn read(file: &Path) -> io::Result<Option<DatabaseHeader>> {
        if !if_there(file.metadata())?.is_some_and(|file| file.is_file()) {
            return Ok(None);
        }
        let mut head = Vec::new();
        File::open(file)?.take(100).read_to_end(&mut head)?;
        if head.len() < 100 || !head.starts_with(b"SQLite format 3\0") {
            return Ok(None);
        }
        let page_bytes = match number(&head, 16) >> 16 {
            1 => 65_536,
            bytes => u64::from(bytes),
        };
        // The number of pages is right if these two are equal.
        let is_right = number(&head, 24) == number(&head, 92);
        let pages = if is_right { u64::from(number(&head, 28)) } else { 0 };
        Ok(Some(DatabaseHeader {
            never_had_a_log: head[18..20] == [1, 1],
            file_bytes: pages * page_bytes,
        }))
    }
}

/// Files that a server in this process has open.
static SERVED: Mutex<Vec<(u64, u64)>> = Mutex::new(Vec::new());

/// A file that a server in this process has checked and opened. It must not be opened beside
/// SQLite: to close it again would release SQLite's locks on it, which belong to the process.
#[derive(Debug)]
pub(super) struct Served(Option<(u64, u64)>);

impl Served {
    pub(super) fn new(file: &Path) -> Served {
        let served = identity(file);
        SERVED.lock().unwrap_or_else(PoisonError::into_inner).extend(served);
        Served(served)
    }

    fn is(file: &Path) -> bool {
        let served = SERVED.lock().unwrap_or_else(PoisonError::into_inner);
        identity(file).is_some_and(|file| served.contains(&file))
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let mut served = SERVED.lock().unwrap_or_else(PoisonError::into_inner);
        let place = served.iter().position(|file| Some(*file) == self.0);
        place.map(|place| served.swap_remove(place));
    }
}

/// The database's name in a data directory.
pub(crate) const FILE_NAME: &str = "parlor.db";
