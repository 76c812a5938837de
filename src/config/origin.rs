//! The origins of configuration values.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValueOrigin {
    /// A place in a file; line and column count from 1, the column in characters.
    File {
        /// The file.
        path: Arc<Path>,
        /// The line.
        line: usize,
        /// The column.
        column: usize,
    },
    /// A file as a whole.
    WholeFile(Arc<Path>),
    /// A variable of the environment.
    Variable(String),
    /// A flag with its argument.
    Flag(String),
    /// The combination of several values.
    Whole,
}

/// The origins of values that are not defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origins {
    keys: BTreeMap<&'static str, ValueOrigin>,
    /// Places of the entries of a file's tables, and of those entries' members.
    members: BTreeMap<MemberKey, ValueOrigin>,
}

/// A key, an entry of its table, and that entry's member; an empty member means the entry itself.
type MemberKey = (&'static str, String, String);

impl Origins {
    /// The origin of a key's value, unless it is the default.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&ValueOrigin> {
        self.keys.get(key)
    }

    /// How many keys have values that are not defaults.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether all values are the defaults.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Records that a value of a key replaces the earlier one.
    pub(super) fn insert(&mut self, key: &'static str, origin: ValueOrigin) {
        self.members.retain(|(of, _, _), _| *of != key);
        self.keys.insert(key, origin);
    }

    pub(super) fn insert_member(&mut self, place: MemberKey, origin: ValueOrigin) {
        self.members.insert(place, origin);
    }

    /// The place of a member, or else of its entry or key.
    pub(super) fn nearest(&self, (key, entry, member): MemberKey) -> Option<&ValueOrigin> {
        let of_entry = (key, entry.clone(), String::new());
        let member = self.members.get(&(key, entry, member));
        member.or_else(|| self.members.get(&of_entry)).or_else(|| self.get(key))
    }
}

impl ValueOrigin {
    /// The place of the byte at `offset` in a file's text.
    pub(super) fn in_file(path: &Arc<Path>, text: &str, offset: usize) -> ValueOrigin {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        ValueOrigin::File {
            path: Arc::clone(path),
            line: before.bytes().filter(|byte| *byte == b'\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }
}

impl fmt::Display for ValueOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ValueOrigin::File { path, line, column } => {
                write!(f, "{}:{line}:{column}", path.display())
            }
            ValueOrigin::WholeFile(path) => path.display().fmt(f),
            ValueOrigin::Variable(name) | ValueOrigin::Flag(name) => f.write_str(name),
            ValueOrigin::Whole => f.write_str("the configuration"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_its_line_and_its_column_in_characters() {
        let path: Arc<Path> = Path::new("a.toml").into();
        let text = "é = 1\nüb = 2\n";
        let shown = |offset| ValueOrigin::in_file(&path, text, offset).to_string();
        assert_eq!(shown(0), "a.toml:1:1");
        assert_eq!(shown(text.find('1').unwrap()), "a.toml:1:5");
        assert_eq!(shown(text.find('b').unwrap()), "a.toml:2:2");
        assert_eq!(shown(text.len()), "a.toml:3:1");
        assert_eq!(shown(1), "a.toml:3:1", "a place within a character is none");
        assert_eq!(shown(text.len() + 1), "a.toml:3:1");
    }
}
