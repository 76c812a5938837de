//! The loop on a simulated system, for simulators and tests. The driver supplies time, bytes, ends
//! and failures; reading, flushing, stalls, timers and ends are the real reactor's code.

use super::clock::Clock;
use super::io::{Handler, Io};
use super::reactor::Reactor;
use super::system::{Acceptor, IoReadiness, Plain, System, Transport};
use super::wake::Wake;
use crate::base::counters::Handshakes;
use crate::base::{Budget, ConnId, Limits, ListenerId, Moment, Timestamp};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, IoSlice, Read, Write};
use std::net::SocketAddr;
use std::rc::Rc;

/// The state of the server's end of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ServerEnd {
    /// More bytes may follow.
    #[default]
    Open,
    /// The server sends nothing more.
    Ended,
    /// The socket is closed.
    Closed,
    /// The socket was closed with unread input: the peer gets a reset and may lose data it has not
    /// read.
    Reset,
}

/// The buffers between the two ends of a connection.
#[derive(Debug, Default)]
struct Wire {
    /// Bytes that arrived and were not read.
    arrived: Vec<u8>,
    peer_ended: bool,
    is_reset: bool,
    /// Bytes sent that the driver has not fetched.
    sent: Vec<u8>,
    /// How many more bytes the system accepts.
    room: usize,
    is_watched_for_writing: bool,
    end: ServerEnd,
}

/// A connection's stream, as the loop sees it.
#[derive(Debug)]
pub struct SimulatedStream(Rc<RefCell<Wire>>);

impl Read for SimulatedStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wire = &mut *self.0.borrow_mut();
        if wire.is_reset {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        if wire.arrived.is_empty() && !wire.peer_ended {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let len = wire.arrived.len().min(buffer.len());
        buffer[..len].copy_from_slice(&wire.arrived[..len]);
        wire.arrived.drain(..len);
        Ok(len)
    }
}

impl Write for SimulatedStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let wire = &mut *self.0.borrow_mut();
        if wire.is_reset {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        if wire.room == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let len = bytes.len().min(wire.room);
        wire.room -= len;
        wire.sent.extend_from_slice(&bytes[..len]);
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Transport for SimulatedStream {
    fn write_pieces(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut taken = 0;
        for piece in pieces {
            match self.write(piece) {
                Ok(len) => taken += len,
                Err(error) if taken == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(taken)
    }

    fn end(&mut self) -> io::Result<()> {
        let wire = &mut *self.0.borrow_mut();
        if wire.is_reset {
            return Err(io::ErrorKind::NotConnected.into());
        }
        wire.end = ServerEnd::Ended;
        Ok(())
    }
}

impl Drop for SimulatedStream {
    fn drop(&mut self) {
        let wire = &mut *self.0.borrow_mut();
        wire.end = if wire.arrived.is_empty() { ServerEnd::Closed } else { ServerEnd::Reset };
    }
}

/// Watches nothing: the driver reports the events.
#[derive(Debug)]
pub struct Simulation<A = Plain> {
    acceptor: A,
}

impl<A: Acceptor> System for Simulation<A> {
    type Socket = SimulatedStream;
    type Stream = A::Stream<SimulatedStream>;
    const CATCHES_PANICS: bool = false;

    fn take_in(
        &mut self,
        socket: SimulatedStream,
        (_, listener): (ConnId, ListenerId),
        budget: &Rc<Budget>,
    ) -> io::Result<Self::Stream> {
        self.acceptor.accept(socket, listener, budget)
    }

    fn turn_begins(&mut self) -> Handshakes {
        self.acceptor.turn_begins()
    }

    fn watch_writing(&mut self, stream: &mut Self::Stream, _: ConnId) -> io::Result<()> {
        A::socket(stream).0.borrow_mut().is_watched_for_writing = true;
        Ok(())
    }

    fn is_connected(&mut self, _: &mut Self::Stream) -> io::Result<bool> {
        Ok(true)
    }
}

/// A reactor whose driver controls connections, clocks and turns.
#[derive(Debug)]
pub struct SimulatedReactor<A: Acceptor = Plain> {
    reactor: Reactor<Simulation<A>>,
    wires: BTreeMap<ConnId, Rc<RefCell<Wire>>>,
}

impl SimulatedReactor {
    /// A reactor without connections, at this time.
    #[must_use]
    pub fn new(limits: &Limits, now: Moment, timestamp: Timestamp) -> SimulatedReactor {
        SimulatedReactor::with(Plain, limits, now, timestamp)
    }
}

impl<A: Acceptor> SimulatedReactor<A> {
    /// Like [`SimulatedReactor::new`], with transports by `acceptor`.
    #[must_use]
    pub fn with(
        acceptor: A,
        limits: &Limits,
        now: Moment,
        timestamp: Timestamp,
    ) -> SimulatedReactor<A> {
        let io = Io::new(limits, now, timestamp);
        let system = Simulation { acceptor };
        let reactor = Reactor::new(system, Clock::start(), Wake::of_nobody(), io, limits);
        SimulatedReactor { reactor, wires: BTreeMap::new() }
    }

    /// Like [`Reactor::wake`].
    #[must_use]
    pub fn wake(&self) -> Wake {
        self.reactor.wake.clone()
    }

    /// Like [`Reactor::io`].
    pub fn io(&mut self) -> &mut Io {
        &mut self.reactor.io
    }

    /// Sets both clocks. The monotonic one does not go back.
    pub fn set_time(&mut self, now: Moment, timestamp: Timestamp) {
        self.reactor.io.now = self.reactor.io.now.max(now);
        self.reactor.io.timestamp = timestamp;
    }

    /// When the next turn is due: at once if work is left or a thread has woken it.
    #[must_use]
    pub fn next_turn(&self) -> Moment {
        if self.reactor.wake.is_pending() || self.reactor.has_work() {
            return self.reactor.io.now;
        }
        self.reactor.next_due().max(self.reactor.io.now)
    }

    /// Runs a turn of the loop. Returns whether the reactor has stopped.
    pub fn turn(&mut self, handler: &mut impl Handler) -> bool {
        let is_woken = self.reactor.wake.is_pending();
        self.reactor.wake.acknowledge();
        self.reactor.turn(handler, is_woken)
    }

    /// Whether new connections are accepted.
    #[must_use]
    pub fn is_accepting(&self) -> bool {
        self.reactor.io.is_accepting
    }

    /// Opens a connection for which the system accepts `room` bytes for now.
    pub fn connect(&mut self, handler: &mut impl Handler, peer: SocketAddr, room: usize) -> ConnId {
        self.connect_at(ListenerId::default(), handler, peer, room)
    }

    /// The same, by this listener.
    pub fn connect_at(
        &mut self,
        listener: ListenerId,
        handler: &mut impl Handler,
        peer: SocketAddr,
        room: usize,
    ) -> ConnId {
        let wire = Rc::new(RefCell::new(Wire { room, ..Wire::default() }));
        let stream = SimulatedStream(Rc::clone(&wire));
        let conn = self.reactor.take_in(handler, stream, peer, listener);
        self.wires.insert(conn, wire);
        conn
    }

    /// Delivers bytes to a connection. Bytes for a closed one are answered by a reset.
    pub fn arrive(&mut self, conn: ConnId, bytes: &[u8]) {
        let Some(wire) = self.wires.get(&conn) else { return };
        {
            let wire = &mut *wire.borrow_mut();
            if matches!(wire.end, ServerEnd::Closed | ServerEnd::Reset) {
                wire.end = ServerEnd::Reset;
                return;
            }
            wire.arrived.extend(bytes);
        }
        self.reactor.note_one(conn, IoReadiness { is_readable: true, ..IoReadiness::default() });
    }

    /// Ends the peer's direction.
    pub fn peer_ends(&mut self, conn: ConnId) {
        let Some(wire) = self.wires.get(&conn) else { return };
        wire.borrow_mut().peer_ended = true;
        let readiness =
            IoReadiness { is_readable: true, is_read_closed: true, ..IoReadiness::default() };
        self.reactor.note_one(conn, readiness);
    }

    /// Resets the connection: input that was not read is lost.
    pub fn reset(&mut self, conn: ConnId) {
        let Some(wire) = self.wires.get(&conn) else { return };
        wire.borrow_mut().is_reset = true;
        let readiness = IoReadiness {
            is_readable: true,
            is_writable: true,
            is_read_closed: true,
            is_write_closed: true,
            is_error: true,
        };
        self.reactor.note_one(conn, readiness);
    }

    /// Lets the system accept so many more bytes for a connection.
    pub fn make_room(&mut self, conn: ConnId, bytes: usize) {
        let Some(wire) = self.wires.get(&conn) else { return };
        let tells = {
            let wire = &mut *wire.borrow_mut();
            let was_full = wire.room == 0;
            wire.room += bytes;
            was_full && wire.is_watched_for_writing
        };
        if tells {
            self.reactor
                .note_one(conn, IoReadiness { is_writable: true, ..IoReadiness::default() });
        }
    }

    /// Lets the system accept nothing more for a connection, until there is room again.
    pub fn take_room(&mut self, conn: ConnId) {
        if let Some(wire) = self.wires.get(&conn) {
            wire.borrow_mut().room = 0;
        }
    }

    /// Connections that have sent something, or ended, since their last fetch.
    pub fn senders(&self) -> impl Iterator<Item = ConnId> {
        let has_news = |wire: &Rc<RefCell<Wire>>| {
            let wire = wire.borrow();
            !wire.sent.is_empty() || wire.end != ServerEnd::Open
        };
        self.wires.iter().filter(move |(_, wire)| has_news(wire)).map(|(conn, _)| *conn)
    }

    /// Fetches what a connection has sent, and the state of the server's end.
    pub fn fetch(&mut self, conn: ConnId) -> (Vec<u8>, ServerEnd) {
        let Some(wire) = self.wires.get(&conn) else { return (Vec::new(), ServerEnd::Closed) };
        let wire = &mut *wire.borrow_mut();
        (std::mem::take(&mut wire.sent), wire.end)
    }

    /// Forgets a closed connection that will not be asked for again.
    pub fn forget(&mut self, conn: ConnId) {
        self.wires.remove(&conn);
    }
}
