//! HTTP request heads and WebSockets on the reactor: what every server here is built on, the chat
//! server and `examples/echo.rs` alike.
//!
//! It reads the head, lets the [`Application`] answer, runs the endpoint, the heartbeat and the
//! closing handshake, and keeps the limits of addresses. What messages mean is the application's.

mod admission;
mod handler;
mod heartbeat;
mod net;

pub use handler::Web;
pub use net::Net;

use crate::base::{ConnId, Limits};
use crate::protocol::CloseCode;
use crate::protocol::deflate::CodecsConfig;
use crate::protocol::handshake::{Accepted, Refusal, RequestHead, Upgrade};
use crate::reactor::{Reactor, ReactorConfig};
use std::io;
use std::net::{IpAddr, SocketAddr};

pub use crate::protocol::Message;

/// How a request is answered.
#[derive(Debug)]
pub enum Answer {
    /// Opens a WebSocket: see [`Net::accept`].
    Open(Accepted),
    /// Sends a whole HTTP answer and ends the connection.
    Respond(Vec<u8>),
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Answer {
        Answer::Respond(refusal.to_bytes())
    }
}

/// What connections are given and may do.
#[derive(Clone, Debug, Default)]
pub struct WebConfig {
    /// All limits.
    pub limits: Limits,
    /// permessage-deflate, for clients that offer it; `None` for no compression.
    pub compression: Option<CodecsConfig>,
}

/// Why a WebSocket is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// The closing handshake was begun by the other end, with this code.
    ClosedByPeer(Option<CloseCode>),
    /// The application called [`Net::close`], or the peer broke the protocol or missed its
    /// heartbeat.
    ClosedByUs(CloseCode),
    /// The TCP connection ended without a Close (RFC 6455 §7.1.5 reads that as 1006).
    Lost,
}

/// What a server does with WebSockets. All calls come from the reactor's thread.
pub trait Application {
    /// A request's head came. The default opens a WebSocket on every path.
    fn request(
        &mut self,
        net: &mut Net<'_>,
        conn: ConnId,
        peer: IpAddr,
        head: &RequestHead<'_>,
    ) -> Answer {
        let _ = (conn, peer);
        match Upgrade::judge(head) {
            Ok(upgrade) => net.accept(&upgrade, None),
            Err(refusal) => refusal.into(),
        }
    }

    /// The WebSocket is open.
    fn opened(&mut self, net: &mut Net<'_>, conn: ConnId) {
        let _ = (net, conn);
    }

    /// A message came, whole.
    fn message(&mut self, net: &mut Net<'_>, conn: ConnId, message: Message<'_>);

    /// All messages that one read has brought from this connection were handed over: what was kept
    /// of them to be handed on together is handed on now.
    fn caught_up(&mut self, net: &mut Net<'_>, conn: ConnId) {
        let _ = (net, conn);
    }

    /// The WebSocket is over: exactly once for each that was opened, and before the TCP connection
    /// is, so that nothing more is sent to it.
    fn closed(&mut self, net: &mut Net<'_>, conn: ConnId, over: Over) {
        let _ = (net, conn, over);
    }

    /// The moment that [`Net::set_deadline`] set has come.
    fn deadline(&mut self, net: &mut Net<'_>, conn: ConnId) {
        let _ = (net, conn);
    }

    /// There is room again in an outbox that had none, or little.
    fn drained(&mut self, net: &mut Net<'_>, conn: ConnId) {
        let _ = (net, conn);
    }

    /// What waits for the peer has not moved for long. The default gives it up.
    fn stalled(&mut self, net: &mut Net<'_>, conn: ConnId) {
        net.cut(conn);
    }

    /// Another thread woke the reactor.
    fn woken(&mut self, net: &mut Net<'_>) {
        let _ = net;
    }

    /// The moment that [`Net::wake_at`] set has come.
    fn ticked(&mut self, net: &mut Net<'_>) {
        let _ = net;
    }

    /// See [`Handler::is_poisoned`](crate::reactor::Handler::is_poisoned).
    fn is_poisoned(&self) -> bool {
        false
    }
}

/// Listens on `listen` and serves `application` on this thread, for ever; `bound` is told the address
/// as soon as connections are accepted there.
///
/// # Errors
/// What the system says, as that the address is taken.
pub fn serve(
    listen: SocketAddr,
    config: WebConfig,
    application: impl Application,
    bound: impl FnOnce(SocketAddr),
) -> io::Result<()> {
    let limits = config.limits.clone();
    let mut reactor = Reactor::bind(&ReactorConfig { listen, limits })?;
    let address = reactor.local_addr()?;
    log::info!("listening on {address}");
    bound(address);
    let mut seed = [0; 8];
    getrandom::fill(&mut seed).map_err(io::Error::other)?;
    let mut web = Web::new(application, config, u64::from_le_bytes(seed));
    reactor.run(&mut web)
}
