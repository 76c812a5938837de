//! Applies changes to the state, and tells who follows the room. Nothing else changes the state of
//! rooms, and nothing is told before this point.

use super::hub::Hub;
use super::manage::Reason;
use super::room::{Life, Room, RoomIx};
use crate::base::names::DM_PREFIX;
use crate::base::{
    Effect, Effects, Entry, EntryKind, MemberState, Origin, RoomId, RoomState, StoreChange, UserId,
    What,
};
use std::sync::Arc;

impl Hub {
    /// Applies a change. `origin` waits for the answer to a revocation.
    pub(super) fn apply(
        &mut self,
        change: StoreChange,
        origin: Option<Origin>,
        effects: &mut Effects,
    ) {
        match change {
            StoreChange::Room { room, version, what } => {
                self.apply_to_room(&room, version, what, effects);
            }
            StoreChange::Delivered { user, marks } => self.delivered(&user, marks, effects),
            StoreChange::Name { user, name } => {
                if let Some(ix) = self.users.ix(&user) {
                    self.users[ix].name_stored(name);
                }
            }
            StoreChange::Revoked(revocation) => {
                effects.push(Effect::Revoked { origin, revocation })
            }
            StoreChange::Event { stream, epoch, event } => {
                self.streams.with(effects, |all, effects| {
                    all.stored(&stream, &epoch, event, effects);
                });
            }
        }
    }

    fn apply_to_room(&mut self, name: &RoomId, version: u64, what: What, effects: &mut Effects) {
        let room = match self.room_ix(name) {
            Some(room) => room,
            None => self.new_room(name, version, &what, effects),
        };
        let of_room = &mut self.rooms[room];
        assert_eq!(version, of_room.version + 1, "the changes of {name} have a hole");
        of_room.version = version;
        match what {
            What::Message(entry) => self.append(room, entry, false, effects),
            What::Altered { entry, target } => {
                of_room.replace(*target);
                self.append(room, entry, false, effects);
            }
            What::Created { owner, is_own, entries, invited, .. } => {
                for entry in entries {
                    self.append(room, entry, is_own, effects);
                }
                for user in invited {
                    self.invited(room, &user, owner.clone(), effects);
                }
            }
            What::Joined { entry, owner, is_own } => {
                of_room.set_owner(owner);
                self.append(room, entry, is_own, effects);
            }
            What::Left { entry, owner, is_own } => {
                of_room.set_owner(owner);
                let reason = if is_own { Reason::Left } else { Reason::Removed };
                let EntryKind::Left { user, by } = entry.kind.clone() else { return };
                self.halt_member(room, &user);
                self.append(room, entry, false, effects);
                self.membership_ended(room, &user, by, reason, effects);
            }
            What::Banned { user, by, entry, owner } => {
                of_room.set_owner(owner);
                self.ban_stored(room, &user, true);
                self.invite_ended(room, &user, Some(by.clone()), Reason::Banned, effects);
                if let Some(entry) = entry {
                    self.halt_member(room, &user);
                    self.append(room, entry, false, effects);
                    self.membership_ended(room, &user, Some(by), Reason::Banned, effects);
                }
            }
            What::Unbanned { user } => self.ban_stored(room, &user, false),
            What::Invited { user, by } => self.invited(room, &user, by, effects),
            What::Uninvited { user, by, is_own } => {
                let reason = if is_own { Reason::Left } else { Reason::Removed };
                self.invite_ended(room, &user, by, reason, effects);
            }
            What::Updated { title, is_open, owner, by } => {
                self.updated(room, (title, is_open, owner), by, effects);
            }
            What::Ended { by, .. } => self.ended(room, by, effects),
            What::Read { user, seq, messages, deleted } => {
                self.has_read(room, user, (seq, messages, deleted), effects);
            }
            What::Trimmed(trimmed) => self.trimmed(room, trimmed, effects),
        }
    }

    /// A room of which this is the first change.
    fn new_room(
        &mut self,
        name: &RoomId,
        version: u64,
        what: &What,
        effects: &mut Effects,
    ) -> RoomIx {
        let state = match what {
            What::Created { title, is_open, owner, .. } => {
                RoomState::new(name.clone(), Arc::clone(title), *is_open, Some(owner.clone()))
            }
            _ => RoomState::new(name.clone(), "".into(), false, None),
        };
        // Changes of a room that was forgotten after its end would come here: there are none.
        assert_eq!(version, 1, "{name} is changed, and unknown");
        let first = what.entries().first();
        let ts = first.map_or(state.ts, |first| first.ts);
        let room = self.add_room(Room::new(RoomState { ts, ..state }));
        if let What::Message(_) = what {
            self.begin_direct_room(room, name, effects);
        }
        room
    }

    /// The first direct message has created its room.
    fn begin_direct_room(&mut self, room: RoomIx, name: &RoomId, effects: &mut Effects) {
        let ids = name.as_str().strip_prefix(DM_PREFIX).and_then(|ids| ids.split_once(':'));
        for id in ids.map(|(one, other)| [one, other]).into_iter().flatten() {
            let Ok(id) = UserId::parse(id) else { continue };
            let user = self.users.ix_or_new(&id);
            self.add_member(room, user, &MemberState::default());
            self.tell_of_newcomer(room, user, effects);
            for conn in self.connections_of(&id).to_vec() {
                self.follow(conn, room);
            }
        }
    }

    /// Adds an entry to a room and delivers it to its followers. Who joins and `is_own` came by
    /// themselves.
    fn append(
        &mut self,
        room: RoomIx,
        entry: impl Into<Arc<Entry>>,
        is_own: bool,
        effects: &mut Effects,
    ) {
        let entry = entry.into();
        self.newest = self.newest.max(entry.ts);
        match &entry.kind {
            EntryKind::Message { from, .. } => {
                let of_room = &mut self.rooms[room];
                of_room.append(&entry, &self.settings.limits);
                let messages = of_room.messages;
                if let Some(member) = of_room.members.get_mut(from) {
                    member.has_read(entry.seq, messages, 0);
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
                    member.misses_one();
                }
            }
            EntryKind::Joined { user, by } => {
                self.drop_invite(room, user);
                let ix = self.users.ix_or_new(user);
                let of_room = &mut self.rooms[room];
                let member = MemberState {
                    joined: entry.seq,
                    read: entry.seq,
                    read_messages: of_room.messages,
                    delivered: entry.seq,
                    is_own: is_own && by.is_none(),
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
