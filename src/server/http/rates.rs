//! How many requests a user may send who is known by more than one connection: over HTTP, and, where that
//! is limited, over all WebSockets and HTTP together.

use crate::base::{Moment, PerMinute, SeededHash, UserId};
use crate::server::session::Rate;
use std::collections::HashMap;
use std::net::IpAddr;

/// Whose requests are counted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::server) enum Asker {
    User(UserId),
    /// Somebody who has not said who they are: an IPv4 address, or the /64 of an IPv6 one.
    Address(IpAddr),
}

impl Asker {
    pub(super) fn at(peer: IpAddr) -> Asker {
        Asker::Address(match peer.to_canonical() {
            IpAddr::V6(v6) => {
                let [a, b, c, d, ..] = v6.segments();
                IpAddr::V6([a, b, c, d, 0, 0, 0, 0].into())
            }
            v4 => v4,
        })
    }
}

/// The rates of all who have asked lately.
#[derive(Debug)]
pub(in crate::server) struct Rates {
    rates: HashMap<Asker, Counted, SeededHash>,
    max: usize,
    swept: Moment,
}

#[derive(Debug, Default)]
struct Counted {
    rate: Rate,
    minute: PerMinute,
}

impl Counted {
    fn is_at_rest(&self, now: Moment) -> bool {
        self.rate.is_at_rest(now) && self.minute.is_at_rest(now)
    }
}

/// How many requests pass.
#[derive(Clone, Copy, Debug)]
pub(in crate::server) struct Allowance {
    pub(in crate::server) per_second: u32,
    /// At once, after a pause.
    pub(in crate::server) burst: u32,
    /// 0: as many as the others let pass.
    pub(in crate::server) per_minute: u32,
}

/// By what a request is held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum Held {
    /// By the rate; the next one may come in so many ms.
    Second(u64),
    /// By those of the last minute.
    Minute(u64),
}

/// How often those are looked for whom nothing is remembered of.
const SWEEP_EVERY_MS: u64 = 1_000;

impl Rates {
    /// For at most `max` at one time.
    pub(in crate::server) fn new(max: usize, seed: u64) -> Rates {
        let rates = HashMap::with_hasher(SeededHash::new(seed));
        Rates { rates, max, swept: Moment::ZERO }
    }

    /// Counts a request, or tells by what it is held back.
    pub(in crate::server) fn take(
        &mut self,
        asker: Asker,
        now: Moment,
        allowance: Allowance,
    ) -> Result<(), Held> {
        if self.rates.len() >= self.max && !self.rates.contains_key(&asker) {
            if now.millis_since(self.swept) >= SWEEP_EVERY_MS {
                self.swept = now;
                self.rates.retain(|_, counted| !counted.is_at_rest(now));
            }
            if self.rates.len() >= self.max {
                return Err(Held::Second(SWEEP_EVERY_MS));
            }
        }
        let Allowance { per_second, burst, per_minute } = allowance;
        let counted = self.rates.entry(asker).or_default();
        counted.rate.take(now, per_second, burst).map_err(Held::Second)?;
        match per_minute {
            0 => Ok(()),
            per_minute => counted.minute.take(now, per_minute).map_err(Held::Minute),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE_OF_TEN: Allowance = Allowance { per_second: 10, burst: 1, per_minute: 0 };
    const ONE: Allowance = Allowance { per_second: 1, burst: 1, per_minute: 0 };

    fn user(name: &str) -> Asker {
        Asker::User(UserId::parse(name).unwrap())
    }

    #[test]
    fn each_user_has_a_rate_and_an_address_is_as_large_as_its_owner() {
        let mut rates = Rates::new(100, 0);
        let at = Moment::from_millis(1_000);
        assert_eq!(rates.take(user("a"), at, ONE_OF_TEN), Ok(()));
        assert_eq!(rates.take(user("a"), at, ONE_OF_TEN), Err(Held::Second(100)));
        assert_eq!(rates.take(user("b"), at, ONE_OF_TEN), Ok(()));
        let one = Asker::at("2001:db8::1".parse().unwrap());
        assert_eq!(one, Asker::at("2001:db8::ffff:1".parse().unwrap()));
        assert_ne!(one, Asker::at("2001:db8:0:1::1".parse().unwrap()));
    }

    #[test]
    fn a_minute_holds_back_whom_the_rate_lets_pass() {
        let mut rates = Rates::new(100, 0);
        let allowance = Allowance { per_second: 10, burst: 10, per_minute: 2 };
        let at = Moment::from_millis;
        assert_eq!(rates.take(user("a"), at(1_000), allowance), Ok(()));
        assert_eq!(rates.take(user("a"), at(2_000), allowance), Ok(()));
        assert_eq!(rates.take(user("a"), at(3_000), allowance), Err(Held::Minute(58_000 + 30_000)));
    }

    #[test]
    fn no_more_are_remembered_than_there_is_room_for() {
        let mut rates = Rates::new(2, 0);
        let at = Moment::from_millis(10_000);
        let full = Err(Held::Second(SWEEP_EVERY_MS));
        assert_eq!(rates.take(user("a"), at, ONE_OF_TEN), Ok(()));
        assert_eq!(rates.take(user("b"), at, ONE), Ok(()));
        assert_eq!(rates.take(user("c"), at, ONE), full);
        let known = rates.take(user("b"), at, ONE);
        assert_eq!(known, Err(Held::Second(1_000)), "who is known is counted on");
        let later = at.plus_millis(SWEEP_EVERY_MS);
        assert_eq!(rates.take(user("c"), later, ONE), Ok(()));
        assert!(rates.rates.len() <= 2);
    }
}
