//! The reactor's side of the store: commands in, changes and answers out. Neither blocks; in memory
//! the reactor carries out what is little.

use super::commands::{ReadCommand, ReadWanted, StoreCommand, WriteCommand};
use super::ends::{Ends, Waker};
use super::events::EventsWanted;
use super::hot::HotRooms;
use super::integrity::Served;
use super::journal_end::JournalEnd;
use super::lock::{DirectoryLock, LockError};
use super::open_files::{FilesStatus, OpenFiles, Space};
use super::opening::{BegunStore, Files, begin, open_in};
use super::record_store::RecordStore;
use super::thread::Workplace;
use super::worker::Worker;
use super::{rows, schema};
use crate::base::limits::{HELPED_MAX, STORE_QUEUE_BYTES_MAX, STORE_QUEUE_MAX, UNCALLED_MAX};
use crate::base::{News, Outcome, Query, Record, RoomId, Snapshot, StoreCounters, Timestamp, Told};
use rusqlite::Connection;
use rusqlite::config::DbConfig;
use std::collections::{HashMap, VecDeque};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Where a store keeps its data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the file `parlor.db` of this directory, which is created if it does not exist.
    Directory(PathBuf),
    /// In memory: lost with the process.
    Memory,
}

impl Place {
    /// The directory, if it is one.
    #[must_use]
    pub fn directory(&self) -> Option<&Path> {
        match self {
            Place::Directory(directory) => Some(directory),
            Place::Memory => None,
        }
    }
}

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The path of the data is a file.
    #[error("cannot keep data in {}: it is a file, and not a directory", .0.display())]
    NoDirectory(PathBuf),
    /// The directory or the file could not be created.
    #[error("cannot keep data in {}: {}", .0.display(), .1)]
    Directory(PathBuf, std::io::Error),
    /// The directory could not be locked.
    #[error(transparent)]
    Lock(LockError),
    /// The file was written by a newer parlor.
    #[error(
        "the data was written by a newer parlor (schema version {version}, this one knows {}): use that one, or another --data",
        schema::VERSION
    )]
    Newer {
        /// The file's version.
        version: u32,
    },
    /// The file was written by an older parlor, and is not read here.
    #[error("the data was written by an older parlor (schema version {version}): {}", advice(*.version))]
    Older {
        /// The file's version.
        version: u32,
    },
    /// The file is damaged; the text says how. Nothing of it is shown to anybody.
    #[error("{} is damaged: {}. Nothing was changed. Bring back a backup (`parlor data restore`), or keep what is sound (`parlor data repair`): docs/store.md", .0.display(), .1)]
    Damaged(PathBuf, String),
    /// SQLite refuses.
    #[error("cannot open the database: {0}")]
    Database(#[from] rusqlite::Error),
    /// The thread could not be started.
    #[error("cannot start the store's thread: {0}")]
    Thread(std::io::Error),
}

/// What to do about a file of an older version.
fn advice(version: u32) -> &'static str {
    if version < schema::OLDEST {
        "it is from before the first release, and cannot be read any more: use another --data"
    } else {
        "start a server with it once, which updates it"
    }
}

/// Why a store does not take something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotTaken {
    /// Too much waits.
    Overloaded,
    /// Its thread has ended.
    Unavailable,
}

impl From<NotTaken> for Outcome {
    fn from(reason: NotTaken) -> Outcome {
        match reason {
            NotTaken::Overloaded => Outcome::Overloaded,
            NotTaken::Unavailable => Outcome::Unavailable,
        }
    }
}

/// A store, open for one server; one of its ends, of which each of the server's hubs has one.
#[derive(Debug)]
pub struct Store {
    place: Arc<Workplace>,
    ends: Arc<Ends>,
    /// Something was given since the turn before ended.
    has_given: bool,
    /// It is told when a turn ends: what is given may wait for that.
    has_turns: bool,
    is_closed: bool,
    /// Its number among them.
    end: usize,
    waiting: usize,
    waiting_bytes: usize,
    failures_heard: u64,
    seen: Arc<FilesStatus>,
    /// Of all ends together.
    open: Arc<OpenStore>,
}

/// How often an end that is closed before the others looks whether it has been answered.
const CLOSING_LOOK_EVERY: Duration = Duration::from_millis(1);

/// What is closed with the last end.
#[derive(Debug)]
struct OpenStore {
    ends_open: AtomicUsize,
    /// Whether it is in memory, where a reactor may carry out what it gives.
    is_in_memory: bool,
    thread: Mutex<Option<JoinHandle<()>>>,
    _served: Option<Served>,
    _lock: Option<DirectoryLock>,
}

impl OpenStore {
    fn with_ends(
        self,
        place: &Arc<Workplace>,
        ends: &Arc<Ends>,
        seen: &Arc<FilesStatus>,
    ) -> Vec<Store> {
        let open = Arc::new(self);
        let store = |end| Store {
            place: Arc::clone(place),
            ends: Arc::clone(ends),
            has_given: false,
            has_turns: false,
            is_closed: false,
            end,
            waiting: 0,
            waiting_bytes: 0,
            failures_heard: 0,
            seen: Arc::clone(seen),
            open: Arc::clone(&open),
        };
        (0..ends.len()).map(store).collect()
    }
}

impl Store {
    /// Opens the store in `place`, which gets `epoch` if it is new, and starts its thread, which
    /// calls `wake` whenever changes or answers wait. The space on the disk is that of now.
    ///
    /// # Errors
    /// [`OpenError`], with what to do about it.
    pub fn open(
        place: &Place,
        epoch: &str,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> Result<(Store, Snapshot), OpenError> {
        let wakers: Vec<Waker> = vec![Box::new(wake)];
        let all = &EventsWanted::ALL;
        let (ends, snapshot) = Store::open_ends(place, epoch, all, wakers, || Duration::ZERO)?;
        let [store] = ends.try_into().map_err(|_| rusqlite::Error::InvalidQuery)?;
        Ok((store, snapshot))
    }

    /// As [`Store::open`], which reads all of the durable streams, but only with what is `wanted`
    /// of them, and with an end for each of `wakers`. The thread measures transactions by `clock`,
    /// which gives the time since a fixed moment.
    ///
    /// # Errors
    /// As there.
    pub fn open_ends(
        place: &Place,
        epoch: &str,
        wanted: &EventsWanted<'_>,
        wakers: Vec<Waker>,
        clock: impl Fn() -> Duration + Clone + Send + 'static,
    ) -> Result<(Vec<Store>, Snapshot), OpenError> {
        let (mut db, files, served, lock) = match place {
            Place::Memory => (Connection::open_in_memory()?, None, None, None),
            Place::Directory(directory) => {
                // Other users of the machine must not read what people say to each other.
                std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(
                    |error| match directory.is_file() {
                        true => OpenError::NoDirectory(directory.clone()),
                        false => OpenError::Directory(directory.clone(), error),
                    },
                )?;
                let lock = DirectoryLock::take(directory).map_err(OpenError::Lock)?;
                let (db, served, files) = open_in(directory)?;
                (db, Some(files), Some(served), Some(lock))
            }
        };
        let begun = begin(&mut db, epoch, wanted, files.as_ref()).and_then(|begun| {
            let of = |files: &Files| files.mark(&db, &begun.snapshot.epoch, begun.commits);
            let mark = files.as_ref().map(of).transpose()?;
            Ok((begun, mark.flatten()))
        });
        let (BegunStore { snapshot, hot, commits, is_merged }, mark) =
            begun.map_err(|error| match (&files, error) {
                (Some(files), OpenError::Database(error)) if rows::is_damage(&error) => {
                    OpenError::Damaged(files.file.clone(), rows::what(&error))
                }
                (_, other) => other,
            })?;
        db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
        schema::keep_statements(&db);

        let ends = Arc::new(Ends::new(wakers));
        let of_rooms = snapshot.rooms.iter().map(|room| room.ts);
        let of_streams = snapshot.streams.iter().map(|stream| stream.ts);
        let seen = Arc::new(FilesStatus::default());
        let held = files
            .as_ref()
            .zip(lock.as_ref())
            .map(|(files, lock)| OpenFiles::new(lock.path(), &files.file, Arc::clone(&seen)));
        let journal = files.as_ref().map(|files| {
            let (file, epoch) = (files.file.clone(), snapshot.epoch.clone());
            JournalEnd::new(file, epoch, commits, is_merged)
        });
        let worker = Worker {
            db,
            clock: Box::new(clock.clone()),
            counters: StoreCounters::default(),
            failures: vec![0; ends.len()],
            versions: HashMap::new(),
            hot: if hot.needs_rows() { hot } else { HotRooms { oldest: commits, ..hot } },
            commits,
            has_failed_to_merge: false,
            has_rested: false,
            newest: of_rooms.chain(of_streams).max().unwrap_or_default(),
            failure_log: Timestamp(i64::MIN),
            held,
            journal,
            mark,
            ends: Arc::clone(&ends),
            reads: VecDeque::new(),
            has_worked: false,
            merge_thread: None,
            merge_db: None,
            merges_alone_until: Duration::ZERO,
        };
        let (place, thread) = Workplace::start(worker, clock).map_err(OpenError::Thread)?;
        let open = OpenStore {
            ends_open: AtomicUsize::new(ends.len()),
            is_in_memory: files.is_none(),
            thread: Mutex::new(Some(thread)),
            _served: served,
            _lock: lock,
        };
        Ok((open.with_ends(&place, &ends, &seen), snapshot))
    }

    /// The error that names the process that holds the data, if another one does.
    #[must_use]
    pub fn held_by_another(place: &Place) -> Option<LockError> {
        let Place::Directory(directory) = place else { return None };
        if !directory.is_dir() {
            return None;
        }
        match DirectoryLock::take(directory) {
            Err(error @ LockError::Held { .. }) => Some(error),
            Ok(_) | Err(LockError::NotAlone(_) | LockError::Io(..)) => None,
        }
    }

    fn submit(&mut self, command: StoreCommand) -> Result<(), NotTaken> {
        let weight = command.weight();
        // Each end has its part.
        let parts = self.ends.len();
        let is_much = self.waiting_bytes + weight > STORE_QUEUE_BYTES_MAX / parts;
        if self.waiting >= STORE_QUEUE_MAX / parts || (is_much && self.waiting > 0) {
            return Err(NotTaken::Overloaded);
        }
        if self.is_closed || self.ends.has_ended() {
            return Err(NotTaken::Unavailable);
        }
        // A few wait until the turn ends: to be carried out here, or so that they share a commit.
        let uncalled = match self.has_turns && command.may_wait() {
            true if self.open.is_in_memory => HELPED_MAX,
            true => UNCALLED_MAX,
            false => 0,
        };
        self.place.commands.push(command, uncalled);
        self.has_given = true;
        self.waiting += 1;
        self.waiting_bytes += weight;
        Ok(())
    }
}

impl RecordStore for Store {
    fn write(&mut self, ticket: u64, now: Timestamp, record: Record) -> Result<(), NotTaken> {
        let failures_heard = self.failures_heard;
        let end = self.end;
        self.submit(StoreCommand::Write(WriteCommand { end, ticket, now, record, failures_heard }))
    }

    fn read(&mut self, ticket: u64, now: Timestamp, query: Query) -> Result<(), NotTaken> {
        let (end, wanted) = (self.end, ReadWanted::Page(query));
        self.submit(StoreCommand::Read(ReadCommand { end, ticket, now, wanted }))
    }

    fn seek(
        &mut self,
        ticket: u64,
        now: Timestamp,
        rooms: Vec<RoomId>,
        since: Timestamp,
    ) -> Result<(), NotTaken> {
        let (end, wanted) = (self.end, ReadWanted::Places(rooms, since));
        self.submit(StoreCommand::Read(ReadCommand { end, ticket, now, wanted }))
    }

    fn fetch(&mut self) -> Vec<(Told, u64)> {
        let answers = self.ends.take(self.end);
        let mut told = Vec::with_capacity(answers.len());
        for answer in answers {
            if answer.is_own {
                self.waiting -= 1;
                self.waiting_bytes -= answer.weight;
            }
            told.push((answer.told, answer.failures));
        }
        told
    }

    fn hears(&mut self, failures: u64) {
        self.failures_heard = self.failures_heard.max(failures);
    }

    fn tell(&mut self, hub: Option<usize>, news: &News) {
        self.ends.tell(self.end, hub, news);
    }

    fn told_count(&self) -> Arc<AtomicU64> {
        self.ends.count(self.end)
    }

    fn counters(&self) -> StoreCounters {
        self.ends.counters()
    }

    fn is_held_up(&self) -> bool {
        self.ends.is_held_up()
    }

    fn has_lost_files(&self) -> bool {
        self.seen.is_lost()
    }

    fn space(&self) -> Option<Space> {
        self.seen.space()
    }

    fn has_died(&self) -> bool {
        !self.is_closed && self.ends.has_ended()
    }

    fn turn_ends(&mut self) -> bool {
        self.has_turns = true;
        let has_given = std::mem::take(&mut self.has_given);
        if has_given && !self.open.is_in_memory {
            self.place.commands.call();
        }
        has_given && self.open.is_in_memory && self.place.help(self.end)
    }

    fn may_poll(&self) -> bool {
        self.place.may_poll
    }

    fn close(&mut self) {
        if std::mem::replace(&mut self.is_closed, true) {
            return;
        }
        self.place.commands.call();
        self.ends.begin_to_close(self.end);
        // The thread ends when no end can give a command.
        let is_last = self.open.ends_open.fetch_sub(1, Ordering::AcqRel) == 1;
        while !is_last && !self.ends.has_ended() && self.ends.own_answers(self.end) < self.waiting {
            std::thread::sleep(CLOSING_LOOK_EVERY);
        }
        self.ends.close(self.end);
        if !is_last {
            return;
        }
        self.place.commands.close();
        let thread = self.open.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            log::error!("the store's thread has panicked");
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.close();
    }
}
