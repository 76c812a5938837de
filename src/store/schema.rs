//! The tables, and the settings of the database.

use rusqlite::{Connection, TransactionBehavior};
use std::collections::BTreeMap;

/// The version of the files that this program writes. Files from before the first release have a
/// lower one and are not read.
pub(super) const VERSION: u32 = 6;
/// The first version with a tail.
pub(super) const WITH_TAIL: u32 = 6;
/// The oldest version that a start updates: it has no journal. In version 5 that has no tail.
pub(super) const OLDEST: u32 = 4;

/// Each row has a checksum of its other columns, see `sums`.
const TABLES: &str = "
    -- What belongs to the whole: 'epoch' names this store's life; 'rooms', 'users',
    -- 'revocations' and 'streams' are how many rows these tables have, and
    -- 'calls_for_log' is 1 while a server writes, so that a log must be there; 'commits' is the number
    -- of the last commit that merged the journal, 'tail' of the one that began its tail, and 'oldest'
    -- of the oldest that is needed of it.
    CREATE TABLE meta (
        key   TEXT PRIMARY KEY,
        value TEXT NOT NULL,
        sum   INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;

    -- What was committed and is not in the tables of rooms yet; a part of it is in a file of its own,
    -- the tail. The newest row stays, as its number is how many commits there were.
    CREATE TABLE journal (
        n       INTEGER PRIMARY KEY,
        records TEXT    NOT NULL,  -- messages and marks: a list in JSON
        sum     INTEGER NOT NULL
    ) STRICT;

    CREATE TABLE rooms (
        id             INTEGER PRIMARY KEY,
        name           TEXT    NOT NULL UNIQUE,
        title          TEXT    NOT NULL DEFAULT '',
        open           INTEGER NOT NULL DEFAULT 0,  -- 1: anybody may join
        ended          INTEGER NOT NULL DEFAULT 0,  -- 1: only its name and its numbers are left
        owner          TEXT,
        head           INTEGER NOT NULL DEFAULT 0,  -- seq of the newest entry
        messages       INTEGER NOT NULL DEFAULT 0,  -- how many entries are, or were, messages
        ts             INTEGER NOT NULL DEFAULT 0,  -- of the newest entry, ms since 1970
        first          INTEGER NOT NULL DEFAULT 1,  -- seq of the oldest entry that is kept
        first_ts       INTEGER NOT NULL DEFAULT 0,  -- when that was committed
        first_messages INTEGER NOT NULL DEFAULT 0,  -- how many messages there were before it
        people         INTEGER NOT NULL DEFAULT 0,  -- rows of members, invites and bans
        sum            INTEGER NOT NULL
    ) STRICT;

    CREATE TABLE members (
        room           INTEGER NOT NULL REFERENCES rooms (id),
        user           TEXT    NOT NULL,
        joined         INTEGER NOT NULL,  -- seq of the entry by which they came; 0: direct messages
        read           INTEGER NOT NULL,  -- seq up to which they have read
        read_messages  INTEGER NOT NULL,  -- how many messages that is
        deleted_unread INTEGER NOT NULL,  -- how many messages after it are deleted
        delivered      INTEGER NOT NULL,  -- seq up to which they have received the log
        has_written    INTEGER NOT NULL,
        own            INTEGER NOT NULL,  -- 1: created or joined by themselves
        sum            INTEGER NOT NULL,
        PRIMARY KEY (room, user)
    ) STRICT, WITHOUT ROWID;

    -- Who may join a room that is not open, and who cannot join a room.
    CREATE TABLE invites (
        room INTEGER NOT NULL REFERENCES rooms (id),
        user TEXT    NOT NULL,
        by   TEXT    NOT NULL,
        sum  INTEGER NOT NULL,
        PRIMARY KEY (room, user)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE bans (
        room INTEGER NOT NULL REFERENCES rooms (id),
        user TEXT    NOT NULL,
        by   TEXT    NOT NULL,
        sum  INTEGER NOT NULL,
        PRIMARY KEY (room, user)
    ) STRICT, WITHOUT ROWID;

    -- The rooms' logs: from rooms.first to rooms.head, without a hole.
    CREATE TABLE entries (
        room     INTEGER NOT NULL REFERENCES rooms (id),
        seq      INTEGER NOT NULL,
        ts       INTEGER NOT NULL,  -- ms since 1970; never falls within a room
        kind     TEXT    NOT NULL
                 CHECK (kind IN ('message', 'edited', 'deleted', 'reacted', 'joined', 'left')),
        user     TEXT    NOT NULL,  -- who did it, or whoever came or went
        by       TEXT,              -- who brought or removed them
        text     TEXT,              -- of a message: its newest; NULL once it is deleted
        data     TEXT,              -- JSON as it came
        reply_to INTEGER,
        target   INTEGER,           -- seq of the message that was changed
        emoji    TEXT,
        is_on    INTEGER,           -- 0: a reaction was taken back
        cid      TEXT,              -- the author's own id, for repeats
        digest   INTEGER,           -- of what was sent with it
        messages INTEGER NOT NULL,  -- how many messages there are up to here
        edited   INTEGER,           -- seq of a message's newest edit
        deleted  INTEGER,           -- seq of the entry that deleted it
        reacted  INTEGER NOT NULL DEFAULT 0,  -- how many reactions to it hold
        sum      INTEGER NOT NULL,
        PRIMARY KEY (room, seq)
    ) STRICT, WITHOUT ROWID;

    CREATE UNIQUE INDEX entries_by_cid ON entries (room, user, cid) WHERE cid IS NOT NULL;
    CREATE INDEX entries_by_target ON entries (room, target, kind, user, emoji)
        WHERE target IS NOT NULL;
    CREATE INDEX entries_deleted ON entries (room, seq) WHERE deleted IS NOT NULL;

    -- The reactions that hold.
    CREATE TABLE reactions (
        room   INTEGER NOT NULL REFERENCES rooms (id),
        target INTEGER NOT NULL,  -- seq of the message
        emoji  TEXT    NOT NULL,
        user   TEXT    NOT NULL,
        seq    INTEGER NOT NULL,  -- of the entry by which it came
        sum    INTEGER NOT NULL,
        PRIMARY KEY (room, target, emoji, user)
    ) STRICT, WITHOUT ROWID;

    CREATE INDEX reactions_in_order ON reactions (room, target, emoji, seq);

    -- Tokens that are good no more: kind 'token', key a jti; kind 'user', key a user id.
    CREATE TABLE revocations (
        kind   TEXT    NOT NULL CHECK (kind IN ('token', 'user')),
        key    TEXT    NOT NULL,
        before INTEGER NOT NULL,  -- those issued by then; of a token its end, or 0: ms since 1970
        sum    INTEGER NOT NULL,
        PRIMARY KEY (kind, key)
    ) STRICT, WITHOUT ROWID;

    -- Durable streams.
    CREATE TABLE streams (
        id    INTEGER PRIMARY KEY,
        name  TEXT    NOT NULL UNIQUE,
        epoch TEXT    NOT NULL,  -- names the life of its log
        head  INTEGER NOT NULL,  -- seq of the newest event
        ts    INTEGER NOT NULL,  -- of the newest event, ms since 1970
        first INTEGER NOT NULL,  -- seq of the oldest event that is here
        sum   INTEGER NOT NULL
    ) STRICT;

    -- Their events: from streams.first to streams.head, without a hole.
    CREATE TABLE events (
        stream INTEGER NOT NULL REFERENCES streams (id),
        seq    INTEGER NOT NULL,
        ts     INTEGER NOT NULL,  -- ms since 1970; never falls within a stream
        data   ANY     NOT NULL,  -- JSON as it came, or bytes
        by     TEXT,              -- whose id it is; '': no user's
        id     TEXT,              -- the publisher's own id, for repeats
        sum    INTEGER NOT NULL,
        PRIMARY KEY (stream, seq)
    ) STRICT, WITHOUT ROWID;

    CREATE UNIQUE INDEX events_by_id ON events (stream, by, id) WHERE id IS NOT NULL;

    CREATE TABLE users (
        id   TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        sum  INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
";

/// Indexes that files of this version may lack.
const INDEXES: &str = "
    CREATE INDEX IF NOT EXISTS revocations_by_end ON revocations (before, key)
        WHERE kind = 'token' AND before > 0;
";

/// The version of a file; 0 if it is new.
pub(super) fn version(db: &Connection) -> rusqlite::Result<u32> {
    db.query_row("PRAGMA user_version", (), |row| row.get(0))
}

/// Creates the tables of a new database, which gets `epoch`. The inner error is the version of a
/// file that has another version.
pub(super) fn prepare(db: &mut Connection, epoch: &str) -> rusqlite::Result<Result<(), u32>> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    match version(&transaction)? {
        VERSION => {}
        0 => {
            transaction.execute_batch(TABLES)?;
            transaction.pragma_update(None, "user_version", VERSION)?;
            let counts = ["rooms", "users", "revocations", "streams"];
            let of_commits = ["calls_for_log", "commits", "tail", "oldest"];
            let counts = counts.into_iter().chain(of_commits).map(|key| (key, "0"));
            for row in [("epoch", epoch)].into_iter().chain(counts) {
                transaction.execute(
                    "INSERT INTO meta (key, value, sum) VALUES (?1, ?2, row_sum('meta', ?1, ?2))",
                    row,
                )?;
            }
        }
        other => return Ok(Err(other)),
    }
    transaction.commit()?;
    Ok(Ok(()))
}

/// The declaration of a table or an index.
pub(super) fn declaration(name: &str) -> rusqlite::Result<String> {
    let own = Connection::open_in_memory()?;
    own.execute_batch(TABLES)?;
    own.query_row("SELECT sql FROM sqlite_schema WHERE name = ?1", [name], |row| row.get(0))
}

/// Updates a file of an older version, within a transaction.
pub(super) fn update(db: &Connection) -> rusqlite::Result<()> {
    if version(db)? == OLDEST {
        db.execute_batch(&declaration("journal")?)?;
        db.execute_batch(
            "INSERT INTO journal (n, records, sum)
                 SELECT n, '[]', row_sum('journal', n, '[]') FROM
                     (SELECT CAST(value AS INTEGER) AS n FROM meta WHERE key = 'commits')
                     WHERE n > 0;",
        )?;
    }
    for key in ["calls_for_log", "commits", "tail", "oldest"] {
        let sql = "INSERT OR IGNORE INTO meta (key, value, sum) \
             VALUES (?1, '0', row_sum('meta', ?1, '0'))";
        db.prepare(sql)?.execute([key])?;
    }
    db.pragma_update(None, "user_version", VERSION)
}

/// The tables and indexes that a file declares in another way than this program, or not at all;
/// only indexes that are not unique may be missing. A server could refuse them or write to them in
/// another way, and SQLite does not check their rules in a file that is only read.
pub(super) fn declared_otherwise(db: &Connection) -> rusqlite::Result<Vec<String>> {
    let own = Connection::open_in_memory()?;
    own.execute_batch(TABLES)?;
    own.execute_batch(INDEXES)?;
    let (own, found) = (declarations(&own)?, declarations(db)?);
    let is_other = |(name, sql): &(&String, &String)| match found.get(*name) {
        Some(found) => found != *sql,
        None => !sql.starts_with("CREATE INDEX"),
    };
    Ok(own.iter().filter(is_other).map(|(name, _)| name.clone()).collect())
}

/// The declarations of a database's tables and indexes, by name, without comments and layout.
fn declarations(db: &Connection) -> rusqlite::Result<BTreeMap<String, String>> {
    let mut statement = db.prepare("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL")?;
    let rows = statement.query_map((), |row| {
        let sql: String = row.get(1)?;
        let code = sql.lines().map(|line| line.split_once("--").map_or(line, |(code, _)| code));
        let words: Vec<&str> = code.flat_map(str::split_whitespace).collect();
        Ok((row.get(0)?, words.join(" ")))
    })?;
    rows.collect()
}

/// Adds the indexes that a file of this version lacks.
pub(super) fn add_indexes(db: &Connection) -> rusqlite::Result<()> {
    db.execute_batch(INDEXES)
}

/// Pages kept in memory, in KiB, as far as there is something to keep. A batch changes a few pages
/// of each room in it.
const CACHE_KIB: i64 = 8 * 1024;

/// A checkpoint cuts the write-ahead log to this, in bytes.
pub(super) const LOG_KEPT_BYTES: u32 = 16 * 1024 * 1024;
/// Pages of 4 KiB in the write-ahead log: 16 MiB, which a start after a crash has to read.
const LOG_PAGES: u32 = 4_096;

/// Gives a store and its streams another epoch.
pub(super) fn set_epoch(db: &Connection, epoch: &str) -> rusqlite::Result<()> {
    db.execute(
        "UPDATE meta SET value = ?1, sum = row_sum('meta', key, ?1) WHERE key = 'epoch'",
        [epoch],
    )?;
    // A damaged row stays damaged.
    db.execute(
        "UPDATE streams SET epoch = ?1, \
         sum = row_sum('streams', id, name, ?1, head, ts, first) \
         WHERE sum = row_sum('streams', id, name, epoch, head, ts, first)",
        [epoch],
    )?;
    Ok(())
}

/// Statements that a connection keeps: all of one fit, so that none is prepared twice.
const STATEMENTS_KEPT: usize = 32;

/// Has a connection keep the statements that it prepares.
pub(super) fn keep_statements(db: &Connection) {
    db.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
}

/// Sets whether a commit waits until it is on disk.
pub(super) fn set_synced(db: &Connection, is_synced: bool) -> rusqlite::Result<()> {
    // With a write-ahead log, FULL means that each commit waits until the log is on disk, and NORMAL
    // that a checkpoint alone does. It takes effect when it is prepared, so it is not cached.
    db.pragma_update(None, "synchronous", if is_synced { "FULL" } else { "NORMAL" })
}

/// Sets how the database is used: acknowledged means on disk. Writes nothing.
pub(super) fn configure(db: &Connection) -> rusqlite::Result<()> {
    set_synced(db, true)?;
    // What is written here has these forms, and its room. SQLite would make a table of the kinds of
    // entries, in memory, for each row.
    db.pragma_update(None, "ignore_check_constraints", true)?;
    db.pragma_update(None, "foreign_keys", false)?;
    // SQLite checks each page that it reads more closely, so that a damaged one is not made sense
    // of.
    db.pragma_update(None, "cell_size_check", true)?;
    // Deleted content is overwritten.
    db.pragma_update(None, "secure_delete", true)?;
    db.pragma_update(None, "cache_size", -CACHE_KIB)?;
    // A page that a batch changes leaves memory once, at the commit.
    db.pragma_update(None, "cache_spill", false)?;
    // The log grows to this before its pages go into the database, so a page that many batches
    // change goes there once.
    db.pragma_update(None, "wal_autocheckpoint", LOG_PAGES)?;
    // A checkpoint cuts the log to this, so that a burst does not keep disk space for ever.
    db.pragma_update(None, "journal_size_limit", LOG_KEPT_BYTES)?;
    Ok(())
}
