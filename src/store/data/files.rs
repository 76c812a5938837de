//! Files that replace a store, and copies of stores.

use super::atomic_file::AtomicFile;
use super::check::{Checked, check, find_losses};
use super::progress::{TaskProgress, TaskWatch};
use super::{
    DataError, OPENED_MAX, Result, damaged, database_of, exists_or_failed, failed,
    of_a_version_to_update, open_whole,
};
use crate::store::integrity::{self, FILE_NAME, INDEX, JOURNAL, TAIL, WAL, with};
use crate::store::lock::DirectoryLock;
use crate::store::loss::BrokenRule;
use crate::store::merge::merge_all;
use crate::store::store::OpenError;
use crate::store::tail::{FoundTail, HeldTail};
use crate::store::{disk, journal, loss, mark, rows, schema, sums};
use rusqlite::Connection;
use std::fs::File;
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The name of a store that is being made.
const NEW_NAME: &str = "parlor.db.new";
/// How many faults are shown when a new store is refused for them.
pub(super) const FAULTS_TOLD_MAX: usize = 10;
/// How many names are tried for a file that is put aside.
const ASIDE_MAX: u32 = 10_000;

/// A store that is being made, beside an existing one or where there is none. If it is dropped
/// before it is whole, it leaves nothing behind.
pub(super) struct NewStore {
    directory: PathBuf,
    /// `None` when it has taken its place.
    file: Option<PathBuf>,
    is_directory_new: bool,
    /// Keeps others out of the directory until the new store is in its place.
    _lock: DirectoryLock,
}

impl NewStore {
    /// Begins in a directory that has no store, or does not exist.
    pub(super) fn begin_empty(directory: &Path) -> Result<NewStore> {
        NewStore::begin(directory, refuse_what_is_there)
    }

    /// Begins in a directory with or without a store.
    pub(super) fn begin_in(directory: &Path) -> Result<NewStore> {
        NewStore::begin(directory, |place| integrity::settle(place).map_err(failed(place)))
    }

    /// Calls `look` with its place before anything is written.
    fn begin(directory: &Path, look: impl FnOnce(&Path) -> Result<()>) -> Result<NewStore> {
        let is_directory_new = !directory.exists();
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true).mode(0o700).create(directory).map_err(failed(directory))?;
        let lock = DirectoryLock::take(directory).map_err(OpenError::Lock)?;
        look(&directory.join(FILE_NAME))?;
        let file = directory.join(NEW_NAME);
        // What a killed run has left is of no use.
        for ending in ["", WAL, JOURNAL, INDEX] {
            remove(&with(&file, ending))?;
        }
        let created = File::options().write(true).create_new(true).mode(0o600).open(&file);
        created.map_err(exists_or_failed(&file))?;
        let (directory, file) = (directory.to_owned(), Some(file));
        Ok(NewStore { directory, file, is_directory_new, _lock: lock })
    }

    fn file(&self) -> &Path {
        self.file.as_deref().unwrap_or(&self.directory)
    }

    /// Makes the tables, and calls `fill` in one transaction.
    pub(super) fn fill<T>(&mut self, fill: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let file = self.file();
        write_alone(file, |db| {
            // It gets its own epoch while it is filled.
            schema::prepare(db, "")?.map_err(|_| DataError::Exists(file.to_owned()))?;
            let transaction = db.transaction()?;
            let filled = fill(&transaction)?;
            transaction.commit()?;
            Ok(filled)
        })
    }

    /// Copies another store, which gets `epoch`.
    pub(super) fn copy(&mut self, from: &Path, epoch: &str) -> Result<()> {
        if let Some(what) = vacuum(from, self.file())? {
            return Err(DataError::Damaged(from.to_owned(), what));
        }
        write_alone(self.file(), |db| {
            merge_journal(db)?;
            schema::set_epoch(db, epoch)?;
            Ok(loss::call_for_nothing(db)?)
        })
    }

    /// Checks that it keeps the rules, by [`check`].
    fn check(&self, watch: TaskWatch<'_>) -> Result<Checked> {
        let mut first: Vec<BrokenRule> = Vec::new();
        let checked = check(
            self.file(),
            &mut |fault| {
                if first.len() < FAULTS_TOLD_MAX {
                    first.push(fault);
                }
            },
            watch,
        )?;
        if checked.faults == 0 {
            Ok(checked)
        } else {
            Err(DataError::Faults(first, checked.faults))
        }
    }

    /// Checks it, and puts it in its place.
    pub(super) fn finish(self, watch: TaskWatch<'_>) -> Result<Restored> {
        let checked = self.check(watch)?;
        Ok(Restored { checked, old: self.take_its_place()? })
    }

    /// Puts the existing store aside, and takes its place. Returns the old store's new name; if its
    /// file is gone, that of its log.
    ///
    /// A kill leaves the old store with its log, or the new one: the old files get their other
    /// names in addition, the new file replaces the old one in one step, and only then the old
    /// log's first name goes. After a kill in between, [`integrity::settle`] removes it.
    fn take_its_place(mut self) -> Result<Option<PathBuf>> {
        let Some(new) = self.file.clone() else { return Ok(None) };
        disk::sync(&new).map_err(failed(&new))?;
        let place = self.directory.join(FILE_NAME);
        // Then it is one file. A damaged one stays as it is.
        if place.exists() && matches!(integrity::fault(&place), Ok(None)) {
            fold_log(&place);
        }
        if !place.exists() {
            // The new store may have the epoch of the old one, as after an import.
            mark::remove(&place).map_err(failed(&place))?;
        }
        let aside = self.put_aside(&place)?;
        std::fs::rename(&new, &place).map_err(failed(&place))?;
        self.file = None;
        disk::sync(&self.directory).map_err(failed(&self.directory))?;
        mark::remove(&place).map_err(failed(&place))?;
        for ending in [WAL, TAIL, INDEX] {
            remove(&with(&place, ending))?;
        }
        disk::sync(&self.directory).map_err(failed(&self.directory))?;
        Ok(aside)
    }

    /// Gives the existing files their other names.
    fn put_aside(&self, place: &Path) -> Result<Option<PathBuf>> {
        let is_there = |ending: &&str| match with(place, ending).symlink_metadata() {
            // An empty log does not count.
            Ok(found) => ending.is_empty() || found.len() > 0,
            Err(_) => false,
        };
        let endings: Vec<&str> = ["", WAL, JOURNAL, TAIL].into_iter().filter(is_there).collect();
        let Some(first) = endings.first() else { return Ok(None) };
        let name = self.aside(place)?;
        for ending in &endings {
            let (from, to) = (with(place, ending), with(&name, ending));
            match std::fs::hard_link(&from, &to) {
                // A killed run has done it: see `aside`.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                other => other.map_err(failed(&from))?,
            }
        }
        disk::sync(&self.directory).map_err(failed(&self.directory))?;
        // Nothing says that this journal is not the new file's. In the old file it would only undo
        // the switch to a write-ahead log.
        remove(&with(place, JOURNAL))?;
        Ok(Some(with(&name, first)))
    }

    /// The first name that is free for the existing files, or that they already have.
    fn aside(&self, place: &Path) -> Result<PathBuf> {
        let is_usable = |name: &PathBuf| {
            ["", WAL, JOURNAL, TAIL, INDEX].into_iter().all(|ending| {
                let (old, now) = (with(name, ending), with(place, ending));
                let own = disk::identity(&old);
                old.symlink_metadata().is_err() || (own.is_some() && own == disk::identity(&now))
            })
        };
        let mut names =
            (1..ASIDE_MAX).map(|number| self.directory.join(format!("parlor.db.old-{number}")));
        let free = names.find(is_usable);
        free.ok_or_else(|| DataError::Exists(self.directory.join("parlor.db.old-1")))
    }
}

impl Drop for NewStore {
    fn drop(&mut self) {
        let Some(file) = self.file.take() else { return };
        // Nothing can be done if this fails.
        for ending in ["", JOURNAL, WAL, INDEX] {
            let _ = std::fs::remove_file(with(&file, ending));
        }
        if self.is_directory_new {
            let _ = std::fs::remove_file(self.directory.join("parlor.lock"));
            let _ = std::fs::remove_dir(&self.directory);
        }
    }
}

/// Writes to a file with its rollback journal in memory, because an incomplete file is thrown away.
fn write_alone<T>(file: &Path, write: impl FnOnce(&mut Connection) -> Result<T>) -> Result<T> {
    let mut db = Connection::open(file)?;
    sums::add_row_sum(&db)?;
    db.pragma_update(None, "journal_mode", "MEMORY")?;
    db.pragma_update(None, "synchronous", "OFF")?;
    // A journal that is merged may have texts that were deleted since.
    db.pragma_update(None, "secure_delete", true)?;
    db.pragma_update(None, "cache_size", -64 * 1024)?;
    schema::keep_statements(&db);
    let written = write(&mut db)?;
    db.close().map_err(|(_, error)| error)?;
    Ok(written)
}

/// Copies a store to a new file, as it is at one moment, also while a server uses it; checks the
/// copy, reports its faults, and tells `watch` how far it is. The file gets its name when it is whole, and on the disk.
///
/// # Errors
/// [`DataError`]; then there is no copy. A copy with faults is kept, because there may be no better
/// one.
pub fn backup(
    from: &Path,
    to: &Path,
    report: &mut dyn FnMut(BrokenRule),
    watch: TaskWatch<'_>,
) -> Result<Checked> {
    let from = database_of(from)?;
    refuse_what_is_there(to)?;
    let copy = AtomicFile::begin(to)?;
    watch(TaskProgress { part: "copying", done: 0, total: 0 });
    let damage = vacuum(&from, copy.part())?;
    // It is whole without a log. If its journal cannot be merged, the check says why.
    write_alone(copy.part(), |db| {
        match merge_journal(db) {
            Err(error) if !rows::is_damage(&error) => return Err(error.into()),
            Ok(()) | Err(_) => {}
        }
        Ok(loss::call_for_nothing(db)?)
    })?;
    copy.finish()?;
    // What is missing cannot be seen in the copy.
    let mut lost = find_losses(&from)?;
    lost.extend(damage.map(|what| BrokenRule { room: None, what: format!("the journal: {what}") }));
    let count = lost.len() as u64;
    lost.into_iter().for_each(&mut *report);
    let checked = check(to, report, watch)?;
    Ok(Checked { faults: checked.faults + count, ..checked })
}

/// The result of a restore or a repair.
#[derive(Debug)]
pub struct Restored {
    /// The check of the new store.
    pub checked: Checked,
    /// The new name of the store that was there before.
    pub old: Option<PathBuf>,
}

/// Puts a copy of a backup into a directory, with a new epoch, because what was said since is gone
/// and its numbers will be used again.
///
/// # Errors
/// [`DataError`]; then nothing is changed.
pub fn restore(backup: &Path, directory: &Path, epoch: &str) -> Result<Restored> {
    let backup = database_of(backup)?;
    for own in [FILE_NAME, NEW_NAME] {
        let file = disk::identity(&backup);
        if file.is_some() && file == disk::identity(&directory.join(own)) {
            return Err(DataError::Itself(backup));
        }
    }
    let mut new = NewStore::begin_in(directory)?;
    new.copy(&backup, epoch)?;
    new.finish(&mut |_| {})
}

/// Brings what the journal has into the tables, after an update to this version. If something is
/// damaged, nothing changes.
fn merge_journal(db: &mut Connection) -> rusqlite::Result<()> {
    let transaction = db.transaction()?;
    if schema::version(&transaction)? < schema::VERSION {
        schema::update(&transaction)?;
    }
    // A copy has no tail.
    merge_all(&transaction, &FoundTail::default())?;
    transaction.commit()
}

/// Copies everything in a database to an empty file, with what is in its tail alone. Returns what is
/// wrong with its journal.
fn vacuum(from: &Path, to: &Path) -> Result<Option<String>> {
    let not_text = || failed(to)(io::Error::other("its name is not in UTF-8"));
    let name = to.to_str().ok_or_else(not_text)?;
    let mut copied = 0;
    loop {
        copied += 1;
        let held = HeldTail::take(from).map_err(failed(from))?;
        let db = open_whole(from).map_err(|error| damaged(from, error))?;
        of_a_version_to_update(&db)?;
        db.execute("VACUUM INTO ?1", [name]).map_err(|error| damaged(from, error.into()))?;
        let read = write_alone(to, |copy| {
            let tail = held.read(copy)?;
            let has_journal = schema::version(copy)? > schema::OLDEST;
            let damage = if has_journal { journal::copy_tail(copy, &tail)? } else { None };
            Ok((tail.is_missing, damage))
        });
        match read {
            // Another one was begun meanwhile.
            Ok((true, _)) if copied < OPENED_MAX => {
                let file = File::options().write(true).open(to).map_err(failed(to))?;
                file.set_len(0).map_err(failed(to))?;
            }
            Ok((true, _)) => return Ok(Some("it is not there, or is another one".into())),
            Ok((false, damage)) => return Ok(damage),
            Err(DataError::Database(error)) if rows::is_damage(&error) => {
                return Ok(Some(rows::what(&error)));
            }
            Err(error) => return Err(error),
        }
    }
}

/// Lets SQLite bring a database's write-ahead log into its file. If that fails, the log stays as it
/// is.
fn fold_log(file: &Path) {
    if let Ok(db) = Connection::open(file) {
        let _ = db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |_| Ok(()));
    }
}

/// Refuses to make a new file where one exists, or the log of one, which would be taken for the new
/// one's.
fn refuse_what_is_there(file: &Path) -> Result<()> {
    if file.symlink_metadata().is_ok() {
        return Err(DataError::Exists(file.to_owned()));
    }
    integrity::log_beside(file).map_or(Ok(()), |log| Err(DataError::LeftOver(log)))
}

fn remove(file: &Path) -> Result<()> {
    disk::remove(file).map_err(failed(file))
}
