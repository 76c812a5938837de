//! What is due for an open WebSocket: a ping, an answer, the rest of a message, its end.

use super::handler::{Connection, Expected, Stage, Web};
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
        let Some(Sending { half: Half::Frames(half), deadline: of_application, .. }) =
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
        if !io.may_read(conn) {
            // We do not listen: then the silence is not the peer's. Whether what waits for it moves
            // is watched elsewhere.
            (open.expected, open.since) = (Expected::Nothing, now);
        }
        let since = open.since;
        let next = match open.expected {
            Expected::Nothing => {
                let interval = limits.heartbeat_interval_ms;
                let ping_at = since.plus_millis(interval * 9 / 10);
                if ping_at > now {
                    // Spread over a fifth of the interval: a tenth less to a tenth more.
                    ping_at.plus_millis(self.chance.below(interval / 5 + 1))
                } else {
                    if let Some(out) = io.outbox(conn) {
                        let _ = half.message(Message::Ping(b""), out);
                    }
                    (open.expected, open.since) = (Expected::Answer, now);
                    now.plus_millis(limits.heartbeat_timeout_ms)
                }
            }
            Expected::Answer => since.plus_millis(limits.heartbeat_timeout_ms),
            Expected::Rest => since.plus_millis(limits.message_timeout_ms),
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
