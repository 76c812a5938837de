//! Rows: their content.
//!
//! Each row has a checksum of all its other columns in its column `sum`. A row that is read is
//! compared with it, so that what the disk has changed is never taken for what somebody said.

use super::sums::{WholeRow, check, sum};
use crate::base::{
    Body, Entry, EntryKind, MemberState, NameError, RoomId, RoomState, Timestamp, UserId,
};
use rusqlite::types::{Type, ValueRef};
use rusqlite::{Connection, ErrorCode, OptionalExtension, Params, Result, Row, params};
use std::sync::Arc;

/// The digest of a message as it was sent, for repeats that come after an edit or a deletion.
pub(super) fn digest(body: &Body) -> i64 {
    let data = body.data.as_ref().map_or(ValueRef::Null, |data| ValueRef::Text(data.as_bytes()));
    let reply_to = body.reply_to.map_or(ValueRef::Null, |seq| ValueRef::Integer(seq as i64));
    sum([ValueRef::Text(body.text.as_bytes()), data, reply_to].into_iter())
}

/// A room's row.
#[derive(Clone, Debug)]
pub(super) struct RoomRow {
    pub(super) id: i64,
    pub(super) state: RoomState,
    /// How many rows of members, invites and bans there are. Nothing else would show that one is
    /// missing.
    pub(super) people: u64,
}

/// The columns of a room that [`room_row`] reads: all of the table, in its order, with the checksum
/// at the end.
macro_rules! room_columns {
    () => {
        "id, name, title, open, ended, owner, head, messages, ts, first, first_ts, \
         first_messages, people, sum"
    };
}
pub(super) use room_columns;

/// All rooms.
pub(super) const ROOMS: &str = concat!("SELECT ", room_columns!(), " FROM rooms ORDER BY id");
/// The rooms from an `id` to another.
pub(super) const ROOMS_BETWEEN: &str =
    concat!("SELECT ", room_columns!(), " FROM rooms WHERE id BETWEEN ?1 AND ?2 ORDER BY id");

/// A room, if one of this name exists or has ended.
pub(super) fn find_room(db: &Connection, room: &RoomId) -> Result<Option<RoomRow>> {
    let sql = concat!("SELECT ", room_columns!(), " FROM rooms WHERE name = ?1");
    let mut found = find_row(db, sql, [room.as_str()], room_row)?;
    if let Some(row) = &mut found {
        // What is read goes into entries, which hubs keep: long after all that was read beside it.
        row.state.room = room.clone();
    }
    Ok(found)
}

/// A room that has not ended.
pub(super) fn find_live_room(db: &Connection, room: &RoomId) -> Result<Option<RoomRow>> {
    Ok(find_room(db, room)?.filter(|row| !row.state.is_ended))
}

/// Reads the columns of `room_columns!`.
pub(super) fn room_row(row: &Row<'_>) -> Result<RoomRow> {
    let columns = WholeRow::<13>::read(row, "rooms", "a room")?;
    let state = RoomState {
        room: parsed(RoomId::parse(columns.text(1)?))?,
        title: columns.text(2)?.into(),
        is_open: columns.flag(3)?,
        is_ended: columns.flag(4)?,
        owner: columns
            .text_or_null(5)?
            .map(|owner| parsed(UserId::parse_any(owner)))
            .transpose()?,
        head: columns.unsigned(6)?,
        messages: columns.unsigned(7)?,
        ts: Timestamp(columns.integer(8)?),
        first: columns.unsigned(9)?,
        first_ts: Timestamp(columns.integer(10)?),
        first_messages: columns.unsigned(11)?,
    };
    Ok(RoomRow { id: columns.integer(0)?, state, people: columns.unsigned(12)? })
}

pub(super) fn insert_room(db: &Connection, state: RoomState) -> Result<RoomRow> {
    let name = state.room.as_str();
    db.prepare_cached("INSERT INTO rooms (name, sum) VALUES (?1, 0)")?.execute([name])?;
    count(db, "rooms", 1)?;
    let row = RoomRow { id: db.last_insert_rowid(), state, people: 0 };
    save_room(db, &row)?;
    Ok(row)
}

/// Writes a room's state into its row.
pub(super) fn save_room(db: &Connection, row: &RoomRow) -> Result<()> {
    let state = &row.state;
    let sql = "UPDATE rooms SET title = ?3, open = ?4, ended = ?5, owner = ?6, head = ?7, \
         messages = ?8, ts = ?9, first = ?10, first_ts = ?11, first_messages = ?12, \
         people = ?13, sum = row_sum('rooms', ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, \
         ?13) WHERE id = ?1";
    let saved = db.prepare_cached(sql)?.execute(params![
        row.id,
        state.room.as_str(),
        &*state.title,
        state.is_open,
        state.is_ended,
        state.owner.as_ref().map(UserId::as_str),
        state.head as i64,
        state.messages as i64,
        state.ts.0,
        state.first as i64,
        state.first_ts.0,
        state.first_messages as i64,
        row.people as i64,
    ])?;
    // Nothing else notices a row that is not there any more, of a room that is in memory.
    if saved == 1 { Ok(()) } else { Err(damaged(format!("the row of room {}", state.room))) }
}

/// Adds to the number of rows that `meta` has for a table; below 0 for rows that are removed.
pub(super) fn count(db: &Connection, table: &str, rows: i64) -> Result<()> {
    let sql = "UPDATE meta SET value = CAST(CAST(value AS INTEGER) + ?2 AS TEXT), \
         sum = row_sum('meta', key, CAST(CAST(value AS INTEGER) + ?2 AS TEXT)) \
         WHERE key = ?1 AND sum = row_sum('meta', key, value)";
    let counted = db.prepare_cached(sql)?.execute((table, rows))?;
    if counted == 1 { Ok(()) } else { Err(damaged(format!("the number of {table}"))) }
}

/// A value of `meta`.
pub(super) fn meta(db: &Connection, key: &str) -> Result<String> {
    let sql = "SELECT value, sum = row_sum('meta', key, value) FROM meta WHERE key = ?1";
    let found = db.query_row(sql, [key], |row| {
        check(row, 1, "what belongs to the whole")?;
        row.get(0)
    });
    found.optional()?.ok_or_else(|| damaged(format!("there is no {key}")))
}

/// The columns of a membership that [`member`] reads: all of the table, in its order, with the
/// checksum at the end.
macro_rules! member_columns {
    () => {
        "room, user, joined, read, read_messages, deleted_unread, delivered, has_written, own, sum"
    };
}

/// The memberships of the rooms from an `id` to another.
pub(super) const MEMBERS_BETWEEN: &str = concat!(
    "SELECT ",
    member_columns!(),
    " FROM members WHERE room BETWEEN ?1 AND ?2 ORDER BY room, user"
);
/// The memberships of a room.
pub(super) const MEMBERS_OF_ROOM: &str =
    concat!("SELECT ", member_columns!(), " FROM members WHERE room = ?1 ORDER BY user");
const MEMBER: &str =
    concat!("SELECT ", member_columns!(), " FROM members WHERE room = ?1 AND user = ?2");

pub(super) fn find_member(
    db: &Connection,
    room: i64,
    user: &UserId,
) -> Result<Option<MemberState>> {
    find_row(db, MEMBER, params![room, user.as_str()], member)
}

/// A row of a member, as `member_columns!` says.
pub(super) struct MemberRow<'a>(WholeRow<'a, 9>);

impl<'a> MemberRow<'a> {
    #[inline]
    pub(super) fn read(row: &'a Row<'_>) -> Result<MemberRow<'a>> {
        Ok(MemberRow(WholeRow::read(row, "members", "a membership")?))
    }

    /// The room's `id`.
    pub(super) fn room(&self) -> Result<i64> {
        self.0.integer(0)
    }

    pub(super) fn user(&self) -> Result<&'a str> {
        self.0.text(1)
    }

    pub(super) fn state(&self) -> Result<MemberState> {
        let columns = &self.0;
        Ok(MemberState {
            joined: columns.unsigned(2)?,
            read: columns.unsigned(3)?,
            read_messages: columns.unsigned(4)?,
            deleted_unread: columns.unsigned(5)?,
            delivered: columns.unsigned(6)?,
            has_written: columns.flag(7)?,
            is_own: columns.flag(8)?,
        })
    }
}

/// Reads the columns of `member_columns!`.
pub(super) fn member(row: &Row<'_>) -> Result<MemberState> {
    MemberRow::read(row)?.state()
}

/// A column with a user's id.
pub(super) fn user_of(row: &Row<'_>, column: usize) -> Result<UserId> {
    parsed(UserId::parse_any(row.get_ref(column)?.as_str()?))
}

/// A new row of a member.
macro_rules! insert_member {
    () => {
        "INSERT INTO members (room, user, joined, read, read_messages, deleted_unread, delivered, \
         has_written, own, sum) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, \
         row_sum('members', ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9))"
    };
}
pub(super) use insert_member;

/// Writes a member's row, new or not.
pub(super) fn save_member(
    db: &Connection,
    room: i64,
    user: &UserId,
    member: &MemberState,
) -> Result<()> {
    db.prepare_cached(concat!(
        insert_member!(),
        " ON CONFLICT (room, user) DO UPDATE SET joined = ?3, read = ?4, read_messages = ?5, \
         deleted_unread = ?6, delivered = ?7, has_written = ?8, own = ?9, sum = excluded.sum"
    ))?
    .execute(params![
        room,
        user.as_str(),
        member.joined as i64,
        member.read as i64,
        member.read_messages as i64,
        member.deleted_unread as i64,
        member.delivered as i64,
        member.has_written,
        member.is_own,
    ])?;
    Ok(())
}

/// The columns of an entry that [`entry`] reads.
macro_rules! entry_columns {
    () => {
        "seq, ts, kind, user, by, text, data, reply_to, target, emoji, is_on, cid, digest, \
         messages, edited, deleted, reacted, sum = row_sum('entries', room, seq, ts, kind, user, \
         by, text, data, reply_to, target, emoji, is_on, cid, digest, messages, edited, deleted, \
         reacted)"
    };
}
pub(super) use entry_columns;

/// An entry's row, without the reactions to it.
pub(super) struct EntryRow {
    pub(super) entry: Entry,
    /// How many messages there are up to it.
    pub(super) messages: u64,
    pub(super) digest: Option<i64>,
    pub(super) edited: Option<u64>,
    pub(super) deleted: Option<u64>,
    /// How many reactions to it hold.
    pub(super) reacted: u64,
}

/// Reads the columns of `entry_columns!`.
pub(super) fn entry(room: &RoomId, row: &Row<'_>) -> Result<EntryRow> {
    check(row, 17, "an entry")?;
    let user = user_of(row, 3)?;
    let by = row.get_ref(4)?.as_str_or_null()?;
    let by = by.map(|by| parsed(UserId::parse_any(by))).transpose()?;
    let shared = |column| -> Result<Option<Arc<str>>> {
        Ok(row.get_ref(column)?.as_str_or_null()?.map(Arc::from))
    };
    let target = || optional(row, 8)?.ok_or_else(|| damaged("an entry without its target".into()));
    let kind = match row.get_ref(2)?.as_str()? {
        "message" => EntryKind::Message {
            from: user,
            body: Box::new(Body {
                text: shared(5)?.unwrap_or_default(),
                data: shared(6)?,
                reply_to: optional(row, 7)?,
            }),
            cid: shared(11)?,
            changes: None,
        },
        "edited" => EntryKind::Edited { target: target()?, text: shared(5)?, by: user },
        "deleted" => EntryKind::Deleted { target: target()?, by: user },
        "reacted" => EntryKind::Reacted {
            target: target()?,
            emoji: shared(9)?.unwrap_or_default(),
            on: row.get(10)?,
            by: user,
        },
        "joined" => EntryKind::Joined { user, by },
        "left" => EntryKind::Left { user, by },
        other => return Err(damaged(format!("an entry of kind {other}"))),
    };
    let entry =
        Entry { room: room.clone(), seq: unsigned(row, 0)?, ts: Timestamp(row.get(1)?), kind };
    Ok(EntryRow {
        entry,
        messages: unsigned(row, 13)?,
        digest: row.get(12)?,
        edited: optional(row, 14)?,
        deleted: optional(row, 15)?,
        reacted: unsigned(row, 16)?,
    })
}

/// An entry of a room, without the reactions to it.
pub(super) fn find_entry(db: &Connection, row: &RoomRow, seq: u64) -> Result<Option<EntryRow>> {
    if !(row.state.first..=row.state.head).contains(&seq) {
        return Ok(None);
    }
    let sql = concat!("SELECT ", entry_columns!(), " FROM entries WHERE room = ?1 AND seq = ?2");
    let key = params![row.id, seq as i64];
    let found = find_row(db, sql, key, |found| entry(&row.state.room, found))?;
    // Logs have no holes, so a missing entry is damage.
    found.map(Some).ok_or_else(|| no_entry(row, seq))
}

/// An entry of a room that must exist.
pub(super) fn entry_at(db: &Connection, row: &RoomRow, seq: u64) -> Result<EntryRow> {
    find_entry(db, row, seq)?.ok_or_else(|| no_entry(row, seq))
}

pub(super) fn no_entry(row: &RoomRow, seq: u64) -> rusqlite::Error {
    damaged(format!("{} has no entry {seq}", row.state.room))
}

/// All columns of an entry but the number of its reactions.
pub(super) const INSERT_ENTRY: &str = "INSERT INTO entries (room, seq, ts, kind, user, by, text, \
     data, reply_to, target, emoji, is_on, cid, digest, messages, edited, deleted, sum) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, \
     row_sum('entries', ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, \
     ?17, 0))";

/// All names of users: `id`, `name` and the check.
pub(super) const USERS: &str =
    "SELECT id, name, sum = row_sum('users', id, name) FROM users ORDER BY id";
/// A name, by `id` and `name`.
pub(super) const INSERT_USER: &str =
    "INSERT INTO users (id, name, sum) VALUES (?1, ?2, row_sum('users', ?1, ?2))";

/// Reads the row that a query finds, if there is one.
pub(super) fn find_row<T>(
    db: &Connection,
    sql: &str,
    params: impl Params,
    read: impl FnOnce(&Row<'_>) -> Result<T>,
) -> Result<Option<T>> {
    db.prepare_cached(sql)?.query_row(params, read).optional()
}

/// Hands each row of a query to `row`.
pub(super) fn each(
    db: &Connection,
    sql: &str,
    params: impl Params,
    mut row: impl FnMut(&Row<'_>) -> Result<()>,
) -> Result<()> {
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    while let Some(found) = rows.next()? {
        row(found)?;
    }
    Ok(())
}

pub(super) fn unsigned(row: &Row<'_>, column: usize) -> Result<u64> {
    not_negative(row.get(column)?)
}

pub(super) fn not_negative(number: i64) -> Result<u64> {
    u64::try_from(number).map_err(|_| damaged(format!("the number {number}")))
}

pub(super) fn optional(row: &Row<'_>, column: usize) -> Result<Option<u64>> {
    let is_null = row.get_ref(column)? == ValueRef::Null;
    if is_null { Ok(None) } else { unsigned(row, column).map(Some) }
}

pub(super) fn parsed<T>(name: std::result::Result<T, NameError>) -> Result<T> {
    name.map_err(|error| damaged(format!("a name that {error}")))
}

/// An error for what this program never writes to the file.
pub(super) fn damaged(what: String) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, Type::Text, what.into())
}

/// The text of an error; for damage only what is wrong.
pub(super) fn what(error: &rusqlite::Error) -> String {
    match error {
        rusqlite::Error::FromSqlConversionFailure(_, _, inner) => inner.to_string(),
        other => other.to_string(),
    }
}

/// Whether an error says that the file is damaged, not that it cannot be used for now.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    match error {
        rusqlite::Error::SqliteFailure(failure, _) => {
            // A row is in the way that no row says to be there.
            let is_in_the_way = matches!(
                failure.extended_code,
                rusqlite::ffi::SQLITE_CONSTRAINT_PRIMARYKEY
                    | rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE
            );
            // A page beyond the end of the file was read: the file was cut.
            is_in_the_way
                || failure.extended_code == rusqlite::ffi::SQLITE_IOERR_SHORT_READ
                || matches!(failure.code, ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
        }
        rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::IntegralValueOutOfRange(..)
        | rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::Utf8Error(..) => true,
        _ => false,
    }
}
