//! The only place that asks what time it is.

use super::io::Io;
use crate::base::{Moment, Timestamp};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Both clocks of the machine: the monotonic one for deadlines, the wall's for `ts` and tokens.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
    /// How long the machine had been on then, where the system tells it.
    uptime: Option<Duration>,
}

impl Clock {
    /// A clock that begins now.
    #[must_use]
    pub fn start() -> Clock {
        Clock { start: Instant::now(), uptime: uptime() }
    }

    /// Milliseconds since the clock began.
    #[must_use]
    pub fn now(&self) -> Moment {
        Moment::ZERO + self.elapsed()
    }

    /// How long ago the clock began: for what is shorter than a moment.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// How long the machine has slept since the clock began, in ms: the monotonic clock stands still then. 0 where
    /// the system does not tell it.
    #[must_use]
    pub fn slept_ms(&self) -> u64 {
        let on = uptime().zip(self.uptime).map(|(now, then)| now.saturating_sub(then));
        let slept = on.unwrap_or_default().saturating_sub(self.elapsed());
        u64::try_from(slept.as_millis()).unwrap_or(u64::MAX)
    }

    /// The wall clock's time; 0 before 1970.
    #[must_use]
    pub fn timestamp() -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
    }
}

impl Io {
    /// How long the machine has slept since the start, in ms: moments stand still then. Sleeps of less than
    /// [`CLOCK_JUMP_MS`](crate::base::limits::CLOCK_JUMP_MS) are told later.
    #[must_use]
    pub fn slept_ms(&self) -> u64 {
        self.slept_ms
    }
}

/// How long the machine has been on, its sleep included.
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
