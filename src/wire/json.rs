//! Reads JSON strictly (RFC 8259, without extensions) and writes it directly.
//!
//! `serde_json` checks the grammar. This module adds checks of nesting, duplicate names, and
//! unpaired surrogates in text that is passed on unchanged.

use crate::base::Tree;
pub(crate) use crate::base::json::{NotJson, scan};
use crate::base::tree::index;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// An object's members, as raw text.
#[derive(Debug, Default)]
pub(crate) struct Object<'a>(Vec<(Cow<'a, str>, &'a str)>);

impl<'a> Object<'a> {
    /// Parses an object. `Ok(None)` for other JSON.
    pub(crate) fn parse(text: &'a str) -> Result<Option<Object<'a>>, NotJson> {
        let raw: &RawValue = serde_json::from_str(text).map_err(|_| NotJson::Grammar)?;
        if !raw.get().starts_with('{') {
            return Ok(None);
        }
        let Object(mut members) = serde_json::from_str(raw.get()).map_err(|_| NotJson::Grammar)?;
        // Sorting finds duplicates among many names without quadratic cost.
        members.sort_by(|(one, _), (other, _)| one.cmp(other));
        if members.windows(2).any(|pair| pair[0].0 == pair[1].0) {
            return Err(NotJson::NameTwice);
        }
        Ok(Some(Object(members)))
    }

    /// The members of an object as they came, where their order means something; none of other JSON.
    pub(crate) fn in_order(text: &'a str) -> Vec<(Cow<'a, str>, &'a str)> {
        serde_json::from_str(text).map_or_else(|_| Vec::new(), |Object(members)| members)
    }

    /// The value of a member, as raw text.
    pub(crate) fn get(&self, name: &str) -> Option<&'a str> {
        #[cfg(test)]
        looked_at::note(name);
        let place = self.0.binary_search_by(|(one, _)| one.as_ref().cmp(name)).ok()?;
        Some(self.0[place].1)
    }

    /// All members, sorted by name.
    pub(crate) fn members(&self) -> impl Iterator<Item = (&str, &'a str)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), *value))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Object<'a>, D::Error> {
        struct ObjectVisitor;
        impl<'de> Visitor<'de> for ObjectVisitor {
            type Value = Object<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
                #[derive(serde::Deserialize)]
                struct Name<'a>(#[serde(borrow)] Cow<'a, str>);
                let mut members = Vec::new();
                while let Some((Name(name), value)) =
                    map.next_entry::<Name<'de>, &'de RawValue>()?
                {
                    members.push((name, value.get()));
                }
                Ok(Object(members))
            }
        }
        deserializer.deserialize_map(ObjectVisitor)
    }
}

/// Which members were asked for, by this thread: so that a test learns what there may be.
#[cfg(test)]
pub(crate) mod looked_at {
    use std::cell::RefCell;
    use std::collections::BTreeSet;

    thread_local!(static NAMES: RefCell<BTreeSet<String>> = const { RefCell::new(BTreeSet::new()) });

    pub(crate) fn note(name: &str) {
        NAMES.with_borrow_mut(|names| names.insert(name.to_owned()));
    }

    /// Forgets those before.
    pub(crate) fn begin() {
        NAMES.with_borrow_mut(BTreeSet::clear);
    }

    pub(crate) fn take() -> BTreeSet<String> {
        NAMES.with_borrow_mut(std::mem::take)
    }
}

/// A JSON string's text; `None` if the value is not a string.
pub(crate) fn string(raw: &str) -> Option<Cow<'_, str>> {
    #[derive(serde::Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    serde_json::from_str(raw).ok().map(|Text(text)| text)
}

/// A JSON text without surrounding white space.
///
/// # Errors
/// [`NotJson`]: why it is not JSON, or must not be passed on.
pub(crate) fn whole(text: &str, depth_max: usize) -> Result<&str, NotJson> {
    scan(text, depth_max)?;
    let raw: &RawValue = serde_json::from_str(text).map_err(|_| NotJson::Grammar)?;
    Ok(raw.get())
}

/// The raw JSON at a pointer (RFC 6901), given as reference tokens; no tokens mean the whole.
pub(crate) fn at<'a>(raw: &'a str, pointer: &[Box<str>]) -> Option<&'a str> {
    pointer.iter().try_fold(raw, |raw, token| {
        if raw.starts_with('[') {
            let items: Vec<&RawValue> = serde_json::from_str(raw).ok()?;
            return items.get(index(token)?).map(|item| item.get());
        }
        Object::parse(raw).ok()??.get(token)
    })
}

/// JSON as a value, for a handler; `None` if a number in it does not fit a double.
pub(crate) fn value(raw: &str) -> Option<Value> {
    tree(raw).map(plain_value)
}

fn plain_value(tree: Tree) -> Value {
    match tree {
        Tree::Null => Value::Null,
        Tree::Bool(flag) => flag.into(),
        Tree::Integer(number) => number.into(),
        Tree::Natural(number) => number.into(),
        Tree::Double(number) => number.into(),
        Tree::Text(text) => text.into_string().into(),
        Tree::Array(items) => items.into_iter().map(plain_value).collect::<Vec<_>>().into(),
        Tree::Object(members) => {
            let members =
                members.into_iter().map(|(name, value)| (name.into(), plain_value(value)));
            Value::Object(members.collect())
        }
    }
}

/// Parses JSON; `None` if a number in it does not fit a double.
///
/// Not serde_json's own `Value`: its reader takes an object with a private member name of the
/// library as embedded JSON text, which would let a client bypass every rule of this file.
pub(crate) fn tree(raw: &str) -> Option<Tree> {
    serde_json::from_str(raw).ok().map(|AnyTree(tree)| tree)
}

struct AnyTree(Tree);

impl<'de> Deserialize<'de> for AnyTree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<AnyTree, D::Error> {
        struct TreeVisitor;
        impl<'de> Visitor<'de> for TreeVisitor {
            type Value = AnyTree;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }
            fn visit_unit<E>(self) -> Result<AnyTree, E> {
                Ok(AnyTree(Tree::Null))
            }
            fn visit_bool<E>(self, flag: bool) -> Result<AnyTree, E> {
                Ok(AnyTree(Tree::Bool(flag)))
            }
            fn visit_i64<E>(self, number: i64) -> Result<AnyTree, E> {
                Ok(AnyTree(Tree::Integer(number)))
            }
            fn visit_u64<E>(self, number: u64) -> Result<AnyTree, E> {
                let small = i64::try_from(number).map(Tree::Integer);
                Ok(AnyTree(small.unwrap_or(Tree::Natural(number))))
            }
            fn visit_f64<E>(self, number: f64) -> Result<AnyTree, E> {
                Ok(AnyTree(Tree::Double(number)))
            }
            fn visit_str<E>(self, text: &str) -> Result<AnyTree, E> {
                Ok(AnyTree(Tree::Text(text.into())))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<AnyTree, A::Error> {
                let mut items = Vec::new();
                while let Some(AnyTree(item)) = seq.next_element()? {
                    items.push(item);
                }
                Ok(AnyTree(Tree::Array(items)))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<AnyTree, A::Error> {
                let mut members = Vec::new();
                while let Some((name, AnyTree(value))) = map.next_entry::<String, _>()? {
                    members.push((name.into(), value));
                }
                Ok(AnyTree(Tree::object(members)))
            }
        }
        deserializer.deserialize_any(TreeVisitor)
    }
}

/// An object as a text.
pub(crate) fn object(fill: impl FnOnce(&mut Writer)) -> String {
    let mut writer = Writer::new();
    writer.object(fill);
    writer.finish()
}

/// Writes JSON from left to right.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    text: Vec<u8>,
    needs_comma: bool,
}

impl Writer {
    pub(crate) fn new() -> Writer {
        Writer { text: Vec::with_capacity(256), needs_comma: false }
    }

    pub(crate) fn finish(self) -> String {
        // Only UTF-8 was written.
        String::from_utf8(self.text).unwrap_or_default()
    }

    /// An object, as a value or at the top level.
    pub(crate) fn object(&mut self, fill: impl FnOnce(&mut Writer)) {
        self.comma();
        self.enclosed(b'{', b'}', fill);
    }

    /// `name: {…}`
    pub(crate) fn object_in(&mut self, name: &str, fill: impl FnOnce(&mut Writer)) {
        self.name(name);
        self.enclosed(b'{', b'}', fill);
    }

    /// `name: [ … ]`, with `each` for every item.
    pub(crate) fn array<T>(
        &mut self,
        name: &str,
        items: impl IntoIterator<Item = T>,
        mut each: impl FnMut(&mut Writer, T),
    ) {
        self.name(name);
        self.enclosed(b'[', b']', |writer| {
            for item in items {
                each(writer, item);
            }
        });
    }

    /// `name: "text"`
    pub(crate) fn text(&mut self, name: &str, text: &str) {
        self.name(name);
        self.quoted(text);
    }

    /// `"text"`, in an array.
    pub(crate) fn item(&mut self, text: &str) {
        self.comma();
        self.quoted(text);
    }

    /// `name: 7`
    pub(crate) fn number(&mut self, name: &str, number: impl Into<i128>) {
        self.name(name);
        self.text.extend_from_slice(number.into().to_string().as_bytes());
    }

    /// `name: 7.5`, rounded to a tenth.
    pub(crate) fn tenths(&mut self, name: &str, number: f64) {
        self.name(name);
        let tenths = (number * 10.0).round() / 10.0;
        // An f64 prints without an exponent; NaN and infinity are not JSON.
        let text = if tenths.is_finite() { tenths.to_string() } else { "null".to_owned() };
        self.text.extend_from_slice(text.as_bytes());
    }

    /// `name: true`
    pub(crate) fn flag(&mut self, name: &str, flag: bool) {
        self.name(name);
        self.text.extend_from_slice(if flag { b"true" } else { b"false" });
    }

    /// A member that is left out without a value; `write` is the function for values of its type.
    pub(crate) fn if_some<T>(
        &mut self,
        name: &str,
        value: Option<T>,
        write: impl FnOnce(&mut Writer, &str, T),
    ) {
        if let Some(value) = value {
            write(self, name, value);
        }
    }

    /// `name: …`, with raw JSON.
    pub(crate) fn raw(&mut self, name: &str, json: &str) {
        self.name(name);
        self.text.extend_from_slice(json.as_bytes());
    }

    /// Raw JSON, in an array.
    pub(crate) fn raw_item(&mut self, json: &str) {
        self.comma();
        self.text.extend_from_slice(json.as_bytes());
    }

    fn enclosed(&mut self, open: u8, close: u8, fill: impl FnOnce(&mut Writer)) {
        self.text.push(open);
        self.needs_comma = false;
        fill(self);
        self.text.push(close);
        self.needs_comma = true;
    }

    fn name(&mut self, name: &str) {
        self.comma();
        self.quoted(name);
        self.text.push(b':');
    }

    fn comma(&mut self) {
        if std::mem::replace(&mut self.needs_comma, true) {
            self.text.push(b',');
        }
    }

    fn quoted(&mut self, text: &str) {
        // Writing to a Vec does not fail.
        let _ = serde_json::to_writer(&mut self.text, text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn members_are_found_as_they_came_and_no_name_comes_twice() {
        let object = Object::parse(r#" {"b": 1.50, "\u0061": [ "x" ]} "#).unwrap().unwrap();
        assert_eq!(
            (object.get("a"), object.get("b"), object.get("c")),
            (Some(r#"[ "x" ]"#), Some("1.50"), None)
        );
        assert_eq!(Object::parse(r#"{"a":1,"\u0061":2}"#).unwrap_err(), NotJson::NameTwice);
        assert!(Object::parse("[]").unwrap().is_none());
        for wrong in ["", "{", "{}}", "{'a':1}", "{\"a\":01}", "{\"a\":NaN}", "{\"a\":1,}"] {
            assert_eq!(Object::parse(wrong).unwrap_err(), NotJson::Grammar, "{wrong}");
        }
    }

    #[test]
    fn what_is_written_is_json() {
        let mut writer = Writer::new();
        writer.object(|w| {
            w.text("a\"", "b\n\u{1}");
            w.number("n", -1);
            w.array("list", [1, 2], |w, n| w.object(|w| w.number("n", n)));
            w.object_in("o", |w| w.flag("f", true));
            w.array("empty", [""; 0], |w, text| w.item(text));
            w.raw("r", "[1.50]");
            w.tenths("t", 59.96);
            w.tenths("u", 0.25);
            w.tenths("v", f64::NAN);
        });
        assert_eq!(
            writer.finish(),
            r#"{"a\"":"b\n\u0001","n":-1,"list":[{"n":1},{"n":2}],"o":{"f":true},"empty":[],"r":[1.50],"t":60,"u":0.3,"v":null}"#
        );
    }

    proptest! {
        #[test]
        fn the_scan_never_fails_what_serde_json_takes_whole(text in any::<String>()) {
            let json = serde_json::to_string(&text).unwrap();
            prop_assert_eq!(scan(&json, 1), Ok(()));
        }
    }
}
