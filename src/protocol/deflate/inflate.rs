//! Inflating messages (RFC 7692 §7.2.2), never beyond what a message may have.
//!
//! Does not know frames: a message's whole payload comes in, and its bytes go out.

use super::TAIL;
use super::codecs::{Codecs, Tools};
use super::offer::Direction;
use super::window::Window;
use crate::protocol::Violation;
use flate2::{Decompress, FlushDecompress, Status};
use std::sync::Arc;

/// Blocks marked as the last one that a message may have: each begins a new stream, with the whole
/// window put in its place. A sender that marks them at all makes one a message, or one a fragment.
const FINAL_BLOCKS_MAX: usize = 64;

/// RFC 1951 §3.2.3: a last block with nothing in it. The inflater ends at it, in order, only if
/// what came before was whole.
const LAST_BLOCK: [u8; 2] = [0x03, 0x00];

/// The most that a message of `message_bytes` may take when it is compressed: DEFLATE makes what it
/// cannot compress a little longer, by five bytes for each block that is stored.
#[must_use]
pub const fn compressed_bytes_max(message_bytes: u64) -> u64 {
    message_bytes.saturating_add(message_bytes / 8).saturating_add(64)
}

/// Inflates what one connection receives.
#[derive(Debug)]
pub struct Inflater {
    codecs: Arc<Codecs>,
    /// What was received before, where the peer takes over its context.
    window: Option<Box<Window>>,
}

impl Inflater {
    /// An inflater for what was agreed for the peer's direction.
    #[must_use]
    pub fn new(agreed: Direction, codecs: Arc<Codecs>) -> Inflater {
        let Direction { no_context_takeover, max_window_bits } = agreed;
        let window = (!no_context_takeover)
            .then(|| Box::new(Window::new(max_window_bits, Arc::clone(&codecs))));
        Inflater { codecs, window }
    }

    /// Inflates a message's whole payload, as it came in its frames.
    ///
    /// # Errors
    /// [`Violation::MessageTooLarge`] when it comes to more than `message_bytes`, as soon as it
    /// does; [`Violation::NotDeflate`] when it is no DEFLATE data, or ends within a block;
    /// [`Violation::TooManyFinalBlocks`].
    pub fn inflate(&mut self, payload: &[u8], message_bytes: u64) -> Result<Vec<u8>, Violation> {
        let mut tools = self.codecs.tools();
        let window = self.window.as_ref().map_or(&[][..], |window| window.bytes());
        let mut message = tools.take_spare();
        message.clear();
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

    /// Takes back the buffer of a message that is not needed any more.
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
    // RFC 7692 §7.2.1: a sender may have set BFINAL, and then an empty block follows. The bytes that
    // were left out are that block's, or those of one that ends every message.
    while let Some(rest) = is_ended {
        final_blocks += 1;
        if final_blocks > FINAL_BLOCKS_MAX {
            return Err(Violation::TooManyFinalBlocks);
        }
        run.begin()?;
        is_ended = run.feed(rest)?;
    }
    // RFC 7692 §7.2.2: the four bytes that the sender took away. They are a block's length and mean
    // nothing themselves, and the message is whole if another block may follow them. Whatever else
    // comes of that, also a byte too many, comes of a block that was cut.
    let len = run.message.len();
    let tail = run.feed(&TAIL)?;
    let end = run.feed(&LAST_BLOCK).map_err(|_| Violation::NotDeflate)?;
    if tail.is_none() && end == Some(&[]) && run.message.len() == len {
        Ok(())
    } else {
        Err(Violation::NotDeflate)
    }
}

/// One message on its way through the inflater.
struct Run<'r> {
    inflater: &'r mut Decompress,
    chunk: &'r mut [u8],
    window: &'r [u8],
    bytes_max: usize,
    message: &'r mut Vec<u8>,
}

impl Run<'_> {
    /// Begins a stream behind all that came before it.
    fn begin(&mut self) -> Result<(), Violation> {
        /// RFC 1951 §2: no distance is longer.
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

    /// Inflates `input` as far as it goes; what follows a block that was marked as the last one is
    /// given back.
    fn feed<'i>(&mut self, mut input: &'i [u8]) -> Result<Option<&'i [u8]>, Violation> {
        loop {
            let (read, written) = (self.inflater.total_in(), self.inflater.total_out());
            let status = self.inflater.decompress(input, self.chunk, FlushDecompress::Sync);
            let (read, written) =
                (self.inflater.total_in() - read, self.inflater.total_out() - written);
            let inflated = &self.chunk[..written as usize];
            // Before what went wrong behind it: how much is written in a call decides nothing.
            if self.message.len() + inflated.len() > self.bytes_max {
                return Err(Violation::MessageTooLarge);
            }
            self.message.extend_from_slice(inflated);
            let status = status.map_err(|_| Violation::NotDeflate)?;
            input = &input[read as usize..];
            if status == Status::StreamEnd {
                return Ok(Some(input));
            }
            // Room is left, so that nothing more can come of what was read.
            if inflated.len() < self.chunk.len() {
                return if input.is_empty() { Ok(None) } else { Err(Violation::NotDeflate) };
            }
        }
    }
}
