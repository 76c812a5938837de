//! Commands to the store's thread.

use super::{pages, seek};
use crate::base::limits::{
    BATCH_RECORDS_MAX, HELPED_BYTES_MAX, HELPED_MAX, POLLS_MAX, READ_WEIGHT_SHARE, SEEK_WEIGHT,
};
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
    /// Whether it may wait for the end of the turn, with others.
    pub(super) fn may_wait(&self) -> bool {
        match self {
            StoreCommand::Write(write) => write.record.is_frequent(),
            StoreCommand::Read(_) => false,
        }
    }

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
    Came,
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

    /// Adds a command. If more than so many wait then, the thread is called.
    pub(super) fn push(&self, command: StoreCommand, uncalled: usize) {
        let mut queue = self.queue();
        queue.commands.push_back(command);
        if queue.commands.len() > uncalled {
            self.call_for(&mut queue);
        }
    }

    /// Has the thread take what is here, if it waits.
    pub(super) fn call(&self) {
        self.call_for(&mut self.queue());
    }

    fn call_for(&self, queue: &mut CommandQueue) {
        if queue.is_awaited && !queue.is_idle() {
            queue.is_awaited = false;
            self.came.notify_one();
        }
    }

    /// Has the thread look, even if no command is here.
    pub(super) fn wake(&self) {
        self.queue().is_woken = true;
        self.call();
    }

    /// No more come.
    pub(super) fn close(&self) {
        self.queue().is_closed = true;
        self.call();
    }

    /// Looks for a command again and again while it may `go_on`, and lets other threads run. To sleep and
    /// to be woken takes longer than what comes next does, if it comes soon.
    pub(super) fn poll(&self, go_on: impl Fn() -> bool) {
        let polls = (0..POLLS_MAX).take_while(|_| go_on() && self.queue().is_idle());
        polls.for_each(|_| std::thread::yield_now());
    }

    /// Waits for a command, forever or so long.
    pub(super) fn wait(&self, most: Option<Duration>) -> WaitEnd {
        let queue = self.queue();
        // Whoever has called may have found that another one took the command.
        let is_idle = |queue: &mut CommandQueue| {
            queue.is_awaited = queue.is_idle();
            queue.is_awaited
        };
        let mut queue = match most {
            None => self.came.wait_while(queue, is_idle).unwrap_or_else(PoisonError::into_inner),
            Some(most) => {
                let waited = self.came.wait_timeout_while(queue, most, is_idle);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        };
        queue.is_awaited = false;
        let is_woken = std::mem::take(&mut queue.is_woken);
        match (queue.commands.is_empty(), queue.is_closed) {
            (false, _) => WaitEnd::Came,
            (true, true) => WaitEnd::Closed,
            (true, false) if is_woken => WaitEnd::Came,
            (true, false) => WaitEnd::Nothing,
        }
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.queue().commands.len()
    }

    pub(super) fn has_some(&self) -> bool {
        self.len() > 0
    }

    /// Takes the oldest ones.
    pub(super) fn take(&self, most: usize, mut take: impl FnMut(StoreCommand)) {
        let mut queue = self.queue();
        let count = queue.commands.len().min(most);
        queue.commands.drain(..count).for_each(&mut take);
        if queue.commands.is_empty() {
            queue.commands.shrink_to(BATCH_RECORDS_MAX);
        }
    }

    /// Takes all, if they are few and light, and each `is_little`.
    pub(super) fn take_few(
        &self,
        is_little: impl Fn(&StoreCommand) -> bool,
    ) -> Option<Vec<StoreCommand>> {
        let mut queue = self.queue();
        let commands = &mut queue.commands;
        let is_few = !commands.is_empty()
            && commands.len() <= HELPED_MAX
            && commands.iter().all(is_little)
            && commands.iter().map(StoreCommand::weight).sum::<usize>() <= HELPED_BYTES_MAX;
        is_few.then(|| commands.drain(..).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{RoomId, UserId};
    use std::thread::{sleep, spawn};

    fn delivered(ticket: u64, marks: usize) -> StoreCommand {
        let mark = (RoomId::parse("tea").unwrap(), 1);
        let record =
            Record::Delivered { user: UserId::parse("ada").unwrap(), marks: vec![mark; marks] };
        let (end, now, failures_heard) = (0, Timestamp(0), 0);
        StoreCommand::Write(WriteCommand { end, ticket, now, record, failures_heard })
    }

    #[test]
    fn a_wait_ends_with_a_command_a_wake_the_time_or_the_end() {
        const SOON: Option<Duration> = Some(Duration::from_millis(1));
        let commands = Commands::default();
        assert_eq!(commands.wait(SOON), WaitEnd::Nothing);
        commands.push(delivered(1, 0), 0);
        assert_eq!(commands.wait(None), WaitEnd::Came);
        commands.take(9, |_| ());
        commands.call();
        assert_eq!(commands.wait(SOON), WaitEnd::Nothing, "somebody has taken it");
        commands.wake();
        assert_eq!(commands.wait(None), WaitEnd::Came);
        assert_eq!(commands.wait(SOON), WaitEnd::Nothing);
        commands.push(delivered(2, 0), 0);
        commands.close();
        assert_eq!(commands.wait(None), WaitEnd::Came, "what is there is done first");
        commands.take(9, |_| ());
        assert_eq!(commands.wait(None), WaitEnd::Closed);
        assert_eq!(commands.wait(None), WaitEnd::Closed);
    }

    #[test]
    fn the_thread_is_called_for_one_more_than_may_wait_or_when_somebody_says_so() {
        let commands = Commands::default();
        let is_called = || !std::mem::replace(&mut commands.queue().is_awaited, true);
        commands.queue().is_awaited = true;
        commands.push(delivered(1, 0), 2);
        commands.push(delivered(2, 0), 2);
        assert!(!is_called());
        commands.push(delivered(3, 0), 2);
        assert!(is_called());
        commands.call();
        assert!(is_called());
        commands.take(9, |_| ());
        commands.call();
        assert!(!is_called(), "there is nothing");
        commands.push(delivered(4, 0), 0);
        assert!(is_called());
    }

    #[test]
    fn whoever_waits_is_called_again_after_a_call_for_what_another_one_took() {
        let commands = std::sync::Arc::new(Commands::default());
        let waiting = std::sync::Arc::clone(&commands);
        let thread = spawn(move || waiting.wait(None));
        for ticket in 0..50 {
            sleep(Duration::from_millis(1));
            commands.push(delivered(ticket, 0), 9);
            // Before the other one runs, mostly.
            let mut queue = commands.queue();
            queue.commands.clear();
            if queue.is_awaited {
                queue.is_awaited = false;
                commands.came.notify_one();
            }
        }
        assert!(!thread.is_finished());
        commands.push(delivered(99, 0), 0);
        assert_eq!(thread.join().unwrap(), WaitEnd::Came);
    }

    #[test]
    fn it_is_looked_for_a_command_while_that_is_worth_it_and_never_forever() {
        let commands = Commands::default();
        commands.poll(|| true);
        let looks = std::cell::Cell::new(0);
        commands.poll(|| looks.replace(looks.get() + 1) < 3);
        assert_eq!(looks.get(), 4);
        commands.push(delivered(1, 0), 0);
        looks.set(0);
        commands.poll(|| looks.replace(looks.get() + 1) < 3);
        assert_eq!(looks.get(), 1);
    }

    #[test]
    fn only_what_is_little_and_light_is_taken_at_once() {
        let commands = Commands::default();
        let taken = || {
            let is_even = |command: &StoreCommand| matches!(command, StoreCommand::Write(write) if write.ticket.is_multiple_of(2));
            let few = commands.take_few(is_even).map(|few| few.len());
            commands.take(usize::MAX, |_| ());
            few
        };
        assert_eq!(taken(), None);
        let few = |count: usize, marks| (0..count).map(|_| delivered(2, marks)).collect::<Vec<_>>();
        for (wanted, expected) in [
            (few(1, 0), Some(1)),
            (few(HELPED_MAX, 0), Some(HELPED_MAX)),
            (few(HELPED_MAX + 1, 0), None),
            (few(1, 190), Some(1)),
            (few(1, 210), None),
            (vec![delivered(2, 0), delivered(1, 0)], None),
        ] {
            wanted.into_iter().for_each(|command| commands.push(command, 0));
            assert_eq!(taken(), expected);
        }
    }
}
