//! Shares of streams, against a slow, obvious model: a holder that takes as much as it can, in any
//! order and of any kind, leaves the others their share.

use parlor::base::declaration::{Declaration, Keep};
use parlor::base::filter::{Compare, Condition, Filter};
use parlor::base::limits::EVENT_BYTES;
use parlor::base::pattern::Pattern;
use parlor::base::subscription::{Ask, Form};
use parlor::base::{
    Answer, ConnId, Data, Effect, Effects, Limits, Moment, Notice, Now, Origin, Outcome, Refusal,
    RefusalCode, Snapshot, StoreChange, StreamEvent, StreamId, StreamRights, Timestamp, Told, Tree,
    Written,
};
use parlor::hub::streams::{Holder, Publisher, StreamSettings};
use parlor::hub::{Hub, Input, Settings};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::sync::Arc;

const CONNS_EACH: u32 = 2;
const MOST: u32 = 40;
/// All sizes here are so many bytes, of which an event takes one at least.
const UNIT: usize = EVENT_BYTES + 1;
/// Streams that are declared by their name.
const NAMED: usize = 1;

/// Everybody has a number; 0 is an administrator.
type Who = u32;

struct World {
    hub: Hub,
    effects: Effects,
    now: u64,
    ticket: u64,
    watched: BTreeMap<ConnId, BTreeSet<String>>,
    /// Who has begun it, and its newest event.
    stored: BTreeMap<String, (Who, u64)>,
    limits: Limits,
}

fn holder(who: Who) -> Holder {
    NonZeroU32::new(who)
}

fn conn(who: Who, of: u32) -> ConnId {
    ConnId::new(who * CONNS_EACH + of, 1)
}

fn who(conn: ConnId) -> Who {
    conn.index() as u32 / CONNS_EACH
}

/// What makes an event of so many units.
fn data(units: usize) -> Data {
    Data::Json("x".repeat(units * UNIT - EVENT_BYTES).into())
}

fn rights() -> StreamRights {
    StreamRights { is_user: true, publishes_all: true, ..StreamRights::default() }
}

impl World {
    fn new(streams: u32, units: usize) -> World {
        let all_streams_bytes = units * UNIT;
        let limits =
            Limits { streams, all_streams_bytes, subscriptions: 1_000, ..Limits::default() };
        let settings = World::settings(&limits, &["named", "f:{id}", "d:{id}"]);
        World {
            hub: Hub::new(settings, Snapshot::default(), 7),
            effects: Effects::default(),
            now: 0,
            ticket: 0,
            watched: BTreeMap::new(),
            stored: BTreeMap::new(),
            limits,
        }
    }

    fn settings(limits: &Limits, patterns: &[&str]) -> Settings {
        let declare = |pattern: &&str| {
            let mut declaration = Declaration::new(Pattern::parse(pattern).unwrap());
            (declaration.keep, declaration.publish) = (Keep::Latest, true);
            declaration.durable = pattern.starts_with("d:") || pattern.starts_with("l:");
            if pattern.starts_with("l:") {
                declaration.keep = Keep::Log(5);
            }
            Arc::new(declaration)
        };
        let all = patterns.iter().map(declare).collect();
        let settings = StreamSettings::new(all, |text| Some(Tree::Text(text.into())), limits);
        Settings::from(limits).streams(settings)
    }

    fn declare(&mut self, patterns: &[&str]) {
        let settings = World::settings(&self.limits, patterns);
        self.hub.reconfigure_all(&settings);
        self.hub.reconfigure(settings);
        self.give(Input::Redeclared);
    }

    /// What is answered; what others lose is taken from them in the model.
    fn give(&mut self, input: Input) -> Option<Result<Answer, Refusal>> {
        self.now += 1;
        let timestamp = Timestamp(self.now as i64);
        let now = Now { moment: Moment::from_millis(self.now), timestamp, age_by: timestamp };
        self.effects.clear();
        self.hub.handle(now, input, &mut self.effects);
        let mut answered = None;
        let (mut ended, mut to_store) = (Vec::new(), false);
        for effect in std::mem::take(&mut self.effects.list) {
            match effect {
                Effect::Answer { answer, .. } => answered = Some(answer),
                Effect::Deliver { notice: Notice::Unsubscribed { streams, .. }, recipients } => {
                    ended.push((streams, recipients));
                }
                Effect::Persist { .. } => to_store = true,
                _ => {}
            }
        }
        for (streams, recipients) in ended {
            for conn in &self.effects.recipients[recipients] {
                for stream in &streams {
                    let had = self.watched.get_mut(conn).unwrap().remove(stream.as_str());
                    assert!(had, "{conn:?} is told of what it watches");
                }
            }
        }
        self.ticket += u64::from(to_store);
        answered
    }

    fn watch(&mut self, who: Who, of: u32, names: &[String]) -> Result<(), Refusal> {
        self.watch_on(conn(who, of), who, names)
    }

    fn watch_on(&mut self, conn: ConnId, who: Who, names: &[String]) -> Result<(), Refusal> {
        let ask = |name: &String| Ask {
            stream: StreamId::parse(name).unwrap(),
            filter: None,
            max_rate: None,
            since: None,
            epoch: None,
        };
        let asks = names.iter().map(ask).collect();
        let (rights, form, by) = (rights(), Form::Envelope, (conn, Some("1".into())));
        let holder = holder(who);
        let answer = self.give(Input::Subscribe { by, rights, holder, form, asks }).unwrap();
        answer.map(|_| self.watched.entry(conn).or_default().extend(names.iter().cloned()))
    }

    fn unwatch(&mut self, who: Who, of: u32, name: &str) {
        let by = (conn(who, of), Some("1".into()));
        self.give(Input::Unsubscribe { by, streams: vec![StreamId::parse(name).unwrap()] });
        self.watched.entry(conn(who, of)).or_default().remove(name);
    }

    fn leave(&mut self, who: Who, of: u32) {
        self.give(Input::Disconnected { conn: conn(who, of) });
        self.watched.remove(&conn(who, of));
    }

    /// `is_kept`: whether the store takes what is for it.
    fn publish(
        &mut self,
        who: Who,
        name: &str,
        units: usize,
        is_kept: bool,
    ) -> Result<(), Refusal> {
        let ticket = self.ticket;
        let answer = self.give(Input::Publish {
            origin: Origin::Call(1),
            publisher: Publisher::Client(rights(), holder(who)),
            stream: StreamId::parse(name).unwrap(),
            data: data(units),
            id: None,
        });
        if self.ticket == ticket {
            return answer.unwrap().map(|_| ());
        }
        let seq = self.stored.get(name).map_or(0, |(_, head)| *head) + 1;
        let epoch = self.hub.streams().epoch(&StreamId::parse(name).unwrap()).unwrap().clone();
        let epoch = (*epoch).into();
        let ts = Timestamp(self.now as i64);
        let stream = StreamId::parse(name).unwrap();
        let event = StreamEvent { seq, ts, data: data(units), id: None };
        let written = match is_kept {
            true => Written::Changed(StoreChange::Event { stream, epoch, event }),
            false => Outcome::Unavailable.into(),
        };
        let answer = self.give(Input::Told(written.told(self.ticket))).unwrap();
        if is_kept {
            self.stored.entry(name.to_owned()).or_insert((who, 0)).1 = seq;
        }
        answer.map(|_| ())
    }

    /// What somebody has of the places: what they watch that is of a family and not stored, and what is stored of
    /// theirs.
    fn has(&self, of: Who) -> usize {
        let stored = self.stored.values().filter(|(who, _)| *who == of);
        self.held_by(of).len() + stored.count()
    }

    /// What of a family somebody watches that is not stored.
    fn held_by(&self, of: Who) -> BTreeSet<String> {
        let theirs = self.watched.iter().filter(|(conn, _)| who(**conn) == of);
        let is_held = |name: &&String| *name != "named" && !self.stored.contains_key(*name);
        theirs.flat_map(|(_, names)| names).filter(is_held).cloned().collect()
    }

    fn who_watch(&self, name: &str) -> Vec<Who> {
        let watching = self.watched.iter().filter(|(_, names)| names.contains(name));
        watching.map(|(conn, _)| who(*conn)).collect()
    }

    fn staying(&self) -> usize {
        let watched: BTreeSet<&String> = self.watched.values().flatten().collect();
        let stored = self.stored.keys().filter(|name| !watched.contains(name));
        let named = !watched.contains(&"named".to_owned());
        watched.len() + stored.count() + usize::from(named)
    }

    fn check(&self) {
        let counts = self.hub.counts();
        let (staying, bytes) = self.hub.streams().pinned();
        assert_eq!(staying, self.staying());
        assert!(
            counts.streams <= self.limits.streams as usize
                && bytes <= self.limits.all_streams_bytes
        );
        let subscriptions: usize = self.watched.values().map(BTreeSet::len).sum();
        assert_eq!(counts.subscriptions, subscriptions);
    }
}

#[derive(Clone, Debug)]
enum Step {
    Watch(Who, u32, Vec<String>),
    Unwatch(Who, u32, String),
    Leave(Who, u32),
    Publish(Who, String, usize, bool),
}

fn step() -> impl Strategy<Value = Step> {
    let name = || {
        prop_oneof![
            1 => Just("named".to_owned()),
            20 => (0..90).prop_map(|id| format!("f:{id}")),
            3 => (0..30).prop_map(|id| format!("d:{id}")),
        ]
    };
    let (who, of) = (|| 0u32..6, || 0..CONNS_EACH);
    let names = prop::collection::vec(name(), 1..6);
    prop_oneof![
        12 => (who(), of(), names).prop_map(|(who, of, names)| Step::Watch(who, of, names)),
        2 => (who(), of(), name()).prop_map(|(who, of, name)| Step::Unwatch(who, of, name)),
        1 => (who(), of()).prop_map(|(who, of)| Step::Leave(who, of)),
        5 => (who(), name(), 1usize..60, any::<bool>())
            .prop_map(|(who, name, bytes, is_kept)| Step::Publish(who, name, bytes, is_kept)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Whoever is refused a stream has nearly as much as anybody else who watches, and so at least half of what is
    /// fair; and the counts are those of the model.
    #[test]
    fn whoever_is_refused_has_their_share(steps in prop::collection::vec(step(), 1..200)) {
        let mut world = World::new(MOST, 1_500);
        for step in steps {
            match step {
                Step::Watch(who, of, names) => {
                    let (had, before) = (world.has(who), world.watched.clone());
                    if let Err(refusal) = world.watch(who, of, &names) {
                        prop_assert_eq!(refusal.code, RefusalCode::Quota);
                        // Whoever has as much more as is asked for, and that alone, would have given way.
                        let enough = had + 2 * names.len();
                        for other in (0..6).filter(|other| *other != who && *other > 0) {
                            let theirs = world.held_by(other);
                            let is_shared = |name: &String| {
                                names.contains(name) || world.who_watch(name).iter().any(|one| *one != other)
                            };
                            let could = theirs.len() >= enough && !theirs.iter().any(is_shared);
                            prop_assert!(!could, "{} of another, {had} own", theirs.len());
                        }
                        let mine = |watched: &BTreeMap<ConnId, BTreeSet<String>>| -> Vec<_> {
                            let mine = watched.iter().filter(|(one, _)| self::who(**one) == who);
                            mine.map(|(_, names)| names.clone()).collect()
                        };
                        prop_assert_eq!(mine(&before), mine(&world.watched), "all or none");
                    }
                }
                Step::Unwatch(who, of, name) => world.unwatch(who, of, &name),
                Step::Leave(who, of) => world.leave(who, of),
                Step::Publish(who, name, bytes, is_kept) => {
                    let _ = world.publish(who, &name, bytes, is_kept);
                }
            }
            world.check();
        }
        for (who, of) in (0..6).flat_map(|who| (0..CONNS_EACH).map(move |of| (who, of))) {
            world.leave(who, of);
        }
        world.check();
        let census = world.hub.census();
        prop_assert_eq!((census.subscriptions, census.of_subscriptions), (0, 0));
    }

    /// However many are greedy, and in whatever order they come: one who wants little gets half of a fair share.
    #[test]
    fn whoever_wants_little_gets_it(
        greedy in 1u32..12,
        order in prop::collection::vec((any::<prop::sample::Index>(), 0..CONNS_EACH), 200),
        shared in any::<bool>(),
    ) {
        let mut world = World::new(MOST, 1_500);
        for (at, (index, of)) in order.iter().enumerate() {
            let who = index.index(greedy as usize) as Who + 1;
            // Those who are greedy perhaps watch the same ones, so that none of them alone holds a stream.
            let name = if shared { at / 2 } else { at };
            let _ = world.watch(who, *of, &[format!("f:{name}")]);
        }
        let modest = greedy + 1;
        let fair = (MOST as usize - NAMED) / modest as usize;
        for at in 0..(fair / 2).max(1) {
            prop_assert!(world.watch(modest, 0, &[format!("f:own-{at}")]).is_ok(), "{at}");
            world.check();
        }
    }
}

fn names(kind: &str, ids: std::ops::Range<u32>) -> Vec<String> {
    ids.map(|id| format!("{kind}:{id}")).collect()
}

#[test]
fn what_nobody_watches_goes_first_of_whoever_has_most_of_it() {
    let mut world = World::new(MOST, 1_500);
    for name in names("f", 0..5) {
        world.publish(1, &name, 1, true).unwrap();
    }
    for name in names("f", 100..400) {
        world.publish(2, &name, 1, true).unwrap();
    }
    let is_there = |world: &World, name: &str| {
        world.hub.streams().epoch(&StreamId::parse(name).unwrap()).is_some()
    };
    assert!(names("f", 0..5).iter().all(|name| is_there(&world, name)));
    assert!(!is_there(&world, "f:100") && is_there(&world, "f:399"));
    // By bytes, too: small ones stay, where another has large ones.
    let mut world = World::new(MOST, 1_500);
    for name in names("f", 0..5) {
        world.publish(1, &name, 10, true).unwrap();
    }
    for name in names("f", 100..130) {
        world.publish(2, &name, 200, true).unwrap();
    }
    assert!(names("f", 0..5).iter().all(|name| is_there(&world, name)));
    assert!(world.hub.streams().counts().0 <= NAMED + 5 + 7);
}

#[test]
fn one_who_publishes_to_durable_streams_takes_half_of_the_places_and_of_the_bytes() {
    let mut world = World::new(MOST, 1_500);
    let taken = |world: &mut World, who, ids, bytes| {
        let mut publish = |name: &String| world.publish(who, name, bytes, true).is_ok();
        names("d", ids).iter().filter(|name| publish(name)).count()
    };
    assert_eq!(taken(&mut world, 1, 0..60, 1), 20, "of 39");
    assert_eq!(taken(&mut world, 2, 100..160, 1), 10);
    let refusal = world.publish(1, "d:70", 1, true).unwrap_err();
    assert_eq!((refusal.code, refusal.limit_name), (RefusalCode::Quota, Some("streams")));
    world.publish(1, "d:1", 2, true).expect("what is there goes on");
    assert_eq!(taken(&mut world, 0, 200..300, 1), 9, "an administrator may take the rest");
    let mut world = World::new(MOST, 1_500);
    assert_eq!(taken(&mut world, 1, 0..60, 100), 8, "of 15 for the bytes");
    let refusal = world.publish(1, "d:70", 100, true).unwrap_err();
    assert_eq!((refusal.code, refusal.limit_name), (RefusalCode::Quota, Some("all_streams_bytes")));
    world.publish(1, "d:1", 100, true).expect("it takes the place of the one before");
    world.publish(2, "d:100", 100, true).expect("there is some for another");
}

#[test]
fn what_is_taken_from_whoever_watches_most_is_said_and_what_others_watch_too_stays() {
    let mut world = World::new(MOST, 1_500);
    world.watch(1, 0, &["f:known".to_owned()]).unwrap();
    for name in names("f", 0..60) {
        let _ = world.watch(2, 0, &[name]);
    }
    world.watch(2, 0, &["f:known".to_owned()]).unwrap();
    assert_eq!(world.has(2), 20, "as many as are left, and one that is there anyway");
    for name in names("f", 100..160) {
        let _ = world.watch(3, 1, &[name]);
    }
    assert!(world.has(3) + 2 >= world.has(2), "{} and {}", world.has(3), world.has(2));
    assert!(world.has(1) == 1 && world.has(2) < 20);
    assert!(world.hub.streams().epoch(&StreamId::parse("f:known").unwrap()).is_some());
}

#[test]
fn what_is_kept_goes_of_whoever_has_most_of_it() {
    let log = |world: &mut World, who, name: &str, bytes| world.publish(who, name, bytes, true);
    // Whoever watches makes nothing stay, and has nothing kept from others.
    let mut world = World::new(MOST, 1_500);
    for name in names("f", 0..10) {
        log(&mut world, 1, &name, 140).unwrap();
    }
    world.watch(2, 0, &names("f", 0..10)).unwrap();
    for name in names("f", 20..24) {
        log(&mut world, 3, &name, 140).unwrap();
    }
    log(&mut world, 4, "f:30", 140).unwrap();
    world.check();
    let keeps = |world: &mut World, name: &str| {
        let ask = StreamId::parse(name).unwrap();
        let (stream, filter, max_rate, since, epoch) = (ask, None, None, None, None);
        let asks = vec![Ask { stream, filter, max_rate, since, epoch }];
        let by = (ConnId::new(5_000, 1), Some("1".into()));
        let (rights, holder, form) = (rights(), None, Form::Envelope);
        let answer = world.give(Input::Subscribe { by, rights, holder, form, asks });
        match answer {
            Some(Ok(Answer::Subscribed(told))) => told[0].snapshot.is_some(),
            other => panic!("{other:?}"),
        }
    };
    let kept = names("f", 0..10).iter().filter(|name| keeps(&mut world, name)).count();
    assert_eq!(kept, 5, "of the ten of whoever has most");
    assert!(names("f", 20..24).iter().all(|name| keeps(&mut world, name)));

    // It counts for who has published the newest of it: to fill another's takes nothing of theirs.
    let mut world = World::new(MOST, 1_500);
    for name in names("f", 0..5) {
        log(&mut world, 1, &name, 10).unwrap();
    }
    log(&mut world, 2, "f:4", 495).unwrap();
    for name in names("f", 10..20) {
        log(&mut world, 2, &name, 100).unwrap();
    }
    log(&mut world, 2, "f:21", 400).unwrap();
    assert!(names("f", 0..4).iter().all(|name| keeps(&mut world, name)));
}

#[test]
fn the_newest_events_of_durable_logs_are_shared_out_and_older_ones_go() {
    let mut world = World::new(MOST, 1_500);
    world.declare(&["named", "f:{id}", "l:{id}"]);
    let publish = |world: &mut World, who, name: &String| world.publish(who, name, 100, true);
    let taken =
        names("l", 0..20).iter().filter(|name| publish(&mut world, 1, name).is_ok()).count();
    assert_eq!(taken, 8, "of 15");
    for name in names("l", 0..8).iter().cycle().take(40) {
        publish(&mut world, 1, name).unwrap();
    }
    assert!(world.hub.streams().pinned().1 <= 1_500 * UNIT);
    for name in names("l", 100..102) {
        publish(&mut world, 2, &name).unwrap();
    }
    for name in names("f", 0..9) {
        publish(&mut world, 3, &name).unwrap();
    }
    world.check();
}

#[test]
fn what_comes_back_from_the_store_at_once_keeps_the_bound() {
    let mut world = World::new(MOST, 1_500);
    let publish = |name: &String| Input::Publish {
        origin: Origin::Call(1),
        publisher: Publisher::Client(rights(), holder(1)),
        stream: StreamId::parse(name).unwrap(),
        data: data(400),
        id: None,
    };
    let all = names("d", 0..3);
    let mut tickets = Vec::new();
    for name in all.iter().chain(&all).chain(&all) {
        let before = world.ticket;
        world.give(publish(name));
        if world.ticket > before {
            tickets.push((world.ticket, name.clone()));
        }
    }
    assert!(tickets.len() > 3, "they were let through one by one");
    for (at, (ticket, name)) in tickets.into_iter().enumerate() {
        let epoch = world.hub.streams().epoch(&StreamId::parse(&name).unwrap()).unwrap().clone();
        let (seq, ts) = (at as u64 / 3 + 1, Timestamp(1));
        let epoch = (*epoch).into();
        let stream = StreamId::parse(&name).unwrap();
        let event = StreamEvent { seq, ts, data: data(400), id: None };
        let change = StoreChange::Event { stream, epoch, event };
        world.give(Input::Told(Told::Changed { change, ticket: Some(ticket) }));
        assert!(world.hub.streams().pinned().1 <= 1_500 * UNIT);
    }
}

#[test]
fn nobody_loses_a_stream_where_that_helps_nobody() {
    let mut world = World::new(MOST, 1_500);
    let of_bob = names("f", 0..20);
    world.watch(1, 0, &of_bob).unwrap();
    // All of a request, or none.
    assert!(world.watch(2, 0, &names("f", 100..136)).is_err());
    assert_eq!((world.has(1), world.has(2)), (20, 0));
    // A place that somebody holds who has less, or who has no share, is not free when it is taken.
    world.watch(0, 0, &of_bob[..10]).unwrap();
    for (at, name) in of_bob[10..].iter().enumerate() {
        world.watch(3 + at as Who, 0, std::slice::from_ref(name)).unwrap();
    }
    while world.hub.streams().pinned().0 < MOST as usize {
        let at = world.hub.streams().pinned().0 as u32;
        world.watch(0, 1, &names("f", 200 + at..201 + at)).unwrap();
    }
    assert!(world.watch(2, 0, &names("f", 100..101)).is_err());
    assert_eq!(world.has(1), 20);
    world.check();
    // What many watch stays, and of the rest goes first what the fewest watch.
    let mut world = World::new(MOST, 1_500);
    for who in 1..10 {
        world.watch(who, 0, &names("f", 0..5)).unwrap();
    }
    for (who, ids) in [(10, 10..28), (11, 30..35), (12, 30..35), (12, 40..48)] {
        for name in names("f", ids) {
            let _ = world.watch(who, 0, &[name]);
        }
    }
    while world
        .watch(20, 0, &names("f", 100 + world.has(20) as u32..101 + world.has(20) as u32))
        .is_ok()
    {}
    assert!((1..10).all(|who| world.has(who) == 5), "what nine watch");
    world.check();
}

#[test]
fn who_publishes_takes_a_place_of_whoever_watches_most() {
    let mut world = World::new(MOST, 1_500);
    // By watching what others watch, and keeping it when they go, somebody has all.
    for name in names("f", 0..MOST - 1) {
        world.watch(2, 0, std::slice::from_ref(&name)).unwrap();
        world.watch(1, 0, std::slice::from_ref(&name)).unwrap();
        world.leave(2, 0);
    }
    assert_eq!(world.has(1), MOST as usize - NAMED);
    world.publish(3, "f:new", 1, true).unwrap();
    world.publish(3, "d:new", 1, true).unwrap();
    assert_eq!(world.has(1), MOST as usize - NAMED - 1, "what nobody watches goes before");
    world.check();
}

#[test]
fn what_is_declared_by_its_name_from_now_on_stays_and_what_is_no_more_may_go() {
    let mut world = World::new(5, 1_500);
    world.publish(1, "f:n", 1, true).unwrap();
    let staying = |world: &World| world.hub.streams().pinned().0;
    assert_eq!(staying(&world), NAMED);
    world.declare(&["named", "f:n", "f:{id}", "d:{id}"]);
    assert_eq!(staying(&world), NAMED + 1);
    for name in names("f", 0..9) {
        world.publish(2, &name, 1, true).unwrap();
    }
    assert!(world.hub.streams().epoch(&StreamId::parse("f:n").unwrap()).is_some());
    world.declare(&["named", "f:{id}", "d:{id}"]);
    assert_eq!(staying(&world), NAMED);
}

#[test]
fn who_is_an_administrator_no_more_has_a_share() {
    let mut world = World::new(MOST, 1_500);
    world.watch(0, 0, &names("f", 0..MOST - 1)).unwrap();
    assert!(world.watch(2, 0, &names("f", 100..101)).is_err());
    let (conn, rights, holder) = (conn(0, 0), rights(), holder(1));
    world.give(Input::RightsChanged { conn, rights, holder });
    world.watch(2, 0, &names("f", 100..101)).unwrap();
    world.leave(0, 0);
    world.leave(2, 0);
    assert_eq!(world.hub.census().of_subscriptions, 0);
}

#[test]
fn nobody_takes_all_filters_of_a_stream() {
    let mut world = World::new(MOST, 1_500);
    let watch = |world: &mut World, who, of, number: i64| {
        let equal = Compare::Equal(Tree::Integer(number));
        let filter = Filter::new(vec![Condition::new("", equal).unwrap()]);
        let ask = Ask {
            stream: StreamId::parse("named").unwrap(),
            filter: Some(Arc::new(filter)),
            max_rate: None,
            since: None,
            epoch: None,
        };
        let by = (ConnId::new(of, 1), Some("1".into()));
        let (rights, holder, form) = (rights(), holder(who), Form::Envelope);
        let answer = world.give(Input::Subscribe { by, rights, holder, form, asks: vec![ask] });
        answer.unwrap().map_err(|refusal| refusal.limit_name)
    };
    // 256 for all: each on a connection of its own.
    let taken = |world: &mut World, who: Who, of: u32| {
        (0..256).filter(|at| watch(world, who, of + at, (of + at).into()).is_ok()).count()
    };
    assert_eq!(taken(&mut world, 1, 0), 128);
    assert_eq!(taken(&mut world, 2, 1_000), 64);
    assert_eq!(watch(&mut world, 1, 2_000, 9_000), Err(Some("stream_filters")));
    assert!(watch(&mut world, 1, 2_000, 0).is_ok(), "one that is there costs nothing more");
    world.give(Input::Disconnected { conn: ConnId::new(1_000, 1) });
    assert!(watch(&mut world, 3, 3_000, 9_000).is_ok());
    // Whoever has as many as they may have may take another in place of one.
    assert!(watch(&mut world, 1, 1, 9_001).is_ok());
    assert_eq!(watch(&mut world, 1, 2_000, 9_002), Err(Some("stream_filters")));
    // What others have, too, counts for them when whoever asked first is gone.
    for at in 0..128 {
        let number = if at == 1 { 9_001 } else { i64::from(at) };
        assert!(watch(&mut world, 4, 4_000 + at, number).is_ok());
    }
    for at in 0..128 {
        world.give(Input::Disconnected { conn: ConnId::new(at, 1) });
    }
    assert!(watch(&mut world, 1, 1, 9_002).is_ok());
    assert_eq!(watch(&mut world, 4, 2_001, 9_003), Err(Some("stream_filters")));
}

#[test]
fn streams_that_are_named_twice_are_let_go_of_once() {
    let mut world = World::new(3, 1_500);
    let twice = ["f:1", "f:1", "f:2", "f:3"].map(str::to_owned);
    assert!(world.watch(1, 0, &twice).is_err());
    world.watch(1, 0, &twice[..2]).unwrap();
    world.check();
}

#[test]
fn whoever_watches_most_gives_way_however_many_connections_watch_what_they_have() {
    let mut world = World::new(MOST, 1_500);
    for name in names("f", 0..20) {
        for of in 0..CONNS_EACH {
            let _ = world.watch(1, of, std::slice::from_ref(&name));
        }
    }
    for (who, ids) in [(2, 100..110), (3, 120..125), (4, 130..133)] {
        for name in names("f", ids) {
            world.watch(who, 0, &[name]).unwrap();
        }
    }
    let had: Vec<usize> = (1..5).map(|who| world.has(who)).collect();
    assert_eq!(had, [19, 10, 5, 3]);
    for (who, at) in [(5, 200), (6, 210), (7, 220)] {
        world.watch(who, 0, &names("f", at..at + 3)).unwrap();
    }
    let has: Vec<usize> = (2..8).map(|who| world.has(who)).collect();
    assert_eq!(has, [10, 5, 3, 3, 3, 3], "of whoever has most alone");
    world.check();
}

#[test]
fn streams_that_many_watch_do_not_shield_others() {
    const ALL: u32 = 1_000;
    let mut world = World::new(ALL, 1_500);
    let watch = |world: &mut World, index: u32, who: Who, names: &[String]| {
        let ask = |name: &String| Ask {
            stream: StreamId::parse(name).unwrap(),
            filter: None,
            max_rate: None,
            since: None,
            epoch: None,
        };
        let by = (ConnId::new(index, 1), Some("1".into()));
        let (rights, form, holder) = (rights(), Form::Envelope, holder(who));
        world.watched.entry(by.0).or_default().extend(names.iter().cloned());
        let asks = names.iter().map(ask).collect();
        world.give(Input::Subscribe { by, rights, holder, form, asks }).unwrap().is_ok()
    };
    // Others leave, so that two have all.
    for (index, who, ids) in [(2, 1, 0..600), (4, 2, 600..ALL - 1)] {
        for name in names("f", ids) {
            assert!(watch(&mut world, 90_002, 0, std::slice::from_ref(&name)));
            assert!(watch(&mut world, index, who, &[name]));
        }
    }
    world.give(Input::Disconnected { conn: ConnId::new(90_002, 1) });
    // Nine connections of one of them watch 400 streams, those that come last and first by their place and their name.
    for index in 90_010..90_018 {
        assert!(watch(&mut world, index, 1, &names("f", 0..200)));
        assert!(watch(&mut world, index, 1, &names("f", 400..600)));
    }
    for who in 3..20 {
        assert!(watch(&mut world, who * 2, who, &names("f", 5_000 + who..5_001 + who)));
    }
    assert_eq!((world.has(1), world.has(2)), (600 - 17, 399));
}

#[test]
fn a_request_that_is_refused_takes_nothing() {
    // Fewer may be there than are: nobody who is in goes for somebody who is not let in.
    let mut world = World::new(MOST, 1_500);
    world.watch(0, 0, &names("f", 0..35)).unwrap();
    world.watch(1, 0, &names("f", 100..102)).unwrap();
    world.limits.streams = 10;
    world.declare(&["named", "f:{id}", "d:{id}"]);
    let before = world.watched.clone();
    assert!(world.watch(2, 0, &names("f", 200..203)).is_err());
    assert_eq!(world.watched, before);
    // For one that somebody gives up another comes, and no more than there were are there.
    world.watch(1, 0, &names("f", 103..104)).unwrap_err();
    // Nothing that is kept goes for an event that does not fit then.
    let mut world = World::new(MOST, 10);
    world.publish(1, "f:1", 3, true).unwrap();
    for name in names("d", 0..4) {
        world.publish(2, &name, 1, true).unwrap();
    }
    let taken = world.hub.streams().pinned().1;
    assert!(world.publish(3, "f:3", 8, true).is_err());
    assert_eq!(world.hub.streams().pinned().1, taken);
}

#[test]
fn what_is_named_in_one_request_does_not_go_for_it() {
    let mut world = World::new(MOST, 100_000);
    for name in names("f", 0..39) {
        world.publish(1, &name, 1, true).unwrap();
    }
    let kept = StreamId::parse("f:0").unwrap();
    let epoch = world.hub.streams().epoch(&kept).cloned();
    world.watch(2, 0, &["f:new".to_owned(), "f:0".to_owned()]).unwrap();
    assert_eq!(world.hub.streams().epoch(&kept).cloned(), epoch);
    // What others watch, too, counts for whoever asks for it.
    let mut world = World::new(MOST, 1_500);
    world.watch(0, 0, &names("f", 0..33)).unwrap();
    world.watch(1, 0, &names("f", 33..36)).unwrap();
    for name in names("f", 36..39) {
        world
            .watch(1, 0, std::slice::from_ref(&name))
            .or_else(|_| world.watch(0, 0, &[name]))
            .unwrap();
    }
    let has = world.has(1);
    let asked: Vec<String> = names("f", 0..6).into_iter().chain(names("f", 90..91)).collect();
    let _ = world.watch(3, 0, &asked);
    assert_eq!(world.has(1), has, "they have fewer than another would have then");
}

#[test]
fn what_is_too_much_goes_of_all_who_have_most_until_they_have_as_much() {
    let mut world = World::new(200, 100);
    world.declare(&["named", "l:{id}", "m:{id}"]);
    for at in 0..50 {
        world.publish(1, &format!("m:{at}"), 1, true).unwrap();
        // Of an administrator, who has no share of places, as much goes.
        world.publish(0, &format!("m:1{at:02}"), 1, true).unwrap();
    }
    let of = |world: &World, ids: std::ops::Range<u32>| {
        let is_there =
            |name: &String| world.hub.streams().epoch(&StreamId::parse(name).unwrap()).is_some();
        names("m", ids).iter().filter(|name| is_there(name)).count()
    };
    let had = (of(&world, 0..50), of(&world, 100..150));
    world.limits.all_streams_bytes /= 4;
    world.declare(&["named", "l:{id}", "m:{id}"]);
    assert!(world.hub.streams().pinned().1 <= world.limits.all_streams_bytes, "at once");
    let has = (of(&world, 0..50), of(&world, 100..150));
    assert!(has.0.abs_diff(has.1) <= 3 && has.0 + has.1 >= 8, "{had:?}, {has:?}");
}

#[test]
fn those_whose_bytes_all_stay_do_not_shield_others() {
    let (fixed, loose) = (100, 100);
    let mut world = World::new(1_000, fixed * 3 + loose * 2);
    for who in 1..=fixed as Who {
        world.publish(who, &format!("d:{who}"), 3, true).unwrap();
    }
    for who in 1_001..=1_000 + loose as Who {
        world.publish(who, &format!("f:{who}"), 2, true).unwrap();
    }
    world.publish(2_000, "f:modest", 1, true).expect("others have more, and it need not stay");
}

#[test]
fn nobody_keeps_a_stream_by_watching_it_on_many_connections_of_their_own() {
    let mut world = World::new(MOST, 1_500);
    let mut taken = 0;
    for name in names("f", 0..60) {
        let watches =
            |of: u32| world.watch_on(ConnId::new(1_000 + of, 1), 1, std::slice::from_ref(&name));
        taken += usize::from((0..10u32).map(watches).all(|answer| answer.is_ok()));
    }
    assert_eq!(taken, 20, "of 39");
    // What is left, and a few of theirs.
    for who in [2, 3] {
        for name in names("f", who * 100..who * 100 + 8) {
            world.watch(who, 0, &[name]).expect("another has more");
        }
    }
}

#[test]
fn a_publication_that_is_refused_takes_no_stream() {
    let mut world = World::new(20, 100);
    world.publish(1, "named", 90, true).expect("it stays for good");
    for who in 2..10 {
        for name in names("f", 100 * who..100 * who + 12) {
            let _ = world.watch(who, 0, &[name]);
        }
    }
    let all = |world: &World| (2..10).map(|who| world.has(who)).collect::<Vec<_>>();
    let before = all(&world);
    assert!(world.staying() == 20, "all places are taken");
    for name in names("d", 0..20) {
        let refusal = world.publish(30, &name, 60, true).unwrap_err();
        assert_eq!(refusal.limit_name, Some("all_streams_bytes"));
    }
    assert_eq!(all(&world), before, "nobody loses a stream for what is refused");
}
