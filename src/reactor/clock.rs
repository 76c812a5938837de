//! The only place that asks what time it is.

use crate::base::{Moment, Timestamp};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Both clocks of the machine: the monotonic one for deadlines, the wall's for `ts` and tokens.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// A clock that begins now.
    #[must_use]
    pub fn start() -> Clock {
        Clock { start: Instant::now() }
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

    /// The wall clock's time; 0 before 1970.
    #[must_use]
    pub fn timestamp() -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
    }
}
