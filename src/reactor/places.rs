//! How many connections there may be: at all listeners together, and at those that have a limit of
//! their own.

use super::io::Io;
use crate::base::{ConnId, ListenerId};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Places for connections, at all reactors of a server.
#[derive(Clone, Debug)]
pub(super) struct ConnectionPlaces(Arc<PlaceCounts>);

#[derive(Debug)]
struct PlaceCounts {
    shared: PlaceCount,
    /// By listener. `None` for one that has no limit of its own.
    own: Vec<Option<PlaceCount>>,
}

#[derive(Debug)]
struct PlaceCount {
    taken: AtomicUsize,
    max: usize,
}

impl PlaceCount {
    fn new(max: usize) -> PlaceCount {
        PlaceCount { taken: AtomicUsize::new(0), max }
    }

    fn read(&self) -> (usize, usize) {
        (self.taken.load(Ordering::Relaxed), self.max)
    }
}

impl ConnectionPlaces {
    /// So many for all listeners, and the listeners' own limits.
    pub(super) fn new(max: usize, own: &[Option<u32>]) -> ConnectionPlaces {
        let count = |max: &u32| PlaceCount::new(*max as usize);
        let own = own.iter().map(|max| max.as_ref().map(count)).collect();
        ConnectionPlaces(Arc::new(PlaceCounts { shared: PlaceCount::new(max), own }))
    }

    fn of(&self, listener: ListenerId) -> &PlaceCount {
        let own = self.0.own.get(listener.index()).and_then(Option::as_ref);
        own.unwrap_or(&self.0.shared)
    }

    /// Whether a listener has places of its own.
    pub(super) fn has_own(&self, listener: ListenerId) -> bool {
        self.0.own.get(listener.index()).is_some_and(Option::is_some)
    }

    /// Places for a connection to this listener: those taken, and all.
    pub(super) fn at(&self, listener: ListenerId) -> (usize, usize) {
        self.of(listener).read()
    }

    /// Takes a place; returns whether there was one.
    pub(super) fn take(&self, listener: ListenerId) -> bool {
        let count = self.of(listener);
        let more = |taken| (taken < count.max).then_some(taken + 1);
        count.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    /// Whether no place is left for a connection to this listener.
    pub(super) fn is_full(&self, listener: ListenerId) -> bool {
        let (taken, max) = self.at(listener);
        taken >= max
    }

    /// Gives a place back that was taken.
    pub(super) fn give_back(&self, listener: ListenerId) {
        self.of(listener).taken.fetch_sub(1, Ordering::Relaxed);
    }

    /// Those taken, at all listeners.
    fn all_taken(&self) -> usize {
        let own = self.0.own.iter().flatten().map(|count| count.read().0);
        self.0.shared.read().0 + own.sum::<usize>()
    }

    /// Places that all listeners without a limit of their own share: those taken, and all.
    pub(super) fn shared(&self) -> (usize, usize) {
        self.0.shared.read()
    }
}

impl Io {
    /// Connections of all listeners, at all reactors.
    #[must_use]
    pub fn connections_everywhere(&self) -> usize {
        self.places.all_taken()
    }

    /// Connections of the listeners without a limit of their own, and most of them:
    /// `limits.connections`, or as many as the limit on open files allows.
    #[must_use]
    pub fn places(&self) -> (usize, usize) {
        self.places.shared()
    }

    /// The same for a connection to this listener: its own, if it has a limit of its own.
    #[must_use]
    pub fn places_at(&self, listener: ListenerId) -> (usize, usize) {
        self.places.at(listener)
    }

    /// Whether a listener has a limit of its own.
    #[must_use]
    pub fn has_own_places(&self, listener: ListenerId) -> bool {
        self.places.has_own(listener)
    }

    /// By which listener a connection came.
    #[must_use]
    pub fn listener(&self, conn: ConnId) -> ListenerId {
        self.known(conn).map_or(ListenerId::default(), |slot| slot.marks.listener())
    }

    /// Takes a place for a new connection; returns whether there was one.
    pub(super) fn take_place(&mut self, conn: ConnId) -> bool {
        let Some(slot) = self.table.get_mut(conn.index()) else { return false };
        let has_place = self.places.take(slot.marks.listener());
        if has_place {
            slot.marks.set_has_place();
        }
        has_place
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_with_a_limit_of_its_own_takes_no_place_of_the_others() {
        let places = ConnectionPlaces::new(2, &[None, Some(1), None]);
        let [first, own, last] = [0, 1, 2].map(ListenerId::new);
        assert!(places.take(first) && places.take(last) && !places.take(first));
        assert!(!places.is_full(own) && places.take(own) && !places.take(own));
        assert!(places.is_full(own) && places.is_full(last));
        places.give_back(own);
        assert!(!places.take(last) && places.take(own));
        places.give_back(last);
        assert_eq!(places.all_taken(), 2);
        assert_eq!((places.shared(), places.take(first)), ((1, 2), true));
    }
}
