//! The part of a room's log that is held: entries without a hole between the first and the last, and messages as they
//! are now. Older parts are added page by page; when there are too many entries, the other end is let go.

use crate::base::{Entry, EntryKind, Timestamp, UserId};
use crate::client::{HistoryPage, Part};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// How many entries of a room are held at most: some hundred screens.
pub(super) const ENTRIES_MAX: usize = 2_000;
/// How many changes are remembered that came while a page was on its way.
const CHANGES_MAX: usize = 256;

/// A part of a room's log.
#[derive(Debug)]
pub(super) struct LoadedLog {
    shown: BTreeMap<u64, LogEntry>,
    /// The oldest entry that came or was loaded, shown or not; 0 before any.
    first: u64,
    /// The newest entry that came or was loaded, shown or not.
    last: u64,
    /// The newest that is known to be there.
    head: u64,
    /// Whether a page was loaded since it was begun.
    pub(super) is_loaded: bool,
    pub(super) has_older: bool,
    /// Whether it reaches to the newest entry: what comes is added.
    pub(super) is_live: bool,
    /// What was asked for.
    pub(super) asked: Option<Part>,
    /// The newest changes of messages: a page on its way may be older.
    changes: VecDeque<Entry>,
}

/// An entry that has lines of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LogEntry {
    pub(super) ts: Timestamp,
    pub(super) what: Happened,
}

/// What an entry shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Happened {
    Message(Box<LogMessage>),
    Joined { user: UserId, by: Option<UserId> },
    Left { user: UserId, by: Option<UserId> },
}

/// A message as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LogMessage {
    pub(super) from: UserId,
    pub(super) text: Arc<str>,
    pub(super) has_data: bool,
    pub(super) reply_to: Option<u64>,
    /// The number of its newest edit; 0 if there is none.
    pub(super) edited: u64,
    pub(super) is_deleted: bool,
    pub(super) reactions: Vec<(Arc<str>, Vec<UserId>)>,
}

impl Default for LoadedLog {
    fn default() -> LoadedLog {
        LoadedLog {
            shown: BTreeMap::new(),
            first: 0,
            last: 0,
            head: 0,
            is_loaded: false,
            has_older: false,
            is_live: true,
            asked: None,
            changes: VecDeque::new(),
        }
    }
}

impl LoadedLog {
    pub(super) fn entries(&self) -> &BTreeMap<u64, LogEntry> {
        &self.shown
    }

    pub(super) fn message(&self, seq: u64) -> Option<&LogMessage> {
        match &self.shown.get(&seq)?.what {
            Happened::Message(message) => Some(message),
            Happened::Joined { .. } | Happened::Left { .. } => None,
        }
    }

    /// The newest message that is one of those wanted, and not deleted.
    pub(super) fn last_message(&self, is_wanted: impl Fn(&LogMessage) -> bool) -> Option<u64> {
        let mut newest = self.shown.keys().rev().copied();
        newest.find(|seq| self.message(*seq).is_some_and(|one| !one.is_deleted && is_wanted(one)))
    }

    /// The part of the log before it, if there is one that is not asked for yet.
    pub(super) fn older(&self) -> Option<Part> {
        (self.has_older && self.asked.is_none()).then_some(Part::Before(self.first))
    }

    /// The part behind it, likewise.
    pub(super) fn newer(&self) -> Option<Part> {
        (!self.is_live && self.asked.is_none()).then_some(Part::After(self.last))
    }

    /// Another part is wanted; what is here is shown until it comes.
    pub(super) fn begin_anew(&mut self) {
        (self.is_loaded, self.is_live) = (false, false);
    }

    /// An entry came.
    pub(super) fn take_entry(&mut self, entry: &Entry) {
        self.head = self.head.max(entry.seq);
        self.change(entry);
        if !matches!(
            &entry.kind,
            EntryKind::Message { .. } | EntryKind::Joined { .. } | EntryKind::Left { .. }
        ) {
            self.changes.push_back(entry.clone());
            if self.changes.len() > CHANGES_MAX {
                self.changes.pop_front();
            }
        }
        if self.is_live && entry.seq > self.last {
            self.add(entry);
            self.last = entry.seq;
            if self.first == 0 {
                self.first = entry.seq;
            }
            self.drop_oldest();
        }
    }

    /// A page came.
    pub(super) fn take_page(&mut self, part: Part, page: &HistoryPage) {
        self.asked = None;
        let (oldest, newest) = match (page.entries.first(), page.entries.last()) {
            (Some(oldest), Some(newest)) => (oldest.seq, newest.seq),
            _ => (self.first, 0),
        };
        match part {
            Part::Newest => {
                // What has come since the page was made goes on behind it.
                let is_live = self.is_live;
                self.shown.retain(|seq, _| is_live && *seq > page.head);
                self.first = oldest;
                self.has_older = page.has_more;
                if !is_live {
                    self.last = newest;
                    self.is_live = self.head <= page.head;
                }
            }
            Part::Before(_) if !self.is_loaded => {
                self.shown.clear();
                (self.first, self.last) = (oldest, newest);
                self.has_older = page.has_more;
                self.is_live = newest >= page.head.max(self.head);
            }
            Part::Before(_) => {
                self.first = self.first.min(oldest);
                self.has_older = page.has_more && !page.entries.is_empty();
            }
            Part::After(_) => {
                let is_end = !page.has_more || page.entries.is_empty();
                self.is_live = is_end && self.head <= page.head;
            }
        }
        self.is_loaded = true;
        self.head = self.head.max(page.head);
        self.last = self.last.max(newest);
        for entry in &page.entries {
            self.add(entry);
        }
        // The page has its messages as they were at its head.
        let later: Vec<Entry> =
            self.changes.iter().filter(|change| change.seq > page.head).cloned().collect();
        later.iter().for_each(|change| self.change(change));
        match part {
            Part::Before(_) => self.drop_newest(),
            Part::Newest | Part::After(_) => self.drop_oldest(),
        }
    }

    /// A part was refused.
    pub(super) fn refuse_page(&mut self, part: Part) {
        self.asked = None;
        if matches!(part, Part::Before(_)) {
            self.has_older = false;
        }
    }

    fn add(&mut self, entry: &Entry) {
        let what = match &entry.kind {
            EntryKind::Message { from, body, changes, .. } => {
                let changes = changes.as_deref().cloned().unwrap_or_default();
                Happened::Message(Box::new(LogMessage {
                    from: from.clone(),
                    text: Arc::clone(&body.text),
                    has_data: body.data.is_some(),
                    reply_to: body.reply_to,
                    edited: changes.edited.unwrap_or_default(),
                    is_deleted: changes.deleted.is_some(),
                    reactions: changes.reactions,
                }))
            }
            EntryKind::Joined { user, by } => {
                Happened::Joined { user: user.clone(), by: by.clone() }
            }
            EntryKind::Left { user, by } => Happened::Left { user: user.clone(), by: by.clone() },
            EntryKind::Edited { .. } | EntryKind::Deleted { .. } | EntryKind::Reacted { .. } => {
                return;
            }
        };
        self.shown.insert(entry.seq, LogEntry { ts: entry.ts, what });
    }

    /// Changes the message that an entry is about, if it is held.
    fn change(&mut self, entry: &Entry) {
        let (EntryKind::Edited { target, .. }
        | EntryKind::Deleted { target, .. }
        | EntryKind::Reacted { target, .. }) = &entry.kind
        else {
            return;
        };
        let Some(LogEntry { what: Happened::Message(message), .. }) = self.shown.get_mut(target)
        else {
            return;
        };
        match &entry.kind {
            EntryKind::Edited { text: Some(text), .. } if entry.seq > message.edited => {
                (message.text, message.edited) = (Arc::clone(text), entry.seq);
            }
            EntryKind::Deleted { .. } => {
                message.is_deleted = true;
                message.reactions.clear();
            }
            EntryKind::Reacted { emoji, on, by, .. } => message.react(emoji, *on, by),
            _ => {}
        }
    }

    fn drop_oldest(&mut self) {
        while self.shown.len() > ENTRIES_MAX {
            self.shown.pop_first();
            self.has_older = true;
            self.first = self.shown.keys().next().copied().unwrap_or_default();
        }
    }

    fn drop_newest(&mut self) {
        while self.shown.len() > ENTRIES_MAX {
            self.shown.pop_last();
            self.is_live = false;
            self.last = self.shown.keys().next_back().copied().unwrap_or_default();
        }
    }
}

impl LogMessage {
    fn react(&mut self, emoji: &Arc<str>, on: bool, by: &UserId) {
        let at = self.reactions.iter().position(|(one, _)| one == emoji);
        let users = at.and_then(|at| self.reactions.get_mut(at)).map(|(_, users)| users);
        match users {
            Some(users) => {
                users.retain(|user| user != by);
                if on {
                    users.push(by.clone());
                }
            }
            None if on => self.reactions.push((Arc::clone(emoji), vec![by.clone()])),
            None => {}
        }
        self.reactions.retain(|(_, users)| !users.is_empty());
    }

    pub(super) fn has_reaction(&self, emoji: &str, by: &UserId) -> bool {
        self.reactions.iter().any(|(one, users)| &**one == emoji && users.contains(by))
    }
}

#[cfg(test)]
mod tests {
    use super::super::for_tests::{entry, message, user};
    use super::*;

    fn page(seqs: std::ops::RangeInclusive<u64>, head: u64, has_more: bool) -> HistoryPage {
        HistoryPage { entries: seqs.map(|seq| message(seq, "bob", "x")).collect(), head, has_more }
    }

    fn bounds(log: &LoadedLog) -> (u64, u64) {
        let mut seqs = log.entries().keys();
        (seqs.next().copied().unwrap_or(0), seqs.next_back().copied().unwrap_or(0))
    }

    fn edited(seq: u64, target: u64, text: &str) -> Entry {
        entry(seq, EntryKind::Edited { target, text: Some(text.into()), by: user("bob") })
    }

    #[test]
    fn pages_and_what_comes_have_no_hole() {
        let mut log = LoadedLog::default();
        log.take_entry(&message(101, "bob", "x"));
        log.take_page(Part::Newest, &page(51..=100, 100, true));
        assert_eq!((bounds(&log), log.is_live), ((51, 101), true));
        assert_eq!(log.older(), Some(Part::Before(51)));
        log.take_page(Part::Before(51), &page(1..=50, 101, false));
        assert_eq!((bounds(&log), log.older(), log.newer()), ((1, 101), None, None));
        assert_eq!(log.entries().len(), 101);
    }

    #[test]
    fn it_holds_so_many_and_comes_back_to_the_newest() {
        let mut log = LoadedLog::default();
        let max = ENTRIES_MAX as u64;
        log.take_page(Part::Newest, &page(5_001..=5_100, 5_100, true));
        while log.is_live {
            let Some(Part::Before(first)) = log.older() else { panic!() };
            log.take_page(Part::Before(first), &page(first - 100..=first - 1, 5_100, true));
        }
        assert_eq!((log.entries().len() as u64, log.newer()), (max, Some(Part::After(5_000))));
        // It is not added: there would be a hole before it.
        log.take_entry(&message(5_101, "bob", "x"));
        log.take_page(Part::After(5_000), &page(5_001..=5_100, 5_100, false));
        assert_eq!((log.is_live, log.newer()), (false, Some(Part::After(5_100))));
        log.take_page(Part::After(5_100), &page(5_101..=5_101, 5_101, false));
        assert_eq!((log.is_live, bounds(&log)), (true, (5_102 - max, 5_101)));
        for seq in 5_102..9_000 {
            log.take_entry(&message(seq, "bob", "x"));
        }
        assert_eq!((log.entries().len() as u64, log.has_older), (max, true));
    }

    #[test]
    fn a_message_is_shown_as_it_is_now() {
        let mut log = LoadedLog::default();
        log.take_page(Part::Newest, &page(1..=5, 5, false));
        let react = |seq, on| {
            entry(seq, EntryKind::Reacted { target: 5, emoji: "👍".into(), on, by: user("ada") })
        };
        for change in [edited(6, 4, "new"), edited(3, 4, "old"), react(7, true), react(8, true)] {
            log.take_entry(&change);
        }
        assert_eq!(&*log.message(4).unwrap().text, "new");
        assert_eq!(log.message(5).unwrap().reactions, [("👍".into(), vec![user("ada")])]);
        assert!(log.message(5).unwrap().has_reaction("👍", &user("ada")));
        log.take_entry(&react(9, false));
        assert_eq!(log.message(5).unwrap().reactions, []);
        log.take_entry(&entry(10, EntryKind::Deleted { target: 5, by: user("ada") }));
        assert!(log.message(5).unwrap().is_deleted);
        assert_eq!(log.last_message(|_| true), Some(4));
        assert_eq!(log.entries().len(), 5);
    }

    #[test]
    fn a_change_that_overtook_its_page_is_not_lost() {
        let mut log = LoadedLog::default();
        log.take_entry(&edited(9, 4, "new"));
        log.take_page(Part::Newest, &page(1..=8, 8, false));
        assert_eq!(&*log.message(4).unwrap().text, "new");
        // The page is newer than this one: it has the message as it is.
        let mut log = LoadedLog::default();
        log.take_entry(&edited(9, 4, "new"));
        log.take_page(Part::Newest, &page(1..=8, 12, false));
        assert_eq!(&*log.message(4).unwrap().text, "x");
    }
}
