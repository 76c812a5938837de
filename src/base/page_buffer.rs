//! A buffer that begins at a chosen place within a page of memory.
//!
//! The system copies to and from its own pages from their beginning on. A buffer that begins at
//! nearly the same place in its page, as `malloc` puts large ones, makes each load wait for a store
//! that only looks like one to the same address: for large messages that costs a quarter of the
//! speed (`benches/README.md`).

/// A page of memory.
const PAGE_BYTES: usize = 4_096;

/// Bytes in a buffer of fixed size.
#[derive(Debug, Default)]
pub struct PageBuffer {
    /// Never longer than what was allocated at first: it would move.
    bytes: Vec<u8>,
    start: usize,
    capacity: usize,
    mark: usize,
}

impl PageBuffer {
    /// An empty buffer for `capacity` bytes, the first of which lies `offset` bytes into a page.
    #[must_use]
    pub fn new(capacity: usize, offset: usize) -> PageBuffer {
        let mut bytes: Vec<u8> = Vec::with_capacity(capacity + PAGE_BYTES);
        let here = bytes.as_ptr().addr() % PAGE_BYTES;
        let start = (offset % PAGE_BYTES + PAGE_BYTES - here) % PAGE_BYTES;
        bytes.resize(start, 0);
        PageBuffer { bytes, start, capacity, mark: start }
    }

    /// What is in it.
    #[must_use]
    pub fn content(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// How many bytes may still be appended.
    #[must_use]
    pub fn room(&self) -> usize {
        self.start + self.capacity - self.bytes.len()
    }

    /// For appending, no more than there is [room](PageBuffer::room) for.
    pub fn vec(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Forgets what is in it, and the mark.
    pub fn clear(&mut self) {
        self.bytes.truncate(self.start);
        self.mark = self.start;
    }

    /// Marks the place behind what is in it.
    pub fn mark(&mut self) {
        self.mark = self.bytes.len();
    }

    /// What was appended behind the mark.
    #[must_use]
    pub fn marked(&self) -> &[u8] {
        &self.bytes[self.mark..]
    }

    /// Forgets what was appended behind the mark.
    pub fn clear_marked(&mut self) {
        self.bytes.truncate(self.mark);
    }

    /// All of it, for reading into: what is in it stays, the rest is zeros.
    pub fn whole(&mut self) -> &mut [u8] {
        self.bytes.resize(self.start + self.capacity, 0);
        &mut self.bytes[self.start..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_begins_where_it_should_and_does_not_move() {
        for offset in [0, 16, 2_032, 4_095, 5_000] {
            for capacity in [0, 1, 10_000, 300_000] {
                let mut buffer = PageBuffer::new(capacity, offset);
                let place = buffer.content().as_ptr().addr();
                assert_eq!(place % PAGE_BYTES, offset % PAGE_BYTES);
                assert_eq!((buffer.content(), buffer.room()), (&[][..], capacity));
                buffer.vec().extend(std::iter::repeat_n(7, capacity));
                assert_eq!((buffer.content().len(), buffer.room()), (capacity, 0));
                assert!(buffer.content().iter().all(|byte| *byte == 7));
                assert_eq!(buffer.whole().as_ptr().addr(), place);
                buffer.clear();
                assert_eq!((buffer.content(), buffer.room()), (&[][..], capacity));
                assert_eq!(buffer.whole().len(), capacity);
                buffer.clear();
                if capacity > 4 {
                    buffer.vec().extend(b"ab");
                    buffer.mark();
                    buffer.vec().extend(b"cd");
                    assert_eq!((buffer.content(), buffer.marked()), (&b"abcd"[..], &b"cd"[..]));
                    buffer.clear_marked();
                    assert_eq!((buffer.content(), buffer.marked()), (&b"ab"[..], &[][..]));
                }
            }
        }
    }
}
