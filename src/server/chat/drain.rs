//! The orderly end: for good, or for a restart, which is announced so that not all clients
//! reconnect at once.

use super::chat::Chat;
use super::deliver::{PushForm, hand};
use crate::base::limits::{
    DRAIN_NOTICE_MS, RETURNS_PER_SECOND, SPREAD_MS_MAX, SPREAD_MS_MIN, STOP_MS_MAX,
};
use crate::base::{Class, ConnId, Moment, RefusalCode};
use crate::http1::{HttpRefusal, Status};
use crate::protocol::endpoint::Broadcast;
use crate::protocol::{CloseCode, Message};
use crate::server::embed::call_queue::{Command, End};
use crate::server::http::WatchForm;
use crate::store::RecordStore;
use crate::web::Net;
use crate::wire::error::ErrorReply;
use crate::wire::server_encode;

/// The stage of an orderly end. The first thread begins each for all: the others no sooner, as it
/// deals connections out to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StopStage {
    /// The restart has been announced. Until then requests are served, and nobody new is admitted.
    Announced { until: Moment, end: Moment, why: End },
    /// Nothing more is read. The store's answers are awaited until then, on all threads; everything
    /// is over at the end.
    Committing { until: Moment, end: Moment, why: End, is_settled: bool },
    /// Everybody has been told.
    Closing,
}

impl<S: RecordStore> Chat<S> {
    /// Whether nobody new is admitted.
    pub(super) fn is_draining(&self) -> bool {
        self.stopping.is_some()
    }

    /// Whether nothing more is read.
    pub(super) fn is_stopping(&self) -> bool {
        match self.stopping {
            None | Some(StopStage::Announced { .. }) => false,
            Some(StopStage::Committing { .. } | StopStage::Closing) => true,
        }
    }

    /// Begins the orderly end. A second call cuts the announcement short.
    pub(super) fn stop(&mut self, net: &mut Net<'_>, why: End) {
        let is_heard = self.sessions.everywhere() > 0;
        match (self.stopping, why) {
            (None, End::Restart | End::HandOver) if is_heard => self.announce(net, why),
            (None, _) => self.commit(net, why, net.now().plus_millis(STOP_MS_MAX)),
            (Some(StopStage::Announced { end, why, .. }), _) => self.commit(net, why, end),
            (Some(StopStage::Committing { .. } | StopStage::Closing), _) => {}
        }
    }

    /// Announces a restart, on all threads.
    fn announce(&mut self, net: &mut Net<'_>, why: End) {
        if why == End::HandOver {
            net.hold_accepting();
        }
        let spread_ms = spread_ms(self.sessions.everywhere());
        log::info!(connections = net.connections_everywhere(), spread_ms; "draining");
        let until = net.now().plus_millis(DRAIN_NOTICE_MS);
        self.stopping =
            Some(StopStage::Announced { until, end: net.now().plus_millis(STOP_MS_MAX), why });
        net.wake_at(until);
        self.shared.tell_others(&Command::Announce { spread_ms });
        self.tell_restart(net, spread_ms);
    }

    /// The first thread has announced a restart, and will say when it comes.
    pub(super) fn restart_is_announced(&mut self, net: &mut Net<'_>, spread_ms: u64) {
        let (until, end) = (Moment::NEVER, Moment::NEVER);
        self.stopping = Some(StopStage::Announced { until, end, why: End::Restart });
        self.tell_restart(net, spread_ms);
    }

    /// Tells everybody here that the server restarts, and within how much time to reconnect.
    fn tell_restart(&mut self, net: &mut Net<'_>, spread_ms: u64) {
        let conns = self.conns();
        let text = server_encode::draining(spread_ms);
        let mut broadcast = Broadcast::new(Message::Text(&text));
        for conn in conns {
            // One message for each, so it is bounded, and slow readers get it, too.
            match self.push_form(net, conn) {
                PushForm::Messages => {}
                PushForm::Events | PushForm::Stream(WatchForm::Events) => {
                    self.spread_return(net, conn, spread_ms);
                }
                PushForm::Stream(WatchForm::Plain | WatchForm::Parts) => continue,
                PushForm::Own => {
                    self.with_own(net, conn, |handler, socket| handler.draining(socket, spread_ms));
                    continue;
                }
            }
            let _ = hand(net, conn, &mut broadcast, &text, Class::Reply);
        }
    }

    /// Ends accepting, and then reading, on all threads.
    fn commit(&mut self, net: &mut Net<'_>, why: End, end: Moment) {
        log::info!(connections = net.connections_everywhere(); "stopping");
        match why {
            End::HandOver => net.hold_accepting(),
            End::ForGood | End::Restart => net.stop_accepting(),
        }
        self.shared.tell_others(&Command::Commit { why, end });
        self.await_store(net, why, end);
    }

    /// Takes no more requests, and waits until the store has committed and answered, to all threads;
    /// then everybody is told.
    pub(super) fn await_store(&mut self, net: &mut Net<'_>, why: End, end: Moment) {
        // A thread that was held up has as much time as others, from now on.
        let end = if self.number == 0 { end } else { end.max(net.now().plus_millis(STOP_MS_MAX)) };
        let until = net.now().plus_millis(STOP_MS_MAX / 2).min(end);
        self.stopping = Some(StopStage::Committing { until, end, why, is_settled: false });
        net.wake_at(until);
        // Calls made before this are carried out, and later ones fail: no call is lost in silence.
        let accepted = self.thread().queue().stop();
        for command in accepted {
            self.carry_out(net, command);
        }
        for conn in self.conns() {
            self.settle_pause(net, conn);
        }
        self.advance_stop(net);
    }

    pub(super) fn advance_stop(&mut self, net: &mut Net<'_>) {
        match self.stopping {
            Some(StopStage::Announced { until, end, why }) if until <= net.now() => {
                self.commit(net, why, end);
            }
            Some(StopStage::Announced { until, .. }) => net.wake_at(until),
            Some(StopStage::Committing { until, end, why, is_settled: false })
                if self.waits_for_nothing() =>
            {
                self.stopping = Some(StopStage::Committing { until, end, why, is_settled: true });
                self.team.settle();
                self.advance_stop(net);
            }
            Some(StopStage::Committing { until, end, why, is_settled })
                if (is_settled && self.waits_for_nothing() && self.team.is_settled())
                    || until <= net.now() =>
            {
                // What other threads have committed and published by then reaches everybody.
                self.hear_first(net);
                self.stopping = Some(StopStage::Closing);
                self.refuse_http_calls(net);
                let (code, reason) = match why {
                    End::ForGood => (CloseCode::GOING_AWAY, "the server stops"),
                    End::Restart | End::HandOver => (CloseCode::RESTART, "the server restarts"),
                };
                let mut error = ErrorReply::new(RefusalCode::Unavailable, reason);
                error.detail.close = Some(code.0);
                let text = error.to_message(None);
                for conn in self.conns() {
                    // A WebSocket is told by its Close.
                    self.tell(net, conn, None, &text);
                    net.close(conn, code, reason);
                }
                // Connections that are no WebSockets yet, or are closing, have nothing to wait for.
                net.end_others();
                net.stop_by(end);
            }
            Some(StopStage::Committing { until, .. }) => net.wake_at(until),
            Some(StopStage::Closing) | None => {}
        }
    }

    /// Whether neither the store nor another thread owes an answer here.
    fn waits_for_nothing(&self) -> bool {
        self.store_client.waiting() == 0 && !self.hub.keeps_inputs() && !self.surveys.wait()
    }

    pub(super) fn conns(&self) -> Vec<ConnId> {
        self.sessions.iter().map(|(conn, _)| conn).collect()
    }
}

/// Within how many ms this many clients are to reconnect.
fn spread_ms(connections: usize) -> u64 {
    let needed = (connections as u64).saturating_mul(1_000) / RETURNS_PER_SECOND;
    needed.clamp(SPREAD_MS_MIN, SPREAD_MS_MAX)
}

/// The refusal of newcomers: another server will be here soon.
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
