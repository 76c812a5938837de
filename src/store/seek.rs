//! Where logs were at a time.

use super::rows::{RoomRow, check, damaged, find_live_room, is_damage, what};
use crate::base::{Outcome, RoomId, Timestamp};
use rusqlite::{CachedStatement, Connection, OptionalExtension, Result, params};

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
        let place = match place(&mut statement, &row, since) {
            // One damaged log keeps nobody from the others: a place that nobody has been at is refused.
            Err(error) if is_damage(&error) => {
                log::error!("the store cannot find a place in room {name}: {}", what(&error));
                u64::MAX
            }
            place => place?,
        };
        positions.push((name.clone(), place));
    }
    Ok(Outcome::Positions(positions))
}

/// The last entry of a room before a time; 0 if none is kept.
fn place(statement: &mut CachedStatement<'_>, row: &RoomRow, since: Timestamp) -> Result<u64> {
    // Before `low` all are earlier, from `high` on none is.
    let (mut low, mut high) = (row.state.first, row.state.head + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        let found = statement.query_row(params![row.id, middle as i64], |found| {
            check(found, 1, "an entry")?;
            found.get(0).map(Timestamp)
        });
        let ts = found.optional()?.ok_or_else(|| damaged(format!("there is no entry {middle}")))?;
        if ts < since { low = middle + 1 } else { high = middle }
    }
    Ok(if low == row.state.first { 0 } else { low - 1 })
}
