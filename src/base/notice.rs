//! What connections are told without having asked.

use super::answer::InviteInfo;
use super::declaration::Declaration;
use super::subscription::{Form, Stale};
use super::{Entry, RoomId, StreamEvent, StreamId, Timestamp, UserId};
use std::rc::Rc;
use std::sync::Arc;

/// What is told without being asked.
#[derive(Debug, PartialEq)]
pub enum Notice {
    /// An entry of a room's log.
    Entry {
        /// The entry.
        entry: Rc<Entry>,
        /// Whether the author's own id is told: to their own connections.
        with_cid: bool,
        /// The room, for `Input::Behind` and `Effect::TakeBack`.
        source: u32,
        /// Where the recipients are with it, if they are told (`Hub::position_of`).
        position: Option<Timestamp>,
    },
    /// Users are online.
    Online {
        /// Who.
        users: Vec<UserId>,
        /// Rises with each change.
        version: u64,
        /// Whether the recipient should list again, as it missed a change, or as lists are back
        /// where only counts were told.
        reset: bool,
        /// The room in which that is told, with its source; none if it is told to everybody.
        room: Option<(RoomId, u32)>,
    },
    /// Users are offline.
    Offline {
        /// Who.
        users: Vec<UserId>,
        /// Rises with each change.
        version: u64,
        /// As of [`Notice::Online`].
        room: Option<(RoomId, u32)>,
    },
    /// So many users are online that only their number is told.
    Count {
        /// How many.
        online: usize,
        /// Rises with each change.
        version: u64,
        /// Whether the recipient missed one.
        again: bool,
        /// As of [`Notice::Online`].
        room: Option<(RoomId, u32)>,
    },
    /// A user is typing, or no longer.
    Typing {
        /// Where.
        room: RoomId,
        /// Who.
        user: UserId,
        /// Whether.
        typing: bool,
        /// The room.
        source: u32,
    },
    /// A user has read up to an entry.
    Read {
        /// Where.
        room: RoomId,
        /// Who.
        user: UserId,
        /// Up to which.
        seq: u64,
        /// The room.
        source: u32,
    },
    /// A user has received a room up to an entry.
    Delivered {
        /// Where.
        room: RoomId,
        /// Who.
        user: UserId,
        /// Up to which.
        seq: u64,
        /// The room.
        source: u32,
    },
    /// An event of a stream.
    Event {
        /// The stream.
        stream: StreamId,
        /// What it is declared to be.
        declaration: Rc<Declaration>,
        /// The event.
        event: Rc<StreamEvent>,
        /// The `seq` that was sent to the recipients before; 0 if none was.
        prev: u64,
        /// How they are told.
        form: Form,
        /// The stream, for `Input::EventMissed` and
        /// `Effect::TakeBack`.
        source: u32,
    },
    /// The recipient watches some streams no more, and did not ask for that.
    Unsubscribed {
        /// Which.
        streams: Vec<StreamId>,
        /// Why: a sentence for people.
        message: &'static str,
    },
    /// A stream that the recipients watch is stale, or not any more.
    Age {
        /// Which.
        stream: StreamId,
        /// What it is declared to be.
        declaration: Rc<Declaration>,
        /// Since when nothing was heard of it; none if something was.
        age: Option<Stale>,
        /// Now.
        at: Timestamp,
        /// How they are told.
        form: Form,
        /// The stream, for `Input::AgeMissed`.
        source: u32,
    },
    /// What a room is like has changed.
    Updated {
        /// Which.
        room: RoomId,
        /// Its title; may be empty.
        title: Arc<str>,
        /// Whether anybody may join.
        open: bool,
        /// Whose it is, if it is somebody's.
        owner: Option<UserId>,
        /// Who has changed it; none if it was the embedding program, or several may have.
        by: Option<UserId>,
        /// The room, for `Input::UpdateMissed`.
        source: u32,
    },
    /// The recipient's user may join a room.
    Invited(InviteInfo),
    /// The recipient's user is no member of a room any more.
    Removed {
        /// Which.
        room: RoomId,
        /// By whom, if by another.
        by: Option<UserId>,
        /// Why: `left`, `removed`, `banned` or `deleted`.
        reason: &'static str,
    },
}
