//! What is declared to feed streams, and which streams are polled when. It asks nothing itself, and
//! has no clock: moments are arguments.

use super::polled::{Polled, PolledFor};
use super::running::{FeedKind, FunctionPoll, RunningFeed};
use super::turns::Turns;
use crate::backend::{
    CircuitSettings, CircuitState, Failure, JobId, JobOutput, JobResult, Pass, Task,
};
use crate::base::declaration::Declaration;
use crate::base::limits::{POLL_LINGER_MS, SOURCE_BYTES_MAX};
use crate::base::pattern::Pattern;
use crate::base::rates::Payer;
use crate::base::{ConnId, Data, Limits, Moment, Shares, StreamId};
use crate::config::Feed;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Everything that feeds streams.
#[derive(Debug)]
pub(crate) struct Sources {
    /// By the declared name of the stream.
    pub(super) feeds: BTreeMap<Arc<str>, RunningFeed>,
    pub(super) polled: BTreeMap<StreamId, Polled>,
    due: BTreeSet<(Moment, StreamId)>,
    /// Due streams that wait for a thread.
    pub(super) turns: Turns,
    /// How many streams of families are polled for each payer.
    pub(super) payers: Shares<Payer>,
    /// Places that are counted there, and whose streams are not watched yet.
    pub(super) reserved: BTreeSet<(StreamId, Payer)>,
    settings: CircuitSettings,
    /// For each feed with streams that are down, how many.
    pub(super) down: BTreeMap<Arc<str>, usize>,
    /// When late streams were looked for last.
    pub(super) late_checked: Moment,
}

/// A poll that is due.
#[derive(Debug)]
pub(crate) struct DuePoll {
    pub(crate) stream: StreamId,
    pub(crate) task: Task,
    /// The timeout in ms, and the maximum of the data in bytes.
    pub(crate) bounds: (u64, usize),
    pub(crate) pass: Pass,
}

/// The result of a poll.
#[derive(Debug)]
pub(crate) enum PollResult {
    /// Data to publish; the embedding program's or not.
    Fresh { data: Data, is_programs: bool },
    /// Nothing new: the stream has the latest data.
    Same,
}

impl Sources {
    pub(crate) fn new(limits: &Limits) -> Sources {
        Sources {
            feeds: BTreeMap::new(),
            polled: BTreeMap::new(),
            due: BTreeSet::new(),
            turns: Turns::new(limits.backend_poll_threads),
            payers: Shares::default(),
            reserved: BTreeSet::new(),
            settings: CircuitSettings::from(limits),
            down: BTreeMap::new(),
            late_checked: Moment::ZERO,
        }
    }

    /// Takes a new configuration: unchanged sources go on, changed ones begin anew, removed ones
    /// end. Functions of the embedding program stay.
    pub(crate) fn declare(
        &mut self,
        now: Moment,
        limits: &Limits,
        feeds: &[Feed],
        streams: &[Declaration],
    ) {
        self.settings = CircuitSettings::from(limits);
        let mut before = std::mem::take(&mut self.feeds);
        for feed in feeds {
            let name: Arc<str> = feed.pattern.as_str().into();
            let declaration = streams.iter().find(|stream| stream.pattern == feed.pattern);
            let kind = FeedKind::of(declaration);
            let max_bytes = declaration.map_or(0, |declaration| declaration.max_bytes as usize);
            let old = before.remove(&name);
            let running = match old {
                Some(old) if old.declared.as_ref() == Some(feed) && old.kind == kind => {
                    RunningFeed { max_bytes, ..old }
                }
                old => {
                    let (function, deliveries) =
                        old.map(|old| (old.function, old.deliveries)).unwrap_or_default();
                    self.end_polls(&name);
                    RunningFeed {
                        declared: Some(feed.clone()),
                        function,
                        deliveries,
                        kind,
                        max_bytes,
                        ..RunningFeed::new(feed.pattern.clone())
                    }
                }
            };
            self.feeds.insert(name, running);
        }
        for (name, old) in before {
            let declaration = streams.iter().find(|stream| stream.pattern == old.pattern);
            let kind = FeedKind::of(declaration);
            let was_declared = old.declared.is_some();
            if was_declared || old.function.is_none() || old.kind != kind {
                self.end_polls(&name);
            }
            let function = old.function.clone();
            if function.is_some() {
                let kept = if was_declared { RunningFeed::new(old.pattern) } else { old };
                self.feeds.insert(name, RunningFeed { function, kind, ..kept });
            }
        }
        self.polled.values_mut().for_each(Polled::offer_again);
        self.begin_named(now);
    }

    /// Polls a function for a stream, or for each watched stream of a family.
    pub(crate) fn add_function(&mut self, now: Moment, pattern: Pattern, function: FunctionPoll) {
        let name: Arc<str> = pattern.as_str().into();
        self.end_polls(&name);
        let running = self.feeds.entry(name).or_insert_with(|| RunningFeed::new(pattern));
        running.function = Some(function);
        self.begin_named(now);
    }

    /// Polled streams that are not of a family are always polled.
    fn begin_named(&mut self, now: Moment) {
        self.turns.expect(self.feeds.values().filter(|one| one.every_ms().is_some()).count());
        let named = self
            .feeds
            .iter()
            .filter(|(_, running)| !running.pattern.is_open() && running.every_ms().is_some());
        let named: Vec<Arc<str>> = named.map(|(name, _)| Arc::clone(name)).collect();
        for name in named {
            if let Ok(stream) = StreamId::parse(&name)
                && !self.polled.contains_key(&stream)
            {
                self.begin(now, stream, name, (None, None));
            }
        }
    }

    fn begin(
        &mut self,
        now: Moment,
        stream: StreamId,
        feed: Arc<str>,
        (payer, conn): (Payer, Option<ConnId>),
    ) {
        self.due.insert((now, stream.clone()));
        self.payers.add(&payer, u64::from(payer.is_some()));
        self.polled.insert(stream, Polled::new(feed, (payer, conn), now));
    }

    fn end_polls(&mut self, feed: &str) {
        for stream in self.polled_of(feed) {
            self.end(&stream);
        }
    }

    /// The polled streams of a feed.
    pub(super) fn polled_of(&self, feed: &str) -> Vec<StreamId> {
        let polled = self.polled.iter().filter(|(_, polled)| *polled.feed == *feed);
        polled.map(|(stream, _)| stream.clone()).collect()
    }

    /// A stream is polled no more. The result of a poll under way is dropped.
    fn end(&mut self, stream: &StreamId) {
        if let Some(polled) = self.polled.remove(stream) {
            self.due.remove(&(polled.due, stream.clone()));
            let counted = polled.is_watched && polled.payer.is_some();
            self.payers.remove(&polled.payer, u64::from(counted));
            if polled.is_ready {
                self.turns.leave(&polled.feed, stream);
            }
            if polled.circuit.state() != CircuitState::Closed {
                self.count_down(&polled.feed, false);
            }
        }
    }

    /// Whether a stream of a family would begin to be polled if somebody watched it.
    pub(crate) fn would_start_polling(&self, stream: &StreamId, declaration: &Declaration) -> bool {
        let feed = || self.feeds.get(declaration.pattern.as_str());
        declaration.pattern.is_open()
            && !self.polled.get(stream).is_some_and(|polled| polled.is_watched)
            && feed().is_some_and(|running| running.every_ms().is_some())
    }

    /// Somebody watches a stream of a family, and it counts for them from now on; or nobody does
    /// any more. A watched stream is polled as soon as it is its turn. One that is not watched ends
    /// after [`POLL_LINGER_MS`] at most, because somebody may come back.
    pub(crate) fn watched(
        &mut self,
        now: Moment,
        stream: &StreamId,
        declaration: &Declaration,
        by: PolledFor,
    ) {
        if !declaration.pattern.is_open() {
            return;
        }
        let is_watched = by != PolledFor::Nobody;
        let is_elsewhere = matches!(by, PolledFor::Elsewhere(_));
        let (conn, payer) = match by {
            PolledFor::Nobody => (None, None),
            PolledFor::Here(conn, payer) => (Some(conn), payer),
            PolledFor::Elsewhere(conn) => (Some(conn), None),
        };
        if is_watched {
            self.take_reserved(stream, &payer);
        }
        match self.polled.get_mut(stream) {
            // The other thread has been faster.
            Some(polled) if is_elsewhere && polled.conn == conn && polled.is_watched => {}
            Some(polled) => {
                // A payer who takes it over may have more streams than it may begin.
                let counted = |payer: &Payer| u64::from(payer.is_some());
                if std::mem::replace(&mut polled.is_watched, is_watched) {
                    self.payers.remove(&polled.payer, counted(&polled.payer));
                }
                if is_watched {
                    self.payers.add(&payer, counted(&payer));
                    (polled.payer, polled.conn) = (payer, conn);
                }
                let soon = now.plus_millis(POLL_LINGER_MS);
                if !is_watched && soon < polled.due {
                    self.schedule(soon, stream);
                }
            }
            None => {
                if is_watched && self.would_start_polling(stream, declaration) {
                    let feed = declaration.pattern.as_str().into();
                    self.begin(now, stream.clone(), feed, (payer, conn));
                }
            }
        }
    }

    pub(super) fn schedule(&mut self, at: Moment, stream: &StreamId) {
        if let Some(polled) = self.polled.get_mut(stream) {
            self.due.remove(&(polled.due, stream.clone()));
            polled.due = at;
            if at != Moment::NEVER {
                self.due.insert((at, stream.clone()));
            }
        }
    }

    /// When the next stream is due.
    pub(crate) fn next_due(&self) -> Option<Moment> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Lets due streams wait for their turn, and ends those that nobody watches.
    fn queue_due(&mut self, now: Moment) {
        while let Some((_, stream)) = self.due.first().filter(|(at, _)| *at <= now).cloned() {
            self.schedule(Moment::NEVER, &stream);
            match self.polled.get_mut(&stream) {
                Some(polled) if !polled.is_watched => self.end(&stream),
                Some(polled) if !polled.is_ready => {
                    polled.is_ready = true;
                    self.turns.wait(&polled.feed, polled.payer.clone(), stream);
                }
                Some(_) | None => {}
            }
        }
    }

    /// The next poll that is due, if there is a thread for it.
    pub(crate) fn take_due(&mut self, now: Moment) -> Option<DuePoll> {
        self.queue_due(now);
        while let Some(stream) = self.turns.next() {
            let Some(polled) = self.polled.get_mut(&stream) else { continue };
            polled.is_ready = false;
            let Some(running) = self.feeds.get(&polled.feed) else {
                self.end(&stream);
                continue;
            };
            // `pause` or `watched` has it looked at again.
            if running.is_paused || !polled.is_watched {
                continue;
            }
            let pass = match polled.pass(now) {
                Ok(pass) => pass,
                Err(at) => {
                    self.schedule(at, &stream);
                    continue;
                }
            };
            let bytes_max = SOURCE_BYTES_MAX.max(running.max_bytes);
            match running.task(&stream) {
                Some((task, timeout_ms)) => {
                    let bounds = (timeout_ms, bytes_max);
                    return Some(DuePoll { stream, task, bounds, pass });
                }
                None => {
                    let failure = Failure::NoData("nothing can be asked for a stream of this name");
                    self.failed(now, now, &stream, &pass, &failure);
                }
            }
        }
        None
    }

    pub(crate) fn poll_started(&mut self, now: Moment, stream: &StreamId, id: JobId, pass: Pass) {
        if let Some(polled) = self.polled.get_mut(stream) {
            polled.job = Some((id, pass, now));
            self.turns.add_job(&polled.feed, id);
        }
    }

    /// A poll could not be begun.
    pub(crate) fn poll_not_started(
        &mut self,
        now: Moment,
        stream: &StreamId,
        pass: &Pass,
        failure: &Failure,
    ) {
        if let Some(polled) = self.polled.get_mut(stream) {
            polled.circuit.unused(pass);
        }
        self.failed(now, now, stream, pass, failure);
    }

    /// The result of a poll. `None` if it failed, if nobody wants it now, or if the stream refused
    /// the same data before.
    pub(crate) fn take_result(
        &mut self,
        now: Moment,
        stream: &StreamId,
        id: JobId,
        outcome: JobResult,
    ) -> Option<PollResult> {
        self.turns.over(id);
        let polled = self.polled.get_mut(stream)?;
        let (pass, begun) = polled.take_job(id)?;
        polled.polled_at = now;
        let running = self.feeds.get(&polled.feed)?;
        let (every_ms, is_programs) = (running.every_ms()?, running.function.is_some());
        let output = match outcome {
            Ok(output) => output,
            Err(failure) => {
                self.failed(now, begun, stream, &pass, &failure);
                return None;
            }
        };
        let feed = Arc::clone(&polled.feed);
        if polled.circuit.succeeded(&pass) {
            log::info!("the source of {stream} answers again");
            self.count_down(&feed, false);
        }
        self.reschedule(begun.plus_millis(every_ms).max(now), now, stream);
        let polled = self.polled.get_mut(stream)?;
        // Data that nobody wants now are compared when they come again.
        if !polled.is_watched || self.feeds.get(&feed).is_none_or(|running| running.is_paused) {
            return None;
        }
        match output {
            JobOutput::Data(data) if polled.has_changed(&data, id) => {
                Some(PollResult::Fresh { data, is_programs })
            }
            JobOutput::Data(_) | JobOutput::Nothing | JobOutput::Answer { .. } => {
                (!polled.is_refused).then_some(PollResult::Same)
            }
        }
    }

    fn failed(
        &mut self,
        now: Moment,
        begun: Moment,
        stream: &StreamId,
        pass: &Pass,
        failure: &Failure,
    ) {
        let Some(polled) = self.polled.get_mut(stream) else { return };
        let has_opened = polled.failed(pass, failure, now, self.settings);
        let feed = Arc::clone(&polled.feed);
        let Some(running) = self.feeds.get_mut(&feed) else { return };
        running.failures += 1;
        running.last_error = Some(failure.to_string().into());
        let every_ms = running.every_ms().unwrap_or_default();
        let at = if has_opened {
            let open_ms = self.settings.open_ms;
            if pass.is_trial {
                log::debug!("the source of {stream} still fails: {failure}");
            } else {
                log::warn!("the source of {stream} is left alone for {open_ms} ms: {failure}");
                self.count_down(&feed, true);
            }
            now.plus_millis(open_ms)
        } else {
            begun.plus_millis(every_ms).max(now.plus_millis(1))
        };
        self.reschedule(at, now, stream);
    }

    /// Looks at a stream again at this time, or earlier if nobody watches it.
    fn reschedule(&mut self, at: Moment, now: Moment, stream: &StreamId) {
        let is_watched = self.polled.get(stream).is_some_and(|polled| polled.is_watched);
        let at = if is_watched { at } else { at.min(now.plus_millis(POLL_LINGER_MS)) };
        self.schedule(at, stream);
    }

    fn count_down(&mut self, feed: &Arc<str>, is_down: bool) {
        let count = self.down.entry(Arc::clone(feed)).or_insert(0);
        *count = if is_down { *count + 1 } else { count.saturating_sub(1) };
        if *count == 0 {
            self.down.remove(feed);
        }
    }

    /// Whether the source of a stream is paused.
    pub(crate) fn is_paused(&self, name: &str) -> bool {
        self.feeds.get(name).is_some_and(|running| running.is_paused)
    }

    /// A stream refused a job's data; it may take them `later`.
    pub(crate) fn refuse(&mut self, stream: &StreamId, id: JobId, later: bool) {
        if let Some(polled) = self.polled.get_mut(stream) {
            polled.refuse(id, later);
        }
    }

    /// A stream refused data of its source.
    pub(crate) fn note_refused(&mut self, name: &str, why: &str) {
        if let Some(running) = self.feeds.get_mut(name) {
            running.refused += 1;
            running.last_error = Some(why.into());
        }
    }
}

#[cfg(test)]
mod tests;
