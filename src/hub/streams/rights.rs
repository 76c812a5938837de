//! What somebody may do with streams.

use super::declaration::{Declaration, Readers};
use super::pattern::Pattern;
use std::sync::Arc;

/// What somebody may do with streams, by who they are and by what their token says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamRights {
    /// They have said who they are: no guest.
    pub is_user: bool,
    /// They have an admin's rights.
    pub is_admin: bool,
    /// Where their token does not say otherwise they may publish to all: admins, and everybody in
    /// open mode.
    pub publishes_all: bool,
    /// What their token says. Most say nothing of streams: each connection holds one of these.
    pub claims: Option<Arc<StreamClaims>>,
}

/// What a token says of streams.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamClaims {
    /// Streams that they may publish to (the claim `publish`).
    pub publish: Option<Vec<Pattern>>,
    /// Streams that they may watch (the claim `subscribe`). Without it: all that the declarations
    /// allow.
    pub subscribe: Option<Vec<Pattern>>,
}

impl StreamRights {
    /// Whether they may watch a stream of this name.
    #[must_use]
    pub fn may_watch(&self, declaration: &Declaration, name: &str) -> bool {
        let is_allowed = match declaration.read {
            Readers::Public => true,
            Readers::Users => self.is_user,
            Readers::Admin => self.is_admin,
        };
        let listed = self.claims.as_ref().and_then(|claims| claims.subscribe.as_ref());
        is_allowed && listed.is_none_or(|patterns| any_fits(patterns, name))
    }

    /// Whether they may publish to a stream of this name.
    #[must_use]
    pub fn may_publish(&self, declaration: &Declaration, name: &str) -> bool {
        declaration.publish
            && match self.listed_to_publish() {
                Some(patterns) => any_fits(patterns, name),
                None => self.publishes_all,
            }
    }

    /// Whether there may be streams that they may publish to.
    #[must_use]
    pub fn may_publish_some(&self) -> bool {
        self.listed_to_publish().map_or(self.publishes_all, |patterns| !patterns.is_empty())
    }

    fn listed_to_publish(&self) -> Option<&Vec<Pattern>> {
        self.claims.as_ref()?.publish.as_ref()
    }
}

fn any_fits(patterns: &[Pattern], name: &str) -> bool {
    patterns.iter().any(|pattern| pattern.fits(name))
}
