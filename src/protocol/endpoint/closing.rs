//! The state of the closing handshake (RFC 6455 §7.1).

use crate::base::Moment;

/// The states of the closing handshake, as this endpoint sees them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closing {
    /// Neither endpoint has sent a Close.
    Open,
    /// This endpoint sent a Close and waits for the peer's.
    CloseSent {
        /// When it stops waiting.
        deadline: Moment,
    },
    /// This endpoint sent a Close and waits for none: it answered one, it failed the connection
    /// (RFC 6455 §7.1.7), the peer answered its own, or it gave up waiting.
    Closed,
}

impl Closing {
    /// RFC 6455 §5.5.1: after a Close an endpoint must not send any more data frames.
    #[must_use]
    pub const fn may_send_data(self) -> bool {
        matches!(self, Closing::Open)
    }

    /// When this endpoint stops waiting for the peer's Close.
    #[must_use]
    pub const fn deadline(self) -> Option<Moment> {
        match self {
            Closing::CloseSent { deadline } => Some(deadline),
            Closing::Open | Closing::Closed => None,
        }
    }
}
