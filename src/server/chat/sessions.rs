//! The sessions of a thread's open connections, found by a [`ConnId`], and what is counted of those of
//! all threads.

use super::session::{Session, SignedIn};
use crate::base::by_connection::ByConnection;
use crate::base::{ConnId, UserId};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A thread's sessions.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    table: ByConnection<Session>,
    counted: Arc<Mutex<SessionCounts>>,
}

/// What is counted of the sessions of all threads.
#[derive(Debug, Default)]
pub(super) struct SessionCounts {
    all: usize,
    guests: usize,
    /// How many connections users have that only watch a stream, or speak a protocol of the embedding program. The hub
    /// does not know whose they are.
    visitors: HashMap<UserId, u32>,
}

impl Sessions {
    /// No sessions yet, of a thread that counts them with others.
    pub(super) fn new(counted: &Arc<Mutex<SessionCounts>>) -> Sessions {
        Sessions { table: ByConnection::default(), counted: Arc::clone(counted) }
    }

    // Whoever panics while they hold this leaves nothing half done.
    fn counted(&self) -> MutexGuard<'_, SessionCounts> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn put(&mut self, conn: ConnId, session: Session) {
        self.table.put(conn, session);
        self.counted().all += 1;
    }

    /// How many there are on all threads.
    pub(super) fn everywhere(&self) -> usize {
        self.counted().all
    }

    pub(super) fn get(&self, conn: ConnId) -> Option<&Session> {
        self.table.get(conn)
    }

    pub(super) fn get_mut(&mut self, conn: ConnId) -> Option<&mut Session> {
        self.table.get_mut(conn)
    }

    /// Removes the session of a closed connection. It no longer counts as a guest or a visitor.
    pub(super) fn remove(&mut self, conn: ConnId) -> Option<Session> {
        let session = self.table.take(conn)?;
        self.counted().all -= 1;
        if session.is_guest() {
            self.counted().guests -= 1;
        }
        if let Some(known) = session.signed_in().filter(|_| session.is_counted_visitor) {
            let visitors = &mut self.counted().visitors;
            if let Some(count) = visitors.get_mut(&known.user) {
                *count -= 1;
                if *count == 0 {
                    visitors.remove(&known.user);
                }
            }
        }
        Some(session)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (ConnId, &Session)> {
        self.table.following(None)
    }

    /// Those who have said who they are, behind `after`, in the order of their connections' indices.
    pub(super) fn signed_in(
        &self,
        after: Option<ConnId>,
    ) -> impl Iterator<Item = (ConnId, &SignedIn)> {
        let here = self.table.following(after);
        here.filter_map(|(conn, session)| Some((conn, session.signed_in()?)))
    }

    pub(super) fn guests(&self) -> usize {
        self.counted().guests
    }

    /// Whether one more guest may come, of at most `max`. If so, it counts until its session is removed.
    pub(super) fn take_guest(&mut self, max: usize) -> bool {
        let mut counted = self.counted();
        let has_room = counted.guests < max;
        counted.guests += usize::from(has_room);
        has_room
    }

    pub(super) fn visitors_of(&self, user: &UserId) -> usize {
        self.counted().visitors.get(user).map_or(0, |count| *count as usize)
    }

    /// Counts a user's connection as a visitor's until its session is removed.
    pub(super) fn count_visitor(&mut self, conn: ConnId, user: UserId) {
        let Some(session) = self.get_mut(conn) else { return };
        session.is_counted_visitor = true;
        *self.counted().visitors.entry(user).or_insert(0) += 1;
    }
}
