//! The thread-safe end of a running server: calls go into a bounded queue, the reactor carries them
//! out. No call waits for the reactor but [`Ticket::wait`], so that all of them may be made inside
//! a handler, too.

use crate::base::limits::{CALL_BYTES_WAITING_MAX, CALLS_WAITING_MAX};
use crate::base::{Body, ConnId, Limits, NameError, RoomId, UserId};
use crate::hub::{Answer, Refusal, Request, Target};
use crate::reactor::Wake;
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::ThreadId;
use std::time::Duration;

/// Why a call came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HandleError {
    /// The server has stopped.
    Stopped,
    /// Too many calls wait for the reactor.
    Full,
    /// A name is no user id or room name.
    Name(NameError),
    /// A message type is one of the wire's own, or empty.
    Type,
    /// A text or a `cid` is larger than its limit, or a `cid` is empty.
    Size {
        /// Which.
        what: &'static str,
        /// Most bytes.
        limit: usize,
    },
    /// The server refused it: the wire's code, and a sentence.
    Refused {
        /// As `not_member`.
        code: &'static str,
        /// For people.
        message: &'static str,
    },
    /// It has not been answered within the time given.
    Timeout,
    /// Waiting inside a handler would keep the reactor from answering.
    WouldDeadlock,
}

impl fmt::Display for HandleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HandleError::Stopped => f.write_str("the server has stopped"),
            HandleError::Full => f.write_str("too many calls wait for the server"),
            HandleError::Name(error) => write!(f, "a name {error}"),
            HandleError::Type => {
                f.write_str("this message type belongs to the server's own protocol")
            }
            HandleError::Size { what: "cid", limit } => write!(f, "a cid has 1 to {limit} bytes"),
            HandleError::Size { what, limit } => write!(f, "a {what} has at most {limit} bytes"),
            HandleError::Refused { code, message } => write!(f, "{code}: {message}"),
            HandleError::Timeout => f.write_str("the server has not answered in time"),
            HandleError::WouldDeadlock => f.write_str("a handler must not wait for the server"),
        }
    }
}

impl std::error::Error for HandleError {}

impl From<NameError> for HandleError {
    fn from(error: NameError) -> HandleError {
        HandleError::Name(error)
    }
}

/// Who may call a handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everybody, also before `auth`.
    Public,
    /// Whoever has said who they are.
    User,
    /// Admins.
    Admin,
}

/// Whoever calls a handler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Their id.
    pub user: UserId,
    /// Their display name.
    pub name: Option<Arc<str>>,
    /// Whether they are an admin.
    pub admin: bool,
}

/// A message for a handler.
#[derive(Clone, Debug)]
pub struct Call {
    /// The message's type.
    pub kind: String,
    /// Its payload, an object.
    pub payload: Value,
    /// Who sent it; none before `auth`.
    pub caller: Option<Caller>,
    /// On which connection.
    pub connection: ConnId,
}

type HandlerFn = dyn Fn(Call, Reply) + Send + Sync;

/// A function for a message type of the application's own.
#[derive(Clone)]
pub(super) struct Registered {
    pub(super) access: Access,
    pub(super) run: Arc<HandlerFn>,
}

impl fmt::Debug for Registered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registered").field("access", &self.access).finish_non_exhaustive()
    }
}

/// Answers one message, at once or later, from any thread. Dropped without an answer it answers
/// with `internal`.
#[derive(Debug)]
pub struct Reply {
    shared: Arc<Shared>,
    conn: ConnId,
    id: Option<String>,
    is_answered: bool,
}

impl Reply {
    pub(super) fn new(shared: Arc<Shared>, conn: ConnId, id: Option<String>) -> Reply {
        Reply { shared, conn, id, is_answered: false }
    }

    /// Answers with a payload, an object.
    ///
    /// # Errors
    /// [`HandleError::Stopped`].
    pub fn ok(mut self, payload: Value) -> Result<(), HandleError> {
        self.answer(Ok(payload.to_string()))
    }

    /// Refuses, with a code for programs and a sentence for people.
    ///
    /// # Errors
    /// [`HandleError::Stopped`].
    pub fn error(mut self, code: &str, message: &str) -> Result<(), HandleError> {
        self.answer(Err((code.to_owned(), message.to_owned())))
    }

    fn answer(&mut self, result: HandlerResult) -> Result<(), HandleError> {
        self.is_answered = true;
        let mut queue = self.shared.queue();
        if queue.is_stopped {
            return Err(HandleError::Stopped);
        }
        // Not counted against the queue: each connection has a bounded number of these in flight.
        queue.answers.push((self.conn, self.id.take(), result));
        drop(queue);
        self.shared.wake.wake();
        Ok(())
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if !self.is_answered {
            let message = "the handler has not answered".to_owned();
            let _ = self.answer(Err(("internal".to_owned(), message)));
        }
    }
}

/// A payload as JSON, or a code and a sentence.
pub(super) type HandlerResult = Result<String, (String, String)>;

/// What other threads ask of the reactor's.
#[derive(Debug)]
pub(super) enum Command {
    Push { to: Recipients, kind: String, payload: String },
    Ask { user: UserId, request: Request, ticket: Arc<TicketState> },
    Register { kind: String, handler: Registered },
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
    is_stopped: bool,
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
        Command::Ask { .. } | Command::Register { .. } | Command::Stop => 64,
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
    text_bytes_max: usize,
    cid_bytes_max: usize,
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

    pub(super) fn stop(&self) -> Result<(), HandleError> {
        self.call(Command::Stop)
    }

    fn call(&self, command: Command) -> Result<(), HandleError> {
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

/// What becomes of a call that needs the store.
#[derive(Debug, Default)]
pub(super) struct TicketState {
    result: Mutex<Option<Result<(RoomId, u64), HandleError>>>,
    answered: Condvar,
}

impl TicketState {
    pub(super) fn answer(&self, result: Result<(RoomId, u64), HandleError>) {
        *self.result.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        self.answered.notify_all();
    }

    pub(super) fn answer_with(&self, answer: Result<Answer, Refusal>) {
        self.answer(match answer {
            Ok(Answer::Sent { room, seq, .. }) => Ok((room, seq)),
            Ok(Answer::Joined(room)) => Ok((room.room, room.head)),
            Ok(Answer::Left { room, .. }) => Ok((room, 0)),
            Ok(_) => Err(HandleError::Refused {
                code: "internal",
                message: "an answer to what was not asked",
            }),
            Err(refusal) => {
                Err(HandleError::Refused { code: refusal.code.as_str(), message: refusal.message })
            }
        });
    }
}

/// A call that is on its way to the disk.
#[derive(Debug)]
#[must_use = "the call may still fail: wait for it, or drop it knowingly"]
pub struct Ticket {
    state: Arc<TicketState>,
    shared: Arc<Shared>,
}

impl Ticket {
    /// Waits until it is on disk. Returns the room, and for a message its `seq`, for a membership
    /// that began the room's newest one.
    ///
    /// # Errors
    /// Why it is not; [`HandleError::WouldDeadlock`] at once, when called inside a handler.
    pub fn wait(&self, timeout: Duration) -> Result<(RoomId, u64), HandleError> {
        if self.shared.reactor_thread.get() == Some(&std::thread::current().id()) {
            return self.try_wait().unwrap_or(Err(HandleError::WouldDeadlock));
        }
        let result = self.state.result.lock().unwrap_or_else(PoisonError::into_inner);
        let (result, _) = self
            .state
            .answered
            .wait_timeout_while(result, timeout, |result| result.is_none())
            .unwrap_or_else(PoisonError::into_inner);
        result.clone().unwrap_or(Err(HandleError::Timeout))
    }

    /// What became of it, if that is known.
    #[must_use]
    pub fn try_wait(&self) -> Option<Result<(RoomId, u64), HandleError>> {
        self.state.result.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A running server, from any thread. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle {
    pub(super) shared: Arc<Shared>,
}

/// Stops a server, from any thread, and can do nothing else.
#[derive(Clone, Debug)]
pub struct Stopper {
    pub(super) shared: Arc<Shared>,
}

impl Stopper {
    /// As [`Handle::stop`].
    ///
    /// # Errors
    /// [`HandleError::Stopped`] if it has stopped already.
    pub fn stop(&self) -> Result<(), HandleError> {
        self.shared.stop()
    }
}

impl Handle {
    pub(super) fn new(shared: &Arc<Shared>) -> Handle {
        shared.has_handles.store(true, Ordering::Relaxed);
        Handle { shared: Arc::clone(shared) }
    }

    /// Registers a function for a message type. It may replace one of the wire's own requests. It
    /// runs on the reactor's thread: what takes long belongs on another, with the [`Reply`].
    ///
    /// # Errors
    /// [`HandleError::Stopped`], [`HandleError::Full`]; [`HandleError::Type`] for an empty type.
    pub fn handle(
        &self,
        kind: &str,
        access: Access,
        run: impl Fn(Call, Reply) + Send + Sync + 'static,
    ) -> Result<(), HandleError> {
        if kind.is_empty() {
            return Err(HandleError::Type);
        }
        let handler = Registered { access, run: Arc::new(run) };
        self.shared.call(Command::Register { kind: kind.to_owned(), handler })
    }

    /// Sends a message of a type of your own to all connections of a user. Returns how many that
    /// are: 0 if the user is not online.
    ///
    /// # Errors
    /// [`HandleError`]: nothing was sent.
    pub fn send_to_user(
        &self,
        user: &str,
        kind: &str,
        payload: &Value,
    ) -> Result<usize, HandleError> {
        self.send_to_users(&[user], kind, payload)
    }

    /// Sends a message of a type of your own to all connections of some users. Returns how many
    /// that are.
    ///
    /// # Errors
    /// [`HandleError`]: nothing was sent.
    pub fn send_to_users(
        &self,
        users: &[&str],
        kind: &str,
        payload: &Value,
    ) -> Result<usize, HandleError> {
        check_kind(kind)?;
        let mut ids =
            users.iter().map(|user| UserId::parse(user)).collect::<Result<Vec<_>, _>>()?;
        ids.sort();
        ids.dedup();
        let reached = {
            let online = self.shared.online();
            ids.iter().filter_map(|id| online.get(id)).sum()
        };
        let (kind, payload) = (kind.to_owned(), payload.to_string());
        self.shared.call(Command::Push { to: Recipients::Users(ids), kind, payload })?;
        Ok(reached)
    }

    /// Sends a message of a type of your own to everybody who is online. Returns how many
    /// connections that are.
    ///
    /// # Errors
    /// [`HandleError`]: nothing was sent.
    pub fn broadcast(&self, kind: &str, payload: &Value) -> Result<usize, HandleError> {
        check_kind(kind)?;
        let reached = self.shared.online().values().sum();
        let (kind, payload) = (kind.to_owned(), payload.to_string());
        self.shared.call(Command::Push { to: Recipients::All, kind, payload })?;
        Ok(reached)
    }

    /// Whether a user has a connection.
    ///
    /// # Errors
    /// [`HandleError::Stopped`], [`HandleError::Name`].
    pub fn is_online(&self, user: &str) -> Result<bool, HandleError> {
        let id = UserId::parse(user)?;
        self.check_running()?;
        Ok(self.shared.online().contains_key(&id))
    }

    /// Who has a connection, in the order of their ids.
    ///
    /// # Errors
    /// [`HandleError::Stopped`].
    pub fn online_users(&self) -> Result<Vec<UserId>, HandleError> {
        self.check_running()?;
        Ok(self.shared.online().keys().cloned().collect())
    }

    /// Makes a user a member of a room, which comes into being if it does not exist.
    ///
    /// # Errors
    /// [`HandleError`]; the ticket tells what the store says.
    pub fn join(&self, room: &str, user: &str) -> Result<Ticket, HandleError> {
        let user = UserId::parse(user)?;
        self.ask(user.clone(), Request::Add(RoomId::parse(room)?, user))
    }

    /// Ends a user's membership of a room.
    ///
    /// # Errors
    /// [`HandleError`]; the ticket tells what the store says.
    pub fn remove(&self, room: &str, user: &str) -> Result<Ticket, HandleError> {
        let user = UserId::parse(user)?;
        self.ask(user.clone(), Request::Remove(RoomId::parse(room)?, user))
    }

    /// Publishes a chat message in a user's name, who must be a member of the room. `cid` makes a
    /// repeat harmless: it gives the first result.
    ///
    /// # Errors
    /// [`HandleError`]; the ticket tells what the store says.
    pub fn publish(
        &self,
        room: &str,
        user: &str,
        text: &str,
        cid: Option<&str>,
    ) -> Result<Ticket, HandleError> {
        let user = UserId::parse(user)?;
        let target = Target::Room(RoomId::parse(room)?);
        let (text_max, cid_max) = (self.shared.text_bytes_max, self.shared.cid_bytes_max);
        if text.len() > text_max {
            return Err(HandleError::Size { what: "text", limit: text_max });
        }
        if cid.is_some_and(|cid| cid.is_empty() || cid.len() > cid_max) {
            return Err(HandleError::Size { what: "cid", limit: cid_max });
        }
        let body = Body { text: text.into(), data: None, reply_to: None };
        self.ask(user, Request::Send { target, body, cid: cid.map(Arc::from) })
    }

    /// Stops the server: in order, within five seconds. Calls made before it are carried out.
    ///
    /// # Errors
    /// [`HandleError::Stopped`] if it has stopped already.
    pub fn stop(&self) -> Result<(), HandleError> {
        self.shared.stop()
    }

    fn ask(&self, user: UserId, request: Request) -> Result<Ticket, HandleError> {
        let state = Arc::new(TicketState::default());
        self.shared.call(Command::Ask { user, request, ticket: Arc::clone(&state) })?;
        Ok(Ticket { state, shared: Arc::clone(&self.shared) })
    }

    fn check_running(&self) -> Result<(), HandleError> {
        if self.shared.queue().is_stopped { Err(HandleError::Stopped) } else { Ok(()) }
    }
}

/// A push of the application's has none of the wire's own names or prefixes.
fn check_kind(kind: &str) -> Result<(), HandleError> {
    const NAMES: &[&str] = &["reply", "error", "hello", "notice", "event", "subscribed", "auth"];
    const PREFIXES: &[&str] = &["chat:", "room:", "user:", "presence:", "auth:", "stream:"];
    let is_wires = NAMES.contains(&kind) || PREFIXES.iter().any(|prefix| kind.starts_with(prefix));
    if kind.is_empty() || is_wires { Err(HandleError::Type) } else { Ok(()) }
}
