//! A connection while it speaks HTTP/1.1 (RFC 9112): requests in, one after the other, and their
//! answers out in the same order.
//!
//! While a request is being answered, nothing more of its connection is parsed. The application
//! interprets the requests.

use super::answering::say;
use super::body_room::KeptBody;
use super::connection::{Stage, Web};
use super::{Application, HttpAnswer, Net};
use crate::base::limits::REQUESTS_PER_READ;
use crate::base::{Address, ConnId, ListenerId, Moment};
use crate::http1::{
    BodyError, BodyReader, Framing, HeadReader, HttpRefusal, RequestHead, Response, Status,
};
use crate::protocol::ProxyHeader;
use crate::protocol::handshake::Upgrade;
use crate::reactor::Io;
use std::net::IpAddr;

/// Identifies a request and its answer: an answer to a request that is gone is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Exchange {
    pub(crate) conn: ConnId,
    /// The request's number on its connection.
    pub(crate) number: u32,
}

impl Exchange {
    /// The connection. If the request opens a WebSocket, it becomes that of the WebSocket.
    #[must_use]
    pub const fn conn(self) -> ConnId {
        self.conn
    }
}

/// A complete request.
#[derive(Debug)]
pub struct WebRequest<'b> {
    /// The client's address: the one that a trusted proxy names, or the peer's.
    pub peer: IpAddr,
    /// Whether a proxy named the address.
    pub is_by_proxy: bool,
    /// Its head.
    pub head: &'b RequestHead<'b>,
    /// Its content, of at most `http.body_bytes`; empty for a request that asks for an upgrade.
    pub body: &'b [u8],
}

/// The state of a connection that speaks HTTP.
#[derive(Debug)]
pub(super) struct Http {
    /// The peer, or the client that it named before the first request.
    pub(super) peer: IpAddr,
    pub(super) is_by_proxy: bool,
    pub(super) listener: ListenerId,
    /// How many requests have arrived.
    pub(super) count: u32,
    pub(super) step: Step,
    /// The head and the content of a request that the application wants to see again.
    pub(super) kept: Option<Box<(Vec<u8>, KeptBody)>>,
    pub(super) deadline: Moment,
    /// How often in a row it was told that it asks too often.
    pub(super) refusals: u8,
    /// It is not read before then, as it asked too often.
    pub(super) unread_until: Moment,
}

#[derive(Debug)]
pub(super) enum Step {
    /// The PROXY header with which the connection begins; the bytes received so far.
    Proxy(Vec<u8>),
    /// A head; the bytes received so far.
    Head(HeadReader, Vec<u8>),
    /// The body that belongs to this head.
    Body(Vec<u8>, BodyReader, KeptBody),
    /// The answer, which the application owes.
    Answer(AwaitedAnswer),
}

/// How to send the answer that the application owes.
#[derive(Clone, Copy, Debug)]
pub(super) struct AwaitedAnswer {
    pub(super) is_head: bool,
    pub(super) ends: bool,
}

impl Step {
    pub(super) fn begin() -> Step {
        Step::Head(HeadReader::default(), Vec::new())
    }
}

impl Http {
    /// A connection that must complete its first request's head by `deadline`, after a PROXY header
    /// or without.
    pub(super) fn new(
        peer: IpAddr,
        listener: ListenerId,
        deadline: Moment,
        has_proxy_header: bool,
    ) -> Http {
        let step = if has_proxy_header { Step::Proxy(Vec::new()) } else { Step::begin() };
        let (is_by_proxy, count, kept) = (false, 0, None);
        let (refusals, unread_until) = (0, Moment::ZERO);
        Http { peer, is_by_proxy, listener, count, step, kept, deadline, refusals, unread_until }
    }

    /// Whether the request of this number waits for its answer.
    pub(super) fn owes(&self, number: u32) -> bool {
        self.count == number && matches!(self.step, Step::Answer(_))
    }
}

impl<A: Application> Web<A> {
    pub(super) fn http(&mut self, conn: ConnId) -> Option<&mut Http> {
        match self.stages.get_mut(conn)? {
            Stage::Http(http) => Some(http),
            Stage::Open(_) | Stage::Endless(_) | Stage::Over => None,
        }
    }

    /// Reads requests; returns how many of `bytes` were used up. The rest belongs to a WebSocket,
    /// or waits until the requests before it are answered.
    pub(super) fn read_requests(&mut self, io: &mut Io, conn: ConnId, bytes: &[u8]) -> usize {
        let (mut used, mut weight) = (0, 0);
        self.sockets.take_weight();
        while weight < REQUESTS_PER_READ {
            if used == bytes.len() || !io.may_read(conn) {
                break;
            }
            let rest = &bytes[used..];
            used += match self.http(conn).map(|http| &http.step) {
                Some(Step::Proxy(_)) => self.read_proxy_header(io, conn, rest),
                Some(Step::Head(..)) => self.read_head(io, conn, rest),
                Some(Step::Body(..)) => self.read_body(io, conn, rest),
                Some(Step::Answer(_)) | None => break,
            };
            weight += 1 + self.sockets.take_weight();
        }
        used
    }

    /// Reads a head; returns how many of `bytes` belong to the request, as far as it is read here.
    fn read_head(&mut self, io: &mut Io, conn: ConnId, bytes: &[u8]) -> usize {
        let bytes_max = self.limits.head_bytes as usize;
        let deadline = io.now().plus_millis(self.limits.handshake_timeout_ms);
        self.is_not_idle(io, conn);
        let Some(http) = self.http(conn) else { return bytes.len() };
        let Step::Head(reader, kept) = &mut http.step else { return 0 };
        let before = kept.len();
        if before == 0 && http.count == 0 && ProxyHeader::begins(bytes) {
            let message = "a PROXY header from an address that proxies.protocol does not name, at a listener without proxy = \"protocol\"";
            return self.bad_proxy_header(io, conn, message, bytes);
        }
        // A head that arrives whole, as most do, is read in place.
        let mut joined = std::mem::take(kept);
        let here = if before == 0 {
            bytes
        } else {
            // Keeps no more than the largest allowed head.
            joined.extend_from_slice(&bytes[..bytes.len().min(bytes_max + 1 - before)]);
            &joined
        };
        match reader.find_end(here, bytes_max) {
            Ok(Some(end)) => {
                let used = end - before;
                used + self.head_complete(io, conn, &here[..end], &bytes[used..])
            }
            Ok(None) => {
                *kept = if before == 0 { bytes.to_vec() } else { joined };
                // The time limit of the first one began with the connection.
                if before == 0 && http.count > 0 {
                    http.deadline = deadline;
                    io.set_deadline(conn, deadline);
                }
                bytes.len()
            }
            Err(error) => self.refuse_unread(io, conn, error, bytes),
        }
    }

    /// Handles a complete head; `rest` follows it. Returns how much of that is its body.
    fn head_complete(&mut self, io: &mut Io, conn: ConnId, bytes: &[u8], rest: &[u8]) -> usize {
        let head = match RequestHead::parse(bytes, self.limits.headers as usize) {
            Ok(head) => head,
            Err(error) => return self.refuse_unread(io, conn, error, rest),
        };
        if let Some(http) = self.http(conn) {
            http.count = http.count.wrapping_add(1);
        }
        // Frames follow, or bytes that are not read.
        if Upgrade::is_asked_for(&head) {
            self.ask(io, conn, bytes, &head, b"");
            return 0;
        }
        let expects = match expects_continue(&head) {
            Ok(expects) => expects,
            Err(refusal) => return self.refuse(io, conn, refusal, rest),
        };
        match Framing::of(&head) {
            Ok(Framing::Length(0)) => {
                self.ask(io, conn, bytes, &head, b"");
                0
            }
            // A body that arrived whole is read in place.
            Ok(Framing::Length(len))
                if len <= rest.len().min(self.body_bytes_max(&head)) as u64 =>
            {
                let len = len as usize;
                self.ask(io, conn, bytes, &head, &rest[..len]);
                len
            }
            Ok(framing) => {
                let asks_for_it = expects && rest.is_empty();
                match self.begin_body(io, conn, bytes, &head, framing, asks_for_it) {
                    Ok(()) => 0,
                    Err(response) => self.refuse(io, conn, *response, rest),
                }
            }
            Err(refusal) => self.refuse(io, conn, refusal, rest),
        }
    }

    fn body_bytes_max(&self, head: &RequestHead<'_>) -> usize {
        self.application.body_bytes_max(head, self.limits.http_body_bytes as usize)
    }

    /// Waits for a body, if the application accepts it.
    fn begin_body(
        &mut self,
        io: &mut Io,
        conn: ConnId,
        bytes: &[u8],
        head: &RequestHead<'_>,
        framing: Framing,
        asks_for_it: bool,
    ) -> Result<(), Box<Response>> {
        let (peer, _) = self.client_of(conn, head).map_err(Box::new)?;
        let content = self.body_room.body(Address::of(peer));
        let body = BodyReader::new(framing, self.body_bytes_max(head))
            .map_err(|error| Box::new(HttpRefusal::from(error).into()))?;
        let deadline = io.now().plus_millis(self.limits.http_body_timeout_ms);
        let net = &mut Net { io, sockets: &mut self.sockets };
        if let Some(response) = self.application.before_body(net, conn, peer, head) {
            return Err(Box::new(response));
        }
        if asks_for_it {
            // RFC 9110 §10.1.1: the client waits for this before it sends the body.
            say(io, conn, b"HTTP/1.1 100 Continue\r\n\r\n", b"");
        }
        if let Some(http) = self.http(conn) {
            http.step = Step::Body(bytes.to_vec(), body, content);
            http.deadline = deadline;
            io.set_deadline(conn, deadline);
        }
        Ok(())
    }

    /// Reads a body; returns how many of `bytes` belong to it.
    fn read_body(&mut self, io: &mut Io, conn: ConnId, bytes: &[u8]) -> usize {
        let headers_max = self.limits.headers as usize;
        let Some(http) = self.http(conn) else { return bytes.len() };
        let Step::Body(_, body, content) = &mut http.step else { return 0 };
        let used = match body.read(bytes, |piece| content.keep(piece)) {
            Ok(used) => used,
            Err(error) => return self.refuse(io, conn, HttpRefusal::from(error), bytes),
        };
        if body.is_whole()
            && let Step::Body(raw, _, content) = std::mem::replace(&mut http.step, Step::begin())
        {
            match RequestHead::parse(&raw, headers_max) {
                Ok(head) => self.ask(io, conn, &raw, &head, content.bytes()),
                Err(error) => return self.refuse(io, conn, error, bytes),
            }
        }
        used
    }

    /// Passes a complete request to the application, which answers it at once or later.
    fn ask(&mut self, io: &mut Io, conn: ConnId, raw: &[u8], head: &RequestHead<'_>, body: &[u8]) {
        let Some(http) = self.http(conn) else { return };
        http.step = Step::Answer(AwaitedAnswer {
            is_head: head.method == "HEAD",
            // A refused upgrade ends the connection: a proxy may have begun to tunnel.
            ends: !head.keeps_alive() || Upgrade::is_asked_for(head),
        });
        http.deadline = Moment::NEVER;
        self.hand_over(io, conn, raw, head, body);
        self.settle(io);
        if self.http(conn).is_some_and(|http| matches!(http.step, Step::Answer(_))) {
            io.pause(conn);
        }
    }

    fn hand_over(
        &mut self,
        io: &mut Io,
        conn: ConnId,
        raw: &[u8],
        head: &RequestHead<'_>,
        body: &[u8],
    ) {
        let Some(http) = self.http(conn) else { return };
        let exchange = Exchange { conn, number: http.count };
        let (peer, is_by_proxy) = match self.admit_request(io, conn, head) {
            Ok(client) => client,
            Err(response) => {
                return self.respond_sealed(
                    io,
                    conn,
                    self.application.adjust_unread_refusal(*response),
                );
            }
        };
        let net = &mut Net { io, sockets: &mut self.sockets };
        let request = WebRequest { peer, is_by_proxy, head, body };
        match self.application.request(net, exchange, &request) {
            HttpAnswer::Open(accepted) => self.open(io, conn, accepted),
            HttpAnswer::Endless(response) => self.begin_endless(io, conn, &response),
            HttpAnswer::Respond(response) => {
                if Upgrade::is_asked_for(head) {
                    let now = io.now();
                    self.sockets.counters.upgrades_refused.count(response.status);
                    self.sockets.note(now, conn, &peer, &response, "refused");
                }
                self.respond(io, conn, &response);
            }
            HttpAnswer::Later => {}
            HttpAnswer::Again => {
                let mut kept = self.body_room.body(Address::of(peer));
                if !kept.keep(body) {
                    let no_room = HttpRefusal::from(BodyError::NoRoom);
                    return self.respond_sealed(io, conn, no_room.into());
                }
                if let Some(http) = self.http(conn) {
                    http.kept = Some(Box::new((raw.to_vec(), kept)));
                }
            }
        }
    }

    /// Passes a kept request to the application again.
    pub(super) fn ask_again(&mut self, io: &mut Io, exchange: Exchange) {
        let Exchange { conn, number } = exchange;
        let headers_max = self.limits.headers as usize;
        let http = self.http(conn).filter(|http| http.owes(number));
        let kept = http.and_then(|http| http.kept.take());
        let Some((raw, body)) = kept.map(|kept| *kept) else { return };
        // It has been parsed before.
        let Ok(head) = RequestHead::parse(&raw, headers_max) else { return };
        self.hand_over(io, conn, &raw, &head, body.bytes());
        if let Some(Stage::Open(_)) = self.stages.get(conn) {
            // The first frames may already be waiting.
            io.resume(conn);
        }
    }
}

/// Whether the client waits for an interim answer before it sends the body (RFC 9110 §10.1.1).
fn expects_continue(head: &RequestHead<'_>) -> Result<bool, HttpRefusal> {
    match head.only("expect")? {
        None => Ok(false),
        Some(expected) if expected.eq_ignore_ascii_case("100-continue") => Ok(!head.is_http_1_0),
        Some(_) => Err(HttpRefusal::new(
            Status::ExpectationFailed,
            "bad_request",
            "the only supported expectation is 100-continue",
        )),
    }
}
