//! Limits for users and addresses, across all of their connections.

use super::{Address, Moment, PerMinute, Rate, SeededHash, UserId};
use std::collections::HashMap;
use std::hash::BuildHasher;
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Whose requests are counted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Asker {
    /// A user, on all connections.
    User(UserId),
    /// A guest's address.
    Address(Address),
    /// All addresses for which there is no room: they share one entry.
    Others,
}

/// In whose turn something is done. `None` for the embedding program, admins, and streams that are
/// polled whether or not they are watched: shares do not bound those.
pub type Payer = Option<Asker>;

/// The rates of everybody who sent requests lately, for all threads of a server: each call takes a
/// lock for a moment.
#[derive(Debug)]
pub struct Rates {
    hash: SeededHash,
    all: Mutex<AllRates>,
}

#[derive(Debug)]
struct AllRates {
    rates: HashMap<Asker, AskerUsage, SeededHash>,
    /// How many of them are not users.
    addresses: usize,
    max: usize,
    swept: Moment,
}

#[derive(Debug, Default)]
struct AskerUsage {
    rate: Rate,
    minute: PerMinute,
}

impl AskerUsage {
    fn is_at_rest(&self, now: Moment) -> bool {
        self.rate.is_at_rest(now) && self.minute.is_at_rest(now)
    }
}

/// How much is allowed.
#[derive(Clone, Copy, Debug)]
pub struct Allowance {
    /// After a burst, each second.
    pub per_second: u32,
    /// At once, after a pause.
    pub burst: u32,
    /// Per minute; 0 for no such limit.
    pub per_minute: u32,
}

/// Which rate is exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateBound {
    /// The rate per second; the next request may come in this many ms.
    Second(u64),
    /// The limit of the last minute, with the same wait.
    Minute(u64),
}

impl RateBound {
    /// In how many ms the next one may come.
    pub fn wait_ms(self) -> u64 {
        let (RateBound::Second(wait_ms) | RateBound::Minute(wait_ms)) = self;
        wait_ms
    }
}

/// How often idle entries are removed.
const SWEEP_EVERY_MS: u64 = 1_000;

impl Rates {
    /// Rates for at most `max` users at one time, and as many addresses. Addresses never take a
    /// user's place, because there may be any number of them.
    #[must_use]
    pub fn new(max: usize, seed: u64) -> Rates {
        let hash = SeededHash::new(seed);
        let rates = HashMap::with_hasher(hash);
        let all = AllRates { rates, addresses: 0, max, swept: Moment::ZERO };
        Rates { hash, all: Mutex::new(all) }
    }

    // Whoever panics while they hold this leaves nothing half done.
    fn lock(&self) -> MutexGuard<'_, AllRates> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number for an asker; two may share one.
    pub fn number_of(&self, asker: &Asker) -> NonZeroU32 {
        NonZeroU32::new((self.hash.hash_one(asker) >> 32) as u32).unwrap_or(NonZeroU32::MIN)
    }

    /// Counts `weight`, or returns which rate it exceeds.
    ///
    /// # Errors
    /// The rate that it exceeds.
    pub fn take(
        &self,
        asker: Asker,
        now: Moment,
        weight: u32,
        allowance: Allowance,
    ) -> Result<(), RateBound> {
        let mut all = self.lock();
        let asker = all.placed(asker, now)?;
        let Allowance { per_second, burst, per_minute } = allowance;
        let counted = all.entry(asker);
        counted.rate.take(now, weight, per_second, burst).map_err(RateBound::Second)?;
        match per_minute {
            0 => Ok(()),
            per_minute => counted.minute.take(now, per_minute).map_err(RateBound::Minute),
        }
    }

    /// Counts work that is already done. The asker waits longer later.
    pub fn spend(&self, asker: Asker, now: Moment, weight: u32, allowance: Allowance) {
        let mut all = self.lock();
        // An asker without room was refused before.
        if let Ok(asker) = all.placed(asker, now) {
            let Allowance { per_second, burst, .. } = allowance;
            all.entry(asker).rate.spend(now, u64::from(weight), per_second, burst);
        }
    }

    /// In how many ms an asker no longer owes anything; `None` if they owe nothing.
    pub fn owes(&self, asker: &Asker, now: Moment, allowance: Allowance) -> Option<u64> {
        let mut rate = self.lock().rates.get(asker)?.rate;
        rate.take(now, 0, allowance.per_second, allowance.burst).err()
    }

    /// Gives back what was taken.
    pub fn give_back(&self, asker: &Asker, weight: u32, allowance: Allowance) {
        let mut all = self.lock();
        let Allowance { per_second, burst, .. } = allowance;
        let place = if all.rates.contains_key(asker) { asker } else { &Asker::Others };
        if let Some(counted) = all.rates.get_mut(place) {
            counted.rate.give_back(weight, per_second, burst);
        }
    }
}

impl AllRates {
    /// The entry under which an asker is counted.
    fn placed(&mut self, asker: Asker, now: Moment) -> Result<Asker, RateBound> {
        if self.rates.contains_key(&asker) {
            return Ok(asker);
        }
        // Before the table grows, however soon: most who sent something once are at rest.
        if self.rates.len() == self.rates.capacity() {
            self.forget(now);
            if self.rates.len() > self.rates.capacity() / 4 * 3 {
                self.rates.reserve(self.rates.len());
            }
        }
        if self.has_room(&asker) {
            return Ok(asker);
        }
        self.sweep(now);
        match asker {
            asker if self.has_room(&asker) => Ok(asker),
            Asker::Address(_) | Asker::Others => Ok(Asker::Others),
            Asker::User(_) => Err(RateBound::Second(SWEEP_EVERY_MS)),
        }
    }

    /// As [`AllRates::forget`], unless it did so a moment ago.
    fn sweep(&mut self, now: Moment) {
        if now.millis_since(self.swept) >= SWEEP_EVERY_MS {
            self.forget(now);
        }
    }

    /// Forgets whoever is at rest.
    fn forget(&mut self, now: Moment) {
        self.swept = now;
        self.rates.retain(|_, counted| !counted.is_at_rest(now));
        let is_stranger = |asker: &&Asker| !matches!(asker, Asker::User(_));
        self.addresses = self.rates.keys().filter(is_stranger).count();
    }

    fn has_room(&self, asker: &Asker) -> bool {
        match asker {
            Asker::User(_) => self.rates.len() - self.addresses < self.max,
            Asker::Address(_) => self.addresses < self.max,
            Asker::Others => true,
        }
    }

    fn entry(&mut self, asker: Asker) -> &mut AskerUsage {
        let is_stranger = !matches!(asker, Asker::User(_));
        let addresses = &mut self.addresses;
        self.rates.entry(asker).or_insert_with(|| {
            *addresses += usize::from(is_stranger);
            AskerUsage::default()
        })
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

    fn address(text: &str) -> Asker {
        Asker::Address(Address::of(text.parse().unwrap()))
    }

    #[test]
    fn each_user_has_a_rate_and_an_address_is_as_large_as_its_owner() {
        let rates = Rates::new(100, 0);
        let at = Moment::from_millis(1_000);
        assert_eq!(rates.take(user("a"), at, 1, ONE_OF_TEN), Ok(()));
        assert_eq!(rates.take(user("a"), at, 1, ONE_OF_TEN), Err(RateBound::Second(100)));
        assert_eq!(rates.take(user("b"), at, 1, ONE_OF_TEN), Ok(()));
        assert_eq!(address("2001:db8::1"), address("2001:db8::ffff:1"));
        assert_ne!(address("2001:db8::1"), address("2001:db8:0:1::1"));
    }

    #[test]
    fn a_minute_holds_back_whom_the_rate_lets_pass() {
        let rates = Rates::new(100, 0);
        let allowance = Allowance { per_second: 10, burst: 10, per_minute: 2 };
        let at = Moment::from_millis;
        assert_eq!(rates.take(user("a"), at(1_000), 1, allowance), Ok(()));
        assert_eq!(rates.take(user("a"), at(2_000), 1, allowance), Ok(()));
        let held = RateBound::Minute(58_000 + 30_000);
        assert_eq!(rates.take(user("a"), at(3_000), 1, allowance), Err(held));
    }

    #[test]
    fn what_was_done_already_is_waited_for() {
        let rates = Rates::new(100, 0);
        let allowance = Allowance { per_second: 10, burst: 10, per_minute: 0 };
        let at = Moment::from_millis;
        rates.spend(user("a"), at(1_000), 25, allowance);
        assert_eq!(rates.take(user("a"), at(1_000), 1, allowance), Err(RateBound::Second(1_600)));
        assert_eq!(rates.owes(&user("a"), at(1_000), allowance), Some(1_500));
        assert_eq!(rates.owes(&user("b"), at(1_000), allowance), None);
        assert_eq!(rates.take(user("a"), at(2_600), 1, allowance), Ok(()));
        assert_eq!(rates.owes(&user("a"), at(2_600), allowance), None);
    }

    #[test]
    fn no_more_are_remembered_than_there_is_room_for() {
        let rates = Rates::new(2, 0);
        let at = Moment::from_millis(10_000);
        let full = Err(RateBound::Second(SWEEP_EVERY_MS));
        assert_eq!(rates.take(user("a"), at, 1, ONE_OF_TEN), Ok(()));
        assert_eq!(rates.take(user("b"), at, 1, ONE), Ok(()));
        assert_eq!(rates.take(user("c"), at, 1, ONE), full);
        let known = rates.take(user("b"), at, 1, ONE);
        assert_eq!(known, Err(RateBound::Second(1_000)), "who is known is counted on");
        let later = at.plus_millis(SWEEP_EVERY_MS);
        assert_eq!(rates.take(user("c"), later, 1, ONE), Ok(()));
        assert!(rates.lock().rates.len() <= 2);
    }

    #[test]
    fn the_table_grows_by_those_who_are_not_at_rest_alone() {
        let rates = Rates::new(100_000, 0);
        // Each is at rest after 100 ms, in which 100 others come.
        for ms in 0..20_000 {
            let at = Moment::from_millis(10_000 + ms);
            assert_eq!(rates.take(user(&format!("u{ms}")), at, 1, ONE_OF_TEN), Ok(()));
        }
        let capacity = rates.lock().rates.capacity();
        assert!((100..1_000).contains(&capacity), "{capacity}");
    }

    #[test]
    fn strangers_take_no_users_place_and_beyond_all_of_theirs_share_one() {
        let rates = Rates::new(2, 0);
        let at = Moment::from_millis(10_000);
        let held = Err(RateBound::Second(1_000));
        for one in ["10.0.0.1", "10.0.0.2", "10.0.0.3"] {
            assert_eq!(rates.take(address(one), at, 1, ONE), Ok(()), "{one}");
        }
        assert_eq!(rates.take(address("10.0.0.4"), at, 1, ONE), held, "as the third one");
        rates.give_back(&address("10.0.0.4"), 1, ONE);
        assert_eq!(rates.take(address("10.0.0.5"), at, 1, ONE), Ok(()));
        assert_eq!(rates.take(user("a"), at, 1, ONE), Ok(()));
        assert_eq!(rates.take(user("b"), at, 1, ONE), Ok(()));
        let later = at.plus_millis(2 * SWEEP_EVERY_MS);
        assert_eq!(rates.take(address("10.0.0.6"), later, 1, ONE), Ok(()));
        assert_eq!(rates.lock().rates.len(), 1, "the others were at rest");
    }
}
