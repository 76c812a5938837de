//! What the loop needs of the system: streams, and to be told when they can go on. The real one is
//! mio's; a simulator brings its own, and what is above it is the same loop.

use crate::base::ConnId;
use mio::net::TcpStream;
use mio::{Interest, Poll, Token};
use std::fmt;
use std::io::{self, IoSlice, Read, Write};
use std::net::Shutdown;
use std::time::Duration;

/// One connection's bytes. Reading and writing never block.
pub trait Transport: Read + Write + fmt::Debug {
    /// Sends several pieces in one call: how many bytes were taken.
    ///
    /// # Errors
    /// As [`Write::write`].
    fn write_pieces(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Sends nothing more: the peer is told so behind what was sent.
    ///
    /// # Errors
    /// When the connection is gone.
    fn end(&mut self) -> io::Result<()>;

    /// Has what the system still holds for the peer thrown away when this is dropped, and the peer told by a
    /// reset. The default leaves it to be sent.
    fn throw_away(&mut self) {}
}

/// What tells the loop of its connections.
pub trait System {
    /// Its connections.
    type Stream: Transport;
    /// Whether a panic in one connection's event is caught. A simulator wants to see it.
    const CATCHES_PANICS: bool;

    /// Has the loop told when there is something to read.
    ///
    /// # Errors
    /// What the system says.
    fn watch_reading(&mut self, stream: &mut Self::Stream, conn: ConnId) -> io::Result<()>;

    /// Has it told when bytes are taken again, too. If some are by now, this says so at once.
    ///
    /// # Errors
    /// What the system says.
    fn watch_writing(&mut self, stream: &mut Self::Stream, conn: ConnId) -> io::Result<()>;
}

/// What the system says of a connection.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct IoReadiness {
    pub(super) is_readable: bool,
    pub(super) is_writable: bool,
    /// The peer sends nothing more.
    pub(super) is_read_closed: bool,
    pub(super) is_write_closed: bool,
    pub(super) is_error: bool,
}

/// The machine's own.
#[derive(Debug)]
pub struct Machine {
    pub(super) poll: Poll,
}

impl System for Machine {
    type Stream = TcpStream;
    const CATCHES_PANICS: bool = true;

    fn watch_reading(&mut self, stream: &mut TcpStream, conn: ConnId) -> io::Result<()> {
        // Edge-triggered, and once and for all for most: that the system takes bytes again is asked
        // for when it first does not.
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

    fn throw_away(&mut self) {
        if let Err(error) = socket2::SockRef::from(&*self).set_linger(Some(Duration::ZERO)) {
            log::debug!("what is left of a connection is not thrown away: {error}");
        }
    }
}
