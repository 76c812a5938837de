//! Counts for operators, and their text for Prometheus. `docs/metrics.md` lists all of them.

pub(super) mod counters;
pub(super) mod page;
pub(super) mod pools;
pub(super) mod snapshot;
mod vitals;

pub(super) use counters::Counters;
