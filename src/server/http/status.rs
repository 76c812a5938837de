//! What a refusal's code is in HTTP.

use crate::protocol::handshake::Status;

/// Each code that is no 400, and its status.
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
    // Not 429, which says that time helps.
    ("quota", Status::Conflict),
    ("gone", Status::Gone),
    ("too_large", Status::ContentTooLarge),
    ("rate_limited", Status::TooManyRequests),
    ("unavailable", Status::ServiceUnavailable),
    ("overloaded", Status::ServiceUnavailable),
    ("internal", Status::InternalServerError),
];

/// The status of a code, also of one that a handler of the embedding program has made up.
pub(in crate::server) fn status_of(code: &str) -> Status {
    let known = STATUSES.iter().find(|(known, _)| *known == code);
    known.map_or(Status::BadRequest, |(_, status)| *status)
}
