//! HTTP beside the WebSockets, on the same port: the page, who may open a WebSocket, and the API, each
//! call of which is a request that a WebSocket may send, too.

mod answer;
mod api;
mod assets;
mod browser;
mod call;
mod identity;
mod openapi;
mod opening;
mod origin;
mod own;
mod reading;
mod ready;
mod route;
mod routes;
mod rules;
mod status;
mod streams;

pub(super) use browser::{signed_in, without_sign_ins};
pub(super) use call::{HttpCall, overloaded};
pub(super) use identity::{
    Caller, admin, bearer, denied, named_and_called, needs_proof, tokens, unauthorized,
};
pub(super) use opening::is_set;
pub(super) use origin::{
    check_origin, preflight, public, readable_by, sealed, shared_with, whence,
};
pub(super) use own::{is_of_page, is_own};
pub(super) use ready::ToldReady;
pub(super) use route::{Rules, other_methods, with_fallback};
pub(super) use routes::CALL_PATH;
pub(super) use status::status_of;
