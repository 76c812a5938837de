//! What the hub wants done.

use super::answer::{Answer, InviteInfo, RoomPage};
use super::conn_id::ConnId;
use super::moment::{Moment, Timestamp};
use super::names::{RoomId, StreamId};
use super::notice::Notice;
use super::record::{Query, Record, Revocation};
use super::refusal::Refusal;
use super::request::Origin;
use std::ops::Range;

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

    /// Adds one thing to do.
    pub fn push(&mut self, effect: Effect) {
        self.list.push(effect);
    }

    /// Hands a notice to some connections.
    pub fn deliver(&mut self, notice: Notice, to: impl IntoIterator<Item = ConnId>) {
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
    /// A connection is behind in logs that it watches by a filter: say with `Input::Look` when a
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
    /// Give `Input::Woken` at this moment.
    WakeAt(Moment),
}
