//! What operators see of sources and do to them.

use super::late::Late;
use super::polled::Polled;
use super::running::RunningFeed;
use super::table::Sources;
use crate::backend::CircuitState;
use crate::base::subscription::StreamInfo;
use crate::wire::json::Writer;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How a source is.
pub(crate) const RUNNING: &str = "running";
pub(crate) const PAUSED: &str = "paused";
const OPEN: &str = "open";
const HALF_OPEN: &str = "half-open";

/// What is counted of what feeds a stream, or a family of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct SourceMetrics {
    /// The stream, as it is declared.
    pub(crate) stream: String,
    /// How many sources are in each state.
    pub(crate) states: [(&'static str, u64); 4],
    /// How often each stream is polled, if it is.
    pub(crate) every_ms: Option<u64>,
    pub(crate) late: Late,
    pub(crate) failures: u64,
    pub(crate) refused: u64,
}

/// How what feeds a declared stream is: of a family the worst of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Overview {
    pub(crate) state: &'static str,
    /// Without it the server is not ready.
    pub(crate) is_required: bool,
    /// How many of its streams are left alone, or are being tried.
    pub(crate) down: usize,
    /// How often each is polled, if it is.
    pub(crate) every_ms: Option<u64>,
    /// How long they were not polled.
    pub(crate) late: Late,
}

impl Sources {
    /// How all are, by the names that are declared.
    pub(crate) fn overviews(&self) -> BTreeMap<&str, Overview> {
        let is_open = |polled: &&Polled| polled.state() == CircuitState::Open;
        let open: BTreeSet<&str> = if self.down().next().is_some() {
            self.polled.values().filter(is_open).map(|polled| &*polled.feed).collect()
        } else {
            BTreeSet::new()
        };
        let down: BTreeMap<&str, usize> = self.down().collect();
        let of_feed = |(name, running): (&'_ Arc<str>, &RunningFeed)| {
            let down = down.get(&**name).copied().unwrap_or(0);
            let circuit = match down {
                0 => CircuitState::Closed,
                _ if open.contains(&**name) => CircuitState::Open,
                _ => CircuitState::HalfOpen,
            };
            Overview {
                state: state(running, circuit),
                is_required: running.is_required(),
                down,
                every_ms: running.every_ms(),
                late: running.late,
            }
        };
        self.feeds.iter().map(|feed| (&**feed.0, of_feed(feed))).collect()
    }

    /// What is counted of all.
    pub(crate) fn metrics(&self) -> Vec<SourceMetrics> {
        let of_feed = |running: &RunningFeed| {
            let name = running.pattern.as_str();
            let mut states = [(RUNNING, 0), (PAUSED, 0), (OPEN, 0), (HALF_OPEN, 0)];
            let mut count = |state: &str| {
                if let Some((_, count)) = states.iter_mut().find(|(known, _)| *known == state) {
                    *count += 1;
                }
            };
            let mut polled = self.polled.values().filter(|polled| *polled.feed == *name).peekable();
            // What waits for others, or for somebody to watch, is one.
            if polled.peek().is_none() {
                count(state(running, CircuitState::Closed));
            }
            polled.for_each(|polled| count(state(running, polled.state())));
            SourceMetrics {
                stream: name.to_owned(),
                states,
                every_ms: running.every_ms(),
                late: running.late,
                failures: running.failures,
                refused: running.refused,
            }
        };
        self.feeds.values().map(of_feed).collect()
    }

    /// Writes how the source of a stream is, if it has one.
    pub(crate) fn write(&self, w: &mut Writer, info: &StreamInfo) {
        let Some(running) = self.feeds.get(info.declaration.pattern.as_str()) else { return };
        let polled = self.polled.get(&info.stream);
        let circuit = polled.map_or(CircuitState::Closed, |polled| polled.state());
        w.object_in("source", |w| {
            w.text("state", state(running, circuit));
            w.number("failures", running.failures);
            w.number("refused", running.refused);
            if let Some(error) = &running.last_error {
                w.text("error", error);
            }
        });
    }
}

fn state(running: &RunningFeed, circuit: CircuitState) -> &'static str {
    match circuit {
        _ if running.is_paused => PAUSED,
        CircuitState::Closed => RUNNING,
        CircuitState::Open => OPEN,
        CircuitState::HalfOpen => HALF_OPEN,
    }
}
