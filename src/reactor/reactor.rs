//! The loop: poll → accept → read and handle → timers → flush → ends. Each step is a screen at
//! most and bounded, so that none starves the others.

use super::clock::Clock;
use super::connection::Socket;
use super::io::{CloseCause, Handler, Io, Phase, Stall};
use super::listener::{Accepted, Listener, file_limit};
use super::send::send;
use super::wake::Wake;
use crate::base::limits::{
    ACCEPTS_PER_TURN, DRAIN_BYTES_MAX, FILES_RESERVED, FLUSHES_PER_TURN, READ_BUFFER_BYTES,
    SEND_BUFFER_BYTES, STALL_BYTES, STALL_MS,
};
use crate::base::{ConnId, Limits, Moment};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use std::collections::VecDeque;
use std::io::{self, Read};
use std::net::{Shutdown, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

const LISTENER: Token = Token(usize::MAX);
const WAKER: Token = Token(usize::MAX - 1);
const EVENTS_PER_TURN: usize = 1_024;

/// What a reactor needs to know.
#[derive(Clone, Debug)]
pub struct ReactorConfig {
    /// Where to listen; port 0 for one that is free.
    pub listen: SocketAddr,
    /// Of these, the outboxes', the number of connections and the closing timeout.
    pub limits: Limits,
}

/// The loop and all its sockets.
#[derive(Debug)]
pub struct Reactor {
    poll: Poll,
    clock: Clock,
    /// Until the handler stops accepting.
    listener: Option<Listener>,
    wake: Wake,
    io: Io,
    /// By the index of a [`ConnId`], as the table in `io`.
    sockets: Vec<Option<Socket>>,
    /// Connections with something to read; those that their budget has stopped come last.
    ready: VecDeque<ConnId>,
    /// Connections that wait for the budget of all outboxes.
    starved: Vec<ConnId>,
    due: Vec<ConnId>,
    read_buffer: Vec<u8>,
    send_buffer: Vec<u8>,
    outbox_low_bytes: usize,
    connections_max: usize,
    exhausted_log: Moment,
}

impl Reactor {
    /// Binds and listens.
    ///
    /// # Errors
    /// What the system says, as that the address is taken.
    pub fn bind(config: &ReactorConfig) -> io::Result<Reactor> {
        let poll = Poll::new()?;
        let mut listener = Listener::bind(config.listen)?;
        poll.registry().register(&mut listener.socket, LISTENER, Interest::READABLE)?;
        let wake = Wake::new(mio::Waker::new(poll.registry(), WAKER)?);
        let clock = Clock::start();
        let files =
            file_limit().map_or(u64::MAX, |limit| limit.saturating_sub(FILES_RESERVED).max(1));
        Ok(Reactor {
            poll,
            io: Io::new(&config.limits, clock.now(), Clock::timestamp()),
            clock,
            listener: Some(listener),
            wake,
            sockets: Vec::new(),
            ready: VecDeque::new(),
            starved: Vec::new(),
            due: Vec::new(),
            read_buffer: vec![0; READ_BUFFER_BYTES],
            send_buffer: Vec::with_capacity(SEND_BUFFER_BYTES),
            outbox_low_bytes: config.limits.outbox_low_bytes as usize,
            connections_max: usize::try_from(files.min(u64::from(config.limits.connections)))
                .unwrap_or(usize::MAX),
            exhausted_log: Moment::ZERO,
        })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// What the system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        let closed = || io::Error::other("it accepts no more connections");
        self.listener.as_ref().ok_or_else(closed)?.socket.local_addr()
    }

    /// Lets other threads wake this reactor.
    #[must_use]
    pub fn wake(&self) -> Wake {
        self.wake.clone()
    }

    /// The handler's view, for what it does before the loop begins.
    pub fn io(&mut self) -> &mut Io {
        &mut self.io
    }

    /// Runs until [`Io::stop_by`], on this thread.
    ///
    /// # Errors
    /// When waiting for events fails, which it does not as long as the process is sound.
    pub fn run(&mut self, handler: &mut impl Handler) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS_PER_TURN);
        loop {
            match self.poll.poll(&mut events, self.timeout()) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            self.io.now = self.clock.now();
            self.io.timestamp = Clock::timestamp();
            let woken = self.note(&events);
            self.accept(handler);
            if woken {
                handler.woken(&mut self.io);
            }
            self.read(handler);
            self.fire(handler);
            self.flush(handler);
            self.finish(handler);
            if self.is_over() {
                self.stop(handler);
                return Ok(());
            }
        }
    }

    /// How long to wait: not at all while something is left from the last turn.
    fn timeout(&self) -> Option<Duration> {
        let paused_until = self.listener.as_ref().and_then(|listener| listener.paused_until);
        let accepts = self.listener.as_ref().is_some_and(|listener| listener.is_ready)
            && paused_until.is_none();
        let has_work = !self.ready.is_empty()
            || !self.io.flushes.is_empty()
            || !self.io.ends.is_empty()
            || !self.io.resumed.is_empty()
            || accepts;
        if has_work {
            return Some(Duration::ZERO);
        }
        let next = self
            .io
            .timers
            .next()
            .unwrap_or(Moment::NEVER)
            .min(self.io.tick_at)
            .min(paused_until.unwrap_or(Moment::NEVER))
            .min(self.io.stop_at.unwrap_or(Moment::NEVER));
        // One millisecond more than is left: waking a moment early would mean to wait again.
        (next != Moment::NEVER).then(|| next - self.clock.now() + Duration::from_millis(1))
    }

    /// Takes note of what the system said, nothing more; tells whether a thread woke us.
    fn note(&mut self, events: &Events) -> bool {
        let mut woken = false;
        for event in events {
            match event.token() {
                LISTENER => {
                    if let Some(listener) = &mut self.listener {
                        listener.is_ready = true;
                    }
                }
                WAKER => {
                    self.wake.acknowledge();
                    woken = true;
                }
                Token(token) => {
                    let conn = ConnId::from_u64(token as u64);
                    // The connection may be gone, its place taken by another: a late event.
                    if self.io.slot(conn).is_none() {
                        continue;
                    }
                    let Some(Some(socket)) = self.sockets.get_mut(conn.index()) else { continue };
                    socket.is_read_closed |= event.is_read_closed();
                    socket.is_hung_up |=
                        event.is_error() || event.is_read_closed() && event.is_write_closed();
                    if event.is_readable() || event.is_read_closed() || event.is_error() {
                        socket.is_readable = true;
                        self.make_ready(conn);
                    }
                    if event.is_writable() || event.is_write_closed() {
                        self.writable(conn);
                    }
                }
            }
        }
        woken
    }

    fn writable(&mut self, conn: ConnId) {
        if let Some(Some(socket)) = self.sockets.get_mut(conn.index()) {
            socket.is_writable = true;
        }
        if let Some(slot) = self.io.slot(conn)
            && !slot.is_flush_queued
            && !slot.outbox.is_empty()
        {
            slot.is_flush_queued = true;
            self.io.flushes.push_back(conn);
        }
    }

    fn make_ready(&mut self, conn: ConnId) {
        if let Some(Some(socket)) = self.sockets.get_mut(conn.index())
            && (socket.is_readable || socket.unread.is_some())
            && !socket.is_in_ready_list
        {
            socket.is_in_ready_list = true;
            self.ready.push_back(conn);
        }
    }

    fn accept(&mut self, handler: &mut impl Handler) {
        if !self.io.is_accepting {
            // Closed, so that whoever waits in the backlog is refused now and not at the end.
            self.listener = None;
        }
        for _ in 0..ACCEPTS_PER_TURN {
            let Some(listener) = &mut self.listener else { return };
            if listener.paused_until.is_some_and(|until| until <= self.io.now) {
                listener.paused_until = None;
            }
            if !listener.is_ready || listener.paused_until.is_some() {
                return;
            }
            if self.io.table.len() >= self.connections_max {
                listener.pause(self.io.now);
                self.log_exhausted("all connections are taken");
                return;
            }
            match listener.accept(self.io.now) {
                Accepted::Connection(stream, peer) => self.take_in(handler, stream, peer),
                Accepted::Nothing => return,
                Accepted::Exhausted(error) => self.log_exhausted(&error.to_string()),
            }
        }
    }

    fn log_exhausted(&mut self, why: &str) {
        const EVERY_MS: u64 = 10_000;
        if self.exhausted_log <= self.io.now {
            self.exhausted_log = self.io.now.plus_millis(EVERY_MS);
            let open = self.io.table.len();
            log::warn!(open; "cannot accept more connections for now, those that wait are taken when others go: {why}");
        }
    }

    fn take_in(&mut self, handler: &mut impl Handler, mut stream: TcpStream, peer: SocketAddr) {
        let conn = self.io.open();
        // Both directions once and for all, edge-triggered: no further system call for interest.
        let interest = Interest::READABLE | Interest::WRITABLE;
        let token = Token(conn.to_u64() as usize);
        if let Err(error) = self.poll.registry().register(&mut stream, token, interest) {
            log::error!("cannot watch a connection: {error}");
            self.io.remove(conn);
            return;
        }
        if self.sockets.len() <= conn.index() {
            self.sockets.resize_with(conn.index() + 1, || None);
        }
        self.sockets[conn.index()] = Some(Socket::new(stream));
        self.guarded(handler, conn, |handler, io| handler.opened(io, conn, peer));
    }

    /// Gives every ready connection one read; who has more comes again in the next turn.
    fn read(&mut self, handler: &mut impl Handler) {
        while let Some(conn) = self.io.resumed.pop() {
            self.make_ready(conn);
        }
        for _ in 0..self.ready.len() {
            let Some(conn) = self.ready.pop_front() else { break };
            if let Some(Some(socket)) = self.sockets.get_mut(conn.index()) {
                socket.is_in_ready_list = false;
            }
            if self.io.slot(conn).is_some() {
                self.read_one(handler, conn);
            }
        }
    }

    fn read_one(&mut self, handler: &mut impl Handler, conn: ConnId) {
        let may_read = self.io.may_read(conn);
        let Some(Some(socket)) = self.sockets.get_mut(conn.index()) else { return };
        let is_open = self.io.table[conn.index()].phase == Phase::Open;
        if is_open && !may_read {
            if socket.is_hung_up {
                // Nobody is there to read what waits: do not wait for it.
                self.over(handler, conn, CloseCause::Failed);
            } else {
                self.starve(conn);
            }
            return;
        }
        if is_open && let Some(mut unread) = socket.unread.take() {
            self.hand_over(handler, conn, &mut unread);
            return;
        }
        match socket.stream.read(&mut self.read_buffer) {
            Ok(0) => self.peer_closed(handler, conn),
            Ok(len) => {
                // A short read means drained, unless the end of the stream is to be heard, too.
                socket.is_readable = len == self.read_buffer.len() || socket.is_read_closed;
                match &mut self.io.table[conn.index()].phase {
                    Phase::Open => {
                        let mut buffer = std::mem::take(&mut self.read_buffer);
                        self.hand_over(handler, conn, &mut buffer[..len]);
                        self.read_buffer = buffer;
                    }
                    Phase::Ending(ending) => {
                        ending.drained += len;
                        if ending.drained > DRAIN_BYTES_MAX {
                            self.over(handler, conn, CloseCause::Ended);
                        } else {
                            self.make_ready(conn);
                        }
                    }
                    Phase::Cut => {}
                }
            }
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock => socket.is_readable = false,
                io::ErrorKind::Interrupted => self.make_ready(conn),
                _ => self.over(handler, conn, CloseCause::Failed),
            },
        }
    }

    /// Hands bytes to the handler and keeps what it does not use up.
    fn hand_over(&mut self, handler: &mut impl Handler, conn: ConnId, bytes: &mut [u8]) {
        let used = self.guarded(handler, conn, |handler, io| handler.received(io, conn, bytes));
        let is_open = self.io.slot(conn).is_some_and(|slot| slot.phase == Phase::Open);
        let Some(Some(socket)) = self.sockets.get_mut(conn.index()) else { return };
        if let Some(used) = used
            && is_open
            && used < bytes.len()
        {
            socket.unread = Some(Box::new(bytes[used..].to_vec()));
        }
        if self.io.may_read(conn) || !is_open {
            self.make_ready(conn);
        } else {
            self.starve(conn);
        }
    }

    /// Remembers a connection that may not be read because all outboxes together are full. (One
    /// whose own is full comes back with its flush, one that is paused when it is resumed.)
    fn starve(&mut self, conn: ConnId) {
        if self.io.is_budget_spent()
            && let Some(Some(socket)) = self.sockets.get_mut(conn.index())
            && !socket.is_in_starved_list
        {
            socket.is_in_starved_list = true;
            self.starved.push(conn);
        }
    }

    /// The peer has ended its direction. What waits for it is still sent.
    fn peer_closed(&mut self, handler: &mut impl Handler, conn: ConnId) {
        let Some(Some(socket)) = self.sockets.get_mut(conn.index()) else { return };
        socket.is_readable = false;
        let slot = &self.io.table[conn.index()];
        let is_flushed = slot.outbox.is_empty();
        match slot.phase {
            Phase::Open if is_flushed => self.over(handler, conn, CloseCause::PeerClosed),
            Phase::Open => {
                self.io.end(conn);
                self.tell(handler, conn, CloseCause::PeerClosed);
            }
            Phase::Ending(_) if is_flushed => self.over(handler, conn, CloseCause::Ended),
            Phase::Ending(_) | Phase::Cut => {}
        }
    }

    fn fire(&mut self, handler: &mut impl Handler) {
        let now = self.io.now;
        if self.io.tick_at <= now {
            self.io.tick_at = Moment::NEVER;
            handler.ticked(&mut self.io);
        }
        let mut due = std::mem::take(&mut self.due);
        self.io.timers.advance(now, &mut due);
        for conn in due.drain(..) {
            let what = self.io.looked_at(conn);
            if what.ended {
                self.over(handler, conn, CloseCause::Ended);
                continue;
            }
            if what.handler {
                self.guarded(handler, conn, |handler, io| handler.deadline(io, conn));
            }
            if what.stalled {
                if let Some(slot) = self.io.slot(conn) {
                    slot.stall = None;
                }
                self.guarded(handler, conn, |handler, io| handler.stalled(io, conn));
                if self.io.slot(conn).is_some_and(|slot| slot.phase == Phase::Open) {
                    self.io.cut(conn);
                }
            }
        }
        self.due = due;
    }

    /// Sends what waits, for a bounded number of connections; the others come in the next turn.
    fn flush(&mut self, handler: &mut impl Handler) {
        for _ in 0..self.io.flushes.len().min(FLUSHES_PER_TURN) {
            let Some(conn) = self.io.flushes.pop_front() else { break };
            self.flush_one(handler, conn);
        }
        if !self.starved.is_empty() && !self.io.is_budget_spent() {
            for conn in std::mem::take(&mut self.starved) {
                if let Some(Some(socket)) = self.sockets.get_mut(conn.index())
                    && self.io.slot(conn).is_some()
                {
                    socket.is_in_starved_list = false;
                    self.make_ready(conn);
                    self.drained(handler, conn);
                }
            }
        }
    }

    fn flush_one(&mut self, handler: &mut impl Handler, conn: ConnId) {
        let low = self.outbox_low_bytes;
        let Some(slot) = self.io.slot(conn) else { return };
        slot.is_flush_queued = false;
        let Some(Some(socket)) = self.sockets.get_mut(conn.index()) else { return };
        let was_full = slot.outbox.is_full();
        slot.tells_drained |= slot.outbox.waiting_bytes() >= low;
        if socket.is_writable {
            match send(&mut socket.stream, &mut slot.outbox, &mut self.send_buffer) {
                Ok(sent) => {
                    socket.is_writable = !sent.is_blocked;
                    if let Some(stall) = &mut slot.stall {
                        stall.moved += sent.bytes as u64;
                    }
                }
                Err(error) => {
                    log::debug!("{conn}: cannot send: {error}");
                    self.over(handler, conn, CloseCause::Failed);
                    return;
                }
            }
        }
        let is_full = slot.outbox.is_full();
        self.watch_stall(conn);
        self.io.reclaim_storage(conn);
        if was_full && !is_full {
            self.make_ready(conn);
        }
        if self
            .io
            .slot(conn)
            .is_some_and(|slot| slot.phase != Phase::Open && slot.outbox.is_empty())
        {
            self.io.ends.push(conn);
        }
        self.drained(handler, conn);
    }

    /// What waits must move by [`STALL_BYTES`] or to its end within [`STALL_MS`].
    fn watch_stall(&mut self, conn: ConnId) {
        let now = self.io.now;
        let Some(slot) = self.io.slot(conn) else { return };
        if slot.outbox.is_empty() {
            slot.stall = None;
        } else if slot.stall.as_ref().is_none_or(|stall| stall.moved >= STALL_BYTES) {
            let deadline = now.plus_millis(STALL_MS);
            slot.stall = Some(Box::new(Stall { deadline, moved: 0 }));
            self.io.arm(conn, deadline);
        }
    }

    /// Tells the handler that there is room again, if it was told before that there was none.
    fn drained(&mut self, handler: &mut impl Handler, conn: ConnId) {
        let low = self.outbox_low_bytes;
        let is_spent = self.io.is_budget_spent();
        let Some(slot) = self.io.slot(conn) else { return };
        if slot.phase != Phase::Open || !slot.tells_drained || slot.outbox.waiting_bytes() >= low {
            return;
        }
        if is_spent {
            self.starve(conn);
            return;
        }
        slot.tells_drained = false;
        self.guarded(handler, conn, |handler, io| handler.drained(io, conn));
    }

    /// Carries out the ends that the handler asked for.
    fn finish(&mut self, handler: &mut impl Handler) {
        for conn in std::mem::take(&mut self.io.ends) {
            let Some(slot) = self.io.slot(conn) else { continue };
            match &mut slot.phase {
                Phase::Open => {}
                Phase::Cut => self.over(handler, conn, CloseCause::Cut),
                // It comes back when the last of what waits has been sent, or at its deadline.
                Phase::Ending(_) if !slot.outbox.is_empty() => {}
                Phase::Ending(ending) if ending.is_shut_down => {}
                Phase::Ending(ending) => {
                    ending.is_shut_down = true;
                    let Some(Some(socket)) = self.sockets.get_mut(conn.index()) else { continue };
                    socket.unread = None;
                    let is_told = socket.is_told;
                    if socket.stream.shutdown(Shutdown::Write).is_err() || is_told {
                        self.over(handler, conn, CloseCause::Ended);
                    } else {
                        // Reading until the peer's end; what has come already makes no new event.
                        socket.is_readable = true;
                        self.make_ready(conn);
                    }
                }
            }
        }
    }

    /// A connection is over: the handler is told, once, and the socket closed.
    fn over(&mut self, handler: &mut impl Handler, conn: ConnId, cause: CloseCause) {
        self.tell(handler, conn, cause);
        if let Some(socket) = self.sockets.get_mut(conn.index()) {
            *socket = None;
        }
        self.io.remove(conn);
        // A file descriptor is free: whoever waits in the backlog need not wait for the timer.
        if let Some(listener) = &mut self.listener {
            listener.paused_until = None;
        }
    }

    fn tell(&mut self, handler: &mut impl Handler, conn: ConnId, cause: CloseCause) {
        if let Some(Some(socket)) = self.sockets.get_mut(conn.index())
            && !std::mem::replace(&mut socket.is_told, true)
        {
            self.guarded(handler, conn, |handler, io| handler.closed(io, conn, cause));
        }
    }

    /// Calls the handler for one connection. A panic is that connection's end and nobody else's.
    fn guarded<H: Handler, R>(
        &mut self,
        handler: &mut H,
        conn: ConnId,
        call: impl FnOnce(&mut H, &mut Io) -> R,
    ) -> Option<R> {
        let io = &mut self.io;
        match catch_unwind(AssertUnwindSafe(|| call(handler, io))) {
            Ok(returned) => Some(returned),
            Err(panic) if handler.is_poisoned() => resume_unwind(panic),
            Err(_) => {
                log::error!("{conn}: a fault in handling this connection; it is cut");
                self.io.cut(conn);
                None
            }
        }
    }

    fn is_over(&self) -> bool {
        self.io.stop_at.is_some_and(|at| self.io.table.is_empty() || at <= self.io.now)
    }

    fn stop(&mut self, handler: &mut impl Handler) {
        let left: Vec<ConnId> = self
            .io
            .table
            .iter()
            .map(|(index, slot)| ConnId::new(index as u32, slot.generation))
            .collect();
        for conn in left {
            self.over(handler, conn, CloseCause::Stopped);
        }
    }
}
