//! The rate at which a subscriber receives events.

use crate::base::Moment;

/// The wake-up may be this late: one tick of the reactor's timers.
const LATE_US: u64 = 32_000;

/// At most this many events a second, evenly spaced. The next tick makes up for a late one, but not
/// for a pause.
#[derive(Clone, Copy, Debug)]
pub(super) struct EventRate {
    interval_us: u64,
    next_us: u64,
}

impl EventRate {
    /// `per_second` is at least 1.
    pub(super) fn new(per_second: u32) -> EventRate {
        EventRate { interval_us: (1_000_000 / u64::from(per_second.max(1))).max(1), next_us: 0 }
    }

    pub(super) fn interval_us(self) -> u64 {
        self.interval_us
    }

    /// When the next event may go, or a moment that has passed.
    pub(super) fn next(&self) -> Moment {
        Moment::from_millis(self.next_us.div_ceil(1_000))
    }

    pub(super) fn is_due(&self, now: Moment) -> bool {
        self.next() <= now
    }

    /// Counts an event that goes now.
    pub(super) fn take(&mut self, now: Moment) {
        let now_us = now.as_millis().saturating_mul(1_000);
        let earliest = now_us.saturating_sub(self.interval_us.min(LATE_US));
        self.next_us = self.next_us.max(earliest) + self.interval_us;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thirty_a_second_are_thirty_although_ticks_come_late() {
        let mut rate = EventRate::new(30);
        let mut gone = 0;
        // Ticks of 32 ms, as in the reactor's wheel.
        for now in (0..10_000).step_by(32).map(Moment::from_millis) {
            if rate.is_due(now) {
                rate.take(now);
                gone += 1;
            }
        }
        assert!((299..=302).contains(&gone), "{gone} in ten seconds");
    }

    #[test]
    fn a_pause_is_not_saved_up() {
        for (per_second, within_ms) in [(1, 960), (2, 460), (10, 60)] {
            let mut rate = EventRate::new(per_second);
            let mut times = Vec::new();
            for now in (60_000..62_000).map(Moment::from_millis) {
                if rate.is_due(now) {
                    rate.take(now);
                    times.push(now);
                }
            }
            let closest = times.windows(2).map(|two| two[1].millis_since(two[0])).min();
            assert!(
                closest >= Some(within_ms),
                "{closest:?} ms between two of {per_second} a second"
            );
        }
    }
}
