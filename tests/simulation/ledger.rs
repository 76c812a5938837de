//! When things happened, as the store saw it: what was committed, when the server heard of it, and
//! what it had decided before. The checker compares what was seen on the wire with these times; what
//! was said it knows from the wire alone.

use parlor::base::{EntryKind, Outcome, Record, RoomId, StoreChange, Told, Trimmed, UserId, What};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// How many by room, user and `cid`.
type Repeats = BTreeMap<(String, String, String), u64>;

#[derive(Debug, Default)]
pub(crate) struct Ledger {
    rooms: BTreeMap<String, RoomLedger>,
    /// Memberships that are to end, by decision: room and user.
    leaving: BTreeSet<(String, String)>,
    ending: BTreeSet<String>,
    /// How many repeats all hubs together heard of while their author was a member.
    good_repeats: Rc<RefCell<Repeats>>,
    pub(crate) entries: u64,
    /// The turn in which the server heard of each event of a durable stream; none if it has not.
    events: BTreeMap<String, Vec<Option<u64>>>,
}

#[derive(Debug, Default)]
struct RoomLedger {
    /// The turn in which the server heard of each entry; none if it has not.
    heard: Vec<Option<u64>>,
    members: BTreeMap<String, Vec<Stay>>,
    ended: Option<u64>,
    /// So many of the oldest entries are removed.
    removed: u64,
    /// What it was like, one after the other.
    states: Vec<State>,
}

/// What a room is like, and the turn in which the server heard of that; none if it has not.
#[derive(Debug)]
struct State {
    title: String,
    open: bool,
    heard: Option<u64>,
}

/// A membership: the entries that begin and end it, and when the server heard of these.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stay {
    joined: u64,
    joined_heard: Option<u64>,
    left: Option<u64>,
    left_heard: Option<u64>,
}

impl Ledger {
    /// The ledger of another hub of the same server.
    pub(crate) fn another(&self) -> Ledger {
        Ledger { good_repeats: Rc::clone(&self.good_repeats), ..Ledger::default() }
    }

    /// A record was handed over: rights that narrow hold from here.
    pub(crate) fn decided(&mut self, record: &Record) {
        match record {
            Record::Leave { room, user, .. } | Record::Ban { room, user, .. } => {
                self.leaving.insert((room.to_string(), user.to_string()));
            }
            Record::End { room, .. } => {
                self.ending.insert(room.to_string());
            }
            _ => {}
        }
    }

    /// A change was committed.
    pub(crate) fn committed(&mut self, change: &StoreChange) {
        let (name, what) = match change {
            StoreChange::Room { room, what, .. } => (room, what),
            StoreChange::Event { stream, event, .. } => {
                let events = self.events.entry(stream.to_string()).or_default();
                events.push(None);
                let expected = events.len() as u64;
                assert_eq!(event.seq, expected, "the store skips a number of {stream}");
                return;
            }
            StoreChange::Delivered { .. } | StoreChange::Name { .. } | StoreChange::Revoked(_) => {
                return;
            }
        };
        let room = self.rooms.entry(name.to_string()).or_default();
        match what {
            What::Ended { .. } => room.ended = Some(u64::MAX),
            What::Created { title, is_open, .. } | What::Updated { title, is_open, .. } => {
                let (title, open) = (title.to_string(), *is_open);
                room.states.push(State { title, open, heard: None });
            }
            What::Trimmed(Trimmed { first, .. }) => {
                assert!(*first > room.removed, "what was removed of {name} has come back");
                room.removed = first - 1;
            }
            _ => {}
        }
        for entry in what.entries() {
            self.entries += 1;
            room.heard.push(None);
            let expected = room.heard.len() as u64;
            assert_eq!(entry.seq, expected, "the store skips a number of {name}");
            match &entry.kind {
                EntryKind::Joined { user, .. } => room.joins(user.as_str(), entry.seq),
                EntryKind::Left { user, .. } => {
                    if let Some(stay) = room.stay(user.as_str()) {
                        stay.left = Some(entry.seq);
                    }
                }
                EntryKind::Message { .. } if entry.seq == 1 && name.is_direct() => {
                    for user in name.as_str()["dm:".len()..].split(':') {
                        room.joins(user, 0);
                    }
                }
                _ => {}
            }
        }
    }

    /// The server hears what became of a record.
    pub(crate) fn heard(&mut self, told: &Told, record: &Record, turn: u64) {
        match (told, record) {
            (Told::Changed { change, .. }, _) => self.heard_of(change, turn),
            (Told::Answer { .. }, Record::End { room, .. }) => {
                self.ending.remove(room.as_str());
            }
            (
                Told::Answer { .. },
                Record::Leave { room, user, .. } | Record::Ban { room, user, .. },
            ) => {
                self.leaving.remove(&(room.to_string(), user.to_string()));
            }
            (
                Told::Answer { outcome: Outcome::Earlier { .. }, .. },
                Record::Message { room, from, cid: Some(cid), .. },
            ) if self.is_member(room, from) => {
                let key = (room.to_string(), from.to_string(), cid.to_string());
                *self.good_repeats.borrow_mut().entry(key).or_insert(0) += 1;
            }
            _ => {}
        }
    }

    fn heard_of(&mut self, change: &StoreChange, turn: u64) {
        let (name, what) = match change {
            StoreChange::Room { room, what, .. } => (room, what),
            StoreChange::Event { stream, event, .. } => {
                let events = self.events.get_mut(stream.as_str());
                events.expect("it was committed")[event.seq as usize - 1] = Some(turn);
                return;
            }
            StoreChange::Delivered { .. } | StoreChange::Name { .. } | StoreChange::Revoked(_) => {
                return;
            }
        };
        let room = self.rooms.get_mut(name.as_str()).expect("it was committed");
        match what {
            What::Ended { .. } => room.ended = Some(turn),
            What::Created { .. } | What::Updated { .. } => {
                let mut states = room.states.iter_mut();
                let state = states.find(|state| state.heard.is_none()).expect("it was committed");
                state.heard = Some(turn);
            }
            _ => {}
        }
        for entry in what.entries() {
            room.heard[entry.seq as usize - 1] = Some(turn);
            if let EntryKind::Joined { user, .. } | EntryKind::Left { user, .. } = &entry.kind {
                self.leaving.remove(&(entry.room.to_string(), user.to_string()));
            }
            room.hear(entry.seq, turn);
        }
    }

    /// The server begins anew, with all that was committed.
    pub(crate) fn restarted(&mut self, turn: u64) {
        self.leaving.clear();
        self.ending.clear();
        for heard in self.events.values_mut().flatten() {
            heard.get_or_insert(turn);
        }
        for room in self.rooms.values_mut() {
            for at in 0..room.heard.len() {
                if room.heard[at].is_none() {
                    room.heard[at] = Some(turn);
                    room.hear(at as u64 + 1, turn);
                }
            }
            if room.ended == Some(u64::MAX) {
                room.ended = Some(turn);
            }
            for state in &mut room.states {
                state.heard.get_or_insert(turn);
            }
        }
    }

    fn is_member(&self, room: &RoomId, user: &UserId) -> bool {
        let (name, user) = (room.to_string(), user.to_string());
        let Some(of_room) = self.rooms.get(&name) else { return false };
        // An end that this hub has neither decided nor heard of comes behind what it hears now.
        let is_there = of_room.ended.is_none_or(|heard| heard == u64::MAX);
        let is_in = is_there && !self.ending.contains(&name);
        let stay = of_room.members.get(&user).and_then(|stays| stays.last());
        let is_member =
            stay.is_some_and(|stay| stay.joined_heard.is_some() && stay.left_heard.is_none());
        is_in && is_member && !self.leaving.contains(&(name, user))
    }

    /// How many repeats may have been answered with the first result.
    pub(crate) fn good_repeats(&self, room: &str, user: &str, cid: &str) -> u64 {
        let key = (room.to_owned(), user.to_owned(), cid.to_owned());
        self.good_repeats.borrow().get(&key).copied().unwrap_or(0)
    }

    /// When the server heard of an entry, if it has.
    pub(crate) fn heard_at(&self, room: &str, seq: u64) -> Option<u64> {
        let place = usize::try_from(seq.checked_sub(1)?).ok()?;
        *self.rooms.get(room)?.heard.get(place)?
    }

    /// When the server heard of an event of a durable stream, if it has.
    pub(crate) fn event_heard_at(&self, stream: &str, seq: u64) -> Option<u64> {
        let place = usize::try_from(seq.checked_sub(1)?).ok()?;
        *self.events.get(stream)?.get(place)?
    }

    /// Which of a room's states this is, not before the one of that number, as the server knew it in this turn.
    pub(crate) fn state(
        &self,
        room: &str,
        (title, open): (&str, bool),
        from: usize,
        turn: u64,
    ) -> Option<usize> {
        let states = self.rooms.get(room)?.states.iter().enumerate().skip(from);
        let is_it = |(_, state): &(usize, &State)| {
            state.title == title
                && state.open == open
                && state.heard.is_some_and(|heard| heard <= turn)
        };
        states.into_iter().find(is_it).map(|(place, _)| place)
    }

    /// What a room is like at last: its title, and whether it is open.
    pub(crate) fn newest_state(&self, room: &str) -> Option<(String, bool)> {
        let state = self.rooms.get(room)?.states.last()?;
        Some((state.title.clone(), state.open))
    }

    /// Whether something of a room may leave the server for a user in this turn.
    pub(crate) fn may_be_told(&self, room: &str, user: &str, turn: u64) -> bool {
        let Some(room) = self.rooms.get(room) else { return false };
        if room.ended.is_some_and(|ended| turn >= ended) {
            return false;
        }
        let Some(stays) = room.members.get(user) else { return false };
        stays.iter().any(|stay| {
            stay.joined_heard.is_some_and(|heard| heard <= turn)
                && stay.left_heard.is_none_or(|heard| turn < heard)
        })
    }

    /// Whether a user was ever shown an entry by right: they were a member when it was there.
    pub(crate) fn may_have_read(&self, room: &str, user: &str, seq: u64, turn: u64) -> bool {
        let stays = self.rooms.get(room).and_then(|room| room.members.get(user));
        stays.into_iter().flatten().any(|stay| {
            stay.joined_heard.is_some_and(|heard| heard <= turn)
                && stay.left.is_none_or(|left| seq < left)
        })
    }

    /// Who are members of which rooms, by what is committed.
    pub(crate) fn memberships(&self) -> BTreeSet<(String, String)> {
        let users: BTreeSet<_> = self.rooms.values().flat_map(|room| room.members.keys()).collect();
        let mut found = BTreeSet::new();
        for user in users {
            found.extend(self.rooms_of(user).map(|room| (room.clone(), user.clone())));
        }
        found
    }

    /// The rooms of which a user is a member, by what is committed.
    pub(crate) fn rooms_of(&self, user: &str) -> impl Iterator<Item = &String> {
        let lasting = self.rooms.iter().filter(|(_, room)| room.ended.is_none());
        let of_user = lasting.filter(move |(_, room)| {
            let stay = room.members.get(user).and_then(|stays| stays.last());
            stay.is_some_and(|stay| stay.left.is_none())
        });
        of_user.map(|(name, _)| name)
    }

    /// The oldest entry of a room that is on disk.
    pub(crate) fn first(&self, room: &str) -> u64 {
        self.rooms.get(room).map_or(1, |room| room.removed + 1)
    }

    /// The newest entry of a room.
    pub(crate) fn head(&self, room: &str) -> u64 {
        self.rooms.get(room).map_or(0, |room| room.heard.len() as u64)
    }
}

impl RoomLedger {
    fn joins(&mut self, user: &str, seq: u64) {
        let stay = Stay { joined: seq, joined_heard: None, left: None, left_heard: None };
        self.members.entry(user.to_owned()).or_default().push(stay);
    }

    fn stay(&mut self, user: &str) -> Option<&mut Stay> {
        self.members.get_mut(user)?.last_mut()
    }

    fn hear(&mut self, seq: u64, turn: u64) {
        for stay in self.members.values_mut().flatten() {
            // A direct message's room begins with its first message.
            if stay.joined == seq || (stay.joined == 0 && seq == 1) {
                stay.joined_heard = Some(turn);
            }
            if stay.left == Some(seq) {
                stay.left_heard = Some(turn);
            }
        }
    }
}
