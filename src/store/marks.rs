//! How much of a log is kept, and the marks that move by that.

use super::rows::{entry_at, find_entry, find_room, save_room, unsigned};
use super::seek::first_not;
use super::write::RecordWriter;
use crate::base::limits::TRIM_ENTRIES_MAX;
use crate::base::{Outcome, RoomId, Timestamp, Trimmed, What, Written};
use rusqlite::{Connection, Result, params};

impl RecordWriter<'_> {
    /// Removes the oldest entries: those before an entry, and those no newer than a time, but at
    /// most [`TRIM_ENTRIES_MAX`].
    pub(super) fn trim(
        &self,
        room: &RoomId,
        before: u64,
        older_than: Timestamp,
    ) -> Result<Written> {
        let db = self.db;
        let Some(mut row) = find_room(db, room)? else { return Ok(Outcome::NotMember.into()) };
        let end = row.state.head + 1;
        let most = (row.state.first + TRIM_ENTRIES_MAX).min(end);
        // Usually nothing is too old.
        let is_too_old = |ts| ts <= older_than;
        let newer = match is_too_old(row.state.first_ts) {
            true => first_not(db, &row, is_too_old)?,
            false => row.state.first,
        };
        let kept_from = before.max(newer).min(end);
        let first = kept_from.min(most);
        if first <= row.state.first {
            return Ok(Outcome::Done.into());
        }
        let last_gone = entry_at(db, &row, first - 1)?;
        let next = find_entry(db, &row, first)?;
        for sql in [
            "DELETE FROM entries WHERE room = ?1 AND seq < ?2",
            "DELETE FROM reactions WHERE room = ?1 AND target < ?2",
        ] {
            db.prepare_cached(sql)?.execute(params![row.id, first as i64])?;
        }
        row.state.first = first;
        row.state.first_ts = next.map_or(Timestamp(0), |next| next.entry.ts);
        row.state.first_messages = last_gone.messages;
        save_room(db, &row)?;
        let (first_ts, messages) = (row.state.first_ts, row.state.first_messages);
        let deleted = deleted_after(db, row.id, first - 1)?;
        // No mark stays before what is kept.
        let sql = "UPDATE members SET read = ?2, read_messages = ?3, deleted_unread = ?4, \
             sum = row_sum('members', room, user, joined, ?2, ?3, ?4, delivered, has_written, own) \
             WHERE room = ?1 AND read < ?2 \
             AND sum = row_sum('members', room, user, joined, read, read_messages, deleted_unread, \
             delivered, has_written, own)";
        db.prepare_cached(sql)?.execute([
            row.id,
            (first - 1) as i64,
            messages as i64,
            deleted as i64,
        ])?;
        let is_last = row.state.is_ended && first > row.state.head;
        let trimmed = Trimmed { first, kept_from, first_ts, messages, deleted, is_last };
        Ok(Written::room(row.state.room, What::Trimmed(trimmed)))
    }
}

/// How many messages after an entry are deleted.
pub(super) fn deleted_after(db: &Connection, room: i64, seq: u64) -> Result<u64> {
    let sql = "SELECT count(*) FROM entries WHERE room = ?1 AND seq > ?2 AND deleted IS NOT NULL";
    db.prepare_cached(sql)?.query_row(params![room, seq as i64], |row| unsigned(row, 0))
}
