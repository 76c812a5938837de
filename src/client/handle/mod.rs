//! What a program has of a client: a handle over one thread, which has the reactor. The core decides; see
//! [`core`](crate::client::core).

mod builder;
#[allow(clippy::module_inception)]
mod client;
mod driver;
mod room;
mod shared;
mod stream;
mod ticket;

pub use builder::ClientBuilder;
pub use client::{Client, Unsent};
pub use room::{HistoryPage, Logged, Member, MembersPage, NewMessage, Room};
pub use stream::Stream;
pub use ticket::{Reply, ReplyFuture, Stored, Ticket, TicketFuture};
