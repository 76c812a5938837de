//! Remembers the deliveries to a webhook, so that a repeated one is not published again.
//!
//! It has no clock: moments are arguments. It is only in memory, so a restart forgets it.

use crate::base::limits::{DELIVERIES_MAX, DELIVERY_MEMORY_MS};
use crate::base::{Moment, StreamId, Timestamp};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// The remembered deliveries of a webhook.
#[derive(Debug, Default)]
pub(super) struct Deliveries {
    known: BTreeMap<Delivery, DeliveryState>,
    /// In the order of arrival.
    order: VecDeque<(Moment, Delivery)>,
}

/// A delivery: its stream, and the id that its sender gave it.
pub(crate) type Delivery = (StreamId, Arc<str>);

/// The state of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeliveryState {
    /// It waits for the stream.
    UnderWay,
    /// It was published as an event with this `seq`, at this time.
    Published(u64, Timestamp),
}

impl Deliveries {
    /// A delivery comes. Returns its state if it came before.
    pub(super) fn begin(&mut self, now: Moment, delivery: &Delivery) -> Option<DeliveryState> {
        let is_over = |came: Moment| came.plus_millis(DELIVERY_MEMORY_MS) <= now;
        while self.order.front().is_some_and(|(came, _)| is_over(*came)) {
            self.forget_oldest();
        }
        if let Some(state) = self.known.get(delivery) {
            return Some(*state);
        }
        if self.order.len() >= DELIVERIES_MAX {
            self.forget_oldest();
        }
        self.known.insert(delivery.clone(), DeliveryState::UnderWay);
        self.order.push_back((now, delivery.clone()));
        None
    }

    fn forget_oldest(&mut self) {
        if let Some((_, oldest)) = self.order.pop_front() {
            self.known.remove(&oldest);
        }
    }

    /// A delivery was published; or it was not, and may come again.
    pub(super) fn done(&mut self, delivery: &Delivery, published: Option<(u64, Timestamp)>) {
        let Some(state) = self.known.get_mut(delivery) else { return };
        if let Some((seq, ts)) = published {
            *state = DeliveryState::Published(seq, ts);
            return;
        }
        self.known.remove(delivery);
        // It came a moment ago, so it is near the end.
        if let Some(place) = self.order.iter().rposition(|(_, one)| one == delivery) {
            self.order.remove(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(stream: &str, id: &str) -> Delivery {
        (StreamId::parse(stream).unwrap(), id.into())
    }

    fn at(millis: u64) -> Moment {
        Moment::from_millis(millis)
    }

    #[test]
    fn a_delivery_is_known_again_for_its_stream_and_its_time() {
        let mut all = Deliveries::default();
        let (one, other) = (delivery("a", "1"), delivery("b", "1"));
        assert_eq!(all.begin(at(0), &one), None);
        assert_eq!(all.begin(at(1), &one), Some(DeliveryState::UnderWay));
        assert_eq!(all.begin(at(1), &other), None);
        all.done(&one, Some((7, Timestamp(70))));
        let published = Some(DeliveryState::Published(7, Timestamp(70)));
        assert_eq!(all.begin(at(DELIVERY_MEMORY_MS - 1), &one), published);
        assert_eq!(all.begin(at(DELIVERY_MEMORY_MS), &one), None);
    }

    #[test]
    fn what_was_not_published_may_come_again() {
        let mut all = Deliveries::default();
        let one = delivery("a", "1");
        assert_eq!(all.begin(at(0), &one), None);
        all.done(&one, None);
        assert!(all.order.is_empty());
        assert_eq!(all.begin(at(1), &one), None);
    }

    #[test]
    fn so_many_are_remembered_and_the_oldest_is_forgotten() {
        let mut all = Deliveries::default();
        let numbered = |number: usize| delivery("a", &number.to_string());
        for number in 0..DELIVERIES_MAX {
            assert_eq!(all.begin(at(number as u64), &numbered(number)), None);
        }
        let now = at(DELIVERIES_MAX as u64);
        assert!(all.begin(now, &numbered(0)).is_some(), "what comes again forgets nothing");
        assert_eq!(all.begin(now, &numbered(DELIVERIES_MAX)), None);
        assert_eq!((all.order.len(), all.known.len()), (DELIVERIES_MAX, DELIVERIES_MAX));
        assert!(all.begin(now, &numbered(1)).is_some());
        assert_eq!(all.begin(now, &numbered(0)), None);
    }
}
