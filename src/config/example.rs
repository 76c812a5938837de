//! The configuration as TOML: the commented example with the defaults, and any configuration with
//! the origins of its values.

use super::config::Config;
use super::environment::variable;
use super::key::{ConfigKey, Section, ValueKind};
use super::keys::keys;
use super::origin::Origins;
use crate::store::Place;
use std::fmt::Write;
use std::net::{Ipv4Addr, SocketAddr};

/// The program's default port.
const PORT: u16 = 8080;

/// The default configuration. The caller sets where the data is stored.
pub(super) fn defaults() -> Config {
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, PORT));
    Config::new(listen, Place::Directory("".into()))
}

/// Every key and its default, a line each.
#[must_use]
pub fn keys_and_defaults() -> String {
    let defaults = defaults();
    let lines = keys().iter().map(|key| format!("  {}={}", key.name, key.shown(&defaults)));
    lines.collect::<Vec<_>>().join("\n")
}

const HEAD: &str = "\
# parlor.toml: every key, with its default. Remove the # in front of a key to change it. Indented
# lines are examples, for tables that are empty by default.
#
# parlor reads --config FILE, or the file that PARLOR_CONFIG names, or ./parlor.toml if it is there.
# A key's environment variable overrides the file, and a flag overrides both. SIGHUP reads the file
# again: a (live) key takes effect at once, (new connections) for connections opened afterwards,
# (restart) at the next start. `parlor config --check FILE` reports every error.
";

/// A `parlor.toml` with every key, its default, and its purpose. Keys are commented out, with no
/// space after the `#`; examples of sections have three spaces.
#[must_use]
pub fn example() -> String {
    let defaults = defaults();
    let mut text = HEAD.to_owned();
    each(&mut text, |text, key| {
        text.push('\n');
        for line in wrapped(key.about).into_iter().chain(wrapped(&hint(key))) {
            let _ = writeln!(text, "# {line}");
        }
        if let ValueKind::Section(section) = &key.kind {
            members(text, section);
            // A missing array of tables is empty, so its header is commented out.
            let _ = match section.is_list() {
                true => writeln!(text, "#   [[{}]]", key.name),
                false => writeln!(text, "[{}]", key.name),
            };
            for line in section.example {
                let _ = writeln!(text, "#   {line}");
            }
            return;
        }
        let (_, name) = path(key);
        let _ = writeln!(text, "#{name} = {}", value(key, &defaults));
    });
    text
}

/// Describes the members of a section's entries.
fn members(text: &mut String, section: &Section) {
    for (name, about) in (section.members)() {
        for (place, line) in wrapped(&format!("{name}: {about}")).into_iter().enumerate() {
            let _ = writeln!(text, "# {}{line}", if place == 0 { "- " } else { "" });
        }
    }
}

/// A configuration, with the origins of values that are not the defaults. Of secrets it contains
/// only the files' names.
#[must_use]
pub(super) fn whole(config: &Config, origins: &Origins) -> String {
    let mut text = String::new();
    each(&mut text, |text, key| {
        let origin = origins.get(key.name);
        let origin = origin.map(|origin| format!("  # {origin}")).unwrap_or_default();
        // A TOML comment must not contain control characters.
        let origin = origin.replace(char::is_control, "?");
        if let ValueKind::Section(section) = &key.kind {
            if !section.is_list() {
                let _ = writeln!(text, "\n[{}]{origin}", key.name);
            }
            for (_, lines) in (section.entries)(config) {
                if section.is_list() {
                    let _ = writeln!(text, "\n[[{}]]{origin}", key.name);
                }
                let _ = writeln!(text, "{}", lines.join("\n"));
            }
            return;
        }
        let (_, name) = path(key);
        let _ = writeln!(text, "{name} = {}{origin}", value(key, config));
    });
    text
}

/// Writes every key, under the header of its table.
fn each(text: &mut String, mut write: impl FnMut(&mut String, &ConfigKey)) {
    let mut current = "";
    for key in keys() {
        let (table, _) = path(key);
        let is_section = matches!(key.kind, ValueKind::Section(_));
        if table != current && !is_section {
            let _ = writeln!(text, "\n[{table}]");
            current = table;
        }
        if is_section {
            current = key.name;
        }
        write(text, key);
    }
}

/// The key's table, and its name there.
fn path(key: &ConfigKey) -> (&'static str, &'static str) {
    key.name.rsplit_once('.').unwrap_or(("", key.name))
}

fn hint(key: &ConfigKey) -> String {
    let mut wants = key.wants();
    if let Some(first) = wants.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    format!("{wants}. {} ({})", variable(key.name), key.effect)
}

/// A value in TOML. For a section these are its entries, on lines of their own.
fn value(key: &ConfigKey, config: &Config) -> String {
    match &key.kind {
        ValueKind::Number { .. } | ValueKind::Flag { .. } => key.shown(config),
        ValueKind::Text { .. } | ValueKind::Section(_) => quoted(&key.shown(config)),
        ValueKind::List { get, .. } => {
            let items: Vec<String> = get(config).iter().map(|item| quoted(item)).collect();
            format!("[{}]", items.join(", "))
        }
    }
}

/// A text as a basic string of TOML, with its quotation marks.
#[must_use]
pub fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            letter if letter.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(letter));
            }
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

/// Splits a comment into lines.
fn wrapped(text: &str) -> Vec<String> {
    const LINE_LEN_MAX: usize = 96;
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().filter(|line| line.chars().count() + word.len() < LINE_LEN_MAX);
        match line {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) => line.extend([" ", word]),
            None => lines.push(word.to_owned()),
        }
    }
    lines
}
