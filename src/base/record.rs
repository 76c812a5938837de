//! What is asked of a store, and what it answers: the language between the hub, which decides, and
//! the store, which remembers, who do not know each other.

use crate::base::{
    Body, Data, Entry, PublicationId, RoomId, StreamEvent, StreamId, Timestamp, UserId,
};
use std::sync::Arc;

/// A change to remember. The store numbers its entries, within the transaction that commits it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// A message in a room. If the room is that of direct messages, it comes into being by the
    /// first one, with its two members.
    Message {
        /// The room.
        room: RoomId,
        /// The author.
        from: UserId,
        /// The other of a direct message.
        to: Option<UserId>,
        /// What is said.
        body: Body,
        /// The author's own id for it: a second record with the same room, author and id is
        /// answered with the first one's entry.
        cid: Option<Arc<str>>,
    },
    /// A message's author changes its text.
    Edit {
        /// The room.
        room: RoomId,
        /// The message.
        target: u64,
        /// The new text.
        text: Arc<str>,
        /// Who.
        by: UserId,
    },
    /// A message is deleted.
    Delete {
        /// The room.
        room: RoomId,
        /// The message.
        target: u64,
        /// Who.
        by: UserId,
        /// Whether they may delete others' messages, too.
        is_moderator: bool,
    },
    /// A user reacts to a message, or takes that back.
    React {
        /// The room.
        room: RoomId,
        /// The message.
        target: u64,
        /// With what.
        emoji: Arc<str>,
        /// Whether it is to hold.
        on: bool,
        /// Who.
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
        /// Those whom the owner invites.
        invited: Vec<UserId>,
        /// Whether it counts towards the owner's quota: not if a program makes it.
        is_own: bool,
    },
    /// What a room is like changes; what is not there stays.
    Update {
        /// The room.
        room: RoomId,
        /// Its title.
        title: Option<Arc<str>>,
        /// Whether anybody may join.
        open: Option<bool>,
        /// Its owner, a member.
        owner: Option<UserId>,
    },
    /// A room ends. Its name stays taken, as its numbers must not be used twice.
    End {
        /// The room.
        room: RoomId,
    },
    /// A user becomes a member of a room. A room that does not exist becomes an open one of theirs, if they
    /// come by themselves.
    Join {
        /// The room.
        room: RoomId,
        /// Who.
        user: UserId,
        /// Who brings them, if it is another.
        by: Option<UserId>,
        /// Whether they come by themselves: then the room must be open or they invited, and it
        /// counts towards their quota.
        is_own: bool,
    },
    /// A user may join a room that is not open.
    Invite {
        /// The room.
        room: RoomId,
        /// Who.
        user: UserId,
        /// Who says so.
        by: UserId,
    },
    /// An invitation is declined, or taken back.
    Uninvite {
        /// The room.
        room: RoomId,
        /// Who was invited.
        user: UserId,
    },
    /// A user is no longer a member of a room.
    Leave {
        /// The room.
        room: RoomId,
        /// Who.
        user: UserId,
        /// Who removes them, if it is another.
        by: Option<UserId>,
    },
    /// A user is no longer a member of a room, nor invited, and cannot join it.
    Ban {
        /// The room.
        room: RoomId,
        /// Who.
        user: UserId,
        /// Who says so.
        by: UserId,
    },
    /// A user can join a room again.
    Unban {
        /// The room.
        room: RoomId,
        /// Who.
        user: UserId,
    },
    /// A user has read a room up to an entry.
    Read {
        /// The room.
        room: RoomId,
        /// Who.
        user: UserId,
        /// Up to which entry.
        seq: u64,
    },
    /// A user's connection has received rooms up to an entry each.
    Delivered {
        /// Who.
        user: UserId,
        /// The rooms and the entries.
        marks: Vec<(RoomId, u64)>,
    },
    /// A user's display name.
    Name {
        /// Who.
        user: UserId,
        /// The name.
        name: Arc<str>,
    },
    /// Tokens are good no more, although their time is not over.
    Revoke {
        /// Which.
        revocation: Revocation,
        /// Whether it is refused ([`Outcome::Conflict`]) if it was revoked before: of what is good once.
        once: bool,
    },
    /// The next event of a durable stream. Those that are more than `keep` are not kept any more,
    /// and go some at a time.
    Event {
        /// The stream.
        stream: StreamId,
        /// Its life, if it comes into being by this.
        epoch: Arc<str>,
        /// What.
        data: Data,
        /// How many of the newest are kept, this one included; at least 1.
        keep: u64,
        /// What its publisher calls it: a second record with the same stream and id is answered with the first one's
        /// event.
        id: Option<Arc<PublicationId>>,
    },
    /// A message or an event of somebody who may store nothing more: what came of it if it is there already, and else
    /// [`Outcome::OverQuota`]. It adds nothing.
    Repeat {
        /// What was perhaps stored before.
        of: Box<Record>,
        /// How many bytes one may store in a day.
        limit: u64,
        /// In how many ms this would be stored.
        retry_after_ms: u64,
    },
    /// The oldest entries of a room are not kept any more: some at a time
    /// ([`TRIM_ENTRIES_MAX`](super::limits::TRIM_ENTRIES_MAX)).
    Trim {
        /// The room.
        room: RoomId,
        /// Those before this entry.
        before: u64,
        /// And those that were committed no later than this.
        older_than: Timestamp,
    },
}

impl Record {
    /// Bytes that it takes while it waits, about.
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
    /// The last one.
    pub last: u64,
    /// Most entries.
    pub entries_max: usize,
    /// Most bytes by [`Entry::weight`], unless one entry alone has more.
    pub bytes_max: usize,
    /// Whether to fill the page from the last entry backward; the page's order is that of the log
    /// in any case.
    pub from_end: bool,
}

/// What became of a record or a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The message is in the log.
    Message {
        /// Its entry.
        entry: Entry,
        /// Whether it was there before.
        is_duplicate: bool,
        /// Whether the room came into being by it.
        is_first: bool,
    },
    /// The same id was used for another message, or for another event.
    Mismatch,
    /// A message was changed.
    Changed {
        /// The entry that says so.
        entry: Entry,
        /// The message as it is now.
        target: Entry,
    },
    /// Nothing had to change: this entry made it so.
    Unchanged {
        /// Its number.
        seq: u64,
        /// When it was committed.
        ts: Timestamp,
    },
    /// The room has no such message, or not any more.
    NoSuchMessage,
    /// The message is another's.
    Forbidden,
    /// The message has as many different reactions as it may have.
    Full,
    /// The room, as it is now, and the entries that made it so.
    Room {
        /// The room.
        room: RoomState,
        /// The new entries; none if nothing had to change.
        entries: Vec<Entry>,
    },
    /// It is not there already, and its sender may store nothing more.
    OverQuota {
        /// As [`Record::Repeat`] has it.
        limit: u64,
        /// As [`Record::Repeat`] has it.
        retry_after_ms: u64,
    },
    /// A room of this name exists already, or did.
    Conflict,
    /// The room does not exist, or the user is no member of it.
    NotMember,
    /// The read mark.
    Read {
        /// Up to which entry.
        seq: u64,
        /// How many messages there are up to that entry.
        messages: u64,
        /// How many of those after it are deleted.
        deleted: u64,
    },
    /// It is remembered.
    Done,
    /// The event is in the stream's log.
    Event {
        /// The stream's life.
        epoch: Arc<str>,
        /// Its number.
        seq: u64,
        /// When it was committed; never falls within a stream.
        ts: Timestamp,
        /// Whether it was there before.
        is_duplicate: bool,
    },
    /// What is left of a room's log.
    Trimmed {
        /// The `seq` of the oldest entry that is there; one more than the head if there is none.
        first: u64,
        /// That of the oldest one that is to be kept: what is before it goes next.
        kept_from: u64,
        /// When that was committed.
        first_ts: Timestamp,
        /// How many messages there were before it.
        messages: u64,
        /// How many of the messages from it on are deleted.
        deleted: u64,
    },
    /// For each room the last entry before the time that was asked for; 0 if none is kept.
    Positions(Vec<(RoomId, u64)>),
    /// The entries of a page, in the order of the log, without a hole.
    Page(Vec<Entry>),
    /// What is asked for is damaged on the disk, and not shown to anybody.
    Damaged,
    /// Nothing was stored: the store cannot write, or read, for now.
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
    /// It has ended: only its name and its numbers are left.
    pub is_ended: bool,
    /// Its owner; none for direct messages, and when the last member has left.
    pub owner: Option<UserId>,
    /// The `seq` of its newest entry; 0 with none.
    pub head: u64,
    /// How many of its entries are messages, those included that are not kept any more.
    pub messages: u64,
    /// When its newest entry was committed.
    pub ts: Timestamp,
    /// The `seq` of its oldest entry that is kept; one more than `head` if there is none.
    pub first: u64,
    /// When that was committed.
    pub first_ts: Timestamp,
    /// How many messages there were before it.
    pub first_messages: u64,
}

impl RoomState {
    /// A room without an entry.
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
    /// The `seq` of the entry by which they became one; 0 for direct messages.
    pub joined: u64,
    /// Up to which entry they have read.
    pub read: u64,
    /// How many messages there are up to that entry.
    pub read_messages: u64,
    /// How many messages after it are deleted.
    pub deleted_unread: u64,
    /// Up to which entry a connection of theirs has received the log.
    pub delivered: u64,
    /// Whether they ever wrote there.
    pub has_written: bool,
    /// Whether they came by themselves: the room counts towards their quota.
    pub is_own: bool,
}

/// Somebody may join a room that is not open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invite {
    /// The room.
    pub room: RoomId,
    /// Who.
    pub user: UserId,
    /// Who says so.
    pub by: UserId,
}

/// Tokens that are good no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revocation {
    /// The one with this `jti`; the revocation may be forgotten a day after this time, as the token's own is over
    /// then.
    Token(Arc<str>, Option<Timestamp>),
    /// Those of a user that were issued at this time or before it.
    User(UserId, Timestamp),
}

/// What a store remembers beside the logs: what a hub begins with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Names the store's life: it changes only when a log was really lost or cut.
    pub epoch: String,
    /// All rooms, also those that have ended.
    pub rooms: Vec<RoomState>,
    /// All members.
    pub members: Vec<(RoomId, UserId, MemberState)>,
    /// Display names.
    pub names: Vec<(UserId, Arc<str>)>,
    /// Who may join rooms that are not open.
    pub invites: Vec<Invite>,
    /// Who cannot join which room.
    pub bans: Vec<(RoomId, UserId)>,
    /// Tokens that are good no more.
    pub revocations: Vec<Revocation>,
    /// All durable streams, also those that are declared no more.
    pub streams: Vec<StreamState>,
}

/// A durable stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamState {
    /// Its name.
    pub stream: StreamId,
    /// Names its life: it changes only when its log was really lost or cut.
    pub epoch: Arc<str>,
    /// The `seq` of its newest event; 0 with none.
    pub head: u64,
    /// When that was committed.
    pub ts: Timestamp,
    /// The newest of its events, up to `head`, oldest first: as many as were asked for.
    pub events: Vec<StreamEvent>,
}
