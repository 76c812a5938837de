//! One endpoint of a WebSocket after the opening handshake (RFC 6455 §5–§8).
//!
//! The caller passes in bytes as they arrive and gets events. The endpoint queues what the RFC
//! requires (a Pong, the answering Close, the Close of a failed connection) in the outbox. It has
//! two halves, [`Receive`] and [`Send`], so that the caller can send while it still borrows a
//! received event.
//!
//! Does no I/O and reads no clock; `handshake` does the opening handshake.

pub mod annotate;
mod annotate_parts;
mod annotator;
mod closing;
mod receive;
mod send;

#[cfg(test)]
mod deflate_tests;
#[cfg(test)]
mod tests;

pub use closing::Closing;
pub use receive::{Receive, Received};
pub use send::{Broadcast, Message, NotSent, Send};

use super::deflate::Deflate;
use super::{CloseCode, MaskKey, ProtocolError};
use crate::base::{Moment, Outbox};
use std::sync::Arc;

/// The role of an endpoint. RFC 6455 §5.1: a client masks every frame, a server none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The endpoint that accepted the opening handshake.
    Server,
    /// The endpoint that began it.
    Client,
}

/// The source of a client's masking keys. RFC 6455 §10.3: whoever supplies the payload must not be
/// able to predict them; use the system's random source.
pub trait MaskKeys: std::fmt::Debug + std::marker::Send {
    /// The next frame's key.
    fn next_key(&mut self) -> MaskKey;
}

/// Limits on received data, shared by all endpoints of a kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointLimits {
    /// Largest payload of a frame, in bytes. Checked in the header, before anything is allocated. A
    /// compressed frame may be an eighth and 64 bytes longer: incompressible data grows.
    pub frame_bytes: u64,
    /// Largest message, in bytes, over all fragments and after inflating.
    pub message_bytes: u64,
    /// Most fragments of a message; `u32::MAX` for no limit. An unfragmented message counts as one
    /// and is always accepted: 0 means 1.
    pub fragments: u32,
}

impl Default for EndpointLimits {
    /// 16 MiB per message, in any number of frames.
    fn default() -> EndpointLimits {
        const DEFAULT_BYTES: u64 = 16 * 1024 * 1024;
        EndpointLimits {
            frame_bytes: DEFAULT_BYTES,
            message_bytes: DEFAULT_BYTES,
            fragments: u32::MAX,
        }
    }
}

/// Something received.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A complete text message.
    Text(&'a str),
    /// A complete binary message.
    Binary(&'a [u8]),
    /// A Ping; its Pong is already in the outbox.
    Ping(&'a [u8]),
    /// A Pong, solicited or not (RFC 6455 §5.5.3).
    Pong(&'a [u8]),
    /// The peer sent a Close, or answered ours; the answer is already in the outbox. This is the
    /// last event. The server then ends the TCP connection; the client waits for that
    /// (RFC 6455 §7.1.1).
    Closed {
        /// The code, if there was one (RFC 6455 §7.1.5 reads none as 1005).
        code: Option<CloseCode>,
        /// The reason; may be empty.
        reason: &'a str,
    },
}

/// One endpoint of a WebSocket: its two halves.
#[derive(Debug)]
pub struct Endpoint {
    /// Turns bytes into events.
    pub receive: Receive,
    /// Makes frames and tracks the closing handshake.
    pub send: Send,
}

impl Endpoint {
    /// A server's endpoint.
    #[must_use]
    pub fn server(limits: Arc<EndpointLimits>) -> Endpoint {
        Endpoint { receive: Receive::new(Role::Server, limits), send: Send::server() }
    }

    /// A client's endpoint, which masks with `keys`.
    #[must_use]
    pub fn client(limits: Arc<EndpointLimits>, keys: Box<dyn MaskKeys>) -> Endpoint {
        Endpoint { receive: Receive::new(Role::Client, limits), send: Send::client(keys) }
    }

    /// Compresses messages, and accepts compressed ones, as agreed in the opening handshake (RFC
    /// 7692).
    #[must_use]
    pub fn with_deflate(mut self, deflate: Deflate) -> Endpoint {
        self.receive.inflate_with(deflate.inflater);
        self.send.compress_with(deflate.compressor);
        self
    }

    /// The next event in `input`; `Ok(None)` when all of it is used up. Call it until then. An
    /// event may borrow from `input` and borrows this endpoint. To answer a message while it is
    /// borrowed, use the halves: `endpoint.receive.next_event(&mut endpoint.send, …)`, then
    /// `endpoint.send.message(…)`.
    ///
    /// After [`Event::Closed`] or an error the caller must still send what is in `out`; a server
    /// then ends TCP (RFC 6455 §7.1.1).
    ///
    /// # Errors
    /// A [`ProtocolError`] if the peer broke the protocol. The Close frame with the violation's
    /// code is already in `out` (RFC 6455 §7.1.7); all later input is ignored.
    pub fn next_event<'a>(
        &'a mut self,
        input: &'a mut Received<'_>,
        out: &mut Outbox,
    ) -> Result<Option<Event<'a>>, ProtocolError> {
        self.receive.next_event(&mut self.send, input, out)
    }

    /// When [`Endpoint::expire`] is due: the peer's answer to our Close is then late.
    #[must_use]
    pub fn deadline(&self) -> Option<Moment> {
        self.send.closing().deadline()
    }

    /// Stops waiting for the peer's Close if it is late at `now`; returns whether it was.
    /// RFC 6455 §7.1.1: the TCP connection may then be ended.
    pub fn expire(&mut self, now: Moment) -> bool {
        self.send.expire(now)
    }
}
