//! Keeps what is sound of one room of a damaged store.

use super::as_merged::show_merged;
use super::check_log::LogSummary;
use super::readable_rows::{Sql, each_readable, if_readable};
use super::{DataError, of_a_version_to_update, open_untouched, set_up};
use crate::base::{EntryKind, MemberState, RoomId, RoomState, Timestamp, UserId};
use crate::store::loss::{BrokenRule, are};
use crate::store::marks::deleted_after;
use crate::store::rows::{
    EntryRow, INSERT_ENTRY, RoomRow, damaged, entry, entry_at, entry_columns, insert_room, meta,
    room_columns, room_row, save_room,
};
use crate::store::schema;
use crate::store::tail::FoundTail;
use crate::store::write::RecordWriter;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension};
use std::path::Path;

/// Opens a damaged database, to read what can be read.
pub(super) fn salvage_file(file: &Path) -> Sql<Connection> {
    let into_sql = |error| match error {
        DataError::Database(error) => error,
        other => damaged(other.to_string()),
    };
    let db = open_untouched(file).map_err(into_sql)?;
    // Without this, SQLite does not read a file whose end is missing.
    db.pragma_update(None, "writable_schema", true)?;
    set_up(&db)?;
    of_a_version_to_update(&db).map_err(into_sql)?;
    for table in ["rooms", "members", "invites", "bans", "entries", "users", "revocations"] {
        // The table's first page may be beyond the end.
        if db.prepare(&format!("SELECT 1 FROM {table}")).is_err() {
            return Err(damaged(format!("there are no {table}")));
        }
    }
    Ok(db)
}

/// Copies from the old store to the new one.
pub(super) struct Salvage<'a> {
    pub(super) old: &'a Connection,
    pub(super) tail: &'a FoundTail,
    pub(super) new: &'a Connection,
    pub(super) lost: &'a mut dyn FnMut(BrokenRule),
}

impl Salvage<'_> {
    pub(super) fn lost(&mut self, room: Option<&RoomId>, what: String) {
        (self.lost)(BrokenRule { room: room.map(|room| room.as_str().to_owned()), what });
    }

    /// Reports rows of a table that were not found. The old store says how many there were, if that
    /// is sound.
    pub(super) fn are_all(&mut self, table: &str, found: u64, is_whole: bool) {
        let said = meta(self.old, table).ok().and_then(|count| count.parse::<u64>().ok());
        if !is_whole || said.is_some_and(|said| said > found) {
            self.lost(None, format!("some {table} are lost"));
        }
    }

    /// Copies what is sound into a store with this epoch.
    pub(super) fn all(&mut self, epoch: &str) -> Sql<()> {
        if schema::version(self.old)? > schema::OLDEST {
            let mut lost = Vec::new();
            show_merged(self.old, self.tail, &mut |what| lost.push(what))?;
            lost.into_iter().for_each(|what| self.lost(None, what));
        }
        self.users()?;
        self.revocations()?;
        self.streams(epoch)?;
        let (mut rooms, mut are_all) = (Vec::new(), true);
        let sql = "SELECT id FROM rooms WHERE id >= ?1 ORDER BY id";
        each_readable(self.old, sql, &[], |row| {
            match row {
                Some(row) => rooms.push(row.get(0)?),
                None => are_all = false,
            }
            Ok(())
        })?;
        if !are_all {
            self.lost(None, "some rooms cannot be read".into());
        }
        for id in rooms {
            self.room(id)?;
        }
        Ok(())
    }

    /// A room's row. If it is damaged, only its name is kept, and only if the table and its index
    /// agree on it.
    fn row_of(&mut self, id: i64) -> Sql<Option<(RoomRow, bool)>> {
        let sql = concat!("SELECT ", room_columns!(), " FROM rooms WHERE id = ?1");
        let read = self.old.prepare_cached(sql)?.query_row([id], room_row);
        if let Some(row) = if_readable(read)? {
            return Ok(Some((row, true)));
        }
        let sql = "SELECT t.name FROM main.rooms AS t NOT INDEXED WHERE t.id = ?1 AND EXISTS (SELECT 1 \
             FROM main.rooms AS i INDEXED BY sqlite_autoindex_rooms_1 \
             WHERE i.name = t.name AND i.id = ?1)";
        let name: Sql<Option<String>> =
            self.old.prepare_cached(sql)?.query_row([id], |row| row.get(0)).optional();
        let name = if_readable(name)?.flatten();
        let Some(room) = name.and_then(|name| RoomId::parse(&name).ok()) else {
            self.lost(None, format!("the room with the number {id} is lost, as its name is"));
            return Ok(None);
        };
        if !room.is_direct() {
            self.lost(Some(&room), "its title, its owner, and whether it is open are lost".into());
        }
        let state = RoomState::new(room, "".into(), false, None);
        Ok(Some((RoomRow { id, state, people: 0 }, false)))
    }

    fn room(&mut self, id: i64) -> Sql<()> {
        let Some((old, is_sound)) = self.row_of(id)? else { return Ok(()) };
        let longest = self.longest(&old)?;
        let name = old.state.room.clone();
        let RoomState { first, head, messages, .. } = old.state;
        let kept = match longest {
            Some(kept) => kept,
            // One that never had an entry had its first ones in the journal.
            None if is_sound && head > 0 => {
                let (first, first_ts) = (head + 1, Timestamp(0));
                RoomState { first, first_ts, first_messages: messages, ..old.state }
            }
            None => {
                self.lost(Some(&name), "it is lost, as nothing of its log can be read".into());
                return Ok(());
            }
        };
        for (first, last) in [(first, kept.first - 1), (kept.head + 1, head)] {
            if is_sound && first <= last {
                self.lost(Some(&name), format!("{} lost", are("entry", "entries", first, last)));
            }
        }
        let (end, is_tail_whole) = (kept.head, is_sound && kept.head == head);
        let row = insert_room(self.new, kept)?;
        let (seen, again) = (LogSummary::default(), Vec::new());
        let mut room = SalvagedRoom { old_id: id, row, end, is_tail_whole, seen, again };
        self.copy_log(&mut room)?;
        if !room.row.state.is_ended {
            self.people(&mut room)?;
        }
        let again = std::mem::take(&mut room.again);
        let count = match again.len() {
            1 => "1 entry is".to_owned(),
            count => format!("{count} entries are"),
        };
        if !again.is_empty() {
            let what = "written at its end again: who came and went, what was changed";
            self.lost(Some(&name), format!("{count} {what}"));
        }
        let writer = RecordWriter { db: self.new, now: room.row.state.ts };
        for kind in again {
            writer.append(&mut room.row, kind)?;
        }
        save_room(self.new, &room.row)
    }

    /// A room with the longest undamaged piece of its log without a hole; of two with the same
    /// length the newer one.
    fn longest(&mut self, old: &RoomRow) -> Sql<Option<RoomState>> {
        const SQL: &str = concat!(
            "SELECT ",
            entry_columns!(),
            " FROM entries WHERE room = ?1 AND seq >= ?2 ORDER BY seq"
        );
        let (mut best, mut piece): (Option<RoomState>, Option<RoomState>) = (None, None);
        each_readable(self.old, SQL, &[old.id], |row| {
            let found = match row {
                Some(row) => if_readable(entry(&old.state.room, row))?,
                None => None,
            };
            let Some(EntryRow { entry, messages, .. }) = found else {
                best = longer(best.take(), piece.take());
                return Ok(());
            };
            let (seq, ts) = (entry.seq, entry.ts);
            let before = messages.saturating_sub(u64::from(entry.is_message()));
            match &mut piece {
                Some(piece)
                    if piece.head + 1 == seq && piece.ts <= ts && piece.messages == before =>
                {
                    (piece.head, piece.ts, piece.messages) = (seq, ts, messages);
                }
                _ => {
                    best = longer(best.take(), piece.take());
                    let (first, head, first_ts, first_messages) = (seq, seq, ts, before);
                    let state = old.state.clone();
                    piece = Some(RoomState {
                        first,
                        head,
                        first_ts,
                        ts,
                        first_messages,
                        messages,
                        ..state
                    });
                }
            }
            Ok(())
        })?;
        Ok(longer(best, piece).filter(|piece| piece.first > 0))
    }

    fn copy_log(&mut self, room: &mut SalvagedRoom) -> Sql<()> {
        let (first, last) = (room.row.state.first, room.end);
        if first > last {
            return Ok(());
        }
        let sql = concat!(
            "SELECT ",
            entry_columns!(),
            " FROM entries WHERE room = ?1 AND seq BETWEEN ?2 AND ?3 ORDER BY seq"
        );
        let mut statement = self.old.prepare_cached(sql)?;
        let mut rows = statement.query([room.old_id, first as i64, last as i64])?;
        let mut expected = first;
        // What is behind the last one may not be readable.
        while let Some(Some(found)) = if_readable(rows.next())? {
            // If a damaged row is in the way of the search, it may come with the others.
            let read = if_readable(entry(&room.row.state.room, found))?;
            let Some(read) = read.filter(|read| read.entry.seq == expected) else { continue };
            let seq = read.entry.seq;
            expected += 1;
            let mut values = Vec::with_capacity(17);
            values.push(Value::Integer(room.row.id));
            for column in 0..16 {
                values.push(found.get::<_, Value>(column)?);
            }
            room.seen.note(&read.entry);
            if let EntryKind::Message { from, body, .. } = read.entry.kind {
                if read.edited.is_some_and(|edit| edit > last) {
                    let text = read.deleted.is_none().then_some(body.text);
                    let kind = EntryKind::Edited { target: seq, text, by: from.clone() };
                    values[15] = Value::Integer(room.write_again(kind));
                }
                if read.deleted.is_some_and(|deletion| deletion > last) {
                    let kind = EntryKind::Deleted { target: seq, by: from };
                    values[16] = Value::Integer(room.write_again(kind));
                }
            }
            self.new.prepare_cached(INSERT_ENTRY)?.execute(rusqlite::params_from_iter(values))?;
        }
        if expected <= last {
            return Err(damaged(format!("the log of room {}", room.row.state.room)));
        }
        Ok(())
    }
}

/// The longer of two pieces of a log; the second if they have the same length.
fn longer(best: Option<RoomState>, piece: Option<RoomState>) -> Option<RoomState> {
    let len = |piece: &RoomState| (piece.head + 1).saturating_sub(piece.first);
    best.filter(|best| piece.as_ref().is_none_or(|piece| len(best) > len(piece))).or(piece)
}

/// A room of the new store.
pub(super) struct SalvagedRoom {
    pub(super) old_id: i64,
    pub(super) row: RoomRow,
    /// The last entry that is kept of the old log.
    pub(super) end: u64,
    pub(super) is_tail_whole: bool,
    /// What the kept log says.
    pub(super) seen: LogSummary,
    /// Entries to be added at the end.
    again: Vec<EntryKind>,
}

impl SalvagedRoom {
    /// Adds an entry at the end. Returns the number that it will have.
    pub(super) fn write_again(&mut self, kind: EntryKind) -> i64 {
        self.again.push(kind);
        (self.end + self.again.len() as u64) as i64
    }

    /// Moves a member's marks to within the log that is left.
    pub(super) fn set_marks(
        &self,
        db: &Connection,
        user: &UserId,
        member: &mut MemberState,
    ) -> Sql<()> {
        let state = &self.row.state;
        let before = state.first.saturating_sub(1);
        member.read = member.read.clamp(before, self.end.max(before));
        member.delivered = member.delivered.min(self.end);
        member.read_messages = if member.read == before {
            state.first_messages
        } else {
            entry_at(db, &self.row, member.read)?.messages
        };
        member.deleted_unread = deleted_after(db, self.row.id, member.read)?;
        let person = self.seen.users.get(user);
        let wrote = person.is_some_and(|person| person.wrote);
        let is_kept =
            if state.room.is_direct() { state.first == 1 } else { member.joined >= state.first };
        let is_new = member.joined > self.end;
        member.has_written = !is_new && (wrote || (member.has_written && !is_kept));
        Ok(())
    }
}
