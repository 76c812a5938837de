//! What time it is for entries, beside what the system says: see [`WallClock`](crate::base::WallClock).

use super::chat::Chat;
use crate::base::{ClockChange, Now};
use crate::store::Backend;
use crate::web::Net;

impl<S: Backend> Chat<S> {
    /// The time of what is decided now. Says so when the wall clock has jumped.
    pub(super) fn look_at_clocks(&mut self, net: &Net<'_>) -> Now {
        let (moment, wall) = (net.now(), net.timestamp());
        // Asleep, too, time goes on.
        let since_start = moment.plus_millis(net.slept_ms());
        match self.wall_clock.look(since_start, wall) {
            None => {}
            Some(ClockChange::Behind(by_ms)) => log::warn!(
                by_ms; "the system's clock is behind the newest entry: times stand still until it has caught up"
            ),
            Some(ClockChange::Jumped(by_ms)) => {
                self.counters.clock_jumped(by_ms);
                log::warn!(
                    by_ms; "the system's clock has jumped: nothing is removed by age for that, and no entry is dated \
                    ahead, until it has held for an hour"
                );
            }
            Some(ClockChange::Believed(by_ms)) => {
                log::warn!(by_ms; "the system's clock has held for an hour, and entries go by it");
            }
        }
        Now {
            moment,
            timestamp: self.wall_clock.date(since_start, wall),
            age_by: self.wall_clock.age_by(since_start, wall),
        }
    }
}
