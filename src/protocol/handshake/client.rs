//! The client's end of the opening handshake (RFC 6455 §4.1).
//!
//! Redirects and demands for authentication are reported, not followed.

use super::accept_key::{accept_key, key};
use super::server::is_token;
use std::fmt;

/// A request for a WebSocket, and what the answer must be.
#[derive(Debug)]
pub struct ClientHandshake {
    request: Vec<u8>,
    accept: String,
    protocols: Vec<String>,
}

/// What to ask for.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Host and port, as in the URL (RFC 6455 §4.1, 4).
    pub host: &'a str,
    /// Path and query, beginning with `/`.
    pub target: &'a str,
    /// Subprotocols, in order of preference.
    pub protocols: &'a [&'a str],
    /// Further header fields, as `Authorization`.
    pub fields: &'a [(&'a str, &'a str)],
}

/// Why there is no WebSocket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientError {
    /// Something of the request cannot stand in an HTTP head.
    BadRequest(&'static str),
    /// The answer is no HTTP/1.1 response, or its head is too large.
    NotHttp,
    /// The server answered with this status and not with 101.
    Status(u16),
    /// RFC 6455 §4.1: `Upgrade` is not `websocket`.
    Upgrade,
    /// RFC 6455 §4.1: `Connection` does not list `Upgrade`.
    Connection,
    /// RFC 6455 §4.1: `Sec-WebSocket-Accept` does not answer our key.
    Accept,
    /// RFC 6455 §4.1: an extension that was not asked for.
    Extension,
    /// RFC 6455 §4.1: a subprotocol that was not asked for.
    Protocol,
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClientError::BadRequest(what) => f.write_str(what),
            ClientError::NotHttp => f.write_str("the answer is no HTTP/1.1 response"),
            ClientError::Status(status) => write!(f, "the server answered with status {status}"),
            ClientError::Upgrade => f.write_str("the answer's Upgrade is not websocket"),
            ClientError::Connection => f.write_str("the answer's Connection does not list Upgrade"),
            ClientError::Accept => f.write_str("the answer's Sec-WebSocket-Accept is not right"),
            ClientError::Extension => {
                f.write_str("the answer has an extension that was not offered")
            }
            ClientError::Protocol => {
                f.write_str("the answer has a subprotocol that was not offered")
            }
        }
    }
}

impl std::error::Error for ClientError {}

/// The server agreed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Bytes of the answer's head; what follows are frames.
    pub head_len: usize,
    /// The subprotocol that the server chose.
    pub protocol: Option<String>,
}

impl ClientHandshake {
    /// Makes a request. RFC 6455 §4.1, 7: `nonce` must be chosen at random for each connection.
    ///
    /// # Errors
    /// [`ClientError::BadRequest`] for what cannot stand in a head: no injection of lines.
    pub fn new(request: Request<'_>, nonce: [u8; 16]) -> Result<ClientHandshake, ClientError> {
        let bad = |what| Err(ClientError::BadRequest(what));
        let visible = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        if request.host.is_empty() || !visible(request.host) {
            return bad("the host is empty or has characters that must not stand in a head");
        }
        if !request.target.starts_with('/') || !visible(request.target) {
            return bad("the target is no path, or has characters that must be percent-encoded");
        }
        let key = key(nonce);
        let mut head = format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n",
            request.target, request.host
        );
        if !request.protocols.iter().all(|protocol| is_token(protocol)) {
            return bad("a subprotocol is no token");
        }
        if !request.protocols.is_empty() {
            head += &format!("Sec-WebSocket-Protocol: {}\r\n", request.protocols.join(", "));
        }
        for (name, value) in request.fields {
            let printable = value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
            if !is_token(name) || !printable {
                return bad("a header field has characters that must not stand in it");
            }
            head += &format!("{name}: {value}\r\n");
        }
        head += "\r\n";
        Ok(ClientHandshake {
            request: head.into_bytes(),
            accept: accept_key(&key),
            protocols: request.protocols.iter().map(|&protocol| protocol.to_owned()).collect(),
        })
    }

    /// The request's bytes.
    #[must_use]
    pub fn request(&self) -> &[u8] {
        &self.request
    }

    /// Judges the answer by RFC 6455 §4.1; `Ok(None)` if its head is not all there.
    ///
    /// # Errors
    /// A [`ClientError`]; the connection must then be ended (§7.1.7).
    pub fn judge(&self, answer: &[u8]) -> Result<Option<Opened>, ClientError> {
        const HEADERS_MAX: usize = 64;
        const HEAD_BYTES_MAX: usize = 16 * 1024;
        let mut fields = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut response = httparse::Response::new(&mut fields);
        let head_len = match response.parse(answer) {
            Ok(httparse::Status::Complete(len)) if len <= HEAD_BYTES_MAX => len,
            Ok(httparse::Status::Partial) if answer.len() < HEAD_BYTES_MAX => return Ok(None),
            Ok(_) | Err(_) => return Err(ClientError::NotHttp),
        };
        if response.version != Some(1) {
            return Err(ClientError::NotHttp);
        }
        match response.code {
            Some(101) => {}
            Some(status) => return Err(ClientError::Status(status)),
            None => return Err(ClientError::NotHttp),
        }
        let values = |name: &'static str| {
            let of_name =
                response.headers.iter().filter(move |f| f.name.eq_ignore_ascii_case(name));
            of_name.map(|field| std::str::from_utf8(field.value).unwrap_or("\u{fffd}").trim())
        };
        let only = |name| {
            let mut values = values(name);
            values.next().filter(|_| values.next().is_none())
        };
        if !only("upgrade").is_some_and(|value| value.eq_ignore_ascii_case("websocket")) {
            return Err(ClientError::Upgrade);
        }
        let mut connection = values("connection").flat_map(|value| value.split(','));
        if !connection.any(|item| item.trim().eq_ignore_ascii_case("upgrade")) {
            return Err(ClientError::Connection);
        }
        if only("sec-websocket-accept") != Some(self.accept.as_str()) {
            return Err(ClientError::Accept);
        }
        if values("sec-websocket-extensions").any(|value| !value.is_empty()) {
            return Err(ClientError::Extension);
        }
        let protocol = match values("sec-websocket-protocol").count() {
            0 => None,
            _ => match only("sec-websocket-protocol") {
                Some(one) if self.protocols.iter().any(|offered| offered == one) => {
                    Some(one.to_owned())
                }
                _ => return Err(ClientError::Protocol),
            },
        };
        Ok(Some(Opened { head_len, protocol }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handshake() -> ClientHandshake {
        let request = Request {
            host: "server.example.com",
            target: "/chat",
            protocols: &["chat", "superchat"],
            fields: &[("Origin", "http://example.com")],
        };
        ClientHandshake::new(request, *b"the sample nonce").unwrap()
    }

    const ANSWER: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                          Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n\r\n";

    #[test]
    fn the_example_of_section_1_3_opens() {
        let opened = Opened { head_len: ANSWER.len(), protocol: Some("chat".into()) };
        let bytes = format!("{ANSWER}\u{1}frames");
        assert_eq!(handshake().judge(bytes.as_bytes()), Ok(Some(opened)));
        for end in 0..ANSWER.len() {
            assert_eq!(handshake().judge(&ANSWER.as_bytes()[..end]), Ok(None), "cut at {end}");
        }
    }

    #[test]
    fn the_request_is_one_that_our_server_accepts() {
        let handshake = handshake();
        let head = super::super::RequestHead::parse(handshake.request(), 64).unwrap();
        let upgrade = super::super::Upgrade::judge(&head).unwrap();
        assert_eq!(upgrade.accept(Some("chat")), ANSWER.as_bytes());
    }

    #[test]
    fn each_check_of_section_4_1_refuses() {
        for (right, wrong, error) in [
            ("HTTP/1.1 101", "HTTP/1.1 401", ClientError::Status(401)),
            ("HTTP/1.1 101", "HTTP/1.1 302", ClientError::Status(302)),
            ("HTTP/1.1", "HTTP/1.0", ClientError::NotHttp),
            ("HTTP/1.1", "SSH-2.0", ClientError::NotHttp),
            ("Upgrade: websocket", "Upgrade: h2c", ClientError::Upgrade),
            ("Upgrade: websocket\r\n", "", ClientError::Upgrade),
            ("Connection: Upgrade", "Connection: close", ClientError::Connection),
            ("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "s3pPLMBiTxaQ9kYGzzhZRbK+xOp=", ClientError::Accept),
            ("Protocol: chat", "Protocol: other", ClientError::Protocol),
            ("Protocol: chat", "Extensions: permessage-deflate", ClientError::Extension),
        ] {
            let answer = ANSWER.replacen(right, wrong, 1);
            assert_eq!(handshake().judge(answer.as_bytes()), Err(error), "{wrong}");
        }
        let endless = format!("{}X: {}", &ANSWER[..ANSWER.len() - 2], "x".repeat(16 * 1024));
        assert_eq!(handshake().judge(endless.as_bytes()), Err(ClientError::NotHttp));
    }

    #[test]
    fn the_limit_of_the_answers_head_is_the_same_however_it_is_cut() {
        let with_head_of = |bytes: usize| {
            let filler = "x".repeat(bytes - ANSWER.len() - "X: \r\n".len());
            format!("{}X: {filler}\r\n\r\n", &ANSWER[..ANSWER.len() - 2])
        };
        let cut = |answer: &str| {
            let (mut cuts, handshake) = (answer.len() - 9..=answer.len(), handshake());
            cuts.find_map(|cut| handshake.judge(&answer.as_bytes()[..cut]).transpose()).unwrap()
        };
        let (fits, too_long) = (with_head_of(16 * 1024), with_head_of(16 * 1024 + 1));
        let opened = Opened { head_len: 16 * 1024, protocol: Some("chat".into()) };
        assert_eq!(handshake().judge(fits.as_bytes()), Ok(Some(opened.clone())));
        assert_eq!(cut(&fits), Ok(opened));
        assert_eq!(handshake().judge(too_long.as_bytes()), Err(ClientError::NotHttp));
        assert_eq!(cut(&too_long), Err(ClientError::NotHttp));
    }

    #[test]
    fn nothing_is_injected_into_the_request() {
        let new = |host, target, fields: &[(&str, &str)]| {
            ClientHandshake::new(Request { host, target, protocols: &[], fields }, [0; 16]).is_err()
        };
        assert!(new("a\r\nX: y", "/", &[]));
        assert!(new("a", "/ HTTP/1.1\r\n", &[]));
        assert!(new("a", "x", &[]));
        assert!(new("a", "/", &[("X", "y\r\nZ: 1")]));
        assert!(new("a", "/", &[("X Y", "z")]));
        assert!(!new("a", "/", &[("X", "y z")]));
    }
}
