//! What a server needs of a store.

use super::held::Space;
use super::store::NotTaken;
use crate::base::{Outcome, Query, Record, RoomId, StoreCounters, Timestamp};

/// Remembers records and reads pages, without ever blocking: what becomes of them is told later, in
/// the order of the commits. [`Store`](super::Store) is the real one; a simulator has its own.
pub trait RecordStore {
    /// Hands a record to the store; its outcome comes with `ticket`.
    ///
    /// # Errors
    /// [`NotTaken`]: nothing will be stored.
    fn write(&mut self, ticket: u64, now: Timestamp, record: Record) -> Result<(), NotTaken>;

    /// Asks for a page; it comes with `ticket`.
    ///
    /// # Errors
    /// As [`RecordStore::write`].
    fn read(&mut self, ticket: u64, now: Timestamp, query: Query) -> Result<(), NotTaken>;

    /// Asks for the last entry before a time of each of some rooms, of which there are at most
    /// [`SEEK_ROOMS_MAX`](crate::base::limits::SEEK_ROOMS_MAX): [`Outcome::Positions`] comes with
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

    /// What has been answered since the last call, in the order of the commits.
    fn outcomes(&mut self) -> Vec<(u64, Outcome)>;

    /// What the store's thread has counted, as of its last answer. A store that counts nothing has
    /// nothing to tell.
    fn counters(&self) -> StoreCounters {
        StoreCounters::default()
    }

    /// Whether its files are not where they were when it was opened: nothing is stored until they
    /// are. A store without files loses none.
    fn has_lost_files(&self) -> bool {
        false
    }

    /// How much room the disk has on which its files are, as it was looked a moment ago; none
    /// without files.
    fn space(&self) -> Option<Space> {
        None
    }

    /// Whether the store's thread has ended although nobody closed it: by a fault of ours.
    fn has_died(&self) -> bool;

    /// Waits until all that was handed over is committed, and closes. Outcomes can still be taken.
    fn close(&mut self);
}
