//! Closing: RFC 6455 §5.5.1, §7.

use super::case::{Case, TalkStep, Then};
use super::frames::{case, send};
use super::raw_frame::{CLOSE, PING, RawFrame, TEXT};

/// Codes that stand in a Close (RFC 6455 §7.4.1, §7.4.2, and IANA's registry).
const MAY_BE_SENT: &[u16] = &[
    1_000, 1_001, 1_002, 1_003, 1_007, 1_008, 1_009, 1_010, 1_011, 1_012, 1_013, 1_014, 3_000,
    3_999, 4_000, 4_999,
];
/// Codes that stand in none.
const MUST_NOT: &[u16] =
    &[0, 999, 1_004, 1_005, 1_006, 1_015, 1_016, 1_100, 2_000, 2_999, 5_000, 65_535];

const GROUP: &str = "closing";

pub(super) fn closing(text: &str) -> Vec<Case> {
    let mut cases = closes(text);
    cases.extend(fails());
    for code in MAY_BE_SENT {
        cases.push(case(
            GROUP,
            format!("code-{code}"),
            "RFC 6455 §7.4",
            "a code that may be sent is taken",
            vec![close(*code, b"")],
            Then::Closes(Some(*code)),
        ));
    }
    for code in MUST_NOT {
        cases.push(case(
            GROUP,
            format!("code-{code}"),
            "RFC 6455 §7.4",
            "a code that must not be sent fails the connection",
            vec![close(*code, b"")],
            Then::RefusesCode(*code),
        ));
    }
    cases
}

fn close(code: u16, reason: &[u8]) -> TalkStep {
    TalkStep::Send(RawFrame::close(code, reason))
}

/// A Close that is right.
fn closes(text: &str) -> Vec<Case> {
    vec![
        case(
            GROUP,
            "empty",
            "RFC 6455 §5.5.1",
            "a Close without a code is answered",
            vec![send(CLOSE, [])],
            Then::Closes(None),
        ),
        case(
            GROUP,
            "reason",
            "RFC 6455 §5.5.1",
            "a Close may have a reason of up to 123 bytes",
            vec![close(1_000, &[b'r'; 123])],
            Then::Closes(Some(1_000)),
        ),
        case(
            GROUP,
            "behind-text",
            "RFC 6455 §5.5.1",
            "what came before a Close does not hinder its answer",
            vec![send(TEXT, text), close(1_000, b"")],
            Then::Closes(Some(1_000)),
        ),
        case(
            GROUP,
            "ping-behind",
            "RFC 6455 §5.5.1",
            "what comes behind a Close is not answered",
            vec![close(1_000, b""), send(PING, "behind"), send(TEXT, text)],
            Then::Closes(Some(1_000)),
        ),
        case(
            GROUP,
            "twice",
            "RFC 6455 §5.5.1",
            "a second Close is not answered",
            vec![close(1_000, b""), close(1_001, b"")],
            Then::Closes(Some(1_000)),
        ),
    ]
}

/// One that is not, or none.
fn fails() -> Vec<Case> {
    vec![
        case(
            GROUP,
            "one-byte",
            "RFC 6455 §5.5.1",
            "the body of a Close has no single byte: otherwise the connection fails",
            vec![send(CLOSE, [3])],
            Then::FailsClose(&[1_002]),
        ),
        case(
            GROUP,
            "long",
            "RFC 6455 §5.5",
            "a Close has at most 125 bytes: otherwise the connection fails",
            vec![close(1_000, &[b'r'; 124])],
            Then::FailsClose(&[1_002]),
        ),
        case(
            GROUP,
            "reason-not-utf8",
            "RFC 6455 §5.5.1, §8.1",
            "the reason of a Close is UTF-8: otherwise the connection fails",
            vec![close(1_000, b"caf\xe9")],
            Then::FailsClose(&[1_007, 1_002]),
        ),
        case(
            GROUP,
            "half-closed",
            "RFC 6455 §7.1.1",
            "a TCP connection that ends without a Close is over",
            vec![TalkStep::EndWriting],
            Then::Ends,
        ),
    ]
}
