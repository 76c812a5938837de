//! A bounded queue with deadlines, fair between its askers.

use crate::base::Moment;
use std::collections::{BTreeMap, VecDeque};

/// Waiting items, in order per asker. Askers take turns.
#[derive(Debug)]
pub(crate) struct FairQueue<K, T> {
    waiting: BTreeMap<K, VecDeque<Waiting<T>>>,
    /// The askers, in the order of their turns.
    turns: VecDeque<K>,
    len: usize,
    bytes: usize,
    /// No deadline is earlier.
    earliest: Moment,
}

#[derive(Debug)]
struct Waiting<T> {
    item: T,
    bytes: usize,
    until: Moment,
}

/// Bounds of a queue: items and bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QueueBounds {
    pub(crate) len: usize,
    pub(crate) bytes: usize,
}

impl<K, T> Default for FairQueue<K, T> {
    fn default() -> FairQueue<K, T> {
        let (waiting, turns) = (BTreeMap::new(), VecDeque::new());
        FairQueue { waiting, turns, len: 0, bytes: 0, earliest: Moment::NEVER }
    }
}

impl<K: Ord + Clone, T> FairQueue<K, T> {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Queues an item until a deadline. If there is no room, the newest items of the largest asker
    /// are dropped, by items or bytes, whichever is short. Returns the dropped items: only `item`
    /// itself if nobody has more than its asker would have.
    pub(crate) fn push(
        &mut self,
        asker: K,
        (item, bytes): (T, usize),
        until: Moment,
        room: QueueBounds,
    ) -> Vec<T> {
        let Some(victims) = self.victims(&asker, bytes, room) else { return vec![item] };
        let out = victims.iter().filter_map(|other| self.take(other, VecDeque::pop_back)).collect();
        self.len += 1;
        self.bytes += bytes;
        self.earliest = self.earliest.min(until);
        let queue = self.waiting.entry(asker.clone()).or_default();
        if queue.is_empty() {
            self.turns.push_back(asker);
        }
        queue.push_back(Waiting { item, bytes, until });
        out
    }

    /// The askers whose newest items make room, in order. Nothing is dropped before it is certain
    /// to suffice.
    fn victims(&self, asker: &K, bytes: usize, room: QueueBounds) -> Option<Vec<K>> {
        let mut victims = Vec::new();
        let (mut len, mut all) = (self.len, self.bytes.saturating_add(bytes));
        if len < room.len && all <= room.bytes {
            return Some(victims);
        }
        let of_one = |queue: &VecDeque<Waiting<T>>| {
            (queue.len(), queue.iter().map(|one| one.bytes).sum::<usize>())
        };
        let mut shares: BTreeMap<&K, (usize, usize)> =
            self.waiting.iter().map(|(one, queue)| (one, of_one(queue))).collect();
        let (own_len, own_bytes) = shares.get(asker).copied().unwrap_or_default();
        let own = (own_len + 1, own_bytes.saturating_add(bytes));
        while len >= room.len || all > room.bytes {
            let measure = |share: &(usize, usize)| if all > room.bytes { share.1 } else { share.0 };
            let (other, share) = shares.iter_mut().max_by_key(|(_, share)| measure(share))?;
            if measure(share) <= measure(&own) {
                return None;
            }
            let newest = self.waiting.get(*other)?.get(share.0.checked_sub(1)?)?;
            *share = (share.0 - 1, share.1 - newest.bytes);
            len -= 1;
            all -= newest.bytes;
            victims.push((*other).clone());
        }
        Some(victims)
    }

    /// The next item by turns.
    pub(crate) fn pop(&mut self) -> Option<T> {
        self.pop_of(|_| true).map(|(_, item)| item)
    }

    /// The next item by turns, of the askers that `may`, and its asker. Takes time in proportion to
    /// those that may not.
    pub(crate) fn pop_of(&mut self, may: impl Fn(&K) -> bool) -> Option<(K, T)> {
        let place = self.turns.iter().position(may)?;
        let asker = self.turns.remove(place)?;
        self.turns.push_back(asker.clone());
        let item = self.take(&asker, VecDeque::pop_front)?;
        Some((asker, item))
    }

    /// Removes the items whose deadline has passed.
    pub(crate) fn late(&mut self, now: Moment) -> Vec<T> {
        if now < self.earliest {
            return Vec::new();
        }
        let late = self.leave(|waiting| waiting.until <= now);
        // All wait equally long, so within an asker's queue the front is the earliest.
        let fronts = self.waiting.values().filter_map(|queue| Some(queue.front()?.until));
        self.earliest = fronts.min().unwrap_or(Moment::NEVER);
        late
    }

    /// Removes the items for which nobody waits any more.
    pub(crate) fn forget(&mut self, is_gone: impl Fn(&T) -> bool) -> Vec<T> {
        self.leave(|waiting| is_gone(&waiting.item))
    }

    fn leave(&mut self, leaves: impl Fn(&Waiting<T>) -> bool) -> Vec<T> {
        let mut left = Vec::new();
        for queue in self.waiting.values_mut() {
            for waiting in std::mem::take(queue) {
                if leaves(&waiting) {
                    self.len -= 1;
                    self.bytes -= waiting.bytes;
                    left.push(waiting.item);
                } else {
                    queue.push_back(waiting);
                }
            }
        }
        self.waiting.retain(|_, queue| !queue.is_empty());
        self.turns.retain(|asker| self.waiting.contains_key(asker));
        left
    }

    /// The earliest deadline or a moment before it. Until then [`FairQueue::late`] finds nothing.
    pub(crate) fn next_late(&self) -> Option<Moment> {
        (self.len > 0).then_some(self.earliest)
    }

    /// Removes all items, in the order of their turns.
    pub(crate) fn drain(&mut self) -> Vec<T> {
        std::iter::from_fn(|| self.pop()).collect()
    }

    fn take(
        &mut self,
        asker: &K,
        end: impl Fn(&mut VecDeque<Waiting<T>>) -> Option<Waiting<T>>,
    ) -> Option<T> {
        let queue = self.waiting.get_mut(asker)?;
        let taken = end(queue);
        if queue.is_empty() {
            self.waiting.remove(asker);
            // An asker who has just had a turn is the last.
            if self.turns.back() == Some(asker) {
                self.turns.pop_back();
            } else {
                self.turns.retain(|one| one != asker);
            }
        }
        let Waiting { item, bytes, .. } = taken?;
        self.len -= 1;
        self.bytes -= bytes;
        Some(item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const AMPLE: QueueBounds = QueueBounds { len: 100, bytes: 1_000 };

    fn fill(
        line: &mut FairQueue<String, String>,
        name: &str,
        items: u32,
        room: QueueBounds,
    ) -> Vec<String> {
        let push = |at| {
            line.push(name.to_owned(), (format!("{name}{at}"), 1), Moment::from_millis(at), room)
        };
        (1..=u64::from(items)).flat_map(push).collect()
    }

    #[test]
    fn askers_take_turns_and_each_has_its_own_order() {
        let mut line = FairQueue::default();
        for (name, items) in [("a", 3), ("b", 1), ("c", 2)] {
            assert!(fill(&mut line, name, items, AMPLE).is_empty());
        }
        assert_eq!(line.drain(), ["a1", "b1", "c1", "a2", "c2", "a3"]);
        assert!(line.is_empty() && line.turns.is_empty() && line.bytes == 0);
    }

    #[test]
    fn where_it_is_full_the_newest_of_whoever_has_most_goes() {
        let mut line = FairQueue::default();
        let room = QueueBounds { len: 4, ..AMPLE };
        assert_eq!(fill(&mut line, "a", 6, room), ["a5", "a6"]);
        assert_eq!(fill(&mut line, "b", 3, room), ["a4", "a3", "b3"]);
        assert_eq!(fill(&mut line, "c", 1, room), ["b2"], "none has more than the other two");
        assert_eq!(line.drain(), ["a1", "b1", "c1", "a2"]);
    }

    #[test]
    fn of_bytes_whoever_has_most_gives_and_only_if_that_is_enough() {
        let mut line = FairQueue::default();
        let room = QueueBounds { len: 100, bytes: 10 };
        let mut push =
            |name: &str, bytes| line.push(name.to_owned(), (bytes, bytes), Moment::ZERO, room);
        assert!(push("a", 4).is_empty() && push("a", 3).is_empty() && push("a", 3).is_empty());
        assert_eq!(push("b", 11), [11], "it would never fit, and nobody goes for it");
        assert_eq!(push("b", 9), [9], "nobody has more");
        assert_eq!(push("b", 5), [3, 3]);
        assert_eq!(push("c", 2), [5], "of one large one, too");
        assert_eq!(push("c", 3), [] as [usize; 0]);
        assert_eq!(line.drain(), [4, 2, 3]);
    }

    #[test]
    fn what_nobody_waits_for_any_more_leaves_its_place() {
        let mut line = FairQueue::default();
        for name in ["a", "b"] {
            fill(&mut line, name, 3, AMPLE);
        }
        assert_eq!(
            line.forget(|item| item.starts_with('a') || item == "b2"),
            ["a1", "a2", "a3", "b2"]
        );
        assert_eq!((line.len(), line.bytes), (2, 2));
        assert_eq!(line.drain(), ["b1", "b3"]);
    }

    #[test]
    fn who_has_waited_too_long_is_told_apart() {
        let mut line = FairQueue::default();
        for name in ["a", "b"] {
            fill(&mut line, name, 3, AMPLE);
        }
        assert_eq!(line.next_late(), Some(Moment::from_millis(1)));
        assert!(line.late(Moment::ZERO).is_empty());
        assert_eq!(line.late(Moment::from_millis(2)), ["a1", "a2", "b1", "b2"]);
        assert_eq!(line.next_late(), Some(Moment::from_millis(3)));
        assert_eq!(line.drain(), ["a3", "b3"]);
        assert_eq!(line.next_late(), None);
    }

    proptest! {
        /// Against a plain list: nothing is lost or repeated, each asker's items stay in order, the
        /// bound holds, and every asker has a turn before any has a second one.
        #[test]
        fn it_is_a_fair_list(steps in prop::collection::vec((0u8..5, 0u8..4), 1..200)) {
            let room = QueueBounds { len: 8, bytes: 1_000 };
            let mut line = FairQueue::default();
            let mut list: Vec<(u8, usize)> = Vec::new();
            for (number, (what, who)) in steps.into_iter().enumerate() {
                if what < 4 {
                    list.push((who, number));
                    let asker = format!("u{who}");
                    for out in line.push(asker, ((who, number), 1), Moment::ZERO, room) {
                        let of = |one: u8| list.iter().filter(|(who, _)| *who == one).count();
                        prop_assert!((0..4).all(|one| of(one) <= of(out.0)));
                        list.retain(|one| *one != out);
                    }
                } else if let Some(next) = line.pop() {
                    let first = list.iter().position(|(who, _)| *who == next.0);
                    prop_assert_eq!(first.map(|first| list.remove(first)), Some(next));
                }
                prop_assert_eq!(line.len(), list.len());
                prop_assert!(list.len() <= room.len);
            }
            let rest = line.drain();
            prop_assert_eq!(rest.len(), list.len());
            let askers = |some: &[(u8, usize)]| some.iter().map(|(who, _)| *who).collect::<std::collections::BTreeSet<_>>();
            let all = askers(&rest);
            prop_assert_eq!(askers(&rest[..all.len()]), all);
        }
    }
}
