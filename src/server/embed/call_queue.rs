//! What other threads ask of one of the server's threads: a bounded queue of calls, and the answers of
//! handlers.

use super::handle_error::HandleError;
use super::handler::{HandlerResult, HandlerWaiter, Registered};
use super::ticket::TicketState;
use super::{HttpPath, OutgoingMessage, OwnPath};
use crate::auth::Keys;
use crate::backend::{JobId, JobResult};
use crate::base::limits::{CALL_BYTES_WAITING_MAX, CALLS_WAITING_MAX};
use crate::base::pattern::Pattern;
use crate::base::{ConnId, Data, Moment, PublicationId, Request, StreamId, UserId};
use crate::config::Config;
use crate::http1::Response;
use crate::protocol::CloseCode;
use crate::reactor::Wake;
use crate::server::sources::FunctionPoll;
use crate::web::Exchange;
use crate::wire::admin_request::ConnectionSelector;
use std::collections::VecDeque;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::ThreadId;

/// What other threads ask of a thread of the server.
#[derive(Clone, Debug)]
pub(crate) enum Command {
    Push {
        to: ConnectionSelector,
        kind: String,
        payload: String,
    },
    PushOne {
        conn: ConnId,
        kind: String,
        payload: String,
        ticket: Arc<TicketState>,
    },
    Ask {
        user: UserId,
        request: Request,
        ticket: Arc<TicketState>,
    },
    Publish {
        stream: StreamId,
        data: Data,
        id: Option<Arc<PublicationId>>,
    },
    Register {
        kind: String,
        handler: Registered,
    },
    RegisterHttp(HttpPath),
    RegisterSocket(OwnPath),
    Say {
        to: Vec<ConnId>,
        said: OutgoingMessage,
    },
    Close {
        conn: ConnId,
        code: CloseCode,
        reason: String,
        ticket: Option<Arc<TicketState>>,
    },
    Poll {
        pattern: Pattern,
        function: FunctionPoll,
    },
    /// The number counts them.
    Reconfigure(Box<Config>, Keys, u64),
    Stop(End),
    /// The first thread has announced a restart: the others are to.
    Announce {
        spread_ms: u64,
    },
    /// The first thread accepts no more connections: the others are to take no more requests, and all
    /// is over at the end.
    Commit {
        why: End,
        end: Moment,
    },
}

/// Why a server ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The server does not come back: 1001.
    ForGood,
    /// Another server takes its place: everybody is told within how much time to reconnect, then
    /// 1012.
    Restart,
    /// As `Restart`; whoever comes meanwhile waits for the other server, which gets the sockets.
    HandOver,
}

/// Which threads a command is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CommandTarget {
    /// The first, for what any could do.
    First,
    /// The one that has this connection.
    Of(ConnId),
    All,
}

impl Command {
    pub(super) fn target(&self) -> CommandTarget {
        match self {
            Command::Ask { .. }
            | Command::Publish { .. }
            | Command::Poll { .. }
            | Command::Stop(_) => CommandTarget::First,
            Command::PushOne { conn, .. } | Command::Close { conn, .. } => CommandTarget::Of(*conn),
            Command::Say { to, .. } => match &to[..] {
                [conn] => CommandTarget::Of(*conn),
                _ => CommandTarget::All,
            },
            Command::Push { .. }
            | Command::Register { .. }
            | Command::RegisterHttp(_)
            | Command::RegisterSocket(_)
            | Command::Reconfigure(..)
            | Command::Announce { .. }
            | Command::Commit { .. } => CommandTarget::All,
        }
    }

    fn weight(&self) -> usize {
        match self {
            Command::Push { to: ConnectionSelector::Users(users), kind, payload } => {
                users.len() * 16 + kind.len() + payload.len()
            }
            Command::Push { kind, payload, .. } | Command::PushOne { kind, payload, .. } => {
                kind.len() + payload.len()
            }
            Command::Ask { request: Request::Send { body, .. }, .. } => body.text.len(),
            Command::Ask { request: Request::Create { members, .. }, .. } => {
                64 + members.len() * 80
            }
            Command::Publish { data, .. } => 64 + data.len(),
            Command::Say { to, said } => 64 + to.len() * 8 + said.len(),
            Command::Close { reason, .. } => 64 + reason.len(),
            Command::Ask { .. }
            | Command::Register { .. }
            | Command::RegisterHttp(_)
            | Command::RegisterSocket(_)
            | Command::Poll { .. }
            | Command::Reconfigure(..)
            | Command::Stop(_)
            | Command::Announce { .. }
            | Command::Commit { .. } => 64,
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct CallQueue {
    commands: VecDeque<Command>,
    pub(crate) answers: Vec<(HandlerWaiter, HandlerResult)>,
    pub(crate) path_answers: Vec<(Exchange, Response, usize)>,
    /// Results of jobs, of which there is a bounded number.
    pub(crate) outcomes: Vec<(JobId, JobResult)>,
    bytes: usize,
    is_stopped: bool,
}

impl CallQueue {
    pub(crate) fn pop(&mut self) -> Option<Command> {
        let command = self.commands.pop_front()?;
        self.bytes -= command.weight();
        Some(command)
    }

    /// Whether it takes a command.
    ///
    /// # Errors
    /// [`HandleError::Stopped`], [`HandleError::Full`].
    pub(super) fn takes(&self, command: &Command) -> Result<(), HandleError> {
        if self.is_stopped {
            return Err(HandleError::Stopped);
        }
        let bytes = self.bytes + command.weight();
        let is_full = self.commands.len() >= CALLS_WAITING_MAX || bytes > CALL_BYTES_WAITING_MAX;
        // The end of a server that cannot keep up must not depend on its keeping up.
        let is_end = matches!(command, Command::Stop(_));
        if is_full && !is_end { Err(HandleError::Full) } else { Ok(()) }
    }

    /// Puts a command in, which it takes.
    pub(super) fn put(&mut self, command: Command) {
        let is_end = |command: &Command| matches!(command, Command::Stop(_));
        if is_end(&command)
            && self.commands.len() >= CALLS_WAITING_MAX
            && self.commands.back().is_some_and(is_end)
        {
            // It ends already.
            return;
        }
        self.bytes += command.weight();
        self.commands.push_back(command);
    }

    /// From now on every call fails. Returns the calls that were not carried out.
    pub(crate) fn stop(&mut self) -> VecDeque<Command> {
        self.is_stopped = true;
        std::mem::take(&mut self.commands)
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.is_stopped
    }
}

/// One of the server's threads, as others reach it.
#[derive(Debug)]
pub(crate) struct ServerThread {
    queue: Mutex<CallQueue>,
    pub(crate) wake: Wake,
    /// Set when it runs.
    pub(crate) id: OnceLock<ThreadId>,
    /// It has handled a wake since this was last asked.
    pub(crate) has_turned: AtomicBool,
}

impl ServerThread {
    pub(super) fn new(wake: Wake) -> ServerThread {
        ServerThread {
            queue: Mutex::default(),
            wake,
            id: OnceLock::new(),
            has_turned: AtomicBool::new(true),
        }
    }

    // A thread that panics while it holds this leaves nothing half done: it is held for a push or a
    // look.
    pub(crate) fn queue(&self) -> MutexGuard<'_, CallQueue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts an answer into the queue. It is not counted, because only a bounded number is in flight.
    pub(super) fn answer(&self, put: impl FnOnce(&mut CallQueue)) -> Result<(), HandleError> {
        let mut queue = self.queue();
        if queue.is_stopped {
            return Err(HandleError::Stopped);
        }
        put(&mut queue);
        drop(queue);
        self.wake.wake();
        Ok(())
    }

    /// Fails every call that was not carried out.
    pub(super) fn fail_calls(&self) {
        let left = self.queue().stop();
        for command in left {
            if let Command::Ask { ticket, .. }
            | Command::PushOne { ticket, .. }
            | Command::Close { ticket: Some(ticket), .. } = command
            {
                ticket.answer(Err(HandleError::Stopped));
            }
        }
    }
}
