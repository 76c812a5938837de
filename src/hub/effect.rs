//! What the hub wants done.

use super::input::Origin;
use super::streams::{Declaration, Form, Stale, StreamInfo, Subscribed, SubscriberInfo};
use crate::base::{
    ConnId, Entry, Event, Moment, Query, Record, Revocation, RoomId, StreamId, Timestamp, UserId,
};
use std::borrow::Cow;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

/// The effects of one input, in order. Reused from input to input.
#[derive(Debug, Default)]
pub struct Effects {
    /// What is to be done.
    pub list: Vec<Effect>,
    /// The recipients of all deliveries; each has a range of them.
    pub recipients: Vec<ConnId>,
}

impl Effects {
    /// Forgets what has been done.
    pub fn clear(&mut self) {
        self.list.clear();
        self.recipients.clear();
    }

    pub(super) fn push(&mut self, effect: Effect) {
        self.list.push(effect);
    }

    /// Hands a notice to some connections.
    pub(super) fn deliver(&mut self, notice: Notice, to: impl IntoIterator<Item = ConnId>) {
        let start = self.recipients.len();
        self.recipients.extend(to);
        if self.recipients.len() > start {
            let recipients = start..self.recipients.len();
            self.push(Effect::Deliver { recipients, notice });
        }
    }
}

/// One thing to do.
#[derive(Debug, PartialEq)]
pub enum Effect {
    /// Answer a request.
    Answer {
        /// Who waits for it.
        origin: Origin,
        /// What.
        answer: Result<Answer, Refusal>,
    },
    /// Greet a connection, which has just been let in.
    Greet {
        /// Which.
        conn: ConnId,
        /// The first of its user's rooms.
        rooms: RoomPage,
        /// The rooms to which its user is invited.
        invites: Vec<InviteInfo>,
    },
    /// Hand a notice to connections: of [`Effects::recipients`], this range.
    Deliver {
        /// The range.
        recipients: Range<usize>,
        /// What.
        notice: Notice,
    },
    /// Take back what waits for a connection from a room.
    TakeBack {
        /// The connection.
        conn: ConnId,
        /// The room.
        source: u32,
    },
    /// Somebody watches a stream that may be polled, somebody else does in their place, or nobody does any more.
    Watched {
        /// Which stream.
        stream: StreamId,
        /// One of those who do, if somebody does: it is polled for them.
        by: Option<ConnId>,
    },
    /// A connection reads too slowly for a state: a newer event has taken the place of one that it is never told.
    Skipped {
        /// Which connection.
        conn: ConnId,
    },
    /// A connection is behind in logs that it watches by a filter: say with [`Input::Look`](super::Input::Look) when a
    /// page of what it has not had may be looked into: once, however often it has asked before.
    AskToLook {
        /// Which connection.
        conn: ConnId,
    },
    /// So many more bytes of events were looked into for the filters of a connection that was not at the head.
    LookedInto {
        /// Which connection.
        conn: ConnId,
        /// How many.
        bytes: usize,
    },
    /// Say when there is room in a connection's outbox.
    TellDrained {
        /// Which connection.
        conn: ConnId,
    },
    /// Remember a record.
    Persist {
        /// For the outcome.
        ticket: u64,
        /// What.
        record: Record,
    },
    /// Read a page.
    Load {
        /// For the outcome.
        ticket: u64,
        /// Which.
        query: Query,
    },
    /// Look up where rooms were at a time: the answer is
    /// [`Outcome::Positions`](crate::base::Outcome::Positions).
    Seek {
        /// For the outcome.
        ticket: u64,
        /// Which.
        rooms: Vec<RoomId>,
        /// The time.
        since: Timestamp,
    },
    /// Take no more requests from a connection.
    Hold {
        /// Which.
        conn: ConnId,
    },
    /// Take requests from a connection again.
    Release {
        /// Which.
        conn: ConnId,
    },
    /// The user has as many connections as they may have: end this one.
    TooMany {
        /// Which.
        conn: ConnId,
    },
    /// Tokens are good no more: see to it, and answer with how many connections have ended by it.
    Revoked {
        /// Who waits for the answer.
        origin: Origin,
        /// Which.
        revocation: Revocation,
    },
    /// The connection has fallen behind what a room keeps: end it.
    TooSlow {
        /// Which.
        conn: ConnId,
    },
    /// The connection was told that a room is none of its user's, which is not so: end it. When it comes
    /// again it is told what is.
    ToldWrong {
        /// Which.
        conn: ConnId,
    },
    /// Give [`Input::Woken`](super::Input::Woken) at this moment.
    WakeAt(Moment),
}

/// What is told without being asked.
#[derive(Debug, PartialEq)]
pub enum Notice {
    /// An entry of a room's log.
    Entry {
        /// The entry.
        entry: Rc<Entry>,
        /// Whether the author's own id is told: to their own connections.
        with_cid: bool,
        /// The room, for [`Input::Behind`](super::Input::Behind) and [`Effect::TakeBack`].
        source: u32,
        /// Where the recipients are with it, if they are told ([`Hub::position_of`](super::Hub::position_of)).
        position: Option<Timestamp>,
    },
    /// Users are online.
    Online {
        /// Who.
        users: Vec<UserId>,
        /// Rises with each change.
        version: u64,
        /// Whether the recipient should list again, as it missed a change, or as lists are back
        /// where only counts were told.
        reset: bool,
        /// The room in which that is told, with its source; none if it is told to everybody.
        room: Option<(RoomId, u32)>,
    },
    /// Users are offline.
    Offline {
        /// Who.
        users: Vec<UserId>,
        /// Rises with each change.
        version: u64,
        /// As of [`Notice::Online`].
        room: Option<(RoomId, u32)>,
    },
    /// So many users are online that only their number is told.
    Count {
        /// How many.
        online: usize,
        /// Rises with each change.
        version: u64,
        /// Whether the recipient missed one.
        again: bool,
        /// As of [`Notice::Online`].
        room: Option<(RoomId, u32)>,
    },
    /// A user is typing, or no longer.
    Typing {
        /// Where.
        room: RoomId,
        /// Who.
        user: UserId,
        /// Whether.
        typing: bool,
        /// The room.
        source: u32,
    },
    /// A user has read up to an entry.
    Read {
        /// Where.
        room: RoomId,
        /// Who.
        user: UserId,
        /// Up to which.
        seq: u64,
        /// The room.
        source: u32,
    },
    /// A user has received a room up to an entry.
    Delivered {
        /// Where.
        room: RoomId,
        /// Who.
        user: UserId,
        /// Up to which.
        seq: u64,
        /// The room.
        source: u32,
    },
    /// An event of a stream.
    Event {
        /// The stream.
        stream: StreamId,
        /// What it is declared to be.
        declaration: Rc<Declaration>,
        /// The event.
        event: Rc<Event>,
        /// The `seq` that was sent to the recipients before; 0 if none was.
        prev: u64,
        /// How they are told.
        form: Form,
        /// The stream, for [`Input::EventMissed`](super::Input::EventMissed) and
        /// [`Effect::TakeBack`].
        source: u32,
    },
    /// The recipient watches some streams no more, and did not ask for that.
    Unsubscribed {
        /// Which.
        streams: Vec<StreamId>,
        /// Why: a sentence for people.
        message: &'static str,
    },
    /// A stream that the recipients watch is stale, or not any more.
    Age {
        /// Which.
        stream: StreamId,
        /// What it is declared to be.
        declaration: Rc<Declaration>,
        /// Since when nothing was heard of it; none if something was.
        age: Option<Stale>,
        /// Now.
        at: Timestamp,
        /// How they are told.
        form: Form,
        /// The stream, for [`Input::AgeMissed`](super::Input::AgeMissed).
        source: u32,
    },
    /// What a room is like has changed.
    Updated {
        /// Which.
        room: RoomId,
        /// Its title; may be empty.
        title: Arc<str>,
        /// Whether anybody may join.
        open: bool,
        /// Whose it is, if it is somebody's.
        owner: Option<UserId>,
        /// Who has changed it; none if it was the embedding program, or several may have.
        by: Option<UserId>,
        /// The room, for [`Input::UpdateMissed`](super::Input::UpdateMissed).
        source: u32,
    },
    /// The recipient's user may join a room.
    Invited(InviteInfo),
    /// The recipient's user is no member of a room any more.
    Removed {
        /// Which.
        room: RoomId,
        /// By whom, if by another.
        by: Option<UserId>,
        /// Why: `left`, `removed`, `banned` or `deleted`.
        reason: &'static str,
    },
}

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

/// Why a request was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The wire's code.
    pub code: RefusalCode,
    /// A sentence for people.
    pub message: &'static str,
    /// Which member of the payload is wrong.
    pub field: Option<Cow<'static, str>>,
    /// Which limit, where it is one.
    pub limit: Option<u64>,
    /// Which one that is: the last part of its key, or its own name.
    pub limit_name: Option<&'static str>,
    /// The oldest entry that is kept, where older ones are asked for.
    pub first: Option<u64>,
    /// In how many ms it would be done, where that is known.
    pub retry_after_ms: Option<u64>,
}

impl Refusal {
    pub(super) const fn new(code: RefusalCode, message: &'static str) -> Refusal {
        Refusal {
            code,
            message,
            field: None,
            limit: None,
            limit_name: None,
            first: None,
            retry_after_ms: None,
        }
    }

    pub(super) const NO_SUCH_MESSAGE: Refusal =
        Refusal::new(RefusalCode::NoSuchMessage, "there is no such message, or not any more");

    pub(super) const NO_SUCH_ROOM: Refusal =
        Refusal::new(RefusalCode::NoSuchRoom, "there is no such room");

    /// Of the rooms that two people have for themselves.
    pub(super) const DIRECT: Refusal =
        Refusal::new(RefusalCode::Forbidden, "a direct message has its two members for ever");

    pub(super) const BANNED: Refusal =
        Refusal::new(RefusalCode::Forbidden, "banned from this room");

    pub(super) fn bad_request(field: &'static str, message: &'static str) -> Refusal {
        let field = Some(Cow::Borrowed(field));
        Refusal { field, ..Refusal::new(RefusalCode::BadRequest, message) }
    }

    /// Of what one may store in a day.
    pub(crate) fn stored_too_much(limit: u64) -> Refusal {
        let message = "you have stored as much as one may in a day";
        Refusal::quota("stored_bytes_per_day", message, limit)
    }

    pub(crate) fn quota(name: &'static str, message: &'static str, limit: u64) -> Refusal {
        let (limit, limit_name) = (Some(limit), Some(name));
        Refusal { limit, limit_name, ..Refusal::new(RefusalCode::Quota, message) }
    }

    pub(super) fn gone(first: u64) -> Refusal {
        let message = "entries so old are not kept any more";
        Refusal { first: Some(first), ..Refusal::new(RefusalCode::Gone, message) }
    }

    /// The same to everybody who is no member, whether or not the room exists.
    pub(super) const NOT_MEMBER: Refusal =
        Refusal::new(RefusalCode::NotMember, "you are not a member of this room");
}

macro_rules! codes {
    ($($name:ident, $text:literal, $doc:literal;)+) => {
        /// The wire's codes of refusals.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum RefusalCode { $(#[doc = $doc] $name,)+ }

        impl RefusalCode {
            /// The code's name on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(RefusalCode::$name => $text,)+ }
            }

            /// All codes.
            pub const ALL: &[RefusalCode] = &[$(RefusalCode::$name),+];
        }
    };
}

codes! {
    BadJson, "bad_json", "Not JSON, or JSON that may be read in two ways.";
    BadRequest, "bad_request", "JSON, but not what this request needs.";
    UnknownType, "unknown_type", "No request has this name.";
    Unauthorized, "unauthorized", "One must say who one is, first.";
    Forbidden, "forbidden", "Not with these rights.";
    NotMember, "not_member", "No member of this room, whether or not it exists.";
    NoSuchRoom, "no_such_room", "There is no such room: for admins and the embedding program.";
    NoSuchUser, "no_such_user", "No such user is meant here.";
    NoSuchStream, "no_such_stream", "No stream is declared that has this name.";
    NoSuchConnection, "no_such_connection", "There is no such connection.";
    NoSuchMessage, "no_such_message", "The room has no such message.";
    TooLarge, "too_large", "More than a limit allows.";
    RateLimited, "rate_limited", "Too many requests; later again.";
    Quota, "quota", "As many as one may have.";
    Conflict, "conflict", "It exists already, or is not the time for it.";
    DuplicateMismatch, "duplicate_mismatch", "The same `cid`, or the same `id` of a publication, was used for something else.";
    EpochChanged, "epoch_changed", "The positions are those of another life of the store.";
    Gone, "gone", "Not in the log.";
    Unavailable, "unavailable", "The store cannot write for now; nothing was stored.";
    Overloaded, "overloaded", "Too much waits; nothing was stored.";
    Internal, "internal", "A fault of this server.";
}
