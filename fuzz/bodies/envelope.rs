//! A client's message to the chat server: its envelope is read as the plain reader of JSON reads
//! it, it is refused where that refuses it, and where `serde_json` does; a handler gets what stands
//! in it; and the same message, written otherwise, asks for the same.
//!
//! All bytes are the message.

use crate::slow_json::{self as slow, Kind, Node};
use parlor::base::{Limits, Request, RequestId, Timestamp};
use parlor::wire::request::{Envelope, Fault};
use std::fmt::Write;
use std::mem::{Discriminant, discriminant};

/// A fault as programs see it.
pub(crate) type Code = (&'static str, Option<&'static str>);

/// What an envelope says: its id and its type.
pub(crate) type Said = (Option<String>, String);

/// Asserts all that is said above; gives what the message says and asks for, or why not, or nothing
/// if it is no text.
pub(crate) fn envelope(data: &[u8]) -> Option<Result<(Said, Asked), Code>> {
    let text = std::str::from_utf8(data).ok()?;
    let node = slow::read(text);
    assert_serde_agrees(text, &node);
    let judged = judged(text);
    assert_eq!(judged, plainly(text, &node), "{text}");
    if let Ok(envelope) = Envelope::parse(text) {
        let payload = slow::read(envelope.raw_payload).expect("it is JSON");
        assert_eq!(envelope.payload(), slow::value(envelope.raw_payload, &payload), "{text}");
    }
    let asked = asked(text);
    if let Ok(node) = &node {
        let (how, other) = (How { text }, &mut String::new());
        how.write(node, 2, other);
        assert_eq!(said(other), said(text), "{other}");
        assert_eq!(self::asked(other), asked, "{other}");
    }
    Some(match (said(text), asked) {
        (Ok(said), asked) => Ok((said, asked)),
        (Err((_, code)), _) => Err(code),
    })
}

/// What was asked of the hub, as far as it does not depend on how data is written.
pub(crate) type Asked = Result<Option<Discriminant<Request>>, Code>;

type Judged = Result<(Option<String>, String, String), (Option<String>, Code)>;

fn code(fault: &Fault) -> Code {
    (fault.code.as_str(), fault.field)
}

fn owned(id: &RequestId) -> Option<String> {
    id.as_deref().map(str::to_owned)
}

/// What our reader finds: the id and the payload as they stand in the text.
fn judged(text: &str) -> Judged {
    match Envelope::parse(text) {
        Ok(envelope) => {
            let Envelope { id, kind, raw_payload, .. } = &envelope;
            Ok((owned(id), kind.clone().into_owned(), (*raw_payload).to_owned()))
        }
        Err((id, fault)) => Err((owned(&id), code(&fault))),
    }
}

/// The same, as it should be.
fn plainly(text: &str, node: &Result<Node, slow::Defect>) -> Judged {
    let bad_json = ("bad_json", None);
    let Ok(node) = node else { return Err((None, bad_json)) };
    let Kind::Object(members) = &node.kind else {
        return Err((None, ("bad_request", Some("type"))));
    };
    if slow::has_name_twice(members) {
        return Err((None, bad_json));
    }
    let member =
        |wanted: &str| members.iter().find(|(name, _)| name == wanted).map(|(_, node)| node);
    let raw = |node: &Node| text[node.place.clone()].to_owned();
    let is_id = |node: &Node| match &node.kind {
        Kind::Text(text) => text.len() <= 64,
        Kind::Number => is_exact_integer(&raw(node)),
        _ => false,
    };
    let id = member("id");
    if !id.is_none_or(is_id) {
        return Err((None, ("bad_request", Some("id"))));
    }
    let id = id.map(raw);
    let Some(Kind::Text(kind)) = member("type").map(|node| &node.kind) else {
        return Err((id, ("bad_request", Some("type"))));
    };
    let payload = match member("payload") {
        None => "{}".to_owned(),
        Some(node) => match &node.kind {
            Kind::Object(members) if slow::has_name_twice(members) => return Err((id, bad_json)),
            Kind::Object(_) => raw(node),
            _ => return Err((id, ("bad_request", Some("payload")))),
        },
    };
    Ok((id, kind.clone(), payload))
}

/// Whether it is a whole number that a double holds, as all its neighbours.
fn is_exact_integer(number: &str) -> bool {
    let digits = number.strip_prefix('-').unwrap_or(number);
    let most = "9007199254740991";
    digits.bytes().all(|byte| byte.is_ascii_digit())
        && (digits.len() < most.len() || digits.len() == most.len() && digits <= most)
}

/// What an envelope says, however it is written.
fn said(text: &str) -> Result<Said, (Option<String>, Code)> {
    let unescaped = |id: Option<String>| {
        id.map(|id| match slow::read(&id).expect("an id is a value").kind {
            Kind::Text(text) => format!("{text:?}"),
            _ => id,
        })
    };
    match judged(text) {
        Ok((id, kind, _)) => Ok((unescaped(id), kind)),
        Err((id, code)) => Err((unescaped(id), code)),
    }
}

fn asked(text: &str) -> Asked {
    // What data may come to depends on how it is written.
    let limits = Limits { data_bytes: u32::MAX, ..Limits::default() };
    let Ok(envelope) = Envelope::parse(text) else { return Ok(None) };
    match envelope.request(&limits, Timestamp(0)) {
        Ok(request) => Ok(request.as_ref().map(discriminant)),
        Err(fault) => Err(code(&fault)),
    }
}

fn assert_serde_agrees(text: &str, node: &Result<Node, slow::Defect>) {
    /// An object with this name is something else to `serde_json::Value`: what the text behind it
    /// says.
    const PRIVATE: &str = "$serde_json::private::RawValue";
    let theirs = serde_json::from_str::<serde_json::Value>(text);
    match (node, theirs) {
        (Ok(_), Ok(_)) | (Err(_), Err(_)) | (Err(slow::Defect::TooDeep), Ok(_)) => {}
        (Ok(node), Err(_)) if slow::has_name(node, PRIVATE) => {}
        // It makes doubles of numbers; we hand them on as they came.
        (Ok(_), Err(error)) => {
            assert!(error.to_string().starts_with("number out of range"), "{error}: {text}");
        }
        (Err(defect), Ok(_)) => panic!("serde_json takes what is refused for {defect:?}: {text}"),
    }
}

/// Writes JSON otherwise than it was: the members in the other order as far as no name may come
/// twice, space wherever it may be, texts and names in escapes.
struct How<'t> {
    text: &'t str,
}

impl How<'_> {
    /// The levels are those whose members are turned around.
    fn write(&self, node: &Node, levels: usize, into: &mut String) {
        into.push_str(" \n");
        match &node.kind {
            Kind::Word | Kind::Number => into.push_str(&self.text[node.place.clone()]),
            Kind::Text(text) => escape(text, into),
            Kind::Array(items) => {
                into.push('[');
                for (i, item) in items.iter().enumerate() {
                    into.push_str(if i > 0 { "\t," } else { "" });
                    self.write(item, 0, into);
                }
                into.push_str("\r]");
            }
            Kind::Object(members) => {
                into.push('{');
                let mut members = Vec::from_iter(members);
                if levels > 0 {
                    members.reverse();
                }
                for (i, (name, value)) in members.into_iter().enumerate() {
                    into.push_str(if i > 0 { "\t, " } else { "" });
                    escape(name, into);
                    into.push_str("\r:");
                    self.write(value, levels.saturating_sub(1), into);
                }
                into.push_str("\n}");
            }
        }
        into.push('\t');
    }
}

fn escape(text: &str, into: &mut String) {
    into.push('"');
    for unit in text.encode_utf16() {
        // Writing to a String does not fail.
        let _ = write!(into, "\\u{unit:04x}");
    }
    into.push('"');
}
