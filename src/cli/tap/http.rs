//! Heads of HTTP that pass, read as far as the tap must to know where the next one begins. It judges nothing, and what it
//! does not understand passes unread.

use super::page::is_own_host;
use crate::http1::{BodyReader, Framing};
use std::net::SocketAddr;

/// A longer head is not read.
pub(super) const HEAD_BYTES_MAX: usize = 64 * 1024;

/// A head: its first line and its fields.
#[derive(Debug)]
pub(super) struct PassingHead {
    pub(super) first: String,
    fields: Vec<(String, String)>,
}

/// What follows a head before the next one.
#[derive(Debug)]
pub(super) enum PassingBody {
    None,
    Read(BodyReader),
    /// All until the connection's end.
    Rest,
}

impl PassingHead {
    /// Finds where a head ends; the search goes on at `from`.
    pub(super) fn end(bytes: &[u8], from: usize) -> Option<usize> {
        let mut at = from;
        while let Some(line) = bytes.get(at..)?.iter().position(|byte| *byte == b'\n') {
            let next = at + line + 1;
            match bytes.get(next..)? {
                [b'\n', ..] => return Some(next + 1),
                [b'\r', b'\n', ..] => return Some(next + 2),
                _ => at = next,
            }
        }
        None
    }

    pub(super) fn parse(bytes: &[u8]) -> PassingHead {
        let text = String::from_utf8_lossy(bytes);
        let mut lines = text.lines();
        let first = lines.next().unwrap_or_default().to_owned();
        let field = |line: &str| {
            let (name, value) = line.split_once(':')?;
            Some((name.trim().to_ascii_lowercase(), value.trim().to_owned()))
        };
        PassingHead { first, fields: lines.filter_map(field).collect() }
    }

    /// The words of the first line.
    pub(super) fn word(&self, index: usize) -> &str {
        self.first.split_whitespace().nth(index).unwrap_or_default()
    }

    pub(super) fn status(&self) -> u16 {
        self.word(1).parse().unwrap_or_default()
    }

    /// The value of a field, with those of its repetitions.
    pub(super) fn field(&self, name: &str) -> Option<String> {
        let values: Vec<&str> = self
            .fields
            .iter()
            .filter(|(one, _)| one == name)
            .map(|(_, value)| value.as_str())
            .collect();
        (!values.is_empty()).then(|| values.join(", "))
    }

    fn lists(&self, name: &str, token: &str) -> bool {
        self.field(name)
            .is_some_and(|list| list.split(',').any(|one| one.trim().eq_ignore_ascii_case(token)))
    }

    /// Whether it asks for a WebSocket.
    pub(super) fn asks_for_websocket(&self) -> bool {
        self.word(0) == "GET" && self.lists("upgrade", "websocket")
    }

    /// Whether permessage-deflate was agreed on (RFC 7692 §5), by an answer.
    pub(super) fn agrees_on_deflate(&self) -> bool {
        let named =
            |one: &str| one.split(';').next().unwrap_or_default().trim() == "permessage-deflate";
        self.field("sec-websocket-extensions").is_some_and(|list| list.split(',').any(named))
    }

    /// The body of a request.
    pub(super) fn body_of_request(&self) -> PassingBody {
        self.framed().unwrap_or(PassingBody::None)
    }

    /// RFC 9112 §6.3: the body of an answer to a request of this method.
    pub(super) fn body_of_answer(&self, method: &str) -> PassingBody {
        match self.status() {
            100..=199 | 204 | 304 => PassingBody::None,
            _ if method == "HEAD" => PassingBody::None,
            _ => self.framed().unwrap_or(PassingBody::Rest),
        }
    }

    fn framed(&self) -> Option<PassingBody> {
        let framing = if self.lists("transfer-encoding", "chunked") {
            Framing::Chunked
        } else {
            Framing::Length(self.field("content-length")?.parse().ok()?)
        };
        let body = BodyReader::new(framing, usize::MAX).ok()?;
        Some(if body.is_whole() { PassingBody::None } else { PassingBody::Read(body) })
    }
}

/// Whom the requests are to name as their host.
#[derive(Clone, Debug)]
pub(super) struct HostNames {
    /// Where the tap listens.
    pub(super) tap: SocketAddr,
    pub(super) authority: String,
    pub(super) scheme: &'static str,
}

/// A request's head whose `Host` names the upstream, and whose `Origin`, if that was the `Host`, too. One that names
/// neither the tap nor this machine stays: the upstream judges it, which would not see that a foreign page has another
/// name lead here (DNS rebinding).
pub(super) fn with_host(head: &[u8], names: &HostNames) -> Vec<u8> {
    let HostNames { tap, authority, scheme } = names;
    let parsed = PassingHead::parse(head);
    let old = parsed.field("host").unwrap_or_default();
    if !is_own_host(&old, *tap) {
        return head.to_vec();
    }
    let is_own = |origin: &str| origin.split_once("://").is_some_and(|(_, host)| host == old);
    let mut changed = Vec::with_capacity(head.len() + authority.len());
    for line in head.split_inclusive(|byte| *byte == b'\n') {
        let text = String::from_utf8_lossy(line);
        let (name, value) = text.split_once(':').unwrap_or((&text, ""));
        match name.to_ascii_lowercase().as_str() {
            "host" => changed.extend_from_slice(format!("{name}: {authority}\r\n").as_bytes()),
            "origin" if is_own(value.trim()) => {
                changed.extend_from_slice(format!("{name}: {scheme}://{authority}\r\n").as_bytes());
            }
            _ => changed.extend_from_slice(line),
        }
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: &[u8] =
        b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1:7000\r\nOrigin: http://127.0.0.1:7000\r\n\
        Upgrade: h2c, WebSocket\r\n\r\nrest";

    #[test]
    fn a_head_ends_at_its_empty_line() {
        assert_eq!(PassingHead::end(REQUEST, 0), Some(REQUEST.len() - 4));
        assert_eq!(PassingHead::end(b"GET /\nA: b\n\nrest", 0), Some(12));
        for cut in 0..REQUEST.len() - 4 {
            assert_eq!(PassingHead::end(&REQUEST[..cut], 0), None, "{cut}");
        }
        assert!(PassingHead::parse(REQUEST).asks_for_websocket());
    }

    #[test]
    fn a_body_ends_as_its_head_says() {
        let body = |head: &str, method| PassingHead::parse(head.as_bytes()).body_of_answer(method);
        assert!(matches!(
            body("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "GET"),
            PassingBody::Read(_)
        ));
        assert!(matches!(
            body("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "HEAD"),
            PassingBody::None
        ));
        assert!(matches!(body("HTTP/1.1 304 \r\n\r\n", "GET"), PassingBody::None));
        assert!(matches!(body("HTTP/1.1 200 OK\r\n\r\n", "GET"), PassingBody::Rest));
        assert!(matches!(
            body("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "GET"),
            PassingBody::Read(_)
        ));
        let request = PassingHead::parse(b"POST / HTTP/1.1\r\n\r\n");
        assert!(matches!(request.body_of_request(), PassingBody::None));
    }

    #[test]
    fn compression_is_agreed_by_its_name() {
        let agrees = |value: &str| {
            let head = format!("HTTP/1.1 101 \r\nSec-WebSocket-Extensions: {value}\r\n\r\n");
            PassingHead::parse(head.as_bytes()).agrees_on_deflate()
        };
        assert!(
            agrees("permessage-deflate; server_no_context_takeover")
                && agrees("x, permessage-deflate")
        );
        assert!(!agrees("x-permessage-deflate"));
    }

    #[test]
    fn a_host_is_put_in_the_place_of_another() {
        let names = |authority: &str, scheme| HostNames {
            tap: "127.0.0.1:7000".parse().unwrap(),
            authority: authority.to_owned(),
            scheme,
        };
        let changed = with_host(REQUEST, &names("chat.example", "https"));
        assert_eq!(
            String::from_utf8(changed).unwrap(),
            "GET /ws HTTP/1.1\r\nHost: chat.example\r\nOrigin: https://chat.example\r\nUpgrade: h2c, WebSocket\r\n\r\nrest"
        );
        let of_another = b"GET / HTTP/1.1\r\nhost: localhost:7000\r\norigin: http://b\r\n\r\n";
        assert_eq!(
            with_host(of_another, &names("c", "http")),
            b"GET / HTTP/1.1\r\nhost: c\r\norigin: http://b\r\n\r\n"
        );
        let rebound = b"GET / HTTP/1.1\r\nHost: evil.example:7000\r\nOrigin: http://evil.example:7000\r\n\r\n";
        assert_eq!(with_host(rebound, &names("c", "http")), rebound);
    }
}
