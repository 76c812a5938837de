//! What is due for an open WebSocket: a ping, an answer, the rest of a message, its end.
//!
//! A ping has two reasons: silence, after which an answer is demanded; and an interval since the last
//! one, for the round trip of a connection that is never silent (`health.rs`). That one may be left
//! without an answer: frames come, so that the peer is there.

use super::connection::{Connection, ExpectedOfPeer, Stage, Web};
use super::net::{Half, Sending};
use super::{Application, Net};
use crate::base::{ConnId, Moment};
use crate::protocol::endpoint::Closing;
use crate::protocol::{CloseCode, Message};
use crate::reactor::Io;

/// `docs/protocol.md`, "Closing": the peer answers no ping, or does not end its message.
const HEARTBEAT: CloseCode = CloseCode(4102);

impl<A: Application> Web<A> {
    /// What is due for an open WebSocket: its closing handshake is late, its heartbeat, its
    /// unfinished message, or something of the application's. Sets the next deadline.
    pub(super) fn deadline_of_open(&mut self, io: &mut Io, conn: ConnId) {
        let now = io.now();
        let limits = &self.limits;
        let Some(Some(Connection { stage: Stage::Open(open), .. })) =
            self.connections.get_mut(conn.index())
        else {
            return;
        };
        let Some(Sending { half: Half::Frames(half), deadline: of_application, health, .. }) =
            self.sockets.get(conn)
        else {
            return;
        };
        if let Closing::CloseSent { deadline } = half.closing() {
            if deadline <= now {
                // RFC 6455 §7.1.1: the answer does not come; the time for the drain is used up too.
                io.cut(conn);
            } else {
                io.set_deadline(conn, deadline);
            }
            return;
        }
        let is_read = io.may_read(conn);
        if !is_read {
            // We do not listen: then the silence is not the peer's. Whether what waits for it moves
            // is watched elsewhere.
            (open.expected, open.since) = (ExpectedOfPeer::Nothing, now);
        }
        let since = open.since;
        let next = match open.expected {
            ExpectedOfPeer::Nothing => {
                let interval = limits.heartbeat_interval_ms;
                let shortest = interval - interval / 10;
                let silent_ms = now.millis_since(since);
                let is_silent = silent_ms >= shortest;
                let unmeasured_ms = health.millis_since_ping(now);
                // While we do not listen, an answer would seem to be late.
                let is_unmeasured = is_read && unmeasured_ms >= shortest;
                if (is_silent || is_unmeasured)
                    && let Some(out) = io.outbox(conn)
                {
                    let number = self.chance.below(u64::from(u16::MAX)) as u16 + 1;
                    let _ = half.message(Message::Ping(&health.ping(now, number)), out);
                }
                if is_silent {
                    (open.expected, open.since) = (ExpectedOfPeer::Answer, now);
                    now.plus_millis(limits.heartbeat_timeout_ms)
                } else {
                    let counts_ping = is_read && !is_unmeasured;
                    let gone_ms = silent_ms.max(if counts_ping { unmeasured_ms } else { 0 });
                    let left_ms = shortest.saturating_sub(gone_ms);
                    // Spread over a fifth of the interval: a tenth less to a tenth more.
                    now.plus_millis(left_ms + self.chance.below(interval / 5 + 1))
                }
            }
            ExpectedOfPeer::Answer => since.plus_millis(limits.heartbeat_timeout_ms),
            ExpectedOfPeer::Rest => since.plus_millis(limits.message_timeout_ms),
        };
        if next <= now {
            Net { io, sockets: &mut self.sockets }.close(conn, HEARTBEAT, "heartbeat");
            self.settle(io);
            return;
        }
        let is_due = *of_application <= now;
        if is_due {
            *of_application = Moment::NEVER;
        }
        io.set_deadline(conn, next.min(*of_application));
        if is_due {
            self.application.deadline(&mut Net { io, sockets: &mut self.sockets }, conn);
            self.settle(io);
        }
    }
}
