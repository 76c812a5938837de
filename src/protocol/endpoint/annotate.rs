//! Explains every byte of a stream and its clause: the output of `parlor decode`.
//!
//! The endpoint judges the stream, as everywhere: it gets it frame by frame. This module only puts
//! the bytes into words, and accepts any input. It keeps no more than the endpoint does.

use super::{Endpoint, EndpointLimits, Event, MaskKeys, Received, Role};
use crate::base::Outbox;
use crate::protocol::deflate::{Codecs, CodecsConfig, Deflate, Parameters, RSV1};
use crate::protocol::frame_header::FrameHeader;
use crate::protocol::{MaskKey, Opcode, ProtocolError, close, mask};
use std::sync::Arc;

/// Largest inflated message here, in bytes.
pub const INFLATED_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Most characters of a text, and bytes of a payload, that are shown.
const SHOWN_MAX: usize = 40;

/// How to read a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The endpoint that sent it.
    pub from: Role,
    /// Whether permessage-deflate was negotiated, with any window.
    pub inflate: bool,
}

/// One statement about a stream, in byte order.
#[derive(Debug)]
pub enum Note<'n> {
    /// The meaning of some bytes.
    Bytes {
        /// The offset of the first byte from the start of the stream.
        offset: u64,
        /// The bytes as received.
        bytes: &'n [u8],
        /// What they mean.
        meaning: String,
        /// The clauses, such as `RFC 6455 §5.3, §8.1`.
        clause: &'static str,
    },
    /// The previous frame ends a message or is a control frame.
    Event(&'n Event<'n>),
    /// The previous frame breaks the protocol. The rest is not read (RFC 6455 §7.1.7).
    Violation(ProtocolError),
    /// The stream ends too early; the text says what is missing.
    Unfinished(String),
    /// Bytes that follow the end of the connection.
    Ignored {
        /// The offset of the first one.
        offset: u64,
        /// How many there are.
        len: u64,
        /// The clause on bytes after a Close or a violation.
        clause: &'static str,
    },
}

/// Calls `note` for every part of `stream`: frames, optionally after an HTTP head of the opening
/// handshake.
pub fn annotate(stream: &[u8], reading: Reading, note: &mut dyn FnMut(Note<'_>)) {
    let Some(head_len) = annotate_head(stream, note) else { return };
    let mut frames = Frames::new(stream, head_len, reading);
    while frames.annotate_next(note) {}
}

/// The unread rest of a stream and the endpoint that reads it.
struct Frames<'s> {
    stream: &'s [u8],
    at: usize,
    head_len: u64,
    endpoint: Endpoint,
    out: Outbox,
    inflate: bool,
    /// The first frame of the unfinished message.
    begun: Option<FrameHeader>,
}

impl<'s> Frames<'s> {
    fn new(stream: &'s [u8], head_len: usize, reading: Reading) -> Frames<'s> {
        let message_bytes = if reading.inflate { INFLATED_BYTES_MAX } else { u64::MAX };
        let frame_bytes = u64::MAX;
        let limits = Arc::new(EndpointLimits { frame_bytes, message_bytes, fragments: u32::MAX });
        // An endpoint with context takeover and the largest window can read any sender.
        let agreed = Parameters::default();
        let codecs = Codecs::new(CodecsConfig::default());
        let (mut endpoint, deflate) = match reading.from {
            Role::Client => (Endpoint::server(limits), Deflate::server(&agreed, &codecs)),
            Role::Server => {
                (Endpoint::client(limits, Box::new(NoKey)), Deflate::client(&agreed, &codecs))
            }
        };
        if reading.inflate {
            endpoint = endpoint.with_deflate(deflate);
        }
        const UNREAD_BYTES_MAX: u32 = 64 * 1024;
        Frames {
            stream,
            at: head_len,
            head_len: head_len as u64,
            endpoint,
            out: Outbox::alone(UNREAD_BYTES_MAX),
            inflate: reading.inflate,
            begun: None,
        }
    }

    /// Describes the next frame; `false` when nothing is left.
    fn annotate_next(&mut self, note: &mut dyn FnMut(Note<'_>)) -> bool {
        let rest = &self.stream[self.at..];
        if rest.is_empty() {
            if let Some(begun) = self.begun {
                let kind = name(begun.opcode.bits());
                note(Note::Unfinished(format!("a {kind} message has begun and not ended")));
            }
            return false;
        }
        let (header, header_len) = match FrameHeader::decode(rest) {
            Ok(Some(decoded)) => decoded,
            Ok(None) => {
                self.annotate_header(rest, note);
                // Further faults show only when the rest of the header arrives.
                self.feed(rest.len(), note);
                note(Note::Unfinished("the frame's header is not all there".to_owned()));
                return false;
            }
            Err(_) => {
                // The violation is in the bytes shown: the first two, or a length after them.
                let shown = 2 + rest.get(1).map_or(0, |second| length_len(second & 0x7F));
                let shown = shown.min(rest.len());
                self.annotate_header(&rest[..shown], note);
                self.feed(shown, note);
                return false;
            }
        };
        self.annotate_header(&rest[..header_len], note);
        if !self.feed(header_len, note) {
            return false;
        }
        if !header.opcode.is_control() && self.begun.is_none() {
            self.begun = Some(header);
        }
        let left = self.stream.len() - self.at;
        let here = usize::try_from(header.payload_len).map_or(left, |len| len.min(left));
        if here > 0 {
            self.annotate_payload(&header, here, note);
        }
        if here > 0 && !self.feed(here, note) {
            return false;
        }
        let missing = header.payload_len - here as u64;
        if missing > 0 {
            let bytes = if missing == 1 { "byte" } else { "bytes" };
            note(Note::Unfinished(format!("{missing} {bytes} of the payload are missing")));
            return false;
        }
        if header.fin && !header.opcode.is_control() {
            self.begun = None;
        }
        let is_closed = header.opcode == Opcode::Close;
        if is_closed {
            // RFC 6455 §5.5.1: nothing follows a Close.
            self.ignore("RFC 6455 §1.4", note);
        }
        !is_closed
    }

    /// Describes the parts of a header that are present.
    fn annotate_header(&self, header: &[u8], note: &mut dyn FnMut(Note<'_>)) {
        let &[first, ref after_first @ ..] = header else { return };
        let mut parts = Parts { rest: header, offset: self.at as u64, note };
        let (bits, opcode) = (first >> 4, first & 0x0F);
        let is_marked = self.inflate && bits & RSV1 != 0;
        let clause = if is_marked { "RFC 6455 §5.2, RFC 7692 §6" } else { "RFC 6455 §5.2" };
        parts.say(1, clause, |_| {
            let (fin, rsv) = (bits >> 3, bits & 0b111);
            format!("FIN={fin} RSV={rsv:03b} opcode=0x{opcode:X} {}", name(opcode))
        });
        let &[second, ..] = after_first else { return };
        let (mask_bit, length) = (second >> 7, second & 0x7F);
        let length_len = length_len(length);
        let where_it_is = match length_len {
            0 => String::new(),
            len => format!(": it is in the next {len} bytes"),
        };
        parts.say(1, "RFC 6455 §5.2", |_| format!("MASK={mask_bit} length={length}{where_it_is}"));
        parts.say(length_len, "RFC 6455 §5.2", |bytes| {
            let length = bytes.iter().fold(0u64, |length, byte| length << 8 | u64::from(*byte));
            if bytes.len() == length_len {
                format!("length={length}")
            } else {
                "beginning of the length".to_owned()
            }
        });
        parts.say(4 * usize::from(mask_bit), "RFC 6455 §5.3", |bytes| {
            let part = if bytes.len() == 4 { "" } else { "beginning of the " };
            format!("{part}masking key")
        });
    }

    /// Describes the next `len` bytes of payload.
    fn annotate_payload(&self, header: &FrameHeader, len: usize, note: &mut dyn FnMut(Note<'_>)) {
        let bytes = &self.stream[self.at..self.at + len];
        // Enough for every control frame, and for the shown part of other frames.
        let mut plain = bytes[..len.min(4 * SHOWN_MAX)].to_vec();
        if let Some(key) = header.mask {
            mask::apply(&mut plain, key, 0);
        }
        let is_masked = header.mask.is_some();
        let first = self.begun.filter(|_| !header.opcode.is_control());
        let is_compressed = self.inflate && first.is_some_and(|first| first.rsv & RSV1 != 0);
        let mut parts = Parts { rest: bytes, offset: self.at as u64, note };
        let (meaning, clause) = match first.map_or(header.opcode, |first| first.opcode) {
            Opcode::Close => {
                parts.say(2, "RFC 6455 §5.5.1, §7.4", |_| match plain.first_chunk() {
                    Some(code) => {
                        let code = u16::from_be_bytes(*code);
                        format!("status code {code}: {}", close::meaning(code))
                    }
                    None => "half of a status code".to_owned(),
                });
                let reason = quoted(plain.get(2..).unwrap_or_default());
                (format!("reason {reason}"), "RFC 6455 §5.5.1, §7.1.6")
            }
            Opcode::Ping => (format!("payload {}", quoted(&plain)), "RFC 6455 §5.5.2"),
            Opcode::Pong => (format!("payload {}", quoted(&plain)), "RFC 6455 §5.5.3"),
            _ if is_compressed => (format!("payload, compressed: {len} bytes"), "RFC 7692 §6.1"),
            Opcode::Text => (
                format!("payload {}", quoted(&plain)),
                if is_masked { "RFC 6455 §5.3, §8.1" } else { "RFC 6455 §5.6, §8.1" },
            ),
            Opcode::Binary | Opcode::Continuation => (
                format!("payload {}", hex(&plain, len)),
                if is_masked { "RFC 6455 §5.3, §5.6" } else { "RFC 6455 §5.6" },
            ),
        };
        parts.say(usize::MAX, clause, |_| meaning);
    }

    /// Feeds the next `len` bytes to the endpoint and reports the result; `false` if the connection
    /// failed.
    fn feed(&mut self, len: usize, note: &mut dyn FnMut(Note<'_>)) -> bool {
        let mut bytes = self.stream[self.at..self.at + len].to_vec();
        self.at += len;
        let mut input = Received::new(&mut bytes);
        loop {
            match self.endpoint.next_event(&mut input, &mut self.out) {
                Ok(Some(event)) => note(Note::Event(&event)),
                Ok(None) => return true,
                Err(mut error) => {
                    error.frame_offset += self.head_len;
                    note(Note::Violation(error));
                    self.ignore("RFC 6455 §7.1.7", note);
                    return false;
                }
            }
            // The endpoint's answers are not shown.
            self.out.clear();
        }
    }

    fn ignore(&mut self, clause: &'static str, note: &mut dyn FnMut(Note<'_>)) {
        let len = (self.stream.len() - self.at) as u64;
        if len > 0 {
            note(Note::Ignored { offset: self.at as u64, len, clause });
        }
    }
}

/// Bytes that are described part by part.
struct Parts<'p, 'n> {
    rest: &'p [u8],
    offset: u64,
    note: &'n mut dyn FnMut(Note<'_>),
}

impl Parts<'_, '_> {
    /// Describes the next `len` bytes, as far as they are present; nothing if there are none.
    fn say(&mut self, len: usize, clause: &'static str, meaning: impl FnOnce(&[u8]) -> String) {
        let (bytes, rest) = self.rest.split_at(len.min(self.rest.len()));
        if !bytes.is_empty() {
            let offset = self.offset;
            (self.note)(Note::Bytes { offset, bytes, meaning: meaning(bytes), clause });
        }
        self.rest = rest;
        self.offset += bytes.len() as u64;
    }
}

/// Describes an HTTP head at the beginning, if there is one, and returns its length. No valid frame
/// begins like it: `G` and `H` would set reserved bits. `None` if the head is incomplete.
fn annotate_head(stream: &[u8], note: &mut dyn FnMut(Note<'_>)) -> Option<usize> {
    let clause = match stream {
        [b'G', b'E', b'T', b' ', ..] => "RFC 6455 §4.1",
        [b'H', b'T', b'T', b'P', b'/', ..] => "RFC 6455 §4.2.2",
        _ => return Some(0),
    };
    let mut parts = Parts { rest: stream, offset: 0, note };
    loop {
        let Some(end) = parts.rest.iter().position(|byte| *byte == b'\n') else {
            parts.say(usize::MAX, clause, |line| format!("beginning of {}", quoted(line)));
            note(Note::Unfinished("the head of the handshake is not all there".to_owned()));
            return None;
        };
        let is_empty = matches!(&parts.rest[..=end], b"\n" | b"\r\n");
        parts.say(end + 1, if is_empty { "RFC 9112 §2.1" } else { clause }, |line| {
            if is_empty { "end of the head".to_owned() } else { quoted(line.trim_ascii_end()) }
        });
        if is_empty {
            return Some(stream.len() - parts.rest.len());
        }
    }
}

/// RFC 6455 §5.2: how many bytes a length of seven bits refers to.
fn length_len(length: u8) -> usize {
    match length {
        126 => 2,
        127 => 8,
        _ => 0,
    }
}

/// RFC 6455 §11.8: an opcode's name.
fn name(opcode: u8) -> &'static str {
    match Opcode::from_bits(opcode) {
        Some(Opcode::Continuation) => "Continuation",
        Some(Opcode::Text) => "Text",
        Some(Opcode::Binary) => "Binary",
        Some(Opcode::Close) => "Close",
        Some(Opcode::Ping) => "Ping",
        Some(Opcode::Pong) => "Pong",
        None => "reserved",
    }
}

/// The beginning of a text in quotation marks, on one line, whatever it contains.
#[must_use]
pub fn quoted(bytes: &[u8]) -> String {
    let begin = &bytes[..bytes.len().min(4 * SHOWN_MAX)];
    let text = String::from_utf8_lossy(begin);
    let shown: String = text.chars().take(SHOWN_MAX).flat_map(char::escape_debug).collect();
    let is_all = begin.len() == bytes.len() && text.chars().nth(SHOWN_MAX).is_none();
    format!("\"{shown}{}\"", if is_all { "" } else { "…" })
}

/// The beginning of `len` bytes, in hexadecimal.
#[must_use]
pub fn hex(begin: &[u8], len: usize) -> String {
    const BYTES_MAX: usize = 16;
    let digits: String = begin.iter().take(BYTES_MAX).map(|byte| format!("{byte:02x}")).collect();
    if len > BYTES_MAX { format!("{digits}… ({len} bytes)") } else { digits }
}

/// The keys of a client that never sends.
#[derive(Debug)]
struct NoKey;

impl MaskKeys for NoKey {
    fn next_key(&mut self) -> MaskKey {
        [0; 4]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// All notes, one per line.
    fn notes(stream: &[u8], from: Role, inflate: bool) -> Vec<String> {
        let mut lines = Vec::new();
        annotate(stream, Reading { from, inflate }, &mut |note| {
            lines.push(match note {
                Note::Bytes { offset, bytes, meaning, clause } => {
                    format!("{offset} {} {meaning} | {clause}", hex(bytes, bytes.len()))
                }
                Note::Event(event) => format!("{event:?}"),
                Note::Violation(error) => format!("! {error}"),
                Note::Unfinished(what) => format!("… {what}"),
                Note::Ignored { offset, len, .. } => format!("{offset} ignored {len}"),
            });
        });
        lines
    }

    #[test]
    fn the_masked_hello_of_section_5_7() {
        let stream = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
        assert_eq!(
            notes(&stream, Role::Client, false),
            [
                "0 81 FIN=1 RSV=000 opcode=0x1 Text | RFC 6455 §5.2",
                "1 85 MASK=1 length=5 | RFC 6455 §5.2",
                "2 37fa213d masking key | RFC 6455 §5.3",
                "6 7f9f4d5158 payload \"Hello\" | RFC 6455 §5.3, §8.1",
                "Text(\"Hello\")",
            ]
        );
        assert_eq!(
            notes(&stream, Role::Server, false)[3..],
            [
                "! a server's frame is masked, in the frame at byte 0 (RFC 6455 §5.1)".to_owned(),
                "6 ignored 5".to_owned(),
            ]
        );
    }

    #[test]
    fn a_head_stands_before_the_frames_and_a_close_ends_them() {
        let stream = b"HTTP/1.1 101 Switching Protocols\r\n\r\n\x88\x05\x03\xe8bye\x00";
        assert_eq!(
            notes(stream, Role::Server, false),
            [
                "0 485454502f312e312031303120537769… (34 bytes) \"HTTP/1.1 101 Switching Protocols\" | RFC 6455 §4.2.2",
                "34 0d0a end of the head | RFC 9112 §2.1",
                "36 88 FIN=1 RSV=000 opcode=0x8 Close | RFC 6455 §5.2",
                "37 05 MASK=0 length=5 | RFC 6455 §5.2",
                "38 03e8 status code 1000: normal closure | RFC 6455 §5.5.1, §7.4",
                "40 627965 reason \"bye\" | RFC 6455 §5.5.1, §7.1.6",
                "Closed { code: Some(1000), reason: \"bye\" }",
                "43 ignored 1",
            ]
        );
    }

    #[test]
    fn a_compressed_message_is_inflated_only_if_that_was_negotiated() {
        let stream = [0xc1, 0x07, 0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
        assert_eq!(
            notes(&stream, Role::Server, true)[2..],
            [
                "2 f248cdc9c90700 payload, compressed: 7 bytes | RFC 7692 §6.1".to_owned(),
                "Text(\"Hello\")".to_owned(),
            ]
        );
        assert!(notes(&stream, Role::Server, false)[2].starts_with("! a reserved bit is set"));
    }

    #[test]
    fn what_is_missing_is_said() {
        for (stream, expected) in [
            (&[0x81][..], "… the frame's header is not all there"),
            (&[0x81, 0xfe, 0x01], "… the frame's header is not all there"),
            (&[0x82, 0x80, 1, 2, 3], "… the frame's header is not all there"),
            (&[0x82, 0x83, 0, 0, 0, 0, b'a'], "… 2 bytes of the payload are missing"),
            (&[0x02, 0x81, 0, 0, 0, 0, b'a'], "… a Binary message has begun and not ended"),
            (b"GET / HTTP/1.1\r\nHo", "… the head of the handshake is not all there"),
        ] {
            let notes = notes(stream, Role::Client, false);
            assert_eq!(notes.last().map(String::as_str), Some(expected), "{stream:x?}");
        }
        assert_eq!(notes(b"", Role::Client, false), [""; 0]);
    }

    proptest! {
        #[test]
        fn every_byte_of_any_stream_is_said_once(
            stream in proptest::collection::vec(prop_oneof![any::<u8>(), Just(0x81), Just(0x80)], 0..60),
            from_client: bool,
            inflate: bool,
        ) {
            let from = if from_client { Role::Client } else { Role::Server };
            let mut said = 0;
            annotate(&stream, Reading { from, inflate }, &mut |note| match note {
                Note::Bytes { offset, bytes, .. } => {
                    assert_eq!(offset, said);
                    assert_eq!(bytes, &stream[said as usize..][..bytes.len()]);
                    said += bytes.len() as u64;
                }
                Note::Ignored { offset, len, .. } => {
                    assert!(offset >= said, "what was said is not ignored");
                    said = offset + len;
                }
                Note::Event(_) | Note::Violation(_) | Note::Unfinished(_) => {}
            });
            prop_assert_eq!(said, stream.len() as u64);
        }
    }
}
