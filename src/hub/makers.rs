//! How many rooms somebody may make in a day: whoever makes one and leaves it has used it up, as the
//! room and its name stay.

use crate::base::limits::MAKERS_MAX;
use crate::base::{Moment, SeededHash, UserId};
use std::collections::HashMap;

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

/// Who has made rooms of late.
#[derive(Debug)]
pub(super) struct Makers {
    /// When each has made as few again as if they had made none: every room moves it on by a day's
    /// share, and no more than a day ahead.
    until: HashMap<UserId, Moment, SeededHash>,
    share_ms: u64,
    /// At so many those who have waited long enough are looked for.
    prune_at: usize,
}

impl Makers {
    /// So many rooms in a day, for each user.
    pub(super) fn new(rooms_a_day: u32, hash: SeededHash) -> Makers {
        const PRUNE_AT_FIRST: usize = 1_024;
        Makers {
            until: HashMap::with_hasher(hash),
            share_ms: share_ms(rooms_a_day),
            prune_at: PRUNE_AT_FIRST,
        }
    }

    /// So many from now on. What was made counts as it did then.
    pub(super) fn set_rooms_a_day(&mut self, rooms_a_day: u32) {
        self.share_ms = share_ms(rooms_a_day);
    }

    /// Counts a room; tells whether it may be made.
    pub(super) fn may_make(&mut self, now: Moment, user: &UserId) -> bool {
        let from = self.until.get(user).copied().unwrap_or(now).max(now);
        let until = from.plus_millis(self.share_ms);
        if until.millis_since(now) > DAY_MS {
            return false;
        }
        if self.until.len() >= self.prune_at && !self.until.contains_key(user) {
            self.until.retain(|_, until| *until > now);
            if self.until.len() >= MAKERS_MAX {
                return false;
            }
            self.prune_at = (self.until.len() * 2).clamp(self.prune_at, MAKERS_MAX);
        }
        self.until.insert(user.clone(), until);
        true
    }
}

/// What of a day each of them takes.
fn share_ms(rooms_a_day: u32) -> u64 {
    DAY_MS / u64::from(rooms_a_day.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_days_share_comes_back_in_a_day() {
        let mut makers = Makers::new(3, SeededHash::new(1));
        let (ada, bob) = (UserId::parse("ada").unwrap(), UserId::parse("bob").unwrap());
        let at = Moment::from_millis;
        for _ in 0..3 {
            assert!(makers.may_make(at(5), &ada));
        }
        assert!(!makers.may_make(at(5), &ada));
        assert!(makers.may_make(at(5), &bob), "each has their own");
        assert!(!makers.may_make(at(5 + DAY_MS / 3 - 1), &ada));
        assert!(makers.may_make(at(5 + DAY_MS / 3), &ada));
        assert!(!makers.may_make(at(5 + DAY_MS / 3), &ada));
    }

    #[test]
    fn another_number_is_for_the_rooms_that_are_made_from_then_on() {
        let mut makers = Makers::new(2, SeededHash::new(1));
        let ada = UserId::parse("ada").unwrap();
        let now = Moment::from_millis(5);
        assert!(makers.may_make(now, &ada));
        makers.set_rooms_a_day(4);
        assert!(makers.may_make(now, &ada) && makers.may_make(now, &ada));
        assert!(!makers.may_make(now, &ada), "half a day and two quarters");
    }

    #[test]
    fn who_has_waited_long_enough_is_forgotten() {
        let mut makers = Makers::new(1_000, SeededHash::new(1));
        let user = |number: u64| UserId::parse(&format!("u{number}")).unwrap();
        for number in 0..10_000 {
            assert!(makers.may_make(Moment::from_millis(number * DAY_MS), &user(number)));
        }
        assert!(makers.until.len() <= 1_024, "{}", makers.until.len());
    }
}
