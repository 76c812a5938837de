//! A message in the making: fragments joined, text checked as it comes (RFC 6455 §5.4, §8.1).
//!
//! Takes payloads that are unmasked already; knows nothing of headers and does not inflate. Memory
//! grows with the bytes that came, never with those that were announced.

use crate::protocol::utf8::Utf8Validator;
use crate::protocol::{Opcode, Violation};

/// The kind of message that is being assembled and what is there of it.
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
    /// Whole, and handed out: its bytes go when the next event is asked for.
    Whole,
}

impl Assembler {
    /// The kind of the message that has begun and not ended, if there is one.
    #[must_use]
    pub fn current_opcode(&self) -> Option<Opcode> {
        match self.state {
            AssemblyState::Begun(opcode) => Some(opcode),
            AssemblyState::Empty | AssemblyState::Whole => None,
        }
    }

    /// Whether what is being assembled was compressed (RFC 7692 §6): then its bytes are no text yet.
    #[must_use]
    pub fn is_compressed(&self) -> bool {
        self.is_compressed
    }

    /// Takes note that the message that begins is compressed.
    pub fn mark_compressed(&mut self) {
        self.is_compressed = true;
    }

    /// Bytes of the message that are here.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether no byte of a message is here.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Takes note of a data frame that begins: the first of a message or a continuation.
    ///
    /// # Errors
    /// [`Violation::TooManyFragments`] when it is one more than `fragments_max`; a message has at
    /// least one.
    pub fn begin_frame(&mut self, opcode: Opcode, fragments_max: u32) -> Result<(), Violation> {
        if self.current_opcode().is_none() {
            self.state = AssemblyState::Begun(opcode);
        }
        // RFC 6455 §5.4 lets a message have any number of fragments, empty ones too; each costs
        // work (§10.4), so that they have a limit of their own.
        self.fragments = self.fragments.saturating_add(1);
        if self.fragments > fragments_max.max(1) {
            return Err(Violation::TooManyFragments);
        }
        Ok(())
    }

    /// Takes the next piece of the message's payload.
    ///
    /// # Errors
    /// [`Violation::TextNotUtf8`] at the first byte that no text can have there.
    pub fn append(&mut self, piece: &[u8]) -> Result<(), Violation> {
        if self.state == AssemblyState::Begun(Opcode::Text) && !self.is_compressed {
            self.utf8.feed(piece).map_err(|_| Violation::TextNotUtf8)?;
        }
        self.bytes.extend_from_slice(piece);
        Ok(())
    }

    /// Ends the message: its kind; its bytes are in [`Assembler::whole`].
    ///
    /// # Errors
    /// [`Violation::TextNotUtf8`] if a text ends within a character.
    pub fn finish(&mut self) -> Result<Opcode, Violation> {
        // RFC 6455 §8.1 concerns the message, not the frame: a fragment may end anywhere.
        let text_ends_early = !self.utf8.is_complete();
        let opcode =
            self.current_opcode().expect("a message ends that has not begun: the caller's fault");
        if text_ends_early {
            return Err(Violation::TextNotUtf8);
        }
        self.state = AssemblyState::Whole;
        Ok(opcode)
    }

    /// The bytes of the message that has ended.
    #[must_use]
    pub fn whole(&self) -> &[u8] {
        &self.bytes
    }

    /// Puts a message in the place of the one that has ended: the same, inflated.
    pub fn put_whole(&mut self, bytes: Vec<u8>) {
        *self = Assembler { state: AssemblyState::Whole, bytes, ..Assembler::default() };
    }

    /// Lets go of a message that was handed out: its bytes, if there is one.
    pub fn forget_whole(&mut self) -> Option<Vec<u8>> {
        (self.state == AssemblyState::Whole).then(|| std::mem::take(self).bytes)
    }

    /// Whether nothing is here that must be kept.
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
