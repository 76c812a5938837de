//! Dates in UTC, as HTTP (RFC 9110 §5.6.7) and RFC 3339 write them.

use super::Timestamp;

const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
/// Days from March 1st of the year 0 to January 1st of 1970, in the Gregorian calendar.
const EPOCH_DAY: i64 = 719_468;
/// Days of 400 years, after which the calendar repeats.
const CYCLE_DAYS: i64 = 146_097;

/// A time of the calendar.
struct Calendar {
    /// Index in [`WEEKDAYS`].
    weekday: i64,
    year: i64,
    /// Index in [`MONTHS`].
    month: i64,
    /// From 1 on.
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
}

impl Calendar {
    fn at(seconds: i64) -> Calendar {
        let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        // A year that begins in March has its leap day at the end.
        let day = days + EPOCH_DAY;
        let (cycle, of_cycle) = (day.div_euclid(CYCLE_DAYS), day.rem_euclid(CYCLE_DAYS));
        let year = (of_cycle - of_cycle / 1_460 + of_cycle / 36_524 - of_cycle / 146_096) / 365;
        let of_year = of_cycle - (365 * year + year / 4 - year / 100);
        let from_march = (5 * of_year + 2) / 153;
        let month = (from_march + 2) % 12;
        Calendar {
            weekday: days.rem_euclid(7),
            year: cycle * 400 + year + i64::from(month < 2),
            month,
            day: of_year - (153 * from_march + 2) / 5 + 1,
            hour: second / 3_600,
            minute: second / 60 % 60,
            second: second % 60,
        }
    }
}

/// `at` as `Sun, 06 Nov 1994 08:49:37 GMT`.
#[must_use]
pub fn http_date(at: Timestamp) -> String {
    let Calendar { weekday, year, month, day, hour, minute, second } = Calendar::at(at.seconds());
    // These indexes are always within their tables.
    let weekday = WEEKDAYS.get(weekday as usize).copied().unwrap_or_default();
    let month = MONTHS.get(month as usize).copied().unwrap_or_default();
    format!("{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
}

/// `at` as `1994-11-06T08:49:37.000Z`. RFC 3339 has no years beyond 9999.
#[must_use]
pub fn rfc3339(at: Timestamp) -> String {
    let Calendar { year, month, day, hour, minute, second, .. } = Calendar::at(at.seconds());
    let (month, millis) = (month + 1, at.0.rem_euclid(1_000));
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_as_rfc_9110_has_them() {
        for (seconds, expected) in [
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (-1, "Wed, 31 Dec 1969 23:59:59 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (951_868_799, "Tue, 29 Feb 2000 23:59:59 GMT"),
            (951_868_800, "Wed, 01 Mar 2000 00:00:00 GMT"),
            (1_709_164_800, "Thu, 29 Feb 2024 00:00:00 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
            (4_107_456_000, "Sun, 28 Feb 2100 00:00:00 GMT"),
            (1_798_761_599, "Thu, 31 Dec 2026 23:59:59 GMT"),
        ] {
            assert_eq!(http_date(Timestamp(seconds * 1_000)), expected);
        }
    }

    #[test]
    fn dates_are_written_as_rfc_3339_has_them() {
        for (millis, expected) in [
            (784_111_777_000, "1994-11-06T08:49:37.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (951_782_400_007, "2000-02-29T00:00:00.007Z"),
            (1_798_761_599_120, "2026-12-31T23:59:59.120Z"),
            (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(rfc3339(Timestamp(millis)), expected);
        }
    }
}
