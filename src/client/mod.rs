//! A client for programs (`docs/client-rust.md`).
//!
//! - [`Client`]: a client of parlor. Its connection mends itself, its messages are neither lost nor doubled, its rooms
//!   have no holes. It has a thread of its own.
//! - [`WebSocket`]: a WebSocket of any server that keeps to RFC 6455, with the same thread; it comes back after a loss.
//! - [`BlockingWebSocket`]: one without a thread.
//!
//! [`core`] decides what [`Client`] does, without sockets and without a clock: what `clients/js` decides for pages.

mod blocking;
pub mod core;
mod error;
mod file_outbox;
mod handle;
pub(crate) mod net;
mod thread;
mod tls;
mod url;
mod web_socket;

use crate::base::Entry;
pub use crate::base::request::Part;
pub use blocking::{
    BlockingBuilder, BlockingReader, BlockingWebSocket, BlockingWriter, ByteStream, Incoming,
};
pub use core::{
    Backoff, ClientEvent, FailCode, Gap, Hello, Hint, Kept, Level, Mark, Membership, Presences,
    Quality, RequestError, RoomView, State, Step, StreamData, StreamUpdate, TicketStatus,
    TokenFailure, TokenReason, Verdict, WatchOptions,
};
pub use error::{ConnectError, SocketError, StartError};
pub use file_outbox::{FileOutbox, OutboxError};
pub use handle::{
    Client, ClientBuilder, HistoryPage, Logged, Member, MembersPage, NewMessage, Reply,
    ReplyFuture, Room, Stored, Stream, Ticket, TicketFuture, Unsent,
};
pub use net::{Proxy, ProxyUrlError, threads_left};
pub use thread::Events;
pub use tls::{Tls, TrustError};
pub use url::{UrlError, WebSocketUrl};
pub use web_socket::{SendError, WebSocket, WebSocketBuilder, WebSocketEvent, WebSocketNews};

/// An entry of a room's log as the message that pushes it (`docs/protocol.md`, "Pushes").
#[must_use]
pub fn entry_to_json(entry: &Entry) -> String {
    crate::wire::entry::entry(entry, true)
}
