//! Fair reading: each ready connection gets one read per turn, and unread input is remembered. The
//! bytes of a connection that may not be read stay in the kernel.

use super::connection::{SocketMark, UnreadBytes};
use super::io::{Handler, Io};
use super::reactor::Reactor;
use super::slot::{CloseCause, Phase};
use super::system::{System, Transport};
use crate::base::limits::{
    DRAIN_BYTES_MAX, DRAIN_BYTES_PER_PERIOD, DRAIN_BYTES_PER_TURN, DRAIN_PERIOD_MS,
    DRAIN_READ_BYTES,
};
use crate::base::{ConnId, Moment};
use std::io::{self, Read};

/// Starved connections that may be gone before a cleanup is worthwhile.
const STARVED_SLACK: usize = 64;

/// How much input of all ending connections may still be discarded.
#[derive(Debug)]
pub(super) struct Drains {
    /// In this turn.
    pub(super) in_turn: usize,
    /// Before the moment `until`.
    pub(super) left: usize,
    pub(super) until: Moment,
}

impl Io {
    /// Has a connection read once more when others have been read, whatever the system has said of it so
    /// far. Then [`Handler::looked`] is called.
    pub fn look(&mut self, conn: ConnId) {
        self.looks.push(conn);
    }
}

impl<S: System> Reactor<S> {
    pub(super) fn make_ready(&mut self, conn: ConnId) {
        if let Some(Some(socket)) = self.sockets.get_mut(conn.index())
            && (socket.has(SocketMark::IsReadable) || socket.has(SocketMark::HasUnread))
            && !socket.has(SocketMark::IsInReadyList)
        {
            socket.set(SocketMark::IsInReadyList, true);
            self.ready.push_back(conn);
        }
    }

    /// Gives every ready connection one read; connections with more input follow in the next turn.
    pub(super) fn read(&mut self, handler: &mut impl Handler) {
        while let Some(conn) = self.io.resumed.pop() {
            self.make_ready(conn);
        }
        self.drains.in_turn = DRAIN_BYTES_PER_TURN;
        for _ in 0..self.ready.len() {
            let Some(conn) = self.ready.pop_front() else { break };
            if let Some(Some(socket)) = self.sockets.get_mut(conn.index()) {
                socket.set(SocketMark::IsInReadyList, false);
            }
            if self.io.slot(conn).is_some() {
                self.read_one(handler, conn);
            }
        }
        for conn in std::mem::take(&mut self.io.looks) {
            self.look(handler, conn);
        }
    }

    /// Reads a connection of which the handler wants to know whether something has come.
    fn look(&mut self, handler: &mut impl Handler, conn: ConnId) {
        let Some(before) = self.io.slot(conn).map(|slot| slot.bytes_received) else { return };
        if !self.is_to_be_read(conn)
            && let Some(Some(socket)) = self.sockets.get_mut(conn.index())
        {
            // Then it has its turn again if it cannot be read in this one.
            socket.set(SocketMark::IsReadable, true);
            self.read_one(handler, conn);
        }
        let has_begun = self.is_to_be_read(conn)
            || matches!(self.sockets.get(conn.index()), Some(Some(one)) if one.stream.has_begun());
        let Some(slot) = self.io.slot(conn).filter(|slot| slot.is_open()) else {
            return;
        };
        let has_come = has_begun || slot.bytes_received > before;
        self.guarded(handler, conn, |handler, io| handler.looked(io, conn, has_come));
    }

    /// Whether a connection has its turn to be read soon.
    fn is_to_be_read(&self, conn: ConnId) -> bool {
        let socket = self.sockets.get(conn.index()).and_then(Option::as_ref);
        socket.is_some_and(|socket| {
            socket.has(SocketMark::IsInReadyList) || socket.has(SocketMark::HasUnread)
        })
    }

    pub(super) fn read_one(&mut self, handler: &mut impl Handler, conn: ConnId) {
        if self.drain_pauses(conn) {
            return;
        }
        let may_read = self.io.may_read(conn);
        let Some(Some(socket)) = self.sockets.get_mut(conn.index()) else { return };
        let is_open = self.io.table[conn.index()].is_open();
        if is_open && !may_read {
            if socket.has(SocketMark::IsHungUp) {
                // The peer is gone and cannot read what waits: end at once.
                self.over(handler, conn, CloseCause::Failed);
            } else {
                self.starve(conn);
            }
            return;
        }
        if is_open && socket.set(SocketMark::HasUnread, false) {
            if let Some(mut unread) = self.unread.remove(&conn) {
                let UnreadBytes { bytes, start } = &mut unread;
                *start += self.hand_over(handler, conn, &mut bytes[*start..]);
                if *start < bytes.len() {
                    self.keep_unread(conn, unread);
                }
            }
            self.read_again_later(conn);
            return;
        }
        // Input to be discarded must not delay other connections.
        let most = if is_open { self.read_buffer.len() } else { DRAIN_READ_BYTES };
        let read = self.read_socket(conn, most, is_open);
        let Some(Some(socket)) = self.sockets.get_mut(conn.index()) else { return };
        match read {
            Ok(0) => self.peer_closed(handler, conn),
            Ok(len) => {
                self.io.counters.bytes_received += len as u64;
                self.io.table[conn.index()].bytes_received += len as u64;
                // A short read means that the socket is drained, unless the end of the stream is
                // still to be read.
                let may_have_more =
                    socket.stream.may_have_more(len, most) || socket.has(SocketMark::IsReadClosed);
                socket.set(SocketMark::IsReadable, may_have_more);
                match self.io.table[conn.index()].phase.as_deref_mut() {
                    None | Some(Phase::Stalling(_)) => {
                        let mut buffer = std::mem::take(&mut self.read_buffer);
                        let used = self.hand_over(handler, conn, &mut buffer[..len]);
                        if used < len {
                            let bytes = buffer[used..len].to_vec();
                            self.keep_unread(conn, UnreadBytes { bytes, start: 0 });
                        }
                        self.read_buffer = buffer;
                        self.read_again_later(conn);
                    }
                    Some(Phase::Ending(ending)) => {
                        ending.drained += len;
                        self.drains.in_turn = self.drains.in_turn.saturating_sub(len);
                        self.drains.left = self.drains.left.saturating_sub(len);
                        if ending.drained > DRAIN_BYTES_MAX {
                            self.over(handler, conn, CloseCause::Ended);
                        } else {
                            self.make_ready(conn);
                        }
                    }
                    Some(Phase::Cut(_)) => {}
                }
            }
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock => {
                    socket.set(SocketMark::IsReadable, false);
                }
                io::ErrorKind::Interrupted => self.make_ready(conn),
                _ => self.over(handler, conn, CloseCause::Failed),
            },
        }
    }

    /// Reads at most `most` bytes, for the handler or to be discarded. A transport of its own may have
    /// something to send then.
    fn read_socket(&mut self, conn: ConnId, most: usize, is_wanted: bool) -> io::Result<usize> {
        let Some(Some(socket)) = self.sockets.get_mut(conn.index()) else { return Ok(0) };
        let stream = &mut socket.stream;
        let room = &mut self.read_buffer[..most];
        let was_ready = stream.is_ready();
        let read = if is_wanted { stream.read(room) } else { stream.read_away(room) };
        if !was_ready && stream.is_ready() {
            self.writable(conn);
        } else if stream.has_unsent() {
            self.watch_for_writing(conn);
        }
        read
    }

    /// Whether an ending connection may not be read yet; it is scheduled for later then.
    fn drain_pauses(&mut self, conn: ConnId) -> bool {
        let now = self.io.now;
        let slot = &mut self.io.table[conn.index()];
        let Some(Phase::Ending(ending)) = slot.phase.as_deref_mut() else { return false };
        if ending.resumes > now {
            return true;
        }
        if self.drains.until <= now {
            self.drains.until = now.plus_millis(DRAIN_PERIOD_MS);
            self.drains.left = DRAIN_BYTES_PER_PERIOD;
        }
        if self.drains.left == 0 {
            ending.resumes = self.drains.until;
            self.io.arm(conn, self.drains.until);
        } else if self.drains.in_turn == 0 {
            self.make_ready(conn);
        } else {
            return false;
        }
        true
    }

    /// Passes bytes to the handler and handles its answers; returns how many bytes it used up.
    fn hand_over(&mut self, handler: &mut impl Handler, conn: ConnId, bytes: &mut [u8]) -> usize {
        let all = bytes.len();
        // Leave room for the next connection, too.
        if self
            .send_buffer
            .as_ref()
            .is_some_and(|buffer| buffer.room() < self.send_buffer_bytes / 2)
        {
            self.send_answers(handler);
        }
        self.io.begin_reading(conn, &mut self.send_buffer);
        let used = self.guarded(handler, conn, |handler, io| handler.received(io, conn, bytes));
        if let Some(buffer) = self.io.end_reading(conn) {
            self.take_answers(handler, conn, buffer);
        }
        used.map_or(all, |used| used.min(all))
    }

    /// Keeps bytes that were not used up, while the connection is open.
    fn keep_unread(&mut self, conn: ConnId, unread: UnreadBytes) {
        if self.io.slot(conn).is_some_and(|slot| slot.is_open())
            && let Some(Some(socket)) = self.sockets.get_mut(conn.index())
        {
            socket.set(SocketMark::HasUnread, true);
            self.unread.insert(conn, unread);
        }
    }

    /// Gives a connection its next turn if it has input left.
    fn read_again_later(&mut self, conn: ConnId) {
        let is_open = self.io.slot(conn).is_some_and(|slot| slot.is_open());
        if self.io.may_read(conn) || !is_open {
            self.make_ready(conn);
        } else {
            self.starve(conn);
        }
    }

    /// Remembers a connection that may not be read because all outboxes together are full. (One
    /// whose own is full returns when it is flushed, a paused one when it is resumed.)
    pub(super) fn starve(&mut self, conn: ConnId) {
        if self.io.budget.is_spent()
            && let Some(Some(socket)) = self.sockets.get_mut(conn.index())
            && !socket.has(SocketMark::IsInStarvedList)
        {
            socket.set(SocketMark::IsInStarvedList, true);
            self.starved.push(conn);
            // Removes connections that are gone before they become many.
            if self.starved.len() > 2 * self.io.table.len() + STARVED_SLACK {
                let Reactor { io, starved, .. } = self;
                starved.retain(|conn| io.slot(*conn).is_some());
            }
        }
    }

    /// The peer has ended its direction. What waits for it is still sent.
    pub(super) fn peer_closed(&mut self, handler: &mut impl Handler, conn: ConnId) {
        let Some(Some(socket)) = self.sockets.get_mut(conn.index()) else { return };
        socket.set(SocketMark::IsReadable, false);
        if self.io.keeps_halves(conn) && self.keep_other_half(handler, conn) {
            return;
        }
        let Some(Some(socket)) = self.sockets.get_mut(conn.index()) else { return };
        let slot = &self.io.table[conn.index()];
        let is_flushed = slot.outbox.is_empty() && !socket.stream.has_unsent();
        match slot.phase.as_deref() {
            None | Some(Phase::Stalling(_)) if is_flushed => {
                self.over(handler, conn, CloseCause::PeerClosed);
            }
            None | Some(Phase::Stalling(_)) => {
                self.io.end(conn);
                self.tell(handler, conn, CloseCause::PeerClosed);
            }
            Some(Phase::Ending(_)) if is_flushed => self.over(handler, conn, CloseCause::Ended),
            Some(Phase::Ending(_) | Phase::Cut(_)) => {}
        }
    }
}
