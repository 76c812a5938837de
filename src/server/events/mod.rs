//! Server-Sent Events (WHATWG HTML §9.2), and pictures in `multipart/x-mixed-replace`: an endless
//! HTTP answer with what a WebSocket would be pushed.
//!
//! Such a connection has a session, an outbox and a cursor in every log, as a WebSocket has. Only
//! the bytes around each push differ.

pub(super) mod places;
pub(super) mod tickets;

pub(super) use places::Places;
pub(super) use tickets::Tickets;
