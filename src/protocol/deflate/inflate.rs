//! Inflates messages (RFC 7692 §7.2.2), never beyond the message size limit.
//!
//! Does not know frames: takes a message's whole payload and returns its bytes.

use super::TAIL;
use super::codecs::{Codecs, Tools};
use super::offer::Direction;
use super::window::Window;
use crate::protocol::Violation;
use flate2::{Decompress, FlushDecompress, Status};
use std::sync::Arc;

/// Most final blocks (BFINAL) in a message. Each one starts a new stream and copies the whole
/// window. Senders that set BFINAL do so once per message or per fragment.
const FINAL_BLOCKS_MAX: usize = 64;

/// RFC 1951 §3.2.3: an empty final block. The inflater accepts it only if the data before it was
/// complete.
const LAST_BLOCK: [u8; 2] = [0x03, 0x00];

/// Most bytes that a message of `message_bytes` may have when compressed: DEFLATE adds five bytes
/// to incompressible data for each stored block.
#[must_use]
pub const fn compressed_bytes_max(message_bytes: u64) -> u64 {
    message_bytes.saturating_add(message_bytes / 8).saturating_add(64)
}

/// Inflates what one connection receives.
#[derive(Debug)]
pub struct Inflater {
    codecs: Arc<Codecs>,
    /// Recently received data, if the peer takes over its context.
    window: Option<Box<Window>>,
}

impl Inflater {
    /// An inflater with the parameters agreed for the peer's direction.
    #[must_use]
    pub fn new(agreed: Direction, codecs: Arc<Codecs>) -> Inflater {
        let Direction { no_context_takeover, max_window_bits } = agreed;
        let window = (!no_context_takeover)
            .then(|| Box::new(Window::new(max_window_bits, Arc::clone(&codecs))));
        Inflater { codecs, window }
    }

    /// Inflates a message's whole payload, as received in its frames.
    ///
    /// # Errors
    /// [`Violation::MessageTooLarge`] as soon as the result exceeds `message_bytes`;
    /// [`Violation::NotDeflate`] if the payload is not DEFLATE data or ends within a block;
    /// [`Violation::TooManyFinalBlocks`].
    pub fn inflate(&mut self, payload: &[u8], message_bytes: u64) -> Result<Vec<u8>, Violation> {
        let mut tools = self.codecs.tools();
        let window = self.window.as_ref().map_or(&[][..], |window| window.bytes());
        let mut message = tools.take_spare();
        let inflated = inflate(&mut tools, payload, window, message_bytes, &mut message);
        if let Err(violation) = inflated {
            tools.give_back(message);
            return Err(violation);
        }
        drop(tools);
        if let Some(window) = &mut self.window {
            window.slide(&message);
        }
        Ok(message)
    }

    /// Takes back the buffer of a message that is no longer needed.
    pub fn give_back(&mut self, message: Vec<u8>) {
        self.codecs.tools().give_back(message);
    }
}

fn inflate(
    tools: &mut Tools,
    payload: &[u8],
    window: &[u8],
    message_bytes: u64,
    message: &mut Vec<u8>,
) -> Result<(), Violation> {
    let bytes_max = usize::try_from(message_bytes).unwrap_or(usize::MAX);
    let (inflater, chunk) = tools.inflater();
    let mut run = Run { inflater, chunk, window, bytes_max, message };
    run.begin()?;
    let mut is_ended = run.feed(payload)?;
    let mut final_blocks = 0;
    // RFC 7692 §7.2.1: a sender may set BFINAL, and an empty block follows. The omitted bytes
    // belong to that block or to the empty block that ends every message.
    while let Some(rest) = is_ended {
        final_blocks += 1;
        if final_blocks > FINAL_BLOCKS_MAX {
            return Err(Violation::TooManyFinalBlocks);
        }
        run.begin()?;
        is_ended = run.feed(rest)?;
    }
    // RFC 7692 §7.2.2: appends the four bytes that the sender removed. They are a block's length
    // and yield no data, and the message is complete if another block may follow. Any other result,
    // such as an extra byte, means that a block was cut.
    let len = run.message.len();
    let tail = run.feed(&TAIL)?;
    let end = run.feed(&LAST_BLOCK).map_err(|_| Violation::NotDeflate)?;
    if tail.is_none() && end == Some(&[]) && run.message.len() == len {
        Ok(())
    } else {
        Err(Violation::NotDeflate)
    }
}

/// Inflates one message.
struct Run<'r> {
    inflater: &'r mut Decompress,
    chunk: &'r mut [u8],
    window: &'r [u8],
    bytes_max: usize,
    message: &'r mut Vec<u8>,
}

impl Run<'_> {
    /// Begins a new stream whose window is all data so far.
    fn begin(&mut self) -> Result<(), Violation> {
        /// RFC 1951 §2: the longest distance.
        const WINDOW_BYTES_MAX: usize = 32 * 1024;
        self.inflater.reset(false);
        let here = self.message.len().min(WINDOW_BYTES_MAX);
        let before = self.window.len().min(WINDOW_BYTES_MAX - here);
        let known = [
            &self.window[self.window.len() - before..],
            &self.message[self.message.len() - here..],
        ];
        if known.iter().all(|part| part.is_empty()) {
            return Ok(());
        }
        let set = if here == 0 {
            self.inflater.set_dictionary(known[0])
        } else {
            self.inflater.set_dictionary(&known.concat())
        };
        set.map(drop).map_err(|_| Violation::NotDeflate)
    }

    /// Inflates `input` as far as possible; returns the bytes that follow a final block.
    fn feed<'i>(&mut self, mut input: &'i [u8]) -> Result<Option<&'i [u8]>, Violation> {
        loop {
            let (read, written) = (self.inflater.total_in(), self.inflater.total_out());
            let status = self.inflater.decompress(input, self.chunk, FlushDecompress::Sync);
            let (read, written) =
                (self.inflater.total_in() - read, self.inflater.total_out() - written);
            let inflated = &self.chunk[..written as usize];
            // Checked before the error: how much one call writes must not affect the outcome.
            if self.message.len() + inflated.len() > self.bytes_max {
                return Err(Violation::MessageTooLarge);
            }
            self.message.extend_from_slice(inflated);
            let status = status.map_err(|_| Violation::NotDeflate)?;
            input = &input[read as usize..];
            if status == Status::StreamEnd {
                return Ok(Some(input));
            }
            // Output space is left, so the bytes read so far yield nothing more.
            if inflated.len() < self.chunk.len() {
                return if input.is_empty() { Ok(None) } else { Err(Violation::NotDeflate) };
            }
        }
    }
}
