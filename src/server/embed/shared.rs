//! What the reactor's thread shares with all others: a bounded queue of calls, the answers of
//! handlers, and who is online.

use super::handle_error::HandleError;
use super::handler::{HandlerResult, HandlerWaiter, Registered};
use super::ticket::TicketState;
use super::{HttpPath, OutgoingMessage, OwnPath, fault, taken_by};
use crate::auth::Keys;
use crate::backend::{JobId, JobResult};
use crate::base::declaration::declared;
use crate::base::limits::{CALL_BYTES_WAITING_MAX, CALLS_WAITING_MAX};
use crate::base::pattern::Pattern;
use crate::base::{
    ConnId, Data, Limits, PublicationId, Refusal, Request, StreamId, Timestamp, UserId,
};
use crate::config::{Config, ConfigError};
use crate::http1::Response;
use crate::hub::streams::NO_SUCH_STREAM;
use crate::protocol::CloseCode;
use crate::reactor::Wake;
use crate::server::sources::FunctionPoll;
use crate::tls::ShownCertificates;
use crate::web::Exchange;
use crate::wire::admin_request::ConnectionSelector;
use crate::wire::json::tree;
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::ThreadId;

/// What other threads ask of the reactor's thread.
#[derive(Debug)]
pub(crate) enum Command {
    Push { to: ConnectionSelector, kind: String, payload: String },
    PushOne { conn: ConnId, kind: String, payload: String, ticket: Arc<TicketState> },
    Ask { user: UserId, request: Request, ticket: Arc<TicketState> },
    Publish { stream: StreamId, data: Data, id: Option<Arc<PublicationId>> },
    Register { kind: String, handler: Registered },
    RegisterHttp(HttpPath),
    RegisterSocket(OwnPath),
    Say { to: Vec<ConnId>, said: OutgoingMessage },
    Close { conn: ConnId, code: CloseCode, reason: String, ticket: Option<Arc<TicketState>> },
    Poll { pattern: Pattern, function: FunctionPoll },
    Reconfigure(Box<Config>, Keys),
    Stop(End),
}

/// A path of the embedding program.
#[derive(Debug, PartialEq, Eq)]
struct OwnTemplate {
    template: String,
    is_socket: bool,
}

#[derive(Debug, Default)]
pub(crate) struct CallQueue {
    pub(crate) commands: VecDeque<Command>,
    pub(crate) answers: Vec<(HandlerWaiter, HandlerResult)>,
    pub(crate) path_answers: Vec<(Exchange, Response, usize)>,
    /// Results of jobs, of which there is a bounded number.
    pub(crate) outcomes: Vec<(JobId, JobResult)>,
    bytes: usize,
    pub(crate) is_stopped: bool,
}

impl CallQueue {
    pub(crate) fn pop(&mut self) -> Option<Command> {
        let command = self.commands.pop_front()?;
        self.bytes -= weight(&command);
        Some(command)
    }

    /// From now on every call fails. Returns the calls that were not carried out.
    pub(crate) fn stop(&mut self) -> VecDeque<Command> {
        self.is_stopped = true;
        std::mem::take(&mut self.commands)
    }
}

fn weight(command: &Command) -> usize {
    match command {
        Command::Push { to: ConnectionSelector::Users(users), kind, payload } => {
            users.len() * 16 + kind.len() + payload.len()
        }
        Command::Push { kind, payload, .. } | Command::PushOne { kind, payload, .. } => {
            kind.len() + payload.len()
        }
        Command::Ask { request: Request::Send { body, .. }, .. } => body.text.len(),
        Command::Ask { request: Request::Create { members, .. }, .. } => 64 + members.len() * 80,
        Command::Publish { data, .. } => 64 + data.len(),
        Command::Say { to, said } => 64 + to.len() * 8 + said.len(),
        Command::Close { reason, .. } => 64 + reason.len(),
        Command::Ask { .. }
        | Command::Register { .. }
        | Command::RegisterHttp(_)
        | Command::RegisterSocket(_)
        | Command::Poll { .. }
        | Command::Reconfigure(..)
        | Command::Stop(_) => 64,
    }
}

/// What the reactor's thread shares with all handles.
#[derive(Debug)]
pub(crate) struct Shared {
    queue: Mutex<CallQueue>,
    /// Who is online, with how many connections. The reactor's thread writes it, any may read it.
    online: Mutex<BTreeMap<UserId, usize>>,
    pub(crate) wake: Wake,
    pub(crate) reactor_thread: OnceLock<ThreadId>,
    /// The reactor has handled a wake since this was last asked.
    pub(crate) has_turned: AtomicBool,
    /// What clients of a server with TLS are shown.
    pub(crate) certificates: OnceLock<Arc<ShownCertificates>>,
    /// The configuration, as of the last call that changes it. A change holds it until its call is
    /// in the queue, so that changes take effect in order.
    pub(crate) config: Mutex<Config>,
    /// Held during a reload, so that there is one at a time.
    pub(crate) reloads: Mutex<()>,
    /// The embedding program's paths, changed only while the configuration is held.
    own_paths: Mutex<Vec<OwnTemplate>>,
    /// The limits that hold now.
    limits: Mutex<Limits>,
    /// Families of pushes that the embedding program may send: bits of [`FAMILIES`].
    taken_over: AtomicU8,
    /// Whether anybody can ask who is online.
    has_handles: AtomicBool,
}

/// The prefixes of pushes that a program may send once it answers a request with that prefix.
/// Presence has two prefixes.
const FAMILIES: [(&str, u8); 4] = [("chat:", 1), ("room:", 2), ("user:", 4), ("presence:", 4)];

fn family(kind: &str) -> u8 {
    let own = FAMILIES.iter().find(|(prefix, _)| kind.starts_with(prefix));
    own.map_or(0, |(_, bit)| *bit)
}

impl Shared {
    /// The embedding program answers requests of this type.
    pub(crate) fn take_over(&self, kind: &str) {
        self.taken_over.fetch_or(family(kind), Ordering::Relaxed);
    }

    /// Whether the program may send pushes of this type, because it answers requests of that
    /// family.
    pub(crate) fn is_taken_over(&self, kind: &str) -> bool {
        self.taken_over.load(Ordering::Relaxed) & family(kind) != 0
    }

    pub(crate) fn new(wake: Wake, config: &Config) -> Arc<Shared> {
        Arc::new(Shared {
            queue: Mutex::default(),
            online: Mutex::default(),
            wake,
            reactor_thread: OnceLock::new(),
            has_turned: AtomicBool::new(true),
            certificates: OnceLock::new(),
            config: Mutex::new(config.clone()),
            reloads: Mutex::default(),
            own_paths: Mutex::default(),
            limits: Mutex::new(config.limits.clone()),
            taken_over: AtomicU8::new(0),
            has_handles: AtomicBool::new(false),
        })
    }

    // A thread that panics while it holds one of these leaves nothing half done: each is held for a
    // push or a look.
    pub(crate) fn queue(&self) -> MutexGuard<'_, CallQueue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn online(&self) -> MutexGuard<'_, BTreeMap<UserId, usize>> {
        self.online.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn limits(&self) -> MutexGuard<'_, Limits> {
        self.limits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When the certificate ends, with TLS.
    pub(crate) fn certificate_expiry(&self) -> Option<Timestamp> {
        self.certificates.get().and_then(|shown| shown.expires())
    }

    /// Whether a stream takes an event of the embedding program, as far as its declaration says.
    pub(crate) fn judge_event(&self, stream: &StreamId, data: &Data) -> Result<(), Refusal> {
        let config = self.config.lock().unwrap_or_else(PoisonError::into_inner);
        let declaration = declared(&config.streams, stream.as_str()).ok_or(NO_SUCH_STREAM)?;
        declaration.of_program()?.judge(data, tree).map(|_| ())
    }

    /// Who is online is recorded for handles only. All of them come from one that was made before
    /// the server began to run.
    pub(crate) fn has_handles(&self) -> bool {
        self.has_handles.load(Ordering::Relaxed)
    }

    pub(crate) fn keep_online(&self) {
        self.has_handles.store(true, Ordering::Relaxed);
    }

    /// Registers a path of the embedding program, if it can have it.
    pub(crate) fn take_path(
        &self,
        template: &str,
        is_socket: bool,
        command: impl FnOnce() -> Command,
    ) -> Result<(), HandleError> {
        if let Some(fault) = fault(template, is_socket) {
            return Err(HandleError::Path(fault));
        }
        let config = self.config.lock().unwrap_or_else(PoisonError::into_inner);
        if taken_by(template, is_socket, &config).is_some() {
            return Err(HandleError::Path("this path is that of a stream, or of its webhook"));
        }
        self.call(command())?;
        let own = OwnTemplate { template: template.to_owned(), is_socket };
        let mut paths = self.own_paths.lock().unwrap_or_else(PoisonError::into_inner);
        if !paths.contains(&own) {
            paths.push(own);
        }
        Ok(())
    }

    /// Checks that a new configuration takes no path of the embedding program.
    pub(crate) fn check_paths(&self, config: &Config) -> Result<(), ConfigError> {
        let paths = self.own_paths.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = |OwnTemplate { template, is_socket }: &OwnTemplate| {
            let (stream, member) = taken_by(template, *is_socket, config)?;
            let wants = format!("its path is {template}, which is the embedding program's");
            Some(ConfigError::BadStream { stream: stream.to_string(), member, wants })
        };
        paths.iter().find_map(taken).map_or(Ok(()), Err)
    }

    /// Fails every call that was not carried out, and forgets who is online.
    pub(crate) fn fail_calls(&self) {
        let left = self.queue().stop();
        for command in left {
            if let Command::Ask { ticket, .. }
            | Command::PushOne { ticket, .. }
            | Command::Close { ticket: Some(ticket), .. } = command
            {
                ticket.answer(Err(HandleError::Stopped));
            }
        }
        self.online().clear();
    }

    /// The queue, unless the server has stopped.
    pub(crate) fn running_queue(&self) -> Result<MutexGuard<'_, CallQueue>, HandleError> {
        let queue = self.queue();
        if queue.is_stopped { Err(HandleError::Stopped) } else { Ok(queue) }
    }

    pub(crate) fn stop(&self, why: End) -> Result<(), HandleError> {
        self.call(Command::Stop(why))
    }

    /// Puts an answer into the queue. It is not counted, because only a bounded number is in flight.
    pub(crate) fn answer(&self, put: impl FnOnce(&mut CallQueue)) -> Result<(), HandleError> {
        let mut queue = self.running_queue()?;
        put(&mut queue);
        drop(queue);
        self.wake.wake();
        Ok(())
    }

    pub(crate) fn call(&self, command: Command) -> Result<(), HandleError> {
        let mut queue = self.running_queue()?;
        let bytes = queue.bytes + weight(&command);
        let is_full = queue.commands.len() >= CALLS_WAITING_MAX || bytes > CALL_BYTES_WAITING_MAX;
        if is_full {
            match (&command, queue.commands.back()) {
                // It ends already.
                (Command::Stop(_), Some(Command::Stop(_))) => return Ok(()),
                // The end of a server that cannot keep up must not depend on its keeping up.
                (Command::Stop(_), _) => {}
                _ => return Err(HandleError::Full),
            }
        }
        queue.bytes = bytes;
        queue.commands.push_back(command);
        drop(queue);
        self.wake.wake();
        Ok(())
    }
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

/// Fails the calls of a server that has panicked, too.
pub(crate) struct FailCallsOnDrop(pub(in crate::server) Arc<Shared>);

impl Drop for FailCallsOnDrop {
    fn drop(&mut self) {
        self.0.fail_calls();
    }
}
