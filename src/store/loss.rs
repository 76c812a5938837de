//! Whether a store has lost commits, because its log or its tail is missing, was cut, or is an older
//! one.
//!
//! The database counts its commits, and says whether a server has it open, so that a log must
//! exist. The [mark](super::mark) says how many commits there were.

use super::disk::{self, if_there, real};
use super::integrity::{NotWhole, TAIL, WAL, with};
use super::journal::{self, JournalExtent};
use super::mark::{self, Heads, MarkState};
use super::rows::{self, damaged, each, meta, parsed};
use super::sums::check;
use super::tail::FoundTail;
use super::{schema, sums};
use crate::base::{RoomId, StreamId};
use rusqlite::{Connection, OpenFlags, OptionalExtension, Result};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// What a database says of its commits, in its journal and in `meta`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Count {
    /// The number of commits, those in the tail left out.
    pub(super) commits: u64,
    /// The number at the last one that merged something. It is in one page, so a file whose
    /// checkpoint was cut has it, too.
    pub(super) noted: u64,
    /// Whether a server has opened it, committed something, and not closed it.
    pub(super) calls_for_log: bool,
}

/// The row with [`Count::noted`]; files of the version [`schema::OLDEST`] have the number of commits
/// there.
const COMMITS: &str = "commits";
const CALLS_FOR_LOG: &str = "calls_for_log";
/// The row with the number of the commit that has begun the tail; 0 if none has.
pub(super) const TAIL_BEGUN: &str = "tail";
/// The row with the number of the oldest commit that the journal has, since there is a tail.
pub(super) const OLDEST_COMMIT: &str = "oldest";

/// The count of a database; zeros if no server has written to it yet.
pub(super) fn count(db: &Connection) -> Result<Count> {
    let mut count = Count::default();
    let sql =
        "SELECT key, value, sum = row_sum('meta', key, value) FROM meta WHERE key IN (?1, ?2)";
    each(db, sql, [COMMITS, CALLS_FOR_LOG], |row| {
        check(row, 2, "the number of commits")?;
        let value = row.get_ref(1)?.as_str()?;
        if row.get_ref(0)?.as_str()? == COMMITS {
            let number = value.parse();
            count.noted = number.map_err(|_| damaged("the number of commits".into()))?;
        } else {
            count.calls_for_log = value == "1";
        }
        Ok(())
    })?;
    count.commits = match schema::version(db)? > schema::OLDEST {
        true => journal::newest_row(db)?,
        false => count.noted,
    };
    Ok(count)
}

/// Notes the number of commits, and the oldest that the journal has, within one that merges something.
pub(super) fn note_commits(db: &Connection, commits: u64, oldest: u64) -> Result<()> {
    set(db, COMMITS, &commits.to_string())?;
    note_oldest(db, oldest)
}

/// Notes the oldest commit that the journal has.
pub(super) fn note_oldest(db: &Connection, oldest: u64) -> Result<()> {
    set(db, OLDEST_COMMIT, &oldest.to_string())
}

/// Notes the number by which the tail is named, and the oldest commit that the journal has.
pub(super) fn note_tail(db: &Connection, n: u64, oldest: u64) -> Result<()> {
    for (key, value) in [(TAIL_BEGUN, n), (OLDEST_COMMIT, oldest)] {
        set(db, key, &value.to_string())?;
        if meta(db, key)? != value.to_string() {
            return Err(damaged(format!("there is no {key}")));
        }
    }
    Ok(())
}

/// Says that the database is whole without a log and a tail.
pub(super) fn call_for_nothing(db: &Connection) -> Result<()> {
    call_for_log(db, false)?;
    note_no_tail(db)
}

/// Notes that there is no tail.
pub(super) fn note_no_tail(db: &Connection) -> Result<()> {
    set(db, TAIL_BEGUN, "0")?;
    note_oldest(db, 0)
}

fn set(db: &Connection, key: &str, value: &str) -> Result<()> {
    // A damaged row stays damaged.
    let sql = "UPDATE meta SET value = ?2, sum = row_sum('meta', key, ?2) \
         WHERE key = ?1 AND value <> ?2 AND sum = row_sum('meta', key, value)";
    db.prepare_cached(sql)?.execute([key, value]).map(drop)
}

pub(super) fn call_for_log(db: &Connection, calls: bool) -> Result<()> {
    set(db, CALLS_FOR_LOG, if calls { "1" } else { "0" })
}

/// The count in a database's file, without its log; `None` if it cannot be read.
fn count_in_file(file: &Path) -> Option<Count> {
    // SQLite looks for no log beside an immutable file.
    let db = open_by_uri(file, "immutable=1").ok()?;
    sums::add_row_sum(&db).ok()?;
    count(&db).ok()
}

/// Opens a database to read it only, with parameters of SQLite's file names.
pub(super) fn open_by_uri(file: &Path, parameters: &str) -> Result<Connection> {
    let bytes = file.as_os_str().as_bytes().iter();
    let escaped: String = bytes.map(|byte| format!("%{byte:02x}")).collect();
    let uri = format!("file:{escaped}?{parameters}");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(uri, flags)
}

/// What is known of a store beside its database. It is read before the database, which may be in
/// use.
#[derive(Debug)]
pub(super) struct StoreTraces {
    mark: MarkState,
    /// The count in the file, without its log, if it can be read.
    pub(super) in_file: Option<Count>,
    has_log: bool,
}

impl StoreTraces {
    pub(super) fn read(file: &Path) -> io::Result<StoreTraces> {
        let mark = mark::read(file)?;
        let has_log = with(&real(file), WAL).metadata().is_ok_and(|log| log.len() > 0);
        Ok(StoreTraces { mark, in_file: count_in_file(file), has_log })
    }

    /// Whether the file and its log are of different times. SQLite would take pages of both for one
    /// database.
    pub(super) fn mixture(&self, db: &Connection, file: &Path) -> Result<Option<NotWhole>> {
        let (Some(in_file), true) = (self.in_file, self.has_log) else { return Ok(None) };
        let found = count(db)?;
        // The newest row that a file with a cut checkpoint shows may be an older one, but is none
        // that there never was.
        if found.commits < in_file.commits || found.noted < in_file.noted {
            return Ok(Some(NotWhole::OlderLog(with(file, WAL))));
        }
        let is_older = match &self.mark {
            MarkState::Mark(marked) => {
                found.commits > in_file.commits
                    && in_file.noted < marked.in_file
                    && marked.epoch == meta(db, "epoch")?
            }
            MarkState::Nothing | MarkState::Damaged => false,
        };
        Ok(is_older.then(|| NotWhole::OlderFile(with(file, WAL))))
    }

    /// What a database has lost, its log included.
    pub(super) fn loss(&self, db: &Connection, tail: &FoundTail) -> Result<Option<Loss>> {
        let count = count(db)?;
        let newest = match schema::version(db)? > schema::OLDEST {
            true => journal::extent(db, tail)?.newest,
            false => count.commits,
        };
        // A database that is in use is older than its tail, or the tail would be cut.
        let extent = JournalExtent { newest, is_cut: false };
        self.loss_of(db, tail, extent, count.calls_for_log)
    }

    /// As [`StoreTraces::loss`], of a database whose journal had this extent, and which called for a
    /// log or not, before its journal was merged.
    pub(super) fn loss_of(
        &self,
        db: &Connection,
        tail: &FoundTail,
        extent: JournalExtent,
        calls_for_log: bool,
    ) -> Result<Option<Loss>> {
        let commits = extent.newest;
        let of_tail = || {
            let missing = tail.is_missing.then_some("it is not there, or is another one");
            let cut = "it goes on after commits that are not there: the write-ahead log is missing, cut or an older one";
            missing.or(extent.is_cut.then_some(cut)).map(Loss::Tail)
        };
        let no_mark = match &self.mark {
            MarkState::Mark(marked) if marked.epoch == meta(db, "epoch")? => {
                let missing = missing(db, &marked.heads)?;
                let (begun, marked) = (marked.begun, marked.commits);
                let is_behind = commits < marked || !missing.is_empty();
                let behind = Loss::Behind { commits, marked, begun, missing };
                return Ok(is_behind.then_some(behind).or_else(of_tail));
            }
            MarkState::Mark(_) => "is of another store",
            MarkState::Damaged => "is damaged",
            MarkState::Nothing => "is not there",
        };
        Ok(calls_for_log.then_some(Loss::Unknown(no_mark)).or_else(of_tail))
    }

    /// Whether there is a mark that is not damaged.
    pub(super) fn has_mark(&self) -> bool {
        matches!(self.mark, MarkState::Mark(_))
    }

    /// Whether the mark is damaged, or of another store.
    pub(super) fn has_strange_mark(&self, epoch: &str) -> bool {
        match &self.mark {
            MarkState::Mark(marked) => marked.epoch != epoch,
            MarkState::Damaged => true,
            MarkState::Nothing => false,
        }
    }
}

/// What is missing at the ends of the logs whose heads the mark has.
fn missing(db: &Connection, heads: &Heads) -> Result<Vec<BrokenRule>> {
    let mut missing = Vec::new();
    for (log, head) in heads {
        let (kind, name) = log.split_once(':').unwrap_or_default();
        let (sql, one, several) = match kind {
            "room" => ("SELECT head FROM rooms WHERE name = ?1", "entry", "entries"),
            "stream" => ("SELECT head FROM streams WHERE name = ?1", "event", "events"),
            _ => continue,
        };
        let found = db.prepare_cached(sql)?.query_row([name], |row| rows::unsigned(row, 0));
        let first = found.optional()?.unwrap_or(0) + 1;
        if first > *head {
            continue;
        }
        let what = format!("{} lost", are(one, several, first, *head));
        missing.push(if kind == "room" {
            let room = parsed(RoomId::parse(name))?;
            BrokenRule { room: Some(room.as_str().to_owned()), what }
        } else {
            let stream = parsed(StreamId::parse(name))?;
            BrokenRule { room: None, what: format!("stream {stream}: {what}") }
        });
    }
    Ok(missing)
}

/// `entry 7 is`, or `entries 7 to 9 are`.
pub(super) fn are(one: &str, several: &str, first: u64, last: u64) -> String {
    if first == last {
        format!("{one} {first} is")
    } else {
        format!("{several} {first} to {last} are")
    }
}

/// A rule that a store breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{what}", .room.as_ref().map(|room| format!("{room}: ")).unwrap_or_default())]
pub struct BrokenRule {
    /// The room, if it is about one.
    pub room: Option<String>,
    /// What is wrong.
    pub what: String,
}

/// What a store has lost.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Loss {
    /// Commits or entries are missing that its mark has. The mark was begun at the commit `begun`.
    #[error("the data have {commits} commits, and {marked} were made: the write-ahead log or the tail is missing, cut or an older one{}", unknown_changes(*.commits, *.begun))]
    Behind { commits: u64, marked: u64, begun: u64, missing: Vec<BrokenRule> },
    /// No mark can tell.
    #[error(
        "the mark of the data {0}, and the server did not end in order: whether its write-ahead log and its tail are whole cannot be told"
    )]
    Unknown(&'static str),
    /// The mark has no more, and the tail shows it.
    #[error("the tail of the data shows that something is lost: {0}")]
    Tail(&'static str),
}

/// What a mark cannot tell if it was begun after the commits that are there.
fn unknown_changes(commits: u64, begun: u64) -> String {
    let what = "which logs had changed by commit";
    if commits < begun { format!("; {what} {begun} cannot be told") } else { String::new() }
}

impl Loss {
    pub(super) fn missing(&self) -> &[BrokenRule] {
        match self {
            Loss::Behind { missing, .. } => missing,
            Loss::Unknown(_) | Loss::Tail(_) => &[],
        }
    }
}

/// Syncs a log and a tail that were read. A kill may have come before their sync, and what is shown
/// must not be lost with the power.
pub(super) fn sync_what_was_read(file: &Path) -> io::Result<()> {
    for ending in [WAL, TAIL] {
        if_there(disk::sync(&with(&real(file), ending)))?;
    }
    Ok(())
}

/// Syncs the log of an open database.
pub(super) fn sync_log(file: &Path) -> io::Result<()> {
    disk::sync(&with(&real(file), WAL))
}
