//! The records and queries that the hub, which decides, hands to the store, which remembers, and its
//! answers. Neither knows the other. What the store has changed is in [`change`](super::change).

use crate::base::{
    Authority, Body, Data, Entry, PublicationId, RoomId, StreamEvent, StreamId, Timestamp, UserId,
};
use std::sync::Arc;

/// A change to store. The store numbers its entries within the transaction that commits it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// A message in a room. The first message in a direct room creates it, with its two members.
    Message {
        /// The room.
        room: RoomId,
        /// The author.
        from: UserId,
        /// The other user, for a direct message.
        to: Option<UserId>,
        /// The content.
        body: Body,
        /// The author's own id for it. A second record with the same room, author and id gets the
        /// first one's entry.
        cid: Option<Arc<str>>,
    },
    /// A message's author changes its text.
    Edit {
        /// The room.
        room: RoomId,
        /// The message's `seq`.
        target: u64,
        /// The new text.
        text: Arc<str>,
        /// The author.
        by: UserId,
    },
    /// A message is deleted.
    Delete {
        /// The room.
        room: RoomId,
        /// The message's `seq`.
        target: u64,
        /// Who deletes it: its author, the room's owner, or an admin.
        by: Authority,
    },
    /// A user sets or withdraws a reaction to a message.
    React {
        /// The room.
        room: RoomId,
        /// The message's `seq`.
        target: u64,
        /// The reaction.
        emoji: Arc<str>,
        /// Whether it is set.
        on: bool,
        /// The user.
        by: UserId,
    },
    /// A new room.
    Create {
        /// Its name.
        room: RoomId,
        /// Its title.
        title: Option<Arc<str>>,
        /// Whether anybody may join.
        open: bool,
        /// Its owner and first member.
        owner: UserId,
        /// Further members.
        members: Vec<UserId>,
        /// Users whom the owner invites.
        invited: Vec<UserId>,
        /// Whether it counts towards the owner's quota. A room that a program creates does not.
        is_own: bool,
    },
    /// Changes a room's properties; `None` leaves one as it is.
    Update {
        /// The room.
        room: RoomId,
        /// Its title.
        title: Option<Arc<str>>,
        /// Whether anybody may join.
        open: Option<bool>,
        /// Its owner, a member.
        owner: Option<UserId>,
        /// Who changes them: the room's owner, or an admin.
        by: Authority,
    },
    /// Ends a room. Its name stays taken, because its numbers must not be used twice.
    End {
        /// The room.
        room: RoomId,
        /// Who ends it: its owner, or an admin.
        by: Authority,
    },
    /// Makes a user a member. If they come by themselves, the room must be open or they invited,
    /// and it counts towards their quota; if it does not exist, it is created as an open one of
    /// theirs.
    Join {
        /// The room.
        room: RoomId,
        /// The user.
        user: UserId,
        /// Who adds them, an admin; `None` if they come by themselves.
        by: Option<Authority>,
    },
    /// Invites a user to a room that is not open.
    Invite {
        /// The room.
        room: RoomId,
        /// The user.
        user: UserId,
        /// Who invites them: the room's owner, or an admin.
        by: Authority,
    },
    /// An invitation is declined or taken back.
    Uninvite {
        /// The room.
        room: RoomId,
        /// The invited user.
        user: UserId,
        /// Who takes it back, the room's owner or an admin; `None` if they decline.
        by: Option<Authority>,
    },
    /// A user is no longer a member of a room.
    Leave {
        /// The room.
        room: RoomId,
        /// The user.
        user: UserId,
        /// Who removes them, the room's owner or an admin; `None` if they leave.
        by: Option<Authority>,
    },
    /// Ends a user's membership and invitation, and keeps them from joining.
    Ban {
        /// The room.
        room: RoomId,
        /// The user.
        user: UserId,
        /// Who bans them: the room's owner, or an admin.
        by: Authority,
    },
    /// A user can join a room again.
    Unban {
        /// The room.
        room: RoomId,
        /// The user.
        user: UserId,
        /// Who allows it: the room's owner, or an admin.
        by: Authority,
    },
    /// A user has read a room up to an entry.
    Read {
        /// The room.
        room: RoomId,
        /// The user.
        user: UserId,
        /// The entry.
        seq: u64,
    },
    /// A user's connection has received rooms, each up to an entry.
    Delivered {
        /// The user.
        user: UserId,
        /// The rooms and the entries.
        marks: Vec<(RoomId, u64)>,
    },
    /// A user's display name.
    Name {
        /// The user.
        user: UserId,
        /// The name.
        name: Arc<str>,
    },
    /// Revokes tokens before they expire.
    Revoke {
        /// The tokens.
        revocation: Revocation,
        /// Whether to refuse ([`Outcome::AlreadyRevoked`]) if it was revoked before, for tokens that are
        /// valid once.
        once: bool,
    },
    /// The next event of a durable stream. Events beyond `keep` are no longer kept, and are removed
    /// some at a time.
    Event {
        /// The stream.
        stream: StreamId,
        /// Its epoch, if this event creates it.
        epoch: Arc<str>,
        /// The data.
        data: Data,
        /// How many of the newest events are kept, including this one; at least 1.
        keep: u64,
        /// The publisher's id. A second record with the same stream and id gets the first one's
        /// event.
        id: Option<Arc<PublicationId>>,
    },
    /// A message or event of a sender who may store nothing more: returns the earlier outcome if it
    /// is already stored, and [`Outcome::OverQuota`] otherwise. It stores nothing.
    Repeat {
        /// The record that may be stored already.
        of: Box<Record>,
        /// How many bytes a user may store in a day.
        limit: u64,
        /// In how many ms this could be stored.
        retry_after_ms: u64,
    },
    /// Removes the oldest entries of a room, some at a time
    /// ([`TRIM_ENTRIES_MAX`](super::limits::TRIM_ENTRIES_MAX)).
    Trim {
        /// The room.
        room: RoomId,
        /// Entries before this one.
        before: u64,
        /// And entries committed no later than this.
        older_than: Timestamp,
    },
}

impl Record {
    /// Whether it is a message, a mark or a repeat: what comes often, and mostly takes little time.
    #[must_use]
    pub fn is_frequent(&self) -> bool {
        matches!(
            self,
            Record::Message { .. }
                | Record::Read { .. }
                | Record::Delivered { .. }
                | Record::Repeat { .. }
        )
    }

    /// About how many bytes it takes while it waits.
    #[must_use]
    pub fn weight(&self) -> usize {
        const FIXED: usize = 256;
        const NAME: usize = 80;
        FIXED
            + match self {
                Record::Message { body, .. } => {
                    body.text.len() + body.data.as_ref().map_or(0, |data| data.len())
                }
                Record::Edit { text, .. } => text.len(),
                Record::Event { data, id, .. } => {
                    data.len() + id.as_ref().map_or(0, |id| id.bytes())
                }
                Record::Repeat { of, .. } => of.weight(),
                Record::React { emoji, .. } => emoji.len(),
                Record::Create { members, invited, .. } => (members.len() + invited.len()) * NAME,
                Record::Delivered { marks, .. } => marks.len() * NAME,
                Record::Update { title, .. } => title.as_ref().map_or(0, |title| title.len()),
                Record::Name { name, .. } => name.len(),
                Record::Delete { .. }
                | Record::End { .. }
                | Record::Join { .. }
                | Record::Invite { .. }
                | Record::Uninvite { .. }
                | Record::Leave { .. }
                | Record::Ban { .. }
                | Record::Unban { .. }
                | Record::Read { .. }
                | Record::Revoke { .. }
                | Record::Trim { .. } => 0,
            }
    }
}

/// A page of a room's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// The room.
    pub room: RoomId,
    /// The first entry that may be in it.
    pub first: u64,
    /// The last entry that may be in it.
    pub last: u64,
    /// Most entries.
    pub entries_max: usize,
    /// Most bytes by [`Entry::weight`], unless one entry alone has more.
    pub bytes_max: usize,
    /// Whether to fill the page from the last entry backward. The page is in the order of the log
    /// in any case.
    pub from_end: bool,
}

/// The answer to a query, or to a record that changed nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing had to change.
    Done,
    /// Nothing had to change, because of this earlier entry or event.
    Earlier {
        /// Its number.
        seq: u64,
        /// When it was committed.
        ts: Timestamp,
    },
    /// The same id was used for another message or event.
    Mismatch,
    /// The room has no such message, or no longer.
    NoSuchMessage,
    /// The message is somebody else's.
    NotAuthor,
    /// The room is somebody else's.
    NotOwner,
    /// The user is banned from the room.
    Banned,
    /// The message has the maximum of different reactions.
    TooManyReactions,
    /// It is not stored yet, and its sender may store nothing more.
    OverQuota {
        /// As in [`Record::Repeat`].
        limit: u64,
        /// As in [`Record::Repeat`].
        retry_after_ms: u64,
    },
    /// A room of this name exists, or existed.
    RoomExists,
    /// The token or user was revoked before, and may be only once.
    AlreadyRevoked,
    /// The room does not exist, or the user is not a member.
    NotMember,
    /// For each room, the last entry before the time in question; 0 if none is kept.
    Positions(Vec<(RoomId, u64)>),
    /// The entries of a page, in the order of the log, without a gap.
    Page(Vec<Entry>),
    /// The requested data are damaged on disk, and shown to nobody.
    Damaged,
    /// Nothing was stored: the store cannot write or read for now.
    Unavailable,
    /// Nothing was stored: too much waits for the store.
    Overloaded,
}

/// A room without its log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomState {
    /// Its name.
    pub room: RoomId,
    /// Its title; may be empty.
    pub title: Arc<str>,
    /// Whether anybody may join.
    pub is_open: bool,
    /// It has ended: only its name and numbers are left.
    pub is_ended: bool,
    /// Its owner; `None` for direct rooms, and when the last member has left.
    pub owner: Option<UserId>,
    /// The `seq` of its newest entry; 0 if none.
    pub head: u64,
    /// How many of its entries are messages, including those no longer kept.
    pub messages: u64,
    /// When its newest entry was committed.
    pub ts: Timestamp,
    /// The `seq` of its oldest kept entry; one more than `head` if there is none.
    pub first: u64,
    /// When that was committed.
    pub first_ts: Timestamp,
    /// Messages before it.
    pub first_messages: u64,
}

impl RoomState {
    /// A room without entries.
    #[must_use]
    pub fn new(room: RoomId, title: Arc<str>, is_open: bool, owner: Option<UserId>) -> RoomState {
        RoomState {
            room,
            title,
            is_open,
            is_ended: false,
            owner,
            head: 0,
            messages: 0,
            ts: Timestamp(0),
            first: 1,
            first_ts: Timestamp(0),
            first_messages: 0,
        }
    }
}

/// A member of a room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberState {
    /// The `seq` of the entry that made them a member; 0 for direct rooms.
    pub joined: u64,
    /// The last entry that they have read.
    pub read: u64,
    /// Messages up to that entry.
    pub read_messages: u64,
    /// Deleted messages after it.
    pub deleted_unread: u64,
    /// The last entry that a connection of theirs has received.
    pub delivered: u64,
    /// Whether they ever wrote there.
    pub has_written: bool,
    /// Whether they came by themselves: the room counts towards their quota.
    pub is_own: bool,
}

/// An invitation to a room that is not open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invite {
    /// The room.
    pub room: RoomId,
    /// The invited user.
    pub user: UserId,
    /// Who invited them.
    pub by: UserId,
}

/// Revoked tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revocation {
    /// The token with this `jti`. The revocation may be forgotten a day after this time, because
    /// the token itself has expired by then.
    Token(Arc<str>, Option<Timestamp>),
    /// A user's tokens that were issued at this time or before.
    User(UserId, Timestamp),
}

/// What a store remembers beside the logs. A hub starts from it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Names the store's epoch. It changes only when a log was really lost or cut.
    pub epoch: String,
    /// All rooms, including ended ones.
    pub rooms: Vec<RoomState>,
    /// All members, room by room, in pieces: a hub frees each once it has it.
    pub members: Vec<Vec<(RoomId, UserId, MemberState)>>,
    /// Display names.
    pub names: Vec<(UserId, Arc<str>)>,
    /// Invitations to rooms that are not open.
    pub invites: Vec<Invite>,
    /// Bans.
    pub bans: Vec<(RoomId, UserId)>,
    /// Revoked tokens.
    pub revocations: Vec<Revocation>,
    /// All durable streams, including those no longer declared.
    pub streams: Vec<StreamState>,
}

/// A durable stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamState {
    /// Its name.
    pub stream: StreamId,
    /// Its epoch. It changes only when its log was really lost or cut.
    pub epoch: Arc<str>,
    /// The `seq` of its newest event; 0 if none.
    pub head: u64,
    /// When that was committed.
    pub ts: Timestamp,
    /// The newest events up to `head`, oldest first: as many as were asked for.
    pub events: Vec<StreamEvent>,
}
