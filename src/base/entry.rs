//! An entry of a room's log: what must survive.
//!
//! The store numbers it, the hub hands it on, the server encodes it; none of them changes it.

use crate::base::{RoomId, Timestamp, UserId};
use std::sync::Arc;

/// One entry of one room's log, committed to the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The room.
    pub room: RoomId,
    /// Its place in the log: 1, 2, 3 … without a hole.
    pub seq: u64,
    /// When it was committed; never falls within a room.
    pub ts: Timestamp,
    /// What happened.
    pub kind: EntryKind,
}

/// What an entry says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// Somebody said something.
    Message {
        /// Who said it.
        from: UserId,
        /// What. Boxed, as the other kinds have nothing of its size.
        body: Box<Body>,
        /// The author's own id for it, for repeats.
        cid: Option<Arc<str>>,
        /// What became of it since; none while it is as it was sent.
        changes: Option<Box<Changes>>,
    },
    /// A message's author has changed its text.
    Edited {
        /// The message's `seq`.
        target: u64,
        /// The new text; none once the message is deleted.
        text: Option<Arc<str>>,
        /// Who.
        by: UserId,
    },
    /// A message was deleted.
    Deleted {
        /// The message's `seq`.
        target: u64,
        /// Who: the author, the room's owner or an admin.
        by: UserId,
    },
    /// A user has reacted to a message, or taken that back.
    Reacted {
        /// The message's `seq`.
        target: u64,
        /// With what.
        emoji: Arc<str>,
        /// Whether it holds from here on.
        on: bool,
        /// Who.
        by: UserId,
    },
    /// A user became a member.
    Joined {
        /// Who.
        user: UserId,
        /// Who brought them, if it was another.
        by: Option<UserId>,
    },
    /// A user is no longer a member.
    Left {
        /// Who.
        user: UserId,
        /// Who removed them, if it was another.
        by: Option<UserId>,
    },
}

/// What a message says: what a repeat must say again to be one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// The text; may be empty.
    pub text: Arc<str>,
    /// JSON of the application's own, as it came: digits and order kept.
    pub data: Option<Arc<str>>,
    /// The `seq` of the entry that it answers.
    pub reply_to: Option<u64>,
}

/// What became of a message after it was sent: with it a message in a history has its newest state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// The `seq` of its newest edit. The text is that edit's.
    pub edited: Option<u64>,
    /// The `seq` of the entry that deleted it. Text and data are gone, and so are reactions.
    pub deleted: Option<u64>,
    /// Reactions in the order in which their first came; of each the first
    /// [`REACTION_USERS_MAX`](super::limits::REACTION_USERS_MAX) users.
    pub reactions: Vec<(Arc<str>, Vec<UserId>)>,
}

impl Entry {
    /// Bytes that this entry takes as JSON, about; for budgets of pages.
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

    /// Whether it is a message, which counts as unread to others.
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
    let of_byte = |byte: u8| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' => 2,
        0..0x20 => 6,
        _ => 1,
    };
    text.bytes().map(of_byte).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_weighs_what_it_has_as_json() {
        for (text, len) in [("plain", 5), ("äöü", 6), ("\u{1}\u{1f}", 12), ("\"\\\n\t", 8)] {
            assert_eq!(escaped_len(text), len, "{text:?}");
        }
    }
}
