//! Where a WebSocket is (RFC 6455 §3).

use std::fmt;

/// The URL of a WebSocket: `ws:` or `wss:`, a host, a port, a target. `http:` and `https:` mean the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebSocketUrl {
    is_secure: bool,
    host: Box<str>,
    port: u16,
    target: Box<str>,
}

/// Why a text is no such URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UrlError {
    /// It does not begin with `ws://` or `wss://`.
    Scheme,
    /// It has no host, or one that cannot be one.
    Host,
    /// The port is no number from 1 to 65535.
    Port,
    /// It has a user's name or password, which belong into a header field: URLs are logged.
    Credentials,
    /// It has a fragment (`#…`), which RFC 6455 §3 excludes, or characters that must be percent-encoded.
    Target,
}

impl WebSocketUrl {
    /// Parses a URL; `localhost:8080/ws` without a scheme is none.
    ///
    /// # Errors
    /// [`UrlError`]: what is wrong with it.
    pub fn parse(text: &str) -> Result<WebSocketUrl, UrlError> {
        let (scheme, rest) = text.split_once("://").ok_or(UrlError::Scheme)?;
        let is_secure = match scheme.to_ascii_lowercase().as_str() {
            "ws" | "http" => false,
            "wss" | "https" => true,
            _ => return Err(UrlError::Scheme),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        if authority.contains('@') {
            return Err(UrlError::Credentials);
        }
        // RFC 3986 §3.2.2: an address of IPv6 stands in brackets.
        let host_end = match authority.strip_prefix('[') {
            Some(_) => authority.find(']').map(|end| end + 1).ok_or(UrlError::Host)?,
            None => authority.find(':').unwrap_or(authority.len()),
        };
        let (host, port) = authority.split_at(host_end);
        let port = match port.strip_prefix(':') {
            None if port.is_empty() => None,
            None => return Err(UrlError::Host),
            Some("") => None,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                Some(digits.parse().ok().filter(|port| *port > 0).ok_or(UrlError::Port)?)
            }
            Some(_) => return Err(UrlError::Port),
        };
        let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(address) if address.parse::<std::net::Ipv6Addr>().is_ok() => address,
            Some(_) => return Err(UrlError::Host),
            None => host,
        };
        let is_host_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte);
        if host.is_empty() || !host.bytes().all(is_host_byte) {
            return Err(UrlError::Host);
        }
        if target.contains('#') || !target.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(UrlError::Target);
        }
        let slash = if target.starts_with('/') { "" } else { "/" };
        Ok(WebSocketUrl {
            is_secure,
            host: host.to_ascii_lowercase().into(),
            port: port.unwrap_or(if is_secure { 443 } else { 80 }),
            target: format!("{slash}{target}").into(),
        })
    }

    /// Whether TLS is spoken first (`wss`).
    #[must_use]
    pub const fn is_secure(&self) -> bool {
        self.is_secure
    }

    /// The host's name or address, in lower case, without brackets.
    #[must_use]
    pub const fn host(&self) -> &str {
        &self.host
    }

    /// The port; 80 or 443 if the URL has none.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Path and query.
    #[must_use]
    pub const fn target(&self) -> &str {
        &self.target
    }

    /// Host and port as in a `Host` field: the port only where it is not the scheme's (RFC 6455 §4.1, 4).
    #[must_use]
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') {
            format!("[{}]", self.host)
        } else {
            self.host.to_string()
        };
        if self.port == if self.is_secure { 443 } else { 80 } {
            return host;
        }
        format!("{host}:{}", self.port)
    }

    /// The same with another member in its query.
    #[must_use]
    pub fn with_query(&self, member: &str) -> WebSocketUrl {
        let mark = if self.target.contains('?') { '&' } else { '?' };
        WebSocketUrl { target: format!("{}{mark}{member}", self.target).into(), ..self.clone() }
    }
}

/// Without the query, which may have a secret.
impl fmt::Display for WebSocketUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_secure { "wss" } else { "ws" };
        let path = self.target.split('?').next().unwrap_or_default();
        write!(f, "{scheme}://{}{path}", self.authority())
    }
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            UrlError::Scheme => "the URL does not begin with ws:// or wss://",
            UrlError::Host => "the URL has no host, or one that cannot be one",
            UrlError::Port => "the URL's port is no number from 1 to 65535",
            UrlError::Credentials => {
                "the URL has a user's name; give a token, or the field Authorization, instead"
            }
            UrlError::Target => {
                "the URL has a fragment (#), or characters that must be percent-encoded"
            }
        })
    }
}

impl std::error::Error for UrlError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_its_parts() {
        for (text, is_secure, host, port, target, authority) in [
            ("ws://example.org", false, "example.org", 80, "/", "example.org"),
            ("wss://Example.org/ws?a=b", true, "example.org", 443, "/ws?a=b", "example.org"),
            ("https://a:8443?x", true, "a", 8443, "/?x", "a:8443"),
            ("http://127.0.0.1:80/", false, "127.0.0.1", 80, "/", "127.0.0.1"),
            ("WS://[::1]:9001/a/b", false, "::1", 9001, "/a/b", "[::1]:9001"),
            ("ws://[::1]", false, "::1", 80, "/", "[::1]"),
            ("ws://a:/", false, "a", 80, "/", "a"),
        ] {
            let url = WebSocketUrl::parse(text).unwrap();
            let parts = (url.is_secure(), url.host(), url.port(), url.target());
            assert_eq!(parts, (is_secure, host, port, target), "{text}");
            assert_eq!(url.authority(), authority, "{text}");
        }
    }

    #[test]
    fn what_is_none_is_refused_with_what_is_wrong() {
        for (text, error) in [
            ("", UrlError::Scheme),
            ("localhost:8080/ws", UrlError::Scheme),
            ("ftp://a", UrlError::Scheme),
            ("ws://", UrlError::Host),
            ("ws:///ws", UrlError::Host),
            ("ws://:80/", UrlError::Host),
            ("ws://[::1/", UrlError::Host),
            ("ws://[a]/", UrlError::Host),
            ("ws://[::1]x/", UrlError::Host),
            ("ws://a b/", UrlError::Host),
            ("ws://ä/", UrlError::Host),
            ("ws://a:0/", UrlError::Port),
            ("ws://a:65536/", UrlError::Port),
            ("ws://a:+1/", UrlError::Port),
            ("ws://user:secret@a/", UrlError::Credentials),
            ("ws://a/#b", UrlError::Target),
            ("ws://a/ b", UrlError::Target),
            ("ws://a/\r\nX: y", UrlError::Target),
        ] {
            assert_eq!(WebSocketUrl::parse(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn a_log_has_no_query() {
        let url = WebSocketUrl::parse("wss://a:1/ws?token=secret").unwrap();
        assert_eq!(url.to_string(), "wss://a:1/ws");
        assert_eq!(url.with_query("resume=1").target(), "/ws?token=secret&resume=1");
        assert_eq!(WebSocketUrl::parse("ws://a").unwrap().with_query("b").target(), "/?b");
    }
}
