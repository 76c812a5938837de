//! The LZ77 sliding window (RFC 7692 §7.1.1, RFC 1951 §2): the newest bytes of one direction.

use super::Codecs;
use std::sync::Arc;

/// The newest bytes, up to the agreed size. Memory is allocated only for bytes actually sent; the
/// limit on all windows counts the full size from the start.
#[derive(Debug)]
pub(super) struct Window {
    bytes: Vec<u8>,
    bits: u8,
    codecs: Arc<Codecs>,
}

impl Window {
    /// An empty window of 2^`bits` bytes.
    pub(super) fn new(bits: u8, codecs: Arc<Codecs>) -> Window {
        codecs.count_window_in(1 << bits);
        Window { bytes: Vec::new(), bits, codecs }
    }

    /// Its contents, oldest first.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Appends the next bytes of the direction.
    pub(super) fn slide(&mut self, next: &[u8]) {
        let size = 1usize << self.bits;
        let next = &next[next.len().saturating_sub(size)..];
        let too_many = (self.bytes.len() + next.len()).saturating_sub(size);
        self.bytes.drain(..too_many);
        let wanted = self.bytes.len() + next.len();
        if self.bytes.capacity() < wanted {
            // At most the window size, which is itself a power of two.
            self.bytes.reserve_exact(wanted.next_power_of_two() - self.bytes.len());
        }
        self.bytes.extend_from_slice(next);
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.bytes = Vec::new();
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        self.codecs.count_window_out(1 << self.bits);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::deflate::CodecsConfig;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_window_is_the_end_of_all_that_slid_over_it(
            bits in 3u8..9,
            pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..12),
        ) {
            let mut window = Window::new(bits, Codecs::new(CodecsConfig::default()));
            let mut all = Vec::new();
            for piece in &pieces {
                all.extend_from_slice(piece);
                window.slide(piece);
                let newest = all.len().saturating_sub(1 << bits);
                prop_assert_eq!(window.bytes(), &all[newest..]);
                prop_assert!(window.bytes.capacity() <= 1 << bits);
            }
        }
    }
}
