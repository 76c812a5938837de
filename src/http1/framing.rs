//! Finds where a request's body ends (RFC 9112 §6, §7.1): by its length, or in chunks.
//!
//! Ambiguous framing is refused and ends the connection: if a proxy in front disagrees about where
//! a body ends, an attacker can smuggle a request.

use super::head::is_token;
use super::response::bad;
use super::{HttpRefusal, RequestHead, Status};
use crate::base::limits::{CHUNK_EXTENSIONS_BYTES_MAX, CHUNK_LINE_BYTES_MAX, TRAILER_BYTES_MAX};

/// How a head delimits its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// After so many bytes; zero if the head does not say.
    Length(u64),
    /// After a chunk of zero bytes.
    Chunked,
}

impl Framing {
    /// Reads the framing from a head (RFC 9112 §6.3).
    ///
    /// # Errors
    /// A [`HttpRefusal`] if the head is ambiguous, or uses an unknown coding.
    pub fn of(head: &RequestHead<'_>) -> Result<Framing, HttpRefusal> {
        let mut codings = Vec::new();
        for line in head.lines("transfer-encoding") {
            codings.extend(line?.split(',').map(str::trim));
        }
        let length = head.only("content-length")?;
        match (codings.as_slice(), length) {
            ([], None) => Ok(Framing::Length(0)),
            // RFC 9112 §6.2: digits only, and no more than fit a number.
            ([], Some(digits)) => {
                let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
                let length = digits.parse().ok().filter(|_| is_number);
                length.map(Framing::Length).ok_or_else(|| bad("Content-Length is no number"))
            }
            // RFC 9112 §6.1, §11.2: a head with both may be an attempt at smuggling.
            (_, Some(_)) => Err(bad("Content-Length and Transfer-Encoding exclude each other")),
            // RFC 9112 §6.1: HTTP/1.0 has no chunks.
            _ if head.is_http_1_0 => Err(bad("Transfer-Encoding is not of HTTP/1.0")),
            ([one], None) if one.eq_ignore_ascii_case("chunked") => Ok(Framing::Chunked),
            // RFC 9112 §6.1: chunked occurs once, and last.
            (all, None) => match all.iter().position(|one| one.eq_ignore_ascii_case("chunked")) {
                Some(place) if place + 1 < all.len() => Err(bad("chunked comes once, and last")),
                _ if all.iter().any(|one| one.is_empty()) => {
                    Err(bad("Transfer-Encoding has an empty element"))
                }
                _ => Err(HttpRefusal::new(
                    Status::NotImplemented,
                    "bad_request",
                    "the only supported transfer coding is chunked",
                )),
            },
        }
    }
}

/// Why reading of a body stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyError {
    /// It is larger than a body may be.
    TooLarge,
    /// All incomplete bodies together exceed their limit.
    NoRoom,
    /// Its chunks break the grammar or a limit.
    Malformed(&'static str),
}

/// Reads a body as it arrives: removes the framing and passes the content on piece by piece.
#[derive(Debug)]
pub struct BodyReader {
    state: BodyState,
    bytes_max: usize,
    /// Length of the content received so far.
    len: usize,
    extension_bytes: usize,
}

#[derive(Debug)]
enum BodyState {
    /// Bytes of the body or of a chunk still to come, at least one.
    Content {
        left: usize,
        is_chunk: bool,
    },
    /// A chunk's size and extensions; the bytes received so far.
    Size(Vec<u8>),
    /// The CR LF after a chunk, or only its LF.
    ChunkEnd {
        has_cr: bool,
    },
    /// Lines after the last chunk: the received part of one, and the bytes of those before it.
    Trailer {
        line: Vec<u8>,
        before: usize,
    },
    Whole,
}

impl BodyReader {
    /// A reader for a body with this framing and at most `bytes_max` bytes.
    ///
    /// # Errors
    /// [`BodyError::TooLarge`] if the announced length is larger.
    pub fn new(framing: Framing, bytes_max: usize) -> Result<BodyReader, BodyError> {
        let state = match framing {
            Framing::Length(0) => BodyState::Whole,
            Framing::Length(len) => match usize::try_from(len) {
                Ok(left) if left <= bytes_max => BodyState::Content { left, is_chunk: false },
                Ok(_) | Err(_) => return Err(BodyError::TooLarge),
            },
            Framing::Chunked => BodyState::Size(Vec::new()),
        };
        Ok(BodyReader { state, bytes_max, len: 0, extension_bytes: 0 })
    }

    /// Reads received bytes; returns how many belong to the body. Passes the content to `keep`,
    /// which returns whether there was room for it.
    ///
    /// # Errors
    /// [`BodyError`]: nothing more of the body can be read.
    pub fn read(
        &mut self,
        bytes: &[u8],
        mut keep: impl FnMut(&[u8]) -> bool,
    ) -> Result<usize, BodyError> {
        let mut used = 0;
        while used < bytes.len() && !self.is_whole() {
            used += self.step(&bytes[used..], &mut keep)?;
        }
        Ok(used)
    }

    /// Whether the whole body has arrived.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        matches!(self.state, BodyState::Whole)
    }

    fn step(
        &mut self,
        bytes: &[u8],
        keep: &mut impl FnMut(&[u8]) -> bool,
    ) -> Result<usize, BodyError> {
        match &mut self.state {
            BodyState::Content { left, is_chunk } => {
                let take = bytes.len().min(*left);
                *left -= take;
                if *left == 0 {
                    self.state = match is_chunk {
                        true => BodyState::ChunkEnd { has_cr: false },
                        false => BodyState::Whole,
                    };
                }
                self.len += take;
                if keep(&bytes[..take]) { Ok(take) } else { Err(BodyError::NoRoom) }
            }
            BodyState::ChunkEnd { has_cr } => match (*has_cr, bytes.first()) {
                (false, Some(b'\r')) => {
                    *has_cr = true;
                    Ok(1)
                }
                (true, Some(b'\n')) => {
                    self.state = BodyState::Size(Vec::new());
                    Ok(1)
                }
                _ => Err(BodyError::Malformed("a chunk is longer than its size")),
            },
            BodyState::Size(line) => {
                let (used, is_line) = read_line(line, bytes, CHUNK_LINE_BYTES_MAX)?;
                if is_line {
                    let (size, extension_bytes) = chunk_size(line)?;
                    self.begin_chunk(size, extension_bytes)?;
                }
                Ok(used)
            }
            BodyState::Trailer { line, before } => {
                let (used, is_line) = read_line(line, bytes, TRAILER_BYTES_MAX)?;
                if is_line && line.is_empty() {
                    self.state = BodyState::Whole;
                } else if is_line {
                    check_trailer(line)?;
                    *before += line.len();
                    if *before > TRAILER_BYTES_MAX {
                        return Err(BodyError::Malformed("the trailer is too long"));
                    }
                    line.clear();
                }
                Ok(used)
            }
            BodyState::Whole => Ok(0),
        }
    }

    fn begin_chunk(&mut self, size: u64, extension_bytes: usize) -> Result<(), BodyError> {
        self.extension_bytes += extension_bytes;
        if self.extension_bytes > CHUNK_EXTENSIONS_BYTES_MAX {
            return Err(BodyError::Malformed("the chunks' extensions are too long"));
        }
        let left = self.bytes_max - self.len;
        self.state = match usize::try_from(size) {
            Ok(0) => BodyState::Trailer { line: Vec::new(), before: 0 },
            Ok(size) if size <= left => BodyState::Content { left: size, is_chunk: true },
            Ok(_) | Err(_) => return Err(BodyError::TooLarge),
        };
        Ok(())
    }
}

/// Appends a line's bytes to `line`, without its end; returns how many were used, and whether the
/// line has ended.
fn read_line(line: &mut Vec<u8>, bytes: &[u8], max: usize) -> Result<(usize, bool), BodyError> {
    let end = bytes.iter().position(|byte| *byte == b'\n');
    let used = end.map_or(bytes.len(), |end| end + 1);
    let piece = &bytes[..end.unwrap_or(bytes.len())];
    // One more for the CR at the end.
    if line.len() + piece.len() > max + 1 {
        return Err(BodyError::Malformed("a line of the chunks is too long"));
    }
    line.extend_from_slice(piece);
    if end.is_none() {
        return Ok((used, false));
    }
    // RFC 9112 §2.2 permits a bare LF. It is refused here, as a proxy may read it differently.
    if line.pop() != Some(b'\r') {
        return Err(BodyError::Malformed("a line of the chunks does not end in CR LF"));
    }
    if line.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t') {
        return Err(BodyError::Malformed("a line of the chunks has a control character"));
    }
    Ok((used, true))
}

/// RFC 9112 §7.1: a chunk's size, and the length of its extensions, which are ignored.
fn chunk_size(line: &[u8]) -> Result<(u64, usize), BodyError> {
    let malformed = BodyError::Malformed("a chunk's size is no hexadecimal number");
    let len = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let (digits, extensions) = line.split_at(len);
    // RFC 9112 §7.1.1: only bad white space may precede the semicolon.
    let begins = extensions.trim_ascii_start().first();
    if !(extensions.is_empty() || begins == Some(&b';')) {
        return Err(malformed);
    }
    let digits = str::from_utf8(digits).map_err(|_| malformed)?;
    // Sixteen digits are the most of a 64-bit number: leading zeros must not hide anything.
    if digits.len() > 16 {
        return Err(malformed);
    }
    let size = u64::from_str_radix(digits, 16).map_err(|_| malformed)?;
    Ok((size, extensions.len()))
}

/// RFC 9112 §7.1.2: a trailer line is a field, and is discarded.
fn check_trailer(line: &[u8]) -> Result<(), BodyError> {
    let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
    let has_colon = name.len() < line.len();
    let is_field = has_colon && str::from_utf8(name).is_ok_and(is_token);
    is_field.then_some(()).ok_or(BodyError::Malformed("a line of the trailer is no field"))
}

impl From<BodyError> for HttpRefusal {
    fn from(error: BodyError) -> HttpRefusal {
        match error {
            BodyError::TooLarge => HttpRefusal::new(
                Status::ContentTooLarge,
                "too_large",
                "the request's body is larger than it may be",
            ),
            BodyError::NoRoom => HttpRefusal::new(
                Status::ServiceUnavailable,
                "overloaded",
                "too many request bodies are being received",
            )
            .with(&[("Retry-After", "1")]),
            BodyError::Malformed(what) => bad(what),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framing(fields: &str) -> Result<Framing, Status> {
        let text = format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        let head = RequestHead::parse(text.as_bytes(), 16).unwrap();
        Framing::of(&head).map_err(|refusal| refusal.status)
    }

    #[test]
    fn a_head_says_in_one_way_where_its_body_ends() {
        assert_eq!(framing(""), Ok(Framing::Length(0)));
        assert_eq!(framing("Content-Length: 5\r\n"), Ok(Framing::Length(5)));
        assert_eq!(framing("Content-Length: 007\r\n"), Ok(Framing::Length(7)));
        assert_eq!(framing("Transfer-Encoding: Chunked\r\n"), Ok(Framing::Chunked));
        for bad in [
            "Content-Length: \r\n",
            "Content-Length: +5\r\n",
            "Content-Length: -0\r\n",
            "Content-Length: 5, 5\r\n",
            "Content-Length: 0x5\r\n",
            "Content-Length: 5 5\r\n",
            "Content-Length: 18446744073709551616\r\n",
            "Content-Length: 5\r\nContent-Length: 5\r\n",
            "Content-Length: 5\r\nContent-Length: 6\r\n",
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            "Content-Length: 0\r\nTransfer-Encoding: identity\r\n",
            "Transfer-Encoding: chunked, chunked\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n",
            "Transfer-Encoding: chunked, gzip\r\n",
            "Transfer-Encoding: chunked,\r\n",
            "Transfer-Encoding: \r\n",
            "Transfer-Encoding: é\r\n",
        ] {
            assert_eq!(framing(bad), Err(Status::BadRequest), "{bad}");
        }
        for unknown in ["gzip, chunked", "identity", "xchunked", "chunked;q=1", "\"chunked\""] {
            let fields = format!("Transfer-Encoding: {unknown}\r\n");
            assert_eq!(framing(&fields), Err(Status::NotImplemented), "{unknown}");
        }
        let old = "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n";
        let head = RequestHead::parse(old.as_bytes(), 16).unwrap();
        assert_eq!(Framing::of(&head).unwrap_err().status, Status::BadRequest);
    }

    /// The content and how many bytes it took; `None` if it is incomplete.
    fn chunked(bytes: &[u8]) -> Result<Option<(Vec<u8>, usize)>, BodyError> {
        let mut reader = BodyReader::new(Framing::Chunked, 10).unwrap();
        let mut content = Vec::new();
        let used = reader.read(bytes, |piece| {
            content.extend_from_slice(piece);
            true
        })?;
        Ok(reader.is_whole().then_some((content, used)))
    }

    #[test]
    fn chunks_are_joined_and_what_follows_is_left() {
        let content = |bytes: &[u8]| chunked(bytes).unwrap().unwrap();
        assert_eq!(content(b"0\r\n\r\nmore"), (b"".to_vec(), 5));
        assert_eq!(content(b"3\r\nabc\r\n2;x=\"y\"\r\nde\r\n000\r\n\r\n").0, b"abcde");
        assert_eq!(content(b"A \t;\r\n0123456789\r\n0\r\nX: y\r\nZ:\r\n\r\n").0, b"0123456789");
        assert_eq!(chunked(b"3\r\nabc\r\n0\r\n"), Ok(None));
    }

    #[test]
    fn chunks_that_two_readers_could_read_in_two_ways_are_refused() {
        for bad in [
            &b"\r\n"[..],
            b"3\nabc\r\n",
            b"3\r\nabcd\r\n",
            b"3\r\nabc\n0\r\n\r\n",
            b"3\r\nabc\r\r\n",
            b"3 \r\nabc\r\n",
            b" 3\r\nabc\r\n",
            b"+3\r\nabc\r\n",
            b"-1\r\n",
            b"0x3\r\nabc\r\n",
            b"3g\r\nabc\r\n",
            b"3;a\0\r\nabc\r\n",
            b"3;a\rb\r\nabc\r\n",
            b"00000000000000003\r\nabc\r\n",
            b"fffffffffffffffff\r\n",
            b"0\r\nX : y\r\n\r\n",
            b"0\r\n folded\r\n\r\n",
            b"0\r\nno field\r\n\r\n",
            b"0\r\nX: y\n\r\n",
        ] {
            let error = chunked(bad).unwrap_err();
            assert!(matches!(error, BodyError::Malformed(_)), "{}", bad.escape_ascii());
        }
        for large in [&b"B\r\n"[..], b"3\r\nabc\r\n8\r\n", b"ffffffffffffffff\r\n"] {
            assert_eq!(chunked(large), Err(BodyError::TooLarge), "{}", large.escape_ascii());
        }
    }

    #[test]
    fn what_is_beside_the_content_is_bounded() {
        let line = [b"1;".to_vec(), vec![b'x'; CHUNK_LINE_BYTES_MAX]].concat();
        assert!(matches!(chunked(&line), Err(BodyError::Malformed(_))));
        let field = [b"0\r\nX: ".to_vec(), vec![b'x'; TRAILER_BYTES_MAX]].concat();
        assert!(matches!(chunked(&field), Err(BodyError::Malformed(_))));
        let fields = [b"0\r\n".to_vec(), b"X: y\r\n".repeat(TRAILER_BYTES_MAX / 4 + 1)].concat();
        assert!(matches!(chunked(&fields), Err(BodyError::Malformed(_))));
        let mut reader = BodyReader::new(Framing::Chunked, usize::MAX).unwrap();
        let chunk = [b"1;".as_slice(), &[b'x'; 98], b"\r\na\r\n"].concat();
        let count = (0..).find(|_| reader.read(&chunk, |_| true).is_err());
        assert_eq!(count, Some(CHUNK_EXTENSIONS_BYTES_MAX / 99));
    }

    #[test]
    fn a_body_that_is_announced_too_large_is_not_begun() {
        let large = BodyReader::new(Framing::Length(101), 100);
        assert_eq!(large.unwrap_err(), BodyError::TooLarge);
        assert!(BodyReader::new(Framing::Length(100), 100).is_ok());
    }

    #[test]
    fn a_body_for_which_there_is_no_room_is_not_read_on() {
        let mut one = BodyReader::new(Framing::Length(8), 100).unwrap();
        assert_eq!(one.read(b"12345", |_| true), Ok(5));
        let mut other = BodyReader::new(Framing::Chunked, 100).unwrap();
        assert_eq!(other.read(b"6\r\n123456", |piece| piece.len() < 6), Err(BodyError::NoRoom));
        assert_eq!(one.read(b"678more", |_| true), Ok(3));
        assert!(one.is_whole());
    }
}
