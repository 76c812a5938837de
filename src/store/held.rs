//! Whether the files that a server has open are still those that their names mean.
//!
//! Who moves, removes or replaces the folder of a running server takes nothing from it: SQLite writes on into files that
//! have no name any more, and what it acknowledges is gone with the process. So the names are looked at before each
//! commit, and once a second where there is none. It is done by `stat`: to open the database's file a second time, and
//! close it, would let go of SQLite's locks on it (fcntl(2)).

use super::whole::{WAL, identity, with};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

type Identity = (u64, u64);

/// The files of a store that is open.
#[derive(Debug)]
pub(super) struct Held {
    lock: (PathBuf, Option<Identity>),
    file: (PathBuf, Option<Identity>),
    /// It is there from the first commit on, and until the end.
    log: (PathBuf, Option<Identity>),
    /// For the reactor.
    is_lost: Arc<AtomicBool>,
}

impl Held {
    /// Those of a directory that is held, and whose database is open.
    pub(super) fn new(lock: &Path, file: &Path, is_lost: Arc<AtomicBool>) -> Held {
        let known = |path: &Path| (path.to_owned(), identity(path));
        Held { lock: known(lock), file: known(file), log: known(&with(file, WAL)), is_lost }
    }

    /// Looks whether they are still there; says so when that has changed. Tells whether one is not.
    pub(super) fn is_lost(&mut self) -> bool {
        let lost = self.lost();
        let was_lost = self.is_lost.swap(lost.is_some(), Ordering::Relaxed);
        match lost {
            Some(path) if !was_lost => log::error!(
                "{} is not the file any more that this server has open: it was moved, removed or replaced. Nothing is \
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

    fn lost(&self) -> Option<&Path> {
        let files = [&self.lock, &self.file, &self.log];
        let is_other = |(path, known): &&(PathBuf, Option<Identity>)| {
            known.is_some() && identity(path) != *known
        };
        files.into_iter().find(is_other).map(|(path, _)| path.as_path())
    }

    /// Something was committed: from now on the log is known.
    pub(super) fn committed(&mut self) {
        let (path, known) = &mut self.log;
        if known.is_none() {
            *known = identity(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn it_is_noticed_when_a_name_means_another_file_and_when_it_is_back() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["parlor.lock", "parlor.db"] {
            fs::write(at(name), name).unwrap();
        }
        let flag = Arc::new(AtomicBool::new(false));
        let mut held = Held::new(&at("parlor.lock"), &at("parlor.db"), Arc::clone(&flag));
        assert!(!held.is_lost());
        fs::write(at("parlor.db-wal"), "log").unwrap();
        assert!(!held.is_lost(), "it was not there at first");
        held.committed();
        for name in ["parlor.lock", "parlor.db", "parlor.db-wal"] {
            fs::rename(at(name), at("aside")).unwrap();
            assert!(held.is_lost() && flag.load(Ordering::Relaxed), "{name} is gone");
            fs::write(at(name), "another").unwrap();
            assert!(held.is_lost(), "{name} is another");
            fs::rename(at("aside"), at(name)).unwrap();
            assert!(!held.is_lost() && !flag.load(Ordering::Relaxed), "{name} is back");
        }
    }
}
