//! The journal: what was committed and is not in the tables of rooms yet.
//!
//! A commit adds its number, and its messages and marks as JSON, to the end of the
//! [tail](super::tail); if it changes tables, too, to the end of the table `journal`, in the same
//! transaction. So it writes one or two pages, however many rooms and users it is about. Later
//! [`HotRooms::write_next`](super::hot::HotRooms::write_next) or a
//! [thread](super::merge_thread) brings many of them into the tables at once, room by room, and the rows
//! are removed. Numbers are absolute: who reads a commit
//! again, after a part of it was merged, passes over what the tables have.

use super::loss;
use super::rows::{damaged, each, what};
use super::sums::check;
use super::tail::{FoundTail, JournalPlace, TailRecord};
use rusqlite::{Connection, OptionalExtension, Result};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// The records of a commit that changes nothing of rooms in memory.
pub(super) const NO_RECORDS: &str = "[]";

/// A message, or a mark that was moved. A room is given by its id.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum JournalRecord<'a> {
    Message {
        room: i64,
        seq: u64,
        ts: i64,
        /// How many messages there are up to it.
        messages: u64,
        #[serde(borrow)]
        from: Cow<'a, str>,
        #[serde(borrow)]
        text: Cow<'a, str>,
        /// JSON as it came.
        #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
        data: Option<Cow<'a, str>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reply_to: Option<u64>,
        #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
        cid: Option<Cow<'a, str>>,
    },
    Read {
        room: i64,
        #[serde(borrow)]
        user: Cow<'a, str>,
        seq: u64,
        messages: u64,
        deleted: u64,
    },
    Delivered {
        room: i64,
        #[serde(borrow)]
        user: Cow<'a, str>,
        seq: u64,
    },
}

/// Records as a row has them: a list in JSON.
#[derive(Debug, Default)]
pub(super) struct JournalText(Vec<u8>);

impl JournalText {
    /// Adds a record.
    pub(super) fn add(&mut self, record: &JournalRecord<'_>) {
        self.0.push(if self.0.is_empty() { b'[' } else { b',' });
        // Numbers and texts are always JSON, and a vector takes every byte.
        let _ = serde_json::to_writer(&mut self.0, record);
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes back what was added since it had this length.
    pub(super) fn truncate(&mut self, len: usize) {
        self.0.truncate(len);
    }

    /// The list, which then begins anew.
    pub(super) fn take(&mut self) -> String {
        if self.0.is_empty() {
            return NO_RECORDS.to_owned();
        }
        self.0.push(b']');
        String::from_utf8(std::mem::take(&mut self.0)).unwrap_or_default()
    }
}

/// Adds a row.
pub(super) fn append(db: &Connection, n: u64, records: &str) -> Result<()> {
    let sql = "INSERT INTO journal (n, records, sum) VALUES (?1, ?2, row_sum('journal', ?1, ?2))";
    db.prepare_cached(sql)?.execute((n as i64, records)).map(drop)
}

/// Removes the rows before one.
pub(super) fn remove_before(db: &Connection, n: u64) -> Result<()> {
    db.prepare_cached("DELETE FROM journal WHERE n < ?1")?.execute([n as i64]).map(drop)
}

/// The number of the newest row; 0 if there is none.
pub(super) fn newest_row(db: &Connection) -> Result<u64> {
    let sql = "SELECT n, sum = row_sum('journal', n, records) FROM journal ORDER BY n DESC LIMIT 1";
    let found = db.prepare_cached(sql)?.query_row((), |row| {
        check(row, 1, "the number of commits")?;
        super::rows::unsigned(row, 0)
    });
    Ok(found.optional()?.unwrap_or(0))
}

/// How far a journal goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct JournalExtent {
    /// The number of the newest commit, be it a row or in the tail; 0 if there is none.
    pub(super) newest: u64,
    /// The tail goes on after a commit that is not there.
    pub(super) is_cut: bool,
}

/// Hands each commit to `found`, of the table and of the tail: its number and its records, or that it
/// is damaged. Commits that follow one which the database does not show are left out: it is older
/// than they are, or has lost that one.
pub(super) fn read(
    db: &Connection,
    tail: &FoundTail,
    mut found: impl FnMut(u64, Result<Vec<JournalRecord<'_>>>) -> Result<()>,
) -> Result<JournalExtent> {
    walk(db, tail, |n, list| {
        let records = list.and_then(|list| {
            serde_json::from_str(list).map_err(|error| damaged(format!("commit {n}: {error}")))
        });
        found(n, records)
    })
}

/// How far the journal goes.
pub(super) fn extent(db: &Connection, tail: &FoundTail) -> Result<JournalExtent> {
    walk(db, tail, |_, _| Ok(()))
}

/// Brings the tail of a database into a copy, which has none. Returns the first damage.
pub(super) fn copy_tail(copy: &Connection, tail: &FoundTail) -> Result<Option<String>> {
    let (mut all, mut damage) = (Vec::new(), None);
    walk(copy, tail, |n, list| {
        if let Err(error) = &list {
            damage.get_or_insert_with(|| what(error));
        }
        all.push((n, list.ok().map(str::to_owned)));
        Ok(())
    })?;
    if tail.records.is_empty() {
        return Ok(damage);
    }
    let transaction = copy.unchecked_transaction()?;
    let mut next = None;
    for (n, list) in all {
        // What is lost stays a hole. A number that is in neither is of a merge that is under way, has failed,
        // or was undone by a power loss.
        let first = next.filter(|_| list.is_some()).unwrap_or(n);
        next = n.checked_add(1);
        for n in first..n {
            append(copy, n, NO_RECORDS)?;
        }
        if let Some(list) = list {
            let sql = "INSERT OR IGNORE INTO journal (n, records, sum) \
                 VALUES (?1, ?2, row_sum('journal', ?1, ?2))";
            copy.prepare_cached(sql)?.execute((n as i64, list))?;
        }
    }
    transaction.commit()?;
    Ok(damage)
}

/// Hands over commits in order.
fn walk(
    db: &Connection,
    tail: &FoundTail,
    found: impl FnMut(u64, Result<&str>) -> Result<()>,
) -> Result<JournalExtent> {
    let mut records = tail.records.iter().peekable();
    let FoundTail { oldest, keeps_all, .. } = *tail;
    let mut walk = Walk { oldest, keeps_all, last: None, is_cut: false, found };
    let sql = "SELECT n, records, sum = row_sum('journal', n, records) FROM journal ORDER BY n";
    each(db, sql, (), |row| {
        let n = super::rows::unsigned(row, 0)?;
        while let Some((n, record)) = records.next_if(|(record, _)| **record < n) {
            walk.record(*n, record)?;
        }
        // One of the same number was not acknowledged, as it could not be synced.
        records.next_if(|(record, _)| **record == n);
        let list = check(row, 2, "a commit of the journal");
        walk.row(n, list.and_then(|()| Ok(row.get_ref(1)?.as_str()?)))
    })?;
    records.try_for_each(|(n, record)| walk.record(*n, record))?;
    Ok(JournalExtent { newest: walk.last.unwrap_or(0), is_cut: walk.is_cut })
}

/// Commits in order.
struct Walk<F> {
    /// The oldest one that must be there, if there is a tail.
    oldest: Option<u64>,
    /// See [`FoundTail::keeps_all`].
    keeps_all: bool,
    /// The last one.
    last: Option<u64>,
    is_cut: bool,
    found: F,
}

impl<F: FnMut(u64, Result<&str>) -> Result<()>> Walk<F> {
    /// The number that is to come; `None` if any may be the first.
    fn next(&self) -> Option<u64> {
        self.last.map_or(self.oldest, |last| last.checked_add(1))
    }

    fn row(&mut self, n: u64, list: Result<&str>) -> Result<()> {
        if let Some(next) = self.next().filter(|next| *next < n) {
            (self.found)(n, Err(not_there(next, n - 1)))?;
        }
        self.last = Some(n);
        (self.found)(n, list)
    }

    fn record(&mut self, n: u64, record: &TailRecord) -> Result<()> {
        let JournalPlace { n: after, is_record } = record.after;
        let missing = self.next().filter(|next| *next <= after);
        self.is_cut |= missing.is_some() && !is_record && !self.keeps_all;
        if self.is_cut {
            return Ok(());
        }
        if let Some(next) = missing {
            (self.found)(n, Err(not_there(next, after)))?;
        }
        self.last = Some(n);
        (self.found)(n, Ok(&record.list))
    }
}

fn not_there(first: u64, last: u64) -> rusqlite::Error {
    damaged(format!("{} not there", loss::are("commit", "commits", first, last)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_what_was_added_and_not_taken_back() {
        let mut text = JournalText::default();
        assert_eq!(text.take(), NO_RECORDS);
        let (room, user) = (7, Cow::from("ada"));
        text.add(&JournalRecord::Delivered { room, user: user.clone(), seq: 3 });
        let before = text.len();
        text.add(&JournalRecord::Read { room, user, seq: 4, messages: 2, deleted: 1 });
        text.truncate(before);
        text.add(&JournalRecord::Message {
            room,
            seq: 5,
            ts: 1,
            messages: 3,
            from: "bob".into(),
            text: "\"\\\n\u{1}é".into(),
            data: Some("{\"a\":1.50}".into()),
            reply_to: None,
            cid: None,
        });
        let list = text.take();
        assert_eq!(
            list,
            "[{\"delivered\":{\"room\":7,\"user\":\"ada\",\"seq\":3}},{\"message\":{\"room\":7,\
             \"seq\":5,\"ts\":1,\"messages\":3,\"from\":\"bob\",\"text\":\"\\\"\\\\\\n\\u0001é\",\
             \"data\":\"{\\\"a\\\":1.50}\"}}]"
        );
        let again: Vec<JournalRecord<'_>> = serde_json::from_str(&list).unwrap();
        let mut copy = JournalText::default();
        again.iter().for_each(|record| copy.add(record));
        assert_eq!(copy.take(), list);
        assert!(text.is_empty());
    }
}
