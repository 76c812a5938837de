//! One connection of a user after the other, as our clients make them: it says where it wants to go
//! on, sends again what was not acknowledged, paces itself, and comes back.

use super::checker::{Asked, Checker, Session, What};
use super::dice::Dice;
use super::net::Parcel;
use super::program::Program;
use super::streams::{Named, Position};
use super::world::World;
use parlor::base::Outbox;
use parlor::protocol::deflate::{Codecs, CodecsConfig, Deflate, Offer};
use parlor::protocol::handshake::client::{ClientHandshake, ClientRequest};
use parlor::protocol::{CloseCode, Endpoint, Event, Message, Received};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

/// How far a client's connection is.
#[derive(Debug, Default)]
pub(crate) enum Stage {
    #[default]
    Away,
    Opening(Box<ClientHandshake>, Vec<u8>),
    /// The token goes as the first message.
    Open(Box<Endpoint>),
}

/// A message that was not acknowledged.
#[derive(Clone, Debug)]
pub(crate) struct Unsent {
    pub(crate) cid: String,
    /// Where: a room, or `@user`.
    pub(crate) to: String,
    pub(crate) text: String,
    pub(crate) not_before: u64,
    pub(crate) is_under_way: bool,
}

/// Who is online, as this client knows it.
#[derive(Debug, Default)]
pub(crate) struct View {
    pub(crate) online: BTreeSet<String>,
    /// Of the first page of a list; what is newer comes on top.
    version: Option<u64>,
    /// A list is being read: what was pushed meanwhile.
    pushed: Option<Vec<(u64, bool, Vec<String>)>>,
    pub(crate) is_known: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Client {
    pub(crate) index: usize,
    pub(crate) user: String,
    pub(crate) is_admin: bool,
    pub(crate) is_rogue: bool,
    pub(crate) link: Option<usize>,
    pub(crate) stage: Stage,
    pub(crate) session: Session,
    /// Pieces of its `resume` that are not answered.
    pub(crate) resumes: Option<usize>,
    pub(crate) is_ready: bool,
    /// Where the rooms go on that the greeting has left out.
    pub(crate) lists_after: Option<String>,
    epoch: String,
    pub(crate) rooms: BTreeMap<String, u64>,
    /// Streams that it wants to watch, and how far it has come in each.
    pub(crate) wanted: BTreeMap<String, Position>,
    pub(crate) refused: BTreeSet<String>,
    pub(crate) unsent: Vec<Unsent>,
    pub(crate) sent: Vec<Unsent>,
    /// What it has published with an id, newest last: any of it may come again.
    pub(crate) named: VecDeque<Named>,
    next_id: u64,
    pub(crate) under_way: BTreeMap<u64, Option<String>>,
    /// Nothing is asked before.
    pub(crate) not_before: u64,
    spread_until: u64,
    failures: u32,
    pub(crate) last_heard: u64,
    pub(crate) view: View,
    /// Pages of a room's history that are being read, at the end.
    pub(crate) reads: BTreeMap<String, u64>,
    pub(crate) has_read: BTreeMap<String, (u64, u64)>,
    /// The first entry of what is read of a room.
    reads_from: BTreeMap<String, u64>,
    rate: (u64, u64),
    pub(crate) has_gone: bool,
    outbox: Option<Outbox>,
    says_token: bool,
    /// Of the token that it shows, and of that on which its session stands.
    pub(crate) shown_jti: String,
    shows_late: bool,
    pub(crate) jti: String,
    connected_at: u64,
    refreshed_at: u64,
    /// The product's client decides for it, and not the code of this file.
    pub(crate) program: Option<Box<Program>>,
}

/// A message, as it was read; as text, too, for a program.
enum Told {
    Json(Rc<Value>, Option<String>),
    Bytes(Vec<u8>),
}

/// A token that lasts no longer than its announcement is not renewed at once.
const REFRESH_EVERY_MS: u64 = 4_000;

impl Client {
    pub(crate) fn new(index: usize, user: String, is_admin: bool, is_rogue: bool) -> Client {
        let outbox = Some(Outbox::alone(u32::MAX));
        Client { index, user, is_admin, is_rogue, outbox, ..Client::default() }
    }

    pub(crate) fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Open(_))
    }

    /// The streams that it wants to watch, and does not.
    pub(crate) fn missing_streams(&self) -> impl Iterator<Item = &String> {
        self.wanted.keys().filter(|stream| !self.session.watches.contains_key(*stream))
    }

    /// It knows nothing any more: no position, no epoch.
    pub(crate) fn forgets(&mut self) {
        self.rooms.clear();
        self.wanted.clear();
        self.epoch.clear();
        self.has_read.clear();
        self.reads_from.clear();
    }

    /// What the endpoint wants sent.
    fn out(&mut self) -> Vec<u8> {
        let Some(out) = &mut self.outbox else { return Vec::new() };
        let bytes: Vec<u8> = out.pieces().flatten().copied().collect();
        out.clear();
        bytes
    }
}

impl World {
    /// A client opens a connection, in one of the ways.
    pub(crate) fn connects(&mut self, client: &mut Client) {
        let link = self.open_link(client.index);
        client.link = Some(link);
        let announces = self.dice.one_in(if client.is_rogue { 3 } else { 10 });
        let has_core = client.program.is_some();
        let resumes = if has_core {
            true
        } else if client.epoch.is_empty() {
            announces && !self.is_quiet
        } else {
            !client.is_rogue || announces
        };
        for watch in std::mem::take(&mut client.session.watches).into_values() {
            self.streams.is_over(watch);
        }
        client.session = Session::new(&client.user, resumes, &self.checker);
        client.resumes = resumes.then_some(0);
        client.is_ready = false;
        client.view = View::default();
        client.refused.clear();
        client.under_way.clear();
        client.last_heard = self.now;
        client.spread_until = 0;
        for unsent in &mut client.unsent {
            unsent.is_under_way = false;
        }
        let mut target = String::from(if resumes { "/ws?resume=1" } else { "/ws?resume=0" });
        (client.shown_jti, client.jti) = (String::new(), String::new());
        client.connected_at = self.now;
        let mut token = String::new();
        if !has_core {
            let fresh = self.token(&client.user, client.is_admin);
            (token, client.shown_jti) = (fresh.text, fresh.jti);
        }
        let (bearer, authorization);
        let (mut protocols, mut fields): (Vec<&str>, Vec<(&str, &str)>) = (Vec::new(), Vec::new());
        let way = match (self.plan.is_open_mode, has_core) {
            (true, _) => 9,
            (false, true) => 3,
            (false, false) => self.dice.below(4),
        };
        match way {
            0 => {
                authorization = format!("Bearer {token}");
                fields.push(("Authorization", &authorization));
            }
            1 => target += &format!("&token={token}"),
            2 => {
                bearer = format!("bearer.{token}");
                protocols.extend(["parlor.v1", &bearer]);
            }
            3 => {}
            _ => target += &format!("&user={}", client.user),
        }
        let offer = [Offer::default()];
        let deflate = if self.dice.one_in(2) { &offer[..] } else { &[] };
        let host = "localhost";
        let request = ClientRequest {
            host,
            target: &target,
            protocols: &protocols,
            deflate,
            fields: &fields,
        };
        let nonce = [self.dice.below(256) as u8; 16];
        let handshake = ClientHandshake::new(request, nonce).expect("a request");
        self.sends(link, handshake.request().to_vec());
        client.stage = Stage::Opening(Box::new(handshake), Vec::new());
        self.trace(|| {
            format!("c{} connects as {}, link {link}, way {way}", client.index, client.user)
        });
        client.shows_late = way == 3;
        client.says_token = !has_core && (way == 3 || (way < 3 && self.dice.one_in(10)));
        client.next_id = 1;
    }

    /// The connection is over, as far as the client knows.
    pub(crate) fn loses(&mut self, client: &mut Client, retry: bool) {
        if let Some(link) = client.link.take() {
            self.links[link].is_left = true;
        }
        if client.program.is_some() {
            return self.core_loses(client, None);
        }
        client.stage = Stage::Away;
        client.is_ready = false;
        client.failures = (client.failures + 1).min(4);
        let most = if self.is_quiet { 500 } else { 200 << client.failures };
        let wait = self.dice.range(0, most);
        if retry && !client.has_gone {
            self.at(self.now + wait, super::world::Event::Connect(client.index));
        }
    }

    /// Something arrives at a client.
    pub(crate) fn receives(&mut self, client: &mut Client, parcel: Parcel) {
        client.last_heard = self.now;
        match parcel {
            Parcel::Bytes(bytes) => {
                let Some(link) = client.link else { return };
                let bytes = self.decrypts(link, bytes);
                if !bytes.is_empty() {
                    self.reads(client, bytes);
                }
            }
            Parcel::End | Parcel::Reset => {
                let Some(link) = client.link else { return };
                let is_end = matches!(parcel, Parcel::End);
                self.trace(|| format!("c{} is told of the end ({is_end})", client.index));
                self.hangs_up(link, !is_end);
                self.loses(client, true);
            }
        }
    }

    fn reads(&mut self, client: &mut Client, bytes: Vec<u8>) {
        let mut bytes = bytes;
        if let Stage::Opening(handshake, answer) = &mut client.stage {
            answer.extend(&bytes);
            let opened = match handshake.judge(answer) {
                Ok(None) => return,
                Ok(Some(opened)) => opened,
                Err(error) => {
                    self.coverage.count("handshakes refused");
                    self.tokens.remove(&client.user);
                    let text = String::from_utf8_lossy(answer).into_owned();
                    self.trace(|| format!("c{}: {error}: {text}", client.index));
                    let Some(link) = client.link else { return };
                    self.hangs_up(link, false);
                    self.loses(client, true);
                    return;
                }
            };
            bytes = answer.split_off(opened.head_len);
            let keys = Box::new(Dice::new(self.dice.seed()));
            let mut endpoint = Endpoint::client(Default::default(), keys);
            if let Some(agreed) = opened.deflate {
                let codecs =
                    self.codecs.get_or_insert_with(|| Codecs::new(CodecsConfig::default()));
                endpoint = endpoint.with_deflate(Deflate::client(&agreed, codecs));
                self.coverage.count("compressed connections");
            }
            client.stage = Stage::Open(Box::new(endpoint));
            if client.program.is_some() {
                self.core_opens(client);
            }
            if client.says_token {
                // Whoever has said it in the head says it twice: a refresh.
                let token = self.token(&client.user, client.is_admin);
                if client.shows_late {
                    client.shown_jti.clone_from(&token.jti);
                }
                if self.dice.one_in(20) {
                    self.coverage.count("no token");
                } else {
                    let resume = client.resumes.is_some();
                    self.asks(
                        client,
                        "auth",
                        json!({"token": token.text, "resume": resume}),
                        What::Auth { jti: token.jti },
                        "",
                    );
                }
            }
        }
        self.reads_frames(client, &mut bytes);
    }

    fn reads_frames(&mut self, client: &mut Client, bytes: &mut [u8]) {
        let Stage::Open(mut endpoint) = std::mem::take(&mut client.stage) else { return };
        let mut out = client.outbox.take().expect("it has one");
        let mut input = Received::new(bytes);
        let (mut messages, mut over) = (Vec::new(), None);
        loop {
            match endpoint.next_event(&mut input, &mut out) {
                Ok(Some(Event::Text(text))) => {
                    let whole = client.program.is_some().then(|| text.to_owned());
                    messages.push(Told::Json(self.parse(text), whole));
                }
                Ok(Some(Event::Binary(bytes))) => messages.push(Told::Bytes(bytes.to_vec())),
                Ok(Some(Event::Closed { code, reason })) => over = Some((code, reason.to_owned())),
                Ok(Some(Event::Ping(_) | Event::Pong(_))) => {}
                Ok(None) => break,
                Err(error) => panic!("the server broke the protocol: {error}"),
            }
        }
        client.outbox = Some(out);
        client.stage = Stage::Open(endpoint);
        let Some(link) = client.link else { return };
        let bytes = client.out();
        self.sends(link, bytes);
        for message in messages {
            let Some(turn) = self.links[link].departures.turns.pop_front() else {
                panic!("a message that did not leave")
            };
            match message {
                Told::Json(message, text) => {
                    self.trace(|| {
                        format!("c{} ({}) <- {message} (left in {turn})", client.index, client.user)
                    });
                    self.hears(client, &message, turn);
                    if let Some(text) = text {
                        self.core_hears(client, &text);
                    }
                }
                Told::Bytes(bytes) => {
                    self.hears_bytes(client, &bytes);
                    if client.program.is_some() {
                        self.core_hears_bytes(client, &bytes);
                    }
                }
            }
            // What comes behind is of a connection that is over.
            if client.link != Some(link) {
                return;
            }
        }
        if let Some((code, reason)) = over {
            self.trace(|| format!("c{} is closed: {code:?} {reason}", client.index));
            self.closed(client, code);
        }
    }

    fn closed(&mut self, client: &mut Client, code: Option<CloseCode>) {
        let name = match code.map(|code| code.0) {
            Some(1002 | 1003 | 1007 | 1009) => "closes: broken protocol",
            Some(4000) => "closes: bad_client",
            Some(4001) => "closes: unauthorized",
            Some(4002) => "closes: auth_timeout",
            Some(4004) => "closes: too_many",
            Some(4101) => "closes: slow",
            Some(4102) => "closes: heartbeat",
            Some(4103) => "closes: rate",
            Some(4104) => "closes: overloaded",
            Some(4200) => "closes: token_expired",
            Some(4201) => "closes: token_revoked",
            _ => "closes: others",
        };
        self.coverage.count(name);
        let is_of_token = ["token_expired", "token_revoked", "unauthorized"];
        if is_of_token.iter().any(|end| name.ends_with(end)) {
            self.tokens.remove(&client.user);
        }
        if !client.is_rogue {
            let code = code.map(|code| code.0);
            let is_own_fault = matches!(code, Some(1002 | 1003 | 1007 | 1009 | 1011 | 4000));
            assert!(!is_own_fault, "a client that behaves is closed with {code:?}");
        }
        let Some(link) = client.link else { return };
        self.hangs_up(link, false);
        if client.program.is_some() {
            return self.core_loses(client, code.map(|code| code.0));
        }
        self.loses(client, true);
    }

    /// Sends a request; it has an `id` as a rule.
    pub(crate) fn asks(
        &mut self,
        client: &mut Client,
        kind: &str,
        payload: Value,
        what: What,
        room: &str,
    ) {
        if client.program.is_some() {
            return self.calls(client, kind, &payload);
        }
        let Some(link) = client.link else { return };
        if !client.is_open() {
            return;
        }
        let mut message = json!({"type": kind, "payload": payload});
        let has_id = what != What::Other || !self.dice.one_in(8);
        if has_id {
            client.session.life = self.links[link].life;
            let id = client.next_id;
            client.next_id += 1;
            message["id"] = json!(id);
            let floor = self.checker.floor(room, &client.user);
            let cid = match &what {
                What::Send { cid } => Some(cid.clone()),
                _ => None,
            };
            let asked = Asked { what, room: room.to_owned(), floor, at: self.now };
            client.session.asks(id, asked);
            client.under_way.insert(id, cid);
        }
        let (every, _) = client.rate;
        client.spread_until = client.spread_until.max(self.now) + every;
        let text = message.to_string();
        self.trace(|| format!("c{} ({}) -> {text}", client.index, client.user));
        self.sends_frame(client, Message::Text(&text));
    }

    /// Sends a message.
    pub(crate) fn sends_frame(&mut self, client: &mut Client, message: Message<'_>) {
        let Some(link) = client.link else { return };
        let Stage::Open(endpoint) = &mut client.stage else { return };
        let mut out = client.outbox.take().expect("it has one");
        let _ = endpoint.send.message(message, &mut out);
        client.outbox = Some(out);
        let bytes = client.out();
        self.sends(link, bytes);
    }

    /// Whether the limits that were told allow for another request now.
    pub(crate) fn may_ask(&self, client: &Client) -> bool {
        if let Some(program) = &client.program {
            return program.may_ask();
        }
        let (every, burst) = client.rate;
        client.is_ready
            && self.now >= client.not_before
            && client.spread_until <= self.now + every * burst / 2
    }

    fn hears(&mut self, client: &mut Client, message: &Rc<Value>, turn: u64) {
        self.coverage.count("messages received");
        self.streams.now = self.now;
        let payload = &message["payload"];
        let shelf = Rc::clone(&self.shelf);
        let shelf = shelf.borrow();
        let ledger = &shelf.ends[self.hub_of(client)].ledger;
        let session = &mut client.session;
        match message["type"].as_str().expect("a type") {
            "hello" => {
                self.checker.greeted(ledger, session, payload, turn);
                drop(shelf);
                client.jti.clone_from(&client.shown_jti);
                self.stands(client, client.connected_at, "hello");
                self.greeted(client, payload);
            }
            "chat:message" | "chat:edited" | "chat:deleted" | "chat:reacted" | "room:joined"
            | "room:left" => {
                self.checker.pushed(ledger, session, message, turn);
                let room = payload["room"].as_str().expect("a room");
                let seq = payload["seq"].as_u64().expect("a seq");
                match client.rooms.get_mut(room) {
                    Some(position) => *position = seq,
                    None => {
                        client.rooms.insert(room.to_owned(), seq);
                    }
                }
            }
            "chat:typing" | "chat:read" | "chat:delivered" => {
                self.checker.passing(ledger, session, message, turn);
            }
            "room:updated" => {
                self.coverage.count("rooms told to be different");
                self.checker.updated(ledger, session, payload, turn);
            }
            "room:removed" => {
                self.checker.removed(session, payload);
                let room = payload["room"].as_str().expect("a room");
                client.rooms.remove(room);
                client.refused.remove(room);
            }
            "room:invited" => {
                let room = payload["room"].as_str().expect("a room").to_owned();
                self.invited.insert((client.user.clone(), room));
            }
            "user:online" | "user:offline" => {
                self.checker.presence(ledger, session, payload, turn);
                drop(shelf);
                self.presence_changes(client, message);
            }
            "user:count" => {
                self.coverage.count("people counted");
                self.checker.presence(ledger, session, payload, turn);
                // What it knew is void.
                client.view = View::default();
            }
            "event" => {
                drop(shelf);
                self.hears_event(client, payload, turn);
            }
            "stream:stale" => {
                drop(shelf);
                self.hears_age(client, payload);
            }
            "notice" if payload["code"] == "unsubscribed" => {
                drop(shelf);
                self.lost_to_others(client, payload);
            }
            "notice" => {
                if client.program.is_none()
                    && payload["code"] == "token_expiring"
                    && self.now >= client.refreshed_at + REFRESH_EVERY_MS
                    && !self.dice.one_in(4)
                {
                    drop(shelf);
                    client.refreshed_at = self.now;
                    self.coverage.count("tokens refreshed");
                    self.tokens.remove(&client.user);
                    let token = self.token(&client.user, client.is_admin);
                    let payload = json!({ "token": token.text });
                    self.asks(client, "auth", payload, What::Auth { jti: token.jti }, "");
                }
            }
            "reply" => {
                let answered = session.answered(message);
                let (id, asked) = answered.expect("a reply has an id");
                self.checker.granted(ledger, session, &asked, payload, turn);
                drop(shelf);
                self.stands(client, asked.at, "a reply");
                client.under_way.remove(&id);
                self.granted(client, &asked, payload, turn);
            }
            "error" => {
                let answered = session.answered(message);
                drop(shelf);
                self.coverage.count("refusals");
                Checker::refused(payload);
                if payload["close"].is_u64() {
                    return;
                }
                if let Some((id, asked)) = answered {
                    client.under_way.remove(&id);
                    self.refused(client, &asked, payload);
                } else if let Some(wait) = payload["retry_after_ms"].as_u64() {
                    client.not_before = self.now + wait;
                }
            }
            other => panic!("an unknown push: {other}"),
        }
    }

    /// Nobody is served who asks after their token was revoked.
    fn stands(&self, client: &Client, asked_at: u64, what: &str) {
        if let Some(told) = self.revoked.get(&client.jti) {
            assert!(
                asked_at <= *told,
                "{what} for c{}, whose token {} was revoked",
                client.index,
                client.jti
            );
        }
    }

    fn greeted(&mut self, client: &mut Client, payload: &Value) {
        client.failures = 0;
        let limits = &payload["limits"];
        let per_second = limits["requests_per_second"].as_u64().expect("a rate");
        client.rate = (1_000 / per_second, limits["burst"].as_u64().expect("a burst"));
        let epoch = payload["epoch"].as_str().expect("an epoch");
        assert!(client.epoch.is_empty() || client.epoch == epoch, "the log was lost");
        client.epoch = epoch.to_owned();
        if client.program.is_some() {
            self.coverage.count("resumes");
            return;
        }
        client.lists_after = payload["after"].as_str().map(str::to_owned);
        let heads: BTreeMap<String, u64> = payload["rooms"]
            .as_array()
            .expect("rooms")
            .iter()
            .map(|room| {
                let head = room["head"].as_u64().expect("a head");
                (room["room"].as_str().expect("a name").to_owned(), head)
            })
            .collect();
        let Some(_) = client.resumes else {
            client.rooms = heads;
            client.is_ready = true;
            return;
        };
        self.coverage.count("resumes");
        let mut positions: Vec<(String, u64)> =
            std::mem::take(&mut client.rooms).into_iter().collect();
        for (room, seq) in &mut positions {
            if self.dice.one_in(30) {
                // Somebody who has cleared what they knew, or has a copy of another's.
                *seq = if self.dice.one_in(2) { 0 } else { *seq + 5 };
            }
            client.rooms.insert(room.clone(), *seq);
        }
        // Some are forgotten: these go on from their heads.
        positions.retain(|_| !self.dice.one_in(25));
        let piece = if self.dice.one_in(3) { self.dice.range(1, 3) as usize } else { usize::MAX };
        let mut pieces: Vec<&[(String, u64)]> =
            positions.chunks(piece.min(positions.len().max(1))).collect();
        if pieces.is_empty() {
            pieces.push(&[]);
        }
        client.resumes = Some(pieces.len());
        for (at, piece) in pieces.iter().enumerate() {
            let positions: BTreeMap<String, u64> = piece.iter().cloned().collect();
            let is_last = at + 1 == pieces.len();
            let payload = json!({"epoch": client.epoch, "rooms": positions, "more": !is_last});
            self.asks(client, "resume", payload, What::Resume { positions, is_last }, "");
        }
    }

    fn granted(&mut self, client: &mut Client, asked: &Asked, payload: &Value, turn: u64) {
        match &asked.what {
            What::Send { cid } => {
                if let Some(place) = client.unsent.iter().position(|one| one.cid == *cid) {
                    client.sent.push(client.unsent.remove(place));
                }
            }
            What::Join | What::Create => {
                let room = payload["room"].as_str().expect("a room").to_owned();
                client
                    .rooms
                    .entry(room.clone())
                    .or_insert(payload["head"].as_u64().expect("a head"));
                self.rooms.insert(room);
            }
            What::Resume { .. } if client.program.is_some() => {}
            What::Resume { .. } => {
                for (room, refusal) in payload["refused"].as_object().expect("refused") {
                    client.rooms.remove(room);
                    if matches!(refusal["code"].as_str(), Some("gone" | "epoch_changed")) {
                        client.refused.insert(room.clone());
                    }
                }
                client.resumes = client.resumes.map(|left| left.saturating_sub(1));
                client.is_ready = client.resumes == Some(0);
            }
            What::History { after, .. } => {
                let room = payload["room"].as_str().expect("a room").to_owned();
                let head = payload["head"].as_u64().expect("a head");
                if client.refused.remove(&room) {
                    client.rooms.insert(room.clone(), head);
                }
                if client.reads.get(&room).copied() == *after && after.is_some() {
                    let last = payload["entries"].as_array().and_then(|entries| entries.last());
                    let last =
                        last.map_or(head, |entry| entry["payload"]["seq"].as_u64().expect("a seq"));
                    client.reads.remove(&room);
                    if payload["more"] == true {
                        client.reads.insert(room, last);
                    } else {
                        let from = client.reads_from.remove(&room).unwrap_or(1);
                        client.has_read.insert(room, (from, head));
                    }
                }
            }
            What::Rooms => {
                self.coverage.count("pages of rooms");
                if client.program.is_some() {
                    return;
                }
                client.lists_after = payload["after"].as_str().map(str::to_owned);
                for room in payload["rooms"].as_array().expect("rooms") {
                    let head = room["head"].as_u64().expect("a head");
                    let name = room["room"].as_str().expect("a name").to_owned();
                    client.rooms.entry(name).or_insert(head);
                }
            }
            What::Presence if client.program.is_some() => {}
            What::Presence => self.presence_listed(client, payload),
            What::Auth { jti } => client.jti.clone_from(jti),
            What::Revoke { jti } => {
                self.coverage.count("revocations");
                self.revoked.entry(jti.clone()).or_insert(self.now);
            }
            What::Subscribe { asks } => self.subscribed(client, asks, (asked.at, turn), payload),
            What::Unsubscribe { streams } => {
                self.streams.unsubscribed(&mut client.session.watches, streams, payload);
            }
            What::Publish { number, is_sound } => {
                let stream = payload["stream"].as_str().expect("a stream");
                self.is_committed(stream, payload["seq"].as_u64().expect("a seq"), turn);
                let (user, life) = (&client.user, client.session.life);
                self.streams.granted(user, life, *number, *is_sound, payload);
            }
            What::Change | What::Read | What::Members | What::Plain | What::Other => {}
        }
    }

    fn refused(&mut self, client: &mut Client, asked: &Asked, payload: &Value) {
        let code = payload["code"].as_str().expect("a code");
        let is_worth_it =
            matches!(code, "rate_limited" | "unavailable" | "overloaded" | "internal");
        let wait = payload["retry_after_ms"].as_u64().unwrap_or(1_000);
        if code == "rate_limited" {
            self.coverage.count("rate limited");
            client.not_before = self.now + wait;
        }
        if matches!(code, "unavailable" | "overloaded") {
            self.coverage.count("store refusals");
        }
        match &asked.what {
            What::Send { cid } => {
                if let Some(place) = client.unsent.iter().position(|one| one.cid == *cid) {
                    if is_worth_it {
                        client.unsent[place].is_under_way = false;
                        client.unsent[place].not_before = self.now + wait;
                    } else {
                        client.unsent.remove(place);
                    }
                }
            }
            What::Resume { .. } if client.program.is_some() => {}
            // Its rooms would stay silent: it begins anew.
            What::Resume { .. } => {
                let Some(link) = client.link else { return };
                self.hangs_up(link, false);
                self.loses(client, true);
            }
            What::History { after, .. } => {
                let read = client.reads.remove(&asked.room);
                if code == "gone" {
                    self.coverage.count("gone");
                    let first = payload["first"].as_u64().expect("what is kept");
                    let after = after.expect("only what comes behind an entry can be gone");
                    assert!(after + 1 < first, "{} has what is behind {after}", asked.room);
                    if read.is_some() {
                        client.reads.insert(asked.room.clone(), first - 1);
                        client.reads_from.insert(asked.room.clone(), first);
                    }
                }
            }
            What::Presence => client.view = View::default(),
            What::Publish { number, .. } => {
                assert_ne!(code, "duplicate_mismatch", "{number} was always the same");
                self.streams.refused(*number);
            }
            // What is never granted is no longer needed.
            What::Subscribe { asks } if !is_worth_it => {
                for ask in asks {
                    if !client.session.watches.contains_key(&ask.stream) {
                        client.wanted.remove(&ask.stream);
                    }
                }
            }
            _ => {}
        }
    }

    fn presence_changes(&mut self, client: &mut Client, message: &Value) {
        let payload = &message["payload"];
        let version = payload["version"].as_u64().expect("a version");
        let is_online = message["type"] == "user:online";
        if payload["reset"] == true {
            client.view = View::default();
            self.coverage.count("presence resets");
            return;
        }
        let users: Vec<String> = payload["users"]
            .as_array()
            .expect("users")
            .iter()
            .map(|user| user.as_str().expect("a user").to_owned())
            .collect();
        if let Some(pushed) = &mut client.view.pushed {
            pushed.push((version, is_online, users));
            return;
        }
        for user in users {
            if is_online {
                client.view.online.insert(user);
            } else {
                client.view.online.remove(&user);
            }
        }
    }

    /// Asks who is online, from the first page on.
    pub(crate) fn lists_presence(&mut self, client: &mut Client) {
        client.view = View { pushed: Some(Vec::new()), ..View::default() };
        self.asks(client, "presence:list", json!({}), What::Presence, "");
    }

    fn presence_listed(&mut self, client: &mut Client, payload: &Value) {
        let view = &mut client.view;
        // A reset came meanwhile: what is listed is no more.
        let Some(pushed) = &mut view.pushed else { return };
        let listed = payload["version"].as_u64().expect("a version");
        let first = *view.version.get_or_insert(listed);
        let users = payload["users"].as_array().expect("users");
        let names: Vec<String> =
            users.iter().map(|user| user["user"].as_str().expect("a user").to_owned()).collect();
        let last = names.last().cloned();
        view.online.extend(names);
        if payload["more"] == true {
            let after = last.expect("a page that is not the last has somebody");
            self.asks(client, "presence:list", json!({ "after": after }), What::Presence, "");
            return;
        }
        for (version, is_online, users) in std::mem::take(pushed) {
            for user in users.into_iter().filter(|_| version > first) {
                if is_online {
                    view.online.insert(user);
                } else {
                    view.online.remove(&user);
                }
            }
        }
        view.pushed = None;
        view.is_known = true;
    }
}
