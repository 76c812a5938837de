//! What the disk itself allows: one writer that waits for each write.

use crate::Fallible;
use parlor_peers::latency::Latency;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

/// A page of SQLite's: its write-ahead log never grows by less.
const WRITE_BYTES: usize = 4_096;

/// Appends to a file and calls `fdatasync`, over and over; how long each took.
pub(crate) fn work(directory: &Path, time: Duration) -> Fallible<Latency> {
    let path = directory.join("disk");
    let mut file = File::create(&path)?;
    let mut latency = Latency::default();
    let began = Instant::now();
    while began.elapsed() < time {
        let start = Instant::now();
        file.write_all(&[0x55; WRITE_BYTES])?;
        file.sync_data()?;
        latency.note(start.elapsed());
    }
    fs::remove_file(&path)?;
    Ok(latency)
}
