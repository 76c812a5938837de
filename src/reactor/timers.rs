//! Coarse timers for thousands of connections: a wheel of ticks.
//!
//! Setting and firing cost the same for any number of timers. An entry only schedules a check of a
//! connection; the connection's own deadline decides what is due. So the common case, moving a
//! deadline later, costs nothing.

use crate::base::{ConnId, Moment};

/// Resolution: a deadline fires at most this late (plus a turn of the loop).
const TICK_MS: u64 = 32;
/// Ticks in a turn of the wheel: later deadlines are checked once a turn.
const TICKS: u64 = 1_024;
const WORDS: usize = (TICKS / 64) as usize;

/// The timer wheel.
#[derive(Debug)]
pub(super) struct Timers {
    slots: Vec<Vec<ConnId>>,
    /// A bit for each non-empty slot, to find the next one quickly.
    occupied: [u64; WORDS],
    /// The last tick that fired.
    tick: u64,
}

impl Timers {
    pub(super) fn new() -> Timers {
        Timers { slots: (0..TICKS).map(|_| Vec::new()).collect(), occupied: [0; WORDS], tick: 0 }
    }

    /// When a check for `at` takes place: then or a little later, or after a turn of the wheel if
    /// `at` is beyond that.
    pub(super) fn check_time(&self, at: Moment) -> Moment {
        let tick = at.as_millis().div_ceil(TICK_MS).clamp(self.tick + 1, self.tick + TICKS - 1);
        Moment::from_millis(tick * TICK_MS)
    }

    /// Schedules a check of `conn` at `check`, which [`Timers::check_time`] returned.
    pub(super) fn insert(&mut self, conn: ConnId, check: Moment) {
        let slot = (check.as_millis() / TICK_MS % TICKS) as usize;
        self.slots[slot].push(conn);
        self.occupied[slot / 64] |= 1 << (slot % 64);
    }

    /// Moves the connections to be checked by `now` to `due`.
    pub(super) fn advance(&mut self, now: Moment, due: &mut Vec<ConnId>) {
        let now_tick = now.as_millis() / TICK_MS;
        // After a long sleep every slot is due, but only once.
        let first = (self.tick + 1).max(now_tick.saturating_sub(TICKS - 1));
        for tick in first..=now_tick {
            let slot = (tick % TICKS) as usize;
            if self.occupied[slot / 64] & (1 << (slot % 64)) != 0 {
                self.occupied[slot / 64] &= !(1 << (slot % 64));
                due.append(&mut std::mem::take(&mut self.slots[slot]));
            }
        }
        self.tick = self.tick.max(now_tick);
    }

    /// When [`Timers::advance`] next has work.
    pub(super) fn next(&self) -> Option<Moment> {
        let start = self.tick + 1;
        // Slots in order of time: from the one after the last fired, around the wheel.
        let mut offset = 0;
        while offset < TICKS {
            let slot = ((start + offset) % TICKS) as usize;
            let word = self.occupied[slot / 64] >> (slot % 64);
            if word != 0 {
                let tick = start + offset + u64::from(word.trailing_zeros());
                return Some(Moment::from_millis(tick * TICK_MS));
            }
            offset += 64 - (slot % 64) as u64;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn conn(index: u32) -> ConnId {
        ConnId::new(index, 0)
    }

    #[test]
    fn nothing_fires_early_within_a_turn_and_all_fire_in_time() {
        let mut timers = Timers::new();
        let mut due = Vec::new();
        let check = timers.check_time(Moment::from_millis(100));
        timers.insert(conn(1), check);
        let check = timers.check_time(Moment::from_millis(10_000));
        timers.insert(conn(2), check);
        assert_eq!(timers.next(), Some(Moment::from_millis(128)));
        timers.advance(Moment::from_millis(99), &mut due);
        assert_eq!(due, []);
        timers.advance(Moment::from_millis(128), &mut due);
        assert_eq!(due, [conn(1)]);
        timers.advance(Moment::from_millis(1_000_000), &mut due);
        assert_eq!(due, [conn(1), conn(2)]);
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn a_deadline_beyond_the_wheel_is_looked_at_once_a_turn() {
        let mut timers = Timers::new();
        let check = timers.check_time(Moment::NEVER);
        timers.insert(conn(1), check);
        assert_eq!(timers.next(), Some(Moment::from_millis((TICKS - 1) * TICK_MS)));
    }

    #[test]
    fn a_deadline_in_the_past_fires_at_the_next_tick() {
        let mut timers = Timers::new();
        timers.advance(Moment::from_millis(5_000), &mut Vec::new());
        let check = timers.check_time(Moment::from_millis(1));
        timers.insert(conn(1), check);
        let next = timers.next().unwrap();
        assert!(next.as_millis() <= 5_000 + 2 * TICK_MS);
        let mut due = Vec::new();
        timers.advance(next, &mut due);
        assert_eq!(due, [conn(1)]);
    }

    proptest! {
        #[test]
        fn next_is_when_the_first_is_due(
            start in 0u64..100_000,
            deadlines in proptest::collection::vec(0u64..30_000, 1..40),
        ) {
            let mut timers = Timers::new();
            timers.advance(Moment::from_millis(start), &mut Vec::new());
            for (i, after) in deadlines.iter().enumerate() {
                let check = timers.check_time(Moment::from_millis(start + after));
                timers.insert(conn(i as u32), check);
            }
            let mut seen = Vec::new();
            while let Some(next) = timers.next() {
                let mut due = Vec::new();
                timers.advance(next, &mut due);
                prop_assert!(!due.is_empty());
                for conn in &due {
                    let deadline = start + deadlines[conn.index()];
                    let at = next.as_millis();
                    prop_assert!(at >= deadline && at <= deadline.max(start) + 2 * TICK_MS);
                }
                seen.append(&mut due);
            }
            prop_assert_eq!(seen.len(), deadlines.len());
        }
    }
}
