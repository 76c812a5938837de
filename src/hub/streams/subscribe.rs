//! Subscribing and unsubscribing.

use super::holdings::Holder;
use super::places::Purpose;
use super::rate::EventRate;
use super::stream::{FilterIx, Stream, StreamIx, Subscription};
use super::table::{NO_SUCH_STREAM, Streams};
use crate::base::filter::Filter;
use crate::base::subscription::{Ask, Form, StreamSnapshot, Subscribed};
use crate::base::{
    Answer, ConnId, Data, Effect, Effects, Notice, Origin, Refusal, RefusalCode, StreamEvent,
    StreamId, StreamRights,
};
use std::sync::Arc;

/// About what an event takes in JSON beside its data.
const EVENT_JSON_BYTES: usize = 48;

/// What an event weighs in a page.
fn weight(event: &StreamEvent) -> usize {
    event.data.len() + EVENT_JSON_BYTES
}

/// What each JSON value counts beside its bytes, for its part of a tree.
const VALUE_BYTES: usize = 16;

impl Stream {
    /// As [`weight`], but more if a filter must be evaluated.
    pub(super) fn weight(&self, event: &StreamEvent, filter: Option<FilterIx>) -> usize {
        let Some(FilterIx(ix)) = filter.filter(|_| !self.is_state()) else { return weight(event) };
        let values = match &event.data {
            Data::Json(text) => text.bytes().filter(|byte| b",[{".contains(byte)).count(),
            Data::Binary(_) => 0,
        };
        let of_filter = self.filters.get(ix).map_or(0, |shared| shared.filter.weight);
        weight(event) + values * VALUE_BYTES + of_filter
    }
}

impl Streams {
    /// Subscribes a connection to all that it asks for, or to nothing; `most` streams in all.
    pub(in crate::hub) fn subscribe(
        &mut self,
        (conn, origin): (ConnId, Origin),
        (rights, holder, most): (&StreamRights, Holder, usize),
        form: Form,
        asks: Vec<Ask>,
        effects: &mut Effects,
    ) {
        let names: Vec<&StreamId> = asks.iter().map(|ask| &ask.stream).collect();
        let checked = self.check(conn, (rights, holder, most), &asks);
        let found = checked.and_then(|()| self.obtain(holder, &names, Purpose::Watch, effects));
        let streams = match found {
            Ok(streams) => streams,
            Err(refusal) => return effects.answer(origin, Err(refusal)),
        };
        // Snapshots are in the reply while it stays small; otherwise they are the first events.
        let mut room = self.settings.limits.page_bytes as usize;
        let begin = |(ask, ix): (Ask, &StreamIx)| {
            self.begin((conn, holder), form, (ask, *ix), &mut room, effects)
        };
        let told = asks.into_iter().zip(&streams).map(begin).collect();
        effects.answer(origin, Ok(Answer::Subscribed(told)));
        for ix in streams {
            self.catch_up(conn, ix, &mut room, effects);
            if form == Form::Plain {
                self.owe_age(conn, ix, effects);
            }
        }
        self.report_scanned(conn, effects);
    }

    fn check(
        &self,
        conn: ConnId,
        (rights, holder, most): (&StreamRights, Holder, usize),
        asks: &[Ask],
    ) -> Result<(), Refusal> {
        let watched = self.watched.get(&conn);
        let (mut subscriptions, mut filters) =
            watched.map_or((0, 0), |watched| (watched.streams.len(), watched.filters));
        for ask in asks {
            let declaration = self.to_watch(&ask.stream, rights)?;
            if ask.filter.is_some() && declaration.binary {
                let message = "a stream of bytes has nothing to filter by";
                return Err(Refusal::bad_request("filter", message));
            }
            let ix = self.ix(&ask.stream);
            let before = ix.and_then(|ix| self.streams[ix].subscribers.get(&conn));
            subscriptions += usize::from(before.is_none());
            let had_filter = before.is_some_and(|before| before.filter.is_some());
            filters = filters + usize::from(ask.filter.is_some()) - usize::from(had_filter);
            let max = self.settings.limits.stream_filters as usize;
            if let (Some(filter), Some(ix)) = (&ask.filter, ix)
                && !self.streams[ix].may_filter(filter, (conn, holder), max)
            {
                let message = "this stream has as many filters as it may have, or leaves the rest to other users";
                return Err(Refusal::quota("stream_filters", message, max as u64));
            }
        }
        let max = self.settings.limits.filters;
        if filters > max as usize {
            let message = "this connection has as many filters as it may have";
            return Err(Refusal::quota("filters", message, u64::from(max)));
        }
        if subscriptions > most {
            let message = "this connection watches as many streams as it may watch";
            return Err(Refusal::quota("subscriptions", message, most as u64));
        }
        Ok(())
    }

    /// Adds a use of a filter. A new one is evaluated on a state's newest event.
    fn use_filter(
        &mut self,
        conn: ConnId,
        holder: Holder,
        ix: StreamIx,
        filter: Arc<Filter>,
    ) -> FilterIx {
        let stream = &self.streams[ix];
        let is_asked = stream.is_state() && !stream.has_filter(&filter);
        let newest = stream.newest().filter(|_| is_asked).cloned();
        let tree = newest.and_then(|newest| self.scan(conn, &newest, weight(&newest)));
        self.streams[ix].use_filter(filter, holder, tree.as_ref())
    }

    fn begin(
        &mut self,
        (conn, holder): (ConnId, Holder),
        form: Form,
        (ask, ix): (Ask, StreamIx),
        room: &mut usize,
        effects: &mut Effects,
    ) -> Subscribed {
        // Queued events of an earlier subscription would follow this snapshot.
        self.end_only(conn, ix, effects);
        let filter = ask.filter.map(|filter| self.use_filter(conn, holder, ix, filter));
        let stream = &self.streams[ix];
        let is_this_life = ask.epoch.as_deref().is_none_or(|epoch| *epoch == *stream.epoch);
        let is_kept =
            |since: &u64| is_this_life && *since <= stream.head && *since + 1 >= stream.first();
        let since = ask.since.filter(is_kept);
        let mut subscription = Subscription {
            holder,
            form,
            filter,
            asked_rate: ask.max_rate,
            rate: stream.declaration.rate(ask.max_rate).map(EventRate::new),
            position: 0,
            sent: 0,
            acked: 0,
            due: None,
            owes_age: false,
        };
        let mut snapshot = None;
        if let Some(since) = since {
            (subscription.position, subscription.sent) = (since, since);
            subscription.acked = since;
        } else {
            let is_in_reply = form == Form::Envelope && !stream.declaration.binary;
            let whole = if is_in_reply { self.snapshot(conn, ix, filter, room) } else { None };
            let stream = &self.streams[ix];
            if let Some(whole) = whole {
                subscription.position = stream.head;
                if whole.is_some() {
                    subscription.send(stream.head, effects.now.moment);
                }
                snapshot = whole;
            } else {
                subscription.position = stream.first() - 1;
            }
        }
        let position = subscription.position;
        // Existing subscribers are told if it has just become stale.
        let stale = self.check_age(ix, effects);
        let stream = &mut self.streams[ix];
        stream.is_obtained = false;
        stream.subscribers.insert(conn, subscription);
        if stream.is_for_watchers() {
            self.holdings.watch(holder, ix);
        }
        stream.settle_payer(effects);
        self.count_watchers(ix);
        let stream = &self.streams[ix];
        let subscribed = Subscribed {
            stream: stream.name.clone(),
            seq: stream.head,
            epoch: Arc::clone(&stream.epoch),
            position,
            snapshot,
            replayed: ask.since.map(|_| since.is_some()),
            stale,
        };
        let watched = self.watched.entry(conn).or_default();
        self.subscriptions += usize::from(watched.streams.insert(ix));
        watched.filters += usize::from(filter.is_some());
        self.touch(effects.now.moment, ix);
        subscribed
    }

    /// The kept events that pass the filter; of a log, among the newest that fit a page. They use
    /// up `room`; `None` if it is too small. So no more than a page is scanned at once.
    fn snapshot(
        &mut self,
        conn: ConnId,
        ix: StreamIx,
        filter: Option<FilterIx>,
        room: &mut usize,
    ) -> Option<Option<StreamSnapshot>> {
        let stream = &self.streams[ix];
        let is_state = stream.is_state();
        let page_bytes = self.settings.limits.page_bytes as usize;
        let (mut page, mut left) = (page_bytes, *room);
        let mut events = Vec::new();
        let count = if is_state { 1 } else { usize::MAX };
        for event in stream.newest_first().take(count) {
            let weight = stream.weight(event, filter);
            if weight > page && page < page_bytes {
                break;
            }
            page = page.saturating_sub(weight);
            left = left.checked_sub(weight)?;
            events.push(Arc::clone(event));
        }
        *room = left;
        if is_state {
            let newest = events.pop().filter(|newest| {
                let passed = self.streams[ix].next_for(0, filter);
                passed.is_some_and(|passed| passed.seq == newest.seq)
            });
            return Some(newest.map(StreamSnapshot::Latest));
        }
        if filter.is_some() {
            events.retain(|event| {
                let weight = self.streams[ix].weight(event, filter);
                let tree = self.scan(conn, event, weight);
                self.streams[ix].passes(filter, tree.as_ref())
            });
        }
        events.reverse();
        Some((!events.is_empty()).then_some(StreamSnapshot::Log(events)))
    }

    /// Ends subscriptions. The answer leaves out streams that were not watched.
    pub(in crate::hub) fn unsubscribe(
        &mut self,
        (conn, origin): (ConnId, Origin),
        names: &[StreamId],
        effects: &mut Effects,
    ) {
        let mut ended = Vec::new();
        for name in names {
            if let Some(ix) = self.ix(name)
                && self.end(conn, ix, effects)
            {
                ended.push(name.clone());
            }
        }
        effects.answer(origin, Ok(Answer::Unsubscribed(ended)));
    }

    /// Ends a subscription, and an empty stream. Returns whether there was a subscription.
    pub(super) fn end(&mut self, conn: ConnId, ix: StreamIx, effects: &mut Effects) -> bool {
        let has_ended = self.end_only(conn, ix, effects);
        if has_ended {
            self.streams[ix].settle_payer(effects);
            self.forget_if_empty(ix);
        }
        has_ended
    }

    /// Ends a subscription, without choosing a new payer.
    pub(super) fn end_only(&mut self, conn: ConnId, ix: StreamIx, effects: &mut Effects) -> bool {
        let stream = &mut self.streams[ix];
        let Some(subscription) = stream.remove_subscriber(conn) else { return false };
        if stream.is_for_watchers() {
            self.holdings.unwatch(subscription.holder, ix);
        }
        self.count_watchers(ix);
        if let Some(due) = subscription.due {
            self.due.remove(&(due, conn, ix));
        }
        if let Some(watched) = self.watched.get_mut(&conn) {
            self.subscriptions -= usize::from(watched.streams.remove(&ix));
            watched.behind.retain(|one| *one != ix);
            watched.filters -= usize::from(subscription.filter.is_some());
            if watched.streams.is_empty() {
                self.watched.remove(&conn);
            }
        }
        effects.push(Effect::TakeBack { conn, source: source(ix) });
        if self.streams[ix].subscribers.is_empty() {
            self.forget_age(ix);
        }
        self.touch(effects.now.moment, ix);
        true
    }

    pub(in crate::hub) fn connection_closed(&mut self, conn: ConnId, effects: &mut Effects) {
        let Some(watched) = self.watched.get(&conn) else { return };
        for ix in watched.streams.clone() {
            self.end(conn, ix, effects);
        }
    }

    /// Applies changed rights: ends the subscriptions that are no longer allowed, and tells the
    /// client.
    pub(in crate::hub) fn rights_changed(
        &mut self,
        conn: ConnId,
        rights: &StreamRights,
        holder: Holder,
        effects: &mut Effects,
    ) {
        let Some(watched) = self.watched.get(&conn) else { return };
        let watched = watched.streams.clone();
        for &ix in &watched {
            let stream = &mut self.streams[ix];
            let is_for_watchers = stream.is_for_watchers();
            let Some(subscription) = stream.subscribers.get_mut(&conn) else { continue };
            let before = std::mem::replace(&mut subscription.holder, holder);
            stream.settle_payer(effects);
            if is_for_watchers {
                self.holdings.unwatch(before, ix);
                self.holdings.watch(holder, ix);
                self.count_watchers(ix);
            }
        }
        let is_lost = |ix: &StreamIx| {
            let stream = &self.streams[*ix];
            !rights.may_watch(&stream.declaration, stream.name.as_str())
        };
        let lost: Vec<StreamIx> = watched.into_iter().filter(is_lost).collect();
        let mut streams = Vec::with_capacity(lost.len());
        for ix in lost {
            streams.push(self.streams[ix].name.clone());
            self.end(conn, ix, effects);
        }
        if !streams.is_empty() {
            let message = "you may no longer watch these streams";
            effects.deliver(Notice::Unsubscribed { streams, message }, [conn]);
        }
    }

    pub(in crate::hub) fn ack(
        &mut self,
        conn: ConnId,
        name: &StreamId,
        seq: u64,
    ) -> Result<Answer, Refusal> {
        let ix = self.ix(name).ok_or(NO_SUCH_STREAM)?;
        let Stream { declaration, subscribers, .. } = &mut self.streams[ix];
        let not_watched = Refusal::new(RefusalCode::Conflict, "you do not watch this stream");
        let subscription = subscribers.get_mut(&conn).ok_or(not_watched)?;
        if !declaration.ack {
            let message = "this stream does not ask for it";
            return Err(Refusal::bad_request("stream", message));
        }
        if seq > subscription.sent {
            return Err(Refusal::bad_request("seq", "this was not sent yet"));
        }
        subscription.acked = subscription.acked.max(seq);
        Ok(Answer::Noted)
    }
}

/// A stream as the source of frames in an outbox. Rooms have the other half.
pub(super) const fn source(ix: StreamIx) -> u32 {
    STREAM_SOURCES | ix.0
}

pub(super) const fn of_source(source: u32) -> StreamIx {
    StreamIx(source & !STREAM_SOURCES)
}

const STREAM_SOURCES: u32 = 1 << 31;
