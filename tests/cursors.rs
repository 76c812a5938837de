//! The hub and the real store under random users. Whatever they do, however slowly they read and
//! whatever fails, each connection sees the logs of its rooms in order, without a gap or repeat,
//! nothing before its commit and nothing of other rooms.

use parlor::base::request::{Part, Target};
use parlor::base::{
    Answer, Body, ConnId, Effect, Effects, Entry, EntryKind, Limits, Moment, Notice, Now, Origin,
    Outcome, Query, Record, Request, RoomId, StoreChange, Timestamp, Told, UserId,
};
use parlor::hub::{Hub, Input, Settings};
use parlor::store::{Place, RecordStore, Store};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::mpsc::{Receiver, channel};

const USERS: usize = 4;
const ROOMS: usize = 3;

#[derive(Clone, Debug)]
enum Op {
    Connect { user: usize, resumes: bool, is_tracked: bool },
    Disconnect { conn: usize },
    Send { conn: usize, room: usize, cid: u8 },
    Direct { conn: usize, to: usize },
    Join { conn: usize, room: usize },
    Leave { conn: usize, room: usize },
    Read { conn: usize, room: usize, seq: u64 },
    History { conn: usize, room: usize, part: u64 },
    Resume { conn: usize, back: u64, more: bool },
    ResumeAt { conn: usize },
    Fill { conn: usize },
    Drain { conn: usize },
    Store { steps: usize },
    StoreFails,
    Time { millis: u64 },
    ClockBack { millis: u64 },
}

fn any_op() -> impl Strategy<Value = Op> {
    let conn = 0usize..6;
    prop_oneof![
        3 => (0..USERS, any::<bool>(), any::<bool>())
            .prop_map(|(user, resumes, is_tracked)| Op::Connect { user, resumes, is_tracked }),
        1 => conn.clone().prop_map(|conn| Op::Disconnect { conn }),
        8 => (conn.clone(), 0..ROOMS, any::<u8>()).prop_map(|(conn, room, cid)| Op::Send { conn, room, cid }),
        2 => (conn.clone(), 0..USERS).prop_map(|(conn, to)| Op::Direct { conn, to }),
        4 => (conn.clone(), 0..ROOMS).prop_map(|(conn, room)| Op::Join { conn, room }),
        1 => (conn.clone(), 0..ROOMS).prop_map(|(conn, room)| Op::Leave { conn, room }),
        1 => (conn.clone(), 0..ROOMS, 0u64..40).prop_map(|(conn, room, seq)| Op::Read { conn, room, seq }),
        2 => (conn.clone(), 0..ROOMS, 0u64..40).prop_map(|(conn, room, part)| Op::History { conn, room, part }),
        3 => (conn.clone(), 0u64..90, any::<bool>()).prop_map(|(conn, back, more)| Op::Resume { conn, back, more }),
        3 => conn.clone().prop_map(|conn| Op::ResumeAt { conn }),
        2 => conn.clone().prop_map(|conn| Op::Fill { conn }),
        3 => conn.prop_map(|conn| Op::Drain { conn }),
        6 => (1usize..9).prop_map(|steps| Op::Store { steps }),
        1 => Just(Op::StoreFails),
        1 => (1u64..7_000).prop_map(|millis| Op::Time { millis }),
        3 => (1u64..4).prop_map(|millis| Op::Time { millis }),
        1 => (1u64..9).prop_map(|millis| Op::ClockBack { millis }),
    ]
}

enum Command {
    Write(u64, Record),
    Read(u64, Query),
    Seek(u64, Vec<RoomId>, Timestamp),
}

/// What a connection knows of a room: the last entry that it saw, or where it was told to begin.
type Positions = BTreeMap<RoomId, u64>;

#[derive(Default)]
struct Client {
    user: usize,
    positions: Positions,
    heads: Positions,
    /// A join was answered before any entry came: the first one tells where it begins.
    joined: BTreeSet<RoomId>,
    /// Their resume was refused.
    refused: BTreeSet<RoomId>,
    waits_for_resume: bool,
    /// It is told its position in time.
    is_tracked: bool,
    /// Its resume at a position is under way, with what it had there.
    had: Option<Positions>,
    is_full: bool,
    asked_for_drained: bool,
    is_held: bool,
    requests: u32,
    answers: u32,
}

struct World {
    hub: Hub,
    store: Store,
    woken: Receiver<()>,
    now: Now,
    queue: VecDeque<Command>,
    clients: BTreeMap<ConnId, Client>,
    next_conn: u32,
    newest_conn: Option<ConnId>,
    effects: Effects,
    committed: BTreeMap<RoomId, u64>,
    /// When each entry was committed.
    times: BTreeMap<RoomId, Vec<(u64, Timestamp)>>,
    /// The last position that a connection of each user was told, and what it had then.
    told: BTreeMap<usize, (Timestamp, Positions)>,
    /// Connections to which a position could not be found.
    failed: Vec<ConnId>,
    acknowledged: BTreeSet<(RoomId, u64)>,
    wake_at: Vec<Moment>,
}

impl Client {
    /// The rooms of which it knows that they are its user's.
    fn known(&self) -> BTreeSet<RoomId> {
        let followed = self.positions.keys().chain(self.heads.keys());
        followed.chain(&self.joined).chain(&self.refused).cloned().collect()
    }
}

impl World {
    /// What somebody who comes anew is told; none if the user has as many connections as they may.
    fn rooms_of(&mut self, user: usize) -> Option<BTreeSet<RoomId>> {
        self.run(Op::Connect { user, resumes: false, is_tracked: false });
        let conn = self.newest_conn?;
        let rooms = self.clients.remove(&conn)?.known();
        self.input(Input::Disconnected { conn });
        Some(rooms)
    }

    fn new() -> World {
        let (wake, woken) = channel();
        let (store, snapshot) = Store::open(&Place::Memory, "epoch", move || {
            let _ = wake.send(());
        })
        .unwrap();
        // Small pages and little in memory, so that feeding has edges.
        let limits = Limits {
            page: 4,
            tail_entries: 3,
            connections_per_user: 3,
            rooms: 100,
            ..Limits::default()
        };
        World {
            hub: Hub::new(Settings::from(&limits), snapshot, 7),
            store,
            woken,
            now: Now::default(),
            queue: VecDeque::new(),
            clients: BTreeMap::new(),
            next_conn: 0,
            newest_conn: None,
            effects: Effects::default(),
            committed: BTreeMap::new(),
            times: BTreeMap::new(),
            told: BTreeMap::new(),
            failed: Vec::new(),
            acknowledged: BTreeSet::new(),
            wake_at: Vec::new(),
        }
    }

    fn conn(&self, index: usize) -> Option<ConnId> {
        let count = self.clients.len();
        self.clients.keys().nth(index % count.max(1)).copied()
    }

    fn request(&mut self, conn: usize, request: Request) {
        let Some(conn) = self.conn(conn) else { return };
        let client = self.clients.get_mut(&conn).unwrap();
        // The server takes nothing from a connection that is held.
        if client.is_held {
            return;
        }
        client.requests += 1;
        let id = Some("1".into());
        self.input(Input::Request { conn, is_admin: false, id, request });
    }

    fn run(&mut self, op: Op) {
        match op {
            Op::Connect { user, resumes, is_tracked } => {
                // The index is used again, as the reactor does; the generation is not.
                self.next_conn += 1;
                let taken: BTreeSet<usize> = self.clients.keys().map(|conn| conn.index()).collect();
                let index = (0..).find(|index| !taken.contains(index)).unwrap();
                let conn = ConnId::new(index as u32, self.next_conn);
                self.newest_conn = Some(conn);
                let waits_for_resume = resumes;
                let client = Client { user, waits_for_resume, is_tracked, ..Client::default() };
                self.clients.insert(conn, client);
                if is_tracked {
                    self.input(Input::TellPosition { conn });
                }
                let user = user_id(user);
                self.input(Input::Connected { conn, user, name: None, resumes });
            }
            Op::Disconnect { conn } => {
                if let Some(conn) = self.conn(conn) {
                    self.clients.remove(&conn);
                    self.input(Input::Disconnected { conn });
                }
            }
            Op::Send { conn, room, cid } => {
                let cid = (cid > 100).then(|| cid.to_string().into());
                let body = Body { text: "text".into(), data: None, reply_to: None };
                self.request(
                    conn,
                    Request::Send { target: Target::Room(room_id(room)), body, cid },
                );
            }
            Op::Direct { conn, to } => {
                let body = Body { text: "text".into(), data: None, reply_to: None };
                self.request(
                    conn,
                    Request::Send { target: Target::User(user_id(to)), body, cid: None },
                );
            }
            Op::Join { conn, room } => self.request(conn, Request::Join(room_id(room))),
            Op::Leave { conn, room } => self.request(conn, Request::Leave(room_id(room))),
            Op::Read { conn, room, seq } => self.request(conn, Request::Read(room_id(room), seq)),
            Op::History { conn, room, part } => {
                let part = match part % 3 {
                    0 => Part::Newest,
                    1 => Part::After(part),
                    _ => Part::Before(part),
                };
                self.request(conn, Request::History { room: room_id(room), part, limit: 5 });
            }
            Op::Resume { conn, back, more } => {
                let Some(id) = self.conn(conn) else { return };
                let client = &self.clients[&id];
                if !client.waits_for_resume || client.is_held || client.is_tracked {
                    return;
                }
                let rooms: Vec<_> = client
                    .heads
                    .iter()
                    .enumerate()
                    .filter(|(place, _)| !more || place % 2 == 0)
                    .map(|(_, (room, head))| (room.clone(), head.saturating_sub(back)))
                    .collect();
                let client = self.clients.get_mut(&id).unwrap();
                for (room, seq) in &rooms {
                    client.positions.insert(room.clone(), *seq);
                    client.heads.remove(room);
                }
                if !more {
                    client.waits_for_resume = false;
                    // Those never named go on from the heads that were told.
                    let heads = std::mem::take(&mut client.heads);
                    client.positions.extend(heads);
                }
                self.request(conn, Request::Resume { epoch: "epoch".into(), rooms, more });
            }
            Op::ResumeAt { conn } => {
                let Some(id) = self.conn(conn) else { return };
                let client = self.clients.get_mut(&id).unwrap();
                let may = client.waits_for_resume && client.is_tracked && client.had.is_none();
                let Some((since, had)) = self.told.get(&client.user) else { return };
                if may && !client.is_held {
                    client.had = Some(had.clone());
                    let request = Request::ResumeAt { epoch: "epoch".into(), since: *since };
                    client.requests += 1;
                    self.input(Input::Request { conn: id, is_admin: false, id: None, request });
                }
            }
            Op::Fill { conn } => {
                if let Some(conn) = self.conn(conn) {
                    self.clients.get_mut(&conn).unwrap().is_full = true;
                }
            }
            Op::Drain { conn } => {
                if let Some(conn) = self.conn(conn) {
                    self.drain(conn);
                }
            }
            Op::Store { steps } => self.step_store(steps),
            Op::StoreFails => {
                // What is queued behind a failed batch fails too.
                for command in std::mem::take(&mut self.queue) {
                    let ticket = match command {
                        Command::Write(ticket, _)
                        | Command::Read(ticket, _)
                        | Command::Seek(ticket, ..) => ticket,
                    };
                    let outcome = Outcome::Unavailable;
                    self.input(Input::Told(Told::Answer { ticket, outcome }));
                }
            }
            Op::ClockBack { millis } => {
                let back = self.now.timestamp.0 - millis as i64;
                self.now.timestamp = Timestamp(back.max(0));
            }
            Op::Time { millis } => {
                self.now.moment = self.now.moment.plus_millis(millis);
                self.now.timestamp = Timestamp(self.now.timestamp.0 + millis as i64);
                self.wake();
            }
        }
    }

    fn wake(&mut self) {
        let now = self.now.moment;
        let due = self.wake_at.iter().any(|at| *at <= now);
        self.wake_at.retain(|at| *at > now);
        if due {
            self.input(Input::Woken);
        }
    }

    fn drain(&mut self, conn: ConnId) -> bool {
        let client = self.clients.get_mut(&conn).unwrap();
        client.is_full = false;
        let asked = std::mem::take(&mut client.asked_for_drained);
        if asked {
            self.input(Input::Drained { conn });
        }
        asked
    }

    fn step_store(&mut self, steps: usize) {
        for _ in 0..steps {
            let Some(command) = self.queue.pop_front() else { return };
            match command {
                Command::Write(ticket, record) => {
                    self.store.write(ticket, self.now.timestamp, record).unwrap()
                }
                Command::Read(ticket, query) => {
                    self.store.read(ticket, self.now.timestamp, query).unwrap()
                }
                Command::Seek(ticket, rooms, since) => {
                    self.store.seek(ticket, self.now.timestamp, rooms, since).unwrap()
                }
            }
            self.woken.recv().unwrap();
            for told in self.store.told() {
                if let Told::Changed { change: StoreChange::Room { what, .. }, .. } = &told {
                    self.note_commit(what.entries());
                }
                self.input(Input::Told(told));
            }
        }
    }

    fn note_commit(&mut self, entries: &[Entry]) {
        for entry in entries {
            let times = self.times.entry(entry.room.clone()).or_default();
            times.push((entry.seq, entry.ts));
            self.committed.insert(entry.room.clone(), entry.seq);
        }
    }

    /// A connection is told that it has all that was committed before a time.
    fn told(&mut self, conn: ConnId, position: Timestamp) {
        let client = &self.clients[&conn];
        assert!(client.is_tracked && !client.waits_for_resume);
        for (room, last) in &client.positions {
            for (seq, ts) in self.times.get(room).into_iter().flatten() {
                let is_there = seq <= last || *ts >= position;
                assert!(is_there, "{conn} lacks {seq} of {room}, which is before {position:?}");
            }
        }
        self.told.insert(client.user, (position, client.positions.clone()));
    }

    fn input(&mut self, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let mut effects = std::mem::take(&mut self.effects);
            self.hub.handle(self.now, input, &mut effects);
            let mut refused = BTreeSet::new();
            for effect in &effects.list {
                self.effect(effect, &effects.recipients, &mut inputs, &mut refused);
            }
            effects.clear();
            self.effects = effects;
            assert_eq!(self.hub.counts().behind, self.hub.census().behind);
            for conn in std::mem::take(&mut self.failed) {
                self.clients.remove(&conn);
                inputs.push_back(Input::Disconnected { conn });
            }
        }
    }

    fn effect(
        &mut self,
        effect: &Effect,
        recipients: &[ConnId],
        inputs: &mut VecDeque<Input>,
        refused: &mut BTreeSet<(ConnId, u32)>,
    ) {
        match effect {
            Effect::Persist { ticket, record } => {
                self.queue.push_back(Command::Write(*ticket, record.clone()))
            }
            Effect::Load { ticket, query } => {
                self.queue.push_back(Command::Read(*ticket, query.clone()))
            }
            Effect::Seek { ticket, rooms, since } => {
                self.queue.push_back(Command::Seek(*ticket, rooms.clone(), *since))
            }
            Effect::Greet { conn, rooms, .. } => {
                let client = self.clients.get_mut(conn).unwrap();
                for room in &rooms.rooms {
                    let of = if client.waits_for_resume {
                        &mut client.heads
                    } else {
                        &mut client.positions
                    };
                    of.insert(room.room.clone(), room.head);
                    assert_eq!(self.committed.get(&room.room).copied().unwrap_or(0), room.head);
                }
                if let Some(position) = self.hub.position_of(*conn) {
                    self.told(*conn, position);
                }
            }
            Effect::TooMany { conn } => {
                self.clients.remove(conn);
            }
            Effect::Deliver { recipients: range, notice } => {
                for conn in &recipients[range.clone()] {
                    self.deliver(*conn, notice, inputs, refused);
                }
            }
            Effect::Tell { .. } | Effect::CatchUp | Effect::CaughtUp => {
                panic!("{effect:?}, and there is no other hub")
            }
            Effect::Watched { .. } => {}
            Effect::TellDrained { conn } => {
                if let Some(client) = self.clients.get_mut(conn) {
                    client.asked_for_drained = true;
                }
            }
            Effect::Hold { conn } | Effect::Release { conn } => {
                if let Some(client) = self.clients.get_mut(conn) {
                    client.is_held = matches!(effect, Effect::Hold { .. });
                }
            }
            Effect::Answer { origin: Origin::Conn(conn, id), answer } => {
                if let Ok(Answer::Sent { room, seq, .. }) = answer {
                    assert!(*seq <= self.committed[room], "acknowledged before it was committed");
                    self.acknowledged.insert((room.clone(), *seq));
                }
                if let Ok(Answer::History { entries, head, room, .. }) = answer {
                    assert!(entries.windows(2).all(|pair| pair[1].seq == pair[0].seq + 1));
                    assert!(entries.iter().all(|entry| entry.seq <= *head));
                    assert_eq!(*head, self.committed[room]);
                }
                if let Some(client) = self.clients.get_mut(conn) {
                    client.answers += 1;
                    if let Ok(Answer::Joined(room, _)) = answer
                        && !client.positions.contains_key(&room.room)
                    {
                        client.joined.insert(room.room.clone());
                    }
                    if let Ok(Answer::History { room, head, .. }) = answer
                        && client.refused.remove(room)
                    {
                        // With this answer a refused room goes live.
                        client.positions.insert(room.clone(), *head);
                    }
                    let is_of_resume = id.is_none();
                    if is_of_resume && answer.is_err() {
                        self.failed.push(*conn);
                    }
                    if let Ok(Answer::Resumed(resumed)) = answer
                        && let Some(had) = client.had.take()
                    {
                        let heads = std::mem::take(&mut client.heads);
                        client.waits_for_resume = false;
                        for (room, from, _) in &resumed.rooms {
                            let last = had.get(room).copied().unwrap_or(*from);
                            assert!(*from <= last, "{conn} has {last} of {room}, and not {from}");
                            client.positions.insert(room.clone(), *from);
                        }
                        for (room, head) in heads {
                            let is_refused = resumed.refused.iter().any(|one| one.room == room);
                            let is_listed = resumed.rooms.iter().any(|(one, ..)| *one == room);
                            let is_listed = is_listed || is_refused;
                            if !is_listed {
                                let last = had.get(&room).copied().unwrap_or(head);
                                assert!(last >= head, "{conn} misses {room} after {last}");
                                client.positions.insert(room, head);
                            }
                        }
                    }
                    if let Ok(Answer::Resumed(resumed)) = answer {
                        for parlor::base::answer::NotResumed { room, code, .. } in &resumed.refused
                        {
                            client.positions.remove(room);
                            // Nobody asks for a history where no requests are heard, or is no member.
                            let is_member = *code != parlor::base::refusal::RefusalCode::NotMember;
                            if is_member && !client.is_tracked {
                                client.refused.insert(room.clone());
                            }
                        }
                    }
                }
            }
            Effect::StaleMembership { conn } => {
                assert!(self.clients.remove(conn).is_some(), "{conn} is ended once");
                inputs.push_back(Input::Disconnected { conn: *conn });
            }
            Effect::TooSlow { conn } => panic!("{conn}: all is kept"),
            Effect::Revoked { .. } => panic!("nobody revokes"),
            Effect::WakeAt(at) => self.wake_at.push(*at),
            Effect::Skipped { conn, .. }
            | Effect::WaitToScan { conn }
            | Effect::Scanned { conn, .. } => {
                panic!("{conn}: there are no streams")
            }
            Effect::Answer { .. } | Effect::TakeBack { .. } | Effect::Resume { .. } => {}
        }
    }

    fn deliver(
        &mut self,
        conn: ConnId,
        notice: &Notice,
        inputs: &mut VecDeque<Input>,
        refused: &mut BTreeSet<(ConnId, u32)>,
    ) {
        let Some(client) = self.clients.get_mut(&conn) else {
            panic!("{conn} is not connected: {notice:?}")
        };
        match notice {
            Notice::Entry { entry, source, with_cid, position } => {
                if refused.contains(&(conn, *source)) {
                    return;
                }
                if client.is_full {
                    refused.insert((conn, *source));
                    client.asked_for_drained = true;
                    inputs.push_back(Input::Behind {
                        conn,
                        source: *source,
                        seq: entry.seq,
                        ts: entry.ts,
                    });
                    return;
                }
                assert!(entry.seq <= self.committed[&entry.room], "shown before it was committed");
                assert!(
                    !client.heads.contains_key(&entry.room),
                    "told of a room that waits for its resume"
                );
                let is_own_join = matches!(&entry.kind, EntryKind::Joined { user, .. } if *user == user_id(client.user));
                match client.positions.get(&entry.room) {
                    Some(last) => assert_eq!(entry.seq, last + 1, "{conn} in {}", entry.room),
                    // One begins to follow with one's own coming, or with a direct message's first.
                    None => assert!(
                        client.joined.remove(&entry.room)
                            || is_own_join
                            || entry.room.is_direct() && entry.seq == 1,
                        "{conn}: {entry:?}"
                    ),
                }
                client.positions.insert(entry.room.clone(), entry.seq);
                // Whoever has come again follows, whatever was refused before.
                client.refused.remove(&entry.room);
                assert!(position.is_none() || client.is_tracked);
                if let EntryKind::Message { from, .. } = &entry.kind {
                    assert_eq!(
                        *from == user_id(client.user) && *with_cid,
                        *with_cid,
                        "told another's cid"
                    );
                }
                let misses_some = refused.range((conn, 0)..=(conn, u32::MAX)).next().is_some();
                if let Some(position) = position.filter(|_| !misses_some) {
                    self.told(conn, position);
                }
            }
            Notice::Removed { room, .. } => {
                client.positions.remove(room);
                client.heads.remove(room);
                client.joined.remove(room);
                client.refused.remove(room);
            }
            _ => {}
        }
    }

    /// Lets everything come to rest.
    fn settle(&mut self) {
        for _ in 0..10_000 {
            self.step_store(100);
            self.now.moment = self.now.moment.plus_millis(2_000);
            self.wake();
            let conns: Vec<ConnId> = self.clients.keys().copied().collect();
            let mut busy = !self.queue.is_empty();
            for conn in conns {
                busy |= self.drain(conn);
            }
            if !busy {
                return;
            }
        }
        panic!("it does not come to rest");
    }
}

fn user_id(user: usize) -> UserId {
    UserId::parse(&format!("user{user}")).unwrap()
}

fn room_id(room: usize) -> RoomId {
    RoomId::parse(&format!("room{room}")).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_cursor_sees_its_log_whole_once_and_in_order(ops in proptest::collection::vec(any_op(), 1..250)) {
        let mut world = World::new();
        for op in ops {
            world.run(op);
        }
        world.settle();
        for (conn, client) in &world.clients {
            prop_assert_eq!(client.requests, client.answers, "{} had an answer to each request", conn);
            prop_assert!(!client.is_held);
            for (room, position) in &client.positions {
                prop_assert_eq!(world.committed.get(room).copied().unwrap_or(0), *position, "{} in {}", conn, room);
            }
        }
        // Whoever is there knows of all rooms that one who comes anew is told of, and of no others; while
        // it waits for its resume it is not told.
        for user in 0..USERS {
            let Some(rooms) = world.rooms_of(user) else { continue };
            let of_user = |client: &Client| client.user == user && !client.waits_for_resume;
            for (conn, client) in world.clients.iter().filter(|(_, client)| of_user(client)) {
                prop_assert_eq!(client.known(), rooms.clone(), "{} of user{}", conn, user);
            }
        }
        // Everybody leaves: nothing that belongs to a connection is left.
        let conns: Vec<ConnId> = world.clients.keys().copied().collect();
        for conn in conns {
            world.clients.remove(&conn);
            world.input(Input::Disconnected { conn });
        }
        world.settle();
        world.now.moment = world.now.moment.plus_millis(60_000);
        world.wake();
        world.settle();
        let counts = world.hub.counts();
        prop_assert_eq!((counts.connections, counts.online), (0, 0));
    }
}
