//! Reads pages of logs.

use super::rows::{
    EntryRow, damaged, each, entry, entry_columns, find_live_room, no_entry, user_of,
};
use super::sums::check;
use crate::base::limits::{REACTION_USERS_MAX, REACTIONS_COUNTED_MAX, REACTIONS_PER_MESSAGE_MAX};
use crate::base::{Changes, Entry, EntryKind, Outcome, Query, UserId};
use rusqlite::{Connection, OptionalExtension, Result, params};
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
