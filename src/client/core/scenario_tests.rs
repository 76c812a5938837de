//! The scenarios that all clients play (`clients/scenarios`): what a server sends and when, and what a client must send
//! and tell.

use super::effect::{ClientEvent, CoreInput, StreamData, TokenFailure, WatchOptions};
use super::for_tests::{BEGIN_MS, Scene, room, stream};
use super::options::{CoreOptions, TokenSource};
use super::outbox::{Kept, TicketStatus};
use super::state::{Backoff, State};
use crate::base::{EntryKind, Timestamp};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/scenarios")
}

fn read(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Whether all that is in one is in the other.
fn has(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            part.iter().all(|(name, value)| whole.get(name).is_some_and(|inner| has(inner, value)))
        }
        _ => whole == part,
    }
}

/// An event in the words of the scenarios.
fn told(event: &ClientEvent) -> Value {
    match event {
        ClientEvent::State(state) => told_state(state),
        ClientEvent::Entry(entry) => {
            let mut told = json!({"event": "entry", "room": entry.room.as_str(), "seq": entry.seq});
            if let EntryKind::Message { from, body, .. } = &entry.kind {
                told["type"] = json!("message");
                told["from"] = json!(from.as_str());
                told["text"] = json!(&*body.text);
            }
            told
        }
        ClientEvent::Gap(gap) => json!({"event": "gap", "room": gap.room.as_str(),
            "after": gap.after, "before": gap.before, "reason": gap.reason}),
        ClientEvent::Membership { room, membership } => {
            json!({"event": "membership", "room": room.as_str(), "name": membership.name()})
        }
        ClientEvent::Typing { room, user, typing } => json!({"event": "typing",
            "room": room.as_str(), "user": user.as_str(), "typing": typing}),
        ClientEvent::Presence(people) => {
            let users = people.users.iter().map(|(user, name)| (user.to_string(), json!(&**name)));
            let users: Map<String, Value> = users.collect();
            json!({"event": "presence", "users": users, "count": people.count})
        }
        ClientEvent::Stream(update) => {
            let StreamData::Json(data) = &update.data else { panic!("no scenario has bytes") };
            let data: Value = serde_json::from_str(data).unwrap();
            json!({"event": "stream", "stream": update.stream.as_str(), "seq": update.seq,
                "data": data, "skipped": update.is_skipped})
        }
        ClientEvent::StreamGap { stream, after, reason } => json!({"event": "stream_gap",
            "stream": stream.as_str(), "after": after, "reason": reason}),
        ClientEvent::StreamRefused { stream, error } => {
            json!({"event": "stream_refused", "stream": stream.as_str(), "code": &*error.code})
        }
        ClientEvent::Error(error) => json!({"event": "error", "code": &*error.code}),
        ClientEvent::Push { kind, payload } => {
            let payload: Value = serde_json::from_str(payload).unwrap();
            json!({"event": "push", "type": &**kind, "payload": payload})
        }
        _ => json!({"event": "another"}),
    }
}

fn told_state(state: &State) -> Value {
    let mut told = json!({"event": "state", "name": state.name()});
    match state {
        State::Waiting { attempt, code, .. } => {
            told["attempt"] = json!(attempt);
            told["code"] = json!(code);
        }
        State::Failed { code, .. } => {
            let code = code.to_string();
            told["code"] = code.parse::<u16>().map_or(json!(code), |code| json!(code));
        }
        _ => {}
    }
    told
}

/// A client that plays a scenario.
struct Player {
    scene: Scene,
    hello: Value,
    ignores: Vec<String>,
    calls: BTreeMap<String, u64>,
    dialled: usize,
    last: Value,
}

impl Player {
    fn new(scenario: &Value) -> Player {
        let how = &scenario["options"];
        let attempts = how["attempts"].as_u64().map(|most| u32::try_from(most).unwrap());
        let has_jitter = how["jitter"] == true;
        let token = if how["token"] == "asked" { TokenSource::Asked } else { TokenSource::None };
        let options = CoreOptions {
            token,
            backoff: Backoff { has_jitter, attempts, ..Backoff::default() },
            ping_interval_ms: 0,
            ..CoreOptions::default()
        };
        let ignores = scenario["ignores"].as_array().cloned().unwrap_or_default();
        let mut ignores: Vec<String> =
            ignores.iter().map(|one| one.as_str().unwrap().to_owned()).collect();
        ignores.push("another".to_owned());
        let mut scene = Scene::new(options);
        scene.input(CoreInput::Open);
        Player {
            scene,
            hello: read(&folder().join("hello.json")),
            ignores,
            calls: BTreeMap::new(),
            dialled: 0,
            last: Value::Null,
        }
    }

    fn call(&mut self, name: &str) -> u64 {
        let number = self.calls.len() as u64 + 1;
        self.calls.insert(name.to_owned(), number);
        number
    }

    fn play(&mut self, kind: &str, value: &Value) {
        match kind {
            "dials" => {
                assert_eq!(self.scene.dials, self.dialled + 1, "no connection was asked for");
                self.dialled += 1;
            }
            "opens" => self.scene.input(CoreInput::Opened { serial: self.scene.serial }),
            "hello" => {
                let mut hello = self.hello.clone();
                for (name, member) in value.as_object().unwrap() {
                    hello[name] = member.clone();
                }
                self.scene.hears(&json!({"type": "hello", "payload": hello}));
            }
            "hears" => self.scene.hears(value),
            "sends" => {
                self.last = self.scene.sent.pop_front().unwrap_or_default();
                assert!(has(&self.last, value), "{} was sent", self.last);
            }
            "silent" => {
                assert!(self.scene.sent.is_empty(), "{:?} was sent", self.scene.sent);
                assert_eq!(self.scene.dials, self.dialled, "a connection was asked for");
            }
            "replies" => self.answers("reply", value),
            "refuses" => self.answers("error", value),
            "loses" => {
                let code = value.as_u64().map_or(1006, |code| u16::try_from(code).unwrap());
                self.scene.loses(code);
            }
            "passes" => self.scene.passes(value.as_u64().unwrap()),
            "told" => self.told(value.as_array().unwrap()),
            "ticket" => self.ticket(value),
            "answer" => {
                let call = self.calls[value["name"].as_str().unwrap()];
                let got = match &self.scene.answers[&call] {
                    Ok(payload) => json!({"name": value["name"], "payload": payload}),
                    Err(error) => json!({"name": value["name"], "code": &*error.code}),
                };
                assert!(has(&got, value), "{got}");
            }
            "asks_token" => {
                self.scene.passes(0);
                let asked = self.scene.asks_token.map(|(_, reason)| reason);
                assert_eq!(asked, value.as_str());
            }
            "does" => {
                let (kind, value) = only(value);
                self.does(kind, value);
            }
            _ => panic!("no step is called so"),
        }
    }

    fn answers(&mut self, kind: &str, payload: &Value) {
        self.scene.hears(&json!({"type": kind, "id": self.last["id"], "payload": payload}));
    }

    fn told(&mut self, wanted: &[Value]) {
        let all: Vec<Value> = std::mem::take(&mut self.scene.told).iter().map(told).collect();
        let is_ignored = |one: &&Value| self.ignores.iter().any(|kind| one["event"] == **kind);
        let all: Vec<&Value> = all.iter().filter(|one| !is_ignored(one)).collect();
        let are_those = all.len() == wanted.len()
            && all.iter().zip(wanted).all(|(one, wanted)| has(one, wanted));
        assert!(are_those, "{all:?} was told");
    }

    fn ticket(&self, wanted: &Value) {
        let id = wanted["id"].as_str().unwrap();
        let (_, status) = self.scene.tickets.iter().rev().find(|(of, _)| of == id).unwrap();
        let mut is = json!({"id": id, "status": status.name()});
        match status {
            TicketStatus::Acked { seq, .. } => is["seq"] = json!(seq),
            TicketStatus::Failed(error) => is["code"] = json!(&*error.code),
            _ => {}
        }
        assert!(has(&is, wanted), "{is}");
    }

    fn does(&mut self, kind: &str, value: &Value) {
        let text = |name: &str| value[name].as_str().unwrap();
        match kind {
            "send" => {
                let kept = Kept {
                    id: text("id").into(),
                    user: None,
                    room: room(text("room")),
                    text: text("text").into(),
                    data: value.get("data").map(|data| data.to_string().into()),
                    reply_to: value["reply_to"].as_u64(),
                    at: Timestamp(BEGIN_MS),
                    failed: None,
                };
                self.scene.input(CoreInput::Send(kept));
            }
            "cancel" => self.scene.input(CoreInput::Cancel(value.as_str().unwrap())),
            "retry" => self.scene.input(CoreInput::Retry(value.as_str().unwrap())),
            "token" => {
                let (serial, _) = self.scene.asks_token.take().unwrap();
                let given = Ok(value.as_str().map(Into::into));
                self.scene.input(CoreInput::Token { serial, given });
            }
            "no_token" => {
                let (serial, _) = self.scene.asks_token.take().unwrap();
                let message = value.as_str().unwrap().into();
                let given = Err(TokenFailure { message, is_final: true });
                self.scene.input(CoreInput::Token { serial, given });
            }
            "join" => {
                let name = value.as_str().unwrap();
                let call = Some(self.call(name));
                self.scene.input(CoreInput::Join { room: room(name), call });
            }
            "request" => {
                let call = self.call(text("name"));
                let (kind, payload) = (text("type").to_owned(), value["payload"].to_string());
                self.scene.input(CoreInput::Ask { call, kind, payload, timeout_ms: None });
            }
            "watch" => {
                let filter = value.get("filter").map(|filter| filter.to_string().into());
                let max_rate = value["max_rate"].as_u64().map(|most| u32::try_from(most).unwrap());
                let options = Some(WatchOptions { filter, max_rate });
                self.scene.input(CoreInput::Watch { stream: stream(text("stream")), options });
            }
            "watch_presence" => self.scene.input(CoreInput::WatchPresence),
            "mark_read" => {
                let (room, seq) = (room(text("room")), value["seq"].as_u64());
                self.scene.input(CoreInput::MarkRead { room, seq });
            }
            "retry_now" => self.scene.input(CoreInput::Open),
            _ => panic!("no client does this"),
        }
    }
}

/// The only member of an object.
fn only(object: &Value) -> (&str, &Value) {
    let (name, value) = object.as_object().unwrap().iter().next().unwrap();
    (name, value)
}

#[test]
fn all_scenarios_are_played() {
    let mut played = 0;
    for file in std::fs::read_dir(folder()).unwrap() {
        let path = file.unwrap().path();
        let is_scenario = path.extension().is_some_and(|kind| kind == "json");
        if !is_scenario || path.ends_with("hello.json") {
            continue;
        }
        let scenario = read(&path);
        let mut player = Player::new(&scenario);
        for (place, step) in scenario["steps"].as_array().unwrap().iter().enumerate() {
            // What fails says where.
            let name = path.file_stem().unwrap().display();
            println!("{name}, step {}: {step}", place + 1);
            let (kind, value) = only(step);
            player.play(kind, value);
        }
        // `clients/scenarios/table.py` reads this.
        println!("played: {}", path.file_stem().unwrap().display());
        played += 1;
    }
    assert!(played >= 27, "{played}");
}
