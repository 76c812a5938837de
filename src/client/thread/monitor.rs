//! A state behind a lock, for which threads wait, and of which the network's thread is told what only it can do.

use super::locks::{AtomicU32, Condvar, Mutex, MutexGuard, Ordering, lock};
use crate::reactor::{Clock, Wake};
use std::cell::Cell;
use std::sync::PoisonError;
use std::task::Waker;
use std::time::Duration;

/// What is shared.
pub(in crate::client) trait Monitored {
    /// Whether the network's thread has something to do.
    fn needs_network(&self) -> bool;

    /// Tasks of async runtimes that are to be woken.
    fn take_wakers(&mut self) -> Vec<Waker> {
        Vec::new()
    }
}

thread_local! {
    /// Which network's thread this is; 0 for those of the program. (`std::thread::current` would keep something for each
    /// of these, which a program in C does not expect.)
    static NETWORK: Cell<usize> = const { Cell::new(0) };
    /// Of which network the program's function runs here; 0 if none does.
    static CALLS: Cell<usize> = const { Cell::new(0) };
}

/// [`Monitor::id`] of the network whose thread this is; 0 on those of the program.
pub(super) fn network_of_this_thread() -> usize {
    NETWORK.try_with(Cell::get).unwrap_or(0)
}

/// A state that several threads share.
#[derive(Debug)]
pub(in crate::client) struct Monitor<T> {
    inner: Mutex<T>,
    changed: Condvar,
    /// How many threads wait for that. It grows within the lock: whoever has changed something there sees it.
    waiting: AtomicU32,
    pub(in crate::client) clock: Clock,
    wake: Wake,
}

impl<T: Monitored> Monitor<T> {
    pub(in crate::client) fn new(inner: T, clock: Clock, wake: Wake) -> Monitor<T> {
        let (inner, waiting) = (Mutex::new(inner), AtomicU32::new(0));
        Monitor { inner, changed: Condvar::new(), waiting, clock, wake }
    }

    /// Its address, which nothing else has as long as it is there.
    pub(super) fn id(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// The thread that calls this is the network's.
    pub(super) fn is_of_this_thread(&self) {
        NETWORK.with(|network| network.set(self.id()));
    }

    pub(in crate::client) fn lock(&self) -> MutexGuard<'_, T> {
        lock(&self.inner)
    }

    /// Does something with the state, in the network's thread, which does what it finds to do itself.
    pub(in crate::client) fn with_own<R>(&self, act: impl FnOnce(&mut T, &Monitor<T>) -> R) -> R {
        let mut inner = self.lock();
        let done = act(&mut inner, self);
        let wakers = inner.take_wakers();
        drop(inner);
        wakers.into_iter().for_each(Waker::wake);
        done
    }

    /// Calls the program's function, on the network's thread, whose driver then looks for what it has to do: it need not be
    /// woken for what that function wants.
    pub(in crate::client) fn call_program(&self, call: impl FnOnce()) {
        CALLS.with(|calls| calls.set(self.id()));
        call();
        CALLS.with(|calls| calls.set(0));
    }

    /// Something has changed for which a thread may wait. It costs a system call only if one does.
    pub(in crate::client) fn notify(&self) {
        if self.waiting.load(Ordering::Relaxed) > 0 {
            self.changed.notify_all();
        }
    }

    /// Does something with the state, and wakes the network's thread if it has to do something then.
    pub(in crate::client) fn with<R>(&self, act: impl FnOnce(&mut T, &Monitor<T>) -> R) -> R {
        let mut inner = self.lock();
        let done = act(&mut inner, self);
        self.unlock(inner);
        done
    }

    fn unlock(&self, mut inner: MutexGuard<'_, T>) {
        let (wakes, wakers) = (inner.needs_network(), inner.take_wakers());
        drop(inner);
        if wakes && CALLS.try_with(Cell::get).unwrap_or(0) != self.id() {
            self.wake.wake();
        }
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Waits until `look` finds something, at most for so long; `None` for as long as it takes.
    pub(in crate::client) fn wait<R>(
        &self,
        timeout: Option<Duration>,
        mut look: impl FnMut(&mut T, &Monitor<T>) -> Option<R>,
    ) -> Option<R> {
        let begun = self.clock.elapsed();
        let mut inner = self.lock();
        loop {
            if let Some(found) = look(&mut inner, self) {
                self.unlock(inner);
                return Some(found);
            }
            // Looking may have changed something.
            if inner.needs_network() {
                self.wake.wake();
            }
            let left = timeout
                .map(|timeout| timeout.saturating_sub(self.clock.elapsed().saturating_sub(begun)));
            if left.is_some_and(|left| left.is_zero()) {
                return None;
            }
            self.waiting.fetch_add(1, Ordering::Relaxed);
            inner = match left {
                None => self.changed.wait(inner).unwrap_or_else(PoisonError::into_inner),
                Some(left) => {
                    let waited = self.changed.wait_timeout(inner, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
