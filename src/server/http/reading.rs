//! What everybody, or nearly everybody, may read: the page, `/healthz`, the document of the API.
//! Also who may read the metrics.

use super::identity::{caller, check_access};
use super::openapi;
use super::route::{Rules, SAY_WHO};
use crate::auth::Access;
use crate::http1::{HttpRefusal, RequestHead, Response, Status};
use crate::routes::assets::{CONTENT_SECURITY_POLICY, asset};
use crate::routes::own::{HEALTH_PATH, OPENAPI_PATH};
use crate::tls::expiry_warning;
use crate::wire::json::object;

/// Whether the server can do its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readiness {
    Ready,
    /// It is about to end.
    Stopping,
    /// The store refused to write a moment ago.
    StoreRefuses,
    /// The free disk space is down to its reserve.
    DiskIsFull,
    /// The source of a required stream is down.
    SourceDown,
}

impl Readiness {
    /// Whether calls are still taken.
    pub(crate) fn check_running(self) -> Result<(), HttpRefusal> {
        self.refusal().filter(|_| self == Readiness::Stopping).map_or(Ok(()), Err)
    }

    /// Why the server cannot do its work, if so.
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

/// The answer for what everybody may read.
pub(super) fn get(head: &RequestHead<'_>, rules: Rules<'_>) -> Option<Response> {
    if head.path == HEALTH_PATH {
        let body = healthz(rules).into_bytes();
        let response = Response::new(Status::Ok, "application/json", body);
        return Some(response.with("Cache-Control", "no-store"));
    }
    if head.path == OPENAPI_PATH {
        let status =
            if has_current(head, &openapi::TAG) { Status::NotModified } else { Status::Ok };
        let response = Response::new(status, "application/json", openapi::DOCUMENT.as_bytes());
        return Some(
            response.with("Cache-Control", "no-cache").with("ETag", openapi::TAG.as_str()),
        );
    }
    let (asset, tag) = asset(head.path)?;
    let mut response = Response::new(Status::Ok, asset.content_type, asset.body);
    if has_current(head, tag) {
        response.status = Status::NotModified;
    }
    // A browser may keep it but asks again each time, so that a new build is seen at once.
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

/// Admins may read the metrics. Everybody may in open mode, which is only on a loopback address,
/// and if the configuration says so.
pub(super) fn may_read_metrics(
    head: &RequestHead<'_>,
    rules: Rules<'_>,
) -> Result<(), HttpRefusal> {
    if rules.are_metrics_public() {
        return Ok(());
    }
    let caller = caller(head, rules)?;
    if rules.verifier.is_open() && rules.listener.serves.public {
        return Ok(());
    }
    let is_admin = caller.as_ref().is_some_and(|person| person.is_admin);
    check_access(Access::Admin, caller.is_some(), is_admin, SAY_WHO)
}

/// RFC 9110 §13.1.2: whether the client already has what it asks for.
fn has_current(head: &RequestHead<'_>, tag: &str) -> bool {
    let mut items = head.all("if-none-match").flat_map(|line| line.split(',')).map(str::trim);
    items.any(|item| item == "*" || item.strip_prefix("W/").unwrap_or(item) == tag)
}

fn healthz(rules: Rules<'_>) -> String {
    object(|w| {
        w.text("status", "ok");
        w.flag("open", rules.verifier.is_open());
        w.text("version", env!("CARGO_PKG_VERSION"));
        if let Some(expires) = rules.certificate_expiry {
            w.object_in("certificate", |w| {
                w.number("expires", expires.0);
                if let Some(warning) = expiry_warning(expires, rules.now) {
                    w.text("warning", &warning);
                }
            });
        }
    })
}
