//! What is tried, and what must come of it.

use super::chat::Session;
use super::peer::Came;
use super::raw_frame::RawFrame;
use super::server::CheckedServer;
use crate::protocol::deflate::Offer;
use std::borrow::Cow;

/// One thing that is tried.
pub(super) struct Case {
    pub(super) group: &'static str,
    pub(super) name: Cow<'static, str>,
    pub(super) clause: Cow<'static, str>,
    /// What must come of it, as a sentence without its full stop.
    pub(super) duty: &'static str,
    pub(super) play: Play,
}

/// How it is tried.
pub(super) enum Play {
    /// Frames on a connection of its own, and what must follow.
    Frames(Vec<TalkStep>, Then),
    /// The same, where permessage-deflate was agreed to.
    Compressed(Compressed),
    /// With a server only: by a function.
    Server(fn(&CheckedServer) -> CheckFinding),
    /// The same, with bytes of the opening request.
    Request(fn(&CheckedServer) -> Vec<u8>, RequestOutcome),
    /// With a parlor only: by two users.
    Chat(fn(&mut Session) -> Result<(), String>),
    /// With a client only: how its opening request, with this accept key, is answered.
    Answer(fn(&str) -> Vec<u8>, Opens),
}

/// Frames on a connection whose messages may be compressed.
pub(super) struct Compressed {
    pub(super) offer: Offer,
    /// What is sent needs the window of what was sent before.
    pub(super) needs_context: bool,
    pub(super) steps: Vec<TalkStep>,
    pub(super) then: Then,
}

/// A step of a conversation.
pub(super) enum TalkStep {
    Send(RawFrame),
    /// All in one segment.
    AtOnce(Vec<RawFrame>),
    /// Each byte in a segment of its own.
    Slowly(RawFrame),
    /// A pong with this payload comes now.
    AwaitPong(Vec<u8>),
    /// Nothing more is sent.
    EndWriting,
}

/// What must follow.
pub(super) enum Then {
    /// It goes on; an echo gives this back.
    GoesOn(Option<Came>),
    /// It fails the connection, with one of these codes or none.
    Fails(&'static [u16]),
    /// It should fail the connection, and may go on: the clause binds the other end.
    FailsOrGoesOn(&'static [u16]),
    /// It fails the connection at once: what would follow is not sent.
    FailsAtOnce(&'static [u16]),
    /// It fails the connection, and does not take the Close for one in order.
    FailsClose(&'static [u16]),
    /// It answers the Close, and sends nothing behind that.
    Closes(Option<u16>),
    /// It answers the Close, with whatever code.
    ClosesSomehow,
    /// It takes this code for none.
    RefusesCode(u16),
    /// It fails the connection, or takes nothing that goes too far; and others are not disturbed.
    FailsOrWaits,
    /// The connection ends.
    Ends,
}

/// What must come of an opening request.
#[derive(Clone, Copy)]
pub(super) enum RequestOutcome {
    Opens,
    Refused,
    /// The clause leaves it open; to refuse is better.
    BetterRefused,
}

/// What must come of an answer to it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Opens {
    Yes,
    No,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    Good,
    /// It departs from a clause, or may do better; no conversation suffers from it.
    Note,
    Fault,
    /// It cannot be said.
    Open,
}

/// What came of a case, in words.
#[derive(Debug)]
pub(super) struct CheckFinding {
    pub(super) judgement: Judgement,
    pub(super) seen: String,
    /// The beginning of what was sent.
    pub(super) sent: Vec<u8>,
}

impl CheckFinding {
    fn new(judgement: Judgement, seen: impl Into<String>) -> CheckFinding {
        CheckFinding { judgement, seen: seen.into(), sent: Vec::new() }
    }

    pub(super) fn good() -> CheckFinding {
        CheckFinding::new(Judgement::Good, "")
    }

    pub(super) fn note(seen: impl Into<String>) -> CheckFinding {
        CheckFinding::new(Judgement::Note, seen)
    }

    pub(super) fn fault(seen: impl Into<String>) -> CheckFinding {
        CheckFinding::new(Judgement::Fault, seen)
    }

    pub(super) fn open(seen: impl Into<String>) -> CheckFinding {
        CheckFinding::new(Judgement::Open, seen)
    }
}

/// What is known of the program that is checked.
#[derive(Clone, Debug, Default)]
pub(super) struct Nature {
    /// It sends back what it gets.
    pub(super) is_echo: bool,
    /// It goes on behind any text.
    pub(super) takes_text: bool,
}
