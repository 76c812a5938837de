//! What a tap has to tell: a frame with its parts, a head, an event of a connection.

use super::secrets::{HIDDEN, hide, hide_in_line};
use crate::decode::all_hex;
use crate::protocol::endpoint::annotate::{Note, hex};
use crate::protocol::frame_header::FrameHeader;
use crate::protocol::{Event, MaskKey, Opcode, ProtocolError, Role, close, mask};
use crate::wire::json::{Writer, object};
use std::borrow::Cow;

/// Bytes of a message's text that are kept.
pub(super) const TEXT_BYTES_MAX: usize = 4 * 1024;
/// In so much of a message secrets are looked for. Of a longer one no payload's bytes are shown.
pub(super) const LOOKED_BYTES_MAX: usize = 256 * 1024;

/// Something that was seen.
#[derive(Clone, Debug)]
pub(super) struct TapItem {
    /// Its number, in the order of the output.
    pub(super) number: u64,
    pub(super) conn: u32,
    /// Since the connection's begin.
    pub(super) ms: u64,
    /// Who sent it, if it is of one end.
    pub(super) from: Option<Role>,
    pub(super) what: TapWhat,
    pub(super) parts: Vec<TapPart>,
    /// Whether it has the text that is looked for.
    pub(super) has_match: bool,
}

/// What was seen.
#[derive(Clone, Debug)]
pub(super) enum TapWhat {
    /// A connection, of this address.
    Opened(String),
    /// A half of the opening handshake.
    Head(String),
    /// Another request and its answer.
    Http(String),
    Frame(TapFrame),
    Violation(ProtocolError),
    /// A remark of the tap's: what is unfinished, what it does not read.
    Remark(String),
    /// What the tap has done to the bytes.
    Fault(String),
    /// The connection is over, and why.
    Closed(String),
}

/// A frame.
#[derive(Clone, Debug)]
pub(super) struct TapFrame {
    pub(super) header: FrameHeader,
    /// Permessage-deflate was negotiated, and its message is compressed.
    pub(super) is_compressed: bool,
    /// The message that it ends, or what a control frame says.
    pub(super) message: Option<TapMessage>,
}

/// The beginning of a message.
#[derive(Clone, Debug)]
pub(super) struct TapMessage {
    pub(super) kind: &'static str,
    pub(super) len: u64,
    /// Text, or hexadecimal digits.
    pub(super) text: String,
    pub(super) is_cut: bool,
    pub(super) may_have_secret: bool,
}

/// Some bytes and their meaning.
#[derive(Clone, Debug)]
pub(super) struct TapPart {
    pub(super) offset: u64,
    pub(super) len: u64,
    /// The beginning; empty if it is secret.
    pub(super) bytes: Vec<u8>,
    pub(super) meaning: String,
    pub(super) clause: &'static str,
}

impl TapPart {
    /// A part of what was noted; nothing for another note. If secrets are hidden, they are looked for in what it means and
    /// in its bytes, which are masked with a key, or not.
    pub(super) fn of(note: &Note<'_>, hides: bool, key: Option<MaskKey>) -> Option<TapPart> {
        let Note::Bytes { offset, bytes, len, meaning, clause } = note else { return None };
        let shown = if hides { hide_in_line(meaning) } else { Cow::Borrowed(meaning.as_str()) };
        let mut plain = bytes.to_vec();
        if let Some(key) = key {
            mask::apply(&mut plain, key, 0);
        }
        let is_secret = |text: &str| matches!(hide_in_line(text), Cow::Owned(_));
        let has_secret =
            hides && (is_secret(meaning) || is_secret(&String::from_utf8_lossy(&plain)));
        let bytes = if has_secret { Vec::new() } else { bytes.to_vec() };
        Some(TapPart { offset: *offset, len: *len, bytes, meaning: shown.into_owned(), clause })
    }

    /// Its bytes are not shown.
    pub(super) fn hide_bytes(&mut self) {
        self.bytes.clear();
    }

    pub(super) fn is_hidden(&self) -> bool {
        self.bytes.is_empty()
    }
}

impl TapMessage {
    /// What an event says; its secrets are hidden if that is wanted.
    pub(super) fn of(event: &Event<'_>, hides: bool) -> TapMessage {
        let (kind, bytes) = match event {
            Event::Text(text) => ("text", text.as_bytes()),
            Event::Binary(bytes) => ("binary", *bytes),
            Event::Ping(bytes) => ("ping", *bytes),
            Event::Pong(bytes) => ("pong", *bytes),
            Event::Closed { code: Some(code), reason } => {
                let reason = if reason.is_empty() { String::new() } else { format!(": {reason}") };
                let text = format!("{code} {}{reason}", close::meaning(code.0));
                let shown = if hides { hide(&text).into_owned() } else { text.clone() };
                let (len, may_have_secret) = (text.len() as u64, shown != text);
                let (kind, text, is_cut) = ("close", shown, false);
                return TapMessage { kind, len, text, is_cut, may_have_secret };
            }
            Event::Closed { code: None, .. } => {
                let (kind, text) = ("close", "without a status code".to_owned());
                return TapMessage { kind, len: 0, text, is_cut: false, may_have_secret: false };
            }
        };
        // Not only in what is shown: behind it may be the name of what is in it.
        let looked = String::from_utf8_lossy(&bytes[..bytes.len().min(LOOKED_BYTES_MAX)]);
        let hidden = if hides { hide(&looked) } else { Cow::Borrowed(&*looked) };
        let has_secret = matches!(hidden, Cow::Owned(_));
        let (text, is_cut) = match kind {
            "binary" if has_secret => (HIDDEN.to_owned(), false),
            "binary" => {
                let begin = &bytes[..bytes.len().min(TEXT_BYTES_MAX / 2)];
                (all_hex(begin), begin.len() < bytes.len())
            }
            _ => {
                let end = hidden.floor_char_boundary(TEXT_BYTES_MAX);
                (hidden.get(..end).unwrap_or_default().to_owned(), end < hidden.len())
            }
        };
        let may_have_secret = has_secret || bytes.len() > LOOKED_BYTES_MAX;
        TapMessage { kind, len: bytes.len() as u64, text, is_cut, may_have_secret }
    }
}

impl TapFrame {
    /// As it is named in filters and JSON.
    pub(super) fn kind(&self) -> &'static str {
        match self.header.opcode {
            Opcode::Continuation => "continuation",
            Opcode::Text => "text",
            Opcode::Binary => "binary",
            Opcode::Close => "close",
            Opcode::Ping => "ping",
            Opcode::Pong => "pong",
        }
    }
}

impl TapItem {
    /// As it is named in filters and JSON.
    pub(super) fn kind(&self) -> &'static str {
        match &self.what {
            TapWhat::Opened(_) => "opened",
            TapWhat::Head(_) => "head",
            TapWhat::Http(_) => "http",
            TapWhat::Frame(frame) => frame.kind(),
            TapWhat::Violation(_) => "violation",
            TapWhat::Remark(_) => "remark",
            TapWhat::Fault(_) => "fault",
            TapWhat::Closed(_) => "closed",
        }
    }

    /// The object of `--json` and of the page.
    pub(super) fn to_json(&self) -> String {
        object(|w| {
            w.number("n", self.number);
            w.number("conn", self.conn);
            w.number("ms", self.ms);
            w.text("kind", self.kind());
            if let Some(from) = self.from {
                w.text("from", side_name(from));
            }
            match &self.what {
                TapWhat::Opened(text)
                | TapWhat::Head(text)
                | TapWhat::Http(text)
                | TapWhat::Remark(text)
                | TapWhat::Fault(text)
                | TapWhat::Closed(text) => w.text("text", text),
                TapWhat::Frame(frame) => frame_to_json(frame, w),
                TapWhat::Violation(error) => {
                    let violation = error.violation;
                    w.text("text", violation.sentence());
                    w.text("violation", &format!("{violation:?}"));
                    w.text("clause", violation.clause());
                    w.number("close_code", violation.close_code().0);
                    w.number("frame_offset", error.frame_offset);
                }
            }
            if !self.parts.is_empty() {
                w.array("parts", &self.parts, part_to_json);
            }
        })
    }
}

fn frame_to_json(frame: &TapFrame, w: &mut Writer) {
    let header = &frame.header;
    w.flag("fin", header.fin);
    w.number("rsv", header.rsv);
    w.flag("masked", header.mask.is_some());
    w.number("bytes", header.payload_len);
    w.flag("compressed", frame.is_compressed);
    if let Some(message) = &frame.message {
        w.object_in("message", |w| {
            w.text("kind", message.kind);
            w.number("bytes", message.len);
            w.text(if message.kind == "binary" { "hex" } else { "text" }, &message.text);
            w.flag("cut", message.is_cut);
        });
    }
}

fn part_to_json(w: &mut Writer, part: &TapPart) {
    w.object(|w| {
        w.number("offset", part.offset);
        w.number("len", part.len);
        if part.is_hidden() {
            w.flag("hidden", true);
        } else {
            w.text("bytes", &all_hex(&part.bytes));
        }
        w.text("meaning", &part.meaning);
        w.text("clause", part.clause);
    });
}

/// `client` or `server`.
pub(super) fn side_name(from: Role) -> &'static str {
    match from {
        Role::Client => "client",
        Role::Server => "server",
    }
}

/// The bytes of a part for a listing.
pub(super) fn shown_bytes(part: &TapPart) -> String {
    /// Those of a line.
    const BYTES_MAX: usize = 16;
    if part.is_hidden() {
        return HIDDEN.to_owned();
    }
    let shown = &part.bytes[..part.bytes.len().min(BYTES_MAX)];
    let more = if part.len > BYTES_MAX as u64 { "…" } else { "" };
    hex(shown, shown.len()) + more
}
