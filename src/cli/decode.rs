//! `parlor decode`: what every byte of a WebSocket stream means.

use super::CommandFailure;
use crate::protocol::endpoint::annotate::{Note, Reading, annotate, hex, quoted};
use crate::protocol::{Event, Role, close};
use crate::wire::json::Writer;
use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use clap::{Args, ValueEnum};
use std::io::{self, BufWriter, Read, Write};
use std::path::PathBuf;

/// What is read of a file or of standard input.
const INPUT_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Bytes that are shown in a line.
const BYTES_SHOWN: usize = 16;

/// Options of `parlor decode`.
#[derive(Debug, Args)]
#[command(after_help = "\
Example: the masked \"Hello\" of RFC 6455 §5.7
  printf 818537fa213d7f9f4d5158 | parlor decode --hex --from client

The stream is what one end sent: frames, or its half of the opening handshake followed by frames. \
A violation of the protocol is marked !! with its clause and the close code, and decoding stops \
there. The exit status is 0 even then; it is 1 if the input cannot be read, and 2 if it is not in \
the form that the options name.")]
pub(super) struct DecodeArgs {
    /// The stream, at most 64 MiB; standard input without it, or with -
    file: Option<PathBuf>,

    /// The input is in hexadecimal; white space, `:`, `,`, `-`, `0x` and `\x` are skipped
    #[arg(long, group = "form")]
    hex: bool,

    /// The input is in base64
    #[arg(long, group = "form")]
    base64: bool,

    /// The input is the bytes themselves, as it is without --hex and --base64
    #[arg(long, group = "form")]
    raw: bool,

    /// Who sent it: a client's frames must be masked, a server's must not
    #[arg(long, value_name = "END")]
    from: Side,

    /// permessage-deflate was negotiated (RFC 7692): inflate compressed messages
    #[arg(long)]
    inflate: bool,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Side {
    Client,
    Server,
}

pub(super) fn run(args: &DecodeArgs) -> Result<(), CommandFailure> {
    let stream = stream(args)?;
    let from = match args.from {
        Side::Client => Role::Client,
        Side::Server => Role::Server,
    };
    let reading = Reading { from, inflate: args.inflate };
    let mut out = BufWriter::new(io::stdout().lock());
    let print = if args.json { print_json } else { print_text };
    match print(&stream, reading, &mut out).and_then(|()| out.flush()) {
        // Whoever reads has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(CommandFailure::new(format!("cannot write: {error}"))),
        Ok(()) => Ok(()),
    }
}

/// The bytes that the options name.
fn stream(args: &DecodeArgs) -> Result<Vec<u8>, CommandFailure> {
    let mut bytes = Vec::new();
    let (name, read) = match args.file.as_deref().filter(|path| path.as_os_str() != "-") {
        Some(path) => {
            let file = std::fs::File::open(path);
            let read = file.and_then(|file| file.take(INPUT_BYTES_MAX + 1).read_to_end(&mut bytes));
            (path.display().to_string().escape_debug().to_string(), read)
        }
        None => {
            let read = io::stdin().lock().take(INPUT_BYTES_MAX + 1).read_to_end(&mut bytes);
            ("standard input".to_owned(), read)
        }
    };
    let len = read.map_err(|error| CommandFailure::new(format!("cannot read {name}: {error}")))?;
    if len as u64 > INPUT_BYTES_MAX {
        let message = format!("{name} has more than {INPUT_BYTES_MAX} bytes: decode a part of it");
        return Err(CommandFailure::usage(message));
    }
    if args.hex {
        from_hex(&bytes)
            .map_err(|what| CommandFailure::usage(format!("{name} is not hexadecimal: {what}")))
    } else if args.base64 {
        bytes.retain(|byte| !byte.is_ascii_whitespace());
        from_base64(&bytes)
            .map_err(|what| CommandFailure::usage(format!("{name} is not base64: {what}")))
    } else {
        Ok(bytes)
    }
}

fn from_hex(text: &[u8]) -> Result<Vec<u8>, String> {
    let (mut bytes, mut high, mut rest) = (Vec::with_capacity(text.len() / 2), None, text);
    while let [first, after @ ..] = rest {
        let is_between = high.is_none();
        rest = match rest {
            [b'0' | b'\\', b'x' | b'X', after @ ..] if is_between => after,
            [b':' | b',' | b'-', after @ ..] if is_between => after,
            [space, after @ ..] if space.is_ascii_whitespace() => after,
            _ => {
                let place = text.len() - rest.len();
                let digit = (*first as char)
                    .to_digit(16)
                    .ok_or_else(|| format!("{} at byte {place}", quoted(&[*first])))?
                    as u8;
                match high.take() {
                    Some(high) => bytes.push(high << 4 | digit),
                    None => high = Some(digit),
                }
                after
            }
        };
    }
    if high.is_some() { Err("an odd number of digits".to_owned()) } else { Ok(bytes) }
}

fn from_base64(text: &[u8]) -> Result<Vec<u8>, String> {
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let alphabet = if text.iter().any(|byte| matches!(byte, b'-' | b'_')) {
        &base64::alphabet::URL_SAFE
    } else {
        &base64::alphabet::STANDARD
    };
    GeneralPurpose::new(alphabet, config).decode(text).map_err(|error| error.to_string())
}

/// The listing of a stream, and the events that it comes to.
fn print_text(stream: &[u8], reading: Reading, out: &mut dyn Write) -> io::Result<()> {
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
            Note::Bytes { .. } | Note::Unfinished(_) | Note::Ignored { .. } => return,
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

/// A line of the listing.
struct Row {
    offset: u64,
    bytes: String,
    meaning: String,
    clause: &'static str,
}

impl Row {
    fn of(note: &Note<'_>, stream_len: usize) -> Option<Row> {
        Some(match note {
            Note::Bytes { offset, bytes, meaning, clause } => {
                let shown = &bytes[..bytes.len().min(BYTES_SHOWN)];
                let more = if bytes.len() > BYTES_SHOWN { "…" } else { "" };
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
            Note::Event(_) => return None,
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
    /// Makes room for a row; not for the sentences of those that are not about bytes.
    fn widen(&mut self, row: &Row, is_of_bytes: bool) {
        /// What is longer than this moves its own line's clause alone.
        const MEANING_MAX: usize = 60;
        self.offset = self.offset.max(row.offset.to_string().len());
        self.bytes = self.bytes.max(row.bytes.chars().count());
        if is_of_bytes {
            self.meaning = self.meaning.max(row.meaning.chars().count().min(MEANING_MAX));
        }
    }

    /// Prints a row. The document of its clause is named where it is not that of the row before.
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

/// One JSON object, written as it comes.
fn print_json(stream: &[u8], reading: Reading, out: &mut dyn Write) -> io::Result<()> {
    write!(out, "{{\"bytes\":{},\"annotations\":[", stream.len())?;
    let mut list = List { out, is_begun: false, done: Ok(()) };
    annotate(stream, reading, &mut |note| {
        if let Note::Bytes { offset, bytes, meaning, clause } = note {
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
    let mut end = Writer::new();
    let mut ends = Vec::new();
    annotate(stream, reading, &mut |note| match note {
        Note::Event(event) => list.item(|w| event_to_json(w, event)),
        Note::Violation(error) => ends.push((
            "violation",
            object(|w| {
                let violation = error.violation;
                w.text("name", &format!("{violation:?}"));
                w.text("sentence", violation.sentence());
                w.text("clause", violation.clause());
                w.number("close_code", violation.close_code().0);
                w.number("frame_offset", error.frame_offset);
            }),
        )),
        Note::Unfinished(what) => ends.push(("unfinished", object(|w| w.text("what", &what)))),
        Note::Ignored { offset, len, .. } => ends.push((
            "ignored",
            object(|w| {
                w.number("offset", offset);
                w.number("bytes", len);
            }),
        )),
        Note::Bytes { .. } => {}
    });
    list.done?;
    end.object(|w| {
        for name in ["violation", "unfinished", "ignored"] {
            let value = ends.iter().find(|(of, _)| *of == name).map(|(_, value)| value.as_str());
            w.raw(name, value.unwrap_or("null"));
        }
    });
    // The members of one object go on in the other.
    writeln!(out, "],{}", &end.finish()[1..])
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

/// The items of an array, each written when it is there.
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

fn object(fill: impl FnOnce(&mut Writer)) -> String {
    let mut writer = Writer::new();
    writer.object(fill);
    writer.finish()
}

fn all_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| DIGITS[usize::from(nibble & 0x0F)] as char;
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}

/// Decodes a stream into the listing, or into JSON: what the command prints.
///
/// # Errors
/// What `out` says.
pub fn decode(stream: &[u8], reading: Reading, json: bool, out: &mut dyn Write) -> io::Result<()> {
    let print = if json { print_json } else { print_text };
    print(stream, reading, out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(stream: &[u8], from: Role, json: bool) -> String {
        let mut out = Vec::new();
        decode(stream, Reading { from, inflate: true }, json, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    const HELLO: [u8; 11] = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];

    #[test]
    fn the_masked_hello_of_section_5_7() {
        assert_eq!(
            listing(&HELLO, Role::Client, false),
            "\
0  81          FIN=1 RSV=000 opcode=0x1 Text      RFC 6455 §5.2
1  85          MASK=1 length=5                    §5.2
2  37fa213d    masking key                        §5.3
6  7f9f4d5158  payload \"Hello\"                    §5.3, §8.1

events:
  Text \"Hello\" (5 bytes)
"
        );
    }

    #[test]
    fn a_violation_is_marked_with_its_clause_and_code_and_ends_the_listing() {
        let listing = listing(&[&HELLO[..], &HELLO].concat(), Role::Server, false);
        assert!(listing.contains("0  !!          violation: a server's frame is masked; close code 1002, protocol error  §5.1\n"), "{listing}");
        assert!(listing.contains("6  ..          16 more, not read"), "{listing}");
        assert!(listing.ends_with("events:\n  Failed a server's frame is masked, in the frame at byte 0 (RFC 6455 §5.1)\n"), "{listing}");
        assert!(super::tests::listing(b"", Role::Client, false).ends_with("no events\n"));
    }

    #[test]
    fn json_says_the_same() {
        let json = listing(&[&HELLO[..], &[0x88]].concat(), Role::Client, true);
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["annotations"][3]["bytes"], "7f9f4d5158");
        assert_eq!(value["annotations"][3]["clause"], "RFC 6455 §5.3, §8.1");
        assert_eq!(value["events"][0]["text"], "Hello");
        assert_eq!(value["violation"], serde_json::Value::Null);
        assert_eq!(value["unfinished"]["what"], "the frame's header is not all there");
        let value: serde_json::Value =
            serde_json::from_str(&listing(&HELLO, Role::Server, true)).unwrap();
        assert_eq!(value["violation"]["close_code"], 1002);
        assert_eq!(value["ignored"]["bytes"], 5);
    }

    #[test]
    fn hexadecimal_and_base64_are_read_as_people_write_them() {
        for text in ["8185 37fa", "81:85:37:FA", "0x81, 0x85, 0x37, 0xfa\n", "\\x81\\x85\\x37\\xfa"]
        {
            assert_eq!(from_hex(text.as_bytes()).as_deref(), Ok(&HELLO[..4]), "{text}");
        }
        assert_eq!(from_hex(b"818").unwrap_err(), "an odd number of digits");
        assert_eq!(from_hex(b"81 8g").unwrap_err(), "\"g\" at byte 4");
        for text in ["gYU3+g==", "gYU3+g", "gYU3-g"] {
            assert_eq!(from_base64(text.as_bytes()).as_deref(), Ok(&HELLO[..4]), "{text}");
        }
        assert!(from_base64(b"gYU*").is_err());
    }
}
