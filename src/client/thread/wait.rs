//! A value that comes later: a thread may wait for it, and so may a task of any async runtime.

use super::locks::{Condvar, Mutex, lock};
use std::sync::PoisonError;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// A value that changes until it is what somebody waits for.
#[derive(Debug)]
pub(in crate::client) struct Waited<T> {
    place: Mutex<Place<T>>,
    changed: Condvar,
}

#[derive(Debug)]
struct Place<T> {
    value: T,
    /// A task that waits.
    waker: Option<Waker>,
    /// How many threads wait.
    waiting: u32,
}

impl<T> Waited<T> {
    pub(in crate::client) fn new(value: T) -> Waited<T> {
        let place = Place { value, waker: None, waiting: 0 };
        Waited { place: Mutex::new(place), changed: Condvar::new() }
    }

    /// Changes it, and wakes threads that wait. A task is to be woken by the caller once it holds no lock: that may run
    /// code of the program's.
    #[must_use]
    pub(in crate::client) fn change(&self, change: impl FnOnce(&mut T)) -> Option<Waker> {
        let (waker, is_waited_for) = {
            let place = &mut *lock(&self.place);
            change(&mut place.value);
            (place.waker.take(), place.waiting > 0)
        };
        if is_waited_for {
            self.changed.notify_all();
        }
        waker
    }

    /// Looks at it, and may take something of it.
    pub(in crate::client) fn look<R>(&self, look: impl FnOnce(&mut T) -> R) -> R {
        look(&mut lock(&self.place).value)
    }

    /// Waits until `look` finds something.
    pub(in crate::client) fn wait<R>(&self, mut look: impl FnMut(&mut T) -> Option<R>) -> R {
        let mut place = lock(&self.place);
        loop {
            if let Some(found) = look(&mut place.value) {
                return found;
            }
            place.waiting += 1;
            place = self.changed.wait(place).unwrap_or_else(PoisonError::into_inner);
            place.waiting -= 1;
        }
    }

    /// The same, for so long.
    pub(in crate::client) fn wait_timeout<R>(
        &self,
        timeout: Duration,
        mut look: impl FnMut(&mut T) -> Option<R>,
    ) -> Option<R> {
        let mut found = None;
        let still_waits = |place: &mut Place<T>| {
            found = look(&mut place.value);
            found.is_none()
        };
        let mut place = lock(&self.place);
        place.waiting += 1;
        let waited = self.changed.wait_timeout_while(place, timeout, still_waits);
        waited.unwrap_or_else(PoisonError::into_inner).0.waiting -= 1;
        found
    }

    /// The same for a task, which is woken. The last one that asks is.
    pub(in crate::client) fn poll<R>(
        &self,
        context: &Context<'_>,
        look: impl FnOnce(&mut T) -> Option<R>,
    ) -> Poll<R> {
        let place = &mut *lock(&self.place);
        match look(&mut place.value) {
            Some(found) => Poll::Ready(found),
            None => {
                place.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}
