//! What the hubs of one store have in common: what each has decided and is not committed yet, as far
//! as it counts towards a limit, and the daily limits, so that a limit holds for all of them
//! together; and the streams.

use super::daily::Daily;
use super::hub::Settings;
use super::streams::{AllStreams, SharedStreams};
use crate::base::limits::{FIRST_MESSAGES_A_DAY, ROOMS_MADE_A_DAY};
use crate::base::{Chance, Limits, RoomId, SeededHash, StreamState, UserId};
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What hubs have in common. A hub locks it for a moment when a request is about to create a room,
/// to add to one or to invite, when that has come back, and, beside other hubs, when a connection
/// opens or closes.
#[derive(Clone, Debug)]
pub struct Common {
    reservations: Arc<Mutex<Reservations>>,
    streams: Arc<Mutex<AllStreams>>,
}

/// What is decided and not committed, and the daily limits.
#[derive(Debug)]
pub(super) struct Reservations {
    /// Rooms that are being created.
    pub(super) rooms: usize,
    users: HashMap<UserId, OfUser, SeededHash>,
    of_rooms: HashMap<RoomId, OfRoom, SeededHash>,
    /// Users' connections at all hubs: not in flight, and counted only where there are several.
    connections: HashMap<UserId, u32, SeededHash>,
    /// All of them.
    connected: usize,
    /// Rooms created in a day, and first messages to people who were never here.
    pub(super) makers: Daily,
    pub(super) first_messages: Daily,
}

/// What is in flight for a user.
#[derive(Debug, Default, PartialEq)]
pub(super) struct OfUser {
    /// Rooms that they are creating or joining.
    pub(super) rooms: u32,
    /// Their first messages in direct rooms.
    pub(super) direct_rooms: u32,
    /// Rooms to which others add them, except direct rooms.
    pub(super) added_rooms: u32,
    /// Who invites them, once for each invitation.
    pub(super) invited_by: Vec<UserId>,
}

/// What is in flight for a room.
#[derive(Debug, Default, PartialEq)]
pub(super) struct OfRoom {
    pub(super) members: u32,
    pub(super) invites: u32,
    pub(super) bans: u32,
}

static NOBODY: OfUser =
    OfUser { rooms: 0, direct_rooms: 0, added_rooms: 0, invited_by: Vec::new() };
static NOTHING: OfRoom = OfRoom { members: 0, invites: 0, bans: 0 };

impl Common {
    /// What so many hubs have in common, with the streams of their store. Nothing is in flight;
    /// `seed` is for hashing and for epochs.
    #[must_use]
    pub fn new(settings: &Settings, streams: Vec<StreamState>, hubs: usize, seed: u64) -> Common {
        let limits = &settings.limits;
        let mut chance = Chance::new(seed);
        let hash = SeededHash::new(chance.next_u64());
        let reservations = Reservations {
            rooms: 0,
            users: HashMap::with_hasher(hash),
            of_rooms: HashMap::with_hasher(hash),
            connections: HashMap::with_hasher(hash),
            connected: 0,
            makers: Daily::new(rooms_a_day(limits), hash),
            first_messages: Daily::new(FIRST_MESSAGES_A_DAY, hash),
        };
        let streams = AllStreams::new(settings.streams.clone(), streams, hubs, chance.next_u64());
        Common {
            reservations: Arc::new(Mutex::new(reservations)),
            streams: Arc::new(Mutex::new(streams)),
        }
    }

    /// The streams, for the hub of this number.
    pub(super) fn streams(&self, hub: usize) -> SharedStreams {
        SharedStreams::new(Arc::clone(&self.streams), hub)
    }

    /// A thread that panics while it holds this ends the process.
    pub(super) fn lock(&self) -> MutexGuard<'_, Reservations> {
        self.reservations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many rooms a user may create in a day.
pub(super) fn rooms_a_day(limits: &Limits) -> u32 {
    limits.rooms.max(ROOMS_MADE_A_DAY)
}

impl Reservations {
    pub(super) fn user(&self, user: &UserId) -> &OfUser {
        self.users.get(user).unwrap_or(&NOBODY)
    }

    pub(super) fn of_room(&self, room: &RoomId) -> &OfRoom {
        self.of_rooms.get(room).unwrap_or(&NOTHING)
    }

    /// How many connections a user has at all hubs, if there are several.
    pub(super) fn connections(&self, user: &UserId) -> u32 {
        self.connections.get(user).copied().unwrap_or(0)
    }

    /// How many connections all users have at all hubs, if there are several.
    pub(super) fn connected(&self) -> usize {
        self.connected
    }

    /// A connection of a user has opened.
    pub(super) fn connection_opened(&mut self, user: &UserId) {
        self.connected += 1;
        changed(&mut self.connections, user, |connections| *connections += 1);
    }

    /// A connection of a user has closed.
    pub(super) fn connection_closed(&mut self, user: &UserId) {
        self.connected -= 1;
        changed(&mut self.connections, user, |connections| *connections -= 1);
    }

    /// Changes what is in flight for a user.
    pub(super) fn with_user(&mut self, user: &UserId, change: impl FnOnce(&mut OfUser)) {
        changed(&mut self.users, user, change);
    }

    /// Changes what is in flight for a room.
    pub(super) fn with_room(&mut self, room: &RoomId, change: impl FnOnce(&mut OfRoom)) {
        changed(&mut self.of_rooms, room, change);
    }

    /// Users are being invited.
    pub(super) fn invites_come(&mut self, users: &[UserId], by: &UserId) {
        for user in users {
            self.with_user(user, |user| user.invited_by.push(by.clone()));
        }
    }

    /// Invitations are no longer in flight.
    pub(super) fn return_invites(&mut self, users: &[UserId], by: &UserId) {
        for user in users {
            self.with_user(user, |user| {
                if let Some(place) = user.invited_by.iter().position(|one| one == by) {
                    user.invited_by.swap_remove(place);
                }
            });
        }
    }

    /// A message that creates a direct room is in flight.
    pub(super) fn first_message_comes(&mut self, author: &UserId) {
        self.rooms += 1;
        self.with_user(author, |user| user.direct_rooms += 1);
    }

    /// A message that was to create a direct room has come back.
    pub(super) fn first_message_returns(&mut self, author: &UserId) {
        self.rooms -= 1;
        self.with_user(author, |user| user.direct_rooms -= 1);
    }

    /// How many rooms and users have something in flight.
    pub(super) fn len(&self) -> usize {
        self.rooms + self.users.len() + self.of_rooms.len()
    }
}

/// Changes an entry, which is kept only as long as it says something.
fn changed<K: Clone + Eq + Hash, V: Default + PartialEq>(
    all: &mut HashMap<K, V, SeededHash>,
    key: &K,
    change: impl FnOnce(&mut V),
) {
    if !all.contains_key(key) {
        all.insert(key.clone(), V::default());
    }
    if let Some(value) = all.get_mut(key) {
        change(value);
        if *value == V::default() {
            all.remove(key);
        }
    }
}
