//! Why a WebSocket could not be opened, or read.

use crate::client::tls::TrustError;
use crate::client::url::UrlError;
use crate::protocol::ProtocolError;
use crate::protocol::handshake::client::ClientError;
use std::fmt;
use std::io;

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
    /// The server does not speak WebSocket there, or not with us.
    Handshake(ClientError),
    /// It took too long.
    Timeout,
    /// The connection ended, or failed.
    Io(io::Error),
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

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConnectError::Url(error) => write!(f, "{error}"),
            ConnectError::Resolve(error) => write!(f, "the host's name has no address: {error}"),
            ConnectError::Connect(error) => write!(f, "nobody listens there: {error}"),
            ConnectError::Trust(error) => write!(f, "{error}"),
            ConnectError::Tls(error) => f.write_str(error),
            ConnectError::Handshake(error) => write!(f, "{error}"),
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
