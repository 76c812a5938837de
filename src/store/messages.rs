//! Messages, and what becomes of them: sent, edited, deleted, reacted to.

use super::pages;
use super::repeats::find_repeat;
use super::rows::{
    EntryRow, RoomRow, damaged, digest, find_entry, find_live_room, find_member, find_room,
    insert_room, save_member, save_room,
};
use crate::base::limits::REACTIONS_PER_MESSAGE_MAX;
use crate::base::{Body, Entry, EntryKind, MemberState, Outcome, RoomId, Timestamp, UserId};
use rusqlite::{Connection, OptionalExtension, Result, params};
use std::sync::Arc;

pub(super) fn send(
    db: &Connection,
    now: Timestamp,
    room: &RoomId,
    from: &UserId,
    to: Option<&UserId>,
    body: &Body,
    cid: Option<&Arc<str>>,
) -> Result<Outcome> {
    let found = find_room(db, room)?;
    let is_first = found.is_none();
    let mut row = match (found, to) {
        (Some(row), _) if row.state.is_ended => return Ok(Outcome::NotMember),
        (Some(row), _) => row,
        (None, None) => return Ok(Outcome::NotMember),
        (None, Some(to)) => {
            let mut row = insert_room(db, room, "", false, None)?;
            row.people = if from == to { 1 } else { 2 };
            for user in [from, to] {
                save_member(db, row.id, user, &MemberState::default())?;
            }
            row
        }
    };
    let digest = digest(body);
    // A repeat is found here, in the transaction that would add it: also one whose first copy
    // stands in the same batch.
    if let Some(repeat) = repeat_in(db, &row, from, digest, cid)? {
        return Ok(repeat);
    }
    let kind = EntryKind::Message {
        from: from.clone(),
        body: Box::new(body.clone()),
        cid: cid.cloned(),
        changes: None,
    };
    let entry = append(db, now, &mut row, kind, cid.map(|_| digest))?;
    // Whoever writes has read what came before.
    if let Some(mut member) = find_member(db, row.id, from)? {
        member.read = entry.seq;
        member.read_messages = row.state.messages;
        member.deleted_unread = 0;
        member.has_written = true;
        save_member(db, row.id, from, &member)?;
    }
    Ok(Outcome::Message { entry, is_duplicate: false, is_first })
}

/// What came of a message that was sent before with the same id, if one was.
pub(super) fn repeat(
    db: &Connection,
    room: &RoomId,
    from: &UserId,
    body: &Body,
    cid: Option<&Arc<str>>,
) -> Result<Option<Outcome>> {
    match find_live_room(db, room)? {
        Some(row) => repeat_in(db, &row, from, digest(body), cid),
        None => Ok(None),
    }
}

fn repeat_in(
    db: &Connection,
    row: &RoomRow,
    from: &UserId,
    digest: i64,
    cid: Option<&Arc<str>>,
) -> Result<Option<Outcome>> {
    let Some(cid) = cid else { return Ok(None) };
    let Some(first) = find_repeat(db, row, from, cid)? else { return Ok(None) };
    let duplicate = Outcome::Message { entry: first.entry, is_duplicate: true, is_first: false };
    Ok(Some(if first.digest == Some(digest) { duplicate } else { Outcome::Mismatch }))
}

pub(super) fn edit(
    db: &Connection,
    now: Timestamp,
    room: &RoomId,
    target: u64,
    text: &Arc<str>,
    by: &UserId,
) -> Result<Outcome> {
    let Some(mut row) = find_live_room(db, room)? else { return Ok(Outcome::NotMember) };
    let Some(message) = find_message(db, &row, target)? else { return Ok(Outcome::NoSuchMessage) };
    let EntryKind::Message { from, body, .. } = &message.entry.kind else {
        return Ok(Outcome::NoSuchMessage);
    };
    if from != by {
        return Ok(Outcome::Forbidden);
    }
    if body.text == *text {
        return unchanged(db, &row, message.edited.unwrap_or(target));
    }
    let kind = EntryKind::Edited { target, text: Some(Arc::clone(text)), by: by.clone() };
    let entry = append(db, now, &mut row, kind, None)?;
    db.prepare_cached(
        "UPDATE entries SET text = ?3, edited = ?4, \
         sum = row_sum('entries', room, seq, ts, kind, user, by, ?3, data, reply_to, target, emoji, \
         is_on, cid, digest, messages, ?4, deleted, reacted) WHERE room = ?1 AND seq = ?2",
    )?
    .execute(params![row.id, target as i64, &**text, entry.seq as i64])?;
    changed(db, &row, target, entry)
}

pub(super) fn delete(
    db: &Connection,
    now: Timestamp,
    room: &RoomId,
    target: u64,
    by: &UserId,
    is_moderator: bool,
) -> Result<Outcome> {
    let Some(mut row) = find_live_room(db, room)? else { return Ok(Outcome::NotMember) };
    let Some(message) = find_entry(db, &row, target)? else { return Ok(Outcome::NoSuchMessage) };
    let EntryKind::Message { from, .. } = &message.entry.kind else {
        return Ok(Outcome::NoSuchMessage);
    };
    if from != by && !is_moderator {
        return Ok(Outcome::Forbidden);
    }
    if let Some(deleted) = message.deleted {
        return unchanged(db, &row, deleted);
    }
    let entry = append(db, now, &mut row, EntryKind::Deleted { target, by: by.clone() }, None)?;
    let (room, target_seq, seq) = (row.id, target as i64, entry.seq as i64);
    db.prepare_cached(
        "UPDATE entries SET text = NULL, data = NULL, deleted = ?3, reacted = 0, \
         sum = row_sum('entries', room, seq, ts, kind, user, by, NULL, NULL, reply_to, target, \
         emoji, is_on, cid, digest, messages, edited, ?3, 0) WHERE room = ?1 AND seq = ?2",
    )?
    .execute(params![room, target_seq, seq])?;
    // What it said before is gone, too. A row that is damaged stays so, and is shown to nobody.
    db.prepare_cached(
        "UPDATE entries SET text = NULL, \
         sum = row_sum('entries', room, seq, ts, kind, user, by, NULL, data, reply_to, target, \
         emoji, is_on, cid, digest, messages, edited, deleted, reacted) \
         WHERE room = ?1 AND target = ?2 AND kind = 'edited' \
         AND sum = row_sum('entries', room, seq, ts, kind, user, by, text, data, reply_to, target, \
         emoji, is_on, cid, digest, messages, edited, deleted, reacted)",
    )?
    .execute(params![room, target_seq])?;
    db.prepare_cached("DELETE FROM reactions WHERE room = ?1 AND target = ?2")?
        .execute(params![room, target_seq])?;
    db.prepare_cached(
        "UPDATE members SET deleted_unread = deleted_unread + 1, \
         sum = row_sum('members', room, user, joined, read, read_messages, deleted_unread + 1, \
         delivered, has_written, own) WHERE room = ?1 AND read < ?2 \
         AND sum = row_sum('members', room, user, joined, read, read_messages, deleted_unread, \
         delivered, has_written, own)",
    )?
    .execute(params![room, target_seq])?;
    changed(db, &row, target, entry)
}

pub(super) fn react(
    db: &Connection,
    now: Timestamp,
    room: &RoomId,
    target: u64,
    emoji: &Arc<str>,
    on: bool,
    by: &UserId,
) -> Result<Outcome> {
    let Some(mut row) = find_live_room(db, room)? else { return Ok(Outcome::NotMember) };
    if find_message(db, &row, target)?.is_none() {
        return Ok(Outcome::NoSuchMessage);
    }
    let (room_id, message) = (row.id, target as i64);
    let key_of_message = (room_id, message);
    let key = params![room_id, message, &**emoji, by.as_str()];
    let holds: Option<bool> = db
        .prepare_cached(
            "SELECT sum = row_sum('reactions', room, target, emoji, user, seq) FROM reactions \
             WHERE room = ?1 AND target = ?2 AND emoji = ?3 AND user = ?4",
        )?
        .query_row(key, |found| found.get(0))
        .optional()?;
    if holds == Some(false) {
        return Err(damaged("a reaction is not what was written".into()));
    }
    if holds.is_some() == on {
        let newest: Option<u64> = db
            .prepare_cached(
                "SELECT max(seq) FROM entries WHERE room = ?1 AND target = ?2 AND emoji = ?3 \
                 AND user = ?4 AND kind = 'reacted'",
            )?
            .query_row(key, |found| found.get::<_, Option<i64>>(0))?
            .map(|seq| seq.max(0) as u64);
        return unchanged(db, &row, newest.unwrap_or(target));
    }
    if on {
        let others = pages::emojis(db, row.id, target)?;
        // Nobody has more of them than are free, so that no one takes all.
        let free = REACTIONS_PER_MESSAGE_MAX.saturating_sub(others.len());
        if !others.contains(emoji) && reactions_of(db, key_of_message, &others, by)? >= free {
            return Ok(Outcome::Full);
        }
    }
    let kind = EntryKind::Reacted { target, emoji: Arc::clone(emoji), on, by: by.clone() };
    let entry = append(db, now, &mut row, kind, None)?;
    if on {
        db.prepare_cached(
            "INSERT INTO reactions (room, target, emoji, user, seq, sum) \
             VALUES (?1, ?2, ?3, ?4, ?5, row_sum('reactions', ?1, ?2, ?3, ?4, ?5))",
        )?
        .execute(params![room_id, message, &**emoji, by.as_str(), entry.seq as i64])?;
    } else {
        db.prepare_cached(
            "DELETE FROM reactions WHERE room = ?1 AND target = ?2 AND emoji = ?3 AND user = ?4",
        )?
        .execute(key)?;
    }
    db.prepare_cached(
        "UPDATE entries SET reacted = reacted + ?3, \
         sum = row_sum('entries', room, seq, ts, kind, user, by, text, data, reply_to, target, \
         emoji, is_on, cid, digest, messages, edited, deleted, reacted + ?3) \
         WHERE room = ?1 AND seq = ?2",
    )?
    .execute(params![room_id, message, if on { 1 } else { -1 }])?;
    changed(db, &row, target, entry)
}

/// With how many of these a user has reacted to a message.
fn reactions_of(
    db: &Connection,
    (room, message): (i64, i64),
    emojis: &[Arc<str>],
    user: &UserId,
) -> Result<usize> {
    let mut found = db.prepare_cached(
        "SELECT 1 FROM reactions WHERE room = ?1 AND target = ?2 AND emoji = ?3 AND user = ?4",
    )?;
    let mut count = 0;
    for emoji in emojis {
        count += usize::from(found.exists(params![room, message, &**emoji, user.as_str()])?);
    }
    Ok(count)
}

/// A message that is not deleted.
fn find_message(db: &Connection, row: &RoomRow, target: u64) -> Result<Option<EntryRow>> {
    let found = find_entry(db, row, target)?;
    Ok(found.filter(|found| {
        matches!(found.entry.kind, EntryKind::Message { .. }) && found.deleted.is_none()
    }))
}

fn changed(db: &Connection, row: &RoomRow, target: u64, entry: Entry) -> Result<Outcome> {
    let found = find_entry(db, row, target)?;
    let found = found.ok_or_else(|| damaged("a message has gone".into()))?;
    Ok(Outcome::Changed { entry, target: pages::with_changes(db, row.id, found)? })
}

fn unchanged(db: &Connection, row: &RoomRow, seq: u64) -> Result<Outcome> {
    let found = find_entry(db, row, seq)?.ok_or_else(|| damaged("an entry has gone".into()))?;
    Ok(Outcome::Unchanged { seq, ts: found.entry.ts })
}

/// Adds an entry to a room's log, with the next number.
pub(super) fn append(
    db: &Connection,
    now: Timestamp,
    row: &mut RoomRow,
    kind: EntryKind,
    digest: Option<i64>,
) -> Result<Entry> {
    let state = &mut row.state;
    state.head += 1;
    state.ts = state.ts.max(now);
    state.messages += u64::from(matches!(kind, EntryKind::Message { .. }));
    if state.first == state.head {
        state.first_ts = state.ts;
    }
    let mut columns = Columns::default();
    let (name, user) = match &kind {
        EntryKind::Message { from, body, cid, .. } => {
            columns.text = Some(&body.text);
            columns.data = body.data.as_deref();
            columns.reply_to = body.reply_to;
            columns.cid = cid.as_deref();
            ("message", from)
        }
        EntryKind::Edited { target, text, by } => {
            columns.target = Some(*target);
            columns.text = text.as_deref();
            ("edited", by)
        }
        EntryKind::Deleted { target, by } => {
            columns.target = Some(*target);
            ("deleted", by)
        }
        EntryKind::Reacted { target, emoji, on, by } => {
            columns.target = Some(*target);
            columns.emoji = Some(emoji);
            columns.is_on = Some(*on);
            ("reacted", by)
        }
        EntryKind::Joined { user, by } => {
            columns.by = by.as_ref();
            ("joined", user)
        }
        EntryKind::Left { user, by } => {
            columns.by = by.as_ref();
            ("left", user)
        }
    };
    db.prepare_cached(
        "INSERT INTO entries (room, seq, ts, kind, user, by, text, data, reply_to, target, emoji, \
         is_on, cid, digest, messages, sum) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, \
         row_sum('entries', ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, \
         NULL, NULL, 0))",
    )?
    .execute(params![
        row.id,
        state.head as i64,
        state.ts.0,
        name,
        user.as_str(),
        columns.by.map(UserId::as_str),
        columns.text,
        columns.data,
        columns.reply_to.map(|seq| seq as i64),
        columns.target.map(|seq| seq as i64),
        columns.emoji,
        columns.is_on,
        columns.cid,
        digest,
        state.messages as i64,
    ])?;
    save_room(db, row)?;
    let state = &row.state;
    Ok(Entry { room: state.room.clone(), seq: state.head, ts: state.ts, kind })
}

/// What an entry has beside its kind and its user.
#[derive(Default)]
struct Columns<'a> {
    by: Option<&'a UserId>,
    text: Option<&'a str>,
    data: Option<&'a str>,
    reply_to: Option<u64>,
    target: Option<u64>,
    emoji: Option<&'a str>,
    is_on: Option<bool>,
    cid: Option<&'a str>,
}
