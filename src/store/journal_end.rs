//! Where an open store's journal goes on: in its [tail](super::tail), or in its table.

use super::disk::if_there;
use super::integrity::TAIL;
use super::journal;
use super::loss::{self, sync_log};
use super::tail::{self, JournalPlace, TailName, TailWriter};
use crate::base::limits::ROWS_KEPT_MAX;
use rusqlite::{Connection, Result, Transaction};
use std::path::PathBuf;

/// Adds the commits of an open store to its journal.
#[derive(Debug)]
pub(super) struct JournalEnd {
    /// The database.
    file: PathBuf,
    epoch: String,
    /// `None` until a commit has named it.
    tail: Option<TailWriter>,
    /// The tail that the next commit is to name. It stays if that fails, as its name may be in the log.
    made: Option<TailWriter>,
    /// The newest commit that does not merge.
    last: JournalPlace,
    /// The newest commit that an earlier tail may have; 0 if the database names none.
    earlier: u64,
    /// The oldest commit that the journal has, as the database says since there is a tail.
    noted: u64,
    /// A row or a record may be there although its commit has failed, so the next commit is a row
    /// with its number, or has one with it.
    is_in_doubt: bool,
    /// Until this commit no tail is made, as that has failed.
    made_from: u64,
}

impl JournalEnd {
    /// Goes on after the newest commit of a database that is open.
    pub(super) fn new(file: PathBuf, epoch: String, newest: u64, is_merged: bool) -> JournalEnd {
        JournalEnd {
            file,
            epoch,
            tail: None,
            made: None,
            last: JournalPlace { n: newest, is_record: false },
            earlier: if is_merged { 0 } else { newest },
            noted: 0,
            is_in_doubt: false,
            made_from: 0,
        }
    }

    pub(super) fn tail(&self) -> Option<&TailWriter> {
        self.tail.as_ref()
    }

    /// Whether commits that change rooms in memory alone go to the tail, if there is space.
    pub(super) fn takes_records(&self) -> bool {
        !self.is_in_doubt && self.tail.is_some()
    }

    /// Whether there is space for records of so many bytes.
    pub(super) fn has_space(&self, bytes: usize) -> bool {
        self.tail.as_ref().is_some_and(|tail| tail.has_space(bytes))
    }

    /// The number of the newest commit that does not merge.
    pub(super) fn newest(&self) -> u64 {
        self.last.n
    }

    /// Whether the tail is longer than it should be, as what it has is not merged fast enough.
    pub(super) fn is_too_long(&self) -> bool {
        self.tail.as_ref().is_some_and(TailWriter::is_too_long)
    }

    /// Whether what the tail has is to be merged, so that it does not grow.
    pub(super) fn is_long(&self) -> bool {
        self.tail.as_ref().is_some_and(TailWriter::is_long)
    }

    /// Commits records to the tail.
    pub(super) fn append(&mut self, n: u64, added: &str) -> Result<()> {
        let Some(tail) = &mut self.tail else { return Err(rusqlite::Error::InvalidQuery) };
        self.is_in_doubt = true;
        tail.append(n, self.last, added)?;
        self.is_in_doubt = false;
        self.last = JournalPlace { n, is_record: true };
        Ok(())
    }

    /// Commits a transaction, with a row for it. Nothing before the `oldest` commit is needed then.
    /// Returns the oldest that stays.
    pub(super) fn commit(
        &mut self,
        transaction: Transaction<'_>,
        n: u64,
        oldest: u64,
        added: &str,
    ) -> Result<u64> {
        // There is no commit 0.
        let oldest = oldest.max(1);
        journal::append(&transaction, n, added)?;
        // Until it is named no more, an earlier tail must be there.
        let is_earlier_done = self.earlier > 0 && oldest > self.earlier;
        if is_earlier_done {
            loss::note_no_tail(&transaction)?;
        }
        let is_begun = self.begin(&transaction, n, oldest)?;
        // What is noted is exactly what is there, so that a hole is seen. So that not each commit
        // notes it, some rows stay for a while.
        let stays = match &self.tail {
            Some(tail) if tail.newest() < self.noted && n - self.noted < ROWS_KEPT_MAX => {
                self.noted
            }
            _ => oldest,
        };
        journal::remove_before(&transaction, stays)?;
        if self.tail.is_some() && stays != self.noted {
            loss::note_oldest(&transaction, stays)?;
        }
        // If a merge has failed beside it, a record that is in doubt has a later number.
        let newest = self.tail.as_ref().map_or(n, |tail| tail.newest().max(n));
        for doubtful in n + 1..=newest {
            journal::append(&transaction, doubtful, journal::NO_RECORDS)?;
        }
        self.is_in_doubt = true;
        transaction.commit()?;
        self.is_in_doubt = false;
        if is_earlier_done {
            self.earlier = 0;
        }
        if is_begun {
            self.tail = self.made.take();
        }
        if self.tail.is_some() {
            self.noted = stays;
        }
        self.last = JournalPlace { n: newest, is_record: false };
        Ok(stays)
    }

    /// Names a tail, if there is none yet. Returns whether it does.
    fn begin(&mut self, db: &Connection, n: u64, oldest: u64) -> Result<bool> {
        if self.tail.is_some() || self.earlier > 0 || n < self.made_from {
            return Ok(false);
        }
        if self.made.is_none() {
            let name = TailName { epoch: self.epoch.clone(), begun: n };
            match TailWriter::begin(&self.file, name) {
                Ok(tail) => self.made = Some(tail),
                Err(error) => {
                    let file = self.file.display();
                    log::warn!("commits take longer, as {file}{TAIL} cannot be made: {error}");
                    self.made_from = n + ROWS_KEPT_MAX;
                    return Ok(false);
                }
            }
        }
        let Some(tail) = &self.made else { return Ok(false) };
        loss::note_tail(db, tail.begun(), oldest)?;
        Ok(true)
    }

    /// A transaction that merges may be in the log although it has failed.
    pub(super) fn failed_to_merge(&mut self) {
        self.is_in_doubt = true;
    }

    /// Commits before the `oldest` are in the tables, as the database says, and `is_all` if nothing
    /// else waits.
    pub(super) fn merged(&mut self, oldest: u64, is_all: bool) {
        self.noted = oldest;
        if !self.is_long() {
            return;
        }
        self.begin_again(false);
        if let Some(tail) = self.tail.as_mut().filter(|tail| is_all && tail.is_long()) {
            tail.goes_on();
        }
    }

    /// As [`JournalEnd::merged`], by a thread: what has come meanwhile waits.
    pub(super) fn merged_beside(&mut self, oldest: u64) {
        self.noted = oldest;
    }

    /// Nothing comes for now. What was said leaves the tail, if all of it is in the tables.
    pub(super) fn rest(&mut self) {
        if self.tail.as_ref().is_some_and(TailWriter::is_used) {
            self.begin_again(true);
        }
    }

    /// Writes the tail from its start again, if nothing of it is needed and nobody reads it.
    fn begin_again(&mut self, is_to_go: bool) {
        let is_done = |tail: &&mut TailWriter| tail.newest() < self.noted && tail.is_free();
        let Some(tail) = self.tail.as_mut().filter(is_done) else { return };
        // What merges is not synced.
        match sync_log(&self.file) {
            Ok(()) => tail.begin_again(is_to_go),
            Err(error) => log::warn!("the write-ahead log cannot be synced: {error}"),
        }
    }

    /// Ends in order, when all of the journal is in the tables: nothing needs the log and the tail.
    pub(super) fn end(&self, db: &Connection) {
        let said = db.unchecked_transaction().and_then(|transaction| {
            loss::call_for_nothing(&transaction)?;
            transaction.commit()
        });
        if let Err(error) = said {
            log::warn!("that the data need no log could not be said: {error}");
            return;
        }
        // If nothing had to be said, that was not synced; without a log there was nothing to sync.
        let synced = if_there(sync_log(&self.file)).map(drop);
        if let Err(error) = synced.and_then(|()| tail::remove(&self.file)) {
            log::warn!("{}{TAIL} cannot be removed: {error}", self.file.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{schema, sums};
    use std::path::Path;

    fn database(folder: &Path) -> (Connection, JournalEnd) {
        let file = folder.join("x.db");
        let mut db = Connection::open(&file).unwrap();
        sums::add_row_sum(&db).unwrap();
        schema::configure(&db).unwrap();
        db.pragma_update(None, "journal_mode", "WAL").unwrap();
        schema::prepare(&mut db, "life").unwrap().unwrap();
        (db, JournalEnd::new(file, "life".into(), 0, true))
    }

    fn commit(db: &Connection, end: &mut JournalEnd, n: u64, oldest: u64) -> Result<u64> {
        let transaction = db.unchecked_transaction().unwrap();
        end.commit(transaction, n, oldest, "[]")
    }

    fn rows(db: &Connection) -> Vec<i64> {
        let mut statement = db.prepare("SELECT n FROM journal ORDER BY n").unwrap();
        statement.query_map((), |row| row.get(0)).unwrap().collect::<Result<_>>().unwrap()
    }

    fn noted(db: &Connection) -> (u64, u64) {
        tail::named(db).unwrap().map_or((0, 0), |(name, oldest)| (name.begun, oldest))
    }

    #[test]
    fn after_a_commit_that_failed_no_record_gets_a_number_until_a_row_has_it() {
        let folder = tempfile::tempdir().unwrap();
        let (db, mut end) = database(folder.path());
        assert!(!end.takes_records(), "no tail is named");
        commit(&db, &mut end, 1, 1).unwrap();
        assert!(end.takes_records());
        assert!(commit(&db, &mut end, 1, 1).is_err(), "this number is there");
        assert!(end.takes_records(), "it was not tried");
        let tail = end.tail.take();
        end.append(2, "[]").unwrap_err();
        end.tail = tail;
        end.failed_to_merge();
        assert!(!end.takes_records());
        commit(&db, &mut end, 2, 1).unwrap();
        assert!(end.takes_records());
        end.failed_to_merge();
        end.merged(2, true);
        assert!(!end.takes_records(), "what merges is not synced");
        commit(&db, &mut end, 3, 3).unwrap();
        assert!(end.takes_records());
    }

    #[test]
    fn a_record_that_failed_while_a_merge_did_is_hidden_by_a_row_with_its_number() {
        let folder = tempfile::tempdir().unwrap();
        let (db, mut end) = database(folder.path());
        commit(&db, &mut end, 1, 1).unwrap();
        end.append(2, "[1]").unwrap();
        // A merge is commit 3, and a record fails as commit 4, and is there; then the merge fails.
        end.tail.as_mut().unwrap().append(4, end.last, "[2]").unwrap();
        end.is_in_doubt = true;
        end.failed_to_merge();
        commit(&db, &mut end, 3, 1).unwrap();
        assert_eq!((rows(&db), end.newest(), end.takes_records()), (vec![1, 3, 4], 4, true));
        let found = tail::HeldTail::take(&folder.path().join("x.db")).unwrap().read(&db).unwrap();
        assert_eq!(found.records.keys().copied().collect::<Vec<_>>(), [2, 4]);
        assert_eq!(journal::copy_tail(&db, &found).unwrap(), None);
        let mut statement = db.prepare("SELECT n || records FROM journal ORDER BY n").unwrap();
        let all = statement.query_map((), |row| row.get(0)).unwrap();
        let all: Vec<String> = all.collect::<Result<_>>().unwrap();
        assert_eq!(all, ["1[]", "2[1]", "3[]", "4[]"]);
    }

    #[test]
    fn what_is_noted_is_the_oldest_that_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let (db, mut end) = database(folder.path());
        assert_eq!(commit(&db, &mut end, 1, 1).unwrap(), 1);
        assert_eq!((rows(&db), noted(&db)), (vec![1], (1, 1)));
        // Nothing is needed, and they stay, so that it is not noted each time.
        for n in 2..ROWS_KEPT_MAX {
            assert_eq!(commit(&db, &mut end, n, n).unwrap(), 1);
        }
        assert_eq!(noted(&db), (1, 1));
        end.append(ROWS_KEPT_MAX, "[1]").unwrap();
        // A record is there that is not needed any more.
        let n = ROWS_KEPT_MAX + 1;
        assert_eq!(commit(&db, &mut end, n, n).unwrap(), n);
        assert_eq!((rows(&db), noted(&db)), (vec![n as i64], (1, n)));
        assert_eq!(commit(&db, &mut end, n + ROWS_KEPT_MAX, n + 9).unwrap(), n + 9);
        assert_eq!(noted(&db), (1, n + 9));
    }

    #[test]
    fn an_earlier_tail_is_there_until_nothing_needs_it_and_it_is_named_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let (db, mut end) = database(folder.path());
        commit(&db, &mut end, 1, 1).unwrap();
        end.append(2, "[1]").unwrap();
        let tail = folder.path().join("x.db-tail");
        let mut end = JournalEnd::new(end.file, "life".into(), 2, false);
        let before = std::fs::read(&tail).unwrap();
        commit(&db, &mut end, 3, 2).unwrap();
        assert_eq!(noted(&db), (1, 1));
        commit(&db, &mut end, 4, 4).unwrap();
        assert_eq!(noted(&db), (0, 0));
        assert!(std::fs::read(&tail).unwrap() == before && !end.takes_records());
        commit(&db, &mut end, 5, 5).unwrap();
        assert_eq!(noted(&db), (5, 5));
        assert!(std::fs::read(&tail).unwrap() != before && end.takes_records());
        end.end(&db);
        assert!(!tail.exists() && noted(&db) == (0, 0));
    }
}
