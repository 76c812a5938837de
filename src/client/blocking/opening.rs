//! How a WebSocket is opened: one of the host's addresses, TLS, the opening handshake (RFC 6455 §4.1), all in one time.

use super::BlockingWebSocket;
use super::byte_stream::{ByteStream, Time};
use super::halves::{Halves, split};
use crate::client::error::ConnectError;
use crate::client::tls::Tls;
use crate::client::url::{UrlError, WebSocketUrl};
use crate::protocol::deflate::{Codecs, CodecsConfig, Deflate, Offer};
use crate::protocol::handshake::client::{ClientHandshake, ClientRequest};
use crate::protocol::{Endpoint, EndpointLimits};
use crate::web::{SystemKeys, system_nonce};
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// How long opening may take, unless the program says it.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a write may make no progress, unless the program says it.
const WRITE: Duration = Duration::from_secs(30);

/// How a WebSocket is opened.
#[derive(Clone, Debug)]
pub struct BlockingBuilder {
    url: Result<WebSocketUrl, UrlError>,
    fields: Vec<(String, String)>,
    protocols: Vec<String>,
    deflate: Vec<Offer>,
    codecs: CodecsConfig,
    limits: EndpointLimits,
    tls: Option<Tls>,
    connect: Duration,
    read: Option<Duration>,
    write: Option<Duration>,
}

impl BlockingBuilder {
    pub(super) fn new(url: &str) -> BlockingBuilder {
        BlockingBuilder {
            url: WebSocketUrl::parse(url),
            fields: Vec::new(),
            protocols: Vec::new(),
            deflate: Vec::new(),
            codecs: CodecsConfig::default(),
            limits: EndpointLimits::default(),
            tls: None,
            connect: CONNECT,
            read: None,
            write: Some(WRITE),
        }
    }

    /// A field of the request's head, as `Authorization`.
    #[must_use]
    pub fn field(mut self, name: &str, value: &str) -> BlockingBuilder {
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A subprotocol that this end speaks; the first is the one that it wants most.
    #[must_use]
    pub fn protocol(mut self, name: &str) -> BlockingBuilder {
        self.protocols.push(name.to_owned());
        self
    }

    /// Offers permessage-deflate (RFC 7692), in order of preference. Nothing is compressed unless the server agrees.
    #[must_use]
    pub fn deflate(mut self, offers: &[Offer], codecs: CodecsConfig) -> BlockingBuilder {
        self.deflate = offers.to_vec();
        self.codecs = codecs;
        self
    }

    /// What is taken of the server at most. The default is 16 MiB for a message.
    #[must_use]
    pub fn limits(mut self, limits: EndpointLimits) -> BlockingBuilder {
        self.limits = limits;
        self
    }

    /// Whom to trust, for `wss:`. The default is whom the system trusts.
    #[must_use]
    pub fn tls(mut self, tls: Tls) -> BlockingBuilder {
        self.tls = Some(tls);
        self
    }

    /// How long connecting, TLS and the handshake may take together; 10 s by default. Looking the host's name up takes
    /// as long as the system lets it.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> BlockingBuilder {
        self.connect = timeout;
        self
    }

    /// How long a call waits for something to come; for ever by default.
    #[must_use]
    pub fn read_timeout(mut self, timeout: Option<Duration>) -> BlockingBuilder {
        self.read = timeout;
        self
    }

    /// How long a call waits until something can be sent; 30 s by default.
    #[must_use]
    pub fn write_timeout(mut self, timeout: Option<Duration>) -> BlockingBuilder {
        self.write = timeout;
        self
    }

    /// Opens it.
    ///
    /// # Errors
    /// A [`ConnectError`].
    pub fn connect(self) -> Result<BlockingWebSocket, ConnectError> {
        let url = self.url.as_ref().map_err(|error| ConnectError::Url(*error))?;
        let time = Time::begin(self.connect);
        let mut stream = ByteStream::connect(url, self.tls.as_ref(), time.left()?)?;
        let protocols: Vec<&str> = self.protocols.iter().map(String::as_str).collect();
        let fields: Vec<(&str, &str)> =
            self.fields.iter().map(|(name, value)| (&**name, &**value)).collect();
        let request = ClientRequest {
            host: &url.authority(),
            target: url.target(),
            protocols: &protocols,
            deflate: &self.deflate,
            fields: &fields,
        };
        let handshake =
            ClientHandshake::new(request, system_nonce()).map_err(ConnectError::Handshake)?;
        stream.write(handshake.request(), time.left()?)?;
        let mut answer = Vec::new();
        let opened = loop {
            if stream.read(&mut answer, time.left()?)? == 0 {
                return Err(ConnectError::Io(io::ErrorKind::UnexpectedEof.into()));
            }
            if let Some(opened) = handshake.judge(&answer).map_err(ConnectError::Handshake)? {
                break opened;
            }
        };
        let (socket, tls) = stream.into_parts();
        socket.set_read_timeout(self.read).map_err(ConnectError::Io)?;
        socket.set_write_timeout(self.write).map_err(ConnectError::Io)?;
        let keys = Box::new(SystemKeys::new());
        let mut endpoint = Endpoint::client(Arc::new(self.limits), keys);
        if let Some(agreed) = opened.deflate {
            let codecs = Codecs::new(self.codecs);
            endpoint = endpoint.with_deflate(Deflate::client(&agreed, &codecs));
        }
        let early = answer.split_off(opened.head_len);
        let halves = Halves::new(endpoint, tls);
        let (reader, writer) = split(socket, halves, early);
        Ok(BlockingWebSocket { reader, writer, protocol: opened.protocol })
    }
}
