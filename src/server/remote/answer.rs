//! Turns a backend's answer into a reply or a refusal.

use crate::backend::{Failure, JobOutput, JobResult};
use crate::base::RefusalCode;
use crate::base::limits::JSON_DEPTH_MAX;
use crate::wire::error::ErrorReply;
use crate::wire::json::{self, Object};

/// The `retry_after_ms` of `unavailable`.
const RETRY_AFTER_MS: u64 = 1_000;
/// Mostly a slash at the end of the handler's `url` that is too many or too few.
const REDIRECTS: &str = "the backend redirects, which is not followed";
/// How a backend says, with 401, that a request is not signed with its secret.
const BAD_SIGNATURE: &str = "bad_signature";
const NO_OBJECT: &str = "the backend's answer is no object of JSON";

/// The result of a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum BackendReply {
    /// The reply has this payload, an object.
    Reply(String),
    /// The backend has refused it.
    Refuse(ErrorReply),
    /// The backend has failed.
    Fail(ErrorReply),
    /// It does not take this server's signature, which is no client's fault.
    Unsigned,
}

/// Judges the result of a call to the backend.
pub(crate) fn judge(outcome: JobResult) -> BackendReply {
    BackendReply::Fail(match outcome {
        Ok(JobOutput::Answer { status, body, .. }) => return judge_answer(status, &body),
        Ok(JobOutput::Data(_) | JobOutput::Nothing) => internal(NO_OBJECT),
        Err(Failure::TooLarge) => internal("the backend's answer is larger than it may be"),
        Err(Failure::Broken(_)) => unavailable("the exchange with the backend broke"),
        Err(Failure::Timeout) => unavailable("the backend has not answered in time"),
        Err(_) => unavailable("the backend cannot be reached"),
    })
}

fn judge_answer(status: u16, body: &[u8]) -> BackendReply {
    let text = str::from_utf8(body).ok();
    match status {
        200..=299 if body.trim_ascii().is_empty() => BackendReply::Reply("{}".to_owned()),
        200..=299 => match text.and_then(payload) {
            Some(payload) => BackendReply::Reply(payload.to_owned()),
            None => BackendReply::Fail(internal(NO_OBJECT)),
        },
        400..=499 => match text.and_then(own_refusal) {
            Some(own) if status == 401 && own.code == BAD_SIGNATURE => BackendReply::Unsigned,
            Some(own) => BackendReply::Refuse(own),
            None => BackendReply::Refuse(ErrorReply::new(
                RefusalCode::BadRequest,
                "the backend has refused it",
            )),
        },
        _ => {
            let own = text.and_then(own_refusal);
            let why =
                if (300..=399).contains(&status) { REDIRECTS } else { "the backend has failed" };
            BackendReply::Fail(own.unwrap_or_else(|| internal(why)))
        }
    }
}

/// An object that may be a payload, one level below the envelope.
fn payload(text: &str) -> Option<&str> {
    let whole = json::whole(text, JSON_DEPTH_MAX - 1).ok()?;
    Object::parse(whole).ok()?.map(|_| whole)
}

/// `{"error":{"code","message","retry_after_ms"?,"data"?}}`: the backend's own refusal.
fn own_refusal(text: &str) -> Option<ErrorReply> {
    let whole = Object::parse(payload(text)?).ok()??;
    let error = Object::parse(whole.get("error")?).ok()??;
    let code = json::string(error.get("code")?)?;
    let message = error.get("message").and_then(json::string).unwrap_or_default();
    let mut refused = ErrorReply::by_application(&code, &message, error.get("data"))?;
    refused.detail.retry_after_ms = error.get("retry_after_ms").and_then(|raw| raw.parse().ok());
    Some(refused)
}

fn internal(message: &'static str) -> ErrorReply {
    ErrorReply::new(RefusalCode::Internal, message)
}

fn unavailable(message: &'static str) -> ErrorReply {
    ErrorReply::new(RefusalCode::Unavailable, message).retry_after(RETRY_AFTER_MS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::limits::{REFUSAL_DATA_BYTES_MAX, REFUSAL_MESSAGE_BYTES_MAX};
    use crate::wire::error::ErrorDetail;

    fn answered(status: u16, body: &str) -> BackendReply {
        judge(Ok(JobOutput::Answer { status, fields: Vec::new(), body: body.as_bytes().to_vec() }))
    }

    fn code(verdict: &BackendReply) -> (&'static str, &str) {
        match verdict {
            BackendReply::Reply(_) => ("reply", "ok"),
            BackendReply::Refuse(refused) => ("refuse", &refused.code),
            BackendReply::Fail(refused) => ("fail", &refused.code),
            BackendReply::Unsigned => ("unsigned", ""),
        }
    }

    #[test]
    fn an_object_is_a_reply_as_it_came() {
        let body = r#" {"a": 1.50, "b": [ ]} "#;
        assert_eq!(answered(200, body), BackendReply::Reply(body.trim().to_owned()));
        assert_eq!(answered(204, ""), BackendReply::Reply("{}".to_owned()));
        for wrong in ["[]", "7", "{", "\"\\ud800\"", r#"{"a":1,"a":2}"#] {
            assert_eq!(code(&answered(200, wrong)), ("fail", "internal"), "{wrong}");
        }
        let bytes = Ok(JobOutput::Answer { status: 200, fields: Vec::new(), body: vec![0xff] });
        assert_eq!(code(&judge(bytes)), ("fail", "internal"));
    }

    #[test]
    fn a_refusal_is_in_the_backends_own_words() {
        let own =
            r#"{"error":{"code":"no_such_sign_7","message":"é","retry_after_ms":7,"data":[1.50]}}"#;
        let BackendReply::Refuse(refused) = answered(404, own) else { panic!("not refused") };
        assert_eq!((refused.code.as_ref(), refused.message.as_ref()), ("no_such_sign_7", "é"));
        let detail = ErrorDetail {
            is_by_application: true,
            retry_after_ms: Some(7),
            data: Some("[1.50]".into()),
            ..ErrorDetail::default()
        };
        assert_eq!(refused.detail, detail);
        assert_eq!(code(&answered(422, own)), ("refuse", "no_such_sign_7"));
        assert_eq!(code(&answered(503, own)), ("fail", "no_such_sign_7"));
        let parlors = r#"{"error":{"code":"rate_limited"}}"#;
        let BackendReply::Refuse(refused) = answered(429, parlors) else { panic!("not refused") };
        assert!(refused.detail.is_by_application && refused.detail.retry_after_ms.is_none());
    }

    #[test]
    fn another_secret_is_no_fault_of_the_clients() {
        let own = r#"{"error":{"code":"bad_signature","message":"of no concern to clients"}}"#;
        assert_eq!(answered(401, own), BackendReply::Unsigned);
        // Of an application's own signatures.
        assert_eq!(code(&answered(400, own)), ("refuse", "bad_signature"));
    }

    #[test]
    fn a_refusal_that_cannot_be_read_is_parlors() {
        let long = format!(r#"{{"error":{{"code":"{}"}}}}"#, "a".repeat(65));
        for other in [
            "",
            "{}",
            r#"{"error":{"code":"Made_up","message":"x"}}"#,
            r#"{"error":{"code":"","message":"x"}}"#,
            r#"{"error":{"code":"é"}}"#,
            r#"{"error":{"code":7}}"#,
            r#"{"error":7}"#,
            &long,
        ] {
            for (status, told) in [
                (400, ("refuse", "bad_request")),
                (500, ("fail", "internal")),
                (302, ("fail", "internal")),
            ] {
                let verdict = answered(status, other);
                assert_eq!(code(&verdict), told, "{other}");
                let (BackendReply::Refuse(refused) | BackendReply::Fail(refused)) = verdict else {
                    panic!()
                };
                assert!(!refused.detail.is_by_application, "{other}");
                assert_eq!(refused.message == REDIRECTS, status == 302, "{other}");
            }
        }
    }

    #[test]
    fn its_message_and_its_data_are_bounded() {
        let of = |message: usize, data: usize| {
            let (message, data) = ("é".repeat(message / 2), "x".repeat(data - 2));
            let own =
                format!(r#"{{"error":{{"code":"c","message":"{message}","data":"{data}"}}}}"#);
            let BackendReply::Refuse(refused) = answered(409, &own) else { panic!("not refused") };
            (refused.message.len(), refused.detail.data.map(|data| data.len()))
        };
        let (message, data) = (REFUSAL_MESSAGE_BYTES_MAX, REFUSAL_DATA_BYTES_MAX);
        assert_eq!(of(message, data), (message, Some(data)));
        assert_eq!(of(message + 2, data + 1), (message, None));
    }

    #[test]
    fn what_did_not_come_is_unavailable() {
        for failure in
            [Failure::Timeout, Failure::Unreached("x".into()), Failure::Broken("x".into())]
        {
            let verdict = judge(Err(failure));
            assert_eq!(code(&verdict), ("fail", "unavailable"));
        }
        assert_eq!(code(&judge(Err(Failure::TooLarge))), ("fail", "internal"));
    }
}
