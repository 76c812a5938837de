//! Streams' own paths, for plain subscribers: `/ws/adw-state/{id}` is `adw-state:{id}`.

use super::own::{is_of_page, is_own};
use super::template::{bind, placeholder};
use crate::base::StreamId;
use crate::base::declaration::{Declaration, declared};
use crate::base::pattern::Pattern;

/// The stream at a path, and its declaration.
pub(crate) fn stream_at<'d>(
    path: &str,
    declarations: &'d [Declaration],
) -> Option<(StreamId, &'d Declaration)> {
    declarations.iter().find_map(|declaration| {
        let stream =
            stream_of(declaration.path.as_deref()?, path, &declaration.pattern, declarations)?;
        Some((stream, declaration))
    })
}

/// The stream of a family at a path, by the path's template. A stream that is declared by its own
/// name does not belong to the family.
pub(crate) fn stream_of(
    template: &str,
    path: &str,
    pattern: &Pattern,
    declarations: &[Declaration],
) -> Option<StreamId> {
    let stream = named_by(template, path, pattern)?;
    let is_its = |one: &Declaration| one.pattern == *pattern;
    declared(declarations, stream.as_str()).is_some_and(is_its).then_some(stream)
}

/// The name for a path.
pub(crate) fn named_by(template: &str, path: &str, pattern: &Pattern) -> Option<StreamId> {
    let bound = bind(template, path)?;
    let values: Option<Vec<&str>> = pattern
        .placeholders()
        .map(|name| bound.iter().find(|(one, _)| *one == name).map(|(_, value)| &**value))
        .collect();
    let name = pattern.fill(values?)?;
    let stream = StreamId::parse(&name).ok()?;
    // A value with a colon would name another stream.
    pattern.fits(&name).then_some(stream)
}

/// The error in a stream's own path or its webhook's, if there is one.
pub(crate) fn path_fault(path: &str, pattern: &Pattern) -> Option<&'static str> {
    // RFC 3986 §5.2.4: clients remove dot segments, so they never ask for such a path.
    let is_plain = |segment: &str| {
        let is_of_path = |byte: u8| byte.is_ascii_alphanumeric() || b"_.@-".contains(&byte);
        segment.bytes().all(is_of_path) && ![".", ".."].contains(&segment)
    };
    let mut names: Vec<&str> = path.split('/').filter_map(placeholder).collect();
    let mut wanted: Vec<&str> = pattern.placeholders().collect();
    names.sort_unstable();
    wanted.sort_unstable();
    let rest = path.strip_prefix('/').unwrap_or_default();
    if rest
        .split('/')
        .any(|part| part.is_empty() || (placeholder(part).is_none() && !is_plain(part)))
    {
        Some(
            "its path begins with / and has segments of A-Z a-z 0-9 _ . @ - or {name}, none of which is . or ..",
        )
    } else if is_own(path) || is_of_page(path) {
        Some("its path is, or could be, one of the server's own")
    } else if names != wanted {
        Some("its path has each placeholder of its name once, and no other")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::template::overlap;

    fn at(name: &str, path: &str) -> Declaration {
        let mut declaration = Declaration::new(Pattern::parse(name).unwrap());
        declaration.path = Some(path.into());
        declaration
    }

    #[test]
    fn a_path_is_a_stream() {
        let all = [
            at("state", "/ws/state"),
            at("adw-state:{id}", "/ws/adw-state/{id}"),
            at("a:{x}:{y}", "/a/{y}/b/{x}"),
        ];
        let name = |path: &str| stream_at(path, &all).map(|(stream, _)| stream.to_string());
        assert_eq!(name("/ws/state").as_deref(), Some("state"));
        assert_eq!(name("/ws/adw-state/7").as_deref(), Some("adw-state:7"));
        assert_eq!(name("/ws/adw-state/a%2Eb").as_deref(), Some("adw-state:a.b"));
        assert_eq!(name("/a/1/b/2").as_deref(), Some("a:2:1"));
        for nothing in [
            "/",
            "/ws",
            "/ws/state/",
            "/ws/adw-state/",
            "/ws/adw-state/a%3Ab",
            "/ws/adw-state/a/b",
            "/ws/adw-state/%20",
            "/ws/adw-state/%ff",
        ] {
            assert_eq!(name(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn the_path_of_a_family_is_not_of_a_stream_with_a_name_of_its_own() {
        let name = |all: &[Declaration], path: &str| {
            stream_at(path, all)
                .map(|(stream, found)| (stream.to_string(), found.pattern.to_string()))
        };
        let family = at("a:{x}", "/a/{x}");
        let own = Declaration::new(Pattern::parse("a:b").unwrap());
        let all = [family.clone(), own];
        assert_eq!(name(&all, "/a/b"), None);
        assert_eq!(name(&all, "/a/c"), Some(("a:c".into(), "a:{x}".into())));
        for all in [[family.clone(), at("a:b", "/a/b")], [at("a:b", "/a/b"), family]] {
            assert_eq!(name(&all, "/a/b"), Some(("a:b".into(), "a:b".into())));
        }
    }

    #[test]
    fn templates_overlap_where_a_path_could_be_of_both() {
        for (one, other) in
            [("/a", "/a"), ("/a/{x}", "/a/{y}"), ("/a/{x}", "/a/b"), ("/a/{x}", "/{y}/b")]
        {
            assert!(overlap(one, other) && overlap(other, one), "{one} {other}");
        }
        for (one, other) in [("/a", "/b"), ("/a/{x}", "/a"), ("/a/{x}", "/b/{x}")] {
            assert!(!overlap(one, other) && !overlap(other, one), "{one} {other}");
        }
    }

    #[test]
    fn a_path_that_could_never_work_is_refused() {
        for (name, path) in [
            ("s", "/ws/s"),
            ("s:{id}", "/s/{id}"),
            ("s", "/a.b/c-d"),
            ("s", "/..."),
            ("s", "/api/v1/ws/s"),
        ] {
            assert_eq!(fault(name, path), None, "{path}");
        }
        for (name, path) in [
            ("s", "/ws"),
            ("s", "/api/v1/rooms"),
            ("s", "/api/v1/search/x"),
            ("s", "/a b"),
            ("s", "/a//b"),
            ("s", "/a/../ws"),
            ("s", "/./b"),
            ("s", "/a/.."),
            ("s", "/"),
            ("s:{id}", "/s"),
            ("s", "/s/{id}"),
            ("s:{id}", "/{id}/{id}"),
            ("s", "/metrics"),
            ("s", "/app.js"),
            ("s", "/icon.svg"),
            // It could stand for /ws, and these for /api/v1/info.
            ("s:{id}", "/{id}"),
            ("s:{id}", "/api/v1/{id}"),
            ("s:{id}", "/api/{id}/info"),
        ] {
            assert!(fault(name, path).is_some(), "{path}");
        }
        assert!(fault("s", "ws/s").is_some(), "it begins with /");
    }

    fn fault(name: &str, path: &str) -> Option<&'static str> {
        path_fault(path, &Pattern::parse(name).unwrap())
    }
}
