//! The WebSocket protocol, RFC 6455, without I/O or a clock: bytes in, events out.
//!
//! Read it in this order: [`opcode`] → [`mask`] → [`frame_header`] → [`violation`] → [`assembler`]
//! → [`endpoint`]; then [`close`], [`utf8`], [`handshake`] and [`deflate`] (RFC 7692).
//! `examples/serve_blocking.rs` combines them into a server. [`proxy_header`] reads what a proxy in
//! front may send first.

pub mod assembler;
pub mod close;
pub mod deflate;
pub mod endpoint;
pub mod extensions;
pub mod frame_header;
pub mod handshake;
pub mod mask;
pub mod opcode;
pub mod proxy_header;
pub mod utf8;
pub mod violation;

pub use close::CloseCode;
pub use endpoint::annotate;
pub use endpoint::{Endpoint, EndpointLimits, Event, MaskKeys, Message, Received, Role};
pub use frame_header::FrameHeader;
pub use mask::MaskKey;
pub use opcode::Opcode;
pub use proxy_header::{ProxyHeader, ProxyHeaderError};
pub use violation::{ProtocolError, Violation};
