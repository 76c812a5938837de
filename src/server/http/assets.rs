//! The embedded page and the headers that keep it safe.

use sha1::{Digest, Sha1};
use std::sync::LazyLock;

/// Nothing from elsewhere, nothing inline: what users write cannot become a program.
pub(super) const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; \
    style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; \
    form-action 'none'; frame-ancestors 'none'";

/// A file of the page.
pub(super) struct Asset {
    pub(super) path: &'static str,
    pub(super) content_type: &'static str,
    pub(super) body: &'static [u8],
}

macro_rules! assets {
    ($($path:literal, $file:literal, $content_type:ident;)+) => {
        /// Every file of the page.
        pub(super) const ASSETS: &[Asset] = &[$(Asset {
            path: $path,
            content_type: $content_type,
            body: include_bytes!(concat!("../../../web/", $file)),
        },)+];
    };
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

assets! {
    "/app.js", "app.js", JS;
    "/chatlog.js", "chatlog.js", JS;
    "/codes.js", "codes.js", JS;
    "/composer.js", "composer.js", JS;
    "/connection.js", "connection.js", JS;
    "/door.js", "door.js", JS;
    "/house.js", "house.js", JS;
    "/icon.svg", "icon.svg", SVG;
    "/", "index.html", HTML;
    "/lists.js", "lists.js", JS;
    "/log.js", "log.js", JS;
    "/outbox.js", "outbox.js", JS;
    "/presence.js", "presence.js", JS;
    "/requests.js", "requests.js", JS;
    "/rooms.js", "rooms.js", JS;
    "/rows.js", "rows.js", JS;
    "/session.js", "session.js", JS;
    "/style.css", "style.css", CSS;
    "/text.js", "text.js", JS;
    "/theme.js", "theme.js", JS;
}

/// A strong validator of each file's content (RFC 9110 §8.8.3), in the order of [`ASSETS`].
static TAGS: LazyLock<Vec<String>> =
    LazyLock::new(|| ASSETS.iter().map(|asset| tag(asset.body)).collect());

/// A strong entity tag of a content.
pub(super) fn tag(content: &[u8]) -> String {
    let digits: String = Sha1::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("\"{digits}\"")
}

/// The file at a path, and its entity tag.
pub(super) fn asset(path: &str) -> Option<(&'static Asset, &'static str)> {
    let place = ASSETS.iter().position(|asset| asset.path == path)?;
    Some((&ASSETS[place], TAGS.get(place)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_page_is_embedded() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/web");
        let mut count = 0;
        for file in std::fs::read_dir(folder).unwrap() {
            let name = file.unwrap().file_name().into_string().unwrap();
            let path = if name == "index.html" { "/".to_owned() } else { format!("/{name}") };
            assert!(asset(&path).is_some(), "web/{name} is not in the table");
            count += 1;
        }
        assert_eq!(count, ASSETS.len());
    }
}
