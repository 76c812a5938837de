//! An entry of a room's log ⇄ JSON.

use super::encode::{push, user_if_some};
use super::json::{Object, Writer, string};
use super::told::{ToldObject, items};
use crate::base::{Body, Changes, Entry, EntryKind, Timestamp, UserId};
use std::sync::Arc;

/// A log entry: the same envelope when pushed, replayed and in a history.
pub(crate) fn entry(entry: &Entry, with_cid: bool) -> String {
    let (kind, who) = match &entry.kind {
        EntryKind::Message { from, .. } => ("chat:message", from),
        EntryKind::Edited { by, .. } => ("chat:edited", by),
        EntryKind::Deleted { by, .. } => ("chat:deleted", by),
        EntryKind::Reacted { by, .. } => ("chat:reacted", by),
        EntryKind::Joined { user, .. } => ("room:joined", user),
        EntryKind::Left { user, .. } => ("room:left", user),
    };
    push(kind, |w| {
        w.text("room", entry.room.as_str());
        w.number("seq", entry.seq);
        match &entry.kind {
            EntryKind::Message { body, cid, changes, .. } => {
                w.text("from", who.as_str());
                let changes = changes.as_deref();
                if changes.is_some_and(|changes| changes.deleted.is_some()) {
                    w.flag("deleted", true);
                } else {
                    w.text("text", &body.text);
                    w.if_some("data", body.data.as_deref(), Writer::raw);
                }
                if let Some(changes) = changes {
                    crate::wire::entry::changes(w, changes);
                }
                w.if_some("reply_to", body.reply_to, Writer::number);
                w.if_some("cid", cid.as_deref().filter(|_| with_cid), Writer::text);
            }
            EntryKind::Edited { target, text, .. } => {
                w.number("target", *target);
                match text {
                    Some(text) => w.text("text", text),
                    None => w.flag("deleted", true),
                }
                w.text("by", who.as_str());
            }
            EntryKind::Deleted { target, .. } => {
                w.number("target", *target);
                w.text("by", who.as_str());
            }
            EntryKind::Reacted { target, emoji, on, .. } => {
                w.number("target", *target);
                w.text("emoji", emoji);
                w.flag("on", *on);
                w.text("by", who.as_str());
            }
            EntryKind::Joined { by, .. } | EntryKind::Left { by, .. } => {
                w.text("user", who.as_str());
                user_if_some(w, "by", by);
            }
        }
        w.number("ts", entry.ts.0);
    })
}

/// Changes to a message since it was sent.
fn changes(w: &mut Writer, changes: &Changes) {
    w.if_some("edited", changes.edited, Writer::number);
    if !changes.reactions.is_empty() {
        w.object_in("reactions", |w| {
            for (emoji, users) in &changes.reactions {
                w.array(emoji, users, |w, user| w.item(user.as_str()));
            }
        });
    }
}

/// Reads what [`entry`] wrote; `None` for a kind that is not known, or without what belongs to it.
pub(crate) fn read(kind: &str, payload: &ToldObject<'_>) -> Option<Entry> {
    let text = |name| payload.text(name).map(|text| Arc::<str>::from(&*text));
    let target = || payload.number("target");
    let kind = match kind {
        "chat:message" => {
            let is_deleted = payload.flag("deleted");
            let body = Body {
                text: if is_deleted { "".into() } else { text("text")? },
                data: payload.raw("data").map(Into::into),
                reply_to: payload.number("reply_to"),
            };
            let (from, cid) = (payload.user("from")?, text("cid"));
            EntryKind::Message {
                from,
                body: body.into(),
                cid,
                changes: read_changes(payload, is_deleted),
            }
        }
        "chat:edited" => {
            EntryKind::Edited { target: target()?, text: text("text"), by: payload.user("by")? }
        }
        "chat:deleted" => EntryKind::Deleted { target: target()?, by: payload.user("by")? },
        "chat:reacted" => EntryKind::Reacted {
            target: target()?,
            emoji: text("emoji")?,
            on: payload.flag("on"),
            by: payload.user("by")?,
        },
        "room:joined" => EntryKind::Joined { user: payload.user("user")?, by: payload.user("by") },
        "room:left" => EntryKind::Left { user: payload.user("user")?, by: payload.user("by") },
        _ => return None,
    };
    let (room, seq) = (payload.room()?, payload.number("seq")?);
    Some(Entry { room, seq, ts: Timestamp(payload.integer("ts")?), kind })
}

fn read_changes(payload: &ToldObject<'_>, is_deleted: bool) -> Option<Box<Changes>> {
    let user = |raw| UserId::parse_any(&string(raw)?).ok();
    let reactions = payload.raw("reactions").map(Object::in_order).unwrap_or_default();
    let reactions = reactions
        .into_iter()
        .map(|(emoji, users)| (emoji.into(), items(users).into_iter().filter_map(user).collect()));
    let changes = Changes {
        edited: payload.number("edited"),
        deleted: is_deleted.then_some(0),
        reactions: reactions.collect(),
    };
    (changes != Changes::default()).then(|| Box::new(changes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::RoomId;
    use crate::wire::told::ToldMessage;

    #[test]
    fn each_kind_is_read_as_it_was_written() {
        let user = |name: &str| UserId::parse_any(name).unwrap();
        let by = || user("bob");
        let body = |text: &str, data: Option<&str>, reply_to| {
            Box::new(Body { text: text.into(), data: data.map(Into::into), reply_to })
        };
        let message = |body, cid: Option<&str>, changes| EntryKind::Message {
            from: user("ada"),
            body,
            cid: cid.map(Into::into),
            changes,
        };
        let reactions = vec![("+".into(), vec![user("ada"), by()]), ("\"".into(), vec![by()])];
        let edited = Changes { edited: Some(9), deleted: None, reactions };
        let deleted = Changes { deleted: Some(0), ..Changes::default() };
        let kinds = [
            message(body("hello \u{1}\"", Some("{\"n\":1.50}"), Some(3)), Some("c-1"), None),
            message(body("", None, None), None, Some(Box::new(edited))),
            message(body("", None, Some(2)), Some("c"), Some(Box::new(deleted))),
            EntryKind::Edited { target: 1, text: Some("new".into()), by: by() },
            EntryKind::Edited { target: 1, text: None, by: by() },
            EntryKind::Deleted { target: 1, by: by() },
            EntryKind::Reacted { target: 1, emoji: "+".into(), on: true, by: by() },
            EntryKind::Reacted { target: 1, emoji: "\u{1f44d}".into(), on: false, by: by() },
            EntryKind::Joined { user: by(), by: None },
            EntryKind::Left { user: by(), by: Some(user("ada")) },
        ];
        for kind in kinds {
            let entry =
                Entry { room: RoomId::parse("tea").unwrap(), seq: 7, ts: Timestamp(-5), kind };
            let text = super::entry(&entry, true);
            let told = ToldMessage::parse(&text).unwrap();
            let payload = ToldObject::parse(told.payload).unwrap();
            assert_eq!(read(&told.kind, &payload), Some(entry), "{text}");
            // Without what belongs to it, it is none.
            for member in ["room", "seq", "ts"] {
                let other = text.replace(&format!("\"{member}\":"), "\"other\":");
                let told = ToldMessage::parse(&other).unwrap();
                let payload = ToldObject::parse(told.payload).unwrap();
                assert_eq!(read(&told.kind, &payload), None, "{other}");
            }
        }
    }
}
