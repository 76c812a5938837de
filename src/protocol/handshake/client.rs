//! The client's side of the opening handshake (RFC 6455 §4.1).
//!
//! Redirects and authentication requests are reported, not followed.

use super::accept_key::{accept_key, key};
use crate::http1::AnswerHead;
use crate::http1::head::is_token;
use crate::protocol::deflate::{Offer, Parameters, offer};
use crate::protocol::extensions;
use std::fmt;

/// A request for a WebSocket, and the expected answer.
#[derive(Debug)]
pub struct ClientHandshake {
    request: Vec<u8>,
    accept: String,
    protocols: Vec<String>,
    deflate: Vec<Offer>,
}

/// The parameters of a request.
#[derive(Clone, Copy, Debug)]
pub struct ClientRequest<'a> {
    /// Host and port, as in the URL (RFC 6455 §4.1, 4).
    pub host: &'a str,
    /// Path and query, beginning with `/`.
    pub target: &'a str,
    /// Subprotocols, in order of preference.
    pub protocols: &'a [&'a str],
    /// Offers of permessage-deflate, in order of preference (RFC 7692 §5.2); none for messages that
    /// are never compressed.
    pub deflate: &'a [Offer],
    /// Further header fields, such as `Authorization`.
    pub fields: &'a [(&'a str, &'a str)],
}

/// Why the handshake failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientError {
    /// Part of the request cannot stand in an HTTP head.
    BadRequest(&'static str),
    /// The answer is not an HTTP/1.1 response, or its head is too large.
    NotHttp,
    /// The server answered with this status instead of 101. 401 asks for credentials; the program
    /// may send another request with them.
    Status {
        /// The status.
        status: u16,
        /// In how many seconds the server wants to be asked again, if it says so (RFC 9110 §10.2.3).
        retry_after_s: Option<u64>,
    },
    /// The server redirects the client. This is not followed: the answer to a request with
    /// credentials could send them anywhere.
    Redirect {
        /// The status, of 300 to 399.
        status: u16,
        /// The `Location`, as received.
        location: String,
    },
    /// RFC 6455 §4.1: `Upgrade` is not `websocket`.
    Upgrade,
    /// RFC 6455 §4.1: `Connection` does not list `Upgrade`.
    Connection,
    /// RFC 6455 §4.1: `Sec-WebSocket-Accept` does not match our key.
    Accept,
    /// RFC 6455 §4.1, RFC 7692 §7.1: an extension that was not offered, or not with these
    /// parameters.
    Extension,
    /// RFC 6455 §4.1: a subprotocol that was not requested.
    Protocol,
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClientError::BadRequest(what) => f.write_str(what),
            ClientError::NotHttp => f.write_str("the answer is no HTTP/1.1 response"),
            ClientError::Status { status, .. } => {
                write!(f, "the server answered with status {status}")
            }
            ClientError::Redirect { status, location } => {
                write!(f, "the server answered with status {status} and names {location:?} instead")
            }
            ClientError::Upgrade => f.write_str("the answer's Upgrade is not websocket"),
            ClientError::Connection => f.write_str("the answer's Connection does not list Upgrade"),
            ClientError::Accept => f.write_str("the answer's Sec-WebSocket-Accept is not right"),
            ClientError::Extension => {
                f.write_str("the answer has an extension that was not offered so")
            }
            ClientError::Protocol => {
                f.write_str("the answer has a subprotocol that was not offered")
            }
        }
    }
}

impl std::error::Error for ClientError {}

/// A successful handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Bytes of the answer's head; frames follow it.
    pub head_len: usize,
    /// The subprotocol that the server chose.
    pub protocol: Option<String>,
    /// The agreed parameters of permessage-deflate, for
    /// [`Deflate::client`](crate::protocol::deflate::Deflate::client).
    pub deflate: Option<Parameters>,
}

impl ClientHandshake {
    /// Makes a request. RFC 6455 §4.1, 7: `nonce` must be chosen at random for each connection.
    ///
    /// # Errors
    /// [`ClientError::BadRequest`] for anything that cannot stand in a head; this prevents injected
    /// lines.
    pub fn new(
        request: ClientRequest<'_>,
        nonce: [u8; 16],
    ) -> Result<ClientHandshake, ClientError> {
        let bad = |what| Err(ClientError::BadRequest(what));
        let visible = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        if request.host.is_empty() || !request.host.bytes().all(crate::http1::head::is_host_byte) {
            return bad("the host is empty or has characters that must not stand in a head");
        }
        // RFC 6455 §3: a WebSocket's URI has no fragment.
        let has_fragment = request.target.contains('#');
        if !request.target.starts_with('/') || !visible(request.target) || has_fragment {
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
        // RFC 6455 §4.1, 10: each subprotocol occurs once.
        let mut earlier = request.protocols.iter().enumerate();
        if earlier.any(|(i, protocol)| request.protocols[..i].contains(protocol)) {
            return bad("a subprotocol is asked for twice");
        }
        if !request.protocols.is_empty() {
            head += &format!("Sec-WebSocket-Protocol: {}\r\n", request.protocols.join(", "));
        }
        if !request.deflate.iter().all(Offer::is_valid) {
            return bad("a window has 8 to 15 bits");
        }
        if !request.deflate.is_empty() {
            let offers: Vec<String> = request.deflate.iter().map(Offer::to_field).collect();
            head += &format!("Sec-WebSocket-Extensions: {}\r\n", offers.join(", "));
        }
        for (name, value) in request.fields {
            let printable = value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
            if !is_token(name) || !printable {
                return bad("a header field has characters that must not stand in it");
            }
            if is_of_the_handshake(name) {
                return bad(
                    "a header field is one that the handshake writes itself, or must not have",
                );
            }
            head += &format!("{name}: {value}\r\n");
        }
        head += "\r\n";
        Ok(ClientHandshake {
            request: head.into_bytes(),
            accept: accept_key(&key),
            protocols: request.protocols.iter().map(|&protocol| protocol.to_owned()).collect(),
            deflate: request.deflate.to_vec(),
        })
    }

    /// The request's bytes.
    #[must_use]
    pub fn request(&self) -> &[u8] {
        &self.request
    }

    /// Checks the answer against RFC 6455 §4.1; `Ok(None)` if its head is incomplete.
    ///
    /// # Errors
    /// A [`ClientError`]; the connection must then be ended (§7.1.7).
    pub fn judge(&self, answer: &[u8]) -> Result<Option<Opened>, ClientError> {
        let Some(head) = AnswerHead::parse(answer).map_err(|_| ClientError::NotHttp)? else {
            return Ok(None);
        };
        let status = head.status;
        match status {
            _ if head.minor_version != 1 => return Err(ClientError::NotHttp),
            101 => {}
            300..400 if let Some(location) = head.values("location").next() => {
                return Err(ClientError::Redirect { status, location: location.to_owned() });
            }
            // A date is none to go by: the clocks may differ.
            _ => {
                let retry_after_s = head.values("retry-after").next();
                let retry_after_s = retry_after_s.and_then(|text| text.parse().ok());
                return Err(ClientError::Status { status, retry_after_s });
            }
        }
        let (values, only) = (|name| head.values(name), |name| head.only(name));
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
        // RFC 6455 §11.3.2: the field occurs once in an answer.
        let deflate = match values("sec-websocket-extensions").count() {
            0 => None,
            _ => {
                let agreed = only("sec-websocket-extensions").and_then(|line| self.deflate(line));
                Some(agreed.ok_or(ClientError::Extension)?)
            }
        };
        let protocol = match values("sec-websocket-protocol").count() {
            0 => None,
            _ => {
                let chosen = only("sec-websocket-protocol").map(str::to_owned);
                let chosen = chosen.filter(|protocol| self.protocols.contains(protocol));
                Some(chosen.ok_or(ClientError::Protocol)?)
            }
        };
        Ok(Some(Opened { head_len: head.len, protocol, deflate }))
    }

    /// The parameters that an answer agrees to: exactly one extension, which was offered.
    fn deflate(&self, line: &str) -> Option<Parameters> {
        match &extensions::parse(line).ok()?[..] {
            [only] => offer::agreed(&self.deflate, only).ok(),
            _ => None,
        }
    }
}

/// Whether the handshake sets the field itself (RFC 6455 §4.1; §11.3: its fields occur once), or
/// the field would announce a body.
fn is_of_the_handshake(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.starts_with("sec-websocket-")
        || matches!(
            name.as_str(),
            "host" | "upgrade" | "connection" | "content-length" | "transfer-encoding"
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Chance, Outbox};
    use crate::protocol::deflate::{Codecs, CodecsConfig, Deflate};
    use crate::protocol::{Endpoint, MaskKey, MaskKeys, Message};
    use std::sync::Arc;

    fn handshake() -> ClientHandshake {
        let request = ClientRequest {
            host: "server.example.com",
            target: "/chat",
            protocols: &["chat", "superchat"],
            deflate: &[],
            fields: &[("Origin", "http://example.com")],
        };
        ClientHandshake::new(request, *b"the sample nonce").unwrap()
    }

    const ANSWER: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                          Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n\r\n";

    #[test]
    fn the_example_of_section_1_3_opens() {
        let opened =
            Opened { head_len: ANSWER.len(), protocol: Some("chat".into()), deflate: None };
        let bytes = format!("{ANSWER}\u{1}frames");
        assert_eq!(handshake().judge(bytes.as_bytes()), Ok(Some(opened)));
        for end in 0..ANSWER.len() {
            assert_eq!(handshake().judge(&ANSWER.as_bytes()[..end]), Ok(None), "cut at {end}");
        }
    }

    #[test]
    fn the_request_is_one_that_our_server_accepts() {
        let handshake = handshake();
        let head = crate::http1::RequestHead::parse(handshake.request(), 64).unwrap();
        let upgrade = super::super::Upgrade::judge(&head).unwrap();
        assert_eq!(upgrade.accept(Some("chat"), None).answer, ANSWER.as_bytes());
    }

    #[test]
    fn each_check_of_section_4_1_refuses() {
        for (right, wrong, error) in [
            (
                "HTTP/1.1 101",
                "HTTP/1.1 401",
                ClientError::Status { status: 401, retry_after_s: None },
            ),
            (
                "HTTP/1.1 101",
                "HTTP/1.1 302",
                ClientError::Status { status: 302, retry_after_s: None },
            ),
            (
                "HTTP/1.1 101 Switching Protocols",
                "HTTP/1.1 307 Temporary Redirect\r\nlocation: wss://b/",
                ClientError::Redirect { status: 307, location: "wss://b/".into() },
            ),
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
    fn what_an_answer_must_have_is_not_missing_and_does_not_come_twice() {
        let without = |line: &str| handshake().judge(ANSWER.replacen(line, "", 1).as_bytes());
        let twice =
            |line: &str| handshake().judge(ANSWER.replacen(line, &line.repeat(2), 1).as_bytes());
        let accept = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
        assert_eq!(without("Upgrade: websocket\r\n"), Err(ClientError::Upgrade));
        assert_eq!(without("Connection: Upgrade\r\n"), Err(ClientError::Connection));
        assert_eq!(without(accept), Err(ClientError::Accept));
        assert_eq!(twice(accept), Err(ClientError::Accept));
        assert_eq!(twice("Sec-WebSocket-Protocol: chat\r\n"), Err(ClientError::Protocol));
    }

    #[test]
    fn case_and_space_in_an_answer_mean_nothing() {
        for (written, also) in [
            ("Upgrade: websocket", "UPGRADE:WebSocket"),
            ("Connection: Upgrade", "connection: keep-alive,\tupgrade"),
            ("Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "Accept: \t s3pPLMBiTxaQ9kYGzzhZRbK+xOo= \t"),
        ] {
            let answer = ANSWER.replacen(written, also, 1);
            assert!(matches!(handshake().judge(answer.as_bytes()), Ok(Some(_))), "{also}");
        }
    }

    #[test]
    fn the_key_is_the_nonce_and_the_answer_is_to_that_key_to_the_letter() {
        let request =
            ClientRequest { host: "a", target: "/", protocols: &[], deflate: &[], fields: &[] };
        let other = ClientHandshake::new(request, [7; 16]).unwrap();
        let line = b"\r\nSec-WebSocket-Key: BwcHBwcHBwcHBwcHBwcHBw==\r\n";
        assert!(other.request().windows(line.len()).any(|bytes| bytes == line));
        let plain = ANSWER.replacen("Sec-WebSocket-Protocol: chat\r\n", "", 1);
        assert_eq!(other.judge(plain.as_bytes()), Err(ClientError::Accept), "another's answer");
        let lower =
            ANSWER.replacen("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "S3PPLMBITXAQ9KYGZZHZRBK+XOO=", 1);
        assert_eq!(handshake().judge(lower.as_bytes()), Err(ClientError::Accept));
    }

    #[test]
    fn a_subprotocol_that_is_no_token_is_not_asked_for() {
        for protocol in ["", "a b", "a,b", "a=b", "\"a\"", "caf\u{e9}"] {
            let protocols = &["chat", protocol];
            let request =
                ClientRequest { host: "a", target: "/", protocols, deflate: &[], fields: &[] };
            let refused = ClientHandshake::new(request, [0; 16]).unwrap_err();
            assert!(matches!(refused, ClientError::BadRequest(_)), "{protocol}");
        }
    }

    #[test]
    fn nothing_is_asked_for_twice() {
        let new = |protocols: &[&str], fields: &[(&str, &str)]| {
            let request = ClientRequest { host: "a", target: "/", protocols, deflate: &[], fields };
            ClientHandshake::new(request, [0; 16]).map(drop)
        };
        assert!(new(&["chat", "Chat"], &[("Origin", "a"), ("Cookie", "b")]).is_ok());
        assert!(new(&["chat", "x", "chat"], &[]).is_err());
        for name in [
            "Host",
            "UPGRADE",
            "Connection",
            "Sec-WebSocket-Key",
            "sec-websocket-version",
            "Sec-WebSocket-Protocol",
            "Sec-WebSocket-Extensions",
            "Content-Length",
            "Transfer-Encoding",
        ] {
            assert!(new(&[], &[(name, "1")]).is_err(), "{name}");
        }
    }

    /// The agreed parameters if only permessage-deflate was offered.
    fn agreed(field: &str) -> Result<Option<Parameters>, ClientError> {
        let offers = &[Offer { client_max_window_bits: Some(None), ..Offer::default() }];
        let request =
            ClientRequest { host: "a", target: "/", protocols: &[], deflate: offers, fields: &[] };
        let handshake = ClientHandshake::new(request, *b"the sample nonce").unwrap();
        let asked = b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n";
        assert!(handshake.request().windows(asked.len()).any(|line| line == asked));
        let answer = ANSWER.replacen("Sec-WebSocket-Protocol: chat\r\n", field, 1);
        handshake.judge(answer.as_bytes()).map(|opened| opened.unwrap().deflate)
    }

    #[test]
    fn an_answer_takes_the_one_extension_that_was_offered_or_none() {
        const FIELD: &str = "Sec-WebSocket-Extensions: ";
        assert_eq!(agreed(""), Ok(None));
        let one = format!("{FIELD}permessage-deflate\r\n");
        assert!(matches!(agreed(&one), Ok(Some(_))));
        assert_eq!(agreed(&one.repeat(2)), Err(ClientError::Extension));
        for wrong in [
            "",
            "x-other",
            "permessage-deflate, x-other",
            "x-other, permessage-deflate",
            "permessage-deflate, permessage-deflate",
            "permessage-deflate;",
            "permessage-deflate; =1",
            "permessage-deflate; unknown",
            "permessage-deflate; client_max_window_bits=\"1 0\"",
            "caf\u{e9}",
        ] {
            let refused = agreed(&format!("{FIELD}{wrong}\r\n"));
            assert_eq!(refused, Err(ClientError::Extension), "{wrong}");
        }
    }

    #[derive(Debug)]
    struct ZeroKey;

    impl MaskKeys for ZeroKey {
        fn next_key(&mut self) -> MaskKey {
            [0; 4]
        }
    }

    #[test]
    fn a_client_compresses_as_the_answer_says() {
        let lens_of_two = |parameters: &str| {
            let field = format!("Sec-WebSocket-Extensions: permessage-deflate{parameters}\r\n");
            let agreed = agreed(&field).unwrap().unwrap();
            let codecs =
                Codecs::new(CodecsConfig { threshold_bytes: 0, ..CodecsConfig::default() });
            let mut client = Endpoint::client(Arc::default(), Box::new(ZeroKey))
                .with_deflate(Deflate::client(&agreed, &codecs));
            let mut chance = Chance::new(1);
            let noise: Vec<u8> = (0..600).map(|_| chance.next_u64() as u8).collect();
            let message = noise.repeat(2);
            [(); 2].map(|()| {
                let mut out = Outbox::alone(10_000);
                client.send.message(Message::Binary(&message), &mut out).unwrap();
                out.pieces().map(<[u8]>::len).sum::<usize>()
            })
        };
        let [first, again] = lens_of_two("");
        assert!(first < 700 && again < 100, "each looks back: {first}, {again}");
        let [first, again] = lens_of_two("; client_max_window_bits=9");
        assert!(first > 1_200 && again > 1_200, "not over 600 bytes: {first}, {again}");
        let [first, again] = lens_of_two("; client_no_context_takeover");
        assert!(first < 700, "{first}");
        assert_eq!(first, again, "each begins with an empty window");
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
        let opened = Opened { head_len: 16 * 1024, protocol: Some("chat".into()), deflate: None };
        assert_eq!(handshake().judge(fits.as_bytes()), Ok(Some(opened.clone())));
        assert_eq!(cut(&fits), Ok(opened));
        assert_eq!(handshake().judge(too_long.as_bytes()), Err(ClientError::NotHttp));
        assert_eq!(cut(&too_long), Err(ClientError::NotHttp));
    }

    #[test]
    fn nothing_is_injected_into_the_request() {
        let new = |host, target, fields: &[(&str, &str)]| {
            ClientHandshake::new(
                ClientRequest { host, target, protocols: &[], deflate: &[], fields },
                [0; 16],
            )
            .is_err()
        };
        assert!(new("a\r\nX: y", "/", &[]));
        assert!(new("a", "/ HTTP/1.1\r\n", &[]));
        assert!(new("a", "x", &[]));
        assert!(new("a", "/x#y", &[]));
        assert!(new("a", "/", &[("X", "y\r\nZ: 1")]));
        assert!(new("a", "/", &[("X Y", "z")]));
        assert!(!new("a", "/", &[("X", "y z")]));
    }
}
