//! Makes room for one more stream or one more event: decides what is dropped, and whose.

use super::holdings::{Evictable, Holder};
use super::stream::{Stream, StreamIx};
use super::table::{NO_SUCH_STREAM, Streams};
use crate::base::{ConnId, Effects, Notice, Now, Refusal, StreamId};
use std::collections::BTreeSet;
use std::sync::Arc;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Watch,
    Publish,
}

/// A stream watched by more holders than this is never evicted: all of them would lose it for one.
const EVICTED_HOLDERS_MAX: usize = 8;
/// The same for connections: each that comes or goes makes the hub look at all.
const EVICTED_WATCHERS_MAX: usize = 256;

const ALL_STREAMS: &str = "the limit of streams is reached";
const OWN_STREAMS: &str = "you have as many streams as you may have while few are left for others";
const ALL_STREAM_BYTES: &str = "the limit of kept events is reached";
const OWN_STREAM_BYTES: &str =
    "you have as many durable events as you may have while little space is left for others";

impl Streams {
    /// The streams of these names, creating those of families: all or none. A holder's streams of
    /// families must stay fewer than the free places. Beyond that, or when all places are taken,
    /// whoever watches most gives up one for each. They are not dropped until
    /// [released](Self::release), watched, or published to.
    pub(super) fn obtain(
        &mut self,
        holder: Holder,
        names: &[&StreamId],
        purpose: Purpose,
        effects: &mut Effects,
    ) -> Result<Vec<StreamIx>, Refusal> {
        let all = self.settings.limits.streams as usize;
        let each: BTreeSet<&StreamId> = names.iter().copied().collect();
        if each.iter().any(|name| self.declaration(name).is_none()) {
            return Err(NO_SUCH_STREAM);
        }
        let to_pin = each.iter().filter(|name| self.becomes_pinned(name, purpose)).count();
        let beyond = self.holdings.beyond_share(holder, to_pin, all);
        let wanted = each.iter().filter(|name| self.will_hold(holder, name, purpose)).count();
        let named: Vec<StreamIx> = each.iter().filter_map(|name| self.ix(name)).collect();
        let new = each.len() - named.len();
        let is_idle = |ix: &&StreamIx| self.streams[**ix].is_idle();
        let pinned = self.holdings.pinned().0 + named.iter().filter(is_idle).count();
        let over = (pinned + new).saturating_sub(all).min(new);
        let (count, wanted) = (beyond.max(over), wanted.max(1));
        for &ix in &named {
            self.streams[ix].is_obtained = true;
            // None of them may be dropped for another of them.
            if count + new > 0 {
                self.touch(effects.now.moment, ix);
            }
        }
        let holders = |ix: StreamIx| {
            let evictable = self.streams[ix].evictable.as_ref();
            evictable.map(|evictable| evictable.holders.clone()).unwrap_or_default()
        };
        let Some(taken) = self.holdings.choose_evictions((holder, wanted), count, holders, &named)
        else {
            for ix in named {
                self.release(effects.now, ix);
            }
            let message = if beyond > 0 { OWN_STREAMS } else { ALL_STREAMS };
            return Err(Refusal::quota("streams", message, all as u64));
        };
        for ix in taken {
            self.evict(ix, effects);
        }
        // If a stream that is dropped comes again, it has another epoch.
        while new > 0
            && self.len() + new > all
            && let Some(idle) = self.holdings.next_to_drop()
        {
            self.forget(idle);
        }
        let obtain = |name: &&StreamId| match self.ix(name) {
            Some(ix) => Some(ix),
            None => {
                let declaration = Arc::clone(self.declaration(name)?);
                let ix = self.add((*name).clone(), declaration);
                self.streams[ix].is_obtained = true;
                self.touch(effects.now.moment, ix);
                Some(ix)
            }
        };
        Ok(names.iter().filter_map(obtain).collect())
    }

    fn becomes_pinned(&self, name: &StreamId, purpose: Purpose) -> bool {
        let Some(declaration) = self.declaration(name) else { return false };
        let stream = self.ix(name).map(|ix| &self.streams[ix]);
        // Streams declared by name always exist.
        declaration.pattern.is_open()
            && match purpose {
                Purpose::Watch => stream.is_none_or(Stream::is_idle),
                Purpose::Publish => {
                    declaration.durable && stream.is_none_or(|stream| !self.is_stored(stream))
                }
            }
    }

    fn will_hold(&self, holder: Holder, name: &StreamId, purpose: Purpose) -> bool {
        match self.ix(name) {
            Some(ix) if purpose == Purpose::Watch => {
                self.streams[ix].is_for_watchers() && !self.holdings.is_watched_by(holder, ix)
            }
            _ => self.becomes_pinned(name, purpose),
        }
    }

    /// Updates whether a stream may be evicted: only if its watchers are few and each has a share.
    pub(super) fn count_watchers(&mut self, ix: StreamIx) {
        let stream = &mut self.streams[ix];
        let watchers = stream.subscribers.len();
        let is_for_few = stream.is_for_watchers() && (1..=EVICTED_WATCHERS_MAX).contains(&watchers);
        let mut holders = is_for_few.then(BTreeSet::new);
        for subscription in stream.subscribers.values() {
            let Some(some) = &mut holders else { break };
            // Admins have no share.
            let Some(holder) = subscription.holder else {
                holders = None;
                break;
            };
            some.insert(holder);
            if some.len() > EVICTED_HOLDERS_MAX {
                holders = None;
            }
        }
        let evictable = holders.map(|holders| Evictable { watchers, holders });
        let before = std::mem::replace(&mut stream.evictable, evictable);
        self.holdings.settle_evictable(ix, before.as_ref(), stream.evictable.as_ref());
    }

    /// Ends all subscriptions to a stream, for another user who needs its place.
    fn evict(&mut self, ix: StreamIx, effects: &mut Effects) {
        let stream = &self.streams[ix];
        let conns: Vec<ConnId> = stream.subscribers.keys().copied().collect();
        let streams = vec![stream.name.clone()];
        for &conn in &conns {
            self.end(conn, ix, effects);
        }
        let message = "you watch the most streams, and another user needs one";
        effects.deliver(Notice::Unsubscribed { streams, message }, conns);
    }

    /// The bytes by which an event would make a stream grow, if there could be room for it. A stream
    /// of the server takes none of the room for others.
    ///
    /// # Errors
    /// `quota`; nothing has been dropped then.
    pub(super) fn check_room(
        &self,
        name: &StreamId,
        is_permanent: bool,
        (holder, bytes): (Holder, usize),
    ) -> Result<usize, Refusal> {
        let max = self.settings.limits.all_streams_bytes;
        let stream = self.ix(name).map(|ix| &self.streams[ix]);
        if stream.is_some_and(|stream| stream.declaration.is_of_server()) {
            return Ok(0);
        }
        // Filters may still keep the replaced event.
        let more = match stream.filter(|stream| stream.filters.is_empty()) {
            Some(stream) => stream.growth(bytes, self.settings.limits.stream_bytes as usize),
            None => bytes,
        };
        // The newest event is fixed: it is not dropped for others.
        let own = stream.filter(|stream| stream.filled_by == holder).map_or(0, Stream::fixed_bytes);
        let fixes = bytes.saturating_sub(own);
        if is_permanent && fixes > 0 && !self.holdings.may_fix(holder, fixes, max) {
            return Err(Refusal::quota("all_streams_bytes", OWN_STREAM_BYTES, max as u64));
        }
        let beyond = self.holdings.all_bytes().saturating_add(more).saturating_sub(max);
        let is_enough = beyond == 0 || self.holdings.could_free(holder, more, beyond);
        if more > max || !is_enough {
            return Err(Refusal::quota("all_streams_bytes", ALL_STREAM_BYTES, max as u64));
        }
        Ok(more)
    }

    /// Makes room for `more` bytes in an obtained stream: drops the oldest events of the largest
    /// holders.
    pub(super) fn make_room(
        &mut self,
        now: Now,
        ix: StreamIx,
        (holder, more): (Holder, usize),
    ) -> Result<(), Refusal> {
        let max = self.settings.limits.all_streams_bytes;
        if self.holdings.all_bytes().saturating_add(more) <= max {
            return Ok(());
        }
        // The stream is not dropped for its own event.
        self.touch(now.moment, ix);
        match self.shrink_to(max.saturating_sub(more), Some((holder, more))) {
            true => Ok(()),
            false => Err(Refusal::quota("all_streams_bytes", ALL_STREAM_BYTES, max as u64)),
        }
    }

    /// Drops kept events down to `max` bytes: first those kept only for filters, then those of the
    /// largest holders. `wants` names who is to have more. Returns whether that was enough.
    pub(super) fn shrink_to(&mut self, max: usize, wants: Option<(Holder, usize)>) -> bool {
        loop {
            let beyond = self.holdings.all_bytes().saturating_sub(max);
            if beyond == 0 {
                return true;
            }
            let (ix, bytes) = match self.holdings.first_to_forget_passed() {
                Some(ix) => (ix, 0),
                None => match self.holdings.first_to_shrink(wants, beyond) {
                    Some(next) => next,
                    None => return false,
                },
            };
            let stream = &mut self.streams[ix];
            let least = usize::from(stream.is_permanent());
            self.cut_events += stream.shrink(bytes, least);
            let idle_since = stream.held.and_then(|held| held.idle_since);
            if idle_since.is_some() && stream.bytes() == 0 {
                self.forget(ix);
            } else {
                self.count(ix, idle_since);
            }
        }
    }
}
