//! The effects that the hub asks for.

use super::answer::{Answer, InviteInfo, RoomPage};
use super::change::News;
use super::conn_id::ConnId;
use super::moment::{Moment, Now, Timestamp};
use super::names::{RoomId, StreamId};
use super::notice::Notice;
use super::record::{Query, Record, Revocation};
use super::refusal::Refusal;
use super::request::Origin;
use std::ops::Range;

/// The effects of one input, in order. Reused for each input.
#[derive(Debug, Default)]
pub struct Effects {
    /// The time of the input, which the hub sets.
    pub now: Now,
    /// The effects.
    pub list: Vec<Effect>,
    /// The recipients of all deliveries; each delivery has a range of them.
    pub recipients: Vec<ConnId>,
}

impl Effects {
    /// Removes all effects.
    pub fn clear(&mut self) {
        self.list.clear();
        self.recipients.clear();
    }

    /// Adds an effect.
    pub fn push(&mut self, effect: Effect) {
        self.list.push(effect);
    }

    /// Answers a request.
    pub fn answer(&mut self, origin: Origin, answer: Result<Answer, Refusal>) {
        self.push(Effect::Answer { origin, answer });
    }

    /// Delivers a notice to connections.
    pub fn deliver(&mut self, notice: Notice, to: impl IntoIterator<Item = ConnId>) {
        let start = self.recipients.len();
        self.recipients.extend(to);
        if self.recipients.len() > start {
            let recipients = start..self.recipients.len();
            self.push(Effect::Deliver { recipients, notice });
        }
    }
}

/// One effect.
#[derive(Debug, PartialEq)]
pub enum Effect {
    /// Answer a request.
    Answer {
        /// Who waits for it.
        origin: Origin,
        /// The answer or the refusal.
        answer: Result<Answer, Refusal>,
    },
    /// Greet a connection that has just been let in.
    Greet {
        /// The connection.
        conn: ConnId,
        /// The first of its user's rooms.
        rooms: RoomPage,
        /// The rooms to which its user is invited.
        invites: Vec<InviteInfo>,
    },
    /// Deliver a notice to this range of [`Effects::recipients`].
    Deliver {
        /// The range.
        recipients: Range<usize>,
        /// The notice.
        notice: Notice,
    },
    /// Take back what waits for a connection from a room.
    TakeBack {
        /// The connection.
        conn: ConnId,
        /// The room.
        source: u32,
    },
    /// The connection for which a stream is to be polled has changed, or nobody watches it any
    /// more.
    Watched {
        /// The stream.
        stream: StreamId,
        /// The connection for which it is polled, if anybody watches it.
        by: Option<ConnId>,
    },
    /// A slow connection will never receive events of a state, because newer ones replaced them.
    Skipped {
        /// The connection.
        conn: ConnId,
        /// How many.
        count: u32,
    },
    /// A connection is behind in logs that it watches with a filter. Give `Input::Scan` once,
    /// however often this is asked, when a page of its missed events may be scanned.
    WaitToScan {
        /// The connection.
        conn: ConnId,
    },
    /// More bytes of events were scanned for the filters of a connection that is behind.
    Scanned {
        /// The connection.
        conn: ConnId,
        /// The number of bytes.
        bytes: usize,
    },
    /// What follows is the deferred request of a connection.
    Resume {
        /// The connection.
        conn: ConnId,
    },
    /// Tell when there is room in a connection's outbox.
    TellDrained {
        /// The connection.
        conn: ConnId,
    },
    /// Tell other hubs of the store.
    Tell {
        /// Which one; `None` for all.
        hub: Option<usize>,
        /// What.
        news: News,
    },
    /// Give the hub everything that it has been told by now, before anything else is decided. It has
    /// kept the input, or the request of it that was to be carried out.
    CatchUp,
    /// What follows is of the input or request that was kept first.
    CaughtUp,
    /// Store a record.
    Persist {
        /// For the change, or the outcome if nothing changes.
        ticket: u64,
        /// The record.
        record: Record,
    },
    /// Read a page.
    Load {
        /// For the outcome.
        ticket: u64,
        /// The page.
        query: Query,
    },
    /// Look up the places of rooms at a time. The outcome is
    /// [`Outcome::Positions`](crate::base::Outcome::Positions).
    Seek {
        /// For the outcome.
        ticket: u64,
        /// The rooms.
        rooms: Vec<RoomId>,
        /// The time.
        since: Timestamp,
    },
    /// Take no more requests from a connection.
    Hold {
        /// The connection.
        conn: ConnId,
    },
    /// Take requests from a connection again.
    Release {
        /// The connection.
        conn: ConnId,
    },
    /// The user has as many connections as they may have: close this one.
    TooMany {
        /// The connection.
        conn: ConnId,
    },
    /// Tokens were revoked: apply that, and answer with how many connections it has closed.
    Revoked {
        /// Who waits for the answer, if somebody does.
        origin: Option<Origin>,
        /// The revoked tokens.
        revocation: Revocation,
    },
    /// The connection has fallen behind what is kept: close it.
    TooSlow {
        /// The connection.
        conn: ConnId,
    },
    /// The connection was wrongly told that its user is no member of a room: close it. When the
    /// client returns, it is told the truth.
    StaleMembership {
        /// The connection.
        conn: ConnId,
    },
    /// Give `Input::Woken` at this moment.
    WakeAt(Moment),
}
