//! Limits how many connections an address may have, and open per minute.

use crate::base::limits::ADDRESSES_COUNTED_MAX;
use crate::base::{Address, Limits, Moment, PerMinute, SeededHash};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Why an address may not have another connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TooMany {
    /// It has as many connections as allowed.
    Open,
    /// It has opened as many within a minute as allowed; it may open another in so many ms.
    InAMinute(u64),
}

/// Connections by address, at all reactors of a server. Each call takes a lock for a moment.
#[derive(Debug)]
pub(super) struct Admission(Mutex<ByAddress>);

#[derive(Debug)]
struct ByAddress {
    /// An entry lives as long as its address has a connection.
    counts: HashMap<Address, u32, SeededHash>,
    /// Connections of the last minutes, if there is a limit.
    lately: HashMap<Address, PerMinute, SeededHash>,
    lately_max: usize,
    swept: Moment,
    per_address: u32,
    per_address_minute: u32,
}

/// How often entries without remembered connections are removed.
const SWEEP_EVERY_MS: u64 = 1_000;

impl Admission {
    pub(super) fn new(limits: &Limits, seed: u64) -> Admission {
        let hash = SeededHash::new(seed);
        Admission(Mutex::new(ByAddress {
            counts: HashMap::with_hasher(hash),
            lately: HashMap::with_hasher(hash),
            lately_max: ADDRESSES_COUNTED_MAX,
            swept: Moment::ZERO,
            per_address: limits.connections_per_address,
            per_address_minute: limits.connections_per_address_minute,
        }))
    }

    // Whoever panics while they hold this leaves nothing half done.
    fn lock(&self) -> MutexGuard<'_, ByAddress> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Applies new limits; open connections stay.
    pub(super) fn set_limits(&self, limits: &Limits) {
        let mut all = self.lock();
        all.per_address = limits.connections_per_address;
        all.per_address_minute = limits.connections_per_address_minute;
        if all.per_address_minute == 0 {
            all.lately.clear();
        }
    }

    /// Counts a new connection and returns whether the address may have it.
    pub(super) fn enter(&self, address: Address, now: Moment) -> Result<(), TooMany> {
        self.lock().enter(address, now)
    }

    /// Counts a closed connection.
    pub(super) fn leave(&self, address: Address) {
        self.lock().leave(address);
    }
}

impl ByAddress {
    fn enter(&mut self, address: Address, now: Moment) -> Result<(), TooMany> {
        let count = self.counts.entry(address).or_insert(0);
        *count += 1;
        if *count > self.per_address {
            return Err(TooMany::Open);
        }
        if self.per_address_minute == 0 || !self.has_room(address, now) {
            return Ok(());
        }
        let lately = self.lately.entry(address).or_default();
        lately.take(now, self.per_address_minute).map_err(TooMany::InAMinute)
    }

    /// Whether an address is counted or can be added. See [`ADDRESSES_COUNTED_MAX`].
    fn has_room(&mut self, address: Address, now: Moment) -> bool {
        if self.lately.len() < self.lately_max || self.lately.contains_key(&address) {
            return true;
        }
        if now.millis_since(self.swept) >= SWEEP_EVERY_MS {
            self.swept = now;
            self.lately.retain(|_, lately| !lately.is_at_rest(now));
        }
        self.lately.len() < self.lately_max
    }

    fn leave(&mut self, address: Address) {
        if let Some(count) = self.counts.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        Address::of(text.parse().unwrap())
    }

    fn admission(per_address: u32, per_address_minute: u32) -> Admission {
        let limits = Limits {
            connections_per_address: per_address,
            connections_per_address_minute: per_address_minute,
            ..Limits::default()
        };
        Admission::new(&limits, 0)
    }

    #[test]
    fn addresses_are_counted_as_hosts_own_them() {
        assert_eq!(address("::ffff:10.0.0.1"), address("10.0.0.1"));
        assert_eq!(address("2001:db8::1"), address("2001:db8::ffff:2"));
        assert_ne!(address("2001:db8::1"), address("2001:db8:0:1::1"));
        assert_ne!(address("10.0.0.1"), address("10.0.0.2"));
        assert_ne!(address("::1"), address("0.0.0.0"));
    }

    #[test]
    fn an_address_is_shown_as_it_is_counted() {
        for (text, shown) in [
            ("192.0.2.1", "192.0.2.1"),
            ("0.0.0.0", "0.0.0.0"),
            ("255.255.255.255", "255.255.255.255"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("::1", "::/64"),
            ("2001:db8:0:1:2:3:4:5", "2001:db8:0:1::/64"),
        ] {
            assert_eq!(address(text).to_string(), shown);
        }
    }

    #[test]
    fn what_leaves_makes_room_and_leaves_nothing_behind() {
        let admission = admission(1, 0);
        let (one, now) = (address("10.0.0.1"), Moment::ZERO);
        assert_eq!(admission.enter(one, now), Ok(()));
        assert_eq!(admission.enter(one, now), Err(TooMany::Open));
        assert_eq!(admission.enter(address("10.0.0.2"), now), Ok(()));
        admission.set_limits(&Limits { connections_per_address: 3, ..Limits::default() });
        assert_eq!(admission.enter(one, now), Ok(()));
        admission.leave(one);
        for address in [one, one, address("10.0.0.2")] {
            admission.leave(address);
        }
        assert!(admission.lock().counts.is_empty() && admission.lock().lately.is_empty());
    }

    #[test]
    fn whoever_comes_and_goes_comes_no_oftener_than_an_address_may() {
        let admission = admission(100, 2);
        let (one, other) = (address("2001:db8::1"), address("2001:db8::2"));
        let at = Moment::from_millis;
        for (address, at_ms, expected) in [
            (one, 1_000, Ok(())),
            (other, 2_000, Ok(())),
            (one, 3_000, Err(TooMany::InAMinute(58_000 + 30_000))),
            (address("10.0.0.1"), 3_000, Ok(())),
            (one, 91_000, Ok(())),
        ] {
            assert_eq!(admission.enter(address, at(at_ms)), expected, "{at_ms}");
            admission.leave(address);
        }
    }

    #[test]
    fn no_more_addresses_are_remembered_than_there_is_room_for() {
        let admission = admission(100, 1);
        admission.lock().lately_max = 2;
        let at = Moment::from_millis;
        for (address, at_ms, may) in [
            (address("10.0.0.1"), 10_000, true),
            (address("10.0.0.2"), 20_000, true),
            // The table is full: this address is not counted.
            (address("10.0.0.3"), 20_000, true),
            (address("10.0.0.3"), 20_000, true),
            (address("10.0.0.2"), 20_000, false),
            // The first address is forgotten.
            (address("10.0.0.3"), 130_000, true),
            (address("10.0.0.3"), 130_000, false),
        ] {
            assert_eq!(admission.enter(address, at(at_ms)).is_ok(), may, "{address} {at_ms}");
            assert!(admission.lock().lately.len() <= 2);
        }
    }
}
