//! Commands to the store's thread.

use super::{pages, seek};
use crate::base::limits::{POLLS_MAX, READ_WEIGHT_SHARE, SEEK_WEIGHT};
use crate::base::{Outcome, Query, Record, RoomId, Timestamp};
use rusqlite::Connection;
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
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
    /// The end that gave it.
    pub(super) end: usize,
    pub(super) ticket: u64,
    pub(super) now: Timestamp,
    pub(super) record: Record,
    /// How many batches with a record of this end were known to have failed when this record was
    /// decided.
    pub(super) failures_heard: u64,
}

/// Something to read.
#[derive(Debug)]
pub(super) struct ReadCommand {
    pub(super) end: usize,
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
    pub(super) fn weight(&self) -> usize {
        match self {
            ReadWanted::Page(query) => query.bytes_max / READ_WEIGHT_SHARE,
            ReadWanted::Places(rooms, _) => rooms.len() * SEEK_WEIGHT,
        }
    }

    pub(super) fn rooms(&self) -> impl Iterator<Item = &RoomId> {
        match self {
            ReadWanted::Page(query) => std::slice::from_ref(&query.room),
            ReadWanted::Places(rooms, _) => rooms,
        }
        .iter()
    }

    pub(super) fn read(&self, db: &Connection) -> rusqlite::Result<Outcome> {
        match self {
            ReadWanted::Page(query) => pages::read(db, query),
            ReadWanted::Places(rooms, since) => seek::seek(db, rooms, *since),
        }
    }
}

/// Commands that wait for the thread, in order. Each end bounds its part.
#[derive(Debug, Default)]
pub(super) struct Commands {
    queue: Mutex<CommandQueue>,
    came: Condvar,
}

#[derive(Debug, Default)]
struct CommandQueue {
    commands: VecDeque<StoreCommand>,
    /// The thread waits.
    is_awaited: bool,
    /// It is to look although there may be no command.
    is_woken: bool,
    /// No more come.
    is_closed: bool,
}

impl CommandQueue {
    fn is_idle(&self) -> bool {
        !self.is_woken && !self.is_closed && self.commands.is_empty()
    }
}

/// What ended a wait for commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WaitEnd {
    /// A command, or somebody who has worked.
    Some,
    /// Time alone.
    Nothing,
    /// There is none, and no more come.
    Closed,
}

impl Commands {
    fn queue(&self) -> MutexGuard<'_, CommandQueue> {
        // Whoever panics while they hold it leaves nothing half done.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a command. Returns whether no other one waits.
    pub(super) fn push(&self, command: StoreCommand) -> bool {
        let mut queue = self.queue();
        queue.commands.push_back(command);
        queue.commands.len() == 1
    }

    /// Has the thread look.
    pub(super) fn wake(&self) {
        let mut queue = self.queue();
        queue.is_woken = true;
        if queue.is_awaited {
            drop(queue);
            self.came.notify_one();
        }
    }

    /// No more come.
    pub(super) fn close(&self) {
        self.queue().is_closed = true;
        self.wake();
    }

    /// Looks for a command again and again while it may `go_on`, and lets other threads run. To sleep and
    /// to be woken takes longer than what comes next does, if it comes soon.
    pub(super) fn poll(&self, go_on: impl Fn() -> bool) {
        let polls = (0..POLLS_MAX).take_while(|_| go_on() && self.queue().is_idle());
        polls.for_each(|_| std::thread::yield_now());
    }

    /// Waits for a command, forever or so long.
    pub(super) fn wait(&self, most: Option<Duration>) -> WaitEnd {
        let mut queue = self.queue();
        queue.is_awaited = true;
        let is_idle = |queue: &mut CommandQueue| queue.is_idle();
        queue = match most {
            None => self.came.wait_while(queue, is_idle).unwrap_or_else(PoisonError::into_inner),
            Some(most) => {
                let waited = self.came.wait_timeout_while(queue, most, is_idle);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        };
        queue.is_awaited = false;
        let is_woken = std::mem::take(&mut queue.is_woken);
        match (queue.commands.is_empty(), queue.is_closed) {
            (false, _) => WaitEnd::Some,
            (true, true) => WaitEnd::Closed,
            (true, false) if is_woken => WaitEnd::Some,
            (true, false) => WaitEnd::Nothing,
        }
    }

    pub(super) fn has_one(&self) -> bool {
        self.queue().commands.len() == 1
    }

    pub(super) fn has_some(&self) -> bool {
        !self.queue().commands.is_empty()
    }

    /// Takes the oldest ones.
    pub(super) fn take(&self, most: usize, mut take: impl FnMut(StoreCommand)) {
        let mut queue = self.queue();
        let count = queue.commands.len().min(most);
        queue.commands.drain(..count).for_each(&mut take);
    }

    /// Takes all, if they are few and each `is_little`.
    pub(super) fn take_few(
        &self,
        few: usize,
        is_little: impl Fn(&StoreCommand) -> bool,
    ) -> Option<Vec<StoreCommand>> {
        let mut queue = self.queue();
        let is_few = queue.commands.len() <= few && queue.commands.iter().all(is_little);
        (is_few && !queue.commands.is_empty()).then(|| queue.commands.drain(..).collect())
    }
}
