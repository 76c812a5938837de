//! Endless answers (RFC 9112 §6.3, 8): a head, and pieces for as long as both ends wish.
//!
//! The application defines the pieces. They wait in the same outbox and classes as the messages of
//! a WebSocket, and the same rules apply to slow readers.

use super::answering::say;
use super::connection::{Stage, Web};
use super::net::Half;
use super::{Application, Net};
use crate::base::date::http_date;
use crate::base::{ConnId, Moment};
use crate::http1::Response;
use crate::reactor::Io;

/// The state of a connection that is sent pieces.
#[derive(Debug)]
pub(super) struct Endless {
    /// Whether the application has been told that it is over.
    pub(super) is_told: bool,
    /// Bytes received and ignored so far.
    ignored_bytes: u32,
    /// When the next beat is due.
    beat: Moment,
}

impl<A: Application> Web<A> {
    /// Sends the head and tells the application to begin.
    pub(super) fn begin_endless(&mut self, io: &mut Io, conn: ConnId, response: &Response) {
        let interval_ms = self.limits.heartbeat_interval_ms;
        let beat = io.now().plus_millis(self.chance.about(interval_ms));
        let Some(stage) = self.stages.get_mut(conn) else { return };
        *stage = Stage::Endless(Endless { is_told: false, ignored_bytes: 0, beat });
        self.sockets.counters.responses.count(response.status);
        self.sockets.put(conn, Half::Pieces { is_over: false }, io.now());
        let date = http_date(io.timestamp());
        say(io, conn, &response.head_of_endless(&date), b"");
        io.set_deadline(conn, beat);
        // The connection may have been paused while its request waited: read again to notice its
        // end.
        io.resume(conn);
        self.application.opened(&mut Net { io, sockets: &mut self.sockets }, conn);
    }

    fn endless(&mut self, conn: ConnId) -> Option<&mut Endless> {
        match self.stages.get_mut(conn)? {
            Stage::Endless(endless) => Some(endless),
            Stage::Http(_) | Stage::Open(_) | Stage::Over => None,
        }
    }

    /// Ignores what a client sends during the answer; cuts one that sends too much.
    pub(super) fn ignore_input(&mut self, io: &mut Io, conn: ConnId, bytes: usize) {
        let bytes_max = self.limits.head_bytes;
        let Some(endless) = self.endless(conn) else { return };
        endless.ignored_bytes =
            endless.ignored_bytes.saturating_add(u32::try_from(bytes).unwrap_or(u32::MAX));
        if u64::from(endless.ignored_bytes) > u64::from(bytes_max) {
            io.cut(conn);
        }
    }

    /// Ends an answer that the application has ended; what waits is still sent.
    pub(super) fn end_endless(&mut self, io: &mut Io, conn: ConnId) {
        if self.endless(conn).is_some() {
            io.end(conn);
        }
    }

    /// Handles what is due for an endless answer: a beat, or the application's deadline.
    pub(super) fn deadline_of_endless(&mut self, io: &mut Io, conn: ConnId) {
        let now = io.now();
        let next = now.plus_millis(self.chance.about(self.limits.heartbeat_interval_ms));
        let Some(endless) = self.endless(conn) else { return };
        let is_beat = endless.beat <= now;
        if is_beat {
            endless.beat = next;
        }
        let beat = endless.beat;
        let Some(sending) = self.sockets.get(conn) else { return };
        let is_due = sending.deadline <= now;
        if is_due {
            sending.deadline = Moment::NEVER;
        }
        io.set_deadline(conn, beat.min(sending.deadline));
        let is_slow = io.outbox_bytes(conn) > self.limits.outbox_low_bytes as usize;
        let net = &mut Net { io, sockets: &mut self.sockets };
        if is_due {
            self.application.deadline(net, conn);
        }
        if is_beat && !is_slow {
            self.application.beat(net, conn);
        }
        self.settle(io);
    }
}
