//! In which order a host's addresses are tried (RFC 8305).

use crate::base::Moment;
use std::collections::VecDeque;
use std::net::SocketAddr;

/// More addresses of a host are not tried.
const ADDRESSES_MAX: usize = 16;
/// RFC 8305 §5: how long one attempt is waited for before the next begins beside it.
const ATTEMPT_DELAY_MS: u64 = 250;

/// A host's addresses that are left to be tried, and when.
#[derive(Debug, Default)]
pub(super) struct AddressQueue {
    left: VecDeque<SocketAddr>,
    next_at: Moment,
}

impl AddressQueue {
    /// In the order in which the system prefers them (RFC 6724), and the two families in turns (RFC 8305 §4): if the
    /// network of one is broken, the other is not waited for long.
    pub(super) fn new(found: &[SocketAddr]) -> AddressQueue {
        let begins_with_v6 = found.first().is_some_and(SocketAddr::is_ipv6);
        let (one, other): (VecDeque<_>, VecDeque<_>) =
            found.iter().copied().partition(|address| address.is_ipv6() == begins_with_v6);
        let (mut families, mut left) = ([one, other], VecDeque::new());
        while left.len() < ADDRESSES_MAX && families.iter().any(|family| !family.is_empty()) {
            left.extend(families.iter_mut().filter_map(VecDeque::pop_front));
        }
        AddressQueue { left, next_at: Moment::ZERO }
    }

    /// When the next attempt begins, if none of those that run has succeeded or failed by then.
    pub(super) fn next_at(&self) -> Moment {
        if self.left.is_empty() { Moment::NEVER } else { self.next_at }
    }

    /// One to try now, if it is time.
    pub(super) fn take(&mut self, now: Moment) -> Option<SocketAddr> {
        if now < self.next_at() {
            return None;
        }
        self.next_at = now.plus_millis(ATTEMPT_DELAY_MS);
        self.left.pop_front()
    }

    /// An attempt has failed: the next need not wait.
    pub(super) fn hurry(&mut self) {
        self.next_at = Moment::ZERO;
    }

    /// One has succeeded: no other is tried.
    pub(super) fn stop(&mut self) {
        self.left.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn families_take_turns_and_each_attempt_has_its_time() {
        let v6 = ["[::1]:1", "[::2]:1", "[::3]:1"].map(address);
        let v4 = ["1.0.0.1:1", "1.0.0.2:1"].map(address);
        let mut addresses = AddressQueue::new(&[&v6[..], &v4].concat());
        let at = Moment::from_millis;
        assert_eq!(addresses.take(at(0)), Some(v6[0]));
        assert_eq!((addresses.take(at(249)), addresses.next_at()), (None, at(250)));
        assert_eq!(addresses.take(at(250)), Some(v4[0]));
        addresses.hurry();
        assert_eq!(addresses.take(at(251)), Some(v6[1]));
        assert_eq!(addresses.take(at(501)), Some(v4[1]));
        assert_eq!(addresses.take(at(900)), Some(v6[2]));
        assert_eq!((addresses.take(at(9_000)), addresses.next_at()), (None, Moment::NEVER));
        let mut only = AddressQueue::new(&v4);
        assert_eq!(only.take(at(0)), Some(v4[0]));
        only.stop();
        assert_eq!(only.next_at(), Moment::NEVER);
        let many: Vec<_> = (0..100).map(|port| SocketAddr::from(([1, 0, 0, 1], port))).collect();
        assert_eq!(AddressQueue::new(&many).left.len(), ADDRESSES_MAX);
    }
}
