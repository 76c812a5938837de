//! Streams' own paths, for those who speak nothing: `/ws/adw-state/{id}` is `adw-state:{id}`.

use crate::base::StreamId;
use crate::hub::streams::Declaration;
use crate::protocol::handshake::request::percent_decoded_path;

/// The stream that a path is of, and what it is declared to be.
pub(in crate::server) fn stream_at<'d>(
    path: &str,
    declarations: &'d [Declaration],
) -> Option<(StreamId, &'d Declaration)> {
    declarations.iter().find_map(|declaration| {
        let bound = bind(declaration.path.as_deref()?, path)?;
        let values: Option<Vec<&str>> = declaration
            .pattern
            .placeholders()
            .map(|name| bound.iter().find(|(one, _)| *one == name).map(|(_, value)| &**value))
            .collect();
        let name = declaration.pattern.fill(values?)?;
        let stream = StreamId::parse(&name).ok()?;
        // A value with a colon of its own would be another stream.
        declaration.pattern.fits(&name).then_some((stream, declaration))
    })
}

/// What stands for a template's placeholders, percent-decoded.
pub(in crate::server) fn bind<'t>(template: &'t str, path: &str) -> Option<Vec<(&'t str, String)>> {
    let (mut wanted, mut given) = (template.split('/'), path.split('/'));
    let mut bound = Vec::new();
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Some(bound),
            (Some(wanted), Some(given)) => match placeholder(wanted) {
                Some(name) => bound.push((name, percent_decoded_path(given)?.into_owned())),
                None if wanted == given => {}
                None => return None,
            },
            (Some(_), None) | (None, Some(_)) => return None,
        }
    }
}

pub(in crate::server) fn placeholder(segment: &str) -> Option<&str> {
    segment.strip_prefix('{')?.strip_suffix('}')
}

/// What is wrong with a stream's path, if something is.
pub(in crate::server) fn path_fault(declaration: &Declaration) -> Option<&'static str> {
    let path = declaration.path.as_deref()?;
    let is_plain = |segment: &str| {
        segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.@-".contains(&byte))
    };
    let mut names: Vec<&str> = path.split('/').filter_map(placeholder).collect();
    let mut wanted: Vec<&str> = declaration.pattern.placeholders().collect();
    names.sort_unstable();
    wanted.sort_unstable();
    let rest = path.strip_prefix('/').unwrap_or_default();
    if rest
        .split('/')
        .any(|part| part.is_empty() || (placeholder(part).is_none() && !is_plain(part)))
    {
        Some("its path begins with / and has segments of A-Z a-z 0-9 _ . @ - or {name}")
    } else if ["/ws", "/api", "/healthz", "/readyz", "/metrics"].contains(&path)
        || rest.starts_with("api/")
    {
        Some("its path is one of the server's own")
    } else if names != wanted {
        Some("its path has each placeholder of its name once, and no other")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::streams::Pattern;

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
    fn a_path_that_could_never_work_is_refused() {
        for (name, path) in [("s", "/ws/s"), ("s:{id}", "/{id}"), ("s", "/a.b/c-d")] {
            assert_eq!(path_fault(&at(name, path)), None, "{path}");
        }
        for (name, path) in [
            ("s", "/ws"),
            ("s", "/api/v1/x"),
            ("s", "/a b"),
            ("s", "/a//b"),
            ("s", "/"),
            ("s:{id}", "/s"),
            ("s", "/s/{id}"),
            ("s:{id}", "/{id}/{id}"),
            ("s", "/metrics"),
        ] {
            assert!(path_fault(&at(name, path)).is_some(), "{path}");
        }
        assert!(path_fault(&at("s", "ws/s")).is_some(), "it begins with /");
    }
}
