//! HTTP request heads and WebSockets on the reactor: the base of every server here, including the
//! chat server and `examples/echo.rs`.
//!
//! It reads requests, asks the [`Application`] to answer, runs the endpoint, the heartbeat and the
//! closing handshake, and enforces limits on addresses. The application interprets messages.

mod admission;
mod answering;
mod body_room;
mod chance;
mod client_address;
mod common;
mod connection;
mod counters;
mod endless;
mod exchange;
mod health;
mod heartbeat;
mod idle;
mod listeners;
mod net;
mod proxies;

pub use chance::{SystemKeys, system_nonce};
pub use common::WebCommon;
pub use connection::Web;
pub use counters::{Statuses, WebCounters};
pub use exchange::{Exchange, WebRequest};
pub use health::{Level, Quality, Traffic};
pub use listeners::{ListenerRules, ProxyKind};
pub use net::Net;
pub use proxies::{Network, NotANetwork, Proxies};

use crate::base::{ConnId, Limits};
use crate::http1::{HttpRefusal, RequestHead, Response};
use crate::protocol::CloseCode;
use crate::protocol::deflate::CodecsConfig;
use crate::protocol::handshake::{Accepted, Upgrade};
use crate::reactor::{Acceptor, Machine, Reactor, ReactorConfig, Wake};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub use crate::protocol::Message;

/// How to answer a request.
#[derive(Debug)]
pub enum HttpAnswer {
    /// Opens a WebSocket: see [`Net::accept`].
    Open(Accepted),
    /// A complete answer. The connection continues as the client wishes, unless the answer ends it
    /// or the request asked for an upgrade.
    Respond(Response),
    /// The head of an answer of unannounced, endless content: the client is sent
    /// [pieces](Net::piece) of it until [`Net::close`]. [`Application::opened`] and
    /// [`Application::closed`] are called as for a WebSocket. The connection ends with it
    /// (RFC 9112 §6.3, 8).
    Endless(Response),
    /// [`Net::answer`] answers later. Until then nothing more is read from this connection.
    Later,
    /// The request is kept and passed on again after [`Net::ask_again`]; [`Net::answer`] may answer
    /// it, too. Until then nothing more is read from this connection.
    Again,
}

impl From<Response> for HttpAnswer {
    fn from(response: Response) -> HttpAnswer {
        HttpAnswer::Respond(response)
    }
}

impl From<HttpRefusal> for HttpAnswer {
    fn from(refusal: HttpRefusal) -> HttpAnswer {
        HttpAnswer::Respond(refusal.into())
    }
}

/// Settings for connections.
#[derive(Clone, Debug, Default)]
pub struct WebConfig {
    /// All limits.
    pub limits: Limits,
    /// permessage-deflate, for clients that offer it; `None` for no compression.
    pub compression: Option<CodecsConfig>,
    /// Proxies trusted to name the client of a connection or a request.
    pub proxies: Proxies,
    /// What differs at each listener, in the order of their ids.
    pub listeners: Vec<ListenerRules>,
    /// What it has in common with other reactors, if there are others.
    pub common: Option<WebCommon>,
}

/// Why a WebSocket is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketEnd {
    /// The peer began the closing handshake, with this code.
    ClosedByPeer(Option<CloseCode>),
    /// The application called [`Net::close`], or the peer broke the protocol or missed its
    /// heartbeat.
    ClosedByUs(CloseCode),
    /// All outboxes together were full, and this connection or its holder held the most: it was
    /// cut, without a Close.
    HeldMost,
    /// The TCP connection ended without a Close (RFC 6455 §7.1.5 reads that as 1006).
    Lost,
}

/// A server's use of WebSockets. All calls come from the reactor's thread.
#[expect(unused_variables, reason = "the defaults do little or nothing")]
pub trait Application {
    /// A request arrived, with its body. The default opens a WebSocket on every path, and ends the
    /// connection for any other request.
    fn request(
        &mut self,
        net: &mut Net<'_>,
        exchange: Exchange,
        request: &WebRequest<'_>,
    ) -> HttpAnswer {
        match Upgrade::judge(request.head) {
            Ok(upgrade) => net.accept(&upgrade, None),
            Err(refusal) => HttpAnswer::Respond(Response { ends: true, ..refusal.into() }),
        }
    }

    /// Largest body of a request, in bytes; by default `usual`.
    fn body_bytes_max(&self, head: &RequestHead<'_>, usual: usize) -> usize {
        usual
    }

    /// A request's head arrived, and most of its body is still to come. An answer here replaces
    /// waiting for it and ends the connection. The default waits.
    fn before_body(
        &mut self,
        net: &mut Net<'_>,
        conn: ConnId,
        peer: IpAddr,
        head: &RequestHead<'_>,
    ) -> Option<Response> {
        None
    }

    /// Adjusts the refusal of a client whose request was not read: because there are too many
    /// connections, or the input is no request. The client may well want a WebSocket. The default
    /// changes nothing.
    fn adjust_unread_refusal(&self, response: Response) -> Response {
        response
    }

    /// Adjusts a refusal that the application did not make, or for a request that it did not get
    /// whole. The default changes nothing.
    fn sealed(&self, response: Response) -> Response {
        response
    }

    /// The WebSocket is open, or the head of an endless answer was sent.
    fn opened(&mut self, net: &mut Net<'_>, conn: ConnId) {}

    /// A complete message arrived.
    fn message(&mut self, net: &mut Net<'_>, conn: ConnId, message: Message<'_>);

    /// So many bytes of an open WebSocket were read, including control frames.
    fn took_bytes(&mut self, net: &mut Net<'_>, conn: ConnId, bytes: usize) {}

    /// All messages that one read brought from this connection were passed on: anything collected
    /// from them should now be passed on together.
    fn caught_up(&mut self, net: &mut Net<'_>, conn: ConnId) {}

    /// The WebSocket is over. Called exactly once for each that was opened, before the TCP
    /// connection ends; nothing more is sent to it.
    fn closed(&mut self, net: &mut Net<'_>, conn: ConnId, over: SocketEnd) {}

    /// The moment set by [`Net::set_deadline`] has come.
    fn deadline(&mut self, net: &mut Net<'_>, conn: ConnId) {}

    /// A heartbeat interval has passed on a connection with an endless answer, and little waits for
    /// it. Something may be sent, so that each end learns that the other is there.
    fn beat(&mut self, net: &mut Net<'_>, conn: ConnId) {}

    /// An outbox that had little or no room has room again.
    fn drained(&mut self, net: &mut Net<'_>, conn: ConnId) {}

    /// The bytes waiting for the peer have not advanced for long. The default cuts the connection.
    fn stalled(&mut self, net: &mut Net<'_>, conn: ConnId) {
        net.cut(conn);
    }

    /// Another thread woke the reactor.
    fn woken(&mut self, net: &mut Net<'_>) {}

    /// See [`Handler::turned`](crate::reactor::Handler::turned).
    fn turned(&mut self, net: &mut Net<'_>) {}

    /// The moment set by [`Net::wake_at`] has come.
    fn timer_fired(&mut self, net: &mut Net<'_>) {}

    /// See [`Handler::is_poisoned`](crate::reactor::Handler::is_poisoned).
    fn is_poisoned(&self) -> bool {
        false
    }
}

/// Stops a server that [`serve`] runs, from any thread. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Stop {
    is_asked: Arc<AtomicBool>,
    wake: Wake,
}

impl Stop {
    /// Stops the server in order: every WebSocket gets what waits for it and a Close with 1001.
    /// After [`STOP_MS_MAX`](crate::base::limits::STOP_MS_MAX) the remaining connections are cut.
    pub fn stop(&self) {
        self.is_asked.store(true, Ordering::Release);
        self.wake.wake();
    }
}

/// Listens on `listen` and serves `application` on this thread until it is stopped. Calls `bound`
/// with the address, and a handle to stop the server, as soon as connections are accepted.
///
/// # Errors
/// The system's error, such as that the address is in use.
pub fn serve(
    listen: SocketAddr,
    config: WebConfig,
    application: impl Application,
    bound: impl FnOnce(SocketAddr, Stop),
) -> io::Result<()> {
    let limits = config.limits.clone();
    serve_with(Reactor::bind(&ReactorConfig { listen, limits })?, config, application, bound)
}

/// As [`serve`], on this reactor, which listens already: with TLS, or at several addresses.
///
/// # Errors
/// As [`serve`].
pub fn serve_with<T: Acceptor>(
    mut reactor: Reactor<Machine<T>>,
    config: WebConfig,
    application: impl Application,
    bound: impl FnOnce(SocketAddr, Stop),
) -> io::Result<()> {
    let address = reactor.local_addr()?;
    log::info!("listening on {address}");
    let is_asked = Arc::new(AtomicBool::new(false));
    bound(address, Stop { is_asked: Arc::clone(&is_asked), wake: reactor.wake() });
    let mut seed = [0; 8];
    getrandom::fill(&mut seed).map_err(io::Error::other)?;
    let mut web = Web::new(application, config, u64::from_le_bytes(seed));
    web.stop_is_asked = is_asked;
    reactor.run(&mut web)
}
