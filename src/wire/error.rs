//! Errors as JSON: the same members on a socket and in an HTTP answer.

use super::json::Writer;
use super::request::Fault;
use crate::base::limits::{
    REFUSAL_CODE_BYTES_MAX, REFUSAL_DATA_BYTES_MAX, REFUSAL_MESSAGE_BYTES_MAX,
};
use crate::base::{Refusal, RefusalCode};
use std::borrow::Cow;
use std::sync::Arc;

/// Members of an error beside its code and message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ErrorDetail {
    pub(crate) field: Option<Cow<'static, str>>,
    pub(crate) limit: Option<u64>,
    pub(crate) retry_after_ms: Option<u64>,
    /// The oldest entry kept.
    pub(crate) first: Option<u64>,
    pub(crate) count: Option<u32>,
    pub(crate) close: Option<u16>,
    /// The application refused it: the code is the application's, even if parlor has one of that
    /// name.
    pub(crate) is_by_application: bool,
    /// The application's additional data, as JSON.
    pub(crate) data: Option<Arc<str>>,
}

/// Why a handler's request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HandlerRefusal {
    pub(crate) code: Cow<'static, str>,
    pub(crate) message: Cow<'static, str>,
    pub(crate) detail: ErrorDetail,
}

impl HandlerRefusal {
    pub(crate) fn by_parlor(code: RefusalCode, message: &'static str) -> HandlerRefusal {
        let detail = ErrorDetail::default();
        HandlerRefusal { code: code.as_str().into(), message: message.into(), detail }
    }

    /// A refusal by the application, with a code that may be its own; none if `code` is not a valid
    /// one. A message that is too long is cut; data (JSON) that are too large are left out.
    pub(crate) fn by_application(
        code: &str,
        message: &str,
        data: Option<&str>,
    ) -> Option<HandlerRefusal> {
        let is_code = (1..=REFUSAL_CODE_BYTES_MAX).contains(&code.len())
            && code.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'));
        let message = message.get(..message.floor_char_boundary(REFUSAL_MESSAGE_BYTES_MAX))?;
        let data = data.filter(|data| data.len() <= REFUSAL_DATA_BYTES_MAX).map(Arc::from);
        let detail = ErrorDetail { is_by_application: true, data, ..ErrorDetail::default() };
        is_code.then(|| HandlerRefusal {
            code: code.to_owned().into(),
            message: message.to_owned().into(),
            detail,
        })
    }
}

/// `{"type":"error","id"?:…,"payload":{"code","message",…}}`
pub(crate) fn error(id: Option<&str>, code: &str, message: &str, detail: &ErrorDetail) -> String {
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

/// `{"error":{"code","message",…}}`, as in HTTP answers.
pub(crate) fn error_body(code: &str, message: &str, detail: &ErrorDetail) -> String {
    let mut writer = Writer::new();
    writer.object(|w| w.object_in("error", |w| members(w, code, message, detail)));
    writer.finish()
}

fn members(w: &mut Writer, code: &str, message: &str, detail: &ErrorDetail) {
    w.text("code", code);
    w.text("message", message);
    if detail.is_by_application {
        w.text("by", "application");
    }
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
    if let Some(data) = &detail.data {
        w.raw("data", data);
    }
}

/// How soon a refused request is worth a retry, in ms; none if it is not.
pub(crate) fn retry_after_ms(code: RefusalCode) -> Option<u64> {
    const STORE_RETRY_MS: u64 = 1_000;
    matches!(code, RefusalCode::Unavailable | RefusalCode::Overloaded).then_some(STORE_RETRY_MS)
}

pub(crate) fn refusal_detail(refusal: &Refusal) -> ErrorDetail {
    ErrorDetail {
        field: refusal.field.clone(),
        limit: refusal.limit,
        first: refusal.first,
        retry_after_ms: refusal.retry_after_ms.or_else(|| retry_after_ms(refusal.code)),
        ..ErrorDetail::default()
    }
}

pub(crate) fn fault_detail(fault: &Fault) -> ErrorDetail {
    ErrorDetail {
        field: fault.field.map(Cow::Borrowed),
        limit: fault.limit,
        ..ErrorDetail::default()
    }
}
