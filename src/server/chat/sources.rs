//! What feeds streams: asks what is due, takes messages to webhooks, publishes what has changed,
//! and tells admins.

use super::calls::CallWaiter;
use super::chat::Chat;
use super::errands::JobPurpose;
use super::http_answer::IncomingRequest;
use super::http_call::HttpCall;
use crate::backend::{JobId, JobResult, pick_data};
use crate::base::rates::Asker;
use crate::base::subscription::{Ask, Form, StreamInfo};
use crate::base::{
    Address, ConnId, Origin, Refusal, RefusalCode, RequestId, StreamId, StreamRights, Timestamp,
};
use crate::http1::{HttpRefusal, Response, Status};
use crate::hub::Input;
use crate::hub::streams::{NO_SUCH_STREAM, Publisher};
use crate::server::sources::deliveries::DeliveryState;
use crate::server::sources::operate::{PAUSED, RUNNING};
use crate::server::sources::polled::PolledFor;
use crate::server::sources::running::pick_of;
use crate::server::sources::table::{DuePoll, PollResult};
use crate::server::sources::webhook::{again, delivery, later, of_form, too_many_failed, unsigned};
use crate::server::sources::{Hook, HookCall};
use crate::store::RecordStore;
use crate::web::{HttpAnswer, Net};
use crate::wire::error::ErrorReply;
use crate::wire::json::Writer;
use crate::wire::server_encode;

impl<S: RecordStore> Chat<S> {
    /// Applies the declarations of what feeds streams: the first thread does that for all.
    pub(super) fn declare_sources(&mut self, net: &mut Net<'_>) {
        if self.number != 0 {
            return;
        }
        let config = &self.config;
        self.team.sources().declare(net.now(), &config.limits, &config.feeds, &config.streams);
        self.ask_sources(net);
    }

    /// What is due may have changed. The first thread asks for all.
    pub(super) fn sources_changed(&mut self, net: &mut Net<'_>) {
        match self.number {
            0 => self.ask_sources(net),
            _ => self.team.wake_first(),
        }
    }

    /// Asks what is due, and plans the next call.
    pub(super) fn ask_sources(&mut self, net: &mut Net<'_>) {
        let now = net.now();
        if self.is_stopping() {
            return;
        }
        let mut sources = self.team.sources();
        while let Some(DuePoll { stream, task, bounds, pass }) = sources.take_due(now) {
            let purpose = JobPurpose::Poll(stream.clone());
            match self.outbound.poll(task, bounds, pass.is_trial, purpose) {
                Ok(id) => sources.poll_started(now, &stream, id, pass),
                Err((_, failure)) => sources.poll_not_started(now, &stream, &pass, &failure),
            }
        }
        let late_check = sources.check_late_polls(now);
        for at in sources.next_due().into_iter().chain(late_check) {
            net.wake_at(at);
        }
    }

    /// Lets a connection watch streams. A user, and an address of guests, may have only so many
    /// streams polled for them.
    pub(super) fn subscribe(
        &mut self,
        net: &mut Net<'_>,
        by: (ConnId, RequestId),
        rights: StreamRights,
        form: Form,
        asks: Vec<Ask>,
    ) {
        let begins = |ask: &&Ask| {
            let declaration = self.hub.streams().declaration(&ask.stream).cloned();
            declaration
                .as_deref()
                .is_some_and(|one| self.team.sources().would_start_polling(&ask.stream, one))
        };
        let begun = asks.iter().filter(begins).map(|ask| ask.stream.clone());
        let begun: Vec<StreamId> = begun.collect();
        let mut reserved = None;
        if !begun.is_empty() {
            let payer = self.payer_on(net, by.0);
            let limits = &self.config.limits;
            let (most, limit) = match payer {
                Asker::User(_) => (limits.polled_streams_per_user, "polled_streams_per_user"),
                Asker::Address(_) | Asker::Others => {
                    (limits.polled_streams_per_address, "polled_streams_per_address")
                }
            };
            let payer = Some(payer);
            let places = self.team.sources().reserve(&payer, &begun, most.into());
            let Some(places) = places else {
                let message = "the limit of streams polled for you is reached";
                let refusal = Refusal::quota(limit, message, most.into());
                return self.refused(net, &Origin::Conn(by.0, by.1), &refusal);
            };
            reserved = Some((payer, places));
        }
        let holder = self.holder(net, &Origin::Conn(by.0, None), &rights);
        self.decide(net, Input::Subscribe { by, rights, holder, form, asks });
        if let Some((payer, places)) = reserved {
            self.team.sources().release(&payer, &places);
        }
    }

    /// Somebody watches a stream that may be polled, and it counts for them; or nobody does any
    /// more.
    pub(super) fn stream_watched(
        &mut self,
        net: &mut Net<'_>,
        stream: &StreamId,
        by: Option<ConnId>,
    ) {
        let polled_for = match by {
            None => PolledFor::Nobody,
            Some(conn) if conn.reactor() != self.number => PolledFor::Elsewhere(conn),
            Some(conn) => PolledFor::Here(conn, Some(self.payer_on(net, conn))),
        };
        let streams = self.hub.streams();
        // Another thread may have told a later one before: what holds now is told by whoever decided it.
        if streams.payer(stream) != by {
            return;
        }
        if let Some(declaration) = streams.declaration(stream) {
            self.team.sources().watched(net.now(), stream, declaration, polled_for);
        }
        drop(streams);
        self.sources_changed(net);
    }

    /// Takes the result of a poll.
    pub(super) fn poll_finished(
        &mut self,
        net: &mut Net<'_>,
        stream: &StreamId,
        id: JobId,
        outcome: JobResult,
    ) {
        let result = self.team.sources().take_result(net.now(), stream, id, outcome);
        let (data, is_programs) = match result {
            Some(PollResult::Fresh { data, is_programs }) => (data, is_programs),
            Some(PollResult::Same) => {
                return self.decide(net, Input::Heard { stream: stream.clone() });
            }
            None => return,
        };
        let call = self.calls.begin(CallWaiter::Source(stream.clone(), id));
        let publisher = if is_programs { Publisher::Program } else { Publisher::Source };
        let (origin, stream) = (Origin::Call(call), stream.clone());
        self.decide(net, Input::Publish { origin, publisher, stream, data, id: None });
    }

    /// A stream refused data of its source.
    pub(super) fn source_refused(&mut self, stream: &StreamId, why: &str) {
        let declaration = self.hub.streams().declaration(stream).cloned();
        if let Some(declaration) = declaration {
            self.team.sources().note_refused(declaration.pattern.as_str(), why);
        }
    }

    /// Writes what only admins are told of a stream: the age of its newest event, and the state of
    /// its source.
    pub(super) fn source_info(&self, w: &mut Writer, now: Timestamp, info: &StreamInfo) {
        let age = info.newest.as_ref().map(|newest| now.0.saturating_sub(newest.ts.0).max(0));
        let sources = self.team.sources();
        server_encode::for_admins(w, age, sources.told(info).as_ref());
    }

    /// Pauses or resumes what feeds a stream.
    pub(super) fn pause_source(
        &mut self,
        net: &mut Net<'_>,
        origin: &Origin,
        name: &str,
        is_paused: bool,
    ) {
        let paused = self.team.sources().pause(net.now(), name, is_paused).map(|one| one.is_paused);
        match paused {
            Some(is_paused) => {
                let state = if is_paused { PAUSED } else { RUNNING };
                self.reply(net, origin, |w| server_encode::paused(w, name, state));
                self.sources_changed(net);
            }
            None => {
                let is_known = StreamId::parse(name)
                    .is_ok_and(|stream| self.hub.streams().declaration(&stream).is_some());
                if is_known {
                    let message =
                        "no source feeds this stream; a family's source has the declared name";
                    self.refuse(net, origin, ErrorReply::new(RefusalCode::Conflict, message));
                } else {
                    self.refuse(net, origin, (&NO_SUCH_STREAM).into());
                }
            }
        }
    }

    /// The refusal of signed content, if its address cannot pay for checking it.
    pub(super) fn cannot_pay(&self, net: &Net<'_>, address: Address) -> Option<Response> {
        let payer = self.failed_proofs.payer(address, net.now(), &self.config.limits);
        payer.can_pay().err().map(too_many_failed)
    }

    /// Publishes a message to a webhook.
    pub(super) fn hook(
        &mut self,
        net: &mut Net<'_>,
        incoming: IncomingRequest<'_>,
        hook: Hook,
    ) -> HttpAnswer {
        let Hook { stream, feed, signature } = hook;
        let Some(feed) = self.config.feeds.get(feed) else { return unsigned().into() };
        let Some(webhook) = &feed.webhook else { return unsigned().into() };
        let limits = &self.config.limits;
        let payer = self.failed_proofs.payer(incoming.address(), net.now(), limits);
        let price = match payer.pay(incoming.body.len()) {
            Ok(price) => price,
            Err(too_many) => return HttpAnswer::Respond(too_many_failed(too_many)),
        };
        if !webhook.secret.has_signed(incoming.body, &signature) {
            return unsigned().into();
        }
        payer.give_back(price);
        if self.team.sources().is_paused(feed.pattern.as_str()) {
            return later("this webhook is paused").with(&[("Retry-After", "60")]).into();
        }
        let is_binary =
            self.hub.streams().declaration(&stream).is_some_and(|declaration| declaration.binary);
        let form = if is_binary { None } else { of_form(incoming.head, incoming.body) };
        let content = form.unwrap_or_else(|| incoming.body.to_vec());
        let data = pick_data(content, &pick_of(is_binary, webhook.pointer.as_deref()));
        let data = data.map_err(|failure| failure.to_string());
        let named = delivery(incoming.head, &webhook.delivery);
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
        match delivery.and_then(|one| self.team.sources().begin_delivery(now, &call.pattern, one)) {
            Some(DeliveryState::Published(seq, ts)) => {
                HttpAnswer::Respond(call.answer(again(&call, seq, ts)))
            }
            Some(DeliveryState::UnderWay) => {
                later("this delivery is being published").with(&[("Retry-After", "1")]).into()
            }
            None => {
                let stream = call.stream.clone();
                let call = HttpCall { hook: Some(call), ..HttpCall::new(incoming.exchange) };
                let origin = Origin::Call(self.calls.begin(CallWaiter::Http(Box::new(call))));
                let publisher = Publisher::Source;
                self.decide(net, Input::Publish { origin, publisher, stream, data, id: None });
                HttpAnswer::Later
            }
        }
    }
}
