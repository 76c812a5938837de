//! HTTP beside the WebSockets, on the same port: the page, who may open a WebSocket, and the API, each
//! call of which is a request that a WebSocket may send, too.

mod api;
mod assets;
mod call;
mod identity;
mod openapi;
mod origin;
mod rates;
mod route;
mod routes;
mod status;
mod streams;

pub(super) use call::HttpCall;
pub(super) use identity::needs_proof;
pub(super) use origin::{check_origin, shared_with};
pub(super) use rates::Rates;
pub(super) use route::{Readiness, Routed, Rules, route};
