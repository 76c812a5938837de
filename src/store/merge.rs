//! Brings rooms from memory into the tables.

use super::append::insert_entry;
use super::hot::{HotEntry, HotRoom, HotRooms, Undo, weight};
use super::journal::{self, JournalExtent, JournalRecord, JournalText};
use super::loss;
use super::replay::JournalReplay;
use super::rows::{save_member, save_room};
use super::tail::FoundTail;
use crate::base::limits::{
    HOT_LOOKUPS_MAX, JOURNAL_ROWS_MAX, KEPT_UNMERGED, LENT_MAX, MERGE_CHUNK, MERGED_PER_ROOM_MIN,
    SLICE_UNMERGED, UNMERGED_MAX,
};
use crate::base::{EntryKind, Record, RoomId};
use rusqlite::{Connection, ErrorCode, Result};
use std::borrow::Cow;
use std::collections::HashSet;

/// What was written of a room.
#[derive(Debug)]
pub(super) struct MergedPart {
    room: RoomId,
    /// How many of its entries, the oldest first.
    entries: usize,
    /// Whether that is all of it.
    is_all: bool,
}

impl HotRoom {
    /// Writes its entries, the oldest first, until they weigh `most` and while it may `go_on`, and with the
    /// last one the rest.
    pub(super) fn write(
        &self,
        db: &Connection,
        most: usize,
        mut go_on: impl FnMut() -> bool,
    ) -> Result<(usize, bool)> {
        let (mut count, mut sum) = (0usize, 0);
        for HotEntry { entry, messages } in &self.entries {
            insert_entry(db, self.row.id, entry, *messages)?;
            count += 1;
            sum += weight(entry);
            let is_between = count.is_multiple_of(MERGE_CHUNK) && count < self.entries.len();
            if is_between && (sum >= most || !go_on()) {
                let mut row = self.row.clone();
                let state = &mut row.state;
                (state.head, state.ts, state.messages) = (entry.seq, entry.ts, *messages);
                save_room(db, &row)?;
                return Ok((count, false));
            }
        }
        for (user, member) in self.changed_members() {
            save_member(db, self.row.id, user, member)?;
        }
        if count > 0 {
            save_room(db, &self.row)?;
        }
        Ok((count, true))
    }

    /// Adds to a row of the journal what is in no table.
    fn put_again(&self, text: &mut JournalText) {
        let room = self.row.id;
        for HotEntry { entry, messages } in &self.entries {
            if let EntryKind::Message { from, body, cid, .. } = &entry.kind {
                text.add(&JournalRecord::Message {
                    room,
                    seq: entry.seq,
                    ts: entry.ts.0,
                    messages: *messages,
                    from: Cow::from(from.as_str()),
                    text: Cow::from(&*body.text),
                    data: body.data.as_deref().map(Cow::from),
                    reply_to: body.reply_to,
                    cid: cid.as_deref().map(Cow::from),
                });
            }
        }
        for (user, member) in self.changed_members() {
            let user = user.as_str();
            let (seq, messages, deleted) =
                (member.read, member.read_messages, member.deleted_unread);
            text.add(&JournalRecord::Read { room, user: user.into(), seq, messages, deleted });
            let seq = member.delivered;
            text.add(&JournalRecord::Delivered { room, user: user.into(), seq });
        }
    }
}

impl HotRooms {
    /// Writes rooms in the order of the tables, those with most first, while it may `go_on`; when all have had
    /// their turn, it begins again. So a page is changed for several rooms at once, where many rooms wait.
    /// What is written is [`merged`](HotRooms::merged) once it is committed.
    ///
    /// # Errors
    /// Damage of a room, too; that one stays in memory and in the journal from then on.
    pub(super) fn write_next(
        &mut self,
        db: &Connection,
        mut go_on: impl FnMut() -> bool,
    ) -> Result<Vec<MergedPart>> {
        if self.round.is_empty() {
            let mut waiting: Vec<_> =
                self.waiting().map(|(room, hot)| (hot.row.id, room)).collect();
            waiting.sort_unstable();
            self.round = waiting.into_iter().map(|(_, room)| room.clone()).collect();
        }
        let mut parts = Vec::new();
        let others = self.round.iter().filter(|room| !self.large.contains(room));
        let mut damaged = None;
        for room in self.large.iter().chain(others) {
            let found = self.rooms.get(room).filter(|hot| hot.unmerged > 0 && !hot.is_stuck);
            let Some(hot) = found else { continue };
            match hot.write(db, usize::MAX, &mut go_on) {
                Ok((entries, is_all)) => {
                    parts.push(MergedPart { room: room.clone(), entries, is_all });
                }
                Err(error) => {
                    damaged = Some((room.clone(), error));
                    break;
                }
            }
            if !go_on() {
                break;
            }
        }
        let Some((room, error)) = damaged else { return Ok(parts) };
        self.has_failed(&room, &error);
        Err(error)
    }

    /// The rooms that wait, those that do so for longest first.
    fn waiting(&self) -> impl Iterator<Item = (&RoomId, &HotRoom)> {
        self.queue.iter().filter_map(|(n, room)| {
            let hot = self.rooms.get(room).filter(|hot| hot.since == Some(*n))?;
            Some((room, hot))
        })
    }

    /// The rooms that are to be merged in a thread, in the order of the tables: those that have most, and if
    /// what waits is of few rooms, those that have waited for longest; more of them if `all` is to be merged.
    pub(super) fn to_lend(&self, all: bool) -> Vec<&HotRoom> {
        let most = if all { KEPT_UNMERGED } else { LENT_MAX };
        let mut rooms = first(self.large_rooms().filter(|hot| hot.unmerged > 0), most);
        if self.are_few() {
            let others = self.waiting().filter(|(room, _)| !self.large.contains(room));
            rooms.extend(first(others.map(|(_, hot)| hot), most));
        }
        rooms.sort_unstable_by_key(|hot| hot.row.id);
        rooms
    }

    /// A room could not be written. If that is because of the room, it is stuck.
    pub(super) fn has_failed(&mut self, room: &RoomId, error: &rusqlite::Error) {
        let Some(hot) = self.rooms.get_mut(room).filter(|_| !is_for_now(error)) else { return };
        hot.is_stuck = true;
        (self.unmerged, self.stuck) = (self.unmerged - hot.unmerged, self.stuck + hot.unmerged);
        self.large.retain(|one| one != room);
    }

    /// Writes some rooms whole, in the order of the tables, in which a page is read and changed once.
    pub(super) fn write_rooms<'a>(
        &self,
        db: &Connection,
        rooms: impl Iterator<Item = &'a RoomId>,
    ) -> Result<Vec<MergedPart>> {
        let found = rooms.filter_map(|room| Some((room, self.rooms.get(room)?)));
        let mut found: Vec<_> = found.filter(|(_, hot)| hot.unmerged > 0).collect();
        found.sort_unstable_by_key(|(_, hot)| hot.row.id);
        found.dedup_by_key(|(_, hot)| hot.row.id);
        let written = found.into_iter().map(|(room, hot)| {
            let (entries, is_all) = hot.write(db, usize::MAX, || true)?;
            Ok(MergedPart { room: room.clone(), entries, is_all })
        });
        written.collect()
    }

    /// Whether something of one of these rooms is in no table.
    pub(super) fn has_unmerged<'a>(&self, mut rooms: impl Iterator<Item = &'a RoomId>) -> bool {
        rooms.any(|room| self.has_some_of(room))
    }

    /// Counts the transaction that has written these parts as commit `n`, and removes the rows of
    /// the journal that nothing needs any more. Returns the oldest that stays.
    pub(super) fn count(&self, db: &Connection, n: u64, parts: &[MergedPart]) -> Result<u64> {
        let mut again = JournalText::default();
        let merged: HashSet<&RoomId> =
            parts.iter().filter(|part| part.is_all).map(|part| &part.room).collect();
        let oldest = self.queue.iter().find(|(since, room)| {
            let Some(hot) = self.rooms.get(room).filter(|hot| hot.since == Some(*since)) else {
                return false;
            };
            let is_to_go = hot.is_stuck && is_old(n, *since);
            if is_to_go {
                hot.put_again(&mut again);
            }
            !is_to_go && !merged.contains(room)
        });
        let oldest = oldest.map_or(n, |(oldest, _)| *oldest);
        note_merge(db, n, oldest, &again.take())?;
        Ok(oldest)
    }

    /// These parts are in the tables, and the journal begins with this row.
    pub(super) fn merged(&mut self, n: u64, parts: &[MergedPart], oldest: u64) {
        self.oldest = oldest;
        for MergedPart { room, entries, is_all } in parts {
            let Some(hot) = self.rooms.get_mut(room) else { continue };
            let before = hot.unmerged;
            let counted = if hot.is_stuck { &mut self.stuck } else { &mut self.unmerged };
            if *is_all {
                hot.is_merged();
            } else {
                hot.forget_entries(*entries);
            }
            *counted -= before - hot.unmerged;
            self.has_had_turn(room);
        }
        // What is stuck and was in rows that are gone is in the newest one.
        while let Some((_, room)) = self.queue.pop_front_if(|(since, room)| {
            let hot = self.rooms.get(room).filter(|hot| hot.since == Some(*since));
            hot.is_some_and(|hot| hot.is_stuck && is_old(n, *since))
        }) {
            if let Some(hot) = self.rooms.get_mut(&room) {
                hot.since = Some(n);
                self.queue.push_back((n, room));
            }
        }
        self.forget_turns();
        self.forget_places();
    }

    /// A room was written. Other large ones have their turn before it, however much has come to it.
    pub(super) fn has_had_turn(&mut self, room: &RoomId) {
        if let Some(at) = self.large.iter().position(|large| large == room) {
            self.large[at..].rotate_left(1);
        }
    }

    /// Forgets whose turn is over.
    pub(super) fn forget_turns(&mut self) {
        self.large.retain(|room| self.rooms.get(room).is_some_and(HotRoom::is_large));
        let waits = |hot: &HotRoom| hot.unmerged > 0 && !hot.is_stuck;
        while self.round.pop_front_if(|room| !self.rooms.get(room).is_some_and(waits)).is_some() {}
    }

    /// Forgets places in the queue of rooms that have left it.
    pub(super) fn forget_places(&mut self) {
        // Those in the middle go when they are more than the others.
        if self.queue.len() > 2 * self.rooms.len() {
            self.forget_all_places();
        }
        let is_left = |(n, room): &mut (u64, RoomId)| {
            self.rooms.get(room).is_none_or(|hot| hot.since != Some(*n))
        };
        while self.queue.pop_front_if(is_left).is_some() {}
    }

    /// As [`HotRooms::forget_places`], and none of them stays.
    pub(super) fn forget_all_places(&mut self) {
        self.queue
            .retain(|(n, room)| self.rooms.get(room).is_some_and(|hot| hot.since == Some(*n)));
    }

    /// Brings a room into the tables, because something is about to change it there. It leaves
    /// memory.
    pub(super) fn evict(&mut self, db: &Connection, room: &RoomId) -> Result<()> {
        if let Some(hot) = self.rooms.get(room).filter(|hot| hot.unmerged > 0) {
            hot.must_be_sound()?;
            hot.write(db, usize::MAX, || true)?;
        }
        let left = self.rooms.remove(room);
        self.unmerged -= left.as_ref().map_or(0, |hot| hot.unmerged);
        self.undo.push(Undo::Left(room.clone(), left));
        Ok(())
    }

    /// Those that have the most.
    fn large_rooms(&self) -> impl Iterator<Item = &HotRoom> {
        self.large.iter().filter_map(|room| self.rooms.get(room))
    }

    /// Whether so much waits, after commit `n`, that it has to be merged before more comes.
    pub(super) fn is_due(&self, n: u64) -> bool {
        let has_many_rows = n - self.oldest > JOURNAL_ROWS_MAX;
        self.unmerged > UNMERGED_MAX
            || has_many_rows
            || self.large_rooms().any(HotRoom::is_too_large)
    }

    /// Whether so much waits that a thread is to merge it, or `all` is to be merged. What is stuck
    /// [`count`](HotRooms::count) alone looks after.
    pub(super) fn is_for_thread(&self, all: bool) -> bool {
        let kept = if all { SLICE_UNMERGED } else { KEPT_UNMERGED };
        let has_large = self.large_rooms().any(HotRoom::is_large);
        // Of many rooms a thread has the large ones alone, and the others must have their turn.
        let is_much = match self.are_few() {
            true => self.unmerged > kept || has_large,
            false => has_large && !all && self.unmerged <= UNMERGED_MAX,
        };
        is_much && self.stuck == 0
    }

    /// Whether what waits is of few rooms.
    fn are_few(&self) -> bool {
        self.unmerged.max(KEPT_UNMERGED) / MERGED_PER_ROOM_MIN >= self.queue.len()
    }

    /// Whether so much waits that a thread is to merge it before others run.
    pub(super) fn is_urgent(&self) -> bool {
        self.unmerged > UNMERGED_MAX / 2 || self.large_rooms().any(HotRoom::is_too_large)
    }

    /// Whether so much waits that nothing more is taken.
    pub(super) fn is_full(&self) -> bool {
        self.unmerged > 2 * UNMERGED_MAX
    }

    /// Whether there is something to merge, or rows to remove before commit `n`, the newest.
    pub(super) fn is_waiting(&self, n: u64) -> bool {
        self.unmerged > 0 || (self.stuck == 0 && self.oldest < n)
    }

    /// Forgets what was only looked up, when that may be much.
    pub(super) fn forget(&mut self) {
        // Of a room that is lent, a member may be written that no table has yet.
        if self.lookups < HOT_LOOKUPS_MAX || self.are_lent {
            return;
        }
        self.lookups = 0;
        self.rooms.retain(|_, hot| {
            hot.forget_members();
            hot.unmerged > 0
        });
    }

    /// Nothing comes for now: forgets what was only looked up.
    pub(super) fn rest(&mut self) {
        self.rooms.retain(|_, hot| hot.unmerged > 0);
        self.rooms.shrink_to_fit();
    }

    /// Whether a record changes nothing but rooms in memory, whatever it comes to.
    pub(super) fn is_for(&self, record: &Record) -> bool {
        match record {
            // It may begin a direct room.
            Record::Message { room, to: Some(_), .. } => self.rooms.contains_key(room),
            other => other.is_frequent(),
        }
    }

    /// As [`HotRooms::is_for`], and that takes not long, however much the room has.
    pub(super) fn is_quick(&self, record: &Record) -> bool {
        match record {
            // What is deleted behind a mark is counted.
            Record::Read { room, seq, .. } => {
                self.rooms.get(room).is_some_and(|hot| *seq >= hot.row.state.head)
            }
            other => self.is_for(other),
        }
    }

    /// Whether something of a log, by its name in the mark, is in no table.
    pub(super) fn is_late(&self, log: &str) -> bool {
        let room = log.strip_prefix("room:").and_then(|name| RoomId::parse(name).ok());
        room.is_some_and(|room| self.has_some_of(&room))
    }

    /// The ids of its rooms.
    pub(super) fn ids(&self) -> impl Iterator<Item = i64> {
        self.rooms.values().map(|hot| hot.row.id)
    }

    fn has_some_of(&self, room: &RoomId) -> bool {
        self.rooms.get(room).is_some_and(|hot| hot.unmerged > 0)
    }
}

/// The first of some rooms, until they have so much.
fn first<'a>(rooms: impl Iterator<Item = &'a HotRoom>, most: usize) -> Vec<&'a HotRoom> {
    let mut sum = 0;
    let is_more = |hot: &&HotRoom| {
        let is_more = sum < most;
        sum += hot.unmerged;
        is_more
    };
    rooms.take_while(is_more).collect()
}

/// Notes that commit `n` merges, and adds these records; nothing before the `oldest` is needed then.
pub(super) fn note_merge(db: &Connection, n: u64, oldest: u64, records: &str) -> Result<()> {
    journal::append(db, n, records)?;
    journal::remove_before(db, oldest)?;
    loss::note_commits(db, n, oldest)
}

/// Whether an error is none of the room that meets it, and may be over soon.
fn is_for_now(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::DiskFull
                | ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::OutOfMemory
                | ErrorCode::ReadOnly
        )
    )
}

/// Whether what is stuck since a commit is written to the newest row, so that the others can go.
fn is_old(n: u64, since: u64) -> bool {
    n.saturating_sub(since) > JOURNAL_ROWS_MAX / 2
}

/// What a journal had before all of it was merged.
#[derive(Debug)]
pub(super) struct WholeJournal {
    pub(super) extent: JournalExtent,
    /// What was in no table, as it is before this is committed; `None` if there was nothing to do.
    pub(super) late: Option<HotRooms>,
}

/// Brings all that the journal has into the tables, and names no tail. One empty row stays, with the
/// number of commits.
pub(super) fn merge_all(db: &Connection, tail: &FoundTail) -> Result<WholeJournal> {
    let mut replay = JournalReplay::new(db);
    let mut rows = 0;
    let extent = journal::read(db, tail, |n, records| {
        if rows == 0 {
            replay.hot.oldest = n;
        }
        rows += 1;
        records?.into_iter().try_for_each(|record| replay.redo(n, record))
    })?;
    let is_named = tail.oldest.is_some();
    if rows == 0 || (rows == 1 && replay.is_empty() && !is_named) {
        return Ok(WholeJournal { extent, late: None });
    }
    let hot = replay.hot;
    hot.write_rooms(db, hot.rooms.keys())?;
    let n = extent.newest + 1;
    note_merge(db, n, n, journal::NO_RECORDS)?;
    loss::note_no_tail(db)?;
    Ok(WholeJournal { extent, late: Some(hot) })
}

#[cfg(test)]
mod tests {
    use super::super::hot::HotPoint;
    use super::super::sums::add_row_sum;
    use super::super::write::RecordWriter;
    use super::super::{rows, schema};
    use super::*;
    use crate::base::{Body, Timestamp, UserId};
    use std::cell::Cell;

    /// All rows of the tables that are merged.
    fn rows(db: &Connection) -> Vec<String> {
        let mut rows = Vec::new();
        for (table, columns) in [
            ("rooms", "name, head, messages, ts, first, first_ts, people, sum"),
            ("members", "room, user, joined, read, read_messages, delivered, has_written, sum"),
            ("entries", "room, seq, ts, kind, user, text, cid, digest, messages, sum"),
        ] {
            let sql = format!("SELECT json_array({columns}) FROM {table} ORDER BY 1");
            let mut statement = db.prepare(&sql).unwrap();
            let found = statement.query_map((), |row| row.get(0)).unwrap();
            rows.extend(found.map(Result::unwrap));
        }
        rows
    }

    /// What the tables are when all is merged from the journal, by a start.
    fn merged_rows(db: &Connection) -> Vec<String> {
        db.execute_batch("SAVEPOINT before").unwrap();
        merge_all(db, &FoundTail::default()).unwrap();
        let rows = rows(db);
        db.execute_batch("ROLLBACK TO before; RELEASE before").unwrap();
        rows
    }

    #[test]
    fn after_each_part_a_start_comes_to_the_same() {
        let mut db = Connection::open_in_memory().unwrap();
        add_row_sum(&db).unwrap();
        schema::prepare(&mut db, "epoch").unwrap().unwrap();
        let mut hot = HotRooms::default();
        let (rooms, users) = (["tea", "den"], ["ada", "bob"]);
        let id = |name: &str| (RoomId::parse(name).unwrap(), UserId::parse(name).unwrap());
        let mut records = Vec::new();
        for (room, user) in rooms.iter().flat_map(|room| users.map(|user| (room, user))) {
            records.push(Record::Join { room: id(room).0, user: id(user).1, by: None });
        }
        for number in 0..300u64 {
            let (room, user) = (id(rooms[usize::from(number % 3 == 0)]).0, id(users[0]).1);
            let body = Body { text: number.to_string().into(), data: None, reply_to: None };
            let cid = Some(number.to_string().into());
            records.push(Record::Message { room: room.clone(), from: user, to: None, body, cid });
            let (user, seq) = (id(users[1]).1, number / 3);
            match number % 7 {
                0 => records.push(Record::Read { room, user, seq }),
                1 => records.push(Record::Delivered { user, marks: vec![(room, seq)] }),
                _ => {}
            }
        }
        let mut n = 0u64;
        for record in records {
            n += 1;
            let now = Timestamp(n.cast_signed());
            RecordWriter { db: &db, now }.write(&mut hot, &record).unwrap();
            journal::append(&db, n, &hot.added.take()).unwrap();
            hot.committed(n);
        }
        let expected = merged_rows(&db);
        assert_ne!(rows(&db), expected);
        let mut slices = 0;
        while hot.is_waiting(n) {
            let parts = hot.write_next(&db, || false).unwrap();
            n += 1;
            let oldest = hot.count(&db, n, &parts).unwrap();
            hot.merged(n, &parts, oldest);
            assert_eq!(merged_rows(&db), expected, "after slice {slices}");
            slices += 1;
        }
        assert!(slices > 300 / MERGE_CHUNK, "{slices} slices");
        assert_eq!((rows(&db), hot.unmerged, hot.queue.len()), (expected, 0, 0));
        assert!(merge_all(&db, &FoundTail::default()).unwrap().late.is_none());
    }

    #[test]
    fn rooms_are_merged_in_the_order_of_the_tables_and_each_has_its_turn() {
        let mut db = Connection::open_in_memory().unwrap();
        add_row_sum(&db).unwrap();
        schema::prepare(&mut db, "epoch").unwrap().unwrap();
        let (mut hot, n) = (HotRooms::default(), Cell::new(0));
        let next = || n.replace(n.get() + 1) + 1;
        let user = UserId::parse("ada").unwrap();
        let writer = RecordWriter { db: &db, now: Timestamp(1) };
        let write = |hot: &mut HotRooms, record: &Record| {
            let n = next();
            writer.write(hot, record).unwrap();
            journal::append(&db, n, &hot.added.take()).unwrap();
            hot.committed(n);
        };
        let rooms = ["a", "b", "c", "d"].map(|name| RoomId::parse(name).unwrap());
        for room in &rooms {
            let (room, user) = (room.clone(), user.clone());
            write(&mut hot, &Record::Join { room, user, by: None });
        }
        let say = |room: &RoomId| {
            let body = Body { text: "x".into(), data: None, reply_to: None };
            Record::Message { room: room.clone(), from: user.clone(), to: None, body, cid: None }
        };
        for room in [3, 1, 2, 0] {
            write(&mut hot, &say(&rooms[room]));
        }
        let mut turns = String::new();
        for turn in 0..6 {
            // The first one has something new each time, and waits for the others all the same.
            write(&mut hot, &say(&rooms[0]));
            let (parts, n) = (hot.write_next(&db, || false).unwrap(), next());
            turns += parts[0].room.as_str();
            assert_eq!(parts.len(), 1, "turn {turn}");
            let oldest = hot.count(&db, n, &parts).unwrap();
            hot.merged(n, &parts, oldest);
        }
        assert_eq!(turns, "abcdaa");
    }

    #[test]
    fn what_is_stuck_goes_into_the_newest_row_before_its_own_is_removed() {
        let mut db = Connection::open_in_memory().unwrap();
        add_row_sum(&db).unwrap();
        schema::prepare(&mut db, "epoch").unwrap().unwrap();
        let mut hot = HotRooms::default();
        let (room, user) = (RoomId::parse("tea").unwrap(), UserId::parse("ada").unwrap());
        let body = Body { text: "kept".into(), data: None, reply_to: None };
        let (writer, cid) = (RecordWriter { db: &db, now: Timestamp(1) }, None);
        let join = Record::Join { room: room.clone(), user: user.clone(), by: None };
        let say = Record::Message { room: room.clone(), from: user, to: None, body, cid };
        for (n, record) in [(1, join), (2, say.clone())] {
            writer.write(&mut hot, &record).unwrap();
            journal::append(&db, n, &hot.added.take()).unwrap();
            hot.committed(n);
        }
        let expected = merged_rows(&db);
        let in_the_way = "INSERT INTO entries (room, seq, ts, kind, user, messages, sum) \
             VALUES (1, 2, 1, 'left', 'zoe', 0, 0)";
        db.execute(in_the_way, ()).unwrap();
        hot.write_next(&db, || true).unwrap_err();
        assert!(writer.write(&mut hot, &say).is_err(), "it takes nothing more");
        assert!(hot.write_next(&db, || true).unwrap().is_empty());
        for (n, oldest) in [(3, 2), (2 + JOURNAL_ROWS_MAX, 2 + JOURNAL_ROWS_MAX)] {
            assert_eq!(hot.count(&db, n, &[]).unwrap(), oldest);
            hot.merged(n, &[], oldest);
            assert!(!hot.is_waiting(n) && !hot.is_due(n));
        }
        let rows_left = |records: &str| -> i64 {
            let sql = format!("SELECT count(*) FROM journal WHERE records {records} '[]'");
            db.query_row(&sql, (), |row| row.get(0)).unwrap()
        };
        assert_eq!((rows_left("="), rows_left("<>")), (0, 1));
        db.execute("DELETE FROM entries WHERE seq = 2", ()).unwrap();
        assert_eq!(merged_rows(&db), expected);
    }

    #[test]
    fn what_is_taken_back_leaves_no_trace() {
        let mut db = Connection::open_in_memory().unwrap();
        add_row_sum(&db).unwrap();
        schema::prepare(&mut db, "epoch").unwrap().unwrap();
        let mut hot = HotRooms::default();
        let (room, user) = (RoomId::parse("tea").unwrap(), UserId::parse("ada").unwrap());
        let writer = RecordWriter { db: &db, now: Timestamp(1) };
        let say = |text: &str| Record::Message {
            room: room.clone(),
            from: user.clone(),
            to: None,
            body: Body { text: text.into(), data: None, reply_to: None },
            cid: Some(text.into()),
        };
        let join = Record::Join { room: room.clone(), user: user.clone(), by: None };
        writer.write(&mut hot, &join).unwrap();
        writer.write(&mut hot, &say("kept")).unwrap();
        hot.committed(1);
        hot.added.take();
        let state =
            |hot: &HotRooms| format!("{:?} {:?}", hot.rooms, (hot.unmerged, hot.added.len()));
        let before = state(&hot);
        // A message, a mark, and what brings the room to the tables.
        db.execute_batch("SAVEPOINT batch").unwrap();
        writer.write(&mut hot, &say("taken back")).unwrap();
        let marks = vec![(room.clone(), 3)];
        writer.write(&mut hot, &Record::Delivered { user: user.clone(), marks }).unwrap();
        let leave = Record::Leave { room: room.clone(), user: user.clone(), by: None };
        writer.write(&mut hot, &leave).unwrap();
        assert!(!hot.rooms.contains_key(&room));
        hot.back_to(HotPoint::default());
        db.execute_batch("ROLLBACK TO batch").unwrap();
        assert_eq!(state(&hot), before);
        // A room that was not in memory, and that the batch has read after it had changed it.
        let mut hot = HotRooms::default();
        db.execute_batch("SAVEPOINT batch").unwrap();
        let bob = UserId::parse("bob").unwrap();
        let join = Record::Join { room: room.clone(), user: bob, by: None };
        writer.write(&mut hot, &join).unwrap();
        writer.write(&mut hot, &say("behind it")).unwrap();
        hot.back_to(HotPoint::default());
        db.execute_batch("ROLLBACK TO batch").unwrap();
        assert_eq!((hot.rooms.len(), hot.unmerged), (0, 0));
    }

    #[test]
    fn a_room_whose_row_has_gone_is_not_merged_and_keeps_its_journal() {
        let mut db = Connection::open_in_memory().unwrap();
        add_row_sum(&db).unwrap();
        schema::configure(&db).unwrap();
        schema::prepare(&mut db, "epoch").unwrap().unwrap();
        let mut hot = HotRooms::default();
        let (room, user) = (RoomId::parse("tea").unwrap(), UserId::parse("ada").unwrap());
        let body = Body { text: "x".into(), data: None, reply_to: None };
        let join = Record::Join { room: room.clone(), user: user.clone(), by: None };
        let say = Record::Message { room, from: user, to: None, body, cid: None };
        for (n, record) in [(1, join), (2, say)] {
            RecordWriter { db: &db, now: Timestamp(1) }.write(&mut hot, &record).unwrap();
            journal::append(&db, n, &hot.added.take()).unwrap();
            hot.committed(n);
        }
        db.execute_batch("DELETE FROM rooms").unwrap();
        // What cannot be merged is told once, and then left.
        assert!(hot.write_next(&db, || true).is_err_and(|error| rows::is_damage(&error)));
        assert_eq!((hot.stuck, hot.unmerged), (1, 0), "{hot:?}");
        assert!(hot.write_next(&db, || true).is_ok_and(|parts| parts.is_empty()));
    }
}
