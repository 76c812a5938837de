//! Records as SQL: rooms and their members. Everything runs within the worker's transaction.

use super::events::PublishedEvent;
use super::permits::{self, BANS, INVITES};
use super::rows::{
    RoomRow, count, find_live_room, find_member, find_room, find_row, insert_room, save_member,
    save_room, user_of,
};
use crate::base::{
    Entry, EntryKind, MemberState, Outcome, Record, RoomId, RoomState, Timestamp, UserId,
};
use rusqlite::{Connection, Result, params};
use std::sync::Arc;

/// Writes records at a time. It checks a record before it changes anything, so an error is the
/// database's, and the whole batch is rolled back.
pub(super) struct RecordWriter<'a> {
    pub(super) db: &'a Connection,
    pub(super) now: Timestamp,
}

impl RecordWriter<'_> {
    pub(super) fn write(&self, record: &Record) -> Result<Outcome> {
        match record {
            Record::Message { room, from, to, body, cid } => {
                self.send(room, from, to.as_ref(), body, cid.as_ref())
            }
            Record::Edit { room, target, text, by } => self.edit(room, *target, text, by),
            Record::Delete { room, target, by, is_moderator } => {
                self.delete(room, *target, by, *is_moderator)
            }
            Record::React { room, target, emoji, on, by } => {
                self.react(room, *target, emoji, *on, by)
            }
            Record::Create { room, title, open, owner, members, invited, is_own } => {
                if find_room(self.db, room)?.is_some() {
                    return Ok(Outcome::RoomExists);
                }
                let title = title.clone().unwrap_or_default();
                let state = RoomState::new(room.clone(), title, *open, Some(owner.clone()));
                self.people(insert_room(self.db, state)?, owner, *is_own, members, invited)
            }
            Record::Update { room, title, open, owner } => {
                self.update(room, title.as_ref(), *open, owner.as_ref())
            }
            Record::End { room } => self.end(room),
            Record::Join { room, user, by, is_own } => self.join(room, user, by.as_ref(), *is_own),
            Record::Invite { room, user, by } => self.invite(room, user, by),
            Record::Uninvite { room, user } => self.withdraw(INVITES, room, user),
            Record::Leave { room, user, by } => self.remove(room, user, by.as_ref()),
            Record::Ban { room, user, by } => self.ban(room, user, by),
            Record::Unban { room, user } => self.withdraw(BANS, room, user),
            Record::Read { room, user, seq } => self.read(room, user, *seq),
            Record::Delivered { user, marks } => self.delivered(user, marks),
            Record::Trim { room, before, older_than } => self.trim(room, *before, *older_than),
            Record::Event { stream, epoch, data, keep, id } => {
                self.publish(&PublishedEvent { stream, data, keep: *keep, id: id.as_ref() }, epoch)
            }
            Record::Repeat { of, limit, retry_after_ms } => {
                let over = Outcome::OverQuota { limit: *limit, retry_after_ms: *retry_after_ms };
                Ok(self.repeat(of)?.unwrap_or(over))
            }
            Record::Revoke { revocation, once } => self.revoke(revocation, *once),
            Record::Name { user, name } => self.name(user, name),
        }
    }

    /// What was stored before with the same id, if a record is only a repeat of it.
    fn repeat(&self, of: &Record) -> Result<Option<Outcome>> {
        match of {
            Record::Message { room, from, body, cid, .. } => {
                let Some(row) = find_live_room(self.db, room)? else { return Ok(None) };
                self.sent_before(&row, from, body, cid.as_ref())
            }
            Record::Event { stream, data, keep, id, .. } => {
                let event = PublishedEvent { stream, data, keep: *keep, id: id.as_ref() };
                self.published_before(&event)
            }
            _ => Ok(None),
        }
    }

    fn name(&self, user: &UserId, name: &str) -> Result<Outcome> {
        let is_known =
            self.db.prepare_cached("SELECT 1 FROM users WHERE id = ?1")?.exists([user.as_str()])?;
        if !is_known {
            count(self.db, "users", 1)?;
        }
        let sql = "INSERT INTO users (id, name, sum) VALUES (?1, ?2, row_sum('users', ?1, ?2)) \
             ON CONFLICT (id) DO UPDATE SET name = excluded.name, sum = excluded.sum";
        self.db.prepare_cached(sql)?.execute(params![user.as_str(), name])?;
        Ok(Outcome::Done)
    }

    fn invite(&self, room: &RoomId, user: &UserId, by: &UserId) -> Result<Outcome> {
        let db = self.db;
        let Some(mut row) = find_live_room(db, room)? else { return Ok(Outcome::NotMember) };
        // They may have joined in another way, or been banned, after this was decided.
        let is_void =
            find_member(db, row.id, user)?.is_some() || permits::has(db, BANS, row.id, user)?;
        if !is_void {
            permits::put(db, INVITES, &mut row, user, by)?;
            save_room(db, &row)?;
        }
        Ok(Outcome::Done)
    }

    /// Withdraws an invitation, or lifts a ban.
    fn withdraw(&self, table: &str, room: &RoomId, user: &UserId) -> Result<Outcome> {
        let Some(mut row) = find_live_room(self.db, room)? else { return Ok(Outcome::NotMember) };
        permits::take(self.db, table, &mut row, user)?;
        save_room(self.db, &row)?;
        Ok(Outcome::Done)
    }

    fn remove(&self, room: &RoomId, user: &UserId, by: Option<&UserId>) -> Result<Outcome> {
        let Some(mut row) = find_live_room(self.db, room)? else { return Ok(Outcome::NotMember) };
        if find_member(self.db, row.id, user)?.is_none() {
            return Ok(Outcome::NotMember);
        }
        let entries = vec![self.leave(&mut row, user, by)?];
        Ok(Outcome::Room { room: row.state, entries })
    }

    fn ban(&self, room: &RoomId, user: &UserId, by: &UserId) -> Result<Outcome> {
        let db = self.db;
        let Some(mut row) = find_live_room(db, room)? else { return Ok(Outcome::NotMember) };
        let mut entries = Vec::new();
        if find_member(db, row.id, user)?.is_some() {
            entries.push(self.leave(&mut row, user, Some(by))?);
        }
        permits::take(db, INVITES, &mut row, user)?;
        permits::put(db, BANS, &mut row, user, by)?;
        save_room(db, &row)?;
        Ok(Outcome::Room { room: row.state, entries })
    }

    /// Adds the people of a new room.
    fn people(
        &self,
        mut row: RoomRow,
        owner: &UserId,
        is_own: bool,
        members: &[UserId],
        invited: &[UserId],
    ) -> Result<Outcome> {
        let mut entries = vec![self.become_member(&mut row, owner, None, is_own)?];
        for member in members.iter().filter(|member| *member != owner) {
            if find_member(self.db, row.id, member)?.is_none() {
                entries.push(self.become_member(&mut row, member, Some(owner), false)?);
            }
        }
        for user in invited {
            if find_member(self.db, row.id, user)?.is_none() {
                permits::put(self.db, INVITES, &mut row, user, owner)?;
            }
        }
        if !invited.is_empty() {
            save_room(self.db, &row)?;
        }
        Ok(Outcome::Room { room: row.state, entries })
    }

    fn update(
        &self,
        room: &RoomId,
        title: Option<&Arc<str>>,
        open: Option<bool>,
        owner: Option<&UserId>,
    ) -> Result<Outcome> {
        let Some(mut row) = find_live_room(self.db, room)? else { return Ok(Outcome::NotMember) };
        if let Some(owner) = owner {
            if find_member(self.db, row.id, owner)?.is_none() {
                return Ok(Outcome::NotMember);
            }
            row.state.owner = Some(owner.clone());
        }
        if let Some(title) = title {
            row.state.title = Arc::clone(title);
        }
        row.state.is_open = open.unwrap_or(row.state.is_open);
        save_room(self.db, &row)?;
        Ok(Outcome::Room { room: row.state, entries: Vec::new() })
    }

    /// The log is removed later, some entries at a time: see [`RecordWriter::trim`].
    fn end(&self, room: &RoomId) -> Result<Outcome> {
        let Some(mut row) = find_live_room(self.db, room)? else { return Ok(Outcome::NotMember) };
        for table in ["members", INVITES, BANS] {
            let sql = format!("DELETE FROM {table} WHERE room = ?1");
            self.db.prepare_cached(&sql)?.execute([row.id])?;
        }
        row.state.is_ended = true;
        row.state.owner = None;
        row.state.title = "".into();
        row.people = 0;
        save_room(self.db, &row)?;
        Ok(Outcome::Room { room: row.state, entries: Vec::new() })
    }

    fn join(
        &self,
        room: &RoomId,
        user: &UserId,
        by: Option<&UserId>,
        is_own: bool,
    ) -> Result<Outcome> {
        let db = self.db;
        let mut row = match find_room(db, room)? {
            Some(row) if row.state.is_ended => return Ok(Outcome::NotMember),
            Some(row) => row,
            None if is_own => {
                let owner = Some(user.clone());
                insert_room(db, RoomState::new(room.clone(), "".into(), true, owner))?
            }
            None => return Ok(Outcome::NotMember),
        };
        if find_member(db, row.id, user)?.is_some() {
            return Ok(Outcome::Room { room: row.state, entries: Vec::new() });
        }
        if permits::has(db, BANS, row.id, user)? {
            return Ok(Outcome::Banned);
        }
        // The room may have been created after this was decided.
        if is_own && !row.state.is_open && !permits::has(db, INVITES, row.id, user)? {
            return Ok(Outcome::NotMember);
        }
        permits::take(db, INVITES, &mut row, user)?;
        if row.state.owner.is_none() {
            row.state.owner = Some(user.clone());
        }
        let entries = vec![self.become_member(&mut row, user, by, is_own)?];
        Ok(Outcome::Room { room: row.state, entries })
    }

    fn become_member(
        &self,
        row: &mut RoomRow,
        user: &UserId,
        by: Option<&UserId>,
        is_own: bool,
    ) -> Result<Entry> {
        row.people += 1;
        let kind = EntryKind::Joined { user: user.clone(), by: by.cloned() };
        let entry = self.append(row, kind)?;
        let member = MemberState {
            joined: entry.seq,
            read: entry.seq,
            read_messages: row.state.messages,
            delivered: entry.seq,
            is_own,
            ..MemberState::default()
        };
        save_member(self.db, row.id, user, &member)?;
        Ok(entry)
    }

    fn leave(&self, row: &mut RoomRow, user: &UserId, by: Option<&UserId>) -> Result<Entry> {
        self.db
            .prepare_cached("DELETE FROM members WHERE room = ?1 AND user = ?2")?
            .execute(params![row.id, user.as_str()])?;
        row.people = row.people.saturating_sub(1);
        if row.state.owner.as_ref() == Some(user) {
            let sql = "SELECT user FROM members WHERE room = ?1 ORDER BY joined LIMIT 1";
            row.state.owner = find_row(self.db, sql, [row.id], |heir| user_of(heir, 0))?;
        }
        self.append(row, EntryKind::Left { user: user.clone(), by: by.cloned() })
    }
}
