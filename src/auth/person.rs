//! The sender of a request.

use crate::base::{Limits, StreamRights, UserId};
use std::rc::Rc;

/// The sender of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Person {
    pub(crate) user: UserId,
    pub(crate) is_admin: bool,
    /// They are not signed in.
    pub(crate) is_guest: bool,
    /// Their rights on streams.
    pub(crate) streams: StreamRights,
    /// Their limits, if they differ from everybody's.
    pub(crate) limits: Option<Rc<Limits>>,
}
