//! A client's messages: who may send them now, and where they go.

use super::chat::{BAD_CLIENT, Chat, RATE};
use super::encode::{self, ErrorDetail};
use super::handler::{Access, Call, Caller, Reply};
use super::request::{Envelope, Fault, TYPES};
use super::streams::stream;
use super::web::{Message, Net};
use crate::base::ConnId;
use crate::base::limits::REVOCATIONS_MAX;
use crate::hub::{Input, InviteInfo, RefusalCode, Request, RequestId, RoomSummary, Scope};
use crate::protocol::CloseCode;
use crate::store::Backend;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

impl<S: Backend> Chat<S> {
    pub(super) fn received(&mut self, net: &mut Net<'_>, conn: ConnId, message: Message<'_>) {
        let now = net.now();
        let (per_second, burst) =
            (self.config.limits.requests_per_second, self.config.limits.burst);
        let Some(session) = self.session(conn) else { return };
        let rate = session.take_request(now, per_second, burst);
        let (text, bytes) = match message {
            Message::Text(text) => (text, None),
            Message::Binary(bytes) => ("", Some(bytes)),
            Message::Ping(_) => return,
        };
        // Whoever publishes bytes may send more than this, but no more of text than others.
        if text.len() as u64 > self.config.limits.message_bytes {
            net.close(conn, CloseCode::TOO_BIG, "");
            return;
        }
        if let (Some(bytes), Ok(())) = (bytes, &rate)
            && self.publish_bytes(net, conn, bytes)
        {
            return;
        }
        let envelope = if bytes.is_none() { Envelope::parse(text) } else { Err((None, binary())) };
        if let Err(retry_after_ms) = rate {
            let id = match &envelope {
                Ok(envelope) => envelope.id.clone(),
                Err((id, _)) => id.clone(),
            };
            self.over_rate(net, conn, id, retry_after_ms);
            return;
        }
        match envelope {
            Ok(envelope) => self.dispatch(net, conn, &envelope),
            Err((id, fault)) => self.fault(net, conn, id, &fault),
        }
    }

    fn over_rate(&mut self, net: &mut Net<'_>, conn: ConnId, id: RequestId, retry_after_ms: u64) {
        let now = net.now();
        let is_one_too_many = self.session(conn).is_some_and(|session| session.over_rate(now));
        if is_one_too_many {
            self.close_with(net, conn, RATE, "you kept sending while limited");
            return;
        }
        let detail = ErrorDetail { retry_after_ms: Some(retry_after_ms), ..ErrorDetail::default() };
        let code = RefusalCode::RateLimited.as_str();
        self.error(net, conn, id.as_deref(), code, "too many requests", &detail);
    }

    pub(super) fn fault(&mut self, net: &mut Net<'_>, conn: ConnId, id: RequestId, fault: &Fault) {
        let now = net.now();
        let is_malformed = matches!(fault.code, RefusalCode::BadJson | RefusalCode::BadRequest);
        let is_one_too_many =
            is_malformed && self.session(conn).is_some_and(|session| session.malformed(now));
        let detail = encode::fault_detail(fault);
        self.error(net, conn, id.as_deref(), fault.code.as_str(), &fault.message, &detail);
        if is_one_too_many {
            self.close_with(net, conn, BAD_CLIENT, "too many malformed requests");
        }
    }

    fn dispatch(&mut self, net: &mut Net<'_>, conn: ConnId, envelope: &Envelope<'_>) {
        let Some(session) = self.session(conn) else { return };
        let is_known = session.known().is_some();
        let is_admin = session.known().is_some_and(|known| known.admin);
        let id = envelope.id.as_deref();
        if let Some(handler) = self.handlers.get(envelope.kind.as_ref()) {
            let handler = handler.clone();
            let refused = match (handler.access, is_known) {
                (Access::Public, _) => None,
                (Access::User | Access::Admin, false) => {
                    Some(("unauthorized", "say who you are, first"))
                }
                (Access::User, true) => None,
                (Access::Admin, true) if is_admin => None,
                (Access::Admin, true) => Some(("forbidden", "this is for admins")),
            };
            match refused {
                Some((code, message)) => self.refuse(net, conn, id, code, message),
                None => self.call_handler(net, conn, envelope, &handler.run),
            }
            return;
        }
        match envelope.kind.as_ref() {
            "auth" => match envelope.auth() {
                Ok((token, resumes)) => self.authenticate(net, conn, id, &token, resumes),
                Err(fault) => self.fault(net, conn, envelope.id.clone(), &fault),
            },
            _ if !is_known => {
                self.refuse(net, conn, id, "unauthorized", "say who you are, first");
            }
            "ping" => {
                let ts = net.timestamp().0;
                self.reply(net, conn, id, |w| w.number("ts", ts));
            }
            "info" => {
                let id = envelope.id.clone();
                self.decide(net, Input::Request { conn, is_admin, id, request: Request::Info });
            }
            _ => match envelope.request(&self.config.limits, net.timestamp()) {
                Ok(Some(Request::Revoke(revocation)))
                    if is_admin && !self.verifier.revocations().has_room_for(&revocation) =>
                {
                    let limit = Some(REVOCATIONS_MAX as u64);
                    let detail = ErrorDetail { limit, ..ErrorDetail::default() };
                    let message = "as many revocations as there may be";
                    self.error(net, conn, id, RefusalCode::Quota.as_str(), message, &detail);
                }
                Ok(Some(request)) => {
                    let id = envelope.id.clone();
                    self.decide(net, Input::Request { conn, is_admin, id, request });
                }
                Ok(None) => self.stream_request(net, conn, envelope),
                Err(fault) => self.fault(net, conn, envelope.id.clone(), &fault),
            },
        }
    }

    /// Answers `info`.
    pub(super) fn info(
        &mut self,
        net: &mut Net<'_>,
        conn: ConnId,
        id: &str,
        rooms: &[RoomSummary],
        invites: &[InviteInfo],
    ) {
        let is_admin =
            self.session(conn).and_then(|session| session.known()).is_some_and(|known| known.admin);
        let counts = self.hub.counts();
        let text = encode::reply(id, |w| {
            self.greeting(w, net, conn, rooms, invites);
            w.array("types", self.types(conn), |w, kind| w.item(kind));
            w.array("streams", self.streams_for(conn), |w, one| w.object(|w| stream(w, one)));
            w.number("uptime_ms", net.now().millis_since(self.started));
            w.object_in("counts", |w| {
                w.number("connections", counts.connections as u64);
                if is_admin || self.config.presence != Scope::Off {
                    w.number("online", counts.online as u64);
                }
                w.number("rooms", counts.rooms as u64);
                if is_admin {
                    w.number("waiting_at_store", self.at_store as u64);
                    w.number("waiting_bytes", net.all_waiting_bytes() as u64);
                }
            });
        });
        self.say(net, conn, &text);
    }

    /// The types of requests that a connection may send: the wire's, and those of handlers.
    fn types(&self, conn: ConnId) -> Vec<&str> {
        let known = self.known(conn);
        let may_call = |access: Access| match access {
            Access::Public => true,
            Access::User => known.is_some(),
            Access::Admin => known.is_some_and(|known| known.admin),
        };
        let own = self.handlers.iter().filter(|(_, handler)| may_call(handler.access));
        let mut types: Vec<&str> =
            own.map(|(kind, _)| kind.as_str()).chain(TYPES.iter().copied()).collect();
        types.sort_unstable();
        types.dedup();
        types
    }

    fn call_handler(
        &mut self,
        net: &mut Net<'_>,
        conn: ConnId,
        envelope: &Envelope<'_>,
        run: &Arc<dyn Fn(Call, Reply) + Send + Sync>,
    ) {
        let id = envelope.id.as_deref();
        let Some(payload) = envelope.payload() else {
            self.refuse(net, conn, id, "bad_json", "the payload cannot be read");
            return;
        };
        if let Some(session) = self.session(conn) {
            session.calls += 1;
        }
        self.settle_pause(net, conn);
        let reply = Reply::new(Arc::clone(&self.shared), conn, id.map(str::to_owned));
        let known = self.session(conn).and_then(|session| session.known().cloned());
        let caller = known.map(|known| Caller {
            name: self.hub.name_of(&known.user).map(Arc::from),
            admin: known.admin,
            user: known.user,
        });
        let kind = envelope.kind.clone().into_owned();
        let call = Call { kind, payload, caller, connection: conn };
        // A handler's panic is its own: its reply, which is dropped by it, answers `internal`.
        if catch_unwind(AssertUnwindSafe(|| run(call, reply))).is_err() {
            log::error!("the handler of {:?} has panicked", envelope.kind);
        }
        self.take_answers(net);
    }

    fn reply(
        &mut self,
        net: &mut Net<'_>,
        conn: ConnId,
        id: Option<&str>,
        payload: impl FnOnce(&mut super::json::Writer),
    ) {
        if let Some(id) = id {
            self.say(net, conn, &encode::reply(id, payload));
        }
    }

    pub(super) fn refuse(
        &mut self,
        net: &mut Net<'_>,
        conn: ConnId,
        id: Option<&str>,
        code: &'static str,
        message: &str,
    ) {
        self.error(net, conn, id, code, message, &ErrorDetail::default());
    }

    /// Sends an error: at once where it answers an `id`, at most one a second where it does not.
    pub(super) fn error(
        &mut self,
        net: &mut Net<'_>,
        conn: ConnId,
        id: Option<&str>,
        code: &'static str,
        message: &str,
        detail: &ErrorDetail,
    ) {
        let now = net.now();
        let Some(session) = self.session(conn) else { return };
        if id.is_some() || session.anonymous_error(now, code, message, detail) {
            self.say(net, conn, &encode::error(id, code, message, detail));
        } else {
            self.arm(net, conn);
        }
    }
}

fn binary() -> Fault {
    Fault {
        code: RefusalCode::BadRequest,
        message:
            "a binary message publishes to a stream of bytes: n, n bytes of its name, the data"
                .into(),
        field: Some("type"),
        limit: None,
    }
}
