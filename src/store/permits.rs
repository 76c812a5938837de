//! Invitations and bans: who may join a room although it is not open, and who cannot join. Their
//! tables have the same columns.

use super::rows::{RoomRow, find_row};
use super::sums::check;
use crate::base::UserId;
use rusqlite::{Connection, Result, Row, params};

/// The table of users who may join a room that is not open.
pub(super) const INVITES: &str = "invites";
/// The table of users who cannot join a room.
pub(super) const BANS: &str = "bans";

/// The rows of a room: `user`, `by` and the check.
pub(super) fn select(table: &str) -> String {
    format!(
        "SELECT user, by, sum = row_sum('{table}', room, user, by) FROM {table} WHERE room = ?1 \
         ORDER BY user"
    )
}

/// Writes a new row, which the room does not count.
pub(super) fn write(db: &Connection, table: &str, room: i64, user: &str, by: &str) -> Result<()> {
    let sql = format!(
        "INSERT INTO {table} (room, user, by, sum) \
         VALUES (?1, ?2, ?3, row_sum('{table}', ?1, ?2, ?3))"
    );
    db.prepare_cached(&sql)?.execute(params![room, user, by]).map(drop)
}

/// Writes a row, new or not. The room's row has to be saved afterwards.
pub(super) fn put(
    db: &Connection,
    table: &str,
    row: &mut RoomRow,
    user: &UserId,
    by: &UserId,
) -> Result<()> {
    if has(db, table, row.id, user)? {
        take(db, table, row, user)?;
    }
    row.people += 1;
    write(db, table, row.id, user.as_str(), by.as_str())
}

/// Removes a row, and returns whether it was there. Then the room's row has to be saved.
pub(super) fn take(db: &Connection, table: &str, row: &mut RoomRow, user: &UserId) -> Result<bool> {
    let sql = format!("DELETE FROM {table} WHERE room = ?1 AND user = ?2");
    let gone = db.prepare_cached(&sql)?.execute(params![row.id, user.as_str()])?;
    row.people = row.people.saturating_sub(gone as u64);
    Ok(gone > 0)
}

pub(super) fn has(db: &Connection, table: &str, room: i64, user: &UserId) -> Result<bool> {
    let sql = format!(
        "SELECT sum = row_sum('{table}', room, user, by) FROM {table} WHERE room = ?1 AND user = ?2"
    );
    let read = |row: &Row<'_>| check(row, 0, "an invitation or a ban");
    Ok(find_row(db, &sql, params![room, user.as_str()], read)?.is_some())
}
