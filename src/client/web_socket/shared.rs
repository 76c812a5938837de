//! What a WebSocket's threads share.

use super::redial::Redial;
use crate::base::{Moment, Now};
use crate::client::core::State;
use crate::client::thread::{EventQueue, EventSource, Monitor, Monitored};
use crate::reactor::Clock;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::mpsc::{RecvTimeoutError, TryRecvError};
use std::time::Duration;

/// While so many bytes wait for the program, nothing more is read.
const QUEUE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What comes of a WebSocket.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WebSocketEvent {
    /// It is open; with the subprotocol that the server chose.
    Opened(Option<String>),
    /// A text message.
    Text(String),
    /// A message of bytes.
    Bytes(Vec<u8>),
    /// The server has closed it.
    Closed {
        /// The code, if there is one.
        code: Option<u16>,
        /// The reason; may be empty.
        reason: String,
    },
    /// It could not be opened, or ended without a Close; says why.
    Lost(String),
}

/// What comes of a WebSocket, as [`WebSocketBuilder::on_event`](super::WebSocketBuilder::on_event) has it: a message lies
/// where it was received, or was put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WebSocketNews<'a> {
    /// See [`WebSocketEvent::Opened`].
    Opened(Option<&'a str>),
    /// A text message.
    Text(&'a str),
    /// A message of bytes.
    Bytes(&'a [u8]),
    /// See [`WebSocketEvent::Closed`].
    Closed {
        /// The code, if there is one.
        code: Option<u16>,
        /// The reason; may be empty.
        reason: &'a str,
    },
    /// See [`WebSocketEvent::Lost`].
    Lost(&'a str),
}

impl WebSocketNews<'_> {
    fn to_event(self) -> WebSocketEvent {
        match self {
            WebSocketNews::Opened(protocol) => {
                WebSocketEvent::Opened(protocol.map(ToOwned::to_owned))
            }
            WebSocketNews::Text(text) => WebSocketEvent::Text(text.to_owned()),
            WebSocketNews::Bytes(bytes) => WebSocketEvent::Bytes(bytes.to_vec()),
            WebSocketNews::Closed { code, reason } => {
                WebSocketEvent::Closed { code, reason: reason.to_owned() }
            }
            WebSocketNews::Lost(reason) => WebSocketEvent::Lost(reason.to_owned()),
        }
    }
}

/// Why a message is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// The WebSocket is not open now.
    NotOpen,
    /// Too much waits to be sent: [`WebSocket::flush`](super::WebSocket::flush) waits for that.
    Full,
}

/// What a WebSocket's threads share.
pub(super) type SharedWebSocket = Monitor<WebSocketInner>;

#[derive(Debug)]
pub(super) struct WebSocketInner {
    pub(super) redial: Redial,
    pub(super) events: EventQueue<WebSocketEvent>,
    /// Bytes of messages in it, and of the one that was taken last.
    queued_bytes: usize,
    /// The bytes of that one, until the next is asked for.
    lent: Option<usize>,
    pub(super) queue_max: usize,
    /// Nothing more is read until the program takes some of it.
    pub(super) is_held: bool,
    pub(super) tasks: Vec<WebSocketTask>,
    pub(super) armed: Moment,
    /// The number of the connection that is open.
    pub(super) open: Option<u64>,
    /// Bytes that wait to be sent.
    pub(super) unsent_bytes: usize,
    pub(super) unsent_bytes_max: usize,
    pub(super) protocol: Option<String>,
    /// The program has not closed it.
    pub(super) is_wanted: bool,
    /// It is to end when it is closed, or then.
    pub(super) stop_at: Option<Moment>,
    /// It was closed before that, or has ended by itself.
    pub(super) is_closed: bool,
}

/// What the network's thread does.
#[derive(Debug)]
pub(super) enum WebSocketTask {
    Open,
    Found {
        serial: u64,
        found: io::Result<Vec<SocketAddr>>,
    },
    Text {
        serial: u64,
        text: String,
    },
    Bytes {
        serial: u64,
        bytes: Vec<u8>,
    },
    Close {
        code: u16,
        reason: String,
    },
    /// The program takes messages again.
    Resume,
}

impl Monitored for WebSocketInner {
    fn needs_network(&self) -> bool {
        let due = self.redial.due.min(self.stop_at.unwrap_or(Moment::NEVER));
        !self.tasks.is_empty() || due < self.armed
    }
}

impl SharedWebSocket {
    /// The network's thread has ended: nothing more comes.
    pub(super) fn end(&self) {
        self.with_own(|inner, _| {
            if !matches!(inner.redial.state, State::Failed { .. }) {
                inner.redial.rest(State::Closed);
            }
            inner.open = None;
            inner.tasks.clear();
            inner.events.end();
        });
        self.notify();
    }
}

impl WebSocketInner {
    pub(super) fn new(redial: Redial, queue_max: usize, unsent_bytes_max: usize) -> WebSocketInner {
        WebSocketInner {
            redial,
            events: EventQueue::new(),
            queued_bytes: 0,
            lent: None,
            queue_max,
            is_held: false,
            tasks: Vec::new(),
            armed: Moment::NEVER,
            open: None,
            unsent_bytes: 0,
            unsent_bytes_max,
            protocol: None,
            is_wanted: true,
            stop_at: None,
            is_closed: false,
        }
    }

    /// Adds an event; whether the program should be given more messages now.
    pub(super) fn tell(&mut self, news: WebSocketNews<'_>) -> bool {
        let event = news.to_event();
        self.queued_bytes += bytes(&event);
        self.events.push(event);
        self.is_held |= !self.has_room();
        !self.is_held
    }

    fn has_room(&self) -> bool {
        let lent = usize::from(self.lent.is_some());
        self.events.len() + lent < self.queue_max && self.queued_bytes < QUEUE_BYTES_MAX
    }

    /// The next event. The one before is done with then: a program that asks for the next has answered it, if it does.
    fn take(&mut self) -> Option<WebSocketEvent> {
        self.queued_bytes -= std::mem::take(&mut self.lent).unwrap_or_default();
        // Not for each: that would be a wake for each.
        let is_half =
            self.events.len() <= self.queue_max / 2 && self.queued_bytes <= QUEUE_BYTES_MAX / 2;
        if self.is_held && is_half {
            self.is_held = false;
            self.tasks.push(WebSocketTask::Resume);
        }
        let event = self.events.pop()?;
        self.lent = Some(bytes(&event));
        Some(event)
    }

    /// The connection is over: it comes back, unless the program has closed it.
    pub(super) fn lost(
        &mut self,
        now: Now,
        code: Option<u16>,
        reason: &str,
        retry_after_ms: Option<u64>,
    ) {
        self.open = None;
        if self.is_wanted {
            self.redial.lost(now, code, reason, retry_after_ms);
        } else {
            self.redial.rest(State::Closed);
        }
    }

    /// Queues a message.
    pub(super) fn send(
        &mut self,
        len: usize,
        task: impl FnOnce(u64) -> WebSocketTask,
    ) -> Result<(), SendError> {
        let serial = self.open.ok_or(SendError::NotOpen)?;
        // One always goes, whatever its length.
        if self.unsent_bytes > 0 && self.unsent_bytes.saturating_add(len) > self.unsent_bytes_max {
            return Err(SendError::Full);
        }
        self.unsent_bytes += len;
        self.tasks.push(task(serial));
        Ok(())
    }
}

fn bytes(event: &WebSocketEvent) -> usize {
    match event {
        WebSocketEvent::Text(text) => text.len(),
        WebSocketEvent::Bytes(bytes) => bytes.len(),
        _ => 0,
    }
}

/// The time, as the state of a connection wants it.
pub(super) fn now(clock: Clock) -> Now {
    let timestamp = Clock::timestamp();
    Now { moment: clock.now(), timestamp, age_by: timestamp }
}

impl EventSource<WebSocketEvent> for SharedWebSocket {
    fn wait(&self, timeout: Option<Duration>) -> Result<WebSocketEvent, RecvTimeoutError> {
        let found = Monitor::wait(self, timeout, |inner, _| match inner.take() {
            Some(event) => Some(Ok(event)),
            None => inner.events.is_over().then_some(Err(RecvTimeoutError::Disconnected)),
        });
        found.unwrap_or(Err(RecvTimeoutError::Timeout))
    }

    fn take(&self) -> Result<WebSocketEvent, TryRecvError> {
        self.with(|inner, _| match inner.take() {
            Some(event) => Ok(event),
            None if inner.events.is_over() => Err(TryRecvError::Disconnected),
            None => Err(TryRecvError::Empty),
        })
    }

    fn descriptor(&self) -> io::Result<OwnedFd> {
        self.lock().events.descriptor()
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SendError::NotOpen => "the WebSocket is not open",
            SendError::Full => "too much waits to be sent",
        })
    }
}

impl std::error::Error for SendError {}
