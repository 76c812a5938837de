//! Records as SQL: rooms and their members. Everything runs within the worker's transaction.

use super::events::PublishedEvent;
use super::hot::{HotRooms, SentMessage};
use super::permits::{self, BANS, INVITES};
use super::rows::{
    RoomRow, count, find_live_room, find_member, find_room, find_row, insert_room, save_member,
    save_room, user_of,
};
use crate::base::{
    Authority, Entry, EntryKind, MemberState, Outcome, Record, RoomId, RoomState, StoreChange,
    Timestamp, UserId, What, Written,
};
use rusqlite::{Connection, Result, params};
use std::sync::Arc;

/// The room that a record changes in the tables.
fn room_in_tables(record: &Record) -> Option<&RoomId> {
    match record {
        Record::Edit { room, .. }
        | Record::Delete { room, .. }
        | Record::React { room, .. }
        | Record::Create { room, .. }
        | Record::Update { room, .. }
        | Record::End { room, .. }
        | Record::Join { room, .. }
        | Record::Invite { room, .. }
        | Record::Uninvite { room, .. }
        | Record::Leave { room, .. }
        | Record::Ban { room, .. }
        | Record::Unban { room, .. }
        | Record::Trim { room, .. } => Some(room),
        Record::Message { .. }
        | Record::Read { .. }
        | Record::Delivered { .. }
        | Record::Event { .. }
        | Record::Repeat { .. }
        | Record::Revoke { .. }
        | Record::Name { .. } => None,
    }
}

/// Writes records at a time. It checks a record before it changes anything, so an error is the
/// database's, and the whole batch is rolled back.
pub(super) struct RecordWriter<'a> {
    pub(super) db: &'a Connection,
    pub(super) now: Timestamp,
}

impl RecordWriter<'_> {
    /// Writes a record: to rooms in memory, if it is a message or a mark. Another one changes the
    /// tables, so its room must be there.
    pub(super) fn write(&self, hot: &mut HotRooms, record: &Record) -> Result<Written> {
        if let Some(room) = room_in_tables(record) {
            hot.evict(self.db, room)?;
        }
        hot.now = self.now;
        match record {
            Record::Message { room, from, to, body, cid } => {
                let (to, cid) = (to.as_ref(), cid.as_ref());
                hot.send(self.db, room, SentMessage { from, to, body, cid })
            }
            Record::Edit { room, target, text, by } => self.edit(room, *target, text, by),
            Record::Delete { room, target, by } => self.delete(room, *target, by),
            Record::React { room, target, emoji, on, by } => {
                self.react(room, *target, emoji, *on, by)
            }
            Record::Create { room, title, open, owner, members, invited, is_own } => {
                if find_room(self.db, room)?.is_some() {
                    return Ok(Outcome::RoomExists.into());
                }
                let title = title.clone().unwrap_or_default();
                let state = RoomState::new(room.clone(), title, *open, Some(owner.clone()));
                self.create(state, owner, *is_own, members, invited)
            }
            Record::Update { room, title, open, owner, by } => {
                let (title, owner) = (title.as_ref(), owner.as_ref());
                self.managing(room, Some(by), |row| self.update(row, title, *open, owner, by))
            }
            Record::End { room, by } => self.managing(room, Some(by), |row| self.end(row, by)),
            Record::Join { room, user, by } => self.join(room, user, by.as_ref()),
            Record::Invite { room, user, by } => {
                self.managing(room, Some(by), |row| self.invite(row, user, by))
            }
            Record::Uninvite { room, user, by } => {
                self.managing(room, by.as_ref(), |row| self.uninvite(row, user, by.as_ref()))
            }
            Record::Leave { room, user, by } => {
                self.managing(room, by.as_ref(), |row| self.leave(row, user, by.as_ref()))
            }
            Record::Ban { room, user, by } => {
                self.managing(room, Some(by), |row| self.ban(row, user, by))
            }
            Record::Unban { room, user, by } => {
                self.managing(room, Some(by), |row| self.unban(row, user))
            }
            Record::Read { room, user, seq } => hot.read(self.db, room, user, *seq),
            Record::Delivered { user, marks } => hot.delivered(self.db, user, marks),
            Record::Trim { room, before, older_than } => self.trim(room, *before, *older_than),
            Record::Event { stream, epoch, data, keep, id } => {
                self.publish(&PublishedEvent { stream, data, keep: *keep, id: id.as_ref() }, epoch)
            }
            Record::Repeat { of, limit, retry_after_ms } => {
                let over = Outcome::OverQuota { limit: *limit, retry_after_ms: *retry_after_ms };
                Ok(self.repeat(hot, of)?.unwrap_or(over).into())
            }
            Record::Revoke { revocation, once } => self.revoke(revocation, *once),
            Record::Name { user, name } => self.name(user, name),
        }
    }

    /// What was stored before with the same id, if a record is only a repeat of it.
    fn repeat(&self, hot: &mut HotRooms, of: &Record) -> Result<Option<Outcome>> {
        match of {
            Record::Message { room, from, body, cid, .. } => {
                let message = SentMessage { from, to: None, body, cid: cid.as_ref() };
                hot.sent_before(self.db, room, message)
            }
            Record::Event { stream, data, keep, id, .. } => {
                let event = PublishedEvent { stream, data, keep: *keep, id: id.as_ref() };
                self.published_before(&event)
            }
            _ => Ok(None),
        }
    }

    /// The room, if the user is a member of it.
    pub(super) fn room_of_member(&self, room: &RoomId, user: &UserId) -> Result<Option<RoomRow>> {
        let Some(row) = find_live_room(self.db, room)? else { return Ok(None) };
        Ok(find_member(self.db, row.id, user)?.map(|_| row))
    }

    /// Changes a room, if they may manage it: its owner may, and admins. Without `by`, a user does
    /// what needs no right.
    fn managing(
        &self,
        room: &RoomId,
        by: Option<&Authority>,
        change: impl FnOnce(RoomRow) -> Result<Written>,
    ) -> Result<Written> {
        let Some(row) = find_live_room(self.db, room)? else {
            return Ok(Outcome::NotMember.into());
        };
        match by {
            Some(by) if !by.manages(&row.state) => {
                let is_member = find_member(self.db, row.id, &by.user)?.is_some();
                Ok(if is_member { Outcome::NotOwner } else { Outcome::NotMember }.into())
            }
            _ => change(row),
        }
    }

    fn name(&self, user: &UserId, name: &Arc<str>) -> Result<Written> {
        let is_known =
            self.db.prepare_cached("SELECT 1 FROM users WHERE id = ?1")?.exists([user.as_str()])?;
        if !is_known {
            count(self.db, "users", 1)?;
        }
        let sql = "INSERT INTO users (id, name, sum) VALUES (?1, ?2, row_sum('users', ?1, ?2)) \
             ON CONFLICT (id) DO UPDATE SET name = excluded.name, sum = excluded.sum";
        self.db.prepare_cached(sql)?.execute(params![user.as_str(), &**name])?;
        let (user, name) = (user.clone(), Arc::clone(name));
        Ok(Written::Changed(StoreChange::Name { user, name }))
    }

    fn invite(&self, mut row: RoomRow, user: &UserId, by: &Authority) -> Result<Written> {
        let db = self.db;
        // They may have joined in another way, or been banned, after this was decided.
        if find_member(db, row.id, user)?.is_some() || permits::has(db, BANS, row.id, user)? {
            return Ok(Outcome::Done.into());
        }
        permits::put(db, INVITES, &mut row, user, &by.user)?;
        save_room(db, &row)?;
        let what = What::Invited { user: user.clone(), by: by.user.clone() };
        Ok(Written::room(row.state.room, what))
    }

    /// Withdraws an invitation. Who is invited may decline it.
    fn uninvite(&self, mut row: RoomRow, user: &UserId, by: Option<&Authority>) -> Result<Written> {
        if !permits::take(self.db, INVITES, &mut row, user)? {
            return Ok(Outcome::Done.into());
        }
        save_room(self.db, &row)?;
        let (user, is_own, by) = (user.clone(), by.is_none(), by.and_then(Authority::named));
        let what = What::Uninvited { user, by: by.cloned(), is_own };
        Ok(Written::room(row.state.room, what))
    }

    /// Ends a membership. Members may leave.
    fn leave(&self, mut row: RoomRow, user: &UserId, by: Option<&Authority>) -> Result<Written> {
        if find_member(self.db, row.id, user)?.is_none() {
            return Ok(Outcome::NotMember.into());
        }
        let (is_own, by) = (by.is_none(), by.and_then(Authority::named));
        let entry = self.end_membership(&mut row, user, by)?;
        let RoomState { room, owner, .. } = row.state;
        Ok(Written::room(room, What::Left { entry, owner, is_own }))
    }

    fn ban(&self, mut row: RoomRow, user: &UserId, by: &Authority) -> Result<Written> {
        let db = self.db;
        let entry = match find_member(db, row.id, user)? {
            Some(_) => Some(self.end_membership(&mut row, user, Some(&by.user))?),
            None => None,
        };
        permits::take(db, INVITES, &mut row, user)?;
        permits::put(db, BANS, &mut row, user, &by.user)?;
        save_room(db, &row)?;
        let (user, by) = (user.clone(), by.user.clone());
        let RoomState { room, owner, .. } = row.state;
        Ok(Written::room(room, What::Banned { user, by, entry, owner }))
    }

    fn unban(&self, mut row: RoomRow, user: &UserId) -> Result<Written> {
        if !permits::take(self.db, BANS, &mut row, user)? {
            return Ok(Outcome::Done.into());
        }
        save_room(self.db, &row)?;
        Ok(Written::room(row.state.room, What::Unbanned { user: user.clone() }))
    }

    /// Creates a room with its people.
    fn create(
        &self,
        state: RoomState,
        owner: &UserId,
        is_own: bool,
        members: &[UserId],
        invited: &[UserId],
    ) -> Result<Written> {
        let mut row = insert_room(self.db, state)?;
        let mut entries = vec![self.become_member(&mut row, owner, None, is_own)?];
        for member in members.iter().filter(|member| *member != owner) {
            if find_member(self.db, row.id, member)?.is_none() {
                entries.push(self.become_member(&mut row, member, Some(owner), false)?);
            }
        }
        let mut guests = Vec::with_capacity(invited.len());
        for user in invited {
            if find_member(self.db, row.id, user)?.is_none() {
                permits::put(self.db, INVITES, &mut row, user, owner)?;
                guests.push(user.clone());
            }
        }
        if !guests.is_empty() {
            save_room(self.db, &row)?;
        }
        let (owner, RoomState { room, title, is_open, .. }) = (owner.clone(), row.state);
        let what = What::Created { title, is_open, owner, is_own, entries, invited: guests };
        Ok(Written::room(room, what))
    }

    fn update(
        &self,
        mut row: RoomRow,
        title: Option<&Arc<str>>,
        open: Option<bool>,
        owner: Option<&UserId>,
        by: &Authority,
    ) -> Result<Written> {
        let before = row.state.clone();
        if let Some(owner) = owner {
            if find_member(self.db, row.id, owner)?.is_none() {
                return Ok(Outcome::NotMember.into());
            }
            row.state.owner = Some(owner.clone());
        }
        if let Some(title) = title {
            row.state.title = Arc::clone(title);
        }
        row.state.is_open = open.unwrap_or(row.state.is_open);
        if row.state == before {
            return Ok(Outcome::Done.into());
        }
        save_room(self.db, &row)?;
        let RoomState { room, title, is_open, owner, .. } = row.state;
        let what = What::Updated { title, is_open, owner, by: by.named().cloned() };
        Ok(Written::room(room, what))
    }

    /// The log is removed later, some entries at a time: see [`RecordWriter::trim`].
    fn end(&self, mut row: RoomRow, by: &Authority) -> Result<Written> {
        for table in ["members", INVITES, BANS] {
            let sql = format!("DELETE FROM {table} WHERE room = ?1");
            self.db.prepare_cached(&sql)?.execute([row.id])?;
        }
        row.state.is_ended = true;
        row.state.owner = None;
        row.state.title = "".into();
        row.people = 0;
        save_room(self.db, &row)?;
        let is_last = row.state.first > row.state.head;
        Ok(Written::room(row.state.room, What::Ended { by: by.named().cloned(), is_last }))
    }

    fn join(&self, room: &RoomId, user: &UserId, by: Option<&Authority>) -> Result<Written> {
        let db = self.db;
        let mut row = match (find_room(db, room)?, by) {
            (Some(row), _) if row.state.is_ended => return Ok(Outcome::NotMember.into()),
            (Some(row), None) => row,
            (Some(row), Some(by)) if by.is_admin() => row,
            (None, None) => {
                let state = RoomState::new(room.clone(), "".into(), true, Some(user.clone()));
                return self.create(state, user, true, &[], &[]);
            }
            (_, Some(_)) => return Ok(Outcome::NotMember.into()),
        };
        if find_member(db, row.id, user)?.is_some() {
            return Ok(Outcome::Done.into());
        }
        if permits::has(db, BANS, row.id, user)? {
            return Ok(Outcome::Banned.into());
        }
        let is_own = by.is_none();
        // The room may have been created after this was decided.
        if is_own && !row.state.is_open && !permits::has(db, INVITES, row.id, user)? {
            return Ok(Outcome::NotMember.into());
        }
        permits::take(db, INVITES, &mut row, user)?;
        if row.state.owner.is_none() {
            row.state.owner = Some(user.clone());
        }
        let entry = self.become_member(&mut row, user, by.and_then(Authority::named), is_own)?;
        let RoomState { room, owner, .. } = row.state;
        Ok(Written::room(room, What::Joined { entry, owner, is_own }))
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

    fn end_membership(
        &self,
        row: &mut RoomRow,
        user: &UserId,
        by: Option<&UserId>,
    ) -> Result<Entry> {
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
