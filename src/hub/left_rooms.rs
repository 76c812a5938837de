//! Rooms that have no member left who came by themselves.

use super::room::RoomIx;
use crate::base::{Shares, UserId};
use std::collections::BTreeMap;

/// Counts rooms against the last user who left, if all other members were added by somebody else. A
/// room counts until somebody joins by themselves, or it ends. Rooms left before the server's start
/// count for nobody.
#[derive(Debug, Default)]
pub(super) struct LeftRooms {
    left_by: BTreeMap<RoomIx, UserId>,
    left: Shares<UserId>,
}

impl LeftRooms {
    /// The last member who came by themselves has left a room, or was removed.
    pub(super) fn add(&mut self, room: RoomIx, by: UserId) {
        self.left.add(&by, 1);
        if let Some(before) = self.left_by.insert(room, by) {
            self.left.remove(&before, 1);
        }
    }

    /// Somebody has joined a room by themselves, or it has ended.
    pub(super) fn remove(&mut self, room: RoomIx) {
        if let Some(by) = self.left_by.remove(&room) {
            self.left.remove(&by, 1);
        }
    }

    pub(super) fn of(&self, user: &UserId) -> u64 {
        self.left.of(user)
    }
}
