//! The page that a request comes from (RFC 6454), and what a page elsewhere may see (CORS).

use crate::http1::response::other_methods;
use crate::http1::{HttpRefusal, RequestHead, Response, Status};

/// Where a request comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PageOrigin<'b> {
    /// A program, which sends no `Origin`, or a page of this host.
    Own,
    /// A page elsewhere that is allowed.
    Allowed(&'b str),
    /// Any other page.
    Foreign,
}

/// Where a request comes from; the origin `null` is foreign.
pub(crate) fn page_origin<'b>(
    head: &RequestHead<'b>,
    allowed: &[String],
) -> Result<PageOrigin<'b>, HttpRefusal> {
    let Some(origin) = head.only("origin").map_err(HttpRefusal::from)? else {
        return Ok(PageOrigin::Own);
    };
    // The default port of a scheme may be omitted.
    let is_own = [("http://", ":80"), ("https://", ":443")].iter().any(|(scheme, port)| {
        let bare = |host: &'_ str| host.strip_suffix(port).unwrap_or(host).to_ascii_lowercase();
        origin.strip_prefix(scheme).is_some_and(|host| bare(host) == bare(head.host))
    });
    let is_allowed =
        origin != "null" && allowed.iter().any(|allowed| allowed.eq_ignore_ascii_case(origin));
    Ok(match (is_own, is_allowed) {
        (true, _) => PageOrigin::Own,
        (false, true) => PageOrigin::Allowed(origin),
        (false, false) => PageOrigin::Foreign,
    })
}

/// The origin of a page elsewhere that may see the answer.
pub(crate) fn shared_origin<'b>(head: &RequestHead<'b>, allowed: &[String]) -> Option<&'b str> {
    match page_origin(head, allowed) {
        Ok(PageOrigin::Allowed(origin)) => Some(origin),
        Ok(PageOrigin::Own | PageOrigin::Foreign) | Err(_) => None,
    }
}

/// A page may connect, and change something, if it is of this host or of an allowed origin.
pub(crate) fn check_origin(head: &RequestHead<'_>, allowed: &[String]) -> Result<(), HttpRefusal> {
    match page_origin(head, allowed)? {
        PageOrigin::Own | PageOrigin::Allowed(_) => Ok(()),
        PageOrigin::Foreign => Err(foreign()),
    }
}

fn foreign() -> HttpRefusal {
    HttpRefusal::new(
        Status::Forbidden,
        "forbidden",
        "this origin may not connect here: it is none of http.allowed_origins",
    )
}

/// Lets a page of an allowed origin see an answer of the API, which nobody may cache.
pub(crate) fn shared_with(response: Response, origin: Option<&str>) -> Response {
    // Answers to other origins differ.
    let response = response.with("Cache-Control", "no-store").with("Vary", "Origin");
    match origin {
        None => response,
        Some(origin) => response
            .with("Access-Control-Allow-Origin", origin.to_owned())
            .with("Access-Control-Expose-Headers", "Parlor-Seq, Retry-After"),
    }
}

/// Adds to an answer of the server itself what it does not already say: its type must not be
/// guessed (Fetch, "X-Content-Type-Options"), no page elsewhere may embed it (Fetch,
/// "Cross-Origin-Resource-Policy"), and nobody may store it (RFC 9111 §5.2.2.5).
pub(crate) fn sealed(response: Response) -> Response {
    let fields = [
        ("X-Content-Type-Options", "nosniff"),
        (EMBEDDED_BY, "same-origin"),
        ("Cache-Control", "no-store"),
    ];
    fields.into_iter().fold(response, |response, (name, value)| {
        let is_said = response.fields.iter().any(|(said, _)| said.eq_ignore_ascii_case(name));
        if is_said { response } else { response.with(name, value) }
    })
}

const EMBEDDED_BY: &str = "Cross-Origin-Resource-Policy";

/// An answer that anybody may see and any page may embed: a guest's.
pub(crate) fn public(response: Response) -> Response {
    response.with(EMBEDDED_BY, "cross-origin")
}

/// What a page embeds by navigation. Whether it loads tells the page what the answer was.
const FRAMES: &[&str] = &["embed", "fencedframe", "frame", "iframe", "object"];

/// Whether a page elsewhere embeds what it asks for, as a picture, a script or a style, or reads it
/// without permission (Fetch Metadata). Following a link is allowed.
pub(super) fn is_embedded_elsewhere(head: &RequestHead<'_>, allowed: &[String]) -> bool {
    let says = |name: &'static str, values: &[&str]| {
        head.all(name).any(|value| values.iter().any(|one| value.trim().eq_ignore_ascii_case(one)))
    };
    says("sec-fetch-site", &["cross-site", "same-site"])
        && (!says("sec-fetch-mode", &["navigate"]) || says("sec-fetch-dest", FRAMES))
        && shared_origin(head, allowed).is_none()
}

/// The answer to a method that a path does not have. `OPTIONS` is told the methods that it has.
pub(super) fn other_method(head: &RequestHead<'_>, allowed: &[String], methods: &str) -> Response {
    if head.method != "OPTIONS" {
        return other_methods(methods);
    }
    preflight(head, allowed, methods).unwrap_or_else(Response::from)
}

/// The answer to `OPTIONS` for a path with these methods. A browser sends it before a page's call.
fn preflight(
    head: &RequestHead<'_>,
    allowed: &[String],
    methods: &str,
) -> Result<Response, HttpRefusal> {
    let response =
        Response::new(Status::NoContent, "text/plain", &[][..]).with("Allow", methods.to_owned());
    if head.only("access-control-request-method")?.is_none() {
        return Ok(response);
    }
    match page_origin(head, allowed)? {
        PageOrigin::Foreign => Err(foreign()),
        // No credentials: the page itself sets the token in a header.
        PageOrigin::Own | PageOrigin::Allowed(_) => Ok(response
            .with("Access-Control-Allow-Methods", methods.to_owned())
            .with(
                "Access-Control-Allow-Headers",
                "Authorization, Content-Type, Idempotency-Key, Last-Event-ID",
            )
            .with("Access-Control-Max-Age", "600")),
    }
}
