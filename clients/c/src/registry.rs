//! The clients or servers of this process by their names, which are no addresses: one that was freed is not touched.

use crate::abi::{PARLOR_E_FORK, PARLOR_E_FREED, PARLOR_E_SYSTEM};
use crate::call::{Failure, failure};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// How many of a kind a process may have at a time.
const NAMES_MAX: usize = 1 << PLACE_BITS;
const PLACE_BITS: u32 = 16;

enum Place<T> {
    Free,
    /// Somebody opens it.
    Kept(usize),
    Taken(usize, Arc<T>),
}

struct Places<T> {
    places: Vec<Place<T>>,
    /// How many places are not free.
    taken: usize,
    /// How many names were given.
    names: usize,
}

pub(crate) struct Registry<T> {
    places: RwLock<Places<T>>,
    /// The process that has opened them; 0 while there are none.
    process: AtomicU32,
}

impl<T> Registry<T> {
    pub(crate) const fn new() -> Registry<T> {
        let places = Places { places: Vec::new(), taken: 0, names: 0 };
        Registry { places: RwLock::new(places), process: AtomicU32::new(0) }
    }

    /// Refuses a child of the process that has opened some: their threads are not there, and their locks may be held.
    pub(crate) fn is_own_process(&self) -> Result<(), Failure> {
        match self.process.load(Ordering::Acquire) {
            0 => Ok(()),
            process if process == std::process::id() => Ok(()),
            _ => Err(failure(
                PARLOR_E_FORK,
                "this process is a child, by fork, of the one that opened it",
            )),
        }
    }

    /// A name for one that is being opened.
    pub(crate) fn keep_place(&self) -> Result<usize, Failure> {
        self.is_own_process()?;
        let registry = &mut *self.places.write().unwrap_or_else(PoisonError::into_inner);
        self.process.store(std::process::id(), Ordering::Release);
        let free = registry.places.iter().position(|place| matches!(place, Place::Free));
        let at = free.unwrap_or(registry.places.len());
        if at >= NAMES_MAX {
            return Err(failure(PARLOR_E_SYSTEM, "there are 65,536 of them"));
        }
        if at == registry.places.len() {
            registry.places.push(Place::Free);
        }
        registry.names += 1;
        registry.taken += 1;
        let name = registry.names << PLACE_BITS | at;
        if let Some(place) = registry.places.get_mut(at) {
            *place = Place::Kept(name);
        }
        Ok(name)
    }

    /// What has this name is open.
    pub(crate) fn open(&self, name: usize, opened: T) {
        let registry = &mut *self.places.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = registry.places.get_mut(place_of(name)) {
            *place = Place::Taken(name, Arc::new(opened));
        }
    }

    /// What has this name.
    pub(crate) fn find(&self, name: usize) -> Result<Arc<T>, Failure> {
        self.is_own_process()?;
        let registry = self.places.read().unwrap_or_else(PoisonError::into_inner);
        match registry.places.get(place_of(name)) {
            Some(Place::Taken(own, found)) if *own == name => Ok(Arc::clone(found)),
            _ => Err(failure(PARLOR_E_FREED, "there is none: it was freed, or never opened")),
        }
    }

    /// Forgets one, or a place that was kept.
    pub(crate) fn remove(&self, name: usize) {
        let mut guard = self.places.write().unwrap_or_else(PoisonError::into_inner);
        let registry = &mut *guard;
        let place = registry.places.get_mut(place_of(name));
        let is_it = |place: &&mut Place<T>| match &**place {
            Place::Free => false,
            Place::Kept(own) | Place::Taken(own, _) => *own == name,
        };
        let Some(place) = place.filter(is_it) else { return };
        // Whoever lets it go last may call the program: not under the lock.
        let before = std::mem::replace(place, Place::Free);
        registry.taken -= 1;
        if registry.taken == 0 {
            // Nothing is left of the library then.
            registry.places = Vec::new();
            self.process.store(0, Ordering::Release);
        }
        drop(guard);
        drop(before);
    }
}

fn place_of(name: usize) -> usize {
    name & (NAMES_MAX - 1)
}
