//! What the program is told.

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, TryRecvError};
use std::time::Duration;

/// From where events are taken.
pub(in crate::client) trait EventSource<E>: Send + Sync {
    /// Waits for one, at most for so long; `None` for as long as it takes.
    fn wait(&self, timeout: Option<Duration>) -> Result<E, RecvTimeoutError>;
    fn take(&self) -> Result<E, TryRecvError>;
    fn descriptor(&self) -> io::Result<OwnedFd>;
}

/// What a client tells: one queue, from which each event is taken once, by whichever clone asks first. It does not keep
/// the client open, and ends with it.
pub struct Events<E>(pub(in crate::client) Arc<dyn EventSource<E>>);

impl<E> Events<E> {
    /// The next event; waits for it. `None` once the client is closed and all were taken.
    #[must_use]
    pub fn recv(&self) -> Option<E> {
        self.0.wait(None).ok()
    }

    /// The same, at most for so long.
    ///
    /// # Errors
    /// Nothing came in time, or nothing more will.
    pub fn recv_timeout(&self, timeout: Duration) -> Result<E, RecvTimeoutError> {
        self.0.wait(Some(timeout))
    }

    /// The same without waiting.
    ///
    /// # Errors
    /// Nothing waits, or nothing more will.
    pub fn try_recv(&self) -> Result<E, TryRecvError> {
        self.0.take()
    }

    /// A descriptor that is readable while events wait, and for good once the client is closed: for a loop of the
    /// program's own, as `poll(2)`'s or tokio's `AsyncFd`. Nothing is to be read from it: take events until
    /// [`Events::try_recv`] finds none.
    ///
    /// # Errors
    /// If the system gives none.
    pub fn descriptor(&self) -> io::Result<OwnedFd> {
        self.0.descriptor()
    }
}

impl<E> Clone for Events<E> {
    fn clone(&self) -> Events<E> {
        Events(Arc::clone(&self.0))
    }
}

impl<E> Iterator for Events<E> {
    type Item = E;

    fn next(&mut self) -> Option<E> {
        self.recv()
    }
}

impl<E> fmt::Debug for Events<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").finish_non_exhaustive()
    }
}
