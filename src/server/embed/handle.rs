//! The thread-safe side of a running server: calls go into a bounded queue, and the reactor carries
//! them out. Only [`Ticket::wait`] waits for the reactor, so all other calls may be made inside a
//! handler.

use super::call_queue::Command;
use super::handle_error::HandleError;
use super::handler::{Call, Registered, Reply};
use super::shared::Shared;
use super::ticket::{Ticket, TicketState};
use super::{
    HttpPath, OutgoingMessage, OwnPath, PathReply, PathRequest, Socket, SocketHandler, SocketPath,
};
use crate::auth::Access;
use crate::base::limits::{EVERY_MS_MAX, EVERY_MS_MIN};
use crate::base::pattern::Pattern;
use crate::base::request::Target;
use crate::base::{Body, ConnId, Data, PublicationId, Request, RoomId, StreamId, UserId};
use crate::protocol::{CloseCode, Message};
use crate::server::embed::call_queue::End;
use crate::server::sources::FunctionPoll;
use crate::wire::admin_request::ConnectionSelector;
use crate::wire::types::{is_push_name, is_push_type};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// A running server, from any thread. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle {
    pub(crate) shared: Arc<Shared>,
}

/// Stops a server, from any thread, and does nothing else.
#[derive(Clone, Debug)]
pub struct Stopper {
    pub(crate) shared: Arc<Shared>,
}

impl Stopper {
    /// As [`Handle::stop`].
    ///
    /// # Errors
    /// [`HandleError::Stopped`] if it has stopped already.
    pub fn stop(&self) -> Result<(), HandleError> {
        self.shared.stop(End::ForGood)
    }

    /// As [`Handle::restart`].
    ///
    /// # Errors
    /// [`HandleError::Stopped`] if it has stopped already.
    pub fn restart(&self) -> Result<(), HandleError> {
        self.shared.stop(End::Restart)
    }

    /// As [`Handle::restart`], but nobody is refused: whoever comes meanwhile waits at the sockets,
    /// which [`Server::run_and_keep_sockets`](super::super::Server::run_and_keep_sockets) then returns.
    ///
    /// # Errors
    /// [`HandleError::Stopped`] if it has stopped already.
    pub fn hand_over(&self) -> Result<(), HandleError> {
        self.shared.stop(End::HandOver)
    }
}

/// Shows whether a server's loop turns.
#[derive(Clone, Debug)]
pub struct Pulse {
    pub(crate) shared: Arc<Shared>,
}

impl Pulse {
    /// Whether the loop has turned since the last call; true at the first. Wakes it for the next.
    #[must_use]
    pub fn beats(&self) -> bool {
        self.shared.have_turned()
    }
}

impl Handle {
    pub(crate) fn new(shared: &Arc<Shared>) -> Handle {
        shared.keep_online();
        Handle { shared: Arc::clone(shared) }
    }

    /// Registers a function for a message type. It may replace one of the wire's own requests; from
    /// then on you may send pushes with that request's prefix. The function runs on the reactor's
    /// thread: slow work belongs on another thread, with the [`Reply`].
    ///
    /// # Errors
    /// [`HandleError::Stopped`], [`HandleError::Full`]; [`HandleError::Type`] for an empty type.
    pub fn handle(
        &self,
        kind: &str,
        access: Access,
        run: impl Fn(Call, Reply) + Send + Sync + 'static,
    ) -> Result<(), HandleError> {
        if kind.is_empty() {
            return Err(HandleError::Type);
        }
        let handler = Registered { access, run: Arc::new(run) };
        self.shared.call(Command::Register { kind: kind.to_owned(), handler })?;
        self.shared.take_over(kind);
        Ok(())
    }

    /// Answers HTTP requests on a path of your own, such as `/queue` or `/queue/{id}`: `method` is
    /// one of `GET` (which includes `HEAD`), `POST`, `PUT`, `PATCH` and `DELETE`. Requests that
    /// change something are refused if they come from a page whose `Origin` may not connect. The
    /// function runs on the reactor's thread: slow work belongs on another thread, with the
    /// [`PathReply`].
    ///
    /// # Errors
    /// [`HandleError::Stopped`], [`HandleError::Full`]; [`HandleError::Path`] for a path that you
    /// cannot have, such as a webhook's; [`HandleError::Method`] for another.
    pub fn answer_path(
        &self,
        method: &str,
        path: &str,
        access: Access,
        run: impl Fn(PathRequest, PathReply) + Send + Sync + 'static,
    ) -> Result<(), HandleError> {
        const METHODS: &[&str] = &["GET", "POST", "PUT", "PATCH", "DELETE"];
        let method = METHODS.iter().find(|one| **one == method).ok_or(HandleError::Method)?;
        self.shared.take_path(path, false, || {
            Command::RegisterHttp(HttpPath::new(method, path, access, run))
        })
    }

    /// Speaks your own protocol on the WebSockets of a path: every message is handed over as it
    /// came, and what you send goes out as it is. The server sees to limits, the heartbeat,
    /// outboxes and the expiry of tokens.
    ///
    /// # Errors
    /// [`HandleError::Stopped`], [`HandleError::Full`]; [`HandleError::Path`] for a path that you
    /// cannot have, such as a stream's.
    pub fn own_socket_path(
        &self,
        path: SocketPath,
        handler: impl SocketHandler,
    ) -> Result<(), HandleError> {
        let path = OwnPath { path, handler: Arc::new(handler) };
        let template = path.path.template.clone();
        self.shared.take_path(&template, true, || Command::RegisterSocket(path))
    }

    /// Sends a message to many of your own [`Socket`]s; it is encoded once. A socket whose outbox
    /// is full is closed with 4101.
    ///
    /// # Errors
    /// [`HandleError::Stopped`], [`HandleError::Full`]; [`HandleError::Type`] for a ping, which
    /// only the server sends.
    pub fn send_to_sockets<'s>(
        &self,
        sockets: impl IntoIterator<Item = &'s Socket>,
        message: Message<'_>,
    ) -> Result<(), HandleError> {
        let said = OutgoingMessage::of(message).ok_or(HandleError::Type)?;
        let to = sockets.into_iter().map(Socket::id).collect();
        self.shared.call(Command::Say { to, said })
    }

    /// Sends a message of your own type to all connections of a user. Returns their number: 0 if
    /// the user is not online.
    ///
    /// # Errors
    /// [`HandleError`]: nothing was sent.
    pub fn send_to_user(
        &self,
        user: &str,
        kind: &str,
        payload: &Value,
    ) -> Result<usize, HandleError> {
        self.send_to_users(&[user], kind, payload)
    }

    /// Sends a message of your own type to all connections of some users. Returns their number.
    ///
    /// # Errors
    /// [`HandleError`]: nothing was sent.
    pub fn send_to_users(
        &self,
        users: &[&str],
        kind: &str,
        payload: &Value,
    ) -> Result<usize, HandleError> {
        self.check_push(kind)?;
        let mut ids =
            users.iter().map(|user| UserId::parse_any(user)).collect::<Result<Vec<_>, _>>()?;
        ids.sort();
        ids.dedup();
        let reached = {
            let online = self.shared.online();
            ids.iter().filter_map(|id| online.get(id)).sum()
        };
        let (kind, payload) = (kind.to_owned(), payload.to_string());
        self.shared.call(Command::Push { to: ConnectionSelector::Users(ids), kind, payload })?;
        Ok(reached)
    }

    /// Sends a message of your own type to everybody online. Returns the number of connections,
    /// without those of guests, who get it, too.
    ///
    /// # Errors
    /// [`HandleError`]: nothing was sent.
    pub fn broadcast(&self, kind: &str, payload: &Value) -> Result<usize, HandleError> {
        self.check_push(kind)?;
        let reached = self.shared.online().values().sum();
        let (kind, payload) = (kind.to_owned(), payload.to_string());
        self.shared.call(Command::Push { to: ConnectionSelector::All, kind, payload })?;
        Ok(reached)
    }

    /// Sends a message of your own type to one connection, as [`Call::connection`] names it.
    ///
    /// # Errors
    /// [`HandleError`]; from the ticket, `no_such_connection` if it is closed, or speaks another
    /// protocol than the wire's; `overloaded` if its outbox is full, or it is closing.
    ///
    /// [`Call::connection`]: super::super::Call::connection
    pub fn send_to_connection(
        &self,
        connection: ConnId,
        kind: &str,
        payload: &Value,
    ) -> Result<Ticket<()>, HandleError> {
        self.check_push(kind)?;
        let (kind, payload) = (kind.to_owned(), payload.to_string());
        self.await_done(|ticket| Command::PushOne { conn: connection, kind, payload, ticket })
    }

    /// Closes one connection, with a code that a frame may have (RFC 6455 §7.4) and a reason of at
    /// most 123 bytes; the rest is cut. Clients react to the code's range: `docs/protocol.md`,
    /// "Closing".
    ///
    /// # Errors
    /// [`HandleError`]: [`HandleError::CloseCode`] for another code; from the ticket,
    /// `no_such_connection`.
    pub fn close_connection(
        &self,
        connection: ConnId,
        code: CloseCode,
        reason: &str,
    ) -> Result<Ticket<()>, HandleError> {
        if !code.may_be_sent() {
            return Err(HandleError::CloseCode);
        }
        let reason = reason.to_owned();
        self.await_done(|ticket| {
            let ticket = Some(ticket);
            Command::Close { conn: connection, code, reason, ticket }
        })
    }

    fn await_done(
        &self,
        command: impl FnOnce(Arc<TicketState>) -> Command,
    ) -> Result<Ticket<()>, HandleError> {
        let state = Arc::new(TicketState::default());
        self.shared.call(command(Arc::clone(&state)))?;
        Ok(Ticket { state, shared: Arc::clone(&self.shared), read: |_| Ok(()) })
    }

    /// Whether a user has a connection.
    ///
    /// # Errors
    /// [`HandleError::Stopped`], [`HandleError::Name`].
    pub fn is_online(&self, user: &str) -> Result<bool, HandleError> {
        let id = UserId::parse_any(user)?;
        self.shared.is_running()?;
        Ok(self.shared.online().contains_key(&id))
    }

    /// The users who have a connection, in the order of ids.
    ///
    /// # Errors
    /// [`HandleError::Stopped`].
    pub fn online_users(&self) -> Result<Vec<UserId>, HandleError> {
        self.shared.is_running()?;
        Ok(self.shared.online().keys().cloned().collect())
    }

    /// Publishes a chat message in the name of a user, who must be a member of the room. With the
    /// same `cid`, a repeat is harmless: it returns the first result.
    ///
    /// # Errors
    /// [`HandleError`], also from the ticket.
    pub fn publish(
        &self,
        room: &str,
        user: &str,
        text: &str,
        cid: Option<&str>,
    ) -> Result<Ticket, HandleError> {
        let user = UserId::parse_any(user)?;
        let target = Target::Room(RoomId::parse(room)?);
        let limit = self.shared.limits().text_bytes as usize;
        if text.len() > limit {
            return Err(HandleError::Size { what: "text", limit });
        }
        cid.map_or(Ok(()), |cid| self.check_own_id("cid", cid))?;
        let body = Body { text: text.into(), data: None, reply_to: None };
        self.change(user, Request::Send { target, body, cid: cid.map(Arc::from) })
    }

    /// Publishes an event to a stream that is declared with `program`. A later failure, such as too
    /// many streams or a store that cannot write, is counted and logged.
    ///
    /// # Errors
    /// [`HandleError`]: nothing was published; [`HandleError::Event`] if no stream of this name is
    /// declared, it is not the program's, or the data do not fit its declaration.
    pub fn publish_event(&self, stream: &str, data: &Value) -> Result<(), HandleError> {
        self.publish_data(stream, Data::Json(data.to_string().into()), None)
    }

    /// As [`Handle::publish_event`], once: if an event with this `id` is still kept, it is not
    /// published again. The same id with other data is logged as `not published`. In a durable
    /// stream the id outlives the program.
    ///
    /// # Errors
    /// As there; [`HandleError::Size`] for an id that is empty or longer than `limits.cid_bytes`.
    pub fn publish_event_once(
        &self,
        stream: &str,
        data: &Value,
        id: &str,
    ) -> Result<(), HandleError> {
        self.check_own_id("id", id)?;
        self.publish_data(stream, Data::Json(data.to_string().into()), Some(id))
    }

    fn publish_data(&self, stream: &str, data: Data, id: Option<&str>) -> Result<(), HandleError> {
        let stream = StreamId::parse(stream)?;
        self.shared.judge_event(&stream, &data).map_err(|refusal| HandleError::Event {
            stream: stream.clone(),
            code: refusal.code.as_str(),
            message: refusal.sentence(),
        })?;
        let id = id.map(|id| Arc::new(PublicationId { by: None, id: id.into() }));
        self.shared.call(Command::Publish { stream, data, id })
    }

    /// As [`Handle::publish_event`], to a stream of bytes.
    ///
    /// # Errors
    /// As there.
    pub fn publish_bytes(&self, stream: &str, bytes: &[u8]) -> Result<(), HandleError> {
        self.publish_data(stream, Data::Binary(bytes.into()), None)
    }

    /// Polls a function for the data of a stream that is declared with `program`: at once, and then
    /// at intervals of `every`. The function gets the stream's name; for a family it is called for
    /// each stream that somebody watches. Its result is published if it has changed. It runs on a
    /// thread of its own, with one call of a stream at a time, and should end by itself: nothing
    /// ends it, and a stop does not wait for it. If it fails or panics, it is tried again like any
    /// [source](crate::config::Feed). It replaces what polled the stream before.
    ///
    /// # Errors
    /// [`HandleError::Stream`] if a stream cannot be declared like this; [`HandleError::Stopped`],
    /// [`HandleError::Full`].
    pub fn poll<E: Into<Box<dyn std::error::Error>>>(
        &self,
        stream: &str,
        every: Duration,
        run: impl Fn(&StreamId) -> Result<Value, E> + Send + Sync + 'static,
    ) -> Result<(), HandleError> {
        self.poll_data(stream, every, move |stream| {
            let value = run(stream).map_err(Into::into)?;
            Ok(Data::Json(value.to_string().into()))
        })
    }

    /// As [`Handle::poll`], for a stream of bytes.
    ///
    /// # Errors
    /// As there.
    pub fn poll_bytes<E: Into<Box<dyn std::error::Error>>>(
        &self,
        stream: &str,
        every: Duration,
        run: impl Fn(&StreamId) -> Result<Vec<u8>, E> + Send + Sync + 'static,
    ) -> Result<(), HandleError> {
        self.poll_data(stream, every, move |stream| {
            Ok(Data::Binary(run(stream).map_err(Into::into)?.into()))
        })
    }

    fn poll_data(
        &self,
        stream: &str,
        every: Duration,
        run: impl Fn(&StreamId) -> Result<Data, Box<dyn std::error::Error>> + Send + Sync + 'static,
    ) -> Result<(), HandleError> {
        let pattern = Pattern::parse(stream).map_err(HandleError::Stream)?;
        let every_ms = u64::try_from(every.as_millis()).unwrap_or(EVERY_MS_MAX);
        let every_ms = every_ms.clamp(EVERY_MS_MIN, EVERY_MS_MAX);
        let function = FunctionPoll { every_ms, run: Arc::new(run) };
        self.shared.call(Command::Poll { pattern, function })
    }

    /// Stops the server in order, within five seconds. Calls made before this one are carried out.
    ///
    /// # Errors
    /// [`HandleError::Stopped`] if it has stopped already.
    pub fn stop(&self) -> Result<(), HandleError> {
        self.shared.stop(End::ForGood)
    }

    /// Stops the server so that another can take its place: as [`Handle::stop`], but everybody is
    /// first told (`notice draining`) within how much time to reconnect, and is closed with 1012.
    ///
    /// # Errors
    /// [`HandleError::Stopped`] if it has stopped already.
    pub fn restart(&self) -> Result<(), HandleError> {
        self.shared.stop(End::Restart)
    }

    fn check_own_id(&self, what: &'static str, id: &str) -> Result<(), HandleError> {
        let limit = self.shared.limits().cid_bytes as usize;
        let is_sound = !id.is_empty() && id.len() <= limit;
        if is_sound { Ok(()) } else { Err(HandleError::Size { what, limit }) }
    }

    fn check_push(&self, kind: &str) -> Result<(), HandleError> {
        if self.shared.is_taken_over(kind) { check_name(kind) } else { check_push(kind) }
    }
}

/// Checks that the application's push cannot be taken for one of the server's.
fn check_push(kind: &str) -> Result<(), HandleError> {
    if is_push_type(kind) { Ok(()) } else { Err(HandleError::Type) }
}

fn check_name(kind: &str) -> Result<(), HandleError> {
    if is_push_name(kind) { Ok(()) } else { Err(HandleError::Type) }
}
