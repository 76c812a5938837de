//! Whether a store keeps every rule: its file, its tables, the logs of its rooms.
//!
//! It reads once through the logs, in one read transaction, and keeps of a room no more than its
//! people, those who ever came or wrote, and the numbers of its deleted messages. It changes
//! nothing, and goes on behind a fault as far as it can.

use super::check_log::check_log;
use super::check_people::check_people;
use super::check_values::{is_epoch, is_short};
use super::{DataError, Result, database_of, failed, look, of_this_version, open_read_only};
use crate::base::limits::JTI_BYTES_MAX;
use crate::base::{Revocation, RoomId, UserId};
use crate::store::lost::{BrokenRule, Loss};
use crate::store::revocations::{revocation, revocation_columns};
use crate::store::rows::{self, RoomRow, meta, parsed, room_columns, room_row};
use crate::store::{schema, whole};
use rusqlite::{Connection, Row};
use std::path::Path;
use std::time::Duration;

/// Faults that SQLite's own check tells at most.
const SQLITE_FAULTS_MAX: u32 = 1_000;

/// What was looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// The store's epoch; empty if that could not be read.
    pub epoch: String,
    /// Rooms, those included that have ended.
    pub rooms: u64,
    /// Memberships.
    pub members: u64,
    /// Durable streams.
    pub streams: u64,
    /// Events of all of them.
    pub events: u64,
    /// Entries of all logs.
    pub entries: u64,
    /// How many faults were found.
    pub faults: u64,
}

/// Checks all of a store, of its directory or of its file, also while a server uses it. Each fault
/// is handed to `report` as it is found.
///
/// # Errors
/// [`DataError`], if it cannot be read for another reason than damage; damage is a fault.
pub fn check(path: &Path, report: &mut dyn FnMut(BrokenRule)) -> Result<Checked> {
    let file = database_of(path)?;
    let mut checker = Checker { report, done: Checked::default() };
    what_is_lost(&file)?.into_iter().for_each(|fault| checker.found(fault));
    let opened = open_read_only(&file).and_then(|db| {
        // All that is read from here on is of one moment.
        db.execute_batch("BEGIN")?;
        of_this_version(&db)?;
        Ok(db)
    });
    match opened {
        Ok(db) => checker.all(&db)?,
        Err(DataError::Database(error)) if rows::is_damage(&error) => {
            checker.fault(None, format!("the file cannot be read: {}", rows::what(&error)));
        }
        Err(DataError::Damaged(_, what)) => checker.fault(None, format!("the file: {what}")),
        Err(error) => return Err(error),
    }
    Ok(checker.done)
}

/// What was acknowledged and is missing, by the write-ahead log and by the mark: nothing else of the data shows it.
pub(super) fn what_is_lost(file: &Path) -> Result<Vec<BrokenRule>> {
    let mut lost = Vec::new();
    if let Some(at) = log_damaged_at(file)? {
        let what = format!(
            "the write-ahead log is damaged at byte {at}, and what was committed behind that is lost"
        );
        lost.push(BrokenRule { room: None, what });
    }
    if let Some(loss) = loss_of(file)? {
        lost.push(BrokenRule { room: None, what: loss.to_string() });
        lost.extend_from_slice(loss.missing());
    }
    Ok(lost)
}

/// Where the write-ahead log is damaged. What is read of one that a server writes is of several moments, and can look so
/// once: what is damaged looks so each time.
fn log_damaged_at(file: &Path) -> Result<Option<u64>> {
    const LOOKS: u32 = 8;
    const PAUSE: Duration = Duration::from_millis(20);
    let look = || whole::log_damaged_at(file).map_err(failed(file));
    let mut damaged_at = look()?;
    for _ in 1..LOOKS {
        if damaged_at.is_none() {
            break;
        }
        std::thread::sleep(PAUSE);
        damaged_at = look()?;
    }
    Ok(damaged_at)
}

/// What a store has lost by its mark, if that can be told. What is not to be read is told of elsewhere.
fn loss_of(file: &Path) -> Result<Option<Loss>> {
    // Looked at once more: a server may have begun between the two.
    let mut lost = None;
    for _ in 0..2 {
        let seen = look(file)?;
        let found = open_read_only(file).and_then(|db| Ok(seen.loss(&db)?));
        lost = found.unwrap_or_default();
        if lost.is_none() {
            break;
        }
    }
    Ok(lost)
}

/// What the parts of a check share.
pub(super) struct Checker<'a> {
    report: &'a mut dyn FnMut(BrokenRule),
    pub(super) done: Checked,
}

impl Checker<'_> {
    pub(super) fn fault(&mut self, room: Option<&RoomId>, what: String) {
        self.found(BrokenRule { room: room.map(|room| room.as_str().to_owned()), what });
    }

    fn found(&mut self, fault: BrokenRule) {
        self.done.faults += 1;
        (self.report)(fault);
    }

    /// Does a part of the check: damage by which it ends is a fault, and what comes behind it is
    /// not checked.
    pub(super) fn part(
        &mut self,
        room: Option<&RoomId>,
        what: &str,
        part: impl FnOnce(&mut Self) -> rusqlite::Result<()>,
    ) -> rusqlite::Result<()> {
        match part(self) {
            Err(error) if rows::is_damage(&error) => {
                self.fault(room, format!("{what} cannot be read: {}", rows::what(&error)));
                Ok(())
            }
            other => other,
        }
    }

    /// The value of a row, or a fault.
    pub(super) fn sound<T>(
        &mut self,
        room: Option<&RoomId>,
        read: rusqlite::Result<T>,
        what: impl FnOnce() -> String,
    ) -> rusqlite::Result<Option<T>> {
        match read {
            Ok(value) => Ok(Some(value)),
            Err(error) if rows::is_damage(&error) => {
                let why = match rows::what(&error) {
                    why if why.ends_with("not what was written") => String::new(),
                    why => format!(" ({why})"),
                };
                self.fault(room, format!("{} is not what was written{why}", what()));
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn all(&mut self, db: &Connection) -> rusqlite::Result<()> {
        self.part(None, "the file", |checker| checker.file(db))?;
        self.part(None, "the epoch", |checker| {
            checker.done.epoch = meta(db, "epoch")?;
            if checker.done.epoch.is_empty() {
                checker.fault(None, "the epoch is empty".into());
            } else if !is_epoch(&checker.done.epoch) {
                checker.fault(None, "the epoch is none that a server would make".into());
            }
            Ok(())
        })?;
        self.part(None, "the users", |checker| checker.users(db))?;
        self.part(None, "the revocations", |checker| checker.revocations(db))?;
        self.part(None, "the streams", |checker| checker.streams(db))?;
        self.part(None, "the rooms", |checker| checker.rooms(db))
    }

    /// SQLite's own rules, and rows of no room, or of no stream.
    fn file(&mut self, db: &Connection) -> rusqlite::Result<()> {
        let mut statement = db.prepare(&format!("PRAGMA integrity_check({SQLITE_FAULTS_MAX})"))?;
        let mut rows = statement.query(())?;
        while let Some(row) = rows.next()? {
            let said: String = row.get(0)?;
            if said != "ok" {
                self.fault(None, format!("SQLite says: {}", said.trim().replace('\n', "; ")));
            }
        }
        for name in schema::declared_otherwise(db)? {
            self.fault(None, format!("{name}: the file declares it otherwise than parlor does"));
        }
        let mut statement =
            db.prepare("SELECT \"table\", count(*) FROM pragma_foreign_key_check GROUP BY 1")?;
        let mut rows = statement.query(())?;
        while let Some(row) = rows.next()? {
            let (table, count): (String, u32) = (row.get(0)?, row.get(1)?);
            let whole = if table == "events" { "stream" } else { "room" };
            self.fault(None, format!("{table}: {count} rows are of no {whole}"));
        }
        Ok(())
    }

    fn users(&mut self, db: &Connection) -> rusqlite::Result<()> {
        let mut statement =
            db.prepare("SELECT id, sum = row_sum('users', id, name), name FROM users ORDER BY id")?;
        let mut rows = statement.query(())?;
        let mut count = 0u64;
        while let Some(row) = rows.next()? {
            count += 1;
            let read = rows::check(row, 1, "").and_then(|()| text_of(row, 0));
            let read = read.and_then(|id| parsed(UserId::parse_any(&id)));
            let what = || format!("the name of user {}", shown(row, 0));
            let Some(user) = self.sound(None, read, what)? else { continue };
            if !is_short(row.get_ref(2)?.as_str().unwrap_or_default()) {
                self.fault(None, format!("the name of user {user} is too long"));
            }
        }
        self.counted(db, "users", count)
    }

    fn revocations(&mut self, db: &Connection) -> rusqlite::Result<()> {
        let sql = concat!("SELECT ", revocation_columns!(), " FROM revocations ORDER BY kind, key");
        let mut statement = db.prepare(sql)?;
        let mut rows = statement.query(())?;
        let mut count = 0u64;
        while let Some(row) = rows.next()? {
            count += 1;
            let what = || format!("the revocation of {} {}", shown(row, 0), shown(row, 1));
            if let Some(Revocation::Token(jti, _)) = self.sound(None, revocation(row), what)?
                && jti.len() > JTI_BYTES_MAX
            {
                let jti = shown(row, 1);
                self.fault(None, format!("the revocation of token {jti} has too long a name"));
            }
        }
        self.counted(db, "revocations", count)
    }

    pub(super) fn counted(
        &mut self,
        db: &Connection,
        table: &str,
        count: u64,
    ) -> rusqlite::Result<()> {
        let expected = meta(db, table)?;
        if expected != count.to_string() {
            self.fault(None, format!("there are {count} {table}, and there should be {expected}"));
        }
        Ok(())
    }

    fn rooms(&mut self, db: &Connection) -> rusqlite::Result<()> {
        let mut statement =
            db.prepare(concat!("SELECT ", room_columns!(), " FROM rooms ORDER BY id"))?;
        let mut rows = statement.query(())?;
        while let Some(row) = rows.next()? {
            self.done.rooms += 1;
            let read = room_row(row);
            let name = || format!("the row of room {}, whose log is not checked,", shown(row, 1));
            if let Some(room) = self.sound(None, read, name)? {
                self.room(db, &room)?;
            }
        }
        self.counted(db, "rooms", self.done.rooms)
    }

    fn room(&mut self, db: &Connection, row: &RoomRow) -> rusqlite::Result<()> {
        let name = &row.state.room;
        let mut seen = None;
        self.part(Some(name), "the log", |checker| {
            seen = Some(check_log(checker, db, row)?);
            Ok(())
        })?;
        self.part(Some(name), "the reactions", |checker| checker.reactions(db, row))?;
        self.part(Some(name), "the members", |checker| {
            check_people(checker, db, row, seen.as_ref())
        })
    }

    /// Each reaction that holds is one of the log. That none is missing is seen in the log.
    fn reactions(&mut self, db: &Connection, row: &RoomRow) -> rusqlite::Result<()> {
        let room = Some(&row.state.room);
        let mut statement = db.prepare_cached(
            "SELECT r.target, r.user, r.sum = row_sum('reactions', r.room, r.target, r.emoji, \
             r.user, r.seq), e.kind IS 'reacted' AND e.target = r.target AND e.emoji = r.emoji \
             AND e.user = r.user AND e.is_on = 1 \
             FROM reactions r LEFT JOIN entries e ON e.room = r.room AND e.seq = r.seq \
             WHERE r.room = ?1",
        )?;
        let mut rows = statement.query([row.id])?;
        while let Some(found) = rows.next()? {
            let read = rows::check(found, 2, "").and_then(|()| found.get::<_, Option<bool>>(3));
            let what = || format!("a reaction to message {}", shown(found, 0));
            if let Some(of_log) = self.sound(room, read, what)?
                && of_log != Some(true)
            {
                let (target, user) = (shown(found, 0), shown(found, 1));
                self.fault(
                    room,
                    format!("a reaction of {user} to message {target} is not one of the log"),
                );
            }
        }
        Ok(())
    }
}

pub(super) fn text_of(row: &Row<'_>, column: usize) -> rusqlite::Result<String> {
    row.get(column)
}

/// A value as a person is told of it, whatever it is: damage may have made it anything.
pub(super) fn shown(row: &Row<'_>, column: usize) -> String {
    /// Characters of it.
    const SHOWN_MAX: usize = 80;
    use rusqlite::types::ValueRef;
    match row.get_ref(column) {
        Ok(ValueRef::Integer(number)) => number.to_string(),
        Ok(ValueRef::Text(text) | ValueRef::Blob(text)) => {
            let text = String::from_utf8_lossy(text);
            text.chars().take(SHOWN_MAX).flat_map(char::escape_default).collect()
        }
        _ => "?".into(),
    }
}
