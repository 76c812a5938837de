//! Numbers that look random and are the same for the same seed. They guard nothing.

/// A sequence of numbers (SplitMix64).
#[derive(Clone, Debug)]
pub(super) struct SeededChance(u64);

impl SeededChance {
    /// The sequence of a seed; `of` tells apart those that use the same one.
    pub(super) fn new(seed: u64, of: u64) -> SeededChance {
        let mut mixed = SeededChance(seed ^ of.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        SeededChance(mixed.next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`; 0 if that is 0.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.next().checked_rem(end).unwrap_or(0)
    }
}
