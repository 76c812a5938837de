//! The orderly end: for good, or for a restart, which is announced so that not everybody comes back
//! at once.

use super::chat::Chat;
use super::deliver::{Speech, hand};
use crate::base::limits::{
    DRAIN_NOTICE_MS, RETURNS_PER_SECOND, SPREAD_MS_MAX, SPREAD_MS_MIN, STOP_MS_MAX,
};
use crate::base::{Class, ConnId, Moment, RefusalCode};
use crate::http1::{HttpRefusal, Status};
use crate::protocol::endpoint::Broadcast;
use crate::protocol::{CloseCode, Message};
use crate::server::embed::shared::End;
use crate::server::http::WatchForm;
use crate::store::RecordStore;
use crate::web::Net;
use crate::wire::encode;
use crate::wire::error::ErrorReply;

/// How far an orderly end is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stopping {
    /// The restart was announced: until then requests are served, and nobody new is let in.
    Announced { until: Moment, end: Moment },
    /// Nothing more is read; what the store has is awaited until then. All is over at the end.
    Committing { until: Moment, end: Moment, why: End },
    /// Everybody has been told.
    Closing,
}

impl<S: RecordStore> Chat<S> {
    /// Whether nobody new is to be let in.
    pub(super) fn is_draining(&self) -> bool {
        self.stopping.is_some()
    }

    /// Whether nothing more is read.
    pub(super) fn is_stopping(&self) -> bool {
        match self.stopping {
            None | Some(Stopping::Announced { .. }) => false,
            Some(Stopping::Committing { .. } | Stopping::Closing) => true,
        }
    }

    /// Begins the orderly end; asked for again, it does not wait any longer to be heard.
    pub(super) fn stop(&mut self, net: &mut Net<'_>, why: End) {
        let is_heard = !self.conns().is_empty();
        match (self.stopping, why) {
            (None, End::Restart) if is_heard => self.announce(net),
            (None, _) => self.commit(net, why, net.now().plus_millis(STOP_MS_MAX)),
            (Some(Stopping::Announced { end, .. }), _) => self.commit(net, End::Restart, end),
            (Some(Stopping::Committing { .. } | Stopping::Closing), _) => {}
        }
    }

    /// Tells everybody that the server restarts, and in how much time to come back.
    fn announce(&mut self, net: &mut Net<'_>) {
        let conns = self.conns();
        let spread_ms = spread_ms(conns.len());
        log::info!(connections = net.connections(), spread_ms; "draining");
        let until = net.now().plus_millis(DRAIN_NOTICE_MS);
        self.stopping =
            Some(Stopping::Announced { until, end: net.now().plus_millis(STOP_MS_MAX) });
        net.wake_at(until);
        let text = encode::push("notice", |w| {
            w.text("code", "draining");
            w.text("message", "the server restarts: reconnect at a random time within spread_ms");
            w.number("spread_ms", spread_ms);
        });
        let mut broadcast = Broadcast::new(Message::Text(&text));
        for conn in conns {
            // Once for each, so that it is bounded; whoever is slow is told, too.
            match self.speech(net, conn) {
                Speech::Messages => {}
                Speech::Events | Speech::Stream(WatchForm::Events) => {
                    self.spread_return(net, conn, spread_ms);
                }
                Speech::Stream(WatchForm::Plain | WatchForm::Parts) => continue,
                Speech::Own => {
                    self.with_own(net, conn, |handler, socket| handler.draining(socket, spread_ms));
                    continue;
                }
            }
            let _ = hand(net, conn, &mut broadcast, &text, Class::Reply);
        }
    }

    /// No more connections and requests; what the store has is committed and answered; then everybody
    /// is told.
    fn commit(&mut self, net: &mut Net<'_>, why: End, end: Moment) {
        log::info!(connections = net.connections(); "stopping");
        let until = net.now().plus_millis(STOP_MS_MAX / 2).min(end);
        self.stopping = Some(Stopping::Committing { until, end, why });
        net.stop_accepting();
        net.wake_at(until);
        // Whatever was called before this is carried out, and what comes later is told that it is
        // not: no call is lost in silence.
        let accepted = self.shared.queue().stop();
        for command in accepted {
            self.carry_out(net, command);
        }
        for conn in self.conns() {
            self.settle_pause(net, conn);
        }
        self.go_on_stopping(net);
    }

    pub(super) fn go_on_stopping(&mut self, net: &mut Net<'_>) {
        match self.stopping {
            Some(Stopping::Announced { until, end }) if until <= net.now() => {
                self.commit(net, End::Restart, end);
            }
            Some(Stopping::Announced { until, .. }) => net.wake_at(until),
            Some(Stopping::Committing { until, end, why })
                if self.at_store.waiting() == 0 || until <= net.now() =>
            {
                self.stopping = Some(Stopping::Closing);
                self.refuse_http_calls(net);
                let (code, reason) = match why {
                    End::ForGood => (CloseCode::GOING_AWAY, "the server stops"),
                    End::Restart => (CloseCode::RESTART, "the server restarts"),
                };
                let mut error = ErrorReply::new(RefusalCode::Unavailable, reason);
                error.detail.close = Some(code.0);
                let text = error.to_message(None);
                for conn in self.conns() {
                    // A WebSocket's Close says it.
                    self.tell(net, conn, None, &text);
                    net.close(conn, code, reason);
                }
                // Those that are no WebSockets yet, or are ending, have nothing to wait for.
                net.end_others();
                net.stop_by(end);
            }
            Some(Stopping::Committing { .. } | Stopping::Closing) | None => {}
        }
    }

    fn conns(&self) -> Vec<ConnId> {
        self.sessions.iter().map(|session| session.conn).collect()
    }
}

/// Over how much time so many clients are to come back, in ms.
fn spread_ms(connections: usize) -> u64 {
    let needed = (connections as u64).saturating_mul(1_000) / RETURNS_PER_SECOND;
    needed.clamp(SPREAD_MS_MIN, SPREAD_MS_MAX)
}

/// Nobody new is let in: another server will be here soon.
pub(super) fn restarting() -> HttpRefusal {
    let message = "the server restarts: reconnect in a moment";
    HttpRefusal::new(Status::ServiceUnavailable, "overloaded", message)
        .with(&[("Retry-After", "2")])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_there_are_the_longer_they_have() {
        assert_eq!(spread_ms(1), SPREAD_MS_MIN);
        assert_eq!(spread_ms(5_000), 10_000);
        assert_eq!(spread_ms(usize::MAX), SPREAD_MS_MAX);
    }
}
