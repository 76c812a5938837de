//! What a program has of a WebSocket. Every function may be called from every thread.

use super::builder::{WebSocketBuilder, millis};
use super::shared::{SendError, SharedWebSocket, WebSocketEvent, WebSocketInner, WebSocketTask};
use crate::client::core::State;
use crate::client::thread::{Events, NetworkThread};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A WebSocket of any server, which is opened again after it was lost. Clones are one WebSocket. When the last one is
/// dropped it closes, and its thread ends.
///
/// What was sent before a loss may have been lost with it: RFC 6455 has no acknowledgements. The program hears of each
/// [`WebSocketEvent::Opened`], and sends again what it must.
#[derive(Clone, Debug)]
pub struct WebSocket(Arc<WebSocketHandle>);

/// What the clones of a WebSocket share.
pub(super) struct WebSocketHandle {
    pub(super) shared: Arc<SharedWebSocket>,
    pub(super) thread: NetworkThread,
}

impl WebSocket {
    /// How one is made: `WebSocket::builder("wss://host/path").start()?`.
    #[must_use]
    pub fn builder(url: &str) -> WebSocketBuilder {
        WebSocketBuilder::new(url)
    }

    pub(super) fn new(handle: WebSocketHandle) -> WebSocket {
        WebSocket(Arc::new(handle))
    }

    /// Sends a text message; it never waits.
    ///
    /// # Errors
    /// [`SendError`]
    pub fn send(&self, text: &str) -> Result<(), SendError> {
        let task = |serial| WebSocketTask::Text { serial, text: text.to_owned() };
        self.0.shared.with(|inner, _| inner.send(text.len(), task))
    }

    /// Sends a message of bytes; it never waits.
    ///
    /// # Errors
    /// [`SendError`]
    pub fn send_bytes(&self, bytes: &[u8]) -> Result<(), SendError> {
        let task = |serial| WebSocketTask::Bytes { serial, bytes: bytes.to_vec() };
        self.0.shared.with(|inner, _| inner.send(bytes.len(), task))
    }

    /// Waits until all that was sent has been handed to the system, or the connection is lost; whether that was in time.
    #[must_use]
    pub fn flush(&self, timeout: Duration) -> bool {
        let is_flushed = self.0.shared.wait(Some(timeout), |inner, _| {
            (inner.unsent_bytes == 0 || inner.open.is_none()).then_some(())
        });
        is_flushed.is_some()
    }

    /// The queue of what comes. While it is full, nothing is read: the server sees a slow reader.
    #[must_use]
    pub fn events(&self) -> Events<WebSocketEvent> {
        Events(Arc::clone(&self.0.shared) as _)
    }

    /// What it does about its connection.
    #[must_use]
    pub fn state(&self) -> State {
        self.0.shared.lock().redial.state.clone()
    }

    /// The subprotocol that the server chose last.
    #[must_use]
    pub fn protocol(&self) -> Option<String> {
        self.0.shared.lock().protocol.clone()
    }

    /// Waits until the state is one that is wanted, and returns it; `None` if it is not in time.
    #[must_use]
    pub fn wait_state(
        &self,
        timeout: Duration,
        is_wanted: impl Fn(&State) -> bool,
    ) -> Option<State> {
        self.0.shared.wait(Some(timeout), |inner, _| {
            let state = &inner.redial.state;
            is_wanted(state).then(|| state.clone())
        })
    }

    /// Waits until it is open.
    ///
    /// # Errors
    /// The state that it is in, if it is not open in time, or has stopped trying.
    pub fn wait_open(&self, timeout: Duration) -> Result<(), State> {
        let ends = |state: &State| {
            matches!(state, State::Online { .. } | State::Closed | State::Failed { .. })
        };
        match self.wait_state(timeout, ends).unwrap_or_else(|| self.state()) {
            State::Online { .. } => Ok(()),
            state => Err(state),
        }
    }

    /// Opens it now, whatever was planned; also after it has failed.
    pub fn retry_now(&self) {
        self.0.shared.with(|inner, _| {
            if !inner.events.is_over() {
                inner.tasks.push(WebSocketTask::Open);
            }
        });
    }

    /// Begins to close it for good, with the closing handshake (RFC 6455 §7.1.2): when the server has done its part, at
    /// the latest after so long, it ends. What was sent before goes first. It never waits. A code that a Close must not
    /// have is sent as none.
    pub fn stop(&self, code: u16, reason: &str, timeout: Duration) {
        let reason = reason.to_owned();
        self.0.shared.with(|inner, shared| {
            if inner.events.is_over() {
                inner.is_closed = true;
                return;
            }
            inner.is_wanted = false;
            let at = shared.clock.now().plus_millis(millis(timeout));
            inner.stop_at = Some(inner.stop_at.map_or(at, |earlier| earlier.min(at)));
            inner.tasks.push(WebSocketTask::Close { code, reason });
        });
    }

    /// The same, and waits until it has ended; whether the server has done its part. Called by
    /// [`WebSocketBuilder::on_event`] it does not wait.
    pub fn close(&self, code: u16, reason: &str, timeout: Duration) -> bool {
        self.stop(code, reason, timeout);
        self.0.thread.join();
        self.0.shared.lock().is_closed
    }

    /// Waits until it has ended for good, which [`WebSocket::stop`] begins: also until a function of
    /// [`WebSocketBuilder::on_event`] has returned. Whether it has. On the
    /// network's thread it does not wait.
    #[must_use]
    pub fn wait_closed(&self, timeout: Duration) -> bool {
        let over = |inner: &mut WebSocketInner, _: &_| inner.events.is_over().then_some(());
        let timeout = if self.0.thread.is_current() { Duration::ZERO } else { timeout };
        let is_over = self.0.shared.wait(Some(timeout), over).is_some();
        if is_over {
            self.0.thread.join();
        }
        is_over
    }
}

impl Drop for WebSocketHandle {
    fn drop(&mut self) {
        self.shared.with(|inner, shared| {
            if !inner.events.is_over() {
                inner.stop_at = Some(shared.clock.now());
            }
        });
        self.thread.join();
    }
}

impl fmt::Debug for WebSocketHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocketHandle")
            .field("state", &self.shared.lock().redial.state)
            .finish_non_exhaustive()
    }
}
