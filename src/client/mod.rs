//! What a client takes from the system: its chance. The protocol's own part of a client is
//! [`handshake::client`](crate::protocol::handshake::client) and
//! [`Endpoint::client`](crate::protocol::Endpoint::client); `examples/autobahn_client.rs` is one
//! over a blocking socket.

mod chance;

pub use chance::{SystemKeys, system_nonce};
