//! Messages that are sent again, found by their client's id.

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
        Some(found) if !leads_there(&found) => Err(damaged("the index of client ids".into())),
        Some(found) => Ok(Some(found)),
        None => is_really_new(db, row, from, cid).map(|()| None),
    }
}

/// What an index does not find may be there: its page may be damaged. A key that was changed still
/// stands in the place of the right one, so that the search ends beside it: the keys on both sides
/// must be those of their entries.
fn is_really_new(db: &Connection, row: &RoomRow, from: &UserId, cid: &Arc<str>) -> Result<()> {
    const AFTER: &str = "SELECT room, user, cid, seq FROM entries INDEXED BY entries_by_cid \
         WHERE cid IS NOT NULL AND (room, user, cid) > (?1, ?2, ?3) \
         ORDER BY room, user, cid LIMIT 1";
    const BEFORE: &str = "SELECT room, user, cid, seq FROM entries INDEXED BY entries_by_cid \
         WHERE cid IS NOT NULL AND (room, user, cid) < (?1, ?2, ?3) \
         ORDER BY room DESC, user DESC, cid DESC LIMIT 1";
    // Two places that say the same are believed, also of an entry that is damaged elsewhere.
    const IS_RIGHT: &str =
        "SELECT user = ?3 AND cid = ?4 FROM entries WHERE room = ?1 AND seq = ?2";
    for sql in [AFTER, BEFORE] {
        let mut statement = db.prepare_cached(sql)?;
        let mut rows = statement.query(params![row.id, from.as_str(), &**cid])?;
        let Some(found) = rows.next()? else { continue };
        let (room, seq): (i64, i64) = (found.get(0)?, found.get(3)?);
        let (user, cid) = (found.get_ref(1)?.as_str()?, found.get_ref(2)?.as_str()?);
        let is_right: Option<Option<bool>> = db
            .prepare_cached(IS_RIGHT)?
            .query_row(params![room, seq, user, cid], |row| row.get(0))
            .optional()?;
        if is_right.flatten() != Some(true) {
            return Err(damaged("the index of client ids".into()));
        }
    }
    Ok(())
}
