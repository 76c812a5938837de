//! Rooms in memory: their rows, and what the [journal](super::journal) has of them that is not in
//! the tables yet.
//!
//! Messages and marks change rooms here, and add to the journal. Every other record changes the
//! tables, so the room is brought there first, and leaves memory. Only the worker writes, and a
//! [thread](super::merge_thread) to which it lends rooms, so a room that is here is as the tables and the
//! journal together say.

use super::journal::{JournalRecord, JournalText};
use super::marks::deleted_after;
use super::repeats::find_message_by_cid;
use super::rows::{
    RoomRow, damaged, digest, entry_at, find_member, find_room, insert_room, save_member, save_room,
};
use crate::base::limits::{ROOM_UNMERGED_MAX, UNMERGED_UNIT_BYTES};
use crate::base::{
    Body, Entry, EntryKind, MemberState, Outcome, RoomId, RoomState, StoreChange, Timestamp,
    UserId, What, Written,
};
use rusqlite::{Connection, Result};
use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// Rooms in memory, by their names.
#[derive(Debug, Default)]
pub(super) struct HotRooms {
    pub(super) rooms: HashMap<RoomId, HotRoom>,
    /// The rooms with something that is in no table and not lent, and the commit since which they have it,
    /// the oldest first. A room that was brought to the tables meanwhile has none, or a later one.
    pub(super) queue: VecDeque<(u64, RoomId)>,
    /// Those of them that are merged next, in the order of the tables: all that waited when the round
    /// began.
    pub(super) round: VecDeque<RoomId>,
    /// Those that have the most, whose turn it is first.
    pub(super) large: Vec<RoomId>,
    /// What is in no table: entries, with their bytes in units of [`UNMERGED_UNIT_BYTES`], and
    /// marks.
    pub(super) unmerged: usize,
    /// As `unmerged`, of rooms that are stuck.
    pub(super) stuck: usize,
    /// The oldest commit that the journal has.
    pub(super) oldest: u64,
    /// How many rooms and members were looked up since the last time that some were forgotten.
    pub(super) lookups: usize,
    /// When the record is committed.
    pub(super) now: Timestamp,
    /// What the batch adds to the journal.
    pub(super) added: JournalText,
    /// What the batch has changed, to take it back.
    pub(super) undo: Vec<Undo>,
    /// A [thread](super::merge_thread) merges some of them.
    pub(super) are_lent: bool,
}

/// A room in memory.
#[derive(Debug)]
pub(super) struct HotRoom {
    pub(super) row: RoomRow,
    pub(super) members: HashMap<UserId, HotMember>,
    /// The newest entries, which are in no table.
    pub(super) entries: VecDeque<HotEntry>,
    /// Those of them that have a client's id.
    pub(super) cids: HashMap<(UserId, Arc<str>), u64>,
    /// What is in no table, as of all rooms.
    pub(super) unmerged: usize,
    /// The commit since which there is something that is not lent.
    pub(super) since: Option<u64>,
    /// Its rows in the tables are damaged, so it stays in the journal.
    pub(super) is_stuck: bool,
}

/// A member in memory.
#[derive(Clone, Debug)]
pub(super) struct HotMember {
    pub(super) state: MemberState,
    /// The row in the table has another state, and is not lent with that.
    pub(super) is_changed: bool,
}

/// An entry in memory.
#[derive(Clone, Debug)]
pub(super) struct HotEntry {
    pub(super) entry: Arc<Entry>,
    /// How many messages there are up to it.
    pub(super) messages: u64,
}

/// One change of a batch.
#[derive(Debug)]
pub(super) enum Undo {
    /// The room was created, and is in memory.
    Created(RoomId),
    /// A mark of a member was moved; with `row`, an entry was added to it before.
    Changed {
        room: RoomId,
        row: Option<RoomRow>,
        user: UserId,
        member: MemberState,
        was_changed: bool,
    },
    /// The room was brought to the tables, and is not in memory any more, if it was.
    Left(RoomId, Option<HotRoom>),
}

/// How far a batch has come.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct HotPoint {
    pub(super) undo: usize,
    pub(super) added: usize,
}

/// What a message says, and who sends it.
#[derive(Clone, Copy)]
pub(super) struct SentMessage<'a> {
    pub(super) from: &'a UserId,
    /// The other user, if it may begin a direct room.
    pub(super) to: Option<&'a UserId>,
    pub(super) body: &'a Body,
    pub(super) cid: Option<&'a Arc<str>>,
}

impl HotRoom {
    fn new(row: RoomRow) -> HotRoom {
        HotRoom {
            row,
            members: HashMap::new(),
            entries: VecDeque::new(),
            cids: HashMap::new(),
            unmerged: 0,
            since: None,
            is_stuck: false,
        }
    }

    pub(super) fn member(
        &mut self,
        db: &Connection,
        user: &UserId,
    ) -> Result<Option<&mut HotMember>> {
        // Looked up twice, as a member that is returned stays borrowed.
        if !self.members.contains_key(user) {
            let Some(state) = find_member(db, self.row.id, user)? else { return Ok(None) };
            self.members.insert(user.clone(), HotMember { state, is_changed: false });
        }
        Ok(self.members.get_mut(user))
    }

    /// The members whose rows are to be written.
    pub(super) fn changed_members(&self) -> impl Iterator<Item = (&UserId, &MemberState)> {
        let changed = self.members.iter().filter(|(_, member)| member.is_changed);
        changed.map(|(user, member)| (user, &member.state))
    }

    /// The outcome of a message that was sent before with the same id, if one was.
    fn sent_before(&self, db: &Connection, message: SentMessage<'_>) -> Result<Option<Outcome>> {
        let SentMessage { from, body, cid: Some(cid), .. } = message else { return Ok(None) };
        let outcome = |seq, ts, is_same| match is_same {
            true => Outcome::Earlier { seq, ts },
            false => Outcome::Mismatch,
        };
        if let Some(seq) = self.cids.get(&(from.clone(), Arc::clone(cid))) {
            let first = self.at(*seq).map(|first| &first.entry);
            return Ok(first.map(|first| match &first.kind {
                EntryKind::Message { body: sent, .. } => {
                    outcome(first.seq, first.ts, **sent == *body)
                }
                _ => Outcome::Mismatch,
            }));
        }
        let first = find_message_by_cid(db, &self.row, from, cid)?;
        Ok(first.map(|first| {
            outcome(first.entry.seq, first.entry.ts, first.digest == Some(digest(body)))
        }))
    }

    /// An entry that is in memory.
    fn at(&self, seq: u64) -> Option<&HotEntry> {
        let first = self.entries.front()?.entry.seq;
        self.entries.get(usize::try_from(seq.checked_sub(first)?).ok()?)
    }

    /// How many messages there are up to an entry, and how many after it are deleted.
    fn counts_at(&self, db: &Connection, seq: u64) -> Result<(u64, u64)> {
        if seq == self.row.state.head {
            return Ok((self.row.state.messages, 0));
        }
        let messages = match self.at(seq) {
            Some(entry) => entry.messages,
            None => entry_at(db, &self.row, seq)?.messages,
        };
        // An entry that is in no table is not deleted.
        Ok((messages, deleted_after(db, self.row.id, seq)?))
    }

    /// A room that cannot be merged takes nothing more, as all that it takes stays in memory.
    pub(super) fn must_be_sound(&self) -> Result<()> {
        if !self.is_stuck {
            return Ok(());
        }
        Err(damaged(format!("room {} has damaged tables", self.row.state.room)))
    }

    /// Adds an entry that the row counts already. Returns what it counts.
    pub(super) fn push(&mut self, entry: Arc<Entry>) -> usize {
        let weight = weight(&entry);
        if let EntryKind::Message { from, cid: Some(cid), .. } = &entry.kind {
            self.cids.insert((from.clone(), Arc::clone(cid)), entry.seq);
        }
        self.entries.push_back(HotEntry { entry, messages: self.row.state.messages });
        self.unmerged += weight;
        weight
    }

    /// Takes back the newest entry, which is in memory, and its room's row with it.
    pub(super) fn pop(&mut self, row: RoomRow) {
        self.row = row;
        let Some(HotEntry { entry, .. }) = self.entries.pop_back() else { return };
        self.unmerged -= weight(&entry);
        self.forget_cid(&entry);
    }

    /// Removes entries that are in the table now, the oldest first.
    pub(super) fn forget_entries(&mut self, count: usize) {
        for _ in 0..count {
            let Some(HotEntry { entry, .. }) = self.entries.pop_front() else { break };
            self.unmerged -= weight(&entry);
            self.forget_cid(&entry);
        }
    }

    fn forget_cid(&mut self, entry: &Entry) {
        if let EntryKind::Message { from, cid: Some(cid), .. } = &entry.kind {
            self.cids.remove(&(from.clone(), Arc::clone(cid)));
        }
    }

    /// Everything of it is in the tables.
    pub(super) fn is_merged(&mut self) {
        self.forget_entries(usize::MAX);
        self.members.clear();
        (self.unmerged, self.since, self.is_stuck) = (0, None, false);
    }

    /// Whether it has got so much that it comes first.
    pub(super) fn is_large(&self) -> bool {
        self.unmerged > ROOM_UNMERGED_MAX / 2 && !self.is_stuck
    }

    /// Whether it has got so much that it does not wait.
    pub(super) fn is_too_large(&self) -> bool {
        self.unmerged > ROOM_UNMERGED_MAX && !self.is_stuck
    }

    /// Forgets members whose rows are as they are in memory.
    pub(super) fn forget_members(&mut self) {
        self.members.retain(|_, member| member.is_changed);
    }
}

impl HotMember {
    /// They have read up to an entry. Up to it there are `messages`, and after it `deleted` ones.
    pub(super) fn has_read(&mut self, seq: u64, messages: u64, deleted: u64) {
        let state = &mut self.state;
        (state.read, state.read_messages, state.deleted_unread) = (seq, messages, deleted);
        self.is_changed = true;
    }

    /// They have written an entry, and so read what came before.
    pub(super) fn has_written(&mut self, seq: u64, messages: u64) {
        self.has_read(seq, messages, 0);
        self.state.has_written = true;
    }
}

/// What an entry counts while it is in no table.
pub(super) fn weight(entry: &Entry) -> usize {
    let EntryKind::Message { body, .. } = &entry.kind else { return 1 };
    let bytes = body.text.len() + body.data.as_ref().map_or(0, |data| data.len());
    1 + bytes / UNMERGED_UNIT_BYTES
}

/// Reads a room into memory that is not there. Returns whether there is one of this name.
fn is_there(rooms: &mut HashMap<RoomId, HotRoom>, db: &Connection, name: &RoomId) -> Result<bool> {
    if !rooms.contains_key(name) {
        let Some(row) = find_room(db, name)? else { return Ok(false) };
        rooms.insert(name.clone(), HotRoom::new(row));
    }
    Ok(true)
}

/// A room that has not ended, or has; `None` if there is none of this name.
pub(super) fn room_in<'a>(
    rooms: &'a mut HashMap<RoomId, HotRoom>,
    db: &Connection,
    name: &RoomId,
) -> Result<Option<&'a mut HotRoom>> {
    let is_there = is_there(rooms, db, name)?;
    Ok(if is_there { rooms.get_mut(name) } else { None })
}

/// As [`room_in`], but a room that has ended is none.
fn live_in<'a>(
    rooms: &'a mut HashMap<RoomId, HotRoom>,
    db: &Connection,
    name: &RoomId,
) -> Result<Option<&'a mut HotRoom>> {
    Ok(room_in(rooms, db, name)?.filter(|hot| !hot.row.state.is_ended))
}

impl HotRooms {
    /// Adds a message to its room, which it may create if it is a direct one.
    pub(super) fn send(
        &mut self,
        db: &Connection,
        room: &RoomId,
        message: SentMessage<'_>,
    ) -> Result<Written> {
        let SentMessage { from, to, body, cid } = message;
        self.lookups += 1;
        if !is_there(&mut self.rooms, db, room)? {
            let Some(to) = to else { return Ok(Outcome::NotMember.into()) };
            self.create_direct(db, room, from, to)?;
        }
        let Some(hot) = self.rooms.get_mut(room).filter(|hot| !hot.row.state.is_ended) else {
            return Ok(Outcome::NotMember.into());
        };
        hot.must_be_sound()?;
        if hot.member(db, from)?.is_none() {
            return Ok(Outcome::NotMember.into());
        }
        // A repeat is found in the batch that would add it, so it is also found if its first copy
        // is in the same batch.
        if let Some(repeat) = hot.sent_before(db, message)? {
            return Ok(repeat.into());
        }
        let kind = EntryKind::Message {
            from: from.clone(),
            body: Box::new(body.clone()),
            cid: cid.cloned(),
            changes: None,
        };
        let before = hot.row.clone();
        let entry = Arc::new(hot.row.append(self.now, kind));
        self.unmerged += hot.push(Arc::clone(&entry));
        let messages = hot.row.state.messages;
        let Some(member) = hot.members.get_mut(from) else {
            return Ok(Outcome::NotMember.into());
        };
        self.undo.push(Undo::Changed {
            room: room.clone(),
            row: Some(before),
            user: from.clone(),
            member: member.state.clone(),
            was_changed: member.is_changed,
        });
        member.has_written(entry.seq, messages);
        self.added.add(&JournalRecord::Message {
            room: hot.row.id,
            seq: entry.seq,
            ts: entry.ts.0,
            messages,
            from: from.as_str().into(),
            text: Cow::from(&*body.text),
            data: body.data.as_deref().map(Cow::from),
            reply_to: body.reply_to,
            cid: cid.map(|cid| Cow::from(&**cid)),
        });
        Ok(Written::room(room.clone(), What::Message(entry)))
    }

    fn create_direct(
        &mut self,
        db: &Connection,
        room: &RoomId,
        from: &UserId,
        to: &UserId,
    ) -> Result<()> {
        let mut row = insert_room(db, RoomState::new(room.clone(), "".into(), false, None))?;
        row.people = if from == to { 1 } else { 2 };
        for user in [from, to] {
            save_member(db, row.id, user, &MemberState::default())?;
        }
        save_room(db, &row)?;
        self.rooms.insert(room.clone(), HotRoom::new(row));
        self.undo.push(Undo::Created(room.clone()));
        Ok(())
    }

    /// The outcome of a message that was sent before, if one was; it adds nothing.
    pub(super) fn sent_before(
        &mut self,
        db: &Connection,
        room: &RoomId,
        message: SentMessage<'_>,
    ) -> Result<Option<Outcome>> {
        self.lookups += 1;
        let Some(hot) = live_in(&mut self.rooms, db, room)? else { return Ok(None) };
        if hot.member(db, message.from)?.is_none() {
            return Ok(Some(Outcome::NotMember));
        }
        hot.sent_before(db, message)
    }

    /// Moves a member's read mark.
    pub(super) fn read(
        &mut self,
        db: &Connection,
        room: &RoomId,
        user: &UserId,
        seq: u64,
    ) -> Result<Written> {
        self.lookups += 1;
        let Some(hot) = live_in(&mut self.rooms, db, room)? else {
            return Ok(Outcome::NotMember.into());
        };
        hot.must_be_sound()?;
        let seq = seq.min(hot.row.state.head);
        match hot.member(db, user)? {
            None => return Ok(Outcome::NotMember.into()),
            Some(member) if seq <= member.state.read => return Ok(Outcome::Done.into()),
            Some(_) => {}
        }
        let (messages, deleted) = hot.counts_at(db, seq)?;
        self.mark(room, user, |member| member.has_read(seq, messages, deleted));
        if let Some(hot) = self.rooms.get(room) {
            let (room, user) = (hot.row.id, user.as_str().into());
            self.added.add(&JournalRecord::Read { room, user, seq, messages, deleted });
        }
        let what = What::Read { user: user.clone(), seq, messages, deleted };
        Ok(Written::room(room.clone(), what))
    }

    /// Moves the marks of what a user has received. Skips rooms that do not exist or that the user
    /// is not in: they may have left meanwhile.
    pub(super) fn delivered(
        &mut self,
        db: &Connection,
        user: &UserId,
        marks: &[(RoomId, u64)],
    ) -> Result<Written> {
        self.lookups += marks.len();
        let mut moved = Vec::with_capacity(marks.len());
        for (room, seq) in marks {
            let Some(hot) = live_in(&mut self.rooms, db, room)?.filter(|hot| !hot.is_stuck) else {
                continue;
            };
            let (id, seq) = (hot.row.id, (*seq).min(hot.row.state.head));
            let Some(member) = hot.member(db, user)? else { continue };
            if seq > member.state.delivered {
                self.mark(room, user, |member| {
                    (member.state.delivered, member.is_changed) = (seq, true);
                });
                let user = user.as_str().into();
                self.added.add(&JournalRecord::Delivered { room: id, user, seq });
                moved.push((room.clone(), seq));
            }
        }
        if moved.is_empty() {
            return Ok(Outcome::Done.into());
        }
        Ok(Written::Changed(StoreChange::Delivered { user: user.clone(), marks: moved }))
    }

    /// Changes a member that is in memory.
    fn mark(&mut self, room: &RoomId, user: &UserId, change: impl FnOnce(&mut HotMember)) {
        let Some(hot) = self.rooms.get_mut(room) else { return };
        let Some(member) = hot.members.get_mut(user) else { return };
        self.undo.push(Undo::Changed {
            room: room.clone(),
            row: None,
            user: user.clone(),
            member: member.state.clone(),
            was_changed: member.is_changed,
        });
        change(member);
        hot.unmerged += 1;
        self.unmerged += 1;
    }

    /// Whether the journal, with what the batch adds, has something that is in no table.
    pub(super) fn needs_rows(&self) -> bool {
        self.unmerged + self.stuck > 0
    }

    /// The batch is committed with this number.
    pub(super) fn committed(&mut self, n: u64) {
        for undo in std::mem::take(&mut self.undo) {
            let Undo::Changed { room, .. } = undo else { continue };
            let Some(hot) = self.rooms.get_mut(&room) else { continue };
            if hot.unmerged > 0 && hot.since.is_none() {
                hot.since = Some(n);
                self.queue.push_back((n, room.clone()));
            }
            if hot.is_large() && !self.large.contains(&room) {
                self.large.push(room);
            }
        }
        self.forget_places();
        self.forget();
    }
}
