//! The real store against its model: for all records and batches, with stops and crashes between
//! them, both give the same.

#[path = "simulation/any_record.rs"]
mod any_record;
#[path = "simulation/model_store.rs"]
mod model_store;

use any_record::{aimed, any_record, any_room};
use model_store::ModelStore;
use parlor::base::{Query, Record, RoomId, Snapshot, Timestamp, Told};
use parlor::store::{Place, RecordStore, Store, data};
use proptest::prelude::*;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

#[derive(Clone, Debug)]
enum Step {
    Write(Record),
    Read(Query),
    /// Where rooms were so long ago.
    Seek(Vec<RoomId>, i64),
    /// The clock is set back.
    ClockBack(i64),
    /// What was handed over so far is answered before more is.
    Wait,
    /// The store is closed and opened again.
    Reopen,
    /// What a crash would leave is opened.
    Crash,
}

fn any_query() -> impl Strategy<Value = Query> {
    (any_room(), 0u64..30, 0u64..30, 1usize..9, 1usize..2_000, any::<bool>()).prop_map(
        |(room, first, last, entries_max, bytes_max, from_end)| Query {
            room,
            first,
            last,
            entries_max,
            bytes_max,
            from_end,
        },
    )
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        60 => any_record().prop_map(Step::Write),
        8 => any_query().prop_map(Step::Read),
        8 => (proptest::collection::vec(any_room(), 1..4), 0i64..60)
            .prop_map(|(rooms, ago)| Step::Seek(rooms, ago)),
        1 => (1i64..20).prop_map(Step::ClockBack),
        6 => Just(Step::Wait),
        1 => Just(Step::Reopen),
        1 => Just(Step::Crash),
    ]
}

struct Both {
    folder: tempfile::TempDir,
    lives: u32,
    store: Option<Store>,
    woken: Receiver<()>,
    model: ModelStore,
    next: u64,
    now: i64,
    expected: Vec<Told>,
}

fn open(place: &Path) -> (Store, Snapshot, Receiver<()>) {
    let (wake, woken) = channel();
    let place = Place::Directory(place.to_owned());
    let (store, snapshot) = Store::open(&place, "epoch", move || {
        let _ = wake.send(());
    })
    .unwrap();
    (store, snapshot, woken)
}

fn sorted(mut snapshot: Snapshot) -> Snapshot {
    let mut members = snapshot.members.concat();
    members.sort_by(|one, other| (&one.0, &one.1).cmp(&(&other.0, &other.1)));
    snapshot.members = vec![members];
    snapshot.invites.sort_by(|one, other| (&one.room, &one.user).cmp(&(&other.room, &other.user)));
    snapshot.bans.sort();
    snapshot.names.sort();
    snapshot
}

impl Both {
    fn new() -> Both {
        let folder = tempfile::tempdir().unwrap();
        let (store, _, woken) = open(&folder.path().join("0"));
        let model = ModelStore::new("epoch");
        let store = Some(store);
        Both { folder, lives: 0, store, woken, model, next: 0, now: 0, expected: Vec::new() }
    }

    fn directory(&self) -> PathBuf {
        self.folder.path().join(self.lives.to_string())
    }

    fn step(&mut self, step: Step) {
        self.next += 1;
        self.now += 1;
        let (ticket, now) = (self.next, Timestamp(self.now));
        match step {
            Step::Write(record) => {
                let record = aimed(record, &self.model);
                self.expected.push(self.model.write(now, &record).told(ticket));
                self.store.as_mut().unwrap().write(ticket, now, record).unwrap();
            }
            Step::Read(query) => {
                // A page is of its own moment: what is handed over after it may be in it.
                self.wait();
                let outcome = self.model.read(&query);
                self.expected.push(Told::Answer { ticket, outcome });
                self.store.as_mut().unwrap().read(ticket, now, query).unwrap();
                self.wait();
            }
            Step::Seek(rooms, ago) => {
                self.wait();
                let since = Timestamp(self.now - ago);
                let outcome = self.model.seek(&rooms, since);
                self.expected.push(Told::Answer { ticket, outcome });
                self.store.as_mut().unwrap().seek(ticket, now, rooms, since).unwrap();
                self.wait();
            }
            Step::ClockBack(millis) => self.now -= millis,
            Step::Wait => self.wait(),
            Step::Reopen => {
                self.wait();
                self.store = None;
                self.reopened();
            }
            Step::Crash => {
                self.wait();
                let (before, old) = (self.directory(), self.store.take());
                self.lives += 1;
                std::fs::create_dir(self.directory()).unwrap();
                for file in std::fs::read_dir(&before).unwrap().map(|file| file.unwrap()) {
                    std::fs::copy(file.path(), self.directory().join(file.file_name())).unwrap();
                }
                drop(old);
                self.reopened();
            }
        }
    }

    fn reopened(&mut self) {
        self.model.restarted();
        let (store, snapshot, woken) = open(&self.directory());
        assert_eq!(sorted(snapshot), sorted(self.model.snapshot()));
        // Also what nobody is shown is as it should be: what belongs to a message that is gone, too.
        let mut faults = Vec::new();
        data::check(&self.directory(), &mut |fault| faults.push(fault.to_string()), &mut |_| {})
            .unwrap();
        assert_eq!(faults, [""; 0]);
        self.store = Some(store);
        self.woken = woken;
    }

    fn wait(&mut self) {
        let mut found = Vec::new();
        while found.len() < self.expected.len() {
            self.woken.recv_timeout(Duration::from_secs(20)).unwrap();
            found.extend(self.store.as_mut().unwrap().told());
        }
        assert_eq!(found, std::mem::take(&mut self.expected));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_store_does_what_its_rules_say(steps in proptest::collection::vec(any_step(), 0..160)) {
        let mut both = Both::new();
        for step in steps {
            both.step(step);
        }
        both.wait();
        both.step(Step::Reopen);
    }
}
