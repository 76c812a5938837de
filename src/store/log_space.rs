//! Space in the write-ahead log ahead of what SQLite writes there.
//!
//! A file system has to note each new length of a file, and where its new blocks are, so a sync of
//! bytes that are appended takes up to twice as long as one of bytes that are overwritten. SQLite
//! begins with an empty log, and overwrites it only when all of it was checkpointed. Until then the
//! log is lengthened here, with zeros, so that one commit in about thirty takes longer, and not
//! each. Where nothing is overwritten in its place, as on btrfs and ZFS, that gains nothing, and
//! costs these 16 MiB once. Zeros are no frame: their salts are not those of the log
//! (<https://www.sqlite.org/fileformat2.html#walformat>).

use super::disk::{self, FileIdentity};
use super::open_files::Space;
use super::schema::LOG_KEPT_BYTES;
use crate::base::limits::{LOG_AHEAD_BYTES, LOG_AHEAD_DISK_SHARE, LOG_AHEAD_FROM};
use std::fs::File;
use std::io::{self, Error, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::Path;

const HEAD_BYTES: u64 = 32;
const PAGE_BYTES: usize = 4_096;
/// A frame: its own head, and a page.
const FRAME_BYTES: u64 = 24 + PAGE_BYTES as u64;
/// It is lengthened when less is left.
const FRAMES_LEFT_MIN: u64 = 8;

/// Lengthens the log of an open database, until it has its full length once.
#[derive(Debug)]
pub(super) struct LogSpace {
    /// Open as long as the database, so that a server has as many files open before and after.
    log: Option<File>,
    /// It is long enough, or cannot be lengthened.
    is_done: bool,
}

impl LogSpace {
    pub(super) fn of(log: &Path) -> LogSpace {
        let log = File::options().read(true).write(true).open(log).ok();
        LogSpace { is_done: log.is_none(), log }
    }

    /// Lengthens the log, which has this identity and so many bytes, if it needs that. If it cannot,
    /// SQLite does.
    pub(super) fn lengthen(&mut self, (known, bytes): (FileIdentity, u64), space: Option<Space>) {
        if self.is_done || bytes < LOG_AHEAD_FROM {
            return;
        }
        let full = u64::from(LOG_KEPT_BYTES);
        self.is_done = bytes >= full;
        let has_space = space.is_some_and(|space| space.free / LOG_AHEAD_DISK_SHARE > full);
        if !self.is_done && has_space {
            self.is_done = self.lengthen_once((known, bytes)).is_err();
        }
    }

    fn lengthen_once(&self, known: (FileIdentity, u64)) -> io::Result<()> {
        let Some(file) = &self.log else { return Ok(()) };
        let (_, bytes) = known;
        if !is_used(file, bytes)? {
            return Ok(());
        }
        if disk::identity_and_len_of(file)? != known {
            return Err(Error::new(ErrorKind::InvalidData, "it is another file, or was cut"));
        }
        // Linux keeps what is written at once as one piece, and writes all of it to the disk again
        // when some of it changes.
        for at in (bytes..).step_by(PAGE_BYTES).take(LOG_AHEAD_BYTES / PAGE_BYTES) {
            file.write_all_at(&[0; PAGE_BYTES], at)?;
        }
        Ok(())
    }
}

/// Whether there is space for a few frames at most.
fn is_used(log: &File, bytes: u64) -> io::Result<bool> {
    let frames = bytes.saturating_sub(HEAD_BYTES) / FRAME_BYTES;
    let Some(frame) = frames.checked_sub(FRAMES_LEFT_MIN) else { return Ok(true) };
    // The number of its page, and of the pages after it: not both are 0.
    let mut head = [0; 8];
    log.read_exact_at(&mut head, HEAD_BYTES + frame * FRAME_BYTES)?;
    Ok(head != [0; 8])
}

#[cfg(test)]
mod tests {
    use super::super::{schema, wal};
    use super::*;
    use rusqlite::Connection;

    const FREE: Option<Space> = Some(Space { free: 1 << 40, total: 1 << 41 });

    /// A database with a log, and the log's path.
    fn database(folder: &Path) -> (Connection, std::path::PathBuf) {
        let db = Connection::open(folder.join("x.db")).unwrap();
        schema::configure(&db).unwrap();
        db.pragma_update(None, "journal_mode", "WAL").unwrap();
        db.execute_batch("CREATE TABLE x (y)").unwrap();
        (db, folder.join("x.db-wal"))
    }

    fn len(log: &Path) -> u64 {
        log.metadata().unwrap().len()
    }

    #[test]
    fn a_long_log_is_lengthened_before_it_is_written_and_reads_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let (db, log) = database(folder.path());
        let (mut space, mut lengthened, mut rows) = (LogSpace::of(&log), 0, 0);
        while len(&log) < 4 * LOG_AHEAD_FROM {
            let before = len(&log);
            db.execute("INSERT INTO x VALUES (zeroblob(3000))", ()).unwrap();
            rows += 1;
            let written = len(&log);
            assert!(
                written < LOG_AHEAD_FROM + 16_384 || written == before,
                "no commit lengthens it"
            );
            let (identity, _) = disk::identity_and_len(&log).unwrap();
            space.lengthen((identity, written), FREE);
            let grown = len(&log) - written;
            assert!(grown == 0 || grown == LOG_AHEAD_BYTES as u64);
            assert!(grown == 0 || written >= LOG_AHEAD_FROM, "a short one stays short");
            lengthened += usize::from(grown > 0);
        }
        assert_eq!(lengthened as u64, 3 * LOG_AHEAD_FROM / LOG_AHEAD_BYTES as u64);
        // Whoever comes to it after a kill finds all that was committed, and no damage.
        let pages: u32 = db.query_row("PRAGMA page_count", (), |row| row.get(0)).unwrap();
        assert_eq!(wal::committed(&log, 0).unwrap().unwrap().pages, pages);
        assert_eq!(wal::damaged_at(&log).unwrap(), None);
        let copy = folder.path().join("copy.db");
        std::fs::copy(folder.path().join("x.db"), &copy).unwrap();
        std::fs::copy(&log, folder.path().join("copy.db-wal")).unwrap();
        let copy = Connection::open(copy).unwrap();
        let found: u32 = copy.query_row("SELECT count(*) FROM x", (), |row| row.get(0)).unwrap();
        assert_eq!(found, rows);
    }

    #[test]
    fn it_is_left_alone_when_it_is_full_or_another_or_the_disk_is_nearly_full() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("x.db-wal");
        let full = u64::from(LOG_KEPT_BYTES);
        let little = Some(Space { free: LOG_AHEAD_DISK_SHARE * full, total: 1 << 41 });
        let from = LOG_AHEAD_FROM;
        for (bytes, said, space, is_done) in [
            (full, full, FREE, true),
            (from, from, little, false),
            (from, from, None, false),
            (from + 1, from, FREE, true),
        ] {
            std::fs::write(&log, vec![1; usize::try_from(bytes).unwrap()]).unwrap();
            let (identity, _) = disk::identity_and_len(&log).unwrap();
            let mut lengthens = LogSpace::of(&log);
            lengthens.lengthen((identity, said), space);
            assert_eq!(lengthens.is_done, is_done);
            assert_eq!(len(&log), bytes);
            lengthens.lengthen((identity, bytes), FREE);
            let is_longer = !is_done && bytes < full;
            assert_eq!(len(&log), bytes + u64::from(is_longer) * LOG_AHEAD_BYTES as u64);
        }
    }
}
