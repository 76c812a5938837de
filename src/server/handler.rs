//! Functions of the embedding program for message types of its own, and how they answer.

use super::handle_error::HandleError;
use super::shared::Shared;
use crate::base::{ConnId, UserId};
use serde_json::Value;
use std::fmt;
use std::sync::Arc;

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
    /// On which connection; none if it came as a request of HTTP.
    pub connection: Option<ConnId>,
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
    to: Asking,
    is_answered: bool,
}

impl Reply {
    pub(super) fn new(shared: Arc<Shared>, to: Asking) -> Reply {
        Reply { shared, to, is_answered: false }
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
        // Not counted against the queue: there is a bounded number of these in flight.
        queue.answers.push((self.to.clone(), result));
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

/// Who waits for a handler's answer, as another thread may know it.
#[derive(Clone, Debug)]
pub(super) enum Asking {
    /// A connection, and its own name for the request, if it wants an answer.
    Conn(ConnId, Option<String>),
    /// A call, by its number.
    Call(u64),
}

/// A payload as JSON, or a code and a sentence.
pub(super) type HandlerResult = Result<String, (String, String)>;
