//! Server-Sent Events (WHATWG HTML §9.2), and pictures in `multipart/x-mixed-replace`: what a WebSocket
//! would be pushed, as an HTTP answer that does not end.
//!
//! A connection that is answered so has a session, an outbox and a place in every log as a WebSocket's
//! has. Only the bytes around what it is told are others.

pub(super) mod places;
pub(super) mod tickets;

pub(super) use places::Places;
pub(super) use tickets::Tickets;
