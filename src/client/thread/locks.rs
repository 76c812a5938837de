//! The locks of what several threads share. tests/loom has others in their place, which try all orders of threads.

use std::sync::PoisonError;
pub(super) use std::sync::atomic::{AtomicU32, Ordering};
pub(super) use std::sync::{Condvar, Mutex, MutexGuard};

/// Locks, also what a thread has left that panicked: nothing is half done where no program's code runs.
pub(in crate::client) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
