//! A store as slow, as unreliable and as durable as its driver says: what was committed stays, what
//! waits is gone with the server.

use super::ledger::Ledger;
use super::model_store::ModelStore;
use parlor::base::limits::READS_PER_BATCH;
use parlor::base::{Outcome, Query, Record, RoomId, Snapshot, Timestamp, Told, Written};
use parlor::store::{NotTaken, RecordStore};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

#[derive(Debug)]
enum Command {
    Write { ticket: u64, now: Timestamp, record: Record, failures_heard: u64 },
    Read { ticket: u64, query: Query },
    Seek { ticket: u64, rooms: Vec<RoomId>, since: Timestamp },
}

/// The disk, and what waits for it.
#[derive(Debug)]
pub(crate) struct Shelf {
    disk: ModelStore,
    pub(crate) ledger: Ledger,
    /// The server's turns, counted over all of its lives.
    pub(crate) turn: u64,
    commands: VecDeque<Command>,
    reads: VecDeque<Command>,
    told: Vec<(Told, Option<Record>)>,
    failures: u64,
    failures_heard: u64,
    /// It takes no more than this.
    pub(crate) queue_max: usize,
    pub(crate) is_full: bool,
    is_tracing: bool,
}

impl Shelf {
    pub(crate) fn new(epoch: &str, is_tracing: bool) -> Shelf {
        Shelf {
            disk: ModelStore::new(epoch),
            ledger: Ledger::default(),
            turn: 0,
            commands: VecDeque::new(),
            reads: VecDeque::new(),
            told: Vec::new(),
            failures: 0,
            failures_heard: 0,
            queue_max: usize::MAX,
            is_full: false,
            is_tracing,
        }
    }

    pub(crate) fn has_work(&self) -> bool {
        !self.commands.is_empty() || !self.reads.is_empty()
    }

    /// Takes up to `most` commands and does what the real one's thread does with them: records in
    /// one transaction, then pages. Tells whether a batch has failed.
    pub(crate) fn work(&mut self, most: usize, fails: bool) -> bool {
        let mut batch = Vec::new();
        for _ in 0..most {
            match self.commands.pop_front() {
                Some(write @ Command::Write { .. }) => batch.push(write),
                Some(read @ (Command::Read { .. } | Command::Seek { .. })) => {
                    self.reads.push_back(read)
                }
                None => break,
            }
        }
        let fails = !batch.is_empty() && (fails || self.is_full);
        self.failures += u64::from(fails);
        for command in batch {
            let Command::Write { ticket, now, record, failures_heard } = command else { continue };
            // It was decided in the belief that what is before it would be stored.
            let written = if fails || failures_heard < self.failures {
                Outcome::Unavailable.into()
            } else {
                let written = self.disk.write(now, &record);
                if let Written::Changed(change) = &written {
                    self.ledger.committed(change);
                }
                written
            };
            if self.is_tracing {
                println!("{:>29}: {record:?}\n{:>31}{written:?}", "store", "");
            }
            self.told.push((written.told(ticket), Some(record)));
        }
        let count = self.reads.len().min(READS_PER_BATCH);
        for command in self.reads.drain(..count).collect::<Vec<_>>() {
            let (ticket, outcome) = match command {
                Command::Read { ticket, query } => (ticket, self.disk.read(&query)),
                Command::Seek { ticket, rooms, since } => (ticket, self.disk.seek(&rooms, since)),
                Command::Write { .. } => continue,
            };
            let outcome = if fails { Outcome::Unavailable } else { outcome };
            self.told.push((Told::Answer { ticket, outcome }, None));
        }
        fails
    }

    /// The server is gone: what waits is, too. What was committed is there.
    pub(crate) fn crash(&mut self) {
        self.disk.restarted();
        self.commands.clear();
        self.reads.clear();
        self.told.clear();
        self.ledger.restarted(self.turn + 1);
        (self.failures, self.failures_heard) = (0, 0);
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        self.disk.snapshot()
    }
}

/// The server's end of it.
#[derive(Debug)]
pub(crate) struct SimulatedStore(pub(crate) Rc<RefCell<Shelf>>);

impl RecordStore for SimulatedStore {
    fn write(&mut self, ticket: u64, now: Timestamp, record: Record) -> Result<(), NotTaken> {
        let shelf = &mut *self.0.borrow_mut();
        if shelf.commands.len() >= shelf.queue_max {
            return Err(NotTaken::Overloaded);
        }
        shelf.ledger.decided(&record);
        let failures_heard = shelf.failures_heard;
        shelf.commands.push_back(Command::Write { ticket, now, record, failures_heard });
        Ok(())
    }

    fn read(&mut self, ticket: u64, _: Timestamp, query: Query) -> Result<(), NotTaken> {
        let shelf = &mut *self.0.borrow_mut();
        if shelf.commands.len() >= shelf.queue_max {
            return Err(NotTaken::Overloaded);
        }
        shelf.commands.push_back(Command::Read { ticket, query });
        Ok(())
    }

    fn seek(
        &mut self,
        ticket: u64,
        _: Timestamp,
        rooms: Vec<RoomId>,
        since: Timestamp,
    ) -> Result<(), NotTaken> {
        let shelf = &mut *self.0.borrow_mut();
        if shelf.commands.len() >= shelf.queue_max {
            return Err(NotTaken::Overloaded);
        }
        shelf.commands.push_back(Command::Seek { ticket, rooms, since });
        Ok(())
    }

    fn told(&mut self) -> Vec<Told> {
        let shelf = &mut *self.0.borrow_mut();
        shelf.failures_heard = shelf.failures;
        let mut all_told = Vec::new();
        for (told, record) in std::mem::take(&mut shelf.told) {
            if let Some(record) = record {
                shelf.ledger.heard(&told, &record, shelf.turn);
            }
            all_told.push(told);
        }
        all_told
    }

    fn has_died(&self) -> bool {
        false
    }

    fn close(&mut self) {}
}
