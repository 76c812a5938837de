//! SipHash with its key as an argument.
//!
//! Names come from clients, so the hash must be keyed against crafted collisions. The standard
//! library's key differs per process, so a simulator's seed would not replay.

use std::collections::hash_map::DefaultHasher;
use std::hash::{BuildHasher, Hasher};

/// Makes keyed hashers for a `HashMap`.
#[derive(Clone, Copy, Debug)]
pub struct SeededHash(u64);

impl SeededHash {
    /// Hashers with this key.
    #[must_use]
    pub const fn new(key: u64) -> SeededHash {
        SeededHash(key)
    }
}

impl BuildHasher for SeededHash {
    type Hasher = DefaultHasher;
    fn build_hasher(&self) -> DefaultHasher {
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(self.0);
        hasher
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_alone_decides() {
        let hash = |key: u64| SeededHash::new(key).hash_one("lobby");
        assert_eq!(hash(1), hash(1));
        assert_ne!(hash(1), hash(2));
    }
}
