//! What is wrong with what feeds streams, as a whole: which are down, and which are not polled as often as they
//! are to be.

use super::running::RunningFeed;
use super::table::Sources;
use crate::backend::CircuitState;
use crate::base::limits::LATE_POLLS_LOOKED_AT_MS;
use crate::base::{Moment, StreamId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How long the streams of a declaration were not polled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Late {
    /// How many were not for too long.
    pub(crate) streams: u64,
    /// For how long the one was not that waits longest, in ms.
    pub(crate) longest_ms: u64,
}

impl Sources {
    /// Looks which streams are late, if that was not done a moment ago; says so in the log where it has changed.
    /// Returns when to look again, if there is anything to look at.
    pub(crate) fn look_for_late(&mut self, now: Moment) -> Option<Moment> {
        if self.polled.is_empty() && self.feeds.values().all(|running| running.late.streams == 0) {
            return None;
        }
        let next = self.late_looked_at.plus_millis(LATE_POLLS_LOOKED_AT_MS);
        if now < next {
            return Some(next);
        }
        self.late_looked_at = now;
        let mut late: BTreeMap<Arc<str>, Late> = BTreeMap::new();
        for polled in self.polled.values() {
            let Some(running) = self.feeds.get(&polled.feed) else { continue };
            if polled.is_watched && !running.is_paused {
                let age_ms = now.millis_since(polled.polled_at);
                let late = late.entry(Arc::clone(&polled.feed)).or_default();
                // What is left alone is told otherwise.
                let is_late = polled.state() == CircuitState::Closed
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
            let Late { streams, longest_ms } = late;
            if before.streams == 0 && streams > 0 {
                log::warn!(
                    "{streams} of {name} are polled too late: every {every_ms} ms is asked for, {longest_ms} ms is \
                     the longest; {waiting} polls wait for backend.poll_threads"
                );
            } else if before.streams > 0 && streams == 0 {
                log::info!("{name} is polled in time again");
            }
        }
        Some(now.plus_millis(LATE_POLLS_LOOKED_AT_MS))
    }

    /// How many wait to be polled.
    pub(crate) fn waiting(&self) -> usize {
        self.turns.len()
    }

    /// How many are polled now.
    pub(crate) fn under_way(&self) -> usize {
        self.turns.under_way()
    }

    /// The feeds of which streams are down, and how many. What an operator has paused is not left alone.
    pub(crate) fn down(&self) -> impl Iterator<Item = (&str, usize)> {
        let down = self.down.iter().map(|(name, count)| (&**name, *count));
        down.filter(|(name, _)| !self.is_paused(name))
    }

    /// Whether one is down, or late, without which the server is not ready.
    pub(crate) fn lacks_required(&self) -> bool {
        let is_required = |name: &str| self.feeds.get(name).is_some_and(RunningFeed::is_required);
        let is_late = |running: &RunningFeed| running.is_required() && running.late.streams > 0;
        self.down().any(|(name, _)| is_required(name)) || self.feeds.values().any(is_late)
    }

    /// Pauses what feeds a stream, by its declared name, or lets it go on. `None` if nothing feeds it.
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
            let waiting: Vec<StreamId> = self
                .polled
                .iter()
                .filter(|(_, polled)| *polled.feed == *name && polled.due == Moment::NEVER)
                .map(|(stream, _)| stream.clone())
                .collect();
            for stream in waiting {
                self.look_at(now, &stream);
            }
            // While it was paused nobody waited for it.
            for polled in self.polled.values_mut().filter(|polled| *polled.feed == *name) {
                polled.polled_at = now;
            }
        }
        self.feeds.get(name)
    }
}
