//! The embedded page, and the headers that protect it.

use sha1::{Digest, Sha1};
use std::sync::LazyLock;

/// No foreign sources and no inline code, so that users' text cannot become a program.
pub(crate) const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; \
    style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; \
    form-action 'none'; frame-ancestors 'none'";

/// A file of the page.
pub(crate) struct Asset {
    pub(crate) path: &'static str,
    pub(crate) content_type: &'static str,
    pub(crate) body: &'static [u8],
}

macro_rules! assets {
    ($($path:literal, $folder:literal, $content_type:ident: $($file:literal)+;)+) => {
        /// Every file of the page.
        pub(crate) const ASSETS: &[Asset] = &[
            Asset { path: "/", content_type: HTML, body: include_bytes!("../../web/index.html") },
            Asset { path: DASHBOARD, content_type: HTML, body: DASHBOARD_PAGE },
            // As people type it.
            Asset { path: "/dashboard/", content_type: HTML, body: DASHBOARD_PAGE },
            $($(Asset {
                path: concat!($path, $file),
                content_type: $content_type,
                body: include_bytes!(concat!("../../", $folder, $file)),
            },)+)+
        ];
    };
}

const DASHBOARD: &str = "/dashboard";
const DASHBOARD_PAGE: &[u8] = include_bytes!("../../web/dashboard/index.html");
const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

// Where they are served, where they are kept, and what they are.
assets! {
    "/", "web/", SVG: "icon.svg";
    "/", "web/", CSS: "style.css";
    "/", "web/", JS:
        "app.js" "chatlog.js" "composer.js" "door.js" "drafts.js" "house.js" "lists.js"
        "log.js" "names.js" "notify.js" "plan.js" "presence.js" "rooms.js" "rows.js"
        "said.js" "search.js" "session.js" "text.js" "theme.js" "tools.js" "unsent.js"
        "virtual.js" "words.js";
    "/dashboard/", "web/dashboard/", CSS: "dashboard.css" "uplot.css";
    "/dashboard/", "web/dashboard/", JS:
        "actions.js" "alarms.js" "format.js" "link.js" "main.js" "plots.js" "tables.js" "uplot.js";
    // Those of the JavaScript client itself.
    "/client/", "clients/js/src/", JS:
        "base.js" "client.js" "connection.js" "entries.js" "env.js" "errors.js"
        "hint.js" "index.js" "indexeddb.js" "outbox.js" "presence.js" "requests.js"
        "room.js" "sse.js" "stream.js" "streams.js" "tokens.js" "world.js";
}

/// A strong validator per file (RFC 9110 §8.8.3), in the order of [`ASSETS`].
static TAGS: LazyLock<Vec<String>> =
    LazyLock::new(|| ASSETS.iter().map(|asset| tag(asset.body)).collect());

/// A strong entity tag for this content.
pub(crate) fn tag(content: &[u8]) -> String {
    let digits: String = Sha1::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("\"{digits}\"")
}

/// The file at a path, and its entity tag.
pub(crate) fn asset(path: &str) -> Option<(&'static Asset, &'static str)> {
    let place = ASSETS.iter().position(|asset| asset.path == path)?;
    Some((&ASSETS[place], TAGS.get(place)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_page_is_embedded() {
        let mut count = 0;
        for (folder, root) in [("/web", "/"), ("/web/dashboard", "/dashboard/")] {
            let place = format!("{}{folder}", env!("CARGO_MANIFEST_DIR"));
            let files = std::fs::read_dir(place).unwrap().map(Result::unwrap);
            for file in files.filter(|file| file.file_type().unwrap().is_file()) {
                let name = file.file_name().into_string().unwrap();
                let path = format!("{root}{}", if name == "index.html" { "" } else { &name });
                assert!(asset(&path).is_some(), "{folder}/{name} is not in the table");
                count += 1;
            }
        }
        // The dashboard also has a path without a slash at its end.
        count += 1;
        let of_client = ASSETS.iter().filter(|asset| asset.path.starts_with("/client/")).count();
        assert_eq!(count + of_client, ASSETS.len());
    }

    /// The paths of the modules that a module imports, resolved from its own path.
    fn imports(asset: &'static Asset) -> Vec<String> {
        let text = std::str::from_utf8(asset.body).unwrap();
        let (folder, _) = asset.path.rsplit_once('/').unwrap();
        let named = text.lines().filter(|line| !line.trim_start().starts_with(['/', '*']));
        let asked = |line: &'static str| {
            let at = ["from './", "await import('./", "void import('./"]
                .iter()
                .find_map(|how| line.split_once(how));
            at?.1.split_once('\'')
        };
        named.filter_map(asked).map(|(name, _)| format!("{folder}/{name}")).collect()
    }

    #[test]
    fn every_module_that_another_imports_is_embedded() {
        let mut wanted = std::collections::HashSet::new();
        for module in ASSETS.iter().filter(|asset| asset.content_type == JS) {
            for path in imports(module) {
                assert!(asset(&path).is_some(), "{} imports {path}", module.path);
                wanted.insert(path);
            }
        }
        // And every served file of the client is used by the page.
        for module in ASSETS.iter().filter(|asset| asset.path.starts_with("/client/")) {
            assert!(wanted.contains(module.path), "nobody imports {}", module.path);
        }
    }
}
