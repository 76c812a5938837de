//! What came is no request: the answer to that.

use crate::protocol::handshake::{HeadError, Refusal, Response};

/// Why bytes are no request, as an answer.
pub(super) struct Unreadable(pub(super) Response);

impl From<HeadError> for Unreadable {
    fn from(error: HeadError) -> Unreadable {
        Refusal::from(error).into()
    }
}

impl From<Refusal> for Unreadable {
    fn from(refusal: Refusal) -> Unreadable {
        Unreadable(refusal.into())
    }
}

impl From<Response> for Unreadable {
    fn from(response: Response) -> Unreadable {
        Unreadable(response)
    }
}
