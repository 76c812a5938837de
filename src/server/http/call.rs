//! Calls of the API on their way: begun here, answered when the hub or a handler has.

use super::api::ApiCall;
use super::browser::CookieAnswer;
use super::identity::Caller;
use super::origin::{public, sealed, shared_with};
use super::status::status_of;
use super::streams::bytes_of;
use crate::base::limits::HTTP_CALLS_MAX;
use crate::base::{Moment, Timestamp};
use crate::hub::{Answer as HubAnswer, Origin, Refusal, RefusalCode};
use crate::protocol::handshake::{Response, Status};
use crate::server::calls::Waiting;
use crate::server::chat::Chat;
use crate::server::dispatch::Person;
use crate::server::encode::{self, ErrorDetail};
use crate::server::error::{Refused, error_body};
use crate::server::handler::HandlerResult;
use crate::server::journal::Limited;
use crate::server::rates::Asker;
use crate::server::request::{Envelope, Fault};
use crate::server::sources::HookCall;
use crate::server::web::{Address, Answer, Exchange, Net, Request};
use crate::store::Backend;
use std::borrow::Cow;

/// A call that waits for its answer.
#[derive(Debug)]
pub(in crate::server) struct HttpCall {
    pub(super) exchange: Exchange,
    pub(in crate::server) caller: Option<Person>,
    /// Who pays for it; none for whoever has the admin token.
    pub(in crate::server) payer: Option<Asker>,
    /// The status of a good answer.
    pub(super) success: Status,
    pub(super) shared_with: Option<Box<str>>,
    /// It came to a webhook.
    hook: Option<HookCall>,
    /// A browser signs in or out.
    cookie: Option<CookieAnswer>,
}

impl HttpCall {
    /// A call of the API, whose good answer has status 200.
    pub(super) fn of_api(exchange: Exchange, request: &Request<'_>, call: &ApiCall) -> HttpCall {
        HttpCall {
            exchange,
            caller: call.caller.person().cloned(),
            payer: asker(&call.caller, request),
            success: Status::Ok,
            shared_with: call.shared_with.clone(),
            hook: None,
            cookie: None,
        }
    }

    /// A browser's sign-in, or its end.
    pub(super) fn of_browser(exchange: Exchange, answer: CookieAnswer) -> HttpCall {
        HttpCall {
            exchange,
            caller: None,
            payer: None,
            success: Status::Ok,
            shared_with: None,
            hook: None,
            cookie: Some(answer),
        }
    }

    /// A message to a webhook.
    pub(in crate::server) fn of_hook(exchange: Exchange, hook: HookCall) -> HttpCall {
        HttpCall {
            exchange,
            caller: None,
            payer: None,
            success: Status::Ok,
            shared_with: None,
            hook: Some(hook),
            cookie: None,
        }
    }
}

impl<S: Backend> Chat<S> {
    /// Makes a call; its answer comes when there is one.
    pub(in crate::server) fn call(
        &mut self,
        net: &mut Net<'_>,
        exchange: Exchange,
        request: &Request<'_>,
        call: &ApiCall,
    ) -> Answer {
        match self.begin_call(net, exchange, request, call) {
            Ok(()) => Answer::Later,
            Err(unfit) => {
                let Unfit { code, message, detail } = *unfit;
                self.counters.refused(code);
                let response = refused(code, &message, detail);
                Answer::Respond(shared_with(response, call.shared_with.as_deref()))
            }
        }
    }

    fn begin_call(
        &mut self,
        net: &mut Net<'_>,
        exchange: Exchange,
        request: &Request<'_>,
        call: &ApiCall,
    ) -> Result<(), Box<Unfit>> {
        self.count_call(net, request, &call.caller)?;
        let takes_key = call.route.types == ["chat:send"] || call.stream().is_some();
        if !takes_key && request.head.all("idempotency-key").next().is_some() {
            let message = "this call takes no Idempotency-Key: a repeat of it is done again";
            return Err(Unfit::new("bad_request", message, ErrorDetail::default()));
        }
        if self.begin_publish(net, exchange, request, call)? {
            return Ok(());
        }
        let body = str::from_utf8(request.body).map_err(|_| {
            let message = "the request's content is not UTF-8";
            Unfit::new("bad_json", message, ErrorDetail::default())
        })?;
        let kind = call.kind(&self.hub).to_owned();
        let payload = call.payload(request.head, body, &self.hub)?;
        let envelope = Envelope::of_call(&kind, &payload)?;
        let success = match kind.as_str() {
            "room:create" | "chat:send" if call.route.creates => Status::Created,
            // They are asked, and are no member yet.
            "room:invite" if !call.route.types.is_empty() => Status::Accepted,
            _ => Status::Ok,
        };
        let http_call = HttpCall { success, ..HttpCall::of_api(exchange, request, call) };
        let number = self.new_call(Waiting::Http(Box::new(http_call)));
        self.dispatch(net, &Origin::Call(number), &envelope);
        Ok(())
    }

    /// Counts a call towards the rate of whoever makes it. The admin token has none.
    fn count_call(
        &mut self,
        net: &Net<'_>,
        request: &Request<'_>,
        caller: &Caller,
    ) -> Result<(), Box<Unfit>> {
        if self.calls.len() >= HTTP_CALLS_MAX {
            let detail = ErrorDetail { retry_after_ms: Some(1_000), ..ErrorDetail::default() };
            return Err(Unfit::new("overloaded", "too many calls wait", detail));
        }
        let limits = caller.person().and_then(|person| person.limits.clone());
        let Some(asker) = asker(caller, request) else { return Ok(()) };
        self.take_call(net.now(), asker, limits.as_deref()).map_err(|too_soon| {
            self.counters.limited(too_soon.limit);
            let (user, address) = (caller.person().map(|one| &one.user), Address::of(request.peer));
            let who = Limited { conn: None, user, address: Some(address) };
            self.note_limited(net.now(), too_soon.limit, who);
            let retry_after_ms = Some(too_soon.retry_after_ms);
            let detail = ErrorDetail { retry_after_ms, ..ErrorDetail::default() };
            Unfit::new("rate_limited", too_soon.message, detail)
        })
    }

    /// Counts a call of the embedding program's own path, or answers it.
    pub(in crate::server) fn count_for_program(
        &mut self,
        net: &Net<'_>,
        request: &Request<'_>,
        caller: &Caller,
    ) -> Result<(), Response> {
        self.count_call(net, request, caller).map_err(|unfit| {
            let Unfit { code, message, detail } = *unfit;
            self.counters.refused(code);
            refused(code, &message, detail)
        })
    }

    /// The hub has answered a call.
    pub(in crate::server) fn call_answered(
        &mut self,
        net: &mut Net<'_>,
        call: u64,
        answer: &Result<HubAnswer, Refusal>,
    ) {
        if let Some(Waiting::Ticket(_)) = self.calls.get(&call) {
            match answer {
                Ok(_) => self.counters.answered(),
                Err(refusal) => self.counters.refused(refusal.code.as_str()),
            }
            if let Some(Waiting::Ticket(ticket)) = self.calls.remove(&call) {
                ticket.answer_with(answer.clone());
            }
            return;
        }
        match answer {
            Ok(HubAnswer::Stream(info)) if info.declaration.binary => {
                self.finish(net, call, |_| bytes_of(info));
            }
            Ok(answer) => {
                if let HubAnswer::Published { seq, ts, .. } = answer {
                    self.note_hook(call, Some((*seq, *ts)));
                }
                // It was there before: nothing was created.
                if let HubAnswer::Sent { duplicate: true, .. } = answer
                    && let Some(Waiting::Http(call)) = self.calls.get_mut(&call)
                {
                    call.success = Status::Ok;
                }
                let origin = Origin::Call(call);
                let payload = encode::payload(|w| self.answer(w, net, &origin, answer));
                self.call_replied(net, call, payload);
            }
            Err(refusal) => {
                self.counters.limited_by(refusal);
                self.note_source(net.now(), call, refusal);
                self.note_hook(call, None);
                let detail = encode::refusal_detail(refusal);
                self.call_refused(net, call, refusal.code.as_str(), refusal.message, detail);
            }
        }
    }

    /// A call is answered with a payload.
    pub(in crate::server) fn call_replied(
        &mut self,
        net: &mut Net<'_>,
        call: u64,
        payload: String,
    ) {
        self.counters.answered();
        self.pay_for_answer(net, &Origin::Call(call), payload.len());
        self.finish(net, call, |call| match (&call.cookie, &call.hook) {
            (None, None) => json(call.success, payload),
            (None, Some(hook)) => hook.answer(payload),
            (Some(CookieAnswer { payload, cookie }), _) => {
                json(call.success, payload.clone()).with("Set-Cookie", cookie.clone())
            }
        });
    }

    /// A call is refused.
    pub(in crate::server) fn call_refused(
        &mut self,
        net: &mut Net<'_>,
        call: u64,
        code: &str,
        message: &str,
        detail: ErrorDetail,
    ) {
        self.counters.refused_with(code, &detail);
        self.finish(net, call, |_| refused(code, message, detail));
    }

    /// A handler of the embedding program has answered a call.
    pub(in crate::server) fn call_handled(
        &mut self,
        net: &mut Net<'_>,
        call: u64,
        result: &HandlerResult,
    ) {
        match result {
            Ok(payload) => self.call_replied(net, call, payload.clone()),
            Err(Refused { code, message, detail }) => {
                self.call_refused(net, call, code, message, detail.clone());
            }
        }
    }

    /// Takes note of what a stream has not taken of its source.
    fn note_source(&mut self, now: Moment, call: u64, refusal: &Refusal) {
        let stream = match self.calls.get(&call) {
            Some(Waiting::Program(stream)) => {
                let stream = stream.clone();
                self.note_unpublished(now, &stream, refusal);
                return;
            }
            Some(Waiting::Source(stream, id)) => {
                use RefusalCode::{Overloaded, Quota, Unavailable};
                let later = matches!(refusal.code, Overloaded | Quota | Unavailable);
                self.sources.refuse(stream, *id, later);
                stream.clone()
            }
            Some(Waiting::Http(call)) => match &call.hook {
                Some(hook) => hook.stream.clone(),
                None => return,
            },
            Some(Waiting::Ticket(_)) | None => return,
        };
        let why = match &refusal.field {
            Some(field) => format!("{field}: {}", refusal.message),
            None => refusal.message.to_owned(),
        };
        self.source_refused(&stream, &why);
    }

    /// Takes note of what became of a delivery to a webhook.
    fn note_hook(&mut self, call: u64, published: Option<(u64, Timestamp)>) {
        if let Some(Waiting::Http(call)) = self.calls.get(&call)
            && let Some(hook) = &call.hook
        {
            self.sources.hook_done(hook, published);
        }
    }

    pub(super) fn finish(
        &mut self,
        net: &mut Net<'_>,
        call: u64,
        response: impl FnOnce(&HttpCall) -> Response,
    ) {
        if let Some(Waiting::Http(call)) = self.calls.remove(&call) {
            let response = shared_with(response(&call), call.shared_with.as_deref());
            let is_guest = call.caller.as_ref().is_some_and(|caller| caller.is_guest);
            let response = if is_guest { public(response) } else { response };
            net.answer(call.exchange, sealed(response));
        }
    }
}

/// As whom a call is counted; none for the admin token, which has no rate.
fn asker(caller: &Caller, request: &Request<'_>) -> Option<Asker> {
    match caller {
        Caller::Token(_) => None,
        Caller::User(person) => Some(Asker::User(person.user.clone())),
        Caller::Nobody | Caller::Guest(_) => Some(Asker::Address(Address::of(request.peer))),
    }
}

/// Why a call does not even reach the hub or a handler.
struct Unfit {
    code: &'static str,
    message: Cow<'static, str>,
    detail: ErrorDetail,
}

impl Unfit {
    fn new(code: &'static str, message: &'static str, detail: ErrorDetail) -> Box<Unfit> {
        Box::new(Unfit { code, message: message.into(), detail })
    }
}

impl From<Fault> for Box<Unfit> {
    fn from(fault: Fault) -> Box<Unfit> {
        let detail = encode::fault_detail(&fault);
        Box::new(Unfit { code: fault.code.as_str(), message: fault.message, detail })
    }
}

/// The answer to one call too many.
pub(in crate::server) fn overloaded() -> Response {
    let detail = ErrorDetail { retry_after_ms: Some(1_000), ..ErrorDetail::default() };
    refused("overloaded", "too many calls wait", detail)
}

/// A refusal, with the same members as on a socket, and what HTTP says beside them.
pub(super) fn refused(code: &str, message: &str, detail: ErrorDetail) -> Response {
    let status = status_of(code);
    let response = json(status, error_body(code, message, &detail));
    let response = match detail.retry_after_ms {
        // RFC 9110 §10.2.3: whole seconds.
        Some(millis) => response.with("Retry-After", millis.div_ceil(1_000).max(1).to_string()),
        None => response,
    };
    // RFC 9110 §15.5.2.
    if status == Status::Unauthorized {
        return response.with("WWW-Authenticate", "Bearer");
    }
    response
}

fn json(status: Status, mut text: String) -> Response {
    text.push('\n');
    Response::new(status, "application/json", text.into_bytes())
}
