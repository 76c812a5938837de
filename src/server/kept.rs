//! How a configuration says how much of a log is kept: `1000/86400000` for the newest thousand
//! entries of a day, `all/all` for everything.

use crate::hub::Retention;

/// Reads such a text.
pub(super) fn kept(text: &str) -> Option<Retention> {
    let (entries, age_ms) = text.split_once('/')?;
    let number = |text: &str| match text.trim() {
        "all" => Some(u64::MAX),
        digits => digits.parse().ok().filter(|number| *number > 0),
    };
    Some(Retention { entries: number(entries)?, age_ms: number(age_ms)? })
}

/// Writes one.
pub(super) fn kept_text(kept: Retention) -> String {
    let text = |number: u64| match number {
        u64::MAX => "all".to_owned(),
        number => number.to_string(),
    };
    format!("{}/{}", text(kept.entries), text(kept.age_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for text in ["all/all", "1000/all", "all/86400000", "1/1"] {
            assert_eq!(kept(text).map(kept_text).as_deref(), Some(text));
        }
        for text in ["", "all", "0/all", "all/0", "-1/all", "1/2/3", "x/1"] {
            assert_eq!(kept(text), None, "{text}");
        }
    }
}
