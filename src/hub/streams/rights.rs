//! What somebody may do with streams.

use super::declaration::{Declaration, Readers};
use super::pattern::Pattern;

/// What somebody may do with streams, by who they are and by what their token says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamRights {
    /// They have said who they are: no guest.
    pub is_user: bool,
    /// They have an admin's rights.
    pub is_admin: bool,
    /// Streams that they may publish to (the claim `publish`). Without it: none, but for admins, who
    /// may publish to all.
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
        is_allowed && self.subscribe.as_ref().is_none_or(|patterns| any_fits(patterns, name))
    }

    /// Whether they may publish to a stream of this name.
    #[must_use]
    pub fn may_publish(&self, declaration: &Declaration, name: &str) -> bool {
        declaration.publish
            && match &self.publish {
                Some(patterns) => any_fits(patterns, name),
                None => self.is_admin,
            }
    }
}

fn any_fits(patterns: &[Pattern], name: &str) -> bool {
    patterns.iter().any(|pattern| pattern.fits(name))
}
