//! The PROXY protocol as plainly as `proxy-protocol.txt` can be read: the whole of it is there, or nothing is said. It shares no code with `protocol::proxy_header`, which it is there to contradict.

use parlor::base::limits::PROXY_HEADER_BYTES_MAX;
use std::net::IpAddr;

/// What a header comes to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Plain {
    /// The client's address, if it has one, and the header's length.
    Header(Option<IpAddr>, usize),
    /// It is not all there, and what is there is good.
    Cut,
    /// It does not begin as one does.
    Other,
    /// It announces more than is taken.
    TooLong,
    /// It breaks the format.
    Malformed,
}

/// The header at the beginning of `bytes`.
pub(crate) fn proxy_header(bytes: &[u8]) -> Plain {
    let signature = [0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A];
    if bytes.iter().zip(&signature).any(|(is, should)| is != should) {
        return version_1(bytes);
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

/// §2.1: a line of at most 107 bytes.
fn version_1(bytes: &[u8]) -> Plain {
    if bytes.iter().zip(b"PROXY ").any(|(is, should)| is != should) {
        return Plain::Other;
    }
    let Some(end) = bytes.iter().take(107).position(|byte| *byte == 10) else {
        return if bytes.len() < 107 { Plain::Cut } else { Plain::TooLong };
    };
    let Ok(line) = std::str::from_utf8(&bytes[..end]) else { return Plain::Malformed };
    let Some(line) = line.strip_suffix('\r') else { return Plain::Malformed };
    let words: Vec<&str> = line.split(' ').collect();
    let is_port = |text: &str| {
        let is_number =
            (1..=5).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        is_number
            && (text == "0" || !text.starts_with('0'))
            && text.parse::<u32>().unwrap() < 65_536
    };
    let source = match words[1..] {
        ["UNKNOWN", ..] => None,
        [family @ ("TCP4" | "TCP6"), source, destination, first, second] => {
            let addresses = (source.parse::<IpAddr>(), destination.parse::<IpAddr>());
            let (Ok(source), Ok(destination)) = addresses else { return Plain::Malformed };
            let is_4 = family == "TCP4";
            let is_right = source.is_ipv4() == is_4 && destination.is_ipv4() == is_4;
            if !is_right || !is_port(first) || !is_port(second) {
                return Plain::Malformed;
            }
            Some(source.to_canonical())
        }
        _ => return Plain::Malformed,
    };
    Plain::Header(source, end + 1)
}
