//! Reads pages of logs, and at the start everything but the logs.

use super::events::{EventsWanted, streams};
use super::revocations::{REVOCATIONS, columns, revocation};
use super::rows::{
    EntryRow, MEMBERS, ROOMS, RoomRow, USERS, check, damaged, each, entry, entry_columns,
    find_live_room, member, meta, no_entry, room_row, user_of,
};
use crate::base::limits::{REACTION_USERS_MAX, REACTIONS_COUNTED_MAX, REACTIONS_PER_MESSAGE_MAX};
use crate::base::{
    Changes, Entry, EntryKind, Invite, Outcome, Query, Revocation, RoomId, Snapshot, UserId,
};
use rusqlite::{Connection, OptionalExtension, Result, Row, params};
use std::sync::Arc;

/// Reads a page of a room's log, by its primary key.
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
    for place in 0..(last - first + 1).min(query.entries_max as u64) {
        let expected = if query.from_end { last - place } else { first + place };
        let found = rows.next()?.ok_or_else(|| no_entry(&row, expected))?;
        let found = with_changes(db, row.id, entry(&query.room, found)?)?;
        if found.seq != expected {
            return Err(no_entry(&row, expected));
        }
        bytes += found.weight();
        if bytes > query.bytes_max && !page.is_empty() {
            break;
        }
        page.push(found);
    }
    if query.from_end {
        page.reverse();
    }
    Ok(Outcome::Page(page))
}

/// An entry with its later changes.
pub(super) fn with_changes(db: &Connection, room: i64, found: EntryRow) -> Result<Entry> {
    let EntryRow { mut entry, edited, deleted, reacted, .. } = found;
    if let EntryKind::Message { changes, .. } = &mut entry.kind {
        let reactions = reactions(db, room, entry.seq, reacted)?;
        if edited.is_some() || deleted.is_some() || !reactions.is_empty() {
            *changes = Some(Box::new(Changes { edited, deleted, reactions }));
        }
    }
    Ok(entry)
}

/// The different reactions to a message.
pub(super) fn emojis(db: &Connection, room: i64, target: u64) -> Result<Vec<Arc<str>>> {
    let sql = "SELECT emoji FROM reactions WHERE room = ?1 AND target = ?2 AND emoji > ?3 \
         ORDER BY emoji LIMIT 1";
    let mut next = db.prepare_cached(sql)?;
    let mut emojis: Vec<Arc<str>> = Vec::new();
    // The index leads from one to the next, so thousands of equal reactions cost no more than one.
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

type Reactions = Vec<(Arc<str>, Vec<UserId>)>;

/// The reactions to a message, of which there are `count`.
fn reactions(db: &Connection, room: i64, target: u64, count: u64) -> Result<Reactions> {
    match count {
        0 => Ok(Vec::new()),
        1..=REACTIONS_COUNTED_MAX => counted_reactions(db, room, target, count),
        _ => many_reactions(db, room, target),
    }
}

/// Reads all reactions, so that a missing one is noticed.
fn counted_reactions(db: &Connection, room: i64, target: u64, count: u64) -> Result<Reactions> {
    let sql = "SELECT seq, emoji, user, sum = row_sum('reactions', room, target, emoji, user, seq) \
         FROM reactions WHERE room = ?1 AND target = ?2 LIMIT ?3";
    let mut all: Vec<(i64, Arc<str>, UserId)> = Vec::new();
    each(db, sql, [room, target as i64, count as i64 + 1], |row| {
        check(row, 3, "a reaction")?;
        all.push((row.get(0)?, row.get_ref(1)?.as_str()?.into(), user_of(row, 2)?));
        Ok(())
    })?;
    all.sort();
    // No two came by the same entry.
    all.dedup_by_key(|(seq, ..)| *seq);
    if all.len() as u64 != count {
        let found = all.len();
        return Err(damaged(format!("{found} reactions, and there should be {count}")));
    }
    let mut found: Reactions = Vec::new();
    for (_, emoji, user) in all {
        match found.iter_mut().find(|(one, _)| *one == emoji) {
            Some((_, users)) if users.len() < REACTION_USERS_MAX => users.push(user),
            Some(_) => {}
            None => found.push((emoji, vec![user])),
        }
    }
    Ok(found)
}

/// Reads the first reactions with each emoji, so that thousands cost no more than a few.
fn many_reactions(db: &Connection, room: i64, target: u64) -> Result<Reactions> {
    let sql = "SELECT user, seq, sum = row_sum('reactions', room, target, emoji, user, seq) \
         FROM reactions WHERE room = ?1 AND target = ?2 AND emoji = ?3 ORDER BY seq LIMIT ?4";
    let mut found = Vec::new();
    for emoji in emojis(db, room, target)? {
        let most = REACTION_USERS_MAX as i64;
        let (mut since, mut users) = (None, Vec::new());
        each(db, sql, params![room, target as i64, &*emoji, most], |row| {
            check(row, 2, "a reaction")?;
            since = since.or(Some(row.get::<_, i64>(1)?));
            users.push(user_of(row, 0)?);
            Ok(())
        })?;
        found.push((since, emoji, users));
    }
    found.sort_by_key(|(since, ..)| *since);
    Ok(found.into_iter().map(|(_, emoji, users)| (emoji, users)).collect())
}

/// Reads everything but the logs, and what is wanted of streams. Checks that the newest entries and
/// events are there.
pub(super) fn snapshot(db: &Connection, wanted: &EventsWanted<'_>) -> Result<Snapshot> {
    let epoch = meta(db, "epoch")?;
    let rooms: Vec<RoomRow> = db.prepare(ROOMS)?.query_map((), room_row)?.collect::<Result<_>>()?;
    are_all(db, "rooms", rooms.iter().map(|row| row.id))?;
    let mut newest = db.prepare("SELECT max(seq) FROM entries WHERE room = ?1")?;
    for row in rooms.iter().filter(|row| row.state.head >= row.state.first) {
        let found: Option<i64> = newest.query_row([row.id], |found| found.get(0))?;
        if found != i64::try_from(row.state.head).ok() {
            let name = &row.state.room;
            return Err(damaged(format!("the newest entries of room {name} are not there")));
        }
    }
    // This uses an index, which may be damaged although the rooms are not.
    let mut by_name = db.prepare("SELECT id FROM rooms WHERE name = ?1")?;
    for row in &rooms {
        let name = row.state.room.as_str();
        let found: Option<i64> = by_name.query_row([name], |found| found.get(0)).optional()?;
        if found != Some(row.id) {
            return Err(damaged(format!("room {name} is not found by its name")));
        }
    }
    let mut people = PeopleRows { rooms: &rooms, counts: vec![0; rooms.len()] };
    let members = people.read(db, MEMBERS, |room, user, row| Ok((room, user, member(row)?)))?;
    let invites = people.read(
        db,
        "SELECT room, user, by, sum = row_sum('invites', room, user, by) FROM invites \
         ORDER BY room, user",
        |room, user, row| {
            check(row, 3, "an invitation")?;
            Ok(Invite { room, user, by: user_of(row, 2)? })
        },
    )?;
    let bans = people.read(
        db,
        "SELECT room, user, sum = row_sum('bans', room, user, by) FROM bans ORDER BY room, user",
        |room, user, row| check(row, 2, "a ban").map(|()| (room, user)),
    )?;
    people.are_all()?;
    let mut names: Vec<(UserId, Arc<str>)> = Vec::new();
    each(db, USERS, (), |row| {
        check(row, 2, "a user")?;
        names.push((user_of(row, 0)?, row.get_ref(1)?.as_str()?.into()));
        Ok(())
    })?;
    are_all(db, "users", names.iter().map(|(user, _)| user))?;
    let revocations: Vec<Revocation> =
        db.prepare(REVOCATIONS)?.query_map((), revocation)?.collect::<Result<_>>()?;
    let keys = revocations.iter().map(columns).map(|(kind, key, _)| (kind, key));
    are_all(db, "revocations", keys)?;
    let streams = streams(db, wanted)?;
    are_all(db, "streams", streams.iter().map(|state| &state.stream))?;
    let rooms = rooms.into_iter().map(|row| row.state).collect();
    Ok(Snapshot { epoch, rooms, members, names, invites, bans, revocations, streams })
}

/// Checks that a table has as many rows as it should, each once.
fn are_all<T: PartialOrd>(
    db: &Connection,
    table: &str,
    keys: impl Iterator<Item = T>,
) -> Result<()> {
    let (mut count, mut last) = (0u64, None);
    for key in keys {
        if last.as_ref().is_some_and(|last| *last >= key) {
            return Err(damaged(format!("the order of the {table}")));
        }
        (count, last) = (count + 1, Some(key));
    }
    let expected = meta(db, table)?;
    if expected == count.to_string() {
        return Ok(());
    }
    Err(damaged(format!("there are {count} {table}, and there should be {expected}")))
}

/// The rows of members, invites and bans. A missing row is noticed, because rooms know how many
/// they have.
struct PeopleRows<'a> {
    rooms: &'a [RoomRow],
    counts: Vec<u64>,
}

impl PeopleRows<'_> {
    /// Reads a table whose first columns are the room and the user, ordered by them.
    fn read<T>(
        &mut self,
        db: &Connection,
        sql: &str,
        parse: impl Fn(RoomId, UserId, &Row<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        let (mut found, mut last, mut again) = (Vec::new(), None, 0);
        each(db, sql, (), |row| {
            let (id, user): (i64, _) = (row.get(0)?, user_of(row, 1)?);
            let key = Some((id, user.clone()));
            // Most rows are of the same room as the one before.
            let is_again = self.rooms.get(again).is_some_and(|room| room.id == id);
            let place = match is_again {
                true => Ok(again),
                false => self.rooms.binary_search_by_key(&id, |room| room.id),
            };
            let (Ok(place), true) = (place, last < key) else {
                return Err(damaged(format!("{user} is in no room, or twice in one")));
            };
            (last, again) = (key, place);
            found.push(parse(self.rooms[place].state.room.clone(), user, row)?);
            self.counts[place] += 1;
            Ok(())
        })?;
        Ok(found)
    }

    fn are_all(&self) -> Result<()> {
        for (row, found) in self.rooms.iter().zip(&self.counts) {
            let name = &row.state.room;
            if row.people != *found {
                return Err(damaged(format!("a row of a member of room {name} is not there")));
            }
        }
        Ok(())
    }
}
