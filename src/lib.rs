//! parlor: a chat and presence server, and the parts that it is made of. Lowest first:
//!
//! - [`base`]: ids, names, entries, moments, queues, limits
//! - [`protocol`]: RFC 6455, bytes ⇄ events; no I/O, no clock
#![cfg_attr(
    feature = "reactor",
    doc = "- [`reactor`]: moves bytes: the only sockets, the only clock (mio)\n\
           - [`client`]: what a client takes from the system\n\
           - [`server`]: WebSockets on the reactor, and the chat server"
)]

pub mod base;
#[cfg(feature = "server")]
pub mod cli;
#[cfg(feature = "reactor")]
pub mod client;
#[cfg(feature = "server")]
pub mod hub;
pub mod protocol;
#[cfg(feature = "reactor")]
pub mod reactor;
#[cfg(feature = "reactor")]
pub mod server;
#[cfg(feature = "server")]
pub mod store;

// The programs in the documents compile.
#[cfg(all(doctest, feature = "server"))]
#[doc = include_str!("../README.md")]
mod readme {}
#[cfg(all(doctest, feature = "server"))]
#[doc = include_str!("../docs/embedding-rust.md")]
mod embedding {}
