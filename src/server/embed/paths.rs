//! The paths of the embedding program.

use super::http_path::HttpPath;
use super::socket::OwnPath;
use crate::base::declaration::Declaration;
use crate::base::pattern::Pattern;
use crate::config::{Config, Feed};
use crate::routes::own::is_own;
use crate::routes::template::{self, bind, overlap, placeholder};

/// The values of a path's parameters.
pub(crate) type Params = Vec<(String, String)>;

/// The registered paths.
#[derive(Debug, Default)]
pub(crate) struct Paths {
    http: Vec<HttpPath>,
    sockets: Vec<OwnPath>,
}

impl Paths {
    /// Adds an HTTP path, or replaces the one with this path and method.
    pub(crate) fn add_http(&mut self, path: HttpPath) {
        self.http.retain(|one| (&one.template, one.method) != (&path.template, path.method));
        self.http.push(path);
    }

    /// Adds a WebSocket path, or replaces it. Open WebSockets keep the handler that they have.
    pub(crate) fn add_socket(&mut self, path: OwnPath) {
        self.sockets.retain(|one| one.path.template != path.path.template);
        self.sockets.push(path);
    }

    /// The HTTP path for a request; or, if the path has only other methods, those.
    pub(crate) fn find_http(
        &self,
        method: &str,
        path: &str,
    ) -> Option<Result<(&HttpPath, Params), String>> {
        let paths = self.http.iter().map(|one| (one.method, one));
        template::find(paths, method, |one| bound(&one.template, path))
    }

    /// The WebSocket path for a request.
    pub(crate) fn find_socket(&self, path: &str) -> Option<(&OwnPath, Params)> {
        self.sockets.iter().find_map(|one| Some((one, bound(&one.path.template, path)?)))
    }
}

fn bound(template: &str, path: &str) -> Option<Params> {
    let bound = bind(template, path)?;
    Some(bound.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// Why the program cannot have a path, if so. HTTP may have `/`.
pub(crate) fn fault(template: &str, is_socket: bool) -> Option<&'static str> {
    let is_plain = |segment: &str| {
        // RFC 3986 §5.2.4: clients remove segments of dots, so nobody asks for them.
        ![".", ".."].contains(&segment)
            && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.@-".contains(&byte))
    };
    let Some(rest) = template.strip_prefix('/') else {
        return Some("a path begins with /");
    };
    if is_own(template) || (rest.is_empty() && is_socket) {
        return Some("this path is one of the server's own");
    }
    let mut names: Vec<&str> = template.split('/').filter_map(placeholder).collect();
    names.sort_unstable();
    let has_twice = names.windows(2).any(|pair| pair[0] == pair[1]);
    let is_segment = |part: &str| match placeholder(part) {
        Some(name) => !name.is_empty() && is_plain(name),
        None => !part.is_empty() && is_plain(part),
    };
    let is_sound = rest.is_empty() || rest.split('/').all(is_segment);
    (has_twice || !is_sound)
        .then_some("a path has segments of A-Z a-z 0-9 _ . @ - or {name}, each name once")
}

/// The stream whose path, or whose webhook's path, would take requests from the program's path; and
/// the member that has it.
pub(crate) fn taken_by<'a>(
    template: &str,
    is_socket: bool,
    config: &'a Config,
) -> Option<(&'a Pattern, &'static str)> {
    let is_same = |path: &str| overlap(path, template);
    if is_socket {
        let has_path = |stream: &&Declaration| stream.path.as_deref().is_some_and(is_same);
        return config.streams.iter().find(has_path).map(|stream| (&stream.pattern, "path"));
    }
    let has_hook = |feed: &&Feed| feed.webhook.as_ref().is_some_and(|hook| is_same(&hook.path));
    config.feeds.iter().find(has_hook).map(|feed| (&feed.pattern, "webhook"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_a_stream_is_none_of_the_programs() {
        let mut config = Config::new(([127, 0, 0, 1], 0).into(), crate::store::Place::Memory);
        let streams =
            "{ s = { path = \"/ws/s\", webhook = { path = \"/hooks/s\", secret_env = \"S\" } } }";
        config.set(&format!("streams={streams}")).unwrap();
        let is_taken =
            |template, is_socket, config| taken_by(template, is_socket, config).is_some();
        assert!(is_taken("/ws/s", true, &config) && is_taken("/ws/{x}", true, &config));
        assert!(is_taken("/hooks/s", false, &config) && is_taken("/hooks/{x}", false, &config));
        // One is for WebSockets, the other for POST.
        assert!(!is_taken("/ws/s", false, &config) && !is_taken("/hooks/s", true, &config));
    }

    #[test]
    fn a_path_that_could_not_work_is_refused() {
        for good in
            ["/queue", "/queue/{id}", "/a.b/c-d/{x}/{y}", "/ws/queue", "/api/v1/queue", "/{x}/y"]
        {
            assert_eq!(fault(good, true), None, "{good}");
        }
        assert_eq!(fault("/", false), None);
        for wrong in [
            "/",
            "",
            "queue",
            "/ws",
            "/api/v1/rooms/{x}/y",
            "/metrics",
            "/a//b",
            "/a b",
            "/a/{x}/{x}",
            "/{}",
            "/{x}",
            "/{x}/v1/rooms",
            "/a/../b",
            "/./a",
        ] {
            assert!(fault(wrong, true).is_some(), "{wrong}");
        }
    }
}
