//! Messages: edited, deleted, reacted to. How they are sent is in `hot`.

use super::append::insert_entry;
use super::pages;
use super::rows::{EntryRow, RoomRow, entry_at, find_entry, find_live_room, find_row, save_room};
use super::sums::check;
use super::write::RecordWriter;
use crate::base::limits::REACTIONS_PER_MESSAGE_MAX;
use crate::base::{Authority, Entry, EntryKind, Outcome, RoomId, UserId, What, Written};
use rusqlite::{Result, params};
use std::sync::Arc;

impl RecordWriter<'_> {
    pub(super) fn edit(
        &self,
        room: &RoomId,
        target: u64,
        text: &Arc<str>,
        by: &UserId,
    ) -> Result<Written> {
        let Some(mut row) = self.room_of_member(room, by)? else {
            return Ok(Outcome::NotMember.into());
        };
        let Some(message) = self.find_message(&row, target)? else {
            return Ok(Outcome::NoSuchMessage.into());
        };
        let EntryKind::Message { from, body, .. } = &message.entry.kind else {
            return Ok(Outcome::NoSuchMessage.into());
        };
        if from != by {
            return Ok(Outcome::NotAuthor.into());
        }
        if body.text == *text {
            return self.unchanged(&row, message.edited.unwrap_or(target));
        }
        let kind = EntryKind::Edited { target, text: Some(Arc::clone(text)), by: by.clone() };
        let entry = self.append(&mut row, kind)?;
        let sql = "UPDATE entries SET text = ?3, edited = ?4, \
             sum = row_sum('entries', room, seq, ts, kind, user, by, ?3, data, reply_to, \
             target, emoji, is_on, cid, digest, messages, ?4, deleted, reacted) \
             WHERE room = ?1 AND seq = ?2";
        self.db.prepare_cached(sql)?.execute(params![
            row.id,
            target as i64,
            &**text,
            entry.seq as i64
        ])?;
        self.altered(row, target, entry)
    }

    pub(super) fn delete(&self, room: &RoomId, target: u64, by: &Authority) -> Result<Written> {
        let db = self.db;
        let found = match by.is_admin() {
            true => find_live_room(db, room)?,
            false => self.room_of_member(room, &by.user)?,
        };
        let Some(mut row) = found else { return Ok(Outcome::NotMember.into()) };
        let is_moderator = by.manages(&row.state);
        let by = &by.user;
        let Some(message) = find_entry(db, &row, target)? else {
            return Ok(Outcome::NoSuchMessage.into());
        };
        let EntryKind::Message { from, .. } = &message.entry.kind else {
            return Ok(Outcome::NoSuchMessage.into());
        };
        if from != by && !is_moderator {
            return Ok(Outcome::NotAuthor.into());
        }
        if let Some(deleted) = message.deleted {
            return self.unchanged(&row, deleted);
        }
        let kind = EntryKind::Deleted { target, by: by.clone() };
        let entry = self.append(&mut row, kind)?;
        let key = [row.id, target as i64];
        let sql = "UPDATE entries SET text = NULL, data = NULL, deleted = ?3, reacted = 0, \
             sum = row_sum('entries', room, seq, ts, kind, user, by, NULL, NULL, reply_to, target, \
             emoji, is_on, cid, digest, messages, edited, ?3, 0) WHERE room = ?1 AND seq = ?2";
        db.prepare_cached(sql)?.execute(params![row.id, target as i64, entry.seq as i64])?;
        // The texts of its edits are removed, too. A damaged row stays damaged, and is shown to
        // nobody.
        let sql = "UPDATE entries SET text = NULL, \
             sum = row_sum('entries', room, seq, ts, kind, user, by, NULL, data, reply_to, target, \
             emoji, is_on, cid, digest, messages, edited, deleted, reacted) \
             WHERE room = ?1 AND target = ?2 AND kind = 'edited' \
             AND sum = row_sum('entries', room, seq, ts, kind, user, by, text, data, reply_to, \
             target, emoji, is_on, cid, digest, messages, edited, deleted, reacted)";
        db.prepare_cached(sql)?.execute(key)?;
        db.prepare_cached("DELETE FROM reactions WHERE room = ?1 AND target = ?2")?.execute(key)?;
        let sql = "UPDATE members SET deleted_unread = deleted_unread + 1, \
             sum = row_sum('members', room, user, joined, read, read_messages, deleted_unread + 1, \
             delivered, has_written, own) WHERE room = ?1 AND read < ?2 \
             AND sum = row_sum('members', room, user, joined, read, read_messages, deleted_unread, \
             delivered, has_written, own)";
        db.prepare_cached(sql)?.execute(key)?;
        self.altered(row, target, entry)
    }

    pub(super) fn react(
        &self,
        room: &RoomId,
        target: u64,
        emoji: &Arc<str>,
        on: bool,
        by: &UserId,
    ) -> Result<Written> {
        let db = self.db;
        let Some(mut row) = self.room_of_member(room, by)? else {
            return Ok(Outcome::NotMember.into());
        };
        if self.find_message(&row, target)?.is_none() {
            return Ok(Outcome::NoSuchMessage.into());
        }
        let (room, message) = (row.id, target as i64);
        let key = params![room, message, &**emoji, by.as_str()];
        let sql = "SELECT sum = row_sum('reactions', room, target, emoji, user, seq) \
             FROM reactions WHERE room = ?1 AND target = ?2 AND emoji = ?3 AND user = ?4";
        let holds = find_row(db, sql, key, |found| check(found, 0, "a reaction"))?;
        if holds.is_some() == on {
            let sql = "SELECT max(seq) FROM entries WHERE room = ?1 AND target = ?2 AND emoji = ?3 \
                 AND user = ?4 AND kind = 'reacted'";
            let newest: Option<i64> =
                db.prepare_cached(sql)?.query_row(key, |found| found.get(0))?;
            return self.unchanged(&row, newest.map_or(target, |seq| seq.max(0) as u64));
        }
        if on && self.is_full(&row, target, emoji, by)? {
            return Ok(Outcome::TooManyReactions.into());
        }
        let kind = EntryKind::Reacted { target, emoji: Arc::clone(emoji), on, by: by.clone() };
        let entry = self.append(&mut row, kind)?;
        if on {
            let sql = "INSERT INTO reactions (room, target, emoji, user, seq, sum) \
                 VALUES (?1, ?2, ?3, ?4, ?5, row_sum('reactions', ?1, ?2, ?3, ?4, ?5))";
            db.prepare_cached(sql)?.execute(params![
                room,
                message,
                &**emoji,
                by.as_str(),
                entry.seq as i64
            ])?;
        } else {
            let sql = "DELETE FROM reactions WHERE room = ?1 AND target = ?2 AND emoji = ?3 \
                 AND user = ?4";
            db.prepare_cached(sql)?.execute(key)?;
        }
        let sql = "UPDATE entries SET reacted = reacted + ?3, \
             sum = row_sum('entries', room, seq, ts, kind, user, by, text, data, reply_to, target, \
             emoji, is_on, cid, digest, messages, edited, deleted, reacted + ?3) \
             WHERE room = ?1 AND seq = ?2";
        db.prepare_cached(sql)?.execute(params![room, message, if on { 1 } else { -1 }])?;
        self.altered(row, target, entry)
    }

    /// Whether a user may not be the first to react to a message with an emoji. Nobody may have
    /// more different ones than are free, so that nobody takes all.
    fn is_full(&self, row: &RoomRow, target: u64, emoji: &Arc<str>, by: &UserId) -> Result<bool> {
        let others = pages::emojis(self.db, row.id, target)?;
        if others.contains(emoji) {
            return Ok(false);
        }
        let sql =
            "SELECT 1 FROM reactions WHERE room = ?1 AND target = ?2 AND emoji = ?3 AND user = ?4";
        let mut is_own = self.db.prepare_cached(sql)?;
        let mut own = 0;
        for other in &others {
            let key = params![row.id, target as i64, &**other, by.as_str()];
            own += usize::from(is_own.exists(key)?);
        }
        Ok(own >= REACTIONS_PER_MESSAGE_MAX.saturating_sub(others.len()))
    }

    /// A message that is not deleted.
    fn find_message(&self, row: &RoomRow, target: u64) -> Result<Option<EntryRow>> {
        let found = find_entry(self.db, row, target)?;
        Ok(found.filter(|found| found.entry.is_message() && found.deleted.is_none()))
    }

    fn altered(&self, row: RoomRow, target: u64, entry: Entry) -> Result<Written> {
        let found = entry_at(self.db, &row, target)?;
        let target = Box::new(pages::with_changes(self.db, row.id, found)?);
        Ok(Written::room(row.state.room, What::Altered { entry, target }))
    }

    fn unchanged(&self, row: &RoomRow, seq: u64) -> Result<Written> {
        let ts = entry_at(self.db, row, seq)?.entry.ts;
        Ok(Outcome::Earlier { seq, ts }.into())
    }

    /// Adds an entry to a room's log, with the next `seq`.
    pub(super) fn append(&self, row: &mut RoomRow, kind: EntryKind) -> Result<Entry> {
        let entry = row.append(self.now, kind);
        insert_entry(self.db, row.id, &entry, row.state.messages)?;
        save_room(self.db, row)?;
        Ok(entry)
    }
}
