//! Applies committed entries to the state and delivers them to the room's followers.

use super::hub::Hub;
use super::room::{Life, Room, RoomIx};
use crate::base::{Effects, Entry, EntryKind, MemberState, RoomState, UserId};
use std::rc::Rc;

impl Hub {
    /// The first direct message has created its room.
    pub(super) fn new_direct_room(&mut self, first: &Entry, effects: &mut Effects) {
        let state = RoomState::new(first.room.clone(), "".into(), false, None);
        let room = self.add_room(Room::new(RoomState { ts: first.ts, ..state }));
        let name = first.room.as_str();
        let ids =
            name.strip_prefix(crate::base::names::DM_PREFIX).and_then(|ids| ids.split_once(':'));
        for id in ids.map(|(one, other)| [one, other]).into_iter().flatten() {
            let Ok(id) = UserId::parse(id) else { continue };
            let user = self.user_ix(&id);
            self.add_member(room, user, &MemberState::default());
            self.tell_of_newcomer(room, user, effects);
            for conn in self.connections_of(&id).to_vec() {
                self.follow(conn, room);
            }
        }
    }

    /// `by_themselves` is false if the embedding program or another user did it.
    pub(super) fn changed_room(
        &mut self,
        state: RoomState,
        entries: Vec<Entry>,
        by_themselves: bool,
        effects: &mut Effects,
    ) -> RoomIx {
        let ix = match self.room_ix(&state.room) {
            Some(ix) => ix,
            None => {
                let head = state.head - entries.len() as u64;
                self.add_room(Room::new(RoomState { head, ..state.clone() }))
            }
        };
        self.rooms[ix].owner = state.owner;
        for entry in entries {
            self.apply(ix, Rc::new(entry), by_themselves, effects);
        }
        ix
    }

    /// Applies a committed entry and delivers it to the room's followers.
    pub(super) fn apply(
        &mut self,
        room: RoomIx,
        entry: Rc<Entry>,
        by_themselves: bool,
        effects: &mut Effects,
    ) {
        self.newest = self.newest.max(entry.ts);
        match &entry.kind {
            EntryKind::Message { from, .. } => {
                let of_room = &mut self.rooms[room];
                of_room.append(&entry, &self.settings.limits);
                let messages = of_room.messages;
                if let Some(member) = of_room.members.get_mut(from) {
                    member.read = entry.seq;
                    member.read_messages = messages;
                    member.deleted_unread = 0;
                    let is_first = !std::mem::replace(&mut member.has_written, true);
                    let user = member.user;
                    if is_first && entry.room.is_direct() {
                        self.users[user].direct_rooms += 1;
                    }
                    self.stop_typing(room, user, effects);
                }
            }
            EntryKind::Edited { .. } | EntryKind::Reacted { .. } | EntryKind::Left { .. } => {
                self.rooms[room].append(&entry, &self.settings.limits);
            }
            EntryKind::Deleted { target, .. } => {
                let of_room = &mut self.rooms[room];
                of_room.append(&entry, &self.settings.limits);
                for member in of_room.members.values_mut().filter(|member| member.read < *target) {
                    member.deleted_unread += 1;
                }
            }
            EntryKind::Joined { user, by } => {
                self.drop_invite(room, user);
                let ix = self.user_ix(user);
                let of_room = &mut self.rooms[room];
                let member = MemberState {
                    joined: entry.seq,
                    read: entry.seq,
                    read_messages: of_room.messages,
                    delivered: entry.seq,
                    is_own: by_themselves && by.is_none(),
                    ..MemberState::default()
                };
                // A ban or the room's end was decided meanwhile and is already in force. If it
                // fails, the cursors continue here.
                let bans_in_flight = of_room.ban(user).map_or(0, |ban| ban.in_flight);
                let is_ending = bans_in_flight > 0 || of_room.life == Life::Ending;
                for conn in self.connections_of(user).to_vec() {
                    self.follow(conn, room);
                    if is_ending {
                        self.halt(conn, room);
                    }
                }
                self.rooms[room].append(&entry, &self.settings.limits);
                self.add_member(room, ix, &member);
                if let Some(member) = self.rooms[room].members.get_mut(user) {
                    member.endings = bans_in_flight;
                }
                self.tell_of_newcomer(room, ix, effects);
            }
        }
        self.keep(room);
        self.trim_due(effects);
        self.fan_out(room, &entry, effects);
    }
}
