//! Finds where logs were at a time.

use super::rows::{RoomRow, find_live_room, is_damage, no_entry, what};
use super::sums::check;
use crate::base::{Outcome, RoomId, Timestamp};
use rusqlite::{Connection, OptionalExtension, Result, params};

/// The last entry before a time in each room that has not ended; 0 if none is kept.
pub(super) fn seek(db: &Connection, rooms: &[RoomId], since: Timestamp) -> Result<Outcome> {
    let mut positions = Vec::with_capacity(rooms.len());
    for name in rooms {
        let Some(row) = find_live_room(db, name)? else { continue };
        let place = match first_not(db, &row, |ts| ts < since) {
            Ok(first) if first == row.state.first => 0,
            Ok(first) => first - 1,
            // One damaged log must not stop the others. It gets a position that cannot exist, which
            // is refused.
            Err(error) if is_damage(&error) => {
                log::error!("the store cannot find a place in room {name}: {}", what(&error));
                u64::MAX
            }
            Err(error) => return Err(error),
        };
        positions.push((name.clone(), place));
    }
    Ok(Outcome::Positions(positions))
}

/// The first entry of a room whose time is not `earlier`, or the head plus one. A binary search
/// finds it, because times never fall within a room.
pub(super) fn first_not(
    db: &Connection,
    row: &RoomRow,
    earlier: impl Fn(Timestamp) -> bool,
) -> Result<u64> {
    let sql = "SELECT ts, sum = row_sum('entries', room, seq, ts, kind, user, by, text, data, \
         reply_to, target, emoji, is_on, cid, digest, messages, edited, deleted, reacted) \
         FROM entries WHERE room = ?1 AND seq = ?2";
    let mut statement = db.prepare_cached(sql)?;
    let (mut low, mut high) = (row.state.first, row.state.head + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        let found = statement.query_row(params![row.id, middle as i64], |found| {
            check(found, 1, "an entry")?;
            found.get(0).map(Timestamp)
        });
        let ts = found.optional()?.ok_or_else(|| no_entry(row, middle))?;
        if earlier(ts) { low = middle + 1 } else { high = middle }
    }
    Ok(low)
}
