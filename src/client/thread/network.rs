//! The network's thread: how it is started, and waited for.

use super::locks::lock;
use super::monitor::{Monitor, Monitored, network_of_this_thread};
use super::wait::Waited;
use crate::base::Limits;
use crate::base::limits::BUFFER_BYTES_MIN;
use crate::reactor::{Clock, Handler, Plain, Reactor, Wake};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// What a program does first on the network's thread.
pub(in crate::client) type StartFn = Box<dyn FnOnce() + Send>;

/// The network's thread, as the program's see it.
#[derive(Debug)]
pub(in crate::client) struct NetworkThread {
    /// [`Monitor::id`] of what it shares.
    id: usize,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl NetworkThread {
    /// Whether the program was called by it.
    pub(in crate::client) fn is_current(&self) -> bool {
        network_of_this_thread() == self.id
    }

    /// Waits until it has ended, which it was told to. Within it there is no waiting for it: what the program does there
    /// has its end behind it.
    pub(in crate::client) fn join(&self) {
        if self.is_current() {
            return;
        }
        // Who comes second waits for the lock.
        if let Some(thread) = lock(&self.thread).take() {
            // It has caught what panicked in it, and said so.
            drop(thread.join());
        }
    }
}

/// What a thread that was just begun has made, or why not; nothing if it panics before.
struct Made<T>(Arc<Waited<Option<io::Result<T>>>>);

impl<T> Made<T> {
    fn tell(&self, made: io::Result<T>) {
        // No task waits for it.
        let _ = self.0.change(|place| *place = Some(made));
    }
}

impl<T> Drop for Made<T> {
    fn drop(&mut self) {
        let ended = || io::Error::other("the network's thread has ended");
        let _ = self.0.change(|place| _ = place.get_or_insert_with(|| Err(ended())));
    }
}

/// Starts a thread that runs a reactor without listeners, and returns what the thread shares. `make` says what that is,
/// and what the reactor calls; `end` is called there when it has ended, and has the latter, unless that has panicked.
pub(in crate::client) fn start_network<T, H>(
    name: String,
    make: impl FnOnce(Clock, Wake) -> (Arc<Monitor<T>>, H) + Send + 'static,
    end: impl FnOnce(&Monitor<T>, Option<H>) + Send + 'static,
) -> io::Result<(Arc<Monitor<T>>, NetworkThread)>
where
    T: Monitored + Send + 'static,
    H: Handler,
{
    if name.contains('\0') {
        // The standard library would panic.
        let message = "the name of a thread has a zero in it";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    let place = Arc::new(Waited::new(None));
    let made = Made(Arc::clone(&place));
    let thread = std::thread::Builder::new().name(name).spawn(move || {
        // Its one connection is not to be cut because much waits for it.
        let limits = Limits { all_outboxes_bytes: usize::MAX, ..Limits::default() };
        let mut reactor = match Reactor::with(Vec::new(), &limits, Plain) {
            Ok(reactor) => reactor,
            Err(error) => return made.tell(Err(error)),
        };
        reactor.set_buffer_bytes(BUFFER_BYTES_MIN);
        let (shared, mut handler) = make(reactor.clock(), reactor.wake());
        shared.is_of_this_thread();
        made.tell(Ok(Arc::clone(&shared)));
        // The handler calls functions of the program's.
        match catch_unwind(AssertUnwindSafe(|| reactor.run(&mut handler))) {
            Ok(Ok(())) => end(&shared, Some(handler)),
            Ok(Err(error)) => {
                log::error!("the client's network thread ends: {error}");
                end(&shared, Some(handler));
            }
            Err(_) => {
                log::error!("a panic has ended the client's network thread");
                end(&shared, None);
            }
        }
    })?;
    let shared = place.wait(Option::take)?;
    let id = shared.id();
    Ok((shared, NetworkThread { id, thread: Mutex::new(Some(thread)) }))
}
