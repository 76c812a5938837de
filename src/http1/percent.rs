//! Percent-encoding (RFC 3986 §2.1).

use std::fmt::Write;

/// A segment of a path, or a value of a query: all but unreserved characters (RFC 3986 §2.3) is
/// encoded.
#[must_use]
pub fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_is_one_whatever_it_has() {
        assert_eq!(percent_encoded("a/b?c d%é:~"), "a%2Fb%3Fc%20d%25%C3%A9%3A~");
    }
}
