//! A key of the configuration: what it is for, which values it takes, when a change of it is gone
//! by. Which keys there are stands in the table beside this.

use super::config::Config;
use super::error::ConfigError;
use super::fields::Field;
use super::file::Document;
use super::told::masked;
use std::fmt;
use toml::Spanned;
use toml::de::{DeInteger, DeValue};

/// A key.
#[derive(Debug)]
pub struct ConfigKey {
    pub(super) name: &'static str,
    pub(super) effect: TakesEffect,
    /// What it is for: a sentence.
    pub(super) about: &'static str,
    pub(super) kind: ValueKind,
}

/// When a changed value takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TakesEffect {
    /// When the configuration is read again, also for connections that are open. Waits that have
    /// begun end as they were set.
    Live,
    /// Then, for connections that are opened from then on.
    Opened,
    /// When the program is started again.
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

/// What the values of a key are. `get` and `set` are of the whole configuration; a `set` that is
/// handed what it cannot take returns `None`, and has changed nothing.
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
    /// Several texts: an array in a file, elsewhere with commas between them.
    List {
        wants: &'static str,
        get: fn(&Config) -> Vec<String>,
        set: fn(&mut Config, &[&str]) -> Option<()>,
    },
    /// A table of a file, with entries of its own kind.
    Section(Section),
}

/// A table whose entries are no keys of ours but names that a user gives, or an array of tables.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) wants: &'static str,
    /// The members of its entries, and those of a member that is a table, by its name.
    pub(super) fields: &'static [(&'static str, &'static [Field])],
    /// Entries as an example, a line each; of an array of tables the lines of one.
    pub(super) example: &'static [&'static str],
    /// Whether it is an array of tables, each of which is an entry.
    pub(super) is_list: bool,
    /// Reads the table, or the array of them. What is wrong is told to the document, with its place.
    pub(super) read: fn(&mut Config, &Spanned<DeValue<'_>>, &mut Document<'_>),
    /// Writes the entries: of a table a line each, of an array of tables the lines of each.
    pub(super) write: fn(&Config) -> Vec<String>,
    /// The name of each entry and what it is, where only the names may be told.
    pub(super) entries: Option<NamedEntries>,
    /// The whole in one text, as other sources give it.
    pub(super) get: fn(&Config) -> String,
    /// Says of what it cannot take what is wrong with it, and has changed nothing then.
    pub(super) set: fn(&mut Config, &str) -> Result<(), ConfigError>,
}

/// Entries, each with its name.
pub(super) type NamedEntries = fn(&Config) -> Vec<(String, String)>;

/// A value as a flag or a variable gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RawValue {
    /// A text, whatever the key's kind is.
    Text(String),
    /// Several texts, for a list.
    List(Vec<String>),
}

impl ConfigKey {
    /// Its name, as `limits.burst`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// When a changed value takes effect.
    #[must_use]
    pub fn effect(&self) -> TakesEffect {
        self.effect
    }

    /// What it is for: a sentence.
    #[must_use]
    pub fn about(&self) -> &'static str {
        self.about
    }

    /// What its values are, with bounds and unit.
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

    /// Its value in `config`, as `--set` takes it. It may hold secrets: see [`ConfigKey::redacted`].
    #[must_use]
    pub fn shown(&self, config: &Config) -> String {
        match &self.kind {
            ValueKind::Number { get, .. } => get(config).to_string(),
            ValueKind::Flag { get, .. } => get(config).to_string(),
            ValueKind::Text { get, .. } => get(config),
            ValueKind::List { get, .. } => get(config).join(","),
            ValueKind::Section(section) => (section.get)(config),
        }
    }

    /// Sets it to what a flag or a variable gives.
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
            (ValueKind::Section(section), RawValue::Text(text)) => {
                return (section.set)(config, text);
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

    /// Sets it to what a file has.
    pub(super) fn read(
        &self,
        config: &mut Config,
        value: &Spanned<DeValue<'_>>,
        document: &mut Document<'_>,
    ) {
        let done = match (&self.kind, value.get_ref()) {
            (ValueKind::Section(section), _) => {
                (section.read)(config, value, document);
                return;
            }
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
            (
                ValueKind::Number { .. }
                | ValueKind::Flag { .. }
                | ValueKind::Text { .. }
                | ValueKind::List { .. },
                _,
            ) => None,
        };
        if done.is_none() {
            document.fault(value.span(), self.refuses(described(value.get_ref())));
        }
    }

    /// Copies its value from one configuration to another.
    pub(crate) fn copy(&self, from: &Config, to: &mut Config) {
        let done = match &self.kind {
            ValueKind::Number { get, set, .. } => {
                set(to, get(from));
                Some(())
            }
            ValueKind::Flag { get, set } => {
                set(to, get(from));
                Some(())
            }
            ValueKind::Text { get, set, .. } => set(to, &get(from)),
            ValueKind::List { get, set, .. } => {
                let items = get(from);
                set(to, &items.iter().map(String::as_str).collect::<Vec<_>>())
            }
            ValueKind::Section(section) => (section.set)(to, &(section.get)(from)).ok(),
        };
        debug_assert!(done.is_some(), "{} does not take what it shows", self.name);
    }

    /// Whether a number is within its bounds: an embedding program sets fields without keys.
    pub(super) fn is_within(&self, config: &Config) -> bool {
        match &self.kind {
            ValueKind::Number { min, max, get, .. } => (*min..=*max).contains(&get(config)),
            ValueKind::Flag { .. }
            | ValueKind::Text { .. }
            | ValueKind::List { .. }
            | ValueKind::Section(_) => true,
        }
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

/// An integer of a file that is not negative.
pub(super) fn integer(number: &DeInteger<'_>) -> Option<u64> {
    u64::from_str_radix(number.as_str(), number.radix()).ok()
}

/// A value of a file, for an error.
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
