//! Room for one more stream, and for one more event: what goes for them, and of whom.

use super::held::Holder;
use super::stream::{Stream, StreamIx};
use super::table::{NO_SUCH_STREAM, Streams};
use crate::base::{ConnId, StreamId};
use crate::hub::effect::{Effects, Notice, Refusal};
use crate::hub::input::Now;
use std::collections::BTreeSet;
use std::rc::Rc;

/// What a stream is obtained for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Watch,
    Publish,
}

/// At how many streams is looked beyond those that are to be taken, where others watch them, too.
const TAKEN_LOOKED_AT_MAX: usize = 256;
/// A stream that more connections watch is taken from nobody: they would all lose it for one.
const TAKEN_WATCHERS_MAX: usize = 8;

const ALL_STREAMS: &str = "there are as many streams as there may be";
const OWN_STREAMS: &str = "as many streams are yours as may be while so few are left for others";
const ALL_STREAM_BYTES: &str = "as much is kept of all streams as may be";
const OWN_STREAM_BYTES: &str =
    "as much of yours is kept for good as may be while so little is left for others";

impl Streams {
    /// Has room for what somebody wants to watch, or publish to: of a family no more streams begin to stay for them than
    /// are free; beyond that whoever watches most gives way, for each of them one.
    pub(super) fn make_places<'a>(
        &mut self,
        now: Now,
        holder: Holder,
        names: impl Iterator<Item = &'a StreamId>,
        purpose: Purpose,
        effects: &mut Effects,
    ) -> Result<(), Refusal> {
        let names: BTreeSet<&StreamId> = names.collect();
        let wanted = names.iter().filter(|name| self.begins_to_stay(name, purpose)).count();
        let named: Vec<StreamIx> = names.iter().filter_map(|name| self.ix(name)).collect();
        let all = self.settings.all_streams;
        let beyond = self.holdings.beyond_share(holder, wanted, all);
        if beyond == 0 || self.take_places(now, holder, (wanted, beyond), &named, effects) {
            return Ok(());
        }
        Err(Refusal::quota("streams", OWN_STREAMS, all as u64))
    }

    fn begins_to_stay(&self, name: &StreamId, purpose: Purpose) -> bool {
        let Some(declaration) = self.declaration(name) else { return false };
        let stream = self.ix(name).map(|ix| &self.streams[ix.0 as usize]);
        // Those that are declared by their name are there, whoever comes.
        declaration.pattern.is_open()
            && match purpose {
                Purpose::Watch => stream.is_none_or(Stream::is_idle),
                Purpose::Publish => {
                    declaration.durable && stream.is_none_or(|stream| !self.is_stored(stream))
                }
            }
    }

    /// Whoever watches most gives up so many streams, none of those that are named, if that leaves them no less than
    /// another then has: all of them or none, those first that the fewest watch. One that somebody watches who has less
    /// stays, and one that many watch.
    fn take_places(
        &mut self,
        now: Now,
        holder: Holder,
        (wanted, taken): (usize, usize),
        named: &[StreamIx],
        effects: &mut Effects,
    ) -> bool {
        let more = wanted + taken;
        let may_go = |ix: &StreamIx| {
            let subscribers = &self.streams[ix.0 as usize].subscribers;
            !named.contains(ix)
                && subscribers.len() <= TAKEN_WATCHERS_MAX
                && subscribers.values().all(|one| self.holdings.has_more(one.holder, holder, more))
        };
        let watched = self.holdings.watched_by_more(holder, more);
        let looked_at = watched.take(taken + TAKEN_LOOKED_AT_MAX);
        let watchers = |ix: StreamIx| self.streams[ix.0 as usize].subscribers.len();
        // Two who watch the same are looked at twice.
        let go: BTreeSet<(usize, StreamIx)> =
            looked_at.filter(may_go).map(|ix| (watchers(ix), ix)).collect();
        if go.len() < taken {
            return false;
        }
        for (_, ix) in go.into_iter().take(taken) {
            let stream = &self.streams[ix.0 as usize];
            let conns: Vec<ConnId> = stream.subscribers.keys().copied().collect();
            let streams = vec![stream.name.clone()];
            for &conn in &conns {
                self.end(now, conn, ix, effects);
            }
            let message = "you watch most streams, and others are to have one, too";
            effects.deliver(Notice::Unsubscribed { streams, message }, conns);
        }
        true
    }

    /// The stream of this name, which comes into being if a family has it. It does not go for another until it is [let
    /// go of](Self::let_go), watched, or published to.
    pub(super) fn obtain(
        &mut self,
        now: Now,
        name: &StreamId,
        holder: Holder,
        effects: &mut Effects,
    ) -> Result<StreamIx, Refusal> {
        let declaration = Rc::clone(self.declaration(name).ok_or(NO_SUCH_STREAM)?);
        let ix = match self.ix(name) {
            Some(ix) => ix,
            None => {
                let all = self.settings.all_streams;
                let has_place = self.streams.len() < all
                    || self.drop_idle()
                    || self.take_places(now, holder, (1, 1), &[], effects)
                        && (self.streams.len() < all || self.drop_idle());
                if !has_place {
                    return Err(Refusal::quota("streams", ALL_STREAMS, all as u64));
                }
                self.add(name.clone(), declaration)
            }
        };
        self.streams[ix.0 as usize].is_obtained = true;
        self.touch(now.moment, ix);
        Ok(ix)
    }

    /// Forgets an idle stream: should it come again, it has another epoch.
    fn drop_idle(&mut self) -> bool {
        let Some(ix) = self.holdings.first_to_go() else { return false };
        self.forget(ix);
        true
    }

    /// Makes room for an event of so many bytes in a stream that has been obtained for whoever publishes it: the oldest
    /// events of whoever has most go for it.
    pub(super) fn make_room(
        &mut self,
        ix: StreamIx,
        holder: Holder,
        bytes: usize,
    ) -> Result<(), Refusal> {
        let max = self.settings.all_streams_bytes;
        let stream = &self.streams[ix.0 as usize];
        // What is replaced goes on being kept for filters.
        let grows_by = stream.grows_by(bytes, self.settings.stream_bytes);
        let more = if stream.filters.is_empty() { grows_by } else { bytes };
        // As the newest event it is one of those that do not go for others.
        let own = if stream.filled_by == holder { stream.fixed_bytes() } else { 0 };
        let fixes = bytes.saturating_sub(own);
        if stream.is_for_good() && fixes > 0 && !self.holdings.may_fix(holder, fixes, max) {
            return Err(Refusal::quota("all_streams_bytes", OWN_STREAM_BYTES, max as u64));
        }
        if more > max || !self.shrink_to(max - more, holder, more) {
            return Err(Refusal::quota("all_streams_bytes", ALL_STREAM_BYTES, max as u64));
        }
        Ok(())
    }

    /// Lets go of what is kept, of whoever has most, until it is so much: somebody is to have `more`. Whether that is
    /// enough.
    pub(super) fn shrink_to(&mut self, max: usize, holder: Holder, more: usize) -> bool {
        loop {
            let beyond = self.holdings.all_bytes().saturating_sub(max);
            if beyond == 0 {
                return true;
            }
            let Some(ix) = self.holdings.first_to_shrink(holder, more) else { return false };
            let stream = &mut self.streams[ix.0 as usize];
            let least = usize::from(stream.is_for_good());
            self.cut_events += stream.shrink(beyond, least);
            let idle_since = stream.held.and_then(|held| held.idle_since);
            if idle_since.is_some() && stream.bytes() == 0 {
                self.forget(ix);
            } else {
                self.count(ix, idle_since);
            }
        }
    }
}
