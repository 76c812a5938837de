//! What is on its way to the store, and back.

use super::manage::Reason;
use super::request::Requester;
use super::room::RoomIx;
use super::streams::Publication;
use crate::base::request::Part;
use crate::base::{ConnId, Origin, Revocation, RoomId, UserId};

/// What waits for an outcome of the store.
#[derive(Debug)]
pub(super) enum Pending {
    /// A message; the first one between two, with which their room comes into being, if `is_first`.
    Send { origin: Origin, author: UserId, is_first: bool },
    /// A change of a message.
    Change { origin: Origin, room: RoomIx, asker: UserId, is_admin: bool },
    /// A room that is created, or joined: then it was there already if it is named.
    Join {
        origin: Origin,
        user: UserId,
        room: Option<RoomIx>,
        by_themselves: bool,
        /// Those who are invited to one that is created.
        invited: Vec<UserId>,
        /// Those whom somebody brings into one that is created.
        added: Vec<UserId>,
    },
    /// A membership that ends.
    Leave { origin: Origin, room: RoomIx, user: UserId, by: Option<UserId>, reason: Reason },
    /// An invitation.
    Invite { origin: Origin, room: RoomIx, user: UserId, by: UserId },
    /// The end of an invitation, by whom it was for or by another.
    Uninvite { origin: Origin, room: RoomIx, user: UserId, by: Option<UserId> },
    /// The end of a ban.
    Unban { origin: Origin, room: RoomIx, user: UserId },
    /// What a room is like.
    Update { origin: Origin, user: UserId, by: Option<UserId> },
    /// The end of a room.
    End { origin: Origin, room: RoomIx, by: Option<UserId> },
    /// Marks of delivery.
    Delivered { origin: Origin, user: UserId, marks: Vec<(RoomId, u64)> },
    /// Tokens that are good no more.
    Revoke { origin: Origin, revocation: Revocation },
    /// An event of a durable stream.
    Publish { origin: Origin, publication: Publication },
    /// Entries that are not kept any more.
    Trim { room: RoomIx },
    /// A read mark.
    Read { origin: Origin, room: RoomIx, user: UserId },
    /// A page for who asked for it.
    History { asker: Requester, room: RoomIx, part: Part, limit: usize },
    /// Where rooms were at a time.
    Seek { conn: ConnId },
    /// A page for a cursor that is behind.
    Feed { conn: ConnId, room: RoomIx },
    /// Nobody waits.
    Nobody,
}

impl Pending {
    /// Somebody comes into a room, alone.
    pub(super) fn join(
        origin: Origin,
        user: UserId,
        room: Option<RoomIx>,
        by_themselves: bool,
    ) -> Pending {
        let (invited, added) = (Vec::new(), Vec::new());
        Pending::Join { origin, user, room, by_themselves, invited, added }
    }

    /// The room that it is about.
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
