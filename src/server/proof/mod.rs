//! Who sends a request, where tokens do not say it: a function of the embedding program does, or
//! the application's backend (`auth.url`), which knows sessions and passwords.
//!
//! Both get the request's head before it is routed: of upgrades, of calls of the API and of the
//! embedding program's paths, of requests for the metrics. What they say counts as a token would.
//! The backend takes time: meanwhile the request waits whole, and it is handled again when the
//! answer comes.

pub(super) mod answer;
pub(super) mod line;

pub(super) use line::{ProofPlace, Proofs, SenderResult};
