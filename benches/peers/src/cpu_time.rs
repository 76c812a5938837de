//! The processor time that others and oneself have used, from `/proc`.

use std::fs;
use std::io;
use std::time::Duration;

/// Of all threads that a process has now; exact while they wait.
pub fn of_process(id: u32) -> io::Result<Duration> {
    let mut sum = Duration::ZERO;
    for task in fs::read_dir(format!("/proc/{id}/task"))? {
        sum += parse(&fs::read_to_string(task?.path().join("schedstat"))?)?;
    }
    Ok(sum)
}

/// Of the thread that asks.
pub fn of_this_thread() -> io::Result<Duration> {
    parse(&fs::read_to_string("/proc/thread-self/schedstat")?)
}

/// The first of three numbers is what it ran, in ns.
fn parse(schedstat: &str) -> io::Result<Duration> {
    let first = schedstat.split_whitespace().next().unwrap_or_default();
    Ok(Duration::from_nanos(first.parse().map_err(io::Error::other)?))
}
