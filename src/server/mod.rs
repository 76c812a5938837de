//! The chat server: ties the layers together on `web`.
//!
//! [`Chat`] has the sessions between the wire and the hub, and carries out the hub's effects on
//! outboxes and the store. The folders beside it help it decide and do not know it: `events`,
//! `sources`, `remote`, `embed`, `http`, `proof`, `metrics`. [`Server`] puts it on sockets and a
//! store; [`Reloader`] changes its configuration.

mod certificate_watch;
mod chat;
mod embed;
mod events;
mod http;
mod listening;
mod metrics;
mod owner;
mod process_memory;
mod proof;
mod reload;
mod remote;
#[allow(clippy::module_inception)]
mod server;
mod server_error;
mod sources;
mod threads;

pub use crate::auth::{Access, Authenticate, Denied, Head, Proof};
pub use crate::config::{Config, ConfigError};
pub use chat::{Chat, Seat, Team};
pub use embed::{
    Call, Caller, Handle, HandleError, History, Members, NewRoom, PathAnswer, PathReply,
    PathRequest, Pulse, Reply, RequestRefusal, RoomChange, Socket, SocketHandler, SocketPath,
    Stopper, Ticket, Unread,
};
pub use listening::{Listening, PassedSocket};
pub use owner::{NotAnOwner, Owner, OwnerUser};
pub use reload::{Change, ReloadError, Reloaded, Reloader};
pub use server::{Running, Server};
pub use server_error::ServerError;
