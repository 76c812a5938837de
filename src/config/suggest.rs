//! Suggests the name that was most likely meant.

/// Longer names are not compared: ours are less than half as long.
const NAME_BYTES_MAX: usize = 96;

/// The name most similar to `name`, if there is one: a name that ends in it (as `burst` instead of
/// `limits.burst`), or else the one with the fewest letters to change.
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
        .map(|known| (strsim::levenshtein(name, known), known))
        .filter(|(distance, _)| *distance <= far)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

/// The message for a name that is not one of these.
pub(super) fn unknown<'a>(name: &str, names: impl Iterator<Item = &'a str> + Clone) -> String {
    let hint = nearest(name, names.clone()).map(|known| format!("; did you mean {known}?"));
    let all: Vec<&str> = names.collect();
    format!("{name:?} is none of {}{}", all.join(", "), hint.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 5] =
        ["listen", "limits.burst", "limits.rooms", "retention.rooms", "log.level"];

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
