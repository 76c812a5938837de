//! A room: its members, the end of its log, and who follows it from where.

use super::cursor::Cursor;
use super::effect::RoomSummary;
use super::hub::Settings;
use super::user::UserIx;
use crate::base::{ConnId, Entry, MemberState, Moment, RoomId, RoomState, Timestamp, UserId};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

/// The place of a room in the hub's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct RoomIx(pub(super) u32);

/// A room.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) name: RoomId,
    pub(super) title: Arc<str>,
    pub(super) is_open: bool,
    pub(super) owner: Option<UserId>,
    pub(super) head: u64,
    pub(super) messages: u64,
    pub(super) ts: Timestamp,
    pub(super) members: BTreeMap<UserId, Member>,
    /// The connections of its members, each with its place in the log.
    pub(super) followers: BTreeMap<ConnId, Cursor>,
    /// The newest entries, without a hole up to `head`.
    tail: VecDeque<Rc<Entry>>,
    tail_bytes: usize,
    /// Who is typing, and when it was told last.
    pub(super) typing: Vec<(UserIx, Moment)>,
}

/// A member.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) user: UserIx,
    pub(super) read: u64,
    /// How many messages there are up to `read`.
    pub(super) read_messages: u64,
    pub(super) has_written: bool,
    /// They came by themselves: the room counts towards their quota.
    pub(super) is_own: bool,
    /// They have asked to leave, which is not committed: rights that narrow hold from the decision.
    pub(super) is_leaving: bool,
}

impl Room {
    pub(super) fn new(state: RoomState) -> Room {
        Room {
            name: state.room,
            title: state.title,
            is_open: state.is_open,
            owner: state.owner,
            head: state.head,
            messages: state.messages,
            ts: state.ts,
            members: BTreeMap::new(),
            followers: BTreeMap::new(),
            tail: VecDeque::new(),
            tail_bytes: 0,
            typing: Vec::new(),
        }
    }

    pub(super) fn add_member(&mut self, id: UserId, user: UserIx, state: &MemberState) {
        let member = Member {
            user,
            read: state.read,
            read_messages: state.read_messages,
            has_written: state.has_written,
            is_own: state.is_own,
            is_leaving: false,
        };
        self.members.insert(id, member);
    }

    /// The member, unless they are leaving.
    pub(super) fn member(&self, user: &UserId) -> Option<&Member> {
        self.members.get(user).filter(|member| !member.is_leaving)
    }

    /// Adds the newest entry; of those in memory the oldest make room for it.
    pub(super) fn append(&mut self, entry: &Rc<Entry>, settings: &Settings) {
        debug_assert_eq!(entry.seq, self.head + 1, "the store numbers without a hole");
        self.head = entry.seq;
        self.ts = entry.ts;
        self.messages += u64::from(entry.is_message());
        self.tail_bytes += entry.weight();
        self.tail.push_back(Rc::clone(entry));
        while self.tail.len() > settings.tail_entries || self.tail_bytes > settings.tail_bytes {
            let Some(oldest) = self.tail.pop_front() else { break };
            self.tail_bytes -= oldest.weight();
        }
    }

    /// The entries from `first` on, if all of them are in memory.
    pub(super) fn recent(&self, first: u64) -> Option<impl DoubleEndedIterator<Item = &Rc<Entry>>> {
        let oldest = self.head + 1 - self.tail.len() as u64;
        let skip = usize::try_from(first.checked_sub(oldest)?).ok()?;
        Some(self.tail.iter().skip(skip))
    }

    /// The `seq` of the oldest entry in memory; one more than the head if there is none.
    pub(super) fn oldest_recent(&self) -> u64 {
        self.head + 1 - self.tail.len() as u64
    }

    /// How many messages others have sent after a member's read mark. One's own are never after
    /// it: sending moves the mark.
    pub(super) fn unread(&self, member: &Member) -> u64 {
        self.messages.saturating_sub(member.read_messages)
    }

    pub(super) fn summary(&self, user: &UserId) -> RoomSummary {
        RoomSummary {
            room: self.name.clone(),
            title: Arc::clone(&self.title),
            open: self.is_open,
            members: self.members.len(),
            head: self.head,
            read: self.member(user).map(|member| (member.read, self.unread(member))),
        }
    }
}
