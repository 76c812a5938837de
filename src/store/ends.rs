//! What the store tells its ends, of which each hub has one. All of their queues are filled
//! before any can be emptied: no hub knows of a change that another one has not been told.

use crate::base::limits::{TOLD_QUEUE_BYTES_MAX, TOLD_QUEUE_MAX};
use crate::base::{News, StoreCounters, Told};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Wakes the reactor of an end, from any thread.
pub type Waker = Box<dyn Fn() + Send + Sync>;

/// Something that an end is told.
#[derive(Debug)]
pub(super) struct EndAnswer {
    pub(super) told: Told,
    /// The weight of the command, see
    /// [`StoreCommand::weight`](super::commands::StoreCommand::weight).
    pub(super) weight: usize,
    /// Whether this end gave the command.
    pub(super) is_own: bool,
    /// How many batches with a record of this end have failed so far.
    pub(super) failures: u64,
}

/// All ends of a store.
pub(super) struct Ends {
    ends: Vec<StoreEnd>,
    counters: Mutex<StoreCounters>,
    /// The store's thread has ended.
    has_ended: AtomicBool,
}

struct StoreEnd {
    queue: Mutex<EndQueue>,
    told: Arc<AtomicU64>,
    wake: Waker,
}

/// What an end was told and has not taken.
#[derive(Debug, Default)]
struct EndQueue {
    answers: Vec<EndAnswer>,
    bytes: usize,
    /// The end waits for its last answers, and takes nothing until they are there.
    is_closing: bool,
    /// The end takes nothing any more.
    is_closed: bool,
}

impl EndQueue {
    fn push(&mut self, answer: EndAnswer, told: &AtomicU64) {
        if !self.is_closed {
            self.bytes += answer.weight;
            // Before the queue can be emptied: whoever sees what this has come to sees this count.
            let is_answer = matches!(answer.told, Told::Answer { .. });
            told.fetch_add(u64::from(!is_answer), Ordering::Release);
            self.answers.push(answer);
        }
    }
}

impl Ends {
    pub(super) fn new(wakers: Vec<Waker>) -> Ends {
        let end = |wake| StoreEnd { queue: Mutex::default(), told: Arc::default(), wake };
        let (ends, counters) = (wakers.into_iter().map(end).collect(), Mutex::default());
        Ends { ends, counters, has_ended: AtomicBool::new(false) }
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Tells each end what is for it. Returns when all of them can take it. One that is `awake` looks by
    /// itself.
    pub(super) fn answer(
        &self,
        new: Vec<Vec<EndAnswer>>,
        counters: &StoreCounters,
        awake: Option<usize>,
    ) {
        locked(&self.counters).clone_from(counters);
        let is_told: Vec<bool> = new.iter().map(|new| !new.is_empty()).collect();
        let mut queues: Vec<_> = self.ends.iter().map(|end| locked(&end.queue)).collect();
        for ((end, queue), new) in self.ends.iter().zip(&mut queues).zip(new) {
            for answer in new {
                queue.push(answer, &end.told);
            }
        }
        drop(queues);
        for (ix, (end, is_told)) in self.ends.iter().zip(is_told).enumerate() {
            if is_told && awake != Some(ix) {
                (end.wake)();
            }
        }
    }

    /// Tells another end, or all others, some news. An end that has much to take is not told who types,
    /// which nobody relies on.
    pub(super) fn tell(&self, from: usize, to: Option<usize>, news: &News) {
        let is_told = |end: usize| to.map_or(end != from, |to| end == to);
        for (_, end) in self.ends.iter().enumerate().filter(|(end, _)| is_told(*end)) {
            let mut queue = locked(&end.queue);
            if matches!(news, News::Typing { .. }) && queue.answers.len() >= TOLD_QUEUE_MAX {
                continue;
            }
            let told = Told::News(news.clone());
            let answer = EndAnswer { told, weight: 0, is_own: false, failures: 0 };
            queue.push(answer, &end.told);
            drop(queue);
            (end.wake)();
        }
    }

    /// Takes what an end was told.
    pub(super) fn take(&self, end: usize) -> Vec<EndAnswer> {
        let Some(end) = self.ends.get(end) else { return Vec::new() };
        let mut queue = locked(&end.queue);
        queue.bytes = 0;
        std::mem::take(&mut queue.answers)
    }

    /// How many answers to its own commands an end has not taken.
    pub(super) fn own_answers(&self, end: usize) -> usize {
        let Some(end) = self.ends.get(end) else { return 0 };
        locked(&end.queue).answers.iter().filter(|answer| answer.is_own).count()
    }

    /// How many changes and news an end was told.
    pub(super) fn count(&self, end: usize) -> Arc<AtomicU64> {
        self.ends.get(end).map(|end| Arc::clone(&end.told)).unwrap_or_default()
    }

    /// An end waits for its last answers: nobody else waits for it any more.
    pub(super) fn begin_to_close(&self, end: usize) {
        if let Some(end) = self.ends.get(end) {
            locked(&end.queue).is_closing = true;
        }
    }

    /// An end takes nothing any more.
    pub(super) fn close(&self, end: usize) {
        if let Some(end) = self.ends.get(end) {
            locked(&end.queue).is_closed = true;
        }
    }

    /// Whether one of several ends has so much to take that no more is committed.
    pub(super) fn is_held_up(&self) -> bool {
        self.held_up_by().is_some()
    }

    /// The first such end.
    pub(super) fn held_up_by(&self) -> Option<usize> {
        let is_alone = self.ends.len() == 1;
        self.ends.iter().position(|end| {
            let queue = locked(&end.queue);
            let is_full =
                queue.answers.len() >= TOLD_QUEUE_MAX || queue.bytes >= TOLD_QUEUE_BYTES_MAX;
            is_full && !queue.is_closing && !is_alone
        })
    }

    pub(super) fn counters(&self) -> StoreCounters {
        locked(&self.counters).clone()
    }

    /// The store's thread has ended.
    pub(super) fn end(&self) {
        self.has_ended.store(true, Ordering::Release);
        for end in &self.ends {
            (end.wake)();
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Acquire)
    }
}

impl fmt::Debug for Ends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ends").field("len", &self.len()).finish_non_exhaustive()
    }
}

// Whoever panics while they hold one of these leaves nothing half done.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::UserId;

    #[test]
    fn an_end_that_takes_nothing_holds_up_the_others_and_nobody_else() {
        let waker = || Box::new(|| {}) as Waker;
        let came = News::Came { user: UserId::parse("ada").unwrap(), name: None };
        let ends = Ends::new(vec![waker(), waker()]);
        for _ in 1..TOLD_QUEUE_MAX {
            ends.tell(0, None, &came);
        }
        assert!(!ends.is_held_up());
        ends.tell(0, None, &came);
        assert!(ends.is_held_up(), "also by what an end tells, not the store alone");
        ends.begin_to_close(1);
        assert!(!ends.is_held_up(), "nobody waits for an end that closes");
        let alone = Ends::new(vec![waker()]);
        for _ in 0..TOLD_QUEUE_MAX {
            alone.tell(1, None, &came);
        }
        assert_eq!(alone.take(0).len(), TOLD_QUEUE_MAX);
        for _ in 0..TOLD_QUEUE_MAX {
            alone.tell(1, None, &came);
        }
        assert!(!alone.is_held_up(), "what one end alone is told holds up nobody");
    }
}
