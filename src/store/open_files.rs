//! Whether the files that a server has open still have their names.
//!
//! If somebody moves, removes or replaces the directory of a running server, SQLite goes on writing
//! into files without a name, and what it acknowledges is gone with the process. So the names are
//! checked before each commit that writes to the log (before a thread begins one that merges), and once a
//! second. This uses `statx`: to open the
//! database's file a second time, and close it, would release SQLite's locks on it (fcntl(2)).
//!
//! Before a commit to the tail alone, the tail and the directory are: as long as that has not changed, its
//! names mean what they meant.

use super::disk::{
    DirectoryState, FileIdentity, directory_state, folder_of, identity, identity_and_len, real,
};
use super::integrity::{WAL, with};
use super::schema::LOG_KEPT_BYTES;
use super::tail::TailWriter;
use crate::base::limits::{DIRECTORY_SETTLES_MS, FILES_CHECKED_MS, SPACE_MEASURED_MS};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Space on a disk, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// What may still be written.
    pub free: u64,
    /// The size of the disk.
    pub total: u64,
}

impl Space {
    /// That of the disk on which a file or a directory is, if the system can tell.
    #[must_use]
    pub fn of(path: &Path) -> Option<Space> {
        let found = rustix::fs::statvfs(path).ok()?;
        let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
        Some(Space { free: bytes(found.f_bavail), total: bytes(found.f_blocks) })
    }
}

/// What the reactor is told of the files.
#[derive(Debug, Default)]
pub(super) struct FilesStatus {
    is_lost: AtomicBool,
    free: AtomicU64,
    /// 0 until it is known.
    total: AtomicU64,
}

impl FilesStatus {
    pub(super) fn is_lost(&self) -> bool {
        self.is_lost.load(Ordering::Relaxed)
    }

    pub(super) fn space(&self) -> Option<Space> {
        let (free, total) = (self.free.load(Ordering::Relaxed), self.total.load(Ordering::Relaxed));
        (total > 0).then_some(Space { free, total })
    }
}

/// A file's name, and its identity when it was opened; `None` if it was not there.
#[derive(Debug)]
struct NamedFile {
    path: PathBuf,
    known: Option<FileIdentity>,
    /// It has at least this many bytes.
    bytes_min: u64,
}

impl NamedFile {
    fn new(path: PathBuf) -> NamedFile {
        let known = identity(&path);
        NamedFile { path, known, bytes_min: 0 }
    }

    /// Whether its name means another file, or none. If the system cannot tell, it may still be
    /// there.
    fn is_lost(&self) -> bool {
        let Some(known) = self.known else { return false };
        match identity_and_len(&self.path) {
            Ok((identity, len)) => identity != known || len < self.bytes_min,
            Err(error) => matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory),
        }
    }
}

/// The directory that has all files.
#[derive(Debug)]
struct Directory {
    path: PathBuf,
    /// What the last look saw, and when another look last saw something else.
    seen: Option<DirectoryState>,
    changed: Duration,
}

impl Directory {
    /// Whether none of its names has changed since all files were `checked`. Two changes can have the
    /// same time, if it is coarse: so that is true only if they were checked a while after the first.
    fn is_unchanged(&mut self, now: Duration, checked: Duration) -> bool {
        // Where times have whole seconds, they tell too little.
        let found = directory_state(&self.path).ok().filter(|(_, (_, nanos))| *nanos != 0);
        if found.is_none() || found != self.seen {
            (self.seen, self.changed) = (found, now);
        }
        let settled = self.changed + Duration::from_millis(DIRECTORY_SETTLES_MS);
        found.is_some() && checked >= settled
    }
}

/// The files of an open store.
#[derive(Debug)]
pub(super) struct OpenFiles {
    /// `None` if they are not all in one, as links lead elsewhere.
    directory: Option<Directory>,
    lock: NamedFile,
    /// Under its name in the directory, which may be a link.
    file: NamedFile,
    /// Beside the file itself. It exists from the first commit until the end.
    log: NamedFile,
    /// As long as commits go there.
    tail: Option<NamedFile>,
    /// When all of them were checked.
    checked: Duration,
    /// When the space on the disk was measured.
    measured: Duration,
    seen: Arc<FilesStatus>,
}

impl OpenFiles {
    /// The files of a locked directory whose database is open.
    pub(super) fn new(lock: &Path, file: &Path, seen: Arc<FilesStatus>) -> OpenFiles {
        let log = with(&real(file), WAL);
        let folder = folder_of(file);
        let is_one = folder_of(&log) == real(folder) && !lock.is_symlink();
        let directory = Directory { path: folder.to_owned(), seen: None, changed: Duration::ZERO };
        let held = OpenFiles {
            directory: is_one.then_some(directory),
            lock: NamedFile::new(lock.to_owned()),
            file: NamedFile::new(file.to_owned()),
            log: NamedFile::new(log),
            tail: None,
            checked: Duration::ZERO,
            measured: Duration::ZERO,
            seen,
        };
        held.measure_space();
        held
    }

    /// The database.
    pub(super) fn database(&self) -> &Path {
        &self.file.path
    }

    /// Looks how much space the disk has. If the system cannot tell, nothing changes.
    fn measure_space(&self) {
        if let Some(Space { free, total }) = Space::of(&self.file.path) {
            self.seen.free.store(free, Ordering::Relaxed);
            self.seen.total.store(total, Ordering::Relaxed);
        }
    }

    fn measure_space_again(&mut self, now: Duration) {
        if now.saturating_sub(self.measured) >= Duration::from_millis(SPACE_MEASURED_MS) {
            self.measured = now;
            self.measure_space();
        }
    }

    /// Looks whether the files are still there, and logs when that has changed. Returns whether one
    /// is not. `now` is the time since a fixed moment.
    pub(super) fn is_lost(&mut self, now: Duration) -> bool {
        self.measure_space_again(now);
        self.checked = now;
        let named = [&self.lock, &self.file, &self.log].into_iter().chain(&self.tail);
        let lost = named.into_iter().find(|named| named.is_lost());
        let was_lost = self.seen.is_lost.swap(lost.is_some(), Ordering::Relaxed);
        match lost {
            Some(NamedFile { path, .. }) if !was_lost => log::error!(
                "{} is not the file any more that this server has open: it was moved, removed, cut or replaced. Nothing is \
                 stored until it is back; otherwise stop the server, and bring back what is missing",
                path.display()
            ),
            None if was_lost => {
                log::warn!(
                    "the files of the data are back where they were: what comes is stored again"
                );
            }
            Some(_) | None => {}
        }
        lost.is_some()
    }

    /// As [`OpenFiles::is_lost`], before something that goes to the tail alone.
    pub(super) fn is_tail_lost(&mut self, now: Duration) -> bool {
        self.measure_space_again(now);
        let is_known = !self.seen.is_lost()
            && now.saturating_sub(self.checked) < Duration::from_millis(FILES_CHECKED_MS)
            && self.tail.as_ref().is_some_and(|tail| !tail.is_lost())
            && self.directory.as_mut().is_some_and(|held| held.is_unchanged(now, self.checked));
        !is_known && self.is_lost(now)
    }

    /// Something was committed: it is in the log. Only SQLite cuts the log, and not to less than
    /// this.
    pub(super) fn committed(&mut self) {
        let kept = u64::from(LOG_KEPT_BYTES);
        if self.log.bytes_min == kept {
            return;
        }
        if self.log.known.is_none() {
            self.log = NamedFile::new(std::mem::take(&mut self.log.path));
        }
        if let Ok((_, len)) = identity_and_len(&self.log.path) {
            self.log.bytes_min = len.min(kept);
        }
    }

    /// The tail has so many bytes now that count.
    pub(super) fn has_tail(&mut self, tail: &TailWriter) {
        let named = self.tail.get_or_insert_with(|| {
            let (path, known) = (tail.path().to_owned(), Some(tail.identity()));
            NamedFile { path, known, bytes_min: 0 }
        });
        named.bytes_min = tail.bytes();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_log_of_a_file_that_a_link_leads_to_is_watched_and_what_cannot_be_looked_at_is_not_lost()
    {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["data", "real"] {
            fs::create_dir(at(name)).unwrap();
        }
        for name in ["data/parlor.lock", "real/x.db", "real/x.db-wal"] {
            fs::write(at(name), name).unwrap();
        }
        symlink(at("real/x.db"), at("data/parlor.db")).unwrap();
        let flag = Arc::default();
        let mut held = OpenFiles::new(&at("data/parlor.lock"), &at("data/parlor.db"), flag);
        assert!(!held.is_lost(Duration::ZERO));
        fs::set_permissions(at("data"), fs::Permissions::from_mode(0o000)).unwrap();
        assert!(!held.is_lost(Duration::ZERO));
        fs::set_permissions(at("data"), fs::Permissions::from_mode(0o700)).unwrap();
        fs::rename(at("real/x.db-wal"), at("aside")).unwrap();
        assert!(held.is_lost(Duration::ZERO));
        fs::rename(at("aside"), at("real/x.db-wal")).unwrap();
        fs::rename(at("real/x.db"), at("aside")).unwrap();
        assert!(held.is_lost(Duration::ZERO));
    }

    #[test]
    fn the_space_is_measured_again_after_a_while() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["parlor.lock", "parlor.db"] {
            fs::write(at(name), name).unwrap();
        }
        let seen = Arc::new(FilesStatus::default());
        let mut held = OpenFiles::new(&at("parlor.lock"), &at("parlor.db"), Arc::clone(&seen));
        let false_total = 1;
        for (ms, is_measured) in [(SPACE_MEASURED_MS - 1, false), (SPACE_MEASURED_MS, true)] {
            seen.total.store(false_total, Ordering::Relaxed);
            assert!(!held.is_lost(Duration::from_millis(ms)));
            assert_eq!(seen.total.load(Ordering::Relaxed) != false_total, is_measured, "{ms} ms");
        }
    }

    #[test]
    fn it_is_noticed_when_a_name_means_another_file_and_when_it_is_back() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["parlor.lock", "parlor.db"] {
            fs::write(at(name), name).unwrap();
        }
        let seen = Arc::new(FilesStatus::default());
        let mut held = OpenFiles::new(&at("parlor.lock"), &at("parlor.db"), Arc::clone(&seen));
        let Some(Space { free, total }) = seen.space() else { panic!("a disk has a size") };
        assert!(free <= total);
        assert!(!held.is_lost(Duration::ZERO));
        fs::write(at("parlor.db-wal"), "log").unwrap();
        assert!(!held.is_lost(Duration::ZERO), "it was not there at first");
        held.committed();
        for name in ["parlor.lock", "parlor.db", "parlor.db-wal"] {
            fs::rename(at(name), at("aside")).unwrap();
            assert!(held.is_lost(Duration::ZERO) && seen.is_lost(), "{name} is gone");
            fs::write(at(name), "another").unwrap();
            assert!(held.is_lost(Duration::ZERO), "{name} is another");
            fs::rename(at("aside"), at(name)).unwrap();
            assert!(!held.is_lost(Duration::ZERO) && !seen.is_lost(), "{name} is back");
        }
        fs::write(at("parlor.db-wal"), "").unwrap();
        assert!(held.is_lost(Duration::ZERO), "it was cut");
    }

    #[test]
    fn a_commit_to_the_tail_notices_each_name_that_means_another_file() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let names = ["parlor.lock", "parlor.db", "parlor.db-wal", "parlor.db-tail"];
        for name in names {
            fs::write(at(name), name).unwrap();
        }
        let mut held = OpenFiles::new(&at("parlor.lock"), &at("parlor.db"), Arc::default());
        held.tail = Some(NamedFile::new(at("parlor.db-tail")));
        held.committed();
        let mut ms = 0;
        let mut is_lost_after = |held: &mut OpenFiles, more| {
            ms += more;
            held.is_tail_lost(Duration::from_millis(ms))
        };
        assert!(!is_lost_after(&mut held, 1) && !is_lost_after(&mut held, DIRECTORY_SETTLES_MS));
        let checked = held.checked;
        assert!(!is_lost_after(&mut held, 1));
        assert_eq!(held.checked, checked, "the directory has not changed for a while");
        for name in names {
            fs::rename(at(name), at("aside")).unwrap();
            assert!(is_lost_after(&mut held, 1), "{name} is gone");
            fs::write(at(name), "another file").unwrap();
            assert!(is_lost_after(&mut held, DIRECTORY_SETTLES_MS), "{name} is another");
            fs::rename(at("aside"), at(name)).unwrap();
            assert!(!is_lost_after(&mut held, DIRECTORY_SETTLES_MS), "{name} is back");
            // The next change may have the time of this one, and is noticed all the same.
            let checked = held.checked;
            assert!(!is_lost_after(&mut held, 1) && held.checked > checked);
            assert!(!is_lost_after(&mut held, DIRECTORY_SETTLES_MS));
            let checked = held.checked;
            assert!(!is_lost_after(&mut held, 1) && held.checked == checked);
        }
        held.tail.as_mut().unwrap().bytes_min = 99;
        assert!(is_lost_after(&mut held, 1), "the tail was cut");
        held.tail.as_mut().unwrap().bytes_min = 0;
        assert!(!is_lost_after(&mut held, FILES_CHECKED_MS));
        assert!(!is_lost_after(&mut held, DIRECTORY_SETTLES_MS));
        fs::write(at("parlor.db-wal"), "").unwrap();
        assert!(!is_lost_after(&mut held, 1) && held.is_lost(Duration::from_secs(9)));
        fs::write(at("parlor.db-wal"), "parlor.db-wal").unwrap();
        assert!(!held.is_lost(Duration::from_secs(9)));
        fs::write(at("parlor.db-wal"), "").unwrap();
        assert!(is_lost_after(&mut held, FILES_CHECKED_MS + 9_000), "at the latest after a second");
    }
}
