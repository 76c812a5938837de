//! Notices: what connections receive without having asked.

use super::answer::InviteInfo;
use super::declaration::Declaration;
use super::subscription::{Form, Stale};
use super::{Entry, RoomId, StreamEvent, StreamId, Timestamp, UserId};
use std::sync::Arc;

/// A notice.
#[derive(Clone, Debug, PartialEq)]
pub enum Notice {
    /// An entry of a room's log.
    Entry {
        /// The entry.
        entry: Arc<Entry>,
        /// Whether the recipients get the `cid`: the author's own connections do.
        with_cid: bool,
        /// The room, for `Input::Behind` and `Effect::TakeBack`.
        source: u32,
        /// The recipients' position, if they are told it (`Hub::position_of`).
        position: Option<Timestamp>,
    },
    /// Users are online.
    Online {
        /// The users.
        users: Vec<UserId>,
        /// Rises with each change.
        version: u64,
        /// Whether the recipient should list again: it missed a change, or lists are told again
        /// after counts.
        reset: bool,
        /// The room in which that is told, with its source; `None` if everybody is told.
        room: Option<(RoomId, u32)>,
    },
    /// Users are offline.
    Offline {
        /// The users.
        users: Vec<UserId>,
        /// Rises with each change.
        version: u64,
        /// As in [`Notice::Online`].
        room: Option<(RoomId, u32)>,
    },
    /// So many users are online that only their number is told.
    Count {
        /// The number of users.
        online: usize,
        /// Rises with each change.
        version: u64,
        /// Whether the recipient missed one.
        again: bool,
        /// As in [`Notice::Online`].
        room: Option<(RoomId, u32)>,
    },
    /// A user has started or stopped typing.
    Typing {
        /// The room.
        room: RoomId,
        /// The user.
        user: UserId,
        /// Whether they are typing.
        typing: bool,
        /// The room's source.
        source: u32,
    },
    /// A user has read up to an entry.
    Read {
        /// The room.
        room: RoomId,
        /// The user.
        user: UserId,
        /// The entry.
        seq: u64,
        /// The room's source.
        source: u32,
    },
    /// A user has received a room up to an entry.
    Delivered {
        /// The room.
        room: RoomId,
        /// The user.
        user: UserId,
        /// The entry.
        seq: u64,
        /// The room's source.
        source: u32,
    },
    /// An event of a stream.
    Event {
        /// The stream.
        stream: StreamId,
        /// Its declaration.
        declaration: Arc<Declaration>,
        /// The event.
        event: Arc<StreamEvent>,
        /// The `seq` sent to the recipients before; 0 if none.
        prev: u64,
        /// How it is sent.
        form: Form,
        /// The stream, for `Input::EventMissed` and `Effect::TakeBack`.
        source: u32,
    },
    /// Subscriptions of the recipient have ended without its asking.
    Unsubscribed {
        /// The streams.
        streams: Vec<StreamId>,
        /// The reason: a sentence for people.
        message: &'static str,
    },
    /// A stream that the recipients watch is stale, or no longer is.
    Age {
        /// The stream.
        stream: StreamId,
        /// Its declaration.
        declaration: Arc<Declaration>,
        /// Since when nothing was heard of it; `None` if it is no longer stale.
        age: Option<Stale>,
        /// The time of this notice.
        at: Timestamp,
        /// How it is sent.
        form: Form,
        /// The stream, for `Input::AgeMissed`.
        source: u32,
    },
    /// A room's properties have changed.
    Updated {
        /// The room.
        room: RoomId,
        /// Its title; may be empty.
        title: Arc<str>,
        /// Whether anybody may join.
        open: bool,
        /// Its owner, if it has one.
        owner: Option<UserId>,
        /// Who changed it; `None` for the embedding program, or if several may have.
        by: Option<UserId>,
        /// The room, for `Input::UpdateMissed`.
        source: u32,
    },
    /// The recipient's user may join a room.
    Invited(InviteInfo),
    /// The recipient's user is no longer a member of a room.
    Removed {
        /// The room.
        room: RoomId,
        /// Who removed them, if another did.
        by: Option<UserId>,
        /// The reason: `left`, `removed`, `banned` or `deleted`.
        reason: &'static str,
    },
}
