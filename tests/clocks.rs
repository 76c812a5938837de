//! The system's clock jumps or starts wrong: the whole server with its store, on simulated clocks.

use parlor::auth::{Claims, Secret};
use parlor::base::limits::CLOCK_HELD_MS;
use parlor::base::{Limits, Moment, Timestamp};
use parlor::hub::Retention;
use parlor::reactor::simulated::SimulatedReactor;
use parlor::server::{Chat, Config, Seat};
use parlor::store::{OpenError, Place, Store};
use parlor::web::Web;
use serde_json::Value;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

const DAY: u64 = 86_400_000;
const START: i64 = 20_000 * DAY as i64;
const KEPT: u64 = 30 * DAY;

struct Server {
    reactor: SimulatedReactor,
    web: Web<Chat<Store>>,
    woken: Receiver<()>,
    now: u64,
    /// The wall clock's time less `now`.
    offset: i64,
}

fn secret() -> Secret {
    Secret::new(b"a secret of the tests, of 32 bytes").unwrap()
}

fn config(directory: &Path) -> Config {
    let place = Place::Directory(directory.to_owned());
    let mut config = Config::new("127.0.0.1:80".parse().unwrap(), place);
    config.retention.default = Retention { entries: u64::MAX, age_ms: KEPT };
    // As time passes here a heartbeat would end whoever stays.
    config.limits = Limits { requests_per_second: 1_000, burst: 1_000, ..Limits::default() };
    config
}

/// A token of ada's, who may ask all of it.
fn token(expires: i64) -> String {
    let exp = Some((expires / 1_000).into());
    secret().sign(&Claims { sub: "ada".into(), exp, ..Claims::default() }).unwrap()
}

impl Server {
    fn start(config: Config, wall: i64) -> Server {
        let (wake, woken) = channel();
        let opened = loop {
            let wake = wake.clone();
            let opened = Store::open(&config.data, "epoch", move || {
                let _ = wake.send(());
            });
            match opened {
                // A process that another test starts has our locks for a moment.
                Err(OpenError::Lock(_)) => std::thread::sleep(Duration::from_millis(10)),
                other => break other.unwrap(),
            }
        };
        let now = Moment::from_millis(0);
        let reactor = SimulatedReactor::new(&config.limits, now, Timestamp(wall));
        let keys = config.key_sources().read().unwrap();
        let listeners = config.all_listeners();
        let web = Chat::build(config, listeners, keys, opened, Seat::Alone(reactor.wake()), now, 1);
        let mut server = Server { reactor, web, woken, now: 0, offset: wall };
        server.settle();
        server
    }

    fn wall(&self) -> i64 {
        self.now as i64 + self.offset
    }

    /// Time passes.
    fn pass(&mut self, ms: u64) {
        self.now += ms;
        self.settle();
    }

    /// Somebody sets the clock.
    fn jump(&mut self, days: i64) {
        self.offset += days * DAY as i64;
        self.settle();
    }

    /// Turns of the loop, until the store has nothing more to say.
    fn settle(&mut self) {
        self.reactor.set_time(Moment::from_millis(self.now), Timestamp(self.wall()));
        let wake = self.reactor.wake();
        loop {
            wake.wake();
            self.reactor.turn(&mut self.web);
            if self.woken.recv_timeout(Duration::from_millis(20)).is_err() {
                break;
            }
        }
    }

    /// Status and content of the answer to a request.
    fn ask(&mut self, line: &str, token: Option<&str>, body: &str) -> (u16, String) {
        let conn = self.reactor.connect(&mut self.web, "127.0.0.1:9".parse().unwrap(), usize::MAX);
        let authorization =
            token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
        let len = body.len();
        let request = format!(
            "{line} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n{authorization}\
             Content-Length: {len}\r\n\r\n{body}"
        );
        self.reactor.arrive(conn, request.as_bytes());
        for _ in 0..100 {
            self.settle();
            let (sent, _) = self.reactor.fetch(conn);
            if !sent.is_empty() {
                self.reactor.reset(conn);
                let text = String::from_utf8(sent).unwrap();
                let (head, content) = text.split_once("\r\n\r\n").unwrap();
                return (head[9..12].parse().unwrap(), content.to_owned());
            }
        }
        panic!("no answer to {line}");
    }

    /// Says something; tells under which number and when.
    fn say(&mut self) -> (u64, i64) {
        let line = "POST /api/v1/rooms/tea/messages?user=ada";
        let (status, content) = self.ask(line, None, r#"{"text":"x"}"#);
        assert!(status < 300, "{status} {content}");
        let said: Value = serde_json::from_str(&content).unwrap();
        (said["seq"].as_u64().unwrap(), said["ts"].as_i64().unwrap())
    }

    /// The numbers of the first entry that is there, and of the newest one.
    fn kept(&mut self) -> (u64, u64) {
        let line = "GET /api/v1/rooms/tea/messages?user=ada&limit=100";
        let (status, content) = self.ask(line, None, "");
        assert_eq!(status, 200, "{content}");
        let page: Value = serde_json::from_str(&content).unwrap();
        let seq = |entry: Option<&Value>| entry.and_then(|entry| entry["payload"]["seq"].as_u64());
        let entries = page["entries"].as_array().unwrap();
        (seq(entries.first()).unwrap(), seq(entries.last()).unwrap())
    }

    fn jumps(&mut self) -> [u64; 2] {
        let (_, text) = self.ask("GET /metrics", None, "");
        ["forward", "backward"].map(|direction| {
            let name = format!("parlor_clock_jumps_total{{direction=\"{direction}\"}} ");
            let line = text.lines().find_map(|line| line.strip_prefix(&name));
            line.unwrap_or_else(|| panic!("{text}")).parse().unwrap()
        })
    }

    /// A room, and a message on each of 20 days.
    fn fill(&mut self) {
        let (status, content) = self.ask("PUT /api/v1/rooms/tea?user=ada", None, "{}");
        assert!(status < 300, "{status} {content}");
        for _ in 0..20 {
            self.pass(DAY);
            assert_eq!(self.say().1, self.wall());
        }
        assert_eq!((self.kept(), self.jumps()), ((1, 21), [0, 0]));
    }
}

#[test]
fn a_clock_that_is_ahead_for_a_while_removes_nothing_and_dates_nothing_ahead() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(config(folder.path()), START);
    server.fill();
    for while_ms in [4_000, CLOCK_HELD_MS - 1_000] {
        let before = server.wall();
        server.jump(40);
        let (_, ts) = server.say();
        assert!(
            (before..before + 1_000).contains(&ts),
            "{} days ahead",
            (ts - before) / DAY as i64
        );
        server.pass(while_ms);
        assert_eq!(server.kept().0, 1);
        server.jump(-40);
        assert_eq!(server.kept().0, 1);
        assert_eq!(server.say().1, server.wall());
    }
    assert_eq!(server.jumps(), [2, 2]);
    // What is old goes, by a clock that goes as it should.
    server.pass(11 * DAY);
    assert_eq!(server.kept().0, 3);
}

#[test]
fn a_jump_that_holds_for_an_hour_is_believed() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(config(folder.path()), START);
    server.fill();
    server.jump(20);
    // It is looked at the clocks whenever something is asked.
    for _ in 0..60 {
        assert_eq!(server.kept().0, 1);
        server.pass(CLOCK_HELD_MS / 60 - 1);
    }
    server.pass(60);
    assert_eq!(server.say().1, server.wall());
    // What is too old is looked for once a minute.
    server.pass(60_000);
    assert_eq!(server.kept().0, 12);
    assert_eq!(server.jumps(), [1, 0]);
}

#[test]
fn a_start_with_a_wrong_clock_removes_nothing_for_an_hour() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(config(folder.path()), START);
    server.fill();
    let wall = server.wall();
    drop(server);
    let mut server = Server::start(config(folder.path()), wall + 40 * DAY as i64);
    server.pass(CLOCK_HELD_MS - 1_000);
    assert_eq!(server.kept(), (1, 21));
    // It is mended in time.
    server.jump(-40);
    server.pass(2 * CLOCK_HELD_MS);
    assert_eq!(server.kept(), (1, 21));
    assert_eq!(server.say().1, server.wall());
    drop(server);
    // It is right: so long nobody was here.
    let mut server = Server::start(config(folder.path()), wall + 40 * DAY as i64);
    server.pass(CLOCK_HELD_MS);
    server.pass(60_000);
    assert_eq!(server.say().0, 23);
    assert_eq!(server.kept(), (23, 23));
}

#[test]
fn entries_of_an_age_go_in_the_first_hour_too_if_the_server_has_seen_them_age() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    config.retention.default.age_ms = 10_000;
    let mut server = Server::start(config.clone(), START);
    let (status, _) = server.ask("PUT /api/v1/rooms/tea?user=ada", None, "{}");
    assert_eq!(status, 201);
    server.pass(10_000);
    server.say();
    assert_eq!(server.kept().0, 2);
    drop(server);
    let mut server = Server::start(config, START + 20_000);
    server.say();
    server.pass(10_000);
    assert_eq!(server.say().0, 4);
    assert_eq!(server.kept().0, 3);
}

#[test]
fn tokens_go_by_what_the_system_says() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    config.secret = Some(secret());
    let mut server = Server::start(config, START);
    let of_today = token(START + DAY as i64);
    let status =
        |server: &mut Server, token: &str| server.ask("GET /api/v1/rooms", Some(token), "").0;
    assert_eq!(status(&mut server, &of_today), 200);
    server.jump(40);
    assert_eq!(status(&mut server, &of_today), 401, "although that is not believed");
    assert_eq!(status(&mut server, &token(START + 41 * DAY as i64)), 200);
    server.jump(-40);
    assert_eq!(status(&mut server, &of_today), 200);
}
