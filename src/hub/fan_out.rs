//! Who gets an entry: every connection that follows its room and is at the head.

use super::cursor::Cursor;
use super::effect::{Effects, Notice};
use super::hub::Hub;
use super::room::RoomIx;
use crate::base::{ConnId, Entry, EntryKind, UserId};
use std::rc::Rc;

impl Hub {
    /// Delivers a room's newest entry. The author's own connections are told the author's own id
    /// for it, the others are not: two frames at most, however many recipients.
    pub(super) fn fan_out(&self, room: RoomIx, entry: &Rc<Entry>, effects: &mut Effects) {
        let of_room = &self.rooms[room.0 as usize];
        let live = of_room
            .followers
            .iter()
            .filter(|(_, cursor)| **cursor == Cursor::Live)
            .map(|(conn, _)| *conn);
        let author = match &entry.kind {
            EntryKind::Message { from, cid: Some(_), .. } => Some(from),
            _ => None,
        };
        let Some(author) = author else {
            effects.deliver(notice(entry, room, false), live);
            return;
        };
        let own = self.connections_of(author);
        let is_live = |conn: &&ConnId| of_room.followers.get(conn) == Some(&Cursor::Live);
        effects.deliver(notice(entry, room, true), own.iter().filter(is_live).copied());
        effects.deliver(notice(entry, room, false), live.filter(|conn| !own.contains(conn)));
    }
}

fn notice(entry: &Rc<Entry>, room: RoomIx, with_cid: bool) -> Notice {
    Notice::Entry { entry: Rc::clone(entry), with_cid, source: room.0 }
}

/// An entry as one user is told it.
pub(super) fn entry_notice(entry: &Rc<Entry>, room: RoomIx, to: &UserId) -> Notice {
    let is_author = matches!(&entry.kind, EntryKind::Message { from, .. } if from == to);
    notice(entry, room, is_author)
}
