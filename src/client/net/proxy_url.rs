//! A proxy that a program names. None is taken from the environment.

use std::fmt;

/// A proxy through which a connection goes.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    pub(super) kind: ProxyKind,
    pub(super) host: Box<str>,
    pub(super) port: u16,
    pub(super) login: Option<(Box<str>, Box<str>)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProxyKind {
    /// RFC 9110 §9.3.6: `CONNECT`.
    Http,
    /// RFC 1928.
    Socks5,
}

/// Why a text names no proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxyUrlError {
    /// It does not begin with `http://`, `socks5://` or `socks5h://`.
    Scheme,
    /// It has no host and port, or more than that.
    Address,
    /// The name or the password is longer than 255 bytes (RFC 1929 §2), or has a `%` that begins no code.
    Login,
}

impl Proxy {
    /// Reads `http://host:port` or `socks5://host:port`, with `user:password@` before the host if the proxy asks for
    /// it; what these have of `@`, `:`, `/` and `%` is percent-encoded. The proxy looks the server's name up (which other
    /// programs call `socks5h`).
    ///
    /// # Errors
    /// [`ProxyUrlError`].
    pub fn parse(url: &str) -> Result<Proxy, ProxyUrlError> {
        let (scheme, rest) = url.split_once("://").ok_or(ProxyUrlError::Scheme)?;
        let (kind, usual_port) = match scheme.to_ascii_lowercase().as_str() {
            "http" => (ProxyKind::Http, 80),
            "socks5" | "socks5h" => (ProxyKind::Socks5, 1_080),
            _ => return Err(ProxyUrlError::Scheme),
        };
        let (login, address) = match rest.rsplit_once('@') {
            None => (None, rest),
            Some((login, address)) => (Some(read_login(login)?), address),
        };
        let address = address.strip_suffix('/').unwrap_or(address);
        let (host, port) = match address.strip_prefix('[') {
            Some(v6) => {
                let (host, port) = v6.split_once(']').ok_or(ProxyUrlError::Address)?;
                host.parse::<std::net::Ipv6Addr>().map_err(|_| ProxyUrlError::Address)?;
                (host, port.strip_prefix(':'))
            }
            None => match address.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (address, None),
            },
        };
        let is_host_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte);
        if host.is_empty() || !host.bytes().all(is_host_byte) {
            return Err(ProxyUrlError::Address);
        }
        let port = match port {
            None => usual_port,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().ok().filter(|port| *port > 0).ok_or(ProxyUrlError::Address)?
            }
            Some(_) => return Err(ProxyUrlError::Address),
        };
        Ok(Proxy { kind, host: host.into(), port, login })
    }
}

fn read_login(login: &str) -> Result<(Box<str>, Box<str>), ProxyUrlError> {
    const BYTES_MAX: usize = 255;
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    let read = |text| {
        let text = crate::http1::head::percent_decoded_path(text).ok_or(ProxyUrlError::Login)?;
        let is_fit = text.len() <= BYTES_MAX && !text.contains(char::is_control);
        if is_fit { Ok(text.into_owned().into_boxed_str()) } else { Err(ProxyUrlError::Login) }
    };
    let (user, password) = (read(user)?, read(password)?);
    // RFC 7617 §2.
    if user.is_empty() || user.contains(':') {
        Err(ProxyUrlError::Login)
    } else {
        Ok((user, password))
    }
}

/// Without the password.
impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self})")
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.kind {
            ProxyKind::Http => "http",
            ProxyKind::Socks5 => "socks5",
        };
        let (open, close) = if self.host.contains(':') { ("[", "]") } else { ("", "") };
        write!(f, "{scheme}://{open}{}{close}:{}", self.host, self.port)
    }
}

impl fmt::Display for ProxyUrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ProxyUrlError::Scheme => {
                "the proxy's URL does not begin with http://, socks5:// or socks5h://"
            }
            ProxyUrlError::Address => "the proxy's URL is not a host and a port",
            ProxyUrlError::Login => {
                "the proxy's user or password is empty, longer than 255 bytes, or not percent-encoded"
            }
        })
    }
}

impl std::error::Error for ProxyUrlError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_has_its_parts_and_shows_no_password() {
        for (url, shown, login) in [
            ("http://proxy:3128", "http://proxy:3128", None),
            ("HTTP://proxy/", "http://proxy:80", None),
            ("socks5://[::1]:9050", "socks5://[::1]:9050", None),
            ("socks5h://10.0.0.1", "socks5://10.0.0.1:1080", None),
            ("http://a%40b:c%3Ad@p:1", "http://p:1", Some(("a@b", "c:d"))),
            ("http://ada@p:1", "http://p:1", Some(("ada", ""))),
        ] {
            let proxy = Proxy::parse(url).unwrap();
            assert_eq!(proxy.to_string(), shown, "{url}");
            let found = proxy.login.as_ref().map(|(user, password)| (&**user, &**password));
            assert_eq!(found, login, "{url}");
            assert!(!format!("{proxy:?}").contains("c:d"));
        }
        for (url, error) in [
            ("proxy:3128", ProxyUrlError::Scheme),
            ("https://proxy", ProxyUrlError::Scheme),
            ("http://", ProxyUrlError::Address),
            ("http://:80", ProxyUrlError::Address),
            ("http://a:0", ProxyUrlError::Address),
            ("http://a:b", ProxyUrlError::Address),
            ("http://a/b", ProxyUrlError::Address),
            ("http://[::1", ProxyUrlError::Address),
            ("http://a\r\nb", ProxyUrlError::Address),
            ("http://:x@a", ProxyUrlError::Login),
            ("http://%zz@a", ProxyUrlError::Login),
            ("http://a%0d@a", ProxyUrlError::Login),
        ] {
            assert_eq!(Proxy::parse(url), Err(error), "{url:?}");
        }
        assert_eq!(
            Proxy::parse(&format!("socks5://{}@a", "x".repeat(256))),
            Err(ProxyUrlError::Login)
        );
    }
}
