//! WebSockets that speak a protocol of the embedding program.

use super::call_queue::Command;
use super::handle_error::HandleError;
use super::handler::Caller;
use super::paths::Params;
use super::shared::Shared;
use crate::auth::Access;
use crate::base::ConnId;
use crate::http1::head::query_value;
use crate::protocol::{CloseCode, Message};
use std::fmt;
use std::sync::Arc;

/// A path on which WebSockets speak the program's own protocol.
#[derive(Clone, Debug)]
pub struct SocketPath {
    pub(crate) template: String,
    pub(crate) access: Access,
    pub(crate) subprotocol: Option<String>,
    pub(crate) message_bytes: Option<u64>,
}

impl SocketPath {
    /// A path, such as `/ws/queue` or `/ws/queue/{id}`, for everybody.
    #[must_use]
    pub fn new(template: &str) -> SocketPath {
        let template = template.to_owned();
        SocketPath { template, access: Access::Public, subprotocol: None, message_bytes: None }
    }

    /// Sets who may connect. A client with a token sends it with the request.
    #[must_use]
    pub fn access(mut self, access: Access) -> SocketPath {
        self.access = access;
        self
    }

    /// Sets the subprotocol that is agreed to if a client offers it (RFC 6455 §1.9).
    #[must_use]
    pub fn subprotocol(mut self, name: &str) -> SocketPath {
        self.subprotocol = Some(name.to_owned());
        self
    }

    /// Lets clients send messages of up to this many bytes, if that is more than
    /// `limits.message_bytes`.
    #[must_use]
    pub fn message_bytes(mut self, bytes: u64) -> SocketPath {
        self.message_bytes = Some(bytes);
        self
    }
}

/// What the program does with the WebSockets of a path. All calls come from the reactor's thread:
/// slow work belongs on another thread, with the [`Socket`].
pub trait SocketHandler: Send + Sync + 'static {
    /// A WebSocket is open.
    fn opened(&self, socket: &Socket) {
        let _ = socket;
    }

    /// A whole text came.
    fn text(&self, socket: &Socket, text: &str);

    /// Whole bytes came. The default closes with 1003.
    fn binary(&self, socket: &Socket, bytes: &[u8]) {
        let _ = bytes;
        let _ = socket.close(CloseCode::UNSUPPORTED_DATA, "only text messages are understood here");
    }

    /// A WebSocket is closed, with this code or without one. Nothing more is sent to it.
    fn closed(&self, socket: &Socket, code: Option<CloseCode>) {
        let _ = (socket, code);
    }

    /// A message was over the client's rate and is not handed on; the next one may come in this
    /// many ms. A client that does not slow down is closed with 4103.
    fn limited(&self, socket: &Socket, retry_after_ms: u64) {
        let _ = (socket, retry_after_ms);
    }

    /// The server restarts: the client should reconnect at a random time within this many ms. It is
    /// closed with 1012 half a second later.
    fn draining(&self, socket: &Socket, spread_ms: u64) {
        let _ = (socket, spread_ms);
    }
}

/// A WebSocket on a path of the program. Cheap to clone, and usable on any thread.
#[derive(Clone)]
pub struct Socket(pub(crate) Arc<SocketState>);

#[derive(Debug)]
pub(crate) struct SocketState {
    pub(crate) conn: ConnId,
    pub(crate) params: Params,
    pub(crate) query: String,
    pub(crate) caller: Option<Caller>,
    pub(crate) shared: Arc<Shared>,
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Socket({})", self.0.conn)
    }
}

impl Socket {
    /// Its connection's name, as in the server's log.
    #[must_use]
    pub fn id(&self) -> ConnId {
        self.0.conn
    }

    /// Its user, if the client has said who it is.
    #[must_use]
    pub fn caller(&self) -> Option<&Caller> {
        self.0.caller.as_ref()
    }

    /// The values of the path's parameters, percent-decoded.
    #[must_use]
    pub fn params(&self) -> &[(String, String)] {
        &self.0.params
    }

    /// What follows the path's `?`, as it came.
    #[must_use]
    pub fn whole_query(&self) -> &str {
        &self.0.query
    }

    /// The value of `{name}` in the path.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&str> {
        self.0.params.iter().find(|(one, _)| one == name).map(|(_, value)| value.as_str())
    }

    /// A parameter of the query, decoded; `None` if it is missing or cannot be decoded.
    #[must_use]
    pub fn query(&self, name: &str) -> Option<String> {
        Some(query_value(&self.0.query, name)?.ok()?.into_owned())
    }

    /// Sends a text.
    ///
    /// # Errors
    /// [`HandleError::Stopped`], [`HandleError::Full`].
    pub fn text(&self, text: &str) -> Result<(), HandleError> {
        self.send(OutgoingMessage::Text(text.into()))
    }

    /// Sends bytes.
    ///
    /// # Errors
    /// [`HandleError::Stopped`], [`HandleError::Full`].
    pub fn binary(&self, bytes: &[u8]) -> Result<(), HandleError> {
        self.send(OutgoingMessage::Binary(bytes.into()))
    }

    /// Closes it, with a code that a frame may have (RFC 6455 §7.4) and a reason of at most 123
    /// bytes; the rest is cut.
    ///
    /// # Errors
    /// [`HandleError::Stopped`], [`HandleError::Full`]; [`HandleError::CloseCode`] for another code.
    pub fn close(&self, code: CloseCode, reason: &str) -> Result<(), HandleError> {
        if !code.may_be_sent() {
            return Err(HandleError::CloseCode);
        }
        let (conn, reason) = (self.0.conn, reason.to_owned());
        self.0.shared.call(Command::Close { conn, code, reason, ticket: None })
    }

    fn send(&self, said: OutgoingMessage) -> Result<(), HandleError> {
        self.0.shared.call(Command::Say { to: vec![self.0.conn], said })
    }
}

/// A message from the program.
#[derive(Clone, Debug)]
pub(crate) enum OutgoingMessage {
    Text(Box<str>),
    Binary(Box<[u8]>),
}

impl OutgoingMessage {
    pub(crate) fn of(message: Message<'_>) -> Option<OutgoingMessage> {
        match message {
            Message::Text(text) => Some(OutgoingMessage::Text(text.into())),
            Message::Binary(bytes) => Some(OutgoingMessage::Binary(bytes.into())),
            Message::Ping(_) => None,
        }
    }

    pub(crate) fn message(&self) -> Message<'_> {
        match self {
            OutgoingMessage::Text(text) => Message::Text(text),
            OutgoingMessage::Binary(bytes) => Message::Binary(bytes),
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            OutgoingMessage::Text(text) => text.len(),
            OutgoingMessage::Binary(bytes) => bytes.len(),
        }
    }
}

/// A path, and its handler.
#[derive(Clone)]
pub(crate) struct OwnPath {
    pub(crate) path: SocketPath,
    pub(crate) handler: Arc<dyn SocketHandler>,
}

impl fmt::Debug for OwnPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnPath").field("path", &self.path).finish_non_exhaustive()
    }
}

/// A WebSocket of the program that is open, or about to be.
#[derive(Clone, Debug)]
pub(crate) struct OwnSocket {
    pub(crate) path: OwnPath,
    pub(crate) params: Params,
    pub(crate) query: String,
    /// Set when it is open.
    pub(crate) socket: Option<Socket>,
}
