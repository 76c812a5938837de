//! What clients ask for.

use super::conn_id::ConnId;
use super::moment::Timestamp;
use super::{Body, Revocation, RoomId, UserId};
use std::rc::Rc;
use std::sync::Arc;

/// A client's own name for its request, as it stood in its JSON; none if it wants no answer.
pub type RequestId = Option<Rc<str>>;

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
    /// Go on at a time, in all rooms (`Input::TellPosition`).
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
    pub const fn conn(&self) -> Option<ConnId> {
        match self {
            Origin::Conn(conn, _) => Some(*conn),
            Origin::Call(_) => None,
        }
    }
}
