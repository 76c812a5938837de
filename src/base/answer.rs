//! The answers to requests.

use super::subscription::{StreamInfo, Subscribed, SubscriberInfo};
use super::{Entry, RefusalCode, RoomId, StreamId, Timestamp, UserId};
use std::sync::Arc;

/// The answer to a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// A message is in the log.
    Sent {
        /// The room.
        room: RoomId,
        /// Its number.
        seq: u64,
        /// When it was committed.
        ts: Timestamp,
        /// Whether it is a repeat.
        duplicate: bool,
    },
    /// The user is a member. Also lists the users whom they invited.
    Joined(RoomSummary, Vec<UserId>),
    /// A message was changed, or needed no change.
    Changed {
        /// The room.
        room: RoomId,
        /// The entry that changed it.
        seq: u64,
        /// When that was committed.
        ts: Timestamp,
        /// Whether it was so before.
        duplicate: bool,
    },
    /// A membership ended, or a user was invited, banned or unbanned.
    Done {
        /// The room.
        room: RoomId,
        /// The user, if it is not the asker.
        user: Option<UserId>,
    },
    /// The room, as it is now.
    Room(RoomSummary),
    /// Rooms.
    Rooms {
        /// The rooms.
        rooms: Vec<RoomSummary>,
        /// Whether there are more.
        more: bool,
    },
    /// Members of a room.
    Members {
        /// The members.
        members: Vec<MemberInfo>,
        /// Whether there are more.
        more: bool,
    },
    /// A page of a room's log.
    History {
        /// The room.
        room: RoomId,
        /// The entries, oldest first.
        entries: Vec<Arc<Entry>>,
        /// The asker, who also gets their own `cid`s.
        asker: UserId,
        /// The `seq` of the room's newest entry.
        head: u64,
        /// Whether there is more in the direction asked for.
        more: bool,
    },
    /// The asker's rooms and invitations, as in a greeting.
    Info {
        /// Rooms.
        rooms: RoomPage,
        /// Invitations.
        invites: Vec<InviteInfo>,
    },
    /// The request was noted.
    Noted,
    /// The asker's read mark.
    Read {
        /// The room.
        room: RoomId,
        /// The last entry read.
        seq: u64,
        /// The number of unread messages.
        unread: u64,
    },
    /// Who is online.
    Presence {
        /// The users.
        users: Vec<PresenceInfo>,
        /// The version of the last announced change.
        version: u64,
        /// Whether there are more.
        more: bool,
    },
    /// The rooms that continue, and those that do not.
    Resumed(Resumed),
    /// The new subscriptions.
    Subscribed(Vec<Subscribed>),
    /// Streams that are no longer watched.
    Unsubscribed(Vec<StreamId>),
    /// Streams.
    Streams {
        /// The streams.
        streams: Vec<StreamInfo>,
        /// Whether there are more.
        more: bool,
    },
    /// One stream, with its newest event.
    Stream(Box<StreamInfo>),
    /// The subscribers of a stream.
    Subscribers {
        /// The stream.
        stream: StreamId,
        /// The `seq` of its newest event.
        seq: u64,
        /// The subscribers.
        subscribers: Vec<SubscriberInfo>,
        /// Whether there are more.
        more: bool,
    },
    /// An event is in its stream.
    Published {
        /// The stream.
        stream: StreamId,
        /// Its number.
        seq: u64,
        /// When it was published.
        ts: Timestamp,
        /// Whether it is a repeat.
        duplicate: bool,
    },
}

/// The answer to a `resume`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resumed {
    /// Room, position, newest entry.
    pub rooms: Vec<(RoomId, u64, u64)>,
    /// Rooms that do not continue.
    pub refused: Vec<NotResumed>,
}

/// A room that does not continue from where the asker was.
#[derive(Clone, Debug, PartialEq)]
pub struct NotResumed {
    /// The room.
    pub room: RoomId,
    /// The reason.
    pub code: RefusalCode,
    /// The oldest kept entry and the newest one, if the asker may know them.
    pub kept: Option<(u64, u64)>,
}

/// A part of a list of rooms, in the order of names.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RoomPage {
    /// Rooms.
    pub rooms: Vec<RoomSummary>,
    /// Whether there are more after the last one.
    pub more: bool,
}

/// A room as one user sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct RoomSummary {
    /// Its name.
    pub room: RoomId,
    /// Its title; may be empty.
    pub title: Arc<str>,
    /// Whether anybody may join.
    pub open: bool,
    /// How many members it has.
    pub members: usize,
    /// The `seq` of its newest entry.
    pub head: u64,
    /// For a member: the last entry that they have read, and the number of unread messages.
    pub read: Option<(u64, u64)>,
}

/// A room to which a user is invited.
#[derive(Clone, Debug, PartialEq)]
pub struct InviteInfo {
    /// Its name.
    pub room: RoomId,
    /// Its title; may be empty.
    pub title: Arc<str>,
    /// Who invited them.
    pub by: UserId,
}

/// A member of a room.
#[derive(Clone, Debug, PartialEq)]
pub struct MemberInfo {
    /// The user.
    pub user: UserId,
    /// Their display name, if it differs from their id.
    pub name: Option<Arc<str>>,
    /// Whether they are online; `None` if the server does not tell.
    pub online: Option<bool>,
    /// Whether they own the room.
    pub owner: bool,
    /// The last entry that they have read.
    pub read: u64,
    /// The last entry that they have received.
    pub delivered: u64,
}

/// A user who is online.
#[derive(Clone, Debug, PartialEq)]
pub struct PresenceInfo {
    /// The user.
    pub user: UserId,
    /// Their display name, if it differs from their id.
    pub name: Option<Arc<str>>,
    /// The number of their connections.
    pub connections: usize,
    /// When they came online.
    pub since: Timestamp,
}
