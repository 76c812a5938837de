//! How many lines of a kind a log may have in a second: whoever knocks very often shall not fill a disk.

use crate::base::Moment;

/// Lines of one kind, counted by the second.
#[derive(Debug)]
pub struct LineRate {
    per_second: u32,
    second: u64,
    lines: u32,
    left_out: u64,
}

impl LineRate {
    /// So many lines a second.
    #[must_use]
    pub const fn new(per_second: u32) -> LineRate {
        LineRate { per_second, second: 0, lines: 0, left_out: 0 }
    }

    /// Counts a line. If it is to be written: how many before it were not, since the last one that was.
    pub fn take(&mut self, now: Moment) -> Option<u64> {
        let second = now.as_millis() / 1_000;
        if second != self.second {
            (self.second, self.lines) = (second, 0);
        }
        if self.lines >= self.per_second {
            self.left_out += 1;
            return None;
        }
        self.lines += 1;
        Some(std::mem::take(&mut self.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_beyond_those_of_a_second_are_counted_and_told_with_the_next() {
        let mut rate = LineRate::new(2);
        let mut at = |millis| rate.take(Moment::from_millis(millis));
        assert_eq!((at(0), at(999), at(999), at(999)), (Some(0), Some(0), None, None));
        assert_eq!((at(1_000), at(1_000), at(1_001)), (Some(2), Some(0), None));
        assert_eq!((at(9_000), at(9_000)), (Some(1), Some(0)));
    }
}
