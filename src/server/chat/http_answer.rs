//! A request on its way to what answers it: who sends it, where it goes, and what its address pays
//! for it.

use super::chat::Chat;
use super::drain::restarting;
use super::journal::Limited;
use super::session::{Arrival, Session, SessionPhase, SignedIn};
use crate::base::{Address, ConnId};
use crate::http1::{RequestHead, Response};
use crate::protocol::handshake::Upgrade;
use crate::server::http::route::route;
use crate::server::http::{
    Destination, Rules, admit, denied, needs_proof, sealed, shared_origin, shared_with,
    with_fallback,
};
use crate::store::RecordStore;
use crate::web::{Exchange, HttpAnswer, Net, WebRequest};
use std::net::IpAddr;

/// RFC 6797 §6.1: for a year.
const STRICT_TRANSPORT_SECURITY: &str = "max-age=31536000";

/// An HTTP request that is being handled.
#[derive(Clone, Copy, Debug)]
pub(super) struct IncomingRequest<'r> {
    pub(super) exchange: Exchange,
    pub(super) head: &'r RequestHead<'r>,
    pub(super) body: &'r [u8],
    pub(super) peer: IpAddr,
    /// A proxy says that it comes from another machine.
    is_elsewhere: bool,
}

impl IncomingRequest<'_> {
    /// Where it comes from.
    pub(super) fn address(self) -> Address {
        Address::of(self.peer)
    }
}

impl<S: RecordStore> Chat<S> {
    /// Answers a request, or sees to a later answer.
    pub(super) fn answered(
        &mut self,
        net: &mut Net<'_>,
        exchange: Exchange,
        request: &WebRequest<'_>,
    ) -> HttpAnswer {
        let WebRequest { peer, is_by_proxy, head, body } = *request;
        let is_elsewhere = is_by_proxy && !peer.is_loopback();
        let incoming = IncomingRequest { exchange, head, body, peer, is_elsewhere };
        let answer = self.answer_to(net, incoming);
        let is_over = self.note_proofs(net, Limited::at(incoming.address()));
        match answer {
            // A client whose proofs keep failing has to reconnect for each try.
            HttpAnswer::Respond(response) => {
                let ends = response.ends || is_over;
                let response = Response { ends, ..sealed(response) };
                HttpAnswer::Respond(if self.wants_https(net, incoming) {
                    response.with("Strict-Transport-Security", STRICT_TRANSPORT_SECURITY)
                } else {
                    response
                })
            }
            HttpAnswer::Endless(response) => HttpAnswer::Endless(sealed(response)),
            answer @ (HttpAnswer::Open(_) | HttpAnswer::Later | HttpAnswer::Again) => answer,
        }
    }

    /// Whether browsers are told to come by https alone: where plain requests are redirected to it,
    /// nothing else of this host is served without.
    fn wants_https(&self, net: &Net<'_>, incoming: IncomingRequest<'_>) -> bool {
        let redirects = self.listeners.iter().any(|listener| listener.serves.redirect);
        redirects && self.listener(net, incoming.exchange.conn()).tls
    }

    fn answer_to(&mut self, net: &mut Net<'_>, incoming: IncomingRequest<'_>) -> HttpAnswer {
        let conn = incoming.exchange.conn();
        let proven = match self.prove(net, incoming) {
            Ok(None) => None,
            Ok(Some(identity)) => match admit(self.listener(net, conn), *identity) {
                Ok(identity) => Some(Box::new(identity)),
                Err(error) => return self.not_let_in(incoming, denied(error).into()).into(),
            },
            Err(HttpAnswer::Respond(response)) if Upgrade::is_asked_for(incoming.head) => {
                return with_fallback(response).into();
            }
            Err(HttpAnswer::Respond(response)) => {
                return self.not_let_in(incoming, response).into();
            }
            Err(later) => return later,
        };
        let address = incoming.address();
        let rules = Rules {
            proven: proven.as_deref(),
            ..self.rules(net, conn, address, incoming.is_elsewhere)
        };
        match route(incoming.head, rules) {
            Destination::Respond(response) => {
                let is_head = incoming.head.method == "HEAD";
                self.paid_by_address(net, address, (is_head, response)).into()
            }
            Destination::Metrics => {
                let is_apart = !self.listener(net, conn).serves.public;
                self.paid_metrics(net, incoming.exchange, address, is_apart)
            }
            Destination::Ready => self.readyz(net).into(),
            Destination::Call(call) => self.call(net, incoming, &call),
            Destination::SignIn => self.browser_call(net, incoming, proven),
            Destination::Listen(listening) => self.listen(net, incoming, *listening),
            Destination::Program(call) => self.call_program(net, incoming, *call),
            Destination::Hook(hook) => self.hook(net, incoming, *hook),
            Destination::Challenge(file) => self.challenge(net, incoming, &file),
            Destination::Open { .. } if self.is_draining() => {
                with_fallback(restarting().into()).into()
            }
            Destination::Open { upgrade, protocol, identity, is_guest, resumes, visitor } => {
                let identity = match is_guest.then(|| self.take_guest(conn)).transpose() {
                    Ok(guest) => guest.or(identity),
                    Err(refusal) => return with_fallback(refusal.into()).into(),
                };
                let deadline = net.now().plus_millis(self.config.limits.auth_timeout_ms);
                let phase = match identity {
                    Some(identity) => {
                        let (known, name) = SignedIn::of(identity);
                        let known = SignedIn { is_guest, visitor, ..known };
                        let arriving = Arrival { known, name, listen_target: None };
                        SessionPhase::Arriving(Box::new(arriving))
                    }
                    None => SessionPhase::Anonymous { deadline, visitor },
                };
                let mut session = Session::new(phase);
                session.is_announcing_resume = resumes;
                self.sessions.put(conn, session);
                net.accept(&upgrade, protocol.as_deref())
            }
        }
    }

    /// Says why nobody is let in; a page of an allowed origin may read that.
    fn not_let_in(&self, incoming: IncomingRequest<'_>, refusal: Response) -> Response {
        shared_with(refusal, shared_origin(incoming.head, &self.config.allowed_origins))
    }

    /// The answer to a request, if its content is not needed.
    pub(super) fn refused_before_body(
        &mut self,
        net: &mut Net<'_>,
        conn: ConnId,
        peer: IpAddr,
        head: &RequestHead<'_>,
    ) -> Option<Response> {
        // Content is awaited only from those who may make the call. For some proofs that is known
        // only when the content is here.
        let address = Address::of(peer);
        let rules = self.rules(net, conn, address, false);
        if self.shows_proof(head) && needs_proof(head, rules) {
            return None;
        }
        let refused = match route(head, rules) {
            Destination::Respond(response) => Some(response),
            Destination::Call(call) => self.judge_publish(&call),
            // Content that would not be checked is not awaited either.
            Destination::Hook(_) => self.cannot_pay(net, address),
            Destination::Listen(_)
            | Destination::Open { .. }
            | Destination::Program(_)
            | Destination::Challenge(_)
            | Destination::SignIn
            | Destination::Metrics
            | Destination::Ready => None,
        };
        self.note_proofs(net, Limited::at(address));
        refused
    }
}
