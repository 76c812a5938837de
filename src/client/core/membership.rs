//! What a room has beside its log: how far it is read, whether the user is in it, who types.

use super::core::Core;
use super::deadlines::Timer;
use super::effect::{ClientEvent, Membership};
use super::error::RequestError;
use super::greeting::ROOMS_PER_REQUEST;
use super::requests::{Question, Urgency};
use super::state::State;
use crate::base::{RoomId, UserId};
use crate::wire::json::object;
use crate::wire::told::ToldObject;

/// How often somebody is told that the user types, and after how long nobody is believed to type.
const TYPING_EVERY_MS: u64 = 3_000;
const TYPING_MS: u64 = 6_000;
/// How many people are seen typing in a room at most.
const TYPISTS_MAX: usize = 100;
/// While so many things are due later, nobody else is seen typing in any room.
const TIMERS_MAX: usize = 10_000;
const READ_EVERY_MS: u64 = 1_000;
const ACK_EVERY_MS: u64 = 1_000;

impl Core {
    // --- Acknowledgements and marks ---

    pub(super) fn seen(&mut self, name: &RoomId) {
        self.unacked.insert(name.clone());
        self.deadlines.set_once(Timer::Ack, self.now.moment.plus_millis(ACK_EVERY_MS));
    }

    /// Tells the server what has come.
    pub(super) fn acknowledge(&mut self) {
        let piece: Vec<RoomId> = self.unacked.iter().take(ROOMS_PER_REQUEST).cloned().collect();
        let payload = object(|w| w.object_in("rooms", |w| self.positions(w, &piece)));
        if self.say("chat:ack", &payload) {
            for name in &piece {
                self.unacked.remove(name);
            }
        }
        // The rate did not allow it, or there are more.
        if self.link.state.is_online() && !self.unacked.is_empty() {
            self.deadlines.set(Timer::Ack, self.now.moment.plus_millis(ACK_EVERY_MS));
        }
    }

    /// The user has read so far.
    pub(super) fn mark_read(&mut self, name: &RoomId, seq: Option<u64>) {
        let Some(room) = self.rooms.get(name) else { return };
        let seq = seq.unwrap_or(room.last);
        if seq > room.read {
            self.has_read(name, seq);
            let at = self.now.moment.plus_millis(READ_EVERY_MS);
            self.deadlines.set_once(Timer::Read(name.clone()), at);
        }
    }

    pub(super) fn has_read(&mut self, name: &RoomId, seq: u64) {
        if let Some(room) = self.rooms.get_mut(name) {
            room.read = room.read.max(seq);
            if seq >= room.last {
                room.unread = 0;
            }
        }
    }

    pub(super) fn tell_read(&mut self, name: &RoomId) {
        let Some(room) = self.rooms.get(name) else { return };
        let seq = room.read;
        let payload = object(|w| {
            w.text("room", name.as_str());
            w.number("seq", seq);
        });
        self.ask_for("chat:read", payload, Question::Read(name.clone()));
    }

    pub(super) fn read_told(&mut self, name: &RoomId, answer: Result<&str, RequestError>) {
        let unread = answer.ok().and_then(ToldObject::parse).and_then(|one| one.number("unread"));
        if let (Some(unread), Some(room)) = (unread, self.rooms.get_mut(name)) {
            room.unread = unread;
            room.counted = room.counted.max(room.last);
        }
    }

    // --- Who is in it ---

    /// What `hello`, `room:join` or `room:info` says of a room.
    pub(super) fn welcome_room(&mut self, name: &RoomId, told: &ToldObject<'_>) {
        let Some(room) = self.known_room(name) else { return };
        let head = told.number("head").unwrap_or_default();
        let Some(read) = told.number("read") else { return };
        if !room.is_followed {
            room.head = head;
            room.last = room.from.take().unwrap_or(head).min(head);
        }
        room.is_followed = true;
        room.counted = head;
        room.unread = told.number("unread").unwrap_or(room.unread);
        if let Some(title) = told.text("title") {
            room.title = title.into();
        }
        // The server was not told, or the answer was lost.
        let is_untold = read < room.read;
        room.read = room.read.max(read);
        let is_cold = room.is_cold;
        if is_untold {
            let at = self.now.moment.plus_millis(READ_EVERY_MS);
            self.deadlines.set_once(Timer::Read(name.clone()), at);
        }
        self.become_in(name, Membership::Member);
        if is_cold {
            self.goes_on(name);
        }
    }

    pub(super) fn become_in(&mut self, name: &RoomId, membership: Membership) {
        let Some(room) = self.rooms.get_mut(name) else { return };
        if room.membership != membership {
            room.membership = membership;
            self.untold_memberships.insert(name.clone());
            self.tell_memberships();
        }
    }

    /// Tells the program what the user is in which rooms, where that has changed.
    pub(super) fn tell_memberships(&mut self) {
        while self.credit > 0
            && let Some(room) = self.untold_memberships.pop_first()
        {
            if let Some(known) = self.rooms.get(&room) {
                let membership = known.membership.clone();
                self.tell(ClientEvent::Membership { room, membership });
            }
        }
    }

    /// The user wants to be in it.
    pub(super) fn join(&mut self, name: RoomId, call: Option<u64>) {
        let is_over = matches!(self.link.state, State::Closed | State::Failed { .. });
        let refusal = if is_over { "closed" } else { "overloaded" };
        let room = self.known_room(&name).filter(|_| !is_over || call.is_none());
        let Some(room) = room else {
            if let Some(call) = call {
                self.answer(call, Err(RequestError::own(refusal)));
            }
            return;
        };
        room.is_wanted = true;
        let is_member = room.is_followed && call.is_none();
        if is_member || (call.is_none() && !self.link.state.is_online()) {
            return;
        }
        self.become_in(&name, Membership::Joining);
        let payload = object(|w| w.text("room", name.as_str()));
        // Before what was asked meanwhile, which wants a member.
        let urgency = (Urgency::First, self.options.timeout_ms);
        self.ask("room:join", payload, Question::Join(name, call), urgency);
    }

    pub(super) fn joined(
        &mut self,
        name: &RoomId,
        call: Option<u64>,
        answer: Result<&str, RequestError>,
    ) {
        match &answer {
            Ok(raw) => self.welcome_room(name, &ToldObject::parse(raw).unwrap_or_default()),
            Err(error) if error.is_passing() || error.is_end() => {
                let is_member = self.rooms.get(name).is_some_and(|room| room.is_followed);
                let known = if is_member { Membership::Member } else { Membership::Unknown };
                self.become_in(name, known);
            }
            Err(error) => {
                if let Some(room) = self.rooms.get_mut(name) {
                    room.is_wanted = false;
                }
                self.become_in(name, Membership::Refused(error.clone()));
                self.refuse_unsent(name, error);
            }
        }
        if let Some(call) = call {
            self.answer(call, answer.map(Into::into));
        }
    }

    /// The user wants to be in it no more.
    pub(super) fn leave(&mut self, name: RoomId, call: u64) {
        if let Some(room) = self.rooms.get_mut(&name) {
            room.is_wanted = false;
        }
        let payload = object(|w| w.text("room", name.as_str()));
        self.ask_by_call("room:leave".to_owned(), payload, call, None);
    }

    pub(super) fn removed(&mut self, name: &RoomId, has_left: bool) {
        let Some(room) = self.rooms.get_mut(name) else { return };
        room.is_wanted &= has_left;
        room.stop_following();
        self.stopped.remove(name);
        self.unacked.remove(name);
        self.become_in(name, Membership::Left);
        self.refuse_unsent(name, &RequestError::own("not_member"));
    }

    /// It was another user's.
    pub(super) fn end_room(&mut self, name: &RoomId) {
        for timer in [Timer::Read(name.clone()), Timer::Missing(name.clone())] {
            self.deadlines.clear(&timer);
        }
        self.deadlines.end_typing(name);
    }

    // --- Who types ---

    /// The user types, or no more.
    pub(super) fn types(&mut self, name: &RoomId, typing: bool) {
        let now = self.now.moment;
        let Some(room) = self.known_room(name) else { return };
        let is_told = room.typed_at.is_some_and(|at| now.millis_since(at) < TYPING_EVERY_MS);
        if typing == is_told {
            return;
        }
        let payload = object(|w| {
            w.text("room", name.as_str());
            w.flag("typing", typing);
        });
        if self.say("chat:typing", &payload)
            && let Some(room) = self.rooms.get_mut(name)
        {
            room.typed_at = typing.then_some(now);
        }
    }

    /// Somebody types, or no more.
    pub(super) fn typed(&mut self, name: &RoomId, user: &UserId, typing: bool) {
        let Some(room) = self.rooms.get_mut(name) else { return };
        let timer = Timer::Typing(name.clone(), user.clone());
        let was = room.typists.contains(user);
        if !typing {
            room.typists.remove(user);
            self.deadlines.clear(&timer);
        } else if was || (room.typists.len() < TYPISTS_MAX && self.deadlines.len() < TIMERS_MAX) {
            room.typists.insert(user.clone());
            self.deadlines.set(timer, self.now.moment.plus_millis(TYPING_MS));
        } else {
            return;
        }
        if was != typing {
            let (room, user) = (name.clone(), user.clone());
            self.tell_or_leave_out(ClientEvent::Typing { room, user, typing });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::effect::CoreInput;
    use super::super::for_tests::{Scene, message, room};
    use super::super::greeting::ROOMS_MAX;
    use super::super::options::CoreOptions;
    use super::super::outbox::Kept;
    use super::*;
    use crate::base::Timestamp;
    use serde_json::json;

    fn quiet() -> CoreOptions {
        CoreOptions { ping_interval_ms: 0, ..CoreOptions::default() }
    }

    #[test]
    fn the_server_is_told_what_came_and_what_is_read() {
        let mut scene = Scene::online(quiet(), &[("tea", 0), ("den", 0)]);
        for (name, seq) in [("tea", 1), ("den", 1), ("tea", 2)] {
            scene.hears(&message(name, seq, "bob"));
        }
        scene.input(CoreInput::MarkRead { room: room("tea"), seq: Some(1) });
        scene.input(CoreInput::MarkRead { room: room("tea"), seq: None });
        scene.passes(1_000);
        assert_eq!(scene.asked("chat:ack")["payload"], json!({"rooms": {"den": 1, "tea": 2}}));
        assert_eq!(
            scene.replies("chat:read", json!({"unread": 0})),
            json!({"room": "tea", "seq": 2})
        );
        scene.passes(5_000);
        assert!(!scene.is_asked("chat:ack") && !scene.is_asked("chat:read"));
    }

    #[test]
    fn a_room_has_the_title_that_was_told_last() {
        let mut scene = Scene::online(quiet(), &[]);
        scene.input(CoreInput::Join { room: room("tea"), call: None });
        scene.replies(
            "room:join",
            json!({"room": "tea", "title": "Tea", "head": 1, "read": 1, "unread": 0}),
        );
        let title = |scene: &Scene| scene.core.room(&room("tea")).map(|view| view.title);
        assert_eq!(title(&scene).as_deref(), Some("Tea"));
        let updated = json!({"room": "tea", "title": "Tea & talk", "open": true});
        scene.hears(&json!({"type": "room:updated", "payload": updated}));
        assert_eq!(title(&scene).as_deref(), Some("Tea & talk"));
    }

    #[test]
    fn a_room_that_the_user_was_added_to_or_left_is_known_as_that() {
        let mut scene = Scene::online(quiet(), &[]);
        scene.hears(&message("den", 5, "bob"));
        assert_eq!(scene.entries("den"), [5]);
        scene.replies("room:info", json!({"room": "den", "head": 5, "read": 3, "unread": 2}));
        scene.hears(
            &json!({"type": "room:removed", "payload": {"room": "den", "reason": "removed"}}),
        );
        let membership = Membership::Left;
        assert!(scene.told.contains(&ClientEvent::Membership { room: room("den"), membership }));
        scene.loses(1006);
        scene.passes(1_000);
        assert_eq!(scene.greets(&[], "e1"), json!({}));
        assert!(!scene.is_asked("room:join"));
    }

    #[test]
    fn a_room_that_was_refused_while_it_was_left_is_read_when_it_is_joined() {
        let mut scene = Scene::new(quiet());
        scene.input(CoreInput::Open);
        scene.greets(&[("tea", 5)], "e1");
        scene.loses(1006);
        scene.passes(1_000);
        scene.says_hello(&[("tea", 25)], "e1");
        scene.hears(
            &json!({"type": "room:removed", "payload": {"room": "tea", "reason": "removed"}}),
        );
        let refused = json!({"tea": {"code": "gone", "first": 22, "head": 25}});
        scene.replies("resume", json!({"rooms": {}, "refused": refused}));
        assert!(!scene.is_asked("chat:history"));
        scene.input(CoreInput::Join { room: room("tea"), call: None });
        scene.replies("room:join", json!({"room": "tea", "head": 25, "read": 0, "unread": 0}));
        assert_eq!(scene.asked("chat:history")["payload"]["after"], 25);
    }

    #[test]
    fn that_a_room_was_left_meanwhile_is_told() {
        let mut scene = Scene::new(quiet());
        scene.input(CoreInput::Join { room: room("tea"), call: None });
        scene.input(CoreInput::Open);
        scene.greets(&[("tea", 5)], "e1");
        scene.loses(1006);
        scene.passes(1_000);
        scene.says_hello(&[], "e1");
        scene.loses(1006);
        scene.passes(2_000);
        scene.told.clear();
        // The user's other client has joined again.
        assert_eq!(scene.greets(&[("tea", 9)], "e1"), json!({}));
        let membership = Membership::Member;
        assert!(scene.told.contains(&ClientEvent::Membership { room: room("tea"), membership }));
    }

    #[test]
    fn a_wanted_room_is_joined_with_each_connection_until_it_is_refused() {
        let mut scene = Scene::new(quiet());
        scene.input(CoreInput::Join { room: room("tea"), call: None });
        scene.input(CoreInput::Open);
        scene.greets(&[], "e1");
        scene.replies("room:join", json!({"room": "tea", "head": 9, "read": 0, "unread": 0}));
        scene.hears(&message("tea", 10, "bob"));
        assert_eq!(scene.entries("tea"), [10]);
        scene.loses(1006);
        scene.passes(1_000);
        scene.greets(&[], "e1");
        scene.refuses("room:join", json!({"code": "forbidden", "message": "banned"}));
        let ClientEvent::Membership { membership: Membership::Refused(error), .. } =
            scene.told.pop().unwrap()
        else {
            panic!()
        };
        assert_eq!(&*error.code, "forbidden");
        scene.loses(1006);
        scene.passes(2_000);
        scene.greets(&[], "e1");
        assert!(!scene.is_asked("room:join"));
    }

    #[test]
    fn that_the_client_ends_before_the_answer_is_no_refusal() {
        let mut scene = Scene::new(quiet());
        scene.input(CoreInput::Join { room: room("tea"), call: Some(1) });
        scene.input(CoreInput::Open);
        scene.input(CoreInput::Send(Kept {
            id: "m-1".into(),
            user: None,
            room: room("tea"),
            text: "x".into(),
            data: None,
            reply_to: None,
            at: Timestamp(0),
            failed: None,
        }));
        scene.input(CoreInput::Close);
        assert_eq!(&*scene.answers[&1].as_ref().unwrap_err().code, "closed");
        assert_eq!(scene.core.room(&room("tea")).unwrap().membership, Membership::Unknown);
        assert_eq!(scene.core.unsent().next().unwrap().failed, None);
        // The program wants it still.
        scene.input(CoreInput::Open);
        scene.greets(&[], "e1");
        scene.replies("room:join", json!({"room": "tea", "head": 0, "read": 0, "unread": 0}));
        assert_eq!(scene.core.room(&room("tea")).unwrap().membership, Membership::Member);
    }

    #[test]
    fn a_call_is_answered_also_where_there_is_no_connection_and_no_place() {
        let mut scene = Scene::online(quiet(), &[]);
        scene.input(CoreInput::Close);
        scene.input(CoreInput::Join { room: room("tea"), call: Some(1) });
        scene.input(CoreInput::Leave { room: room("tea"), call: 2 });
        for call in [1, 2] {
            assert_eq!(&*scene.answers[&call].as_ref().unwrap_err().code, "closed");
        }
        let mut scene = Scene::new(quiet());
        for number in 0..ROOMS_MAX {
            scene.core.rooms.insert(room(&format!("r{number}")), Default::default());
        }
        scene.input(CoreInput::Join { room: room("tea"), call: Some(3) });
        assert_eq!(&*scene.answers[&3].as_ref().unwrap_err().code, "overloaded");
    }

    #[test]
    fn who_types_is_told_once_and_forgotten_after_a_time() {
        let mut scene = Scene::online(quiet(), &[("tea", 0)]);
        scene.told.clear();
        for _ in 0..3 {
            scene.hears(&json!({"type": "chat:typing", "payload": {"room": "tea", "user": "bob"}}));
        }
        let of = |typing| ClientEvent::Typing {
            room: room("tea"),
            user: UserId::parse_any("bob").unwrap(),
            typing,
        };
        assert_eq!(scene.told, [of(true)]);
        scene.passes(6_000);
        assert_eq!(scene.told, [of(true), of(false)]);
        scene.input(CoreInput::Typing { room: room("tea"), typing: true });
        scene.input(CoreInput::Typing { room: room("tea"), typing: true });
        assert_eq!(scene.asked("chat:typing")["payload"]["typing"], true);
        assert!(!scene.is_asked("chat:typing"));
        scene.input(CoreInput::Typing { room: room("tea"), typing: false });
        assert_eq!(scene.asked("chat:typing")["payload"]["typing"], false);
    }
}
