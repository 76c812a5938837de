//! How far the wall clock is trusted.
//!
//! People and programs set it, sometimes wrongly. Entries kept by age would then be lost for ever,
//! and others dated into the future. So it is compared with the monotonic clock, and a jump is
//! trusted only after it has held for [`CLOCK_HELD_MS`]. Tokens use the system's time directly.

use super::limits::{CLOCK_HELD_MS, CLOCK_JUMP_MS};
use super::{Moment, Timestamp};

/// Both clocks of a server, as observed.
#[derive(Debug, Default)]
pub struct WallClock {
    /// The time of the newest entry at the server's start, if there was one.
    newest: Option<Timestamp>,
    seen: Option<ClockOffsets>,
}

/// Offsets: wall-clock time less the moment.
#[derive(Debug)]
struct ClockOffsets {
    /// At the last look.
    last: i64,
    /// For dating entries.
    believed: i64,
    /// For the age of entries. Until a clock was trusted, all that is known is that the newest
    /// entry existed at the server's start.
    ages: i64,
    /// Since when the clock has not jumped.
    since: Moment,
}

/// A change of the wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockChange {
    /// At the start it is this far behind the newest entry, in ms.
    Behind(i64),
    /// It has jumped by this much, in ms; negative for backward.
    Jumped(i64),
    /// It is now trusted, and differs by this much from before, in ms.
    Believed(i64),
}

impl WallClock {
    /// For a server that starts; `newest` is when its store's newest entry was committed.
    #[must_use]
    pub fn new(newest: Option<Timestamp>) -> WallClock {
        WallClock { newest, seen: None }
    }

    /// Looks at the clocks. The moment must be from a clock that also runs while the machine
    /// sleeps.
    pub fn observe(&mut self, moment: Moment, wall: Timestamp) -> Option<ClockChange> {
        let now = offset(moment, wall);
        let Some(seen) = &mut self.seen else {
            let of_newest = self.newest.map_or(now, |newest| offset(moment, newest));
            let ages = now.min(of_newest);
            self.seen = Some(ClockOffsets { last: now, believed: now, ages, since: moment });
            let behind = of_newest.saturating_sub(now);
            return (behind > CLOCK_JUMP_MS).then_some(ClockChange::Behind(behind));
        };
        let by = now.saturating_sub(std::mem::replace(&mut seen.last, now));
        let has_jumped = by.saturating_abs() > CLOCK_JUMP_MS;
        if has_jumped {
            seen.since = moment;
        }
        let ahead = now.saturating_sub(seen.believed);
        if ahead.saturating_abs() <= CLOCK_JUMP_MS {
            // Small adjustments happen; both offsets follow.
            seen.believed = now;
            seen.ages = seen.ages.saturating_add(ahead).min(now);
        }
        if has_jumped {
            return Some(ClockChange::Jumped(by));
        }
        if moment.millis_since(seen.since) < CLOCK_HELD_MS {
            return None;
        }
        let ahead = now.saturating_sub(seen.believed);
        (seen.believed, seen.ages) = (now, now);
        (ahead != 0).then_some(ClockChange::Believed(ahead))
    }

    /// The time of an entry that is made now: no later than the system's time, and than the trusted
    /// one.
    #[must_use]
    pub fn date(&self, moment: Moment, wall: Timestamp) -> Timestamp {
        let Some(seen) = &self.seen else { return wall };
        wall.min(at(moment, seen.believed))
    }

    /// The time for the age of entries: nothing is older than this less its own time.
    #[must_use]
    pub fn age_by(&self, moment: Moment, wall: Timestamp) -> Timestamp {
        let Some(seen) = &self.seen else { return wall };
        wall.min(at(moment, seen.ages))
    }
}

fn offset(moment: Moment, wall: Timestamp) -> i64 {
    wall.0.saturating_sub(i64::try_from(moment.as_millis()).unwrap_or(i64::MAX))
}

fn at(moment: Moment, offset: i64) -> Timestamp {
    Timestamp(offset.saturating_add(i64::try_from(moment.as_millis()).unwrap_or(i64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000;
    const START: i64 = 20_000 * DAY;
    const HELD: u64 = CLOCK_HELD_MS;

    /// A clock that has been trusted, and when.
    fn believed() -> (WallClock, u64) {
        let mut clock = WallClock::new(None);
        assert_eq!(observe(&mut clock, 5, START + 5), None);
        assert_eq!(observe(&mut clock, HELD + 5, START + HELD as i64 + 5), None);
        (clock, HELD + 5)
    }

    fn observe(clock: &mut WallClock, ms: u64, wall: i64) -> Option<ClockChange> {
        clock.observe(Moment::from_millis(ms), Timestamp(wall))
    }

    /// What entries are dated by, and what they age by, from the start.
    fn by(clock: &WallClock, ms: u64, wall: i64) -> (i64, i64) {
        let (moment, wall) = (Moment::from_millis(ms), Timestamp(wall));
        (clock.date(moment, wall).0 - START, clock.age_by(moment, wall).0 - START)
    }

    #[test]
    fn a_jump_forward_is_believed_when_it_has_held() {
        let (mut clock, ms) = believed();
        let wall = START + ms as i64 + 40 * DAY;
        assert_eq!(observe(&mut clock, ms, wall), Some(ClockChange::Jumped(40 * DAY)));
        let here = ms as i64;
        assert_eq!(by(&clock, ms, wall), (here, here));
        assert_eq!(observe(&mut clock, ms + HELD - 1, wall + HELD as i64 - 1), None);
        let later = here + HELD as i64 - 1;
        assert_eq!(by(&clock, ms + HELD - 1, wall + HELD as i64 - 1), (later, later));
        let change = observe(&mut clock, ms + HELD, wall + HELD as i64);
        assert_eq!(change, Some(ClockChange::Believed(40 * DAY)));
        let now = later + 1 + 40 * DAY;
        assert_eq!(by(&clock, ms + HELD, wall + HELD as i64), (now, now));
    }

    #[test]
    fn one_that_comes_back_changes_nothing_however_often() {
        let (mut clock, mut ms) = believed();
        for _ in 0..100 {
            for far in [40 * DAY, -40 * DAY] {
                let wall = START + ms as i64;
                assert_eq!(observe(&mut clock, ms, wall + far), Some(ClockChange::Jumped(far)));
                let (date, age) = by(&clock, ms + 4_000, wall + far + 4_000);
                let expected = ms as i64 + 4_000 + far.min(0);
                assert_eq!((date, age), (expected, expected));
                ms += HELD / 2;
                let wall = START + ms as i64;
                assert_eq!(observe(&mut clock, ms, wall), Some(ClockChange::Jumped(-far)));
                assert_eq!(by(&clock, ms, wall), (ms as i64, ms as i64));
            }
        }
    }

    #[test]
    fn a_jump_back_dates_by_the_system_and_is_believed_when_it_has_held() {
        let (mut clock, ms) = believed();
        let wall = START + ms as i64 - DAY;
        assert_eq!(observe(&mut clock, ms, wall), Some(ClockChange::Jumped(-DAY)));
        assert_eq!(by(&clock, ms, wall), (ms as i64 - DAY, ms as i64 - DAY));
        let change = observe(&mut clock, ms + HELD, wall + HELD as i64);
        assert_eq!(change, Some(ClockChange::Believed(-DAY)));
    }

    #[test]
    fn a_clock_that_is_adjusted_by_a_little_is_followed() {
        let (mut clock, ms) = believed();
        for step in [1, CLOCK_JUMP_MS, -1, -CLOCK_JUMP_MS] {
            let wall = START + ms as i64 + step.max(0);
            assert_eq!(observe(&mut clock, ms, wall), None, "{step}");
            assert_eq!(by(&clock, ms, wall).0, wall - START);
            assert_eq!(by(&clock, ms, wall).1, wall - START);
        }
        let wall = START + ms as i64 + CLOCK_JUMP_MS + 1;
        let change = observe(&mut clock, ms, wall);
        assert_eq!(change, Some(ClockChange::Jumped(CLOCK_JUMP_MS + 1)));
    }

    #[test]
    fn after_a_start_entries_age_from_the_newest_one_until_the_clock_has_held() {
        let mut clock = WallClock::new(Some(Timestamp(START - 30 * DAY)));
        assert_eq!(observe(&mut clock, 7, START), None);
        assert_eq!(by(&clock, 7, START), (0, -30 * DAY));
        assert_eq!(by(&clock, 1_007, START + 1_000), (1_000, 1_000 - 30 * DAY));
        // The clock was corrected meanwhile: no entry is dated later than it says.
        let wall = START - 20 * DAY;
        assert_eq!(observe(&mut clock, 1_007, wall), Some(ClockChange::Jumped(-20 * DAY - 1_000)));
        assert_eq!(by(&clock, 1_007, wall), (-20 * DAY, 1_000 - 30 * DAY));
        let change = observe(&mut clock, HELD + 1_007, wall + HELD as i64);
        assert_eq!(change, Some(ClockChange::Believed(-20 * DAY - 1_000)));
        let now = HELD as i64 - 20 * DAY;
        assert_eq!(by(&clock, HELD + 1_007, wall + HELD as i64), (now, now));
    }

    #[test]
    fn a_start_before_the_newest_entry_is_told() {
        let mut clock = WallClock::new(Some(Timestamp(START + DAY)));
        assert_eq!(observe(&mut clock, 0, START), Some(ClockChange::Behind(DAY)));
        assert_eq!(by(&clock, 0, START), (0, 0));
        let mut clock = WallClock::new(Some(Timestamp(START + CLOCK_JUMP_MS)));
        assert_eq!(observe(&mut clock, 0, START), None);
    }
}
