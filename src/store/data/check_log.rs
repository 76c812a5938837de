//! Checks the rules of one room's log.

use super::ENTRIES;
use super::check::{Checker, shown};
use super::check_values::{is_emoji, is_short};
use super::lines::is_data;
use super::readable_rows::if_readable;
use crate::base::{Entry, EntryKind, Timestamp, UserId};
use crate::store::loss::are;
use crate::store::rows::{EntryRow, RoomRow, each, entry, find_entry, find_row, unsigned};
use rusqlite::types::ValueRef;
use rusqlite::{Result, Row, params};
use std::collections::BTreeMap;

/// What a log says of its people.
#[derive(Debug, Default)]
pub(super) struct LogSummary {
    pub(super) users: BTreeMap<UserId, LoggedPerson>,
    /// The numbers of deleted messages, in order.
    pub(super) deleted: Vec<u64>,
    /// Whether all of it could be read.
    pub(super) is_whole: bool,
}

impl LogSummary {
    /// Adds what an entry says of somebody.
    pub(super) fn note(&mut self, entry: &Entry) {
        let (user, is_in) = match &entry.kind {
            EntryKind::Joined { user, .. } => (user, true),
            EntryKind::Left { user, .. } => (user, false),
            EntryKind::Message { from, .. } => {
                self.users.entry(from.clone()).or_default().wrote = true;
                return;
            }
            EntryKind::Edited { .. } | EntryKind::Deleted { .. } | EntryKind::Reacted { .. } => {
                return;
            }
        };
        let joined = is_in.then_some(entry.seq);
        self.users.insert(user.clone(), LoggedPerson { joined, is_in: Some(is_in), wrote: false });
    }

    /// Whether somebody is a member; `None` if the log does not say yet.
    fn is_in(&self, user: &UserId) -> Option<bool> {
        self.users.get(user).and_then(|person| person.is_in)
    }
}

/// What a log says of somebody.
#[derive(Debug, Default)]
pub(super) struct LoggedPerson {
    /// The entry by which they came last.
    pub(super) joined: Option<u64>,
    /// Whether they are a member; `None` if the log begins later than that.
    pub(super) is_in: Option<bool>,
    /// Whether they have written since.
    pub(super) wrote: bool,
}

/// Checks a room's log from its beginning to its end.
pub(super) fn check_log(checker: &mut Checker<'_>, row: &RoomRow) -> Result<LogSummary> {
    let db = checker.db;
    let mut log = LogChecker {
        checker,
        row,
        expected: row.state.first,
        ts: Timestamp(i64::MIN),
        messages: Some(row.state.first_messages),
        seen: LogSummary { is_whole: true, ..LogSummary::default() },
    };
    each(db, ENTRIES, [row.id], |found| {
        log.checker.one_more();
        log.next(found)
    })?;
    log.end();
    Ok(log.seen)
}

struct LogChecker<'a, 'b> {
    checker: &'a mut Checker<'b>,
    row: &'a RoomRow,
    expected: u64,
    ts: Timestamp,
    /// How many messages there are up to here; `None` after an entry that could not be read.
    messages: Option<u64>,
    seen: LogSummary,
}

impl LogChecker<'_, '_> {
    fn fault(&mut self, what: String) {
        self.checker.fault(what);
    }

    fn rule(&mut self, holds: bool, broken: impl FnOnce() -> String) {
        self.checker.rule(holds, broken);
    }

    fn next(&mut self, found: &Row<'_>) -> Result<()> {
        self.checker.done.entries += 1;
        let name = || format!("entry {}", shown(found, 0));
        let read = self.checker.sound(entry(&self.row.state.room, found), name)?;
        let Ok(seq) = unsigned(found, 0) else { return Ok(()) };
        let expected = self.expected;
        if seq > expected {
            self.fault(format!("{} not there", are("entry", "entries", expected, seq - 1)));
            (self.messages, self.seen.is_whole) = (None, false);
        }
        self.rule(seq >= expected, || format!("entry {seq} is before the first, or out of order"));
        self.expected = seq.saturating_add(1);
        let Some(read) = read else {
            (self.messages, self.seen.is_whole) = (None, false);
            return Ok(());
        };
        self.numbers(&read);
        self.values(&read.entry);
        match &read.entry.kind {
            EntryKind::Message { .. } => {
                let has_text = found.get_ref(5)? != ValueRef::Null;
                self.message(&read, has_text)?;
            }
            EntryKind::Edited { target, text, by } => {
                self.edited(seq, *target, text.is_some(), by)?;
            }
            EntryKind::Deleted { target, .. } => {
                if let Some(message) = self.target(seq, *target)? {
                    self.rule(message.deleted == Some(seq), || {
                        format!("message {target} does not say that entry {seq} deletes it")
                    });
                }
            }
            EntryKind::Reacted { .. } => self.reacted(&read.entry)?,
            EntryKind::Joined { user, .. } => {
                let was_in = self.seen.is_in(user) == Some(true);
                self.rule(!was_in, || format!("entry {seq}: {user} comes, and was there"));
            }
            EntryKind::Left { user, .. } => {
                let is_from_the_beginning = self.row.state.first == 1 && self.seen.is_whole;
                let was_in = self.seen.is_in(user).unwrap_or(!is_from_the_beginning);
                self.rule(was_in, || format!("entry {seq}: {user} goes, and was not there"));
            }
        }
        self.seen.note(&read.entry);
        Ok(())
    }

    /// Checks that times never fall, and that messages are counted.
    fn numbers(&mut self, read: &EntryRow) {
        let Entry { seq, ts, .. } = read.entry;
        let state = &self.row.state;
        let is_older = ts < self.ts;
        self.rule(!is_older, || format!("entry {seq} is older than the one before it"));
        self.rule(seq != state.first || ts == state.first_ts, || {
            format!("entry {seq} is the first, and has another time than the room says")
        });
        self.ts = ts;
        if let Some(before) = self.messages {
            let (says, count) =
                (read.messages, before.saturating_add(u64::from(read.entry.is_message())));
            let broken = || format!("entry {seq} counts {says} messages, and there are {count}");
            self.rule(says == count, broken);
        }
        self.messages = Some(read.messages);
    }

    fn message(&mut self, read: &EntryRow, has_text: bool) -> Result<()> {
        let seq = read.entry.seq;
        let EntryKind::Message { from, body, cid, .. } = &read.entry.kind else { return Ok(()) };
        if let Some(cid) = cid {
            self.cid(seq, from, cid)?;
        }
        let broken = || format!("entry {seq} has a client id without a digest, or the reverse");
        self.rule(cid.is_some() == read.digest.is_some(), broken);
        let (edited, _) = self.follow(seq, "edited")?;
        self.rule(read.edited == edited, || {
            let (says, log) = (said(read.edited), said(edited));
            format!("message {seq} says its edit is {says}, and the log {log}")
        });
        let (deleted, deletions) = self.follow(seq, "deleted")?;
        self.rule(read.deleted == deleted && deletions <= 1, || {
            let (says, log) = (said(read.deleted), said(deleted));
            format!("message {seq} says it was deleted by {says}, and the log {log}")
        });
        if read.deleted.is_some() {
            self.seen.deleted.push(seq);
            let broken = || format!("message {seq} is deleted, and its text is there");
            self.rule(!has_text && body.data.is_none() && read.reacted == 0, broken);
        } else if !has_text {
            self.fault(format!("message {seq} has no text"));
        } else if let Some(edit) = edited
            && let Some(EntryRow { entry, .. }) = self.other(edit)?
            && let EntryKind::Edited { text, .. } = &entry.kind
        {
            let broken = || format!("message {seq} does not have the text of its edit {edit}");
            self.rule(text.as_deref() == Some(&*body.text), broken);
        }
        let says = read.reacted;
        if says > 0 {
            let count = self
                .checker
                .db
                .prepare_cached("SELECT count(*) FROM reactions WHERE room = ?1 AND target = ?2")?
                .query_row([self.row.id, seq as i64], |found| unsigned(found, 0))?;
            let broken = || format!("message {seq} has {count} reactions, and says {says}");
            self.rule(count == says, broken);
        }
        Ok(())
    }

    /// Checks values that a server hands on unchanged, by the rules for what clients send.
    fn values(&mut self, entry: &Entry) {
        let seq = entry.seq;
        match &entry.kind {
            EntryKind::Message { body, cid, .. } => {
                let broken = || format!("the data of message {seq} are not JSON as it is sent");
                self.rule(body.data.as_ref().is_none_or(|data| is_data(data)), broken);
                if let Some(other) = body.reply_to {
                    self.rule((1..seq).contains(&other), || {
                        format!("message {seq} answers entry {other}, which is not before it")
                    });
                }
                let broken = || format!("the client id of message {seq} is empty or too long");
                self.rule(cid.as_ref().is_none_or(|cid| !cid.is_empty() && is_short(cid)), broken);
            }
            EntryKind::Reacted { emoji, .. } => {
                let what = "is empty, too long, or has control characters";
                self.rule(is_emoji(emoji), || format!("the reaction of entry {seq} {what}"));
            }
            _ => {}
        }
    }

    /// The newest entry of a kind about a message, and how many there are. The journal has none: in
    /// the table alone an index finds them.
    fn follow(&self, seq: u64, kind: &str) -> Result<(Option<u64>, u64)> {
        let sql = "SELECT max(seq), count(*) FROM main.entries \
             WHERE room = ?1 AND target = ?2 AND kind = ?3";
        let mut statement = self.checker.db.prepare_cached(sql)?;
        statement.query_row(params![self.row.id, seq as i64, kind], |found| {
            let newest: Option<i64> = found.get(0)?;
            Ok((newest.map(|seq| seq.max(0) as u64), unsigned(found, 1)?))
        })
    }

    /// Checks that the index of client ids leads to this entry, and to no other.
    fn cid(&mut self, seq: u64, from: &UserId, cid: &str) -> Result<()> {
        let mut found = Vec::new();
        for place in self.checker.places {
            let sql = format!(
                "SELECT seq FROM {place} INDEXED BY entries_by_cid \
                 WHERE room = ?1 AND user = ?2 AND cid = ?3 AND cid IS NOT NULL"
            );
            each(self.checker.db, &sql, params![self.row.id, from.as_str(), cid], |row| {
                found.push(unsigned(row, 0)?);
                Ok(())
            })?;
        }
        let is_found = found.contains(&seq);
        self.rule(is_found, || format!("entry {seq} is not found by its client id"));
        for other in found.into_iter().filter(|other| *other > seq) {
            self.fault(format!("entries {seq} and {other} have the same client id"));
        }
        Ok(())
    }

    fn edited(&mut self, seq: u64, target: u64, has_text: bool, by: &UserId) -> Result<()> {
        let Some(message) = self.target(seq, target)? else { return Ok(()) };
        let EntryKind::Message { from, .. } = &message.entry.kind else { return Ok(()) };
        self.rule(from == by, || format!("entry {seq}: {by} edits a message of {from}"));
        self.rule(message.deleted.is_none() == has_text, || {
            let what = if has_text { "of a deleted message is there" } else { "is gone" };
            format!("entry {seq}: the text {what}")
        });
        let broken = || format!("message {target} does not say that entry {seq} edits it");
        self.rule(message.edited.is_some_and(|newest| newest >= seq), broken);
        Ok(())
    }

    /// Checks that the newest entry about a reaction holds.
    fn reacted(&mut self, read: &Entry) -> Result<()> {
        let EntryKind::Reacted { target, emoji, on, by } = &read.kind else { return Ok(()) };
        let Some(message) = self.target(read.seq, *target)? else { return Ok(()) };
        let db = self.checker.db;
        let (room, target_seq, seq) = (self.row.id, *target as i64, read.seq as i64);
        let key = params![room, target_seq, &**emoji, by.as_str()];
        let sql = "SELECT max(seq) FROM main.entries WHERE room = ?1 AND target = ?2 AND emoji = ?3 \
             AND user = ?4 AND kind = 'reacted'";
        let newest: Option<i64> = db.prepare_cached(sql)?.query_row(key, |found| found.get(0))?;
        if newest != Some(seq) {
            return Ok(());
        }
        let sql = "SELECT seq FROM reactions WHERE room = ?1 AND target = ?2 AND emoji = ?3 \
             AND user = ?4";
        let holds: Option<i64> = find_row(db, sql, key, |found| found.get(0))?;
        self.rule(holds == (*on && message.deleted.is_none()).then_some(seq), || {
            format!("the reaction of {by} to message {target} is not that of entry {seq}")
        });
        Ok(())
    }

    /// The message that an entry changes, if it is kept and sound.
    fn target(&mut self, seq: u64, target: u64) -> Result<Option<EntryRow>> {
        if target >= seq || target == 0 {
            self.fault(format!("entry {seq} changes entry {target}, which is not before it"));
            return Ok(None);
        }
        let found = self.other(target)?;
        let broken = || format!("entry {seq} changes entry {target}, which is no message");
        self.rule(found.as_ref().is_none_or(|found| found.entry.is_message()), broken);
        Ok(found.filter(|found| found.entry.is_message()))
    }

    /// Another entry of this log, if it is kept. If it is damaged or missing, its own place reports
    /// that.
    fn other(&self, seq: u64) -> Result<Option<EntryRow>> {
        if_readable(find_entry(self.checker.db, self.row, seq)).map(Option::flatten)
    }

    fn end(&mut self) {
        let state = &self.row.state;
        let (head, last) = (state.head, self.expected.saturating_sub(1));
        if last == head {
            if let Some(messages) = self.messages {
                let says = state.messages;
                let broken = || format!("the room has {messages} messages, and says {says}");
                self.rule(messages == says, broken);
            }
            let is_empty = state.first > head;
            let is_right = is_empty || self.ts == state.ts;
            self.rule(is_right, || "the room says another time than its newest entry".into());
            let broken = || "the room says a time of its first entry, and has none".into();
            self.rule(!is_empty || state.first_ts == Timestamp(0), broken);
        } else {
            self.seen.is_whole = false;
            self.fault(if last < head {
                format!("entries {} to {head} are not there", last.saturating_add(1))
            } else {
                format!("the log ends with entry {last}, and the room says {head}")
            });
        }
        self.rule(head != 0, || "the room never had an entry".into());
    }
}

fn said(seq: Option<u64>) -> String {
    seq.map_or_else(|| "none".to_owned(), |seq| seq.to_string())
}
