//! Webhooks: others post a stream's data, signed with a shared secret.

use super::deliveries::{Delivery, DeliveryState};
use super::table::Sources;
use crate::auth::TOO_MANY_FAILED;
use crate::auth::failed_proofs::TooManyFailed;
use crate::base::declaration::Declaration;
use crate::base::limits::{DELIVERY_ID_BYTES_MAX, JSON_DEPTH_MAX};
use crate::base::pattern::Pattern;
use crate::base::{Moment, StreamId, Timestamp};
use crate::config::Feed;
use crate::http1::head::query_value;
use crate::http1::response::other_methods;
use crate::http1::{HttpRefusal, RequestHead, Response, Status};
use crate::routes::stream_path::stream_of;
use crate::wire::{encode, json};
use std::sync::Arc;

/// The field with the signature, by GitHub's name.
const SIGNATURE: &str = "x-hub-signature-256";

/// A message to a webhook whose head has been judged.
#[derive(Debug)]
pub(crate) struct Hook {
    /// The stream that it is for.
    pub(crate) stream: StreamId,
    /// The place of its feed in the configuration.
    pub(crate) feed: usize,
    pub(crate) signature: String,
}

/// The webhook at a path, if there is one. An error is why the request is no message to it.
pub(crate) fn hook_at(
    head: &RequestHead<'_>,
    feeds: &[Feed],
    streams: &[Declaration],
) -> Option<Result<Hook, Response>> {
    let (feed, stream) = find_webhook(head.path, feeds, streams)?;
    if head.method != "POST" {
        return Some(Err(other_methods("POST")));
    }
    // Without a signature its content is not waited for.
    Some(match head.only(SIGNATURE) {
        Ok(Some(signature)) => Ok(Hook { stream, feed, signature: signature.to_owned() }),
        Ok(None) | Err(_) => Err(unsigned().into()),
    })
}

/// The place of the feed whose webhook is at a path, and the stream that it is for.
pub(crate) fn find_webhook(
    path: &str,
    feeds: &[Feed],
    streams: &[Declaration],
) -> Option<(usize, StreamId)> {
    feeds.iter().enumerate().find_map(|(place, feed)| {
        let template = feed.webhook.as_ref()?.path.as_ref();
        Some((place, stream_of(template, path, &feed.pattern, streams)?))
    })
}

pub(crate) fn unsigned() -> HttpRefusal {
    let message = "X-Hub-Signature-256 is not the signature of the content";
    HttpRefusal::new(Status::Unauthorized, "unauthorized", message)
}

/// A message to a webhook that waits for the stream.
#[derive(Debug)]
pub(crate) struct HookCall {
    pub(crate) stream: StreamId,
    /// The stream's declared pattern.
    pub(crate) pattern: Pattern,
    /// The id that its sender gave it.
    pub(crate) delivery: Option<Delivery>,
    pub(crate) status: Status,
    pub(crate) body: Option<Arc<str>>,
}

impl HookCall {
    /// The answer; `payload` is the usual one.
    pub(crate) fn answer(&self, mut payload: String) -> Response {
        let Some(body) = &self.body else {
            payload.push('\n');
            return Response::new(self.status, JSON, payload.into_bytes());
        };
        let kind = if json::whole(body, JSON_DEPTH_MAX).is_ok() { JSON } else { PLAIN };
        Response::new(self.status, kind, body.as_bytes().to_vec())
    }
}

const JSON: &str = "application/json";
const PLAIN: &str = "text/plain; charset=utf-8";

/// Whether the content is declared to be a form.
pub(crate) fn is_form(head: &RequestHead<'_>) -> bool {
    let kind = head.only("content-type").ok().flatten().unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

/// The form's member `payload`, which is GitHub's default. Content that begins as JSON is not a
/// form, whatever its type, because `curl` declares everything that it posts as a form.
pub(crate) fn of_form(head: &RequestHead<'_>, content: &[u8]) -> Option<Vec<u8>> {
    let is_json = matches!(content.trim_ascii_start().first(), Some(b'{' | b'['));
    let form = str::from_utf8(content).ok().filter(|_| is_form(head) && !is_json)?;
    Some(query_value(form, "payload")?.ok()?.into_owned().into_bytes())
}

impl Sources {
    /// A delivery comes to a webhook. Returns its state if it came before.
    pub(crate) fn begin_delivery(
        &mut self,
        now: Moment,
        pattern: &Pattern,
        delivery: &Delivery,
    ) -> Option<DeliveryState> {
        self.feeds.get_mut(pattern.as_str())?.deliveries.begin(now, delivery)
    }

    /// A message to a webhook is published, or not.
    pub(crate) fn hook_done(&mut self, call: &HookCall, published: Option<(u64, Timestamp)>) {
        let running = self.feeds.get_mut(call.pattern.as_str());
        if let (Some(running), Some(delivery)) = (running, &call.delivery) {
            running.deliveries.done(delivery, published);
        }
    }
}

pub(crate) fn too_many_failed(TooManyFailed(wait_ms): TooManyFailed) -> Response {
    let refusal = HttpRefusal::new(Status::TooManyRequests, "rate_limited", TOO_MANY_FAILED);
    Response { ends: true, ..Response::from(refusal).with_retry_after(wait_ms) }
}

/// The id of a delivery, if it has one.
pub(crate) fn delivery(head: &RequestHead<'_>, field: &str) -> Result<Option<Arc<str>>, String> {
    let mut ids = head.all(field);
    match (ids.next(), ids.next()) {
        (None | Some(""), None) => Ok(None),
        (Some(id), None) if id.len() <= DELIVERY_ID_BYTES_MAX => Ok(Some(id.into())),
        (_, Some(_)) | (Some(_), None) => {
            Err(format!("{field} comes once, and has at most {DELIVERY_ID_BYTES_MAX} bytes"))
        }
    }
}

/// The usual answer to a delivery that was published before.
pub(crate) fn again(call: &HookCall, seq: u64, ts: Timestamp) -> String {
    encode::payload(|w| {
        w.text("stream", call.stream.as_str());
        w.number("seq", seq);
        w.number("ts", ts.0);
        w.flag("duplicate", true);
    })
}

pub(crate) fn later(message: &str) -> HttpRefusal {
    HttpRefusal::new(Status::ServiceUnavailable, "unavailable", message)
}
