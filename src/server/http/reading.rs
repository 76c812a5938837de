//! What is there to be read by everybody, or nearly: the page, `/healthz`, the document of the API;
//! and who may read the metrics.

use super::identity::{caller, unauthorized};
use super::openapi;
use super::route::{Rules, SAY_WHO};
use crate::http1::{HttpRefusal, RequestHead, Response, Status};
use crate::routes::assets::{CONTENT_SECURITY_POLICY, asset};
use crate::routes::own::OPENAPI_PATH;
use crate::wire::json::Writer;

/// Whether the server can do what it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readiness {
    Ready,
    /// It is about to end.
    Stopping,
    /// The store has refused to write, just now.
    StoreRefuses,
    /// As little is left on the disk as is to be left.
    DiskIsFull,
    /// Nothing can be had of the source of a stream that is required.
    SourceDown,
}

impl Readiness {
    /// Why no more calls are taken, if none are.
    pub(crate) fn stopping(self) -> Option<HttpRefusal> {
        self.refusal().filter(|_| self == Readiness::Stopping)
    }

    /// Why it cannot, if it cannot.
    pub(crate) fn refusal(self) -> Option<HttpRefusal> {
        let message = match self {
            Readiness::Ready => return None,
            Readiness::Stopping => "the server stops",
            Readiness::StoreRefuses => "the store refuses to write",
            Readiness::DiskIsFull => "the disk is nearly full",
            Readiness::SourceDown => {
                "the source of a stream that is required is down, or polled too late"
            }
        };
        let refusal = HttpRefusal::new(Status::ServiceUnavailable, "unavailable", message);
        Some(refusal.with(&[("Retry-After", "1")]))
    }
}

/// What is there to be read.
pub(super) fn get(head: &RequestHead<'_>, rules: Rules<'_>) -> Option<Response> {
    if head.path == "/healthz" {
        let body = healthz(rules.verifier.is_open()).into_bytes();
        let response = Response::new(Status::Ok, "application/json", body);
        return Some(response.with("Cache-Control", "no-store"));
    }
    if head.path == OPENAPI_PATH {
        let status = if has_it(head, &openapi::TAG) { Status::NotModified } else { Status::Ok };
        let response = Response::new(status, "application/json", openapi::DOCUMENT.as_bytes());
        return Some(
            response.with("Cache-Control", "no-cache").with("ETag", openapi::TAG.as_str()),
        );
    }
    let (asset, tag) = asset(head.path)?;
    let mut response = Response::new(Status::Ok, asset.content_type, asset.body);
    if has_it(head, tag) {
        response.status = Status::NotModified;
    }
    // It may be kept, and is asked for again each time: a new build is seen at once.
    let fields = [
        ("Content-Security-Policy", CONTENT_SECURITY_POLICY),
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", "no-referrer"),
        ("Cross-Origin-Opener-Policy", "same-origin"),
        ("Cache-Control", "no-cache"),
        ("ETag", tag),
    ];
    Some(fields.into_iter().fold(response, |response, (name, value)| response.with(name, value)))
}

/// Admins may read the metrics; everybody in open mode, which is on a loopback address alone, and
/// where the configuration says so.
pub(super) fn may_read_metrics(
    head: &RequestHead<'_>,
    rules: Rules<'_>,
) -> Result<(), HttpRefusal> {
    if rules.config.metrics_public {
        return Ok(());
    }
    match caller(head, rules)? {
        Some(person) if person.is_admin => Ok(()),
        _ if rules.verifier.is_open() => Ok(()),
        Some(_) => Err(HttpRefusal::new(Status::Forbidden, "forbidden", "this is for admins")),
        None => Err(unauthorized(SAY_WHO)),
    }
}

/// RFC 9110 §13.1.2: whether the client has what it asks for already.
fn has_it(head: &RequestHead<'_>, tag: &str) -> bool {
    let mut items = head.all("if-none-match").flat_map(|line| line.split(',')).map(str::trim);
    items.any(|item| item == "*" || item.strip_prefix("W/").unwrap_or(item) == tag)
}

fn healthz(is_open: bool) -> String {
    let mut writer = Writer::new();
    writer.object(|w| {
        w.text("status", "ok");
        w.flag("open", is_open);
        w.text("version", env!("CARGO_PKG_VERSION"));
    });
    writer.finish()
}
