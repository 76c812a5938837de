//! The tables, and how a file of an older version becomes one of this.

use rusqlite::{Connection, TransactionBehavior};

/// One step each, never changed after a release: a file of version n needs those from n on.
const MIGRATIONS: &[&str] = &["
    -- What belongs to the whole: 'epoch' names this store's life.
    CREATE TABLE meta (
        key   TEXT PRIMARY KEY,
        value TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE rooms (
        id       INTEGER PRIMARY KEY,
        name     TEXT    NOT NULL UNIQUE,
        title    TEXT    NOT NULL DEFAULT '',
        open     INTEGER NOT NULL,            -- 1: anybody may join
        owner    TEXT,
        head     INTEGER NOT NULL DEFAULT 0,  -- seq of the newest entry
        messages INTEGER NOT NULL DEFAULT 0,  -- how many entries are messages
        ts       INTEGER NOT NULL DEFAULT 0   -- of the newest entry, ms since 1970
    ) STRICT;

    CREATE TABLE members (
        room          INTEGER NOT NULL REFERENCES rooms (id),
        user          TEXT    NOT NULL,
        joined        INTEGER NOT NULL,             -- seq of the entry by which they came; 0: direct messages
        read          INTEGER NOT NULL DEFAULT 0,   -- seq up to which they have read
        read_messages INTEGER NOT NULL DEFAULT 0,   -- how many messages that is
        has_written   INTEGER NOT NULL DEFAULT 0,
        own           INTEGER NOT NULL,             -- 1: created or joined by themselves
        PRIMARY KEY (room, user)
    ) STRICT, WITHOUT ROWID;

    -- The rooms' logs: seq is 1, 2, 3 … in each, without a hole.
    CREATE TABLE entries (
        room     INTEGER NOT NULL REFERENCES rooms (id),
        seq      INTEGER NOT NULL,
        ts       INTEGER NOT NULL,            -- ms since 1970; never falls within a room
        kind     TEXT    NOT NULL CHECK (kind IN ('message', 'joined', 'left')),
        user     TEXT    NOT NULL,            -- the author, or whoever came or went
        by       TEXT,                        -- who brought or removed them
        text     TEXT,
        data     TEXT,                        -- JSON as it came
        reply_to INTEGER,
        cid      TEXT,                        -- the author's own id, for repeats
        messages INTEGER NOT NULL,            -- how many messages there are up to here
        PRIMARY KEY (room, seq)
    ) STRICT, WITHOUT ROWID;

    CREATE UNIQUE INDEX entries_by_cid ON entries (room, user, cid) WHERE cid IS NOT NULL;

    CREATE TABLE users (
        id   TEXT PRIMARY KEY,
        name TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
"];

/// Brings a database to this version. A new one gets `epoch`.
pub(super) fn migrate(db: &mut Connection, epoch: &str) -> rusqlite::Result<Result<(), u32>> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version: u32 = transaction.query_row("PRAGMA user_version", (), |row| row.get(0))?;
    let Some(missing) = MIGRATIONS.get(version as usize..) else { return Ok(Err(version)) };
    for step in missing {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", MIGRATIONS.len() as u32)?;
    transaction
        .execute("INSERT OR IGNORE INTO meta (key, value) VALUES ('epoch', ?1)", (epoch,))?;
    transaction.commit()?;
    Ok(Ok(()))
}

/// The version of files that this program writes.
pub(super) const VERSION: usize = MIGRATIONS.len();

/// How the database is used: acknowledged means on disk.
pub(super) fn configure(db: &Connection) -> rusqlite::Result<()> {
    // In WAL mode FULL means that each commit waits for the log to be on disk.
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "foreign_keys", true)?;
    // Pages kept in memory, in KiB.
    db.pragma_update(None, "cache_size", -256)?;
    // After a checkpoint the write-ahead log is cut to this, in bytes: a burst does not keep its
    // disk for ever.
    db.pragma_update(None, "journal_size_limit", 16 * 1024 * 1024)?;
    Ok(())
}
