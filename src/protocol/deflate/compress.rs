//! Compresses messages (RFC 7692 §7.2.1).
//!
//! `endpoint::send` decides which messages are compressed for which connection.

use super::codecs::{COMPRESSOR_BITS_MIN, Codecs, WINDOW_SIZES};
use super::offer::Direction;
use super::window::Window;
use std::sync::Arc;

/// Compresses what one connection sends.
#[derive(Debug)]
pub struct Compressor {
    codecs: Arc<Codecs>,
    bits: u8,
    /// Recently compressed data, if the context is taken over.
    window: Option<Box<Window>>,
}

impl Compressor {
    /// A compressor with the parameters agreed for its direction.
    #[must_use]
    pub fn new(agreed: Direction, codecs: Arc<Codecs>) -> Compressor {
        let Direction { no_context_takeover, max_window_bits: bits } = agreed;
        // RFC 7692 §6: an endpoint may always send a message uncompressed. With 8 bits it always
        // does.
        let takes_over = !no_context_takeover && bits >= COMPRESSOR_BITS_MIN;
        let window = takes_over.then(|| Box::new(Window::new(bits, Arc::clone(&codecs))));
        Compressor { codecs, bits, window }
    }

    /// Compresses a message that is certain to be sent next, and passes the frame's payload to
    /// `then`. `None` if it should be sent uncompressed: it is small, or does not get smaller.
    pub fn compress<R>(&mut self, payload: &[u8], then: impl FnOnce(&[u8]) -> R) -> Option<R> {
        let Compressor { codecs, bits, window } = self;
        if !codecs.is_worth(payload) {
            return None;
        }
        let before = window.as_ref().map_or(&[][..], |window| window.bytes());
        let mut tools = codecs.tools();
        let made = tools.compress(payload, before, *bits, codecs.config().level).map(then);
        tools.tidy();
        drop(tools);
        let made = made?;
        // RFC 7692 §7.2.3.2: the window moves over compressed messages in sending order.
        if let Some(window) = window {
            window.slide(payload);
        }
        Some(made)
    }

    /// Clears the window before a message that this compressor did not make and that may or may not
    /// be sent: after it, older data may lie elsewhere in the peer's window than in ours.
    pub(crate) fn forget_window(&mut self) {
        if let Some(window) = &mut self.window {
            window.clear();
        }
    }

    /// The index of this connection's form of a broadcast: see [`Forms`].
    pub(crate) fn form(&self) -> Option<usize> {
        let place = usize::from(self.bits.checked_sub(COMPRESSOR_BITS_MIN)?);
        (place < WINDOW_SIZES).then_some(place)
    }

    pub(crate) fn codecs(&self) -> &Codecs {
        &self.codecs
    }
}

/// One value for each window size.
pub(crate) type Forms<T> = [Option<T>; WINDOW_SIZES];

/// Compresses a message for all connections of one form: without context, so that it decodes the
/// same with any window.
pub(crate) fn compress_for_many<R>(
    codecs: &Codecs,
    form: usize,
    payload: &[u8],
    then: impl FnOnce(&[u8]) -> R,
) -> Option<R> {
    if !codecs.is_worth(payload) {
        return None;
    }
    let bits = COMPRESSOR_BITS_MIN + u8::try_from(form).ok()?;
    let mut tools = codecs.tools();
    let made = tools.compress(payload, &[], bits, codecs.config().level).map(then);
    tools.tidy();
    made
}
