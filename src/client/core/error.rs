//! Why a request was not carried out.

use crate::wire::told::ToldObject;
use std::fmt;
use std::num::NonZeroU16;
use std::time::Duration;

/// The longest wait of a server's that is believed.
pub(super) const ANNOUNCED_MS_MAX: u64 = 3_600_000;

/// A refusal of the server's (`docs/protocol.md`, "Errors"), or a client's own word:
///
/// - `disconnected`: the connection ended before the answer; whether it was done is not known
/// - `timeout`: no answer came in time
/// - `cancelled`: it was taken back, or asked in the name of another user
/// - `expired`: a message was too old to be sent
/// - `overloaded`: too many requests wait already, or too many answers that the program has not taken
/// - `closed`: the client is closed, or does not try again
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequestError {
    /// For programs.
    pub code: Box<str>,
    /// For people.
    pub message: Box<str>,
    /// The member of the payload that is wrong.
    pub field: Option<Box<str>>,
    /// The limit that was reached.
    pub limit: Option<u64>,
    /// The oldest entry that is kept, if older ones were asked for.
    pub first: Option<u64>,
    /// In how many ms the same may succeed.
    pub retry_after_ms: Option<u64>,
    /// The close code, if the connection ends with it.
    pub close: Option<u16>,
    /// For how many refusals it stands, of requests that want no answer.
    pub count: Option<NonZeroU16>,
    /// Whether the application refused it: its code means what the application says.
    pub is_by_application: bool,
    /// What the application said beside it, as JSON.
    pub data: Option<Box<str>>,
}

impl RequestError {
    /// A client's own.
    pub(in crate::client) fn own(code: &'static str) -> RequestError {
        let message = match code {
            "disconnected" => "the connection ended before the answer",
            "timeout" => "no answer came in time",
            "cancelled" => "it was taken back",
            "expired" => "it was too old to be sent",
            "overloaded" => "too many requests wait, or answers that were not taken",
            "outbox_full" => "too many messages wait to be sent",
            "unconfirmed" => "it was written before anybody was known, perhaps by another user",
            "too_large" => "it is larger than the server takes",
            "not_member" => "you are not a member of the room",
            "bad_name" => "nothing can have this name",
            "bad_json" => "this is no JSON that can be sent",
            "unreadable" => "the answer cannot be read",
            "outbox_failed" => "the outbox cannot be written: the message is not kept",
            "conflict" => "another message has this id",
            _ => "the client is closed",
        };
        RequestError { code: code.into(), message: message.into(), ..RequestError::default() }
    }

    /// That of an `error`.
    pub(super) fn read(payload: &ToldObject<'_>) -> RequestError {
        let text = |name| payload.text(name).map(|text| text.into_owned().into_boxed_str());
        RequestError {
            code: text("code").unwrap_or_else(|| "internal".into()),
            message: text("message").unwrap_or_default(),
            field: text("field"),
            limit: payload.number("limit"),
            first: payload.number("first"),
            retry_after_ms: payload.number("retry_after_ms").map(|wait| wait.min(ANNOUNCED_MS_MAX)),
            close: payload.number("close").and_then(|code| u16::try_from(code).ok()),
            count: payload
                .number("count")
                .and_then(|count| NonZeroU16::new(u16::try_from(count).unwrap_or(u16::MAX))),
            is_by_application: payload.raw("by").is_some(),
            data: payload.raw("data").map(Into::into),
        }
    }

    /// Whether the same request may succeed later: a code of the application's does not say so.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        const PASSING: &[&str] =
            &["rate_limited", "unavailable", "overloaded", "internal", "disconnected", "timeout"];
        !self.is_by_application && PASSING.contains(&&*self.code)
    }

    /// Whether nobody has refused it: the client has ended, or its user, or the program did not want the answer.
    pub(super) fn is_end(&self) -> bool {
        !self.is_by_application && matches!(&*self.code, "closed" | "cancelled")
    }

    /// Whether the same request will be refused again, as far as is known.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        !self.is_passing() && self.retry_after_ms.is_none()
    }

    /// After how long the same may succeed, if the server said so.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after_ms.map(Duration::from_millis)
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for RequestError {}
