//! A store as lines of JSON, one for each thing that it has.

use super::check::find_losses;
use super::files::FAULTS_TOLD_MAX;
use super::lines::{
    Counts, EntryLine, FORMAT, Line, MemberLine, PermitLine, RevocationLine, RoomLine, StoreLine,
    UserLine,
};
use super::progress::{EntryCounter, TaskWatch};
use super::{DataError, ENTRIES, Result, damaged, database_of, open_sound, streams};
use crate::store::permits::{self, BANS, INVITES};
use crate::store::revocations::{self, REVOCATIONS};
use crate::store::rows::{self, MEMBERS_OF_ROOM, MemberRow, ROOMS, RoomRow, USERS, meta, room_row};
use crate::store::sums::check;
use rusqlite::{Connection, Params, Row};
use std::borrow::Cow;
use std::io::Write;
use std::path::Path;

/// Writes a whole store as lines of JSON, as it is at one moment, also while a server uses it.
/// `path` is its directory or its file; `watch` is told how far it is.
///
/// # Errors
/// [`DataError`]. If the data are damaged, what was written so far is of no use. A store that has
/// lost something acknowledged is not exported: imported with its epoch, it would give numbers
/// again.
pub fn export(path: &Path, out: &mut dyn Write, watch: TaskWatch<'_>) -> Result<Counts> {
    let file = database_of(path)?;
    let db = open_sound(&file)?;
    let mut lost = find_losses(&file)?;
    let count = lost.len() as u64;
    if count > 0 {
        lost.truncate(FAULTS_TOLD_MAX);
        return Err(DataError::Lost(lost, count));
    }
    let counted = EntryCounter::begin(&db, "writing", watch);
    let mut writer =
        LineWriter { db: &db, out, line: Vec::new(), counts: Counts::default(), counted };
    writer.store().map_err(|error| damaged(&file, error))?;
    Ok(writer.counts)
}

struct LineWriter<'a> {
    db: &'a Connection,
    out: &'a mut dyn Write,
    line: Vec<u8>,
    counts: Counts,
    counted: EntryCounter<'a>,
}

/// Makes the line of a row. A room is given by its name.
type LineFromRow = for<'a> fn(&'a str, &'a Row<'_>) -> rusqlite::Result<Line<'a>>;

impl LineWriter<'_> {
    fn put(&mut self, line: &Line<'_>) -> Result<()> {
        self.counts.count(line);
        if matches!(line, Line::Entry(_) | Line::Event(_)) {
            self.counted.add();
        }
        line.write(&mut self.line).map_err(|error| DataError::Output(error.into()))?;
        self.out.write_all(&self.line).map_err(DataError::Output)
    }

    /// Writes a line for each row of a query.
    fn lines(
        &mut self,
        sql: &str,
        params: impl Params,
        room: &str,
        line: LineFromRow,
    ) -> Result<()> {
        let mut statement = self.db.prepare_cached(sql)?;
        let mut rows = statement.query(params)?;
        while let Some(row) = rows.next()? {
            self.put(&line(room, row)?)?;
        }
        Ok(())
    }

    fn store(&mut self) -> Result<()> {
        let db = self.db;
        let epoch = meta(db, "epoch")?.into();
        self.put(&Line::Store(StoreLine { format: FORMAT, epoch }))?;
        self.lines(USERS, (), "", user)?;
        self.lines(REVOCATIONS, (), "", revocation)?;
        streams::export(db, &mut |line| self.put(line))?;
        let mut rooms = db.prepare(ROOMS)?;
        let mut rows = rooms.query(())?;
        while let Some(row) = rows.next()? {
            self.room(row)?;
        }
        let counts = self.counts.clone();
        for (table, count) in [
            ("users", counts.users),
            ("revocations", counts.revocations),
            ("streams", counts.streams),
            ("rooms", counts.rooms),
        ] {
            if meta(db, table)? != count.to_string() {
                return Err(rows::damaged(format!("some {table} are not there")).into());
            }
        }
        self.put(&Line::End(counts))?;
        self.out.flush().map_err(DataError::Output)
    }

    fn room(&mut self, row: &Row<'_>) -> Result<()> {
        let RoomRow { id, state, people } = room_row(row)?;
        let room = state.room.as_str();
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
        let before = self.counts.clone();
        self.lines(MEMBERS_OF_ROOM, [id], room, member)?;
        self.lines(&permits::select(INVITES), [id], room, |room, row| {
            permit(room, row).map(Line::Invite)
        })?;
        self.lines(&permits::select(BANS), [id], room, |room, row| {
            permit(room, row).map(Line::Ban)
        })?;
        self.lines(ENTRIES, [id], room, entry)?;
        let entries = (state.head + 1).saturating_sub(state.first);
        if self.counts.entries - before.entries != entries
            || self.counts.people() - before.people() != people
        {
            return Err(rows::damaged(format!("some of room {room} is not there")).into());
        }
        Ok(())
    }
}

fn user<'a>(_: &str, row: &'a Row<'_>) -> rusqlite::Result<Line<'a>> {
    check(row, 2, "a user")?;
    Ok(Line::User(UserLine { id: text(row, 0)?, name: text(row, 1)? }))
}

fn revocation<'a>(_: &str, row: &'a Row<'_>) -> rusqlite::Result<Line<'a>> {
    revocations::revocation(row)?;
    let (kind, key, before) = (text(row, 0)?, text(row, 1)?, row.get(2)?);
    Ok(Line::Revocation(RevocationLine { kind, key, before }))
}

fn member<'a>(room: &'a str, row: &'a Row<'_>) -> rusqlite::Result<Line<'a>> {
    MemberRow::read(row)?;
    Ok(Line::Member(MemberLine {
        room: room.into(),
        user: text(row, 1)?,
        joined: row.get(2)?,
        read: row.get(3)?,
        read_messages: row.get(4)?,
        deleted_unread: row.get(5)?,
        delivered: row.get(6)?,
        has_written: row.get(7)?,
        own: row.get(8)?,
    }))
}

fn permit<'a>(room: &'a str, row: &'a Row<'_>) -> rusqlite::Result<PermitLine<'a>> {
    check(row, 2, "an invitation or a ban")?;
    Ok(PermitLine { room: room.into(), user: text(row, 0)?, by: text(row, 1)? })
}

fn entry<'a>(room: &'a str, row: &'a Row<'_>) -> rusqlite::Result<Line<'a>> {
    check(row, 17, "an entry")?;
    let digest: Option<i64> = row.get(12)?;
    Ok(Line::Entry(Box::new(EntryLine {
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
    })))
}

fn text<'a>(row: &'a Row<'_>, column: usize) -> rusqlite::Result<Cow<'a, str>> {
    Ok(row.get_ref(column)?.as_str()?.into())
}

fn optional_text<'a>(row: &'a Row<'_>, column: usize) -> rusqlite::Result<Option<Cow<'a, str>>> {
    Ok(row.get_ref(column)?.as_str_or_null()?.map(Cow::from))
}
