//! Points in time, as plain numbers that come in as arguments.
//!
//! Only `reactor/clock.rs` reads a clock; a simulator makes its own moments.

use std::ops::{Add, Sub};
use std::time::Duration;

/// A point on the monotonic clock, in milliseconds since the process began. Used for deadlines,
/// windows and rates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(u64);

impl Moment {
    /// The clock's start.
    pub const ZERO: Moment = Moment(0);
    /// A moment that never comes.
    pub const NEVER: Moment = Moment(u64::MAX);

    /// The moment `millis` milliseconds after the clock's start.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Moment {
        Moment(millis)
    }

    /// Milliseconds since the clock's start.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Milliseconds from `earlier` to this moment; 0 if `earlier` is later.
    #[must_use]
    pub const fn millis_since(self, earlier: Moment) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// This moment plus `millis` milliseconds.
    #[must_use]
    pub const fn plus_millis(self, millis: u64) -> Moment {
        Moment(self.0.saturating_add(millis))
    }
}

impl Add<Duration> for Moment {
    type Output = Moment;
    fn add(self, duration: Duration) -> Moment {
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        self.plus_millis(millis)
    }
}

impl Sub for Moment {
    type Output = Duration;
    fn sub(self, earlier: Moment) -> Duration {
        Duration::from_millis(self.millis_since(earlier))
    }
}

/// Wall-clock time in integer milliseconds since the Unix epoch, UTC: the `ts` of the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Whole seconds since the Unix epoch, rounded down: the unit of a JWT's `exp`.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// Whole days since `earlier`, rounded down; negative if that is later.
    #[must_use]
    pub const fn days_since(self, earlier: Timestamp) -> i64 {
        self.0.saturating_sub(earlier.0).div_euclid(24 * 60 * 60 * 1_000)
    }
}

/// The time of an input, on both clocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Now {
    /// For windows and graces.
    pub moment: Moment,
    /// For people.
    pub timestamp: Timestamp,
    /// For the age of entries: at most `timestamp`, and behind it while the wall clock is not
    /// trusted.
    pub age_by: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_saturates_instead_of_wrapping() {
        assert_eq!(Moment::NEVER.plus_millis(1), Moment::NEVER);
        assert_eq!(Moment::from_millis(3).millis_since(Moment::from_millis(5)), 0);
        assert_eq!(Moment::from_millis(5) - Moment::from_millis(3), Duration::from_millis(2));
        assert_eq!(Moment::from_millis(5) + Duration::from_millis(2), Moment::from_millis(7));
    }

    #[test]
    fn a_timestamp_before_1970_rounds_down() {
        assert_eq!(Timestamp(-1).seconds(), -1);
        assert_eq!(Timestamp(1_999).seconds(), 1);
    }
}
