//! Limits how many lines of a kind a log gets per second, so that a client that connects very often
//! cannot fill the disk.

use crate::base::Moment;
use std::sync::{Mutex, PoisonError};

/// Counts lines of one kind per second, of all threads that have it.
#[derive(Debug)]
pub struct LineRate {
    per_second: u32,
    counts: Mutex<LineCounts>,
}

#[derive(Debug)]
struct LineCounts {
    second: u64,
    lines: u32,
    left_out: u64,
}

impl LineRate {
    /// Allows `per_second` lines a second.
    #[must_use]
    pub const fn new(per_second: u32) -> LineRate {
        let counts = LineCounts { second: 0, lines: 0, left_out: 0 };
        LineRate { per_second, counts: Mutex::new(counts) }
    }

    /// Counts a line. If it may be written, returns how many were left out since the last one;
    /// otherwise `None`.
    pub fn take(&self, now: Moment) -> Option<u64> {
        let second = now.as_millis() / 1_000;
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        // Another thread's turn may have begun earlier.
        if second > counts.second {
            (counts.second, counts.lines) = (second, 0);
        }
        if counts.lines >= self.per_second {
            counts.left_out += 1;
            return None;
        }
        counts.lines += 1;
        Some(std::mem::take(&mut counts.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_beyond_those_of_a_second_are_counted_and_told_with_the_next() {
        let rate = LineRate::new(2);
        let at = |millis| rate.take(Moment::from_millis(millis));
        assert_eq!((at(0), at(999), at(999), at(999)), (Some(0), Some(0), None, None));
        assert_eq!((at(1_000), at(1_000), at(1_001)), (Some(2), Some(0), None));
        assert_eq!((at(9_000), at(9_000)), (Some(1), Some(0)));
    }
}
