//! `client::WebSocket` against servers that we did not write: messages both ways, losses, slow programs, TLS, proxies,
//! addresses that do not answer.

use parlor::client::{
    Backoff, FailCode, Proxy, SendError, State, Tls, WebSocket, WebSocketBuilder, WebSocketEvent,
};
use parlor::protocol::deflate::{CodecsConfig, Offer};
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::{Message, accept};

const PATIENCE: Duration = Duration::from_secs(20);

/// Serves connections one after the other, each by the next function.
fn serve(then: Vec<Box<dyn FnOnce(TcpStream) + Send>>) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let thread = thread::spawn(move || {
        for one in then {
            let (socket, _) = listener.accept().unwrap();
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            socket.set_write_timeout(Some(PATIENCE)).unwrap();
            one(socket);
        }
    });
    (address, thread)
}

fn echo(socket: impl Read + Write) {
    let mut socket = accept(socket).unwrap();
    loop {
        match socket.read() {
            Ok(message @ (Message::Text(_) | Message::Binary(_))) => socket.send(message).unwrap(),
            Ok(_) => {}
            Err(_) => return,
        }
    }
}

fn builder(url: &str) -> WebSocketBuilder {
    let quick = Backoff { min_ms: 20, max_ms: 100, ..Backoff::default() };
    WebSocket::builder(url).backoff(quick)
}

fn next(socket: &WebSocket) -> WebSocketEvent {
    socket.events().recv_timeout(PATIENCE).expect("an event in time")
}

fn text(text: &str) -> WebSocketEvent {
    WebSocketEvent::Text(text.to_owned())
}

#[test]
fn messages_go_and_come_and_it_closes() {
    let (address, server) = serve(vec![Box::new(echo)]);
    let socket = builder(&format!("ws://{address}/a")).start().unwrap();
    assert_eq!(socket.send("early"), Err(SendError::NotOpen));
    socket.wait_open(PATIENCE).unwrap();
    assert_eq!(next(&socket), WebSocketEvent::Opened(None));
    let long = "ä".repeat(500_000);
    for message in ["", "hello", &long] {
        socket.send(message).unwrap();
        assert_eq!(next(&socket), text(message));
    }
    socket.send_bytes(&[0, 255]).unwrap();
    assert_eq!(next(&socket), WebSocketEvent::Bytes(vec![0, 255]));
    assert!(socket.close(1_000, "done", PATIENCE));
    let closed = WebSocketEvent::Closed { code: Some(1_000), reason: "done".into() };
    assert_eq!(socket.events().collect::<Vec<_>>(), [closed]);
    assert_eq!((socket.state(), socket.send("late")), (State::Closed, Err(SendError::NotOpen)));
    server.join().unwrap();
}

#[test]
fn it_comes_back_after_a_loss_a_close_and_a_fault() {
    let (address, server) = serve(vec![
        Box::new(|socket| drop(accept(socket).unwrap())),
        Box::new(|mut socket: TcpStream| {
            let _ = socket.read(&mut [0; 1_024]).unwrap();
            socket.write_all(b"HTTP/1.1 503 Busy\r\nRetry-After: 0\r\n\r\n").unwrap();
        }),
        Box::new(|socket| {
            let mut socket = accept(socket).unwrap();
            socket
                .close(Some(CloseFrame { code: CloseCode::Away, reason: "restart".into() }))
                .unwrap();
            while socket.read().is_ok() {}
        }),
        Box::new(|socket| {
            let mut socket = accept(socket).unwrap();
            // RFC 6455 §5.1: a server masks nothing.
            socket.get_mut().write_all(&[0x81, 0x80, 1, 2, 3, 4]).unwrap();
            while socket.read().is_ok() {}
        }),
        Box::new(echo),
    ]);
    let socket = builder(&format!("ws://{address}/")).start().unwrap();
    let mut told = Vec::new();
    while told.iter().filter(|event| **event == WebSocketEvent::Opened(None)).count() < 4 {
        told.push(next(&socket));
    }
    socket.send("hello").unwrap();
    assert_eq!(next(&socket), text("hello"));
    let told: Vec<String> = told
        .into_iter()
        .map(|event| match event {
            WebSocketEvent::Lost(why) => why,
            other => format!("{other:?}"),
        })
        .collect();
    assert_eq!(
        told,
        [
            "Opened(None)",
            "the connection is gone: unexpected end of file",
            "the server answered with status 503",
            "Opened(None)",
            "Closed { code: Some(1001), reason: \"restart\" }",
            "Opened(None)",
            "the server broke the protocol: a server's frame is masked, in the frame at byte 0 (RFC 6455 §5.1)",
            "Opened(None)",
        ]
    );
    drop(socket);
    server.join().unwrap();
}

#[test]
fn it_gives_up_as_it_is_told() {
    let once = Backoff { attempts: Some(0), ..Backoff::default() };
    let socket = WebSocket::builder("ws://127.0.0.1:1/").backoff(once).start().unwrap();
    let state = socket.wait_open(PATIENCE).unwrap_err();
    assert!(matches!(&state, State::Failed { code: FailCode::Attempts, .. }), "{state:?}");
    assert_eq!(
        next(&socket),
        WebSocketEvent::Lost("it cannot be reached: connection refused".into())
    );
    let (address, server) = serve(vec![Box::new(|socket| {
        let mut socket = accept(socket).unwrap();
        let code = CloseCode::from(4_321);
        socket.close(Some(CloseFrame { code, reason: "".into() })).unwrap();
        while socket.read().is_ok() {}
    })]);
    let socket = builder(&format!("ws://{address}/")).fatal([4_321]).start().unwrap();
    let failed = socket.wait_state(PATIENCE, |state| matches!(state, State::Failed { .. }));
    assert!(
        matches!(failed, Some(State::Failed { code: FailCode::Close(4_321), .. })),
        "{failed:?}"
    );
    server.join().unwrap();
}

#[test]
fn a_slow_program_holds_the_server_up_and_loses_nothing() {
    const MESSAGES: usize = 20_000;
    let (sent, is_sent) = channel();
    let (address, server) = serve(vec![Box::new(move |socket| {
        let mut socket = accept(socket).unwrap();
        let long = "x".repeat(1_000);
        for number in 0..MESSAGES {
            socket.send(Message::text(format!("{number} {long}"))).unwrap();
        }
        sent.send(()).unwrap();
        socket.close(None).unwrap();
        while socket.read().is_ok() {}
    })]);
    // A ping's time is over long before the program looks: nobody is given up for what is not read.
    let ping = Duration::from_millis(50);
    let socket = builder(&format!("ws://{address}/")).queue(16).ping(ping, ping).start().unwrap();
    assert_eq!(next(&socket), WebSocketEvent::Opened(None));
    assert!(is_sent.recv_timeout(Duration::from_millis(500)).is_err(), "20 MB went nowhere");
    for number in 0..MESSAGES {
        match next(&socket) {
            WebSocketEvent::Text(text) => {
                assert_eq!(text.split(' ').next(), Some(&*number.to_string()))
            }
            other => panic!("{other:?} instead of {number}"),
        }
    }
    assert_eq!(next(&socket), WebSocketEvent::Closed { code: None, reason: "".into() });
    drop(socket);
    server.join().unwrap();
}

#[test]
fn what_cannot_be_sent_is_told_and_what_is_sent_is_flushed() {
    let (go_on, may_go_on) = channel::<()>();
    let (address, server) = serve(vec![Box::new(move |socket| {
        let mut socket = accept(socket).unwrap();
        may_go_on.recv().unwrap();
        let mut count = 0;
        while let Ok(message) = socket.read() {
            count += usize::from(message.is_binary());
            if message.is_text() {
                socket.send(Message::text(count.to_string())).unwrap();
            }
        }
    })]);
    let socket = builder(&format!("ws://{address}/")).unsent_bytes(1_000_000).start().unwrap();
    socket.wait_open(PATIENCE).unwrap();
    assert_eq!(next(&socket), WebSocketEvent::Opened(None));
    let mut sent = 0;
    let mut refused = None;
    while refused.is_none() {
        match socket.send_bytes(&[0; 100_000]) {
            Ok(()) => sent += 1,
            Err(error) => refused = Some(error),
        }
        assert!(sent < 1_000, "nothing bounds what waits");
        thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(refused, Some(SendError::Full));
    assert!(!socket.flush(Duration::from_millis(50)));
    go_on.send(()).unwrap();
    assert!(socket.flush(PATIENCE));
    socket.send("how many?").unwrap();
    assert_eq!(next(&socket), text(&sent.to_string()));
    drop(socket);
    server.join().unwrap();
}

#[test]
fn a_dead_server_is_noticed() {
    let (address, server) = serve(vec![
        Box::new(|socket| {
            let _silent = accept(socket).unwrap();
            thread::sleep(Duration::from_millis(800));
        }),
        Box::new(echo),
    ]);
    let ping = (Duration::from_millis(200), Duration::from_millis(200));
    let socket = builder(&format!("ws://{address}/")).ping(ping.0, ping.1).start().unwrap();
    assert_eq!(next(&socket), WebSocketEvent::Opened(None));
    let begun = Instant::now();
    assert_eq!(next(&socket), WebSocketEvent::Lost("no answer in time".into()));
    let took = begun.elapsed();
    assert!((Duration::from_millis(350)..Duration::from_millis(700)).contains(&took), "{took:?}");
    assert_eq!(next(&socket), WebSocketEvent::Opened(None));
    // This one answers: it is kept.
    thread::sleep(Duration::from_millis(600));
    socket.send("still there").unwrap();
    assert_eq!(next(&socket), text("still there"));
    drop(socket);
    server.join().unwrap();
}

#[test]
fn fields_protocols_and_deflate_are_agreed_by_parlors_own_server() {
    let server = parlor::server::Server::start(parlor::server::Config::new(
        "127.0.0.1:0".parse().unwrap(),
        parlor::store::Place::Memory,
    ))
    .unwrap();
    let codecs = CodecsConfig { threshold_bytes: 0, ..CodecsConfig::default() };
    let socket = builder(&format!("ws://{}/ws?user=ada", server.local_addr()))
        .protocol("nobody's")
        .protocol("parlor.v1")
        .field("User-Agent", "a test")
        .deflate(&[Offer::default()], codecs)
        .start()
        .unwrap();
    assert_eq!(next(&socket), WebSocketEvent::Opened(Some("parlor.v1".into())));
    assert_eq!(socket.protocol().as_deref(), Some("parlor.v1"));
    let WebSocketEvent::Text(hello) = next(&socket) else { panic!("no hello") };
    assert!(hello.contains("\"type\":\"hello\""), "{hello}");
    drop(socket);
    server.handle().stop().unwrap();
    server.join().unwrap();
}

/// A certificate for localhost, in a file.
fn tls_config(folder: &std::path::Path) -> (Arc<ServerConfig>, Tls) {
    let key = KeyPair::generate().unwrap();
    let names = vec!["localhost".to_owned()];
    let signed = CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
    let path = folder.join("ca.pem");
    std::fs::write(&path, signed.pem()).unwrap();
    let chain = vec![CertificateDer::from(signed.der().to_vec())];
    let key = PrivatePkcs8KeyDer::from(key.serialize_der());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key.into())
        .unwrap();
    (Arc::new(config), Tls::ca_file(&path).unwrap())
}

/// A server with that.
fn tls_server(folder: &std::path::Path) -> (SocketAddr, JoinHandle<()>, Tls) {
    let (config, tls) = tls_config(folder);
    let serve_one = move |socket: TcpStream| {
        echo(StreamOwned::new(ServerConnection::new(config).unwrap(), socket));
    };
    let (address, server) = serve(vec![Box::new(serve_one)]);
    (address, server, tls)
}

#[test]
fn it_speaks_tls() {
    let folder = tempfile::tempdir().unwrap();
    let (address, server, tls) = tls_server(folder.path());
    let url = format!("wss://localhost:{}/", address.port());
    // By the system's authorities it is nobody's.
    let socket = builder(&url).tls(tls).queue(4).start().unwrap();
    assert_eq!(next(&socket), WebSocketEvent::Opened(None));
    let long = "x".repeat(3_000_000);
    for message in ["hello", &long, ""] {
        socket.send(message).unwrap();
        assert_eq!(next(&socket), text(message));
    }
    for number in 0..1_000 {
        socket.send(&number.to_string()).unwrap();
    }
    for number in 0..1_000 {
        assert_eq!(next(&socket), text(&number.to_string()));
    }
    assert!(socket.close(1_000, "", PATIENCE));
    server.join().unwrap();
}

#[test]
fn what_comes_with_the_answer_is_not_lost_when_the_program_is_slow() {
    let folder = tempfile::tempdir().unwrap();
    let (config, tls) = tls_config(folder.path());
    for is_secure in [false, true] {
        let config = Arc::clone(&config);
        let (address, server) = serve(vec![Box::new(move |mut socket: TcpStream| {
            let tls = || ServerConnection::new(config).unwrap();
            match is_secure {
                false => answer_with_frames(&mut socket),
                true => answer_with_frames(&mut StreamOwned::new(tls(), socket)),
            }
        })]);
        let scheme = if is_secure { "wss" } else { "ws" };
        let url = format!("{scheme}://localhost:{}/", address.port());
        let socket = builder(&url).tls(tls.clone()).queue(1).start().unwrap();
        assert_eq!(next(&socket), WebSocketEvent::Opened(None));
        thread::sleep(Duration::from_millis(50));
        for number in 0..10 {
            assert_eq!(next(&socket), text(&number.to_string()));
        }
        drop(socket);
        server.join().unwrap();
    }
}

/// The answer of the opening handshake, and ten messages with it, in one write.
fn answer_with_frames(socket: &mut (impl Read + Write)) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        socket.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let key = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
    let accept = tungstenite::handshake::derive_accept_key(key.as_bytes());
    let mut answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    )
    .into_bytes();
    for number in b'0'..=b'9' {
        answer.extend_from_slice(&[0x81, 1, number]);
    }
    socket.write_all(&answer).unwrap();
    let _ = socket.read(&mut [0; 1_024]);
}

/// Joins two sockets until either ends.
fn join(mut one: TcpStream, mut other: TcpStream) {
    let (mut one_too, mut other_too) = (one.try_clone().unwrap(), other.try_clone().unwrap());
    let back = thread::spawn(move || {
        let _ = std::io::copy(&mut other_too, &mut one_too);
        let _ = one_too.shutdown(std::net::Shutdown::Both);
    });
    let _ = std::io::copy(&mut one, &mut other);
    let _ = other.shutdown(std::net::Shutdown::Both);
    back.join().unwrap();
}

#[test]
fn it_goes_through_proxies_also_with_tls() {
    // HTTP: the server's name is the proxy's to look up.
    let folder = tempfile::tempdir().unwrap();
    let (address, server, tls) = tls_server(folder.path());
    let (proxy, proxied) = serve(vec![Box::new(move |mut socket: TcpStream| {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            socket.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        assert!(head.starts_with("CONNECT localhost:7777 HTTP/1.1\r\n"), "{head}");
        assert!(head.contains("Proxy-Authorization: Basic YWRhOnB3\r\n"), "{head}");
        socket.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").unwrap();
        join(socket, TcpStream::connect(address).unwrap());
    })]);
    let proxy = Proxy::parse(&format!("http://ada:pw@{proxy}")).unwrap();
    let socket = builder("wss://localhost:7777/").tls(tls).proxy(proxy).start().unwrap();
    assert_eq!(next(&socket), WebSocketEvent::Opened(None));
    socket.send("hello").unwrap();
    assert_eq!(next(&socket), text("hello"));
    drop(socket);
    server.join().unwrap();
    proxied.join().unwrap();

    let (address, server) = serve(vec![Box::new(echo)]);
    let (proxy, proxied) = serve(vec![
        Box::new(|mut socket: TcpStream| {
            let mut greeting = [0; 3];
            socket.read_exact(&mut greeting).unwrap();
            socket.write_all(&[5, 0]).unwrap();
            let mut request = [0; 4 + 1 + 7 + 2];
            socket.read_exact(&mut request).unwrap();
            socket.write_all(&[5, 4, 0, 1, 0, 0, 0, 0, 0, 0]).unwrap();
            let _ = socket.read(&mut [0]);
        }),
        Box::new(move |mut socket: TcpStream| {
            let mut greeting = [0; 3];
            socket.read_exact(&mut greeting).unwrap();
            assert_eq!(greeting, [5, 1, 0]);
            socket.write_all(&[5, 0]).unwrap();
            let mut request = [0; 4 + 1 + 7 + 2];
            socket.read_exact(&mut request).unwrap();
            assert_eq!(&request[4..12], b"\x07nowhere");
            socket.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).unwrap();
            join(socket, TcpStream::connect(address).unwrap());
        }),
    ]);
    let proxy_url = format!("socks5://{proxy}");
    let proxy = Proxy::parse(&proxy_url).unwrap();
    let socket = builder("ws://nowhere:7777/").proxy(proxy).start().unwrap();
    let why = "makes no connection to nowhere:7777: the host cannot be reached, or has no address";
    assert_eq!(next(&socket), WebSocketEvent::Lost(format!("the proxy {proxy_url} {why}")));
    assert_eq!(next(&socket), WebSocketEvent::Opened(None));
    socket.send("hello").unwrap();
    assert_eq!(next(&socket), text("hello"));
    drop(socket);
    server.join().unwrap();
    proxied.join().unwrap();
}

#[test]
fn the_last_clone_closes_it() {
    let (told, end) = channel();
    let (address, server) = serve(vec![Box::new(move |socket| {
        let mut socket = accept(socket).unwrap();
        while let Ok(message) = socket.read() {
            if let Message::Close(frame) = message {
                told.send(frame.map(|frame| u16::from(frame.code))).unwrap();
            }
        }
    })]);
    let socket = builder(&format!("ws://{address}/")).start().unwrap();
    socket.wait_open(PATIENCE).unwrap();
    drop(socket.clone());
    let events = socket.events();
    let begun = Instant::now();
    drop(socket);
    assert!(begun.elapsed() < Duration::from_millis(500), "{:?}", begun.elapsed());
    assert_eq!(end.recv_timeout(PATIENCE).unwrap(), Some(1_000));
    assert_eq!(events.collect::<Vec<_>>(), [WebSocketEvent::Opened(None)]);
    server.join().unwrap();
}
