//! What the loop needs of the system: streams and readiness events. The real system is mio's; a
//! simulator supplies its own and runs the same loop.

use crate::base::ConnId;
use mio::net::TcpStream;
use mio::{Interest, Poll, Token};
use std::fmt;
use std::io::{self, IoSlice, Read, Write};
use std::net::Shutdown;
use std::time::Duration;

/// One connection's bytes. Reading and writing never block.
pub trait Transport: Read + Write + fmt::Debug {
    /// Sends several pieces in one call; returns how many bytes were accepted.
    ///
    /// # Errors
    /// As [`Write::write`].
    fn write_pieces(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Ends this direction: the peer sees the end after all sent bytes.
    ///
    /// # Errors
    /// When the connection is gone.
    fn end(&mut self) -> io::Result<()>;

    /// Makes dropping the stream discard what the system still holds for the peer, and reset the
    /// connection. The default leaves those bytes to be sent.
    fn discard_unsent(&mut self) {}
}

/// The source of readiness events.
pub trait System {
    /// The type of its connections.
    type Stream: Transport;
    /// Whether a panic in one connection's event is caught. A simulator should see it.
    const CATCHES_PANICS: bool;

    /// Requests events when there is something to read.
    ///
    /// # Errors
    /// The system's error.
    fn watch_reading(&mut self, stream: &mut Self::Stream, conn: ConnId) -> io::Result<()>;

    /// Also requests events when bytes are accepted again; if they already are, one comes at once.
    ///
    /// # Errors
    /// The system's error.
    fn watch_writing(&mut self, stream: &mut Self::Stream, conn: ConnId) -> io::Result<()>;
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
pub struct Machine {
    pub(super) poll: Poll,
}

impl System for Machine {
    type Stream = TcpStream;
    const CATCHES_PANICS: bool = true;

    fn watch_reading(&mut self, stream: &mut TcpStream, conn: ConnId) -> io::Result<()> {
        // Edge-triggered. Most sockets register only once: events for writing are requested when
        // the system first accepts no more bytes.
        self.poll.registry().register(stream, token(conn), Interest::READABLE)
    }

    fn watch_writing(&mut self, stream: &mut TcpStream, conn: ConnId) -> io::Result<()> {
        let both = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().reregister(stream, token(conn), both)
    }
}

fn token(conn: ConnId) -> Token {
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
