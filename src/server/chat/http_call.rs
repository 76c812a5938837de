//! Calls of the API: begun here, and answered when the hub or a handler has answered.

use super::calls::CallWaiter;
use super::chat::Chat;
use super::http_answer::IncomingRequest;
use super::journal::Limited;
use super::streams::bytes_of;
use crate::auth::Person;
use crate::base::limits::HTTP_CALLS_MAX;
use crate::base::rates::Asker;
use crate::base::{Address, Answer, Moment, Origin, Refusal, RefusalCode};
use crate::http1::{Response, Status};
use crate::server::http::{ApiCall, json, known, public, refused, sealed, shared_with};
use crate::server::sources::HookCall;
use crate::store::RecordStore;
use crate::web::{Exchange, HttpAnswer, Net};
use crate::wire::encode;
use crate::wire::error::ErrorReply;
use crate::wire::request::Envelope;

/// A call that waits for its answer.
#[derive(Debug)]
pub(super) struct HttpCall {
    pub(super) exchange: Exchange,
    pub(super) caller: Option<Person>,
    /// Where it comes from; `None` for what is not audited.
    pub(super) address: Option<Address>,
    /// Who pays for it; `None` for the admin token.
    pub(super) payer: Option<Asker>,
    /// The status of a successful answer.
    pub(super) success: Status,
    pub(super) shared_with: Option<Box<str>>,
    /// Set for a message to a webhook.
    pub(super) hook: Option<HookCall>,
    /// The successful answer, if it is known before: that to a sign-in or sign-out.
    pub(super) known: Option<Response>,
}

impl HttpCall {
    /// A call without a caller; its success has status 200.
    pub(super) fn new(exchange: Exchange) -> HttpCall {
        let (caller, address, payer, shared_with) = (None, None, None, None);
        let (success, hook, known) = (Status::Ok, None, None);
        HttpCall { exchange, caller, address, payer, success, shared_with, hook, known }
    }

    /// A call of the API.
    pub(super) fn of_api(incoming: IncomingRequest<'_>, call: &ApiCall) -> HttpCall {
        HttpCall {
            caller: call.caller.clone(),
            address: Some(incoming.address()),
            payer: asker(call.caller.as_ref(), incoming),
            shared_with: call.shared_with.clone(),
            ..HttpCall::new(incoming.exchange)
        }
    }
}

impl<S: RecordStore> Chat<S> {
    /// Makes a call. Its answer comes later, unless it is refused at once.
    pub(super) fn call(
        &mut self,
        net: &mut Net<'_>,
        incoming: IncomingRequest<'_>,
        call: &ApiCall,
    ) -> HttpAnswer {
        match self.begin_call(net, incoming, call) {
            Ok(()) => HttpAnswer::Later,
            Err(error) => {
                self.counters.refused(&error.code);
                let response = refused(&error);
                HttpAnswer::Respond(shared_with(response, call.shared_with.as_deref()))
            }
        }
    }

    fn begin_call(
        &mut self,
        net: &mut Net<'_>,
        incoming: IncomingRequest<'_>,
        call: &ApiCall,
    ) -> Result<(), Box<ErrorReply>> {
        self.count_call(net, incoming, call.caller.as_ref())?;
        let takes_key = call.route.types == ["chat:send"] || call.stream().is_some();
        if !takes_key && incoming.head.all("idempotency-key").next().is_some() {
            let message = "this call takes no Idempotency-Key: a repeat is carried out again";
            return Err(ErrorReply::new(RefusalCode::BadRequest, message).into());
        }
        if self.begin_publish(net, incoming, call)? {
            return Ok(());
        }
        let body = str::from_utf8(incoming.body).map_err(|_| {
            let message = "the request's content is not UTF-8";
            ErrorReply::new(RefusalCode::BadJson, message)
        })?;
        let kind = call.kind(&self.hub).to_owned();
        let payload = call.payload(incoming.head, body, &self.hub)?;
        let envelope = Envelope::of_call(&kind, &payload)?;
        let success = match kind.as_str() {
            "room:create" | "chat:send" if call.route.creates => Status::Created,
            // The user is asked, and is not a member yet.
            "room:invite" if !call.route.types.is_empty() => Status::Accepted,
            _ => Status::Ok,
        };
        let http_call = HttpCall { success, ..HttpCall::of_api(incoming, call) };
        let number = self.calls.begin(CallWaiter::Http(Box::new(http_call)));
        self.dispatch(net, &Origin::Call(number), &envelope);
        Ok(())
    }

    /// The part that this thread has of the calls that may wait.
    pub(super) fn http_calls_max(&self) -> usize {
        HTTP_CALLS_MAX / self.shared.len()
    }

    /// Counts a call towards its sender's rate. The admin token has none.
    fn count_call(
        &mut self,
        net: &Net<'_>,
        incoming: IncomingRequest<'_>,
        caller: Option<&Person>,
    ) -> Result<(), Box<ErrorReply>> {
        if self.calls.len() >= self.http_calls_max() {
            return Err(too_many_wait().into());
        }
        let limits = caller.and_then(|person| person.limits.as_deref());
        let Some(asker) = asker(caller, incoming) else { return Ok(()) };
        self.take_call(net.now(), asker, limits).map_err(|too_soon| {
            self.counters.limited(too_soon.limit);
            let (user, address) = (caller.map(|one| &one.user), incoming.address());
            let who = Limited { conn: None, user, address: Some(address) };
            self.note_limited(net.now(), too_soon.limit, who);
            Box::new(too_soon.into())
        })
    }

    /// Counts a call that is not of the API; an error is the answer.
    pub(super) fn count_for_program(
        &mut self,
        net: &Net<'_>,
        incoming: IncomingRequest<'_>,
        caller: Option<&Person>,
    ) -> Result<(), Response> {
        self.count_call(net, incoming, caller).map_err(|error| {
            self.counters.refused(&error.code);
            refused(&error)
        })
    }

    /// The hub has answered a call.
    pub(super) fn call_answered(
        &mut self,
        net: &mut Net<'_>,
        call: u64,
        answer: &Result<Answer, Refusal>,
    ) {
        let Some(CallWaiter::Http(waiting)) = self.calls.get_mut(call) else {
            return self.call_ended(net.now(), call, answer);
        };
        // The message existed before: nothing was created.
        if let Ok(Answer::Sent { duplicate: true, .. }) = answer {
            waiting.success = Status::Ok;
        }
        if let Some(hook) = &waiting.hook {
            let published = match answer {
                Ok(Answer::Published { seq, ts, .. }) => Some((*seq, *ts)),
                Ok(_) | Err(_) => None,
            };
            self.team.sources().hook_done(hook, published);
        }
        match answer {
            Ok(Answer::Stream(info)) if info.declaration.binary => {
                self.finish(net, call, |_| bytes_of(info));
            }
            Ok(answer) => {
                let origin = Origin::Call(call);
                let payload = encode::payload(|w| self.answer(w, net, &origin, answer));
                self.call_replied(net, call, payload);
            }
            Err(refusal) => {
                if let Some(hook) = &waiting.hook {
                    let stream = hook.stream.clone();
                    self.source_refused(&stream, &refusal.sentence());
                }
                self.counters.limited_by(refusal);
                self.call_refused(net, call, &refusal.into());
            }
        }
    }

    /// The hub has answered a call of the embedding program or of a source, for which nothing is
    /// encoded.
    fn call_ended(&mut self, now: Moment, call: u64, answer: &Result<Answer, Refusal>) {
        let waiting = self.calls.end(call);
        match (&waiting, answer) {
            // Nobody has asked for it.
            (Some(CallWaiter::Own(_)), _) => {}
            (_, Ok(_)) => self.counters.requests_ok += 1,
            (_, Err(refusal)) => self.counters.refused(refusal.code.as_str()),
        }
        match (waiting, answer) {
            (Some(CallWaiter::Own(stream)), Err(refusal)) => {
                self.note_unpublished(now, &stream, refusal);
            }
            (Some(CallWaiter::Ticket(ticket)), answer) => ticket.answer_with(answer.clone()),
            (Some(CallWaiter::Program(stream)), Err(refusal)) => {
                self.counters.limited_by(refusal);
                self.note_unpublished(now, &stream, refusal);
            }
            (Some(CallWaiter::Source(stream, id)), Err(refusal)) => {
                use RefusalCode::{Overloaded, Quota, Unavailable};
                self.counters.limited_by(refusal);
                let later = matches!(refusal.code, Overloaded | Quota | Unavailable);
                self.team.sources().refuse(&stream, id, later);
                self.source_refused(&stream, &refusal.sentence());
            }
            (_, Ok(_)) | (Some(CallWaiter::Http(_)) | None, Err(_)) => {}
        }
    }

    pub(super) fn call_replied(&mut self, net: &mut Net<'_>, call: u64, payload: String) {
        self.counters.requests_ok += 1;
        self.pay_for_answer(net, &Origin::Call(call), payload.len());
        self.finish(net, call, |call| match (&call.known, &call.hook) {
            (None, None) => json(call.success, payload),
            (None, Some(hook)) => hook.answer(payload),
            (Some(response), _) => response.clone(),
        });
    }

    pub(super) fn call_refused(&mut self, net: &mut Net<'_>, call: u64, error: &ErrorReply) {
        self.counters.refused_with(error);
        self.finish(net, call, |_| refused(error));
    }

    pub(super) fn finish(
        &mut self,
        net: &mut Net<'_>,
        call: u64,
        response: impl FnOnce(&HttpCall) -> Response,
    ) {
        if let Some(CallWaiter::Http(call)) = self.calls.end(call) {
            let response = shared_with(response(&call), call.shared_with.as_deref());
            let is_guest = call.caller.as_ref().is_some_and(|caller| caller.is_guest);
            let response = if is_guest { public(response) } else { response };
            net.answer(call.exchange, sealed(response));
        }
    }
}

/// As whom a call is counted; `None` for the admin token, which has no rate.
fn asker(caller: Option<&Person>, incoming: IncomingRequest<'_>) -> Option<Asker> {
    match known(caller) {
        Some(person) if person.is_named => None,
        Some(person) => Some(Asker::User(person.user.clone())),
        None => Some(Asker::Address(incoming.address())),
    }
}

/// The refusal of a call when too many wait.
pub(super) fn too_many_wait() -> ErrorReply {
    ErrorReply::new(RefusalCode::Overloaded, "too many calls wait").retry_after(1_000)
}
