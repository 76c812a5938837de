//! Incremental UTF-8 validation (RFC 6455 §8.1, RFC 3629): fails at the first byte that cannot
//! occur there in valid text.
//!
//! The standard library checks; this adds that a character may be split anywhere.

/// No continuation can make the text valid UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidUtf8;

/// Validates a text that arrives in pieces. Holds at most the three bytes of an unfinished
/// character.
#[derive(Clone, Copy, Debug, Default)]
pub struct Utf8Validator {
    unfinished: [u8; 4],
    len: u8,
}

impl Utf8Validator {
    /// Takes the next piece.
    ///
    /// # Errors
    /// [`InvalidUtf8`] as soon as no continuation could make the text valid.
    pub fn feed(&mut self, piece: &[u8]) -> Result<(), InvalidUtf8> {
        let rest = if self.len > 0 { self.finish_character(piece)? } else { piece };
        let Err(error) = std::str::from_utf8(rest) else {
            return Ok(());
        };
        if error.error_len().is_some() {
            return Err(InvalidUtf8);
        }
        // No length: the remaining bytes, at most three, may begin a character.
        let begun = &rest[error.valid_up_to()..];
        self.unfinished[..begun.len()].copy_from_slice(begun);
        self.len = begun.len() as u8;
        Ok(())
    }

    /// Whether the text may end here, that is, not within a character.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.len == 0
    }

    /// Moves bytes of `piece` to the unfinished character until it is complete, invalid, or `piece`
    /// is used up; returns the rest of `piece`.
    fn finish_character<'p>(&mut self, piece: &'p [u8]) -> Result<&'p [u8], InvalidUtf8> {
        for (i, byte) in piece.iter().enumerate() {
            // At most four: a fourth byte makes a character complete or invalid.
            self.unfinished[self.len as usize] = *byte;
            self.len += 1;
            match std::str::from_utf8(&self.unfinished[..self.len as usize]) {
                Ok(_) => {
                    self.len = 0;
                    return Ok(&piece[i + 1..]);
                }
                Err(error) if error.error_len().is_some() => return Err(InvalidUtf8),
                Err(_) => {}
            }
        }
        Ok(&[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The index of the byte that is refused when bytes are fed one by one; `None` if all are
    /// valid.
    fn refused_at(text: &[u8]) -> Option<usize> {
        let mut validator = Utf8Validator::default();
        text.iter().position(|byte| validator.feed(&[*byte]).is_err())
    }

    #[test]
    fn each_impossible_byte_is_refused_at_once() {
        for (text, place) in [
            (&b"\xff"[..], 0),
            (b"a\xc0", 1),    // overlong, two bytes
            (b"\xe0\x80", 1), // overlong, three bytes
            (b"\xf0\x8f", 1), // overlong, four bytes
            (b"\xed\xa0", 1), // a surrogate
            (b"\xf4\x90", 1), // above U+10FFFF
            (b"\xf5", 0),
            (b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4\x90", 12),
            (b"\xe2\x28\xa1", 1),
            (b"\x80", 0),
        ] {
            assert_eq!(refused_at(text), Some(place), "{text:x?}");
        }
    }

    #[test]
    fn a_text_may_not_end_within_a_character() {
        let mut validator = Utf8Validator::default();
        validator.feed("κ".as_bytes()).unwrap();
        assert!(validator.is_complete());
        validator.feed(b"\xf0\x9f\x98").unwrap();
        assert!(!validator.is_complete());
        validator.feed(b"\x80").unwrap();
        assert!(validator.is_complete());
    }

    proptest! {
        #[test]
        fn the_cuts_do_not_matter(
            text in prop_oneof![
                any::<String>().prop_map(String::into_bytes),
                proptest::collection::vec(any::<u8>(), 0..40),
                ("[aé€😀]{0,9}", proptest::collection::vec(any::<u8>(), 0..3))
                    .prop_map(|(text, tail)| [text.as_bytes(), &tail].concat()),
            ],
            cut in any::<prop::sample::Index>(),
        ) {
            let whole = std::str::from_utf8(&text).is_ok();
            let cut = cut.index(text.len() + 1);
            let mut validator = Utf8Validator::default();
            let taken = validator.feed(&text[..cut]).and_then(|()| validator.feed(&text[cut..]));
            prop_assert_eq!(taken.is_ok() && validator.is_complete(), whole);
            prop_assert_eq!(refused_at(&text).is_some(), taken.is_err());
        }
    }
}
