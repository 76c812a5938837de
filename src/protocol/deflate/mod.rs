//! permessage-deflate (RFC 7692): messages compressed with DEFLATE (RFC 1951).
//!
//! Read it in this order: [`offer`] (the negotiation) → [`inflate`] → [`compress`]; both use
//! `window` and `codecs`. `flate2` implements the algorithm itself.
//!
//! A message is compressed and inflated as a whole, by a codec that all connections of a [`Codecs`]
//! share. The codec is reset for each message and loaded with the connection's window, if the
//! context is taken over. So a connection without context takeover owns nothing, and one with it
//! owns only its window: at most 32 KiB for each direction, where a codec of its own would take ten
//! times that.

mod codecs;
pub mod compress;
pub mod inflate;
pub mod offer;
mod window;

pub use codecs::{Codecs, CodecsConfig};
pub use compress::Compressor;
pub use inflate::Inflater;
pub use offer::{Offer, Parameters};

use std::sync::Arc;

/// The name under which the extension is negotiated (RFC 7692 §7).
pub const NAME: &str = "permessage-deflate";

/// The reserved bit that marks a compressed message, RSV1 (RFC 7692 §6), as in
/// [`FrameHeader::rsv`](crate::protocol::FrameHeader::rsv).
pub const RSV1: u8 = 0b100;

/// The bytes that a sender removes from the end of a compressed message and a receiver puts back:
/// the length of an empty block without compression (RFC 7692 §7.2.1, §7.2.2).
const TAIL: [u8; 4] = [0x00, 0x00, 0xFF, 0xFF];

/// One connection's compressor and inflater.
#[derive(Debug)]
pub struct Deflate {
    pub(super) compressor: Compressor,
    pub(super) inflater: Inflater,
}

impl Deflate {
    /// The server's side of the agreed parameters.
    #[must_use]
    pub fn server(agreed: &Parameters, codecs: &Arc<Codecs>) -> Deflate {
        Deflate::new(agreed.of_server(), agreed.of_client(), codecs)
    }

    /// The client's side of the agreed parameters.
    #[must_use]
    pub fn client(agreed: &Parameters, codecs: &Arc<Codecs>) -> Deflate {
        Deflate::new(agreed.of_client(), agreed.of_server(), codecs)
    }

    fn new(ours: offer::Direction, theirs: offer::Direction, codecs: &Arc<Codecs>) -> Deflate {
        Deflate {
            compressor: Compressor::new(ours, Arc::clone(codecs)),
            inflater: Inflater::new(theirs, Arc::clone(codecs)),
        }
    }
}

#[cfg(test)]
mod tests;
