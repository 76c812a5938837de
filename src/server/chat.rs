//! The chat server as an application of WebSockets: sessions between the wire and the hub.

use super::auth::{Keys, Verifier};
use super::calls::Waiting;
use super::config::Config;
use super::drain::{Stopping, restarting};
use super::encode;
use super::events::{EVENTS_PATH, Tickets, Watch, WatchForm};
use super::handler::Registered;
use super::http::{CALL_PATH, Rates, Readiness, Routed, Rules, route, with_fallback};
use super::journal::Journal;
use super::json::Writer;
use super::metrics::Counters;
use super::session::{Arriving, Known, Phase, Session};
use super::shared::Shared;
use super::streams::{guest, largest_binary, too_many_guests};
use super::web::{Answer, Application, Exchange, Message, Net, Over, Request, Web, WebConfig};
use crate::base::limits::{HTTP_RATES_MAX, STORE_REFUSED_MS, USER_RATES_MAX};
use crate::base::{Chance, ConnId, Moment, Outcome, Snapshot};
use crate::hub::{Effects, Hub, Input, Origin};
use crate::protocol::CloseCode;
use crate::protocol::handshake::{RequestHead, Response};
use crate::reactor::Wake;
use crate::store::{Backend, Store};
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;

/// The closes of the wire's own range, and their names.
pub(super) const UNAUTHORIZED: (CloseCode, &str) = (CloseCode(4001), "unauthorized");
pub(super) const AUTH_TIMEOUT: (CloseCode, &str) = (CloseCode(4002), "auth_timeout");
pub(super) const KICKED: (CloseCode, &str) = (CloseCode(4003), "kicked");
pub(super) const TOO_MANY: (CloseCode, &str) = (CloseCode(4004), "too_many");
pub(super) const BAD_CLIENT: (CloseCode, &str) = (CloseCode(4000), "bad_client");
pub(super) const SLOW: (CloseCode, &str) = (CloseCode(4101), "slow");
pub(super) const OVERLOADED: (CloseCode, &str) = (CloseCode(4104), "overloaded");
pub(super) const RATE: (CloseCode, &str) = (CloseCode(4103), "rate");
pub(super) const TOKEN_EXPIRED: (CloseCode, &str) = (CloseCode(4200), "token_expired");
pub(super) const TOKEN_REVOKED: (CloseCode, &str) = (CloseCode(4201), "token_revoked");

/// How long before a token's end it is announced.
const EXPIRY_NOTICE_MS: i64 = 60_000;

/// The chat server, on a store: [`Server`](super::Server) puts it on the real one, and on sockets.
#[derive(Debug)]
pub struct Chat<S = Store> {
    pub(super) config: Config,
    pub(super) verifier: Verifier,
    pub(super) hub: Hub,
    pub(super) store: S,
    pub(super) shared: Arc<Shared>,
    pub(super) handlers: HashMap<String, Registered>,
    /// By the index of a [`ConnId`].
    pub(super) sessions: Vec<Option<Session>>,
    pub(super) inputs: VecDeque<Input>,
    pub(super) effects: Effects,
    /// How many guests are here.
    pub(super) guests: usize,
    /// The largest message that publishes to a stream of bytes; 0 if there is none.
    pub(super) largest_binary: u64,
    /// Calls that came on no connection and wait for an answer.
    pub(super) calls: HashMap<u64, Waiting>,
    pub(super) next_call: u64,
    /// Of calls over HTTP.
    pub(super) rates: Rates,
    /// Of users, over all that they send.
    pub(super) user_rates: Rates,
    pub(super) tickets: Tickets,
    /// When the store last refused to write, if it has taken nothing since.
    pub(super) store_refused: Option<Moment>,
    pub(super) counters: Counters,
    pub(super) journal: Journal,
    /// What the store has answered and the hub has not heard yet.
    pub(super) outcomes: VecDeque<(u64, Outcome)>,
    /// Frames that were handed to connections in this turn.
    pub(super) deliveries: usize,
    /// The hub has looked once for what is due since before the start.
    has_begun: bool,
    /// Records and pages that the store has not answered.
    pub(super) at_store: usize,
    pub(super) stopping: Option<Stopping>,
    /// The hub or the store is at work: a panic now leaves them in doubt.
    pub(super) is_deciding: bool,
    pub(super) started: Moment,
}

impl<S: Backend> Chat<S> {
    /// What answers requests and speaks with WebSockets, from what the store remembers: everything
    /// but the sockets and the store's own work. `config` has been checked, `keys` are what its
    /// sources have; `started` is now. `seed` is for hashing, jitter and made-up names: with the same
    /// one and the same calls it does the same.
    pub fn build(
        config: Config,
        keys: Keys,
        (store, snapshot): (S, Snapshot),
        wake: Wake,
        started: Moment,
        seed: u64,
    ) -> Web<Chat<S>> {
        let mut verifier = Verifier::new(keys, config.expected());
        for revocation in &snapshot.revocations {
            verifier.revocations_mut().insert(revocation);
        }
        let mut chance = Chance::new(seed);
        let hub = Hub::new(config.settings(), snapshot, chance.next_u64());
        let shared = Shared::new(wake, &config);
        let web_config = WebConfig {
            limits: config.limits.clone(),
            compression: config.compression.enabled.then_some(config.compression.codecs),
            proxies: config.proxies.clone(),
        };
        let web_seed = chance.next_u64();
        let mut chat = Chat::new(config, verifier, hub, store, shared, chance.next_u64());
        chat.started = started;
        Web::new(chat, web_config, web_seed)
    }

    /// Its store.
    pub fn store(&mut self) -> &mut S {
        &mut self.store
    }

    /// The state of rooms and users.
    pub fn hub(&self) -> &Hub {
        &self.hub
    }

    fn new(
        config: Config,
        verifier: Verifier,
        hub: Hub,
        store: S,
        shared: Arc<Shared>,
        rates_seed: u64,
    ) -> Chat<S> {
        let largest_binary = largest_binary(&config.streams);
        Chat {
            verifier,
            config,
            hub,
            store,
            shared,
            handlers: HashMap::new(),
            sessions: Vec::new(),
            inputs: VecDeque::new(),
            effects: Effects::default(),
            guests: 0,
            largest_binary,
            calls: HashMap::new(),
            next_call: 0,
            rates: Rates::new(HTTP_RATES_MAX, rates_seed),
            user_rates: Rates::new(USER_RATES_MAX, rates_seed),
            tickets: Tickets::default(),
            store_refused: None,
            counters: Counters::default(),
            journal: Journal::default(),
            outcomes: VecDeque::new(),
            deliveries: 0,
            has_begun: false,
            at_store: 0,
            stopping: None,
            is_deciding: false,
            started: Moment::ZERO,
        }
    }

    pub(super) fn put_session(&mut self, session: Session) {
        let index = session.conn.index();
        if self.sessions.len() <= index {
            self.sessions.resize_with(index + 1, || None);
        }
        self.sessions[index] = Some(session);
    }

    pub(super) fn session(&mut self, conn: ConnId) -> Option<&mut Session> {
        let session = self.sessions.get_mut(conn.index())?.as_mut();
        session.filter(|session| session.conn == conn)
    }

    /// Sends a text that is never refused.
    pub(super) fn say(&self, net: &mut Net<'_>, conn: ConnId, text: &str) {
        // Refused only when the WebSocket is not open any more, then nobody listens, or when it is none.
        if net.send(conn, Message::Text(text)).is_err() {
            self.tell(net, conn, None, text);
        }
    }

    /// Says why a connection is closed, and closes it. Some proxies swallow the code: it is told
    /// in an error before.
    pub(super) fn close_with(
        &mut self,
        net: &mut Net<'_>,
        conn: ConnId,
        (code, name): (CloseCode, &'static str),
        message: &str,
    ) {
        let detail = encode::ErrorDetail { close: Some(code.0), ..encode::ErrorDetail::default() };
        net.count_error(conn);
        self.say(net, conn, &encode::error(None, name, message, &detail));
        net.close(conn, code, name);
    }

    /// Writes what `hello` and `info` say.
    pub(super) fn greeting(
        &self,
        w: &mut Writer,
        net: &Net<'_>,
        origin: &Origin,
        rooms: &[crate::hub::RoomSummary],
        invites: &[crate::hub::InviteInfo],
    ) {
        let Some(person) = self.person(origin) else { return };
        w.number("protocol", 1);
        w.text("server", concat!("parlor/", env!("CARGO_PKG_VERSION")));
        if let Origin::Conn(conn, _) = origin {
            w.text("connection", &conn.to_string());
        }
        w.text("epoch", self.hub.epoch());
        w.number("ts", net.timestamp().0);
        w.object_in("user", |w| {
            let id = person.user.as_str();
            w.text("id", id);
            w.text("name", self.hub.name_of(&person.user).unwrap_or(id));
            w.flag("admin", person.is_admin);
            if person.is_guest {
                w.flag("anonymous", true);
            }
        });
        // For whoever no WebSocket reaches, next time.
        w.object_in("http", |w| {
            w.text("events", EVENTS_PATH);
            w.text("call", CALL_PATH);
        });
        w.number("heartbeat_ms", self.config.limits.heartbeat_interval_ms);
        w.object_in("limits", |w| encode::limits(w, &self.limits_told(&person)));
        let is_durable = self.config.data != crate::store::Place::Memory;
        w.text("durability", if is_durable { "disk" } else { "memory" });
        w.text("presence", self.config.presence.as_str());
        w.array("rooms", rooms, |w, room| w.object(|w| encode::summary(w, room)));
        w.array("invites", invites, |w, invite| w.object(|w| encode::invite(w, invite)));
    }

    pub(super) fn rules(&self, net: &Net<'_>, is_elsewhere: bool) -> Rules<'_> {
        let refused_lately = |at: Moment| net.now().millis_since(at) < STORE_REFUSED_MS;
        let readiness = match (self.stopping, self.store_refused) {
            (Some(_), _) => Readiness::Stopping,
            (None, Some(at)) if refused_lately(at) => Readiness::StoreRefuses,
            (None, _) => Readiness::Ready,
        };
        Rules {
            verifier: &self.verifier,
            admin_token: self.config.admin_token.as_ref(),
            allowed_origins: &self.config.allowed_origins,
            now: net.timestamp(),
            is_elsewhere,
            limits: (&self.config.limits, &self.config.exceptions),
            streams: &self.config.streams,
            lets_guests_in: self.config.lets_guests_in,
            readiness,
            are_metrics_public: self.config.metrics_public,
        }
    }

    /// Sets a session's next deadline.
    pub(super) fn arm(&mut self, net: &mut Net<'_>, conn: ConnId) {
        let (now, timestamp) = (net.now(), net.timestamp());
        let leeway_ms = self.verifier.leeway_ms();
        let Some(session) = self.session(conn) else { return };
        let of_phase = match &session.phase {
            Phase::Anonymous { deadline, .. } => *deadline,
            Phase::Arriving(_) => Moment::NEVER,
            Phase::Known(known) => match known.expires {
                None => Moment::NEVER,
                Some(expires) => {
                    let last = if known.is_expiry_told { leeway_ms } else { -EXPIRY_NOTICE_MS };
                    let left = expires.0.saturating_add(last).saturating_sub(timestamp.0);
                    now.plus_millis(u64::try_from(left).unwrap_or(0))
                }
            },
        };
        let unread_until = Some(session.unread_until()).filter(|until| *until > now);
        let deadline = of_phase.min(session.anonymous_deadline());
        let deadline = unread_until.map_or(deadline, |until| deadline.min(until));
        if deadline != Moment::NEVER {
            net.set_deadline(conn, deadline);
        }
    }
}

impl<S: Backend> Application for Chat<S> {
    fn request(&mut self, net: &mut Net<'_>, exchange: Exchange, request: &Request<'_>) -> Answer {
        let conn = exchange.conn();
        let is_elsewhere = request.is_by_proxy && !request.peer.is_loopback();
        let (answer, opening) = match route(request.head, self.rules(net, is_elsewhere)) {
            Routed::Respond(response) => return Answer::Respond(response),
            Routed::Metrics => return Answer::Respond(self.metrics(net)),
            Routed::Call(call) => return self.call(net, exchange, request, &call),
            Routed::Listen(listening) => return self.listen(net, exchange, *listening),
            Routed::Open { .. } if self.is_draining() => {
                return with_fallback(restarting().into()).into();
            }
            Routed::Open { is_guest: true, .. } if !self.take_guest() => {
                self.counters.limited("guests");
                return with_fallback(too_many_guests().into()).into();
            }
            Routed::Open { upgrade, protocol, identity, is_guest, resumes, watches } => {
                let identity = if is_guest { guest(conn) } else { identity };
                (net.accept(&upgrade, protocol), (identity, is_guest, resumes, watches))
            }
        };
        let (identity, is_guest, resumes, watches) = opening;
        let watches = watches.map(|stream| Box::new(Watch { stream, form: WatchForm::Plain }));
        let deadline = net.now().plus_millis(self.config.limits.auth_timeout_ms);
        let phase = match identity {
            Some(identity) => {
                Phase::Arriving(Box::new(Arriving { identity, is_guest, watches, asks_for: None }))
            }
            None => Phase::Anonymous { deadline, resumes, watches },
        };
        let mut session = Session::new(conn, phase);
        session.is_announcing_resume = resumes;
        self.put_session(session);
        answer
    }

    fn before_body(
        &mut self,
        net: &mut Net<'_>,
        _: IpAddr,
        head: &RequestHead<'_>,
    ) -> Option<Response> {
        // Nobody's content is waited for but of those who may make a call.
        match route(head, self.rules(net, false)) {
            Routed::Respond(response) => Some(response),
            Routed::Call(_) | Routed::Listen(_) | Routed::Open { .. } | Routed::Metrics => None,
        }
    }

    fn opened(&mut self, net: &mut Net<'_>, conn: ConnId) {
        let Some(session) = self.session(conn) else { return };
        let resumes = session.is_announcing_resume;
        let Phase::Arriving(arriving) = &mut session.phase else {
            self.arm(net, conn);
            return;
        };
        let identity = arriving.identity.clone();
        let (is_guest, watches) = (arriving.is_guest, arriving.watches.take());
        let asks_for = arriving.asks_for.take();
        let known = Known { is_guest, watches, ..Known::from(&identity) };
        session.phase = Phase::Known(known);
        self.settle_limits(conn, identity.limits.clone());
        self.note_arrival(net, conn);
        match asks_for {
            None => self.let_in(net, conn, identity, resumes),
            Some(what) => self.begin_events(net, conn, identity, what),
        }
    }

    fn message(&mut self, net: &mut Net<'_>, conn: ConnId, message: Message<'_>) {
        if self.is_watching(conn) {
            return self.overhear(net, conn);
        }
        self.received(net, conn, message);
    }

    fn took_bytes(&mut self, net: &mut Net<'_>, conn: ConnId, bytes: usize) {
        self.spend_bytes(net, conn, bytes);
    }

    fn closed(&mut self, net: &mut Net<'_>, conn: ConnId, over: Over) {
        self.note_departure(net, conn, over);
        self.counters.closed(over);
        let place = self.sessions.get_mut(conn.index());
        let session = place.and_then(|place| place.take_if(|session| session.conn == conn));
        self.guests -= usize::from(session.as_ref().is_some_and(Session::is_guest));
        if let Some(session) = session.filter(|session| session.is_counted)
            && let Some(known) = session.known()
        {
            self.gone(&known.user);
        }
        self.decide(net, Input::Disconnected { conn });
    }

    fn deadline(&mut self, net: &mut Net<'_>, conn: ConnId) {
        let (now, timestamp) = (net.now(), net.timestamp());
        let leeway_ms = self.verifier.leeway_ms();
        let Some(session) = self.session(conn) else { return };
        let due = session.due_anonymous(now);
        let mut tells_expiry = None;
        match &mut session.phase {
            Phase::Anonymous { deadline, .. } if *deadline <= now => {
                self.close_with(net, conn, AUTH_TIMEOUT, "no token came in time");
                return;
            }
            Phase::Anonymous { .. } | Phase::Arriving(_) => {}
            Phase::Known(known) => {
                if let Some(expires) = known.expires {
                    if timestamp.0 >= expires.0.saturating_add(leeway_ms) {
                        self.close_with(net, conn, TOKEN_EXPIRED, "the token has expired");
                        return;
                    }
                    if timestamp.0 >= expires.0.saturating_sub(EXPIRY_NOTICE_MS)
                        && !known.is_expiry_told
                    {
                        known.is_expiry_told = true;
                        tells_expiry = Some(expires);
                    }
                }
            }
        }
        // It may have been left unread until now.
        self.settle_pause(net, conn);
        if let Some((code, message, detail)) = due {
            self.say(net, conn, &encode::error(None, code, &message, &detail));
        }
        if let Some(expires) = tells_expiry {
            let text = encode::push("notice", |w| {
                w.text("code", "token_expiring");
                w.text("message", "send auth with a new token");
                w.number("expires", expires.0);
            });
            self.say(net, conn, &text);
        }
        self.arm(net, conn);
    }

    fn beat(&mut self, net: &mut Net<'_>, conn: ConnId) {
        self.keep_alive(net, conn);
    }

    fn drained(&mut self, net: &mut Net<'_>, conn: ConnId) {
        self.decide(net, Input::Drained { conn });
    }

    fn stalled(&mut self, net: &mut Net<'_>, conn: ConnId) {
        self.close_with(net, conn, SLOW, "what waits for you has not moved for long");
    }

    fn woken(&mut self, net: &mut Net<'_>) {
        // The first time before anybody is greeted: what became too old while nobody served goes.
        if !std::mem::replace(&mut self.has_begun, true) {
            self.decide(net, Input::Woken);
        }
        self.take_outcomes(net);
        self.take_calls(net);
        self.go_on_stopping(net);
    }

    fn ticked(&mut self, net: &mut Net<'_>) {
        self.decide(net, Input::Woken);
        self.go_on_stopping(net);
    }

    fn is_poisoned(&self) -> bool {
        self.is_deciding
    }
}
