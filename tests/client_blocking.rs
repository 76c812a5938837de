//! `client::BlockingWebSocket` against a server that we did not write, with TLS and without.

use parlor::client::{BlockingWebSocket, ConnectError, Incoming, SocketError, Tls};
use parlor::protocol::deflate::{CodecsConfig, Offer};
use parlor::protocol::handshake::client::ClientError;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use tungstenite::{Message, WebSocket, accept};

const PATIENCE: Duration = Duration::from_secs(20);

/// Does something with the first connection that comes, on a thread of its own.
fn serve(then: impl FnOnce(TcpStream) + Send + 'static) -> (SocketAddr, thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let thread = thread::spawn(move || {
        let (socket, _) = listener.accept().unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.set_write_timeout(Some(PATIENCE)).unwrap();
        then(socket);
    });
    (address, thread)
}

/// Echoes until the other end closes.
fn echo<S: Read + Write>(mut socket: WebSocket<S>) {
    loop {
        match socket.read() {
            Ok(message @ (Message::Text(_) | Message::Binary(_))) => socket.send(message).unwrap(),
            Ok(_) => {}
            Err(_) => return,
        }
    }
}

fn url(address: SocketAddr) -> String {
    format!("ws://{address}/a?b=c")
}

fn text(text: &str) -> Incoming {
    Incoming::Text(text.to_owned())
}

#[test]
fn messages_go_and_come_and_the_closing_is_a_handshake() {
    let (address, server) = serve(|socket| echo(accept(socket).unwrap()));
    let mut socket = BlockingWebSocket::connect(&url(address)).unwrap();
    let long = "ä".repeat(100_000);
    for message in ["", "hello", &long] {
        socket.send(message).unwrap();
        assert_eq!(socket.read().unwrap(), Some(text(message)));
    }
    socket.send_bytes(&[0, 255]).unwrap();
    assert_eq!(socket.read().unwrap(), Some(Incoming::Bytes(vec![0, 255])));
    socket.close(1000, "done").unwrap();
    assert!(matches!(socket.send("late"), Err(SocketError::Closed)));
    let Some(Incoming::Closed { code, .. }) = socket.read().unwrap() else { panic!() };
    assert_eq!(code, Some(1000));
    server.join().unwrap();
    assert_eq!(socket.read().unwrap(), None);
}

#[test]
fn a_ping_is_answered_and_a_servers_close_is_told() {
    let (address, server) = serve(|socket| {
        let mut socket = accept(socket).unwrap();
        socket.send(Message::Ping("p".into())).unwrap();
        let mut heard = [socket.read().unwrap(), socket.read().unwrap()];
        heard.sort_by_key(Message::is_ping);
        assert_eq!(heard, [Message::Pong("p".into()), Message::Ping("q".into())]);
        let frame = tungstenite::protocol::CloseFrame { code: 4321.into(), reason: "go".into() };
        socket.close(Some(frame)).unwrap();
        while socket.read().is_ok() {}
    });
    let (mut reader, writer) = BlockingWebSocket::connect(&url(address)).unwrap().split();
    writer.ping(b"q").unwrap();
    assert_eq!(reader.read().unwrap(), Some(Incoming::Pong(b"q".to_vec())));
    let closed = Incoming::Closed { code: Some(4321), reason: "go".to_owned() };
    assert_eq!(reader.read().unwrap(), Some(closed));
    server.join().unwrap();
    assert_eq!(reader.read().unwrap(), None);
}

#[test]
fn fields_and_subprotocols_are_sent_and_compression_is_agreed() {
    let (address, server) = serve(|mut socket| {
        let mut head = [0; 4096];
        let len = socket.read(&mut head).unwrap();
        let head = std::str::from_utf8(&head[..len]).unwrap();
        assert!(head.starts_with("GET /a?b=c HTTP/1.1\r\n"), "{head}");
        for field in ["X-Own: 1", "Sec-WebSocket-Protocol: one, two", "permessage-deflate"] {
            assert!(head.contains(field), "{head}");
        }
        socket.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").unwrap();
    });
    let builder = BlockingWebSocket::builder(&url(address));
    let builder = builder.field("X-Own", "1").protocol("one").protocol("two");
    let builder = builder.deflate(&[Offer::default()], CodecsConfig::default());
    let Err(ConnectError::Handshake(error)) = builder.connect() else { panic!() };
    assert_eq!(error, ClientError::Status { status: 404, retry_after_s: None });
    server.join().unwrap();
}

#[test]
fn two_threads_send_while_one_reads_and_neither_waits_for_the_other() {
    const EACH: usize = 400;
    const BYTES: usize = 50_000;
    let (address, server) = serve(|socket| echo(accept(socket).unwrap()));
    let (mut reader, writer) = BlockingWebSocket::connect(&url(address)).unwrap().split();
    let writers: Vec<_> = (0..2_u8)
        .map(|who| {
            let writer = writer.clone();
            thread::spawn(move || {
                for number in 0..EACH {
                    let mut bytes = vec![who; BYTES];
                    bytes[1] = u8::try_from(number % 250).unwrap();
                    writer.send_bytes(&bytes).unwrap();
                }
            })
        })
        .collect();
    let mut next = [0_usize; 2];
    for _ in 0..2 * EACH {
        let Some(Incoming::Bytes(bytes)) = reader.read().unwrap() else { panic!() };
        let next = &mut next[usize::from(bytes[0])];
        assert_eq!((usize::from(bytes[1]), bytes.len()), (*next % 250, BYTES));
        *next += 1;
    }
    writers.into_iter().for_each(|writer| writer.join().unwrap());
    writer.close(1000, "").unwrap();
    server.join().unwrap();
}

#[test]
fn who_reads_never_waits_for_a_server_that_reads_nothing_until_it_has_sent() {
    const PINGS: u32 = 100_000;
    let (address, server) = serve(|socket| {
        // Fewer answers fit between the two than there are pings.
        socket2::SockRef::from(&socket).set_recv_buffer_size(64 * 1024).unwrap();
        let mut socket = accept(socket).unwrap();
        let mut pings = Vec::new();
        for number in 1..=PINGS {
            pings.extend([0x89, 100]);
            pings.extend(number.to_be_bytes());
            pings.extend([0; 96]);
        }
        socket.get_mut().write_all(&pings).unwrap();
        socket.send("sent".into()).unwrap();
        // What was answered is in the order of what was asked, with the last.
        let (mut last, mut answers) = (0, 0);
        while last < PINGS {
            let Message::Pong(payload) = socket.read().unwrap() else { panic!() };
            let number = u32::from_be_bytes(payload[..4].try_into().unwrap());
            assert!(number > last && payload.len() == 100, "{number} came behind {last}");
            (last, answers) = (number, answers + 1);
        }
        assert!((700..PINGS).contains(&answers), "{answers} answers");
        socket.close(None).unwrap();
        while socket.read().is_ok() {}
    });
    let mut socket = BlockingWebSocket::connect(&url(address)).unwrap();
    assert_eq!(socket.read().unwrap(), Some(text("sent")));
    // The rest of the answers leaves while it waits.
    assert!(matches!(socket.read().unwrap(), Some(Incoming::Closed { .. })));
    server.join().unwrap();
}

#[test]
fn times_have_an_end_and_nothing_is_lost_by_one() {
    // Nothing answers.
    let (address, _server) = serve(|socket| {
        thread::sleep(Duration::from_secs(2));
        drop(socket);
    });
    let begun = Instant::now();
    let builder = BlockingWebSocket::builder(&url(address));
    let builder = builder.connect_timeout(Duration::from_millis(200));
    assert!(matches!(builder.connect(), Err(ConnectError::Timeout)));
    assert!(begun.elapsed() < Duration::from_secs(2));
    // A message of which the second half comes late.
    let (go, gone) = std::sync::mpsc::channel();
    let (address, server) = serve(move |socket| {
        let mut socket = accept(socket).unwrap();
        socket.get_mut().write_all(b"\x81\x05he").unwrap();
        gone.recv().unwrap();
        socket.get_mut().write_all(b"llo").unwrap();
        gone.recv().unwrap();
    });
    let builder = BlockingWebSocket::builder(&url(address));
    let mut socket = builder.read_timeout(Some(Duration::from_millis(50))).connect().unwrap();
    assert!(matches!(socket.read(), Err(SocketError::Timeout)));
    assert!(matches!(socket.read(), Err(SocketError::Timeout)));
    go.send(()).unwrap();
    let message = loop {
        match socket.read() {
            Err(SocketError::Timeout) => {}
            read => break read.unwrap(),
        }
    };
    assert_eq!(message, Some(text("hello")));
    go.send(()).unwrap();
    server.join().unwrap();
    assert!(matches!(socket.read(), Err(SocketError::Io(_) | SocketError::Timeout)));
}

#[test]
fn a_message_that_cannot_be_sent_in_time_cuts_the_connection() {
    let (go, gone) = std::sync::mpsc::channel();
    let (address, server) = serve(move |socket| {
        let socket = accept(socket).unwrap();
        gone.recv().unwrap();
        drop(socket);
    });
    let builder = BlockingWebSocket::builder(&url(address));
    let mut socket = builder.write_timeout(Some(Duration::from_millis(100))).connect().unwrap();
    let message = vec![0; 1 << 20];
    let error = (0..100).find_map(|_| socket.send_bytes(&message).err()).unwrap();
    assert!(matches!(error, SocketError::Timeout), "{error:?}");
    assert!(matches!(socket.send("more"), Err(SocketError::Io(_))));
    go.send(()).unwrap();
    server.join().unwrap();
}

#[test]
fn a_server_that_breaks_the_protocol_is_told_so() {
    let (address, server) = serve(|socket| {
        let mut socket = accept(socket).unwrap();
        // Masked, as only clients may.
        socket.get_mut().write_all(b"\x81\x81\0\0\0\0a").unwrap();
        let Message::Close(Some(close)) = socket.read().unwrap() else { panic!() };
        assert_eq!(u16::from(close.code), 1002);
    });
    let mut socket = BlockingWebSocket::connect(&url(address)).unwrap();
    assert!(matches!(socket.read(), Err(SocketError::Protocol(_))));
    server.join().unwrap();
}

#[test]
fn what_is_no_url_or_nobodys_address_is_said() {
    // A label of more than 63 bytes (RFC 1035 §2.3.4): no name server is asked, which may be away.
    let no_name = format!("ws://{}/", "a".repeat(64));
    for (url, words) in [
        ("localhost:80", "does not begin with ws://"),
        ("ws://a:b@localhost/", "user's name"),
        ("ws://127.0.0.1:1/", "cannot be reached"),
        (&no_name, "has no address"),
    ] {
        let error = BlockingWebSocket::connect(url).unwrap_err().to_string();
        assert!(error.contains(words), "{url}: {error}");
    }
}

/// An authority's certificate in PEM, and a server's by it.
struct Certified {
    authority: String,
    config: Arc<ServerConfig>,
}

fn certified(name: &str, years: (i32, i32)) -> Certified {
    let (authority_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "an authority of tests");
    let authority = params.self_signed(&authority_key).unwrap();
    let issuer = Issuer::new(params, authority_key);
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.not_before = date_time_ymd(years.0, 1, 1);
    params.not_after = date_time_ymd(years.1, 1, 1);
    let certificate = params.signed_by(&key, &issuer).unwrap();
    let key = PrivatePkcs8KeyDer::from(key.serialize_der());
    Certified { authority: authority.pem(), config: served(certificate.der().clone(), key) }
}

fn served(
    certificate: CertificateDer<'static>,
    key: PrivatePkcs8KeyDer<'static>,
) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider);
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    Arc::new(config.with_single_cert(vec![certificate], key.into()).unwrap())
}

fn serve_tls(config: Arc<ServerConfig>) -> SocketAddr {
    let (address, _) = serve(move |socket| {
        let tls = ServerConnection::new(config).unwrap();
        if let Ok(socket) = accept(StreamOwned::new(tls, socket)) {
            echo(socket);
        }
    });
    address
}

fn trusting(authority: &str) -> Tls {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    std::fs::write(&path, authority).unwrap();
    Tls::ca_file(path).unwrap()
}

#[test]
fn with_tls_it_is_the_same() {
    let Certified { authority, config } = certified("localhost", (2020, 2100));
    let address = serve_tls(config);
    let builder = BlockingWebSocket::builder(&format!("wss://localhost:{}/", address.port()));
    let mut socket = builder.tls(trusting(&authority)).connect().unwrap();
    let long = "x".repeat(300_000);
    for message in ["hello", &long] {
        socket.send(message).unwrap();
        assert_eq!(socket.read().unwrap(), Some(text(message)));
    }
    socket.close(1000, "").unwrap();
    assert!(matches!(socket.read().unwrap(), Some(Incoming::Closed { code: Some(1000), .. })));
}

#[test]
fn a_certificate_that_is_not_right_is_refused_in_words() {
    let right = certified("localhost", (2020, 2100));
    let other = certified("localhost", (2020, 2100));
    for trusted in [Some(&other), None] {
        let address = serve_tls(Arc::clone(&right.config));
        let url = format!("wss://localhost:{}/", address.port());
        let mut builder = BlockingWebSocket::builder(&url);
        if let Some(trusted) = trusted {
            builder = builder.tls(trusting(&trusted.authority));
        }
        let error = builder.connect().unwrap_err().to_string();
        assert!(error.contains("signed by nobody whom this program trusts"), "{error}");
    }
    for (certified, words) in [
        (certified("elsewhere.example", (2020, 2100)), "is not for localhost"),
        (certified("localhost", (2020, 2021)), "has expired"),
        (certified("localhost", (2090, 2100)), "is not valid yet"),
    ] {
        let address = serve_tls(Arc::clone(&certified.config));
        let url = format!("wss://localhost:{}/", address.port());
        let builder = BlockingWebSocket::builder(&url);
        let error = builder.tls(trusting(&certified.authority)).connect().unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    // Those that have signed themselves: a server's, and an authority's, as `openssl req -x509` makes it.
    for (is_ca, words) in [
        (IsCa::NoCa, "signed by nobody whom this program trusts"),
        (
            IsCa::Ca(BasicConstraints::Unconstrained),
            "is that of an authority, as one that signs itself mostly is",
        ),
    ] {
        let key = KeyPair::generate().unwrap();
        let mut own = CertificateParams::new(["localhost".to_owned()]).unwrap();
        own.is_ca = is_ca;
        let own = own.self_signed(&key).unwrap();
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        let address = serve_tls(served(own.der().clone(), key));
        let url = format!("wss://localhost:{}/", address.port());
        let builder = BlockingWebSocket::builder(&url);
        let error = builder.tls(trusting(&right.authority)).connect().unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    // Whoever speaks no TLS at all.
    let (address, _) = serve(|mut socket| {
        let _ = socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    let url = format!("wss://localhost:{}/", address.port());
    let builder = BlockingWebSocket::builder(&url);
    let error = builder.tls(trusting(&right.authority)).connect().unwrap_err().to_string();
    assert!(error.contains("TLS with localhost failed"), "{error}");
}

#[test]
fn a_file_of_no_authority_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    assert!(Tls::ca_file(&path).unwrap_err().to_string().contains("ca.pem"));
    std::fs::write(&path, "no certificate\n").unwrap();
    assert!(Tls::ca_file(&path).unwrap_err().to_string().contains("has no certificate"));
}
