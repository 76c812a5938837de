//! Errors as JSON: the same members on a socket and in an answer of HTTP.

use super::json::Writer;
use super::request::Fault;
use crate::hub::{Refusal, RefusalCode};
use std::borrow::Cow;

/// What an error says beside its code and its sentence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ErrorDetail {
    pub(super) field: Option<Cow<'static, str>>,
    pub(super) limit: Option<u64>,
    pub(super) retry_after_ms: Option<u64>,
    /// The oldest entry that is kept.
    pub(super) first: Option<u64>,
    pub(super) count: Option<u32>,
    pub(super) close: Option<u16>,
}

/// `{"type":"error","id"?:…,"payload":{"code","message",…}}`
pub(super) fn error(id: Option<&str>, code: &str, message: &str, detail: &ErrorDetail) -> String {
    let mut writer = Writer::new();
    writer.object(|w| {
        w.text("type", "error");
        if let Some(id) = id {
            w.raw("id", id);
        }
        w.object_in("payload", |w| members(w, code, message, detail));
    });
    writer.finish()
}

/// `{"error":{"code","message",…}}`, as HTTP has it.
pub(super) fn error_body(code: &str, message: &str, detail: &ErrorDetail) -> String {
    let mut writer = Writer::new();
    writer.object(|w| w.object_in("error", |w| members(w, code, message, detail)));
    writer.finish()
}

fn members(w: &mut Writer, code: &str, message: &str, detail: &ErrorDetail) {
    w.text("code", code);
    w.text("message", message);
    if let Some(field) = &detail.field {
        w.text("field", field);
    }
    if let Some(limit) = detail.limit {
        w.number("limit", limit);
    }
    if let Some(retry_after_ms) = detail.retry_after_ms {
        w.number("retry_after_ms", retry_after_ms);
    }
    if let Some(first) = detail.first {
        w.number("first", first);
    }
    if let Some(count) = detail.count {
        w.number("count", count);
    }
    if let Some(close) = detail.close {
        w.number("close", close);
    }
}

/// When a refusal is worth another try, and how soon.
pub(super) fn retry_after_ms(code: RefusalCode) -> Option<u64> {
    const STORE_RETRY_MS: u64 = 1_000;
    matches!(code, RefusalCode::Unavailable | RefusalCode::Overloaded).then_some(STORE_RETRY_MS)
}

pub(super) fn refusal_detail(refusal: &Refusal) -> ErrorDetail {
    ErrorDetail {
        field: refusal.field.clone(),
        limit: refusal.limit,
        first: refusal.first,
        retry_after_ms: retry_after_ms(refusal.code),
        ..ErrorDetail::default()
    }
}

pub(super) fn fault_detail(fault: &Fault) -> ErrorDetail {
    ErrorDetail {
        field: fault.field.map(Cow::Borrowed),
        limit: fault.limit,
        ..ErrorDetail::default()
    }
}
