//! Counters of the WebSocket server, as plain numbers.

use super::health::{Health, Level, Quality, Traffic};
use crate::base::Histogram;
use crate::http1::Status;

/// Numbers of answers, by status.
#[derive(Clone, Debug)]
pub struct Statuses([u64; Status::ALL.len()]);

impl Default for Statuses {
    fn default() -> Statuses {
        Statuses([0; Status::ALL.len()])
    }
}

impl Statuses {
    pub(super) fn count(&mut self, status: Status) {
        if let Some(count) = self.0.get_mut(status as usize) {
            *count += 1;
        }
    }

    fn add(&mut self, other: &Statuses) {
        for (count, more) in self.0.iter_mut().zip(other.0) {
            *count += more;
        }
    }

    /// Each status and its count.
    pub fn iter(&self) -> impl Iterator<Item = (Status, u64)> {
        Status::ALL.iter().copied().zip(self.0)
    }
}

/// Upper bounds of round trips in µs: those of the levels, and some around them.
const ROUND_TRIP_BOUNDS_US: [u64; 10] =
    [5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000, 2_500_000, 10_000_000];

/// Upper bounds of stabilities: points of 100.
const STABILITY_BOUNDS: [u64; 10] = [20, 40, 60, 70, 80, 90, 95, 98, 99, 100];

/// Upper bounds of what one connection has sent, received, missed.
const COUNT_BOUNDS: [u64; 10] = [0, 1, 3, 10, 30, 100, 1_000, 10_000, 100_000, 1_000_000];

/// Statistics of ended connections: each connection adds one value to each histogram.
#[derive(Clone, Debug)]
pub struct OverCounters {
    /// The shortest round trip, in µs. This and the next two count only connections that answered a
    /// ping.
    pub shortest: Histogram<10>,
    /// The mean of all round trips, in µs.
    pub mean: Histogram<10>,
    /// The longest round trip, in µs.
    pub longest: Histogram<10>,
    /// Messages queued for sending.
    pub sent: Histogram<10>,
    /// Complete messages received.
    pub received: Histogram<10>,
    /// Refusals and errors sent to it.
    pub errors: Histogram<10>,
    /// Pushes that it missed.
    pub drops: Histogram<10>,
}

impl Default for OverCounters {
    fn default() -> OverCounters {
        let (round_trips, counts) =
            (Histogram::new(&ROUND_TRIP_BOUNDS_US), Histogram::new(&COUNT_BOUNDS));
        OverCounters {
            shortest: round_trips.clone(),
            mean: round_trips.clone(),
            longest: round_trips,
            sent: counts.clone(),
            received: counts.clone(),
            errors: counts.clone(),
            drops: counts,
        }
    }
}

impl OverCounters {
    fn add(&mut self, other: &OverCounters) {
        self.shortest.add(&other.shortest);
        self.mean.add(&other.mean);
        self.longest.add(&other.longest);
        self.sent.add(&other.sent);
        self.received.add(&other.received);
        self.errors.add(&other.errors);
        self.drops.add(&other.drops);
    }

    /// Adds an ended connection.
    pub(super) fn observe(&mut self, health: &Health) {
        if let Some(Quality { min_ms, mean_ms, max_ms, .. }) = health.quality() {
            self.shortest.observe(u64::from(min_ms) * 1_000);
            self.mean.observe((mean_ms * 1_000.0) as u64);
            self.longest.observe(u64::from(max_ms) * 1_000);
        }
        let Traffic { sent, received, errors, drops } = health.traffic();
        self.sent.observe(sent.into());
        self.received.observe(received.into());
        self.errors.observe(errors.into());
        self.drops.observe(drops.into());
    }
}

/// Counts since the start.
#[derive(Clone, Debug)]
pub struct WebCounters {
    /// WebSockets whose TCP connection is open now, including those that are closing.
    pub websockets: u64,
    /// WebSockets opened.
    pub websockets_opened: u64,
    /// Endless answers being sent now.
    pub endless: u64,
    /// Endless answers begun.
    pub endless_begun: u64,
    /// Connections refused because there were too many in all.
    pub over_limit: u64,
    /// Connections refused because their address had too many.
    pub over_address_limit: u64,
    /// Connections refused because their address had opened too many within a minute.
    pub over_address_minute_limit: u64,
    /// Idle connections ended to make room for others.
    pub idle_ended: u64,
    /// Connections refused for their PROXY header, or for the lack of one.
    pub bad_proxy_headers: u64,
    /// Complete messages received.
    pub messages_received: u64,
    /// Messages queued for sending, counted for each recipient.
    pub messages_sent: u64,
    /// Answers to HTTP requests, except 101.
    pub responses: Statuses,
    /// Of these, answers to requests for a WebSocket.
    pub upgrades_refused: Statuses,
    /// Round trips of pings, in µs.
    pub round_trips: Histogram<10>,
    /// The jitter of a connection at each round trip, in µs.
    pub jitters: Histogram<10>,
    /// The stability of a connection at each round trip.
    pub stabilities: Histogram<10>,
    /// Ended WebSockets and endless answers.
    pub over: OverCounters,
    /// WebSockets of each level, in the order of [`Level::ALL`]. Those that have answered no ping
    /// have no level.
    pub levels: [u64; Level::ALL.len()],
}

impl Default for WebCounters {
    fn default() -> WebCounters {
        WebCounters {
            websockets: 0,
            websockets_opened: 0,
            endless: 0,
            endless_begun: 0,
            over_limit: 0,
            idle_ended: 0,
            over_address_limit: 0,
            over_address_minute_limit: 0,
            bad_proxy_headers: 0,
            messages_received: 0,
            messages_sent: 0,
            responses: Statuses::default(),
            upgrades_refused: Statuses::default(),
            round_trips: Histogram::new(&ROUND_TRIP_BOUNDS_US),
            jitters: Histogram::new(&ROUND_TRIP_BOUNDS_US),
            stabilities: Histogram::new(&STABILITY_BOUNDS),
            over: OverCounters::default(),
            levels: [0; Level::ALL.len()],
        }
    }
}

impl WebCounters {
    /// Adds what was counted on another thread.
    pub fn add(&mut self, other: &WebCounters) {
        self.websockets += other.websockets;
        self.websockets_opened += other.websockets_opened;
        self.endless += other.endless;
        self.endless_begun += other.endless_begun;
        self.over_limit += other.over_limit;
        self.over_address_limit += other.over_address_limit;
        self.over_address_minute_limit += other.over_address_minute_limit;
        self.idle_ended += other.idle_ended;
        self.bad_proxy_headers += other.bad_proxy_headers;
        self.messages_received += other.messages_received;
        self.messages_sent += other.messages_sent;
        self.responses.add(&other.responses);
        self.upgrades_refused.add(&other.upgrades_refused);
        self.round_trips.add(&other.round_trips);
        self.jitters.add(&other.jitters);
        self.stabilities.add(&other.stabilities);
        self.over.add(&other.over);
        for (count, more) in self.levels.iter_mut().zip(other.levels) {
            *count += more;
        }
    }

    /// Records that a WebSocket's level changed; `None` means no level.
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
