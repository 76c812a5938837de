//! The members of a section's tables: one row each, from which they are documented, read and
//! written.

use super::example::quoted;
use super::key::{described, integer};
use super::suggest;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use toml::de::{DeTable, DeValue};

/// A member of a table that is read into a `T`.
pub(super) struct Field<T: 'static> {
    name: &'static str,
    values: Values<T>,
    /// The default; empty if the member is required.
    default: &'static str,
    about: &'static str,
}

/// The type of a member's values, and its place in a `T`.
enum Values<T: 'static> {
    Flag(fn(&mut T) -> &mut bool),
    /// An integer within bounds, and its unit.
    Number((u64, u64, &'static str), fn(&mut T) -> &mut dyn Number),
    Other {
        wants: Wants,
        read: ReadMember<T>,
        write: fn(&T) -> Option<String>,
    },
}

type ReadMember<T> = fn(&mut T, &str, &DeValue<'_>) -> Result<(), String>;

/// `true` or `false`, by default `false`.
pub(super) const fn flag<T>(
    name: &'static str,
    at: fn(&mut T) -> &mut bool,
    about: &'static str,
) -> Field<T> {
    Field { name, values: Values::Flag(at), default: "false", about }
}

/// An integer within bounds, and its unit.
pub(super) const fn number<T>(
    name: &'static str,
    bounds: (u64, u64, &'static str),
    at: fn(&mut T) -> &mut dyn Number,
    default: &'static str,
    about: &'static str,
) -> Field<T> {
    Field { name, values: Values::Number(bounds, at), default, about }
}

/// Any other type; `write` returns the value in TOML, or nothing to omit the member.
pub(super) const fn other<T>(
    name: &'static str,
    wants: Wants,
    default: &'static str,
    about: &'static str,
    read: ReadMember<T>,
    write: fn(&T) -> Option<String>,
) -> Field<T> {
    Field { name, values: Values::Other { wants, read, write }, default, about }
}

/// The type of other values.
pub(super) enum Wants {
    Text(&'static str),
    /// A list of at most so many.
    List(usize, &'static str),
    /// An integer within bounds, its unit, and further allowed values.
    Range(u64, u64, &'static str, &'static str),
}

/// A number in a table, which may be missing.
pub(super) trait Number {
    fn get(&self) -> Option<u64>;
    /// The caller has checked the bounds of the field.
    fn set(&mut self, number: u64);
}

impl Number for u16 {
    fn get(&self) -> Option<u64> {
        Some((*self).into())
    }
    fn set(&mut self, number: u64) {
        *self = u16::try_from(number).unwrap_or(u16::MAX);
    }
}

impl Number for u32 {
    fn get(&self) -> Option<u64> {
        Some((*self).into())
    }
    fn set(&mut self, number: u64) {
        *self = u32::try_from(number).unwrap_or(u32::MAX);
    }
}

impl Number for u64 {
    fn get(&self) -> Option<u64> {
        Some(*self)
    }
    fn set(&mut self, number: u64) {
        *self = number;
    }
}

impl<N: Number + Default> Number for Option<N> {
    fn get(&self) -> Option<u64> {
        self.as_ref()?.get()
    }
    fn set(&mut self, number: u64) {
        self.get_or_insert_default().set(number);
    }
}

/// All errors in a table, each with its byte range in the file.
pub(super) type Faults = Vec<(Range<usize>, String)>;

pub(super) fn read<T>(fields: &[Field<T>], into: &mut T, table: &DeTable<'_>) -> Faults {
    let mut faults = Faults::new();
    for (name, value) in table {
        match fields.iter().find(|field| field.name == name.get_ref()) {
            Some(field) => {
                let wrong = field.read(into, value.get_ref()).err();
                faults.extend(wrong.map(|wants| (value.span(), wants)));
            }
            None => {
                let known = fields.iter().map(|field| field.name);
                faults.push((name.span(), suggest::unknown(name.get_ref(), known)));
            }
        }
    }
    faults
}

/// Writes the members of a table, each as `name = value`.
pub(super) fn write<T>(fields: &[Field<T>], mut from: T) -> Vec<String> {
    let member = |field: &Field<T>| {
        let value = match &field.values {
            Values::Flag(at) => (*at(&mut from)).then(|| "true".to_owned()),
            Values::Number(_, at) => at(&mut from).get().map(|number| number.to_string()),
            Values::Other { write, .. } => write(&from),
        };
        value.map(|value| format!("{} = {value}", field.name))
    };
    fields.iter().filter_map(member).collect()
}

/// The members' names and descriptions; each name is prefixed by `of`.
pub(super) fn documented<T>(of: &str, fields: &[Field<T>]) -> Vec<(String, String)> {
    let described = |field: &Field<T>| (format!("{of}{}", field.name), field.to_string());
    fields.iter().map(described).collect()
}

/// Sets a value to a successfully read one.
pub(super) fn put<V, R: Into<V>>(into: &mut V, read: Result<R, String>) -> Result<(), String> {
    *into = read?.into();
    Ok(())
}

/// One of several words, each of which stands for a value.
pub(super) fn word<V: Copy>(
    name: &str,
    all: &[(&str, V)],
    value: &DeValue<'_>,
) -> Result<V, String> {
    let known = all.iter().find(|(known, _)| Some(*known) == value.as_str());
    known.map(|(_, one)| *one).ok_or_else(|| {
        let names: Vec<&str> = all.iter().map(|(name, _)| *name).collect();
        format!("{name} is one of {}; not {}", names.join(", "), described(value))
    })
}

/// The word for a value.
pub(super) fn word_of<V: PartialEq>(all: &[(&str, V)], value: &V) -> Option<String> {
    all.iter().find(|(_, one)| one == value).map(|(name, _)| quoted(name))
}

/// A path, or a message type.
const TEXT_BYTES_MAX: usize = 128;

pub(super) fn text(name: &str, value: &DeValue<'_>) -> Result<Arc<str>, String> {
    let text = value.as_str().filter(|text| (1..=TEXT_BYTES_MAX).contains(&text.len()));
    let wants =
        || format!("{name} is a text of 1 to {TEXT_BYTES_MAX} bytes; not {}", described(value));
    text.map(Arc::from).ok_or_else(wants)
}

/// `PATH_MAX` of Linux.
const PATH_BYTES_MAX: usize = 4_095;

pub(super) fn path(name: &str, value: &DeValue<'_>) -> Result<Arc<str>, String> {
    let path = value.as_str().filter(|path| (1..=PATH_BYTES_MAX).contains(&path.len()));
    let wants = || format!("{name} is a path; not {}", described(value));
    path.filter(|path| !path.contains('\0')).map(Arc::from).ok_or_else(wants)
}

/// A text in TOML, if there is one.
pub(super) fn written(text: &Option<Arc<str>>) -> Option<String> {
    text.as_deref().map(quoted)
}

/// A list of texts; none if it is not a list, or contains something else.
pub(super) fn texts(value: &DeValue<'_>) -> Option<Vec<Arc<str>>> {
    value.as_array()?.iter().map(|item| item.get_ref().as_str().map(Arc::from)).collect()
}

/// A list of texts in TOML.
pub(super) fn written_list(texts: &[Arc<str>]) -> String {
    format!("[{}]", texts.iter().map(|text| quoted(text)).collect::<Vec<_>>().join(", "))
}

/// An integer from a file, if it is within bounds.
pub(super) fn within(value: &DeValue<'_>, min: u64, max: u64) -> Option<u64> {
    let DeValue::Integer(number) = value else { return None };
    integer(number).filter(|number| (min..=max).contains(number))
}

impl<T> Field<T> {
    fn read(&self, into: &mut T, value: &DeValue<'_>) -> Result<(), String> {
        let name = self.name;
        match &self.values {
            Values::Flag(at) => match value {
                DeValue::Boolean(flag) => {
                    *at(into) = *flag;
                    Ok(())
                }
                _ => Err(format!("{name} is true or false; not {}", described(value))),
            },
            Values::Number((min, max, _), at) => {
                let number = within(value, *min, *max).ok_or_else(|| {
                    let given = described(value);
                    format!("{name} is an integer from {min} to {max}; not {given}")
                })?;
                at(into).set(number);
                Ok(())
            }
            Values::Other { read, .. } => read(into, name, value),
        }
    }
}

impl<T> fmt::Display for Field<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.values {
            Values::Flag(_) => f.write_str("true or false")?,
            Values::Number((min, max, unit), _) => {
                write!(f, "an integer from {min} to {max} ({unit})")?;
            }
            Values::Other { ref wants, .. } => match wants {
                Wants::Text(wants) => f.write_str(wants)?,
                Wants::List(max, of) => write!(f, "a list of 1 to {max} {of}")?,
                Wants::Range(min, max, unit, other) => {
                    let max = if *max == u64::MAX { "on".to_owned() } else { format!("to {max}") };
                    write!(f, "an integer from {min} {max} ({unit}){other}")?;
                }
            },
        }
        match self.default {
            "" => f.write_str("; needed. ")?,
            default => write!(f, "; default {default}. ")?,
        }
        f.write_str(self.about)
    }
}

#[cfg(test)]
mod tests {
    use crate::config::key::ValueKind;
    use crate::config::keys::find;

    #[test]
    fn a_member_says_what_it_is_in_which_unit_how_far_and_by_default() {
        let shown = |key: &str, name: &str| {
            let ValueKind::Section(section) = &find(key).unwrap().kind else {
                panic!("{key} is a section");
            };
            let found = (section.members)().into_iter().find(|(member, _)| member == name);
            found.unwrap().1
        };
        assert_eq!(
            shown("handlers", "timeout_ms"),
            "an integer from 1 to 60000 (ms); default 5000. How long to wait for an answer."
        );
        assert!(shown("streams", "program").starts_with("true or false; default false. Whether"));
        assert!(shown("streams", "webhook.path").contains("bytes; needed. The path"));
        assert!(
            shown("retention.rooms", "age_ms")
                .contains("an integer from 1 on (ms), or \"all\"; default")
        );
        assert!(shown("streams", "command").contains("a list of 1 to 64 texts"));
    }
}
