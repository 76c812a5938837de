//! HTTP beside the WebSockets, on the same port: the page, who may open a WebSocket, and the API.
//! Each call of the API is a request that a WebSocket may send, too.

pub(super) mod api;
pub(super) mod browser;
pub(super) mod identity;
pub(super) mod listen;
pub(super) mod openapi;
pub(super) mod opening;
pub(super) mod origin;
pub(super) mod reading;
pub(super) mod route;
pub(super) mod served;
pub(super) mod status;

pub(super) use api::{ApiCall, idempotency_key};
pub(super) use browser::{signed_in, without_sign_ins};
pub(super) use identity::{
    admin, bearer, caller, denied, known, named_with_display_name, needs_proof, tokens,
    unauthorized,
};
pub(super) use listen::{
    ListenRequest, ListenSender, ListenTarget, Watch, WatchForm, judge_target,
};
pub(super) use opening::{Visitor, is_set};
pub(super) use origin::{check_origin, public, sealed, shared_origin, shared_with};
pub(super) use reading::Readiness;
pub(super) use route::{Destination, ProgramCall, Rules, embedded_elsewhere, with_fallback};
pub(super) use served::admit;
pub(super) use status::{json, refused};
