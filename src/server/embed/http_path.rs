//! HTTP requests for the embedding program, and its answers.

use super::handle_error::HandleError;
use super::handler::Caller;
use super::shared::Shared;
use crate::auth::Access;
use crate::base::limits::PATH_ANSWER_FIELDS_MAX;
use crate::http1::response::readable_by;
use crate::http1::{Response, Status};
use crate::web::Exchange;
use serde_json::Value;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// An HTTP request on a path of the program.
#[derive(Clone, Debug)]
pub struct PathRequest {
    /// The method, such as `GET`; a `HEAD` is answered as its `GET`, without the content.
    pub method: String,
    /// The path, as it came.
    pub path: String,
    /// The values of the registered path's parameters, percent-decoded.
    pub params: Vec<(String, String)>,
    /// What follows the path's `?`, as it came.
    pub query: String,
    /// The header fields, with names in lower case. Tokens, and fields that are not ASCII, are left
    /// out.
    pub fields: Vec<(String, String)>,
    /// The content, of at most `http.body_bytes`.
    pub body: Vec<u8>,
    /// Who sends it, if known.
    pub caller: Option<Caller>,
    /// The address that it comes from.
    pub address: IpAddr,
}

impl PathRequest {
    /// The value of `{name}` in the path.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&str> {
        value(&self.params, name)
    }

    /// The first header field with this name, which is given in lower case.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        value(&self.fields, name)
    }

    /// The content as JSON.
    ///
    /// # Errors
    /// If it is not JSON.
    pub fn json(&self) -> Result<Value, serde_json::Error> {
        serde_json::from_slice(&self.body)
    }
}

fn value<'v>(of: &'v [(String, String)], name: &str) -> Option<&'v str> {
    of.iter().find(|(one, _)| one == name).map(|(_, value)| value.as_str())
}

/// An answer to an HTTP request.
#[derive(Clone, Debug)]
pub struct PathAnswer {
    response: Response,
}

impl PathAnswer {
    /// An answer with content of the given type, such as `text/html; charset=utf-8`.
    pub fn new(
        status: Status,
        content_type: &str,
        body: impl Into<Vec<u8>>,
    ) -> Result<PathAnswer, HandleError> {
        if !is_value(content_type) {
            return Err(HandleError::Field);
        }
        let response = Response::new(status, content_type.to_owned(), body.into());
        Ok(PathAnswer { response })
    }

    /// An answer with JSON.
    #[must_use]
    pub fn json(status: Status, value: &Value) -> PathAnswer {
        PathAnswer {
            response: Response::new(status, "application/json", value.to_string().into_bytes()),
        }
    }

    /// Adds a header field. The fields that frame the answer are the server's.
    ///
    /// # Errors
    /// [`HandleError::Field`] for an invalid field (RFC 9110 §5.1, §5.5), for one of the server's,
    /// and for more than [`PATH_ANSWER_FIELDS_MAX`].
    pub fn with(mut self, name: &str, value: &str) -> Result<PathAnswer, HandleError> {
        const SERVERS: &[&str] = &[
            "connection",
            "content-length",
            "content-type",
            "date",
            "keep-alive",
            "trailer",
            "transfer-encoding",
            "upgrade",
        ];
        let is_token = !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte));
        let is_servers = SERVERS.iter().any(|one| one.eq_ignore_ascii_case(name));
        let is_full = self.response.fields.len() >= PATH_ANSWER_FIELDS_MAX;
        if !is_token || is_servers || is_full || !is_value(value) {
            return Err(HandleError::Field);
        }
        self.response = self.response.with(name.to_owned(), value.to_owned());
        Ok(self)
    }
}

/// RFC 9110 §5.5: visible characters, with spaces and tabs between them.
fn is_value(value: &str) -> bool {
    value.bytes().all(|byte| byte == b'\t' || (b' '..=b'~').contains(&byte))
        && value.trim() == value
}

/// Answers one request, at once or later, from any thread. If it is dropped without an answer, the
/// answer is 500.
#[derive(Debug)]
pub struct PathReply {
    pub(crate) shared: Arc<Shared>,
    /// `None` when it is answered.
    pub(crate) to: Option<Exchange>,
    pub(crate) origin: Option<Box<str>>,
    /// Bytes of the request's content, which count until it is answered.
    pub(crate) bytes: usize,
}

impl PathReply {
    /// Sends the answer. The client may have gone meanwhile.
    ///
    /// # Errors
    /// [`HandleError::Stopped`].
    pub fn send(mut self, answer: PathAnswer) -> Result<(), HandleError> {
        self.answer(answer)
    }

    fn answer(&mut self, answer: PathAnswer) -> Result<(), HandleError> {
        let response = readable_by(answer.response, self.origin.as_deref());
        let answered = self.to.take().map(|to| (to, response, self.bytes));
        let thread = answered.as_ref().map_or(0, |(to, ..)| to.conn().reactor());
        self.shared.answer(thread, |queue| queue.path_answers.extend(answered))
    }
}

impl Drop for PathReply {
    fn drop(&mut self) {
        if self.to.is_some() {
            let error = serde_json::json!({
                "error": { "code": "internal", "message": "the handler has not answered" },
            });
            let _ = self.answer(PathAnswer::json(Status::InternalServerError, &error));
        }
    }
}

type HttpFn = dyn Fn(PathRequest, PathReply) + Send + Sync;

/// The program's function for a path.
#[derive(Clone)]
pub(crate) struct HttpPath {
    pub(crate) method: &'static str,
    pub(crate) template: String,
    pub(crate) access: Access,
    pub(crate) run: Arc<HttpFn>,
}

impl HttpPath {
    pub(crate) fn new(
        method: &'static str,
        template: &str,
        access: Access,
        run: impl Fn(PathRequest, PathReply) + Send + Sync + 'static,
    ) -> HttpPath {
        HttpPath { method, template: template.to_owned(), access, run: Arc::new(run) }
    }
}

impl fmt::Debug for HttpPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let HttpPath { method, template, access, .. } = self;
        write!(f, "HttpPath({method} {template} {access:?})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_no_field_that_could_be_two() {
        let answer = || PathAnswer::json(Status::Ok, &Value::Null);
        assert!(answer().with("X-Queue", "a b").is_ok());
        for (name, value) in [
            ("", "x"),
            ("X Y", "x"),
            ("X:", "x"),
            ("X", "a\r\nB: c"),
            ("X", "a\nb"),
            ("X", " a"),
            ("X", "é"),
            ("Content-Length", "1"),
            ("transfer-encoding", "chunked"),
        ] {
            assert!(answer().with(name, value).is_err(), "{name}: {value:?}");
        }
        assert!(PathAnswer::new(Status::Ok, "text/html\r\nX: y", "").is_err());
        let mut full = answer();
        for _ in 0..PATH_ANSWER_FIELDS_MAX {
            full = full.with("X", "y").unwrap();
        }
        assert!(full.with("X", "y").is_err());
    }
}
