//! One WebSocket over the reactor, from a host's name to its end. It knows no messages of a chat.

mod addresses;
pub(crate) mod byte_link;
mod names;
mod plan;
mod proxy;
mod proxy_url;
pub(in crate::client) mod records;
mod sending;
mod socket;

pub use names::threads_left;
pub(crate) use names::{Helpers, look_up};
pub(crate) use plan::SocketPlan;
pub use proxy_url::{Proxy, ProxyUrlError};
pub(crate) use socket::{Socket, SocketEvent};
