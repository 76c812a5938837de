//! RFC 7692 §7.2.3's examples, negotiation, and round trips through compression.

use super::compress::compress_for_many;
use super::offer::{self, Direction};
use super::*;
use crate::protocol::{Violation, extensions};
use proptest::prelude::*;

const ALL: Direction = Direction { no_context_takeover: false, max_window_bits: 15 };
const ALONE: Direction = Direction { no_context_takeover: true, max_window_bits: 15 };

fn codecs(threshold_bytes: u32, level: u8) -> Arc<Codecs> {
    Codecs::new(CodecsConfig { level, threshold_bytes, ..CodecsConfig::default() })
}

fn inflater(direction: Direction) -> Inflater {
    Inflater::new(direction, codecs(0, 6))
}

/// Inflates one message for an endpoint that accepts 1,000 bytes.
fn inflated(payload: &[u8]) -> Result<Vec<u8>, Violation> {
    inflater(ALONE).inflate(payload, 1_000)
}

#[test]
fn the_examples_of_section_7_2_3_are_inflated() {
    for (section, payload) in [
        ("7.2.3.1", &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00][..]),
        ("7.2.3.3", &[0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00]),
        ("7.2.3.4", &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00]),
        (
            "7.2.3.5",
            &[0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00],
        ),
    ] {
        assert_eq!(inflated(payload).as_deref(), Ok(&b"Hello"[..]), "§{section}");
    }
    assert_eq!(inflated(&[0x00]).as_deref(), Ok(&b""[..]), "§7.2.3.6");
}

#[test]
fn a_window_is_shared_by_messages_only_where_that_was_agreed() {
    let first = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    let again = [0xf2, 0x00, 0x11, 0x00, 0x00];
    let mut inflater = inflater(ALL);
    for payload in [&first[..], &again, &first, &again, &again] {
        assert_eq!(inflater.inflate(payload, 5).as_deref(), Ok(&b"Hello"[..]), "§7.2.3.2");
    }
    assert_eq!(inflated(&again), Err(Violation::NotDeflate));
}

#[test]
fn a_final_block_ends_no_window() {
    let hello = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00];
    let again = [0xf2, 0x00, 0x11, 0x00, 0x00];
    let mut inflater = inflater(ALL);
    assert_eq!(inflater.inflate(&hello, 5).as_deref(), Ok(&b"Hello"[..]));
    assert_eq!(inflater.inflate(&again, 5).as_deref(), Ok(&b"Hello"[..]));
    // Two streams in one message; the second refers back to the first.
    let both = [&hello[..7], &again].concat();
    assert_eq!(inflated(&both).as_deref(), Ok(&b"HelloHello"[..]));
}

#[test]
fn what_is_not_whole_is_refused() {
    for payload in [
        &[][..],
        // An unfinished block, a stored block without its bytes, a final block with nothing after
        // it.
        &[0xf2, 0x48],
        &[0x00, 0x05, 0x00, 0xfa, 0xff, 0x48],
        &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00],
        // The four bytes that should have been omitted.
        &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00, 0x00, 0xff, 0xff],
        // The reserved block type; a distance before the beginning; a stored length that does not
        // match its complement.
        &[0x06, 0x00],
        &[0xf2, 0x00, 0x11, 0x00, 0x00],
        &[0x00, 0x05, 0x00, 0xfb, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00],
    ] {
        assert_eq!(inflated(payload), Err(Violation::NotDeflate), "{payload:x?}");
    }
}

#[test]
fn what_is_cut_is_not_too_large() {
    // A stored block that announces six bytes too many: it would swallow the four restored bytes
    // and those of the block that checks for completeness.
    let cut = [0x00, 0x0b, 0x00, 0xf4, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f];
    for limit in [9, 10, 11, 1_000] {
        assert_eq!(inflater(ALONE).inflate(&cut, limit), Err(Violation::NotDeflate), "{limit}");
    }
    assert_eq!(inflater(ALONE).inflate(&cut, 4), Err(Violation::MessageTooLarge));
}

#[test]
fn final_blocks_have_a_bound() {
    let blocks = |count: usize| [&[0x03, 0x00].repeat(count)[..], &[0x00]].concat();
    assert_eq!(inflated(&blocks(64)).as_deref(), Ok(&b""[..]));
    assert_eq!(inflated(&blocks(65)), Err(Violation::TooManyFinalBlocks));
}

#[test]
fn a_message_may_expand_to_its_limit_and_not_to_a_byte_more() {
    let zeros = vec![0; 100_000];
    let codecs = codecs(0, 9);
    let bomb = compress_for_many(&codecs, 6, &zeros, <[u8]>::to_vec).unwrap();
    assert!(bomb.len() < 200);
    for (limit, expected) in [
        (100_000, Ok(100_000)),
        (u64::MAX, Ok(100_000)),
        (99_999, Err(Violation::MessageTooLarge)),
        (1, Err(Violation::MessageTooLarge)),
        (0, Err(Violation::MessageTooLarge)),
    ] {
        // First with an empty buffer, then with that of an earlier message.
        for _ in 0..2 {
            let mut inflater = Inflater::new(ALONE, Arc::clone(&codecs));
            let message = inflater.inflate(&bomb, limit);
            assert_eq!(message.as_ref().map(Vec::len), expected.as_ref().copied());
            assert!(message.as_ref().map_or(0, Vec::capacity) <= 200_000, "no room for more");
            if let Ok(message) = message {
                inflater.give_back(message);
            }
        }
    }
}

#[test]
fn small_and_incompressible_messages_are_sent_as_they_are() {
    let mut compressor = Compressor::new(ALL, codecs(10, 6));
    assert_eq!(compressor.compress(b"aaaaaaaaa", <[u8]>::to_vec), None, "below the threshold");
    assert!(compressor.compress(b"aaaaaaaaaa", <[u8]>::to_vec).is_some());
    let mut chance = crate::base::Chance::new(1);
    let noise: Vec<u8> = (0..5_000).map(|_| chance.next_u64() as u8).collect();
    assert_eq!(compressor.compress(&noise, <[u8]>::to_vec), None);
}

#[test]
fn with_a_window_of_256_bytes_nothing_is_compressed_and_all_is_inflated() {
    let narrow = Direction { no_context_takeover: false, max_window_bits: 8 };
    let mut compressor = Compressor::new(narrow, codecs(0, 6));
    assert_eq!(compressor.compress(&[b'a'; 1_000], <[u8]>::to_vec), None);
    assert_eq!(compressor.form(), None);
    let hello = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    assert_eq!(inflater(narrow).inflate(&hello, 5).as_deref(), Ok(&b"Hello"[..]));
}

/// The answer to the offers in a field.
fn answer(line: &str, context_takeover: bool) -> Option<String> {
    let codecs = Codecs::new(CodecsConfig { context_takeover, ..CodecsConfig::default() });
    offer::answer(&extensions::parse(line).unwrap(), &codecs).map(|(_, answer)| answer)
}

#[test]
fn a_server_answers_each_offer_as_it_may() {
    const NONE: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
    for (offers, expected) in [
        ("permessage-deflate", Some(NONE.to_owned())),
        ("permessage-deflate; client_max_window_bits", Some(NONE.to_owned())),
        ("x, permessage-deflate", Some(NONE.to_owned())),
        (
            "permessage-deflate; server_max_window_bits=10; client_max_window_bits=\"9\"",
            Some(format!("{NONE}; server_max_window_bits=10; client_max_window_bits=9")),
        ),
        (
            "permessage-deflate; client_max_window_bits=8",
            Some(format!("{NONE}; client_max_window_bits=8")),
        ),
        // Declined: a window too small for the library, and what RFC 7692 §7.1 forbids.
        ("permessage-deflate; server_max_window_bits=8", None),
        ("permessage-deflate; server_max_window_bits", None),
        ("permessage-deflate; server_max_window_bits=7", None),
        ("permessage-deflate; server_max_window_bits=16", None),
        ("permessage-deflate; server_max_window_bits=010", None),
        ("permessage-deflate; client_max_window_bits=+9", None),
        ("permessage-deflate; client_max_window_bits=9; client_max_window_bits=9", None),
        ("permessage-deflate; server_no_context_takeover=1", None),
        ("permessage-deflate; client_no_context_takeover; client_no_context_takeover", None),
        ("permessage-deflate; unknown", None),
        ("permessage-bzip2", None),
        // The first acceptable offer.
        (
            "permessage-deflate; server_max_window_bits=8, permessage-deflate; unknown, \
             permessage-deflate; server_max_window_bits=9, permessage-deflate",
            Some(format!("{NONE}; server_max_window_bits=9")),
        ),
    ] {
        assert_eq!(answer(offers, false), expected, "{offers}");
    }
    // RFC 7692 §7.3: windows stay large unless a client asks for less.
    let offers = extensions::parse("permessage-deflate; client_max_window_bits").unwrap();
    let (agreed, _) = offer::answer(&offers, &codecs(0, 6)).unwrap();
    assert_eq!((agreed.server_max_window_bits, agreed.client_max_window_bits), (15, 15));
}

#[test]
fn context_is_taken_over_where_both_want_it_and_there_is_room() {
    for (offer, expected) in [
        ("permessage-deflate", "permessage-deflate"),
        (
            "permessage-deflate; server_no_context_takeover; client_max_window_bits=12",
            "permessage-deflate; server_no_context_takeover; client_max_window_bits=12",
        ),
        (
            "permessage-deflate; client_no_context_takeover",
            "permessage-deflate; client_no_context_takeover",
        ),
    ] {
        assert_eq!(answer(offer, true).as_deref(), Some(expected));
    }
    let windows_bytes = 2 * 32 * 1024;
    let config = CodecsConfig { context_takeover: true, windows_bytes, ..CodecsConfig::default() };
    let codecs = Codecs::new(config);
    let offers = extensions::parse("permessage-deflate").unwrap();
    let agreed = || offer::answer(&offers, &codecs).unwrap().0;
    let first = Deflate::server(&agreed(), &codecs);
    assert_eq!(codecs.windows_bytes(), windows_bytes);
    assert!(agreed().server_no_context_takeover && agreed().client_no_context_takeover);
    drop(first);
    assert_eq!(codecs.windows_bytes(), 0);
    assert!(!agreed().server_no_context_takeover);
}

#[test]
fn a_client_takes_only_what_it_offered() {
    let offer = |line: &str| {
        let list = extensions::parse(line).unwrap();
        let of = |name: &str| list[0].params.iter().find(|param| param.name == name);
        let bits = |name: &str| {
            let value = of(name).and_then(|param| param.value.as_deref());
            value.map(|bits| bits.parse().unwrap())
        };
        Offer {
            server_no_context_takeover: of("server_no_context_takeover").is_some(),
            client_no_context_takeover: of("client_no_context_takeover").is_some(),
            server_max_window_bits: bits("server_max_window_bits"),
            client_max_window_bits: of("client_max_window_bits")
                .map(|_| bits("client_max_window_bits")),
        }
    };
    let judged = |offers: &[&str], answer: &str| {
        let offers: Vec<Offer> = offers.iter().map(|line| offer(line)).collect();
        let answer = extensions::parse(answer).unwrap();
        offer::agreed(&offers, &answer[0]).ok().map(|agreed| {
            let Parameters {
                server_no_context_takeover: server_no,
                client_no_context_takeover: client_no,
                server_max_window_bits: server_bits,
                client_max_window_bits: client_bits,
            } = agreed;
            (server_no, client_no, server_bits, client_bits)
        })
    };
    const PLAIN: &str = "permessage-deflate";
    const SERVER_NO: &str = "permessage-deflate; server_no_context_takeover";
    const CLIENT_NO: &str = "permessage-deflate; client_no_context_takeover";
    const SERVER_10: &str = "permessage-deflate; server_max_window_bits=10";
    const CLIENT_ANY: &str = "permessage-deflate; client_max_window_bits";
    const CLIENT_10: &str = "permessage-deflate; client_max_window_bits=10";
    for (offers, answer, expected) in [
        (&[PLAIN][..], PLAIN, Some((false, false, 15, 15))),
        // A server may do more than the client asked for.
        (&[PLAIN], SERVER_NO, Some((true, false, 15, 15))),
        (&[PLAIN], CLIENT_NO, Some((false, true, 15, 15))),
        (&[PLAIN], SERVER_10, Some((false, false, 10, 15))),
        // The client must have offered its limit, and the value may only decrease.
        (&[PLAIN], CLIENT_10, None),
        (&[CLIENT_ANY], CLIENT_10, Some((false, false, 15, 10))),
        (&[CLIENT_ANY], CLIENT_ANY, None),
        (&[CLIENT_10], PLAIN, Some((false, false, 15, 10))),
        (&[CLIENT_10], "permessage-deflate; client_max_window_bits=9", Some((false, false, 15, 9))),
        (&[CLIENT_10], "permessage-deflate; client_max_window_bits=11", None),
        // The answer must repeat what the client asked for.
        (&[SERVER_NO], PLAIN, None),
        (&[SERVER_NO], SERVER_NO, Some((true, false, 15, 15))),
        (&[SERVER_10], PLAIN, None),
        (&[SERVER_10], "permessage-deflate; server_max_window_bits=9", Some((false, false, 9, 15))),
        (&[SERVER_10], "permessage-deflate; server_max_window_bits=11", None),
        (&[CLIENT_NO], PLAIN, Some((false, true, 15, 15))),
        // Any of several offers.
        (&[SERVER_NO, PLAIN], PLAIN, Some((false, false, 15, 15))),
        // The server may mean any of the offers it accepts: the client keeps to all.
        (&[PLAIN, CLIENT_NO], PLAIN, Some((false, true, 15, 15))),
        (&[PLAIN, CLIENT_10, CLIENT_NO], PLAIN, Some((false, true, 15, 10))),
        (&[CLIENT_ANY, CLIENT_10], CLIENT_10, Some((false, false, 15, 10))),
        (&[SERVER_NO, CLIENT_NO], SERVER_NO, Some((true, true, 15, 15))),
        (&[SERVER_NO, SERVER_10, PLAIN], SERVER_10, Some((false, false, 10, 15))),
        (
            &[SERVER_NO, CLIENT_10],
            "permessage-deflate; client_max_window_bits=8",
            Some((false, false, 15, 8)),
        ),
        (&[], PLAIN, None),
        // Parameters that no answer may have.
        (&[PLAIN], "permessage-bzip2", None),
        (&[PLAIN], "permessage-deflate; unknown", None),
        (&[PLAIN], "permessage-deflate; server_max_window_bits=16", None),
        (
            &[PLAIN],
            "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
            None,
        ),
    ] {
        assert_eq!(judged(offers, answer), expected, "{offers:?}: {answer}");
    }
    for line in [PLAIN, SERVER_NO, CLIENT_NO, SERVER_10, CLIENT_ANY, CLIENT_10] {
        assert_eq!(offer(line).to_field(), line);
    }
}

fn any_message() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..300),
        ("[a-d]{1,9}", 1usize..400).prop_map(|(word, times)| word.repeat(times).into_bytes()),
        (any::<u8>(), 0usize..70_000).prop_map(|(byte, times)| vec![byte; times]),
    ]
}

#[test]
fn noise_that_is_sent_as_it_is_leaves_nothing_behind_in_the_shared_compressor() {
    let mut seed = 0x9E37_79B9_7F4A_7C15_u64;
    let mut noise = |len: usize| -> Vec<u8> {
        let mut byte = || {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed as u8
        };
        (0..len).map(|_| byte()).collect()
    };
    for level in 0..=9 {
        for max_window_bits in 9..=15 {
            let codecs = codecs(0, level);
            let agreed = Direction { no_context_takeover: true, max_window_bits };
            let mut compressor = Compressor::new(agreed, Arc::clone(&codecs));
            let mut inflater = Inflater::new(agreed, Arc::clone(&codecs));
            for round in 0..20 {
                let message = noise(1_000 * (1 + round % 16));
                let small = compressor.compress(&message, <[u8]>::to_vec);
                assert_eq!(small, None, "level {level}, {max_window_bits} bits, round {round}");
            }
            let text = b"hello ".repeat(500);
            let small = compressor.compress(&text, <[u8]>::to_vec);
            assert_eq!(small.is_none(), level == 0, "level 0 stores");
            if let Some(small) = small {
                assert_eq!(inflater.inflate(&small, 1 << 20).as_deref(), Ok(&text[..]));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn what_is_compressed_comes_back_with_every_window_and_level(
        messages in proptest::collection::vec((any_message(), any::<bool>()), 1..8),
        max_window_bits in 9u8..=15,
        no_context_takeover: bool,
        level in 0u8..=9,
    ) {
        let agreed = Direction { no_context_takeover, max_window_bits };
        let codecs = codecs(0, level);
        let mut compressor = Compressor::new(agreed, Arc::clone(&codecs));
        let mut inflater = Inflater::new(agreed, Arc::clone(&codecs));
        // A reference inflater with exactly the agreed window, kept across messages.
        let mut judge = flate2::Decompress::new_with_window_bits(false, max_window_bits);
        for (message, is_for_many) in messages {
            let compressed = if is_for_many {
                compressor.forget_window();
                let form = compressor.form().unwrap();
                compress_for_many(&codecs, form, &message, <[u8]>::to_vec)
            } else {
                compressor.compress(&message, <[u8]>::to_vec)
            };
            let Some(compressed) = compressed else { continue };
            prop_assert!(compressed.len() < message.len());
            let back = inflater.inflate(&compressed, message.len() as u64);
            prop_assert_eq!(back.as_ref(), Ok(&message));
            inflater.give_back(back.unwrap());
            let mut judged = Vec::with_capacity(message.len() + 10);
            let whole = [&compressed[..], &TAIL].concat();
            judge.decompress_vec(&whole, &mut judged, flate2::FlushDecompress::Sync).unwrap();
            prop_assert_eq!(judged, message);
        }
    }

    #[test]
    fn whatever_comes_is_inflated_or_refused_within_the_limit(
        payload in proptest::collection::vec(any::<u8>(), 0..200),
        limit in 0u64..2_000,
    ) {
        if let Ok(message) = inflater(ALONE).inflate(&payload, limit) {
            prop_assert!(message.len() as u64 <= limit);
        }
    }
}
