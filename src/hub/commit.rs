//! What became of records and pages: only now is anything shown to anybody.

use super::cursor::Cursor;
use super::effect::{Answer, Effect, Effects, Notice, Refusal, RefusalCode};
use super::hub::{Hub, Pending};
use super::input::{Now, Origin};
use super::request::{Asker, answered};
use super::room::{Room, RoomIx};
use crate::base::limits::READ_MARK_MEMBERS_MAX;
use crate::base::{ConnId, Entry, EntryKind, MemberState, Outcome, RoomState, UserId};
use std::rc::Rc;

impl Hub {
    pub(super) fn outcome(
        &mut self,
        now: Now,
        ticket: u64,
        outcome: Outcome,
        effects: &mut Effects,
    ) {
        let Some(pending) = self.pending.remove(&ticket) else { return };
        match pending {
            Pending::Nobody => {}
            Pending::Feed { conn, room } => {
                let page = match outcome {
                    Outcome::Page(page) => Some(page),
                    _ => None,
                };
                self.loaded_for_feeding(now, conn, room, page, effects);
            }
            Pending::History { origin, room, asker, part } => {
                let asker = self.asker(asker, origin);
                let still_member = self.rooms[room.0 as usize].member(&asker.user).is_some();
                let answer = match outcome {
                    _ if !still_member => Err(Refusal::NOT_MEMBER),
                    Outcome::Page(page) => {
                        let entries = page.into_iter().map(Rc::new).collect();
                        Ok(self.history_answer(&asker, room, entries, part))
                    }
                    other => Err(refusal(&other)),
                };
                effects.push(answered(&asker, answer));
                self.page_came(now, asker.conn, effects);
            }
            Pending::Send { origin, author } => {
                let asker = self.asker(author, origin);
                let answer = self.committed(now, &asker.user, outcome, effects);
                effects.push(answered(&asker, answer));
                self.write_came(now, asker.conn, effects);
            }
            Pending::Join { origin, user } => {
                let asker = self.asker(user, origin);
                let ix = self.user_by_id.get(&asker.user).copied();
                if let Some(ix) = ix.filter(|_| matches!(asker.origin, Origin::Conn(..))) {
                    let user = &mut self.users[ix.0 as usize];
                    user.pending_rooms = user.pending_rooms.saturating_sub(1);
                    self.forget_if_unneeded(ix);
                }
                let answer = match outcome {
                    Outcome::Room { room, entries } => {
                        let by_themselves = asker.conn.is_some();
                        let ix = self.changed_room(now, room, entries, by_themselves, effects);
                        Ok(Answer::Joined(self.rooms[ix.0 as usize].summary(&asker.user)))
                    }
                    other => Err(refusal(&other)),
                };
                effects.push(answered(&asker, answer));
                self.write_came(now, asker.conn, effects);
            }
            Pending::Leave { origin, room, user, is_own } => {
                let asker = self.asker(user.clone(), origin);
                let answer = match outcome {
                    Outcome::Room { room: state, entries } => {
                        let name = state.room.clone();
                        self.changed_room(now, state, entries, is_own, effects);
                        Ok(Answer::Left { room: name, user: (!is_own).then_some(user) })
                    }
                    other => {
                        self.stays(room, &user, effects);
                        Err(refusal(&other))
                    }
                };
                effects.push(answered(&asker, answer));
                self.write_came(now, asker.conn, effects);
            }
            Pending::Read { origin, room, user } => {
                let asker = self.asker(user, origin);
                let answer = self.read_mark(room, &asker.user, outcome, effects);
                effects.push(answered(&asker, answer));
                self.write_came(now, asker.conn, effects);
            }
        }
    }

    /// A message is on disk: it is shown, and answered.
    fn committed(
        &mut self,
        now: Now,
        author: &UserId,
        outcome: Outcome,
        effects: &mut Effects,
    ) -> Result<Answer, Refusal> {
        let (entry, is_duplicate, is_first) = match outcome {
            Outcome::Message { entry, is_duplicate, is_first } => (entry, is_duplicate, is_first),
            other => return Err(refusal(&other)),
        };
        if is_first {
            self.new_direct_room(&entry);
        }
        // Membership is checked again before an old result is told.
        if is_duplicate && self.room_of_member(&entry.room, author).is_none() {
            return Err(Refusal::NOT_MEMBER);
        }
        let answer = Answer::Sent {
            room: entry.room.clone(),
            seq: entry.seq,
            ts: entry.ts,
            duplicate: is_duplicate,
        };
        if !is_duplicate && let Some((room, _)) = self.room(&entry.room) {
            self.apply(now, room, Rc::new(entry), true, effects);
        }
        Ok(answer)
    }

    /// The room of two users' direct messages has come into being by the first of them.
    fn new_direct_room(&mut self, first: &Entry) {
        let room = self.add_room(Room::new(RoomState {
            room: first.room.clone(),
            title: "".into(),
            is_open: false,
            owner: None,
            head: 0,
            messages: 0,
            ts: first.ts,
        }));
        let name = first.room.as_str();
        let ids =
            name.strip_prefix(crate::base::names::DM_PREFIX).and_then(|ids| ids.split_once(':'));
        for id in ids.map(|(one, other)| [one, other]).into_iter().flatten() {
            let Ok(id) = UserId::parse(id) else { continue };
            let user = self.user_ix(&id);
            self.add_member(room, user, &MemberState::default());
            for conn in self.connections_of(&id).to_vec() {
                let waits = self.connection(conn).is_some_and(|connection| connection.is_resuming);
                self.follow(conn, room, waits);
            }
        }
    }

    /// A room was made, or its members have changed: by themselves, or by the embedding program.
    fn changed_room(
        &mut self,
        now: Now,
        state: RoomState,
        entries: Vec<Entry>,
        by_themselves: bool,
        effects: &mut Effects,
    ) -> RoomIx {
        let ix = match self.room(&state.room) {
            Some((ix, _)) => ix,
            None => {
                let head = state.head - entries.len() as u64;
                self.add_room(Room::new(RoomState { head, ..state.clone() }))
            }
        };
        self.rooms[ix.0 as usize].owner = state.owner;
        for entry in entries {
            self.apply(now, ix, Rc::new(entry), by_themselves, effects);
        }
        ix
    }

    /// An entry is on disk: the state follows it, and those who follow the room get it.
    fn apply(
        &mut self,
        now: Now,
        room: RoomIx,
        entry: Rc<Entry>,
        by_themselves: bool,
        effects: &mut Effects,
    ) {
        match &entry.kind {
            EntryKind::Message { from, .. } => {
                let of_room = &mut self.rooms[room.0 as usize];
                of_room.append(&entry, &self.settings);
                let messages = of_room.messages;
                if let Some(member) = of_room.members.get_mut(from) {
                    member.read = entry.seq;
                    member.read_messages = messages;
                    let is_first = !std::mem::replace(&mut member.has_written, true);
                    let user = member.user;
                    if is_first && entry.room.is_direct() {
                        self.users[user.0 as usize].direct_rooms += 1;
                    }
                    self.stop_typing(now, room, user, effects);
                }
            }
            EntryKind::Joined { user, by } => {
                let ix = self.user_ix(user);
                let of_room = &mut self.rooms[room.0 as usize];
                let member = MemberState {
                    joined: entry.seq,
                    read: entry.seq,
                    read_messages: of_room.messages,
                    has_written: false,
                    is_own: by_themselves && by.is_none(),
                };
                for conn in self.connections_of(user).to_vec() {
                    let waits = self.connection(conn).is_some_and(|one| one.is_resuming);
                    self.follow(conn, room, waits);
                }
                self.rooms[room.0 as usize].append(&entry, &self.settings);
                self.add_member(room, ix, &member);
            }
            EntryKind::Left { user, by } => {
                self.rooms[room.0 as usize].append(&entry, &self.settings);
                let is_removed = !by_themselves || by.is_some();
                let reason = if is_removed { "removed" } else { "left" };
                self.remove_member(now, room, user, by.as_ref(), reason, effects);
            }
        }
        self.fan_out(room, &entry, effects);
    }

    fn remove_member(
        &mut self,
        now: Now,
        room: RoomIx,
        user: &UserId,
        by: Option<&UserId>,
        reason: &'static str,
        effects: &mut Effects,
    ) {
        let Some(member) = self.rooms[room.0 as usize].members.remove(user) else { return };
        self.stop_typing(now, room, member.user, effects);
        let conns = self.connections_of(user).to_vec();
        for &conn in &conns {
            self.rooms[room.0 as usize].followers.remove(&conn);
            self.drop_behind(conn, room);
            // What is queued is theirs no more, either.
            effects.push(Effect::TakeBack { conn, source: room.0 });
        }
        let notice = Notice::Removed {
            room: self.rooms[room.0 as usize].name.clone(),
            by: by.cloned(),
            reason,
        };
        effects.deliver(notice, conns);
        let of_user = &mut self.users[member.user.0 as usize];
        of_user.rooms.retain(|one| *one != room);
        of_user.own_rooms -= u32::from(member.is_own);
        self.forget_if_unneeded(member.user);
    }

    /// A membership was to end, and the store could not remember it: it goes on where it was.
    fn stays(&mut self, room: RoomIx, user: &UserId, effects: &mut Effects) {
        if let Some(member) = self.rooms[room.0 as usize].members.get_mut(user) {
            member.is_leaving = false;
        }
        for conn in self.connections_of(user).to_vec() {
            self.go_on(conn, room, effects);
        }
    }

    fn read_mark(
        &mut self,
        room: RoomIx,
        user: &UserId,
        outcome: Outcome,
        effects: &mut Effects,
    ) -> Result<Answer, Refusal> {
        let (seq, messages) = match outcome {
            Outcome::Read { seq, messages } => (seq, messages),
            other => return Err(refusal(&other)),
        };
        let of_room = &mut self.rooms[room.0 as usize];
        let Some(member) = of_room.members.get_mut(user) else { return Err(Refusal::NOT_MEMBER) };
        let has_moved = seq > member.read;
        if has_moved {
            member.read = seq;
            member.read_messages = messages;
        }
        let of_room = &self.rooms[room.0 as usize];
        let Some(member) = of_room.member(user) else { return Err(Refusal::NOT_MEMBER) };
        let (seq, unread, name) = (member.read, of_room.unread(member), of_room.name.clone());
        if has_moved {
            let own = self.connections_of(user);
            let tells_others = of_room.members.len() <= READ_MARK_MEMBERS_MAX;
            let told: Vec<ConnId> = of_room
                .followers
                .iter()
                .filter(|(_, cursor)| matches!(cursor, Cursor::Live | Cursor::Behind { .. }))
                .map(|(conn, _)| *conn)
                .filter(|conn| tells_others || own.contains(conn))
                .collect();
            let notice =
                Notice::Read { room: name.clone(), user: user.clone(), seq, source: room.0 };
            effects.deliver(notice, told);
        }
        Ok(Answer::Read { room: name, seq, unread })
    }

    fn write_came(&mut self, now: Now, conn: Option<ConnId>, effects: &mut Effects) {
        let Some(conn) = conn else { return };
        if let Some(connection) = self.connection_mut(conn) {
            connection.writes = connection.writes.saturating_sub(1);
            self.settled(now, conn, effects);
        }
    }

    fn page_came(&mut self, now: Now, conn: Option<ConnId>, effects: &mut Effects) {
        let Some(conn) = conn else { return };
        if let Some(connection) = self.connection_mut(conn) {
            connection.pages = connection.pages.saturating_sub(1);
            self.settled(now, conn, effects);
        }
    }

    fn asker(&self, user: UserId, origin: Origin) -> Asker {
        let conn = match &origin {
            Origin::Conn(conn, _) => Some(*conn),
            Origin::Call(_) => None,
        };
        Asker { user, conn, origin }
    }
}

fn refusal(outcome: &Outcome) -> Refusal {
    match outcome {
        Outcome::Mismatch => Refusal::new(
            RefusalCode::DuplicateMismatch,
            "this cid was used before for another message",
        ),
        Outcome::Conflict => Refusal::new(RefusalCode::Conflict, "a room of this name exists"),
        Outcome::NotMember => Refusal::NOT_MEMBER,
        Outcome::Overloaded => Refusal::new(
            RefusalCode::Overloaded,
            "too much waits for the store; nothing was stored",
        ),
        Outcome::Unavailable => Refusal::new(
            RefusalCode::Unavailable,
            "the store cannot be used for now; nothing was stored",
        ),
        Outcome::Message { .. }
        | Outcome::Room { .. }
        | Outcome::Read { .. }
        | Outcome::Named
        | Outcome::Page(_) => {
            Refusal::new(RefusalCode::Internal, "the store answered what was not asked")
        }
    }
}
