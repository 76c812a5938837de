//! Who sends a request, where tokens do not say it: a function of the embedding program says, or the
//! application's backend (`auth.url`), which knows sessions and passwords.
//!
//! Both are asked with the request's head, before it is routed: for upgrades, for calls of the API, for the
//! metrics. What they say stands in the place of a token. The backend takes time: the request waits whole in the
//! meantime, and is handled again when the answer has come.

pub(super) mod answer;
pub(super) mod line;

pub(super) use line::{Found, ProofPlace, Proofs};
