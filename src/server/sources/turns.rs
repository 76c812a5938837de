//! Whose poll is next, of those that are due.

use crate::base::{Moment, Shares, StreamId};
use crate::server::backend::{JobId, Line, Room};
use crate::server::rates::Asker;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// For whom a stream is polled: a user or guests of an address; nobody for one that is polled anyway.
pub(super) type Payer = Option<Asker>;

/// Streams whose poll is due: declarations take turns, within one those for whom it is polled, of each their streams.
#[derive(Debug)]
pub(super) struct Turns {
    waiting: BTreeMap<Arc<str>, Line<Payer, StreamId>>,
    /// Declarations of which streams wait, in the order of their turns.
    feeds: VecDeque<Arc<str>>,
    /// What is polled now, and for which declaration.
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

    /// A stream's poll is due. There are no more that wait than are polled (`limits.streams`).
    pub(super) fn wait(&mut self, feed: &Arc<str>, payer: Payer, stream: StreamId) {
        let line = self.waiting.entry(Arc::clone(feed)).or_default();
        if line.is_empty() {
            self.feeds.push_back(Arc::clone(feed));
        }
        let ample = Room { len: usize::MAX, bytes: usize::MAX };
        let _nobody_goes_for_it = line.push(payer, (stream, 0), Moment::NEVER, ample);
    }

    /// The next whose turn it is, if there is a thread for it.
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

    /// Whether there is a thread for a declaration: one that has some leaves one for each other of which nothing is
    /// polled now, up to half of all. So what takes long has not all of them when the others' turn comes.
    fn has_thread(&self, feed: &Arc<str>) -> bool {
        let free = self.threads.saturating_sub(self.under_way.total());
        if self.under_way.of(feed) == 0 {
            return free > 0;
        }
        let kept =
            (self.known.saturating_sub(self.under_way.holders() as u64)).min(self.threads / 2);
        free > kept
    }

    /// So many declarations are polled.
    pub(super) fn expect(&mut self, feeds: usize) {
        self.known = feeds as u64;
    }

    /// A stream waits no more.
    pub(super) fn leave(&mut self, feed: &str, stream: &StreamId) {
        let Some(line) = self.waiting.get_mut(feed) else { return };
        line.forget(|one| one == stream);
        if line.is_empty() {
            self.waiting.remove(feed);
            self.feeds.retain(|one| **one != *feed);
        }
    }

    pub(super) fn began(&mut self, feed: &Arc<str>, id: JobId) {
        self.jobs.insert(id, Arc::clone(feed));
        self.under_way.add(feed, 1);
    }

    pub(super) fn over(&mut self, id: JobId) {
        if let Some(feed) = self.jobs.remove(&id) {
            self.under_way.remove(&feed, 1);
        }
    }

    /// How many are polled now.
    pub(super) fn under_way(&self) -> usize {
        self.jobs.len()
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.values().map(Line::len).sum()
    }
}
