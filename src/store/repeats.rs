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

const MESSAGES: Ids = Ids {
    after: "SELECT room, user, cid, seq FROM entries INDEXED BY entries_by_cid \
         WHERE cid IS NOT NULL AND (room, user, cid) > (?1, ?2, ?3) \
         ORDER BY room, user, cid LIMIT 1",
    before: "SELECT room, user, cid, seq FROM entries INDEXED BY entries_by_cid \
         WHERE cid IS NOT NULL AND (room, user, cid) < (?1, ?2, ?3) \
         ORDER BY room DESC, user DESC, cid DESC LIMIT 1",
    is_right: "SELECT user = ?3 AND cid = ?4 FROM entries WHERE room = ?1 AND seq = ?2",
    name: "the index of client ids",
};

/// Of the publications to durable streams.
pub(super) const EVENTS: Ids = Ids {
    after: "SELECT stream, by, id, seq FROM events INDEXED BY events_by_id \
         WHERE id IS NOT NULL AND (stream, by, id) > (?1, ?2, ?3) \
         ORDER BY stream, by, id LIMIT 1",
    before: "SELECT stream, by, id, seq FROM events INDEXED BY events_by_id \
         WHERE id IS NOT NULL AND (stream, by, id) < (?1, ?2, ?3) \
         ORDER BY stream DESC, by DESC, id DESC LIMIT 1",
    is_right: "SELECT by = ?3 AND id = ?4 FROM events WHERE stream = ?1 AND seq = ?2",
    name: "the index of publications",
};

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
