//! How other threads and signals wake the reactor out of its wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Wakes the reactor, from any thread; cheap to clone and to call again before it has woken.
#[derive(Clone, Debug)]
pub struct Wake {
    /// None where nobody sleeps: a simulator looks by itself.
    waker: Option<Arc<mio::Waker>>,
    is_pending: Arc<AtomicBool>,
}

impl Wake {
    pub(super) fn new(waker: mio::Waker) -> Wake {
        Wake { waker: Some(Arc::new(waker)), is_pending: Arc::new(AtomicBool::new(false)) }
    }

    /// Of a simulator, which asks [`Wake::is_pending`].
    pub(super) fn of_nobody() -> Wake {
        Wake { waker: None, is_pending: Arc::new(AtomicBool::new(false)) }
    }

    /// Lets [`Handler::woken`](super::Handler::woken) be called soon: once, for however many calls
    /// came before it. What the caller published before is visible to it.
    pub fn wake(&self) {
        if !self.is_pending.swap(true, Ordering::AcqRel)
            && let Some(waker) = &self.waker
            && let Err(error) = waker.wake()
        {
            log::error!("cannot wake the reactor: {error}");
        }
    }

    /// Whether somebody called [`Wake::wake`] since the last look.
    pub(super) fn is_pending(&self) -> bool {
        self.is_pending.load(Ordering::Acquire)
    }

    /// The reactor has woken; a later call of [`Wake::wake`] counts anew.
    pub(super) fn acknowledge(&self) {
        self.is_pending.store(false, Ordering::Release);
    }
}

/// The signal of Ctrl-C at a terminal.
pub const SIGINT: std::ffi::c_int = libc::SIGINT;
/// The signal by which a process is asked to end.
pub const SIGTERM: std::ffi::c_int = libc::SIGTERM;

/// Calls `then` on a thread of its own whenever one of `signals` comes.
///
/// # Errors
/// What the system says when a signal cannot be caught or the thread not be started.
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
