//! A client for programs.
//!
//! [`BlockingWebSocket`] speaks with any server that keeps to RFC 6455, without a thread. [`core`] decides, without
//! sockets and without a clock, what `clients/js` decides for pages.

mod blocking;
pub mod core;
mod tls;
mod url;

pub use blocking::{
    BlockingBuilder, BlockingReader, BlockingWebSocket, BlockingWriter, ConnectError, Incoming,
    SocketError,
};
pub use tls::{Tls, TrustError};
pub use url::{UrlError, WebSocketUrl};
