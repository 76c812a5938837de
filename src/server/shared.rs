//! What the reactor's thread and all others have in common: a bounded queue of calls, the answers of
//! handlers, and who is online.

use super::auth::Keys;
use super::handle::HandleError;
use super::handler::{HandlerResult, Registered};
use super::ticket::TicketState;
use crate::base::limits::{CALL_BYTES_WAITING_MAX, CALLS_WAITING_MAX};
use crate::base::{ConnId, Limits, UserId};
use crate::hub::Request;
use crate::reactor::Wake;
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::ThreadId;

/// What other threads ask of the reactor's.
#[derive(Debug)]
pub(super) enum Command {
    Push { to: Recipients, kind: String, payload: String },
    Ask { user: UserId, request: Request, ticket: Arc<TicketState> },
    Register { kind: String, handler: Registered },
    ReplaceKeys(Keys),
    Stop,
}

#[derive(Debug)]
pub(super) enum Recipients {
    Users(Vec<UserId>),
    All,
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    pub(super) commands: VecDeque<Command>,
    pub(super) answers: Vec<(ConnId, Option<String>, HandlerResult)>,
    bytes: usize,
    pub(super) is_stopped: bool,
}

impl Queue {
    pub(super) fn pop(&mut self) -> Option<Command> {
        let command = self.commands.pop_front()?;
        self.bytes -= weight(&command);
        Some(command)
    }

    /// From here on every call fails; returns what has not been carried out.
    pub(super) fn stop(&mut self) -> VecDeque<Command> {
        self.is_stopped = true;
        std::mem::take(&mut self.commands)
    }
}

fn weight(command: &Command) -> usize {
    match command {
        Command::Push { to: Recipients::Users(users), kind, payload } => {
            users.len() * 16 + kind.len() + payload.len()
        }
        Command::Push { kind, payload, .. } => kind.len() + payload.len(),
        Command::Ask { request: Request::Send { body, .. }, .. } => body.text.len(),
        Command::Ask { .. }
        | Command::Register { .. }
        | Command::ReplaceKeys(_)
        | Command::Stop => 64,
    }
}

/// What the reactor's thread and all handles have in common.
#[derive(Debug)]
pub(super) struct Shared {
    queue: Mutex<Queue>,
    /// Who is online, with how many connections: kept by the reactor's thread, read by any.
    online: Mutex<BTreeMap<UserId, usize>>,
    pub(super) wake: Wake,
    pub(super) reactor_thread: OnceLock<ThreadId>,
    pub(super) text_bytes_max: usize,
    pub(super) cid_bytes_max: usize,
    /// Whether anybody can ask who is online.
    has_handles: AtomicBool,
}

impl Shared {
    pub(super) fn new(wake: Wake, limits: &Limits) -> Arc<Shared> {
        Arc::new(Shared {
            queue: Mutex::default(),
            online: Mutex::default(),
            wake,
            reactor_thread: OnceLock::new(),
            text_bytes_max: limits.text_bytes as usize,
            cid_bytes_max: limits.cid_bytes as usize,
            has_handles: AtomicBool::new(false),
        })
    }

    // A thread that panicked while it held one of these has left nothing half done: each holds it
    // for a push or a look.
    pub(super) fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn online(&self) -> MutexGuard<'_, BTreeMap<UserId, usize>> {
        self.online.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who is online is kept for handles only. All of them stem from one that was made before the
    /// server began to run.
    pub(super) fn has_handles(&self) -> bool {
        self.has_handles.load(Ordering::Relaxed)
    }

    pub(super) fn keep_online(&self) {
        self.has_handles.store(true, Ordering::Relaxed);
    }

    pub(super) fn has_stopped(&self) -> bool {
        self.queue().is_stopped
    }

    pub(super) fn stop(&self) -> Result<(), HandleError> {
        self.call(Command::Stop)
    }

    pub(super) fn call(&self, command: Command) -> Result<(), HandleError> {
        let mut queue = self.queue();
        if queue.is_stopped {
            return Err(HandleError::Stopped);
        }
        let bytes = queue.bytes + weight(&command);
        if queue.commands.len() >= CALLS_WAITING_MAX || bytes > CALL_BYTES_WAITING_MAX {
            return Err(HandleError::Full);
        }
        queue.bytes = bytes;
        queue.commands.push_back(command);
        drop(queue);
        self.wake.wake();
        Ok(())
    }
}
