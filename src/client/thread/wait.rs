//! A value that comes later: a thread may wait for it, and so may a task of any async runtime.

use super::locks::{Condvar, Mutex, lock};
use std::sync::PoisonError;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// A value that changes until it is what somebody waits for.
#[derive(Debug)]
pub(in crate::client) struct Waited<T> {
    value: Mutex<(T, Option<Waker>)>,
    changed: Condvar,
}

impl<T> Waited<T> {
    pub(in crate::client) fn new(value: T) -> Waited<T> {
        Waited { value: Mutex::new((value, None)), changed: Condvar::new() }
    }

    /// Changes it, and wakes threads that wait. A task is to be woken by the caller once it holds no lock: that may run
    /// code of the program's.
    #[must_use]
    pub(in crate::client) fn change(&self, change: impl FnOnce(&mut T)) -> Option<Waker> {
        let waker = {
            let (value, waker) = &mut *lock(&self.value);
            change(value);
            waker.take()
        };
        self.changed.notify_all();
        waker
    }

    /// Looks at it, and may take something of it.
    pub(in crate::client) fn look<R>(&self, look: impl FnOnce(&mut T) -> R) -> R {
        look(&mut lock(&self.value).0)
    }

    /// Waits until `look` finds something.
    pub(in crate::client) fn wait<R>(&self, mut look: impl FnMut(&mut T) -> Option<R>) -> R {
        let mut value = lock(&self.value);
        loop {
            if let Some(found) = look(&mut value.0) {
                return found;
            }
            value = self.changed.wait(value).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The same, for so long.
    pub(in crate::client) fn wait_timeout<R>(
        &self,
        timeout: Duration,
        mut look: impl FnMut(&mut T) -> Option<R>,
    ) -> Option<R> {
        let mut found = None;
        let still_waits = |value: &mut (T, Option<Waker>)| {
            found = look(&mut value.0);
            found.is_none()
        };
        let waited = self.changed.wait_timeout_while(lock(&self.value), timeout, still_waits);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
        found
    }

    /// The same for a task, which is woken. The last one that asks is.
    pub(in crate::client) fn poll<R>(
        &self,
        context: &Context<'_>,
        look: impl FnOnce(&mut T) -> Option<R>,
    ) -> Poll<R> {
        let (value, waker) = &mut *lock(&self.value);
        match look(value) {
            Some(found) => Poll::Ready(found),
            None => {
                *waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}
