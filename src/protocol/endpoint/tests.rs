//! The endpoint's duties, clause by clause: bytes in, events and outbox contents out.
//!
//! Each input is tried whole, split in two at each position, and byte by byte
//! ([`assert_comes_of`]).

use super::*;
use crate::base::Class;
use crate::base::outbox::NO_SOURCE;
use crate::protocol::Violation;

/// The key of RFC 6455 §5.7.
const KEY: MaskKey = [0x37, 0xfa, 0x21, 0x3d];
/// RFC 6455 §5.7: a masked "Hello".
pub(super) const HELLO: [u8; 11] =
    [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
/// RFC 6455 §5.7: an unmasked "Hello".
const HELLO_UNMASKED: [u8; 7] = [0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f];
const LATER: Moment = Moment::from_millis(5_000);

/// First bytes of frames.
pub(super) const TEXT: u8 = 0x81;
pub(super) const TEXT_BEGINS: u8 = 0x01;
pub(super) const BINARY: u8 = 0x82;
const BINARY_BEGINS: u8 = 0x02;
pub(super) const GOES_ON: u8 = 0x00;
pub(super) const ENDS: u8 = 0x80;
pub(super) const CLOSE: u8 = 0x88;
pub(super) const PING: u8 = 0x89;
pub(super) const PONG: u8 = 0x8A;

#[derive(Debug)]
struct OneKey;

/// Masking keys, each different.
#[derive(Debug)]
pub(super) struct Counted(pub(super) u8);

impl MaskKeys for Counted {
    fn next_key(&mut self) -> MaskKey {
        self.0 += 0x10;
        [self.0, self.0 + 1, self.0 + 2, self.0 + 3]
    }
}

impl MaskKeys for OneKey {
    fn next_key(&mut self) -> MaskKey {
        KEY
    }
}

/// An [`Event`] that owns its data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Closed(Option<CloseCode>, String),
}

impl From<Event<'_>> for Seen {
    fn from(event: Event<'_>) -> Seen {
        match event {
            Event::Text(text) => Seen::Text(text.to_owned()),
            Event::Binary(bytes) => Seen::Binary(bytes.to_owned()),
            Event::Ping(bytes) => Seen::Ping(bytes.to_owned()),
            Event::Pong(bytes) => Seen::Pong(bytes.to_owned()),
            Event::Closed { code, reason } => Seen::Closed(code, reason.to_owned()),
        }
    }
}

pub(super) fn text(text: &str) -> Seen {
    Seen::Text(text.to_owned())
}

pub(super) fn server() -> Endpoint {
    Endpoint::server(Arc::default())
}

pub(super) fn client() -> Endpoint {
    Endpoint::client(Arc::default(), Box::new(OneKey))
}

fn limited(frame_bytes: u64, message_bytes: u64, fragments: u32) -> Endpoint {
    Endpoint::server(Arc::new(EndpointLimits { frame_bytes, message_bytes, fragments }))
}

/// A client's frame: `first` and the payload, masked with [`KEY`].
pub(super) fn from_client(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = from_server(first, b"");
    frame[1] = 0x80;
    match payload.len() {
        len @ 0..=125 => frame[1] |= len as u8,
        len => {
            frame[1] |= 126;
            frame.extend((len as u16).to_be_bytes());
        }
    }
    frame.extend(KEY);
    frame.extend(payload.iter().enumerate().map(|(i, byte)| byte ^ KEY[i % 4]));
    frame
}

/// A server's frame with a short payload.
pub(super) fn from_server(first: u8, payload: &[u8]) -> Vec<u8> {
    assert!(payload.len() <= 125);
    [&[first, payload.len() as u8], payload].concat()
}

fn close_body(code: u16, reason: &str) -> Vec<u8> {
    [&code.to_be_bytes(), reason.as_bytes()].concat()
}

/// Feeds all of `bytes` to `endpoint`; returns the events and the error, if any.
pub(super) fn feed(
    endpoint: &mut Endpoint,
    bytes: &[u8],
    out: &mut Outbox,
) -> (Vec<Seen>, Option<ProtocolError>) {
    let (mut events, mut failure) = (Vec::new(), None);
    let mut bytes = bytes.to_vec();
    let mut input = Received::new(&mut bytes);
    loop {
        match endpoint.next_event(&mut input, out) {
            Ok(Some(event)) => events.push(event.into()),
            Ok(None) => break,
            Err(error) => assert_eq!(failure.replace(error), None, "an endpoint fails once"),
        }
    }
    assert_eq!(input.used(), bytes.len());
    (events, failure)
}

pub(super) fn sent(out: &Outbox) -> Vec<u8> {
    out.pieces().flatten().copied().collect()
}

/// Asserts the events, the error and the sent bytes for `bytes`, however they are split.
pub(super) fn assert_comes_of(
    make: impl Fn() -> Endpoint,
    bytes: &[u8],
    events: &[Seen],
    error: Option<ProtocolError>,
    answer: &[u8],
) {
    /// Long inputs are split only near both ends.
    const NEAR: usize = 300;
    let near_an_end = |cut: &usize| *cut < NEAR || bytes.len() - cut < NEAR;
    let in_two = (0..=bytes.len()).filter(near_an_end).map(|cut| {
        let (begin, end) = bytes.split_at(cut);
        vec![begin, end]
    });
    for pieces in in_two.chain([bytes.chunks(1).collect()]) {
        let (mut endpoint, mut out) = (make(), Outbox::alone(1_000));
        let (mut seen, mut failure) = (Vec::new(), None);
        for piece in &pieces {
            let (of_piece, error) = feed(&mut endpoint, piece, &mut out);
            seen.extend(of_piece);
            failure = failure.or(error);
        }
        let lens: Vec<usize> = pieces.iter().map(|piece| piece.len()).collect();
        assert_eq!(seen, events, "in pieces of {lens:?}");
        assert_eq!(failure, error, "in pieces of {lens:?}");
        assert_eq!(sent(&out), answer, "in pieces of {lens:?}");
    }
}

/// Asserts that a server with default limits returns `events` for `bytes`, without an error.
fn assert_server_hears(bytes: &[u8], events: &[Seen], answer: &[u8]) {
    assert_comes_of(server, bytes, events, None, answer);
}

/// Asserts that `bad`, after a good message, fails a server's connection as the table of violations
/// says. The faulty frame begins `at` bytes into `bad`.
pub(super) fn assert_fails(
    make: impl Fn() -> Endpoint,
    bad: &[u8],
    at: u64,
    violation: Violation,
    clause: &str,
    code: u16,
) {
    assert_eq!(violation.clause(), clause);
    let bytes = [&HELLO, bad].concat();
    let error = ProtocolError { violation, frame_offset: HELLO.len() as u64 + at };
    let close = from_server(CLOSE, &close_body(code, violation.sentence()));
    // Earlier frames are still delivered: here only the good message.
    assert_comes_of(&make, &bytes, &[text("Hello")], Some(error), &close);

    // RFC 6455 §7.1.7: nothing is received or sent after that.
    let (mut endpoint, mut out) = (make(), Outbox::alone(1_000));
    feed(&mut endpoint, &bytes, &mut out);
    assert_eq!(endpoint.send.closing(), Closing::Closed);
    assert_eq!(feed(&mut endpoint, &[&HELLO[..], bad].concat(), &mut out), (vec![], None));
    let more = endpoint.send.message(Message::Text("more"), &mut out);
    assert_eq!((more, sent(&out)), (Err(NotSent), close));
    assert!(!owns_pieces(&endpoint));
}

/// Whether the endpoint keeps any received data on the heap.
pub(super) fn owns_pieces(endpoint: &Endpoint) -> bool {
    let shown = format!("{:?}", endpoint.receive);
    assert!(shown.contains("pieces: "), "the field that holds the pieces has another name");
    !shown.contains("pieces: None")
}

// The examples of RFC 6455 §5.7, read and written.

#[test]
fn client_reads_the_unmasked_hello_of_section_5_7_and_server_writes_it() {
    assert_comes_of(client, &HELLO_UNMASKED, &[text("Hello")], None, b"");
    let mut out = Outbox::alone(1_000);
    server().send.message(Message::Text("Hello"), &mut out).unwrap();
    assert_eq!(sent(&out), HELLO_UNMASKED);
    let mut others = Outbox::alone(1_000);
    let mut hello = Broadcast::new(Message::Text("Hello"));
    server().send.broadcast(&mut hello, Class::Durable, NO_SOURCE, &mut others).unwrap();
    assert_eq!(sent(&others), HELLO_UNMASKED);
}

#[test]
fn server_reads_the_masked_hello_of_section_5_7_and_client_writes_it() {
    assert_server_hears(&HELLO, &[text("Hello")], b"");
    let mut out = Outbox::alone(1_000);
    client().send.message(Message::Text("Hello"), &mut out).unwrap();
    assert_eq!(sent(&out), HELLO);
}

#[test]
fn client_reads_the_fragmented_hello_of_section_5_7() {
    let bytes = [0x01, 0x03, 0x48, 0x65, 0x6c, 0x80, 0x02, 0x6c, 0x6f];
    assert_comes_of(client, &bytes, &[text("Hello")], None, b"");
}

#[test]
fn client_answers_the_ping_of_section_5_7_with_the_pong_of_section_5_7() {
    let ping = [0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f];
    let pong = [0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
    assert_comes_of(client, &ping, &[Seen::Ping(b"Hello".to_vec())], None, &pong);
    assert_server_hears(&pong, &[Seen::Pong(b"Hello".to_vec())], b"");
    let mut out = Outbox::alone(1_000);
    server().send.message(Message::Ping(b"Hello"), &mut out).unwrap();
    assert_eq!(sent(&out), ping);
}

#[test]
fn client_reads_the_256_bytes_of_section_5_7_and_server_writes_them() {
    let payload: Vec<u8> = (0..=255).collect();
    let bytes = [&[0x82, 0x7E, 0x01, 0x00], &payload[..]].concat();
    assert_comes_of(client, &bytes, &[Seen::Binary(payload.clone())], None, b"");
    let mut out = Outbox::alone(1_000);
    server().send.message(Message::Binary(&payload), &mut out).unwrap();
    assert_eq!(sent(&out), bytes);
}

#[test]
fn client_reads_the_64_kib_of_section_5_7_and_server_writes_them() {
    let payload: Vec<u8> = (0..65_536).map(|i| (i % 251) as u8).collect();
    let bytes = [&[0x82, 0x7F, 0, 0, 0, 0, 0, 1, 0, 0], &payload[..]].concat();
    for piece_len in [bytes.len(), 1, 4_093] {
        let (mut client, mut out) = (client(), Outbox::alone(1_000));
        let mut seen = Vec::new();
        for piece in bytes.chunks(piece_len) {
            seen.extend(feed(&mut client, piece, &mut out).0);
        }
        assert!(seen == [Seen::Binary(payload.clone())], "in pieces of {piece_len}");
    }
    let mut out = Outbox::alone(1_000);
    server().send.message(Message::Binary(&payload), &mut out).unwrap();
    assert!(sent(&out) == bytes);
}

// The table of violations, row by row.

#[test]
fn server_fails_the_connection_on_a_reserved_bit() {
    for bit in [0x40, 0x20, 0x10] {
        let bad = from_client(TEXT | bit, b"");
        assert_fails(server, &bad, 0, Violation::ReservedBits, "RFC 6455 §5.2", 1002);
    }
}

#[test]
fn server_fails_the_connection_on_a_reserved_opcode() {
    for opcode in (0x3..=0x7).chain(0xB..=0xF) {
        let bad = [0x80 | opcode];
        assert_fails(server, &bad, 0, Violation::ReservedOpcode, "RFC 6455 §5.2", 1002);
    }
}

#[test]
fn server_fails_the_connection_on_a_length_that_is_not_minimal() {
    let violation = Violation::LengthNotMinimal;
    let bad = [BINARY, 0xFE, 0, 125];
    assert_fails(server, &bad, 0, violation, "RFC 6455 §5.2", 1002);
    let bad = [BINARY, 0xFF, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF];
    assert_fails(server, &bad, 0, violation, "RFC 6455 §5.2", 1002);
}

#[test]
fn server_fails_the_connection_on_a_length_with_its_top_bit_set() {
    let bad = [BINARY, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0];
    assert_fails(server, &bad, 0, Violation::LengthTopBit, "RFC 6455 §5.2", 1002);
}

#[test]
fn server_fails_the_connection_on_an_unmasked_frame() {
    for first in [TEXT, TEXT_BEGINS, BINARY, CLOSE, PING, PONG] {
        let bad = from_server(first, b"");
        assert_fails(server, &bad, 0, Violation::MaskMissing, "RFC 6455 §5.1", 1002);
    }
}

#[test]
fn client_fails_the_connection_on_a_masked_frame() {
    assert_eq!(Violation::MaskUnexpected.clause(), "RFC 6455 §5.1");
    for first in [TEXT, TEXT_BEGINS, BINARY, CLOSE, PING, PONG] {
        let bytes = [&HELLO_UNMASKED[..], &from_client(first, b"")].concat();
        let error = ProtocolError { violation: Violation::MaskUnexpected, frame_offset: 7 };
        let body = close_body(1002, Violation::MaskUnexpected.sentence());
        let close = from_client(CLOSE, &body);
        assert_comes_of(client, &bytes, &[text("Hello")], Some(error), &close);
    }
}

#[test]
fn server_fails_the_connection_on_a_fragmented_control_frame() {
    for first in [CLOSE, PING, PONG] {
        let bad = [first & !0x80];
        assert_fails(server, &bad, 0, Violation::ControlFragmented, "RFC 6455 §5.5", 1002);
    }
}

#[test]
fn server_fails_the_connection_on_a_control_frame_of_more_than_125_bytes() {
    for first in [CLOSE, PING, PONG] {
        for length in [0x80 | 126, 0x80 | 127] {
            let bad = [first, length];
            assert_fails(server, &bad, 0, Violation::ControlTooLong, "RFC 6455 §5.5", 1002);
        }
    }
}

#[test]
fn server_fails_the_connection_on_a_continuation_without_a_start() {
    let violation = Violation::ContinuationWithoutStart;
    assert_fails(server, &from_client(ENDS, b""), 0, violation, "RFC 6455 §5.4", 1002);
    assert_fails(server, &from_client(GOES_ON, b""), 0, violation, "RFC 6455 §5.4", 1002);
    // After a finished message there is nothing to continue either.
    let bad = [from_client(TEXT_BEGINS, b""), from_client(ENDS, b"")].concat();
    let bytes = [&bad[..], &from_client(ENDS, b"")].concat();
    let error = Some(ProtocolError { violation, frame_offset: 12 });
    let close = from_server(CLOSE, &close_body(1002, violation.sentence()));
    assert_comes_of(server, &bytes, &[text("")], error, &close);
}

#[test]
fn server_fails_the_connection_on_a_message_within_a_message() {
    for first in [TEXT, TEXT_BEGINS, BINARY, BINARY_BEGINS] {
        let bad = [from_client(TEXT_BEGINS, b""), from_client(first, b"")].concat();
        assert_fails(server, &bad, 6, Violation::MessageWithinMessage, "RFC 6455 §5.4", 1002);
    }
}

#[test]
fn server_fails_the_connection_on_a_close_body_of_one_byte() {
    let bad = from_client(CLOSE, b"\x03");
    assert_fails(server, &bad, 0, Violation::CloseBodyOneByte, "RFC 6455 §5.5.1", 1002);
}

#[test]
fn server_fails_the_connection_on_a_close_code_that_must_not_be_sent() {
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535] {
        let bad = from_client(CLOSE, &close_body(code, ""));
        assert_fails(server, &bad, 0, Violation::CloseCodeInvalid, "RFC 6455 §7.4", 1002);
    }
}

#[test]
fn server_fails_the_connection_on_a_close_reason_that_is_not_utf8() {
    for reason in [&b"\xff"[..], b"\xe2\x82"] {
        let bad = from_client(CLOSE, &[b"\x03\xe8", reason].concat());
        assert_fails(server, &bad, 0, Violation::CloseReasonNotUtf8, "RFC 6455 §5.5.1", 1007);
    }
}

#[test]
fn server_fails_the_connection_on_a_text_that_is_not_utf8() {
    let violation = Violation::TextNotUtf8;
    for payload in [&b"\xff"[..], b"\xe2\x82", b"\xed\xa0\x80", b"\xc0\xaf", b"0123456789abcde\x80"]
    {
        let bad = from_client(TEXT, payload);
        assert_fails(server, &bad, 0, violation, "RFC 6455 §8.1", 1007);
        // In fragments the fault is in the one with the first impossible byte, or in the last one.
        let bad = [from_client(TEXT_BEGINS, b"a"), from_client(ENDS, payload)].concat();
        assert_fails(server, &bad, 7, violation, "RFC 6455 §8.1", 1007);
    }
}

#[test]
fn server_fails_the_connection_on_a_frame_over_its_limit() {
    let make = || limited(5, 10, 9);
    let violation = Violation::FrameTooLarge;
    assert_fails(make, &from_client(BINARY, &[0; 6]), 0, violation, "RFC 6455 §10.4", 1009);
    assert_fails(make, &from_client(TEXT_BEGINS, &[0; 6]), 0, violation, "RFC 6455 §10.4", 1009);
}

#[test]
fn server_fails_the_connection_on_a_message_over_its_limit() {
    let make = || limited(9, 8, 9);
    let violation = Violation::MessageTooLarge;
    assert_fails(make, &from_client(BINARY, &[0; 9]), 0, violation, "RFC 6455 §10.4", 1009);
    let bad = [from_client(BINARY_BEGINS, &[0; 4]), from_client(ENDS, &[0; 5])].concat();
    assert_fails(make, &bad, 10, violation, "RFC 6455 §10.4", 1009);
}

#[test]
fn server_fails_the_connection_on_a_fragment_over_its_limit() {
    let make = || limited(9, 9, 2);
    let frames = [TEXT_BEGINS, GOES_ON, ENDS].map(|first| from_client(first, b""));
    let violation = Violation::TooManyFragments;
    assert_fails(make, &frames.concat(), 12, violation, "RFC 6455 §10.4", 1009);
}

// Limits (RFC 6455 §10.4).

#[test]
fn each_limit_may_be_reached() {
    let make = || limited(5, 10, 3);
    let bytes = [
        from_client(BINARY, b"01234"),
        from_client(TEXT_BEGINS, b"01234"),
        from_client(GOES_ON, b""),
        from_client(ENDS, b"56789"),
        // The counts restart with each message and exclude control frames.
        from_client(TEXT_BEGINS, b"01234"),
        from_client(PONG, b"0123456789"),
        from_client(ENDS, b"56789"),
    ]
    .concat();
    let events = [
        Seen::Binary(b"01234".to_vec()),
        text("0123456789"),
        Seen::Pong(b"0123456789".to_vec()),
        text("0123456789"),
    ];
    assert_comes_of(make, &bytes, &events, None, b"");
}

#[test]
fn a_limit_of_no_fragments_is_one_of_one_however_the_message_is_cut() {
    let make = || limited(9, 9, 0);
    assert_comes_of(make, &from_client(TEXT, b"abc"), &[text("abc")], None, b"");
    let bad = [from_client(TEXT_BEGINS, b""), from_client(ENDS, b"")].concat();
    assert_fails(make, &bad, 6, Violation::TooManyFragments, "RFC 6455 §10.4", 1009);
}

#[test]
fn limits_are_judged_from_the_header_before_anything_is_kept() {
    for (violation, before, bad) in [
        (Violation::FrameTooLarge, vec![], from_client(BINARY, &[0; 101])),
        (Violation::MessageTooLarge, vec![], from_client(BINARY, &[0; 100])),
        (Violation::MessageTooLarge, from_client(TEXT_BEGINS, b"a"), from_client(ENDS, &[0; 99])),
    ] {
        let (mut endpoint, mut out) = (limited(100, 99, 9), Outbox::alone(1_000));
        let header_len = bad.len() - usize::from(bad[1] & 0x7F);
        feed(&mut endpoint, &[&before, &bad[..header_len - 1]].concat(), &mut out);
        assert!(endpoint.receive.is_within_message());
        let (events, error) = feed(&mut endpoint, &bad[header_len - 1..header_len], &mut out);
        assert_eq!((events, error.map(|error| error.violation)), (vec![], Some(violation)));
        assert!(!endpoint.receive.is_within_message() && !owns_pieces(&endpoint));
    }
}

#[test]
fn a_failed_endpoint_frees_what_it_kept_without_being_asked_again() {
    let (mut server, mut out) = (server(), Outbox::alone(1_000));
    feed(&mut server, &from_client(TEXT_BEGINS, &[b'a'; 100]), &mut out);
    assert!(owns_pieces(&server));
    let mut bad = from_client(TEXT, b"");
    let error = server.next_event(&mut Received::new(&mut bad), &mut out).unwrap_err();
    assert_eq!(error.violation, Violation::MessageWithinMessage);
    assert!(!owns_pieces(&server));
}

#[test]
fn an_announced_length_reserves_nothing() {
    // Reserving the announced length would take 2^63 − 1 bytes.
    let (mut endpoint, mut out) = (limited(u64::MAX, u64::MAX, 9), Outbox::alone(1_000));
    let header = [&[BINARY, 0xFF, 0x7F][..], &[0xFF; 7], &KEY].concat();
    assert_eq!(feed(&mut endpoint, &[&header, &[0; 9][..]].concat(), &mut out), (vec![], None));
    assert!(endpoint.receive.is_within_message());

    // Nor does the sum over fragments overflow.
    let (mut endpoint, mut out) = (limited(u64::MAX, u64::MAX, 9), Outbox::alone(1_000));
    feed(&mut endpoint, &from_client(BINARY_BEGINS, b"a"), &mut out);
    let header = [&[ENDS, 0xFF, 0x7F][..], &[0xFF; 7], &KEY].concat();
    assert_eq!(feed(&mut endpoint, &header, &mut out), (vec![], None));
}

// Masking (RFC 6455 §5.1, §5.3).

#[test]
fn client_masks_every_frame_with_the_next_key_and_server_masks_none() {
    let say = |mut endpoint: Endpoint, ping: &[u8]| {
        let mut out = Outbox::alone(1_000);
        endpoint.send.message(Message::Binary(&[0; 5]), &mut out).unwrap();
        feed(&mut endpoint, ping, &mut out);
        endpoint.send.start_close(None, "unsaid without a code", LATER, &mut out);
        sent(&out)
    };
    let client = Endpoint::client(Arc::default(), Box::new(Counted(0)));
    let masked = [
        &[0x82, 0x85, 0x10, 0x11, 0x12, 0x13, 0x10, 0x11, 0x12, 0x13, 0x10][..],
        &[0x8A, 0x81, 0x20, 0x21, 0x22, 0x23, 0x20],
        &[0x88, 0x80, 0x30, 0x31, 0x32, 0x33],
    ];
    assert_eq!(say(client, &from_server(PING, b"\0")), masked.concat());
    let unmasked = [&[0x82, 0x05, 0, 0, 0, 0, 0][..], &[0x8A, 0x01, 0], &[0x88, 0x00]];
    assert_eq!(say(server(), &from_client(PING, b"\0")), unmasked.concat());
}

// Messages and fragments (RFC 6455 §5.4).

#[test]
fn empty_messages_are_messages() {
    let bytes = [
        from_client(TEXT, b""),
        from_client(BINARY, b""),
        from_client(TEXT_BEGINS, b""),
        from_client(GOES_ON, b""),
        from_client(ENDS, b""),
    ];
    assert_server_hears(&bytes.concat(), &[text(""), Seen::Binary(vec![]), text("")], b"");
}

#[test]
fn a_message_in_fragments_has_the_kind_of_its_first() {
    let bytes = [
        from_client(BINARY_BEGINS, b"\xff"),
        from_client(ENDS, b"\xfe"),
        from_client(TEXT_BEGINS, b"a"),
        from_client(ENDS, b"b"),
    ];
    assert_server_hears(&bytes.concat(), &[Seen::Binary(b"\xff\xfe".to_vec()), text("ab")], b"");
}

#[test]
fn control_frames_stand_between_fragments_and_even_within_a_character() {
    let bytes = [
        from_client(TEXT_BEGINS, b"\xe2"),
        from_client(PING, b"p"),
        from_client(GOES_ON, b"\x82"),
        from_client(PONG, b"q"),
        from_client(ENDS, b"\xac"),
    ];
    let events = [Seen::Ping(b"p".to_vec()), Seen::Pong(b"q".to_vec()), text("€")];
    assert_server_hears(&bytes.concat(), &events, &from_server(PONG, b"p"));
}

#[test]
fn control_frames_of_every_length_come_in_pieces() {
    for len in [0, 1, 3, 4, 124, 125] {
        let payload: Vec<u8> = (1..=len).collect();
        let events = [Seen::Ping(payload.clone()), Seen::Pong(payload.clone())];
        let bytes = [from_client(PING, &payload), from_client(PONG, &payload)].concat();
        assert_server_hears(&bytes, &events, &from_server(PONG, &payload));
    }
}

// Text (RFC 6455 §8.1).

/// How many of `bytes` a server accepts, one by one, until it fails the connection.
fn taken_until_failure(bytes: &[u8]) -> Option<usize> {
    let (mut server, mut out) = (server(), Outbox::alone(1_000));
    bytes.iter().position(|byte| feed(&mut server, &[*byte], &mut out).1.is_some())
}

#[test]
fn a_text_in_pieces_fails_at_its_first_impossible_byte() {
    for (good, impossible) in [
        (&b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4"[..], 0x90), // above U+10FFFF
        (b"a", 0xc0),                                                     // overlong, two bytes
        (b"a\xe0", 0x9f),                                                 // overlong, three bytes
        (b"a\xf0", 0x8f),                                                 // overlong, four bytes
        (b"a\xed", 0xa0),                                                 // a surrogate
        (b"a\xf0\x9f\x98", 0x28),
        (b"a\xf0\x9f\x98\x80", 0x80),
        (b"", 0xf5),
    ] {
        let mut whole = good.to_vec();
        whole.push(impossible);
        whole.extend(b"and more that never counts");
        // In one frame, and with the impossible byte in the third of four fragments.
        let one = from_client(TEXT, &whole);
        assert_eq!(taken_until_failure(&one), Some(6 + good.len()), "{whole:x?}");
        let (begin, end) = good.split_at(good.len() / 2);
        let before = [from_client(TEXT_BEGINS, begin), from_client(GOES_ON, end)].concat();
        let third = from_client(GOES_ON, &whole[good.len()..]);
        let bytes = [&before[..], &third, &from_client(ENDS, b"")].concat();
        assert_eq!(taken_until_failure(&bytes), Some(before.len() + 6), "{whole:x?}");
    }
}

#[test]
fn a_text_that_ends_within_a_character_fails_with_its_last_byte_and_not_before() {
    let bytes = [from_client(TEXT_BEGINS, b"a\xf0\x9f"), from_client(ENDS, b"\x98")].concat();
    assert_eq!(taken_until_failure(&bytes), Some(bytes.len() - 1));
    let bytes = [from_client(TEXT_BEGINS, b"a\xf0\x9f"), from_client(ENDS, b"")].concat();
    assert_eq!(taken_until_failure(&bytes), Some(bytes.len() - 1));
}

#[test]
fn the_text_before_says_nothing_about_the_next() {
    let bytes = [
        from_client(TEXT_BEGINS, "é".as_bytes()),
        from_client(ENDS, "€".as_bytes()),
        from_client(BINARY_BEGINS, b"\xe2"),
        from_client(ENDS, b"\x82"),
        from_client(TEXT_BEGINS, b""),
        from_client(ENDS, "😀".as_bytes()),
    ];
    let events = [text("é€"), Seen::Binary(b"\xe2\x82".to_vec()), text("😀")];
    assert_server_hears(&bytes.concat(), &events, b"");
}

// Pings and pongs (RFC 6455 §5.5.2, §5.5.3).

#[test]
fn a_flood_of_pings_leaves_the_newest_pong_alone() {
    let (mut server, mut out) = (server(), Outbox::alone(1_000));
    let flood: Vec<u8> = (0..200).flat_map(|i| from_client(PING, &[i; 100])).collect();
    let (events, error) = feed(&mut server, &flood, &mut out);
    assert_eq!((events.len(), error), (200, None));
    assert_eq!(sent(&out), from_server(PONG, &[199; 100]));
}

#[test]
fn a_ping_of_ours_is_cut_to_125_bytes() {
    let mut out = Outbox::alone(1_000);
    server().send.message(Message::Ping(&[7; 126]), &mut out).unwrap();
    assert_eq!(sent(&out), from_server(PING, &[7; 125]));
}

// Closing (RFC 6455 §5.5.1, §7.1, §7.4).

fn closed(code: u16, reason: &str) -> Seen {
    Seen::Closed(Some(CloseCode(code)), reason.to_owned())
}

#[test]
fn a_close_is_answered_with_its_code() {
    for code in [1000, 1001, 1003, 1007, 1011, 1014, 3000, 4999] {
        let close = from_client(CLOSE, &close_body(code, "bye"));
        let answer = from_server(CLOSE, &close_body(code, ""));
        assert_server_hears(&close, &[closed(code, "bye")], &answer);
    }
    let close = from_server(CLOSE, &close_body(1001, ""));
    let answer = from_client(CLOSE, &close_body(1001, ""));
    assert_comes_of(client, &close, &[closed(1001, "")], None, &answer);
}

#[test]
fn an_empty_close_is_answered_with_an_empty_one() {
    let events = [Seen::Closed(None, String::new())];
    assert_server_hears(&from_client(CLOSE, b""), &events, &from_server(CLOSE, b""));
}

#[test]
fn the_longest_reason_is_heard() {
    let reason = "é".repeat(61) + "!";
    let close = from_client(CLOSE, &close_body(1000, &reason));
    let answer = from_server(CLOSE, &close_body(1000, ""));
    assert_server_hears(&close, &[closed(1000, &reason)], &answer);
}

#[test]
fn what_follows_a_close_is_ignored_be_it_good_or_bad() {
    let close = from_client(CLOSE, &close_body(1000, ""));
    let answer = from_server(CLOSE, &close_body(1000, ""));
    for after in [HELLO.to_vec(), from_client(PING, b"p"), close.clone(), vec![0xFF; 20]] {
        let bytes = [&HELLO[..], &close, &after].concat();
        assert_server_hears(&bytes, &[text("Hello"), closed(1000, "")], &answer);
    }
}

#[test]
fn a_close_may_come_in_the_middle_of_a_message() {
    let bytes = [
        from_client(TEXT_BEGINS, b"never to be fini"),
        from_client(CLOSE, &close_body(1001, "")),
        from_client(ENDS, b"shed"),
    ];
    let answer = from_server(CLOSE, &close_body(1001, ""));
    assert_server_hears(&bytes.concat(), &[closed(1001, "")], &answer);
}

#[test]
fn an_answered_close_closes_both_halves() {
    let (mut server, mut out) = (server(), Outbox::alone(1_000));
    let partly = [from_client(TEXT_BEGINS, b"kept"), from_client(CLOSE, b"")].concat();
    feed(&mut server, &partly, &mut out);
    feed(&mut server, b"", &mut out);
    assert_eq!(server.send.closing(), Closing::Closed);
    assert_eq!(server.deadline(), None);
    assert!(!owns_pieces(&server));
    server.send.start_close(Some(CloseCode::NORMAL), "", LATER, &mut out);
    let more = server.send.message(Message::Binary(b"more"), &mut out);
    assert_eq!((more, sent(&out)), (Err(NotSent), from_server(CLOSE, b"")));
    assert_eq!(server.deadline(), None, "nothing is waited for after an answered Close");
}

#[test]
fn our_close_waits_for_the_others_and_no_data_follows_it() {
    let (mut server, mut out) = (server(), Outbox::alone(1_000));
    assert_eq!(server.deadline(), None);
    server.send.message(Message::Text("a"), &mut out).unwrap();
    server.send.start_close(Some(CloseCode::GOING_AWAY), "down", LATER, &mut out);
    assert_eq!(server.deadline(), Some(LATER));
    for message in [Message::Text("b"), Message::Binary(b"b"), Message::Ping(b"b")] {
        assert_eq!(server.send.message(message, &mut out), Err(NotSent));
    }
    let before = [from_server(TEXT, b"a"), from_server(CLOSE, &close_body(1001, "down"))].concat();
    assert_eq!(sent(&out), before);
    // Messages that the peer sent before it received our Close are still delivered.
    let bytes = [&HELLO[..], &from_client(CLOSE, &close_body(1001, ""))].concat();
    let events = vec![text("Hello"), closed(1001, "")];
    assert_eq!(feed(&mut server, &bytes, &mut out), (events, None));
    assert_eq!(sent(&out), before, "an answer to our Close is not answered");
    assert_eq!((server.send.closing(), server.deadline()), (Closing::Closed, None));
}

#[test]
fn a_second_start_of_the_close_says_nothing_and_keeps_the_first_deadline() {
    let (mut server, mut out) = (server(), Outbox::alone(1_000));
    server.send.start_close(Some(CloseCode::NORMAL), "", LATER, &mut out);
    server.send.start_close(Some(CloseCode::POLICY), "no", Moment::NEVER, &mut out);
    assert_eq!(sent(&out), from_server(CLOSE, &close_body(1000, "")));
    assert_eq!(server.deadline(), Some(LATER));
}

#[test]
fn both_ends_may_close_at_once() {
    let (mut server, mut to_client) = (server(), Outbox::alone(1_000));
    let (mut client, mut to_server) = (client(), Outbox::alone(1_000));
    server.send.start_close(Some(CloseCode::GOING_AWAY), "s", LATER, &mut to_client);
    client.send.start_close(Some(CloseCode::NORMAL), "c", LATER, &mut to_server);
    let (for_client, for_server) = (sent(&to_client), sent(&to_server));
    let at_server = feed(&mut server, &for_server, &mut to_client);
    let at_client = feed(&mut client, &for_client, &mut to_server);
    assert_eq!(at_server, (vec![closed(1000, "c")], None));
    assert_eq!(at_client, (vec![closed(1001, "s")], None));
    assert_eq!((sent(&to_client), sent(&to_server)), (for_client, for_server));
    assert_eq!((server.send.closing(), client.send.closing()), (Closing::Closed, Closing::Closed));
}

#[test]
fn an_end_that_waited_long_enough_gives_up() {
    let (mut server, mut out) = (server(), Outbox::alone(1_000));
    assert!(!server.expire(Moment::NEVER), "nothing is late on an open connection");
    server.send.start_close(None, "", LATER, &mut out);
    assert!(!server.expire(Moment::from_millis(4_999)));
    assert_eq!(server.deadline(), Some(LATER));
    assert!(server.expire(LATER));
    assert_eq!((server.send.closing(), server.deadline()), (Closing::Closed, None));
    assert!(!server.expire(Moment::NEVER), "it gives up once");
    // A late Close is reported but not answered.
    let late = feed(&mut server, &from_client(CLOSE, &close_body(1000, "")), &mut out);
    assert_eq!(late, (vec![closed(1000, "")], None));
    assert_eq!(sent(&out), from_server(CLOSE, b""));
}

#[test]
fn a_ping_is_answered_after_our_close_but_not_after_theirs() {
    let (mut server, mut out) = (server(), Outbox::alone(1_000));
    server.send.start_close(None, "", LATER, &mut out);
    feed(&mut server, &from_client(PING, b"p"), &mut out);
    let answered = [from_server(CLOSE, b""), from_server(PONG, b"p")].concat();
    assert_eq!(sent(&out), answered);
    let bytes = [from_client(CLOSE, b""), from_client(PING, b"q")].concat();
    let events = vec![Seen::Closed(None, String::new())];
    assert_eq!(feed(&mut server, &bytes, &mut out), (events, None));
    assert_eq!(sent(&out), answered);
}

#[test]
fn a_violation_after_our_close_sends_no_second_one_and_ends_the_wait() {
    let (mut server, mut out) = (server(), Outbox::alone(1_000));
    server.send.start_close(Some(CloseCode::NORMAL), "", LATER, &mut out);
    let error = ProtocolError { violation: Violation::CloseBodyOneByte, frame_offset: 0 };
    let failed = feed(&mut server, &from_client(CLOSE, b"\x03"), &mut out);
    assert_eq!(failed, (vec![], Some(error)));
    assert_eq!(sent(&out), from_server(CLOSE, &close_body(1000, "")));
    assert_eq!((server.send.closing(), server.deadline()), (Closing::Closed, None));
}

#[test]
fn a_reason_of_ours_is_cut_to_fit_a_control_frame() {
    let (mut server, mut out) = (server(), Outbox::alone(1_000));
    server.send.start_close(Some(CloseCode::NORMAL), &"é".repeat(99), LATER, &mut out);
    assert_eq!(sent(&out), from_server(CLOSE, &close_body(1000, &"é".repeat(61))));
}

#[test]
fn a_message_that_the_outbox_refuses_is_not_sent_and_a_close_is_never_refused() {
    let (mut server, mut out) = (server(), Outbox::alone(10));
    let mut hello = Broadcast::new(Message::Text("hello"));
    let refused = server.send.broadcast(&mut hello, Class::Ephemeral, NO_SOURCE, &mut out);
    assert_eq!((refused, sent(&out)), (Err(NotSent), vec![]));
    server.send.message(Message::Text("hello"), &mut out).unwrap();
    server.send.start_close(None, "", LATER, &mut out);
    let expected = [from_server(TEXT, b"hello"), from_server(CLOSE, b"")].concat();
    assert_eq!(sent(&out), expected);
}

#[test]
fn several_messages_of_a_broadcast_are_as_many_frames_and_refused_together() {
    let more = [Message::Binary(b"b"), Message::Ping(b"c")];
    let expected = [from_server(TEXT, b"a"), from_server(BINARY, b"b"), from_server(PING, b"c")];
    for (limit, is_sent) in [(1_000, true), (80, false)] {
        let mut broadcast = Broadcast::several(Message::Text("a"), &more);
        let mut out = Outbox::alone(limit);
        let pushed = server().send.broadcast(&mut broadcast, Class::Ephemeral, NO_SOURCE, &mut out);
        assert_eq!(pushed.is_ok(), is_sent);
        assert_eq!(sent(&out), if is_sent { expected.concat() } else { vec![] });
    }
    // A client masks each frame.
    let mut broadcast = Broadcast::several(Message::Text("a"), &more);
    let mut out = Outbox::alone(1_000);
    client().send.broadcast(&mut broadcast, Class::Reply, NO_SOURCE, &mut out).unwrap();
    let masked = [from_client(TEXT, b"a"), from_client(BINARY, b"b"), from_client(PING, b"c")];
    assert_eq!(sent(&out), masked.concat());
    let mut broadcast = Broadcast::several(Message::Binary(&[0]), &[Message::Binary(&[0])]);
    let (mut client, mut out) =
        (Endpoint::client(Arc::default(), Box::new(Counted(0))), Outbox::alone(1_000));
    client.send.broadcast(&mut broadcast, Class::Reply, NO_SOURCE, &mut out).unwrap();
    let each_by_its_own =
        [[0x82, 0x81, 0x10, 0x11, 0x12, 0x13, 0x10], [0x82, 0x81, 0x20, 0x21, 0x22, 0x23, 0x20]];
    assert_eq!(sent(&out), each_by_its_own.concat());
}

// Memory use.

#[test]
fn a_message_that_lies_whole_in_the_input_is_not_copied() {
    let mut bytes = [
        &HELLO[..],
        &from_client(BINARY, &[1; 300]),
        &from_client(PING, b"p"),
        &from_client(TEXT, &[b'a'; 7]),
    ]
    .concat();
    let (mut server, mut out) = (server(), Outbox::alone(1_000));
    let start = bytes.as_ptr() as usize;
    let mut input = Received::new(&mut bytes);
    let mut places = Vec::new();
    while let Some(event) = server.next_event(&mut input, &mut out).unwrap() {
        let payload = match event {
            Event::Text(text) => text.as_bytes(),
            Event::Binary(bytes) | Event::Ping(bytes) | Event::Pong(bytes) => bytes,
            Event::Closed { reason, .. } => reason.as_bytes(),
        };
        places.push((payload.as_ptr() as usize - start, payload.len()));
    }
    assert_eq!(places, [(6, 5), (11 + 8, 300), (319 + 6, 1), (326 + 6, 7)]);
    assert!(!owns_pieces(&server));
}

#[test]
fn a_message_whose_header_alone_was_cut_is_not_copied_either() {
    let (mut server, mut out) = (server(), Outbox::alone(1_000));
    feed(&mut server, &HELLO[..3], &mut out);
    let mut bytes = HELLO[3..].to_vec();
    let payload = bytes[3..].as_ptr();
    let mut input = Received::new(&mut bytes);
    let event = server.next_event(&mut input, &mut out).unwrap();
    assert!(matches!(event, Some(Event::Text("Hello"))));
    assert!(matches!(event, Some(Event::Text(text)) if text.as_ptr() == payload));
}

#[test]
fn an_endpoint_is_within_a_message_from_its_first_byte_to_its_last() {
    let (mut server, mut out) = (server(), Outbox::alone(1_000));
    let bytes = [from_client(TEXT_BEGINS, b"a"), from_client(ENDS, b"b")].concat();
    for byte in &bytes {
        let (events, _) = feed(&mut server, &[*byte], &mut out);
        assert_ne!(server.receive.is_within_message(), !events.is_empty());
    }
    assert!(!server.receive.is_within_message());
}

#[test]
fn an_idle_endpoint_is_small_and_owns_no_pieces() {
    assert!(size_of::<Endpoint>() <= 104, "{} bytes", size_of::<Endpoint>());
    let (mut server, mut out) = (server(), Outbox::alone(1_000));
    assert!(!owns_pieces(&server));
    let ping = from_client(PING, b"ping");
    let fragments = [from_client(TEXT_BEGINS, b"a"), from_client(ENDS, b"b")].concat();
    for frames in [&HELLO[..], &ping, &fragments] {
        for byte in &frames[..frames.len() - 1] {
            feed(&mut server, &[*byte], &mut out);
            assert!(owns_pieces(&server));
        }
        // Freed when the next event is asked for; `feed` asks until there is none.
        feed(&mut server, &frames[frames.len() - 1..], &mut out);
        assert!(!owns_pieces(&server));
    }
}
