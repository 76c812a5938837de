//! Streams: named sources of updates that people only watch. One table of them and of who watches
//! what, beside rooms, users and presence, of which it knows nothing.
//!
//! A subscription is a position, as a cursor is one in a room's log: whoever is at the head is told
//! each event as it is published, whoever is not (too slow, or held back by a rate) is fed from
//! what is kept, and goes live in the very turn in which the position reaches the head. Of a state
//! only the newest event is kept, so that a slow subscriber skips to it.
//!
//! What is kept is in memory. Of a durable stream it is in the store, too, and before anybody is
//! told: its numbers go on where they were when the server begins anew.

mod durable;
mod feed;
mod held;
mod held_bytes;
mod places;
mod publish;
mod query;
mod rate;
mod stale;
mod stream;
mod subscribe;
mod table;

pub use held::Holder;
pub use publish::Publisher;
pub(super) use publish::{Publication, PublishResult};
pub(crate) use table::NO_SUCH_STREAM;
pub use table::{StreamSettings, Streams};
