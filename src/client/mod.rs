//! What a client needs from the system: randomness. The protocol's part of a client is
//! [`handshake::client`](crate::protocol::handshake::client) and
//! [`Endpoint::client`](crate::protocol::Endpoint::client); `examples/autobahn_client.rs` combines
//! them over a blocking socket.

mod chance;

pub use chance::{SystemKeys, system_nonce};
