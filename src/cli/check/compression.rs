//! Compressed messages: RFC 7692 §6, §7.2.

use super::case::{Case, Compressed, Play, TalkStep, Then};
use super::frames::{echoes, send};
use super::raw_frame::{BINARY, LAST, PING, TEXT, TEXT_BEGIN};
use crate::protocol::deflate::Offer;
use flate2::{Compress, Compression, FlushCompress};

/// RSV1 marks a compressed message (RFC 7692 §6).
const RSV1: u8 = 0x40;
/// The case whose second message refers to the first.
const CONTEXT: &str = "context";
/// What inflates to much more than most ends take: so many times a megabyte.
const BOMB_MIB: usize = 200;

/// Parts of a message as blocks of DEFLATE, without the four bytes that RFC 7692 §7.2.1 takes away.
fn deflated(parts: &[&[u8]], level: Compression) -> Vec<u8> {
    let mut compress = Compress::new(level, false);
    let mut bytes = Vec::new();
    for part in parts {
        blocks(&mut compress, part, FlushCompress::Sync, &mut bytes);
    }
    bytes.truncate(bytes.len().saturating_sub(4));
    bytes
}

/// A message of many megabytes, in few bytes.
fn bomb() -> Vec<u8> {
    let mut compress = Compress::new(Compression::fast(), false);
    let mut block = Vec::new();
    // Behind a full flush nothing refers to what is before it: the same block may follow itself.
    blocks(&mut compress, &vec![0; 1024 * 1024], FlushCompress::Full, &mut block);
    let mut bytes = block.repeat(BOMB_MIB);
    bytes.truncate(bytes.len().saturating_sub(4));
    bytes
}

/// A text as a final block, and the byte that RFC 7692 §7.2.3.4 appends.
fn final_block(text: &[u8]) -> Vec<u8> {
    let mut compress = Compress::new(Compression::default(), false);
    let mut bytes = Vec::new();
    blocks(&mut compress, text, FlushCompress::Finish, &mut bytes);
    bytes.push(0);
    bytes
}

fn blocks(compress: &mut Compress, mut input: &[u8], flush: FlushCompress, to: &mut Vec<u8>) {
    const STEP: usize = 64 * 1024;
    loop {
        to.reserve(STEP);
        let (before, spare) = (compress.total_in(), to.capacity() - to.len());
        let len = to.len();
        // Raw DEFLATE into memory has no error.
        let _ = compress.compress_vec(input, to, flush);
        let used = usize::try_from(compress.total_in() - before).unwrap_or(usize::MAX);
        input = input.get(used..).unwrap_or_default();
        if input.is_empty() && to.len() - len < spare {
            return;
        }
    }
}

pub(super) fn compression(text: &str) -> Vec<Case> {
    let mut cases = taken(text);
    cases.extend(failed(text));
    cases
}

fn case(
    name: &'static str,
    clause: &'static str,
    duty: &'static str,
    steps: Vec<TalkStep>,
    then: Then,
) -> Case {
    let (offer, needs_context) = (Offer::default(), name == CONTEXT);
    let play = Play::Compressed(Compressed { offer, needs_context, steps, then });
    Case { group: "compression", name: name.into(), clause: clause.into(), duty, play }
}

/// Two messages, of which the second refers to the first.
fn twice(text: &[u8]) -> Vec<TalkStep> {
    let mut compress = Compress::new(Compression::default(), false);
    let messages = (0..2).map(|_| {
        let mut message = Vec::new();
        blocks(&mut compress, text, FlushCompress::Sync, &mut message);
        message.truncate(message.len().saturating_sub(4));
        send(TEXT | RSV1, message)
    });
    messages.collect()
}

/// What is inflated.
fn taken(text: &str) -> Vec<Case> {
    const TAKEN: &str = "a compressed message is inflated";
    let bytes = text.as_bytes();
    let small = deflated(&[bytes], Compression::default());
    let (begin, end) = small.split_at(small.len() / 2);
    let (first, second) = bytes.split_at(bytes.len() / 2);
    let taken = |name, steps| case(name, "RFC 7692 §6.2", TAKEN, steps, echoes(text));
    vec![
        taken("text", vec![send(TEXT | RSV1, small.clone())]),
        taken("fragments", vec![send(TEXT_BEGIN | RSV1, begin), send(LAST, end)]),
        taken(
            "ping-between",
            vec![
                send(TEXT_BEGIN | RSV1, begin),
                send(PING, "between"),
                TalkStep::AwaitPong(b"between".to_vec()),
                send(LAST, end),
            ],
        ),
        case(
            "not-compressed",
            "RFC 7692 §6",
            "a message may be sent uncompressed",
            vec![send(TEXT, text)],
            echoes(text),
        ),
        case(
            "empty",
            "RFC 7692 §7.2.3.6",
            "an empty message is an empty block",
            vec![send(TEXT | RSV1, [0])],
            echoes(""),
        ),
        case(
            CONTEXT,
            "RFC 7692 §7.1.1",
            "what was sent before is the window of what follows, unless another was agreed",
            twice(bytes),
            echoes(text),
        ),
        case(
            "stored",
            "RFC 7692 §7.2.3.3",
            "blocks may be stored without compression",
            vec![send(TEXT | RSV1, deflated(&[bytes], Compression::none()))],
            echoes(text),
        ),
        case(
            "two-blocks",
            "RFC 7692 §7.2.3.5",
            "a message may have several blocks",
            vec![send(TEXT | RSV1, deflated(&[first, second], Compression::default()))],
            echoes(text),
        ),
        case(
            "final-block",
            "RFC 7692 §7.2.3.4",
            "a message may end with a final block",
            vec![send(TEXT | RSV1, final_block(bytes))],
            echoes(text),
        ),
        Case {
            group: "compression",
            name: "no-context".into(),
            clause: "RFC 7692 §7.1.1.1".into(),
            duty: "a server that agrees to server_no_context_takeover begins each message anew",
            play: Play::Compressed(Compressed {
                offer: Offer { server_no_context_takeover: true, ..Offer::default() },
                needs_context: false,
                steps: vec![send(TEXT, text), send(TEXT, text)],
                then: echoes(text),
            }),
        },
    ]
}

/// What fails the connection.
fn failed(text: &str) -> Vec<Case> {
    const MARKED: &str =
        "only the first frame of a message is marked as compressed: otherwise the connection fails";
    let small = deflated(&[text.as_bytes()], Compression::default());
    let (begin, end) = small.split_at(small.len() / 2);
    vec![
        case(
            "marked-continuation",
            "RFC 7692 §6.1",
            MARKED,
            vec![send(TEXT_BEGIN | RSV1, begin), send(LAST | RSV1, end)],
            Then::Fails(&[1_002]),
        ),
        case(
            "marked-ping",
            "RFC 7692 §6.1",
            "a control frame is not compressed: otherwise the connection fails",
            vec![send(PING | RSV1, "marked")],
            Then::Fails(&[1_002]),
        ),
        case(
            "rsv2",
            "RFC 6455 §5.2",
            "permessage-deflate gives no meaning to RSV2: the connection fails",
            vec![send(TEXT | RSV1 | RSV1 >> 1, small.clone())],
            Then::Fails(&[1_002]),
        ),
        case(
            "not-deflate",
            "RFC 7692 §7.2.2",
            "what is not DEFLATE fails the connection",
            vec![send(TEXT | RSV1, [0xFF; 16])],
            Then::Fails(&[1_002, 1_003, 1_007]),
        ),
        case(
            "not-utf8",
            "RFC 6455 §8.1",
            "a text that is not UTF-8 when it is inflated fails the connection",
            vec![send(TEXT | RSV1, deflated(&[b"caf\xe9"], Compression::default()))],
            Then::Fails(&[1_007]),
        ),
        case(
            "much",
            "RFC 6455 §10.4",
            "an end bounds what a message inflates to",
            vec![send(BINARY | RSV1, bomb())],
            Then::FailsOrGoesOn(&[1_002, 1_007, 1_009]),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn what_is_deflated_inflates() {
        let text = b"a text, a text, a text".as_slice();
        for level in [Compression::none(), Compression::fast(), Compression::default()] {
            for parts in [&[text][..], &[&text[..5], &text[5..]]] {
                let mut bytes = deflated(parts, level);
                bytes.extend_from_slice(&[0, 0, 0xFF, 0xFF]);
                let mut back = Vec::new();
                let mut read = flate2::read::DeflateDecoder::new(&bytes[..]);
                let _ = read.read_to_end(&mut back);
                assert_eq!(back, text);
            }
        }
        assert_eq!(final_block(text).last(), Some(&0));
        let bomb = bomb();
        let mut read = flate2::read::DeflateDecoder::new(&bomb[..]);
        let (mut len, mut some) = (0, [0; 64 * 1024]);
        while let Ok(more @ 1..) = read.read(&mut some) {
            len += more;
        }
        assert_eq!((bomb.len() < 2 * 1024 * 1024, len), (true, BOMB_MIB * 1024 * 1024));
    }
}
