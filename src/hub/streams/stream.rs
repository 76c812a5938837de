//! One stream: its kept events and its subscribers.

use super::holdings::{Evictable, Holder, StreamHolding};
use super::rate::EventRate;
use super::stale::LastHeard;
use crate::base::declaration::{Declaration, Keep};
use crate::base::filter::Filter;
use crate::base::subscription::Form;
use crate::base::table::index_in_slab;
use crate::base::{
    ConnId, Data, Effect, Effects, Moment, PublicationId, StreamEvent, StreamId, Timestamp, Tree,
};
use slab::Slab;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

index_in_slab!(pub(super) StreamIx, Stream);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FilterIx(pub(super) usize);

/// At most this many subscribers are searched for another connection of the payer.
const PAYERS_SEARCHED_MAX: usize = 256;

/// A stream.
///
/// Invariant: the kept events are those after `head - events.len()`, without a gap.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) name: StreamId,
    pub(super) declaration: Arc<Declaration>,
    pub(super) epoch: Arc<str>,
    pub(super) head: u64,
    /// The time of the newest event, even if it is not kept: times do not go back.
    newest_ts: Timestamp,
    events: VecDeque<Arc<StreamEvent>>,
    /// Kept events with a publisher's id. For a durable stream the store knows the ids.
    published: BTreeMap<Arc<PublicationId>, u64>,
    bytes: usize,
    /// Bytes of events that are kept only for filters.
    passed_bytes: usize,
    pub(super) filters: Slab<SharedFilter>,
    pub(super) subscribers: BTreeMap<ConnId, Subscription>,
    /// The connection for which it is polled, and its holder, if it may be polled and is watched.
    pub(super) payer: Option<(ConnId, Holder)>,
    /// Who published its first event since the start, and whether anybody has.
    pub(super) made_by: Holder,
    pub(super) is_begun: bool,
    pub(super) filled_by: Holder,
    /// Somebody is about to watch it or to publish to it.
    pub(super) is_obtained: bool,
    /// How it is counted.
    pub(super) held: Option<StreamHolding>,
    /// How it is counted as one that may be taken.
    pub(super) evictable: Option<Evictable>,
    pub(super) last_heard: Option<LastHeard>,
    /// Nothing was heard of it for longer than it declares.
    pub(super) is_stale: bool,
    /// When to check whether it is stale; also in the table's `stale_due`.
    pub(super) stale_due: Option<Moment>,
}

#[derive(Debug)]
pub(super) struct SharedFilter {
    pub(super) filter: Arc<Filter>,
    pub(super) users: usize,
    /// For whom it counts: whoever used it first, or another who has it.
    pub(super) made_by: Holder,
    /// Of a state, the newest event that passes. A later one that does not pass becomes the state,
    /// but subscribers held back by a rate or reading slowly still receive this one.
    pub(super) newest: Option<Arc<StreamEvent>>,
}

#[derive(Debug)]
pub(super) struct Subscription {
    pub(super) holder: Holder,
    pub(super) form: Form,
    pub(super) filter: Option<FilterIx>,
    /// The rate that the client asked for; the declaration bounds it.
    pub(super) asked_rate: Option<u32>,
    pub(super) rate: Option<EventRate>,
    /// Up to where it was searched; live at the head.
    pub(super) position: u64,
    pub(super) sent: u64,
    pub(super) acked: u64,
    /// When its rate allows the next event; also in the table's `due`.
    pub(super) due: Option<Moment>,
    /// A notice of the stream's age is still to be sent.
    pub(super) owes_age: bool,
}

impl Stream {
    pub(super) fn new(name: StreamId, declaration: Arc<Declaration>, epoch: Arc<str>) -> Stream {
        Stream {
            name,
            declaration,
            epoch,
            head: 0,
            newest_ts: Timestamp(i64::MIN),
            events: VecDeque::new(),
            published: BTreeMap::new(),
            bytes: 0,
            passed_bytes: 0,
            filters: Slab::new(),
            subscribers: BTreeMap::new(),
            payer: None,
            made_by: None,
            is_begun: false,
            filled_by: None,
            is_obtained: false,
            held: None,
            evictable: None,
            last_heard: None,
            is_stale: false,
            stale_due: None,
        }
    }

    /// Applies the rates declared now. A subscriber whose rate is unchanged keeps its place in time.
    pub(super) fn apply_rates(&mut self) {
        for subscription in self.subscribers.values_mut() {
            let rate = self.declaration.rate(subscription.asked_rate).map(EventRate::new);
            let interval_us = |rate: Option<EventRate>| rate.map(EventRate::interval_us);
            if interval_us(rate) != interval_us(subscription.rate) {
                subscription.rate = rate;
            }
        }
    }

    /// Continues from the head of the store's log, with the events read from it.
    pub(super) fn restore_log(&mut self, head: u64, events: Vec<StreamEvent>, bytes_max: usize) {
        self.head = head;
        self.newest_ts = events.last().map_or(self.newest_ts, |newest| newest.ts);
        let ids = events.iter().filter_map(|event| Some((event.id.clone()?, event.seq)));
        self.published = ids.collect();
        self.events = events.into_iter().map(Arc::new).collect();
        self.bytes = self.events.iter().map(|event| event.bytes()).sum();
        self.trim(bytes_max);
    }

    /// Skips a number whose event nobody receives.
    pub(super) fn skip_number(&mut self, seq: u64) {
        let before = std::mem::replace(&mut self.head, seq);
        self.events.clear();
        self.published.clear();
        self.bytes = 0;
        self.forget_passed();
        let subscriptions = self.subscribers.values_mut();
        for live in subscriptions.filter(|subscription| subscription.position == before) {
            live.position = seq;
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes + self.passed_bytes
    }

    /// The part of these that is kept only for filters.
    pub(super) fn passed_bytes(&self) -> usize {
        self.passed_bytes
    }

    /// Whether nobody watches it and it may be dropped.
    pub(super) fn is_idle(&self) -> bool {
        self.held.is_some_and(|held| held.idle_since.is_some())
    }

    /// Whether it outlives its watchers: it is stored, or declared by name.
    pub(super) fn is_permanent(&self) -> bool {
        self.declaration.is_permanent()
    }

    /// Bytes never dropped for others: its newest event's, if it is for good.
    pub(super) fn fixed_bytes(&self) -> usize {
        let newest = self.newest().filter(|_| self.is_permanent());
        newest.map_or(0, |newest| newest.bytes())
    }

    /// Whether its watchers hold it: it belongs to a family and is not stored.
    pub(super) fn is_for_watchers(&self) -> bool {
        self.held.is_some_and(|held| held.is_for_watchers)
    }

    pub(super) fn is_state(&self) -> bool {
        self.declaration.keep == Keep::Latest
    }

    /// The next event after `position`: of a state the newest that passes the filter, of a log the
    /// next.
    pub(super) fn next_for(
        &self,
        position: u64,
        filter: Option<FilterIx>,
    ) -> Option<&Arc<StreamEvent>> {
        if !self.is_state() {
            return self.after(position);
        }
        let newest = match filter {
            None => self.newest(),
            Some(FilterIx(ix)) => self.filters.get(ix)?.newest.as_ref(),
        };
        newest.filter(|event| event.seq > position)
    }

    /// Records which filters a state's newest event passes. Returns how many events were dropped
    /// because those for filters no longer fit `bytes_max`.
    pub(super) fn note_passed(&mut self, passes: &[bool], bytes_max: usize) -> u64 {
        let Some(newest) = self.newest().filter(|_| self.is_state()).cloned() else { return 0 };
        for (ix, shared) in &mut self.filters {
            if passes[ix] {
                shared.newest = Some(Arc::clone(&newest));
            }
        }
        self.count_passed();
        if self.bytes() <= bytes_max { 0 } else { self.forget_passed() }
    }

    /// Drops the events kept only for filters, and returns how many.
    pub(super) fn forget_passed(&mut self) -> u64 {
        let first = self.first();
        let mut gone = 0;
        for (_, shared) in &mut self.filters {
            gone += u64::from(shared.newest.take_if(|event| event.seq < first).is_some());
        }
        self.passed_bytes = 0;
        gone
    }

    fn count_passed(&mut self) {
        let first = self.first();
        let passed = self.filters.iter().filter_map(|(_, shared)| shared.newest.as_ref());
        let older: BTreeMap<u64, usize> = passed
            .filter(|event| event.seq < first)
            .map(|event| (event.seq, event.bytes()))
            .collect();
        self.passed_bytes = older.values().sum();
    }

    /// The oldest kept event; beyond the head if there is none.
    pub(super) fn first(&self) -> u64 {
        self.head + 1 - self.events.len() as u64
    }

    pub(super) fn newest(&self) -> Option<&Arc<StreamEvent>> {
        self.events.back()
    }

    /// The first kept event after `seq`.
    pub(super) fn after(&self, seq: u64) -> Option<&Arc<StreamEvent>> {
        let skip = (seq + 1).saturating_sub(self.first());
        self.events.get(usize::try_from(skip).ok()?)
    }

    /// The event that was published with this id, if it is kept.
    pub(super) fn published(&self, id: &Arc<PublicationId>) -> Option<&Arc<StreamEvent>> {
        self.after(self.published.get(id)? - 1)
    }

    pub(super) fn newest_first(&self) -> impl Iterator<Item = &Arc<StreamEvent>> {
        self.events.iter().rev()
    }

    /// Adds an event and drops those that are too many. Returns how many were dropped for their
    /// bytes.
    pub(super) fn append(
        &mut self,
        ts: Timestamp,
        data: Data,
        id: Option<Arc<PublicationId>>,
        bytes_max: usize,
    ) -> (Arc<StreamEvent>, u64) {
        let ts = self.newest_ts.max(ts);
        self.newest_ts = ts;
        self.head += 1;
        if let Some(id) = &id {
            self.published.insert(Arc::clone(id), self.head);
        }
        let event = Arc::new(StreamEvent { seq: self.head, ts, data, id });
        self.bytes += event.bytes();
        self.events.push_back(Arc::clone(&event));
        let cut = self.trim(bytes_max);
        (event, cut)
    }

    /// The event that another one replaces, after `before` others, if the stream is full.
    pub(super) fn replaces(&self, before: usize) -> Option<&StreamEvent> {
        let is_full = self.events.len() >= self.declaration.keep.events();
        self.events.get(before).filter(|_| is_full).map(|oldest| &**oldest)
    }

    /// By how many bytes an event of `bytes` makes it grow in memory.
    pub(super) fn growth(&self, bytes: usize, bytes_max: usize) -> usize {
        let is_full = self.events.len() >= self.declaration.keep.events()
            || self.bytes.saturating_add(bytes) > bytes_max;
        let oldest = self.events.front().filter(|_| is_full).map_or(0, |oldest| oldest.bytes());
        bytes.saturating_sub(oldest)
    }

    /// Drops the events that are too many. Returns how many were dropped for their bytes.
    pub(super) fn trim(&mut self, bytes_max: usize) -> u64 {
        let mut cut = 0;
        loop {
            let are_too_many = self.events.len() > self.declaration.keep.events();
            if !are_too_many && (self.bytes() <= bytes_max || self.events.len() <= 1) {
                return cut;
            }
            cut += u64::from(!are_too_many);
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        let Some(oldest) = self.events.pop_front() else { return };
        self.bytes -= oldest.bytes();
        if let Some(id) = &oldest.id {
            self.published.remove(id);
        }
    }

    /// Whether it may have a filter, which a connection of somebody asks for, of `max` of all: nobody has more than are
    /// free, but whoever alone has one may have another for it.
    pub(super) fn may_filter(
        &self,
        filter: &Filter,
        (conn, holder): (ConnId, Holder),
        max: usize,
    ) -> bool {
        let free = max.saturating_sub(self.filters.len());
        let is_own = |known: &SharedFilter| holder.is_some() && known.made_by == holder;
        let before = self.subscribers.get(&conn).and_then(|before| before.filter);
        let before = before.and_then(|FilterIx(ix)| self.filters.get(ix));
        before.is_some_and(|before| before.users == 1 && is_own(before))
            || self.filters.iter().any(|(_, known)| *known.filter == *filter)
            || self.filters.iter().filter(|(_, known)| is_own(known)).count() < free
    }

    /// Drops at least `bytes` bytes, but keeps the newest `least` events. Returns how many events
    /// were dropped.
    pub(super) fn shrink(&mut self, bytes: usize, least: usize) -> u64 {
        let most = self.bytes().saturating_sub(bytes);
        let mut gone = self.forget_passed();
        while self.bytes() > most && self.events.len() > least {
            self.drop_oldest();
            gone += 1;
        }
        // Dropped events are not kept for filters either.
        self.forget_passed();
        gone
    }

    pub(super) fn has_filter(&self, filter: &Arc<Filter>) -> bool {
        self.filters.iter().any(|(_, known)| known.filter == *filter)
    }

    /// The index of a filter, with one more use. `tree` is the newest event, parsed.
    pub(super) fn use_filter(
        &mut self,
        filter: Arc<Filter>,
        made_by: Holder,
        tree: Option<&Tree>,
    ) -> FilterIx {
        let known = self.filters.iter_mut().find(|(_, known)| known.filter == filter);
        if let Some((ix, known)) = known {
            known.users += 1;
            return FilterIx(ix);
        }
        let newest = self.newest().filter(|_| self.is_state()).cloned();
        let newest = newest.filter(|_| tree.is_some_and(|tree| filter.passes(tree)));
        FilterIx(self.filters.insert(SharedFilter { filter, users: 1, made_by, newest }))
    }

    /// Recomputes what is kept for filters from the newest event alone, as after a redeclaration.
    pub(super) fn recompute_passed(&mut self, tree: Option<&Tree>) {
        let newest = self.newest().filter(|_| self.is_state()).cloned();
        for (_, SharedFilter { filter, newest: of_filter, .. }) in &mut self.filters {
            let passes = tree.is_some_and(|tree| filter.passes(tree));
            *of_filter = newest.clone().filter(|_| passes);
        }
        self.passed_bytes = 0;
    }

    pub(super) fn remove_subscriber(&mut self, conn: ConnId) -> Option<Subscription> {
        let subscription = self.subscribers.remove(&conn)?;
        if let Some(FilterIx(ix)) = subscription.filter {
            self.filters[ix].users -= 1;
            if self.filters[ix].users == 0 {
                self.filters.remove(ix);
                self.count_passed();
            } else if self.filters[ix].made_by == subscription.holder {
                // It now counts for one of those who have it.
                let mut others = self.subscribers.values();
                let heir = others.find(|other| other.filter == subscription.filter);
                self.filters[ix].made_by = heir.map_or(subscription.holder, |heir| heir.holder);
            }
        }
        Some(subscription)
    }

    pub(super) fn settle_payer(&mut self, effects: &mut Effects) {
        let payer = self.next_payer();
        if std::mem::replace(&mut self.payer, payer) != payer {
            self.tell_payer(effects);
        }
    }

    pub(super) fn tell_payer(&self, effects: &mut Effects) {
        let by = self.payer.map(|(conn, _)| conn);
        effects.push(Effect::Watched { stream: self.name.clone(), by });
    }

    /// For which connection to poll: the first watcher's, on this connection or another; then
    /// another watcher's. So nobody pays for a stream that they have left.
    pub(super) fn next_payer(&self) -> Option<(ConnId, Holder)> {
        if !self.declaration.tells_watchers() {
            return None;
        }
        // If many connections end in the order of their numbers, the last one stays longest.
        let last = self.subscribers.last_key_value();
        let last = last.map(|(conn, subscription)| (*conn, subscription.holder));
        let Some((conn, holder)) = self.payer else { return last };
        let here = self.subscribers.get(&conn).map(|subscription| (conn, subscription.holder));
        if here == self.payer {
            return here;
        }
        let mut searched = self.subscribers.iter().rev().take(PAYERS_SEARCHED_MAX);
        let theirs = searched.find(|(_, subscription)| subscription.holder == holder);
        theirs.map(|(conn, _)| (*conn, holder)).or(here).or(last)
    }

    pub(super) fn passes(&self, filter: Option<FilterIx>, data: Option<&Tree>) -> bool {
        match (filter, data) {
            (None, _) => true,
            (Some(FilterIx(ix)), Some(data)) => self.filters[ix].filter.passes(data),
            (Some(_), None) => false,
        }
    }
}

impl Subscription {
    pub(super) fn is_due(&self, now: Moment) -> bool {
        self.rate.is_none_or(|rate| rate.is_due(now))
    }

    /// An event goes to it. Returns the `seq` of the event before.
    pub(super) fn send(&mut self, seq: u64, now: Moment) -> u64 {
        self.position = seq;
        if let Some(rate) = &mut self.rate {
            rate.take(now);
        }
        std::mem::replace(&mut self.sent, seq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::UserId;
    use crate::base::declaration::Keep;
    use crate::base::limits::{EVENT_BYTES, PUBLICATION_ID_BYTES};
    use crate::base::pattern::Pattern;

    #[test]
    fn of_a_log_the_newest_are_kept_by_number_and_by_bytes() {
        let mut declaration = Declaration::new(Pattern::parse("log").unwrap());
        declaration.keep = Keep::Log(3);
        let name = StreamId::parse("log").unwrap();
        let mut stream = Stream::new(name, Arc::new(declaration), "e".into());
        assert_eq!((stream.first(), stream.after(0)), (1, None));
        let add = |stream: &mut Stream, bytes: usize, ts| {
            let most = 100 + 3 * EVENT_BYTES;
            stream.append(Timestamp(ts), Data::Json("x".repeat(bytes).into()), None, most).1
        };
        for _ in 0..5 {
            assert_eq!(add(&mut stream, 10, 7), 0);
        }
        assert_eq!((stream.head, stream.first()), (5, 3));
        assert_eq!(stream.after(0).map(|event| event.seq), Some(3));
        assert_eq!(stream.after(3).map(|event| event.seq), Some(4));
        assert_eq!(stream.after(5), None);
        assert_eq!(add(&mut stream, 90, 6), 1);
        assert_eq!((stream.first(), stream.newest().unwrap().ts), (5, Timestamp(7)));
        add(&mut stream, 200, 8);
        assert_eq!((stream.first(), stream.head), (7, 7), "one stays, however large");
    }

    #[test]
    fn an_id_is_known_as_long_as_its_event_is_kept() {
        let mut declaration = Declaration::new(Pattern::parse("log").unwrap());
        declaration.keep = Keep::Log(2);
        let name = StreamId::parse("log").unwrap();
        let mut stream = Stream::new(name, Arc::new(declaration), "e".into());
        let id = |by: &str, id: &str| {
            Arc::new(PublicationId { by: UserId::parse(by).ok(), id: id.into() })
        };
        let seq = |stream: &Stream, id| stream.published(&id).map(|event| event.seq);
        for (at, by) in ["ada", "bob", ""].into_iter().enumerate() {
            stream.append(Timestamp(1), Data::Json("1".into()), Some(id(by, "a")), 10_000);
            assert_eq!(seq(&stream, id(by, "a")), Some(at as u64 + 1));
            assert_eq!(seq(&stream, id(by, "b")), None);
        }
        assert_eq!((seq(&stream, id("ada", "a")), seq(&stream, id("bob", "a"))), (None, Some(2)));
        let each = EVENT_BYTES + PUBLICATION_ID_BYTES;
        assert_eq!(stream.bytes(), 2 * each + 1 + 4 + 1 + 1, "what is kept of ids counts");
        for _ in 0..2 {
            stream.append(Timestamp(1), Data::Json("1".into()), None, 10_000);
        }
        assert_eq!((stream.published.len(), stream.bytes()), (0, 2 * (EVENT_BYTES + 1)));
    }
}
