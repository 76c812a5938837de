//! An open loop: when each message is meant to leave, whatever became of those before.

use std::time::Duration;

/// A rate, from a moment on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    per_second: f64,
    begun: Duration,
    done: u64,
}

impl Pace {
    pub(super) fn begin(per_second: f64, now: Duration) -> Pace {
        Pace { per_second, begun: now, done: 0 }
    }

    /// The next that is due, and when it was meant to be.
    pub(super) fn take(&mut self, now: Duration) -> Option<(u64, Duration)> {
        let due = self.due()?;
        if due > now {
            return None;
        }
        self.done += 1;
        Some((self.done - 1, due))
    }

    /// When the next is due; `None` if there is no rate.
    pub(super) fn due(&self) -> Option<Duration> {
        let after = self.done as f64 / self.per_second;
        Duration::try_from_secs_f64(after).ok().map(|after| self.begun + after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_own_moment_however_late_it_is_asked() {
        let second = Duration::from_secs(1);
        let mut pace = Pace::begin(4.0, second);
        assert_eq!(pace.take(second / 2), None);
        assert_eq!(pace.take(second), Some((0, second)));
        assert_eq!(pace.take(second), None);
        let late: Vec<_> = std::iter::from_fn(|| pace.take(2 * second)).collect();
        let due = |quarters: u32| second + second / 4 * quarters;
        assert_eq!(late, [(1, due(1)), (2, due(2)), (3, due(3)), (4, due(4))]);
        assert_eq!(pace.due(), Some(due(5)));
        assert_eq!(Pace::begin(0.0, second).due().map(|_| ()), None);
    }
}
