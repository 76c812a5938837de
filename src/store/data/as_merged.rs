//! Shows the tables as they are with what the journal has, although it is not merged yet.
//!
//! What is missing is put into temporary tables of the connection, in memory, and views have the
//! names of the tables. So whoever reads them need not know of the journal, and nothing of the file
//! changes.

use crate::store::replay::JournalReplay;
use crate::store::rows::{damaged, is_damage, what};
use crate::store::tail::FoundTail;
use crate::store::{journal, schema};
use rusqlite::{Connection, Result};

/// Where the entries of logs are, beside each other: queries that name an index need it.
pub(super) const PLACES_OF_ENTRIES: [&str; 2] = ["main.entries", "temp.late_entries"];

const VIEWS: &str = "
    ALTER TABLE temp.rooms RENAME TO late_rooms;
    ALTER TABLE temp.members RENAME TO late_members;
    ALTER TABLE temp.entries RENAME TO late_entries;
    CREATE TEMP VIEW rooms AS
        SELECT * FROM main.rooms WHERE id NOT IN (SELECT id FROM temp.late_rooms)
        UNION ALL SELECT * FROM temp.late_rooms;
    CREATE TEMP VIEW members AS
        SELECT * FROM main.members AS early WHERE NOT EXISTS (SELECT 1 FROM temp.late_members AS late
            WHERE late.room = early.room AND late.user = early.user)
        UNION ALL SELECT * FROM temp.late_members;
    CREATE TEMP VIEW entries AS
        SELECT * FROM main.entries UNION ALL SELECT * FROM temp.late_entries;
";

/// Shows what the journal has. Hands to `lost` what of it is damaged. Returns whether it has
/// anything that the tables lack.
pub(super) fn show_merged(
    db: &Connection,
    tail: &FoundTail,
    lost: &mut dyn FnMut(String),
) -> Result<bool> {
    let mut replay = JournalReplay::new(db);
    let mut if_damaged = |done: Result<()>, at: String| match done {
        Err(error) if is_damage(&error) => {
            lost(format!("{at}: {}", what(&error)));
            Ok(())
        }
        other => other,
    };
    let read = journal::read(db, tail, |n, records| {
        let at = || format!("the journal, commit {n}");
        match records {
            Ok(records) => {
                records.into_iter().try_for_each(|record| if_damaged(replay.redo(n, record), at()))
            }
            Err(error) => if_damaged(Err(error), at()),
        }
    });
    if_damaged(read.map(drop), "the journal".into())?;
    if replay.is_empty() {
        return Ok(false);
    }
    db.pragma_update(None, "temp_store", "MEMORY")?;
    for name in ["rooms", "members", "entries", "entries_by_cid"] {
        let sql = schema::declaration(name)?;
        db.execute_batch(&sql.replacen("TABLE ", "TEMP TABLE ", 1).replacen(
            "INDEX ",
            "INDEX temp.",
            1,
        ))?;
    }
    for hot in replay.hot.rooms.values() {
        db.execute("INSERT INTO temp.rooms SELECT * FROM main.rooms WHERE id = ?1", [hot.row.id])?;
    }
    // The server's own statements find the temporary tables first.
    replay.hot.write_rooms(db, replay.hot.rooms.keys())?;
    db.execute_batch(VIEWS)?;
    db.flush_prepared_statement_cache();
    Ok(true)
}

/// As [`show_merged`], where damage is an error.
pub(super) fn show_merged_sound(db: &Connection, tail: &FoundTail) -> Result<()> {
    let mut first = None;
    show_merged(db, tail, &mut |what| {
        first.get_or_insert(what);
    })?;
    first.map_or(Ok(()), |what| Err(damaged(what)))
}
