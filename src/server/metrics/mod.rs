//! What is counted for whoever watches the server, and its text for Prometheus. `docs/operations.md`
//! lists all of it.

mod counters;
mod page;
mod remotes;
mod shared;
mod snapshot;

pub(super) use counters::Counters;
