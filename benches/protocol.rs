//! What the protocol costs, without sockets: see `benches/README.md`.

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use parlor::base::Outbox;
use parlor::http1::{HeadReader, RequestHead};
use parlor::protocol::handshake::Upgrade;
use parlor::protocol::utf8::Utf8Validator;
use parlor::protocol::{Endpoint, FrameHeader, MaskKey, Opcode, Received, mask};
use std::sync::Arc;

fn main() {
    divan::main();
}

const KEY: MaskKey = [0x37, 0xfa, 0x21, 0x3d];
/// What a reactor reads at once.
const BUFFER_BYTES: usize = 256 * 1024;

fn header(opcode: Opcode, mask: Option<MaskKey>, payload_len: usize) -> FrameHeader {
    FrameHeader { fin: true, rsv: 0, opcode, mask, payload_len: payload_len as u64 }
}

/// A thousand headers, of each length of header, judged one by one.
#[divan::bench(args = [20, 1_024, 65_536])]
fn header_decode(bencher: Bencher, payload_len: usize) {
    const HEADERS: usize = 1_000;
    let mut bytes = Vec::new();
    for _ in 0..HEADERS {
        header(Opcode::Text, Some(KEY), payload_len).encode(&mut bytes);
    }
    bencher.counter(ItemsCount::new(HEADERS)).bench(|| {
        let mut rest = black_box(&bytes[..]);
        while let Ok(Some((header, len))) = FrameHeader::decode(rest) {
            black_box(header);
            rest = &rest[len..];
        }
    });
}

mod masking {
    use super::*;

    const LENS: [usize; 3] = [16, 1_024, 65_536];

    #[divan::bench(args = LENS)]
    fn eight_bytes_at_a_time(bencher: Bencher, len: usize) {
        let mut payload = vec![b'a'; len];
        bencher
            .counter(BytesCount::new(len))
            .bench_local(|| mask::apply(black_box(&mut payload), black_box(KEY), black_box(0)));
    }

    /// The loop that one writes first.
    #[divan::bench(args = LENS)]
    fn byte_by_byte(bencher: Bencher, len: usize) {
        let mut payload = vec![b'a'; len];
        bencher.counter(BytesCount::new(len)).bench_local(|| {
            let key = black_box(KEY);
            for (i, byte) in black_box(&mut payload).iter_mut().enumerate() {
                *byte ^= key[i & 3];
            }
        });
    }
}

mod utf8 {
    use super::*;

    const TEXT_BYTES: usize = 64 * 1024;

    /// 64 KiB, or a few bytes less, of whole characters.
    fn text(sample: &str) -> String {
        sample.repeat(TEXT_BYTES / sample.len())
    }

    const SAMPLES: [&str; 2] = ["ascii", "mixed"];

    fn sample(name: &str) -> String {
        match name {
            "ascii" => text("Shall we meet at nine? "),
            "mixed" => text("Grüße, привет, こんにちは 😀! "),
            other => panic!("no sample {other}"),
        }
    }

    #[divan::bench(args = SAMPLES)]
    fn whole(bencher: Bencher, name: &str) {
        validate(bencher, &sample(name), TEXT_BYTES);
    }

    /// In pieces of a usual TCP segment: most end within a character of the mixed text.
    #[divan::bench(args = SAMPLES)]
    fn in_pieces_of_1448(bencher: Bencher, name: &str) {
        validate(bencher, &sample(name), 1_448);
    }

    #[divan::bench(args = SAMPLES)]
    fn in_pieces_of_61(bencher: Bencher, name: &str) {
        validate(bencher, &sample(name), 61);
    }

    fn validate(bencher: Bencher, text: &str, piece_len: usize) {
        bencher.counter(BytesCount::of_str(text)).bench(|| {
            let mut validator = Utf8Validator::default();
            for piece in black_box(text).as_bytes().chunks(piece_len) {
                validator.feed(piece).unwrap();
            }
            assert!(validator.is_complete());
        });
    }
}

mod endpoint {
    use super::*;

    const LENS: [usize; 3] = [20, 1_024, 16_384];

    /// As many masked texts as a read buffer holds, how many, and the length of each frame.
    fn messages(len: usize) -> (Vec<u8>, usize, usize) {
        let mut frame = Vec::new();
        header(Opcode::Text, Some(KEY), len).encode(&mut frame);
        let start = frame.len();
        frame.resize(start + len, b'a');
        mask::apply(&mut frame[start..], KEY, 0);
        let count = BUFFER_BYTES / frame.len();
        (frame.repeat(count), count, frame.len())
    }

    /// Every message lies whole in the buffer, as most do.
    #[divan::bench(args = LENS, sample_size = 1, sample_count = 1_000)]
    fn server_reads_texts_whole(bencher: Bencher, len: usize) {
        let (bytes, count, _) = messages(len);
        read(bencher, &bytes, count, 0, bytes.len());
    }

    /// Every message comes in two pieces: each piece is the end of one and the beginning of the
    /// next.
    #[divan::bench(args = LENS, sample_size = 1, sample_count = 1_000)]
    fn server_reads_texts_in_two(bencher: Bencher, len: usize) {
        let (bytes, count, frame_len) = messages(len);
        read(bencher, &bytes, count, frame_len / 2, frame_len);
    }

    /// Gives `bytes` to a server, first `first_len` of them, then `piece_len` at a time. They are
    /// unmasked in place, so that each run has a fresh copy, made just before and not counted.
    fn read(bencher: Bencher, bytes: &[u8], count: usize, first_len: usize, piece_len: usize) {
        let limits = Arc::default();
        bencher
            .counter(ItemsCount::new(count))
            .counter(BytesCount::of_slice(bytes))
            .with_inputs(|| (bytes.to_vec(), Outbox::alone(1_000)))
            .bench_local_refs(|(bytes, out)| {
                let mut server = Endpoint::server(Arc::clone(&limits));
                let mut events = 0;
                let (first, rest) = bytes.split_at_mut(first_len);
                for piece in std::iter::once(first).chain(rest.chunks_mut(piece_len)) {
                    let mut input = Received::new(piece);
                    while let Some(event) = server.next_event(&mut input, out).unwrap() {
                        black_box(event);
                        events += 1;
                    }
                }
                assert_eq!(events, count);
            });
    }
}

/// From the bytes of a browser's request to the bytes of the answer.
#[divan::bench(sample_size = 100)]
fn handshake_judge(bencher: Bencher) {
    const REQUEST: &[u8] = b"GET /ws?v=1 HTTP/1.1\r\n\
        Host: chat.example.com\r\n\
        Connection: Upgrade\r\n\
        Pragma: no-cache\r\n\
        Cache-Control: no-cache\r\n\
        User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
        Chrome/142.0.0.0 Safari/537.36\r\n\
        Upgrade: websocket\r\n\
        Origin: https://chat.example.com\r\n\
        Sec-WebSocket-Version: 13\r\n\
        Accept-Encoding: gzip, deflate, br, zstd\r\n\
        Accept-Language: en-US,en;q=0.9\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\
        Sec-WebSocket-Protocol: parlor.v1\r\n\r\n";
    bencher.counter(ItemsCount::new(1usize)).bench(|| {
        let request = black_box(REQUEST);
        let len = HeadReader::default().find_end(request, 16 * 1024).unwrap().unwrap();
        let head = RequestHead::parse(&request[..len], 64).unwrap();
        let upgrade = Upgrade::judge(&head).unwrap();
        upgrade.accept(upgrade.protocols().first().copied(), None)
    });
}
