//! The application's interface to its WebSockets.

use super::common::WebCommon;
use super::health::Health;
use super::{Exchange, HttpAnswer, Proxies, Quality, Traffic, WebConfig, WebCounters};
use crate::base::by_connection::ByConnection;
use crate::base::limits::{CONNECTIONS_RESERVED, STOP_MS_MAX};
use crate::base::{
    Address, Class, ConnId, Frame, Limits, ListenerId, LoopCounters, Moment, OutboxFull, Timestamp,
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

/// The sending side of every open WebSocket and every endless answer.
#[derive(Debug)]
pub(super) struct Sockets {
    pub(super) sending: ByConnection<Sending>,
    /// What the application did in this call, to be handled after it.
    pub(super) done: VecDeque<ConnectionChange>,
    pub(super) closing_timeout_ms: u64,
    /// Limits that the application has set and that do not apply yet.
    pub(super) new_limits: Option<Box<(Limits, Proxies)>>,
    /// By the index of a [`ConnId`]: the address that each connection counts for, once known.
    addresses: Vec<Option<Address>>,
    /// The extra weight, beyond one each, of the requests being read.
    weight: usize,
    pub(super) counters: WebCounters,
    /// Rate of log lines on refused connections and upgrades.
    pub(super) common: WebCommon,
    /// Present if compression is enabled.
    codecs: Option<Arc<Codecs>>,
}

/// What the application has done to a connection.
#[derive(Debug)]
pub(super) enum ConnectionChange {
    /// It closed a WebSocket, or ended an answer, and is still to be told so.
    Closed(ConnId, CloseCode),
    /// It allows a WebSocket's peer messages of another size.
    Widened(ConnId, u64),
    /// It answered a waiting request.
    Answered(Exchange, Box<Response>),
    /// It wants to see a kept request again.
    AskAgain(Exchange),
    /// It ended every connection that is not an open WebSocket.
    EndOthers,
}

#[derive(Debug)]
pub(super) struct Sending {
    pub(super) half: Half,
    pub(super) deadline: Moment,
    pub(super) health: Health,
}

/// The sending half of a connection.
#[derive(Debug)]
pub(super) enum Half {
    /// The frames of a WebSocket.
    Frames(Send),
    /// The pieces of an endless answer.
    Pieces { is_over: bool },
}

impl Sockets {
    pub(super) fn new(config: &WebConfig, common: WebCommon) -> Sockets {
        let windows = || Arc::clone(common.windows_bytes());
        let codecs = config.compression.map(|one| Codecs::counting(one, windows()));
        Sockets {
            codecs,
            sending: ByConnection::with_capacity(CONNECTIONS_RESERVED),
            done: VecDeque::new(),
            closing_timeout_ms: config.limits.closing_timeout_ms,
            new_limits: None,
            addresses: Vec::with_capacity(CONNECTIONS_RESERVED),
            weight: 0,
            counters: WebCounters::default(),
            common,
        }
    }

    pub(super) fn get(&mut self, conn: ConnId) -> Option<&mut Sending> {
        self.sending.get_mut(conn)
    }

    pub(super) fn put(&mut self, conn: ConnId, half: Half, now: Moment) {
        let (open, opened) = self.counted(&half);
        (*open, *opened) = (*open + 1, *opened + 1);
        let health = Health::new(now);
        self.sending.put(conn, Sending { half, deadline: Moment::NEVER, health });
    }

    /// The current and the total number of its kind.
    fn counted(&mut self, half: &Half) -> (&mut u64, &mut u64) {
        let counters = &mut self.counters;
        match half {
            Half::Frames(_) => (&mut counters.websockets, &mut counters.websockets_opened),
            Half::Pieces { .. } => (&mut counters.endless, &mut counters.endless_begun),
        }
    }

    /// Adds a connection that does not count for an address yet.
    pub(super) fn arrived(&mut self, conn: ConnId) {
        if self.addresses.len() <= conn.index() {
            self.addresses.resize_with(conn.index() + 1, || None);
        }
        self.addresses[conn.index()] = None;
    }

    /// Takes the extra weight of the requests being read and resets it to zero.
    pub(super) fn take_weight(&mut self) -> usize {
        std::mem::take(&mut self.weight)
    }

    /// The address that a connection counts for.
    pub(super) fn address(&self, conn: ConnId) -> Option<Address> {
        self.addresses.get(conn.index()).copied().flatten()
    }

    /// Counts a connection for this address from now on.
    pub(super) fn set_address(&mut self, conn: ConnId, address: Address) {
        if let Some(place) = self.addresses.get_mut(conn.index()) {
            *place = Some(address);
        }
    }

    /// Removes a connection; returns the address that it counted for.
    pub(super) fn count_out(&mut self, conn: ConnId) -> Option<Address> {
        self.addresses.get_mut(conn.index()).and_then(Option::take)
    }

    /// Logs what happened to a connection, such as that it or its upgrade was refused, and why.
    pub(super) fn note(
        &mut self,
        now: Moment,
        conn: ConnId,
        address: &dyn Display,
        why: &dyn Display,
        what: &str,
    ) {
        if !log::log_enabled!(log::Level::Info) {
            return;
        }
        let Some(left_out) = self.common.refusal_lines().take(now) else { return };
        if left_out > 0 {
            log::info!(count = left_out; "refusals: there were more than a second's lines");
        }
        log::info!(connection:% = conn, address:% = address, why:% = why; "{what}");
    }

    pub(super) fn end_others(&self, io: &mut Io) {
        io.end_all_but(|conn| self.sending.get(conn).is_some());
    }

    pub(super) fn forget(&mut self, conn: ConnId) {
        if let Some(sending) = self.sending.take(conn) {
            *self.counted(&sending.half).0 -= 1;
            self.counters.moved(sending.health.level(), None);
            self.counters.over.observe(&sending.health);
        }
    }

    /// Handles a pong.
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
    /// The monotonic time of this turn.
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

    /// The number of this reactor's connections of every kind.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.io.connections()
    }

    /// As [`Io::connections_everywhere`].
    #[must_use]
    pub fn connections_everywhere(&self) -> usize {
        self.io.connections_everywhere()
    }

    /// As [`Io::hold_accepting`].
    pub fn hold_accepting(&mut self) {
        self.io.hold_accepting();
    }

    /// As [`Io::stay_awake`].
    pub fn stay_awake(&mut self) {
        self.io.stay_awake();
    }

    /// As [`Io::places`].
    #[must_use]
    pub fn places(&self) -> (usize, usize) {
        self.io.places()
    }

    /// By which listener a connection came.
    #[must_use]
    pub fn listener(&self, conn: ConnId) -> ListenerId {
        self.io.listener(conn)
    }

    /// The address that an open connection counts for. None if a trusted proxy has not named one.
    #[must_use]
    pub fn address(&self, conn: ConnId) -> Option<Address> {
        self.sockets.address(conn)
    }

    /// Whether a connection exists and is not ending.
    #[must_use]
    pub fn is_there(&self, conn: ConnId) -> bool {
        self.io.is_open(conn)
    }

    /// Adds the cost of so many requests to the request being answered: later requests of the same
    /// connection wait for the next turn the sooner.
    pub fn weigh(&mut self, requests: usize) {
        self.sockets.weight += requests;
    }

    /// Counters of connections and WebSockets.
    #[must_use]
    pub fn counters(&self) -> &WebCounters {
        &self.sockets.counters
    }

    /// The loop's counters.
    #[must_use]
    pub fn loop_counters(&self) -> &LoopCounters {
        self.io.counters()
    }

    /// The connection quality of an open WebSocket; `None` until it has answered a ping.
    #[must_use]
    pub fn quality(&mut self, conn: ConnId) -> Option<Quality> {
        self.sockets.get(conn)?.health.quality()
    }

    /// The traffic of an open WebSocket or an endless answer.
    #[must_use]
    pub fn traffic(&mut self, conn: ConnId) -> Traffic {
        self.sockets.get(conn).map(|sending| sending.health.traffic()).unwrap_or_default()
    }

    /// Bytes read from a connection, and accepted by the system for it, HTTP heads included.
    #[must_use]
    pub fn bytes_each_way(&self, conn: ConnId) -> (u64, u64) {
        self.io.bytes_each_way(conn)
    }

    /// Counts an error sent to a connection.
    pub fn count_error(&mut self, conn: ConnId) {
        if let Some(sending) = self.sockets.get(conn) {
            sending.health.count_error();
        }
    }

    /// Counts pushes that a connection misses because it reads too slowly.
    pub fn count_drops(&mut self, conn: ConnId, count: u32) {
        if let Some(sending) = self.sockets.get(conn) {
            sending.health.dropped(count);
        }
    }

    /// Opens a WebSocket, with one of the offered subprotocols or none, and with compression if
    /// both ends want it.
    #[must_use]
    pub fn accept(&self, upgrade: &Upgrade<'_>, protocol: Option<&str>) -> HttpAnswer {
        HttpAnswer::Open(upgrade.accept(protocol, self.sockets.codecs.as_ref()))
    }

    /// Answers a request that returned [`HttpAnswer::Later`], once. Does nothing if the request has
    /// been answered or its connection has gone.
    pub fn answer(&mut self, exchange: Exchange, response: Response) {
        self.sockets.done.push_back(ConnectionChange::Answered(exchange, Box::new(response)));
    }

    /// Passes on again, at the end of this call, a request that returned [`HttpAnswer::Again`].
    /// Does nothing if the request has been answered or its connection has gone.
    pub fn ask_again(&mut self, exchange: Exchange) {
        self.sockets.done.push_back(ConnectionChange::AskAgain(exchange));
    }

    /// Whether something can be sent to this connection: its WebSocket is open and no Close was
    /// sent, or it has an endless answer that was not ended.
    #[must_use]
    pub fn is_open(&mut self, conn: ConnId) -> bool {
        self.sockets.get(conn).is_some_and(|sending| match &sending.half {
            Half::Frames(half) => half.closing().may_send_data(),
            Half::Pieces { is_over } => !is_over,
        })
    }

    /// Whether a connection has an endless answer ([`HttpAnswer::Endless`]): it is sent pieces, not
    /// messages.
    #[must_use]
    pub fn is_endless(&mut self, conn: ConnId) -> bool {
        matches!(self.sockets.get(conn), Some(Sending { half: Half::Pieces { .. }, .. }))
    }

    /// Sends a piece of an endless answer.
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
        // A piece that only frames messages, or sets the retry time, is not a message.
        sending.health.sent(usize::from(class != Class::Control));
        Ok(())
    }

    /// Sends one connection a message of its own; never refused while the WebSocket is open.
    ///
    /// # Errors
    /// [`OutboxFull`] if it is not open.
    #[inline]
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

    /// Sends a message that other connections get too, or that may be taken back. Call it for each
    /// of them with the same `broadcast`.
    ///
    /// # Errors
    /// [`OutboxFull`] if the outbox has no room for `class`
    /// ([`Application::drained`](super::Application::drained) is then called when it has), or if
    /// the WebSocket is not open.
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

    /// Bytes waiting for all connections.
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

    /// Ends every connection that is not an open WebSocket, after sending its answers: for a server
    /// that stops.
    pub fn end_others(&mut self) {
        self.sockets.done.push_back(ConnectionChange::EndOthers);
    }

    /// Requests a call of [`Application::drained`](super::Application::drained) when there is room
    /// in this connection's outbox: at the end of this turn, if there is now.
    pub fn tell_drained(&mut self, conn: ConnId) {
        self.io.tell_drained(conn);
    }

    /// Bytes waiting for this connection.
    #[must_use]
    pub fn waiting_bytes(&self, conn: ConnId) -> usize {
        self.io.outbox_bytes(conn)
    }

    /// Begins the closing handshake (RFC 6455 §7.1.2), or ends an endless answer. The application
    /// gets no more messages of this connection; next comes
    /// [`Application::closed`](super::Application::closed).
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
        // The peer's Close must be read, even if the application paused reading.
        self.io.resume(conn);
        self.io.set_deadline(conn, deadline);
    }

    /// Accepts messages of up to `bytes` from a connection, or of `limits.message_bytes` if that is
    /// more, from its next frame on.
    pub fn take_messages_up_to(&mut self, conn: ConnId, bytes: u64) {
        self.sockets.done.push_back(ConnectionChange::Widened(conn, bytes));
    }

    /// Drops a connection and everything that waits for it.
    pub fn cut(&mut self, conn: ConnId) {
        self.io.cut(conn);
    }

    /// Stops reading messages from a connection until [`Net::resume`].
    pub fn pause(&mut self, conn: ConnId) {
        self.io.pause(conn);
    }

    /// Resumes reading messages from a connection.
    pub fn resume(&mut self, conn: ConnId) {
        self.io.resume(conn);
    }

    /// Requests a call of [`Application::deadline`](super::Application::deadline) at `at`,
    /// replacing any earlier request.
    pub fn set_deadline(&mut self, conn: ConnId, at: Moment) {
        if let Some(sending) = self.sockets.get(conn) {
            sending.deadline = at;
            self.io.advance_deadline(conn, at);
        }
    }

    /// Requests a call of [`Application::timer_fired`](super::Application::timer_fired) at `at`, or
    /// earlier.
    pub fn wake_at(&mut self, at: Moment) {
        self.io.wake_at(at);
    }

    /// Changes the limits, in [`Application::woken`](super::Application::woken), from the end of
    /// that call on. Message limits apply to WebSockets opened later; those of addresses are in a
    /// [`WebCommon`](super::WebCommon); waits that have begun keep their deadlines. Outbox limits and the number of
    /// connections do not change. `proxies` apply to connections accepted later, and to all later
    /// requests.
    pub fn set_limits(&mut self, limits: &Limits, proxies: &Proxies) {
        self.io.set_timeouts(limits);
        self.sockets.closing_timeout_ms = limits.closing_timeout_ms;
        self.sockets.new_limits = Some(Box::new((limits.clone(), proxies.clone())));
    }

    /// Accepts no more connections.
    pub fn stop_accepting(&mut self) {
        self.io.stop_accepting();
    }

    /// Stops serving in order: accepts no more connections, sends every WebSocket a Close, and ends
    /// after `STOP_MS_MAX` in any case.
    pub fn stop(&mut self, code: CloseCode, reason: &str) {
        self.stop_accepting();
        let conns: Vec<_> = self.sockets.sending.following(None).map(|(conn, _)| conn).collect();
        for conn in conns {
            self.close(conn, code, reason);
        }
        self.end_others();
        self.stop_by(self.now().plus_millis(STOP_MS_MAX));
    }

    /// Stops serving when all connections are over, at the latest at `at`.
    pub fn stop_by(&mut self, at: Moment) {
        self.io.stop_by(at);
    }
}
