//! The rules of one room's log.

use super::check::{Checker, shown};
use crate::base::{Entry, EntryKind, Timestamp, UserId};
use crate::store::lost::are;
use crate::store::rows::{
    EntryRow, RoomRow, entry, entry_columns, find_entry, is_damage, unsigned,
};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Result, Row, params};
use std::collections::BTreeMap;

/// What a log says of its people.
#[derive(Debug, Default)]
pub(super) struct LogSummary {
    pub(super) users: BTreeMap<UserId, LoggedPerson>,
    /// Numbers of the messages that are deleted, in order.
    pub(super) deleted: Vec<u64>,
    /// Whether all of it could be read.
    pub(super) is_whole: bool,
}

/// What a log says of somebody.
#[derive(Debug, Default)]
pub(super) struct LoggedPerson {
    /// The entry by which they came last.
    pub(super) joined: Option<u64>,
    /// Whether they are a member; None: the log begins later than that.
    pub(super) is_in: Option<bool>,
    /// Whether they wrote since.
    pub(super) wrote: bool,
}

/// Reads a room's log from its beginning to its end.
pub(super) fn check_log(
    checker: &mut Checker<'_>,
    db: &Connection,
    row: &RoomRow,
) -> Result<LogSummary> {
    let mut log = LogChecker {
        checker,
        db,
        row,
        expected: row.state.first,
        ts: Timestamp(i64::MIN),
        messages: Some(row.state.first_messages),
        seen: LogSummary { is_whole: true, ..LogSummary::default() },
    };
    let mut statement = db.prepare_cached(concat!(
        "SELECT ",
        entry_columns!(),
        " FROM entries WHERE room = ?1 ORDER BY seq"
    ))?;
    let mut rows = statement.query([row.id])?;
    while let Some(found) = rows.next()? {
        log.next(found)?;
    }
    log.end();
    Ok(log.seen)
}

struct LogChecker<'a, 'b> {
    checker: &'a mut Checker<'b>,
    db: &'a Connection,
    row: &'a RoomRow,
    expected: u64,
    ts: Timestamp,
    /// How many messages there are up to here; None behind an entry that could not be read.
    messages: Option<u64>,
    seen: LogSummary,
}

impl LogChecker<'_, '_> {
    fn fault(&mut self, what: String) {
        self.checker.fault(Some(&self.row.state.room), what);
    }

    fn next(&mut self, found: &Row<'_>) -> Result<()> {
        self.checker.done.entries += 1;
        let room = &self.row.state.room;
        let read = entry(room, found);
        let name = || format!("entry {}", shown(found, 0));
        let read = self.checker.sound(Some(room), read, name)?;
        let Ok(seq) = unsigned(found, 0) else { return Ok(()) };
        if seq > self.expected {
            let (first, last) = (self.expected, seq - 1);
            self.fault(format!("{} not there", are("entry", "entries", first, last)));
            (self.messages, self.seen.is_whole) = (None, false);
        } else if seq < self.expected {
            self.fault(format!("entry {seq} is before the first, or out of order"));
        }
        self.expected = seq.saturating_add(1);
        let Some(read) = read else {
            (self.messages, self.seen.is_whole) = (None, false);
            return Ok(());
        };
        self.numbers(&read);
        self.checker.values(&read.entry);
        let is_null = |column| Ok::<_, rusqlite::Error>(found.get_ref(column)? == ValueRef::Null);
        let nulls = Nulls { text: is_null(5)?, data: is_null(6)?, cid: is_null(11)? };
        match &read.entry.kind {
            EntryKind::Message { .. } => self.message(&read, &nulls)?,
            EntryKind::Edited { target, by, .. } => self.edited(seq, *target, by, &nulls)?,
            EntryKind::Deleted { target, .. } => self.deleted(seq, *target)?,
            EntryKind::Reacted { .. } => self.reacted(&read.entry)?,
            EntryKind::Joined { user, .. } => {
                let person = self.seen.users.entry(user.clone()).or_default();
                let was_in = person.is_in == Some(true);
                *person = LoggedPerson { joined: Some(seq), is_in: Some(true), wrote: false };
                if was_in {
                    self.fault(format!("entry {seq}: {user} comes, and was there"));
                }
            }
            EntryKind::Left { user, .. } => {
                let is_from_the_beginning = self.row.state.first == 1 && self.seen.is_whole;
                let person = self.seen.users.entry(user.clone()).or_default();
                let was_out = person.is_in == Some(false)
                    || (person.is_in.is_none() && is_from_the_beginning);
                *person = LoggedPerson { joined: None, is_in: Some(false), wrote: false };
                if was_out {
                    self.fault(format!("entry {seq}: {user} goes, and was not there"));
                }
            }
        }
        Ok(())
    }

    /// Times never fall, and messages are counted.
    fn numbers(&mut self, read: &EntryRow) {
        let Entry { seq, ts, .. } = read.entry;
        if ts < self.ts {
            self.fault(format!("entry {seq} is older than the one before it"));
        }
        if seq == self.row.state.first && ts != self.row.state.first_ts {
            self.fault(format!(
                "entry {seq} is the first, and has another time than the room says"
            ));
        }
        self.ts = ts;
        let is_message = u64::from(read.entry.is_message());
        if let Some(before) = self.messages
            && before.saturating_add(is_message) != read.messages
        {
            let counted = read.messages;
            self.fault(format!(
                "entry {seq} counts {counted} messages, and there are {}",
                before.saturating_add(is_message)
            ));
        }
        self.messages = Some(read.messages);
    }

    fn message(&mut self, read: &EntryRow, nulls: &Nulls) -> Result<()> {
        let seq = read.entry.seq;
        let EntryKind::Message { from, body, cid, .. } = &read.entry.kind else { return Ok(()) };
        self.seen.users.entry(from.clone()).or_default().wrote = true;
        if let Some(cid) = cid {
            self.cid(seq, from, cid)?;
        }
        if nulls.cid != read.digest.is_none() {
            self.fault(format!("entry {seq} has a client id without a digest, or the reverse"));
        }
        let follow = |kind: &str| -> Result<(Option<u64>, u64)> {
            let mut statement = self.db.prepare_cached(
                "SELECT max(seq), count(*) FROM entries \
                 WHERE room = ?1 AND target = ?2 AND kind = ?3",
            )?;
            statement.query_row(params![self.row.id, seq as i64, kind], |found| {
                Ok((
                    found.get::<_, Option<i64>>(0)?.map(|seq| seq.max(0) as u64),
                    unsigned(found, 1)?,
                ))
            })
        };
        let (edited, (deleted, deletions)) = (follow("edited")?.0, follow("deleted")?);
        if read.edited != edited {
            let says = said(read.edited);
            self.fault(format!(
                "message {seq} says its edit is {says}, and the log {}",
                said(edited)
            ));
        }
        if read.deleted != deleted || deletions > 1 {
            let says = said(read.deleted);
            self.fault(format!(
                "message {seq} says it was deleted by {says}, and the log {}",
                said(deleted)
            ));
        }
        if read.deleted.is_some() {
            self.seen.deleted.push(seq);
            if !nulls.text || !nulls.data || read.reacted > 0 {
                self.fault(format!("message {seq} is deleted, and its text is there"));
            }
        } else if nulls.text {
            self.fault(format!("message {seq} has no text"));
        } else if let Some(edit) = edited
            && let Some(edit) = self.other(edit)?
            && let EntryKind::Edited { text, .. } = &edit.entry.kind
            && text.as_deref() != Some(&*body.text)
        {
            let edit = edit.entry.seq;
            self.fault(format!("message {seq} does not have the text of its edit {edit}"));
        }
        if read.reacted > 0 {
            let count: i64 = self
                .db
                .prepare_cached("SELECT count(*) FROM reactions WHERE room = ?1 AND target = ?2")?
                .query_row(params![self.row.id, seq as i64], |found| found.get(0))?;
            if u64::try_from(count) != Ok(read.reacted) {
                let says = read.reacted;
                self.fault(format!("message {seq} has {count} reactions, and says {says}"));
            }
        }
        Ok(())
    }

    /// The index of client ids leads to this entry, and to no other.
    fn cid(&mut self, seq: u64, from: &UserId, cid: &str) -> Result<()> {
        let mut statement = self.db.prepare_cached(
            "SELECT seq FROM entries INDEXED BY entries_by_cid \
             WHERE room = ?1 AND user = ?2 AND cid = ?3 AND cid IS NOT NULL",
        )?;
        let mut rows = statement.query(params![self.row.id, from.as_str(), cid])?;
        let mut is_found = false;
        let mut others = Vec::new();
        while let Some(found) = rows.next()? {
            match unsigned(found, 0)? {
                other if other != seq => others.push(other),
                _ => is_found = true,
            }
        }
        if !is_found {
            self.fault(format!("entry {seq} is not found by its client id"));
        }
        for other in others.into_iter().filter(|other| *other > seq) {
            self.fault(format!("entries {seq} and {other} have the same client id"));
        }
        Ok(())
    }

    fn edited(&mut self, seq: u64, target: u64, by: &UserId, nulls: &Nulls) -> Result<()> {
        let Some(message) = self.target(seq, target)? else { return Ok(()) };
        let EntryKind::Message { from, .. } = &message.entry.kind else { return Ok(()) };
        if from != by {
            self.fault(format!("entry {seq}: {by} edits a message of {from}"));
        }
        if message.deleted.is_some() != nulls.text {
            let what = if nulls.text { "is gone" } else { "of a deleted message is there" };
            self.fault(format!("entry {seq}: the text {what}"));
        }
        if message.edited.is_none_or(|newest| newest < seq) {
            self.fault(format!("message {target} does not say that entry {seq} edits it"));
        }
        Ok(())
    }

    fn deleted(&mut self, seq: u64, target: u64) -> Result<()> {
        let Some(message) = self.target(seq, target)? else { return Ok(()) };
        if message.deleted != Some(seq) {
            self.fault(format!("message {target} does not say that entry {seq} deletes it"));
        }
        Ok(())
    }

    /// The newest entry about a reaction is what holds.
    fn reacted(&mut self, read: &Entry) -> Result<()> {
        let EntryKind::Reacted { target, emoji, on, by } = &read.kind else { return Ok(()) };
        let Some(message) = self.target(read.seq, *target)? else { return Ok(()) };
        let (room, target_seq) = (self.row.id, *target as i64);
        let key = params![room, target_seq, &**emoji, by.as_str()];
        let newest: Option<i64> = self
            .db
            .prepare_cached(
                "SELECT max(seq) FROM entries WHERE room = ?1 AND target = ?2 AND emoji = ?3 \
                 AND user = ?4 AND kind = 'reacted'",
            )?
            .query_row(key, |found| found.get(0))?;
        let seq = read.seq as i64;
        if newest != Some(seq) {
            return Ok(());
        }
        let holds: Option<i64> = self
            .db
            .prepare_cached(
                "SELECT seq FROM reactions WHERE room = ?1 AND target = ?2 AND emoji = ?3 \
                 AND user = ?4",
            )?
            .query_row(key, |found| found.get(0))
            .optional()?;
        let expected = (*on && message.deleted.is_none()).then_some(seq);
        if holds != expected {
            self.fault(format!(
                "the reaction of {by} to message {target} is not that of entry {seq}"
            ));
        }
        Ok(())
    }

    /// The message that an entry changes, if it is kept and sound.
    fn target(&mut self, seq: u64, target: u64) -> Result<Option<EntryRow>> {
        if target >= seq || target == 0 {
            self.fault(format!("entry {seq} changes entry {target}, which is not before it"));
            return Ok(None);
        }
        if target < self.row.state.first {
            return Ok(None);
        }
        let found = self.other(target)?;
        if found.as_ref().is_some_and(|found| !found.entry.is_message()) {
            self.fault(format!("entry {seq} changes entry {target}, which is no message"));
            return Ok(None);
        }
        Ok(found)
    }

    /// Another entry of this log. One that is damaged, or not there, is told of in its own place.
    fn other(&self, seq: u64) -> Result<Option<EntryRow>> {
        match find_entry(self.db, self.row, seq) {
            Err(error) if is_damage(&error) => Ok(None),
            other => other,
        }
    }

    fn end(&mut self) {
        let state = self.row.state.clone();
        let last = self.expected.saturating_sub(1);
        if last != state.head {
            self.seen.is_whole = false;
            self.fault(if last < state.head {
                format!("entries {} to {} are not there", last.saturating_add(1), state.head)
            } else {
                format!("the log ends with entry {last}, and the room says {}", state.head)
            });
        } else {
            if let Some(messages) = self.messages
                && messages != state.messages
            {
                let says = state.messages;
                self.fault(format!("the room has {messages} messages, and says {says}"));
            }
            let is_empty = state.first > state.head;
            if !is_empty && self.ts != state.ts {
                self.fault("the room says another time than its newest entry".into());
            }
            if is_empty && state.first_ts != Timestamp(0) {
                self.fault("the room says a time of its first entry, and has none".into());
            }
        }
        if state.head == 0 {
            self.fault("the room never had an entry".into());
        }
    }
}

/// Which columns of an entry have nothing.
struct Nulls {
    text: bool,
    data: bool,
    cid: bool,
}

fn said(seq: Option<u64>) -> String {
    seq.map_or_else(|| "none".to_owned(), |seq| seq.to_string())
}
