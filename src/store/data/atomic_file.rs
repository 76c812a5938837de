//! A file that gets its name only when it is whole. Until then it is beside that place, with the
//! process's id and `.part` added to the name.

use super::{DataError, Result, exists_or_failed, failed};
use crate::store::disk::{self, folder_of};
use crate::store::integrity::{JOURNAL, with};
use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process;

/// The end of the name of an incomplete file.
const PART: &str = ".part";

/// A file that is being written. If it is dropped before it is [finished](AtomicFile::finish), it
/// leaves nothing behind. What a kill leaves behind, the next one removes.
#[derive(Debug)]
pub struct AtomicFile {
    place: PathBuf,
    part: PathBuf,
    file: File,
    is_finished: bool,
}

impl AtomicFile {
    /// Creates an empty file that is to become `place`, for its owner alone. It is always a new
    /// file: nothing is written through a link, or into what somebody else can read.
    ///
    /// # Errors
    /// [`DataError::Exists`] if `place` exists.
    pub fn begin(place: &Path) -> Result<AtomicFile> {
        if place.symlink_metadata().is_ok() {
            return Err(DataError::Exists(place.to_owned()));
        }
        forget_left(place);
        let part = part_of(place, process::id());
        let file = File::options().write(true).create_new(true).mode(0o600).open(&part);
        let file = file.map_err(exists_or_failed(&part))?;
        Ok(AtomicFile { place: place.to_owned(), part, file, is_finished: false })
    }

    /// The path at which it is written.
    #[must_use]
    pub fn part(&self) -> &Path {
        &self.part
    }

    /// The file to write to.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Syncs it to the disk, and gives it its name.
    ///
    /// # Errors
    /// [`DataError::Exists`] if the name is taken by now; an error of the system. Then there is no
    /// file.
    pub fn finish(mut self) -> Result<()> {
        self.file.sync_all().map_err(failed(&self.place))?;
        // A hard link replaces no other file.
        match std::fs::hard_link(&self.part, &self.place) {
            // The file system may have no hard links.
            Err(error)
                if error.kind() != io::ErrorKind::AlreadyExists
                    && self.place.symlink_metadata().is_err() =>
            {
                std::fs::rename(&self.part, &self.place).map_err(failed(&self.place))?;
            }
            other => other.map_err(exists_or_failed(&self.place))?,
        }
        self.is_finished = true;
        let _ = std::fs::remove_file(&self.part);
        // The name must last, too.
        disk::sync(folder_of(&self.place)).map_err(failed(&self.place))
    }
}

fn part_of(place: &Path, process: u32) -> PathBuf {
    with(place, &format!(".{process}{PART}"))
}

/// Removes what ended processes have left. It does no harm if that fails.
fn forget_left(place: &Path) {
    let Some(name) = place.file_name().and_then(|name| name.to_str()) else { return };
    let Ok(entries) = folder_of(place).read_dir() else { return };
    for entry in entries.flatten() {
        let other = entry.file_name();
        let process = other.to_str().and_then(|other| {
            // SQLite's journal of a copy has the copy's name.
            let other = other.strip_suffix(JOURNAL).unwrap_or(other);
            other.strip_prefix(name)?.strip_prefix('.')?.strip_suffix(PART)?.parse::<u32>().ok()
        });
        let processes = Path::new("/proc");
        let is_gone = |process: u32| !processes.join(process.to_string()).exists();
        if process.is_some_and(|process| processes.join("self").exists() && is_gone(process)) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        if !self.is_finished {
            // Nothing can be done if this fails.
            let _ = std::fs::remove_file(&self.part);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Write;

    #[test]
    fn it_has_its_name_when_it_is_whole_and_takes_no_others_place() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("a.db");
        let names = || folder.path().read_dir().unwrap().count();
        let new = AtomicFile::begin(&place).unwrap();
        new.file().write_all(b"half").unwrap();
        assert!(!place.exists() && new.part().exists());
        drop(new);
        assert_eq!(names(), 0);
        let new = AtomicFile::begin(&place).unwrap();
        new.file().write_all(b"whole").unwrap();
        new.finish().unwrap();
        assert_eq!((fs::read(&place).unwrap(), names()), (b"whole".to_vec(), 1));
        assert!(matches!(AtomicFile::begin(&place), Err(DataError::Exists(_))));
        fs::remove_file(&place).unwrap();
        let new = AtomicFile::begin(&place).unwrap();
        fs::write(&place, "somebody else's").unwrap();
        assert!(matches!(new.finish(), Err(DataError::Exists(_))));
        assert_eq!((fs::read(&place).unwrap(), names()), (b"somebody else's".to_vec(), 1));
    }

    #[test]
    fn what_was_left_is_taken_away_and_never_written_to() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("victim"), "untouched").unwrap();
        // No process has such a large id; process 1 is always there.
        let names = [
            "a.db.4294967295.part",
            "a.db.4294967295.part-journal",
            "a.db.1.part",
            "a.db.part",
            "b.db.4294967295.part",
        ];
        for name in names {
            symlink(at("victim"), at(name)).unwrap();
        }
        let new = AtomicFile::begin(&at("a.db")).unwrap();
        new.file().write_all(b"whole").unwrap();
        new.finish().unwrap();
        assert_eq!(fs::read(at("victim")).unwrap(), b"untouched");
        let made = at("a.db").symlink_metadata().unwrap();
        assert!(made.is_file() && made.permissions().mode() & 0o777 == 0o600);
        let left = |name: &&str| at(name).symlink_metadata().is_ok();
        assert_eq!(names.iter().copied().filter(|name| left(name)).count(), 3);
        // Another thread writes it, or somebody has put a link there.
        fs::remove_file(at("a.db")).unwrap();
        symlink(at("victim"), part_of(&at("a.db"), process::id())).unwrap();
        assert!(matches!(AtomicFile::begin(&at("a.db")), Err(DataError::Exists(_))));
    }
}
