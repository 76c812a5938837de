//! What a program has said of how a WebSocket is opened.

use super::proxy_url::Proxy;
use crate::client::error::StartError;
use crate::client::tls::Tls;
use crate::client::url::WebSocketUrl;
use crate::protocol::EndpointLimits;
use crate::protocol::deflate::{CodecsConfig, Offer};
use crate::protocol::handshake::client::{ClientError, ClientHandshake, ClientRequest};
use std::sync::Arc;

/// How a WebSocket is opened.
#[derive(Clone, Debug)]
pub(crate) struct SocketPlan {
    pub(crate) url: WebSocketUrl,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) protocols: Vec<String>,
    pub(crate) deflate: Vec<Offer>,
    pub(crate) codecs: CodecsConfig,
    pub(crate) limits: Arc<EndpointLimits>,
    pub(crate) tls: Option<Tls>,
    pub(crate) proxy: Option<Proxy>,
}

impl SocketPlan {
    pub(crate) fn new(url: WebSocketUrl) -> SocketPlan {
        SocketPlan {
            url,
            fields: Vec::new(),
            protocols: Vec::new(),
            deflate: Vec::new(),
            codecs: CodecsConfig::default(),
            limits: Arc::new(EndpointLimits::default()),
            tls: None,
            proxy: None,
        }
    }

    /// Sees to it that there is somebody to trust, and that what the program has said can be asked for.
    pub(crate) fn complete(&mut self) -> Result<(), StartError> {
        self.handshake(self.url.target(), [0; 16]).map_err(StartError::Request)?;
        if self.url.is_secure() && self.tls.is_none() {
            self.tls = Some(Tls::system().map_err(StartError::Trust)?);
        }
        Ok(())
    }

    /// The opening handshake.
    pub(crate) fn handshake(
        &self,
        target: &str,
        nonce: [u8; 16],
    ) -> Result<ClientHandshake, ClientError> {
        let protocols: Vec<&str> = self.protocols.iter().map(String::as_str).collect();
        let fields: Vec<(&str, &str)> =
            self.fields.iter().map(|(name, value)| (&**name, &**value)).collect();
        let request = ClientRequest {
            host: &self.url.authority(),
            target,
            protocols: &protocols,
            deflate: &self.deflate,
            fields: &fields,
        };
        ClientHandshake::new(request, nonce)
    }

    /// The target of a client's URL: without a token it says that a `resume` follows, and with one not that this is a
    /// guest.
    pub(crate) fn target(&self, has_token: bool) -> String {
        if !has_token {
            return self.url.with_query("resume=1").target().to_owned();
        }
        let (path, query) = self.url.target().split_once('?').unwrap_or((self.url.target(), ""));
        let is_guest = |member: &&str| member.split('=').next() == Some("anonymous");
        let query: Vec<&str> =
            query.split('&').filter(|member| !member.is_empty() && !is_guest(member)).collect();
        if query.is_empty() { path.to_owned() } else { format!("{path}?{}", query.join("&")) }
    }

    /// Whose addresses are to be looked up.
    pub(crate) fn first_host(&self) -> (&str, u16) {
        match &self.proxy {
            Some(proxy) => (&proxy.host, proxy.port),
            None => (self.url.host(), self.url.port()),
        }
    }
}
