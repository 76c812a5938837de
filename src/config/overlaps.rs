//! Finds streams, and paths of streams, that make a request ambiguous.

use super::error::ConfigError;
use super::feed::Feed;
use crate::base::declaration::Declaration;
use crate::base::limits::DECLARATIONS_MAX;
use crate::base::pattern::Pattern;
use crate::routes::stream_path::named_by;
use crate::routes::template::overlap;

/// Each stream that shares names or paths with an earlier one, and which one. A stream declared by
/// its exact name takes precedence over a family, and so does its path.
pub(super) fn overlaps(streams: &[Declaration], feeds: &[Feed]) -> Vec<ConfigError> {
    let names: Vec<&Pattern> =
        streams.iter().take(DECLARATIONS_MAX).map(|stream| &stream.pattern).collect();
    let paths = streams.iter().filter_map(|one| Some((&one.pattern, one.path.as_deref()?)));
    let hooks = feeds.iter().filter_map(|one| Some((&one.pattern, &*one.webhook.as_ref()?.path)));
    let mut found = Vec::new();
    for (place, name) in names.iter().enumerate() {
        let is_shared =
            |other: &&&Pattern| name.is_open() == other.is_open() && name.overlaps(other);
        if let Some(other) = names[..place].iter().find(is_shared) {
            let wants =
                format!("names that fit it fit {:?}, too: only one can be meant", other.as_str());
            found.push(ConfigError::of_stream(name, "", wants));
        }
    }
    found.extend(of_paths(("path", "path"), paths.take(DECLARATIONS_MAX).collect()));
    found.extend(of_paths(("webhook", "webhook's path"), hooks.take(DECLARATIONS_MAX).collect()));
    found
}

fn of_paths(
    (member, what): (&'static str, &str),
    paths: Vec<(&Pattern, &str)>,
) -> Vec<ConfigError> {
    let of_one = |(place, (name, path)): (usize, &(&Pattern, &str))| {
        let is_shared = |(other_name, other): &&(&Pattern, &str)| {
            overlap(path, other)
                && !is_stream_of(name, path, other_name, other)
                && !is_stream_of(other_name, other, name, path)
        };
        let (other_name, other) = paths[..place].iter().find(is_shared)?;
        let other_name = other_name.as_str();
        let wants = format!(
            "its {what} {path} and {other}, that of {other_name:?}, are for the same requests"
        );
        Some(ConfigError::of_stream(name, member, wants))
    };
    paths.iter().enumerate().filter_map(of_one).collect()
}

/// Whether a stream has exactly the path that it would have as a member of a family.
fn is_stream_of(name: &Pattern, path: &str, family: &Pattern, template: &str) -> bool {
    let is_its =
        || named_by(template, path, family).is_some_and(|one| one.as_str() == name.as_str());
    !name.is_open() && family.is_open() && is_its()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::streams::declared_inline;

    fn found(text: &str) -> Vec<String> {
        let (streams, feeds) = declared_inline(text);
        overlaps(&streams, &feeds).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_could_be_meant_by_one_request_is_named_with_both() {
        for (text, said) in [
            (
                r#""a:{x}" = { publish = true }, "a:{y}" = { publish = true }"#,
                r#"stream "a:{y}": names that fit it fit "a:{x}", too"#,
            ),
            (
                r#""a:{x}" = { publish = true }, "{y}:b" = { publish = true }"#,
                r#"stream "{y}:b": names that fit it fit "a:{x}", too"#,
            ),
            (
                r#"a = { publish = true, path = "/p" }, b = { publish = true, path = "/p" }"#,
                r#"stream "b": its path /p and /p, that of "a", are for the same requests"#,
            ),
            (
                r#"a = { publish = true, path = "/p/a" }, "b:{x}" = { publish = true, path = "/p/{x}" }"#,
                r#"stream "b:{x}": its path /p/{x} and /p/a, that of "a", are"#,
            ),
            (
                r#""a:{x}" = { publish = true, path = "/p/{x}" }, "b:{x}" = { publish = true, path = "/p/{x}" }"#,
                r#"stream "b:{x}": its path /p/{x} and /p/{x}, that of "a:{x}", are"#,
            ),
            (
                r#"a = { webhook = { path = "/h/a", secret_env = "A" } }, "b:{x}" = { webhook = { path = "/h/{x}", secret_env = "A" } }"#,
                r#"stream "b:{x}": its webhook's path /h/{x} and /h/a, that of "a", are"#,
            ),
        ] {
            let found = found(&format!("{{ {text} }}"));
            assert!(found.len() == 1 && found[0].contains(said), "{text}: {found:?}");
        }
    }

    #[test]
    fn a_stream_of_its_own_name_and_path_goes_before_its_family() {
        for text in [
            r#""a:b" = { publish = true }, "a:{x}" = { publish = true }"#,
            r#""a:b" = { publish = true, path = "/p/b" }, "a:{x}" = { publish = true, path = "/p/{x}" }"#,
            r#""a:{x}" = { publish = true, path = "/p/{x}" }, "b:{x}" = { publish = true, path = "/q/{x}" }"#,
            // One is for WebSockets, the other for POST requests.
            r#"a = { path = "/p", webhook = { path = "/p", secret_env = "A" } }"#,
        ] {
            assert_eq!(found(&format!("{{ {text} }}")), [""; 0], "{text}");
        }
    }

    #[test]
    fn a_name_that_a_program_declares_twice_is_told() {
        let twice = [(); 2].map(|()| Declaration::new(Pattern::parse("a").unwrap()));
        assert_eq!(overlaps(&twice, &[]).len(), 1);
    }
}
