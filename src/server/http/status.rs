//! The HTTP status for each refusal code.

use crate::http1::{HttpRefusal, Response, Status};
use crate::wire::error::ErrorReply;
use crate::wire::request::Fault;

/// The codes whose status is not 400.
const STATUSES: &[(&str, Status)] = &[
    ("unauthorized", Status::Unauthorized),
    ("forbidden", Status::Forbidden),
    ("not_member", Status::Forbidden),
    ("not_found", Status::NotFound),
    ("no_such_room", Status::NotFound),
    ("no_such_user", Status::NotFound),
    ("no_such_connection", Status::NotFound),
    ("no_such_message", Status::NotFound),
    ("no_such_stream", Status::NotFound),
    ("unknown_type", Status::NotFound),
    ("conflict", Status::Conflict),
    ("duplicate_mismatch", Status::Conflict),
    ("epoch_changed", Status::Conflict),
    // Not 429, which means that waiting helps.
    ("quota", Status::Conflict),
    ("gone", Status::Gone),
    ("too_large", Status::ContentTooLarge),
    ("rate_limited", Status::TooManyRequests),
    ("unavailable", Status::ServiceUnavailable),
    ("overloaded", Status::ServiceUnavailable),
    ("internal", Status::InternalServerError),
];

/// The status of a code; an application's own code is a 400.
pub(crate) fn status_of(code: &str) -> Status {
    let known = STATUSES.iter().find(|(known, _)| *known == code);
    known.map_or(Status::BadRequest, |(_, status)| *status)
}

/// A refusal with the same members as on a socket, and the HTTP fields for it.
pub(crate) fn refused(error: &ErrorReply) -> Response {
    let status = status_of(&error.code);
    let response = json(status, error.to_body());
    let response = match error.detail.retry_after_ms {
        Some(millis) => response.with_retry_after(millis),
        None => response,
    };
    // RFC 9110 §15.5.2.
    if status == Status::Unauthorized {
        return response.with("WWW-Authenticate", "Bearer");
    }
    response
}

impl From<ErrorReply> for Response {
    fn from(error: ErrorReply) -> Response {
        refused(&error)
    }
}

pub(crate) fn json(status: Status, mut text: String) -> Response {
    text.push('\n');
    Response::new(status, "application/json", text.into_bytes())
}

impl From<Fault> for HttpRefusal {
    fn from(fault: Fault) -> HttpRefusal {
        let code = fault.code.as_str();
        HttpRefusal::new(status_of(code), code, fault.message)
    }
}
