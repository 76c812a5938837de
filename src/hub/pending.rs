//! Requests whose records or queries are with the store.

use super::manage::Reason;
use super::request::Requester;
use super::room::RoomIx;
use super::streams::Publication;
use crate::base::request::Part;
use crate::base::{ConnId, Origin, Revocation, RoomId, UserId};

/// What waits for an outcome of the store.
#[derive(Debug)]
pub(super) enum Pending {
    /// A message. If `is_first`, it also creates the direct room.
    Send { origin: Origin, author: UserId, is_first: bool },
    /// A change of a message.
    Change { origin: Origin, room: RoomIx, asker: UserId, is_admin: bool },
    /// A creation or a join; `room` is the joined room if it already existed.
    Join {
        origin: Origin,
        user: UserId,
        room: Option<RoomIx>,
        by_themselves: bool,
        /// Users invited to a created room.
        invited: Vec<UserId>,
        /// Users added to a created room.
        added: Vec<UserId>,
    },
    /// The end of a membership.
    Leave { origin: Origin, room: RoomIx, user: UserId, by: Option<UserId>, reason: Reason },
    /// An invitation.
    Invite { origin: Origin, room: RoomIx, user: UserId, by: UserId },
    /// The end of an invitation, by the user or another.
    Uninvite { origin: Origin, room: RoomIx, user: UserId, by: Option<UserId> },
    /// The end of a ban.
    Unban { origin: Origin, room: RoomIx, user: UserId },
    /// A change of a room's properties.
    Update { origin: Origin, user: UserId, by: Option<UserId> },
    /// The end of a room.
    End { origin: Origin, room: RoomIx, by: Option<UserId> },
    /// Marks of delivery.
    Delivered { origin: Origin, user: UserId, marks: Vec<(RoomId, u64)> },
    /// The revocation of tokens.
    Revoke { origin: Origin, revocation: Revocation },
    /// An event of a durable stream.
    Publish { origin: Origin, publication: Publication },
    /// The removal of entries that are no longer kept.
    Trim { room: RoomIx },
    /// A read mark.
    Read { origin: Origin, room: RoomIx, user: UserId },
    /// A page for the asker.
    History { asker: Requester, room: RoomIx, part: Part, limit: usize },
    /// Places of rooms at a time.
    Seek { conn: ConnId },
    /// A page for a cursor that is behind.
    Feed { conn: ConnId, room: RoomIx },
    /// Nobody waits.
    Nobody,
}

impl Pending {
    /// A join, or an addition of one user.
    pub(super) fn join(
        origin: Origin,
        user: UserId,
        room: Option<RoomIx>,
        by_themselves: bool,
    ) -> Pending {
        let (invited, added) = (Vec::new(), Vec::new());
        Pending::Join { origin, user, room, by_themselves, invited, added }
    }

    pub(super) fn room(&self) -> Option<RoomIx> {
        match self {
            Pending::Change { room, .. }
            | Pending::Leave { room, .. }
            | Pending::Invite { room, .. }
            | Pending::Uninvite { room, .. }
            | Pending::Unban { room, .. }
            | Pending::End { room, .. }
            | Pending::Trim { room }
            | Pending::Read { room, .. }
            | Pending::History { room, .. }
            | Pending::Feed { room, .. } => Some(*room),
            Pending::Join { room, .. } => *room,
            Pending::Send { .. }
            | Pending::Update { .. }
            | Pending::Delivered { .. }
            | Pending::Revoke { .. }
            | Pending::Publish { .. }
            | Pending::Seek { .. }
            | Pending::Nobody => None,
        }
    }
}
