//! Limits the memory of incomplete request bodies: of all together, and of each address.

use crate::base::Address;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The memory available for bodies, at all reactors of a server.
#[derive(Clone, Debug)]
pub(super) struct BodyRoom(Arc<Mutex<BodyRoomLeft>>);

#[derive(Debug)]
struct BodyRoomLeft {
    left: usize,
    /// When less is left, one address may use no more than its share, except for a single body.
    scarce: usize,
    share: usize,
    /// Bytes in use, by address.
    taken: HashMap<Address, usize>,
}

/// The received part of a body. Its bytes count until it is dropped.
#[derive(Debug)]
pub(super) struct KeptBody {
    bytes: Vec<u8>,
    address: Address,
    room: BodyRoom,
}

impl BodyRoom {
    /// Room for so many bytes; when half is used, one address may use at most `share`.
    pub(super) fn new(bytes: usize, share: usize) -> BodyRoom {
        let (scarce, taken) = (bytes / 2, HashMap::new());
        BodyRoom(Arc::new(Mutex::new(BodyRoomLeft { left: bytes, scarce, share, taken })))
    }

    // Whoever panics while they hold this leaves nothing half done.
    fn lock(&self) -> MutexGuard<'_, BodyRoomLeft> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An empty body from an address.
    pub(super) fn body(&self, address: Address) -> KeptBody {
        KeptBody { bytes: Vec::new(), address, room: self.clone() }
    }
}

impl KeptBody {
    /// The bytes received so far.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Appends received bytes: memory grows with them, not with the announced length. Returns
    /// whether there was room.
    pub(super) fn keep(&mut self, bytes: &[u8]) -> bool {
        let mut room = self.room.lock();
        let Some(left) = room.left.checked_sub(bytes.len()) else { return false };
        let taken = room.taken.get(&self.address).copied().unwrap_or(0);
        // A single body may exceed the share: the limits of its stream or of the server apply
        // instead.
        let has_others = taken > self.bytes.len();
        if left < room.scarce && has_others && taken + bytes.len() > room.share {
            return false;
        }
        room.left = left;
        *room.taken.entry(self.address).or_default() += bytes.len();
        self.bytes.extend_from_slice(bytes);
        true
    }
}

impl Drop for KeptBody {
    fn drop(&mut self) {
        if self.bytes.is_empty() {
            return;
        }
        let mut room = self.room.lock();
        room.left += self.bytes.len();
        if let Some(taken) = room.taken.get_mut(&self.address) {
            *taken -= self.bytes.len();
            if *taken == 0 {
                room.taken.remove(&self.address);
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
    fn bodies_have_a_bound_together_and_what_is_over_makes_room() {
        let room = BodyRoom::new(10, 10);
        let (here, there) = (address("10.0.0.1"), address("10.0.0.2"));
        let (mut one, mut other) = (room.body(here), room.body(there));
        assert!(one.keep(b"12345") && !other.keep(b"123456") && other.keep(b"12345"));
        assert!(!one.keep(b"6"));
        drop(other);
        assert!(one.keep(b"67890"));
        assert_eq!(one.bytes(), b"1234567890");
        drop(one);
        assert_eq!(room.lock().left, 10);
        assert!(room.lock().taken.is_empty());
    }

    #[test]
    fn one_address_does_not_take_all() {
        let room = BodyRoom::new(100, 10);
        let (here, there) = (address("10.0.0.1"), address("10.0.0.2"));
        let (mut one, mut two) = (room.body(here), room.body(here));
        assert!(one.keep(&[0; 30]) && two.keep(&[0; 20]));
        assert!(!two.keep(b"1") && !one.keep(b"1"), "both together have more than their share");
        let mut other = room.body(there);
        assert!(other.keep(&[0; 9]) && room.body(there).keep(b"1"), "others have theirs");
        drop(two);
        assert!(one.keep(&[0; 60]), "one alone may be as large as there is room");
        assert!(!room.body(here).keep(b"1"));
    }
}
