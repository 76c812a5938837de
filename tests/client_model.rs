//! Whatever is cut or killed: what each client has seen is the log of the real server, of a room and of a stream, and what
//! was acknowledged is in it once. The server is a process of its own, which is killed (`kill -9`) and started again;
//! one client in three keeps its messages in a file and is ended in the middle.
//!
//! More of it: `PARLOR_SEEDS=500 cargo test --release --test client_model`; `PARLOR_FIRST_SEED=n` begins with another.

use parlor::base::{Entry, EntryKind, UserId};
use parlor::client::{
    Backoff, Client, ClientEvent, FileOutbox, Part, Room, TicketStatus, WatchOptions,
};
use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);
const STEPS: u32 = 150;
/// What nothing of the test comes near to.
const BOUNDS: [&str; 6] = [
    "limits.requests_per_second=100000",
    "limits.burst=100000",
    "limits.user_work_per_second=1000000",
    "limits.user_work_burst=1000000",
    "limits.connections_per_address_minute=0",
    "streams={ \"log:{seed}\" = { keep = 10000, durable = true, publish = true } }",
];

/// The server, which is killed and started again.
struct Victim {
    address: SocketAddr,
    data: tempfile::TempDir,
    child: Child,
}

impl Victim {
    fn start() -> Victim {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let data = tempfile::tempdir().unwrap();
        let child = Victim::serve(address, data.path());
        Victim { address, data, child }
    }

    fn serve(address: SocketAddr, data: &Path) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_parlor"));
        command.arg("serve").arg("--data").arg(data).args(["--listen", &address.to_string()]);
        // They are the test's.
        command.env_remove("PARLOR_SEEDS").env_remove("PARLOR_FIRST_SEED");
        for bound in BOUNDS {
            command.args(["--set", bound]);
        }
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    fn kill_and_start(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.child = Victim::serve(self.address, self.data.path());
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Passes bytes on to a server, until it cuts what it passes.
struct Wire {
    address: SocketAddr,
    ends: Arc<Mutex<Vec<TcpStream>>>,
}

impl Wire {
    fn to(server: SocketAddr) -> Wire {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let wire = Wire { address: listener.local_addr().unwrap(), ends: Arc::default() };
        let ends = Arc::clone(&wire.ends);
        // It ends with the process.
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(server) else { continue };
                let (mut ends, pair) =
                    (ends.lock().unwrap(), [(&client, &server), (&server, &client)]);
                for (from, to) in
                    pair.map(|(a, b)| (a.try_clone().unwrap(), b.try_clone().unwrap()))
                {
                    thread::spawn(move || pass(from, to));
                }
                ends.extend([client, server]);
            }
        });
        wire
    }

    fn cut(&self) {
        for end in self.ends.lock().unwrap().drain(..) {
            let _ = end.shutdown(Shutdown::Both);
        }
    }
}

/// In small pieces, so that a cut is often within a frame.
fn pass(mut from: TcpStream, mut to: TcpStream) {
    let mut bytes = [0; 200];
    while let Ok(len @ 1..) = from.read(&mut bytes) {
        if to.write_all(&bytes[..len]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}

/// An xorshift generator: a seed is repeated.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// Somebody in the room, and all that their client has told.
struct Person {
    user: String,
    wire: Wire,
    folder: Option<tempfile::TempDir>,
    client: Client,
    /// The numbers of the entries, and the texts of messages as they were told.
    entries: Vec<(u64, Option<String>)>,
    /// The numbers of the stream's events, and whether it was told that some before were left out.
    events: Vec<(u64, bool)>,
    sent: BTreeMap<String, parlor::client::Ticket>,
    /// Of clients that were ended: what they were told was stored.
    acknowledged: BTreeMap<String, u64>,
    first_text: u32,
    texts: u32,
}

impl Person {
    fn new(server: SocketAddr, user: String, keeps: bool, queue: u32) -> Person {
        let wire = Wire::to(server);
        let folder = keeps.then(|| tempfile::tempdir().unwrap());
        let client =
            Person::connect(wire.address, &user, folder.as_ref().map(|one| one.path()), queue);
        Person {
            user,
            wire,
            folder,
            client,
            entries: Vec::new(),
            events: Vec::new(),
            sent: BTreeMap::new(),
            acknowledged: BTreeMap::new(),
            first_text: 0,
            texts: 0,
        }
    }

    fn connect(wire: SocketAddr, user: &str, folder: Option<&Path>, queue: u32) -> Client {
        let quick = Backoff { min_ms: 5, max_ms: 50, ..Backoff::default() };
        let mut builder = Client::builder(&format!("ws://{wire}/ws?user={user}"));
        builder = builder.backoff(quick).queue(queue).user(UserId::parse_any(user).unwrap());
        if let Some(folder) = folder {
            builder = builder.outbox(FileOutbox::open(folder).unwrap());
        }
        builder.start().unwrap()
    }

    fn room(&self, name: &str) -> Room {
        self.client.room(name)
    }

    /// Takes at most so many events.
    fn take(&mut self, most: usize) {
        for _ in 0..most {
            match self.client.events().try_recv() {
                Ok(ClientEvent::Entry(entry)) => {
                    let text = match &entry.kind {
                        EntryKind::Message { body, .. } => Some(body.text.to_string()),
                        _ => None,
                    };
                    // A client that is begun anew may be told something before it is said from where.
                    let is_again = self.folder.is_some()
                        && self.entries.last().is_some_and(|(last, _)| entry.seq <= *last);
                    if !is_again {
                        self.entries.push((entry.seq, text));
                    }
                }
                Ok(ClientEvent::Stream(update)) => {
                    self.events.push((update.seq, update.is_skipped));
                }
                Ok(event @ (ClientEvent::Gap(_) | ClientEvent::StreamGap { .. })) => {
                    panic!("{}: {event:?}", self.user)
                }
                Ok(_) => {}
                Err(_) => break,
            }
        }
    }

    fn send(&mut self, room: &str) {
        self.texts += 1;
        let text = format!("{} {}", self.user, self.texts);
        let ticket = self.room(room).send(&text);
        self.sent.insert(text, ticket);
    }

    /// Ends the client at once; another goes on with what it has kept, and with what it was told.
    fn end_and_begin(&mut self, room: &str) {
        let Some(folder) = self.folder.as_ref().map(|folder| folder.path().to_owned()) else {
            return;
        };
        let _ = self.client.close(Duration::ZERO);
        self.take(usize::MAX);
        for (text, ticket) in std::mem::take(&mut self.sent) {
            if let TicketStatus::Acked { seq, .. } = ticket.status() {
                self.acknowledged.insert(text, seq);
            }
        }
        self.client = Person::connect(self.wire.address, &self.user, Some(&folder), 64);
        self.go_on(room);
    }

    /// Wants all that it has not been told.
    fn go_on(&self, room: &str) {
        self.room(room).go_on_from(self.entries.last().map_or(0, |(seq, _)| *seq));
    }
}

/// The room's log, as the server tells it to somebody who comes later.
fn whole_log(server: SocketAddr, user: &str, room: &str) -> Vec<Entry> {
    let client = Person::connect(server, user, None, 64);
    client.wait_online(PATIENCE).unwrap();
    let mut log: Vec<Entry> = Vec::new();
    loop {
        let after = log.last().map_or(0, |entry| entry.seq);
        let page = client.room(room).history(Part::After(after), 200).wait().unwrap();
        log.extend(page.entries);
        if !page.has_more {
            return log;
        }
    }
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

#[test]
fn what_is_seen_is_the_log_whatever_is_cut_or_killed() {
    let mut server = Victim::start();
    let first = number("PARLOR_FIRST_SEED", 1);
    for seed in first..first + number("PARLOR_SEEDS", 3) {
        println!("seed {seed}");
        play(&mut server, seed);
    }
}

fn play(server: &mut Victim, seed: u64) {
    let mut chance = Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let room = format!("model-{seed}");
    let stream = format!("log:{seed}");
    let mut people = [
        Person::new(server.address, format!("ada-{seed}"), false, 4_096),
        Person::new(server.address, format!("ada-{seed}"), false, 8),
        Person::new(server.address, format!("eve-{seed}"), true, 64),
    ];
    // Two clients of one user have texts of their own.
    (people[1].first_text, people[1].texts) = (10_000, 10_000);
    // Before one of them is told of it by what another does.
    for person in &people {
        person.go_on(&room);
    }
    for person in &people {
        person.room(&room).join().wait().unwrap();
    }
    // Two watch a stream beside it: one has room for all of its events, the other for eight.
    for person in &people[..2] {
        person.client.stream(&stream, WatchOptions::default()).unwrap();
    }
    let mut published = Vec::new();
    for step in 0..STEPS {
        let at = chance.below(people.len() as u64) as usize;
        let person = &mut people[at];
        match chance.below(40) {
            0..=1 => person.wire.cut(),
            2 => person.client.pause(),
            3..=4 => person.client.retry_now(),
            5 if chance.below(4) == 0 => server.kill_and_start(),
            6..=9 => thread::sleep(Duration::from_millis(chance.below(20))),
            10 => person.end_and_begin(&room),
            11..=13 => {
                let seq = 1 + chance.below(person.entries.last().map_or(1, |(seq, _)| *seq));
                drop(person.room(&room).react(seq, "\u{1f44d}", chance.below(3) > 0));
            }
            14 => {
                let payload = format!("{{\"stream\":\"{stream}\",\"data\":{step}}}");
                published.push(person.client.request("publish", &payload));
            }
            15..=20 => person.take(chance.below(50) as usize),
            _ => person.send(&room),
        }
    }
    settle(&mut people);
    // Whether an event that a cut has overtaken is there is not known: how many there are, the server says.
    let told = published.into_iter().filter_map(|reply| reply.wait().ok()).count();
    check(server.address, &mut people, &room);
    check_stream(server.address, &mut people[..2], &stream, told as u64);
    assert!(
        people[0].events.iter().all(|(_, is_skipped)| !is_skipped),
        "{stream}: nothing is left out"
    );
    for person in people {
        let _ = person.client.close(Duration::from_secs(5));
    }
}

/// Waits until all that was sent is stored.
fn settle(people: &mut [Person]) {
    for person in people.iter() {
        person.client.retry_now();
    }
    let begun = Instant::now();
    while people.iter().any(|person| !person.client.unsent().is_empty()) {
        if begun.elapsed() > PATIENCE {
            let left = people.iter().map(|person| {
                let unsent = person.client.unsent();
                (&person.user, person.client.state(), unsent.len(), unsent.into_iter().next())
            });
            panic!("not all is stored in time: {:#?}", left.collect::<Vec<_>>());
        }
        for person in people.iter_mut() {
            person.take(1_000);
        }
        thread::sleep(Duration::from_millis(5));
    }
}

fn check(server: SocketAddr, people: &mut [Person], room: &str) {
    let log = whole_log(server, &people[0].user, room);
    let head = log.last().unwrap().seq;
    assert_eq!(
        log.iter().map(|entry| entry.seq).collect::<Vec<_>>(),
        (1..=head).collect::<Vec<_>>()
    );
    let stored: BTreeMap<&str, u64> = log
        .iter()
        .filter_map(|entry| match &entry.kind {
            EntryKind::Message { body, .. } => Some((&*body.text, entry.seq)),
            _ => None,
        })
        .collect();
    let messages =
        log.iter().filter(|entry| matches!(entry.kind, EntryKind::Message { .. })).count();
    assert_eq!(stored.len(), messages, "no message is there twice");
    for person in people {
        let begun = Instant::now();
        while person.entries.last().is_none_or(|(seq, _)| *seq < head) {
            assert!(
                begun.elapsed() < PATIENCE,
                "{}: {:?} of {head}",
                person.user,
                person.entries.last()
            );
            person.take(1_000);
            thread::sleep(Duration::from_millis(2));
        }
        let seen: Vec<u64> = person.entries.iter().map(|(seq, _)| *seq).collect();
        assert_eq!(seen, (1..=head).collect::<Vec<_>>(), "{}: each once, in order", person.user);
        for (seq, text) in &person.entries {
            if let Some(text) = text {
                assert_eq!(stored.get(text.as_str()), Some(seq), "{}", person.user);
            }
        }
        let mut last = 0;
        for number in person.first_text + 1..=person.texts {
            let text = format!("{} {number}", person.user);
            let Some(ticket) = person.sent.get(&text) else { continue };
            let seq = match ticket.status() {
                TicketStatus::Acked { seq, .. } => seq,
                status => panic!("{text}: {status:?}"),
            };
            assert_eq!(stored.get(text.as_str()), Some(&seq), "{text} is acknowledged");
            assert!(seq > last, "one writer, in the order of its sends");
            last = seq;
        }
        for (text, seq) in &person.acknowledged {
            assert_eq!(stored.get(text.as_str()), Some(seq), "{text} was acknowledged");
        }
        // What a client that was ended had kept, the next one has sent.
        let own =
            stored.keys().filter(|text| text.starts_with(&format!("{} ", person.user))).count();
        if person.folder.is_some() {
            assert_eq!(own as u32, person.texts, "all of {}'s", person.user);
        }
    }
}

/// What each has seen of a stream, of which so many events were acknowledged.
fn check_stream(server: SocketAddr, people: &mut [Person], stream: &str, acknowledged: u64) {
    let asker = Person::connect(server, &people[0].user, None, 64);
    asker.wait_online(PATIENCE).unwrap();
    let asked = asker.request("stream:get", &format!("{{\"stream\":\"{stream}\"}}"));
    let answer: serde_json::Value = serde_json::from_str(&asked.wait().unwrap()).unwrap();
    let newest = answer["seq"].as_u64().unwrap();
    assert!(newest >= acknowledged, "{stream}: {newest} of {acknowledged}");
    for person in people {
        let begun = Instant::now();
        while person.events.last().map_or(0, |(seq, _)| *seq) < newest {
            let last = person.events.last();
            assert!(begun.elapsed() < PATIENCE, "{stream}: {last:?} of {newest}");
            person.take(1_000);
            thread::sleep(Duration::from_millis(2));
        }
        for pair in person.events.windows(2) {
            let [(before, _), (seq, is_skipped)] = pair else { unreachable!() };
            assert!(seq > before, "{stream}: {seq} after {before}");
            assert_eq!(*is_skipped, *seq > before + 1, "{stream}: {seq} after {before}");
        }
    }
}

#[test]
fn a_wire_passes_and_cuts() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let wire = Wire::to(listener.local_addr()?);
    let mut client = TcpStream::connect(wire.address)?;
    client.write_all(&[b'a'; 500])?;
    let (mut server, _) = listener.accept()?;
    server.read_exact(&mut [0; 500])?;
    wire.cut();
    assert_eq!((client.read(&mut [0])?, server.read(&mut [0])?), (0, 0));
    Ok(())
}
