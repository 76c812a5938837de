//! What the chat server counts: plain numbers in closed sets, without any name that a client chose.

use crate::base::counters::DELIVERY_BOUNDS_US;
use crate::base::{Histogram, Outcome, Refusal, RefusalCode, Told};
use crate::store::NotTaken;
use crate::web::SocketEnd;
use crate::wire::close_codes::SLOW;
use crate::wire::error::ErrorReply;

/// The close codes that are counted separately: those of RFC 6455 §7.4.1 and §11.7, and the wire's
/// own (`docs/protocol.md`, "Closing").
pub(super) const CLOSE_CODES: [u16; 25] = [
    1000, 1001, 1002, 1003, 1005, 1006, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 4000, 4001,
    4002, 4003, 4004, 4101, 4102, 4103, 4104, 4200, 4201,
];
/// The limits that are counted separately, by the last part of their key.
pub(super) const LIMITS: [&str; 25] = [
    "address_work_per_second",
    "all_rooms",
    "all_streams_bytes",
    "bytes_per_second",
    "direct_rooms",
    "failed_proofs_per_second",
    "filters",
    "first_messages",
    "guest_requests_per_second",
    "guests",
    "invites",
    "messages_per_minute",
    "polled_streams_per_address",
    "polled_streams_per_user",
    "reactions",
    "requests_per_second",
    "room_members",
    "rooms",
    "stored_bytes_per_day",
    "stream_filters",
    "streams",
    "subscriptions",
    "tickets",
    "user_requests_per_second",
    "user_work_per_second",
];
/// RFC 6455 §7.1.5: the peer's Close had no code.
const NO_CODE: u16 = 1005;
/// RFC 6455 §7.1.5: there was no Close.
const LOST: u16 = 1006;

/// Numbers of closed WebSockets, by their code.
#[derive(Clone, Debug, Default)]
pub(crate) struct Closes {
    of_code: [u64; CLOSE_CODES.len()],
    other: u64,
}

impl Closes {
    fn count(&mut self, code: u16) {
        let place = CLOSE_CODES.iter().position(|known| *known == code);
        let count = place.and_then(|place| self.of_code.get_mut(place));
        *count.unwrap_or(&mut self.other) += 1;
    }

    /// The count of each code; `None` is all others.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Option<u16>, u64)> {
        let known = CLOSE_CODES.iter().copied().map(Some).zip(self.of_code);
        known.chain([(None, self.other)])
    }
}

/// Counts since the start.
#[derive(Clone, Debug)]
pub(crate) struct Counters {
    /// Requests that succeeded.
    pub(crate) requests_ok: u64,
    /// Requests that were refused, in the order of [`RefusalCode::ALL`].
    refused: [u64; RefusalCode::ALL.len()],
    /// Requests that were refused with the application's own code.
    pub(crate) refused_otherwise: u64,
    /// How often each of [`LIMITS`] was reached.
    limited: [u64; LIMITS.len()],
    /// WebSockets that the client closed, or that were lost.
    pub(crate) closed_by_client: Closes,
    /// WebSockets that this server closed.
    pub(crate) closed_by_server: Closes,
    /// Ephemeral pushes that did not fit an outbox.
    pub(crate) dropped_pushes: u64,
    /// Events of states that were skipped because their subscriber was too slow.
    pub(crate) skipped_events: u64,
    /// What the store did not accept, because too much waited.
    pub(crate) store_overloaded: u64,
    /// What the store could not write or read.
    pub(crate) store_unavailable: u64,
    /// What the store found damaged.
    pub(crate) store_damaged: u64,
    /// How long what is stored took from the request to its answer, in µs, counted in whole ms.
    pub(crate) deliveries: Histogram<12>,
    /// How often the wall clock jumped forward, and backward.
    clock_jumps: [u64; 2],
}

impl Default for Counters {
    fn default() -> Counters {
        Counters {
            requests_ok: 0,
            refused: [0; RefusalCode::ALL.len()],
            refused_otherwise: 0,
            limited: [0; LIMITS.len()],
            closed_by_client: Closes::default(),
            closed_by_server: Closes::default(),
            dropped_pushes: 0,
            skipped_events: 0,
            store_overloaded: 0,
            store_unavailable: 0,
            store_damaged: 0,
            deliveries: Histogram::new(&DELIVERY_BOUNDS_US),
            clock_jumps: [0; 2],
        }
    }
}

fn add_each<const N: usize>(to: &mut [u64; N], more: &[u64; N]) {
    for (count, more) in to.iter_mut().zip(more) {
        *count += more;
    }
}

impl Counters {
    /// Adds what was counted on another thread.
    pub(crate) fn add(&mut self, other: &Counters) {
        self.requests_ok += other.requests_ok;
        add_each(&mut self.refused, &other.refused);
        self.refused_otherwise += other.refused_otherwise;
        add_each(&mut self.limited, &other.limited);
        for (closes, more) in [
            (&mut self.closed_by_client, &other.closed_by_client),
            (&mut self.closed_by_server, &other.closed_by_server),
        ] {
            add_each(&mut closes.of_code, &more.of_code);
            closes.other += more.other;
        }
        self.dropped_pushes += other.dropped_pushes;
        self.skipped_events += other.skipped_events;
        self.store_overloaded += other.store_overloaded;
        self.store_unavailable += other.store_unavailable;
        self.store_damaged += other.store_damaged;
        self.deliveries.add(&other.deliveries);
        add_each(&mut self.clock_jumps, &other.clock_jumps);
    }

    pub(crate) fn refused(&mut self, code: &str) {
        let place = RefusalCode::ALL.iter().position(|known| known.as_str() == code);
        let count = place.and_then(|place| self.refused.get_mut(place));
        *count.unwrap_or(&mut self.refused_otherwise) += 1;
    }

    /// As [`Counters::refused`]. The application's own codes are counted together.
    pub(crate) fn refused_with(&mut self, error: &ErrorReply) {
        if error.detail.is_by_application {
            self.refused_otherwise += 1;
        } else {
            self.refused(&error.code);
        }
    }

    /// All refused requests.
    pub(crate) fn all_refused(&self) -> u64 {
        self.refused.iter().sum::<u64>() + self.refused_otherwise
    }

    /// The number of requests refused with each code.
    pub(crate) fn refusals(&self) -> impl Iterator<Item = (RefusalCode, u64)> {
        RefusalCode::ALL.iter().copied().zip(self.refused)
    }

    /// A limit was reached, given the last part of its key. A limit that is not in [`LIMITS`] is
    /// not counted.
    pub(crate) fn limited(&mut self, limit: &str) {
        let place = LIMITS.iter().position(|known| *known == limit);
        if let Some(count) = place.and_then(|place| self.limited.get_mut(place)) {
            *count += 1;
        }
    }

    /// A request was refused, perhaps by a limit.
    pub(crate) fn limited_by(&mut self, refusal: &Refusal) {
        if let Some(limit) = refusal.limit_name {
            self.limited(limit);
        }
    }

    /// How often each limit was reached.
    pub(crate) fn limits(&self) -> impl Iterator<Item = (&'static str, u64)> {
        LIMITS.into_iter().zip(self.limited)
    }

    /// The wall clock has jumped by so many ms; a negative number is a jump backward.
    pub(crate) fn clock_jumped(&mut self, by_ms: i64) {
        let [forward, backward] = &mut self.clock_jumps;
        *(if by_ms < 0 { backward } else { forward }) += 1;
    }

    /// How often the wall clock jumped in each direction.
    pub(crate) fn clock_jumps(&self) -> impl Iterator<Item = (&'static str, u64)> {
        ["forward", "backward"].into_iter().zip(self.clock_jumps)
    }

    /// A WebSocket is closed.
    pub(crate) fn closed(&mut self, over: SocketEnd) {
        match over {
            SocketEnd::ClosedByPeer(code) => {
                self.closed_by_client.count(code.map_or(NO_CODE, |code| code.0));
            }
            SocketEnd::ClosedByUs(code) => self.closed_by_server.count(code.0),
            SocketEnd::HeldMost => self.closed_by_server.count(SLOW.code),
            SocketEnd::Lost => self.closed_by_client.count(LOST),
        }
    }

    pub(crate) fn count_not_taken(&mut self, reason: NotTaken) {
        match reason {
            NotTaken::Overloaded => self.store_overloaded += 1,
            NotTaken::Unavailable => self.store_unavailable += 1,
        }
    }

    pub(crate) fn count_told(&mut self, told: &Told) {
        match told {
            Told::Answer { outcome: Outcome::Unavailable, .. } => self.store_unavailable += 1,
            Told::Answer { outcome: Outcome::Damaged, .. } => self.store_damaged += 1,
            Told::Answer { .. } | Told::Changed { .. } | Told::News(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::CloseCode;

    #[test]
    fn what_is_in_no_closed_set_is_other() {
        let mut counters = Counters::default();
        counters.refused("rate_limited");
        let by_application = ErrorReply::by_application("rate_limited", "", None).unwrap();
        counters.refused_with(&by_application);
        let limited = |(code, count): (RefusalCode, u64)| (count > 0).then_some(code);
        assert_eq!(
            counters.refusals().filter_map(limited).collect::<Vec<_>>(),
            [RefusalCode::RateLimited]
        );
        assert_eq!(counters.refused_otherwise, 1);
        counters.closed(SocketEnd::ClosedByPeer(Some(CloseCode(4999))));
        counters.closed(SocketEnd::ClosedByPeer(None));
        counters.closed(SocketEnd::Lost);
        counters.closed(SocketEnd::ClosedByUs(CloseCode(4103)));
        let of = |closes: &Closes| closes.iter().filter(|(_, n)| *n > 0).collect::<Vec<_>>();
        assert_eq!(of(&counters.closed_by_client), [(Some(1005), 1), (Some(1006), 1), (None, 1)]);
        assert_eq!(of(&counters.closed_by_server), [(Some(4103), 1)]);
    }

    #[test]
    fn every_close_code_of_the_wire_is_told_apart() {
        let document = include_str!("../../../docs/protocol.md");
        let (_, closing) = document.split_once("\n## Closing").unwrap();
        let rows = closing.lines().take_while(|line| !line.starts_with("## "));
        let codes: Vec<u16> = rows
            .filter_map(|row| row.strip_prefix("| ")?.split_once(" |")?.0.parse().ok())
            .collect();
        assert!(codes.len() >= 15, "{codes:?}");
        for code in codes {
            assert!(CLOSE_CODES.contains(&code), "{code}");
        }
        assert!(CLOSE_CODES.is_sorted());
    }
}
