//! The server's side of the opening handshake (RFC 6455 §4.2).

use super::accept_key::{accept_key, is_key};
use crate::base::limits::SUBPROTOCOLS_MAX;
use crate::http1::head::is_token;
use crate::http1::response::bad;
use crate::http1::{HttpRefusal, RequestHead, Status};
use crate::protocol::deflate::{Codecs, Deflate, offer};
use crate::protocol::extensions::{self, Extension};
use std::fmt::Write;
use std::sync::Arc;

const VERSION: &str = "13";
const UPGRADE_FIELDS: &[(&str, &str)] =
    &[("Upgrade", "websocket"), ("Sec-WebSocket-Version", VERSION)];

/// A request for a WebSocket that satisfies RFC 6455 §4.2.1.
#[derive(Debug)]
pub struct Upgrade<'b> {
    accept_key: String,
    protocols: Vec<&'b str>,
    extensions: Vec<Extension<'b>>,
}

/// An accepted request.
#[derive(Debug)]
pub struct Accepted {
    /// The answer's head; frames follow it.
    pub answer: Vec<u8>,
    /// For [`Endpoint::with_deflate`](crate::protocol::Endpoint::with_deflate), if compression was
    /// agreed.
    pub deflate: Option<Deflate>,
}

impl<'b> Upgrade<'b> {
    /// Whether a request asks for an upgrade at all, validly or not.
    #[must_use]
    pub fn is_asked_for(head: &RequestHead<'_>) -> bool {
        head.all("upgrade").next().is_some() || head.all("sec-websocket-key").next().is_some()
    }

    /// Checks a request against RFC 6455 §4.2.1.
    ///
    /// # Errors
    /// The [`HttpRefusal`] to answer with; the TCP connection must be ended after it.
    pub fn judge(head: &RequestHead<'b>) -> Result<Upgrade<'b>, HttpRefusal> {
        // §4.2.1, 1: a GET request of HTTP 1.1 or higher.
        if head.is_http_1_0 {
            return Err(bad("the HTTP version is not 1.1"));
        }
        if head.method != "GET" {
            let message = "a WebSocket begins with GET";
            let refusal = HttpRefusal::new(Status::MethodNotAllowed, "bad_request", message);
            return Err(refusal.with(&[("Allow", "GET")]));
        }
        if !Upgrade::is_asked_for(head) {
            let message = "this is a WebSocket's path: ask for an upgrade";
            return Err(upgrade_required("bad_request", message));
        }
        // RFC 9112 §6: the bytes after the head would be frames here but a body for other software.
        if head.announces_body() {
            return Err(bad("a request for a WebSocket has no body"));
        }
        // §4.2.1, 3 and 4.
        if !head.list_has("upgrade", "websocket") {
            return Err(bad("Upgrade does not list websocket"));
        }
        if !head.list_has("connection", "upgrade") {
            return Err(bad("Connection does not list Upgrade"));
        }
        // §4.2.1, 6, and §4.2.2, 4: other versions are refused with the supported one.
        match head.only("sec-websocket-version")? {
            Some(VERSION) => {}
            Some(_) => {
                let message = "only version 13 of WebSocket is spoken here";
                return Err(upgrade_required("unsupported", message));
            }
            None => {
                let refusal = bad("Sec-WebSocket-Version is missing");
                return Err(refusal.with(&[("Sec-WebSocket-Version", VERSION)]));
            }
        }
        // §4.2.1, 5; §11.3.1: the key comes once.
        let key = head.only("sec-websocket-key")?;
        let key = key.ok_or_else(|| bad("Sec-WebSocket-Key is missing"))?;
        if !is_key(key) {
            return Err(bad("Sec-WebSocket-Key is not the base64 of 16 bytes"));
        }
        let protocols = protocols(head)?;
        let extensions = extensions(head)?;
        Ok(Upgrade { accept_key: accept_key(key), protocols, extensions })
    }

    /// The subprotocols that the client offered, in its order of preference.
    #[must_use]
    pub fn protocols(&self) -> &[&'b str] {
        &self.protocols
    }

    /// The extensions that the client offered, in its order of preference.
    #[must_use]
    pub fn extensions(&self) -> &[Extension<'b>] {
        &self.extensions
    }

    /// Accepts the request. A `protocol` that was not offered counts as none, since a server must
    /// not name it (RFC 6455 §4.2.2). Agrees to permessage-deflate if it was offered and there are
    /// `codecs` for it. Other extensions are declined by not naming them (§9.1).
    #[must_use]
    pub fn accept(&self, protocol: Option<&str>, codecs: Option<&Arc<Codecs>>) -> Accepted {
        let offered = protocol.filter(|protocol| self.protocols.contains(protocol));
        let agreed = codecs
            .and_then(|codecs| Some((codecs, offer::answer(&self.extensions, codecs)?)))
            .map(|(codecs, (agreed, field))| (Deflate::server(&agreed, codecs), field));
        let (deflate, field) = agreed.unzip();
        let answer = switching_protocols(&self.accept_key, offered, field.as_deref());
        Accepted { answer, deflate }
    }
}

/// RFC 6455 §9.1: a field that breaks the grammar fails the connection.
fn extensions<'b>(head: &RequestHead<'b>) -> Result<Vec<Extension<'b>>, HttpRefusal> {
    let mut all = Vec::new();
    for line in head.lines("sec-websocket-extensions") {
        let list = extensions::parse(line?).map_err(|malformed| bad(malformed.to_string()))?;
        all.extend(list);
    }
    Ok(all)
}

/// RFC 6455 §4.1, 10: the offered subprotocols are tokens, each offered once.
fn protocols<'b>(head: &RequestHead<'b>) -> Result<Vec<&'b str>, HttpRefusal> {
    let mut protocols = Vec::new();
    for line in head.lines("sec-websocket-protocol") {
        let before = protocols.len();
        // RFC 9110 §5.6.1.2: empty elements are ignored, but a list has at least one other.
        let named = line?.split(',').map(str::trim).filter(|protocol| !protocol.is_empty());
        for protocol in named {
            if !is_token(protocol) {
                return Err(bad("Sec-WebSocket-Protocol is not a list of tokens"));
            }
            protocols.push(protocol);
        }
        if protocols.len() == before {
            return Err(bad("Sec-WebSocket-Protocol names no subprotocol"));
        }
    }
    if protocols.len() > SUBPROTOCOLS_MAX {
        return Err(bad("Sec-WebSocket-Protocol offers too many subprotocols"));
    }
    let mut sorted = protocols.clone();
    sorted.sort_unstable();
    if sorted.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(bad("Sec-WebSocket-Protocol offers a subprotocol twice"));
    }
    Ok(protocols)
}

fn upgrade_required(code: &'static str, message: &str) -> HttpRefusal {
    HttpRefusal::new(Status::UpgradeRequired, code, message).with(UPGRADE_FIELDS)
}

/// RFC 6455 §4.2.2: the answer that opens the WebSocket. `protocol` must be one that the client
/// offered; `extensions` answers its offers.
fn switching_protocols(
    accept_key: &str,
    protocol: Option<&str>,
    extensions: Option<&str>,
) -> Vec<u8> {
    let mut head = String::with_capacity(256);
    // Writing to a String does not fail.
    let _ = write!(
        head,
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept_key}\r\n"
    );
    if let Some(protocol) = protocol {
        let _ = write!(head, "Sec-WebSocket-Protocol: {protocol}\r\n");
    }
    if let Some(extensions) = extensions {
        let _ = write!(head, "Sec-WebSocket-Extensions: {extensions}\r\n");
    }
    head.push_str("\r\n");
    head.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_of_section_1_3() {
        let answer = switching_protocols("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", Some("chat"), None);
        assert_eq!(
            String::from_utf8(answer).unwrap(),
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n\r\n"
        );
    }

    const GOOD: &[(&str, &str)] = &[
        ("Host", "server.example.com"),
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("Origin", "http://example.com"),
        ("Sec-WebSocket-Protocol", "chat, superchat"),
        ("Sec-WebSocket-Version", "13"),
    ];

    /// The status of the answer to the example of §1.2, with some fields replaced (or left out,
    /// where the value is empty) and others added.
    fn status(method: &str, changes: &[(&str, &str)]) -> String {
        let mut text = format!("{method} /chat HTTP/1.1\r\n");
        for (name, value) in GOOD {
            if !changes.iter().any(|(changed, _)| changed == name) {
                text += &format!("{name}: {value}\r\n");
            }
        }
        for (name, value) in changes.iter().filter(|(_, value)| !value.is_empty()) {
            text += &format!("{name}: {value}\r\n");
        }
        text += "\r\n";
        let answer = RequestHead::parse(text.as_bytes(), 64)
            .map_err(HttpRefusal::from)
            .and_then(|head| Upgrade::judge(&head).map(|upgrade| upgrade.accept(None, None).answer))
            .unwrap_or_else(|refusal| refusal.to_bytes());
        String::from_utf8(answer).unwrap()
    }

    #[test]
    fn the_example_of_section_1_2_is_accepted() {
        assert!(status("GET", &[]).starts_with("HTTP/1.1 101 "));
        for changes in [
            &[("Upgrade", "WebSocket")][..],
            &[("Upgrade", "h2c, websocket")],
            &[("Connection", "keep-alive, upgrade")],
            &[("Origin", "")],
            &[("Sec-WebSocket-Protocol", "")],
            &[("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits")],
            &[("Content-Length", "0")],
        ] {
            let answer = status("GET", changes);
            assert!(
                answer.starts_with("HTTP/1.1 101 ") && !answer.contains("Extensions"),
                "{changes:?}"
            );
        }
    }

    #[test]
    fn each_must_of_section_4_2_1_has_its_status() {
        for (changes, expected) in [
            (&[("Host", "")][..], "400"),
            (&[("Upgrade", "")], "400"),
            (&[("Upgrade", "websockets")], "400"),
            (&[("Connection", "")], "400"),
            (&[("Connection", "notupgrade")], "400"),
            (&[("Sec-WebSocket-Key", "")], "400"),
            (&[("Sec-WebSocket-Key", "c2hvcnQ=")], "400"),
            (
                &[
                    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
                    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
                ],
                "400",
            ),
            (&[("Sec-WebSocket-Version", "")], "400"),
            (&[("Sec-WebSocket-Version", "13, 8")], "426"),
            (&[("Sec-WebSocket-Version", "12")], "426"),
            (&[("Sec-WebSocket-Version", "13"), ("Sec-WebSocket-Version", "13")], "400"),
            (&[("Sec-WebSocket-Protocol", " , ")], "400"),
            (&[("Sec-WebSocket-Protocol", "a b")], "400"),
            (&[("Sec-WebSocket-Protocol", "a, a")], "400"),
            (&[("Sec-WebSocket-Protocol", "caf\u{e9}")], "400"),
            (&[("Sec-WebSocket-Extensions", "a b")], "400"),
            (&[("Sec-WebSocket-Extensions", "permessage-deflate; =")], "400"),
            (&[("Sec-WebSocket-Extensions", "caf\u{e9}")], "400"),
            (&[("Content-Length", "5")], "400"),
            (&[("Transfer-Encoding", "chunked")], "400"),
            (&[("Upgrade", ""), ("Sec-WebSocket-Key", "")], "426"),
        ] {
            let answer = status("GET", changes);
            assert!(answer.starts_with(&format!("HTTP/1.1 {expected} ")), "{changes:?}: {answer}");
            assert!(answer.contains("Connection: close\r\n"));
            if expected == "426" {
                assert!(answer.contains("Sec-WebSocket-Version: 13\r\n"));
            }
        }
        assert!(status("POST", &[]).starts_with("HTTP/1.1 405 "));
        // RFC 9110 §5.6.1.2.
        let with_empty = status("GET", &[("Sec-WebSocket-Protocol", ", a,, b ,")]);
        assert!(with_empty.starts_with("HTTP/1.1 101 "), "{with_empty}");
        for (count, expected) in [(SUBPROTOCOLS_MAX, "101"), (SUBPROTOCOLS_MAX + 1, "400")] {
            let many: Vec<String> = (0..count).map(|number| format!("p{number}")).collect();
            let answer = status("GET", &[("Sec-WebSocket-Protocol", &many.join(","))]);
            assert!(answer.starts_with(&format!("HTTP/1.1 {expected} ")), "{count}");
        }
    }

    #[test]
    fn the_answer_names_one_of_the_offered_subprotocols() {
        let text = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
                    Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: b, c\r\n\r\n";
        let head = RequestHead::parse(text.as_bytes(), 64).unwrap();
        let upgrade = Upgrade::judge(&head).unwrap();
        assert_eq!(upgrade.protocols(), ["a", "b", "c"]);
        let answer = String::from_utf8(upgrade.accept(Some("b"), None).answer).unwrap();
        assert!(answer.contains("\r\nSec-WebSocket-Protocol: b\r\n"));
        for protocol in [None, Some("d"), Some("A"), Some("")] {
            let answer = String::from_utf8(upgrade.accept(protocol, None).answer).unwrap();
            assert!(!answer.to_lowercase().contains("sec-websocket-protocol"), "{protocol:?}");
        }
    }
}
