//! A state behind a lock, for which threads wait, and of which the network's thread is told what only it can do.

use super::locks::{Condvar, Mutex, MutexGuard, lock};
use crate::reactor::{Clock, Wake};
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

/// A state that several threads share.
#[derive(Debug)]
pub(in crate::client) struct Monitor<T> {
    inner: Mutex<T>,
    changed: Condvar,
    pub(in crate::client) clock: Clock,
    wake: Wake,
}

impl<T: Monitored> Monitor<T> {
    pub(in crate::client) fn new(inner: T, clock: Clock, wake: Wake) -> Monitor<T> {
        Monitor { inner: Mutex::new(inner), changed: Condvar::new(), clock, wake }
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

    /// Something has changed for which a thread may wait.
    pub(in crate::client) fn notify(&self) {
        self.changed.notify_all();
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
        if wakes {
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
            inner = match timeout {
                None => self.changed.wait(inner).unwrap_or_else(PoisonError::into_inner),
                Some(timeout) => {
                    let left = timeout.saturating_sub(self.clock.elapsed().saturating_sub(begun));
                    if left.is_zero() {
                        return None;
                    }
                    let waited = self.changed.wait_timeout(inner, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }
}
