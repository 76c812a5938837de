//! Tokens revoked before they expire: an index in memory, which does not know where revocations are
//! stored.

use crate::base::limits::{FORGOTTEN_AFTER_MS, REVOCATIONS_MAX};
use crate::base::{Revocation, Timestamp, UserId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Revocations: of single tokens by `jti`, and of users' tokens by the time of issue.
///
/// Callers check [`Revocations::has_room_for`] before they request a new one, which bounds both
/// kinds together by [`REVOCATIONS_MAX`]. Stored ones are always accepted, so those in flight
/// together may exceed it. A revocation is forgotten only if it names its token's expiry, a day
/// after that: forgetting earlier would make the token valid again.
#[derive(Clone, Debug, Default)]
pub struct Revocations {
    tokens: BTreeMap<Arc<str>, Option<Timestamp>>,
    /// When revoked tokens expire and may be forgotten.
    ends: BTreeSet<(Timestamp, Arc<str>)>,
    /// All tokens of a user issued at or before this time.
    users: BTreeMap<UserId, Timestamp>,
}

impl Revocations {
    /// Adds a stored revocation. Of two times for a user the later one counts: revoked tokens stay
    /// revoked.
    pub fn insert(&mut self, revocation: &Revocation) {
        match revocation {
            Revocation::Token(jti, until) => {
                let known = self.tokens.entry(Arc::clone(jti)).or_insert(*until);
                // `None` means for ever.
                let longer = known.zip(*until).map(|(known, until)| known.max(until));
                if let Some(until) = std::mem::replace(known, longer) {
                    self.ends.remove(&(until, Arc::clone(jti)));
                }
                self.ends.extend(longer.map(|until| (until, Arc::clone(jti))));
            }
            Revocation::User(user, before) => {
                let known = self.users.entry(user.clone()).or_insert(*before);
                *known = (*known).max(*before);
            }
        }
    }

    /// Whether there is room for this one, or it is already there.
    #[must_use]
    pub fn has_room_for(&self, revocation: &Revocation) -> bool {
        let is_there = match revocation {
            Revocation::Token(jti, _) => self.tokens.contains_key(jti),
            Revocation::User(user, _) => self.users.contains_key(user),
        };
        is_there || self.len() < REVOCATIONS_MAX
    }

    /// Whether a token of `user` with this `jti` and issue time is revoked. A token without an
    /// issue time counts as issued in 1970; otherwise it could escape a revocation.
    #[must_use]
    pub fn is_revoked(&self, user: &UserId, jti: Option<&str>, issued: Option<Timestamp>) -> bool {
        let issued = issued.unwrap_or(Timestamp(0));
        jti.is_some_and(|jti| self.tokens.contains_key(jti))
            || self.users.get(user).is_some_and(|before| issued <= *before)
    }

    /// Forgets revocations of tokens that expired more than a day ago.
    pub fn forget(&mut self, now: Timestamp) {
        let end = Timestamp(now.0.saturating_sub(FORGOTTEN_AFTER_MS));
        while let Some((until, _)) = self.ends.first()
            && *until < end
            && let Some((_, jti)) = self.ends.pop_first()
        {
            self.tokens.remove(&jti);
        }
    }

    /// The number of revocations.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tokens.len() + self.users.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(id: &str) -> UserId {
        UserId::parse(id).unwrap()
    }

    fn at(millis: i64) -> Option<Timestamp> {
        Some(Timestamp(millis))
    }

    #[test]
    fn a_token_is_revoked_by_its_jti_whoever_has_it() {
        let mut revocations = Revocations::default();
        revocations.insert(&Revocation::Token("t-1".into(), None));
        assert!(revocations.is_revoked(&user("ada"), Some("t-1"), at(5)));
        assert!(revocations.is_revoked(&user("bob"), Some("t-1"), None));
        assert!(!revocations.is_revoked(&user("ada"), Some("t-2"), at(5)));
        assert!(!revocations.is_revoked(&user("ada"), Some("T-1"), at(5)));
        assert!(!revocations.is_revoked(&user("ada"), None, None));
    }

    #[test]
    fn what_says_its_end_is_forgotten_a_day_after_it_and_nothing_else_is() {
        const DAY: i64 = 24 * 60 * 60 * 1_000;
        let mut revocations = Revocations::default();
        let token =
            |jti: &str, until: Option<i64>| Revocation::Token(jti.into(), until.map(Timestamp));
        for (jti, until) in [("a", Some(10)), ("b", None), ("c", Some(20)), ("c", Some(5))] {
            revocations.insert(&token(jti, until));
        }
        // A token revoked for ever stays revoked, whatever else arrives.
        for (jti, until) in [("b", Some(5)), ("d", Some(5)), ("d", None)] {
            revocations.insert(&token(jti, until));
        }
        let left = |revocations: &Revocations| {
            ["a", "b", "c", "d"].map(|jti| revocations.is_revoked(&user("ada"), Some(jti), None))
        };
        revocations.forget(Timestamp(DAY + 10));
        assert_eq!(left(&revocations), [true, true, true, true]);
        revocations.forget(Timestamp(DAY + 11));
        assert_eq!(left(&revocations), [false, true, true, true]);
        revocations.forget(Timestamp(i64::MAX));
        assert_eq!(left(&revocations), [false, true, false, true]);
        assert_eq!((revocations.len(), revocations.ends.len()), (2, 0));
    }

    #[test]
    fn a_users_tokens_are_revoked_up_to_and_at_a_time() {
        let mut revocations = Revocations::default();
        revocations.insert(&Revocation::User(user("ada"), Timestamp(1_000)));
        assert!(revocations.is_revoked(&user("ada"), None, at(1_000)));
        assert!(revocations.is_revoked(&user("ada"), Some("t"), at(-1)));
        assert!(!revocations.is_revoked(&user("ada"), None, at(1_001)));
        assert!(!revocations.is_revoked(&user("Ada"), None, at(1)), "ids differ by case");
        assert!(revocations.is_revoked(&user("ada"), None, None), "no iat is no way around it");
    }

    #[test]
    fn the_later_time_holds() {
        let mut revocations = Revocations::default();
        for before in [5, 9, 7] {
            revocations.insert(&Revocation::User(user("ada"), Timestamp(before)));
        }
        assert!(revocations.is_revoked(&user("ada"), None, at(9)));
        assert_eq!(revocations.len(), 1);
    }

    #[test]
    fn there_is_room_for_so_many_and_a_repeat_needs_none() {
        let mut revocations = Revocations::default();
        assert!(revocations.is_empty());
        let (token, other) = (|jti: &str| Revocation::Token(jti.into(), None), user("bob"));
        revocations.insert(&Revocation::User(user("ada"), Timestamp(1)));
        for number in 1..REVOCATIONS_MAX {
            let one = token(&number.to_string());
            assert!(revocations.has_room_for(&one));
            revocations.insert(&one);
        }
        assert_eq!(revocations.len(), REVOCATIONS_MAX);
        assert!(!revocations.has_room_for(&token("more")));
        assert!(!revocations.has_room_for(&Revocation::User(other, Timestamp(1))));
        assert!(revocations.has_room_for(&token("1")));
        assert!(revocations.has_room_for(&Revocation::User(user("ada"), Timestamp(2))));
        // It was in flight when the last place was taken. It is in force all the same.
        revocations.insert(&token("more"));
        assert!(revocations.is_revoked(&user("bob"), Some("more"), None));
    }
}
