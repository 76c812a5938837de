//! A configuration key: its purpose, its values, and when a change takes effect. `keys.rs` lists
//! all keys.

use super::config::Config;
use super::error::ConfigError;
use super::file::Document;
use super::inline::inline;
use super::redaction::masked;
use std::fmt;
use toml::Spanned;
use toml::de::{DeArray, DeInteger, DeTable, DeValue};

/// A key.
#[derive(Debug)]
pub struct ConfigKey {
    pub(super) name: &'static str,
    pub(super) effect: TakesEffect,
    /// Its purpose, as a sentence.
    pub(super) about: &'static str,
    pub(super) kind: ValueKind,
}

/// When a changed value takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TakesEffect {
    /// When the configuration is reloaded, also for open connections. Waits that have begun keep
    /// their deadlines.
    Live,
    /// When it is reloaded, for connections opened later.
    Opened,
    /// When the program restarts.
    Restart,
}

impl fmt::Display for TakesEffect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TakesEffect::Live => "live",
            TakesEffect::Opened => "new connections",
            TakesEffect::Restart => "restart",
        })
    }
}

/// The type of a key's values. `get` and `set` act on the whole configuration; `set` returns `None`
/// and changes nothing if it does not accept the value.
#[derive(Debug)]
pub(super) enum ValueKind {
    /// An integer within bounds.
    Number {
        unit: &'static str,
        min: u64,
        max: u64,
        get: fn(&Config) -> u64,
        set: fn(&mut Config, u64),
    },
    /// `true` or `false`.
    Flag { get: fn(&Config) -> bool, set: fn(&mut Config, bool) },
    /// A text.
    Text {
        wants: &'static str,
        get: fn(&Config) -> String,
        set: fn(&mut Config, &str) -> Option<()>,
    },
    /// Several texts: an array in a file, separated by commas elsewhere.
    List {
        wants: &'static str,
        get: fn(&Config) -> Vec<String>,
        set: fn(&mut Config, &[&str]) -> Option<()>,
    },
    /// A table in a file, with its own kind of entries.
    Section(Section),
}

/// A table whose entries have names chosen by the user, or an array of tables.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) wants: &'static str,
    /// The names and descriptions of its entries' members.
    pub(super) members: fn() -> Vec<(String, String)>,
    /// Example entries, one per line; for an array of tables the lines of one.
    pub(super) example: &'static [&'static str],
    pub(super) read: SectionRead,
    pub(super) entries: fn(&Config) -> Vec<SectionEntry>,
    /// Whether only the names of entries may be shown.
    pub(super) is_private: bool,
    /// The form in flags and variables, if that is not TOML.
    pub(super) short: Option<ShortForm>,
}

/// Replaces a section. Reports errors to the document, with their places.
#[derive(Debug)]
pub(super) enum SectionRead {
    Table(fn(&mut Config, &DeTable<'_>, &mut Document<'_>)),
    /// An array of tables, each of which is an entry.
    List(fn(&mut Config, &DeArray<'_>, &mut Document<'_>)),
}

/// An entry's name and its lines: one for a table, one per member for an array of tables.
pub(super) type SectionEntry = (String, Vec<String>);

/// A whole section as one text.
#[derive(Debug)]
pub(super) struct ShortForm {
    pub(super) get: fn(&Config) -> String,
    pub(super) set: fn(&mut Config, &str) -> Option<()>,
}

impl Section {
    /// Reads a value from a file; `None` if it is not a table, or a list of tables.
    fn take(
        &self,
        config: &mut Config,
        value: &DeValue<'_>,
        document: &mut Document<'_>,
    ) -> Option<()> {
        match (&self.read, value) {
            (SectionRead::Table(read), DeValue::Table(table)) => read(config, table, document),
            (SectionRead::List(read), DeValue::Array(tables)) => read(config, tables, document),
            _ => return None,
        }
        Some(())
    }

    pub(super) fn is_list(&self) -> bool {
        matches!(self.read, SectionRead::List(_))
    }

    /// The whole section as one text, as in flags and variables.
    fn shown(&self, config: &Config) -> String {
        if let Some(short) = &self.short {
            return (short.get)(config);
        }
        let entries = (self.entries)(config);
        let entry = |(_, lines): &SectionEntry| match self.is_list() {
            true => format!("{{ {} }}", lines.join(", ")),
            false => lines.join(", "),
        };
        let entries: Vec<String> = entries.iter().map(entry).collect();
        match (entries.is_empty(), self.is_list()) {
            (true, _) => String::new(),
            (false, true) => format!("[{}]", entries.join(", ")),
            (false, false) => format!("{{ {} }}", entries.join(", ")),
        }
    }
}

/// A value from a flag or a variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RawValue {
    /// A text, whatever the key's kind is.
    Text(String),
    /// Several texts, for a list.
    List(Vec<String>),
}

impl ConfigKey {
    /// Its name, such as `limits.burst`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// When a changed value takes effect.
    #[must_use]
    pub fn effect(&self) -> TakesEffect {
        self.effect
    }

    /// Its purpose, as a sentence.
    #[must_use]
    pub fn about(&self) -> &'static str {
        self.about
    }

    /// Its values, with bounds and unit.
    #[must_use]
    pub fn wants(&self) -> String {
        match &self.kind {
            ValueKind::Number { unit, min, max, .. } => {
                let unit = if unit.is_empty() { String::new() } else { format!(" ({unit})") };
                if *max > i64::MAX.unsigned_abs() {
                    format!("an integer from {min} on{unit}")
                } else {
                    format!("an integer from {min} to {max}{unit}")
                }
            }
            ValueKind::Flag { .. } => "true or false".to_owned(),
            ValueKind::Text { wants, .. } | ValueKind::List { wants, .. } => (*wants).to_owned(),
            ValueKind::Section(section) => section.wants.to_owned(),
        }
    }

    /// Its value in `config`, as `--set` takes it. May contain secrets: see
    /// [`ConfigKey::redacted`].
    #[must_use]
    pub fn shown(&self, config: &Config) -> String {
        match &self.kind {
            ValueKind::Number { get, .. } => get(config).to_string(),
            ValueKind::Flag { get, .. } => get(config).to_string(),
            ValueKind::Text { get, .. } => get(config),
            ValueKind::List { get, .. } => get(config).join(","),
            ValueKind::Section(section) => section.shown(config),
        }
    }

    /// Sets it to a value from a flag or a variable.
    pub(super) fn assign(&self, config: &mut Config, given: &RawValue) -> Result<(), ConfigError> {
        let done = match (&self.kind, given) {
            (ValueKind::Number { min, max, set, .. }, RawValue::Text(text)) => {
                let number = text.parse().ok().filter(|number| (min..=max).contains(&number));
                number.map(|number| set(config, number))
            }
            (ValueKind::Flag { set, .. }, RawValue::Text(text)) => {
                text.parse().ok().map(|flag| set(config, flag))
            }
            (ValueKind::Text { set, .. }, RawValue::Text(text)) => set(config, text),
            (ValueKind::Section(Section { short: Some(short), .. }), RawValue::Text(text)) => {
                (short.set)(config, text)
            }
            (ValueKind::Section(section), RawValue::Text(text)) => {
                let text = match (text.as_str(), section.is_list()) {
                    ("", true) => "[]",
                    ("", false) => "{}",
                    (text, _) => text,
                };
                let mut read = config.clone();
                inline(text, |value, document| self.read(&mut read, value, document))?;
                *config = read;
                Some(())
            }
            (ValueKind::List { set, .. }, RawValue::Text(text)) => {
                let items: Vec<&str> =
                    text.split(',').filter(|_| !text.is_empty()).map(str::trim).collect();
                set(config, &items)
            }
            (ValueKind::List { set, .. }, RawValue::List(items)) => {
                set(config, &items.iter().map(String::as_str).collect::<Vec<_>>())
            }
            (_, RawValue::List(_)) => None,
        };
        done.ok_or_else(|| self.refuses(given.to_string()))
    }

    /// Sets it to a value from a file.
    pub(super) fn read(
        &self,
        config: &mut Config,
        value: &Spanned<DeValue<'_>>,
        document: &mut Document<'_>,
    ) {
        let done = match (&self.kind, value.get_ref()) {
            (ValueKind::Section(section), value) => section.take(config, value, document),
            (ValueKind::Number { min, max, set, .. }, DeValue::Integer(number)) => {
                let number = integer(number).filter(|number| (min..=max).contains(&number));
                number.map(|number| set(config, number))
            }
            (ValueKind::Flag { set, .. }, DeValue::Boolean(flag)) => {
                set(config, *flag);
                Some(())
            }
            (ValueKind::Text { set, .. }, DeValue::String(text)) => set(config, text),
            (ValueKind::List { set, .. }, DeValue::Array(items)) => {
                let texts: Option<Vec<&str>> =
                    items.iter().map(|item| item.get_ref().as_str()).collect();
                texts.and_then(|texts| set(config, &texts))
            }
            _ => None,
        };
        if done.is_none() {
            document.fault(value.span(), self.refuses(described(value.get_ref())));
        }
    }

    /// Copies its value from one configuration to another.
    pub(crate) fn copy(&self, from: &Config, to: &mut Config) {
        let value = match &self.kind {
            // An item of a list may have a comma.
            ValueKind::List { get, .. } => RawValue::List(get(from)),
            _ => RawValue::Text(self.shown(from)),
        };
        let done = self.assign(to, &value);
        debug_assert!(done.is_ok(), "{} does not take what it shows", self.name);
    }

    /// Whether a number is within its bounds: an embedding program may set any value.
    pub(super) fn is_within(&self, config: &Config) -> bool {
        let ValueKind::Number { min, max, get, .. } = self.kind else { return true };
        (min..=max).contains(&get(config))
    }

    fn refuses(&self, value: String) -> ConfigError {
        ConfigError::BadValue { key: self.name, value }
    }
}

impl fmt::Display for RawValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RawValue::Text(text) => write!(f, "{:?}", masked(text)),
            RawValue::List(items) => {
                let items: Vec<String> = items.iter().map(|item| masked(item)).collect();
                write!(f, "{items:?}")
            }
        }
    }
}

/// A non-negative integer from a file.
pub(super) fn integer(number: &DeInteger<'_>) -> Option<u64> {
    u64::from_str_radix(number.as_str(), number.radix()).ok()
}

/// A value from a file, for an error message.
pub(super) fn described(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("{:?}", masked(text)),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Float(_) => "a number with a fraction".to_owned(),
        DeValue::Datetime(_) => "a date".to_owned(),
        DeValue::Array(items) => {
            let items = items.iter().map(|item| described(item.get_ref()));
            format!("[{}]", items.collect::<Vec<_>>().join(", "))
        }
        DeValue::Table(_) => "a table".to_owned(),
    }
}
