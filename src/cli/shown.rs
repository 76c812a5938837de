//! What others have written, where people and browsers see it.

/// A text on one line: what others have written moves no cursor, begins no line, and turns no direction of writing.
pub(super) fn shown(text: &str) -> String {
    text.chars().map(|one| if is_harmful(one) { '\u{fffd}' } else { one }).collect()
}

/// Control characters, separators of lines and paragraphs, and what overrides the direction (Unicode's Annex 9).
fn is_harmful(one: char) -> bool {
    one.is_control()
        || matches!(one, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A text within HTML or XML. Characters that XML 1.0 has not, and controls, are U+FFFD.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::new();
    for one in text.chars() {
        match one {
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '&' => out += "&amp;",
            '"' => out += "&quot;",
            '\n' | '\t' => out.push(one),
            one if one.is_control() || matches!(one, '\u{fffe}' | '\u{ffff}') => {
                out.push('\u{fffd}');
            }
            one => out.push(one),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_have_written_controls_no_terminal() {
        assert_eq!(shown("a\x1b[2Jb\r\n\tc"), "a\u{fffd}[2Jb\u{fffd}\u{fffd}\u{fffd}c");
        assert_eq!(
            shown("\u{9b}31m\u{202e}evil\u{2066}\u{2028}"),
            "\u{fffd}31m\u{fffd}evil\u{fffd}\u{fffd}"
        );
        assert_eq!(shown("grüße 👩‍🚀 שלום"), "grüße 👩‍🚀 שלום");
    }
}
