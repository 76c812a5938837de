//! What is asked and answered about streams.

use super::declaration::Declaration;
use super::filter::Filter;
use super::{ConnId, StreamEvent, StreamId, Timestamp};
use std::rc::Rc;

/// What somebody wants of a stream.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Which stream.
    pub stream: StreamId,
    /// Only these events.
    pub filter: Option<Rc<Filter>>,
    /// At most so many a second, from 1 on.
    pub max_rate: Option<u32>,
    /// From the event after this one on.
    pub since: Option<u64>,
    /// The life of the stream in which `since` was known; none: this one.
    pub epoch: Option<Box<str>>,
}

/// How a subscriber is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// In the wire's envelope.
    Envelope,
    /// By a stream's own path, for those who speak nothing.
    Plain,
}

/// A subscription, as its reply tells.
#[derive(Clone, Debug, PartialEq)]
pub struct Subscribed {
    /// The stream.
    pub stream: StreamId,
    /// Its newest event.
    pub seq: u64,
    /// Its life.
    pub epoch: Rc<str>,
    /// The subscriber has what is up to here, and what is not kept any more; the rest follows.
    pub position: u64,
    /// What is kept of it, where that comes with the reply.
    pub snapshot: Option<StreamSnapshot>,
    /// Whether what was missed since a position follows, where one was asked for.
    pub replayed: Option<bool>,
    /// Nothing was heard of it for too long.
    pub stale: Option<Stale>,
}

/// What is kept of a stream.
#[derive(Clone, Debug, PartialEq)]
pub enum StreamSnapshot {
    /// The newest event of a state.
    Latest(Rc<StreamEvent>),
    /// The newest events of a log, oldest first.
    Log(Vec<Rc<StreamEvent>>),
}

/// Since when nothing was heard of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stale {
    /// When it was heard of last; if it never was, since when somebody waits for it.
    pub since: Timestamp,
    /// How long ago that was, in ms.
    pub age_ms: u64,
}

/// What somebody wants to know.
#[derive(Clone, Debug)]
pub enum StreamQuery {
    /// Which streams there are that one may watch.
    List {
        /// Only those after this name.
        after: Option<StreamId>,
        /// Most streams.
        limit: usize,
    },
    /// The newest event of one.
    Newest(StreamId),
    /// Who watches one, and how far they are: for admins.
    Subscribers {
        /// Which.
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
    /// What it is declared to be.
    pub declaration: Rc<Declaration>,
    /// The number of its newest event; 0 if there was none.
    pub seq: u64,
    /// Its life; none of a family's that is not there yet.
    pub epoch: Option<Rc<str>>,
    /// Its newest event.
    pub newest: Option<Rc<StreamEvent>>,
    /// How many watch it.
    pub subscribers: usize,
}

/// Somebody who watches a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubscriberInfo {
    /// On which connection.
    pub conn: ConnId,
    /// The last event that was sent to it.
    pub sent: u64,
    /// Up to where it says that it has come, if the stream asks for it.
    pub acked: Option<u64>,
    /// How many events it is behind the newest, of those that are kept: since the one that it has
    /// acknowledged, if there is more that it could acknowledge, or else since the one that was sent.
    pub lag: u64,
}
