//! The PROXY protocol, version 2, as plainly as `proxy-protocol.txt` §2.2 can be read: the whole of it is
//! there, or nothing is said. It shares no code with `protocol::proxy_header`, which it is there to contradict.

use parlor::base::limits::PROXY_HEADER_BYTES_MAX;
use std::net::IpAddr;

/// What a header comes to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Plain {
    /// The client's address, if it has one, and the header's length.
    Header(Option<IpAddr>, usize),
    /// It is not all there, and what is there is good.
    Cut,
    /// It does not begin as one does: as one of version 1 instead, or as neither.
    Other { is_version_1: bool },
    /// It announces more than is taken.
    TooLong,
    /// It breaks the format.
    Malformed,
}

/// The header at the beginning of `bytes`.
pub(crate) fn proxy_header(bytes: &[u8]) -> Plain {
    let signature = [0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A];
    if bytes.iter().zip(&signature).any(|(is, should)| is != should) {
        let same = bytes.iter().zip(b"PROXY ").take_while(|(is, should)| is == should).count();
        return Plain::Other { is_version_1: same >= 2 && same == bytes.len().min(6) };
    }
    let (version, command) = match bytes.get(12) {
        Some(byte) => (byte / 16, byte % 16),
        None => return Plain::Cut,
    };
    if version != 2 || command > 1 {
        return Plain::Malformed;
    }
    // Family: 0 unspecified, 1 IPv4, 2 IPv6, 3 Unix; transport: 0 unspecified, 1 stream, 2 datagram.
    let of_addresses = match bytes.get(13).map(|byte| (byte / 16, byte % 16)) {
        None => return Plain::Cut,
        Some(_) if command == 0 => 0,
        Some((0, 0) | (3, 1) | (3, 2)) => 0,
        Some((1, 1)) => 4,
        Some((2, 1)) => 16,
        Some(_) => return Plain::Malformed,
    };
    if bytes.len() < 16 {
        return Plain::Cut;
    }
    let announced = usize::from(bytes[14]) * 256 + usize::from(bytes[15]);
    if 16 + announced > PROXY_HEADER_BYTES_MAX {
        return Plain::TooLong;
    }
    // Two addresses, two ports of two bytes.
    if of_addresses > 0 && announced < 2 * of_addresses + 4 {
        return Plain::Malformed;
    }
    if bytes.len() < 16 + announced {
        return Plain::Cut;
    }
    let source = match of_addresses {
        4 => Some(IpAddr::from([bytes[16], bytes[17], bytes[18], bytes[19]])),
        16 => {
            let mut octets = [0; 16];
            octets.copy_from_slice(&bytes[16..32]);
            // An IPv4 address in the clothes of IPv6 is one (RFC 4291 §2.5.5.2).
            match octets {
                [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, a, b, c, d] => {
                    Some(IpAddr::from([a, b, c, d]))
                }
                octets => Some(IpAddr::from(octets)),
            }
        }
        _ => None,
    };
    // §2.2.7: a type, two bytes of length, that many bytes; nothing is left.
    let mut at = 16 + 2 * of_addresses + 4;
    while source.is_some() && at < 16 + announced {
        if at + 3 > 16 + announced {
            return Plain::Malformed;
        }
        at += 3 + usize::from(bytes[at + 1]) * 256 + usize::from(bytes[at + 2]);
        if at > 16 + announced {
            return Plain::Malformed;
        }
    }
    Plain::Header(source, 16 + announced)
}
