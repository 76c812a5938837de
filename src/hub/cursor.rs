//! A connection's place in a room's log, and feeding of connections that are behind.
//!
//! A client that resumes and a client that reads too slowly are the same case: their cursor is
//! behind. The hub feeds them from memory or the store as fast as they read, one page whenever the
//! outbox has drained. The cursor goes live in the same turn in which it reaches the head.

use super::fan_out::entry_notice;
use super::hub::Hub;
use super::pending::Pending;
use super::room::RoomIx;
use crate::base::{ConnId, Effect, Effects, Entry, Query, Timestamp};
use std::sync::Arc;

/// A connection's place in a room's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cursor {
    /// At the head: new entries are delivered as they are committed.
    Live,
    /// `next` and all later entries are still to be delivered.
    Behind { next: u64 },
    /// The client announced a `resume` and has not named this room yet; `from` is the head that it
    /// was told.
    Waiting { from: u64 },
    /// The `resume` was refused: nothing is delivered until the client has read the history.
    Refused,
    /// The end of the membership is in flight: nothing is delivered. If it fails, the cursor
    /// continues at `next`, as it `was`.
    Leaving { next: u64, was: Standing },
}

/// A cursor's state before the membership was to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Live or behind.
    Following,
    /// Waiting for the `resume`, from the entry before `next`.
    Waiting,
    Refused,
}

impl Cursor {
    /// Whether the connection is told of the room: not before its `resume`, and not if that was
    /// refused.
    pub(super) const fn is_told(&self) -> bool {
        match self {
            Cursor::Live | Cursor::Behind { .. } => true,
            Cursor::Waiting { .. } | Cursor::Refused | Cursor::Leaving { .. } => false,
        }
    }
}

impl Hub {
    /// An entry did not fit the outbox: feeds from there on.
    pub(super) fn fell_behind(&mut self, conn: ConnId, room: RoomIx, seq: u64, ts: Timestamp) {
        self.hold_position(conn, room, Some(ts));
        let Some(cursor) = self.cursor(conn, room) else { return };
        match cursor {
            Cursor::Live => *cursor = Cursor::Behind { next: seq },
            Cursor::Behind { next } => *next = seq.min(*next),
            Cursor::Leaving { next, .. } => {
                *next = seq.min(*next);
                return;
            }
            Cursor::Waiting { .. } | Cursor::Refused => return,
        }
        self.queue_for_feeding(conn, room);
    }

    /// Makes a connection follow a room from the entry after `seq`.
    pub(super) fn follow_after(&mut self, conn: ConnId, room: RoomIx, seq: u64) {
        let head = self.rooms[room].head;
        let Some(cursor) = self.cursor(conn, room) else { return };
        if seq >= head {
            *cursor = Cursor::Live;
            self.move_position(conn, room, None);
        } else {
            *cursor = Cursor::Behind { next: seq + 1 };
            self.hold_position(conn, room, None);
            self.queue_for_feeding(conn, room);
        }
    }

    /// Stops a cursor: the membership is to end. Once is enough.
    pub(super) fn halt(&mut self, conn: ConnId, room: RoomIx) {
        if matches!(self.cursor(conn, room), Some(Cursor::Leaving { .. })) {
            return;
        }
        let head = self.rooms[room].head;
        self.drop_behind(conn, room);
        let is_live = self.cursor(conn, room).is_some_and(|cursor| *cursor == Cursor::Live);
        let newest = is_live.then_some(self.newest);
        self.hold_position(conn, room, newest);
        let Some(cursor) = self.cursor(conn, room) else { return };
        *cursor = match *cursor {
            Cursor::Live => Cursor::Leaving { next: head + 1, was: Standing::Following },
            Cursor::Behind { next } => Cursor::Leaving { next, was: Standing::Following },
            Cursor::Waiting { from } => Cursor::Leaving { next: from + 1, was: Standing::Waiting },
            Cursor::Refused => Cursor::Leaving { next: 0, was: Standing::Refused },
            Cursor::Leaving { .. } => return,
        };
    }

    /// Restarts a cursor: the membership did not end.
    pub(super) fn resume_cursor(&mut self, conn: ConnId, room: RoomIx, effects: &mut Effects) {
        let Some(&mut Cursor::Leaving { next, was }) = self.cursor(conn, room) else { return };
        // Another end of the membership or of the room may be in flight.
        let of_room = &self.rooms[room];
        if self.user_on(conn).is_none_or(|user| of_room.member(user).is_none()) {
            return;
        }
        let stands = match was {
            Standing::Waiting if self.is_resuming(conn) => Cursor::Waiting { from: next - 1 },
            Standing::Refused => Cursor::Refused,
            // `Waiting` here: the `resume` ended meanwhile without naming the room.
            Standing::Following | Standing::Waiting => {
                self.follow_after(conn, room, next - 1);
                self.tell_missed_updates(conn, effects);
                self.feed(conn, effects);
                return;
            }
        };
        if let Some(cursor) = self.cursor(conn, room) {
            *cursor = stands;
        }
    }

    fn queue_for_feeding(&mut self, conn: ConnId, room: RoomIx) {
        if let Some(connection) = self.connections.get_mut(conn) {
            let behind = connection.behind.get_or_insert_default();
            if !behind.contains(&room) {
                behind.push_back(room);
                self.behind += 1;
            }
        }
    }

    /// Feeds a connection up to a page, and asks to be told when there is room for more.
    pub(super) fn feed(&mut self, conn: ConnId, effects: &mut Effects) {
        let mut budget = self.settings.limits.page_bytes as usize;
        while let Some(room) = self.next_behind(conn) {
            let Some(&mut Cursor::Behind { next }) = self.cursor(conn, room) else {
                self.drop_behind(conn, room);
                continue;
            };
            let of_room = &self.rooms[room];
            if next < of_room.first {
                effects.push(Effect::TooSlow { conn });
                return;
            }
            let Some(recent) = of_room.recent(next) else {
                self.load_for_feeding(conn, room, next, effects);
                return;
            };
            let mut page: Vec<Arc<Entry>> = Vec::new();
            for entry in recent {
                if entry.weight() > budget && !page.is_empty() {
                    break;
                }
                budget = budget.saturating_sub(entry.weight());
                page.push(Arc::clone(entry));
            }
            self.deliver_page(conn, room, page, effects);
            if budget == 0 || matches!(self.cursor(conn, room), Some(Cursor::Behind { .. })) {
                break;
            }
        }
        if self.next_behind(conn).is_some() {
            effects.push(Effect::TellDrained { conn });
        }
    }

    fn load_for_feeding(&mut self, conn: ConnId, room: RoomIx, next: u64, effects: &mut Effects) {
        let Some(connection) = self.connections.get_mut(conn) else { return };
        if connection.is_loading {
            return;
        }
        connection.is_loading = true;
        let of_room = &self.rooms[room];
        let query = Query {
            room: of_room.name.clone(),
            first: next,
            last: of_room.head,
            entries_max: self.settings.limits.page as usize,
            bytes_max: self.settings.limits.page_bytes as usize,
            from_end: false,
        };
        let ticket = self.ticket(Pending::Feed { conn, room });
        effects.push(Effect::Load { ticket, query });
    }

    pub(super) fn loaded_for_feeding(
        &mut self,
        conn: ConnId,
        room: RoomIx,
        page: Option<Vec<Entry>>,
        effects: &mut Effects,
    ) {
        const RETRY_MS: u64 = 1_000;
        let Some(connection) = self.connections.get_mut(conn) else { return };
        connection.is_loading = false;
        // If the store cannot read for now, the cursor stays and retries.
        let next = match self.cursor(conn, room) {
            Some(&mut Cursor::Behind { next }) => Some(next),
            _ => None,
        };
        if next.is_some_and(|next| next < self.rooms[room].first) {
            effects.push(Effect::TooSlow { conn });
            return;
        }
        let has_next = |page: &Vec<Entry>| page.iter().any(|entry| Some(entry.seq) == next);
        let Some(page) = page.filter(|page| next.is_none() || has_next(page)) else {
            if !self.feed_retries.contains(&conn) {
                self.feed_retries.push(conn);
            }
            effects.push(Effect::WakeAt(effects.now.moment.plus_millis(RETRY_MS)));
            return;
        };
        // Meanwhile the membership may have ended, or the cursor may have moved.
        if let Some(next) = next {
            let fitting = page.into_iter().skip_while(|entry| entry.seq < next);
            let page: Vec<_> = fitting.map(Arc::new).collect();
            if page.first().is_some_and(|entry| entry.seq == next) {
                self.deliver_page(conn, room, page, effects);
            }
        }
        if self.next_behind(conn).is_some() {
            effects.push(Effect::TellDrained { conn });
        }
    }

    /// Delivers consecutive entries to one connection, and moves its cursor.
    fn deliver_page(
        &mut self,
        conn: ConnId,
        room: RoomIx,
        mut page: Vec<Arc<Entry>>,
        effects: &mut Effects,
    ) {
        let Some(newest) = page.pop() else { return };
        let last = newest.seq;
        let Some(user) = self.user_on(conn).cloned() else { return };
        for entry in page {
            effects.deliver(entry_notice(&entry, room, &user, None), [conn]);
        }
        let head = self.rooms[room].head;
        if let Some(cursor) = self.cursor(conn, room) {
            *cursor = if last >= head { Cursor::Live } else { Cursor::Behind { next: last + 1 } };
        }
        self.move_position(conn, room, (last < head).then_some(newest.ts));
        let position = self.position_of(conn);
        effects.deliver(entry_notice(&newest, room, &user, position), [conn]);
        // To the end of the queue, so that a long log does not delay the other rooms.
        self.drop_behind(conn, room);
        if last < head {
            self.queue_for_feeding(conn, room);
        }
    }

    fn next_behind(&self, conn: ConnId) -> Option<RoomIx> {
        self.connections.get(conn)?.behind.as_ref()?.front().copied()
    }

    pub(super) fn drop_behind(&mut self, conn: ConnId, room: RoomIx) {
        if let Some(connection) = self.connections.get_mut(conn)
            && let Some(behind) = &mut connection.behind
        {
            let before = behind.len();
            behind.retain(|one| *one != room);
            let dropped = before - behind.len();
            if behind.is_empty() {
                connection.behind = None;
            }
            self.behind -= dropped;
        }
    }

    pub(super) fn cursor(&mut self, conn: ConnId, room: RoomIx) -> Option<&mut Cursor> {
        self.rooms.get_mut(room.0 as usize)?.followers.get_mut(&conn)
    }
}
