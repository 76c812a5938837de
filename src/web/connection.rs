//! The life of a connection: requests → WebSocket → closing handshake → end.

use super::answering::say;
use super::body_room::BodyRoom;
use super::common::WebCommon;
use super::endless::Endless;
use super::exchange::Http;
use super::listeners::Listeners;
use super::net::{ConnectionChange, Half, Net, Sending, Sockets};
use super::{Application, SocketEnd, WebConfig};
use crate::base::by_connection::ByConnection;
use crate::base::limits::{
    ANSWER_BYTES_PER_WORK, CONNECTIONS_RESERVED, EVENTS_PER_READ, LATE_BYTES_MAX,
    MESSAGE_BYTES_PER_READ,
};
use crate::base::{Chance, ConnId, Limits, Moment};
use crate::protocol::endpoint::Receive;
use crate::protocol::handshake::Accepted;
use crate::protocol::{CloseCode, Endpoint, EndpointLimits, Event, Message, Received};
use crate::reactor::{CloseCause, Handler, Io};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// An application on the reactor.
#[derive(Debug)]
pub struct Web<A> {
    pub(super) application: A,
    pub(super) stages: ByConnection<Stage>,
    pub(super) sockets: Sockets,
    pub(super) listeners: Listeners,
    pub(super) limits: Limits,
    endpoint_limits: Arc<EndpointLimits>,
    /// For the bodies of incomplete requests.
    pub(super) body_room: BodyRoom,
    pub(super) chance: Chance,
    pub(super) stop_is_asked: Arc<AtomicBool>,
    /// How many idle connections may still be looked at for those that came.
    pub(super) looks_left: usize,
}

/// How far a connection has come.
#[derive(Debug)]
pub(super) enum Stage {
    Http(Box<Http>),
    Open(Open),
    Endless(Endless),
    /// An HTTP answer or a Close was sent, or the peer has gone: further input is ignored.
    Over,
}

/// The receiving side of an open WebSocket.
#[derive(Debug)]
pub(super) struct Open {
    receive: Receive,
    /// Whether the application has been told that it is over.
    is_told: bool,
    /// How many bytes were read since then.
    late_bytes: u32,
    // Separate from `expected`, which would make the struct a word larger.
    pub(super) expected: ExpectedOfPeer,
    pub(super) since: Moment,
}

/// What the peer must do next; waiting began at [`Open::since`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ExpectedOfPeer {
    /// Nothing yet: `since` is the time of the last complete message or control frame.
    Nothing,
    /// Answer the ping sent then.
    Answer,
    /// Complete the message begun then.
    Rest,
}

impl<A: Application> Web<A> {
    /// Runs `application`, with `seed` for jitter and hashing.
    pub fn new(application: A, config: WebConfig, seed: u64) -> Web<A> {
        let mut chance = Chance::new(seed);
        let hash_seed = chance.next_u64();
        let own = || WebCommon::new(&config.listeners, &config.limits, &[], hash_seed);
        let common = config.common.clone().unwrap_or_else(own);
        let sockets = Sockets::new(&config, common.clone());
        let limits = config.limits;
        Web {
            application,
            stages: ByConnection::with_capacity(CONNECTIONS_RESERVED),
            sockets,
            body_room: common.body_room().clone(),
            listeners: Listeners::new(config.listeners, common, config.proxies, &limits),
            endpoint_limits: of_endpoints(&limits),
            limits,
            chance,
            stop_is_asked: Arc::default(),
            looks_left: 0,
        }
    }

    /// The application.
    pub fn application(&self) -> &A {
        &self.application
    }

    /// The application, for setup before the loop or cleanup after it.
    pub fn application_mut(&mut self) -> &mut A {
        &mut self.application
    }

    fn set_limits(&mut self, limits: Limits) {
        self.listeners.set_limits(&limits);
        self.endpoint_limits = of_endpoints(&limits);
        self.limits = limits;
    }

    pub(super) fn open(&mut self, io: &mut Io, conn: ConnId, accepted: Accepted) {
        let now = io.now();
        let Accepted { answer, deflate } = accepted;
        let mut endpoint = Endpoint::server(Arc::clone(&self.endpoint_limits));
        if let Some(deflate) = deflate {
            endpoint = endpoint.with_deflate(deflate);
        }
        let Endpoint { receive, send } = endpoint;
        if let Some(stage) = self.stages.get_mut(conn) {
            let expected = ExpectedOfPeer::Nothing;
            *stage =
                Stage::Open(Open { receive, is_told: false, late_bytes: 0, expected, since: now });
        }
        self.sockets.put(conn, Half::Frames(send), now);
        match self.sockets.address(conn) {
            Some(address) => log::debug!("{conn}: a WebSocket, from {address}"),
            None => log::debug!("{conn}: a WebSocket, from a proxy that names nobody"),
        }
        say(io, conn, &answer, b"");
        io.set_deadline(
            conn,
            now.plus_millis(self.chance.about(self.limits.heartbeat_interval_ms)),
        );
        self.application.opened(&mut Net { io, sockets: &mut self.sockets }, conn);
        self.settle(io);
    }

    /// Reads frames, tells the application how many bytes they took, and returns that number.
    fn take_frames(&mut self, io: &mut Io, conn: ConnId, bytes: &mut [u8]) -> usize {
        if let Some(Stage::Open(open)) = self.stages.get_mut(conn)
            && open.is_told
        {
            let late = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            open.late_bytes = open.late_bytes.saturating_add(late);
            // The peer may not have seen our Close yet, unless it sends much: then it is not waited for.
            if open.late_bytes > LATE_BYTES_MAX {
                let deadline = match self.sockets.get(conn) {
                    Some(Sending { half: Half::Frames(half), .. }) => half.closing().deadline(),
                    Some(_) | None => None,
                };
                match deadline {
                    Some(deadline) => io.end_by(conn, deadline),
                    None => io.end(conn),
                }
                return bytes.len();
            }
        }
        let used = self.read_frames(io, conn, bytes);
        if used > 0 {
            self.application.took_bytes(&mut Net { io, sockets: &mut self.sockets }, conn, used);
        }
        used
    }

    fn read_frames(&mut self, io: &mut Io, conn: ConnId, bytes: &mut [u8]) -> usize {
        let all = bytes.len();
        let now = io.now();
        let mut input = Received::new(bytes);
        let (mut has_messages, mut message_bytes) = (false, 0);
        self.sockets.take_weight();
        for _ in 0..EVENTS_PER_READ {
            let Some(out) = io.outbox_to_read(conn) else {
                // It may take long until reading continues.
                self.release_memory(conn);
                break;
            };
            let Some(Stage::Open(open)) = self.stages.get_mut(conn) else { break };
            let Some(Sending { half: Half::Frames(half), health, .. }) = self.sockets.get(conn)
            else {
                break;
            };
            let over = match open.receive.next_event(half, &mut input, out) {
                Ok(Some(event @ (Event::Text(_) | Event::Binary(_)))) => {
                    let (message, bytes) = match event {
                        Event::Text(text) => (Message::Text(text), text.len()),
                        Event::Binary(bytes) => (Message::Binary(bytes), bytes.len()),
                        Event::Ping(_) | Event::Pong(_) | Event::Closed { .. } => continue,
                    };
                    message_bytes += bytes;
                    (open.expected, open.since) = (ExpectedOfPeer::Nothing, now);
                    if !open.is_told {
                        has_messages = true;
                        health.received();
                        self.sockets.counters.messages_received += 1;
                        let mut net = Net { io, sockets: &mut self.sockets };
                        self.application.message(&mut net, conn, message);
                    }
                    None
                }
                Ok(Some(event @ (Event::Ping(_) | Event::Pong(_)))) => {
                    if let Event::Pong(payload) = event {
                        self.sockets.answered(conn, now, payload);
                    }
                    // Control frames between fragments do not extend a message's time limit.
                    if !open.receive.is_within_message() {
                        (open.expected, open.since) = (ExpectedOfPeer::Nothing, now);
                    }
                    None
                }
                Ok(Some(Event::Closed { code, .. })) => Some(SocketEnd::ClosedByPeer(code)),
                Ok(None) => {
                    if open.receive.is_within_message() && open.expected != ExpectedOfPeer::Rest {
                        (open.expected, open.since) = (ExpectedOfPeer::Rest, now);
                        io.advance_deadline(conn, now.plus_millis(self.limits.message_timeout_ms));
                    }
                    break;
                }
                Err(error) => {
                    log::debug!("{conn}: {error}");
                    Some(SocketEnd::ClosedByUs(error.violation.close_code()))
                }
            };
            // A large answer costs as much time as a large message.
            message_bytes += self.sockets.take_weight() * ANSWER_BYTES_PER_WORK;
            // Otherwise another call would only report that nothing is left.
            let is_done = input.used() == all && open.receive.keeps_nothing();
            if !self.sockets.done.is_empty() {
                self.settle(io);
            }
            if let Some(over) = over {
                self.caught_up(io, conn, has_messages);
                self.end_reading(io, conn, over, input.used() == all);
                return all;
            }
            if is_done {
                break;
            }
            if message_bytes >= MESSAGE_BYTES_PER_READ {
                self.release_memory(conn);
                break;
            }
        }
        self.caught_up(io, conn, has_messages);
        input.used()
    }

    /// RFC 6455 §7.1.1: ends the connection in order and discards further input. After a Close
    /// there is none.
    fn end_reading(&mut self, io: &mut Io, conn: ConnId, over: SocketEnd, is_all_read: bool) {
        self.is_over(io, conn, over);
        match over {
            SocketEnd::ClosedByPeer(_) if is_all_read => io.close(conn),
            SocketEnd::ClosedByPeer(_)
            | SocketEnd::ClosedByUs(_)
            | SocketEnd::HeldMost
            | SocketEnd::Lost => {
                io.end(conn);
            }
        }
    }

    fn release_memory(&mut self, conn: ConnId) {
        if let Some(Stage::Open(open)) = self.stages.get_mut(conn) {
            open.receive.release();
        }
    }

    fn caught_up(&mut self, io: &mut Io, conn: ConnId, has_messages: bool) {
        if has_messages {
            self.application.caught_up(&mut Net { io, sockets: &mut self.sockets }, conn);
            self.settle(io);
        }
    }

    /// Handles what the application did to connections in its last call: tells it of the WebSockets
    /// that it closed itself, and sends its answers.
    pub(super) fn settle(&mut self, io: &mut Io) {
        while let Some(done) = self.sockets.done.pop_front() {
            match done {
                ConnectionChange::Closed(conn, code) => {
                    self.is_over(io, conn, SocketEnd::ClosedByUs(code));
                    self.end_endless(io, conn);
                }
                ConnectionChange::Widened(conn, bytes) => self.widen(conn, bytes),
                ConnectionChange::Answered(exchange, response) => {
                    self.answered(io, exchange, &response)
                }
                ConnectionChange::AskAgain(exchange) => self.ask_again(io, exchange),
                ConnectionChange::EndOthers => self.sockets.end_others(io),
            }
        }
    }

    fn widen(&mut self, conn: ConnId, bytes: u64) {
        if let Some(Stage::Open(open)) = self.stages.get_mut(conn) {
            let usual = &self.endpoint_limits;
            open.receive.set_limits(if bytes <= usual.message_bytes {
                Arc::clone(usual)
            } else {
                let fragments = usual.fragments;
                Arc::new(EndpointLimits { frame_bytes: bytes, message_bytes: bytes, fragments })
            });
        }
    }

    fn is_over(&mut self, io: &mut Io, conn: ConnId, over: SocketEnd) {
        let is_told = match self.stages.get_mut(conn) {
            Some(Stage::Open(open)) => &mut open.is_told,
            Some(Stage::Endless(endless)) => &mut endless.is_told,
            Some(Stage::Http(_) | Stage::Over) | None => return,
        };
        if !std::mem::replace(is_told, true) {
            // After this the application can take nothing back, even if the receiver loses rights.
            // When the server stops, no rights change.
            let is_stopping = [CloseCode::GOING_AWAY, CloseCode::RESTART];
            if !is_stopping.map(SocketEnd::ClosedByUs).contains(&over)
                && let Some(out) = io.outbox(conn)
            {
                out.take_back_all();
            }
            self.application.closed(&mut Net { io, sockets: &mut self.sockets }, conn, over);
        }
    }
}

fn of_endpoints(limits: &Limits) -> Arc<EndpointLimits> {
    Arc::new(EndpointLimits {
        frame_bytes: limits.message_bytes,
        message_bytes: limits.message_bytes,
        fragments: limits.fragments,
    })
}

impl<A: Application> Handler for Web<A> {
    fn opened(&mut self, io: &mut Io, conn: ConnId, peer: SocketAddr) {
        let (peer, listener) = (peer.ip(), io.listener(conn));
        let deadline = io.now().plus_millis(self.listeners.handshake_timeout_ms(listener));
        let is_named_later = self.listeners.speaks_protocol(listener, peer);
        let http = Http::new(peer, listener, deadline, is_named_later);
        self.stages.put(conn, Stage::Http(Box::new(http)));
        self.sockets.arrived(conn);
        io.set_deadline(conn, deadline);
        if !is_named_later {
            self.arrived(io, conn, peer);
        }
        self.make_room(io, conn);
    }

    fn turned_away(&mut self, io: &mut Io, conn: ConnId, peer: SocketAddr) {
        self.sockets.arrived(conn);
        self.refuse_beyond_all(io, conn, peer.ip());
    }

    fn received(&mut self, io: &mut Io, conn: ConnId, bytes: &mut [u8]) -> usize {
        match self.stages.get(conn) {
            Some(Stage::Http(_)) => {
                let used = self.read_requests(io, conn, bytes);
                match self.stages.get(conn) {
                    Some(Stage::Http(_)) => used,
                    // Frames that a client sends before it has our answer follow the head.
                    Some(Stage::Open(_)) => {
                        let early = &mut bytes[used..];
                        used + if early.is_empty() { 0 } else { self.take_frames(io, conn, early) }
                    }
                    // Requests after an endless answer are ignored.
                    Some(Stage::Endless(_) | Stage::Over) | None => bytes.len(),
                }
            }
            Some(Stage::Open(_)) => self.take_frames(io, conn, bytes),
            Some(Stage::Endless(_)) => {
                self.ignore_input(io, conn, bytes.len());
                bytes.len()
            }
            Some(Stage::Over) | None => bytes.len(),
        }
    }

    fn looked(&mut self, io: &mut Io, conn: ConnId, has_come: bool) {
        self.looked_at_idle(io, conn, has_come);
    }

    fn drained(&mut self, io: &mut Io, conn: ConnId) {
        self.application.drained(&mut Net { io, sockets: &mut self.sockets }, conn);
        self.settle(io);
    }

    fn stalled(&mut self, io: &mut Io, conn: ConnId) {
        if let Some(Stage::Http(_)) = self.stages.get(conn) {
            // A client that does not read its answer is not waited for.
            io.cut(conn);
            return;
        }
        self.application.stalled(&mut Net { io, sockets: &mut self.sockets }, conn);
        self.settle(io);
    }

    fn deadline(&mut self, io: &mut Io, conn: ConnId) {
        match self.stages.get(conn) {
            Some(Stage::Http(_)) => self.deadline_of_http(io, conn),
            Some(Stage::Open(_)) => self.deadline_of_open(io, conn),
            Some(Stage::Endless(_)) => self.deadline_of_endless(io, conn),
            Some(Stage::Over) | None => {}
        }
    }

    fn closed(&mut self, io: &mut Io, conn: ConnId, cause: CloseCause) {
        self.is_not_idle(io, conn);
        let held_most = cause == CloseCause::HeldMost;
        self.is_over(io, conn, if held_most { SocketEnd::HeldMost } else { SocketEnd::Lost });
        self.settle(io);
        self.sockets.forget(conn);
        if self.stages.take(conn).is_some()
            && let Some(address) = self.sockets.count_out(conn)
        {
            self.listeners.admission(io.listener(conn)).leave(address);
        }
    }

    fn woken(&mut self, io: &mut Io) {
        let mut net = Net { io, sockets: &mut self.sockets };
        if self.stop_is_asked.load(Ordering::Acquire) {
            net.stop(CloseCode::GOING_AWAY, "the server stops");
        }
        self.application.woken(&mut net);
        self.end_idle(io);
        if let Some((limits, proxies)) = self.sockets.new_limits.take().map(|new| *new) {
            self.set_limits(limits);
            self.listeners.set_proxies(proxies);
        }
        self.settle(io);
    }

    fn turned(&mut self, io: &mut Io) {
        self.application.turned(&mut Net { io, sockets: &mut self.sockets });
        // What that ends may bring more.
        while !self.sockets.done.is_empty() {
            self.settle(io);
            self.application.turned(&mut Net { io, sockets: &mut self.sockets });
        }
    }

    fn timer_fired(&mut self, io: &mut Io) {
        self.application.timer_fired(&mut Net { io, sockets: &mut self.sockets });
        self.settle(io);
    }

    fn is_poisoned(&self) -> bool {
        self.application.is_poisoned()
    }
}
