//! Positions in time: one moment that stands for a connection's place in all of its rooms' logs.
//!
//! The store's times never fall, from one entry to the next of whichever room. So a time stands for a
//! place in every log: whoever was handed all entries before it may go on with those of that time and
//! later. Entries of that very time may come again, and are known by their `seq`. It is what
//! `Last-Event-ID` of Server-Sent Events needs: a few bytes, however many rooms there are.

use super::cursor::{Cursor, Standing};
use super::hub::Hub;
use super::pending::Pending;
use super::request::{Requester, answered};
use super::room::RoomIx;
use crate::base::answer::Resumed;
use crate::base::limits::SEEK_ROOMS_MAX;
use crate::base::{
    Answer, ConnId, Effect, Effects, Origin, Outcome, Refusal, RefusalCode, RoomId, Timestamp,
};
use std::collections::BTreeMap;

/// What is remembered of a connection that is told its position.
#[derive(Debug)]
pub(super) struct Position {
    /// Of no room that it follows an entry before this is still to be handed over.
    since: Timestamp,
    /// Rooms whose cursor is behind, or halted, and up to before which time their entries were handed
    /// over.
    behind: BTreeMap<RoomIx, Timestamp>,
    seeking: Option<Box<Seeking>>,
}

/// A `resume` from a time, while the places are looked up.
#[derive(Debug, Default)]
struct Seeking {
    since: Timestamp,
    /// Rooms still to be looked up in the store.
    rooms: Vec<RoomId>,
    /// Places that were found: the last entry before that time.
    found: Vec<(RoomId, u64)>,
}

impl Hub {
    /// Lets a connection, which is not yet let in, be told its position with its entries.
    pub(super) fn track_position(&mut self, conn: ConnId) {
        let since = self.newest;
        self.positions.insert(conn, Position { since, behind: BTreeMap::new(), seeking: None });
    }

    /// Where a connection is: no entry before this is still to be handed over to it. None for one that
    /// is not told, or whose `resume` is under way.
    #[must_use]
    pub fn position_of(&self, conn: ConnId) -> Option<Timestamp> {
        let position = self.positions.get(&conn)?;
        if self.connection(conn)?.is_resuming {
            return None;
        }
        let is_behind = |room: &RoomIx| {
            let cursor = self.rooms.get(room.0 as usize).and_then(|room| room.followers.get(&conn));
            matches!(cursor, Some(Cursor::Behind { .. } | Cursor::Leaving { .. }))
        };
        let behind = position.behind.iter().filter(|(room, _)| is_behind(room));
        Some(behind.map(|(_, before)| *before).min().unwrap_or(self.newest))
    }

    /// Whether a connection's `resume` is under way.
    #[must_use]
    pub fn is_resuming(&self, conn: ConnId) -> bool {
        self.connection(conn).is_some_and(|connection| connection.is_resuming)
    }

    /// Those who are told that they have all entries before the newest one's time, and the others.
    pub(super) fn by_position(
        &self,
        conns: impl Iterator<Item = ConnId>,
    ) -> (Vec<ConnId>, Vec<ConnId>) {
        conns.partition(|conn| self.position_of(*conn) == Some(self.newest))
    }

    /// A cursor is not live any more: its room's entries before `ts` were handed over. Without a time
    /// it is the one that holds for all rooms: what is known may be of an earlier membership.
    pub(super) fn hold_position(&mut self, conn: ConnId, room: RoomIx, ts: Option<Timestamp>) {
        if let Some(position) = self.positions.get_mut(&conn) {
            let ts = ts.unwrap_or(position.since);
            let before = position.behind.entry(room).or_insert(ts);
            *before = ts.min(*before);
        }
    }

    /// A page was handed over: up to `ts`, or up to the head.
    pub(super) fn move_position(&mut self, conn: ConnId, room: RoomIx, ts: Option<Timestamp>) {
        if let Some(position) = self.positions.get_mut(&conn) {
            match ts {
                Some(ts) => drop(position.behind.insert(room, ts)),
                None => drop(position.behind.remove(&room)),
            }
        }
    }

    /// Lets a connection that has announced it go on at a time, in all of its rooms.
    pub(super) fn resume_at(
        &mut self,
        asker: &Requester,
        epoch: &str,
        since: Timestamp,
        effects: &mut Effects,
    ) {
        let Some(conn) = asker.conn else { return };
        let connection = self.connection(conn).filter(|connection| connection.is_resuming);
        let (Some(connection), true) = (connection, self.positions.contains_key(&conn)) else {
            let message = "a position is gone on at once, when connecting";
            let refusal = Refusal::new(RefusalCode::Conflict, message);
            effects.push(answered(asker, Err(refusal)));
            return;
        };
        let mut seeking = Seeking { since, ..Seeking::default() };
        let is_of_this_life = epoch == &*self.epoch && since <= self.newest;
        for ix in self.users[connection.user].rooms.as_slice() {
            let room = &self.rooms[*ix];
            if !is_of_this_life {
                // Behind every head: nobody has been there.
                seeking.found.push((room.name.clone(), u64::MAX));
            } else if room.head > 0 && room.ts >= since {
                match room.last_before(since) {
                    Some(seq) => seeking.found.push((room.name.clone(), seq)),
                    None => seeking.rooms.push(room.name.clone()),
                }
            }
        }
        if let Some(position) = self.positions.get_mut(&conn) {
            position.since = position.since.min(since);
            position.seeking = Some(Box::new(seeking));
        }
        self.seek_on(asker, conn, epoch, effects);
    }

    /// Looks some more rooms up in the store; when all are, goes on.
    fn seek_on(&mut self, asker: &Requester, conn: ConnId, epoch: &str, effects: &mut Effects) {
        let position = self.positions.get_mut(&conn);
        let Some(seeking) = position.and_then(|position| position.seeking.as_mut()) else { return };
        let count = seeking.rooms.len().min(SEEK_ROOMS_MAX);
        let rooms: Vec<RoomId> = seeking.rooms.drain(..count).collect();
        let since = seeking.since;
        if !rooms.is_empty() {
            let ticket = self.ticket(Pending::Seek { conn });
            effects.push(Effect::Seek { ticket, rooms, since });
            return;
        }
        let found = std::mem::take(&mut seeking.found);
        if let Some(position) = self.positions.get_mut(&conn) {
            position.seeking = None;
        }
        let is_of_this_life = epoch == &*self.epoch;
        let mut resumed = Resumed::default();
        for (room, seq) in found {
            if is_of_this_life && self.resume_halted(conn, &room, seq) {
                let head = self.room_ix(&room).map_or(seq, |ix| self.rooms[ix].head);
                resumed.rooms.push((room, seq, head));
                continue;
            }
            self.resume_room(asker, conn, room, seq, is_of_this_life, &mut resumed);
        }
        // Nobody can ask for a history on such a connection: what is refused goes live from the head
        // that is told.
        for refused in &resumed.refused {
            if let Some(ix) = self.room_ix(&refused.room)
                && let Some(cursor @ Cursor::Refused) = self.cursor(conn, ix)
            {
                *cursor = Cursor::Live;
            }
        }
        self.resume_the_rest(conn);
        effects.push(answered(asker, Ok(Answer::Resumed(resumed))));
        self.tell_missed_updates(conn, effects);
        self.feed(conn, effects);
    }

    /// A room that the user is leaving goes on at its place if that comes to nothing: nobody can ask to
    /// come in again on such a connection. Tells whether it is one.
    fn resume_halted(&mut self, conn: ConnId, room: &RoomId, seq: u64) -> bool {
        let Some(ix) = self.room_ix(room) else { return false };
        let Some(Cursor::Leaving { next, was }) = self.cursor(conn, ix) else { return false };
        (*next, *was) = (seq.saturating_add(1), Standing::Following);
        self.hold_position(conn, ix, None);
        true
    }

    /// Places have been looked up.
    pub(super) fn places_found(&mut self, conn: ConnId, outcome: Outcome, effects: &mut Effects) {
        let Some(user) = self.user_of(conn).cloned() else { return };
        let asker = self.asker(user, Origin::Conn(conn, None));
        match outcome {
            Outcome::Positions(positions) => {
                let position = self.positions.get_mut(&conn);
                if let Some(seeking) = position.and_then(|position| position.seeking.as_mut()) {
                    seeking.found.extend(positions);
                }
                let epoch = std::rc::Rc::clone(&self.epoch);
                self.seek_on(&asker, conn, &epoch, effects);
            }
            // It stays as it is, and comes again: no part of a gap is told.
            other => effects.push(answered(&asker, Err(Refusal::from(&other)))),
        }
    }
}
