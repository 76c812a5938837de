//! The client that the Autobahn testsuite examines: echoes what it is sent, case after case.
//!
//! Run: `wstest -m fuzzingserver`, and beside it
//! `AUTOBAHN_URL=ws://127.0.0.1:9001 cargo run --release --example autobahn_client`.
//! `tests/autobahn/run.py` starts both and judges the reports.
//!
//! It is parlor's protocol over a socket that blocks: no reactor, one connection at a time.

use parlor::base::Outbox;
use parlor::protocol::deflate::{Codecs, CodecsConfig, Deflate, Offer};
use parlor::protocol::endpoint::{Closing, Send};
use parlor::protocol::handshake::client::{ClientHandshake, ClientRequest};
use parlor::protocol::{Endpoint, EndpointLimits, Event, Message, Received};
use parlor::web::{SystemKeys, system_nonce};
use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longer silence than any case has means that the suite hangs.
const PATIENCE: Duration = Duration::from_secs(30);
/// No case takes longer: whoever is no suite must not keep this program for ever.
const CASE_MAX: Duration = Duration::from_secs(300);
const READ_BUFFER_BYTES: usize = 64 * 1024;
/// Each echo is written at once, so that no more than one waits.
const OUTBOX_BYTES: u32 = 16 * 1024 * 1024;

/// A WebSocket that is open, and the bytes that came behind the answer's head.
struct Opened {
    stream: TcpStream,
    endpoint: Endpoint,
    early: Vec<u8>,
}

fn open(host: &str, target: &str) -> Result<Opened, Box<dyn Error>> {
    let address = host.to_socket_addrs()?.next().ok_or("the host has no address")?;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;

    // Two offers of permessage-deflate (RFC 7692 §5.2): the suite takes the second when it wants a
    // client that takes over no context.
    let takes_over = Offer { client_max_window_bits: Some(None), ..Offer::default() };
    let forgets = Offer { client_no_context_takeover: true, ..takes_over };
    let deflate = &[takes_over, forgets];
    let request = ClientRequest { host, target, protocols: &[], deflate, fields: &[] };
    let handshake = ClientHandshake::new(request, system_nonce())?;
    stream.write_all(handshake.request())?;
    let mut answer = Vec::new();
    let opened = loop {
        let mut piece = [0; 1024];
        let len = stream.read(&mut piece)?;
        if len == 0 {
            return Err("the connection has ended within the opening handshake".into());
        }
        answer.extend_from_slice(&piece[..len]);
        if let Some(opened) = handshake.judge(&answer)? {
            break opened;
        }
    };
    let mut endpoint =
        Endpoint::client(Arc::new(EndpointLimits::default()), Box::new(SystemKeys::new()));
    if let Some(agreed) = opened.deflate {
        // Whatever its size: it is to be tested.
        let codecs = Codecs::new(CodecsConfig { threshold_bytes: 0, ..CodecsConfig::default() });
        endpoint = endpoint.with_deflate(Deflate::client(&agreed, &codecs));
    }
    Ok(Opened { stream, endpoint, early: answer.split_off(opened.head_len) })
}

/// Opens a WebSocket and gives `heard` every event until the server ends the TCP connection, as
/// RFC 6455 §7.1.1 has it. What `heard` sends leaves before the next event.
fn converse(
    host: &str,
    target: &str,
    mut heard: impl FnMut(Event<'_>, &mut Send, &mut Outbox),
) -> Result<(), Box<dyn Error>> {
    let Opened { mut stream, mut endpoint, early } = open(host, target)?;
    let mut out = Outbox::alone(OUTBOX_BYTES);
    let mut buffer = vec![0; READ_BUFFER_BYTES];
    let mut len = early.len();
    buffer[..len].copy_from_slice(&early);
    let begun = Instant::now();
    loop {
        if begun.elapsed() > CASE_MAX {
            return Err(format!("{target} has not ended after {} s", CASE_MAX.as_secs()).into());
        }
        let mut input = Received::new(&mut buffer[..len]);
        loop {
            match endpoint.receive.next_event(&mut endpoint.send, &mut input, &mut out) {
                Ok(Some(event)) => heard(event, &mut endpoint.send, &mut out),
                Ok(None) => break,
                // The suite breaks the protocol on purpose. The Close that says so is in the
                // outbox; the server's own, and the end, are still to come.
                Err(_violation) => {}
            }
            out.write_to(&mut stream)?;
        }
        // Once the closing handshake is done the suite may cut the connection.
        let is_closed = endpoint.send.closing() == Closing::Closed;
        len = match stream.read(&mut buffer) {
            Err(error) if is_closed && error.kind() == io::ErrorKind::ConnectionReset => 0,
            read => read?,
        };
        if len == 0 {
            return Ok(());
        }
    }
}

fn echo(event: Event<'_>, send: &mut Send, out: &mut Outbox) {
    let message = match event {
        Event::Text(text) => Message::Text(text),
        Event::Binary(bytes) => Message::Binary(bytes),
        // What these oblige to is in the outbox.
        Event::Ping(_) | Event::Pong(_) | Event::Closed { .. } => return,
    };
    // Refused only after a Close: then nobody waits for the echo.
    let _ = send.message(message, out);
}

fn main() -> Result<(), Box<dyn Error>> {
    let variable = |name, default: &str| std::env::var(name).unwrap_or_else(|_| default.into());
    let url = variable("AUTOBAHN_URL", "ws://127.0.0.1:9001");
    let agent = variable("AUTOBAHN_AGENT", "parlor");
    let host = url.strip_prefix("ws://").ok_or("AUTOBAHN_URL does not begin with ws://")?;
    let host = host.trim_end_matches('/');

    let mut count = None;
    converse(host, "/getCaseCount", |event, _, _| {
        if let Event::Text(text) = event {
            count = text.parse().ok();
        }
    })?;
    let count: u32 = count.ok_or("the suite does not say how many cases it has")?;
    for case in 1..=count {
        // The suite judges how a case ends; that it ends otherwise than in order is worth a line.
        if let Err(error) = converse(host, &format!("/runCase?case={case}&agent={agent}"), echo) {
            eprintln!("case {case} of {count}: {error}");
        }
    }
    converse(host, &format!("/updateReports?agent={agent}"), |_, _, _| {})
}
