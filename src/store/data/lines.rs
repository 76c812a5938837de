//! The lines of an export, which `docs/store.md` describes.
//!
//! They leave out what follows from the rest: reactions that hold, and numbers of rows.

use crate::base::json::scan;
use crate::base::limits::JSON_DEPTH_MAX;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// The format of the lines. A program refuses one that it does not know.
pub(super) const FORMAT: u32 = 1;
/// The most bytes of a line that is read: more than the largest message has, escaped, with any
/// limits.
pub(super) const LINE_BYTES_MAX: u64 = 16 * 1024 * 1024;

type LineText<'a> = Cow<'a, str>;

/// One line: an object with one member, which says what it is.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Line<'a> {
    /// The first one.
    Store(StoreLine<'a>),
    User(UserLine<'a>),
    Revocation(RevocationLine<'a>),
    Stream(StreamLine<'a>),
    Event(EventLine<'a>),
    Room(RoomLine<'a>),
    Member(MemberLine<'a>),
    Invite(PermitLine<'a>),
    Ban(PermitLine<'a>),
    Entry(Box<EntryLine<'a>>),
    /// The last one. Without it, something is missing.
    End(Counts),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StoreLine<'a> {
    pub(super) format: u32,
    pub(super) epoch: LineText<'a>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UserLine<'a> {
    pub(super) id: LineText<'a>,
    pub(super) name: LineText<'a>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RevocationLine<'a> {
    pub(super) kind: LineText<'a>,
    pub(super) key: LineText<'a>,
    pub(super) before: i64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StreamLine<'a> {
    pub(super) stream: LineText<'a>,
    pub(super) epoch: LineText<'a>,
    pub(super) head: u64,
    pub(super) ts: i64,
    pub(super) first: u64,
}

/// An event, whose data are JSON as a string, or bytes in Base64.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EventLine<'a> {
    pub(super) stream: LineText<'a>,
    pub(super) seq: u64,
    pub(super) ts: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) data: Option<LineText<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) bytes: Option<LineText<'a>>,
    /// The user whose id it is, if it is a user's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) by: Option<LineText<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<LineText<'a>>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RoomLine<'a> {
    pub(super) room: LineText<'a>,
    pub(super) title: LineText<'a>,
    pub(super) open: bool,
    pub(super) ended: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) owner: Option<LineText<'a>>,
    pub(super) head: i64,
    pub(super) messages: i64,
    pub(super) ts: i64,
    pub(super) first: i64,
    pub(super) first_ts: i64,
    pub(super) first_messages: i64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MemberLine<'a> {
    pub(super) room: LineText<'a>,
    pub(super) user: LineText<'a>,
    pub(super) joined: i64,
    pub(super) read: i64,
    pub(super) read_messages: i64,
    pub(super) deleted_unread: i64,
    pub(super) delivered: i64,
    pub(super) has_written: bool,
    pub(super) own: bool,
}

/// An invitation or a ban.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PermitLine<'a> {
    pub(super) room: LineText<'a>,
    pub(super) user: LineText<'a>,
    pub(super) by: LineText<'a>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EntryLine<'a> {
    pub(super) room: LineText<'a>,
    pub(super) seq: i64,
    pub(super) ts: i64,
    pub(super) kind: LineText<'a>,
    pub(super) user: LineText<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) by: Option<LineText<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) text: Option<LineText<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) data: Option<LineText<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reply_to: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) target: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) emoji: Option<LineText<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) on: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cid: Option<LineText<'a>>,
    /// In hexadecimal digits, because JSON numbers are not exact in all programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) digest: Option<LineText<'a>>,
    pub(super) messages: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) edited: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) deleted: Option<i64>,
}

/// How many lines of each kind there are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Counts {
    pub users: u64,
    pub revocations: u64,
    // Exports from before durable streams do not have these.
    #[serde(default)]
    pub streams: u64,
    #[serde(default)]
    pub events: u64,
    pub rooms: u64,
    pub members: u64,
    pub invites: u64,
    pub bans: u64,
    pub entries: u64,
}

/// Whether a message's `data` is what a server takes: one JSON value with nothing around it, no
/// deeper than allowed within an envelope and a payload, without halves of surrogate pairs.
pub(super) fn is_data(text: &str) -> bool {
    const AROUND_IT: usize = 2;
    let value: serde_json::Result<&RawValue> = serde_json::from_str(text);
    value.is_ok_and(|value| value.get().len() == text.len())
        && scan(text, JSON_DEPTH_MAX - AROUND_IT).is_ok()
}

impl Counts {
    /// Counts a line, but not the first and the last one.
    pub(super) fn count(&mut self, line: &Line<'_>) {
        let count = match line {
            Line::User(_) => &mut self.users,
            Line::Revocation(_) => &mut self.revocations,
            Line::Stream(_) => &mut self.streams,
            Line::Event(_) => &mut self.events,
            Line::Room(_) => &mut self.rooms,
            Line::Member(_) => &mut self.members,
            Line::Invite(_) => &mut self.invites,
            Line::Ban(_) => &mut self.bans,
            Line::Entry(_) => &mut self.entries,
            Line::Store(_) | Line::End(_) => return,
        };
        *count += 1;
    }

    /// The rows of members, invitations and bans.
    pub(super) fn people(&self) -> u64 {
        self.members + self.invites + self.bans
    }
}

impl Line<'_> {
    /// Writes the line, with its end.
    pub(super) fn write(&self, into: &mut Vec<u8>) -> serde_json::Result<()> {
        into.clear();
        serde_json::to_writer(&mut *into, self)?;
        into.push(b'\n');
        Ok(())
    }

    pub(super) fn parse(text: &[u8]) -> Result<Line<'_>, String> {
        serde_json::from_slice(text).map_err(|error| error.to_string())
    }
}
