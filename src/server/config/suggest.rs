//! The name that somebody most likely meant.

/// Longer names are not compared: no name of ours is half as long.
const NAME_BYTES_MAX: usize = 96;

/// The one of `names` that is most like `name`, if one is like it at all: one that ends in it (as
/// `burst` where `limits.burst` belongs), or else the one with the fewest letters to change.
pub(super) fn nearest<'a>(
    name: &str,
    names: impl Iterator<Item = &'a str> + Clone,
) -> Option<&'a str> {
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        return None;
    }
    let last = |name: &str| name.rsplit('.').next().map(str::to_owned);
    let mut ending = names.clone().filter(|known| known.contains('.') && last(known) == last(name));
    if let (Some(one), None) = (ending.next(), ending.next()) {
        return Some(one);
    }
    let far = 1 + name.len() / 5;
    names
        .map(|known| (distance(name, known), known))
        .filter(|(distance, _)| *distance <= far)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

/// What is said of a name that is none of these.
pub(super) fn unknown<'a>(name: &str, names: impl Iterator<Item = &'a str> + Clone) -> String {
    let hint = nearest(name, names.clone()).map(|known| format!("; did you mean {known}?"));
    let all: Vec<&str> = names.collect();
    format!("{name:?} is none of {}{}", all.join(", "), hint.unwrap_or_default())
}

/// How many letters must be changed, put in or left out (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    // Of the letters of `one` so far, to each beginning of `other`.
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, letter) in one.chars().enumerate() {
        let mut diagonal = line;
        row[0] = line + 1;
        for (column, &known) in other.iter().enumerate() {
            let changed = diagonal + usize::from(letter != known);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 5] =
        ["listen", "limits.burst", "limits.rooms", "retention.rooms", "log.level"];

    #[test]
    fn letters_are_counted_that_must_change() {
        for (one, other, count) in
            [("", "", 0), ("", "abc", 3), ("abc", "", 3), ("kitten", "sitting", 3), ("ä", "a", 1)]
        {
            assert_eq!(distance(one, other), count, "{one} {other}");
        }
    }

    #[test]
    fn the_nearest_name_is_found_and_what_is_like_none_has_none() {
        let nearest = |name: &str| nearest(name, NAMES.iter().copied());
        assert_eq!(nearest("limits.bursts"), Some("limits.burst"));
        assert_eq!(nearest("limit.burst"), Some("limits.burst"));
        assert_eq!(nearest("burst"), Some("limits.burst"), "it stands in another table");
        assert_eq!(nearest("log.burst"), Some("limits.burst"));
        assert_eq!(nearest("limits.room"), Some("limits.rooms"));
        assert_eq!(nearest("listne"), Some("listen"));
        for like_none in ["", "secret", "x", &"limits.burst".repeat(9)] {
            assert_eq!(nearest(like_none), None, "{like_none}");
        }
    }
}
