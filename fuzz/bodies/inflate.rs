//! DEFLATE from anybody: a message comes to what the slow inflater says, and is refused where that
//! refuses it, whatever room the buffers have; `miniz_oxide`, which is somebody else's, agrees. And
//! what is compressed comes back, out of a window of just the size that was agreed upon.
//!
//! ```text
//! byte 0     bit 0: the sender takes over its context; bits 1–3: its window has 2^(8 + this) bytes;
//!            bits 4–7: the level of compression
//! bytes 1–2  largest message, the lower byte first
//! bytes 3…   messages: a byte of length (255: all that is left) and so many bytes, which are a
//!            message's payload, and then a message that is compressed
//! ```

use crate::slow_inflate::{Defect, SlowInflater};
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::{
    TINFL_FLAG_HAS_MORE_INPUT, TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF,
};
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};
use parlor::protocol::deflate::offer::Direction;
use parlor::protocol::deflate::{Codecs, CodecsConfig, Compressor, Inflater};
use std::sync::{Arc, LazyLock};

/// Bytes before the messages.
pub(crate) const SETTINGS_BYTES: usize = 3;

/// The codecs of a server, for each level. All messages that are tried use them.
static CODECS: LazyLock<Vec<Arc<Codecs>>> = LazyLock::new(|| {
    let of_level =
        |level| Codecs::new(CodecsConfig { level, threshold_bytes: 0, ..CodecsConfig::default() });
    (0..10).map(of_level).collect()
});

/// Asserts all that is said above; gives what the messages come to until one is refused, or nothing
/// if there are none.
pub(crate) fn inflate(data: &[u8]) -> Option<Vec<Result<Vec<u8>, Defect>>> {
    let (&[flags, low, high], rest) = data.split_first_chunk::<SETTINGS_BYTES>()?;
    let agreed =
        Direction { no_context_takeover: flags & 1 == 0, max_window_bits: 8 + (flags >> 1 & 7) };
    let level = usize::from(flags >> 4) % CODECS.len();
    let message_bytes = u64::from(u16::from_le_bytes([low, high]));
    let messages = Vec::from_iter(messages(rest));
    comes_back(&messages, agreed, level);

    let mut inflater = Inflater::new(agreed, Arc::clone(&CODECS[level]));
    // No buffer has grown yet here, and none is given back.
    let mut without_room = Inflater::new(agreed, Codecs::new(CodecsConfig::default()));
    let mut slow = slow(agreed);
    let mut results = Vec::new();
    for payload in messages {
        let window = slow.window().to_vec();
        let result = slow.inflate(payload, message_bytes);
        let expected = result.clone().map_err(Defect::violation);
        let inflated = inflater.inflate(payload, message_bytes);
        assert_eq!(inflated, expected, "{result:?}");
        assert_eq!(without_room.inflate(payload, message_bytes), expected, "{result:?}");
        miniz_agrees(payload, &window, message_bytes, &result);
        if let Ok(message) = inflated {
            inflater.give_back(message);
        }
        results.push(result);
        if results.last().is_some_and(Result::is_err) {
            break;
        }
    }
    Some(results)
}

fn slow(agreed: Direction) -> SlowInflater {
    SlowInflater::new(!agreed.no_context_takeover, agreed.max_window_bits)
}

fn messages(mut rest: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (&len, after) = rest.split_first()?;
        let len = if len == 255 { after.len() } else { usize::from(len).min(after.len()) };
        let (message, after) = after.split_at(len);
        rest = after;
        Some(message)
    })
}

/// Compresses the messages and inflates them again.
fn comes_back(messages: &[&[u8]], agreed: Direction, level: usize) {
    let mut compressor = Compressor::new(agreed, Arc::clone(&CODECS[level]));
    let mut inflater = Inflater::new(agreed, Arc::clone(&CODECS[level]));
    let mut slow = slow(agreed);
    for message in messages {
        let Some(compressed) = compressor.compress(message, <[u8]>::to_vec) else { continue };
        assert!(compressed.len() < message.len());
        let bytes_max = message.len() as u64;
        let inflated = inflater.inflate(&compressed, bytes_max);
        assert_eq!(inflated.as_deref(), Ok(*message));
        assert_eq!(slow.inflate(&compressed, bytes_max).as_deref(), Ok(*message));
        assert!(slow.farthest() <= 1 << agreed.max_window_bits, "it keeps to its window");
        inflater.give_back(inflated.unwrap());
    }
}

/// Asserts that miniz_oxide takes what is taken and refuses what is refused, but for what it does
/// not look at.
fn miniz_agrees(
    payload: &[u8],
    window: &[u8],
    message_bytes: u64,
    result: &Result<Vec<u8>, Defect>,
) {
    let theirs = by_miniz(payload, window, message_bytes as usize + 1);
    let is_too_large = theirs.as_ref().is_some_and(|message| message.len() as u64 > message_bytes);
    match result {
        Ok(message) => assert_eq!(theirs.as_ref(), Some(message)),
        // These are rules of ours, and RFC 7692's.
        Err(Defect::TooManyFinalBlocks | Defect::SaidByTail) => {}
        // Something may be wrong behind what is too much, which it would have seen.
        Err(Defect::TooLarge) => assert!(is_too_large || theirs.is_none()),
        // It reads a block that cannot end, as far as it may.
        Err(Defect::NoEndOfBlock) => assert!(is_too_large || theirs.is_none()),
        Err(defect) => assert_eq!(theirs, None, "it takes what is refused for {defect:?}"),
    }
}

/// What a message comes to, or its beginning if it is more than `bytes_max`.
fn by_miniz(payload: &[u8], window: &[u8], bytes_max: usize) -> Option<Vec<u8>> {
    // The window lies before the message, so that it can be pointed back to.
    let mut out = vec![0; window.len() + bytes_max];
    out[..window.len()].copy_from_slice(window);
    let mut end = window.len();
    let bytes = [payload, &[0x00, 0x00, 0xFF, 0xFF]].concat();
    let mut rest = &bytes[..];
    let mut stream = DecompressorOxide::new();
    loop {
        let flags = TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF | TINFL_FLAG_HAS_MORE_INPUT;
        let (status, read, written) = decompress(&mut stream, rest, &mut out, end, flags);
        rest = &rest[read..];
        end += written;
        match status {
            TINFLStatus::Done if rest.len() >= 4 => stream.init(),
            TINFLStatus::HasMoreOutput => return Some(out[window.len()..end].to_vec()),
            // Whether it is at the end of a block is not told: another one shows it.
            TINFLStatus::NeedsMoreInput if rest.is_empty() => {
                let before = end;
                let (status, read, written) =
                    decompress(&mut stream, &[0x03, 0x00], &mut out, end, flags);
                let is_whole = status == TINFLStatus::Done && read == 2 && written == 0;
                return is_whole.then(|| out[window.len()..before].to_vec());
            }
            _ => return None,
        }
    }
}
