//! Holds a conversation, and judges what comes of it.

use super::case::{CheckFinding, Compressed, Judgement, Nature, TalkStep, Then};
use super::peer::{Came, Peer};
use super::raw_frame::{CLOSE, PING, RawFrame};
use crate::protocol::annotate::quoted;
use crate::protocol::deflate::Parameters;
use crate::protocol::{CloseCode, Role};
use std::time::Duration;

/// Between two bytes that come one by one.
const BETWEEN_BYTES: Duration = Duration::from_millis(1);
/// Behind the first, so that it is read alone.
const BEHIND_FIRST: Duration = Duration::from_millis(50);
/// How much later than a Ping's answer the end of a connection may come.
const AFTERTHOUGHT: Duration = Duration::from_millis(300);
/// What the ping asks with that follows whatever is tried.
const QUESTION: &[u8] = b"parlor check";

/// Tries frames where messages may be compressed, with what was agreed to of the offer.
pub(super) fn converse_compressed(
    peer: &mut Peer,
    agreed: Option<Parameters>,
    case: &Compressed,
    nature: &Nature,
) -> CheckFinding {
    let Some(agreed) = agreed else {
        return CheckFinding::open("it agrees to no permessage-deflate");
    };
    let direction = match peer.role() {
        Role::Client => agreed.of_client(),
        Role::Server => agreed.of_server(),
    };
    if case.needs_context && direction.no_context_takeover {
        return CheckFinding::open("each message begins with an empty window here");
    }
    converse(peer, &case.steps, &case.then, nature)
}

/// Tries frames on a connection.
pub(super) fn converse(
    peer: &mut Peer,
    steps: &[TalkStep],
    then: &Then,
    nature: &Nature,
) -> CheckFinding {
    for step in steps {
        match step {
            TalkStep::Send(frame) => peer.send(frame),
            TalkStep::AtOnce(frames) => {
                let bytes: Vec<Vec<u8>> =
                    frames.iter().map(|frame| frame.to_bytes(peer.role())).collect();
                peer.send_bytes(&bytes.concat());
            }
            TalkStep::Slowly(frame) => {
                for (at, byte) in frame.to_bytes(peer.role()).into_iter().enumerate() {
                    peer.send_bytes(&[byte]);
                    std::thread::sleep(if at == 0 { BEHIND_FIRST } else { BETWEEN_BYTES });
                }
            }
            TalkStep::AwaitPong(payload) => match await_pong(peer, payload) {
                Ok(()) => {}
                Err(fault) => return sent_with(peer, fault),
            },
            TalkStep::EndWriting => peer.end_writing(),
        }
    }
    peer.wait(peer.timeout);
    let finding = match then {
        Then::GoesOn(echo) => goes_on(peer, echo.as_ref(), nature),
        Then::Fails(codes) => fails(peer, codes),
        Then::FailsOrGoesOn(codes) => {
            let failed = fails(peer, codes);
            match failed.judgement {
                Judgement::Fault => CheckFinding { judgement: Judgement::Open, ..failed },
                _ => failed,
            }
        }
        Then::FailsAtOnce(codes) => match next_end(peer) {
            Came::Nothing => CheckFinding::fault("it waits for the rest"),
            Came::Close(Some(code), reason) if !codes.contains(&code) => {
                failed_with(Some(code), &reason, codes)
            }
            came => always_wrong(&came).unwrap_or_else(CheckFinding::good),
        },
        Then::FailsClose(codes) => fails_close(peer, codes),
        Then::Closes(code) => closes(peer, *code),
        Then::ClosesSomehow => {
            let closed = closes(peer, None);
            if closed.judgement == Judgement::Note { CheckFinding::good() } else { closed }
        }
        Then::RefusesCode(code) => refuses_code(peer, *code),
        Then::FailsOrWaits => fails_or_waits(peer),
        Then::Ends => ends(peer),
    };
    sent_with(peer, finding)
}

fn sent_with(peer: &mut Peer, finding: CheckFinding) -> CheckFinding {
    CheckFinding { sent: std::mem::take(&mut peer.sent), ..finding }
}

/// A code in words, where there is one.
fn told(code: Option<u16>, reason: &str) -> String {
    match (code, reason) {
        (None, _) => "a Close without a code".to_owned(),
        (Some(code), "") => format!("a Close with {code}"),
        (Some(code), reason) => format!("a Close with {code} {reason:?}"),
    }
}

fn in_words(came: &Came) -> String {
    match came {
        Came::Text(text) => format!("the text {}", quoted(text.as_bytes())),
        Came::Bytes(bytes) => format!("{} bytes", bytes.len()),
        Came::Ping(_) => "a Ping".to_owned(),
        Came::Pong(_) => "another Pong".to_owned(),
        Came::Close(code, reason) => told(*code, reason),
        Came::AfterClose(len) => format!("{len} bytes behind its Close"),
        Came::End => "the end of the connection".to_owned(),
        Came::Violation(error) => format!("a violation: {error}"),
        Came::Nothing => "nothing".to_owned(),
    }
}

/// What no connection should say, whatever is tried.
fn always_wrong(came: &Came) -> Option<CheckFinding> {
    match came {
        // It takes more than this end does.
        Came::Violation(error) if error.violation.close_code() == CloseCode::TOO_BIG => {
            Some(CheckFinding::note("it sends more than this program takes of a message"))
        }
        Came::Violation(error) => {
            Some(CheckFinding::fault(format!("it breaks the protocol: {error}")))
        }
        Came::AfterClose(len) => Some(CheckFinding::fault(format!(
            "it sends {len} bytes behind its Close (RFC 6455 §5.5.1)"
        ))),
        _ => None,
    }
}

/// Whether a Ping is answered.
pub(super) fn is_alive(peer: &mut Peer) -> bool {
    peer.send_aside(&RawFrame::new(PING, QUESTION));
    await_pong(peer, QUESTION).is_ok()
}

fn await_pong(peer: &mut Peer, payload: &[u8]) -> Result<(), CheckFinding> {
    peer.wait(peer.timeout);
    loop {
        match peer.next() {
            Came::Pong(came) if came == payload => return Ok(()),
            Came::Pong(_) | Came::Text(_) | Came::Bytes(_) | Came::Ping(_) => {}
            other => {
                let seen = || format!("in place of the Pong came {}", in_words(&other));
                return Err(always_wrong(&other).unwrap_or_else(|| CheckFinding::fault(seen())));
            }
        }
    }
}

/// A code with which an application, and not the protocol, ends a connection.
fn is_of_application(code: Option<u16>) -> bool {
    matches!(code, Some(1_000 | 1_001 | 1_003 | 1_008 | 1_009 | 1_011 | 1_013 | 3_000..=4_999))
}

fn goes_on(peer: &mut Peer, echo: Option<&Came>, nature: &Nature) -> CheckFinding {
    peer.send_aside(&RawFrame::new(PING, QUESTION));
    let mut awaited = echo.filter(|_| nature.is_echo);
    let (mut has_answered, mut other) = (false, None);
    while !has_answered || awaited.is_some() {
        let came = peer.next();
        if let Some(fault) = always_wrong(&came) {
            return fault;
        }
        match came {
            Came::Pong(payload) => has_answered |= payload == QUESTION,
            Came::Text(_) | Came::Bytes(_) if awaited == Some(&came) => awaited = None,
            Came::Text(_) | Came::Bytes(_) => other = Some(in_words(&came)),
            Came::Close(code @ Some(1_009), reason) => {
                return CheckFinding::open(format!(
                    "it takes no such size: {}",
                    told(code, &reason)
                ));
            }
            // An application that wants another text says so in its own way.
            Came::Close(code, reason)
                if echo.is_some() && !nature.is_echo && is_of_application(code) =>
            {
                return CheckFinding::open(format!(
                    "its application ends it: {}",
                    told(code, &reason)
                ));
            }
            Came::Close(code, reason) => {
                return CheckFinding::fault(format!(
                    "it fails the connection: {}",
                    told(code, &reason)
                ));
            }
            Came::End => return CheckFinding::fault("it ends the connection"),
            Came::Nothing if has_answered => {
                let other = other.map(|other| format!("; it sends {other}")).unwrap_or_default();
                return CheckFinding::fault(format!(
                    "it goes on, and does not send the message back{other}"
                ));
            }
            Came::Nothing => return CheckFinding::fault("it does not answer a Ping behind that"),
            Came::Ping(_) | Came::AfterClose(_) | Came::Violation(_) => {}
        }
    }
    CheckFinding::good()
}

fn fails(peer: &mut Peer, codes: &[u16]) -> CheckFinding {
    peer.send_aside(&RawFrame::new(PING, QUESTION));
    let mut heard = None;
    let mut has_answered = false;
    loop {
        let came = peer.next();
        if let Some(fault) = always_wrong(&came) {
            return fault;
        }
        match came {
            Came::Close(code, _) if code.is_none_or(|code| codes.contains(&code)) => {
                return CheckFinding::good();
            }
            Came::Close(code, reason) => return failed_with(code, &reason, codes),
            Came::End => return CheckFinding::good(),
            Came::Nothing if has_answered => {
                let heard = heard.map(|heard| format!("sends back {heard}, and "));
                let heard = heard.unwrap_or_default();
                return CheckFinding::fault(format!(
                    "it {heard}goes on: it answers a Ping behind that"
                ));
            }
            Came::Nothing => {
                return CheckFinding::fault("it neither fails the connection nor answers anything");
            }
            // Some answer Pings at once, and look at messages a little later.
            Came::Pong(payload) if payload == QUESTION => {
                has_answered = true;
                peer.wait(AFTERTHOUGHT);
            }
            Came::Pong(_) => {}
            Came::Text(_) | Came::Bytes(_) => heard = Some(in_words(&came)),
            Came::Ping(_) | Came::AfterClose(_) | Came::Violation(_) => {}
        }
    }
}

fn failed_with(code: Option<u16>, reason: &str, codes: &[u16]) -> CheckFinding {
    CheckFinding::note(format!(
        "it fails the connection as it must, with {}; expected {}",
        told(code, reason),
        either(codes)
    ))
}

fn either(codes: &[u16]) -> String {
    let codes: Vec<String> = codes.iter().map(u16::to_string).collect();
    codes.join(" or ")
}

/// The next Close, or what came in its place.
fn next_end(peer: &mut Peer) -> Came {
    loop {
        match peer.next() {
            Came::Text(_) | Came::Bytes(_) | Came::Ping(_) | Came::Pong(_) => {}
            other => return other,
        }
    }
}

fn fails_close(peer: &mut Peer, codes: &[u16]) -> CheckFinding {
    let came = next_end(peer);
    if let Some(fault) = always_wrong(&came) {
        return fault;
    }
    match came {
        Came::Close(Some(code), _) if codes.contains(&code) => CheckFinding::good(),
        Came::Close(code, reason) => CheckFinding::fault(format!(
            "it takes that for a Close in order, and answers with {}; expected {}",
            told(code, &reason),
            either(codes)
        )),
        Came::End => CheckFinding::good(),
        _ => CheckFinding::fault("it neither fails the connection nor answers"),
    }
}

fn closes(peer: &mut Peer, code: Option<u16>) -> CheckFinding {
    let came = next_end(peer);
    if let Some(fault) = always_wrong(&came) {
        return fault;
    }
    let mut finding = match came {
        Came::Close(answer, reason) => match (answer, code) {
            // RFC 6455 §7.4.1: no code is read as 1005, and 1000 says as much.
            _ if answer == code => CheckFinding::good(),
            (None | Some(1_000), _) => CheckFinding::good(),
            _ => {
                let wanted =
                    code.map_or("without a code".to_owned(), |code| format!("with {code}"));
                let answer = told(answer, &reason);
                CheckFinding::note(format!("it answers a Close {wanted} with {answer}"))
            }
        },
        Came::End => {
            return CheckFinding::fault("it ends the connection, and answers with no Close");
        }
        _ => return CheckFinding::fault("it answers with no Close"),
    };
    // RFC 6455 §7.1.1: the server ends TCP first; a client may wait for that.
    if peer.role() == Role::Server {
        return finding;
    }
    peer.wait(peer.timeout);
    match peer.next() {
        Came::End => {}
        Came::Nothing => {
            finding = CheckFinding::fault(
                "both have sent a Close, and it does not end the TCP connection (RFC 6455 §7.1.1)",
            );
        }
        came => {
            if let Some(fault) = always_wrong(&came) {
                finding = fault;
            }
        }
    }
    finding
}

fn refuses_code(peer: &mut Peer, code: u16) -> CheckFinding {
    let came = next_end(peer);
    if let Some(fault) = always_wrong(&came) {
        return fault;
    }
    match came {
        Came::Close(Some(answer), _) if answer == code => {
            CheckFinding::fault(format!("it takes {code}, and answers with it"))
        }
        Came::Close(Some(1_002) | None, _) | Came::End => CheckFinding::good(),
        Came::Close(answer, reason) => {
            CheckFinding::note(format!("it answers with {}; expected 1002", told(answer, &reason)))
        }
        _ => CheckFinding::fault("it neither fails the connection nor answers"),
    }
}

fn fails_or_waits(peer: &mut Peer) -> CheckFinding {
    match next_end(peer) {
        Came::Close(..) | Came::End => CheckFinding::good(),
        Came::Nothing => CheckFinding::note("it waits for the rest, whatever was announced"),
        came => always_wrong(&came).unwrap_or_else(CheckFinding::good),
    }
}

fn ends(peer: &mut Peer) -> CheckFinding {
    loop {
        match peer.next() {
            Came::End => return CheckFinding::good(),
            Came::Nothing => {
                let seconds = peer.timeout.as_secs_f64();
                return CheckFinding::note(format!(
                    "the connection is still open after {seconds} s"
                ));
            }
            // The other half is still open.
            Came::Close(..) => peer.send_aside(&RawFrame::new(CLOSE, [])),
            came => {
                if let Some(fault) = always_wrong(&came) {
                    return fault;
                }
            }
        }
    }
}
