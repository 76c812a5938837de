//! The embedding program's paths, served: requests handed to its functions, and its WebSockets'
//! messages.

use super::http::{HttpPath, PathReply, PathRequest};
use super::socket::{Inner, OwnPath, Said, Socket, SocketHandler};
use super::table::Params;
use crate::base::limits::{BODIES_BYTES_MAX, HTTP_CALLS_MAX};
use crate::base::outbox::NO_SOURCE;
use crate::base::{Class, ConnId};
use crate::protocol::endpoint::Broadcast;
use crate::protocol::handshake::{RequestHead, Response};
use crate::protocol::{CloseCode, Message};
use crate::server::chat::{Chat, RATE, SLOW};
use crate::server::dispatch::Person;
use crate::server::handler::Caller;
use crate::server::http::{Caller as HttpCaller, shared_with};
use crate::server::session::Beside;
use crate::server::web::{Answer, Exchange, Net, Over, Request};
use crate::store::Backend;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// A request for a path of the program's, judged.
#[derive(Debug)]
pub(in crate::server) struct ProgramCall {
    pub(in crate::server) path: HttpPath,
    pub(in crate::server) params: Params,
    pub(in crate::server) caller: HttpCaller,
    /// The page elsewhere that may see the answer.
    pub(in crate::server) origin: Option<Box<str>>,
}

/// A WebSocket of the program's that is about to be opened, or is.
#[derive(Clone)]
pub(in crate::server) struct OwnSocket {
    path: OwnPath,
    params: Params,
    query: String,
    /// From when it is open.
    socket: Option<Socket>,
}

impl fmt::Debug for OwnSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnSocket").field("path", &self.path).finish_non_exhaustive()
    }
}

impl OwnSocket {
    pub(in crate::server) fn new(path: &OwnPath, params: Params, query: &str) -> OwnSocket {
        OwnSocket { path: path.clone(), params, query: query.to_owned(), socket: None }
    }
}

/// The fields of a head that a function of the program's may see: tokens are the server's.
fn fields(head: &RequestHead<'_>) -> Vec<(String, String)> {
    const TOKENS: &[&str] = &["authorization", "sec-websocket-protocol"];
    let fields = head.fields().map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()));
    fields.filter(|(name, _)| !TOKENS.contains(&name.as_str())).collect()
}

impl<S: Backend> Chat<S> {
    fn program_caller(&self, person: &Person) -> Caller {
        Caller {
            name: self.hub.name_of(&person.user).map(Arc::from),
            admin: person.is_admin,
            user: person.user.clone(),
        }
    }

    /// Hands a request to the program.
    pub(in crate::server) fn call_program(
        &mut self,
        net: &mut Net<'_>,
        exchange: Exchange,
        request: &Request<'_>,
        call: ProgramCall,
    ) -> Answer {
        let ProgramCall { path, params, caller, origin } = call;
        if let Err(response) = self.may_call(net, request, &caller) {
            return Answer::Respond(shared_with(response, origin.as_deref()));
        }
        let person = match &caller {
            HttpCaller::User(person) | HttpCaller::Token(person) => Some(person),
            HttpCaller::Guest(_) | HttpCaller::Nobody => None,
        };
        let head = request.head;
        let of_program = PathRequest {
            method: head.method.to_owned(),
            path: head.path.to_owned(),
            params,
            query: head.query.to_owned(),
            fields: fields(head),
            body: request.body.to_vec(),
            caller: person.map(|person| self.program_caller(person)),
            address: request.peer,
        };
        self.program_calls += 1;
        self.program_bytes += request.body.len();
        let bytes = request.body.len();
        let reply = PathReply::new(Arc::clone(&self.shared), exchange, origin, bytes);
        // A panic is the program's own: its reply, which is dropped by it, answers 500.
        if catch_unwind(AssertUnwindSafe(|| (path.run)(of_program, reply))).is_err() {
            log::error!("the handler of {} {} has panicked", path.method, path.template);
        }
        self.take_path_answers(net);
        Answer::Later
    }

    fn may_call(
        &mut self,
        net: &Net<'_>,
        request: &Request<'_>,
        caller: &HttpCaller,
    ) -> Result<(), Response> {
        let bytes = self.program_bytes.saturating_add(request.body.len());
        if self.program_calls >= HTTP_CALLS_MAX || bytes > BODIES_BYTES_MAX {
            return Err(crate::server::http::overloaded());
        }
        self.count_for_program(net, request, caller)
    }

    /// Sends what the program has answered.
    pub(in crate::server) fn take_path_answers(&mut self, net: &mut Net<'_>) {
        let answers = std::mem::take(&mut self.shared.queue().path_answers);
        self.program_calls = self.program_calls.saturating_sub(answers.len());
        for (exchange, response, bytes) in answers {
            self.program_bytes = self.program_bytes.saturating_sub(bytes);
            net.answer(exchange, response);
        }
    }

    fn own_socket(&self, conn: ConnId) -> Option<&OwnSocket> {
        match self.known(conn)?.beside.as_deref()? {
            Beside::Own(own) => Some(own),
            Beside::Watch(_) => None,
        }
    }

    /// Whether a connection speaks a protocol of the program's.
    pub(in crate::server) fn is_own(&self, conn: ConnId) -> bool {
        self.own_socket(conn).is_some()
    }

    /// A WebSocket of the program's is open.
    pub(in crate::server) fn own_opened(&mut self, net: &mut Net<'_>, conn: ConnId) {
        let Some(own) = self.own_socket(conn) else { return };
        let (params, query) = (own.params.clone(), own.query.clone());
        let message_bytes = own.path.path.message_bytes;
        let person = self.person(&crate::hub::Origin::Conn(conn, None));
        let person = person.filter(|person| !person.is_guest);
        let caller = person.map(|person| self.program_caller(&person));
        let shared = Arc::clone(&self.shared);
        let socket = Socket::new(Inner { conn, params, query, caller, shared });
        if let Some(session) = self.session_mut(conn)
            && let Some(Beside::Own(own)) = session.beside_mut()
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
    pub(in crate::server) fn own_message(
        &mut self,
        net: &mut Net<'_>,
        conn: ConnId,
        message: Message<'_>,
    ) {
        let now = net.now();
        if let Err(too_soon) = self.take_message(now, conn) {
            self.counters.limited(too_soon.limit);
            if self.is_over_rate_too_often(now, conn) {
                net.close(conn, RATE.0, RATE.1);
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
    pub(in crate::server) fn own_closed(&mut self, net: &mut Net<'_>, own: &OwnSocket, over: Over) {
        let code = match over {
            Over::ClosedByPeer(code) => code,
            Over::ClosedByUs(code) => Some(code),
            Over::HeldMost | Over::Lost => None,
        };
        let Some(socket) = &own.socket else { return };
        let handler = Arc::clone(&own.path.handler);
        if catch_unwind(AssertUnwindSafe(|| handler.closed(socket, code))).is_err() {
            log::error!("{}: the program's handler has panicked", socket.id());
        }
        self.take_calls(net);
    }

    /// The server restarts.
    pub(in crate::server) fn own_draining(
        &mut self,
        net: &mut Net<'_>,
        conn: ConnId,
        spread_ms: u64,
    ) {
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
    pub(in crate::server) fn say_own(&mut self, net: &mut Net<'_>, to: &[ConnId], said: &Said) {
        let mut broadcast = Broadcast::new(said.message());
        for conn in to.iter().copied().filter(|conn| self.is_own(*conn)) {
            let sent = net.broadcast(conn, &mut broadcast, Class::Durable, NO_SOURCE);
            if sent.is_err() && net.is_open(conn) {
                net.close(conn, SLOW.0, SLOW.1);
            }
        }
    }
}
