//! Who asks for something.

use crate::base::{Limits, StreamRights, UserId};
use std::rc::Rc;

/// Who asks for something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Person {
    pub(crate) user: UserId,
    pub(crate) is_admin: bool,
    /// They have not said who they are.
    pub(crate) is_guest: bool,
    /// What they may do with streams.
    pub(crate) streams: StreamRights,
    /// The limits that hold for them, where they are not those of all.
    pub(crate) limits: Option<Rc<Limits>>,
}
