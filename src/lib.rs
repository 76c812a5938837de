//! parlor: a chat and presence server, and the parts that it is made of. Lowest first:
//!
//! - [`base`]: ids, names, entries, moments, queues, limits
//! - [`http1`]: HTTP/1.1, bytes ⇄ heads and answers; no I/O, no clock
//! - [`protocol`]: RFC 6455, bytes ⇄ events; no I/O, no clock
#![cfg_attr(
    feature = "reactor",
    doc = "- [`reactor`]: moves bytes: the only sockets, the only clock (mio)\n\
           - [`web`]: HTTP and WebSockets on the reactor, as applications see them"
)]
#![cfg_attr(feature = "tls", doc = "- [`tls`]: TLS between sockets and the reactor")]
#![cfg_attr(
    feature = "wire",
    doc = "- [`wire`]: JSON of the protocol\n\
           - [`decode`]: what every byte of a WebSocket stream means"
)]
#![cfg_attr(
    feature = "client",
    doc = "- [`client`]: a client for programs, of parlor and of any WebSocket server"
)]
#![cfg_attr(
    feature = "server",
    doc = "- [`hub`]: rooms, presence, streams: decides, without I/O and without a clock\n\
           - [`store`]: remembers: SQLite, one worker thread\n\
           - [`auth`]: who somebody is: tokens, keys, cookies\n\
           - [`config`]: what the operator wants\n\
           - [`server`]: the chat server"
)]
#![cfg_attr(feature = "program", doc = "- [`cli`]: the program `parlor`")]

#[cfg(feature = "server")]
pub mod auth;
#[cfg(feature = "server")]
mod backend;
pub mod base;
#[cfg(feature = "program")]
pub mod cli;
#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "server")]
pub mod config;
#[cfg(feature = "wire")]
pub mod decode;
pub mod http1;
#[cfg(feature = "server")]
pub mod hub;
pub mod protocol;
#[cfg(feature = "reactor")]
pub mod reactor;
#[cfg(feature = "server")]
mod routes;
#[cfg(feature = "server")]
pub mod server;
#[cfg(feature = "server")]
pub mod store;
#[cfg(feature = "tls")]
pub mod tls;
#[cfg(feature = "reactor")]
pub mod web;
#[cfg(feature = "wire")]
#[cfg_attr(not(feature = "server"), allow(unused, reason = "only the server uses all of it"))]
pub mod wire;

/// What TLS computes with: what the program has installed, or what the features name.
#[cfg(feature = "client")]
fn crypto_provider() -> Option<std::sync::Arc<rustls::crypto::CryptoProvider>> {
    #[cfg(feature = "aws-lc")]
    let named = Some(rustls::crypto::aws_lc_rs::default_provider());
    #[cfg(all(feature = "ring", not(feature = "aws-lc")))]
    let named = Some(rustls::crypto::ring::default_provider());
    #[cfg(not(any(feature = "ring", feature = "aws-lc")))]
    let named = None::<rustls::crypto::CryptoProvider>;
    let installed = rustls::crypto::CryptoProvider::get_default().cloned();
    installed.or_else(|| named.map(std::sync::Arc::new))
}

// The programs in the documents compile.
#[cfg(all(doctest, feature = "server"))]
#[doc = include_str!("../README.md")]
mod readme {}
#[cfg(all(doctest, feature = "server"))]
#[doc = include_str!("../docs/embedding-rust.md")]
mod embedding {}
#[cfg(all(doctest, feature = "client"))]
#[doc = include_str!("../docs/client-rust.md")]
mod client_document {}
#[cfg(all(doctest, feature = "server"))]
#[doc = include_str!("../docs/clients.md")]
mod clients_document {}
