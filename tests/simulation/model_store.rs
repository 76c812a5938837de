//! A store as its rules say, in plain maps: slow, obvious, and gone when it is dropped.
//!
//! The simulator runs on it, as do the hub's own tests; `tests/store_model.rs` holds the real store
//! against it.

use parlor::base::limits::{
    FORGOTTEN_AFTER_MS, REACTION_USERS_MAX, REACTIONS_PER_MESSAGE_MAX, TRIM_ENTRIES_MAX,
};
use parlor::base::{
    Authority, Body, Changes, Data, Entry, EntryKind, Invite, MemberState, Outcome, PublicationId,
    Query, Record, Revocation, RoomId, RoomState, Snapshot, StoreChange, StreamEvent, StreamId,
    StreamState, Timestamp, Trimmed, UserId, What, Written,
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
    /// Changes since the store was opened.
    version: u64,
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

    fn earlier(&self, seq: u64) -> Written {
        Outcome::Earlier { seq, ts: self.log[&seq].entry.ts }.into()
    }

    fn altered(&self, target: u64, entry: Entry) -> Written {
        self.changed(What::Altered { entry, target: Box::new(self.log[&target].shown()) })
    }

    fn changed(&self, what: What) -> Written {
        Written::room(self.state.room.clone(), what)
    }

    /// Why they may not manage it, if they may not.
    fn cannot_manage(&self, by: &Authority) -> Option<Written> {
        if by.is_admin() || self.state.owner.as_ref() == Some(&by.user) {
            return None;
        }
        let is_member = self.members.contains_key(&by.user);
        Some(if is_member { Outcome::NotOwner } else { Outcome::NotMember }.into())
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
            version: 0,
            members: BTreeMap::new(),
            invites: BTreeMap::new(),
            bans: BTreeSet::new(),
            log: BTreeMap::new(),
        });
        self.rooms.last_mut().expect("one was added")
    }

    /// Writes one record, as a transaction of its own.
    pub(crate) fn write(&mut self, now: Timestamp, record: &Record) -> Written {
        let mut written = self.write_unnumbered(now, record);
        if let Written::Changed(StoreChange::Room { room, version, .. }) = &mut written {
            let room = self.find(room).expect("it has changed");
            room.version += 1;
            *version = room.version;
        }
        written
    }

    fn write_unnumbered(&mut self, now: Timestamp, record: &Record) -> Written {
        self.newest = self.newest.max(now);
        let now = self.newest;
        match record {
            Record::Message { room, from, to, body, cid } => {
                self.message(now, room, from, to.as_ref(), body, cid.as_ref())
            }
            Record::Name { user, name } => {
                self.names.insert(user.clone(), Arc::clone(name));
                Written::Changed(StoreChange::Name { user: user.clone(), name: Arc::clone(name) })
            }
            Record::Revoke { revocation, once } => {
                let end = Timestamp(now.0 - FORGOTTEN_AFTER_MS);
                self.revoked_tokens.retain(|_, until| until.is_none_or(|until| until >= end));
                let is_known = match revocation {
                    Revocation::Token(jti, _) => self.revoked_tokens.contains_key(jti),
                    Revocation::User(user, _) => self.revoked_users.contains_key(user),
                };
                if is_known && *once {
                    return Outcome::AlreadyRevoked.into();
                }
                let before = (self.revoked_tokens.clone(), self.revoked_users.clone());
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
                if before == (self.revoked_tokens.clone(), self.revoked_users.clone()) {
                    return Outcome::Done.into();
                }
                Written::Changed(StoreChange::Revoked(revocation.clone()))
            }
            Record::Event { stream, epoch, data, keep, id } => {
                self.event(now, (stream, epoch), data, *keep, id.as_ref())
            }
            Record::Repeat { of, limit, retry_after_ms } => {
                if let Record::Message { room, from, .. } = &**of
                    && self.live(room).is_some_and(|room| !room.members.contains_key(from))
                {
                    return Outcome::NotMember.into();
                }
                match self.clone().write(now, of) {
                    earlier @ Written::Unchanged(Outcome::Earlier { .. } | Outcome::Mismatch) => {
                        earlier
                    }
                    _ => {
                        Outcome::OverQuota { limit: *limit, retry_after_ms: *retry_after_ms }.into()
                    }
                }
            }
            Record::Create { room, title, open, owner, members, invited, is_own } => {
                if self.find(room).is_some() {
                    return Outcome::RoomExists.into();
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
                let mut guests = Vec::new();
                for user in invited {
                    if !of_room.members.contains_key(user) {
                        of_room.invites.insert(user.clone(), owner.clone());
                        guests.push(user.clone());
                    }
                }
                of_room.changed(What::Created {
                    title: Arc::clone(&of_room.state.title),
                    is_open: *open,
                    owner: owner.clone(),
                    is_own: *is_own,
                    entries,
                    invited: guests,
                })
            }
            Record::Join { room, user, by } => {
                let is_own = by.is_none();
                match self.find(room) {
                    Some(found) if found.state.is_ended => return Outcome::NotMember.into(),
                    Some(_) if by.as_ref().is_some_and(|by| !by.is_admin()) => {
                        return Outcome::NotMember.into();
                    }
                    Some(_) => {}
                    None if is_own => {
                        let create = Record::Create {
                            room: room.clone(),
                            title: None,
                            open: true,
                            owner: user.clone(),
                            members: Vec::new(),
                            invited: Vec::new(),
                            is_own: true,
                        };
                        return self.write_unnumbered(now, &create);
                    }
                    None => return Outcome::NotMember.into(),
                }
                let of_room = self.find(room).expect("it is there");
                if of_room.members.contains_key(user) {
                    return Outcome::Done.into();
                }
                if of_room.bans.contains(user) {
                    return Outcome::Banned.into();
                }
                if is_own && !of_room.state.is_open && !of_room.invites.contains_key(user) {
                    return Outcome::NotMember.into();
                }
                of_room.invites.remove(user);
                of_room.state.owner.get_or_insert_with(|| user.clone());
                let by = by.as_ref().and_then(Authority::named);
                let entry = of_room.join(now, user, by, is_own);
                let owner = of_room.state.owner.clone();
                of_room.changed(What::Joined { entry, owner, is_own })
            }
            Record::Delivered { user, marks } => {
                let mut moved = Vec::new();
                for (room, seq) in marks {
                    let Some(of_room) = self.live(room) else { continue };
                    let seq = (*seq).min(of_room.state.head);
                    if let Some(member) = of_room.members.get_mut(user)
                        && member.delivered < seq
                    {
                        member.delivered = seq;
                        moved.push((room.clone(), seq));
                    }
                }
                match moved.is_empty() {
                    true => Outcome::Done.into(),
                    false => Written::Changed(StoreChange::Delivered {
                        user: user.clone(),
                        marks: moved,
                    }),
                }
            }
            Record::Trim { room, before, older_than } => match self.find(room) {
                Some(room) => trim(room, *before, *older_than),
                None => Outcome::NotMember.into(),
            },
            Record::Edit { room, .. }
            | Record::Delete { room, .. }
            | Record::React { room, .. }
            | Record::Update { room, .. }
            | Record::End { room, .. }
            | Record::Invite { room, .. }
            | Record::Leave { room, .. }
            | Record::Ban { room, .. }
            | Record::Unban { room, .. }
            | Record::Uninvite { room, .. }
            | Record::Read { room, .. } => match self.live(room) {
                Some(room) => in_room(room, now, record),
                None => Outcome::NotMember.into(),
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
    ) -> Written {
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
            let earlier = Outcome::Earlier { seq: first.seq, ts: first.ts };
            return if first.data == *data { earlier } else { Outcome::Mismatch }.into();
        }
        stream.head += 1;
        stream.ts = stream.ts.max(now);
        let (seq, ts) = (stream.head, stream.ts);
        let event = StreamEvent { seq, ts, data: data.clone(), id: id.cloned() };
        stream.events.push(event.clone());
        let excess = (stream.events.len() as u64).saturating_sub(keep);
        if excess > 0 && excess >= keep / 16 {
            stream.events.drain(..excess.min(TRIM_ENTRIES_MAX) as usize);
        }
        let epoch = Arc::clone(&stream.epoch);
        Written::Changed(StoreChange::Event { stream: name.clone(), epoch, event })
    }

    fn message(
        &mut self,
        now: Timestamp,
        room: &RoomId,
        from: &UserId,
        to: Option<&UserId>,
        body: &Body,
        cid: Option<&Arc<str>>,
    ) -> Written {
        match (self.find(room), to) {
            (Some(found), _) if found.state.is_ended => return Outcome::NotMember.into(),
            (Some(_), _) => {}
            (None, None) => return Outcome::NotMember.into(),
            (None, Some(to)) => {
                let of_room = self.add_room(RoomState::new(room.clone(), "".into(), false, None));
                for user in [from, to] {
                    of_room.members.insert(user.clone(), MemberState::default());
                }
            }
        }
        let of_room = self.find(room).expect("it is there");
        if !of_room.members.contains_key(from) {
            return Outcome::NotMember.into();
        }
        let is_repeat = |stored: &&Stored| {
            matches!(&stored.entry.kind, EntryKind::Message { from: by, cid: Some(of), .. }
                if by == from && Some(of) == cid)
        };
        if let Some(first) = of_room.log.values().find(is_repeat) {
            if first.sent.as_ref() != Some(body) {
                return Outcome::Mismatch.into();
            }
            return of_room.earlier(first.entry.seq);
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
        of_room.changed(What::Message(Arc::new(entry)))
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
        for room in &mut self.rooms {
            room.version = 0;
        }
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
            let members = room.members.iter();
            let members =
                members.map(|(user, member)| (name.clone(), user.clone(), member.clone()));
            snapshot.members.push(members.collect());
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

fn in_room(room: &mut ModelRoom, now: Timestamp, record: &Record) -> Written {
    let (managed_by, of_member) = match record {
        Record::Edit { by, .. } | Record::React { by, .. } => (None, Some(by)),
        Record::Read { user, .. } => (None, Some(user)),
        Record::Delete { by, .. } => (None, (!by.is_admin()).then_some(&by.user)),
        Record::Update { by, .. }
        | Record::End { by, .. }
        | Record::Invite { by, .. }
        | Record::Ban { by, .. }
        | Record::Unban { by, .. } => (Some(by), None),
        Record::Leave { by, .. } | Record::Uninvite { by, .. } => (by.as_ref(), None),
        _ => (None, None),
    };
    if of_member.is_some_and(|user| !room.members.contains_key(user)) {
        return Outcome::NotMember.into();
    }
    if let Some(refused) = managed_by.and_then(|by| room.cannot_manage(by)) {
        return refused;
    }
    match record {
        Record::Edit { target, text, by, .. } => {
            let Some(stored) = room.log.get(target).filter(|stored| stored.is_message()) else {
                return Outcome::NoSuchMessage.into();
            };
            let EntryKind::Message { from, body, .. } = &stored.entry.kind else {
                return Outcome::NoSuchMessage.into();
            };
            if from != by {
                return Outcome::NotAuthor.into();
            }
            if body.text == *text {
                return room.earlier(stored.edited.unwrap_or(*target));
            }
            let (target, text) = (*target, Arc::clone(text));
            let kind = EntryKind::Edited { target, text: Some(Arc::clone(&text)), by: by.clone() };
            let entry = room.append(now, kind);
            let stored = room.log.get_mut(&target).expect("it is there");
            stored.edited = Some(entry.seq);
            if let EntryKind::Message { body, .. } = &mut stored.entry.kind {
                body.text = text;
            }
            room.altered(target, entry)
        }
        Record::Delete { target, by, .. } => {
            let is_moderator = room.cannot_manage(by).is_none();
            let by = &by.user;
            let Some(stored) = room.log.get(target) else { return Outcome::NoSuchMessage.into() };
            let EntryKind::Message { from, .. } = &stored.entry.kind else {
                return Outcome::NoSuchMessage.into();
            };
            if from != by && !is_moderator {
                return Outcome::NotAuthor.into();
            }
            if let Some(deleted) = stored.deleted {
                return room.earlier(deleted);
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
            room.altered(target, entry)
        }
        Record::React { target, emoji, on, by, .. } => {
            let Some(stored) = room.log.get(target).filter(|stored| stored.is_message()) else {
                return Outcome::NoSuchMessage.into();
            };
            let reaction = (Arc::clone(emoji), by.clone());
            if stored.reactions.contains(&reaction) == *on {
                let is_it = |stored: &&Stored| {
                    matches!(&stored.entry.kind,
                        EntryKind::Reacted { target: of, emoji: with, by: who, .. }
                            if of == target && with == emoji && who == by)
                };
                let newest = room.log.values().rev().find(is_it);
                return room.earlier(newest.map_or(*target, |stored| stored.entry.seq));
            }
            let emojis: BTreeSet<_> = stored.reactions.iter().map(|(emoji, _)| emoji).collect();
            let own = stored.reactions.iter().filter(|(_, who)| who == by).count();
            let is_full = own >= REACTIONS_PER_MESSAGE_MAX - emojis.len();
            if *on && is_full && !emojis.contains(emoji) {
                return Outcome::TooManyReactions.into();
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
            room.altered(target, entry)
        }
        Record::Update { title, open, owner, by, .. } => {
            let before = room.state.clone();
            if owner.as_ref().is_some_and(|owner| !room.members.contains_key(owner)) {
                return Outcome::NotMember.into();
            }
            if let Some(owner) = owner {
                room.state.owner = Some(owner.clone());
            }
            if let Some(title) = title {
                room.state.title = Arc::clone(title);
            }
            room.state.is_open = open.unwrap_or(room.state.is_open);
            let RoomState { title, is_open, owner, .. } = room.state.clone();
            match room.state == before {
                true => Outcome::Done.into(),
                false => {
                    room.changed(What::Updated { title, is_open, owner, by: by.named().cloned() })
                }
            }
        }
        Record::End { by, .. } => {
            room.members.clear();
            room.invites.clear();
            room.bans.clear();
            room.state.is_ended = true;
            room.state.owner = None;
            room.state.title = "".into();
            let is_last = room.state.first > room.state.head;
            room.changed(What::Ended { by: by.named().cloned(), is_last })
        }
        Record::Invite { user, by, .. } => {
            if room.members.contains_key(user) || room.bans.contains(user) {
                return Outcome::Done.into();
            }
            room.invites.insert(user.clone(), by.user.clone());
            room.changed(What::Invited { user: user.clone(), by: by.user.clone() })
        }
        Record::Leave { user, by, .. } => {
            if !room.members.contains_key(user) {
                return Outcome::NotMember.into();
            }
            let entry = room.leave(now, user, by.as_ref().and_then(Authority::named));
            let owner = room.state.owner.clone();
            room.changed(What::Left { entry, owner, is_own: by.is_none() })
        }
        Record::Ban { user, by, .. } => {
            let (user, by) = (user.clone(), by.user.clone());
            let is_member = room.members.contains_key(&user);
            let entry = is_member.then(|| room.leave(now, &user, Some(&by)));
            room.invites.remove(&user);
            room.bans.insert(user.clone());
            room.changed(What::Banned { user, by, entry, owner: room.state.owner.clone() })
        }
        Record::Uninvite { user, by, .. } => {
            if room.invites.remove(user).is_none() {
                return Outcome::Done.into();
            }
            let (is_own, by) = (by.is_none(), by.as_ref().and_then(Authority::named).cloned());
            room.changed(What::Uninvited { user: user.clone(), by, is_own })
        }
        Record::Unban { user, .. } => match room.bans.remove(user) {
            true => room.changed(What::Unbanned { user: user.clone() }),
            false => Outcome::Done.into(),
        },
        Record::Read { user, seq, .. } => {
            let seq = (*seq).min(room.state.head);
            let deleted = room.deleted_after(seq);
            let messages = room.log.get(&seq).map_or(0, |stored| stored.messages);
            let Some(member) = room.members.get_mut(user) else { return Outcome::NotMember.into() };
            if seq <= member.read {
                return Outcome::Done.into();
            }
            member.read = seq;
            member.read_messages = messages;
            member.deleted_unread = deleted;
            room.changed(What::Read { user: user.clone(), seq, messages, deleted })
        }
        _ => unreachable!("it is of no room"),
    }
}

fn trim(room: &mut ModelRoom, before: u64, older_than: Timestamp) -> Written {
    let before_it = room.state.first;
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
    if first == before_it {
        return Outcome::Done.into();
    }
    let deleted = room.deleted_after(first - 1);
    for member in room.members.values_mut().filter(|member| member.read < first - 1) {
        member.read = first - 1;
        member.read_messages = room.state.first_messages;
        member.deleted_unread = deleted;
    }
    let (first_ts, messages) = (room.state.first_ts, room.state.first_messages);
    let is_last = room.state.is_ended && first > room.state.head;
    room.changed(What::Trimmed(Trimmed { first, kept_from, first_ts, messages, deleted, is_last }))
}
