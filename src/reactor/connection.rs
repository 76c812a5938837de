//! A connection's socket and its last known readiness.

/// The reactor's own side of a connection; `io` has the part that a handler sees.
#[derive(Debug)]
pub(super) struct OpenSocket<T> {
    pub(super) stream: T,
    /// Those that it has, as bits.
    marks: u16,
}

/// What is known of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SocketMark {
    /// It was dialled, and the system has not said yet what became of it.
    IsConnecting,
    /// The handler has not used up all bytes read: the rest is in the reactor's map.
    HasUnread,
    /// An event reported input, and no short read has shown since that it is used up.
    IsReadable,
    /// The system accepts bytes, as far as known.
    IsWritable,
    /// The system reports when it accepts bytes again; requested the first time it does not.
    IsWatchedForWriting,
    /// The peer has ended its direction: after a short read the end of the stream is still to be
    /// read.
    IsReadClosed,
    /// Both directions have ended.
    IsHungUp,
    /// The connection is in the list of those to be read.
    IsInReadyList,
    /// The connection waits for the budget of all outboxes.
    IsInStarvedList,
}

impl<T> OpenSocket<T> {
    pub(super) fn new(stream: T) -> OpenSocket<T> {
        let mut socket = OpenSocket { stream, marks: 0 };
        socket.set(SocketMark::IsWritable, true);
        socket
    }

    /// One that is being connected: the system says when it accepts bytes.
    pub(super) fn dialled(stream: T) -> OpenSocket<T> {
        let mut socket = OpenSocket { stream, marks: 0 };
        socket.set(SocketMark::IsConnecting, true);
        socket.set(SocketMark::IsWatchedForWriting, true);
        socket
    }

    pub(super) fn has(&self, mark: SocketMark) -> bool {
        self.marks & (1 << mark as u16) != 0
    }

    /// Returns whether it had the mark before.
    pub(super) fn set(&mut self, mark: SocketMark, has: bool) -> bool {
        let had = self.has(mark);
        let bit = 1 << mark as u16;
        self.marks = if has { self.marks | bit } else { self.marks & !bit };
        had
    }
}

/// Bytes read but not used up yet: those from `start` on.
#[derive(Debug)]
pub(super) struct UnreadBytes {
    pub(super) bytes: Vec<u8>,
    pub(super) start: usize,
}
