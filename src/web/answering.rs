//! Answers to requests, refusals, and what happens when the next request does not come.

use super::Application;
use super::connection::{Stage, Web};
use super::exchange::{AwaitedAnswer, Exchange, Step};
use crate::base::date::http_date;
use crate::base::limits::{LIMITED_PAUSE_MS, REFUSALS_IN_A_ROW_MAX};
use crate::base::{Class, ConnId};
use crate::http1::{HttpRefusal, Response, ResponseOptions, Status};
use crate::reactor::Io;

impl<A: Application> Web<A> {
    /// Sends a refusal that the application did not make.
    pub(super) fn respond_sealed(&mut self, io: &mut Io, conn: ConnId, refusal: Response) {
        self.respond(io, conn, &self.application.sealed(refusal));
    }

    /// Sends the application's answer to a request, if that still waits for one.
    pub(super) fn answered(&mut self, io: &mut Io, exchange: Exchange, response: &Response) {
        let Exchange { conn, number } = exchange;
        if self.http(conn).is_some_and(|http| http.owes(number)) {
            self.respond(io, conn, response);
        }
    }

    /// Refuses input that cannot be read as a request; the rest could be anything and is ignored.
    /// Returns how many of `bytes` that uses up: all.
    pub(super) fn refuse(
        &mut self,
        io: &mut Io,
        conn: ConnId,
        why: impl Into<Response>,
        bytes: &[u8],
    ) -> usize {
        let response = self.application.sealed(why.into());
        self.respond(io, conn, &Response { ends: true, ..response });
        bytes.len()
    }

    /// Answers a client whose request could not be read.
    pub(super) fn refuse_unread(
        &mut self,
        io: &mut Io,
        conn: ConnId,
        why: impl Into<Response>,
        bytes: &[u8],
    ) -> usize {
        let response = self.application.adjust_unread_refusal(why.into());
        self.refuse(io, conn, response, bytes)
    }

    /// Sends an answer. Then the next request may follow, or the connection ends in order, so that
    /// no reset loses the answer (RFC 9112 §9.6).
    pub(super) fn respond(&mut self, io: &mut Io, conn: ConnId, response: &Response) {
        let (now, idle_timeout_ms) = (io.now(), self.limits.http_idle_timeout_ms);
        // RFC 6455 §7.1.7: failures before the WebSocket opens are logged, too.
        log::debug!("{conn}: answered {}", response.status.line());
        self.sockets.counters.responses.count(response.status);
        let Some((listener, peer)) = self.http(conn).map(|http| (http.listener, http.peer)) else {
            return;
        };
        let is_shared = self.listeners.is_trusted(listener, peer);
        let Some(http) = self.http(conn) else { return };
        let owed = match http.step {
            Step::Answer(owed) => owed,
            Step::Proxy(_) | Step::Head(..) | Step::Body(..) => {
                AwaitedAnswer { is_head: false, ends: true }
            }
        };
        // A trusted proxy has others' requests on its connection, too.
        let is_limited = response.status == Status::TooManyRequests && !is_shared;
        let refusals = if is_limited { http.refusals.saturating_add(1) } else { 0 };
        http.refusals = refusals;
        let ends = owed.ends || response.ends || refusals >= REFUSALS_IN_A_ROW_MAX;
        let date = http_date(io.timestamp());
        let options = ResponseOptions { is_head: owed.is_head, ends, date: Some(&date) };
        let (head, content) = response.pieces(options);
        say(io, conn, &head, content);
        if ends {
            self.end_http(io, conn);
            return;
        }
        (http.step, http.kept) = (Step::begin(), None);
        http.deadline = now.plus_millis(idle_timeout_ms);
        if refusals > 0 {
            http.unread_until = now.plus_millis(LIMITED_PAUSE_MS);
            io.set_deadline(conn, http.unread_until);
            io.pause(conn);
        } else {
            io.set_deadline(conn, http.deadline);
            io.resume(conn);
        }
        self.is_idle(io, conn);
    }

    fn end_http(&mut self, io: &mut Io, conn: ConnId) {
        self.forget_http(io, conn);
        io.end(conn);
    }

    /// Ignores further input on a connection.
    pub(super) fn forget_http(&mut self, io: &Io, conn: ConnId) {
        self.is_not_idle(io, conn);
        if let Some(stage) = self.stages.get_mut(conn) {
            *stage = Stage::Over;
        }
    }

    /// Handles the deadline of a connection that speaks HTTP: for the rest of a head or a body, or
    /// for another request.
    pub(super) fn deadline_of_http(&mut self, io: &mut Io, conn: ConnId) {
        let now = io.now();
        let idle_timeout_ms = self.limits.http_idle_timeout_ms;
        let Some(http) = self.http(conn) else { return };
        if http.unread_until <= now && !matches!(http.step, Step::Answer(_)) {
            io.resume(conn);
        }
        if http.deadline <= now && (!io.may_read(conn) || io.outbox_bytes(conn) > 0) {
            // It is busy with an answer, or paused: progress is watched elsewhere.
            http.deadline = now.plus_millis(idle_timeout_ms);
        }
        if http.deadline > now {
            let is_unread = http.unread_until > now;
            io.set_deadline(conn, if is_unread { http.unread_until } else { http.deadline });
            return;
        }
        let late = match &http.step {
            // It sent nothing, so it gets no answer.
            Step::Proxy(bytes) if bytes.is_empty() => return io.cut(conn),
            Step::Proxy(_) => "the PROXY header took too long",
            Step::Head(_, bytes) if bytes.is_empty() && http.count == 0 => return io.cut(conn),
            Step::Head(_, bytes) if bytes.is_empty() => return self.end_http(io, conn),
            Step::Head(..) => "the request head took too long",
            Step::Body(..) => "the request body took too long",
            Step::Answer(_) => return,
        };
        let refusal = HttpRefusal::new(Status::RequestTimeout, "bad_request", late);
        self.refuse_unread(io, conn, refusal, b"");
    }
}

/// Sends a head and its content.
pub(super) fn say(io: &mut Io, conn: ConnId, head: &[u8], content: &[u8]) {
    if let Some(out) = io.outbox(conn) {
        out.push_own(head.len() + content.len(), Class::Control, |bytes| {
            bytes.extend_from_slice(head);
            bytes.extend_from_slice(content);
        });
    }
}
