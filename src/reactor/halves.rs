//! Connections whose two directions end one by one, as a proxy's must: the peer may have sent its
//! last byte and still read.

use super::connection::SocketMark;
use super::io::{Handler, Io};
use super::reactor::Reactor;
use super::slot::CloseCause;
use super::system::{System, Transport};
use crate::base::ConnId;
use std::io;

/// What has ended of such a connection.
#[derive(Debug, Default)]
pub(super) struct HalfEnds {
    peer_has_ended: bool,
    sending: SendingHalf,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum SendingHalf {
    #[default]
    Open,
    /// It ends when all that waits was sent.
    Ending,
    Ended,
}

impl Io {
    /// From now on the end of what the peer sends does not end the connection: it is told to
    /// [`Handler::peer_ended`]. The connection is over when both directions have ended.
    pub fn keep_halves(&mut self, conn: ConnId) {
        if self.is_open(conn) {
            self.halves.insert(conn, HalfEnds::default());
        }
    }

    /// Sends what waits, then tells the peer that nothing follows; goes on reading. For a connection
    /// of which [`Io::keep_halves`] was said.
    pub fn end_sending(&mut self, conn: ConnId) {
        if let Some(halves) = self.halves.get_mut(&conn)
            && halves.sending == SendingHalf::Open
        {
            halves.sending = SendingHalf::Ending;
            self.ends.push(conn);
        }
    }

    pub(super) fn keeps_halves(&self, conn: ConnId) -> bool {
        !self.halves.is_empty() && self.halves.contains_key(&conn)
    }
}

impl<S: System> Reactor<S> {
    /// The peer has ended its direction; whether the other one goes on.
    pub(super) fn keep_other_half(&mut self, handler: &mut impl Handler, conn: ConnId) -> bool {
        if self.io.slot(conn).is_none_or(|slot| !slot.is_open()) {
            return false;
        }
        let Some(halves) = self.io.halves.get_mut(&conn) else { return false };
        // The system may say so twice.
        let is_new = !std::mem::replace(&mut halves.peer_has_ended, true);
        if is_new {
            self.guarded(handler, conn, |handler, io| handler.peer_ended(io, conn));
        }
        self.end_if_both_ended(handler, conn);
        true
    }

    /// Ends the direction to the peer, if that was asked for and nothing waits.
    pub(super) fn finish_half(&mut self, handler: &mut impl Handler, conn: ConnId) {
        let Some(halves) = self.io.halves.get(&conn) else { return };
        if halves.sending != SendingHalf::Ending {
            return;
        }
        let is_flushed = self.io.slot(conn).is_some_and(|slot| slot.outbox.is_empty());
        let Some(Some(socket)) = self.sockets.get_mut(conn.index()) else { return };
        // Comes here again when the last waiting bytes have been sent.
        if !is_flushed || socket.stream.has_unsent() || socket.has(SocketMark::IsConnecting) {
            return;
        }
        let is_blocked = |error: io::Error| error.kind() == io::ErrorKind::WouldBlock;
        if socket.stream.notify_end().is_err_and(is_blocked) {
            self.watch_for_writing(conn);
            return;
        }
        if socket.stream.end().is_err() {
            return self.over(handler, conn, CloseCause::Failed);
        }
        if let Some(halves) = self.io.halves.get_mut(&conn) {
            halves.sending = SendingHalf::Ended;
        }
        self.end_if_both_ended(handler, conn);
    }

    fn end_if_both_ended(&mut self, handler: &mut impl Handler, conn: ConnId) {
        let have_ended =
            self.io.halves.get(&conn).is_some_and(|halves| {
                halves.peer_has_ended && halves.sending == SendingHalf::Ended
            });
        if have_ended {
            self.over(handler, conn, CloseCause::PeerClosed);
        }
    }
}
