//! What can be told of a store in a moment: who holds it, whether its files are whole and complete,
//! how new it is. It reads no log, and leaves no trace: no lock, and no file of SQLite's.

use super::as_merged::show_merged_sound;
use super::check::log_damaged_at;
use super::{Result, at_one_moment, database_of, failed, fault_of_files, of_this_version};
use crate::base::Timestamp;
use crate::store::integrity::{TAIL, log_beside, with};
use crate::store::lock;
use crate::store::loss::{StoreTraces, open_by_uri};
use crate::store::{rows, sums};
use rusqlite::Connection;
use std::path::Path;

/// What a glance has shown of a store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Glance {
    /// What is wrong with its files.
    pub faults: Vec<String>,
    /// The time of the newest entry or event; `None` if there is none, or if it cannot be read
    /// without a trace.
    pub newest: Option<Timestamp>,
    /// Whether a server was killed while it had the data, so that the next one reads its log.
    pub was_killed: bool,
}

/// The process that has the data in a directory, as far as the system tells it.
#[must_use]
pub fn holder(directory: &Path) -> Option<u32> {
    lock::holder_of(directory)
}

/// Looks at the store in a directory, also while a server uses it.
///
/// # Errors
/// [`DataError`](super::DataError): there is no store, it is of another version, or it cannot be
/// read for another reason than damage; damage is a fault.
pub fn glance(directory: &Path) -> Result<Glance> {
    let file = database_of(directory)?;
    let mut seen = Glance::default();
    if let Some(fault) = fault_of_files(&file)? {
        seen.faults.push(fault.to_string());
        return Ok(seen);
    }
    if let Some(at) = log_damaged_at(&file)? {
        seen.faults.push(format!("the write-ahead log is damaged at byte {at}"));
    }
    let is_served = holder(directory).is_some();
    // After an orderly end that could not merge there is a tail alone.
    let has_log = log_beside(&file).is_some_and(|log| log != with(&file, TAIL));
    seen.was_killed = has_log && !is_served;
    // SQLite would make the log's index anew, or leave an empty log behind.
    let how = if is_served || has_log { "readonly_shm=1" } else { "immutable=1" };
    match read(&file, how) {
        Ok((loss, newest)) => {
            seen.faults.extend(loss);
            seen.newest = newest;
        }
        Err(super::DataError::Database(error)) if rows::is_damage(&error) => {
            seen.faults.push(rows::what(&error));
        }
        // Without an index beside it the log of a killed server cannot be read.
        Err(super::DataError::Database(_)) if has_log => {}
        Err(error) => return Err(error),
    }
    Ok(seen)
}

fn read(file: &Path, how: &str) -> Result<(Option<String>, Option<Timestamp>)> {
    let lost = || -> Result<(Option<String>, Connection)> {
        let traces = StoreTraces::read(file).map_err(failed(file))?;
        let (db, tail) = at_one_moment(file, || {
            let db = open_by_uri(file, how)?;
            sums::add_row_sum(&db)?;
            of_this_version(&db)?;
            Ok(db)
        })?;
        show_merged_sound(&db, &tail)?;
        let mixture = traces.mixture(&db, file)?.map(|fault| fault.to_string());
        let loss = traces.loss(&db, &tail)?.map(|loss| loss.to_string());
        Ok((mixture.or(loss), db))
    };
    let (mut loss, mut db) = lost()?;
    if loss.is_some() {
        // A server may have begun between the two reads.
        (loss, db) = lost()?;
    }
    let sql = "SELECT max(ts) FROM \
         (SELECT max(ts) AS ts FROM rooms UNION ALL SELECT max(ts) FROM streams)";
    let newest: Option<i64> = db.query_row(sql, (), |row| row.get(0))?;
    Ok((loss, newest.filter(|ts| *ts > 0).map(Timestamp)))
}
