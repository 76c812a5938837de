//! What a server needs of a store.

use super::held::Space;
use super::store::{NotTaken, Store};
use crate::base::{Outcome, Query, Record, RoomId, StoreCounters, Timestamp};

/// Remembers records and reads pages, without ever blocking: what becomes of them is told later, in
/// the order of the commits. [`Store`] is the real one; a simulator has its own.
pub trait Backend {
    /// As [`Store::write`].
    ///
    /// # Errors
    /// [`NotTaken`]: nothing will be stored.
    fn write(&mut self, ticket: u64, now: Timestamp, record: Record) -> Result<(), NotTaken>;

    /// As [`Store::read`].
    ///
    /// # Errors
    /// As [`Backend::write`].
    fn read(&mut self, ticket: u64, now: Timestamp, query: Query) -> Result<(), NotTaken>;

    /// As [`Store::seek`].
    ///
    /// # Errors
    /// As [`Backend::write`].
    fn seek(
        &mut self,
        ticket: u64,
        now: Timestamp,
        rooms: Vec<RoomId>,
        since: Timestamp,
    ) -> Result<(), NotTaken>;

    /// As [`Store::outcomes`].
    fn outcomes(&mut self) -> Vec<(u64, Outcome)>;

    /// As [`Store::counters`]. One that counts nothing has nothing to tell.
    fn counters(&self) -> StoreCounters {
        StoreCounters::default()
    }

    /// As [`Store::has_lost_files`]. One without files loses none.
    fn has_lost_files(&self) -> bool {
        false
    }

    /// As [`Store::space`]. One without files needs none.
    fn space(&self) -> Option<Space> {
        None
    }

    /// As [`Store::has_died`].
    fn has_died(&self) -> bool;

    /// As [`Store::close`].
    fn close(&mut self);
}

impl Backend for Store {
    fn write(&mut self, ticket: u64, now: Timestamp, record: Record) -> Result<(), NotTaken> {
        Store::write(self, ticket, now, record)
    }

    fn read(&mut self, ticket: u64, now: Timestamp, query: Query) -> Result<(), NotTaken> {
        Store::read(self, ticket, now, query)
    }

    fn seek(
        &mut self,
        ticket: u64,
        now: Timestamp,
        rooms: Vec<RoomId>,
        since: Timestamp,
    ) -> Result<(), NotTaken> {
        Store::seek(self, ticket, now, rooms, since)
    }

    fn outcomes(&mut self) -> Vec<(u64, Outcome)> {
        Store::outcomes(self)
    }

    fn counters(&self) -> StoreCounters {
        Store::counters(self)
    }

    fn has_lost_files(&self) -> bool {
        Store::has_lost_files(self)
    }

    fn space(&self) -> Option<Space> {
        Store::space(self)
    }

    fn has_died(&self) -> bool {
        Store::has_died(self)
    }

    fn close(&mut self) {
        Store::close(self);
    }
}
