//! The codecs that many connections share, and the limit on the memory of their windows.

use super::TAIL;
use super::offer::WINDOW_BITS_MAX;
use flate2::{Compress, Compression, Decompress, FlushCompress};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The smallest window that the library compresses for: asked for 8 bits, it would use 9.
pub(super) const COMPRESSOR_BITS_MIN: u8 = 9;

/// How many window sizes the compressor supports.
pub(super) const WINDOW_SIZES: usize = (WINDOW_BITS_MAX - COMPRESSOR_BITS_MIN) as usize + 1;

/// A larger buffer is returned to the allocator after use.
const SPARE_BYTES_MAX: usize = 256 * 1024;

/// Bytes inflated in one call, before the limits are checked again.
const CHUNK_BYTES: usize = 16 * 1024;

/// Settings of permessage-deflate for a server or a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodecsConfig {
    /// The compression level: from 0 (stored) and 1 (fast) to 9 (small).
    pub level: u8,
    /// Messages of fewer bytes are sent uncompressed.
    pub threshold_bytes: u32,
    /// Whether a server takes over the context from message to message if the client allows it.
    /// Messages get smaller, at the cost of up to 32 KiB of memory and more time in each direction.
    pub context_takeover: bool,
    /// Most bytes of all windows together. Beyond it a server agrees to no further context
    /// takeover.
    pub windows_bytes: usize,
}

impl Default for CodecsConfig {
    /// Level 6, from 1,024 bytes on, no context takeover; if it is enabled, 64 MiB of windows.
    fn default() -> CodecsConfig {
        CodecsConfig {
            level: 6,
            threshold_bytes: 1_024,
            context_takeover: false,
            windows_bytes: 64 * 1024 * 1024,
        }
    }
}

/// One compressor for each window size and one inflater, shared by all connections. Each is created
/// on first use: some 300 KiB a compressor, 50 KiB the inflater.
#[derive(Debug)]
pub struct Codecs {
    config: CodecsConfig,
    windows_bytes: Arc<AtomicUsize>,
    tools: Mutex<Tools>,
}

/// State reused from message to message, for all connections.
#[derive(Debug, Default)]
pub(super) struct Tools {
    compressors: [Option<Compress>; WINDOW_SIZES],
    inflater: Option<Decompress>,
    /// Output of the compressor. All of it is initialised, and only its beginning is valid: the
    /// library would initialise the spare capacity of a vector on each call.
    compressed: Vec<u8>,
    /// Output of the inflater for one chunk; initialised for the same reason.
    chunk: Vec<u8>,
    spare: Vec<u8>,
}

impl Codecs {
    /// Creates the shared state; no codec exists yet.
    #[must_use]
    pub fn new(config: CodecsConfig) -> Arc<Codecs> {
        Codecs::counting(config, Arc::default())
    }

    /// The same, where the agreed size of all windows is counted here: several may share a count.
    #[must_use]
    pub fn counting(config: CodecsConfig, windows_bytes: Arc<AtomicUsize>) -> Arc<Codecs> {
        let config = CodecsConfig { level: config.level.min(9), ..config };
        Arc::new(Codecs { config, windows_bytes, tools: Mutex::default() })
    }

    /// The settings.
    #[must_use]
    pub fn config(&self) -> &CodecsConfig {
        &self.config
    }

    /// The agreed size of the windows of all connections that are counted here, in bytes.
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

    /// Locks the tools. A panic during use does no harm: each use starts afresh.
    pub(super) fn tools(&self) -> MutexGuard<'_, Tools> {
        self.tools.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the payload is large enough to compress.
    pub(super) fn is_worth(&self, payload: &[u8]) -> bool {
        payload.len() >= self.config.threshold_bytes as usize
    }
}

/// An upper bound on a compressed message at any level and window: each byte takes at most nine
/// bits (RFC 1951 §3.2.6), and a stored block adds five bytes.
fn most_bytes(payload_len: usize) -> usize {
    /// Every block holds more bytes than this; `ENDS` covers the last, smaller ones.
    const BLOCK_BYTES_MIN: usize = 320;
    const ENDS: usize = 64;
    payload_len + payload_len / 8 + payload_len / BLOCK_BYTES_MIN * 5 + ENDS
}

impl Tools {
    /// Compresses `payload` for a window of 2^`bits` bytes that already contains `window`; `None`
    /// if the result is not smaller.
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
        // RFC 7692 §7.2.1: ends with an empty block without compression and omits its last four
        // bytes. The buffer must also hold incompressible data: resetting a compressor in the
        // middle of a message does not fully reset it.
        let room = most_bytes(payload.len());
        if self.compressed.len() < room {
            self.compressed = vec![0; room];
        }
        let room = &mut self.compressed[..room];
        // A panic in the library costs one message its compression. Uncaught, a panic during a
        // broadcast would stop the server.
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

    /// Returns the memory of a large message to the allocator.
    pub(super) fn tidy(&mut self) {
        if self.compressed.len() > SPARE_BYTES_MAX {
            self.compressed = Vec::new();
        }
    }

    /// The inflater, in the state the previous message left it in, and its output buffer.
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

    /// Takes a buffer back for reuse.
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
        // At level 1 the worst case is bytes that need nine bits in the fixed code.
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
