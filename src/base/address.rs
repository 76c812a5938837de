//! Addresses of peers, as they are counted.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU64;

/// An IPv4 address, or the /64 of an IPv6 address, since one host owns a whole /64. The number is
/// one more than the address's, so that it is never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(NonZeroU64);

impl Address {
    // ffff::/16 is multicast: no peer comes from there.
    const IPV4: u64 = 0xFFFF << 48;
    /// `0.0.0.0`: a trusted proxy named no client.
    pub const UNKNOWN: Address = Address(NonZeroU64::MIN.saturating_add(Address::IPV4));

    /// The address of a peer.
    #[must_use]
    pub fn of(peer: IpAddr) -> Address {
        let number = match peer.to_canonical() {
            IpAddr::V4(v4) => Address::IPV4 | u64::from(v4.to_bits()),
            IpAddr::V6(v6) => (v6.to_bits() >> 64) as u64,
        };
        Address(NonZeroU64::MIN.saturating_add(number))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.0.get() - 1;
        match u32::try_from(number ^ Address::IPV4) {
            Ok(v4) => write!(f, "{}", Ipv4Addr::from_bits(v4)),
            Err(_) => write!(f, "{}/64", Ipv6Addr::from_bits(u128::from(number) << 64)),
        }
    }
}
