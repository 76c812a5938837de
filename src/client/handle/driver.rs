//! The network's thread: it opens the WebSocket that the core wants, and hands on what comes. It ends when it is told.

use super::shared::{ClientTask, SharedClient};
use crate::base::{ConnId, Moment};
use crate::client::core::{ClientEvent, CoreInput, TokenFailure, TokenReason};
use crate::client::net::{Helpers, Socket, SocketEvent, SocketPlan, look_up};
use crate::protocol::Message;
use crate::reactor::{CloseCause, Handler, Io};
use std::net::SocketAddr;
use std::sync::Arc;

/// How long the server's part of the closing handshake is waited for when the client ends.
const STOP_MS: u64 = 10;

/// What a program's function for tokens gives.
pub(super) type TokenFn = dyn Fn(TokenReason) -> Result<Option<String>, TokenFailure> + Send + Sync;

/// A program's function for events.
pub(super) type EventFn = dyn FnMut(ClientEvent) + Send;

/// The handler of the network's thread.
pub(super) struct ClientDriver {
    pub(super) shared: Arc<SharedClient>,
    pub(super) plan: Arc<SocketPlan>,
    pub(super) token: Option<Arc<TokenFn>>,
    pub(super) helpers: Helpers,
    /// With the number that the core has for it.
    pub(super) socket: Option<(u64, Socket)>,
    pub(super) on_event: Option<Box<EventFn>>,
    /// While that runs; and for good, once it has panicked.
    pub(super) is_calling: bool,
}

impl ClientDriver {
    /// Does what the core wants, and hands over what it tells, until there is no more of either.
    fn work(&mut self, io: &mut Io) {
        loop {
            self.stop_if_due();
            let tasks = std::mem::take(&mut self.shared.lock().tasks);
            let has_worked = !tasks.is_empty();
            for task in tasks {
                self.carry_out(io, task);
            }
            if !(self.hand_over() || has_worked) {
                break;
            }
        }
        let mut inner = self.shared.lock();
        let of_socket = self.socket.as_ref().map_or(Moment::NEVER, |(_, socket)| socket.next_at());
        let stop_at = inner.stop_at.unwrap_or(Moment::NEVER);
        inner.armed = inner.core.deadline().min(of_socket).min(stop_at);
        if inner.armed != Moment::NEVER {
            io.wake_at(inner.armed);
        }
    }

    /// Hands events to the program's function, if it has one; whether there was any.
    pub(super) fn hand_over(&mut self) -> bool {
        let Some(on_event) = &mut self.on_event else { return false };
        let mut has_some = false;
        // Without the lock: it may call every function of the client.
        while let Some(event) = self.shared.take_own() {
            has_some = true;
            self.is_calling = true;
            self.shared.call_program(|| on_event(event));
            self.is_calling = false;
        }
        has_some
    }

    /// Closes when all is stored, or when there was time enough for that.
    fn stop_if_due(&self) {
        self.shared.with_own(|inner, shared| {
            if inner.stop_at.is_some_and(|at| at <= shared.clock.now() || inner.is_drained()) {
                inner.stop_at = None;
                inner.handle(shared, CoreInput::Close);
                inner.tasks.push(ClientTask::Stop);
            }
        });
    }

    fn carry_out(&mut self, io: &mut Io, task: ClientTask) {
        match task {
            ClientTask::AskToken { serial, reason } => self.ask_token(serial, reason),
            ClientTask::Dial { serial, has_token } => {
                let target = self.plan.target(has_token);
                self.socket = Some((serial, Socket::new(Arc::clone(&self.plan), target)));
                let shared = Arc::clone(&self.shared);
                let then = move |found| shared.task(ClientTask::Found { serial, found });
                look_up(&self.helpers, self.plan.first_host(), then);
            }
            ClientTask::Found { serial, found } => {
                self.with_socket(io, |is_it, socket, io, sink| {
                    if is_it == serial {
                        socket.found(io, found, sink);
                    }
                });
            }
            ClientTask::Send { serial, text } => {
                if let Some((_, socket)) =
                    self.socket.as_mut().filter(|(is_it, _)| *is_it == serial)
                {
                    socket.send(io, Message::Text(&text));
                }
            }
            ClientTask::Drop { serial } => {
                if let Some((_, socket)) = self.socket.take_if(|(is_it, _)| *is_it == serial) {
                    socket.leave(io, 1_000, "");
                }
            }
            ClientTask::Warn(told) => log::error!("{told}"),
            ClientTask::Stop => io.stop_by(io.now().plus_millis(STOP_MS)),
        }
    }

    /// Asks the program's function, which may block, on a thread of its own.
    fn ask_token(&self, serial: u64, reason: TokenReason) {
        let Some(token) = self.token.clone() else { return };
        let shared = Arc::clone(&self.shared);
        let asks = move || {
            let given = token(reason).map(|token| token.map(Arc::from));
            shared.input(CoreInput::Token { serial, given });
        };
        if let Err(error) = self.helpers.run("parlor-token", asks) {
            let message = error.to_string().into();
            let given = Err(TokenFailure { message, is_final: false });
            self.shared.input(CoreInput::Token { serial, given });
        }
    }

    /// Lets the socket do something, and hands on what comes of it.
    fn with_socket<R>(
        &mut self,
        io: &mut Io,
        act: impl FnOnce(u64, &mut Socket, &mut Io, &mut dyn FnMut(SocketEvent<'_>) -> bool) -> R,
    ) -> Option<R> {
        let (serial, socket) = self.socket.as_mut()?;
        let (shared, serial) = (&self.shared, *serial);
        let mut hand_on = |event: SocketEvent<'_>| {
            hand_on(shared, serial, event);
            true
        };
        Some(act(serial, socket, io, &mut hand_on))
    }
}

fn hand_on(shared: &SharedClient, serial: u64, event: SocketEvent<'_>) {
    let input = |input: CoreInput<'_>| shared.with_own(|inner, shared| inner.handle(shared, input));
    let lost = |code, reason: &str, retry_after_ms| {
        input(CoreInput::Lost { serial, code, reason, retry_after_ms });
    };
    match event {
        SocketEvent::Opened(_) => input(CoreInput::Opened { serial }),
        SocketEvent::Text(text) => input(CoreInput::Text { serial, text }),
        SocketEvent::Bytes(bytes) => input(CoreInput::Bytes { serial, bytes }),
        SocketEvent::Closed { code, reason } => lost(code, reason, None),
        SocketEvent::Broken(error) => lost(None, &error.to_string(), None),
        SocketEvent::NotOpened(error) => {
            let wait = error.retry_after();
            let retry_after_ms =
                wait.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
            lost(None, &error.to_string(), retry_after_ms);
        }
    }
}

impl Handler for ClientDriver {
    fn opened(&mut self, _: &mut Io, _: ConnId, _: SocketAddr) {}

    fn connected(&mut self, io: &mut Io, conn: ConnId) {
        self.with_socket(io, |_, socket, io, sink| socket.connected(io, conn, sink));
        self.work(io);
    }

    fn received(&mut self, io: &mut Io, conn: ConnId, bytes: &mut [u8]) -> usize {
        let all = bytes.len();
        let took =
            self.with_socket(io, |_, socket, io, sink| socket.received(io, conn, bytes, sink));
        self.work(io);
        took.unwrap_or(all)
    }

    fn closed(&mut self, io: &mut Io, conn: ConnId, cause: CloseCause) {
        self.with_socket(io, |_, socket, io, sink| {
            if socket.has(conn) {
                socket.closed(io, conn, cause, sink);
            }
        });
        self.work(io);
    }

    fn woken(&mut self, io: &mut Io) {
        self.work(io);
    }

    fn is_poisoned(&self) -> bool {
        self.is_calling
    }

    fn timer_fired(&mut self, io: &mut Io) {
        if let Some((_, socket)) = &mut self.socket {
            socket.time(io);
        }
        self.shared.with_own(|inner, shared| inner.handle(shared, CoreInput::Time));
        self.work(io);
    }
}
