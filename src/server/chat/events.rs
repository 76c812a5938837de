//! Begins Server-Sent Events, and keeps them alive.

use super::chat::Chat;
use super::drain::restarting;
use super::http_answer::IncomingRequest;
use super::session::{Arrival, Session, SessionPhase, SignedIn};
use crate::auth::Identity;
use crate::base::answer::RoomPage;
use crate::base::limits::{RETRY_MS, TICKET_MS};
use crate::base::outbox::NO_SOURCE;
use crate::base::rates::Asker;
use crate::base::subscription::Form;
use crate::base::{Address, Class, ConnId, Frame, Origin, Request};
use crate::http1::{HttpRefusal, Response, Status};
use crate::hub::Input;
use crate::server::events::places::LastSeen;
use crate::server::http::{
    ListenRequest, ListenSender, ListenTarget, Visitor, Watch, WatchForm, admit, denied,
    judge_target, public, shared_with, unauthorized,
};
use crate::store::RecordStore;
use crate::web::{HttpAnswer, Net};
use crate::wire::encode;
use crate::wire::sse::{before_parts, retry};
use std::sync::Arc;

/// Spreads the times that connections are told, by their index, so that neighbours get different
/// ones.
const SPREAD: u64 = 397;

impl<S: RecordStore> Chat<S> {
    /// Answers a request for events, or for a ticket.
    pub(super) fn listen(
        &mut self,
        net: &mut Net<'_>,
        incoming: IncomingRequest<'_>,
        listen_request: ListenRequest,
    ) -> HttpAnswer {
        let origin = listen_request.origin.clone();
        self.begin_listening(net, incoming, listen_request).unwrap_or_else(|refusal| {
            self.counters.refused(refusal.code);
            HttpAnswer::Respond(shared_with(refusal.into(), origin.as_deref()))
        })
    }

    fn begin_listening(
        &mut self,
        net: &mut Net<'_>,
        incoming: IncomingRequest<'_>,
        listen_request: ListenRequest,
    ) -> Result<HttpAnswer, HttpRefusal> {
        let (conn, address) = (incoming.exchange.conn(), incoming.address());
        let ListenRequest { sender, target, response, is_head, .. } = listen_request;
        if self.is_draining() {
            return Err(restarting());
        }
        if is_head {
            // RFC 9110 §9.2.1: HEAD is safe, so it does not use up a ticket.
            if let ListenSender::Ticket(ticket) = &sender {
                let now = (net.now(), net.timestamp());
                let owner = self.team.tickets().owner(ticket, now, &self.verifier).cloned();
                let owner = owner.ok_or_else(bad_ticket)?;
                let owner = admit(self.listener(net, conn), owner).map_err(denied)?;
                let rules = self.rules(net, conn, Address::UNKNOWN, false);
                judge_target(rules, &owner.rights, true, &target)?;
            }
            return Ok(HttpAnswer::Respond(response));
        }
        let has_rate = !matches!(sender, ListenSender::Token(_));
        // A page elsewhere may have the ticket, and embed what it is for.
        let is_by_ticket = matches!(sender, ListenSender::Ticket(_));
        let identity = match sender {
            ListenSender::User(identity) | ListenSender::Token(identity) => Some(identity),
            ListenSender::Guest => None,
            ListenSender::Ticket(ticket) => {
                let now = (net.now(), net.timestamp());
                let identity = self.team.tickets().redeem(&ticket, now, &self.verifier);
                let identity = identity.ok_or_else(bad_ticket)?;
                let identity = admit(self.listener(net, conn), identity).map_err(denied)?;
                let rules = self.rules(net, conn, Address::UNKNOWN, false);
                judge_target(rules, &identity.rights, true, &target)?;
                Some(identity)
            }
        };
        let is_guest = identity.is_none();
        let is_public = is_guest || is_by_ticket;
        let visitor = match &target {
            ListenTarget::Ticket => {
                return self.give_ticket(net, identity, address, has_rate, response);
            }
            ListenTarget::Stream { ask, form } => {
                let watch = Watch { stream: ask.stream.clone(), form: *form };
                Some(Box::new(Visitor::Watch(watch)))
            }
            ListenTarget::All { .. } => None,
        };
        if let (Some(identity), None) = (&identity, &visitor) {
            self.owed_by(net, identity)?;
        }
        let identity = match identity {
            Some(identity) => identity,
            None => self.take_guest(conn)?,
        };
        let response = if is_public { public(response) } else { response };
        let (known, name) = SignedIn::of(identity);
        let known = SignedIn { is_guest, visitor, ..known };
        let arriving = Arrival { known, name, listen_target: Some(target) };
        self.sessions.put(conn, Session::new(SessionPhase::Arriving(Box::new(arriving))));
        Ok(HttpAnswer::Endless(response))
    }

    fn give_ticket(
        &mut self,
        net: &Net<'_>,
        identity: Option<Identity>,
        address: Address,
        has_rate: bool,
        response: Response,
    ) -> Result<HttpAnswer, HttpRefusal> {
        let identity = identity.ok_or_else(|| unauthorized("say who you are"))?;
        // It counts as a call, so that nobody takes all tickets.
        let asker = Asker::User(identity.user.clone());
        let (limits, asked) = (&self.config.limits, identity.limits());
        let own = self.config.exceptions.limits_of(limits, &identity.user, asked);
        if has_rate && let Err(too_soon) = self.take_call(net.now(), asker, own.as_deref()) {
            self.counters.limited(too_soon.limit);
            self.counters.refused("rate_limited");
            let refused = Response::from(HttpRefusal::from(too_soon));
            let response = Response { fields: response.fields, ..refused };
            return Ok(HttpAnswer::Respond(response.with_retry_after(too_soon.retry_after_ms)));
        }
        let unavailable =
            |message| HttpRefusal::new(Status::ServiceUnavailable, "overloaded", message);
        let mut secret = [0; 16];
        getrandom::fill(&mut secret)
            .map_err(|_| unavailable("the system has no randomness for a ticket"))?;
        let expires = net.timestamp().0.saturating_add(TICKET_MS as i64);
        let secret = u128::from_le_bytes(secret);
        let (ticket, is_beyond) = self.team.tickets().give(identity, address, net.now(), secret);
        if is_beyond {
            self.counters.limited("tickets");
        }
        let body = encode::payload(|w| {
            w.text("ticket", &ticket);
            w.number("expires", expires);
        });
        let kind = "application/json".into();
        Ok(HttpAnswer::Respond(Response {
            content_type: kind,
            body: body.into_bytes().into(),
            ..response
        }))
    }

    /// The head was sent: greets the client, and begins.
    pub(super) fn begin_events(
        &mut self,
        net: &mut Net<'_>,
        conn: ConnId,
        name: Option<Arc<str>>,
        target: ListenTarget,
    ) {
        self.arm(net, conn);
        let Some(known) = self.signed_in(conn).cloned() else { return };
        let SignedIn { user, rights, is_admin, is_guest, .. } = known;
        let origin = Origin::Conn(conn, None);
        let by = (conn, None);
        match target {
            ListenTarget::Ticket => {}
            ListenTarget::Stream { ask, form } => {
                if !self.admit(net, conn) {
                    return;
                }
                let form = if form == WatchForm::Parts {
                    begin(net, conn, before_parts());
                    Form::Plain
                } else {
                    begin(net, conn, retry(reconnect_ms(conn, RETRY_MS)));
                    self.greet(net, &origin, &RoomPage::default(), &[]);
                    Form::Envelope
                };
                self.subscribe(net, by, rights, form, vec![*ask]);
            }
            ListenTarget::All { mut streams, last } => {
                if !streams.is_empty()
                    && let Some(session) = self.sessions.get_mut(conn)
                {
                    session.watches();
                }
                begin(net, conn, retry(reconnect_ms(conn, RETRY_MS)));
                if is_guest {
                    self.greet(net, &origin, &RoomPage::default(), &[]);
                } else {
                    if !self.admit(net, conn) {
                        return;
                    }
                    self.decide(net, Input::TellPosition { conn });
                    let resumes = last.is_some();
                    self.decide(net, Input::Connected { conn, user, name, resumes });
                }
                if let Some(last) = &last {
                    let epoch =
                        |stream: &_| self.hub.streams().epoch(stream).map(|own| (**own).into());
                    last.continue_streams(&mut streams, epoch);
                }
                if let Some(LastSeen { epoch, time: since, .. }) = last.filter(|_| !is_guest) {
                    let request = Request::ResumeAt { epoch, since };
                    let id = None;
                    self.decide(net, Input::Request { conn, is_admin, id, request });
                }
                if !streams.is_empty() && net.is_open(conn) {
                    if let Some(places) = self.places_mut(conn) {
                        places.is_asking = true;
                    }
                    self.subscribe(net, by, rights, Form::Envelope, streams);
                }
            }
        }
    }

    /// Nothing was sent to a connection for the time of a heartbeat.
    pub(super) fn keep_alive(&self, net: &mut Net<'_>, conn: ConnId) {
        let text = encode::push("keepalive", |w| w.number("ts", net.timestamp().0));
        self.tell(net, conn, self.place(conn).as_deref(), &text);
    }

    /// Tells a connection, which ends soon with all others, when to reconnect.
    pub(super) fn spread_return(&self, net: &mut Net<'_>, conn: ConnId, ms: u64) {
        begin(net, conn, retry(reconnect_ms(conn, ms)));
    }
}

fn bad_ticket() -> HttpRefusal {
    unauthorized("this ticket was used already, or has expired")
}

fn begin(net: &mut Net<'_>, conn: ConnId, bytes: Vec<u8>) {
    // Refused only when it has ended.
    let _ = net.piece(conn, Frame::Own(bytes.into()), Class::Control, NO_SOURCE);
}

/// Half a second, and up to `ms` more.
fn reconnect_ms(conn: ConnId, ms: u64) -> u64 {
    const MS_MIN: u64 = 500;
    // Those of several threads have the same indices.
    let number = conn.index() as u64 + conn.reactor() as u64 * 7_919;
    MS_MIN + number.wrapping_mul(SPREAD) % ms.max(1)
}
