//! The way out: what this server asks of the application's backend, over HTTP, of a program, or of a
//! function of the embedding program. It blocks, and so it is done on threads of its own.
//!
//! [`Outbound`] is the reactor's end: it hands jobs to two [`Pool`](pool::Pool)s, one for what is polled and one for
//! what somebody waits for, tries again what failed ([`Backoff`]), and never waits. A [`Circuit`]
//! says whether to ask at all. What came of a job reaches the reactor's thread as the answers of handlers do.

mod backoff;
mod circuit;
mod client;
mod job;
mod line;
mod outbound;
mod pool;

pub(crate) use circuit::{Cause, Circuit, CircuitSettings, CircuitState, Pass};
pub(crate) use client::picked;
pub(crate) use job::{
    Failure, Got, HttpRequest, JobId, JobResult, Method, Pick, PollFn, PollFrom, Task,
};
pub(crate) use line::{FairQueue, QueueBounds};
pub(crate) use outbound::{Lane, Outbound};
pub(crate) use pool::Finish;
