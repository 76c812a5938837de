//! The library: sockets that are bound before, or passed from server to server.

use parlor::config::{ListenAddress, Listener};
use parlor::reactor::ListeningSocket;
use parlor::server::{Config, Listening, PassedSocket, Server, ServerError};
use parlor::store::Place;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::time::Duration;

const WAIT: Duration = Duration::from_secs(10);

fn config(data: &std::path::Path) -> Config {
    let mut config = Config::new(([127, 0, 0, 1], 0).into(), Place::Directory(data.into()));
    let socket = ListenAddress::Unix(data.with_extension("sock"));
    let mut admins = Listener::new(socket);
    (admins.serves.public, admins.serves.admin) = (false, true);
    let public = Listener::new(ListenAddress::Tcp(([127, 0, 0, 1], 0).into()));
    config.listeners = vec![admins, public];
    config
}

/// The answer to a request, whose connection ends with it.
fn answer(mut stream: impl Read + Write, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn a_server_hands_its_sockets_to_the_next_and_nobody_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let config = config(&data);
    let mut passed: Vec<PassedSocket> = Vec::new();
    let mut first: Option<SocketAddr> = None;
    for _ in 0..3 {
        let listening = Listening::bind(&config, std::mem::take(&mut passed)).unwrap();
        assert_eq!(listening.beyond_loopback(), None);
        let (to_test, from_server) = mpsc::channel();
        let config = config.clone();
        let thread = std::thread::spawn(move || {
            let server = Server::open(config, listening).unwrap();
            to_test.send((server.stopper(), server.local_addr(), server.pulse())).unwrap();
            server.run_and_keep_sockets().unwrap()
        });
        let (stopper, address, pulse) = from_server.recv_timeout(WAIT).unwrap();
        // Its port is free at first, and stays.
        assert_eq!(*first.get_or_insert(address), address);
        assert!(answer(TcpStream::connect(address).unwrap(), "/healthz").contains(" 200 "));
        let admin = UnixStream::connect(data.with_extension("sock")).unwrap();
        assert!(answer(admin, "/api/v1/connections").contains("\"connections\":["));
        assert!(pulse.beats(), "its loop turns");
        stopper.hand_over().unwrap();
        let sockets = thread.join().unwrap();
        assert_eq!(sockets.len(), 2);
        // Between two servers whoever comes waits.
        let waits = TcpStream::connect(address).unwrap();
        waits.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        assert!((&waits).read(&mut [0]).is_err());
        let to_next = |socket: ListeningSocket| PassedSocket { socket, name: None };
        passed = sockets.into_iter().map(to_next).collect();
    }
    assert!(data.with_extension("sock").exists());
    drop(passed);
    assert!(!data.with_extension("sock").exists(), "the last takes its file away");
    assert!(TcpStream::connect(first.unwrap()).is_err());
}

#[test]
fn a_socket_is_for_the_listener_with_its_name_and_none_is_left_over() {
    let mut config = Config::new(([127, 0, 0, 1], 0).into(), Place::Memory);
    let tcp = || ListeningSocket::tcp(([127, 0, 0, 1], 0).into()).unwrap();
    let named = |name: &str| PassedSocket { socket: tcp(), name: Some(name.to_owned()) };
    let one = named("any");
    let address = one.socket.local_addr().unwrap();
    // A single one stands for `listen`.
    let listening = Listening::bind(&config, vec![one]).unwrap();
    assert_eq!(listening.listeners()[0].address, ListenAddress::Tcp(address));
    let two = Listening::bind(&config, vec![named("a"), named("b")]);
    assert!(matches!(two, Err(ServerError::Unused(..))), "{two:?}");
    config.listeners = vec![Listener::new(ListenAddress::Passed("b".into()))];
    let (a, b) = (named("a"), named("b"));
    let address = b.socket.local_addr().unwrap();
    let left = Listening::bind(&config, vec![a, b]);
    assert!(matches!(left, Err(ServerError::Unused(..))));
    let b = named("b");
    let listening = Listening::bind(&config, vec![b]).unwrap();
    assert_ne!(listening.listeners()[0].address, ListenAddress::Tcp(address));
    let missing = Listening::bind(&config, Vec::new());
    assert!(matches!(missing, Err(ServerError::NotPassed(name)) if name == "b"));
    // One of a server whose place is taken is only closed.
    config.listeners.clear();
    let old = PassedSocket { socket: tcp(), name: None };
    let elsewhere = old.socket.local_addr().unwrap();
    config.listen = ([127, 0, 0, 2], 0).into();
    assert!(Listening::bind(&config, vec![old]).is_ok());
    assert!(TcpStream::connect(elsewhere).is_err());
}
