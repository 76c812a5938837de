//! Server-Sent Events (WHATWG HTML §9.2), and pictures in `multipart/x-mixed-replace`: what a WebSocket
//! would be pushed, as an HTTP answer that does not end.
//!
//! A connection that is answered so has a session, an outbox and a place in every log as a WebSocket's
//! has. Only the bytes around what it is told are others.

mod begin;
mod deliver;
mod frame;
mod listen;
mod places;
mod tickets;

pub(super) use deliver::{Told, hand};
#[cfg(test)]
pub(super) use listen::TICKET_PATH;
pub(super) use listen::{
    EVENTS_PATH, Listening, STREAMS_PATH, Watch, WatchForm, What, is_for_events, listen,
};
pub(super) use places::Places;
pub(super) use tickets::Tickets;
