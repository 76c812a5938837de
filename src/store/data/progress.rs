//! How far a long operation is: told to whoever wants to show it.

use rusqlite::Connection;

/// How far a part of an operation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskProgress {
    /// What is done: `copying`, `checking`, `writing`.
    pub part: &'static str,
    /// How many entries and events are done.
    pub done: u64,
    /// How many there are, as the store says; 0 if that is not known.
    pub total: u64,
}

/// Is told how far an operation is.
pub type TaskWatch<'a> = &'a mut dyn FnMut(TaskProgress);

/// It is told once in so many entries.
const EVERY: u64 = 1_024;

/// Counts what is done.
pub(super) struct EntryCounter<'a> {
    watch: TaskWatch<'a>,
    now: TaskProgress,
}

impl<'a> EntryCounter<'a> {
    /// Begins to count the entries and events of a database.
    pub(super) fn begin(
        db: &Connection,
        part: &'static str,
        watch: TaskWatch<'a>,
    ) -> EntryCounter<'a> {
        // A damaged number must not end it.
        let sql = "SELECT CAST((SELECT total(max(head + 1 - first, 0)) FROM rooms) + \
             (SELECT count(*) FROM events) AS INTEGER)";
        let total = db.query_row(sql, (), |row| row.get::<_, i64>(0)).unwrap_or(0);
        let now = TaskProgress { part, done: 0, total: u64::try_from(total).unwrap_or(0) };
        watch(now);
        EntryCounter { watch, now }
    }

    /// One more is done.
    pub(super) fn add(&mut self) {
        self.now.done += 1;
        if self.now.done.is_multiple_of(EVERY) {
            (self.watch)(self.now);
        }
    }
}
