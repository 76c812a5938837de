//! Frames from anybody: an endpoint says the same to a stream however it is cut, it says what the
//! model says, and where nothing is compressed it hears what another implementation hears.
//!
//! ```text
//! byte 0     bit 0: this end is a client; bit 1: it has sent a Close already;
//!            bit 2: permessage-deflate was agreed upon; bit 3: the peer takes over its context;
//!            bit 4: the peer's window has 256 bytes, not 32 KiB; bit 5: limits in KiB, not in bytes
//! bytes 1–3  largest frame, largest message, most fragments
//! bytes 4–7  lengths of the pieces, over and over (0 is 1)
//! bytes 8…   the stream
//! ```

use crate::conversation::{Outcome, Settings, run};
use crate::independent;
use crate::model;
use parlor::protocol::deflate::Parameters;
use parlor::protocol::{EndpointLimits, Role, Violation};

/// Bytes before the stream.
pub(crate) const SETTINGS_BYTES: usize = 8;

/// What came of a stream.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) outcome: Outcome,
    /// The violation that the other implementation has taken.
    pub(crate) taken: Option<Violation>,
}

/// Asserts all that is said above; gives what came of the stream, or nothing if there was none.
pub(crate) fn endpoint(data: &[u8]) -> Option<Verdict> {
    let (&[flags, frame, message, fragments, piece_lens @ ..], stream) =
        data.split_first_chunk::<SETTINGS_BYTES>()?;
    let window_bits = if flags & 0x10 != 0 { 8 } else { 15 };
    let unit = if flags & 0x20 != 0 { 1_024 } else { 1 };
    let settings = Settings {
        role: if flags & 0x01 != 0 { Role::Client } else { Role::Server },
        deflate: (flags & 0x04 != 0).then(|| parameters(flags & 0x08 != 0, window_bits)),
        has_closed: flags & 0x02 != 0,
        limits: EndpointLimits {
            frame_bytes: u64::from(frame) * unit,
            message_bytes: u64::from(message) * unit,
            fragments: u32::from(fragments),
        },
    };
    let whole = run(&settings, [stream]);
    assert_eq!(run(&settings, pieces(stream, piece_lens)), whole, "{piece_lens:?}: {settings:?}");
    assert_eq!(run(&settings, stream.chunks(1)), whole, "byte by byte: {settings:?}");
    assert_eq!(model::outcome(&settings, stream), whole, "the model: {settings:?}");
    let taken = match settings.deflate {
        Some(_) => None,
        None => independent::assert_agrees(&settings, stream),
    };
    Some(Verdict { outcome: whole, taken })
}

/// The same for both directions: an endpoint that only receives shows only one.
fn parameters(takes_over: bool, window_bits: u8) -> Parameters {
    Parameters {
        server_no_context_takeover: !takes_over,
        client_no_context_takeover: !takes_over,
        server_max_window_bits: window_bits,
        client_max_window_bits: window_bits,
    }
}

fn pieces(stream: &[u8], lens: [u8; 4]) -> impl Iterator<Item = &[u8]> {
    let (mut rest, mut lens) = (stream, lens.into_iter().cycle());
    std::iter::from_fn(move || {
        let len = usize::from(lens.next()?.max(1)).min(rest.len());
        let (piece, after) = rest.split_at(len);
        rest = after;
        (!piece.is_empty()).then_some(piece)
    })
}
