//! Where logs were at a time.

use super::rows::{damaged, find_live_room};
use crate::base::{Outcome, RoomId, Timestamp};
use rusqlite::{Connection, OptionalExtension, Result, params};

/// For each room that has not ended the last entry before a time, found by halving its log: times
/// never fall within a room.
pub(super) fn seek(db: &Connection, rooms: &[RoomId], since: Timestamp) -> Result<Outcome> {
    let mut statement = db.prepare_cached(
        "SELECT ts, sum = row_sum('entries', room, seq, ts, kind, user, by, text, data, reply_to, \
         target, emoji, is_on, cid, digest, messages, edited, deleted, reacted) \
         FROM entries WHERE room = ?1 AND seq = ?2",
    )?;
    let mut positions = Vec::with_capacity(rooms.len());
    for name in rooms {
        let Some(row) = find_live_room(db, name)? else { continue };
        // Before `low` all are earlier, from `high` on none is.
        let (mut low, mut high) = (row.state.first, row.state.head + 1);
        while low < high {
            let middle = low + (high - low) / 2;
            let found = statement.query_row(params![row.id, middle as i64], |found| {
                super::rows::check(found, 1, "an entry")?;
                found.get(0).map(Timestamp)
            });
            let ts = found.optional()?;
            let ts = ts.ok_or_else(|| damaged(format!("{name} has no entry {middle}")))?;
            if ts < since { low = middle + 1 } else { high = middle }
        }
        let is_none_earlier = low == row.state.first;
        positions.push((name.clone(), if is_none_earlier { 0 } else { low - 1 }));
    }
    Ok(Outcome::Positions(positions))
}
