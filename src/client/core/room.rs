//! A room: a log of entries, each handed on once, in order, without a hole.
//!
//! Entries come by themselves while the connection stands. What is missing is read from the log before anything newer is
//! handed on; and if the program takes nothing, the room stops where it is, and is read on from there later.

use super::core::Core;
use super::deadlines::Timer;
use super::effect::{ClientEvent, CoreEffect, Gap, Mark, Membership};
use super::error::RequestError;
use super::greeting::ROOMS_MAX;
use super::requests::Question;
use crate::base::{EntryKind, Moment, RoomId, UserId};
use crate::wire::entry::read;
use crate::wire::json::object;
use crate::wire::told::{ToldMessage, ToldObject, items};
use std::collections::BTreeSet;

const RETRY_MS: u64 = 1_000;
/// How many entries are asked for at once, unless the server allows fewer.
const PAGE: u64 = 200;

/// A room, as far as the client knows it.
#[derive(Debug, Default)]
pub(super) struct RoomLog {
    pub(super) membership: Membership,
    pub(super) title: Box<str>,
    /// The newest entry that was handed on, or the head when the user came.
    pub(super) last: u64,
    /// The user's own mark.
    pub(super) read: u64,
    pub(super) unread: u64,
    /// Up to where entries are known to be there.
    pub(super) head: u64,
    /// Up to where `unread` counts.
    pub(super) counted: u64,
    /// A `resume` names it: it is one of the user's, of this epoch.
    pub(super) is_followed: bool,
    pub(super) is_wanted: bool,
    /// Where the program wants to begin, until it is known whether the user is a member.
    pub(super) from: Option<u64>,
    /// A page of it is asked for.
    is_reading: bool,
    /// The server has refused to go on with it: nothing of it comes before it is read.
    pub(super) is_cold: bool,
    /// What the program has not been told yet.
    pub(super) gap: Option<Gap>,
    /// Of the newest `hello`.
    pub(super) is_listed: bool,
    pub(super) listed_head: u64,
    pub(super) is_new_epoch: bool,
    pub(super) typists: BTreeSet<UserId>,
    pub(super) typed_at: Option<Moment>,
}

/// What a client knows of a room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RoomView {
    /// What the user is in it.
    pub membership: Membership,
    /// Its title, for people; empty if it has none, or none is known.
    pub title: Box<str>,
    /// The newest entry that the program was told, or where the room began for it.
    pub last: u64,
    /// How far the user has read.
    pub read: u64,
    /// How many messages of others are behind that.
    pub unread: u64,
    /// Who types.
    pub typists: BTreeSet<UserId>,
}

impl RoomLog {
    /// The user is in it no more: it begins anew if they come again.
    pub(super) fn stop_following(&mut self) {
        (self.is_followed, self.is_cold, self.gap) = (false, false, None);
    }

    pub(super) fn view(&self) -> RoomView {
        RoomView {
            membership: self.membership.clone(),
            title: self.title.clone(),
            last: self.last,
            read: self.read,
            unread: self.unread,
            typists: self.typists.clone(),
        }
    }
}

impl Core {
    /// A push that may be about a room; whether all about it is told.
    pub(super) fn room_told(&mut self, kind: &str, payload: &ToldObject<'_>, raw: &str) -> bool {
        let Some(name) = payload.room() else { return false };
        if let Some(seq) = payload.number("seq")
            && payload.raw("ts").is_some()
        {
            self.arrives(&name, seq, kind, raw);
            return true;
        }
        let mark = || {
            let (user, seq) = (payload.user("user")?, payload.number("seq")?);
            Some(Mark { room: name.clone(), user, seq })
        };
        match kind {
            "chat:typing" => {
                if let Some(user) = payload.user("user") {
                    self.typed(&name, &user, payload.raw("typing") != Some("false"));
                }
                true
            }
            "chat:read" => {
                if let Some(mark) = mark() {
                    if self.is_me(&mark.user) {
                        self.has_read(&name, mark.seq);
                    }
                    self.tell_or_leave_out(ClientEvent::Read(mark));
                }
                true
            }
            "chat:delivered" => {
                if let Some(mark) = mark() {
                    self.tell_or_leave_out(ClientEvent::Delivered(mark));
                }
                true
            }
            "room:removed" => {
                self.removed(&name, payload.text("reason").as_deref() == Some("left"));
                false
            }
            "room:updated" => {
                if let (Some(title), Some(room)) =
                    (payload.text("title"), self.rooms.get_mut(&name))
                {
                    room.title = title.into();
                }
                false
            }
            "room:invited" => {
                if self.rooms.contains_key(&name) {
                    self.miss_room(&name);
                }
                false
            }
            _ => false,
        }
    }

    fn is_me(&self, user: &UserId) -> bool {
        self.hello.as_ref().is_some_and(|hello| hello.user == *user)
    }

    /// A room of which something was heard.
    pub(super) fn known_room(&mut self, name: &RoomId) -> Option<&mut RoomLog> {
        if self.rooms.len() >= ROOMS_MAX && !self.rooms.contains_key(name) {
            return None;
        }
        let is_online = self.link.state.is_online();
        Some(self.rooms.entry(name.clone()).or_insert_with(|| RoomLog {
            // `hello` has named all rooms of the user.
            membership: if is_online { Membership::None } else { Membership::Unknown },
            ..RoomLog::default()
        }))
    }

    // --- Entries ---

    /// An entry was pushed.
    fn arrives(&mut self, name: &RoomId, seq: u64, kind: &str, raw: &str) {
        let Some(room) = self.known_room(name) else { return };
        if !room.is_followed {
            // Another client of the user's has joined, or somebody has added them: the rest is asked for.
            let is_joining = room.membership == Membership::Joining;
            room.is_followed = true;
            room.head = seq.saturating_sub(1);
            room.counted = room.head;
            room.last = room.from.take().unwrap_or(room.head).min(room.head);
            self.become_in(name, Membership::Member);
            if !is_joining {
                let payload = object(|w| w.text("room", name.as_str()));
                self.ask_for("room:info", payload, Question::Info(name.clone()));
            }
        }
        let Some(room) = self.rooms.get_mut(name) else { return };
        if seq <= room.last {
            return;
        }
        if self.stopped.contains(name) {
            room.head = room.head.max(seq);
        } else if seq == room.last + 1 && !room.is_reading && self.credit > 0 {
            self.take_entry(name, seq, kind, raw);
        } else {
            self.is_behind(name, seq);
        }
    }

    /// The log goes up to here, and what is missing up to there is read.
    pub(super) fn is_behind(&mut self, name: &RoomId, head: u64) {
        if let Some(room) = self.rooms.get_mut(name) {
            room.head = room.head.max(head);
            self.goes_on(name);
        }
    }

    /// Reads what is missing of a room, if the program takes it.
    pub(super) fn goes_on(&mut self, name: &RoomId) {
        let Some(room) = self.rooms.get_mut(name) else { return };
        if let Some(gap) = room.gap.take() {
            self.tell_gap(gap);
        }
        let Some(room) = self.rooms.get_mut(name) else { return };
        let is_whole = room.last >= room.head && room.gap.is_none() && !room.is_cold;
        if !room.is_followed || room.is_reading || is_whole {
            return;
        }
        if self.credit == 0 || room.gap.is_some() {
            self.stopped.insert(name.clone());
        } else {
            self.read_missing(name);
        }
    }

    fn read_missing(&mut self, name: &RoomId) {
        let limits = self.hello.as_ref().map(|hello| &hello.limits);
        let page =
            limits.and_then(|limits| limits.get("page")).map_or(PAGE, |page| PAGE.min(*page));
        let limit = page.min(u64::from(self.credit)).max(1);
        let Some(room) = self.rooms.get_mut(name) else { return };
        if room.is_reading || !room.is_followed {
            return;
        }
        room.is_reading = true;
        let after = room.last;
        let payload = object(|w| {
            w.text("room", name.as_str());
            w.number("after", after);
            w.number("limit", limit);
        });
        self.ask_for("chat:history", payload, Question::Missing(name.clone()));
    }

    /// A page of what was missing came.
    pub(super) fn missing_read(&mut self, name: &RoomId, answer: Result<&str, RequestError>) {
        let Some(room) = self.rooms.get_mut(name) else { return };
        room.is_reading = false;
        match answer {
            Ok(raw) => {
                let page = ToldObject::parse(raw).unwrap_or_default();
                room.is_cold = false;
                let head = page.number("head").unwrap_or_default();
                room.head = room.head.max(head);
                let entries = page.raw("entries").map(items).unwrap_or_default();
                if entries.is_empty() {
                    room.last = room.last.max(head);
                    room.head = room.head.max(room.last);
                }
                for entry in entries {
                    let Some(entry) = ToldMessage::parse(entry) else { continue };
                    let payload = ToldObject::parse(entry.payload).unwrap_or_default();
                    let seq = payload.number("seq").unwrap_or_default();
                    let last = self.rooms.get(name).map_or(u64::MAX, |room| room.last);
                    if seq > last && !self.take_entry(name, seq, &entry.kind, entry.payload) {
                        break;
                    }
                }
                self.goes_on(name);
            }
            Err(error) if &*error.code == "gone" => {
                let before = error.first.unwrap_or(room.head + 1).max(room.last + 1);
                let after = std::mem::replace(&mut room.last, before - 1);
                // It may have been asked before the room began anew.
                if after + 1 < before {
                    self.tell_gap(Gap { room: name.clone(), after, before, reason: "gone" });
                }
                self.goes_on(name);
            }
            // The next connection asks again: a `resume` names the room.
            Err(error) if error.is_end() || &*error.code == "disconnected" => {}
            // The store may still refuse the end of a membership. Otherwise `room:removed` comes, and nothing is asked.
            Err(error) if error.is_passing() || &*error.code == "not_member" => {
                let wait = error.retry_after_ms.unwrap_or(RETRY_MS).max(RETRY_MS);
                let at = self.now.moment.plus_millis(wait);
                self.deadlines.set(Timer::Missing(name.clone()), at);
            }
            Err(error) => self.tell_or_leave_out(ClientEvent::Error(error)),
        }
    }

    /// Hands an entry on; whether the program had room for it.
    fn take_entry(&mut self, name: &RoomId, seq: u64, kind: &str, raw: &str) -> bool {
        if self.credit == 0 {
            self.stopped.insert(name.clone());
            return false;
        }
        // Whatever else is told by it.
        self.credit -= 1;
        let entry = ToldObject::parse(raw).and_then(|payload| read(kind, &payload));
        let Some(room) = self.rooms.get_mut(name) else { return false };
        room.last = seq;
        room.head = room.head.max(seq);
        let Some(entry) = entry else {
            // Of a kind that this client does not know: it counts as seen.
            self.seen(name);
            let push = ClientEvent::Push { kind: kind.into(), payload: raw.into() };
            self.effects.push(CoreEffect::Tell(push));
            return true;
        };
        match &entry.kind {
            EntryKind::Message { from, cid, changes, .. } => {
                let from = from.clone();
                self.typed(name, &from, false);
                let is_deleted = changes.as_ref().is_some_and(|changes| changes.deleted.is_some());
                let is_mine = self.is_me(&from);
                if is_mine && let Some(cid) = cid {
                    let cid = std::sync::Arc::clone(cid);
                    self.message_shown(&cid, name, seq, entry.ts);
                }
                if let Some(room) = self.rooms.get_mut(name) {
                    if is_mine {
                        room.read = seq;
                        room.unread = 0;
                    } else if !is_deleted && seq > room.counted {
                        room.unread += 1;
                    }
                }
            }
            EntryKind::Left { user, .. } => {
                let user = user.clone();
                self.typed(name, &user, false);
            }
            _ => {}
        }
        self.seen(name);
        self.effects.push(CoreEffect::Tell(ClientEvent::Entry(entry)));
        true
    }

    /// Tells the program of a gap, or keeps it until it takes something; then the room stops there. One that was kept
    /// goes into it: there is one gap, wherever it ends.
    pub(super) fn tell_gap(&mut self, mut gap: Gap) {
        let Some(room) = self.rooms.get_mut(&gap.room) else { return };
        if let Some(earlier) = room.gap.take() {
            gap.after = earlier.after;
        }
        if self.credit > 0 {
            self.tell(ClientEvent::Gap(gap));
        } else {
            self.stopped.insert(gap.room.clone());
            room.gap = Some(gap);
        }
    }

    /// The program wants what is behind an entry.
    pub(super) fn goes_on_from(&mut self, name: &RoomId, seq: u64) {
        let Some(room) = self.known_room(name) else { return };
        if room.is_followed {
            room.head = room.head.max(room.last);
            room.last = seq.min(room.head);
            self.goes_on(name);
        } else {
            room.from = Some(seq);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::effect::CoreInput;
    use super::super::for_tests::{Scene, message, room};
    use super::super::options::CoreOptions;
    use super::*;
    use serde_json::{Value, json};

    fn with_queue(queue: u32) -> CoreOptions {
        CoreOptions { ping_interval_ms: 0, queue, ..CoreOptions::default() }
    }

    fn page(seqs: std::ops::RangeInclusive<u64>, head: u64) -> Value {
        let entries: Vec<Value> = seqs.map(|seq| message("tea", seq, "bob")).collect();
        json!({"entries": entries, "head": head, "more": true})
    }

    #[test]
    fn entries_come_once_in_order_and_without_a_hole() {
        let mut scene = Scene::online(with_queue(100), &[("tea", 3)]);
        for seq in [4, 4, 2, 5, 8] {
            scene.hears(&message("tea", seq, "bob"));
        }
        assert_eq!(scene.entries("tea"), [4, 5]);
        scene.hears(&message("tea", 9, "bob"));
        let asked = scene.replies("chat:history", page(6..=8, 8));
        assert_eq!((&asked["room"], &asked["after"]), (&json!("tea"), &json!(5)));
        assert_eq!(scene.entries("tea"), [6, 7, 8]);
        // What came meanwhile.
        let asked = scene.replies("chat:history", page(9..=9, 9));
        assert_eq!(asked["after"], 8);
        scene.hears(&message("tea", 10, "bob"));
        assert_eq!(scene.entries("tea"), [9, 10]);
    }

    #[test]
    fn after_a_loss_it_goes_on_where_it_was() {
        let mut scene = Scene::online(with_queue(100), &[("tea", 3), ("den", 7)]);
        scene.hears(&message("tea", 4, "bob"));
        scene.loses(1006);
        scene.passes(1_000);
        assert_eq!(scene.greets(&[("tea", 6), ("den", 7)], "e1"), json!({"tea": 4}));
        for seq in [5, 6] {
            scene.hears(&message("tea", seq, "bob"));
        }
        assert_eq!(scene.entries("tea"), [4, 5, 6]);
    }

    #[test]
    fn where_the_log_does_not_reach_back_there_is_one_gap() {
        let mut scene = Scene::online(with_queue(100), &[("tea", 3)]);
        scene.loses(1006);
        scene.passes(1_000);
        scene.says_hello(&[("tea", 90)], "e1");
        let refused =
            json!({"rooms": {}, "refused": {"tea": {"code": "gone", "first": 50, "head": 90}}});
        scene.replies("resume", refused);
        scene.told.clear();
        scene.refuses("chat:history", json!({"code": "gone", "message": "", "first": 50}));
        let gap = Gap { room: room("tea"), after: 3, before: 50, reason: "gone" };
        assert_eq!(scene.told.pop(), Some(ClientEvent::Gap(gap)));
        scene.replies("chat:history", page(50..=90, 90));
        assert_eq!(scene.entries("tea"), (50..=90).collect::<Vec<u64>>());
    }

    #[test]
    fn a_room_that_is_refused_is_read_before_anything_of_it_can_come() {
        let mut scene = Scene::online(with_queue(100), &[("tea", 3)]);
        scene.loses(1006);
        scene.passes(1_000);
        scene.says_hello(&[("tea", 4)], "e1");
        scene.replies("resume", json!({"rooms": {}, "refused": {"tea": {"code": "conflict"}}}));
        scene.refuses("chat:history", json!({"code": "unavailable", "message": ""}));
        scene.passes(1_000);
        // Another client of the user's leaves, which the store then refuses: the room is theirs still.
        scene.refuses("chat:history", json!({"code": "not_member", "message": ""}));
        scene.passes(1_000);
        assert_eq!(scene.replies("chat:history", page(4..=4, 4))["after"], 3);
        scene.hears(&message("tea", 5, "bob"));
        assert_eq!(scene.entries("tea"), [4, 5]);
    }

    #[test]
    fn in_a_new_life_of_the_store_all_positions_are_void() {
        let mut scene = Scene::online(with_queue(100), &[("tea", 30)]);
        scene.loses(1006);
        scene.passes(1_000);
        assert_eq!(scene.greets(&[("tea", 2)], "e2"), json!({}));
        let gap = Gap { room: room("tea"), after: 30, before: 3, reason: "epoch_changed" };
        assert!(scene.told.contains(&ClientEvent::Gap(gap)));
        scene.hears(&message("tea", 3, "bob"));
        assert_eq!(scene.entries("tea"), [3]);
    }

    #[test]
    fn for_a_program_that_takes_nothing_it_stops_and_goes_on_later() {
        let mut scene = Scene::online(with_queue(10), &[("tea", 0)]);
        let told = scene.told.len() as u32;
        scene.input(CoreInput::Taken(told));
        scene.told.clear();
        for seq in 1..=15 {
            scene.hears(&message("tea", seq, "bob"));
        }
        assert_eq!(scene.entries("tea"), (1..=10).collect::<Vec<u64>>());
        scene.input(CoreInput::Taken(4));
        assert!(!scene.is_asked("chat:history"));
        scene.input(CoreInput::Taken(1));
        assert_eq!(
            scene.replies("chat:history", page(11..=15, 15)),
            json!({"room": "tea", "after": 10, "limit": 5})
        );
        assert_eq!(scene.entries("tea"), (11..=15).collect::<Vec<u64>>());
        // It has no room, but it is whole: the next is asked for.
        scene.hears(&message("tea", 16, "bob"));
        scene.loses(1006);
        scene.passes(1_000);
        // It would be sent to nobody.
        assert_eq!(scene.greets(&[("tea", 20)], "e1"), json!({}));
        scene.input(CoreInput::Taken(10));
        assert_eq!(scene.asked("chat:history")["payload"]["after"], 15);
        let states: Vec<&str> = scene.states();
        assert_eq!(states.last(), Some(&"online"));
    }

    #[test]
    fn a_gap_is_told_before_what_is_behind_it_however_late() {
        let mut scene = Scene::online(with_queue(10), &[("tea", 30)]);
        for seq in 31..=60 {
            scene.hears(&message("tea", seq, "bob"));
        }
        scene.loses(1006);
        scene.passes(1_000);
        scene.greets(&[("tea", 2)], "e2");
        scene.hears(&message("tea", 3, "bob"));
        let before = scene.told.len();
        scene.input(CoreInput::Taken(10));
        scene.replies("chat:history", page(3..=3, 3));
        let told: Vec<String> = scene.told[before..]
            .iter()
            .map(|told| match told {
                ClientEvent::Gap(gap) => format!("gap {} {}", gap.after, gap.before),
                ClientEvent::Entry(entry) => format!("entry {}", entry.seq),
                _ => String::new(),
            })
            .filter(|told| !told.is_empty())
            .collect();
        let last = scene.told[..before]
            .iter()
            .filter(|told| matches!(told, ClientEvent::Entry(_)))
            .count();
        assert_eq!(told, [format!("gap {} 3", 30 + last), "entry 3".to_owned()]);
    }

    #[test]
    fn nothing_is_read_behind_a_gap_that_was_not_told() {
        let mut scene = Scene::online(with_queue(10), &[("tea", 3)]);
        let gone =
            json!({"rooms": {}, "refused": {"tea": {"code": "gone", "first": 50, "head": 90}}});
        scene.loses(1006);
        scene.passes(1_000);
        scene.says_hello(&[("tea", 90)], "e1");
        scene.input(CoreInput::Taken(10));
        scene.replies("resume", gone.clone());
        let later = json!({"code": "unavailable", "message": "", "retry_after_ms": 8_000});
        scene.refuses("chat:history", later);
        scene.loses(1006);
        scene.passes(2_000);
        scene.says_hello(&[("tea", 90)], "e1");
        scene.input(CoreInput::Taken(10));
        scene.replies("resume", gone);
        for _ in 0..10 {
            scene.hears(&json!({"type": "app:note", "payload": {}}));
        }
        scene.refuses("chat:history", json!({"code": "gone", "message": "", "first": 50}));
        scene.passes(8_000);
        assert!(!scene.is_asked("chat:history"));
        scene.told.clear();
        scene.input(CoreInput::Taken(10));
        let gap = Gap { room: room("tea"), after: 3, before: 50, reason: "gone" };
        assert!(scene.told.contains(&ClientEvent::Gap(gap)), "{:?}", scene.told);
        assert_eq!(scene.asked("chat:history")["payload"]["after"], 49);
    }

    #[test]
    fn a_program_can_begin_behind_an_entry() {
        let mut scene = Scene::new(with_queue(100));
        scene.input(CoreInput::From { room: room("tea"), seq: 4 });
        scene.input(CoreInput::From { room: room("den"), seq: 900 });
        scene.input(CoreInput::Open);
        assert_eq!(scene.greets(&[("tea", 6), ("den", 7)], "e1"), json!({"tea": 4}));
        scene.hears(&message("tea", 5, "bob"));
        scene.hears(&message("den", 8, "bob"));
        scene.hears(&message("tea", 6, "bob"));
        assert_eq!(scene.entries("tea"), [5, 6]);
        scene.input(CoreInput::From { room: room("tea"), seq: 5 });
        scene.replies("chat:history", page(6..=6, 6));
        assert_eq!(scene.entries("tea"), [6]);
    }

    #[test]
    fn another_user_finds_nothing_of_the_one_before() {
        let mut scene = Scene::online(with_queue(100), &[("tea", 3)]);
        scene.input(CoreInput::Ask {
            call: 1,
            kind: "x:y".into(),
            payload: "{}".into(),
            timeout_ms: None,
        });
        scene.loses(4101);
        scene.input(CoreInput::Ask {
            call: 2,
            kind: "x:y".into(),
            payload: "{}".into(),
            timeout_ms: None,
        });
        scene.passes(1_000);
        let serial = scene.serial;
        scene.input(CoreInput::Opened { serial });
        scene.hears(&json!({"type": "hello", "payload": {"epoch": "e1", "user": {"id": "bob"},
            "rooms": [{"room": "tea", "head": 5, "read": 5, "unread": 0}]}}));
        assert_eq!(
            scene.replies("resume", json!({"rooms": {}, "refused": {}}))["rooms"],
            json!({})
        );
        assert_eq!(&*scene.answers[&2].as_ref().unwrap_err().code, "cancelled");
        assert!(scene.entries("tea").is_empty());
    }
}
