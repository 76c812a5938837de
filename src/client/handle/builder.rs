//! How a client is made.

use super::client::{Client, ClientHandle};
use super::driver::{ClientDriver, EventFn, TokenFn};
use super::shared::{ClientInner, SharedClient};
use crate::base::UserId;
use crate::client::core::{
    Backoff, ClientEvent, Core, CoreInput, CoreOptions, TOKEN_CODES, TokenFailure, TokenReason,
    TokenSource,
};
use crate::client::error::StartError;
use crate::client::file_outbox::FileOutbox;
use crate::client::net::{Helpers, Proxy, SocketPlan};
use crate::client::thread::{StartFn, start_network};
use crate::client::tls::Tls;
use crate::client::url::{UrlError, WebSocketUrl};
use crate::protocol::deflate::Offer;
use crate::web::system_nonce;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How a client is made; see [`Client::builder`].
pub struct ClientBuilder {
    /// Or why the URL is none.
    plan: Result<SocketPlan, UrlError>,
    options: CoreOptions,
    token: Option<Arc<TokenFn>>,
    outbox: Option<FileOutbox>,
    on_event: Option<Box<EventFn>>,
    on_start: Option<StartFn>,
    tells_token_wanted: bool,
    thread_name: String,
}

impl ClientBuilder {
    pub(super) fn new(url: &str) -> ClientBuilder {
        ClientBuilder {
            plan: WebSocketUrl::parse(url).map(SocketPlan::new),
            options: CoreOptions::default(),
            token: None,
            outbox: None,
            on_event: None,
            on_start: None,
            tells_token_wanted: false,
            thread_name: "parlor-client".to_owned(),
        }
    }

    /// A token that says who this is, always the same.
    #[must_use]
    pub fn token(mut self, token: &str) -> ClientBuilder {
        self.options.token = TokenSource::Given(token.into());
        (self.token, self.tells_token_wanted) = (None, false);
        self
    }

    /// A function that says who this is: `Ok(None)` for a guest. It is asked at first, when the token ends and when the
    /// server refuses it, not with each connection; on a thread of its own, so that it may block. A failure that is not
    /// final is asked about again.
    #[must_use]
    pub fn token_with(
        mut self,
        token: impl Fn(TokenReason) -> Result<Option<String>, TokenFailure> + Send + Sync + 'static,
    ) -> ClientBuilder {
        self.options.token = TokenSource::Asked;
        self.token = Some(Arc::new(token));
        self.tells_token_wanted = false;
        self
    }

    /// Says who this is when [`ClientEvent::TokenWanted`] asks for it, with [`Client::give_token`].
    #[must_use]
    pub fn token_by_event(mut self) -> ClientBuilder {
        self.options.token = TokenSource::Asked;
        (self.token, self.tells_token_wanted) = (None, true);
        self
    }

    /// As whom the server knows this client, if the program knows it before: what an earlier process left in the outbox
    /// without having known is then theirs.
    #[must_use]
    pub fn user(mut self, user: UserId) -> ClientBuilder {
        self.options.user = Some(user);
        self
    }

    /// Whom to trust, for `wss:`. The default is whom the system trusts.
    #[must_use]
    pub fn tls(mut self, tls: Tls) -> ClientBuilder {
        self.plan = self.plan.map(|plan| SocketPlan { tls: Some(tls), ..plan });
        self
    }

    /// A proxy for the connection. The default is none, whatever the environment says.
    #[must_use]
    pub fn proxy(mut self, proxy: Proxy) -> ClientBuilder {
        self.plan = self.plan.map(|plan| SocketPlan { proxy: Some(proxy), ..plan });
        self
    }

    /// A field of the opening handshake's request, as `Cookie` or `Origin`.
    #[must_use]
    pub fn field(mut self, name: &str, value: &str) -> ClientBuilder {
        if let Ok(plan) = &mut self.plan {
            plan.fields.push((name.to_owned(), value.to_owned()));
        }
        self
    }

    /// Offers permessage-deflate (RFC 7692). Nothing is compressed by default.
    #[must_use]
    pub fn deflate(mut self, offers: &[Offer]) -> ClientBuilder {
        if let Ok(plan) = &mut self.plan {
            plan.deflate = offers.to_vec();
        }
        self
    }

    /// How long to wait between attempts, and how many there are.
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> ClientBuilder {
        self.options.backoff = backoff;
        self
    }

    /// Close codes after which the client does not come back, beside those of the protocol.
    #[must_use]
    pub fn fatal(mut self, codes: impl IntoIterator<Item = u16>) -> ClientBuilder {
        self.options.fatal.extend(codes);
        self
    }

    /// How often the round trip is measured, and how long the server may take: a dead one is noticed within both. 5 s
    /// and 10 s by default. With an interval of zero it is asked only when it has been silent for as long as it pings.
    #[must_use]
    pub fn ping(mut self, interval: Duration, timeout: Duration) -> ClientBuilder {
        self.options.ping_interval_ms = millis(interval);
        self.options.ping_timeout_ms = millis(timeout).max(1);
        self
    }

    /// How long the answer to a request is waited for while connected; 20 s by default.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> ClientBuilder {
        self.options.timeout_ms = millis(timeout).max(1);
        self
    }

    /// Where messages are kept until they are on the server's disk. The default is memory: they end with the process.
    #[must_use]
    pub fn outbox(mut self, outbox: FileOutbox) -> ClientBuilder {
        self.outbox = Some(outbox);
        self
    }

    /// How many events wait for the program at most; 4,096 by default, and at least one.
    #[must_use]
    pub fn queue(mut self, events: u32) -> ClientBuilder {
        self.options.queue = events.max(1);
        self
    }

    /// A function to which events are handed on the network's thread, in place of the queue. It may call every function
    /// of the client, also drop or [`Client::stop`] it; none of those that wait, as nothing comes while it runs. It is
    /// dropped when nothing more comes. If it panics the client ends.
    #[must_use]
    pub fn on_event(mut self, on_event: impl FnMut(ClientEvent) + Send + 'static) -> ClientBuilder {
        self.on_event = Some(Box::new(on_event));
        self
    }

    /// A function that is called on the network's thread before anything else is done there: so that a program can set
    /// what belongs to a thread.
    #[must_use]
    pub fn on_start(mut self, on_start: impl FnOnce() + Send + 'static) -> ClientBuilder {
        self.on_start = Some(Box::new(on_start));
        self
    }

    /// The name of the network's thread, as debuggers show it; `parlor-client` by default.
    #[must_use]
    pub fn thread_name(mut self, name: &str) -> ClientBuilder {
        self.thread_name = name.to_owned();
        self
    }

    /// Begins: connects, and stays connected until the last clone of the client is dropped or closed. It waits for no
    /// connection: [`Client::wait_online`] does.
    ///
    /// # Errors
    /// A [`StartError`]. That the server cannot be reached is none.
    pub fn start(self) -> Result<Client, StartError> {
        let ClientBuilder { mut options, token, outbox, on_event, on_start, .. } = self;
        let (thread_name, tells_token_wanted) = (self.thread_name, self.tells_token_wanted);
        let mut plan = self.plan.map_err(StartError::Url)?;
        plan.complete()?;
        if plan.has_token() {
            // It cannot be had anew.
            options.fatal.extend(TOKEN_CODES);
        }
        let nonce = system_nonce();
        let seed = u64::from_le_bytes(*nonce.first_chunk().unwrap_or(&[0; 8]));
        let begun = outbox.as_ref().map(FileOutbox::left).unwrap_or_default();
        let plan = Arc::new(plan);
        let make = move |clock, wake| {
            if let Some(on_start) = on_start {
                on_start();
            }
            let mut inner = ClientInner::new(Core::new(options, seed), outbox);
            (inner.hands_over, inner.tells_token_wanted) = (on_event.is_some(), tells_token_wanted);
            let shared = Arc::new(SharedClient::new(inner, clock, wake));
            let helpers = Helpers::default();
            let driver = ClientDriver {
                shared: Arc::clone(&shared),
                plan,
                token,
                helpers,
                socket: None,
                on_event,
                is_calling: false,
            };
            (shared, driver)
        };
        let end = |shared: &SharedClient, driver: Option<ClientDriver>| {
            shared.end();
            if let Some(mut driver) = driver {
                driver.hand_over();
            }
        };
        let (shared, thread) = start_network(thread_name, make, end).map_err(StartError::System)?;
        shared.input(CoreInput::Left(begun));
        shared.input(CoreInput::Open);
        let ids = Mutex::new(super::client::Ids::new(seed));
        Ok(Client::new(ClientHandle { shared, ids, thread }))
    }
}

pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl fmt::Debug for ClientBuilder {
    /// Without the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("url", &self.plan.as_ref().map(|plan| plan.url.to_string()))
            .finish_non_exhaustive()
    }
}
