//! Streams of several hubs that hear late what others have decided: each watcher has every event, once and in order, as
//! with one hub.

use parlor::base::declaration::{Declaration, Keep};
use parlor::base::limits::STREAM_INBOX_MAX;
use parlor::base::pattern::Pattern;
use parlor::base::subscription::{Ask, Form, StreamSnapshot};
use parlor::base::{
    Answer, ConnId, Data, Effect, Effects, Limits, Moment, News, Notice, Now, Origin, Snapshot,
    StreamId, StreamRights, Told, Tree,
};
use parlor::hub::streams::{Publisher, StreamSettings};
use parlor::hub::{Common, Hub, Input, Settings};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const HUBS: usize = 3;
const CONNECTIONS: usize = 6;
const STREAMS: [&str; 2] = ["log", "state"];
const KEPT: u32 = 12;

#[derive(Clone, Copy, Debug)]
enum Step {
    Publish(usize, usize),
    /// A hub hears that something of streams waits for it.
    Hear(usize),
    /// A hub is told what its connections have missed.
    Settle(usize),
    /// From now on so many frames fit the outbox.
    Room(usize, usize),
    Watch(usize, usize),
    Leave(usize, usize),
}

struct Node {
    hub: Hub,
    told: Arc<AtomicU64>,
    news: usize,
    inputs: VecDeque<Input>,
    refused: BTreeSet<(ConnId, u32)>,
}

/// What a watcher knows of a stream.
#[derive(Debug)]
struct Watched {
    epoch: Arc<str>,
    last: u64,
}

struct World {
    nodes: Vec<Node>,
    room: Vec<usize>,
    wants_room: BTreeSet<usize>,
    watched: BTreeMap<(usize, usize), Watched>,
    known: BTreeMap<(usize, usize), (Arc<str>, u64)>,
    head: [u64; STREAMS.len()],
    too_slow: usize,
    /// Connections that are closed, of which their hub was not told.
    gone: BTreeSet<usize>,
}

fn name(stream: usize) -> StreamId {
    StreamId::parse(STREAMS[stream]).unwrap()
}

fn conn(of: usize) -> ConnId {
    ConnId::of_reactor((of % HUBS) as u32, (of / HUBS) as u32, 1)
}

fn rights() -> StreamRights {
    StreamRights { is_user: true, publishes_all: true, ..StreamRights::default() }
}

impl World {
    fn new() -> World {
        let declare = |stream: usize, keep| {
            let mut declaration = Declaration::new(Pattern::parse(STREAMS[stream]).unwrap());
            (declaration.keep, declaration.publish) = (keep, true);
            Arc::new(declaration)
        };
        let declared = vec![declare(0, Keep::Log(KEPT)), declare(1, Keep::Latest)];
        let limits = Limits::default();
        let settings = StreamSettings::new(declared, |_| Some(Tree::Integer(1)), &limits);
        let settings = Settings::from(&limits).streams(settings);
        let common = Common::new(&settings, Vec::new(), HUBS, 1);
        let node = |number: usize| {
            let mut hub = Hub::new(settings.clone(), Snapshot::default(), number as u64);
            let told = Arc::new(AtomicU64::new(0));
            hub.join_others(common.clone(), number, Arc::clone(&told));
            Node { hub, told, news: 0, inputs: VecDeque::new(), refused: BTreeSet::new() }
        };
        World {
            nodes: (0..HUBS).map(node).collect(),
            room: vec![usize::MAX; CONNECTIONS],
            wants_room: BTreeSet::new(),
            watched: BTreeMap::new(),
            known: BTreeMap::new(),
            head: [0; STREAMS.len()],
            too_slow: 0,
            gone: BTreeSet::new(),
        }
    }

    /// A hub is given what was missed before, and then this. What is missed of that it is told later, as other threads go
    /// on meanwhile.
    fn give(&mut self, hub: usize, input: Option<Input>) {
        let is_missed = |input: &Input| matches!(input, Input::EventMissed { .. });
        let (mut input, mut is_given) = (input, false);
        loop {
            let inputs = &mut self.nodes[hub].inputs;
            if inputs.is_empty() {
                self.nodes[hub].refused.clear();
                self.nodes[hub].inputs.extend(input.take());
                is_given = true;
            } else if is_given && inputs.iter().all(is_missed) {
                return;
            }
            let Some(input) = self.nodes[hub].inputs.pop_front() else { return };
            if let Input::Disconnected { conn } = &input {
                self.gone.remove(&(conn.index() * HUBS + hub));
            }
            let mut effects = Effects::default();
            let now = Now { moment: Moment::from_millis(1), ..Now::default() };
            self.nodes[hub].hub.handle(now, input, &mut effects);
            self.apply(hub, effects);
        }
    }

    /// What the server does with effects.
    fn apply(&mut self, hub: usize, effects: Effects) {
        for effect in effects.list {
            match effect {
                Effect::Deliver {
                    recipients,
                    notice: Notice::Event { stream, event, prev, source, .. },
                } => {
                    let stream = STREAMS.iter().position(|one| *one == stream.as_str()).unwrap();
                    for to in &effects.recipients[recipients] {
                        assert_eq!(to.reactor(), hub, "it is another hub's connection");
                        let of = to.index() * HUBS + hub;
                        if self.gone.contains(&of) {
                            continue;
                        }
                        let node = &mut self.nodes[hub];
                        if node.refused.contains(&(*to, source)) || self.room[of] == 0 {
                            node.refused.insert((*to, source));
                            let seq = event.seq;
                            let missed = Input::EventMissed { conn: *to, source, seq, prev };
                            node.inputs.push_back(missed);
                            self.wants_room.insert(of);
                            continue;
                        }
                        self.room[of] -= 1;
                        self.receives(of, stream, event.seq, prev);
                    }
                }
                Effect::TakeBack { conn: of, source: ended } => {
                    let node = &mut self.nodes[hub];
                    if node.refused.remove(&(of, ended)) {
                        node.inputs.retain(|input| {
                            !matches!(input, Input::EventMissed { conn, source, .. } if (*conn, *source) == (of, ended))
                        });
                    }
                }
                Effect::TellDrained { conn } => {
                    self.wants_room.insert(conn.index() * HUBS + hub);
                }
                Effect::Tell { hub: Some(to), news: News::Streams } => {
                    self.nodes[to].told.fetch_add(1, Ordering::Relaxed);
                    self.nodes[to].news += 1;
                }
                Effect::CatchUp => {
                    let told = Input::Told(Told::News(News::Streams));
                    let news = std::mem::take(&mut self.nodes[hub].news);
                    for _ in 0..news {
                        self.nodes[hub].inputs.push_back(told_again(&told));
                    }
                }
                Effect::TooSlow { conn } => {
                    let of = conn.index() * HUBS + hub;
                    self.watched.retain(|(one, _), _| *one != of);
                    self.known.retain(|(one, _), _| *one != of);
                    self.too_slow += 1;
                    self.gone.insert(of);
                    self.nodes[hub].inputs.push_back(Input::Disconnected { conn });
                }
                Effect::Answer {
                    origin: Origin::Conn(of, _),
                    answer: Ok(Answer::Subscribed(begun)),
                } => {
                    let of = of.index() * HUBS + hub;
                    let begun = begun.into_iter().next().unwrap();
                    let stream = STREAMS.iter().position(|one| *one == begun.stream.as_str());
                    self.begins(of, stream.unwrap(), begun);
                }
                Effect::Answer {
                    origin: Origin::Conn(of, _),
                    answer: Ok(Answer::Unsubscribed(ended)),
                } => {
                    let of = of.index() * HUBS + hub;
                    for ended in ended {
                        let stream = STREAMS.iter().position(|one| *one == ended.as_str()).unwrap();
                        let Watched { epoch, last } = self.watched.remove(&(of, stream)).unwrap();
                        self.known.insert((of, stream), (epoch, last));
                    }
                }
                Effect::Answer { answer: Ok(Answer::Published { stream, seq, .. }), .. } => {
                    let stream = STREAMS.iter().position(|one| *one == stream.as_str()).unwrap();
                    assert_eq!(seq, self.head[stream] + 1, "numbers are given out once");
                    self.head[stream] = seq;
                }
                Effect::Answer { answer, .. } => drop(answer.unwrap()),
                Effect::CaughtUp | Effect::WakeAt(_) | Effect::Watched { .. } => {}
                Effect::Skipped { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }

    fn begins(&mut self, of: usize, stream: usize, begun: parlor::base::subscription::Subscribed) {
        let mut last = self.known.get(&(of, stream)).map(|(_, last)| *last);
        if let Some(StreamSnapshot::Log(events)) = begun.snapshot {
            for event in events {
                let is_next = last.is_none_or(|last| event.seq == last + 1);
                assert!(is_next || begun.replayed != Some(true), "a hole in a snapshot");
                last = Some(event.seq);
            }
        }
        self.watched.insert((of, stream), Watched { epoch: begun.epoch, last: begun.position });
    }

    fn receives(&mut self, of: usize, stream: usize, seq: u64, prev: u64) {
        let Some(watched) = self.watched.get_mut(&(of, stream)) else {
            panic!("{of} gets {seq} of {}, which they do not watch", STREAMS[stream])
        };
        assert!(seq > watched.last, "{of} gets {seq} again: {watched:?}");
        if stream == 0 && watched.last > 0 {
            assert_eq!((seq, prev), (watched.last + 1, watched.last), "{of}: {watched:?}");
        }
        watched.last = seq;
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Publish(hub, stream) => {
                let (publisher, data) = (Publisher::Client(rights(), None), Data::Json("1".into()));
                let (origin, stream) = (Origin::Call(1), name(stream));
                self.give(hub, Some(Input::Publish { origin, publisher, stream, data, id: None }));
            }
            Step::Hear(hub) => {
                for _ in 0..std::mem::take(&mut self.nodes[hub].news) {
                    self.give(hub, Some(Input::Told(Told::News(News::Streams))));
                }
            }
            Step::Settle(hub) => self.give(hub, None),
            Step::Room(of, frames) => {
                self.room[of] = frames;
                if frames > 0 && self.wants_room.remove(&of) {
                    self.give(of % HUBS, Some(Input::Drained { conn: conn(of) }));
                }
            }
            Step::Watch(of, stream) => {
                let known = self.known.get(&(of, stream)).cloned();
                let (epoch, since) = known.map_or((None, None), |(epoch, seq)| {
                    (Some(epoch.to_string().into_boxed_str()), Some(seq))
                });
                let asks = vec![Ask { epoch, since, ..Ask::whole(name(stream)) }];
                let (by, form, holder) = ((conn(of), None), Form::Envelope, None);
                let rights = rights();
                self.give(of % HUBS, Some(Input::Subscribe { by, rights, holder, form, asks }));
            }
            Step::Leave(of, stream) => {
                let (by, streams) = ((conn(of), None), vec![name(stream)]);
                self.give(of % HUBS, Some(Input::Unsubscribe { by, streams }));
            }
        }
    }

    /// Everything is heard, and every outbox has room.
    fn comes_to_rest(&mut self) {
        for _ in 0..20 {
            for hub in 0..HUBS {
                self.step(Step::Settle(hub));
                self.step(Step::Hear(hub));
            }
            for of in 0..CONNECTIONS {
                self.step(Step::Room(of, usize::MAX));
            }
        }
        for ((of, stream), watched) in &self.watched {
            assert_eq!(watched.last, self.head[*stream], "{of} lacks something of {stream}");
        }
    }
}

fn told_again(told: &Input) -> Input {
    match told {
        Input::Told(told) => Input::Told(told.clone()),
        other => panic!("{other:?}"),
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (hub, of, stream) = (0..HUBS, 0..CONNECTIONS, 0..STREAMS.len());
    let step = prop_oneof![
        6 => (hub.clone(), stream.clone()).prop_map(|(hub, stream)| Step::Publish(hub, stream)),
        3 => hub.clone().prop_map(Step::Hear),
        2 => hub.prop_map(Step::Settle),
        3 => (of.clone(), 0..4_usize).prop_map(|(of, frames)| Step::Room(of, frames)),
        3 => (of.clone(), stream.clone()).prop_map(|(of, stream)| Step::Watch(of, stream)),
        1 => (of, stream).prop_map(|(of, stream)| Step::Leave(of, stream)),
    ];
    prop::collection::vec(step, 1..120)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, ..ProptestConfig::default() })]

    #[test]
    fn every_watcher_has_every_event_once_and_in_order(steps in steps()) {
        let mut world = World::new();
        for step in steps {
            world.step(step);
        }
        world.comes_to_rest();
    }
}

#[test]
fn a_hub_that_hears_nothing_for_long_is_owed_no_more_than_fits_its_inbox() {
    let mut world = World::new();
    world.step(Step::Watch(1, 1));
    for _ in 0..STREAM_INBOX_MAX + 1_000 {
        world.step(Step::Publish(0, 1));
    }
    world.step(Step::Hear(1));
    let received = world.watched[&(1, 1)].last;
    assert_eq!(received, STREAM_INBOX_MAX as u64, "what fits is as it was decided");
    world.comes_to_rest();
    assert_eq!((world.head[1], world.too_slow), (received + 1_000, 0));
}
