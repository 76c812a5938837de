//! Functions of the embedding program for its own message types, and their answers.

use super::handle_error::HandleError;
use super::shared::Shared;
use crate::auth::Access;
use crate::base::limits::REFUSAL_DATA_BYTES_MAX;
use crate::base::{ConnId, RefusalCode, UserId};
use crate::wire::error::ErrorReply;
use serde_json::Value;
use std::fmt;
use std::sync::Arc;

/// Who calls a handler.
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
    /// Who sent it; none before `auth`, and none for a guest.
    pub caller: Option<Caller>,
    /// The connection that it came on; none if it came over HTTP.
    pub connection: Option<ConnId>,
}

pub(crate) type HandlerFn = dyn Fn(Call, Reply) + Send + Sync;

/// A function for one of the application's own message types.
#[derive(Clone)]
pub(crate) struct Registered {
    pub(crate) access: Access,
    pub(crate) run: Arc<HandlerFn>,
}

impl fmt::Debug for Registered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registered").field("access", &self.access).finish_non_exhaustive()
    }
}

/// A code for programs and a sentence for people, as [`Reply::error`] takes them.
#[derive(Clone, Debug)]
pub struct RequestRefusal(ErrorReply);

impl RequestRefusal {
    /// A refusal.
    ///
    /// # Errors
    /// [`HandleError::Code`].
    pub fn new(code: &str, message: &str) -> Result<RequestRefusal, HandleError> {
        RequestRefusal::of(code, message, None)
    }

    /// The same, with data for programs.
    ///
    /// # Errors
    /// [`HandleError::Code`]; [`HandleError::Size`] for data of more than 16 KiB.
    pub fn with(code: &str, message: &str, data: &Value) -> Result<RequestRefusal, HandleError> {
        let data = data.to_string();
        if data.len() > REFUSAL_DATA_BYTES_MAX {
            let (what, limit) = ("refusal's data", REFUSAL_DATA_BYTES_MAX);
            return Err(HandleError::Size { what, limit });
        }
        RequestRefusal::of(code, message, Some(&data))
    }

    fn of(code: &str, message: &str, data: Option<&str>) -> Result<RequestRefusal, HandleError> {
        let refused = ErrorReply::by_application(code, message, data);
        refused.map(RequestRefusal).ok_or(HandleError::Code)
    }
}

/// Answers one message, at once or later, from any thread. If it is dropped without an answer, the
/// answer is `internal`.
#[derive(Debug)]
pub struct Reply {
    shared: Arc<Shared>,
    /// The server's thread that waits for it.
    thread: usize,
    /// `None` when it is answered.
    to: Option<HandlerWaiter>,
}

impl Reply {
    pub(crate) fn new(shared: Arc<Shared>, thread: usize, to: HandlerWaiter) -> Reply {
        Reply { shared, thread, to: Some(to) }
    }

    /// Answers with a payload, an object.
    ///
    /// # Errors
    /// [`HandleError::Stopped`].
    pub fn ok(mut self, payload: Value) -> Result<(), HandleError> {
        self.answer(Ok(payload.to_string()))
    }

    /// Refuses, with a code for programs and a sentence for people, of which the first 1,024 bytes
    /// are sent. The error says that it is the application's (`by`), even if the code is one of
    /// parlor's.
    ///
    /// # Errors
    /// [`HandleError::Stopped`]; [`HandleError::Code`], and then the answer is `internal`.
    pub fn error(self, code: &str, message: &str) -> Result<(), HandleError> {
        self.refuse(RequestRefusal::new(code, message)?)
    }

    /// As [`Reply::error`], with data for programs.
    ///
    /// # Errors
    /// As [`Reply::error`]; [`HandleError::Size`] for data of more than 16 KiB, and then the answer
    /// is `internal`.
    pub fn error_with(self, code: &str, message: &str, data: &Value) -> Result<(), HandleError> {
        self.refuse(RequestRefusal::with(code, message, data)?)
    }

    /// Refuses with what was made before, where a wrong code costs no answer.
    ///
    /// # Errors
    /// [`HandleError::Stopped`].
    pub fn refuse(mut self, refusal: RequestRefusal) -> Result<(), HandleError> {
        self.answer(Err(refusal.0))
    }

    fn answer(&mut self, result: HandlerResult) -> Result<(), HandleError> {
        let to = self.to.take();
        self.shared.answer(self.thread, |queue| queue.answers.extend(to.map(|to| (to, result))))
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if self.to.is_some() {
            let message = "the handler has not answered";
            let _ = self.answer(Err(ErrorReply::new(RefusalCode::Internal, message)));
        }
    }
}

/// Who waits for a handler's answer, in a form that other threads may have.
#[derive(Debug)]
pub(crate) enum HandlerWaiter {
    /// A connection, and its id for the request, if it wants an answer.
    Conn(ConnId, Option<String>),
    /// A call, by its number.
    Call(u64),
}

/// A payload as JSON, or a refusal.
pub(crate) type HandlerResult = Result<String, ErrorReply>;
