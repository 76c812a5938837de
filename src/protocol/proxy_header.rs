//! The PROXY protocol, versions 1 and 2 (HAProxy's `proxy-protocol.txt`): the header that a proxy
//! sends before a connection's first byte. Bytes in, the client's address out.
//!
//! Whether to trust the sender is decided elsewhere. Checksums in a header (`PP2_TYPE_CRC32C`) are
//! not verified: TCP has its own.

use crate::base::limits::PROXY_HEADER_BYTES_MAX;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// proxy-protocol.txt §2.2: how a header of version 2 begins. No HTTP request begins like this.
pub const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// proxy-protocol.txt §2.1: how a header of version 1 begins. No method of HTTP has this name.
const SIGNATURE_1: &[u8; 6] = b"PROXY ";
/// proxy-protocol.txt §2.1: the longest line of version 1, with its CRLF.
const LINE_BYTES_MAX: usize = 107;
/// The signature, version and command, family and transport, two bytes of length.
const HEAD_LEN: usize = SIGNATURE.len() + 4;

/// A PROXY header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProxyHeader {
    /// The client's address. None if the connection is the proxy's own, as for its health checks,
    /// or its transport has no such addresses.
    pub source: Option<IpAddr>,
}

/// Why bytes are not an accepted header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyHeaderError {
    /// They begin with something else.
    Missing,
    /// It has more than [`PROXY_HEADER_BYTES_MAX`] bytes, or as version 1 more than a line may
    /// have.
    TooLong,
    /// It breaks the format.
    Malformed(&'static str),
}

/// A header and its length; `None` if it is incomplete.
type Decoded = Result<Option<(ProxyHeader, usize)>, ProxyHeaderError>;

impl ProxyHeader {
    /// Reads the header at the beginning of `bytes`: the header and its length. `Ok(None)` if it is
    /// incomplete.
    ///
    /// # Errors
    /// [`ProxyHeaderError`], as soon as the bytes show it.
    pub fn decode(bytes: &[u8]) -> Decoded {
        let begins_like = |signature: &[u8]| {
            let seen = bytes.len().min(signature.len());
            bytes[..seen] == signature[..seen]
        };
        if begins_like(SIGNATURE) {
            decode_version_2(bytes)
        } else if begins_like(SIGNATURE_1) {
            decode_version_1(bytes)
        } else {
            Err(ProxyHeaderError::Missing)
        }
    }

    /// Whether `bytes` begin like a header of version 1 or 2; used to refuse one from a peer that
    /// must not send it.
    #[must_use]
    pub fn begins(bytes: &[u8]) -> bool {
        bytes.starts_with(SIGNATURE) || bytes.starts_with(SIGNATURE_1)
    }
}

/// proxy-protocol.txt §2.2: bytes that begin as version 2 does.
fn decode_version_2(bytes: &[u8]) -> Decoded {
    // Each byte is checked as soon as it arrives: the fault found does not depend on how the
    // bytes were split.
    let Some(&command) = bytes.get(SIGNATURE.len()) else { return Ok(None) };
    let is_local = match command {
        0x20 => true,
        0x21 => false,
        _ if command >> 4 != 2 => {
            return Err(ProxyHeaderError::Malformed("the version is not 2"));
        }
        _ => return Err(ProxyHeaderError::Malformed("the command is unknown")),
    };
    let Some(&family) = bytes.get(SIGNATURE.len() + 1) else { return Ok(None) };
    let addresses = match family {
        // proxy-protocol.txt §2.2: LOCAL carries no addresses, whatever this byte is.
        _ if is_local => Addresses::Unknown,
        // UNSPEC, and streams and datagrams of AF_UNIX: no IP addresses.
        0x00 | 0x31 | 0x32 => Addresses::Unknown,
        0x11 => Addresses::Inet,
        0x21 => Addresses::Inet6,
        _ => return Err(ProxyHeaderError::Malformed("the connection is not one of TCP")),
    };
    let Some(&[high, low]) = bytes.get(SIGNATURE.len() + 2..HEAD_LEN) else { return Ok(None) };
    let len = HEAD_LEN + usize::from(u16::from_be_bytes([high, low]));
    if len > PROXY_HEADER_BYTES_MAX {
        return Err(ProxyHeaderError::TooLong);
    }
    if len - HEAD_LEN < addresses.len() {
        return Err(ProxyHeaderError::Malformed("there is no room for the addresses"));
    }
    let Some(body) = bytes.get(HEAD_LEN..len) else { return Ok(None) };
    let source = addresses.source(body);
    if source.is_some() {
        check_fields(&body[addresses.len()..])?;
    }
    Ok(Some((ProxyHeader { source }, len)))
}

/// proxy-protocol.txt §2.1: bytes that begin as version 1 does, a line of text.
fn decode_version_1(bytes: &[u8]) -> Decoded {
    let seen = &bytes[..bytes.len().min(LINE_BYTES_MAX)];
    let Some(end) = seen.iter().position(|byte| *byte == b'\n') else {
        let is_too_long = seen.len() == LINE_BYTES_MAX;
        return if is_too_long { Err(ProxyHeaderError::TooLong) } else { Ok(None) };
    };
    let malformed = ProxyHeaderError::Malformed;
    let line = seen[..end].strip_suffix(b"\r");
    let line = line.ok_or(malformed("the line does not end with CRLF"))?;
    let fields = line.get(SIGNATURE_1.len()..).unwrap_or_default();
    let fields = str::from_utf8(fields).map_err(|_| malformed("the line is not text"))?;
    let source = match fields.split_once(' ').unwrap_or((fields, "")) {
        // What follows it is ignored.
        ("UNKNOWN", _) => None,
        ("TCP4", rest) => Some(line_source::<Ipv4Addr>(rest)?.into()),
        ("TCP6", rest) => Some(line_source::<Ipv6Addr>(rest)?.to_canonical()),
        _ => return Err(malformed("the connection is not one of TCP")),
    };
    Ok(Some((ProxyHeader { source }, end + 1)))
}

/// The first of two addresses of a line, which two ports follow.
fn line_source<A: FromStr>(fields: &str) -> Result<A, ProxyHeaderError> {
    let wants = "the line has other than two addresses of its family and two ports";
    let parsed = || {
        let mut fields = fields.split(' ');
        let source = fields.next()?.parse().ok()?;
        let _destination: A = fields.next()?.parse().ok()?;
        let are_ports = is_port(fields.next()?) && is_port(fields.next()?);
        (are_ports && fields.next().is_none()).then_some(source)
    };
    parsed().ok_or(ProxyHeaderError::Malformed(wants))
}

/// A number up to 65,535, without a sign and without leading zeros.
fn is_port(text: &str) -> bool {
    text.parse::<u16>().is_ok_and(|port| port.to_string() == text)
}

/// The address block of a header.
#[derive(Clone, Copy, Debug)]
enum Addresses {
    Unknown,
    Inet,
    Inet6,
}

impl Addresses {
    /// Bytes of the block: two addresses and two ports.
    const fn len(self) -> usize {
        match self {
            Addresses::Unknown => 0,
            Addresses::Inet => 2 * 4 + 2 * 2,
            Addresses::Inet6 => 2 * 16 + 2 * 2,
        }
    }

    /// The client's address.
    fn source(self, body: &[u8]) -> Option<IpAddr> {
        match self {
            Addresses::Unknown => None,
            Addresses::Inet => body.first_chunk::<4>().map(|v4| Ipv4Addr::from(*v4).into()),
            Addresses::Inet6 => {
                body.first_chunk::<16>().map(|v6| Ipv6Addr::from(*v6).to_canonical())
            }
        }
    }
}

/// proxy-protocol.txt §2.2: after the addresses come fields of type, length and value. Their
/// meaning is ignored.
fn check_fields(mut fields: &[u8]) -> Result<(), ProxyHeaderError> {
    while let [_, high, low, rest @ ..] = fields {
        let len = usize::from(u16::from_be_bytes([*high, *low]));
        fields = rest.get(len..).ok_or(ProxyHeaderError::Malformed("a field ends too late"))?;
    }
    if fields.is_empty() {
        Ok(())
    } else {
        Err(ProxyHeaderError::Malformed("a field has no length"))
    }
}

impl fmt::Display for ProxyHeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ProxyHeaderError::Missing => {
                "from this proxy a connection begins with a header of the PROXY protocol"
            }
            ProxyHeaderError::TooLong => "the PROXY header is too long",
            ProxyHeaderError::Malformed(what) => what,
        })
    }
}

impl std::error::Error for ProxyHeaderError {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    /// A header with this command, family and body.
    fn header(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let len = u16::try_from(body.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[command, family], &len, body].concat()
    }

    fn inet(fields: &[u8]) -> Vec<u8> {
        let addresses = [203, 0, 113, 7, 10, 0, 0, 1, 0x12, 0x34, 0, 80];
        header(0x21, 0x11, &[&addresses[..], fields].concat())
    }

    fn source(bytes: &[u8]) -> Option<String> {
        let (header, len) = ProxyHeader::decode(bytes).unwrap().unwrap();
        assert_eq!(len, bytes.len());
        header.source.map(|source| source.to_string())
    }

    #[test]
    fn the_client_is_who_the_header_names() {
        assert_eq!(source(&inet(b"")).as_deref(), Some("203.0.113.7"));
        let mut body = [0; 36];
        body[..2].copy_from_slice(&[0x20, 0x01]);
        body[15] = 7;
        assert_eq!(source(&header(0x21, 0x21, &body)).as_deref(), Some("2001::7"));
        // An IPv4-mapped IPv6 address.
        body[..16].copy_from_slice(&"::ffff:192.0.2.9".parse::<Ipv6Addr>().unwrap().octets());
        assert_eq!(source(&header(0x21, 0x21, &body)).as_deref(), Some("192.0.2.9"));
    }

    #[test]
    fn a_line_of_version_1_names_the_client() {
        for (line, expected) in [
            ("TCP4 203.0.113.7 10.0.0.1 56324 443", Some("203.0.113.7")),
            ("TCP4 255.255.255.255 255.255.255.255 65535 0", Some("255.255.255.255")),
            ("TCP6 2001:db8::7 ::1 1 2", Some("2001:db8::7")),
            ("TCP6 ::ffff:192.0.2.9 ::1 1 2", Some("192.0.2.9")),
            ("UNKNOWN", None),
            ("UNKNOWN ffff:f...f:ffff and anything else", None),
        ] {
            assert_eq!(source(format!("PROXY {line}\r\n").as_bytes()).as_deref(), expected);
        }
        for wrong in [
            "TCP4 203.0.113.7 10.0.0.1 56324",
            "TCP4 203.0.113.7 10.0.0.1 56324 443 ",
            "TCP4 203.0.113.7  10.0.0.1 56324 443",
            "TCP4 203.0.113.7 10.0.0.1 65536 443",
            "TCP4 203.0.113.7 10.0.0.1 +1 443",
            "TCP4 203.0.113.7 10.0.0.1 01 443",
            "TCP4 203.0.113.07 10.0.0.1 1 443",
            "TCP4 ::1 ::1 1 2",
            "TCP6 203.0.113.7 10.0.0.1 1 2",
            "UDP4 203.0.113.7 10.0.0.1 1 2",
            "tcp4 203.0.113.7 10.0.0.1 1 2",
            "",
        ] {
            let decoded = ProxyHeader::decode(format!("PROXY {wrong}\r\n").as_bytes());
            assert!(matches!(decoded, Err(ProxyHeaderError::Malformed(_))), "{wrong}: {decoded:?}");
        }
        let unended = ProxyHeader::decode(b"PROXY UNKNOWN\n");
        assert!(matches!(unended, Err(ProxyHeaderError::Malformed(_))));
        assert!(ProxyHeader::decode(b"PROXY UNKNOWN \xff\r\n").is_err());
    }

    #[test]
    fn a_line_is_as_long_as_the_longest_that_names_addresses() {
        let longest = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
        let line = format!("PROXY UNKNOWN {longest} {longest} 65535 65535\r\n");
        assert_eq!(line.len(), LINE_BYTES_MAX);
        assert!(ProxyHeader::decode(line.as_bytes()).is_ok());
        let longer = line.replacen("UNKNOWN ", "UNKNOWN  ", 1);
        assert_eq!(ProxyHeader::decode(longer.as_bytes()), Err(ProxyHeaderError::TooLong));
    }

    #[test]
    fn fields_behind_the_addresses_are_passed_over() {
        let fields = [&[0x05, 0, 3][..], b"abc", &[0xE0, 0, 0]].concat();
        assert_eq!(source(&inet(&fields)).as_deref(), Some("203.0.113.7"));
        for wrong in [&[5][..], &[5, 0], &[5, 0, 1], &[5, 0, 0, 5], &[5, 0xFF, 0xFF, 0]] {
            let decoded = ProxyHeader::decode(&inet(wrong));
            assert!(matches!(decoded, Err(ProxyHeaderError::Malformed(_))), "{wrong:?}");
        }
    }

    #[test]
    fn a_connection_of_the_proxys_own_names_nobody() {
        assert_eq!(source(&header(0x20, 0x00, b"")), None);
        assert_eq!(source(&header(0x20, 0x11, b"anything")), None);
        assert_eq!(source(&header(0x21, 0x00, b"anything")), None);
        assert_eq!(source(&header(0x21, 0x31, &[0; 216])), None);
    }

    #[test]
    fn all_other_commands_and_families_are_refused() {
        for byte in 0..=u8::MAX {
            let command = ProxyHeader::decode(&header(byte, 0x11, &[0; 12]));
            assert_eq!(command.is_ok(), [0x20, 0x21].contains(&byte), "{byte:x}");
            let family = ProxyHeader::decode(&header(0x21, byte, &[0; 216 + 3]));
            let known = [0x00, 0x11, 0x21, 0x31, 0x32].contains(&byte);
            assert_eq!(family.is_ok(), known, "{byte:x}: {family:?}");
        }
        for (family, len) in [(0x11, 11), (0x21, 35)] {
            let short = ProxyHeader::decode(&header(0x21, family, &vec![0; len]));
            assert!(matches!(short, Err(ProxyHeaderError::Malformed(_))), "{family:x}");
        }
    }

    #[test]
    fn a_header_is_as_long_as_it_may_be_and_no_longer() {
        let of = |len: usize| ProxyHeader::decode(&header(0x20, 0, &vec![0; len - HEAD_LEN]));
        assert!(of(PROXY_HEADER_BYTES_MAX).is_ok());
        assert_eq!(of(PROXY_HEADER_BYTES_MAX + 1), Err(ProxyHeaderError::TooLong));
        // The announced length is refused before the bytes arrive.
        let announced = [&SIGNATURE[..], &[0x21, 0x11, 0xFF, 0xFF]].concat();
        assert_eq!(ProxyHeader::decode(&announced), Err(ProxyHeaderError::TooLong));
    }

    #[test]
    fn what_is_no_header_is_told_at_once() {
        for (bytes, error) in [
            (&b"GET / HTTP/1.1\r\n"[..], ProxyHeaderError::Missing),
            (b"PO", ProxyHeaderError::Missing),
            (b"POST / HTTP/1.1\r\n", ProxyHeaderError::Missing),
            (b"\r\n\r\nG", ProxyHeaderError::Missing),
        ] {
            assert_eq!(ProxyHeader::decode(bytes), Err(error));
        }
        assert_eq!(ProxyHeader::decode(b""), Ok(None));
        assert_eq!(ProxyHeader::decode(b"P"), Ok(None));
        assert!(ProxyHeader::begins(&inet(b"")) && ProxyHeader::begins(b"PROXY UNKNOWN\r\n"));
        assert!(!ProxyHeader::begins(b"PROPFIND / HTTP/1.1") && !ProxyHeader::begins(b"\r\n"));
    }

    proptest! {
        #[test]
        fn bytes_mean_the_same_however_they_are_cut(
            command in prop_oneof![8 => Just(0x21u8), 2 => Just(0x20), 1 => any::<u8>()],
            family in prop_oneof![4 => Just(0x11u8), 4 => Just(0x21), 1 => any::<u8>()],
            body in vec(any::<u8>(), 0..80),
            announced in prop_oneof![4 => Just(None), 1 => any::<u16>().prop_map(Some)],
            rest in vec(any::<u8>(), 0..20),
        ) {
            let mut bytes = header(command, family, &body);
            if let Some(len) = announced {
                bytes[14..16].copy_from_slice(&len.to_be_bytes());
            }
            bytes.extend(rest);
            let whole = ProxyHeader::decode(&bytes);
            let mut first = None;
            for cut in 0..=bytes.len() {
                match ProxyHeader::decode(&bytes[..cut]) {
                    Ok(None) => prop_assert_eq!(first, None),
                    told => {
                        let told = Some(told);
                        prop_assert!(first.is_none() || first == told);
                        first = told;
                    }
                }
            }
            prop_assert_eq!(first.unwrap_or(Ok(None)), whole);
            if let Ok(Some((_, len))) = whole {
                prop_assert!(len <= bytes.len() && len <= PROXY_HEADER_BYTES_MAX);
            }
        }

        #[test]
        fn a_line_means_the_same_however_it_is_cut(
            fields in "(TCP4|TCP6|UNKNOWN|X)( [0-9a-f.:]{1,12}){0,4}(\r\n|\n| {100})?",
        ) {
            let bytes = format!("PROXY {fields}");
            let bytes = bytes.as_bytes();
            let whole = ProxyHeader::decode(bytes);
            let told = (0..bytes.len()).map(|cut| ProxyHeader::decode(&bytes[..cut]));
            let told: Vec<_> = told.filter(|told| *told != Ok(None)).collect();
            prop_assert!(told.iter().all(|told| *told == whole));
        }

        #[test]
        fn no_bytes_are_too_strange(bytes in vec(any::<u8>(), 0..300)) {
            let _ = ProxyHeader::decode(&bytes);
            let signed = [&SIGNATURE[..], &bytes].concat();
            let _ = ProxyHeader::decode(&signed);
        }
    }
}
