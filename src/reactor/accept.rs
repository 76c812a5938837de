//! Accepts new connections, a bounded number per turn.

use super::connection::{OpenSocket, SocketMark};
use super::io::Handler;
use super::listener::AcceptResult;
use super::reactor::Reactor;
use super::system::{Acceptor, Machine, System};
use crate::base::limits::{ACCEPTS_PER_TURN, TURNED_AWAY_MAX};
use crate::base::{ConnId, ListenerId};
use std::net::SocketAddr;

impl<A: Acceptor> Reactor<Machine<A>> {
    pub(super) fn accept(&mut self, handler: &mut impl Handler) {
        if !self.io.is_accepting {
            // Closes the listeners, so that clients in the backlog are refused now and not at the
            // end.
            if !self.io.keeps_listening {
                self.listeners.clear();
            }
            return;
        }
        for index in 0..self.listeners.len() {
            self.accept_at(handler, ListenerId::new(index));
        }
    }

    fn accept_at(&mut self, handler: &mut impl Handler, id: ListenerId) {
        for _ in 0..ACCEPTS_PER_TURN {
            let Some(listener) = self.listeners.get_mut(id.index()) else { return };
            if listener.paused_until.is_some_and(|until| until <= self.io.now) {
                listener.paused_until = None;
            }
            if !listener.accepts() {
                return;
            }
            if self.turned_away.len() >= TURNED_AWAY_MAX && self.io.places.is_full(id) {
                listener.pause(self.io.now);
                return;
            }
            match listener.accept(self.io.now) {
                AcceptResult::Connection(socket, peer) => {
                    self.deal(handler, (socket, peer), id);
                }
                AcceptResult::Nothing => return,
                AcceptResult::Exhausted(error) => {
                    self.log_exhausted(&format!(
                        "those that wait are taken when others go: {error}"
                    ));
                }
            }
        }
    }
}

impl<S: System> Reactor<S> {
    pub(super) fn take_in(
        &mut self,
        handler: &mut impl Handler,
        socket: S::Socket,
        peer: SocketAddr,
        listener: ListenerId,
    ) -> ConnId {
        let conn = self.io.open_at(listener);
        self.io.counters.accepted += 1;
        let stream = match self.system.take_in(socket, (conn, listener), &self.io.budget) {
            Ok(stream) => stream,
            Err(error) => {
                log::error!("cannot take a connection in: {error}");
                self.io.remove(conn);
                return conn;
            }
        };
        self.add_socket(conn, OpenSocket::new(stream));
        if !self.io.take_place(conn) {
            self.turned_away.push(conn);
            self.log_exhausted(
                "the limit is reached: limits.connections, open files, or the listener's",
            );
            self.guarded(handler, conn, |handler, io| handler.turned_away(io, conn, peer));
        } else {
            self.guarded(handler, conn, |handler, io| handler.opened(io, conn, peer));
        }
        conn
    }

    pub(super) fn add_socket(&mut self, conn: ConnId, socket: OpenSocket<S::Stream>) {
        if self.sockets.len() <= conn.index() {
            self.sockets.resize_with(conn.index() + 1, || None);
        }
        self.sockets[conn.index()] = Some(socket);
    }

    /// Called when the system accepts no more bytes: asks for an event when it does again.
    pub(super) fn watch_for_writing(&mut self, conn: ConnId) {
        let Some(Some(socket)) = self.sockets.get_mut(conn.index()) else { return };
        socket.set(SocketMark::IsWritable, false);
        if socket.set(SocketMark::IsWatchedForWriting, true) {
            return;
        }
        if let Err(error) = self.system.watch_writing(&mut socket.stream, conn) {
            log::error!("cannot watch a connection: {error}");
            self.io.cut(conn);
        }
    }

    fn log_exhausted(&mut self, why: &str) {
        const EVERY_MS: u64 = 10_000;
        if self.exhausted_log <= self.io.now {
            self.exhausted_log = self.io.now.plus_millis(EVERY_MS);
            let open = self.io.table.len();
            log::warn!(open; "cannot take more connections for now: {why}");
        }
    }
}
