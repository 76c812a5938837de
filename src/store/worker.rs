//! The store's thread: takes what waits, commits it together, answers.

use super::queries;
use crate::base::limits::BATCH_RECORDS_MAX;
use crate::base::{Outcome, Query, Record, Timestamp};
use rusqlite::{Connection, TransactionBehavior};
use std::sync::mpsc::{Receiver, TryRecvError};

/// What the thread is asked.
#[derive(Debug)]
pub(super) enum Command {
    Write {
        ticket: u64,
        now: Timestamp,
        record: Record,
        /// How many failed batches whoever decided this record had heard of.
        failures_heard: u64,
    },
    Read {
        ticket: u64,
        query: Query,
    },
}

impl Command {
    pub(super) fn weight(&self) -> usize {
        match self {
            Command::Write { record, .. } => record.weight(),
            Command::Read { .. } => 0,
        }
    }
}

/// What the thread answers.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) ticket: u64,
    pub(super) outcome: Outcome,
    /// Of the command, see [`Command::weight`].
    pub(super) weight: usize,
    /// How many batches have failed until now.
    pub(super) failures: u64,
}

pub(super) struct Worker {
    pub(super) db: Connection,
    pub(super) commands: Receiver<Command>,
    /// Hands answers to the reactor and wakes it.
    pub(super) answer: Box<dyn Fn(Vec<Answer>) + Send>,
    failures: u64,
}

impl Worker {
    pub(super) fn new(
        db: Connection,
        commands: Receiver<Command>,
        answer: Box<dyn Fn(Vec<Answer>) + Send>,
    ) -> Worker {
        Worker { db, commands, answer, failures: 0 }
    }

    /// Works until the other end of the commands is gone; what waited by then is done.
    pub(super) fn run(mut self) {
        let mut batch = Vec::new();
        while let Ok(first) = self.commands.recv() {
            batch.push(first);
            // Whatever has come while the last batch was committed makes up the next one.
            while batch.len() < BATCH_RECORDS_MAX {
                match self.commands.try_recv() {
                    Ok(command) => batch.push(command),
                    Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
                }
            }
            let answers = self.work(&mut batch);
            (self.answer)(answers);
        }
        // A clean end leaves one file: the write-ahead log goes into the database.
        if let Err(error) = self.db.pragma_query(None, "wal_checkpoint", |_| Ok(())) {
            log::warn!("the write-ahead log could not be checkpointed: {error}");
        }
    }

    /// Writes first, then reads: a page shows what is committed, that of this batch included.
    fn work(&mut self, batch: &mut Vec<Command>) -> Vec<Answer> {
        let weights: Vec<usize> = batch.iter().map(Command::weight).collect();
        let mut answers = Vec::with_capacity(batch.len());
        let outcomes = self.write(batch);
        let mut written = outcomes.into_iter();
        let mut reads = Vec::new();
        for (command, weight) in batch.drain(..).zip(weights) {
            match command {
                Command::Write { ticket, .. } => {
                    let outcome = written.next().unwrap_or(Outcome::Unavailable);
                    answers.push(Answer { ticket, outcome, weight, failures: self.failures });
                }
                Command::Read { ticket, query } => reads.push((ticket, query)),
            }
        }
        for (ticket, query) in reads {
            let outcome = match queries::read(&self.db, &query) {
                Ok(entries) => Outcome::Page(entries),
                Err(error) => {
                    log::error!("the store cannot read room {}: {error}", query.room);
                    Outcome::Unavailable
                }
            };
            answers.push(Answer { ticket, outcome, weight: 0, failures: self.failures });
        }
        answers
    }

    /// One outcome for each record, in order. If one cannot be committed, none is.
    fn write(&mut self, batch: &[Command]) -> Vec<Outcome> {
        let records: Vec<_> = batch
            .iter()
            .filter_map(|command| match command {
                Command::Write { now, record, failures_heard, .. } => {
                    Some((*now, record, *failures_heard))
                }
                Command::Read { .. } => None,
            })
            .collect();
        if records.is_empty() {
            return Vec::new();
        }
        match self.commit(&records) {
            Ok(outcomes) => outcomes,
            Err(error) => {
                self.failures += 1;
                log::error!(records = records.len(); "the store cannot write, nothing was stored: {error}");
                vec![Outcome::Unavailable; records.len()]
            }
        }
    }

    fn commit(&mut self, records: &[(Timestamp, &Record, u64)]) -> rusqlite::Result<Vec<Outcome>> {
        let failures = self.failures;
        let transaction = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut outcomes = Vec::with_capacity(records.len());
        for (now, record, failures_heard) in records {
            // It was decided in the belief that what is before it would be stored.
            outcomes.push(if *failures_heard < failures {
                Outcome::Unavailable
            } else {
                queries::write(&transaction, *now, record)?
            });
        }
        transaction.commit()?;
        Ok(outcomes)
    }
}
