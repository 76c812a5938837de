//! What all layers share: moments, connection ids, names, log entries, outboxes and limits; and
//! requests, answers and notices as types without encoding. It uses nothing else of the project and
//! does no I/O.

mod address;
pub mod answer;
mod buffer;
pub mod by_connection;
pub mod chance;
mod class;
pub mod conn_id;
pub mod counters;
pub mod date;
pub mod declaration;
pub mod effect;
pub mod entry;
pub mod event;
pub mod filter;
pub mod frame;
pub mod json;
pub mod limits;
pub mod line_rate;
pub mod listener_id;
pub mod moment;
pub mod names;
pub mod notice;
pub mod outbox;
pub mod pattern;
pub mod per_minute;
pub mod rate;
pub mod rates;
pub mod record;
pub mod refusal;
pub mod request;
pub mod seeded_hash;
pub mod shares;
pub mod small_list;
pub mod stream_rights;
pub mod subscription;
pub mod table;
pub mod tree;
pub mod user_limits;
pub mod wall_clock;

pub use address::Address;
pub use answer::Answer;
pub use buffer::Buffer;
pub use chance::Chance;
pub use class::{Class, Priority};
pub use conn_id::ConnId;
pub use counters::{Histogram, LoopCounters, StoreCounters};
pub use effect::{Effect, Effects};
pub use entry::{Body, Changes, Entry, EntryKind};
pub use event::{Data, PublicationId, StreamEvent};
pub use frame::{Budget, Frame};
pub use limits::Limits;
pub use line_rate::LineRate;
pub use listener_id::ListenerId;
pub use moment::{Moment, Now, Timestamp};
pub use names::{NameError, RoomId, StreamId, UserId};
pub use notice::Notice;
pub use outbox::{Outbox, OutboxFull};
pub use per_minute::PerMinute;
pub use rate::Rate;
pub use record::{
    Invite, MemberState, Outcome, Query, Record, Revocation, RoomState, Snapshot, StreamState,
};
pub use refusal::{Refusal, RefusalCode};
pub use request::{Origin, Request, RequestId};
pub use seeded_hash::SeededHash;
pub use shares::Shares;
pub use small_list::SmallList;
pub use stream_rights::{StreamClaims, StreamRights};
pub use tree::Tree;
pub use user_limits::{UserLimit, UserLimits};
pub use wall_clock::{ClockChange, WallClock};
