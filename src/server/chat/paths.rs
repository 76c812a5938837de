//! The embedding program's own paths, served.

use crate::auth::Person;
use crate::base::limits::{BODIES_BYTES_MAX, HTTP_CALLS_MAX};
use crate::base::outbox::NO_SOURCE;
use crate::base::{Class, ConnId, Origin};
use crate::http1::{RequestHead, Response};
use crate::protocol::endpoint::Broadcast;
use crate::protocol::{CloseCode, Message};
use crate::server::chat::chat::Chat;
use crate::server::chat::http_answer::Incoming;
use crate::server::chat::http_call::too_many_wait;
use crate::server::embed::socket::SocketState;
use crate::server::embed::{
    Caller, OutgoingMessage, OwnSocket, PathReply, PathRequest, Socket, SocketHandler,
};
use crate::server::http::identity::known;
use crate::server::http::opening::Visitor;
use crate::server::http::route::ProgramCall;
use crate::server::http::shared_with;
use crate::store::Backend;
use crate::web::{HttpAnswer, Net, SocketEnd};
use crate::wire::close_codes::{RATE, SLOW};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

impl<S: Backend> Chat<S> {
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
        asked: Incoming<'_>,
        call: ProgramCall,
    ) -> HttpAnswer {
        let ProgramCall { path, params, caller, origin } = call;
        if let Err(response) = self.may_call(net, asked, caller.as_ref()) {
            return HttpAnswer::Respond(shared_with(response, origin.as_deref()));
        }
        let head = asked.head;
        let of_program = PathRequest {
            method: head.method.to_owned(),
            path: head.path.to_owned(),
            params,
            query: head.query.to_owned(),
            fields: fields(head),
            body: asked.body.to_vec(),
            caller: known(caller.as_ref()).map(|person| self.program_caller(person)),
            address: asked.peer,
        };
        self.program_calls += 1;
        self.program_bytes += asked.body.len();
        let bytes = asked.body.len();
        let reply = PathReply::new(Arc::clone(&self.shared), asked.exchange, origin, bytes);
        // A panic is the program's own: its reply, which is dropped by it, answers 500.
        if catch_unwind(AssertUnwindSafe(|| (path.run)(of_program, reply))).is_err() {
            log::error!("the handler of {} {} has panicked", path.method, path.template);
        }
        self.take_path_answers(net);
        HttpAnswer::Later
    }

    fn may_call(
        &mut self,
        net: &Net<'_>,
        asked: Incoming<'_>,
        caller: Option<&Person>,
    ) -> Result<(), Response> {
        let bytes = self.program_bytes.saturating_add(asked.body.len());
        if self.program_calls >= HTTP_CALLS_MAX || bytes > BODIES_BYTES_MAX {
            return Err(too_many_wait().into());
        }
        self.count_for_program(net, asked, caller)
    }

    /// Sends what the program has answered.
    pub(super) fn take_path_answers(&mut self, net: &mut Net<'_>) {
        let answers = std::mem::take(&mut self.shared.queue().path_answers);
        self.program_calls = self.program_calls.saturating_sub(answers.len());
        for (exchange, response, bytes) in answers {
            self.program_bytes = self.program_bytes.saturating_sub(bytes);
            net.answer(exchange, response);
        }
    }

    fn own_socket(&self, conn: ConnId) -> Option<&OwnSocket> {
        match self.visitor(conn)? {
            Visitor::Own(own) => Some(own),
            Visitor::Watch(_) => None,
        }
    }

    /// Whether a connection speaks a protocol of the program's.
    pub(super) fn is_own(&self, conn: ConnId) -> bool {
        matches!(self.visitor(conn), Some(Visitor::Own(_)))
    }

    /// A WebSocket of the program's is open.
    pub(super) fn own_opened(&mut self, net: &mut Net<'_>, conn: ConnId) {
        let Some(own) = self.own_socket(conn) else { return };
        let (params, query) = (own.params.clone(), own.query.clone());
        let message_bytes = own.path.path.message_bytes;
        let person = self.person(&Origin::Conn(conn, None));
        let person = person.filter(|person| !person.is_guest);
        let caller = person.map(|person| self.program_caller(&person));
        let shared = Arc::clone(&self.shared);
        let socket = Socket::new(SocketState { conn, params, query, caller, shared });
        if let Some(session) = self.session_mut(conn)
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

    /// A message came for the program.
    pub(super) fn own_message(&mut self, net: &mut Net<'_>, conn: ConnId, message: Message<'_>) {
        let now = net.now();
        if let Err(too_soon) = self.take_message(now, conn) {
            self.counters.limited(too_soon.limit);
            if self.is_over_rate_too_often(now, conn) {
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

    /// A WebSocket of the program's is over; its session has gone.
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

    /// The server restarts.
    pub(super) fn own_draining(&mut self, net: &mut Net<'_>, conn: ConnId, spread_ms: u64) {
        self.with_own(net, conn, |handler, socket| handler.draining(socket, spread_ms));
    }

    /// Calls the program, and carries out what it asks for.
    fn with_own(
        &mut self,
        net: &mut Net<'_>,
        conn: ConnId,
        call: impl FnOnce(&dyn SocketHandler, &Socket),
    ) {
        let Some(OwnSocket { path, socket: Some(socket), .. }) = self.own_socket(conn) else {
            return;
        };
        let (handler, socket) = (Arc::clone(&path.handler), socket.clone());
        // A panic is the program's own, and of this WebSocket.
        if catch_unwind(AssertUnwindSafe(|| call(&*handler, &socket))).is_err() {
            log::error!("{conn}: the program's handler has panicked");
            net.close(conn, CloseCode::INTERNAL_ERROR, "");
        }
        self.take_calls(net);
    }

    /// Sends what the program says to WebSockets of its own. One whose outbox is full is closed: what it
    /// would miss is not kept anywhere.
    pub(super) fn say_own(&mut self, net: &mut Net<'_>, to: &[ConnId], said: &OutgoingMessage) {
        let mut broadcast = Broadcast::new(said.message());
        for conn in to.iter().copied().filter(|conn| self.is_own(*conn)) {
            let sent = net.broadcast(conn, &mut broadcast, Class::Durable, NO_SOURCE);
            if sent.is_err() && net.is_open(conn) {
                net.close(conn, CloseCode(SLOW.code), SLOW.name);
            }
        }
    }
}

/// The fields of a head that a function of the program's may see: tokens are the server's.
pub(super) fn fields(head: &RequestHead<'_>) -> Vec<(String, String)> {
    const TOKENS: &[&str] = &["authorization", "sec-websocket-protocol"];
    let fields = head.fields().map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()));
    fields.filter(|(name, _)| !TOKENS.contains(&name.as_str())).collect()
}
