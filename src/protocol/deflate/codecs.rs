//! The codecs that many connections share, and what their windows may come to.

use super::TAIL;
use super::offer::WINDOW_BITS_MAX;
use flate2::{Compress, Compression, Decompress, FlushCompress};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The smallest window that the library compresses for: with 8 bits it would use 9.
pub(super) const COMPRESSOR_BITS_MIN: u8 = 9;

/// How many sizes of window there are to compress for.
pub(super) const WINDOW_SIZES: usize = (WINDOW_BITS_MAX - COMPRESSOR_BITS_MIN) as usize + 1;

/// A buffer that has grown larger goes back to the allocator.
const SPARE_BYTES_MAX: usize = 256 * 1024;

/// What is inflated in one call, and looked at before the next.
const CHUNK_BYTES: usize = 16 * 1024;

/// What a server, or a client, wants of permessage-deflate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodecsConfig {
    /// From 0 (stored) and 1 (fast) to 9 (small).
    pub level: u8,
    /// Messages of fewer bytes are sent as they are.
    pub threshold_bytes: u32,
    /// Whether a server takes over the context from message to message where a client lets it:
    /// smaller messages, for up to 32 KiB of memory and more time in each direction.
    pub context_takeover: bool,
    /// What all windows may come to together, in bytes: beyond it a server agrees to no further
    /// context takeover.
    pub windows_bytes: usize,
}

impl Default for CodecsConfig {
    /// Level 6, from 1,024 bytes on, no context takeover; if it is wished, in 64 MiB.
    fn default() -> CodecsConfig {
        CodecsConfig {
            level: 6,
            threshold_bytes: 1_024,
            context_takeover: false,
            windows_bytes: 64 * 1024 * 1024,
        }
    }
}

/// One compressor for each size of window, and one inflater, for all connections that have this.
/// Each is made when it is first needed: some 300 KiB a compressor, 50 KiB the inflater.
#[derive(Debug)]
pub struct Codecs {
    config: CodecsConfig,
    windows_bytes: AtomicUsize,
    tools: Mutex<Tools>,
}

/// What is used for one message and then for the next, whose ever it is.
#[derive(Debug, Default)]
pub(super) struct Tools {
    compressors: [Option<Compress>; WINDOW_SIZES],
    inflater: Option<Decompress>,
    /// Where a message is compressed: all of it is initialised, and only its beginning means
    /// something. (The library would initialise the spare capacity of a vector for each call.)
    compressed: Vec<u8>,
    /// Where the inflater writes a chunk, in the same way.
    chunk: Vec<u8>,
    spare: Vec<u8>,
}

impl Codecs {
    /// No codec yet.
    #[must_use]
    pub fn new(config: CodecsConfig) -> Arc<Codecs> {
        let config = CodecsConfig { level: config.level.min(9), ..config };
        Arc::new(Codecs { config, windows_bytes: AtomicUsize::new(0), tools: Mutex::default() })
    }

    /// What was wished.
    #[must_use]
    pub fn config(&self) -> &CodecsConfig {
        &self.config
    }

    /// Bytes that the windows of all connections may come to, as agreed so far.
    #[must_use]
    pub fn windows_bytes(&self) -> usize {
        self.windows_bytes.load(Ordering::Relaxed)
    }

    pub(super) fn count_window_in(&self, bytes: usize) {
        self.windows_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn count_window_out(&self, bytes: usize) {
        self.windows_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// The tools. A panic while they were in use does no harm: each use begins anew.
    pub(super) fn tools(&self) -> MutexGuard<'_, Tools> {
        self.tools.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a message of so many bytes is worth compressing.
    pub(super) fn is_worth(&self, payload: &[u8]) -> bool {
        payload.len() >= self.config.threshold_bytes as usize
    }
}

/// More than a compressed message comes to at any level and with any window: a byte of it takes
/// nine bits at most (RFC 1951 §3.2.6), and a block of stored bytes has five beside its own.
fn most_bytes(payload_len: usize) -> usize {
    /// A block has more than this for each five; what is less is in the bytes at the end.
    const BLOCK_BYTES_MIN: usize = 320;
    const ENDS: usize = 64;
    payload_len + payload_len / 8 + payload_len / BLOCK_BYTES_MIN * 5 + ENDS
}

impl Tools {
    /// Compresses `payload` for a window of 2^`bits` bytes in which `window` lies already; `None`
    /// when that makes it no smaller.
    pub(super) fn compress(
        &mut self,
        payload: &[u8],
        window: &[u8],
        bits: u8,
        level: u8,
    ) -> Option<&[u8]> {
        let place = usize::from(bits.checked_sub(COMPRESSOR_BITS_MIN)?);
        let compressor = self.compressors.get_mut(place)?.get_or_insert_with(|| {
            Compress::new_with_window_bits(Compression::new(level.into()), false, bits)
        });
        compressor.reset();
        if !window.is_empty() {
            compressor.set_dictionary(window).ok()?;
        }
        // RFC 7692 §7.2.1: an empty block without compression at the end, and its last four bytes
        // left out. There is room for what cannot be made smaller, too: a compressor that is left
        // in the middle of a message is not made new by its reset.
        let room = most_bytes(payload.len());
        if self.compressed.len() < room {
            self.compressed = vec![0; room];
        }
        let room = &mut self.compressed[..room];
        // A fault of the library's is met here, where it costs one message its compression: a
        // broadcast's would cost everybody the server.
        let done = catch_unwind(AssertUnwindSafe(|| {
            compressor.compress(payload, room, FlushCompress::Sync).is_ok()
        }));
        let written = compressor.total_out() as usize;
        let is_all = matches!(done, Ok(true))
            && compressor.total_in() as usize == payload.len()
            && written < room.len();
        if !is_all {
            self.compressors[place] = None;
            return None;
        }
        let body = room[..written].strip_suffix(&TAIL)?;
        (body.len() < payload.len()).then_some(body)
    }

    /// What a large message has taken goes back to the allocator.
    pub(super) fn tidy(&mut self) {
        if self.compressed.len() > SPARE_BYTES_MAX {
            self.compressed = Vec::new();
        }
    }

    /// The inflater, as the message before has left it, and where it writes.
    pub(super) fn inflater(&mut self) -> (&mut Decompress, &mut [u8]) {
        let inflater = self
            .inflater
            .get_or_insert_with(|| Decompress::new_with_window_bits(false, WINDOW_BITS_MAX));
        self.chunk.resize(CHUNK_BYTES, 0);
        (inflater, &mut self.chunk)
    }

    /// An empty buffer for an inflated message.
    pub(super) fn take_spare(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.spare)
    }

    /// Takes such a buffer back.
    pub(super) fn give_back(&mut self, mut buffer: Vec<u8>) {
        if buffer.capacity() > self.spare.capacity() && buffer.capacity() <= SPARE_BYTES_MAX {
            buffer.clear();
            self.spare = buffer;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_for_what_does_not_become_smaller() {
        let mut seed = 7_u64;
        let mut byte = || {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed as u8
        };
        // Bytes that a fixed code needs nine bits for are the worst at level 1.
        let noise: Vec<u8> = (0..40_000).map(|_| byte()).collect();
        let nine_bits: Vec<u8> = noise.iter().map(|byte| byte | 0x90).collect();
        for level in 0..=9 {
            for bits in COMPRESSOR_BITS_MIN..=WINDOW_BITS_MAX {
                let mut tools = Tools::default();
                for len in [0, 1, 5, 511, 4_000, 40_000] {
                    for payload in [&noise[..len], &nine_bits[..len]] {
                        tools.compress(payload, &[], bits, level);
                        let place = usize::from(bits - COMPRESSOR_BITS_MIN);
                        let is_kept = tools.compressors[place].is_some();
                        assert!(is_kept, "level {level}, {bits} bits, {len} bytes");
                    }
                }
            }
        }
    }
}
