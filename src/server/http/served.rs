//! What a listener serves: requests for anything else are refused before they are judged, and those
//! of a listener that redirects are redirected.

use super::route::{Rules, is_open_host};
use crate::auth::{Identity, TokenError};
use crate::config::{ListenAddress, Listener, Serves};
use crate::http1::{HttpRefusal, RequestHead, Response, Status};
use crate::routes::own::{HEALTH_PATH, METRICS_PATH, READY_PATH};
use std::net::Ipv6Addr;

/// RFC 8555 §8.3: where a certificate authority asks for what proves that a host is ours.
const CHALLENGES: &str = ".well-known/acme-challenge/";
/// A token of RFC 8555 §8.3; the RFC has no bound.
const CHALLENGE_NAME_BYTES_MAX: usize = 128;

/// Whether a request is for something that its listener serves. An error is the answer.
pub(super) fn check_served(head: &RequestHead<'_>, rules: Rules<'_>) -> Result<(), Response> {
    let Serves { public, admin, metrics, redirect } = rules.listener.serves;
    if [HEALTH_PATH, READY_PATH].contains(&head.path) || public || admin {
        return Ok(());
    }
    if redirect {
        return Err(redirected(head, rules.listener.https_port.or(rules.https_port)));
    }
    if metrics && head.path == METRICS_PATH {
        // A page elsewhere could let a name of its own point here (DNS rebinding).
        let is_local = matches!(rules.listener.address, ListenAddress::Tcp(address) if address.ip().is_loopback());
        if is_local && !is_open_host(head.host) {
            let message =
                "at a loopback address the metrics are for localhost alone: say so in Host";
            return Err(HttpRefusal::new(Status::Forbidden, "forbidden", message).into());
        }
        return Ok(());
    }
    Err(HttpRefusal::new(Status::NotFound, "not_found", "this listener serves the metrics").into())
}

/// The file of a challenge that a request asks a listener that redirects for, below its directory.
pub(super) fn challenge<'b>(head: &RequestHead<'b>, rules: Rules<'_>) -> Option<&'b str> {
    rules.listener.acme_webroot.as_ref()?;
    let path = head.path.strip_prefix('/')?;
    let name = path.strip_prefix(CHALLENGES)?;
    let is_read = ["GET", "HEAD"].contains(&head.method);
    let is_of_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let is_name = (1..=CHALLENGE_NAME_BYTES_MAX).contains(&name.len());
    (is_read && is_name && name.bytes().all(is_of_token)).then_some(path)
}

/// The same address with `https`.
fn redirected(head: &RequestHead<'_>, https_port: Option<u16>) -> Response {
    const DEFAULT_PORT: u16 = 443;
    let refuse = |status, code, message: &str| HttpRefusal::new(status, code, message).into();
    // A client that sent something has sent it for everybody to read: it must not believe that it
    // was right.
    if !["GET", "HEAD"].contains(&head.method) {
        return refuse(Status::Forbidden, "forbidden", "this is served by https alone");
    }
    let host = Some(without_port(head.host)).filter(|host| is_host(host));
    let (Some(host), Some(port)) = (host, https_port) else {
        return refuse(Status::BadRequest, "bad_request", "say for which host: Host");
    };
    let port = if port == DEFAULT_PORT { String::new() } else { format!(":{port}") };
    let slash = if head.target.starts_with('/') { "" } else { "/" };
    let location = format!("https://{host}{port}{slash}{}", head.target);
    let moved = Response::new(Status::PermanentRedirect, "text/plain", &b"moved to https\n"[..]);
    moved.with("Location", location)
}

/// RFC 3986 §3.2.2: a name as DNS has them, an address, or one of IPv6 in brackets.
fn is_host(host: &str) -> bool {
    let inside = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match inside {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => {
            let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
            !host.is_empty() && host.bytes().all(is_of_name)
        }
    }
}

/// RFC 3986 §3.2: a host without its port; one of IPv6 stands in brackets.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

/// Somebody as they are at a listener: administrators are that only where it serves them, and
/// others are served only where the public is.
pub(crate) fn admit(listener: &Listener, identity: Identity) -> Result<Identity, TokenError> {
    let Serves { public, admin, .. } = listener.serves;
    let identity = if admin { identity } else { identity.without_admins_rights() };
    if public || identity.admin { Ok(identity) } else { Err(TokenError::Listener) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn location(target: &str, host: &str, port: u16) -> String {
        let text = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let head = RequestHead::parse(text.as_bytes(), 8).unwrap();
        let response = redirected(&head, Some(port));
        let found = response.fields.iter().find(|(name, _)| name == "Location");
        found.map(|(_, value)| value.to_string()).unwrap_or_default()
    }

    #[test]
    fn a_request_is_redirected_to_the_same_address_with_https() {
        for (target, host, port, expected) in [
            ("/", "a.example", 443, "https://a.example/"),
            ("/rooms?x=1&y=%20", "a.example:80", 443, "https://a.example/rooms?x=1&y=%20"),
            ("/", "a.example:8080", 8443, "https://a.example:8443/"),
            ("/ws", "[::1]:80", 443, "https://[::1]/ws"),
            // RFC 3986 §6.2.3: an empty query is another address than none.
            ("/a?", "a.example", 443, "https://a.example/a?"),
            ("http://a.example?x", "a.example", 443, "https://a.example/?x"),
            ("http://a.example", "a.example", 443, "https://a.example/"),
            ("//elsewhere", "a.example", 443, "https://a.example//elsewhere"),
            ("/", "", 443, ""),
            ("/", "[::1", 443, ""),
            ("/", "::1", 443, ""),
            ("/", "a:80:90", 443, ""),
            ("/", "a%62", 443, ""),
        ] {
            assert_eq!(location(target, host, port), expected, "{target} {host}");
        }
    }
}
