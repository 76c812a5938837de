//! The handler's interface: plain data, no socket. The reactor carries out the requests recorded
//! here at the end of each turn; a simulator can do so instead and drive the same handler.

use super::halves::HalfEnds;
use super::places::ConnectionPlaces;
use super::slot::{CloseCause, Ending, Phase, Slot, SlotMarks};
use super::timers::Timers;
use crate::base::limits::{ALL_OUTBOXES_BYTES, CONNECTIONS_RESERVED};
use crate::base::outbox::Storage;
use crate::base::{
    Budget, Buffer, Class, ConnId, Frame, Limits, ListenerId, LoopCounters, Moment, Outbox,
    OutboxFull, Timestamp,
};
use slab::Slab;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::rc::Rc;

/// Gives connections their meaning. All calls come from the reactor's thread.
///
/// A panic in a call for one connection is caught and cuts that connection, unless
/// [`Handler::is_poisoned`] says that it affects more.
#[expect(unused_variables, reason = "the defaults do little or nothing")]
pub trait Handler {
    /// A connection was accepted.
    fn opened(&mut self, io: &mut Io, conn: ConnId, peer: SocketAddr);

    /// A connection beyond the limit was accepted: the handler should tell the peer and end it
    /// soon. The default cuts it. Until it is over it is treated like an opened one.
    fn turned_away(&mut self, io: &mut Io, conn: ConnId, peer: SocketAddr) {
        io.cut(conn);
    }

    /// What [`Io::dial`] began is connected.
    fn connected(&mut self, io: &mut Io, conn: ConnId) {}

    /// Bytes arrived, in the reactor's only read buffer: they are gone after the call. Returns how
    /// many were used up. The rest is offered again in the next turn in which the connection may be
    /// read, that is, not while it is paused or its outbox is full.
    fn received(&mut self, io: &mut Io, conn: ConnId, bytes: &mut [u8]) -> usize;

    /// The peer has sent its last byte, on a connection of which [`Io::keep_halves`] was said: what is
    /// queued is still sent. The default ends the connection.
    fn peer_ended(&mut self, io: &mut Io, conn: ConnId) {
        io.end(conn);
    }

    /// [`Io::look`] was asked for, and there was something to read, or nothing.
    fn looked(&mut self, io: &mut Io, conn: ConnId, has_come: bool) {}

    /// The outbox fell below its low mark, after it was above it or refused something.
    fn drained(&mut self, io: &mut Io, conn: ConnId) {}

    /// The bytes waiting for the connection have not advanced within the stall timeout. The default
    /// cuts it; another implementation must end it by a deadline of its own.
    fn stalled(&mut self, io: &mut Io, conn: ConnId) {
        io.cut(conn);
    }

    /// The deadline set by [`Io::set_deadline`] has come, or comes within moments.
    fn deadline(&mut self, io: &mut Io, conn: ConnId) {}

    /// The connection is over. Called exactly once for each one that was opened, turned away or dialled.
    fn closed(&mut self, io: &mut Io, conn: ConnId, cause: CloseCause);

    /// Another thread called [`Wake::wake`](super::Wake::wake).
    fn woken(&mut self, io: &mut Io) {}

    /// All that this turn has brought was handed over. Called before what is queued is sent, and again
    /// after that, which may have brought more.
    fn turned(&mut self, io: &mut Io) {}

    /// The moment set by [`Io::wake_at`] has come.
    fn timer_fired(&mut self, io: &mut Io) {}

    /// Whether a caught panic may have corrupted the handler's shared state: the reactor then
    /// stops.
    fn is_poisoned(&self) -> bool {
        false
    }
}

/// The handler's view of the connections: their outboxes, deadlines and ends.
#[derive(Debug)]
pub struct Io {
    pub(super) now: Moment,
    pub(super) timestamp: Timestamp,
    pub(super) slept_ms: u64,
    pub(super) table: Slab<Slot>,
    pub(super) places: ConnectionPlaces,
    pub(super) timers: Timers,
    pub(super) flushes: VecDeque<ConnId>,
    pub(super) ends: Vec<ConnId>,
    pub(super) resumed: Vec<ConnId>,
    pub(super) looks: Vec<ConnId>,
    pub(super) dials: Vec<(ConnId, SocketAddr)>,
    /// Connections whose directions end one by one.
    pub(super) halves: BTreeMap<ConnId, HalfEnds>,
    pub(super) tick_at: Moment,
    /// Something comes soon.
    pub(super) stays_awake: bool,
    pub(super) is_accepting: bool,
    /// The listening sockets stay open when no more connections are accepted.
    pub(super) keeps_listening: bool,
    pub(super) stop_at: Option<Moment>,
    /// Boxed as in an outbox: an idle one costs a pointer, not a queue.
    #[allow(clippy::vec_box)]
    storage: Vec<Box<Storage>>,
    /// The connection whose input is being handled: its queued frames are handled after that.
    reading: Option<ConnId>,
    pub(super) budget: Rc<Budget>,
    /// Since when all outboxes together have been full.
    pub(super) full_since: Option<Moment>,
    /// How many cuts have been logged, and when last.
    pub(super) told_cuts: u64,
    pub(super) told_cuts_at: Option<Moment>,
    outbox_bytes: u32,
    closing_timeout_ms: u64,
    pub(super) stall_timeout_ms: u64,
    generation: u32,
    /// The reactor's number, which the ids of its connections name.
    pub(super) number: u32,
    pub(super) counters: LoopCounters,
}

impl Io {
    /// An `Io` without connections.
    #[must_use]
    pub fn new(limits: &Limits, now: Moment, timestamp: Timestamp) -> Io {
        let outboxes_max = match limits.all_outboxes_bytes {
            0 => ALL_OUTBOXES_BYTES,
            bytes => bytes,
        };
        Io {
            now,
            timestamp,
            slept_ms: 0,
            table: Slab::with_capacity(CONNECTIONS_RESERVED),
            places: ConnectionPlaces::new(usize::MAX, &[]),
            timers: Timers::new(),
            flushes: VecDeque::new(),
            ends: Vec::new(),
            resumed: Vec::new(),
            looks: Vec::new(),
            dials: Vec::new(),
            halves: BTreeMap::new(),
            tick_at: Moment::NEVER,
            stays_awake: false,
            is_accepting: true,
            keeps_listening: false,
            stop_at: None,
            storage: Vec::new(),
            reading: None,
            budget: Budget::new(outboxes_max),
            full_since: None,
            told_cuts: 0,
            told_cuts_at: None,
            outbox_bytes: limits.outbox_bytes,
            closing_timeout_ms: limits.closing_timeout_ms,
            stall_timeout_ms: limits.stall_timeout_ms,
            generation: 0,
            number: 0,
            counters: LoopCounters::default(),
        }
    }

    /// Applies these timeouts to waits that begin from now on. Outboxes have their own copy of the
    /// other limits.
    pub fn set_timeouts(&mut self, limits: &Limits) {
        self.closing_timeout_ms = limits.closing_timeout_ms;
        self.stall_timeout_ms = limits.stall_timeout_ms;
    }

    /// The monotonic time of this turn.
    #[must_use]
    pub fn now(&self) -> Moment {
        self.now
    }

    /// The wall clock's time of this turn.
    #[must_use]
    pub fn timestamp(&self) -> Timestamp {
        self.timestamp
    }

    /// The number of connections, including those that are ending.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.table.len()
    }

    /// The loop's counters.
    #[must_use]
    pub fn counters(&self) -> &LoopCounters {
        &self.counters
    }

    /// Bytes waiting in all outboxes.
    #[must_use]
    pub fn waiting_bytes(&self) -> usize {
        self.budget.used()
    }

    /// Most bytes in all outboxes: `limits.all_outboxes_bytes`, or as many as memory allows.
    #[must_use]
    pub fn waiting_bytes_max(&self) -> usize {
        self.budget.limit()
    }

    /// The outbox of an open connection, flushed at the end of this turn; `None` if the connection
    /// is gone or ending. If all outboxes together hold too much, the largest holder is cut first,
    /// which may be this connection.
    #[inline]
    pub fn outbox(&mut self, conn: ConnId) -> Option<&mut Outbox> {
        if self.budget.is_over() {
            self.make_room();
        }
        let slot = self.table.get_mut(conn.index())?;
        if slot.generation != conn.generation() || !slot.is_open() {
            return None;
        }
        if !slot.is_flush_queued && self.reading != Some(conn) {
            slot.is_flush_queued = true;
            self.flushes.push_back(conn);
        }
        slot.outbox.lend_storage(&mut self.storage);
        Some(&mut slot.outbox)
    }

    /// Queues a frame for a connection.
    ///
    /// # Errors
    /// [`OutboxFull`] if there is no room for its class ([`Handler::drained`] is then called when
    /// there is), or if the connection is gone.
    pub fn push(
        &mut self,
        conn: ConnId,
        frame: Frame,
        class: Class,
        source: u32,
    ) -> Result<(), OutboxFull> {
        let pushed = self.outbox(conn).ok_or(OutboxFull)?.push(frame, class, source);
        if pushed.is_err() {
            self.refused(conn);
        }
        pushed
    }

    pub(super) fn known(&self, conn: ConnId) -> Option<&Slot> {
        self.table.get(conn.index()).filter(|slot| slot.generation == conn.generation())
    }

    /// Whether a connection exists and is not ending.
    #[must_use]
    pub fn is_open(&self, conn: ConnId) -> bool {
        self.known(conn).is_some_and(|slot| slot.is_open())
    }

    /// Whether more should be read from this connection now: it is open, not paused, and its
    /// outbox is not full.
    #[must_use]
    #[inline]
    pub fn may_read(&self, conn: ConnId) -> bool {
        self.known(conn).is_some_and(Slot::may_read)
    }

    /// Like [`Io::outbox`], if more should be read from this connection now.
    #[inline]
    pub fn outbox_to_read(&mut self, conn: ConnId) -> Option<&mut Outbox> {
        if self.budget.is_over() {
            self.make_room();
        }
        let slot = self.table.get_mut(conn.index())?;
        if slot.generation != conn.generation() || !slot.may_read() {
            return None;
        }
        if !slot.is_flush_queued && self.reading != Some(conn) {
            slot.is_flush_queued = true;
            self.flushes.push_back(conn);
        }
        Some(&mut slot.outbox)
    }

    /// Total bytes read from a connection and accepted by the system for it, HTTP heads included.
    #[must_use]
    pub fn bytes_each_way(&self, conn: ConnId) -> (u64, u64) {
        self.known(conn).map_or((0, 0), |slot| (slot.bytes_received, slot.bytes_sent))
    }

    /// Bytes waiting for this connection.
    #[must_use]
    pub fn outbox_bytes(&self, conn: ConnId) -> usize {
        self.known(conn).map_or(0, |slot| slot.outbox.waiting_bytes())
    }

    /// Requests a call of [`Handler::drained`] when less than the low mark waits: at the end of
    /// this turn, if that is already so.
    pub fn tell_drained(&mut self, conn: ConnId) {
        let is_open = self.outbox(conn).is_some();
        if let Some(slot) = self.slot(conn).filter(|_| is_open) {
            slot.tells_drained = true;
        }
    }

    /// Records that an outbox had no room for something: [`Handler::drained`] is called when less
    /// waits than now and less than the low mark.
    pub fn refused(&mut self, conn: ConnId) {
        self.tell_drained(conn);
        let waiting = u32::try_from(self.outbox_bytes(conn)).unwrap_or(u32::MAX);
        if let Some(slot) = self.slot(conn) {
            slot.refused_at = slot.refused_at.min(waiting.max(1));
        }
    }

    /// Stops reading from a connection until [`Io::resume`].
    pub fn pause(&mut self, conn: ConnId) {
        if let Some(slot) = self.slot(conn) {
            slot.is_paused = true;
        }
    }

    /// Resumes reading from a connection.
    pub fn resume(&mut self, conn: ConnId) {
        if let Some(slot) = self.slot(conn)
            && slot.is_paused
        {
            slot.is_paused = false;
            self.resumed.push(conn);
        }
    }

    /// Requests a call of [`Handler::deadline`] at `at`, replacing any earlier request;
    /// [`Moment::NEVER`] cancels it.
    pub fn set_deadline(&mut self, conn: ConnId, at: Moment) {
        if let Some(slot) = self.slot(conn) {
            slot.deadline = at;
            self.arm(conn, at);
        }
    }

    /// Requests a call of [`Handler::deadline`] at `at`, or earlier if already requested.
    pub fn advance_deadline(&mut self, conn: ConnId, at: Moment) {
        if let Some(slot) = self.slot(conn)
            && at < slot.deadline
        {
            self.set_deadline(conn, at);
        }
    }

    /// Requests a call of [`Handler::timer_fired`] at `at`, or earlier if already requested.
    pub fn wake_at(&mut self, at: Moment) {
        self.tick_at = self.tick_at.min(at);
    }

    /// Ends a connection in order: sends what waits, half-closes TCP, then discards what the peer
    /// still sends, bounded in bytes and time, until the peer ends too. The handler receives
    /// nothing more.
    pub fn end(&mut self, conn: ConnId) {
        let deadline = self.now.plus_millis(self.closing_timeout_ms);
        self.end_by(conn, deadline);
    }

    /// Ends a connection whose peer has sent its last bytes and expects this end to answer: sends
    /// what waits and closes TCP without waiting for the peer's end. Later input is answered by a
    /// reset.
    pub fn close(&mut self, conn: ConnId) {
        let deadline = self.now.plus_millis(self.closing_timeout_ms);
        self.begin_end(conn, deadline, false);
    }

    /// Like [`Io::end`], but over at `deadline` in any case.
    pub fn end_by(&mut self, conn: ConnId, deadline: Moment) {
        self.begin_end(conn, deadline, true);
    }

    fn begin_end(&mut self, conn: ConnId, deadline: Moment, drains: bool) {
        if let Some(slot) = self.slot(conn)
            && slot.is_open()
        {
            let ending =
                Ending { deadline, is_shut_down: false, drains, drained: 0, resumes: Moment::ZERO };
            slot.phase = Some(Box::new(Phase::Ending(ending)));
            self.ends.push(conn);
            self.arm(conn, deadline);
        }
    }

    /// Ends every connection for which `keep` is false.
    pub fn end_all_but(&mut self, keep: impl Fn(ConnId) -> bool) {
        for conn in self.all().into_iter().filter(|conn| !keep(*conn)) {
            self.end(conn);
        }
    }

    /// Drops a connection, and everything that waits for it, at the end of this turn.
    pub fn cut(&mut self, conn: ConnId) {
        self.cut_for(conn, CloseCause::Cut);
    }

    pub(super) fn cut_for(&mut self, conn: ConnId, cause: CloseCause) {
        if let Some(slot) = self.slot(conn) {
            slot.outbox.clear();
            slot.phase = Some(Box::new(Phase::Cut(cause)));
            self.ends.push(conn);
        }
    }

    /// Accepts no more connections: those that wait are refused.
    pub fn stop_accepting(&mut self) {
        self.is_accepting = false;
    }

    /// Accepts no more connections, and leaves those that wait, and come, to another process that
    /// gets the [listening sockets](super::Reactor::take_sockets).
    pub fn hold_accepting(&mut self) {
        self.is_accepting = false;
        self.keeps_listening = true;
    }

    /// Stops the reactor when all connections are over, at the latest at `at`.
    pub fn stop_by(&mut self, at: Moment) {
        self.is_accepting = false;
        self.stop_at = Some(self.stop_at.map_or(at, |earlier| earlier.min(at)));
    }

    /// Adds a connection to the first listener: the reactor's, or a simulator's.
    pub fn open(&mut self) -> ConnId {
        self.open_at(ListenerId::default())
    }

    /// Adds a connection to this listener.
    pub fn open_at(&mut self, listener: ListenerId) -> ConnId {
        self.generation = self.generation.wrapping_add(1);
        let index = self.table.insert(Slot {
            outbox: Outbox::new(self.outbox_bytes, Rc::clone(&self.budget)),
            generation: self.generation,
            phase: None,
            is_flush_queued: false,
            is_paused: false,
            marks: SlotMarks::new(listener),
            tells_drained: false,
            refused_at: u32::MAX,
            deadline: Moment::NEVER,
            armed: Moment::NEVER,
            holder: None,
            bytes_received: 0,
            bytes_sent: 0,
        });
        self.id(index, self.generation)
    }

    #[inline]
    pub(super) fn slot(&mut self, conn: ConnId) -> Option<&mut Slot> {
        self.table.get_mut(conn.index()).filter(|slot| slot.generation == conn.generation())
    }

    /// Lends the loop's send buffer to the connection whose input is handled next.
    pub(super) fn begin_reading(&mut self, conn: ConnId, buffer: &mut Option<Box<Buffer>>) {
        self.reading = Some(conn);
        if let Some(slot) = self.slot(conn) {
            slot.outbox.lend_buffer(buffer);
        }
    }

    /// Takes the buffer back, if it was lent, with the bytes to send at once. Schedules everything
    /// else done for the connection for the end of the turn.
    #[inline]
    pub(super) fn end_reading(&mut self, conn: ConnId) -> Option<Box<Buffer>> {
        self.reading = None;
        let slot = self.table.get_mut(conn.index())?;
        let is_left = !slot.outbox.is_queue_empty() || slot.tells_drained;
        if is_left && !slot.is_flush_queued {
            slot.is_flush_queued = true;
            self.flushes.push_back(conn);
        }
        slot.outbox.take_buffer()
    }

    pub(super) fn remove(&mut self, conn: ConnId) {
        if self.slot(conn).is_some() {
            let slot = self.table.remove(conn.index());
            self.halves.remove(&conn);
            if slot.marks.has_place() {
                self.places.give_back(slot.marks.listener());
            }
        }
    }

    pub(super) fn reclaim_storage(&mut self, conn: ConnId) {
        if let Some(slot) = self.table.get_mut(conn.index()) {
            slot.outbox.reclaim_storage(&mut self.storage);
        }
    }

    /// Schedules a check of `conn` for `at`. Remembers when the wheel will really check, which may
    /// be before `at`: for a deadline beyond the wheel, or one set after a long sleep before the
    /// wheel has advanced.
    pub(super) fn arm(&mut self, conn: ConnId, at: Moment) {
        if at == Moment::NEVER {
            return;
        }
        let check = self.timers.check_time(at);
        if let Some(slot) = self.table.get_mut(conn.index())
            && slot.generation == conn.generation()
            && check < slot.armed
        {
            slot.armed = check;
            self.timers.insert(conn, check);
        }
    }

    /// Checks what is due for `conn` and schedules the next check.
    pub(super) fn check_due(&mut self, conn: ConnId) -> Due {
        let now = self.now;
        let Some(slot) = self.slot(conn) else { return Due::default() };
        if slot.armed > now && slot.armed != Moment::NEVER {
            // A newer, still pending check has superseded this one.
            return Due::default();
        }
        slot.armed = Moment::NEVER;
        let (stall, end, resumes) = match slot.phase.as_deref() {
            Some(Phase::Stalling(stall)) => (stall.deadline, Moment::NEVER, Moment::ZERO),
            Some(Phase::Ending(ending)) => (Moment::NEVER, ending.deadline, ending.resumes),
            None | Some(Phase::Cut(_)) => (Moment::NEVER, Moment::NEVER, Moment::ZERO),
        };
        let due = Due {
            handler: slot.is_open() && slot.deadline <= now,
            stalled: stall <= now,
            ended: end <= now,
            resumes: resumes != Moment::ZERO && resumes <= now,
        };
        if due.handler {
            slot.deadline = Moment::NEVER;
        }
        let resumes = if resumes > now { resumes } else { Moment::NEVER };
        let next = slot.deadline.min(stall).min(end).min(resumes);
        if !due.ended && !due.stalled {
            self.arm(conn, next);
        }
        due
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) handler: bool,
    pub(super) stalled: bool,
    pub(super) ended: bool,
    /// Discarding input continues.
    pub(super) resumes: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::outbox::NO_SOURCE;

    fn io() -> Io {
        Io::new(&Limits::default(), Moment::ZERO, Timestamp(0))
    }

    #[test]
    fn a_late_effect_reaches_nobody_instead_of_the_next_tenant() {
        let mut io = io();
        let old = io.open();
        io.remove(old);
        let new = io.open();
        assert_eq!(new.index(), old.index());
        let frame = Frame::Own(b"late"[..].into());
        assert_eq!(io.push(old, frame, Class::Reply, NO_SOURCE), Err(OutboxFull));
        io.cut(old);
        io.set_deadline(old, Moment::from_millis(1));
        assert!(io.may_read(new) && io.ends.is_empty() && io.outbox_bytes(new) == 0);
    }

    #[test]
    fn a_deadline_that_moves_later_is_looked_at_once_more_and_not_called_early() {
        let mut io = io();
        let conn = io.open();
        io.set_deadline(conn, Moment::from_millis(100));
        io.set_deadline(conn, Moment::from_millis(500));
        io.now = Moment::from_millis(128);
        assert_eq!(io.check_due(conn), Due::default());
        io.now = Moment::from_millis(512);
        assert_eq!(io.check_due(conn), Due { handler: true, ..Due::default() });
        assert_eq!(io.check_due(conn), Due::default(), "it is called once");
    }

    /// Advances time in steps; returns when the handler's deadline was due.
    fn due_at(io: &mut Io, conn: ConnId, steps: &[u64]) -> Option<u64> {
        for &millis in steps {
            io.now = Moment::from_millis(millis);
            let mut due = Vec::new();
            io.timers.advance(io.now, &mut due);
            if due.into_iter().any(|one| one == conn && io.check_due(one).handler) {
                return Some(millis);
            }
        }
        None
    }

    #[test]
    fn a_deadline_that_is_set_after_a_long_sleep_is_met() {
        let mut io = io();
        // A turn begins before the wheel has advanced.
        io.now = Moment::from_millis(45_000);
        let conn = io.open();
        io.set_deadline(conn, Moment::from_millis(55_000));
        let steps: Vec<u64> = (45_000..70_000).step_by(32).collect();
        let due = due_at(&mut io, conn, &steps).expect("it is met");
        assert!((55_000..55_100).contains(&due), "{due}");
    }

    #[test]
    fn a_deadline_beyond_the_wheel_is_met() {
        for after in [32_000, 33_000, 60_000, 600_000] {
            let mut io = io();
            let conn = io.open();
            io.set_deadline(conn, Moment::from_millis(after));
            // Only as often as the wheel requires.
            let mut steps = Vec::new();
            while let Some(next) = io.timers.next() {
                steps.push(next.as_millis());
                if let Some(due) = due_at(&mut io, conn, &[next.as_millis()]) {
                    assert!((after..after + 100).contains(&due), "{due}");
                    steps.clear();
                    break;
                }
                assert!(steps.len() < 100);
            }
            assert!(steps.is_empty(), "a deadline {after} ms away was not met");
        }
    }

    #[test]
    fn nothing_is_queued_for_a_connection_that_ends() {
        let mut io = io();
        let conn = io.open();
        io.end(conn);
        assert!(io.outbox(conn).is_none() && !io.may_read(conn));
        io.end(conn);
        assert_eq!(io.ends.len(), 1);
    }
}
