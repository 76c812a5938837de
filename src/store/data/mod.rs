//! Operations on a whole store, beside serving: checking it, moving it as lines of JSON, copying it
//! while it is in use, bringing a copy back, keeping what is sound of a damaged one.
//!
//! An existing store is never written to: a new file is made beside it, and takes its place when it
//! is whole and checked.

mod as_merged;
mod atomic_file;
mod check;
mod check_log;
mod check_people;
mod check_values;
mod derived;
mod export;
mod files;
mod glance;
mod import;
mod lines;
mod progress;
mod readable_rows;
mod repair;
mod salvage;
mod salvage_people;
mod salvage_rest;
mod streams;

pub use super::loss::BrokenRule;
pub use atomic_file::AtomicFile;
pub use check::{Checked, check};
pub use export::export;
pub use files::{Restored, backup, restore};
pub use glance::{Glance, glance, holder};
pub use import::import;
pub use lines::Counts;
pub use progress::{TaskProgress, TaskWatch};
pub use repair::repair;

use super::integrity::{self, FILE_NAME, NotWhole};
use super::loss::StoreTraces;
use super::store::OpenError;
use super::tail::{FoundTail, HeldTail};
use super::{rows, schema, sums};
use rusqlite::{Connection, OpenFlags};
use std::io;
use std::path::{Path, PathBuf};

/// Pages kept in memory while a whole store is read, in KiB.
const CACHE_KIB: i64 = 16 * 1024;

/// Why an operation on a store failed.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// There is no store.
    #[error("there is no store in {}", .0.display())]
    NoStore(PathBuf),
    /// A file exists already, and is never written over.
    #[error("{} is there already, and is not written over", .0.display())]
    Exists(PathBuf),
    /// A log exists already, of a file that is gone.
    #[error("{} is left of a store whose file is gone, and would be taken for the new one's: move it away", .0.display())]
    LeftOver(PathBuf),
    /// What is to be restored is a part of the data that it would replace.
    #[error("{} is a part of the data that it would take the place of: copy it elsewhere first", .0.display())]
    Itself(PathBuf),
    /// A file or a directory could not be used.
    #[error("{}: {}", .0.display(), .1)]
    File(PathBuf, io::Error),
    /// The output could not be written.
    #[error("cannot write: {0}")]
    Output(io::Error),
    /// It could not be opened, or another process holds it.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It is damaged; the text says how.
    #[error("{} is damaged: {}", .0.display(), .1)]
    Damaged(PathBuf, String),
    /// The new store would break the rules: the first faults, and how many there are.
    #[error("nothing was changed, as the data break the rules of a store:{}", list(.0, *.1))]
    Faults(Vec<BrokenRule>, u64),
    /// Something that was acknowledged is missing: the first that is known of it, and how much
    /// there is.
    #[error("nothing is exported, as something that was acknowledged is missing. A server that starts with the data begins a new epoch, and then they can be:{}", list(.0, *.1))]
    Lost(Vec<BrokenRule>, u64),
    /// A line of an import is wrong.
    #[error("line {0}: {1}")]
    Line(u64, String),
    /// SQLite refuses.
    #[error("the database: {}", rows::what(.0))]
    Database(#[from] rusqlite::Error),
}

/// The first faults, each in a line, and how many more there are.
fn list(first: &[BrokenRule], count: u64) -> String {
    let mut lines: String = first.iter().map(|fault| format!("\n  {fault}")).collect();
    let more = count.saturating_sub(first.len() as u64);
    if more > 0 {
        lines.push_str(&format!("\n  and {more} more"));
    }
    lines
}

/// A result of this module.
pub type Result<T> = std::result::Result<T, DataError>;

/// The entries that are kept of a room's log.
const ENTRIES: &str =
    concat!("SELECT ", rows::entry_columns!(), " FROM entries WHERE room = ?1 ORDER BY seq");

/// An error of the system for a file.
fn failed(file: &Path) -> impl FnOnce(io::Error) -> DataError {
    |error| DataError::File(file.to_owned(), error)
}

/// As [`failed`], for a file that was to be new.
fn exists_or_failed(file: &Path) -> impl FnOnce(io::Error) -> DataError {
    |error| match error.kind() {
        io::ErrorKind::AlreadyExists => DataError::Exists(file.to_owned()),
        _ => DataError::File(file.to_owned(), error),
    }
}

/// The database's file: the one in a directory, otherwise the path itself.
fn database_of(path: &Path) -> Result<PathBuf> {
    let file = if path.is_dir() { path.join(FILE_NAME) } else { path.to_owned() };
    let is_there = file.is_file() || integrity::log_beside(&file).is_some();
    if is_there { Ok(file) } else { Err(DataError::NoStore(path.to_owned())) }
}

/// What is wrong with the files of a database, before SQLite sees them.
fn fault_of_files(file: &Path) -> Result<Option<NotWhole>> {
    integrity::fault(file).map_err(failed(file))
}

/// Opens a database to read it only, also while a server uses it, as it is at this moment, with what
/// its journal has.
fn open_read_only(file: &Path) -> Result<Connection> {
    let open = || open_whole(file).and_then(|db| of_a_version_to_update(&db).map(|()| db));
    let (db, tail) = at_one_moment(file, open)?;
    if schema::version(&db)? > schema::OLDEST {
        as_merged::show_merged_sound(&db, &tail)?;
    }
    Ok(db)
}

/// How often a store is opened whose tail is begun, or ended, meanwhile.
const OPENED_MAX: u32 = 4;

/// Opens a database, begins a transaction, and reads the tail that it names then.
fn at_one_moment(
    file: &Path,
    open: impl Fn() -> Result<Connection>,
) -> Result<(Connection, FoundTail)> {
    let mut opened = 0;
    loop {
        opened += 1;
        let held = HeldTail::take(file).map_err(failed(file))?;
        let db = open()?;
        db.execute_batch("BEGIN")?;
        let tail = held.read(&db)?;
        if !tail.is_missing || opened == OPENED_MAX {
            return Ok((db, tail));
        }
    }
}

/// Opens a database to read its tables only, also while a server uses it.
fn open_whole(file: &Path) -> Result<Connection> {
    if let Some(fault) = fault_of_files(file)? {
        return Err(DataError::Damaged(file.to_owned(), fault.to_string()));
    }
    let seen = StoreTraces::read(file).map_err(failed(file))?;
    let db = open_untouched(file)?;
    set_up(&db)?;
    refuse_mixture(&seen, &db, file)?;
    Ok(db)
}

/// A file and a log of different times are not read together.
fn refuse_mixture(seen: &StoreTraces, db: &Connection, file: &Path) -> Result<()> {
    if !(schema::OLDEST..=schema::VERSION).contains(&schema::version(db)?) {
        return Ok(());
    }
    match seen.mixture(db, file)? {
        Some(fault) => Err(DataError::Damaged(file.to_owned(), fault.to_string())),
        None => Ok(()),
    }
}

/// Opens a database without reading anything of it.
fn open_untouched(file: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Ok(Connection::open_with_flags(file, flags)?)
}

fn set_up(db: &Connection) -> rusqlite::Result<()> {
    sums::add_row_sum(db)?;
    db.pragma_update(None, "cache_size", -CACHE_KIB)?;
    schema::keep_statements(db);
    Ok(())
}

/// Opens a database of this version to read it only, as it is at this moment; one that cannot be
/// read is damaged.
fn open_sound(file: &Path) -> Result<Connection> {
    let opened = open_read_only(file).and_then(|db| of_this_version(&db).map(|()| db));
    opened.map_err(|error| damaged(file, error))
}

/// Makes SQLite's errors that mean damage [`DataError::Damaged`].
fn damaged(file: &Path, error: DataError) -> DataError {
    match error {
        DataError::Database(error) if rows::is_damage(&error) => {
            DataError::Damaged(file.to_owned(), rows::what(&error))
        }
        other => other,
    }
}

/// As [`of_this_version`], or of one that a start updates.
fn of_a_version_to_update(db: &Connection) -> Result<()> {
    match schema::version(db)? {
        schema::OLDEST..schema::VERSION => Ok(()),
        _ => of_this_version(db),
    }
}

/// Checks that the database is of the version that this program knows.
fn of_this_version(db: &Connection) -> Result<()> {
    match schema::version(db)? {
        schema::VERSION => Ok(()),
        version if version > schema::VERSION => Err(OpenError::Newer { version }.into()),
        version => Err(OpenError::Older { version }.into()),
    }
}
