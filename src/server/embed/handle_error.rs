//! Why a call of the embedding program failed.

use crate::base::pattern::PatternError;
use crate::base::{NameError, Refusal, RefusalCode, StreamId};

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandleError {
    /// The server has stopped.
    #[error("the server has stopped")]
    Stopped,
    /// Too many calls wait for the reactor.
    #[error("too many calls wait for the server")]
    Full,
    /// A name is not a user id or a room name.
    #[error("a name {0}")]
    Name(#[from] NameError),
    /// A stream, or a family of streams, cannot have this name.
    #[error("a stream's name {0}")]
    Stream(PatternError),
    /// A message type is one of the wire's own, or empty; that of a push has control characters or
    /// more than 64 bytes. Also for a message that is not allowed.
    #[error("this message type is empty, too long, or the server's own")]
    Type,
    /// No method of a path's.
    #[error("a path is for GET, POST, PUT, PATCH or DELETE")]
    Method,
    /// No code that a Close may have (RFC 6455 §7.4).
    #[error("a Close has a code of 1000 to 1003, 1007 to 1014 or 3000 to 4999")]
    CloseCode,
    /// A text or a `cid` is larger than its limit, or a `cid` is empty.
    #[error("{} {limit} bytes", of_size(what))]
    Size {
        /// What has the wrong size.
        what: &'static str,
        /// The most bytes.
        limit: usize,
    },
    /// The server refused it: the wire's code, and a sentence.
    #[error("{code}: {message}")]
    Refused {
        /// Such as `not_member`.
        code: &'static str,
        /// For people.
        message: &'static str,
    },
    /// A stream refuses an event of the program.
    #[error("the stream {stream}: {code}: {message}")]
    Event {
        /// The stream.
        stream: StreamId,
        /// The wire's code, such as `no_such_stream`.
        code: &'static str,
        /// For people: which member is missing, for instance.
        message: String,
    },
    /// No answer came within the given time.
    #[error("the server has not answered in time")]
    Timeout,
    /// Waiting inside a handler would block the reactor, which has to answer.
    #[error("a handler must not wait for the server")]
    WouldDeadlock,
    /// The program cannot have this path; a sentence says why.
    #[error("{0}")]
    Path(&'static str),
    /// An answer cannot have this header field.
    #[error("this is no header field that an answer may have")]
    Field,
    /// Not a refusal's code: those have 1 to 64 of `a-z`, `0-9` and `_`.
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

/// Names what is too large. An id must not be empty either.
fn of_size(what: &str) -> String {
    match what {
        "cid" | "id" => format!("the {what} has 1 to"),
        _ => format!("a {what} has at most"),
    }
}
