//! A store as its rules say, in plain maps: slow, obvious, and gone when it is dropped.
//!
//! The simulator runs on it, as do the hub's own tests; `tests/store_model.rs` holds the real store
//! against it.

use parlor::base::limits::{
    FORGOTTEN_AFTER_MS, REACTION_USERS_MAX, REACTIONS_PER_MESSAGE_MAX, TRIM_ENTRIES_MAX,
};
use parlor::base::{
    Body, Changes, Data, Entry, EntryKind, Invite, MemberState, Outcome, PublicationId, Query,
    Record, Revocation, RoomId, RoomState, Snapshot, StreamEvent, StreamId, StreamState, Timestamp,
    UserId,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What a store remembers. A clone is what would be there after a crash.
#[derive(Clone, Debug, Default)]
pub(crate) struct ModelStore {
    pub(crate) epoch: String,
    /// In the order in which they came into being.
    rooms: Vec<ModelRoom>,
    names: BTreeMap<UserId, Arc<str>>,
    streams: BTreeMap<StreamId, StreamState>,
    revoked_tokens: BTreeMap<Arc<str>, Option<Timestamp>>,
    revoked_users: BTreeMap<UserId, Timestamp>,
    /// The time of the newest entry of all: the next one's is no earlier.
    newest: Timestamp,
}

#[derive(Clone, Debug)]
struct ModelRoom {
    state: RoomState,
    members: BTreeMap<UserId, MemberState>,
    invites: BTreeMap<UserId, UserId>,
    bans: BTreeSet<UserId>,
    log: BTreeMap<u64, Stored>,
}

#[derive(Clone, Debug)]
struct Stored {
    /// As it was committed; of a message the text is its newest.
    entry: Entry,
    /// A message as it was sent.
    sent: Option<Body>,
    edited: Option<u64>,
    deleted: Option<u64>,
    /// Reactions that hold, oldest first.
    reactions: Vec<(Arc<str>, UserId)>,
    /// How many messages there are up to this entry.
    messages: u64,
}

impl Stored {
    fn shown(&self) -> Entry {
        let mut entry = self.entry.clone();
        if let EntryKind::Message { changes, .. } = &mut entry.kind
            && (self.edited.is_some() || self.deleted.is_some() || !self.reactions.is_empty())
        {
            let mut reactions: Vec<(Arc<str>, Vec<UserId>)> = Vec::new();
            for (emoji, user) in &self.reactions {
                match reactions.iter_mut().find(|(one, _)| one == emoji) {
                    Some((_, users)) if users.len() < REACTION_USERS_MAX => {
                        users.push(user.clone());
                    }
                    Some(_) => {}
                    None => reactions.push((Arc::clone(emoji), vec![user.clone()])),
                }
            }
            let (edited, deleted) = (self.edited, self.deleted);
            *changes = Some(Box::new(Changes { edited, deleted, reactions }));
        }
        entry
    }

    /// A message that is not deleted.
    fn is_message(&self) -> bool {
        matches!(self.entry.kind, EntryKind::Message { .. }) && self.deleted.is_none()
    }
}

impl ModelRoom {
    fn append(&mut self, now: Timestamp, kind: EntryKind) -> Entry {
        let state = &mut self.state;
        state.head += 1;
        state.ts = state.ts.max(now);
        if self.log.is_empty() {
            state.first_ts = state.ts;
        }
        let sent = match &kind {
            EntryKind::Message { body, .. } => Some(Body::clone(body)),
            _ => None,
        };
        state.messages += u64::from(sent.is_some());
        let entry = Entry { room: state.room.clone(), seq: state.head, ts: state.ts, kind };
        let stored = Stored {
            entry: entry.clone(),
            sent,
            edited: None,
            deleted: None,
            reactions: Vec::new(),
            messages: state.messages,
        };
        self.log.insert(state.head, stored);
        entry
    }

    fn join(&mut self, now: Timestamp, user: &UserId, by: Option<&UserId>, is_own: bool) -> Entry {
        let kind = EntryKind::Joined { user: user.clone(), by: by.cloned() };
        let entry = self.append(now, kind);
        let member = MemberState {
            joined: entry.seq,
            read: entry.seq,
            read_messages: self.state.messages,
            deleted_unread: 0,
            delivered: entry.seq,
            has_written: false,
            is_own,
        };
        self.members.insert(user.clone(), member);
        entry
    }

    fn leave(&mut self, now: Timestamp, user: &UserId, by: Option<&UserId>) -> Entry {
        self.members.remove(user);
        if self.state.owner.as_ref() == Some(user) {
            let heir = self.members.iter().min_by_key(|(_, member)| member.joined);
            self.state.owner = heir.map(|(user, _)| user.clone());
        }
        self.append(now, EntryKind::Left { user: user.clone(), by: by.cloned() })
    }

    fn deleted_after(&self, seq: u64) -> u64 {
        self.log.range(seq + 1..).filter(|(_, stored)| stored.deleted.is_some()).count() as u64
    }

    fn unchanged(&self, seq: u64) -> Outcome {
        Outcome::Unchanged { seq, ts: self.log[&seq].entry.ts }
    }

    fn changed(&self, target: u64, entry: Entry) -> Outcome {
        Outcome::Changed { entry, target: self.log[&target].shown() }
    }
}

impl ModelStore {
    pub(crate) fn new(epoch: &str) -> ModelStore {
        ModelStore { epoch: epoch.to_owned(), ..ModelStore::default() }
    }

    fn find(&mut self, room: &RoomId) -> Option<&mut ModelRoom> {
        self.rooms.iter_mut().find(|one| one.state.room == *room)
    }

    fn live(&mut self, room: &RoomId) -> Option<&mut ModelRoom> {
        self.find(room).filter(|room| !room.state.is_ended)
    }

    fn add_room(&mut self, state: RoomState) -> &mut ModelRoom {
        self.rooms.push(ModelRoom {
            state,
            members: BTreeMap::new(),
            invites: BTreeMap::new(),
            bans: BTreeSet::new(),
            log: BTreeMap::new(),
        });
        self.rooms.last_mut().expect("one was added")
    }

    /// Writes one record, as a transaction of its own.
    pub(crate) fn write(&mut self, now: Timestamp, record: &Record) -> Outcome {
        self.newest = self.newest.max(now);
        let now = self.newest;
        match record {
            Record::Message { room, from, to, body, cid } => {
                self.message(now, room, from, to.as_ref(), body, cid.as_ref())
            }
            Record::Name { user, name } => {
                self.names.insert(user.clone(), Arc::clone(name));
                Outcome::Done
            }
            Record::Revoke { revocation, once } => {
                let end = Timestamp(now.0 - FORGOTTEN_AFTER_MS);
                self.revoked_tokens.retain(|_, until| until.is_none_or(|until| until >= end));
                let is_known = match revocation {
                    Revocation::Token(jti, _) => self.revoked_tokens.contains_key(jti),
                    Revocation::User(user, _) => self.revoked_users.contains_key(user),
                };
                if is_known && *once {
                    return Outcome::AlreadyRevoked;
                }
                match revocation {
                    Revocation::Token(jti, until) => {
                        let known = self.revoked_tokens.entry(Arc::clone(jti)).or_insert(*until);
                        *known = known.zip(*until).map(|(known, until)| known.max(until));
                    }
                    Revocation::User(user, before) => {
                        let already = self.revoked_users.entry(user.clone()).or_insert(*before);
                        *already = (*before).max(*already);
                    }
                }
                Outcome::Done
            }
            Record::Event { stream, epoch, data, keep, id } => {
                self.event(now, (stream, epoch), data, *keep, id.as_ref())
            }
            Record::Repeat { of, limit, retry_after_ms } => match self.clone().write(now, of) {
                repeat @ (Outcome::Message { is_duplicate: true, .. }
                | Outcome::Event { is_duplicate: true, .. }
                | Outcome::Mismatch) => repeat,
                _ => Outcome::OverQuota { limit: *limit, retry_after_ms: *retry_after_ms },
            },
            Record::Create { room, title, open, owner, members, invited, is_own } => {
                if self.find(room).is_some() {
                    return Outcome::RoomExists;
                }
                let title = title.clone().unwrap_or_else(|| "".into());
                let state = RoomState::new(room.clone(), title, *open, Some(owner.clone()));
                let of_room = self.add_room(state);
                let mut entries = vec![of_room.join(now, owner, None, *is_own)];
                for member in members {
                    if !of_room.members.contains_key(member) {
                        entries.push(of_room.join(now, member, Some(owner), false));
                    }
                }
                for user in invited {
                    if !of_room.members.contains_key(user) {
                        of_room.invites.insert(user.clone(), owner.clone());
                    }
                }
                Outcome::Room { room: of_room.state.clone(), entries }
            }
            Record::Join { room, user, by, is_own } => {
                match self.find(room) {
                    Some(found) if found.state.is_ended => return Outcome::NotMember,
                    Some(_) => {}
                    None if *is_own => {
                        let owner = Some(user.clone());
                        self.add_room(RoomState::new(room.clone(), "".into(), true, owner));
                    }
                    None => return Outcome::NotMember,
                }
                let of_room = self.find(room).expect("it is there");
                if of_room.members.contains_key(user) {
                    return Outcome::Room { room: of_room.state.clone(), entries: Vec::new() };
                }
                if of_room.bans.contains(user) {
                    return Outcome::Banned;
                }
                if *is_own && !of_room.state.is_open && !of_room.invites.contains_key(user) {
                    return Outcome::NotMember;
                }
                of_room.invites.remove(user);
                of_room.state.owner.get_or_insert_with(|| user.clone());
                let entries = vec![of_room.join(now, user, by.as_ref(), *is_own)];
                Outcome::Room { room: of_room.state.clone(), entries }
            }
            Record::Delivered { user, marks } => {
                for (room, seq) in marks {
                    let Some(room) = self.live(room) else { continue };
                    let seq = (*seq).min(room.state.head);
                    if let Some(member) = room.members.get_mut(user) {
                        member.delivered = member.delivered.max(seq);
                    }
                }
                Outcome::Done
            }
            Record::Trim { room, before, older_than } => match self.find(room) {
                Some(room) => trim(room, *before, *older_than),
                None => Outcome::NotMember,
            },
            Record::Edit { room, .. }
            | Record::Delete { room, .. }
            | Record::React { room, .. }
            | Record::Update { room, .. }
            | Record::End { room }
            | Record::Invite { room, .. }
            | Record::Leave { room, .. }
            | Record::Ban { room, .. }
            | Record::Unban { room, .. }
            | Record::Uninvite { room, .. }
            | Record::Read { room, .. } => match self.live(room) {
                Some(room) => in_room(room, now, record),
                None => Outcome::NotMember,
            },
        }
    }

    fn event(
        &mut self,
        now: Timestamp,
        (name, epoch): (&StreamId, &Arc<str>),
        data: &Data,
        keep: u64,
        id: Option<&Arc<PublicationId>>,
    ) -> Outcome {
        let stream = self.streams.entry(name.clone()).or_insert_with(|| StreamState {
            stream: name.clone(),
            epoch: Arc::clone(epoch),
            head: 0,
            ts: now,
            events: Vec::new(),
        });
        let is_repeat = |event: &&mut StreamEvent| id.is_some() && event.id.as_ref() == id;
        if let Some(first) = stream.events.iter_mut().find(is_repeat)
            && first.seq + keep <= stream.head
        {
            // It is kept no more, and only not removed yet.
            first.id = None;
        }
        if let Some(first) = stream.events.iter_mut().find(is_repeat) {
            let (seq, ts, epoch) = (first.seq, first.ts, Arc::clone(&stream.epoch));
            return match first.data == *data {
                true => Outcome::Event { epoch, seq, ts, is_duplicate: true },
                false => Outcome::Mismatch,
            };
        }
        stream.head += 1;
        stream.ts = stream.ts.max(now);
        let (seq, ts) = (stream.head, stream.ts);
        stream.events.push(StreamEvent { seq, ts, data: data.clone(), id: id.cloned() });
        let excess = (stream.events.len() as u64).saturating_sub(keep);
        if excess > 0 && excess >= keep / 16 {
            stream.events.drain(..excess.min(TRIM_ENTRIES_MAX) as usize);
        }
        Outcome::Event { epoch: Arc::clone(&stream.epoch), seq, ts, is_duplicate: false }
    }

    fn message(
        &mut self,
        now: Timestamp,
        room: &RoomId,
        from: &UserId,
        to: Option<&UserId>,
        body: &Body,
        cid: Option<&Arc<str>>,
    ) -> Outcome {
        let found = self.find(room);
        let is_first = found.is_none();
        match (found, to) {
            (Some(found), _) if found.state.is_ended => return Outcome::NotMember,
            (Some(_), _) => {}
            (None, None) => return Outcome::NotMember,
            (None, Some(to)) => {
                let of_room = self.add_room(RoomState::new(room.clone(), "".into(), false, None));
                for user in [from, to] {
                    of_room.members.insert(user.clone(), MemberState::default());
                }
            }
        }
        let of_room = self.find(room).expect("it is there");
        let is_repeat = |stored: &&Stored| {
            matches!(&stored.entry.kind, EntryKind::Message { from: by, cid: Some(of), .. }
                if by == from && Some(of) == cid)
        };
        if let Some(first) = of_room.log.values().find(is_repeat) {
            if first.sent.as_ref() != Some(body) {
                return Outcome::Mismatch;
            }
            let mut entry = first.shown();
            if let EntryKind::Message { changes, .. } = &mut entry.kind {
                *changes = None;
            }
            return Outcome::Message { entry, is_duplicate: true, is_first: false };
        }
        let kind = EntryKind::Message {
            from: from.clone(),
            body: Box::new(body.clone()),
            cid: cid.cloned(),
            changes: None,
        };
        let entry = of_room.append(now, kind);
        let messages = of_room.state.messages;
        if let Some(member) = of_room.members.get_mut(from) {
            member.read = entry.seq;
            member.read_messages = messages;
            member.deleted_unread = 0;
            member.has_written = true;
        }
        Outcome::Message { entry, is_duplicate: false, is_first }
    }

    /// Reads a page.
    pub(crate) fn read(&mut self, query: &Query) -> Outcome {
        let Some(room) = self.live(&query.room) else { return Outcome::NotMember };
        let wanted = |stored: &&Stored| (query.first..=query.last).contains(&stored.entry.seq);
        let mut found: Vec<Entry> = room.log.values().filter(wanted).map(Stored::shown).collect();
        if query.from_end {
            found.reverse();
        }
        let (mut page, mut bytes) = (Vec::new(), 0);
        for entry in found.into_iter().take(query.entries_max) {
            bytes += entry.weight();
            if bytes > query.bytes_max && !page.is_empty() {
                break;
            }
            page.push(entry);
        }
        if query.from_end {
            page.reverse();
        }
        Outcome::Page(page)
    }

    /// It is read anew: what it knew of time are the entries that it has.
    pub(crate) fn restarted(&mut self) {
        let times = self.rooms.iter().map(|room| room.state.ts);
        let of_streams = self.streams.values().map(|stream| stream.ts);
        self.newest = times.chain(of_streams).max().unwrap_or_default();
    }

    /// The last entry before a time of each room.
    pub(crate) fn seek(&self, rooms: &[RoomId], since: Timestamp) -> Outcome {
        let before = |name: &RoomId| {
            let room = self.rooms.iter().find(|room| room.state.room == *name)?;
            let is_kept = |stored: &&Stored| stored.entry.seq >= room.state.first;
            let mut log = room.log.values().rev().filter(is_kept);
            let earlier = log.find(|stored| stored.entry.ts < since);
            let seq = earlier.map_or(0, |stored| stored.entry.seq);
            (!room.state.is_ended).then(|| (name.clone(), seq))
        };
        Outcome::Positions(rooms.iter().filter_map(before).collect())
    }

    /// What a hub begins with.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot { epoch: self.epoch.clone(), ..Snapshot::default() };
        for room in &self.rooms {
            let name = &room.state.room;
            snapshot.rooms.push(room.state.clone());
            for (user, member) in &room.members {
                snapshot.members.push((name.clone(), user.clone(), member.clone()));
            }
            for (user, by) in &room.invites {
                let (room, user, by) = (name.clone(), user.clone(), by.clone());
                snapshot.invites.push(Invite { room, user, by });
            }
            snapshot.bans.extend(room.bans.iter().map(|user| (name.clone(), user.clone())));
        }
        snapshot.streams = self.streams.values().cloned().collect();
        let tokens = self.revoked_tokens.iter();
        let tokens = tokens.map(|(jti, until)| Revocation::Token(Arc::clone(jti), *until));
        let users = self.revoked_users.iter();
        let users = users.map(|(user, before)| Revocation::User(user.clone(), *before));
        snapshot.revocations = tokens.chain(users).collect();
        snapshot.names =
            self.names.iter().map(|(user, name)| (user.clone(), Arc::clone(name))).collect();
        snapshot
    }

    /// All that is kept of a room's log, as it is shown.
    #[allow(dead_code)]
    pub(crate) fn log(&self, room: &RoomId) -> Vec<Entry> {
        let room = self.rooms.iter().find(|one| one.state.room == *room);
        room.map_or_else(Vec::new, |room| room.log.values().map(Stored::shown).collect())
    }
}

fn in_room(room: &mut ModelRoom, now: Timestamp, record: &Record) -> Outcome {
    match record {
        Record::Edit { target, text, by, .. } => {
            let Some(stored) = room.log.get(target).filter(|stored| stored.is_message()) else {
                return Outcome::NoSuchMessage;
            };
            let EntryKind::Message { from, body, .. } = &stored.entry.kind else {
                return Outcome::NoSuchMessage;
            };
            if from != by {
                return Outcome::NotAuthor;
            }
            if body.text == *text {
                return room.unchanged(stored.edited.unwrap_or(*target));
            }
            let (target, text) = (*target, Arc::clone(text));
            let kind = EntryKind::Edited { target, text: Some(Arc::clone(&text)), by: by.clone() };
            let entry = room.append(now, kind);
            let stored = room.log.get_mut(&target).expect("it is there");
            stored.edited = Some(entry.seq);
            if let EntryKind::Message { body, .. } = &mut stored.entry.kind {
                body.text = text;
            }
            room.changed(target, entry)
        }
        Record::Delete { target, by, is_moderator, .. } => {
            let Some(stored) = room.log.get(target) else { return Outcome::NoSuchMessage };
            let EntryKind::Message { from, .. } = &stored.entry.kind else {
                return Outcome::NoSuchMessage;
            };
            if from != by && !is_moderator {
                return Outcome::NotAuthor;
            }
            if let Some(deleted) = stored.deleted {
                return room.unchanged(deleted);
            }
            let target = *target;
            let entry = room.append(now, EntryKind::Deleted { target, by: by.clone() });
            for stored in room.log.values_mut() {
                if let EntryKind::Edited { target: of, text, .. } = &mut stored.entry.kind
                    && *of == target
                {
                    *text = None;
                }
            }
            let stored = room.log.get_mut(&target).expect("it is there");
            stored.deleted = Some(entry.seq);
            stored.reactions.clear();
            if let EntryKind::Message { body, .. } = &mut stored.entry.kind {
                body.text = "".into();
                body.data = None;
            }
            for member in room.members.values_mut().filter(|member| member.read < target) {
                member.deleted_unread += 1;
            }
            room.changed(target, entry)
        }
        Record::React { target, emoji, on, by, .. } => {
            let Some(stored) = room.log.get(target).filter(|stored| stored.is_message()) else {
                return Outcome::NoSuchMessage;
            };
            let reaction = (Arc::clone(emoji), by.clone());
            if stored.reactions.contains(&reaction) == *on {
                let is_it = |stored: &&Stored| {
                    matches!(&stored.entry.kind,
                        EntryKind::Reacted { target: of, emoji: with, by: who, .. }
                            if of == target && with == emoji && who == by)
                };
                let newest = room.log.values().rev().find(is_it);
                return room.unchanged(newest.map_or(*target, |stored| stored.entry.seq));
            }
            let emojis: BTreeSet<_> = stored.reactions.iter().map(|(emoji, _)| emoji).collect();
            let own = stored.reactions.iter().filter(|(_, who)| who == by).count();
            let is_full = own >= REACTIONS_PER_MESSAGE_MAX - emojis.len();
            if *on && is_full && !emojis.contains(emoji) {
                return Outcome::TooManyReactions;
            }
            let target = *target;
            let (emoji, by) = (Arc::clone(emoji), by.clone());
            let entry = room.append(now, EntryKind::Reacted { target, emoji, on: *on, by });
            let stored = room.log.get_mut(&target).expect("it is there");
            if *on {
                stored.reactions.push(reaction);
            } else {
                stored.reactions.retain(|one| *one != reaction);
            }
            room.changed(target, entry)
        }
        Record::Update { title, open, owner, .. } => {
            if owner.as_ref().is_some_and(|owner| !room.members.contains_key(owner)) {
                return Outcome::NotMember;
            }
            if let Some(owner) = owner {
                room.state.owner = Some(owner.clone());
            }
            if let Some(title) = title {
                room.state.title = Arc::clone(title);
            }
            room.state.is_open = open.unwrap_or(room.state.is_open);
            Outcome::Room { room: room.state.clone(), entries: Vec::new() }
        }
        Record::End { .. } => {
            room.members.clear();
            room.invites.clear();
            room.bans.clear();
            room.state.is_ended = true;
            room.state.owner = None;
            room.state.title = "".into();
            Outcome::Room { room: room.state.clone(), entries: Vec::new() }
        }
        Record::Invite { user, by, .. } => {
            if !room.members.contains_key(user) && !room.bans.contains(user) {
                room.invites.insert(user.clone(), by.clone());
            }
            Outcome::Done
        }
        Record::Leave { user, by, .. } => {
            if !room.members.contains_key(user) {
                return Outcome::NotMember;
            }
            let entries = vec![room.leave(now, user, by.as_ref())];
            Outcome::Room { room: room.state.clone(), entries }
        }
        Record::Ban { user, by, .. } => {
            let is_member = room.members.contains_key(user);
            let entries = is_member.then(|| room.leave(now, user, Some(by))).into_iter().collect();
            room.invites.remove(user);
            room.bans.insert(user.clone());
            Outcome::Room { room: room.state.clone(), entries }
        }
        Record::Uninvite { user, .. } => {
            room.invites.remove(user);
            Outcome::Done
        }
        Record::Unban { user, .. } => {
            room.bans.remove(user);
            Outcome::Done
        }
        Record::Read { user, seq, .. } => {
            let seq = (*seq).min(room.state.head);
            let deleted = room.deleted_after(seq);
            let messages = room.log.get(&seq).map_or(0, |stored| stored.messages);
            let Some(member) = room.members.get_mut(user) else { return Outcome::NotMember };
            if seq > member.read {
                member.read = seq;
                member.read_messages = messages;
                member.deleted_unread = deleted;
            }
            let (seq, messages) = (member.read, member.read_messages);
            Outcome::Read { seq, messages, deleted: member.deleted_unread }
        }
        _ => unreachable!("it is of no room"),
    }
}

fn trim(room: &mut ModelRoom, before: u64, older_than: Timestamp) -> Outcome {
    let newer = room.log.values().find(|stored| stored.entry.ts > older_than);
    let end = room.state.head + 1;
    let kept_from = newer.map_or(end, |newer| newer.entry.seq).max(before).min(end);
    for _ in 0..TRIM_ENTRIES_MAX {
        let Some(oldest) = room.log.first_entry() else { break };
        if *oldest.key() >= before && oldest.get().entry.ts > older_than {
            break;
        }
        let (_, gone) = oldest.remove_entry();
        room.state.first = gone.entry.seq + 1;
        room.state.first_messages = gone.messages;
        room.state.first_ts = room.log.values().next().map_or(Timestamp(0), |one| one.entry.ts);
    }
    let first = room.state.first;
    let deleted = room.deleted_after(first - 1);
    for member in room.members.values_mut().filter(|member| member.read < first - 1) {
        member.read = first - 1;
        member.read_messages = room.state.first_messages;
        member.deleted_unread = deleted;
    }
    let (first_ts, messages) = (room.state.first_ts, room.state.first_messages);
    Outcome::Trimmed { first, kept_from, first_ts, messages, deleted }
}
