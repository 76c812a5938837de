//! Streams: named sources of events that clients watch. This is one table of streams and their
//! subscriptions; it knows nothing of rooms, users and presence.
//!
//! A subscription is a position in a stream, as a cursor is one in a room's log. A subscriber at
//! the head receives each event as it is published. Any other (too slow, or held back by a rate) is
//! fed from the kept events, and goes live in the same turn in which its position reaches the head.
//! A state keeps only its newest event, so a slow subscriber skips to it.
//!
//! Kept events are in memory. Those of a durable stream are also in the store before anybody
//! receives them, and its numbers continue after a restart.

mod durable;
mod feed;
mod holder_bytes;
mod holdings;
mod places;
mod publish;
mod query;
mod rate;
mod shared;
mod stale;
mod stream;
mod subscribe;
mod table;

pub use holdings::Holder;
pub use publish::Publisher;
pub(super) use publish::{Publication, PublishResult};
pub use shared::StreamsGuard;
pub(super) use shared::{AllStreams, SharedStreams};
pub(crate) use table::NO_SUCH_STREAM;
pub use table::{StreamSettings, Streams};
