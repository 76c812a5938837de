//! What an application may do with its WebSockets.

use super::health::Health;
use super::{Exchange, HttpAnswer, Proxies, Quality, Traffic, WebConfig, WebCounters};
use crate::base::limits::{CONNECTIONS_RESERVED, LOG_REFUSALS_PER_SECOND, STOP_MS_MAX};
use crate::base::{
    Address, Class, ConnId, Frame, Limits, LineRate, LoopCounters, Moment, OutboxFull, Timestamp,
};
use crate::http1::Response;
use crate::protocol::deflate::Codecs;
use crate::protocol::endpoint::{Broadcast, Closing, Send};
use crate::protocol::handshake::Upgrade;
use crate::protocol::{CloseCode, Message};
use crate::reactor::Io;
use std::collections::VecDeque;
use std::fmt::Display;
use std::num::NonZeroU32;
use std::sync::Arc;

/// The sending side of every open WebSocket, and of every answer without an end.
#[derive(Debug)]
pub(super) struct Sockets {
    pub(super) sending: Vec<Option<Sending>>,
    /// What the application has done in this call, and is to be seen to after it.
    pub(super) done: VecDeque<ConnectionChange>,
    pub(super) closing_timeout_ms: u64,
    /// What the application has set, and what does not hold yet.
    pub(super) new_limits: Option<Box<(Limits, Proxies)>>,
    /// By the index of a [`ConnId`]: the address as which each connection is counted, once that is
    /// known.
    addresses: Vec<Option<Address>>,
    /// What the requests that are being read weigh beyond one each.
    weight: usize,
    pub(super) counters: WebCounters,
    /// Of connections and upgrades that are refused.
    refusal_lines: LineRate,
    /// Where compression is agreed to.
    codecs: Option<Arc<Codecs>>,
}

/// What the application has done to a connection.
#[derive(Debug)]
pub(super) enum ConnectionChange {
    /// It has closed a WebSocket, or ended an answer, and is still to be told so.
    Closed(ConnId, CloseCode),
    /// It lets a WebSocket's peer send messages of another size.
    Widened(ConnId, u64),
    /// It has answered a request that waits for it.
    Answered(Exchange, Box<Response>),
    /// It wants a request again that was kept.
    AskAgain(Exchange),
    /// It has ended every connection that is no open WebSocket.
    EndOthers,
}

#[derive(Debug)]
pub(super) struct Sending {
    pub(super) half: Half,
    pub(super) conn: ConnId,
    pub(super) deadline: Moment,
    pub(super) health: Health,
}

/// What is sent to a connection.
#[derive(Debug)]
pub(super) enum Half {
    /// The frames of a WebSocket.
    Frames(Send),
    /// The pieces of an answer without an end.
    Pieces { is_over: bool },
}

impl Sockets {
    pub(super) fn new(config: &WebConfig) -> Sockets {
        Sockets {
            sending: Vec::with_capacity(CONNECTIONS_RESERVED),
            done: VecDeque::new(),
            closing_timeout_ms: config.limits.closing_timeout_ms,
            new_limits: None,
            addresses: Vec::with_capacity(CONNECTIONS_RESERVED),
            weight: 0,
            counters: WebCounters::default(),
            refusal_lines: LineRate::new(LOG_REFUSALS_PER_SECOND),
            codecs: config.compression.map(Codecs::new),
        }
    }

    pub(super) fn get(&mut self, conn: ConnId) -> Option<&mut Sending> {
        let sending = self.sending.get_mut(conn.index())?.as_mut();
        sending.filter(|sending| sending.conn == conn)
    }

    pub(super) fn put(&mut self, conn: ConnId, half: Half, now: Moment) {
        let (open, opened) = self.counted(&half);
        (*open, *opened) = (*open + 1, *opened + 1);
        if self.sending.len() <= conn.index() {
            self.sending.resize_with(conn.index() + 1, || None);
        }
        let health = Health::new(now);
        self.sending[conn.index()] = Some(Sending { half, conn, deadline: Moment::NEVER, health });
    }

    /// How many there are of its kind, and how many there were.
    fn counted(&mut self, half: &Half) -> (&mut u64, &mut u64) {
        let counters = &mut self.counters;
        match half {
            Half::Frames(_) => (&mut counters.websockets, &mut counters.websockets_opened),
            Half::Pieces { .. } => (&mut counters.endless, &mut counters.endless_begun),
        }
    }

    /// A connection that is not counted as an address's yet.
    pub(super) fn arrived(&mut self, conn: ConnId) {
        if self.addresses.len() <= conn.index() {
            self.addresses.resize_with(conn.index() + 1, || None);
        }
        self.addresses[conn.index()] = None;
    }

    /// What the requests that are being read weigh beyond one each; from then on nothing.
    pub(super) fn take_weight(&mut self) -> usize {
        std::mem::take(&mut self.weight)
    }

    /// As which address a connection is counted.
    pub(super) fn address(&self, conn: ConnId) -> Option<Address> {
        self.addresses.get(conn.index()).copied().flatten()
    }

    /// From now on a connection is counted as this address's.
    pub(super) fn set_address(&mut self, conn: ConnId, address: Address) {
        if let Some(place) = self.addresses.get_mut(conn.index()) {
            *place = Some(address);
        }
    }

    /// A connection has gone; tells as which address it was counted.
    pub(super) fn count_out(&mut self, conn: ConnId) -> Option<Address> {
        self.addresses.get_mut(conn.index()).and_then(Option::take)
    }

    /// Says in the log that a connection, or its upgrade, is refused, and why.
    pub(super) fn note_refusal(
        &mut self,
        now: Moment,
        conn: ConnId,
        address: &dyn Display,
        why: &str,
    ) {
        self.note(now, conn, address, why, "refused");
    }

    /// Says in the log what became of a connection, and why.
    pub(super) fn note(
        &mut self,
        now: Moment,
        conn: ConnId,
        address: &dyn Display,
        why: &str,
        what: &str,
    ) {
        if !log::log_enabled!(log::Level::Info) {
            return;
        }
        let Some(left_out) = self.refusal_lines.take(now) else { return };
        if left_out > 0 {
            log::info!(count = left_out; "refusals: there were more than a second's lines");
        }
        log::info!(connection:% = conn, address:% = address, why; "{what}");
    }

    pub(super) fn end_others(&self, io: &mut Io) {
        io.end_all_but(|conn| {
            let sending = self.sending.get(conn.index()).and_then(Option::as_ref);
            sending.is_some_and(|sending| sending.conn == conn)
        });
    }

    pub(super) fn forget(&mut self, conn: ConnId) {
        let place = self.sending.get_mut(conn.index());
        if let Some(sending) = place.and_then(|place| place.take_if(|one| one.conn == conn)) {
            *self.counted(&sending.half).0 -= 1;
            self.counters.moved(sending.health.level(), None);
            self.counters.over.observe(&sending.health);
        }
    }

    /// A pong came.
    pub(super) fn answered(&mut self, conn: ConnId, now: Moment, payload: &[u8]) {
        let Some(Sending { health, .. }) = self.get(conn) else { return };
        let before = health.level();
        let Some(round_trip_ms) = health.answered(now, payload) else { return };
        let (level, quality) = (health.level(), health.quality());
        self.counters.round_trips.observe(u64::from(round_trip_ms) * 1_000);
        if let Some(quality) = quality {
            self.counters.jitters.observe((quality.jitter_ms * 1_000.0) as u64);
            self.counters.stabilities.observe(quality.stability.into());
        }
        self.counters.moved(before, level);
    }
}

/// The application's view of its connections.
#[derive(Debug)]
pub struct Net<'a> {
    pub(super) io: &'a mut Io,
    pub(super) sockets: &'a mut Sockets,
}

impl Net<'_> {
    /// The moment of this turn.
    #[must_use]
    pub fn now(&self) -> Moment {
        self.io.now()
    }

    /// The wall clock's time of this turn.
    #[must_use]
    pub fn timestamp(&self) -> Timestamp {
        self.io.timestamp()
    }

    /// As [`Io::slept_ms`].
    #[must_use]
    pub fn slept_ms(&self) -> u64 {
        self.io.slept_ms()
    }

    /// How many connections there are, of every kind.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.io.connections()
    }

    /// How many there may be.
    #[must_use]
    pub fn connections_max(&self) -> usize {
        self.io.connections_max()
    }

    /// From where an open connection comes, as it is counted. None if a trusted proxy has not said so.
    #[must_use]
    pub fn address(&self, conn: ConnId) -> Option<Address> {
        self.sockets.address(conn)
    }

    /// Whether a connection is still there, and is not ending.
    #[must_use]
    pub fn is_there(&self, conn: ConnId) -> bool {
        self.io.is_open(conn)
    }

    /// What is being answered has cost as much as so many more requests: those that the same connection has sent
    /// behind it wait the sooner for the next turn.
    pub fn weigh(&mut self, requests: usize) {
        self.sockets.weight += requests;
    }

    /// What connections and WebSockets have been counted for.
    #[must_use]
    pub fn counters(&self) -> &WebCounters {
        &self.sockets.counters
    }

    /// What the loop has counted.
    #[must_use]
    pub fn loop_counters(&self) -> &LoopCounters {
        self.io.counters()
    }

    /// How well an open WebSocket's peer is reached; `None` until it has answered a ping.
    #[must_use]
    pub fn quality(&mut self, conn: ConnId) -> Option<Quality> {
        self.sockets.get(conn)?.health.quality()
    }

    /// What went each way on an open WebSocket, or an answer without an end.
    #[must_use]
    pub fn traffic(&mut self, conn: ConnId) -> Traffic {
        self.sockets.get(conn).map(|sending| sending.health.traffic()).unwrap_or_default()
    }

    /// Bytes that were read from a connection, and that the system took for it, HTTP heads included.
    #[must_use]
    pub fn bytes_each_way(&self, conn: ConnId) -> (u64, u64) {
        self.io.bytes_each_way(conn)
    }

    /// Counts an error that a connection is told.
    pub fn count_error(&mut self, conn: ConnId) {
        if let Some(sending) = self.sockets.get(conn) {
            sending.health.erred();
        }
    }

    /// Counts a push that a connection does not get, as it reads too slowly.
    pub fn count_drop(&mut self, conn: ConnId) {
        if let Some(sending) = self.sockets.get(conn) {
            sending.health.dropped();
        }
    }

    /// Opens a WebSocket, with one of the offered subprotocols or none, and with compression if
    /// both ends want it.
    #[must_use]
    pub fn accept(&self, upgrade: &Upgrade<'_>, protocol: Option<&str>) -> HttpAnswer {
        HttpAnswer::Open(upgrade.accept(protocol, self.sockets.codecs.as_ref()))
    }

    /// Answers a request for which [`HttpAnswer::Later`] was said, once. A request that has been answered,
    /// or whose connection has gone, is passed over.
    pub fn answer(&mut self, exchange: Exchange, response: Response) {
        self.sockets.done.push_back(ConnectionChange::Answered(exchange, Box::new(response)));
    }

    /// Hands over again, at the end of this call, a request for which [`HttpAnswer::Again`] was said. One that
    /// has been answered, or whose connection has gone, is passed over.
    pub fn ask_again(&mut self, exchange: Exchange) {
        self.sockets.done.push_back(ConnectionChange::AskAgain(exchange));
    }

    /// Whether something can be sent to this connection: its WebSocket is open, and no Close was
    /// sent; or its answer has no end, and was not ended.
    #[must_use]
    pub fn is_open(&mut self, conn: ConnId) -> bool {
        self.sockets.get(conn).is_some_and(|sending| match &sending.half {
            Half::Frames(half) => half.closing().may_send_data(),
            Half::Pieces { is_over } => !is_over,
        })
    }

    /// Whether a connection has an answer without an end ([`HttpAnswer::Endless`]): it is sent pieces,
    /// not messages.
    #[must_use]
    pub fn is_endless(&mut self, conn: ConnId) -> bool {
        matches!(self.sockets.get(conn), Some(Sending { half: Half::Pieces { .. }, .. }))
    }

    /// Sends a piece of an answer without an end.
    ///
    /// # Errors
    /// As [`Net::broadcast`].
    pub fn piece(
        &mut self,
        conn: ConnId,
        piece: Frame,
        class: Class,
        source: u32,
    ) -> Result<(), OutboxFull> {
        let sending = self.sockets.get(conn).ok_or(OutboxFull)?;
        if !matches!(sending.half, Half::Pieces { is_over: false }) {
            return Err(OutboxFull);
        }
        let out = self.io.outbox(conn).ok_or(OutboxFull)?;
        out.push(piece, class, source).inspect_err(|_| self.io.refused(conn))?;
        // What only frames messages, or says when to come back, is none.
        sending.health.sent(usize::from(class != Class::Control));
        Ok(())
    }

    /// Sends a message of its own to one connection; never refused while the WebSocket is open.
    ///
    /// # Errors
    /// [`OutboxFull`] when it is not.
    pub fn send(&mut self, conn: ConnId, message: Message<'_>) -> Result<(), OutboxFull> {
        let sending = self.sockets.get(conn).ok_or(OutboxFull)?;
        let Half::Frames(half) = &mut sending.half else { return Err(OutboxFull) };
        let out = self.io.outbox(conn).ok_or(OutboxFull)?;
        half.message(message, out).map_err(|_| OutboxFull)?;
        let messages = usize::from(!matches!(message, Message::Ping(_)));
        sending.health.sent(messages);
        self.sockets.counters.messages_sent += messages as u64;
        Ok(())
    }

    /// Sends a message that others get, too, or that may be taken back: to each of them by a call
    /// of its own, with the same `broadcast`.
    ///
    /// # Errors
    /// [`OutboxFull`] when the outbox has no room for `class`, and then
    /// [`Application::drained`](super::Application::drained) is called when it has; also when the
    /// WebSocket is not open.
    pub fn broadcast(
        &mut self,
        conn: ConnId,
        broadcast: &mut Broadcast<'_>,
        class: Class,
        source: u32,
    ) -> Result<(), OutboxFull> {
        let sending = self.sockets.get(conn).ok_or(OutboxFull)?;
        let Half::Frames(half) = &mut sending.half else { return Err(OutboxFull) };
        if !half.closing().may_send_data() {
            return Err(OutboxFull);
        }
        let out = self.io.outbox(conn).ok_or(OutboxFull)?;
        half.broadcast(broadcast, class, source, out).map_err(|_| {
            self.io.refused(conn);
            OutboxFull
        })?;
        let messages = broadcast.messages_count();
        sending.health.sent(messages);
        self.sockets.counters.messages_sent += messages as u64;
        Ok(())
    }

    /// Takes back what waits from `source` for this connection.
    pub fn take_back(&mut self, conn: ConnId, source: u32) {
        if let Some(out) = self.io.outbox(conn) {
            out.take_back(source);
        }
    }

    /// Bytes that wait for all connections.
    #[must_use]
    pub fn all_waiting_bytes(&self) -> usize {
        self.io.waiting_bytes()
    }

    /// As [`Io::waiting_bytes_max`].
    #[must_use]
    pub fn all_waiting_bytes_max(&self) -> usize {
        self.io.waiting_bytes_max()
    }

    /// As [`Io::set_holder`].
    pub fn set_holder(&mut self, conn: ConnId, holder: NonZeroU32) {
        self.io.set_holder(conn, holder);
    }

    /// Ends every connection that is no open WebSocket, with what it has been answered: for a server
    /// that stops.
    pub fn end_others(&mut self) {
        self.sockets.done.push_back(ConnectionChange::EndOthers);
    }

    /// Lets [`Application::drained`](super::Application::drained) be called when there is room in
    /// this connection's outbox: at the end of this turn, if there is now.
    pub fn tell_drained(&mut self, conn: ConnId) {
        self.io.tell_drained(conn);
    }

    /// Bytes that wait for this connection.
    #[must_use]
    pub fn waiting_bytes(&self, conn: ConnId) -> usize {
        self.io.outbox_bytes(conn)
    }

    /// Begins the closing handshake (RFC 6455 §7.1.2), or ends an answer that had no end. No message of
    /// this connection reaches the application any more;
    /// [`Application::closed`](super::Application::closed) comes next.
    pub fn close(&mut self, conn: ConnId, code: CloseCode, reason: &str) {
        let deadline = self.now().plus_millis(self.sockets.closing_timeout_ms);
        let Some(sending) = self.sockets.get(conn) else { return };
        let half = match &mut sending.half {
            Half::Frames(half) => half,
            Half::Pieces { is_over } => {
                if !std::mem::replace(is_over, true) {
                    self.sockets.done.push_back(ConnectionChange::Closed(conn, code));
                }
                return;
            }
        };
        if half.closing() != Closing::Open {
            return;
        }
        let Some(out) = self.io.outbox(conn) else { return };
        half.start_close(Some(code), reason, deadline, out);
        self.sockets.done.push_back(ConnectionChange::Closed(conn, code));
        // Its answer is to be read, whatever the application thought of reading.
        self.io.resume(conn);
        self.io.set_deadline(conn, deadline);
    }

    /// Takes messages of up to `bytes` from a connection, or of `limits.message_bytes` if that is more:
    /// its next frame is judged by it.
    pub fn take_messages_up_to(&mut self, conn: ConnId, bytes: u64) {
        self.sockets.done.push_back(ConnectionChange::Widened(conn, bytes));
    }

    /// Drops a connection and all that waits for it.
    pub fn cut(&mut self, conn: ConnId) {
        self.io.cut(conn);
    }

    /// Takes no more messages from a connection, until [`Net::resume`].
    pub fn pause(&mut self, conn: ConnId) {
        self.io.pause(conn);
    }

    /// Takes messages from a connection again.
    pub fn resume(&mut self, conn: ConnId) {
        self.io.resume(conn);
    }

    /// Lets [`Application::deadline`](super::Application::deadline) be called at `at`, in place of
    /// what was set before.
    pub fn set_deadline(&mut self, conn: ConnId, at: Moment) {
        if let Some(sending) = self.sockets.get(conn) {
            sending.deadline = at;
            self.io.advance_deadline(conn, at);
        }
    }

    /// Lets [`Application::ticked`](super::Application::ticked) be called at `at`, or earlier.
    pub fn wake_at(&mut self, at: Moment) {
        self.io.wake_at(at);
    }

    /// Goes by other limits, in [`Application::woken`](super::Application::woken): from the end of
    /// that call on. Those of messages are for WebSockets that are opened then, those of addresses for
    /// connections that come then, and waits that have begun end as they were set. The limits of
    /// outboxes, and the number of connections, stay as they are. `proxies` are believed by the
    /// connections that come then, and by all later requests.
    pub fn set_limits(&mut self, limits: &Limits, proxies: &Proxies) {
        self.io.set_timeouts(limits);
        self.sockets.closing_timeout_ms = limits.closing_timeout_ms;
        self.sockets.new_limits = Some(Box::new((limits.clone(), proxies.clone())));
    }

    /// Accepts no more connections.
    pub fn stop_accepting(&mut self) {
        self.io.stop_accepting();
    }

    /// Stops serving in order: no more connections, a Close for every WebSocket, and an end after
    /// `STOP_MS_MAX` in any case.
    pub fn stop(&mut self, code: CloseCode, reason: &str) {
        self.stop_accepting();
        let open = self.sockets.sending.iter().flatten();
        let conns: Vec<ConnId> = open.map(|sending| sending.conn).collect();
        for conn in conns {
            self.close(conn, code, reason);
        }
        self.end_others();
        self.stop_by(self.now().plus_millis(STOP_MS_MAX));
    }

    /// Stops serving when all connections are over, at `at` in any case.
    pub fn stop_by(&mut self, at: Moment) {
        self.io.stop_by(at);
    }
}
