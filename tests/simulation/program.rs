//! Programs that use the product's client: its core decides, and the world carries out. What the server says was
//! judged before the core sees it; here is judged what the core makes of it.

use super::checker::{Asked, What};
use super::client::{Client, Stage, Unsent};
use super::dice::Dice;
use super::stream_checker::{Choice, Wanted};
use super::world::{Event, World};
use parlor::base::{Entry, Moment, Now, RoomId, StreamId, Timestamp};
use parlor::client::core::{
    Backoff, ClientEvent, Core, CoreEffect, CoreInput, CoreOptions, Gap, Hint, Kept, Membership,
    State, StreamUpdate, TicketStatus, TokenFailure, TokenSource, WatchOptions,
};
use parlor::protocol::Message;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A room, as the program knows it.
#[derive(Debug, Default)]
struct ShownRoom {
    last: Option<u64>,
    /// The next entry need not be the one behind it: the user has left, and come again.
    may_jump: bool,
    /// The program has said where it begins.
    is_begun: bool,
    is_member: bool,
    /// The first entry that was told of it.
    first: u64,
}

/// A stream, as the program knows it.
#[derive(Debug, Default)]
struct ShownStream {
    /// How often it was subscribed to, when last, and whether that was answered.
    begun: u64,
    asked_at: u64,
    is_answered: bool,
    /// Events that came on the wire, by subscription, and are not told.
    arrived: BTreeSet<(u64, u64)>,
    /// It was told that some are missing.
    has_gap: bool,
    last: u64,
}

/// What has become of a message.
#[derive(Debug)]
struct Ticket {
    room: String,
    text: String,
    status: TicketStatus,
}

/// A program.
#[derive(Debug)]
pub(crate) struct Program {
    core: Core,
    options: CoreOptions,
    serial: u64,
    asks_token: Option<u64>,
    /// When an event of its core's time is to come.
    due: u64,
    untaken: u32,
    is_taking: bool,
    is_slow: bool,
    rooms: BTreeMap<String, ShownRoom>,
    tickets: BTreeMap<String, Ticket>,
    /// By room: the newest of its own messages that is acknowledged.
    acked: BTreeMap<String, u64>,
    /// What is on its disk, in order.
    kept: Vec<Kept>,
    /// Who is there, if it was told; only their number where they are too many.
    online: Option<Option<BTreeSet<String>>>,
    streams: BTreeMap<String, ShownStream>,
    last_call: u64,
    calls: BTreeSet<u64>,
    state: State,
}

/// So many of its calls wait at most.
const CALLS_MAX: usize = 20;

impl Program {
    pub(crate) fn new(user: &str, is_open_mode: bool, dice: &mut Dice) -> Program {
        let knows_user = dice.one_in(2);
        let backoff = Backoff {
            min_ms: *dice.pick(&[100, 1_000]),
            max_ms: *dice.pick(&[1_000, 4_000]),
            ..Backoff::default()
        };
        let options = CoreOptions {
            token: if is_open_mode { TokenSource::None } else { TokenSource::Asked },
            user: knows_user.then(|| parlor::base::UserId::parse(user).expect("a user")),
            backoff,
            ping_interval_ms: *dice.pick(&[0, 2_000, 5_000]),
            ping_timeout_ms: 5_000,
            timeout_ms: *dice.pick(&[3_000, 20_000]),
            queue: *dice.pick(&[1, 3, 20, 4_096, 4_096, 4_096]),
            ..CoreOptions::default()
        };
        Program {
            core: Core::new(options.clone(), dice.seed()),
            options,
            serial: 0,
            asks_token: None,
            due: u64::MAX,
            untaken: 0,
            is_taking: false,
            is_slow: dice.one_in(4),
            rooms: BTreeMap::new(),
            tickets: BTreeMap::new(),
            acked: BTreeMap::new(),
            kept: Vec::new(),
            online: None,
            streams: BTreeMap::new(),
            last_call: 0,
            calls: BTreeSet::new(),
            state: State::Idle,
        }
    }

    pub(crate) fn is_online(&self) -> bool {
        self.core.state().is_online()
    }

    pub(crate) fn may_ask(&self) -> bool {
        self.calls.len() < CALLS_MAX
    }

    /// Who is online, if it was told.
    pub(crate) fn online(&self) -> Option<&BTreeSet<String>> {
        self.online.as_ref()?.as_ref()
    }

    /// Its rooms, and up to where it was told of each.
    pub(crate) fn rooms(&self) -> impl Iterator<Item = (&String, u64)> {
        let rooms = self.rooms.iter().filter(|(_, room)| room.is_member);
        rooms.map(|(name, room)| (name, room.last.unwrap_or(0)))
    }

    /// The first and the last entry of which it was told, by room.
    pub(crate) fn has_read(&self) -> impl Iterator<Item = (&String, (u64, u64))> {
        let rooms = self.rooms.iter().filter(|(_, room)| room.is_member && room.first > 0);
        rooms.map(|(name, room)| (name, (room.first, room.last.unwrap_or(0))))
    }

    /// What is not as it should be in the end, when `heads` are those of its rooms.
    pub(crate) fn lacks(
        &self,
        heads: &BTreeMap<String, u64>,
        is_presence_told: bool,
    ) -> Vec<String> {
        let mut lacks = Vec::new();
        if !self.is_online() {
            lacks.push(format!("is {:?}", self.core.state()));
        }
        for (cid, ticket) in &self.tickets {
            if matches!(ticket.status, TicketStatus::Queued | TicketStatus::Sent) {
                lacks.push(format!("{cid} to {} is {:?}", ticket.room, ticket.status));
            }
        }
        for (name, head) in heads {
            let known = self.core.room(&RoomId::parse(name).expect("a room")).unwrap_or_default();
            if known.membership != Membership::Member || known.last != *head {
                lacks.push(format!("{name} is at {head}, and {known:?}"));
            }
            // Of one that was quiet since it came, it was told nothing.
            let shown = self.rooms.get(name).filter(|room| !room.may_jump);
            if shown.and_then(|room| room.last).is_some_and(|last| last != *head) {
                lacks.push(format!("{name} is at {head}, and told is {shown:?}"));
            }
        }
        if is_presence_told && self.online.is_none() {
            lacks.push("who is online".to_owned());
        }
        if !self.calls.is_empty() {
            lacks.push(format!("answers to {:?}", self.calls));
        }
        lacks
    }

    /// The newest event of a stream that it was told.
    pub(crate) fn newest_of(&self, stream: &str) -> u64 {
        self.streams.get(stream).map_or(0, |stream| stream.last)
    }

    /// An event has come for it.
    pub(crate) fn event_arrives(&mut self, stream: &str, seq: u64) {
        let shown = self.streams.entry(stream.to_owned()).or_default();
        if shown.is_answered {
            shown.arrived.insert((shown.begun, seq));
        }
    }

    /// A subscription was answered: what its snapshot has, has come for it.
    pub(crate) fn subscribed(&mut self, told: &Value, asked_at: u64) {
        let stream = told["stream"].as_str().expect("a stream");
        let shown = self.streams.entry(stream.to_owned()).or_default();
        // The answer to an earlier question comes too late.
        if shown.asked_at != asked_at {
            return;
        }
        shown.is_answered = true;
        match &told["snapshot"] {
            Value::Null => {}
            Value::Array(events) => {
                for event in events {
                    self.event_arrives(stream, event["seq"].as_u64().expect("a seq"));
                }
            }
            _ => self.event_arrives(stream, told["seq"].as_u64().expect("a seq")),
        }
    }
}

impl World {
    /// A program begins, or begins anew.
    pub(crate) fn begins(&mut self, client: &mut Client) {
        self.is_told(client, CoreInput::WatchPresence);
        self.is_told(client, CoreInput::Open);
    }

    /// The core takes an input, and what it wants is done.
    pub(crate) fn is_told(&mut self, client: &mut Client, input: CoreInput<'_>) {
        let timestamp = self.wall();
        let now = Now { moment: Moment::from_millis(self.now), timestamp, age_by: timestamp };
        self.trace(|| format!("c{}: {input:?}", client.index));
        let Some(program) = &mut client.program else { return };
        let mut effects = Vec::new();
        program.core.handle(now, input, &mut effects);
        for effect in effects {
            self.carries_out(client, effect);
        }
        let Some(program) = &mut client.program else { return };
        let due = program.core.deadline();
        if due != Moment::NEVER && due.as_millis() < program.due {
            program.due = due.as_millis();
            self.at(due.as_millis().max(self.now), Event::Core(client.index));
        }
    }

    /// Time has passed for a core.
    pub(crate) fn core_is_due(&mut self, client: &mut Client) {
        if let Some(program) = &mut client.program
            && program.due <= self.now
        {
            program.due = u64::MAX;
            self.is_told(client, CoreInput::Time);
        }
    }

    /// A program takes what it was told.
    pub(crate) fn takes(&mut self, client: &mut Client) {
        if let Some(program) = &mut client.program {
            program.is_taking = false;
            let count = std::mem::take(&mut program.untaken);
            self.is_told(client, CoreInput::Taken(count));
        }
    }

    /// Whoever is asked for a token has one, as a rule.
    pub(crate) fn gives_token(&mut self, client: &mut Client) {
        let asked = client.program.as_mut().and_then(|program| program.asks_token.take());
        let Some(serial) = asked else { return };
        let given = if !self.is_quiet && self.dice.one_in(15) {
            Err(TokenFailure { message: "nobody is there".into(), is_final: false })
        } else {
            let token = self.token(&client.user, client.is_admin);
            Ok(Some(token.text.into()))
        };
        self.is_told(client, CoreInput::Token { serial, given });
    }

    fn carries_out(&mut self, client: &mut Client, effect: CoreEffect) {
        let index = client.index;
        let Some(program) = &mut client.program else { return };
        match effect {
            CoreEffect::AskToken { serial, reason } => {
                program.asks_token = Some(serial);
                if reason.as_str() != "first" {
                    self.tokens.remove(&client.user);
                    self.coverage.count("tokens refreshed");
                }
                let wait = if self.is_quiet { 0 } else { self.dice.skewed(0, 1_000) };
                self.at(self.now + wait, Event::Token(index));
            }
            CoreEffect::Dial { serial, .. } => {
                program.serial = serial;
                self.connects(client);
            }
            CoreEffect::Send { serial, text } => {
                assert_eq!(serial, program.serial, "c{index} sends on a connection that is over");
                self.sends_text(client, &text);
            }
            CoreEffect::Drop { serial } => {
                assert_eq!(serial, program.serial, "c{index} lets go of another connection");
                if let Some(link) = client.link.take() {
                    self.hangs_up(link, false);
                }
                client.stage = Stage::Away;
            }
            CoreEffect::Tell(told) => self.hears_from_core(client, told),
            CoreEffect::Answer { call, answer } => {
                assert!(program.calls.remove(&call), "call {call} of c{index}: {answer:?}");
            }
            CoreEffect::Ticket { id, status } => self.ticket(client, &id, status),
            CoreEffect::Keep(kept) => match program.kept.iter_mut().find(|one| one.id == kept.id) {
                Some(known) => *known = kept,
                None => program.kept.push(kept),
            },
            CoreEffect::Forget(id) => program.kept.retain(|one| one.id != id),
            other => panic!("what is {other:?}?"),
        }
    }

    /// What the core has sent is a request like any: it is known what its answer is judged by.
    fn sends_text(&mut self, client: &mut Client, text: &str) {
        let Some(link) = client.link else { return };
        let message: Value = serde_json::from_str(text).expect("JSON");
        let what = self.what(&message);
        let payload = &message["payload"];
        if let What::Auth { jti } = &what
            && message.get("id").is_none()
        {
            client.shown_jti.clone_from(jti);
        }
        if let What::Publish { number, .. } = what {
            let stream = payload["stream"].as_str().expect("a stream");
            self.streams.publishes(stream, number, payload["data"].clone());
        }
        if let (What::Subscribe { asks }, Some(program)) = (&what, &mut client.program) {
            for ask in asks {
                let shown = program.streams.entry(ask.stream.clone()).or_default();
                shown.begun += 1;
                (shown.asked_at, shown.is_answered) = (self.now, false);
            }
        }
        if let Some(id) = message["id"].as_u64() {
            client.session.life = self.links[link].life;
            let room = match (payload["room"].as_str(), payload["to"].as_str()) {
                (Some(room), _) => room.to_owned(),
                (None, Some(other)) => direct(&client.user, other),
                (None, None) => String::new(),
            };
            let floor = self.checker.floor(&room, &client.user);
            client.session.asks(id, Asked { what, room, floor, at: self.now });
        }
        self.trace(|| format!("c{} ({}) -> {text}", client.index, client.user));
        self.sends_frame(client, Message::Text(text));
    }

    fn what(&self, message: &Value) -> What {
        let payload = &message["payload"];
        let text = |name: &str| payload[name].as_str().map(str::to_owned);
        let number = |name: &str| payload[name].as_u64();
        match message["type"].as_str().expect("a type") {
            "chat:send" => What::Send { cid: text("cid").expect("a cid") },
            "chat:edit" | "chat:delete" | "chat:react" => What::Change,
            "chat:history" => What::History { after: number("after"), before: number("before") },
            "chat:read" => What::Read,
            "resume" => {
                let rooms = payload["rooms"].as_object().expect("rooms");
                let positions = rooms
                    .iter()
                    .map(|(room, seq)| (room.clone(), seq.as_u64().expect("a position")));
                What::Resume { positions: positions.collect(), is_last: payload["more"] != true }
            }
            "info" if payload["after"].is_string() => What::Rooms,
            "room:join" => What::Join,
            "room:create" => What::Create,
            "room:members" => What::Members,
            "presence:list" => What::Presence,
            "auth" => {
                let token = text("token").expect("a token");
                What::Auth { jti: self.jtis.get(&token).cloned().unwrap_or_default() }
            }
            "auth:revoke" => What::Revoke { jti: text("jti").expect("a jti") },
            "subscribe" => {
                let filter = Choice::ALL.iter().find(|one| one.json() == payload["filter"]);
                What::Subscribe {
                    asks: vec![Wanted {
                        stream: text("stream").expect("a stream"),
                        filter: filter.copied(),
                        max_rate: number("max_rate").and_then(|rate| u32::try_from(rate).ok()),
                        since: number("since"),
                        epoch: text("epoch"),
                    }],
                }
            }
            "unsubscribe" => What::Unsubscribe { streams: vec![text("stream").expect("a stream")] },
            "publish" => {
                let stream = text("stream").expect("a stream");
                let declaration = self.streams.declaration(&stream);
                let data = &payload["data"]["n"];
                let number = data.as_u64();
                let is_sound = declaration.is_some_and(|one| !one.binary) && number.is_some();
                let number = number.or_else(|| data.as_str()?.parse().ok());
                What::Publish { number: number.expect("a number"), is_sound }
            }
            _ => What::Plain,
        }
    }

    /// The connection is over, as the world knows.
    pub(crate) fn core_loses(&mut self, client: &mut Client, code: Option<u16>) {
        client.link = None;
        client.stage = Stage::Away;
        let serial = client.program.as_ref().expect("it has one").serial;
        let lost = CoreInput::Lost { serial, code, reason: "", retry_after_ms: None };
        self.is_told(client, lost);
    }

    /// The WebSocket is open.
    pub(crate) fn core_opens(&mut self, client: &mut Client) {
        let serial = client.program.as_ref().expect("it has one").serial;
        self.is_told(client, CoreInput::Opened { serial });
    }

    /// A message has come.
    pub(crate) fn core_hears(&mut self, client: &mut Client, text: &str) {
        let serial = client.program.as_ref().expect("it has one").serial;
        self.is_told(client, CoreInput::Text { serial, text });
    }

    pub(crate) fn core_hears_bytes(&mut self, client: &mut Client, bytes: &[u8]) {
        let serial = client.program.as_ref().expect("it has one").serial;
        self.is_told(client, CoreInput::Bytes { serial, bytes });
    }

    // --- What the program is told ---

    fn hears_from_core(&mut self, client: &mut Client, told: ClientEvent) {
        let index = client.index;
        self.trace(|| format!("c{index} is told {told:?}"));
        let Some(program) = &mut client.program else { return };
        program.untaken += 1;
        assert!(program.untaken <= program.options.queue, "c{index} is told more than it takes");
        if !std::mem::replace(&mut program.is_taking, true) {
            let is_slow = program.is_slow && !self.is_quiet;
            let wait = if is_slow { self.dice.skewed(10, 5_000) } else { 0 };
            self.at(self.now + wait, Event::Take(index));
        }
        match told {
            ClientEvent::State(state) => {
                if matches!(state, State::Failed { .. }) && !client.has_gone {
                    self.coverage.count("clients that stopped");
                    self.at(self.now + 500, Event::Connect(index));
                }
                program.state = state;
            }
            ClientEvent::Entry(entry) => {
                self.checker.agrees(&entry);
                program.entry(index, &entry);
            }
            ClientEvent::Gap(gap) => {
                self.coverage.count("gaps told");
                program.gap(index, &gap);
            }
            ClientEvent::Membership { room, membership } => {
                let shown = program.rooms.entry(room.as_str().to_owned()).or_default();
                shown.is_member = membership == Membership::Member;
                // It begins where the program said, unless it was told too late that there is more to it.
                let begins = std::mem::take(&mut shown.is_begun) && shown.is_member;
                shown.may_jump = !begins || program.options.queue < 1_000;
            }
            ClientEvent::Presence(presences) => {
                let users = presences.users.keys().map(|user| user.as_str().to_owned());
                program.online = Some((!presences.is_counted).then(|| users.collect()));
            }
            ClientEvent::Stream(update) => program.stream(index, &update),
            ClientEvent::StreamGap { stream, .. } => {
                program.streams.entry(stream.as_str().to_owned()).or_default().has_gap = true;
            }
            ClientEvent::StreamRefused { stream, .. } => {
                client.wanted.remove(stream.as_str());
            }
            ClientEvent::LeftOut(count) => {
                assert!(count > 0);
                self.coverage.add("told too late", count);
            }
            _ => {}
        }
    }

    fn ticket(&mut self, client: &mut Client, cid: &str, status: TicketStatus) {
        let (index, user) = (client.index, client.user.clone());
        self.trace(|| format!("c{index}: {cid} is {status:?}"));
        let Some(program) = &mut client.program else { return };
        let ticket = program.tickets.get_mut(cid).expect("it was sent");
        let is_over = matches!(ticket.status, TicketStatus::Acked { .. } | TicketStatus::Cancelled);
        assert!(!is_over, "{cid} of c{index} is {:?}, and then {status:?}", ticket.status);
        if let TicketStatus::Failed(error) = &status {
            let is_refused =
                !matches!(&*error.code, "closed" | "cancelled" | "disconnected" | "timeout");
            assert!(is_refused, "{cid} of c{index} has failed, and nobody has refused it: {error}");
        }
        if let TicketStatus::Acked { room, seq, .. } = &status {
            assert_eq!(room.as_str(), ticket.room);
            self.checker.is_stored(&user, &ticket.room, cid, *seq);
            // One that had failed was stored nevertheless, whenever.
            if matches!(ticket.status, TicketStatus::Queued | TicketStatus::Sent) {
                let before = program.acked.insert(ticket.room.clone(), *seq);
                assert!(before < Some(*seq), "{cid} of c{index} is {seq}, behind {before:?}");
            }
            client.sent.push(Unsent {
                cid: cid.to_owned(),
                to: ticket.room.clone(),
                text: ticket.text.clone(),
                not_before: 0,
                is_under_way: false,
            });
        }
        ticket.status = status;
    }

    // --- What the program does ---

    /// The program asks something.
    pub(crate) fn calls(&mut self, client: &mut Client, kind: &str, payload: &Value) {
        let call = client.program.as_mut().map_or(0, |program| program.next_call());
        let (kind, payload) = (kind.to_owned(), payload.to_string());
        self.is_told(client, CoreInput::Ask { call, kind, payload, timeout_ms: None });
    }

    pub(crate) fn core_joins(&mut self, client: &mut Client, room: &str, is_wanted: bool) {
        let call = client.program.as_mut().map_or(0, |program| program.next_call());
        let room = RoomId::parse(room).expect("a room");
        self.is_told(
            client,
            match is_wanted {
                true => CoreInput::Join { room, call: Some(call) },
                false => CoreInput::Leave { room, call },
            },
        );
    }

    /// A message is to be sent, and is sent until it is acknowledged.
    pub(crate) fn core_says(&mut self, client: &mut Client, to: &str, cid: &str, text: &str) {
        let room = match to.strip_prefix('@') {
            Some(other) => direct(&client.user, other),
            None => to.to_owned(),
        };
        self.checker.says(&client.user, &room, cid, text);
        let kept = Kept {
            id: cid.into(),
            user: None,
            room: RoomId::parse(&room).expect("a room"),
            text: text.into(),
            data: None,
            reply_to: None,
            at: Timestamp(0),
            failed: None,
        };
        let Some(program) = &mut client.program else { return };
        let ticket = Ticket { room, text: text.to_owned(), status: TicketStatus::Queued };
        program.tickets.insert(cid.to_owned(), ticket);
        self.is_told(client, CoreInput::Send(kept));
        if self.dice.one_in(30) {
            self.is_told(client, CoreInput::Cancel(cid));
        }
    }

    pub(crate) fn core_marks(&mut self, client: &mut Client, room: &str, seq: u64) {
        let room = RoomId::parse(room).expect("a room");
        let seq = (!self.dice.one_in(3)).then_some(seq);
        self.is_told(client, CoreInput::MarkRead { room, seq });
    }

    pub(crate) fn core_types(&mut self, client: &mut Client, room: &str) {
        let room = RoomId::parse(room).expect("a room");
        let typing = !self.dice.one_in(4);
        self.is_told(client, CoreInput::Typing { room, typing });
    }

    pub(crate) fn core_watches(&mut self, client: &mut Client, ask: &Wanted) {
        let stream = StreamId::parse(&ask.stream).expect("a stream");
        let options = WatchOptions {
            filter: ask.filter.map(|filter| filter.json().to_string().into()),
            max_rate: ask.max_rate,
        };
        client.wanted.entry(ask.stream.clone()).or_default();
        self.is_told(client, CoreInput::Watch { stream, options: Some(options) });
    }

    pub(crate) fn core_unwatches(&mut self, client: &mut Client, stream: &str) {
        client.wanted.remove(stream);
        let stream = StreamId::parse(stream).expect("a stream");
        self.is_told(client, CoreInput::Watch { stream, options: None });
    }

    /// Something happens to a program, or it changes its mind about its connection.
    pub(crate) fn is_disturbed(&mut self, client: &mut Client) {
        match self.dice.below(6) {
            0 | 1 => {
                self.coverage.count("programs begun again");
                let from = self.dice.one_in(2);
                self.begins_again(client, |room| from.then_some(room));
            }
            2 => self.begins(client),
            3 => self.is_told(client, CoreInput::Hint(Hint::Offline)),
            4 => self.is_told(client, CoreInput::Hint(Hint::Online)),
            _ => {
                let is_sleep = self.dice.one_in(2);
                self.is_told(
                    client,
                    match is_sleep {
                        true => CoreInput::Hint(Hint::Sleep),
                        false => CoreInput::Pause("the program"),
                    },
                );
                let wait = self.dice.skewed(0, 5_000);
                self.at(self.now + wait, Event::Connect(client.index));
            }
        }
    }

    /// The program ends at once, and begins with what is on its disk; `from` says where it goes on in its rooms.
    pub(crate) fn begins_again(&mut self, client: &mut Client, from: impl Fn(u64) -> Option<u64>) {
        if let Some(link) = client.link.take() {
            self.hangs_up(link, false);
        }
        client.stage = Stage::Away;
        let seed = self.dice.seed();
        let Some(program) = &mut client.program else { return };
        program.core = Core::new(program.options.clone(), seed);
        (program.serial, program.asks_token, program.due) = (0, None, u64::MAX);
        program.untaken = 0;
        program.calls.clear();
        program.online = None;
        program.streams.clear();
        let kept = program.kept.clone();
        let is_there = |cid: &str| kept.iter().any(|kept| &*kept.id == cid);
        // What was not on its disk yet was never promised.
        program.tickets.retain(|cid, ticket| {
            is_there(cid) || !matches!(ticket.status, TicketStatus::Queued | TicketStatus::Sent)
        });
        for room in program.rooms.values_mut() {
            (room.may_jump, room.is_begun, room.is_member) = (true, false, false);
        }
        let mut begin = Vec::new();
        for (name, room) in &mut program.rooms {
            let last = room.last.and_then(&from);
            if let Some(seq) = last {
                (room.last, room.may_jump, room.first) = (Some(seq), false, 0);
                room.is_begun = true;
                begin.push((RoomId::parse(name).expect("a room"), seq));
            }
        }
        let unconfirmed: Vec<_> = kept
            .iter()
            .filter(|kept| kept.user.is_none() && kept.failed.is_none())
            .cloned()
            .collect();
        self.is_told(client, CoreInput::Left(kept));
        for kept in unconfirmed {
            self.is_told(client, CoreInput::Retry(&kept.id));
        }
        for (room, seq) in begin {
            self.is_told(client, CoreInput::From { room, seq });
        }
        for stream in client.wanted.keys().cloned().collect::<Vec<_>>() {
            let stream = StreamId::parse(&stream).expect("a stream");
            let options = Some(WatchOptions::default());
            self.is_told(client, CoreInput::Watch { stream, options });
        }
        self.begins(client);
    }

    /// It begins with nothing but its rooms' names, and reads them whole.
    pub(crate) fn reads_anew(&mut self, client: &mut Client, rooms: &[String]) {
        client.wanted.clear();
        if let Some(program) = &mut client.program {
            program.rooms.clear();
            for room in rooms {
                let shown = program.rooms.entry(room.clone()).or_default();
                shown.last = Some(0);
            }
        }
        self.begins_again(client, Some);
    }
}

impl Program {
    fn next_call(&mut self) -> u64 {
        self.last_call += 1;
        self.calls.insert(self.last_call);
        self.last_call
    }

    fn entry(&mut self, index: usize, entry: &Entry) {
        let (name, seq) = (entry.room.as_str(), entry.seq);
        let shown = self.rooms.entry(name.to_owned()).or_default();
        if let Some(last) = shown.last {
            let is_next = if shown.may_jump { seq > last } else { seq == last + 1 };
            assert!(is_next, "c{index} is told {name} {seq} behind {last}");
        }
        shown.last = Some(seq);
        shown.may_jump = false;
        if shown.first == 0 {
            shown.first = seq;
        }
    }

    fn gap(&mut self, index: usize, gap: &Gap) {
        let shown = self.rooms.entry(gap.room.as_str().to_owned()).or_default();
        if let Some(last) = shown.last.filter(|_| !shown.may_jump) {
            assert_eq!(gap.after, last, "c{index}: {gap:?}");
        }
        assert!(gap.before > gap.after + 1, "c{index}: {gap:?}");
        assert_eq!(gap.reason, "gone", "the log was lost");
        shown.last = Some(gap.before - 1);
        shown.may_jump = false;
    }

    fn stream(&mut self, index: usize, update: &StreamUpdate) {
        let name = update.stream.as_str();
        let shown = self.streams.entry(name.to_owned()).or_default();
        let of_newest = shown.arrived.iter().rev().find(|(_, seq)| *seq == update.seq);
        let begun = of_newest.unwrap_or_else(|| panic!("c{index}: {update:?} did not come")).0;
        let is_before =
            |(of, seq): &(u64, u64)| *of < begun || (*of == begun && *seq <= update.seq);
        // What it was told comes again after some subscriptions.
        let from = if update.seq > shown.last { shown.last + 1 } else { 0 };
        let left_out = shown.arrived.range((begun, from)..(begun, update.seq)).count();
        let is_told = update.is_skipped || std::mem::take(&mut shown.has_gap);
        assert!(left_out == 0 || is_told, "c{index}: {left_out} before {update:?} are silent");
        shown.arrived.retain(|one| !is_before(one));
        shown.last = update.seq;
    }
}

fn direct(user: &str, other: &str) -> String {
    let (one, two) = if user < other { (user, other) } else { (other, user) };
    format!("dm:{one}:{two}")
}
