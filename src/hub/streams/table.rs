//! The table of streams and of each connection's subscriptions.

use super::holdings::{Holdings, StreamHolding};
use super::publish::read;
use super::stream::{Stream, StreamIx, Subscription};
use crate::base::declaration::{Declaration, declared};
use crate::base::{
    Chance, ConnId, Effects, Limits, Moment, Notice, Now, Refusal, RefusalCode, SeededHash,
    StreamId, StreamRights, StreamState, Timestamp, Tree,
};
use slab::Slab;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

/// The part of the configuration that the streams use.
#[derive(Clone, Debug)]
pub struct StreamSettings {
    /// The declarations, in the order in which a name is looked up.
    pub declarations: Vec<Arc<Declaration>>,
    /// Parses valid JSON. An argument, so that the hub depends on no library.
    pub read_json: fn(&str) -> Option<Tree>,
    pub(super) limits: Limits,
    /// How many of them are the server's own, which count towards no limit.
    own: usize,
}

impl StreamSettings {
    /// These declarations, with the bounds of `limits`.
    #[must_use]
    pub fn new(
        declarations: Vec<Arc<Declaration>>,
        read_json: fn(&str) -> Option<Tree>,
        limits: &Limits,
    ) -> StreamSettings {
        let own = declarations.iter().filter(|one| one.is_of_server()).count();
        StreamSettings { declarations, read_json, limits: limits.clone(), own }
    }
}

/// The streams that a connection watches.
#[derive(Debug, Default)]
pub(super) struct WatchedStreams {
    pub(super) streams: BTreeSet<StreamIx>,
    /// Streams whose events did not fit its outbox, to be fed when it has drained.
    pub(super) behind: VecDeque<StreamIx>,
    pub(super) filters: usize,
    /// It waits for its turn to scan missed events.
    pub(super) waits_to_scan: bool,
    /// Bytes of events scanned for its filters and not yet reported.
    pub(super) scanned: usize,
}

/// The length of an epoch.
const EPOCH_LEN: usize = 16;

/// All streams and their subscriptions.
#[derive(Debug)]
pub struct Streams {
    pub(in crate::hub) settings: StreamSettings,
    pub(super) chance: Chance,
    pub(super) streams: Slab<Stream>,
    pub(super) holdings: Holdings,
    /// Epoch and newest number of durable streams that are no longer declared. They may be declared
    /// again, and no number may be used twice.
    pub(super) dormant: BTreeMap<StreamId, (Arc<str>, u64)>,
    /// Events of each durable stream in flight.
    pub(super) in_flight: BTreeMap<StreamId, usize>,
    /// In the order of lists.
    pub(super) by_name: BTreeMap<StreamId, StreamIx>,
    pub(super) watched: HashMap<ConnId, WatchedStreams, SeededHash>,
    /// Subscriptions of all connections together.
    pub(super) subscriptions: usize,
    /// Subscriptions held back by their rate, and until when.
    pub(super) due: BTreeSet<(Moment, ConnId, StreamIx)>,
    /// When to check which stream's age.
    pub(super) stale_due: BTreeSet<(Moment, StreamIx)>,
    /// Events dropped for their bytes.
    pub(super) cut_events: u64,
}

impl Streams {
    /// The streams declared by name, each with its own epoch, and those of the store.
    #[must_use]
    pub(in crate::hub) fn new(
        settings: StreamSettings,
        stored: Vec<StreamState>,
        seed: u64,
    ) -> Streams {
        let mut chance = Chance::new(seed);
        let hash = SeededHash::new(chance.next_u64());
        let mut streams = Streams {
            settings,
            chance,
            streams: Slab::new(),
            holdings: Holdings::default(),
            dormant: BTreeMap::new(),
            in_flight: BTreeMap::new(),
            by_name: BTreeMap::new(),
            watched: HashMap::with_hasher(hash),
            subscriptions: 0,
            due: BTreeSet::new(),
            stale_due: BTreeSet::new(),
            cut_events: 0,
        };
        for state in stored {
            streams.restore(state);
        }
        streams.add_named();
        streams
    }

    fn add_named(&mut self) {
        for declaration in self.settings.declarations.clone() {
            if !declaration.pattern.is_open()
                && let Ok(name) = StreamId::parse(declaration.pattern.as_str())
                && !self.by_name.contains_key(&name)
            {
                let ix = self.add(name, declaration);
                self.count(ix, None);
            }
        }
    }

    /// Applies the current declarations. A stream ends, with all kept events, if it is no longer
    /// declared, or changed between JSON and bytes, or between memory and durable. Its subscribers
    /// are told.
    pub(in crate::hub) fn redeclare(&mut self, effects: &mut Effects) {
        let all: Vec<StreamIx> = self.streams.iter().map(|(ix, _)| StreamIx(ix as u32)).collect();
        for ix in all {
            let Some(stream) = self.streams.get_mut(ix.0 as usize) else { continue };
            let found = declared(&self.settings.declarations, stream.name.as_str());
            match found {
                Some(found)
                    if found.binary == stream.declaration.binary
                        && found.durable == stream.declaration.durable =>
                {
                    stream.declaration = Arc::clone(found);
                    stream.apply_rates();
                    self.cut_events += stream.trim(self.settings.limits.stream_bytes as usize);
                    let newest = stream.newest().filter(|_| !stream.filters.is_empty());
                    let tree =
                        newest.and_then(|newest| read(&newest.data, self.settings.read_json));
                    stream.recompute_passed(tree.as_ref());
                    self.touch(effects.now.moment, ix);
                    self.apply_age_limit(ix, effects);
                    // A new source does not know the payer yet.
                    let stream = &mut self.streams[ix];
                    stream.payer = stream.next_payer();
                    if stream.payer.is_some() {
                        stream.tell_payer(effects);
                    }
                }
                Some(_) | None => {
                    let conns: Vec<ConnId> = stream.subscribers.keys().copied().collect();
                    let streams = vec![stream.name.clone()];
                    // No subscriber becomes the payer while the others are removed.
                    for &conn in &conns {
                        self.end_only(conn, ix, effects);
                    }
                    self.streams[ix].settle_payer(effects);
                    let message =
                        "these streams are no longer declared, or are declared differently";
                    effects.deliver(Notice::Unsubscribed { streams, message }, conns);
                    self.forget(ix);
                }
            }
        }
        self.add_named();
        self.shrink_to(self.settings.limits.all_streams_bytes, None);
    }

    /// The time of the newest event of each declaration; for a family, of any of its streams. The
    /// server's own are left out.
    #[must_use]
    pub fn newest_times(&self) -> BTreeMap<&str, Timestamp> {
        let mut times = BTreeMap::new();
        for (_, stream) in &self.streams {
            if let Some(newest) = stream.newest().filter(|_| !stream.declaration.is_of_server()) {
                let time = times.entry(stream.declaration.pattern.as_str()).or_insert(newest.ts);
                *time = newest.ts.max(*time);
            }
        }
        times
    }

    /// How many events were dropped for their bytes.
    #[must_use]
    pub fn cut_events(&self) -> u64 {
        self.cut_events
    }

    /// How many streams there are, and how many subscriptions.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        (self.len(), self.subscriptions)
    }

    /// How many streams there are, without the server's own.
    pub(super) fn len(&self) -> usize {
        self.streams.len().saturating_sub(self.settings.own)
    }

    /// How many streams stay and cannot be displaced, and the bytes of all kept events.
    #[must_use]
    pub fn pinned(&self) -> (usize, usize) {
        self.holdings.pinned()
    }

    /// The epoch of a stream that exists, or will continue on demand.
    #[must_use]
    pub fn epoch(&self, name: &StreamId) -> Option<&Arc<str>> {
        match self.by_name.get(name) {
            Some(ix) => Some(&self.streams[*ix].epoch),
            None => self.dormant.get(name).map(|(epoch, _)| epoch),
        }
    }

    /// The declaration for a stream of this name.
    #[must_use]
    pub fn declaration(&self, name: &StreamId) -> Option<&Arc<Declaration>> {
        if let Some(ix) = self.by_name.get(name) {
            return Some(&self.streams[*ix].declaration);
        }
        declared(&self.settings.declarations, name.as_str())
    }

    /// The declaration for a stream of this name, for whoever wants to watch it.
    pub(super) fn to_watch(
        &self,
        name: &StreamId,
        rights: &StreamRights,
    ) -> Result<&Arc<Declaration>, Refusal> {
        let declaration = self.declaration(name).ok_or(NO_SUCH_STREAM)?;
        match rights.may_watch(declaration, name.as_str()) {
            true => Ok(declaration),
            false => Err(FORBIDDEN),
        }
    }

    /// The declaration for a stream of this name, for a client that wants to publish to it.
    ///
    /// # Errors
    /// `no_such_stream`; `forbidden` without the right.
    pub fn to_publish(
        &self,
        name: &StreamId,
        rights: &StreamRights,
    ) -> Result<&Declaration, Refusal> {
        let declaration = self.declaration(name).ok_or(NO_SUCH_STREAM)?;
        if rights.may_publish(declaration, name.as_str()) {
            return Ok(declaration);
        }
        // A client that may not watch it does not learn that it exists.
        Err(if rights.may_watch(declaration, name.as_str()) {
            Refusal::new(RefusalCode::Forbidden, "you may not publish to this stream")
        } else {
            FORBIDDEN
        })
    }

    /// By how many bytes a publication makes a durable stream grow on disk: what it has more than
    /// the oldest event, if it replaces that one; `None` if no more. If memory lacks events that
    /// are on disk, the oldest one's size is unknown, and all `bytes` count.
    #[must_use]
    pub fn grows_on_disk_by(
        &self,
        name: &StreamId,
        rights: &StreamRights,
        bytes: usize,
    ) -> Option<usize> {
        self.to_publish(name, rights).ok().filter(|declaration| declaration.durable)?;
        // Publications in flight replace the first ones.
        let before = self.in_flight.get(name).copied().unwrap_or(0);
        let replaces = self.ix(name).and_then(|ix| self.streams[ix].replaces(before));
        match replaces {
            Some(oldest) if oldest.data.len() >= bytes => None,
            Some(oldest) => Some(bytes - oldest.data.len()),
            None => Some(bytes),
        }
    }

    pub(super) fn ix(&self, name: &StreamId) -> Option<StreamIx> {
        self.by_name.get(name).copied()
    }

    /// Nothing came of obtaining a stream.
    pub(super) fn release(&mut self, now: Now, ix: StreamIx) {
        // A request may name a stream twice.
        let Some(stream) = self.streams.get_mut(ix.0 as usize) else { return };
        stream.is_obtained = false;
        self.touch(now.moment, ix);
        self.forget_if_empty(ix);
    }

    pub(super) fn add(&mut self, name: StreamId, declaration: Arc<Declaration>) -> StreamIx {
        let is_durable = declaration.durable;
        let epoch = self.chance.word(EPOCH_LEN).into();
        let mut stream = Stream::new(name.clone(), declaration, epoch);
        // What it had is read at the next start; its numbers go on.
        if is_durable && let Some((epoch, head)) = self.dormant.remove(&name) {
            stream.epoch = epoch;
            stream.head = head;
        }
        let ix = StreamIx(self.streams.insert(stream) as u32);
        self.by_name.insert(name, ix);
        ix
    }

    /// A stream was used. If it is not pinned, it is idle from now on.
    pub(super) fn touch(&mut self, now: Moment, ix: StreamIx) {
        let stream = &self.streams[ix];
        let stays = !stream.declaration.pattern.is_open()
            || stream.is_obtained
            || !stream.subscribers.is_empty()
            || self.is_stored(stream);
        self.count(ix, (!stays).then_some(now));
    }

    /// Counts a stream among the holdings. Those of the server are in none: their own bounds hold.
    pub(super) fn count(&mut self, ix: StreamIx, idle_since: Option<Moment>) {
        if self.streams[ix].declaration.is_of_server() {
            return;
        }
        let is_stored = self.is_stored(&self.streams[ix]);
        let stream = &mut self.streams[ix];
        let is_for_watchers = stream.declaration.pattern.is_open() && !is_stored;
        let held = StreamHolding {
            made_by: stream.made_by,
            filled_by: stream.filled_by,
            bytes: stream.bytes() - stream.passed_bytes(),
            passed_bytes: stream.passed_bytes(),
            fixed: stream.fixed_bytes(),
            is_stored,
            is_for_watchers,
            idle_since,
        };
        let before = stream.held.replace(held);
        self.holdings.settle(ix, before, stream.held);
        if before.is_some_and(|before| before.is_for_watchers != is_for_watchers) {
            for subscription in stream.subscribers.values() {
                match is_for_watchers {
                    true => self.holdings.watch(subscription.holder, ix),
                    false => self.holdings.unwatch(subscription.holder, ix),
                }
            }
            self.count_watchers(ix);
        }
    }

    /// Forgets a stream that nobody watches and that has no events.
    pub(super) fn forget_if_empty(&mut self, ix: StreamIx) {
        let stream = &self.streams[ix];
        if stream.head == 0 && stream.is_idle() {
            self.forget(ix);
        }
    }

    pub(super) fn forget(&mut self, ix: StreamIx) {
        self.forget_age(ix);
        let stream = self.streams.remove(ix.0 as usize);
        self.holdings.settle(ix, stream.held, None);
        self.by_name.remove(&stream.name);
        if self.is_stored(&stream) {
            self.dormant.insert(stream.name, (stream.epoch, stream.head));
        }
    }

    pub(super) fn subscription(&mut self, conn: ConnId, ix: StreamIx) -> Option<&mut Subscription> {
        self.streams.get_mut(ix.0 as usize)?.subscribers.get_mut(&conn)
    }

    /// For a census: subscriptions, and other state kept for them.
    pub(in crate::hub) fn census(&self) -> (usize, usize) {
        let subscriptions = self.streams.iter().map(|(_, stream)| stream.subscribers.len()).sum();
        let filters: usize = self.streams.iter().map(|(_, stream)| stream.filters.len()).sum();
        let due = self.due.len() + self.stale_due.len();
        (subscriptions, filters + self.watched.len() + self.holdings.watches() + due)
    }
}

pub(crate) const NO_SUCH_STREAM: Refusal =
    Refusal::new(RefusalCode::NoSuchStream, "there is no such stream");
const FORBIDDEN: Refusal = Refusal::new(RefusalCode::Forbidden, "you may not watch this stream");
