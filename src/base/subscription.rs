//! Requests and answers about streams.

use super::declaration::Declaration;
use super::filter::Filter;
use super::{ConnId, StreamEvent, StreamId, Timestamp};
use std::sync::Arc;

/// A request to watch a stream.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The stream.
    pub stream: StreamId,
    /// Only events that pass this filter.
    pub filter: Option<Arc<Filter>>,
    /// At most this many events a second; at least 1.
    pub max_rate: Option<u32>,
    /// Start after this event.
    pub since: Option<u64>,
    /// The epoch to which `since` belongs; `None` for the current one.
    pub epoch: Option<Box<str>>,
}

impl Ask {
    /// Every event of a stream, from now on.
    #[must_use]
    pub fn whole(stream: StreamId) -> Ask {
        Ask { stream, filter: None, max_rate: None, since: None, epoch: None }
    }
}

/// How events are sent to a subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    /// In the wire's envelope.
    Envelope,
    /// As plain data on the stream's own path, without a protocol.
    Plain,
}

/// A subscription, as in its reply.
#[derive(Clone, Debug, PartialEq)]
pub struct Subscribed {
    /// The stream.
    pub stream: StreamId,
    /// The `seq` of its newest event.
    pub seq: u64,
    /// Its epoch.
    pub epoch: Arc<str>,
    /// The subscriber has everything up to here, except events no longer kept. The rest follows.
    pub position: u64,
    /// The kept events, if they come with the reply.
    pub snapshot: Option<StreamSnapshot>,
    /// Whether the missed events since a position follow, if one was given.
    pub replayed: Option<bool>,
    /// Set if nothing was heard of it for too long.
    pub stale: Option<Stale>,
}

/// The kept events of a stream.
#[derive(Clone, Debug, PartialEq)]
pub enum StreamSnapshot {
    /// The newest event of a state.
    Latest(Arc<StreamEvent>),
    /// The newest events of a log, oldest first.
    Log(Vec<Arc<StreamEvent>>),
}

/// Since when nothing was heard of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stale {
    /// When it was last heard of. If it never was, since when somebody has waited for it.
    pub since: Timestamp,
    /// How long ago that was, in ms.
    pub age_ms: u64,
}

/// A query about streams.
#[derive(Clone, Debug)]
pub enum StreamQuery {
    /// The streams that the asker may watch.
    List {
        /// Only those after this name.
        after: Option<StreamId>,
        /// Most streams.
        limit: usize,
    },
    /// The newest event of one.
    Newest(StreamId),
    /// The subscribers of one, and how far they are: for admins.
    Subscribers {
        /// The stream.
        stream: StreamId,
        /// Only those after this connection.
        after: Option<ConnId>,
        /// Most subscribers.
        limit: usize,
    },
}

/// A stream, as it is now.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamInfo {
    /// Its name.
    pub stream: StreamId,
    /// Its declaration.
    pub declaration: Arc<Declaration>,
    /// The `seq` of its newest event; 0 if none.
    pub seq: u64,
    /// Its epoch; `None` for a stream of a family that does not exist yet.
    pub epoch: Option<Arc<str>>,
    /// Its newest event.
    pub newest: Option<Arc<StreamEvent>>,
    /// The number of its subscribers.
    pub subscribers: usize,
}

/// A subscriber of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubscriberInfo {
    /// Its connection.
    pub conn: ConnId,
    /// The last event that was sent to it.
    pub sent: u64,
    /// The last event that it acknowledged, if the stream asks for that.
    pub acked: Option<u64>,
    /// How many kept events it is behind the newest: since the one it acknowledged, if it could
    /// acknowledge more, or else since the one sent.
    pub lag: u64,
}
