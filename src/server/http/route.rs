//! Routes a request: to what can be read, a call of the API, a WebSocket and so on. Also the rules
//! for judging it.

use super::api::{ApiCall, judge};
use super::identity::{caller_of, check_access, denied, known};
use super::listen::{ListenRequest, listen};
use super::opening::{Visitor, open, open_own};
use super::origin::{is_embedded_elsewhere, other_method, public, shared_origin};
use super::reading::{Readiness, get, may_read_metrics};
use super::served::{admit, challenge, check_served};
use crate::auth::failed_proofs::ProofPayer;
use crate::auth::{Access, Identity, Person, Verifier};
use crate::base::Timestamp;
use crate::config::{Config, Listener};
use crate::http1::response::{other_methods, readable_by};
use crate::http1::{HttpRefusal, RequestHead, Response, Status};
use crate::protocol::handshake::Upgrade;
use crate::routes::own::{
    CALL_PATH, EVENTS_PATH, METRICS_PATH, OPENAPI_PATH, PREFIX, READY_PATH, SIGN_IN_PATH,
    SOCKET_PATH, STREAMS_PATH,
};
use crate::routes::stream_path::stream_at;
use crate::server::embed::{HttpPath, Params, Paths};
use crate::server::sources::{Hook, hook_at};
use std::borrow::Cow;

/// The hosts that a request may name in open mode. Otherwise a page elsewhere could let a name of
/// its own point here (DNS rebinding).
const OPEN_HOSTS: &[&str] = &["localhost", "127.0.0.1", "[::1]"];

/// How a client says who it is, where an HTTP call needs to know that.
pub(super) const SAY_WHO: &str = "say who you are: Authorization: Bearer TOKEN";

/// The rules for judging a request's head.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules<'a> {
    pub(crate) verifier: &'a Verifier,
    /// Who pays for bad tokens.
    pub(crate) payer: ProofPayer<'a>,
    pub(crate) config: &'a Config,
    pub(crate) now: Timestamp,
    /// A proxy says that the request comes from another machine.
    pub(crate) is_elsewhere: bool,
    pub(crate) readiness: Readiness,
    /// The embedding program's paths.
    pub(crate) paths: &'a Paths,
    /// When the certificate ends, with TLS.
    pub(crate) certificate_expiry: Option<Timestamp>,
    /// By which listener it comes.
    pub(crate) listener: &'a Listener,
    /// Where a listener that redirects sends clients.
    pub(crate) https_port: Option<u16>,
    /// Who sends it, if something other than a token has said so.
    pub(crate) proven: Option<&'a Identity>,
}

impl Rules<'_> {
    /// The identity in a token.
    pub(crate) fn verify(&self, token: &str) -> Result<Identity, HttpRefusal> {
        let verified = self.verifier.verify_for(Some(self.payer), token, self.now);
        verified.and_then(|identity| admit(self.listener, identity)).map_err(denied)
    }

    /// Whether a token is the admins', where that is one.
    pub(super) fn is_admin_token(&self, token: &str) -> bool {
        self.listener.serves.admin && self.verifier.is_admin_token(token)
    }

    /// Whether everybody may read the metrics.
    pub(super) fn are_metrics_public(&self) -> bool {
        self.config.metrics_public || self.listener.serves.metrics
    }

    /// Whether guests are admitted.
    pub(super) fn lets_guests_in(&self) -> bool {
        self.config.lets_guests_in && self.listener.serves.public
    }

    /// Who may have something with this access: where users are not served, admins alone.
    pub(super) fn access(&self, access: Access) -> Access {
        if self.listener.serves.public { access } else { Access::Admin }
    }

    /// The identity in the first token, if there are any. A correct token does not make up for a
    /// bad one.
    pub(super) fn verify_all(&self, tokens: &[String]) -> Result<Option<Identity>, HttpRefusal> {
        let mut first = None;
        for token in tokens {
            first = first.or(Some(self.verify(token)?));
        }
        Ok(first)
    }

    /// An identity, with the limits that hold for it.
    pub(super) fn person(&self, identity: Identity) -> Person {
        let (Config { limits, exceptions, .. }, asked) = (self.config, identity.limits());
        let own = exceptions.limits_of(limits, &identity.user, asked);
        Person::of(identity, own)
    }
}

/// Where a request goes.
#[derive(Debug)]
pub(crate) enum Destination<'b> {
    /// A whole answer.
    Respond(Response),
    /// The metrics, for somebody who may read them.
    Metrics,
    /// Whether the server is ready.
    Ready,
    /// A call of the API.
    Call(Box<ApiCall>),
    /// A browser signs in or out, or asks who is signed in.
    SignIn,
    /// A request on a path of the embedding program's.
    Program(Box<ProgramCall>),
    /// Server-Sent Events, parts, or a ticket for them.
    Listen(Box<ListenRequest>),
    /// The file that proves to a certificate authority that a host is ours (RFC 8555 §8.3), below
    /// the listener's directory.
    Challenge(String),
    /// A message to a webhook.
    Hook(Box<Hook>),
    /// A WebSocket: the request for it, the subprotocol to answer, its identity if known (or a
    /// guest), whether a `resume` follows, and what it is for if that is not the chat.
    Open {
        upgrade: Upgrade<'b>,
        protocol: Option<Cow<'static, str>>,
        identity: Option<Identity>,
        is_guest: bool,
        resumes: bool,
        visitor: Option<Box<Visitor>>,
    },
}

/// Judges a request.
pub(crate) fn route<'b>(head: &RequestHead<'b>, rules: Rules<'_>) -> Destination<'b> {
    match find_destination(head, rules).unwrap_or_else(Destination::Respond) {
        Destination::Respond(response)
            if Upgrade::is_asked_for(head)
                || head.path == SOCKET_PATH
                || response.status == Status::UpgradeRequired =>
        {
            Destination::Respond(with_fallback(response))
        }
        other => other,
    }
}

/// The refusal of an upgrade, with the alternative where WebSockets cannot get through.
pub(crate) fn with_fallback(response: Response) -> Response {
    let link = format!("<{EVENTS_PATH}>; rel=\"alternate\"; type=\"text/event-stream\"");
    // A page elsewhere may learn that there is a server: a WebSocket would have told it, too.
    let mut response = public(response.with("Link", link));
    // The error is the only member of the object.
    if let Some(body) = response.body.strip_suffix(b"}}\n") {
        let more =
            format!("}},\"http\":{{\"events\":\"{EVENTS_PATH}\",\"call\":\"{CALL_PATH}\"}}}}\n");
        response.body = [body, more.as_bytes()].concat().into();
    }
    response
}

/// What a page elsewhere embeds: refused, or for guests; `None` if no such page asks, or the embedding program judges it.
pub(crate) fn embedded_elsewhere(
    head: &RequestHead<'_>,
    rules: Rules<'_>,
) -> Option<Result<(), HttpRefusal>> {
    let is_read = ["GET", "HEAD"].contains(&head.method);
    let is_programs = rules.paths.find_http(head.method, head.path).is_some();
    if !is_read || is_programs || !is_embedded_elsewhere(head, &rules.config.allowed_origins) {
        return None;
    }
    // What guests may see is public.
    let is_public = rules.lets_guests_in()
        && head.path.starts_with(STREAMS_PATH)
        && head.query_value("user").is_none();
    let message = "a page elsewhere may not embed this: its origin is not allowed";
    let refusal = || HttpRefusal::new(Status::Forbidden, "forbidden", message);
    Some(is_public.then_some(()).ok_or_else(refusal))
}

fn find_destination<'b>(
    head: &RequestHead<'b>,
    rules: Rules<'_>,
) -> Result<Destination<'b>, Response> {
    check_open_mode(head, rules)?;
    if let Some(file) = challenge(head, rules) {
        return Ok(Destination::Challenge(file.to_owned()));
    }
    check_served(head, rules)?;
    // Whatever the client wanted, it was not HTTP.
    let ended = |refusal: HttpRefusal| Response { ends: true, ..refusal.into() };
    let is_root = head.path == "/";
    let asks = Upgrade::is_asked_for(head);
    // A webhook or the embedding program may use a stream's path for other methods.
    let has_other = || rules.paths.find_http(head.method, head.path).is_some();
    let is_for_web_socket = asks || (["GET", "HEAD"].contains(&head.method) && !has_other());
    let watched =
        if is_for_web_socket { stream_at(head.path, &rules.config.streams) } else { None };
    if head.path == SOCKET_PATH || (is_root && asks) || watched.is_some() {
        return open(head, rules, watched).map_err(ended);
    }
    if asks && let Some((path, params)) = rules.paths.find_socket(head.path) {
        return open_own(head, rules, path, params).map_err(ended);
    }
    // RFC 6455 §4.2.2, 4: a service that is not there is an HTTP error, not the page.
    if asks {
        return refuse(Status::NotFound, "not_found", "there is no WebSocket here: ask for /ws");
    }
    if let Some(result) = listen(head, rules) {
        return result.map(Destination::Listen);
    }
    if let Some(for_guests) = embedded_elsewhere(head, rules) {
        for_guests?;
    }
    let is_read = ["GET", "HEAD"].contains(&head.method);
    if head.path == SIGN_IN_PATH {
        return Ok(Destination::SignIn);
    }
    if rules.listener.serves.public
        && let Some(hook) = hook_at(head, &rules.config.feeds, &rules.config.streams)
    {
        return Ok(Destination::Hook(Box::new(hook?)));
    }
    let check_read = || if is_read { Ok(()) } else { Err(other_methods("GET, HEAD")) };
    if head.path == READY_PATH {
        return check_read().map(|()| Destination::Ready);
    }
    if head.path == METRICS_PATH {
        check_read()?;
        may_read_metrics(head, rules)?;
        return Ok(Destination::Metrics);
    }
    if let Some(found) = rules.paths.find_http(head.method, head.path) {
        return Ok(Destination::Program(Box::new(program(head, rules, found)?)));
    }
    // The API answers everything else below its prefix, also that there is nothing.
    if let Some(path) = head.path.strip_prefix(PREFIX)
        && head.path != OPENAPI_PATH
    {
        return Ok(Destination::Call(Box::new(judge(head, path, rules)?)));
    }
    let Some(response) = get(head, rules) else {
        return refuse(Status::NotFound, "not_found", "there is nothing here");
    };
    check_read().map(|()| Destination::Respond(response))
}

/// In open mode, requests from elsewhere are refused.
fn check_open_mode(head: &RequestHead<'_>, rules: Rules<'_>) -> Result<(), Response> {
    // A proxy on a loopback address may get requests from anywhere, so its requests are not local.
    let message = if !rules.verifier.is_open() || rules.listener.admits_admins() {
        return Ok(());
    } else if rules.is_elsewhere {
        "in open mode this server answers to its own machine alone"
    } else if !is_open_host(head.host) {
        "in open mode this server answers to localhost alone"
    } else {
        return Ok(());
    };
    let refusal = HttpRefusal::new(Status::Forbidden, "forbidden", message);
    // The client may have come by a name that is not this server's, so its connection ends.
    Err(Response { ends: true, ..refusal.into() })
}

fn refuse<T>(status: Status, code: &'static str, message: &str) -> Result<T, Response> {
    Err(HttpRefusal::new(status, code, message).into())
}

/// A request on a path of the embedding program.
fn program(
    head: &RequestHead<'_>,
    rules: Rules<'_>,
    found: Result<(&HttpPath, Params), String>,
) -> Result<ProgramCall, Response> {
    let origin = shared_origin(head, &rules.config.allowed_origins);
    let judge = || {
        let (path, params) =
            found.map_err(|methods| other_method(head, &rules.config.allowed_origins, &methods))?;
        let caller = caller_of(head, rules, path.method)?;
        let known = known(caller.as_ref());
        let is_admin = known.is_some_and(|person| person.is_admin);
        check_access(rules.access(path.access), known.is_some(), is_admin, SAY_WHO)?;
        Ok(ProgramCall { path: path.clone(), params, caller, origin: origin.map(Box::from) })
    };
    judge().map_err(|response| readable_by(response, origin))
}

/// Whether a host is this machine by a name that nobody else has.
pub(super) fn is_open_host(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    OPEN_HOSTS.iter().any(|open| name.eq_ignore_ascii_case(open))
}

/// A request on a path of the embedding program, judged.
#[derive(Debug)]
pub(crate) struct ProgramCall {
    pub(crate) path: HttpPath,
    pub(crate) params: Params,
    pub(crate) caller: Option<Person>,
    /// The page elsewhere that may see the answer.
    pub(crate) origin: Option<Box<str>>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::failed_proofs::FailedProofs;
    use crate::auth::{Claims, Expected, Keys, Secret};
    use crate::base::limits::TOKENS_PER_REQUEST_MAX;
    use crate::base::rates::Rates;
    use crate::base::{Address, Limits, Moment};
    use std::sync::{Arc, LazyLock};

    static PATHS: LazyLock<Paths> = LazyLock::new(Paths::default);
    static LISTENER: LazyLock<Listener> = LazyLock::new(|| config().all_listeners().remove(0));
    static LIMITS: LazyLock<Limits> = LazyLock::new(Limits::default);
    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    fn config() -> Config {
        Config::new(([127, 0, 0, 1], 0).into(), crate::store::Place::Memory)
    }

    fn rules<'a>(
        verifier: &'a Verifier,
        proofs: &'a FailedProofs,
        config: &'a Config,
    ) -> Rules<'a> {
        let readiness = Readiness::Ready;
        Rules {
            verifier,
            payer: proofs.payer(Address::UNKNOWN, Moment::ZERO, &LIMITS),
            config,
            now: NOW,
            is_elsewhere: false,
            readiness,
            paths: &PATHS,
            certificate_expiry: None,
            listener: &LISTENER,
            https_port: None,
            proven: None,
        }
    }

    fn secret() -> Secret {
        Secret::new(&[b'k'; 32]).unwrap()
    }

    fn token(user: &str) -> String {
        let claims: Claims =
            serde_json::from_value(serde_json::json!({ "sub": user, "exp": 1_800_000_060 }))
                .unwrap();
        secret().sign(&claims).unwrap()
    }

    /// The status of an answer, and the user who was admitted.
    fn ask(
        secret: Option<&Secret>,
        target: &str,
        fields: &[(&str, &str)],
    ) -> (String, Option<String>) {
        let mut text = format!("GET {target} HTTP/1.1\r\n");
        if !fields.iter().any(|(name, _)| *name == "Host") {
            text += "Host: localhost:8080\r\n";
        }
        if target.starts_with("/ws") {
            text += "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
        }
        for (name, value) in fields {
            text += &format!("{name}: {value}\r\n");
        }
        text += "\r\n";
        let head = RequestHead::parse(text.as_bytes(), 64).unwrap();
        let expected = Expected { leeway_ms: 30_000, name_bytes_max: 128, ..Expected::default() };
        let keys = secret.map_or(Keys::none(), Keys::from_secret);
        let verifier = Verifier::new(keys, expected);
        let proofs = FailedProofs::of(Arc::new(Rates::new(8, 0)));
        let mut config = config();
        config.allowed_origins = vec!["https://app.example".to_owned()];
        let rules = rules(&verifier, &proofs, &config);
        match route(&head, rules) {
            Destination::Respond(response) => (response.status.line()[..3].to_owned(), None),
            Destination::Call(_)
            | Destination::Hook(_)
            | Destination::Program(_)
            | Destination::Challenge(_)
            | Destination::SignIn => {
                panic!("a call")
            }
            Destination::Metrics | Destination::Ready | Destination::Listen(_) => {
                ("200".to_owned(), None)
            }
            Destination::Open { upgrade, protocol, identity, .. } => {
                let head =
                    String::from_utf8(upgrade.accept(protocol.as_deref(), None).answer).unwrap();
                assert!(!head.contains("bearer"));
                (head[9..12].to_owned(), identity.map(|identity| identity.user.to_string()))
            }
        }
    }

    fn status(secret: Option<&Secret>, target: &str, fields: &[(&str, &str)]) -> String {
        ask(secret, target, fields).0
    }

    #[test]
    fn open_mode_lets_in_by_name_and_takes_no_token() {
        let name = |target: &str| ask(None, target, &[]);
        assert_eq!(name("/ws?user=ada"), ("101".into(), Some("ada".into())));
        assert_eq!(name("/ws").0, "401");
        for bad in ["/ws?user=", "/ws?user=%ff", "/ws?user=%zz"] {
            assert_eq!(name(bad).0, "400", "{bad}");
        }
        assert_eq!(name("/ws?user=a%20b").0, "400");
        assert_eq!(name("/ws?user=ada&token=x").0, "401");
        assert_eq!(status(None, "/ws?user=ada", &[("Authorization", "Bearer x")]), "401");
        assert_eq!(
            status(None, "/ws?user=ada", &[("Sec-WebSocket-Protocol", "parlor.v1, bearer.x")]),
            "401"
        );
    }

    #[test]
    fn open_mode_answers_to_this_machine_alone_on_every_path() {
        for host in ["localhost", "LOCALHOST:1", "127.0.0.1:8080", "[::1]", "[::1]:8080"] {
            assert_eq!(status(None, "/healthz", &[("Host", host)]), "200", "{host}");
        }
        for host in [
            "example.com",
            "localhost.example.com",
            "127.0.0.1.example.com:80",
            "10.0.0.1",
            "",
            "localhost:x",
        ] {
            for target in ["/", "/healthz", "/ws?user=ada", "/nothing"] {
                assert_eq!(status(None, target, &[("Host", host)]), "403", "{host} {target}");
            }
        }
        assert_eq!(status(Some(&secret()), "/healthz", &[("Host", "example.com")]), "200");
    }

    #[test]
    fn each_way_to_present_a_token_lets_in_and_a_bad_one_is_not_made_good() {
        let secret = Some(secret());
        let (ada, bob) = (token("ada"), token("bob"));
        let bearer = format!("Bearer {ada}");
        let protocol = format!("parlor.v1, bearer.{ada}");
        let query = format!("/ws?token={ada}");
        let good = ("101".to_owned(), Some("ada".to_owned()));
        assert_eq!(ask(secret.as_ref(), "/ws", &[("Authorization", &bearer)]), good);
        assert_eq!(ask(secret.as_ref(), &query, &[]), good);
        assert_eq!(ask(secret.as_ref(), "/ws", &[("Sec-WebSocket-Protocol", &protocol)]), good);
        assert_eq!(ask(secret.as_ref(), &query, &[("Authorization", &bearer)]), good);
        assert_eq!(
            ask(secret.as_ref(), "/ws", &[]),
            ("101".to_owned(), None),
            "auth may still come"
        );
        assert_eq!(ask(secret.as_ref(), "/ws?user=ada", &[]), ("101".to_owned(), None));
        assert_eq!(status(secret.as_ref(), "/ws?token=", &[]), "401");
        assert_eq!(status(secret.as_ref(), "/ws?token=x", &[("Authorization", &bearer)]), "401");
        assert_eq!(status(secret.as_ref(), &query, &[("Authorization", "Bearer x")]), "401");
        let of_bob = format!("/ws?token={bob}");
        assert_eq!(
            ask(secret.as_ref(), &of_bob, &[("Authorization", &bearer)]),
            good,
            "the first decides"
        );
        assert_eq!(status(secret.as_ref(), "/ws?token=%ff", &[]), "401");
    }

    #[test]
    fn every_token_is_judged_however_often_a_way_is_used() {
        let secret = secret();
        let ask = |target: &str, fields: &[(&str, &str)]| ask(Some(&secret), target, fields).0;
        let (ada, bob) = (token("ada"), token("bob"));
        assert_eq!(ask(&format!("/ws?token={ada}&token={bob}"), &[]), "101");
        for second in ["token=x", "token=", "token", "token=%ff"] {
            assert_eq!(ask(&format!("/ws?token={ada}&a=b&{second}"), &[]), "401", "{second}");
        }
        let offered = |second: &str| format!("bearer.{ada}, parlor.v1, bearer.{second}");
        assert_eq!(ask("/ws", &[("Sec-WebSocket-Protocol", &offered(&bob))]), "101");
        assert_eq!(ask("/ws", &[("Sec-WebSocket-Protocol", &offered("x"))]), "401");
        let many = |count: usize| format!("/ws?a=b{}", format!("&token={ada}").repeat(count));
        assert_eq!(ask(&many(TOKENS_PER_REQUEST_MAX), &[]), "101");
        assert_eq!(ask(&many(TOKENS_PER_REQUEST_MAX + 1), &[]), "401");
    }

    #[test]
    fn the_authorization_field_comes_once_and_other_schemes_are_for_others() {
        let secret = secret();
        let ask = |fields: &[(&str, &str)]| ask(Some(&secret), "/ws", fields);
        let ada = token("ada");
        let bearer = format!("Bearer {ada}");
        assert_eq!(ask(&[("Authorization", &bearer), ("authorization", &bearer)]).0, "400");
        assert_eq!(ask(&[("Authorization", "Bearer é")]).0, "400");
        for bad in ["Bearer", "Bearer ", "bearer\tx", "BEARER x", &format!("{bearer}, {bearer}")] {
            assert_eq!(ask(&[("Authorization", bad)]).0, "401", "{bad}");
        }
        let good = ("101".to_owned(), Some("ada".to_owned()));
        for scheme in ["Bearer ", "bearer  ", "BEARER\t"] {
            assert_eq!(ask(&[("Authorization", &format!("{scheme}{ada}"))]), good, "{scheme}");
        }
        let nobody = ("101".to_owned(), None);
        assert_eq!(ask(&[("Authorization", "Basic YTpi")]), nobody, "auth may still come");
    }

    #[test]
    fn the_metrics_are_for_admins_where_there_are_tokens() {
        let secret = secret();
        let claims = serde_json::json!({ "sub": "eve", "exp": 1_800_000_060, "admin": true });
        let claims: Claims = serde_json::from_value(claims).unwrap();
        let admin = format!("Bearer {}", secret.sign(&claims).unwrap());
        let user = format!("Bearer {}", token("ada"));
        let with = |bearer: &str| status(Some(&secret), "/metrics", &[("Authorization", bearer)]);
        assert_eq!(with(&admin), "200");
        assert_eq!(with(&user), "403");
        assert_eq!(with("Bearer x"), "401");
        let of_query = format!("/metrics?user=admin&token={}", &admin["Bearer ".len()..]);
        assert_eq!(status(Some(&secret), &of_query, &[]), "401", "a token is in its field alone");
        assert_eq!(status(None, "/metrics", &[]), "200");
        assert_eq!(status(None, "/metrics", &[("Host", "example.com")]), "403");
    }

    #[test]
    fn a_page_connects_from_its_own_host_or_an_allowed_origin() {
        let at = |host: &str, origin: &str| {
            status(None, "/ws?user=ada", &[("Host", host), ("Origin", origin)])
        };
        assert_eq!(at("localhost:80", "http://localhost"), "101");
        assert_eq!(at("localhost", "https://localhost:443"), "101");
        assert_eq!(at("localhost:80", "https://localhost"), "403");
        let from = |origin: &str| status(None, "/ws?user=ada", &[("Origin", origin)]);
        for good in ["http://localhost:8080", "https://LOCALHOST:8080", "https://app.example"] {
            assert_eq!(from(good), "101", "{good}");
        }
        for bad in [
            "null",
            "http://localhost",
            "http://localhost:8081",
            "http://evil.example",
            "localhost:8080",
            "https://app.example.evil",
        ] {
            assert_eq!(from(bad), "403", "{bad}");
        }
    }

    #[test]
    fn the_page_is_served_with_its_policy_and_nothing_else_is_there() {
        assert_eq!(status(None, "/", &[]), "200");
        assert_eq!(status(None, "/app.js", &[]), "200");
        assert_eq!(status(None, "/../Cargo.toml", &[]), "404");
        let verifier = Verifier::new(Keys::none(), Expected::default());
        let proofs = FailedProofs::of(Arc::new(Rates::new(8, 0)));
        let config = config();
        let rules = rules(&verifier, &proofs, &config);
        let get = |method: &str, fields: &str| {
            let text = format!("{method} / HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n");
            let head = RequestHead::parse(text.as_bytes(), 64).unwrap();
            let Destination::Respond(response) = route(&head, rules) else { panic!("no answer") };
            response
        };
        let page = get("GET", "");
        let field = |response: &Response, name: &str| {
            let found = response.fields.iter().find(|(field, _)| *field == name);
            found.map(|(_, value)| value.to_string())
        };
        let policy = field(&page, "Content-Security-Policy").unwrap();
        assert!(policy.starts_with("default-src 'none';"));
        assert_eq!(get("HEAD", ""), page);
        assert_eq!(get("DELETE", "").status, Status::MethodNotAllowed);
        let tag = field(&page, "ETag").unwrap();
        let has = |tags: &str| get("GET", &format!("If-None-Match: {tags}\r\n")).status;
        for known in [tag.clone(), format!("\"x\", W/{tag}"), "*".to_owned()] {
            assert_eq!(has(&known), Status::NotModified, "{known}");
        }
        for other in ["\"x\"", "x", &tag[1..], ""] {
            assert_eq!(has(other), Status::Ok, "{other}");
        }
    }
}
