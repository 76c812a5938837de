//! The store, with what it was asked and has not answered, and what it has told and the hub has not
//! been told.

use crate::base::limits::{AWAITED_MIN, AWAITED_MS_MAX, STORE_QUEUE_MAX, STORE_REFUSED_MS};
use crate::base::{Moment, Outcome, Told};
use crate::server::metrics::pools::Used;
use crate::store::{NotTaken, RecordStore};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// It has not refused to write lately.
pub(super) const TAKES: u64 = u64::MAX;

/// A store and what is under way at it.
#[derive(Debug)]
pub(super) struct StoreClient<S> {
    pub(super) store: S,
    /// Records and queries without an answer, and answers of which the hub has not been told.
    waiting: usize,
    told: VecDeque<(Told, u64)>,
    /// The first ticket of a record in each turn in which there was one, and the turn, as long as
    /// the store has not answered it; at most [`STORE_QUEUE_MAX`].
    written: VecDeque<(u64, Moment)>,
    /// The ticket of the record that was answered last.
    answered: u64,
    /// When the store last refused to write for any thread, in ms, if it has taken nothing since; else
    /// [`TAKES`].
    refused: Arc<AtomicU64>,
}

impl<S: RecordStore> StoreClient<S> {
    pub(super) fn new(store: S, refused: Arc<AtomicU64>) -> StoreClient<S> {
        let (told, written) = (VecDeque::new(), VecDeque::new());
        StoreClient { store, waiting: 0, told, written, answered: 0, refused }
    }

    /// Asks the store for something. If it takes that, it will answer it.
    ///
    /// # Errors
    /// Why it does not take it.
    pub(super) fn ask(
        &mut self,
        ask: impl FnOnce(&mut S) -> Result<(), NotTaken>,
    ) -> Result<(), NotTaken> {
        ask(&mut self.store)?;
        self.waiting += 1;
        Ok(())
    }

    /// The store has taken a record. Tickets rise.
    pub(super) fn note_written(&mut self, ticket: u64, now: Moment) {
        if self.written.back().is_none_or(|(_, turn)| *turn != now) {
            self.written.push_back((ticket, now));
        }
    }

    /// How long the store took for a record, in ms, from turn to turn; `None` for what is none. The
    /// store answers records in the order of their tickets.
    pub(super) fn took_ms(&mut self, told: &Told, now: Moment) -> Option<u64> {
        let ticket = told.ticket()?;
        if let Told::Answer { outcome: Outcome::Page(_) | Outcome::Positions(_), .. } = told {
            return None;
        }
        self.answered = ticket;
        while self.written.get(1).is_some_and(|(first, _)| *first <= ticket) {
            self.written.pop_front();
        }
        let (first, turn) = self.written.front()?;
        (*first <= ticket).then(|| now.millis_since(*turn))
    }

    /// Fetches what the store has answered since the last time.
    ///
    /// # Panics
    /// If the store's thread has panicked: what it has acknowledged is on disk, and nothing more can be.
    pub(super) fn fetch(&mut self) {
        assert!(!self.store.has_died(), "the store's thread ended after an internal error");
        self.told.extend(self.store.fetch());
    }

    /// Whether something is fetched that the hub has not been told.
    pub(super) fn has_told(&self) -> bool {
        !self.told.is_empty()
    }

    /// What the hub is to be told next.
    pub(super) fn next(&mut self, now: Moment) -> Option<Told> {
        let (told, failures) = self.told.pop_front()?;
        self.store.hears(failures);
        self.waiting -= usize::from(told.ticket().is_some());
        match &told {
            Told::Answer { outcome: Outcome::Unavailable, .. } => {
                self.refused.store(now.as_millis(), Ordering::Relaxed);
            }
            Told::Answer { outcome: Outcome::Page(_) | Outcome::Positions(_), .. } => {}
            // What another hub has asked for is stored, too.
            Told::Answer { .. } | Told::Changed { .. } => {
                self.refused.store(TAKES, Ordering::Relaxed);
            }
            Told::News(_) => {}
        }
        Some(told)
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Whether so many answers are on their way that it is not worth while to sleep until they come.
    pub(super) fn answers_soon(&self, now: Moment) -> bool {
        let is_recent = |turn| now.millis_since(turn) <= AWAITED_MS_MAX;
        self.waiting >= AWAITED_MIN && self.oldest().is_some_and(is_recent) && self.store.may_poll()
    }

    /// The turn of the oldest record without an answer, or one before.
    fn oldest(&self) -> Option<Moment> {
        let is_due = |(first, _): &&(u64, Moment)| *first <= self.answered + 1;
        let next = self.written.get(1).filter(is_due);
        next.or(self.written.front()).map(|(_, turn)| *turn)
    }

    /// What waits, of what may.
    pub(super) fn used(&self) -> Used {
        Used::new(self.waiting, STORE_QUEUE_MAX)
    }

    /// Whether the store refused to write a moment ago, and has taken nothing since.
    pub(super) fn has_refused_lately(&self, now: Moment) -> bool {
        let refused = Moment::from_millis(self.refused.load(Ordering::Relaxed));
        refused <= now && now.millis_since(refused) < STORE_REFUSED_MS
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Place, Store};

    #[test]
    fn the_oldest_record_that_waits_is_of_the_turn_whose_answers_are_not_all_there() {
        let (store, _) = Store::open(&Place::Memory, "life", || {}).unwrap();
        let mut client = StoreClient::new(store, Arc::default());
        let at = Moment::from_millis;
        assert_eq!(client.oldest(), None);
        for (ticket, ms) in [(1, 10), (2, 10), (3, 20), (4, 20), (5, 90)] {
            client.note_written(ticket, at(ms));
        }
        let mut answer = |ticket, now| {
            let told = Told::Answer { ticket, outcome: Outcome::Done };
            (client.took_ms(&told, at(now)), client.oldest())
        };
        assert_eq!(answer(1, 12), (Some(2), Some(at(10))));
        assert_eq!(answer(2, 13), (Some(3), Some(at(20))));
        assert_eq!(answer(4, 95), (Some(75), Some(at(90))), "of an idle time nothing is left");
    }
}
