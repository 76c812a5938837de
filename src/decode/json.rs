//! The output as one JSON object, for programs.

use super::all_hex;
use crate::protocol::Event;
use crate::protocol::endpoint::annotate::{Note, Reading, annotate};
use crate::wire::json::{Writer, object};
use std::io::{self, Write};

/// Prints one JSON object, piece by piece.
pub(super) fn print(stream: &[u8], reading: Reading, out: &mut dyn Write) -> io::Result<()> {
    write!(out, "{{\"bytes\":{},\"annotations\":[", stream.len())?;
    let mut list = List { out, is_begun: false, done: Ok(()) };
    annotate(stream, reading, &mut |note| {
        if let Note::Bytes { offset, bytes, meaning, clause, .. } = note {
            list.item(|w| {
                w.number("offset", offset);
                w.text("bytes", &all_hex(bytes));
                w.text("meaning", &meaning);
                w.text("clause", clause);
            });
        }
    });
    list.done?;
    write!(out, "],\"events\":[")?;
    let mut list = List { out, is_begun: false, done: Ok(()) };
    let (mut violation, mut unfinished, mut ignored) = (None, None, None);
    annotate(stream, reading, &mut |note| match note {
        Note::Event(event) => list.item(|w| event_to_json(w, event)),
        Note::Violation(error) => {
            violation = Some(object(|w| {
                let violation = error.violation;
                w.text("name", &format!("{violation:?}"));
                w.text("sentence", violation.sentence());
                w.text("clause", violation.clause());
                w.number("close_code", violation.close_code().0);
                w.number("frame_offset", error.frame_offset);
            }));
        }
        Note::Unfinished(what) => unfinished = Some(object(|w| w.text("what", &what))),
        Note::Ignored { offset, len, .. } => {
            ignored = Some(object(|w| {
                w.number("offset", offset);
                w.number("bytes", len);
            }));
        }
        Note::Bytes { .. } | Note::Frame(_) => {}
    });
    list.done?;
    let end = object(|w| {
        let ends = [("violation", violation), ("unfinished", unfinished), ("ignored", ignored)];
        for (name, value) in &ends {
            w.raw(name, value.as_deref().unwrap_or("null"));
        }
    });
    // Joins the members of the second object to the first.
    writeln!(out, "],{}", &end[1..])
}

fn event_to_json(w: &mut Writer, event: &Event<'_>) {
    match event {
        Event::Text(text) => {
            w.text("event", "text");
            w.text("text", text);
        }
        Event::Binary(bytes) => {
            w.text("event", "binary");
            w.text("bytes", &all_hex(bytes));
        }
        Event::Ping(bytes) => {
            w.text("event", "ping");
            w.text("bytes", &all_hex(bytes));
        }
        Event::Pong(bytes) => {
            w.text("event", "pong");
            w.text("bytes", &all_hex(bytes));
        }
        Event::Closed { code, reason } => {
            w.text("event", "closed");
            match code {
                Some(code) => w.number("code", code.0),
                None => w.raw("code", "null"),
            }
            w.text("reason", reason);
        }
    }
}

/// The items of an array, each written immediately.
struct List<'o> {
    out: &'o mut dyn Write,
    is_begun: bool,
    done: io::Result<()>,
}

impl List<'_> {
    fn item(&mut self, fill: impl FnOnce(&mut Writer)) {
        let comma = if std::mem::replace(&mut self.is_begun, true) { "," } else { "" };
        if self.done.is_ok() {
            self.done = write!(self.out, "{comma}{}", object(fill));
        }
    }
}
