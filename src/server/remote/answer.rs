//! What a backend has answered → a reply, or a refusal.

use crate::base::limits::{BACKEND_REASON_BYTES_MAX, JSON_DEPTH_MAX};
use crate::hub::RefusalCode;
use crate::server::backend::{Failure, Got, JobResult};
use crate::server::json::{self, Object};
use std::borrow::Cow;

/// In which case it is worth trying again after so long, in ms.
const RETRY_AFTER_MS: u64 = 1_000;

/// What becomes of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is answered with this payload, an object.
    Reply(String),
    /// It is refused, in the backend's own words.
    Refuse(Refused),
    /// The backend has failed.
    Fail(Refused),
}

/// Why a request is refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) code: RefusalCode,
    pub(super) message: Cow<'static, str>,
    pub(super) retry_after_ms: Option<u64>,
}

/// Judges what came of a request.
pub(super) fn judge(outcome: JobResult) -> Verdict {
    let (status, body) = match outcome {
        Ok(Got::Answer { status, body, .. }) => (status, body),
        Ok(Got::Data(_) | Got::Nothing) => return Verdict::Fail(no_answer()),
        Err(Failure::TooLarge) => {
            let message = "the backend's answer is larger than it may be";
            return Verdict::Fail(refused(RefusalCode::Internal, message));
        }
        Err(Failure::Broken(_)) => {
            let message = "the exchange with the backend broke";
            return Verdict::Fail(unavailable(message));
        }
        Err(Failure::Timeout) => {
            return Verdict::Fail(unavailable("the backend has not answered in time"));
        }
        Err(_) => return Verdict::Fail(unavailable("the backend cannot be reached")),
    };
    let text = str::from_utf8(&body).ok();
    match status {
        200..=299 if body.trim_ascii().is_empty() => Verdict::Reply("{}".to_owned()),
        200..=299 => match text.and_then(payload) {
            Some(payload) => Verdict::Reply(payload.to_owned()),
            None => Verdict::Fail(no_answer()),
        },
        400..=499 => Verdict::Refuse(
            text.and_then(worded)
                .unwrap_or_else(|| refused(RefusalCode::BadRequest, "the backend has refused it")),
        ),
        _ => Verdict::Fail(
            text.and_then(worded)
                .unwrap_or_else(|| refused(RefusalCode::Internal, "the backend has failed")),
        ),
    }
}

/// An object that may be a payload: around it there is the envelope.
fn payload(text: &str) -> Option<&str> {
    let whole = json::whole(text, JSON_DEPTH_MAX - 1).ok()?;
    Object::parse(whole).ok()?.map(|_| whole)
}

/// `{"error":{"code","message","retry_after_ms"?}}`, with a code that clients know.
fn worded(text: &str) -> Option<Refused> {
    let whole = Object::parse(payload(text)?).ok()??;
    let error = Object::parse(whole.get("error")?).ok()??;
    let code = json::string(error.get("code")?)?;
    let code = *RefusalCode::ALL.iter().find(|known| known.as_str() == code)?;
    let message = error.get("message").and_then(json::string).unwrap_or_default().into_owned();
    let cut = message.floor_char_boundary(BACKEND_REASON_BYTES_MAX);
    let message = message.get(..cut).unwrap_or_default().to_owned().into();
    let retry_after_ms = error.get("retry_after_ms").and_then(|raw| raw.parse().ok());
    Some(Refused { code, message, retry_after_ms })
}

fn no_answer() -> Refused {
    refused(RefusalCode::Internal, "the backend's answer is no object of JSON")
}

fn refused(code: RefusalCode, message: &'static str) -> Refused {
    Refused { code, message: message.into(), retry_after_ms: None }
}

fn unavailable(message: &'static str) -> Refused {
    let retry_after_ms = Some(RETRY_AFTER_MS);
    Refused { retry_after_ms, ..refused(RefusalCode::Unavailable, message) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16, body: &str) -> Verdict {
        judge(Ok(Got::Answer { status, fields: Vec::new(), body: body.as_bytes().to_vec() }))
    }

    fn code(verdict: &Verdict) -> (&'static str, &str) {
        match verdict {
            Verdict::Reply(_) => ("reply", "ok"),
            Verdict::Refuse(refused) => ("refuse", refused.code.as_str()),
            Verdict::Fail(refused) => ("fail", refused.code.as_str()),
        }
    }

    #[test]
    fn an_object_is_a_reply_as_it_came() {
        let body = r#" {"a": 1.50, "b": [ ]} "#;
        assert_eq!(answered(200, body), Verdict::Reply(body.trim().to_owned()));
        assert_eq!(answered(204, ""), Verdict::Reply("{}".to_owned()));
        for wrong in ["[]", "7", "{", "\"\\ud800\"", r#"{"a":1,"a":2}"#] {
            assert_eq!(code(&answered(200, wrong)), ("fail", "internal"), "{wrong}");
        }
        let bytes = Ok(Got::Answer { status: 200, fields: Vec::new(), body: vec![0xff] });
        assert_eq!(code(&judge(bytes)), ("fail", "internal"));
    }

    #[test]
    fn a_refusal_has_a_code_that_clients_know() {
        let known = r#"{"error":{"code":"no_such_room","message":"é","retry_after_ms":7}}"#;
        let Verdict::Refuse(refused) = answered(404, known) else { panic!("not refused") };
        assert_eq!((refused.message.as_ref(), refused.retry_after_ms), ("é", Some(7)));
        assert_eq!(code(&answered(422, known)), ("refuse", "no_such_room"));
        assert_eq!(code(&answered(503, known)), ("fail", "no_such_room"));
        for other in ["", "{}", r#"{"error":{"code":"made_up","message":"x"}}"#, r#"{"error":7}"#] {
            assert_eq!(code(&answered(400, other)), ("refuse", "bad_request"), "{other}");
            assert_eq!(code(&answered(500, other)), ("fail", "internal"), "{other}");
            assert_eq!(code(&answered(302, other)), ("fail", "internal"), "{other}");
        }
        let long = format!(r#"{{"error":{{"code":"quota","message":"{}"}}}}"#, "é".repeat(500));
        let Verdict::Refuse(refused) = answered(409, &long) else { panic!("not refused") };
        assert!(refused.message.len() <= BACKEND_REASON_BYTES_MAX);
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
