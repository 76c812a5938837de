//! A request on its way to whoever answers it: who sends it, where it goes, and what its address pays for that.

use super::origin::{sealed, shared_with};
use super::route::{Routed, Rules, route, with_fallback};
use crate::protocol::handshake::{RequestHead, Response, Upgrade};
use crate::server::chat::Chat;
use crate::server::drain::restarting;
use crate::server::journal::Limited;
use crate::server::proof::Asked;
use crate::server::session::{Arriving, Phase, Session};
use crate::server::streams::{guest, too_many_guests};
use crate::server::web::{Address, Answer, Exchange, Net, Request};
use crate::store::Backend;
use std::net::IpAddr;

impl<S: Backend> Chat<S> {
    /// Answers a request, or sees to it that it is answered.
    pub(in crate::server) fn answered(
        &mut self,
        net: &mut Net<'_>,
        exchange: Exchange,
        request: &Request<'_>,
    ) -> Answer {
        let answer = self.answer_to(net, exchange, request);
        let address = Some(Address::of(request.peer));
        let is_over = self.note_proofs(net, Limited { conn: None, user: None, address });
        match answer {
            // Whoever fails again and again has to come again for each try.
            Answer::Respond(response) => {
                let ends = response.ends || is_over;
                Answer::Respond(Response { ends, ..sealed(response) })
            }
            Answer::Endless(response) => Answer::Endless(sealed(response)),
            answer @ (Answer::Open(_) | Answer::Later | Answer::Again) => answer,
        }
    }

    /// Answers a request.
    fn answer_to(
        &mut self,
        net: &mut Net<'_>,
        exchange: Exchange,
        request: &Request<'_>,
    ) -> Answer {
        let conn = exchange.conn();
        let is_elsewhere = request.is_by_proxy && !request.peer.is_loopback();
        let proven = match self.prove(net, exchange, request) {
            Asked::NotNeeded => None,
            Asked::Is(identity) => Some(identity),
            Asked::Refuse(response) if Upgrade::is_asked_for(request.head) => {
                return with_fallback(response).into();
            }
            Asked::Refuse(response) => return Answer::Respond(shared_with(response, None)),
            Asked::Waits => return Answer::Again,
        };
        let address = Address::of(request.peer);
        let rules = Rules { proven: proven.as_deref(), ..self.rules(net, address, is_elsewhere) };
        let (answer, opening) = match route(request.head, rules) {
            Routed::Respond(response) => {
                let is_head = request.head.method == "HEAD";
                let paid = self.paid_by_address(net, address, (is_head, response));
                return Answer::Respond(paid);
            }
            Routed::Metrics => return Answer::Respond(self.paid_metrics(net, address)),
            Routed::Ready => return Answer::Respond(self.readyz(net)),
            Routed::Call(call) => return self.call(net, exchange, request, &call),
            Routed::SignIn => return self.browser_call(net, exchange, request, proven),
            Routed::Listen(listening) => return self.listen(net, exchange, address, *listening),
            Routed::Program(call) => return self.call_program(net, exchange, request, *call),
            Routed::Hook(hook) => return self.hook(net, exchange, request, *hook),
            Routed::Open { .. } if self.is_draining() => {
                return with_fallback(restarting().into()).into();
            }
            Routed::Open { is_guest: true, .. } if !self.take_guest() => {
                self.counters.limited("guests");
                return with_fallback(too_many_guests().into()).into();
            }
            Routed::Open { upgrade, protocol, identity, is_guest, resumes, beside } => {
                let identity = if is_guest { guest(conn) } else { identity };
                let answer = net.accept(&upgrade, protocol.as_deref());
                (answer, (identity, is_guest, resumes, beside))
            }
        };
        let (identity, is_guest, resumes, beside) = opening;
        let deadline = net.now().plus_millis(self.config.limits.auth_timeout_ms);
        let phase = match identity {
            Some(identity) => {
                Phase::Arriving(Box::new(Arriving { identity, is_guest, beside, asks_for: None }))
            }
            None => Phase::Anonymous { deadline, resumes, beside },
        };
        self.put_session(Session::new(conn, phase).announcing_resume(resumes));
        answer
    }

    /// The answer to a request whose content need not come.
    pub(in crate::server) fn refused_before_body(
        &mut self,
        net: &mut Net<'_>,
        peer: IpAddr,
        head: &RequestHead<'_>,
    ) -> Option<Response> {
        // Nobody's content is waited for but of those who may make a call; who that is may be found out only
        // when it is here.
        if self.shows_proof(head) && self.may_ask_for(net, head) {
            return None;
        }
        let address = Address::of(peer);
        let refused = match route(head, self.rules(net, address, false)) {
            Routed::Respond(response) => Some(response),
            Routed::Call(call) => self.judge_publish(&call),
            // Nor for what would not be looked at.
            Routed::Hook(_) => self.cannot_pay(net, address),
            Routed::Listen(_)
            | Routed::Open { .. }
            | Routed::Program(_)
            | Routed::SignIn
            | Routed::Metrics
            | Routed::Ready => None,
        };
        self.note_proofs(net, Limited { conn: None, user: None, address: Some(address) });
        refused
    }
}
