//! One end of one WebSocket after its opening handshake (RFC 6455 §5–§8).
//!
//! Bytes go in as they come, events come out, and what the RFC obliges this end to send (a Pong,
//! the answering Close, the Close of a failed connection) is in the outbox already. Two halves, so
//! that something can be sent while a received event is still borrowed: [`Receive`] and [`Send`].
//!
//! Does not read, write or look at a clock; does not do the opening handshake (`handshake` does).

pub mod annotate;
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

/// Which end this is. RFC 6455 §5.1: a client masks every frame, a server none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The end that accepted the opening handshake.
    Server,
    /// The end that began it.
    Client,
}

/// Where a client's masking keys come from. RFC 6455 §10.3: whoever provides the payload must not
/// be able to predict them; use the system's random source.
pub trait MaskKeys: std::fmt::Debug + std::marker::Send {
    /// The next frame's key.
    fn next_key(&mut self) -> MaskKey;
}

/// What an endpoint takes. Shared by all endpoints of a kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointLimits {
    /// Largest payload of a frame, in bytes. Judged from the header, before anything is allocated.
    /// A compressed one may be an eighth and 64 bytes longer: what is not compressible grows.
    pub frame_bytes: u64,
    /// Largest message, in bytes, over all of its fragments and after inflating.
    pub message_bytes: u64,
    /// Most fragments of a message; `u32::MAX` for no limit of their number. A message that is not
    /// fragmented counts as one, which is always taken: 0 means 1.
    pub fragments: u32,
}

impl Default for EndpointLimits {
    /// 16 MiB for a message, in one frame or in any number of them.
    fn default() -> EndpointLimits {
        const DEFAULT_BYTES: u64 = 16 * 1024 * 1024;
        EndpointLimits {
            frame_bytes: DEFAULT_BYTES,
            message_bytes: DEFAULT_BYTES,
            fragments: u32::MAX,
        }
    }
}

/// What was received.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A text message, whole.
    Text(&'a str),
    /// A binary message, whole.
    Binary(&'a [u8]),
    /// A Ping; its Pong is in the outbox already.
    Ping(&'a [u8]),
    /// A Pong, asked for or not (RFC 6455 §5.5.3).
    Pong(&'a [u8]),
    /// The other end closed, or answered our Close; the answer is in the outbox already. It is the
    /// last event. The server then ends the TCP connection, the client waits for that
    /// (RFC 6455 §7.1.1).
    Closed {
        /// The code, if there was one (RFC 6455 §7.1.5 reads none as 1005).
        code: Option<CloseCode>,
        /// The reason; may be empty.
        reason: &'a str,
    },
}

/// One end of one WebSocket: its two halves.
#[derive(Debug)]
pub struct Endpoint {
    /// Takes bytes, gives events.
    pub receive: Receive,
    /// Makes frames, and knows how far the closing handshake is.
    pub send: Send,
}

impl Endpoint {
    /// The server's end.
    #[must_use]
    pub fn server(limits: Arc<EndpointLimits>) -> Endpoint {
        Endpoint { receive: Receive::new(Role::Server, limits), send: Send::server() }
    }

    /// The client's end, which masks with `keys`.
    #[must_use]
    pub fn client(limits: Arc<EndpointLimits>, keys: Box<dyn MaskKeys>) -> Endpoint {
        Endpoint { receive: Receive::new(Role::Client, limits), send: Send::client(keys) }
    }

    /// Compresses, and takes compressed messages, as was agreed in the opening handshake
    /// (RFC 7692).
    #[must_use]
    pub fn with_deflate(mut self, deflate: Deflate) -> Endpoint {
        self.receive.inflate_with(deflate.inflater);
        self.send.compress_with(deflate.compressor);
        self
    }

    /// The next event in `input`; `Ok(None)` when all of it is used up. Call it until then: what
    /// it gives may be borrowed from `input`, and is borrowed from this endpoint. Whoever answers
    /// a message while it is at hand calls it by the halves:
    /// `endpoint.receive.next_event(&mut endpoint.send, …)`, and then `endpoint.send.message(…)`.
    ///
    /// After [`Event::Closed`] and after an error what is in `out` is still to be sent; a server
    /// then ends TCP (RFC 6455 §7.1.1).
    ///
    /// # Errors
    /// A [`ProtocolError`] when the other end broke the protocol. The Close frame with the
    /// violation's code is in `out` already (RFC 6455 §7.1.7); all later input is ignored.
    pub fn next_event<'a>(
        &'a mut self,
        input: &'a mut Received<'_>,
        out: &mut Outbox,
    ) -> Result<Option<Event<'a>>, ProtocolError> {
        self.receive.next_event(&mut self.send, input, out)
    }

    /// When [`Endpoint::expire`] is due: the other end's answer to our Close is late then.
    #[must_use]
    pub fn deadline(&self) -> Option<Moment> {
        self.send.closing().deadline()
    }

    /// Gives up waiting for the other end's Close if it is late at `now`; tells whether it was.
    /// RFC 6455 §7.1.1: the TCP connection may then be ended.
    pub fn expire(&mut self, now: Moment) -> bool {
        self.send.expire(now)
    }
}
