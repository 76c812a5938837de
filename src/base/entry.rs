//! An entry of a room's log.
//!
//! The store numbers it, the hub delivers it, the server encodes it. None of them changes it.

use crate::base::{RoomId, Timestamp, UserId};
use std::sync::Arc;

/// One committed entry of a room's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The room.
    pub room: RoomId,
    /// Its number in the log: 1, 2, 3 … without a gap.
    pub seq: u64,
    /// When it was committed. Times never decrease within a room.
    pub ts: Timestamp,
    /// What happened.
    pub kind: EntryKind,
}

/// The kinds of entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A message.
    Message {
        /// The author.
        from: UserId,
        /// The content. Boxed because the other kinds are much smaller.
        body: Box<Body>,
        /// The author's own id for it, which makes a repeat harmless.
        cid: Option<Arc<str>>,
        /// What has changed since; `None` if nothing.
        changes: Option<Box<Changes>>,
    },
    /// The author has edited a message.
    Edited {
        /// The message's `seq`.
        target: u64,
        /// The new text; `None` once the message is deleted.
        text: Option<Arc<str>>,
        /// The author.
        by: UserId,
    },
    /// A message was deleted.
    Deleted {
        /// The message's `seq`.
        target: u64,
        /// Who deleted it: the author, the room's owner or an admin.
        by: UserId,
    },
    /// A user has reacted to a message, or withdrawn a reaction.
    Reacted {
        /// The message's `seq`.
        target: u64,
        /// The reaction.
        emoji: Arc<str>,
        /// Whether the reaction is set or withdrawn.
        on: bool,
        /// The user.
        by: UserId,
    },
    /// A user became a member.
    Joined {
        /// The user.
        user: UserId,
        /// Who added them, if another did.
        by: Option<UserId>,
    },
    /// A user is no longer a member.
    Left {
        /// The user.
        user: UserId,
        /// Who removed them, if another did.
        by: Option<UserId>,
    },
}

/// The content of a message. A repeat must have the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// The text; may be empty.
    pub text: Arc<str>,
    /// The application's own JSON, unchanged: digits and order are kept.
    pub data: Option<Arc<str>>,
    /// The `seq` of the entry to which it replies.
    pub reply_to: Option<u64>,
}

/// What has changed since a message was sent. In a history, a message has its newest state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// The `seq` of its newest edit. The text is that edit's.
    pub edited: Option<u64>,
    /// The `seq` of the entry that deleted it; 0 where that is not told, as to clients. Text, data
    /// and reactions are gone.
    pub deleted: Option<u64>,
    /// Reactions, in the order of their first use; of each the first
    /// [`REACTION_USERS_MAX`](super::limits::REACTION_USERS_MAX) users.
    pub reactions: Vec<(Arc<str>, Vec<UserId>)>,
}

impl Entry {
    /// About how many bytes this entry takes as JSON, for budgets of pages.
    #[must_use]
    pub fn weight(&self) -> usize {
        const ENVELOPE: usize = 160;
        let body = match &self.kind {
            EntryKind::Message { body, changes, .. } => {
                let data = body.data.as_ref().map_or(0, |data| data.len());
                escaped_len(&body.text) + data + changes.as_ref().map_or(0, |one| one.weight())
            }
            EntryKind::Edited { text, .. } => text.as_ref().map_or(0, |text| escaped_len(text)),
            EntryKind::Reacted { emoji, .. } => escaped_len(emoji),
            EntryKind::Deleted { .. } | EntryKind::Joined { .. } | EntryKind::Left { .. } => 0,
        };
        ENVELOPE + body
    }

    /// Whether it is a message, which counts as unread for others.
    #[must_use]
    pub fn is_message(&self) -> bool {
        matches!(self.kind, EntryKind::Message { .. })
    }
}

impl Changes {
    fn weight(&self) -> usize {
        const MARKS: usize = 64;
        let of_users = |users: &[UserId]| -> usize {
            users.iter().map(|user| user.as_str().len() + "\"\",".len()).sum()
        };
        let reactions = self.reactions.iter();
        MARKS
            + reactions
                .map(|(emoji, users)| escaped_len(emoji) + "\"\":[],".len() + of_users(users))
                .sum::<usize>()
    }
}

/// Bytes of a text in a JSON string.
fn escaped_len(text: &str) -> usize {
    // Sums of a few bytes at a time fit in one, so that the compiler takes many bytes at once.
    const BYTES: usize = 32;
    let more = |byte: &u8| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' => 1u8,
        0..0x20 => 5,
        _ => 0,
    };
    let of_some = |bytes: &[u8]| usize::from(bytes.iter().map(more).sum::<u8>());
    text.len() + text.as_bytes().chunks(BYTES).map(of_some).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_weighs_what_it_has_as_json() {
        for (text, len) in [("plain", 5), ("äöü", 6), ("\u{1}\u{1f}", 12), ("\"\\\n\t", 8)] {
            assert_eq!(escaped_len(text), len, "{text:?}");
            assert_eq!(escaped_len(&text.repeat(100)), 100 * len, "{text:?}");
        }
    }
}
