//! What is read: pages of logs, and at the start all but the logs.

use super::rows::{
    EntryRow, ROOM, RoomRow, check, damaged, entry, entry_columns, find_live_room, member, parsed,
    room_row,
};
use crate::base::limits::{REACTION_USERS_MAX, REACTIONS_PER_MESSAGE_MAX};
use crate::base::{
    Changes, Entry, EntryKind, Invite, Outcome, Query, Revocation, RoomId, Snapshot, Timestamp,
    UserId,
};
use rusqlite::{Connection, OptionalExtension, Result, params};
use std::sync::Arc;

/// Reads a page of a room's log, from its primary key.
pub(super) fn read(db: &Connection, query: &Query) -> Result<Outcome> {
    let Some(row) = find_live_room(db, &query.room)? else { return Ok(Outcome::NotMember) };
    let sql = if query.from_end {
        concat!(
            "SELECT ",
            entry_columns!(),
            " FROM entries WHERE room = ?1 AND seq BETWEEN ?2 AND ?3 ORDER BY seq DESC LIMIT ?4"
        )
    } else {
        concat!(
            "SELECT ",
            entry_columns!(),
            " FROM entries WHERE room = ?1 AND seq BETWEEN ?2 AND ?3 ORDER BY seq LIMIT ?4"
        )
    };
    let first = query.first.max(row.state.first);
    let last = query.last.min(row.state.head);
    let mut page: Vec<Entry> = Vec::new();
    if first > last {
        return Ok(Outcome::Page(page));
    }
    let mut statement = db.prepare_cached(sql)?;
    let mut rows =
        statement.query(params![row.id, first as i64, last as i64, query.entries_max as i64])?;
    let mut bytes = 0;
    let mut expected = if query.from_end { last } else { first };
    let mut has_more = query.entries_max > 0;
    while has_more {
        let Some(found) = rows.next()? else {
            return Err(damaged(format!("{} has no entry {expected}", query.room)));
        };
        let found = with_changes(db, row.id, entry(&query.room, found)?)?;
        if found.seq != expected {
            return Err(damaged(format!("{} has no entry {expected}", query.room)));
        }
        bytes += found.weight();
        if bytes > query.bytes_max && !page.is_empty() {
            break;
        }
        page.push(found);
        let is_last = expected == if query.from_end { first } else { last };
        has_more = !is_last && page.len() < query.entries_max;
        expected = if query.from_end { expected.saturating_sub(1) } else { expected + 1 };
    }
    if query.from_end {
        page.reverse();
    }
    Ok(Outcome::Page(page))
}

/// An entry with what became of it since.
pub(super) fn with_changes(db: &Connection, room: i64, found: EntryRow) -> Result<Entry> {
    let EntryRow { mut entry, edited, deleted, .. } = found;
    if let EntryKind::Message { changes, .. } = &mut entry.kind {
        let reactions = reactions(db, room, entry.seq)?;
        if edited.is_some() || deleted.is_some() || !reactions.is_empty() {
            *changes = Some(Box::new(Changes { edited, deleted, reactions }));
        }
    }
    Ok(entry)
}

/// The different reactions to a message.
pub(super) fn emojis(db: &Connection, room: i64, target: u64) -> Result<Vec<Arc<str>>> {
    let mut next = db.prepare_cached(
        "SELECT emoji FROM reactions WHERE room = ?1 AND target = ?2 AND emoji > ?3 \
         ORDER BY emoji LIMIT 1",
    )?;
    let mut emojis: Vec<Arc<str>> = Vec::new();
    // From one to the next by the index: a reaction of thousands costs no more than one of one.
    while emojis.len() < REACTIONS_PER_MESSAGE_MAX {
        let last = emojis.last().map_or("", |last| last);
        let found: Option<String> =
            next.query_row(params![room, target as i64, last], |found| found.get(0)).optional()?;
        match found {
            Some(emoji) => emojis.push(emoji.into()),
            None => break,
        }
    }
    Ok(emojis)
}

fn reactions(db: &Connection, room: i64, target: u64) -> Result<Vec<(Arc<str>, Vec<UserId>)>> {
    let mut users_of = db.prepare_cached(
        "SELECT user, seq, sum = row_sum('reactions', room, target, emoji, user, seq) \
         FROM reactions WHERE room = ?1 AND target = ?2 AND emoji = ?3 ORDER BY seq LIMIT ?4",
    )?;
    let mut found = Vec::new();
    for emoji in emojis(db, room, target)? {
        let most = REACTION_USERS_MAX as i64;
        let mut rows = users_of.query(params![room, target as i64, &*emoji, most])?;
        let (mut since, mut users) = (None, Vec::new());
        while let Some(row) = rows.next()? {
            check(row, 2, "a reaction")?;
            since = since.or(Some(row.get::<_, i64>(1)?));
            users.push(parsed(UserId::parse(row.get_ref(0)?.as_str()?))?);
        }
        found.push((since, emoji, users));
    }
    found.sort_by_key(|(since, ..)| *since);
    Ok(found.into_iter().map(|(_, emoji, users)| (emoji, users)).collect())
}

/// Reads all but the logs; of these it sees that their newest entries are there.
pub(super) fn snapshot(db: &Connection) -> Result<Snapshot> {
    let epoch = db.query_row(
        "SELECT value, sum = row_sum('meta', key, value) FROM meta WHERE key = 'epoch'",
        (),
        |row| {
            check(row, 1, "the epoch")?;
            row.get(0)
        },
    )?;
    let rooms: Vec<RoomRow> = db
        .prepare(&format!("SELECT {ROOM} FROM rooms ORDER BY id"))?
        .query_map((), room_row)?
        .collect::<Result<_>>()?;
    let mut newest = db.prepare("SELECT max(seq) FROM entries WHERE room = ?1")?;
    for row in rooms.iter().filter(|row| row.state.head >= row.state.first) {
        let found: Option<i64> = newest.query_row([row.id], |found| found.get(0))?;
        if found != i64::try_from(row.state.head).ok() {
            let name = &row.state.room;
            return Err(damaged(format!("the newest entries of room {name} are not there")));
        }
    }
    let members = db
        .prepare(
            "SELECT r.name, m.user, m.joined, m.read, m.read_messages, m.deleted_unread, \
             m.delivered, m.has_written, m.own, m.sum = row_sum('members', m.room, m.user, \
             m.joined, m.read, m.read_messages, m.deleted_unread, m.delivered, m.has_written, \
             m.own) FROM members m JOIN rooms r ON r.id = m.room ORDER BY m.room, m.user",
        )?
        .query_map((), |row| {
            let (room, user) = room_and_user(row)?;
            Ok((room, user, member(row, 2)?))
        })?
        .collect::<Result<_>>()?;
    let names = db
        .prepare("SELECT id, name, sum = row_sum('users', id, name) FROM users ORDER BY id")?
        .query_map((), |row| {
            check(row, 2, "a user")?;
            let user = parsed(UserId::parse(row.get_ref(0)?.as_str()?))?;
            Ok((user, Arc::from(row.get_ref(1)?.as_str()?)))
        })?
        .collect::<Result<_>>()?;
    let invites = db
        .prepare(
            "SELECT r.name, i.user, i.by, i.sum = row_sum('invites', i.room, i.user, i.by) \
             FROM invites i JOIN rooms r ON r.id = i.room ORDER BY i.room, i.user",
        )?
        .query_map((), |row| {
            check(row, 3, "an invitation")?;
            let (room, user) = room_and_user(row)?;
            Ok(Invite { room, user, by: parsed(UserId::parse(row.get_ref(2)?.as_str()?))? })
        })?
        .collect::<Result<_>>()?;
    let bans = db
        .prepare(
            "SELECT r.name, b.user, b.sum = row_sum('bans', b.room, b.user, b.by) \
             FROM bans b JOIN rooms r ON r.id = b.room ORDER BY b.room, b.user",
        )?
        .query_map((), |row| {
            check(row, 2, "a ban")?;
            room_and_user(row)
        })?
        .collect::<Result<_>>()?;
    let revocations = db
        .prepare(
            "SELECT kind, key, before, sum = row_sum('revocations', kind, key, before) \
             FROM revocations ORDER BY kind, key",
        )?
        .query_map((), |row| {
            check(row, 3, "a revocation")?;
            let key = row.get_ref(1)?.as_str()?;
            Ok(match row.get_ref(0)?.as_str()? {
                "token" => Revocation::Token(key.into()),
                _ => Revocation::User(parsed(UserId::parse(key))?, Timestamp(row.get(2)?)),
            })
        })?
        .collect::<Result<_>>()?;
    let rooms = rooms.into_iter().map(|row| row.state).collect();
    Ok(Snapshot { epoch, rooms, members, names, invites, bans, revocations })
}

/// The first two columns.
fn room_and_user(row: &rusqlite::Row<'_>) -> Result<(RoomId, UserId)> {
    let room = parsed(RoomId::parse(row.get_ref(0)?.as_str()?))?;
    let user = parsed(UserId::parse(row.get_ref(1)?.as_str()?))?;
    Ok((room, user))
}
