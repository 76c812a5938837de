//! Who sends a request, where tokens do not say it: a function of the embedding program says, or the
//! application's backend (`auth.url`), which knows sessions and passwords.
//!
//! Both are asked with the request's head, before it is routed: for upgrades, for calls of the API, for the
//! metrics. What they say stands in the place of a token. The backend takes time: the request waits whole in the
//! meantime, and is handled again when the answer has come.

mod answer;
mod ask;
mod hook;
mod line;

pub use hook::{Authenticate, Denied, Head, Proof};

pub(super) use ask::Asked;
pub(super) use line::{Place, Proofs};
