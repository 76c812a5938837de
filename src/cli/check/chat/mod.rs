//! Whether a parlor keeps to its contract (`docs/protocol.md`): each operation, by two users of their own.

mod connection;
mod messages;
mod rooms;
mod session;
mod streams;
mod talker;

pub(super) use session::{CONTRACT, Session, Visitors};
