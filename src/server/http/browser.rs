//! How a browser is signed in: `POST` exchanges the code of a link for a cookie, `GET` says who is signed in, `DELETE`
//! ends it, here or everywhere.
//!
//! The cookie is the page's own. It is HttpOnly and SameSite=Lax, has the port in its name, as all ports of a host
//! share cookies (RFC 6265 §8.5), and is believed only where `Origin` is this host's.

use super::call::{HttpCall, refused};
use super::identity::{Caller, bearer, caller, denied};
use super::origin::{Whence, check_origin, shared_with, whence};
use super::route::{Rules, other_methods};
use crate::base::Revocation;
use crate::base::limits::{JSON_DEPTH_MAX, SIGN_IN_COOKIE_BYTES_MAX};
use crate::hub::{Input, Request as HubRequest, Rights};
use crate::protocol::handshake::{Refusal, RequestHead, Response, Status};
use crate::server::auth::{Code, Identity, Secret, TokenError};
use crate::server::calls::Waiting;
use crate::server::chat::Chat;
use crate::server::encode::{self, ErrorDetail};
use crate::server::json::{Object, Writer, scan, string};
use crate::server::web::{Address, Answer, Exchange, Net, Request};
use crate::store::Backend;

/// Where browsers sign in.
pub(in crate::server) const SIGN_IN_PATH: &str = "/api/v1/sign-in";
/// How the names of cookies begin.
const COOKIE: &str = "parlor_sign_in";
pub(super) const METHODS: &str = "DELETE, GET, HEAD, POST";

/// What a browser's sign-in, or its end, is answered with when the store has it.
#[derive(Debug)]
pub(super) struct CookieAnswer {
    pub(super) payload: String,
    pub(super) cookie: String,
}

/// The cookie's name: that of another server on this host is another.
fn cookie_name(host: &str) -> String {
    match host.rsplit_once(':') {
        Some((_, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => {
            format!("{COOKIE}_{port}")
        }
        _ => COOKIE.to_owned(),
    }
}

/// A field `Cookie` without the cookies of sign-ins, which are for nobody but this server; none if nothing is left.
pub(in crate::server) fn without_sign_ins(cookies: &str) -> Option<String> {
    let others = cookies.split(';').map(str::trim);
    let others: Vec<&str> = others.filter(|one| !one.starts_with(COOKIE)).collect();
    (!others.is_empty()).then(|| others.join("; "))
}

/// Who is signed in by the cookie of a request; nobody where it comes from a page elsewhere. It is an error only
/// where the cookie was not looked at.
pub(in crate::server) fn signed_in(
    head: &RequestHead<'_>,
    rules: Rules<'_>,
) -> Result<Option<Identity>, Refusal> {
    if rules.verifier.is_open() || !is_own_page(head) {
        return Ok(None);
    }
    let Some(cookie) = head.cookie(&cookie_name(head.host)) else { return Ok(None) };
    match rules.verifier.judge_cookie(cookie, rules.now, Some(rules.payer)) {
        Ok(identity) => Ok(Some(identity)),
        Err(error @ TokenError::TooManyFailed(_)) => Err(denied(error)),
        // Who was signed in once is nobody now.
        Err(_) => Ok(None),
    }
}

/// Whether a request is one that this host's own page has sent: a browser sends cookies along for pages of other
/// ports of this host, too, and names them in one of two ways (RFC 6454 §7; W3C Fetch Metadata §2.3).
fn is_own_page(head: &RequestHead<'_>) -> bool {
    let is_own = matches!(whence(head, &[]), Ok(Whence::Own));
    let has_origin = head.all("origin").next().is_some();
    let site = head.all("sec-fetch-site").next();
    let is_read = ["GET", "HEAD"].contains(&head.method);
    // Whoever changes something is named by every browser.
    is_own
        && (has_origin || is_read)
        && site.is_none_or(|site| ["same-origin", "none"].contains(&site))
}

fn set_cookie(head: &RequestHead<'_>, value: &str, seconds: i64) -> String {
    let name = cookie_name(head.host);
    let is_https = head.all("origin").any(|origin| origin.starts_with("https://"));
    let secure = if is_https { "; Secure" } else { "" };
    format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}")
}

impl<S: Backend> Chat<S> {
    /// Has browsers signed in by cookies that are signed with this secret.
    pub(in crate::server) fn sign_browsers_in_with(&mut self, secret: Secret) {
        self.verifier.set_cookie_secret(secret);
    }

    /// A request at [`SIGN_IN_PATH`]; `proven` is who sends it, if another than a token says so.
    pub(in crate::server) fn browser_call(
        &mut self,
        net: &mut Net<'_>,
        exchange: Exchange,
        request: &Request<'_>,
        proven: Option<Box<Identity>>,
    ) -> Answer {
        let (head, proven) = (request.head, proven.as_deref());
        let answered = match head.method {
            "GET" | "HEAD" => self.who_is_signed_in(net, request, proven).map(Some),
            "POST" => self.exchange_code(net, exchange, request).map(|()| None),
            "DELETE" => self.sign_out(net, exchange, request),
            _ => Err(other_methods(METHODS)),
        };
        match answered {
            Ok(None) => Answer::Later,
            Ok(Some(response)) | Err(response) => Answer::Respond(shared_with(response, None)),
        }
    }

    fn who_is_signed_in(
        &self,
        net: &Net<'_>,
        request: &Request<'_>,
        proven: Option<&Identity>,
    ) -> Result<Response, Response> {
        let (head, address) = (request.head, Address::of(request.peer));
        let rules = Rules { proven, ..self.rules(net, address, false) };
        let by_cookie = signed_in(head, rules)?;
        let has_token = bearer(head).ok().flatten().is_some();
        let by = match (&by_cookie, proven) {
            (Some(_), _) if !has_token => "link",
            (_, Some(_)) => "application",
            (_, None) => "token",
        };
        let mut writer = Writer::new();
        match caller(head, rules).map_err(Response::from)? {
            Caller::Nobody | Caller::Guest(_) => writer.object(|w| w.raw("user", "null")),
            Caller::User(person) | Caller::Token(person) => {
                let known = by_cookie.as_ref().or(proven).filter(|_| by != "token");
                let name = known.and_then(|identity| identity.name.as_deref());
                let expires = known.and_then(|identity| identity.expires);
                writer.object(|w| {
                    user(w, person.user.as_str(), name, person.is_admin);
                    w.text("by", by);
                    if let Some(expires) = expires {
                        w.number("expires", expires.0);
                    }
                });
            }
        }
        Ok(json(writer))
    }

    /// Uses a code up; what it is answered with goes out when that is on disk.
    fn exchange_code(
        &mut self,
        net: &mut Net<'_>,
        exchange: Exchange,
        request: &Request<'_>,
    ) -> Result<(), Response> {
        let head = request.head;
        check_origin(head, &[])?;
        self.count_for_program(net, request, &Caller::Nobody)?;
        let text = code_of(request.body)?;
        let limits = &self.config.limits;
        let payer = self.failed_proofs.payer(Address::of(request.peer), net.now(), limits);
        let code = self.verifier.judge_code(&text, net.timestamp(), Some(payer)).map_err(denied)?;
        let revocation = Revocation::Token(code.jti.clone(), Some(code.until));
        if !self.verifier.revocations().has_room_for(&revocation) {
            let message = "as many links were used as may be";
            return Err(refused("quota", message, ErrorDetail::default()));
        }
        let Code { identity, .. } = &code;
        let (who, name, admin) = (identity.user.clone(), identity.name.clone(), identity.admin);
        let made = self.verifier.cookie(code, net.timestamp()).map_err(denied)?;
        let (value, expires) = made;
        let seconds = expires.0.saturating_sub(net.timestamp().0) / 1_000;
        let cookie = set_cookie(head, &value, seconds);
        if cookie.len() > SIGN_IN_COOKIE_BYTES_MAX {
            let limit = Some(SIGN_IN_COOKIE_BYTES_MAX as u64);
            let detail = ErrorDetail { limit, ..ErrorDetail::default() };
            let message = "the rights in this link are more than a cookie can have";
            return Err(refused("too_large", message, detail));
        }
        let mut writer = Writer::new();
        writer.object(|w| {
            user(w, who.as_str(), name.as_deref(), admin);
            w.text("by", "link");
            w.number("expires", expires.0);
        });
        let answer = CookieAnswer { payload: writer.finish(), cookie };
        self.revoke_for(net, exchange, who, (revocation, true), answer);
        Ok(())
    }

    fn sign_out(
        &mut self,
        net: &mut Net<'_>,
        exchange: Exchange,
        request: &Request<'_>,
    ) -> Result<Option<Response>, Response> {
        let head = request.head;
        check_origin(head, &[])?;
        // To say that it is done would be untrue.
        let has_cookie = head.cookie(&cookie_name(head.host)).is_some();
        if has_cookie && !is_own_page(head) {
            let message = "a sign-in is ended by this server's own page: Origin says so";
            return Err(refused("forbidden", message, ErrorDetail::default()));
        }
        if !has_cookie && bearer(head).ok().flatten().is_some() {
            let message = "a token is not signed out: auth:revoke ends it";
            return Err(refused("bad_request", message, ErrorDetail::default()));
        }
        let cookie = set_cookie(head, "", 0);
        let payload = encode::payload(|_| {});
        let rules = self.rules(net, Address::of(request.peer), false);
        let Some(identity) = signed_in(head, rules)? else {
            // Whatever is there is none that is good.
            return Ok(Some(json_of(payload).with("Set-Cookie", cookie)));
        };
        self.count_for_program(net, request, &Caller::Nobody)?;
        let is_everywhere = head.query_value("everywhere").is_some_and(|value| {
            value.is_ok_and(|value| ["", "1", "true"].contains(&value.as_ref()))
        });
        let jti = identity.jti.filter(|_| !is_everywhere);
        let revocation = match jti {
            Some(jti) => Revocation::Token(jti, identity.expires),
            None => Revocation::User(identity.user.clone(), net.timestamp()),
        };
        if !self.verifier.revocations().has_room_for(&revocation) {
            let message = "as many were revoked as may be: nothing has changed";
            return Err(refused("quota", message, ErrorDetail::default()));
        }
        let answer = CookieAnswer { payload, cookie };
        self.revoke_for(net, exchange, identity.user, (revocation, false), answer);
        Ok(None)
    }

    fn revoke_for(
        &mut self,
        net: &mut Net<'_>,
        exchange: Exchange,
        user: crate::base::UserId,
        (revocation, once): (Revocation, bool),
        answer: CookieAnswer,
    ) {
        let now = self.look_at_clocks(net);
        self.verifier.revocations_mut().forget(now.age_by);
        let call = self.new_call(Waiting::Http(Box::new(HttpCall::of_browser(exchange, answer))));
        let request = HubRequest::Revoke { revocation, once };
        self.decide(net, Input::Call { call, user, rights: Rights::Program, request });
    }
}

fn user(w: &mut Writer, id: &str, name: Option<&str>, is_admin: bool) {
    w.object_in("user", |w| {
        w.text("id", id);
        w.text("name", name.unwrap_or(id));
        w.flag("admin", is_admin);
    });
}

/// The code in a request's content, `{"code":"…"}`.
fn code_of(body: &[u8]) -> Result<String, Response> {
    let bad = |code, message: &str| refused(code, message, ErrorDetail::default());
    let text = str::from_utf8(body).map_err(|_| bad("bad_json", "the content is not UTF-8"))?;
    scan(text, JSON_DEPTH_MAX).map_err(|_| bad("bad_json", "the content is not JSON"))?;
    let members = Object::parse(text).ok().flatten();
    let code = members.and_then(|members| members.get("code").and_then(string));
    let code = code.map(|code| code.into_owned());
    code.ok_or_else(|| bad("bad_request", "the content is an object with code, a string"))
}

fn json(writer: Writer) -> Response {
    json_of(writer.finish())
}

fn json_of(mut text: String) -> Response {
    text.push('\n');
    Response::new(Status::Ok, "application/json", text.into_bytes())
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
        // A page of another port of this host is of the same site, and none of ours.
        assert!(!own("GET", port) && !own("POST", port) && !own("POST", ""));
        assert!(!own("GET", "Sec-Fetch-Site: same-site\r\n"));
        assert!(!own("GET", "Sec-Fetch-Site: cross-site\r\n"));
        assert!(!own("GET", "Origin: null\r\n") && !own("DELETE", "Origin: null\r\n"));
    }
}
