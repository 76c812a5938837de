//! What a message of a run carries, by which it is known again wherever it comes: who sent it, its number, and when it
//! was meant to leave.

use std::fmt::Write;
use std::time::Duration;

/// Before each mark.
const BEGIN: &str = "parlor-load ";
/// What fills a message up to its size.
const FILL: &str = "abcdefghijklmnopqrstuvwxyz0123456789";

/// What is in a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LoadMark {
    pub(super) sender: u32,
    pub(super) number: u64,
    /// When it was meant to leave, since the run began.
    pub(super) meant: Duration,
    /// When it left.
    pub(super) sent: Duration,
}

/// The marks of a run.
#[derive(Clone, Debug)]
pub(super) struct Marks {
    /// The beginning of each, with the run's name.
    begin: String,
    /// Bytes of a text.
    size: usize,
}

/// What a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// It has no mark, or that of another run.
    Nothing,
    Mark(LoadMark),
    /// It has a mark, and is not as it was sent.
    Altered,
}

impl Marks {
    /// The run's name has neither spaces nor what JSON escapes.
    pub(super) fn new(run: &str, size: usize) -> Marks {
        Marks { begin: format!("{BEGIN}{run} "), size }
    }

    /// The text with a mark, as long as a text is, or as the mark.
    pub(super) fn text(&self, mark: LoadMark) -> String {
        let mut text = String::with_capacity(self.size.max(64));
        let LoadMark { sender, number, meant, sent } = mark;
        // Writing to a string has no error.
        let (meant, sent) = (meant.as_micros(), sent.as_micros());
        let _ = write!(text, "{}{sender} {number} {meant} {sent} ", self.begin);
        while text.len() < self.size {
            let left = self.size - text.len();
            text.push_str(FILL.get(..left.min(FILL.len())).unwrap_or_default());
        }
        text
    }

    /// Looks for a mark in whatever came.
    pub(super) fn find(&self, text: &str) -> Found {
        let Some(at) = text.find(&self.begin) else { return Found::Nothing };
        let from = text.get(at..).unwrap_or_default();
        let mut parts = from.get(self.begin.len()..).unwrap_or_default().splitn(5, ' ');
        let mut number = || parts.next()?.parse::<u64>().ok();
        let numbers = [number(), number(), number(), number()];
        let [Some(sender), Some(number), Some(meant), Some(sent)] = numbers else {
            return Found::Altered;
        };
        let Ok(sender) = u32::try_from(sender) else { return Found::Altered };
        let (meant, sent) = (Duration::from_micros(meant), Duration::from_micros(sent));
        let mark = LoadMark { sender, number, meant, sent };
        // The fill says whether all of it has come.
        if from.starts_with(&self.text(mark)) { Found::Mark(mark) } else { Found::Altered }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_found_again_wherever_it_stands() {
        for size in [0, 64, 300] {
            let marks = Marks::new("r1", size);
            let (meant, sent) = (Duration::from_micros(456_789), Duration::from_micros(457_000));
            let mark = LoadMark { sender: 7, number: 123, meant, sent };
            let text = marks.text(mark);
            assert!(text.len() >= size && text.len() <= size.max(64));
            assert_eq!(marks.find(&format!("{{\"text\":\"{text}\"}}")), Found::Mark(mark));
            assert_eq!(Marks::new("r2", size).find(&text), Found::Nothing);
            assert_eq!(marks.find(&text.replace("123", "12x")), Found::Altered);
        }
        let marks = Marks::new("r1", 200);
        let text = marks.text(LoadMark {
            sender: 7,
            number: 1,
            meant: Duration::ZERO,
            sent: Duration::ZERO,
        });
        assert_eq!(marks.find(&text[..150]), Found::Altered);
        assert_eq!(marks.find("nothing"), Found::Nothing);
        assert_eq!(marks.find("parlor-load r1 5 99999999999999999999 1 1 "), Found::Altered);
    }
}
