//! How a WebSocket is opened: one of the host's addresses, TLS, the opening handshake (RFC 6455 §4.1), all in one time.

use super::BlockingWebSocket;
use super::halves::{Halves, split};
use crate::client::error::ConnectError;
use crate::client::net::records::{TlsFault, decrypt, take_records};
use crate::client::tls::{self, Tls};
use crate::client::url::{UrlError, WebSocketUrl};
use crate::protocol::deflate::{Codecs, CodecsConfig, Deflate, Offer};
use crate::protocol::handshake::client::{ClientHandshake, ClientRequest};
use crate::protocol::{Endpoint, EndpointLimits};
use crate::reactor::Clock;
use crate::web::{SystemKeys, system_nonce};
use rustls::ClientConnection;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

/// How long opening may take, unless the program says it.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a write may make no progress, unless the program says it.
const WRITE: Duration = Duration::from_secs(30);
/// What is read at once of the answer.
const ANSWER_BYTES: usize = 16 * 1024;

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
        let time = Time { clock: Clock::start(), most: self.connect };
        let socket = dial(url, time)?;
        let tls = match (url.is_secure(), &self.tls) {
            (false, _) => None,
            (true, Some(tls)) => Some(tls.clone()),
            (true, None) => Some(Tls::system().map_err(ConnectError::Trust)?),
        };
        let host = url.host();
        let failed = |error| ConnectError::Tls(tls::fault(&error, host));
        let tls = tls.map(|tls| tls.connect(host).map_err(failed)).transpose()?;
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
        let mut opening = Opening { socket, tls, time, host };
        opening.send(handshake.request())?;
        let mut answer = Vec::new();
        let opened = loop {
            opening.read(&mut answer)?;
            if let Some(opened) = handshake.judge(&answer).map_err(ConnectError::Handshake)? {
                break opened;
            }
        };
        let Opening { socket, tls, .. } = opening;
        socket.set_read_timeout(self.read).map_err(ConnectError::Io)?;
        socket.set_write_timeout(self.write).map_err(ConnectError::Io)?;
        let keys = Box::new(SystemKeys::new());
        let mut endpoint = Endpoint::client(Arc::new(self.limits), keys);
        if let Some(agreed) = opened.deflate {
            let codecs = Codecs::new(self.codecs);
            endpoint = endpoint.with_deflate(Deflate::client(&agreed, &codecs));
        }
        let early = answer.split_off(opened.head_len);
        let halves = Halves { endpoint, tls, pending: Vec::new() };
        let (reader, writer) = split(socket, halves, early);
        Ok(BlockingWebSocket { reader, writer, protocol: opened.protocol })
    }
}

/// How long all of it may take.
#[derive(Clone, Copy)]
struct Time {
    clock: Clock,
    most: Duration,
}

impl Time {
    fn left(&self) -> Result<Duration, ConnectError> {
        let left = self.most.saturating_sub(self.clock.elapsed());
        if left.is_zero() { Err(ConnectError::Timeout) } else { Ok(left) }
    }
}

/// Connects to one of the host's addresses, each in its share of the time.
fn dial(url: &WebSocketUrl, time: Time) -> Result<TcpStream, ConnectError> {
    let found = (url.host(), url.port()).to_socket_addrs().map_err(ConnectError::Resolve)?;
    let addresses: Vec<_> = found.collect();
    let mut failed = io::Error::from(io::ErrorKind::NotFound);
    for (place, address) in addresses.iter().enumerate() {
        let left = time.left()?;
        let others = u32::try_from(addresses.len() - place).unwrap_or(u32::MAX);
        match TcpStream::connect_timeout(address, (left / others).max(Duration::from_millis(1))) {
            Ok(socket) => {
                // A message is a segment: it does not wait for others.
                socket.set_nodelay(true).map_err(ConnectError::Io)?;
                return Ok(socket);
            }
            Err(error) => failed = error,
        }
    }
    match failed.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Err(ConnectError::Timeout),
        _ => Err(ConnectError::Connect(failed)),
    }
}

/// A connection on which no frame was sent yet.
struct Opening<'u> {
    socket: TcpStream,
    tls: Option<ClientConnection>,
    time: Time,
    host: &'u str,
}

impl Opening<'_> {
    fn send(&mut self, bytes: &[u8]) -> Result<(), ConnectError> {
        let Some(tls) = &mut self.tls else {
            let left = self.time.left()?;
            self.socket.set_write_timeout(Some(left)).map_err(ConnectError::Io)?;
            return self.socket.write_all(bytes).map_err(in_time);
        };
        tls.writer().write_all(bytes).map_err(ConnectError::Io)?;
        self.write_records()
    }

    /// Reads something, if it comes in time.
    fn read(&mut self, to: &mut Vec<u8>) -> Result<(), ConnectError> {
        let mut bytes = [0; ANSWER_BYTES];
        loop {
            let left = self.time.left()?;
            self.socket.set_read_timeout(Some(left)).map_err(ConnectError::Io)?;
            let len = match self.socket.read(&mut bytes) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                read => read.map_err(in_time)?,
            };
            let came = bytes.get(..len).unwrap_or_default();
            if let Some(tls) = &mut self.tls {
                decrypt(tls, came, to).map_err(|error| self.of_tls(error))?;
                self.write_records()?;
            } else {
                to.extend_from_slice(came);
            }
            if len == 0 {
                return Err(ConnectError::Io(io::ErrorKind::UnexpectedEof.into()));
            }
            if !to.is_empty() {
                return Ok(());
            }
        }
    }

    fn write_records(&mut self) -> Result<(), ConnectError> {
        let left = self.time.left()?;
        self.socket.set_write_timeout(Some(left)).map_err(ConnectError::Io)?;
        let mut records = Vec::new();
        if let Some(tls) = &mut self.tls {
            take_records(tls, &mut records);
        }
        self.socket.write_all(&records).map_err(in_time)
    }

    fn of_tls(&self, error: TlsFault) -> ConnectError {
        match error {
            TlsFault::Tls(error) => ConnectError::Tls(tls::fault(&error, self.host)),
            TlsFault::Io(error) => ConnectError::Io(error),
        }
    }
}

/// A failure of a socket that has a time.
fn in_time(error: io::Error) -> ConnectError {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => ConnectError::Timeout,
        _ => ConnectError::Io(error),
    }
}
