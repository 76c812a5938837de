//! Messages and publications that are sent again, found by their client's id.

use super::rows::{EntryRow, RoomRow, damaged, entry, entry_columns};
use crate::base::{EntryKind, UserId};
use rusqlite::{Connection, OptionalExtension, Result, params};
use std::sync::Arc;

/// The message that was sent with this id, if there is one.
pub(super) fn find_repeat(
    db: &Connection,
    row: &RoomRow,
    from: &UserId,
    cid: &Arc<str>,
) -> Result<Option<EntryRow>> {
    let found = db
        .prepare_cached(concat!(
            "SELECT ",
            entry_columns!(),
            " FROM entries WHERE room = ?1 AND user = ?2 AND cid = ?3"
        ))?
        .query_row(params![row.id, from.as_str(), &**cid], |found| entry(&row.state.room, found))
        .optional()?;
    // An index that leads to another entry is damaged.
    let leads_there = |found: &EntryRow| {
        matches!(&found.entry.kind,
        EntryKind::Message { from: by, cid: Some(of), .. } if by == from && of == cid)
    };
    match found {
        Some(found) if !leads_there(&found) => Err(damaged(MESSAGES.name.into())),
        Some(found) => Ok(Some(found)),
        None => is_really_new(db, &MESSAGES, row.id, from.as_str(), cid).map(|()| None),
    }
}

/// An index of ids: what stands in it behind a key, what before it, and whether a row has the id that the index says.
pub(super) struct Ids {
    after: &'static str,
    before: &'static str,
    /// Two places that say the same are believed, also of a row that is damaged elsewhere.
    is_right: &'static str,
    pub(super) name: &'static str,
}

/// The index `$index` of `$table`, by log, author and id.
macro_rules! ids {
    ($name:literal, $table:literal, $index:literal, $log:literal, $by:literal, $id:literal) => {
        Ids {
            after: ids!(@beside $table, $index, $log, $by, $id, ">", ""),
            before: ids!(@beside $table, $index, $log, $by, $id, "<", " DESC"),
            is_right: concat!(
                "SELECT ", $by, " = ?3 AND ", $id, " = ?4 FROM ", $table, " WHERE ", $log, " = ?1 AND seq = ?2"
            ),
            name: $name,
        }
    };
    (@beside $table:literal, $index:literal, $log:literal, $by:literal, $id:literal, $than:literal, $order:literal) => {
        concat!(
            "SELECT ", $log, ", ", $by, ", ", $id, ", seq FROM ", $table, " INDEXED BY ", $index,
            " WHERE ", $id, " IS NOT NULL AND (", $log, ", ", $by, ", ", $id, ") ", $than, " (?1, ?2, ?3)",
            " ORDER BY ", $log, $order, ", ", $by, $order, ", ", $id, $order, " LIMIT 1"
        )
    };
}

const MESSAGES: Ids =
    ids!("the index of client ids", "entries", "entries_by_cid", "room", "user", "cid");
/// Of the publications to durable streams.
pub(super) const EVENTS: Ids =
    ids!("the index of publications", "events", "events_by_id", "stream", "by", "id");

/// What an index does not find may be there: its page may be damaged. A key that was changed still
/// stands in the place of the right one, so that the search ends beside it: the keys on both sides
/// must be those of their entries.
pub(super) fn is_really_new(
    db: &Connection,
    ids: &Ids,
    log: i64,
    by: &str,
    id: &str,
) -> Result<()> {
    for sql in [ids.after, ids.before] {
        let mut statement = db.prepare_cached(sql)?;
        let mut rows = statement.query(params![log, by, id])?;
        let Some(found) = rows.next()? else { continue };
        let (log, seq): (i64, i64) = (found.get(0)?, found.get(3)?);
        let (by, id) = (found.get_ref(1)?.as_str()?, found.get_ref(2)?.as_str()?);
        let is_right: Option<Option<bool>> = db
            .prepare_cached(ids.is_right)?
            .query_row(params![log, seq, by, id], |row| row.get(0))
            .optional()?;
        if is_right.flatten() != Some(true) {
            return Err(damaged(ids.name.into()));
        }
    }
    Ok(())
}
