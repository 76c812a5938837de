//! A store as slow, as unreliable and as durable as its driver says: what was committed stays, what
//! waits is gone with the server.

use super::ledger::Ledger;
use super::model_store::ModelStore;
use parlor::base::limits::{HELPED_MAX, READS_PER_BATCH};
use parlor::base::{News, Outcome, Query, Record, RoomId, Snapshot, Timestamp, Told, Written};
use parlor::store::{NotTaken, RecordStore};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Debug)]
enum Command {
    Write { end: usize, ticket: u64, now: Timestamp, record: Record, failures_heard: u64 },
    Read { end: usize, ticket: u64, query: Query },
    Seek { end: usize, ticket: u64, rooms: Vec<RoomId>, since: Timestamp },
}

impl Command {
    fn is_little(&self) -> bool {
        match self {
            // That to a user may begin a room.
            Command::Write { record: Record::Message { to: Some(_), .. }, .. } => false,
            Command::Write { record, .. } => record.is_frequent(),
            Command::Read { .. } | Command::Seek { .. } => false,
        }
    }
}

/// What one of the server's hubs has to do with it.
#[derive(Debug, Default)]
pub(crate) struct End {
    /// When this hub heard of what.
    pub(crate) ledger: Ledger,
    told: Vec<(Told, Option<Record>, u64)>,
    /// How many changes and news it was told.
    count: Arc<AtomicU64>,
    failures: u64,
    failures_heard: u64,
    /// It has handed something over since its turn before.
    has_given: bool,
    /// It says when a turn ends.
    has_turns: bool,
    /// It was told something, and is to be woken.
    pub(crate) is_to_wake: bool,
}

impl End {
    fn tell(&mut self, told: Told, record: Option<Record>) {
        self.count.fetch_add(u64::from(!matches!(told, Told::Answer { .. })), Ordering::Relaxed);
        self.told.push((told, record, self.failures));
        self.is_to_wake = true;
    }
}

/// The disk, and what waits for it.
#[derive(Debug)]
pub(crate) struct Shelf {
    disk: ModelStore,
    pub(crate) ends: Vec<End>,
    /// The server's turns, counted over all of its lives.
    pub(crate) turn: u64,
    commands: VecDeque<Command>,
    reads: VecDeque<Command>,
    /// It takes no more than this.
    pub(crate) queue_max: usize,
    pub(crate) is_full: bool,
    /// With so much that a hub has not taken, it says that it is held up.
    pub(crate) told_max: usize,
    /// How often it has said so.
    pub(crate) held_up: u64,
    /// Its thread has taken commands, and has not answered them.
    pub(crate) is_at_work: bool,
    /// It is in memory: a hub carries out little things itself, and what may be so waits until its turn
    /// ends.
    helps: bool,
    /// The thread is called, or awake.
    is_called: bool,
    /// How often one has.
    pub(crate) helped: u64,
    is_tracing: bool,
}

impl Shelf {
    pub(crate) fn new(epoch: &str, ends: usize, helps: bool, is_tracing: bool) -> Shelf {
        let first = Ledger::default();
        Shelf {
            disk: ModelStore::new(epoch),
            ends: (0..ends).map(|_| End { ledger: first.another(), ..End::default() }).collect(),
            turn: 0,
            commands: VecDeque::new(),
            reads: VecDeque::new(),
            queue_max: usize::MAX,
            is_full: false,
            told_max: usize::MAX,
            held_up: 0,
            is_at_work: false,
            helps,
            is_called: false,
            helped: 0,
            is_tracing,
        }
    }

    pub(crate) fn has_work(&self) -> bool {
        (self.is_called && !self.commands.is_empty()) || !self.reads.is_empty()
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
        for (number, end) in self.ends.iter_mut().enumerate() {
            let is_its =
                |one: &Command| matches!(one, Command::Write { end, .. } if *end == number);
            end.failures += u64::from(fails && batch.iter().any(is_its));
        }
        for command in batch {
            let Command::Write { end, ticket, now, record, failures_heard } = command else {
                continue;
            };
            // It was decided in the belief that what is before it would be stored.
            let written = if fails || failures_heard < self.ends[end].failures {
                Outcome::Unavailable.into()
            } else {
                let written = self.disk.write(now, &record);
                if let Written::Changed(change) = &written {
                    for (number, other) in self.ends.iter_mut().enumerate() {
                        other.ledger.committed(change);
                        if number != end {
                            let told = Told::Changed { change: change.clone(), ticket: None };
                            other.tell(told, Some(record.clone()));
                        }
                    }
                }
                written
            };
            if self.is_tracing {
                println!("{:>29}: {record:?}\n{:>31}{written:?}", "store", "");
            }
            self.ends[end].tell(written.told(ticket), Some(record));
        }
        let count = self.reads.len().min(READS_PER_BATCH);
        for command in self.reads.drain(..count).collect::<Vec<_>>() {
            let (end, ticket, outcome) = match command {
                Command::Read { end, ticket, query } => (end, ticket, self.disk.read(&query)),
                Command::Seek { end, ticket, rooms, since } => {
                    (end, ticket, self.disk.seek(&rooms, since))
                }
                Command::Write { .. } => continue,
            };
            let outcome = if fails { Outcome::Unavailable } else { outcome };
            self.ends[end].tell(Told::Answer { ticket, outcome }, None);
        }
        // Before it sleeps, it looks whether more has come.
        self.is_called = !self.commands.is_empty();
        fails
    }

    /// A hub hands something over.
    fn takes(&mut self, command: Command) -> Result<(), NotTaken> {
        if self.commands.len() >= self.queue_max {
            return Err(NotTaken::Overloaded);
        }
        let (Command::Write { end, .. } | Command::Read { end, .. } | Command::Seek { end, .. }) =
            command;
        let end = &mut self.ends[end];
        end.has_given = true;
        let waits = self.helps && end.has_turns && command.is_little();
        self.commands.push_back(command);
        self.is_called |= !waits || self.commands.len() > HELPED_MAX;
        Ok(())
    }

    /// Whether a hub may carry out what waits.
    fn is_for_a_hub(&self) -> bool {
        let is_free = self.helps && !self.is_at_work && self.reads.is_empty();
        let (commands, many) = (&self.commands, HELPED_MAX + 1);
        is_free && (1..many).contains(&commands.len()) && commands.iter().all(Command::is_little)
    }

    /// The server is gone: what waits is, too. What was committed is there.
    pub(crate) fn crash(&mut self) {
        self.disk.restarted();
        self.commands.clear();
        self.reads.clear();
        self.is_called = false;
        for end in &mut self.ends {
            end.ledger.restarted(self.turn + 1);
            *end = End { ledger: std::mem::take(&mut end.ledger), ..End::default() };
        }
    }

    /// What is committed, and when the first hub heard of it.
    pub(crate) fn ledger(&self) -> &Ledger {
        &self.ends[0].ledger
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        self.disk.snapshot()
    }
}

/// The end of one of the server's hubs.
#[derive(Debug)]
pub(crate) struct SimulatedStore {
    pub(crate) shelf: Rc<RefCell<Shelf>>,
    pub(crate) end: usize,
}

impl RecordStore for SimulatedStore {
    fn write(&mut self, ticket: u64, now: Timestamp, record: Record) -> Result<(), NotTaken> {
        let shelf = &mut *self.shelf.borrow_mut();
        let end = self.end;
        let (decided, failures_heard) = (record.clone(), shelf.ends[end].failures_heard);
        shelf.takes(Command::Write { end, ticket, now, record, failures_heard })?;
        shelf.ends[end].ledger.decided(&decided);
        Ok(())
    }

    fn read(&mut self, ticket: u64, _: Timestamp, query: Query) -> Result<(), NotTaken> {
        self.shelf.borrow_mut().takes(Command::Read { end: self.end, ticket, query })
    }

    fn seek(
        &mut self,
        ticket: u64,
        _: Timestamp,
        rooms: Vec<RoomId>,
        since: Timestamp,
    ) -> Result<(), NotTaken> {
        self.shelf.borrow_mut().takes(Command::Seek { end: self.end, ticket, rooms, since })
    }

    fn fetch(&mut self) -> Vec<(Told, u64)> {
        let shelf = &mut *self.shelf.borrow_mut();
        let (end, turn) = (&mut shelf.ends[self.end], shelf.turn);
        let mut all_told = Vec::new();
        for (told, record, failures) in std::mem::take(&mut end.told) {
            if let Some(record) = record {
                end.ledger.heard(&told, &record, turn);
            }
            all_told.push((told, failures));
        }
        all_told
    }

    fn hears(&mut self, failures: u64) {
        let end = &mut self.shelf.borrow_mut().ends[self.end];
        end.failures_heard = end.failures_heard.max(failures);
    }

    fn tell(&mut self, hub: Option<usize>, news: &News) {
        let shelf = &mut *self.shelf.borrow_mut();
        let is_told = |end: usize| hub.map_or(end != self.end, |hub| end == hub);
        for (_, other) in shelf.ends.iter_mut().enumerate().filter(|(end, _)| is_told(*end)) {
            other.tell(Told::News(news.clone()), None);
        }
    }

    fn told_count(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.shelf.borrow().ends[self.end].count)
    }

    fn turn_ends(&mut self) -> bool {
        let shelf = &mut *self.shelf.borrow_mut();
        let end = &mut shelf.ends[self.end];
        end.has_turns = true;
        if !std::mem::take(&mut end.has_given) || !shelf.helps {
            return false;
        }
        if !shelf.is_for_a_hub() {
            shelf.is_called |= !shelf.commands.is_empty();
            return false;
        }
        let is_to_wake = shelf.ends[self.end].is_to_wake;
        shelf.helped += 1;
        shelf.work(HELPED_MAX, false);
        shelf.ends[self.end].is_to_wake = is_to_wake;
        true
    }

    fn is_held_up(&self) -> bool {
        let shelf = &mut *self.shelf.borrow_mut();
        let is_held_up = shelf.ends.iter().any(|end| end.told.len() > shelf.told_max);
        shelf.held_up += u64::from(is_held_up);
        is_held_up
    }

    fn has_died(&self) -> bool {
        false
    }

    fn close(&mut self) {}
}
