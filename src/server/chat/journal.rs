//! What the log says of connections: who connects and disconnects, and who is limited. It has no
//! line for a message, no token, and a bounded number of lines of each kind a second: see
//! `docs/operations.md`, "The log".

use super::chat::Chat;
use crate::auth::failed_proofs;
use crate::backend::{Failure, JobOutput, JobResult};
use crate::base::limits::{LOG_ARRIVALS_PER_SECOND, LOG_REFUSALS_PER_SECOND, REQUESTS_PER_PROOF};
use crate::base::{Address, ConnId, LineRate, Moment, Refusal, StreamId, UserId};
use crate::store::RecordStore;
use crate::web::{Net, SocketEnd};
use crate::wire::close_codes;

/// The codes of RFC 6455 §7.4.1 and §11.7, and the heartbeat's 4102. 1005 and 1006 are never sent.
const OTHERS: [(u16, &str); 13] = [
    (1000, "normal"),
    (1001, "going_away"),
    (1002, "protocol_error"),
    (1003, "unsupported_data"),
    (1005, "no_code"),
    (1006, "lost"),
    (1007, "invalid_data"),
    (1008, "policy"),
    (1009, "too_big"),
    (1011, "internal"),
    (1012, "restart"),
    (1013, "try_again"),
    (4102, "heartbeat"),
];

/// The rates of each kind of line, for all threads of a server.
#[derive(Debug)]
pub(super) struct Journal {
    arrivals: LineRate,
    departures: LineRate,
    limited: LineRate,
    unpublished: LineRate,
    faults: LineRate,
    auth_faults: LineRate,
}

impl Default for Journal {
    fn default() -> Journal {
        Journal {
            arrivals: LineRate::new(LOG_ARRIVALS_PER_SECOND),
            departures: LineRate::new(LOG_ARRIVALS_PER_SECOND),
            limited: LineRate::new(LOG_REFUSALS_PER_SECOND),
            unpublished: LineRate::new(LOG_REFUSALS_PER_SECOND),
            faults: LineRate::new(LOG_REFUSALS_PER_SECOND),
            auth_faults: LineRate::new(LOG_REFUSALS_PER_SECOND),
        }
    }
}

/// What a backend's answer means that is mostly of a URL that is not quite right.
pub(super) const ELSEWHERE: &str = "it does not answer at this URL";

/// How a backend has failed, as far as that is known before its answer is judged.
#[derive(Debug, Default)]
pub(super) struct BackendFault {
    status: Option<u16>,
    failure: Option<Failure>,
}

impl BackendFault {
    pub(super) fn of(outcome: &JobResult) -> BackendFault {
        let status = match outcome {
            Ok(JobOutput::Answer { status, .. }) => Some(*status),
            Ok(_) | Err(_) => None,
        };
        BackendFault { status, failure: outcome.as_ref().err().cloned() }
    }

    /// Whether it may be that nothing is at the URL (RFC 9110 §15.4, §15.5.5, §15.5.6).
    pub(super) fn is_elsewhere(&self) -> bool {
        matches!(self.status, Some(300..=399 | 404 | 405))
    }
}

/// Who was limited, as far as known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limited<'a> {
    pub(super) conn: Option<ConnId>,
    pub(super) user: Option<&'a UserId>,
    pub(super) address: Option<Address>,
}

impl Limited<'_> {
    /// Somebody at an address.
    pub(super) fn at(address: Address) -> Limited<'static> {
        Limited { conn: None, user: None, address: Some(address) }
    }
}

impl<S: RecordStore> Chat<S> {
    /// Logs that a user or a guest has connected.
    pub(super) fn note_arrival(&mut self, net: &mut Net<'_>, conn: ConnId) {
        if !log::log_enabled!(log::Level::Info) {
            return;
        }
        let Some(left_out) = self.team.journal.arrivals.take(net.now()) else { return };
        note_left_out(left_out, "connections that came");
        let (kind, address) = (kind(net, conn), net.address(conn).map(|one| one.to_string()));
        let Some(known) = self.signed_in(conn) else { return };
        log::info!(connection:% = conn, user = known.user.as_str(), kind, address = address.as_deref();
            "connected");
    }

    /// Logs that a connection is closed. Its session is still there, if it had one.
    pub(super) fn note_departure(&mut self, net: &mut Net<'_>, conn: ConnId, over: SocketEnd) {
        if !log::log_enabled!(log::Level::Info) {
            return;
        }
        let Some(left_out) = self.team.journal.departures.take(net.now()) else { return };
        note_left_out(left_out, "connections that went");
        let (kind, address) = (kind(net, conn), net.address(conn).map(|one| one.to_string()));
        let user = self.signed_in(conn).map(|known| known.user.as_str());
        let (by, code) = match over {
            SocketEnd::ClosedByPeer(code) => ("client", code.map_or(1005, |code| code.0)),
            SocketEnd::ClosedByUs(code) => ("server", code.0),
            SocketEnd::HeldMost => ("server", close_codes::SLOW.code),
            SocketEnd::Lost => ("client", 1006),
        };
        log::info!(connection:% = conn, user, kind, address = address.as_deref(), by, code, why = name(code);
            "disconnected");
    }

    /// Logs that a rate was exceeded.
    pub(super) fn note_limited(&mut self, now: Moment, limit: &str, who: Limited<'_>) {
        if !log::log_enabled!(log::Level::Info) {
            return;
        }
        let Some(left_out) = self.team.journal.limited.take(now) else { return };
        note_left_out(left_out, "rates that bit");
        let Limited { conn, user, address } = who;
        let connection = conn.map(|conn| conn.to_string());
        let (user, address) = (user.map(UserId::as_str), address.map(|one| one.to_string()));
        let (connection, address) = (connection.as_deref(), address.as_deref());
        log::info!(limit, connection, user, address; "limited");
    }

    /// Logs that an event of the embedding program was not published, after its call had returned.
    pub(super) fn note_unpublished(&mut self, now: Moment, stream: &StreamId, refusal: &Refusal) {
        let Some(left_out) = self.team.journal.unpublished.take(now) else { return };
        note_left_out(left_out, "events that were not published");
        let (stream, code) = (stream.as_str(), refusal.code.as_str());
        log::warn!(stream, code; "not published: {}", refusal.message);
    }

    /// Logs that a handler's backend has failed; `said` is what is wrong with its answer, if there is one.
    pub(super) fn note_fault(&mut self, now: Moment, name: &str, fault: &BackendFault, said: &str) {
        note_backend(&self.team.journal.faults, now, name, fault, said);
    }

    /// The same of what says who somebody is.
    pub(super) fn note_auth_fault(
        &mut self,
        now: Moment,
        who: &str,
        fault: &BackendFault,
        said: &str,
    ) {
        note_backend(&self.team.journal.auth_faults, now, who, fault, said);
    }

    /// As [`Chat::note_limited`], for a connection.
    pub(super) fn note_limited_on(&mut self, net: &Net<'_>, conn: ConnId, limit: &str) {
        let user = self.signed_in(conn).map(|known| known.user.clone());
        let who = Limited { conn: Some(conn), user: user.as_ref(), address: None };
        self.note_limited(net.now(), limit, who);
    }

    /// Notes the proofs that were checked for a request: they weigh in the turn of its connection.
    /// Returns whether there was one that was not checked.
    pub(super) fn note_proofs(&mut self, net: &mut Net<'_>, who: Limited<'_>) -> bool {
        let (checked, is_over) = self.failed_proofs.take_notes();
        net.weigh(checked as usize * REQUESTS_PER_PROOF);
        if is_over {
            self.counters.limited(failed_proofs::LIMIT);
            self.note_limited(net.now(), failed_proofs::LIMIT, who);
        }
        is_over
    }
}

fn note_backend(rate: &LineRate, now: Moment, backend: &str, fault: &BackendFault, said: &str) {
    let Some(left_out) = rate.take(now) else { return };
    note_left_out(left_out, "failures of backends");
    let failure = fault.failure.as_ref().map(ToString::to_string);
    let (status, why) = (fault.status, failure.as_deref().unwrap_or(said));
    log::warn!(backend, status, why; "backend failed");
}

/// Logs how many lines were left out.
fn note_left_out(count: u64, what: &str) {
    if count > 0 {
        log::info!(count; "{what}: there were more than a second's lines");
    }
}

fn kind(net: &mut Net<'_>, conn: ConnId) -> &'static str {
    if net.is_endless(conn) { "events" } else { "websocket" }
}

/// The name of a close code.
fn name(code: u16) -> &'static str {
    let own = close_codes::ALL.iter().find(|one| one.code == code).map(|one| one.name);
    let other = || OTHERS.iter().find(|(known, _)| *known == code).map(|(_, name)| *name);
    own.or_else(other).unwrap_or("other")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_close_code_of_the_wire_has_the_name_that_the_documents_give_it() {
        let document = include_str!("../../../docs/protocol.md");
        let (_, closing) = document.split_once("\n## Closing").unwrap();
        let mut seen = 0;
        for row in closing.lines().take_while(|line| !line.starts_with("## ")) {
            let Some((code, rest)) = row.strip_prefix("| ").and_then(|row| row.split_once(" | "))
            else {
                continue;
            };
            let Ok(code) = code.parse::<u16>() else { continue };
            assert_ne!(name(code), "other", "{code}");
            if code >= 4_000 {
                assert!(rest.starts_with(&format!("`{}`", name(code))), "{row}");
                seen += 1;
            }
        }
        assert!(seen >= 10, "{seen}");
        assert_eq!(name(4_999), "other");
    }
}
