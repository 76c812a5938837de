//! What comes on one connection, checked piece by piece as it comes: nothing is kept of it but what
//! was compressed.

use crate::Fallible;
use crate::content::{NUMBER_BYTES, Number};
use flate2::{Decompress, FlushDecompress, Status};
use parlor_peers::frame::{self, HEADER_BYTES_MAX, Header};

/// What every message must be.
#[derive(Debug)]
pub(crate) struct Expected {
    /// FIN and opcode.
    pub(crate) first: u8,
    /// The body, but for its number.
    pub(crate) body: Vec<u8>,
    /// Whether messages may be compressed.
    pub(crate) compressed: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Incoming {
    /// A header that is not all there.
    header: Vec<u8>,
    /// The frame whose payload is coming, and how much of it has come.
    frame: Option<(Header, usize)>,
    /// The payload of a control frame, or of a compressed message.
    kept: Vec<u8>,
}

/// What has come whole.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Came {
    Message,
    Ping(Vec<u8>),
}

impl Incoming {
    /// Takes from `bytes` up to the end of the next frame; `Ok(None)` if it is not in there.
    pub(crate) fn take(
        &mut self,
        bytes: &mut &[u8],
        expected: &Expected,
        number: impl Fn() -> Number,
    ) -> Fallible<Option<Came>> {
        let (header, done) = match self.frame {
            Some(frame) => frame,
            None => match self.take_header(bytes) {
                Some(header) => {
                    judge(&header, expected)?;
                    (header, 0)
                }
                None => return Ok(None),
            },
        };
        let (piece, rest) = bytes.split_at(bytes.len().min(header.payload_len - done));
        *bytes = rest;
        let is_message = header.first == expected.first;
        if is_message {
            check(piece, done, &expected.body, &number())?;
        } else {
            self.kept.extend_from_slice(piece);
        }
        if done + piece.len() < header.payload_len {
            self.frame = Some((header, done + piece.len()));
            return Ok(None);
        }
        self.frame = None;
        if is_message {
            return Ok(Some(Came::Message));
        }
        let kept = std::mem::take(&mut self.kept);
        if header.first == frame::PING {
            return Ok(Some(Came::Ping(kept)));
        }
        let body = inflated(&kept, expected.body.len())?;
        if body.len() != expected.body.len() {
            return Err(format!("a message inflates to {} bytes", body.len()).into());
        }
        check(&body, 0, &expected.body, &number())?;
        Ok(Some(Came::Message))
    }

    fn take_header(&mut self, bytes: &mut &[u8]) -> Option<Header> {
        if self.header.is_empty()
            && let Some(header) = Header::decode(bytes)
        {
            *bytes = &bytes[header.header_len..];
            return Some(header);
        }
        while let [byte, rest @ ..] = *bytes {
            *bytes = rest;
            self.header.push(*byte);
            if let Some(header) = Header::decode(&self.header) {
                self.header.clear();
                return Some(header);
            }
            debug_assert!(self.header.len() < HEADER_BYTES_MAX);
        }
        None
    }
}

fn judge(header: &Header, expected: &Expected) -> Fallible<()> {
    let Header { first, payload_len, .. } = *header;
    if header.key.is_some() {
        return Err("a server's frame is masked".into());
    }
    if header.header_len != frame::server_header_len(payload_len) {
        return Err("a length is not in its shortest form".into());
    }
    let fits = if first == expected.first {
        payload_len == expected.body.len()
    } else if first == expected.first | frame::COMPRESSED {
        expected.compressed && payload_len <= expected.body.len() + 64
    } else {
        first == frame::PING && payload_len <= 125
    };
    if fits {
        return Ok(());
    }
    let wanted = expected.body.len();
    Err(format!("{first:#04x} with {payload_len} bytes came, {wanted} were to come").into())
}

/// Checks the piece of a payload that begins at `at`.
fn check(piece: &[u8], at: usize, body: &[u8], number: &Number) -> Fallible<()> {
    let (numbered, words) = piece.split_at(NUMBER_BYTES.saturating_sub(at).min(piece.len()));
    let right = numbered.is_empty() || numbered == &number[at..at + numbered.len()];
    let words_at = at + numbered.len();
    if right && words == &body[words_at..words_at + words.len()] {
        return Ok(());
    }
    let (came, wanted) = (String::from_utf8_lossy(numbered), String::from_utf8_lossy(number));
    Err(format!("not what was to come: number {came:?} at {at}, not {wanted:?}, or the words")
        .into())
}

/// RFC 7692 §7.2.2; each message by itself, as was agreed.
fn inflated(compressed: &[u8], bytes_max: usize) -> Fallible<Vec<u8>> {
    const TAIL: [u8; 4] = [0, 0, 0xFF, 0xFF];
    let mut inflate = Decompress::new(false);
    let mut body = Vec::with_capacity(bytes_max + 1);
    for piece in [compressed, &TAIL] {
        let before = inflate.total_in();
        let status = inflate.decompress_vec(piece, &mut body, FlushDecompress::Sync)?;
        let is_used_up = inflate.total_in() - before == piece.len() as u64;
        if status == Status::BufError || !is_used_up {
            return Err("a compressed message is longer than it was".into());
        }
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content;
    use flate2::{Compress, Compression, FlushCompress};

    fn expected() -> Expected {
        Expected { first: frame::TEXT, body: content::words(200), compressed: true }
    }

    fn body(number: Number) -> Vec<u8> {
        let mut body = content::words(200);
        body[..NUMBER_BYTES].copy_from_slice(&number);
        body
    }

    fn frame_of(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = [0; HEADER_BYTES_MAX];
        let start = frame::put_server_header(&mut bytes, first, payload.len());
        [&bytes[start..], payload].concat()
    }

    #[test]
    fn a_message_is_taken_at_every_cut() {
        let bytes = frame_of(frame::TEXT, &body(content::number(1, 2)));
        for cut in 0..bytes.len() {
            let mut incoming = Incoming::default();
            let (mut before, mut after) = bytes.split_at(cut);
            let number = || content::number(1, 2);
            assert_eq!(incoming.take(&mut before, &expected(), number).unwrap(), None);
            let came = incoming.take(&mut after, &expected(), number).unwrap();
            assert_eq!((came, after.len()), (Some(Came::Message), 0));
        }
    }

    #[test]
    fn what_is_wrong_is_an_error() {
        let right = frame_of(frame::TEXT, &body(content::number(1, 2)));
        let wrong = |mut bytes: &[u8], message| {
            Incoming::default()
                .take(&mut bytes, &expected(), || content::number(1, message))
                .is_err()
        };
        assert!(!wrong(&right, 2));
        assert!(wrong(&right, 3), "another number");
        for (place, value) in [(0, frame::BINARY), (1, 0xFE), (3, 201), (203, b'!')] {
            let mut bytes = right.clone();
            bytes[place] = value;
            assert!(wrong(&bytes, 2), "{place}");
        }
    }

    #[test]
    fn a_compressed_message_is_inflated() {
        let mut deflate = Compress::new(Compression::fast(), false);
        let mut payload = Vec::with_capacity(1_000);
        let body = body(content::number(1, 2));
        deflate.compress_vec(&body, &mut payload, FlushCompress::Sync).unwrap();
        payload.truncate(payload.len() - 4);
        let bytes = frame_of(frame::TEXT | frame::COMPRESSED, &payload);
        let came = Incoming::default().take(&mut &bytes[..], &expected(), || content::number(1, 2));
        assert_eq!(came.unwrap(), Some(Came::Message));
    }
}
