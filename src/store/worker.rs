//! The store's thread: takes the commands that wait, commits them together, and answers.

use super::mark::{Mark, heads_of};
use super::open_files::OpenFiles;
use super::write::RecordWriter;
use super::{loss, pages, rows, seek};
use crate::base::limits::{
    BATCH_RECORDS_MAX, FAILURE_LOG_EVERY_MS, FILES_CHECKED_MS, READ_WEIGHT_SHARE, READS_PER_BATCH,
    SEEK_WEIGHT,
};
use crate::base::{
    Outcome, Query, Record, RoomId, StoreChange, StoreCounters, Timestamp, Told, Written,
};
use rusqlite::{Connection, TransactionBehavior};
use std::collections::{HashMap, VecDeque};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A command to the thread.
#[derive(Debug)]
pub(super) enum StoreCommand {
    Write(WriteCommand),
    Read(ReadCommand),
}

/// A record to commit.
#[derive(Debug)]
pub(super) struct WriteCommand {
    pub(super) ticket: u64,
    pub(super) now: Timestamp,
    pub(super) record: Record,
    /// How many failed batches were known when this record was decided.
    pub(super) failures_heard: u64,
}

/// Something to read.
#[derive(Debug)]
pub(super) struct ReadCommand {
    pub(super) ticket: u64,
    pub(super) now: Timestamp,
    pub(super) wanted: ReadWanted,
}

#[derive(Debug)]
pub(super) enum ReadWanted {
    Page(Query),
    /// The last entries of some rooms before a time.
    Places(Vec<RoomId>, Timestamp),
}

impl StoreCommand {
    pub(super) fn weight(&self) -> usize {
        match self {
            StoreCommand::Write(write) => write.record.weight(),
            StoreCommand::Read(read) => read.wanted.weight(),
        }
    }
}

impl ReadWanted {
    fn weight(&self) -> usize {
        match self {
            ReadWanted::Page(query) => query.bytes_max / READ_WEIGHT_SHARE,
            ReadWanted::Places(rooms, _) => rooms.len() * SEEK_WEIGHT,
        }
    }
}

/// An answer of the thread.
#[derive(Debug)]
pub(super) struct WorkerAnswer {
    pub(super) told: Told,
    /// The weight of the command, see [`StoreCommand::weight`].
    pub(super) weight: usize,
    /// How many batches have failed so far.
    pub(super) failures: u64,
}

/// What the thread has answered and the reactor has not taken yet.
#[derive(Debug, Default)]
pub(super) struct WorkerOutput {
    pub(super) answers: Vec<WorkerAnswer>,
    pub(super) counters: StoreCounters,
}

pub(super) struct Worker {
    pub(super) db: Connection,
    pub(super) commands: Receiver<StoreCommand>,
    pub(super) output: Arc<Mutex<WorkerOutput>>,
    /// The time since a fixed moment; only differences count.
    pub(super) clock: Box<dyn Fn() -> Duration + Send>,
    pub(super) counters: StoreCounters,
    /// The newest version of each room that has changed since the store was opened, and can change
    /// again.
    pub(super) versions: HashMap<RoomId, u64>,
    /// The time of the newest entry. The next entry of any room is not dated earlier.
    pub(super) newest: Timestamp,
    /// Until then no failure is logged.
    pub(super) failure_log: Timestamp,
    /// Its files; `None` in memory.
    pub(super) held: Option<OpenFiles>,
    /// The count of its commits outside its log.
    pub(super) mark: Option<Mark>,
    /// Wakes the reactor. It is the last field, so that the others are closed when it tells the
    /// end.
    pub(super) wake: WakeAtEnd,
}

/// Wakes the reactor, also when the thread ends, however it ends. The reactor then looks whether
/// that was meant.
pub(super) struct WakeAtEnd(pub(super) Box<dyn Fn() + Send>);

impl Drop for WakeAtEnd {
    fn drop(&mut self) {
        (self.0)();
    }
}

impl Worker {
    /// Works until the other end of the commands is gone, and does what waited by then.
    pub(super) fn run(mut self) {
        let mut batch = Vec::new();
        let mut reads = VecDeque::new();
        loop {
            // While reads wait, it does not wait for more commands.
            let first = if reads.is_empty() { self.next() } else { self.commands.try_recv().ok() };
            if first.is_none() && reads.is_empty() {
                break;
            }
            // What came during the last commit makes up the next batch.
            let more = std::iter::from_fn(|| self.commands.try_recv().ok());
            for command in first.into_iter().chain(more).take(BATCH_RECORDS_MAX) {
                match command {
                    StoreCommand::Write(write) => batch.push(write),
                    StoreCommand::Read(read) => reads.push_back(read),
                }
            }
            // Records first, answered at once, so that no message waits for others' pages. A page
            // shows what was committed of all that was asked for before it.
            let answers = self.write(&mut batch);
            self.answer(answers);
            let count = reads.len().min(READS_PER_BATCH);
            let pages = reads.drain(..count).map(|read| self.read(read)).collect();
            self.answer(pages);
        }
        // A clean end leaves one file: the write-ahead log goes into the database.
        if let Err(error) = loss::call_for_log(&self.db, false) {
            log::warn!("that the data need no log could not be said: {error}");
        }
        if let Err(error) = self.db.pragma_query(None, "wal_checkpoint", |_| Ok(())) {
            log::warn!("the write-ahead log could not be checkpointed: {error}");
        }
    }

    /// Hands answers to the reactor, with the counts until now.
    fn answer(&self, new: Vec<WorkerAnswer>) {
        if !new.is_empty() {
            let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
            output.answers.extend(new);
            output.counters.clone_from(&self.counters);
            drop(output);
            (self.wake.0)();
        }
    }

    /// Waits for a command, and checks the files meanwhile; `None` at the end.
    fn next(&mut self) -> Option<StoreCommand> {
        let Some(held) = &mut self.held else { return self.commands.recv().ok() };
        let every = Duration::from_millis(FILES_CHECKED_MS);
        loop {
            match self.commands.recv_timeout(every) {
                Ok(command) => return Some(command),
                Err(RecvTimeoutError::Timeout) => {
                    held.is_lost();
                }
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        }
    }

    fn read(&mut self, command: ReadCommand) -> WorkerAnswer {
        let ReadCommand { ticket, now, wanted } = command;
        let read = match &wanted {
            ReadWanted::Page(query) => pages::read(&self.db, query),
            ReadWanted::Places(rooms, since) => seek::seek(&self.db, rooms, *since),
        };
        let outcome = read.unwrap_or_else(|error| {
            // For places, the damage names its room itself.
            let of_room = match &wanted {
                ReadWanted::Page(query) => format!(" room {}", query.room),
                ReadWanted::Places(..) => String::new(),
            };
            self.log_failure(now, &format!("cannot read{of_room}: {error}"));
            if rows::is_damage(&error) { Outcome::Damaged } else { Outcome::Unavailable }
        });
        self.counters.pages += 1;
        let (weight, failures) = (wanted.weight(), self.counters.failures);
        WorkerAnswer { told: Told::Answer { ticket, outcome }, weight, failures }
    }

    fn write(&mut self, batch: &mut Vec<WriteCommand>) -> Vec<WorkerAnswer> {
        let written = self.written(batch);
        let failures = self.counters.failures;
        let answers = batch.drain(..).zip(written).map(|(command, written)| {
            let (told, weight) = (written.told(command.ticket), command.record.weight());
            WorkerAnswer { told, weight, failures }
        });
        answers.collect()
    }

    /// What each record has come to, in order. If one cannot be committed for another reason than
    /// damage, none is.
    fn written(&mut self, batch: &[WriteCommand]) -> Vec<Written> {
        let Some(first) = batch.first() else { return Vec::new() };
        let nothing = || vec![Written::Unchanged(Outcome::Unavailable); batch.len()];
        if self.held.as_mut().is_some_and(OpenFiles::is_lost) {
            self.counters.failures += 1;
            return nothing();
        }
        let begun = (self.clock)();
        let committed = match self.commit(batch, false) {
            Err(error) if rows::is_damage(&error) => {
                self.log_failure(first.now, &format!("has damaged data: {error}"));
                self.commit(batch, true)
            }
            other => other,
        };
        let took = (self.clock)().saturating_sub(begun);
        self.counters.commits.observe(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        self.counters.batches.observe(batch.len() as u64);
        committed.unwrap_or_else(|error| {
            self.counters.failures += 1;
            self.log_failure(first.now, &format!("cannot write, nothing was stored: {error}"));
            nothing()
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
    fn commit(&mut self, batch: &[WriteCommand], spares: bool) -> rusqlite::Result<Vec<Written>> {
        let failures = self.counters.failures;
        let mut transaction = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let changes_before = transaction.total_changes();
        let mut all_written = Vec::with_capacity(batch.len());
        let mut newest = self.newest;
        for WriteCommand { now, record, failures_heard, .. } in batch {
            // If the clock was set back, times stand still until it catches up, because one time
            // stands for a position in all logs.
            newest = newest.max(*now);
            // A clock that was ahead for a while must not age revocations.
            let is_revocation = matches!(record, Record::Revoke { .. });
            let now = if is_revocation { *now } else { newest };
            // It was decided in the belief that the records before it would be stored.
            all_written.push(if *failures_heard < failures {
                Written::Unchanged(Outcome::Unavailable)
            } else if spares {
                let savepoint = transaction.savepoint()?;
                match (RecordWriter { db: &savepoint, now }).write(record) {
                    Ok(written) => {
                        savepoint.commit()?;
                        written
                    }
                    Err(error) if rows::is_damage(&error) => Written::Unchanged(Outcome::Damaged),
                    Err(error) => return Err(error),
                }
            } else {
                RecordWriter { db: &transaction, now }.write(record)?
            });
        }
        // A batch that changes nothing costs no write, and is no commit.
        let has_changed = transaction.total_changes() != changes_before;
        if let Some(mark) = self.mark.as_ref().filter(|_| has_changed) {
            mark.count(&transaction)?;
        }
        transaction.commit()?;
        self.newest = newest;
        if let Some(held) = &mut self.held {
            held.committed();
        }
        if let Some(mark) = self.mark.as_mut().filter(|_| has_changed) {
            mark.committed(&self.db, &heads_of(&all_written));
        }
        for written in &mut all_written {
            if let Written::Changed(StoreChange::Room { room, version, what }) = written {
                let newest = self.versions.entry(room.clone()).or_insert(0);
                *newest += 1;
                *version = *newest;
                if what.is_last() {
                    self.versions.remove(room);
                }
            }
        }
        Ok(all_written)
    }
}

#[cfg(test)]
mod tests {
    use super::super::schema;
    use super::*;
    use crate::base::{Authority, Rights, UserId};
    use std::sync::mpsc::channel;

    #[test]
    fn nothing_is_remembered_of_rooms_that_are_gone() {
        let mut db = Connection::open_in_memory().unwrap();
        rows::add_row_sum(&db).unwrap();
        schema::prepare(&mut db, "epoch").unwrap().unwrap();
        let mut worker = Worker {
            db,
            commands: channel().1,
            output: Arc::default(),
            clock: Box::new(|| Duration::ZERO),
            counters: StoreCounters::default(),
            versions: HashMap::new(),
            newest: Timestamp(0),
            failure_log: Timestamp(0),
            held: None,
            mark: None,
            wake: WakeAtEnd(Box::new(|| {})),
        };
        let mut write = |record| {
            let command = WriteCommand { ticket: 1, now: Timestamp(1), record, failures_heard: 0 };
            worker.commit(&[command], false).unwrap();
            worker.versions.len()
        };
        let (room, user) = (RoomId::parse("tea").unwrap(), UserId::parse("ada").unwrap());
        let by = Authority { user: user.clone(), rights: Rights::User };
        assert_eq!(write(Record::Join { room: room.clone(), user, by: None }), 1);
        assert_eq!(write(Record::End { room: room.clone(), by }), 1);
        assert_eq!(write(Record::Trim { room, before: 2, older_than: Timestamp(0) }), 0);
    }
}
