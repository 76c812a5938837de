//! The listing for people: a line for each part of each frame, then the events.

use crate::protocol::endpoint::annotate::{Note, Reading, annotate, hex, quoted};
use crate::protocol::{Event, close};
use std::io::{self, Write};

/// Bytes shown in a line.
const BYTES_SHOWN: usize = 16;

/// Prints the listing of a stream, and its events.
pub(super) fn print(stream: &[u8], reading: Reading, out: &mut dyn Write) -> io::Result<()> {
    let mut columns = ColumnWidths { offset: 0, bytes: 10, meaning: 33 };
    annotate(stream, reading, &mut |note| {
        if let Some(row) = Row::of(&note, stream.len()) {
            columns.widen(&row, matches!(note, Note::Bytes { .. }));
        }
    });
    let mut done = Ok(());
    let mut document = "";
    annotate(stream, reading, &mut |note| {
        if let Some(row) = Row::of(&note, stream.len())
            && done.is_ok()
        {
            done = columns.print(&row, &mut document, out);
        }
    });
    done?;
    let mut count = 0u64;
    let mut done = Ok(());
    annotate(stream, reading, &mut |note| {
        let line = match note {
            Note::Event(event) => shown(event),
            Note::Violation(error) => format!("Failed {error}"),
            Note::Bytes { .. } | Note::Frame(_) | Note::Unfinished(_) | Note::Ignored { .. } => {
                return;
            }
        };
        if count == 0 && done.is_ok() {
            done = writeln!(out, "\nevents:");
        }
        count += 1;
        if done.is_ok() {
            done = writeln!(out, "  {line}");
        }
    });
    done?;
    if count == 0 { writeln!(out, "\nno events") } else { Ok(()) }
}

struct Row {
    offset: u64,
    bytes: String,
    meaning: String,
    clause: &'static str,
}

impl Row {
    fn of(note: &Note<'_>, stream_len: usize) -> Option<Row> {
        Some(match note {
            Note::Bytes { offset, bytes, len, meaning, clause } => {
                let shown = &bytes[..bytes.len().min(BYTES_SHOWN)];
                let more = if *len > BYTES_SHOWN as u64 { "…" } else { "" };
                let bytes = hex(shown, shown.len()) + more;
                Row { offset: *offset, bytes, meaning: meaning.clone(), clause }
            }
            Note::Violation(error) => {
                let violation = error.violation;
                let code = violation.close_code().0;
                let (sentence, name) = (violation.sentence(), close::meaning(code));
                Row {
                    offset: error.frame_offset,
                    bytes: "!!".to_owned(),
                    meaning: format!("violation: {sentence}; close code {code}, {name}"),
                    clause: violation.clause(),
                }
            }
            Note::Unfinished(what) => Row {
                offset: stream_len as u64,
                bytes: "..".to_owned(),
                meaning: format!("unfinished: {what}"),
                clause: "",
            },
            Note::Ignored { offset, len, clause } => Row {
                offset: *offset,
                bytes: "..".to_owned(),
                meaning: format!("{len} more, not read: the connection is over"),
                clause,
            },
            Note::Event(_) | Note::Frame(_) => return None,
        })
    }
}

/// Widths of the listing's columns, in characters.
struct ColumnWidths {
    offset: usize,
    bytes: usize,
    meaning: usize,
}

impl ColumnWidths {
    /// Widens the columns for a row. Only rows about bytes affect the meaning's width.
    fn widen(&mut self, row: &Row, is_of_bytes: bool) {
        /// A longer meaning shifts only the clause on its own line.
        const MEANING_MAX: usize = 60;
        self.offset = self.offset.max(row.offset.to_string().len());
        self.bytes = self.bytes.max(row.bytes.chars().count());
        if is_of_bytes {
            self.meaning = self.meaning.max(row.meaning.chars().count().min(MEANING_MAX));
        }
    }

    /// Prints a row. Names the clause's document if it differs from the previous row's.
    fn print(&self, row: &Row, document: &mut &'static str, out: &mut dyn Write) -> io::Result<()> {
        const DOCUMENTS: &[&str] = &["RFC 6455 ", "RFC 7692 ", "RFC 9112 "];
        let named = DOCUMENTS.iter().find(|name| row.clause.starts_with(**name)).unwrap_or(&"");
        let clause = if *named == *document && !row.clause.contains(", RFC") {
            &row.clause[named.len()..]
        } else {
            row.clause
        };
        if !named.is_empty() {
            *document = named;
        }
        let ColumnWidths { offset, bytes, meaning } = *self;
        let line = format!(
            "{:<offset$}  {:<bytes$}  {:<meaning$}  {clause}",
            row.offset, row.bytes, row.meaning
        );
        writeln!(out, "{}", line.trim_end())
    }
}

fn shown(event: &Event<'_>) -> String {
    match event {
        Event::Text(text) => format!("Text {} ({} bytes)", quoted(text.as_bytes()), text.len()),
        Event::Binary(bytes) if bytes.len() <= BYTES_SHOWN => {
            format!("Binary {} ({} bytes)", hex(bytes, 0), bytes.len())
        }
        Event::Binary(bytes) => format!("Binary {}", hex(bytes, bytes.len())),
        Event::Ping(bytes) => format!("Ping {}", quoted(bytes)),
        Event::Pong(bytes) => format!("Pong {}", quoted(bytes)),
        Event::Closed { code: Some(code), reason } => {
            format!("Closed {code}, {}, {}", close::meaning(code.0), quoted(reason.as_bytes()))
        }
        Event::Closed { code: None, .. } => "Closed without a status code".to_owned(),
    }
}
