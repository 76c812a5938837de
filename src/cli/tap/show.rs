//! The output: which items are shown, and how: a line each, with the bytes beside their meaning, or JSON.

use super::item::{TapFrame, TapItem, TapMessage, TapPart, TapWhat, shown_bytes, side_name};
use crate::cli::shown;
use crate::protocol::{Opcode, Role, close};
use clap::ValueEnum;
use std::fmt::Write;

/// Characters of a message in a line.
const LINE_CHARS_MAX: usize = 160;
/// A longer meaning shifts only the clause on its own line.
const MEANING_CHARS_MAX: usize = 60;

/// What may be chosen with `--only`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum TapKind {
    Text,
    Binary,
    Ping,
    Pong,
    Close,
    Continuation,
    Head,
    Http,
}

impl TapKind {
    fn name(self) -> &'static str {
        match self {
            TapKind::Text => "text",
            TapKind::Binary => "binary",
            TapKind::Ping => "ping",
            TapKind::Pong => "pong",
            TapKind::Close => "close",
            TapKind::Continuation => "continuation",
            TapKind::Head => "head",
            TapKind::Http => "http",
        }
    }
}

/// Which items are shown.
#[derive(Clone, Debug, Default)]
pub(super) struct TapFilter {
    /// All, if it is empty.
    pub(super) only: Vec<TapKind>,
    pub(super) from: Option<Role>,
    pub(super) conn: Option<u32>,
    pub(super) has_grep: bool,
}

impl TapFilter {
    /// Whether an item is shown. What breaks the protocol and what the tap does is shown also where its kind is not.
    pub(super) fn takes(&self, item: &TapItem) -> bool {
        if self.conn.is_some_and(|conn| conn != item.conn)
            || self.from.is_some_and(|from| item.from.is_some_and(|one| one != from))
        {
            return false;
        }
        match &item.what {
            TapWhat::Violation(_) | TapWhat::Fault(_) => true,
            TapWhat::Opened(_) | TapWhat::Closed(_) | TapWhat::Remark(_) => {
                self.only.is_empty() && !self.has_grep
            }
            TapWhat::Head(_) | TapWhat::Http(_) | TapWhat::Frame(_) => {
                let kind = item.kind();
                let is_chosen =
                    self.only.is_empty() || self.only.iter().any(|only| only.name() == kind);
                is_chosen && (item.has_match || !self.has_grep)
            }
        }
    }
}

/// How items are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TapStyle {
    pub(super) json: bool,
    /// Each byte beside its meaning.
    pub(super) bytes: bool,
    pub(super) colour: bool,
}

/// Colours of a terminal (ECMA-48 §8.3.117).
#[derive(Clone, Copy)]
enum Colour {
    Dim = 2,
    Red = 31,
    Green = 32,
    Yellow = 33,
    Cyan = 36,
}

impl TapStyle {
    /// The lines of an item, with the end of the last.
    pub(super) fn lines(self, item: &TapItem) -> String {
        if self.json {
            return item.to_json() + "\n";
        }
        let mut lines = self.line(item);
        lines.push('\n');
        if self.bytes {
            self.listing(&item.parts, &mut lines);
        }
        lines
    }

    fn line(self, item: &TapItem) -> String {
        let seconds = item.ms as f64 / 1_000.0;
        let when = self.coloured(Colour::Dim, &format!("{seconds:>8.3}"));
        let (arrow, colour) = match (&item.what, item.from) {
            (TapWhat::Violation(_), _) => ("!!", Colour::Red),
            (TapWhat::Fault(_), _) => ("~~", Colour::Yellow),
            (_, Some(Role::Client)) => ("→", Colour::Green),
            (_, Some(Role::Server)) => ("←", Colour::Cyan),
            (_, None) => ("·", Colour::Dim),
        };
        let from = match (&item.what, item.from) {
            (TapWhat::Violation(_) | TapWhat::Fault(_), Some(from)) => {
                format!("{}: ", side_name(from))
            }
            _ => String::new(),
        };
        let arrow = self.coloured(colour, arrow);
        format!("{when} #{} {arrow} {from}{}", item.conn, what(&item.what))
    }

    fn coloured(self, colour: Colour, text: &str) -> String {
        match self.colour {
            true => format!("\x1b[{}m{text}\x1b[0m", colour as u8),
            false => text.to_owned(),
        }
    }

    /// The lines of `parlor decode`.
    fn listing(self, parts: &[TapPart], lines: &mut String) {
        let chars = |text: &str| text.chars().count();
        let offsets = parts.iter().map(|part| part.offset.to_string().len()).max().unwrap_or(0);
        let bytes = parts.iter().map(|part| chars(&shown_bytes(part))).max().unwrap_or(0).max(10);
        let meanings = parts.iter().map(|part| chars(&part.meaning).min(MEANING_CHARS_MAX));
        let meanings = meanings.max().unwrap_or(0).max(33);
        for part in parts {
            let clause = self.coloured(Colour::Dim, part.clause);
            // A text grows without an error.
            let _ = writeln!(
                lines,
                "             {:<offsets$}  {:<bytes$}  {:<meanings$}  {clause}",
                part.offset,
                shown_bytes(part),
                part.meaning,
            );
        }
    }
}

/// What an item says in a line.
fn what(what: &TapWhat) -> String {
    match what {
        TapWhat::Opened(text)
        | TapWhat::Http(text)
        | TapWhat::Head(text)
        | TapWhat::Remark(text)
        | TapWhat::Fault(text)
        | TapWhat::Closed(text) => shown(text),
        TapWhat::Frame(frame) => frame_line(frame),
        TapWhat::Violation(error) => {
            let code = error.violation.close_code().0;
            format!("violation: {error}; close code {code}, {}", close::meaning(code))
        }
    }
}

fn frame_line(frame: &TapFrame) -> String {
    let header = &frame.header;
    let name = match header.opcode {
        Opcode::Continuation => "Continuation",
        Opcode::Text => "Text",
        Opcode::Binary => "Binary",
        Opcode::Close => "Close",
        Opcode::Ping => "Ping",
        Opcode::Pong => "Pong",
    };
    let len = header.payload_len;
    let bytes = if len == 1 { "byte" } else { "bytes" };
    let mut line = format!("{name} {len} {bytes}");
    if !header.fin {
        line += ", not the last frame";
    }
    if let Some(message) = &frame.message {
        line += &match (header.opcode, frame.is_compressed) {
            (Opcode::Continuation, _) => format!(", ends {} {} bytes", message.kind, message.len),
            (_, true) => format!(", inflated {} bytes", message.len),
            (_, false) => String::new(),
        };
        line.push(' ');
        line += &message_line(message);
    }
    line.trim_end().to_owned()
}

fn message_line(message: &TapMessage) -> String {
    let mut line: String = shown(&message.text).chars().take(LINE_CHARS_MAX).collect();
    if message.is_cut || message.text.chars().nth(LINE_CHARS_MAX).is_some() {
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::FrameHeader;

    fn item(what: TapWhat, from: Option<Role>) -> TapItem {
        let part = TapPart {
            offset: 66,
            len: 1,
            bytes: vec![0x81],
            meaning: "FIN=1 RSV=000 opcode=0x1 Text".to_owned(),
            clause: "RFC 6455 §5.2",
        };
        TapItem { number: 1, conn: 3, ms: 1_234, from, what, parts: vec![part], has_match: false }
    }

    fn text(text: &str) -> TapWhat {
        let header =
            FrameHeader { fin: true, rsv: 0, opcode: Opcode::Text, mask: None, payload_len: 38 };
        let message = TapMessage {
            kind: "text",
            len: 38,
            text: text.to_owned(),
            is_cut: false,
            may_have_secret: false,
        };
        TapWhat::Frame(TapFrame { header, is_compressed: false, message: Some(message) })
    }

    const PLAIN: TapStyle = TapStyle { json: false, bytes: false, colour: false };

    #[test]
    fn a_frame_is_a_line_whatever_it_says() {
        let item = item(text("{\"a\":1}\n\x1b[2J\u{202e}"), Some(Role::Client));
        assert_eq!(
            PLAIN.lines(&item),
            "   1.234 #3 → Text 38 bytes {\"a\":1}\u{fffd}\u{fffd}[2J\u{fffd}\n"
        );
        let bytes = TapStyle { bytes: true, ..PLAIN }.lines(&item);
        assert!(
            bytes.ends_with(
                "\n             66  81          FIN=1 RSV=000 opcode=0x1 Text      RFC 6455 §5.2\n"
            ),
            "{bytes}"
        );
        let coloured = TapStyle { colour: true, ..PLAIN }.lines(&item);
        assert!(coloured.contains("\x1b[32m→\x1b[0m"));
        let json = TapStyle { json: true, ..PLAIN }.lines(&item);
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["message"]["text"], "{\"a\":1}\n\x1b[2J\u{202e}");
        assert_eq!(
            (&value["kind"], &value["from"], &value["ms"]),
            (&"text".into(), &"client".into(), &1_234.into())
        );
        assert_eq!(value["parts"][0]["bytes"], "81");
        let long = PLAIN.lines(&self::item(text(&"ä".repeat(200)), None));
        assert_eq!(long.matches('ä').count(), 160);
    }

    #[test]
    fn a_filter_takes_what_it_names_and_what_is_wrong() {
        let frame = item(text("a"), Some(Role::Client));
        let opened = item(TapWhat::Opened(String::new()), None);
        let fault = item(TapWhat::Fault(String::new()), Some(Role::Server));
        let takes = |filter: &TapFilter| [&frame, &opened, &fault].map(|item| filter.takes(item));
        let all = TapFilter::default();
        assert_eq!(takes(&all), [true; 3]);
        assert_eq!(
            takes(&TapFilter { only: vec![TapKind::Text], ..all.clone() }),
            [true, false, true]
        );
        assert_eq!(
            takes(&TapFilter { only: vec![TapKind::Ping], ..all.clone() }),
            [false, false, true]
        );
        assert_eq!(
            takes(&TapFilter { from: Some(Role::Server), ..all.clone() }),
            [false, true, true]
        );
        assert_eq!(takes(&TapFilter { conn: Some(4), ..all.clone() }), [false; 3]);
        assert_eq!(takes(&TapFilter { has_grep: true, ..all }), [false, false, true]);
    }
}
