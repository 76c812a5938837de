//! The opening handshake (RFC 6455 §4), as little of it as the floor and the load generator need.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use memchr::memmem;
use sha1::{Digest, Sha1};

/// The key that the load generator sends: the one of RFC 6455 §1.3.
pub const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
pub const HEAD_END: &[u8] = b"\r\n\r\n";

const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const KEY_FIELD: &[u8] = b"Sec-WebSocket-Key: ";
const KEY_BYTES: usize = 24;

/// RFC 6455 §4.2.2: base64 of the SHA-1 of key and GUID.
pub fn accept_key(key: &[u8]) -> [u8; 28] {
    let hash = Sha1::new().chain_update(key).chain_update(GUID).finalize();
    let mut accept = [0; 28];
    // 20 bytes are 28 characters, always.
    let _ = STANDARD.encode_slice(hash, &mut accept);
    accept
}

/// Writes the answer to a request's head; `false` if there is no key in it.
pub fn answer(head: &[u8], into: &mut Vec<u8>) -> bool {
    let Some(at) = memmem::find(head, KEY_FIELD) else { return false };
    let Some(key) = head.get(at + KEY_FIELD.len()..at + KEY_FIELD.len() + KEY_BYTES) else {
        return false;
    };
    into.extend_from_slice(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
          Sec-WebSocket-Accept: ",
    );
    into.extend_from_slice(&accept_key(key));
    into.extend_from_slice(HEAD_END);
    true
}

/// The path of a request.
pub fn path(head: &[u8]) -> &[u8] {
    head.split(|&byte| byte == b' ').nth(1).unwrap_or_default()
}

/// A request for a WebSocket, much as a browser's: with fields that a server reads and drops.
pub fn request(address: &str, path: &str, offers_deflate: bool) -> Vec<u8> {
    let extensions = if offers_deflate {
        "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; \
         client_no_context_takeover\r\n"
    } else {
        ""
    };
    format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nPragma: no-cache\r\n\
         Cache-Control: no-cache\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) \
         AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36\r\n\
         Upgrade: websocket\r\nOrigin: http://{address}\r\nSec-WebSocket-Version: 13\r\n\
         Accept-Encoding: gzip, deflate, br\r\nAccept-Language: en-GB,en;q=0.9\r\n\
         Sec-WebSocket-Key: {KEY}\r\n{extensions}\r\n"
    )
    .into_bytes()
}

/// What a server has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Bytes of the answer's head.
    pub head_len: usize,
    pub compresses: bool,
}

/// Judges an answer to [`request`]; `Ok(None)` if it is not all there.
pub fn accepted(bytes: &[u8]) -> Result<Option<Accepted>, String> {
    let Some(end) = memmem::find(bytes, HEAD_END) else { return Ok(None) };
    let head = String::from_utf8_lossy(&bytes[..end]);
    let refused = || format!("the upgrade was refused: {head}");
    if !head.starts_with("HTTP/1.1 101 ") {
        return Err(refused());
    }
    let field = |name: &str| {
        let mut fields = head.lines().filter_map(|line| line.split_once(':'));
        fields.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    };
    if field("Sec-WebSocket-Accept").map(str::as_bytes) != Some(&accept_key(KEY.as_bytes())) {
        return Err(refused());
    }
    let compresses = field("Sec-WebSocket-Extensions")
        .is_some_and(|extensions| extensions.contains("permessage-deflate"));
    Ok(Some(Accepted { head_len: end + HEAD_END.len(), compresses }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_section_1_3_is_accepted_as_there() {
        assert_eq!(&accept_key(KEY.as_bytes()), b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn a_request_is_answered_and_the_answer_accepted() {
        let head = request("localhost", "/u/7", false);
        assert_eq!(path(&head), b"/u/7");
        let mut answered = Vec::new();
        assert!(answer(&head, &mut answered));
        let head_len = answered.len();
        let expected = Some(Accepted { head_len, compresses: false });
        assert_eq!(accepted(&answered), Ok(expected));
        assert_eq!(accepted(&answered[..head_len - 1]), Ok(None));
    }
}
