//! What the tests of the chat are made with.

use crate::base::{Body, Entry, EntryKind, RoomId, Timestamp, UserId};

pub(super) fn user(name: &str) -> UserId {
    UserId::parse(name).unwrap()
}

pub(super) fn room(name: &str) -> RoomId {
    RoomId::parse(name).unwrap()
}

/// An entry of `tea`, one second after the one before.
pub(super) fn entry(seq: u64, kind: EntryKind) -> Entry {
    let ts = Timestamp(784_111_777_000 + 1_000 * seq as i64);
    Entry { room: room("tea"), seq, ts, kind }
}

pub(super) fn message(seq: u64, from: &str, text: &str) -> Entry {
    let body = Box::new(Body { text: text.into(), data: None, reply_to: None });
    entry(seq, EntryKind::Message { from: user(from), body, cid: None, changes: None })
}
