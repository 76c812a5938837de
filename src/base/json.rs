//! Requirements on JSON beyond its grammar.

/// Why a text is not accepted as JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotJson {
    /// It breaks the grammar.
    Grammar,
    /// It is nested deeper than the limit.
    TooDeep,
    /// A name appears twice in an object.
    NameTwice,
    /// A `\uD800`–`\uDFFF` without its other half.
    LoneSurrogate,
}

impl NotJson {
    /// A sentence for people.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            NotJson::Grammar => "the message is not JSON",
            NotJson::TooDeep => "the JSON is nested too deeply",
            NotJson::NameTwice => "a name comes twice in the JSON",
            NotJson::LoneSurrogate => "the JSON has half of a surrogate pair",
        }
    }
}

/// Checks a text for depth (`depth_max`) and lone surrogates, in one pass. It does not check the
/// grammar.
///
/// # Errors
/// [`NotJson::TooDeep`] or [`NotJson::LoneSurrogate`].
pub fn scan(text: &str, depth_max: usize) -> Result<(), NotJson> {
    let bytes = text.as_bytes();
    let mut depth = 0usize;
    let mut is_in_string = false;
    let mut place = 0;
    while let Some(&byte) = bytes.get(place) {
        place += 1;
        match (is_in_string, byte) {
            (false, b'"') => is_in_string = true,
            (false, b'{' | b'[') => {
                depth += 1;
                if depth > depth_max {
                    return Err(NotJson::TooDeep);
                }
            }
            (false, b'}' | b']') => depth = depth.saturating_sub(1),
            (true, b'"') => is_in_string = false,
            (true, b'\\') => {
                if let Some(unit) = escaped_unit(bytes, place) {
                    place += 5;
                    match unit {
                        0xD800..=0xDBFF => {
                            let is_pair = bytes.get(place) == Some(&b'\\')
                                && matches!(escaped_unit(bytes, place + 1), Some(0xDC00..=0xDFFF));
                            if !is_pair {
                                return Err(NotJson::LoneSurrogate);
                            }
                            place += 6;
                        }
                        0xDC00..=0xDFFF => return Err(NotJson::LoneSurrogate),
                        _ => {}
                    }
                } else {
                    place += 1;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// The number of the `uXXXX` at `place`, if there is one.
fn escaped_unit(bytes: &[u8], place: usize) -> Option<u32> {
    let [b'u', digits @ ..] = bytes.get(place..place + 5)? else { return None };
    let digits = std::str::from_utf8(digits).ok()?;
    u32::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nesting_has_a_limit_and_brackets_in_strings_do_not_count() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(scan(&nested(32), 32), Ok(()));
        assert_eq!(scan(&nested(33), 32), Err(NotJson::TooDeep));
        assert_eq!(scan(&format!("\"{}\"", "[".repeat(99)), 32), Ok(()));
        assert_eq!(scan("\"\\\"[[\"", 1), Ok(()));
    }

    #[test]
    fn halves_of_surrogate_pairs_are_found() {
        for whole in
            [r#""\ud83d\ude00""#, r#""\\ud83d""#, r#""\u00e4""#, r#""\uD83D\uDE00\uD83D\uDE00""#]
        {
            assert_eq!(scan(whole, 32), Ok(()), "{whole}");
        }
        for half in
            [r#""\ud83d""#, r#""\ude00""#, r#""\ud83d\ud83d""#, r#""\ud83dx""#, r#""\\\ud83d""#]
        {
            assert_eq!(scan(half, 32), Err(NotJson::LoneSurrogate), "{half}");
        }
    }

    proptest! {
        #[test]
        fn the_scan_survives_anything(text in "[\\\\\"ud8c0-9\\[\\]{}]{0,40}") {
            let _ = scan(&text, 4);
        }
    }
}
