//! Wakes the reactor from other threads and signals.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Wakes the reactor, from any thread. Cloning it, and calling it again before the reactor wakes,
/// is cheap.
#[derive(Clone, Debug)]
pub struct Wake {
    /// None for a simulator, which polls instead.
    waker: Option<Arc<mio::Waker>>,
    is_pending: Arc<AtomicBool>,
}

impl Wake {
    pub(super) fn new(waker: mio::Waker) -> Wake {
        Wake { waker: Some(Arc::new(waker)), is_pending: Arc::new(AtomicBool::new(false)) }
    }

    /// For a simulator, which polls [`Wake::is_pending`].
    pub(super) fn of_nobody() -> Wake {
        Wake { waker: None, is_pending: Arc::new(AtomicBool::new(false)) }
    }

    /// Requests a call of [`Handler::woken`](super::Handler::woken) soon: one, for any number of
    /// calls before it. The handler sees what the caller published before.
    pub fn wake(&self) {
        if !self.is_pending.swap(true, Ordering::AcqRel)
            && let Some(waker) = &self.waker
            && let Err(error) = waker.wake()
        {
            log::error!("cannot wake the reactor: {error}");
        }
    }

    /// Whether [`Wake::wake`] was called since the last acknowledgement.
    pub(super) fn is_pending(&self) -> bool {
        self.is_pending.load(Ordering::Acquire)
    }

    /// Marks the wake as handled: later calls of [`Wake::wake`] wake again.
    pub(super) fn acknowledge(&self) {
        self.is_pending.store(false, Ordering::Release);
    }
}

/// The signal of Ctrl-C at a terminal.
pub const SIGINT: std::ffi::c_int = libc::SIGINT;
/// The signal that asks a process to end.
pub const SIGTERM: std::ffi::c_int = libc::SIGTERM;

/// Calls `then` on its own thread whenever one of `signals` arrives.
///
/// # Errors
/// The system's error when a signal cannot be caught or the thread not be started.
pub fn on_signal(
    signals: &[std::ffi::c_int],
    then: impl Fn(std::ffi::c_int) + Send + 'static,
) -> std::io::Result<()> {
    let mut caught = signal_hook::iterator::Signals::new(signals)?;
    std::thread::Builder::new().name("parlor-signals".into()).spawn(move || {
        for signal in caught.forever() {
            then(signal);
        }
    })?;
    Ok(())
}
