//! The server's own paths, so that no other path shadows one: today's, and some names reserved for
//! later (`docs/http.md`, "Paths").

use super::assets::ASSETS;
use super::table::ROUTES;
use super::template::{overlap, placeholder};

/// WebSockets, and nothing else.
pub(crate) const SOCKET_PATH: &str = "/ws";
/// The metrics.
pub(crate) const METRICS_PATH: &str = "/metrics";
/// Whether the server answers at all.
pub(crate) const HEALTH_PATH: &str = "/healthz";
/// Whether the server takes requests.
pub(crate) const READY_PATH: &str = "/readyz";
/// The sign-in of browsers.
pub(crate) const SIGN_IN_PATH: &str = "/api/v1/sign-in";
/// Everything that a user's WebSocket would be pushed.
pub(crate) const EVENTS_PATH: &str = "/api/v1/events";
/// Issues tickets.
pub(crate) const TICKET_PATH: &str = "/api/v1/ticket";
/// The streams. Nobody can publish to paths below them.
pub(crate) const STREAMS_PATH: &str = "/api/v1/streams/";
/// The description of the API.
pub(crate) const OPENAPI_PATH: &str = "/api/v1/openapi.json";
/// The prefix of all calls.
pub(crate) const PREFIX: &str = "/api/v1/";
/// Any request, called by its type.
pub(crate) const CALL_PATH: &str = "/api/v1/call/";
/// Paths beside the page and the API, and the roots of the API, which are still empty.
const OWN: &[&str] = &[SOCKET_PATH, HEALTH_PATH, READY_PATH, METRICS_PATH, "/api/v1", "/api/v2"];
/// Versions of the API: the current one and the next.
const VERSIONS: &[&str] = &["v1", "v2"];
/// Names of the API outside its table.
const BESIDE: &[&str] = &["events", "openapi.json", "sign-in", "ticket"];
/// Names reserved for later.
const LATER: &[&str] =
    &["admin", "files", "handlers", "invites", "messages", "presence", "search", "sources"];

/// Whether a template can match one of the server's own paths.
pub(crate) fn is_own(template: &str) -> bool {
    OWN.iter().any(|own| overlap(template, own)) || is_of_api(template)
}

/// Below `/api/v1/`, the first segment decides.
fn is_of_api(template: &str) -> bool {
    let mut segments = template.split('/');
    let mut next_is = |fits: &dyn Fn(&str) -> bool| {
        segments.next().is_some_and(|one| placeholder(one).is_some() || fits(one))
    };
    let is_name = |one: &str| {
        let mut of_table = ROUTES.iter().filter_map(|route| route.path.split('/').next());
        of_table.any(|name| name == one) || BESIDE.contains(&one) || LATER.contains(&one)
    };
    next_is(&str::is_empty)
        && next_is(&|one| one == "api")
        && next_is(&|one| VERSIONS.contains(&one))
        && next_is(&is_name)
}

/// Whether a template can match a file of the page, which an embedding program may replace.
pub(crate) fn is_of_page(template: &str) -> bool {
    ASSETS.iter().any(|asset| overlap(template, asset.path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_the_servers_own_also_where_a_name_in_braces_could_make_it_so() {
        for own in [
            "/ws",
            "/metrics",
            "/readyz",
            "/{x}",
            "/api/v1",
            "/api/{x}",
            "/api/v1/{x}",
            "/api/v1/{x}/y",
            "/api/{x}/rooms",
            "/{x}/{y}/{z}",
            "/{x}/v1/users/{y}",
            "/api/v1/rooms/a/wallpaper",
            "/api/v1/search",
            "/api/v2/rooms",
        ] {
            assert!(is_own(own), "{own}");
        }
        for other in [
            "/",
            "/ws/state",
            "/hooks/{x}",
            "/apis/x",
            "/app.js",
            "/metrics/x",
            "/api",
            "/api/public/queue",
            "/api/v1/ws/workflows",
            "/api/v1/ws/{x}",
            "/api/v1/room",
            "/api/{x}/queue",
            "/api/v10/rooms",
            "/{x}/y",
        ] {
            assert!(!is_own(other), "{other}");
        }
        for page in ["/", "/app.js", "/{x}", "/client/index.js", "/client/{x}"] {
            assert!(is_of_page(page), "{page}");
        }
        assert!(!is_of_page("/queue") && !is_of_page("/js/{x}"));
    }

    #[test]
    fn whatever_the_server_answers_is_its_own_and_what_it_keeps_is_published() {
        let of_table = ROUTES.iter().map(|route| format!("{PREFIX}{}", route.path));
        let beside = [EVENTS_PATH, TICKET_PATH, SIGN_IN_PATH, OPENAPI_PATH].map(str::to_owned);
        for path in of_table.chain(beside) {
            assert!(is_own(&path), "{path}");
        }
        let published = include_str!("../../docs/http.md");
        let names = ROUTES.iter().filter_map(|route| route.path.split('/').next());
        for name in names.chain(BESIDE.iter().chain(LATER).copied()) {
            assert!(published.contains(&format!("`{name}`")), "{name} is not in docs/http.md");
        }
    }
}
