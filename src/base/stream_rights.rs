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
        let listed = self.listed_to_watch();
        self.is_reader(declaration) && listed.is_none_or(|patterns| any_fits(patterns, name))
    }

    /// Whether they may watch a declared stream, or at least one of a family.
    #[must_use]
    pub fn may_watch_one(&self, declaration: &Declaration) -> bool {
        let listed = self.listed_to_watch();
        self.is_reader(declaration)
            && listed.is_none_or(|patterns| any_meets(patterns, &declaration.pattern))
    }

    fn is_reader(&self, declaration: &Declaration) -> bool {
        match declaration.read {
            Readers::Public => true,
            Readers::Users => self.is_user,
            Readers::Admin => self.is_admin,
        }
    }

    /// Whether they may publish to this stream.
    #[must_use]
    pub fn may_publish(&self, declaration: &Declaration, name: &str) -> bool {
        declaration.publish
            && match self.listed_to_publish() {
                Some(patterns) => any_fits(patterns, name),
                None => self.publishes_all,
            }
    }

    /// Whether they may publish to a declared stream, or to at least one of a family.
    #[must_use]
    pub fn may_publish_to_one(&self, declaration: &Declaration) -> bool {
        declaration.publish
            && match self.listed_to_publish() {
                Some(patterns) => any_meets(patterns, &declaration.pattern),
                None => self.publishes_all,
            }
    }

    fn listed_to_watch(&self) -> Option<&Vec<Pattern>> {
        self.claims.as_ref()?.subscribe.as_ref()
    }

    fn listed_to_publish(&self) -> Option<&Vec<Pattern>> {
        self.claims.as_ref()?.publish.as_ref()
    }
}

fn any_fits(patterns: &[Pattern], name: &str) -> bool {
    patterns.iter().any(|pattern| pattern.fits(name))
}

fn any_meets(patterns: &[Pattern], declared: &Pattern) -> bool {
    patterns.iter().any(|pattern| pattern.overlaps(declared))
}
