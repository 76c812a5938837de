//! JSON as a value, independent of the library that parses it.

/// A JSON value.
#[derive(Clone, Debug, PartialEq)]
pub enum Tree {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// An integer that fits. Separate from doubles, which have only 53 bits.
    Integer(i64),
    /// A larger integer, below 2^64.
    Natural(u64),
    /// Any other number, as the nearest double.
    Double(f64),
    /// A string, unescaped.
    Text(Box<str>),
    /// An array.
    Array(Vec<Tree>),
    /// An object, sorted by name, without repeats: see [`Tree::object`].
    Object(Vec<(Box<str>, Tree)>),
}

impl Tree {
    /// An object of members in any order. Of a repeated name the last one counts, as in clients'
    /// parsers (RFC 8259 §4).
    #[must_use]
    pub fn object(mut members: Vec<(Box<str>, Tree)>) -> Tree {
        members.sort_by(|(one, _), (other, _)| one.cmp(other));
        members.dedup_by(|later, earlier| {
            let is_again = later.0 == earlier.0;
            if is_again {
                std::mem::swap(later, earlier);
            }
            is_again
        });
        Tree::Object(members)
    }

    /// A member of an object. Takes time in proportion to the logarithm of their number.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<&Tree> {
        let Tree::Object(members) = self else { return None };
        let place = members.binary_search_by(|(one, _)| (**one).cmp(name)).ok()?;
        members.get(place).map(|(_, value)| value)
    }

    /// The value at a JSON pointer (RFC 6901), given as unescaped reference tokens; no tokens for
    /// the whole.
    #[must_use]
    pub fn at(&self, pointer: &[Box<str>]) -> Option<&Tree> {
        pointer.iter().try_fold(self, |value, token| match value {
            Tree::Object(_) => value.member(token),
            Tree::Array(items) => items.get(index(token)?),
            Tree::Null
            | Tree::Bool(_)
            | Tree::Integer(_)
            | Tree::Natural(_)
            | Tree::Double(_)
            | Tree::Text(_) => None,
        })
    }
}

/// The array index that a reference token names (RFC 6901 §4): digits without a leading zero.
#[must_use]
pub fn index(token: &str) -> Option<usize> {
    let is_index = token.bytes().all(|byte| byte.is_ascii_digit())
        && (token == "0" || !token.starts_with('0'));
    if is_index { token.parse().ok() } else { None }
}

/// The unescaped reference tokens of a JSON pointer (RFC 6901 §3); `None` if it is not one.
#[must_use]
pub fn pointer(text: &str) -> Option<Vec<Box<str>>> {
    if text.is_empty() {
        return Some(Vec::new());
    }
    text.strip_prefix('/')?.split('/').map(unescape).collect()
}

fn unescape(token: &str) -> Option<Box<str>> {
    let mut plain = String::with_capacity(token.len());
    let mut rest = token.chars();
    while let Some(next) = rest.next() {
        plain.push(match next {
            '~' => match rest.next()? {
                '0' => '~',
                '1' => '/',
                _ => return None,
            },
            other => other,
        });
    }
    Some(plain.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_leads_where_rfc_6901_says() {
        let text = |text: &str| Tree::Text(text.into());
        let whole = Tree::object(vec![
            ("foo".into(), Tree::Array(vec![text("bar"), text("baz")])),
            ("".into(), Tree::Integer(0)),
            ("a/b".into(), Tree::Integer(1)),
            ("m~n".into(), Tree::Integer(7)),
            ("m~n".into(), Tree::Integer(8)),
        ]);
        let at = |path: &str| pointer(path).map(|tokens| whole.at(&tokens).cloned());
        assert_eq!(at(""), Some(Some(whole.clone())));
        assert_eq!(at("/foo/0"), Some(Some(text("bar"))));
        assert_eq!(at("/foo/1"), Some(Some(text("baz"))));
        assert_eq!(at("/"), Some(Some(Tree::Integer(0))));
        assert_eq!(at("/a~1b"), Some(Some(Tree::Integer(1))));
        assert_eq!(at("/m~0n"), Some(Some(Tree::Integer(8))));
        for nowhere in ["/foo/2", "/foo/00", "/foo/-", "/foo/+1", "/foo/0/x", "/bar", "/foo/"] {
            assert_eq!(at(nowhere), Some(None), "{nowhere}");
        }
        for wrong in ["foo", "/a~", "/a~2b"] {
            assert_eq!(at(wrong), None, "{wrong}");
        }
    }
}
