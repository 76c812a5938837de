//! The hub's rules, one by one, with a store that answers at once. `tests/cursors.rs` tests them
//! together, with random users.

#[path = "simulation/model_store.rs"]
mod model_store;

use model_store::ModelStore;
use parlor::base::answer::RoomPage;
use parlor::base::request::{ListedRooms, Part, Target};
use parlor::base::{
    Answer, Authority, Body, ConnId, Effect, Effects, Limits, MemberState, Moment, Notice, Now,
    Outcome, Record, RefusalCode, Request, Rights, RoomId, RoomState, Snapshot, Timestamp, Told,
    UserId, Written,
};
use parlor::hub::{Census, Hub, Input, Retention, Retentions, Settings};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// A hub, and a store as its rules say.
struct World {
    hub: Hub,
    now: Now,
    effects: Effects,
    store: ModelStore,
    fails: bool,
    next_conn: u32,
    wakes: Vec<Moment>,
    /// What was told while time passed.
    told: Vec<(Vec<ConnId>, String)>,
}

fn user(id: &str) -> UserId {
    UserId::parse(id).unwrap()
}

fn room(id: &str) -> RoomId {
    RoomId::parse(id).unwrap()
}

fn say(to: &str, text: &str) -> Request {
    let body = Body { text: text.into(), data: None, reply_to: None };
    Request::Send { target: Target::Room(room(to)), body, cid: None }
}

impl World {
    fn new(limits: Limits) -> World {
        World::with(Settings::from(&limits))
    }

    fn with(settings: Settings) -> World {
        let store = ModelStore::new("epoch");
        World {
            hub: Hub::new(settings, store.snapshot(), 1),
            store,
            now: Now::default(),
            effects: Effects::default(),
            fails: false,
            next_conn: 0,
            wakes: Vec::new(),
            told: Vec::new(),
        }
    }

    fn connect(&mut self, id: &str) -> ConnId {
        self.next_conn += 1;
        let conn = ConnId::new(self.next_conn, self.next_conn);
        self.input(Input::Connected { conn, user: user(id), name: None, resumes: false });
        conn
    }

    /// Hands over an input, and the store's answers; all effects of it are left in `effects`.
    fn input(&mut self, input: Input) {
        self.effects.clear();
        self.hub.handle(self.now, input, &mut self.effects);
        let mut seen = 0;
        while let Some(effect) = self.effects.list.get(seen) {
            seen += 1;
            assert!(seen < 10_000, "effects without end");
            match effect {
                Effect::Persist { ticket, record } => {
                    let (ticket, record) = (*ticket, record.clone());
                    let written = match self.fails {
                        true => Outcome::Unavailable.into(),
                        false => self.store.write(self.now.timestamp, &record),
                    };
                    let told = Input::Told(written.told(ticket));
                    self.hub.handle(self.now, told, &mut self.effects);
                }
                Effect::Load { ticket, query } => {
                    let (ticket, query) = (*ticket, query.clone());
                    let outcome = self.store.read(&query);
                    let told = Input::Told(Told::Answer { ticket, outcome });
                    self.hub.handle(self.now, told, &mut self.effects);
                }
                Effect::Seek { ticket, rooms, since } => {
                    let (ticket, outcome) = (*ticket, self.store.seek(rooms, *since));
                    let told = Input::Told(Told::Answer { ticket, outcome });
                    self.hub.handle(self.now, told, &mut self.effects);
                }
                Effect::WakeAt(at) => self.wakes.push(*at),
                _ => {}
            }
        }
    }

    /// Asks for all of this while the store is slow: what is on its way to it then, in order.
    fn on_their_way<const N: usize>(
        &mut self,
        requests: [(ConnId, bool, Request); N],
    ) -> Vec<(u64, Record)> {
        let mut effects = Effects::default();
        for (conn, is_admin, request) in requests {
            let input = Input::Request { conn, is_admin, id: Some("1".into()), request };
            self.hub.handle(self.now, input, &mut effects);
        }
        let records = effects.list.into_iter().filter_map(|effect| match effect {
            Effect::Persist { ticket, record } => Some((ticket, record)),
            _ => None,
        });
        records.collect()
    }

    /// What became of one of these; all effects of it are left in `effects`.
    fn comes_back(&mut self, ticket: u64, written: Written) {
        self.effects.clear();
        self.hub.handle(self.now, Input::Told(written.told(ticket)), &mut self.effects);
    }

    fn request(&mut self, conn: ConnId, request: Request) -> Result<Answer, RefusalCode> {
        self.request_as(conn, false, request)
    }

    fn request_as(
        &mut self,
        conn: ConnId,
        is_admin: bool,
        request: Request,
    ) -> Result<Answer, RefusalCode> {
        self.input(Input::Request { conn, is_admin, id: Some("1".into()), request });
        let answer = self.effects.list.iter().find_map(|effect| match effect {
            Effect::Answer { answer, .. } => Some(answer.clone()),
            _ => None,
        });
        answer.expect("an answer").map_err(|refusal| refusal.code)
    }

    /// Lets time pass, and gives the hub the moments that it asked for.
    fn wait(&mut self, millis: u64) {
        let end = self.now.moment.plus_millis(millis);
        let mut told = Vec::new();
        loop {
            let due = self.wakes.iter().copied().filter(|at| *at <= end).min();
            let Some(due) = due else { break };
            self.wakes.retain(|at| *at != due);
            self.now.moment = due.max(self.now.moment);
            self.input(Input::Woken);
            told.append(&mut self.notices());
        }
        self.now.moment = end;
        self.told = told;
    }

    /// Who was told what, by the last input.
    fn notices(&mut self) -> Vec<(Vec<ConnId>, String)> {
        let recipients = &self.effects.recipients;
        let deliveries = self.effects.list.iter().filter_map(|effect| match effect {
            Effect::Deliver { recipients: range, notice } => {
                Some((recipients[range.clone()].to_vec(), short(notice)))
            }
            _ => None,
        });
        deliveries.collect()
    }
}

fn short(notice: &Notice) -> String {
    let names = |users: &[UserId]| users.iter().map(UserId::as_str).collect::<Vec<_>>().join(",");
    match notice {
        Notice::Entry { entry, .. } => format!("{} {}", entry.room, entry.seq),
        Notice::Online { users, version, reset, .. } => {
            format!("online {} v{version}{}", names(users), if *reset { " reset" } else { "" })
        }
        Notice::Count { online, version, .. } => format!("{online} online v{version}"),
        Notice::Offline { users, version, .. } => format!("offline {} v{version}", names(users)),
        Notice::Typing { user, typing, .. } => format!("{user} types: {typing}"),
        Notice::Read { user, seq, .. } => format!("{user} read {seq}"),
        Notice::Delivered { user, seq, .. } => format!("{user} received {seq}"),
        Notice::Event { stream, event, .. } => format!("{stream} {}", event.seq),
        Notice::Unsubscribed { streams, .. } => format!("no more of {streams:?}"),
        Notice::Age { stream, age, .. } => format!("{stream} is stale: {age:?}"),
        Notice::Updated { room, title, open, owner, by, .. } => {
            let name = |id: &Option<UserId>| id.as_ref().map_or("-".to_owned(), UserId::to_string);
            format!("{room} is {title:?} open={open} {} by {}", name(owner), name(by))
        }
        Notice::Invited(invite) => format!("invited to {} by {}", invite.room, invite.by),
        Notice::Removed { room, reason, .. } => format!("removed from {room}: {reason}"),
    }
}

impl World {
    fn told(&self) -> Vec<&str> {
        self.told.iter().map(|(_, what)| what.as_str()).collect()
    }
}

#[test]
fn coming_and_going_is_told_once_a_window_and_after_the_grace() {
    let mut world = World::new(Limits::default());
    let ada = world.connect("ada");
    let bob = world.connect("bob");
    let bob_too = world.connect("bob");
    world.wait(249);
    assert_eq!(world.told(), [""; 0]);
    world.wait(1);
    assert_eq!(world.told, [(vec![ada, bob, bob_too], "online ada,bob v1".to_owned())]);
    world.input(Input::Disconnected { conn: bob });
    world.wait(60_000);
    assert_eq!(world.told(), [""; 0], "one connection of two");
    world.input(Input::Disconnected { conn: bob_too });
    world.wait(4_999);
    assert_eq!(world.told(), [""; 0]);
    world.wait(251);
    assert_eq!(world.told, [(vec![ada], "offline bob v2".to_owned())]);
}

#[test]
fn a_reload_is_not_seen_unless_somebody_listed_meanwhile() {
    let mut world = World::new(Limits::default());
    let ada = world.connect("ada");
    let bob = world.connect("bob");
    world.wait(1_000);
    world.input(Input::Disconnected { conn: bob });
    world.wait(1_000);
    let bob = world.connect("bob");
    world.wait(60_000);
    assert_eq!(world.told(), [""; 0]);

    world.input(Input::Disconnected { conn: bob });
    let list = Request::ListPresence { room: None, after: None, limit: 9 };
    let Ok(Answer::Presence { users, version, .. }) = world.request(ada, list) else { panic!() };
    assert_eq!((users.len(), version), (1, 1), "the state of now");
    world.connect("bob");
    world.wait(60_000);
    assert_eq!(world.told(), ["online bob v2"], "or ada would believe for ever that bob is gone");
}

#[test]
fn the_late_end_of_an_old_connection_takes_nobody_offline() {
    let mut world = World::new(Limits::default());
    let old = world.connect("ada");
    world.connect("ada");
    world.wait(1_000);
    world.input(Input::Disconnected { conn: old });
    world.input(Input::Disconnected { conn: old });
    world.wait(60_000);
    assert_eq!(world.told(), [""; 0]);
    assert_eq!(world.hub.counts().online, 1);
}

#[test]
fn who_missed_a_change_is_told_to_list_again() {
    let mut world = World::new(Limits::default());
    let ada = world.connect("ada");
    world.wait(1_000);
    world.input(Input::PresenceMissed { conn: ada });
    world.input(Input::Drained { conn: ada });
    assert_eq!(world.notices(), [(vec![ada], "online  v1 reset".to_owned())]);
    world.input(Input::Drained { conn: ada });
    assert_eq!(world.notices(), []);
}

fn titled(name: &str, title: &str) -> Request {
    Request::Update { room: room(name), title: Some(title.into()), open: None, owner: None }
}

/// What was told of rooms by the last input.
fn updates(world: &mut World) -> Vec<(Vec<ConnId>, String)> {
    world.notices().into_iter().filter(|(_, what)| what.contains(" is ")).collect()
}

#[test]
fn what_a_room_is_like_is_told_to_every_connection_of_its_members() {
    let mut world = World::new(Limits::default());
    let (ada, other, bob) = (world.connect("ada"), world.connect("ada"), world.connect("bob"));
    let (cy, root) = (world.connect("cy"), world.connect("root"));
    for conn in [ada, bob] {
        world.request(conn, Request::Join(room("tea"))).unwrap();
    }
    world.request(ada, titled("tea", "Tea")).unwrap();
    let told = |text: &str| vec![(vec![ada, other, bob], text.to_owned())];
    assert_eq!(updates(&mut world), told("tea is \"Tea\" open=true ada by ada"));
    // What is as it was is told to nobody, and what was not stored neither.
    world.request(ada, titled("tea", "Tea")).unwrap();
    assert_eq!(updates(&mut world), []);
    world.fails = true;
    assert_eq!(world.request(ada, titled("tea", "Lost")), Err(RefusalCode::Unavailable));
    assert_eq!(updates(&mut world), []);
    world.fails = false;
    world.request_as(root, true, titled("tea", "Root's")).unwrap();
    assert_eq!(updates(&mut world), told("tea is \"Root's\" open=true ada by root"));
    let owner = Some(user("bob"));
    let hand_over = Request::Update { room: room("tea"), title: None, open: Some(false), owner };
    world.request(ada, hand_over).unwrap();
    assert_eq!(updates(&mut world), told("tea is \"Root's\" open=false bob by ada"));
    assert!(!updates(&mut world).iter().any(|(conns, _)| conns.contains(&cy)));
    let of_program = Input::Call {
        call: 1,
        user: UserId::program(),
        rights: Rights::Program,
        quotas: None,
        request: titled("tea", "Ours"),
    };
    world.input(of_program);
    assert_eq!(updates(&mut world), told("tea is \"Ours\" open=false bob by -"));
}

#[test]
fn who_missed_what_a_room_is_like_is_told_the_newest_when_there_is_room() {
    let mut world = World::new(Limits::default());
    let (ada, bob) = (world.connect("ada"), world.connect("bob"));
    world.request(ada, Request::Join(room("tea"))).unwrap();
    world.request(bob, Request::Join(room("tea"))).unwrap();
    world.request(ada, titled("tea", "1")).unwrap();
    let source = world.effects.list.iter().find_map(|effect| match effect {
        Effect::Deliver { notice: Notice::Updated { source, .. }, .. } => Some(*source),
        _ => None,
    });
    let source = source.expect("it was told");
    world.input(Input::UpdateMissed { conn: bob, source });
    world.input(Input::UpdateMissed { conn: bob, source });
    world.request(ada, titled("tea", "2")).unwrap();
    world.input(Input::Drained { conn: bob });
    let told = vec![(vec![bob], "tea is \"2\" open=true ada by -".to_owned())];
    assert_eq!(updates(&mut world), told);
    world.input(Input::Drained { conn: bob });
    assert_eq!(updates(&mut world), []);
    // Whoever is out of the room is told nothing of it, although they missed something.
    world.input(Input::UpdateMissed { conn: bob, source });
    world.request(bob, Request::Leave(room("tea"))).unwrap();
    world.input(Input::UpdateMissed { conn: bob, source });
    world.request(bob, Request::Join(room("tea"))).unwrap();
    world.input(Input::Drained { conn: bob });
    assert_eq!(updates(&mut world), []);
}

#[test]
fn what_a_room_is_like_is_told_when_it_goes_live_and_not_before() {
    let mut world = World::new(Limits::default());
    let ada = world.connect("ada");
    for name in ["tea", "den", "pub"] {
        world.request(ada, Request::Join(room(name))).unwrap();
    }
    world.next_conn += 1;
    let late = ConnId::new(world.next_conn, world.next_conn);
    let of_ada = Input::Connected { conn: late, user: user("ada"), name: None, resumes: true };
    world.input(of_ada);
    for name in ["tea", "den", "pub"] {
        world.request(ada, titled(name, "New")).unwrap();
        assert_eq!(updates(&mut world)[0].0, [ada], "{name} waits for its resume");
    }
    let told = |name: &str| vec![(vec![late], format!("{name} is \"New\" open=true ada by -"))];
    let resume = |name: &str, seq, more| Request::Resume {
        epoch: "epoch".into(),
        rooms: vec![(room(name), seq)],
        more,
    };
    world.request(late, resume("tea", 1, true)).unwrap();
    assert_eq!(updates(&mut world), told("tea"));
    let is_first = matches!(world.effects.list.first(), Some(Effect::Answer { .. }));
    assert!(is_first, "the answer goes before");
    world.request(late, resume("den", 77, false)).unwrap();
    assert_eq!(updates(&mut world), told("pub"), "den was refused");
    world.request(ada, titled("den", "Newer")).unwrap();
    assert_eq!(updates(&mut world)[0].0, [ada]);
    world.input(Input::Drained { conn: late });
    assert_eq!(updates(&mut world), []);
    let history = Request::History { room: room("den"), part: Part::Newest, limit: 1 };
    world.request(late, history).unwrap();
    let newest = vec![(vec![late], "den is \"Newer\" open=true ada by -".to_owned())];
    assert_eq!(updates(&mut world), newest);
}

#[test]
fn who_missed_a_number_is_told_it_again_as_news() {
    let limits = Limits { presence_listed_people: 1, ..Limits::default() };
    let mut world = World::new(limits);
    let ada = world.connect("ada");
    world.connect("bob");
    world.wait(1_000);
    assert_eq!(world.told(), ["2 online v1"]);
    world.input(Input::PresenceMissed { conn: ada });
    world.input(Input::Drained { conn: ada });
    assert_eq!(world.notices(), [(vec![ada], "2 online v2".to_owned())]);
    let again = world.effects.list.iter().any(|effect| {
        matches!(effect, Effect::Deliver { notice: Notice::Count { again: true, .. }, .. })
    });
    assert!(again, "it is not among what may be dropped");
}

#[test]
fn presence_is_listed_in_pages_and_by_room() {
    let mut world = World::new(Limits::default());
    let conns: Vec<ConnId> = ["ada", "bob", "cy", "dee"].map(|id| world.connect(id)).into();
    world.request(conns[0], Request::Join(room("lobby"))).unwrap();
    world.request(conns[2], Request::Join(room("lobby"))).unwrap();
    let mut list = |of: Option<&str>, after: Option<&str>, limit| {
        let request = Request::ListPresence { room: of.map(room), after: after.map(user), limit };
        let Ok(Answer::Presence { users, more, .. }) = world.request(conns[0], request) else {
            panic!()
        };
        (users.iter().map(|one| one.user.to_string()).collect::<Vec<_>>().join(","), more)
    };
    assert_eq!(list(None, None, 3), ("ada,bob,cy".into(), true));
    assert_eq!(list(None, Some("cy"), 3), ("dee".into(), false));
    assert_eq!(list(Some("lobby"), None, 9), ("ada,cy".into(), false));
    assert_eq!(list(Some("lobby"), None, 1), ("ada".into(), true));
}

#[test]
fn typing_is_told_to_the_others_not_too_often_and_ends() {
    let mut world = World::new(Limits::default());
    let (ada, ada_too, bob) = (world.connect("ada"), world.connect("ada"), world.connect("bob"));
    for conn in [ada, bob] {
        world.request(conn, Request::Join(room("lobby"))).unwrap();
    }
    let start = Request::Typing(room("lobby"), true);
    let told = |what: &str| vec![(vec![bob], what.to_owned())];
    world.request(ada, start.clone()).unwrap();
    assert_eq!(world.notices(), told("ada types: true"));
    world.wait(2_999);
    world.request(ada, start.clone()).unwrap();
    assert_eq!(world.notices(), [], "answered, and not told");
    world.wait(1);
    world.request(ada_too, start.clone()).unwrap();
    assert_eq!(world.notices(), told("ada types: true"));
    world.request(ada, say("lobby", "done")).unwrap();
    assert!(world.notices().contains(&(vec![bob], "ada types: false".to_owned())));
    // Who was told so too long ago has forgotten it.
    world.wait(10_000);
    world.request(ada, start.clone()).unwrap();
    world.wait(6_000);
    world.request(ada, Request::Typing(room("lobby"), false)).unwrap();
    assert_eq!(world.notices(), []);
    // The end of the last connection ends it at once.
    world.request(ada, start).unwrap();
    world.input(Input::Disconnected { conn: ada });
    assert_eq!(world.notices(), []);
    world.input(Input::Disconnected { conn: ada_too });
    assert_eq!(world.notices(), told("ada types: false"));
}

#[test]
fn unread_counts_the_others_messages_after_the_mark() {
    let mut world = World::new(Limits::default());
    let (ada, bob) = (world.connect("ada"), world.connect("bob"));
    for conn in [ada, bob] {
        world.request(conn, Request::Join(room("lobby"))).unwrap();
    }
    let unread = |world: &mut World, conn| {
        let list = Request::ListRooms { which: ListedRooms::Own, after: None, limit: 9 };
        let Ok(Answer::Rooms { rooms, .. }) = world.request(conn, list) else { panic!() };
        rooms[0].read.unwrap()
    };
    assert_eq!(unread(&mut world, ada), (1, 0), "bob's coming is no message");
    for text in ["a", "b", "c"] {
        world.request(bob, say("lobby", text)).unwrap();
    }
    assert_eq!((unread(&mut world, ada), unread(&mut world, bob)), ((1, 3), (5, 0)));
    let read = world.request(ada, Request::Read(room("lobby"), 4)).unwrap();
    assert_eq!(read, Answer::Read { room: room("lobby"), seq: 4, unread: 1 });
    assert_eq!(world.notices(), [(vec![ada, bob], "ada read 4".to_owned())]);
    let back = world.request(ada, Request::Read(room("lobby"), 2)).unwrap();
    assert_eq!(back, Answer::Read { room: room("lobby"), seq: 4, unread: 1 }, "only ever forward");
    world.request(ada, say("lobby", "mine")).unwrap();
    assert_eq!(unread(&mut world, ada), (6, 0), "sending moves one's own mark");
    let beyond = world.request(ada, Request::Read(room("lobby"), u64::MAX)).unwrap();
    assert_eq!(beyond, Answer::Read { room: room("lobby"), seq: 6, unread: 0 });
}

#[test]
fn a_stranger_is_answered_the_same_whether_or_not_the_room_exists() {
    let mut world = World::new(Limits::default());
    let (ada, eve) = (world.connect("ada"), world.connect("eve"));
    let closed =
        Request::Create { room: Some(room("closed")), title: None, open: false, members: vec![] };
    world.request(ada, closed).unwrap();
    let of = |name: &str| {
        let name = room(name);
        [
            Request::Leave(name.clone()),
            Request::ListMembers { room: name.clone(), after: None, limit: 9 },
            Request::History { room: name.clone(), part: Part::Newest, limit: 9 },
            Request::Typing(name.clone(), true),
            Request::Read(name.clone(), 1),
            Request::ListPresence { room: Some(name.clone()), after: None, limit: 9 },
            say(name.as_str(), "hello"),
        ]
    };
    for (existing, missing) in of("closed").into_iter().zip(of("missing")) {
        assert_eq!(world.request(eve, existing), Err(RefusalCode::NotMember));
        assert_eq!(world.request(eve, missing), Err(RefusalCode::NotMember));
    }
    assert_eq!(world.request(eve, Request::Join(room("closed"))), Err(RefusalCode::NotMember));
    assert_eq!(world.request(eve, Request::Join(room("dm:ada:bob"))), Err(RefusalCode::NotMember));
    let Ok(Answer::Rooms { rooms, .. }) = world
        .request(eve, Request::ListRooms { which: ListedRooms::Joinable, after: None, limit: 9 })
    else {
        panic!()
    };
    assert_eq!(rooms, []);
}

#[test]
fn open_rooms_are_listed_with_ones_own_in_pages_and_never_direct_messages() {
    let mut world = World::new(Limits::default());
    let (ada, bob) = (world.connect("ada"), world.connect("bob"));
    for name in ["b", "d", "f"] {
        world.request(ada, Request::Join(room(name))).unwrap();
    }
    let own = Request::Create { room: Some(room("c")), title: None, open: false, members: vec![] };
    world.request(bob, own).unwrap();
    let body = Body { text: "psst".into(), data: None, reply_to: None };
    let direct = Request::Send { target: Target::User(user("ada")), body, cid: None };
    world.request(bob, direct).unwrap();
    let mut list = |open, after: Option<&str>, limit| {
        let which = if open { ListedRooms::Joinable } else { ListedRooms::Own };
        let request = Request::ListRooms { which, after: after.map(room), limit };
        let Ok(Answer::Rooms { rooms, more }) = world.request(bob, request) else { panic!() };
        (rooms.iter().map(|one| one.room.to_string()).collect::<Vec<_>>().join(" "), more)
    };
    assert_eq!(list(true, None, 9), ("b c d f".into(), false));
    assert_eq!(list(true, None, 2), ("b c".into(), true));
    assert_eq!(list(true, Some("c"), 2), ("d f".into(), false));
    assert_eq!(list(false, None, 9), ("c dm:ada:bob".into(), false));
}

#[test]
fn a_greeting_lists_so_many_rooms_and_info_the_others() {
    let mut world = World::new(Limits { listed_rooms: 2, ..Limits::default() });
    let ada = world.connect("ada");
    for name in ["d", "a", "e", "b", "c"] {
        world.request(ada, Request::Join(room(name))).unwrap();
    }
    let names = |page: &RoomPage| -> Vec<String> {
        page.rooms.iter().map(|one| one.room.to_string()).collect()
    };
    let conn = world.connect("ada");
    let greeting = world.effects.list.iter().find_map(|effect| match effect {
        Effect::Greet { rooms, .. } => Some(rooms.clone()),
        _ => None,
    });
    let mut page = greeting.expect("a greeting");
    let mut listed = names(&page);
    while page.more {
        let after = page.rooms.last().map(|last| last.room.clone());
        let Ok(Answer::Info { rooms, .. }) = world.request(conn, Request::Info { after }) else {
            panic!("no info")
        };
        listed.extend(names(&rooms));
        page = rooms;
    }
    assert_eq!(listed, ["a", "b", "c", "d", "e"]);
    // It follows those, too, that were not listed.
    world.request(ada, say("e", "here")).unwrap();
    let told = world.notices();
    assert!(
        told.iter().any(|(conns, what)| conns.contains(&conn) && what.contains('e')),
        "{told:?}"
    );
}

#[test]
fn of_what_others_wrote_to_a_user_who_never_answered_the_newest_is_listed_page_by_page() {
    let mut snapshot = Snapshot { epoch: "epoch".into(), ..Snapshot::default() };
    // Several are of one time.
    for number in 0..130i64 {
        let other = user(&format!("u{:03}", number * 77 % 130));
        let name = RoomId::direct(&user("ada"), &other);
        let state = RoomState::new(name.clone(), "".into(), false, None);
        let ts = Timestamp(number / 3);
        snapshot.rooms.push(RoomState { head: 1, messages: 1, ts, ..state });
        let wrote = MemberState { has_written: true, ..MemberState::default() };
        let ada = (name.clone(), user("ada"), MemberState::default());
        snapshot.members.push(vec![ada, (name, other, wrote)]);
    }
    let mut newest: Vec<_> =
        snapshot.rooms.iter().map(|room| (-room.ts.0, room.room.clone())).collect();
    newest.sort();
    let mut expected: Vec<RoomId> = newest.into_iter().take(100).map(|(_, room)| room).collect();
    expected.sort();
    let limits = Limits { listed_rooms: 7, ..Limits::default() };
    let mut world = World::new(limits.clone());
    world.hub = Hub::new(Settings::from(&limits), snapshot, 2);
    let ada = world.connect("ada");
    let mut listed: Vec<RoomId> = Vec::new();
    loop {
        let after = listed.last().cloned();
        let Ok(Answer::Info { rooms, .. }) = world.request(ada, Request::Info { after }) else {
            panic!("no info")
        };
        assert!(rooms.rooms.len() <= 7);
        listed.extend(rooms.rooms.iter().map(|one| one.room.clone()));
        if !rooms.more {
            break;
        }
    }
    assert_eq!(listed, expected);
}

#[test]
fn limits_of_rooms_and_members_and_connections_are_kept() {
    let limits = Limits { rooms: 2, room_members: 2, connections_per_user: 2, ..Limits::default() };
    let mut world = World::new(limits);
    let (ada, bob, cy) = (world.connect("ada"), world.connect("bob"), world.connect("cy"));
    world.connect("ada");
    world.connect("ada");
    assert!(world.effects.list.iter().any(|effect| matches!(effect, Effect::TooMany { .. })));
    for conn in [ada, bob] {
        world.request(conn, Request::Join(room("a"))).unwrap();
    }
    assert_eq!(world.request(cy, Request::Join(room("a"))), Err(RefusalCode::Quota));
    world.request(ada, Request::Join(room("b"))).unwrap();
    assert_eq!(world.request(ada, Request::Join(room("c"))), Err(RefusalCode::Quota));
    assert!(
        world.request(ada, Request::Join(room("b"))).is_ok(),
        "a member joins again for nothing"
    );
    // To be brought into a room counts towards nobody's quota.
    let with_ada = Request::Create {
        room: Some(room("d")),
        title: None,
        open: false,
        members: vec![user("ada")],
    };
    world.request(bob, with_ada).unwrap();
    world.request(ada, Request::Leave(room("b"))).unwrap();
    assert!(world.request(ada, Request::Join(room("e"))).is_ok());
    let many = Request::Create {
        room: Some(room("f")),
        title: None,
        open: false,
        members: vec![user("x"), user("y")],
    };
    assert_eq!(world.request(cy, many), Err(RefusalCode::Quota));
}

/// Also where the room is not there yet, and one of them is to create it.
#[test]
fn members_who_come_at_once_count_all() {
    let mut world = World::new(Limits { room_members: 2, ..Limits::default() });
    let joins = |world: &mut World, conns: &[ConnId], request: fn() -> Request| {
        // Nobody hands these on to the store.
        let mut effects = Effects::default();
        for &conn in conns {
            let request = request();
            let input = Input::Request { conn, is_admin: false, id: None, request };
            world.hub.handle(world.now, input, &mut effects);
        }
        let written = effects.list.iter().filter(|effect| matches!(effect, Effect::Persist { .. }));
        written.count()
    };
    let conns = ["ada", "bob", "cy"].map(|name| world.connect(name));
    assert_eq!(joins(&mut world, &conns, || Request::Join(room("a"))), 2);
    let dee = world.connect("dee");
    let create = || {
        let (room, members) = (Some(room("b")), vec![user("x")]);
        Request::Create { room, title: None, open: true, members }
    };
    assert_eq!(joins(&mut world, &[dee], create), 1);
    let eve = world.connect("eve");
    assert_eq!(joins(&mut world, &[eve], || Request::Join(room("b"))), 1, "x was only invited");
    let fay = world.connect("fay");
    assert_eq!(joins(&mut world, &[fay], || Request::Join(room("b"))), 0);
    assert_eq!(joins(&mut world, &[fay], create), 0);
}

#[test]
fn rooms_that_are_on_their_way_to_the_store_count() {
    let limits = Limits { rooms: 2, all_rooms: 5, direct_rooms: 1, ..Limits::default() };
    let mut world = World::new(limits);
    let conns = [world.connect("ada"), world.connect("ada"), world.connect("ada")];
    // Nobody hands these on to the store.
    let mut effects = Effects::default();
    for (conn, name) in conns.into_iter().zip(["a", "b", "c"]) {
        let request = Request::Join(room(name));
        let input = Input::Request { conn, is_admin: false, id: None, request };
        world.hub.handle(world.now, input, &mut effects);
    }
    let refused = effects.list.iter().any(|effect| {
        matches!(effect, Effect::Answer { answer: Err(refusal), .. } if refusal.code == RefusalCode::Quota)
    });
    assert!(refused, "the third of two rooms");

    let bob = world.connect("bob");
    world.request(bob, direct("cy")).unwrap();
    assert!(world.request(bob, direct("cy")).is_ok());
    assert_eq!(world.request(bob, direct("dee")), Err(RefusalCode::Quota));
    let fay = world.connect("fay");
    for (conn, name) in [(bob, "x"), (fay, "y")] {
        world.request(conn, Request::Join(room(name))).unwrap();
    }
    // To wait would not help.
    let eve = world.connect("eve");
    assert_eq!(world.request(eve, Request::Join(room("z"))), Err(RefusalCode::Quota));
    assert_eq!(world.request(eve, direct("ada")), Err(RefusalCode::Quota));
    // What was given back can be taken again.
    world.request(fay, Request::End(room("y"))).unwrap();
    assert!(world.request(eve, Request::Join(room("z"))).is_ok());
}

fn direct(to: &str) -> Request {
    let body = Body { text: "psst".into(), data: None, reply_to: None };
    Request::Send { target: Target::User(user(to)), body, cid: None }
}

#[test]
fn shares_count_what_is_on_its_way_to_the_store() {
    let limits = Limits { all_rooms: 16, direct_rooms: 3, invites: 10, ..Limits::default() };
    let create = |name: String| Request::Create {
        room: Some(room(&name)),
        title: None,
        open: false,
        members: vec![user("victim")],
    };
    let asks: [fn(usize) -> Request; 2] = [
        |number| Request::Join(room(&format!("r{number}"))),
        |number| direct(&format!("u{number}")),
    ];
    let twenty = |world: &mut World, who: &str| -> [ConnId; 20] {
        std::array::from_fn(|_| world.connect(who))
    };
    // Each with as many as the store gets of twenty, on as many connections.
    for (ask, most) in asks.into_iter().zip([8, 3]) {
        let mut world = World::new(limits.clone());
        let eves = twenty(&mut world, "eve");
        let asked = || std::array::from_fn::<_, 20, _>(|number| (eves[number], false, ask(number)));
        let coming = world.on_their_way(asked());
        assert_eq!(coming.len(), most);
        let ada = world.connect("ada");
        assert!(world.request(ada, Request::Join(room("hers"))).is_ok());
        // What does not come to be is given back.
        for (ticket, _) in coming {
            world.comes_back(ticket, Outcome::Unavailable.into());
        }
        assert_eq!(world.on_their_way(asked()).len(), most);
    }
    let mut world = World::new(Limits { all_rooms: 1_000, ..limits });
    let (eves, bobs) = (twenty(&mut world, "eve"), twenty(&mut world, "bob"));
    let asked = |conns: [ConnId; 20], who: &str| -> [_; 20] {
        std::array::from_fn(|number| (conns[number], false, create(format!("{who}{number}"))))
    };
    let of_eve = world.on_their_way(asked(eves, "e"));
    assert_eq!(of_eve.len(), 5, "half of ten invitations");
    assert_eq!(world.on_their_way(asked(bobs, "b")).len(), 3, "and half of the others");
    for (ticket, record) in of_eve {
        let written = world.store.write(world.now.timestamp, &record);
        world.comes_back(ticket, written);
    }
    assert!(world.on_their_way(asked(eves, "f")).is_empty());

    let mut world = World::new(Limits { room_members: 4, ..Limits::default() });
    let eves = twenty(&mut world, "eve");
    world.request(eves[0], Request::Join(room("full"))).unwrap();
    let invite = |number: usize| Request::Invite(room("full"), user(&format!("u{number}")));
    let coming = world.on_their_way(std::array::from_fn::<_, 20, _>(|number| {
        (eves[number], false, invite(number))
    }));
    assert_eq!(coming.len(), 4, "invitations of a room");
}

#[test]
fn nobody_has_more_rooms_than_are_free() {
    let mut world = World::new(Limits { all_rooms: 40, ..Limits::default() });
    let (mallory, ada) = (world.connect("mallory"), world.connect("ada"));
    let mut had = [0, 0];
    for number in 0..40 {
        for (place, conn) in [mallory, ada].into_iter().enumerate().take(1 + number / 30) {
            let name = format!("{place}-{number}");
            let request = if number % 2 == 0 { direct(&name) } else { Request::Join(room(&name)) };
            had[place] += u32::from(world.request(conn, request).is_ok());
        }
    }
    assert_eq!(had, [20, 10]);
    assert_eq!(world.request(mallory, Request::Join(room("more"))), Err(RefusalCode::Quota));
    for number in (1..20).step_by(2) {
        world.request(mallory, Request::End(room(&format!("0-{number}")))).unwrap();
    }
    assert!(world.request(mallory, Request::Join(room("again"))).is_ok(), "what was given back");
    assert!(world.request(ada, Request::Join(room("more"))).is_ok());
}

#[test]
fn rooms_that_were_left_by_all_are_whose_who_left_them_last() {
    let mut world = World::new(Limits { all_rooms: 16, ..Limits::default() });
    let (eve, ada) = (world.connect("eve"), world.connect("ada"));
    let mut made = 0;
    while world.request(eve, Request::Join(room(&format!("r{made}")))).is_ok() {
        world.request(eve, Request::Leave(room(&format!("r{made}")))).unwrap();
        made += 1;
    }
    assert_eq!(made, 8, "half of what there is");
    assert!(world.request(ada, Request::Join(room("hers"))).is_ok());
    // To remove oneself is to leave, and so it is to leave somebody behind who was brought in.
    let mut world_of_two = World::new(Limits { all_rooms: 16, ..Limits::default() });
    let (mallory, bob) = (world_of_two.connect("mallory"), world_of_two.connect("bob"));
    for conn in [mallory, bob] {
        world_of_two.request(conn, Request::Join(room("both"))).unwrap();
    }
    for number in 0..16 {
        let name = room(&format!("m{number}"));
        let create = Request::Create {
            room: Some(name.clone()),
            title: None,
            open: false,
            members: if number % 2 == 0 { vec![user("bob")] } else { Vec::new() },
        };
        if world_of_two.request(mallory, create).is_err() {
            assert_eq!(number, 7, "with the one of both half of what there is");
            break;
        }
        if number % 2 == 0 {
            world_of_two.request(mallory, Request::Leave(name.clone())).unwrap();
            world_of_two.request(bob, Request::Leave(name)).unwrap();
        } else {
            world_of_two.request(mallory, Request::Remove(name, user("mallory"))).unwrap();
        }
    }
    assert!(world_of_two.request(bob, Request::Join(room("bobs"))).is_ok());

    // Whoever goes last has it, and whoever comes again takes it.
    world.request(ada, Request::Join(room("r0"))).unwrap();
    assert_eq!(world.request(eve, Request::Join(room("more"))), Err(RefusalCode::Quota));
    world.request(ada, Request::Join(room("r1"))).unwrap();
    assert!(world.request(eve, Request::Join(room("more"))).is_ok());
    // One that ends is given back.
    assert!(world.request(eve, Request::Join(room("others"))).is_err());
    for name in ["r2", "r3"] {
        world.request_as(ada, true, Request::End(room(name))).unwrap();
    }
    assert!(world.request(eve, Request::Join(room("others"))).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    /// Whoever makes, joins, leaves and ends rooms, in any order: one more can be made by whoever has fewer than are free,
    /// those among them that they left as the last, and by nobody else.
    #[test]
    fn nobody_has_more_rooms_than_are_free_in_any_order(
        steps in prop::collection::vec((0usize..5, 0u8..8, 0u32..60), 1..300),
    ) {
        const ALL: usize = 24;
        let mut world = World::new(Limits { all_rooms: ALL as u32, ..Limits::default() });
        let conns: Vec<ConnId> = (0..5).map(|who| world.connect(&format!("u{who}"))).collect();
        let admin = world.connect("boss");
        // Who is in each, and who was the last; none of one that has ended.
        let mut rooms = BTreeMap::<u32, Option<(BTreeSet<usize>, Option<usize>)>>::new();
        for (who, what, number) in steps {
            let name = room(&format!("r{number}"));
            let live = rooms.values().flatten();
            let own = live.clone().filter(|(members, left)| members.contains(&who) || *left == Some(who));
            let (own, free) = (own.count(), ALL - live.count());
            match (what, rooms.get_mut(&number)) {
                (0..5, None) => {
                    let made = world.request(conns[who], Request::Join(name)).is_ok();
                    prop_assert_eq!(made, own < free, "{} of {} free", own, free);
                    if made {
                        rooms.insert(number, Some(([who].into(), None)));
                    }
                }
                (0..5, Some(Some((members, left)))) => {
                    prop_assert!(world.request(conns[who], Request::Join(name)).is_ok());
                    members.insert(who);
                    *left = None;
                }
                (5 | 6, Some(Some((members, left)))) => {
                    let was_there = world.request(conns[who], Request::Leave(name)).is_ok();
                    prop_assert_eq!(was_there, members.remove(&who));
                    if was_there && members.is_empty() {
                        *left = Some(who);
                    }
                }
                (7.., Some(there @ Some(_))) if number % 3 == 0 => {
                    prop_assert!(world.request_as(admin, true, Request::End(name)).is_ok());
                    *there = None;
                }
                _ => {}
            }
        }
    }
}

#[test]
fn rooms_that_somebody_is_being_brought_into_count() {
    let mut world = World::new(Limits { added_rooms: 5, ..Limits::default() });
    let (eves, bob) = ([(); 20].map(|()| world.connect("eve")), world.connect("bob"));
    for conn in [eves[0], bob] {
        world.request(conn, Request::Join(room("both"))).unwrap();
    }
    let create = |number: usize| Request::Create {
        room: Some(room(&format!("r{number}"))),
        title: None,
        open: false,
        members: vec![user("bob")],
    };
    let all =
        |conns: [ConnId; 20]| std::array::from_fn(|number| (conns[number], false, create(number)));
    let brings = |record: &Record| match record {
        Record::Create { members, .. } => usize::from(!members.is_empty()),
        _ => 0,
    };
    let coming = world.on_their_way::<20>(all(eves));
    assert_eq!(coming.iter().map(|(_, record)| brings(record)).sum::<usize>(), 5);
    for (ticket, _) in coming {
        world.comes_back(ticket, Outcome::Unavailable.into());
    }
    let coming = world.on_their_way::<20>(all(eves));
    assert_eq!(coming.iter().map(|(_, record)| brings(record)).sum::<usize>(), 5, "given back");
}

#[test]
fn people_who_were_never_here_are_written_to_so_often_in_a_day() {
    let mut world = World::new(Limits::default());
    let (mallory, _ada) = (world.connect("mallory"), world.connect("ada"));
    for number in 0..200 {
        world.request(mallory, direct(&format!("u{number}"))).unwrap();
    }
    assert_eq!(world.request(mallory, direct("u200")), Err(RefusalCode::Quota));
    assert!(world.request(mallory, direct("u199")).is_ok(), "that is not the first");
    assert!(world.request(mallory, direct("ada")).is_ok(), "who is here is not made up");
    assert!(
        world.request_as(mallory, true, direct("u201")).is_ok(),
        "admins write to whom they want"
    );
    world.wait(24 * 3_600 * 1_000 / 200);
    assert!(world.request(mallory, direct("u200")).is_ok(), "a day's share comes back with time");
}

#[test]
fn who_shares_no_room_with_somebody_is_asked_and_not_brought_in() {
    let mut world = World::new(Limits { added_rooms: 2, ..Limits::default() });
    let (ada, bob, cy) = (world.connect("ada"), world.connect("bob"), world.connect("cy"));
    for conn in [ada, bob] {
        world.request(conn, Request::Join(room("lobby"))).unwrap();
    }
    let create = |name: &str| Request::Create {
        room: Some(room(name)),
        title: None,
        open: false,
        members: vec![user("bob"), user("cy")],
    };
    let body = || Body { text: "psst".into(), data: None, reply_to: None };
    // That cy was written to is no consent; that they answer is.
    let target = Target::User(user("cy"));
    world.request(ada, Request::Send { target, body: body(), cid: None }).unwrap();
    let Ok(Answer::Joined(_, invited)) = world.request(ada, create("one")) else {
        panic!("not made")
    };
    assert_eq!(invited, [user("cy")]);
    assert_eq!(world.request(cy, say("one", "x")), Err(RefusalCode::NotMember));
    assert!(world.request(bob, say("one", "x")).is_ok());
    assert!(world.request(cy, Request::Join(room("one"))).is_ok(), "an invitation opens it");
    world.request(cy, Request::Leave(room("one"))).unwrap();
    let target = Target::User(user("ada"));
    world.request(cy, Request::Send { target, body: body(), cid: None }).unwrap();
    let Ok(Answer::Joined(_, invited)) = world.request(ada, create("two")) else {
        panic!("not made")
    };
    assert_eq!(invited, [] as [UserId; 0]);
    // Bob was brought into two: he is asked, too.
    let Ok(Answer::Joined(_, invited)) = world.request(ada, create("three")) else {
        panic!("not made")
    };
    assert_eq!(invited, [user("bob")]);
    world.request(bob, Request::Leave(room("two"))).unwrap();
    let Ok(Answer::Joined(_, invited)) = world.request(ada, create("four")) else {
        panic!("not made")
    };
    assert_eq!(invited, [user("cy")], "of bob what was given back can be taken again");
    // After a restart it is the same.
    world.restart(Settings::from(&Limits { added_rooms: 2, ..Limits::default() }));
    let ada = world.connect("ada");
    let Ok(Answer::Joined(_, invited)) = world.request(ada, create("five")) else {
        panic!("not made")
    };
    assert_eq!(invited, [user("bob"), user("cy")]);
}

#[test]
fn a_room_that_is_not_made_is_given_back() {
    let mut world = World::new(Limits::default());
    let (ada, bob) = (world.connect("ada"), world.connect("bob"));
    world.request(ada, Request::Join(room("gone"))).unwrap();
    world.request(ada, Request::End(room("gone"))).unwrap();
    world.wait(200_000);
    for _ in 0..1_100 {
        assert_eq!(world.request(bob, Request::Join(room("gone"))), Err(RefusalCode::NotMember));
    }
    assert!(world.request(bob, Request::Join(room("bobs"))).is_ok());
}

#[test]
fn nobody_has_more_of_anothers_invitations_than_are_free() {
    let mut world = World::new(Limits { invites: 8, ..Limits::default() });
    let mallory = world.connect("mallory");
    let eve = world.connect("eve");
    let invites = |world: &mut World, conn, name: &str| {
        let members = vec![user("victim")];
        let room = Some(RoomId::parse(name).unwrap());
        world.request(conn, Request::Create { room, title: None, open: false, members })
    };
    let mut had = [0, 0];
    for number in 0..8 {
        for (place, conn) in
            [mallory, eve].into_iter().enumerate().take(if number < 6 { 1 } else { 2 })
        {
            had[place] +=
                u32::from(invites(&mut world, conn, &format!("r{place}-{number}")).is_ok());
        }
    }
    assert_eq!(had, [4, 2]);
    assert_eq!(invites(&mut world, eve, "more"), Err(RefusalCode::Quota));
    let fay = world.connect("fay");
    assert!(invites(&mut world, fay, "hers").is_ok());
}

#[test]
fn what_cannot_be_stored_changes_nothing() {
    let mut world = World::new(Limits::default());
    let (ada, bob) = (world.connect("ada"), world.connect("bob"));
    for conn in [ada, bob] {
        world.request(conn, Request::Join(room("lobby"))).unwrap();
    }
    world.fails = true;
    for request in [say("lobby", "lost"), Request::Leave(room("lobby")), Request::Join(room("new"))]
    {
        assert_eq!(world.request(bob, request), Err(RefusalCode::Unavailable));
        assert_eq!(world.notices(), []);
    }
    world.fails = false;
    world.request(ada, say("lobby", "kept")).unwrap();
    let told: Vec<ConnId> = world.notices().into_iter().flat_map(|(conns, _)| conns).collect();
    assert_eq!(told, [ada, bob], "bob is a member still");
    assert_eq!(world.hub.counts().rooms, 1);
}

#[test]
fn nothing_of_a_connection_or_a_guest_is_left_behind() {
    let mut world = World::new(Limits::default());
    for round in 0..50 {
        let conn = world.connect(&format!("guest{round}"));
        world.request(conn, Request::Join(room("lobby"))).unwrap();
        world.request(conn, Request::Typing(room("lobby"), true)).unwrap();
        world.request(conn, Request::Leave(room("lobby"))).unwrap();
        world.input(Input::Disconnected { conn });
    }
    world.wait(60_000);
    assert_eq!(world.hub.census(), Census { rooms: 1, ..Census::default() });
}

#[test]
fn a_hub_goes_on_where_the_snapshot_says() {
    let state = RoomState::new(room("lobby"), "Lobby".into(), true, Some(user("ada")));
    let state = RoomState { head: 9, messages: 7, ts: Timestamp(5), ..state };
    let member = MemberState {
        joined: 1,
        read: 4,
        read_messages: 3,
        deleted_unread: 1,
        delivered: 4,
        has_written: true,
        is_own: true,
    };
    let snapshot = Snapshot {
        epoch: "epoch".into(),
        rooms: vec![state],
        members: vec![vec![(room("lobby"), user("ada"), member)]],
        names: vec![(user("ada"), "Ada".into())],
        ..Snapshot::default()
    };
    let mut hub = Hub::new(Settings::from(&Limits::default()), snapshot, 1);
    let mut effects = Effects::default();
    let conn = ConnId::new(0, 1);
    let input = Input::Connected { conn, user: user("ada"), name: None, resumes: false };
    hub.handle(Now::default(), input, &mut effects);
    let Some(Effect::Greet { rooms, .. }) = effects.list.first() else { panic!("no greeting") };
    let room = &rooms.rooms[0];
    assert_eq!((room.head, room.read, room.members), (9, Some((4, 3)), 1));
    assert_eq!(hub.name_of(&user("ada")), Some("Ada"));
}

fn log_of(world: &World, name: &str) -> Vec<u64> {
    world.store.log(&room(name)).iter().map(|entry| entry.seq).collect()
}

#[test]
fn a_room_that_has_ended_is_removed_some_at_a_time_also_after_a_start() {
    let mut world = World::new(Limits::default());
    let ada = world.connect("ada");
    world.request(ada, Request::Join(room("doomed"))).unwrap();
    for _ in 0..20 {
        world.request(ada, say("doomed", "x")).unwrap();
    }
    let by = Authority { user: user("ada"), rights: Rights::User };
    world.store.write(Timestamp(0), &Record::End { room: room("doomed"), by });
    assert_eq!(log_of(&world, "doomed").len(), 21, "the log is still there");
    world.store.restarted();
    world.hub = Hub::new(Settings::from(&Limits::default()), world.store.snapshot(), 2);
    world.connect("bob");
    assert_eq!(log_of(&world, "doomed"), [0; 0]);
    world.wait(200_000);
    assert_eq!(
        (world.hub.counts().rooms, world.hub.census().rooms),
        (0, 0),
        "not in memory, either"
    );
    let mut bob = world.connect("bob");
    // It was open.
    let list = Request::ListRooms { which: ListedRooms::Joinable, after: None, limit: 9 };
    let Ok(Answer::Rooms { rooms, .. }) = world.request(bob, list) else { panic!("no list") };
    assert!(rooms.is_empty());
    let create = |name: &str| {
        let room = Some(room(name));
        Request::Create { room, title: None, open: true, members: Vec::new() }
    };
    for again in [false, true] {
        assert_eq!(world.request(bob, create("doomed")), Err(RefusalCode::Conflict));
        assert_eq!(world.request(bob, Request::Join(room("doomed"))), Err(RefusalCode::NotMember));
        assert_eq!(world.request(bob, say("doomed", "x")), Err(RefusalCode::NotMember));
        // One that takes its place in memory is another.
        world.request(bob, create(if again { "second" } else { "first" })).unwrap();
        if !again {
            world.restart(Settings::from(&Limits::default()));
            bob = world.connect("bob");
        }
    }
}

#[test]
fn a_room_whose_end_cannot_be_stored_goes_on() {
    let mut world = World::new(Limits::default());
    let (ada, bob) = (world.connect("ada"), world.connect("bob"));
    for conn in [ada, bob] {
        world.request(conn, Request::Join(room("tea"))).unwrap();
    }
    world.fails = true;
    assert_eq!(world.request(ada, Request::End(room("tea"))), Err(RefusalCode::Unavailable));
    let ban = Request::Ban(room("tea"), user("bob"));
    assert_eq!(world.request(ada, ban), Err(RefusalCode::Unavailable));
    world.fails = false;
    world.request(bob, say("tea", "still here")).unwrap();
    let told: Vec<ConnId> = world.notices().into_iter().flat_map(|(conns, _)| conns).collect();
    assert_eq!(told, [bob, ada], "whoever has written it is first");
}

#[test]
fn of_names_that_are_on_their_way_the_newest_holds() {
    let mut world = World::new(Limits::default());
    let connects = |world: &mut World, number, name: &str| {
        let conn = ConnId::new(number, number);
        let mut effects = Effects::default();
        let name = Some(name.into());
        let input = Input::Connected { conn, user: user("ada"), name, resumes: false };
        world.hub.handle(world.now, input, &mut effects);
        let record = effects.list.into_iter().find_map(|effect| match effect {
            Effect::Persist { ticket, record } => Some((ticket, record)),
            _ => None,
        });
        assert_eq!(world.hub.name_of(&user("ada")), Some(name_of(&record)).flatten());
        record.unwrap()
    };
    fn name_of(record: &Option<(u64, Record)>) -> Option<&str> {
        match record {
            Some((_, Record::Name { name, .. })) => Some(name),
            _ => None,
        }
    }
    let first = connects(&mut world, 1, "Ada L");
    let second = connects(&mut world, 2, "Ada");
    let told = |world: &mut World, (ticket, record): (u64, Record), is_stored: bool| {
        let written = match is_stored {
            true => world.store.write(world.now.timestamp, &record),
            false => Outcome::Unavailable.into(),
        };
        world.comes_back(ticket, written);
    };
    told(&mut world, first, true);
    assert_eq!(world.hub.name_of(&user("ada")), Some("Ada"), "a newer one is on its way");
    told(&mut world, second, false);
    assert_eq!(world.hub.name_of(&user("ada")), Some("Ada L"), "as all hubs and the disk have it");
    let third = connects(&mut world, 3, "Lady A");
    told(&mut world, third, true);
    assert_eq!(world.hub.name_of(&user("ada")), Some("Lady A"));
}

#[test]
fn who_is_invited_while_the_room_is_to_end_is_told_both() {
    let mut world = World::new(Limits::default());
    let (ada, bob, root) = (world.connect("ada"), world.connect("bob"), world.connect("root"));
    world.request(ada, Request::Join(room("tea"))).unwrap();
    let records = world.on_their_way([
        (ada, false, Request::Invite(room("tea"), user("bob"))),
        (root, true, Request::End(room("tea"))),
    ]);
    let mut told = Vec::new();
    for (ticket, record) in records {
        let written = world.store.write(world.now.timestamp, &record);
        world.comes_back(ticket, written);
        told.extend(world.notices().into_iter().filter(|(conns, _)| conns.contains(&bob)));
    }
    let told: Vec<&str> = told.iter().map(|(_, what)| what.as_str()).collect();
    assert_eq!(told, ["invited to tea by ada", "removed from tea: deleted"]);
}

#[test]
fn a_room_that_ends_while_nothing_of_it_is_removed_is_removed_after_all() {
    let kept = Retention { entries: 2, age_ms: 1_000 };
    let kept = Retentions { default: kept, ..Retentions::default() };
    let mut world = World::with(Settings::from(&Limits::default()).keep(kept));
    let (ada, root) = (world.connect("ada"), world.connect("root"));
    world.request(ada, Request::Join(room("tea"))).unwrap();
    for number in 1..4 {
        world.now.timestamp = Timestamp(number * 10);
        world.request(ada, say("tea", "x")).unwrap();
    }
    let ending = world.on_their_way([(root, true, Request::End(room("tea")))]);
    // The first entry would be too old now; it went because of the number.
    world.now.age_by = Timestamp(1_000);
    let mut effects = Effects::default();
    world.hub.handle(world.now, Input::Woken, &mut effects);
    let trims: Vec<(u64, Record)> = effects
        .list
        .into_iter()
        .filter_map(|effect| match effect {
            Effect::Persist { ticket, record } => Some((ticket, record)),
            _ => None,
        })
        .collect();
    assert!(matches!(trims[..], [(_, Record::Trim { .. })]), "{trims:?}");
    for (ticket, record) in ending.into_iter().chain(trims) {
        let written = world.store.write(world.now.timestamp, &record);
        world.input(Input::Told(written.told(ticket)));
    }
    assert_eq!(log_of(&world, "tea"), [0; 0]);
    world.wait(200_000);
    assert_eq!(world.hub.counts().rooms, 0);
}

#[test]
fn a_ban_that_is_decided_while_somebody_joins_holds_for_them() {
    let mut world = World::new(Limits::default());
    let (ada, bob) = (world.connect("ada"), world.connect("bob"));
    world.request(ada, Request::Join(room("tea"))).unwrap();
    let records = world.on_their_way([
        (bob, false, Request::Join(room("tea"))),
        (ada, false, Request::Ban(room("tea"), user("bob"))),
    ]);
    let mut shown_to_bob = 0;
    for (ticket, record) in records {
        let written = world.store.write(world.now.timestamp, &record);
        world.comes_back(ticket, written);
        let entries = world.notices().into_iter().filter(|(_, what)| what.starts_with("tea "));
        shown_to_bob += entries.filter(|(conns, _)| conns.contains(&bob)).count();
    }
    assert_eq!(shown_to_bob, 0, "nothing of the room is shown to who was banned");
    assert_eq!(world.request(bob, say("tea", "x")), Err(RefusalCode::NotMember));
    assert_eq!(world.request(bob, Request::Join(room("tea"))), Err(RefusalCode::Forbidden));
}

#[test]
fn who_joins_while_they_are_banned_misses_nothing_if_the_ban_cannot_be_stored() {
    let mut world = World::new(Limits::default());
    let (ada, bob) = (world.connect("ada"), world.connect("bob"));
    world.request(ada, Request::Join(room("tea"))).unwrap();
    let records = world.on_their_way([
        (bob, false, Request::Join(room("tea"))),
        (ada, false, Request::Ban(room("tea"), user("bob"))),
    ]);
    let mut shown = Vec::new();
    for (at, (ticket, record)) in records.into_iter().enumerate() {
        let written = match at {
            0 => world.store.write(world.now.timestamp, &record),
            _ => Outcome::Unavailable.into(),
        };
        world.comes_back(ticket, written);
        shown.extend(world.notices().into_iter().filter(|(conns, _)| conns.contains(&bob)));
    }
    let shown: Vec<&str> = shown.iter().map(|(_, what)| what.as_str()).collect();
    assert_eq!(shown, ["tea 2"], "one's own coming is the first entry that one sees");
}

/// Ada is leaving the room, which cannot be stored; meanwhile her other connection, which is to say
/// where it goes on, has sent its `resume`. Gives that connection, after Ada has stayed.
fn resumed_while_leaving(world: &mut World, named: &[(RoomId, u64)]) -> ConnId {
    let ada = world.connect("ada");
    world.request(ada, Request::Join(room("tea"))).unwrap();
    world.request(ada, say("tea", "1")).unwrap();
    world.next_conn += 1;
    let other = ConnId::new(world.next_conn, world.next_conn);
    let of_ada = Input::Connected { conn: other, user: user("ada"), name: None, resumes: true };
    world.input(of_ada);
    let leaving = world.on_their_way([(ada, false, Request::Leave(room("tea")))]);
    let resume = Request::Resume { epoch: "epoch".into(), rooms: named.to_vec(), more: false };
    let Ok(Answer::Resumed(resumed)) = world.request(other, resume) else { panic!("no answer") };
    assert_eq!(resumed.refused.len(), named.len(), "while she leaves she is no member");
    world.comes_back(leaving[0].0, Outcome::Unavailable.into());
    other
}

/// The connections that are to end, as what they were told is not so.
fn told_wrong(world: &World) -> Vec<ConnId> {
    let of_effect = |effect: &Effect| match effect {
        Effect::StaleMembership { conn } => Some(*conn),
        _ => None,
    };
    world.effects.list.iter().filter_map(of_effect).collect()
}

#[test]
fn who_was_refused_while_leaving_is_ended_if_the_leaving_comes_to_nothing() {
    let mut world = World::new(Limits::default());
    let other = resumed_while_leaving(&mut world, &[(room("tea"), 1)]);
    assert_eq!(told_wrong(&world), [other]);
    let mut world = World::new(Limits::default());
    let other = resumed_while_leaving(&mut world, &[]);
    assert_eq!(told_wrong(&world), [], "{other} was told nothing of it");
}

#[test]
fn who_may_not_join_while_leaving_is_ended_if_the_leaving_comes_to_nothing() {
    let mut world = World::new(Limits { rooms: 1, ..Limits::default() });
    let (ada, other) = (world.connect("ada"), world.connect("ada"));
    world.request(ada, Request::Join(room("tea"))).unwrap();
    let leaving = world.on_their_way([(ada, false, Request::Leave(room("tea")))]);
    world.request(other, Request::Join(room("tea"))).unwrap_err();
    world.comes_back(leaving[0].0, Outcome::Unavailable.into());
    assert_eq!(told_wrong(&world), [other]);
}

#[test]
fn who_lists_their_rooms_while_one_is_to_end_is_ended_if_it_does_not_and_told_if_it_does() {
    let list = |after: Option<&str>| Request::Info { after: after.map(room) };
    let leave = Request::Leave(room("tea"));
    for (removal, asked, is_left_out) in [
        (Request::End(room("tea")), list(None), true),
        (Request::Ban(room("tea"), user("ada")), list(None), true),
        (leave.clone(), list(None), true),
        (leave.clone(), list(Some("sea")), true),
        (leave, list(Some("tea")), false),
    ] {
        for is_stored in [false, true] {
            let mut world = World::new(Limits::default());
            let (ada, other) = (world.connect("ada"), world.connect("ada"));
            world.request(ada, Request::Join(room("tea"))).unwrap();
            let by = if matches!(removal, Request::Leave(_)) { ada } else { world.connect("root") };
            let leaving = world.on_their_way([(by, by != ada, removal.clone())]);
            let Ok(Answer::Info { rooms, .. }) = world.request(other, asked.clone()) else {
                panic!("no answer")
            };
            assert!(rooms.rooms.is_empty(), "the end is in force");
            let (ticket, record) = &leaving[0];
            let written = match is_stored {
                true => world.store.write(world.now.timestamp, record),
                false => Outcome::Unavailable.into(),
            };
            world.comes_back(*ticket, written);
            let ended = if !is_stored && is_left_out { vec![other] } else { Vec::new() };
            assert_eq!(told_wrong(&world), ended, "{removal:?}, stored: {is_stored}");
            let is_removal = |what: &str| what.starts_with("removed from tea");
            let notices = world.notices();
            let told = notices.iter().filter(|(_, what)| is_removal(what));
            let told: Vec<ConnId> = told.flat_map(|(conns, _)| conns).copied().collect();
            let told_wanted = if is_stored { vec![ada, other] } else { Vec::new() };
            assert_eq!(told, told_wanted, "{removal:?}, stored: {is_stored}");
            // Entries that were queued before the list are theirs no more.
            let taken_back: Vec<ConnId> =
                world.effects.list.iter().filter_map(taken_back).collect();
            assert_eq!(taken_back, told_wanted, "{removal:?}, stored: {is_stored}");
        }
    }
}

fn taken_back(effect: &Effect) -> Option<ConnId> {
    match effect {
        Effect::TakeBack { conn, .. } => Some(*conn),
        _ => None,
    }
}

#[test]
fn who_came_while_a_room_was_to_end_is_ended_if_it_does_not() {
    for removal in [
        Request::Leave(room("tea")),
        Request::End(room("tea")),
        Request::Ban(room("tea"), user("ada")),
    ] {
        let mut world = World::new(Limits::default());
        let (ada, bob) = (world.connect("ada"), world.connect("bob"));
        world.request(ada, Request::Join(room("tea"))).unwrap();
        world.request(bob, Request::Join(room("tea"))).unwrap();
        let by = if matches!(removal, Request::Leave(_)) { ada } else { world.connect("root") };
        for is_stored in [false, true] {
            let leaving = world.on_their_way([(by, by != ada, removal.clone())]);
            let late = world.connect("ada");
            let (ticket, record) = &leaving[0];
            let written = match is_stored {
                true => world.store.write(world.now.timestamp, record),
                false => Outcome::Unavailable.into(),
            };
            world.comes_back(*ticket, written);
            let ended: &[ConnId] = if is_stored { &[] } else { &[late] };
            assert_eq!(told_wrong(&world), ended, "{removal:?}, stored: {is_stored}");
            world.input(Input::Disconnected { conn: late });
        }
    }
}

#[test]
fn a_room_that_the_resume_did_not_name_goes_on_if_leaving_it_came_to_nothing() {
    let mut world = World::new(Limits::default());
    let other = resumed_while_leaving(&mut world, &[]);
    let bob = world.connect("bob");
    world.request(bob, Request::Join(room("tea"))).unwrap();
    let told = world.notices();
    assert!(
        told.iter().any(|(conns, what)| conns.contains(&other) && *what == "tea 3"),
        "{told:?}"
    );
}

#[test]
fn of_two_bans_the_one_that_can_be_stored_holds() {
    for first_fails in [true, false] {
        let mut world = World::new(Limits::default());
        let (ada, bob, root) = (world.connect("ada"), world.connect("bob"), world.connect("root"));
        world.request(ada, Request::Join(room("tea"))).unwrap();
        world.request(bob, Request::Join(room("tea"))).unwrap();
        let ban = Request::Ban(room("tea"), user("bob"));
        let records = world.on_their_way([(ada, false, ban.clone()), (root, true, ban)]);
        for (at, (ticket, record)) in records.into_iter().enumerate() {
            let written = if (at == 0) == first_fails {
                Outcome::Unavailable.into()
            } else {
                world.store.write(world.now.timestamp, &record)
            };
            world.comes_back(ticket, written);
            assert_eq!(world.request(bob, say("tea", "x")), Err(RefusalCode::NotMember));
        }
        assert_eq!(world.request(bob, Request::Join(room("tea"))), Err(RefusalCode::Forbidden));
        world.request(ada, Request::Unban(room("tea"), user("bob"))).unwrap();
        world.request(bob, Request::Join(room("tea"))).unwrap();
    }
}

#[test]
fn marks_and_counts_are_of_what_is_kept_also_before_the_rest_is_removed() {
    let kept = Retention { entries: 160, age_ms: u64::MAX };
    let kept = Retentions { default: kept, ..Retentions::default() };
    let mut world = World::with(Settings::from(&Limits::default()).keep(kept));
    let (ada, bob) = (world.connect("ada"), world.connect("bob"));
    world.request(ada, Request::Join(room("tea"))).unwrap();
    world.request(bob, Request::Join(room("tea"))).unwrap();
    for number in 0..200 {
        world.request(ada, say("tea", &number.to_string())).unwrap();
        let list = Request::ListRooms { which: ListedRooms::Own, after: None, limit: 1 };
        let Ok(Answer::Rooms { rooms, .. }) = world.request(bob, list) else { panic!("no list") };
        let (read, unread) = rooms[0].read.unwrap();
        assert_eq!(read, 2.max(rooms[0].head.saturating_sub(160)), "at {number}");
        assert_eq!(unread, (number + 1).min(160), "at {number}");
        let after = Request::History { room: room("tea"), part: Part::After(read), limit: 1 };
        assert!(world.request(bob, after).is_ok(), "what is unread can be read");
    }
}

#[test]
fn the_newest_page_reaches_up_to_the_head_also_if_it_took_long() {
    let mut world = World::new(Limits { tail_entries: 8, ..Limits::default() });
    let ada = world.connect("ada");
    world.request(ada, Request::Join(room("tea"))).unwrap();
    for number in 0..30 {
        world.request(ada, say("tea", &number.to_string())).unwrap();
    }
    // The page is on its way from the store while more is said.
    let part = Part::Newest;
    let request = Request::History { room: room("tea"), part, limit: 20 };
    let input = Input::Request { conn: ada, is_admin: false, id: Some("1".into()), request };
    let mut effects = Effects::default();
    world.hub.handle(world.now, input, &mut effects);
    let Some(Effect::Load { ticket, query }) = effects.list.first() else { panic!("a page") };
    let outcome = world.store.read(query);
    for number in 0..5 {
        world.request(ada, say("tea", &number.to_string())).unwrap();
    }
    world.input(Input::Told(Told::Answer { ticket: *ticket, outcome }));
    let Some(Effect::Answer { answer: Ok(Answer::History { entries, head, .. }), .. }) =
        world.effects.list.first()
    else {
        panic!("an answer")
    };
    let seqs: Vec<u64> = entries.iter().map(|entry| entry.seq).collect();
    assert_eq!((*head, seqs), (36, (17..=36).collect()));
}

#[test]
fn an_invitation_can_be_declined_and_taken_back() {
    let mut world = World::new(Limits::default());
    let (ada, bob) = (world.connect("ada"), world.connect("bob"));
    let create = |name: &str| Request::Create {
        room: Some(room(name)),
        title: None,
        open: false,
        members: Vec::new(),
    };
    for (name, by) in [("tea", bob), ("den", ada)] {
        world.request(ada, create(name)).unwrap();
        world.request(ada, Request::Invite(room(name), user("bob"))).unwrap();
        let (end, told) = if by == bob {
            (Request::Leave(room(name)), "left")
        } else {
            (Request::Remove(room(name), user("bob")), "removed")
        };
        world.request(by, end.clone()).unwrap();
        let told = format!("removed from {name}: {told}");
        assert_eq!(world.notices(), [(vec![bob], told)]);
        assert_eq!(world.request(bob, Request::Join(room(name))), Err(RefusalCode::NotMember));
        let again = if by == bob { RefusalCode::NotMember } else { RefusalCode::NoSuchUser };
        assert_eq!(world.request(by, end), Err(again));
        let Ok(Answer::Info { invites, .. }) = world.request(bob, Request::Info { after: None })
        else {
            panic!()
        };
        assert_eq!(invites, []);
    }
    assert_eq!(world.hub.census().permits, 0);
    // Whatever else ends it is told, too.
    for (end, told) in [
        (Request::Ban(room("tea"), user("bob")), "removed from tea: banned"),
        (Request::End(room("den")), "removed from den: deleted"),
    ] {
        let (Request::Ban(name, _) | Request::End(name)) = &end else { unreachable!() };
        world.request(ada, Request::Invite(name.clone(), user("bob"))).unwrap();
        world.request(ada, end).unwrap();
        let notices = world.notices();
        assert!(
            notices.iter().any(|(conns, what)| conns.contains(&bob) && what == told),
            "{notices:?}"
        );
    }
}

#[test]
fn what_is_about_entries_that_are_on_their_way_waits_for_them() {
    let mut world = World::new(Limits::default());
    let ada = world.connect("ada");
    world.request(ada, Request::Join(room("tea"))).unwrap();
    let reply_to = |seq: u64| {
        let body = Body { text: "x".into(), data: None, reply_to: Some(seq) };
        Request::Send { target: Target::Room(room("tea")), body, cid: None }
    };
    let ack = |seq: u64| Request::Ack { marks: vec![(room("tea"), seq)], is_one: true };
    for (request, waits) in [
        (say("tea", "y"), false),
        (reply_to(1), false),
        (reply_to(2), true),
        (ack(1), false),
        (ack(2), true),
        (Request::Info { after: None }, true),
    ] {
        let mut world_effects = Effects::default();
        let mut hub = Hub::new(Settings::from(&Limits::default()), world.store.snapshot(), 1);
        let conn = ConnId::new(1, 1);
        let connected = Input::Connected { conn, user: user("ada"), name: None, resumes: false };
        hub.handle(world.now, connected, &mut world_effects);
        for request in [say("tea", "x"), request.clone()] {
            let input = Input::Request { conn, is_admin: false, id: Some("1".into()), request };
            hub.handle(world.now, input, &mut world_effects);
        }
        let holds = world_effects.list.contains(&Effect::Hold { conn });
        assert_eq!(holds, waits, "{request:?}");
    }
}

#[test]
fn joins_that_are_on_their_way_count_as_members() {
    let limits = Limits { room_members: 3, ..Limits::default() };
    let mut world = World::new(limits);
    let ada = world.connect("ada");
    world.request(ada, Request::Join(room("tea"))).unwrap();
    let others: Vec<ConnId> = (0..5).map(|n| world.connect(&format!("other{n}"))).collect();
    let mut effects = Effects::default();
    for conn in others {
        let request = Request::Join(room("tea"));
        let input = Input::Request { conn, is_admin: false, id: Some("1".into()), request };
        world.hub.handle(world.now, input, &mut effects);
    }
    let joins = |effect: &&Effect| matches!(effect, Effect::Persist { .. });
    assert_eq!(effects.list.iter().filter(joins).count(), 2);
}

#[test]
fn ten_thousand_who_come_at_once_cost_each_a_few_pushes() {
    let mut world = World::new(Limits::default());
    let first = world.connect("first");
    world.wait(3_000);
    for n in 0..10_000 {
        world.connect(&format!("user{n}"));
        if n % 1_000 == 999 {
            // All within a second.
            let mut told = std::mem::take(&mut world.told);
            world.wait(100);
            told.append(&mut world.told);
            world.told = told;
        }
    }
    let mut told = std::mem::take(&mut world.told);
    world.wait(5_000);
    told.append(&mut world.told);
    let to_first: Vec<&str> = told
        .iter()
        .filter(|(conns, _)| conns.contains(&first))
        .map(|(_, what)| what.as_str())
        .collect();
    assert!(to_first.len() <= 4, "{} pushes", to_first.len());
    assert!(to_first.last().is_some_and(|what| what.starts_with("10001 online")), "{to_first:?}");
}

impl World {
    /// The server ends, and begins anew.
    fn restart(&mut self, settings: Settings) {
        self.store.restarted();
        self.hub = Hub::new(settings, self.store.snapshot(), 2);
    }

    /// Lets somebody in who is told their position, and goes on at one.
    fn listen(&mut self, id: &str, since: Option<(&str, i64)>) -> ConnId {
        self.next_conn += 1;
        let conn = ConnId::new(self.next_conn, self.next_conn);
        self.input(Input::TellPosition { conn });
        let (user, name, resumes) = (user(id), None, since.is_some());
        self.input(Input::Connected { conn, user, name, resumes });
        if let Some((epoch, ts)) = since {
            let request = Request::ResumeAt { epoch: epoch.into(), since: Timestamp(ts) };
            self.input(Input::Request { conn, is_admin: false, id: None, request });
        }
        conn
    }

    /// What the last answer says of rooms: where each goes on, and what is refused.
    fn resumed(&self) -> (Vec<String>, Vec<String>) {
        let resumed = self.effects.list.iter().find_map(|effect| match effect {
            Effect::Answer { answer: Ok(Answer::Resumed(resumed)), .. } => Some(resumed),
            _ => None,
        });
        let resumed = resumed.expect("a resume that is answered");
        let rooms = resumed.rooms.iter().map(|(room, from, head)| format!("{room} {from}-{head}"));
        let refused = resumed.refused.iter().map(|one| format!("{} {:?}", one.room, one.code));
        (rooms.collect(), refused.collect())
    }
}

#[test]
fn a_position_in_time_stands_for_all_rooms_and_outlives_the_server() {
    let settings = || {
        let limits = Limits { tail_entries: 2, ..Limits::default() };
        Settings::from(&limits)
    };
    let mut world = World::with(settings());
    let ada = world.connect("ada");
    for (ts, name) in [(10, "tea"), (20, "cup"), (30, "pot")] {
        world.now.timestamp = Timestamp(ts);
        world.request(ada, Request::Join(room(name))).unwrap();
    }
    let listener = world.listen("ada", None);
    assert_eq!(world.hub.position_of(listener), Some(Timestamp(30)));
    for ts in 31..36 {
        world.now.timestamp = Timestamp(ts);
        world.request(ada, say("tea", "text")).unwrap();
        assert_eq!(world.hub.position_of(listener), Some(Timestamp(ts)));
    }
    world.restart(settings());
    // Of `tea` more than is in memory, of the others what is there; those of that time come again.
    world.listen("ada", Some(("epoch", 32)));
    assert_eq!(world.resumed(), (vec!["tea 2-6".into()], vec![]));
    let again: Vec<String> = world.notices().into_iter().map(|(_, what)| what).collect();
    assert_eq!(again, ["tea 3", "tea 4", "tea 5", "tea 6"]);
    world.listen("ada", Some(("epoch", 36)));
    assert_eq!(
        world.resumed().1,
        ["tea Gone", "cup Gone", "pot Gone"],
        "a time that this store has not seen"
    );
    world.listen("ada", Some(("another", 32)));
    let refused = ["tea EpochChanged", "cup EpochChanged", "pot EpochChanged"];
    assert_eq!(world.resumed(), (vec![], refused.map(str::to_owned).to_vec()));
}

#[test]
fn a_position_before_what_is_kept_is_gone() {
    let limits = Limits::default();
    let retentions =
        Retentions { default: Retention { entries: 3, ..Retention::ALL }, ..Retentions::default() };
    let mut world = World::with(Settings::from(&limits).keep(retentions));
    let ada = world.connect("ada");
    world.request(ada, Request::Join(room("tea"))).unwrap();
    for ts in 1..9 {
        world.now.timestamp = Timestamp(ts);
        world.request(ada, say("tea", "text")).unwrap();
    }
    let listener = world.listen("ada", Some(("epoch", 2)));
    assert_eq!(world.resumed(), (vec![], vec!["tea Gone".into()]));
    world.request(ada, say("tea", "text")).unwrap();
    let to_listener = world.notices().into_iter().any(|(conns, _)| conns.contains(&listener));
    assert!(to_listener, "it is live from the head that it was told");
    world.listen("ada", Some(("epoch", 8)));
    assert_eq!(world.resumed().0, ["tea 8-10"]);
}

#[test]
fn a_room_that_takes_the_place_of_one_that_has_ended_is_not_looked_up_for_who_was_in_that() {
    let mut world = World::new(Limits { tail_entries: 1, ..Limits::default() });
    let (ada, bob) = (world.connect("ada"), world.connect("bob"));
    // More than are looked up in one go.
    let names: Vec<String> = (0..100).map(|number| format!("hers-{number:03}")).collect();
    for name in &names {
        world.request(ada, Request::Join(room(name))).unwrap();
    }
    world.wait(1_000);
    let since = world.now.timestamp;
    for name in &names {
        for _ in 0..3 {
            world.request(ada, say(name, "x")).unwrap();
        }
    }
    world.next_conn += 1;
    let conn = ConnId::new(world.next_conn, world.next_conn);
    world.input(Input::TellPosition { conn });
    world.input(Input::Connected { conn, user: user("ada"), name: None, resumes: true });
    let mut effects = Effects::default();
    let request = Request::ResumeAt { epoch: "epoch".into(), since };
    let input = Input::Request { conn, is_admin: false, id: None, request };
    world.hub.handle(world.now, input, &mut effects);
    // Before the first of them are found the others end, and their places are taken.
    for name in &names[64..] {
        world.request(ada, Request::End(room(name))).unwrap();
    }
    world.wait(200_000);
    for number in 0..36 {
        let room = Some(room(&format!("bobs-{number}")));
        let create = Request::Create { room, title: None, open: false, members: Vec::new() };
        world.request(bob, create).unwrap();
    }
    let sought = |effects: &Effects| {
        effects.list.iter().find_map(|effect| match effect {
            Effect::Seek { ticket, rooms, since } => Some((*ticket, rooms.clone(), *since)),
            _ => None,
        })
    };
    let mut rounds = 0;
    while let Some((ticket, rooms, since)) = sought(&effects) {
        rounds += 1;
        assert!(rooms.iter().all(|room| room.as_str().starts_with("hers-")), "{rooms:?}");
        let outcome = world.store.seek(&rooms, since);
        effects.clear();
        let told = Input::Told(Told::Answer { ticket, outcome });
        world.hub.handle(world.now, told, &mut effects);
    }
    assert_eq!(rounds, 2);
    let told = format!("{:?}", effects.list);
    assert!(told.contains("hers-000") && !told.contains("bobs-"), "{told}");
}
