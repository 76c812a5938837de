//! The real store against its model: whatever records come, in whatever batches, with ends and
//! crashes between them, both say the same.

#[path = "simulation/model_store.rs"]
mod model_store;

use model_store::ModelStore;
use parlor::base::{
    Body, EntryKind, Outcome, Query, Record, Revocation, RoomId, Snapshot, Timestamp, UserId,
};
use parlor::store::{Place, Store};
use proptest::prelude::*;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

fn user(number: u8) -> UserId {
    UserId::parse(["ada", "bob", "cy", "dee"][usize::from(number) % 4]).unwrap()
}

fn room(number: u8) -> RoomId {
    RoomId::parse(["tea", "Tea", "a:b"][usize::from(number) % 3]).unwrap()
}

#[derive(Clone, Debug)]
enum Step {
    Write(Record),
    Read(Query),
    /// What was handed over so far is answered before more is.
    Wait,
    /// The store is closed and opened again.
    Reopen,
    /// What a crash would leave is opened.
    Crash,
}

fn any_user() -> impl Strategy<Value = UserId> {
    (0u8..4).prop_map(user)
}

fn any_room() -> impl Strategy<Value = RoomId> {
    (0u8..3).prop_map(room)
}

fn any_text() -> impl Strategy<Value = std::sync::Arc<str>> {
    prop_oneof![Just(""), Just("x"), Just("ä\u{0}\"\\"), Just("hello"), Just("hello again")]
        .prop_map(Into::into)
}

fn any_body() -> impl Strategy<Value = Body> {
    let data = prop_oneof![Just(None), Just(Some("{\"a\": 1.50}".into()))];
    let reply_to = prop_oneof![3 => Just(None), 1 => (1u64..20).prop_map(Some)];
    (any_text(), data, reply_to).prop_map(|(text, data, reply_to)| Body { text, data, reply_to })
}

/// As a rule one of few, so that they meet.
fn any_emoji() -> impl Strategy<Value = u8> {
    prop_oneof![4 => 0u8..3, 1 => 0u8..24]
}

fn any_record() -> impl Strategy<Value = Record> {
    let target = 1u64..24;
    prop_oneof![
        8 => (any_room(), any_user(), any_body(), proptest::option::of(0u8..4)).prop_map(
            |(room, from, body, cid)| {
                let cid = cid.map(|cid| format!("c{cid}").into());
                Record::Message { room, from, to: None, body, cid }
            }
        ),
        2 => (any_user(), any_user(), any_body()).prop_map(|(from, to, body)| {
            let room = RoomId::direct(&from, &to);
            Record::Message { room, from, to: Some(to), body, cid: None }
        }),
        3 => (any_room(), target.clone(), any_text(), any_user())
            .prop_map(|(room, target, text, by)| Record::Edit { room, target, text, by }),
        2 => (any_room(), target.clone(), any_user(), any::<bool>()).prop_map(
            |(room, target, by, is_moderator)| Record::Delete { room, target, by, is_moderator }
        ),
        6 => (any_room(), target.clone(), any_emoji(), any::<bool>(), any_user()).prop_map(
            |(room, target, emoji, on, by)| {
                let emoji = char::from_u32(0x1F600 + u32::from(emoji)).unwrap().to_string();
                Record::React { room, target, emoji: emoji.into(), on, by }
            }
        ),
        1 => (any_room(), any_text(), any::<bool>(), any_user(), any_user()).prop_map(
            |(room, title, open, owner, member)| {
                let members = vec![member];
                Record::Create { room, title: Some(title), open, owner, members }
            }
        ),
        6 => (any_room(), any_user(), proptest::option::of(any_user()), any::<bool>()).prop_map(
            |(room, user, by, create)| {
                let is_own = by.is_none();
                Record::Join { room, user, by, is_own, create }
            }
        ),
        1 => (any_room(), proptest::option::of(any_text()), proptest::option::of(any::<bool>()),
            proptest::option::of(any_user()))
            .prop_map(|(room, title, open, owner)| Record::Update { room, title, open, owner }),
        1 => any_room().prop_map(|room| Record::End { room }),
        2 => (any_room(), any_user(), any_user())
            .prop_map(|(room, user, by)| Record::Invite { room, user, by }),
        2 => (any_room(), any_user(), proptest::option::of(any_user()))
            .prop_map(|(room, user, by)| Record::Leave { room, user, by }),
        1 => (any_room(), any_user(), any_user())
            .prop_map(|(room, user, by)| Record::Ban { room, user, by }),
        1 => (any_room(), any_user()).prop_map(|(room, user)| Record::Unban { room, user }),
        3 => (any_room(), any_user(), 0u64..30)
            .prop_map(|(room, user, seq)| Record::Read { room, user, seq }),
        2 => (any_user(), proptest::collection::vec((any_room(), 0u64..30), 0..4))
            .prop_map(|(user, marks)| Record::Delivered { user, marks }),
        1 => (any_user(), any_text()).prop_map(|(user, name)| Record::Name { user, name }),
        1 => (any_user(), 0i64..9, any_text(), any::<bool>()).prop_map(|(user, before, jti, is_user)| {
            Record::Revoke(match is_user {
                true => Revocation::User(user, Timestamp(before)),
                false => Revocation::Token(jti),
            })
        }),
        1 => (any_room(), 0u64..12, 0i64..60).prop_map(|(room, before, older)| {
            Record::Trim { room, before, older_than: Timestamp(older) }
        }),
    ]
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
    expected: Vec<(u64, Outcome)>,
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
    snapshot.members.sort_by(|one, other| (&one.0, &one.1).cmp(&(&other.0, &other.1)));
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
                let record = self.aimed(record);
                self.expected.push((ticket, self.model.write(now, &record)));
                self.store.as_mut().unwrap().write(ticket, now, record).unwrap();
            }
            Step::Read(query) => {
                // A page is of its own moment: what is handed over after it may be in it.
                self.wait();
                self.expected.push((ticket, self.model.read(&query)));
                self.store.as_mut().unwrap().read(ticket, now, query).unwrap();
                self.wait();
            }
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
                for file in ["parlor.db", "parlor.db-wal"] {
                    std::fs::copy(before.join(file), self.directory().join(file)).unwrap();
                }
                drop(old);
                self.reopened();
            }
        }
    }

    /// The record, as a rule about one of the newest messages that there are: what is about none is
    /// refused, and tells little.
    fn aimed(&self, mut record: Record) -> Record {
        const RAW_ONE_IN: u64 = 8;
        let is_reaction = matches!(record, Record::React { .. });
        let (Record::Edit { room, target, by, .. }
        | Record::Delete { room, target, by, .. }
        | Record::React { room, target, by, .. }) = &mut record
        else {
            return record;
        };
        let newest = self.model.log(room).into_iter().rev().filter_map(|entry| match entry.kind {
            EntryKind::Message { from, .. } => Some((entry.seq, from)),
            _ => None,
        });
        let newest: Vec<(u64, UserId)> = newest.take(3).collect();
        let number = *target;
        if number % RAW_ONE_IN != 0 && !newest.is_empty() {
            let (seq, author) = &newest[number as usize % newest.len()];
            *target = *seq;
            // Others may react; what else they do is refused.
            if !is_reaction && number % 3 != 0 {
                *by = author.clone();
            }
        }
        record
    }

    fn reopened(&mut self) {
        let (store, snapshot, woken) = open(&self.directory());
        assert_eq!(sorted(snapshot), sorted(self.model.snapshot()));
        self.store = Some(store);
        self.woken = woken;
    }

    fn wait(&mut self) {
        let mut found = Vec::new();
        while found.len() < self.expected.len() {
            self.woken.recv_timeout(Duration::from_secs(20)).unwrap();
            found.extend(self.store.as_mut().unwrap().outcomes());
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
