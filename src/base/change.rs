//! Changes: what a store has committed, as it tells every hub.

use super::record::{Outcome, Revocation};
use super::{Entry, RoomId, StreamEvent, StreamId, Timestamp, UserId};
use std::sync::Arc;

/// A committed change. A hub's state of rooms changes only by these, in the order of the commits,
/// whoever asked for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreChange {
    /// Of a room.
    Room {
        /// The room.
        room: RoomId,
        /// The number of the change in the room, from 1 since the store was opened, without a gap;
        /// 0 before it is committed.
        version: u64,
        /// The change.
        what: What,
    },
    /// A user's connection has received rooms, each up to an entry. The largest mark counts.
    Delivered {
        /// The user.
        user: UserId,
        /// The marks that have moved.
        marks: Vec<(RoomId, u64)>,
    },
    /// A user's display name.
    Name {
        /// The user.
        user: UserId,
        /// The name.
        name: Arc<str>,
    },
    /// Tokens are valid no more.
    Revoked(Revocation),
    /// The next event of a durable stream.
    Event {
        /// The stream.
        stream: StreamId,
        /// Its epoch.
        epoch: Arc<str>,
        /// The event.
        event: StreamEvent,
    },
}

/// What has changed in a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A message was sent, which its author has read. The first one in a direct room creates the
    /// room, with its two members.
    Message(Arc<Entry>),
    /// A message was edited, deleted or reacted to.
    Altered {
        /// The new entry.
        entry: Entry,
        /// The message as it is now.
        target: Box<Entry>,
    },
    /// The room was created.
    Created {
        /// Its title; may be empty.
        title: Arc<str>,
        /// Whether anybody may join.
        is_open: bool,
        /// Its owner.
        owner: UserId,
        /// Whether it counts towards the owner's quota.
        is_own: bool,
        /// The entries of its members, beginning with the owner's.
        entries: Vec<Entry>,
        /// Users whom the owner has invited.
        invited: Vec<UserId>,
    },
    /// A user has become a member; an invitation is used up.
    Joined {
        /// The entry.
        entry: Entry,
        /// The room's owner now.
        owner: Option<UserId>,
        /// Whether they came by themselves: the room counts towards their quota.
        is_own: bool,
    },
    /// A user is no longer a member.
    Left {
        /// The entry.
        entry: Entry,
        /// The room's owner now.
        owner: Option<UserId>,
        /// Whether they left by themselves.
        is_own: bool,
    },
    /// A user was banned, and is neither a member nor invited any more.
    Banned {
        /// The user.
        user: UserId,
        /// Who banned them.
        by: UserId,
        /// The entry by which they left, if they were a member.
        entry: Option<Entry>,
        /// The room's owner now.
        owner: Option<UserId>,
    },
    /// A user can join again.
    Unbanned {
        /// The user.
        user: UserId,
    },
    /// A user was invited.
    Invited {
        /// The user.
        user: UserId,
        /// Who invited them.
        by: UserId,
    },
    /// An invitation was declined or taken back.
    Uninvited {
        /// The user.
        user: UserId,
        /// Who took it back; `None` if they declined, or if the embedding program did.
        by: Option<UserId>,
        /// Whether they declined.
        is_own: bool,
    },
    /// The room's properties.
    Updated {
        /// Its title now.
        title: Arc<str>,
        /// Whether anybody may join now.
        is_open: bool,
        /// Its owner now.
        owner: Option<UserId>,
        /// Who changed them; `None` for the embedding program.
        by: Option<UserId>,
    },
    /// The room has ended.
    Ended {
        /// Who ended it; `None` for the embedding program.
        by: Option<UserId>,
        /// As [`Trimmed::is_last`].
        is_last: bool,
    },
    /// A read mark has moved forward.
    Read {
        /// The user.
        user: UserId,
        /// The entry.
        seq: u64,
        /// Messages up to that entry.
        messages: u64,
        /// Deleted messages after it.
        deleted: u64,
    },
    /// The oldest entries were removed.
    Trimmed(Trimmed),
}

/// The rest of a room's log. No read mark is before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trimmed {
    /// The `seq` of the oldest entry on disk; one more than the head if there is none.
    pub first: u64,
    /// The `seq` of the oldest entry to keep. Earlier ones are removed next.
    pub kept_from: u64,
    /// When the oldest entry on disk was committed.
    pub first_ts: Timestamp,
    /// Messages before it.
    pub messages: u64,
    /// Deleted messages from it on.
    pub deleted: u64,
    /// Whether the room has ended and nothing of its log is left: no change of it follows.
    pub is_last: bool,
}

impl What {
    /// Whether no change of the room follows.
    #[must_use]
    pub const fn is_last(&self) -> bool {
        match self {
            What::Ended { is_last, .. } => *is_last,
            What::Trimmed(trimmed) => trimmed.is_last,
            _ => false,
        }
    }

    /// The new entries of the room's log, in its order.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        match self {
            What::Message(entry) => std::slice::from_ref(entry),
            What::Altered { entry, .. } | What::Joined { entry, .. } | What::Left { entry, .. } => {
                std::slice::from_ref(entry)
            }
            What::Created { entries, .. } => entries,
            What::Banned { entry, .. } => entry.as_slice(),
            What::Unbanned { .. }
            | What::Invited { .. }
            | What::Uninvited { .. }
            | What::Updated { .. }
            | What::Ended { .. }
            | What::Read { .. }
            | What::Trimmed(_) => &[],
        }
    }
}

/// What a record has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// It has changed this.
    Changed(StoreChange),
    /// It has changed nothing.
    Unchanged(Outcome),
}

impl From<Outcome> for Written {
    fn from(outcome: Outcome) -> Written {
        Written::Unchanged(outcome)
    }
}

impl Written {
    /// A change of a room. The store numbers it once it is committed.
    #[must_use]
    pub fn room(room: RoomId, what: What) -> Written {
        Written::Changed(StoreChange::Room { room, version: 0, what })
    }

    /// What the hub is told that asked for it.
    #[must_use]
    pub fn told(self, ticket: u64) -> Told {
        match self {
            Written::Changed(change) => Told::Changed { change, ticket: Some(ticket) },
            Written::Unchanged(outcome) => Told::Answer { ticket, outcome },
        }
    }
}

/// What a hub tells the others of its store. It is stored nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// A user's first connection there has opened.
    Came {
        /// The user.
        user: UserId,
        /// Their display name, if it differs from their id.
        name: Option<Arc<str>>,
    },
    /// A user's last connection there has closed.
    Went {
        /// The user.
        user: UserId,
    },
    /// A member is typing, or no longer is. Whoever writes a message or goes is not typing: that is
    /// not told apart.
    Typing {
        /// The room.
        room: RoomId,
        /// The member.
        user: UserId,
        /// Whether they are typing.
        typing: bool,
    },
    /// Something of streams waits for this hub's connections, where all hubs have their streams.
    Streams,
}

/// What a store tells a hub, in one order for changes, answers and what other hubs tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// Another hub tells something.
    News(News),
    /// The answer to a query, or to a record that changed nothing.
    Answer {
        /// The ticket of the query or record.
        ticket: u64,
        /// The answer.
        outcome: Outcome,
    },
    /// Something was committed.
    Changed {
        /// The change.
        change: StoreChange,
        /// The ticket of its record, if this hub asked for it.
        ticket: Option<u64>,
    },
}

impl Told {
    /// The ticket of what it answers.
    #[must_use]
    pub const fn ticket(&self) -> Option<u64> {
        match self {
            Told::Answer { ticket, .. } => Some(*ticket),
            Told::Changed { ticket, .. } => *ticket,
            Told::News(_) => None,
        }
    }
}
