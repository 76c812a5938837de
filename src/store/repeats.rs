//! Finds messages and publications that are sent again, by their client's id.

use super::rows::{EntryRow, RoomRow, damaged, entry_at, find_row, unsigned};
use crate::base::{EntryKind, UserId};
use rusqlite::{Connection, Result, params};
use std::cmp::Ordering;
use std::sync::Arc;

/// The message that was sent with this id, if there is one.
pub(super) fn find_message_by_cid(
    db: &Connection,
    row: &RoomRow,
    from: &UserId,
    cid: &Arc<str>,
) -> Result<Option<EntryRow>> {
    let key = (row.id, from.as_str(), &**cid);
    // Only of the index: a row that the index has and the table has not is damage.
    let sql = "SELECT seq FROM entries INDEXED BY entries_by_cid \
         WHERE room = ?1 AND user = ?2 AND cid = ?3 AND cid IS NOT NULL";
    let seq = find_row(db, sql, key, |found| unsigned(found, 0))?;
    let found = seq.map(|seq| entry_at(db, row, seq)).transpose()?;
    MESSAGES.verified(db, key, found, |found| {
        matches!(&found.entry.kind,
        EntryKind::Message { from: by, cid: Some(of), .. } if by == from && of == cid)
    })
}

/// An index of ids: queries for the keys after and before a key, and for whether a row has the id
/// that the index says.
pub(super) struct Ids {
    after: &'static str,
    before: &'static str,
    /// If the index and the row agree, they are right, even if the row is damaged elsewhere.
    is_right: &'static str,
    name: &'static str,
}

const MESSAGES: Ids = Ids {
    after: "SELECT room, user, cid, seq FROM entries INDEXED BY entries_by_cid \
         WHERE cid IS NOT NULL AND (room, user, cid) > (?1, ?2, ?3) \
         ORDER BY room, user, cid LIMIT 2",
    before: "SELECT room, user, cid, seq FROM entries INDEXED BY entries_by_cid \
         WHERE cid IS NOT NULL AND (room, user, cid) < (?1, ?2, ?3) \
         ORDER BY room DESC, user DESC, cid DESC LIMIT 2",
    is_right: "SELECT user = ?3 AND cid = ?4 FROM entries WHERE room = ?1 AND seq = ?2",
    name: "the index of client ids",
};

/// For publications to durable streams.
pub(super) const EVENTS: Ids = Ids {
    after: "SELECT stream, by, id, seq FROM events INDEXED BY events_by_id \
         WHERE id IS NOT NULL AND (stream, by, id) > (?1, ?2, ?3) \
         ORDER BY stream, by, id LIMIT 2",
    before: "SELECT stream, by, id, seq FROM events INDEXED BY events_by_id \
         WHERE id IS NOT NULL AND (stream, by, id) < (?1, ?2, ?3) \
         ORDER BY stream DESC, by DESC, id DESC LIMIT 2",
    is_right: "SELECT by = ?3 AND id = ?4 FROM events WHERE stream = ?1 AND seq = ?2",
    name: "the index of publications",
};

impl Ids {
    /// Verifies what an index has found. If that has another id, or if nothing was found although
    /// it may be there, the index is damaged.
    pub(super) fn verified<T>(
        &self,
        db: &Connection,
        key: (i64, &str, &str),
        found: Option<T>,
        has_id: impl FnOnce(&T) -> bool,
    ) -> Result<Option<T>> {
        let is_right = match &found {
            Some(found) => has_id(found),
            None => self.has_right_neighbours(db, key)?,
        };
        if is_right { Ok(found) } else { Err(damaged(self.name.into())) }
    }

    /// If an index finds nothing, its page may be damaged. A changed key still stands in the place
    /// of the right one, so the search ends beside it: the keys on both sides must be those of
    /// their rows. If another key of the page stands there, it is out of order with the next one.
    fn has_right_neighbours(&self, db: &Connection, key: (i64, &str, &str)) -> Result<bool> {
        for (sql, order) in [(self.after, Ordering::Greater), (self.before, Ordering::Less)] {
            let mut statement = db.prepare_cached(sql)?;
            let mut rows = statement.query(key)?;
            let Some(found) = rows.next()? else { continue };
            let (log, seq): (i64, i64) = (found.get(0)?, found.get(3)?);
            let (by, id) = (found.get_ref(1)?.as_str()?, found.get_ref(2)?.as_str()?);
            let is_right: Option<Option<bool>> =
                find_row(db, self.is_right, params![log, seq, by, id], |row| row.get(0))?;
            if is_right.flatten() != Some(true) {
                return Ok(false);
            }
            let first = (log, by.to_owned(), id.to_owned());
            let Some(found) = rows.next()? else { continue };
            let (by, id) = (found.get_ref(1)?.as_str()?, found.get_ref(2)?.as_str()?);
            let next = (found.get::<_, i64>(0)?, by, id);
            if next.cmp(&(first.0, &first.1, &first.2)) != order {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
