//! An entry of a room's log → JSON.

use super::encode::{push, user_if_some};
use super::json::Writer;
use crate::base::{Changes, Entry, EntryKind};

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
