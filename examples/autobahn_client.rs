//! The client that the Autobahn testsuite examines: echoes what it is sent, case after case.
//!
//! Run: `wstest -m fuzzingserver`, and beside it
//! `AUTOBAHN_URL=ws://127.0.0.1:9001 cargo run --release --example autobahn_client`.
//! `tests/autobahn/run.py` starts both and judges the reports.

use parlor::client::{BlockingWebSocket, Incoming, SocketError};
use parlor::protocol::deflate::{CodecsConfig, Offer};
use std::error::Error;
use std::time::{Duration, Instant};

/// Longer silence than any case has means that the suite hangs.
const PATIENCE: Duration = Duration::from_secs(30);
/// No case takes longer: whoever is no suite must not keep this program for ever.
const CASE_MAX: Duration = Duration::from_secs(300);

/// Opens a WebSocket and gives `heard` every message until the server ends the TCP connection, as
/// RFC 6455 §7.1.1 has it.
fn converse(
    url: &str,
    mut heard: impl FnMut(Incoming, &mut BlockingWebSocket),
) -> Result<(), Box<dyn Error>> {
    // Two offers of permessage-deflate (RFC 7692 §5.2): the suite takes the second when it wants a
    // client that takes over no context. Whatever its size, a message is compressed: it is to be tested.
    let takes_over = Offer { client_max_window_bits: Some(None), ..Offer::default() };
    let forgets = Offer { client_no_context_takeover: true, ..takes_over };
    let codecs = CodecsConfig { threshold_bytes: 0, ..CodecsConfig::default() };
    let builder = BlockingWebSocket::builder(url)?.deflate(&[takes_over, forgets], codecs);
    let builder = builder.read_timeout(Some(PATIENCE)).connect_timeout(PATIENCE);
    let mut socket = builder.connect()?;
    let begun = Instant::now();
    loop {
        if begun.elapsed() > CASE_MAX {
            return Err(format!("{url} has not ended after {} s", CASE_MAX.as_secs()).into());
        }
        match socket.read() {
            Ok(Some(message)) => heard(message, &mut socket),
            // The suite breaks the protocol on purpose. It was told so; its own Close, and the end, are still to come.
            Err(SocketError::Protocol(_)) => {}
            Ok(None) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

fn echo(message: Incoming, socket: &mut BlockingWebSocket) {
    let sent = match message {
        Incoming::Text(text) => socket.send(&text),
        Incoming::Bytes(bytes) => socket.send_bytes(&bytes),
        Incoming::Pong(_) | Incoming::Closed { .. } => Ok(()),
    };
    // Refused only after a Close: then nobody waits for the echo.
    drop(sent);
}

fn main() -> Result<(), Box<dyn Error>> {
    let variable = |name, default: &str| std::env::var(name).unwrap_or_else(|_| default.into());
    let url = variable("AUTOBAHN_URL", "ws://127.0.0.1:9001");
    let agent = variable("AUTOBAHN_AGENT", "parlor");
    let url = url.trim_end_matches('/');

    let mut count = None;
    converse(&format!("{url}/getCaseCount"), |message, _| {
        if let Incoming::Text(text) = message {
            count = text.parse().ok();
        }
    })?;
    let count: u32 = count.ok_or("the suite does not say how many cases it has")?;
    for case in 1..=count {
        // The suite judges how a case ends; that it ends otherwise than in order is worth a line.
        if let Err(error) = converse(&format!("{url}/runCase?case={case}&agent={agent}"), echo) {
            eprintln!("case {case} of {count}: {error}");
        }
    }
    converse(&format!("{url}/updateReports?agent={agent}"), |_, _| {})
}
