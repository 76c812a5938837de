//! The world of one run: clocks, the network, the server's lives, and what goes wrong. Everything
//! happens in an order that the seed decides.

use super::checker::Checker;
use super::client::Client;
use super::coverage::Coverage;
use super::dice::Dice;
use super::net::{Link, Parcel};
use super::plan::Plan;
use super::program::Program;
use super::store::{Shelf, SimulatedStore};
use super::stream_checker::{StreamChecker, rights};
use super::tls::{self, ClientEnd};
use parlor::auth::{Claims, Keys, Secret};
use parlor::base::limits::{CLOCK_HELD_MS, CLOCK_JUMP_MS};
use parlor::base::{ConnId, Moment, SeededHash, Timestamp};
use parlor::protocol::deflate::Codecs;
use parlor::reactor::Wake;
use parlor::reactor::simulated::{ServerEnd, SimulatedReactor};
use parlor::server::{Chat, Config, Seat, Team};
use parlor::store::Place;
use parlor::tls::TlsAcceptor;
use parlor::web::Web;
use rustls::ClientConfig;
use serde_json::Value;
use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

/// Something that is to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Event {
    /// Somebody does something.
    Act,
    /// Clients look after what is late.
    Tick,
    Connect(usize),
    /// It is time for a program's core, for what it was told, or for its token.
    Core(usize),
    Take(usize),
    Token(usize),
    /// A connection reaches the server.
    Open(usize),
    Up(usize),
    Down(usize),
    /// An end of a connection that is cut is told so.
    ServerTold(usize),
    ClientTold(usize),
    Store,
    /// A hub that was told something by others is woken.
    Wake(usize),
    Kill,
    Start,
    Cut,
    StopReading,
    StoreFailure,
    StoreFull(bool),
    StoreSlow(bool),
    WallJump,
    Sleep,
}

/// A token, and what it says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) jti: String,
    expires_s: i64,
}

/// A hub of the server, with the connections that it has, while it lives.
pub(crate) struct Server {
    pub(crate) reactor: SimulatedReactor<TlsAcceptor>,
    pub(crate) web: Web<Chat<SimulatedStore>>,
    wake: Wake,
    links: BTreeMap<ConnId, usize>,
}

pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) dice: Dice,
    /// Milliseconds since the beginning.
    pub(crate) now: u64,
    wall_offset: i64,
    /// The latest that a server could believe that it is, before the one that runs.
    latest_believed: Timestamp,
    /// How far the wall clock was off when the server started, at most so far as it could follow since.
    believed_offset: i64,
    /// When the server started, or the wall clock jumped last.
    steady_since: u64,
    pub(crate) turn: u64,
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    order: u64,
    /// When the store is slow, a hub that has not heard all lets nobody in.
    is_held_up: bool,
    hub_late_ms: u64,
    /// How many hubs the server has.
    pub(crate) hubs: usize,
    /// They all live, or none.
    pub(crate) servers: Vec<Server>,
    pub(crate) shelf: Rc<RefCell<Shelf>>,
    store_fails: u64,
    is_store_slow: bool,
    pub(crate) links: Vec<Link>,
    pub(crate) clients: Vec<Client>,
    pub(crate) checker: Checker,
    pub(crate) streams: StreamChecker,
    /// Numbers of what was published.
    pub(crate) published: u64,
    /// How often the server has begun.
    life: u64,
    pub(crate) coverage: Coverage,
    config: Config,
    keys: Keys,
    secret: Secret,
    pub(crate) tokens: BTreeMap<String, Token>,
    tokens_made: u64,
    /// By token its `jti`.
    pub(crate) jtis: BTreeMap<String, String>,
    /// Tokens that are good no more, by `jti`, and when an admin was told that it is so.
    pub(crate) revoked: BTreeMap<String, u64>,
    pub(crate) codecs: Option<Arc<Codecs>>,
    parsed: HashMap<Box<str>, Rc<Value>, SeededHash>,
    /// Names of rooms that somebody may know.
    pub(crate) rooms: BTreeSet<String>,
    pub(crate) invited: BTreeSet<(String, String)>,
    pub(crate) actions_left: u64,
    pub(crate) texts: u64,
    /// Nothing goes wrong any more.
    pub(crate) is_quiet: bool,
    /// How many events there were.
    pub(crate) happened: u64,
    is_tracing: bool,
    /// How the clients speak TLS, if this world has it.
    tls: Option<Arc<ClientConfig>>,
}

/// One in so many seeds has TLS; not those by which `docs/guarantees.md` finds its bugs.
const SEEDS_WITH_TLS: u64 = 16;
const FIRST_WITH_TLS: u64 = 12;

/// How many hubs the server has, by seed.
const HUBS_OF_SEEDS: [usize; 8] = [1, 1, 2, 1, 1, 3, 1, 4];

/// One in so many clients is not the product's: it does what that would not, and sees all that comes.
const RAW_ONE_IN: u64 = 4;

/// A hub hears what others have told it no later than this, in ms, unless it has to know it sooner.
const HUB_LATE_MS: u64 = 200;
/// As much in a quarter of the seeds.
const HUB_VERY_LATE_MS: u64 = 2_000;

/// More than any run has.
const EVENTS_MAX: u64 = 1_000_000;

const START_OF_TIME: i64 = 1_800_000_000_000;

impl World {
    pub(crate) fn new(seed: u64, is_tracing: bool) -> World {
        let mut dice = Dice::new(seed);
        let plan = Plan::draw(&mut dice);
        let hubs = std::env::var("HUBS").ok().and_then(|hubs| hubs.parse().ok());
        let hubs = hubs.unwrap_or(HUBS_OF_SEEDS[seed as usize % HUBS_OF_SEEDS.len()]);
        let has_tls = seed % SEEDS_WITH_TLS == FIRST_WITH_TLS || std::env::var_os("TLS").is_some();
        let secret =
            Secret::new(b"a secret of the simulator, 32 bytes").expect("it is long enough");
        let mut config = Config::new(SocketAddr::from(([127, 0, 0, 1], 80)), Place::Memory);
        config.limits = plan.limits.clone();
        config.retention.default = plan.kept;
        config.presence = plan.presence;
        config.secret = (!plan.is_open_mode).then(|| secret.clone());
        config.streams.clone_from(&plan.streams);
        config.compression.enabled = plan.compression;
        config.compression.codecs.threshold_bytes = 100;
        let keys = config.key_sources().read().expect("keys");
        let helps = seed / 16 % 4 == 3;
        // As hubs that hear late let nobody in then, most seeds are without: also those by which bugs of several
        // hubs are found.
        let is_held_up = seed / 8 % 4 == 2;
        let hub_late_ms = if seed / 8 % 4 == 1 { HUB_VERY_LATE_MS } else { HUB_LATE_MS };
        let shelf = Rc::new(RefCell::new(Shelf::new("epoch", hubs, helps, is_tracing)));
        let mut clients = Vec::new();
        for (user, devices) in plan.devices.iter().enumerate() {
            for _ in 0..*devices {
                let is_admin = user == 0 && !plan.is_open_mode;
                clients.push(Client::new(clients.len(), format!("u{user}"), is_admin, false));
            }
        }
        for rogue in 0..plan.rogues {
            clients.push(Client::new(clients.len(), format!("x{rogue}"), false, true));
        }
        let mut world = World {
            now: 0,
            wall_offset: 0,
            latest_believed: Timestamp(0),
            believed_offset: 0,
            steady_since: 0,
            turn: 0,
            events: BinaryHeap::new(),
            order: 0,
            hubs,
            is_held_up,
            hub_late_ms,
            servers: Vec::new(),
            shelf,
            store_fails: 0,
            is_store_slow: false,
            links: Vec::new(),
            clients,
            checker: Checker::new(plan.kept, plan.presence),
            streams: StreamChecker::new(
                plan.streams.clone(),
                plan.is_open_mode,
                plan.are_streams_tight,
            ),
            published: 0,
            life: 0,
            coverage: Coverage::default(),
            config,
            keys,
            secret,
            tokens: BTreeMap::new(),
            tokens_made: 0,
            jtis: BTreeMap::new(),
            revoked: BTreeMap::new(),
            codecs: None,
            parsed: HashMap::with_hasher(SeededHash::new(seed)),
            rooms: (0..5).map(|room| format!("r{room}")).collect(),
            invited: BTreeSet::new(),
            actions_left: plan.actions,
            texts: 0,
            is_quiet: false,
            happened: 0,
            is_tracing,
            tls: has_tls.then(tls::client_config),
            plan,
            dice,
        };
        for client in &mut world.clients {
            if !client.is_rogue && !world.dice.one_in(RAW_ONE_IN) {
                let is_open_mode = world.plan.is_open_mode;
                let program = Program::new(&client.user, is_open_mode, &mut world.dice);
                client.program = Some(Box::new(program));
            }
        }
        world.trace(|| format!("seed {seed}"));
        let plan = format!("{:?}", world.plan);
        world.trace(|| plan);
        world.starts();
        for client in 0..world.clients.len() {
            let at = world.dice.range(0, 500);
            world.at(at, Event::Connect(client));
        }
        world.at(1, Event::Act);
        world.at(50, Event::Tick);
        let faults = [
            (world.plan.cut_ms, Event::Cut),
            (world.plan.kill_ms, Event::Kill),
            (world.plan.stop_reading_ms, Event::StopReading),
            (world.plan.store_failure_ms, Event::StoreFailure),
            (world.plan.store_full_ms, Event::StoreFull(true)),
            (world.plan.store_slow_ms, Event::StoreSlow(true)),
            (world.plan.wall_jump_ms, Event::WallJump),
            (world.plan.sleep_ms, Event::Sleep),
        ];
        for (mean, fault) in faults {
            world.again(mean, fault);
        }
        world
    }

    /// Says what happens, if somebody wants to know.
    pub(crate) fn trace(&self, what: impl FnOnce() -> String) {
        if self.is_tracing {
            println!("{:>8} ms, turn {:>6}: {}", self.now, self.turn, what());
        }
    }

    pub(crate) fn at(&mut self, at: u64, event: Event) {
        self.order += 1;
        self.events.push(Reverse((at, self.order, event)));
    }

    /// Lets a fault happen again, in this time on the mean.
    fn again(&mut self, mean_ms: u64, fault: Event) {
        if mean_ms > 0 {
            let wait = self.dice.range(mean_ms / 4, mean_ms * 7 / 4);
            self.at(self.now + wait, fault);
        }
    }

    /// The latest that a server could ever believe that it is: that of its start, and of a clock that has held. An
    /// entry is dated no later, and nothing that is not old then is gone by age.
    pub(crate) fn latest_believed(&self) -> Timestamp {
        let has_held = self.now - self.steady_since >= CLOCK_HELD_MS;
        let of_wall = if has_held { self.wall_offset } else { i64::MIN };
        let offset = self.believed_offset.max(of_wall);
        self.latest_believed.max(Timestamp(START_OF_TIME + self.now as i64 + offset))
    }

    pub(crate) fn wall(&self) -> Timestamp {
        Timestamp(START_OF_TIME + self.now as i64 + self.wall_offset)
    }

    /// A token as good as new.
    pub(crate) fn token(&mut self, user: &str, is_admin: bool) -> Token {
        if self.plan.is_open_mode {
            return Token { text: "none".to_owned(), ..Token::default() };
        }
        let now_s = self.wall().0 / 1_000;
        let lasts_s = if self.is_quiet { 86_400 } else { self.plan.token_lasts_s as i64 };
        if let Some(token) = self.tokens.get(user)
            && token.expires_s > now_s + lasts_s / 4
        {
            return token.clone();
        }
        let expires_s = now_s + lasts_s;
        self.tokens_made += 1;
        let jti = format!("j{}", self.tokens_made);
        let (publish, subscribe) = rights(user);
        let listed = |patterns: Option<&[&str]>| {
            patterns.map(|all| all.iter().map(|one| (*one).to_owned()).collect())
        };
        let claims = Claims {
            sub: user.into(),
            exp: Some(expires_s.into()),
            jti: Some(jti.clone()),
            name: Some(format!("The {user}")),
            admin: is_admin,
            publish: listed(publish),
            subscribe: listed(subscribe),
            ..Claims::default()
        };
        let text = self.secret.sign(&claims).expect("a token");
        self.jtis.insert(text.clone(), jti.clone());
        let token = Token { text, jti, expires_s };
        self.tokens.insert(user.to_owned(), token.clone());
        token
    }

    /// JSON that came from the server. What many are told is read once.
    pub(crate) fn parse(&mut self, text: &str) -> Rc<Value> {
        if let Some(known) = self.parsed.get(text) {
            return Rc::clone(known);
        }
        let value = Rc::new(serde_json::from_str(text).expect("the server sends JSON"));
        if !text.starts_with("{\"type\":\"reply\"") {
            self.parsed.insert(text.into(), Rc::clone(&value));
        }
        value
    }

    /// Runs until `is_done`, or until `end`; tells whether it was done.
    pub(crate) fn run_until(&mut self, end: u64, mut is_done: impl FnMut(&World) -> bool) -> bool {
        loop {
            let turns = self.servers.iter().map(|one| one.reactor.next_turn());
            let due = turns.min().unwrap_or(Moment::NEVER);
            let next = self.events.peek().map_or(u64::MAX, |Reverse((at, ..))| *at);
            let next = next.min(due.as_millis()).max(self.now);
            if next > end {
                // The machine may have slept beyond it.
                self.now = self.now.max(end);
                return is_done(self);
            }
            self.now = next;
            while let Some(Reverse((at, _, event))) = self.events.peek().copied()
                && at <= self.now
            {
                self.events.pop();
                self.happened += 1;
                assert!(self.happened < EVENTS_MAX, "a run without end");
                self.happens(event);
            }
            self.serves();
            if is_done(self) {
                return true;
            }
        }
    }

    fn happens(&mut self, event: Event) {
        match event {
            Event::Act => self.somebody_acts(),
            Event::Tick => self.ticks(),
            Event::Connect(client) => self.with(client, |world, client| {
                if client.link.is_some() || client.has_gone {
                    return;
                }
                match client.program {
                    Some(_) => world.begins(client),
                    None => world.connects(client),
                }
            }),
            Event::Core(client) => self.with(client, World::core_is_due),
            Event::Take(client) => self.with(client, World::takes),
            Event::Token(client) => self.with(client, World::gives_token),
            Event::Open(link) => self.opens(link),
            Event::Up(link) => self.arrives_up(link),
            Event::Down(link) => self.arrives_down(link),
            Event::ServerTold(link) => {
                if let Some((server, conn)) = self.end_of(link) {
                    server.reactor.reset(conn);
                }
            }
            Event::ClientTold(link) => self.tell_client(link, Parcel::Reset),
            Event::Store => self.store_works(),
            Event::Wake(hub) => {
                if let Some(server) = self.servers.get(hub) {
                    server.wake.wake();
                }
            }
            Event::Start => self.starts(),
            _ if self.is_quiet => {}
            Event::Kill => self.kills(),
            Event::Cut => self.cuts_one(),
            Event::StopReading => {
                if let Some(link) = self.any_link() {
                    let wait = self.dice.skewed(100, 12_000);
                    self.links[link].paused_until = self.now + wait;
                    self.coverage.count("slow readers");
                    self.trace(|| format!("link {link}: nothing is read for {wait} ms"));
                }
                self.again(self.plan.stop_reading_ms, Event::StopReading);
            }
            Event::StoreFailure => {
                self.store_fails = self.dice.range(1, 3);
                self.again(self.plan.store_failure_ms, Event::StoreFailure);
            }
            Event::StoreFull(begins) => {
                self.coverage.add("full disks", u64::from(begins));
                self.shelf.borrow_mut().is_full = begins;
                if begins {
                    let wait = self.dice.skewed(200, 5_000);
                    self.at(self.now + wait, Event::StoreFull(false));
                } else {
                    self.again(self.plan.store_full_ms, Event::StoreFull(true));
                }
            }
            Event::StoreSlow(begins) => {
                self.coverage.add("slow disks", u64::from(begins));
                self.is_store_slow = begins;
                let is_short = begins && self.dice.one_in(3);
                let mut shelf = self.shelf.borrow_mut();
                shelf.queue_max = if is_short { 3 } else { usize::MAX };
                shelf.told_max = if is_short && self.is_held_up { 0 } else { usize::MAX };
                drop(shelf);
                self.coverage.add("short queues of the store", u64::from(is_short));
                if begins {
                    let wait = self.dice.skewed(200, 8_000);
                    self.at(self.now + wait, Event::StoreSlow(false));
                } else {
                    self.again(self.plan.store_slow_ms, Event::StoreSlow(true));
                }
            }
            Event::WallJump => {
                let far = self.dice.skewed(100, 4_000_000) as i64;
                // One that has just started has seen the clock as it was then.
                self.serves();
                self.latest_believed = self.latest_believed();
                self.steady_since = self.now;
                // What is near to what was believed is followed.
                self.believed_offset += CLOCK_JUMP_MS;
                self.wall_offset += if self.dice.one_in(2) { far } else { -far };
                self.coverage.count("jumps of the wall clock");
                self.trace(|| format!("the wall clock is {} ms off", self.wall_offset));
                self.again(self.plan.wall_jump_ms, Event::WallJump);
            }
            Event::Sleep => {
                self.now += self.dice.skewed(500, 100_000);
                self.coverage.count("sleeps");
                self.trace(|| "the machine has slept".to_owned());
                self.again(self.plan.sleep_ms, Event::Sleep);
            }
        }
    }

    /// Takes a client out to do something with it and the world.
    pub(crate) fn with(&mut self, index: usize, act: impl FnOnce(&mut World, &mut Client)) {
        let mut client = std::mem::take(&mut self.clients[index]);
        act(self, &mut client);
        self.clients[index] = client;
    }

    // The server.

    fn starts(&mut self) {
        if !self.servers.is_empty() {
            return;
        }
        self.latest_believed = self.latest_believed();
        (self.believed_offset, self.steady_since) = (self.wall_offset, self.now);
        let (now, timestamp) = (Moment::from_millis(self.now), self.wall());
        let reactors = (0..self.hubs).map(|number| {
            let acceptor = TlsAcceptor::new(vec![self.tls.as_ref().map(|_| tls::server_config())]);
            let mut reactor = SimulatedReactor::with(acceptor, &self.plan.limits, now, timestamp);
            reactor.io().set_number(number as u32);
            reactor
        });
        let reactors: Vec<_> = reactors.collect();
        let team = (self.hubs > 1).then(|| {
            let listeners = self.config.all_listeners();
            let streams = self.shelf.borrow().snapshot().streams;
            let wakes = reactors.iter().map(SimulatedReactor::wake).collect();
            Team::new(&self.config, &listeners, streams, wakes, self.dice.seed())
        });
        for (end, reactor) in reactors.into_iter().enumerate() {
            let mut snapshot = self.shelf.borrow().snapshot();
            let store = SimulatedStore { shelf: Rc::clone(&self.shelf), end };
            let wake = reactor.wake();
            let seat = match &team {
                None => Seat::Alone(wake.clone()),
                Some(team) => {
                    snapshot.streams.clear();
                    Seat::Of(team, end)
                }
            };
            let web = Chat::build(
                self.config.clone(),
                self.config.all_listeners(),
                self.keys.clone(),
                (store, snapshot),
                seat,
                now,
                self.dice.seed(),
            );
            // As `Server::bind` does.
            wake.wake();
            self.servers.push(Server { reactor, web, wake, links: BTreeMap::new() });
        }
        self.life += 1;
        self.trace(|| "the server starts".to_owned());
    }

    /// The hub to which a client is connected.
    pub(crate) fn hub_of(&self, client: &Client) -> usize {
        client.link.map_or(0, |link| self.links[link].hub)
    }

    /// The server's end of a connection.
    fn end_of(&mut self, link: usize) -> Option<(&mut Server, ConnId)> {
        let Link { hub, conn, .. } = &self.links[link];
        Some((self.servers.get_mut(*hub)?, (*conn)?))
    }

    /// Wakes hubs that were told something: one at once, several each in its own time.
    fn wakes_hubs(&mut self) {
        for hub in 0..self.hubs {
            if !std::mem::take(&mut self.shelf.borrow_mut().ends[hub].is_to_wake) {
                continue;
            }
            let wait = match self.hubs > 1 && self.dice.one_in(2) {
                true => {
                    self.coverage.count("hubs that hear late");
                    self.dice.skewed(0, self.hub_late_ms)
                }
                false => 0,
            };
            self.at(self.now + wait, Event::Wake(hub));
        }
    }

    /// Turns of the loop, until it would wait.
    fn serves(&mut self) {
        const TURNS_MAX: u64 = 2_000;
        let first = self.turn;
        let (now, wall) = (Moment::from_millis(self.now), self.wall());
        loop {
            let due: Vec<usize> = (0..self.servers.len())
                .filter(|hub| self.servers[*hub].reactor.next_turn() <= now)
                .collect();
            let hub = match &due[..] {
                [] => return,
                [hub] => *hub,
                _ => *self.dice.pick(&due),
            };
            self.turn += 1;
            assert!(self.turn - first < TURNS_MAX, "the loop spins");
            self.shelf.borrow_mut().turn = self.turn;
            let server = &mut self.servers[hub];
            server.reactor.set_time(now, wall);
            server.reactor.turn(&mut server.web);
            self.departs(hub);
            if self.hubs > 1 {
                self.wakes_hubs();
            }
            self.set_store_to_work();
        }
    }

    /// What the server has sent is on its way.
    fn departs(&mut self, hub: usize) {
        let server = &mut self.servers[hub];
        if self.tls.is_some() {
            for (conn, link) in &server.links {
                if let Some(tls) = &mut self.links[*link].tls {
                    tls.takes(server.reactor.io().bytes_each_way(*conn).1, self.turn);
                }
            }
        }
        let senders: Vec<ConnId> = server.reactor.senders().collect();
        for conn in senders {
            let server = &mut self.servers[hub];
            let (bytes, end) = server.reactor.fetch(conn);
            let Some(&link) = server.links.get(&conn) else { continue };
            let is_over = matches!(end, ServerEnd::Closed | ServerEnd::Reset);
            if is_over {
                server.reactor.forget(conn);
                server.links.remove(&conn);
            }
            if !bytes.is_empty() {
                match &mut self.links[link].tls {
                    // All that it sends was taken until now.
                    Some(tls) if is_over => tls.takes(u64::MAX, self.turn),
                    Some(_) => {}
                    None => self.links[link].departures.pass(&bytes, self.turn),
                }
                self.ship(link, false, Parcel::Bytes(bytes));
            }
            if is_over {
                self.links[link].conn = None;
            }
            if end != ServerEnd::Open && !self.links[link].server_has_ended {
                self.links[link].server_has_ended = true;
                let parcel = if end == ServerEnd::Reset { Parcel::Reset } else { Parcel::End };
                self.ship(link, false, parcel);
            }
        }
    }

    fn kills(&mut self) {
        self.again(self.plan.kill_ms, Event::Kill);
        if self.servers.is_empty() {
            return;
        }
        let servers = std::mem::take(&mut self.servers);
        self.coverage.count("kills");
        {
            let shelf = &mut *self.shelf.borrow_mut();
            if self.dice.one_in(2) {
                // The last batch is on disk, and nobody hears of it.
                let most = self.dice.range(1, 20) as usize;
                shelf.work(most, false);
            }
            shelf.crash();
        }
        self.trace(|| "the server is killed".to_owned());
        for link in servers.into_iter().flat_map(|server| server.links.into_values()) {
            self.links[link].conn = None;
            let wait = self.dice.skewed(0, 400);
            self.at(self.now + wait, Event::ClientTold(link));
        }
        let wait = self.dice.skewed(1, 3_000);
        self.at(self.now + wait, Event::Start);
    }

    // The store.

    pub(crate) fn set_store_to_work(&mut self) {
        {
            let shelf = &mut *self.shelf.borrow_mut();
            if shelf.is_at_work || !shelf.has_work() {
                return;
            }
            shelf.is_at_work = true;
        }
        let wait = match (self.is_store_slow && !self.is_quiet, self.plan.store_ms) {
            (true, _) => self.dice.range(50, 1_500),
            (false, 0) => 0,
            (false, mean) => self.dice.range(0, mean * 2),
        };
        self.at(self.now + wait, Event::Store);
    }

    fn store_works(&mut self) {
        self.shelf.borrow_mut().is_at_work = false;
        let fails = self.store_fails > 0 && !self.is_quiet;
        let most = self.dice.range(1, self.plan.batch_max) as usize;
        if self.shelf.borrow_mut().work(most, fails) {
            self.store_fails = self.store_fails.saturating_sub(1);
            self.coverage.count("failed batches");
            self.trace(|| "a batch fails".to_owned());
        }
        match &self.servers[..] {
            [server] => server.wake.wake(),
            _ => self.wakes_hubs(),
        }
        self.set_store_to_work();
    }

    // The network.

    fn any_link(&mut self) -> Option<usize> {
        let open: Vec<usize> = (0..self.links.len())
            .rev()
            .take(60)
            .filter(|link| !self.links[*link].is_left && self.links[*link].conn.is_some())
            .collect();
        if open.is_empty() { None } else { Some(*self.dice.pick(&open)) }
    }

    pub(crate) fn open_link(&mut self, client: usize) -> usize {
        let hub = if self.hubs > 1 { self.dice.below(self.hubs) } else { 0 };
        self.links.push(Link::new(client, hub));
        let link = self.links.len() - 1;
        let at = self.now + self.latency();
        self.links[link].up.last_at = at;
        self.at(at, Event::Open(link));
        if let Some(config) = &self.tls {
            self.links[link].tls = Some(Box::new(ClientEnd::new(config)));
            self.coverage.count("connections with TLS");
            self.sends_records(link);
        }
        link
    }

    fn latency(&mut self) -> u64 {
        if self.is_quiet {
            return 1;
        }
        let spike = if self.dice.one_in(50) { self.dice.range(0, 2_000) } else { 0 };
        self.dice.range(0, self.plan.latency_ms * 2) + spike
    }

    fn opens(&mut self, link: usize) {
        let window = self.dice.range(self.plan.window_bytes / 2, self.plan.window_bytes) as usize;
        let hub = self.links[link].hub;
        let Some(server) = self.servers.get_mut(hub).filter(|one| one.reactor.is_accepting())
        else {
            self.coverage.count("connections refused");
            self.tell_client(link, Parcel::Reset);
            return;
        };
        let peer = SocketAddr::from(([10, 0, 0, self.links[link].client as u8], 4_000));
        let wall = Timestamp(START_OF_TIME + self.now as i64 + self.wall_offset);
        server.reactor.set_time(Moment::from_millis(self.now), wall);
        let conn = server.reactor.connect(&mut server.web, peer, window);
        server.links.insert(conn, link);
        self.links[link].conn = Some(conn);
        self.links[link].life = self.life;
    }

    /// A client's bytes go on their way.
    pub(crate) fn sends(&mut self, link: usize, bytes: Vec<u8>) {
        if let Some(tls) = &mut self.links[link].tls {
            tls.write(&bytes);
            self.sends_records(link);
        } else if !bytes.is_empty() {
            self.ship(link, true, Parcel::Bytes(bytes));
        }
    }

    fn sends_records(&mut self, link: usize) {
        let records = self.links[link].tls.as_mut().map(|tls| tls.records());
        if let Some(records) = records.filter(|records| !records.is_empty()) {
            self.ship(link, true, Parcel::Bytes(records));
        }
    }

    /// What a client's end of TLS makes of what has arrived.
    pub(crate) fn decrypts(&mut self, link: usize, bytes: Vec<u8>) -> Vec<u8> {
        let Link { tls, departures, .. } = &mut self.links[link];
        let Some(tls) = tls else { return bytes };
        let plain = tls.read(&bytes, departures);
        self.sends_records(link);
        plain
    }

    /// A client lets go of a connection.
    pub(crate) fn hangs_up(&mut self, link: usize, is_known: bool) {
        self.links[link].is_left = true;
        if !is_known {
            if self.tls.is_some() && self.dice.one_in(2) {
                self.links[link].tls.as_mut().expect("every link has").ends();
                self.sends_records(link);
            }
            let parcel = if self.dice.one_in(2) { Parcel::End } else { Parcel::Reset };
            self.ship(link, true, parcel);
        }
    }

    fn ship(&mut self, link: usize, is_up: bool, parcel: Parcel) {
        let mut pieces = vec![parcel];
        if let Some(Parcel::Bytes(bytes)) = pieces.first_mut()
            && bytes.len() > 1
            && !self.is_quiet
            && self.dice.one_in(self.plan.split_one_in)
        {
            let mut rest = std::mem::take(bytes);
            let is_slow = self.dice.one_in(8) && rest.len() < 200;
            pieces.clear();
            while rest.len() > 1 && pieces.len() < 200 {
                let at = if is_slow { 1 } else { self.dice.range(1, rest.len() as u64) as usize };
                let behind = rest.split_off(at);
                pieces.push(Parcel::Bytes(std::mem::replace(&mut rest, behind)));
            }
            if !rest.is_empty() {
                pieces.push(Parcel::Bytes(rest));
            }
            self.coverage.count("splits");
        }
        for mut parcel in pieces {
            if self.way(link, is_up).is_dead {
                return;
            }
            let mut is_cut = false;
            if let Parcel::Bytes(bytes) = &mut parcel
                && let Some(left) = &mut self.way(link, is_up).cut_after
            {
                is_cut = bytes.len() > *left;
                bytes.truncate(*left);
                *left -= bytes.len();
            }
            let wait = self.latency();
            let now = self.now;
            let way = self.way(link, is_up);
            way.last_at = way.last_at.max(now + wait);
            way.parcels.push_back(parcel);
            let at = way.last_at;
            self.at(at, if is_up { Event::Up(link) } else { Event::Down(link) });
            if is_cut {
                self.is_cut(link);
                return;
            }
        }
    }

    fn way(&mut self, link: usize, is_up: bool) -> &mut super::net::Way {
        let link = &mut self.links[link];
        if is_up { &mut link.up } else { &mut link.down }
    }

    /// A connection is to be cut, behind some byte.
    fn cuts_one(&mut self) {
        self.again(self.plan.cut_ms, Event::Cut);
        let Some(link) = self.any_link() else { return };
        let after = self.dice.skewed(0, 1_500) as usize;
        let is_up = self.dice.one_in(2);
        self.way(link, is_up).cut_after = Some(after);
        if self.dice.one_in(8) {
            self.is_cut(link);
        }
    }

    /// Nothing passes any more; each end hears of it sooner or later, or never.
    fn is_cut(&mut self, link: usize) {
        if std::mem::replace(&mut self.links[link].is_cut, true) || self.links[link].is_left {
            return;
        }
        self.coverage.count("cuts");
        let way = self.dice.below(4);
        self.trace(|| format!("link {link} is cut, way {way}"));
        (self.links[link].up.is_dead, self.links[link].down.is_dead) = (true, true);
        let (server_at, client_at) = match way {
            // Both at once, or nearly.
            0 => (self.dice.skewed(0, 200), self.dice.skewed(0, 200)),
            // The client at once; the old connection's end comes late, and so does what it sent.
            1 => {
                self.coverage.count("late ends of old connections");
                let late = self.dice.skewed(500, 20_000);
                self.links[link].late_until = self.now + self.dice.range(0, late);
                (late, self.dice.skewed(0, 50))
            }
            // The server alone.
            2 => (self.dice.skewed(0, 200), u64::MAX),
            _ => {
                self.coverage.count("half-dead connections");
                (u64::MAX, u64::MAX)
            }
        };
        if server_at != u64::MAX {
            self.at(self.now + server_at, Event::ServerTold(link));
        }
        if client_at != u64::MAX {
            self.at(self.now + client_at, Event::ClientTold(link));
        }
    }

    fn arrives_up(&mut self, link: usize) {
        if self.now < self.links[link].late_until {
            let at = self.links[link].late_until;
            self.at(at, Event::Up(link));
            return;
        }
        let Some(parcel) = self.links[link].up.parcels.pop_front() else { return };
        let Some(server) = self.servers.get_mut(self.links[link].hub) else { return };
        let Some(conn) = self.links[link].conn else {
            if matches!(parcel, Parcel::Bytes(_)) && !self.links[link].is_left {
                // The server has closed it: what comes is answered by a reset.
                self.tell_client(link, Parcel::Reset);
            }
            return;
        };
        match parcel {
            Parcel::Bytes(bytes) => server.reactor.arrive(conn, &bytes),
            Parcel::End => server.reactor.peer_ends(conn),
            Parcel::Reset => server.reactor.reset(conn),
        }
    }

    fn arrives_down(&mut self, link: usize) {
        if self.now < self.links[link].paused_until && !self.is_quiet {
            let at = self.links[link].paused_until;
            self.at(at, Event::Down(link));
            return;
        }
        let Some(parcel) = self.links[link].down.parcels.pop_front() else { return };
        if let Parcel::Bytes(bytes) = &parcel
            && let Some((server, conn)) = self.end_of(link)
        {
            server.reactor.make_room(conn, bytes.len());
        }
        self.tell_client(link, parcel);
    }

    fn tell_client(&mut self, link: usize, parcel: Parcel) {
        if self.links[link].is_left {
            return;
        }
        let client = self.links[link].client;
        self.with(client, |world, client| {
            if client.link == Some(link) {
                world.receives(client, parcel);
            }
        });
    }
}
