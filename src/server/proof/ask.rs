//! Asks who sends a request: a function at once, the backend while the request waits.

use super::answer::{Verdict, judge, unavailable};
use super::hook::{Denied, Head, Proof};
use super::line::{Asking, Next, Place};
use crate::protocol::handshake::{Refusal, RequestHead, Response, Status};
use crate::server::auth::{Identity, TokenError, Vouched};
use crate::server::backend::{Cause, Failure, HttpRequest, JobResult, Method, Task};
use crate::server::chat::Chat;
use crate::server::errands::Purpose;
use crate::server::failed_proofs::{Paid, TooManyFailed};
use crate::server::http::{check_origin, denied, needs_proof, signed_in, without_sign_ins};
use crate::server::journal::Limited;
use crate::server::web::{Address, Exchange, Net, Request};
use crate::store::Backend;

/// What may come as an answer, in bytes: a user, and patterns of streams.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

const TOO_MANY: &str = "too many wait for the backend to say who they are";
const LEFT_ALONE: &str = "the backend that says who you are is down";

/// What is known of who sends a request.
#[derive(Debug)]
pub(in crate::server) enum Asked {
    /// Its tokens say it, or nobody needs to know.
    NotNeeded,
    /// It is they.
    Is(Box<Identity>),
    /// It is refused.
    Refuse(Response),
    /// The backend is asked: the request is to be kept until then.
    Waits,
}

impl<S: Backend> Chat<S> {
    /// Finds out who sends a request, where tokens do not say it.
    pub(in crate::server) fn prove(
        &mut self,
        net: &mut Net<'_>,
        exchange: Exchange,
        request: &Request<'_>,
    ) -> Asked {
        if let Some(found) = self.proofs.take_found(exchange) {
            return found.map_or_else(Asked::Refuse, Asked::Is);
        }
        let head = request.head;
        let address = Address::of(request.peer);
        let rules = self.rules(net, address, false);
        if needs_proof(head, rules) {
            match signed_in(head, rules) {
                Ok(Some(identity)) => return Asked::Is(Box::new(identity)),
                Ok(None) => {}
                Err(refusal) => return Asked::Refuse(refusal.into()),
            }
        }
        if !self.may_ask_for(net, head) {
            return Asked::NotNeeded;
        }
        if let Some(hook) = self.config.authenticate.clone() {
            match hook.ask(&Head::new(head, request.peer)) {
                Ok(Some(proof)) => {
                    return self.vouched(net, proof).map_or_else(Asked::Refuse, Asked::Is);
                }
                Ok(None) => {}
                Err(denied) => return Asked::Refuse(refusal(denied).into()),
            }
        }
        self.ask_backend(net, exchange, request)
    }

    /// Whether somebody other than the keys is to say who sends a request.
    pub(in crate::server) fn may_ask_for(&self, net: &Net<'_>, head: &RequestHead<'_>) -> bool {
        let is_configured = self.config.authenticate.is_some() || self.config.auth_url.is_some();
        is_configured && needs_proof(head, self.rules(net, Address::UNKNOWN, false))
    }

    /// Whether there is anything in a head by which somebody could say who sends it.
    pub(in crate::server) fn shows_proof(&self, head: &RequestHead<'_>) -> bool {
        let has = |name: &String| head.named(name).next().is_some();
        let is_for_backend =
            self.config.auth_url.is_some() && self.config.auth_url_headers.iter().any(has);
        is_for_backend || self.config.authenticate.is_some()
    }

    fn ask_backend(
        &mut self,
        net: &mut Net<'_>,
        exchange: Exchange,
        request: &Request<'_>,
    ) -> Asked {
        let (head, now, address) = (request.head, net.now(), Address::of(request.peer));
        let Some(url) = self.config.auth_url.as_deref() else { return Asked::NotNeeded };
        let mut fields: Vec<(String, String)> = Vec::new();
        for name in &self.config.auth_url_headers {
            let is_cookie = name.eq_ignore_ascii_case("cookie");
            let values = head.named(name).filter_map(|value| match is_cookie {
                true => without_sign_ins(value),
                false => Some(value.to_owned()),
            });
            fields.extend(values.map(|value| (name.clone(), value)));
        }
        // Who shows nothing is nobody.
        if fields.is_empty() {
            return Asked::NotNeeded;
        }
        // A browser sends cookies by itself, for whatever page: only ours may use them, to read as well.
        let has_cookie = fields.iter().any(|(name, _)| name.eq_ignore_ascii_case("cookie"));
        if has_cookie && let Err(refusal) = check_origin(head, &self.config.allowed_origins) {
            return Asked::Refuse(refusal.into());
        }
        if self.proofs.left_alone_ms(now).is_some() {
            return Asked::Refuse(unavailable(LEFT_ALONE));
        }
        fields.push(("X-Original-Method".to_owned(), head.method.to_owned()));
        fields.push(("X-Original-URI".to_owned(), head.path.to_owned()));
        fields.push(("X-Forwarded-For".to_owned(), request.peer.to_canonical().to_string()));
        fields.push(("Accept".to_owned(), "application/json".to_owned()));
        let (method, url) = (Method::Get, url.into());
        let request = HttpRequest { method, url, fields, body: Vec::new() };
        let until = now.plus_millis(self.config.limits.auth_url_timeout_ms);
        let asking = Asking { exchange, request, until };
        self.proofs.make_room(|conn| !net.is_there(conn));
        for asking in self.proofs.wait(address, asking) {
            if asking.exchange == exchange {
                return Asked::Refuse(unavailable(TOO_MANY));
            }
            self.found(net, asking.exchange, Err(unavailable(TOO_MANY)));
        }
        self.ask_who(net);
        // It may be known already that nobody is asked.
        match self.proofs.take_found(exchange) {
            Some(found) => found.map_or_else(Asked::Refuse, Asked::Is),
            None => Asked::Waits,
        }
    }

    /// Asks the backend for those whose turn it is.
    pub(in crate::server) fn ask_who(&mut self, net: &mut Net<'_>) {
        let now = net.now();
        for asking in self.proofs.late(now) {
            self.found(net, asking.exchange, Err(unavailable(TOO_MANY)));
        }
        while let Some(next) = self.proofs.next(now) {
            match next {
                Next::LeftAlone(asking) => {
                    self.found(net, asking.exchange, Err(unavailable(LEFT_ALONE)));
                }
                Next::Ask(place, asking) => self.ask_for(net, place, asking),
            }
        }
        if let Some(at) = self.proofs.next_late() {
            net.wake_at(at);
        }
    }

    /// Asks for one request. Its address pays for it before, and has it back unless what it has shown is nobody's.
    fn ask_for(&mut self, net: &mut Net<'_>, place: Place, asking: Asking) {
        let (now, Asking { exchange, request, .. }) = (net.now(), asking);
        // Nobody waits for it any more.
        if !net.is_there(exchange.conn()) {
            return self.proofs.not_asked(&place);
        }
        let address = place.address;
        let paid = self.failed_proofs.payer(address, now, &self.config.limits).pay(0);
        let who = Limited { conn: None, user: None, address: Some(address) };
        self.note_proofs(net, who);
        let paid = match paid {
            Ok(paid) => paid,
            Err(TooManyFailed(wait_ms)) => {
                self.proofs.not_asked(&place);
                let refusal: Response = denied(TokenError::TooManyFailed(wait_ms)).into();
                return self.found(net, exchange, Err(Response { ends: true, ..refusal }));
            }
        };
        // All of it, however long it has waited for its turn: who is given no time says nothing of the backend.
        let bounds = (self.config.limits.auth_url_timeout_ms, ANSWER_BYTES_MAX);
        let purpose = Purpose::Proof { exchange, place, paid };
        let begun = self.outbound.prove(now, Task::Call(request), bounds, purpose);
        if let Err((Purpose::Proof { exchange, place, paid }, failure)) = begun {
            self.proof_over(net, exchange, (&place, paid), Err(failure));
        }
    }

    /// The backend has said who sends a request.
    pub(in crate::server) fn proof_came(
        &mut self,
        net: &mut Net<'_>,
        exchange: Exchange,
        paid_place: (&Place, Paid),
        outcome: JobResult,
    ) {
        self.proof_over(net, exchange, paid_place, outcome);
        self.ask_who(net);
    }

    fn proof_over(
        &mut self,
        net: &mut Net<'_>,
        exchange: Exchange,
        (place, paid): (&Place, Paid),
        outcome: JobResult,
    ) {
        let now = net.now();
        if matches!(&outcome, Err(Failure::Full | Failure::Stopped)) {
            self.proofs.not_asked(place);
            self.failed_proofs.payer(place.address, now, &self.config.limits).give_back(paid);
            return self.found(net, exchange, Err(unavailable(TOO_MANY)));
        }
        let cause = Cause::of(&outcome, &place.address);
        let verdict = judge(outcome);
        let failed = matches!(verdict, Verdict::Fail(_)).then_some(cause);
        self.proofs.done(place, now, &self.config.limits, failed);
        let is_nobody = matches!(verdict, Verdict::Refuse(_))
            || failed.is_some_and(|cause| cause != Cause::Backend);
        if !is_nobody {
            self.failed_proofs.payer(place.address, now, &self.config.limits).give_back(paid);
        }
        let found = match verdict {
            Verdict::Is(proof) => self.vouched(net, proof),
            Verdict::Refuse(response) | Verdict::Fail(response) => Err(response),
        };
        self.found(net, exchange, found);
    }

    /// Hands a request over again, about which something was found out.
    fn found(
        &mut self,
        net: &mut Net<'_>,
        exchange: Exchange,
        found: Result<Box<Identity>, Response>,
    ) {
        self.proofs.keep_found(exchange, found);
        net.ask_again(exchange);
    }

    fn vouched(&self, net: &Net<'_>, proof: Proof) -> Result<Box<Identity>, Response> {
        let Proof { user, name, admin, publish, subscribe, expires_in } = proof;
        let expires_ms = expires_in.map(|time| i64::try_from(time.as_millis()).unwrap_or(i64::MAX));
        let vouched = Vouched { user, name, admin, publish, subscribe, expires_ms };
        self.verifier.vouch(vouched, net.timestamp()).map(Box::new).map_err(|error| {
            log::warn!("whoever says who somebody is says what cannot be: {error}");
            unavailable("nothing can be made of who you are said to be")
        })
    }
}

fn refusal(denied: Denied) -> Refusal {
    let message = "the application does not let you in";
    match denied {
        Denied::Unauthorized => {
            let mut refusal = Refusal::new(Status::Unauthorized, "unauthorized", message);
            // RFC 9110 §15.5.2.
            refusal.fields = &[("WWW-Authenticate", "Bearer")];
            refusal
        }
        Denied::Forbidden => Refusal::new(Status::Forbidden, "forbidden", message),
    }
}
