//! Clients' requests, on a connection or by a call: who may send them now, and where they go.

use super::calls::CallWaiter;
use super::chat::Chat;
use super::session::SignedIn;
use super::storing::stored_bytes;
use crate::auth::{Access, Denied, Person};
use crate::base::answer::{InviteInfo, RoomPage};
use crate::base::limits::REVOCATIONS_MAX;
use crate::base::{Answer, ConnId, Origin, Refusal, RefusalCode, Request, Rights};
use crate::hub::{Input, Quotas, Scope};
use crate::protocol::CloseCode;
use crate::server::embed::handler::{HandlerFn, HandlerWaiter};
use crate::server::embed::{Call, Reply};
use crate::server::http::identity::known;
use crate::store::RecordStore;
use crate::web::{Message, Net};
use crate::wire::close_codes::BAD_CLIENT;
use crate::wire::encode;
use crate::wire::error::ErrorReply;
use crate::wire::json::Writer;
use crate::wire::request::{
    ADMIN_PREFIX, Envelope, Fault, OF_A_CONNECTION, OF_GUESTS, TYPES, is_for_admins,
};
use crate::wire::server_encode::{self, InfoMore};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// A client's request: where it came from, who sends it, and what it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct ChatRequest<'r> {
    pub(super) origin: &'r Origin,
    /// `None` if they have not said who they are, and are no guest.
    pub(super) person: Option<&'r Person>,
    pub(super) envelope: &'r Envelope<'r>,
}

impl<S: RecordStore> Chat<S> {
    pub(super) fn received(&mut self, net: &mut Net<'_>, conn: ConnId, message: Message<'_>) {
        let rate = self.take_message(net.now(), conn);
        let (text, bytes) = match message {
            Message::Text(text) => (text, None),
            Message::Binary(bytes) => ("", Some(bytes)),
            Message::Ping(_) => return,
        };
        // A publisher of bytes may send larger messages, but no larger texts than others.
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
        if let Err(too_soon) = rate {
            let id = match &envelope {
                Ok(envelope) => envelope.id.clone(),
                Err((id, _)) => id.clone(),
            };
            self.over_rate(net, &Origin::Conn(conn, id), too_soon);
            return;
        }
        match envelope {
            Ok(envelope) => {
                let origin = Origin::Conn(conn, envelope.id.clone());
                self.dispatch(net, &origin, &envelope);
            }
            Err((id, fault)) => self.fault(net, &Origin::Conn(conn, id), fault),
        }
    }

    pub(super) fn fault(&mut self, net: &mut Net<'_>, origin: &Origin, fault: Fault) {
        let is_malformed = matches!(fault.code, RefusalCode::BadJson | RefusalCode::BadRequest);
        self.refuse(net, origin, fault.into());
        if let Origin::Conn(conn, _) = origin
            && is_malformed
        {
            let (session, limits) = (self.sessions.get_mut(*conn), &self.config.limits);
            if session.is_some_and(|session| session.malformed(net.now(), limits)) {
                self.close_with(net, *conn, BAD_CLIENT, "too many malformed requests");
            }
        }
    }

    /// Who sends a request; `None` if they have not said who they are.
    pub(super) fn person(&self, origin: &Origin) -> Option<Person> {
        match origin {
            Origin::Conn(conn, _) => {
                let session = self.sessions.get(*conn)?;
                let (known, limits) = (session.signed_in()?, session.own_limits().cloned());
                let SignedIn { is_admin, is_guest, is_named, .. } = *known;
                let (user, streams) = (known.user.clone(), known.rights.clone());
                Some(Person { user, is_admin, is_guest, is_named, streams, limits })
            }
            Origin::Call(call) => match self.calls.get(*call)? {
                CallWaiter::Http(call) => call.caller.clone(),
                CallWaiter::Ticket(_)
                | CallWaiter::Program(_)
                | CallWaiter::Source(..)
                | CallWaiter::Own(_) => None,
            },
        }
    }

    /// Carries out a request of any sender, on a connection or by a call.
    pub(super) fn dispatch(&mut self, net: &mut Net<'_>, origin: &Origin, envelope: &Envelope<'_>) {
        let person = self.person(origin);
        let person = person.as_ref();
        let chat_request = ChatRequest { origin, person, envelope };
        // Where users are not served, nothing is public.
        let served = |access: Access| match origin {
            Origin::Conn(conn, _) if !self.listener(net, *conn).serves.public => Access::Admin,
            Origin::Conn(..) | Origin::Call(_) => access,
        };
        if let Some(handler) = self.handlers.get(envelope.kind.as_ref()) {
            let handler = handler.clone();
            match refused(served(handler.access), person) {
                Some(refusal) => self.refuse(net, origin, (&refusal).into()),
                None => self.call_handler(net, chat_request, &*handler.run),
            }
            return;
        }
        let mut handlers = self.config.handlers.iter();
        let handler = handlers.find(|handler| handler.takes(&envelope.kind)).cloned();
        if let Some(handler) = handler {
            match refused(served(handler.access), person) {
                Some(refusal) => self.refuse(net, origin, (&refusal).into()),
                None => self.call_remote(net, chat_request, &handler),
            }
            return;
        }
        match (envelope.kind.as_ref(), origin) {
            (kind, Origin::Call(_)) if OF_A_CONNECTION.contains(&kind) => {
                let refusal = Refusal::bad_request("type", ACTS_ON_A_CONNECTION);
                self.refuse(net, origin, (&refusal).into());
            }
            ("auth", Origin::Conn(conn, _)) => match envelope.auth() {
                Ok((token, resumes)) => self.authenticate(net, *conn, origin, &token, resumes),
                Err(fault) => self.fault(net, origin, fault),
            },
            _ => match person {
                Some(_) if self.is_beyond_budget(net, chat_request) => {}
                Some(_) if envelope.kind == "ping" => {
                    let ts = net.timestamp();
                    self.reply(net, origin, |w| server_encode::pong(w, ts));
                }
                Some(person) if person.is_guest => self.guest_request(net, chat_request, person),
                Some(person) => {
                    self.audited(net, chat_request, |chat, net| {
                        chat.request(net, chat_request, person);
                    });
                }
                None => self.refuse(net, origin, (&SIGN_IN_FIRST).into()),
            },
        }
    }

    /// Neither parlor nor a handler has requests of this type.
    pub(super) fn refuse_type(&mut self, net: &mut Net<'_>, origin: &Origin) {
        let message = "no request has this type";
        self.refuse(net, origin, ErrorReply::new(RefusalCode::UnknownType, message));
    }

    fn request(&mut self, net: &mut Net<'_>, chat_request: ChatRequest<'_>, person: &Person) {
        let ChatRequest { origin, envelope, .. } = chat_request;
        let (kind, is_admin) = (&*envelope.kind, person.is_admin);
        let adds = stored_bytes(kind, envelope);
        if kind.starts_with(ADMIN_PREFIX) && !is_admin {
            self.refuse(net, origin, (&Refusal::FOR_ADMINS).into());
        } else if adds.is_none_or(|adds| !self.is_beyond_store(net, origin, person, adds)) {
            let now = self.team.until_now(net.timestamp());
            match envelope.request(self.limits_for(person), now) {
                Ok(Some(Request::Revoke { revocation, .. }))
                    if is_admin && !self.verifier.revocations().has_room_for(&revocation) =>
                {
                    let message = "the limit of revocations is reached";
                    let error = ErrorReply::new(RefusalCode::Quota, message);
                    self.refuse(net, origin, error.limited_to(REVOCATIONS_MAX as u64));
                }
                Ok(Some(request)) => self.ask_hub(net, origin, person, request),
                Ok(None) => self.stream_request(net, chat_request, person),
                Err(fault) => self.fault(net, origin, fault),
            }
        }
        self.count_nothing();
    }

    fn ask_hub(&mut self, net: &mut Net<'_>, origin: &Origin, person: &Person, request: Request) {
        let is_admin = person.is_admin;
        let input = match origin {
            Origin::Conn(conn, id) => {
                Input::Request { conn: *conn, is_admin, id: id.clone(), request }
            }
            Origin::Call(call) => {
                let rights = if is_admin { Rights::Admin } else { Rights::User };
                let user = person.user.clone();
                let quotas = person.limits.as_deref().map(Quotas::from);
                Input::Call { call: *call, user, rights, quotas, request }
            }
        };
        self.decide(net, input);
    }

    pub(super) fn answer(&self, w: &mut Writer, net: &Net<'_>, origin: &Origin, answer: &Answer) {
        let is_admin = || is_admin(self.person(origin).as_ref());
        match answer {
            Answer::Info { rooms, invites } => self.info(w, net, origin, rooms, invites),
            Answer::Streams { streams, more } if is_admin() => {
                w.array("streams", streams, |w, info| {
                    w.object(|w| {
                        crate::wire::stream_encode::info(w, info);
                        self.source_info(w, net.timestamp(), info);
                    });
                });
                w.flag("more", *more);
            }
            Answer::Stream(info) if is_admin() => {
                crate::wire::stream_encode::newest(w, info);
                self.source_info(w, net.timestamp(), info);
            }
            answer => encode::answer(w, answer),
        }
    }

    /// Writes the answer to `info`.
    fn info(
        &self,
        w: &mut Writer,
        net: &Net<'_>,
        origin: &Origin,
        rooms: &RoomPage,
        invites: &[InviteInfo],
    ) {
        let counts = self.hub.counts();
        self.greeting(w, net, origin, rooms, invites);
        let person = self.person(origin);
        let person = person.as_ref();
        let is_admin = is_admin(person);
        let knows_online = is_admin || self.config.presence != Scope::Off;
        let waiting = || (self.store_client.waiting() as u64, net.all_waiting_bytes() as u64);
        let more = InfoMore {
            types: &self.types(person),
            streams: &person.map(|person| self.streams_for(person)).unwrap_or_default(),
            uptime_ms: net.now().millis_since(self.started),
            connections: self.hub.connected_everywhere() as u64,
            online: knows_online.then_some(counts.online as u64),
            rooms: counts.rooms as u64,
            waiting: is_admin.then(waiting),
        };
        server_encode::more(w, &more);
    }

    /// The types of requests that somebody may send: the wire's, and those of handlers.
    fn types(&self, person: Option<&Person>) -> Vec<&str> {
        let (is_known, is_admin) = (known(person).is_some(), is_admin(person));
        let may_call = |access: Access| refused(access, person).is_none();
        let own = self.handlers.iter().filter(|(_, handler)| may_call(handler.access));
        let remote = self.config.handlers.iter().filter(|handler| may_call(handler.access));
        let remote = remote.flat_map(|handler| &handler.types).map(AsRef::as_ref);
        let mut types: Vec<&str> = own.map(|(kind, _)| kind.as_str()).chain(remote).collect();
        let publishes = person.is_some_and(|person| self.may_publish(person));
        types.extend(TYPES.iter().copied().filter(|kind| {
            let is_theirs = is_known || OF_GUESTS.contains(kind);
            match *kind {
                "publish" => is_theirs && publishes,
                kind if is_for_admins(kind) => is_admin,
                _ => is_theirs,
            }
        }));
        types.sort_unstable();
        types.dedup();
        types
    }

    fn call_handler(&mut self, net: &mut Net<'_>, chat_request: ChatRequest<'_>, run: &HandlerFn) {
        let ChatRequest { origin, person, envelope } = chat_request;
        let Some(payload) = envelope.payload() else {
            let error = ErrorReply::new(RefusalCode::BadJson, "the payload cannot be read");
            return self.refuse(net, origin, error);
        };
        self.count_pending_call(net, origin, true);
        let asking = match origin {
            Origin::Conn(conn, id) => HandlerWaiter::Conn(*conn, id.as_deref().map(str::to_owned)),
            Origin::Call(call) => HandlerWaiter::Call(*call),
        };
        let reply = Reply::new(Arc::clone(&self.shared), self.number, asking);
        let caller = known(person).map(|person| self.program_caller(person));
        let kind = envelope.kind.clone().into_owned();
        let call = Call { kind, payload, caller, connection: origin.conn() };
        // A panic drops the reply, which then answers `internal`.
        if catch_unwind(AssertUnwindSafe(|| run(call, reply))).is_err() {
            log::error!("the handler of {:?} has panicked", envelope.kind);
        }
        self.take_answers(net);
    }

    pub(super) fn reply(
        &mut self,
        net: &mut Net<'_>,
        origin: &Origin,
        payload: impl FnOnce(&mut Writer),
    ) {
        self.reply_raw(net, origin, encode::payload(payload));
    }

    /// As [`Chat::reply`], with a payload that is already JSON.
    pub(super) fn reply_raw(&mut self, net: &mut Net<'_>, origin: &Origin, payload: String) {
        match origin {
            Origin::Conn(conn, id) => {
                self.counters.requests_ok += 1;
                if let Some(id) = id {
                    let text = encode::reply_raw(id, &payload);
                    self.pay_for_answer(net, origin, text.len());
                    self.say(net, *conn, &text);
                }
            }
            Origin::Call(call) => self.call_replied(net, *call, payload),
        }
    }

    /// Refuses a request. On a connection, errors without an `id` are sent at most once a second.
    pub(super) fn refuse(&mut self, net: &mut Net<'_>, origin: &Origin, error: ErrorReply) {
        self.audit.note_refusal(origin, &error.code);
        let (conn, id) = match origin {
            Origin::Conn(conn, id) => (*conn, id.as_deref()),
            Origin::Call(call) => return self.call_refused(net, *call, &error),
        };
        let now = net.now();
        self.counters.refused_with(&error);
        net.count_error(conn);
        let Some(session) = self.sessions.get_mut(conn) else { return };
        if id.is_some() || session.anonymous_error(now, &error) {
            self.say(net, conn, &error.to_message(id));
        } else {
            self.arm(net, conn);
        }
    }

    /// Refuses what the hub, or one of its limits, does not allow.
    pub(super) fn refused(&mut self, net: &mut Net<'_>, origin: &Origin, refusal: &Refusal) {
        self.counters.limited_by(refusal);
        self.refuse(net, origin, refusal.into());
    }
}

fn is_admin(person: Option<&Person>) -> bool {
    person.is_some_and(|person| person.is_admin)
}

/// The refusal of somebody who has not said who they are.
const SIGN_IN_FIRST: Refusal = Refusal::new(RefusalCode::Unauthorized, "sign in first");
pub(super) const ACTS_ON_A_CONNECTION: &str = "this request acts on a WebSocket's own connection";

/// Why somebody may not call a handler, if so.
fn refused(access: Access, person: Option<&Person>) -> Option<Refusal> {
    access.judge(known(person).is_some(), is_admin(person)).err().map(|denied| match denied {
        Denied::Unauthorized => SIGN_IN_FIRST,
        Denied::Forbidden => Refusal::FOR_ADMINS,
    })
}

fn binary() -> Fault {
    let message =
        "a binary message publishes to a stream of bytes: n, n bytes of its name, the data";
    Fault::bad_request("type", message)
}
