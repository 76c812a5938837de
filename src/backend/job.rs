//! A job of the application's backend, and what can come of it.

use crate::base::{Data, StreamId};
use std::fmt;
use std::sync::Arc;

/// A job's number: none comes twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct JobId(pub(super) u64);

/// What is to be done, by a thread that may wait for it.
#[derive(Clone, Debug)]
pub(crate) enum Task {
    /// The data of a stream are fetched.
    Poll { from: PollFrom, pick: Pick },
    /// A request, whose answer somebody waits for.
    Call(HttpRequest),
}

/// A function of the embedding program that knows a stream's data.
pub(crate) type PollFn =
    dyn Fn(&StreamId) -> Result<Data, Box<dyn std::error::Error>> + Send + Sync;

/// Where data come from.
#[derive(Clone)]
pub(crate) enum PollFrom {
    /// A URL, by `GET`.
    Url(String),
    /// What a program writes to its standard output: its name and its arguments, and its environment.
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

/// What of the bytes that came are the data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Pick {
    /// All, as they are.
    Bytes,
    /// The JSON at this pointer (RFC 6901): its reference tokens.
    Json(Arc<[Box<str>]>),
}

/// A request of HTTP.
#[derive(Clone, Debug)]
pub(crate) struct HttpRequest {
    pub(crate) method: Method,
    pub(crate) url: Arc<str>,
    pub(crate) fields: Vec<(String, String)>,
    /// The content of a `POST`.
    pub(crate) body: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Post,
}

/// What came of a job.
#[derive(Clone, Debug)]
pub(crate) enum Got {
    /// Data of a stream.
    Data(Data),
    /// There are none now (204).
    Nothing,
    /// An answer, whatever its status.
    Answer { status: u16, fields: Vec<(String, String)>, body: Vec<u8> },
}

/// What came of a job, or why nothing did.
pub(crate) type JobResult = Result<Got, Failure>;

/// Why nothing came of a job. No text of it has anything of a URL or a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The backend cannot be reached: nothing was sent.
    Unreached(String),
    /// It took too long.
    Timeout,
    /// More came than may.
    TooLarge,
    /// A status that is no success.
    Status(u16),
    /// What came is no data: not UTF-8, no JSON, or the pointer leads nowhere.
    NoData(&'static str),
    /// The program could not be run, or has failed.
    Program(String),
    /// The connection broke, or what came is no HTTP.
    Broken(String),
    /// The function has failed.
    Function(String),
    /// As many jobs wait as may.
    Full,
    /// The server stops.
    Stopped,
}

impl Failure {
    /// Whether it is certain that the backend has not heard of it.
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

    /// Whether it counts for the backend, whatever that was asked: it was not reached, or took too long. That it breaks
    /// off may be a question's doing.
    pub(super) fn is_backends_alone(&self) -> bool {
        matches!(self, Failure::Unreached(_) | Failure::Timeout)
    }

    /// Whether the fault is the backend's, and counts for its circuit.
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
