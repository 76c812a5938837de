//! A byte buffer of fixed size that several writers fill one after the other.

/// Bytes, up to a fixed capacity, and a mark among them.
#[derive(Debug, Default)]
pub struct Buffer {
    bytes: Vec<u8>,
    mark: usize,
}

impl Buffer {
    /// An empty buffer for `capacity` bytes.
    #[must_use]
    pub fn new(capacity: usize) -> Buffer {
        Buffer { bytes: Vec::with_capacity(capacity), mark: 0 }
    }

    /// The bytes in it.
    #[must_use]
    pub fn content(&self) -> &[u8] {
        &self.bytes
    }

    /// How many bytes may still be appended without growing it.
    #[must_use]
    pub fn room(&self) -> usize {
        self.bytes.capacity() - self.bytes.len()
    }

    /// For appending at most [`Buffer::room`] bytes.
    pub fn vec(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Removes all bytes and the mark.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.mark = 0;
    }

    /// Sets the mark at the end.
    pub fn mark(&mut self) {
        self.mark = self.bytes.len();
    }

    /// The bytes after the mark.
    #[must_use]
    pub fn marked(&self) -> &[u8] {
        &self.bytes[self.mark..]
    }

    /// Removes the bytes after the mark.
    pub fn clear_marked(&mut self) {
        self.bytes.truncate(self.mark);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_behind_the_mark_can_be_told_and_taken_back() {
        let mut buffer = Buffer::new(8);
        buffer.vec().extend(b"ab");
        buffer.mark();
        buffer.vec().extend(b"cd");
        assert_eq!((buffer.content(), buffer.marked()), (&b"abcd"[..], &b"cd"[..]));
        buffer.clear_marked();
        assert_eq!((buffer.content(), buffer.marked(), buffer.room()), (&b"ab"[..], &[][..], 6));
        buffer.clear();
        assert_eq!((buffer.content(), buffer.marked(), buffer.room()), (&[][..], &[][..], 8));
    }
}
