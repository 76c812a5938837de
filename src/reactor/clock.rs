//! The only module that reads the time.

use super::io::Io;
use crate::base::{Moment, Timestamp};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Both clocks of the machine: the monotonic one for deadlines, the wall clock for `ts` and tokens.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
    /// The machine's uptime at the start, where the system reports it.
    uptime: Option<Duration>,
}

impl Clock {
    /// A clock that starts now.
    #[must_use]
    pub fn start() -> Clock {
        Clock { start: Instant::now(), uptime: uptime() }
    }

    /// Milliseconds since the clock started.
    #[must_use]
    pub fn now(&self) -> Moment {
        Moment::ZERO + self.elapsed()
    }

    /// Time since the clock started, for intervals shorter than a [`Moment`] can express.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// How long the machine has slept since the clock started, in ms; the monotonic clock stops
    /// meanwhile. 0 where the system does not report it.
    #[must_use]
    pub fn slept_ms(&self) -> u64 {
        let on = uptime().zip(self.uptime).map(|(now, then)| now.saturating_sub(then));
        let slept = on.unwrap_or_default().saturating_sub(self.elapsed());
        u64::try_from(slept.as_millis()).unwrap_or(u64::MAX)
    }

    /// The wall clock's time; 0 before 1970.
    #[must_use]
    #[inline]
    pub fn timestamp() -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
    }
}

impl Io {
    /// How long the machine has slept since the start, in ms; moments stop meanwhile. Sleeps of
    /// less than [`CLOCK_JUMP_MS`](crate::base::limits::CLOCK_JUMP_MS) are added later.
    #[must_use]
    pub fn slept_ms(&self) -> u64 {
        self.slept_ms
    }
}

/// The machine's uptime, including sleep.
fn uptime() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/uptime").ok()?;
    let seconds = text.split_whitespace().next()?.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_that_is_awake_has_not_slept() {
        let clock = Clock::start();
        assert!(uptime().is_some_and(|on| on > Duration::ZERO));
        std::thread::sleep(Duration::from_millis(20));
        assert!(clock.slept_ms() < 1_000);
        let asleep =
            Clock { uptime: uptime().map(|on| on.saturating_sub(Duration::from_secs(1))), ..clock };
        assert!((900..2_000).contains(&asleep.slept_ms()), "{}", asleep.slept_ms());
    }
}
