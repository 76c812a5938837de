//! Messages to webhooks: from a judged head to the stream.

use crate::backend::picked;
use crate::base::{Address, Origin};
use crate::http1::{HttpRefusal, Response, Status};
use crate::hub::Input;
use crate::hub::streams::Publisher;
use crate::server::chat::calls::CallWaiter;
use crate::server::chat::chat::Chat;
use crate::server::chat::http_answer::Incoming;
use crate::server::chat::http_call::HttpCall;
use crate::server::sources::deliveries::DeliveryState;
use crate::server::sources::running::picks;
use crate::server::sources::webhook::{again, delivery, later, of_form, too_many_failed, unsigned};
use crate::server::sources::{Hook, HookCall};
use crate::store::Backend;
use crate::web::{HttpAnswer, Net};

impl<S: Backend> Chat<S> {
    /// Why a content that is signed need not come from an address, if none would be looked at.
    pub(super) fn cannot_pay(&self, net: &Net<'_>, address: Address) -> Option<Response> {
        let payer = self.failed_proofs.payer(address, net.now(), &self.config.limits);
        payer.can_pay().err().map(too_many_failed)
    }

    /// Publishes what was posted to a webhook.
    pub(super) fn hook(
        &mut self,
        net: &mut Net<'_>,
        asked: Incoming<'_>,
        hook: Hook,
    ) -> HttpAnswer {
        let Hook { stream, feed, signature } = hook;
        let Some(feed) = self.config.feeds.get(feed) else { return unsigned().into() };
        let Some(webhook) = &feed.webhook else { return unsigned().into() };
        let limits = &self.config.limits;
        let payer = self.failed_proofs.payer(asked.address(), net.now(), limits);
        let paid = match payer.pay(asked.body.len()) {
            Ok(paid) => paid,
            Err(too_many) => return HttpAnswer::Respond(too_many_failed(too_many)),
        };
        if !webhook.secret.has_signed(asked.body, &signature) {
            return unsigned().into();
        }
        payer.give_back(paid);
        if self.sources.is_paused(feed.pattern.as_str()) {
            return later("this webhook is paused").with(&[("Retry-After", "60")]).into();
        }
        let declaration = self.hub.streams().declaration(&stream);
        let is_binary = declaration.is_some_and(|declaration| declaration.binary);
        let form = if is_binary { None } else { of_form(asked.head, asked.body) };
        let content = form.unwrap_or_else(|| asked.body.to_vec());
        let data = picked(content, &picks(is_binary, webhook.pointer.as_deref()));
        let data = data.map_err(|failure| failure.to_string());
        let named = delivery(asked.head, &webhook.delivery);
        let (data, delivery) = match data.and_then(|data| Ok((data, named?))) {
            Ok(read) => read,
            Err(why) => {
                self.counters.refused("bad_request");
                self.source_refused(&stream, &why);
                return HttpRefusal::new(Status::BadRequest, "bad_request", why).into();
            }
        };
        let delivery = delivery.map(|id| (stream.clone(), id));
        let (status, body) = (webhook.status, webhook.body.clone());
        let (pattern, now) = (feed.pattern.clone(), net.now());
        let call = HookCall { stream, pattern, delivery, status, body };
        let delivery = call.delivery.as_ref();
        match delivery.and_then(|one| self.sources.begin_delivery(now, &call.pattern, one)) {
            Some(DeliveryState::Published(seq, ts)) => {
                HttpAnswer::Respond(call.answer(again(&call, seq, ts)))
            }
            Some(DeliveryState::UnderWay) => {
                later("this delivery is being published").with(&[("Retry-After", "1")]).into()
            }
            None => {
                let stream = call.stream.clone();
                let call = HttpCall { hook: Some(call), ..HttpCall::new(asked.exchange) };
                let origin = Origin::Call(self.new_call(CallWaiter::Http(Box::new(call))));
                let publisher = Publisher::Source;
                self.decide(net, Input::Publish { origin, publisher, stream, data, id: None });
                HttpAnswer::Later
            }
        }
    }
}
