//! Why a call of the embedding program's came to nothing.

use crate::base::pattern::PatternError;
use crate::base::{NameError, Refusal, RefusalCode, StreamId};

/// Why a call came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandleError {
    /// The server has stopped.
    #[error("the server has stopped")]
    Stopped,
    /// Too many calls wait for the reactor.
    #[error("too many calls wait for the server")]
    Full,
    /// A name is no user id or room name.
    #[error("a name {0}")]
    Name(#[from] NameError),
    /// A stream cannot have this name, nor a family of them.
    #[error("a stream's name {0}")]
    Stream(PatternError),
    /// A message type is one of the wire's own, or empty; a push's has control characters or more than 64
    /// bytes.
    #[error("this message type is empty, too long, or the server's own")]
    Type,
    /// A text or a `cid` is larger than its limit, or a `cid` is empty.
    #[error("{} {limit} bytes", of_size(what))]
    Size {
        /// Which.
        what: &'static str,
        /// Most bytes.
        limit: usize,
    },
    /// The server refused it: the wire's code, and a sentence.
    #[error("{code}: {message}")]
    Refused {
        /// As `not_member`.
        code: &'static str,
        /// For people.
        message: &'static str,
    },
    /// A stream does not take an event of the program's.
    #[error("the stream {stream}: {code}: {message}")]
    Event {
        /// Which.
        stream: StreamId,
        /// The wire's code, as `no_such_stream`.
        code: &'static str,
        /// For people: which member is missing, for instance.
        message: String,
    },
    /// It has not been answered within the time given.
    #[error("the server has not answered in time")]
    Timeout,
    /// Waiting inside a handler would keep the reactor from answering.
    #[error("a handler must not wait for the server")]
    WouldDeadlock,
    /// A path is one of the server's own, or no path: a sentence.
    #[error("{0}")]
    Path(&'static str),
    /// A header field of an answer cannot be sent.
    #[error("this is no header field that an answer may have")]
    Field,
    /// This is no code of a refusal: 1 to 64 of `a-z`, `0-9` and `_`.
    #[error("a code has 1 to 64 of a-z, 0-9 and _")]
    Code,
}

impl HandleError {
    pub(crate) const fn refused(code: RefusalCode, message: &'static str) -> HandleError {
        HandleError::Refused { code: code.as_str(), message }
    }
}

impl From<Refusal> for HandleError {
    fn from(refusal: Refusal) -> HandleError {
        HandleError::refused(refusal.code, refusal.message)
    }
}

/// What is too large, or, where nothing is too small, out of bounds.
fn of_size(what: &str) -> String {
    match what {
        "cid" | "id" => format!("the {what} has 1 to"),
        _ => format!("a {what} has at most"),
    }
}
