//! How far members have read and received, and how much of a log is kept.

use super::rows::{
    entry_at, find_entry, find_live_room, find_member, find_room, save_member, save_room, unsigned,
};
use super::seek::first_not;
use super::write::RecordWriter;
use crate::base::limits::TRIM_ENTRIES_MAX;
use crate::base::{Outcome, RoomId, StoreChange, Timestamp, Trimmed, UserId, What, Written};
use rusqlite::{Connection, Result, params};

impl RecordWriter<'_> {
    pub(super) fn read(&self, room: &RoomId, user: &UserId, seq: u64) -> Result<Written> {
        let db = self.db;
        let Some(row) = find_live_room(db, room)? else { return Ok(Outcome::NotMember.into()) };
        let Some(mut member) = find_member(db, row.id, user)? else {
            return Ok(Outcome::NotMember.into());
        };
        let seq = seq.min(row.state.head);
        if seq <= member.read {
            return Ok(Outcome::Done.into());
        }
        let messages = entry_at(db, &row, seq)?.messages;
        let deleted = deleted_after(db, row.id, seq)?;
        (member.read, member.read_messages, member.deleted_unread) = (seq, messages, deleted);
        save_member(db, row.id, user, &member)?;
        let what = What::Read { user: user.clone(), seq, messages, deleted };
        Ok(Written::room(row.state.room, what))
    }

    /// Skips rooms that do not exist or that the user is not in: they may have left meanwhile.
    pub(super) fn delivered(&self, user: &UserId, marks: &[(RoomId, u64)]) -> Result<Written> {
        let mut moved = Vec::with_capacity(marks.len());
        for (room, seq) in marks {
            let Some(row) = find_live_room(self.db, room)? else { continue };
            let Some(mut member) = find_member(self.db, row.id, user)? else { continue };
            let seq = (*seq).min(row.state.head);
            if seq > member.delivered {
                member.delivered = seq;
                save_member(self.db, row.id, user, &member)?;
                moved.push((row.state.room, seq));
            }
        }
        if moved.is_empty() {
            return Ok(Outcome::Done.into());
        }
        Ok(Written::Changed(StoreChange::Delivered { user: user.clone(), marks: moved }))
    }

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
