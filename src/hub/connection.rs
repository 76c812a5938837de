//! Connections whose user is known: opening, closing, and the order of their requests.

use super::cursor::Cursor;
use super::hub::Hub;
use super::pending::Pending;
use super::request::Requester;
use super::room::{Room, RoomIx};
use super::user::UserIx;
use crate::base::answer::RoomPage;
use crate::base::limits::{
    PAGES_IN_FLIGHT_MAX, REQUESTS_IN_FLIGHT_MAX, UNWRITTEN_DIRECT_ROOMS_MAX,
};
use crate::base::request::Target;
use crate::base::{
    ConnId, Effect, Effects, News, Origin, Record, Request, RequestId, RoomId, UserId,
};
use std::cmp::Ordering;
use std::collections::VecDeque;
use std::sync::Arc;

/// What the hub knows of a connection.
#[derive(Debug)]
pub(super) struct HubConnection {
    pub(super) user: UserIx,
    /// The client announced a `resume`; its last part has not arrived.
    pub(super) is_resuming: bool,
    /// A page for feeding was requested from the store.
    pub(super) is_loading: bool,
    /// A presence change did not fit its outbox.
    pub(super) misses_presence: bool,
    /// No more requests are taken from it.
    is_held: bool,
    /// A change of membership is among its records in flight.
    pub(super) has_barrier: bool,
    /// Records and pages in flight for its requests.
    pub(super) writes: u16,
    pub(super) pages: u16,
    /// Rooms in which its cursor is behind, in the order of feeding.
    #[allow(clippy::box_collection)]
    pub(super) behind: Option<Box<VecDeque<RoomIx>>>,
    /// Rooms whose latest update did not reach it.
    #[allow(clippy::box_collection)]
    pub(super) unsent_updates: Option<Box<Vec<RoomIx>>>,
    /// A request that must wait for those before it.
    deferred: Option<Box<(bool, RequestId, Request)>>,
}

/// Keeps the first `max` of a list, in no order. Returns whether there were more. It does not sort
/// what it drops.
fn keep_first<T>(list: &mut Vec<T>, max: usize, order: impl FnMut(&T, &T) -> Ordering) -> bool {
    let has_more = list.len() > max;
    if has_more {
        list.select_nth_unstable_by(max, order);
        list.truncate(max);
    }
    has_more
}

impl Hub {
    pub(super) fn connected(
        &mut self,
        conn: ConnId,
        id: UserId,
        name: Option<Arc<str>>,
        resumes: bool,
        effects: &mut Effects,
    ) {
        let ix = self.users.ix_or_new(&id);
        if !self.may_connect(&id, self.quotas_of(&id).connections) {
            self.forget_quotas(ix);
            self.forget_if_unneeded(ix);
            effects.push(Effect::TooMany { conn });
            return;
        }
        let user = &mut self.users[ix];
        let was_online = user.is_online();
        user.conns.push(conn);
        let is_first = user.conns.as_slice().len() == 1;
        if let Some(name) = name
            && user.name.as_ref() != Some(&name)
            && (user.name.is_some() || *name != *id.as_str())
        {
            user.rename(Arc::clone(&name));
            let record = Record::Name { user: id.clone(), name };
            let ticket = self.ticket(Pending::Name { user: id.clone() });
            effects.push(Effect::Persist { ticket, record });
        }
        let connection = HubConnection {
            user: ix,
            is_resuming: resumes,
            is_loading: false,
            misses_presence: false,
            is_held: false,
            has_barrier: false,
            writes: 0,
            pages: 0,
            behind: None,
            unsent_updates: None,
            deferred: None,
        };
        self.connections.put(conn, connection);
        self.connected += 1;
        // The greeting's list and the start of following must be in the same turn.
        let rooms = self.users[ix].rooms.as_slice().to_vec();
        for &room in &rooms {
            // Skip a room that they are leaving: the end is already in force.
            if self.rooms[room].member(&id).is_some() {
                self.follow(conn, room);
            }
        }
        let rooms = self.greeted_rooms(&id, &rooms, None);
        let invites = self.invites_of(&id);
        effects.push(Effect::Greet { conn, rooms, invites });
        self.trim_due(effects);
        if !was_online {
            self.came_online(ix, effects);
        }
        if is_first {
            let name = self.users[ix].name.clone();
            self.tell_others(|| News::Came { user: id, name }, effects);
        }
    }

    pub(super) fn rooms_of(&mut self, asker: &Requester, after: Option<&RoomId>) -> RoomPage {
        let Some(user) = self.user(&asker.user) else { return RoomPage::default() };
        let rooms = user.rooms.as_slice().to_vec();
        if let Origin::Conn(conn, _) = asker.origin {
            for &room in &rooms {
                if after.is_none_or(|after| self.rooms[room].name > *after) {
                    self.unfollow_leaving(conn, room);
                }
            }
        }
        self.greeted_rooms(&asker.user, &rooms, after)
    }

    /// A page of the rooms of a `hello`. Of direct rooms in which the user never wrote, only the
    /// newest.
    fn greeted_rooms(&self, id: &UserId, rooms: &[RoomIx], after: Option<&RoomId>) -> RoomPage {
        let mut listed = Vec::with_capacity(rooms.len());
        let mut unwritten = Vec::new();
        for ix in rooms {
            let room = &self.rooms[*ix];
            let Some(member) = room.member(id) else { continue };
            if room.name.is_direct() && !member.has_written {
                unwritten.push(room);
            } else {
                listed.push(room);
            }
        }
        keep_first(&mut unwritten, UNWRITTEN_DIRECT_ROOMS_MAX, |one: &&Room, other| {
            (other.ts, &one.name).cmp(&(one.ts, &other.name))
        });
        listed.extend(unwritten);
        listed.retain(|room| after.is_none_or(|after| room.name > *after));
        let by_name = |one: &&Room, other: &&Room| one.name.cmp(&other.name);
        let more = keep_first(&mut listed, self.settings.limits.listed_rooms as usize, by_name);
        listed.sort_unstable_by(by_name);
        RoomPage { rooms: listed.into_iter().map(|room| room.summary(id)).collect(), more }
    }

    /// Makes a connection follow a room from its head, or wait there for its `resume`.
    pub(super) fn follow(&mut self, conn: ConnId, room: RoomIx) {
        let waits = self.is_resuming(conn);
        let room = &mut self.rooms[room];
        let cursor = if waits { Cursor::Waiting { from: room.head } } else { Cursor::Live };
        room.followers.insert(conn, cursor);
    }

    pub(super) fn disconnected(&mut self, conn: ConnId, effects: &mut Effects) {
        let Some(connection) = self.connections.take(conn) else { return };
        self.connected -= 1;
        self.behind -= connection.behind.as_ref().map_or(0, |behind| behind.len());
        let ix = connection.user;
        let user = &mut self.users[ix];
        user.conns.retain(|one| *one != conn);
        let id = user.id.clone();
        let is_last = user.conns.as_slice().is_empty();
        let is_online = user.is_online();
        for room in user.rooms.as_slice().to_vec() {
            self.rooms[room].followers.remove(&conn);
        }
        self.connection_ended(&id);
        if is_last {
            self.forget_quotas(ix);
            self.tell_others(|| News::Went { user: id }, effects);
        }
        if !is_online {
            self.went_offline(ix, effects);
        }
    }

    /// Handles a request, or defers it until earlier ones are committed, so that pipelined requests
    /// take effect in order. Messages may be in flight together because the store keeps their
    /// order; any other request waits.
    pub(super) fn requested(
        &mut self,
        conn: ConnId,
        is_admin: bool,
        id: RequestId,
        request: Request,
        effects: &mut Effects,
    ) {
        let goes_along = self.is_independent(conn, &request);
        let Some(connection) = self.connections.get_mut(conn) else { return };
        if connection.writes > 0 && (connection.has_barrier || !goes_along) {
            debug_assert!(connection.deferred.is_none(), "a request of a connection that is held");
            connection.deferred = Some(Box::new((is_admin, id, request)));
        } else {
            self.handle_request(conn, (is_admin, id, request), false, effects);
        }
        self.settle_hold(conn, effects);
    }

    /// Whether a request means the same before and after the records in flight. One about an entry
    /// that does not exist yet does not.
    fn is_independent(&self, conn: ConnId, request: &Request) -> bool {
        let head = |room: &RoomId| self.room(room).map_or(0, |(_, room)| room.head);
        match request {
            Request::Typing(..) => true,
            Request::Ack { marks, .. } => marks.iter().all(|(room, seq)| *seq <= head(room)),
            Request::Send { target, body, .. } => body.reply_to.is_none_or(|seq| match target {
                Target::Room(room) => seq <= head(room),
                Target::User(other) => {
                    self.user_on(conn).is_some_and(|own| seq <= head(&RoomId::direct(own, other)))
                }
            }),
            _ => false,
        }
    }

    /// Whether a connection's last request waits until earlier ones are committed.
    #[must_use]
    pub fn has_deferred(&self, conn: ConnId) -> bool {
        self.connections.get(conn).is_some_and(|connection| connection.deferred.is_some())
    }

    /// A record or page has come back from the store, and counts no more as in flight: handles the
    /// deferred request.
    pub(super) fn settled(
        &mut self,
        conn: Option<ConnId>,
        in_flight: fn(&mut HubConnection) -> &mut u16,
        effects: &mut Effects,
    ) {
        let Some(conn) = conn else { return };
        let Some(connection) = self.connections.get_mut(conn) else { return };
        let in_flight = in_flight(connection);
        *in_flight = in_flight.saturating_sub(1);
        if connection.writes == 0 {
            connection.has_barrier = false;
            if let Some(deferred) = connection.deferred.take() {
                self.handle_request(conn, *deferred, true, effects);
            }
        }
        self.settle_hold(conn, effects);
    }

    pub(super) fn settle_hold(&mut self, conn: ConnId, effects: &mut Effects) {
        let Some(connection) = self.connections.get_mut(conn) else { return };
        let holds = connection.deferred.is_some()
            || connection.writes >= REQUESTS_IN_FLIGHT_MAX
            || connection.pages >= PAGES_IN_FLIGHT_MAX;
        if holds != connection.is_held {
            connection.is_held = holds;
            effects.push(if holds { Effect::Hold { conn } } else { Effect::Release { conn } });
        }
    }
}
