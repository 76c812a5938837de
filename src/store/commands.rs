//! Commands to the store's thread.

use super::{pages, seek};
use crate::base::limits::{READ_WEIGHT_SHARE, SEEK_WEIGHT};
use crate::base::{Outcome, Query, Record, RoomId, Timestamp};
use rusqlite::Connection;

/// A command to the thread.
#[derive(Debug)]
pub(super) enum StoreCommand {
    Write(WriteCommand),
    Read(ReadCommand),
}

/// A record to commit.
#[derive(Debug)]
pub(super) struct WriteCommand {
    /// The end that gave it.
    pub(super) end: usize,
    pub(super) ticket: u64,
    pub(super) now: Timestamp,
    pub(super) record: Record,
    /// How many batches with a record of this end were known to have failed when this record was
    /// decided.
    pub(super) failures_heard: u64,
}

/// Something to read.
#[derive(Debug)]
pub(super) struct ReadCommand {
    pub(super) end: usize,
    pub(super) ticket: u64,
    pub(super) now: Timestamp,
    pub(super) wanted: ReadWanted,
}

#[derive(Debug)]
pub(super) enum ReadWanted {
    Page(Query),
    /// The last entries of some rooms before a time.
    Places(Vec<RoomId>, Timestamp),
}

impl StoreCommand {
    pub(super) fn weight(&self) -> usize {
        match self {
            StoreCommand::Write(write) => write.record.weight(),
            StoreCommand::Read(read) => read.wanted.weight(),
        }
    }
}

impl ReadWanted {
    pub(super) fn weight(&self) -> usize {
        match self {
            ReadWanted::Page(query) => query.bytes_max / READ_WEIGHT_SHARE,
            ReadWanted::Places(rooms, _) => rooms.len() * SEEK_WEIGHT,
        }
    }

    pub(super) fn rooms(&self) -> impl Iterator<Item = &RoomId> {
        match self {
            ReadWanted::Page(query) => std::slice::from_ref(&query.room),
            ReadWanted::Places(rooms, _) => rooms,
        }
        .iter()
    }

    pub(super) fn read(&self, db: &Connection) -> rusqlite::Result<Outcome> {
        match self {
            ReadWanted::Page(query) => pages::read(db, query),
            ReadWanted::Places(rooms, since) => seek::seek(db, rooms, *since),
        }
    }
}
