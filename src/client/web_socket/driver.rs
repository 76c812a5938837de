//! The network's thread of a WebSocket.

use super::shared::{SharedWebSocket, WebSocketInner, WebSocketNews, WebSocketTask, now};
use crate::base::{ConnId, Moment};
use crate::client::core::State;
use crate::client::error::ConnectError;
use crate::client::net::{Helpers, Socket, SocketEvent, SocketPlan, look_up};
use crate::protocol::Message;
use crate::reactor::{CloseCause, Handler, Io};
use std::net::SocketAddr;
use std::sync::{Arc, MutexGuard};

/// How long the server's part of the closing handshake is waited for when the program lets go.
const STOP_MS: u64 = 10;

/// A program's function for what comes.
pub(super) type NewsFn = dyn FnMut(WebSocketNews<'_>) + Send;

/// The handler of the network's thread.
pub(super) struct WebSocketDriver {
    pub(super) shared: Arc<SharedWebSocket>,
    pub(super) plan: Arc<SocketPlan>,
    pub(super) helpers: Helpers,
    pub(super) serial: u64,
    pub(super) socket: Option<Socket>,
    pub(super) ping: Ping,
    pub(super) on_event: Option<Box<NewsFn>>,
    /// While that runs; and for good, once it has panicked.
    pub(super) is_calling: bool,
}

/// Whether the server is there.
#[derive(Debug)]
pub(super) struct Ping {
    pub(super) interval_ms: u64,
    pub(super) timeout_ms: u64,
    /// When it is asked, or given up; `NEVER` while nothing is open.
    pub(super) due: Moment,
    is_asked: bool,
}

impl Ping {
    pub(super) fn new(interval_ms: u64, timeout_ms: u64) -> Ping {
        Ping { interval_ms, timeout_ms, due: Moment::NEVER, is_asked: false }
    }

    /// Something was heard, or nothing can be: it is asked after a silence.
    fn heard(&mut self, now: Moment) {
        self.is_asked = false;
        self.due = match self.interval_ms {
            0 => Moment::NEVER,
            interval => now.plus_millis(interval),
        };
    }

    fn stop(&mut self) {
        (self.due, self.is_asked) = (Moment::NEVER, false);
    }
}

impl WebSocketDriver {
    fn work(&mut self, io: &mut Io) {
        loop {
            let tasks = std::mem::take(&mut self.shared.lock().tasks);
            if tasks.is_empty() {
                break;
            }
            for task in tasks {
                self.carry_out(io, task);
            }
            self.count_unsent(io);
        }
        self.stop_if_due(io);
        let of_socket = self.socket.as_ref().map_or(Moment::NEVER, Socket::next_at);
        let mut inner = self.shared.lock();
        let stop_at = inner.stop_at.unwrap_or(Moment::NEVER);
        inner.armed = inner.redial.due.min(of_socket).min(self.ping.due).min(stop_at);
        if inner.armed != Moment::NEVER {
            io.wake_at(inner.armed);
        }
    }

    fn carry_out(&mut self, io: &mut Io, task: WebSocketTask) {
        match task {
            WebSocketTask::Open => self.open(io),
            WebSocketTask::Found { serial, found } if serial == self.serial => {
                self.with_socket(io, |socket, io, sink| socket.found(io, found, sink));
            }
            WebSocketTask::Text { serial, text } if serial == self.serial => {
                self.send(io, Message::Text(&text))
            }
            WebSocketTask::Bytes { serial, bytes } if serial == self.serial => {
                self.send(io, Message::Binary(&bytes));
            }
            WebSocketTask::Found { .. }
            | WebSocketTask::Text { .. }
            | WebSocketTask::Bytes { .. } => {}
            WebSocketTask::Resume => {
                self.with_socket(io, Socket::resume);
                self.hear(io);
                // It was waited with.
                let waits = matches!(self.shared.lock().redial.state, State::Waiting { .. });
                if waits && self.shared.lock().redial.due == Moment::NEVER {
                    self.open(io);
                }
            }
            WebSocketTask::Close { code, reason } => {
                let socket = self.socket.as_mut();
                let closes = socket.is_some_and(|socket| socket.close(io, code, &reason));
                if !closes {
                    self.leave(io, code, &reason);
                    self.rest(State::Closed);
                }
            }
        }
    }

    /// Ends when it is closed, or when there was time enough for that.
    fn stop_if_due(&mut self, io: &mut Io) {
        let mut inner = self.shared.lock();
        let is_closed = inner.redial.state == State::Closed;
        if !inner.stop_at.is_some_and(|at| is_closed || at <= io.now()) {
            return;
        }
        (inner.stop_at, inner.is_closed) = (None, is_closed);
        drop(inner);
        self.leave(io, 1_000, "");
        self.rest(State::Closed);
        io.stop_by(io.now().plus_millis(STOP_MS));
    }

    fn open(&mut self, io: &mut Io) {
        self.leave(io, 1_000, "");
        self.shared.with_own(|inner, shared| inner.redial.begin(now(shared.clock)));
        self.shared.notify();
        let target = self.plan.url.target().to_owned();
        self.socket = Some(Socket::new(Arc::clone(&self.plan), target));
        let (shared, serial) = (Arc::clone(&self.shared), self.serial);
        let then = move |found| {
            shared.with(|inner, _| inner.tasks.push(WebSocketTask::Found { serial, found }))
        };
        look_up(&self.helpers, self.plan.first_host(), then);
    }

    /// Lets go of what there is.
    fn leave(&mut self, io: &mut Io, code: u16, reason: &str) {
        self.serial += 1;
        self.ping.stop();
        if let Some(socket) = self.socket.take() {
            socket.leave(io, code, reason);
        }
        self.shared.lock().open = None;
    }

    fn rest(&self, state: State) {
        self.shared.with_own(|inner, _| inner.redial.rest(state));
        self.shared.notify();
    }

    fn send(&mut self, io: &mut Io, message: Message<'_>) {
        if let Some(socket) = &mut self.socket {
            socket.send(io, message);
        }
    }

    fn count_unsent(&mut self, io: &mut Io) {
        let waiting = self.socket.as_ref().map_or(0, |socket| socket.waiting_bytes(io));
        if let Some(conn) = self.socket.as_ref().and_then(Socket::conn).filter(|_| waiting > 0) {
            io.tell_drained(conn);
        }
        self.shared.lock().unsent_bytes = waiting;
        self.shared.notify();
    }

    /// Lets the socket do something, and hands on what comes of it.
    fn with_socket<R>(
        &mut self,
        io: &mut Io,
        act: impl FnOnce(&mut Socket, &mut Io, &mut dyn FnMut(SocketEvent<'_>) -> bool) -> R,
    ) -> Option<R> {
        let socket = self.socket.as_mut()?;
        let (shared, serial, mut is_over) = (&self.shared, self.serial, false);
        let (on_event, is_calling) = (&mut self.on_event, &mut self.is_calling);
        let mut hand_on = |event: SocketEvent<'_>| {
            *is_calling = on_event.is_some();
            let takes_more = hand_on(shared, serial, event, &mut is_over, on_event.as_deref_mut());
            *is_calling = false;
            takes_more
        };
        let done = act(socket, io, &mut hand_on);
        if is_over {
            (self.socket, self.serial) = (None, self.serial + 1);
            self.ping.stop();
        } else if let Some(conn) = socket.conn().filter(|_| shared.lock().is_held) {
            // Nothing is heard then, and nobody is given up for it.
            io.pause(conn);
            self.ping.stop();
        }
        Some(done)
    }

    /// Something has come, or may come again.
    fn hear(&mut self, io: &Io) {
        if self.socket.as_ref().is_some_and(Socket::is_open) && !self.shared.lock().is_held {
            self.ping.heard(io.now());
        }
    }
}

/// Whether the program takes more messages.
fn hand_on(
    shared: &SharedWebSocket,
    serial: u64,
    event: SocketEvent<'_>,
    is_over: &mut bool,
    on_event: Option<&mut NewsFn>,
) -> bool {
    let mut inner = shared.lock();
    let now = now(shared.clock);
    let mut lost = |code, reason: &str, retry_after_ms| {
        *is_over = true;
        inner.lost(now, code, reason, retry_after_ms);
    };
    let why;
    let news = match event {
        SocketEvent::Opened(protocol) => {
            inner.redial.opened(now);
            inner.open = Some(serial);
            inner.protocol = protocol;
            why = inner.protocol.clone().unwrap_or_default();
            WebSocketNews::Opened(inner.protocol.is_some().then_some(&why))
        }
        SocketEvent::Text(text) => WebSocketNews::Text(text),
        SocketEvent::Bytes(bytes) => WebSocketNews::Bytes(bytes),
        SocketEvent::Closed { code, reason } => {
            lost(code, reason, None);
            WebSocketNews::Closed { code, reason }
        }
        SocketEvent::Broken(error) => {
            why = error.to_string();
            lost(None, &why, None);
            WebSocketNews::Lost(&why)
        }
        SocketEvent::NotOpened(error) => {
            why = error.to_string();
            lost(None, &why, retry_after_ms(&error));
            WebSocketNews::Lost(&why)
        }
    };
    let takes_more = tell(shared, inner, news, on_event);
    shared.notify();
    takes_more
}

/// Tells the program, whose function is called without the lock; whether it takes more messages.
fn tell(
    shared: &SharedWebSocket,
    mut inner: MutexGuard<'_, WebSocketInner>,
    news: WebSocketNews<'_>,
    on_event: Option<&mut NewsFn>,
) -> bool {
    match on_event {
        Some(on_event) => {
            drop(inner);
            shared.call_program(|| on_event(news));
            true
        }
        None => inner.tell(news),
    }
}

fn retry_after_ms(error: &ConnectError) -> Option<u64> {
    error.retry_after().map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX))
}

impl Handler for WebSocketDriver {
    fn opened(&mut self, _: &mut Io, _: ConnId, _: SocketAddr) {}

    fn connected(&mut self, io: &mut Io, conn: ConnId) {
        self.with_socket(io, |socket, io, sink| socket.connected(io, conn, sink));
        self.work(io);
    }

    fn received(&mut self, io: &mut Io, conn: ConnId, bytes: &mut [u8]) -> usize {
        let all = bytes.len();
        self.hear(io);
        let took = self.with_socket(io, |socket, io, sink| socket.received(io, conn, bytes, sink));
        if self.ping.due == Moment::NEVER {
            self.hear(io);
        }
        self.work(io);
        took.unwrap_or(all)
    }

    fn drained(&mut self, io: &mut Io, _: ConnId) {
        self.count_unsent(io);
    }

    fn closed(&mut self, io: &mut Io, conn: ConnId, cause: CloseCause) {
        self.with_socket(io, |socket, io, sink| {
            if socket.has(conn) {
                socket.closed(io, conn, cause, sink);
            }
        });
        self.work(io);
    }

    fn woken(&mut self, io: &mut Io) {
        self.work(io);
    }

    fn is_poisoned(&self) -> bool {
        self.is_calling
    }

    fn timer_fired(&mut self, io: &mut Io) {
        if let Some(socket) = &mut self.socket {
            socket.time(io);
        }
        if self.ping.due <= io.now() {
            if self.ping.is_asked {
                self.give_up(io, "no answer in time");
            } else {
                self.send(io, Message::Ping(b""));
                self.ping.is_asked = true;
                self.ping.due = io.now().plus_millis(self.ping.timeout_ms);
            }
        }
        let (due, state, is_held) = {
            let inner = self.shared.lock();
            (inner.redial.due, inner.redial.state.clone(), inner.is_held)
        };
        if due <= self.shared.clock.now() {
            match state {
                State::Connecting => self.give_up(io, "it took too long to connect"),
                // What came of the last one is still to be taken.
                State::Waiting { .. } if is_held => self.shared.lock().redial.due = Moment::NEVER,
                State::Waiting { .. } => self.open(io),
                _ => {}
            }
        }
        self.work(io);
    }
}

impl WebSocketDriver {
    fn give_up(&mut self, io: &mut Io, why: &str) {
        self.leave(io, 1_000, "");
        let mut inner = self.shared.lock();
        inner.lost(now(self.shared.clock), None, why, None);
        tell(&self.shared, inner, WebSocketNews::Lost(why), self.on_event.as_deref_mut());
        self.shared.notify();
    }
}
