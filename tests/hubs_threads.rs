//! Hubs on threads of their own, on one real store: what one has shown the others know, limits hold
//! for all of them together, and in the end they agree with each other and with what is on disk.

use parlor::base::request::{ListedRooms, Part, Target};
use parlor::base::{
    Answer, Body, Chance, ConnId, Effect, Effects, Entry, EntryKind, Limits, Now, Origin, Refusal,
    Request, Rights, RoomId, Snapshot, StoreChange, Timestamp, Told, UserId, What,
};
use parlor::hub::{Common, Hub, Input, Settings};
use parlor::store::{EventsWanted, Place, RecordStore, Store, Waker};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const THREADS: usize = 3;
const USERS: usize = 4;
const ROOMS: usize = 5;
const OPERATIONS: usize = 3_000;
const IN_FLIGHT_MAX: usize = 6;
const WAIT_MAX: Duration = Duration::from_secs(60);

fn limits() -> Limits {
    Limits {
        rooms: 2,
        room_members: 3,
        direct_rooms: 2,
        invites: 2,
        all_rooms: 7,
        connections_per_user: 2,
        tail_entries: 4,
        ..Limits::default()
    }
}

fn room(number: usize) -> RoomId {
    RoomId::parse(&format!("r{number}")).unwrap()
}

fn user(number: usize) -> UserId {
    UserId::parse(&format!("u{number}")).unwrap()
}

/// What the threads have in common beside the store: the newest entry of each room that any of them
/// has been shown, and how many connections each user has.
#[derive(Default)]
struct Shown {
    heads: [AtomicU64; ROOMS],
    connections: [AtomicU64; USERS],
}

/// Where the threads wait for each other; not for long, as one may have panicked.
#[derive(Default)]
struct Meeting(AtomicUsize);

impl Meeting {
    fn wait(&self) {
        let come = self.0.fetch_add(1, Ordering::SeqCst);
        let all = (come / THREADS + 1) * THREADS;
        let begun = Instant::now();
        while self.0.load(Ordering::SeqCst) < all {
            assert!(begun.elapsed() < WAIT_MAX, "the others do not come");
            std::thread::yield_now();
        }
    }
}

struct Node {
    hub: Hub,
    store: Store,
    told: VecDeque<Told>,
    effects: Effects,
    answers: BTreeMap<u64, Result<Answer, Refusal>>,
    calls: u64,
    now: Now,
    refused: BTreeSet<ConnId>,
    members: Members,
    shown: Arc<Shown>,
}

/// Who is where, by the changes alone, to check the limits after each of them.
#[derive(Default)]
struct Members(BTreeMap<RoomId, BTreeMap<UserId, bool>>);

impl Members {
    fn change(&mut self, told: &Told) {
        let Told::Changed { change: StoreChange::Room { room, what, .. }, .. } = told else {
            return;
        };
        let of_room = self.0.entry(room.clone()).or_default();
        let who = |entry: &Entry| match &entry.kind {
            EntryKind::Joined { user, .. } | EntryKind::Left { user, .. } => user.clone(),
            other => panic!("{other:?}"),
        };
        match what {
            What::Created { owner, is_own, entries, .. } => {
                for entry in entries {
                    let user = who(entry);
                    let is_own = *is_own && user == *owner;
                    of_room.insert(user, is_own);
                }
            }
            What::Joined { entry, is_own, .. } => {
                of_room.insert(who(entry), *is_own);
            }
            What::Left { entry, .. } => {
                of_room.remove(&who(entry));
            }
            What::Message(entry) if entry.room.is_direct() => {
                let EntryKind::Message { from, .. } = &entry.kind else { return };
                // Whoever answers may have more of them.
                if entry.seq == 1 {
                    of_room.insert(from.clone(), false);
                }
            }
            _ => {}
        }
        let limits = limits();
        let of_room = &self.0[room];
        assert!(of_room.len() <= limits.room_members as usize, "{room}: {of_room:?}");
        let live = self.0.values().filter(|members| !members.is_empty()).count();
        assert!(live <= limits.all_rooms as usize, "{:?}", self.0.keys());
        for number in 0..USERS {
            let user = user(number);
            let own = self.0.values().filter(|members| members.get(&user) == Some(&true)).count();
            assert!(own <= limits.rooms as usize, "{user} is in {own} rooms: {:?}", self.0);
            let of_user = self.0.iter().filter(|(_, members)| members.contains_key(&user));
            let direct = of_user.filter(|(room, _)| room.is_direct()).count();
            assert!(direct <= limits.direct_rooms as usize, "{user} has {direct} direct rooms");
        }
    }
}

impl Node {
    fn give(&mut self, input: Input) {
        self.hub.handle(self.now, input, &mut self.effects);
        let mut catches_up = false;
        for effect in std::mem::take(&mut self.effects.list) {
            match effect {
                Effect::Persist { ticket, record } => {
                    self.store.write(ticket, self.now.timestamp, record).unwrap();
                }
                Effect::Load { ticket, query } => {
                    self.store.read(ticket, self.now.timestamp, query).unwrap();
                }
                Effect::Tell { hub, news } => self.store.tell(hub, &news),
                Effect::CatchUp => catches_up = true,
                Effect::TooMany { conn } => {
                    self.refused.insert(conn);
                }
                Effect::Answer { origin: Origin::Call(call), answer } => {
                    if let Ok(Answer::Sent { room, seq, .. }) = &answer
                        && let Some(number) = (0..ROOMS).find(|number| *room == self::room(*number))
                    {
                        self.shown.heads[number].fetch_max(*seq, Ordering::SeqCst);
                    }
                    assert!(self.answers.insert(call, answer).is_none(), "answered twice");
                }
                _ => {}
            }
        }
        self.effects.clear();
        if catches_up {
            self.hear();
        }
    }

    fn hear(&mut self) -> usize {
        assert!(!self.store.has_died());
        self.told.extend(self.store.told());
        let mut heard = 0;
        while let Some(told) = self.told.pop_front() {
            self.members.change(&told);
            self.give(Input::Told(told));
            heard += 1;
        }
        heard
    }

    fn ask(&mut self, by: usize, is_admin: bool, request: Request) -> u64 {
        self.calls += 1;
        let rights = if is_admin { Rights::Admin } else { Rights::User };
        self.give(Input::Call { call: self.calls, user: user(by), rights, quotas: None, request });
        self.calls
    }

    /// What a call is answered, at last.
    fn answer(&mut self, call: u64) -> Result<Answer, Refusal> {
        let begun = Instant::now();
        loop {
            if let Some(answer) = self.answers.remove(&call) {
                return answer;
            }
            assert!(begun.elapsed() < WAIT_MAX, "no answer");
            if self.hear() == 0 {
                std::thread::yield_now();
            }
        }
    }

    fn operate(&mut self, chance: &mut Chance) {
        self.now.moment = self.now.moment.plus_millis(1);
        self.now.timestamp.0 += 1;
        let by = chance.below(USERS as u64) as usize;
        let other = user(chance.below(USERS as u64) as usize);
        let number = chance.below(ROOMS as u64) as usize;
        let body = || Body { text: "x".into(), data: None, reply_to: None };
        let request = match chance.below(12) {
            0..3 => Request::Join(room(number)),
            3..5 => Request::Leave(room(number)),
            5 => Request::Invite(room(number), other),
            6 => Request::Create { room: None, title: None, open: true, members: vec![other] },
            7 => Request::Send { target: Target::User(other), body: body(), cid: None },
            8 => {
                // Whatever was shown to anybody is known here.
                let shown = self.shown.heads[number].load(Ordering::SeqCst);
                let call = self.ask(by, true, Request::Room(room(number)));
                if let Ok(Answer::Room(summary)) = self.answer(call) {
                    assert!(summary.head >= shown, "{} of {shown}", summary.head);
                } else {
                    assert_eq!(shown, 0);
                }
                return;
            }
            _ => Request::Send { target: Target::Room(room(number)), body: body(), cid: None },
        };
        self.ask(by, false, request);
    }

    /// Opens connections of a user, of which only so many are let in at all hubs, and closes them.
    fn connect(&mut self, by: usize, round: u32) {
        let conn = ConnId::new(by as u32, round);
        let input = Input::Connected { conn, user: user(by), name: None, resumes: false };
        self.give(input);
        if self.refused.remove(&conn) {
            return;
        }
        let open = self.shown.connections[by].fetch_add(1, Ordering::SeqCst) + 1;
        assert!(open <= limits().connections_per_user.into(), "{open} connections");
        self.hear();
        self.shown.connections[by].fetch_sub(1, Ordering::SeqCst);
        self.give(Input::Disconnected { conn });
    }

    /// All that there is to know of rooms.
    fn known(&mut self) -> Vec<String> {
        let mut known = Vec::new();
        for by in 0..USERS {
            let mut asks = vec![Request::Info { after: None }];
            asks.push(Request::ListRooms { which: ListedRooms::All, after: None, limit: 100 });
            for number in 0..ROOMS {
                let (part, limit) = (Part::Newest, 20);
                asks.push(Request::History { room: room(number), part, limit });
                asks.push(Request::ListMembers { room: room(number), after: None, limit: 100 });
            }
            for request in asks {
                let asked = format!("u{by} asks {request:?}: ");
                let is_admin = matches!(request, Request::ListRooms { .. });
                let call = self.ask(by, is_admin, request);
                known.push(format!("{asked}{:?}", self.answer(call)));
            }
        }
        let (online, _) = self.hub.online(None, 100);
        known.push(format!("{online:?}"));
        known
    }
}

/// A thread of the server: does things, and says what it knows when all others have done theirs.
fn lives(
    (number, store, snapshot): (usize, Store, Snapshot),
    common: Common,
    shown: Arc<Shown>,
    meeting: &Meeting,
    seed: u64,
) -> Vec<String> {
    let told = store.told_count();
    let mut hub = Hub::new(Settings::from(&limits()), snapshot, seed);
    hub.join_others(common, number, told);
    let now = Now { timestamp: Timestamp(1_000), ..Now::default() };
    let mut node = Node {
        hub,
        store,
        told: VecDeque::new(),
        effects: Effects::default(),
        answers: BTreeMap::new(),
        calls: 0,
        now,
        refused: BTreeSet::new(),
        members: Members::default(),
        shown,
    };
    let mut chance = Chance::new(seed);
    meeting.wait();
    let begun = Instant::now();
    for operation in 0..OPERATIONS {
        node.operate(&mut chance);
        if operation % 5 == 0 {
            let by = chance.below(USERS as u64) as usize;
            node.connect(by, (operation * THREADS + number) as u32);
        }
        while node.hub.census().pending > IN_FLIGHT_MAX {
            assert!(begun.elapsed() < WAIT_MAX, "no answers");
            node.hear();
        }
    }
    while node.hub.census().pending > 0 {
        assert!(begun.elapsed() < WAIT_MAX, "no answers");
        node.hear();
    }
    meeting.wait();
    node.hear();
    // After the grace, and the window behind it.
    for _ in 0..3 {
        node.now.moment = node.now.moment.plus_millis(600_000);
        node.give(Input::Woken);
    }
    meeting.wait();
    let known = node.known();
    meeting.wait();
    let census = node.hub.census();
    assert_eq!(census.reserved, 0, "nothing is in flight any more");
    node.store.close();
    known
}

#[test]
fn hubs_on_threads_are_as_good_as_one() {
    for seed in 0..6 {
        let directory = tempfile::tempdir().unwrap();
        let place = Place::Directory(directory.path().to_owned());
        let wakers: Vec<Waker> = (0..THREADS).map(|_| Box::new(|| {}) as Waker).collect();
        let opened = Store::open_ends(&place, "e", &EventsWanted::ALL, wakers, || Duration::ZERO);
        let (ends, snapshot) = opened.unwrap();
        let common = Common::new(&Settings::from(&limits()), Vec::new(), THREADS, seed);
        let (shown, meeting) = (Arc::new(Shown::default()), Meeting::default());
        let known: Vec<Vec<String>> = std::thread::scope(|scope| {
            let start = |(number, store)| {
                let (snapshot, common, shown) = (snapshot.clone(), common.clone(), shown.clone());
                let (meeting, seed) = (&meeting, seed * 10 + number as u64);
                scope.spawn(move || lives((number, store, snapshot), common, shown, meeting, seed))
            };
            let threads: Vec<_> = ends.into_iter().enumerate().map(start).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        for other in &known[1..] {
            for (one, other) in known[0].iter().zip(other) {
                assert_eq!(one, other);
            }
        }
        // As one that begins on what is on disk.
        let (store, snapshot) = Store::open(&place, "other", || {}).unwrap();
        let shown = Arc::default();
        let mut node = Node {
            hub: Hub::new(Settings::from(&limits()), snapshot, 9),
            store,
            told: VecDeque::new(),
            effects: Effects::default(),
            answers: BTreeMap::new(),
            calls: 0,
            now: Now::default(),
            refused: BTreeSet::new(),
            members: Members::default(),
            shown,
        };
        for (one, begun) in known[0].iter().zip(node.known()) {
            assert_eq!(*one, begun);
        }
    }
}
