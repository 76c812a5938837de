//! A server with several threads within a program: what is one server's holds on all of them.

use parlor::base::ConnId;
use parlor::base::declaration::{Declaration, Keep, Readers};
use parlor::base::pattern::Pattern;
use parlor::client::{BlockingWebSocket, Incoming};
use parlor::protocol::CloseCode;
use parlor::server::{Access, Config, Running, Server};
use parlor::store::Place;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc;
use std::time::{Duration, Instant};

const WAIT: Duration = Duration::from_secs(10);
const THREADS: u32 = 3;

fn start() -> Running {
    let mut config = Config::new(([127, 0, 0, 1], 0).into(), Place::Memory);
    config.threads = THREADS;
    config.set("closing.timeout_ms=100").unwrap();
    config.set("metrics.public=true").unwrap();
    config.set("limits.burst=100000").unwrap();
    config.set("limits.requests_per_second=100000").unwrap();
    config.set("limits.connections_per_address=20000").unwrap();
    let mut board = Declaration::new(Pattern::parse("board").unwrap());
    (board.keep, board.program) = (Keep::Log(100), true);
    config.streams = vec![board];
    Server::start(config).unwrap()
}

/// Connections, one after the other on each thread: each goes to the one with fewest.
fn connect(server: &Running, count: usize) -> Vec<BlockingWebSocket> {
    let address = server.local_addr();
    let connect = |number| {
        let url = format!("ws://{address}/ws?user=u{number}");
        let mut socket =
            BlockingWebSocket::builder(&url).read_timeout(Some(WAIT)).connect().unwrap();
        while next(&mut socket)["type"] != "hello" {}
        socket
    };
    (0..count).map(connect).collect()
}

fn next(socket: &mut BlockingWebSocket) -> Value {
    match socket.read().unwrap() {
        Some(Incoming::Text(text)) => serde_json::from_str(&text).unwrap(),
        other => panic!("no message: {other:?}"),
    }
}

fn request(socket: &mut BlockingWebSocket, kind: &str, payload: &Value) -> Value {
    let message = json!({ "type": kind, "id": 1, "payload": payload });
    socket.send(&message.to_string()).unwrap();
    loop {
        let message = next(socket);
        if message["id"] == 1 {
            return message;
        }
    }
}

/// A connection for the metrics, on the thread that has fewest.
fn scraper(server: &Running) -> TcpStream {
    let stream = TcpStream::connect(server.local_addr()).unwrap();
    stream.set_read_timeout(Some(WAIT)).unwrap();
    stream
}

fn metrics(stream: &mut TcpStream) -> String {
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&answer).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
            if length.map(|length| length.parse::<usize>().unwrap()) == Some(body.len()) {
                return text;
            }
        }
        let mut piece = [0; 65_536];
        let len = stream.read(&mut piece).unwrap();
        assert!(len > 0, "it ends behind {text:?}");
        answer.extend(&piece[..len]);
    }
}

fn metric(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name)).expect(name);
    line.trim().parse().unwrap()
}

#[test]
fn what_was_called_before_the_stop_reaches_everybody_on_every_thread() {
    for _ in 0..10 {
        let server = start();
        let handle = server.handle();
        let mut sockets = connect(&server, 2 * THREADS as usize);
        for socket in &mut sockets {
            assert!(
                request(socket, "subscribe", &json!({ "streams": ["board"] }))["type"] == "reply"
            );
        }
        handle.publish_event("board", &json!("last")).unwrap();
        assert_eq!(handle.broadcast("note", &json!({})).unwrap(), sockets.len());
        handle.stop().unwrap();
        for socket in &mut sockets {
            let (mut events, mut notes, mut code) = (0, 0, None);
            loop {
                match socket.read() {
                    Ok(Some(Incoming::Text(text))) => {
                        let message: Value = serde_json::from_str(&text).unwrap();
                        events += u32::from(message["type"] == "event");
                        notes += u32::from(message["type"] == "note");
                    }
                    Ok(Some(Incoming::Closed { code: told, .. })) => code = told,
                    Ok(Some(_)) => {}
                    Ok(None) | Err(_) => break,
                }
            }
            assert_eq!((events, notes), (1, 1));
            assert_eq!(code, Some(CloseCode::GOING_AWAY.0));
        }
        server.join().unwrap();
    }
}

#[test]
fn newcomers_do_not_hold_up_the_end() {
    for _ in 0..5 {
        let server = start();
        let address = server.local_addr();
        let _sockets = connect(&server, 2 * THREADS as usize);
        let (over, is_over) = mpsc::channel::<()>();
        let newcomers = std::thread::spawn(move || {
            let mut all = Vec::new();
            while is_over.try_recv() == Err(mpsc::TryRecvError::Empty) && all.len() < 2_000 {
                all.extend(TcpStream::connect(address));
            }
        });
        std::thread::sleep(Duration::from_millis(20));
        let begun = Instant::now();
        server.handle().stop().unwrap();
        server.join().unwrap();
        // All that it may take is STOP_MS_MAX.
        assert!(begun.elapsed() < Duration::from_millis(3_500), "it took {:?}", begun.elapsed());
        drop(over);
        newcomers.join().unwrap();
    }
}

#[test]
fn a_thread_that_is_held_up_takes_nothing_from_what_is_counted() {
    let server = start();
    let handle = server.handle();
    let (held, is_held) = mpsc::channel();
    let held = std::sync::Mutex::new(held);
    handle
        .handle("app:hold", Access::User, move |_, reply| {
            held.lock().unwrap().send(()).unwrap();
            // Longer than others wait (SURVEY_MS).
            std::thread::sleep(Duration::from_secs(4));
            reply.ok(json!({})).unwrap();
        })
        .unwrap();
    let mut sockets = connect(&server, THREADS as usize);
    let mut scraper = scraper(&server);
    let name = "parlor_websockets_opened_total";
    let before = metric(&metrics(&mut scraper), name);
    assert_eq!(before, u64::from(THREADS));
    // Its own thread is the first, as that has no more than others.
    sockets[1].send(r#"{"type":"app:hold","payload":{}}"#).unwrap();
    is_held.recv_timeout(WAIT).unwrap();
    // The one that is asked waits for the held one for two seconds, and then says what it last heard.
    assert_eq!(metric(&metrics(&mut scraper), name), before);
    server.handle().stop().unwrap();
    server.join().unwrap();
}

#[test]
fn a_stream_that_is_closed_to_its_watchers_is_closed_on_every_thread() {
    let server = start();
    let reloader = server.reloader();
    let read = |readers| {
        let mut config = reloader.config();
        config.streams[0].read = readers;
        reloader.reload(&config).unwrap();
    };
    let mut sockets = connect(&server, 2 * THREADS as usize);
    let board = json!({ "streams": ["board"] });
    for _ in 0..20 {
        for socket in &mut sockets {
            // The threads take what is read one after the other.
            while request(socket, "subscribe", &board)["type"] != "reply" {}
        }
        read(Readers::Admin);
        for socket in &mut sockets {
            while next(socket)["payload"]["code"] != "unsubscribed" {}
        }
        read(Readers::Users);
    }
    server.handle().stop().unwrap();
    server.join().unwrap();
}

#[test]
fn threads_have_as_many_connections_each_and_info_counts_all() {
    let server = start();
    let mut sockets = connect(&server, 2 * THREADS as usize);
    let mut of_threads = [0; THREADS as usize];
    for socket in &mut sockets {
        let info = request(socket, "info", &json!({}));
        assert_eq!(info["payload"]["counts"]["connections"], 2 * THREADS, "{info}");
        let conn = ConnId::parse(info["payload"]["connection"].as_str().unwrap()).unwrap();
        of_threads[conn.reactor()] += 1;
    }
    // Each got as many as others.
    assert_eq!(of_threads, [2; THREADS as usize]);
    // Whichever thread is asked has the counts of all.
    let mut scrapers: Vec<TcpStream> = (0..2 * THREADS).map(|_| scraper(&server)).collect();
    for scraper in &mut scrapers {
        metrics(scraper);
    }
    for scraper in &mut scrapers {
        let text = metrics(scraper);
        assert_eq!(metric(&text, "parlor_threads"), u64::from(THREADS));
        assert_eq!(metric(&text, "parlor_connections{kind=\"http\"}"), u64::from(2 * THREADS));
        assert_eq!(metric(&text, "parlor_connections_accepted_total"), u64::from(4 * THREADS));
    }
    server.handle().stop().unwrap();
    server.join().unwrap();
    for mut scraper in scrapers {
        assert_eq!(scraper.read(&mut [0; 16]).unwrap_or(0), 0, "it has ended");
    }
}

#[test]
fn a_server_that_is_dropped_before_it_runs_leaves_its_data_to_the_next() {
    let directory = tempfile::tempdir().unwrap();
    for _ in 0..3 {
        let place = Place::Directory(directory.path().into());
        let mut config = Config::new(([127, 0, 0, 1], 0).into(), place);
        config.threads = THREADS;
        drop(Server::bind(config).unwrap());
    }
}
