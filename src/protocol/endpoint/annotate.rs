//! Explains every byte of a stream and its clause: the output of `parlor decode`. [`Annotator`] does
//! it, also for a stream that comes in pieces.

pub use super::annotator::Annotator;
use super::{Event, Role};
use crate::protocol::ProtocolError;
use crate::protocol::frame_header::FrameHeader;

/// Largest inflated message here, in bytes.
pub const INFLATED_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Most characters of a text, and bytes of a payload, that are shown.
pub(super) const SHOWN_MAX: usize = 40;

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
        /// The bytes as received: all of them, or from an [`Annotator`] the beginning.
        bytes: &'n [u8],
        /// How many there are.
        len: u64,
        /// What they mean.
        meaning: String,
        /// The clauses, such as `RFC 6455 §5.3, §8.1`.
        clause: &'static str,
    },
    /// The previous frame ends a message or is a control frame.
    Event(&'n Event<'n>),
    /// A frame is whole; its parts, and its event, were before.
    Frame(FrameHeader),
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
    let mut whole = |said: Note<'_>| match said {
        Note::Bytes { offset, len, meaning, clause, .. } => {
            let start = usize::try_from(offset).unwrap_or(usize::MAX);
            let part = stream.get(start..).unwrap_or_default();
            let bytes = &part[..usize::try_from(len).map_or(part.len(), |len| len.min(part.len()))];
            note(Note::Bytes { offset, bytes, len, meaning, clause });
        }
        other => note(other),
    };
    let mut annotator = Annotator::new(reading);
    annotator.read(stream, &mut whole);
    annotator.end(&mut whole);
}

/// The beginning of a text in quotation marks, on one line, whatever it contains.
#[must_use]
pub fn quoted(bytes: &[u8]) -> String {
    quoted_beginning(bytes, bytes.len() as u64)
}

/// The same of `len` bytes of which these are the beginning.
pub(super) fn quoted_beginning(begin: &[u8], len: u64) -> String {
    let begin = &begin[..begin.len().min(4 * SHOWN_MAX)];
    let text = String::from_utf8_lossy(begin);
    let shown: String = text.chars().take(SHOWN_MAX).flat_map(char::escape_debug).collect();
    // An apostrophe needs no escape between these marks.
    let shown = shown.replace("\\'", "'");
    let is_all = begin.len() as u64 == len && text.chars().nth(SHOWN_MAX).is_none();
    format!("\"{shown}{}\"", if is_all { "" } else { "…" })
}

/// The beginning of `len` bytes, in hexadecimal.
#[must_use]
pub fn hex(begin: &[u8], len: usize) -> String {
    const BYTES_MAX: usize = 16;
    let digits: String = begin.iter().take(BYTES_MAX).map(|byte| format!("{byte:02x}")).collect();
    if len > BYTES_MAX { format!("{digits}… ({len} bytes)") } else { digits }
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
                Note::Frame(_) => return,
                Note::Bytes { offset, bytes, meaning, clause, .. } => {
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

    /// All that is said of a stream that comes in pieces; of long parts the beginning alone.
    fn notes_of_pieces(pieces: &[&[u8]], reading: Reading) -> Vec<String> {
        let mut lines = Vec::new();
        let mut note = |note: Note<'_>| {
            lines.push(match note {
                Note::Bytes { offset, bytes, len, meaning, clause } => {
                    let bytes = &bytes[..bytes.len().min(4 * SHOWN_MAX)];
                    format!("{offset} {bytes:x?} {len} {meaning} {clause}")
                }
                other => format!("{other:?}"),
            });
        };
        if let [whole] = pieces {
            annotate(whole, reading, &mut note);
            return lines;
        }
        let mut annotator = Annotator::new(reading);
        pieces.iter().for_each(|piece| annotator.read(piece, &mut note));
        annotator.end(&mut note);
        lines
    }

    /// Something of every kind, whole or broken, with or without a head.
    fn any_stream() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            proptest::collection::vec(prop_oneof![any::<u8>(), Just(0x81), Just(0x80)], 0..20),
            Just(b"GET /ws HTTP/1.1\r\nHost: a\r\n\r\n".to_vec()),
            Just([&b"HTTP/1.1 101 \r\n"[..], &[b'x'; 200], b" \t \r\n\r\n"].concat()),
            Just(b"\x81\x05Hello".to_vec()),
            Just(b"\x81\x02\xc3\x28".to_vec()),
            Just(b"\x01\x82\0\0\0\0ab\x89\x80\0\0\0\0\x80\x81\0\0\0\0c".to_vec()),
            Just([&[0x82, 0x7e, 1, 0x40][..], &[7; 320]].concat()),
            Just(vec![0xc1, 0x07, 0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]),
            Just(b"\x88\x05\x03\xe8bye".to_vec()),
            Just(b"\x81\x7e\0\x05Hello".to_vec()),
        ];
        proptest::collection::vec(piece, 0..5).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn any_cut_of_a_stream_is_told_as_the_whole(
            stream in any_stream(),
            lens in proptest::collection::vec(1..40usize, 0..40),
            from_client: bool,
            inflate: bool,
        ) {
            let from = if from_client { Role::Client } else { Role::Server };
            let reading = Reading { from, inflate };
            let whole = notes_of_pieces(&[&stream], reading);
            let (mut pieces, mut rest) = (vec![&b""[..]], &stream[..]);
            for len in lens {
                let (piece, more) = rest.split_at(len.min(rest.len()));
                pieces.push(piece);
                rest = more;
            }
            pieces.push(rest);
            prop_assert_eq!(&notes_of_pieces(&pieces, reading), &whole);
            let mut bytes: Vec<&[u8]> = stream.chunks(1).collect();
            bytes.push(b"");
            prop_assert_eq!(&notes_of_pieces(&bytes, reading), &whole);
        }

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
                Note::Event(_) | Note::Frame(_) | Note::Violation(_) | Note::Unfinished(_) => {}
            });
            prop_assert_eq!(said, stream.len() as u64);
        }
    }
}
