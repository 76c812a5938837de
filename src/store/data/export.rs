//! A store as lines of JSON: all that it has, each thing in a line.

use super::check::what_is_lost;
use super::files::FAULTS_TOLD_MAX;
use super::lines::{
    Counts, EntryLine, FORMAT, Line, MemberLine, PermitLine, RevocationLine, RoomLine, StoreLine,
    UserLine,
};
use super::{DataError, Result, damaged, database_of, open_sound, streams};
use crate::store::revocations::{columns, revocation, revocation_columns};
use crate::store::rows::{self, check, entry_columns, meta, room_columns, room_row};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row, Statement};
use std::borrow::Cow;
use std::io::Write;
use std::path::Path;

/// Writes all of a store as lines of JSON, as it is at one moment, also while a server uses it.
/// `path` is its directory, or its file.
///
/// # Errors
/// [`DataError`]. Damage is not handed on: then what was written so far is of no use. Nor is what has lost something
/// that was acknowledged: imported with its epoch, it would give numbers again.
pub fn export(path: &Path, out: &mut dyn Write) -> Result<Counts> {
    let file = database_of(path)?;
    let mut lost = what_is_lost(&file)?;
    let count = lost.len() as u64;
    if count > 0 {
        lost.truncate(FAULTS_TOLD_MAX);
        return Err(DataError::Lost(lost, count));
    }
    let db = open_sound(&file)?;
    // All that is read from here on is of one moment.
    db.execute_batch("BEGIN")?;
    let mut writer = LineWriter { out, line: Vec::new(), counts: Counts::default() };
    writer.store(&db).map_err(|error| damaged(&file, error))?;
    Ok(writer.counts)
}

struct LineWriter<'a> {
    out: &'a mut dyn Write,
    line: Vec<u8>,
    counts: Counts,
}

impl LineWriter<'_> {
    fn put(&mut self, line: &Line<'_>) -> Result<()> {
        line.write(&mut self.line).map_err(|error| DataError::Output(error.into()))?;
        self.out.write_all(&self.line).map_err(DataError::Output)
    }

    fn store(&mut self, db: &Connection) -> Result<()> {
        let epoch = meta(db, "epoch")?.into();
        self.put(&Line::Store(StoreLine { format: FORMAT, epoch }))?;
        let mut users =
            db.prepare("SELECT id, name, sum = row_sum('users', id, name) FROM users ORDER BY id")?;
        let mut rows = users.query(())?;
        while let Some(row) = rows.next()? {
            check(row, 2, "a user")?;
            self.put(&Line::User(UserLine { id: text(row, 0)?, name: text(row, 1)? }))?;
            self.counts.users += 1;
        }
        self.revocations(db)?;
        let (streams, events) = streams::export(db, &mut |line| self.put(line))?;
        (self.counts.streams, self.counts.events) = (streams, events);
        let mut of_room = OfRoom::prepare(db)?;
        let mut rooms =
            db.prepare(concat!("SELECT ", room_columns!(), " FROM rooms ORDER BY id"))?;
        let mut rows = rooms.query(())?;
        while let Some(row) = rows.next()? {
            let parsed = room_row(row)?;
            let room = parsed.state.room.as_str();
            self.put(&Line::Room(RoomLine {
                room: room.into(),
                title: text(row, 2)?,
                open: row.get(3)?,
                ended: row.get(4)?,
                owner: optional_text(row, 5)?,
                head: row.get(6)?,
                messages: row.get(7)?,
                ts: row.get(8)?,
                first: row.get(9)?,
                first_ts: row.get(10)?,
                first_messages: row.get(11)?,
            }))?;
            self.counts.rooms += 1;
            let before = self.counts.clone();
            self.of_room(&mut of_room, parsed.id, room)?;
            let (now, state) = (&self.counts, &parsed.state);
            let people = |counts: &Counts| counts.members + counts.invites + counts.bans;
            let is_whole = now.entries - before.entries
                == (state.head + 1).saturating_sub(state.first)
                && people(now) - people(&before) == parsed.people;
            if !is_whole {
                return Err(rows::damaged(format!("some of room {room} is not there")).into());
            }
        }
        let Counts { users, revocations, streams, rooms, .. } = self.counts;
        let counts = [
            ("users", users),
            ("revocations", revocations),
            ("streams", streams),
            ("rooms", rooms),
        ];
        for (table, count) in counts {
            if meta(db, table)? != count.to_string() {
                return Err(rows::damaged(format!("some {table} are not there")).into());
            }
        }
        let counts = self.counts.clone();
        self.put(&Line::End(counts))?;
        self.out.flush().map_err(DataError::Output)
    }

    fn revocations(&mut self, db: &Connection) -> Result<()> {
        let sql = concat!("SELECT ", revocation_columns!(), " FROM revocations ORDER BY kind, key");
        let mut statement = db.prepare(sql)?;
        let mut rows = statement.query(())?;
        while let Some(row) = rows.next()? {
            let revocation = revocation(row)?;
            let (kind, key, before) = columns(&revocation);
            let line = RevocationLine { kind: kind.into(), key: key.into(), before };
            self.put(&Line::Revocation(line))?;
            self.counts.revocations += 1;
        }
        Ok(())
    }

    fn of_room(&mut self, of_room: &mut OfRoom<'_>, id: i64, room: &str) -> Result<()> {
        let mut rows = of_room.members.query([id])?;
        while let Some(row) = rows.next()? {
            check(row, 8, "a membership")?;
            self.put(&Line::Member(MemberLine {
                room: room.into(),
                user: text(row, 0)?,
                joined: row.get(1)?,
                read: row.get(2)?,
                read_messages: row.get(3)?,
                deleted_unread: row.get(4)?,
                delivered: row.get(5)?,
                has_written: row.get(6)?,
                own: row.get(7)?,
            }))?;
            self.counts.members += 1;
        }
        let mut rows = of_room.invites.query([id])?;
        while let Some(row) = rows.next()? {
            self.put(&Line::Invite(permit(room, row)?))?;
            self.counts.invites += 1;
        }
        let mut rows = of_room.bans.query([id])?;
        while let Some(row) = rows.next()? {
            self.put(&Line::Ban(permit(room, row)?))?;
            self.counts.bans += 1;
        }
        let mut rows = of_room.entries.query([id])?;
        while let Some(row) = rows.next()? {
            check(row, 17, "an entry")?;
            self.put(&Line::Entry(Box::new(entry(room, row)?)))?;
            self.counts.entries += 1;
        }
        Ok(())
    }
}

/// What is read for each room.
struct OfRoom<'a> {
    members: Statement<'a>,
    invites: Statement<'a>,
    bans: Statement<'a>,
    entries: Statement<'a>,
}

impl OfRoom<'_> {
    fn prepare(db: &Connection) -> rusqlite::Result<OfRoom<'_>> {
        Ok(OfRoom {
            members: db.prepare(
                "SELECT user, joined, read, read_messages, deleted_unread, delivered, \
                 has_written, own, sum = row_sum('members', room, user, joined, read, \
                 read_messages, deleted_unread, delivered, has_written, own) \
                 FROM members WHERE room = ?1 ORDER BY user",
            )?,
            invites: db.prepare(
                "SELECT user, by, sum = row_sum('invites', room, user, by) FROM invites \
                 WHERE room = ?1 ORDER BY user",
            )?,
            bans: db.prepare(
                "SELECT user, by, sum = row_sum('bans', room, user, by) FROM bans \
                 WHERE room = ?1 ORDER BY user",
            )?,
            entries: db.prepare(concat!(
                "SELECT ",
                entry_columns!(),
                " FROM entries WHERE room = ?1 ORDER BY seq"
            ))?,
        })
    }
}

fn permit<'a>(room: &'a str, row: &'a Row<'_>) -> rusqlite::Result<PermitLine<'a>> {
    check(row, 2, "an invitation or a ban")?;
    Ok(PermitLine { room: room.into(), user: text(row, 0)?, by: text(row, 1)? })
}

fn entry<'a>(room: &'a str, row: &'a Row<'_>) -> rusqlite::Result<EntryLine<'a>> {
    let digest: Option<i64> = row.get(12)?;
    Ok(EntryLine {
        room: room.into(),
        seq: row.get(0)?,
        ts: row.get(1)?,
        kind: text(row, 2)?,
        user: text(row, 3)?,
        by: optional_text(row, 4)?,
        text: optional_text(row, 5)?,
        data: optional_text(row, 6)?,
        reply_to: row.get(7)?,
        target: row.get(8)?,
        emoji: optional_text(row, 9)?,
        on: row.get(10)?,
        cid: optional_text(row, 11)?,
        digest: digest.map(|digest| format!("{digest:016x}").into()),
        messages: row.get(13)?,
        edited: row.get(14)?,
        deleted: row.get(15)?,
    })
}

fn text<'a>(row: &'a Row<'_>, column: usize) -> rusqlite::Result<Cow<'a, str>> {
    Ok(row.get_ref(column)?.as_str()?.into())
}

fn optional_text<'a>(row: &'a Row<'_>, column: usize) -> rusqlite::Result<Option<Cow<'a, str>>> {
    match row.get_ref(column)? {
        ValueRef::Null => Ok(None),
        value => Ok(Some(value.as_str()?.into())),
    }
}
