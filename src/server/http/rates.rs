//! How many requests of HTTP a user may send: as many as a connection may, over all of theirs.

use crate::base::limits::HTTP_RATES_MAX;
use crate::base::{Moment, SeededHash, UserId};
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
    rates: HashMap<Asker, Rate, SeededHash>,
    max: usize,
    swept: Moment,
}

/// How often those are looked for whom nothing is remembered of.
const SWEEP_EVERY_MS: u64 = 1_000;

impl Rates {
    pub(in crate::server) fn new(seed: u64) -> Rates {
        let rates = HashMap::with_hasher(SeededHash::new(seed));
        Rates { rates, max: HTTP_RATES_MAX, swept: Moment::ZERO }
    }

    /// Counts a request; over the rate it tells in how many ms the next one may come.
    pub(super) fn take(
        &mut self,
        asker: Asker,
        now: Moment,
        per_second: u32,
        burst: u32,
    ) -> Result<(), u64> {
        if self.rates.len() >= self.max && !self.rates.contains_key(&asker) {
            if now.millis_since(self.swept) >= SWEEP_EVERY_MS {
                self.swept = now;
                self.rates.retain(|_, rate| !rate.is_at_rest(now));
            }
            if self.rates.len() >= self.max {
                return Err(SWEEP_EVERY_MS);
            }
        }
        self.rates.entry(asker).or_default().take(now, per_second, burst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str) -> Asker {
        Asker::User(UserId::parse(name).unwrap())
    }

    #[test]
    fn each_user_has_a_rate_and_an_address_is_as_large_as_its_owner() {
        let mut rates = Rates::new(0);
        let at = Moment::from_millis(1_000);
        assert_eq!(rates.take(user("a"), at, 10, 1), Ok(()));
        assert_eq!(rates.take(user("a"), at, 10, 1), Err(100));
        assert_eq!(rates.take(user("b"), at, 10, 1), Ok(()));
        let one = Asker::at("2001:db8::1".parse().unwrap());
        assert_eq!(one, Asker::at("2001:db8::ffff:1".parse().unwrap()));
        assert_ne!(one, Asker::at("2001:db8:0:1::1".parse().unwrap()));
    }

    #[test]
    fn no_more_are_remembered_than_there_is_room_for() {
        let mut rates = Rates { max: 2, ..Rates::new(0) };
        let at = Moment::from_millis(10_000);
        assert_eq!(rates.take(user("a"), at, 10, 1), Ok(()));
        assert_eq!(rates.take(user("b"), at, 1, 1), Ok(()));
        assert_eq!(rates.take(user("c"), at, 1, 1), Err(SWEEP_EVERY_MS));
        assert_eq!(rates.take(user("b"), at, 1, 1), Err(1_000), "who is known is counted on");
        let later = at.plus_millis(SWEEP_EVERY_MS);
        assert_eq!(rates.take(user("c"), later, 1, 1), Ok(()));
        assert!(rates.rates.len() <= 2);
    }
}
