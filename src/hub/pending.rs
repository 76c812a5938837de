//! Requests whose records or queries are with the store.

use super::manage::Reason;
use super::request::Requester;
use super::room::RoomIx;
use crate::base::request::Part;
use crate::base::{ConnId, Origin, Revocation, RoomId, StreamId, UserId};

/// What waits for the store's answer, or for its own change.
#[derive(Debug)]
pub(super) enum Pending {
    /// The record of a request, and who waits for the answer.
    Write(Requester, Write),
    /// An event of a durable stream.
    Publish { origin: Origin, stream: StreamId },
    /// The removal of entries that are no longer kept.
    Trim { room: RoomIx },
    /// A page for the asker.
    History { asker: Requester, room: RoomIx, part: Part, limit: usize },
    /// Places of rooms at a time.
    Seek { conn: ConnId },
    /// A page for a cursor that is behind.
    Feed { conn: ConnId, room: RoomIx },
    /// A display name, which is in force here since it was decided.
    Name { user: UserId },
}

/// What a request has the store write.
#[derive(Debug)]
pub(super) enum Write {
    /// A message. If `is_first`, it also creates the direct room.
    Send { room: RoomId, is_first: bool },
    /// A change of a message.
    Alter { room: RoomIx, is_admin: bool },
    /// A creation or a join; `ix` is the joined room if it already existed.
    Join {
        user: UserId,
        room: RoomId,
        ix: Option<RoomIx>,
        /// How many members it adds.
        members: u32,
        by_themselves: bool,
        /// Users invited to a created room.
        invited: Vec<UserId>,
        /// Users added to a created room.
        added: Vec<UserId>,
    },
    /// The end of a membership.
    Leave { room: RoomIx, user: UserId, reason: Reason },
    /// An invitation.
    Invite { room: RoomIx, user: UserId },
    /// The end of an invitation, by the user or another.
    Uninvite { room: RoomIx, user: UserId, is_own: bool },
    /// The end of a ban.
    Unban { room: RoomIx, user: UserId },
    /// A change of a room's properties.
    Update { room: RoomIx },
    /// The end of a room, which may be forgotten with it.
    End { room: RoomIx, name: RoomId },
    /// Marks of delivery.
    Delivered,
    /// The revocation of tokens.
    Revoke { revocation: Revocation },
    /// A read mark.
    Read { room: RoomIx },
}

impl Pending {
    pub(super) fn room(&self) -> Option<RoomIx> {
        match self {
            Pending::Write(_, write) => write.room(),
            Pending::Trim { room } | Pending::History { room, .. } | Pending::Feed { room, .. } => {
                Some(*room)
            }
            Pending::Publish { .. } | Pending::Seek { .. } | Pending::Name { .. } => None,
        }
    }
}

impl Write {
    /// A join, or an addition of one user.
    pub(super) fn join(
        user: UserId,
        (room, ix): (RoomId, Option<RoomIx>),
        by_themselves: bool,
    ) -> Write {
        let (invited, added) = (Vec::new(), Vec::new());
        Write::Join { user, room, ix, members: 1, by_themselves, invited, added }
    }

    fn room(&self) -> Option<RoomIx> {
        match self {
            Write::Alter { room, .. }
            | Write::Leave { room, .. }
            | Write::Invite { room, .. }
            | Write::Uninvite { room, .. }
            | Write::Unban { room, .. }
            | Write::Update { room }
            | Write::End { room, .. }
            | Write::Read { room } => Some(*room),
            Write::Join { ix, .. } => *ix,
            Write::Send { .. } | Write::Delivered | Write::Revoke { .. } => None,
        }
    }
}
