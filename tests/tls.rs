//! TLS on the simulated reactor, with rustls' client at the other end.

use parlor::base::limits::{TLS_ARRIVED_BYTES_MAX, TLS_HANDSHAKES_PER_TURN};
use parlor::base::outbox::NO_SOURCE;
use parlor::base::{Class, ConnId, Frame, Limits, Moment, Timestamp};
use parlor::reactor::simulated::{ServerEnd, SimulatedReactor};
use parlor::reactor::{CloseCause, Handler, Io};
use parlor::tls::TlsAcceptor;
use proptest::prelude::*;
use rustls::client::Resumption;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig};
use rustls::{HandshakeKind, SupportedProtocolVersion};
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};

type Version = &'static SupportedProtocolVersion;

/// Enough room for whatever a test sends.
const AMPLE: usize = 64 * 1024 * 1024;

struct Authority {
    server: Arc<ServerConfig>,
    roots: RootCertStore,
}

static AUTHORITY: LazyLock<Authority> = LazyLock::new(|| {
    let made = rcgen::generate_simple_self_signed(["chat.example".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let server = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS12, &TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    Authority { server: Arc::new(server), roots }
});

fn client_config(version: Version) -> Arc<ClientConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(AUTHORITY.roots.clone())
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    Arc::new(config)
}

/// Sends back what it receives; ends after an `x`, and greets first if told to.
#[derive(Default)]
struct Echo {
    greeting: &'static [u8],
    received: usize,
    closed: Vec<CloseCause>,
}

impl Echo {
    fn push(io: &mut Io, conn: ConnId, bytes: &[u8]) {
        let _ = io.push(conn, Frame::Own(bytes.into()), Class::Reply, NO_SOURCE);
    }
}

impl Handler for Echo {
    fn opened(&mut self, io: &mut Io, conn: ConnId, _: SocketAddr) {
        Echo::push(io, conn, self.greeting);
    }

    fn received(&mut self, io: &mut Io, conn: ConnId, bytes: &mut [u8]) -> usize {
        self.received += bytes.len();
        for piece in bytes.chunks(20_000) {
            Echo::push(io, conn, piece);
        }
        if bytes.contains(&b'x') {
            io.end(conn);
        }
        bytes.len()
    }

    fn closed(&mut self, _: &mut Io, _: ConnId, cause: CloseCause) {
        self.closed.push(cause);
    }
}

struct World {
    reactor: SimulatedReactor<TlsAcceptor>,
    echo: Echo,
}

/// A client, and what is on its way to the server.
struct Client {
    tls: ClientConnection,
    conn: ConnId,
    sends: Vec<u8>,
    read: Vec<u8>,
    is_over: bool,
}

impl World {
    fn new() -> World {
        World::with(&Limits { outbox_bytes: 8 * 1024 * 1024, ..Limits::default() })
    }

    fn with(limits: &Limits) -> World {
        let acceptor = TlsAcceptor::new(vec![Some(Arc::clone(&AUTHORITY.server))]);
        let reactor = SimulatedReactor::with(acceptor, limits, Moment::ZERO, Timestamp(0));
        World { reactor, echo: Echo::default() }
    }

    fn connect_raw(&mut self, room: usize) -> ConnId {
        let peer = "192.0.2.1:9".parse().unwrap();
        self.reactor.connect(&mut self.echo, peer, room)
    }

    fn connect(&mut self, version: Version, room: usize) -> Client {
        let conn = self.connect_raw(room);
        let name = ServerName::try_from("chat.example").unwrap();
        let tls = ClientConnection::new(client_config(version), name).unwrap();
        Client { tls, conn, sends: Vec::new(), read: Vec::new(), is_over: false }
    }

    /// Runs turns until nothing is left to do.
    fn turns(&mut self) {
        for _ in 0..10_000 {
            self.reactor.turn(&mut self.echo);
            if self.reactor.next_turn() > self.reactor.io().now() {
                return;
            }
        }
        panic!("the loop does not come to rest");
    }

    /// Moves bytes both ways once: at most `portion` to the server.
    fn exchange(&mut self, client: &mut Client, portion: usize) {
        while client.tls.wants_write() {
            client.tls.write_tls(&mut client.sends).unwrap();
        }
        self.exchange_raw(client, portion);
    }

    fn exchange_raw(&mut self, client: &mut Client, portion: usize) {
        let now = portion.min(client.sends.len());
        let sent: Vec<u8> = client.sends.drain(..now).collect();
        if !sent.is_empty() {
            self.reactor.arrive(client.conn, &sent);
        }
        self.turns();
        self.answer(client);
    }

    /// Gives the client what the server has sent.
    fn answer(&mut self, client: &mut Client) {
        let (bytes, end) = self.reactor.fetch(client.conn);
        let mut bytes = bytes.as_slice();
        while !bytes.is_empty() {
            client.tls.read_tls(&mut bytes).unwrap();
            let state = client.tls.process_new_packets().unwrap();
            let mut plain = vec![0; state.plaintext_bytes_to_read()];
            client.tls.reader().read_exact(&mut plain).unwrap();
            client.read.extend(plain);
            client.is_over |= state.peer_has_closed();
        }
        assert!(end != ServerEnd::Reset);
    }

    /// Exchanges until the client has read `len` bytes, with as much more room for the server each
    /// time.
    fn until_read(&mut self, client: &mut Client, len: usize, portion: usize, room: usize) {
        for _ in 0..1_000_000 {
            if client.read.len() >= len {
                return;
            }
            self.exchange(client, portion);
            self.reactor.make_room(client.conn, room);
            self.turns();
            self.answer(client);
        }
        panic!("only {} of {len} bytes came", client.read.len());
    }

    /// Does the handshake, with ample room.
    fn shake_hands(&mut self, client: &mut Client) {
        for _ in 0..8 {
            self.exchange(client, usize::MAX);
        }
        assert!(!client.tls.is_handshaking());
    }
}

fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|at| b'a' + (at % 23) as u8).collect()
}

#[test]
fn what_is_sent_comes_back_with_both_versions_however_it_is_cut() {
    for version in [&TLS12, &TLS13] {
        for (portion, room) in [(usize::MAX, AMPLE), (1, 1), (7, 100), (16_384, 5_000)] {
            let mut world = World::new();
            let mut client = world.connect(version, 0);
            let sent = bytes(if portion == 1 { 2_000 } else { 200_000 });
            client.tls.set_buffer_limit(None);
            client.tls.writer().write_all(&sent).unwrap();
            world.until_read(&mut client, sent.len(), portion, room);
            assert!(client.read == sent, "{version:?} {portion} {room}");
            assert_eq!(client.tls.protocol_version(), Some(version.version));
            assert_eq!(client.tls.handshake_kind(), Some(HandshakeKind::Full));
        }
    }
}

#[test]
fn what_is_said_before_the_handshake_waits_for_it() {
    let mut world = World::new();
    world.echo.greeting = b"welcome";
    let mut client = world.connect(&TLS13, AMPLE);
    world.turns();
    assert_eq!(world.reactor.fetch(client.conn).0, b"", "nothing in the clear");
    world.until_read(&mut client, 7, usize::MAX, 0);
    assert_eq!(client.read, b"welcome");
}

#[test]
fn an_end_is_said_and_the_peers_end_is_heard() {
    for version in [&TLS12, &TLS13] {
        let mut world = World::new();
        let mut client = world.connect(version, AMPLE);
        world.shake_hands(&mut client);
        client.tls.writer().write_all(b"bye x").unwrap();
        world.exchange(&mut client, usize::MAX);
        assert_eq!(client.read, b"bye x");
        assert!(client.is_over, "close_notify came");
        assert_eq!(world.reactor.fetch(client.conn).1, ServerEnd::Ended);
        client.tls.send_close_notify();
        world.exchange(&mut client, usize::MAX);
        world.reactor.peer_ends(client.conn);
        world.turns();
        assert_eq!(world.echo.closed, [CloseCause::Ended], "{version:?}");

        // The other way round: a close_notify is the end, though TCP goes on.
        let mut world = World::new();
        let mut client = world.connect(version, AMPLE);
        world.shake_hands(&mut client);
        client.tls.writer().write_all(b"last").unwrap();
        client.tls.send_close_notify();
        world.exchange(&mut client, usize::MAX);
        assert_eq!(client.read, b"last", "{version:?}");
        assert_eq!(world.echo.closed, [CloseCause::PeerClosed], "{version:?}");
    }
}

#[test]
fn an_end_waits_for_room_to_be_said() {
    let mut world = World::new();
    let mut client = world.connect(&TLS13, AMPLE);
    world.shake_hands(&mut client);
    // Nothing of what follows is accepted.
    world.reactor.take_room(client.conn);
    client.tls.writer().write_all(b"x").unwrap();
    world.exchange(&mut client, usize::MAX);
    assert_eq!(client.read, b"");
    for _ in 0..200 {
        world.reactor.make_room(client.conn, 1);
        world.turns();
    }
    world.answer(&mut client);
    assert_eq!(client.read, b"x");
    assert!(client.is_over);
    assert_eq!(world.reactor.fetch(client.conn).1, ServerEnd::Ended);
}

#[test]
fn a_peer_that_breaks_the_protocol_is_told_by_an_alert_and_nobody_else_is() {
    const DECODE_ERROR: &[u8] = &[21, 3, 3, 0, 2, 2, 50];
    const UNEXPECTED_MESSAGE: &[u8] = &[21, 3, 3, 0, 2, 2, 10];
    // Content type, version, length, and then the payload: RFC 8446 §5.1, which wants record_overflow
    // for it, while rustls says decode_error.
    let oversized = [&[22, 3, 1, 0xff, 0xff][..], &[1; 65_535]].concat();
    for (sent, alert) in [
        (b"\x16\x03\x01\x00\x04\x01\x00\x00\x00".to_vec(), DECODE_ERROR),
        (oversized, DECODE_ERROR),
        (b"\x17\x03\x03\x00\x05hello".to_vec(), UNEXPECTED_MESSAGE),
    ] {
        let mut world = World::new();
        let mut other = world.connect(&TLS13, AMPLE);
        world.shake_hands(&mut other);
        let conn = world.connect_raw(AMPLE);
        world.reactor.arrive(conn, &sent);
        world.turns();
        let (told, end) = world.reactor.fetch(conn);
        assert_eq!(told, alert, "{:?}", &sent[..9]);
        assert!(matches!(end, ServerEnd::Closed | ServerEnd::Reset));
        assert_eq!(world.echo.closed, [CloseCause::Failed]);
        other.tls.writer().write_all(b"still here").unwrap();
        world.exchange(&mut other, usize::MAX);
        assert_eq!(other.read, b"still here");
    }
}

#[test]
fn a_changed_record_ends_the_connection_after_what_came_before_it() {
    let mut world = World::new();
    let mut client = world.connect(&TLS13, AMPLE);
    world.shake_hands(&mut client);
    client.tls.writer().write_all(b"whole").unwrap();
    client.tls.write_tls(&mut client.sends).unwrap();
    let len = client.sends.len();
    client.tls.writer().write_all(b"changed").unwrap();
    client.tls.write_tls(&mut client.sends).unwrap();
    client.sends[len + 9] ^= 1;
    world.reactor.arrive(client.conn, &client.sends);
    world.turns();
    assert_eq!(world.echo.received, 5);
    assert_eq!(world.echo.closed, [CloseCause::Failed]);
}

#[test]
fn who_speaks_plain_http_is_told_what_is_spoken_here() {
    let mut world = World::new();
    let conn = world.connect_raw(AMPLE);
    world.reactor.arrive(conn, b"GET / HTTP/1.1\r\nHost: chat.example\r\n\r\n");
    world.turns();
    let told = String::from_utf8(world.reactor.fetch(conn).0).unwrap();
    let (head, body) = told.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{head}");
    assert!(head.contains(&format!("Content-Length: {}", body.len())), "{head}");
    assert!(body.contains("https://"), "{body}");
    assert_eq!((world.echo.received, world.echo.closed.len()), (0, 1));
}

#[test]
fn a_proxys_header_before_the_handshake_reaches_the_reader() {
    // proxy-protocol.txt §2.2: LOCAL, and 300 bytes that nobody needs.
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x20\0\x01\x2c".to_vec();
    header.resize(16 + 300, 7);
    for portion in [1, 10, 316, 5_000] {
        let mut world = World::new();
        let mut client = world.connect(&TLS13, AMPLE);
        client.sends.clone_from(&header);
        while !client.sends.is_empty() {
            world.exchange_raw(&mut client, portion);
        }
        assert_eq!(world.echo.received, header.len(), "{portion}");
        client.tls.writer().write_all(b"behind it").unwrap();
        // The echo of the header goes first, encrypted.
        world.until_read(&mut client, header.len() + 9, portion, 0);
        assert_eq!(client.read[header.len()..], *b"behind it", "{portion}");
    }
}

#[test]
fn a_turn_continues_a_bounded_number_of_handshakes() {
    let mut world = World::new();
    let mut clients: Vec<Client> =
        (0..2 * TLS_HANDSHAKES_PER_TURN + 1).map(|_| world.connect(&TLS13, AMPLE)).collect();
    for client in &mut clients {
        client.tls.write_tls(&mut client.sends).unwrap();
        world.reactor.arrive(client.conn, &client.sends);
        client.sends.clear();
    }
    for answered in [TLS_HANDSHAKES_PER_TURN, 2 * TLS_HANDSHAKES_PER_TURN, clients.len()] {
        world.reactor.turn(&mut world.echo);
        assert_eq!(world.reactor.senders().count(), answered);
    }
    for client in &mut clients {
        world.answer(client);
        world.shake_hands(client);
    }
}

#[test]
fn a_handshake_message_without_an_end_is_not_kept() {
    let mut world = World::new();
    let conn = world.connect_raw(AMPLE);
    // A ClientHello of 60,000 bytes, in records of 1,000.
    let mut sent = 0;
    let mut header = vec![1, 0, 0xea, 0x60];
    while world.echo.closed.is_empty() {
        let mut record = vec![22, 3, 1, 3, 0xe8];
        record.append(&mut header);
        record.resize(5 + 1_000, 0);
        world.reactor.arrive(conn, &record);
        world.turns();
        sent += record.len();
        assert!(sent < 2 * TLS_ARRIVED_BYTES_MAX);
    }
    assert!(sent > TLS_ARRIVED_BYTES_MAX && sent < TLS_ARRIVED_BYTES_MAX + 2_000, "{sent}");
}

#[test]
fn what_strangers_begin_to_send_is_bounded_and_takes_no_room_from_others() {
    // A quarter of this is for records that have arrived in part.
    let limits = Limits { all_outboxes_bytes: 400_000, ..Limits::default() };
    let mut world = World::with(&limits);
    let mut other = world.connect(&TLS13, AMPLE);
    world.shake_hands(&mut other);
    // Half a record of a ClientHello each.
    let half = [&[22, 3, 1, 0x40, 0][..], &[1; 10_000]].concat();
    let strangers: Vec<ConnId> = (0..20).map(|_| world.connect_raw(AMPLE)).collect();
    for stranger in &strangers {
        world.reactor.arrive(*stranger, &half);
        world.turns();
    }
    // Nine hold 10,005 bytes each; each of the others goes beyond it.
    assert_eq!(world.echo.closed, [CloseCause::Failed; 11]);
    assert_eq!(world.reactor.io().waiting_bytes(), 0);
    other.tls.writer().write_all(b"as before").unwrap();
    world.exchange(&mut other, usize::MAX);
    assert_eq!(other.read, b"as before");
    // Who has gone holds nothing.
    for stranger in &strangers[..9] {
        world.reactor.reset(*stranger);
    }
    world.turns();
    let again = world.connect_raw(AMPLE);
    world.reactor.arrive(again, &half);
    world.turns();
    assert_eq!(world.echo.closed.len(), 20, "it is held");
}

#[test]
fn what_is_held_for_a_connection_is_counted_and_none_is_held_when_it_is_idle() {
    let mut world = World::new();
    let mut client = world.connect(&TLS13, AMPLE);
    world.shake_hands(&mut client);
    assert_eq!(world.reactor.io().waiting_bytes(), 0);
    client.tls.writer().write_all(&bytes(10_000)).unwrap();
    world.exchange(&mut client, 6_000);
    assert_eq!(world.reactor.io().waiting_bytes(), 0, "half a record waits for nobody");
    world.exchange(&mut client, usize::MAX);
    assert_eq!((client.read.len(), world.reactor.io().waiting_bytes()), (10_000, 0));
    world.reactor.take_room(client.conn);
    client.tls.writer().write_all(&bytes(40_000)).unwrap();
    world.exchange(&mut client, usize::MAX);
    assert!(world.reactor.io().waiting_bytes() > 40_000, "a record waits, and the rest");
    world.reactor.reset(client.conn);
    world.turns();
    assert_eq!(world.reactor.io().waiting_bytes(), 0);
}

#[test]
fn a_record_that_the_peer_does_not_take_is_not_kept_for_ever() {
    let mut world = World::new();
    let mut client = world.connect(&TLS13, AMPLE);
    world.shake_hands(&mut client);
    world.reactor.take_room(client.conn);
    client.tls.writer().write_all(b"echo").unwrap();
    world.reactor.make_room(client.conn, 5);
    world.exchange(&mut client, usize::MAX);
    assert!(world.reactor.io().waiting_bytes() > 0, "part of the record waits, and nothing else");
    let stall_timeout_ms = Limits::default().stall_timeout_ms;
    world.reactor.set_time(Moment::from_millis(stall_timeout_ms + 100), Timestamp(0));
    world.turns();
    assert_eq!(world.echo.closed, [CloseCause::Cut]);
    assert_eq!(world.reactor.io().waiting_bytes(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn bytes_arrive_whole_and_in_order_whatever_the_portions(
        tls12 in any::<bool>(),
        len in 1..120_000_usize,
        // Single bytes are another test's: with these all have come long before the last exchange.
        portions in prop::collection::vec((16..40_000_usize, 15..40_000_usize), 1..8),
    ) {
        let mut world = World::new();
        let mut client = world.connect(if tls12 { &TLS12 } else { &TLS13 }, 0);
        let sent = bytes(len);
        client.tls.set_buffer_limit(None);
        client.tls.writer().write_all(&sent).unwrap();
        for (portion, room) in portions.iter().cycle().take(10_000) {
            if client.read.len() == len {
                break;
            }
            world.exchange(&mut client, *portion);
            world.reactor.make_room(client.conn, *room + 1);
        }
        prop_assert!(client.read == sent, "{} of {len}", client.read.len());
    }

    #[test]
    fn whatever_is_changed_on_the_way_nothing_else_is_taken_for_a_byte_of_the_peer(
        tls12 in any::<bool>(),
        at in 0..3_000_usize,
        change in 1..=255_u8,
        portion in 1..3_000_usize,
    ) {
        let mut world = World::new();
        let mut client = world.connect(if tls12 { &TLS12 } else { &TLS13 }, AMPLE);
        client.tls.writer().write_all(&bytes(1_000)).unwrap();
        let mut passed = 0;
        for _ in 0..12 {
            while client.tls.wants_write() {
                client.tls.write_tls(&mut client.sends).unwrap();
            }
            if let Some(byte) = at.checked_sub(passed).and_then(|at| client.sends.get_mut(at)) {
                *byte ^= change;
            }
            passed += client.sends.len();
            for piece in std::mem::take(&mut client.sends).chunks(portion) {
                world.reactor.arrive(client.conn, piece);
                world.turns();
            }
            let (answer, _) = world.reactor.fetch(client.conn);
            let mut answer = answer.as_slice();
            while !answer.is_empty() && client.tls.read_tls(&mut answer).is_ok() {
                if client.tls.process_new_packets().is_err() {
                    break;
                }
            }
        }
        prop_assert!(world.echo.received == 0 || world.echo.received == 1_000);
    }
}
