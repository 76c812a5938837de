//! Times of day where the user is.

use crate::base::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// The user's time zone: that of `TZ`, or of the system.
#[derive(Clone, Debug)]
pub(super) struct LocalTimes(TimeZone);

impl LocalTimes {
    pub(super) fn of_system() -> LocalTimes {
        LocalTimes(TimeZone::system())
    }

    #[cfg(test)]
    pub(super) fn utc() -> LocalTimes {
        LocalTimes(TimeZone::UTC)
    }

    /// The day, and the time of day: `2026-11-26` and `09:05`. Both empty for a time that no calendar has.
    pub(super) fn day_and_time(&self, at: Timestamp) -> (String, String) {
        let Some(at) = self.civil(at) else { return (String::new(), String::new()) };
        let day = format!("{:04}-{:02}-{:02}", at.year(), at.month(), at.day());
        (day, format!("{:02}:{:02}", at.hour(), at.minute()))
    }

    /// The time of day, with seconds.
    pub(super) fn seconds(&self, at: Timestamp) -> String {
        let at = self.civil(at);
        at.map_or(String::new(), |at| {
            format!("{:02}:{:02}:{:02}", at.hour(), at.minute(), at.second())
        })
    }

    fn civil(&self, at: Timestamp) -> Option<DateTime> {
        let at = jiff::Timestamp::from_millisecond(at.0).ok()?;
        Some(self.0.to_datetime(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_that_of_the_zone() {
        let at = Timestamp(784_111_777_000);
        let words = |day: &str, time: &str| (day.to_owned(), time.to_owned());
        assert_eq!(LocalTimes::utc().day_and_time(at), words("1994-11-06", "08:49"));
        let ahead = LocalTimes(TimeZone::fixed(jiff::tz::offset(16)));
        assert_eq!(ahead.day_and_time(at), words("1994-11-07", "00:49"));
        assert_eq!(LocalTimes::utc().seconds(at), "08:49:37");
        assert_eq!(LocalTimes::utc().day_and_time(Timestamp(i64::MAX)), words("", ""));
    }
}
