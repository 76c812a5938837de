//! A user: their connections, their rooms, and what was announced of them.

use crate::base::{ConnId, Few, Moment, Timestamp, UserId};
use slab::Slab;
use std::ops::{Index, IndexMut};
use std::sync::Arc;

/// The place of a user in the hub's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct UserIx(pub(super) u32);

impl Index<UserIx> for Slab<User> {
    type Output = User;

    fn index(&self, ix: UserIx) -> &User {
        &self[ix.0 as usize]
    }
}

impl IndexMut<UserIx> for Slab<User> {
    fn index_mut(&mut self, ix: UserIx) -> &mut User {
        &mut self[ix.0 as usize]
    }
}

/// Somebody who is online, or a member of a room.
#[derive(Debug)]
pub(super) struct User {
    pub(super) id: UserId,
    /// Their display name, where it is not their id.
    pub(super) name: Option<Arc<str>>,
    pub(super) conns: Few<ConnId>,
    pub(super) rooms: Few<super::room::RoomIx>,
    /// Rooms that they created or joined themselves.
    pub(super) own_rooms: u32,
    /// Rooms that they asked to create or join, which is not committed.
    pub(super) pending_rooms: u32,
    /// Rooms of direct messages in which they wrote.
    pub(super) direct_rooms: u32,
    /// First messages of theirs, with which such rooms come into being, that are not committed.
    pub(super) pending_direct_rooms: u32,
    /// Rooms that others brought them into, those of direct messages apart.
    pub(super) added_rooms: u32,
    /// Such rooms that are on their way to the store.
    pub(super) pending_added_rooms: u32,
    /// Rooms to which they are invited.
    pub(super) invites: Few<super::room::RoomIx>,
    /// Of the first of their connections.
    pub(super) since: Timestamp,
    /// What others were told last.
    pub(super) is_announced: bool,
    /// They stand in the list of changes.
    pub(super) is_changed: bool,
    /// How often had been listed who is online when they last came or went out of quiet: if it was
    /// since, they are told even if nothing differs, as somebody has seen what was true for a
    /// moment.
    pub(super) lists_before: u64,
    /// Until when their going is not told; [`Moment::NEVER`] while they are online or it was told.
    pub(super) grace: Moment,
}

impl User {
    pub(super) fn new(id: UserId) -> User {
        User {
            id,
            name: None,
            conns: Few::new(),
            rooms: Few::new(),
            own_rooms: 0,
            pending_rooms: 0,
            direct_rooms: 0,
            pending_direct_rooms: 0,
            added_rooms: 0,
            pending_added_rooms: 0,
            invites: Few::new(),
            since: Timestamp(0),
            is_announced: false,
            is_changed: false,
            lists_before: 0,
            grace: Moment::NEVER,
        }
    }

    pub(super) fn is_online(&self) -> bool {
        !self.conns.as_slice().is_empty()
    }

    /// Whether nothing needs this user to be remembered.
    pub(super) fn is_forgettable(&self) -> bool {
        self.conns.as_slice().is_empty()
            && self.rooms.as_slice().is_empty()
            && self.invites.as_slice().is_empty()
            && self.pending_rooms == 0
            && self.pending_direct_rooms == 0
            && self.pending_added_rooms == 0
            && !self.is_announced
            && !self.is_changed
            && self.grace == Moment::NEVER
    }
}
