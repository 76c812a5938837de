//! Which due poll is next.

use crate::backend::{FairQueue, JobId, QueueBounds};
use crate::base::rates::Payer;
use crate::base::{Moment, Shares, StreamId};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Streams whose poll is due. Declarations take turns, within a declaration its payers, and of each
/// payer its streams.
#[derive(Debug)]
pub(super) struct Turns {
    waiting: BTreeMap<Arc<str>, FairQueue<Payer, StreamId>>,
    /// Declarations with waiting streams, in the order of their turns.
    feeds: VecDeque<Arc<str>>,
    /// The polls under way, and their declarations.
    jobs: BTreeMap<JobId, Arc<str>>,
    under_way: Shares<Arc<str>>,
    threads: u64,
    /// How many declarations are polled.
    known: u64,
}

impl Turns {
    pub(super) fn new(threads: u32) -> Turns {
        Turns {
            waiting: BTreeMap::new(),
            feeds: VecDeque::new(),
            jobs: BTreeMap::new(),
            under_way: Shares::default(),
            threads: threads.into(),
            known: 0,
        }
    }

    /// A stream's poll is due. `limits.streams` bounds how many wait.
    pub(super) fn wait(&mut self, feed: &Arc<str>, payer: Payer, stream: StreamId) {
        let line = self.waiting.entry(Arc::clone(feed)).or_default();
        if line.is_empty() {
            self.feeds.push_back(Arc::clone(feed));
        }
        let ample = QueueBounds { len: usize::MAX, bytes: usize::MAX };
        let _nobody_goes_for_it = line.push(payer, (stream, 0), Moment::NEVER, ample);
    }

    /// The next stream to poll, if there is a thread for it.
    pub(super) fn next(&mut self) -> Option<StreamId> {
        let place = self.feeds.iter().position(|feed| self.has_thread(feed))?;
        let feed = self.feeds.remove(place)?;
        let line = self.waiting.get_mut(&feed)?;
        let stream = line.pop();
        if line.is_empty() {
            self.waiting.remove(&feed);
        } else {
            self.feeds.push_back(feed);
        }
        stream
    }

    /// Whether there is a thread for a declaration. One that has threads leaves one for each other
    /// declaration that has none, up to half of all threads. So slow polls do not hold all threads
    /// when the others' turn comes.
    fn has_thread(&self, feed: &Arc<str>) -> bool {
        let free = self.threads.saturating_sub(self.under_way.total());
        if self.under_way.of(feed) == 0 {
            return free > 0;
        }
        let kept =
            (self.known.saturating_sub(self.under_way.holders() as u64)).min(self.threads / 2);
        free > kept
    }

    /// Sets how many declarations are polled.
    pub(super) fn expect(&mut self, feeds: usize) {
        self.known = feeds as u64;
    }

    /// A stream does not wait any more.
    pub(super) fn leave(&mut self, feed: &str, stream: &StreamId) {
        let Some(line) = self.waiting.get_mut(feed) else { return };
        line.forget(|one| one == stream);
        if line.is_empty() {
            self.waiting.remove(feed);
            self.feeds.retain(|one| **one != *feed);
        }
    }

    pub(super) fn add_job(&mut self, feed: &Arc<str>, id: JobId) {
        self.jobs.insert(id, Arc::clone(feed));
        self.under_way.add(feed, 1);
    }

    pub(super) fn over(&mut self, id: JobId) {
        if let Some(feed) = self.jobs.remove(&id) {
            self.under_way.remove(&feed, 1);
        }
    }

    pub(super) fn under_way(&self) -> usize {
        self.jobs.len()
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.values().map(FairQueue::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Any number of other declarations have many streams polled without a pause, and slowly. A
        /// declaration with one stream is polled at least half as often as would be fair.
        #[test]
        fn a_modest_declaration_has_half_of_a_fair_share(
            threads in 1u32..12,
            greedy in 1usize..6,
            takes in prop::collection::vec(20u64..400, 64),
        ) {
            const END: u64 = 40_000;
            const STEP: u64 = 10;
            let feeds: Vec<Arc<str>> = (0..=greedy).map(|at| format!("f{at}").into()).collect();
            let mut turns = Turns::new(threads);
            turns.expect(feeds.len());
            // Each greedy declaration has many streams, the modest one has one.
            let streams = |feed: usize| if feed == greedy { 1 } else { 40 };
            let name = |feed: usize, at: usize| StreamId::parse(&format!("s{feed}-{at}")).unwrap();
            for (number, feed) in feeds.iter().enumerate() {
                for at in 0..streams(number) {
                    turns.wait(feed, None, name(number, at));
                }
            }
            let (mut under_way, mut polled) = (Vec::<(u64, JobId, StreamId)>::new(), [0u64; 2]);
            for now in (0..END).step_by(STEP as usize) {
                for (until, id, stream) in std::mem::take(&mut under_way) {
                    if until > now {
                        under_way.push((until, id, stream));
                        continue;
                    }
                    turns.over(id);
                    let feed: usize = stream.as_str()[1..].split('-').next().unwrap().parse().unwrap();
                    turns.wait(&feeds[feed], None, stream);
                }
                while let Some(stream) = turns.next() {
                    let all: u64 = polled.iter().sum();
                    let feed: usize = stream.as_str()[1..].split('-').next().unwrap().parse().unwrap();
                    polled[usize::from(feed == greedy)] += 1;
                    turns.add_job(&feeds[feed], JobId::of_test(all));
                    let takes = takes[all as usize % takes.len()];
                    under_way.push((now + takes, JobId::of_test(all), stream));
                }
                prop_assert_eq!(under_way.len(), turns.under_way());
            }
            // One stream has one poll at a time, so it can use only one thread.
            let mean = takes.iter().sum::<u64>() as f64 / takes.len() as f64;
            let places = (f64::from(threads) / feeds.len() as f64).min(1.0);
            let fair = END as f64 / mean * places;
            let had = polled[1] as f64;
            prop_assert!(had >= fair / 2.0 * 0.9, "{had} of {fair}: {threads} threads, {greedy} others");
        }
    }
}
