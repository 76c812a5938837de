//! Asks who sends a request: a function says it at once, the backend while the request waits.

use super::chat::Chat;
use super::errands::{DealtErrand, JobPurpose};
use super::http_answer::IncomingRequest;
use super::journal::{BackendFault, ELSEWHERE, Limited};
use crate::auth::failed_proofs::{ProofPrice, TooManyFailed};
use crate::auth::{Denied, Head, Identity, Proof, TokenError};
use crate::backend::{Cause, Failure, HttpRequest, JobResult, Lane, Task};
use crate::http1::{HttpRefusal, RequestHead, Response, Status};
use crate::server::http::{
    check_origin, denied, embedded_elsewhere, needs_proof, signed_in, unauthorized,
    without_sign_ins,
};
use crate::server::proof::answer::{ProofVerdict, judge, unavailable};
use crate::server::proof::line::{NextProof, ProofRequest};
use crate::server::proof::{ProofPlace, SenderResult};
use crate::store::RecordStore;
use crate::web::{Exchange, HttpAnswer, Net};

/// The most bytes of an answer: a user, and patterns of streams.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// By which the log names the backend.
const AUTH_URL: &str = "auth.url";
const TOO_MANY: &str = "too many connections wait for the backend to identify them";
const LEFT_ALONE: &str = "the backend that identifies users is down";

/// The backend is asked who sends a request.
#[derive(Debug)]
pub(super) struct ProofJob {
    exchange: Exchange,
    place: ProofPlace,
    /// What its address has paid for it.
    price: ProofPrice,
    /// It shows cookies alone, which a browser sends by itself: to have one that nobody knows is no try to be somebody.
    has_only_cookies: bool,
}

impl<S: RecordStore> Chat<S> {
    /// Finds out who sends a request; `None` if its tokens say it, or nobody needs to know. An error
    /// is a refusal, or says that the request is kept until the backend answers.
    pub(super) fn prove(
        &mut self,
        net: &mut Net<'_>,
        incoming: IncomingRequest<'_>,
    ) -> Result<Option<Box<Identity>>, HttpAnswer> {
        if let Some(sender) = self.senders.remove(&incoming.exchange) {
            return Ok(sender?);
        }
        let head = incoming.head;
        let address = incoming.address();
        let rules = self.rules(net, incoming.exchange.conn(), address, false);
        if !needs_proof(head, rules) {
            return Ok(None);
        }
        if let Some(identity) = signed_in(head, rules)? {
            return Ok(Some(Box::new(identity)));
        }
        let elsewhere = embedded_elsewhere(head, rules);
        if let Some(hook) = self.config.authenticate.clone()
            && let Some(proof) = hook.ask(&Head::new(head, incoming.peer)).map_err(refusal)?
        {
            return Ok(self.vouch(net, "authenticate", proof)?);
        }
        self.ask_backend(net, incoming, elsewhere)
    }

    /// Whether a head has anything that could say who sends it.
    pub(super) fn shows_proof(&self, head: &RequestHead<'_>) -> bool {
        let has = |name: &String| head.all(name).next().is_some();
        let is_for_backend =
            self.config.auth_url.is_some() && self.config.auth_url_headers.iter().any(has);
        is_for_backend || self.config.authenticate.is_some()
    }

    fn ask_backend(
        &mut self,
        net: &mut Net<'_>,
        incoming: IncomingRequest<'_>,
        elsewhere: Option<Result<(), HttpRefusal>>,
    ) -> Result<Option<Box<Identity>>, HttpAnswer> {
        let (head, now, address) = (incoming.head, net.now(), incoming.address());
        let Some(url) = self.config.auth_url.as_deref() else { return Ok(None) };
        let mut fields: Vec<(String, String)> = Vec::new();
        for name in &self.config.auth_url_headers {
            let is_cookie = name.eq_ignore_ascii_case("cookie");
            let values = head.all(name).filter_map(|value| match is_cookie {
                true => without_sign_ins(value),
                false => Some(value.to_owned()),
            });
            fields.extend(values.map(|value| (name.clone(), value)));
        }
        let is_cookie = |(name, _): &(String, String)| name.eq_ignore_ascii_case("cookie");
        // A browser sends cookies by itself, for any page. Only this host's and allowed pages may
        // use them, also to read; what guests may see, others' pages show as to a guest.
        if let Some(for_guests) = elsewhere
            && fields.iter().any(is_cookie)
        {
            for_guests?;
            fields.retain(|field| !is_cookie(field));
        }
        if fields.is_empty() {
            return Ok(None);
        }
        let has_only_cookies = fields.iter().all(is_cookie);
        if fields.iter().any(is_cookie) {
            check_origin(head, &self.config.allowed_origins)?;
        }
        let left_alone_ms = self.team.proofs().circuit.left_alone_ms(now);
        if left_alone_ms.is_some() {
            return Err(unavailable(LEFT_ALONE).into());
        }
        fields.push(("X-Original-Method".to_owned(), head.method.to_owned()));
        fields.push(("X-Original-URI".to_owned(), head.path.to_owned()));
        fields.push(("X-Forwarded-For".to_owned(), incoming.peer.to_canonical().to_string()));
        fields.push(("Accept".to_owned(), "application/json".to_owned()));
        let request = HttpRequest { url: url.into(), fields, body: None };
        let until = now.plus_millis(self.config.limits.auth_url_timeout_ms);
        let exchange = incoming.exchange;
        let asking = ProofRequest { exchange, request, until, has_only_cookies };
        let out = {
            let mut proofs = self.team.proofs();
            // Of others' connections they know whether they are there.
            proofs.make_room(|conn| conn.reactor() == self.number && !net.is_there(conn));
            proofs.wait(address, asking)
        };
        let is_out = out.iter().any(|asking| asking.exchange == incoming.exchange);
        for asking in out.into_iter().filter(|asking| asking.exchange != incoming.exchange) {
            self.deal(net, DealtErrand::Settle(asking.exchange, unavailable(TOO_MANY)));
        }
        if is_out {
            return Err(unavailable(TOO_MANY).into());
        }
        self.ask_for_senders(net);
        // It may be known already that the backend is not asked.
        match self.senders.remove(&incoming.exchange) {
            Some(sender) => Ok(sender?),
            None => Err(HttpAnswer::Again),
        }
    }

    /// Asks the backend for the requests whose turn it is, on whichever thread.
    pub(super) fn ask_for_senders(&mut self, net: &mut Net<'_>) {
        let now = net.now();
        if self.team.proofs().is_empty() {
            return;
        }
        let late = self.team.proofs().late(now);
        for asking in late {
            self.deal(net, DealtErrand::Settle(asking.exchange, unavailable(TOO_MANY)));
        }
        loop {
            let next = self.team.proofs().next(now);
            match next {
                Some(NextProof::CircuitOpen(asking)) => {
                    self.deal(net, DealtErrand::Settle(asking.exchange, unavailable(LEFT_ALONE)));
                }
                Some(NextProof::Ask(place, asking)) => {
                    self.deal(net, DealtErrand::AskFor(place, asking));
                }
                None => break,
            }
        }
        let next_late = self.team.proofs().next_late();
        if let Some(at) = next_late {
            net.wake_at(at);
        }
    }

    /// Asks for one request. Its address pays first, and is repaid unless the client's proof fails.
    pub(super) fn ask_for(&mut self, net: &mut Net<'_>, place: ProofPlace, asking: ProofRequest) {
        let now = net.now();
        let ProofRequest { exchange, request, has_only_cookies, .. } = asking;
        // Nobody waits for it any more.
        if !net.is_there(exchange.conn()) {
            return self.team.proofs().not_asked(&place);
        }
        let address = place.address;
        let price = self.failed_proofs.payer(address, now, &self.config.limits).pay(0);
        self.note_proofs(net, Limited::at(address));
        let price = match price {
            Ok(price) => price,
            Err(TooManyFailed(wait_ms)) => {
                self.team.proofs().not_asked(&place);
                let refusal: Response = denied(TokenError::TooManyFailed(wait_ms)).into();
                return self.settle_sender(net, exchange, Err(Response { ends: true, ..refusal }));
            }
        };
        // The whole timeout, however long the request has waited: with less time a failure would
        // say nothing of the backend.
        let bounds = (self.config.limits.auth_url_timeout_ms, ANSWER_BYTES_MAX);
        let purpose = JobPurpose::Proof(ProofJob { exchange, place, price, has_only_cookies });
        let begun = self.outbound.call(Lane::Proofs, now, Task::Call(request), bounds, purpose);
        if let Err((JobPurpose::Proof(job), failure)) = begun {
            self.proof_over(net, job, Err(failure));
        }
    }

    /// The backend has answered, or failed.
    pub(super) fn proof_over(&mut self, net: &mut Net<'_>, job: ProofJob, outcome: JobResult) {
        let ProofJob { exchange, place, price, has_only_cookies } = job;
        let now = net.now();
        if matches!(&outcome, Err(Failure::Full | Failure::Stopped)) {
            self.team.proofs().not_asked(&place);
            self.failed_proofs.payer(place.address, now, &self.config.limits).give_back(price);
            return self.settle_sender(net, exchange, Err(unavailable(TOO_MANY)));
        }
        let cause = Cause::of(&outcome, &place.address);
        let fault = BackendFault::of(&outcome);
        let verdict = judge(outcome);
        if let ProofVerdict::Fail(_) = verdict {
            self.note_auth_fault(now, AUTH_URL, &fault, "it does not say who somebody is");
        } else if fault.is_elsewhere() {
            self.note_auth_fault(now, AUTH_URL, &fault, ELSEWHERE);
        }
        let failed = matches!(verdict, ProofVerdict::Fail(_)).then_some(cause);
        self.team.proofs().done(&place, now, &self.config.limits, failed);
        let is_let_in = self.config.lets_guests_in && has_only_cookies;
        let is_nobody = match verdict {
            ProofVerdict::Accept(_) => false,
            ProofVerdict::Guest => !is_let_in,
            ProofVerdict::Refuse(_) => true,
            ProofVerdict::Fail(_) => failed != Some(Cause::Backend),
        };
        if !is_nobody {
            self.failed_proofs.payer(place.address, now, &self.config.limits).give_back(price);
        }
        let sender = match verdict {
            ProofVerdict::Accept(proof) => self.vouch(net, AUTH_URL, proof),
            ProofVerdict::Guest => Ok(None),
            ProofVerdict::Refuse(response) | ProofVerdict::Fail(response) => Err(response),
        };
        self.settle_sender(net, exchange, sender);
    }

    /// Hands a request over again, with what was found out about it.
    pub(super) fn settle_sender(
        &mut self,
        net: &mut Net<'_>,
        exchange: Exchange,
        sender: SenderResult,
    ) {
        self.senders.insert(exchange, sender);
        net.ask_again(exchange);
    }

    /// `who` has said it: the backend, or the embedding program's function.
    fn vouch(&mut self, net: &Net<'_>, who: &str, proof: Proof) -> SenderResult {
        self.team.note_issued(net.timestamp());
        let vouched = self.verifier.vouch(proof, net.timestamp());
        vouched.map(|identity| Some(Box::new(identity))).map_err(|error| {
            let said = format!("it says what cannot be: {error}");
            self.note_auth_fault(net.now(), who, &BackendFault::default(), &said);
            unavailable("nothing can be made of who you are said to be")
        })
    }
}

fn refusal(denied: Denied) -> HttpRefusal {
    let message = "the application does not let you in";
    match denied {
        Denied::Unauthorized => unauthorized(message),
        Denied::Forbidden => HttpRefusal::new(Status::Forbidden, "forbidden", message),
    }
}
