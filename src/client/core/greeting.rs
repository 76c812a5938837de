//! What is done between `hello` and being online: the whole list of rooms, and where each goes on
//! (`docs/protocol.md`, "Resuming").

use super::core::Core;
use super::effect::{Gap, Membership};
use super::error::RequestError;
use super::hello::Hello;
use super::link::Greeting;
use super::requests::{Question, Urgency};
use super::room::RoomLog;
use crate::base::{RoomId, UserId};
use crate::wire::json::{Writer, object};
use crate::wire::told::ToldObject;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// How many rooms one `resume` and one `chat:ack` name.
pub(super) const ROOMS_PER_REQUEST: usize = 300;
/// How many rooms a client follows at most; of further ones it knows nothing.
pub(super) const ROOMS_MAX: usize = 100_000;

impl Core {
    /// `hello` came.
    pub(super) fn welcomed(&mut self, raw: &str) {
        let payload = ToldObject::parse(raw).unwrap_or_default();
        let Some(hello) = Hello::read(&payload) else {
            return self.lost(None, "the server's hello cannot be read", None);
        };
        if self.link.state.is_online() || self.greeting.is_some() {
            return;
        }
        self.greeted(hello.heartbeat_ms);
        self.requests.begin(&hello.limits, self.now.moment);
        let owner: Option<UserId> = (!hello.is_guest).then(|| hello.user.clone());
        let before = self.owner.replace(owner.clone());
        if before.is_some_and(|before| before != owner) {
            self.forget_user();
        }
        self.greeting = Some(Greeting::default());
        let is_new_epoch = self.epoch.as_ref().is_some_and(|epoch| *epoch != hello.epoch);
        self.epoch = Some(hello.epoch.clone());
        self.hello = Some(hello);
        for room in self.rooms.values_mut() {
            room.is_listed = false;
            room.is_new_epoch |= is_new_epoch;
        }
        self.take_page(&payload);
    }

    /// The next page of rooms came.
    pub(super) fn paged(&mut self, answer: Result<&str, RequestError>) {
        if self.greeting.is_none() {
            return;
        }
        match answer {
            Ok(raw) => self.take_page(&ToldObject::parse(raw).unwrap_or_default()),
            Err(error) => self.lost(None, &error.to_string(), error.retry_after_ms),
        }
    }

    fn take_page(&mut self, page: &ToldObject<'_>) {
        for listed in page.objects("rooms") {
            let Some(name) = listed.room() else { continue };
            if self.rooms.len() >= ROOMS_MAX && !self.rooms.contains_key(&name) {
                continue;
            }
            let head = listed.number("head").unwrap_or_default();
            let room = self.rooms.entry(name.clone()).or_default();
            room.is_listed = true;
            room.is_cold = false;
            room.listed_head = head;
            if std::mem::take(&mut room.is_new_epoch) {
                self.reset_room(&name, head);
            }
            self.welcome_room(&name, &listed);
        }
        match page.text("after") {
            Some(after) => {
                let payload = object(|w| w.text("after", &after));
                self.ask("info", payload, Question::Page, (Urgency::Now, self.options.timeout_ms));
            }
            None => self.has_all_rooms(),
        }
    }

    /// Of the rooms that were not listed the user is no member.
    fn has_all_rooms(&mut self) {
        let gone: Vec<RoomId> = self
            .rooms
            .iter_mut()
            .filter(|(_, room)| !room.is_listed)
            .map(|(name, room)| {
                room.is_new_epoch = false;
                name.clone()
            })
            .collect();
        for name in gone {
            self.miss_room(&name);
        }
        // All that comes from here on is newer than `hello`.
        self.own_unsent();
        let mut known = Vec::new();
        for (name, room) in &mut self.rooms {
            if self.stopped.contains(name) {
                // What is missing of it is read when the program takes something.
                room.head = room.head.max(room.listed_head);
            } else if room.is_followed && room.last != room.listed_head {
                known.push(name.clone());
            }
        }
        if self.owner == Some(None) {
            // Guests are in no room, and may not even send it.
            return self.go_online();
        }
        let mut pieces: VecDeque<Vec<RoomId>> =
            known.chunks(ROOMS_PER_REQUEST).map(<[RoomId]>::to_vec).collect();
        if pieces.is_empty() {
            pieces.push_back(Vec::new());
        }
        self.greeting = Some(Greeting { pieces });
        self.resume_next();
    }

    fn resume_next(&mut self) {
        let Some(greeting) = &mut self.greeting else { return };
        let Some(piece) = greeting.pieces.pop_front() else { return self.go_online() };
        let is_last = greeting.pieces.is_empty();
        let epoch = self.epoch.clone().unwrap_or_default();
        let payload = object(|w| {
            w.text("epoch", &epoch);
            w.object_in("rooms", |w| self.positions(w, &piece));
            w.flag("more", !is_last);
        });
        let urgency = (Urgency::Now, self.options.timeout_ms);
        self.ask("resume", payload, Question::Resume(piece), urgency);
    }

    /// The newest entries that the program has of these rooms.
    pub(super) fn positions(&self, w: &mut Writer, rooms: &[RoomId]) {
        for name in rooms {
            if let Some(room) = self.rooms.get(name) {
                w.number(name.as_str(), room.last);
            }
        }
    }

    /// A piece of the `resume` was answered.
    pub(super) fn resumed(&mut self, piece: &[RoomId], answer: Result<&str, RequestError>) {
        if self.greeting.is_none() {
            return;
        }
        let raw = match answer {
            Ok(raw) => raw,
            Err(error) => return self.lost(None, &error.to_string(), error.retry_after_ms),
        };
        let payload = ToldObject::parse(raw).unwrap_or_default();
        let names = |name| {
            let rooms = payload.object(name).unwrap_or_default();
            let rooms = rooms.all().map(|(name, raw)| (name.to_owned(), raw.to_owned()));
            rooms.collect::<BTreeMap<String, String>>()
        };
        let going_on: BTreeSet<String> = names("rooms").into_keys().collect();
        let refused = names("refused");
        for name in piece {
            let code = refused.get(name.as_str()).map(|raw| {
                let error = ToldObject::parse(raw).unwrap_or_default();
                error.text("code").map(|code| code.into_owned()).unwrap_or_default()
            });
            if code.as_deref() == Some("not_member") {
                self.miss_room(name);
            } else if !going_on.contains(name.as_str()) {
                // The log does not reach back so far: what there is of it is read. That makes the room live, too.
                if let Some(room) = self.rooms.get_mut(name) {
                    room.is_cold = true;
                    let head = room.listed_head;
                    self.is_behind(name, head);
                }
            }
        }
        self.resume_next();
    }

    /// A room's log is another: nothing that was known of it holds.
    fn reset_room(&mut self, name: &RoomId, head: u64) {
        let Some(room) = self.rooms.get_mut(name) else { return };
        let known = room.from.take().unwrap_or(room.last);
        let after = if room.is_followed { room.last } else { known };
        (room.last, room.head) = (head, head);
        room.read = 0;
        if after > 0 {
            let reason = "epoch_changed";
            self.tell_gap(Gap { room: name.clone(), after, before: head + 1, reason });
        }
    }

    /// The user is no member, as the server says.
    pub(super) fn miss_room(&mut self, name: &RoomId) {
        let Some(room) = self.rooms.get_mut(name) else { return };
        room.stop_following();
        self.stopped.remove(name);
        self.unacked.remove(name);
        // It waits to be joined: the program has asked for that.
        if room.membership == Membership::Joining {
            return;
        }
        let was_member = matches!(room.membership, Membership::Member | Membership::Left);
        let membership = if was_member { Membership::Left } else { Membership::None };
        let is_wanted = room.is_wanted;
        self.become_in(name, membership);
        if is_wanted && self.link.state.is_online() {
            self.join(name.clone(), None);
        }
    }

    /// Joins the rooms in which the user wants to be.
    pub(super) fn join_wanted(&mut self) {
        let is_missing = |room: &RoomLog| {
            let is_asked = room.membership == Membership::Joining;
            room.is_wanted && !room.is_followed && !is_asked
        };
        let names = self.rooms.iter().filter(|(_, room)| is_missing(room));
        let names: Vec<RoomId> = names.map(|(name, _)| name.clone()).collect();
        for name in names {
            self.join(name, None);
        }
    }
}
