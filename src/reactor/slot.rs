//! The state of one connection, without its socket, and the progress of its end.

use super::io::Io;
use crate::base::limits::LISTENERS_MAX;
use crate::base::{ConnId, ListenerId, Moment, Outbox};
use std::io;
use std::num::NonZeroU32;

/// Why a connection is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseCause {
    /// The peer ended it.
    PeerClosed,
    /// The system reported an error on it, such as a reset.
    Failed,
    /// What [`Io::dial`](super::Io::dial) was asked for could not be connected to.
    Unreachable(io::ErrorKind),
    /// [`Io::end`](super::Io::end) was called, and all was sent or time ran out.
    Ended,
    /// [`Io::cut`](super::Io::cut) was called, or the handler panicked in one of its events.
    Cut,
    /// All outboxes together were full, and this connection or its holder held the most.
    HeldMost,
    /// The reactor stopped.
    Stopped,
}

/// One connection, without its socket.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) outbox: Outbox,
    pub(super) generation: u32,
    /// While it is open and nothing waits, `None`.
    pub(super) phase: Option<Box<Phase>>,
    pub(super) is_flush_queued: bool,
    pub(super) is_paused: bool,
    pub(super) marks: SlotMarks,
    /// Something was refused, or more than the low mark waits: the handler is told when it drains.
    pub(super) tells_drained: bool,
    /// How much waited when something was refused, if less than the low mark: no room appears
    /// before that advances.
    pub(super) refused_at: u32,
    /// The handler's deadline.
    pub(super) deadline: Moment,
    /// The earliest check that the timers have scheduled.
    pub(super) armed: Moment,
    /// The holder, if the connection counts together with others.
    pub(super) holder: Option<NonZeroU32>,
    /// Bytes read from it, and bytes that the system accepted for it.
    pub(super) bytes_received: u64,
    pub(super) bytes_sent: u64,
}

/// What seldom matters of a connection, in a byte: a slot has 96 bytes, and one more would be
/// eight.
#[derive(Clone, Copy, Debug)]
pub(super) struct SlotMarks(u8);

/// The other bits are the listener.
const IS_TOLD: u8 = 1 << 7;
const HAS_PLACE: u8 = 1 << 6;
const _: () = assert!(LISTENERS_MAX <= HAS_PLACE as usize);

impl SlotMarks {
    /// Those of a connection that came by this listener.
    pub(super) fn new(listener: ListenerId) -> SlotMarks {
        SlotMarks(listener.index().min(LISTENERS_MAX) as u8)
    }

    pub(super) fn listener(self) -> ListenerId {
        ListenerId::new(usize::from(self.0 & !(IS_TOLD | HAS_PLACE)))
    }

    /// The handler has been told that the connection is over.
    pub(super) fn is_told(self) -> bool {
        self.0 & IS_TOLD != 0
    }

    pub(super) fn set_told(&mut self) {
        self.0 |= IS_TOLD;
    }

    /// It counts among the connections that there may be: it was not turned away.
    pub(super) fn has_place(self) -> bool {
        self.0 & HAS_PLACE != 0
    }

    pub(super) fn set_has_place(&mut self) {
        self.0 |= HAS_PLACE;
    }
}

/// Waiting bytes must have advanced by [`STALL_BYTES`](crate::base::limits::STALL_BYTES), or all be
/// sent, by this deadline.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stall {
    pub(super) deadline: Moment,
    pub(super) moved: u64,
}

/// What a connection waits for, and how far its end has progressed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// It is open, and something waits.
    Stalling(Stall),
    /// What waits is sent, then this end is shut down, then input is discarded until the peer ends
    /// too. Closing at once would turn unread input into a reset, and the peer would lose the last
    /// frames.
    Ending(Ending),
    /// To be dropped at once.
    Cut(CloseCause),
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ending {
    pub(super) deadline: Moment,
    pub(super) is_shut_down: bool,
    /// The peer may still send something, which is discarded before the socket is closed.
    pub(super) drains: bool,
    pub(super) drained: usize,
    /// When discarding continues.
    pub(super) resumes: Moment,
}

impl Slot {
    pub(super) fn is_open(&self) -> bool {
        matches!(self.phase.as_deref(), None | Some(Phase::Stalling(_)))
    }

    pub(super) fn is_cut(&self) -> bool {
        matches!(self.phase.as_deref(), Some(Phase::Cut(_)))
    }

    pub(super) fn may_read(&self) -> bool {
        self.is_open() && !self.is_paused && !self.outbox.is_full()
    }
}

impl Io {
    /// Gives the reactor a number, below 64, before it has connections. The first one has 0.
    pub fn set_number(&mut self, number: u32) {
        self.number = number;
    }

    /// Its number, as in [`ConnId::reactor`].
    #[must_use]
    pub fn number(&self) -> usize {
        self.number as usize
    }

    pub(super) fn all(&self) -> Vec<ConnId> {
        let id = |(index, slot): (usize, &Slot)| self.id(index, slot.generation);
        self.table.iter().map(id).collect()
    }

    pub(super) fn id(&self, index: usize, generation: u32) -> ConnId {
        // The file limit bounds the table far below this.
        ConnId::of_reactor(self.number, index as u32, generation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_costs_what_it_did() {
        assert!(size_of::<Slot>() <= 96, "{} bytes", size_of::<Slot>());
    }

    #[test]
    fn marks_do_not_disturb_each_other() {
        for index in 0..LISTENERS_MAX {
            let mut marks = SlotMarks::new(ListenerId::new(index));
            assert!(!marks.is_told() && !marks.has_place());
            marks.set_told();
            assert!(marks.is_told() && !marks.has_place());
            marks.set_has_place();
            assert!(marks.is_told() && marks.has_place());
            assert_eq!(marks.listener().index(), index);
        }
    }
}
