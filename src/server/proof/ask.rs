//! Asks who sends a request: a function at once, the backend while the request waits.

use super::answer::{Verdict, judge, unavailable};
use super::hook::{Denied, Head, Proof};
use crate::base::{Limits, Moment};
use crate::protocol::handshake::{Refusal, RequestHead, Response, Status};
use crate::server::auth::{Identity, Vouched};
use crate::server::backend::{
    Circuit, CircuitSettings, Failure, HttpRequest, JobResult, Method, Pass, Task,
};
use crate::server::chat::Chat;
use crate::server::errands::Purpose;
use crate::server::http::{check_origin, needs_proof, signed_in, without_sign_ins};
use crate::server::web::{Address, Exchange, Net, Request};
use crate::store::Backend;
use std::collections::BTreeMap;

/// What may come as an answer, in bytes: a user, and patterns of streams.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// What was found out for requests that wait.
#[derive(Debug, Default)]
pub(in crate::server) struct Proofs {
    /// For those that are handed over again in this turn.
    found: BTreeMap<Exchange, Result<Box<Identity>, Response>>,
    circuit: Circuit,
}

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
        if let Some(found) = self.proofs.found.remove(&exchange) {
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
        let (head, now) = (request.head, net.now());
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
        let pass = match self.proofs.circuit.pass(now) {
            Ok(pass) => pass,
            Err(_) => {
                return Asked::Refuse(unavailable("the backend that says who you are is down"));
            }
        };
        fields.push(("X-Original-Method".to_owned(), head.method.to_owned()));
        fields.push(("X-Original-URI".to_owned(), head.path.to_owned()));
        fields.push(("X-Forwarded-For".to_owned(), request.peer.to_canonical().to_string()));
        fields.push(("Accept".to_owned(), "application/json".to_owned()));
        let (method, url) = (Method::Get, url.into());
        let task = Task::Call(HttpRequest { method, url, fields, body: Vec::new() });
        let bounds = (self.config.limits.auth_url_timeout_ms, ANSWER_BYTES_MAX);
        match self.outbound.prove(now, task, bounds, Purpose::Proof { exchange, pass }) {
            Ok(_) => Asked::Waits,
            Err((purpose, _)) => {
                if let Purpose::Proof { pass, .. } = purpose {
                    self.proofs.circuit.unused(&pass);
                }
                Asked::Refuse(unavailable("too many wait for the backend to say who they are"))
            }
        }
    }

    /// The backend has said who sends a request.
    pub(in crate::server) fn proof_came(
        &mut self,
        net: &mut Net<'_>,
        exchange: Exchange,
        pass: &Pass,
        outcome: JobResult,
    ) {
        let is_ours = matches!(&outcome, Err(Failure::Full | Failure::Stopped));
        let verdict = judge(outcome);
        let is_failure = matches!(verdict, Verdict::Fail(_));
        self.proofs.note(pass, net.now(), &self.config.limits, (is_failure, is_ours));
        let found = match verdict {
            Verdict::Is(proof) => self.vouched(net, proof),
            Verdict::Refuse(response) | Verdict::Fail(response) => Err(response),
        };
        self.proofs.found.insert(exchange, found);
        net.ask_again(exchange);
    }

    /// Those who went meanwhile do not want to know any more.
    pub(in crate::server) fn forget_proofs(&mut self) {
        self.proofs.found.clear();
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

impl Proofs {
    fn note(
        &mut self,
        pass: &Pass,
        now: Moment,
        limits: &Limits,
        (is_failure, is_ours): (bool, bool),
    ) {
        let settings = CircuitSettings::from(limits);
        if is_ours {
            self.circuit.unused(pass);
        } else if is_failure {
            if self.circuit.failed(pass, now, settings) && !pass.is_trial {
                log::warn!("auth.url is left alone for {} ms", settings.open_ms);
            }
        } else if self.circuit.succeeded(pass) {
            log::info!("auth.url answers again");
        }
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
