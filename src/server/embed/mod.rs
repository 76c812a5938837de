//! What an embedding program holds: the handle of a running server, handlers of its own requests,
//! and its own paths, which answer HTTP requests or speak its own protocol on WebSockets.

pub(super) mod call_queue;
pub(super) mod challenges;
pub(super) mod handle;
pub(super) mod handle_error;
pub(super) mod handler;
pub(super) mod http_path;
pub(super) mod paths;
pub(super) mod rooms;
pub(super) mod shared;
pub(super) mod socket;
pub(super) mod ticket;

pub use handle::{Handle, Pulse, Stopper};
pub use handle_error::HandleError;
pub use handler::{Call, Caller, Reply, RequestRefusal};
pub(super) use http_path::HttpPath;
pub use http_path::{PathAnswer, PathReply, PathRequest};
pub(super) use paths::{Params, Paths, fault, taken_by};
pub use rooms::{NewRoom, RoomChange};
pub(super) use socket::{OutgoingMessage, OwnPath, OwnSocket};
pub use socket::{Socket, SocketHandler, SocketPath};
pub use ticket::{History, Members, Ticket, Unread};
