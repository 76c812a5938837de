//! Formats a log line as text or JSON. Logged values may come from outside: lines contain no line
//! breaks, have a limited length, and cannot control a terminal.

use crate::base::limits::{LOG_MESSAGE_BYTES_MAX, LOG_VALUE_BYTES_MAX};
use crate::wire::json::object;
use log::Record;
use log::kv::{Error, Key, Value, VisitSource, VisitValue};
use std::fmt::Write as _;

/// `[TIME LEVEL TARGET] message name=value`; `level` may have colours.
pub(super) fn text(ts: &str, level: &str, record: &Record<'_>) -> String {
    let message = record.args().to_string();
    let mut line = format!("[{ts} {level} {}] ", record.target());
    for char in cut(&message, LOG_MESSAGE_BYTES_MAX).chars() {
        if is_plain(char) {
            line.push(char);
        } else {
            line.extend(char.escape_default());
        }
    }
    each_field(record, |name, value| {
        let value = match value {
            FieldValue::Number(number) => number,
            FieldValue::Text(text) if !text.is_empty() && text.chars().all(is_of_a_word) => text,
            FieldValue::Text(text) => format!("{text:?}"),
        };
        // Writing to a string does not fail.
        let _ = write!(line, " {name}={value}");
    });
    line.push('\n');
    line
}

/// `{"ts":…,"level":…,"target":…,"message":…,…}`
pub(super) fn json(ts: &str, record: &Record<'_>) -> String {
    let message = record.args().to_string();
    let mut line = object(|w| {
        w.text("ts", ts);
        w.text("level", &record.level().as_str().to_ascii_lowercase());
        w.text("target", record.target());
        w.text("message", cut(&message, LOG_MESSAGE_BYTES_MAX));
        each_field(record, |name, value| match value {
            FieldValue::Number(number) => w.raw(name, &number),
            FieldValue::Text(text) => w.text(name, &text),
        });
    });
    line.push('\n');
    line
}

enum FieldValue {
    /// An integer or a flag.
    Number(String),
    /// Anything else.
    Text(String),
}

/// Calls `tell` for each field that has a value, in order.
fn each_field(record: &Record<'_>, tell: impl FnMut(&str, FieldValue)) {
    struct FieldVisitor<F>(F);
    impl<'kvs, F: FnMut(&str, FieldValue)> VisitSource<'kvs> for FieldVisitor<F> {
        fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
            let mut read = Read(None);
            value.visit(&mut read)?;
            if let Some(field) = read.0 {
                (self.0)(key.as_str(), field);
            }
            Ok(())
        }
    }
    // This visitor never fails.
    let _ = record.key_values().visit(&mut FieldVisitor(tell));
}

/// A value that was read, if any.
struct Read(Option<FieldValue>);

impl<'v> VisitValue<'v> for Read {
    fn visit_any(&mut self, value: Value<'_>) -> Result<(), Error> {
        let text = value.to_string();
        self.0 = Some(FieldValue::Text(cut(&text, LOG_VALUE_BYTES_MAX).to_owned()));
        Ok(())
    }

    fn visit_null(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn visit_u64(&mut self, value: u64) -> Result<(), Error> {
        self.0 = Some(FieldValue::Number(value.to_string()));
        Ok(())
    }

    fn visit_i64(&mut self, value: i64) -> Result<(), Error> {
        self.0 = Some(FieldValue::Number(value.to_string()));
        Ok(())
    }

    fn visit_bool(&mut self, value: bool) -> Result<(), Error> {
        self.0 = Some(FieldValue::Number(value.to_string()));
        Ok(())
    }
}

/// The first `bytes_max` bytes of a text at most, cut between characters.
fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

/// Whether a character is printed as itself: it does not break a line, move the cursor or change
/// the direction of the text after it.
pub(super) fn is_plain(char: char) -> bool {
    let turns = matches!(char, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    !char.is_control() && !turns
}

fn is_of_a_word(char: char) -> bool {
    char.is_ascii_alphanumeric() || "-_.:/@+%".contains(char)
}

#[cfg(test)]
mod tests {
    use super::*;
    use log::Level;

    /// A line about `user`, without any other value.
    fn line(message: &str, user: &str, write: impl Fn(&Record<'_>) -> String) -> String {
        let nothing: Option<&str> = None;
        let fields: [(&str, Value<'_>); 4] = [
            ("user", Value::from(user)),
            ("count", Value::from(7)),
            ("whole", Value::from(true)),
            ("address", log::kv::ToValue::to_value(&nothing)),
        ];
        let fields = fields.as_slice();
        let args = format_args!("{message}");
        let mut record = Record::builder();
        record.level(Level::Info).target("a::b").args(args).key_values(&fields);
        write(&record.build())
    }

    const HOSTILE: &str = "x\r\n[2026 INFO parlor] \u{1b}[2Jforged \u{202e}\u{61c}\"=\\";

    #[test]
    fn a_text_line_is_one_line_whatever_is_in_it() {
        let of = |message: &str, user: &str| line(message, user, |one| text("T", "INFO ", one));
        assert_eq!(of("hello", "ada"), "[T INFO  a::b] hello user=ada count=7 whole=true\n");
        let forged = of(HOSTILE, HOSTILE);
        assert_eq!(forged.matches('\n').count(), 1, "{forged:?}");
        assert!(!forged.trim_end().chars().any(|char| !is_plain(char)), "{forged:?}");
        assert!(forged.contains(r#"user="x\r\n[2026"#), "{forged:?}");
    }

    #[test]
    fn a_json_line_is_one_object_whatever_is_in_it() {
        let of = |message: &str, user: &str| line(message, user, |one| json("T", one));
        let forged = of(HOSTILE, HOSTILE);
        assert_eq!(forged.matches('\n').count(), 1, "{forged:?}");
        let value: serde_json::Value = serde_json::from_str(&forged).unwrap();
        let expected = serde_json::json!({
            "ts": "T", "level": "info", "target": "a::b", "message": HOSTILE,
            "user": HOSTILE, "count": 7, "whole": true,
        });
        assert_eq!(value, expected);
    }

    #[test]
    fn what_is_long_is_cut_between_characters() {
        let long = "é".repeat(LOG_MESSAGE_BYTES_MAX);
        for write in [|one: &Record<'_>| text("T", "INFO", one), |one: &Record<'_>| json("T", one)]
        {
            let line = line(&long, &long, write);
            assert!(
                line.len() < 2 * (LOG_MESSAGE_BYTES_MAX + LOG_VALUE_BYTES_MAX),
                "{}",
                line.len()
            );
        }
    }
}
