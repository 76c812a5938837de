//! The layer of WebSockets on the reactor, driven without one: plain calls, no socket.

use parlor::base::{ConnId, Limits, Moment, Timestamp};
use parlor::protocol::deflate::{Codecs, CodecsConfig, Deflate, Parameters};
use parlor::protocol::{Endpoint, Message};
use parlor::reactor::{Handler, Io};
use parlor::server::web::{Application, Net, Web, WebConfig};

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
    let config = WebConfig { limits, compression: Some(CodecsConfig::default()) };
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
