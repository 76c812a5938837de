//! HTTP request heads and WebSockets on the reactor: what every server here is built on, the chat
//! server and `examples/echo.rs` alike.
//!
//! It reads requests, lets the [`Application`] answer, runs the endpoint, the heartbeat and the
//! closing handshake, and keeps the limits of addresses. What messages mean is the application's.

mod admission;
mod body_room;
mod connection;
mod counters;
mod endless;
mod exchange;
mod health;
mod heartbeat;
mod idle;
mod net;
mod proxied;
mod proxies;
mod unreadable;

pub use connection::Web;
pub use counters::{Statuses, WebCounters};
pub use exchange::{Exchange, WebRequest};
pub use health::{Level, Quality, Traffic};
pub use net::Net;
pub use proxies::{Network, NotANetwork, Proxies};

use crate::base::{ConnId, Limits};
use crate::http1::{HttpRefusal, RequestHead, Response};
use crate::protocol::CloseCode;
use crate::protocol::deflate::CodecsConfig;
use crate::protocol::handshake::{Accepted, Upgrade};
use crate::reactor::{Reactor, ReactorConfig, Wake};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub use crate::protocol::Message;

/// How a request is answered.
#[derive(Debug)]
pub enum HttpAnswer {
    /// Opens a WebSocket: see [`Net::accept`].
    Open(Accepted),
    /// A whole answer. The connection goes on as the client wishes, unless the answer ends it; one that
    /// asked for an upgrade ends.
    Respond(Response),
    /// The head of an answer whose content has no end, and is not announced: the client is sent
    /// [pieces](Net::piece) of it until [`Net::close`]. [`Application::opened`] and
    /// [`Application::closed`] are called as for a WebSocket. The connection ends with it
    /// (RFC 9112 §6.3, 8).
    Endless(Response),
    /// The answer comes by [`Net::answer`]. Until then nothing more is read from this connection.
    Later,
    /// The request is kept, and handed over again after [`Net::ask_again`]; it may be answered by
    /// [`Net::answer`], too. Until then nothing more is read from this connection.
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

/// What connections are given and may do.
#[derive(Clone, Debug, Default)]
pub struct WebConfig {
    /// All limits.
    pub limits: Limits,
    /// permessage-deflate, for clients that offer it; `None` for no compression.
    pub compression: Option<CodecsConfig>,
    /// Who is believed when they say from where a connection or a request comes.
    pub proxies: Proxies,
}

/// Why a WebSocket is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketEnd {
    /// The closing handshake was begun by the other end, with this code.
    ClosedByPeer(Option<CloseCode>),
    /// The application called [`Net::close`], or the peer broke the protocol or missed its
    /// heartbeat.
    ClosedByUs(CloseCode),
    /// All outboxes together were full, and most waited for it: it was cut, without a Close.
    HeldMost,
    /// The TCP connection ended without a Close (RFC 6455 §7.1.5 reads that as 1006).
    Lost,
}

/// What a server does with WebSockets. All calls come from the reactor's thread.
pub trait Application {
    /// A request came, with its body. The default opens a WebSocket on every path, and ends the
    /// connection of whoever wants something else.
    fn request(
        &mut self,
        net: &mut Net<'_>,
        exchange: Exchange,
        request: &WebRequest<'_>,
    ) -> HttpAnswer {
        let _ = exchange;
        match Upgrade::judge(request.head) {
            Ok(upgrade) => net.accept(&upgrade, None),
            Err(refusal) => HttpAnswer::Respond(Response { ends: true, ..refusal.into() }),
        }
    }

    /// How many bytes a request may have as its body: `usual`, if nothing else is said.
    fn body_bytes_max(&self, head: &RequestHead<'_>, usual: usize) -> usize {
        let _ = head;
        usual
    }

    /// A request's head came, and most of its body is still to come: an answer in place of waiting for
    /// it, which ends the connection. The default waits.
    fn before_body(
        &mut self,
        net: &mut Net<'_>,
        peer: IpAddr,
        head: &RequestHead<'_>,
    ) -> Option<Response> {
        let _ = (net, peer, head);
        None
    }

    /// Somebody is refused who has not been heard: there are too many of them, or what came is no request.
    /// As likely as not they want a WebSocket. The default leaves the answer as it is.
    fn unheard(&self, response: Response) -> Response {
        response
    }

    /// A refusal is about to be sent that the application has not made, or a request was not handed to it whole. The
    /// default leaves it as it is.
    fn sealed(&self, response: Response) -> Response {
        response
    }

    /// The WebSocket is open, or the head of an answer without an end was sent.
    fn opened(&mut self, net: &mut Net<'_>, conn: ConnId) {
        let _ = (net, conn);
    }

    /// A message came, whole.
    fn message(&mut self, net: &mut Net<'_>, conn: ConnId, message: Message<'_>);

    /// So many bytes of an open WebSocket were read, control frames and all.
    fn took_bytes(&mut self, net: &mut Net<'_>, conn: ConnId, bytes: usize) {
        let _ = (net, conn, bytes);
    }

    /// All messages that one read has brought from this connection were handed over: what was kept
    /// of them to be handed on together is handed on now.
    fn caught_up(&mut self, net: &mut Net<'_>, conn: ConnId) {
        let _ = (net, conn);
    }

    /// The WebSocket is over: exactly once for each that was opened, and before the TCP connection
    /// is, so that nothing more is sent to it.
    fn closed(&mut self, net: &mut Net<'_>, conn: ConnId, over: SocketEnd) {
        let _ = (net, conn, over);
    }

    /// The moment that [`Net::set_deadline`] set has come.
    fn deadline(&mut self, net: &mut Net<'_>, conn: ConnId) {
        let _ = (net, conn);
    }

    /// A heartbeat's interval is over for a connection whose answer has no end, and not much
    /// waits for it: something may be sent, by which both ends find out that the other is there.
    fn beat(&mut self, net: &mut Net<'_>, conn: ConnId) {
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

/// Stops a server that [`serve`] runs, from any thread. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Stop {
    is_asked: Arc<AtomicBool>,
    wake: Wake,
}

impl Stop {
    /// Stops the server in order: every WebSocket gets what waits for it and a Close with 1001, and what has not ended
    /// after [`STOP_MS_MAX`](crate::base::limits::STOP_MS_MAX) is cut.
    pub fn stop(&self) {
        self.is_asked.store(true, Ordering::Release);
        self.wake.wake();
    }
}

/// Listens on `listen` and serves `application` on this thread until it is stopped; `bound` is told the address
/// as soon as connections are accepted there, and what stops the server.
///
/// # Errors
/// What the system says, as that the address is taken.
pub fn serve(
    listen: SocketAddr,
    config: WebConfig,
    application: impl Application,
    bound: impl FnOnce(SocketAddr, Stop),
) -> io::Result<()> {
    let limits = config.limits.clone();
    let mut reactor = Reactor::bind(&ReactorConfig { listen, limits })?;
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
