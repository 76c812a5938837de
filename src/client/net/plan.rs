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

    /// Whether the request has a token, which is the same each time: in the query, or in its own field (RFC 6750 §2.1, §2.3).
    pub(crate) fn has_token(&self) -> bool {
        let query = self.url.target().split_once('?').map_or("", |(_, query)| query);
        let is_bearer = |value: &str| value.trim().to_ascii_lowercase().starts_with("bearer ");
        query.split('&').any(|pair| pair.starts_with("token="))
            || self
                .fields
                .iter()
                .any(|(name, value)| name.eq_ignore_ascii_case("authorization") && is_bearer(value))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_of_the_request_is_in_its_query_or_its_field() {
        let has = |url: &str, field: Option<(&str, &str)>| {
            let mut plan = SocketPlan::new(WebSocketUrl::parse(url).unwrap());
            plan.fields.extend(field.map(|(name, value)| (name.to_owned(), value.to_owned())));
            plan.has_token()
        };
        assert!(has("ws://a/ws?token=x", None) && has("ws://a/ws?user=ada&token=", None));
        assert!(has("ws://a/ws", Some(("authorization", "bearer x"))));
        assert!(!has("ws://a/token=x?user=token=x&mytoken=1", None));
        assert!(!has("ws://a/ws", Some(("Authorization", "Basic x"))));
        assert!(!has("ws://a/ws", Some(("Cookie", "token=x"))));
    }
}
