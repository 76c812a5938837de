//! Whether the end of a file is missing.

use super::rows;
use rusqlite::Connection;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// How many bytes a file has fewer than SQLite wrote; None, too, while there is a write-ahead log,
/// as what is in that need not be in the file yet.
pub(super) fn missing_of(db: &Connection, file: &Path) -> rusqlite::Result<Option<u64>> {
    let mut log = file.as_os_str().to_owned();
    log.push("-wal");
    if Path::new(&log).metadata().is_ok_and(|log| log.len() > 0) {
        return Ok(None);
    }
    let pages: u64 = db.query_row("PRAGMA page_count", (), |row| row.get::<_, u32>(0))?.into();
    let page_bytes: u64 = db.query_row("PRAGMA page_size", (), |row| row.get::<_, u32>(0))?.into();
    // One that cannot be looked at now could be opened.
    let Ok(found) = file.metadata().map(|file| file.len()) else { return Ok(None) };
    Ok((pages * page_bytes).checked_sub(found).filter(|missing| *missing > 0))
}

/// What an error says of a damaged file: of one that SQLite does not read as it is too short, how
/// much is missing.
pub(super) fn what(file: &Path, error: &rusqlite::Error) -> String {
    match missing_by_its_head(file) {
        Some(missing) => format!("its last {missing} bytes are not there"),
        None => rows::what(error),
    }
}

/// By the head of the file (SQLite's file format, 1.3): its pages, their size, and two counters
/// that are equal where these are right.
fn missing_by_its_head(file: &Path) -> Option<u64> {
    let mut head = [0; 100];
    let mut file = File::open(file).ok()?;
    file.read_exact(&mut head).ok()?;
    let number = |place: usize| {
        let bytes = head.get(place..)?.first_chunk::<4>()?;
        Some(u64::from(u32::from_be_bytes(*bytes)))
    };
    let page_bytes = match u16::from_be_bytes(*head.get(16..)?.first_chunk::<2>()?) {
        1 => 65_536,
        bytes => u64::from(bytes),
    };
    let is_right = number(24)? == number(92)?;
    let missing = (number(28)? * page_bytes).checked_sub(file.metadata().ok()?.len());
    missing.filter(|missing| is_right && *missing > 0)
}
