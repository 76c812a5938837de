//! What a client's core is told, what it wants done, and what it tells the program.

use super::error::RequestError;
use super::outbox::{Kept, TicketStatus};
use super::state::{Quality, State, TokenReason};
use crate::base::{Entry, RoomId, StreamId, Timestamp, UserId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a client's core is told.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum CoreInput<'a> {
    /// Time has passed: what is due is done.
    Time,
    /// The program wants a connection now, whatever was planned; also after `Pause`, `Close` and a
    /// failure.
    Open,
    /// It wants none for now.
    Pause(&'a str),
    /// It wants none any more.
    Close,
    /// Something is known of the network or the machine.
    Hint(Hint),
    /// The token's source has answered [`CoreEffect::AskToken`]: a token, none for a guest, or why
    /// there is none.
    Token {
        /// Of the question.
        serial: u64,
        /// The answer.
        given: Result<Option<Arc<str>>, TokenFailure>,
    },
    /// The WebSocket of [`CoreEffect::Dial`] is open.
    Opened {
        /// Of the dial.
        serial: u64,
    },
    /// A text message came.
    Text {
        /// Of the dial.
        serial: u64,
        /// The message.
        text: &'a str,
    },
    /// A message of bytes came.
    Bytes {
        /// Of the dial.
        serial: u64,
        /// The message.
        bytes: &'a [u8],
    },
    /// The connection ended, or could not be opened.
    Lost {
        /// Of the dial.
        serial: u64,
        /// The close code; `None` if none came.
        code: Option<u16>,
        /// Why, for people; may be empty.
        reason: &'a str,
        /// In how many ms the server wants to be asked again, if it said so (`Retry-After`).
        retry_after_ms: Option<u64>,
    },
    /// The program has taken so many of what it was told.
    Taken(u32),
    /// Messages that an earlier process left unsent, in their order.
    Left(Vec<Kept>),
    /// A message is to be sent.
    Send(Kept),
    /// One is not to be sent, if that is still possible.
    Cancel(&'a str),
    /// One that has failed is to be sent again.
    Retry(&'a str),
    /// The user wants to be in a room; `call` gets the answer.
    Join {
        /// The room.
        room: RoomId,
        /// The number of the program's call.
        call: Option<u64>,
    },
    /// The user wants to be in it no more.
    Leave {
        /// The room.
        room: RoomId,
        /// The number of the program's call.
        call: u64,
    },
    /// The program wants what is behind an entry of a room.
    From {
        /// The room.
        room: RoomId,
        /// The entry's number.
        seq: u64,
    },
    /// The user has read so far.
    MarkRead {
        /// The room.
        room: RoomId,
        /// The entry's number; `None` for all that came.
        seq: Option<u64>,
    },
    /// The user types, or no more.
    Typing {
        /// The room.
        room: RoomId,
        /// Whether they do.
        typing: bool,
    },
    /// A stream is to be watched, or no more.
    Watch {
        /// The stream.
        stream: StreamId,
        /// How; `None` for no more.
        options: Option<WatchOptions>,
    },
    /// Who is online is to be told.
    WatchPresence,
    /// The program asks something; `call` gets the answer.
    Ask {
        /// The number of the program's call.
        call: u64,
        /// The type.
        kind: String,
        /// An object's JSON.
        payload: String,
        /// How long the answer is waited for, in ms; `None` for the default.
        timeout_ms: Option<u64>,
    },
    /// The program does not want the answer any more.
    CancelAsked(u64),
    /// The program says something that wants no answer, now or never.
    Say {
        /// The type.
        kind: &'a str,
        /// An object's JSON.
        payload: &'a str,
    },
}

/// What a program knows of the network or the machine before a connection shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Hint {
    /// There is a network.
    Online,
    /// There is none: a reason to ask whether the server is there, not a verdict.
    Offline,
    /// The machine is about to sleep.
    Sleep,
    /// It has slept.
    Wake,
}

/// Why there is no token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenFailure {
    /// For people.
    pub message: Box<str>,
    /// Whether there will be none: the client stops.
    pub is_final: bool,
}

/// How a stream is watched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WatchOptions {
    /// Which events; an object's JSON.
    pub filter: Option<Box<str>>,
    /// Most events a second.
    pub max_rate: Option<u32>,
}

/// What a client's core wants done.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum CoreEffect {
    /// A token is wanted: [`CoreInput::Token`].
    AskToken {
        /// What the answer has.
        serial: u64,
        /// Why.
        reason: TokenReason,
    },
    /// A WebSocket is to be opened. Inputs about it have its number, those about others are ignored.
    Dial {
        /// Its number.
        serial: u64,
        /// Whether a token follows in the first message. Without one the URL says `resume=1`, and
        /// with one it must not say `anonymous`.
        has_token: bool,
    },
    /// A text message is to be sent.
    Send {
        /// On which connection.
        serial: u64,
        /// The message.
        text: String,
    },
    /// A connection is to be closed with 1000, and not waited for.
    Drop {
        /// Which.
        serial: u64,
    },
    /// The program is told something. It is told no more than it has room for.
    Tell(ClientEvent),
    /// The program's call is answered: a payload's JSON, or why not.
    Answer {
        /// Its number.
        call: u64,
        /// The answer.
        answer: Result<Box<str>, RequestError>,
    },
    /// Something has become of a message.
    Ticket {
        /// Its id.
        id: Arc<str>,
        /// What.
        status: TicketStatus,
    },
    /// A message is to be kept until it is [`CoreEffect::Forget`].
    Keep(Kept),
    /// It need not be kept any more.
    Forget(Arc<str>),
}

/// What a program is told.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ClientEvent {
    /// The state has changed.
    State(State),
    /// The round trip was measured.
    Quality(Quality),
    /// An entry of a room's log: each once, in order, without a hole.
    Entry(Entry),
    /// A part of a room's log that is not kept any more, or that of another epoch.
    Gap(Gap),
    /// A user has read up to here.
    Read(Mark),
    /// A user's client has received all up to here.
    Delivered(Mark),
    /// A user types, or no more.
    Typing {
        /// The room.
        room: RoomId,
        /// The user.
        user: UserId,
        /// Whether they do.
        typing: bool,
    },
    /// What the user is in a room.
    Membership {
        /// The room.
        room: RoomId,
        /// What.
        membership: Membership,
    },
    /// Who is online.
    Presence(Arc<Presences>),
    /// An event of a stream.
    Stream(StreamUpdate),
    /// Events of a stream that are not kept any more, or of another epoch.
    StreamGap {
        /// The stream.
        stream: StreamId,
        /// The newest event before.
        after: u64,
        /// `gone` or `epoch_changed`.
        reason: &'static str,
    },
    /// Nothing was heard of a stream for too long; `None` when something is.
    StreamStale {
        /// The stream.
        stream: StreamId,
        /// Since when.
        since: Option<Timestamp>,
    },
    /// A stream cannot be watched.
    StreamRefused {
        /// The stream.
        stream: StreamId,
        /// Why not.
        error: RequestError,
    },
    /// A refusal that answers no request.
    Error(RequestError),
    /// Any other message of the server's, as it came.
    Push {
        /// The type.
        kind: Box<str>,
        /// The payload's JSON.
        payload: Box<str>,
    },
    /// The answer to a request of which the program said [`Reply::into_event`](crate::client::Reply::into_event): a
    /// payload's JSON, or why there is none.
    Answer {
        /// The request.
        call: u64,
        /// The answer.
        answer: Result<Box<str>, RequestError>,
    },
    /// What has become of a message of which the program said
    /// [`Ticket::into_events`](crate::client::Ticket::into_events).
    Ticket {
        /// [`Ticket::number`](crate::client::Ticket::number).
        number: u64,
        /// Its id.
        id: Arc<str>,
        /// What.
        status: TicketStatus,
    },
    /// Who this is, is to be said with [`Client::give_token`](crate::client::Client::give_token).
    TokenWanted {
        /// The question.
        question: u64,
        /// Why.
        reason: TokenReason,
    },
    /// So many messages were left out, as the program took none: of those that say nothing of the
    /// log, as that somebody types.
    LeftOut(u64),
}

/// A part of a room's log that cannot be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The room.
    pub room: RoomId,
    /// The last entry before it.
    pub after: u64,
    /// The first behind it.
    pub before: u64,
    /// `gone` or `epoch_changed`.
    pub reason: &'static str,
}

/// How far a user has come in a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The room.
    pub room: RoomId,
    /// The user.
    pub user: UserId,
    /// The entry's number.
    pub seq: u64,
}

/// What a user is in a room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Membership {
    /// The server has not said it.
    #[default]
    Unknown,
    /// No member.
    None,
    /// The client asks for it.
    Joining,
    /// A member.
    Member,
    /// They may not be one.
    Refused(RequestError),
    /// A member no longer.
    Left,
}

impl Membership {
    /// The name that all clients have for it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Membership::Unknown => "unknown",
            Membership::None => "none",
            Membership::Joining => "joining",
            Membership::Member => "member",
            Membership::Refused(_) => "refused",
            Membership::Left => "left",
        }
    }
}

/// Who is online, as far as this user is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Presences {
    /// By id, with their display names.
    pub users: BTreeMap<UserId, Box<str>>,
    /// How many are online.
    pub count: u64,
    /// There are so many that only their number is told.
    pub is_counted: bool,
}

/// An event of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamUpdate {
    /// The stream.
    pub stream: StreamId,
    /// Its number.
    pub seq: u64,
    /// What it says.
    pub data: StreamData,
    /// When it was published, if that is told.
    pub ts: Option<Timestamp>,
    /// Whether some before it were left out, as the stream or the rate allows, or as the program took
    /// none.
    pub is_skipped: bool,
}

/// What an event says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamData {
    /// JSON.
    Json(Box<str>),
    /// Bytes, of a stream that is declared so.
    Bytes(Box<[u8]>),
}
