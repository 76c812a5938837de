//! The store's thread: takes what waits, commits it together, answers.

use super::held::OpenFiles;
use super::mark::{Mark, heads_of};
use super::write::RecordWriter;
use super::{lost, pages, rows, seek};
use crate::base::limits::{
    BATCH_RECORDS_MAX, FAILURE_LOG_EVERY_MS, FILES_LOOKED_AT_MS, READ_WEIGHT_SHARE,
    READS_PER_BATCH, SEEK_WEIGHT,
};
use crate::base::{Outcome, Query, Record, RoomId, StoreCounters, Timestamp};
use rusqlite::{Connection, TransactionBehavior};
use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

/// What the thread is asked.
#[derive(Debug)]
pub(super) enum StoreCommand {
    Write {
        ticket: u64,
        now: Timestamp,
        record: Record,
        /// How many failed batches whoever decided this record had heard of.
        failures_heard: u64,
    },
    Read {
        ticket: u64,
        now: Timestamp,
        query: Query,
    },
    Seek {
        ticket: u64,
        now: Timestamp,
        rooms: Vec<RoomId>,
        since: Timestamp,
    },
}

impl StoreCommand {
    pub(super) fn weight(&self) -> usize {
        match self {
            StoreCommand::Write { record, .. } => record.weight(),
            StoreCommand::Read { query, .. } => query.bytes_max / READ_WEIGHT_SHARE,
            StoreCommand::Seek { rooms, .. } => rooms.len() * SEEK_WEIGHT,
        }
    }
}

/// What the thread answers.
#[derive(Debug)]
pub(super) struct WorkerAnswer {
    pub(super) ticket: u64,
    pub(super) outcome: Outcome,
    /// Of the command, see [`Command::weight`].
    pub(super) weight: usize,
    /// How many batches have failed until now.
    pub(super) failures: u64,
}

type AnswerFn = dyn Fn(Vec<WorkerAnswer>, &StoreCounters) + Send;

pub(super) struct Worker {
    pub(super) db: Connection,
    pub(super) commands: Receiver<StoreCommand>,
    /// Hands answers to the reactor, with what was counted by then, and wakes it.
    pub(super) answer: Box<AnswerFn>,
    /// How long ago it began; only differences count.
    clock: Box<dyn Fn() -> Duration + Send>,
    counters: StoreCounters,
    /// The time of the newest entry: that of the next one is no earlier, in whichever room.
    newest: Timestamp,
    /// When the next failure is logged.
    failure_log: Timestamp,
    /// Its files; none of a store in memory.
    held: Option<OpenFiles>,
    /// What is said of its commits outside of its log.
    mark: Option<Mark>,
}

impl Worker {
    pub(super) fn new(
        db: Connection,
        commands: Receiver<StoreCommand>,
        answer: Box<AnswerFn>,
        clock: Box<dyn Fn() -> Duration + Send>,
        newest: Timestamp,
        (held, mark): (Option<OpenFiles>, Option<Mark>),
    ) -> Worker {
        let counters = StoreCounters::default();
        let failure_log = Timestamp(i64::MIN);
        Worker { db, commands, answer, clock, counters, newest, failure_log, held, mark }
    }

    /// Works until the other end of the commands is gone; what waited by then is done.
    pub(super) fn run(mut self) {
        let mut batch = Vec::new();
        let mut reads = VecDeque::new();
        loop {
            // While pages are still to be read it does not wait for more to do.
            let first = if reads.is_empty() { self.next() } else { self.commands.try_recv().ok() };
            if first.is_none() && reads.is_empty() {
                break;
            }
            // Whatever has come while the last batch was committed makes up the next one.
            let more = std::iter::from_fn(|| self.commands.try_recv().ok());
            for command in first.into_iter().chain(more).take(BATCH_RECORDS_MAX) {
                match command {
                    StoreCommand::Write { .. } => batch.push(command),
                    StoreCommand::Read { .. } | StoreCommand::Seek { .. } => {
                        reads.push_back(command)
                    }
                }
            }
            // Records first, and answered at once: nobody's message waits for others' pages. A page
            // shows what was asked for before it, and is committed.
            let answers = self.write(&mut batch);
            if !answers.is_empty() {
                (self.answer)(answers, &self.counters);
            }
            let count = reads.len().min(READS_PER_BATCH);
            let pages: Vec<WorkerAnswer> =
                reads.drain(..count).map(|read| self.read(read)).collect();
            if !pages.is_empty() {
                (self.answer)(pages, &self.counters);
            }
        }
        // A clean end leaves one file: the write-ahead log goes into the database.
        if let Err(error) = lost::call_for_log(&self.db, false) {
            log::warn!("that the data need no log could not be said: {error}");
        }
        if let Err(error) = self.db.pragma_query(None, "wal_checkpoint", |_| Ok(())) {
            log::warn!("the write-ahead log could not be checkpointed: {error}");
        }
    }

    /// Waits for something to do, and looks after the files meanwhile; none at the end.
    fn next(&mut self) -> Option<StoreCommand> {
        let Some(held) = &mut self.held else { return self.commands.recv().ok() };
        let every = Duration::from_millis(FILES_LOOKED_AT_MS);
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

    fn read(&mut self, command: StoreCommand) -> WorkerAnswer {
        let weight = command.weight();
        let (ticket, now, room, read) = match command {
            StoreCommand::Read { ticket, now, query } => {
                let page = pages::read(&self.db, &query);
                (ticket, now, Some(query.room), page)
            }
            StoreCommand::Seek { ticket, now, rooms, since } => {
                (ticket, now, None, seek::seek(&self.db, &rooms, since))
            }
            StoreCommand::Write { .. } => unreachable!("records are not among the reads"),
        };
        let outcome = match read {
            Ok(outcome) => outcome,
            Err(error) => {
                // Where a place was sought the damage names its room itself.
                let room = room.map_or(String::new(), |room| format!(" room {room}"));
                self.log_failure(now, &format!("cannot read{room}: {error}"));
                if rows::is_damage(&error) { Outcome::Damaged } else { Outcome::Unavailable }
            }
        };
        self.counters.pages += 1;
        WorkerAnswer { ticket, outcome, weight, failures: self.counters.failures }
    }

    fn write(&mut self, batch: &mut Vec<StoreCommand>) -> Vec<WorkerAnswer> {
        let outcomes = self.outcomes(batch);
        let failures = self.counters.failures;
        let answers = batch.drain(..).zip(outcomes).map(|(command, outcome)| {
            let weight = command.weight();
            let (StoreCommand::Write { ticket, .. }
            | StoreCommand::Read { ticket, .. }
            | StoreCommand::Seek { ticket, .. }) = command;
            WorkerAnswer { ticket, outcome, weight, failures }
        });
        answers.collect()
    }

    /// One outcome for each record, in order. If one cannot be committed, none is.
    fn outcomes(&mut self, batch: &[StoreCommand]) -> Vec<Outcome> {
        let records: Vec<_> = batch
            .iter()
            .filter_map(|command| match command {
                StoreCommand::Write { now, record, failures_heard, .. } => {
                    Some((*now, record, *failures_heard))
                }
                StoreCommand::Read { .. } | StoreCommand::Seek { .. } => None,
            })
            .collect();
        if records.is_empty() {
            return Vec::new();
        }
        if self.held.as_mut().is_some_and(OpenFiles::is_lost) {
            self.counters.failures += 1;
            return vec![Outcome::Unavailable; records.len()];
        }
        let begun = (self.clock)();
        let committed = match self.commit(&records, false) {
            Err(error) if rows::is_damage(&error) => {
                self.log_failure(records[0].0, &format!("has damaged data: {error}"));
                self.commit(&records, true)
            }
            other => other,
        };
        let took = (self.clock)().saturating_sub(begun);
        self.counters.commits.observe(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        self.counters.batches.observe(records.len() as u64);
        committed.unwrap_or_else(|error| {
            self.counters.failures += 1;
            self.log_failure(records[0].0, &format!("cannot write, nothing was stored: {error}"));
            vec![Outcome::Unavailable; records.len()]
        })
    }

    /// Logs a failure, but no more than one a second.
    fn log_failure(&mut self, now: Timestamp, what: &str) {
        if now.0 >= self.failure_log.0 {
            self.failure_log = Timestamp(now.0.saturating_add(FAILURE_LOG_EVERY_MS));
            let failures = self.counters.failures;
            log::error!(failures; "the store {what}");
        }
    }

    /// Commits records together. If it `spares` the others, one that meets damaged data is left
    /// out, which costs a savepoint for each.
    fn commit(
        &mut self,
        records: &[(Timestamp, &Record, u64)],
        spares: bool,
    ) -> rusqlite::Result<Vec<Outcome>> {
        let failures = self.counters.failures;
        let mut transaction = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let changes_before = transaction.total_changes();
        let mut outcomes = Vec::with_capacity(records.len());
        let mut newest = self.newest;
        for (now, record, failures_heard) in records {
            // A clock that was set back is waited for: one time stands for a place in all logs.
            newest = newest.max(*now);
            // One that was ahead for a while ages no revocation.
            let is_revocation = matches!(record, Record::Revoke { .. });
            let now = if is_revocation { *now } else { newest };
            // It was decided in the belief that what is before it would be stored.
            outcomes.push(if *failures_heard < failures {
                Outcome::Unavailable
            } else if spares {
                let savepoint = transaction.savepoint()?;
                match (RecordWriter { db: &savepoint, now }).write(record) {
                    Ok(outcome) => {
                        savepoint.commit()?;
                        outcome
                    }
                    Err(error) if rows::is_damage(&error) => Outcome::Damaged,
                    Err(error) => return Err(error),
                }
            } else {
                RecordWriter { db: &transaction, now }.write(record)?
            });
        }
        // One that changes nothing costs no write, and is no commit.
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
            let batch = records.iter().map(|(_, record, _)| *record).zip(&outcomes);
            mark.committed(&self.db, &heads_of(batch));
        }
        Ok(outcomes)
    }
}
