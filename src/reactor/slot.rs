//! What is known of one connection, without its socket, and how far its end is.

use crate::base::{Moment, Outbox};
use std::num::NonZeroU32;

/// Why a connection is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseCause {
    /// The peer ended it.
    PeerClosed,
    /// The system reported an error on it, as a reset.
    Failed,
    /// [`Io::end`](super::Io::end) was called, and all was sent, or the time for it was over.
    Ended,
    /// [`Io::cut`](super::Io::cut) was called, or the handler panicked in one of its events.
    Cut,
    /// All outboxes together were full, and most waited for it or for those that it counts with.
    HeldMost,
    /// The reactor stopped.
    Stopped,
}

/// One connection, without its socket.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) outbox: Outbox,
    pub(super) generation: u32,
    pub(super) phase: Phase,
    pub(super) is_flush_queued: bool,
    pub(super) is_paused: bool,
    /// Something was refused, or more than the low mark waits: the handler is told when it drains.
    pub(super) tells_drained: bool,
    /// What waited when something was refused, if that is less than the low mark: there is no more
    /// room before it has moved.
    pub(super) refused_at: u32,
    /// The handler's deadline.
    pub(super) deadline: Moment,
    /// While something waits: by when it must have moved.
    pub(super) stall: Option<Box<Stall>>,
    /// The earliest look that the timers have promised.
    pub(super) armed: Moment,
    /// Who holds what waits, if it counts together with what waits on other connections.
    pub(super) holder: Option<NonZeroU32>,
    /// Bytes that were read from it, and that the system took for it.
    pub(super) bytes_received: u64,
    pub(super) bytes_sent: u64,
}

/// What waits must have moved by [`STALL_BYTES`](crate::base::limits::STALL_BYTES) or to its end
/// by then.
#[derive(Debug)]
pub(super) struct Stall {
    pub(super) deadline: Moment,
    pub(super) moved: u64,
}

/// How far a connection's end is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Open,
    /// What waits is sent, then this end is shut down, then what still comes is thrown away until
    /// the peer ends too: closing at once would make a reset of unread input, and the peer would
    /// lose the last frames.
    Ending(Box<Ending>),
    /// To be dropped at once.
    Cut(CloseCause),
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ending {
    pub(super) deadline: Moment,
    pub(super) is_shut_down: bool,
    /// The peer may still send something, which is thrown away before the socket is closed.
    pub(super) drains: bool,
    pub(super) drained: usize,
    /// More is thrown away from then on.
    pub(super) resumes: Moment,
}

impl Slot {
    pub(super) fn may_read(&self) -> bool {
        self.phase == Phase::Open && !self.is_paused && !self.outbox.is_full()
    }
}
