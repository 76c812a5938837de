//! Masking keys and nonces from the system's random source.

use crate::protocol::{MaskKey, MaskKeys};
use std::fmt;

/// Keys fetched together: one system call per frame would cost more than the frame.
const KEYS_AT_ONCE: usize = 64;

/// RFC 6455 §5.3, §10.3: masking keys that whoever supplies the payload cannot predict.
pub struct SystemKeys {
    keys: [MaskKey; KEYS_AT_ONCE],
    left: usize,
}

impl SystemKeys {
    /// Fetches no key before the first one is needed.
    #[must_use]
    pub fn new() -> SystemKeys {
        SystemKeys { keys: [MaskKey::default(); KEYS_AT_ONCE], left: 0 }
    }
}

impl Default for SystemKeys {
    fn default() -> SystemKeys {
        SystemKeys::new()
    }
}

impl fmt::Debug for SystemKeys {
    // Without the keys, since logs are read.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SystemKeys").field("left", &self.left).finish_non_exhaustive()
    }
}

impl MaskKeys for SystemKeys {
    /// # Panics
    /// If the system has no random source. Continuing with predictable keys would be worse.
    fn next_key(&mut self) -> MaskKey {
        if self.left == 0 {
            getrandom::fill(self.keys.as_flattened_mut()).expect("the system has a random source");
            self.left = KEYS_AT_ONCE;
        }
        self.left -= 1;
        // Each key is used once and erased.
        std::mem::take(&mut self.keys[self.left])
    }
}

/// RFC 6455 §4.1, 7: sixteen bytes for
/// [`ClientHandshake::new`](crate::protocol::handshake::client::ClientHandshake::new), chosen at
/// random for each connection.
///
/// # Panics
/// If the system has no random source.
#[must_use]
pub fn system_nonce() -> [u8; 16] {
    let mut nonce = [0; 16];
    getrandom::fill(&mut nonce).expect("the system has a random source");
    nonce
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn keys_and_nonces_do_not_come_twice() {
        let mut keys = SystemKeys::new();
        let seen: BTreeSet<MaskKey> = (0..1_000).map(|_| keys.next_key()).collect();
        // A thousand of 2^32: two of them are equal once in nine thousand runs.
        assert!(seen.len() >= 998, "{}", seen.len());
        assert_ne!(system_nonce(), system_nonce());
        assert!(!format!("{keys:?}").contains("keys:"), "{keys:?}");
    }
}
