//! HTTP beside the WebSockets, on the same port: the page, `/healthz`, and who may open a WebSocket.

mod assets;
mod route;

pub(super) use route::{Routed, Rules, route};
