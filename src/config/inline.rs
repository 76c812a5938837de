//! A section in a flag or a variable: one TOML value.

use super::error::{ConfigError, ConfigFaults};
use super::file::Document;
use super::origin::Origins;
use std::path::Path;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The name before the `=`, which is never shown.
const NAME: &str = "value";

/// Reads a text with one value, or returns its first error.
pub(super) fn inline(
    text: &str,
    read: impl FnOnce(&Spanned<DeValue<'_>>, &mut Document<'_>),
) -> Result<(), ConfigError> {
    let text = format!("{NAME} = {text}");
    let (table, errors) = DeTable::parse_recoverable(&text);
    if let Some(error) = errors.first() {
        return Err(ConfigError::Syntax(error.message().replace('\n', ", ")));
    }
    let mut members = table.get_ref().iter();
    let value = match (members.next(), members.next()) {
        (Some((name, value)), None) if name.get_ref() == NAME => value,
        _ => {
            let wants = "one value is needed, and nothing behind it";
            return Err(ConfigError::Syntax(wants.to_owned()));
        }
    };
    let (mut origins, mut faults) = (Origins::default(), ConfigFaults::default());
    let path = Path::new("").into();
    read(
        value,
        &mut Document { path: &path, text: &text, origins: &mut origins, faults: &mut faults },
    );
    faults.into_first().map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_is_read_and_nothing_beside_it() {
        let read = |text: &str| {
            let mut found = None;
            let read = inline(text, |value, _| found = value.get_ref().as_str().map(str::to_owned));
            read.map(|()| found).map_err(|error| error.to_string())
        };
        assert_eq!(read("\"a\""), Ok(Some("a".to_owned())));
        for wrong in ["\"a", "\"a\" x", "\"a\"\nb = 1", "\"a\"\n[b]", "{ a = 1, a = 2 }"] {
            assert!(read(wrong).unwrap_err().starts_with("this is not TOML: "), "{wrong}");
        }
    }
}
