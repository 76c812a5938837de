//! The inputs of the hub.

use super::quotas::Quotas;
use super::streams::{Holder, Publisher};
use crate::base::subscription::{Ask, Form, StreamQuery};
use crate::base::{
    ConnId, Data, Origin, PublicationId, Request, RequestId, Rights, StreamId, StreamRights,
    Timestamp, Told, UserId,
};
use std::sync::Arc;

/// One thing that happened.
#[derive(Debug)]
pub enum Input {
    /// A user has proved who they are on a connection.
    Connected {
        /// The connection.
        conn: ConnId,
        /// The user.
        user: UserId,
        /// The display name that came with the proof.
        name: Option<Arc<str>>,
        /// Whether the client will say where to continue.
        resumes: bool,
    },
    /// A connection, which will be let in next, is to receive its position with its entries.
    TellPosition {
        /// The connection.
        conn: ConnId,
    },
    /// A connection has closed. An unknown one is ignored.
    Disconnected {
        /// The connection.
        conn: ConnId,
    },
    /// A connection sent a request.
    Request {
        /// The connection.
        conn: ConnId,
        /// Whether its user has an admin's rights.
        is_admin: bool,
        /// For the answer.
        id: RequestId,
        /// The request.
        request: Request,
    },
    /// A request without a connection: from the embedding program or over HTTP.
    Call {
        /// For the answer.
        call: u64,
        /// The user in whose name it is made.
        user: UserId,
        /// The rights that it has.
        rights: Rights,
        /// What the user may have, as far as this request is concerned; `None` for what holds anyway.
        quotas: Option<Quotas>,
        /// The request.
        request: Request,
    },
    /// A connection wants to watch streams. It need not belong to a user.
    Subscribe {
        /// The connection and request, for the answer.
        by: (ConnId, RequestId),
        /// What it may watch.
        rights: StreamRights,
        /// Who holds the streams that nobody else watches.
        holder: Holder,
        /// How events are delivered.
        form: Form,
        /// The streams that it wants.
        asks: Vec<Ask>,
    },
    /// A connection no longer wants to watch streams.
    Unsubscribe {
        /// The connection and request, for the answer.
        by: (ConnId, RequestId),
        /// The streams.
        streams: Vec<StreamId>,
    },
    /// A subscriber acknowledges a stream's events up to one.
    StreamAck {
        /// The connection and request, for the answer.
        by: (ConnId, RequestId),
        /// The stream.
        stream: StreamId,
        /// The event's number.
        seq: u64,
    },
    /// A query about streams.
    QueryStreams {
        /// Who waits for the answer.
        origin: Origin,
        /// What they may watch.
        rights: StreamRights,
        /// The query.
        query: StreamQuery,
    },
    /// An event for a stream.
    Publish {
        /// Who waits for the answer.
        origin: Origin,
        /// The publisher and its rights.
        publisher: Publisher,
        /// The stream.
        stream: StreamId,
        /// The event's data: valid JSON, or bytes.
        data: Data,
        /// The publisher's id. A repeat gets the first one's answer, as long as the stream keeps
        /// the id.
        id: Option<Arc<PublicationId>>,
    },
    /// The source of a stream has answered, and had nothing new.
    Heard {
        /// The stream.
        stream: StreamId,
    },
    /// The notice of a stream's age did not fit a connection's outbox.
    AgeMissed {
        /// The connection.
        conn: ConnId,
        /// The stream, as [`Effect::Deliver`](crate::base::Effect::Deliver) gave its source.
        source: u32,
    },
    /// What a connection may watch has changed.
    RightsChanged {
        /// The connection.
        conn: ConnId,
        /// What it may watch now.
        rights: StreamRights,
        /// Who holds the streams that it watches from now on.
        holder: Holder,
    },
    /// The declarations of streams may have changed.
    Redeclared,
    /// An event did not fit a connection's outbox.
    EventMissed {
        /// The connection.
        conn: ConnId,
        /// The stream, as [`Effect::Deliver`](crate::base::Effect::Deliver) gave its source.
        source: u32,
        /// The event's number.
        seq: u64,
        /// The number of the event before it.
        prev: u64,
    },
    /// The store has committed a change, or answers an
    /// [`Effect::Persist`](crate::base::Effect::Persist), [`Effect::Load`](crate::base::Effect::Load)
    /// or [`Effect::Seek`](crate::base::Effect::Seek).
    Told(Told),
    /// An entry did not fit a connection's outbox: its cursor stays behind.
    Behind {
        /// The connection.
        conn: ConnId,
        /// The room, as [`Effect::Deliver`](crate::base::Effect::Deliver) gave its source.
        source: u32,
        /// The entry's `seq`.
        seq: u64,
        /// The entry's time.
        ts: Timestamp,
    },
    /// A presence change did not fit a connection's outbox.
    PresenceMissed {
        /// The connection.
        conn: ConnId,
    },
    /// A room's update did not fit a connection's outbox.
    UpdateMissed {
        /// The connection.
        conn: ConnId,
        /// The room, as [`Notice::Updated`](crate::base::Notice::Updated) gave it.
        source: u32,
    },
    /// There is room again in the outbox of a connection that was behind.
    Drained {
        /// The connection.
        conn: ConnId,
    },
    /// A connection may have a page of its missed events scanned, as
    /// [`Effect::WaitToScan`](crate::base::Effect::WaitToScan) asked.
    Scan {
        /// The connection.
        conn: ConnId,
    },
    /// A moment that [`Effect::WakeAt`](crate::base::Effect::WakeAt) named has come.
    Woken,
}
