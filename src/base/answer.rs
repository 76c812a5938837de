//! What requests are answered with.

use super::subscription::{StreamInfo, Subscribed, SubscriberInfo};
use super::{Entry, RefusalCode, RoomId, StreamId, Timestamp, UserId};
use std::rc::Rc;
use std::sync::Arc;

/// The answer to a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// A message is in the log.
    Sent {
        /// Where.
        room: RoomId,
        /// Its number.
        seq: u64,
        /// When.
        ts: Timestamp,
        /// Whether it was there before.
        duplicate: bool,
    },
    /// One is a member.
    Joined(RoomSummary, Vec<UserId>),
    /// A message is changed, or needed no change.
    Changed {
        /// Where.
        room: RoomId,
        /// The entry that made it so.
        seq: u64,
        /// When that was committed.
        ts: Timestamp,
        /// Whether it was so before.
        duplicate: bool,
    },
    /// A user is no member of a room any more, or invited, or banned, or banned no more.
    Done {
        /// Which room.
        room: RoomId,
        /// The user, where it is another.
        user: Option<UserId>,
    },
    /// The room, as it is now.
    Room(RoomSummary),
    /// Rooms.
    Rooms {
        /// Which.
        rooms: Vec<RoomSummary>,
        /// Whether there are more.
        more: bool,
    },
    /// Members of a room.
    Members {
        /// Who.
        members: Vec<MemberInfo>,
        /// Whether there are more.
        more: bool,
    },
    /// A page of a room's log.
    History {
        /// Which room.
        room: RoomId,
        /// The entries, oldest first.
        entries: Vec<Rc<Entry>>,
        /// Who asks: their own `cid`s are told.
        asker: UserId,
        /// The room's newest entry.
        head: u64,
        /// Whether there is more in the direction asked for.
        more: bool,
    },
    /// The asker's rooms and invitations, as a greeting has them.
    Info {
        /// Rooms.
        rooms: RoomPage,
        /// Invitations.
        invites: Vec<InviteInfo>,
    },
    /// Taken note of.
    Noted,
    /// One's read mark.
    Read {
        /// Where.
        room: RoomId,
        /// Up to which entry.
        seq: u64,
        /// How many messages are unread.
        unread: u64,
    },
    /// Who is online.
    Presence {
        /// Who.
        users: Vec<PresenceInfo>,
        /// Of the last change that was announced.
        version: u64,
        /// Whether there are more.
        more: bool,
    },
    /// Where the rooms go on, and those that do not.
    Resumed(Resumed),
    /// Streams that are watched from here on.
    Subscribed(Vec<Subscribed>),
    /// Streams that are not watched any more.
    Unsubscribed(Vec<StreamId>),
    /// Streams.
    Streams {
        /// Which.
        streams: Vec<StreamInfo>,
        /// Whether there are more.
        more: bool,
    },
    /// One stream, with its newest event.
    Stream(Box<StreamInfo>),
    /// Who watches a stream.
    Subscribers {
        /// Which.
        stream: StreamId,
        /// Its newest event.
        seq: u64,
        /// Who.
        subscribers: Vec<SubscriberInfo>,
        /// Whether there are more.
        more: bool,
    },
    /// An event is in its stream.
    Published {
        /// Which.
        stream: StreamId,
        /// Its number.
        seq: u64,
        /// When.
        ts: Timestamp,
        /// Whether it was there before.
        duplicate: bool,
    },
}

/// The answer to a `resume`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resumed {
    /// Room, position, newest entry.
    pub rooms: Vec<(RoomId, u64, u64)>,
    /// Rooms that do not go on.
    pub refused: Vec<NotResumed>,
}

/// A room that does not go on from where the asker was.
#[derive(Clone, Debug, PartialEq)]
pub struct NotResumed {
    /// Which.
    pub room: RoomId,
    /// Why.
    pub code: RefusalCode,
    /// The oldest entry that is kept and the newest one, where the asker may know them.
    pub kept: Option<(u64, u64)>,
}

/// Some of the rooms of a list, in the order of names.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RoomPage {
    /// Rooms.
    pub rooms: Vec<RoomSummary>,
    /// Whether there are more, behind the last of them.
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
    /// Its newest entry.
    pub head: u64,
    /// Where the user is a member: up to which entry they have read, and how many messages are
    /// unread.
    pub read: Option<(u64, u64)>,
}

/// A room to which a user is invited.
#[derive(Clone, Debug, PartialEq)]
pub struct InviteInfo {
    /// Its name.
    pub room: RoomId,
    /// Its title; may be empty.
    pub title: Arc<str>,
    /// Who has invited them.
    pub by: UserId,
}

/// A member of a room.
#[derive(Clone, Debug, PartialEq)]
pub struct MemberInfo {
    /// Who.
    pub user: UserId,
    /// Their display name, where it is not their id.
    pub name: Option<Arc<str>>,
    /// Whether they are online; none where nobody is told who is.
    pub online: Option<bool>,
    /// Whether the room is theirs.
    pub owner: bool,
    /// Up to which entry they have read.
    pub read: u64,
    /// Up to which entry they have received the log.
    pub delivered: u64,
}

/// Somebody who is online.
#[derive(Clone, Debug, PartialEq)]
pub struct PresenceInfo {
    /// Who.
    pub user: UserId,
    /// Their display name, where it is not their id.
    pub name: Option<Arc<str>>,
    /// By how many connections.
    pub connections: usize,
    /// Since when.
    pub since: Timestamp,
}
