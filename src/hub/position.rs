//! Positions in time: one timestamp that stands for a connection's place in the logs of all its
//! rooms.
//!
//! The store's times never decrease from one entry to the next, across all rooms. So a time stands
//! for a place in every log: a client that received all entries before it may continue with the
//! entries of that time and later. Entries of that very time may arrive twice; the client knows
//! them by their `seq`. `Last-Event-ID` of Server-Sent Events needs this: a few bytes, however many
//! rooms there are.

use super::cursor::{Cursor, Standing};
use super::hub::Hub;
use super::manage::Progress;
use super::pending::Pending;
use super::request::Requester;
use super::room::RoomIx;
use crate::base::answer::Resumed;
use crate::base::limits::SEEK_ROOMS_MAX;
use crate::base::{
    Answer, ConnId, Effect, Effects, Origin, Outcome, Refusal, RefusalCode, RoomId, Timestamp,
};
use std::collections::BTreeMap;

/// State of a connection that is told its position.
#[derive(Debug)]
pub(super) struct Position {
    /// All entries before this were delivered, in every room.
    since: Timestamp,
    /// Rooms whose cursor is behind or halted, each with the time before which all entries were
    /// delivered.
    behind: BTreeMap<RoomIx, Timestamp>,
    seeking: Option<Box<Seeking>>,
}

/// A `resume` from a time, while the places are looked up.
#[derive(Debug, Default)]
struct Seeking {
    since: Timestamp,
    /// Rooms still to be looked up in the store.
    rooms: Vec<RoomId>,
    /// The places found: the last entry before that time.
    found: Vec<(RoomId, u64)>,
}

impl Hub {
    /// Tracks the position of a connection that is not let in yet.
    pub(super) fn track_position(&mut self, conn: ConnId) {
        let since = self.newest;
        self.positions.insert(conn, Position { since, behind: BTreeMap::new(), seeking: None });
    }

    /// A connection's position: all entries before it were delivered. `None` if it is not tracked,
    /// or its `resume` is under way.
    #[must_use]
    pub fn position_of(&self, conn: ConnId) -> Option<Timestamp> {
        let position = self.positions.get(&conn)?;
        if self.connections.get(conn)?.is_resuming {
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
        self.connections.get(conn).is_some_and(|connection| connection.is_resuming)
    }

    /// Splits off the connections that have all entries before the newest one's time.
    pub(super) fn by_position(
        &self,
        conns: impl Iterator<Item = ConnId>,
    ) -> (Vec<ConnId>, Vec<ConnId>) {
        conns.partition(|conn| self.position_of(*conn) == Some(self.newest))
    }

    /// A cursor is no longer live: its room's entries before `ts` were delivered. Without `ts`,
    /// uses the time for all rooms, since what is known may be of an earlier membership.
    pub(super) fn hold_position(&mut self, conn: ConnId, room: RoomIx, ts: Option<Timestamp>) {
        if let Some(position) = self.positions.get_mut(&conn) {
            let ts = ts.unwrap_or(position.since);
            let before = position.behind.entry(room).or_insert(ts);
            *before = ts.min(*before);
        }
    }

    /// A page was delivered: up to `ts`, or up to the head if `None`.
    pub(super) fn move_position(&mut self, conn: ConnId, room: RoomIx, ts: Option<Timestamp>) {
        if let Some(position) = self.positions.get_mut(&conn) {
            match ts {
                Some(ts) => drop(position.behind.insert(room, ts)),
                None => drop(position.behind.remove(&room)),
            }
        }
    }

    /// Resumes a connection from a time, in all of its rooms.
    pub(super) fn resume_at(
        &mut self,
        asker: &Requester,
        epoch: &str,
        since: Timestamp,
        effects: &mut Effects,
    ) -> Progress {
        let Some(conn) = asker.origin.conn() else { return Ok(None) };
        let connection = self.connections.get(conn).filter(|connection| connection.is_resuming);
        let (Some(connection), true) = (connection, self.positions.contains_key(&conn)) else {
            let message = "a position is gone on at once, when connecting";
            return Err(Refusal::new(RefusalCode::Conflict, message));
        };
        let mut seeking = Seeking { since, ..Seeking::default() };
        let is_of_this_life = epoch == &*self.epoch && since <= self.newest;
        for ix in self.users[connection.user].rooms.as_slice() {
            let room = &self.rooms[*ix];
            if !is_of_this_life {
                // Beyond every head: no client has been there.
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
        Ok(None)
    }

    /// Looks up more rooms in the store; continues when all are found.
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
        // Such a connection cannot ask for a history: a refused room goes live from the head in the
        // answer.
        for refused in &resumed.refused {
            if let Some(ix) = self.room_ix(&refused.room)
                && let Some(cursor @ Cursor::Refused) = self.cursor(conn, ix)
            {
                *cursor = Cursor::Live;
            }
        }
        self.resume_unnamed_rooms(conn);
        effects.answer(asker.origin.clone(), Ok(Answer::Resumed(resumed)));
        self.tell_missed_updates(conn, effects);
        self.feed(conn, effects);
    }

    /// Moves the place of a room that the user is leaving, in case the end fails: such a connection
    /// could not ask for the room again. Returns whether it is such a room.
    fn resume_halted(&mut self, conn: ConnId, room: &RoomId, seq: u64) -> bool {
        let Some(ix) = self.room_ix(room) else { return false };
        let Some(Cursor::Leaving { next, was }) = self.cursor(conn, ix) else { return false };
        (*next, *was) = (seq.saturating_add(1), Standing::Following);
        self.hold_position(conn, ix, None);
        true
    }

    pub(super) fn places_found(&mut self, conn: ConnId, outcome: Outcome, effects: &mut Effects) {
        let Some(user) = self.user_on(conn).cloned() else { return };
        let origin = Origin::Conn(conn, None);
        let asker = Requester { user, origin, is_admin: false, is_program: false, quotas: None };
        match outcome {
            Outcome::Positions(positions) => {
                let position = self.positions.get_mut(&conn);
                if let Some(seeking) = position.and_then(|position| position.seeking.as_mut()) {
                    seeking.found.extend(positions);
                }
                let epoch = std::sync::Arc::clone(&self.epoch);
                self.seek_on(&asker, conn, &epoch, effects);
            }
            // The client must come again: it never gets part of a gap.
            other => effects.answer(asker.origin.clone(), Err(Refusal::from(&other))),
        }
    }
}
