//! Frames, fragments and control frames: RFC 6455 §5.

use super::case::{Case, Play, TalkStep, Then};
use super::peer::Came;
use super::raw_frame::{
    BINARY, BINARY_BEGIN, CLOSE, LAST, MIDDLE, PING, PONG, RawFrame, TEXT, TEXT_BEGIN,
};
use std::borrow::Cow;

/// A case of a group, tried with frames.
pub(super) fn case(
    group: &'static str,
    name: impl Into<Cow<'static, str>>,
    clause: &'static str,
    duty: &'static str,
    steps: Vec<TalkStep>,
    then: Then,
) -> Case {
    Case { group, name: name.into(), clause: clause.into(), duty, play: Play::Frames(steps, then) }
}

pub(super) fn send(first: u8, payload: impl Into<Vec<u8>>) -> TalkStep {
    TalkStep::Send(RawFrame::new(first, payload))
}

/// It goes on, and an echo gives this text back.
pub(super) fn echoes(text: &str) -> Then {
    Then::GoesOn(Some(Came::Text(text.to_owned())))
}

fn echoes_bytes(bytes: Vec<u8>) -> Then {
    Then::GoesOn(Some(Came::Bytes(bytes)))
}

const PROTOCOL_ERROR: &[u16] = &[1_002];

/// A case with one frame.
fn framing_case(
    name: String,
    clause: &'static str,
    duty: &'static str,
    step: TalkStep,
    then: Then,
) -> Case {
    case("framing", name, clause, duty, vec![step], then)
}

/// RFC 6455 §5.1, §5.2.
pub(super) fn framing(text: &str) -> Vec<Case> {
    let mut cases = vec![
        framing_case(
            "text".into(),
            "RFC 6455 §5.6",
            "a text is taken",
            send(TEXT, text),
            echoes(text),
        ),
        framing_case(
            "text-in-bytes".into(),
            "RFC 6455 §5.2",
            "a frame is read however its bytes come",
            TalkStep::Slowly(RawFrame::new(TEXT, text)),
            echoes(text),
        ),
    ];
    for (name, first) in [("text", TEXT), ("ping", PING), ("close", CLOSE)] {
        cases.push(framing_case(
            format!("wrong-mask-{name}"),
            "RFC 6455 §5.1",
            "a client's frame is masked, a server's is not: the other way round, the connection fails",
            TalkStep::Send(RawFrame::new(first, if first == TEXT { text } else { "" }).with_wrong_mask()),
            if first == CLOSE { Then::FailsClose(PROTOCOL_ERROR) } else { Then::Fails(PROTOCOL_ERROR) },
        ));
    }
    for (name, key) in [("zero", [0; 4]), ("ones", [0xFF; 4]), ("one-byte", [0, 0, 0, 0x80])] {
        cases.push(framing_case(
            format!("mask-{name}"),
            "RFC 6455 §5.3",
            "any masking key is taken",
            TalkStep::Send(RawFrame::new(TEXT, text).with_key(key)),
            echoes(text),
        ));
    }
    for bit in 1..=3 {
        for (name, first) in [("text", TEXT), ("ping", PING)] {
            cases.push(framing_case(
                format!("rsv{bit}-{name}"),
                "RFC 6455 §5.2",
                "a reserved bit that no extension gave a meaning fails the connection",
                send(first | 0x80 >> bit, text),
                Then::Fails(PROTOCOL_ERROR),
            ));
        }
    }
    cases.extend(lengths(text));
    cases
}

/// Opcodes, and lengths.
fn lengths(text: &str) -> Vec<Case> {
    let mut cases = Vec::new();
    for opcode in (0x3..=0x7).chain(0xB..=0xF) {
        cases.push(framing_case(
            format!("opcode-{opcode:x}"),
            "RFC 6455 §5.2",
            "a reserved opcode fails the connection",
            send(0x80 | opcode, ""),
            Then::Fails(PROTOCOL_ERROR),
        ));
    }
    for len in [0_usize, 1, 125, 126, 127, 65_535, 65_536, 1 << 20] {
        let bytes: Vec<u8> = (0..len).map(|at| (at % 251) as u8).collect();
        cases.push(framing_case(
            format!("length-{len}"),
            "RFC 6455 §5.2",
            "a length of 7, 16 or 64 bits is read",
            send(BINARY, bytes.clone()),
            echoes_bytes(bytes),
        ));
    }
    let is_not_minimal = [
        ("two", RawFrame::new(PING, "short").with_two_bytes()),
        ("eight", RawFrame::new(TEXT, text).with_eight_bytes()),
    ];
    for (name, frame) in is_not_minimal {
        cases.push(framing_case(
            format!("length-not-minimal-{name}"),
            "RFC 6455 §5.2",
            "a length is written in the fewest bytes: a strict reader insists on that",
            TalkStep::Send(frame),
            Then::FailsOrGoesOn(PROTOCOL_ERROR),
        ));
    }
    cases.push(framing_case(
        "length-top-bit".into(),
        "RFC 6455 §5.2",
        "the most significant bit of a length of 64 bits is 0: otherwise the connection fails",
        TalkStep::Send(RawFrame::new(BINARY, "").claiming(1 << 63 | 5)),
        Then::FailsAtOnce(&[1_002, 1_009]),
    ));
    cases
}

/// RFC 6455 §5.4.
pub(super) fn fragments(text: &str) -> Vec<Case> {
    const GROUP: &str = "fragments";
    const JOINED: &str = "the fragments of a message are joined";
    let whole = |name, duty, steps| case(GROUP, name, "RFC 6455 §5.4", duty, steps, echoes(text));
    let wrong = |name, duty, steps| {
        case(GROUP, name, "RFC 6455 §5.4", duty, steps, Then::Fails(PROTOCOL_ERROR))
    };
    // Between two characters; the cases of UTF-8 cut within one.
    let cut = text.char_indices().nth(text.chars().count() / 2).map_or(0, |(at, _)| at);
    let (begin, end) = text.split_at(cut);
    let mut each: Vec<TalkStep> = text.chars().map(|one| send(MIDDLE, one.to_string())).collect();
    each.insert(0, send(TEXT_BEGIN, ""));
    each.push(send(LAST, ""));
    let bytes: Vec<u8> = (0..1_000).map(|at| (at % 251) as u8).collect();
    let mut thousand: Vec<TalkStep> = bytes.iter().map(|byte| send(MIDDLE, [*byte])).collect();
    thousand.insert(0, send(BINARY_BEGIN, ""));
    thousand.push(send(LAST, ""));
    vec![
        whole("two", JOINED, vec![send(TEXT_BEGIN, begin), send(LAST, end)]),
        whole("each-character", JOINED, each),
        whole(
            "empty",
            "fragments may be empty",
            vec![send(TEXT_BEGIN, ""), send(MIDDLE, ""), send(MIDDLE, text), send(LAST, "")],
        ),
        case(GROUP, "thousand", "RFC 6455 §5.4", JOINED, thousand, echoes_bytes(bytes)),
        whole(
            "ping-between",
            "a Ping between fragments is answered before the message ends",
            vec![
                send(TEXT_BEGIN, begin),
                send(PING, "between"),
                TalkStep::AwaitPong(b"between".to_vec()),
                send(LAST, end),
            ],
        ),
        whole(
            "pong-between",
            "a Pong between fragments changes nothing",
            vec![send(TEXT_BEGIN, begin), send(PONG, "between"), send(LAST, end)],
        ),
        case(
            GROUP,
            "close-between",
            "RFC 6455 §5.4",
            "a Close between fragments is answered",
            vec![send(TEXT_BEGIN, begin), TalkStep::Send(RawFrame::close(1_000, b""))],
            // Some fail the connection, as the message has not ended.
            Then::ClosesSomehow,
        ),
        wrong(
            "continuation-first",
            "a continuation without a message to go on with fails the connection",
            vec![send(LAST, text)],
        ),
        wrong(
            "continuation-first-open",
            "a continuation without a message to go on with fails the connection",
            vec![send(MIDDLE, text)],
        ),
        wrong(
            "continuation-behind",
            "a continuation behind the end of its message fails the connection",
            vec![send(TEXT_BEGIN, begin), send(LAST, end), send(LAST, end)],
        ),
        wrong(
            "text-within-text",
            "a message that begins before the last one has ended fails the connection",
            vec![send(TEXT_BEGIN, begin), send(TEXT, text)],
        ),
        wrong(
            "bytes-within-text",
            "a message that begins before the last one has ended fails the connection",
            vec![send(TEXT_BEGIN, begin), send(BINARY, "bytes")],
        ),
        wrong(
            "begin-within-bytes",
            "a message that begins before the last one has ended fails the connection",
            vec![send(BINARY_BEGIN, "begin"), send(TEXT_BEGIN, begin)],
        ),
    ]
}

/// RFC 6455 §5.5.
pub(super) fn control(text: &str) -> Vec<Case> {
    const GROUP: &str = "control";
    let wrong = |name, duty, frame: RawFrame| {
        case(
            GROUP,
            name,
            "RFC 6455 §5.5",
            duty,
            vec![TalkStep::Send(frame)],
            Then::Fails(PROTOCOL_ERROR),
        )
    };
    const FRAGMENTED: &str = "a control frame is not fragmented: otherwise the connection fails";
    const LONG: &str = "a control frame has at most 125 bytes: otherwise the connection fails";
    let mut cases = vec![
        wrong("ping-fragmented", FRAGMENTED, RawFrame::new(PING & 0x0F, "begin")),
        wrong("pong-fragmented", FRAGMENTED, RawFrame::new(PONG & 0x0F, "begin")),
        case(
            GROUP,
            "close-fragmented",
            "RFC 6455 §5.5",
            FRAGMENTED,
            vec![send(CLOSE & 0x0F, [])],
            Then::FailsClose(PROTOCOL_ERROR),
        ),
        wrong("ping-126", LONG, RawFrame::new(PING, [b'p'; 126])),
        wrong("pong-126", LONG, RawFrame::new(PONG, [b'p'; 126])),
        wrong("ping-65536", LONG, RawFrame::new(PING, vec![b'p'; 65_536])),
        case(
            GROUP,
            "pong-unasked",
            "RFC 6455 §5.5.3",
            "a Pong that nobody asked for is taken, and not answered",
            vec![send(PONG, "unasked"), send(PONG, "")],
            Then::GoesOn(None),
        ),
        case(
            GROUP,
            "pings",
            "RFC 6455 §5.5.3",
            "of several Pings that came at once the last is answered at least",
            vec![
                TalkStep::AtOnce((0..10).map(|at| RawFrame::new(PING, format!("{at}"))).collect()),
                TalkStep::AwaitPong(b"9".to_vec()),
            ],
            Then::GoesOn(None),
        ),
        case(
            GROUP,
            "ping-in-bytes",
            "RFC 6455 §5.5.2",
            "a Ping is answered however its bytes come",
            vec![
                TalkStep::Slowly(RawFrame::new(PING, "slowly")),
                TalkStep::AwaitPong(b"slowly".to_vec()),
            ],
            Then::GoesOn(None),
        ),
        case(
            GROUP,
            "messages-at-once",
            "RFC 6455 §5.4",
            "frames that come at once are taken in their order",
            vec![TalkStep::AtOnce(vec![
                RawFrame::new(PING, "before"),
                RawFrame::new(PONG, ""),
                RawFrame::new(TEXT, text),
            ])],
            echoes(text),
        ),
    ];
    cases.extend(pings());
    cases
}

/// Pings, and what comes back.
fn pings() -> Vec<Case> {
    const GROUP: &str = "control";
    let mut cases = Vec::new();
    let payloads: [(&str, Vec<u8>); 4] = [
        ("empty", Vec::new()),
        ("text", b"parlor".to_vec()),
        ("bytes", vec![0xFF, 0x00, 0xFE, 0x80]),
        ("125", vec![b'p'; 125]),
    ];
    for (name, payload) in payloads {
        cases.push(case(
            GROUP,
            format!("ping-{name}"),
            "RFC 6455 §5.5.2, §5.5.3",
            "a Ping is answered with a Pong of the same payload",
            vec![send(PING, payload.clone()), TalkStep::AwaitPong(payload)],
            Then::GoesOn(None),
        ));
    }
    cases
}
