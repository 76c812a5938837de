//! Room for one more stream, and for one more event: what goes for them, and of whom.

use super::held::{Holder, Takeable};
use super::stream::{Stream, StreamIx};
use super::table::{NO_SUCH_STREAM, Streams};
use crate::base::{ConnId, Effects, Notice, Now, Refusal, StreamId};
use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::rc::Rc;

/// What a stream is obtained for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Watch,
    Publish,
}

/// A stream that more users, or guests of other addresses, watch is taken from nobody: they would all lose it for one.
const TAKEN_HOLDERS_MAX: usize = 8;
/// The same of connections: each time that one of them comes or goes, all are looked at.
const TAKEN_WATCHERS_MAX: usize = 256;

const ALL_STREAMS: &str = "the limit of streams is reached";
const OWN_STREAMS: &str = "you have as many streams as you may have while few are left for others";
const ALL_STREAM_BYTES: &str = "the limit of kept events is reached";
const OWN_STREAM_BYTES: &str =
    "you have as many durable events as you may have while little space is left for others";

impl Streams {
    /// The streams of these names, of which those of a family come into being: all of them, or none. Of a family no
    /// more begin to stay for somebody than are free; beyond that, or where there are as many as there may be, whoever
    /// watches most gives way, for each of them one. They do not go for others until they are [let go
    /// of](Self::let_go), watched, or published to.
    pub(super) fn obtain(
        &mut self,
        now: Now,
        holder: Holder,
        names: &[&StreamId],
        purpose: Purpose,
        effects: &mut Effects,
    ) -> Result<Vec<StreamIx>, Refusal> {
        let all = self.settings.all_streams;
        let each: BTreeSet<&StreamId> = names.iter().copied().collect();
        if each.iter().any(|name| self.declaration(name).is_none()) {
            return Err(NO_SUCH_STREAM);
        }
        let to_stay = each.iter().filter(|name| self.begins_to_stay(name, purpose)).count();
        let beyond = self.holdings.beyond_share(holder, to_stay, all);
        let wanted = each.iter().filter(|name| self.will_hold(holder, name, purpose)).count();
        let named: Vec<StreamIx> = each.iter().filter_map(|name| self.ix(name)).collect();
        let new = each.len() - named.len();
        let is_idle =
            |ix: &&StreamIx| self.streams[**ix].held.is_some_and(|held| held.idle_since.is_some());
        let staying = self.holdings.staying().0 + named.iter().filter(is_idle).count();
        let over = (staying + new).saturating_sub(all).min(new);
        let (count, wanted) = (beyond.max(over), wanted.max(1));
        for &ix in &named {
            self.streams[ix].is_obtained = true;
            // None of them goes for another of them.
            if count + new > 0 {
                self.touch(now.moment, ix);
            }
        }
        let holders = |ix: StreamIx| self.holders_of(ix);
        let Some(taken) = self.holdings.to_take((holder, wanted), count, holders, &named) else {
            for ix in named {
                self.release(now, ix);
            }
            let message = if beyond > 0 { OWN_STREAMS } else { ALL_STREAMS };
            return Err(Refusal::quota("streams", message, all as u64));
        };
        for ix in taken {
            self.take(now, ix, effects);
        }
        while new > 0 && self.streams.len() + new > all && self.drop_idle() {}
        let obtain = |name: &&StreamId| match self.ix(name) {
            Some(ix) => Some(ix),
            None => {
                let declaration = Rc::clone(self.declaration(name)?);
                let ix = self.add((*name).clone(), declaration);
                self.streams[ix].is_obtained = true;
                self.touch(now.moment, ix);
                Some(ix)
            }
        };
        Ok(names.iter().filter_map(obtain).collect())
    }

    fn begins_to_stay(&self, name: &StreamId, purpose: Purpose) -> bool {
        let Some(declaration) = self.declaration(name) else { return false };
        let stream = self.ix(name).map(|ix| &self.streams[ix]);
        // Those that are declared by their name are there, whoever comes.
        declaration.pattern.is_open()
            && match purpose {
                Purpose::Watch => stream.is_none_or(Stream::is_idle),
                Purpose::Publish => {
                    declaration.durable && stream.is_none_or(|stream| !self.is_stored(stream))
                }
            }
    }

    /// Whether somebody will hold a stream who does not hold it yet.
    fn will_hold(&self, holder: Holder, name: &StreamId, purpose: Purpose) -> bool {
        match self.ix(name) {
            Some(ix) if purpose == Purpose::Watch => {
                self.streams[ix].is_for_watchers() && !self.holdings.watches_it(holder, ix)
            }
            _ => self.begins_to_stay(name, purpose),
        }
    }

    /// Whose a stream is that may be taken.
    fn holders_of(&self, ix: StreamIx) -> BTreeSet<NonZeroU32> {
        let takeable = self.streams[ix].takeable.as_ref();
        takeable.map(|takeable| takeable.holders.clone()).unwrap_or_default()
    }

    /// Sees whether a stream may be taken, after those who watch it are others than before: few do, and each of them
    /// has a share.
    pub(super) fn count_watchers(&mut self, ix: StreamIx) {
        let stream = &mut self.streams[ix];
        let watchers = stream.subscribers.len();
        let is_for_few = stream.is_for_watchers() && (1..=TAKEN_WATCHERS_MAX).contains(&watchers);
        let mut holders = is_for_few.then(BTreeSet::new);
        for subscription in stream.subscribers.values() {
            let Some(some) = &mut holders else { break };
            // What an administrator watches is no one's share.
            let Some(holder) = subscription.holder else {
                holders = None;
                break;
            };
            some.insert(holder);
            if some.len() > TAKEN_HOLDERS_MAX {
                holders = None;
            }
        }
        let takeable = holders.map(|holders| Takeable { watchers, holders });
        let before = std::mem::replace(&mut stream.takeable, takeable);
        self.holdings.settle_takeable(ix, before.as_ref(), stream.takeable.as_ref());
    }

    /// Ends the watching of a stream by all who do.
    fn take(&mut self, now: Now, ix: StreamIx, effects: &mut Effects) {
        let stream = &self.streams[ix];
        let conns: Vec<ConnId> = stream.subscribers.keys().copied().collect();
        let streams = vec![stream.name.clone()];
        for &conn in &conns {
            self.end(now, conn, ix, effects);
        }
        let message = "you watch the most streams, and another user needs one";
        effects.deliver(Notice::Unsubscribed { streams, message }, conns);
    }

    /// Forgets an idle stream: should it come again, it has another epoch.
    fn drop_idle(&mut self) -> bool {
        let Some(ix) = self.holdings.first_to_go() else { return false };
        self.forget(ix);
        true
    }

    /// By how many bytes a stream would grow by an event, if there could be room for that.
    ///
    /// # Errors
    /// `quota`: nothing has been taken from anybody.
    pub(super) fn check_room(
        &self,
        name: &StreamId,
        is_for_good: bool,
        (holder, bytes): (Holder, usize),
    ) -> Result<usize, Refusal> {
        let max = self.settings.all_streams_bytes;
        let stream = self.ix(name).map(|ix| &self.streams[ix]);
        // What is replaced goes on being kept for filters.
        let more = match stream.filter(|stream| stream.filters.is_empty()) {
            Some(stream) => stream.grows_by(bytes, self.settings.stream_bytes),
            None => bytes,
        };
        // As the newest event it is one of those that do not go for others.
        let own = stream.filter(|stream| stream.filled_by == holder).map_or(0, Stream::fixed_bytes);
        let fixes = bytes.saturating_sub(own);
        if is_for_good && fixes > 0 && !self.holdings.may_fix(holder, fixes, max) {
            return Err(Refusal::quota("all_streams_bytes", OWN_STREAM_BYTES, max as u64));
        }
        let beyond = self.holdings.all_bytes().saturating_add(more).saturating_sub(max);
        let is_enough = beyond == 0 || self.holdings.could_go(holder, more, beyond);
        if more > max || !is_enough {
            return Err(Refusal::quota("all_streams_bytes", ALL_STREAM_BYTES, max as u64));
        }
        Ok(more)
    }

    /// Makes room for so many bytes more in a stream that has been obtained for whoever publishes: the oldest events of
    /// whoever has most go for them.
    pub(super) fn make_room(
        &mut self,
        now: Now,
        ix: StreamIx,
        (holder, more): (Holder, usize),
    ) -> Result<(), Refusal> {
        let max = self.settings.all_streams_bytes;
        if self.holdings.all_bytes().saturating_add(more) <= max {
            return Ok(());
        }
        // It does not go for its own event.
        self.touch(now.moment, ix);
        match self.shrink_to(max.saturating_sub(more), Some((holder, more))) {
            true => Ok(()),
            false => Err(Refusal::quota("all_streams_bytes", ALL_STREAM_BYTES, max as u64)),
        }
    }

    /// Lets go of what is kept, first of what is for filters alone, then of whoever has most, until it is so much:
    /// perhaps somebody is to have more. Whether that is enough.
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
            let least = usize::from(stream.is_for_good());
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
