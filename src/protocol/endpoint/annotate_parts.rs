//! The words for parts of a stream: a line of a head, a header, a payload.

use super::annotate::{Note, SHOWN_MAX, hex, quoted, quoted_beginning};
use crate::protocol::deflate::RSV1;
use crate::protocol::frame_header::FrameHeader;
use crate::protocol::{Opcode, close, mask};

/// Bytes that are kept of a line or a payload: what is shown of it, in any encoding.
pub(super) const KEPT_BYTES_MAX: usize = 4 * SHOWN_MAX;

/// Describes the parts of a header that are present, from `offset` on.
pub(super) fn annotate_header(
    header: &[u8],
    offset: u64,
    inflate: bool,
    note: &mut dyn FnMut(Note<'_>),
) {
    let &[first, ref after_first @ ..] = header else { return };
    let mut parts = Parts { rest: header, offset, note };
    let (bits, opcode) = (first >> 4, first & 0x0F);
    let is_marked = inflate && bits & RSV1 != 0;
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

/// A payload, as far as it has come.
pub(super) struct PayloadPart<'p> {
    /// The offset of the first byte.
    pub(super) offset: u64,
    pub(super) len: u64,
    /// Its beginning.
    pub(super) begin: &'p [u8],
    pub(super) header: FrameHeader,
    /// The first frame of its message, if it is one of a message.
    pub(super) first: Option<FrameHeader>,
    pub(super) inflate: bool,
}

/// Describes a payload.
pub(super) fn annotate_payload(part: &PayloadPart<'_>, note: &mut dyn FnMut(Note<'_>)) {
    let PayloadPart { offset, len, begin, header, first, inflate } = *part;
    // Enough for every control frame, and for the shown part of other frames.
    let mut plain = begin.to_vec();
    if let Some(key) = header.mask {
        mask::apply(&mut plain, key, 0);
    }
    let is_masked = header.mask.is_some();
    let is_compressed = inflate && first.is_some_and(|first| first.rsv & RSV1 != 0);
    let (meaning, clause) = match first.map_or(header.opcode, |first| first.opcode) {
        Opcode::Close => return annotate_close(begin, &plain, offset, note),
        Opcode::Ping => (format!("payload {}", quoted(&plain)), "RFC 6455 §5.5.2"),
        Opcode::Pong => (format!("payload {}", quoted(&plain)), "RFC 6455 §5.5.3"),
        _ if is_compressed => (format!("payload, compressed: {len} bytes"), "RFC 7692 §6.1"),
        Opcode::Text => (
            format!("payload {}", quoted(&plain)),
            if is_masked { "RFC 6455 §5.3, §8.1" } else { "RFC 6455 §5.6, §8.1" },
        ),
        Opcode::Binary | Opcode::Continuation => (
            format!("payload {}", hex(&plain, usize::try_from(len).unwrap_or(usize::MAX))),
            if is_masked { "RFC 6455 §5.3, §5.6" } else { "RFC 6455 §5.6" },
        ),
    };
    note(Note::Bytes { offset, bytes: begin, len, meaning, clause });
}

/// Describes a Close's payload, which is kept whole.
fn annotate_close(bytes: &[u8], plain: &[u8], offset: u64, note: &mut dyn FnMut(Note<'_>)) {
    let mut parts = Parts { rest: bytes, offset, note };
    parts.say(2, "RFC 6455 §5.5.1, §7.4", |_| match plain.first_chunk() {
        Some(code) => {
            let code = u16::from_be_bytes(*code);
            format!("status code {code}: {}", close::meaning(code))
        }
        None => "half of a status code".to_owned(),
    });
    let reason = quoted(plain.get(2..).unwrap_or_default());
    parts.say(usize::MAX, "RFC 6455 §5.5.1, §7.1.6", |_| format!("reason {reason}"));
}

/// A line of a head, as far as it has come: its beginning and what is needed to quote it.
#[derive(Debug, Default)]
pub(super) struct HeadLine {
    pub(super) begin: Vec<u8>,
    pub(super) len: u64,
    /// How many of its bytes, at its end, are white space.
    space: u64,
}

impl HeadLine {
    pub(super) fn of(bytes: &[u8]) -> HeadLine {
        let mut line = HeadLine::default();
        line.add(bytes);
        line
    }

    pub(super) fn add(&mut self, bytes: &[u8]) {
        let kept = KEPT_BYTES_MAX.saturating_sub(self.begin.len()).min(bytes.len());
        self.begin.extend_from_slice(bytes.get(..kept).unwrap_or_default());
        self.len += bytes.len() as u64;
        let space = bytes.iter().rev().take_while(|byte| byte.is_ascii_whitespace()).count();
        let before = if space == bytes.len() { self.space } else { 0 };
        self.space = before + space as u64;
    }

    /// Whether it is the line that ends a head.
    pub(super) fn is_empty(&self) -> bool {
        matches!(self.begin.as_slice(), b"\n" | b"\r\n")
    }

    pub(super) fn quoted(&self) -> String {
        let len = self.len - self.space;
        let shown = usize::try_from(len).map_or(self.begin.len(), |len| len.min(self.begin.len()));
        quoted_beginning(self.begin.get(..shown).unwrap_or_default(), len)
    }

    pub(super) fn say(
        &self,
        end: u64,
        meaning: String,
        clause: &'static str,
        note: &mut dyn FnMut(Note<'_>),
    ) {
        let (len, bytes) = (self.len, self.begin.as_slice());
        note(Note::Bytes { offset: end - len, bytes, len, meaning, clause });
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
        let len = bytes.len() as u64;
        if len > 0 {
            let offset = self.offset;
            (self.note)(Note::Bytes { offset, bytes, len, meaning: meaning(bytes), clause });
        }
        self.rest = rest;
        self.offset += len;
    }
}

/// RFC 6455 §5.2: how many bytes a length of seven bits refers to.
pub(super) fn length_len(length: u8) -> usize {
    match length {
        126 => 2,
        127 => 8,
        _ => 0,
    }
}

/// RFC 6455 §11.8: an opcode's name.
pub(super) fn name(opcode: u8) -> &'static str {
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
