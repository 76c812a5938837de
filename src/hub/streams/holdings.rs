//! The shares of holders: their part of the places for streams, and of the bytes of kept events.
//!
//! Streams that are watched, stored or declared by name are pinned. Streams of a family that nobody
//! watches are idle: they are dropped when room is needed, first those of the holder with most.

use super::holder_bytes::{HolderBytes, KeptBytes};
use super::stream::StreamIx;
use crate::base::{Moment, Shares};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::num::NonZeroU32;

/// A holder of streams: a number for a user or a guests' address; two may share one. `None` for
/// streams that an admin, the embedding program or a source began, and for those from before the
/// start: they have no share.
pub type Holder = Option<NonZeroU32>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StreamHolding {
    /// Who began its events.
    pub(super) made_by: Holder,
    /// Who published its newest event. The stream's bytes count for them.
    pub(super) filled_by: Holder,
    /// Bytes of kept events, except those kept only for filters.
    pub(super) bytes: usize,
    /// Bytes kept only for filters.
    pub(super) passed_bytes: usize,
    /// The part of `bytes` never dropped for others: the newest event of a stream that is durable
    /// or declared by name.
    pub(super) fixed: usize,
    /// The store has its numbers.
    pub(super) is_stored: bool,
    /// Its watchers hold it.
    pub(super) is_for_watchers: bool,
    /// Since when it is unused, if it may be dropped.
    pub(super) idle_since: Option<Moment>,
}

/// Whether it is idle, its bytes, since when it is idle.
type BySize = (bool, usize, Reverse<Moment>, Reverse<StreamIx>);

impl StreamHolding {
    fn kept(&self) -> KeptBytes {
        KeptBytes { all: self.bytes, fixed: self.fixed }
    }

    /// Under whom its place counts: for an idle stream, whoever's events it keeps.
    fn place(&self) -> (Holder, bool, Option<Moment>) {
        let holder = if self.idle_since.is_some() { self.filled_by } else { self.made_by };
        (holder, self.is_stored, self.idle_since)
    }

    fn place_by_size(&self, ix: StreamIx) -> (Holder, BySize) {
        let since = Reverse(self.idle_since.unwrap_or(Moment::NEVER));
        (self.filled_by, (self.idle_since.is_some(), self.bytes, since, Reverse(ix)))
    }
}

/// A stream that may be evicted: taken from its watchers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Evictable {
    pub(super) watchers: usize,
    pub(super) holders: BTreeSet<NonZeroU32>,
}

/// At most this many of the largest holders are searched for a stream to evict.
const HOLDERS_TRIED_MAX: usize = 1_024;
/// Per holder, this many streams at most are skipped because holders with less watch them too.
const EVICTIONS_SKIPPED_MAX: usize = 256;
/// Each step drops at least this share of the excess, so that steps stay few.
const SHRINK_STEPS: usize = 16;

#[derive(Debug, Default)]
pub(super) struct Holdings {
    pinned: usize,
    bytes: HolderBytes,
    /// They count for nobody.
    passed_bytes: usize,
    /// The streams with such bytes, and how many.
    passed: BTreeSet<(usize, StreamIx)>,
    /// Streams with droppable bytes. Per holder, idle ones come last; among these the largest;
    /// among equals the longest idle.
    by_size: BTreeSet<(Holder, BySize)>,
    /// Stored streams, by who began them.
    stored: Shares<Holder>,
    /// The connections of a holder that watch a stream of a family that is not stored.
    watches: BTreeMap<(NonZeroU32, StreamIx), u32>,
    /// How many such streams each holder watches.
    watched: Shares<NonZeroU32>,
    /// Those of them that may be evicted, the least watched first.
    evictable: BTreeSet<(NonZeroU32, usize, StreamIx)>,
    /// Idle streams, by whose events are kept.
    idle: Shares<Holder>,
    /// The idle streams, the longest idle first.
    idle_streams: BTreeMap<Holder, BTreeSet<(Moment, StreamIx)>>,
}

impl Holdings {
    /// Updates how a stream counts; `after` is `None` when the stream is gone.
    pub(super) fn settle(
        &mut self,
        ix: StreamIx,
        before: Option<StreamHolding>,
        after: Option<StreamHolding>,
    ) {
        if before == after {
            return;
        }
        match (before, after) {
            (Some(one), Some(other)) if one.filled_by != other.filled_by => {
                self.change_bytes(ix, one.filled_by, before, None);
                self.change_bytes(ix, other.filled_by, None, after);
            }
            (Some(held), _) | (None, Some(held)) => {
                self.change_bytes(ix, held.filled_by, before, after);
            }
            (None, None) => {}
        }
        match (before.map(|held| held.place()), after.map(|held| held.place())) {
            (before, after) if before == after => {}
            (Some((one, _, Some(before))), Some((other, _, Some(after)))) if one == other => {
                if let Some(streams) = self.idle_streams.get_mut(&one) {
                    streams.remove(&(before, ix));
                    streams.insert((after, ix));
                }
            }
            _ => {
                if let Some(held) = before {
                    self.remove_place(ix, &held);
                }
                if let Some(held) = after {
                    self.add_place(ix, &held);
                }
            }
        }
    }

    fn change_bytes(
        &mut self,
        ix: StreamIx,
        filled_by: Holder,
        before: Option<StreamHolding>,
        after: Option<StreamHolding>,
    ) {
        let kept = |held: Option<StreamHolding>| held.map(|held| held.kept()).unwrap_or_default();
        self.bytes.change(filled_by, kept(before), kept(after));
        let passed = |held: Option<StreamHolding>| held.map_or(0, |held| held.passed_bytes);
        let (was, is) = (passed(before), passed(after));
        if was != is {
            self.passed_bytes = self.passed_bytes - was + is;
            self.passed.remove(&(was, ix));
            if is > 0 {
                self.passed.insert((is, ix));
            }
        }
        let by_size = |held: Option<StreamHolding>| {
            held.filter(|held| held.bytes > held.fixed).map(|held| held.place_by_size(ix))
        };
        let (before, after) = (by_size(before), by_size(after));
        if before != after {
            before.map(|before| self.by_size.remove(&before));
            after.map(|after| self.by_size.insert(after));
        }
    }

    fn add_place(&mut self, ix: StreamIx, held: &StreamHolding) {
        let (holder, is_stored, idle_since) = held.place();
        if let Some(since) = idle_since {
            self.idle.add(&holder, 1);
            self.idle_streams.entry(holder).or_default().insert((since, ix));
        } else {
            self.pinned += 1;
            self.stored.add(&holder, u64::from(is_stored));
        }
    }

    fn remove_place(&mut self, ix: StreamIx, held: &StreamHolding) {
        let (holder, is_stored, idle_since) = held.place();
        let Some(since) = idle_since else {
            self.pinned -= 1;
            return self.stored.remove(&holder, u64::from(is_stored));
        };
        self.idle.remove(&holder, 1);
        if let Some(streams) = self.idle_streams.get_mut(&holder) {
            streams.remove(&(since, ix));
            if streams.is_empty() {
                self.idle_streams.remove(&holder);
            }
        }
    }

    /// A connection of `holder` begins to watch a stream of a family.
    pub(super) fn watch(&mut self, holder: Holder, ix: StreamIx) {
        let Some(holder) = holder else { return };
        let conns = self.watches.entry((holder, ix)).or_insert(0);
        *conns += 1;
        if *conns == 1 {
            self.watched.add(&holder, 1);
        }
    }

    /// A connection of `holder` stops watching it.
    pub(super) fn unwatch(&mut self, holder: Holder, ix: StreamIx) {
        let Some(holder) = holder else { return };
        let Some(conns) = self.watches.get_mut(&(holder, ix)) else { return };
        *conns -= 1;
        if *conns == 0 {
            self.watches.remove(&(holder, ix));
            self.watched.remove(&holder, 1);
        }
    }

    fn held_by(&self, holder: NonZeroU32) -> u64 {
        self.watched.of(&holder) + self.stored.of(&Some(holder))
    }

    /// How many of `wanted` more streams a holder may not keep, with `max` for all: nobody has more
    /// than are free, as with [`Shares::may_add`].
    pub(super) fn beyond_share(&self, holder: Holder, wanted: usize, max: usize) -> usize {
        let free = max.saturating_sub(self.pinned);
        let held = holder.map_or(0, |holder| self.held_by(holder) as usize);
        // Each stream that they get leaves one fewer free.
        let within = if holder.is_some() { (free.saturating_sub(held)).div_ceil(2) } else { free };
        wanted.saturating_sub(within)
    }

    /// Whether a connection of `holder` watches the stream.
    pub(super) fn is_watched_by(&self, holder: Holder, ix: StreamIx) -> bool {
        holder.is_some_and(|holder| self.watches.contains_key(&(holder, ix)))
    }

    pub(super) fn settle_evictable(
        &mut self,
        ix: StreamIx,
        before: Option<&Evictable>,
        after: Option<&Evictable>,
    ) {
        if let Some(Evictable { watchers, holders }) = before {
            for &holder in holders {
                self.evictable.remove(&(holder, *watchers, ix));
            }
        }
        if let Some(Evictable { watchers, holders }) = after {
            self.evictable.extend(holders.iter().map(|&holder| (holder, *watchers, ix)));
        }
    }

    /// Chooses `count` streams to evict for a holder who wants `wanted` more, each from whoever
    /// watches most at that point. Each watcher must still have no fewer than the holder will have.
    /// `None` if there are not so many.
    pub(super) fn choose_evictions(
        &self,
        (holder, wanted): (Holder, usize),
        count: usize,
        holders_of: impl Fn(StreamIx) -> BTreeSet<NonZeroU32>,
        named: &[StreamIx],
    ) -> Option<BTreeSet<StreamIx>> {
        let enough = holder.map_or(0, |holder| self.held_by(holder)) + wanted as u64;
        let mut taken = BTreeSet::new();
        // Per holder: how many fewer they will have; the last stream looked at, and how many were
        // skipped.
        let mut fewer: BTreeMap<NonZeroU32, u64> = BTreeMap::new();
        let mut looked: BTreeMap<NonZeroU32, (Option<(usize, StreamIx)>, usize)> = BTreeMap::new();
        let mut nothing_of = 0;
        // The largest holders, with the number last seen; they may have fewer by now.
        let mut larger = self.watched.largest_first().peekable();
        let mut seen_with = BinaryHeap::new();
        while taken.len() < count {
            let has = |one: &NonZeroU32| self.watched.of(one) - fewer.get(one).unwrap_or(&0);
            while let Some((one, had)) =
                larger.next_if(|(_, had)| seen_with.peek().is_none_or(|(most, _)| had > most))
            {
                seen_with.push((had, *one));
            }
            let (had, one) = seen_with.pop()?;
            if had <= enough {
                return None;
            }
            if had > has(&one) {
                seen_with.push((has(&one), one));
                continue;
            }
            let (from, seen) = looked.entry(one).or_default();
            let begin = from.map_or((0, StreamIx(0)), |(watchers, StreamIx(ix))| {
                (watchers, StreamIx(ix.saturating_add(1)))
            });
            let range = (one, begin.0, begin.1)..=(one, usize::MAX, StreamIx(u32::MAX));
            let next = self.evictable.range(range).next();
            let Some(&(_, watchers, ix)) = next.filter(|_| *seen <= EVICTIONS_SKIPPED_MAX) else {
                nothing_of += 1;
                if nothing_of > HOLDERS_TRIED_MAX {
                    return None;
                }
                continue;
            };
            seen_with.push((had, one));
            *from = Some((watchers, ix));
            let holders = holders_of(ix);
            if named.contains(&ix)
                || taken.contains(&ix)
                || !holders.iter().all(|one| has(one) > enough)
            {
                *seen += 1;
                continue;
            }
            for one in holders {
                *fewer.entry(one).or_default() += 1;
            }
            taken.insert(ix);
        }
        Some(taken)
    }

    /// Whether `more` bytes may become fixed for a holder, with `max` for all: no more than are
    /// free.
    pub(super) fn may_fix(&self, holder: Holder, more: usize, max: usize) -> bool {
        let has = if holder.is_some() { self.bytes.of(holder).fixed } else { 0 };
        has.saturating_add(more) <= max.saturating_sub(self.bytes.total().fixed)
    }

    /// The idle stream to drop first: the longest idle one of the holder with most.
    pub(super) fn next_to_drop(&self) -> Option<StreamIx> {
        let (holder, _) = self.idle.largest()?;
        self.idle_streams.get(holder)?.first().map(|(_, ix)| *ix)
    }

    /// Holders with droppable bytes and more than the wanting holder will have, largest first; all
    /// of them if nobody in particular wants bytes.
    fn larger_than(&self, wants: Option<(Holder, usize)>) -> impl Iterator<Item = (Holder, usize)> {
        let own = self.with_wanted(wants);
        let larger = self.bytes.largest_first().take_while(move |(_, size)| *size > own);
        larger.filter(move |(one, _)| wants.is_none_or(|(holder, _)| holder != *one))
    }

    fn with_wanted(&self, wants: Option<(Holder, usize)>) -> usize {
        wants.map_or(0, |(holder, more)| self.bytes.of(holder).all.saturating_add(more))
    }

    /// Whether `bytes` could be dropped so that a holder gets `more`: what larger holders have
    /// beyond that, and the holder's own; fixed bytes stay.
    pub(super) fn could_free(&self, holder: Holder, more: usize, bytes: usize) -> bool {
        let own = self.with_wanted(Some((holder, more)));
        let mut enough = self.passed_bytes.saturating_add(self.bytes.of(holder).droppable());
        let mut larger = self.larger_than(Some((holder, more))).take(HOLDERS_TRIED_MAX);
        while enough < bytes {
            let Some((one, size)) = larger.next() else { return false };
            enough = enough.saturating_add((size - own).min(self.bytes.of(one).droppable()));
        }
        true
    }

    /// The next stream to shrink, and by how many of the `beyond` bytes too many: of the largest
    /// holder, down to the next one's size, the largest idle stream, or else the largest.
    pub(super) fn first_to_shrink(
        &self,
        wants: Option<(Holder, usize)>,
        beyond: usize,
    ) -> Option<(StreamIx, usize)> {
        let least = (false, 0, Reverse(Moment::NEVER), Reverse(StreamIx(u32::MAX)));
        let most = (true, usize::MAX, Reverse(Moment::ZERO), Reverse(StreamIx(0)));
        let first_of = |one: Holder| {
            let (_, (.., Reverse(ix))) =
                self.by_size.range((one, least)..=(one, most)).next_back()?;
            Some(*ix)
        };
        let own = self.with_wanted(wants);
        let mut larger = self.larger_than(wants);
        if let Some((one, size)) = larger.next() {
            let step = size - larger.next().map_or(own, |(_, next)| next);
            return Some((first_of(one)?, step.max(beyond.div_ceil(SHRINK_STEPS)).min(beyond)));
        }
        let (holder, _) = wants?;
        Some((first_of(holder)?, beyond))
    }

    /// The stream that keeps most bytes only for filters, if any does.
    pub(super) fn first_to_forget_passed(&self) -> Option<StreamIx> {
        self.passed.last().map(|(_, ix)| *ix)
    }

    /// The number of streams that stay, and the bytes of all kept events.
    pub(super) fn pinned(&self) -> (usize, usize) {
        (self.pinned, self.all_bytes())
    }

    pub(super) fn all_bytes(&self) -> usize {
        self.bytes.total().all.saturating_add(self.passed_bytes)
    }

    /// For a census: the state kept for watchers.
    pub(super) fn watches(&self) -> usize {
        self.watches.len() + self.watched.holders() + self.evictable.len()
    }
}
