//! The opening handshake (RFC 6455 §4), both ends, and the HTTP/1.1 heads that it consists of.
//!
//! Does not read or write: heads come in as bytes, answers go out as bytes.

pub mod accept_key;
pub mod client;
pub mod server;

pub use accept_key::accept_key;
pub use server::{Accepted, Upgrade};
