//! A store from lines of JSON: whole and checked, or not at all.

use super::derived::derive;
use super::files::NewStore;
use super::lines::{
    Counts, EntryLine, FORMAT, LINE_BYTES_MAX, Line, MemberLine, PermitLine, RoomLine,
};
use super::progress::TaskWatch;
use super::{DataError, Result, streams};
use crate::store::permits::{self, BANS, INVITES};
use crate::store::revocations::INSERT_REVOCATION;
use crate::store::rows::{self, INSERT_ENTRY, INSERT_USER, find_row, insert_member};
use rusqlite::{Connection, params};
use std::io::{BufRead, Read};
use std::path::Path;

/// Makes a store in `directory`, which must not have one, from the lines of an export. It gets
/// `new_epoch`, or the export's epoch. `watch` is told how far its check is, at the end.
///
/// # Errors
/// [`DataError`]; then nothing of it is in the directory, which does not exist if it did not
/// before.
pub fn import(
    input: &mut dyn BufRead,
    directory: &Path,
    new_epoch: Option<&str>,
    watch: TaskWatch<'_>,
) -> Result<Counts> {
    let mut new = NewStore::begin_empty(directory)?;
    let counts = new.fill(|db| {
        let mut reader = Reader { db, room: None, counts: Counts::default(), is_begun: false };
        let counts = reader.read_all(input, new_epoch)?;
        derive(db)?;
        Ok(counts)
    })?;
    new.finish(watch)?;
    Ok(counts)
}

struct Reader<'a> {
    db: &'a Connection,
    /// The last room that came; the next lines are likely about it.
    room: Option<(String, i64)>,
    counts: Counts,
    is_begun: bool,
}

impl Reader<'_> {
    fn read_all(&mut self, input: &mut dyn BufRead, new_epoch: Option<&str>) -> Result<Counts> {
        let (mut line, mut number) = (Vec::new(), 0);
        loop {
            number += 1;
            let fail = |what: &str| DataError::Line(number, what.to_owned());
            line.clear();
            let read = Read::take(&mut *input, LINE_BYTES_MAX).read_until(b'\n', &mut line);
            read.map_err(|error| fail(&format!("cannot be read: {error}")))?;
            if line.is_empty() {
                return Err(fail("the last line, which says how many there are, is not there"));
            }
            if line.last() != Some(&b'\n') && line.len() as u64 >= LINE_BYTES_MAX {
                return Err(fail("longer than any line of an export"));
            }
            let parsed = Line::parse(&line).map_err(|what| fail(&what))?;
            if let Line::End(counts) = parsed {
                line.clear();
                if Read::take(&mut *input, 1).read_until(b'\n', &mut line).unwrap_or(1) > 0 {
                    return Err(fail("something comes behind the last line"));
                }
                if counts != self.counts {
                    let came = &self.counts;
                    return Err(fail(&format!("{counts:?} should have come, and {came:?} did")));
                }
                return Ok(counts);
            }
            self.put(parsed, new_epoch).map_err(|error| match error {
                DataError::Database(error) if is_of_the_line(&error) => {
                    DataError::Line(number, error.to_string())
                }
                DataError::Line(_, what) => DataError::Line(number, what),
                other => other,
            })?;
        }
    }

    fn put(&mut self, line: Line<'_>, new_epoch: Option<&str>) -> Result<()> {
        let is_first = matches!(line, Line::Store(_));
        if is_first == self.is_begun {
            return Err(wrong("the first line, and no other, says `store`"));
        }
        self.counts.count(&line);
        match line {
            Line::Store(store) => {
                if store.format != FORMAT {
                    return Err(wrong("a form that this program does not know"));
                }
                self.is_begun = true;
                let epoch = new_epoch.unwrap_or(&store.epoch);
                self.db.execute("UPDATE meta SET value = ?1 WHERE key = 'epoch'", [epoch])?;
            }
            Line::User(user) => {
                self.db.prepare_cached(INSERT_USER)?.execute((&*user.id, &*user.name))?;
            }
            Line::Revocation(revocation) => {
                let columns = (&*revocation.kind, &*revocation.key, revocation.before);
                self.db.prepare_cached(INSERT_REVOCATION)?.execute(columns)?;
            }
            Line::Stream(stream) => streams::put_stream(self.db, &stream, new_epoch)?,
            Line::Event(event) => streams::put_event(self.db, &event)?,
            Line::Room(room) => self.room(&room)?,
            Line::Member(member) => self.member(&member)?,
            Line::Invite(invite) => self.permit(INVITES, &invite)?,
            Line::Ban(ban) => self.permit(BANS, &ban)?,
            Line::Entry(entry) => self.entry(&entry)?,
            // `read_all` ends with it.
            Line::End(_) => {}
        }
        Ok(())
    }

    fn find(&mut self, name: &str) -> Result<i64> {
        if let Some((last, id)) = &self.room
            && last == name
        {
            return Ok(*id);
        }
        let sql = "SELECT id FROM rooms WHERE name = ?1";
        let id: Option<i64> = find_row(self.db, sql, [name], |row| row.get(0))?;
        let id = id.ok_or_else(|| wrong("its room has not come yet"))?;
        self.room = Some((name.to_owned(), id));
        Ok(id)
    }

    fn room(&mut self, room: &RoomLine<'_>) -> Result<()> {
        // Its checksum is written when the number of its people is known.
        let sql = "INSERT INTO rooms (name, title, open, ended, owner, head, messages, ts, first, \
             first_ts, first_messages, sum) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, 0)";
        self.db.prepare_cached(sql)?.execute(params![
            room.room,
            room.title,
            room.open,
            room.ended,
            room.owner,
            room.head,
            room.messages,
            room.ts,
            room.first,
            room.first_ts,
            room.first_messages,
        ])?;
        self.room = Some((room.room.clone().into_owned(), self.db.last_insert_rowid()));
        Ok(())
    }

    fn member(&mut self, member: &MemberLine<'_>) -> Result<()> {
        let room = self.find(&member.room)?;
        self.db.prepare_cached(insert_member!())?.execute(params![
            room,
            member.user,
            member.joined,
            member.read,
            member.read_messages,
            member.deleted_unread,
            member.delivered,
            member.has_written,
            member.own,
        ])?;
        Ok(())
    }

    fn permit(&mut self, table: &str, permit: &PermitLine<'_>) -> Result<()> {
        let room = self.find(&permit.room)?;
        permits::write(self.db, table, room, &permit.user, &permit.by)?;
        Ok(())
    }

    fn entry(&mut self, entry: &EntryLine<'_>) -> Result<()> {
        let room = self.find(&entry.room)?;
        let number = |digits: &str| match u64::from_str_radix(digits, 16) {
            Ok(number) if digits.len() == 16 => Ok(number.cast_signed()),
            _ => Err(wrong("a digest has 16 hexadecimal digits")),
        };
        let digest = entry.digest.as_deref().map(number).transpose()?;
        self.db.prepare_cached(INSERT_ENTRY)?.execute(params![
            room,
            entry.seq,
            entry.ts,
            entry.kind,
            entry.user,
            entry.by,
            entry.text,
            entry.data,
            entry.reply_to,
            entry.target,
            entry.emoji,
            entry.on,
            entry.cid,
            digest,
            entry.messages,
            entry.edited,
            entry.deleted,
        ])?;
        Ok(())
    }
}

/// An error in a line, whose number the caller adds.
fn wrong(what: &str) -> DataError {
    DataError::Line(0, what.to_owned())
}

/// Whether the database refuses the line, rather than fails to work.
fn is_of_the_line(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation)
        || rows::is_damage(error)
}
