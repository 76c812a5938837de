//! Errors as JSON: the same members on a socket and in an HTTP answer.

use super::json::{Writer, object};
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

/// Why a request is refused, as it is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ErrorReply {
    pub(crate) code: Cow<'static, str>,
    pub(crate) message: Cow<'static, str>,
    pub(crate) detail: ErrorDetail,
}

impl ErrorReply {
    /// A code and a sentence, and nothing beside them.
    pub(crate) fn new(code: RefusalCode, message: impl Into<Cow<'static, str>>) -> ErrorReply {
        let detail = ErrorDetail::default();
        ErrorReply { code: code.as_str().into(), message: message.into(), detail }
    }

    /// Worth another try after so many ms.
    pub(crate) fn retry_after(mut self, millis: u64) -> ErrorReply {
        self.detail.retry_after_ms = Some(millis);
        self
    }

    /// For a limit, which is this.
    pub(crate) fn limited_to(mut self, limit: u64) -> ErrorReply {
        self.detail.limit = Some(limit);
        self
    }

    /// A refusal by the application, with a code that may be its own; none if `code` is not a valid
    /// one. A message that is too long is cut; data (JSON) that are too large are left out.
    pub(crate) fn by_application(
        code: &str,
        message: &str,
        data: Option<&str>,
    ) -> Option<ErrorReply> {
        let is_code = (1..=REFUSAL_CODE_BYTES_MAX).contains(&code.len())
            && code.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'));
        let message = message.get(..message.floor_char_boundary(REFUSAL_MESSAGE_BYTES_MAX))?;
        let data = data.filter(|data| data.len() <= REFUSAL_DATA_BYTES_MAX).map(Arc::from);
        let detail = ErrorDetail { is_by_application: true, data, ..ErrorDetail::default() };
        is_code.then(|| ErrorReply {
            code: code.to_owned().into(),
            message: message.to_owned().into(),
            detail,
        })
    }

    /// `{"type":"error","id"?:…,"payload":{"code","message",…}}`
    pub(crate) fn to_message(&self, id: Option<&str>) -> String {
        object(|w| {
            w.text("type", "error");
            w.if_some("id", id, Writer::raw);
            w.object_in("payload", |w| self.write(w));
        })
    }

    /// `{"error":{"code","message",…}}`, as HTTP has it.
    pub(crate) fn to_body(&self) -> String {
        object(|w| w.object_in("error", |w| self.write(w)))
    }

    fn write(&self, w: &mut Writer) {
        let ErrorReply { code, message, detail } = self;
        w.text("code", code);
        w.text("message", message);
        if detail.is_by_application {
            w.text("by", "application");
        }
        w.if_some("field", detail.field.as_deref(), Writer::text);
        w.if_some("limit", detail.limit, Writer::number);
        w.if_some("retry_after_ms", detail.retry_after_ms, Writer::number);
        w.if_some("first", detail.first, Writer::number);
        w.if_some("count", detail.count, Writer::number);
        w.if_some("close", detail.close, Writer::number);
        w.if_some("data", detail.data.as_deref(), Writer::raw);
    }
}

/// How soon a refused request is worth a retry, in ms; none if it is not.
pub(crate) fn retry_after_ms(code: RefusalCode) -> Option<u64> {
    const STORE_RETRY_MS: u64 = 1_000;
    matches!(code, RefusalCode::Unavailable | RefusalCode::Overloaded).then_some(STORE_RETRY_MS)
}

impl From<&Refusal> for ErrorReply {
    fn from(refusal: &Refusal) -> ErrorReply {
        let detail = ErrorDetail {
            field: refusal.field.clone(),
            limit: refusal.limit,
            first: refusal.first,
            retry_after_ms: refusal.retry_after_ms.or_else(|| retry_after_ms(refusal.code)),
            ..ErrorDetail::default()
        };
        ErrorReply { detail, ..ErrorReply::new(refusal.code, refusal.message) }
    }
}

impl From<Fault> for ErrorReply {
    fn from(fault: Fault) -> ErrorReply {
        let detail = ErrorDetail {
            field: fault.field.map(Cow::Borrowed),
            limit: fault.limit,
            ..ErrorDetail::default()
        };
        ErrorReply { detail, ..ErrorReply::new(fault.code, fault.message) }
    }
}

impl From<Fault> for Box<ErrorReply> {
    fn from(fault: Fault) -> Box<ErrorReply> {
        Box::new(fault.into())
    }
}
