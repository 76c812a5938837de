//! What every layer shares: moments, connection ids, names, entries of a room's log, outboxes,
//! limits. It uses nothing of the project and does no I/O.

mod buffer;
pub mod chance;
mod class;
pub mod conn_id;
pub mod counters;
pub mod entry;
pub mod event;
pub mod few;
pub mod frame;
pub mod json;
pub mod limits;
pub mod line_rate;
pub mod moment;
pub mod names;
pub mod outbox;
pub mod per_minute;
pub mod rate;
pub mod record;
pub mod seeded_hash;
pub mod shares;
pub mod tree;
pub mod user_limits;
pub mod wall_clock;

pub use buffer::Buffer;
pub use chance::Chance;
pub use class::{Class, Priority};
pub use conn_id::ConnId;
pub use counters::{Histogram, LoopCounters, StoreCounters};
pub use entry::{Body, Changes, Entry, EntryKind};
pub use event::{Data, Event, PublicationId};
pub use few::Few;
pub use frame::{Budget, Frame};
pub use limits::Limits;
pub use line_rate::LineRate;
pub use moment::{Moment, Timestamp};
pub use names::{NameError, RoomId, StreamId, UserId};
pub use outbox::{Outbox, Refused};
pub use per_minute::PerMinute;
pub use rate::Rate;
pub use record::{
    Invite, MemberState, Outcome, Query, Record, Revocation, RoomState, Snapshot, StreamState,
};
pub use seeded_hash::SeededHash;
pub use shares::Shares;
pub use tree::Tree;
pub use user_limits::{UserLimit, UserLimits};
pub use wall_clock::{ClockChange, WallClock};
