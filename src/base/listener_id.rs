//! Which of a server's listeners a connection came by.

/// A listener, by its place among the server's, from 0; at most
/// [`LISTENERS_MAX`](super::limits::LISTENERS_MAX).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ListenerId(u8);

impl ListenerId {
    /// The listener at this place.
    #[must_use]
    pub fn new(index: usize) -> ListenerId {
        ListenerId(u8::try_from(index).unwrap_or(u8::MAX))
    }

    /// Its place.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}
