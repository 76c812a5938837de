//! Turns the backend's answer into who sends a request, or a refusal.

use crate::auth::Proof;
use crate::backend::{Failure, JobOutput, JobResult};
use crate::base::limits::LOG_VALUE_BYTES_MAX;
use crate::http1::{HttpRefusal, Response, Status};
use crate::server::http::unauthorized;
use serde::Deserialize;
use serde_json::Value;
use std::time::Duration;

/// Mostly a slash at the end of `auth.url` that is too many or too few.
const REDIRECTS: &str = "the backend redirects, and does not say who you are";

/// `{"user":{"id","name"?,"admin"?},"publish"?,"subscribe"?,"expires_in"?}`, or `{"user":null}`
/// for a guest.
#[derive(Deserialize)]
struct ProofJson {
    /// It may be null, but not missing.
    #[serde(deserialize_with = "Option::deserialize")]
    user: Option<UserJson>,
    #[serde(default)]
    publish: Option<Vec<String>>,
    #[serde(default)]
    subscribe: Option<Vec<String>>,
    /// In seconds.
    #[serde(default)]
    expires_in: Option<u32>,
}

#[derive(Deserialize)]
struct UserJson {
    id: Id,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    admin: bool,
}

/// A user's id: a text, or an integer, which becomes its digits.
#[derive(Deserialize)]
#[serde(untagged)]
enum Id {
    Text(String),
    Integer(u64),
}

/// The backend's verdict.
#[derive(Debug)]
pub(crate) enum ProofVerdict {
    Accept(Proof),
    /// The request counts as one that shows nothing.
    Guest,
    Refuse(Response),
    /// It has failed.
    Fail(Response),
}

/// Judges the backend's answer.
pub(crate) fn judge(outcome: JobResult) -> ProofVerdict {
    match outcome {
        Ok(JobOutput::Answer { status: 200..=299, body, .. }) => {
            accept(&body).unwrap_or_else(|| {
                ProofVerdict::Fail(unavailable("the backend does not say who you are"))
            })
        }
        Ok(JobOutput::Answer { status: status @ (401 | 403), fields, body }) => {
            ProofVerdict::Refuse(forward_refusal(status, fields, body))
        }
        // The backend does not accept what the client has shown: it redirects to a login, cannot
        // read a field, or has had too many tries. That is the client's failure, not the backend's.
        Ok(JobOutput::Answer { status: 429, .. }) => {
            ProofVerdict::Refuse(unavailable("the backend wants to be asked later"))
        }
        Ok(JobOutput::Answer { status: 300..=399, .. }) => {
            ProofVerdict::Refuse(unauthorized(REDIRECTS).into())
        }
        Ok(JobOutput::Answer { status: 400..=499, .. }) => {
            ProofVerdict::Refuse(unauthorized("the backend does not say who you are").into())
        }
        Err(Failure::Full) => ProofVerdict::Fail(unavailable(
            "too many connections wait for the backend to identify them",
        )),
        Ok(_) | Err(_) => ProofVerdict::Fail(unavailable("the backend cannot say who you are now")),
    }
}

fn accept(body: &[u8]) -> Option<ProofVerdict> {
    let ProofJson { user, publish, subscribe, expires_in } = serde_json::from_slice(body).ok()?;
    // Serde takes an array for an object.
    let told: Value = serde_json::from_slice(body).ok()?;
    if !told.is_object() || told["user"].is_array() {
        return None;
    }
    let Some(user) = user else {
        // What a guest may do the streams say.
        let has_none = publish.is_none() && subscribe.is_none() && expires_in.is_none();
        return has_none.then_some(ProofVerdict::Guest);
    };
    let id = match user.id {
        Id::Text(id) => id,
        Id::Integer(id) => id.to_string(),
    };
    let expires_in = expires_in.map(|seconds| Duration::from_secs(seconds.into()));
    let (name, admin) = (user.name, user.admin);
    Some(ProofVerdict::Accept(Proof { user: id, name, admin, publish, subscribe, expires_in }))
}

/// Hands on the backend's text and its `WWW-Authenticate`.
fn forward_refusal(status: u16, fields: Vec<(String, String)>, body: Vec<u8>) -> Response {
    let status = if status == 401 { Status::Unauthorized } else { Status::Forbidden };
    let of = |wanted: &str| {
        let found = fields.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        found.map(|(_, value)| value.clone())
    };
    let content_type = of("content-type");
    let why = sentence(&body);
    let response = match content_type.filter(|_| !body.is_empty()) {
        Some(content_type) if content_type.starts_with("application/json") => {
            Response::new(status, "application/json", body)
        }
        // Nothing else: the backend's page must not appear as one of this server.
        Some(content_type) if content_type.starts_with("text/plain") => {
            Response::new(status, "text/plain; charset=utf-8", body)
        }
        Some(_) | None => {
            let code = if status == Status::Unauthorized { "unauthorized" } else { "forbidden" };
            HttpRefusal::new(status, code, "the backend does not let you in").into()
        }
    };
    let response = Response { why: why.or(response.why), ..response };
    match (status, of("www-authenticate")) {
        (Status::Unauthorized, Some(challenge)) => response.with("WWW-Authenticate", challenge),
        // RFC 9110 §15.5.2: a 401 has a challenge.
        (Status::Unauthorized, None) => response.with("WWW-Authenticate", "Bearer"),
        _ => response,
    }
}

/// What a backend's refusal says to people, in the form that this server's have.
fn sentence(body: &[u8]) -> Option<Box<str>> {
    let told: Value = serde_json::from_slice(body).ok()?;
    let message = told["error"]["message"].as_str()?;
    Some(message[..message.floor_char_boundary(LOG_VALUE_BYTES_MAX)].into())
}

pub(crate) fn unavailable(message: &'static str) -> Response {
    let refusal = HttpRefusal::new(Status::ServiceUnavailable, "unavailable", message);
    refusal.with(&[("Retry-After", "1")]).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(status: u16, body: &str) -> ProofVerdict {
        let fields = vec![
            ("content-type".to_owned(), "application/json".to_owned()),
            ("www-authenticate".to_owned(), "Basic realm=\"x\"".to_owned()),
        ];
        judge(Ok(JobOutput::Answer { status, fields, body: body.as_bytes().to_vec() }))
    }

    #[test]
    fn who_is_let_in_is_who_the_backend_says() {
        let whole = r#"{"user":{"id":"ada","name":"Ada","admin":true},"publish":["a:*"],"subscribe":[],"expires_in":60,"more":1}"#;
        let ProofVerdict::Accept(proof) = said(200, whole) else { panic!("not let in") };
        assert_eq!(
            (proof.user.as_str(), proof.name.as_deref(), proof.admin),
            ("ada", Some("Ada"), true)
        );
        assert_eq!(proof.expires_in, Some(Duration::from_secs(60)));
        assert_eq!((proof.publish.unwrap().len(), proof.subscribe.unwrap().len()), (1, 0));
        let ProofVerdict::Accept(proof) = said(200, r#"{"user":{"id":7}}"#) else {
            panic!("not let in")
        };
        assert_eq!(proof, Proof::user("7"));
        for wrong in [
            "",
            "{}",
            "[null]",
            r#"[["ada"]]"#,
            r#"{"user":["ada"]}"#,
            r#"{"user":{"id":"ada"},"user":null}"#,
            r#"{"user":"ada"}"#,
            r#"{"user":{"id":null}}"#,
            r#"{"user":{"id":-1}}"#,
        ] {
            assert!(matches!(said(200, wrong), ProofVerdict::Fail(_)), "{wrong}");
        }
    }

    #[test]
    fn nobody_is_a_guest_and_has_no_rights() {
        for guest in [r#"{"user":null}"#, r#"{"user":null,"more":1}"#] {
            assert!(matches!(said(200, guest), ProofVerdict::Guest), "{guest}");
        }
        for more in [r#""publish":["*"]"#, r#""subscribe":[]"#, r#""expires_in":1"#] {
            let wrong = format!(r#"{{"user":null,{more}}}"#);
            assert!(matches!(said(200, &wrong), ProofVerdict::Fail(_)), "{wrong}");
        }
    }

    #[test]
    fn a_refusal_is_handed_on_and_a_failure_is_503() {
        let ProofVerdict::Refuse(response) = said(401, r#"{"why":"expired"}"#) else { panic!() };
        assert_eq!(response.status, Status::Unauthorized);
        let field = response.fields.iter().find(|(name, _)| *name == "WWW-Authenticate");
        assert_eq!(field.unwrap().1, "Basic realm=\"x\"");
        let ProofVerdict::Refuse(response) = said(403, "{}") else { panic!() };
        assert_eq!(response.status, Status::Forbidden);
        // What a client shows does not count as a failure of the backend.
        for (status, expected) in [
            (302, Status::Unauthorized),
            (404, Status::Unauthorized),
            (431, Status::Unauthorized),
            (429, Status::ServiceUnavailable),
        ] {
            let ProofVerdict::Refuse(response) = said(status, "{}") else { panic!("{status}") };
            assert_eq!(response.status, expected);
            let told = str::from_utf8(&response.body).unwrap();
            assert_eq!(told.contains(REDIRECTS), status == 302, "{told}");
        }
        for status in [500, 503] {
            let ProofVerdict::Fail(response) = said(status, "{}") else { panic!("{status}") };
            assert_eq!(response.status, Status::ServiceUnavailable);
        }
        assert!(matches!(judge(Err(Failure::Timeout)), ProofVerdict::Fail(_)));
    }
}
