//! A connection's socket and what the system last said of it.

/// The reactor's own side of a connection; what a handler sees of it is in `io`.
#[derive(Debug)]
pub(super) struct OpenSocket<T> {
    pub(super) stream: T,
    /// The handler has not used up all that was read: the rest is in the reactor's map.
    pub(super) has_unread: bool,
    /// An event said that there is something to read, and no short read has said that there is not.
    pub(super) is_readable: bool,
    /// The system takes bytes, as far as is known.
    pub(super) is_writable: bool,
    /// The system tells when it takes bytes again: asked for when it first did not.
    pub(super) is_watched_for_writing: bool,
    /// The peer sends nothing more: a short read is not the end of what there is to hear.
    pub(super) is_read_closed: bool,
    /// Both directions are over.
    pub(super) is_hung_up: bool,
    /// It stands in the list of those to be read.
    pub(super) is_in_ready_list: bool,
    /// It waits for the budget of all outboxes.
    pub(super) is_in_starved_list: bool,
    /// The handler was told of its end.
    pub(super) is_told: bool,
}

impl<T> OpenSocket<T> {
    pub(super) fn new(stream: T) -> OpenSocket<T> {
        OpenSocket {
            stream,
            has_unread: false,
            is_readable: false,
            is_writable: true,
            is_watched_for_writing: false,
            is_read_closed: false,
            is_hung_up: false,
            is_in_ready_list: false,
            is_in_starved_list: false,
            is_told: false,
        }
    }
}

/// Bytes that were read and not used up yet: those from `start` on.
#[derive(Debug)]
pub(super) struct UnreadBytes {
    pub(super) bytes: Vec<u8>,
    pub(super) start: usize,
}
