//! How events reach the program: a function on the client's thread, or a queue from which it takes them.

use super::event::{ChatSource, fill_news};
use super::open_client::OpenClient;
use crate::abi::{PARLOR_EVENT_ENDED, parlor_event, parlor_event_fn};
use crate::user_data::UserData;
use parlor::client::{ClientEvent, Ticket, WebSocketNews};
use std::cell::Cell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// The messages on their way, by their numbers.
pub(crate) type Sendings = HashMap<u64, Ticket>;

/// What a client's functions and its delivery share.
pub(crate) struct Shared {
    pub(crate) user: Arc<UserData>,
    /// The program has the client's name: nothing is told before.
    pub(crate) is_open: OnceLock<()>,
    /// It was freed within a call of a client's function, which must not wait: nothing more is told.
    pub(crate) is_freed: AtomicBool,
    /// It is being freed: of all that would still come only the end is told.
    pub(crate) ends: AtomicBool,
    /// The client then, until its own thread ends, which so need not wait for itself.
    pub(crate) left: Mutex<Option<Arc<OpenClient>>>,
    sendings: Mutex<Sendings>,
}

impl Shared {
    pub(crate) fn new(user: Arc<UserData>) -> Shared {
        Shared {
            user,
            is_open: OnceLock::new(),
            is_freed: AtomicBool::new(false),
            ends: AtomicBool::new(false),
            left: Mutex::default(),
            sendings: Mutex::default(),
        }
    }

    pub(crate) fn sendings(&self) -> MutexGuard<'_, Sendings> {
        self.sendings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

thread_local! {
    /// The name of the client whose thread this is.
    static CLIENT: Cell<usize> = const { Cell::new(0) };
}

/// This thread is that of the client of this name.
pub(crate) fn is_thread_of(name: usize) {
    CLIENT.with(|client| client.set(name));
}

/// Whether the program was called by a client's thread: it must not wait then.
pub(crate) fn is_on_a_clients_thread() -> bool {
    CLIENT.try_with(Cell::get).is_ok_and(|client| client != 0)
}

/// The program's function for events. The last event is told when this is dropped.
pub(crate) struct Callback {
    pub(crate) on_event: parlor_event_fn,
    pub(crate) shared: Arc<Shared>,
}

impl Callback {
    fn tell(&self, event: &parlor_event) {
        self.shared.is_open.wait();
        if !self.shared.is_freed.load(Ordering::Acquire) {
            // SAFETY: the program says that this may be called so; the event and what it points to are there until it
            // returns.
            unsafe { (self.on_event)(self.shared.user.pointer, event) };
        }
    }

    pub(crate) fn tell_of_chat(&self, event: ClientEvent) {
        if self.shared.ends.load(Ordering::Acquire) {
            return;
        }
        let mut source = ChatSource::new(event);
        let mut told = parlor_event::of_kind(0);
        if source.fill(&mut told, &self.shared) {
            self.tell(&told);
        }
    }

    pub(crate) fn tell_of_socket(&self, news: &WebSocketNews<'_>) {
        if self.shared.ends.load(Ordering::Acquire) {
            return;
        }
        let mut told = parlor_event::of_kind(0);
        if fill_news(&mut told, news) {
            self.tell(&told);
        }
    }
}

impl Drop for Callback {
    fn drop(&mut self) {
        // Where the client could not be opened there is no end to tell of.
        if self.shared.is_open.get().is_some() {
            self.tell(&parlor_event::of_kind(PARLOR_EVENT_ENDED));
        }
        let left = self.shared.left.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(left);
    }
}
