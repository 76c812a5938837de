//! The streams of all hubs of a store: one table behind a lock, which a hub takes for each input
//! about streams. So numbers, limits, rates and shares are those of one hub, however many there are.
//!
//! What a hub decides may concern connections of others: those effects wait in the inboxes of these
//! hubs, in the order in which all was decided. A hub takes what is in its own inbox before it
//! decides anything about streams.

use super::table::{StreamSettings, Streams};
use crate::base::limits::{STREAM_INBOX_BYTES_MAX, STREAM_INBOX_MAX};
use crate::base::{ConnId, Effect, Effects, News, Notice, StreamState};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Deref, DerefMut, Range};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The streams, and what waits for hubs.
#[derive(Debug)]
pub(in crate::hub) struct AllStreams {
    streams: Streams,
    /// By the number of the hub; none for a hub alone.
    inboxes: Vec<Inbox>,
}

/// Effects for the connections of a hub, which others have decided.
#[derive(Debug, Default)]
struct Inbox {
    effects: Effects,
    /// Bytes of the events in it.
    bytes: usize,
    /// How many events connections were not sent, as they read slowly.
    skipped: BTreeMap<ConnId, u32>,
    /// Its hub has been told that there is something.
    is_told: bool,
    /// It was full: connections of its hub are behind for that.
    was_full: bool,
}

impl Inbox {
    fn is_empty(&self) -> bool {
        self.effects.list.is_empty() && self.skipped.is_empty() && !self.was_full
    }

    fn is_full(&self) -> bool {
        self.effects.list.len() >= STREAM_INBOX_MAX || self.bytes >= STREAM_INBOX_BYTES_MAX
    }
}

impl AllStreams {
    /// The streams for so many hubs: those declared by name, each with its own epoch, and those of
    /// the store.
    pub(in crate::hub) fn new(
        settings: StreamSettings,
        stored: Vec<StreamState>,
        hubs: usize,
        seed: u64,
    ) -> AllStreams {
        let streams = Streams::new(settings, stored, seed);
        let inboxes = if hubs > 1 { hubs } else { 0 };
        AllStreams { streams, inboxes: (0..inboxes).map(|_| Inbox::default()).collect() }
    }

    /// Moves what waits for a hub to its effects. Of `missed` events it gets no later ones: their
    /// subscriptions are fed.
    fn take(&mut self, hub: usize, missed: &mut BTreeSet<(ConnId, u32)>, effects: &mut Effects) {
        let Some(inbox) = self.inboxes.get_mut(hub).filter(|inbox| !inbox.is_empty()) else {
            return missed.clear();
        };
        let Inbox { effects: mut waiting, skipped, was_full, .. } = std::mem::take(inbox);
        let skips = skipped.into_iter().map(|(conn, count)| Effect::Skipped { conn, count });
        effects.list.extend(skips);
        for effect in waiting.list.drain(..) {
            match effect {
                Effect::Deliver { recipients, notice } => {
                    let of_event = match &notice {
                        Notice::Event { source, .. } => Some(*source),
                        _ => None,
                    };
                    let is_meant = |conn: &ConnId| {
                        of_event.is_none_or(|source| !missed.contains(&(*conn, source)))
                    };
                    let to = waiting.recipients[recipients].iter().copied().filter(is_meant);
                    effects.deliver(notice, to);
                }
                other => effects.push(other),
            }
        }
        missed.clear();
        if was_full {
            let behind = self.streams.behind().filter(|conn| conn.reactor() == hub);
            effects.list.extend(behind.map(|conn| Effect::TellDrained { conn }));
        }
    }

    /// Leaves to a hub what it has just decided for its own connections, and puts the rest into the
    /// inboxes.
    fn deal_out(&mut self, hub: usize, from: usize, effects: &mut Effects) {
        if self.inboxes.is_empty() {
            return;
        }
        for effect in effects.list.split_off(from) {
            match effect {
                Effect::Deliver { recipients, notice } => {
                    self.deal_out_notice(hub, recipients, notice, effects);
                }
                // Who has left it does not count for it until the other one does.
                Effect::Watched { stream, by: Some(conn) } if conn.reactor() != hub => {
                    if let Some(inbox) = self.inboxes.get_mut(conn.reactor()) {
                        let stream = stream.clone();
                        inbox.effects.push(Effect::Watched { stream, by: Some(conn) });
                    }
                    effects.push(Effect::Watched { stream, by: Some(conn) });
                }
                // One number for each, as these are as many as the events that a hub does not take.
                Effect::Skipped { conn, count } if conn.reactor() != hub => {
                    if let Some(inbox) = self.inboxes.get_mut(conn.reactor()) {
                        let skipped = inbox.skipped.entry(conn).or_default();
                        *skipped = skipped.saturating_add(count);
                    }
                }
                Effect::TakeBack { conn, .. }
                | Effect::WaitToScan { conn }
                | Effect::Scanned { conn, .. }
                | Effect::TellDrained { conn }
                | Effect::TooSlow { conn } => match self.inboxes.get_mut(conn.reactor()) {
                    Some(inbox) if conn.reactor() != hub => inbox.effects.push(effect),
                    _ => effects.push(effect),
                },
                of_this_hub => effects.push(of_this_hub),
            }
        }
        for (other, inbox) in self.inboxes.iter_mut().enumerate() {
            if other != hub && !inbox.is_empty() && !std::mem::replace(&mut inbox.is_told, true) {
                effects.push(Effect::Tell { hub: Some(other), news: News::Streams });
            }
        }
    }

    fn deal_out_notice(
        &mut self,
        hub: usize,
        recipients: Range<usize>,
        notice: Notice,
        effects: &mut Effects,
    ) {
        let all = &effects.recipients[recipients.clone()];
        if all.iter().all(|conn| conn.reactor() == hub) {
            return effects.push(Effect::Deliver { recipients, notice });
        }
        let mut of_hubs = vec![Vec::new(); self.inboxes.len()];
        for conn in all {
            if let Some(of_it) = of_hubs.get_mut(conn.reactor()) {
                of_it.push(*conn);
            }
        }
        let own = of_hubs.get_mut(hub).map(std::mem::take).unwrap_or_default();
        let others = self.inboxes.iter_mut().zip(of_hubs);
        for (inbox, of_it) in others.filter(|(_, of_it)| !of_it.is_empty()) {
            match &notice {
                Notice::Event { source, event, prev, .. } if inbox.is_full() => {
                    for conn in of_it {
                        self.streams.missed(conn, *source, event.seq, *prev);
                        inbox.was_full = true;
                    }
                    continue;
                }
                Notice::Age { source, .. } if inbox.is_full() => {
                    for conn in of_it {
                        self.streams.age_missed(conn, *source);
                        inbox.was_full = true;
                    }
                    continue;
                }
                Notice::Event { event, .. } => inbox.bytes += event.bytes(),
                _ => {}
            }
            inbox.effects.deliver(notice.clone(), of_it);
        }
        effects.deliver(notice, own);
    }
}

/// All streams, as one hub has them.
#[derive(Debug)]
pub(in crate::hub) struct SharedStreams {
    all: Arc<Mutex<AllStreams>>,
    hub: usize,
    /// Connections of this hub that have missed an event, with its source: what waits for them in
    /// the inbox was decided before that was known.
    missed: BTreeSet<(ConnId, u32)>,
}

/// The streams, which nobody else has meanwhile.
#[derive(Debug)]
pub struct StreamsGuard<'a>(MutexGuard<'a, AllStreams>);

impl Deref for StreamsGuard<'_> {
    type Target = Streams;

    fn deref(&self) -> &Streams {
        &self.0.streams
    }
}

impl DerefMut for StreamsGuard<'_> {
    fn deref_mut(&mut self) -> &mut Streams {
        &mut self.0.streams
    }
}

impl SharedStreams {
    pub(in crate::hub) fn new(all: Arc<Mutex<AllStreams>>, hub: usize) -> SharedStreams {
        SharedStreams { all, hub, missed: BTreeSet::new() }
    }

    /// Whether they are the first hub's.
    pub(in crate::hub) fn is_of_first(&self) -> bool {
        self.hub == 0
    }

    /// A thread that panics while it holds this ends the process.
    pub(in crate::hub) fn lock(&self) -> StreamsGuard<'_> {
        StreamsGuard(self.all.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Decides something about streams. What others have decided for this hub's connections comes
    /// first.
    pub(in crate::hub) fn with<T>(
        &mut self,
        effects: &mut Effects,
        decide: impl FnOnce(&mut Streams, &mut Effects) -> T,
    ) -> T {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.take(self.hub, &mut self.missed, effects);
        let from = effects.list.len();
        let decided = decide(&mut all.streams, effects);
        all.deal_out(self.hub, from, effects);
        decided
    }

    /// Takes what others have decided for this hub's connections.
    pub(in crate::hub) fn hear(&mut self, effects: &mut Effects) {
        self.with(effects, |_, _| ());
    }

    /// An event did not fit a connection's outbox.
    pub(in crate::hub) fn missed(&mut self, conn: ConnId, source: u32, seq: u64, prev: u64) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.streams.missed(conn, source, seq, prev);
        if !all.inboxes.is_empty() {
            self.missed.insert((conn, source));
        }
    }

    /// A notice of a stream's age did not fit a connection's outbox.
    pub(in crate::hub) fn age_missed(&mut self, conn: ConnId, source: u32) {
        self.lock().age_missed(conn, source);
    }
}
