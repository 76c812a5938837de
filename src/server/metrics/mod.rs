//! What is counted for whoever watches the server, and its text for Prometheus. `docs/metrics.md`
//! lists all of it.

pub(super) mod counters;
pub(super) mod page;
pub(super) mod pools;
pub(super) mod snapshot;

pub(super) use counters::Counters;
