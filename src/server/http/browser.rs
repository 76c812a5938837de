//! Sign-in of browsers: `POST` exchanges the code of a link for a cookie, `GET` says who is signed
//! in, `DELETE` signs out, here or everywhere.
//!
//! The cookie is for the page of this server only. It is HttpOnly and SameSite=Lax. Its name has
//! the port, because all ports of a host share cookies (RFC 6265 §8.5). It counts only if `Origin`
//! is this host.

use super::identity::denied;
use super::origin::{PageOrigin, page_origin};
use super::route::Rules;
use crate::auth::{Identity, TokenError};
use crate::base::RefusalCode;
use crate::base::limits::JSON_DEPTH_MAX;
use crate::http1::{HttpRefusal, RequestHead, Response};
use crate::wire::error::ErrorReply;
use crate::wire::json::{Object, Writer, scan, string};

/// The beginning of the cookies' names.
const COOKIE: &str = "parlor_sign_in";
pub(crate) const METHODS: &str = "DELETE, GET, HEAD, POST";

/// The cookie's name. Another server on this host has another one.
pub(crate) fn cookie_name(host: &str) -> String {
    match host.rsplit_once(':') {
        Some((_, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => {
            format!("{COOKIE}_{port}")
        }
        _ => COOKIE.to_owned(),
    }
}

/// A field `Cookie` without sign-in cookies, which only this server may see; `None` if nothing is
/// left.
pub(crate) fn without_sign_ins(cookies: &str) -> Option<String> {
    let others = cookies.split(';').map(str::trim);
    let others: Vec<&str> = others.filter(|one| !one.starts_with(COOKIE)).collect();
    (!others.is_empty()).then(|| others.join("; "))
}

/// Who is signed in by a request's cookie; nobody if the request comes from a page elsewhere. It is
/// an error only if the cookie was not checked.
pub(crate) fn signed_in(
    head: &RequestHead<'_>,
    rules: Rules<'_>,
) -> Result<Option<Identity>, HttpRefusal> {
    if rules.verifier.is_open() || !is_own_page(head) {
        return Ok(None);
    }
    let Some(cookie) = head.cookie(&cookie_name(head.host)) else { return Ok(None) };
    match rules.verifier.judge_cookie(cookie, rules.now, Some(rules.payer)) {
        Ok(identity) => Ok(Some(identity)),
        Err(error @ TokenError::TooManyFailed(_)) => Err(denied(error)),
        // A cookie that is wrong, expired or revoked names nobody.
        Err(_) => Ok(None),
    }
}

/// Whether this host's own page sent a request. A browser also sends cookies for pages on other
/// ports of this host, and names those pages in one of two fields (RFC 6454 §7; W3C Fetch Metadata
/// §2.3).
pub(crate) fn is_own_page(head: &RequestHead<'_>) -> bool {
    let is_own = matches!(page_origin(head, &[]), Ok(PageOrigin::Own));
    let has_origin = head.all("origin").next().is_some();
    let site = head.all("sec-fetch-site").next();
    let is_read = ["GET", "HEAD"].contains(&head.method);
    // Every browser sends `Origin` with a request that changes something.
    is_own
        && (has_origin || is_read)
        && site.is_none_or(|site| ["same-origin", "none"].contains(&site))
}

pub(crate) fn set_cookie(head: &RequestHead<'_>, value: &str, seconds: i64) -> String {
    let name = cookie_name(head.host);
    let is_https = head.all("origin").any(|origin| origin.starts_with("https://"));
    let secure = if is_https { "; Secure" } else { "" };
    format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}")
}

pub(crate) fn user(w: &mut Writer, id: &str, name: Option<&str>, is_admin: bool) {
    w.object_in("user", |w| {
        w.text("id", id);
        w.text("name", name.unwrap_or(id));
        w.flag("admin", is_admin);
    });
}

/// The code in a request's content, `{"code":"…"}`.
pub(crate) fn code_of(body: &[u8]) -> Result<String, Response> {
    let bad_json = |message: &'static str| ErrorReply::new(RefusalCode::BadJson, message);
    let text = str::from_utf8(body).map_err(|_| bad_json("the content is not UTF-8"))?;
    scan(text, JSON_DEPTH_MAX).map_err(|_| bad_json("the content is not JSON"))?;
    let members = Object::parse(text).ok().flatten();
    let code = members.and_then(|members| members.get("code").and_then(string));
    let code = code.map(|code| code.into_owned());
    let message = "the content is an object with code, a string";
    code.ok_or_else(|| ErrorReply::new(RefusalCode::BadRequest, message).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_has_the_port_in_its_name() {
        for (host, name) in [
            ("localhost:8080", "parlor_sign_in_8080"),
            ("chat.example", "parlor_sign_in"),
            ("[::1]:81", "parlor_sign_in_81"),
            ("[::1]", "parlor_sign_in"),
            ("a:", "parlor_sign_in"),
        ] {
            assert_eq!(cookie_name(host), name, "{host}");
        }
    }

    #[test]
    fn a_backend_is_handed_no_cookie_of_a_sign_in() {
        assert_eq!(
            without_sign_ins("a=1; parlor_sign_in_8080=x; b=2").as_deref(),
            Some("a=1; b=2")
        );
        assert_eq!(without_sign_ins("parlor_sign_in=x;parlor_sign_in_81=y"), None);
        assert_eq!(without_sign_ins("a=parlor_sign_in=x").as_deref(), Some("a=parlor_sign_in=x"));
    }

    #[test]
    fn a_cookie_counts_for_this_hosts_own_page_alone() {
        let own = |method: &str, fields: &str| {
            let text = format!("{method} / HTTP/1.1\r\nHost: localhost:8080\r\n{fields}\r\n");
            is_own_page(&RequestHead::parse(text.as_bytes(), 16).unwrap())
        };
        let here = "Origin: http://localhost:8080\r\n";
        let port = "Origin: http://localhost:3000\r\n";
        assert!(own("GET", "") && own("GET", here) && own("POST", here));
        assert!(own("GET", "Sec-Fetch-Site: same-origin\r\n"));
        // A page on another port of this host is of the same site, but not ours.
        assert!(!own("GET", port) && !own("POST", port) && !own("POST", ""));
        assert!(!own("GET", "Sec-Fetch-Site: same-site\r\n"));
        assert!(!own("GET", "Sec-Fetch-Site: cross-site\r\n"));
        assert!(!own("GET", "Origin: null\r\n") && !own("DELETE", "Origin: null\r\n"));
    }
}
