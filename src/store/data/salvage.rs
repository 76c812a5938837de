//! What can be kept of one room of a damaged store.

use super::check::shown;
use super::check_log::LoggedPerson;
use super::tolerant::{Skip, Sql, tolerated};
use super::{DataError, of_this_version, open_untouched, set_up};
use crate::base::{EntryKind, MemberState, RoomId, RoomState, Timestamp, UserId};
use crate::store::lost::{BrokenRule, are};
use crate::store::marks::deleted_after;
use crate::store::rows::{
    INSERT_ENTRY, INSERT_USER, RoomRow, USERS, check, damaged, each, entry, entry_at,
    entry_columns, insert_room, room_columns, room_row, save_room, unsigned,
};
use crate::store::write::RecordWriter;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::BTreeMap;
use std::path::Path;

/// Opens a damaged database, to read what can be read of it.
pub(super) fn salvage_file(file: &Path) -> Sql<Connection> {
    let into_sql = |error| match error {
        DataError::Database(error) => error,
        other => crate::store::rows::damaged(other.to_string()),
    };
    let db = open_untouched(file).map_err(into_sql)?;
    // SQLite reads one whose end is missing only so.
    db.pragma_update(None, "writable_schema", true)?;
    set_up(&db)?;
    of_this_version(&db).map_err(into_sql)?;
    for table in ["rooms", "members", "invites", "bans", "entries", "users", "revocations"] {
        // Its first page is beyond the end.
        if db.prepare(&format!("SELECT 1 FROM {table}")).is_err() {
            return Err(damaged(format!("there are no {table}")));
        }
    }
    Ok(db)
}

/// From the old store to the new one.
pub(super) struct Salvage<'a> {
    pub(super) old: &'a Connection,
    pub(super) new: &'a Connection,
    pub(super) lost: &'a mut dyn FnMut(BrokenRule),
}

/// A piece of a log without a hole.
#[derive(Clone, Copy, Debug, Default)]
struct Piece {
    from: u64,
    /// The last one.
    to: u64,
    first_ts: i64,
    ts: i64,
    first_messages: u64,
    messages: u64,
}

impl Piece {
    fn len(&self) -> u64 {
        (self.to + 1).saturating_sub(self.from)
    }
}

impl Salvage<'_> {
    pub(super) fn lost(&mut self, room: Option<&RoomId>, what: String) {
        (self.lost)(BrokenRule { room: room.map(|room| room.as_str().to_owned()), what });
    }

    /// Copies what is sound, for a store with this epoch.
    pub(super) fn all(&mut self, epoch: &str) -> Sql<()> {
        self.users()?;
        self.revocations()?;
        self.streams(epoch)?;
        let mut rooms = Vec::new();
        let sql = "SELECT id FROM rooms WHERE id >= ?1 ORDER BY id";
        // Behind a place that cannot be read it goes on, further and further away.
        let mut skip = Skip::new(1);
        while let Some(from) = skip.next_start() {
            let read = each(self.old, sql, [from], |row| {
                let id: i64 = row.get(0)?;
                skip.reached(id);
                rooms.push(id);
                Ok(())
            });
            if !skip.goes_on(read)? {
                break;
            }
        }
        if skip.has_failed {
            self.lost(None, "some rooms cannot be read".into());
        }
        for id in rooms {
            self.room(id)?;
        }
        Ok(())
    }

    fn users(&mut self) -> Sql<()> {
        let mut bad = Vec::new();
        let read = each(self.old, USERS, (), |row| {
            let user = check(row, 2, "").and_then(|()| Ok((row.get(0)?, row.get(1)?)));
            match tolerated::<(String, String)>(user)? {
                Some(user) => self.new.prepare_cached(INSERT_USER)?.execute(user).map(drop),
                None => {
                    bad.push(shown(row, 0));
                    Ok(())
                }
            }
        });
        if tolerated(read)?.is_none() {
            self.lost(None, "some users' names cannot be read".into());
        }
        for user in bad {
            self.lost(None, format!("the name of user {user} is lost"));
        }
        Ok(())
    }

    /// A room's row; of one that is damaged no more than its name, if two places have it.
    fn row_of(&mut self, id: i64) -> Sql<Option<(RoomRow, bool)>> {
        let sql = concat!("SELECT ", room_columns!(), " FROM rooms WHERE id = ?1");
        let read = self.old.prepare_cached(sql)?.query_row([id], room_row);
        if let Some(row) = tolerated(read)? {
            return Ok(Some((row, true)));
        }
        let name: Sql<Option<String>> = self
            .old
            .prepare_cached(
                "SELECT t.name FROM rooms AS t NOT INDEXED WHERE t.id = ?1 AND EXISTS (SELECT 1 \
                 FROM rooms AS i INDEXED BY sqlite_autoindex_rooms_1 \
                 WHERE i.name = t.name AND i.id = ?1)",
            )?
            .query_row([id], |row| row.get(0))
            .optional();
        let name = tolerated(name)?.flatten();
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
        let name = old.state.room.clone();
        let best = self.longest(&old)?;
        let piece = match best {
            Some(piece) => piece,
            None if is_sound => {
                let state = &old.state;
                let (ts, messages) = (state.ts.0, state.messages);
                let (from, to) = (state.head + 1, state.head);
                Piece { from, to, first_ts: 0, ts, first_messages: messages, messages }
            }
            None => {
                self.lost(Some(&name), "it is lost, as nothing of its log can be read".into());
                return Ok(());
            }
        };
        let (first, head) = (old.state.first, old.state.head);
        if is_sound && piece.from > first {
            self.lost(
                Some(&name),
                format!("{} lost", are("entry", "entries", first, piece.from - 1)),
            );
        }
        if is_sound && piece.to < head {
            self.lost(Some(&name), format!("{} lost", are("entry", "entries", piece.to + 1, head)));
        }
        let mut row = insert_room(self.new, &name, "", false, None)?;
        row.state = RoomState {
            head: piece.to,
            messages: piece.messages,
            ts: Timestamp(piece.ts),
            first: piece.from,
            first_ts: Timestamp(piece.first_ts),
            first_messages: piece.first_messages,
            ..old.state
        };
        let mut room = SalvagedRoom {
            old_id: id,
            row,
            end: piece.to,
            is_tail_whole: is_sound && piece.to == head,
            users: BTreeMap::new(),
            again: Vec::new(),
        };
        self.copy_log(&mut room, piece)?;
        if !room.row.state.is_ended {
            self.people(&mut room)?;
        }
        let again = std::mem::take(&mut room.again);
        let count = match again.len() {
            1 => "1 entry is".to_owned(),
            count => format!("{count} entries are"),
        };
        let writer = RecordWriter { db: self.new, now: room.row.state.ts };
        let has_more = !again.is_empty();
        for kind in again {
            writer.append(&mut room.row, kind, None)?;
        }
        if has_more {
            self.lost(
                Some(&name),
                format!("{count} written at its end again: who came and went, what was changed"),
            );
        }
        save_room(self.new, &room.row)
    }

    /// The longest piece of a log that is what was written, and of two the newer one.
    fn longest(&mut self, old: &RoomRow) -> Sql<Option<Piece>> {
        const SQL: &str = concat!(
            "SELECT ",
            entry_columns!(),
            " FROM entries WHERE room = ?1 AND seq >= ?2 ORDER BY seq"
        );
        let (mut best, mut current): (Option<Piece>, Option<Piece>) = (None, None);
        let mut skip = Skip::new(1);
        while let Some(from) = skip.next_start() {
            let read = each(self.old, SQL, [old.id, from], |row| {
                if let Ok(seq) = row.get(0) {
                    skip.reached(seq);
                }
                let found = entry(&old.state.room, row).and_then(|found| {
                    Ok((unsigned(row, 0)?, row.get(1)?, found.messages, found.entry.is_message()))
                });
                let Some((seq, ts, messages, is_message)) = tolerated(found)? else {
                    current = None;
                    return Ok(());
                };
                let before = messages.saturating_sub(u64::from(is_message));
                let piece = match current {
                    Some(piece)
                        if piece.to + 1 == seq && piece.ts <= ts && piece.messages == before =>
                    {
                        Piece { to: seq, ts, messages, ..piece }
                    }
                    _ => Piece {
                        from: seq,
                        to: seq,
                        first_ts: ts,
                        ts,
                        first_messages: before,
                        messages,
                    },
                };
                current = Some(piece);
                if best.is_none_or(|best| piece.len() >= best.len()) {
                    best = current;
                }
                Ok(())
            });
            if !skip.goes_on(read)? {
                break;
            }
            current = None;
        }
        Ok(best.filter(|piece| piece.from > 0))
    }

    fn copy_log(&mut self, room: &mut SalvagedRoom, piece: Piece) -> Sql<()> {
        if piece.len() == 0 {
            return Ok(());
        }
        let sql = concat!(
            "SELECT ",
            entry_columns!(),
            " FROM entries WHERE room = ?1 AND seq BETWEEN ?2 AND ?3 ORDER BY seq"
        );
        let mut statement = self.old.prepare_cached(sql)?;
        let mut rows = statement.query(params![room.old_id, piece.from as i64, piece.to as i64])?;
        let mut expected = piece.from;
        // Behind the last one may be what cannot be read.
        while let Some(Some(found)) = tolerated(rows.next())? {
            // Where a damaged row stands in the way of the search, it may come with the others.
            let read = tolerated(entry(&room.row.state.room, found))?;
            let Some(read) = read.filter(|read| read.entry.seq == expected) else { continue };
            let seq = read.entry.seq;
            expected += 1;
            let mut values = Vec::with_capacity(17);
            values.push(Value::Integer(room.row.id));
            for column in 0..16 {
                values.push(found.get::<_, Value>(column)?);
            }
            match read.entry.kind {
                EntryKind::Message { from, body, .. } => {
                    room.users.entry(from.clone()).or_default().wrote = true;
                    if read.edited.is_some_and(|edit| edit > piece.to) {
                        let text = read.deleted.is_none().then_some(body.text);
                        let kind = EntryKind::Edited { target: seq, text, by: from.clone() };
                        values[15] = Value::Integer(room.write_again(kind));
                    }
                    if read.deleted.is_some_and(|deletion| deletion > piece.to) {
                        let kind = EntryKind::Deleted { target: seq, by: from };
                        values[16] = Value::Integer(room.write_again(kind));
                    }
                }
                EntryKind::Joined { user, .. } => {
                    let joined =
                        LoggedPerson { joined: Some(seq), is_in: Some(true), wrote: false };
                    room.users.insert(user, joined);
                }
                EntryKind::Left { user, .. } => {
                    let left = LoggedPerson { joined: None, is_in: Some(false), wrote: false };
                    room.users.insert(user, left);
                }
                EntryKind::Edited { .. }
                | EntryKind::Deleted { .. }
                | EntryKind::Reacted { .. } => {}
            }
            self.new.prepare_cached(INSERT_ENTRY)?.execute(rusqlite::params_from_iter(values))?;
        }
        if expected <= piece.to {
            return Err(damaged(format!("the log of room {}", room.row.state.room)));
        }
        Ok(())
    }
}

/// A room of the new store.
pub(super) struct SalvagedRoom {
    pub(super) old_id: i64,
    pub(super) row: RoomRow,
    /// The last entry that is kept of the old log.
    pub(super) end: u64,
    pub(super) is_tail_whole: bool,
    pub(super) users: BTreeMap<UserId, LoggedPerson>,
    /// Entries that are written at the end.
    again: Vec<EntryKind>,
}

impl SalvagedRoom {
    /// Gives the number that the entry will have.
    pub(super) fn write_again(&mut self, kind: EntryKind) -> i64 {
        self.again.push(kind);
        (self.end + self.again.len() as u64) as i64
    }

    /// Marks are within the log that is left.
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
        let person = self.users.get(user);
        let wrote = person.is_some_and(|person| person.wrote);
        let is_kept =
            if state.room.is_direct() { state.first == 1 } else { member.joined >= state.first };
        let is_new = member.joined > self.end;
        member.has_written = !is_new && (wrote || (member.has_written && !is_kept));
        Ok(())
    }
}
