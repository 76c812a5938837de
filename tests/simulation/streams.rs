//! What clients do with streams: publish, watch, go on where they were.

use super::checker::What;
use super::client::Client;
use super::dice::Dice;
use super::stream_checker::{Choice, Wanted};
use super::world::World;
use parlor::base::Priority;
use parlor::base::declaration::{DataMember, Declaration, Keep, Kind};
use parlor::base::pattern::Pattern;
use parlor::protocol::Message;
use serde_json::{Value, json};

/// How far a client has come in a stream that it watches.
#[derive(Clone, Debug, Default)]
pub(crate) struct Position {
    filter: Option<Choice>,
    max_rate: Option<u32>,
    epoch: Option<String>,
    last: u64,
}

/// What was published with an id.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    stream: String,
    number: u64,
    is_sound: bool,
    payload: Value,
}

/// So many publications of a client may come again.
const NAMED_MAX: usize = 6;

/// The streams of a world.
pub(crate) fn declared(dice: &mut Dice) -> Vec<Declaration> {
    let stream = |name: &str, keep: Keep, priority: Priority| Declaration {
        keep,
        priority,
        publish: true,
        ..Declaration::new(Pattern::parse(name).expect("a pattern"))
    };
    let state = Declaration {
        ack: true,
        stale_ms: Some(*dice.pick(&[0, 300, 3_000])),
        ..stream("state", Keep::Latest, Priority::High)
    };
    let log = Keep::Log(*dice.pick(&[3, 12, 1_000]));
    let members = vec![DataMember { name: "n".into(), kind: Kind::Integer }];
    let log = Declaration { members, ack: true, ..stream("log", log, Priority::Normal) };
    let paced = Declaration {
        max_rate: Some(*dice.pick(&[1, 4, 30])),
        max_rate_ceiling: Some(50),
        ..stream("paced", Keep::Log(*dice.pick(&[2, 20])), Priority::Low)
    };
    let stale_ms = Some(*dice.pick(&[100, 1_500]));
    let paced = Declaration { stale_ms, ..paced };
    let of_sensor = *dice.pick(&[Keep::Latest, Keep::Log(5), Keep::Log(200)]);
    let sensor = stream("sensor:{id}", of_sensor, Priority::Normal);
    let sensor = Declaration { stale_ms: Some(800), ..sensor };
    let camera =
        Declaration { binary: true, max_bytes: 200, ..stream("cam", Keep::Latest, Priority::Low) };
    let journal = Declaration {
        durable: true,
        stale_ms: Some(2_000),
        ..stream("journal", Keep::Log(*dice.pick(&[3, 20, 1_000])), Priority::Normal)
    };
    let setting =
        Declaration { durable: true, ..stream("setting:{id}", Keep::Latest, Priority::High) };
    vec![state, log, paced, sensor, camera, journal, setting]
}

/// The families' streams are so many.
const SENSORS: u64 = 5;

impl Client {
    /// Whether there are streams that it wants to watch, and does not.
    pub(crate) fn is_missing_streams(&self) -> bool {
        self.missing_streams().next().is_some()
    }

    fn is_subscribing(&self) -> bool {
        let mut asked = self.session.asked.values();
        asked.any(|asked| matches!(asked.what, What::Subscribe { .. } | What::Unsubscribe { .. }))
    }
}

impl World {
    fn some_stream(&mut self) -> String {
        match self.dice.below(20) {
            16..19 => "journal".to_owned(),
            19 => format!("setting:{}", self.dice.range(1, 2)),
            0..4 => "state".to_owned(),
            4..9 => "log".to_owned(),
            9..11 => "paced".to_owned(),
            11..14 => format!("sensor:{}", self.dice.range(1, SENSORS)),
            14 => "cam".to_owned(),
            _ => "nothing:here".to_owned(),
        }
    }

    /// Asks for a stream, or for some at once.
    pub(crate) fn watches(&mut self, client: &mut Client) {
        let mut names = vec![self.some_stream()];
        while self.dice.one_in(4) {
            let another = self.some_stream();
            if !names.contains(&another) {
                names.push(another);
            }
        }
        let filter = self.dice.one_in(3).then(|| *self.dice.pick(Choice::ALL));
        let max_rate = self.dice.one_in(4).then(|| *self.dice.pick(&[1, 3, 20, 1_000]));
        let asks = names.iter().map(|stream| {
            let stream = stream.clone();
            Wanted { stream, filter, max_rate, since: None, epoch: None }
        });
        let mut asks: Vec<Wanted> = asks.collect();
        if let [ask] = &mut asks[..]
            && self.dice.one_in(6)
        {
            // Somebody who knows a position by other ways.
            ask.since = Some(self.dice.skewed(0, 60));
        }
        self.subscribes(client, asks);
    }

    fn subscribes(&mut self, client: &mut Client, asks: Vec<Wanted>) {
        if client.program.is_some() {
            return asks.iter().for_each(|ask| self.core_watches(client, ask));
        }
        let mut payload = match &asks[..] {
            [one] => json!({"stream": one.stream}),
            several => {
                let names: Vec<&str> = several.iter().map(|one| one.stream.as_str()).collect();
                json!({"streams": names})
            }
        };
        let first = &asks[0];
        for (name, value) in [
            ("filter", json!(first.filter.map(Choice::json))),
            ("max_rate", json!(first.max_rate)),
            ("since", json!(first.since)),
            ("epoch", json!(first.epoch)),
        ] {
            if !value.is_null() {
                payload[name] = value;
            }
        }
        self.asks(client, "subscribe", payload, What::Subscribe { asks }, "");
    }

    /// What a client that comes back watched before, from where it was.
    pub(crate) fn watches_again(&mut self, client: &mut Client) {
        if client.is_subscribing() {
            return;
        }
        for (stream, position) in client.wanted.clone() {
            if client.session.watches.contains_key(&stream) || !self.may_ask(client) {
                continue;
            }
            let Position { filter, max_rate, epoch, mut last } = position;
            let is_known = epoch.is_some() && !self.dice.one_in(10);
            if self.dice.one_in(20) {
                last += self.dice.range(0, 5);
            }
            let since = is_known.then_some(last);
            let epoch = epoch.filter(|_| is_known);
            let ask = Wanted { stream, filter, max_rate, since, epoch };
            self.subscribes(client, vec![ask]);
        }
    }

    pub(crate) fn subscribed(
        &mut self,
        client: &mut Client,
        asks: &[Wanted],
        (asked_at, turn): (u64, u64),
        reply: &Value,
    ) {
        for one in reply["streams"].as_array().expect("streams") {
            let (stream, seq) = (one["stream"].as_str(), one["seq"].as_u64());
            self.is_committed(stream.expect("a stream"), seq.expect("a seq"), turn);
        }
        let session = &mut client.session;
        let by = (client.user.as_str(), session.life);
        self.streams.subscribed(by, &mut session.watches, (asks, asked_at), reply);
        if let Some(program) = &mut client.program {
            let told = reply["streams"].as_array().expect("streams");
            told.iter().for_each(|told| program.subscribed(told, asked_at));
        }
        for ask in asks {
            let watch = &session.watches[&ask.stream];
            if client.program.is_some() {
                continue;
            }
            let position = Position {
                filter: ask.filter,
                max_rate: ask.max_rate,
                epoch: Some(watch.epoch.clone()),
                last: watch.last,
            };
            client.wanted.insert(ask.stream.clone(), position);
        }
    }

    /// Others are to have a stream, too.
    pub(crate) fn lost_to_others(&mut self, client: &mut Client, notice: &Value) {
        for stream in notice["streams"].as_array().expect("streams") {
            let stream = stream.as_str().expect("a stream");
            let watch = client.session.watches.remove(stream);
            self.streams.is_over(watch.unwrap_or_else(|| panic!("{stream} is not watched")));
            client.wanted.remove(stream);
            self.coverage.count("streams lost to others");
        }
    }

    pub(crate) fn unwatches(&mut self, client: &mut Client) {
        let mut streams: Vec<String> = client.wanted.keys().cloned().collect();
        streams.retain(|_| self.dice.one_in(2));
        streams.push(self.some_stream());
        streams.sort();
        streams.dedup();
        if client.program.is_some() {
            return streams.iter().for_each(|stream| self.core_unwatches(client, stream));
        }
        for stream in &streams {
            client.wanted.remove(stream);
        }
        let payload = match &streams[..] {
            [one] => json!({"stream": one}),
            _ => json!({"streams": streams}),
        };
        self.asks(client, "unsubscribe", payload, What::Unsubscribe { streams }, "");
    }

    pub(crate) fn publishes(&mut self, client: &mut Client) {
        let stream = self.some_stream();
        // They come one by one, or several at once.
        for _ in 0..if self.dice.one_in(6) { self.dice.range(2, 8) } else { 1 } {
            if !self.may_ask(client) {
                continue;
            }
            if self.dice.one_in(5) && !client.named.is_empty() {
                let at = self.dice.below(client.named.len());
                let again = client.named[at].clone();
                self.coverage.count("publications sent again");
                self.publishes_named(client, again);
            } else {
                self.publishes_one(client, &stream);
            }
        }
    }

    fn publishes_one(&mut self, client: &mut Client, stream: &str) {
        self.published += 1;
        let number = self.published;
        let len = self.dice.skewed(0, self.plan.text_bytes) as usize;
        let declaration = self.streams.declaration(stream);
        let is_binary = declaration.is_some_and(|one| one.binary);
        if is_binary && client.program.is_none() && !self.dice.one_in(8) {
            let data = format!("{number}:{}", "x".repeat(len));
            self.streams.publishes(stream, number, json!(data));
            let mut message = vec![stream.len() as u8];
            message.extend_from_slice(stream.as_bytes());
            message.extend_from_slice(data.as_bytes());
            self.trace(|| format!("c{} ({}) -> {data} to {stream}", client.index, client.user));
            self.sends_frame(client, Message::Binary(&message));
            return;
        }
        let kind = *self.dice.pick(&["a", "b", "c"]);
        let mut data = json!({"n": number, "kind": kind, "value": self.dice.range(0, 9)});
        if len > 0 {
            data["pad"] = json!("y".repeat(len));
        }
        let mut is_sound = declaration.is_some() && !is_binary;
        if stream == "log" && self.dice.one_in(12) {
            data["n"] = json!(number.to_string());
            is_sound = false;
        }
        let mut payload = json!({"stream": stream, "data": data});
        let stream = stream.to_owned();
        if self.dice.one_in(2) {
            payload["id"] = json!(format!("p{number}"));
            let named = Named { stream, number, is_sound, payload };
            if client.named.len() == NAMED_MAX {
                client.named.pop_front();
            }
            client.named.push_back(named.clone());
            return self.publishes_named(client, named);
        }
        if client.program.is_none() {
            self.streams.publishes(&stream, number, data);
        }
        self.asks(client, "publish", payload, What::Publish { number, is_sound }, "");
    }

    fn publishes_named(&mut self, client: &mut Client, named: Named) {
        let Named { stream, number, is_sound, payload } = named;
        if client.program.is_none() {
            self.streams.publishes(&stream, number, payload["data"].clone());
        }
        self.asks(client, "publish", payload, What::Publish { number, is_sound }, "");
    }

    pub(crate) fn acks_stream(&mut self, client: &mut Client) {
        let watched: Vec<(&String, u64)> =
            client.session.watches.iter().map(|(stream, watch)| (stream, watch.last)).collect();
        if watched.is_empty() {
            return;
        }
        let (stream, last) = *self.dice.pick(&watched);
        let payload = json!({"stream": stream, "seq": last});
        self.asks(client, "stream:ack", payload, What::Plain, "");
    }

    /// Nothing of a durable stream is told before it is committed, and one hub has heard of that.
    pub(crate) fn is_committed(&self, stream: &str, seq: u64, turn: u64) {
        if seq > 0 && self.streams.is_durable(stream) {
            let shelf = self.shelf.borrow();
            let heard = shelf.ends.iter().filter_map(|end| end.ledger.event_heard_at(stream, seq));
            let heard = heard.min();
            assert!(
                heard.is_some_and(|heard| heard <= turn),
                "{stream} {seq} left in turn {turn}, and was committed in {heard:?}"
            );
        }
    }

    pub(crate) fn hears_event(&mut self, client: &mut Client, payload: &Value, turn: u64) {
        let (stream, seq) = (payload["stream"].as_str(), payload["seq"].as_u64());
        let (stream, seq) = (stream.expect("a stream"), seq.expect("a seq"));
        self.is_committed(stream, seq, turn);
        let place = (payload["prev"].as_u64(), payload["ts"].as_i64());
        assert!(place.0.is_some() && place.1.is_some(), "no place: {payload}");
        let watches = &mut client.session.watches;
        self.streams.event(watches, (stream, seq), place, &payload["data"], self.now);
        if let Some(program) = &mut client.program {
            program.event_arrives(stream, seq);
        }
        if let Some(position) = client.wanted.get_mut(stream) {
            position.last = seq;
        }
    }

    pub(crate) fn hears_age(&mut self, client: &mut Client, payload: &Value) {
        self.streams.age(&mut client.session.watches, payload);
    }

    /// An event of bytes: a byte n, n bytes of the stream's name, eight of `seq`, the data.
    pub(crate) fn hears_bytes(&mut self, client: &mut Client, bytes: &[u8]) {
        self.coverage.count("events of bytes");
        let (len, rest) = bytes.split_first().expect("a length");
        let (name, rest) = rest.split_at(usize::from(*len));
        let (seq, data) = rest.split_first_chunk().expect("a number");
        let (stream, seq) = (std::str::from_utf8(name).expect("a name"), u64::from_be_bytes(*seq));
        let data = json!(std::str::from_utf8(data).expect("it was published as text"));
        self.trace(|| format!("c{} ({}) <- {stream} {seq} {data}", client.index, client.user));
        let watches = &mut client.session.watches;
        self.streams.event(watches, (stream, seq), (None, None), &data, self.now);
        if let Some(program) = &mut client.program {
            program.event_arrives(stream, seq);
        }
        if let Some(position) = client.wanted.get_mut(stream) {
            position.last = seq;
        }
    }

    /// Nothing is on its way any more: the newest of each stream has come to who watches it.
    pub(crate) fn streams_are_drained(&mut self) {
        // Who came back just now is told what a log kept at its own rate: one a second is the slowest.
        const PACED_MS: u64 = 60_000;
        let has_heard_all = |world: &World| {
            let behaving = world.clients.iter().filter(|client| !client.is_rogue);
            let mut watches = behaving.flat_map(|client| client.session.watches.values());
            watches.all(|watch| {
                let (newest, told) = world.streams.newest_and_told(watch);
                newest <= told
            })
        };
        if !has_heard_all(self) {
            self.run_until(self.now + PACED_MS, has_heard_all);
        }
        for client in &self.clients {
            let Some(program) = &client.program else { continue };
            for (stream, watch) in &client.session.watches {
                let (index, told) = (client.index, program.newest_of(stream));
                assert!(
                    told >= watch.newest(),
                    "c{index} was told {stream} up to {told}: {watch:?}"
                );
            }
        }
        let behaving = self.clients.iter().filter(|client| !client.is_rogue);
        self.streams.is_drained(behaving.flat_map(|client| client.session.watches.values()));
    }
}
