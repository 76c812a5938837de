//! Both sides of the opening handshake (RFC 6455 §4).
//!
//! Does no I/O: HTTP/1.1 heads come in and go out as bytes.

pub mod accept_key;
pub mod client;
pub mod server;

pub use accept_key::accept_key;
pub use server::{Accepted, Upgrade};
