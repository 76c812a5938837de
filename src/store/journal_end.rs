//! Where an open store's journal goes on: in its [tail](super::tail), or in its table.

use super::integrity::TAIL;
use super::journal;
use super::loss::{self, sync_log};
use super::tail::{self, JournalPlace, TailName, TailWriter};
use rusqlite::{Connection, Result, Transaction};
use std::path::PathBuf;

/// Adds the commits of an open store to its journal.
#[derive(Debug)]
pub(super) struct JournalEnd {
    /// The database.
    file: PathBuf,
    epoch: String,
    /// `None` until a commit has begun it.
    tail: Option<TailWriter>,
    /// The newest commit that does not merge.
    last: JournalPlace,
    /// The newest commit that an earlier tail may have, which must not be written over.
    earlier: u64,
    /// The oldest commit that is needed, as the database says.
    noted: u64,
    /// No tail can be begun.
    has_failed: bool,
}

impl JournalEnd {
    /// Goes on after the newest commit of a database that is open.
    pub(super) fn new(file: PathBuf, epoch: String, newest: u64, needs_rows: bool) -> JournalEnd {
        JournalEnd {
            file,
            epoch,
            tail: None,
            last: JournalPlace { n: newest, is_record: false },
            earlier: if needs_rows { newest } else { 0 },
            noted: 0,
            has_failed: false,
        }
    }

    pub(super) fn tail(&self) -> Option<&TailWriter> {
        self.tail.as_ref()
    }

    /// Whether commits that change rooms in memory alone go to the tail.
    pub(super) fn takes_records(&self) -> bool {
        self.tail.as_ref().is_some_and(|tail| !tail.is_closed())
    }

    /// Whether what the tail has is to be merged, so that it does not grow.
    pub(super) fn is_long(&self) -> bool {
        self.tail.as_ref().is_some_and(TailWriter::is_long)
    }

    /// Commits records to the tail.
    pub(super) fn append(&mut self, n: u64, added: &str) -> Result<()> {
        let Some(tail) = &mut self.tail else { return Err(rusqlite::Error::InvalidQuery) };
        tail.append(n, self.last, added)?;
        self.last = JournalPlace { n, is_record: true };
        Ok(())
    }

    /// Commits a transaction, with a row for it; nothing before the `oldest` commit is needed then.
    pub(super) fn commit(
        &mut self,
        transaction: Transaction<'_>,
        n: u64,
        oldest: u64,
        added: &str,
    ) -> Result<()> {
        journal::append(&transaction, n, added)?;
        if oldest == n {
            journal::remove_before(&transaction, n)?;
        }
        let begun = self.begin(&transaction, n, oldest)?;
        let has_older = self.tail.as_ref().is_some_and(|tail| tail.newest() >= self.noted);
        let is_to_note = oldest == n && has_older;
        if is_to_note {
            loss::note_oldest(&transaction, n)?;
        }
        transaction.commit()?;
        if is_to_note || begun.is_some() {
            self.noted = oldest;
        }
        self.tail = begun.or(self.tail.take());
        self.last = JournalPlace { n, is_record: false };
        Ok(())
    }

    /// Begins the tail, if that can be.
    fn begin(&mut self, db: &Connection, n: u64, oldest: u64) -> Result<Option<TailWriter>> {
        if self.tail.is_some() || self.has_failed || oldest <= self.earlier {
            return Ok(None);
        }
        let name = TailName { epoch: self.epoch.clone(), begun: n };
        match TailWriter::begin(&self.file, name) {
            Ok(tail) => {
                loss::note_tail(db, n, oldest)?;
                Ok(Some(tail))
            }
            Err(error) => {
                let file = self.file.display();
                log::warn!("commits take longer, as {file}{TAIL} cannot be made: {error}");
                self.has_failed = true;
                Ok(None)
            }
        }
    }

    /// Commits before the `oldest` are in the tables, as the database says.
    pub(super) fn merged(&mut self, oldest: u64) {
        self.noted = oldest;
        if self.is_long() {
            self.begin_again();
        }
    }

    /// Nothing comes for now. What is said next is written over what was said, if that is in the
    /// tables, so that no more of it stays on the disk than has to.
    pub(super) fn rest(&mut self) {
        if self.tail.as_ref().is_some_and(|tail| tail.bytes() > 0) {
            self.begin_again();
        }
    }

    /// Writes the tail from its start again, if nothing of it is needed.
    fn begin_again(&mut self) {
        let Some(tail) = self.tail.as_mut().filter(|tail| tail.newest() < self.noted) else {
            return;
        };
        // What merges is not synced.
        match sync_log(&self.file) {
            Ok(()) => tail.begin_again(),
            Err(error) => log::warn!("the write-ahead log cannot be synced: {error}"),
        }
    }

    /// Removes the tail, when all of it is in the tables.
    pub(super) fn remove(&self) {
        let removed = sync_log(&self.file).and_then(|()| tail::remove(&self.file));
        if let Err(error) = removed {
            log::warn!("{}{TAIL} cannot be removed: {error}", self.file.display());
        }
    }
}
