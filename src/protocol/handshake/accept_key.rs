//! The answer to `Sec-WebSocket-Key` (RFC 6455 §1.3, §4.2.2): proof that a server speaks WebSocket;
//! it gives no other security.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

/// RFC 6455 §1.3: what is appended to the key.
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The value of `Sec-WebSocket-Accept` for the value of a `Sec-WebSocket-Key`.
#[must_use]
pub fn accept_key(key: &str) -> String {
    let digest = Sha1::new().chain_update(key).chain_update(GUID).finalize();
    STANDARD.encode(digest)
}

/// RFC 6455 §4.1: a key is the base64 of sixteen bytes.
#[must_use]
pub fn is_key(key: &str) -> bool {
    const KEY_BYTES: usize = 16;
    // The library requires a buffer of whole groups of three bytes.
    let mut bytes = [0; KEY_BYTES.next_multiple_of(3)];
    STANDARD.decode_slice(key, &mut bytes) == Ok(KEY_BYTES)
}

/// The value of `Sec-WebSocket-Key` for sixteen random bytes.
#[must_use]
pub fn key(nonce: [u8; 16]) -> String {
    STANDARD.encode(nonce)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_section_1_3() {
        assert_eq!(accept_key("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(key(*b"the sample nonce"), "dGhlIHNhbXBsZSBub25jZQ==");
    }

    #[test]
    fn a_key_is_sixteen_bytes_in_base64() {
        assert!(is_key("dGhlIHNhbXBsZSBub25jZQ=="));
        for wrong in ["", "dGhlIHNhbXBsZSBub25jZQ", "c2hvcnQ=", "dGhlIHNhbXBsZSBub25jZXM=", "!!!"] {
            assert!(!is_key(wrong), "{wrong}");
        }
    }
}
