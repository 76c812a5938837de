//! Requests on their way: numbered, as fast as the server's limits allow, answered or given up. When the
//! connection ends, those that were sent are `disconnected`; the others wait for the next one.

use super::core::Core;
use super::deadlines::Timer;
use super::effect::CoreEffect;
use super::error::RequestError;
use crate::base::{Moment, RoomId, StreamId};
use crate::wire::json::object;
use crate::wire::told::ToldObject;
use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// How many requests wait at most.
pub(super) const WAITING_MAX: usize = 1_000;
/// How many wait for their answers at most.
const SENT_MAX: usize = 10_000;
/// How often a request that the server had no time for is repeated.
const LIMITED_MAX: u32 = 8;
/// A little below what the server allows: its bucket and ours do not fill at the same moment.
const PACE: f64 = 0.9;
const BURST_SPARE: f64 = 2.0;
/// Slower than this no server is asked.
const PER_SECOND_MIN: f64 = 0.2;
const PUMP_MS_MIN: u64 = 5;
/// How long nothing is asked after `rate_limited`, if the server does not say it.
const LIMITED_MS: u64 = 1_000;

/// Who waits for the answer.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Question {
    /// Whether the server is there.
    Ping,
    /// How long a round trip takes.
    Measure,
    /// The next page of the rooms, before it is online.
    Page,
    /// Where these rooms go on, before it is online.
    Resume(Vec<RoomId>),
    /// The token is another one.
    Auth(Arc<str>),
    /// Membership of a room; the program's call, if it asked.
    Join(RoomId, Option<u64>),
    /// What a room is like.
    Info(RoomId),
    /// That a message is on the disk.
    Send(Arc<str>),
    /// What is missing of a room.
    Missing(RoomId),
    /// How many are unread.
    Read(RoomId),
    /// Who is online, by the number of the list.
    Presence(u64),
    /// A stream.
    Subscribe(StreamId),
    /// A stream no more.
    Unsubscribe(StreamId),
    /// The program, by the number of its call.
    Call(u64),
}

impl Question {
    /// Whether the next connection asks anew.
    fn is_of_connection(&self) -> bool {
        use Question::{Auth, Measure, Ping, Presence, Subscribe, Unsubscribe};
        matches!(self, Ping | Measure | Auth(_) | Presence(_) | Subscribe(_) | Unsubscribe(_))
    }
}

/// How a request is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Urgency {
    /// Behind those that wait.
    #[default]
    Last,
    /// Before them.
    First,
    /// Before it is online; on this connection or never.
    Now,
}

#[derive(Debug)]
struct Asked {
    serial: u64,
    kind: Cow<'static, str>,
    payload: String,
    question: Question,
    limited: u32,
}

/// The requests of a client.
#[derive(Debug, Default)]
pub(super) struct Requests {
    queue: VecDeque<Asked>,
    sent: BTreeMap<u64, Asked>,
    last_id: u64,
    last_serial: u64,
    /// Whether the client is online.
    is_open: bool,
    per_second: f64,
    burst: f64,
    bytes_max: u64,
    tokens: f64,
    filled_at: Moment,
    paused_until: Moment,
}

impl Requests {
    fn fill(&mut self, now: Moment) {
        let elapsed = now.millis_since(self.filled_at) as f64 / 1_000.0;
        self.tokens = (self.tokens + elapsed * self.per_second).min(self.burst);
        self.filled_at = now;
    }

    /// A connection has said hello; its limits hold from now on.
    pub(super) fn begin(&mut self, limits: &BTreeMap<Box<str>, u64>, now: Moment) {
        let limit = |name: &str, default: u64| limits.get(name).copied().unwrap_or(default) as f64;
        self.per_second = (limit("requests_per_second", 10) * PACE).max(PER_SECOND_MIN);
        self.burst = (limit("burst", 30) - BURST_SPARE).max(1.0);
        self.tokens = self.burst;
        self.bytes_max = limits.get("message_bytes").copied().unwrap_or(u64::MAX);
        self.filled_at = now;
        self.paused_until = Moment::ZERO;
    }

    /// How long two requests take at least, in ms.
    pub(super) fn ms_of_two(&self) -> u64 {
        (2_000.0 / self.per_second).ceil() as u64
    }

    fn take(&mut self, serial: u64) -> Option<Asked> {
        if let Some(place) = self.queue.iter().position(|asked| asked.serial == serial) {
            return self.queue.remove(place);
        }
        let id = *self.sent.iter().find(|(_, asked)| asked.serial == serial)?.0;
        self.sent.remove(&id)
    }
}

/// A message without an answer.
fn message(kind: &str, id: Option<u64>, payload: &str) -> String {
    object(|w| {
        w.text("type", kind);
        w.if_some("id", id, crate::wire::json::Writer::number);
        w.raw("payload", payload);
    })
}

impl Core {
    /// Asks the server; the answer comes to `answered`. `timeout_ms` is how long it is waited for.
    pub(super) fn ask(
        &mut self,
        kind: impl Into<Cow<'static, str>>,
        payload: String,
        question: Question,
        (urgency, timeout_ms): (Urgency, u64),
    ) {
        if self.requests.queue.len() >= WAITING_MAX {
            return self.answered(question, Err(RequestError::own("overloaded")));
        }
        let requests = &mut self.requests;
        requests.last_serial += 1;
        let serial = requests.last_serial;
        let asked = Asked { serial, kind: kind.into(), payload, question, limited: 0 };
        self.deadlines.set(Timer::Late(serial), self.now.moment.plus_millis(timeout_ms));
        match urgency {
            Urgency::Now => return self.send_request(asked),
            Urgency::First => self.requests.queue.push_front(asked),
            Urgency::Last => self.requests.queue.push_back(asked),
        }
        self.pump();
    }

    /// Asks in the usual way.
    pub(super) fn ask_for(&mut self, kind: &'static str, payload: String, question: Question) {
        self.ask(kind, payload, question, (Urgency::Last, self.options.timeout_ms));
    }

    /// Says something that is worth nothing later: now or never; whether it was sent.
    pub(super) fn say(&mut self, kind: &str, payload: &str) -> bool {
        let now = self.now.moment;
        let requests = &mut self.requests;
        requests.fill(now);
        let text = message(kind, None, payload);
        let may = requests.is_open
            && requests.queue.is_empty()
            && requests.tokens >= 1.0
            && requests.paused_until <= now
            && text.len() as u64 <= requests.bytes_max;
        if may {
            requests.tokens -= 1.0;
            self.send_text(text);
        }
        may
    }

    /// Sends what waits, as far as the rate allows.
    pub(super) fn pump(&mut self) {
        let now = self.now.moment;
        self.deadlines.clear(&Timer::Pump);
        self.requests.fill(now);
        loop {
            let requests = &mut self.requests;
            if !requests.is_open || requests.sent.len() >= SENT_MAX {
                return;
            }
            if requests.tokens < 1.0 || requests.paused_until > now {
                break;
            }
            let Some(asked) = requests.queue.pop_front() else { return };
            self.send_request(asked);
        }
        let requests = &self.requests;
        if !requests.queue.is_empty() {
            let refill = (1.0 - requests.tokens).max(0.0) / requests.per_second * 1_000.0;
            let at = now.plus_millis((refill.ceil() as u64).max(PUMP_MS_MIN));
            self.deadlines.set(Timer::Pump, at.max(requests.paused_until));
        }
    }

    fn send_request(&mut self, asked: Asked) {
        let requests = &mut self.requests;
        requests.last_id += 1;
        let id = requests.last_id;
        let text = message(&asked.kind, Some(id), &asked.payload);
        if text.len() as u64 > requests.bytes_max {
            // The server would end the connection over it, and again at every repeat.
            self.deadlines.clear(&Timer::Late(asked.serial));
            let mut error = RequestError::own("too_large");
            error.limit = Some(self.requests.bytes_max);
            return self.answered(asked.question, Err(error));
        }
        requests.tokens -= 1.0;
        requests.sent.insert(id, asked);
        self.send_text(text);
    }

    pub(super) fn send_text(&mut self, text: String) {
        self.effects.push(CoreEffect::Send { serial: self.link.serial, text });
    }

    /// It is online: what has waited goes.
    pub(super) fn release_requests(&mut self) {
        self.requests.is_open = true;
        self.pump();
    }

    /// The connection is gone: nothing that was asked on it is answered any more.
    pub(super) fn pause_requests(&mut self) {
        let requests = &mut self.requests;
        requests.is_open = false;
        self.deadlines.clear(&Timer::Pump);
        let mut over: Vec<Asked> = std::mem::take(&mut requests.sent).into_values().collect();
        let queue = std::mem::take(&mut requests.queue);
        for asked in queue {
            match asked.question.is_of_connection() {
                true => over.push(asked),
                false => requests.queue.push_back(asked),
            }
        }
        for asked in over {
            self.deadlines.clear(&Timer::Late(asked.serial));
            self.answered(asked.question, Err(RequestError::own("disconnected")));
        }
    }

    /// None will come, or none of these is for who is there now.
    pub(super) fn end_requests(&mut self, code: &'static str) {
        for asked in std::mem::take(&mut self.requests.queue) {
            self.deadlines.clear(&Timer::Late(asked.serial));
            self.answered(asked.question, Err(RequestError::own(code)));
        }
    }

    /// No answer came in time.
    pub(super) fn late(&mut self, serial: u64) {
        if let Some(asked) = self.requests.take(serial) {
            self.answered(asked.question, Err(RequestError::own("timeout")));
            self.pump();
        }
    }

    /// The program does not want the answer any more.
    pub(super) fn cancel_call(&mut self, call: u64) {
        let is_it = |asked: &&Asked| asked.question == Question::Call(call);
        let requests = &self.requests;
        let found = requests.queue.iter().find(is_it);
        let found = found.or_else(|| requests.sent.values().find(is_it));
        if let Some(serial) = found.map(|asked| asked.serial) {
            self.deadlines.clear(&Timer::Late(serial));
            self.requests.take(serial);
            self.answered(Question::Call(call), Err(RequestError::own("cancelled")));
        }
    }

    /// A `reply` or an `error` came.
    pub(super) fn settle(&mut self, is_error: bool, id: Option<u64>, payload: &str) {
        let refusal = if is_error {
            let members = ToldObject::parse(payload).unwrap_or_default();
            Some(RequestError::read(&members))
        } else {
            None
        };
        let is_limited = refusal
            .as_ref()
            .is_some_and(|error| &*error.code == "rate_limited" && !error.is_by_application);
        if let Some(error) = refusal.as_ref().filter(|_| is_limited) {
            let wait = error.retry_after_ms.unwrap_or(LIMITED_MS);
            let until = self.now.moment.plus_millis(wait);
            self.requests.paused_until = self.requests.paused_until.max(until);
        }
        let Some(mut asked) = id.and_then(|id| self.requests.sent.remove(&id)) else { return };
        if is_limited && self.requests.is_open && asked.limited < LIMITED_MAX {
            // The server has not looked at it: it goes before later ones.
            asked.limited += 1;
            self.requests.queue.push_front(asked);
            return self.pump();
        }
        self.deadlines.clear(&Timer::Late(asked.serial));
        self.answered(asked.question, refusal.map_or(Ok(payload), Err));
        self.pump();
    }
}

#[cfg(test)]
mod tests {
    use super::super::effect::CoreInput;
    use super::super::for_tests::{Scene, stream};
    use super::super::options::CoreOptions;
    use super::*;
    use serde_json::json;

    fn quiet() -> CoreOptions {
        CoreOptions { ping_interval_ms: 0, ..CoreOptions::default() }
    }

    fn ask(scene: &mut Scene, call: u64) {
        let payload = object(|w| w.number("n", call));
        scene.input(CoreInput::Ask { call, kind: "x:y".into(), payload, timeout_ms: None });
    }

    fn code(scene: &Scene, call: u64) -> Option<&str> {
        scene.answers.get(&call)?.as_ref().err().map(|error| &*error.code)
    }

    #[test]
    fn requests_are_paced_as_the_server_says_and_go_in_order() {
        let mut scene = Scene::online(quiet(), &[]);
        scene.sent.clear();
        (1..=200).for_each(|call| ask(&mut scene, call));
        let burst = scene.sent.len();
        assert!((50..=58).contains(&burst), "{burst}");
        scene.passes(1_000);
        let second = scene.sent.len() - burst;
        assert!((17..=19).contains(&second), "{second}");
        scene.passes(10_000);
        let order: Vec<u64> =
            scene.sent.iter().map(|one| one["payload"]["n"].as_u64().unwrap()).collect();
        assert_eq!(order, (1..=200).collect::<Vec<u64>>());
    }

    #[test]
    fn measurements_leave_half_of_the_rate_to_who_asks_something() {
        let options = CoreOptions { ping_interval_ms: 10, ..CoreOptions::default() };
        let mut scene = Scene::online(options, &[]);
        let mut answered = Vec::new();
        let mut pass = |scene: &mut Scene, times: usize| {
            for _ in 0..times {
                scene.passes(10);
                while let Some(next) = scene.sent.front() {
                    let kind = next["type"].as_str().unwrap().to_owned();
                    scene.replies(&kind, json!({}));
                    answered.push(kind);
                }
            }
        };
        pass(&mut scene, 1_000);
        (1..=3).for_each(|call| ask(&mut scene, call));
        pass(&mut scene, 50);
        let count = |kind: &str| answered.iter().filter(|one| *one == kind).count();
        assert_eq!((count("x:y"), count("ping") > 80), (3, true));
    }

    #[test]
    fn what_the_server_had_no_time_for_goes_again_before_the_rest() {
        let mut scene = Scene::online(quiet(), &[]);
        ask(&mut scene, 1);
        scene.refuses("x:y", json!({"code": "rate_limited", "message": "", "retry_after_ms": 500}));
        ask(&mut scene, 2);
        assert!(!scene.is_asked("x:y"));
        scene.passes(500);
        assert_eq!(scene.replies("x:y", json!({"n": "one"})), json!({"n": 1}));
        assert_eq!(scene.replies("x:y", json!({})), json!({"n": 2}));
        assert_eq!(scene.answers[&1], Ok(json!({"n": "one"})));
        // What an application calls so is its own.
        ask(&mut scene, 3);
        scene.refuses("x:y", json!({"code": "rate_limited", "message": "", "by": "handler"}));
        assert_eq!(code(&scene, 3), Some("rate_limited"));
    }

    #[test]
    fn what_was_sent_ends_with_its_connection_and_the_rest_waits_for_the_next() {
        let mut scene = Scene::online(quiet(), &[]);
        ask(&mut scene, 1);
        scene.loses(1006);
        ask(&mut scene, 2);
        assert_eq!((code(&scene, 1), code(&scene, 2)), (Some("disconnected"), None));
        scene.passes(1_000);
        scene.greets(&[], "e1");
        scene.replies("x:y", json!({}));
        assert_eq!(scene.answers[&2], Ok(json!({})));
    }

    #[test]
    fn what_is_about_a_connection_does_not_wait_for_the_next() {
        let mut scene = Scene::online(quiet(), &[]);
        (1..=100).for_each(|call| ask(&mut scene, call));
        scene.input(CoreInput::WatchPresence);
        let stream = stream("depth");
        scene.input(CoreInput::Watch { stream: stream.clone(), options: Some(Default::default()) });
        scene.loses(1006);
        scene.input(CoreInput::Watch { stream, options: None });
        scene.passes(1_000);
        scene.greets(&[], "e1");
        scene.passes(10_000);
        let count = |kind: &str| scene.sent.iter().filter(|one| one["type"] == kind).count();
        assert_eq!((count("presence:list"), count("subscribe")), (1, 0));
    }

    #[test]
    fn an_answer_has_its_time_and_a_program_its_change_of_mind() {
        let mut scene = Scene::online(quiet(), &[]);
        ask(&mut scene, 1);
        ask(&mut scene, 2);
        scene.input(CoreInput::CancelAsked(2));
        assert_eq!(code(&scene, 2), Some("cancelled"));
        scene.passes(20_000);
        assert_eq!(code(&scene, 1), Some("timeout"));
        // An answer that comes too late is nobody's.
        scene.replies("x:y", json!({}));
        scene.input(CoreInput::Close);
        ask(&mut scene, 3);
        assert_eq!(code(&scene, 3), Some("closed"));
    }

    #[test]
    fn too_many_and_too_large_ones_are_refused_here() {
        let mut scene = Scene::new(quiet());
        scene.input(CoreInput::Open);
        (1..=1_001).for_each(|call| ask(&mut scene, call));
        assert_eq!((code(&scene, 1_000), code(&scene, 1_001)), (None, Some("overloaded")));
        let mut scene = Scene::online(quiet(), &[]);
        let payload = object(|w| w.text("text", &"x".repeat(70_000)));
        scene.input(CoreInput::Ask { call: 1, kind: "x:y".into(), payload, timeout_ms: None });
        assert_eq!(code(&scene, 1), Some("too_large"));
        let kind = "chat:typing";
        let payload = object(|w| w.text("room", &"x".repeat(70_000)));
        scene.input(CoreInput::Say { kind, payload: &payload });
        assert!(!scene.is_asked(kind));
    }
}
