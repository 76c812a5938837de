//! Webhooks: what others post of a stream, signed with a secret that they share with us.

use super::running::picks;
use crate::base::StreamId;
use crate::hub::streams::{Declaration, Publisher};
use crate::hub::{Input, Origin};
use crate::protocol::handshake::{Refusal, RequestHead, Response, Status};
use crate::server::backend::picked;
use crate::server::calls::Waiting;
use crate::server::chat::Chat;
use crate::server::config::Feed;
use crate::server::http::{HttpCall, other_methods};
use crate::server::streams::stream_of;
use crate::server::web::{Answer, Exchange, Net, Request};
use crate::store::Backend;

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

impl<S: Backend> Chat<S> {
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
        if !webhook.secret.has_signed(request.body, &signature) {
            return unsigned().into();
        }
        if self.sources.is_paused(feed.pattern.as_str()) {
            let message = "this webhook is paused";
            let mut refusal = Refusal::new(Status::ServiceUnavailable, "unavailable", message);
            refusal.fields = &[("Retry-After", "60")];
            return refusal.into();
        }
        let declaration = self.hub.streams().declaration(&stream);
        let is_binary = declaration.is_some_and(|declaration| declaration.binary);
        let pick = picks(is_binary, webhook.pointer.as_deref());
        match picked(request.body.to_vec(), &pick) {
            Ok(data) => {
                let call = self
                    .new_call(Waiting::Http(Box::new(HttpCall::of_hook(exchange, stream.clone()))));
                let (origin, publisher) = (Origin::Call(call), Publisher::Source);
                self.decide(net, Input::Publish { origin, publisher, stream, data });
                Answer::Later
            }
            Err(failure) => {
                let why = failure.to_string();
                self.counters.refused("bad_request");
                self.source_refused(&stream, &why);
                Refusal::new(Status::BadRequest, "bad_request", why).into()
            }
        }
    }
}
