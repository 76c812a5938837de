//! One process holds a data directory: a second one refuses and names the first.

use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::{fmt, process};

/// Why the directory could not be had.
#[derive(Debug)]
pub enum LockError {
    /// Another process holds it.
    Held {
        /// The directory.
        directory: PathBuf,
        /// The process's id, if it could be read.
        pid: Option<u32>,
    },
    /// The system says no.
    Io(PathBuf, io::Error),
}

impl fmt::Display for LockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LockError::Held { directory, pid: Some(pid) } => {
                write!(f, "the data in {} is in use by process {pid}", directory.display())
            }
            LockError::Held { directory, pid: None } => {
                write!(f, "the data in {} is in use by another process", directory.display())
            }
            LockError::Io(path, error) => write!(f, "cannot use {}: {error}", path.display()),
        }
    }
}

impl std::error::Error for LockError {}

/// Holds the directory until it is dropped; the system lets go of it when the process ends,
/// however it ends.
#[derive(Debug)]
pub(super) struct DirectoryLock {
    path: PathBuf,
    _file: File,
    /// The directory itself: who removes the lock's file lets nobody else in.
    _directory: File,
}

impl DirectoryLock {
    pub(super) fn take(directory: &Path) -> Result<DirectoryLock, LockError> {
        let path = directory.join("parlor.lock");
        let fail = |error| LockError::Io(path.clone(), error);
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(fail)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                let read = file.read_to_string(&mut text);
                let pid = read.ok().and_then(|_| text.trim().parse().ok());
                return Err(LockError::Held { directory: directory.to_owned(), pid });
            }
            Err(TryLockError::Error(error)) => return Err(fail(error)),
        }
        let of_directory = |error| LockError::Io(directory.to_owned(), error);
        let held = File::open(directory).map_err(of_directory)?;
        match held.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(LockError::Held { directory: directory.to_owned(), pid: None });
            }
            Err(TryLockError::Error(error)) => return Err(of_directory(error)),
        }
        file.set_len(0).map_err(fail)?;
        file.rewind().map_err(fail)?;
        writeln!(file, "{}", process::id()).map_err(fail)?;
        Ok(DirectoryLock { path, _file: file, _directory: held })
    }

    /// The lock's file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}
