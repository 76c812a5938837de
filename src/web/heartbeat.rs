//! Timers of an open WebSocket: ping, answer, rest of a message, end.
//!
//! A ping has two reasons: silence, after which an answer is required; and an interval since the
//! last ping, to measure a connection that is never silent (`health.rs`). The latter needs no
//! answer: arriving frames show that the peer is there.

use super::connection::{ExpectedOfPeer, Stage, Web};
use super::net::{Half, Sending};
use super::{Application, Net};
use crate::base::{ConnId, Moment};
use crate::protocol::endpoint::Closing;
use crate::protocol::{CloseCode, Message};
use crate::reactor::Io;

/// `docs/protocol.md`, "Closing": the peer does not answer a ping or complete its message.
const HEARTBEAT: CloseCode = CloseCode(4102);

impl<A: Application> Web<A> {
    /// Handles what is due for an open WebSocket: a late closing handshake, the heartbeat, an
    /// unfinished message, or the application's deadline. Sets the next deadline.
    pub(super) fn deadline_of_open(&mut self, io: &mut Io, conn: ConnId) {
        let now = io.now();
        let limits = &self.limits;
        let Some(Stage::Open(open)) = self.stages.get_mut(conn) else { return };
        let Some(Sending { half: Half::Frames(half), deadline: of_application, health, .. }) =
            self.sockets.get(conn)
        else {
            return;
        };
        if let Closing::CloseSent { deadline } = half.closing() {
            if deadline <= now {
                // RFC 6455 §7.1.1: the answer is late, and the time for draining is used up, too.
                io.cut(conn);
            } else {
                io.set_deadline(conn, deadline);
            }
            return;
        }
        let is_read = io.may_read(conn);
        if !is_read {
            // Reading is paused, so the silence is not the peer's. Progress of what waits for it is
            // watched elsewhere.
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
                // While reading is paused, an answer would seem late.
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
