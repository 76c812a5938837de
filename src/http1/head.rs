//! The head of an HTTP/1.1 request (RFC 9112): finding its end, parsing it, looking up its fields.
//!
//! Knows no WebSocket: `server` judges whether a head asks for one.

use super::{HttpRefusal, Response, Status};
use std::borrow::Cow;
use std::fmt;

/// Why bytes are not an accepted request head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadError {
    /// It is longer than the limit.
    TooLong,
    /// It has more fields than the limit.
    TooManyHeaders,
    /// It breaks the grammar of RFC 9112.
    Malformed(&'static str),
}

impl fmt::Display for HeadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            HeadError::TooLong => "the request head is too long",
            HeadError::TooManyHeaders => "the request head has too many header fields",
            HeadError::Malformed(what) => what,
        })
    }
}

impl std::error::Error for HeadError {}

impl From<HeadError> for HttpRefusal {
    fn from(error: HeadError) -> HttpRefusal {
        let status = match error {
            HeadError::TooLong | HeadError::TooManyHeaders => Status::HeaderFieldsTooLarge,
            HeadError::Malformed(_) => Status::BadRequest,
        };
        HttpRefusal::new(status, "bad_request", error.to_string())
    }
}

impl From<HeadError> for Response {
    fn from(error: HeadError) -> Response {
        HttpRefusal::from(error).into()
    }
}

/// Finds the end of a head that arrives in pieces, examining each byte once.
#[derive(Clone, Copy, Debug, Default)]
pub struct HeadReader {
    scanned: usize,
}

impl HeadReader {
    /// The length of the head at the beginning of `bytes`, including the empty line; `Ok(None)` if
    /// it is incomplete. `bytes` must begin with those of the last call.
    ///
    /// # Errors
    /// [`HeadError::TooLong`] if it does not end within `bytes_max`; [`HeadError::Malformed`] for a
    /// line that ends in LF alone, or a NUL: other software could read such a head differently (RFC
    /// 9112 §2.2, §11.2).
    pub fn find_end(&mut self, bytes: &[u8], bytes_max: usize) -> Result<Option<usize>, HeadError> {
        let here = &bytes[..bytes.len().min(bytes_max)];
        let mut place = self.scanned.min(here.len());
        while place < here.len() {
            let line_end = here[place..].iter().position(|byte| *byte == b'\n');
            let scanned = line_end.map_or(here.len(), |len| place + len + 1);
            if here[place..scanned].contains(&0) {
                return Err(HeadError::Malformed("the head has a NUL"));
            }
            if line_end.is_some() && !here[..scanned].ends_with(b"\r\n") {
                return Err(HeadError::Malformed("a line of the head does not end in CR LF"));
            }
            if here[..scanned].ends_with(b"\r\n\r\n") {
                return Ok(Some(scanned));
            }
            place = scanned;
        }
        self.scanned = place;
        if bytes.len() > bytes_max { Err(HeadError::TooLong) } else { Ok(None) }
    }
}

/// A parsed head.
#[derive(Debug)]
pub struct RequestHead<'b> {
    /// The method, such as `GET`.
    pub method: &'b str,
    /// Path and query, as they came; the path of an absolute-form target may be missing.
    pub target: &'b str,
    /// The path, without its query; still percent-encoded.
    pub path: &'b str,
    /// The part after the path's `?`; may be empty.
    pub query: &'b str,
    /// The host that the request is for, from `Host`, which must match an absolute-form target;
    /// empty for HTTP/1.0 without one.
    pub host: &'b str,
    /// Whether the version is HTTP/1.0 instead of 1.1.
    pub is_http_1_0: bool,
    fields: Vec<httparse::Header<'b>>,
}

impl<'b> RequestHead<'b> {
    /// Parses a complete head, found by [`HeadReader::find_end`].
    ///
    /// # Errors
    /// [`HeadError`]; `TooManyHeaders` for more than `headers_max` fields.
    pub fn parse(bytes: &'b [u8], headers_max: usize) -> Result<RequestHead<'b>, HeadError> {
        // Left uninitialised, since most requests use few of the allowed fields.
        let mut room = Box::new_uninit_slice(headers_max);
        let mut request = httparse::Request::new(&mut []);
        match request.parse_with_uninit_headers(bytes, &mut room) {
            Ok(httparse::Status::Complete(_)) => {}
            Ok(httparse::Status::Partial) => {
                return Err(HeadError::Malformed("the head is not whole"));
            }
            Err(httparse::Error::TooManyHeaders) => return Err(HeadError::TooManyHeaders),
            Err(_) => {
                return Err(HeadError::Malformed("the head is not that of an HTTP request"));
            }
        }
        let is_http_1_0 = request.version == Some(0);
        let (Some(method), Some(target)) = (request.method, request.path) else {
            return Err(HeadError::Malformed("the request line is not whole"));
        };
        let fields = request.headers.to_vec();
        let (path, query, host) = ("", "", "");
        let mut head = RequestHead { method, target, path, query, host, is_http_1_0, fields };
        // RFC 9112 §3.2: only HTTP/1.0 may omit it.
        let host = match head.only("host")? {
            Some(host) => host,
            None if is_http_1_0 => "",
            None => return Err(HeadError::Malformed("the Host field is missing")),
        };
        // RFC 9112 §3.2: an invalid host is refused like a missing one.
        if !host.bytes().all(is_host_byte) {
            return Err(HeadError::Malformed("Host is no host"));
        }
        // RFC 9112 §3.2: a target has no fragment, and only ASCII characters.
        if target.contains('#') || !target.is_ascii() {
            return Err(HeadError::Malformed("the request target has what no URI may have there"));
        }
        let (authority, target) = split_target(target)?;
        // RFC 9112 §3.2.2: an absolute-form target repeats the host. With two different hosts, two
        // readers would see different requests.
        if authority.is_some_and(|authority| !authority.eq_ignore_ascii_case(host)) {
            return Err(HeadError::Malformed("Host is not the host of the target"));
        }
        head.host = host;
        head.target = target;
        (head.path, head.query) = target.split_once('?').unwrap_or((target, ""));
        // RFC 9112 §3.2.1: an absolute-form target without a path means "/".
        if head.path.is_empty() {
            head.path = "/";
        }
        Ok(head)
    }

    /// The value of a cookie (RFC 6265 §4.2.1): the first one of that name. Other cookies may
    /// contain anything, even non-ASCII bytes.
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<&'b str> {
        let fields = self.fields_named("cookie");
        let mut cookies = fields.flat_map(|field| field.value.split(|byte| *byte == b';'));
        let value = cookies.find_map(|cookie| {
            cookie.trim_ascii().strip_prefix(name.as_bytes())?.strip_prefix(b"=")
        });
        value.and_then(|value| str::from_utf8(value).ok())
    }

    fn fields_named(&self, name: &str) -> impl Iterator<Item = &httparse::Header<'b>> {
        self.fields.iter().filter(move |field| field.name.eq_ignore_ascii_case(name))
    }

    /// The values of a field, in order; `name` in any case. Values that are not visible ASCII are
    /// left out.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &'b str> {
        self.lines(name).filter_map(Result::ok)
    }

    /// The values of a field, in order, one per line; `name` in any case.
    pub fn lines(&self, name: &str) -> impl Iterator<Item = Result<&'b str, HeadError>> {
        self.fields_named(name).map(|line| ascii(line.value))
    }

    /// The value of a field that must not occur twice.
    ///
    /// # Errors
    /// [`HeadError::Malformed`] if it does, or is not visible ASCII.
    pub fn only(&self, name: &str) -> Result<Option<&'b str>, HeadError> {
        let mut lines = self.fields_named(name);
        let Some(line) = lines.next() else { return Ok(None) };
        if lines.next().is_some() {
            return Err(HeadError::Malformed("a field comes twice that may come once"));
        }
        ascii(line.value).map(Some)
    }

    /// Whether a list field, over all its lines, contains `token`, in any case. (`notupgrade` is
    /// not `upgrade`.)
    #[must_use]
    pub fn list_has(&self, name: &str, token: &str) -> bool {
        self.all(name)
            .flat_map(|value| value.split(','))
            .any(|item| item.trim().eq_ignore_ascii_case(token))
    }

    /// Whether the client lets the connection continue after the answer (RFC 9112 §9.3). An
    /// HTTP/1.0 connection has one request.
    #[must_use]
    pub fn keeps_alive(&self) -> bool {
        !self.is_http_1_0 && !self.list_has("connection", "close")
    }

    /// Whether the head announces a body (RFC 9112 §6).
    #[must_use]
    pub fn announces_body(&self) -> bool {
        self.fields_named("content-length").any(|field| field.value != b"0")
            || self.fields_named("transfer-encoding").next().is_some()
    }

    /// All fields whose values are ASCII, in order.
    pub fn fields(&self) -> impl Iterator<Item = (&'b str, &'b str)> {
        self.fields.iter().filter_map(|field| Some((field.name, ascii(field.value).ok()?)))
    }

    /// The decoded value of the first `name=…` in the query, if there is one.
    ///
    /// # Errors
    /// [`HeadError::Malformed`] within, if it is not percent-encoded UTF-8.
    #[must_use]
    pub fn query_value(&self, name: &str) -> Option<Result<Cow<'b, str>, HeadError>> {
        self.query_values(name).next()
    }

    /// The decoded values of all `name=…` in the query, in order.
    ///
    /// # Errors
    /// As [`RequestHead::query_value`].
    pub fn query_values(
        &self,
        name: &str,
    ) -> impl Iterator<Item = Result<Cow<'b, str>, HeadError>> {
        query_values(self.query, name)
    }

    /// All names and values of the query, decoded, in order.
    ///
    /// # Errors
    /// As [`RequestHead::query_value`].
    pub fn query_pairs(
        &self,
    ) -> impl Iterator<Item = Result<(Cow<'b, str>, Cow<'b, str>), HeadError>> {
        let malformed = HeadError::Malformed("the query is not UTF-8, percent-encoded");
        self.query.split('&').filter(|pair| !pair.is_empty()).map(move |pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            decoded(name, b' ').zip(decoded(value, b' ')).ok_or(malformed)
        })
    }
}

fn query_values<'q>(
    query: &'q str,
    name: &str,
) -> impl Iterator<Item = Result<Cow<'q, str>, HeadError>> {
    let pairs = query.split('&').filter_map(move |pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (key == name).then_some(value)
    });
    let malformed = HeadError::Malformed("a value of the query is not UTF-8, percent-encoded");
    pairs.map(move |value| decoded(value, b' ').ok_or(malformed))
}

/// As [`RequestHead::query_value`], for a query alone.
///
/// # Errors
/// As there.
#[must_use]
pub fn query_value<'q>(query: &'q str, name: &str) -> Option<Result<Cow<'q, str>, HeadError>> {
    query_values(query, name).next()
}

/// RFC 3986 §3.2.2, §3.2.3: the characters of a host and port.
pub(crate) fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=:[]".contains(&byte)
}

fn ascii(value: &[u8]) -> Result<&str, HeadError> {
    match std::str::from_utf8(value) {
        Ok(value) if value.is_ascii() => Ok(value.trim()),
        _ => Err(HeadError::Malformed("the value of a field is not ASCII")),
    }
}

/// The authority of an absolute-form target, and its path and query; the path may be empty.
fn split_target(target: &str) -> Result<(Option<&str>, &str), HeadError> {
    if target.starts_with('/') {
        return Ok((None, target));
    }
    let scheme_end = target.find("://").filter(|end| {
        ["http", "https"].iter().any(|scheme| target[..*end].eq_ignore_ascii_case(scheme))
    });
    let Some(scheme_end) = scheme_end else {
        return Err(HeadError::Malformed("the request target is neither a path nor an http URI"));
    };
    let rest = &target[scheme_end + 3..];
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    Ok((Some(&rest[..end]), &rest[end..]))
}

/// A decoded path segment (RFC 3986 §2.1); `None` if it is not percent-encoded UTF-8. A `+` stays a
/// `+`.
#[must_use]
pub fn percent_decoded_path(text: &str) -> Option<Cow<'_, str>> {
    decoded(text, b'+')
}

/// A decoded text in which a `+` stands for this byte.
fn decoded(text: &str, plus: u8) -> Option<Cow<'_, str>> {
    if !text.contains(['%', '+']) {
        return Some(Cow::Borrowed(text));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        match first {
            b'%' => {
                let (digits, after) = rest.split_first_chunk::<2>()?;
                let value = |digit: u8| (digit as char).to_digit(16);
                bytes.push((value(digits[0])? * 16 + value(digits[1])?) as u8);
                rest = after;
            }
            b'+' => bytes.push(plus),
            other => bytes.push(*other),
        }
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

/// RFC 9110 §5.6.2.
pub(crate) fn is_token(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(head: &str) -> Result<RequestHead<'_>, HeadError> {
        RequestHead::parse(head.as_bytes(), 8)
    }

    #[test]
    fn the_end_is_found_at_every_cut_and_each_byte_is_looked_at_once() {
        let head = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        let bytes = [&head[..], b"more"].concat();
        for cut in 0..bytes.len() {
            let mut reader = HeadReader::default();
            let early = reader.find_end(&bytes[..cut], 100).unwrap();
            let found = early.or(reader.find_end(&bytes, 100).unwrap());
            assert_eq!(found, Some(head.len()), "cut at {cut}");
        }
        let mut reader = HeadReader::default();
        assert_eq!(reader.find_end(&bytes[..20], 100), Ok(None));
        assert_eq!(reader.scanned, 20);
    }

    #[test]
    fn a_head_has_a_length_and_one_kind_of_line_end() {
        let find = |bytes: &[u8], max| HeadReader::default().find_end(bytes, max);
        let head = b"GET / HTTP/1.1\r\n\r\n";
        assert_eq!(find(head, head.len()), Ok(Some(head.len())));
        assert_eq!(find(head, head.len() - 1), Err(HeadError::TooLong));
        assert!(matches!(find(b"GET / HTTP/1.1\nHost: a\n\n", 99), Err(HeadError::Malformed(_))));
        assert!(matches!(find(b"GET / HTTP/1.1\r\n\n", 99), Err(HeadError::Malformed(_))));
        assert!(matches!(find(b"GET /\0 HTTP/1.1\r\n", 99), Err(HeadError::Malformed(_))));
        assert!(matches!(find(b"\n", 99), Err(HeadError::Malformed(_))));
    }

    #[test]
    fn the_target_is_taken_apart() {
        let head = parse("GET /ws?user=a%20b&token=x&x HTTP/1.1\r\nHost: h:1\r\n\r\n").unwrap();
        assert_eq!((head.path, head.host), ("/ws", "h:1"));
        assert_eq!(head.query_value("user"), Some(Ok("a b".into())));
        assert_eq!(head.query_value("x"), Some(Ok("".into())));
        assert_eq!(head.query_value("use"), None);
        for wrong in ["%f0%zz", "%ff", "a%c3", "%ed%a0%80", "%c0%af"] {
            let text = format!("GET /?user={wrong} HTTP/1.1\r\nHost: h\r\n\r\n");
            let bad = parse(&text).unwrap();
            assert!(
                matches!(bad.query_value("user"), Some(Err(HeadError::Malformed(_)))),
                "{wrong}"
            );
        }
        let absolute = parse("GET HTTP://h/a?b HTTP/1.1\r\nHost: H\r\n\r\n").unwrap();
        assert_eq!((absolute.path, absolute.query), ("/a", "b"));
        let no_path = parse("GET http://h?token=x HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
        assert_eq!((no_path.path, no_path.query), ("/", "token=x"));
        assert!(parse("GET http://other/ HTTP/1.1\r\nHost: h\r\n\r\n").is_err());
        assert!(parse("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n").is_err());
    }

    #[test]
    fn what_is_ambiguous_is_refused() {
        for head in [
            "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
            "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.2\r\nHost: a\r\n\r\n",
            "GET /\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n folded\r\n\r\n",
            "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: \u{e4}\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n",
            "GET /#a HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /\u{e4} HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / /x HTTP/1.1\r\nHost: a\r\n\r\n",
        ] {
            assert!(matches!(parse(head), Err(HeadError::Malformed(_))), "{head}");
        }
        let many = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: 1\r\n".repeat(8));
        assert_eq!(parse(&many).unwrap_err(), HeadError::TooManyHeaders);
    }

    #[test]
    fn the_version_and_the_client_say_whether_the_connection_goes_on() {
        let with = |text: &str| parse(text).unwrap().keeps_alive();
        assert!(with("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert!(!with("GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n"));
        assert!(!with("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
        let old = parse("GET / HTTP/1.0\r\n\r\n").unwrap();
        assert!(old.is_http_1_0 && old.host.is_empty());
    }

    #[test]
    fn a_list_is_read_over_all_of_its_lines() {
        let head = parse("GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive,\tUPGRADE\r\nConnection: x\r\n\r\n").unwrap();
        assert!(head.list_has("connection", "upgrade") && head.list_has("connection", "x"));
        let head = parse("GET / HTTP/1.1\r\nHost: a\r\nConnection: notupgrade\r\n\r\n").unwrap();
        assert!(!head.list_has("connection", "upgrade"));
    }

    #[test]
    fn a_body_is_seen() {
        let with = |field: &str| {
            parse(&format!("GET / HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\n"))
                .unwrap()
                .announces_body()
        };
        assert!(with("Content-Length: 1") && with("Transfer-Encoding: chunked"));
        assert!(!with("Content-Length: 0") && !with("X: y"));
    }
}
