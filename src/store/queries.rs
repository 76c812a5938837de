//! Records and queries as SQL. All functions here run within the worker's transaction, or read.

use crate::base::{
    Body, Entry, EntryKind, MemberState, Outcome, Query, Record, RoomId, RoomState, Snapshot,
    Timestamp, UserId,
};
use rusqlite::{Connection, OptionalExtension, Result, Row, params};
use std::sync::Arc;

/// A room's row.
struct RoomRow {
    id: i64,
    state: RoomState,
}

/// Writes one record. Whatever it finds wrong it finds before it changes anything: an error is the
/// database's, and the whole batch is rolled back.
pub(super) fn write(db: &Connection, now: Timestamp, record: &Record) -> Result<Outcome> {
    match record {
        Record::Message { room, from, to, body, cid } => {
            write_message(db, now, room, from, to.as_ref(), body, cid.as_ref())
        }
        Record::Create { room, title, open, owner, members } => {
            if find_room(db, room)?.is_some() {
                return Ok(Outcome::Conflict);
            }
            let mut row =
                insert_room(db, room, title.as_deref().unwrap_or(""), *open, Some(owner))?;
            let mut entries = vec![join(db, now, &mut row, owner, None, true)?];
            for member in members.iter().filter(|member| *member != owner) {
                if find_member(db, row.id, member)?.is_none() {
                    entries.push(join(db, now, &mut row, member, Some(owner), false)?);
                }
            }
            Ok(Outcome::Room { room: row.state, entries })
        }
        Record::Join { room, user, by, is_own, create } => {
            let mut row = match find_room(db, room)? {
                Some(row) => row,
                None if *create => insert_room(db, room, "", true, Some(user))?,
                None => return Ok(Outcome::NotMember),
            };
            if find_member(db, row.id, user)?.is_some() {
                return Ok(Outcome::Room { room: row.state, entries: Vec::new() });
            }
            // The room may have come into being after this was decided.
            if *is_own && !row.state.is_open {
                return Ok(Outcome::NotMember);
            }
            if row.state.owner.is_none() {
                set_owner(db, &mut row, Some(user))?;
            }
            let entries = vec![join(db, now, &mut row, user, by.as_ref(), *is_own)?];
            Ok(Outcome::Room { room: row.state, entries })
        }
        Record::Leave { room, user, by } => {
            let Some(mut row) = find_room(db, room)? else { return Ok(Outcome::NotMember) };
            if find_member(db, row.id, user)?.is_none() {
                return Ok(Outcome::NotMember);
            }
            let entries = vec![leave(db, now, &mut row, user, by.as_ref())?];
            Ok(Outcome::Room { room: row.state, entries })
        }
        Record::Read { room, user, seq } => write_read(db, room, user, *seq),
        Record::Name { user, name } => {
            db.prepare_cached(
                "INSERT INTO users (id, name) VALUES (?1, ?2) \
                 ON CONFLICT (id) DO UPDATE SET name = excluded.name",
            )?
            .execute(params![user.as_str(), &**name])?;
            Ok(Outcome::Named)
        }
    }
}

fn write_message(
    db: &Connection,
    now: Timestamp,
    room: &RoomId,
    from: &UserId,
    to: Option<&UserId>,
    body: &Body,
    cid: Option<&Arc<str>>,
) -> Result<Outcome> {
    let found = find_room(db, room)?;
    let is_first = found.is_none();
    let mut row = match (found, to) {
        (Some(row), _) => row,
        (None, None) => return Ok(Outcome::NotMember),
        (None, Some(to)) => {
            let row = insert_room(db, room, "", false, None)?;
            for user in [from, to] {
                insert_member(db, row.id, user, &MemberState::default())?;
            }
            row
        }
    };
    // A repeat is found here, in the transaction that would add it: also one whose first copy
    // stands in the same batch.
    if let Some(cid) = cid {
        let first = db
            .prepare_cached(
                "SELECT seq, ts, kind, user, by, text, data, reply_to, cid FROM entries \
                 WHERE room = ?1 AND user = ?2 AND cid = ?3",
            )?
            .query_row(params![row.id, from.as_str(), &**cid], |found| entry(room, found))
            .optional()?;
        if let Some(entry) = first {
            let is_same =
                matches!(&entry.kind, EntryKind::Message { body: first, .. } if **first == *body);
            let duplicate = Outcome::Message { entry, is_duplicate: true, is_first: false };
            return Ok(if is_same { duplicate } else { Outcome::Mismatch });
        }
    }
    let kind =
        EntryKind::Message { from: from.clone(), body: Box::new(body.clone()), cid: cid.cloned() };
    let entry = append(db, now, &mut row, kind)?;
    // Whoever writes has read what came before.
    db.prepare_cached(
        "UPDATE members SET read = ?3, read_messages = ?4, has_written = 1 \
         WHERE room = ?1 AND user = ?2",
    )?
    .execute(params![row.id, from.as_str(), entry.seq as i64, row.state.messages as i64])?;
    Ok(Outcome::Message { entry, is_duplicate: false, is_first })
}

fn write_read(db: &Connection, room: &RoomId, user: &UserId, seq: u64) -> Result<Outcome> {
    let Some(row) = find_room(db, room)? else { return Ok(Outcome::NotMember) };
    let Some(member) = find_member(db, row.id, user)? else { return Ok(Outcome::NotMember) };
    let seq = seq.min(row.state.head);
    if seq <= member.read {
        return Ok(Outcome::Read { seq: member.read, messages: member.read_messages });
    }
    let messages: i64 = db
        .prepare_cached("SELECT messages FROM entries WHERE room = ?1 AND seq = ?2")?
        .query_row(params![row.id, seq as i64], |found| found.get(0))?;
    db.prepare_cached(
        "UPDATE members SET read = ?3, read_messages = ?4 WHERE room = ?1 AND user = ?2",
    )?
    .execute(params![row.id, user.as_str(), seq as i64, messages])?;
    Ok(Outcome::Read { seq, messages: messages as u64 })
}

/// Adds an entry to a room's log, with the next number.
fn append(db: &Connection, now: Timestamp, row: &mut RoomRow, kind: EntryKind) -> Result<Entry> {
    let state = &mut row.state;
    state.head += 1;
    state.ts = state.ts.max(now);
    state.messages += u64::from(matches!(kind, EntryKind::Message { .. }));
    db.prepare_cached("UPDATE rooms SET head = ?2, messages = ?3, ts = ?4 WHERE id = ?1")?
        .execute(params![row.id, state.head as i64, state.messages as i64, state.ts.0])?;
    let (name, user, by, body, cid) = match &kind {
        EntryKind::Message { from, body, cid } => {
            ("message", from, None, Some(body), cid.as_deref())
        }
        EntryKind::Joined { user, by } => ("joined", user, by.as_ref(), None, None),
        EntryKind::Left { user, by } => ("left", user, by.as_ref(), None, None),
    };
    db.prepare_cached(
        "INSERT INTO entries (room, seq, ts, kind, user, by, text, data, reply_to, cid, messages) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )?
    .execute(params![
        row.id,
        state.head as i64,
        state.ts.0,
        name,
        user.as_str(),
        by.map(UserId::as_str),
        body.map(|body| &*body.text),
        body.and_then(|body| body.data.as_deref()),
        body.and_then(|body| body.reply_to).map(|seq| seq as i64),
        cid,
        state.messages as i64,
    ])?;
    Ok(Entry { room: state.room.clone(), seq: state.head, ts: state.ts, kind })
}

fn join(
    db: &Connection,
    now: Timestamp,
    row: &mut RoomRow,
    user: &UserId,
    by: Option<&UserId>,
    is_own: bool,
) -> Result<Entry> {
    let kind = EntryKind::Joined { user: user.clone(), by: by.cloned() };
    let entry = append(db, now, row, kind)?;
    let member = MemberState {
        joined: entry.seq,
        read: entry.seq,
        read_messages: row.state.messages,
        has_written: false,
        is_own,
    };
    insert_member(db, row.id, user, &member)?;
    Ok(entry)
}

fn leave(
    db: &Connection,
    now: Timestamp,
    row: &mut RoomRow,
    user: &UserId,
    by: Option<&UserId>,
) -> Result<Entry> {
    db.prepare_cached("DELETE FROM members WHERE room = ?1 AND user = ?2")?
        .execute(params![row.id, user.as_str()])?;
    if row.state.owner.as_ref() == Some(user) {
        let heir: Option<String> = db
            .prepare_cached("SELECT user FROM members WHERE room = ?1 ORDER BY joined LIMIT 1")?
            .query_row([row.id], |found| found.get(0))
            .optional()?;
        let heir = heir.map(|name| parsed(UserId::parse(&name))).transpose()?;
        set_owner(db, row, heir.as_ref())?;
    }
    append(db, now, row, EntryKind::Left { user: user.clone(), by: by.cloned() })
}

fn set_owner(db: &Connection, row: &mut RoomRow, owner: Option<&UserId>) -> Result<()> {
    db.prepare_cached("UPDATE rooms SET owner = ?2 WHERE id = ?1")?
        .execute(params![row.id, owner.map(UserId::as_str)])?;
    row.state.owner = owner.cloned();
    Ok(())
}

fn insert_room(
    db: &Connection,
    room: &RoomId,
    title: &str,
    open: bool,
    owner: Option<&UserId>,
) -> Result<RoomRow> {
    db.prepare_cached("INSERT INTO rooms (name, title, open, owner) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![room.as_str(), title, open, owner.map(UserId::as_str)])?;
    let state = RoomState {
        room: room.clone(),
        title: title.into(),
        is_open: open,
        owner: owner.cloned(),
        head: 0,
        messages: 0,
        ts: Timestamp(0),
    };
    Ok(RoomRow { id: db.last_insert_rowid(), state })
}

fn insert_member(db: &Connection, room: i64, user: &UserId, member: &MemberState) -> Result<()> {
    db.prepare_cached(
        "INSERT INTO members (room, user, joined, read, read_messages, own) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![
        room,
        user.as_str(),
        member.joined as i64,
        member.read as i64,
        member.read_messages as i64,
        member.is_own,
    ])?;
    Ok(())
}

const ROOM_COLUMNS: &str = "id, name, title, open, owner, head, messages, ts";

fn find_room(db: &Connection, room: &RoomId) -> Result<Option<RoomRow>> {
    db.prepare_cached(
        "SELECT id, name, title, open, owner, head, messages, ts FROM rooms WHERE name = ?1",
    )?
    .query_row([room.as_str()], room_row)
    .optional()
}

fn find_member(db: &Connection, room: i64, user: &UserId) -> Result<Option<MemberState>> {
    db.prepare_cached(
        "SELECT joined, read, read_messages, has_written, own FROM members WHERE room = ?1 AND user = ?2",
    )?
    .query_row(params![room, user.as_str()], |row| member(row, 0))
    .optional()
}

/// Reads a page of a room's log, from its primary key.
pub(super) fn read(db: &Connection, query: &Query) -> Result<Vec<Entry>> {
    let sql = if query.from_end {
        "SELECT e.seq, e.ts, e.kind, e.user, e.by, e.text, e.data, e.reply_to, e.cid \
         FROM entries e JOIN rooms r ON r.id = e.room \
         WHERE r.name = ?1 AND e.seq BETWEEN ?2 AND ?3 ORDER BY e.seq DESC LIMIT ?4"
    } else {
        "SELECT e.seq, e.ts, e.kind, e.user, e.by, e.text, e.data, e.reply_to, e.cid \
         FROM entries e JOIN rooms r ON r.id = e.room \
         WHERE r.name = ?1 AND e.seq BETWEEN ?2 AND ?3 ORDER BY e.seq LIMIT ?4"
    };
    let mut statement = db.prepare_cached(sql)?;
    let last = i64::try_from(query.last).unwrap_or(i64::MAX);
    let first = i64::try_from(query.first).unwrap_or(i64::MAX);
    let mut rows =
        statement.query(params![query.room.as_str(), first, last, query.entries_max as i64])?;
    let mut page = Vec::new();
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        let entry = entry(&query.room, row)?;
        bytes += entry.weight();
        if bytes > query.bytes_max && !page.is_empty() {
            break;
        }
        page.push(entry);
    }
    if query.from_end {
        page.reverse();
    }
    Ok(page)
}

/// Reads all but the logs.
pub(super) fn snapshot(db: &Connection) -> Result<Snapshot> {
    let epoch = db.query_row("SELECT value FROM meta WHERE key = 'epoch'", (), |row| row.get(0))?;
    let rooms = db
        .prepare(&format!("SELECT {ROOM_COLUMNS} FROM rooms ORDER BY id"))?
        .query_map((), |row| room_row(row).map(|row| row.state))?
        .collect::<Result<_>>()?;
    let members = db
        .prepare(
            "SELECT r.name, m.user, m.joined, m.read, m.read_messages, m.has_written, m.own \
             FROM members m JOIN rooms r ON r.id = m.room ORDER BY m.room, m.user",
        )?
        .query_map((), |row| {
            let room = parsed(RoomId::parse(row.get_ref(0)?.as_str()?))?;
            let user = parsed(UserId::parse(row.get_ref(1)?.as_str()?))?;
            Ok((room, user, member(row, 2)?))
        })?
        .collect::<Result<_>>()?;
    let names = db
        .prepare("SELECT id, name FROM users ORDER BY id")?
        .query_map((), |row| {
            let user = parsed(UserId::parse(row.get_ref(0)?.as_str()?))?;
            Ok((user, Arc::from(row.get_ref(1)?.as_str()?)))
        })?
        .collect::<Result<_>>()?;
    Ok(Snapshot { epoch, rooms, members, names })
}

fn room_row(row: &Row<'_>) -> Result<RoomRow> {
    let owner: Option<String> = row.get(4)?;
    let state = RoomState {
        room: parsed(RoomId::parse(row.get_ref(1)?.as_str()?))?,
        title: row.get_ref(2)?.as_str()?.into(),
        is_open: row.get(3)?,
        owner: owner.map(|owner| parsed(UserId::parse(&owner))).transpose()?,
        head: unsigned(row, 5)?,
        messages: unsigned(row, 6)?,
        ts: Timestamp(row.get(7)?),
    };
    Ok(RoomRow { id: row.get(0)?, state })
}

fn member(row: &Row<'_>, first: usize) -> Result<MemberState> {
    Ok(MemberState {
        joined: unsigned(row, first)?,
        read: unsigned(row, first + 1)?,
        read_messages: unsigned(row, first + 2)?,
        has_written: row.get(first + 3)?,
        is_own: row.get(first + 4)?,
    })
}

/// Reads `seq, ts, kind, user, by, text, data, reply_to, cid`.
fn entry(room: &RoomId, row: &Row<'_>) -> Result<Entry> {
    let user = parsed(UserId::parse(row.get_ref(3)?.as_str()?))?;
    let by: Option<String> = row.get(4)?;
    let by = by.map(|by| parsed(UserId::parse(&by))).transpose()?;
    let shared = |column| -> Result<Option<Arc<str>>> {
        Ok(row.get_ref(column)?.as_str_or_null()?.map(Arc::from))
    };
    let kind = match row.get_ref(2)?.as_str()? {
        "message" => EntryKind::Message {
            from: user,
            body: Box::new(Body {
                text: shared(5)?.unwrap_or_default(),
                data: shared(6)?,
                reply_to: row.get::<_, Option<i64>>(7)?.map(|seq| seq.max(0) as u64),
            }),
            cid: shared(8)?,
        },
        "joined" => EntryKind::Joined { user, by },
        "left" => EntryKind::Left { user, by },
        other => return Err(damaged(format!("an entry of kind {other}"))),
    };
    Ok(Entry { room: room.clone(), seq: unsigned(row, 0)?, ts: Timestamp(row.get(1)?), kind })
}

fn unsigned(row: &Row<'_>, column: usize) -> Result<u64> {
    let number: i64 = row.get(column)?;
    u64::try_from(number).map_err(|_| damaged(format!("the number {number}")))
}

fn parsed<T>(name: std::result::Result<T, crate::base::NameError>) -> Result<T> {
    name.map_err(|error| damaged(format!("a name that {error}")))
}

/// The file has something that this program never writes.
fn damaged(what: String) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, what.into())
}
