//! Rooms in which nobody is any more.

use super::room::RoomIx;
use crate::base::{Shares, UserId};
use std::collections::BTreeMap;

/// By whom rooms were left that had nobody else in them: they are theirs among all rooms, until somebody comes in or
/// they end. Of those that were left before the start nobody knows whose they are.
#[derive(Debug, Default)]
pub(super) struct LeftRooms {
    left_by: BTreeMap<RoomIx, UserId>,
    left: Shares<UserId>,
}

impl LeftRooms {
    /// The last one has left a room.
    pub(super) fn add(&mut self, room: RoomIx, by: UserId) {
        self.left.add(&by, 1);
        if let Some(before) = self.left_by.insert(room, by) {
            self.left.remove(&before, 1);
        }
    }

    /// Somebody is in a room again, or it has ended.
    pub(super) fn remove(&mut self, room: RoomIx) {
        if let Some(by) = self.left_by.remove(&room) {
            self.left.remove(&by, 1);
        }
    }

    /// How many somebody has left.
    pub(super) fn of(&self, user: &UserId) -> u64 {
        self.left.of(user)
    }
}
