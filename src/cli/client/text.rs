//! What others have written, as lines for people at a terminal.

use crate::base::date::rfc3339;
use crate::base::{Entry, EntryKind};
use crate::cli::shown;
use crate::client::{ClientEvent, State};

/// An entry of a room's log as a line.
pub(super) fn entry_line(entry: &Entry) -> String {
    let what = match &entry.kind {
        EntryKind::Message { from, body, changes, .. } => {
            let is_deleted = changes.as_ref().is_some_and(|changes| changes.deleted.is_some());
            let text = if is_deleted { "(deleted)" } else { &*body.text };
            let reply = body.reply_to.map(|seq| format!(" (to {seq})")).unwrap_or_default();
            format!("{from}{reply}: {}", shown(text))
        }
        EntryKind::Edited { target, text: Some(text), by } => {
            format!("{by} edits {target}: {}", shown(text))
        }
        EntryKind::Edited { target, text: None, by } => format!("{by} edited {target}"),
        EntryKind::Deleted { target, by } => format!("{by} deletes {target}"),
        EntryKind::Reacted { target, emoji, on: true, by } => {
            format!("{by} {} {target}", shown(emoji))
        }
        EntryKind::Reacted { target, emoji, on: false, by } => {
            format!("{by} takes back {} of {target}", shown(emoji))
        }
        EntryKind::Joined { user, .. } => format!("{user} joins"),
        EntryKind::Left { user, .. } => format!("{user} leaves"),
    };
    format!("{} {} {} {what}", rfc3339(entry.ts), entry.room, entry.seq)
}

/// What is worth a line beside the entries.
pub(super) fn remark(event: &ClientEvent) -> Option<String> {
    Some(match event {
        ClientEvent::State(State::Waiting { reason, .. }) => {
            format!("lost, and tried again: {}", shown(reason))
        }
        ClientEvent::Gap(gap) => {
            format!(
                "{}: from {} to {} is not kept any more",
                gap.room,
                gap.after + 1,
                gap.before - 1
            )
        }
        ClientEvent::StreamGap { stream, after, .. } => {
            format!("{stream}: what came after {after} is not kept any more")
        }
        ClientEvent::StreamStale { stream, since: Some(_) } => {
            format!("{stream}: nothing was heard for too long")
        }
        _ => return None,
    })
}
