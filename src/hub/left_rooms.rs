//! Rooms in which nobody is any more who has come by themselves.

use super::room::RoomIx;
use crate::base::{Shares, UserId};
use std::collections::BTreeMap;

/// By whom rooms were left in which nobody else was, but for those whom others had brought in: they are theirs among all
/// rooms, until somebody comes in by themselves, or they end. Of those that were left before the start nobody knows
/// whose they are.
#[derive(Debug, Default)]
pub(super) struct LeftRooms {
    left_by: BTreeMap<RoomIx, UserId>,
    left: Shares<UserId>,
}

impl LeftRooms {
    /// The last one who had come by themselves has left a room, or was removed.
    pub(super) fn add(&mut self, room: RoomIx, by: UserId) {
        self.left.add(&by, 1);
        if let Some(before) = self.left_by.insert(room, by) {
            self.left.remove(&before, 1);
        }
    }

    /// Somebody has come into a room by themselves, or it has ended.
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
