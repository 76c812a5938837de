//! What the hub is told.

use super::streams::{Ask, Form, Holder, Publisher, StreamQuery, StreamRights};
use crate::base::{
    Body, ConnId, Data, Moment, Outcome, PublicationId, Revocation, RoomId, StreamId, Timestamp,
    UserId,
};
use std::rc::Rc;
use std::sync::Arc;

/// The time of an input, on both clocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Now {
    /// For windows and graces.
    pub moment: Moment,
    /// For what people see.
    pub timestamp: Timestamp,
    /// By what entries age: no later than `timestamp`, and behind it while the wall clock is not believed.
    pub age_by: Timestamp,
}

/// A client's own name for its request, as it stood in its JSON; none if it wants no answer.
pub type RequestId = Option<Rc<str>>;

/// Who waits for the answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A connection.
    Conn(ConnId, RequestId),
    /// Whoever has made a call that came on no connection, by its number.
    Call(u64),
}

impl Origin {
    /// The connection, if it is one.
    pub(crate) const fn conn(&self) -> Option<ConnId> {
        match self {
            Origin::Conn(conn, _) => Some(*conn),
            Origin::Call(_) => None,
        }
    }
}

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
        /// The stream, as [`Effect::Deliver`](super::Effect::Deliver) gave its source.
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
        /// The stream, as [`Effect::Deliver`](super::Effect::Deliver) gave its source.
        source: u32,
        /// The event.
        seq: u64,
        /// The one that it had before.
        prev: u64,
    },
    /// What became of an [`Effect::Persist`](super::Effect::Persist) or
    /// [`Effect::Load`](super::Effect::Load).
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
        /// The room, as [`Effect::Deliver`](super::Effect::Deliver) gave its source.
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
        /// The room, as [`Notice::Updated`](super::Notice::Updated) gave it.
        source: u32,
    },
    /// There is room in the outbox of a connection that was behind.
    Drained {
        /// The connection.
        conn: ConnId,
    },
    /// A page of what a connection has not had may be looked into, as [`Effect::AskToLook`](super::Effect::AskToLook)
    /// has asked.
    Look {
        /// The connection.
        conn: ConnId,
    },
    /// A moment that [`Effect::WakeAt`](super::Effect::WakeAt) named has come.
    Woken,
}

/// What a user asks for. Names and sizes have been checked.
#[derive(Clone, Debug)]
pub enum Request {
    /// Say something in a room.
    Send {
        /// Where.
        target: Target,
        /// What.
        body: Body,
        /// The author's own id for it.
        cid: Option<Arc<str>>,
    },
    /// Change what one has said.
    Edit {
        /// Where.
        room: RoomId,
        /// Which message.
        seq: u64,
        /// What it says from here on.
        text: Arc<str>,
    },
    /// Delete a message.
    Delete {
        /// Where.
        room: RoomId,
        /// Which message.
        seq: u64,
    },
    /// React to a message, or take that back.
    React {
        /// Where.
        room: RoomId,
        /// To which message.
        seq: u64,
        /// With what.
        emoji: Arc<str>,
        /// Whether it is to hold.
        on: bool,
    },
    /// Make a room.
    Create {
        /// Its name; one is made up if there is none.
        room: Option<RoomId>,
        /// Its title.
        title: Option<Arc<str>>,
        /// Whether anybody may join.
        open: bool,
        /// First members beside the owner.
        members: Vec<UserId>,
    },
    /// Become a member.
    Join(RoomId),
    /// Be no member any more.
    Leave(RoomId),
    /// Let another join a room that is not open.
    Invite(RoomId, UserId),
    /// Make another a member. (For admins and the embedding program.)
    Add(RoomId, UserId),
    /// Make another no member any more.
    Remove(RoomId, UserId),
    /// Make another no member any more, and keep them from joining.
    Ban(RoomId, UserId),
    /// Let another join again.
    Unban(RoomId, UserId),
    /// Change what a room is like.
    Update {
        /// Which room.
        room: RoomId,
        /// Its title, if it changes.
        title: Option<Arc<str>>,
        /// Whether anybody may join, if that changes.
        open: Option<bool>,
        /// Its owner, if that changes.
        owner: Option<UserId>,
    },
    /// End a room.
    End(RoomId),
    /// Say what a room is like.
    Room(RoomId),
    /// List rooms.
    ListRooms {
        /// All that one may join or is in, in place of one's own.
        open: bool,
        /// Only those after this name.
        after: Option<RoomId>,
        /// Most rooms.
        limit: usize,
    },
    /// List members of a room.
    ListMembers {
        /// Which room.
        room: RoomId,
        /// Only those after this id.
        after: Option<UserId>,
        /// Most members.
        limit: usize,
    },
    /// Read a room's log.
    History {
        /// Which room.
        room: RoomId,
        /// Which part of it.
        part: Part,
        /// Most entries.
        limit: usize,
    },
    /// Tell that one is typing, or no longer.
    Typing(RoomId, bool),
    /// Tell up to which entry one has read.
    Read(RoomId, u64),
    /// Tell up to which entries one has received rooms.
    Ack {
        /// The rooms and the entries.
        marks: Vec<(RoomId, u64)>,
        /// Whether it is about one room, of which one must be a member; of several, those of which
        /// one is none are passed over.
        is_one: bool,
    },
    /// Make tokens good no more.
    Revoke {
        /// Which.
        revocation: Revocation,
        /// Whether it is refused if it was revoked before.
        once: bool,
    },
    /// Say what a greeting says, as of now.
    Info {
        /// Of the rooms those behind this name.
        after: Option<RoomId>,
    },
    /// List who is online.
    ListPresence {
        /// Only members of this room.
        room: Option<RoomId>,
        /// Only those after this id.
        after: Option<UserId>,
        /// Most users.
        limit: usize,
    },
    /// Go on at a time, in all rooms ([`Input::TellPosition`]).
    ResumeAt {
        /// The epoch in which the position was told.
        epoch: Box<str>,
        /// The position.
        since: Timestamp,
    },
    /// Say where each room is to go on.
    Resume {
        /// The epoch in which the positions were known.
        epoch: String,
        /// The last `seq` that is known of each room.
        rooms: Vec<(RoomId, u64)>,
        /// Whether another piece follows.
        more: bool,
    },
}

/// Where a message goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// To a room.
    Room(RoomId),
    /// To a user.
    User(UserId),
}

/// Which part of a room's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The newest page.
    Newest,
    /// The first page after an entry.
    After(u64),
    /// The last page before an entry.
    Before(u64),
}
