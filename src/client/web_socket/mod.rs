//! A WebSocket of any server that keeps to RFC 6455, with a thread of its own: it comes back after a loss.

mod builder;
mod driver;
mod redial;
mod shared;
#[allow(clippy::module_inception)]
mod web_socket;

pub use builder::WebSocketBuilder;
pub use shared::{SendError, WebSocketEvent, WebSocketNews};
pub use web_socket::WebSocket;
