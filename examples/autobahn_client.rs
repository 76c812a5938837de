//! The clients that the Autobahn testsuite examines: they echo what they are sent, case after case.
//!
//! Run: `wstest -m fuzzingserver`, and beside it
//! `AUTOBAHN_URL=ws://127.0.0.1:9001 cargo run --release --example autobahn_client`, which is `client::WebSocket`; with
//! the argument `blocking` it is `client::BlockingWebSocket`. `tests/autobahn/run.py` starts both and judges the reports.

use parlor::client::{
    Backoff, BlockingWebSocket, Incoming, SocketError, WebSocket, WebSocketEvent,
};
use parlor::protocol::deflate::{CodecsConfig, Offer};
use std::error::Error;
use std::time::{Duration, Instant};

/// Longer silence than any case has means that the suite hangs.
const PATIENCE: Duration = Duration::from_secs(30);
/// No case takes longer: whoever is no suite must not keep this program for ever.
const CASE_MAX: Duration = Duration::from_secs(300);

/// Opens a WebSocket, echoes every message until the suite ends it, and returns the last text.
type Converse = fn(&str) -> Result<Option<String>, Box<dyn Error>>;

/// Two offers of permessage-deflate (RFC 7692 §5.2): the suite takes the second when it wants a client that takes over
/// no context. Whatever its size, a message is compressed: it is to be tested.
fn deflate() -> ([Offer; 2], CodecsConfig) {
    let takes_over = Offer { client_max_window_bits: Some(None), ..Offer::default() };
    let forgets = Offer { client_no_context_takeover: true, ..takes_over };
    ([takes_over, forgets], CodecsConfig { threshold_bytes: 0, ..CodecsConfig::default() })
}

fn converse(url: &str) -> Result<Option<String>, Box<dyn Error>> {
    let (offers, codecs) = deflate();
    let once = Backoff { attempts: Some(0), ..Backoff::default() };
    // A message is echoed before a Close or a fault behind it is looked at.
    let builder = WebSocket::builder(url).deflate(&offers, codecs).backoff(once).queue(1);
    let socket = builder.start()?;
    let begun = Instant::now();
    let mut last = None;
    loop {
        if begun.elapsed() > CASE_MAX {
            return Err(format!("{url} has not ended after {} s", CASE_MAX.as_secs()).into());
        }
        // Refused only after the end: then nobody waits for the echo.
        match socket.events().recv_timeout(PATIENCE)? {
            WebSocketEvent::Text(text) => {
                let _ = socket.send(&text);
                last = Some(text);
            }
            WebSocketEvent::Bytes(bytes) => drop(socket.send_bytes(&bytes)),
            // The suite breaks the protocol on purpose, and says itself what it thinks of the answer.
            WebSocketEvent::Closed { .. } | WebSocketEvent::Lost(_) => return Ok(last),
            _ => {}
        }
    }
}

fn converse_blocking(url: &str) -> Result<Option<String>, Box<dyn Error>> {
    let (offers, codecs) = deflate();
    let builder = BlockingWebSocket::builder(url).deflate(&offers, codecs);
    let mut socket = builder.read_timeout(Some(PATIENCE)).connect_timeout(PATIENCE).connect()?;
    let begun = Instant::now();
    let mut last = None;
    loop {
        if begun.elapsed() > CASE_MAX {
            return Err(format!("{url} has not ended after {} s", CASE_MAX.as_secs()).into());
        }
        match socket.read() {
            Ok(Some(Incoming::Text(text))) => {
                let _ = socket.send(&text);
                last = Some(text);
            }
            Ok(Some(Incoming::Bytes(bytes))) => drop(socket.send_bytes(&bytes)),
            // What breaks the protocol was told so; the suite's own Close, and the end, are still to come.
            Ok(Some(Incoming::Pong(_) | Incoming::Closed { .. }))
            | Err(SocketError::Protocol(_)) => {}
            Ok(None) => return Ok(last),
            Err(error) => return Err(error.into()),
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let variable = |name, default: &str| std::env::var(name).unwrap_or_else(|_| default.into());
    let url = variable("AUTOBAHN_URL", "ws://127.0.0.1:9001");
    let agent = variable("AUTOBAHN_AGENT", "parlor");
    let url = url.trim_end_matches('/');
    let converse: Converse = match std::env::args().nth(1).as_deref() {
        None => converse,
        Some("blocking") => converse_blocking,
        Some(other) => return Err(format!("{other}: no such client; blocking is one").into()),
    };
    let count = converse(&format!("{url}/getCaseCount"))?.and_then(|count| count.parse().ok());
    let count: u32 = count.ok_or("the suite does not say how many cases it has")?;
    for case in 1..=count {
        // The suite judges how a case ends; that it ends otherwise than in order is worth a line.
        if let Err(error) = converse(&format!("{url}/runCase?case={case}&agent={agent}")) {
            eprintln!("case {case} of {count}: {error}");
        }
    }
    converse(&format!("{url}/updateReports?agent={agent}")).map(drop)
}
