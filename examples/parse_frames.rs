//! Parses the frames in a byte slice, with nothing but `parlor::protocol`.
//!
//! Run: `cargo run --example parse_frames --no-default-features`

use parlor::protocol::{FrameHeader, Violation, mask};

/// The frames at the beginning of `bytes`: their headers and their payloads, unmasked in place.
fn frames(mut bytes: &mut [u8]) -> Result<Vec<(FrameHeader, &[u8])>, Violation> {
    let mut frames = Vec::new();
    while let Some((header, header_len)) = FrameHeader::decode(bytes)? {
        let payload_and_more = &mut bytes[header_len..];
        if header.payload_len > payload_and_more.len() as u64 {
            break; // The rest of this frame is still to come.
        }
        let (payload, rest) = payload_and_more.split_at_mut(header.payload_len as usize);
        mask::apply(payload, header.mask.unwrap_or_default(), 0);
        frames.push((header, &*payload));
        bytes = rest;
    }
    Ok(frames)
}

fn main() -> Result<(), Violation> {
    let mut hello = *b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58\x89\x00"; // RFC 6455 §5.7
    for (header, payload) in frames(&mut hello)? {
        println!("{header:?}: {}", String::from_utf8_lossy(payload));
    }
    Ok(())
}
