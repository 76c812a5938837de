//! What a server needs of a store.

use super::open_files::Space;
use super::store::NotTaken;
use crate::base::{News, Query, Record, RoomId, StoreCounters, Timestamp, Told};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// Stores records and reads pages, without ever blocking: at most it does what is little. Changes and
/// answers come later, in the order of the commits. [`Store`](super::Store) is the real one; a simulator has its own.
pub trait RecordStore {
    /// Hands a record to the store; its change or answer comes with `ticket`.
    ///
    /// # Errors
    /// [`NotTaken`]: nothing will be stored.
    fn write(&mut self, ticket: u64, now: Timestamp, record: Record) -> Result<(), NotTaken>;

    /// Asks for a page; it comes with `ticket`.
    ///
    /// # Errors
    /// As [`RecordStore::write`].
    fn read(&mut self, ticket: u64, now: Timestamp, query: Query) -> Result<(), NotTaken>;

    /// Asks for the last entry before a time in each of some rooms, at most
    /// [`SEEK_ROOMS_MAX`](crate::base::limits::SEEK_ROOMS_MAX): [`Outcome::Positions`](crate::base::Outcome::Positions) comes
    /// with
    /// `ticket`.
    ///
    /// # Errors
    /// As [`RecordStore::write`].
    fn seek(
        &mut self,
        ticket: u64,
        now: Timestamp,
        rooms: Vec<RoomId>,
        since: Timestamp,
    ) -> Result<(), NotTaken>;

    /// The changes and answers since the last call, in the order of the commits, each with how many
    /// batches that had a record of this hub have failed by then. The versions of a room are in order,
    /// without a gap.
    fn fetch(&mut self) -> Vec<(Told, u64)>;

    /// The hub hears something with which [`RecordStore::fetch`] gave this number. What it has written
    /// before it heard of a failed batch is not stored, as it was decided without knowing of that.
    fn hears(&mut self, failures: u64);

    /// [`RecordStore::fetch`], for a hub that hears all of it before it writes.
    fn told(&mut self) -> Vec<Told> {
        let fetched = self.fetch();
        if let Some((_, failures)) = fetched.iter().max_by_key(|(_, failures)| *failures) {
            self.hears(*failures);
        }
        fetched.into_iter().map(|(told, _)| told).collect()
    }

    /// A turn of the reactor ends: nothing more is handed over for now. The store may carry that out on
    /// this thread. Returns whether it has: then there is something to fetch. Once this was called, what
    /// is handed over may wait until it is called again.
    fn turn_ends(&mut self) -> bool {
        false
    }

    /// Whether it may be worth while to look for its answers instead of sleeping until they come: it writes
    /// to a disk, and there is a processor for that.
    fn may_poll(&self) -> bool {
        false
    }

    /// Tells another hub of the store, or all others, something, in one order with its changes. By
    /// default there are none.
    fn tell(&mut self, _hub: Option<usize>, _news: &News) {}

    /// Counts the changes and news that this hub was told. It rises before [`RecordStore::told`] of
    /// any hub can give that change. By default it does not count.
    fn told_count(&self) -> Arc<AtomicU64> {
        Arc::default()
    }

    /// What the store has counted, as of its last answer. By default nothing is counted.
    fn counters(&self) -> StoreCounters {
        StoreCounters::default()
    }

    /// Whether a hub has not taken so much of what it was told that nothing more is committed: then nobody
    /// new is to be let in, as every hub is told of them. By default it never is.
    fn is_held_up(&self) -> bool {
        false
    }

    /// Whether its files are not where they were when it was opened. Nothing is stored until they
    /// are. A store without files loses none.
    fn has_lost_files(&self) -> bool {
        false
    }

    /// The space on the disk of its files, as of a moment ago; `None` without files.
    fn space(&self) -> Option<Space> {
        None
    }

    /// Whether the store's thread has ended by itself, because of an internal error.
    fn has_died(&self) -> bool;

    /// Waits until everything handed over is committed, and closes. What it tells can still be
    /// taken.
    fn close(&mut self);
}
