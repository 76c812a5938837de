//! The state, and one match over the input.

use super::connection::Connection;
use super::effect::Effects;
use super::input::{Input, Now, Origin, Part};
use super::presence::Presence;
use super::room::{Room, RoomIx};
use super::user::{User, UserIx};
use crate::base::{Chance, ConnId, Limits, MemberState, RoomId, SeededHash, Snapshot, UserId};
use slab::Slab;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

/// What of the configuration the hub goes by.
#[derive(Clone, Debug)]
pub struct Settings {
    pub(super) connections_per_user: usize,
    pub(super) rooms: u32,
    pub(super) direct_rooms: u32,
    pub(super) all_rooms: usize,
    pub(super) room_members: usize,
    pub(super) page: usize,
    pub(super) tail_entries: usize,
    pub(super) tail_bytes: usize,
    pub(super) page_bytes: usize,
    pub(super) grace_ms: u64,
    pub(super) window_ms: u64,
}

impl From<&Limits> for Settings {
    fn from(limits: &Limits) -> Settings {
        Settings {
            connections_per_user: limits.connections_per_user as usize,
            rooms: limits.rooms,
            direct_rooms: limits.direct_rooms,
            all_rooms: limits.all_rooms as usize,
            room_members: limits.room_members as usize,
            page: limits.page as usize,
            tail_entries: limits.tail_entries as usize,
            tail_bytes: limits.tail_bytes as usize,
            page_bytes: limits.page_bytes as usize,
            grace_ms: limits.presence_grace_ms,
            window_ms: limits.presence_window_ms,
        }
    }
}

/// What waits for an outcome of the store.
#[derive(Debug)]
pub(super) enum Pending {
    /// A message.
    Send { origin: Origin, author: UserId },
    /// A room that is created or joined.
    Join { origin: Origin, user: UserId },
    /// A membership that ends.
    Leave { origin: Origin, room: RoomIx, user: UserId, is_own: bool },
    /// A read mark.
    Read { origin: Origin, room: RoomIx, user: UserId },
    /// A page for who asked for it.
    History { origin: Origin, room: RoomIx, asker: UserId, part: Part },
    /// A page for a cursor that is behind.
    Feed { conn: ConnId, room: RoomIx },
    /// Nobody waits.
    Nobody,
}

/// How much there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Connections that have said whose they are.
    pub connections: usize,
    /// Users who are online.
    pub online: usize,
    /// Rooms.
    pub rooms: usize,
}

/// Users, rooms, presence: who may do what, and who gets what.
#[derive(Debug)]
pub struct Hub {
    pub(super) settings: Settings,
    pub(super) epoch: Rc<str>,
    pub(super) chance: Chance,
    pub(super) users: Slab<User>,
    pub(super) user_by_id: HashMap<UserId, UserIx, SeededHash>,
    pub(super) rooms: Slab<Room>,
    pub(super) room_by_id: HashMap<RoomId, RoomIx, SeededHash>,
    /// Those that anybody may join, in the order of lists.
    pub(super) open_rooms: BTreeMap<RoomId, RoomIx>,
    /// By the index of a [`ConnId`].
    pub(super) connections: Vec<Option<Connection>>,
    pub(super) connected: usize,
    pub(super) pending: HashMap<u64, Pending, SeededHash>,
    pub(super) presence: Presence,
    /// Connections whose feeding is to be tried again.
    pub(super) feed_retries: Vec<ConnId>,
    next_ticket: u64,
}

impl Hub {
    /// A hub that goes on where `snapshot` says, with `seed` for hashing and made-up names.
    #[must_use]
    pub fn new(settings: Settings, snapshot: Snapshot, seed: u64) -> Hub {
        let mut chance = Chance::new(seed);
        let hash = SeededHash::new(chance.next_u64());
        let mut hub = Hub {
            settings,
            epoch: snapshot.epoch.into(),
            chance,
            users: Slab::new(),
            user_by_id: HashMap::with_hasher(hash),
            rooms: Slab::new(),
            room_by_id: HashMap::with_hasher(hash),
            open_rooms: BTreeMap::new(),
            connections: Vec::new(),
            connected: 0,
            pending: HashMap::with_hasher(hash),
            presence: Presence::default(),
            feed_retries: Vec::new(),
            next_ticket: 0,
        };
        for state in snapshot.rooms {
            hub.add_room(Room::new(state));
        }
        for (room, user, state) in snapshot.members {
            let Some(&room) = hub.room_by_id.get(&room) else { continue };
            let ix = hub.user_ix(&user);
            hub.add_member(room, ix, &state);
        }
        for (user, name) in snapshot.names {
            if let Some(ix) = hub.user_by_id.get(&user) {
                hub.users[ix.0 as usize].name = Some(name);
            }
        }
        hub
    }

    /// Takes an input, and adds what is to be done to `effects`. It never fails.
    pub fn handle(&mut self, now: Now, input: Input, effects: &mut Effects) {
        match input {
            Input::Connected { conn, user, name, resumes } => {
                self.connected(now, conn, user, name, resumes, effects);
            }
            Input::Disconnected { conn } => self.disconnected(now, conn, effects),
            Input::Request { conn, id, request } => self.requested(now, conn, id, request, effects),
            Input::Call { call, user, request } => self.called(now, call, user, request, effects),
            Input::Outcome { ticket, outcome } => self.outcome(now, ticket, outcome, effects),
            Input::Behind { conn, source, seq } => self.fell_behind(conn, RoomIx(source), seq),
            Input::PresenceMissed { conn } => self.presence_missed(conn),
            Input::Drained { conn } => {
                self.feed(conn, effects);
                self.presence_caught_up(conn, effects);
            }
            Input::Woken => self.woken(now, effects),
        }
    }

    /// The store's life.
    #[must_use]
    pub fn epoch(&self) -> &str {
        &self.epoch
    }

    /// How much there is.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts {
            connections: self.connected,
            online: self.presence.online.len(),
            rooms: self.rooms.len(),
        }
    }

    /// A user's display name, where it is not their id.
    #[must_use]
    pub fn name_of(&self, user: &UserId) -> Option<&str> {
        let ix = self.user_by_id.get(user)?;
        self.users[ix.0 as usize].name.as_deref()
    }

    /// The connections of a user.
    #[must_use]
    pub fn connections_of(&self, user: &UserId) -> &[ConnId] {
        self.user_by_id.get(user).map_or(&[], |ix| self.users[ix.0 as usize].conns.as_slice())
    }

    /// All connections that have said whose they are.
    pub fn all_connections(&self) -> impl Iterator<Item = ConnId> {
        self.connections.iter().flatten().map(|connection| connection.conn)
    }

    fn woken(&mut self, now: Now, effects: &mut Effects) {
        for conn in std::mem::take(&mut self.feed_retries) {
            self.feed(conn, effects);
        }
        self.presence_due(now, effects);
    }

    pub(super) fn ticket(&mut self, pending: Pending) -> u64 {
        self.next_ticket += 1;
        self.pending.insert(self.next_ticket, pending);
        self.next_ticket
    }

    pub(super) fn room(&self, id: &RoomId) -> Option<(RoomIx, &Room)> {
        let ix = *self.room_by_id.get(id)?;
        Some((ix, &self.rooms[ix.0 as usize]))
    }

    /// The room, if the user is a member; a stranger cannot tell whether it exists.
    pub(super) fn room_of_member(&self, id: &RoomId, user: &UserId) -> Option<(RoomIx, &Room)> {
        self.room(id).filter(|(_, room)| room.member(user).is_some())
    }

    pub(super) fn add_room(&mut self, room: Room) -> RoomIx {
        let (name, is_open) = (room.name.clone(), room.is_open);
        let ix = RoomIx(self.rooms.insert(room) as u32);
        if is_open {
            self.open_rooms.insert(name.clone(), ix);
        }
        self.room_by_id.insert(name, ix);
        ix
    }

    pub(super) fn add_member(&mut self, room: RoomIx, user: UserIx, state: &MemberState) {
        let id = self.users[user.0 as usize].id.clone();
        let of_room = &mut self.rooms[room.0 as usize];
        let is_new = !of_room.members.contains_key(&id);
        let has_written = of_room.name.is_direct() && state.has_written;
        of_room.add_member(id, user, state);
        if is_new {
            let user = &mut self.users[user.0 as usize];
            user.rooms.push(room);
            user.own_rooms += u32::from(state.is_own);
            user.direct_rooms += u32::from(has_written);
        }
    }

    /// The place of a user, who gets one if they have none.
    pub(super) fn user_ix(&mut self, id: &UserId) -> UserIx {
        if let Some(ix) = self.user_by_id.get(id) {
            return *ix;
        }
        let ix = UserIx(self.users.insert(User::new(id.clone())) as u32);
        self.user_by_id.insert(id.clone(), ix);
        ix
    }

    pub(super) fn forget_if_unneeded(&mut self, ix: UserIx) {
        if self.users[ix.0 as usize].is_forgettable() {
            let user = self.users.remove(ix.0 as usize);
            self.user_by_id.remove(&user.id);
        }
    }
}
