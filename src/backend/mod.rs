//! Outgoing calls: to the application's backend over HTTP, to a program, or to a function of the
//! embedding program. They block, so they run on threads of their own.
//!
//! [`Outbound`] is the reactor's end. It gives jobs to a [`Pool`](pool::Pool) per purpose (polls,
//! calls of waiting clients, authentication), retries failed ones ([`Backoff`]), and never blocks.
//! A [`Circuit`] decides whether to call at all. Outcomes reach the reactor's thread in the same
//! way as handlers' answers.

mod backoff;
mod child;
mod circuit;
mod client;
mod job;
mod line;
mod outbound;
mod pool;

pub(crate) use circuit::{Cause, Circuit, CircuitSettings, CircuitState, Pass};
pub(crate) use client::pick_data;
pub(crate) use job::{
    Failure, HttpRequest, JobId, JobOutput, JobResult, Pick, PollFn, PollFrom, Task,
};
pub(crate) use line::{FairQueue, QueueBounds};
pub(crate) use outbound::{Lane, Outbound};
pub(crate) use pool::Finish;
