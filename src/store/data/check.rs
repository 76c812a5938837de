//! Checks whether a store keeps every rule: its file, its tables, the logs of its rooms.
//!
//! It reads the logs once, in one read transaction. Of a room it remembers only its people, those
//! who ever came or wrote, and the numbers of its deleted messages. It changes nothing, and goes on
//! after a fault as far as it can.

use super::as_merged::{PLACES_OF_ENTRIES, show_merged};
use super::check_log::check_log;
use super::check_people::check_people;
use super::check_values::{is_epoch, is_short};
use super::progress::{EntryCounter, TaskWatch};
use super::readable_rows::Sql;
use super::{
    DataError, Result, at_one_moment, database_of, failed, of_a_version_to_update, of_this_version,
    open_whole,
};
use crate::base::limits::JTI_BYTES_MAX;
use crate::base::{Revocation, RoomId};
use crate::store::loss::{BrokenRule, Loss, StoreTraces};
use crate::store::revocations::{REVOCATIONS, revocation};
use crate::store::rows::{self, ROOMS, USERS, each, meta, room_row, user_of};
use crate::store::tail;
use crate::store::{integrity, schema, sums};
use rusqlite::{Connection, Row};
use std::path::Path;
use std::time::Duration;

/// The most faults that SQLite's own check tells.
const SQLITE_FAULTS_MAX: u32 = 1_000;

/// What was checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// The store's epoch; empty if it could not be read.
    pub epoch: String,
    /// Rooms, with those that have ended.
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

/// Checks a whole store, by its directory or its file, also while a server uses it. Each fault is
/// handed to `report` as it is found, and `watch` is told how far the check is.
///
/// # Errors
/// [`DataError`], if it cannot be read for another reason than damage; damage is a fault.
pub fn check(
    path: &Path,
    report: &mut dyn FnMut(BrokenRule),
    watch: TaskWatch<'_>,
) -> Result<Checked> {
    let file = database_of(path)?;
    let lost = find_losses(&file)?;
    let mut done = Checked { faults: lost.len() as u64, ..Checked::default() };
    lost.into_iter().for_each(&mut *report);
    let mut damages = Vec::new();
    let open = || open_whole(&file).and_then(|db| of_this_version(&db).map(|()| db));
    let opened = at_one_moment(&file, open).and_then(|(db, tail)| {
        // If there is no tail, nobody has read that.
        match tail::named(&db) {
            Err(error) if rows::is_damage(&error) => damages.push(rows::what(&error)),
            other => drop(other?),
        }
        let has_late = show_merged(&db, &tail, &mut |what| damages.push(what))?;
        Ok((db, has_late))
    });
    let what = match opened {
        Ok((db, has_late)) => {
            let counted = EntryCounter::begin(&db, "checking", watch);
            let places = &PLACES_OF_ENTRIES[..if has_late { 2 } else { 1 }];
            let mut checker = Checker { report, db: &db, places, room: None, done, counted };
            damages.into_iter().for_each(|what| checker.fault(what));
            checker.all()?;
            return Ok(checker.done);
        }
        Err(DataError::Database(error)) if rows::is_damage(&error) => {
            format!("the file cannot be read: {}", rows::what(&error))
        }
        Err(DataError::Damaged(_, what)) => format!("the file: {what}"),
        Err(error) => return Err(error),
    };
    report(BrokenRule { room: None, what });
    done.faults += 1;
    Ok(done)
}

/// What was acknowledged and is missing, by the write-ahead log and the mark. Nothing else in the
/// data shows it.
pub(super) fn find_losses(file: &Path) -> Result<Vec<BrokenRule>> {
    let mut lost = Vec::new();
    let loss = loss_of(file)?;
    let is_sure = || StoreTraces::read(file).map(|seen| seen.has_mark()).map_err(failed(file));
    if let Some(at) = log_damaged_at(file)?
        && (loss.is_some() || !is_sure()?)
    {
        let what = format!(
            "the write-ahead log is damaged at byte {at}, and what was committed behind that is lost"
        );
        lost.push(BrokenRule { room: None, what });
    }
    if let Some(loss) = loss {
        lost.push(BrokenRule { room: None, what: loss.to_string() });
        lost.extend_from_slice(loss.missing());
    }
    Ok(lost)
}

/// Where the write-ahead log is damaged. A log that a server writes is read at several moments and
/// may look damaged once; real damage looks so each time.
pub(super) fn log_damaged_at(file: &Path) -> Result<Option<u64>> {
    const READS: u32 = 8;
    const PAUSE: Duration = Duration::from_millis(20);
    let find = || integrity::log_damaged_at(file).map_err(failed(file));
    for _ in 1..READS {
        if find()?.is_none() {
            return Ok(None);
        }
        std::thread::sleep(PAUSE);
    }
    find()
}

/// What a store has lost by its mark, if that can be told. What cannot be read is reported
/// elsewhere.
fn loss_of(file: &Path) -> Result<Option<Loss>> {
    let find = || -> Result<Option<Loss>> {
        let seen = StoreTraces::read(file).map_err(failed(file))?;
        let open = || open_whole(file).and_then(|db| of_a_version_to_update(&db).map(|()| db));
        let found = at_one_moment(file, open).and_then(|(db, tail)| {
            if schema::version(&db)? > schema::OLDEST {
                show_merged(&db, &tail, &mut |_| {})?;
            }
            Ok(seen.loss(&db, &tail)?)
        });
        Ok(found.unwrap_or_default())
    };
    // Checked again, because a server may have begun between the two reads.
    if find()?.is_some() { find() } else { Ok(None) }
}

/// What the parts of a check share.
pub(super) struct Checker<'a> {
    report: &'a mut dyn FnMut(BrokenRule),
    pub(super) db: &'a Connection,
    /// Where entries are.
    pub(super) places: &'static [&'static str],
    /// The room whose rules are checked, if any.
    room: Option<RoomId>,
    pub(super) done: Checked,
    counted: EntryCounter<'a>,
}

impl<'a> Checker<'a> {
    pub(super) fn fault(&mut self, what: String) {
        self.done.faults += 1;
        let room = self.room.as_ref().map(|room| room.as_str().to_owned());
        (self.report)(BrokenRule { room, what });
    }

    /// Notes that one more entry, or event, was checked.
    pub(super) fn one_more(&mut self) {
        self.counted.add();
    }

    /// Reports a rule that does not hold.
    pub(super) fn rule(&mut self, holds: bool, broken: impl FnOnce() -> String) {
        if !holds {
            self.fault(broken());
        }
    }

    /// Does a part of the check. Damage that ends it is a fault, and the rest of the part is not
    /// checked.
    pub(super) fn part(
        &mut self,
        what: &str,
        part: impl FnOnce(&mut Checker<'a>) -> Sql<()>,
    ) -> Sql<()> {
        match part(self) {
            Err(error) if rows::is_damage(&error) => {
                self.fault(format!("{what} cannot be read: {}", rows::what(&error)));
                Ok(())
            }
            other => other,
        }
    }

    /// The value of a row; damage is a fault.
    pub(super) fn sound<T>(
        &mut self,
        read: Sql<T>,
        what: impl FnOnce() -> String,
    ) -> Sql<Option<T>> {
        match read {
            Err(error) if rows::is_damage(&error) => {
                let why = match rows::what(&error) {
                    why if why.ends_with("not what was written") => String::new(),
                    why => format!(" ({why})"),
                };
                self.fault(format!("{} is not what was written{why}", what()));
                Ok(None)
            }
            read => read.map(Some),
        }
    }

    fn all(&mut self) -> Sql<()> {
        self.part("the file", Checker::file)?;
        self.part("the epoch", Checker::epoch)?;
        self.part("the users", Checker::users)?;
        self.part("the revocations", Checker::revocations)?;
        self.part("the streams", Checker::streams)?;
        self.part("the rooms", Checker::rooms)
    }

    /// Checks SQLite's own rules, the declarations, and that no row is without its room or stream.
    fn file(&mut self) -> Sql<()> {
        let sql = format!("PRAGMA integrity_check({SQLITE_FAULTS_MAX})");
        each(self.db, &sql, (), |row| {
            let said: String = row.get(0)?;
            let says = || format!("SQLite says: {}", said.trim().replace('\n', "; "));
            self.rule(said == "ok", says);
            Ok(())
        })?;
        for name in schema::declared_otherwise(self.db)? {
            self.fault(format!("{name}: the file declares it otherwise than parlor does"));
        }
        let sql = "SELECT \"table\", count(*) FROM pragma_foreign_key_check GROUP BY 1";
        each(self.db, sql, (), |row| {
            let (table, count): (String, u32) = (row.get(0)?, row.get(1)?);
            let whole = if table == "events" { "stream" } else { "room" };
            self.fault(format!("{table}: {count} rows are of no {whole}"));
            Ok(())
        })
    }

    fn epoch(&mut self) -> Sql<()> {
        let epoch = meta(self.db, "epoch")?;
        self.done.epoch.clone_from(&epoch);
        self.rule(!epoch.is_empty(), || "the epoch is empty".into());
        self.rule(is_epoch(&epoch), || "the epoch is none that a server would make".into());
        Ok(())
    }

    fn users(&mut self) -> Sql<()> {
        let mut count = 0;
        each(self.db, USERS, (), |row| {
            count += 1;
            let read = sums::check(row, 2, "").and_then(|()| user_of(row, 0));
            let what = || format!("the name of user {}", shown(row, 0));
            let Some(user) = self.sound(read, what)? else { return Ok(()) };
            let name = row.get_ref(1)?.as_str().unwrap_or_default();
            self.rule(is_short(name), || format!("the name of user {user} is too long"));
            Ok(())
        })?;
        self.counted("users", count)
    }

    fn revocations(&mut self) -> Sql<()> {
        let mut count = 0;
        each(self.db, REVOCATIONS, (), |row| {
            count += 1;
            let what = || format!("the revocation of {} {}", shown(row, 0), shown(row, 1));
            if let Some(Revocation::Token(jti, _)) = self.sound(revocation(row), what)? {
                let too_long = || format!("{} has too long a name", what());
                self.rule(jti.len() <= JTI_BYTES_MAX, too_long);
            }
            Ok(())
        })?;
        self.counted("revocations", count)
    }

    /// Compares the number of a table's rows with what `meta` says.
    pub(super) fn counted(&mut self, table: &str, count: u64) -> Sql<()> {
        let expected = meta(self.db, table)?;
        let broken = || format!("there are {count} {table}, and there should be {expected}");
        self.rule(expected == count.to_string(), broken);
        Ok(())
    }

    fn rooms(&mut self) -> Sql<()> {
        each(self.db, ROOMS, (), |row| {
            self.done.rooms += 1;
            let name = || format!("the row of room {}, whose log is not checked,", shown(row, 1));
            let Some(room) = self.sound(room_row(row), name)? else { return Ok(()) };
            self.room = Some(room.state.room.clone());
            let mut seen = None;
            self.part("the log", |checker| {
                seen = Some(check_log(checker, &room)?);
                Ok(())
            })?;
            self.part("the reactions", |checker| checker.reactions(room.id))?;
            self.part("the members", |checker| check_people(checker, &room, seen.as_ref()))?;
            self.room = None;
            Ok(())
        })?;
        self.counted("rooms", self.done.rooms)
    }

    /// Checks that each reaction that holds is one of the log. The check of the log finds missing
    /// ones.
    fn reactions(&mut self, room: i64) -> Sql<()> {
        let sql = "SELECT r.target, r.user, r.sum = row_sum('reactions', r.room, r.target, \
             r.emoji, r.user, r.seq), e.kind IS 'reacted' AND e.target = r.target \
             AND e.emoji = r.emoji AND e.user = r.user AND e.is_on = 1 \
             FROM reactions r LEFT JOIN main.entries e ON e.room = r.room AND e.seq = r.seq \
             WHERE r.room = ?1";
        each(self.db, sql, [room], |found| {
            let read = sums::check(found, 2, "").and_then(|()| found.get::<_, Option<bool>>(3));
            let what = || format!("a reaction to message {}", shown(found, 0));
            let Some(of_log) = self.sound(read, what)? else { return Ok(()) };
            self.rule(of_log == Some(true), || {
                let (target, user) = (shown(found, 0), shown(found, 1));
                format!("a reaction of {user} to message {target} is not one of the log")
            });
            Ok(())
        })
    }
}

/// A value as people are shown it, whatever damage has made of it.
pub(super) fn shown(row: &Row<'_>, column: usize) -> String {
    /// The most characters.
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
