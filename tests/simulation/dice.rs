//! All chance of a run, from its seed.

use parlor::base::Chance;
use parlor::protocol::{MaskKey, MaskKeys};

/// Numbers for one run, or for a part of it that must not disturb the others.
#[derive(Debug)]
pub(crate) struct Dice(Chance);

impl Dice {
    pub(crate) fn new(seed: u64) -> Dice {
        Dice(Chance::new(seed))
    }

    pub(crate) fn seed(&mut self) -> u64 {
        self.0.next_u64()
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0.below(end as u64) as usize
    }

    /// A number of these, both ends included.
    pub(crate) fn range(&mut self, from: u64, to: u64) -> u64 {
        from + self.0.below(to - from + 1)
    }

    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.0.below(n) == 0
    }

    pub(crate) fn percent(&mut self, percent: u64) -> bool {
        self.0.below(100) < percent
    }

    pub(crate) fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    /// A number, as a rule near `from`, seldom near `to`.
    pub(crate) fn skewed(&mut self, from: u64, to: u64) -> u64 {
        let far = self.range(from, to);
        let near = self.range(from, far);
        self.range(from, near)
    }
}

impl MaskKeys for Dice {
    fn next_key(&mut self) -> MaskKey {
        (self.seed() as u32).to_ne_bytes()
    }
}
