//! Merges in a thread of its own, while commits go on to the [tail](super::tail).
//!
//! The worker lends it copies of some rooms, and it writes them to the tables by a connection of its
//! own. Rooms stay in memory meanwhile, with what comes to them, and what is written leaves them when
//! the worker takes them back. Whatever needs the tables has the thread end first: it commits what it
//! has written by then.
//!
//! The commit that merges has the number after those that it merges, so commits with higher numbers
//! may be in the tail before it is there. A reader takes it for one that a power loss has undone.

use super::hot::{HotRoom, HotRooms};
use super::journal_end::JournalEnd;
use super::mark::Mark;
use super::merge::note_merge;
use super::open_files::OpenFiles;
use super::worker::Worker;
use super::{journal, loss, schema, sums};
use crate::base::RoomId;
use crate::base::limits::{KEPT_UNMERGED, LENT_AGAIN_MS, MERGE_BUSY_MS, MERGES_BESIDE_MIN};
use rusqlite::{Connection, OpenFlags, Result, Transaction, TransactionBehavior};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use std::{io, panic};

/// Pages that its connection keeps in memory between merges, in KiB: those that have the newest entries.
const CACHE_KIB: i64 = 1024;

/// What a thread is to merge.
#[derive(Debug)]
pub(super) struct MergeJob {
    /// Of each room what is in no table, and since when.
    rooms: Vec<HotRoom>,
    /// The number of its commit.
    n: u64,
    /// The oldest commit that other rooms need of the journal; `n` if they need none.
    oldest: u64,
    /// It says that a log must be there.
    calls_for_log: bool,
}

/// What was merged.
#[derive(Debug)]
struct MergedRooms {
    /// Of the first rooms of a job, how many entries were written, and whether that was all.
    written: Vec<(usize, bool)>,
    /// The oldest commit that the journal has.
    oldest: u64,
}

/// Why nothing was merged.
#[derive(Debug)]
struct FailedMerge {
    /// The room whose turn it was.
    room: Option<RoomId>,
    error: rusqlite::Error,
}

impl From<rusqlite::Error> for FailedMerge {
    fn from(error: rusqlite::Error) -> FailedMerge {
        FailedMerge { room: None, error }
    }
}

/// What a thread comes back with.
type MergeEnd = (Connection, Result<MergedRooms, FailedMerge>);

/// What a thread that merges is told.
#[derive(Debug, Default)]
struct ToldToMerge {
    is_to_end: AtomicBool,
    /// More comes than it merges.
    is_to_hurry: AtomicBool,
}

impl ToldToMerge {
    /// Whether it may go on. Lets others run before it does.
    fn may_go_on(&self) -> bool {
        // Otherwise whoever is to run on the same processor waits for some milliseconds.
        if !self.is_to_hurry.load(Ordering::Relaxed) {
            std::thread::yield_now();
        }
        !self.is_to_end.load(Ordering::Relaxed)
    }
}

/// A thread that merges. Whoever drops it waits for its end.
#[derive(Debug)]
pub(super) struct MergeThread {
    job: Arc<MergeJob>,
    told: Arc<ToldToMerge>,
    thread: Option<JoinHandle<MergeEnd>>,
}

impl MergeThread {
    /// Begins to merge, by a connection of its own.
    ///
    /// # Errors
    /// The system's, if it gives no thread.
    fn start(db: Connection, job: &Arc<MergeJob>) -> io::Result<MergeThread> {
        let told = Arc::new(ToldToMerge::default());
        let (own_job, own_told) = (Arc::clone(job), Arc::clone(&told));
        let named = std::thread::Builder::new().name("parlor-merge".into());
        let thread = named.spawn(move || {
            let merged = own_job.merge(&db, KEPT_UNMERGED, || own_told.may_go_on());
            (db, merged)
        })?;
        Ok(MergeThread { job: Arc::clone(job), told, thread: Some(thread) })
    }

    fn has_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// From now on it does not wait for others, as more comes than it merges.
    fn hurry(&self) {
        self.told.is_to_hurry.store(true, Ordering::Relaxed);
    }

    /// Has it end soon, and waits for that.
    fn join(&mut self) -> Option<std::thread::Result<MergeEnd>> {
        self.told.is_to_end.store(true, Ordering::Relaxed);
        self.thread.take().map(JoinHandle::join)
    }
}

impl Drop for MergeThread {
    fn drop(&mut self) {
        self.join();
    }
}

/// Merging beside commits.
impl Worker {
    /// Whether a thread may begin to merge.
    fn may_lend(&self) -> bool {
        let is_free = self.merge_thread.is_none() && self.reads.is_empty();
        is_free
            && self.held.is_some()
            && !self.has_failed_to_merge
            && !self.is_tail_too_long()
            && (self.clock)() >= self.merges_alone_until
    }

    /// Whether so much waits that a slice of it is merged after each commit, if no thread does it.
    pub(super) fn is_due(&self) -> bool {
        self.hot.is_due(self.commits) || self.is_tail_long()
    }

    /// Whether slices are to bring the tail to its start, as they hold up what comes.
    pub(super) fn is_tail_too_long(&self) -> bool {
        self.journal.as_ref().is_some_and(JournalEnd::is_too_long)
    }

    /// Whether all is to be merged, so that the tail is written from its start again.
    fn is_tail_long(&self) -> bool {
        self.journal.as_ref().is_some_and(JournalEnd::is_long) && self.hot.unmerged > 0
    }

    fn is_for_thread(&self) -> bool {
        self.hot.is_for_thread(self.is_tail_long()) && self.may_lend()
    }

    /// Begins to merge in a thread, if it is to after a commit of so many records. Returns whether one
    /// merges now.
    pub(super) fn merge_beside(&mut self, came: usize) -> bool {
        if came < MERGES_BESIDE_MIN || !self.is_for_thread() {
            return false;
        }
        let Some(held) = &self.held else { return false };
        let kept = self.merge_db.take();
        let is_new = kept.is_none();
        let opened = kept.map_or_else(|| open(held.database()), Ok);
        // Nothing is read of a file before it is known to be the one that is served.
        if self.is_lost() {
            self.has_failed_to_merge = true;
            return false;
        }
        let calls_for_log = self.mark.as_ref().is_some_and(Mark::calls_for_log);
        let ready = opened.and_then(|db| if is_new { configured(db) } else { Ok(db) });
        let started = ready.map_err(|error| error.to_string());
        let started = started.and_then(|db| {
            let rooms = self.hot.to_lend(self.is_tail_long());
            let rooms = rooms.into_iter().map(HotRoom::copy).collect();
            let job = Arc::new(self.hot.lend(rooms, self.commits + 1, calls_for_log));
            let started = MergeThread::start(db, &job);
            if started.is_err() {
                self.hot.take_back(&job.rooms, &[]);
            }
            started.map_err(|error| error.to_string())
        });
        match started {
            Ok(thread) => {
                self.commits += 1;
                if self.hot.is_urgent() {
                    thread.hurry();
                }
                self.merge_thread = Some(thread);
                true
            }
            Err(error) => {
                self.failed_to_merge(&error);
                false
            }
        }
    }

    /// Takes back what a thread has merged, if it has ended.
    pub(super) fn take_merged(&mut self) {
        let Some(thread) = &self.merge_thread else { return };
        if thread.has_ended() {
            self.end_merge();
        } else if self.hot.is_urgent() {
            thread.hurry();
        }
    }

    /// Something else needs the tables: as [`Worker::end_merge`], and merges in no thread for a while.
    pub(super) fn end_merge_early(&mut self) {
        if self.merge_thread.is_some() {
            self.end_merge();
            self.merges_alone_until = (self.clock)() + Duration::from_millis(LENT_AGAIN_MS);
        }
    }

    /// Has a thread that merges end, and takes back what it has merged.
    ///
    /// # Panics
    /// If that thread has.
    pub(super) fn end_merge(&mut self) {
        let Some(mut thread) = self.merge_thread.take() else { return };
        let Some(ended) = thread.join() else { return };
        let (db, merged) = ended.unwrap_or_else(|panicked| panic::resume_unwind(panicked));
        self.merge_db = Some(db);
        let MergeJob { rooms, n, .. } = &*thread.job;
        match merged {
            Ok(MergedRooms { written, oldest }) => {
                self.hot.oldest = oldest;
                self.hot.take_back(rooms, &written);
                // What is in a log that has lost its name stays in the tail.
                if !self.is_lost() {
                    self.journal.iter_mut().for_each(|journal| journal.merged_beside(oldest));
                }
                self.held.iter_mut().for_each(OpenFiles::committed);
            }
            Err(FailedMerge { room, error }) => {
                self.hot.take_back(rooms, &[]);
                if let Some(room) = room {
                    self.hot.has_failed(&room, &error);
                }
                // If the next commit has its number, that is a row; otherwise a record has come after it.
                if self.commits == *n {
                    self.commits -= 1;
                    self.journal.iter_mut().for_each(JournalEnd::failed_to_merge);
                }
                self.failed_to_merge(&error.to_string());
            }
        }
        self.hot.forget();
    }
}

/// Opens a database to merge. Nothing is created, and nothing read yet.
fn open(file: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(file, flags)
}

/// Makes a connection ready to merge.
fn configured(db: Connection) -> Result<Connection> {
    sums::add_row_sum(&db)?;
    schema::configure(&db)?;
    // What is merged stays in the journal until that is synced.
    schema::set_synced(&db, false)?;
    schema::keep_statements(&db);
    db.pragma_update(None, "cache_size", -CACHE_KIB)?;
    db.busy_timeout(Duration::from_millis(MERGE_BUSY_MS))?;
    Ok(db)
}

impl MergeJob {
    /// Writes rooms while it may `go_on`, so much of each and at least some entries of the first, and commits
    /// that.
    fn merge(
        &self,
        db: &Connection,
        most: usize,
        mut go_on: impl FnMut() -> bool,
    ) -> Result<MergedRooms, FailedMerge> {
        let transaction = Transaction::new_unchecked(db, TransactionBehavior::Immediate)?;
        let mut written = Vec::with_capacity(self.rooms.len());
        for hot in &self.rooms {
            let room = || Some(hot.row.state.room.clone());
            let part = hot.write(&transaction, most, &mut go_on);
            written.push(part.map_err(|error| FailedMerge { room: room(), error })?);
            if !go_on() {
                break;
            }
        }
        let is_all = |at: usize| written.get(at).is_some_and(|(_, is_all)| *is_all);
        let others = self.rooms.iter().enumerate().filter(|(at, _)| !is_all(*at));
        let oldest = others.filter_map(|(_, hot)| hot.since).fold(self.oldest, u64::min);
        if self.calls_for_log {
            loss::call_for_log(&transaction, true)?;
        }
        note_merge(&transaction, self.n, oldest, journal::NO_RECORDS)?;
        transaction.commit()?;
        Ok(MergedRooms { written, oldest })
    }
}

impl HotRoom {
    /// What of it is in no table, to be written by another thread.
    fn copy(&self) -> HotRoom {
        let changed = self.members.iter().filter(|(_, member)| member.is_changed);
        HotRoom {
            row: self.row.clone(),
            members: changed.map(|(user, member)| (user.clone(), member.clone())).collect(),
            entries: self.entries.clone(),
            cids: HashMap::new(),
            ..*self
        }
    }
}

impl HotRooms {
    /// Lends rooms, of which these are copies, to be merged by commit `n`.
    fn lend(&mut self, rooms: Vec<HotRoom>, n: u64, calls_for_log: bool) -> MergeJob {
        for lent in &rooms {
            let Some(hot) = self.rooms.get_mut(&lent.row.state.room) else { continue };
            // What comes now has a place in the queue of its own.
            hot.since = None;
            hot.members.values_mut().for_each(|member| member.is_changed = false);
        }
        self.are_lent = true;
        // A place that stayed would be there twice if they come back with it.
        self.forget_all_places();
        let oldest = self.queue.front().map_or(n, |(oldest, _)| *oldest);
        MergeJob { rooms, n, oldest, calls_for_log }
    }

    /// Takes rooms back. Of the first ones so many entries are in the tables, and all of it or not.
    fn take_back(&mut self, rooms: &[HotRoom], written: &[(usize, bool)]) {
        self.are_lent = false;
        let mut waiting = Vec::new();
        for (at, lent) in rooms.iter().enumerate() {
            let room = &lent.row.state.room;
            let Some(hot) = self.rooms.get_mut(room) else { continue };
            let (entries, is_all) = written.get(at).copied().unwrap_or((0, false));
            let before = hot.unmerged;
            hot.forget_entries(entries);
            if is_all {
                hot.unmerged = before - lent.unmerged;
            } else {
                hot.since = lent.since;
                waiting.extend(lent.since.map(|since| (since, room.clone())));
                for user in lent.members.keys() {
                    if let Some(member) = hot.members.get_mut(user) {
                        member.is_changed = true;
                    }
                }
            }
            if hot.unmerged == 0 {
                hot.is_merged();
            }
            self.unmerged -= before - hot.unmerged;
            self.has_had_turn(room);
        }
        if !waiting.is_empty() {
            self.queue.extend(waiting);
            self.queue.make_contiguous().sort_by_key(|(since, _)| *since);
        }
        self.forget_turns();
        self.forget_places();
    }
}

#[cfg(test)]
mod tests {
    use super::super::hot::HotPoint;
    use super::super::journal::JournalExtent;
    use super::super::merge::merge_all;
    use super::super::tail::{FoundTail, JournalPlace, TailRecord};
    use super::super::write::RecordWriter;
    use super::super::{rows as tables, sums::add_row_sum};
    use super::*;
    use crate::base::limits::{HOT_LOOKUPS_MAX, ROOM_UNMERGED_MAX, UNMERGED_UNIT_BYTES};
    use crate::base::{Body, Record, Timestamp, UserId, Written};
    use proptest::prelude::*;
    use std::cell::Cell;

    const NAMES: [&str; 3] = ["ada", "bob", "cyd"];

    fn names(at: usize) -> (RoomId, UserId) {
        (RoomId::parse(NAMES[at]).unwrap(), UserId::parse(NAMES[at]).unwrap())
    }

    fn database() -> Connection {
        let mut db = Connection::open_in_memory().unwrap();
        add_row_sum(&db).unwrap();
        schema::prepare(&mut db, "epoch").unwrap().unwrap();
        db
    }

    /// All rows of the tables that are merged.
    fn rows(db: &Connection) -> Vec<String> {
        let read = |(table, columns)| -> Vec<String> {
            let sql = format!("SELECT json_array({columns}, sum) FROM {table} ORDER BY 1");
            let mut rows = db.prepare(&sql).unwrap();
            let found = rows.query_map((), |row| row.get(0)).unwrap();
            found.map(Result::unwrap).collect()
        };
        let tables = [("rooms", "name"), ("members", "room, user"), ("entries", "room, seq, text")];
        tables.into_iter().flat_map(read).collect()
    }

    /// A store's rooms and journal, without its files and threads.
    struct Bench {
        db: Connection,
        hot: HotRooms,
        commits: u64,
        last: JournalPlace,
        tail: FoundTail,
    }

    impl Bench {
        fn new() -> Bench {
            let (hot, commits, last) = (HotRooms::default(), 0, JournalPlace::default());
            let tail = FoundTail { oldest: Some(1), ..FoundTail::default() };
            let mut bench = Bench { db: database(), hot, commits, last, tail };
            for (room, user) in (0..9).map(|at| (at / 3, at % 3)) {
                bench.commit(&Record::Join { room: names(room).0, user: names(user).1, by: None });
            }
            bench
        }

        fn commit(&mut self, record: &Record) {
            let n = self.commits + 1;
            let writer = RecordWriter { db: &self.db, now: Timestamp(n.cast_signed()) };
            if let Written::Unchanged(_) = writer.write(&mut self.hot, record).unwrap() {
                return;
            }
            let is_record = !self.hot.added.is_empty();
            let list = self.hot.added.take();
            match is_record {
                true => {
                    self.tail.records.insert(n, TailRecord { after: self.last, list });
                }
                false => journal::append(&self.db, n, &list).unwrap(),
            }
            (self.commits, self.last) = (n, JournalPlace { n, is_record });
            self.hot.committed(n);
        }

        /// The tables after a start that finds all of this.
        fn after_start(&self) -> Vec<String> {
            self.db.execute_batch("SAVEPOINT before").unwrap();
            let oldest = tables::meta(&self.db, loss::OLDEST_COMMIT).unwrap().parse().unwrap();
            let oldest = u64::max(oldest, 1);
            let records = self.tail.records.iter().filter(|(n, _)| **n >= oldest);
            let records = records.map(|(n, record)| (*n, record.clone())).collect();
            let tail = FoundTail { oldest: Some(oldest), records, ..FoundTail::default() };
            let JournalExtent { newest, is_cut } = merge_all(&self.db, &tail).unwrap().extent;
            let found = rows(&self.db);
            self.db.execute_batch("ROLLBACK TO before; RELEASE before").unwrap();
            assert!(!is_cut && newest >= self.last.n, "{newest} of {:?}", self.last);
            found
        }
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Say(usize, usize),
        Read(usize, usize, u64),
        Delivered(usize, usize, u64),
        /// The message is not committed.
        Fail(usize, usize),
        /// Those of the rooms that have something, by bits.
        Lend(u8),
        /// What was only looked up.
        Forget,
        /// The thread looks so often whether it may go on, and writes so much of a room.
        Merge(u32, usize),
        TakeBack,
    }

    fn any_step() -> impl Strategy<Value = Step> {
        prop_oneof![
            8 => (0..3usize, 0..3usize).prop_map(|(room, user)| Step::Say(room, user)),
            2 => (0..3usize, 0..3usize, 0..30u64).prop_map(|(a, b, c)| Step::Read(a, b, c)),
            2 => (0..3usize, 0..3usize, 0..30u64).prop_map(|(a, b, c)| Step::Delivered(a, b, c)),
            1 => (0..3usize, 0..3usize).prop_map(|(room, user)| Step::Fail(room, user)),
            2 => (1..8u8).prop_map(Step::Lend),
            1 => Just(Step::Forget),
            2 => (0..4u32, 1..30usize).prop_map(|(looks, most)| Step::Merge(looks, most)),
            2 => Just(Step::TakeBack),
        ]
    }

    #[test]
    fn a_room_to_which_much_comes_leaves_others_their_turn() {
        let mut bench = Bench::new();
        let much = "x".repeat(UNMERGED_UNIT_BYTES * ROOM_UNMERGED_MAX);
        let say = |room| {
            let body = Body { text: (*much).into(), data: None, reply_to: None };
            let (room, from) = (names(room).0, names(0).1);
            Record::Message { room, from, to: None, body, cid: None }
        };
        bench.commit(&say(0));
        bench.commit(&say(1));
        let mut turns = Vec::new();
        for _ in 0..4 {
            let rooms: Vec<_> = bench.hot.to_lend(false).into_iter().map(HotRoom::copy).collect();
            assert_eq!(rooms.len(), 1, "{rooms:?}");
            let room = rooms[0].row.state.room.clone();
            let job = bench.hot.lend(rooms, bench.commits + 1, false);
            bench.commits += 1;
            // As much comes again.
            bench.commit(&say(NAMES.iter().position(|name| *name == room.as_str()).unwrap()));
            let merged = job.merge(&bench.db, usize::MAX, || true).unwrap();
            bench.hot.take_back(&job.rooms, &merged.written);
            turns.push(room);
        }
        assert_eq!(turns, [0, 1, 0, 1].map(|room| names(room).0));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn whatever_comes_while_a_thread_merges_a_start_comes_to_the_same(
            steps in proptest::collection::vec(any_step(), 1..120)
        ) {
            // In one of them nothing is merged.
            let (mut bench, mut slow) = (Bench::new(), Bench::new());
            let (mut job, mut merged, mut said) = (None, None, 0);
            for step in steps.into_iter().chain([Step::Merge(9, 30), Step::TakeBack]) {
                let mut say = |room, user| {
                    said += 1;
                    let body = Body { text: said.to_string().into(), data: None, reply_to: None };
                    let (room, from, cid) = (names(room).0, names(user).1, Some(said.to_string().into()));
                    Record::Message { room, from, to: None, body, cid }
                };
                let record = match step {
                    Step::Say(room, user) => Some(say(room, user)),
                    Step::Read(room, user, seq) => {
                        Some(Record::Read { room: names(room).0, user: names(user).1, seq })
                    }
                    Step::Delivered(room, user, seq) => {
                        Some(Record::Delivered { user: names(user).1, marks: vec![(names(room).0, seq)] })
                    }
                    Step::Fail(room, user) => {
                        let writer = RecordWriter { db: &bench.db, now: Timestamp(0) };
                        writer.write(&mut bench.hot, &say(room, user)).unwrap();
                        bench.hot.back_to(HotPoint::default());
                        None
                    }
                    Step::Forget => {
                        bench.hot.lookups = HOT_LOOKUPS_MAX;
                        bench.hot.forget();
                        None
                    }
                    Step::Lend(which) if job.is_none() => {
                        let is_one = |at: usize| which & (1 << at) != 0;
                        let found = (0..3).filter(|at| is_one(*at)).filter_map(|at| bench.hot.rooms.get(&names(at).0));
                        let rooms: Vec<_> = found.filter(|hot| hot.unmerged > 0).map(HotRoom::copy).collect();
                        if !rooms.is_empty() {
                            job = Some(bench.hot.lend(rooms, bench.commits + 1, false));
                            bench.commits += 1;
                        }
                        None
                    }
                    Step::Merge(looks, most) if merged.is_none() => {
                        let left = Cell::new(looks);
                        let go_on = || left.replace(left.get().saturating_sub(1)) > 0;
                        let merge = |job: &MergeJob| job.merge(&bench.db, most, go_on).unwrap();
                        merged = job.as_ref().map(merge);
                        None
                    }
                    Step::TakeBack => {
                        if let Some(job) = job.take() {
                            let written = match merged.take() {
                                Some(MergedRooms { written, oldest }) => {
                                    bench.hot.oldest = oldest;
                                    written
                                }
                                // It has failed. If nothing came after its number, that is used again.
                                None => {
                                    bench.commits -= u64::from(bench.commits == job.n);
                                    Vec::new()
                                }
                            };
                            bench.hot.take_back(&job.rooms, &written);
                        }
                        None
                    }
                    Step::Lend(_) | Step::Merge(..) => None,
                };
                if let Some(record) = record {
                    // The same time, and so the same number.
                    slow.commits = bench.commits;
                    bench.commit(&record);
                    slow.commit(&record);
                }
                prop_assert_eq!(bench.after_start(), slow.after_start());
                let weights = bench.hot.rooms.values().map(|hot| hot.unmerged);
                prop_assert_eq!(bench.hot.unmerged, weights.sum::<usize>());
                // Whatever waits has one place in the queue, in order.
                prop_assert!(bench.hot.queue.iter().map(|(n, _)| *n).is_sorted());
                for hot in bench.hot.rooms.values() {
                    let is_its = |(n, room): &&(u64, RoomId)| *room == hot.row.state.room && hot.since == Some(*n);
                    let places = bench.hot.queue.iter().filter(is_its).count();
                    prop_assert_eq!(places, usize::from(hot.since.is_some()));
                }
            }
            if bench.hot.unmerged > 0 {
                let n = bench.commits + 1;
                let parts = bench.hot.write_next(&bench.db, || true).unwrap();
                let oldest = bench.hot.count(&bench.db, n, &parts).unwrap();
                bench.hot.merged(n, &parts, oldest);
            }
            prop_assert_eq!((bench.hot.unmerged, bench.hot.queue.len()), (0, 0));
            prop_assert_eq!(rows(&bench.db), slow.after_start());
        }
    }
}
