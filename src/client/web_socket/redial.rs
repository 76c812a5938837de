//! When a WebSocket that was lost is opened again. No I/O, no clock.

use crate::base::{Chance, Moment, Now, Timestamp};
use crate::client::core::{Backoff, FailCode, State};
use std::collections::BTreeSet;

/// What a WebSocket does about its connection.
#[derive(Debug)]
pub(super) struct Redial {
    pub(super) state: State,
    pub(super) backoff: Backoff,
    /// Close codes after which it does not come back.
    pub(super) fatal: BTreeSet<u16>,
    chance: Chance,
    attempt: u32,
    opened_at: Moment,
    /// When the next attempt begins, or a connection that is being opened is given up.
    pub(super) due: Moment,
    pub(super) connect_ms: u64,
}

/// RFC 6455 §7.4.1: it broke the protocol, or sent what the server does not take. The next connection would do the same.
const FATAL: [u16; 4] = [1_002, 1_003, 1_007, 1_009];

impl Redial {
    pub(super) fn new(backoff: Backoff, connect_ms: u64, seed: u64) -> Redial {
        Redial {
            state: State::Idle,
            backoff,
            fatal: BTreeSet::from(FATAL),
            chance: Chance::new(seed),
            attempt: 0,
            opened_at: Moment::ZERO,
            due: Moment::NEVER,
            connect_ms,
        }
    }

    /// A connection is being opened.
    pub(super) fn begin(&mut self, now: Now) {
        self.state = State::Connecting;
        self.due = now.moment.plus_millis(self.connect_ms);
    }

    pub(super) fn opened(&mut self, now: Now) {
        self.state = State::Online { since: now.timestamp };
        (self.opened_at, self.due) = (now.moment, Moment::NEVER);
    }

    /// It is over, or could not be opened.
    pub(super) fn lost(
        &mut self,
        now: Now,
        code: Option<u16>,
        reason: &str,
        retry_after_ms: Option<u64>,
    ) {
        let has_lasted = self.state.is_online()
            && now.moment.millis_since(self.opened_at) >= self.backoff.stable_ms;
        if has_lasted {
            self.attempt = 0;
        }
        self.due = Moment::NEVER;
        if let Some(code) = code.filter(|code| self.fatal.contains(code)) {
            return self.fail(FailCode::Close(code), reason);
        }
        if self.backoff.attempts.is_some_and(|most| self.attempt >= most) {
            return self.fail(FailCode::Attempts, reason);
        }
        let longest = self.backoff.wait_ms(self.attempt);
        let wait = if self.backoff.has_jitter { self.chance.below(longest + 1) } else { longest };
        let wait = wait.saturating_add(retry_after_ms.unwrap_or_default().min(RETRY_AFTER_MS_MAX));
        self.attempt += 1;
        self.due = now.moment.plus_millis(wait);
        let until = i64::try_from(wait).unwrap_or(i64::MAX);
        self.state = State::Waiting {
            until: Timestamp(now.timestamp.0.saturating_add(until)),
            attempt: self.attempt,
            reason: reason.into(),
            code,
        };
    }

    fn fail(&mut self, code: FailCode, reason: &str) {
        self.attempt = 0;
        self.state = State::Failed { code, reason: reason.into() };
    }

    /// It is not wanted for now, or not any more.
    pub(super) fn rest(&mut self, state: State) {
        (self.state, self.due) = (state, Moment::NEVER);
    }
}

/// A server may ask for this long at most, in ms.
const RETRY_AFTER_MS_MAX: u64 = 3_600_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Now {
        Now { moment: Moment::from_millis(millis), ..Now::default() }
    }

    fn redial(attempts: Option<u32>) -> Redial {
        let backoff = Backoff { has_jitter: false, attempts, ..Backoff::default() };
        Redial::new(backoff, 10_000, 1)
    }

    #[test]
    fn waits_grow_until_a_connection_has_lasted() {
        let mut redial = redial(None);
        let mut now = 0;
        for wait in [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000] {
            redial.begin(at(now));
            assert_eq!(redial.due, Moment::from_millis(now + 10_000));
            // One that opens and is lost at once has not lasted.
            redial.opened(at(now));
            redial.lost(at(now), Some(1_000), "", None);
            assert_eq!(redial.due, Moment::from_millis(now + wait));
            now += wait;
        }
        redial.begin(at(now));
        redial.opened(at(now));
        redial.lost(at(now + 30_000), None, "", Some(500));
        assert_eq!(redial.due, Moment::from_millis(now + 31_500));
        redial.lost(at(0), None, "", Some(u64::MAX));
        assert_eq!(redial.due, Moment::from_millis(2_000 + RETRY_AFTER_MS_MAX));
    }

    #[test]
    fn it_gives_up_when_it_should() {
        let mut redial = redial(Some(1));
        redial.lost(at(0), None, "", None);
        assert!(matches!(redial.state, State::Waiting { attempt: 1, .. }));
        redial.lost(at(0), None, "gone", None);
        assert_eq!(redial.state, State::Failed { code: FailCode::Attempts, reason: "gone".into() });
        assert_eq!(redial.due, Moment::NEVER);
        redial.lost(at(0), Some(1_009), "too large", None);
        let code = FailCode::Close(1_009);
        assert_eq!(redial.state, State::Failed { code, reason: "too large".into() });
    }
}
