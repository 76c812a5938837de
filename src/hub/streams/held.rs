//! Whose the streams are: what each holder has of the places for streams, and of the bytes of what is kept.
//!
//! Streams that are watched, stored or declared by their name stay. Streams of a family that nobody watches are idle:
//! they go where room is needed, first of whoever has most of them.

use super::stream::StreamIx;
use crate::base::{Moment, Shares};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

/// Whose a stream is: a number for a user or for an address of guests, which two may have. Nobody's is what an
/// administrator, the embedding program or a source begins, and what was there at the start: it has no share.
pub type Holder = Option<NonZeroU32>;

/// As what a stream is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Held {
    /// Who has begun its events.
    pub(super) made_by: Holder,
    /// Who has published the newest of them: for them what is kept of it counts.
    pub(super) filled_by: Holder,
    /// What is kept of it.
    pub(super) bytes: usize,
    /// Of these, what does not go for others: the newest event of a stream that is durable, or declared by its name.
    pub(super) fixed: usize,
    /// Its numbers stand in the store.
    pub(super) is_stored: bool,
    /// Whoever watches it holds it.
    pub(super) is_for_watchers: bool,
    /// Since when nobody has used it, if it may go.
    pub(super) idle_since: Option<Moment>,
}

/// Whether it is idle, its bytes, since when it is idle.
type BySize = (bool, usize, Reverse<Moment>, StreamIx);

impl Held {
    /// As what its place counts.
    fn place(&self) -> (Holder, bool, Option<Moment>) {
        (self.made_by, self.is_stored, self.idle_since)
    }

    fn place_by_size(&self, ix: StreamIx) -> (Holder, BySize) {
        let since = Reverse(self.idle_since.unwrap_or(Moment::NEVER));
        (self.filled_by, (self.idle_since.is_some(), self.bytes, since, ix))
    }
}

/// Of so many who have most it is seen whether there is something to take.
const HOLDERS_LOOKED_AT_MAX: usize = 64;

/// What the holders have.
#[derive(Debug, Default)]
pub(super) struct Holdings {
    /// How many streams stay.
    staying: usize,
    /// Bytes of what is kept.
    bytes: Shares<Holder>,
    /// Those of them that are fixed.
    fixed_bytes: Shares<Holder>,
    /// The streams that have others: of each holder those that are idle last, of these the largest, of those that are as
    /// large the longest idle.
    by_size: BTreeSet<(Holder, BySize)>,
    /// Streams that are stored, by who has begun them.
    stored: Shares<Holder>,
    /// On how many connections somebody watches a stream of a family that is not stored.
    watches: BTreeMap<(NonZeroU32, StreamIx), u32>,
    /// How many such streams somebody watches.
    watched: Shares<NonZeroU32>,
    /// Streams that are idle, by who has begun them.
    idle: Shares<Holder>,
    /// Which, the longest idle first.
    idle_streams: BTreeMap<Holder, BTreeSet<(Moment, StreamIx)>>,
}

impl Holdings {
    /// A stream counts otherwise than before; none: not any more.
    pub(super) fn settle(&mut self, ix: StreamIx, before: Option<Held>, after: Option<Held>) {
        if before == after {
            return;
        }
        if let Some(held) = before {
            self.remove_bytes(ix, &held);
        }
        if let Some(held) = after {
            self.add_bytes(ix, &held);
        }
        // Most events of a stream that is watched change its bytes alone.
        if before.map(|held| held.place()) == after.map(|held| held.place()) {
            return;
        }
        if let Some(held) = before {
            self.remove_place(ix, &held);
        }
        if let Some(held) = after {
            self.add_place(ix, &held);
        }
    }

    fn add_bytes(&mut self, ix: StreamIx, held: &Held) {
        self.bytes.add(&held.filled_by, held.bytes as u64);
        self.fixed_bytes.add(&held.filled_by, held.fixed as u64);
        if held.bytes > held.fixed {
            self.by_size.insert(held.place_by_size(ix));
        }
    }

    fn remove_bytes(&mut self, ix: StreamIx, held: &Held) {
        self.bytes.remove(&held.filled_by, held.bytes as u64);
        self.fixed_bytes.remove(&held.filled_by, held.fixed as u64);
        if held.bytes > held.fixed {
            self.by_size.remove(&held.place_by_size(ix));
        }
    }

    fn add_place(&mut self, ix: StreamIx, held: &Held) {
        let (made_by, is_stored, idle_since) = held.place();
        if let Some(since) = idle_since {
            self.idle.add(&made_by, 1);
            self.idle_streams.entry(made_by).or_default().insert((since, ix));
        } else {
            self.staying += 1;
            self.stored.add(&made_by, u64::from(is_stored));
        }
    }

    fn remove_place(&mut self, ix: StreamIx, held: &Held) {
        let (made_by, is_stored, idle_since) = held.place();
        let Some(since) = idle_since else {
            self.staying -= 1;
            return self.stored.remove(&made_by, u64::from(is_stored));
        };
        self.idle.remove(&made_by, 1);
        if let Some(streams) = self.idle_streams.get_mut(&made_by) {
            streams.remove(&(since, ix));
            if streams.is_empty() {
                self.idle_streams.remove(&made_by);
            }
        }
    }

    /// A connection of somebody watches a stream that is held by this.
    pub(super) fn watch(&mut self, holder: Holder, ix: StreamIx) {
        let Some(holder) = holder else { return };
        let conns = self.watches.entry((holder, ix)).or_insert(0);
        *conns += 1;
        if *conns == 1 {
            self.watched.add(&holder, 1);
        }
    }

    /// A connection of somebody watches such a stream no more.
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

    /// How many of so many more streams may not stay for a holder, of `max` for all: nobody has more than are free, as
    /// with [`Shares::may_add`].
    pub(super) fn beyond_share(&self, holder: Holder, wanted: usize, max: usize) -> usize {
        let free = max.saturating_sub(self.staying);
        let held = holder.map_or(0, |holder| self.held_by(holder) as usize);
        // Each that they get is one less of those that are free.
        let within = if holder.is_some() { (free.saturating_sub(held)).div_ceil(2) } else { free };
        wanted.saturating_sub(within)
    }

    /// What is watched by whoever watches so many more than another has, of whoever watches most first.
    pub(super) fn watched_by_more(
        &self,
        than: Holder,
        more: usize,
    ) -> impl Iterator<Item = StreamIx> {
        let holders = self.watched.largest_first().map(|(holder, _)| *holder);
        let have_more = holders.take_while(move |one| self.has_more(Some(*one), than, more));
        have_more.flat_map(|one| {
            let watched = (one, StreamIx(0))..=(one, StreamIx(u32::MAX));
            self.watches.range(watched).rev().map(|((_, ix), _)| *ix)
        })
    }

    /// Whether somebody watches so many more than another has.
    pub(super) fn has_more(&self, one: Holder, other: Holder, more: usize) -> bool {
        let watched = one.map_or(0, |one| self.watched.of(&one));
        watched >= other.map_or(0, |other| self.held_by(other)) + more as u64
    }

    /// Whether so many bytes more may be fixed for a holder, of `max` for all: no more than are free.
    pub(super) fn may_fix(&self, holder: Holder, more: usize, max: usize) -> bool {
        let bytes = &self.fixed_bytes;
        let has = if holder.is_some() { bytes.of(&holder) } else { 0 };
        has.saturating_add(more as u64) <= (max as u64).saturating_sub(bytes.total())
    }

    /// The idle stream that goes first: the longest idle one of whoever has most.
    pub(super) fn first_to_go(&self) -> Option<StreamIx> {
        let (holder, _) = self.idle.largest()?;
        self.idle_streams.get(holder)?.first().map(|(_, ix)| *ix)
    }

    /// The stream of which something goes, where a holder is to have so many bytes more: of whoever has most then the
    /// largest that is idle, or the largest.
    pub(super) fn first_to_shrink(&self, holder: Holder, more: usize) -> Option<StreamIx> {
        let own = self.bytes.of(&holder).saturating_add(more as u64);
        let larger = self.bytes.largest_first().take_while(|(_, size)| *size > own);
        let holders = larger.map(|(holder, _)| *holder).filter(|one| *one != holder);
        let least = (false, 0, Reverse(Moment::NEVER), StreamIx(0));
        let most = (true, usize::MAX, Reverse(Moment::ZERO), StreamIx(u32::MAX));
        let first_of = |one: Holder| {
            let (_, (.., ix)) = self.by_size.range((one, least)..=(one, most)).next_back()?;
            Some(*ix)
        };
        holders.take(HOLDERS_LOOKED_AT_MAX).chain([holder]).find_map(first_of)
    }

    /// How many streams stay, and the bytes of what is kept of all.
    pub(super) fn staying(&self) -> (usize, usize) {
        (self.staying, self.all_bytes())
    }

    /// The bytes of what is kept of all streams.
    pub(super) fn all_bytes(&self) -> usize {
        self.bytes.total() as usize
    }

    /// For a census: what is remembered of those who watch.
    pub(super) fn watches(&self) -> usize {
        self.watches.len() + self.watched.holders()
    }
}
