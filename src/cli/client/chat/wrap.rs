//! Text in columns of a terminal: a grapheme cluster (Unicode's Annex 29) is one cell wide, or two.

use crate::cli::shown;
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// How many code points of a cluster are shown: marks upon marks would cover other lines.
const CLUSTER_MAX: usize = 16;

/// How many columns a text takes.
pub(super) fn columns(text: &str) -> usize {
    text.graphemes(true).map(UnicodeWidthStr::width).sum()
}

/// As much of a text as fits; what was cut ends with `…`.
pub(super) fn cut(text: &str, width: usize) -> String {
    if columns(text) <= width {
        return text.to_owned();
    }
    let mut used = 1;
    let fits = |cluster: &&str| {
        used += cluster.width();
        used <= width
    };
    let kept: String = text.graphemes(true).take_while(fits).collect();
    if width == 0 { kept } else { kept + "…" }
}

/// A text that others have written in lines of so many columns, where it begins after `begin` of them. Its own lines
/// are kept; nothing in it moves the cursor.
pub(super) fn wrap(text: &str, width: usize, begin: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut begin = begin;
    for line in text.split('\n') {
        let line = line.strip_suffix('\r').unwrap_or(line).replace('\t', "    ");
        wrap_line(&shown(&line), width.max(2), std::mem::take(&mut begin), &mut lines);
    }
    lines
}

fn wrap_line(line: &str, width: usize, begin: usize, lines: &mut Vec<String>) {
    let (mut kept, mut used) = (String::new(), begin);
    // Of the last space: how long `kept` was before it, and from where on the next line would have its text.
    let mut space: Option<(usize, usize)> = None;
    for cluster in line.graphemes(true) {
        let cluster = match cluster.char_indices().nth(CLUSTER_MAX) {
            Some((end, _)) => cluster.get(..end).unwrap_or_default(),
            None => cluster,
        };
        let wide = cluster.width();
        if used + wide > width && cluster != " " {
            let rest = match space.take() {
                Some((end, from)) => {
                    let rest = kept.get(from..).unwrap_or_default().to_owned();
                    kept.truncate(end);
                    rest
                }
                // A line that is only begun for its word goes on below.
                None => String::new(),
            };
            // Spaces may stand beyond the last column; nobody sees them.
            lines.push(std::mem::replace(&mut kept, rest).trim_end().to_owned());
            used = columns(&kept);
        }
        if cluster == " " {
            space = Some((kept.len(), kept.len() + 1));
        }
        kept.push_str(cluster);
        used += wide;
    }
    let len = if used > width { kept.trim_end().len() } else { kept.len() };
    kept.truncate(len);
    lines.push(kept);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_wrapped_between_words_and_within_long_ones() {
        for (text, width, begin, lines) in [
            ("one two three", 8, 0, &["one two", "three"][..]),
            ("one two three", 8, 4, &["one", "two", "three"]),
            ("abcdefghij", 4, 0, &["abcd", "efgh", "ij"]),
            ("ab abcdefgh", 4, 2, &["ab", "abcd", "efgh"]),
            ("a\nb\n\nc", 8, 0, &["a", "b", "", "c"]),
            ("日本語です", 4, 0, &["日本", "語で", "す"]),
            ("日本語", 5, 0, &["日本", "語"]),
            ("exact fit", 9, 0, &["exact fit"]),
            ("word   ", 4, 0, &["word"]),
            ("", 4, 0, &[""]),
        ] {
            assert_eq!(wrap(text, width, begin), lines, "{text:?} in {width}");
        }
    }

    #[test]
    fn no_line_is_wider_than_it_may_be() {
        let text =
            "The quick 👩‍🚀 e\u{301}e\u{301} 日本 brown-fox-jumps-over ﷽ the\tlazy\u{7}dog 🇩🇪🇩🇪";
        for width in 2..40 {
            for begin in 0..width {
                for (number, line) in wrap(text, width, begin).iter().enumerate() {
                    let begin = if number == 0 { begin } else { 0 };
                    assert!(begin + columns(line) <= width, "{line:?} in {width} from {begin}");
                }
            }
        }
    }

    #[test]
    fn marks_upon_marks_are_cut() {
        let text = format!("a{}b", "\u{301}".repeat(500));
        assert_eq!(wrap(&text, 10, 0), [format!("a{}b", "\u{301}".repeat(CLUSTER_MAX - 1))]);
    }

    #[test]
    fn what_does_not_fit_ends_with_an_ellipsis() {
        assert_eq!(cut("hello", 5), "hello");
        assert_eq!(cut("hello", 4), "hel…");
        assert_eq!(cut("日本語", 4), "日…");
        assert_eq!(cut("日本語", 0), "");
    }
}
