//! Several hubs on one store: each is told every change, its own and the others', in one order, and
//! has in the end what a hub has that begins then. Hubs that know of each other are as good as one.

#[path = "simulation/model_store.rs"]
#[allow(dead_code)]
mod model_store;

use model_store::ModelStore;
use parlor::base::request::{ListedRooms, Part, Target};
use parlor::base::{
    Answer, Body, ConnId, Effect, Effects, Entry, EntryKind, Limits, Moment, Notice, Now, Outcome,
    Query, Record, Refusal, Request, RoomId, StoreChange, Told, UserId, What, Written,
};
use parlor::hub::{Common, Hub, Input, Retention, Retentions, Settings};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const USERS: [&str; 4] = ["ada", "bob", "cy", "dee"];
const ROOMS: [&str; 3] = ["tea", "den", "attic"];
const HUBS: usize = 3;

#[derive(Clone, Debug)]
enum Step {
    /// A user asks for something on one of the hubs.
    Ask { hub: usize, user: usize, is_admin: bool, request: Request },
    /// The store works off so many commands, of whichever hub.
    Commit(usize),
    /// The store fails: what waits is not stored.
    Fail,
    /// A hub hears so many things that the store told it.
    Hear { hub: usize, most: usize },
    /// Time goes by.
    Wait(u64),
}

/// What waits for the store.
#[derive(Debug)]
enum Command {
    Write(u64, Record),
    Read(u64, Query),
}

/// A hub, with a connection of each user.
struct Node {
    hub: Hub,
    effects: Effects,
    /// What the store has told it and it has not heard.
    told: VecDeque<Told>,
    /// How many changes and news that were, if it knows of the others.
    count: Arc<AtomicU64>,
    held: BTreeSet<ConnId>,
    asked: usize,
    answers: Vec<Result<Answer, Refusal>>,
    wakes: BTreeSet<Moment>,
    /// The newest entry that each connection was told, of the rooms that it follows.
    followed: BTreeMap<(ConnId, RoomId), u64>,
}

struct World {
    store: ModelStore,
    /// What the hubs have in common, if they know of each other.
    common: Option<Common>,
    nodes: Vec<Node>,
    commands: VecDeque<(usize, Command)>,
    now: Now,
}

fn room(name: &str) -> RoomId {
    RoomId::parse(name).unwrap()
}

fn user(number: usize) -> UserId {
    UserId::parse(USERS[number]).unwrap()
}

fn conn(user: usize) -> ConnId {
    ConnId::new(user as u32, 1)
}

/// So small that users come to know them.
fn limits() -> Limits {
    Limits {
        tail_entries: 8,
        rooms: 2,
        room_members: 3,
        direct_rooms: 2,
        invites: 2,
        all_rooms: 6,
        connections_per_user: HUBS as u32,
        ..Limits::default()
    }
}

fn settings() -> Settings {
    let kept = Retention { entries: 40, age_ms: u64::MAX };
    let retentions = Retentions { default: kept, ..Retentions::default() };
    Settings::from(&limits()).keep(retentions)
}

impl World {
    /// Hubs that know of each other, or each on its own.
    fn new(is_together: bool) -> World {
        let store = ModelStore::new("epoch");
        let common = is_together.then(|| Common::new(&settings(), Vec::new(), HUBS, 1));
        let node = |hub: usize| Node::new(&store, hub, common.as_ref());
        let nodes = (0..HUBS).map(node).collect();
        let mut world =
            World { store, common, nodes, commands: VecDeque::new(), now: Now::default() };
        for hub in 0..HUBS {
            for user in 0..USERS.len() {
                world.connect(hub, user);
            }
        }
        world
    }

    fn connect(&mut self, hub: usize, number: usize) {
        let (conn, user) = (conn(number), user(number));
        self.give(hub, Input::Connected { conn, user, name: None, resumes: false });
    }

    fn give(&mut self, hub: usize, input: Input) {
        let node = &mut self.nodes[hub];
        node.effects.clear();
        node.hub.handle(self.now, input, &mut node.effects);
        let all_recipients = std::mem::take(&mut node.effects.recipients);
        let mut news_of_it = Vec::new();
        let mut catches_up = false;
        for effect in std::mem::take(&mut node.effects.list) {
            match effect {
                Effect::Persist { ticket, record } => {
                    self.commands.push_back((hub, Command::Write(ticket, record)));
                }
                Effect::Load { ticket, query } => {
                    self.commands.push_back((hub, Command::Read(ticket, query)));
                }
                Effect::Tell { hub: None, news } => news_of_it.push(news),
                Effect::Tell { hub: Some(_), .. } => panic!("there are no streams"),
                Effect::CatchUp => catches_up = true,
                Effect::Seek { .. } => panic!("nobody goes on at a time"),
                Effect::Hold { conn } => assert!(node.held.insert(conn)),
                Effect::Release { conn } => assert!(node.held.remove(&conn)),
                Effect::WakeAt(at) => {
                    node.wakes.insert(at);
                }
                Effect::Answer { answer, .. } => node.answers.push(answer),
                Effect::Deliver { recipients, notice } => {
                    for conn in &all_recipients[recipients] {
                        node.delivered(*conn, &notice);
                    }
                }
                _ => {}
            }
        }
        for news in news_of_it {
            for other in self.nodes.iter_mut().enumerate().filter(|(other, _)| *other != hub) {
                other.1.is_told(Told::News(news.clone()));
            }
        }
        if catches_up {
            self.hear(hub, usize::MAX);
        }
    }

    fn hear(&mut self, hub: usize, most: usize) {
        for _ in 0..most {
            let Some(told) = self.nodes[hub].told.pop_front() else { break };
            self.give(hub, Input::Told(told));
        }
    }

    /// No limit is exceeded, however many hubs take requests at once.
    fn keeps_the_limits(&self) {
        let (limits, snapshot) = (limits(), self.store.snapshot());
        let live: Vec<&RoomId> =
            snapshot.rooms.iter().filter(|room| !room.is_ended).map(|room| &room.room).collect();
        assert!(live.len() <= limits.all_rooms as usize, "rooms: {live:?}");
        let mut of_room: BTreeMap<&RoomId, usize> = BTreeMap::new();
        let mut of_user: BTreeMap<&UserId, (u32, u32)> = BTreeMap::new();
        for (room, user, member) in snapshot.members.iter().flatten() {
            *of_room.entry(room).or_default() += 1;
            let (own, direct) = of_user.entry(user).or_default();
            *own += u32::from(member.is_own);
            // Whoever answers may have more of them.
            let has_begun = |entry: &Entry| matches!(&entry.kind, EntryKind::Message { from, .. } if from == user);
            *direct +=
                u32::from(room.is_direct() && self.store.log(room).first().is_some_and(has_begun));
        }
        assert!(of_room.values().all(|all| *all <= limits.room_members as usize), "{of_room:?}");
        let fits =
            |(own, direct): &(u32, u32)| *own <= limits.rooms && *direct <= limits.direct_rooms;
        assert!(of_user.values().all(fits), "own and direct rooms: {of_user:?}");
        let mut invites: BTreeMap<&UserId, u32> = BTreeMap::new();
        for invite in &snapshot.invites {
            *invites.entry(&invite.user).or_default() += 1;
        }
        assert!(invites.values().all(|all| *all <= limits.invites), "{invites:?}");
    }

    fn step(&mut self, step: Step) {
        self.now.timestamp.0 += 1;
        match step {
            Step::Ask { hub, user, is_admin, request } => {
                let conn = conn(user);
                if !self.nodes[hub].held.contains(&conn) {
                    self.nodes[hub].asked += 1;
                    let request = self.aimed(user, request);
                    self.give(
                        hub,
                        Input::Request { conn, is_admin, id: Some("1".into()), request },
                    );
                }
            }
            Step::Commit(most) => {
                for _ in 0..most {
                    let Some((hub, command)) = self.commands.pop_front() else { break };
                    self.commit(hub, command);
                }
            }
            Step::Fail => {
                for (hub, command) in std::mem::take(&mut self.commands) {
                    let (Command::Write(ticket, _) | Command::Read(ticket, _)) = command;
                    let outcome = Outcome::Unavailable;
                    self.nodes[hub].is_told(Told::Answer { ticket, outcome });
                }
            }
            Step::Hear { hub, most } => self.hear(hub, most),
            Step::Wait(millis) => {
                self.now.moment = self.now.moment.plus_millis(millis);
                for hub in 0..HUBS {
                    let now = self.now.moment;
                    let wakes = &mut self.nodes[hub].wakes;
                    let before = wakes.len();
                    wakes.retain(|at| *at > now);
                    if wakes.len() < before {
                        self.give(hub, Input::Woken);
                    }
                }
            }
        }
    }

    /// What is about a message, as a rule about one of the newest; a change about one's own.
    fn aimed(&self, by: usize, mut request: Request) -> Request {
        let by = user(by);
        let is_change = matches!(request, Request::Edit { .. } | Request::Delete { .. });
        let (Request::Edit { room, seq, .. }
        | Request::Delete { room, seq }
        | Request::React { room, seq, .. }
        | Request::Read(room, seq)) = &mut request
        else {
            return request;
        };
        let is_fit = |entry: &Entry| match &entry.kind {
            EntryKind::Message { from, .. } => !is_change || *from == by,
            _ => false,
        };
        let log = self.store.log(room);
        let newest: Vec<u64> =
            log.iter().rev().filter(|entry| is_fit(entry)).map(|entry| entry.seq).take(4).collect();
        if *seq % 8 > 0 && !newest.is_empty() {
            *seq = newest[*seq as usize % newest.len()];
        }
        request
    }

    fn commit(&mut self, of: usize, command: Command) {
        match command {
            Command::Read(ticket, query) => {
                let outcome = self.store.read(&query);
                self.nodes[of].is_told(Told::Answer { ticket, outcome });
            }
            Command::Write(ticket, record) => {
                let written = self.store.write(self.now.timestamp, &record);
                if let Written::Changed(change) = &written {
                    for other in (0..HUBS).filter(|hub| *hub != of) {
                        let change = change.clone();
                        self.nodes[other].is_told(Told::Changed { change, ticket: None });
                    }
                }
                self.nodes[of].is_told(written.told(ticket));
                if self.common.is_some() {
                    self.keeps_the_limits();
                }
            }
        }
    }

    /// Until nothing is under way.
    fn settle(&mut self) {
        for _ in 0..1_000 {
            self.step(Step::Wait(60_000));
            let is_idle = self.commands.is_empty()
                && self.nodes.iter().all(|node| node.told.is_empty() && node.held.is_empty());
            if is_idle {
                return;
            }
            self.step(Step::Commit(100));
            for hub in 0..HUBS {
                self.step(Step::Hear { hub, most: 1_000 });
            }
        }
        panic!("it goes on and on");
    }

    /// What a user is answered by a hub.
    fn asked(&mut self, hub: usize, number: usize, request: Request) -> String {
        let answers = self.nodes[hub].answers.len();
        let asks = Step::Ask { hub, user: number, is_admin: number == 0, request };
        self.step(asks);
        while self.nodes[hub].answers.len() == answers {
            self.step(Step::Commit(1));
            self.step(Step::Hear { hub, most: 1 });
        }
        format!("{:?}", self.nodes[hub].answers.last())
    }

    /// All that the users may know of rooms by a hub.
    fn known(&mut self, hub: usize) -> Vec<String> {
        let mut known = Vec::new();
        for (number, name) in USERS.iter().enumerate() {
            let mut requests = vec![Request::Info { after: None }];
            for which in [ListedRooms::Own, ListedRooms::Joinable, ListedRooms::All] {
                requests.push(Request::ListRooms { which, after: None, limit: 100 });
            }
            let direct = (0..USERS.len()).map(|other| RoomId::direct(&user(number), &user(other)));
            for room in ROOMS.into_iter().map(room).chain(direct) {
                requests.push(Request::Room(room.clone()));
                let history = |part| Request::History { room: room.clone(), part, limit: 100 };
                requests.extend([Part::Newest, Part::After(0)].map(history));
                requests.push(Request::ListMembers { room, after: None, limit: 100 });
            }
            for request in requests {
                let asked = format!("{name} asks {request:?}: ");
                known.push(asked + &self.asked(hub, number, request));
            }
        }
        known
    }
}

impl Node {
    fn new(store: &ModelStore, number: usize, common: Option<&Common>) -> Node {
        let mut hub = Hub::new(settings(), store.snapshot(), number as u64);
        let count = Arc::new(AtomicU64::new(0));
        if let Some(common) = common {
            hub.join_others(common.clone(), number, Arc::clone(&count));
        }
        Node {
            hub,
            count,
            effects: Effects::default(),
            told: VecDeque::new(),
            held: BTreeSet::new(),
            asked: 0,
            answers: Vec::new(),
            wakes: BTreeSet::new(),
            followed: BTreeMap::new(),
        }
    }

    fn is_told(&mut self, told: Told) {
        self.count.fetch_add(u64::from(!matches!(told, Told::Answer { .. })), Ordering::Relaxed);
        self.told.push_back(told);
    }

    /// A connection is told the log of each of its rooms without a hole, from its user's coming to
    /// their going, and nothing else of rooms.
    fn delivered(&mut self, conn: ConnId, notice: &Notice) {
        let own = user(conn.index());
        match notice {
            Notice::Entry { entry, .. } => {
                let comes = match &entry.kind {
                    EntryKind::Joined { user, .. } => *user == own,
                    EntryKind::Left { user, .. } => {
                        assert_ne!(*user, own, "who has left is told the entry of it");
                        false
                    }
                    _ => entry.room.is_direct() && entry.seq == 1,
                };
                let key = (conn, entry.room.clone());
                let before = match comes {
                    true => Some(entry.seq - 1),
                    false => self.followed.get(&key).copied(),
                };
                assert_eq!(before, Some(entry.seq - 1), "{own} is told {entry:?}");
                self.followed.insert(key, entry.seq);
            }
            Notice::Removed { room, .. } => {
                self.followed.remove(&(conn, room.clone()));
            }
            Notice::Updated { room, .. } | Notice::Read { room, .. } => {
                let is_followed = self.followed.contains_key(&(conn, room.clone()));
                assert!(is_followed, "{own} is told {notice:?}");
            }
            _ => {}
        }
    }
}

fn any_request() -> impl Strategy<Value = Request> {
    let any_room = || (0..ROOMS.len()).prop_map(|number| room(ROOMS[number]));
    let any_user = || (0..USERS.len()).prop_map(user);
    let body = |text: &str| Body { text: text.into(), data: None, reply_to: None };
    let cid = || proptest::option::of((0u8..6).prop_map(|cid| format!("c{cid}").into()));
    let seq = || 1u64..30;
    prop_oneof![
        12 => (any_room(), cid()).prop_map(move |(room, cid)| {
            Request::Send { target: Target::Room(room), body: body("x"), cid }
        }),
        3 => any_user().prop_map(move |user| {
            Request::Send { target: Target::User(user), body: body("psst"), cid: None }
        }),
        3 => (any_room(), any::<bool>(), any_user()).prop_map(|(room, open, member)| {
            Request::Create { room: Some(room), title: None, open, members: vec![member] }
        }),
        8 => any_room().prop_map(Request::Join),
        4 => any_room().prop_map(Request::Leave),
        3 => (any_room(), any_user()).prop_map(|(room, user)| Request::Invite(room, user)),
        3 => (any_room(), any_user()).prop_map(|(room, user)| Request::Add(room, user)),
        3 => (any_room(), any_user()).prop_map(|(room, user)| Request::Remove(room, user)),
        2 => (any_room(), any_user()).prop_map(|(room, user)| Request::Ban(room, user)),
        2 => (any_room(), any_user()).prop_map(|(room, user)| Request::Unban(room, user)),
        1 => any_room().prop_map(Request::End),
        2 => (any_room(), 0u8..3, any::<bool>(), proptest::option::of(any_user())).prop_map(
            |(room, title, open, owner)| {
                let title = Some(format!("t{title}").into());
                Request::Update { room, title, open: Some(open), owner }
            }
        ),
        2 => (any_room(), seq()).prop_map(|(room, seq)| {
            Request::Edit { room, seq, text: "y".into() }
        }),
        2 => (any_room(), seq()).prop_map(|(room, seq)| Request::Delete { room, seq }),
        2 => (any_room(), seq(), any::<bool>()).prop_map(|(room, seq, on)| {
            Request::React { room, seq, emoji: "+".into(), on }
        }),
        3 => (any_room(), seq()).prop_map(|(room, seq)| Request::Read(room, seq)),
        2 => (any_room(), seq()).prop_map(|(room, seq)| {
            Request::Ack { marks: vec![(room, seq)], is_one: true }
        }),
        1 => any_room().prop_map(|room| Request::History { room, part: Part::Newest, limit: 20 }),
    ]
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        30 => (0..HUBS, 0..USERS.len(), any::<bool>(), any_request()).prop_map(
            |(hub, user, is_admin, request)| {
                let is_admin = is_admin && user == 0 || matches!(request, Request::Add(..));
                Step::Ask { hub, user, is_admin, request }
            }
        ),
        15 => (1usize..6).prop_map(Step::Commit),
        1 => Just(Step::Fail),
        15 => (0..HUBS, 1usize..6).prop_map(|(hub, most)| Step::Hear { hub, most }),
        3 => (0u64..3_000).prop_map(Step::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_hub_has_what_a_hub_has_that_begins_now(
        steps in proptest::collection::vec(any_step(), 0..300),
        is_together in any::<bool>(),
    ) {
        let mut world = World::new(is_together);
        for step in steps {
            world.step(step);
        }
        world.settle();
        for node in &world.nodes {
            prop_assert_eq!(node.answers.len(), node.asked, "each request has one answer");
        }
        let known: Vec<Vec<String>> = (0..HUBS).map(|hub| world.known(hub)).collect();
        // As one that begins on what is stored.
        world.store.restarted();
        world.nodes[0] = Node::new(&world.store, 9, None);
        for user in 0..USERS.len() {
            world.connect(0, user);
        }
        let begun = world.known(0);
        for of_hub in known {
            for (one, other) in of_hub.iter().zip(&begun) {
                prop_assert_eq!(one, other);
            }
        }
    }
}

/// A right that was lost while the request was under way is no right any more, whichever hub took
/// it away.
#[test]
fn what_another_hub_has_decided_first_holds() {
    let mut world = World::new(false);
    let ask = |world: &mut World, hub, user, request| {
        world.step(Step::Ask { hub, user, is_admin: false, request });
    };
    let say = || {
        let body = Body { text: "x".into(), data: None, reply_to: None };
        Request::Send { target: Target::Room(room("tea")), body, cid: None }
    };
    ask(&mut world, 0, 0, Request::Join(room("tea")));
    world.settle();
    ask(&mut world, 0, 1, Request::Join(room("tea")));
    world.settle();
    ask(&mut world, 1, 1, say());
    world.settle();
    let count = |world: &World| world.nodes[1].answers.len();
    for request in [
        say(),
        Request::Edit { room: room("tea"), seq: 3, text: "y".into() },
        Request::Delete { room: room("tea"), seq: 3 },
        Request::React { room: room("tea"), seq: 3, emoji: "+".into(), on: true },
    ] {
        let before = count(&world);
        // One hub removes bob; another, which has not heard of it, takes his request.
        ask(&mut world, 0, 0, Request::Remove(room("tea"), user(1)));
        world.step(Step::Commit(9));
        ask(&mut world, 1, 1, request.clone());
        world.settle();
        assert_eq!(count(&world), before + 1);
        let answer = world.nodes[1].answers.last().unwrap();
        assert_eq!(answer, &Err(Refusal::NOT_MEMBER), "{request:?}");
        ask(&mut world, 2, 1, Request::Join(room("tea")));
        world.settle();
    }
    for request in [
        Request::Update { room: room("tea"), title: Some("T".into()), open: None, owner: None },
        Request::Invite(room("tea"), user(2)),
        Request::Remove(room("tea"), user(1)),
        Request::Ban(room("tea"), user(1)),
        Request::End(room("tea")),
    ] {
        let before = count(&world);
        let owner = Some(user(1));
        let hand_over = Request::Update { room: room("tea"), title: None, open: None, owner };
        ask(&mut world, 0, 0, hand_over);
        world.step(Step::Commit(9));
        ask(&mut world, 1, 0, request.clone());
        world.settle();
        assert_eq!(count(&world), before + 1);
        let answer = world.nodes[1].answers.last().unwrap();
        assert_eq!(answer, &Err(Refusal::NOT_OWNER), "{request:?}");
        let owner = Some(user(0));
        let back = Request::Update { room: room("tea"), title: None, open: None, owner };
        ask(&mut world, 2, 1, back);
        world.settle();
    }
}

/// A hub that was not told a change says so, and shows nobody a log with a hole.
#[test]
#[should_panic(expected = "the changes of tea have a hole")]
fn a_change_that_a_hub_was_not_told_is_noticed() {
    let mut world = World::new(false);
    let body = || Body { text: "x".into(), data: None, reply_to: None };
    let send = || Request::Send { target: Target::Room(room("tea")), body: body(), cid: None };
    for request in [Request::Join(room("tea")), send(), send()] {
        world.step(Step::Ask { hub: 0, user: 0, is_admin: false, request });
        world.step(Step::Commit(9));
        world.step(Step::Hear { hub: 0, most: 9 });
    }
    let is_message = |told: &Told| {
        matches!(
            told,
            Told::Changed { change: StoreChange::Room { what: What::Message(_), .. }, .. }
        )
    };
    let place = world.nodes[1].told.iter().position(is_message).unwrap();
    world.nodes[1].told.remove(place);
    world.settle();
}

/// What a client has seen of one hub every other hub knows before it answers, whatever it was told
/// and has not heard.
#[test]
fn what_one_hub_has_shown_another_one_knows() {
    let mut world = World::new(true);
    let body = || Body { text: "x".into(), data: None, reply_to: None };
    let send = || Request::Send { target: Target::Room(room("tea")), body: body(), cid: None };
    world.asked(0, 0, Request::Join(room("tea")));
    for seq in 2..40 {
        let (one, other) = (seq as usize % HUBS, (seq as usize + 1) % HUBS);
        let sent = world.asked(one, 0, send());
        assert!(sent.contains(&format!("seq: {seq}")), "{sent}");
        let read = world.asked(other, 0, Request::Read(room("tea"), seq));
        assert!(read.contains(&format!("seq: {seq}")), "{read}");
        let edit = Request::Edit { room: room("tea"), seq, text: "y".into() };
        if seq == 39 {
            assert!(world.asked(other, 0, edit).contains("seq: 40"));
        }
    }
    // Another connection, which comes when its hub has not heard anything for long.
    let hub = 2;
    world.give(hub, Input::Disconnected { conn: conn(0) });
    world.give(hub, Input::Connected { conn: conn(0), user: user(0), name: None, resumes: true });
    let rooms = vec![(room("tea"), 40)];
    let resume = Request::Resume { epoch: "epoch".into(), rooms, more: false };
    let resumed = world.asked(hub, 0, resume);
    assert!(resumed.contains("refused: []"), "{resumed}");
}

/// A user may have so many connections at all hubs together, and is online as long as they have one.
#[test]
fn users_are_counted_at_all_hubs_together() {
    let mut world = World::new(true);
    let online = |world: &mut World, hub| {
        world.hear(hub, usize::MAX);
        let (users, _) = world.nodes[hub].hub.online(None, 10);
        let ada = users.iter().find(|one| one.user == user(0));
        ada.map(|ada| ada.connections)
    };
    assert_eq!(online(&mut world, 1), Some(HUBS));
    let more = ConnId::new(9, 1);
    world.give(1, Input::Connected { conn: more, user: user(0), name: None, resumes: false });
    assert_eq!(world.nodes[1].hub.user_on(more), None, "one too many");
    for hub in 0..HUBS {
        assert_eq!(online(&mut world, hub), Some(HUBS - hub));
        world.give(hub, Input::Disconnected { conn: conn(0) });
    }
    for hub in 0..HUBS {
        assert_eq!(online(&mut world, hub), None);
    }
    world.settle();
    for node in &world.nodes {
        assert_eq!(node.hub.census().users, USERS.len() - 1, "nobody is left behind");
    }
    world.give(1, Input::Connected { conn: more, user: user(0), name: None, resumes: false });
    assert_eq!(world.nodes[1].hub.user_on(more), Some(&user(0)));
}
