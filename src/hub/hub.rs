//! The state, and one match over the input.

use super::common::{Common, rooms_a_day};
use super::connection::HubConnection;
use super::input::Input;
use super::keep::{PendingRemovals, Retentions};
use super::left_rooms::LeftRooms;
use super::peers::Peers;
use super::pending::Pending;
use super::position::Position;
use super::presence::{Presence, Scope};
use super::quotas::Quotas;
use super::request::Requester;
use super::room::{Ban, Life, Member, Room, RoomIx};
use super::streams::{Publication, SharedStreams, StreamSettings, Streams, StreamsGuard};
use super::user::{User, UserIx};
use super::users::Users;
use crate::base::by_connection::ByConnection;
use crate::base::{
    Chance, ConnId, Effects, Limits, MemberState, Now, Origin, Refusal, RoomId, SeededHash,
    Snapshot, Timestamp, UserId,
};
use slab::Slab;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// The part of the configuration that the hub uses.
#[derive(Clone, Debug)]
pub struct Settings {
    pub(super) limits: Limits,
    /// Whether everybody may create rooms, or only admins.
    pub(super) anyone_creates: bool,
    pub(super) retentions: Retentions,
    pub(super) presence: Scope,
    pub(super) streams: StreamSettings,
}

impl From<&Limits> for Settings {
    fn from(limits: &Limits) -> Settings {
        Settings {
            limits: limits.clone(),
            anyone_creates: true,
            retentions: Retentions::default(),
            presence: Scope::Everyone,
            streams: StreamSettings::new(Vec::new(), |_| None, limits),
        }
    }
}

impl Settings {
    /// Lets only admins create rooms.
    #[must_use]
    pub fn admins_create(mut self) -> Settings {
        self.anyone_creates = false;
        self
    }

    /// Sets who is told who is online.
    #[must_use]
    pub fn presence(mut self, scope: Scope) -> Settings {
        self.presence = scope;
        self
    }

    /// Sets which streams there are.
    #[must_use]
    pub fn streams(mut self, streams: StreamSettings) -> Settings {
        self.streams = streams;
        self
    }

    /// Sets how much of the rooms' logs is kept.
    #[must_use]
    pub fn keep(mut self, retentions: Retentions) -> Settings {
        self.retentions = retentions;
        self
    }
}

/// Users, rooms and presence: decides who may do what, and who receives what.
#[derive(Debug)]
pub struct Hub {
    pub(super) settings: Settings,
    pub(super) epoch: Arc<str>,
    pub(super) chance: Chance,
    pub(super) users: Users,
    pub(super) rooms: Slab<Room>,
    pub(super) room_by_id: HashMap<RoomId, RoomIx, SeededHash>,
    /// Rooms that anybody may join, in the order of lists.
    pub(super) open_rooms: BTreeMap<RoomId, RoomIx>,
    /// By the index of a [`ConnId`].
    pub(super) connections: ByConnection<HubConnection>,
    pub(super) connected: usize,
    pub(super) pending: HashMap<u64, Pending, SeededHash>,
    pub(super) presence: Presence,
    /// Connections to feed again after the store failed to read.
    pub(super) feed_retries: Vec<ConnId>,
    pub(super) keeping: PendingRemovals,
    /// Of connections that are told their position.
    pub(super) positions: HashMap<ConnId, Position, SeededHash>,
    /// The time of the newest entry of all rooms.
    pub(super) newest: Timestamp,
    /// What it has in common with the other hubs of its store.
    pub(super) common: Common,
    /// The other hubs, if there are any.
    pub(super) peers: Option<Box<Peers>>,
    pub(super) streams: SharedStreams,
    /// Users with quotas of their own.
    pub(super) quotas: HashMap<UserId, Quotas, SeededHash>,
    /// Rooms that have not ended.
    pub(super) live_rooms: usize,
    pub(super) left_rooms: LeftRooms,
    /// See [`HubCounts::behind`](super::HubCounts::behind).
    pub(super) behind: usize,
    next_ticket: u64,
}

impl Hub {
    /// Continues from `snapshot`; `seed` is for hashing and generated names.
    #[must_use]
    pub fn new(settings: Settings, snapshot: Snapshot, seed: u64) -> Hub {
        let mut chance = Chance::new(seed);
        let hash = SeededHash::new(chance.next_u64());
        let common = Common::new(&settings, snapshot.streams, 1, chance.next_u64());
        let mut hub = Hub {
            settings,
            epoch: snapshot.epoch.into(),
            chance,
            users: Users::new(hash),
            rooms: Slab::new(),
            room_by_id: HashMap::with_hasher(hash),
            open_rooms: BTreeMap::new(),
            connections: ByConnection::default(),
            connected: 0,
            pending: HashMap::with_hasher(hash),
            presence: Presence::default(),
            feed_retries: Vec::new(),
            keeping: PendingRemovals::default(),
            positions: HashMap::with_hasher(hash),
            newest: Timestamp(0),
            streams: common.streams(0),
            common,
            peers: None,
            quotas: HashMap::with_hasher(hash),
            live_rooms: 0,
            left_rooms: LeftRooms::default(),
            behind: 0,
            next_ticket: 0,
        };
        hub.rooms.reserve(snapshot.rooms.len());
        hub.room_by_id.reserve(snapshot.rooms.len());
        for state in snapshot.rooms {
            hub.newest = hub.newest.max(state.ts);
            // The room has ended and its log is gone: only the store remembers the name.
            if state.is_ended && state.first > state.head {
                continue;
            }
            hub.add_room(Room::new(state));
        }
        hub.restore_members(snapshot.members);
        for (user, name) in snapshot.names {
            if let Some(ix) = hub.users.ix(&user) {
                hub.users[ix].name = Some(name);
            }
        }
        for invite in snapshot.invites {
            if let Some((room, _)) = hub.room(&invite.room) {
                hub.add_invite(room, &invite.user, invite.by);
            }
        }
        for (room, user) in snapshot.bans {
            if let Some(room) = hub.room_by_id.get(&room) {
                let bans = &mut hub.rooms[*room].permits().bans;
                bans.insert(user, Ban { is_stored: true, in_flight: 0 });
            }
        }
        let rooms: Vec<RoomIx> = hub.rooms.iter().map(|(ix, _)| RoomIx(ix as u32)).collect();
        for room in rooms {
            match hub.rooms[room].life {
                Life::Ended => hub.trim_later(room),
                Life::Live | Life::Ending => hub.keep(room),
            }
        }
        hub
    }

    /// Adds members as the store has them, to rooms that were just added.
    fn restore_members(&mut self, pieces: Vec<Vec<(RoomId, UserId, MemberState)>>) {
        let mut next = 0;
        for piece in pieces {
            for members in piece.chunk_by(|(one, ..), (other, ..)| one == other) {
                let Some((name, ..)) = members.first() else { continue };
                // Rooms and members are in the same order, so it is usually the next room.
                let is_next = self.rooms.get(next).is_some_and(|room| room.name == *name);
                let room = if is_next { Some(RoomIx(next as u32)) } else { self.room_ix(name) };
                let Some(room) = room else { continue };
                next = room.0 as usize + 1;
                // An ended room has no members, whatever is on disk.
                if self.rooms[room].life != Life::Live {
                    continue;
                }
                self.rooms[room].members.reserve(members.len());
                for (_, user, state) in members {
                    let user = self.users.ix_or_new(user);
                    self.add_member(room, user, state);
                }
            }
        }
    }

    /// Uses other settings from now on. Whoever is in stays in. Retention and the presence scope do
    /// not change, because existing state depends on them. Existing streams change at
    /// [`Input::Redeclared`].
    pub fn reconfigure(&mut self, settings: Settings) {
        let retentions = std::mem::take(&mut self.settings.retentions);
        self.settings = Settings { presence: self.settings.presence, retentions, ..settings };
    }

    /// The same for what hubs have in common.
    pub fn reconfigure_all(&self, settings: &Settings) {
        self.common.lock().makers.set_a_day(rooms_a_day(&settings.limits));
        self.streams.lock().settings = settings.streams.clone();
    }

    /// Handles an input, and appends the effects. It never fails.
    pub fn handle(&mut self, now: Now, input: Input, effects: &mut Effects) {
        effects.now = now;
        if let Some(input) = self.judged_now(input, effects) {
            self.decide(input, effects);
        }
    }

    pub(super) fn decide(&mut self, input: Input, effects: &mut Effects) {
        match input {
            Input::Connected { conn, user, name, resumes } => {
                self.connected(conn, user, name, resumes, effects);
            }
            Input::TellPosition { conn } => self.track_position(conn),
            Input::Disconnected { conn } => {
                self.positions.remove(&conn);
                self.disconnected(conn, effects);
                self.streams.with(effects, |all, effects| all.connection_closed(conn, effects));
            }
            Input::Request { conn, is_admin, id, request } => {
                self.requested(conn, is_admin, id, request, effects);
            }
            Input::Call { call, user, rights, quotas, request } => {
                self.called(call, user, (rights, quotas), request, effects);
            }
            Input::Told(told) => {
                self.told(told, effects);
                self.go_on(effects);
            }
            Input::Behind { conn, source, seq, ts } => {
                self.fell_behind(conn, RoomIx(source), seq, ts);
            }
            Input::PresenceMissed { conn } => self.presence_missed(conn),
            Input::UpdateMissed { conn, source } => self.update_missed(conn, RoomIx(source)),
            Input::Subscribe { by: (conn, id), rights, holder, form, asks } => {
                let (by, most) = ((conn, Origin::Conn(conn, id)), self.subscriptions_on(conn));
                self.streams.with(effects, |all, effects| {
                    all.subscribe(by, (&rights, holder, most), form, asks, effects);
                });
            }
            Input::Unsubscribe { by: (conn, id), streams } => {
                let by = (conn, Origin::Conn(conn, id));
                self.streams.with(effects, |all, effects| all.unsubscribe(by, &streams, effects));
            }
            Input::StreamAck { by: (conn, id), stream, seq } => {
                let answer = self.streams.lock().ack(conn, &stream, seq);
                effects.answer(Origin::Conn(conn, id), answer);
            }
            Input::QueryStreams { origin, rights, query } => {
                let answer = self.streams.lock().query(&rights, query);
                effects.answer(origin, answer);
            }
            Input::Publish { origin, publisher, stream, data, id } => {
                self.publish(origin, &publisher, Publication { stream, data, id }, effects);
            }
            Input::Heard { stream } => {
                self.streams.with(effects, |all, effects| all.note_news(&stream, effects));
            }
            Input::AgeMissed { conn, source } => self.streams.age_missed(conn, source),
            Input::RightsChanged { conn, rights, holder } => {
                self.streams.with(effects, |all, effects| {
                    all.rights_changed(conn, &rights, holder, effects);
                });
            }
            Input::Redeclared => self.streams.with(effects, Streams::redeclare),
            Input::EventMissed { conn, source, seq, prev } => {
                self.streams.missed(conn, source, seq, prev);
            }
            Input::Drained { conn } => {
                self.tell_missed_updates(conn, effects);
                self.feed(conn, effects);
                self.presence_caught_up(conn, effects);
                self.streams.with(effects, |all, effects| all.drained(conn, effects));
            }
            Input::Scan { conn } => {
                self.streams.with(effects, |all, effects| all.scan_behind(conn, effects));
            }
            Input::Woken => self.woken(effects),
        }
    }

    /// The epoch of the store.
    #[must_use]
    pub fn epoch(&self) -> &str {
        &self.epoch
    }

    /// What it has in common with other hubs of its store.
    #[must_use]
    pub fn common(&self) -> &Common {
        &self.common
    }

    /// The streams and their subscribers, which no hub can use meanwhile.
    #[must_use]
    pub fn streams(&self) -> StreamsGuard<'_> {
        self.streams.lock()
    }

    fn woken(&mut self, effects: &mut Effects) {
        for conn in std::mem::take(&mut self.feed_retries) {
            self.feed(conn, effects);
        }
        self.presence_due(effects);
        self.trim_due(effects);
        self.forget_ended_rooms(effects);
        self.streams.with(effects, Streams::wake);
    }

    pub(super) fn ticket(&mut self, pending: Pending) -> u64 {
        self.next_ticket += 1;
        self.pending.insert(self.next_ticket, pending);
        self.next_ticket
    }

    /// The index of a room, even if it is ending or has ended.
    pub(super) fn room_ix(&self, id: &RoomId) -> Option<RoomIx> {
        self.room_by_id.get(id).copied()
    }

    pub(super) fn room(&self, id: &RoomId) -> Option<(RoomIx, &Room)> {
        let ix = self.room_ix(id)?;
        Some((ix, &self.rooms[ix])).filter(|(_, room)| room.life == Life::Live)
    }

    /// The room and the asker, if they are a member. A stranger cannot tell whether it exists.
    pub(super) fn room_of_member(
        &self,
        asker: &Requester,
        id: &RoomId,
    ) -> Result<(RoomIx, &Room, &Member), Refusal> {
        let Some((ix, room)) = self.room(id) else { return Err(asker.stranger()) };
        let member = room.member(&asker.user).ok_or(Refusal::NOT_MEMBER)?;
        Ok((ix, room, member))
    }

    pub(super) fn add_room(&mut self, room: Room) -> RoomIx {
        let (name, is_open) = (room.name.clone(), room.is_open);
        self.live_rooms += usize::from(room.life == Life::Live);
        let ix = RoomIx(self.rooms.insert(room) as u32);
        if is_open {
            self.open_rooms.insert(name.clone(), ix);
        }
        self.room_by_id.insert(name, ix);
        ix
    }

    pub(super) fn add_member(&mut self, room: RoomIx, user: UserIx, state: &MemberState) {
        let id = self.users[user].id.clone();
        let of_room = &mut self.rooms[room];
        let is_new = !of_room.members.contains_key(&id);
        let is_direct = of_room.name.is_direct();
        let has_written = is_direct && state.has_written;
        of_room.add_member(id, user, state);
        if state.is_own {
            self.left_rooms.remove(room);
        }
        if is_new {
            let of_user = &mut self.users[user];
            of_user.rooms.push(room);
            of_user.own_rooms += u32::from(state.is_own);
            of_user.direct_rooms += u32::from(has_written);
            of_user.added_rooms += u32::from(!state.is_own && !is_direct);
            self.member_joined(room, user);
        }
    }

    pub(super) fn user(&self, id: &UserId) -> Option<&User> {
        self.users.get(id)
    }

    /// Takes something from a user, if known. They are forgotten if nothing is left.
    pub(super) fn take_from(&mut self, id: &UserId, take: impl FnOnce(&mut User)) {
        if let Some(ix) = self.users.ix(id) {
            take(&mut self.users[ix]);
            self.forget_if_unneeded(ix);
        }
    }

    pub(super) fn forget_if_unneeded(&mut self, ix: UserIx) {
        if self.users[ix].is_forgettable() {
            self.users.remove(ix);
        }
    }
}
