//! Limits how much may be done in a second, with a burst.

use super::Moment;

/// A rate with a burst, as one number: the time until which the work done so far is spread out (the
/// generic cell rate algorithm).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rate {
    spread_until_us: u64,
}

impl Rate {
    /// Whether its whole burst is available, so that it remembers nothing.
    #[must_use]
    pub fn is_at_rest(&self, now: Moment) -> bool {
        self.spread_until_us <= micros(now)
    }

    /// Takes `weight` in advance, at most a whole burst. A heavier request passes after a pause.
    ///
    /// # Errors
    /// In how many ms the weight may be taken. Nothing was taken.
    pub fn take(
        &mut self,
        now: Moment,
        weight: u32,
        per_second: u32,
        burst: u32,
    ) -> Result<(), u64> {
        let (now_us, interval_us) = (micros(now), interval_us(per_second));
        let cost_us = interval_us * u64::from(weight.min(burst));
        let spread_until_us = self.spread_until_us.max(now_us).saturating_add(cost_us);
        let allowed_us = now_us + interval_us * u64::from(burst);
        if spread_until_us > allowed_us {
            return Err((spread_until_us - allowed_us).div_ceil(1_000));
        }
        self.spread_until_us = spread_until_us;
        Ok(())
    }

    /// Returns `weight` that [`Rate::take`] took with the same burst.
    pub fn give_back(&mut self, weight: u32, per_second: u32, burst: u32) {
        let cost_us = interval_us(per_second) * u64::from(weight.min(burst));
        self.spread_until_us = self.spread_until_us.saturating_sub(cost_us);
    }

    /// Counts an amount that has already arrived. Returns for how many ms no more may.
    pub fn spend(&mut self, now: Moment, amount: u64, per_second: u32, burst: u32) -> u64 {
        let us_of =
            |amount: u64| amount.saturating_mul(1_000_000).div_ceil(u64::from(per_second.max(1)));
        let now_us = micros(now);
        self.spread_until_us = self.spread_until_us.max(now_us).saturating_add(us_of(amount));
        let allowed_us = now_us.saturating_add(us_of(u64::from(burst)));
        self.spread_until_us.saturating_sub(allowed_us).div_ceil(1_000)
    }
}

fn micros(now: Moment) -> u64 {
    now.as_millis().saturating_mul(1_000)
}

fn interval_us(per_second: u32) -> u64 {
    (1_000_000 / u64::from(per_second.max(1))).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(millis: u64) -> Moment {
        Moment::from_millis(millis)
    }

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let mut rate = Rate::default();
        for _ in 0..30 {
            assert_eq!(rate.take(at(1_000), 1, 10, 30), Ok(()));
        }
        assert_eq!(rate.take(at(1_000), 1, 10, 30), Err(100));
        assert_eq!(rate.take(at(1_099), 1, 10, 30), Err(1));
        assert_eq!(rate.take(at(1_100), 1, 10, 30), Ok(()));
        assert_eq!(rate.take(at(1_100), 1, 10, 30), Err(100));
        for _ in 0..30 {
            let taken = rate.take(at(60_000), 1, 10, 30);
            assert_eq!(taken, Ok(()), "a pause makes the burst whole again");
        }
        assert!(rate.take(at(60_000), 1, 10, 30).is_err());
    }

    #[test]
    fn what_weighs_more_waits_longer_and_what_was_given_back_can_be_taken_again() {
        let mut rate = Rate::default();
        assert_eq!(rate.take(at(1_000), 25, 10, 30), Ok(()));
        assert_eq!(rate.take(at(1_000), 6, 10, 30), Err(100));
        assert_eq!(rate.take(at(1_000), 5, 10, 30), Ok(()));
        assert_eq!(rate.take(at(1_000), 1_000, 10, 30), Err(3_000), "a burst is the most");
        rate.give_back(25, 10, 30);
        assert_eq!(rate.take(at(1_000), 25, 10, 30), Ok(()));
        assert_eq!(rate.take(at(4_000), 1_000, 10, 30), Ok(()));
        rate.give_back(1_000, 10, 30);
        assert!(rate.is_at_rest(at(4_000)));
    }

    #[test]
    fn an_amount_that_came_is_paid_off_by_waiting() {
        let mut rate = Rate::default();
        assert_eq!(rate.spend(at(1_000), 3_000, 1_000, 3_000), 0);
        assert_eq!(rate.spend(at(1_000), 500, 1_000, 3_000), 500);
        assert_eq!(rate.spend(at(1_500), 0, 1_000, 3_000), 0);
        assert_eq!(rate.spend(at(1_500), 1, 1_000, 3_000), 1);
        assert_eq!(
            rate.spend(at(60_000), 4_000, 1_000, 3_000),
            1_000,
            "a pause is a burst's worth"
        );
        assert_eq!(rate.spend(at(60_000), u64::MAX, 1, u32::MAX).min(1), 1, "it does not overflow");
    }

    proptest! {
        /// Against a bucket that is filled by hand.
        #[test]
        fn it_is_a_bucket(
            per_second in prop::sample::select(vec![1u32, 4, 10, 50]),
            burst in 1u32..20,
            steps in prop::collection::vec((0u64..700, 1u32..25, any::<bool>()), 1..60),
        ) {
            let (mut rate, mut now, mut thousandths) = (Rate::default(), 10_000, u64::from(burst) * 1_000);
            for (wait_ms, weight, is_good) in steps {
                now += wait_ms;
                thousandths = (thousandths + wait_ms * u64::from(per_second)).min(u64::from(burst) * 1_000);
                let weight = weight.min(burst);
                let cost = u64::from(weight) * 1_000;
                match rate.take(at(now), weight, per_second, burst) {
                    Ok(()) => {
                        prop_assert!(thousandths >= cost);
                        thousandths -= cost;
                        if is_good {
                            rate.give_back(weight, per_second, burst);
                            thousandths += cost;
                        }
                    }
                    Err(ms) => {
                        prop_assert!(thousandths < cost);
                        prop_assert_eq!(ms, (cost - thousandths).div_ceil(u64::from(per_second)));
                    }
                }
            }
        }
    }
}
