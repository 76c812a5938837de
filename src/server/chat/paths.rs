//! Clients that do not come for the chat: those of a stream's own path, which send no requests,
//! guests, and those of the embedding program's paths.

use super::chat::Chat;
use super::dispatch::ChatRequest;
use super::http_answer::IncomingRequest;
use super::http_call::too_many_wait;
use super::session::SignedIn;
use crate::auth::{Identity, Person};
use crate::base::answer::RoomPage;
use crate::base::limits::{BODIES_BYTES_MAX, HTTP_CALLS_MAX};
use crate::base::outbox::NO_SOURCE;
use crate::base::subscription::{Ask, Form};
use crate::base::{Answer, Class, ConnId, Origin, RefusalCode, StreamRights, UserId};
use crate::http1::{HttpRefusal, RequestHead, Status};
use crate::protocol::endpoint::Broadcast;
use crate::protocol::{CloseCode, Message};
use crate::server::embed::challenges::Challenges;
use crate::server::embed::socket::SocketState;
use crate::server::embed::{
    Caller, OutgoingMessage, OwnSocket, PathReply, PathRequest, Socket, SocketHandler,
};
use crate::server::http::{ProgramCall, Visitor, known, shared_with};
use crate::store::RecordStore;
use crate::web::{HttpAnswer, Net, SocketEnd};
use crate::wire::close_codes::{KICKED, OVERLOADED, RATE, SLOW, TOO_MANY};
use crate::wire::encode;
use crate::wire::error::ErrorReply;
use crate::wire::request::TYPES;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

/// The header fields that the program's function may see; tokens are for the server only.
pub(super) fn fields(head: &RequestHead<'_>) -> Vec<(String, String)> {
    const TOKENS: &[&str] = &["authorization", "sec-websocket-protocol"];
    let fields = head.fields().map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()));
    fields.filter(|(name, _)| !TOKENS.contains(&name.as_str())).collect()
}

/// Calls of the embedding program's paths that it has not answered.
#[derive(Debug, Default)]
pub(super) struct PathCalls {
    waiting: usize,
    /// Bytes of their bodies.
    bytes: usize,
}

impl PathCalls {
    fn has_room(&self, bytes: usize) -> bool {
        self.waiting < HTTP_CALLS_MAX && self.bytes.saturating_add(bytes) <= BODIES_BYTES_MAX
    }

    fn begin(&mut self, bytes: usize) {
        self.waiting += 1;
        self.bytes += bytes;
    }

    fn end(&mut self, bytes: usize) {
        self.waiting = self.waiting.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

impl<S: RecordStore> Chat<S> {
    pub(super) fn program_caller(&self, person: &Person) -> Caller {
        Caller {
            name: self.hub.name_of(&person.user).map(Arc::from),
            admin: person.is_admin,
            user: person.user.clone(),
        }
    }

    /// Hands a request to the program.
    pub(super) fn call_program(
        &mut self,
        net: &mut Net<'_>,
        incoming: IncomingRequest<'_>,
        call: ProgramCall,
    ) -> HttpAnswer {
        let ProgramCall { path, params, caller, origin } = call;
        let bytes = incoming.body.len();
        let counted = if self.path_calls.has_room(bytes) {
            self.count_for_program(net, incoming, caller.as_ref())
        } else {
            Err(too_many_wait().into())
        };
        if let Err(response) = counted {
            return HttpAnswer::Respond(shared_with(response, origin.as_deref()));
        }
        let head = incoming.head;
        let of_program = PathRequest {
            method: head.method.to_owned(),
            path: head.path.to_owned(),
            params,
            query: head.query.to_owned(),
            fields: fields(head),
            body: incoming.body.to_vec(),
            caller: known(caller.as_ref()).map(|person| self.program_caller(person)),
            address: incoming.peer,
        };
        self.path_calls.begin(bytes);
        let (shared, to) = (Arc::clone(&self.shared), Some(incoming.exchange));
        let reply = PathReply { shared, to, origin, bytes };
        // A panic drops the reply, which then answers 500.
        if catch_unwind(AssertUnwindSafe(|| (path.run)(of_program, reply))).is_err() {
            log::error!("the handler of {} {} has panicked", path.method, path.template);
        }
        self.take_path_answers(net);
        HttpAnswer::Later
    }

    /// From now on challenges are answered.
    pub(crate) fn serve_challenges(&mut self, challenges: Challenges) {
        self.challenges = Some(challenges);
    }

    /// Answers with what proves to a certificate authority that a host is ours.
    pub(super) fn challenge(
        &mut self,
        net: &Net<'_>,
        incoming: IncomingRequest<'_>,
        file: &str,
    ) -> HttpAnswer {
        let directory = self.listener(net, incoming.exchange.conn()).acme_webroot.as_deref();
        let (Some(directory), Some(challenges)) = (directory, self.challenges.as_ref()) else {
            let message = "there is no such challenge";
            return HttpRefusal::new(Status::NotFound, "not_found", message).into();
        };
        let path = Path::new(directory).join(file);
        self.path_calls.begin(0);
        let (shared, to) = (Arc::clone(&self.shared), Some(incoming.exchange));
        challenges.answer(path, PathReply { shared, to, origin: None, bytes: 0 });
        HttpAnswer::Later
    }

    /// Sends the program's answers.
    pub(super) fn take_path_answers(&mut self, net: &mut Net<'_>) {
        let answers = std::mem::take(&mut self.thread().queue().path_answers);
        for (exchange, response, bytes) in answers {
            self.path_calls.end(bytes);
            net.answer(exchange, response);
        }
    }

    fn own_socket(&self, conn: ConnId) -> Option<&OwnSocket> {
        match self.visitor(conn)? {
            Visitor::Own(own) => Some(own),
            Visitor::Watch(_) => None,
        }
    }

    /// A WebSocket of the program is open.
    pub(super) fn own_opened(&mut self, net: &mut Net<'_>, conn: ConnId) {
        let Some(own) = self.own_socket(conn) else { return };
        let (params, query) = (own.params.clone(), own.query.clone());
        let message_bytes = own.path.path.message_bytes;
        let person = self.person(&Origin::Conn(conn, None));
        let person = person.filter(|person| !person.is_guest);
        let caller = person.map(|person| self.program_caller(&person));
        let shared = Arc::clone(&self.shared);
        let socket = Socket(Arc::new(SocketState { conn, params, query, caller, shared }));
        if let Some(session) = self.sessions.get_mut(conn)
            && let Some(Visitor::Own(own)) = session.visitor_mut()
        {
            own.socket = Some(socket);
        }
        let usual = self.config.limits.message_bytes;
        if let Some(bytes) = message_bytes.filter(|bytes| *bytes > usual) {
            net.take_messages_up_to(conn, bytes);
        }
        self.with_own(net, conn, |handler, socket| handler.opened(socket));
    }

    /// A message for the program came.
    pub(super) fn own_message(&mut self, net: &mut Net<'_>, conn: ConnId, message: Message<'_>) {
        let now = net.now();
        if let Err(too_soon) = self.take_message(now, conn) {
            self.counters.limited(too_soon.limit);
            if self.is_over_rate_too_often(net, conn) {
                net.close(conn, CloseCode(RATE.code), RATE.name);
                return;
            }
            let wait_ms = too_soon.retry_after_ms;
            self.with_own(net, conn, |handler, socket| handler.limited(socket, wait_ms));
            return;
        }
        self.with_own(net, conn, |handler, socket| match message {
            Message::Text(text) => handler.text(socket, text),
            Message::Binary(bytes) => handler.binary(socket, bytes),
            Message::Ping(_) => {}
        });
    }

    /// A WebSocket of the program is closed; its session is gone.
    pub(super) fn own_closed(&mut self, net: &mut Net<'_>, own: &OwnSocket, over: SocketEnd) {
        let code = match over {
            SocketEnd::ClosedByPeer(code) => code,
            SocketEnd::ClosedByUs(code) => Some(code),
            SocketEnd::HeldMost | SocketEnd::Lost => None,
        };
        let Some(socket) = &own.socket else { return };
        let handler = Arc::clone(&own.path.handler);
        if catch_unwind(AssertUnwindSafe(|| handler.closed(socket, code))).is_err() {
            log::error!("{}: the program's handler has panicked", socket.id());
        }
        self.take_calls(net);
    }

    /// Calls the program, and carries out what it asks for.
    pub(super) fn with_own(
        &mut self,
        net: &mut Net<'_>,
        conn: ConnId,
        call: impl FnOnce(&dyn SocketHandler, &Socket),
    ) {
        let Some(OwnSocket { path, socket: Some(socket), .. }) = self.own_socket(conn) else {
            return;
        };
        let (handler, socket) = (Arc::clone(&path.handler), socket.clone());
        // A panic of the program ends only this WebSocket.
        if catch_unwind(AssertUnwindSafe(|| call(&*handler, &socket))).is_err() {
            log::error!("{conn}: the program's handler has panicked");
            net.close(conn, CloseCode::INTERNAL_ERROR, "");
        }
        self.take_calls(net);
    }

    /// Sends the program's message to its own WebSockets. One whose outbox is full is closed,
    /// because what it would miss is kept nowhere.
    pub(super) fn say_own(&mut self, net: &mut Net<'_>, to: &[ConnId], said: &OutgoingMessage) {
        let mut broadcast = Broadcast::new(said.message());
        for conn in to.iter().copied().filter(|conn| self.own_socket(*conn).is_some()) {
            let sent = net.broadcast(conn, &mut broadcast, Class::Durable, NO_SOURCE);
            if sent.is_err() && net.is_open(conn) {
                net.close(conn, CloseCode(SLOW.code), SLOW.name);
            }
        }
    }

    /// Admits clients that the hub does not know: those of the program's paths, those that only
    /// watch a stream, and guests. Returns whether it is one of them.
    pub(super) fn let_in_visitor(&mut self, net: &mut Net<'_>, conn: ConnId) -> bool {
        let Some(known) = self.signed_in(conn).cloned() else { return false };
        let SignedIn { rights, visitor, is_guest, .. } = known;
        if visitor.is_some() && !self.admit(net, conn) {
            return true;
        }
        if let Some(Visitor::Own(_)) = visitor.as_deref() {
            self.own_opened(net, conn);
        } else if let Some(Visitor::Watch(watch)) = visitor.map(|visitor| *visitor) {
            let asks = vec![Ask::whole(watch.stream)];
            self.subscribe(net, (conn, None), rights, Form::Plain, asks);
        } else if is_guest {
            let origin = Origin::Conn(conn, None);
            self.greet(net, &origin, &RoomPage::default(), &[]);
        } else {
            return false;
        }
        true
    }

    /// Whether a connection's user may have one more, and all hubs can be told of them. If so, it counts; if
    /// not, it is closed.
    pub(super) fn admit(&mut self, net: &mut Net<'_>, conn: ConnId) -> bool {
        let Some(known) = self.signed_in(conn).filter(|known| !known.is_guest) else { return true };
        let (user, is_visitor) = (known.user.clone(), known.visitor.is_some());
        // The others are told of a user's first connection here alone.
        let is_new = !is_visitor && self.hub.connections_of(&user).is_empty();
        if is_new && self.store_client.store.is_held_up() {
            self.close_with(net, conn, OVERLOADED, "a thread of the server is held up");
            return false;
        }
        let visitors = self.sessions.visitors_of(&user);
        if !is_visitor && visitors == 0 {
            // The hub counts those that it knows.
            return true;
        }
        let most = self.limits_on(conn).connections_per_user as usize;
        if self.hub.connections_everywhere(&user) + visitors >= most {
            self.counters.limited("connections_per_user");
            self.close_with(net, conn, TOO_MANY, "you have too many connections");
            return false;
        }
        if is_visitor {
            self.sessions.count_visitor(conn, user);
        }
        true
    }

    /// What a connection is for, if not for the chat.
    pub(super) fn visitor(&self, conn: ConnId) -> Option<&Visitor> {
        self.signed_in(conn)?.visitor.as_deref()
    }

    /// A message of a client that only watches. It counts towards the rate and is ignored.
    pub(super) fn ignore_message(&mut self, net: &mut Net<'_>, conn: ConnId) {
        let now = net.now();
        let Err(too_soon) = self.take_message(now, conn) else { return };
        self.counters.limited(too_soon.limit);
        self.note_limited_on(net, conn, too_soon.limit);
        if self.is_over_rate_too_often(net, conn) {
            net.close(conn, CloseCode(RATE.code), RATE.name);
        }
    }

    /// The stream has ended or cannot be watched, and the client waits for nothing else.
    pub(super) fn end_watching(&self, net: &mut Net<'_>, conn: ConnId) {
        net.close(conn, CloseCode(KICKED.code), KICKED.name);
    }

    /// A request of a guest, who may use what is public.
    pub(super) fn guest_request(
        &mut self,
        net: &mut Net<'_>,
        chat_request: ChatRequest<'_>,
        person: &Person,
    ) {
        let ChatRequest { origin, envelope, .. } = chat_request;
        match envelope.kind.as_ref() {
            "info" => {
                if let Err(fault) = envelope.request(self.limits_for(person), net.timestamp()) {
                    return self.fault(net, origin, fault);
                }
                let nothing = Answer::Info { rooms: RoomPage::default(), invites: Vec::new() };
                let payload = encode::payload(|w| self.answer(w, net, origin, &nothing));
                self.reply_raw(net, origin, payload);
            }
            kind if ["subscribe", "unsubscribe", "publish"].contains(&kind)
                || kind.starts_with("stream:") =>
            {
                self.stream_request(net, chat_request, person);
            }
            kind if !TYPES.contains(&kind) => self.refuse_type(net, origin),
            _ => {
                let message = "guests may only watch public streams";
                self.refuse(net, origin, ErrorReply::new(RefusalCode::Forbidden, message));
            }
        }
    }

    /// Counts one more guest, if it may come. Its name is made from the connection's, so that no
    /// two guests share one.
    pub(super) fn take_guest(&mut self, conn: ConnId) -> Result<Identity, HttpRefusal> {
        if self.sessions.take_guest(self.config.limits.guests as usize) {
            return Ok(Identity::without_token(UserId::guest(Some(conn)), StreamRights::default()));
        }
        self.counters.limited("guests");
        let message = "the limit of guests is reached";
        let refusal = HttpRefusal::new(Status::TooManyRequests, "rate_limited", message);
        Err(refusal.with(&[("Retry-After", "10")]))
    }
}
