//! Requests of clients.

use super::conn_id::ConnId;
use super::moment::Timestamp;
use super::{Body, Revocation, RoomId, UserId};
use std::sync::Arc;

/// A client's id for its request, as it stood in its JSON; `None` if it wants no answer.
pub type RequestId = Option<Arc<str>>;

/// A user's request. Names and sizes have been checked.
#[derive(Clone, Debug)]
pub enum Request {
    /// Send a message.
    Send {
        /// The room or user.
        target: Target,
        /// The content.
        body: Body,
        /// The author's own id for it.
        cid: Option<Arc<str>>,
    },
    /// Edit one's own message.
    Edit {
        /// The room.
        room: RoomId,
        /// The message's `seq`.
        seq: u64,
        /// The new text.
        text: Arc<str>,
    },
    /// Delete a message.
    Delete {
        /// The room.
        room: RoomId,
        /// The message's `seq`.
        seq: u64,
    },
    /// Set or withdraw a reaction to a message.
    React {
        /// The room.
        room: RoomId,
        /// The message's `seq`.
        seq: u64,
        /// The reaction.
        emoji: Arc<str>,
        /// Whether it is set.
        on: bool,
    },
    /// Create a room.
    Create {
        /// Its name; `None` to have one generated.
        room: Option<RoomId>,
        /// Its title.
        title: Option<Arc<str>>,
        /// Whether anybody may join.
        open: bool,
        /// First members beside the owner.
        members: Vec<UserId>,
    },
    /// Join a room.
    Join(RoomId),
    /// Leave a room.
    Leave(RoomId),
    /// Invite a user to a room that is not open.
    Invite(RoomId, UserId),
    /// Make a user a member. (For admins and the embedding program.)
    Add(RoomId, UserId),
    /// Remove a member.
    Remove(RoomId, UserId),
    /// Remove a member and keep them from joining.
    Ban(RoomId, UserId),
    /// Let a banned user join again.
    Unban(RoomId, UserId),
    /// Change a room's properties.
    Update {
        /// The room.
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
    /// Get a room's summary.
    Room(RoomId),
    /// List rooms.
    ListRooms {
        /// Which.
        which: ListedRooms,
        /// Only those after this name.
        after: Option<RoomId>,
        /// Most rooms.
        limit: usize,
    },
    /// List members of a room.
    ListMembers {
        /// The room.
        room: RoomId,
        /// Only those after this id.
        after: Option<UserId>,
        /// Most members.
        limit: usize,
    },
    /// Read a room's log.
    History {
        /// The room.
        room: RoomId,
        /// The part of the log.
        part: Part,
        /// Most entries.
        limit: usize,
    },
    /// Tell others that one has started or stopped typing.
    Typing(RoomId, bool),
    /// Set the read mark.
    Read(RoomId, u64),
    /// Acknowledge received entries, per room.
    Ack {
        /// The rooms and the entries.
        marks: Vec<(RoomId, u64)>,
        /// Whether it names one room, of which the asker must be a member. Of several, those of
        /// which they are not are skipped.
        is_one: bool,
    },
    /// Revoke tokens.
    Revoke {
        /// The tokens.
        revocation: Revocation,
        /// Whether to refuse if it was revoked before.
        once: bool,
    },
    /// Get the content of a greeting, as of now.
    Info {
        /// Only rooms after this name.
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
    /// Continue from a time, in all rooms (`Input::TellPosition`).
    ResumeAt {
        /// The epoch in which the position was told.
        epoch: Box<str>,
        /// The position.
        since: Timestamp,
    },
    /// Continue each room from a position.
    Resume {
        /// The epoch of the positions.
        epoch: String,
        /// The last known `seq` of each room.
        rooms: Vec<(RoomId, u64)>,
        /// Whether another part follows.
        more: bool,
    },
}

/// The target of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// To a room.
    Room(RoomId),
    /// To a user.
    User(UserId),
}

/// A part of a room's log.
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
    /// The caller without a connection, by its number.
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

/// Which rooms are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ListedRooms {
    /// Those that the asker is in.
    #[default]
    Own,
    /// Those that they are in or may join.
    Joinable,
    /// All, for admins. Each page takes time by the number of rooms.
    All,
}
