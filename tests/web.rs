//! The WebSocket layer, which runs on the reactor, driven without one: plain calls, no socket.

use parlor::base::{Class, ConnId, Limits, Moment, Timestamp};
use parlor::protocol::deflate::{Codecs, CodecsConfig, Deflate, Parameters};
use parlor::protocol::endpoint::Broadcast;
use parlor::protocol::{CloseCode, Endpoint, Message};
use parlor::reactor::simulated::SimulatedReactor;
use parlor::reactor::{Handler, Io};
use parlor::web::{Application, Net, Web, WebConfig};

#[derive(Default)]
struct Counting {
    messages: usize,
}

impl Application for Counting {
    fn message(&mut self, _: &mut Net<'_>, _: ConnId, message: Message<'_>) {
        assert_eq!(message, Message::Binary(&[0; MESSAGE_BYTES]));
        self.messages += 1;
    }
}

const MESSAGE_BYTES: usize = 600_000;

/// A client's compressed message of zeros, masked with a key of zeros, which changes nothing.
fn bomb() -> Vec<u8> {
    let each_alone = Parameters {
        server_no_context_takeover: true,
        client_no_context_takeover: true,
        ..Parameters::default()
    };
    let deflate = Deflate::server(&each_alone, &Codecs::new(CodecsConfig::default()));
    let mut sender = Endpoint::server(Default::default()).with_deflate(deflate);
    let mut out = parlor::base::Outbox::alone(1_000_000);
    sender.send.message(Message::Binary(&[0; MESSAGE_BYTES]), &mut out).unwrap();
    let mut frame: Vec<u8> = out.pieces().flatten().copied().collect();
    assert!(frame[1] == 126 && frame.len() < 1_000);
    frame[1] |= 0x80;
    frame.splice(4..4, [0; 4]);
    frame
}

#[test]
fn what_a_read_comes_to_when_it_is_inflated_is_bounded() {
    let limits = Limits { message_bytes: 1024 * 1024, ..Limits::default() };
    let mut io = Io::new(&limits, Moment::ZERO, Timestamp(0));
    let config =
        WebConfig { limits, compression: Some(CodecsConfig::default()), ..WebConfig::default() };
    let mut web = Web::new(Counting::default(), config, 1);
    let conn = io.open();
    web.opened(&mut io, conn, ([127, 0, 0, 1], 1).into());
    let mut head = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
        .to_vec();
    assert_eq!(web.received(&mut io, conn, &mut head), head.len());
    let bomb = bomb();
    let mut bytes = bomb.repeat(100);
    // Two are more than a mebibyte; the others wait for their turn, and none is lost.
    let mut start = 0;
    for turn in 1..=50 {
        start += web.received(&mut io, conn, &mut bytes[start..]);
        assert_eq!((web.application().messages, start), (2 * turn, 2 * turn * bomb.len()));
    }
    assert_eq!(start, bytes.len());
}

/// What a connection is told while nothing of what waits for it leaves.
struct Filling {
    is_told: usize,
}

impl Application for Filling {
    fn opened(&mut self, net: &mut Net<'_>, conn: ConnId) {
        let mut small = Broadcast::new(Message::Text("of a room"));
        net.broadcast(conn, &mut small, Class::Durable, 7).unwrap();
        net.send(conn, Message::Text("of its own")).unwrap();
        self.fill(net, conn);
    }

    fn message(&mut self, net: &mut Net<'_>, conn: ConnId, _: Message<'_>) {
        net.close(conn, CloseCode(4000), "bye");
    }

    fn drained(&mut self, net: &mut Net<'_>, conn: ConnId) {
        self.is_told += 1;
        self.fill(net, conn);
    }
}

impl Filling {
    /// Less than the low mark waits, and this does not fit beside it.
    fn fill(&mut self, net: &mut Net<'_>, conn: ConnId) {
        let text = "x".repeat(1_000);
        let mut large = Broadcast::new(Message::Text(&text));
        let _ = net.broadcast(conn, &mut large, Class::Durable, 7);
    }
}

/// A WebSocket of which the system takes no byte more than the answer's head, and what was sent.
fn stuck() -> (SimulatedReactor, Web<Filling>, ConnId) {
    let limits = Limits { outbox_bytes: 1_024, outbox_low_bytes: 512, ..Limits::default() };
    let config = WebConfig { limits: limits.clone(), compression: None, ..WebConfig::default() };
    let mut web = Web::new(Filling { is_told: 0 }, config, 1);
    let mut reactor = SimulatedReactor::new(&limits, Moment::ZERO, Timestamp(0));
    let conn = reactor.connect(&mut web, "127.0.0.1:1".parse().unwrap(), 0);
    reactor.arrive(
        conn,
        b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
          Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
    );
    for _ in 0..9 {
        reactor.turn(&mut web);
    }
    (reactor, web, conn)
}

#[test]
fn what_does_not_fit_is_not_tried_again_before_something_has_left() {
    let (mut reactor, mut web, conn) = stuck();
    assert!(web.application().is_told <= 1, "{}", web.application().is_told);
    assert!(reactor.next_turn() > Moment::ZERO, "the loop does not wait");
    reactor.make_room(conn, 10_000);
    for _ in 0..3 {
        reactor.turn(&mut web);
    }
    let (sent, _) = reactor.fetch(conn);
    assert!(sent.ends_with(&[b'x'; 1_000]), "and it is tried then");
}

#[test]
fn what_waits_of_places_is_taken_back_when_the_application_hears_of_it_no_more() {
    let (mut reactor, mut web, conn) = stuck();
    reactor.arrive(conn, b"\x81\x80\0\0\0\0");
    reactor.turn(&mut web);
    reactor.make_room(conn, 10_000);
    reactor.turn(&mut web);
    let (sent, _) = reactor.fetch(conn);
    let has = |text: &[u8]| sent.windows(text.len()).any(|part| part == text);
    assert!(has(b"of its own") && sent.ends_with(b"\x88\x05\x0f\xa0bye"));
    assert!(!has(b"of a room"));
}
