//! How many connections there may be: at all listeners together, and at those that have a limit of
//! their own.

use super::io::Io;
use crate::base::{ConnId, ListenerId};

/// Places for connections.
#[derive(Debug)]
pub(super) struct ConnectionPlaces {
    shared: PlaceCount,
    /// By listener. `None` for one that has no limit of its own.
    own: Vec<Option<PlaceCount>>,
}

#[derive(Clone, Copy, Debug)]
struct PlaceCount {
    taken: usize,
    max: usize,
}

impl ConnectionPlaces {
    /// So many for all listeners.
    pub(super) fn new(max: usize) -> ConnectionPlaces {
        ConnectionPlaces { shared: PlaceCount { taken: 0, max }, own: Vec::new() }
    }

    /// The same, with the listeners' own limits.
    pub(super) fn with_own(self, own: &[Option<u32>]) -> ConnectionPlaces {
        let count = |max: &u32| PlaceCount { taken: 0, max: *max as usize };
        ConnectionPlaces { own: own.iter().map(|max| max.as_ref().map(count)).collect(), ..self }
    }

    fn of(&mut self, listener: ListenerId) -> &mut PlaceCount {
        let own = self.own.get_mut(listener.index()).and_then(Option::as_mut);
        own.unwrap_or(&mut self.shared)
    }

    /// Whether a listener has places of its own.
    pub(super) fn has_own(&self, listener: ListenerId) -> bool {
        self.own.get(listener.index()).is_some_and(Option::is_some)
    }

    /// Places for a connection to this listener: those taken, and all.
    pub(super) fn at(&self, listener: ListenerId) -> (usize, usize) {
        let own = self.own.get(listener.index()).and_then(Option::as_ref);
        let PlaceCount { taken, max } = own.unwrap_or(&self.shared);
        (*taken, *max)
    }

    /// Takes a place; returns whether there was one.
    pub(super) fn take(&mut self, listener: ListenerId) -> bool {
        let count = self.of(listener);
        let is_free = count.taken < count.max;
        count.taken += usize::from(is_free);
        is_free
    }

    /// Whether no place is left for a connection to this listener.
    pub(super) fn is_full(&self, listener: ListenerId) -> bool {
        let (taken, max) = self.at(listener);
        taken >= max
    }

    /// Gives a place back.
    pub(super) fn give_back(&mut self, listener: ListenerId) {
        let count = self.of(listener);
        count.taken = count.taken.saturating_sub(1);
    }

    /// Places that all listeners without a limit of their own share: those taken, and all.
    pub(super) fn shared(&self) -> (usize, usize) {
        (self.shared.taken, self.shared.max)
    }
}

impl Io {
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
        let mut places = ConnectionPlaces::new(2).with_own(&[None, Some(1), None]);
        let [first, own, last] = [0, 1, 2].map(ListenerId::new);
        assert!(places.take(first) && places.take(last) && !places.take(first));
        assert!(!places.is_full(own) && places.take(own) && !places.take(own));
        assert!(places.is_full(own) && places.is_full(last));
        places.give_back(own);
        assert!(!places.take(last) && places.take(own));
        places.give_back(last);
        assert_eq!((places.shared(), places.take(first)), ((1, 2), true));
    }
}
