//! Limits how often a user may do something permanent in a day, such as creating a room. Leaving a
//! room gives nothing back, because the room and its name stay.

use crate::base::limits::MAKERS_MAX;
use crate::base::{Moment, SeededHash, UserId};
use std::collections::HashMap;

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

#[derive(Debug)]
pub(super) struct Daily {
    /// When each user's allowance is full again. Each use adds a share of a day; it is never more
    /// than a day ahead.
    until: HashMap<UserId, Moment, SeededHash>,
    share_ms: u64,
    /// At this size, full allowances are removed.
    prune_at: usize,
}

impl Daily {
    pub(super) fn new(a_day: u32, hash: SeededHash) -> Daily {
        const PRUNE_AT_FIRST: usize = 1_024;
        Daily {
            until: HashMap::with_hasher(hash),
            share_ms: share_ms(a_day),
            prune_at: PRUNE_AT_FIRST,
        }
    }

    /// Changes the allowance. Earlier uses keep the cost that they had.
    pub(super) fn set_a_day(&mut self, a_day: u32) {
        self.share_ms = share_ms(a_day);
    }

    /// Gives back a use that failed.
    pub(super) fn give_back(&mut self, now: Moment, user: &UserId) {
        if let Some(until) = self.until.get_mut(user) {
            *until = now.plus_millis(until.millis_since(now).saturating_sub(self.share_ms));
        }
    }

    /// Counts a use, if it is allowed.
    pub(super) fn may_take(&mut self, now: Moment, user: &UserId) -> bool {
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

/// The part of a day that each use costs.
fn share_ms(a_day: u32) -> u64 {
    DAY_MS / u64::from(a_day.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_days_share_comes_back_in_a_day() {
        let mut daily = Daily::new(3, SeededHash::new(1));
        let (ada, bob) = (UserId::parse("ada").unwrap(), UserId::parse("bob").unwrap());
        let at = Moment::from_millis;
        for _ in 0..3 {
            assert!(daily.may_take(at(5), &ada));
        }
        assert!(!daily.may_take(at(5), &ada));
        assert!(daily.may_take(at(5), &bob), "each has their own");
        assert!(!daily.may_take(at(5 + DAY_MS / 3 - 1), &ada));
        assert!(daily.may_take(at(5 + DAY_MS / 3), &ada));
        assert!(!daily.may_take(at(5 + DAY_MS / 3), &ada));
    }

    #[test]
    fn what_came_to_nothing_is_given_back() {
        let mut daily = Daily::new(1, SeededHash::new(1));
        let ada = UserId::parse("ada").unwrap();
        let now = Moment::from_millis(5);
        daily.give_back(now, &ada);
        assert!(daily.may_take(now, &ada) && !daily.may_take(now, &ada));
        daily.give_back(now, &ada);
        daily.give_back(now, &ada);
        assert!(daily.may_take(now, &ada) && !daily.may_take(now, &ada), "and no more than that");
    }

    #[test]
    fn another_number_is_for_the_rooms_that_are_made_from_then_on() {
        let mut daily = Daily::new(2, SeededHash::new(1));
        let ada = UserId::parse("ada").unwrap();
        let now = Moment::from_millis(5);
        assert!(daily.may_take(now, &ada));
        daily.set_a_day(4);
        assert!(daily.may_take(now, &ada) && daily.may_take(now, &ada));
        assert!(!daily.may_take(now, &ada), "half a day and two quarters");
    }

    #[test]
    fn who_has_waited_long_enough_is_forgotten() {
        let mut daily = Daily::new(1_000, SeededHash::new(1));
        let user = |number: u64| UserId::parse(&format!("u{number}")).unwrap();
        for number in 0..10_000 {
            assert!(daily.may_take(Moment::from_millis(number * DAY_MS), &user(number)));
        }
        assert!(daily.until.len() <= 1_024, "{}", daily.until.len());
    }
}
