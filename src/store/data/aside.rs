//! A file that has its name only when it is whole: it is written beside it, under that name and `.part`.

use super::{DataError, Result};
use crate::store::whole::{identity, with};
use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// How the name of what is not whole ends.
const PART: &str = ".part";

/// A file that is being written. Dropped before it is [finished](Aside::finish) it leaves nothing behind; what a kill
/// leaves behind the next one takes away.
#[derive(Debug)]
pub struct Aside {
    place: PathBuf,
    part: PathBuf,
    /// Locked: nobody else writes to it, or takes it away.
    file: File,
    is_finished: bool,
}

impl Aside {
    /// An empty file that is to become `place`, for its owner alone.
    ///
    /// # Errors
    /// [`DataError::Exists`] if it is there, or is being written by somebody else.
    pub fn begin(place: &Path) -> Result<Aside> {
        if place.symlink_metadata().is_ok() {
            return Err(DataError::Exists(place.to_owned()));
        }
        let part = with(place, PART);
        let failed = |error| DataError::File(part.clone(), error);
        let mut options = File::options();
        let options = options.read(true).write(true).create(true).truncate(false);
        let file = options.mode(0o600).open(&part).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(DataError::Exists(part)),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        // Whoever had it until now may just have given it its name.
        let own = file.metadata().map_err(failed)?;
        if identity(&part) != Some((own.dev(), own.ino())) || place.symlink_metadata().is_ok() {
            return Err(DataError::Exists(place.to_owned()));
        }
        file.set_len(0).map_err(failed)?;
        Ok(Aside { place: place.to_owned(), part, file, is_finished: false })
    }

    /// Where it is written.
    #[must_use]
    pub fn part(&self) -> &Path {
        &self.part
    }

    /// To write to.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Brings it to the disk, and gives it its name.
    ///
    /// # Errors
    /// [`DataError::Exists`] if the name is taken by now; what the system says. Then there is no file.
    pub fn finish(mut self) -> Result<()> {
        let failed = |error| DataError::File(self.place.clone(), error);
        self.file.sync_all().map_err(failed)?;
        // A link takes no other file's place.
        match std::fs::hard_link(&self.part, &self.place) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(DataError::Exists(self.place.clone()));
            }
            // Where there are no links.
            Err(_) if self.place.symlink_metadata().is_err() => {
                std::fs::rename(&self.part, &self.place).map_err(failed)?;
            }
            Err(error) => return Err(failed(error)),
        }
        self.is_finished = true;
        let _ = std::fs::remove_file(&self.part);
        let folder = self.place.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        // The name is to last, too.
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        if !self.is_finished {
            // Nothing can be done where it fails.
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
        let aside = Aside::begin(&place).unwrap();
        aside.file().write_all(b"half").unwrap();
        assert!(!place.exists() && aside.part().exists());
        assert!(matches!(Aside::begin(&place), Err(DataError::Exists(_))), "it is being written");
        drop(aside);
        assert_eq!(names(), 0);
        // A kill leaves what the next one does not go on with.
        fs::write(folder.path().join("a.db.part"), "left by a kill").unwrap();
        let aside = Aside::begin(&place).unwrap();
        aside.file().write_all(b"whole").unwrap();
        aside.finish().unwrap();
        assert_eq!((fs::read(&place).unwrap(), names()), (b"whole".to_vec(), 1));
        assert!(matches!(Aside::begin(&place), Err(DataError::Exists(_))));
        fs::remove_file(&place).unwrap();
        let aside = Aside::begin(&place).unwrap();
        fs::write(&place, "somebody else's").unwrap();
        assert!(matches!(aside.finish(), Err(DataError::Exists(_))));
        assert_eq!((fs::read(&place).unwrap(), names()), (b"somebody else's".to_vec(), 1));
    }
}
