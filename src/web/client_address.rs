//! Determines the address of connections and requests, and applies its limits once it is known.
//! Behind a trusted proxy it is the client's address, not the proxy's.

use super::Application;
use super::admission::TooMany;
use super::answering::say;
use super::connection::Web;
use super::exchange::Step;
use crate::base::limits::{PROXY_HEADER_BYTES_MAX, REFUSED_END_MS};
use crate::base::{Address, ConnId};
use crate::http1::response::bad;
use crate::http1::{HttpRefusal, RequestHead, Response, ResponseOptions, Status};
use crate::protocol::ProxyHeader;
use crate::protocol::handshake::Upgrade;
use crate::reactor::Io;
use std::net::{IpAddr, Ipv4Addr};

impl<A: Application> Web<A> {
    /// Counts a connection once its peer is known, unless the peer is a proxy that will name
    /// clients. One too many is refused before anything is read, and ends.
    pub(super) fn arrived(&mut self, io: &mut Io, conn: ConnId, peer: IpAddr) {
        if self.listeners.is_trusted(io.listener(conn), peer) {
            return;
        }
        let Err(response) = self.admit(io, conn, peer) else { return self.is_idle(io, conn) };
        self.forget_http(io, conn);
        self.end_unread(io, conn, *response);
    }

    /// Refuses a connection beyond the total limit before anything is read, and ends it.
    pub(super) fn refuse_beyond_all(&mut self, io: &mut Io, conn: ConnId, peer: IpAddr) {
        let message = "the limit of connections is reached";
        self.sockets.counters.over_limit += 1;
        self.sockets.note(io.now(), conn, &peer, &message, "refused");
        let refusal = HttpRefusal::new(Status::ServiceUnavailable, "overloaded", message);
        self.end_unread(io, conn, refusal.with(&[("Retry-After", "10")]).into());
    }

    /// Answers a connection from which nothing was read, and ends it.
    fn end_unread(&mut self, io: &mut Io, conn: ConnId, response: Response) {
        let response = self.application.adjust_unread_refusal(response);
        let response = self.application.sealed(response);
        self.sockets.counters.responses.count(response.status);
        let options = ResponseOptions { is_head: false, ends: true, date: None };
        say(io, conn, &response.to_bytes(options), b"");
        // A short deadline: otherwise connections beyond one address's limit would fill the table.
        io.end_by(conn, io.now().plus_millis(REFUSED_END_MS));
    }

    /// Counts a connection for its address; an error is the answer to one too many.
    fn admit(&mut self, io: &Io, conn: ConnId, peer: IpAddr) -> Result<(), Box<Response>> {
        /// A guess: nobody knows when a connection ends.
        const RETRY_AFTER_OPEN_MS: u64 = 10_000;
        let address = Address::of(peer);
        self.sockets.set_address(conn, address);
        let admission = self.listeners.admission(io.listener(conn));
        let Err(too_many) = admission.enter(address, io.now()) else { return Ok(()) };
        let counters = &mut self.sockets.counters;
        let (count, message, retry_after_ms) = match too_many {
            TooMany::Open => (
                &mut counters.over_address_limit,
                "too many connections from your address",
                RETRY_AFTER_OPEN_MS,
            ),
            TooMany::InAMinute(wait_ms) => (
                &mut counters.over_address_minute_limit,
                "too many new connections from your address within a minute",
                wait_ms,
            ),
        };
        *count += 1;
        self.sockets.note(io.now(), conn, &address, &message, "refused");
        let refusal = HttpRefusal::new(Status::TooManyRequests, "rate_limited", message);
        Err(Box::new(Response::from(refusal).with_retry_after(retry_after_ms)))
    }

    /// Reads the PROXY header with which a connection begins; returns how many of `bytes` were used
    /// up.
    pub(super) fn read_proxy_header(&mut self, io: &mut Io, conn: ConnId, bytes: &[u8]) -> usize {
        let Some(http) = self.http(conn) else { return bytes.len() };
        let Step::Proxy(kept) = &mut http.step else { return 0 };
        let before = kept.len();
        kept.extend_from_slice(&bytes[..bytes.len().min(PROXY_HEADER_BYTES_MAX - before)]);
        match ProxyHeader::decode(kept) {
            Ok(None) => bytes.len(),
            Ok(Some((header, len))) => {
                http.step = Step::begin();
                // Connections of health checks are the proxy's own, which is not counted.
                if let Some(source) = header.source {
                    (http.peer, http.is_by_proxy) = (source, true);
                    self.arrived(io, conn, source);
                }
                len - before
            }
            Err(error) => self.bad_proxy_header(io, conn, &error.to_string(), bytes),
        }
    }

    /// Refuses a PROXY header, or one from an untrusted peer.
    pub(super) fn bad_proxy_header(
        &mut self,
        io: &mut Io,
        conn: ConnId,
        message: &str,
        bytes: &[u8],
    ) -> usize {
        self.sockets.counters.bad_proxy_headers += 1;
        let peer = self.http(conn).map(|http| http.peer);
        let peer = peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        self.sockets.note(io.now(), conn, &peer, &message, "refused");
        self.refuse_unread(io, conn, bad(message), bytes)
    }

    /// The client's address for a request, and whether a proxy named it; an error is the answer to
    /// a request whose address cannot be read.
    pub(super) fn client_of(
        &mut self,
        conn: ConnId,
        head: &RequestHead<'_>,
    ) -> Result<(IpAddr, bool), Response> {
        let Some(http) = self.http(conn) else {
            return Err(bad("the connection has gone").into());
        };
        let (peer, is_by_proxy, listener) = (http.peer, http.is_by_proxy, http.listener);
        if !self.listeners.is_trusted(listener, peer) {
            return Ok((peer, is_by_proxy));
        }
        match self.listeners.proxies().client(head) {
            Ok(Some(client)) => Ok((client, true)),
            Ok(None) => Ok((peer, is_by_proxy)),
            Err(error) => {
                self.sockets.counters.bad_proxy_headers += 1;
                Err(error.into())
            }
        }
    }

    /// As [`Web::client_of`]; also counts a WebSocket behind a proxy for its client. A connection
    /// with other requests is the proxy's, and serves one client after another.
    pub(super) fn admit_request(
        &mut self,
        io: &Io,
        conn: ConnId,
        head: &RequestHead<'_>,
    ) -> Result<(IpAddr, bool), Box<Response>> {
        let (peer, is_by_proxy) = self.client_of(conn, head).map_err(Box::new)?;
        if is_by_proxy && Upgrade::is_asked_for(head) && self.sockets.address(conn).is_none() {
            self.admit(io, conn, peer)?;
        }
        Ok((peer, is_by_proxy))
    }
}
