//! How much of a room's log is kept, by count and by age. Entries beyond that are shown to nobody
//! as soon as that is decided; the store removes them later, some at a time.

use super::hub::Hub;
use super::pending::Pending;
use super::room::{Life, RoomIx};
use crate::base::{Effect, Effects, Outcome, Record, RoomId, Timestamp, Trimmed};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// How much of a log is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// The number of newest entries.
    pub entries: u64,
    /// The age that an entry may reach, in ms.
    pub age_ms: u64,
}

impl Retention {
    /// Everything.
    pub const ALL: Retention = Retention { entries: u64::MAX, age_ms: u64::MAX };
}

/// How much of each room's log is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retentions {
    /// For rooms without their own.
    pub default: Retention,
    /// For some rooms, by name.
    pub rooms: BTreeMap<RoomId, Retention>,
}

impl Default for Retentions {
    fn default() -> Retentions {
        Retentions { default: Retention::ALL, rooms: BTreeMap::new() }
    }
}

impl Retentions {
    fn of(&self, room: &RoomId) -> Retention {
        self.rooms.get(room).copied().unwrap_or(self.default)
    }
}

/// What is still to be removed.
#[derive(Debug, Default)]
pub(super) struct PendingRemovals {
    /// Rooms with entries on disk that are no longer kept.
    due: VecDeque<RoomIx>,
    in_flight: usize,
    /// Ended rooms with only their name left on disk, which a record in flight still names.
    ended_rooms: Vec<RoomIx>,
    /// When each room's oldest entry becomes too old.
    aging: BTreeSet<(Timestamp, RoomIx)>,
}

/// Rooms from which the store removes entries at the same time.
const TRIMS_IN_FLIGHT_MAX: usize = 4;
/// The longest wait for an entry's age, because clocks jump; and the wait after a failure.
const LOOK_AGAIN_MS: u64 = 60_000;
const RETRY_MS: u64 = 1_000;
/// Removal waits until this share of what is kept is due: one per entry would double the store's
/// work.
const SLACK_SHARE: u64 = 16;

impl Hub {
    /// A room's log has grown, or was read at the start.
    pub(super) fn keep(&mut self, room: RoomIx) {
        let of_room = &mut self.rooms[room];
        let kept = self.settings.retentions.of(&of_room.name);
        let newest = of_room.head.saturating_sub(kept.entries).saturating_add(1);
        of_room.first = of_room.first.max(newest);
        let excess = of_room.first - of_room.stored_first;
        if excess > 0 && excess >= kept.entries / SLACK_SHARE {
            self.trim_later(room);
        }
        self.watch_age(room);
    }

    fn watch_age(&mut self, room: RoomIx) {
        let of_room = &self.rooms[room];
        let kept = self.settings.retentions.of(&of_room.name);
        if kept.age_ms == u64::MAX || of_room.life == Life::Ended {
            return;
        }
        if of_room.stored_first <= of_room.head {
            let age_ms = i64::try_from(kept.age_ms).unwrap_or(i64::MAX);
            let due = Timestamp(of_room.first_ts.0.saturating_add(age_ms));
            self.keeping.aging.insert((due, room));
        }
    }

    pub(super) fn trim_later(&mut self, room: RoomIx) {
        // The room may be gone already.
        let Some(of_room) = self.rooms.get_mut(room.0 as usize) else { return };
        if !of_room.is_trimming && of_room.stored_first <= of_room.head {
            of_room.is_trimming = true;
            self.keeping.due.push_back(room);
        }
    }

    pub(super) fn trim_due(&mut self, effects: &mut Effects) {
        while let Some(&(due, room)) = self.keeping.aging.first() {
            if due > effects.now.age_by {
                let left = u64::try_from(due.0.saturating_sub(effects.now.age_by.0)).unwrap_or(0);
                let wake = effects.now.moment.plus_millis(left.min(LOOK_AGAIN_MS));
                effects.push(Effect::WakeAt(wake));
                break;
            }
            self.keeping.aging.pop_first();
            self.trim_later(room);
        }
        // The first hub removes for all, and the others hear of it.
        if !self.streams.is_of_first() {
            for room in std::mem::take(&mut self.keeping.due) {
                self.rooms[room].is_trimming = false;
            }
        }
        while self.keeping.in_flight < TRIMS_IN_FLIGHT_MAX
            && let Some(room) = self.keeping.due.pop_front()
        {
            self.keeping.in_flight += 1;
            let of_room = &self.rooms[room];
            let kept = self.settings.retentions.of(&of_room.name);
            let age_ms = i64::try_from(kept.age_ms).unwrap_or(i64::MAX);
            let record = Record::Trim {
                room: of_room.name.clone(),
                before: of_room.first,
                older_than: Timestamp(effects.now.age_by.0.saturating_sub(age_ms)),
            };
            let ticket = self.ticket(Pending::Trim { room });
            effects.push(Effect::Persist { ticket, record });
        }
    }

    /// Forgets an ended room once its log is gone from disk. The store keeps its name, so that
    /// nobody takes it.
    pub(super) fn forget_ended_room(&mut self, room: RoomIx, effects: &mut Effects) {
        self.keeping.ended_rooms.push(room);
        self.forget_ended_rooms(effects);
    }

    /// Forgets the ended rooms that could not be forgotten before.
    pub(super) fn forget_ended_rooms(&mut self, effects: &mut Effects) {
        if self.keeping.ended_rooms.is_empty() {
            return;
        }
        let waiting: BTreeSet<RoomIx> = self.pending.values().filter_map(Pending::room).collect();
        for room in std::mem::take(&mut self.keeping.ended_rooms) {
            let Some(of_room) = self.rooms.get(room.0 as usize) else { continue };
            if of_room.life != Life::Ended || of_room.stored_first <= of_room.head {
                continue;
            }
            if of_room.is_trimming || waiting.contains(&room) {
                self.keeping.ended_rooms.push(room);
                effects.push(Effect::WakeAt(effects.now.moment.plus_millis(RETRY_MS)));
                continue;
            }
            let of_room = self.rooms.remove(room.0 as usize);
            self.room_by_id.remove(&of_room.name);
            self.open_rooms.remove(&of_room.name);
        }
    }

    /// The store has answered a removal.
    pub(super) fn trim_returned(&mut self, room: RoomIx) {
        self.keeping.in_flight -= 1;
        self.rooms[room].is_trimming = false;
    }

    /// The store has removed nothing.
    pub(super) fn not_trimmed(&mut self, room: RoomIx, outcome: &Outcome, effects: &mut Effects) {
        match outcome {
            // Its end came meanwhile, and all of its log is due.
            Outcome::Done if self.rooms[room].life == Life::Ended => {
                self.trim_later(room);
                self.forget_ended_room(room, effects);
                self.trim_due(effects);
            }
            // Nothing was due, and asking again at once would loop forever. Or the room cannot be
            // read at all.
            Outcome::Done | Outcome::Damaged => self.trim_due(effects),
            _ => {
                self.trim_later(room);
                effects.push(Effect::WakeAt(effects.now.moment.plus_millis(RETRY_MS)));
            }
        }
    }

    /// Entries were removed.
    pub(super) fn trimmed(&mut self, room: RoomIx, to: Trimmed, effects: &mut Effects) {
        let Trimmed { first, kept_from, first_ts, messages, deleted, is_last: _ } = to;
        let of_room = &mut self.rooms[room];
        of_room.stored_first = first;
        of_room.first_ts = first_ts;
        of_room.first = of_room.first.max(first).max(kept_from);
        for member in of_room.members.values_mut().filter(|member| member.read < first - 1) {
            member.has_read(first - 1, messages, deleted);
        }
        match of_room.life {
            Life::Ended => {
                self.trim_later(room);
                self.forget_ended_room(room, effects);
            }
            Life::Live | Life::Ending => self.keep(room),
        }
        self.trim_due(effects);
    }
}
