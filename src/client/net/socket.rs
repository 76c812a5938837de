//! A WebSocket over the reactor: the host's addresses, a proxy, TLS, the opening handshake (RFC 6455 §4.1), messages,
//! the closing handshake. Whoever has it hands on what the reactor says of its connections.

use super::addresses::AddressQueue;
use super::plan::SocketPlan;
use super::proxy::{Heard, ProxyTalk};
use super::records::{TlsFault, decrypt, encrypt, take_records};
use super::sending::seal;
use crate::base::{ConnId, Outbox};
use crate::client::error::{ConnectError, SocketError};
use crate::client::tls;
use crate::protocol::deflate::{Codecs, Deflate};
use crate::protocol::handshake::client::{ClientHandshake, Opened};
use crate::protocol::{Endpoint, Event, Received};
use crate::reactor::{CloseCause, Io};
use crate::web::{SystemKeys, system_nonce};
use rustls::ClientConnection;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

/// How long the end of a connection is waited for.
pub(super) const CLOSE_MS: u64 = 3_000;

/// What comes of a WebSocket.
#[derive(Debug)]
pub(crate) enum SocketEvent<'a> {
    /// It is open; with the subprotocol that the server chose.
    Opened(Option<String>),
    Text(&'a str),
    Bytes(&'a [u8]),
    /// It is over. This is the last event.
    NotOpened(ConnectError),
    /// The server has closed; this is the last event.
    Closed {
        code: Option<u16>,
        reason: &'a str,
    },
    /// It is over without that; this is the last event.
    Broken(SocketError),
}

/// Takes events; whether it takes more of them now.
pub(crate) type Sink<'s> = dyn FnMut(SocketEvent<'_>) -> bool + 's;

#[derive(Debug)]
pub(super) enum SocketStage {
    /// Its host's addresses are looked up, or connected to.
    Connecting,
    Proxy(ProxyTalk),
    /// TLS, if there is one, and the opening handshake.
    Opening(ClientHandshake, Vec<u8>),
    Open(Box<Endpoint>),
    Over,
}

/// Where the answers go that the endpoint makes while messages are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answers {
    /// To the loop's buffer, while it hands over what the connection has read.
    AtOnce,
    /// To one of their own: to be encrypted, or because the loop's is not at hand.
    Kept,
}

/// A WebSocket.
#[derive(Debug)]
pub(crate) struct Socket {
    plan: Arc<SocketPlan>,
    /// The URL's target, with what the program adds to it.
    target: String,
    pub(super) stage: SocketStage,
    addresses: AddressQueue,
    /// Attempts that run beside each other.
    racing: Vec<ConnId>,
    pub(super) conn: Option<ConnId>,
    pub(super) tls: Option<Box<ClientConnection>>,
    /// What came and was not taken yet.
    pending: Vec<u8>,
}

impl Socket {
    /// A WebSocket that waits for [`Socket::found`].
    pub(crate) fn new(plan: Arc<SocketPlan>, target: String) -> Socket {
        Socket {
            plan,
            target,
            stage: SocketStage::Connecting,
            addresses: AddressQueue::default(),
            racing: Vec::new(),
            conn: None,
            tls: None,
            pending: Vec::new(),
        }
    }

    /// Whether it is one of its connections.
    pub(crate) fn has(&self, conn: ConnId) -> bool {
        self.conns().any(|one| one == conn)
    }

    /// The connection that it uses, once there is one.
    pub(crate) fn conn(&self) -> Option<ConnId> {
        self.conn
    }

    /// All of its connections.
    pub(crate) fn conns(&self) -> impl Iterator<Item = ConnId> + '_ {
        self.racing.iter().copied().chain(self.conn)
    }

    pub(crate) fn is_open(&self) -> bool {
        matches!(self.stage, SocketStage::Open(_))
    }

    // --- Connecting ---

    /// The addresses were found, or not.
    pub(crate) fn found(
        &mut self,
        io: &mut Io,
        found: io::Result<Vec<SocketAddr>>,
        sink: &mut Sink<'_>,
    ) {
        if !matches!(self.stage, SocketStage::Connecting) {
            return;
        }
        match found {
            Err(error) => self.not_opened(io, ConnectError::Resolve(error), sink),
            Ok(found) if found.is_empty() => {
                let error = io::Error::from(io::ErrorKind::NotFound);
                self.not_opened(io, ConnectError::Resolve(error), sink);
            }
            Ok(found) => {
                self.addresses = AddressQueue::new(&found);
                self.time(io);
            }
        }
    }

    /// When [`Socket::time`] is due.
    pub(crate) fn next_at(&self) -> crate::base::Moment {
        self.addresses.next_at()
    }

    /// Begins attempts that are due.
    pub(crate) fn time(&mut self, io: &mut Io) {
        while let Some(address) = self.addresses.take(io.now()) {
            self.racing.push(io.dial(address));
        }
    }

    /// One of its attempts is connected.
    pub(crate) fn connected(&mut self, io: &mut Io, conn: ConnId, sink: &mut Sink<'_>) {
        if !matches!(self.stage, SocketStage::Connecting) {
            return;
        }
        self.addresses.stop();
        for other in self.racing.drain(..).filter(|other| *other != conn) {
            io.cut(other);
        }
        self.conn = Some(conn);
        let url = &self.plan.url;
        match &self.plan.proxy {
            None => self.open(io, sink),
            Some(proxy) => {
                let (talk, first) = ProxyTalk::begin(proxy, url.host(), url.port());
                self.stage = SocketStage::Proxy(talk);
                self.push(io, first);
            }
        }
    }

    /// Begins TLS, and the opening handshake.
    fn open(&mut self, io: &mut Io, sink: &mut Sink<'_>) {
        match self.begin_opening() {
            Ok(bytes) => self.push(io, bytes),
            Err(error) => self.not_opened(io, error, sink),
        }
    }

    /// What is sent first.
    fn begin_opening(&mut self) -> Result<Vec<u8>, ConnectError> {
        let plan = &self.plan;
        let handshake =
            plan.handshake(&self.target, system_nonce()).map_err(ConnectError::Handshake)?;
        let mut bytes = Vec::new();
        match plan.tls.as_ref().filter(|_| plan.url.is_secure()) {
            None => bytes.extend_from_slice(handshake.request()),
            Some(tls) => {
                let host = plan.url.host();
                let failed = |error| ConnectError::Tls(tls::fault(&error, host));
                let mut tls = Box::new(tls.connect(host).map_err(failed)?);
                encrypt(&mut tls, handshake.request(), &mut bytes).map_err(ConnectError::Io)?;
                self.tls = Some(tls);
            }
        }
        self.stage = SocketStage::Opening(handshake, Vec::new());
        Ok(bytes)
    }

    // --- What comes ---

    /// Bytes came on one of its connections. Returns how many were taken: fewer than all if `sink` takes no more.
    pub(crate) fn received(
        &mut self,
        io: &mut Io,
        conn: ConnId,
        bytes: &mut [u8],
        sink: &mut Sink<'_>,
    ) -> usize {
        if self.conn != Some(conn) {
            return bytes.len();
        }
        if let SocketStage::Proxy(talk) = &mut self.stage {
            match talk.hear(bytes) {
                Ok(Heard::Nothing) => {}
                Ok(Heard::Say(bytes)) => self.push(io, bytes),
                Ok(Heard::Done(mut early)) => {
                    self.open(io, sink);
                    if !early.is_empty() {
                        self.received(io, conn, &mut early, sink);
                    }
                }
                Err(why) => self.not_opened(io, ConnectError::Proxy(why), sink),
            }
            return bytes.len();
        }
        let Some(tls) = &mut self.tls else { return self.take(io, bytes, Answers::AtOnce, sink) };
        let mut plain = std::mem::take(&mut self.pending);
        let decrypted = decrypt(tls, bytes, &mut plain);
        // What TLS has to say of it, an alert for example.
        let mut records = Vec::new();
        take_records(tls, &mut records);
        self.push(io, records);
        self.take_all(io, plain, sink);
        if let Err(error) = decrypted {
            let is_open = matches!(self.stage, SocketStage::Open(_));
            match error {
                TlsFault::Tls(error) if is_open => {
                    self.broken(io, SocketError::Tls(format!("TLS failed: {error}")), sink);
                }
                TlsFault::Tls(error) => {
                    let why = tls::fault(&error, self.plan.url.host());
                    self.not_opened(io, ConnectError::Tls(why), sink);
                }
                TlsFault::Io(error) => self.failed(io, error, sink),
            }
        }
        bytes.len()
    }

    /// `sink` takes events again.
    pub(crate) fn resume(&mut self, io: &mut Io, sink: &mut Sink<'_>) {
        let pending = std::mem::take(&mut self.pending);
        self.take_all(io, pending, sink);
        if let Some(conn) = self.conn.filter(|_| self.pending.is_empty()) {
            io.resume(conn);
        }
    }

    /// Keeps what is not taken. (What came behind the opening handshake is kept by then, if it is not.)
    fn take_all(&mut self, io: &mut Io, mut plain: Vec<u8>, sink: &mut Sink<'_>) {
        let taken = self.take(io, &mut plain, Answers::Kept, sink);
        if taken < plain.len() {
            plain.drain(..taken);
            self.pending = plain;
        }
    }

    /// Takes what the server says within TLS.
    fn take(
        &mut self,
        io: &mut Io,
        bytes: &mut [u8],
        answers: Answers,
        sink: &mut Sink<'_>,
    ) -> usize {
        let SocketStage::Opening(handshake, answer) = &mut self.stage else {
            return self.take_frames(io, bytes, answers, sink);
        };
        answer.extend_from_slice(bytes);
        match handshake.judge(answer) {
            Ok(None) => {}
            Err(error) => self.not_opened(io, ConnectError::Handshake(error), sink),
            Ok(Some(Opened { head_len, protocol, deflate })) => {
                let frames = answer.split_off(head_len.min(answer.len()));
                let limits = Arc::clone(&self.plan.limits);
                let mut endpoint = Endpoint::client(limits, Box::new(SystemKeys::new()));
                if let Some(agreed) = deflate {
                    let codecs = Codecs::new(self.plan.codecs);
                    endpoint = endpoint.with_deflate(Deflate::client(&agreed, &codecs));
                }
                self.stage = SocketStage::Open(Box::new(endpoint));
                if sink(SocketEvent::Opened(protocol)) {
                    self.take_all(io, frames, sink);
                } else {
                    self.pending = frames;
                }
            }
        }
        bytes.len()
    }

    fn take_frames(
        &mut self,
        io: &mut Io,
        bytes: &mut [u8],
        answers: Answers,
        sink: &mut Sink<'_>,
    ) -> usize {
        let all = bytes.len();
        let (SocketStage::Open(endpoint), Some(conn)) = (&mut self.stage, self.conn) else {
            return all;
        };
        let mut own = match answers {
            Answers::AtOnce => None,
            Answers::Kept => Some(Outbox::alone(u32::MAX)),
        };
        let out = match &mut own {
            Some(own) => own,
            None => match io.outbox(conn) {
                Some(out) => out,
                None => return all,
            },
        };
        let mut input = Received::new(bytes);
        let (mut end, mut records) = (None, Vec::new());
        loop {
            let takes_more = match endpoint.next_event(&mut input, out) {
                Ok(None) => break,
                Ok(Some(Event::Text(text))) => sink(SocketEvent::Text(text)),
                Ok(Some(Event::Binary(bytes))) => sink(SocketEvent::Bytes(bytes)),
                Ok(Some(Event::Pong(_))) => true,
                // Its answer is in the outbox, where it would give way to that of the next ping: each is answered.
                Ok(Some(Event::Ping(_))) => {
                    if answers == Answers::Kept {
                        seal(self.tls.as_deref_mut(), out, &mut records);
                    }
                    true
                }
                Ok(Some(Event::Closed { code, reason })) => {
                    let code = code.map(|code| code.0);
                    sink(SocketEvent::Closed { code, reason });
                    end = Some(None);
                    break;
                }
                Err(error) => {
                    end = Some(Some(SocketError::Protocol(error)));
                    break;
                }
            };
            if !takes_more {
                break;
            }
        }
        let used = input.used();
        if let Some(own) = &mut own {
            seal(self.tls.as_deref_mut(), own, &mut records);
            self.push(io, records);
        }
        match end {
            None => used,
            Some(None) => {
                self.over(io);
                all
            }
            Some(Some(error)) => {
                self.broken(io, error, sink);
                all
            }
        }
    }

    /// One of its connections is over.
    pub(crate) fn closed(
        &mut self,
        io: &mut Io,
        conn: ConnId,
        cause: CloseCause,
        sink: &mut Sink<'_>,
    ) {
        let error = match cause {
            CloseCause::Unreachable(kind) => io::Error::from(kind),
            CloseCause::PeerClosed | CloseCause::Ended => io::ErrorKind::UnexpectedEof.into(),
            CloseCause::Failed => io::ErrorKind::ConnectionReset.into(),
            CloseCause::Cut | CloseCause::HeldMost | CloseCause::Stopped => {
                io::ErrorKind::ConnectionAborted.into()
            }
        };
        if self.conn == Some(conn) {
            self.conn = None;
            return self.failed(io, error, sink);
        }
        self.racing.retain(|one| *one != conn);
        if matches!(self.stage, SocketStage::Connecting) {
            self.addresses.hurry();
            self.time(io);
            if self.racing.is_empty() {
                self.not_opened(io, ConnectError::Connect(error), sink);
            }
        }
    }

    // --- Its end ---

    /// Lets go of it without waiting: a Close is sent if it is open, and nothing more is told.
    pub(crate) fn leave(mut self, io: &mut Io, code: u16, reason: &str) {
        self.addresses.stop();
        for conn in self.racing.drain(..) {
            io.cut(conn);
        }
        if !self.close(io, code, reason)
            && let Some(conn) = self.conn
        {
            return io.cut(conn);
        }
        self.over(io);
    }

    fn over(&mut self, io: &mut Io) {
        self.stage = SocketStage::Over;
        self.pending = Vec::new();
        if let Some(tls) = &mut self.tls {
            let mut records = Vec::new();
            tls.send_close_notify();
            take_records(tls, &mut records);
            self.push(io, records);
        }
        if let Some(conn) = self.conn.take() {
            io.end_by(conn, io.now().plus_millis(CLOSE_MS));
        }
    }

    fn not_opened(&mut self, io: &mut Io, error: ConnectError, sink: &mut Sink<'_>) {
        self.over(io);
        sink(SocketEvent::NotOpened(error));
    }

    fn broken(&mut self, io: &mut Io, error: SocketError, sink: &mut Sink<'_>) {
        self.over(io);
        sink(SocketEvent::Broken(error));
    }

    /// The connection has failed.
    fn failed(&mut self, io: &mut Io, error: io::Error, sink: &mut Sink<'_>) {
        match self.stage {
            SocketStage::Over => {}
            SocketStage::Open(_) => self.broken(io, SocketError::Io(error), sink),
            _ => self.not_opened(io, ConnectError::Io(error), sink),
        }
    }
}
