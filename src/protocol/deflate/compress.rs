//! Compressing messages (RFC 7692 §7.2.1).
//!
//! Does not choose what is compressed for whom: `endpoint::send` does.

use super::codecs::{COMPRESSOR_BITS_MIN, Codecs, WINDOW_SIZES};
use super::offer::Direction;
use super::window::Window;
use std::sync::Arc;

/// Compresses what one connection sends.
#[derive(Debug)]
pub struct Compressor {
    codecs: Arc<Codecs>,
    bits: u8,
    /// What was sent compressed before, where the context is taken over.
    window: Option<Box<Window>>,
}

impl Compressor {
    /// A compressor that keeps to what was agreed for its direction.
    #[must_use]
    pub fn new(agreed: Direction, codecs: Arc<Codecs>) -> Compressor {
        let Direction { no_context_takeover, max_window_bits: bits } = agreed;
        // RFC 7692 §6: an end may always send a message as it is. With 8 bits it always does.
        let takes_over = !no_context_takeover && bits >= COMPRESSOR_BITS_MIN;
        let window = takes_over.then(|| Box::new(Window::new(bits, Arc::clone(&codecs))));
        Compressor { codecs, bits, window }
    }

    /// Compresses a message that is certain to be sent next, and hands the bytes for the frame's
    /// payload to `then`. `None` when it should be sent as it is: it is small, or does not become
    /// smaller.
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
        // RFC 7692 §7.2.3.2: the window moves over compressed messages, in the order of sending.
        if let Some(window) = window {
            window.slide(payload);
        }
        Some(made)
    }

    /// Takes note of a message that is not of this compressor and that may or may not be sent: what
    /// lies before it may be elsewhere in the peer's window than in ours.
    pub(crate) fn forget_window(&mut self) {
        if let Some(window) = &mut self.window {
            window.clear();
        }
    }

    /// Where messages for many have the form that fits this connection: see [`Forms`].
    pub(crate) fn form(&self) -> Option<usize> {
        let place = usize::from(self.bits.checked_sub(COMPRESSOR_BITS_MIN)?);
        (place < WINDOW_SIZES).then_some(place)
    }

    pub(crate) fn codecs(&self) -> &Codecs {
        &self.codecs
    }
}

/// One value for each size of window.
pub(crate) type Forms<T> = [Option<T>; WINDOW_SIZES];

/// Compresses a message for all connections of one form: with no context, so that it means the
/// same in each window.
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
