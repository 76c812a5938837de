//! Judges what is told of streams: a snapshot and then every change in order, with gaps only where
//! they are declared. It knows requests, answers and events, and what was published; whether
//! something is missing can only be said at the end, when all that was told to anybody is known.

use super::coverage::Coverage;
use parlor::base::declaration::{Declaration, Keep};
use parlor::base::{Data, StreamState};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// A filter, of few.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    Kind,
    Large,
    OthersUpTo,
    OneOf,
}

impl Choice {
    pub(crate) const ALL: &[Choice] =
        &[Choice::Kind, Choice::Large, Choice::OthersUpTo, Choice::OneOf];

    pub(crate) fn json(self) -> Value {
        match self {
            Choice::Kind => json!({"/kind": "a"}),
            Choice::Large => json!({"/value": {"gt": 4}}),
            Choice::OthersUpTo => json!({"/kind": {"ne": "a"}, "/value": {"le": 7}}),
            Choice::OneOf => json!({"/kind": {"in": ["b", "c"]}}),
        }
    }

    fn passes(self, data: &Value) -> bool {
        let (kind, value) = (data["kind"].as_str(), data["value"].as_u64());
        match self {
            Choice::Kind => kind == Some("a"),
            Choice::Large => value.is_some_and(|value| value > 4),
            Choice::OthersUpTo => kind != Some("a") && value.is_some_and(|value| value <= 7),
            Choice::OneOf => matches!(kind, Some("b" | "c")),
        }
    }
}

/// What was asked of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) stream: String,
    pub(crate) filter: Option<Choice>,
    pub(crate) max_rate: Option<u32>,
    pub(crate) since: Option<u64>,
    pub(crate) epoch: Option<String>,
}

/// A subscription, from its answer on.
#[derive(Debug)]
pub(crate) struct Watch {
    stream: String,
    pub(crate) epoch: String,
    filter: Option<Choice>,
    rate: Option<u32>,
    is_log: bool,
    /// Everything after this is to be told; what is kept of it, if it is none.
    owed: Option<u64>,
    /// The newest event when it began.
    head: u64,
    /// What `prev` is to be.
    pub(crate) last: u64,
    told: Vec<u64>,
    sent: u64,
    asked_at: u64,
    /// It was told that the stream is.
    pub(crate) is_stale: bool,
}

impl Watch {
    /// The newest event that came.
    pub(crate) fn newest(&self) -> u64 {
        self.told.last().copied().unwrap_or(0)
    }
}

#[derive(Debug)]
struct Published {
    stream: String,
    data: Value,
    /// How often it was sent, and how often that was refused.
    times: u64,
    refusals: u64,
    /// An epoch and a seq; several if it came again when the stream did not keep it any more.
    places: BTreeSet<(String, u64)>,
}

impl Published {
    fn is_refused(&self) -> bool {
        self.refusals == self.times
    }
}

#[derive(Debug)]
struct Fact {
    number: u64,
    ts: Option<i64>,
    /// Somebody was told that it is published by what they have sent.
    is_answered: bool,
}

/// An answer to who published: of which life of the server, and not of which epoch.
#[derive(Debug)]
struct Answered {
    stream: String,
    life: u64,
    seq: u64,
    number: u64,
    ts: i64,
    is_duplicate: bool,
}

#[derive(Debug)]
pub(crate) struct StreamChecker {
    declarations: Vec<Declaration>,
    is_open_mode: bool,
    /// Less is kept than was declared, for want of room.
    is_tight: bool,
    published: BTreeMap<u64, Published>,
    facts: BTreeMap<(String, String), BTreeMap<u64, Fact>>,
    /// Of streams that are there as long as the server.
    epochs: BTreeMap<(String, u64), String>,
    /// Of durable streams that have events: the one in which they are for ever.
    durable_epochs: BTreeMap<String, String>,
    /// When which event of a durable stream was known to be there.
    known: BTreeMap<String, Vec<(u64, u64)>>,
    /// The time, in ms.
    pub(crate) now: u64,
    answered: Vec<Answered>,
    over: Vec<Watch>,
    pub(crate) coverage: Coverage,
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}"))
}

fn number(value: &Value, name: &str) -> u64 {
    value[name].as_u64().unwrap_or_else(|| panic!("no {name} in {value}"))
}

/// The server's own log has what admins did, whole: `u0` is the only one here.
fn is_audit_log(state: &StreamState) {
    assert_eq!(state.stream.as_str(), "parlor:audit");
    assert_eq!(state.events.len() as u64, state.head, "the simulator does less than is kept");
    for event in &state.events {
        let Data::Json(data) = &event.data else { panic!("the audit log has bytes") };
        let data: Value = serde_json::from_str(data).expect("JSON");
        assert_eq!(text(&data, "by"), "u0", "{data}");
        assert!(!text(&data, "type").is_empty() && !text(&data, "address").is_empty(), "{data}");
    }
}

/// What a user's token says of streams: what they may publish to, and what they may watch.
pub(crate) fn rights(
    user: &str,
) -> (Option<&'static [&'static str]>, Option<&'static [&'static str]>) {
    match user {
        "u2" => (Some(&["state", "log", "sensor:*"]), None),
        "u4" => (None, Some(&["state", "log", "paced", "sensor:*"])),
        _ => (Some(&["*"]), None),
    }
}

fn is_listed(listed: Option<&[&str]>, stream: &str, otherwise: bool) -> bool {
    let Some(patterns) = listed else { return otherwise };
    patterns.iter().any(|pattern| match pattern.strip_suffix('*') {
        Some(beginning) => stream.starts_with(beginning),
        None => *pattern == stream,
    })
}

impl StreamChecker {
    pub(crate) fn new(declarations: Vec<Declaration>, is_open_mode: bool, is_tight: bool) -> Self {
        StreamChecker {
            declarations,
            is_open_mode,
            is_tight,
            published: BTreeMap::new(),
            facts: BTreeMap::new(),
            epochs: BTreeMap::new(),
            durable_epochs: BTreeMap::new(),
            known: BTreeMap::new(),
            now: 0,
            answered: Vec::new(),
            over: Vec::new(),
            coverage: Coverage::default(),
        }
    }

    pub(crate) fn declaration(&self, stream: &str) -> Option<&Declaration> {
        self.declarations.iter().find(|one| one.pattern.fits(stream))
    }

    /// Somebody publishes, for the first time or again; the number stands for it from now on.
    pub(crate) fn publishes(&mut self, stream: &str, number: u64, data: Value) {
        let (stream, places) = (stream.to_owned(), BTreeSet::new());
        let new = Published { stream, data, times: 0, refusals: 0, places };
        self.published.entry(number).or_insert(new).times += 1;
    }

    /// What was published was refused: nobody is told of it.
    pub(crate) fn refused(&mut self, number: u64) {
        let published = self.published.get_mut(&number).expect("it was published");
        published.refusals += 1;
        let is_told = published.is_refused() && !published.places.is_empty();
        assert!(!is_told, "what was refused was told: {published:?}");
        self.coverage.count("stream publishes refused");
    }

    /// What was published was taken.
    pub(crate) fn granted(&mut self, user: &str, life: u64, n: u64, is_sound: bool, reply: &Value) {
        let stream = text(reply, "stream").to_owned();
        let may_all = self.is_open_mode || user == "u0";
        let (publish, _) = rights(user);
        let is_right = may_all || is_listed(publish, &stream, false);
        assert!(is_right, "{user} may not publish to {stream}, and did");
        assert!(is_sound, "{stream} took what it must not take: {:?}", self.published[&n]);
        assert_eq!(self.published[&n].stream, stream, "another stream's answer: {reply}");
        self.coverage.count("stream publishes");
        let ts = reply["ts"].as_i64().expect("a time");
        let is_duplicate = reply["duplicate"] == true;
        assert!(!is_duplicate || self.published[&n].times > 1, "{n} was sent once: {reply}");
        if is_duplicate {
            self.coverage.count("publications known again");
        }
        let seq = number(reply, "seq");
        let answered = Answered { stream, life, seq, number: n, ts, is_duplicate };
        if self.is_durable(&answered.stream) {
            self.coverage.count("durable publishes");
            self.is_known(&answered.stream, answered.seq);
        }
        match self.epoch_of(&answered) {
            Some(epoch) => self.settle(&answered, &epoch, true),
            None => self.answered.push(answered),
        }
    }

    pub(crate) fn is_durable(&self, stream: &str) -> bool {
        self.declaration(stream).is_some_and(|one| one.durable)
    }

    fn epoch_of(&self, answered: &Answered) -> Option<String> {
        let of_life = self.epochs.get(&(answered.stream.clone(), answered.life));
        of_life.or_else(|| self.durable_epochs.get(&answered.stream)).cloned()
    }

    /// An event of a durable stream is there, and stays.
    fn is_known(&mut self, stream: &str, seq: u64) {
        let known = self.known.entry(stream.to_owned()).or_default();
        if known.last().is_none_or(|(_, last)| seq > *last) {
            known.push((self.now, seq));
        }
    }

    /// `is_sure`: it is known that this was the epoch.
    fn settle(&mut self, answered: &Answered, epoch: &str, is_sure: bool) {
        let Answered { stream, seq, number, ts, is_duplicate, .. } = answered;
        let fact = self.fact(stream, epoch, *seq, *number, Some(*ts));
        if !is_duplicate && is_sure {
            let was_answered = std::mem::replace(&mut fact.is_answered, true);
            assert!(!was_answered, "{number} was published twice as {stream} {seq}");
        }
    }

    /// An event stands at `seq` of an epoch: the same for everybody, and nowhere else.
    fn fact(&mut self, stream: &str, epoch: &str, seq: u64, n: u64, ts: Option<i64>) -> &mut Fact {
        let declaration = self.declaration(stream);
        let is_durable = declaration.is_some_and(|one| one.durable);
        let keep = declaration.map_or(0, |one| one.keep.events() as u64);
        let is_cut = self.is_tight && !is_durable;
        let published = self.published.get_mut(&n);
        let published = published.unwrap_or_else(|| panic!("nobody has published {n} to {stream}"));
        assert_eq!(published.stream, stream, "{n} was published to another stream");
        assert!(!published.is_refused(), "{stream} {seq} was refused, and is told");
        let place = (epoch.to_owned(), seq);
        if is_durable {
            let known = self.durable_epochs.entry(stream.to_owned());
            let known = known.or_insert_with(|| epoch.to_owned());
            assert_eq!(known, epoch, "{stream} {seq} is of another life");
        }
        // As long as it is kept it is not published again.
        for (of_epoch, other) in published.places.iter().filter(|known| **known != place) {
            let may_be_new = of_epoch != epoch || is_cut || other.abs_diff(seq) > keep;
            assert!(
                published.times > 1 && may_be_new,
                "{n} is twice in {stream}: {other} and {seq}"
            );
        }
        published.places.insert(place);
        let facts = self.facts.entry((stream.to_owned(), epoch.to_owned())).or_default();
        let fact = facts.entry(seq).or_insert(Fact { number: n, ts, is_answered: false });
        let other = fact.number;
        assert_eq!(other, n, "{stream} {seq} of {epoch} is used twice: {other} and {n}");
        assert!(fact.ts.is_none() || ts.is_none() || fact.ts == ts, "{stream} {seq} has two times");
        fact.ts = fact.ts.or(ts);
        let ts = fact.ts;
        let before = facts.range(..seq).next_back().and_then(|(_, before)| before.ts);
        let after = facts.range(seq + 1..).next().and_then(|(_, after)| after.ts);
        let is_in_order = ts.is_none_or(|ts| {
            before.is_none_or(|before| before <= ts) && after.is_none_or(|after| ts <= after)
        });
        assert!(is_in_order, "time goes back in {stream} at {seq}");
        facts.get_mut(&seq).expect("it is there")
    }

    /// Data that were told, by the number in them: as they were published.
    fn same_data(&self, stream: &str, data: &Value) -> u64 {
        let n = match data {
            Value::String(bytes) => {
                bytes.split(':').next().and_then(|number| number.parse().ok()).expect("a number")
            }
            other => number(other, "n"),
        };
        let published = self.published.get(&n);
        let published = published.unwrap_or_else(|| panic!("nobody has published {data}"));
        assert_eq!(published.data, *data, "{stream} tells what was not said");
        n
    }

    /// A subscription's answer.
    pub(crate) fn subscribed(
        &mut self,
        (user, life): (&str, u64),
        watches: &mut BTreeMap<String, Watch>,
        (asks, asked_at): (&[Wanted], u64),
        reply: &Value,
    ) {
        let told = reply["streams"].as_array().expect("streams");
        assert_eq!(told.len(), asks.len(), "all that was asked for, once each: {reply}");
        for (ask, one) in asks.iter().zip(told) {
            assert_eq!(text(one, "stream"), ask.stream, "in another order");
            let (_, subscribe) = rights(user);
            let may_watch = self.is_open_mode || is_listed(subscribe, &ask.stream, true);
            assert!(may_watch, "{user} may not watch {}, and does", ask.stream);
            if let Some(old) = watches.remove(&ask.stream) {
                self.coverage.count("streams subscribed again");
                self.is_over(old);
            }
            let watch = self.begins(life, ask, asked_at, one);
            watches.insert(ask.stream.clone(), watch);
        }
    }

    fn begins(&mut self, life: u64, ask: &Wanted, asked_at: u64, one: &Value) -> Watch {
        self.coverage.count("streams subscribed");
        let declaration = self.declaration(&ask.stream).expect("it is declared").clone();
        let (head, epoch) = (number(one, "seq"), text(one, "epoch").to_owned());
        if !declaration.pattern.is_open() {
            let known = self.epochs.entry((ask.stream.clone(), life));
            let known = known.or_insert_with(|| epoch.clone());
            assert_eq!(*known, epoch, "{} has begun anew", ask.stream);
        }
        if declaration.durable {
            let known = self.durable_epochs.get(&ask.stream);
            // One without an event may be forgotten and come again; whether that was so when this was said is
            // seen below.
            let is_same = head == 0 || known.is_none_or(|known| *known == epoch);
            assert!(is_same, "{} has begun anew", ask.stream);
            let known = self.known.get(&ask.stream).into_iter().flatten();
            let least =
                known.take_while(|(at, _)| *at < asked_at).last().map_or(0, |(_, seq)| *seq);
            assert!(head >= least, "{} has lost what comes after {head}: {least}", ask.stream);
        }
        let wanted = ask.max_rate.or(declaration.max_rate);
        let rate = match (wanted, declaration.max_rate_ceiling) {
            (Some(wanted), Some(ceiling)) => Some(wanted.min(ceiling)),
            (wanted, ceiling) => wanted.or(ceiling),
        };
        let is_log = declaration.keep != Keep::Latest;
        let mut watch = Watch {
            stream: ask.stream.clone(),
            epoch: epoch.clone(),
            filter: ask.filter,
            rate,
            is_log,
            owed: if ask.filter.is_some() { Some(head) } else { None },
            head,
            last: 0,
            told: Vec::new(),
            sent: 0,
            asked_at,
            is_stale: one.get("stale").is_some(),
        };
        if let Some(stale) = one.get("stale") {
            self.is_old(&ask.stream, stale);
        }
        self.coverage.add("streams with a filter", u64::from(ask.filter.is_some()));
        self.coverage.add("streams with a rate", u64::from(rate.is_some()));
        let replayed = one.get("replayed").and_then(Value::as_bool);
        assert_eq!(replayed.is_some(), ask.since.is_some(), "{ask:?} and {one}");
        if let Some(since) = ask.since {
            let is_this_life = ask.epoch.as_ref().is_none_or(|known| *known == epoch);
            let could_be = is_this_life && since <= head;
            if replayed == Some(true) {
                self.coverage.count("streams replayed");
                self.coverage.add("durable streams replayed", u64::from(declaration.durable));
                assert!(could_be, "{ask:?} goes on, and cannot: {one}");
                assert!(one.get("snapshot").is_none(), "a snapshot and a replay: {one}");
                (watch.last, watch.owed) = (since, Some(since));
                return watch;
            }
            self.coverage.count("streams not replayed");
            let is_gone = since + (declaration.keep.events() as u64) < head;
            assert!(!could_be || is_gone || self.is_tight, "{ask:?} is kept: {one}");
        }
        match one.get("snapshot") {
            None => {}
            Some(Value::Array(listed)) if is_log => {
                self.coverage.count("snapshots of logs");
                for event in listed {
                    let (seq, ts) = (number(event, "seq"), event["ts"].as_i64());
                    self.judge(&mut watch, seq, ts, &event["data"]);
                }
                assert!(!listed.is_empty() && watch.last <= head, "a snapshot of nothing: {one}");
                watch.owed = watch.told.first().map(|first| first - 1);
                (watch.last, watch.sent) = (head, 1);
            }
            Some(data) => {
                self.coverage.count("snapshots of states");
                assert!(!is_log && head > 0, "the snapshot of another: {one}");
                self.judge(&mut watch, head, None, data);
                watch.owed = Some(head);
            }
        }
        watch
    }

    /// Something is told to a subscriber: in order, by their filter, and no sooner than they want.
    fn judge(&mut self, watch: &mut Watch, seq: u64, ts: Option<i64>, data: &Value) {
        let stream = watch.stream.clone();
        assert!(seq > watch.last, "{stream} {seq} comes after {}", watch.last);
        let n = self.same_data(&stream, data);
        self.fact(&stream, &watch.epoch, seq, n, ts);
        if self.is_durable(&stream) {
            self.is_known(&stream, seq);
        }
        let passes = watch.filter.is_none_or(|filter| filter.passes(data));
        assert!(passes, "{data} is not for whoever filters by {:?}", watch.filter);
        if watch.told.is_empty() && seq > watch.last + 1 && watch.last > 0 {
            self.coverage.count("stream gaps after a position");
        }
        watch.told.push(seq);
        watch.last = seq;
        watch.sent += 1;
    }

    /// An event is pushed; `prev` is not told of bytes.
    pub(crate) fn event(
        &mut self,
        watches: &mut BTreeMap<String, Watch>,
        (stream, seq): (&str, u64),
        (prev, ts): (Option<u64>, Option<i64>),
        data: &Value,
        now: u64,
    ) {
        self.coverage.count("stream events");
        let watch = watches.get_mut(stream);
        let watch =
            watch.unwrap_or_else(|| panic!("{stream} {seq} is told to who does not watch it"));
        assert!(
            prev.is_none_or(|prev| prev == watch.last),
            "{stream} {seq} is behind {prev:?}, and not {}",
            watch.last
        );
        self.coverage.add("stream events skipped to", u64::from(seq > watch.last + 1));
        self.judge(watch, seq, ts, data);
        if let Some(rate) = watch.rate {
            let interval_us = 1_000_000 / u64::from(rate);
            let most = 2 + (now - watch.asked_at) * 1_000 / interval_us;
            let sent = watch.sent;
            assert!(sent <= most, "{stream}: {sent} events, and {rate} a second are {most}");
        }
    }

    /// What is not watched any more; all that was asked for and watched.
    pub(crate) fn unsubscribed(
        &mut self,
        watches: &mut BTreeMap<String, Watch>,
        asked: &[String],
        reply: &Value,
    ) {
        self.coverage.count("streams unsubscribed");
        let told: BTreeSet<&str> = reply["streams"]
            .as_array()
            .expect("streams")
            .iter()
            .filter_map(Value::as_str)
            .collect();
        for stream in asked {
            let watch = watches.remove(stream);
            assert_eq!(watch.is_some(), told.contains(&**stream), "{stream} in {reply}");
            if let Some(watch) = watch {
                self.is_over(watch);
            }
        }
        assert!(told.iter().all(|one| asked.iter().any(|asked| asked == one)), "{reply}");
    }

    pub(crate) fn is_over(&mut self, watch: Watch) {
        // Of the others nothing more can be said.
        if watch.is_log && watch.rate.is_none() {
            self.over.push(watch);
        }
    }

    /// Everything was told to everybody who still watches.
    pub(crate) fn is_drained<'w>(&mut self, watches: impl Iterator<Item = &'w Watch>) {
        self.settle_all();
        for watch in watches {
            let (newest, told) = self.newest_and_told(watch);
            assert!(
                newest <= told,
                "the newest of {} is {newest}, and {told} was told last",
                watch.stream
            );
            self.coverage.count("streams watched to the end");
        }
    }

    /// The newest event that a watch is to be told of, and the last that it was told; 0 for none.
    pub(crate) fn newest_and_told(&self, watch: &Watch) -> (u64, u64) {
        // Of a log with a rate what is not kept any more is skipped, and where little can be kept also what of
        // a state was kept for its filter alone.
        let kept = self.declaration(&watch.stream).map_or(0, |one| one.keep.events() as u64);
        let kept = if self.is_tight { kept.min(1) } else { kept };
        let is_filtered_state = !watch.is_log && watch.filter.is_some() && self.is_tight;
        let may_skip = (watch.is_log && watch.rate.is_some()) || is_filtered_state;
        let least = match may_skip {
            true => self.head_at_most(watch).saturating_sub(kept) + 1,
            false => 0,
        };
        // Of a family in memory the newest goes, too, where little can be kept.
        let is_cache = self.is_tight
            && self
                .declaration(&watch.stream)
                .is_some_and(|one| one.pattern.is_open() && !one.durable);
        let newest = self.passing(watch).next_back().filter(|newest| *newest >= least && !is_cache);
        (newest.unwrap_or(0), watch.last.max(watch.owed.unwrap_or(0)))
    }

    /// A bound of a stream's newest event. Of an event whose publisher was cut off, and that no filter let through,
    /// nobody has heard; it counts all the same.
    fn head_at_most(&self, watch: &Watch) -> u64 {
        let facts = self.facts.get(&(watch.stream.clone(), watch.epoch.clone()));
        let head = facts.and_then(|facts| facts.keys().next_back()).copied().unwrap_or(0);
        // Of a family's stream an answer may be all that tells of an event, and not in which epoch.
        let of_stream = self.answered.iter().filter(|one| one.stream == watch.stream);
        let head = of_stream.map(|one| one.seq).fold(head, u64::max);
        let unheard = self
            .published
            .values()
            .filter(|one| one.stream == watch.stream)
            .map(|one| one.times.saturating_sub(one.refusals + one.places.len() as u64));
        head + unheard.sum::<u64>()
    }

    fn settle_all(&mut self) {
        for answered in std::mem::take(&mut self.answered) {
            let epoch = self.epoch_of(&answered);
            let published = &self.published[&answered.number];
            // What was sent again may stand in several epochs.
            let is_it = |(epoch, seq): &&(String, u64)| {
                let fact = &self.facts[&(answered.stream.clone(), epoch.clone())][seq];
                published.times == 1 || (*seq == answered.seq && fact.ts == Some(answered.ts))
            };
            let there = || published.places.iter().find(is_it).map(|(epoch, _)| epoch.clone());
            let is_sure = epoch.is_some() || published.times == 1;
            match epoch.or_else(there) {
                Some(epoch) => self.settle(&answered, &epoch, is_sure),
                None => self.answered.push(answered),
            }
        }
    }

    /// The events of a subscription's stream that are for it.
    fn passing(&self, watch: &Watch) -> impl DoubleEndedIterator<Item = u64> {
        let facts = self.facts.get(&(watch.stream.clone(), watch.epoch.clone()));
        let filter = watch.filter;
        let of_watch = facts.into_iter().flatten().filter(move |(_, fact)| {
            filter.is_none_or(|filter| filter.passes(&self.published[&fact.number].data))
        });
        of_watch.map(|(seq, _)| *seq)
    }

    /// What the store has of durable streams is what was told of them, and all of it.
    pub(crate) fn is_stored(&mut self, streams: &[StreamState]) {
        self.settle_all();
        for (name, known) in &self.known {
            let stream = streams.iter().find(|one| one.stream.as_str() == name);
            let stream = stream.unwrap_or_else(|| panic!("{name} is lost"));
            let last = known.last().map_or(0, |(_, seq)| *seq);
            assert!(stream.head >= last, "{name} {last} is lost: {}", stream.head);
        }
        for state in streams {
            let name = state.stream.as_str();
            if name.starts_with("parlor:") {
                is_audit_log(state);
                continue;
            }
            let place = (name.to_owned(), state.epoch.to_string());
            let facts = self.facts.get(&place);
            let keep = self.declaration(name).map_or(0, |one| one.keep.events() as u64);
            assert!(state.events.len() as u64 >= keep.min(state.head), "{name} keeps too little");
            for event in &state.events {
                let Data::Json(text) = &event.data else { panic!("{name} has bytes") };
                let n = number(&serde_json::from_str(text).expect("JSON"), "n");
                assert!(!self.published[&n].is_refused(), "{n} was refused, and is stored");
                let told = facts.and_then(|facts| facts.get(&event.seq));
                assert!(
                    told.is_none_or(|told| told.number == n),
                    "{name} {} has changed",
                    event.seq
                );
            }
        }
    }

    /// A stream is stale, or not any more.
    pub(crate) fn age(&mut self, watches: &mut BTreeMap<String, Watch>, payload: &Value) {
        let stream = text(payload, "stream");
        let watch = watches.get_mut(stream);
        let watch = watch.unwrap_or_else(|| panic!("{stream} is not watched: {payload}"));
        watch.is_stale = payload["stale"].as_bool().expect("whether it is");
        if watch.is_stale {
            self.coverage.count("streams told to be stale");
            self.is_old(stream, payload);
        } else {
            self.coverage.count("streams heard of again");
        }
    }

    fn is_old(&self, stream: &str, told: &Value) {
        let declared = self.stale_ms(stream).expect("it says when it is stale");
        assert!(number(told, "age_ms") >= declared, "{stream} is younger than {declared}: {told}");
        assert!(told["since"].is_i64(), "since when? {told}");
    }

    pub(crate) fn stale_ms(&self, stream: &str) -> Option<u64> {
        let declared = self.declaration(stream).and_then(|one| one.stale_ms);
        declared.filter(|ms| *ms > 0).map(u64::from)
    }

    /// Whether something is missing of what was told: of a log without a rate nothing is.
    pub(crate) fn is_whole(&mut self) {
        self.settle_all();
        for watch in &self.over {
            let Some((first, last)) = watch.told.first().zip(watch.told.last()) else { continue };
            assert!(
                watch.owed.is_some() || watch.head == 0 || *first <= watch.head,
                "what was kept of {} was not told: {first} is the first",
                watch.stream
            );
            let owed = watch.owed.unwrap_or(first - 1).min(first - 1);
            let mut told = watch.told.iter().peekable();
            for seq in self.passing(watch).filter(|seq| (owed + 1..=*last).contains(seq)) {
                while told.next_if(|told| **told < seq).is_some() {}
                assert_eq!(
                    told.peek(),
                    Some(&&seq),
                    "{} {seq} is missing in {watch:?}",
                    watch.stream
                );
            }
        }
    }
}
