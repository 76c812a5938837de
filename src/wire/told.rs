//! What a server says, as a client reads it (`docs/protocol.md`, "Messages"). A member that is missing, `null` or of
//! another type is `None`: a client ignores what it does not know.

use super::json::{Object, string};
use crate::base::{RoomId, StreamId, UserId};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// 2⁵³ − 1, the largest integer of JavaScript (RFC 8259 §6).
const NUMBER_MAX: u64 = (1 << 53) - 1;

/// A message of the server's: its envelope.
#[derive(Debug)]
pub(crate) struct ToldMessage<'a> {
    pub(crate) kind: Cow<'a, str>,
    /// Of a reply or an error that answers a request with a number as its `id`.
    pub(crate) id: Option<u64>,
    /// An object's JSON, as a rule.
    pub(crate) payload: &'a str,
}

impl<'a> ToldMessage<'a> {
    /// `None` for what is no message of the protocol.
    pub(crate) fn parse(text: &'a str) -> Option<ToldMessage<'a>> {
        let message = ToldObject::parse(text)?;
        let (kind, id) = (message.text("type")?, message.number("id"));
        Some(ToldMessage { kind, id, payload: message.raw("payload").unwrap_or("{}") })
    }
}

/// The members of an object.
#[derive(Debug, Default)]
pub(crate) struct ToldObject<'a>(Object<'a>);

impl<'a> ToldObject<'a> {
    /// `None` for what is no object.
    pub(crate) fn parse(text: &'a str) -> Option<ToldObject<'a>> {
        Object::parse(text).ok()?.map(ToldObject)
    }

    /// A member as JSON.
    pub(crate) fn raw(&self, name: &str) -> Option<&'a str> {
        self.0.get(name).filter(|raw| *raw != "null")
    }

    pub(crate) fn text(&self, name: &str) -> Option<Cow<'a, str>> {
        string(self.raw(name)?)
    }

    /// A number that every client can express: a larger one is none, so that no sum of a few overflows.
    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.raw(name)?.parse().ok().filter(|number| *number <= NUMBER_MAX)
    }

    /// A number that may be negative, as times are.
    pub(crate) fn integer(&self, name: &str) -> Option<i64> {
        self.raw(name)?.parse().ok()
    }

    /// Whether it is `true`.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.raw(name) == Some("true")
    }

    pub(crate) fn user(&self, name: &str) -> Option<UserId> {
        UserId::parse_any(&self.text(name)?).ok()
    }

    pub(crate) fn room(&self) -> Option<RoomId> {
        RoomId::parse(&self.text("room")?).ok()
    }

    pub(crate) fn stream(&self) -> Option<StreamId> {
        StreamId::parse(&self.text("stream")?).ok()
    }

    pub(crate) fn object(&self, name: &str) -> Option<ToldObject<'a>> {
        ToldObject::parse(self.raw(name)?)
    }

    /// The objects of an array.
    pub(crate) fn objects(&self, name: &str) -> Vec<ToldObject<'a>> {
        self.raw(name)
            .map(items)
            .unwrap_or_default()
            .into_iter()
            .filter_map(ToldObject::parse)
            .collect()
    }

    /// The texts of an array.
    pub(crate) fn texts(&self, name: &str) -> Vec<Cow<'a, str>> {
        self.raw(name).map(items).unwrap_or_default().into_iter().filter_map(string).collect()
    }

    /// All members, as JSON.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, &'a str)> {
        self.0.members()
    }
}

/// The items of an array, as JSON; none of what is no array.
pub(crate) fn items(raw: &str) -> Vec<&str> {
    let items: Vec<&RawValue> = serde_json::from_str(raw).unwrap_or_default();
    items.into_iter().map(RawValue::get).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_or_of_another_type_is_none() {
        let text = r#" {"type":"reply","id":7,"payload":{"a":"x","b":null,"c":-1,"d":[{"e":1},2,{}],"f":true}} "#;
        let message = ToldMessage::parse(text).unwrap();
        assert_eq!((&*message.kind, message.id), ("reply", Some(7)));
        let payload = ToldObject::parse(message.payload).unwrap();
        assert_eq!((payload.text("a").as_deref(), payload.text("c")), (Some("x"), None));
        assert_eq!((payload.raw("b"), payload.raw("z"), payload.number("c")), (None, None, None));
        assert_eq!(
            (payload.integer("c"), payload.flag("f"), payload.flag("a")),
            (Some(-1), true, false)
        );
        let numbers: Vec<_> = payload.objects("d").iter().map(|one| one.number("e")).collect();
        assert_eq!((numbers, payload.objects("a").len()), (vec![Some(1), None], 0));
        let largest = ToldObject::parse(r#"{"a":9007199254740991,"b":9007199254740992}"#).unwrap();
        assert_eq!((largest.number("a"), largest.number("b")), (Some(NUMBER_MAX), None));
        let bare = ToldMessage::parse(r#"{"type":"x","id":"1"}"#).unwrap();
        assert_eq!((bare.id, bare.payload), (None, "{}"));
        for wrong in ["", "[]", "{}", r#"{"type":1}"#, r#"{"type":"a","type":"b"}"#] {
            assert!(ToldMessage::parse(wrong).is_none(), "{wrong}");
        }
    }
}
