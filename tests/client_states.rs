//! A client ends within 50 ms whatever it is doing, and is one thread and little memory: in a network namespace, where
//! addresses are black holes and no name server answers. The test runs itself again within it.

use parlor::client::{Backoff, Client, ClientBuilder, FileOutbox, Tls, TokenFailure};
use parlor::server::{Config, Server};
use parlor::store::Place;
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);
const AT_ONCE: Duration = Duration::from_millis(50);
/// Within what time a thread that was joined is gone from `/proc`.
const REAPED: Duration = Duration::from_secs(1);
/// What leads nowhere: nobody has the address to which these packets go.
const BLACK_HOLE: &str = "10.99.99.2";
/// How long clients connect and close.
const SECONDS_VARIABLE: &str = "PARLOR_CLIENT_SECONDS";

#[test]
fn a_client_ends_at_once_in_each_of_its_states() {
    run_inside("states");
}

#[test]
fn an_idle_client_is_one_thread_and_a_mebibyte() {
    run_inside("idle");
}

#[test]
fn connecting_and_closing_again_and_again_leaves_nothing() {
    run_inside("again");
}

/// Runs one of the parts below in namespaces of its own.
fn run_inside(part: &str) {
    let enter = "ip link set lo up \
        && { ip link add hole type dummy || ip link add hole type veth peer name other; } 2>/dev/null \
        && ip addr add 10.99.99.1/24 dev hole \
        && ip link set hole up \
        && ip neigh add 10.99.99.2 lladdr 02:00:00:00:00:01 dev hole && { ip link set other up || true; } 2>/dev/null \
        && echo 'nameserver 10.99.99.2' >\"$1/resolv.conf\" \
        && echo 'hosts: files dns' >\"$1/nsswitch.conf\" \
        && mount --bind \"$1/resolv.conf\" \"$(readlink -f /etc/resolv.conf)\" \
        && { [ ! -e /etc/nsswitch.conf ] || mount --bind \"$1/nsswitch.conf\" /etc/nsswitch.conf; } \
        && exec \"$0\" --exact --ignored --nocapture \"inside::$2\"";
    let folder = tempfile::tempdir().unwrap();
    let done = Command::new("unshare")
        .args(["--user", "--map-root-user", "--net", "--mount", "sh", "-c", enter])
        .arg(std::env::current_exe().unwrap())
        .arg(folder.path())
        .arg(part)
        .output()
        .expect("unshare, of Debian's util-linux");
    let (said, why) =
        (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    println!("{said}");
    assert!(
        done.status.success() && said.contains("1 passed"),
        "{said}{why}\nit needs unshare and ip (on Debian: apt-get install util-linux iproute2), and user namespaces"
    );
}

/// A server that takes connections, says this to each, and nothing more.
fn mute(answer: &'static [u8]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        let mut kept: Vec<TcpStream> = Vec::new();
        for socket in listener.incoming() {
            let mut socket = socket.unwrap();
            let _ = socket.write_all(answer);
            kept.push(socket);
        }
    });
    port
}

/// A server that opens each WebSocket, and then says nothing.
fn opens_only() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        let mut kept = Vec::new();
        for socket in listener.incoming() {
            kept.push(tungstenite::accept(socket.unwrap()).unwrap());
        }
    });
    port
}

/// A server in a process of its own, so that what this one has is the clients'.
struct ServerProcess {
    address: SocketAddr,
    child: Child,
}

impl ServerProcess {
    /// Without the bounds to which an hour of one user would come.
    fn start() -> ServerProcess {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_parlor"));
        command.args(["serve", "--data", ":memory:", "--listen", &address.to_string()]);
        for bound in [
            "limits.requests_per_second=100000",
            "limits.burst=100000",
            "limits.user_work_per_second=1000000",
            "limits.user_work_burst=1000000",
            "limits.connections_per_address_minute=0",
            "limits.stored_bytes_per_day=0",
        ] {
            command.args(["--set", bound]);
        }
        // It is the test's.
        command.env_remove(SECONDS_VARIABLE).stdout(Stdio::null());
        let child = command.spawn().unwrap();
        let begun = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(begun.elapsed() < PATIENCE, "the server does not start");
            thread::sleep(Duration::from_millis(20));
        }
        ServerProcess { address, child }
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The threads of this process, by name.
fn threads() -> Vec<String> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    tasks
        .filter_map(|task| {
            let name = std::fs::read_to_string(task.unwrap().path().join("comm")).ok()?;
            Some(name.trim().to_owned())
        })
        .collect()
}

/// Linux wakes who joins a thread before it takes the thread out of `/proc`: it is waited for.
fn reaped(are_those: impl Fn(&[String]) -> bool) {
    let begun = Instant::now();
    while !are_those(&threads()) {
        assert!(begun.elapsed() < REAPED, "a thread is left: {:?}", threads());
        thread::sleep(Duration::from_millis(1));
    }
}

/// Resident memory of the process that is not a file's, in KiB.
fn memory_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

mod inside {
    use super::*;

    fn named(builder: ClientBuilder) -> ClientBuilder {
        builder.thread_name("under-test")
    }

    fn to(url: &str) -> ClientBuilder {
        named(Client::builder(url))
    }

    /// Begins a client, lets it come to its state, and measures its end.
    fn ends_at_once(
        state: &str,
        builder: impl Fn() -> ClientBuilder,
        is_there: impl Fn(&Client) -> bool,
    ) {
        for way in ["drop", "close"] {
            // Twice of three times: between two looks at the clock a busy machine may do something else.
            let mut took: Vec<Duration> =
                (0..2).map(|_| ends_once(state, way, &builder, &is_there)).collect();
            if took.iter().any(|took| *took >= AT_ONCE) {
                took.push(ends_once(state, way, &builder, &is_there));
            }
            let quick = took.iter().filter(|took| **took < AT_ONCE).count();
            assert!(quick >= 2, "{state}: {way} took {took:?}");
        }
    }

    fn ends_once(
        state: &str,
        way: &str,
        builder: &impl Fn() -> ClientBuilder,
        is_there: &impl Fn(&Client) -> bool,
    ) -> Duration {
        let client = builder().start().unwrap();
        let begun = Instant::now();
        while !is_there(&client) {
            assert!(begun.elapsed() < PATIENCE, "{state}: it is {:?}", client.state());
            thread::sleep(Duration::from_millis(5));
        }
        // It stays there.
        thread::sleep(Duration::from_millis(100));
        assert!(is_there(&client), "{state}: it is {:?}", client.state());
        let begun = Instant::now();
        if way == "close" {
            let _ = client.close(Duration::ZERO);
        }
        drop(client);
        let took = begun.elapsed();
        println!("{state:<16} {way:<6} {:>6} µs", took.as_micros());
        reaped(|threads| !threads.contains(&"under-test".to_owned()));
        took
    }

    fn is(name: &'static str) -> impl Fn(&Client) -> bool {
        move |client| client.state().name() == name
    }

    #[test]
    #[ignore = "runs within a namespace"]
    fn states() {
        let server =
            Server::start(Config::new("127.0.0.1:0".parse().unwrap(), Place::Memory)).unwrap();
        let url = format!("ws://{}/ws?user=ada", server.local_addr());
        let folder = tempfile::tempdir().unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let names = vec!["localhost".to_owned()];
        let ca = rcgen::CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
        let ca_path = folder.path().join("ca.pem");
        std::fs::write(&ca_path, ca.pem()).unwrap();
        let tls = Tls::ca_file(&ca_path).unwrap();

        ends_at_once("resolving", || to("ws://nobody.example/"), is("connecting"));
        ends_at_once("black hole", || to(&format!("ws://{BLACK_HOLE}/")), is("connecting"));
        let stalled = format!("wss://127.0.0.1:{}/", mute(b""));
        ends_at_once("TLS stalled", || to(&stalled).tls(tls.clone()), is("connecting"));
        let stalled = format!("ws://127.0.0.1:{}/", mute(b"HTTP/1.1 101 Swit"));
        ends_at_once("upgrade stalled", || to(&stalled), is("connecting"));
        let silent = format!("ws://127.0.0.1:{}/", opens_only());
        ends_at_once("authenticating", || to(&silent), is("authenticating"));
        ends_at_once("online", || to(&url), is("online"));
        let slow =
            Backoff { min_ms: 60_000, max_ms: 60_000, has_jitter: false, ..Backoff::default() };
        ends_at_once("backoff", || to("ws://127.0.0.1:1/").backoff(slow), is("waiting"));
        ends_at_once(
            "paused",
            || to(&url),
            |client| {
                client.pause();
                client.state().name() == "paused"
            },
        );
        let away = || to("ws://127.0.0.1:1/").backoff(slow);
        ends_at_once("outbox full", away, |client| {
            let room = client.room("tea");
            while room.send("x").try_wait().is_none() {}
            client.unsent().len() == 10_000
        });
        // What hangs in the program's own function, and in a file's outbox with all that.
        let hangs = || {
            to(&url).token_with(|_| -> Result<_, TokenFailure> {
                thread::sleep(PATIENCE);
                Ok(None)
            })
        };
        ends_at_once("asking a token", hangs, is("connecting"));
        let outbox = FileOutbox::open(folder.path()).unwrap();
        let client = to("ws://127.0.0.1:1/").outbox(outbox).start().unwrap();
        let room = client.room("tea");
        for _ in 0..20 {
            room.send("x");
        }
        let begun = Instant::now();
        drop((client, room));
        assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
        server.handle().stop().unwrap();
        server.join().unwrap();
    }

    /// For `PARLOR_CLIENT_SECONDS`, or three seconds: clients that come to their end in each of several ways.
    #[test]
    #[ignore = "runs within a namespace"]
    fn again() {
        let seconds = std::env::var(SECONDS_VARIABLE).map_or(3, |text| text.parse().unwrap());
        let server = ServerProcess::start();
        let url = format!("ws://{}/ws?user=ada", server.address);
        let open_files = || std::fs::read_dir("/proc/self/fd").unwrap().count();
        let folder = tempfile::tempdir().unwrap();
        let one = |number: u64| {
            let builder = match number % 5 {
                0 => to("ws://127.0.0.1:1/"),
                1 => to(&format!("ws://{BLACK_HOLE}/")),
                2 => to(&url).outbox(FileOutbox::open(folder.path()).unwrap()),
                _ => to(&url),
            };
            let client = builder.start().unwrap();
            let events = client.events();
            let descriptor = events.descriptor().unwrap();
            if number % 5 >= 2 {
                client.wait_online(PATIENCE).unwrap();
                let room = client.room("tea");
                room.join().wait().unwrap();
                room.send("x").wait().unwrap();
                if number % 5 == 3 {
                    client.pause();
                    client.retry_now();
                }
                client.close(PATIENCE).unwrap();
            }
            drop((client, descriptor));
            assert!(events.last().is_some());
        };
        let begun = Instant::now();
        let mut number = 0;
        let mut warm = None;
        while begun.elapsed() < Duration::from_secs(seconds) || number < 200 {
            one(number);
            number += 1;
            // What the process has once has its size by then.
            if number == 100 {
                warm = Some((memory_kib(), open_files(), threads().len()));
            }
        }
        let (memory, files, count) = warm.expect("there were more than a hundred");
        let growth = memory_kib().saturating_sub(memory);
        println!(
            "{number} clients, {growth} KiB more than after 100, {} files, {:?}",
            open_files(),
            threads()
        );
        assert!(growth <= 1_024, "{growth} KiB after {number} clients");
        assert!(open_files() <= files, "{} files for {files}", open_files());
        reaped(|threads| threads.len() <= count);
    }

    #[test]
    #[ignore = "runs within a namespace"]
    fn idle() {
        let server =
            Server::start(Config::new("127.0.0.1:0".parse().unwrap(), Place::Memory)).unwrap();
        let url = format!("ws://{}/ws?user=ada", server.local_addr());
        // The first of each pays for what the process has once.
        drop(to(&url).start().unwrap());
        let before = memory_kib();
        let names_before = threads().len();
        let clients: Vec<Client> = (0..10).map(|_| to(&url).start().unwrap()).collect();
        for client in &clients {
            client.wait_online(PATIENCE).unwrap();
        }
        thread::sleep(Duration::from_millis(300));
        let each = (memory_kib() - before) / 10;
        println!("{each} KiB for an idle client and its server's part");
        assert_eq!(threads().len() - names_before, 10, "{:?}", threads());
        assert!(each <= 1_024, "{each} KiB");
        drop(clients);
        reaped(|threads| threads.len() == names_before);
        server.handle().stop().unwrap();
        server.join().unwrap();
    }
}
