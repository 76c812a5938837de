//! What the WebSockets' server counts, as plain numbers.

use super::health::Level;
use crate::base::Histogram;
use crate::protocol::handshake::Status;

/// Numbers of answers, by their status.
#[derive(Clone, Debug)]
pub struct Statuses([u64; Status::ALL.len()]);

impl Default for Statuses {
    fn default() -> Statuses {
        Statuses([0; Status::ALL.len()])
    }
}

impl Statuses {
    /// Counts one.
    pub(super) fn count(&mut self, status: Status) {
        if let Some(count) = self.0.get_mut(status as usize) {
            *count += 1;
        }
    }

    /// Each status, and how many there were.
    pub fn iter(&self) -> impl Iterator<Item = (Status, u64)> {
        Status::ALL.iter().copied().zip(self.0)
    }
}

/// Upper bounds of round trips in µs: those of the levels, and some around them.
const ROUND_TRIP_BOUNDS_US: [u64; 10] =
    [5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000, 2_500_000, 10_000_000];

/// What was counted since the start.
#[derive(Clone, Debug)]
pub struct WebCounters {
    /// WebSockets whose TCP connection is open now, those that are closing included.
    pub websockets: u64,
    /// WebSockets that were opened.
    pub websockets_opened: u64,
    /// Answers without an end that are being sent now.
    pub endless: u64,
    /// Answers without an end that were begun.
    pub endless_begun: u64,
    /// Connections that were refused as their address had too many.
    pub over_address_limit: u64,
    /// Connections that were refused as their address had opened too many within a minute.
    pub over_address_minute_limit: u64,
    /// Connections that were refused for what a proxy has said of them, or has not.
    pub bad_proxy_headers: u64,
    /// Messages that came whole.
    pub messages_received: u64,
    /// Messages that were queued to be sent, for each of their recipients.
    pub messages_sent: u64,
    /// Answers to requests of HTTP, of which 101 is none.
    pub responses: Statuses,
    /// Of these, answers to requests for a WebSocket.
    pub upgrades_refused: Statuses,
    /// Round trips of pings, in µs.
    pub round_trips: Histogram<10>,
    /// WebSockets of each level, as [`Level::ALL`] has them. Those of which no ping was answered have
    /// none.
    pub levels: [u64; Level::ALL.len()],
}

impl Default for WebCounters {
    fn default() -> WebCounters {
        WebCounters {
            websockets: 0,
            websockets_opened: 0,
            endless: 0,
            endless_begun: 0,
            over_address_limit: 0,
            over_address_minute_limit: 0,
            bad_proxy_headers: 0,
            messages_received: 0,
            messages_sent: 0,
            responses: Statuses::default(),
            upgrades_refused: Statuses::default(),
            round_trips: Histogram::new(&ROUND_TRIP_BOUNDS_US),
            levels: [0; Level::ALL.len()],
        }
    }
}

impl WebCounters {
    /// A WebSocket has another level now than before; `None` where it has none.
    pub(super) fn moved(&mut self, from: Option<Level>, to: Option<Level>) {
        for (level, change) in [(from, -1), (to, 1)] {
            if let Some(count) = level.and_then(|level| self.levels.get_mut(level as usize)) {
                *count = count.saturating_add_signed(change);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_counted_as_itself() {
        for status in Status::ALL {
            let mut statuses = Statuses::default();
            statuses.count(*status);
            let counted: Vec<(Status, u64)> =
                statuses.iter().filter(|(_, count)| *count > 0).collect();
            assert_eq!(counted, [(*status, 1)]);
        }
    }
}
