//! What a server does with too much, and with too little: RFC 6455 §10.4.

use super::case::{Case, CheckFinding, Play, TalkStep, Then};
use super::frames::case;
use super::judge::is_alive;
use super::peer::Peer;
use super::raw_frame::{BINARY, RawFrame};
use super::server::CheckedServer;
use crate::client::ConnectError;
use crate::reactor::Clock;
use std::time::Duration;

const GROUP: &str = "bounds";

pub(super) fn bounds() -> Vec<Case> {
    let mut cases = Vec::new();
    // With a length that a reader may take for a negative number, or add to another.
    for (name, len) in [("2-40", 1_u64 << 40), ("2-62", 1 << 62), ("2-63-1", (1 << 63) - 1)] {
        cases.push(case(
            GROUP,
            format!("length-{name}"),
            "RFC 6455 §10.4",
            "a frame that no end can take fails the connection when its header comes",
            vec![TalkStep::Send(RawFrame::new(BINARY, "begin").claiming(len))],
            Then::FailsOrWaits,
        ));
    }
    let tried = |name: &'static str, clause: &'static str, duty, function| Case {
        group: GROUP,
        name: name.into(),
        clause: clause.into(),
        duty,
        play: Play::Server(function),
    };
    cases.push(tried(
        "many-promises",
        "RFC 6455 §10.4",
        "memory is not reserved for what is only announced: others are served",
        many_promises,
    ));
    cases.push(tried(
        "half-a-request",
        "RFC 6455 §10.4",
        "a connection on which half an opening request came is ended",
        |server| waits(server, Some("GET / HTTP/1.1\r\nHost: ")),
    ));
    cases.push(tried(
        "nothing",
        "RFC 6455 §10.4",
        "a connection on which nothing comes is ended",
        |server| waits(server, None),
    ));
    cases
}

/// So many announce that they send a gigabyte.
const PROMISES: usize = 32;
const AGAIN: Duration = Duration::from_millis(50);

fn many_promises(server: &CheckedServer) -> CheckFinding {
    let mut peers = Vec::new();
    for _ in 0..PROMISES {
        match open_when_let_in(server) {
            Ok(mut peer) => {
                peer.send(&RawFrame::new(BINARY, "begin").claiming(1 << 30));
                peers.push(peer);
            }
            Err(finding) if peers.is_empty() => return finding,
            Err(finding) => {
                let count = peers.len();
                let seen = format!("beside {count} such connections: {}", finding.seen);
                return CheckFinding::open(seen);
            }
        }
    }
    match open_when_let_in(server) {
        Ok(mut peer) => match is_alive(&mut peer) {
            true => CheckFinding::good(),
            false => CheckFinding::fault("another connection is not answered"),
        },
        Err(finding) => {
            CheckFinding::fault(format!("another connection is not served: {}", finding.seen))
        }
    }
}

/// A server may limit connections, and may still count those of other cases that have ended: what is
/// not opened is tried again, for as long as an answer may take.
fn open_when_let_in(server: &CheckedServer) -> Result<Peer, CheckFinding> {
    let clock = Clock::start();
    loop {
        match server.open() {
            Err(_) if clock.elapsed() < server.timeout => std::thread::sleep(AGAIN),
            last => return last,
        }
    }
}

/// Whether it ends a connection on which its client goes silent before the handshake is over.
fn waits(server: &CheckedServer, begin: Option<&str>) -> CheckFinding {
    let mut stream = match server.stream() {
        Ok(stream) => stream,
        Err(error) => return CheckFinding::fault(format!("no connection: {error}")),
    };
    if let Some(begin) = begin {
        let _ = stream.write(begin.as_bytes(), server.timeout);
    }
    let clock = Clock::start();
    let mut answer = Vec::new();
    loop {
        let left = server.patience.saturating_sub(clock.elapsed());
        match stream.read(&mut answer, left) {
            Ok(1..) => {}
            Ok(0) | Err(ConnectError::Io(_)) => return CheckFinding::good(),
            Err(ConnectError::Timeout) => {
                let seconds = server.patience.as_secs_f64();
                let seen = format!("it is still open after {seconds} s (--patience)");
                return CheckFinding::open(seen);
            }
            Err(error) => return CheckFinding::fault(error.to_string()),
        }
    }
}
