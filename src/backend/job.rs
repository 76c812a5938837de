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
    pub(crate) method: Method,
    pub(crate) url: Arc<str>,
    pub(crate) fields: Vec<(String, String)>,
    /// The body of a `POST`.
    pub(crate) body: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Post,
}

/// The result of a job.
#[derive(Clone, Debug)]
pub(crate) enum Got {
    /// Data of a stream.
    Data(Data),
    /// No data now (204).
    Nothing,
    /// An answer, whatever its status.
    Answer { status: u16, fields: Vec<(String, String)>, body: Vec<u8> },
}

/// The outcome of a job.
pub(crate) type JobResult = Result<Got, Failure>;

/// Why a job failed. The texts contain nothing of a URL or a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The backend cannot be reached; nothing was sent.
    Unreached(String),
    /// It took too long.
    Timeout,
    /// It sent more than the limit.
    TooLarge,
    /// A status that is not a success.
    Status(u16),
    /// No data: not UTF-8, not JSON, or the pointer matches nothing.
    NoData(&'static str),
    /// The program did not start, or failed.
    Program(String),
    /// The connection broke, or the answer is not HTTP.
    Broken(String),
    /// The function failed.
    Function(String),
    /// The queue of jobs is full.
    Full,
    /// The server is stopping.
    Stopped,
}

impl Failure {
    /// Whether the backend certainly received nothing.
    pub(super) fn is_unheard(&self) -> bool {
        match self {
            Failure::Unreached(_) => true,
            Failure::Timeout
            | Failure::TooLarge
            | Failure::Status(_)
            | Failure::NoData(_)
            | Failure::Program(_)
            | Failure::Broken(_)
            | Failure::Function(_)
            | Failure::Full
            | Failure::Stopped => false,
        }
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

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Unreached(why) => write!(f, "it cannot be reached: {why}"),
            Failure::Timeout => f.write_str("it took too long"),
            Failure::TooLarge => f.write_str("the answer is too large"),
            Failure::Status(status) => write!(f, "it answered {status}"),
            Failure::NoData(why) => f.write_str(why),
            Failure::Program(why) => write!(f, "the program: {why}"),
            Failure::Broken(why) => write!(f, "the exchange broke: {why}"),
            Failure::Function(why) => write!(f, "the function: {why}"),
            Failure::Full => f.write_str("too many requests wait for backends"),
            Failure::Stopped => f.write_str("the server stops"),
        }
    }
}

#[cfg(test)]
impl JobId {
    /// A number for a test.
    pub(crate) fn of_test(number: u64) -> JobId {
        JobId(number)
    }
}
