//! A room: its members, the end of its log, and its followers with their cursors.

use super::cursor::Cursor;
use super::presence::Tally;
use super::user::UserIx;
use crate::base::answer::RoomSummary;
use crate::base::table::index_in_slab;
use crate::base::{
    ConnId, Entry, EntryKind, Limits, MemberState, Moment, RoomId, RoomState, SmallMap, Timestamp,
    UserId,
};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

index_in_slab!(pub(super) RoomIx, Room);

#[derive(Debug)]
pub(super) struct Room {
    pub(super) name: RoomId,
    pub(super) title: Arc<str>,
    pub(super) is_open: bool,
    pub(super) owner: Option<UserId>,
    /// The newest change of it, see [`StoreChange::Room`](crate::base::StoreChange::Room).
    pub(super) version: u64,
    pub(super) head: u64,
    pub(super) messages: u64,
    pub(super) ts: Timestamp,
    /// The oldest entry that is kept. Earlier ones are shown to nobody.
    pub(super) first: u64,
    /// The oldest entry on disk, and when it was committed.
    pub(super) stored_first: u64,
    pub(super) first_ts: Timestamp,
    /// Entries are being removed from its beginning.
    pub(super) is_trimming: bool,
    pub(super) life: Life,
    pub(super) permits: Option<Box<Permits>>,
    pub(super) members: SmallMap<UserId, Member>,
    /// The connections of its members, each with its place in the log.
    pub(super) followers: SmallMap<ConnId, Cursor>,
    /// Members who are online, in the order of lists, and how many were announced. A list looks their
    /// indexes up: here they would take as much memory as the ids.
    pub(super) online: SmallMap<UserId, ()>,
    pub(super) tally: Tally,
    /// The newest entries, without a gap up to `head`.
    tail: VecDeque<Arc<Entry>>,
    tail_bytes: usize,
    /// Users who are typing, and when that was last told.
    pub(super) typing: Vec<(UserIx, Moment)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    Live,
    /// Its end was decided and is not committed. Rights that narrow are in force from the decision.
    Ending,
    /// Only its name is left, which stays taken.
    Ended,
}

/// Exceptions for single users: invitations to a closed room, and bans.
#[derive(Debug, Default)]
pub(super) struct Permits {
    /// Each invited user, and who invited them.
    pub(super) invites: BTreeMap<UserId, UserId>,
    pub(super) bans: BTreeMap<UserId, Ban>,
}

/// A ban. It is in force as soon as it is decided.
#[derive(Debug, Default)]
pub(super) struct Ban {
    pub(super) is_stored: bool,
    /// How many records of it are in flight.
    pub(super) in_flight: u32,
}

#[derive(Debug)]
pub(super) struct Member {
    pub(super) user: UserIx,
    pub(super) read: u64,
    /// Messages up to `read`.
    pub(super) read_messages: u64,
    pub(super) has_written: bool,
    /// Deleted messages after `read`; more than anybody writes.
    deleted_unread: u32,
    pub(super) delivered: u64,
    /// They joined by themselves: the room counts towards their quota.
    pub(super) is_own: bool,
    /// Ends of the membership decided and not committed. Rights that narrow are in force from the
    /// decision.
    pub(super) endings: u32,
}

fn saturated(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

impl Member {
    /// They have read up to an entry. Up to it there are `messages`, and after it `deleted` ones.
    pub(super) fn has_read(&mut self, seq: u64, messages: u64, deleted: u64) {
        (self.read, self.read_messages) = (seq, messages);
        self.deleted_unread = saturated(deleted);
    }

    /// A message that they have not read is deleted.
    pub(super) fn misses_one(&mut self) {
        self.deleted_unread = self.deleted_unread.saturating_add(1);
    }
}

impl Room {
    pub(super) fn new(state: RoomState) -> Room {
        Room {
            name: state.room,
            title: state.title,
            is_open: state.is_open && !state.is_ended,
            owner: state.owner,
            version: 0,
            head: state.head,
            messages: state.messages,
            ts: state.ts,
            // An ended room keeps nothing, whatever is still on disk.
            first: if state.is_ended { state.head + 1 } else { state.first },
            stored_first: state.first,
            first_ts: state.first_ts,
            is_trimming: false,
            life: if state.is_ended { Life::Ended } else { Life::Live },
            permits: None,
            members: SmallMap::new(),
            followers: SmallMap::new(),
            online: SmallMap::new(),
            tally: Tally::default(),
            tail: VecDeque::new(),
            tail_bytes: 0,
            typing: Vec::new(),
        }
    }

    /// The same one stays where it is in memory: what the store has read lies among much that is freed.
    pub(super) fn set_owner(&mut self, owner: Option<UserId>) {
        if self.owner != owner {
            self.owner = owner;
        }
    }

    pub(super) fn add_member(&mut self, id: UserId, user: UserIx, state: &MemberState) {
        let member = Member {
            user,
            read: state.read,
            read_messages: state.read_messages,
            deleted_unread: saturated(state.deleted_unread),
            delivered: state.delivered,
            has_written: state.has_written,
            is_own: state.is_own,
            endings: 0,
        };
        self.members.insert(id, member);
    }

    /// The member, unless they are leaving or the room is ending.
    pub(super) fn member(&self, user: &UserId) -> Option<&Member> {
        let is_live = self.life == Life::Live;
        self.members.get(user).filter(|member| is_live && member.endings == 0)
    }

    /// The connections that are told of the room.
    pub(super) fn audience(&self) -> impl Iterator<Item = ConnId> {
        let told = self.followers.iter().filter(|(_, cursor)| cursor.is_told());
        told.map(|(conn, _)| *conn)
    }

    pub(super) fn is_owner(&self, user: &UserId) -> bool {
        self.owner.as_ref() == Some(user) && self.member(user).is_some()
    }

    pub(super) fn is_banned(&self, user: &UserId) -> bool {
        self.permits.as_ref().is_some_and(|permits| permits.bans.contains_key(user))
    }

    pub(super) fn ban(&self, user: &UserId) -> Option<&Ban> {
        self.permits.as_ref()?.bans.get(user)
    }

    pub(super) fn is_invited(&self, user: &UserId) -> bool {
        self.permits.as_ref().is_some_and(|permits| permits.invites.contains_key(user))
    }

    pub(super) fn permits(&mut self) -> &mut Permits {
        self.permits.get_or_insert_default()
    }

    pub(super) fn drop_empty_permits(&mut self) {
        self.permits.take_if(|permits| permits.invites.is_empty() && permits.bans.is_empty());
    }

    /// Replaces a changed message in memory. If it was deleted, its edits lose their text too.
    pub(super) fn replace(&mut self, target: Entry) {
        let is_deleted = matches!(&target.kind,
            EntryKind::Message { changes: Some(changes), .. } if changes.deleted.is_some());
        let (seq, mut target) = (target.seq, Some(Arc::new(target)));
        for entry in &mut self.tail {
            let old = entry.weight();
            if entry.seq == seq {
                if let Some(target) = target.take() {
                    *entry = target;
                }
            } else if is_deleted
                && let EntryKind::Edited { target, text: Some(_), .. } = &entry.kind
                && *target == seq
            {
                let mut blank = Entry::clone(entry);
                if let EntryKind::Edited { text, .. } = &mut blank.kind {
                    *text = None;
                }
                *entry = Arc::new(blank);
            }
            self.tail_bytes = self.tail_bytes + entry.weight() - old;
        }
    }

    /// Forgets everything but the name and the numbers. Returns its members and permits.
    pub(super) fn end(&mut self) -> (SmallMap<UserId, Member>, Option<Box<Permits>>) {
        self.life = Life::Ended;
        self.title = "".into();
        self.owner = None;
        self.is_open = false;
        self.online.clear();
        self.tally = Tally::default();
        self.followers.clear();
        self.tail = VecDeque::new();
        self.tail_bytes = 0;
        self.typing = Vec::new();
        self.first = self.head + 1;
        (std::mem::take(&mut self.members), self.permits.take())
    }

    /// Adds the newest entry; the oldest in memory make room.
    pub(super) fn append(&mut self, entry: &Arc<Entry>, limits: &Limits) {
        debug_assert_eq!(entry.seq, self.head + 1, "the store numbers without a hole");
        if self.stored_first == entry.seq {
            self.first_ts = entry.ts;
        }
        self.head = entry.seq;
        self.ts = entry.ts;
        self.messages += u64::from(entry.is_message());
        self.tail_bytes += entry.weight();
        self.tail.push_back(Arc::clone(entry));
        while self.tail.len() > limits.tail_entries as usize
            || self.tail_bytes > limits.tail_bytes as usize
        {
            let Some(oldest) = self.tail.pop_front() else { break };
            self.tail_bytes -= oldest.weight();
        }
    }

    /// The entries from `first` on, if all of them are in memory.
    pub(super) fn recent(
        &self,
        first: u64,
    ) -> Option<impl DoubleEndedIterator<Item = &Arc<Entry>>> {
        let oldest = self.head + 1 - self.tail.len() as u64;
        let skip = usize::try_from(first.checked_sub(oldest)?).ok()?;
        Some(self.tail.iter().skip(skip))
    }

    /// The last entry before a time, if memory can tell; 0 if none is kept.
    pub(super) fn last_before(&self, ts: Timestamp) -> Option<u64> {
        let since = self.tail.iter().rev().take_while(|entry| entry.ts >= ts).count() as u64;
        let (last, oldest) = (self.head - since, self.oldest_recent());
        if last >= oldest { Some(last) } else { (oldest <= self.first).then_some(0) }
    }

    /// The `seq` of the oldest entry in memory; one more than the head if there is none.
    pub(super) fn oldest_recent(&self) -> u64 {
        self.head + 1 - self.tail.len() as u64
    }

    /// Undeleted messages after a member's read mark. Their own are never after it: sending moves
    /// the mark.
    pub(super) fn unread(&self, member: &Member) -> u64 {
        let unread = self.messages.saturating_sub(member.read_messages);
        // Entries no longer kept are not unread, even while the store still has them.
        unread.saturating_sub(member.deleted_unread.into()).min(self.head + 1 - self.first)
    }

    /// The last entry read; never before what is kept.
    pub(super) fn read_of(&self, member: &Member) -> u64 {
        member.read.max(self.first - 1)
    }

    pub(super) fn summary(&self, user: &UserId) -> RoomSummary {
        RoomSummary {
            room: self.name.clone(),
            title: Arc::clone(&self.title),
            open: self.is_open,
            members: self.members.len(),
            head: self.head,
            read: self.member(user).map(|member| (self.read_of(member), self.unread(member))),
        }
    }
}
