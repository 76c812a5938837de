//! A section as a flag or a variable gives it: one value of TOML.

use super::error::ConfigError;
use toml::de::{DeTable, DeValue};

/// What stands before the `=`, which nobody sees.
const NAME: &str = "value";

/// Reads a text with one value; of an empty one it is nothing.
pub(super) fn inline<T: Default>(
    text: &str,
    read: impl FnOnce(&DeValue<'_>) -> Result<T, ConfigError>,
) -> Result<T, ConfigError> {
    if text.is_empty() {
        return Ok(T::default());
    }
    let text = format!("{NAME} = {text}");
    let (table, errors) = DeTable::parse_recoverable(&text);
    if let Some(error) = errors.first() {
        return Err(ConfigError::Syntax(error.message().replace('\n', ", ")));
    }
    let mut members = table.get_ref().iter();
    match (members.next(), members.next()) {
        (Some((name, value)), None) if name.get_ref() == NAME => read(value.get_ref()),
        _ => Err(ConfigError::Syntax("one value is needed, and nothing behind it".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_is_read_and_nothing_beside_it() {
        let read = |text: &str| {
            inline(text, |value| Ok(value.as_str().map(str::to_owned)))
                .map_err(|error| error.to_string())
        };
        assert_eq!(read("\"a\""), Ok(Some("a".to_owned())));
        assert_eq!(read(""), Ok(None));
        for wrong in ["\"a", "\"a\" x", "\"a\"\nb = 1", "\"a\"\n[b]", "{ a = 1, a = 2 }"] {
            assert!(read(wrong).unwrap_err().starts_with("this is not TOML: "), "{wrong}");
        }
    }
}
