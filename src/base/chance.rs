//! Randomness as an argument: a small generator (SplitMix64) with a seed.
//!
//! For jitter and for names that need not be secret. Masking keys and tokens come from the system's
//! source.

/// Pseudo-random numbers; the same seed gives the same numbers.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// A generator with this seed.
    #[must_use]
    pub const fn new(seed: u64) -> Chance {
        Chance(seed)
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ (bits >> 31)
    }

    /// A number below `end`; 0 if `end` is 0.
    pub fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(end)) >> 64) as u64
    }

    /// `value`, up to a tenth more or less.
    pub fn about(&mut self, value: u64) -> u64 {
        value - value / 10 + self.below(value / 5 + 1)
    }

    /// A word of `len` letters and digits.
    pub fn word(&mut self, len: usize) -> String {
        const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
        (0..len).map(|_| char::from(ALPHABET[self.below(32) as usize])).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_decides_and_bounds_hold() {
        let mut one = Chance::new(7);
        let mut other = Chance::new(7);
        assert_eq!(one.word(12), other.word(12));
        assert_ne!(Chance::new(8).word(12), Chance::new(7).word(12));
        for _ in 0..1_000 {
            assert!(one.below(3) < 3);
            assert!((90..=110).contains(&one.about(100)));
        }
        assert_eq!(one.below(0), 0);
    }
}
