//! How long to wait before a retry.

use crate::base::Chance;
use crate::base::limits::BACKOFF_MS_MAX;

/// How often to retry, and after how long. Each wait is twice the last one, and half of it is
/// random, so that retries do not come all at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Backoff {
    /// The number of retries.
    pub(crate) retries: u32,
    /// The longest first wait, in ms.
    pub(crate) first_ms: u64,
}

impl Backoff {
    /// The wait after this many failures, counted from 1; `None` if there is no retry left.
    pub(super) fn wait_ms(self, failures: u32, chance: &mut Chance) -> Option<u64> {
        if failures > self.retries {
            return None;
        }
        let doublings = failures.saturating_sub(1).min(u64::BITS - 1);
        let longest = self.first_ms.saturating_mul(1 << doublings).min(BACKOFF_MS_MAX);
        Some(longest - chance.below(longest / 2 + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_wait_is_twice_as_long_and_there_are_so_many() {
        let backoff = Backoff { retries: 3, first_ms: 100 };
        let mut chance = Chance::new(7);
        for (failures, longest) in [(1, 100), (2, 200), (3, 400)] {
            for _ in 0..100 {
                let wait = backoff.wait_ms(failures, &mut chance).unwrap();
                assert!((longest / 2..=longest).contains(&wait), "{failures}: {wait}");
            }
        }
        assert_eq!(backoff.wait_ms(4, &mut chance), None);
        assert_eq!(Backoff { retries: 0, first_ms: 1 }.wait_ms(1, &mut chance), None);
    }

    proptest! {
        #[test]
        fn no_wait_is_beyond_its_bound(retries: u32, first_ms: u64, failures in 1u32.., seed: u64) {
            let wait = Backoff { retries, first_ms }.wait_ms(failures, &mut Chance::new(seed));
            prop_assert_eq!(wait.is_some(), failures <= retries);
            prop_assert!(wait.unwrap_or(0) <= BACKOFF_MS_MAX);
        }
    }
}
