//! The way of one end's bytes through the tap: what comes waits, is changed and passes on, in its
//! order.

use super::chance::SeededChance;
use super::rule::{FaultRule, FaultTime, InjectedFault};
use crate::base::Moment;
use std::collections::VecDeque;

/// Bytes that wait in a lane before nothing more is read from their sender. With a delay it also bounds
/// the rate: so many bytes may be under way.
pub(in crate::cli::tap) const LANE_BYTES_MAX: usize = 256 * 1024;

/// How often a lane is looked at again whose bytes are throttled, in ms.
const THROTTLE_MS: u64 = 20;
/// How long an unused rate may be saved, in ms.
const SAVED_MS: u64 = 100;

/// Bytes that came together, and when they may pass.
#[derive(Debug)]
struct HeldBytes {
    due: Moment,
    bytes: Vec<u8>,
    /// How many of them have passed.
    passed: usize,
}

/// The bytes of one end of a connection.
#[derive(Debug)]
pub(in crate::cli::tap) struct Lane {
    rules: Vec<FaultRule>,
    /// Which bits are flipped depends on the bytes alone, not on the pieces in which they come.
    flip_chance: SeededChance,
    delay_chance: SeededChance,
    begun: Moment,
    queue: VecDeque<HeldBytes>,
    waiting: usize,
    passed: u64,
    /// Bytes behind the opening handshake, and which bit of them is flipped next.
    frame_bytes: u64,
    flip: Option<(u64, u8)>,
    /// What the rate allows, in thousandths of a byte, and since when.
    allowed: u64,
    allowed_at: Moment,
    /// Until when it waits for others.
    held_until: Moment,
    has_ended: bool,
    told: LaneTold,
}

/// What was told of a lane: each once.
#[derive(Debug, Default)]
struct LaneTold {
    cut: bool,
    is_half_open: bool,
    slowed: bool,
}

impl Lane {
    pub(super) fn new(rules: Vec<FaultRule>, seed: u64, of: u64, now: Moment) -> Lane {
        Lane {
            rules,
            flip_chance: SeededChance::new(seed, of << 1),
            delay_chance: SeededChance::new(seed, of << 1 | 1),
            begun: now,
            queue: VecDeque::new(),
            waiting: 0,
            passed: 0,
            frame_bytes: 0,
            flip: None,
            allowed: 0,
            allowed_at: now,
            held_until: Moment::ZERO,
            has_ended: false,
            told: LaneTold::default(),
        }
    }

    /// Bytes that wait here.
    pub(in crate::cli::tap) fn waiting_bytes(&self) -> usize {
        self.waiting
    }

    /// The sender has ended, nothing waits, and the end may pass.
    pub(in crate::cli::tap) fn is_over(&self, now: Moment) -> bool {
        self.has_ended && self.waiting == 0 && !self.is_half_open(now)
    }

    /// The sender has sent its last byte.
    pub(in crate::cli::tap) fn end(&mut self) {
        self.has_ended = true;
    }

    /// The receiver is gone: nothing passes any more.
    pub(in crate::cli::tap) fn discard(&mut self) {
        self.queue.clear();
        self.waiting = 0;
        self.has_ended = true;
    }

    /// Whether what comes now waits for bytes of other connections.
    pub(in crate::cli::tap) fn reorders(&self, now: Moment) -> bool {
        self.active(now).any(|fault| fault == InjectedFault::Reorder)
    }

    /// Has all of it wait for bytes of other connections, until then; the beginning of time ends that.
    pub(in crate::cli::tap) fn hold(&mut self, until: Moment) {
        self.held_until = until;
    }

    /// Takes bytes that came; those from `frames_from` on are behind the opening handshake. `tell` gets
    /// what was done to them.
    pub(in crate::cli::tap) fn take(
        &mut self,
        now: Moment,
        mut bytes: Vec<u8>,
        frames_from: usize,
        tell: &mut dyn FnMut(String),
    ) {
        if bytes.is_empty() || self.has_ended {
            return;
        }
        let windows = self.active(now).find_map(|fault| match fault {
            InjectedFault::Corrupt { window_bytes } => Some(window_bytes),
            _ => None,
        });
        let frames = bytes.get_mut(frames_from..).unwrap_or_default();
        if let Some(window) = windows {
            self.corrupt(frames, window, tell);
        }
        self.frame_bytes += frames.len() as u64;
        let delay = self.active(now).find_map(|fault| match fault {
            InjectedFault::Delay { min_ms, max_ms } => Some((min_ms, max_ms)),
            _ => None,
        });
        let mut due = now;
        if let Some((min, max)) = delay {
            due = now.plus_millis(min + self.delay_chance.below((max - min).saturating_add(1)));
            if !std::mem::replace(&mut self.told.slowed, true) {
                tell(match min == max {
                    true => format!("held by the tap for {min} ms, and so what follows"),
                    false => format!("held by the tap for {min} to {max} ms, and so what follows"),
                });
            }
        }
        // Nothing overtakes what came before.
        let due = self.queue.back().map_or(due, |last| last.due.max(due));
        self.waiting += bytes.len();
        self.queue.push_back(HeldBytes { due, bytes, passed: 0 });
    }

    /// Flips a bit in each window of so many bytes.
    fn corrupt(&mut self, frames: &mut [u8], window: u64, tell: &mut dyn FnMut(String)) {
        let mut at = self.frame_bytes;
        let end = at + frames.len() as u64;
        while at < end {
            let start = at - at % window;
            let (place, bit) = match self.flip.filter(|(place, _)| *place >= start) {
                Some(flip) => flip,
                None => {
                    let place = start + self.flip_chance.below(window);
                    (place, self.flip_chance.below(8) as u8)
                }
            };
            self.flip = Some((place, bit));
            let index = place.checked_sub(self.frame_bytes).and_then(|at| usize::try_from(at).ok());
            if place >= at
                && let Some(byte) = index.and_then(|index| frames.get_mut(index))
            {
                *byte ^= 1 << bit;
                tell(format!("bit {bit} flipped by the tap, {place} bytes behind the handshake"));
            }
            at = start + window;
        }
    }

    /// Takes at most `room` bytes that may pass now.
    pub(in crate::cli::tap) fn release(
        &mut self,
        now: Moment,
        room: usize,
        tell: &mut dyn FnMut(String),
    ) -> Vec<u8> {
        let mut released = Vec::new();
        self.tell_half_open(now, tell);
        if self.held_until > now || self.is_half_open(now) {
            return released;
        }
        let mut left = u64::try_from(room).unwrap_or(u64::MAX);
        left = left.min(self.left_before_end());
        let rate = self.rate(now);
        if let Some(rate) = rate {
            if self.waiting > 0 && !std::mem::replace(&mut self.told.slowed, true) {
                tell(format!("throttled by the tap to {rate} bytes a second"));
            }
            left = left.min(self.allow(now, rate));
        }
        while left > 0
            && let Some(first) = self.queue.front_mut()
            && first.due <= now
        {
            let rest = first.bytes.get(first.passed..).unwrap_or_default();
            let len = usize::try_from(left).map_or(rest.len(), |left| left.min(rest.len()));
            released.extend_from_slice(rest.get(..len).unwrap_or_default());
            first.passed += len;
            left -= len as u64;
            if first.passed == first.bytes.len() {
                self.queue.pop_front();
            }
        }
        self.waiting -= released.len();
        self.passed += released.len() as u64;
        if rate.is_some() {
            self.allowed = self.allowed.saturating_sub(released.len() as u64 * 1_000);
        }
        released
    }

    /// Whether the connection is to be cut now; once.
    pub(in crate::cli::tap) fn cuts(&mut self, now: Moment, tell: &mut dyn FnMut(String)) -> bool {
        let ms = now.millis_since(self.begun);
        let cut = self.rules.iter().find(|rule| {
            rule.fault == InjectedFault::Cut
                && match rule.time {
                    FaultTime::Within { start_ms, .. } => start_ms <= ms,
                    FaultTime::After { bytes } => bytes <= self.passed,
                }
        });
        let Some(cut) = cut.filter(|_| !self.told.cut) else { return false };
        self.told.cut = true;
        tell(match cut.time {
            FaultTime::Within { .. } => "cut by the tap".to_owned(),
            FaultTime::After { bytes } => format!("cut by the tap after {bytes} bytes"),
        });
        true
    }

    /// When something changes by itself, after `now`.
    pub(in crate::cli::tap) fn next_at(&self, now: Moment) -> Moment {
        let mut next = Moment::NEVER;
        for rule in &self.rules {
            if let FaultTime::Within { start_ms, end_ms } = rule.time {
                let at = |ms: u64| match ms {
                    u64::MAX => Moment::NEVER,
                    ms => self.begun.plus_millis(ms),
                };
                for at in [at(start_ms), at(end_ms)] {
                    if at > now {
                        next = next.min(at);
                    }
                }
            }
        }
        if let Some(first) = self.queue.front() {
            for at in [first.due, self.held_until] {
                if at > now {
                    next = next.min(at);
                }
            }
            if self.rate(now).is_some() {
                next = next.min(now.plus_millis(THROTTLE_MS));
            }
        }
        next
    }

    fn active(&self, now: Moment) -> impl Iterator<Item = InjectedFault> + '_ {
        let ms = now.millis_since(self.begun);
        self.rules.iter().filter(move |rule| rule.is_now(ms)).map(|rule| rule.fault)
    }

    fn rate(&self, now: Moment) -> Option<u64> {
        self.active(now).find_map(|fault| match fault {
            InjectedFault::Throttle { bytes } => Some(bytes),
            _ => None,
        })
    }

    /// How many bytes a rate allows by now.
    fn allow(&mut self, now: Moment, rate: u64) -> u64 {
        let elapsed = now.millis_since(self.allowed_at).min(SAVED_MS);
        self.allowed_at = now;
        let most = rate.saturating_mul(SAVED_MS).max(1_000);
        self.allowed = self.allowed.saturating_add(rate.saturating_mul(elapsed)).min(most);
        self.allowed / 1_000
    }

    /// How many bytes may pass before a cut, or before nothing passes any more.
    fn left_before_end(&self) -> u64 {
        let ends = self.rules.iter().filter_map(|rule| match rule.time {
            FaultTime::After { bytes } => Some(bytes.saturating_sub(self.passed)),
            FaultTime::Within { .. } => None,
        });
        ends.min().unwrap_or(u64::MAX)
    }

    fn is_half_open(&self, now: Moment) -> bool {
        let is_over = |rule: &FaultRule| {
            let has_passed =
                matches!(rule.time, FaultTime::After { bytes } if bytes <= self.passed);
            rule.fault == InjectedFault::HalfOpen && has_passed
        };
        self.rules.iter().any(is_over)
            || self.active(now).any(|fault| fault == InjectedFault::HalfOpen)
    }

    fn tell_half_open(&mut self, now: Moment, tell: &mut dyn FnMut(String)) {
        let is_half_open = self.is_half_open(now);
        if is_half_open && !self.told.is_half_open {
            tell("half-open by the tap: nothing passes any more".to_owned());
        }
        if !is_half_open && self.told.is_half_open {
            tell("no longer half-open: what waited passes".to_owned());
        }
        self.told.is_half_open = is_half_open;
    }
}

#[cfg(test)]
mod tests {
    use super::super::plan::FaultPlan;
    use super::*;
    use crate::protocol::Role;

    fn at(ms: u64) -> Moment {
        Moment::from_millis(1_000 + ms)
    }

    fn lane(script: &str, seed: u64) -> Lane {
        let rules = FaultRule::parse_script(script).unwrap();
        FaultPlan::new(rules, seed).lane(1, Role::Client, at(0))
    }

    /// What passes at each time; one call for each.
    fn passes(lane: &mut Lane, times: &[u64]) -> Vec<usize> {
        times.iter().map(|ms| lane.release(at(*ms), usize::MAX, &mut |_| {}).len()).collect()
    }

    fn take(lane: &mut Lane, ms: u64, bytes: &[u8]) {
        lane.take(at(ms), bytes.to_vec(), 0, &mut |_| {});
    }

    #[test]
    fn without_faults_all_passes_at_once_and_unchanged() {
        let mut lane = lane("conn 2 cut\nfrom server cut", 1);
        take(&mut lane, 0, b"abc");
        take(&mut lane, 0, b"def");
        assert_eq!(lane.release(at(0), 4, &mut |_| {}), b"abcd");
        assert_eq!(lane.release(at(0), 4, &mut |_| {}), b"ef");
        assert!(!lane.cuts(at(9), &mut |_| {}) && lane.next_at(at(0)) == Moment::NEVER);
        lane.end();
        assert!(lane.is_over(at(0)));
    }

    #[test]
    fn what_is_held_passes_after_its_time_in_its_order() {
        let mut lane = lane("at 5ms..10ms delay 200", 1);
        take(&mut lane, 4, b"a");
        take(&mut lane, 5, b"bc");
        take(&mut lane, 10, b"d");
        assert_eq!(lane.next_at(at(5)), at(10));
        assert_eq!(passes(&mut lane, &[10, 204]), [1, 0]);
        assert_eq!(lane.next_at(at(10)), at(205));
        assert_eq!(passes(&mut lane, &[205, 206]), [3, 0], "nothing is overtaken");
    }

    #[test]
    fn chance_is_repeated_by_its_seed() {
        let run = |seed| {
            let mut lane = lane("delay 1..1000\ncorrupt 1", seed);
            let mut told = Vec::new();
            let mut passed = Vec::new();
            for ms in 0..20 {
                lane.take(at(ms), vec![0; 700], 0, &mut |what| told.push(what));
            }
            for ms in 0..2_000 {
                let bytes = lane.release(at(ms), usize::MAX, &mut |_| {});
                passed.push(bytes.iter().map(|byte| byte.count_ones()).sum::<u32>());
            }
            (told, passed)
        };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
        let (told, passed) = run(7);
        // 14,000 bytes have thirteen windows, and the beginning of one.
        let flipped = told.iter().filter(|what| what.contains("flipped")).count();
        assert!((13..=14).contains(&flipped), "{told:?}");
        assert_eq!(passed.iter().sum::<u32>() as usize, flipped);
    }

    #[test]
    fn the_handshake_is_not_corrupted_and_cuts_change_nothing() {
        let run = |pieces: &[usize]| {
            let mut lane = lane("corrupt 1", 3);
            let mut all = Vec::new();
            let mut from = 2_000;
            for piece in pieces {
                lane.take(at(0), vec![0; *piece], from.min(*piece), &mut |_| {});
                from -= from.min(*piece);
                all.extend(lane.release(at(0), usize::MAX, &mut |_| {}));
            }
            all
        };
        let whole = run(&[10_000]);
        assert!(whole[..2_000].iter().all(|byte| *byte == 0));
        let flipped = whole[2_000..].iter().filter(|byte| **byte != 0).count();
        assert!((7..=8).contains(&flipped), "one of each window: {flipped}");
        assert_eq!(run(&[1_999, 2, 1_023, 1, 1_000, 5_975]), whole);
    }

    #[test]
    fn a_rate_is_kept() {
        let mut lane = lane("throttle 1000", 1);
        take(&mut lane, 0, &[0; 10_000]);
        let mut passed = 0;
        for ms in 0..=5_000 {
            passed += passes(&mut lane, &[ms])[0];
            assert!(passed as u64 <= ms + 1, "{passed} in {ms} ms");
        }
        assert_eq!(passed, 5_000);
        assert_eq!(lane.next_at(at(5_000)), at(5_000 + THROTTLE_MS));
    }

    #[test]
    fn a_cut_comes_at_its_time_or_after_its_bytes_and_once() {
        let mut timed = lane("at 2s cut", 1);
        take(&mut timed, 0, b"ab");
        assert_eq!((passes(&mut timed, &[0])[0], timed.next_at(at(0))), (2, at(2_000)));
        assert!(!timed.cuts(at(1_999), &mut |_| {}));
        let mut told = Vec::new();
        assert!(timed.cuts(at(2_000), &mut |what| told.push(what)));
        assert!(!timed.cuts(at(2_001), &mut |what| told.push(what)));
        assert_eq!(told, ["cut by the tap"]);
        let mut counted = lane("after 3 cut", 1);
        take(&mut counted, 0, b"ab");
        assert_eq!(passes(&mut counted, &[0]), [2]);
        assert!(!counted.cuts(at(0), &mut |_| {}));
        take(&mut counted, 1, b"cdef");
        assert_eq!(passes(&mut counted, &[1, 2]), [1, 0]);
        assert!(counted.cuts(at(2), &mut |_| {}));
    }

    #[test]
    fn half_open_means_that_nothing_passes_until_it_ends() {
        let mut lane = lane("at 1s..2s half-open\nafter 5 half-open", 1);
        let mut told = Vec::new();
        take(&mut lane, 0, b"ab");
        for (ms, passes) in [(0, 2), (1_000, 0), (1_999, 0), (2_000, 3), (9_000, 0)] {
            let passed = lane.release(at(ms), usize::MAX, &mut |what| told.push(what));
            assert_eq!(passed.len(), passes, "at {ms}");
            if ms == 0 {
                take(&mut lane, 500, b"cdefg");
                assert_eq!(lane.next_at(at(0)), at(1_000).min(at(500)));
            }
        }
        assert_eq!(told.len(), 3, "{told:?}");
        lane.end();
        assert!(!lane.is_over(at(9_000)) && lane.waiting_bytes() == 2);
        lane.discard();
        assert!(!lane.is_over(at(9_000)), "nor does the end");
    }

    #[test]
    fn what_waits_for_others_passes_when_they_have() {
        let mut lane = lane("reorder", 1);
        assert!(lane.reorders(at(0)));
        take(&mut lane, 0, b"ab");
        lane.hold(at(100));
        assert_eq!((passes(&mut lane, &[99])[0], lane.next_at(at(99))), (0, at(100)));
        lane.hold(Moment::ZERO);
        assert_eq!(passes(&mut lane, &[99]), [2]);
    }
}
