//! Which paths are the server's own, so that nobody else's shadows one.

use super::assets::ASSETS;
use super::route::METRICS_PATH;
use crate::server::streams::{bind, placeholder};

/// What is there beside the page and the API.
const OWN: &[&str] = &["/ws", "/api", "/healthz", "/readyz", METRICS_PATH];

/// Whether a path is the server's own, or a name in braces could stand for a part of one.
pub(in crate::server) fn is_own(template: &str) -> bool {
    let below_api = template.strip_prefix('/').and_then(|rest| rest.split_once('/'));
    let is_api = |(first, _): (&str, &str)| first == "api" || placeholder(first).is_some();
    OWN.iter().any(|own| bind(template, own).is_some()) || below_api.is_some_and(is_api)
}

/// Whether it is, or could be, a file of the page, which an embedding program may replace.
pub(in crate::server) fn is_of_page(template: &str) -> bool {
    ASSETS.iter().any(|asset| bind(template, asset.path).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_the_servers_own_also_where_a_name_in_braces_could_make_it_so() {
        for own in ["/ws", "/metrics", "/readyz", "/api", "/api/v1/x", "/api/{x}", "/{x}", "/{x}/y"]
        {
            assert!(is_own(own), "{own}");
        }
        for other in ["/", "/ws/state", "/hooks/{x}", "/apis/x", "/app.js", "/metrics/x"] {
            assert!(!is_own(other), "{other}");
        }
        for page in ["/", "/app.js", "/{x}", "/client/index.js", "/client/{x}"] {
            assert!(is_of_page(page), "{page}");
        }
        assert!(!is_of_page("/queue") && !is_of_page("/js/{x}"));
    }
}
