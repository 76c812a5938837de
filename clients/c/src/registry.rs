//! The clients of this process by their names, which are no addresses: a client that was freed is not touched.

use crate::abi::{PARLOR_E_FORK, PARLOR_E_FREED, PARLOR_E_SYSTEM, parlor_client};
use crate::call::{Failure, failure};
use crate::delivery::Shared;
use crate::logging::LogSink;
use parlor::client::{Client, ClientEvent, Events, WebSocket, WebSocketEvent};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

/// How many clients a process may have at a time.
const CLIENTS_MAX: usize = 1 << PLACE_BITS;
const PLACE_BITS: u32 = 16;

/// What a client is underneath.
pub(crate) enum Kind {
    Chat(Client, Events<ClientEvent>),
    Socket(WebSocket, Events<WebSocketEvent>),
}

/// A client.
pub(crate) struct OpenClient {
    pub(crate) name: usize,
    pub(crate) kind: Kind,
    pub(crate) shared: Arc<Shared>,
    pub(crate) sink: Option<Arc<LogSink>>,
    pub(crate) has_callback: bool,
    /// What `parlor_wait_handle` has given.
    pub(crate) wait_handle: OnceLock<Option<OwnedFd>>,
    /// The end was told.
    pub(crate) has_ended: AtomicBool,
    pub(crate) is_being_freed: AtomicBool,
}

enum Place {
    Free,
    /// Somebody opens a client.
    Kept(usize),
    Taken(Arc<OpenClient>),
}

struct Registry {
    places: Vec<Place>,
    /// How many places are not free.
    taken: usize,
    /// How many names were given.
    names: usize,
}

static REGISTRY: RwLock<Registry> =
    RwLock::new(Registry { places: Vec::new(), taken: 0, names: 0 });

/// The process that has opened clients; 0 while there are none.
static PROCESS: AtomicU32 = AtomicU32::new(0);

/// Refuses a child of the process that has opened clients: their threads are not there, and their locks may be held.
pub(crate) fn is_own_process() -> Result<(), Failure> {
    match PROCESS.load(Ordering::Acquire) {
        0 => Ok(()),
        process if process == std::process::id() => Ok(()),
        _ => Err(failure(PARLOR_E_FORK, "this process is a child of the one that opened clients")),
    }
}

/// A name for a client that is being opened.
pub(crate) fn keep_place() -> Result<usize, Failure> {
    let registry = &mut *REGISTRY.write().unwrap_or_else(PoisonError::into_inner);
    PROCESS.store(std::process::id(), Ordering::Release);
    let free = registry.places.iter().position(|place| matches!(place, Place::Free));
    let at = free.unwrap_or(registry.places.len());
    if at >= CLIENTS_MAX {
        return Err(failure(PARLOR_E_SYSTEM, "there are 65,536 clients"));
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

/// The client of this name is open.
pub(crate) fn open(client: OpenClient) {
    let registry = &mut *REGISTRY.write().unwrap_or_else(PoisonError::into_inner);
    if let Some(place) = registry.places.get_mut(place_of(client.name)) {
        *place = Place::Taken(Arc::new(client));
    }
}

fn place_of(name: usize) -> usize {
    name & (CLIENTS_MAX - 1)
}

/// The client of this name.
pub(crate) fn find(client: *mut parlor_client) -> Result<Arc<OpenClient>, Failure> {
    let registry = REGISTRY.read().unwrap_or_else(PoisonError::into_inner);
    match registry.places.get(place_of(client.addr())) {
        Some(Place::Taken(found)) if found.name == client.addr() => Ok(Arc::clone(found)),
        _ => Err(failure(PARLOR_E_FREED, "there is no such client: it was freed, or never opened")),
    }
}

/// Forgets a client, or a place that was kept for one.
pub(crate) fn remove(name: usize) {
    let mut guard = REGISTRY.write().unwrap_or_else(PoisonError::into_inner);
    let registry = &mut *guard;
    let place = registry.places.get_mut(place_of(name));
    let is_it = |place: &&mut Place| match &**place {
        Place::Free => false,
        Place::Kept(kept) => *kept == name,
        Place::Taken(client) => client.name == name,
    };
    let Some(place) = place.filter(is_it) else { return };
    // Whoever lets a client go last may call the program: not under the lock.
    let before = std::mem::replace(place, Place::Free);
    registry.taken -= 1;
    if registry.taken == 0 {
        // Nothing is left of the library then.
        registry.places = Vec::new();
        PROCESS.store(0, Ordering::Release);
    }
    drop(guard);
    drop(before);
}
