//! The client's core: it takes inputs, and says what is to be done. Time and chance come in, nothing goes out but
//! effects.

use super::deadlines::{Deadlines, Timer};
use super::effect::{ClientEvent, CoreEffect, CoreInput, Hint};
use super::error::RequestError;
use super::hello::Hello;
use super::link::{Greeting, Link};
use super::options::CoreOptions;
use super::outbox::UnsentMessages;
use super::presence::Presence;
use super::requests::{Question, Requests, Urgency};
use super::room::{RoomLog, RoomView};
use super::state::{Quality, State, Step};
use super::stream::StreamWatch;
use crate::base::{Chance, Moment, Now, RoomId, StreamId, UserId};
use crate::wire::told::{ToldMessage, ToldObject};
use std::collections::{BTreeMap, BTreeSet};

/// A client without its sockets, clock and threads.
#[derive(Debug)]
pub struct Core {
    pub(super) options: CoreOptions,
    pub(super) now: Now,
    pub(super) chance: Chance,
    pub(super) effects: Vec<CoreEffect>,
    pub(super) deadlines: Deadlines,
    pub(super) link: Link,
    pub(super) requests: Requests,
    pub(super) hello: Option<Hello>,
    /// Whose is what is here; `Some(None)` are guests, who are one.
    pub(super) owner: Option<Option<UserId>>,
    /// The life of the store to which all positions belong.
    pub(super) epoch: Option<Box<str>>,
    pub(super) greeting: Option<Greeting>,
    pub(super) rooms: BTreeMap<RoomId, RoomLog>,
    /// Of which something is to be acknowledged.
    pub(super) unacked: BTreeSet<RoomId>,
    /// Which have stopped, as the program took nothing.
    pub(super) stopped: BTreeSet<RoomId>,
    /// Of which the program has not been told what the user is in them.
    pub(super) untold_memberships: BTreeSet<RoomId>,
    pub(super) unsent: UnsentMessages,
    pub(super) streams: BTreeMap<StreamId, StreamWatch>,
    pub(super) presence: Presence,
    /// How many more the program can be told.
    pub(super) credit: u32,
    /// What it is told as soon as it takes something.
    pub(super) is_state_untold: bool,
    pub(super) left_out: u64,
}

impl Core {
    /// A client that has not begun. `seed` decides its waits: of two clients with the same seed, both come back at
    /// once.
    #[must_use]
    pub fn new(options: CoreOptions, seed: u64) -> Core {
        let unsent = UnsentMessages::new(options.user.clone());
        Core {
            credit: options.queue.max(1),
            options,
            now: Now::default(),
            chance: Chance::new(seed),
            effects: Vec::new(),
            deadlines: Deadlines::default(),
            link: Link::default(),
            requests: Requests::default(),
            hello: None,
            owner: None,
            epoch: None,
            greeting: None,
            rooms: BTreeMap::new(),
            unacked: BTreeSet::new(),
            stopped: BTreeSet::new(),
            untold_memberships: BTreeSet::new(),
            unsent,
            streams: BTreeMap::new(),
            presence: Presence::default(),
            is_state_untold: false,
            left_out: 0,
        }
    }

    /// What it does about its connection.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.link.state
    }

    /// The last 20 changes of that, oldest first, each with its cause and what is done about it.
    pub fn why(&self) -> impl Iterator<Item = &Step> {
        self.link.steps.iter()
    }

    /// The round trip, once it was measured.
    #[must_use]
    pub fn quality(&self) -> Option<Quality> {
        self.link.quality
    }

    /// What the server has said of itself, once it has.
    #[must_use]
    pub fn hello(&self) -> Option<&Hello> {
        self.hello.as_ref()
    }

    /// What is known of a room; `None` if nothing is.
    #[must_use]
    pub fn room(&self, room: &RoomId) -> Option<RoomView> {
        self.rooms.get(room).map(RoomLog::view)
    }

    /// The names of the rooms of which something is known.
    pub fn rooms(&self) -> impl Iterator<Item = &RoomId> {
        self.rooms.keys()
    }

    /// When [`CoreInput::Time`] is due.
    #[must_use]
    pub fn deadline(&self) -> Moment {
        self.deadlines.next()
    }

    /// Takes an input; what is to be done about it comes behind what is in `effects`.
    pub fn handle(&mut self, now: Now, input: CoreInput<'_>, effects: &mut Vec<CoreEffect>) {
        self.now = now;
        match input {
            CoreInput::Time => {
                while let Some(timer) = self.deadlines.take_due(now.moment) {
                    self.is_due(timer);
                }
            }
            CoreInput::Text { serial, text } if serial == self.link.serial => self.hears(text),
            CoreInput::Bytes { serial, bytes } if serial == self.link.serial => {
                self.link.last_heard = now.moment;
                self.deadlines.clear(&Timer::Probe);
                self.hears_bytes(bytes);
            }
            CoreInput::Text { .. } | CoreInput::Bytes { .. } => {}
            CoreInput::Opened { serial } => self.opened(serial),
            CoreInput::Lost { serial, code, reason, retry_after_ms } => {
                if serial == self.link.serial {
                    self.lost(code, reason, retry_after_ms);
                }
            }
            CoreInput::Token { serial, given } => self.token_given(serial, given),
            CoreInput::Open => self.open("retry_now()"),
            CoreInput::Pause(reason) => self.pause(reason),
            CoreInput::Close => self.close(),
            CoreInput::Hint(hint) => match hint {
                Hint::Online => self.wake("online"),
                Hint::Wake => self.wake("wake"),
                Hint::Offline => self.probe(),
                Hint::Sleep => self.pause("sleep"),
            },
            CoreInput::Taken(count) => self.taken(count),
            input => self.asked_by_program(input),
        }
        effects.append(&mut self.effects);
    }

    fn asked_by_program(&mut self, input: CoreInput<'_>) {
        match input {
            CoreInput::Left(kept) => self.left(kept),
            CoreInput::Send(kept) => self.send_message(kept),
            CoreInput::Cancel(id) => self.cancel_message(id),
            CoreInput::Retry(id) => self.retry_message(id),
            CoreInput::Join { room, call } => self.join(room, call),
            CoreInput::Leave { room, call } => self.leave(room, call),
            CoreInput::From { room, seq } => self.goes_on_from(&room, seq),
            CoreInput::MarkRead { room, seq } => self.mark_read(&room, seq),
            CoreInput::Typing { room, typing } => self.types(&room, typing),
            CoreInput::Watch { stream, options } => self.watch(stream, options),
            CoreInput::WatchPresence => self.watch_presence(),
            CoreInput::Ask { call, kind, payload, timeout_ms } => {
                self.ask_by_call(kind, payload, call, timeout_ms);
            }
            CoreInput::CancelAsked(call) => self.cancel_call(call),
            CoreInput::Say { kind, payload } => {
                self.say(kind, payload);
            }
            _ => {}
        }
    }

    /// A request of the program's own; without a connection that could come, it is answered at once.
    pub(super) fn ask_by_call(
        &mut self,
        kind: String,
        payload: String,
        call: u64,
        timeout_ms: Option<u64>,
    ) {
        if matches!(self.link.state, State::Closed | State::Failed { .. }) {
            return self.answer(call, Err(RequestError::own("closed")));
        }
        let timeout = timeout_ms.unwrap_or(self.options.timeout_ms);
        self.ask(kind, payload, Question::Call(call), (Urgency::Last, timeout));
    }

    fn is_due(&mut self, timer: Timer) {
        match timer {
            Timer::Opening | Timer::Probe => self.lost(None, "no answer in time", None),
            Timer::Waiting => self.open("waited"),
            Timer::Stable => self.link.attempt = 0,
            Timer::Measure => self.measure(),
            Timer::Answer => self.no_answer(),
            Timer::Refresh => self.refresh_token(),
            Timer::Pump => self.pump(),
            Timer::Late(serial) => self.late(serial),
            Timer::Ack => self.acknowledge(),
            Timer::Read(room) => self.tell_read(&room),
            Timer::Typing(room, user) => self.typed(&room, &user, false),
            Timer::Missing(room) => self.goes_on(&room),
            Timer::Unsent(room) => self.write_unsent(&room),
            Timer::Presence => self.list_presence(),
            Timer::Stream(stream) => self.settle_stream(&stream),
        }
    }

    /// A text message of the server's.
    fn hears(&mut self, text: &str) {
        self.link.last_heard = self.now.moment;
        self.deadlines.clear(&Timer::Probe);
        let Some(message) = ToldMessage::parse(text) else {
            return self.lost(None, "what came is no message of the protocol", None);
        };
        match &*message.kind {
            "hello" => self.welcomed(message.payload),
            "reply" => self.settle(false, message.id, message.payload),
            "error" => {
                let payload = ToldObject::parse(message.payload).unwrap_or_default();
                let error = RequestError::read(&payload);
                if error.close.is_some() {
                    self.link.announced = Some(error.clone());
                }
                self.settle(true, message.id, message.payload);
                if message.id.is_none() {
                    self.tell_or_leave_out(ClientEvent::Error(error));
                }
            }
            kind => self.pushed(kind, message.payload),
        }
    }

    fn pushed(&mut self, kind: &str, raw: &str) {
        let payload = ToldObject::parse(raw).unwrap_or_default();
        let is_told = match kind {
            "event" | "stream:stale" => self.stream_told(&payload),
            "user:online" | "user:offline" | "user:count" => self.presence_told(kind, &payload),
            "notice" => {
                self.noticed(&payload);
                false
            }
            _ => self.room_told(kind, &payload, raw),
        };
        if !is_told {
            self.tell_or_leave_out(ClientEvent::Push { kind: kind.into(), payload: raw.into() });
        }
    }

    /// An answer of the server's, or why there is none.
    pub(super) fn answered(&mut self, question: Question, answer: Result<&str, RequestError>) {
        match question {
            Question::Ping => {}
            // That no answer came in the time of any request says nothing yet.
            Question::Measure if answer.as_ref().is_err_and(|error| &*error.code == "timeout") => {}
            Question::Measure => self.measured(answer.is_ok()),
            Question::Page => self.paged(answer),
            Question::Resume(rooms) => self.resumed(&rooms, answer),
            Question::Auth(token) => {
                if answer.is_ok() {
                    self.link.token = Some(token);
                }
            }
            Question::Join(room, call) => self.joined(&room, call, answer),
            Question::Info(room) => {
                if let Ok(raw) = answer {
                    self.welcome_room(&room, &ToldObject::parse(raw).unwrap_or_default());
                }
            }
            Question::Send(id) => self.message_answered(&id, answer),
            Question::Missing(room) => self.missing_read(&room, answer),
            Question::Read(room) => self.read_told(&room, answer),
            Question::Presence(listing) => self.presence_listed(listing, answer),
            Question::Subscribe(stream) => self.subscribed(&stream, answer),
            Question::Unsubscribe(stream) => self.unsubscribed(&stream, answer.err()),
            Question::Call(call) => self.answer(call, answer.map(Into::into)),
        }
    }

    pub(super) fn answer(&mut self, call: u64, answer: Result<Box<str>, RequestError>) {
        self.effects.push(CoreEffect::Answer { call, answer });
    }

    // --- What the program is told ---

    /// Tells the program something, if it has room for it; whether it had.
    pub(super) fn tell(&mut self, told: ClientEvent) -> bool {
        let has_room = self.credit > 0;
        if has_room {
            self.credit -= 1;
            self.effects.push(CoreEffect::Tell(told));
        }
        has_room
    }

    /// Tells it something that is counted only, if it has no room.
    pub(super) fn tell_or_leave_out(&mut self, told: ClientEvent) {
        if !self.tell(told) {
            self.left_out += 1;
        }
    }

    /// Tells it the state, now or as soon as it takes something.
    pub(super) fn tell_state(&mut self) {
        let state = self.link.state.clone();
        self.is_state_untold = !self.tell(ClientEvent::State(state));
    }

    /// It has taken some of what it was told: it can be told what has waited.
    fn taken(&mut self, count: u32) {
        self.credit = self.credit.saturating_add(count).min(self.options.queue.max(1));
        if self.is_state_untold {
            self.tell_state();
        }
        if self.left_out > 0 && self.tell(ClientEvent::LeftOut(self.left_out)) {
            self.left_out = 0;
        }
        self.tell_memberships();
        self.tell_presence();
        self.tell_streams();
        // Not for each: a page is read for as many as can be told.
        if self.credit >= self.options.queue.div_ceil(2) {
            for room in std::mem::take(&mut self.stopped) {
                self.goes_on(&room);
            }
        }
    }

    /// Nothing that one person has asked for or read is done in the name of another.
    pub(super) fn forget_user(&mut self) {
        for room in std::mem::take(&mut self.rooms).into_keys() {
            self.end_room(&room);
        }
        self.unacked.clear();
        self.stopped.clear();
        self.end_requests("cancelled");
        for stream in self.streams.values_mut() {
            stream.forget();
        }
    }
}
