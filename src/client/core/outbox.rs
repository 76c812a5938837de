//! Messages that are sent and not known to be on the server's disk. Each has an id, the `cid` of the wire, so that
//! sending it again is harmless; and of each room one is under way at a time, which keeps their order.

use super::core::Core;
use super::deadlines::Timer;
use super::effect::CoreEffect;
use super::error::RequestError;
use super::requests::Question;
use crate::base::{Chance, RoomId, Timestamp, UserId};
use crate::wire::json::{Writer, object};
use crate::wire::told::ToldObject;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Messages older than this are not sent any more.
const AGE_MS_MAX: i64 = 48 * 3_600_000;
/// How many wait at most.
pub(super) const UNSENT_MAX: usize = 10_000;
const WAIT_MS_MIN: u64 = 1_000;
const WAIT_MS_MAX: u64 = 30_000;

/// A message, as it is kept until it is on the server's disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its id.
    pub id: Arc<str>,
    /// Who wrote it, once that is known.
    pub user: Option<UserId>,
    /// Where.
    pub room: RoomId,
    /// Its text.
    pub text: Box<str>,
    /// What goes with it; any JSON.
    pub data: Option<Box<str>>,
    /// The entry to which it replies.
    pub reply_to: Option<u64>,
    /// When it was written.
    pub at: Timestamp,
    /// Why it was refused.
    pub failed: Option<Box<str>>,
}

/// What has become of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TicketStatus {
    /// It waits.
    Queued,
    /// It may be on the server's disk.
    Sent,
    /// It is.
    Acked {
        /// The room.
        room: RoomId,
        /// Its number there.
        seq: u64,
        /// When it was stored.
        ts: Timestamp,
    },
    /// It was refused; it stays, and can be sent again.
    Failed(RequestError),
    /// It was too old; it stays, and can be sent again.
    Expired,
    /// It was taken back.
    Cancelled,
}

impl TicketStatus {
    /// The name that all clients have for it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            TicketStatus::Queued => "queued",
            TicketStatus::Sent => "sent",
            TicketStatus::Acked { .. } => "acked",
            TicketStatus::Failed(_) => "failed",
            TicketStatus::Expired => "expired",
            TicketStatus::Cancelled => "cancelled",
        }
    }

    /// Whether more will become of it by itself.
    #[must_use]
    pub const fn is_step(&self) -> bool {
        matches!(self, TicketStatus::Queued | TicketStatus::Sent)
    }
}

/// An id for a message that no other client of the same user has.
pub fn message_id(now: Timestamp, number: u64, chance: &mut Chance) -> Arc<str> {
    format!("{:x}-{number:x}-{}", now.0, chance.word(10)).into()
}

#[derive(Debug)]
struct Outgoing {
    kept: Kept,
    state: SendStage,
    /// It may be on the server's disk, whatever came back.
    was_sent: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SendStage {
    Queued,
    Sent,
    Failed,
}

/// What a room has.
#[derive(Debug, Default)]
struct UnsentRoom {
    /// In the order in which they go.
    ids: VecDeque<Arc<str>>,
    /// The one that was sent, until it is answered.
    under_way: Option<Arc<str>>,
    wait_ms: u64,
}

/// All messages that are not acknowledged.
#[derive(Debug, Default)]
pub(super) struct UnsentMessages {
    messages: BTreeMap<Arc<str>, Outgoing>,
    rooms: BTreeMap<RoomId, UnsentRoom>,
    /// Who is here, as far as it is known.
    user: Option<UserId>,
    /// Whoever is here leaves nothing behind.
    is_guest: bool,
}

impl UnsentMessages {
    pub(super) fn new(user: Option<UserId>) -> UnsentMessages {
        UnsentMessages { user, ..UnsentMessages::default() }
    }

    /// Whether it is of whoever is here.
    fn is_mine(&self, unsent: &Outgoing) -> bool {
        match (&unsent.kept.user, &self.user) {
            (Some(whose), Some(user)) => whose == user,
            (None, _) => true,
            (Some(_), None) => false,
        }
    }

    /// One is not under way any more.
    fn is_back(&mut self, room: &RoomId, id: &str) {
        if let Some(of_room) = self.rooms.get_mut(room)
            && of_room.under_way.as_deref() == Some(id)
        {
            of_room.under_way = None;
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }
}

impl Core {
    /// The messages that are not acknowledged, of whoever is here, room by room in their order.
    pub fn unsent(&self) -> impl Iterator<Item = &Kept> {
        let unsent = &self.unsent;
        let all = unsent.rooms.values().flat_map(|room| &room.ids);
        let all = all.filter_map(|id| unsent.messages.get(id));
        all.filter(|message| unsent.is_mine(message)).map(|message| &message.kept)
    }

    /// Whether it is among the messages that are not acknowledged.
    #[must_use]
    pub fn has_unsent(&self, id: &str) -> bool {
        self.unsent.messages.contains_key(id)
    }

    /// Whether it is one of them, and no other message of the same id.
    #[must_use]
    pub fn repeats(&self, kept: &Kept) -> bool {
        let known = self.unsent.messages.get(&kept.id).filter(|known| self.unsent.is_mine(known));
        known.is_some_and(|Outgoing { kept: known, .. }| {
            (&known.room, &known.text, &known.data, known.reply_to)
                == (&kept.room, &kept.text, &kept.data, kept.reply_to)
        })
    }

    /// An earlier process has left these.
    pub(super) fn left(&mut self, kept: Vec<Kept>) {
        for mut kept in kept {
            if self.unsent.messages.contains_key(&kept.id) || self.unsent.len() >= UNSENT_MAX {
                continue;
            }
            if kept.user.is_none() {
                kept.user.clone_from(&self.options.user);
                if kept.user.is_none() {
                    // It may be another's.
                    kept.failed.get_or_insert_with(|| "unconfirmed".into());
                }
            }
            let state = if kept.failed.is_some() { SendStage::Failed } else { SendStage::Queued };
            let (id, room) = (Arc::clone(&kept.id), kept.room.clone());
            let unsent = Outgoing { kept, state, was_sent: false };
            self.unsent.messages.insert(Arc::clone(&id), unsent);
            self.unsent.rooms.entry(room.clone()).or_default().ids.push_back(id);
            self.write_unsent(&room);
        }
    }

    /// The program sends a message.
    pub(super) fn send_message(&mut self, kept: Kept) {
        let (id, room) = (Arc::clone(&kept.id), kept.room.clone());
        if self.unsent.len() >= UNSENT_MAX || self.unsent.messages.contains_key(&id) {
            let code = if self.unsent.len() >= UNSENT_MAX { "outbox_full" } else { "conflict" };
            let status = TicketStatus::Failed(RequestError::own(code));
            return self.effects.push(CoreEffect::Ticket { id, status });
        }
        let user = kept.user.or_else(|| self.unsent.user.clone());
        let kept = Kept { user, at: self.now.timestamp, failed: None, ..kept };
        let unsent = Outgoing { kept, state: SendStage::Queued, was_sent: false };
        self.unsent.messages.insert(Arc::clone(&id), unsent);
        self.unsent.rooms.entry(room.clone()).or_default().ids.push_back(Arc::clone(&id));
        self.keep_message(&id);
        self.effects.push(CoreEffect::Ticket { id, status: TicketStatus::Queued });
        self.write_unsent(&room);
    }

    /// Takes one back, if it was not sent.
    pub(super) fn cancel_message(&mut self, id: &str) {
        if self.unsent.messages.get(id).is_some_and(|unsent| !unsent.was_sent) {
            self.end_message(id, TicketStatus::Cancelled);
        }
    }

    /// Sends one again that has failed.
    pub(super) fn retry_message(&mut self, id: &str) {
        let now = self.now.timestamp;
        let Some(unsent) = self.unsent.messages.get_mut(id) else { return };
        if unsent.state != SendStage::Failed {
            return;
        }
        unsent.state = SendStage::Queued;
        unsent.kept.failed = None;
        unsent.kept.at = now;
        let (id, room) = (Arc::clone(&unsent.kept.id), unsent.kept.room.clone());
        self.keep_message(&id);
        self.effects.push(CoreEffect::Ticket { id, status: TicketStatus::Queued });
        self.write_unsent(&room);
    }

    /// Somebody is here: what they wrote before that was known is theirs.
    pub(super) fn own_unsent(&mut self) {
        let owner = self.owner.clone().flatten();
        self.unsent.is_guest = owner.is_none();
        self.unsent.user.clone_from(&owner);
        let Some(owner) = owner else { return };
        let mut taken = Vec::new();
        for unsent in self.unsent.messages.values_mut() {
            if unsent.kept.user.is_none() && unsent.kept.failed.is_none() {
                unsent.kept.user = Some(owner.clone());
                taken.push(Arc::clone(&unsent.kept.id));
            }
        }
        for id in taken {
            self.keep_message(&id);
        }
    }

    pub(super) fn write_all_unsent(&mut self) {
        for room in self.unsent.rooms.keys().cloned().collect::<Vec<_>>() {
            self.write_unsent(&room);
        }
    }

    /// Sends the next of a room, if none is under way.
    pub(super) fn write_unsent(&mut self, room: &RoomId) {
        if self.deadlines.is_set(&Timer::Unsent(room.clone())) {
            return;
        }
        let now = self.now.timestamp;
        loop {
            let unsent = &self.unsent;
            let Some(of_room) = unsent.rooms.get(room).filter(|one| one.under_way.is_none()) else {
                return;
            };
            let queued = of_room.ids.iter().filter_map(|id| unsent.messages.get(id));
            let mut queued =
                queued.filter(|one| one.state == SendStage::Queued && unsent.is_mine(one));
            let Some(next) = queued.next() else { return };
            let id = Arc::clone(&next.kept.id);
            if now.0.saturating_sub(next.kept.at.0) > AGE_MS_MAX {
                self.fail_message(&id, RequestError::own("expired"));
                continue;
            }
            if !self.link.state.is_online() {
                return;
            }
            let payload = self.payload_of(&next.kept);
            if let Some(of_room) = self.unsent.rooms.get_mut(room) {
                of_room.under_way = Some(Arc::clone(&id));
            }
            if let Some(unsent) = self.unsent.messages.get_mut(&id) {
                (unsent.state, unsent.was_sent) = (SendStage::Sent, true);
            }
            let ticket = CoreEffect::Ticket { id: Arc::clone(&id), status: TicketStatus::Sent };
            self.effects.push(ticket);
            return self.ask_for("chat:send", payload, Question::Send(id));
        }
    }

    fn payload_of(&self, kept: &Kept) -> String {
        object(|w| {
            match self.other_of(&kept.room) {
                // A conversation is made by its first message.
                Some(other) => w.text("to", other),
                None => w.text("room", kept.room.as_str()),
            }
            w.text("text", &kept.text);
            w.if_some("data", kept.data.as_deref(), Writer::raw);
            w.text("cid", &kept.id);
            w.if_some("reply_to", kept.reply_to, Writer::number);
        })
    }

    /// The other one of a direct conversation.
    fn other_of<'a>(&self, room: &'a RoomId) -> Option<&'a str> {
        let (one, other) = room.as_str().strip_prefix("dm:")?.split_once(':')?;
        let user = self.unsent.user.as_ref().map(UserId::as_str);
        Some(if user == Some(one) { other } else { one })
    }

    /// The server has answered a `chat:send`, or the connection is gone.
    pub(super) fn message_answered(&mut self, id: &str, answer: Result<&str, RequestError>) {
        // Its entry may have come before.
        let Some(unsent) = self.unsent.messages.get_mut(id) else { return };
        let room = unsent.kept.room.clone();
        self.unsent.is_back(&room, id);
        let Some(unsent) = self.unsent.messages.get_mut(id) else { return };
        match answer {
            Ok(raw) => {
                let payload = ToldObject::parse(raw).unwrap_or_default();
                let ts = Timestamp(payload.integer("ts").unwrap_or_default());
                let seq = payload.number("seq").unwrap_or_default();
                self.acknowledge_message(id, &room, seq, ts);
            }
            Err(error) => {
                let is_over = error.is_end() || &*error.code == "disconnected";
                if !is_over && !error.is_passing() {
                    self.fail_message(id, error);
                    // Not from here: one after the other may be too large for a server that takes little.
                    return self.deadlines.set(Timer::Unsent(room), self.now.moment);
                } else {
                    unsent.state = SendStage::Queued;
                    let (id, status) = (Arc::clone(&unsent.kept.id), TicketStatus::Queued);
                    self.effects.push(CoreEffect::Ticket { id, status });
                    if !is_over {
                        let retry_after_ms = error.retry_after_ms;
                        return self.wait_with(&room, retry_after_ms);
                    }
                }
            }
        }
        self.write_unsent(&room);
    }

    fn wait_with(&mut self, room: &RoomId, retry_after_ms: Option<u64>) {
        let Some(of_room) = self.unsent.rooms.get_mut(room) else { return };
        let wait = of_room.wait_ms.clamp(WAIT_MS_MIN, WAIT_MS_MAX);
        of_room.wait_ms = wait * 2;
        let wait = wait.max(retry_after_ms.unwrap_or_default());
        self.deadlines.set(Timer::Unsent(room.clone()), self.now.moment.plus_millis(wait));
    }

    /// The user's own message was pushed: it is on the disk, whatever became of the answer.
    pub(super) fn message_shown(&mut self, id: &str, room: &RoomId, seq: u64, ts: Timestamp) {
        let is_it = |unsent: &Outgoing| unsent.kept.room == *room && self.unsent.is_mine(unsent);
        if self.unsent.messages.get(id).is_some_and(is_it) {
            self.unsent.is_back(room, id);
            self.acknowledge_message(id, room, seq, ts);
            self.write_unsent(room);
        }
    }

    fn acknowledge_message(&mut self, id: &str, room: &RoomId, seq: u64, ts: Timestamp) {
        if let Some(of_room) = self.unsent.rooms.get_mut(room) {
            of_room.wait_ms = WAIT_MS_MIN;
        }
        self.deadlines.clear(&Timer::Unsent(room.clone()));
        self.end_message(id, TicketStatus::Acked { room: room.clone(), seq, ts });
    }

    /// The user may not write there any more.
    pub(super) fn refuse_unsent(&mut self, room: &RoomId, error: &RequestError) {
        let Some(of_room) = self.unsent.rooms.get(room) else { return };
        for id in of_room.ids.iter().cloned().collect::<Vec<_>>() {
            let unsent = self.unsent.messages.get(&id);
            let is_it = |one: &Outgoing| one.state == SendStage::Queued && self.unsent.is_mine(one);
            if unsent.is_some_and(is_it) {
                self.fail_message(&id, error.clone());
            }
        }
    }

    fn fail_message(&mut self, id: &str, error: RequestError) {
        let Some(unsent) = self.unsent.messages.get_mut(id) else { return };
        // The server has looked at it and refused it, or it was never sent.
        unsent.was_sent = false;
        unsent.state = SendStage::Failed;
        unsent.kept.failed = Some(error.code.clone());
        let id = Arc::clone(&unsent.kept.id);
        self.keep_message(&id);
        let is_expired = &*error.code == "expired";
        let status = if is_expired { TicketStatus::Expired } else { TicketStatus::Failed(error) };
        self.effects.push(CoreEffect::Ticket { id, status });
    }

    /// It is none of ours any more.
    fn end_message(&mut self, id: &str, status: TicketStatus) {
        let Some(unsent) = self.unsent.messages.remove(id) else { return };
        let id = unsent.kept.id;
        if let Some(of_room) = self.unsent.rooms.get_mut(&unsent.kept.room) {
            // As a rule it is the first.
            if of_room.ids.front() == Some(&id) {
                of_room.ids.pop_front();
            } else {
                of_room.ids.retain(|one| *one != id);
            }
            if of_room.ids.is_empty() {
                self.unsent.rooms.remove(&unsent.kept.room);
            }
        }
        self.effects.push(CoreEffect::Forget(Arc::clone(&id)));
        self.effects.push(CoreEffect::Ticket { id, status });
    }

    fn keep_message(&mut self, id: &str) {
        // A guest's messages end with the program: no later user may find them as their own.
        if let Some(unsent) = self.unsent.messages.get(id).filter(|_| !self.unsent.is_guest) {
            self.effects.push(CoreEffect::Keep(unsent.kept.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::effect::CoreInput;
    use super::super::for_tests::{Scene, message, room};
    use super::super::options::CoreOptions;
    use super::*;
    use serde_json::json;

    fn quiet() -> CoreOptions {
        CoreOptions { ping_interval_ms: 0, ..CoreOptions::default() }
    }

    fn kept(id: &str, to: &str) -> Kept {
        Kept {
            id: id.into(),
            user: None,
            room: room(to),
            text: format!("text of {id}").into(),
            data: None,
            reply_to: None,
            at: Timestamp(0),
            failed: None,
        }
    }

    fn status(scene: &Scene, id: &str) -> TicketStatus {
        scene.tickets.iter().rev().find(|(of, _)| of == id).unwrap().1.clone()
    }

    #[test]
    fn of_a_room_one_is_under_way_and_each_is_acknowledged() {
        let mut scene = Scene::online(quiet(), &[("tea", 0), ("den", 0)]);
        for (id, to) in [("a", "tea"), ("b", "tea"), ("c", "den")] {
            scene.input(CoreInput::Send(kept(id, to)));
        }
        assert_eq!(status(&scene, "b"), TicketStatus::Queued);
        assert_eq!((scene.kept.len(), scene.core.unsent().count()), (3, 3));
        let asked = scene.replies("chat:send", json!({"room": "tea", "seq": 1, "ts": 5}));
        assert_eq!(asked, json!({"room": "tea", "text": "text of a", "cid": "a"}));
        let (room, ts) = (room("tea"), Timestamp(5));
        assert_eq!(status(&scene, "a"), TicketStatus::Acked { room, seq: 1, ts });
        assert_eq!(scene.asked("chat:send")["payload"]["cid"], "c");
        assert_eq!(scene.asked("chat:send")["payload"]["cid"], "b");
        assert_eq!(scene.kept.keys().collect::<Vec<_>>(), ["b", "c"]);
    }

    #[test]
    fn what_is_not_acknowledged_goes_again_with_its_id_and_in_its_order() {
        let mut scene = Scene::online(quiet(), &[("tea", 0)]);
        for id in ["a", "b", "c"] {
            scene.input(CoreInput::Send(kept(id, "tea")));
        }
        scene.replies("chat:send", json!({"room": "tea", "seq": 1, "ts": 5}));
        scene.loses(1006);
        assert_eq!(status(&scene, "b"), TicketStatus::Queued);
        scene.passes(1_000);
        scene.greets(&[("tea", 2)], "e1");
        for (seq, id) in [(2, "b"), (3, "c")] {
            let answer = json!({"room": "tea", "seq": seq, "ts": 5, "duplicate": seq == 2});
            assert_eq!(scene.replies("chat:send", answer)["cid"], id);
        }
        assert!(matches!(status(&scene, "b"), TicketStatus::Acked { seq: 2, .. }));
        assert_eq!((scene.core.unsent().count(), scene.kept.len()), (0, 0));
    }

    #[test]
    fn a_message_that_is_shown_is_acknowledged_without_its_answer() {
        let mut scene = Scene::online(quiet(), &[("tea", 0)]);
        scene.input(CoreInput::Send(kept("a", "tea")));
        let mut own = message("tea", 1, "ada");
        own["payload"]["cid"] = json!("a");
        scene.hears(&own);
        assert!(matches!(status(&scene, "a"), TicketStatus::Acked { seq: 1, .. }));
        // Of somebody else it is another message.
        scene.input(CoreInput::Send(kept("b", "tea")));
        let mut other = message("tea", 2, "bob");
        other["payload"]["cid"] = json!("b");
        scene.hears(&other);
        assert_eq!(status(&scene, "b"), TicketStatus::Sent);
    }

    #[test]
    fn a_refusal_that_passes_is_waited_for_and_another_is_told() {
        let mut scene = Scene::online(quiet(), &[("tea", 0)]);
        for id in ["a", "b"] {
            scene.input(CoreInput::Send(kept(id, "tea")));
        }
        for wait in [1_000, 2_000, 4_000] {
            scene.refuses("chat:send", json!({"code": "unavailable", "message": ""}));
            scene.passes(wait - 1);
            assert!(!scene.is_asked("chat:send"));
            scene.passes(1);
        }
        scene.refuses("chat:send", json!({"code": "forbidden", "message": "no"}));
        let TicketStatus::Failed(error) = status(&scene, "a") else { panic!() };
        assert_eq!((&*error.code, &*error.message), ("forbidden", "no"));
        assert_eq!(scene.kept["a"].failed.as_deref(), Some("forbidden"));
        scene.passes(0);
        assert_eq!(scene.asked("chat:send")["payload"]["cid"], "b");
        scene.input(CoreInput::Retry("a"));
        assert_eq!((status(&scene, "a"), &scene.kept["a"].failed), (TicketStatus::Queued, &None));
    }

    #[test]
    fn one_can_be_taken_back_until_it_was_sent() {
        let mut scene = Scene::online(quiet(), &[("tea", 0)]);
        for id in ["a", "b"] {
            scene.input(CoreInput::Send(kept(id, "tea")));
            scene.input(CoreInput::Cancel(id));
        }
        assert_eq!(status(&scene, "a"), TicketStatus::Sent);
        assert_eq!(status(&scene, "b"), TicketStatus::Cancelled);
        assert_eq!(scene.kept.keys().collect::<Vec<_>>(), ["a"]);
    }

    #[test]
    fn after_48_hours_it_is_too_old_but_not_before() {
        let mut scene = Scene::new(quiet());
        scene.input(CoreInput::Send(kept("a", "tea")));
        scene.input(CoreInput::Open);
        scene.input(CoreInput::Pause("test"));
        scene.passes(48 * 3_600_000);
        scene.input(CoreInput::Send(kept("b", "tea")));
        scene.passes(1);
        scene.input(CoreInput::Open);
        scene.greets(&[("tea", 0)], "e1");
        assert_eq!(status(&scene, "a"), TicketStatus::Expired);
        assert_eq!(scene.asked("chat:send")["payload"]["cid"], "b");
    }

    #[test]
    fn what_another_has_left_is_neither_sent_nor_seen_by_this_user() {
        let mut scene = Scene::new(quiet());
        let of =
            |id: &str, user: &str| Kept { user: UserId::parse_any(user).ok(), ..kept(id, "tea") };
        let at = Timestamp(1_800_000_000_000);
        let left = vec![of("a", "ada"), of("b", "bob"), kept("c", "tea")];
        let left = left.into_iter().map(|kept| Kept { at, ..kept }).collect();
        scene.input(CoreInput::Left(left));
        scene.input(CoreInput::Open);
        scene.greets(&[("tea", 0)], "e1");
        assert_eq!(
            scene.replies("chat:send", json!({"room": "tea", "seq": 1, "ts": 5}))["cid"],
            "a"
        );
        assert!(!scene.is_asked("chat:send"));
        // The one of which nobody knows whose it is waits for the program's word.
        let ids: Vec<&str> = scene.core.unsent().map(|kept| &*kept.id).collect();
        assert_eq!(ids, ["c"]);
        scene.input(CoreInput::Retry("c"));
        assert_eq!(scene.asked("chat:send")["payload"]["cid"], "c");
    }

    #[test]
    fn a_message_that_names_its_writer_waits_for_them_though_another_is_here() {
        let mut scene = Scene::online(quiet(), &[("tea", 0)]);
        let bob = UserId::parse_any("bob").ok();
        scene.input(CoreInput::Send(Kept { user: bob, ..kept("a", "tea") }));
        assert!(!scene.is_asked("chat:send"));
        assert_eq!(status(&scene, "a"), TicketStatus::Queued);
        assert_eq!(scene.core.unsent().count(), 0);
        assert!(scene.core.has_unsent("a"));
        let ada = UserId::parse_any("ada").ok();
        scene.input(CoreInput::Send(Kept { user: ada, ..kept("b", "tea") }));
        assert_eq!(scene.asked("chat:send")["payload"]["cid"], "b");
    }

    #[test]
    fn the_first_message_to_somebody_makes_the_conversation() {
        let mut scene = Scene::online(quiet(), &[]);
        scene.input(CoreInput::Send(kept("a", "dm:ada:bob")));
        let payload = scene.asked("chat:send")["payload"].clone();
        assert_eq!(payload, json!({"to": "bob", "text": "text of a", "cid": "a"}));
    }

    #[test]
    fn there_is_a_most() {
        let mut scene = Scene::new(quiet());
        for number in 0..=UNSENT_MAX {
            scene.input(CoreInput::Send(kept(&format!("m{number}"), "tea")));
        }
        let TicketStatus::Failed(error) = status(&scene, "m10000") else { panic!() };
        assert_eq!((&*error.code, scene.core.unsent().count()), ("outbox_full", UNSENT_MAX));
        let TicketStatus::Queued = status(&scene, "m9999") else { panic!() };
    }

    #[test]
    fn a_server_that_takes_less_than_any_of_very_many_refuses_them_one_by_one() {
        const MANY: usize = 2_000;
        let mut scene = Scene::new(quiet());
        scene.input(CoreInput::Open);
        for number in 0..MANY {
            let text = "x".repeat(500).into();
            let kept = Kept { text, ..kept(&format!("m{number}"), "tea") };
            scene.input(CoreInput::Send(kept));
        }
        let serial = scene.serial;
        scene.input(CoreInput::Opened { serial });
        scene.hears(&json!({"type": "hello", "payload": {"epoch": "e1", "user": {"id": "ada"},
            "limits": {"message_bytes": 300}, "rooms": []}}));
        scene.replies("resume", json!({"rooms": {}, "refused": {}}));
        scene.passes(0);
        let is_failed =
            |(_, status): &&(String, TicketStatus)| matches!(status, TicketStatus::Failed(_));
        assert_eq!(scene.tickets.iter().filter(is_failed).count(), MANY);
    }

    #[test]
    fn ids_differ_and_are_ids() {
        let mut chance = Chance::new(1);
        let one = message_id(Timestamp(1_800_000_000_000), 1, &mut chance);
        assert_ne!(one, message_id(Timestamp(1_800_000_000_000), 1, &mut chance));
        assert!(one.len() <= 64 && one.is_ascii());
    }
}
