//! Opens a database: looks at its files and its mark first, and logs what is lost.

use super::events::EventsWanted;
use super::hot::HotRooms;
use super::integrity::{self, FILE_NAME, Served};
use super::journal::JournalExtent;
use super::loss::{self, Loss, StoreTraces};
use super::mark::{Heads, Mark, MarkContent};
use super::merge::{WholeJournal, merge_all};
use super::snapshot::{StartReaders, readers, snapshot};
use super::store::OpenError;
use super::tail::{self, FoundTail, HeldTail};
use super::{rows, schema, sums};
use crate::base::Snapshot;
use crate::base::limits::LOSSES_SHOWN_MAX;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, TransactionBehavior};
use std::cell::Cell;
use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// What is known of a database's files before SQLite has seen them.
pub(super) struct Files {
    pub(super) file: PathBuf,
    seen: StoreTraces,
    log_damaged_at: Option<u64>,
    /// A loss was logged, so the mark that was there is known to be of another epoch.
    is_loss_told: Cell<bool>,
}

impl Files {
    /// Whether something was lost. A power loss may leave a damaged log behind a sound tail: then the
    /// mark tells that all is there.
    fn has_lost(&self, loss: Option<&Loss>, epoch: &str) -> bool {
        let is_sure = self.seen.has_mark() && !self.seen.has_strange_mark(epoch);
        if let Some(at) = self.log_damaged_at.filter(|_| loss.is_none() && is_sure) {
            log::warn!(at; "the write-ahead log is damaged, and nothing is missing by the mark");
        }
        loss.is_some() || (self.log_damaged_at.is_some() && !is_sure)
    }

    /// Logs what was lost.
    fn tell(&self, loss: Option<&Loss>) {
        if let Some(at) = self.log_damaged_at {
            log::error!(
                at; "the write-ahead log is damaged: what was committed behind that is lost, and the epoch is a new \
                one, as its numbers will be used again"
            );
        }
        let Some(loss) = loss else { return };
        log::error!("{loss}. The epoch is a new one, as numbers may be used again");
        for missing in loss.missing().iter().take(LOSSES_SHOWN_MAX) {
            log::error!("{missing}");
        }
        match loss.missing().len().saturating_sub(LOSSES_SHOWN_MAX) {
            0 => {}
            more => log::error!(more; "entries of more logs are lost"),
        }
    }

    /// Begins the mark of a database that was read.
    pub(super) fn mark(
        &self,
        db: &Connection,
        epoch: &str,
        commits: u64,
    ) -> Result<Option<Mark>, OpenError> {
        if self.seen.has_strange_mark(epoch) && !self.is_loss_told.get() {
            log::warn!("the mark of the data is of another store, or damaged: a new one is begun");
        }
        let failed = |error| OpenError::Directory(self.file.clone(), error);
        loss::sync_what_was_read(&self.file).map_err(failed)?;
        let count = loss::count(db)?;
        let in_file = self.seen.in_file.unwrap_or_default();
        let said = MarkContent {
            epoch: epoch.to_owned(),
            in_file: in_file.noted,
            begun: commits,
            commits,
            heads: Heads::new(),
        };
        let is_log_called_for = count.calls_for_log && in_file.calls_for_log;
        let mark = Mark::begin(&self.file, said, is_log_called_for);
        if let Err(error) = &mark {
            log::warn!(
                "no mark can be kept beside the data: {error}. If the write-ahead log is lost, a start may not \
                notice"
            );
        }
        Ok(mark.ok())
    }
}

/// What a start has of a store.
pub(super) struct BegunStore {
    pub(super) snapshot: Snapshot,
    /// What the journal has, if the disk is too full to merge it.
    pub(super) hot: HotRooms,
    /// The number of the newest commit.
    pub(super) commits: u64,
    /// Whether the database names no tail.
    pub(super) is_merged: bool,
}

/// Makes a database ready, and reads everything but its logs. It reads before it writes, so that a
/// server that refuses to start changes nothing.
pub(super) fn begin(
    db: &mut Connection,
    epoch: &str,
    wanted: &EventsWanted<'_>,
    files: Option<&Files>,
) -> Result<BegunStore, OpenError> {
    sums::add_row_sum(db)?;
    schema::configure(db)?;
    let wrong_version = |version| {
        let is_newer = version > schema::VERSION;
        if is_newer { OpenError::Newer { version } } else { OpenError::Older { version } }
    };
    let found = match schema::version(db)? {
        0 => None,
        version @ schema::OLDEST..=schema::VERSION => {
            if let Some(Files { file, seen, .. }) = files
                && let Some(fault) = seen.mixture(db, file)?
            {
                return Err(OpenError::Damaged(file.clone(), fault.to_string()));
            }
            Some(up_to_date(db, (version, epoch), wanted, files)?)
        }
        other => return Err(wrong_version(other)),
    };
    db.pragma_update(None, "journal_mode", "WAL")?;
    match found {
        Some((begun, has_lost)) => {
            schema::add_indexes(db)?;
            if let Some(files) = files
                && (has_lost || files.log_damaged_at.is_some())
            {
                // So that what is behind the damage is not taken for lost again, and the new epoch
                // is not only in the log.
                db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |_| Ok(()))?;
                files.is_loss_told.set(has_lost);
            }
            Ok(begun)
        }
        None => {
            schema::prepare(db, epoch)?.map_err(wrong_version)?;
            schema::add_indexes(db)?;
            let snapshot = snapshot(db, StartReaders::default(), wanted)?;
            let hot = HotRooms::default();
            Ok(BegunStore { snapshot, hot, commits: 0, is_merged: true })
        }
    }
}

/// Updates the file, if it is of an older version, and brings what the journal has into the tables;
/// then reads everything but the logs. If something was lost, it logs that, and gives the store its
/// new epoch in the same transaction. If something is damaged, nothing is changed. Returns whether
/// something was lost.
fn up_to_date(
    db: &mut Connection,
    (version, epoch): (u32, &str),
    wanted: &EventsWanted<'_>,
    files: Option<&Files>,
) -> Result<(BegunStore, bool), OpenError> {
    let calls_for_log = loss::count(db)?.calls_for_log;
    tail::named(db)?;
    let tail = match files {
        Some(Files { file, .. }) => {
            let held = HeldTail::take(file);
            held.map_err(|error| OpenError::Directory(file.clone(), error))?.read(db)?
        }
        None => FoundTail::default(),
    };
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if version < schema::VERSION {
        schema::update(&transaction)?;
    }
    let WholeJournal { extent, late: merged } = merge_all(&transaction, &tail)?;
    let is_unchanged = version == schema::VERSION && merged.is_none();
    let readers = match files {
        // Other connections see only what is committed: not what the journal had.
        Some(files) if version == schema::VERSION => {
            let changed = merged.iter().flat_map(HotRooms::ids).collect();
            readers(&transaction, &files.file, changed)?
        }
        _ => StartReaders::default(),
    };
    let mut snapshot = snapshot(&transaction, readers, wanted)?;
    let loss_of = |files: &Files| files.seen.loss_of(&transaction, &tail, extent, calls_for_log);
    let loss = files.map(loss_of).transpose()?.flatten();
    let has_lost = files.is_some_and(|files| files.has_lost(loss.as_ref(), &snapshot.epoch));
    if has_lost && let Some(files) = files {
        files.tell(loss.as_ref());
        schema::set_epoch(&transaction, epoch)?;
        loss::call_for_nothing(&transaction)?;
        snapshot.epoch = epoch.to_owned();
        for stream in &mut snapshot.streams {
            stream.epoch = epoch.into();
        }
    }
    let JournalExtent { newest, .. } = extent;
    let commits = newest + u64::from(merged.is_some());
    let hot = HotRooms::default();
    let mut found = BegunStore { snapshot, hot, commits, is_merged: true };
    if is_unchanged && !has_lost {
        return Ok((found, false));
    }
    match (transaction.commit(), merged) {
        (Ok(()), _) => {}
        (Err(error), Some(hot))
            if version == schema::VERSION && !has_lost && !rows::is_damage(&error) =>
        {
            log::warn!("the journal is not merged yet: {error}");
            (found.hot, found.commits, found.is_merged) = (hot, newest, false);
        }
        (Err(error), _) => return Err(error.into()),
    }
    Ok((found, has_lost))
}

/// Opens the database of a locked directory. Files that are not whole, or not of one store, are
/// left as they are.
pub(super) fn open_in(directory: &Path) -> Result<(Connection, Served, Files), OpenError> {
    let file = directory.join(FILE_NAME);
    let failed = |error| OpenError::Directory(file.clone(), error);
    integrity::settle(&file).map_err(failed)?;
    if let Some(fault) = integrity::fault(&file).map_err(failed)? {
        return Err(OpenError::Damaged(file.clone(), fault.to_string()));
    }
    let has_log = integrity::log_beside(&file).is_some();
    let log_damaged_at = integrity::log_damaged_at(&file).map_err(failed)?;
    let seen = StoreTraces::read(&file).map_err(failed)?;
    // SQLite would let everybody read a file that it creates. Its other files get this one's mode.
    File::options().append(true).create(true).mode(0o600).open(&file).map_err(failed)?;
    let db = Connection::open(&file)?;
    // If what is read now is damaged, closing must not bring its log into it and delete the log.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, has_log)?;
    let served = Served::new(&file);
    Ok((db, served, Files { file, seen, log_damaged_at, is_loss_told: Cell::new(false) }))
}

#[cfg(test)]
mod tests {
    use super::super::record_store::RecordStore;
    use super::super::store::{Place, Store};
    use super::*;
    use crate::base::{Body, Record, RoomId, Timestamp, UserId};
    use std::fs;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    fn open(folder: &Path) -> Result<(Store, Snapshot), OpenError> {
        Store::open(&Place::Directory(folder.to_owned()), "epoch", || {})
    }

    /// A store with so many rooms that several connections read it, each with two members, and a third of
    /// them with a message; and its files as they are if it is killed before it merges.
    fn ended_and_killed() -> (tempfile::TempDir, PathBuf, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let (ended, killed) = (folder.path().join("ended"), folder.path().join("killed"));
        let (wake, woken) = channel();
        let wake = move || {
            let _ = wake.send(());
        };
        let (mut store, _) = Store::open(&Place::Directory(ended.clone()), "epoch", wake).unwrap();
        let (mut ticket, mut told) = (0, 0);
        for number in 0..60 {
            let room = RoomId::parse(&format!("room{number}")).unwrap();
            let user = |name| UserId::parse(name).unwrap();
            let join = |name| Record::Join { room: room.clone(), user: user(name), by: None };
            let body = Body { text: "x".into(), data: None, reply_to: None };
            let (from, room) = (user("ada"), room.clone());
            let say = Record::Message { room, from, to: None, body, cid: None };
            let has_message = number % 3 == 0;
            for record in
                [join("ada"), join("bob"), say].into_iter().take(2 + usize::from(has_message))
            {
                ticket += 1;
                store.write(ticket, Timestamp(1), record).unwrap();
            }
        }
        while told < ticket {
            woken.recv_timeout(Duration::from_secs(10)).unwrap();
            told += store.told().len() as u64;
        }
        fs::create_dir(&killed).unwrap();
        for file in fs::read_dir(&ended).unwrap().map(|file| file.unwrap().path()) {
            fs::copy(&file, killed.join(file.file_name().unwrap())).unwrap();
        }
        drop(store);
        (folder, ended, killed)
    }

    #[test]
    fn a_start_finds_the_same_after_an_end_and_after_a_kill() {
        let (_folder, ended, killed) = ended_and_killed();
        let (_store, after_end) = open(&ended).unwrap();
        assert_eq!((after_end.rooms.len(), after_end.members.concat().len()), (60, 120));
        assert_eq!(after_end.rooms.iter().map(|room| room.messages).sum::<u64>(), 20);
        assert!(after_end.rooms.iter().all(|room| room.head == 2 + room.messages));
        let (_store, after_kill) = open(&killed).unwrap();
        assert!(after_kill.rooms == after_end.rooms);
        let members = |found: &Snapshot| {
            let all = found.members.concat().into_iter();
            let mut all: Vec<String> = all.map(|member| format!("{member:?}")).collect();
            all.sort();
            all
        };
        assert_eq!(members(&after_kill), members(&after_end));
    }

    #[test]
    fn a_start_that_several_read_refuses_what_is_damaged_and_leaves_it_as_it_is() {
        // After the kill, the journal changes room48, and not room49.
        for (is_killed, room) in [(false, 48), (false, 49), (true, 48), (true, 49)] {
            let (_folder, ended, killed) = ended_and_killed();
            let folder = if is_killed { killed } else { ended };
            let (file, log) = (folder.join(FILE_NAME), folder.join("parlor.db-wal"));
            let db = Connection::open(&file).unwrap();
            // As after a crash, the log stays.
            db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).unwrap();
            let harm = "DELETE FROM members WHERE user = 'bob' AND room = \
                 (SELECT id FROM rooms WHERE name = 'room' || ?1)";
            assert_eq!(db.execute(harm, [room]).unwrap(), 1);
            drop(db);
            let files = || [fs::read(&file).unwrap(), fs::read(&log).unwrap()];
            let before = files();
            for _ in 0..2 {
                let error = open(&folder).err().unwrap().to_string();
                let expected = format!("a row of a member of room room{room} is not there");
                assert!(error.contains(&expected), "{error}");
                assert!(files() == before);
            }
        }
    }
}
