//! One connection at a time, for as long as the program wants one: opens it, says who this is, checks its silence, and
//! comes back after a loss as the close code asks. It knows nothing of rooms.

use super::core::Core;
use super::deadlines::Timer;
use super::effect::{ClientEvent, CoreEffect, TokenFailure};
use super::error::{ANNOUNCED_MS_MAX, RequestError};
use super::options::TokenSource;
use super::requests::{Question, Urgency};
use super::state::{FailCode, Level, Quality, State, Step, TokenReason, Verdict, verdict};
use crate::base::{Moment, RoomId, StreamId, Timestamp};
use crate::wire::json::object;
use crate::wire::told::ToldObject;
use std::collections::VecDeque;
use std::sync::Arc;

/// How many changes of the state are remembered.
const STEPS_MAX: usize = 20;
/// A little longer than a server waits for a token, so that it is the server that says that none came.
const OPENING_MS: u64 = 15_000;
/// A token that ends sooner than this after it was renewed is not renewed at once.
const REFRESH_MS: i64 = 60_000;
/// After so long an attempt is stale, and a silence is checked.
const STALE_MS: u64 = 3_000;
const PROBE_MS: u64 = 5_000;
/// Close codes of a token that is not good (`docs/protocol.md`, "Closing"), and of a connection that ended without one
/// (RFC 6455 §7.4.1).
const UNAUTHORIZED: u16 = 4001;
const ABNORMAL: u16 = 1006;

/// A client's connection.
#[derive(Debug, Default)]
pub(super) struct Link {
    pub(super) state: State,
    pub(super) steps: VecDeque<Step>,
    pub(super) quality: Option<Quality>,
    /// What was begun under another number is void.
    pub(super) serial: u64,
    /// Whether a WebSocket is asked for, or open.
    is_dialled: bool,
    pub(super) token: Option<Arc<str>>,
    /// The token has not been accepted yet.
    is_fresh: bool,
    reason: TokenReason,
    /// For what a token is asked for now.
    asks: Option<TokenReason>,
    pub(super) attempt: u32,
    heartbeat_ms: u64,
    opened_at: Moment,
    pub(super) last_heard: Moment,
    /// When the round trip was measured last, and the token renewed.
    measured_at: Moment,
    refreshed_at: Option<Timestamp>,
    /// What the server said before it closed.
    pub(super) announced: Option<RequestError>,
    spread_ms: Option<u64>,
}

/// What is left to do before a connection is online.
#[derive(Debug, Default)]
pub(super) struct Greeting {
    /// Where rooms go on that are not asked about yet.
    pub(super) pieces: VecDeque<Vec<RoomId>>,
}

impl Core {
    /// Opens a connection now, whatever was planned.
    pub(super) fn open(&mut self, cause: &str) {
        self.drop_link();
        self.link.opened_at = self.now.moment;
        self.deadlines.set(Timer::Opening, self.now.moment.plus_millis(OPENING_MS));
        self.enter(State::Connecting, cause, None, None);
        if self.link.token.is_some() {
            return self.dial();
        }
        match &self.options.token {
            TokenSource::None => self.dial(),
            TokenSource::Given(token) => {
                self.link.token = Some(Arc::clone(token));
                self.link.is_fresh = true;
                self.dial();
            }
            TokenSource::Asked => self.ask_token(self.link.reason),
        }
    }

    fn ask_token(&mut self, reason: TokenReason) {
        self.link.asks = Some(reason);
        self.effects.push(CoreEffect::AskToken { serial: self.link.serial, reason });
    }

    /// Whether this question for a token has no answer yet.
    #[must_use]
    pub fn asks_token(&self, serial: u64) -> bool {
        serial == self.link.serial && self.link.asks.is_some()
    }

    /// The token's source has answered.
    pub(super) fn token_given(
        &mut self,
        serial: u64,
        given: Result<Option<Arc<str>>, TokenFailure>,
    ) {
        if serial != self.link.serial {
            return;
        }
        let Some(reason) = self.link.asks.take() else { return };
        match (reason, given) {
            (TokenReason::Expiring, Ok(Some(token))) => {
                let payload = object(|w| w.text("token", &token));
                let urgency = (Urgency::First, self.options.timeout_ms);
                self.ask("auth", payload, Question::Auth(token), urgency);
            }
            // When the old one ends the server says so, and another is asked for.
            (TokenReason::Expiring, _) => {}
            (_, Ok(token)) => {
                self.link.token = token;
                self.link.is_fresh = true;
                self.dial();
            }
            (_, Err(TokenFailure { message, is_final })) => {
                let reason = format!("no token: {message}");
                if is_final {
                    self.fail(FailCode::Token, &reason, Verdict::Ends);
                } else {
                    self.retry(&reason, None, Verdict::ComesBack);
                }
            }
        }
    }

    fn dial(&mut self) {
        self.link.is_dialled = true;
        let (serial, has_token) = (self.link.serial, self.link.token.is_some());
        self.effects.push(CoreEffect::Dial { serial, has_token });
    }

    /// The WebSocket is open.
    pub(super) fn opened(&mut self, serial: u64) {
        if serial != self.link.serial || !matches!(self.link.state, State::Connecting) {
            return;
        }
        self.link.last_heard = self.now.moment;
        self.enter(State::Authenticating, "open", None, None);
        // In the first message, not in the URL: the close code then says why a token is refused.
        if let Some(token) = self.link.token.clone() {
            let auth = object(|w| {
                w.text("type", "auth");
                w.object_in("payload", |w| {
                    w.text("token", &token);
                    w.flag("resume", true);
                });
            });
            self.send_text(auth);
        }
    }

    /// The server has said hello: its limits hold from now on.
    pub(super) fn greeted(&mut self, heartbeat_ms: u64) {
        self.link.heartbeat_ms = heartbeat_ms;
        self.link.is_fresh = false;
        self.link.reason = TokenReason::First;
        self.deadlines.set(Timer::Opening, self.now.moment.plus_millis(OPENING_MS));
    }

    /// All is done that is to be done before it is online.
    pub(super) fn go_online(&mut self) {
        self.greeting = None;
        let now = self.now.moment;
        self.deadlines.clear(&Timer::Opening);
        self.deadlines.set(Timer::Stable, now.plus_millis(self.options.backoff.stable_ms));
        self.enter(State::Online { since: self.now.timestamp }, "hello", None, None);
        self.release_requests();
        self.measure();
        self.write_all_unsent();
        self.settle_streams();
        self.list_presence();
        self.join_wanted();
    }

    fn enter(
        &mut self,
        state: State,
        cause: &str,
        code: Option<FailCode>,
        advice: Option<Verdict>,
    ) {
        let at = self.now.timestamp;
        let step = Step { at, state: state.name(), cause: cause.into(), code, advice };
        self.link.state = state;
        self.link.steps.push_back(step);
        while self.link.steps.len() > STEPS_MAX {
            self.link.steps.pop_front();
        }
        self.tell_state();
    }

    /// Lets go of the connection without waiting for it: what comes of it later is about one that is over.
    fn drop_link(&mut self) {
        let serial = self.link.serial;
        self.link.serial += 1;
        self.deadlines.end_connection();
        self.link.asks = None;
        self.link.announced = None;
        self.link.spread_ms = None;
        self.greeting = None;
        let was_dialled = std::mem::take(&mut self.link.is_dialled);
        // What it is told then is about a connection that is gone.
        if self.link.state.is_online() {
            self.link.state = State::Connecting;
        }
        self.pause_requests();
        self.presence.lose();
        for stream in self.streams.values_mut() {
            stream.lose();
        }
        if was_dialled {
            self.effects.push(CoreEffect::Drop { serial });
        }
    }

    fn fail(&mut self, code: FailCode, reason: &str, advice: Verdict) {
        self.drop_link();
        self.end_requests("closed");
        // Opening it again begins anew.
        self.link.attempt = 0;
        self.link.token = None;
        self.link.reason = TokenReason::Rejected;
        self.enter(State::Failed { code, reason: reason.into() }, reason, Some(code), Some(advice));
    }

    fn retry(&mut self, reason: &str, code: Option<u16>, advice: Verdict) {
        let backoff = self.options.backoff;
        let announced = self.link.announced.as_ref().and_then(|error| error.retry_after_ms);
        let spread = self.link.spread_ms;
        let longest = spread.unwrap_or_else(|| backoff.wait_ms(self.link.attempt));
        let random = spread.is_some() || backoff.has_jitter;
        let wait = if random { self.chance.below(longest + 1) } else { longest };
        let wait = wait + announced.unwrap_or_default().min(ANNOUNCED_MS_MAX);
        self.drop_link();
        if backoff.attempts.is_some_and(|most| self.link.attempt >= most) {
            return self.fail(FailCode::Attempts, reason, advice);
        }
        self.link.attempt += 1;
        self.deadlines.set(Timer::Waiting, self.now.moment.plus_millis(wait));
        let until = i64::try_from(wait).unwrap_or(i64::MAX);
        let until = Timestamp(self.now.timestamp.0.saturating_add(until));
        let attempt = self.link.attempt;
        let state = State::Waiting { until, attempt, reason: reason.into(), code };
        self.enter(state, reason, code.map(FailCode::Close), Some(advice));
    }

    /// The connection has ended, or did not begin.
    pub(super) fn lost(&mut self, code: Option<u16>, reason: &str, retry_after_ms: Option<u64>) {
        // Some proxies drop the code: the error before it had it.
        let announced = self.link.announced.take();
        let code = announced.as_ref().and_then(|error| error.close).or(code);
        let cause = match &announced {
            Some(error) => error.to_string(),
            None if reason.is_empty() => format!("close {}", code.unwrap_or(ABNORMAL)),
            None => reason.to_owned(),
        };
        let waits = announced.and_then(|error| error.retry_after_ms).or(retry_after_ms);
        self.link.announced =
            Some(RequestError { retry_after_ms: waits, ..RequestError::default() });
        if let Some(quality) = self.link.quality {
            self.qualify(Level::Lost, quality.rtt_ms);
        }
        let code = code.unwrap_or(ABNORMAL);
        if self.options.fatal.contains(&code) {
            return self.fail(FailCode::Close(code), &cause, Verdict::Ends);
        }
        let asked = verdict(code);
        let has_source = self.options.token == TokenSource::Asked;
        // The request says who asks, as by a cookie: it may be good again.
        let is_by_request = self.options.token == TokenSource::None;
        let is_old = self.link.token.is_some() && !self.link.is_fresh;
        // A fresh token that is refused is not asked for again at once.
        if has_source && (asked == Verdict::AsksForToken || (code == UNAUTHORIZED && is_old)) {
            self.link.token = None;
            self.link.reason = TokenReason::Rejected;
            self.retry(&cause, Some(code), Verdict::AsksForToken);
        } else if asked == Verdict::Ends || (asked == Verdict::AsksForToken && !is_by_request) {
            self.fail(FailCode::Close(code), &cause, asked);
        } else {
            self.retry(&cause, Some(code), Verdict::ComesBack);
        }
    }

    /// The program wants none any more.
    pub(super) fn close(&mut self) {
        self.drop_link();
        self.end_requests("closed");
        self.enter(State::Closed, "close()", None, None);
    }

    /// It wants none for now: what is asked meanwhile waits.
    pub(super) fn pause(&mut self, reason: &str) {
        if matches!(self.link.state, State::Closed | State::Failed { .. } | State::Paused { .. }) {
            return;
        }
        self.drop_link();
        self.enter(State::Paused { reason: reason.into() }, reason, None, None);
    }

    /// Something has changed outside: it is judged before the time says so.
    pub(super) fn wake(&mut self, cause: &str) {
        let (now, link) = (self.now.moment, &self.link);
        let opens = match &link.state {
            State::Waiting { .. } => true,
            State::Paused { reason } => &**reason == "sleep" && cause == "wake",
            // It failed for good, or only because the attempts were used up.
            State::Failed { .. } => {
                link.steps.back().is_some_and(|step| step.advice != Some(Verdict::Ends))
            }
            State::Connecting | State::Authenticating => {
                now.millis_since(link.opened_at) > STALE_MS
            }
            _ => false,
        };
        if opens {
            self.open(cause);
        } else if now.millis_since(link.last_heard) > STALE_MS {
            self.probe();
        }
    }

    /// Asks whether the server is there, and gives the connection up if it does not say so soon.
    pub(super) fn probe(&mut self) {
        if self.link.state.is_online() && !self.deadlines.is_set(&Timer::Probe) {
            self.deadlines.set(Timer::Probe, self.now.moment.plus_millis(PROBE_MS));
            let urgency = (Urgency::First, self.options.timeout_ms);
            self.ask("ping", "{}".to_owned(), Question::Ping, urgency);
        }
    }

    // --- The round trip ---

    /// Asks how long a round trip takes, if it is time.
    pub(super) fn measure(&mut self) {
        let (now, interval) = (self.now.moment, self.options.ping_interval_ms);
        let heartbeat = match self.link.heartbeat_ms {
            0 => self.options.ping_timeout_ms,
            millis => millis,
        };
        // Of two requests one is for who asks something, and not a measurement.
        let every = if interval > 0 { interval } else { heartbeat }.max(self.requests.ms_of_two());
        self.deadlines.set(Timer::Measure, now.plus_millis(every));
        let is_silent = now.millis_since(self.link.last_heard) >= every;
        if self.deadlines.is_set(&Timer::Answer) || (interval == 0 && !is_silent) {
            return;
        }
        self.link.measured_at = now;
        self.deadlines.set(Timer::Answer, now.plus_millis(self.options.ping_timeout_ms));
        let urgency = (Urgency::First, self.options.timeout_ms);
        self.ask("ping", "{}".to_owned(), Question::Measure, urgency);
    }

    pub(super) fn measured(&mut self, is_answered: bool) {
        self.deadlines.clear(&Timer::Answer);
        if is_answered && self.options.ping_interval_ms > 0 {
            let rtt_ms = self.now.moment.millis_since(self.link.measured_at);
            self.qualify(Level::of(rtt_ms), rtt_ms);
        }
    }

    /// The answer has not come.
    pub(super) fn no_answer(&mut self) {
        let asked = self.link.measured_at;
        // Our clock stops while the machine sleeps: then it is asked again.
        let waited = self.now.moment.millis_since(asked);
        if waited < 2 * self.options.ping_timeout_ms && self.link.last_heard <= asked {
            self.lost(None, "no answer in time", None);
        }
    }

    fn qualify(&mut self, level: Level, rtt_ms: u64) {
        // RFC 3550 §6.4.1.
        let jitter_ms = self.link.quality.map_or(0.0, |before| {
            let by = rtt_ms.abs_diff(before.rtt_ms) as f64;
            before.jitter_ms + (by - before.jitter_ms) / 16.0
        });
        let quality = Quality { level, rtt_ms, jitter_ms };
        self.link.quality = Some(quality);
        self.tell_or_leave_out(ClientEvent::Quality(quality));
    }

    // --- What the server says of the connection ---

    pub(super) fn noticed(&mut self, payload: &ToldObject<'_>) {
        match payload.text("code").as_deref() {
            Some("draining") => {
                let spread = payload.number("spread_ms");
                self.link.spread_ms = spread.map(|millis| millis.min(ANNOUNCED_MS_MAX));
            }
            Some("unsubscribed") => {
                let message = payload.text("message").unwrap_or_default();
                for stream in payload.texts("streams") {
                    if let Ok(stream) = StreamId::parse(&stream) {
                        self.stream_ended(&stream, &message);
                    }
                }
            }
            Some("token_expiring") if self.options.token == TokenSource::Asked => {
                let now = self.now.timestamp.0;
                let renewed = self.link.refreshed_at;
                let is_new = renewed.is_some_and(|at| now.saturating_sub(at.0) < REFRESH_MS);
                let expires = payload.integer("expires").unwrap_or(now);
                let left = u64::try_from(expires.saturating_sub(now)).unwrap_or_default();
                let wait = if is_new { left / 2 } else { 0 };
                self.deadlines.set(Timer::Refresh, self.now.moment.plus_millis(wait));
            }
            _ => {}
        }
    }

    pub(super) fn refresh_token(&mut self) {
        self.link.refreshed_at = Some(self.now.timestamp);
        self.ask_token(TokenReason::Expiring);
    }
}

#[cfg(test)]
mod tests {
    use super::super::effect::{CoreInput, Hint};
    use super::super::for_tests::Scene;
    use super::super::options::CoreOptions;
    use super::super::state::Backoff;
    use super::*;
    use serde_json::json;

    fn steady() -> CoreOptions {
        let backoff = Backoff { has_jitter: false, ..Backoff::default() };
        CoreOptions { backoff, ping_interval_ms: 0, ..CoreOptions::default() }
    }

    fn with_tokens() -> CoreOptions {
        CoreOptions { token: TokenSource::Asked, ..steady() }
    }

    fn given(scene: &mut Scene, token: &str) {
        let (serial, _) = scene.asks_token.take().unwrap();
        scene.input(CoreInput::Token { serial, given: Ok(Some(token.into())) });
    }

    #[test]
    fn waits_grow_and_begin_anew_after_a_connection_that_lasted() {
        let mut scene = Scene::online(steady(), &[]);
        for seconds in [1, 2, 4, 8, 16, 30, 30] {
            let dials = scene.dials;
            scene.loses(1006);
            assert_eq!(scene.core.state().name(), "waiting");
            scene.passes(seconds * 1_000 - 1);
            assert_eq!(scene.dials, dials, "{seconds}");
            scene.passes(1);
            assert_eq!(scene.dials, dials + 1, "{seconds}");
        }
        scene.greets(&[], "e1");
        scene.passes(29_999);
        scene.loses(1000);
        let State::Waiting { attempt, .. } = scene.core.state() else { panic!() };
        assert_eq!(*attempt, 8);
        scene.passes(30_000);
        scene.greets(&[], "e1");
        scene.passes(30_000);
        scene.loses(1001);
        let State::Waiting { attempt, .. } = scene.core.state() else { panic!() };
        assert_eq!(*attempt, 1);
    }

    #[test]
    fn a_wait_is_a_random_part_of_the_longest() {
        let mut waits = std::collections::BTreeSet::new();
        let mut scene =
            Scene::online(CoreOptions { ping_interval_ms: 0, ..CoreOptions::default() }, &[]);
        for _ in 0..50 {
            scene.loses(1006);
            let wait = scene.core.deadline().millis_since(Moment::from_millis(scene.ms));
            assert!(wait <= 30_000);
            waits.insert(wait);
            scene.passes(wait);
        }
        assert!(waits.len() > 40, "{waits:?}");
    }

    #[test]
    fn a_close_code_decides_and_the_error_before_it_has_the_last_word() {
        for (code, state) in [
            (1002, "failed"),
            (1003, "failed"),
            (1007, "failed"),
            (1009, "failed"),
            (4000, "failed"),
            (4099, "failed"),
            (1000, "waiting"),
            (1001, "waiting"),
            (1006, "waiting"),
            (1011, "waiting"),
            (4101, "waiting"),
            (4200, "waiting"),
            (4299, "waiting"),
            (4999, "waiting"),
        ] {
            let mut scene = Scene::online(steady(), &[]);
            scene.loses(code);
            assert_eq!(scene.core.state().name(), state, "{code}");
        }
        // A token that is only given cannot be had anew.
        let given = CoreOptions { token: TokenSource::Given("t1".into()), ..steady() };
        let mut scene = Scene::online(given, &[]);
        scene.loses(4200);
        assert_eq!(scene.core.state().name(), "failed");
        let mut scene = Scene::online(steady(), &[]);
        scene.hears(&json!({"type": "error", "payload":
            {"code": "overloaded", "message": "too many", "close": 4104, "retry_after_ms": 5_000}}));
        scene.loses(1006);
        let State::Waiting { code, .. } = scene.core.state() else { panic!() };
        assert_eq!(*code, Some(4104));
        scene.passes(5_999);
        assert_eq!(scene.dials, 1);
        scene.passes(1);
        assert_eq!(scene.dials, 2);
    }

    #[test]
    fn a_token_is_asked_for_once_then_when_it_ends_and_when_it_is_refused() {
        let mut scene = Scene::new(with_tokens());
        scene.input(CoreInput::Open);
        assert_eq!(scene.asks_token.unwrap().1, "first");
        given(&mut scene, "t1");
        scene.greets(&[], "e1");
        scene.loses(1006);
        scene.passes(1_000);
        assert_eq!(scene.asks_token, None);
        let serial = scene.serial;
        scene.input(CoreInput::Opened { serial });
        assert_eq!(scene.asked("auth")["payload"], json!({"token": "t1", "resume": true}));
        scene.greets(&[], "e1");
        // It ends soon.
        let expires = 1_800_000_000_000_i64 + scene.ms as i64 + 30_000;
        scene.hears(
            &json!({"type": "notice", "payload": {"code": "token_expiring", "expires": expires}}),
        );
        scene.passes(0);
        assert_eq!(scene.asks_token.unwrap().1, "expiring");
        given(&mut scene, "t2");
        assert_eq!(scene.replies("auth", json!({})), json!({"token": "t2"}));
        // It has ended.
        scene.loses(4200);
        scene.passes(2_000);
        assert_eq!(scene.asks_token.unwrap().1, "rejected");
        given(&mut scene, "t3");
        // A new one that is refused at once is not asked for again and again.
        let serial = scene.serial;
        scene.input(CoreInput::Opened { serial });
        scene.loses(4001);
        assert_eq!(scene.core.state().name(), "failed");
    }

    #[test]
    fn no_token_now_is_asked_for_again_and_none_at_all_ends_it() {
        let mut scene = Scene::new(with_tokens());
        scene.input(CoreInput::Open);
        for (is_final, state) in [(false, "waiting"), (true, "failed")] {
            let (serial, _) = scene.asks_token.take().unwrap();
            let failure = TokenFailure { message: "the backend is away".into(), is_final };
            scene.input(CoreInput::Token { serial, given: Err(failure) });
            assert_eq!(scene.core.state().name(), state);
            scene.passes(1_000);
        }
        assert_eq!(scene.asks_token, None);
        // What comes for a question that is over is nobody's token.
        scene.input(CoreInput::Open);
        let (serial, _) = scene.asks_token.take().unwrap();
        scene.input(CoreInput::Open);
        scene.input(CoreInput::Token { serial, given: Ok(None) });
        assert_eq!(scene.dials, 0);
    }

    #[test]
    fn a_draining_server_says_when_to_come_back() {
        let mut scene = Scene::online(steady(), &[]);
        scene.hears(
            &json!({"type": "notice", "payload": {"code": "draining", "spread_ms": 60_000}}),
        );
        scene.loses(1012);
        let until = scene.core.deadline().millis_since(Moment::from_millis(scene.ms));
        assert!((1_001..=60_000).contains(&until), "{until}");
    }

    #[test]
    fn a_server_that_is_silent_is_asked_and_left() {
        let options = CoreOptions { ping_interval_ms: 5_000, ..steady() };
        let mut scene = Scene::online(options, &[]);
        scene.replies("ping", json!({}));
        assert_eq!(scene.core.quality().unwrap().level, Level::Excellent);
        scene.passes(5_000);
        assert!(scene.is_asked("ping"));
        scene.passes(9_999);
        assert!(scene.core.state().is_online());
        scene.passes(1);
        assert_eq!(scene.core.state().name(), "waiting");
        assert_eq!(scene.core.quality().unwrap().level, Level::Lost);
        let is_lost = |event: &&ClientEvent| matches!(event, ClientEvent::Quality(of) if of.level == Level::Lost);
        assert_eq!(scene.told.iter().filter(is_lost).count(), 1);
        // Also where requests are waited for less long.
        let options = CoreOptions { ping_interval_ms: 5_000, timeout_ms: 3_000, ..steady() };
        let mut scene = Scene::online(options, &[]);
        scene.passes(10_000);
        assert_eq!(scene.core.state().name(), "waiting");
        // Without an interval, only after as long a silence as the server's own pings leave.
        let mut scene = Scene::online(steady(), &[]);
        scene.passes(24_999);
        assert!(!scene.is_asked("ping"));
        scene.passes(10_001);
        assert_eq!(scene.core.state().name(), "waiting");
    }

    #[test]
    fn attempts_can_have_an_end_and_an_opening_has_one() {
        let backoff = Backoff { attempts: Some(2), has_jitter: false, ..Backoff::default() };
        let mut scene = Scene::new(CoreOptions { backoff, ..steady() });
        scene.input(CoreInput::Open);
        scene.passes(3 * (15_000 + 2_000));
        assert_eq!(scene.dials, 3);
        let State::Failed { code, .. } = scene.core.state() else { panic!() };
        assert_eq!(*code, FailCode::Attempts);
        scene.input(CoreInput::Hint(Hint::Online));
        assert_eq!((scene.dials, scene.core.state().name()), (4, "connecting"));
    }

    #[test]
    fn what_is_known_outside_shortens_a_wait_or_checks_a_silence() {
        let mut scene = Scene::online(steady(), &[]);
        scene.loses(1006);
        scene.input(CoreInput::Hint(Hint::Online));
        assert_eq!(scene.dials, 2);
        scene.greets(&[], "e1");
        scene.passes(3_001);
        scene.input(CoreInput::Hint(Hint::Offline));
        assert!(scene.is_asked("ping"));
        scene.passes(5_000);
        assert_eq!(scene.core.state().name(), "waiting");
        scene.input(CoreInput::Hint(Hint::Sleep));
        scene.passes(100_000);
        assert_eq!((scene.core.state().name(), scene.dials), ("paused", 2));
        scene.input(CoreInput::Hint(Hint::Online));
        assert_eq!(scene.dials, 2);
        scene.input(CoreInput::Hint(Hint::Wake));
        assert_eq!(scene.dials, 3);
        scene.input(CoreInput::Close);
        scene.input(CoreInput::Hint(Hint::Wake));
        scene.passes(100_000);
        assert_eq!((scene.core.state().name(), scene.dials), ("closed", 3));
    }

    #[test]
    fn what_an_older_connection_says_is_not_heard() {
        let mut scene = Scene::online(steady(), &[("tea", 3)]);
        let old = scene.serial;
        scene.input(CoreInput::Open);
        scene.input(CoreInput::Lost {
            serial: old,
            code: Some(4000),
            reason: "",
            retry_after_ms: None,
        });
        scene.input(CoreInput::Text { serial: old, text: "no JSON" });
        scene.input(CoreInput::Bytes { serial: old, bytes: &[0] });
        scene.input(CoreInput::Opened { serial: old });
        assert_eq!(scene.core.state().name(), "connecting");
    }

    #[test]
    fn the_last_changes_are_remembered_with_what_was_done_about_them() {
        let mut scene = Scene::online(steady(), &[]);
        for _ in 0..30 {
            scene.loses(4101);
            scene.passes(30_000);
        }
        let steps: Vec<&Step> = scene.core.why().collect();
        assert_eq!(steps.len(), STEPS_MAX);
        let waits = steps.iter().find(|step| step.state == "waiting").unwrap();
        assert_eq!(
            (waits.code, waits.advice),
            (Some(FailCode::Close(4101)), Some(Verdict::ComesBack))
        );
    }
}
