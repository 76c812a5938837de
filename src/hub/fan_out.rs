//! The receivers of an entry: every connection that follows its room and is at the head.

use super::cursor::Cursor;
use super::hub::Hub;
use super::room::RoomIx;
use crate::base::{ConnId, Effects, Entry, EntryKind, Notice, Timestamp, UserId};
use std::sync::Arc;

impl Hub {
    /// Delivers a room's newest entry. Only the author's own connections get its `cid`, so there
    /// are at most two frames, however many receivers. They are sent to first, as one of them waits
    /// for that.
    pub(super) fn fan_out(&self, room: RoomIx, entry: &Arc<Entry>, effects: &mut Effects) {
        let of_room = &self.rooms[room];
        let live = of_room
            .followers
            .iter()
            .filter(|(_, cursor)| **cursor == Cursor::Live)
            .map(|(conn, _)| *conn);
        let EntryKind::Message { from: author, cid, .. } = &entry.kind else {
            self.deliver_live(entry, room, false, live, effects);
            return;
        };
        let own = self.connections_of(author);
        let is_live = |conn: &&ConnId| of_room.followers.get(conn) == Some(&Cursor::Live);
        let own_live = own.iter().filter(is_live).copied();
        let others = live.filter(|conn| !own.contains(conn));
        if cid.is_some() || !self.positions.is_empty() {
            self.deliver_live(entry, room, cid.is_some(), own_live, effects);
            self.deliver_live(entry, room, false, others, effects);
        } else {
            self.deliver_live(entry, room, false, own_live.chain(others), effects);
        }
    }

    fn deliver_live(
        &self,
        entry: &Arc<Entry>,
        room: RoomIx,
        with_cid: bool,
        to: impl Iterator<Item = ConnId>,
        effects: &mut Effects,
    ) {
        if self.positions.is_empty() {
            effects.deliver(notice(entry, room, with_cid, None), to);
            return;
        }
        let (told, others) = self.by_position(to);
        effects.deliver(notice(entry, room, with_cid, Some(entry.ts)), told);
        effects.deliver(notice(entry, room, with_cid, None), others);
    }
}

fn notice(entry: &Arc<Entry>, room: RoomIx, with_cid: bool, position: Option<Timestamp>) -> Notice {
    Notice::Entry { entry: Arc::clone(entry), with_cid, source: room.0, position }
}

/// An entry as one user receives it.
pub(super) fn entry_notice(
    entry: &Arc<Entry>,
    room: RoomIx,
    to: &UserId,
    position: Option<Timestamp>,
) -> Notice {
    let is_author = matches!(&entry.kind, EntryKind::Message { from, .. } if from == to);
    notice(entry, room, is_author, position)
}
