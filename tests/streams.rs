//! Streams against a slow, obvious model: each subscriber gets a snapshot and then every change in
//! order, with gaps only where they are declared.

use parlor::base::declaration::{Declaration, Keep};
use parlor::base::filter::{Compare, Condition, Filter};
use parlor::base::limits::EVENT_BYTES;
use parlor::base::pattern::Pattern;
use parlor::base::subscription::{Ask, Form, StreamSnapshot};
use parlor::base::{
    Answer, Chance, ConnId, Data, Effect, Effects, Limits, Moment, Notice, Now, Origin, Outcome,
    Priority, PublicationId, Record, RefusalCode, Snapshot, StoreChange, StreamEvent, StreamId,
    StreamRights, StreamState, Timestamp, Told, Tree, UserId,
};
use parlor::hub::streams::{Publisher, StreamSettings};
use parlor::hub::{Census, Hub, Input, Settings};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::num::NonZeroU32;
use std::sync::Arc;

const STREAMS: &[&str] = &["state", "log", "slow:1", "slow:2", "slow_state"];
const LOG_EVENTS: u32 = 6;

fn declarations() -> Vec<Arc<Declaration>> {
    let declare = |pattern: &str, keep, max_rate| {
        let mut declaration = Declaration::new(Pattern::parse(pattern).unwrap());
        (declaration.keep, declaration.max_rate) = (keep, max_rate);
        (declaration.publish, declaration.ack) = (true, true);
        Arc::new(declaration)
    };
    let mut state = declare("state", Keep::Latest, None);
    Arc::make_mut(&mut state).priority = Priority::High;
    vec![
        state,
        declare("log", Keep::Log(LOG_EVENTS), None),
        declare("slow:{id}", Keep::Log(LOG_EVENTS), Some(10)),
        declare("slow_state", Keep::Latest, Some(10)),
    ]
}

/// Data here are integers.
fn read(text: &str) -> Option<Tree> {
    text.parse().ok().map(Tree::Integer)
}

fn number(data: &Data) -> i64 {
    match data {
        Data::Json(text) => text.parse().unwrap(),
        Data::Binary(_) => panic!("there are no bytes here"),
    }
}

fn stream(name: &str) -> StreamId {
    StreamId::parse(name).unwrap()
}

/// Only numbers from `bound` on.
fn from(bound: i64) -> Arc<Filter> {
    let compare =
        Compare::Ordered(parlor::base::filter::Order::GreaterOrEqual, Tree::Integer(bound));
    Arc::new(Filter::new(vec![Condition::new("", compare).unwrap()]))
}

/// What one subscriber knows.
#[derive(Debug, Default)]
struct Watcher {
    /// The last event that came, and all that did.
    last: u64,
    seen: BTreeSet<u64>,
    bound: Option<i64>,
    /// Events up to here are of no concern: they were before the subscription.
    from: u64,
    /// Events of which it is known that they did not come.
    skipped: u64,
    is_paced: bool,
    times: Vec<u64>,
}

struct World {
    hub: Hub,
    effects: Effects,
    now: u64,
    wake: BTreeSet<u64>,
    /// All that was ever published.
    published: BTreeMap<&'static str, Vec<i64>>,
    watchers: BTreeMap<(usize, &'static str), Watcher>,
    /// Frames that fit the outbox of each connection before it is full.
    room: BTreeMap<usize, usize>,
    wants_room: BTreeSet<usize>,
    /// Whose events may be looked into later, some time.
    wants_scan: BTreeSet<usize>,
    too_slow: BTreeSet<usize>,
}

impl World {
    fn new() -> World {
        World::within(&Limits::default())
    }

    fn within(limits: &Limits) -> World {
        let settings = StreamSettings::new(declarations(), read, limits);
        let settings = Settings::from(limits).streams(settings);
        World {
            hub: Hub::new(settings, Snapshot::default(), 7),
            effects: Effects::default(),
            now: 1_000,
            wake: BTreeSet::new(),
            published: BTreeMap::new(),
            watchers: BTreeMap::new(),
            room: BTreeMap::new(),
            wants_room: BTreeSet::new(),
            wants_scan: BTreeSet::new(),
            too_slow: BTreeSet::new(),
        }
    }

    fn conn(of: usize) -> ConnId {
        ConnId::new(of as u32, 1)
    }

    fn rights() -> StreamRights {
        StreamRights { is_user: true, publishes_all: true, ..StreamRights::default() }
    }

    /// Hands an input to the hub, and does what it wants; returns the answers.
    fn give(&mut self, input: Input) -> Vec<Result<Answer, RefusalCode>> {
        let mut answers = Vec::new();
        let mut inputs = vec![input];
        while !inputs.is_empty() {
            let input = inputs.remove(0);
            let now = Now {
                moment: Moment::from_millis(self.now),
                timestamp: Timestamp(self.now as i64),
                age_by: Timestamp(self.now as i64),
            };
            let mut effects = std::mem::take(&mut self.effects);
            effects.clear();
            self.hub.handle(now, input, &mut effects);
            let mut refused = BTreeSet::new();
            for effect in &effects.list {
                match effect {
                    Effect::Answer { answer, .. } => {
                        if let Ok(Answer::Subscribed(streams)) = answer {
                            self.subscribed(streams);
                        }
                        answers.push(answer.clone().map_err(|refusal| refusal.code));
                    }
                    Effect::Deliver { recipients, notice } => {
                        let Notice::Event { stream, event, prev, source, .. } = notice else {
                            panic!("{notice:?}")
                        };
                        for conn in &effects.recipients[recipients.clone()] {
                            let of = conn.index();
                            let room = self.room.entry(of).or_insert(3);
                            if refused.contains(&(of, *source)) {
                            } else if *room == 0 {
                                refused.insert((of, *source));
                                self.wants_room.insert(of);
                                let (source, seq, prev) = (*source, event.seq, *prev);
                                let missed = Input::EventMissed { conn: *conn, source, seq, prev };
                                inputs.push(missed);
                            } else {
                                *room -= 1;
                                self.told(
                                    of,
                                    stream.as_str(),
                                    event.seq,
                                    *prev,
                                    number(&event.data),
                                );
                            }
                        }
                    }
                    Effect::TellDrained { conn } => {
                        self.wants_room.insert(conn.index());
                    }
                    Effect::WakeAt(at) => {
                        self.wake.insert(at.as_millis());
                    }
                    Effect::TooSlow { conn } => {
                        self.too_slow.insert(conn.index());
                    }
                    Effect::Skipped { conn, .. } => {
                        let watcher = self.watchers.get_mut(&(conn.index(), "state"));
                        watcher.expect("somebody who watches a state").skipped += 1;
                    }
                    Effect::WaitToScan { conn } => {
                        self.wants_scan.insert(conn.index());
                    }
                    Effect::TakeBack { .. } | Effect::Scanned { .. } => {}
                    other => panic!("{other:?}"),
                }
            }
            self.effects = effects;
        }
        // Whoever is closed for being slow is gone with all that it watched.
        for of in std::mem::take(&mut self.too_slow) {
            let lagging = self.watchers.iter().any(|((one, name), watcher)| {
                *one == of && *name == "log" && {
                    let head = self.published.get(name).map_or(0, Vec::len) as u64;
                    watcher.seen.iter().max().copied().unwrap_or(watcher.from)
                        < head.saturating_sub(u64::from(LOG_EVENTS))
                }
            });
            assert!(lagging, "closed for being slow without a reason");
            self.watchers.retain(|(one, _), _| *one != of);
            self.give(Input::Disconnected { conn: World::conn(of) });
        }
        answers
    }

    fn subscribed(&mut self, streams: &[parlor::base::subscription::Subscribed]) {
        for one in streams {
            let name = STREAMS.iter().find(|name| **name == one.stream.as_str()).unwrap();
            let published = self.published.get(name).cloned().unwrap_or_default();
            assert_eq!(one.seq as usize, published.len(), "the head of {name}");
            let Some(watcher) = self
                .watchers
                .iter_mut()
                .find(|((_, of), watcher)| of == name && watcher.from == u64::MAX)
            else {
                continue;
            };
            let watcher = watcher.1;
            let passes =
                |seq: u64| watcher.bound.is_none_or(|bound| published[seq as usize - 1] >= bound);
            match &one.snapshot {
                Some(StreamSnapshot::Latest(event)) => {
                    assert_eq!(
                        (event.seq, number(&event.data)),
                        (one.seq, published[one.seq as usize - 1])
                    );
                    assert!(passes(event.seq));
                }
                Some(StreamSnapshot::Log(events)) => {
                    let first = one.seq.saturating_sub(u64::from(LOG_EVENTS)) + 1;
                    let wanted: Vec<u64> = (first..=one.seq).filter(|seq| passes(*seq)).collect();
                    assert_eq!(events.iter().map(|event| event.seq).collect::<Vec<_>>(), wanted);
                }
                None => {}
            }
            watcher.from = if one.replayed == Some(true) { watcher.last } else { one.seq };
            if one.replayed != Some(true) {
                watcher.last = if one.snapshot.is_some() { one.seq } else { 0 };
            }
            if watcher.is_paced && one.snapshot.is_some() {
                watcher.times.push(self.now);
            }
        }
    }

    fn told(&mut self, of: usize, name: &str, seq: u64, prev: u64, data: i64) {
        let name = STREAMS.iter().find(|one| **one == name).unwrap();
        let watcher = self.watchers.get_mut(&(of, name)).expect("somebody who watches");
        assert_eq!(self.published[name][seq as usize - 1], data, "{name} {seq}");
        assert!(seq > watcher.from && watcher.seen.insert(seq), "{name} {seq} of {of}, again");
        assert!(
            watcher.seen.iter().next_back() == Some(&seq),
            "{name} {seq} of {of}, out of order"
        );
        assert_eq!(prev, watcher.last, "{name} {seq} of {of}: what was sent before");
        assert!(watcher.bound.is_none_or(|bound| data >= bound), "what the filter keeps out");
        watcher.last = seq;
        if watcher.is_paced {
            watcher.times.push(self.now);
        }
    }

    fn publish(&mut self, name: &'static str, data: i64) {
        self.published.entry(name).or_default().push(data);
        let seq = self.published[name].len() as u64;
        let answers = self.give(Input::Publish {
            origin: Origin::Call(1),
            publisher: Publisher::Client(World::rights(), None),
            stream: stream(name),
            data: Data::Json(data.to_string().into()),
            id: None,
        });
        let (stream, ts) = (stream(name), Timestamp(self.now as i64));
        assert_eq!(answers, [Ok(Answer::Published { stream, seq, ts, duplicate: false })]);
    }

    fn subscribe(&mut self, of: usize, name: &'static str, bound: Option<i64>, since: Option<u64>) {
        let head = self.published.get(name).map_or(0, Vec::len) as u64;
        let first = head.saturating_sub(u64::from(LOG_EVENTS.min(if name.ends_with("state") {
            1
        } else {
            LOG_EVENTS
        }))) + 1;
        let watcher = Watcher {
            last: since.unwrap_or(0),
            bound,
            from: u64::MAX,
            is_paced: name.starts_with("slow"),
            ..Watcher::default()
        };
        self.watchers.insert((of, name), watcher);
        let ask = Ask {
            stream: stream(name),
            filter: bound.map(from),
            max_rate: None,
            since,
            epoch: None,
        };
        let answers = self.give(Input::Subscribe {
            by: (World::conn(of), Some("1".into())),
            rights: World::rights(),
            holder: None,
            form: Form::Envelope,
            asks: vec![ask],
        });
        let [Ok(Answer::Subscribed(streams))] = &answers[..] else { panic!("{answers:?}") };
        let expected = since.map(|since| since <= head && since + 1 >= first);
        assert_eq!(streams[0].replayed, expected, "{name} since {since:?} of {head}");
    }

    fn unsubscribe(&mut self, of: usize, name: &'static str) {
        let was = self.watchers.remove(&(of, name)).is_some();
        let by = (World::conn(of), Some("1".into()));
        let answers = self.give(Input::Unsubscribe { by, streams: vec![stream(name)] });
        let [Ok(Answer::Unsubscribed(ended))] = &answers[..] else { panic!("{answers:?}") };
        assert_eq!(ended.len(), usize::from(was));
    }

    fn disconnect(&mut self, of: usize) {
        self.watchers.retain(|(one, _), _| *one != of);
        self.wants_room.remove(&of);
        self.wants_scan.remove(&of);
        self.room.remove(&of);
        self.give(Input::Disconnected { conn: World::conn(of) });
    }

    fn drain(&mut self, of: usize, frames: usize) {
        *self.room.entry(of).or_insert(3) += frames;
        if self.wants_room.remove(&of) {
            self.give(Input::Drained { conn: World::conn(of) });
        }
    }

    fn scan(&mut self, of: usize) {
        if self.wants_scan.remove(&of) {
            self.give(Input::Scan { conn: World::conn(of) });
        }
    }

    fn wait(&mut self, millis: u64) {
        let end = self.now + millis;
        while let Some(at) = self.wake.first().copied().filter(|at| *at <= end) {
            self.wake.pop_first();
            self.now = self.now.max(at);
            self.give(Input::Woken);
        }
        self.now = end;
    }

    /// Everybody reads all there is, and all the time that is needed passes.
    fn settle(&mut self) {
        for _ in 0..200 {
            for of in 0..3 {
                self.drain(of, 50);
                self.scan(of);
            }
            self.wait(100);
        }
        for ((of, name), watcher) in &self.watchers {
            let published = self.published.get(name).cloned().unwrap_or_default();
            let head = published.len() as u64;
            let wanted: Vec<u64> = (watcher.from + 1..=head)
                .filter(|seq| {
                    watcher.bound.is_none_or(|bound| published[*seq as usize - 1] >= bound)
                })
                .collect();
            let seen: Vec<u64> = watcher.seen.iter().copied().collect();
            match *name {
                "log" => assert_eq!(seen, wanted, "of {name}, {of} has seen"),
                "state" => {
                    let told = seen.len() as u64 + watcher.skipped;
                    assert_eq!(told, wanted.len() as u64, "of {name}, {of} has seen or skipped");
                }
                _ => assert!(seen.iter().all(|seq| wanted.contains(seq))),
            }
            // Of a state the newest that passes, whatever came behind it.
            if name.ends_with("state") {
                assert_eq!(seen.last(), wanted.last(), "of {name}, {of} has seen last");
            }
            if name.starts_with("slow") {
                // What a filter lets through may have left the log before the rate let it go; the newest event
                // has not.
                let is_newest = wanted.last() == Some(&head);
                if is_newest || watcher.bound.is_none() {
                    assert_eq!(seen.last(), wanted.last(), "of {name}, {of} has seen last");
                }
                for (place, start) in watcher.times.iter().enumerate() {
                    let within = watcher.times[place..].iter().filter(|at| **at < start + 1_000);
                    assert!(within.count() <= 11, "more than ten a second: {:?}", watcher.times);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn everybody_sees_what_they_should_in_order(seed in any::<u64>()) {
        let mut chance = Chance::new(seed);
        let mut world = World::new();
        for _ in 0..150 {
            let of = chance.below(3) as usize;
            let name = STREAMS[chance.below(STREAMS.len() as u64) as usize];
            match chance.below(12) {
                0..5 => world.publish(name, chance.below(10) as i64),
                5 => {
                    let bound = (chance.below(2) == 0).then(|| chance.below(10) as i64);
                    let head = world.published.get(name).map_or(0, Vec::len) as u64;
                    let since = (chance.below(2) == 0).then(|| chance.below(head + 2));
                    world.subscribe(of, name, bound, since);
                }
                6 => world.unsubscribe(of, name),
                7 if chance.below(4) == 0 => world.disconnect(of),
                7..9 => world.drain(of, chance.below(4) as usize),
                9 => world.scan(of),
                _ => world.wait(chance.below(150)),
            }
            let (counts, census) = (world.hub.counts(), world.hub.census());
            prop_assert_eq!(counts.subscriptions, census.subscriptions);
        }
        world.settle();
        for of in 0..3 {
            world.disconnect(of);
        }
        world.wait(10_000);
        prop_assert_eq!(world.hub.census(), Census::default());
    }
}

#[test]
fn what_is_watched_goes_on_when_more_is_asked_for_than_there_is_room_for() {
    // Three are declared by their names, so that there is room for one of the family.
    let mut world = World::within(&Limits { streams: 4, ..Limits::default() });
    world.subscribe(0, "log", None, None);
    world.subscribe(1, "slow:1", None, None);
    let ask = |name: &str| Ask {
        stream: stream(name),
        filter: None,
        max_rate: None,
        since: None,
        epoch: None,
    };
    let answers = world.give(Input::Subscribe {
        by: (World::conn(0), Some("1".into())),
        rights: World::rights(),
        holder: None,
        form: Form::Envelope,
        asks: vec![ask("log"), ask("slow:2")],
    });
    assert_eq!(answers, [Err(RefusalCode::Quota)]);
    world.publish("log", 7);
    assert!(world.watchers[&(0, "log")].seen.contains(&1), "the log is not watched any more");
}

#[test]
fn who_was_too_slow_is_fed_what_has_a_higher_priority_first() {
    let mut world = World::new();
    world.subscribe(0, "log", None, None);
    world.subscribe(0, "state", None, None);
    world.room.insert(0, 0);
    world.publish("log", 1);
    world.publish("state", 2);
    world.drain(0, 1);
    assert!(world.watchers[&(0, "state")].seen.contains(&1), "it is there");
    assert!(!world.watchers[&(0, "log")].seen.contains(&1), "there was room for one");
    world.drain(0, 1);
    assert!(world.watchers[&(0, "log")].seen.contains(&1));
}

#[test]
fn who_waits_for_what_is_looked_into_has_it_also_where_that_is_a_state_from_now_on() {
    for declares in [true, false] {
        let mut world = World::new();
        for data in 1..=3 {
            world.publish("log", data);
        }
        world.subscribe(0, "log", Some(2), Some(0));
        assert_eq!(world.wants_scan.len(), 1, "it is not looked into unasked");
        assert!(world.watchers[&(0, "log")].seen.is_empty());
        if declares {
            let mut declared = declarations();
            for one in declared.iter_mut().filter(|one| one.pattern.as_str() == "log") {
                Arc::make_mut(one).keep = Keep::Latest;
            }
            let limits = Limits::default();
            let settings = StreamSettings::new(declared, read, &limits);
            let settings = Settings::from(&limits).streams(settings);
            world.hub.reconfigure_all(&settings);
            world.hub.reconfigure(settings);
            world.give(Input::Redeclared);
        }
        world.scan(0);
        world.drain(0, 10);
        let seen: Vec<u64> = world.watchers[&(0, "log")].seen.iter().copied().collect();
        assert_eq!(seen, if declares { vec![3] } else { vec![2, 3] });
    }
}

/// A family that is polled, and for which connection each of its streams is, as the hub has told it.
struct Polled {
    hub: Hub,
    polled_for: BTreeMap<StreamId, usize>,
}

impl Polled {
    fn declared(family: &str, has_feed: bool) -> Settings {
        let limits = Limits::default();
        let mut declaration = Declaration::new(Pattern::parse(family).unwrap());
        declaration.has_feed = has_feed;
        let settings = StreamSettings::new(vec![Arc::new(declaration)], read, &limits);
        Settings::from(&limits).streams(settings)
    }

    fn new() -> Polled {
        let hub = Hub::new(Polled::declared("p:{id}", true), Snapshot::default(), 7);
        Polled { hub, polled_for: BTreeMap::new() }
    }

    /// How often it has told something.
    fn give(&mut self, input: Input) -> usize {
        let timestamp = Timestamp(9);
        let now = Now { moment: Moment::from_millis(9), timestamp, age_by: timestamp };
        let mut effects = Effects::default();
        self.hub.handle(now, input, &mut effects);
        let told = effects.list.iter().filter_map(|effect| match effect {
            Effect::Watched { stream, by } => Some((stream.clone(), *by)),
            _ => None,
        });
        let told: Vec<_> = told.collect();
        for (stream, by) in &told {
            match by {
                Some(conn) => self.polled_for.insert(stream.clone(), conn.index()),
                None => self.polled_for.remove(stream),
            };
        }
        told.len()
    }

    fn redeclare(&mut self, family: &str, has_feed: bool) -> usize {
        let settings = Polled::declared(family, has_feed);
        self.hub.reconfigure_all(&settings);
        self.hub.reconfigure(settings);
        self.give(Input::Redeclared)
    }

    /// A connection of whoever has this number watches a stream.
    fn watch(&mut self, of: usize, who: u32) -> usize {
        let ask =
            Ask { stream: stream("p:1"), filter: None, max_rate: None, since: None, epoch: None };
        let (by, holder) = ((World::conn(of), None), NonZeroU32::new(who));
        let (rights, form) = (World::rights(), Form::Envelope);
        self.give(Input::Subscribe { by, rights, holder, form, asks: vec![ask] })
    }

    fn leave(&mut self, of: usize) -> usize {
        let by = (World::conn(of), None);
        self.give(Input::Unsubscribe { by, streams: vec![stream("p:1")] })
    }

    fn is_for(&self) -> Option<usize> {
        self.polled_for.get(&stream("p:1")).copied()
    }
}

#[test]
fn a_polled_stream_is_for_who_watched_it_first_and_then_for_another_who_still_does() {
    let (ada, bob, eve) = (1, 2, 3);
    let mut polled = Polled::new();
    polled.watch(5, ada);
    polled.watch(1, bob);
    polled.watch(4, ada);
    polled.watch(3, eve);
    polled.watch(9, eve);
    assert_eq!(polled.is_for(), Some(5));
    assert_eq!((polled.leave(5), polled.is_for()), (1, Some(4)), "hers, too");
    assert_eq!(polled.watch(5, ada), 0);
    assert_eq!((polled.watch(4, ada), polled.is_for()), (0, Some(4)), "asked for again it stays");
    assert_eq!((polled.redeclare("p:{id}", true), polled.is_for()), (1, Some(4)));
    assert_eq!(polled.leave(1), 0, "nobody is told of others who end");
    polled.watch(1, bob);
    polled.leave(5);
    polled.give(Input::Disconnected { conn: World::conn(4) });
    assert_eq!(polled.is_for(), Some(9), "none of ada's is left");
    let (conn, holder) = (World::conn(9), NonZeroU32::new(bob));
    polled.give(Input::RightsChanged { conn, rights: World::rights(), holder });
    assert_eq!(polled.is_for(), Some(3), "9 is bob's now, and this is still eve's");
    polled.leave(3);
    polled.leave(9);
    assert_eq!((polled.leave(1), polled.is_for()), (1, None));
    assert_eq!((polled.watch(1, bob), polled.is_for()), (1, Some(1)), "it begins again");
}

#[test]
fn a_polled_stream_that_is_declared_otherwise_is_for_nobody_and_for_none_on_the_way() {
    let mut polled = Polled::new();
    for of in 0..4 {
        polled.watch(of, of as u32 + 1);
    }
    polled.redeclare("p:{id}", false);
    polled.leave(0);
    assert_eq!((polled.redeclare("p:{id}", true), polled.is_for()), (1, Some(3)));
    assert_eq!((polled.redeclare("q:{id}", true), polled.is_for()), (1, None));
}

/// A hub with a durable log, and what it has handed over.
struct Durable {
    hub: Hub,
    effects: Effects,
    /// Under way to the store, by ticket.
    records: HashMap<u64, Record>,
}

impl Durable {
    fn begin(streams: Vec<StreamState>) -> Durable {
        let stored = Snapshot { streams, ..Snapshot::default() };
        let hub = Hub::new(Durable::declared(true), stored, 7);
        Durable { hub, effects: Effects::default(), records: HashMap::new() }
    }

    fn declared(is_durable: bool) -> Settings {
        Durable::declared_with(is_durable, Some(100))
    }

    fn declared_with(is_durable: bool, stale_ms: Option<u32>) -> Settings {
        let limits = Limits::default();
        let mut declaration = Declaration::new(Pattern::parse("journal").unwrap());
        (declaration.keep, declaration.publish) = (Keep::Log(3), true);
        declaration.durable = is_durable;
        declaration.stale_ms = stale_ms;
        let settings = StreamSettings::new(vec![Arc::new(declaration)], read, &limits);
        Settings::from(&limits).streams(settings)
    }

    fn redeclare(&mut self, is_durable: bool) {
        let settings = Durable::declared(is_durable);
        self.hub.reconfigure_all(&settings);
        self.hub.reconfigure(settings);
        self.give(Input::Redeclared);
    }

    /// What comes of an input: texts, as there are answers and events of several kinds.
    fn give(&mut self, input: Input) -> Vec<String> {
        self.give_at(9, input)
    }

    fn give_at(&mut self, ms: u64, input: Input) -> Vec<String> {
        let timestamp = Timestamp(ms as i64);
        let now = Now { moment: Moment::from_millis(ms), timestamp, age_by: timestamp };
        self.effects.clear();
        self.hub.handle(now, input, &mut self.effects);
        for effect in &self.effects.list {
            if let Effect::Persist { ticket, record } = effect {
                self.records.insert(*ticket, record.clone());
            }
        }
        let told = self.effects.list.iter().filter_map(|effect| match effect {
            Effect::Answer { answer: Ok(Answer::Published { seq, duplicate, .. }), .. } => {
                Some(format!("published {seq}{}", if *duplicate { " before" } else { "" }))
            }
            Effect::Answer { answer: Ok(Answer::Subscribed(streams)), .. } => {
                let one = &streams[0];
                let old =
                    one.stale.map_or(String::new(), |stale| format!(", {} ms old", stale.age_ms));
                Some(format!("from {} of {}, {:?}{old}", one.seq, one.epoch, one.replayed))
            }
            Effect::Answer { answer: Err(refusal), .. } => Some(format!("{:?}", refusal.code)),
            Effect::Deliver { notice: Notice::Event { event, prev, .. }, .. } => {
                Some(format!("event {} after {prev}: {}", event.seq, number(&event.data)))
            }
            Effect::Deliver { notice: Notice::Unsubscribed { .. }, .. } => {
                Some("unsubscribed".to_owned())
            }
            Effect::Deliver { notice: Notice::Age { age, .. }, .. } => {
                Some(age.map_or("heard of".to_owned(), |age| format!("stale, {} ms", age.age_ms)))
            }
            Effect::Persist { record: Record::Event { epoch, keep, id, .. }, .. } => {
                let named = id.as_ref().map_or(String::new(), |id| format!(", named {}", id.id));
                Some(format!("store in {epoch}, keep {keep}{named}"))
            }
            _ => None,
        });
        told.collect()
    }

    fn publish(&mut self, data: i64) -> Vec<String> {
        self.publish_named(data, None)
    }

    fn publish_named(&mut self, data: i64, id: Option<&str>) -> Vec<String> {
        self.give(Input::Publish {
            origin: Origin::Call(1),
            publisher: Publisher::Client(World::rights(), None),
            stream: stream("journal"),
            data: Data::Json(data.to_string().into()),
            id: id.map(by_ada),
        })
    }

    fn subscribe(&mut self, since: Option<u64>, epoch: Option<&str>) -> Vec<String> {
        let (stream, epoch) = (stream("journal"), epoch.map(Into::into));
        self.give(Input::Subscribe {
            by: (World::conn(0), Some("1".into())),
            rights: World::rights(),
            holder: None,
            form: Form::Envelope,
            asks: vec![Ask { stream, filter: None, max_rate: None, since, epoch }],
        })
    }

    /// Tickets go up from 1.
    fn stored(&mut self, ticket: u64, seq: u64) -> Vec<String> {
        let Some(Record::Event { stream, data, id, .. }) = self.records.remove(&ticket) else {
            panic!("no event under way with {ticket}")
        };
        let event = StreamEvent { seq, ts: Timestamp(9), data, id };
        let change = StoreChange::Event { stream, epoch: "life".into(), event };
        self.give(Input::Told(Told::Changed { change, ticket: Some(ticket) }))
    }

    fn not_stored(&mut self, ticket: u64, outcome: Outcome) -> Vec<String> {
        self.give(Input::Told(Told::Answer { ticket, outcome }))
    }
}

fn by_ada(id: &str) -> Arc<PublicationId> {
    Arc::new(PublicationId { by: UserId::parse("ada").ok(), id: id.into() })
}

/// What a store has of the log.
fn journal(head: u64, events: &[i64]) -> StreamState {
    let first = head + 1 - events.len() as u64;
    let event = |(seq, data): (u64, &i64)| {
        let data = Data::Json(data.to_string().into());
        parlor::base::StreamEvent { seq, ts: Timestamp(5), data, id: None }
    };
    StreamState {
        stream: stream("journal"),
        epoch: "life".into(),
        head,
        ts: Timestamp(5),
        events: (first..).zip(events).map(event).collect(),
    }
}

#[test]
fn an_event_of_a_durable_stream_is_told_and_answered_when_it_is_stored() {
    let mut world = Durable::begin(vec![journal(4, &[40])]);
    assert_eq!(world.subscribe(None, None), ["from 4 of life, None"]);
    assert_eq!(world.publish(50), ["store in life, keep 3"]);
    assert_eq!(world.publish(60), ["store in life, keep 3"]);
    assert_eq!(world.publish(70), ["store in life, keep 3"]);
    assert_eq!(world.stored(1, 5), ["event 5 after 4: 50", "published 5"]);
    assert_eq!(world.not_stored(2, Outcome::Unavailable), ["Unavailable"]);
    assert_eq!(world.stored(3, 6), ["event 6 after 5: 70", "published 6"]);
}

#[test]
fn a_repeat_of_a_durable_streams_event_is_answered_and_told_to_nobody() {
    let mut world = Durable::begin(vec![journal(4, &[40])]);
    assert_eq!(world.subscribe(None, None), ["from 4 of life, None"]);
    // The second comes while the first is still on its way to the store, which alone knows.
    for _ in 0..2 {
        assert_eq!(world.publish_named(50, Some("a")), ["store in life, keep 3, named a"]);
    }
    assert_eq!(world.stored(1, 5), ["event 5 after 4: 50", "published 5"]);
    assert_eq!(
        world.not_stored(2, Outcome::Earlier { seq: 5, ts: Timestamp(9) }),
        ["published 5 before"]
    );
    world.publish_named(60, Some("b"));
    world.publish_named(61, Some("b"));
    assert_eq!(world.stored(3, 6), ["event 6 after 5: 60", "published 6"]);
    assert_eq!(world.not_stored(4, Outcome::Mismatch), ["DuplicateMismatch"]);
    // What is in memory needs no store, nor room.
    assert_eq!(world.publish_named(50, Some("a")), ["published 5 before"]);
    assert_eq!(world.publish_named(51, Some("a")), ["DuplicateMismatch"]);
    assert_eq!(world.publish(70), ["store in life, keep 3"]);
    assert_eq!(world.stored(5, 7), ["event 7 after 6: 70", "published 7"]);
}

#[test]
fn what_was_published_before_a_restart_is_known_where_it_is_in_memory() {
    let mut before = journal(4, &[30, 40]);
    before.events[1].id = Some(by_ada("a"));
    let mut world = Durable::begin(vec![before]);
    assert_eq!(world.publish_named(40, Some("a")), ["published 4 before"]);
    assert_eq!(world.publish_named(30, Some("b")), ["store in life, keep 3, named b"]);
}

#[test]
fn a_repeat_is_known_in_memory_as_long_as_the_stream_keeps_the_first() {
    let mut world = Durable::begin(Vec::new());
    world.redeclare(false);
    world.subscribe(None, None);
    assert_eq!(world.publish_named(1, Some("a")), ["event 1 after 0: 1", "published 1"]);
    assert_eq!(world.publish_named(1, Some("a")), ["published 1 before"]);
    assert_eq!(world.publish_named(2, Some("a")), ["DuplicateMismatch"]);
    assert_eq!(world.publish_named(2, Some("b")), ["event 2 after 1: 2", "published 2"]);
    for number in [3, 4] {
        world.publish(number);
    }
    assert_eq!(world.publish_named(2, Some("b")), ["published 2 before"], "three are kept");
    assert_eq!(world.publish_named(1, Some("a")), ["event 5 after 4: 1", "published 5"]);
}

#[test]
fn a_stream_that_has_no_room_for_its_first_event_is_not_there_afterwards() {
    let mut world =
        World::within(&Limits { all_streams_bytes: 2 + EVENT_BYTES, ..Limits::default() });
    world.publish("log", 10);
    for _ in 0..3 {
        for name in ["slow:1", "slow:2"] {
            let answers = world.give(Input::Publish {
                origin: Origin::Call(1),
                publisher: Publisher::Client(World::rights(), None),
                stream: stream(name),
                data: Data::Json("7".into()),
                id: None,
            });
            assert_eq!(answers, [Err(RefusalCode::Quota)]);
        }
    }
    let (streams, _) = world.hub.streams().counts();
    assert_eq!(streams, 3, "those that are declared by their names");
}

#[test]
fn who_watches_is_told_when_nothing_was_heard_of_a_stream_for_too_long() {
    let mut world = Durable::begin(Vec::new());
    world.redeclare(false);
    world.subscribe(None, None);
    let watch_as = |conn, form| Input::Subscribe {
        by: (World::conn(conn), Some("1".into())),
        rights: World::rights(),
        holder: None,
        form,
        asks: vec![Ask {
            stream: stream("journal"),
            filter: None,
            max_rate: None,
            since: None,
            epoch: None,
        }],
    };
    let watch = |conn| watch_as(conn, Form::Envelope);
    let nothing = [""; 0];
    assert_eq!(world.give_at(108, Input::Woken), nothing);
    assert_eq!(world.give_at(109, Input::Woken), ["stale, 100 ms"]);
    assert_eq!(world.give_at(500, Input::Woken), nothing, "once");
    // Whoever comes is told by the answer, the others not again.
    assert!(world.give_at(600, watch(1))[0].ends_with(", 591 ms old"));
    let heard = || Input::Heard { stream: stream("journal") };
    assert_eq!(world.give_at(700, heard()), ["heard of"]);
    assert_eq!(world.give_at(750, heard()), nothing);
    assert_eq!(world.give_at(800, Input::Woken), nothing, "50 ms are left");
    assert_eq!(world.give_at(850, Input::Woken), ["stale, 100 ms"]);
    // It did not fit the outbox of one, who is told how it is when there is room.
    let source = world.effects.list.iter().find_map(|effect| match effect {
        Effect::Deliver { notice: Notice::Age { source, .. }, .. } => Some(*source),
        _ => None,
    });
    let missed = Input::AgeMissed { conn: World::conn(0), source: source.unwrap() };
    assert_eq!(world.give_at(851, missed), nothing);
    assert_eq!(world.give_at(860, Input::Drained { conn: World::conn(0) }), ["stale, 110 ms"]);
    assert_eq!(world.give_at(861, Input::Drained { conn: World::conn(0) }), nothing);
    // It is not stale any more before the event comes.
    let event = Input::Publish {
        origin: Origin::Call(1),
        publisher: Publisher::Client(World::rights(), None),
        stream: stream("journal"),
        data: Data::Json("1".into()),
        id: None,
    };
    assert_eq!(world.give_at(900, event), ["heard of", "event 1 after 0: 1", "published 1"]);
    // Just when the time has come somebody comes, too: the others are told first.
    let told = world.give_at(1_000, watch(2));
    assert_eq!((&*told[0], told.len()), ("stale, 100 ms", 2), "{told:?}");
    // What is declared anew, and no other, is no news.
    let settings = Durable::declared(false);
    world.hub.reconfigure_all(&settings);
    world.hub.reconfigure(settings);
    assert_eq!(world.give_at(1_001, Input::Redeclared), nothing);
    // It is not to be waited for any more, and then it is.
    let settings = Durable::declared_with(false, Some(0));
    world.hub.reconfigure_all(&settings);
    world.hub.reconfigure(settings);
    assert_eq!(world.give_at(1_001, Input::Redeclared), ["heard of"]);
    assert_eq!(world.give_at(1_001, heard()), nothing, "once");
    let settings = Durable::declared(false);
    world.hub.reconfigure_all(&settings);
    world.hub.reconfigure(settings);
    assert_eq!(world.give_at(1_001, Input::Redeclared), nothing);
    assert_eq!(world.give_at(1_101, Input::Woken), ["stale, 100 ms"]);
    // Whoever speaks nothing has no answer: it is told behind what is kept.
    let told = world.give_at(1_103, watch_as(3, Form::Plain));
    assert_eq!(
        (&*told[1], &*told[2], told.len()),
        ("event 1 after 0: 1", "stale, 102 ms", 3),
        "{told:?}"
    );
    for conn in 0..4 {
        let by = (World::conn(conn), Some("2".into()));
        world.give_at(1_001, Input::Unsubscribe { by, streams: vec![stream("journal")] });
    }
    assert_eq!(world.give_at(2_000, Input::Woken), nothing, "nobody watches");
    assert_eq!(world.hub.census(), Census::default());
}

#[test]
fn what_comes_back_from_the_disk_is_as_old_as_its_newest_event() {
    let mut world = Durable::begin(vec![journal(4, &[40])]);
    let ask =
        Ask { stream: stream("journal"), filter: None, max_rate: None, since: None, epoch: None };
    let by = (World::conn(0), Some("1".into()));
    let (rights, form) = (World::rights(), Form::Envelope);
    let told =
        world.give_at(105, Input::Subscribe { by, rights, holder: None, form, asks: vec![ask] });
    assert_eq!(told, ["from 4 of life, None, 100 ms old"]);
}

#[test]
fn since_goes_on_behind_what_was_stored_in_an_earlier_life_of_the_server() {
    let mut world = Durable::begin(vec![journal(4, &[20, 30, 40])]);
    let told = world.subscribe(Some(2), Some("life"));
    assert_eq!(told, ["from 4 of life, Some(true)", "event 3 after 2: 30", "event 4 after 3: 40"]);
    assert_eq!(world.subscribe(Some(2), Some("other"))[0], "from 4 of life, Some(false)");
    assert_eq!(world.subscribe(Some(0), Some("life"))[0], "from 4 of life, Some(false)");
}

#[test]
fn what_is_under_way_when_a_stream_is_declared_anew_uses_its_number_and_no_other() {
    let mut world = Durable::begin(vec![journal(4, &[40])]);
    world.subscribe(None, None);
    world.publish(50);
    world.publish(60);
    world.redeclare(false);
    // It is another stream by now, in memory, with another life and numbers of its own.
    assert_eq!(world.publish(1), ["published 1"]);
    assert_eq!(world.stored(1, 5), ["published 5"]);
    world.redeclare(true);
    assert_eq!(world.subscribe(None, None), ["from 5 of life, None"]);
    assert_eq!(world.stored(2, 6), ["event 6 after 0: 60", "published 6"]);
    assert_eq!(world.publish(70), ["store in life, keep 3"]);
}

#[test]
fn the_first_event_of_a_durable_stream_that_is_declared_no_more_leaves_its_life_to_the_next() {
    let mut world = Durable::begin(Vec::new());
    let first = world.publish(10);
    world.redeclare(false);
    world.redeclare(true);
    assert_eq!(world.publish(20), first, "both are for one life");
}

#[test]
fn the_newest_event_that_passes_a_filter_is_told_although_the_state_has_changed_again() {
    let mut world = World::new();
    world.publish("slow_state", 1);
    world.subscribe(0, "slow_state", Some(5), None);
    for number in [6, 7, 8, 2] {
        world.publish("slow_state", number);
    }
    let seen =
        |world: &World| world.watchers[&(0, "slow_state")].seen.iter().copied().collect::<Vec<_>>();
    assert_eq!(seen(&world), [2], "the rate holds the others back");
    world.wait(1_000);
    assert_eq!(seen(&world), [2, 4], "8 is told, as nothing newer passes");
    // Whoever begins now is told nothing: what is there does not pass.
    world.subscribe(1, "slow_state", Some(5), None);
    world.settle();
    assert!(world.watchers[&(1, "slow_state")].seen.is_empty());

    // A slow reader is told it, too.
    world.subscribe(2, "state", Some(5), None);
    world.room.insert(2, 0);
    for number in [9, 1] {
        world.publish("state", number);
    }
    world.drain(2, 5);
    assert_eq!(world.watchers[&(2, "state")].seen.len(), 1);
    world.settle();
}

#[test]
fn what_is_kept_for_filters_counts_towards_the_bytes_of_a_stream_and_goes_with_them() {
    // Two numbers of a byte each fit.
    let mut world =
        World::within(&Limits { stream_bytes: 2 * (1 + EVENT_BYTES as u32), ..Limits::default() });
    for of in 0..3 {
        world.subscribe(of, "slow_state", Some([3, 5, 7][of]), None);
        world.publish("slow_state", 9);
        world.publish("slow_state", 9);
    }
    for number in [8, 6, 4, 2] {
        world.publish("slow_state", number);
    }
    assert_eq!(world.hub.streams().cut_events(), 2, "8 and 6 were kept for filters alone");
    world.wait(1_000);
    for of in 0..3 {
        world.disconnect(of);
    }
    world.wait(10_000);
    assert_eq!(world.hub.census(), Census::default());
}
