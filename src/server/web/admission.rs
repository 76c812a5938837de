//! How many connections an address may have.

use crate::base::SeededHash;
use std::collections::HashMap;
use std::net::IpAddr;

/// An address as it is counted: an IPv4 address, or the /64 of an IPv6 one, as one host owns
/// all of a /64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Address(u64);

impl Address {
    pub(super) fn of(peer: IpAddr) -> Address {
        // ffff::/16 is multicast: no peer comes from there.
        const IPV4: u64 = 0xFFFF << 48;
        match peer.to_canonical() {
            IpAddr::V4(v4) => Address(IPV4 | u64::from(v4.to_bits())),
            IpAddr::V6(v6) => Address((v6.to_bits() >> 64) as u64),
        }
    }
}

/// Connections by address. An entry lives as long as its address has a connection.
#[derive(Debug)]
pub(super) struct Admission {
    counts: HashMap<Address, u32, SeededHash>,
    connections_per_address: u32,
}

impl Admission {
    pub(super) fn new(connections_per_address: u32, seed: u64) -> Admission {
        Admission { counts: HashMap::with_hasher(SeededHash::new(seed)), connections_per_address }
    }

    /// So many from now on; those that are open stay.
    pub(super) fn set_limit(&mut self, connections_per_address: u32) {
        self.connections_per_address = connections_per_address;
    }

    /// Counts a connection in, and tells whether the address may have it.
    pub(super) fn enter(&mut self, address: Address) -> bool {
        let count = self.counts.entry(address).or_insert(0);
        *count += 1;
        *count <= self.connections_per_address
    }

    /// Counts a connection out.
    pub(super) fn leave(&mut self, address: Address) {
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

    #[test]
    fn addresses_are_counted_as_hosts_own_them() {
        assert_eq!(address("::ffff:10.0.0.1"), address("10.0.0.1"));
        assert_eq!(address("2001:db8::1"), address("2001:db8::ffff:2"));
        assert_ne!(address("2001:db8::1"), address("2001:db8:0:1::1"));
        assert_ne!(address("10.0.0.1"), address("10.0.0.2"));
    }

    #[test]
    fn what_leaves_makes_room_and_leaves_nothing_behind() {
        let mut admission = Admission::new(1, 0);
        let one = address("10.0.0.1");
        assert!(admission.enter(one));
        assert!(!admission.enter(one));
        assert!(admission.enter(address("10.0.0.2")));
        admission.set_limit(3);
        assert!(admission.enter(one));
        admission.leave(one);
        for address in [one, one, address("10.0.0.2")] {
            admission.leave(address);
        }
        assert!(admission.counts.is_empty());
    }
}
