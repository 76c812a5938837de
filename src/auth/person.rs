//! Who asks for something.

use super::claims::Identity;
use crate::base::{Limits, StreamRights, UserId};
use std::rc::Rc;

/// Who asks for something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Person {
    pub(crate) user: UserId,
    pub(crate) is_admin: bool,
    /// They have not said who they are.
    pub(crate) is_guest: bool,
    /// They have the admin token, for which no rate holds.
    pub(crate) has_no_rate: bool,
    /// What they may do with streams.
    pub(crate) streams: StreamRights,
    /// The limits that hold for them, where they are not those of all.
    pub(crate) limits: Option<Rc<Limits>>,
}

impl Person {
    /// Whoever has proved to be somebody, for whom these limits hold.
    pub(crate) fn of(identity: Identity, limits: Option<Rc<Limits>>) -> Person {
        let Identity { user, admin: is_admin, rights: streams, .. } = identity;
        Person { user, is_admin, is_guest: false, has_no_rate: false, streams, limits }
    }

    /// Whoever has not.
    pub(crate) fn guest() -> Person {
        let identity = Identity::without_token(UserId::guest(None), StreamRights::default());
        Person { is_guest: true, ..Person::of(identity, None) }
    }
}
