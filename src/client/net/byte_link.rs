//! A connection of bytes to a host over the reactor: its addresses in turn, TLS if that is wanted. What the bytes are
//! is not looked at: a proxy passes them on.
#![allow(
    dead_code,
    reason = "of the program's commands, which a program with the client alone has not"
)]

use super::addresses::AddressQueue;
use super::records::take_records;
use crate::base::outbox::NO_SOURCE;
use crate::base::{Class, ConnId, Frame, Moment};
use crate::client::error::ConnectError;
use crate::client::tls::{self, Tls};
use crate::reactor::{CloseCause, Io};
use rustls::ClientConnection;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;

/// Where a connection goes.
#[derive(Clone, Debug)]
pub(crate) struct LinkTarget {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) tls: Option<Tls>,
}

/// What became of a connection.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum LinkChange {
    /// Nothing that matters.
    None,
    /// Bytes may be pushed from now on.
    Ready,
    /// It will not be; why.
    NotConnected(String),
    /// The host has sent its last byte.
    HostEnded,
    /// TLS is broken; how.
    Broken(String),
    /// It is over.
    Over(CloseCause),
}

#[derive(Debug)]
enum LinkStage {
    Connecting,
    /// TLS greets.
    Greeting,
    Ready,
    Over,
}

/// A connection to a host.
#[derive(Debug)]
pub(crate) struct ByteLink {
    target: Arc<LinkTarget>,
    stage: LinkStage,
    addresses: AddressQueue,
    /// Attempts that run beside each other.
    racing: Vec<ConnId>,
    conn: Option<ConnId>,
    tls: Option<Box<ClientConnection>>,
}

impl ByteLink {
    /// One that waits for [`ByteLink::found`].
    pub(crate) fn new(target: Arc<LinkTarget>) -> ByteLink {
        let addresses = AddressQueue::default();
        let stage = LinkStage::Connecting;
        ByteLink { target, stage, addresses, racing: Vec::new(), conn: None, tls: None }
    }

    /// The connection that it uses, once there is one.
    pub(crate) fn conn(&self) -> Option<ConnId> {
        self.conn
    }

    pub(crate) fn is_ready(&self) -> bool {
        matches!(self.stage, LinkStage::Ready)
    }

    /// Whether none of its connections is left, and none will be.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.stage, LinkStage::Over) && self.conn.is_none() && self.racing.is_empty()
    }

    /// The host's addresses were found, or not. Returns the attempts that begin.
    pub(crate) fn found(
        &mut self,
        io: &mut Io,
        found: io::Result<Vec<SocketAddr>>,
    ) -> (LinkChange, Vec<ConnId>) {
        if !matches!(self.stage, LinkStage::Connecting) {
            return (LinkChange::None, Vec::new());
        }
        let nothing = || io::Error::from(io::ErrorKind::NotFound);
        match found.and_then(|all| if all.is_empty() { Err(nothing()) } else { Ok(all) }) {
            Ok(found) => {
                self.addresses = AddressQueue::new(&found);
                (LinkChange::None, self.time(io))
            }
            Err(error) => (self.not_connected(&ConnectError::Resolve(error)), Vec::new()),
        }
    }

    /// When [`ByteLink::time`] is due.
    pub(crate) fn next_at(&self) -> Moment {
        self.addresses.next_at()
    }

    /// Begins attempts that are due, and returns them.
    pub(crate) fn time(&mut self, io: &mut Io) -> Vec<ConnId> {
        let mut begun = Vec::new();
        while let Some(address) = self.addresses.take(io.now()) {
            begun.push(io.dial(address));
        }
        self.racing.extend_from_slice(&begun);
        begun
    }

    /// An attempt has succeeded: the others end.
    pub(crate) fn connected(&mut self, io: &mut Io, conn: ConnId) -> LinkChange {
        if !matches!(self.stage, LinkStage::Connecting) {
            return LinkChange::None;
        }
        self.addresses.stop();
        for other in self.racing.drain(..).filter(|other| *other != conn) {
            io.cut(other);
        }
        self.conn = Some(conn);
        io.keep_halves(conn);
        let Some(tls) = &self.target.tls else {
            self.stage = LinkStage::Ready;
            return LinkChange::Ready;
        };
        match tls.connect(&self.target.host) {
            Ok(tls) => {
                self.tls = Some(Box::new(tls));
                self.stage = LinkStage::Greeting;
                self.push_records(io);
                LinkChange::None
            }
            Err(error) => {
                let why = tls::fault(&error, &self.target.host);
                self.not_connected(&ConnectError::Tls(why))
            }
        }
    }

    /// Bytes came; `plain` gets what they say.
    pub(crate) fn received(
        &mut self,
        io: &mut Io,
        records: &[u8],
        plain: &mut Vec<u8>,
    ) -> LinkChange {
        let Some(tls) = &mut self.tls else {
            plain.extend_from_slice(records);
            return LinkChange::None;
        };
        let read = decrypt(tls, records, plain);
        self.push_records(io);
        let is_greeting = matches!(self.stage, LinkStage::Greeting);
        match read {
            Err(error) if is_greeting => {
                let why = tls::fault(&error, &self.target.host);
                self.not_connected(&ConnectError::Tls(why))
            }
            Err(error) => LinkChange::Broken(format!("TLS failed: {error}")),
            Ok(true) => LinkChange::HostEnded,
            Ok(false) if is_greeting && !self.is_greeting() => {
                self.stage = LinkStage::Ready;
                LinkChange::Ready
            }
            Ok(false) => LinkChange::None,
        }
    }

    fn is_greeting(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.is_handshaking())
    }

    /// Queues bytes for the host, once it is ready.
    pub(crate) fn push(&mut self, io: &mut Io, mut bytes: &[u8]) {
        let Some(conn) = self.conn else { return };
        let Some(tls) = &mut self.tls else { return push(io, conn, bytes) };
        let mut records = Vec::with_capacity(bytes.len());
        while !bytes.is_empty() {
            // What it holds leaves with each round: it has room again.
            let Ok(taken) = tls.writer().write(bytes) else { break };
            take_records(tls, &mut records);
            bytes = bytes.get(taken..).unwrap_or_default();
        }
        push(io, conn, &records);
    }

    /// Sends what waits, and tells the host that nothing follows.
    pub(crate) fn end_sending(&mut self, io: &mut Io) {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
        }
        self.push_records(io);
        if let Some(conn) = self.conn {
            io.end_sending(conn);
        }
    }

    fn push_records(&mut self, io: &mut Io) {
        let mut records = Vec::new();
        if let (Some(tls), Some(conn)) = (&mut self.tls, self.conn) {
            take_records(tls, &mut records);
            push(io, conn, &records);
        }
    }

    /// One of its connections is over.
    pub(crate) fn closed(&mut self, conn: ConnId, cause: CloseCause) -> LinkChange {
        if self.conn == Some(conn) {
            self.conn = None;
            let is_greeting = matches!(self.stage, LinkStage::Greeting);
            self.stage = LinkStage::Over;
            if is_greeting {
                let error = io::Error::from(io::ErrorKind::UnexpectedEof);
                return self.not_connected(&ConnectError::Io(error));
            }
            return LinkChange::Over(cause);
        }
        self.racing.retain(|one| *one != conn);
        if !matches!(self.stage, LinkStage::Connecting) {
            return LinkChange::None;
        }
        self.addresses.hurry();
        if !self.racing.is_empty() || self.addresses.next_at() != Moment::NEVER {
            return LinkChange::None;
        }
        let kind = match cause {
            CloseCause::Unreachable(kind) => kind,
            _ => io::ErrorKind::ConnectionReset,
        };
        self.not_connected(&ConnectError::Connect(kind.into()))
    }

    /// Lets go of all its connections at once.
    pub(crate) fn cut(&mut self, io: &mut Io) {
        self.addresses.stop();
        self.stage = LinkStage::Over;
        for conn in self.racing.iter().copied().chain(self.conn) {
            io.cut(conn);
        }
    }

    fn not_connected(&mut self, error: &ConnectError) -> LinkChange {
        self.stage = LinkStage::Over;
        LinkChange::NotConnected(error.to_string())
    }
}

/// Takes the host's records, and what is in them; whether it has said that nothing follows.
fn decrypt(
    tls: &mut ClientConnection,
    mut records: &[u8],
    to: &mut Vec<u8>,
) -> Result<bool, rustls::Error> {
    let mut has_ended = false;
    while !records.is_empty() {
        // What follows the end is not read.
        if tls.read_tls(&mut records).is_ok_and(|len| len == 0) {
            return Ok(true);
        }
        has_ended |= tls.process_new_packets()?.peer_has_closed();
        // It says that nothing is there, or that nothing comes: both are known.
        let _ = tls.reader().read_to_end(to);
    }
    Ok(has_ended)
}

/// Queues bytes on a connection.
pub(crate) fn push(io: &mut Io, conn: ConnId, bytes: &[u8]) {
    if !bytes.is_empty() {
        // Never refused, but by a connection that is gone.
        let _ = io.push(conn, Frame::Own(bytes.into()), Class::Reply, NO_SOURCE);
    }
}
