//! Why a call of the embedding program's came to nothing.

use crate::base::{NameError, StreamId};
use crate::hub::RefusalCode;
use crate::hub::streams::PatternError;
use std::fmt;

/// Why a call came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HandleError {
    /// The server has stopped.
    Stopped,
    /// Too many calls wait for the reactor.
    Full,
    /// A name is no user id or room name.
    Name(NameError),
    /// A stream cannot have this name, nor a family of them.
    Stream(PatternError),
    /// A message type is one of the wire's own, or empty; a push's has control characters or more than 64
    /// bytes.
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
    /// A stream does not take an event of the program's.
    Event {
        /// Which.
        stream: StreamId,
        /// The wire's code, as `no_such_stream`.
        code: &'static str,
        /// For people: which member is missing, for instance.
        message: String,
    },
    /// It has not been answered within the time given.
    Timeout,
    /// Waiting inside a handler would keep the reactor from answering.
    WouldDeadlock,
    /// A path is one of the server's own, or no path: a sentence.
    Path(&'static str),
    /// A header field of an answer cannot be sent.
    Field,
    /// This is no code of a refusal: 1 to 64 of `a-z`, `0-9` and `_`.
    Code,
}

impl HandleError {
    pub(super) const fn refused(code: RefusalCode, message: &'static str) -> HandleError {
        HandleError::Refused { code: code.as_str(), message }
    }
}

impl fmt::Display for HandleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HandleError::Stopped => f.write_str("the server has stopped"),
            HandleError::Full => f.write_str("too many calls wait for the server"),
            HandleError::Name(error) => write!(f, "a name {error}"),
            HandleError::Stream(error) => write!(f, "a stream's name {error}"),
            HandleError::Type => {
                f.write_str("this message type is empty, too long, or the server's own")
            }
            HandleError::Size { what: what @ ("cid" | "id"), limit } => {
                write!(f, "the {what} has 1 to {limit} bytes")
            }
            HandleError::Size { what, limit } => write!(f, "a {what} has at most {limit} bytes"),
            HandleError::Refused { code, message } => write!(f, "{code}: {message}"),
            HandleError::Event { stream, code, message } => {
                write!(f, "the stream {stream}: {code}: {message}")
            }
            HandleError::Timeout => f.write_str("the server has not answered in time"),
            HandleError::Path(fault) => f.write_str(fault),
            HandleError::Field => f.write_str("this is no header field that an answer may have"),
            HandleError::Code => f.write_str("a code has 1 to 64 of a-z, 0-9 and _"),
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
