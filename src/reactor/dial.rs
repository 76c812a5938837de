//! Connects to others. A connection that was dialled is like an accepted one from then on, but takes no place of a
//! listener's.

use super::connection::{OpenSocket, SocketMark};
use super::io::{Handler, Io};
use super::reactor::Reactor;
use super::slot::CloseCause;
use super::system::{Acceptor, Machine, System, token};
use crate::base::ConnId;
use mio::Interest;
use mio::net::TcpStream;
use std::io;
use std::net::SocketAddr;

impl Io {
    /// Connects to an address. [`Handler::connected`] is called when that is done, or [`Handler::closed`] with
    /// [`CloseCause::Unreachable`] if it cannot be. What is queued before leaves then. The system tries for minutes: set
    /// a deadline.
    pub fn dial(&mut self, to: SocketAddr) -> ConnId {
        let conn = self.open();
        self.dials.push((conn, to));
        conn
    }
}

impl<A: Acceptor> Reactor<Machine<A>> {
    /// Begins what was dialled since the last turn.
    pub(super) fn dial(&mut self, handler: &mut impl Handler) {
        for (conn, to) in std::mem::take(&mut self.io.dials) {
            if !self.io.is_open(conn) {
                continue;
            }
            match self.begin_dial(conn, to) {
                Ok(stream) => self.add_socket(conn, OpenSocket::dialled(stream)),
                Err(error) => self.over(handler, conn, CloseCause::Unreachable(error.kind())),
            }
        }
    }

    fn begin_dial(&mut self, conn: ConnId, to: SocketAddr) -> io::Result<A::Stream<TcpStream>> {
        let mut socket = TcpStream::connect(to)?;
        // A message is a segment: it does not wait for others.
        socket.set_nodelay(true)?;
        let both = Interest::READABLE | Interest::WRITABLE;
        self.system.poll.registry().register(&mut socket, token(conn), both)?;
        Ok(self.system.acceptor.dialled(socket))
    }
}

impl<S: System> Reactor<S> {
    /// An event of a socket that was dialled: whether it is connected now.
    pub(super) fn note_dialled(&mut self, conn: ConnId) -> bool {
        let Some(Some(socket)) = self.sockets.get_mut(conn.index()) else { return false };
        match self.system.is_connected(&mut socket.stream) {
            Ok(false) => return false,
            Ok(true) => {
                socket.set(SocketMark::IsConnecting, false);
                self.dialled.push((conn, None));
            }
            Err(error) => self.dialled.push((conn, Some(error.kind()))),
        }
        !socket.has(SocketMark::IsConnecting)
    }

    /// Tells the handler what has become of what it dialled.
    pub(super) fn tell_dialled(&mut self, handler: &mut impl Handler) {
        for (conn, failed) in std::mem::take(&mut self.dialled) {
            match failed {
                // The system may say so twice.
                Some(kind) if self.io.slot(conn).is_some() => {
                    self.over(handler, conn, CloseCause::Unreachable(kind));
                }
                None if self.io.is_open(conn) => {
                    self.guarded(handler, conn, |handler, io| handler.connected(io, conn));
                }
                _ => {}
            }
        }
    }
}
