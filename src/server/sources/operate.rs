//! What operators see of sources and do to them: which are down, which are polled too late, and
//! pausing.

use super::polled::Polled;
use super::running::RunningFeed;
use super::table::Sources;
use crate::backend::CircuitState;
use crate::base::Moment;
use crate::base::limits::LATE_POLLS_CHECKED_MS;
use crate::base::subscription::StreamInfo;
use crate::wire::server_encode::SourceInfo;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The states of a source.
pub(crate) const RUNNING: &str = "running";
pub(crate) const PAUSED: &str = "paused";
const OPEN: &str = "open";
const HALF_OPEN: &str = "half-open";
pub(crate) const STATES: [&str; 4] = [RUNNING, PAUSED, OPEN, HALF_OPEN];

/// The metrics of what feeds a stream, or a family of streams.
#[derive(Clone, Debug, Default)]
pub(crate) struct SourceMetrics {
    /// The declared name of the stream.
    pub(crate) stream: String,
    /// How many sources are in each state.
    pub(crate) states: [(&'static str, u64); 4],
    /// How often each stream is polled, in ms, if it is.
    pub(crate) every_ms: Option<u64>,
    pub(crate) late: LatePolls,
    pub(crate) failures: u64,
    pub(crate) refused: u64,
}

/// The state of what feeds a declared stream; for a family the worst state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Overview {
    pub(crate) state: &'static str,
    /// Without it the server is not ready.
    pub(crate) is_required: bool,
    /// How many of its streams have a circuit that is not closed.
    pub(crate) down: usize,
    /// How often each is polled, in ms, if it is.
    pub(crate) every_ms: Option<u64>,
    pub(crate) late: LatePolls,
}

impl Sources {
    /// The state of each, by declared names.
    pub(crate) fn overviews(&self) -> BTreeMap<&str, Overview> {
        let is_open = |polled: &&Polled| polled.circuit.state() == CircuitState::Open;
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

    pub(crate) fn metrics(&self) -> Vec<SourceMetrics> {
        let of_feed = |running: &RunningFeed| {
            let name = running.pattern.as_str();
            let mut states = STATES.map(|state| (state, 0));
            let mut count = |state: &str| {
                if let Some((_, count)) = states.iter_mut().find(|(known, _)| *known == state) {
                    *count += 1;
                }
            };
            let mut polled = self.polled.values().filter(|polled| *polled.feed == *name).peekable();
            // A webhook, or a family that nobody watches, counts as one.
            if polled.peek().is_none() {
                count(state(running, CircuitState::Closed));
            }
            polled.for_each(|polled| count(state(running, polled.circuit.state())));
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

    /// The state of a stream's source, if it has one.
    pub(crate) fn told<'a>(&'a self, info: &'a StreamInfo) -> Option<SourceInfo<'a>> {
        let pattern = &info.declaration.pattern;
        let running = self.feeds.get(pattern.as_str())?;
        let polled = self.polled.get(&info.stream);
        let circuit = polled.map_or(CircuitState::Closed, |polled| polled.circuit.state());
        Some(SourceInfo {
            state: state(running, circuit),
            declared: pattern.is_open().then_some(pattern.as_str()),
            failures: running.failures,
            refused: running.refused,
            error: running.last_error.as_deref(),
        })
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

/// How late the streams of a declaration are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LatePolls {
    /// How many were not polled for too long.
    pub(crate) streams: u64,
    /// The longest time without a poll, in ms.
    pub(crate) longest_ms: u64,
}

impl Sources {
    /// Looks for late streams, unless that was done a moment ago, and logs changes. Returns when to
    /// look again, if there is anything to look at.
    pub(crate) fn check_late_polls(&mut self, now: Moment) -> Option<Moment> {
        if self.polled.is_empty() && self.feeds.values().all(|running| running.late.streams == 0) {
            return None;
        }
        let next = self.late_checked.plus_millis(LATE_POLLS_CHECKED_MS);
        if now < next {
            return Some(next);
        }
        self.late_checked = now;
        let mut late: BTreeMap<Arc<str>, LatePolls> = BTreeMap::new();
        for polled in self.polled.values() {
            let Some(running) = self.feeds.get(&polled.feed) else { continue };
            if polled.is_watched && !running.is_paused {
                let age_ms = now.millis_since(polled.polled_at);
                let late = late.entry(Arc::clone(&polled.feed)).or_default();
                // Open circuits are reported elsewhere.
                let is_late = polled.circuit.state() == CircuitState::Closed
                    && running.late_after_ms().is_some_and(|most| age_ms > most);
                late.streams += u64::from(is_late);
                late.longest_ms = late.longest_ms.max(age_ms);
            }
        }
        let waiting = self.turns.len();
        for (name, running) in &mut self.feeds {
            let late = late.remove(name).unwrap_or_default();
            let before = std::mem::replace(&mut running.late, late);
            let every_ms = running.every_ms().unwrap_or_default();
            let LatePolls { streams, longest_ms } = late;
            if before.streams == 0 && streams > 0 {
                log::warn!(
                    "{streams} of {name} are polled too late: every {every_ms} ms is asked for, {longest_ms} ms is \
                     the longest; {waiting} polls wait for backend.poll_threads"
                );
            } else if before.streams > 0 && streams == 0 {
                log::info!("{name} is polled in time again");
            }
        }
        Some(now.plus_millis(LATE_POLLS_CHECKED_MS))
    }

    /// How many streams wait to be polled.
    pub(crate) fn waiting(&self) -> usize {
        self.turns.len()
    }

    /// How many streams are polled now.
    pub(crate) fn under_way(&self) -> usize {
        self.turns.under_way()
    }

    /// The feeds with streams that are down, and how many. Paused ones are left out.
    pub(crate) fn down(&self) -> impl Iterator<Item = (&str, usize)> {
        let down = self.down.iter().map(|(name, count)| (&**name, *count));
        down.filter(|(name, _)| !self.is_paused(name))
    }

    /// Whether a required source is down or late, so that the server is not ready.
    pub(crate) fn lacks_required(&self) -> bool {
        let is_required = |name: &str| self.feeds.get(name).is_some_and(RunningFeed::is_required);
        let is_late = |running: &RunningFeed| running.is_required() && running.late.streams > 0;
        self.down().any(|(name, _)| is_required(name)) || self.feeds.values().any(is_late)
    }

    /// Pauses or resumes what feeds a stream, by its declared name. `None` if nothing feeds it.
    pub(crate) fn pause(
        &mut self,
        now: Moment,
        name: &str,
        is_paused: bool,
    ) -> Option<&RunningFeed> {
        let running = self.feeds.get_mut(name)?;
        if std::mem::replace(&mut running.is_paused, is_paused) != is_paused {
            log::info!("the source of {name} {}", if is_paused { "is paused" } else { "goes on" });
        }
        if !is_paused {
            for stream in self.polled_of(name) {
                let Some(polled) = self.polled.get_mut(&stream) else { continue };
                // While it was paused, nobody waited for it.
                polled.polled_at = now;
                if polled.due == Moment::NEVER {
                    self.schedule(now, &stream);
                }
            }
        }
        self.feeds.get(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::schema_tests::assert_words;

    #[test]
    fn the_schema_has_the_states_of_a_source() {
        assert_words("/$defs/Stream/properties/source/properties/state/enum", STATES);
        assert_words("/replies/stream:get/properties/source/properties/state/enum", STATES);
        for kind in ["pause", "resume"] {
            let place = format!("/replies/admin:{kind}/properties/state/enum");
            assert_words(&place, [RUNNING, PAUSED]);
        }
    }
}
