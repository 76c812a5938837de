//! A connection's socket and its last known readiness.

/// The reactor's own side of a connection; `io` has the part that a handler sees.
#[derive(Debug)]
pub(super) struct OpenSocket<T> {
    pub(super) stream: T,
    /// It was dialled, and the system has not said yet what became of it.
    pub(super) is_connecting: bool,
    /// The handler has not used up all bytes read: the rest is in the reactor's map.
    pub(super) has_unread: bool,
    /// An event reported input, and no short read has shown since that it is used up.
    pub(super) is_readable: bool,
    /// The system accepts bytes, as far as known.
    pub(super) is_writable: bool,
    /// The system reports when it accepts bytes again; requested the first time it does not.
    pub(super) is_watched_for_writing: bool,
    /// The peer has ended its direction: after a short read the end of the stream is still to be
    /// read.
    pub(super) is_read_closed: bool,
    /// Both directions have ended.
    pub(super) is_hung_up: bool,
    /// The connection is in the list of those to be read.
    pub(super) is_in_ready_list: bool,
    /// The connection waits for the budget of all outboxes.
    pub(super) is_in_starved_list: bool,
}

impl<T> OpenSocket<T> {
    pub(super) fn new(stream: T) -> OpenSocket<T> {
        OpenSocket {
            stream,
            is_connecting: false,
            has_unread: false,
            is_readable: false,
            is_writable: true,
            is_watched_for_writing: false,
            is_read_closed: false,
            is_hung_up: false,
            is_in_ready_list: false,
            is_in_starved_list: false,
        }
    }

    /// One that is being connected: the system says when it accepts bytes.
    pub(super) fn dialled(stream: T) -> OpenSocket<T> {
        OpenSocket {
            is_connecting: true,
            is_writable: false,
            is_watched_for_writing: true,
            ..OpenSocket::new(stream)
        }
    }
}

/// Bytes read but not used up yet: those from `start` on.
#[derive(Debug)]
pub(super) struct UnreadBytes {
    pub(super) bytes: Vec<u8>,
    pub(super) start: usize,
}
