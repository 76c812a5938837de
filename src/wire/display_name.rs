//! Display names of people and rooms: any script, in one normal form. For ids see `base::names`.

use std::borrow::Cow;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

const NO_NAME: &str =
    "a name has no control characters, line breaks or characters that override its direction";

/// Whether a character is not allowed in a name: it would break the line or change the direction of
/// neighbouring text (Unicode's Cc, Zl, Zp, and the explicit formatting of UAX #9 §2). Joiners and
/// direction marks are allowed: scripts and emoji need them.
fn is_none_of_a_name(char: char) -> bool {
    matches!(
        char,
        '\0'..='\x1f' | '\x7f'..='\u{9f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}

/// Whether a character is invisible: a space or one that is ignorable by default.
fn is_unseen(char: char) -> bool {
    char.is_whitespace()
        || matches!(
            char,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
                | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}'
                | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}'
        )
}

/// Normalizes a requested name.
///
/// # Errors
/// The reason, as a sentence: the name contains a character that is not allowed.
pub(crate) fn asked(text: &str) -> Result<Cow<'_, str>, &'static str> {
    if text.trim().contains(is_none_of_a_name) { Err(NO_NAME) } else { Ok(plain(text)) }
}

/// A name in its stored and displayed form: without characters that are not allowed, without spaces
/// at its ends, in Unicode's normal form C (UAX #15). Empty if nothing of it would be visible.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    let text = text.trim();
    if text.chars().all(|char| is_unseen(char) || is_none_of_a_name(char)) {
        return "".into();
    }
    if !text.contains(is_none_of_a_name) && is_nfc_quick(text.chars()) == IsNormalized::Yes {
        return text.into();
    }
    let kept: String = text.chars().filter(|char| !is_none_of_a_name(*char)).nfc().collect();
    kept.trim().to_owned().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn any_script_is_a_name() {
        for name in ["Ada Lovelace", "José", "田中", "משה", "علی‌رضا", "नमस्ते", "👩‍👩‍👧", "O’Neil-Ó"]
        {
            assert_eq!(asked(name).as_deref(), Ok(name));
            assert_eq!(plain(name), name);
        }
    }

    #[test]
    fn one_name_has_one_form() {
        assert_eq!(plain("Jose\u{301}"), "José");
        assert_eq!(plain("\u{212b}ngstr\u{f6}m"), "Ångström");
        assert_eq!(plain(" \tAda\u{a0}\r\n"), "Ada");
    }

    #[test]
    fn what_breaks_the_line_or_turns_it_is_left_out() {
        for text in ["a\nb", "a\u{202e}b", "a\u{2067}b", "a\u{2028}b", "a\u{85}b", "a\0b"] {
            assert_eq!(asked(text), Err(NO_NAME), "{text:?}");
            assert_eq!(plain(text), "ab");
        }
        // Once the character between them is gone, the accent combines with the letter.
        assert_eq!(plain("e\u{202c}\u{301}"), "é");
    }

    #[test]
    fn what_nobody_sees_is_no_name() {
        for text in
            ["", "  ", "\u{200b}\u{feff}", "\u{3164}", "\u{202e}\u{200b}", "\u{e0041}\u{200d}"]
        {
            assert_eq!(plain(text), "", "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn a_plain_name_is_plain(text in any::<String>()) {
            let once = plain(&text).into_owned();
            prop_assert!(plain(&once) == once);
            prop_assert!(asked(&once).is_ok_and(|again| again == once));
        }
    }
}
