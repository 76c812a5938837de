//! What the hub is told.

use super::streams::{Holder, Publisher};
use crate::base::subscription::{Ask, Form, StreamQuery};
use crate::base::{
    ConnId, Data, Origin, Outcome, PublicationId, Request, RequestId, StreamId, StreamRights,
    Timestamp, UserId,
};
use std::sync::Arc;

/// With which rights a call is made that comes on no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rights {
    /// A user's own.
    User,
    /// An admin's.
    Admin,
    /// The embedding program's: those of an admin, and nobody in person is told to have used them.
    Program,
}

/// One thing that happened.
#[derive(Debug)]
pub enum Input {
    /// A user has proved who they are on a connection.
    Connected {
        /// The connection.
        conn: ConnId,
        /// Who.
        user: UserId,
        /// The display name that came with the proof.
        name: Option<Arc<str>>,
        /// Whether the connection will say where it wants to go on.
        resumes: bool,
    },
    /// A connection, which will be let in next, is to be told with its entries where it is.
    TellPosition {
        /// Which.
        conn: ConnId,
    },
    /// A connection is over. One that the hub does not know is ignored.
    Disconnected {
        /// The connection.
        conn: ConnId,
    },
    /// A connection asks for something.
    Request {
        /// Which.
        conn: ConnId,
        /// Whether its user has an admin's rights.
        is_admin: bool,
        /// For the answer.
        id: RequestId,
        /// What.
        request: Request,
    },
    /// Somebody asks for something on no connection: the embedding program, or a request of HTTP.
    Call {
        /// For the answer.
        call: u64,
        /// In whose name.
        user: UserId,
        /// With which rights.
        rights: Rights,
        /// What.
        request: Request,
    },
    /// A connection wants to watch streams. It need not be a user's.
    Subscribe {
        /// Which, and for the answer.
        by: (ConnId, RequestId),
        /// What it may watch.
        rights: StreamRights,
        /// Whose the streams are that nobody else watches.
        holder: Holder,
        /// How it is told.
        form: Form,
        /// What it wants.
        asks: Vec<Ask>,
    },
    /// A connection wants to watch streams no more.
    Unsubscribe {
        /// Which, and for the answer.
        by: (ConnId, RequestId),
        /// The streams.
        streams: Vec<StreamId>,
    },
    /// A subscriber says up to where they have come in a stream.
    StreamAck {
        /// Which, and for the answer.
        by: (ConnId, RequestId),
        /// The stream.
        stream: StreamId,
        /// The event.
        seq: u64,
    },
    /// Somebody wants to know something of streams.
    LookAtStreams {
        /// Who waits for the answer.
        origin: Origin,
        /// What they may watch.
        rights: StreamRights,
        /// What they want to know.
        query: StreamQuery,
    },
    /// An event for a stream.
    Publish {
        /// Who waits for the answer.
        origin: Origin,
        /// By whose right.
        publisher: Publisher,
        /// The stream.
        stream: StreamId,
        /// The event's data: JSON that is sound, or bytes.
        data: Data,
        /// What the publisher calls it: a second one is answered as the first was, for as long as the stream keeps that.
        id: Option<Arc<PublicationId>>,
    },
    /// What feeds a stream has answered, and had nothing new.
    Heard {
        /// The stream.
        stream: StreamId,
    },
    /// How old a stream is was not told to a connection: it did not fit its outbox.
    AgeMissed {
        /// Which.
        conn: ConnId,
        /// The stream, as [`Effect::Deliver`](crate::base::Effect::Deliver) gave its source.
        source: u32,
    },
    /// What a connection may watch has changed.
    RightsChanged {
        /// Which.
        conn: ConnId,
        /// What it may watch now.
        rights: StreamRights,
        /// Whose the streams are from now on that it watches.
        holder: Holder,
    },
    /// Streams may be declared otherwise than they were.
    Redeclared,
    /// An event did not fit the outbox of a connection.
    EventMissed {
        /// Which.
        conn: ConnId,
        /// The stream, as [`Effect::Deliver`](crate::base::Effect::Deliver) gave its source.
        source: u32,
        /// The event.
        seq: u64,
        /// The one that it had before.
        prev: u64,
    },
    /// What became of an [`Effect::Persist`](crate::base::Effect::Persist) or
    /// [`Effect::Load`](crate::base::Effect::Load).
    Outcome {
        /// Its ticket.
        ticket: u64,
        /// What became of it.
        outcome: Outcome,
    },
    /// An entry did not fit the outbox of a connection: that cursor stays behind.
    Behind {
        /// The connection.
        conn: ConnId,
        /// The room, as [`Effect::Deliver`](crate::base::Effect::Deliver) gave its source.
        source: u32,
        /// The entry.
        seq: u64,
        /// Its time.
        ts: Timestamp,
    },
    /// A presence change did not fit the outbox of a connection.
    PresenceMissed {
        /// The connection.
        conn: ConnId,
    },
    /// What a room is like did not fit the outbox of a connection.
    UpdateMissed {
        /// The connection.
        conn: ConnId,
        /// The room, as [`Notice::Updated`](crate::base::Notice::Updated) gave it.
        source: u32,
    },
    /// There is room in the outbox of a connection that was behind.
    Drained {
        /// The connection.
        conn: ConnId,
    },
    /// A page of what a connection has not had may be looked into, as [`Effect::AskToLook`](crate::base::Effect::AskToLook)
    /// has asked.
    Look {
        /// The connection.
        conn: ConnId,
    },
    /// A moment that [`Effect::WakeAt`](crate::base::Effect::WakeAt) named has come.
    Woken,
}
