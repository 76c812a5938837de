//! Whoever works on a store: takes the commands that wait, commits them together, and answers.

use super::commands::{ReadCommand, ReadWanted, WriteCommand};
use super::ends::{EndAnswer, Ends};
use super::hot::{HotPoint, HotRooms};
use super::journal_end::JournalEnd;
use super::mark::{Mark, heads_of};
use super::merge::MergedPart;
use super::merge_thread::MergeThread;
use super::open_files::OpenFiles;
use super::write::RecordWriter;
use super::{rows, schema};
use crate::base::limits::{FAILURE_LOG_EVERY_MS, SLICE_MS};
use crate::base::{Outcome, Record, RoomId, StoreChange, StoreCounters, Timestamp, Told, Written};
use rusqlite::{Connection, Transaction, TransactionBehavior};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

pub(super) struct Worker {
    pub(super) db: Connection,
    /// The time since a fixed moment; only differences count.
    pub(super) clock: Box<dyn Fn() -> Duration + Send>,
    pub(super) counters: StoreCounters,
    /// By end, how many batches with a record of it have failed.
    pub(super) failures: Vec<u64>,
    /// The newest version of each room that has changed since the store was opened, and can change
    /// again.
    pub(super) versions: HashMap<RoomId, u64>,
    /// Rooms in memory, and what of them is in the journal alone.
    pub(super) hot: HotRooms,
    /// How many commits there were, as the journal counts them.
    pub(super) commits: u64,
    /// The last slice, or what a thread was to merge, could not be merged.
    pub(super) has_failed_to_merge: bool,
    /// It has freed memory since it did something.
    pub(super) has_rested: bool,
    /// The time of the newest entry. The next entry of any room is not dated earlier.
    pub(super) newest: Timestamp,
    /// Until then no failure is logged.
    pub(super) failure_log: Timestamp,
    /// Its files; `None` in memory.
    pub(super) held: Option<OpenFiles>,
    /// The end of its journal; `None` in memory, where nobody reads it.
    pub(super) journal: Option<JournalEnd>,
    /// The count of its commits outside its log.
    pub(super) mark: Option<Mark>,
    /// Whom it answers.
    pub(super) ends: Arc<Ends>,
    /// Reads that wait until nothing is to be written.
    pub(super) reads: VecDeque<ReadCommand>,
    /// It has carried out something since the thread began to wait.
    pub(super) has_worked: bool,
    /// Merges beside its commits.
    pub(super) merge_thread: Option<MergeThread>,
    /// What that had a connection for, and the next one has.
    pub(super) merge_db: Option<Connection>,
    /// Until then there is none.
    pub(super) merges_alone_until: Duration,
}

impl Worker {
    /// For each end, a list of what it is told.
    pub(super) fn no_answers(&self) -> Vec<Vec<EndAnswer>> {
        (0..self.ends.len()).map(|_| Vec::new()).collect()
    }

    /// Whether a batch can go to the tail: it changes rooms in memory alone.
    fn is_for_tail(&self, batch: &[WriteCommand]) -> bool {
        self.journal.as_ref().is_some_and(JournalEnd::takes_records)
            && batch.iter().all(|write| self.hot.is_for(&write.record))
    }

    /// Whether there is surely space in the tail for what a batch adds.
    fn fits_tail(&self, batch: &[WriteCommand]) -> bool {
        // A byte takes six where JSON has it as a number.
        let bytes: usize = batch.iter().map(|write| 6 * write.record.weight()).sum();
        self.journal.as_ref().is_some_and(|journal| journal.has_space(bytes))
    }

    /// As [`Worker::is_lost`], before something that goes to the tail alone.
    fn is_tail_lost(&mut self) -> bool {
        let now = (self.clock)();
        self.held.as_mut().is_some_and(|held| held.is_tail_lost(now))
    }

    /// Whether a file is not the one any more that it has open.
    pub(super) fn is_lost(&mut self) -> bool {
        let now = (self.clock)();
        self.held.as_mut().is_some_and(|held| held.is_lost(now))
    }

    /// Nothing comes for now: frees what is only kept to be quick.
    pub(super) fn rest(&mut self) {
        self.merge_db = None;
        self.hot.rest();
        if !std::mem::replace(&mut self.has_rested, true) {
            // That it frees less is no harm.
            let _ = self.db.execute_batch("PRAGMA shrink_memory");
        }
        if let Some(journal) = &mut self.journal {
            journal.rest();
            if let Some((held, tail)) = self.held.as_mut().zip(journal.tail()) {
                held.has_tail(tail);
            }
        }
    }

    /// Merges a slice of what the journal has.
    pub(super) fn merge(&mut self) {
        self.has_rested = false;
        self.end_merge();
        if self.is_lost() {
            self.has_failed_to_merge = true;
            return;
        }
        match self.merge_slice() {
            Ok(()) => self.has_failed_to_merge = false,
            Err(error) => self.failed_to_merge(&error.to_string()),
        }
    }

    /// It could not merge, because of this.
    pub(super) fn failed_to_merge(&mut self, error: &str) {
        self.has_failed_to_merge = true;
        self.log_failure(self.newest, &format!("cannot merge its journal: {error}"));
    }

    fn merge_slice(&mut self) -> rusqlite::Result<()> {
        let begun = (self.clock)();
        let slice = Duration::from_millis(SLICE_MS);
        let go_on = || (self.clock)().saturating_sub(begun) < slice;
        let unsynced = Unsynced::begin(&self.db)?;
        let transaction = Transaction::new_unchecked(&self.db, TransactionBehavior::Immediate)?;
        let parts = self.hot.write_next(&transaction, go_on)?;
        let oldest = self.count_merge(&transaction, &parts)?;
        let committed = transaction.commit();
        drop(unsynced);
        match &committed {
            Ok(()) => self.merged(&parts, oldest),
            Err(_) => self.journal.iter_mut().for_each(JournalEnd::failed_to_merge),
        }
        committed
    }

    /// Reads what is in the tables, after it has brought there what is wanted. If that cannot be
    /// stored, as on a full disk, it is read all the same.
    fn read_merged(&mut self, now: Timestamp, wanted: &ReadWanted) -> rusqlite::Result<Outcome> {
        if !self.hot.has_unmerged(wanted.rooms()) {
            return wanted.read(&self.db);
        }
        self.end_merge_early();
        let is_lost = self.is_lost();
        let unsynced = Unsynced::begin(&self.db)?;
        let transaction = Transaction::new_unchecked(&self.db, TransactionBehavior::Immediate)?;
        let parts = self.hot.write_rooms(&transaction, wanted.rooms())?;
        let outcome = wanted.read(&transaction)?;
        if is_lost {
            return Ok(outcome);
        }
        let counted = self.count_merge(&transaction, &parts);
        let is_counted = counted.is_ok();
        let merged = counted.and_then(|oldest| transaction.commit().map(|()| oldest));
        drop(unsynced);
        match merged {
            Ok(oldest) => self.merged(&parts, oldest),
            Err(error) => {
                if is_counted {
                    self.journal.iter_mut().for_each(JournalEnd::failed_to_merge);
                }
                self.log_failure(now, &format!("cannot merge its journal: {error}"));
            }
        }
        Ok(outcome)
    }

    /// Counts a transaction that brings rooms into the tables. Returns the oldest row of the journal
    /// that stays.
    fn count_merge(&self, db: &Connection, parts: &[MergedPart]) -> rusqlite::Result<u64> {
        self.mark.as_ref().map_or(Ok(()), |mark| mark.call_for_log(db))?;
        self.hot.count(db, self.commits + 1, parts)
    }

    /// The transaction that was counted is committed. The mark does not say so, as it may not be on
    /// disk yet.
    fn merged(&mut self, parts: &[MergedPart], oldest: u64) {
        self.commits += 1;
        self.hot.merged(self.commits, parts, oldest);
        if let Some(journal) = &mut self.journal {
            journal.merged(oldest, self.hot.unmerged == 0);
        }
        if let Some(held) = &mut self.held {
            held.committed();
        }
    }

    pub(super) fn read(&mut self, command: ReadCommand) -> EndAnswer {
        let ReadCommand { end, ticket, now, wanted } = command;
        let outcome = self.read_merged(now, &wanted).unwrap_or_else(|error| {
            // For places, the damage names its room itself.
            let of_room = match &wanted {
                ReadWanted::Page(query) => format!(" room {}", query.room),
                ReadWanted::Places(..) => String::new(),
            };
            self.log_failure(now, &format!("cannot read{of_room}: {error}"));
            if rows::is_damage(&error) { Outcome::Damaged } else { Outcome::Unavailable }
        });
        self.counters.pages += 1;
        let (weight, failures) = (wanted.weight(), self.failures[end]);
        EndAnswer { told: Told::Answer { ticket, outcome }, weight, is_own: true, failures }
    }

    /// Commits the batch. Every end is told what has changed, and whoever asked what came of it.
    pub(super) fn write(&mut self, batch: Vec<WriteCommand>) -> Vec<Vec<EndAnswer>> {
        let written = self.written(&batch);
        let mut answers = self.no_answers();
        for (command, written) in batch.into_iter().zip(written) {
            let weight = command.record.weight();
            if let Written::Changed(change) = &written {
                for (_, others) in
                    answers.iter_mut().enumerate().filter(|(end, _)| *end != command.end)
                {
                    let told = Told::Changed { change: change.clone(), ticket: None };
                    others.push(EndAnswer { told, weight, is_own: false, failures: 0 });
                }
            }
            let (told, failures) = (written.told(command.ticket), self.failures[command.end]);
            answers[command.end].push(EndAnswer { told, weight, is_own: true, failures });
        }
        answers
    }

    /// Nothing of a batch is stored.
    fn nothing_of(&mut self, batch: &[WriteCommand]) -> Vec<Written> {
        self.counters.failures += 1;
        for (end, failures) in self.failures.iter_mut().enumerate() {
            *failures += u64::from(batch.iter().any(|command| command.end == end));
        }
        vec![Written::Unchanged(Outcome::Unavailable); batch.len()]
    }

    /// What each record has come to, in order. If one cannot be committed for another reason than
    /// damage, none is.
    fn written(&mut self, batch: &[WriteCommand]) -> Vec<Written> {
        let Some(first) = batch.first() else { return Vec::new() };
        let is_for_tail = self.is_for_tail(batch);
        if !is_for_tail || !self.fits_tail(batch) {
            self.end_merge_early();
        }
        if is_for_tail && self.is_tail_lost() || !is_for_tail && self.is_lost() {
            return self.nothing_of(batch);
        }
        if self.hot.is_full() {
            self.end_merge_early();
        }
        while self.hot.is_full() && !self.has_failed_to_merge {
            self.merge();
        }
        if self.hot.is_full() {
            return self.nothing_of(batch);
        }
        let begun = (self.clock)();
        let committed = match self.commit(batch, is_for_tail, false) {
            Err(error) if rows::is_damage(&error) => {
                self.log_failure(first.now, &format!("has damaged data: {error}"));
                self.commit(batch, is_for_tail, true)
            }
            other => other,
        };
        let took = (self.clock)().saturating_sub(begun);
        self.counters.commits.observe(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        self.counters.batches.observe(batch.len() as u64);
        committed.unwrap_or_else(|error| {
            let nothing = self.nothing_of(batch);
            self.log_failure(first.now, &format!("cannot write, nothing was stored: {error}"));
            nothing
        })
    }

    /// Logs a failure, at most one a second.
    fn log_failure(&mut self, now: Timestamp, what: &str) {
        if now.0 >= self.failure_log.0 {
            self.failure_log = Timestamp(now.0.saturating_add(FAILURE_LOG_EVERY_MS));
            let failures = self.counters.failures;
            log::error!(failures; "the store {what}");
        }
    }

    /// Commits records together. If it `spares` the others, a record that meets damaged data is
    /// left out, which costs a savepoint for each record.
    fn commit(
        &mut self,
        batch: &[WriteCommand],
        is_for_tail: bool,
        spares: bool,
    ) -> rusqlite::Result<Vec<Written>> {
        let committed = self.commit_or_leave(batch, is_for_tail, spares);
        if committed.is_err() {
            self.hot.back_to(HotPoint::default());
            self.hot.forget();
        }
        committed
    }

    /// As [`Worker::commit`]. After an error, rooms in memory still have what is not committed.
    fn commit_or_leave(
        &mut self,
        batch: &[WriteCommand],
        is_for_tail: bool,
        spares: bool,
    ) -> rusqlite::Result<Vec<Written>> {
        let mut transaction = self.db.transaction_with_behavior(match is_for_tail {
            true => TransactionBehavior::Deferred,
            false => TransactionBehavior::Immediate,
        })?;
        let changes_before = transaction.total_changes();
        let mut all_written = Vec::with_capacity(batch.len());
        let mut newest = self.newest;
        for WriteCommand { end, now, record, failures_heard, .. } in batch {
            // If the clock was set back, times stand still until it catches up, because one time
            // stands for a position in all logs.
            newest = newest.max(*now);
            // A clock that was ahead for a while must not age revocations.
            let is_revocation = matches!(record, Record::Revoke { .. });
            let now = if is_revocation { *now } else { newest };
            // It was decided in the belief that the records before it would be stored.
            all_written.push(if *failures_heard < self.failures[*end] {
                Written::Unchanged(Outcome::Unavailable)
            } else if spares {
                let point = self.hot.point();
                let savepoint = transaction.savepoint()?;
                match (RecordWriter { db: &savepoint, now }).write(&mut self.hot, record) {
                    Ok(written) => {
                        savepoint.commit()?;
                        written
                    }
                    Err(error) if rows::is_damage(&error) => {
                        self.hot.back_to(point);
                        Written::Unchanged(Outcome::Damaged)
                    }
                    Err(error) => return Err(error),
                }
            } else {
                RecordWriter { db: &transaction, now }.write(&mut self.hot, record)?
            });
        }
        // A batch that changes nothing costs no write, and is no commit.
        let is_in_tables = transaction.total_changes() != changes_before;
        let has_changed = is_in_tables || !self.hot.added.is_empty();
        let n = self.commits + u64::from(has_changed);
        let added = self.hot.added.take();
        let has_place = self
            .journal
            .as_ref()
            .is_some_and(|journal| journal.takes_records() && journal.has_space(added.len()));
        let is_record = is_for_tail && has_place && has_changed && !is_in_tables;
        let mut oldest = n;
        match self.journal.as_mut().filter(|_| has_changed) {
            Some(journal) if is_record => {
                transaction.commit()?;
                journal.append(n, &added)?;
            }
            Some(journal) => {
                // It was to go to the tail, and not all files were checked.
                let now = (self.clock)();
                if is_for_tail && self.held.as_mut().is_some_and(|held| held.is_lost(now)) {
                    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR);
                    return Err(rusqlite::Error::SqliteFailure(code, None));
                }
                if let Some(mark) = &self.mark {
                    mark.call_for_log(&transaction)?;
                }
                let needed = if self.hot.needs_rows() { self.hot.oldest } else { n };
                oldest = journal.commit(transaction, n, needed, &added)?;
            }
            None => transaction.commit()?,
        }
        self.newest = newest;
        self.hot.committed(n);
        if has_changed {
            if !self.hot.needs_rows() {
                self.hot.oldest = oldest;
            }
            self.committed(n, is_record, &mut all_written);
        }
        Ok(all_written)
    }

    /// What was written is committed: with this number, to the tail or not.
    fn committed(&mut self, n: u64, is_record: bool, all_written: &mut [Written]) {
        self.commits = self.journal.as_ref().map_or(n, |journal| journal.newest().max(n));
        if let Some(held) = &mut self.held {
            if !is_record {
                held.committed();
            }
            if let Some(tail) = self.journal.as_ref().and_then(JournalEnd::tail) {
                held.has_tail(tail);
            }
        }
        if let Some(mark) = &mut self.mark {
            mark.committed(&self.db, n, &heads_of(all_written), |log| self.hot.is_late(log));
        }
        for written in all_written {
            if let Written::Changed(StoreChange::Room { room, version, what }) = written {
                let newest = self.versions.entry(room.clone()).or_insert(0);
                *newest += 1;
                *version = *newest;
                if what.is_last() {
                    self.versions.remove(room);
                }
            }
        }
    }
}

/// While it is there, a commit does not wait until it is on disk.
struct Unsynced<'a>(&'a Connection);

impl Unsynced<'_> {
    fn begin(db: &Connection) -> rusqlite::Result<Unsynced<'_>> {
        schema::set_synced(db, false)?;
        Ok(Unsynced(db))
    }
}

impl Drop for Unsynced<'_> {
    fn drop(&mut self) {
        // Without this, what is acknowledged would not be on disk: then the thread ends, and the
        // server says so.
        let set = schema::set_synced(self.0, true);
        assert!(set.is_ok() || std::thread::panicking(), "commits are not synced: {set:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Authority, Rights, UserId};
    use crate::store::sums;

    #[test]
    fn nothing_is_remembered_of_rooms_that_are_gone() {
        let mut db = Connection::open_in_memory().unwrap();
        sums::add_row_sum(&db).unwrap();
        schema::prepare(&mut db, "epoch").unwrap().unwrap();
        let mut worker = Worker {
            db,
            clock: Box::new(|| Duration::ZERO),
            counters: StoreCounters::default(),
            failures: vec![0],
            versions: HashMap::new(),
            hot: HotRooms::default(),
            commits: 0,
            has_failed_to_merge: false,
            has_rested: false,
            newest: Timestamp(0),
            failure_log: Timestamp(0),
            held: None,
            journal: None,
            mark: None,
            ends: Arc::new(Ends::new(vec![Box::new(|| {})])),
            reads: VecDeque::new(),
            has_worked: false,
            merge_thread: None,
            merge_db: None,
            merges_alone_until: Duration::ZERO,
        };
        let mut write = |record| {
            let (end, ticket, now) = (0, 1, Timestamp(1));
            let command = WriteCommand { end, ticket, now, record, failures_heard: 0 };
            worker.commit(&[command], false, false).unwrap();
            worker.versions.len()
        };
        let (room, user) = (RoomId::parse("tea").unwrap(), UserId::parse("ada").unwrap());
        let by = Authority { user: user.clone(), rights: Rights::User };
        assert_eq!(write(Record::Join { room: room.clone(), user, by: None }), 1);
        assert_eq!(write(Record::End { room: room.clone(), by }), 1);
        assert_eq!(write(Record::Trim { room, before: 2, older_than: Timestamp(0) }), 0);
    }
}
