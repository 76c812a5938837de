//! A job for the application's backend, and its outcome.

use crate::base::{Data, StreamId};
use std::fmt;
use std::sync::Arc;

/// A job's number, which is never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct JobId(pub(super) u64);

/// What to do, on a thread that may block.
#[derive(Clone, Debug)]
pub(crate) enum Task {
    /// Fetch the data of a stream.
    Poll { from: PollFrom, pick: Pick },
    /// Send a request for a waiting client.
    Call(HttpRequest),
}

/// A function of the embedding program that returns a stream's data.
pub(crate) type PollFn =
    dyn Fn(&StreamId) -> Result<Data, Box<dyn std::error::Error>> + Send + Sync;

/// The source of data.
#[derive(Clone)]
pub(crate) enum PollFrom {
    /// A URL, by `GET`.
    Url(String),
    /// A program's standard output: its name and arguments, and its environment.
    Command(Vec<String>, Vec<String>),
    /// A function.
    Function(Arc<PollFn>, StreamId),
}

impl fmt::Debug for PollFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PollFrom::Url(url) => f.debug_tuple("Url").field(url).finish(),
            PollFrom::Command(command, _) => f.debug_tuple("Command").field(command).finish(),
            PollFrom::Function(_, stream) => f.debug_tuple("Function").field(stream).finish(),
        }
    }
}

/// Which of the received bytes are the data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Pick {
    /// All of them, unchanged.
    Bytes,
    /// The JSON at this pointer (RFC 6901), as reference tokens.
    Json(Arc<[Box<str>]>),
}

/// A request of HTTP.
#[derive(Clone, Debug)]
pub(crate) struct HttpRequest {
    pub(crate) url: Arc<str>,
    pub(crate) fields: Vec<(String, String)>,
    /// The body of a `POST`; `None` for a `GET`.
    pub(crate) body: Option<Vec<u8>>,
}

/// The result of a job.
#[derive(Clone, Debug)]
pub(crate) enum JobOutput {
    /// Data of a stream.
    Data(Data),
    /// No data now (204).
    Nothing,
    /// An answer, whatever its status.
    Answer { status: u16, fields: Vec<(String, String)>, body: Vec<u8> },
}

/// The outcome of a job.
pub(crate) type JobResult = Result<JobOutput, Failure>;

/// Why a job failed. The texts contain nothing of a URL or a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    /// The backend cannot be reached; nothing was sent.
    #[error("it cannot be reached: {0}")]
    Unreached(String),
    #[error("it took too long")]
    Timeout,
    /// It sent more than the limit.
    #[error("the answer is too large")]
    TooLarge,
    /// A status that is not a success.
    #[error("it answered {0}")]
    Status(u16),
    /// No data: not UTF-8, not JSON, or the pointer matches nothing.
    #[error("{0}")]
    NoData(&'static str),
    /// The program did not start, or failed.
    #[error("the program: {0}")]
    Program(String),
    /// The connection broke, or the answer is not HTTP.
    #[error("the exchange broke: {0}")]
    Broken(String),
    #[error("the function: {0}")]
    Function(String),
    /// The queue of jobs is full.
    #[error("too many requests wait for backends")]
    Full,
    #[error("the server stops")]
    Stopped,
}

impl Failure {
    /// Whether the backend certainly received nothing.
    pub(super) fn is_unreached(&self) -> bool {
        matches!(self, Failure::Unreached(_))
    }

    /// Whether only the backend can be the cause: it was not reached, or took too long. A request
    /// may make it break off.
    pub(super) fn is_backends_alone(&self) -> bool {
        matches!(self, Failure::Unreached(_) | Failure::Timeout)
    }

    /// Whether it counts for the backend's circuit.
    pub(crate) fn is_backends(&self) -> bool {
        !matches!(self, Failure::Full | Failure::Stopped)
    }
}

#[cfg(test)]
impl JobId {
    /// A number for a test.
    pub(crate) fn of_test(number: u64) -> JobId {
        JobId(number)
    }
}
