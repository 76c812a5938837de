//! Trusted proxies, and how to find a request's client behind them.

use crate::base::limits::PROXIES_MAX;
use crate::http1::{HeadError, RequestHead};
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// An address, or all addresses with the same prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    first: IpAddr,
    prefix_len: u8,
}

/// The text is no address and no network, or has bits set after its prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotANetwork;

impl Network {
    /// Whether it contains this address.
    #[must_use]
    pub fn has(&self, address: IpAddr) -> bool {
        let ((first, len), (address, other_len)) = (bits(self.first), bits(address.to_canonical()));
        let behind = u32::from(len - self.prefix_len);
        len == other_len && (first ^ address).checked_shr(behind).unwrap_or(0) == 0
    }

    fn new(address: IpAddr, prefix_len: u8) -> Option<Network> {
        /// RFC 4291 §2.5.5.2: length of the prefix of an IPv4-mapped IPv6 address.
        const MAPPED_LEN: u8 = 96;
        let first = address.to_canonical();
        let prefix_len = match (address, first) {
            (IpAddr::V6(_), IpAddr::V4(_)) => prefix_len.checked_sub(MAPPED_LEN)?,
            _ => prefix_len,
        };
        let (bits, len) = bits(first);
        let behind = u32::from(len.checked_sub(prefix_len)?);
        (bits.trailing_zeros() >= behind).then_some(Network { first, prefix_len })
    }
}

/// An address as a number, and how many bits it has.
fn bits(address: IpAddr) -> (u128, u8) {
    match address {
        IpAddr::V4(v4) => (v4.to_bits().into(), 32),
        IpAddr::V6(v6) => (v6.to_bits(), 128),
    }
}

impl FromStr for Network {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Network, NotANetwork> {
        let (address, prefix_len) = match text.split_once('/') {
            Some((address, len)) if len.bytes().all(|byte| byte.is_ascii_digit()) => {
                (address, Some(len.parse().map_err(|_| NotANetwork)?))
            }
            Some(_) => return Err(NotANetwork),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NotANetwork)?;
        Network::new(address, prefix_len.unwrap_or(bits(address).1)).ok_or(NotANetwork)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.prefix_len {
            len if len == bits(self.first).1 => write!(f, "{}", self.first),
            len => write!(f, "{}/{len}", self.first),
        }
    }
}

impl fmt::Display for NotANetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this is no address, as 127.0.0.1 or ::1, and no network, as 10.0.0.0/8")
    }
}

impl std::error::Error for NotANetwork {}

/// Proxies trusted to name the client of a connection or a request. By default there are none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies {
    /// Proxies whose `X-Forwarded-For` counts; at most [`PROXIES_MAX`].
    pub trusted: Vec<Network>,
    /// Proxies whose connections begin with a PROXY header; at most [`PROXIES_MAX`].
    pub protocol: Vec<Network>,
}

impl Proxies {
    /// A list of proxies, if every text is valid and there are not too many.
    #[must_use]
    pub fn list(texts: &[&str]) -> Option<Vec<Network>> {
        let networks: Option<Vec<Network>> = texts.iter().map(|text| text.parse().ok()).collect();
        networks.filter(|networks| networks.len() <= PROXIES_MAX)
    }

    pub(super) fn is_trusted(&self, peer: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.has(peer))
    }

    pub(super) fn speaks_protocol(&self, peer: IpAddr) -> bool {
        self.protocol.iter().any(|network| network.has(peer))
    }

    /// The client that a trusted proxy names in a request's `X-Forwarded-For`; none if it names
    /// none. Each proxy has appended the address it was called from. The list is read from the end:
    /// the client is the first address that is not a trusted proxy, or the last one read if all
    /// are.
    ///
    /// # Errors
    /// The field comes from a trusted proxy, and its relevant part cannot be read.
    pub(super) fn client(&self, head: &RequestHead<'_>) -> Result<Option<IpAddr>, HeadError> {
        let lines: Vec<&str> = head.lines("x-forwarded-for").collect::<Result<_, _>>()?;
        let mut client = None;
        for item in lines.iter().rev().flat_map(|line| line.rsplit(',')) {
            let unread = HeadError::Malformed("X-Forwarded-For has what is no address");
            let address = address(item.trim()).ok_or(unread)?;
            client = Some(address);
            if !self.is_trusted(address) {
                break;
            }
        }
        Ok(client)
    }
}

/// An address with an optional port, which some proxies add.
fn address(text: &str) -> Option<IpAddr> {
    let bracketed = text.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let (address, port) = match bracketed {
        Some((v6, port)) => (v6.parse::<Ipv6Addr>().ok()?.into(), port.strip_prefix(':')),
        None => match text.split_once(':') {
            Some((v4, port)) if !port.contains(':') => (IpAddr::V4(v4.parse().ok()?), Some(port)),
            _ => (text.parse::<IpAddr>().ok()?, None),
        },
    };
    let is_port = |port: &str| port.parse::<u16>().is_ok();
    port.is_none_or(is_port).then(|| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        text.parse().unwrap()
    }

    #[test]
    fn a_network_has_those_that_begin_as_it_does() {
        for (text, inside, outside) in [
            ("127.0.0.1", "127.0.0.1", "127.0.0.2"),
            ("10.0.0.0/8", "10.255.255.255", "11.0.0.0"),
            ("10.1.128.0/17", "10.1.200.1", "10.1.127.255"),
            ("0.0.0.0/0", "255.255.255.255", "::1"),
            ("::/0", "2001:db8::1", "10.0.0.1"),
            ("::1", "::1", "::2"),
            ("2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::"),
            ("::ffff:10.0.0.0/104", "10.2.3.4", "11.0.0.0"),
            ("10.0.0.0/8", "::ffff:10.0.0.1", "::ffff:11.0.0.1"),
        ] {
            assert!(network(text).has(inside.parse().unwrap()), "{text} {inside}");
            assert!(!network(text).has(outside.parse().unwrap()), "{text} {outside}");
        }
        for text in ["10.0.0.0/8", "127.0.0.1", "::1", "2001:db8::/32", "::/0"] {
            assert_eq!(network(text).to_string(), text);
        }
    }

    #[test]
    fn what_is_no_network_is_none() {
        for text in [
            "",
            "x",
            "10.0.0",
            "10.0.0.1/8",
            "10.0.0.0/33",
            "::/129",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "10.0.0.0/-1",
            "::1/127",
            "localhost",
            "10.0.0.1:80",
            "::ffff:10.0.0.0/24",
        ] {
            assert_eq!(text.parse::<Network>(), Err(NotANetwork), "{text}");
        }
        assert!(Proxies::list(&vec!["::1"; PROXIES_MAX]).is_some());
        assert!(Proxies::list(&vec!["::1"; PROXIES_MAX + 1]).is_none());
    }

    fn client(fields: &str) -> Result<Option<String>, HeadError> {
        let text = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        let head = RequestHead::parse(text.as_bytes(), 16).unwrap();
        let trusted = Proxies::list(&["10.0.0.0/8", "::1"]).unwrap();
        let proxies = Proxies { trusted, ..Proxies::default() };
        proxies.client(&head).map(|client| client.map(|client| client.to_string()))
    }

    #[test]
    fn the_client_is_the_last_who_is_no_trusted_proxy() {
        for (fields, expected) in [
            ("", None),
            ("X-Forwarded-For: 192.0.2.1\r\n", Some("192.0.2.1")),
            // Entries that a client made up precede those that the proxy added.
            ("X-Forwarded-For: 198.51.100.1, 192.0.2.1\r\n", Some("192.0.2.1")),
            ("X-Forwarded-For: nonsense,192.0.2.1\r\n", Some("192.0.2.1")),
            ("X-Forwarded-For: 192.0.2.1, 10.0.0.9 ,10.1.1.1\r\n", Some("192.0.2.1")),
            ("X-Forwarded-For: 192.0.2.1\r\nx-forwarded-for: ::1\r\n", Some("192.0.2.1")),
            ("X-Forwarded-For: 10.0.0.7, ::1\r\n", Some("10.0.0.7")),
            ("X-Forwarded-For: 192.0.2.1:4711\r\n", Some("192.0.2.1")),
            ("X-Forwarded-For: [2001:db8::1]:4711\r\n", Some("2001:db8::1")),
            ("X-Forwarded-For: [2001:db8::1]\r\n", Some("2001:db8::1")),
            ("X-Forwarded-For: 2001:db8::1\r\n", Some("2001:db8::1")),
            ("X-Forwarded-For: ::ffff:192.0.2.1\r\n", Some("192.0.2.1")),
        ] {
            assert_eq!(client(fields).unwrap().as_deref(), expected, "{fields}");
        }
    }

    #[test]
    fn what_counts_and_cannot_be_read_is_refused() {
        for value in ["unknown", "", "192.0.2.1,", "_hidden", "192.0.2.1:x", "[::1", "1.2.3", "é"]
        {
            let fields = format!("X-Forwarded-For: {value}\r\n");
            assert!(client(&fields).is_err(), "{value}");
        }
    }
}
