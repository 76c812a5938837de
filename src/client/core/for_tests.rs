//! For tests: a core, its clock and its server's words.

use super::core::Core;
use super::effect::{ClientEvent, CoreEffect, CoreInput};
use super::error::RequestError;
use super::options::CoreOptions;
use super::outbox::{Kept, TicketStatus};
use crate::base::{Moment, Now, RoomId, StreamId, Timestamp};
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};

/// When the tests begin.
pub(super) const BEGIN_MS: i64 = 1_800_000_000_000;

/// A core, what it has wanted, and the time.
pub(super) struct Scene {
    pub(super) core: Core,
    pub(super) ms: u64,
    /// What it has sent and nobody has looked at.
    pub(super) sent: VecDeque<Value>,
    pub(super) told: Vec<ClientEvent>,
    pub(super) tickets: Vec<(String, TicketStatus)>,
    pub(super) answers: BTreeMap<u64, Result<Value, RequestError>>,
    pub(super) kept: BTreeMap<String, Kept>,
    /// Of the newest connection.
    pub(super) serial: u64,
    pub(super) dials: usize,
    /// The number of the question for a token that is not answered.
    pub(super) asks_token: Option<(u64, &'static str)>,
}

pub(super) fn room(name: &str) -> RoomId {
    RoomId::parse(name).unwrap()
}

pub(super) fn stream(name: &str) -> StreamId {
    StreamId::parse(name).unwrap()
}

/// An entry of a room, as it is pushed.
pub(super) fn message(room: &str, seq: u64, from: &str) -> Value {
    let text = format!("text {seq}");
    json!({"type": "chat:message", "payload":
        {"room": room, "seq": seq, "from": from, "text": text, "ts": BEGIN_MS + seq as i64}})
}

impl Scene {
    pub(super) fn new(options: CoreOptions) -> Scene {
        Scene {
            core: Core::new(options, 7),
            ms: 1_000,
            sent: VecDeque::new(),
            told: Vec::new(),
            tickets: Vec::new(),
            answers: BTreeMap::new(),
            kept: BTreeMap::new(),
            serial: 0,
            dials: 0,
            asks_token: None,
        }
    }

    /// One that is online as `ada`, a member of these rooms with these heads.
    pub(super) fn online(options: CoreOptions, rooms: &[(&str, u64)]) -> Scene {
        let mut scene = Scene::new(options);
        scene.input(CoreInput::Open);
        scene.greets(rooms, "e1");
        scene
    }

    pub(super) fn input(&mut self, input: CoreInput<'_>) {
        let timestamp = Timestamp(BEGIN_MS + self.ms as i64);
        let now = Now { moment: Moment::from_millis(self.ms), timestamp, age_by: timestamp };
        let mut effects = Vec::new();
        self.core.handle(now, input, &mut effects);
        for effect in effects {
            match effect {
                CoreEffect::AskToken { serial, reason } => {
                    self.asks_token = Some((serial, reason.as_str()));
                }
                CoreEffect::Dial { serial, .. } => {
                    self.serial = serial;
                    self.dials += 1;
                }
                CoreEffect::Send { serial, text } => {
                    assert_eq!(serial, self.serial);
                    self.sent.push_back(serde_json::from_str(&text).unwrap());
                }
                CoreEffect::Drop { .. } => self.sent.clear(),
                CoreEffect::Tell(told) => self.told.push(told),
                CoreEffect::Answer { call, answer } => {
                    let answer = answer.map(|raw| serde_json::from_str(&raw).unwrap());
                    assert_eq!(self.answers.insert(call, answer), None);
                }
                CoreEffect::Ticket { id, status } => self.tickets.push((id.to_string(), status)),
                CoreEffect::Keep(kept) => {
                    self.kept.insert(kept.id.to_string(), kept);
                }
                CoreEffect::Forget(id) => {
                    self.kept.remove(&*id);
                }
            }
        }
    }

    /// Lets time pass; what is due is done when it is.
    pub(super) fn passes(&mut self, ms: u64) {
        let end = Moment::from_millis(self.ms + ms);
        while self.core.deadline() <= end {
            let due = self.core.deadline().as_millis();
            self.ms = self.ms.max(due);
            self.input(CoreInput::Time);
        }
        self.ms = end.as_millis();
    }

    pub(super) fn hears(&mut self, message: &Value) {
        let (serial, text) = (self.serial, message.to_string());
        self.input(CoreInput::Text { serial, text: &text });
    }

    /// The connection ends.
    pub(super) fn loses(&mut self, code: u16) {
        let serial = self.serial;
        let (code, reason) = (Some(code).filter(|code| *code != 1006), "");
        self.input(CoreInput::Lost { serial, code, reason, retry_after_ms: None });
    }

    /// The next request of a type; those before it go unanswered.
    pub(super) fn asked(&mut self, kind: &str) -> Value {
        while let Some(message) = self.sent.pop_front() {
            if message["type"] == kind {
                return message;
            }
        }
        panic!("no {kind} was sent");
    }

    pub(super) fn is_asked(&self, kind: &str) -> bool {
        self.sent.iter().any(|message| message["type"] == kind)
    }

    /// Answers the next request of a type; returns what it said.
    pub(super) fn replies(&mut self, kind: &str, payload: Value) -> Value {
        let asked = self.asked(kind);
        self.hears(&json!({"type": "reply", "id": asked["id"], "payload": payload}));
        asked["payload"].clone()
    }

    pub(super) fn refuses(&mut self, kind: &str, payload: Value) -> Value {
        let asked = self.asked(kind);
        self.hears(&json!({"type": "error", "id": asked["id"], "payload": payload}));
        asked["payload"].clone()
    }

    /// Opens the connection that was asked for, up to `hello`.
    pub(super) fn says_hello(&mut self, rooms: &[(&str, u64)], epoch: &str) {
        let serial = self.serial;
        self.input(CoreInput::Opened { serial });
        let rooms = rooms
            .iter()
            .map(|(name, head)| json!({"room": name, "head": head, "read": 0, "unread": 0}));
        let rooms: Vec<Value> = rooms.collect();
        self.hears(&json!({"type": "hello", "payload": {
            "server": "parlor/0", "connection": "c1", "epoch": epoch, "ts": BEGIN_MS,
            "user": {"id": "ada", "name": "Ada", "admin": false, "anonymous": false},
            "heartbeat_ms": 25_000, "durability": "disk", "rooms": rooms, "invites": [],
            "limits": {"requests_per_second": 20, "burst": 60, "message_bytes": 65_536, "page": 200},
        }}));
    }

    /// Opens the connection that was asked for, up to being online; returns the positions that were named.
    pub(super) fn greets(&mut self, rooms: &[(&str, u64)], epoch: &str) -> Value {
        self.says_hello(rooms, epoch);
        let asked = self.asked("resume");
        let named = asked["payload"]["rooms"].as_object().unwrap();
        let going_on = named.iter().map(|(name, from)| {
            let head = rooms.iter().find(|(room, _)| room == name).map_or(0, |(_, head)| *head);
            (name.clone(), json!({"from": from, "head": head}))
        });
        let going_on: serde_json::Map<String, Value> = going_on.collect();
        let payload = json!({"rooms": going_on, "refused": {}});
        self.hears(&json!({"type": "reply", "id": asked["id"], "payload": payload}));
        assert!(self.core.state().is_online());
        asked["payload"]["rooms"].clone()
    }

    /// The numbers of the entries of a room that the program was told, since this was asked last.
    pub(super) fn entries(&mut self, room: &str) -> Vec<u64> {
        let told = std::mem::take(&mut self.told);
        let entries = told.into_iter().filter_map(|told| match told {
            ClientEvent::Entry(entry) if entry.room.as_str() == room => Some(entry.seq),
            _ => None,
        });
        entries.collect()
    }

    /// The states that the program was told, since this was asked last.
    pub(super) fn states(&mut self) -> Vec<&'static str> {
        let told = std::mem::take(&mut self.told);
        let states = told.iter().filter_map(|told| match told {
            ClientEvent::State(state) => Some(state.name()),
            _ => None,
        });
        states.collect()
    }
}
