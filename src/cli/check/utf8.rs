//! Text is UTF-8: RFC 6455 §5.6, §8.1, RFC 3629.

use super::case::{Case, Then};
use super::frames::{case, echoes, send};
use super::raw_frame::{BINARY, LAST, MIDDLE, TEXT, TEXT_BEGIN};

const GOOD: &[(&str, &str)] = &[
    ("nul", "a\0b"),
    ("two-bytes", "\u{80}é\u{7ff}"),
    ("three-bytes", "\u{800}€\u{d7ff}\u{e000}\u{ffff}"),
    ("four-bytes", "\u{10000}𝄞\u{10ffff}"),
    ("byte-order-mark", "\u{feff}mark"),
    ("noncharacters", "\u{fdd0}\u{fffe}\u{1fffe}"),
];
const BAD: &[(&str, &[u8])] = &[
    ("lone-continuation", b"a\x80b"),
    ("lone-beginning", b"a\xc3b"),
    ("overlong-two", b"\xc0\xaf"),
    ("overlong-three", b"\xe0\x80\xaf"),
    ("overlong-four", b"\xf0\x80\x80\xaf"),
    ("overlong-nul", b"\xc1\x80"),
    ("surrogate", b"\xed\xa0\x80"),
    ("surrogate-pair", b"\xed\xa0\xb4\xed\xb4\x9e"),
    ("above-10ffff", b"\xf4\x90\x80\x80"),
    ("five-bytes", b"\xf8\x88\x80\x80\x80"),
    ("fe", b"\xfe"),
    ("ff", b"\xff"),
    ("cut", b"caf\xc3"),
    ("cut-of-four", b"\xf0\x9d\x84"),
];
/// The bytes of a character, for cuts within it.
const CLEF: &[u8] = "𝄞".as_bytes();
const INVALID: &[u16] = &[1_007];

pub(super) fn utf8() -> Vec<Case> {
    const GROUP: &str = "utf8";
    let mut cases = Vec::new();
    for (name, text) in GOOD {
        let (clause, duty) = ("RFC 6455 §5.6, RFC 3629 §3", "a text of any characters is taken");
        cases.push(case(GROUP, *name, clause, duty, vec![send(TEXT, *text)], echoes(text)));
    }
    for at in 1..CLEF.len() {
        let (begin, end) = CLEF.split_at(at);
        cases.push(case(
            GROUP,
            format!("cut-by-fragments-{at}"),
            "RFC 6455 §5.6",
            "a fragment may end within a character",
            vec![send(TEXT_BEGIN, begin), send(MIDDLE, ""), send(LAST, end)],
            echoes("𝄞"),
        ));
    }
    let duty = "a text that is not UTF-8 fails the connection";
    for (name, bytes) in BAD {
        let then = Then::Fails(INVALID);
        cases.push(case(GROUP, *name, "RFC 6455 §8.1", duty, vec![send(TEXT, *bytes)], then));
    }
    cases.push(case(
        GROUP,
        "wrong-in-last-fragment",
        "RFC 6455 §8.1",
        duty,
        vec![send(TEXT_BEGIN, "caf"), send(LAST, [0xC3])],
        Then::Fails(INVALID),
    ));
    cases.push(case(
        GROUP,
        "wrong-across-fragments",
        "RFC 6455 §8.1",
        duty,
        vec![send(TEXT_BEGIN, [0xC3]), send(LAST, "(")],
        Then::Fails(INVALID),
    ));
    cases.push(case(
        GROUP,
        "bytes",
        "RFC 6455 §5.6",
        "a binary message need not be UTF-8",
        vec![send(BINARY, [0xC3, 0x28, 0xFF])],
        Then::GoesOn(Some(super::peer::Came::Bytes(vec![0xC3, 0x28, 0xFF]))),
    ));
    cases
}
