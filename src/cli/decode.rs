//! `parlor decode`: explains every byte of a WebSocket stream.

use super::CommandFailure;
use crate::decode::decode;
use crate::protocol::Role;
use crate::protocol::endpoint::annotate::{Reading, quoted};
use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use clap::{Args, ValueEnum};
use std::io::{self, BufWriter, Read, Write};
use std::path::PathBuf;

/// Most bytes read from a file or standard input.
const INPUT_BYTES_MAX: u64 = 64 * 1024 * 1024;

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
    match decode(&stream, reading, args.json, &mut out).and_then(|()| out.flush()) {
        // The reader has closed the pipe.
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

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6455 §5.7.
    const HELLO: [u8; 11] = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];

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
