//! The opening handshake of a server: RFC 6455 §4.2.

use super::case::{Case, CheckFinding, Play, RequestOutcome};
use super::server::CheckedServer;
use crate::client::ConnectError;
use crate::protocol::deflate::Offer;
use crate::reactor::Clock;
use std::time::Duration;

/// Between two bytes of a request that comes slowly.
const BETWEEN_BYTES: Duration = Duration::from_millis(1);
/// A head that no server needs.
const LONG_HEAD_BYTES: usize = 1024 * 1024;

/// A request, and what must come of it.
type RequestRow =
    (&'static str, &'static str, &'static str, fn(&CheckedServer) -> Vec<u8>, RequestOutcome);
/// What is tried by a function.
type TrialRow = (&'static str, &'static str, &'static str, fn(&CheckedServer) -> CheckFinding);

const NOT_ONE: &str = "a request that is no opening handshake is not answered with 101";

const REQUESTS: &[RequestRow] = &[
    (
        "request",
        "RFC 6455 §4.2.2",
        "an opening request is answered with 101 and the accept key",
        |server| server.request(&server.fields()),
        RequestOutcome::Opens,
    ),
    (
        "names-in-any-case",
        "RFC 6455 §4.2.1",
        "names of fields, websocket and Upgrade are read in any case",
        |server| {
            let swap = |text: &str| match text {
                "websocket" => "WebSocket".to_owned(),
                "Upgrade" => "UPGRADE".to_owned(),
                text => text.to_owned(),
            };
            let fields = server.fields().into_iter();
            let fields = fields.map(|(name, value)| (name.to_uppercase(), swap(&value)));
            server.request(&fields.collect::<Vec<_>>())
        },
        RequestOutcome::Opens,
    ),
    (
        "connection-list",
        "RFC 6455 §4.2.1",
        "Connection is a list that has Upgrade",
        |server| server.request_with("Connection", Some("keep-alive, Upgrade")),
        RequestOutcome::Opens,
    ),
    (
        "white-space",
        "RFC 9112 §5",
        "white space around a value is no part of it",
        |server| server.request_with("Upgrade", Some("\t websocket \t")),
        RequestOutcome::Opens,
    ),
    (
        "unknown-field",
        "RFC 9110 §5.1",
        "fields that nobody knows are passed over",
        |server| server.request_with("X-Parlor-Check", Some("1")),
        RequestOutcome::Opens,
    ),
    (
        "unknown-extension",
        "RFC 6455 §9.1",
        "an extension that the server does not know is not agreed to",
        |server| server.request_with("Sec-WebSocket-Extensions", Some("x-parlor-check; a=1")),
        RequestOutcome::Opens,
    ),
    (
        "no-upgrade",
        "RFC 6455 §4.2.1",
        NOT_ONE,
        |s| s.request_with("Upgrade", None),
        RequestOutcome::Refused,
    ),
    (
        "other-upgrade",
        "RFC 6455 §4.2.1",
        NOT_ONE,
        |server| server.request_with("Upgrade", Some("h2c")),
        RequestOutcome::Refused,
    ),
    (
        "no-connection",
        "RFC 6455 §4.2.1",
        NOT_ONE,
        |server| server.request_with("Connection", None),
        RequestOutcome::Refused,
    ),
    (
        "other-connection",
        "RFC 6455 §4.2.1",
        NOT_ONE,
        |server| server.request_with("Connection", Some("keep-alive")),
        RequestOutcome::Refused,
    ),
    (
        "no-key",
        "RFC 6455 §4.2.1",
        NOT_ONE,
        |server| server.request_with("Sec-WebSocket-Key", None),
        RequestOutcome::Refused,
    ),
    (
        "short-key",
        "RFC 6455 §4.2.1",
        "a key that is not 16 bytes in base64 is refused",
        |server| server.request_with("Sec-WebSocket-Key", Some("c2hvcnQ=")),
        RequestOutcome::Refused,
    ),
    (
        "key-not-base64",
        "RFC 6455 §4.2.1",
        "a key that is not 16 bytes in base64 is refused",
        |server| server.request_with("Sec-WebSocket-Key", Some("****************")),
        RequestOutcome::Refused,
    ),
    (
        "two-keys",
        "RFC 6455 §11.3.1",
        "a key is there once",
        |server| {
            let mut fields = server.fields();
            let other = "AAAAAAAAAAAAAAAAAAAAAA==".to_owned();
            fields.push(("Sec-WebSocket-Key".to_owned(), other));
            server.request(&fields)
        },
        RequestOutcome::BetterRefused,
    ),
    (
        "post",
        "RFC 6455 §4.2.1",
        "an opening request is a GET",
        |server| server.request_line("POST", "HTTP/1.1", &server.fields()),
        RequestOutcome::Refused,
    ),
    (
        "http-1.0",
        "RFC 6455 §4.2.1",
        "an opening request is HTTP/1.1 or later",
        |server| server.request_line("GET", "HTTP/1.0", &server.fields()),
        RequestOutcome::BetterRefused,
    ),
    (
        "no-host",
        "RFC 6455 §4.2.1",
        "an opening request has a Host",
        |server| server.request_with("Host", None),
        RequestOutcome::BetterRefused,
    ),
];

const TRIALS: &[TrialRow] = &[
    (
        "other-version",
        "RFC 6455 §4.2.2, §4.4",
        "a version that the server does not speak is refused, and the answer says which it speaks",
        |server| version(server, "14"),
    ),
    ("no-version", "RFC 6455 §4.2.1", "a request without a version is refused", |server| {
        refused(server, &server.request_with("Sec-WebSocket-Version", None), false)
    }),
    ("request-in-bytes", "RFC 9112 §2.2", "a request is read however its bytes come", in_bytes),
    (
        "long-head",
        "RFC 6455 §10.4",
        "a head of a megabyte is refused, and others are served",
        long_head,
    ),
    (
        "deflate-answer",
        "RFC 7692 §5.1, §7.1",
        "an offer of permessage-deflate is agreed to as it was made, or not at all",
        deflate,
    ),
    (
        "deflate-unknown-parameter",
        "RFC 7692 §7.1",
        "an offer with a parameter that is not defined is declined",
        |server| declined(server, "permessage-deflate; x_parlor_check=1"),
    ),
    (
        "deflate-bad-window",
        "RFC 7692 §7.1.2",
        "an offer with a window that cannot be is declined",
        |server| declined(server, "permessage-deflate; server_max_window_bits=99"),
    ),
    (
        "deflate-twice",
        "RFC 7692 §7.1",
        "an offer that has a parameter twice is declined",
        |server| {
            let twice = "server_no_context_takeover; server_no_context_takeover";
            declined(server, &format!("permessage-deflate; {twice}"))
        },
    ),
];

pub(super) fn opening() -> Vec<Case> {
    let requests = REQUESTS.iter().map(|(name, clause, duty, request, outcome)| {
        (name, clause, duty, Play::Request(*request, *outcome))
    });
    let trials = TRIALS
        .iter()
        .map(|(name, clause, duty, function)| (name, clause, duty, Play::Server(*function)));
    let cases = requests.chain(trials).map(|(name, clause, duty, play)| Case {
        group: "opening",
        name: (*name).into(),
        clause: (*clause).into(),
        duty,
        play,
    });
    cases.collect()
}

/// Judges the answer to a request.
pub(super) fn judge(
    server: &CheckedServer,
    request: &[u8],
    answered: RequestOutcome,
) -> CheckFinding {
    match answered {
        RequestOutcome::Opens => opens(server, request),
        RequestOutcome::Refused => refused(server, request, false),
        RequestOutcome::BetterRefused => refused(server, request, true),
    }
}

fn no_connection(error: &ConnectError) -> CheckFinding {
    match error {
        ConnectError::Timeout => CheckFinding::fault("it does not answer"),
        error => CheckFinding::fault(format!("no connection: {error}")),
    }
}

fn opens(server: &CheckedServer, request: &[u8]) -> CheckFinding {
    let answer = match server.ask(request) {
        Ok((_, Some(answer))) => answer,
        Ok((_, None)) => return CheckFinding::fault("it answers with no head of HTTP"),
        Err(error) => return no_connection(&error),
    };
    if answer.status != 101 {
        return CheckFinding::fault(format!("it answers with status {}", answer.status));
    }
    let protocols: Vec<&str> = server.protocol.as_deref().into_iter().collect();
    if let Some(fault) = answer.fault(&protocols) {
        return CheckFinding::fault(fault);
    }
    answer.agreed(None).map_or_else(CheckFinding::fault, |_| CheckFinding::good())
}

fn refused(server: &CheckedServer, request: &[u8], is_advice: bool) -> CheckFinding {
    match server.ask(request) {
        Ok((_, Some(answer))) if answer.status == 101 => {
            let seen = "it answers with 101";
            if is_advice { CheckFinding::note(seen) } else { CheckFinding::fault(seen) }
        }
        Ok(_) => CheckFinding::good(),
        Err(error) => no_connection(&error),
    }
}

fn version(server: &CheckedServer, version: &str) -> CheckFinding {
    match server.ask(&server.request_with("Sec-WebSocket-Version", Some(version))) {
        Ok((_, Some(answer))) if answer.status == 101 => CheckFinding::fault("it answers with 101"),
        Ok((_, Some(answer))) => {
            let mut spoken =
                answer.values("sec-websocket-version").flat_map(|line| line.split(','));
            if spoken.any(|version| version.trim() == "13") {
                return CheckFinding::good();
            }
            CheckFinding::note(format!(
                "it answers with {}, and no Sec-WebSocket-Version that has 13",
                answer.status
            ))
        }
        Ok((_, None)) => CheckFinding::fault("it ends the connection, and answers nothing"),
        Err(error) => no_connection(&error),
    }
}

fn in_bytes(server: &CheckedServer) -> CheckFinding {
    let mut stream = match server.stream() {
        Ok(stream) => stream,
        Err(error) => return no_connection(&error),
    };
    for byte in server.request(&server.fields()) {
        if stream.write(&[byte], server.timeout).is_err() {
            return CheckFinding::fault("it ends the connection before the request is whole");
        }
        std::thread::sleep(BETWEEN_BYTES);
    }
    const RIGHT: &[u8] = b"HTTP/1.1 101";
    let (clock, mut answer) = (Clock::start(), Vec::new());
    while answer.len() < RIGHT.len() {
        match stream.read(&mut answer, server.timeout.saturating_sub(clock.elapsed())) {
            Ok(1..) => {}
            Ok(0) => return CheckFinding::fault("it ends the connection"),
            Err(error) => return no_connection(&error),
        }
    }
    if answer.starts_with(RIGHT) {
        CheckFinding::good()
    } else {
        CheckFinding::fault("it does not answer with 101")
    }
}

fn long_head(server: &CheckedServer) -> CheckFinding {
    let long = "a".repeat(LONG_HEAD_BYTES);
    let finding = match server.ask(&server.request_with("X-Long", Some(&long))) {
        Ok((_, Some(answer))) if answer.status == 101 => {
            CheckFinding::note("it takes a head of a megabyte")
        }
        Ok(_) => CheckFinding::good(),
        Err(ConnectError::Timeout) => {
            CheckFinding::note("it waits for more of a head of a megabyte")
        }
        Err(error) => no_connection(&error),
    };
    match server.open() {
        Ok(_) => finding,
        Err(fault) => {
            CheckFinding::fault(format!("others are not served behind that: {}", fault.seen))
        }
    }
}

fn deflate(server: &CheckedServer) -> CheckFinding {
    let offers = [
        Offer::default(),
        Offer { server_no_context_takeover: true, ..Offer::default() },
        Offer { server_max_window_bits: Some(9), ..Offer::default() },
        Offer { client_max_window_bits: Some(None), ..Offer::default() },
        Offer {
            client_max_window_bits: Some(Some(9)),
            client_no_context_takeover: true,
            ..Offer::default()
        },
    ];
    let mut has_agreed = false;
    for offer in &offers {
        match server.open_with(Some(offer)) {
            Ok((_, agreed)) => has_agreed |= agreed.is_some(),
            Err(finding) => {
                return CheckFinding::fault(format!("to {:?}: {}", offer.to_field(), finding.seen));
            }
        }
    }
    if has_agreed {
        CheckFinding::good()
    } else {
        CheckFinding::open("it agrees to no permessage-deflate")
    }
}

fn declined(server: &CheckedServer, offer: &str) -> CheckFinding {
    let request = server.request_with("Sec-WebSocket-Extensions", Some(offer));
    match server.ask(&request) {
        Ok((_, Some(answer))) if answer.status == 101 => {
            match answer.values("sec-websocket-extensions").next() {
                None => CheckFinding::good(),
                Some(agreed) => CheckFinding::fault(format!("it agrees to {agreed:?}")),
            }
        }
        // RFC 6455 §9.1: what is not an extension's syntax may fail the handshake.
        Ok(_) => CheckFinding::good(),
        Err(error) => no_connection(&error),
    }
}
