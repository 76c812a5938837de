//! What the journal has, done again in memory, as far as the tables do not have it.

use super::hot::{HotRoom, HotRooms, room_in};
use super::journal::JournalRecord;
use super::rows::{damaged, find_row, parsed};
use crate::base::{Body, EntryKind, RoomId, Timestamp, UserId};
use rusqlite::{Connection, Result};
use std::collections::HashMap;
use std::sync::Arc;

/// Puts the journal's rows into memory.
pub(super) struct JournalReplay<'a> {
    pub(super) db: &'a Connection,
    pub(super) hot: HotRooms,
    /// The rooms that were looked up.
    names: HashMap<i64, RoomId>,
}

impl JournalReplay<'_> {
    pub(super) fn new(db: &Connection) -> JournalReplay<'_> {
        JournalReplay { db, hot: HotRooms::default(), names: HashMap::new() }
    }

    /// Does again what a row of the journal says.
    ///
    /// # Errors
    /// Damage: of its room, of a member, or a hole in the log. Then nothing of it is done.
    pub(super) fn redo(&mut self, n: u64, record: JournalRecord<'_>) -> Result<()> {
        let (JournalRecord::Message { room, .. }
        | JournalRecord::Read { room, .. }
        | JournalRecord::Delivered { room, .. }) = record;
        let name = self.name(room)?;
        let found = room_in(&mut self.hot.rooms, self.db, &name)?;
        let hot = found.ok_or_else(|| damaged(format!("room {name} is not found by its name")))?;
        let before = hot.unmerged;
        redo(self.db, hot, record)?;
        let changes = hot.unmerged - before;
        if hot.unmerged > 0 && hot.since.is_none() {
            hot.since = Some(n);
            self.hot.queue.push_back((n, name));
        }
        self.hot.unmerged += changes;
        Ok(())
    }

    /// Nothing is in no table.
    pub(super) fn is_empty(&self) -> bool {
        self.hot.unmerged == 0
    }

    fn name(&mut self, room: i64) -> Result<RoomId> {
        if let Some(name) = self.names.get(&room) {
            return Ok(name.clone());
        }
        let sql = "SELECT name FROM rooms WHERE id = ?1";
        let name =
            find_row(self.db, sql, [room], |row| parsed(RoomId::parse(row.get_ref(0)?.as_str()?)))?;
        let name =
            name.ok_or_else(|| damaged(format!("the journal's room {room} is not there")))?;
        self.names.insert(room, name.clone());
        Ok(name)
    }
}

/// Does again what a record has changed.
fn redo(db: &Connection, hot: &mut HotRoom, record: JournalRecord<'_>) -> Result<()> {
    let user = |name: &str| parsed(UserId::parse_any(name));
    match record {
        JournalRecord::Message { seq, ts, messages, from, text, data, reply_to, cid, .. } => {
            let from = user(&from)?;
            // Who has left has no mark.
            let is_moved = hot.member(db, &from)?.is_some_and(|author| author.state.read < seq);
            let is_new = seq > hot.row.state.head;
            if is_new {
                let body = Body { text: text.into(), data: data.map(Arc::from), reply_to };
                let kind = EntryKind::Message {
                    from: from.clone(),
                    body: Box::new(body),
                    cid: cid.map(Arc::from),
                    changes: None,
                };
                let mut row = hot.row.clone();
                let entry = row.append(Timestamp(ts), kind);
                if (entry.seq, entry.ts, row.state.messages) != (seq, Timestamp(ts), messages) {
                    return Err(damaged(format!(
                        "entry {seq} of room {} does not go on where its log ends",
                        entry.room
                    )));
                }
                hot.row = row;
                hot.push(Arc::new(entry));
            }
            if is_moved && let Some(author) = hot.member(db, &from)? {
                author.has_written(seq, messages);
            }
            hot.unmerged += usize::from(is_moved && !is_new);
            Ok(())
        }
        JournalRecord::Read { user: name, seq, messages, deleted, .. } => {
            let Some(member) = hot.member(db, &user(&name)?)? else { return Ok(()) };
            let is_moved = member.state.read < seq;
            if is_moved {
                member.has_read(seq, messages, deleted);
            }
            hot.unmerged += usize::from(is_moved);
            Ok(())
        }
        JournalRecord::Delivered { user: name, seq, .. } => {
            let Some(member) = hot.member(db, &user(&name)?)? else { return Ok(()) };
            let is_moved = member.state.delivered < seq;
            if is_moved {
                (member.state.delivered, member.is_changed) = (seq, true);
            }
            hot.unmerged += usize::from(is_moved);
            Ok(())
        }
    }
}
