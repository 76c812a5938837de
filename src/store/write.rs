//! Records as SQL: rooms and their members. All functions here run within the worker's
//! transaction.

use super::events;
use super::marks;
use super::messages::{self, append};
use super::revocations;
use super::rows::{
    RoomRow, count_one, damaged, find_live_room, find_member, find_room, insert_room, parsed,
    save_member, save_room,
};
use crate::base::{EntryKind, MemberState, Outcome, Record, RoomId, Timestamp, UserId};
use rusqlite::{Connection, OptionalExtension, Result, params};
use std::sync::Arc;

/// Writes one record. Whatever it finds wrong it finds before it changes anything: an error is the
/// database's, and the whole batch is rolled back.
pub(super) fn write(db: &Connection, now: Timestamp, record: &Record) -> Result<Outcome> {
    match record {
        Record::Message { room, from, to, body, cid } => {
            messages::send(db, now, room, from, to.as_ref(), body, cid.as_ref())
        }
        Record::Edit { room, target, text, by } => messages::edit(db, now, room, *target, text, by),
        Record::Delete { room, target, by, is_moderator } => {
            messages::delete(db, now, room, *target, by, *is_moderator)
        }
        Record::React { room, target, emoji, on, by } => {
            messages::react(db, now, room, *target, emoji, *on, by)
        }
        Record::Create { room, title, open, owner, members, invited, is_own } => {
            let looks = (title.as_deref(), *open);
            create(db, now, room, looks, (owner, *is_own), (members, invited))
        }
        Record::Update { room, title, open, owner } => {
            update(db, room, title.as_ref(), *open, owner.as_ref())
        }
        Record::End { room } => end(db, room),
        Record::Join { room, user, by, is_own } => join(db, now, room, user, by.as_ref(), *is_own),
        Record::Invite { room, user, by } => invite(db, room, user, by),
        Record::Uninvite { room, user } => withdraw(db, Permit::Invite, room, user),
        Record::Leave { room, user, by } => remove(db, now, room, user, by.as_ref()),
        Record::Ban { room, user, by } => ban(db, now, room, user, by),
        Record::Unban { room, user } => withdraw(db, Permit::Ban, room, user),
        Record::Read { room, user, seq } => marks::read(db, room, user, *seq),
        Record::Delivered { user, marks } => marks::delivered(db, user, marks),
        Record::Trim { room, before, older_than } => marks::trim(db, room, *before, *older_than),
        Record::Event { stream, epoch, data, keep, id } => {
            events::append(db, now, (stream, epoch), data, *keep, id.as_ref())
        }
        Record::Repeat { of, limit, retry_after_ms } => {
            let over = Outcome::OverQuota { limit: *limit, retry_after_ms: *retry_after_ms };
            Ok(repeat(db, of)?.unwrap_or(over))
        }
        Record::Revoke { revocation, once } => revocations::revoke(db, now, revocation, *once),
        Record::Name { user, name } => self::name(db, user, name),
    }
}

/// What was stored before under the same id, if a record is only a repeat of it.
fn repeat(db: &Connection, of: &Record) -> Result<Option<Outcome>> {
    match of {
        Record::Message { room, from, body, cid, .. } => {
            messages::repeat(db, room, from, body, cid.as_ref())
        }
        Record::Event { stream, data, keep, id, .. } => {
            events::repeat(db, stream, data, *keep, id.as_ref())
        }
        _ => Ok(None),
    }
}

fn name(db: &Connection, user: &UserId, name: &str) -> Result<Outcome> {
    let known: Option<i64> = db
        .prepare_cached("SELECT sum FROM users WHERE id = ?1")?
        .query_row([user.as_str()], |row| row.get(0))
        .optional()?;
    if known.is_none() {
        count_one(db, "users")?;
    }
    db.prepare_cached(
        "INSERT INTO users (id, name, sum) VALUES (?1, ?2, row_sum('users', ?1, ?2)) \
         ON CONFLICT (id) DO UPDATE SET name = excluded.name, sum = excluded.sum",
    )?
    .execute(params![user.as_str(), name])?;
    Ok(Outcome::Done)
}

fn invite(db: &Connection, room: &RoomId, user: &UserId, by: &UserId) -> Result<Outcome> {
    let Some(mut row) = find_live_room(db, room)? else { return Ok(Outcome::NotMember) };
    // They may have come in another way, or been banned, after this was decided.
    let is_void = find_member(db, row.id, user)?.is_some() || has(db, Permit::Ban, row.id, user)?;
    if !is_void {
        put(db, Permit::Invite, &mut row, user, by)?;
        save_room(db, &row)?;
    }
    Ok(Outcome::Done)
}

/// Takes back an invitation or a ban.
fn withdraw(db: &Connection, permit: Permit, room: &RoomId, user: &UserId) -> Result<Outcome> {
    let Some(mut row) = find_live_room(db, room)? else { return Ok(Outcome::NotMember) };
    take(db, permit, &mut row, user)?;
    save_room(db, &row)?;
    Ok(Outcome::Done)
}

fn remove(
    db: &Connection,
    now: Timestamp,
    room: &RoomId,
    user: &UserId,
    by: Option<&UserId>,
) -> Result<Outcome> {
    let Some(mut row) = find_live_room(db, room)? else { return Ok(Outcome::NotMember) };
    if find_member(db, row.id, user)?.is_none() {
        return Ok(Outcome::NotMember);
    }
    let entries = vec![leave(db, now, &mut row, user, by)?];
    Ok(Outcome::Room { room: row.state, entries })
}

fn ban(
    db: &Connection,
    now: Timestamp,
    room: &RoomId,
    user: &UserId,
    by: &UserId,
) -> Result<Outcome> {
    let Some(mut row) = find_live_room(db, room)? else { return Ok(Outcome::NotMember) };
    let entries = match find_member(db, row.id, user)? {
        Some(_) => vec![leave(db, now, &mut row, user, Some(by))?],
        None => Vec::new(),
    };
    take(db, Permit::Invite, &mut row, user)?;
    put(db, Permit::Ban, &mut row, user, by)?;
    save_room(db, &row)?;
    Ok(Outcome::Room { room: row.state, entries })
}

fn create(
    db: &Connection,
    now: Timestamp,
    room: &RoomId,
    (title, open): (Option<&str>, bool),
    (owner, is_own): (&UserId, bool),
    (members, invited): (&[UserId], &[UserId]),
) -> Result<Outcome> {
    if find_room(db, room)?.is_some() {
        return Ok(Outcome::Conflict);
    }
    let mut row = insert_room(db, room, title.unwrap_or(""), open, Some(owner))?;
    let mut entries = vec![become_member(db, now, &mut row, owner, None, is_own)?];
    for member in members.iter().filter(|member| *member != owner) {
        if find_member(db, row.id, member)?.is_none() {
            entries.push(become_member(db, now, &mut row, member, Some(owner), false)?);
        }
    }
    for user in invited {
        if find_member(db, row.id, user)?.is_none() {
            put(db, Permit::Invite, &mut row, user, owner)?;
        }
    }
    if !invited.is_empty() {
        save_room(db, &row)?;
    }
    Ok(Outcome::Room { room: row.state, entries })
}

fn update(
    db: &Connection,
    room: &RoomId,
    title: Option<&Arc<str>>,
    open: Option<bool>,
    owner: Option<&UserId>,
) -> Result<Outcome> {
    let Some(mut row) = find_live_room(db, room)? else { return Ok(Outcome::NotMember) };
    if let Some(owner) = owner {
        if find_member(db, row.id, owner)?.is_none() {
            return Ok(Outcome::NotMember);
        }
        row.state.owner = Some(owner.clone());
    }
    if let Some(title) = title {
        row.state.title = Arc::clone(title);
    }
    row.state.is_open = open.unwrap_or(row.state.is_open);
    save_room(db, &row)?;
    Ok(Outcome::Room { room: row.state, entries: Vec::new() })
}

/// Its log goes later, some entries at a time: see [`marks::trim`].
fn end(db: &Connection, room: &RoomId) -> Result<Outcome> {
    let Some(mut row) = find_live_room(db, room)? else { return Ok(Outcome::NotMember) };
    for sql in [
        "DELETE FROM members WHERE room = ?1",
        "DELETE FROM invites WHERE room = ?1",
        "DELETE FROM bans WHERE room = ?1",
    ] {
        db.prepare_cached(sql)?.execute([row.id])?;
    }
    row.state.is_ended = true;
    row.state.owner = None;
    row.state.title = "".into();
    row.people = 0;
    save_room(db, &row)?;
    Ok(Outcome::Room { room: row.state, entries: Vec::new() })
}

fn join(
    db: &Connection,
    now: Timestamp,
    room: &RoomId,
    user: &UserId,
    by: Option<&UserId>,
    is_own: bool,
) -> Result<Outcome> {
    let mut row = match find_room(db, room)? {
        Some(row) if row.state.is_ended => return Ok(Outcome::NotMember),
        Some(row) => row,
        None if is_own => insert_room(db, room, "", true, Some(user))?,
        None => return Ok(Outcome::NotMember),
    };
    if find_member(db, row.id, user)?.is_some() {
        return Ok(Outcome::Room { room: row.state, entries: Vec::new() });
    }
    if has(db, Permit::Ban, row.id, user)? {
        return Ok(Outcome::Forbidden);
    }
    // The room may have come into being after this was decided.
    if is_own && !row.state.is_open && !has(db, Permit::Invite, row.id, user)? {
        return Ok(Outcome::NotMember);
    }
    take(db, Permit::Invite, &mut row, user)?;
    if row.state.owner.is_none() {
        row.state.owner = Some(user.clone());
    }
    let entries = vec![become_member(db, now, &mut row, user, by, is_own)?];
    Ok(Outcome::Room { room: row.state, entries })
}

fn become_member(
    db: &Connection,
    now: Timestamp,
    row: &mut RoomRow,
    user: &UserId,
    by: Option<&UserId>,
    is_own: bool,
) -> Result<crate::base::Entry> {
    let kind = EntryKind::Joined { user: user.clone(), by: by.cloned() };
    row.people += 1;
    let entry = append(db, now, row, kind, None)?;
    let member = MemberState {
        joined: entry.seq,
        read: entry.seq,
        read_messages: row.state.messages,
        deleted_unread: 0,
        delivered: entry.seq,
        has_written: false,
        is_own,
    };
    save_member(db, row.id, user, &member)?;
    Ok(entry)
}

fn leave(
    db: &Connection,
    now: Timestamp,
    row: &mut RoomRow,
    user: &UserId,
    by: Option<&UserId>,
) -> Result<crate::base::Entry> {
    db.prepare_cached("DELETE FROM members WHERE room = ?1 AND user = ?2")?
        .execute(params![row.id, user.as_str()])?;
    row.people = row.people.saturating_sub(1);
    if row.state.owner.as_ref() == Some(user) {
        let heir: Option<String> = db
            .prepare_cached("SELECT user FROM members WHERE room = ?1 ORDER BY joined LIMIT 1")?
            .query_row([row.id], |found| found.get(0))
            .optional()?;
        row.state.owner = heir.map(|name| parsed(UserId::parse_any(&name))).transpose()?;
    }
    append(db, now, row, EntryKind::Left { user: user.clone(), by: by.cloned() }, None)
}

/// What a user may do although they are no member, or may not.
#[derive(Clone, Copy)]
enum Permit {
    Invite,
    Ban,
}

/// The row of the room has to be saved after it.
fn put(
    db: &Connection,
    permit: Permit,
    row: &mut RoomRow,
    user: &UserId,
    by: &UserId,
) -> Result<()> {
    row.people += u64::from(!has(db, permit, row.id, user)?);
    let sql = match permit {
        Permit::Invite => {
            "INSERT OR REPLACE INTO invites (room, user, by, sum) \
             VALUES (?1, ?2, ?3, row_sum('invites', ?1, ?2, ?3))"
        }
        Permit::Ban => {
            "INSERT OR REPLACE INTO bans (room, user, by, sum) \
             VALUES (?1, ?2, ?3, row_sum('bans', ?1, ?2, ?3))"
        }
    };
    db.prepare_cached(sql)?.execute(params![row.id, user.as_str(), by.as_str()])?;
    Ok(())
}

/// The row of the room has to be saved after it.
fn take(db: &Connection, permit: Permit, row: &mut RoomRow, user: &UserId) -> Result<()> {
    let sql = match permit {
        Permit::Invite => "DELETE FROM invites WHERE room = ?1 AND user = ?2",
        Permit::Ban => "DELETE FROM bans WHERE room = ?1 AND user = ?2",
    };
    let gone = db.prepare_cached(sql)?.execute(params![row.id, user.as_str()])?;
    row.people = row.people.saturating_sub(gone as u64);
    Ok(())
}

fn has(db: &Connection, permit: Permit, room: i64, user: &UserId) -> Result<bool> {
    let sql = match permit {
        Permit::Invite => {
            "SELECT sum = row_sum('invites', room, user, by) FROM invites \
             WHERE room = ?1 AND user = ?2"
        }
        Permit::Ban => {
            "SELECT sum = row_sum('bans', room, user, by) FROM bans WHERE room = ?1 AND user = ?2"
        }
    };
    let is_right: Option<bool> = db
        .prepare_cached(sql)?
        .query_row(params![room, user.as_str()], |row| row.get(0))
        .optional()?;
    match is_right {
        Some(false) => Err(damaged("an invitation or a ban is not what was written".into())),
        found => Ok(found.is_some()),
    }
}
