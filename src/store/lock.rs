//! Only one process holds a data directory: a second one refuses to start and names the first.

use super::disk::{if_there, open};
use super::integrity::FILE_NAME;
use std::fs::{self, File, Metadata, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process;

const LOCK_NAME: &str = "parlor.lock";
/// What is read of it: a process's id and a newline, and room for more.
const PID_BYTES_MAX: u64 = 32;

/// Why the directory could not be locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds it.
    #[error("the data in {} is in use by {}", .directory.display(), holder(*.pid))]
    Held {
        /// The directory.
        directory: PathBuf,
        /// The process's id, if it could be read.
        pid: Option<u32>,
    },
    /// A file has other names, under which another server could write to it.
    #[error("{} is a link or has other names (hard links), under which another server could write to it: copy it to a file of its own, or link the whole directory", .0.display())]
    NotAlone(PathBuf),
    /// The system refuses.
    #[error("cannot use {}: {}", .0.display(), .1)]
    Io(PathBuf, io::Error),
}

/// Holds the directory until it is dropped. The system releases it when the process ends, however
/// it ends.
#[derive(Debug)]
pub(super) struct DirectoryLock {
    path: PathBuf,
    _file: File,
    /// The directory itself is locked, too, so that removing the lock's file lets nobody else in.
    _directory: File,
}

impl DirectoryLock {
    pub(super) fn take(directory: &Path) -> Result<DirectoryLock, LockError> {
        let path = directory.join(LOCK_NAME);
        // The lock must not be a link. The database may be one, to another disk, so its target is
        // checked.
        be_alone(&path, fs::symlink_metadata(&path), |_| 1)?;
        let database = directory.join(FILE_NAME);
        // A killed repair leaves a second name of the database in this directory.
        be_alone(&database, fs::metadata(&database), |found| names_in(directory, found))?;
        let held = |pid| LockError::Held { directory: directory.to_owned(), pid };
        let fail = |error| LockError::Io(path.clone(), error);
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut file = options.open(&path).map_err(fail)?;
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => {
                let mut text = String::new();
                let read = (&file).take(PID_BYTES_MAX).read_to_string(&mut text);
                held(read.ok().and_then(|_| text.trim().parse().ok()))
            }
            TryLockError::Error(error) => fail(error),
        })?;
        let of_directory = |error| LockError::Io(directory.to_owned(), error);
        let folder = File::open(directory).map_err(of_directory)?;
        folder.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => held(None),
            TryLockError::Error(error) => of_directory(error),
        })?;
        file.set_len(0).map_err(fail)?;
        file.rewind().map_err(fail)?;
        writeln!(file, "{}", process::id()).map_err(fail)?;
        Ok(DirectoryLock { path, _file: file, _directory: folder })
    }

    /// The lock's file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// The process that holds a directory, as far as the system tells it (`proc_locks(5)`): taking the
/// lock to see whether it is free could keep a server from its start. None is told of a process in
/// another namespace.
pub(super) fn holder_of(directory: &Path) -> Option<u32> {
    let path = directory.join(LOCK_NAME);
    let file = open(&path).ok()?;
    let inode = file.metadata().ok()?.ino().to_string();
    let mut text = String::new();
    file.take(PID_BYTES_MAX).read_to_string(&mut text).ok()?;
    let pid: u32 = text.trim().parse().ok()?;
    let is_its = |line: &str| {
        // 1: FLOCK ADVISORY WRITE 4711 08:01:1234 0 EOF
        let fields: Vec<&str> = line.split_whitespace().collect();
        let &[_, "FLOCK", _, _, of, file, ..] = &fields[..] else { return false };
        of.parse() == Ok(pid) && file.rsplit(':').next() == Some(&inode)
    };
    fs::read_to_string("/proc/locks").ok()?.lines().any(is_its).then_some(pid)
}

/// Refuses what is not a file, and a file with more than `names_max` names. A missing file is fine.
fn be_alone(
    path: &Path,
    found: io::Result<Metadata>,
    names_max: impl FnOnce(&Metadata) -> u64,
) -> Result<(), LockError> {
    let found = if_there(found).map_err(|error| LockError::Io(path.to_owned(), error))?;
    let is_alone = found.is_none_or(|found| {
        found.is_file() && (found.nlink() <= 1 || found.nlink() <= names_max(&found))
    });
    if is_alone { Ok(()) } else { Err(LockError::NotAlone(path.to_owned())) }
}

/// How many names a file has in a directory.
fn names_in(directory: &Path, file: &Metadata) -> u64 {
    let is_it = |other: &Metadata| (other.dev(), other.ino()) == (file.dev(), file.ino());
    let others = fs::read_dir(directory).into_iter().flatten().filter_map(Result::ok);
    others.filter_map(|other| other.metadata().ok()).filter(is_it).count() as u64
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(directory: &Path) -> Result<(), String> {
        DirectoryLock::take(directory).map(|_| ()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_database_that_another_directory_has_too_is_not_served_from_either() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let database = one.path().join(FILE_NAME);
        fs::write(&database, "data").unwrap();
        // As a killed repair leaves it.
        fs::hard_link(&database, one.path().join("parlor.db.old-1")).unwrap();
        assert_eq!(take(one.path()), Ok(()));
        fs::hard_link(&database, other.path().join(FILE_NAME)).unwrap();
        for directory in [&one, &other] {
            assert!(take(directory.path()).unwrap_err().contains("hard links"));
        }
    }

    #[test]
    fn who_holds_a_directory_is_told_and_it_stays_free_for_others() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(holder_of(folder.path()), None);
        let lock = DirectoryLock::take(folder.path()).unwrap();
        assert_eq!(holder_of(folder.path()), Some(process::id()));
        drop(lock);
        assert_eq!(holder_of(folder.path()), None);
        assert_eq!(take(folder.path()), Ok(()));
    }

    #[test]
    fn a_lock_that_is_another_file_is_refused_and_that_is_left_as_it_is() {
        for is_hard in [true, false] {
            let folder = tempfile::tempdir().unwrap();
            let (database, lock) =
                (folder.path().join(FILE_NAME), folder.path().join("parlor.lock"));
            fs::write(&database, "data").unwrap();
            match is_hard {
                true => fs::hard_link(&database, &lock).unwrap(),
                false => std::os::unix::fs::symlink(&database, &lock).unwrap(),
            }
            assert!(take(folder.path()).unwrap_err().contains("parlor.lock"));
            assert_eq!(fs::read_to_string(&database).unwrap(), "data");
        }
    }
}
