//! What the embedding program asks of the reactor's thread.

use super::admin::{NO_SUCH_CONNECTION, push_to};
use super::chat::Chat;
use super::http_call::HttpCall;
use crate::backend::JobId;
use crate::base::limits::CALLS_PER_TURN;
use crate::base::{Origin, RefusalCode, Rights, StreamId};
use crate::hub::Input;
use crate::hub::streams::Publisher;
use crate::server::embed::HandleError;
use crate::server::embed::call_queue::Command;
use crate::server::embed::handler::HandlerWaiter;
use crate::server::embed::shared::Shared;
use crate::server::embed::ticket::{Answered, TicketState};
use crate::store::RecordStore;
use crate::web::Net;
use crate::wire::admin_request::ConnectionSelector;
use crate::wire::encode;
use crate::wire::error::ErrorReply;
use std::collections::HashMap;
use std::sync::Arc;

const OUTBOX_FULL: HandleError =
    HandleError::refused(RefusalCode::Overloaded, "the connection reads too slowly, or is closing");

/// Who waits for the answer to a call.
#[derive(Debug)]
pub(super) enum CallWaiter {
    /// The embedding program, with a ticket.
    Ticket(Arc<TicketState>),
    /// The embedding program, which has published to a stream and does not wait.
    Program(StreamId),
    /// The source of a stream.
    Source(StreamId, JobId),
    /// Nobody: the server has published to a stream of its own.
    Own(StreamId),
    /// An HTTP request.
    Http(Box<HttpCall>),
}

/// Calls that came on no connection and wait for an answer, by their numbers.
#[derive(Debug, Default)]
pub(super) struct Calls {
    waiting: HashMap<u64, CallWaiter>,
    last: u64,
}

impl Calls {
    /// Registers a call that waits, and returns its number.
    pub(super) fn begin(&mut self, waiting: CallWaiter) -> u64 {
        self.last += 1;
        self.waiting.insert(self.last, waiting);
        self.last
    }

    pub(super) fn get(&self, call: u64) -> Option<&CallWaiter> {
        self.waiting.get(&call)
    }

    pub(super) fn get_mut(&mut self, call: u64) -> Option<&mut CallWaiter> {
        self.waiting.get_mut(&call)
    }

    pub(super) fn end(&mut self, call: u64) -> Option<CallWaiter> {
        self.waiting.remove(&call)
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Those over HTTP, in the order in which they came.
    fn of_http(&self) -> Vec<u64> {
        let is_http = |(_, waiting): &(&u64, &CallWaiter)| matches!(waiting, CallWaiter::Http(_));
        let mut calls: Vec<u64> =
            self.waiting.iter().filter(is_http).map(|(call, _)| *call).collect();
        calls.sort_unstable();
        calls
    }
}

impl<S: RecordStore> Chat<S> {
    /// Carries out calls of other threads, a bounded number per turn.
    pub(super) fn take_calls(&mut self, net: &mut Net<'_>) {
        self.take_answers(net);
        self.take_path_answers(net);
        self.take_surveys(net);
        for _ in 0..CALLS_PER_TURN {
            let command = self.thread().queue().pop();
            match command {
                Some(command) => self.carry_out(net, command),
                None => return,
            }
        }
        self.thread().wake.wake();
    }

    pub(super) fn carry_out(&mut self, net: &mut Net<'_>, command: Command) {
        match command {
            Command::Push { to, kind, payload } => {
                // Only a room may be missing.
                let conns = self.recipients(&to).unwrap_or_default();
                // Connections that are full, or have closed since the call counted them, are not
                // reached.
                push_to(net, &conns, &encode::push_raw(&kind, &payload));
            }
            Command::Ask { user, request, ticket } => {
                let call = self.calls.begin(CallWaiter::Ticket(ticket));
                self.decide(
                    net,
                    Input::Call { call, user, rights: Rights::Program, quotas: None, request },
                );
            }
            Command::PushOne { conn, kind, payload, ticket } => {
                let text = encode::push_raw(&kind, &payload);
                let told = match self.recipients(&ConnectionSelector::Connection(conn)) {
                    Ok(conns) if conns.is_empty() => Err(NO_SUCH_CONNECTION.into()),
                    Ok(conns) if push_to(net, &conns, &text) == 0 => Err(OUTBOX_FULL),
                    Ok(_) => Ok(Answered::Nothing),
                    Err(refusal) => Err(refusal.into()),
                };
                ticket.answer(told);
            }
            Command::Publish { stream, data, id } => {
                let call = self.calls.begin(CallWaiter::Program(stream.clone()));
                let (origin, publisher) = (Origin::Call(call), Publisher::Program);
                self.decide(net, Input::Publish { origin, publisher, stream, data, id });
            }
            Command::Register { kind, handler } => {
                self.handlers.insert(kind, handler);
            }
            Command::RegisterHttp(path) => self.paths.add_http(path),
            Command::RegisterSocket(path) => self.paths.add_socket(path),
            Command::Say { to, said } => self.say_own(net, &to, &said),
            Command::Close { conn, code, reason, ticket } => {
                let closed = if self.signed_in(conn).is_some() {
                    net.close(conn, code, &reason);
                    Ok(Answered::Nothing)
                } else {
                    Err(NO_SUCH_CONNECTION.into())
                };
                if let Some(ticket) = ticket {
                    ticket.answer(closed);
                }
            }
            Command::Poll { pattern, function } => {
                self.team.sources().add_function(net.now(), pattern, function);
                // The hub reports the streams that are watched already.
                self.decide(net, Input::Redeclared);
                self.sources_changed(net);
            }
            Command::Reconfigure(config, keys, number) => {
                self.reconfigure(net, *config, keys, number);
            }
            Command::Stop(end) => self.stop(net, end),
            Command::Announce { spread_ms } => self.restart_is_announced(net, spread_ms),
            Command::Commit { why, end } => self.await_store(net, why, end),
        }
    }

    /// Hands on the answers of handlers.
    pub(super) fn take_answers(&mut self, net: &mut Net<'_>) {
        let answers = std::mem::take(&mut self.thread().queue().answers);
        for (waiter, result) in answers {
            let origin = match waiter {
                HandlerWaiter::Call(call) => Origin::Call(call),
                HandlerWaiter::Conn(conn, id) => {
                    self.count_pending_call(net, &Origin::Conn(conn, None), false);
                    Origin::Conn(conn, id.as_deref().map(Arc::from))
                }
            };
            match result {
                Ok(payload) => self.reply_raw(net, &origin, payload),
                Err(error) => self.refuse(net, &origin, error),
            }
        }
    }

    /// Refuses the HTTP calls that still wait for a handler when the server ends.
    pub(super) fn refuse_http_calls(&mut self, net: &mut Net<'_>) {
        for call in self.calls.of_http() {
            let error = ErrorReply::new(RefusalCode::Unavailable, "the server stops");
            self.call_refused(net, call, &error.retry_after(1_000));
        }
    }

    /// What other threads share with the server.
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// After the loop: what was acknowledged is on disk, and every call that was not carried out
    /// fails.
    pub(crate) fn end(&mut self) {
        self.outbound.stop();
        self.store_client.store.close();
        self.shared.fail_calls(self.number);
        for (_, waiting) in self.calls.waiting.drain() {
            match waiting {
                CallWaiter::Ticket(ticket) => ticket.answer(Err(HandleError::Stopped)),
                // Its connection ended with the loop, or nobody waits.
                CallWaiter::Http(_)
                | CallWaiter::Program(_)
                | CallWaiter::Source(..)
                | CallWaiter::Own(_) => {}
            }
        }
    }
}
