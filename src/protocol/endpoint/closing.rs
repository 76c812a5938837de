//! How far the closing handshake is (RFC 6455 §7.1).

use crate::base::Moment;

/// The states of the closing handshake, as this end sees them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closing {
    /// Neither end has sent a Close.
    Open,
    /// This end sent a Close and waits for the other's.
    CloseSent {
        /// When it stops waiting.
        deadline: Moment,
    },
    /// This end sent a Close, and needs no other: it answered one, it failed the connection
    /// (RFC 6455 §7.1.7), its own was answered, or it gave up waiting.
    Closed,
}

impl Closing {
    /// RFC 6455 §5.5.1: after a Close an end must not send any more data frames.
    #[must_use]
    pub const fn may_send_data(self) -> bool {
        matches!(self, Closing::Open)
    }

    /// When this end stops waiting for the other's Close.
    #[must_use]
    pub const fn deadline(self) -> Option<Moment> {
        match self {
            Closing::CloseSent { deadline } => Some(deadline),
            Closing::Open | Closing::Closed => None,
        }
    }
}
