//! Paths of the embedding program: answers to requests of HTTP, and WebSockets that speak a protocol
//! of its own, word by word.

mod http;
mod serve;
mod socket;
mod table;

pub(super) use http::HttpPath;
pub use http::{PathAnswer, PathReply, PathRequest};
pub(super) use serve::{OwnSocket, ProgramCall};
pub(super) use socket::{OwnPath, Said};
pub use socket::{Socket, SocketHandler, SocketPath};
pub(super) use table::{Params, Paths, fault, taken_by};
