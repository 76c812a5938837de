//! What a proxy says before a connection's first byte: it is read as the plain reader reads it, however it is
//! cut, and never judged twice.
//!
//! The first byte says which version's signature stands before the rest, so that nobody has to guess it, or the
//! rest is all.

use crate::slow_proxy_header::{self, Plain};
use parlor::protocol::proxy_header::SIGNATURE;
use parlor::protocol::{ProxyHeader, ProxyHeaderError};

/// After as many bytes, and before as many of the last, it is cut: more than two addresses and a field.
const CUTS: usize = 64;

/// Asserts all that is said above; gives what was read.
pub(crate) fn proxy_header(data: &[u8]) -> Option<Plain> {
    let (&setting, rest) = data.split_first()?;
    let bytes = match setting % 3 {
        0 => rest.to_vec(),
        1 => [SIGNATURE, rest].concat(),
        _ => [&b"PROXY "[..], rest].concat(),
    };
    let plain = agreed(&bytes);
    let header_len = match plain {
        Plain::Header(_, len) => len,
        _ => bytes.len(),
    };
    let last = header_len.saturating_sub(CUTS).max(CUTS);
    let ends = (0..header_len.min(CUTS)).chain(last..header_len);
    let mut told = false;
    for end in ends {
        let early = agreed(&bytes[..end]);
        assert!(early == Plain::Cut || early == plain, "{end} bytes tell what more of them do not");
        assert!(!told || early != Plain::Cut, "{end} bytes take back what fewer told");
        told = early != Plain::Cut;
        assert!(!told || !matches!(plain, Plain::Header(..)), "no byte of it is left out");
    }
    let begins = ProxyHeader::begins(&bytes);
    assert_eq!(begins, bytes.starts_with(SIGNATURE) || bytes.starts_with(b"PROXY "));
    Some(plain)
}

/// What both readers say.
fn agreed(bytes: &[u8]) -> Plain {
    let plain = slow_proxy_header::proxy_header(bytes);
    let read = match ProxyHeader::decode(bytes) {
        Ok(Some((header, len))) => Plain::Header(header.source, len),
        Ok(None) => Plain::Cut,
        Err(ProxyHeaderError::Missing) => Plain::Other,
        Err(ProxyHeaderError::TooLong) => Plain::TooLong,
        Err(ProxyHeaderError::Malformed(_)) => Plain::Malformed,
    };
    assert_eq!(read, plain, "the plain reader, of {} bytes", bytes.len());
    plain
}
