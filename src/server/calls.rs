//! What the embedding program asks of the reactor's thread, and the orderly end.

use super::chat::{Chat, Stopping};
use super::encode::{self, ErrorDetail};
use super::handle::HandleError;
use super::shared::{Command, Recipients, Shared};
use super::web::Net;
use crate::base::limits::{CALLS_PER_TURN, STOP_MS_MAX};
use crate::base::outbox::NO_SOURCE;
use crate::base::{Class, ConnId};
use crate::hub::Input;
use crate::protocol::CloseCode;
use crate::protocol::Message;
use crate::protocol::endpoint::Broadcast;
use crate::store::Backend;
use std::sync::Arc;

impl<S: Backend> Chat<S> {
    /// Carries out calls of other threads, a bounded number in a turn.
    pub(super) fn take_calls(&mut self, net: &mut Net<'_>) {
        self.take_answers(net);
        for _ in 0..CALLS_PER_TURN {
            let command = self.shared.queue().pop();
            match command {
                Some(command) => self.carry_out(net, command),
                None => return,
            }
        }
        self.shared.wake.wake();
    }

    fn carry_out(&mut self, net: &mut Net<'_>, command: Command) {
        match command {
            Command::Push { to, kind, payload } => {
                let text = encode::push_raw(&kind, &payload);
                let mut broadcast = Broadcast::new(Message::Text(&text));
                let conns: Vec<ConnId> = match to {
                    Recipients::All => self.hub.all_connections().collect(),
                    Recipients::Users(users) => users
                        .iter()
                        .flat_map(|user| self.hub.connections_of(user))
                        .copied()
                        .collect(),
                };
                for conn in conns {
                    // A connection that is full, or that has gone since the call counted it, is
                    // not reached.
                    let _ = net.broadcast(conn, &mut broadcast, Class::Durable, NO_SOURCE);
                }
            }
            Command::Ask { user, request, ticket } => {
                self.next_call += 1;
                let call = self.next_call;
                self.tickets.insert(call, ticket);
                self.decide(net, Input::Call { call, user, request });
            }
            Command::Register { kind, handler } => {
                self.handlers.insert(kind, handler);
            }
            Command::Reconfigure(config, keys) => self.reconfigure(net, *config, keys),
            Command::Stop => self.stop(net),
        }
    }

    /// Hands on what handlers have answered.
    pub(super) fn take_answers(&mut self, net: &mut Net<'_>) {
        let answers = std::mem::take(&mut self.shared.queue().answers);
        for (conn, id, result) in answers {
            if let Some(session) = self.session(conn) {
                session.calls = session.calls.saturating_sub(1);
                self.settle_pause(net, conn);
            }
            match (result, id) {
                (Ok(payload), Some(id)) => {
                    self.say(net, conn, &encode::reply_raw(&id, &payload));
                }
                (Ok(_), None) => {}
                (Err((code, message)), id) => {
                    let text =
                        encode::error(id.as_deref(), &code, &message, ErrorDetail::default());
                    self.say(net, conn, &text);
                }
            }
        }
    }

    /// Begins the orderly end: no more connections and requests; what the store has is committed
    /// and answered; then everybody is told.
    fn stop(&mut self, net: &mut Net<'_>) {
        if self.stopping.is_some() {
            return;
        }
        log::info!(connections = net.connections(); "stopping");
        let until = net.now().plus_millis(STOP_MS_MAX / 2);
        let end = net.now().plus_millis(STOP_MS_MAX);
        self.stopping = Some(Stopping::Committing { until, end });
        net.stop_accepting();
        net.wake_at(until);
        // Whatever was called before this is carried out, and what comes later is told that it is
        // not: no call is lost in silence.
        let accepted = self.shared.queue().stop();
        for command in accepted {
            self.carry_out(net, command);
        }
        for conn in self.sessions.iter().flatten().map(|session| session.conn).collect::<Vec<_>>() {
            self.settle_pause(net, conn);
        }
        self.go_on_stopping(net);
    }

    pub(super) fn go_on_stopping(&mut self, net: &mut Net<'_>) {
        let Some(Stopping::Committing { until, end }) = self.stopping else { return };
        if self.at_store > 0 && net.now() < until {
            return;
        }
        self.stopping = Some(Stopping::Closing);
        for conn in self.sessions.iter().flatten().map(|session| session.conn).collect::<Vec<_>>() {
            net.close(conn, CloseCode::GOING_AWAY, "the server stops");
        }
        // Those that are no WebSockets yet, or are ending, have nothing to wait for.
        net.end_others();
        net.stop_by(end);
    }

    /// After the loop: every call that was not carried out is told so.
    pub(super) fn fail_calls(&mut self) {
        let left = self.shared.queue().stop();
        for command in left {
            if let Command::Ask { ticket, .. } = command {
                ticket.answer(Err(HandleError::Stopped));
            }
        }
        for (_, ticket) in self.tickets.drain() {
            ticket.answer(Err(HandleError::Stopped));
        }
        self.shared.online().clear();
    }
}

/// A server that has panicked answers its callers all the same.
pub(super) struct FailCallsOnDrop(pub(super) Arc<Shared>);

impl Drop for FailCallsOnDrop {
    fn drop(&mut self) {
        for command in self.0.queue().stop() {
            if let Command::Ask { ticket, .. } = command {
                ticket.answer(Err(HandleError::Stopped));
            }
        }
        self.0.online().clear();
    }
}
