//! Ties the layers together: HTTP and WebSockets on the reactor (`web`), and, on those, the chat
//! server: sessions between the wire and the hub, the hub's effects onto outboxes and the store.

pub mod web;

#[cfg(feature = "server")]
mod admin;
#[cfg(feature = "server")]
mod apply;
#[cfg(feature = "server")]
pub mod auth;
#[cfg(feature = "server")]
mod backend;
#[cfg(feature = "server")]
mod calls;
#[cfg(feature = "server")]
mod chat;
#[cfg(feature = "server")]
mod clocks;
#[cfg(feature = "server")]
pub mod config;
#[cfg(feature = "server")]
mod dispatch;
#[cfg(feature = "server")]
mod display_name;
#[cfg(feature = "server")]
mod drain;
#[cfg(feature = "server")]
mod encode;
#[cfg(feature = "server")]
mod entry;
#[cfg(feature = "server")]
mod errands;
#[cfg(feature = "server")]
mod error;
#[cfg(feature = "server")]
mod events;
#[cfg(feature = "server")]
mod failed_proofs;
#[cfg(feature = "server")]
pub mod handle;
#[cfg(feature = "server")]
mod handle_error;
#[cfg(feature = "server")]
pub mod handler;
#[cfg(feature = "server")]
mod http;
#[cfg(feature = "server")]
mod journal;
#[cfg(feature = "server")]
pub(crate) mod json;
#[cfg(feature = "server")]
mod looking;
#[cfg(feature = "server")]
mod metrics;
#[cfg(feature = "server")]
mod pace;
#[cfg(feature = "server")]
pub mod paths;
#[cfg(feature = "server")]
mod pools;
#[cfg(feature = "server")]
pub mod proof;
#[cfg(feature = "server")]
mod rates;
#[cfg(feature = "server")]
mod reload;
#[cfg(feature = "server")]
mod remote;
#[cfg(feature = "server")]
pub mod request;
#[cfg(feature = "server")]
mod request_types;
#[cfg(feature = "server")]
mod revoke;
#[cfg(feature = "server")]
pub mod rooms;
#[cfg(feature = "server")]
mod say;
#[cfg(feature = "server")]
#[allow(clippy::module_inception)]
mod server;
#[cfg(feature = "server")]
mod session;
#[cfg(feature = "server")]
mod shared;
#[cfg(feature = "server")]
mod sign_in;
#[cfg(feature = "server")]
mod small_file;
#[cfg(feature = "server")]
mod sources;
#[cfg(feature = "server")]
mod storing;
#[cfg(feature = "server")]
mod streams;
#[cfg(feature = "server")]
pub mod ticket;
#[cfg(feature = "server")]
mod work;

#[cfg(feature = "server")]
pub use chat::Chat;
#[cfg(feature = "server")]
pub use config::{Config, ConfigError};
#[cfg(feature = "server")]
pub use handle::{Handle, Stopper};
#[cfg(feature = "server")]
pub use handle_error::HandleError;
#[cfg(feature = "server")]
pub use handler::{Access, Call, Caller, Reply};
#[cfg(feature = "server")]
pub use paths::{PathAnswer, PathReply, PathRequest, Socket, SocketHandler, SocketPath};
#[cfg(feature = "server")]
pub use proof::{Authenticate, Denied, Head, Proof};
#[cfg(feature = "server")]
pub use reload::{Change, ReloadError, Reloaded, Reloader};
#[cfg(feature = "server")]
pub use rooms::{NewRoom, RoomChange};
#[cfg(feature = "server")]
pub use server::{Running, Server, ServerError};
#[cfg(feature = "server")]
pub use ticket::{History, Members, Ticket, Unread};
