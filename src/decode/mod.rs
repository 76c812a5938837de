//! Explains every byte of a WebSocket stream: the output of `parlor decode`.

mod json;
mod text;

use crate::protocol::endpoint::annotate::Reading;
use std::io::{self, Write};

/// Decodes a stream into a listing, or into one JSON object.
///
/// # Errors
/// The errors of `out`.
pub fn decode(stream: &[u8], reading: Reading, json: bool, out: &mut dyn Write) -> io::Result<()> {
    if json { json::print(stream, reading, out) } else { text::print(stream, reading, out) }
}

/// Bytes in hexadecimal digits.
pub(crate) fn all_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| DIGITS[usize::from(nibble & 0x0F)] as char;
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Role;

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
        assert!(self::listing(b"", Role::Client, false).ends_with("no events\n"));
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
}
