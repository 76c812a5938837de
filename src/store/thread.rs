//! The store's thread: it waits for commands, and lets the worker carry them out.

use super::commands::{Commands, ReadCommand, StoreCommand, WaitEnd};
use super::ends::Ends;
use super::worker::Worker;
use crate::base::limits::{
    BATCH_RECORDS_MAX, FILES_CHECKED_MS, HELD_UP_TOLD_EVERY_MS, HELD_UP_TOLD_MS, MERGE_IDLE_MS,
    POLLED_AFTER, POLLED_US, READS_PER_BATCH, TOLD_LOOK_EVERY_MS,
};
use std::num::NonZero;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread::JoinHandle;
use std::time::Duration;
use std::{fmt, io};

/// What the thread shares with the ends of its store.
pub(super) struct Workplace {
    pub(super) commands: Commands,
    pub(super) ends: Arc<Ends>,
    /// Whether it is worth while to look for what comes instead of sleeping: on a disk, and if there is a
    /// processor for it that no reactor needs.
    pub(super) may_poll: bool,
    /// `None` when the thread has ended.
    worker: Mutex<Option<Worker>>,
}

impl Workplace {
    /// Starts the thread. `clock` gives the time since a fixed moment.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn start(
        worker: Worker,
        clock: impl Fn() -> Duration + Send + 'static,
    ) -> io::Result<(Arc<Workplace>, JoinHandle<()>)> {
        let (commands, ends) = (Commands::default(), Arc::clone(&worker.ends));
        let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
        let may_poll = worker.held.is_some() && processors > ends.len();
        let worker = Mutex::new(Some(worker));
        let place = Arc::new(Workplace { commands, ends, may_poll, worker });
        let at_place = Arc::clone(&place);
        let named = std::thread::Builder::new().name("parlor-store".into());
        let thread = named.spawn(move || at_place.run(clock))?;
        Ok((place, thread))
    }

    /// The thread: works until the commands are closed, and does what waited by then.
    ///
    /// # Panics
    /// If another thread has panicked in [`Workplace::help`].
    fn run(&self, clock: impl Fn() -> Duration) {
        let _end = ThreadEnd(self);
        // How many in a row came alone, and soon after the one before. When several come at once, others
        // use the processor; and what comes by chance is not worth polling for.
        let mut soon = 0;
        loop {
            let wait = self.worker().as_mut().and_then(Worker::waits);
            let begun = clock();
            let go_on = || clock().saturating_sub(begun) < Duration::from_micros(POLLED_US);
            if soon >= POLLED_AFTER && self.may_poll && wait != Some(Duration::ZERO) {
                self.commands.poll(go_on);
            }
            let ended = self.commands.wait(wait);
            soon = if go_on() && self.commands.len() == 1 { soon.saturating_add(1) } else { 0 };
            let mut worker = self.worker();
            let Some(worker) = worker.as_mut() else { return };
            match ended {
                WaitEnd::Came => worker.round(&self.commands),
                WaitEnd::Nothing => worker.has_time(&self.commands),
                WaitEnd::Closed => return worker.finish(),
            }
        }
    }

    fn worker(&self) -> MutexGuard<'_, Option<Worker>> {
        self.worker.lock().expect("whoever has panicked may have left it half done")
    }

    /// The reactor of an end carries out what waits, if that is little and nobody is at work. Returns
    /// whether it has. Otherwise whoever is at work does so next, or the thread.
    pub(super) fn help(&self, end: usize) -> bool {
        // Each time for another end, mostly.
        for round in 0..self.ends.len() {
            let has_helped = match self.worker.try_lock() {
                Ok(mut worker) => worker.as_mut().is_some_and(|worker| worker.helps(self, end)),
                // They look for commands once more when they have left the place: to call the thread, too,
                // would wake it for nothing.
                Err(TryLockError::WouldBlock) => return round > 0,
                Err(TryLockError::Poisoned(_)) => false,
            };
            if !has_helped || !self.commands.has_some() {
                self.commands.call();
                return has_helped || round > 0;
            }
        }
        self.commands.call();
        true
    }
}

impl fmt::Debug for Workplace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workplace").field("ends", &self.ends).finish_non_exhaustive()
    }
}

/// The thread ends, however it ends: the files are closed, and then all ends are told. Their reactors
/// look whether that was meant.
struct ThreadEnd<'a>(&'a Workplace);

impl Drop for ThreadEnd<'_> {
    fn drop(&mut self) {
        let worker = self.0.worker.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(worker);
        self.0.ends.end();
    }
}

/// When it works.
impl Worker {
    /// How long the thread waits for a command; `None` for as long as it takes.
    pub(super) fn waits(&mut self) -> Option<Duration> {
        self.has_worked = false;
        let ms = match &self.held {
            _ if !self.reads.is_empty() => 0,
            _ if self.merges() => MERGE_IDLE_MS,
            Some(_) => FILES_CHECKED_MS,
            None => return None,
        };
        Some(Duration::from_millis(ms))
    }

    /// Whether it merges when it has time.
    fn merges(&self) -> bool {
        self.hot.is_waiting(self.commits) && !self.has_failed_to_merge
    }

    /// Carries out what waits: what came during the last commit makes up the next batch.
    pub(super) fn round(&mut self, commands: &Commands) {
        (self.has_worked, self.has_rested) = (true, false);
        let mut batch = Vec::new();
        commands.take(BATCH_RECORDS_MAX, |command| match command {
            StoreCommand::Write(write) => batch.push(write),
            StoreCommand::Read(read) => self.reads.push_back(read),
        });
        // Records first, answered at once, so that no message waits for others' pages. A page
        // shows what was committed of all that was asked for before it.
        self.wait_for_ends();
        let came = batch.len();
        if !batch.is_empty() {
            let answers = self.write(batch);
            self.ends.answer(answers, &self.counters, None);
        }
        let count = self.reads.len().min(READS_PER_BATCH);
        if count > 0 {
            let mut pages = self.no_answers();
            let reads: Vec<ReadCommand> = self.reads.drain(..count).collect();
            for read in reads {
                let end = read.end;
                pages[end].push(self.read(read));
            }
            self.ends.answer(pages, &self.counters, None);
        }
        self.take_merged();
        let is_merged_beside = self.merge_thread.is_some() || self.merge_beside(came);
        if self.is_due() && (!is_merged_beside || self.is_tail_too_long()) {
            self.merge();
        }
    }

    /// Waits until no end has too much to take.
    fn wait_for_ends(&self) {
        let mut next_told = None;
        while let Some(thread) = self.ends.held_up_by() {
            std::thread::sleep(Duration::from_millis(TOLD_LOOK_EVERY_MS));
            let now = (self.clock)();
            let told_at = *next_told.get_or_insert(now + Duration::from_millis(HELD_UP_TOLD_MS));
            if now >= told_at {
                log::error!(
                    thread;
                    "a thread has for long not taken what the others tell it: until it does, nothing is committed, \
                    and nobody new is let in"
                );
                next_told = Some(now + Duration::from_millis(HELD_UP_TOLD_EVERY_MS));
            }
        }
    }

    /// Carries out, on the thread of an end, which is `awake`, what waits, if that does not take long.
    /// Returns whether it has.
    pub(super) fn helps(&mut self, place: &Workplace, awake: usize) -> bool {
        if self.is_due() || !self.reads.is_empty() || self.ends.is_held_up() {
            return false;
        }
        let is_little = |command: &StoreCommand| match command {
            StoreCommand::Write(write) => self.hot.is_quick(&write.record),
            StoreCommand::Read(_) => false,
        };
        let Some(commands) = place.commands.take_few(is_little) else { return false };
        let batch = commands.into_iter().filter_map(|command| match command {
            StoreCommand::Write(write) => Some(write),
            StoreCommand::Read(_) => None,
        });
        let had_none = !self.merges();
        let answers = self.write(batch.collect());
        self.ends.answer(answers, &self.counters, Some(awake));
        (self.has_worked, self.has_rested) = (true, false);
        // The thread merges that, now or when it has waited for long enough.
        if self.is_due() || (had_none && self.merges()) {
            place.commands.wake();
        }
        true
    }

    /// Nothing came for a while: merges what the journal has, until something comes, and checks the files.
    pub(super) fn has_time(&mut self, commands: &Commands) {
        if !self.reads.is_empty() {
            return self.round(commands);
        }
        // Somebody has helped meanwhile.
        if self.has_worked {
            return;
        }
        self.end_merge();
        let merges = self.merges();
        // A slice that failed is tried again after a longer wait.
        self.has_failed_to_merge = self.is_lost();
        while merges && self.merges() {
            self.merge();
            if commands.has_some() {
                return;
            }
        }
        self.rest();
    }

    /// Nothing comes any more.
    pub(super) fn finish(&mut self) {
        while !self.reads.is_empty() {
            self.round(&Commands::default());
        }
        self.end_merge();
        while self.merges() {
            self.merge();
        }
        self.merge_db = None;
        // A clean end leaves one file: the tail is not needed, and the write-ahead log goes into the
        // database.
        if !self.hot.needs_rows() && !self.is_lost() {
            self.journal.iter().for_each(|journal| journal.end(&self.db));
        }
        if let Err(error) = self.db.pragma_query(None, "wal_checkpoint", |_| Ok(())) {
            log::warn!("the write-ahead log could not be checkpointed: {error}");
        }
    }
}
