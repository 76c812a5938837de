//! Why a WebSocket could not be opened, or read.

use crate::client::tls::TrustError;
use crate::client::url::UrlError;
use crate::protocol::ProtocolError;
use crate::protocol::handshake::client::ClientError;
use std::fmt;
use std::io;
use std::time::Duration;

/// Why a WebSocket could not be opened.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URL is none.
    Url(UrlError),
    /// The host has no address.
    Resolve(io::Error),
    /// No address could be connected to.
    Connect(io::Error),
    /// There is nobody to trust.
    Trust(TrustError),
    /// TLS failed; says why, and what to do.
    Tls(String),
    /// The proxy makes no connection; says why.
    Proxy(String),
    /// The server does not speak WebSocket there, or not with us.
    Handshake(ClientError),
    /// It took too long.
    Timeout,
    /// The connection ended, or failed.
    Io(io::Error),
}

/// Why a client does not begin.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// The URL is none.
    Url(UrlError),
    /// A field of the opening request, or a subprotocol, is none that can be sent.
    Request(ClientError),
    /// There is nobody to trust, for `wss:`.
    Trust(TrustError),
    /// The system gives no thread, or no descriptors.
    System(io::Error),
}

/// Why a WebSocket could not be read, or written.
#[derive(Debug)]
#[non_exhaustive]
pub enum SocketError {
    /// Nothing came, or could be sent, for as long as the program waits. It may go on.
    Timeout,
    /// A Close was sent: nothing more is.
    Closed,
    /// The server broke the protocol. It was told so, and the connection is over.
    Protocol(ProtocolError),
    /// TLS failed.
    Tls(String),
    /// The connection ended without a Close, or failed.
    Io(io::Error),
}

impl From<io::Error> for SocketError {
    fn from(error: io::Error) -> SocketError {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => SocketError::Timeout,
            _ => SocketError::Io(error),
        }
    }
}

impl ConnectError {
    /// Whether another attempt will fail as well, as far as is known: the program is to be changed, or called otherwise.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        matches!(
            self,
            ConnectError::Url(_)
                | ConnectError::Trust(_)
                | ConnectError::Handshake(ClientError::BadRequest(_))
        )
    }

    /// After how long the server wants to be asked again, if it said so.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            ConnectError::Handshake(ClientError::Status { retry_after_s, .. }) => {
                retry_after_s.map(Duration::from_secs)
            }
            _ => None,
        }
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConnectError::Url(error) => write!(f, "{error}"),
            ConnectError::Resolve(error) => write!(f, "the host's name has no address: {error}"),
            ConnectError::Connect(error) => write!(f, "it cannot be reached: {error}"),
            ConnectError::Trust(error) => write!(f, "{error}"),
            ConnectError::Tls(error) | ConnectError::Proxy(error) => f.write_str(error),
            ConnectError::Handshake(
                error @ (ClientError::Status { .. } | ClientError::BadRequest(_)),
            ) => write!(f, "{error}"),
            ConnectError::Handshake(error) => write!(f, "the server broke the protocol: {error}"),
            ConnectError::Timeout => f.write_str("it took too long to connect"),
            ConnectError::Io(error) => {
                write!(f, "the connection ended before it was open: {error}")
            }
        }
    }
}

impl std::error::Error for ConnectError {}

impl fmt::Display for SocketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SocketError::Timeout => f.write_str("nothing came, or could be sent, in time"),
            SocketError::Closed => f.write_str("a Close was sent: nothing more can be"),
            SocketError::Protocol(error) => write!(f, "the server broke the protocol: {error}"),
            SocketError::Tls(error) => f.write_str(error),
            SocketError::Io(error) => write!(f, "the connection is gone: {error}"),
        }
    }
}

impl std::error::Error for SocketError {}

impl StartError {
    /// Whether another attempt will fail as well: the program is to be called otherwise.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        !matches!(self, StartError::System(_))
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Url(error) => write!(f, "{error}"),
            StartError::Request(error) => write!(f, "{error}"),
            StartError::Trust(error) => write!(f, "{error}"),
            StartError::System(error) => {
                write!(f, "the system gives no thread, or no descriptors: {error}")
            }
        }
    }
}

impl std::error::Error for StartError {}
