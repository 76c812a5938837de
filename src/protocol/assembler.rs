//! Joins a message's fragments and checks its text as it arrives (RFC 6455 §5.4, §8.1).
//!
//! Takes unmasked payloads; knows nothing of headers and does not inflate. Memory grows with the
//! bytes received, never with the bytes announced.

use crate::protocol::utf8::Utf8Validator;
use crate::protocol::{Opcode, Violation};

/// A message in progress: its kind and the bytes received so far.
#[derive(Debug, Default)]
pub struct Assembler {
    state: AssemblyState,
    bytes: Vec<u8>,
    utf8: Utf8Validator,
    fragments: u32,
    is_compressed: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum AssemblyState {
    #[default]
    Empty,
    Begun(Opcode),
    /// Complete and handed out: its bytes are freed when the next event is asked for.
    Whole,
}

impl Assembler {
    /// The kind of the unfinished message, if there is one.
    #[must_use]
    pub fn current_opcode(&self) -> Option<Opcode> {
        match self.state {
            AssemblyState::Begun(opcode) => Some(opcode),
            AssemblyState::Empty | AssemblyState::Whole => None,
        }
    }

    /// Whether the message is compressed (RFC 7692 §6): its bytes are then not text yet.
    #[must_use]
    pub fn is_compressed(&self) -> bool {
        self.is_compressed
    }

    /// Marks the message that begins as compressed.
    pub fn mark_compressed(&mut self) {
        self.is_compressed = true;
    }

    /// Bytes of the message received so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether no byte of a message has been received.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Begins a data frame: the first of a message or a continuation.
    ///
    /// # Errors
    /// [`Violation::TooManyFragments`] if the frame exceeds `fragments_max`; a message always has
    /// at least one.
    pub fn begin_frame(&mut self, opcode: Opcode, fragments_max: u32) -> Result<(), Violation> {
        if self.current_opcode().is_none() {
            self.state = AssemblyState::Begun(opcode);
        }
        // RFC 6455 §5.4 allows any number of fragments, empty ones too. Each costs work (§10.4), so
        // their number has its own limit.
        self.fragments = self.fragments.saturating_add(1);
        if self.fragments > fragments_max.max(1) {
            return Err(Violation::TooManyFragments);
        }
        Ok(())
    }

    /// Takes the next piece of the message's payload.
    ///
    /// # Errors
    /// [`Violation::TextNotUtf8`] at the first byte that cannot occur there in valid text.
    pub fn append(&mut self, piece: &[u8]) -> Result<(), Violation> {
        if self.state == AssemblyState::Begun(Opcode::Text) && !self.is_compressed {
            self.utf8.feed(piece).map_err(|_| Violation::TextNotUtf8)?;
        }
        self.bytes.extend_from_slice(piece);
        Ok(())
    }

    /// Ends the message and returns its kind; [`Assembler::whole`] returns its bytes.
    ///
    /// # Errors
    /// [`Violation::TextNotUtf8`] if a text ends within a character.
    pub fn finish(&mut self) -> Result<Opcode, Violation> {
        // RFC 6455 §8.1 applies to the message, not the frame: a fragment may end within a
        // character.
        let text_ends_early = !self.utf8.is_complete();
        let opcode =
            self.current_opcode().expect("a message ends that has not begun: the caller's fault");
        if text_ends_early {
            return Err(Violation::TextNotUtf8);
        }
        self.state = AssemblyState::Whole;
        Ok(opcode)
    }

    /// The bytes of the finished message.
    #[must_use]
    pub fn whole(&self) -> &[u8] {
        &self.bytes
    }

    /// Replaces the finished message by its inflated form.
    pub fn put_whole(&mut self, bytes: Vec<u8>) {
        *self = Assembler { state: AssemblyState::Whole, bytes, ..Assembler::default() };
    }

    /// Removes a message that was handed out and returns its bytes, if there is one.
    pub fn forget_whole(&mut self) -> Option<Vec<u8>> {
        (self.state == AssemblyState::Whole).then(|| std::mem::take(self).bytes)
    }

    /// Whether there is nothing to keep.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.state == AssemblyState::Empty
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fragments_are_joined_and_characters_may_be_cut_between_them() {
        let mut assembler = Assembler::default();
        assembler.begin_frame(Opcode::Text, 3).unwrap();
        assembler.append(b"a\xe2").unwrap();
        assembler.begin_frame(Opcode::Continuation, 3).unwrap();
        assembler.append(b"\x82").unwrap();
        assembler.begin_frame(Opcode::Continuation, 3).unwrap();
        assembler.append(b"\xac").unwrap();
        assert_eq!(assembler.finish(), Ok(Opcode::Text));
        assert_eq!(assembler.whole(), "a€".as_bytes());
        assert_eq!(assembler.forget_whole().as_deref(), Some("a€".as_bytes()));
        assert!(assembler.is_idle() && assembler.is_empty());
    }

    #[test]
    fn a_text_that_ends_within_a_character_is_refused() {
        let mut assembler = Assembler::default();
        assembler.begin_frame(Opcode::Text, 1).unwrap();
        assembler.append(b"\xe2\x82").unwrap();
        assert_eq!(assembler.finish(), Err(Violation::TextNotUtf8));
    }

    #[test]
    fn the_limit_of_fragments_counts_empty_ones() {
        let mut assembler = Assembler::default();
        assembler.begin_frame(Opcode::Binary, 2).unwrap();
        assembler.begin_frame(Opcode::Continuation, 2).unwrap();
        assert_eq!(
            assembler.begin_frame(Opcode::Continuation, 2),
            Err(Violation::TooManyFragments)
        );
    }
}
