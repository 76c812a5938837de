//! Webhooks: what others post of a stream, signed with a secret that they share with us.

use super::deliveries::{Delivery, State};
use super::running::picks;
use super::table::Sources;
use crate::base::limits::{DELIVERY_ID_BYTES_MAX, JSON_DEPTH_MAX};
use crate::base::{Moment, StreamId, Timestamp};
use crate::hub::streams::{Declaration, Pattern, Publisher};
use crate::hub::{Input, Origin};
use crate::protocol::handshake::request::query_value;
use crate::protocol::handshake::{Refusal, RequestHead, Response, Status};
use crate::server::auth::TOO_MANY_FAILED;
use crate::server::backend::picked;
use crate::server::calls::Waiting;
use crate::server::chat::Chat;
use crate::server::config::Feed;
use crate::server::encode;
use crate::server::failed_proofs::TooManyFailed;
use crate::server::http::{HttpCall, other_methods};
use crate::server::json;
use crate::server::streams::stream_of;
use crate::server::web::{Address, Answer, Exchange, Net, Request};
use crate::store::Backend;
use std::sync::Arc;

/// The field with the signature, as GitHub names it.
const SIGNATURE: &str = "x-hub-signature-256";

/// A message to a webhook, whose head was judged.
#[derive(Debug)]
pub(in crate::server) struct Hook {
    /// The stream that it is for.
    stream: StreamId,
    /// The place of its feed in the configuration.
    feed: usize,
    signature: String,
}

/// The webhook at a path, if there is one; or why this is no message to it.
pub(in crate::server) fn hook_at(
    head: &RequestHead<'_>,
    feeds: &[Feed],
    streams: &[Declaration],
) -> Option<Result<Hook, Response>> {
    let (feed, stream) = hooked(head.path, feeds, streams)?;
    if head.method != "POST" {
        return Some(Err(other_methods("POST")));
    }
    // Nobody's content is waited for who shows no signature.
    Some(match head.only(SIGNATURE) {
        Ok(Some(signature)) => Ok(Hook { stream, feed, signature: signature.to_owned() }),
        Ok(None) | Err(_) => Err(unsigned().into()),
    })
}

/// The place of the feed whose webhook is at a path, and the stream that it is for.
pub(in crate::server) fn hooked(
    path: &str,
    feeds: &[Feed],
    streams: &[Declaration],
) -> Option<(usize, StreamId)> {
    feeds.iter().enumerate().find_map(|(place, feed)| {
        let template = feed.webhook.as_ref()?.path.as_ref();
        Some((place, stream_of(template, path, &feed.pattern, streams)?))
    })
}

fn unsigned() -> Refusal {
    let message = "X-Hub-Signature-256 is not the signature of the content";
    Refusal::new(Status::Unauthorized, "unauthorized", message)
}

/// A message to a webhook that waits for the stream.
#[derive(Debug)]
pub(in crate::server) struct HookCall {
    pub(in crate::server) stream: StreamId,
    /// The stream as it is declared.
    pattern: Pattern,
    /// What its sender calls it.
    delivery: Option<Delivery>,
    status: Status,
    body: Option<Arc<str>>,
}

impl HookCall {
    /// The answer, where the usual one is `payload`.
    pub(in crate::server) fn answer(&self, mut payload: String) -> Response {
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

/// Whether a content is said to be a form.
pub(in crate::server) fn is_form(head: &RequestHead<'_>) -> bool {
    let kind = head.only("content-type").ok().flatten().unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

/// The content's member with the data, where it is a form: GitHub's default. A content that begins as JSON does is
/// no form, whatever its type: `curl` calls all that it posts one.
fn of_form(head: &RequestHead<'_>, content: &[u8]) -> Option<Vec<u8>> {
    let is_json = matches!(content.trim_ascii_start().first(), Some(b'{' | b'['));
    let form = str::from_utf8(content).ok().filter(|_| is_form(head) && !is_json)?;
    Some(query_value(form, "payload")?.ok()?.into_owned().into_bytes())
}

impl Sources {
    /// A delivery comes to a webhook. If it has come before: how far that is.
    fn begin_delivery(
        &mut self,
        now: Moment,
        pattern: &Pattern,
        delivery: &Delivery,
    ) -> Option<State> {
        self.feeds.get_mut(pattern.as_str())?.deliveries.begin(now, delivery)
    }

    /// What has come to a webhook is published, or not.
    pub(in crate::server) fn hook_done(
        &mut self,
        call: &HookCall,
        published: Option<(u64, Timestamp)>,
    ) {
        let running = self.feeds.get_mut(call.pattern.as_str());
        if let (Some(running), Some(delivery)) = (running, &call.delivery) {
            running.deliveries.done(delivery, published);
        }
    }
}

fn too_many_failed(TooManyFailed(wait_ms): TooManyFailed) -> Response {
    let refusal = Refusal::new(Status::TooManyRequests, "rate_limited", TOO_MANY_FAILED);
    let seconds = wait_ms.div_ceil(1_000).max(1).to_string();
    Response { ends: true, ..Response::from(refusal).with("Retry-After", seconds) }
}

impl<S: Backend> Chat<S> {
    /// Why a content that is signed need not come from an address, if none would be looked at.
    pub(in crate::server) fn cannot_pay(
        &self,
        net: &Net<'_>,
        address: Address,
    ) -> Option<Response> {
        let payer = self.failed_proofs.payer(address, net.now(), &self.config.limits);
        payer.can_pay().err().map(too_many_failed)
    }

    /// Publishes what was posted to a webhook.
    pub(in crate::server) fn hook(
        &mut self,
        net: &mut Net<'_>,
        exchange: Exchange,
        request: &Request<'_>,
        hook: Hook,
    ) -> Answer {
        let Hook { stream, feed, signature } = hook;
        let Some(feed) = self.config.feeds.get(feed) else { return unsigned().into() };
        let Some(webhook) = &feed.webhook else { return unsigned().into() };
        let limits = &self.config.limits;
        let payer = self.failed_proofs.payer(Address::of(request.peer), net.now(), limits);
        let paid = match payer.pay(request.body.len()) {
            Ok(paid) => paid,
            Err(too_many) => return Answer::Respond(too_many_failed(too_many)),
        };
        if !webhook.secret.has_signed(request.body, &signature) {
            return unsigned().into();
        }
        payer.give_back(paid);
        if self.sources.is_paused(feed.pattern.as_str()) {
            return later("this webhook is paused", &[("Retry-After", "60")]).into();
        }
        let declaration = self.hub.streams().declaration(&stream);
        let is_binary = declaration.is_some_and(|declaration| declaration.binary);
        let form = if is_binary { None } else { of_form(request.head, request.body) };
        let content = form.unwrap_or_else(|| request.body.to_vec());
        let data = picked(content, &picks(is_binary, webhook.pointer.as_deref()));
        let data = data.map_err(|failure| failure.to_string());
        let named = delivery(request.head, &webhook.delivery);
        let (data, delivery) = match data.and_then(|data| Ok((data, named?))) {
            Ok(read) => read,
            Err(why) => {
                self.counters.refused("bad_request");
                self.source_refused(&stream, &why);
                return Refusal::new(Status::BadRequest, "bad_request", why).into();
            }
        };
        let delivery = delivery.map(|id| (stream.clone(), id));
        let (status, body) = (webhook.status, webhook.body.clone());
        let (pattern, now) = (feed.pattern.clone(), net.now());
        let call = HookCall { stream, pattern, delivery, status, body };
        let delivery = call.delivery.as_ref();
        match delivery.and_then(|one| self.sources.begin_delivery(now, &call.pattern, one)) {
            Some(State::Published(seq, ts)) => Answer::Respond(call.answer(again(&call, seq, ts))),
            Some(State::UnderWay) => {
                later("this delivery is being published", &[("Retry-After", "1")]).into()
            }
            None => {
                let stream = call.stream.clone();
                let call = HttpCall::of_hook(exchange, call);
                let origin = Origin::Call(self.new_call(Waiting::Http(Box::new(call))));
                let publisher = Publisher::Source;
                self.decide(net, Input::Publish { origin, publisher, stream, data, id: None });
                Answer::Later
            }
        }
    }
}

/// What a delivery is called, if it says so.
fn delivery(head: &RequestHead<'_>, field: &str) -> Result<Option<Arc<str>>, String> {
    let mut ids = head.named(field);
    match (ids.next(), ids.next()) {
        (None | Some(""), None) => Ok(None),
        (Some(id), None) if id.len() <= DELIVERY_ID_BYTES_MAX => Ok(Some(id.into())),
        (_, Some(_)) | (Some(_), None) => {
            Err(format!("{field} comes once, and has at most {DELIVERY_ID_BYTES_MAX} bytes"))
        }
    }
}

/// The usual answer to a delivery that was published before.
fn again(call: &HookCall, seq: u64, ts: Timestamp) -> String {
    encode::payload(|w| {
        w.text("stream", call.stream.as_str());
        w.number("seq", seq);
        w.number("ts", ts.0);
        w.flag("duplicate", true);
    })
}

fn later(message: &str, fields: &'static [(&'static str, &'static str)]) -> Refusal {
    let mut refusal = Refusal::new(Status::ServiceUnavailable, "unavailable", message);
    refusal.fields = fields;
    refusal
}
