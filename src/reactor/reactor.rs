//! The loop: poll → accept → read and handle → timers → turned → flush → ends → turned. Each step
//! is bounded, so that none starves the others, and short enough to read on one screen.

use super::clock::Clock;
use super::connection::{OpenSocket, SocketMark, UnreadBytes};
use super::io::{Handler, Io};
use super::listener::OpenListener;
use super::listening_socket::ListeningSocket;
use super::memory::all_outboxes_bytes;
use super::read::Drains;
use super::seat::{ReactorSeat, part_of_outboxes};
use super::slot::{CloseCause, Phase};
use super::system::{Acceptor, IoReadiness, Machine, Plain, System, Transport};
use super::wake::Wake;
use crate::base::limits::{
    CLOCK_JUMP_MS, CONNECTIONS_RESERVED, READ_BUFFER_BYTES, SEND_BUFFER_BYTES,
};
use crate::base::{Buffer, ConnId, Limits, Moment, Timestamp};
use mio::{Events, Token};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

pub(super) const WAKER: Token = Token(usize::MAX);
/// That of the first listener; the others' follow, downwards.
pub(super) const LISTENERS: usize = usize::MAX - 1;
const EVENTS_PER_TURN: usize = 1_024;

/// The reactor's configuration.
#[derive(Clone, Debug)]
pub struct ReactorConfig {
    /// The address to listen on; port 0 picks a free one.
    pub listen: SocketAddr,
    /// Uses those of outboxes, the number of connections and the closing timeout.
    pub limits: Limits,
}

/// The loop and all its sockets.
#[derive(Debug)]
pub struct Reactor<S: System = Machine> {
    pub(super) system: S,
    pub(super) clock: Clock,
    /// None after the handler has stopped accepting.
    pub(super) listeners: Vec<OpenListener>,
    pub(super) wake: Wake,
    pub(super) io: Io,
    /// By the index of a [`ConnId`], like the table in `io`.
    pub(super) sockets: Vec<Option<OpenSocket<S::Stream>>>,
    /// Connections with something to read; those stopped by a budget are at the end.
    pub(super) ready: VecDeque<ConnId>,
    /// The limit on all outboxes is derived from the available memory.
    pub(super) has_outboxes_by_memory: bool,
    /// Connections that wait for the budget of all outboxes.
    pub(super) starved: Vec<ConnId>,
    /// Bytes that handlers have not used up: of paused connections, and of those that sent much.
    pub(super) unread: BTreeMap<ConnId, UnreadBytes>,
    /// What has become of connections that were dialled, until the handler is told.
    pub(super) dialled: Vec<(ConnId, Option<io::ErrorKind>)>,
    pub(super) drains: Drains,
    pub(super) due: Vec<ConnId>,
    pub(super) read_buffer: Vec<u8>,
    /// Lent to the connection whose input is being handled.
    pub(super) send_buffer: Option<Box<Buffer>>,
    pub(super) send_buffer_bytes: usize,
    /// The connections whose answers are in that buffer, in order, and where each answer ends.
    pub(super) answers: Vec<(ConnId, usize)>,
    pub(super) outbox_low_bytes: usize,
    /// Connections beyond the limit that are being told so; at most
    /// [`TURNED_AWAY_MAX`](crate::base::limits::TURNED_AWAY_MAX).
    pub(super) turned_away: Vec<ConnId>,
    pub(super) exhausted_log: Moment,
}

impl Reactor {
    /// Binds and listens.
    ///
    /// # Errors
    /// The system's error, such as that the address is in use.
    pub fn bind(config: &ReactorConfig) -> io::Result<Reactor> {
        let socket = ListeningSocket::tcp(config.listen)?;
        let listener = ReactorListener { socket, connections: None };
        Reactor::with(vec![listener], &config.limits, Plain)
    }
}

/// A listener of a reactor.
#[derive(Debug)]
pub struct ReactorListener {
    /// Its socket.
    pub socket: ListeningSocket,
    /// Most connections to it. With such a limit they do not count towards `limits.connections`.
    pub connections: Option<u32>,
}

impl<A: Acceptor> Reactor<Machine<A>> {
    /// A reactor with these listeners, in the order of their [`ListenerId`](crate::base::ListenerId)s,
    /// and transports by `acceptor`. Uses the same limits as [`ReactorConfig`].
    ///
    /// # Errors
    /// The system's error.
    pub fn with(
        listeners: Vec<ReactorListener>,
        limits: &Limits,
        acceptor: A,
    ) -> io::Result<Reactor<Machine<A>>> {
        let own: Vec<Option<u32>> = listeners.iter().map(|one| one.connections).collect();
        let seat = ReactorSeat::several(1, limits, &own)?.remove(0);
        Reactor::at(seat, listeners, limits, acceptor)
    }

    /// The address of the first listener of TCP.
    ///
    /// # Errors
    /// If there is none.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        let first = self.listeners.iter().find_map(|listener| listener.socket.local_addr());
        first.ok_or_else(|| io::Error::other("it accepts no connections of TCP"))
    }

    /// The address of each listener; `None` for a Unix socket.
    #[must_use]
    pub fn local_addrs(&self) -> Vec<Option<SocketAddr>> {
        self.listeners.iter().map(|listener| listener.socket.local_addr()).collect()
    }

    /// The sockets that still listen, with the connections that wait at them, in the listeners' order;
    /// none unless [`Io::hold_accepting`] was called.
    #[must_use]
    pub fn take_sockets(&mut self) -> Vec<ListeningSocket> {
        if !self.io.keeps_listening {
            self.listeners.clear();
        }
        let registry = self.system.poll.registry();
        let socket = |OpenListener { mut socket, .. }| {
            // It fails only for one that is not registered.
            let _ = socket.deregister(registry);
            socket
        };
        self.listeners.drain(..).map(socket).collect()
    }

    /// A handle with which other threads wake this reactor.
    #[must_use]
    pub fn wake(&self) -> Wake {
        self.wake.clone()
    }

    /// Its clock, for other code that measures time.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// The handler's view, for setup before the loop begins.
    pub fn io(&mut self) -> &mut Io {
        &mut self.io
    }

    /// Runs on this thread until [`Io::stop_by`].
    ///
    /// # Errors
    /// If waiting for events fails, which happens only in a broken process.
    pub fn run(&mut self, handler: &mut impl Handler) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS_PER_TURN);
        // Measured now, since what the program has started so far uses memory, too.
        if self.has_outboxes_by_memory {
            let part = part_of_outboxes(all_outboxes_bytes(), self.system.desks.len());
            self.io.budget.set_limit(part);
        }
        loop {
            self.dial(handler);
            match self.wait(&mut events) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            let begun = self.clock.elapsed();
            let last = std::mem::replace(&mut self.io.now, Moment::ZERO + begun);
            let before = std::mem::replace(&mut self.io.timestamp, Clock::timestamp());
            self.look_whether_it_slept(last, before);
            let woken = self.note(&events);
            self.accept(handler);
            if woken {
                self.take_dealt(handler);
            }
            let is_over = self.turn(handler, woken);
            self.tell_load();
            let took = self.clock.elapsed().saturating_sub(begun);
            let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
            self.io.counters.turns.observe(took_us);
            if is_over {
                return Ok(());
            }
        }
    }

    /// Checks whether the wall clock advanced more than the monotonic one since the last turn.
    fn look_whether_it_slept(&mut self, last: Moment, before: Timestamp) {
        let (io, clock) = (&mut self.io, self.clock);
        let by_wall = io.timestamp.0.saturating_sub(before.0);
        let by_moment = i64::try_from(io.now.millis_since(last)).unwrap_or(i64::MAX);
        if by_wall.saturating_sub(by_moment) > CLOCK_JUMP_MS {
            io.slept_ms = clock.slept_ms();
        }
    }

    /// Records the system's events, nothing more; returns whether a thread woke us.
    fn note(&mut self, events: &Events) -> bool {
        let mut woken = false;
        for event in events {
            match event.token() {
                WAKER => {
                    self.wake.acknowledge();
                    woken = true;
                }
                Token(token) => {
                    if let Some(listener) = self.listeners.get_mut(LISTENERS.wrapping_sub(token)) {
                        listener.is_ready = true;
                        continue;
                    }
                    let conn = ConnId::from_u64(token as u64);
                    let readiness = IoReadiness {
                        is_readable: event.is_readable(),
                        is_writable: event.is_writable(),
                        is_read_closed: event.is_read_closed(),
                        is_write_closed: event.is_write_closed(),
                        is_error: event.is_error(),
                    };
                    self.note_one(conn, readiness);
                }
            }
        }
        woken
    }
}

impl<S: System> Reactor<S> {
    /// A loop without connections.
    pub(super) fn new(system: S, clock: Clock, wake: Wake, io: Io, limits: &Limits) -> Reactor<S> {
        Reactor {
            system,
            clock,
            listeners: Vec::new(),
            has_outboxes_by_memory: false,
            wake,
            io,
            sockets: Vec::with_capacity(CONNECTIONS_RESERVED),
            ready: VecDeque::new(),
            starved: Vec::new(),
            unread: BTreeMap::new(),
            dialled: Vec::new(),
            drains: Drains { in_turn: 0, left: 0, until: Moment::ZERO },
            due: Vec::new(),
            read_buffer: vec![0; READ_BUFFER_BYTES],
            send_buffer: Some(Box::new(Buffer::new(SEND_BUFFER_BYTES))),
            send_buffer_bytes: SEND_BUFFER_BYTES,
            answers: Vec::new(),
            outbox_low_bytes: limits.outbox_low_bytes as usize,
            turned_away: Vec::new(),
            exhausted_log: Moment::ZERO,
        }
    }

    /// Handles the recorded events. Returns whether the reactor has stopped.
    pub(super) fn turn(&mut self, handler: &mut impl Handler, is_woken: bool) -> bool {
        self.io.counters.handshakes = self.system.turn_begins();
        if is_woken {
            handler.woken(&mut self.io);
        }
        self.tell_dialled(handler);
        self.read(handler);
        self.fire(handler);
        handler.turned(&mut self.io);
        self.flush(handler);
        self.finish(handler);
        handler.turned(&mut self.io);
        let is_over = self.is_over();
        if is_over {
            self.stop(handler);
        }
        is_over
    }

    /// Whether work is left from the last turn.
    pub(super) fn has_work(&self) -> bool {
        !self.ready.is_empty()
            || !self.io.flushes.is_empty()
            || !self.io.ends.is_empty()
            || !self.io.resumed.is_empty()
            || !self.io.looks.is_empty()
            || !self.io.dials.is_empty()
            || (!self.starved.is_empty() && !self.io.budget.is_spent())
    }

    /// When the next timer is due.
    pub(super) fn next_due(&self) -> Moment {
        let timers = self.io.timers.next().unwrap_or(Moment::NEVER);
        timers.min(self.io.tick_at).min(self.io.stop_at.unwrap_or(Moment::NEVER))
    }

    #[inline]
    pub(super) fn note_one(&mut self, conn: ConnId, readiness: IoReadiness) {
        // A late event: the connection may be gone and its index reused.
        if self.io.slot(conn).is_none() {
            return;
        }
        let Some(Some(socket)) = self.sockets.get(conn.index()) else { return };
        if socket.has(SocketMark::IsConnecting) && !self.note_dialled(conn) {
            return;
        }
        let keeps_halves = self.io.keeps_halves(conn);
        let Some(Some(socket)) = self.sockets.get_mut(conn.index()) else { return };
        let IoReadiness { is_readable, is_writable, is_read_closed, is_write_closed, is_error } =
            readiness;
        if is_read_closed {
            socket.set(SocketMark::IsReadClosed, true);
        }
        // Both have ended, and what the peer has sent before may not have been read.
        let has_ended = is_read_closed && is_write_closed && !keeps_halves;
        if is_error || has_ended {
            socket.set(SocketMark::IsHungUp, true);
        }
        if is_readable || is_read_closed || is_error {
            socket.set(SocketMark::IsReadable, true);
            self.make_ready(conn);
        }
        if is_writable || is_write_closed {
            self.writable(conn);
        }
    }

    fn fire(&mut self, handler: &mut impl Handler) {
        let now = self.io.now;
        if self.io.tick_at <= now {
            self.io.tick_at = Moment::NEVER;
            handler.timer_fired(&mut self.io);
        }
        let mut due = std::mem::take(&mut self.due);
        self.io.timers.advance(now, &mut due);
        for conn in due.drain(..) {
            let what = self.io.check_due(conn);
            if what.ended {
                self.over(handler, conn, CloseCause::Ended);
                continue;
            }
            if what.resumes {
                self.make_ready(conn);
            }
            if what.handler {
                self.guarded(handler, conn, |handler, io| handler.deadline(io, conn));
            }
            if what.stalled {
                if let Some(slot) = self.io.slot(conn).filter(|slot| slot.is_open()) {
                    slot.phase = None;
                }
                self.guarded(handler, conn, |handler, io| handler.stalled(io, conn));
            }
        }
        self.due = due;
    }

    /// Carries out the ends that the handler requested.
    fn finish(&mut self, handler: &mut impl Handler) {
        for conn in std::mem::take(&mut self.io.ends) {
            let Some(slot) = self.io.slot(conn) else { continue };
            match slot.phase.as_deref_mut() {
                None | Some(Phase::Stalling(_)) => self.finish_half(handler, conn),
                Some(Phase::Cut(cause)) => {
                    let cause = *cause;
                    self.over(handler, conn, cause);
                }
                Some(Phase::Ending(ending)) => {
                    let Some(Some(socket)) = self.sockets.get_mut(conn.index()) else { continue };
                    // Handled again when the last waiting bytes have been sent, or at its deadline.
                    let is_flushed = slot.outbox.is_empty() && !socket.stream.has_unsent();
                    if !is_flushed || ending.is_shut_down {
                        continue;
                    }
                    let is_blocked = |error: io::Error| error.kind() == io::ErrorKind::WouldBlock;
                    if socket.stream.notify_end().is_err_and(is_blocked) {
                        self.watch_for_writing(conn);
                        continue;
                    }
                    // Closing with unread input would cause a reset.
                    let is_read =
                        !socket.has(SocketMark::IsReadable) && !socket.has(SocketMark::HasUnread);
                    if !ending.drains && is_read {
                        self.over(handler, conn, CloseCause::Ended);
                        continue;
                    }
                    ending.is_shut_down = true;
                    socket.set(SocketMark::HasUnread, false);
                    self.unread.remove(&conn);
                    let is_told = slot.marks.is_told();
                    if socket.stream.end().is_err() || is_told {
                        self.over(handler, conn, CloseCause::Ended);
                    } else {
                        // Read until the peer's end; input that has already arrived causes no new
                        // event.
                        socket.set(SocketMark::IsReadable, true);
                        self.make_ready(conn);
                    }
                }
            }
        }
    }

    /// Ends a connection: tells the handler, once, and closes the socket.
    pub(super) fn over(&mut self, handler: &mut impl Handler, conn: ConnId, cause: CloseCause) {
        self.tell(handler, conn, cause);
        if cause == CloseCause::HeldMost
            && let Some(Some(socket)) = self.sockets.get_mut(conn.index())
        {
            // The system's buffers for it use memory, too.
            socket.stream.discard_unsent();
        }
        if let Some(socket) = self.sockets.get_mut(conn.index())
            && socket.take().is_some_and(|socket| socket.has(SocketMark::HasUnread))
        {
            self.unread.remove(&conn);
        }
        self.io.remove(conn);
        self.turned_away.retain(|one| *one != conn);
        // A file descriptor is free: the backlog need not wait for the timer.
        for listener in &mut self.listeners {
            listener.paused_until = None;
        }
    }

    pub(super) fn tell(&mut self, handler: &mut impl Handler, conn: ConnId, cause: CloseCause) {
        if let Some(slot) = self.io.slot(conn)
            && !slot.marks.is_told()
        {
            slot.marks.set_told();
            self.guarded(handler, conn, |handler, io| handler.closed(io, conn, cause));
        }
    }

    /// Calls the handler for one connection. A panic ends that connection and no other.
    pub(super) fn guarded<H: Handler, R>(
        &mut self,
        handler: &mut H,
        conn: ConnId,
        call: impl FnOnce(&mut H, &mut Io) -> R,
    ) -> Option<R> {
        let io = &mut self.io;
        match catch_unwind(AssertUnwindSafe(|| call(handler, io))) {
            Ok(returned) => Some(returned),
            Err(panic) if !S::CATCHES_PANICS || handler.is_poisoned() => resume_unwind(panic),
            Err(_) => {
                log::error!("{conn}: internal error while handling this connection; it is cut");
                self.io.cut(conn);
                None
            }
        }
    }

    fn is_over(&self) -> bool {
        self.io.stop_at.is_some_and(|at| self.io.table.is_empty() || at <= self.io.now)
    }

    fn stop(&mut self, handler: &mut impl Handler) {
        for conn in self.io.all() {
            self.over(handler, conn, CloseCause::Stopped);
        }
    }
}
