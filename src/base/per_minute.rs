//! Limits how many events may happen in a minute.

use super::Moment;

const MINUTE_MS: u64 = 60_000;

/// Counts per minute, and takes the minute before as spread evenly over its time. So the last sixty
/// seconds never have twice the maximum, and no single event is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PerMinute {
    /// When the current minute began.
    since: Moment,
    count: u32,
    /// The count of the minute before.
    before: u32,
}

impl PerMinute {
    /// Counts one, if there were fewer than `max` (at least 1) in the last minute.
    ///
    /// # Errors
    /// In how many ms the next one may come. It was not counted.
    pub fn take(&mut self, now: Moment, max: u32) -> Result<(), u64> {
        let elapsed_ms = now.millis_since(self.since);
        if elapsed_ms >= 2 * MINUTE_MS || (self.count, self.before) == (0, 0) {
            *self = PerMinute { since: now, count: 0, before: 0 };
        } else if elapsed_ms >= MINUTE_MS {
            let since = self.since.plus_millis(MINUTE_MS);
            *self = PerMinute { since, count: 0, before: self.count };
        }
        let elapsed_ms = now.millis_since(self.since);
        let wait_ms = match max.saturating_sub(1).checked_sub(self.count) {
            Some(room) => fades_after_ms(self.before, room).saturating_sub(elapsed_ms),
            // No more in this minute.
            None => MINUTE_MS - elapsed_ms + fades_after_ms(self.count, max.saturating_sub(1)),
        };
        if wait_ms > 0 {
            return Err(wait_ms);
        }
        self.count = self.count.saturating_add(1);
        Ok(())
    }

    /// Whether nothing is remembered any more.
    #[must_use]
    pub fn is_at_rest(&self, now: Moment) -> bool {
        (self.count, self.before) == (0, 0) || now.millis_since(self.since) >= 2 * MINUTE_MS
    }
}

/// How far into a minute the `before` events of the previous one count as at most `room`.
fn fades_after_ms(before: u32, room: u32) -> u64 {
    if before <= room {
        return 0;
    }
    MINUTE_MS - MINUTE_MS * u64::from(room) / u64::from(before)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(millis: u64) -> Moment {
        Moment::from_millis(1_000_000 + millis)
    }

    #[test]
    fn a_first_minute_has_as_many_as_may_be_however_they_are_spread() {
        let mut count = PerMinute::default();
        for place in 0..10 {
            assert_eq!(count.take(at(place * 5_900), 10), Ok(()), "{place}");
        }
        // The next one when the minute is over and a tenth of it has faded.
        assert_eq!(count.take(at(59_000), 10), Err(1_000 + 6_000));
        assert_eq!(count.take(at(65_999), 10), Err(1));
        assert_eq!(count.take(at(66_000), 10), Ok(()));
        assert_eq!(count.take(at(66_000), 10), Err(6_000));
    }

    #[test]
    fn a_pause_makes_all_of_it_whole_again() {
        let mut count = PerMinute::default();
        for _ in 0..3 {
            assert_eq!(count.take(at(0), 3), Ok(()));
        }
        assert!(count.take(at(0), 3).is_err() && !count.is_at_rest(at(119_999)));
        assert!(count.is_at_rest(at(120_000)));
        for _ in 0..3 {
            assert_eq!(count.take(at(120_000), 3), Ok(()));
        }
        assert!(count.take(at(120_000), 3).is_err());
    }

    #[test]
    fn a_limit_that_is_lowered_holds_at_once() {
        let mut count = PerMinute::default();
        for _ in 0..10 {
            assert_eq!(count.take(at(0), 10), Ok(()));
        }
        let wait_ms = count.take(at(0), 2).unwrap_err();
        assert_eq!(count.take(at(wait_ms), 2), Ok(()));
    }

    proptest! {
        #[test]
        fn who_waits_as_told_is_let_in_and_who_does_not_is_not(
            max in 1u32..20,
            steps in prop::collection::vec(0u64..20_000, 1..200),
        ) {
            let (mut count, mut now_ms) = (PerMinute::default(), 0);
            for step in steps {
                now_ms += step;
                if let Err(wait_ms) = count.take(at(now_ms), max) {
                    let (mut early, mut late) = (count, count);
                    prop_assert!(early.take(at(now_ms + wait_ms - 1), max).is_err());
                    prop_assert_eq!(late.take(at(now_ms + wait_ms), max), Ok(()));
                }
            }
        }

        #[test]
        fn sixty_seconds_never_have_twice_as_many(
            max in 1u32..20,
            steps in prop::collection::vec(0u64..9_000, 1..300),
        ) {
            let (mut count, mut now_ms, mut taken) = (PerMinute::default(), 0, Vec::new());
            for step in steps {
                now_ms += step;
                if count.take(at(now_ms), max).is_ok() {
                    taken.push(now_ms);
                }
                let lately = taken.iter().filter(|one| now_ms - **one < MINUTE_MS).count();
                prop_assert!(lately < 2 * max as usize || max == 1 && lately == 1);
            }
        }
    }
}
