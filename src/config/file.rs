//! `parlor.toml`: walks over the parsed document and passes values to the table of keys.

use super::config::Config;
use super::error::{ConfigError, ConfigFaults};
use super::fields::Faults;
use super::keys::{find, is_table, nearest};
use super::origin::{Origins, ValueOrigin};
use super::sources::Draft;
use crate::auth::small_file;
use crate::base::limits::CONFIG_FILE_BYTES_MAX;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use toml::de::{DeTable, DeValue};

/// A file being read, which collects the errors found in it.
#[derive(Debug)]
pub(super) struct Document<'a> {
    pub(super) path: &'a Arc<Path>,
    pub(super) text: &'a str,
    pub(super) origins: &'a mut Origins,
    pub(super) faults: &'a mut ConfigFaults,
}

impl Document<'_> {
    /// Records an error at these bytes.
    pub(super) fn fault(&mut self, span: Range<usize>, error: ConfigError) {
        self.faults.push(self.origin(span), error);
    }

    /// Records errors of one kind.
    pub(super) fn faults(&mut self, faults: Faults, error: impl Fn(String) -> ConfigError) {
        for (span, wants) in faults {
            self.fault(span, error(wants));
        }
    }

    /// Records where a member of an entry of a key's table is; an empty member means the entry
    /// itself.
    pub(super) fn record_member(
        &mut self,
        (key, entry, member): (&'static str, &str, &str),
        span: Range<usize>,
    ) {
        let place = (key, entry.to_owned(), member.to_owned());
        self.origins.insert_member(place, self.origin(span));
    }

    fn origin(&self, span: Range<usize>) -> ValueOrigin {
        ValueOrigin::in_file(self.path, self.text, span.start)
    }

    /// Reads a table: the whole file if `table` is empty.
    fn walk(&mut self, table: &str, values: &DeTable<'_>, config: &mut Config) {
        for (name, value) in values {
            let full = joined(table, name.get_ref());
            if let Some(key) = find(&full) {
                self.origins.insert(key.name, self.origin(name.span()));
                key.read(config, value, self);
                continue;
            }
            match value.get_ref() {
                // Only as deep as the names of keys.
                DeValue::Table(inner) if is_table(&full) => {
                    self.walk(&full, inner, config);
                }
                _ => {
                    let nearest = nearest(&full);
                    self.fault(name.span(), ConfigError::UnknownKey { name: full, nearest });
                }
            }
        }
    }
}

/// `table.name`; a name that contains a dot is quoted.
fn joined(table: &str, name: &str) -> String {
    let name = if name.contains('.') { format!("{name:?}") } else { name.to_owned() };
    if table.is_empty() { name } else { format!("{table}.{name}") }
}

/// Reads a file, and the places of its values.
pub(super) fn read_file(path: &Arc<Path>, draft: &mut Draft) {
    let read = small_file::read(path, CONFIG_FILE_BYTES_MAX).map_err(ConfigError::Read);
    let bytes = match read.and_then(|bytes| bytes.ok_or(ConfigError::FileSize)) {
        Ok(bytes) => bytes,
        Err(error) => return draft.faults.push(ValueOrigin::WholeFile(path.clone()), error),
    };
    match str::from_utf8(&bytes) {
        Ok(text) => read_text(path, text, draft),
        Err(error) => {
            let before = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
            let origin = ValueOrigin::in_file(path, &before, before.len());
            draft.faults.push(origin, ConfigError::Syntax("it is not UTF-8".to_owned()));
        }
    }
}

/// Reads a file's text.
pub(super) fn read_text(path: &Arc<Path>, text: &str, draft: &mut Draft) {
    let Draft { config, origins, faults } = draft;
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut document = Document { path, text, origins, faults };
    // The values of a broken file cannot be trusted.
    if errors.is_empty() {
        return document.walk("", table.get_ref(), config);
    }
    for error in errors {
        let span = error.span().unwrap_or_default();
        document.fault(span, ConfigError::Syntax(error.message().replace('\n', ", ")));
    }
}
