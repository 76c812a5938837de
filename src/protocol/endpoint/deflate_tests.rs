//! The endpoint's duties under RFC 7692: which frames may be compressed, and what each peer gets.

use super::tests::{
    BINARY, CLOSE, ENDS, GOES_ON, HELLO, PING, PONG, Seen, TEXT, TEXT_BEGINS, assert_comes_of,
    assert_fails, client, feed, from_client, from_server, owns_pieces, sent, server, text,
};
use super::*;
use crate::base::Class;
use crate::base::outbox::NO_SOURCE;
use crate::protocol::deflate::inflate::compressed_bytes_max;
use crate::protocol::deflate::{Codecs, CodecsConfig, Parameters};
use crate::protocol::{FrameHeader, Violation};

/// RSV1 in a frame's first byte.
const COMPRESSED: u8 = 0x40;

/// RFC 7692 §7.2.3.1.
const HELLO_DEFLATED: [u8; 7] = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
/// RFC 7692 §7.2.3.2: the same text, referring back to the previous message.
const HELLO_AGAIN: [u8; 5] = [0xf2, 0x00, 0x11, 0x00, 0x00];

const TAKES_OVER: Parameters = Parameters {
    server_no_context_takeover: false,
    client_no_context_takeover: false,
    server_max_window_bits: 15,
    client_max_window_bits: 15,
};
const EACH_ALONE: Parameters =
    Parameters { server_no_context_takeover: true, client_no_context_takeover: true, ..TAKES_OVER };

/// Compresses messages of any size.
fn codecs() -> Arc<Codecs> {
    Codecs::new(CodecsConfig { threshold_bytes: 0, ..CodecsConfig::default() })
}

fn server_with(agreed: Parameters) -> Endpoint {
    server().with_deflate(Deflate::server(&agreed, &codecs()))
}

fn compressing() -> Endpoint {
    server_with(EACH_ALONE)
}

#[test]
fn compressed_messages_are_inflated_whole_or_in_fragments_among_plain_ones() {
    let bytes = [
        from_client(TEXT | COMPRESSED, &HELLO_DEFLATED),
        HELLO.to_vec(),
        from_client(BINARY | COMPRESSED, &HELLO_DEFLATED),
        // §6.1: the bit is set on the first fragment and applies to the message.
        from_client(TEXT_BEGINS | COMPRESSED, &HELLO_DEFLATED[..3]),
        from_client(PING, b"p"),
        from_client(GOES_ON, b""),
        from_client(ENDS, &HELLO_DEFLATED[3..]),
        from_client(TEXT | COMPRESSED, &[0x00]),
    ];
    let hello = || text("Hello");
    let binary = Seen::Binary(b"Hello".to_vec());
    let events = [hello(), hello(), binary, Seen::Ping(b"p".to_vec()), hello(), text("")];
    assert_comes_of(compressing, &bytes.concat(), &events, None, &from_server(PONG, b"p"));
}

#[test]
fn a_window_is_taken_over_only_where_that_was_agreed() {
    let again = from_client(TEXT | COMPRESSED, &HELLO_AGAIN);
    let bytes = [from_client(TEXT | COMPRESSED, &HELLO_DEFLATED), again.clone(), again.clone()];
    let events = [text("Hello"), text("Hello"), text("Hello")];
    assert_comes_of(|| server_with(TAKES_OVER), &bytes.concat(), &events, None, b"");
    assert_fails(compressing, &again, 0, Violation::NotDeflate, "RFC 7692 §7.2.2", 1007);
}

#[test]
fn only_the_first_frame_of_a_message_is_marked() {
    let (clause, code) = ("RFC 7692 §6.1", 1002);
    for first in [CLOSE, PING, PONG] {
        let bad = from_client(first | COMPRESSED, b"");
        assert_fails(compressing, &bad, 0, Violation::CompressedBitMisplaced, clause, code);
    }
    for first in [GOES_ON, ENDS] {
        for begin in [TEXT_BEGINS, TEXT_BEGINS | COMPRESSED] {
            let bad = [from_client(begin, b""), from_client(first | COMPRESSED, b"")].concat();
            assert_fails(compressing, &bad, 6, Violation::CompressedBitMisplaced, clause, code);
        }
    }
    // RFC 6455 §5.2: the other bits have no meaning, and neither has RSV1 without the extension.
    for first in [TEXT | 0x20, TEXT | 0x10, TEXT | 0x70] {
        let bad = from_client(first, b"");
        assert_fails(compressing, &bad, 0, Violation::ReservedBits, "RFC 6455 §5.2", 1002);
    }
    let bad = from_client(TEXT | COMPRESSED, &HELLO_DEFLATED);
    assert_fails(server, &bad, 0, Violation::ReservedBits, "RFC 6455 §5.2", 1002);
}

#[test]
fn what_is_inflated_must_be_whole_and_text_where_it_says_so() {
    let (clause, code) = ("RFC 7692 §7.2.2", 1007);
    for bad in [&[][..], &[0xff], &HELLO_DEFLATED[..4]] {
        let bad = from_client(BINARY | COMPRESSED, bad);
        assert_fails(compressing, &bad, 0, Violation::NotDeflate, clause, code);
    }
    // A stored block of one byte that is not valid text.
    let bad = from_client(TEXT | COMPRESSED, &[0x00, 0x01, 0x00, 0xfe, 0xff, 0xff, 0x00]);
    assert_fails(compressing, &bad, 0, Violation::TextNotUtf8, "RFC 6455 §8.1", 1007);
    // A character may be split anywhere, as long as the message contains all of it.
    let stored = [0x00, 0x02, 0x00, 0xfd, 0xff, 0xc3, 0xa9, 0x00];
    let good =
        [from_client(TEXT_BEGINS | COMPRESSED, &stored[..6]), from_client(ENDS, &stored[6..])];
    assert_comes_of(compressing, &good.concat(), &[text("é")], None, b"");
}

#[test]
fn limits_concern_what_a_message_comes_to() {
    let limits = || EndpointLimits { frame_bytes: 5, message_bytes: 5, fragments: 9 };
    let make = |message_bytes| {
        move || {
            let limits = Arc::new(EndpointLimits { message_bytes, ..limits() });
            Endpoint::server(limits).with_deflate(Deflate::server(&EACH_ALONE, &codecs()))
        }
    };
    // Seven compressed bytes for five.
    let hello = from_client(TEXT | COMPRESSED, &HELLO_DEFLATED);
    assert_comes_of(make(5), &hello, &[text("Hello")], None, b"");
    let (mut endpoint, mut out) = (make(4)(), Outbox::alone(1_000));
    let (events, error) = feed(&mut endpoint, &hello, &mut out);
    assert_eq!((events, error.unwrap().violation), (vec![], Violation::MessageTooLarge));
    // A frame too long for any allowed message is refused from its header.
    let too_long = compressed_bytes_max(5) as usize + 1;
    let (mut endpoint, mut out) = (make(5)(), Outbox::alone(1_000));
    let header = &from_client(TEXT | COMPRESSED, &vec![0; too_long])[..6];
    let (_, error) = feed(&mut endpoint, header, &mut out);
    assert_eq!(error.unwrap().violation, Violation::FrameTooLarge);
}

/// The frames in an outbox: first bytes and payloads.
fn frames(out: &Outbox) -> Vec<(u8, Vec<u8>)> {
    let (bytes, mut frames) = (sent(out), Vec::new());
    let mut rest = &bytes[..];
    while let Some((header, header_len)) = FrameHeader::decode(rest).unwrap() {
        let end = header_len + header.payload_len as usize;
        frames.push((rest[0], rest[header_len..end].to_vec()));
        rest = &rest[end..];
    }
    frames
}

#[test]
fn messages_are_compressed_and_control_frames_are_not() {
    let (mut server, mut out) = (compressing(), Outbox::alone(10_000));
    let words = "words ".repeat(50);
    server.send.message(Message::Text(&words), &mut out).unwrap();
    server.send.message(Message::Binary(words.as_bytes()), &mut out).unwrap();
    server.send.message(Message::Ping(&[b'a'; 100]), &mut out).unwrap();
    server.send.start_close(None, "", Moment::ZERO, &mut out);
    let firsts: Vec<u8> = frames(&out).iter().map(|(first, _)| *first).collect();
    assert_eq!(firsts, [TEXT | COMPRESSED, BINARY | COMPRESSED, PING, CLOSE]);
}

#[test]
fn a_client_masks_what_it_has_compressed() {
    let mut client = client().with_deflate(Deflate::client(&TAKES_OVER, &codecs()));
    let mut server = server_with(TAKES_OVER);
    let (mut up, mut down) = (Outbox::alone(10_000), Outbox::alone(10_000));
    let words = "words ".repeat(50);
    for _ in 0..3 {
        client.send.message(Message::Text(&words), &mut up).unwrap();
        server.send.message(Message::Text(&words), &mut down).unwrap();
    }
    let lens: Vec<usize> = frames(&down).iter().map(|(_, payload)| payload.len()).collect();
    assert!(lens[1] < lens[0] && lens[1] < 20, "the second looks back at the first: {lens:?}");
    let expected = [text(&words), text(&words), text(&words)];
    let mut nowhere = Outbox::alone(1_000);
    assert_eq!(feed(&mut server, &sent(&up), &mut nowhere).0, expected);
    assert_eq!(feed(&mut client, &sent(&down), &mut nowhere).0, expected);
}

#[test]
fn a_broadcast_is_one_frame_for_all_that_agreed_to_the_same() {
    let words = "words ".repeat(50);
    let mut broadcast = Broadcast::new(Message::Text(&words));
    let codecs = codecs();
    let narrow = Parameters { server_max_window_bits: 9, ..EACH_ALONE };
    let tiny = Parameters { server_max_window_bits: 8, ..EACH_ALONE };
    let agreements =
        [None, None, Some(EACH_ALONE), Some(TAKES_OVER), Some(narrow), Some(narrow), Some(tiny)];
    let mut places = Vec::new();
    for agreed in agreements {
        let mut endpoint = server();
        if let Some(agreed) = agreed {
            endpoint = endpoint.with_deflate(Deflate::server(&agreed, &codecs));
        }
        let mut out = Outbox::alone(10_000);
        endpoint.send.broadcast(&mut broadcast, Class::Durable, NO_SOURCE, &mut out).unwrap();
        let is_compressed = frames(&out)[0].0 & COMPRESSED != 0;
        let place = out.pieces().next().unwrap().as_ptr();
        // The frame stays in the broadcast: its address identifies it.
        places.push((is_compressed, place));
    }
    let [plain, plain_too, alone, taking_over, narrow, narrow_too, tiny] = places[..] else {
        panic!("{places:?}")
    };
    assert!(!plain.0 && alone.0 && narrow.0);
    assert_eq!((plain, alone, narrow), (plain_too, taking_over, narrow_too));
    assert_eq!(plain, tiny);
    assert!(plain.1 != alone.1 && alone.1 != narrow.1);
}

#[test]
fn a_control_frame_among_several_that_are_compressed_is_not() {
    let words = "words ".repeat(50);
    let more = [Message::Ping(words.as_bytes()), Message::Text(&words)];
    let mut broadcast = Broadcast::several(Message::Text(&words), &more);
    let mut out = Outbox::alone(10_000);
    let mut server = compressing();
    server.send.broadcast(&mut broadcast, Class::Durable, NO_SOURCE, &mut out).unwrap();
    let firsts: Vec<u8> = frames(&out).iter().map(|(first, _)| *first).collect();
    assert_eq!(firsts, [TEXT | COMPRESSED, PING, TEXT | COMPRESSED]);
}

#[test]
fn a_client_masks_each_compressed_message_with_a_key_of_its_own() {
    let keys = Box::new(super::tests::Counted(0));
    let deflate = Deflate::client(&EACH_ALONE, &codecs());
    let mut client = Endpoint::client(Arc::default(), keys).with_deflate(deflate);
    let mut out = Outbox::alone(10_000);
    let words = "words ".repeat(50);
    for _ in 0..3 {
        client.send.message(Message::Text(&words), &mut out).unwrap();
    }
    let bytes = sent(&out);
    let mut rest = &bytes[..];
    let mut keys = Vec::new();
    while let Some((header, len)) = FrameHeader::decode(rest).unwrap() {
        keys.push(header.mask.unwrap()[0]);
        rest = &rest[len + header.payload_len as usize..];
    }
    assert_eq!(keys, [0x10, 0x20, 0x30]);
}

#[test]
fn what_may_be_taken_back_leaves_no_trace_in_a_window_that_is_taken_over() {
    let codecs = codecs();
    let mut server = server().with_deflate(Deflate::server(&TAKES_OVER, &codecs));
    let mut client = client().with_deflate(Deflate::client(&TAKES_OVER, &codecs));
    let (mut out, mut nowhere) = (Outbox::alone(10_000), Outbox::alone(1_000));
    let own = |n: u32| format!("own words {n} ").repeat(20);
    let others = |n: u32| format!("others' words {n} ").repeat(20);
    let mut expected = Vec::new();
    for n in 0..6 {
        server.send.message(Message::Text(&own(n)), &mut out).unwrap();
        expected.push(text(&own(n)));
        let source = n % 2;
        let of_others = others(n);
        let mut broadcast = Broadcast::new(Message::Text(&of_others));
        server.send.broadcast(&mut broadcast, Class::Ephemeral, source, &mut out).unwrap();
        if source == 0 {
            expected.push(text(&of_others));
        }
    }
    out.take_back(1);
    assert_eq!(feed(&mut client, &sent(&out), &mut nowhere), (expected, None));
}

#[test]
fn an_idle_endpoint_owns_nothing_of_a_message_that_it_inflated() {
    let (mut server, mut out) = (compressing(), Outbox::alone(1_000));
    feed(&mut server, &from_client(TEXT | COMPRESSED, &HELLO_DEFLATED), &mut out);
    assert!(!owns_pieces(&server));
}
