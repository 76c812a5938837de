//! Sends waiting bytes, once per connection at the end of a turn, and watches slow connections.

use super::connection::SocketMark;
use super::io::Handler;
use super::reactor::Reactor;
use super::send::{send, send_bytes};
use super::slot::{CloseCause, Phase, Stall};
use super::system::{System, Transport};
use crate::base::limits::{
    ANSWERS_HELD_BYTES_MAX, BUFFER_BYTES_MIN, FLUSHES_KEPT, FLUSHES_PER_TURN, STALL_BYTES,
};
use crate::base::{Buffer, ConnId};

impl<S: System> Reactor<S> {
    /// Reads and sends through buffers of so many bytes each, for a loop with few connections. At least
    /// [`BUFFER_BYTES_MIN`].
    pub fn set_buffer_bytes(&mut self, bytes: usize) {
        let bytes = bytes.max(BUFFER_BYTES_MIN);
        self.read_buffer = vec![0; bytes];
        self.send_buffer = Some(Box::new(Buffer::new(bytes)));
        self.send_buffer_bytes = bytes;
    }

    pub(super) fn writable(&mut self, conn: ConnId) {
        let Some(Some(socket)) = self.sockets.get_mut(conn.index()) else { return };
        socket.set(SocketMark::IsWritable, true);
        if let Some(slot) = self.io.slot(conn)
            && !slot.is_flush_queued
            && (!slot.outbox.is_empty() || socket.stream.has_unsent())
        {
            slot.is_flush_queued = true;
            self.io.flushes.push_back(conn);
        }
    }

    /// Flushes a bounded number of connections; the others follow in the next turn.
    pub(super) fn flush(&mut self, handler: &mut impl Handler) {
        // First, since all other waiting bytes were queued later.
        self.send_answers(handler);
        let count = self.io.flushes.len();
        for _ in 0..count.min(FLUSHES_PER_TURN) {
            let Some(conn) = self.io.flushes.pop_front() else { break };
            self.flush_one(handler, conn);
        }
        // The queue of a large fan-out goes again, by halves, so that several in a row share one.
        if self.io.flushes.capacity() > 8 * count.max(FLUSHES_KEPT) {
            self.io.flushes.shrink_to(self.io.flushes.capacity() / 2);
        }
        if let Some(buffer) = &mut self.send_buffer {
            buffer.clear();
        }
        self.io.check_budget();
        if !self.starved.is_empty() && !self.io.budget.is_spent() {
            for conn in std::mem::take(&mut self.starved) {
                if let Some(Some(socket)) = self.sockets.get_mut(conn.index())
                    && self.io.slot(conn).is_some()
                {
                    socket.set(SocketMark::IsInStarvedList, false);
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
        let (mut is_blocked, mut sent_bytes) = (false, 0);
        if socket.has(SocketMark::IsWritable) {
            // The buffer is lent out only while input is handled.
            let Some(joined) = &mut self.send_buffer else { return };
            match send(&mut socket.stream, &mut slot.outbox, joined) {
                Ok(sent) => {
                    is_blocked = sent.is_blocked;
                    sent_bytes = sent.bytes as u64;
                    slot.bytes_sent += sent_bytes;
                    if let Some(Phase::Stalling(stall)) = slot.phase.as_deref_mut() {
                        stall.moved += sent_bytes;
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
        self.io.counters.bytes_sent += sent_bytes;
        if is_blocked {
            self.watch_for_writing(conn);
        }
        self.watch_stall(conn);
        self.io.reclaim_storage(conn);
        if was_full && !is_full {
            self.make_ready(conn);
        }
        let keeps_halves = self.io.keeps_halves(conn);
        if self
            .io
            .slot(conn)
            .is_some_and(|slot| (!slot.is_open() || keeps_halves) && slot.outbox.is_empty())
        {
            self.io.ends.push(conn);
        }
        self.drained(handler, conn);
    }

    /// Takes back the buffer that holds the answers to a connection's input. Small answers wait
    /// until the other connections have been read, too.
    pub(super) fn take_answers(
        &mut self,
        handler: &mut impl Handler,
        conn: ConnId,
        mut buffer: Box<Buffer>,
    ) {
        match buffer.marked().len() {
            0 => {}
            1..=ANSWERS_HELD_BYTES_MAX => self.answers.push((conn, buffer.content().len())),
            _ => {
                self.send_answer(handler, conn, buffer.marked());
                buffer.clear_marked();
            }
        }
        self.send_buffer = Some(buffer);
    }

    /// Sends the answers held back.
    pub(super) fn send_answers(&mut self, handler: &mut impl Handler) {
        let Some(mut buffer) = self.send_buffer.take() else { return };
        let mut answers = std::mem::take(&mut self.answers);
        let mut start = 0;
        for (conn, end) in answers.drain(..) {
            self.send_answer(handler, conn, &buffer.content()[start..end]);
            start = end;
        }
        self.answers = answers;
        buffer.clear();
        self.send_buffer = Some(buffer);
    }

    /// Sends the answers to a connection; the rest that the system does not accept waits in its
    /// outbox.
    fn send_answer(&mut self, handler: &mut impl Handler, conn: ConnId, bytes: &[u8]) {
        if let Some(slot) = self.io.slot(conn)
            && let Some(Some(socket)) = self.sockets.get_mut(conn.index())
            && !slot.is_cut()
        {
            let sent = if socket.has(SocketMark::IsWritable) {
                send_bytes(&mut socket.stream, bytes)
            } else {
                Ok(0)
            };
            match sent {
                Ok(sent) => {
                    slot.bytes_sent += sent as u64;
                    let has_unsent = socket.stream.has_unsent();
                    slot.outbox.put_back(&bytes[sent..]);
                    if sent < bytes.len() || has_unsent {
                        // Like everything that waits, it is watched from the end of the turn on.
                        if !std::mem::replace(&mut slot.is_flush_queued, true) {
                            self.io.flushes.push_back(conn);
                        }
                        self.watch_for_writing(conn);
                    }
                    self.io.counters.bytes_sent += sent as u64;
                }
                Err(error) => {
                    log::debug!("{conn}: cannot send: {error}");
                    self.over(handler, conn, CloseCause::Failed);
                }
            }
        }
    }

    /// Waiting bytes must advance by [`STALL_BYTES`], or all be sent, within the stall timeout.
    pub(super) fn watch_stall(&mut self, conn: ConnId) {
        let (now, stall_timeout_ms) = (self.io.now, self.io.stall_timeout_ms);
        let Some(slot) = self.io.slot(conn) else { return };
        let Some(Some(socket)) = self.sockets.get(conn.index()) else { return };
        // The end of one that is ending has a deadline of its own.
        let is_moving = match slot.phase.as_deref() {
            None => true,
            Some(Phase::Stalling(stall)) => stall.moved >= STALL_BYTES,
            Some(Phase::Ending(_) | Phase::Cut(_)) => return,
        };
        if slot.outbox.is_empty() && !socket.stream.has_unsent() {
            slot.phase = None;
        } else if is_moving {
            let deadline = now.plus_millis(stall_timeout_ms);
            slot.phase = Some(Box::new(Phase::Stalling(Stall { deadline, moved: 0 })));
            self.io.arm(conn, deadline);
        }
    }

    /// Tells the handler that there is room again, if there was too little before.
    pub(super) fn drained(&mut self, handler: &mut impl Handler, conn: ConnId) {
        let low = self.outbox_low_bytes;
        let is_spent = self.io.budget.is_spent();
        let Some(slot) = self.io.slot(conn) else { return };
        let low = low.min(slot.refused_at as usize);
        if !slot.is_open() || !slot.tells_drained || slot.outbox.waiting_bytes() >= low {
            return;
        }
        // A connection whose outbox is empty continues, one frame at a time, even if the budget is
        // spent.
        if is_spent && !slot.outbox.is_empty() {
            self.starve(conn);
            return;
        }
        slot.tells_drained = false;
        slot.refused_at = u32::MAX;
        self.guarded(handler, conn, |handler, io| handler.drained(io, conn));
    }
}
