//! What the bodies of requests that are on their way may hold: all together, and those of one address.

use crate::base::Address;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

/// The room that there is for bodies.
#[derive(Clone, Debug)]
pub(super) struct BodyRoom(Rc<RefCell<BodyRoomLeft>>);

#[derive(Debug)]
struct BodyRoomLeft {
    left: usize,
    /// When less is left, one address may have no more than its share, unless that is a single body.
    scarce: usize,
    share: usize,
    /// By those who have taken some.
    taken: HashMap<Address, usize>,
}

/// What has come of a body: it is counted for as long as it is there.
#[derive(Debug)]
pub(super) struct KeptBody {
    bytes: Vec<u8>,
    address: Address,
    room: BodyRoom,
}

impl BodyRoom {
    /// Room for so many bytes, of which one address may take a `share` when half is taken.
    pub(super) fn new(bytes: usize, share: usize) -> BodyRoom {
        let (scarce, taken) = (bytes / 2, HashMap::new());
        BodyRoom(Rc::new(RefCell::new(BodyRoomLeft { left: bytes, scarce, share, taken })))
    }

    /// A body of somebody at an address, of which nothing has come.
    pub(super) fn body(&self, address: Address) -> KeptBody {
        KeptBody { bytes: Vec::new(), address, room: self.clone() }
    }
}

impl KeptBody {
    /// What has come of it.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Keeps bytes that came: memory follows them, not what was announced. Tells whether there was room.
    pub(super) fn keep(&mut self, bytes: &[u8]) -> bool {
        let mut room = self.room.0.borrow_mut();
        let Some(left) = room.left.checked_sub(bytes.len()) else { return false };
        let taken = room.taken.get(&self.address).copied().unwrap_or(0);
        // One alone may be larger than the share: its stream, or its server, takes such.
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
        let mut room = self.room.0.borrow_mut();
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
        assert_eq!(room.0.borrow().left, 10);
        assert!(room.0.borrow().taken.is_empty());
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
