//! Feeds subscribers that are not at the head: held back by their rate, too slow, or new.

use super::stream::StreamIx;
use super::subscribe::of_source;
use super::table::Streams;
use crate::base::declaration::Keep;
use crate::base::limits::ANSWER_BYTES_PER_WORK;
use crate::base::{ConnId, Effect, Effects, Priority, StreamEvent, Tree};
use std::cmp::Reverse;
use std::sync::Arc;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FeedResult {
    /// It is at the head, or its rate holds it back.
    Done,
    /// There is more to send when the outbox has drained.
    More,
    /// The next events are no longer kept.
    TooSlow,
}

impl Streams {
    /// An event did not fit a connection's outbox: feeding continues from there.
    pub(in crate::hub) fn missed(&mut self, conn: ConnId, source: u32, seq: u64, prev: u64) {
        let ix = of_source(source);
        let Some(subscription) = self.subscription(conn, ix) else { return };
        if seq <= subscription.position {
            (subscription.position, subscription.sent) = (seq - 1, prev);
        }
        self.queue_behind(conn, ix);
    }

    /// The connections that wait to be fed.
    pub(super) fn behind(&self) -> impl Iterator<Item = ConnId> {
        let behind = self.watched.iter().filter(|(_, watched)| !watched.behind.is_empty());
        behind.map(|(conn, _)| *conn)
    }

    pub(super) fn queue_behind(&mut self, conn: ConnId, ix: StreamIx) {
        if let Some(watched) = self.watched.get_mut(&conn)
            && !watched.behind.contains(&ix)
        {
            watched.behind.push_back(ix);
        }
    }

    pub(in crate::hub) fn drained(&mut self, conn: ConnId, effects: &mut Effects) {
        self.feed_behind(conn, false, effects);
        let Some(watched) = self.watched.get(&conn) else { return };
        if watched.behind.iter().any(|ix| self.needs_scan(conn, *ix)) {
            self.wait_to_scan(conn, effects);
        }
    }

    /// Scans a page of a connection's missed events.
    pub(in crate::hub) fn scan_behind(&mut self, conn: ConnId, effects: &mut Effects) {
        let Some(watched) = self.watched.get_mut(&conn) else { return };
        watched.waits_to_scan = false;
        self.feed_behind(conn, true, effects);
    }

    /// Feeds a connection a page of the streams in which it is behind: those whose events must be
    /// scanned if `scans`, else the others.
    fn feed_behind(&mut self, conn: ConnId, scans: bool, effects: &mut Effects) {
        let Some(watched) = self.watched.get_mut(&conn) else { return };
        if watched.behind.is_empty() {
            return;
        }
        let mut behind: Vec<StreamIx> = std::mem::take(&mut watched.behind).into();
        // The sort is stable: streams of one priority keep their order, so that none starves
        // another.
        behind.sort_by_key(|ix| Reverse(self.priority(*ix)));
        let mut room = self.settings.limits.page_bytes as usize;
        let (mut left, mut has_more) = (Vec::new(), false);
        for ix in behind {
            let is_meant = self.needs_scan(conn, ix) == scans;
            if room == 0 || !is_meant {
                left.push(ix);
                // A redeclaration may have changed which streams must be scanned.
                has_more |= is_meant || scans;
                continue;
            }
            match self.feed(conn, ix, &mut room, effects) {
                FeedResult::Done => {}
                FeedResult::More => {
                    left.push(ix);
                    has_more = true;
                }
                FeedResult::TooSlow => {
                    self.report_scanned(conn, effects);
                    effects.push(Effect::TooSlow { conn });
                    return;
                }
            }
        }
        self.report_scanned(conn, effects);
        for ix in left {
            self.queue_behind(conn, ix);
        }
        if has_more {
            effects.push(Effect::TellDrained { conn });
        }
    }

    /// Whether events must be read to know which of them a subscriber behind the head gets: so for
    /// a log with a filter. For a state it is known.
    fn needs_scan(&self, conn: ConnId, ix: StreamIx) -> bool {
        let Some(stream) = self.streams.get(ix.0 as usize).filter(|one| !one.is_state()) else {
            return false;
        };
        stream.subscribers.get(&conn).is_some_and(|one| one.filter.is_some())
    }

    fn wait_to_scan(&mut self, conn: ConnId, effects: &mut Effects) {
        if let Some(watched) = self.watched.get_mut(&conn)
            && !std::mem::replace(&mut watched.waits_to_scan, true)
        {
            effects.push(Effect::WaitToScan { conn });
        }
    }

    fn priority(&self, ix: StreamIx) -> Priority {
        self.streams.get(ix.0 as usize).map_or(Priority::Low, |stream| stream.declaration.priority)
    }

    /// Feeds a new subscription, or one whose time has come.
    pub(super) fn catch_up(
        &mut self,
        conn: ConnId,
        ix: StreamIx,
        room: &mut usize,
        effects: &mut Effects,
    ) {
        if self.needs_scan(conn, ix) {
            let stream = &self.streams[ix];
            if stream.subscribers.get(&conn).is_some_and(|one| one.position < stream.head) {
                self.queue_behind(conn, ix);
                self.wait_to_scan(conn, effects);
                return;
            }
        }
        match self.feed(conn, ix, room, effects) {
            FeedResult::Done => {}
            FeedResult::More => {
                self.queue_behind(conn, ix);
                effects.push(Effect::TellDrained { conn });
            }
            FeedResult::TooSlow => effects.push(Effect::TooSlow { conn }),
        }
    }

    /// Sends kept events after a subscription's position: a page at most, at its rate.
    fn feed(
        &mut self,
        conn: ConnId,
        ix: StreamIx,
        room: &mut usize,
        effects: &mut Effects,
    ) -> FeedResult {
        self.tell_owed_age(conn, ix, effects);
        loop {
            let Some(stream) = self.streams.get_mut(ix.0 as usize) else { return FeedResult::Done };
            let (first, head, keep) = (stream.first(), stream.head, stream.declaration.keep);
            let Some(subscription) = stream.subscribers.get_mut(&conn) else {
                return FeedResult::Done;
            };
            if subscription.position >= head {
                return FeedResult::Done;
            }
            let is_state = keep == Keep::Latest;
            if !is_state && subscription.position + 1 < first {
                // Only a subscription with a rate may lose events silently.
                if subscription.rate.is_none() {
                    return FeedResult::TooSlow;
                }
                subscription.position = first - 1;
            }
            let (position, filter) = (subscription.position, subscription.filter);
            let is_due = subscription.is_due(effects.now.moment);
            let next = stream.next_for(position, filter).cloned();
            let Some(event) = next else {
                // A state has no newer event for this filter.
                if let Some(subscription) = self.subscription(conn, ix) {
                    subscription.position = head;
                }
                return FeedResult::Done;
            };
            if *room == 0 {
                return FeedResult::More;
            }
            // Scanning has its price, too.
            let weight = self.streams[ix].weight(&event, filter);
            if filter.is_some() && !is_state {
                let tree = self.scan(conn, &event, weight);
                if !self.streams[ix].passes(filter, tree.as_ref()) {
                    if let Some(subscription) = self.subscription(conn, ix) {
                        subscription.position = event.seq;
                    }
                    *room = room.saturating_sub(weight);
                    continue;
                }
            }
            if !is_due {
                self.hold_back(conn, ix, effects);
                return FeedResult::Done;
            }
            *room = room.saturating_sub(weight);
            let Some(subscription) = self.subscription(conn, ix) else { return FeedResult::Done };
            let (prev, form) =
                (subscription.send(event.seq, effects.now.moment), subscription.form);
            let notice = self.notice(ix, &Arc::clone(&event), prev, form);
            effects.deliver(notice, [conn]);
        }
    }

    /// Parses an event for the filter of a subscriber behind the head, and counts that work.
    pub(super) fn scan(
        &mut self,
        conn: ConnId,
        event: &StreamEvent,
        weight: usize,
    ) -> Option<Tree> {
        self.watched.entry(conn).or_default().scanned += weight;
        self.tree(event)
    }

    /// Reports the scanned bytes, once they make a unit of work.
    pub(super) fn report_scanned(&mut self, conn: ConnId, effects: &mut Effects) {
        let Some(watched) = self.watched.get_mut(&conn) else { return };
        let rest = watched.scanned % ANSWER_BYTES_PER_WORK;
        let bytes = std::mem::replace(&mut watched.scanned, rest) - rest;
        if bytes > 0 {
            effects.push(Effect::Scanned { conn, bytes });
        }
    }

    pub(super) fn hold_back(&mut self, conn: ConnId, ix: StreamIx, effects: &mut Effects) {
        let Some(subscription) = self.subscription(conn, ix) else { return };
        let Some(rate) = subscription.rate.filter(|_| subscription.due.is_none()) else { return };
        let at = rate.next();
        subscription.due = Some(at);
        self.due.insert((at, conn, ix));
        effects.push(Effect::WakeAt(at));
    }

    pub(in crate::hub) fn wake(&mut self, effects: &mut Effects) {
        self.wake_stale(effects);
        while let Some(&(at, conn, ix)) = self.due.first() {
            if at > effects.now.moment {
                effects.push(Effect::WakeAt(at));
                return;
            }
            self.due.pop_first();
            if let Some(subscription) = self.subscription(conn, ix) {
                subscription.due = None;
            }
            // A connection with a full outbox waits for room, not for time.
            let is_behind =
                self.watched.get(&conn).is_some_and(|watched| watched.behind.contains(&ix));
            if !is_behind {
                let mut room = self.settings.limits.page_bytes as usize;
                self.catch_up(conn, ix, &mut room, effects);
            }
        }
    }
}
