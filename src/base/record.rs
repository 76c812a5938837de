//! What is asked of a store, and what it answers: the language between the hub, which decides, and
//! the store, which remembers, who do not know each other.

use crate::base::{Body, Entry, RoomId, Timestamp, UserId};
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
    },
    /// A user becomes a member of a room; a room that does not exist becomes an open one of theirs,
    /// unless another brings them.
    Join {
        /// The room.
        room: RoomId,
        /// Who.
        user: UserId,
        /// Who brings them, if it is another.
        by: Option<UserId>,
        /// Whether they come by themselves, so that the room counts towards their quota.
        is_own: bool,
        /// Whether the room may come into being by this.
        create: bool,
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
    /// A user has read a room up to an entry.
    Read {
        /// The room.
        room: RoomId,
        /// Who.
        user: UserId,
        /// Up to which entry.
        seq: u64,
    },
    /// A user's display name.
    Name {
        /// Who.
        user: UserId,
        /// The name.
        name: Arc<str>,
    },
}

impl Record {
    /// Bytes that it takes while it waits, about.
    #[must_use]
    pub fn weight(&self) -> usize {
        const FIXED: usize = 256;
        match self {
            Record::Message { body, .. } => {
                FIXED + body.text.len() + body.data.as_ref().map_or(0, |data| data.len())
            }
            Record::Create { members, .. } => FIXED + members.len() * 80,
            Record::Join { .. }
            | Record::Leave { .. }
            | Record::Read { .. }
            | Record::Name { .. } => FIXED,
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
    /// The same id was used for another message.
    Mismatch,
    /// The room, as it is now, and the entries that made it so.
    Room {
        /// The room.
        room: RoomState,
        /// The new entries; none if nothing had to change.
        entries: Vec<Entry>,
    },
    /// A room of this name exists already.
    Conflict,
    /// The room does not exist, or the user is no member of it.
    NotMember,
    /// The read mark.
    Read {
        /// Up to which entry.
        seq: u64,
        /// How many messages there are up to that entry.
        messages: u64,
    },
    /// The name is remembered.
    Named,
    /// The entries of a page, in the order of the log.
    Page(Vec<Entry>),
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
    /// Its owner; none for direct messages, and when the last member has left.
    pub owner: Option<UserId>,
    /// The `seq` of its newest entry; 0 with none.
    pub head: u64,
    /// How many of its entries are messages.
    pub messages: u64,
    /// When its newest entry was committed.
    pub ts: Timestamp,
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
    /// Whether they ever wrote there.
    pub has_written: bool,
    /// Whether they came by themselves: the room counts towards their quota.
    pub is_own: bool,
}

/// What a store remembers beside the logs: what a hub begins with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Names the store's life: it changes only when a log was really lost or cut.
    pub epoch: String,
    /// All rooms.
    pub rooms: Vec<RoomState>,
    /// All members.
    pub members: Vec<(RoomId, UserId, MemberState)>,
    /// Display names.
    pub names: Vec<(UserId, Arc<str>)>,
}
