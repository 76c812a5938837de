//! How a WebSocket is made.

use super::driver::{NewsFn, Ping, WebSocketDriver};
use super::redial::Redial;
use super::shared::{SharedWebSocket, WebSocketInner, WebSocketNews, WebSocketTask};
use super::web_socket::{WebSocket, WebSocketHandle};
use crate::client::core::Backoff;
use crate::client::error::StartError;
use crate::client::net::{Helpers, Proxy, SocketPlan};
use crate::client::thread::{StartFn, start_network};
use crate::client::tls::Tls;
use crate::client::url::{UrlError, WebSocketUrl};
use crate::protocol::EndpointLimits;
use crate::protocol::deflate::{CodecsConfig, Offer};
use crate::web::system_nonce;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

const CONNECT_MS: u64 = 15_000;
const PING_INTERVAL_MS: u64 = 20_000;
const PING_TIMEOUT_MS: u64 = 10_000;
const QUEUE: usize = 4_096;
const UNSENT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How a WebSocket is made; see [`WebSocket::builder`].
pub struct WebSocketBuilder {
    /// Or why the URL is none.
    plan: Result<SocketPlan, UrlError>,
    backoff: Backoff,
    fatal: Vec<u16>,
    connect_ms: u64,
    ping_interval_ms: u64,
    ping_timeout_ms: u64,
    queue: usize,
    unsent_bytes_max: usize,
    on_event: Option<Box<NewsFn>>,
    on_start: Option<StartFn>,
    thread_name: String,
}

impl WebSocketBuilder {
    pub(super) fn new(url: &str) -> WebSocketBuilder {
        WebSocketBuilder {
            plan: WebSocketUrl::parse(url).map(SocketPlan::new),
            backoff: Backoff::default(),
            fatal: Vec::new(),
            connect_ms: CONNECT_MS,
            ping_interval_ms: PING_INTERVAL_MS,
            ping_timeout_ms: PING_TIMEOUT_MS,
            queue: QUEUE,
            unsent_bytes_max: UNSENT_BYTES_MAX,
            on_event: None,
            on_start: None,
            thread_name: "parlor-websocket".to_owned(),
        }
    }

    fn with(mut self, change: impl FnOnce(&mut SocketPlan)) -> WebSocketBuilder {
        if let Ok(plan) = &mut self.plan {
            change(plan);
        }
        self
    }

    /// A field of the opening handshake's request, as `Authorization`.
    #[must_use]
    pub fn field(self, name: &str, value: &str) -> WebSocketBuilder {
        self.with(|plan| plan.fields.push((name.to_owned(), value.to_owned())))
    }

    /// A subprotocol that this end speaks; the first is the one that it wants most.
    #[must_use]
    pub fn protocol(self, name: &str) -> WebSocketBuilder {
        self.with(|plan| plan.protocols.push(name.to_owned()))
    }

    /// Offers permessage-deflate (RFC 7692), in order of preference. Nothing is compressed unless the server agrees.
    #[must_use]
    pub fn deflate(self, offers: &[Offer], codecs: CodecsConfig) -> WebSocketBuilder {
        self.with(|plan| (plan.deflate, plan.codecs) = (offers.to_vec(), codecs))
    }

    /// What is taken of the server at most. The default is 16 MiB for a message.
    #[must_use]
    pub fn limits(self, limits: EndpointLimits) -> WebSocketBuilder {
        self.with(|plan| plan.limits = Arc::new(limits))
    }

    /// Whom to trust, for `wss:`. The default is whom the system trusts.
    #[must_use]
    pub fn tls(self, tls: Tls) -> WebSocketBuilder {
        self.with(|plan| plan.tls = Some(tls))
    }

    /// A proxy for the connection. The default is none, whatever the environment says.
    #[must_use]
    pub fn proxy(self, proxy: Proxy) -> WebSocketBuilder {
        self.with(|plan| plan.proxy = Some(proxy))
    }

    /// How long to wait between attempts, and how many there are after the first: with none, it is opened once.
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> WebSocketBuilder {
        self.backoff = backoff;
        self
    }

    /// Close codes after which it does not come back, beside 1002, 1003, 1007 and 1009.
    #[must_use]
    pub fn fatal(mut self, codes: impl IntoIterator<Item = u16>) -> WebSocketBuilder {
        self.fatal.extend(codes);
        self
    }

    /// How long connecting, TLS and the handshake may take together; 15 s by default.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> WebSocketBuilder {
        self.connect_ms = millis(timeout).max(1);
        self
    }

    /// After which silence the server is pinged, and how long its answer may take; 20 s and 10 s by default. With an
    /// interval of zero it is not.
    #[must_use]
    pub fn ping(mut self, interval: Duration, timeout: Duration) -> WebSocketBuilder {
        (self.ping_interval_ms, self.ping_timeout_ms) = (millis(interval), millis(timeout).max(1));
        self
    }

    /// How many events wait for the program before nothing more is read; 4,096 by default, and at least one. Nor more
    /// than 64 MiB of messages. The one that was taken last counts until the next is asked for: with 1, the WebSocket
    /// goes on only when the program has answered, and what follows, a Close for example, is not answered before.
    #[must_use]
    pub fn queue(mut self, events: u32) -> WebSocketBuilder {
        self.queue = usize::try_from(events).unwrap_or(usize::MAX).max(1);
        self
    }

    /// How many bytes may wait to be sent; 16 MiB by default. A single message may be longer.
    #[must_use]
    pub fn unsent_bytes(mut self, bytes: usize) -> WebSocketBuilder {
        self.unsent_bytes_max = bytes;
        self
    }

    /// A function to which all that comes is handed on the network's thread, in place of the queue: a message without
    /// being copied. Nothing is read while it runs. It may call every function of the WebSocket, and drop it. It is
    /// dropped when nothing more comes. If it panics the WebSocket ends.
    #[must_use]
    pub fn on_event(
        mut self,
        on_event: impl FnMut(WebSocketNews<'_>) + Send + 'static,
    ) -> WebSocketBuilder {
        self.on_event = Some(Box::new(on_event));
        self
    }

    /// A function that is called on the network's thread before anything else is done there.
    #[must_use]
    pub fn on_start(mut self, on_start: impl FnOnce() + Send + 'static) -> WebSocketBuilder {
        self.on_start = Some(Box::new(on_start));
        self
    }

    /// The name of the network's thread, as debuggers show it; `parlor-websocket` by default.
    #[must_use]
    pub fn thread_name(mut self, name: &str) -> WebSocketBuilder {
        self.thread_name = name.to_owned();
        self
    }

    /// Begins. It waits for no connection: [`WebSocket::wait_open`] does.
    ///
    /// # Errors
    /// A [`StartError`]. That the server cannot be reached is none.
    pub fn start(self) -> Result<WebSocket, StartError> {
        let mut plan = self.plan.map_err(StartError::Url)?;
        plan.complete()?;
        let seed = u64::from_le_bytes(*system_nonce().first_chunk().unwrap_or(&[0; 8]));
        let mut redial = Redial::new(self.backoff, self.connect_ms, seed);
        redial.fatal.extend(self.fatal);
        let (plan, ping) = (Arc::new(plan), Ping::new(self.ping_interval_ms, self.ping_timeout_ms));
        let mut inner = WebSocketInner::new(redial, self.queue, self.unsent_bytes_max);
        inner.tasks.push(WebSocketTask::Open);
        let (on_event, on_start) = (self.on_event, self.on_start);
        let make = move |clock, wake| {
            if let Some(on_start) = on_start {
                on_start();
            }
            let shared = Arc::new(SharedWebSocket::new(inner, clock, wake));
            let helpers = Helpers::default();
            let driver = WebSocketDriver {
                shared: Arc::clone(&shared),
                plan,
                helpers,
                serial: 0,
                socket: None,
                ping,
                on_event,
                is_calling: false,
            };
            (shared, driver)
        };
        let end = |shared: &SharedWebSocket, _driver| shared.end();
        let started = start_network(self.thread_name, make, end);
        let (shared, thread) = started.map_err(StartError::System)?;
        // It looks at its tasks.
        shared.with(|_, _| ());
        Ok(WebSocket::new(WebSocketHandle { shared, thread }))
    }
}

pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl fmt::Debug for WebSocketBuilder {
    /// Without the fields of the request.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocketBuilder")
            .field("url", &self.plan.as_ref().map(|plan| plan.url.to_string()))
            .finish_non_exhaustive()
    }
}
