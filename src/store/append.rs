//! The end of a room's log: the next entry, and its row.

use super::rows::{INSERT_ENTRY, RoomRow, digest};
use crate::base::{Entry, EntryKind, Timestamp, UserId};
use rusqlite::types::Null;
use rusqlite::{Connection, Result, params};

impl RoomRow {
    /// The next entry, with the next `seq`. The room counts it; neither row is written.
    pub(super) fn append(&mut self, now: Timestamp, kind: EntryKind) -> Entry {
        let state = &mut self.state;
        state.head += 1;
        state.ts = state.ts.max(now);
        state.messages += u64::from(matches!(kind, EntryKind::Message { .. }));
        if state.first == state.head {
            state.first_ts = state.ts;
        }
        Entry { room: state.room.clone(), seq: state.head, ts: state.ts, kind }
    }
}

/// Writes the row of a new entry, up to which there are so many `messages`.
pub(super) fn insert_entry(db: &Connection, room: i64, entry: &Entry, messages: u64) -> Result<()> {
    let (name, user, by, target) = match &entry.kind {
        EntryKind::Message { from, .. } => ("message", from, None, None),
        EntryKind::Edited { target, by, .. } => ("edited", by, None, Some(*target)),
        EntryKind::Deleted { target, by } => ("deleted", by, None, Some(*target)),
        EntryKind::Reacted { target, by, .. } => ("reacted", by, None, Some(*target)),
        EntryKind::Joined { user, by } => ("joined", user, by.as_ref(), None),
        EntryKind::Left { user, by } => ("left", user, by.as_ref(), None),
    };
    let (body, cid) = match &entry.kind {
        EntryKind::Message { body, cid, .. } => (Some(body), cid.as_deref()),
        _ => (None, None),
    };
    let text = match &entry.kind {
        EntryKind::Edited { text, .. } => text.as_deref(),
        _ => body.map(|body| &*body.text),
    };
    let (emoji, is_on) = match &entry.kind {
        EntryKind::Reacted { emoji, on, .. } => (Some(&**emoji), Some(*on)),
        _ => (None, None),
    };
    db.prepare_cached(INSERT_ENTRY)?.execute(params![
        room,
        entry.seq as i64,
        entry.ts.0,
        name,
        user.as_str(),
        by.map(UserId::as_str),
        text,
        body.and_then(|body| body.data.as_deref()),
        body.and_then(|body| body.reply_to).map(|seq| seq as i64),
        target.map(|seq| seq as i64),
        emoji,
        is_on,
        cid,
        body.filter(|_| cid.is_some()).map(|body| digest(body)),
        messages as i64,
        Null,
        Null,
    ])?;
    Ok(())
}
