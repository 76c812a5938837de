//! What logs, errors and the terminal show of a configuration. URLs may contain secrets in their
//! queries, which are never shown; of streams and handlers only the names are shown.

use super::config::Config;
use super::feed::FeedTarget;
use super::key::{ConfigKey, ValueKind};
use std::collections::BTreeMap;

/// Most names shown; beyond that only their number is.
const NAMES_MAX: usize = 20;

impl ConfigKey {
    /// Its value in `config`, without secrets, as logs may show it.
    #[must_use]
    pub fn redacted(&self, config: &Config) -> String {
        match self.entries(config) {
            Some(entries) => listed(entries.keys().map(|name| name.as_str())),
            None => masked(&self.shown(config)),
        }
    }

    /// How its value has changed, without secrets; `None` if it has not.
    #[must_use]
    pub fn change(&self, before: &Config, after: &Config) -> Option<String> {
        let (shown_before, shown_after) = (self.shown(before), self.shown(after));
        if shown_before == shown_after {
            return None;
        }
        let (Some(old), Some(new)) = (self.entries(before), self.entries(after)) else {
            let (before, after) = (masked(&shown_before), masked(&shown_after));
            let hidden = if before == after { ", in its query" } else { "" };
            return Some(format!("{after:?}, was {before:?}{hidden}"));
        };
        let lacking = |all: &Entries, other: &Entries| {
            listed(all.keys().filter(|name| !other.contains_key(*name)).map(String::as_str))
        };
        let is_other =
            |name: &&String| old.get(*name).is_some_and(|entry| Some(entry) != new.get(*name));
        let changed = new.keys().filter(is_other).map(String::as_str);
        let parts = [
            ("added", lacking(&new, &old)),
            ("changed", listed(changed)),
            ("removed", lacking(&old, &new)),
        ];
        let parts = parts.iter().filter(|(_, names)| !names.is_empty());
        let parts: Vec<String> = parts.map(|(what, names)| format!("{what} {names}")).collect();
        Some(if parts.is_empty() { "another order".to_owned() } else { parts.join("; ") })
    }

    /// The entries of a section of which only the names are shown.
    fn entries(&self, config: &Config) -> Option<Entries> {
        let ValueKind::Section(section) = &self.kind else { return None };
        let mut entries = Entries::new();
        for (name, lines) in (section.entries)(config) {
            entries.entry(name).or_default().push(lines);
        }
        section.is_private.then_some(entries)
    }
}

/// By name; several entries may share one.
type Entries = BTreeMap<String, Vec<Vec<String>>>;

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut names: Vec<String> = names.map(|name| format!("{name:?}")).collect();
    let more = names.len().saturating_sub(NAMES_MAX);
    names.truncate(NAMES_MAX);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    names.join(", ") + &more
}

/// The configuration without the queries of its URLs, which may then not be valid URLs.
#[must_use]
pub(super) fn without_secrets(config: &Config) -> Config {
    let mut config = config.clone();
    for poll in config.feeds.iter_mut().filter_map(|feed| feed.poll.as_mut()) {
        if let FeedTarget::Url(url) = &mut poll.target {
            *url = masked(url).into();
        }
    }
    for handler in &mut config.handlers {
        handler.url = masked(&handler.url).into();
    }
    config.auth_url = config.auth_url.as_deref().map(masked);
    config
}

/// The text; if it is a URL, without its query and without a user name and password.
pub(super) fn masked(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let (who, rest) = rest.rsplit_once('@').map_or(("", rest), |(_, rest)| ("…@", rest));
    let end = rest.find(['?', '#']);
    let (rest, query) = end.map_or((rest, ""), |end| (rest.get(..end).unwrap_or_default(), "?…"));
    format!("{scheme}://{who}{rest}{query}")
}

/// A flag without its value, if that may contain URLs or programs' arguments.
pub(super) fn flag(text: &str) -> String {
    match text.split_once('=') {
        Some((name, value)) if value.contains(['{', '[', '?']) || value.contains("://") => {
            format!("{name}=…")
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::example::defaults;
    use crate::config::keys::find;

    #[test]
    fn a_query_and_a_user_are_not_told() {
        for (text, told) in [
            ("http://a/b?token=x", "http://a/b?…"),
            ("https://a#x", "https://a?…"),
            ("http://u:p@a/b", "http://…@a/b"),
            ("http://u:p?/w@a/b?c", "http://…@a/b?…"),
            ("http://a/{id}", "http://a/{id}"),
            ("no url?", "no url?"),
        ] {
            assert_eq!(masked(text), told);
        }
        assert_eq!(flag("--set streams={ s = 7 }"), "--set streams=…");
        assert_eq!(flag("--set auth.url=http://a/?x"), "--set auth.url=…");
        assert_eq!(flag("--set limits.page=4"), "--set limits.page=4");
    }

    #[test]
    fn of_streams_and_handlers_only_names_are_told() {
        let of = |streams: &str| {
            let mut config = defaults();
            config.set(&format!("streams={streams}")).unwrap();
            config
        };
        let before =
            of("{ a = { publish = true }, b = { publish = true }, c = { publish = true } }");
        let after = of(
            "{ b = { url = \"http://h/?token=x\", every_ms = 10 }, c = { publish = true }, d = { publish = true } }",
        );
        let key = find("streams").unwrap();
        let said = "added \"d\"; changed \"b\"; removed \"a\"";
        assert_eq!(key.change(&before, &after).as_deref(), Some(said));
        assert_eq!(key.redacted(&after), "\"b\", \"c\", \"d\"");
        assert_eq!(key.change(&after, &after), None);

        let handlers = |list: &str| {
            let mut config = defaults();
            config.set(&format!("handlers=[{list}]")).unwrap();
            config
        };
        let (a, b) = (
            "{ types = [\"a\"], url = \"http://h/\" }",
            "{ types = [\"b.*\", \"c\"], url = \"http://h/\" }",
        );
        let key = find("handlers").unwrap();
        let (one, other) = (handlers(&format!("{a}, {b}")), handlers(&format!("{b}, {a}")));
        assert_eq!(key.change(&one, &other).as_deref(), Some("another order"));
        assert_eq!(key.redacted(&one), "\"a\", \"b.*,c\"");
        assert_eq!(listed(["x"; 23].into_iter()).split(' ').next_back(), Some("more"));
    }

    #[test]
    fn a_changed_query_is_a_change_of_which_nothing_is_told() {
        let of = |url: &str| {
            let mut config = defaults();
            config.set(&format!("auth.url={url}")).unwrap();
            config
        };
        let said = find("auth.url").unwrap().change(&of("http://a/?x"), &of("http://a/?y"));
        assert_eq!(said.as_deref(), Some("\"http://a/?…\", was \"http://a/?…\", in its query"));
    }
}
