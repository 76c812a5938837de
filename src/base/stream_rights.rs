//! Rights on streams.

use super::declaration::{Declaration, Readers};
use super::pattern::Pattern;
use std::sync::Arc;

/// The rights of a user or guest on streams, from who they are and from their token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamRights {
    /// They are signed in: not a guest.
    pub is_user: bool,
    /// They have an admin's rights.
    pub is_admin: bool,
    /// If their token does not say otherwise, they may publish to all streams: admins, and
    /// everybody in open mode.
    pub publishes_all: bool,
    /// What their token says. Shared, because each connection holds one; most tokens say nothing of
    /// streams.
    pub claims: Option<Arc<StreamClaims>>,
}

/// What a token says of streams.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamClaims {
    /// Streams that they may publish to (claim `publish`).
    pub publish: Option<Vec<Pattern>>,
    /// Streams that they may watch (claim `subscribe`). `None`: all that the declarations allow.
    pub subscribe: Option<Vec<Pattern>>,
}

impl StreamRights {
    /// Whether they may watch this stream.
    #[must_use]
    pub fn may_watch(&self, declaration: &Declaration, name: &str) -> bool {
        self.watches(declaration, |pattern| pattern.fits(name))
    }

    /// Whether they may watch a declared stream, or at least one of a family.
    #[must_use]
    pub fn may_watch_one(&self, declaration: &Declaration) -> bool {
        self.watches(declaration, |pattern| pattern.overlaps(&declaration.pattern))
    }

    fn watches(&self, declaration: &Declaration, is_meant: impl Fn(&Pattern) -> bool) -> bool {
        let is_reader = match declaration.read {
            Readers::Public => true,
            Readers::Users => self.is_user,
            Readers::Admin => self.is_admin,
        };
        let listed = self.claims.as_ref().and_then(|claims| claims.subscribe.as_ref());
        is_reader && listed.is_none_or(|patterns| patterns.iter().any(is_meant))
    }

    /// Whether they may publish to this stream.
    #[must_use]
    pub fn may_publish(&self, declaration: &Declaration, name: &str) -> bool {
        self.publishes(declaration, |pattern| pattern.fits(name))
    }

    /// Whether they may publish to a declared stream, or to at least one of a family.
    #[must_use]
    pub fn may_publish_to_one(&self, declaration: &Declaration) -> bool {
        self.publishes(declaration, |pattern| pattern.overlaps(&declaration.pattern))
    }

    fn publishes(&self, declaration: &Declaration, is_meant: impl Fn(&Pattern) -> bool) -> bool {
        let listed = self.claims.as_ref().and_then(|claims| claims.publish.as_ref());
        declaration.publish
            && listed.map_or(self.publishes_all, |patterns| patterns.iter().any(is_meant))
    }
}
