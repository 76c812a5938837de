//! The answer to input that is not a request.

use crate::http1::{HeadError, HttpRefusal, Response};

/// Why the input is not a request, as an answer.
pub(super) struct Unreadable(pub(super) Response);

impl From<HeadError> for Unreadable {
    fn from(error: HeadError) -> Unreadable {
        HttpRefusal::from(error).into()
    }
}

impl From<HttpRefusal> for Unreadable {
    fn from(refusal: HttpRefusal) -> Unreadable {
        Unreadable(refusal.into())
    }
}

impl From<Response> for Unreadable {
    fn from(response: Response) -> Unreadable {
        Unreadable(response)
    }
}
