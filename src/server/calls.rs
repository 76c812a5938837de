//! What the embedding program asks of the reactor's thread.

use super::chat::Chat;
use super::encode::{self, ErrorDetail};
use super::handle::HandleError;
use super::shared::{Command, Recipients, Shared};
use super::web::Net;
use crate::base::limits::CALLS_PER_TURN;
use crate::base::outbox::NO_SOURCE;
use crate::base::{Class, ConnId};
use crate::hub::Input;
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

    pub(super) fn carry_out(&mut self, net: &mut Net<'_>, command: Command) {
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
            Command::Stop(end) => self.stop(net, end),
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
                        encode::error(id.as_deref(), &code, &message, &ErrorDetail::default());
                    self.say(net, conn, &text);
                }
            }
        }
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
