//! What the loop needs of the system: streams and readiness events. The real system is mio's; a
//! simulator supplies its own and runs the same loop. What the bytes are wrapped in on their way is
//! up to an [`Acceptor`].

use super::seat::Desk;
use crate::base::counters::Handshakes;
use crate::base::{Budget, ConnId, ListenerId};
use mio::net::TcpStream;
use mio::{Interest, Poll, Token};
use std::fmt;
use std::io::{self, IoSlice, Read, Write};
use std::net::Shutdown;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// One connection's bytes. Reading and writing never block.
///
/// A transport may wrap another, as TLS does: then it has bytes of its own to send, and may hold
/// some that it took. [`Read::read`] fails with [`io::ErrorKind::Interrupted`] if it is to be tried
/// again in the next turn.
pub trait Transport: Read + Write + fmt::Debug {
    /// Sends several pieces in one call; returns how many bytes were accepted.
    ///
    /// # Errors
    /// As [`Write::write`].
    fn write_pieces(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Tells the peer that no bytes follow, if the transport has a message for that. Called once all
    /// bytes are sent, and again after [`io::ErrorKind::WouldBlock`].
    ///
    /// # Errors
    /// As [`Write::write`].
    fn notify_end(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Ends this direction: the peer sees the end after all sent bytes.
    ///
    /// # Errors
    /// When the connection is gone.
    fn end(&mut self) -> io::Result<()>;

    /// Makes dropping the stream discard what the system still holds for the peer, and reset the
    /// connection. The default leaves those bytes to be sent.
    fn discard_unsent(&mut self) {}

    /// Whether there may be more input, after a read of `len` bytes into room for `room`.
    fn may_have_more(&self, len: usize, room: usize) -> bool {
        len == room
    }

    /// Reads input that is discarded unseen. Returns how many bytes there were.
    ///
    /// # Errors
    /// As [`Read::read`].
    fn read_away(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read(buffer)
    }

    /// Whether it takes bytes already. If not, a read may change that.
    fn is_ready(&self) -> bool {
        true
    }

    /// Whether the peer has begun what comes before bytes can be read: the handshake of TLS.
    fn has_begun(&self) -> bool {
        false
    }

    /// Whether it holds bytes that the system has not accepted. [`Write::flush`] sends them.
    fn has_unsent(&self) -> bool {
        false
    }
}

/// Makes the transport of each accepted connection.
pub trait Acceptor {
    /// What it makes of a socket.
    type Stream<T: Transport>: Transport;

    /// Wraps a socket of this listener. Bytes that the transport has taken and not sent are counted in `budget`.
    ///
    /// # Errors
    /// If it can make none now: the socket is closed.
    fn accept<T: Transport>(
        &mut self,
        socket: T,
        listener: ListenerId,
        budget: &Rc<Budget>,
    ) -> io::Result<Self::Stream<T>>;

    /// What it makes of a socket that was dialled: it is plain.
    fn dialled<T: Transport>(&mut self, socket: T) -> Self::Stream<T>;

    /// The socket within.
    fn socket<T: Transport>(stream: &mut Self::Stream<T>) -> &mut T;

    /// Called at the beginning of each turn. Returns how the handshakes so far ended.
    fn turn_begins(&mut self) -> Handshakes {
        Handshakes::default()
    }
}

/// Leaves each socket as it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plain;

impl Acceptor for Plain {
    type Stream<T: Transport> = T;

    fn accept<T: Transport>(&mut self, socket: T, _: ListenerId, _: &Rc<Budget>) -> io::Result<T> {
        Ok(socket)
    }

    fn dialled<T: Transport>(&mut self, socket: T) -> T {
        socket
    }

    fn socket<T: Transport>(stream: &mut T) -> &mut T {
        stream
    }
}

/// The source of readiness events.
pub trait System {
    /// A connection's socket.
    type Socket: Transport;
    /// The same as the loop reads and writes it.
    type Stream: Transport;
    /// Whether a panic in one connection's event is caught. A simulator should see it.
    const CATCHES_PANICS: bool;

    /// Makes the stream of an accepted socket, and requests events when there is something to read.
    ///
    /// # Errors
    /// The system's error, or the acceptor's.
    fn take_in(
        &mut self,
        socket: Self::Socket,
        conn: (ConnId, ListenerId),
        budget: &Rc<Budget>,
    ) -> io::Result<Self::Stream>;

    /// As [`Acceptor::turn_begins`].
    fn turn_begins(&mut self) -> Handshakes;

    /// Also requests events when bytes are accepted again: if they already are, one comes at once.
    ///
    /// # Errors
    /// The system's error.
    fn watch_writing(&mut self, stream: &mut Self::Stream, conn: ConnId) -> io::Result<()>;

    /// Whether what was dialled is connected by now.
    ///
    /// # Errors
    /// Why it never will be.
    fn is_connected(&mut self, stream: &mut Self::Stream) -> io::Result<bool>;
}

/// Readiness of a connection, as the system reported it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct IoReadiness {
    pub(super) is_readable: bool,
    pub(super) is_writable: bool,
    /// The peer sends nothing more.
    pub(super) is_read_closed: bool,
    pub(super) is_write_closed: bool,
    pub(super) is_error: bool,
}

/// The real system.
#[derive(Debug)]
pub struct Machine<A = Plain> {
    pub(super) poll: Poll,
    pub(super) acceptor: A,
    /// Which of the server's reactors it is of.
    pub(super) number: usize,
    /// All of them.
    pub(super) desks: Arc<[Desk]>,
}

impl<A: Acceptor> System for Machine<A> {
    type Socket = TcpStream;
    type Stream = A::Stream<TcpStream>;
    const CATCHES_PANICS: bool = true;

    fn take_in(
        &mut self,
        mut socket: TcpStream,
        (conn, listener): (ConnId, ListenerId),
        budget: &Rc<Budget>,
    ) -> io::Result<Self::Stream> {
        // Edge-triggered. Most sockets register only once: events for writing are requested when
        // the system first accepts no more bytes.
        self.poll.registry().register(&mut socket, token(conn), Interest::READABLE)?;
        self.acceptor.accept(socket, listener, budget)
    }

    fn turn_begins(&mut self) -> Handshakes {
        self.acceptor.turn_begins()
    }

    fn watch_writing(&mut self, stream: &mut Self::Stream, conn: ConnId) -> io::Result<()> {
        let both = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().reregister(A::socket(stream), token(conn), both)
    }

    fn is_connected(&mut self, stream: &mut Self::Stream) -> io::Result<bool> {
        let socket = A::socket(stream);
        if let Some(error) = socket.take_error()? {
            return Err(error);
        }
        match socket.peer_addr() {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error),
        }
    }
}

pub(super) fn token(conn: ConnId) -> Token {
    Token(conn.to_u64() as usize)
}

impl Transport for TcpStream {
    // `TcpStream::write` is `send` with MSG_NOSIGNAL; `write_vectored` would be `writev`, which
    // raises SIGPIPE in a host that embeds this.
    fn write_pieces(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let socket = socket2::SockRef::from(&*self);
        socket.send_vectored_with_flags(pieces, libc::MSG_NOSIGNAL)
    }

    fn end(&mut self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }

    fn discard_unsent(&mut self) {
        if let Err(error) = socket2::SockRef::from(&*self).set_linger(Some(Duration::ZERO)) {
            log::debug!("what is left of a connection is not thrown away: {error}");
        }
    }
}
