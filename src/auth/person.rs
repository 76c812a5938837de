//! The sender of a request.

use super::claims::Identity;
use crate::base::{Limits, StreamRights, UserId};
use std::sync::Arc;

/// The sender of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Person {
    pub(crate) user: UserId,
    pub(crate) is_admin: bool,
    /// They are not signed in.
    pub(crate) is_guest: bool,
    /// As [`Identity::is_named`]. Calls of such an admin have no rate.
    pub(crate) is_named: bool,
    /// Their rights on streams.
    pub(crate) streams: StreamRights,
    /// Their limits, if they differ from everybody's.
    pub(crate) limits: Option<Arc<Limits>>,
}

impl Person {
    /// A user with a proof, and their own limits.
    pub(crate) fn of(identity: Identity, limits: Option<Arc<Limits>>) -> Person {
        let Identity { user, admin: is_admin, is_named, rights: streams, .. } = identity;
        Person { user, is_admin, is_guest: false, is_named, streams, limits }
    }

    /// A user without one.
    pub(crate) fn guest() -> Person {
        let identity = Identity::without_token(UserId::guest(None), StreamRights::default());
        Person { is_guest: true, ..Person::of(identity, None) }
    }
}
