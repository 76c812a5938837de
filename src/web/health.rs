//! Connection quality: round trips of pings, traffic in each direction, and statistics on both. It
//! sends nothing: `heartbeat.rs` decides when a ping is due.
//!
//! A round trip is measured in whole milliseconds of the loop's clock, from the turn that queued
//! the ping to the turn that read the pong. It includes what waits before the ping on either side.

use crate::base::Moment;

/// Fixed-point numbers are in sixteenths.
const FRACTION: u32 = 16;
/// RFC 6298 §2.3: a new round trip has a weight of an eighth.
const SMOOTHING: i64 = 8;
/// RFC 3550 §6.4.1: a new difference has a weight of a sixteenth.
const JITTER_SMOOTHING: i64 = 16;
/// Points of stability lost for each unanswered ping of the newest eight.
const POINTS_PER_LOST_PING: u32 = 5;
/// Most points lost for jitter, one for each ms.
const JITTER_POINTS_MAX: u32 = 60;

/// How fast a connection answers, by its smoothed round trip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Below 20 ms.
    Excellent,
    /// Below 50 ms.
    Good,
    /// Below 100 ms.
    Fair,
    /// Below 200 ms.
    Poor,
    /// 200 ms or more.
    Critical,
}

impl Level {
    /// All levels, the best one first.
    pub const ALL: [Level; 5] =
        [Level::Excellent, Level::Good, Level::Fair, Level::Poor, Level::Critical];

    /// The level of a round trip, in sixteenths of a ms.
    fn of(round_trip: u32) -> Level {
        match round_trip / FRACTION {
            0..20 => Level::Excellent,
            20..50 => Level::Good,
            50..100 => Level::Fair,
            100..200 => Level::Poor,
            _ => Level::Critical,
        }
    }

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Level::Excellent => "excellent",
            Level::Good => "good",
            Level::Fair => "fair",
            Level::Poor => "poor",
            Level::Critical => "critical",
        }
    }
}

/// Statistics of a connection's round trips, in ms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quality {
    /// By the smoothed round trip.
    pub level: Level,
    /// The smoothed round trip (RFC 6298 §2.3).
    pub round_trip_ms: f64,
    /// The shortest one.
    pub min_ms: u32,
    /// The mean of all.
    pub mean_ms: f64,
    /// The longest one.
    pub max_ms: u32,
    /// The smoothed difference between successive round trips (RFC 3550 §6.4.1).
    pub jitter_ms: f64,
    /// 0 to 100: 100 less a point for each ms of jitter, 60 at most, and less five for each of the
    /// newest eight pings that was not answered before the next.
    pub stability: u32,
}

/// Traffic in each direction, and missed pushes. All values saturate at 4,294,967,295.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Messages queued for sending.
    pub sent: u32,
    /// Complete messages received.
    pub received: u32,
    /// Refusals and errors sent to it.
    pub errors: u32,
    /// Pushes missed because it read too slowly: ephemeral ones, and skipped states.
    pub drops: u32,
}

/// Counts for one connection, since its beginning.
#[derive(Debug, Default)]
pub(super) struct Health {
    sent: u32,
    received: u32,
    /// When the newest ping was sent, in ms of the loop's clock, modulo 2³².
    pinged_ms: u32,
    /// The newest ping's payload; 0 after its answer.
    number: u16,
    /// Allocated at the first pong, error or drop: a new connection has none.
    record: Option<Box<RoundTrips>>,
}

/// Data on a connection that has answered a ping. Fixed-point numbers are in sixteenths.
#[derive(Debug, Default)]
struct RoundTrips {
    count: u32,
    sum_ms: u32,
    last_ms: u32,
    min_ms: u32,
    max_ms: u32,
    smoothed: u32,
    jitter: u32,
    errors: u32,
    drops: u32,
    /// The newest eight pings: a set bit means that no answer came before the next ping.
    lost: u8,
}

impl Health {
    /// Empty counts and no ping yet: the first one is due an interval from `now` on.
    pub(super) fn new(now: Moment) -> Health {
        Health { pinged_ms: wrapped_ms(now), ..Health::default() }
    }

    /// Counts messages queued for sending.
    pub(super) fn sent(&mut self, messages: usize) {
        self.sent = self.sent.saturating_add(u32::try_from(messages).unwrap_or(u32::MAX));
    }

    /// Counts a complete received message.
    pub(super) fn received(&mut self) {
        self.received = self.received.saturating_add(1);
    }

    /// Counts an error sent to it.
    pub(super) fn count_error(&mut self) {
        let errors = &mut self.record.get_or_insert_default().errors;
        *errors = errors.saturating_add(1);
    }

    /// Counts a push that it misses.
    pub(super) fn dropped(&mut self, count: u32) {
        let drops = &mut self.record.get_or_insert_default().drops;
        *drops = drops.saturating_add(count);
    }

    /// Milliseconds since the newest ping.
    pub(super) fn millis_since_ping(&self, now: Moment) -> u64 {
        u64::from(wrapped_ms(now).wrapping_sub(self.pinged_ms))
    }

    /// Records that a ping is sent now. Returns its payload, which the pong must echo
    /// (RFC 6455 §5.5.3): `number`, which is not 0, so that only a peer that has read it can
    /// answer.
    pub(super) fn ping(&mut self, now: Moment, number: u16) -> [u8; 2] {
        let is_lost = self.number != 0;
        if let Some(record) = &mut self.record {
            record.lost = record.lost << 1 | u8::from(is_lost);
        }
        (self.pinged_ms, self.number) = (wrapped_ms(now), number.max(1));
        self.number.to_be_bytes()
    }

    /// Handles a pong. Returns the round trip in ms, if it answers the newest ping.
    pub(super) fn answered(&mut self, now: Moment, payload: &[u8]) -> Option<u32> {
        if self.number == 0 || payload != self.number.to_be_bytes() {
            return None;
        }
        self.number = 0;
        let round_trip_ms = wrapped_ms(now).wrapping_sub(self.pinged_ms);
        self.record.get_or_insert_default().add(round_trip_ms);
        Some(round_trip_ms)
    }

    /// Its level, once a ping was answered.
    pub(super) fn level(&self) -> Option<Level> {
        let record = self.record.as_ref().filter(|record| record.count > 0)?;
        Some(Level::of(record.smoothed))
    }

    /// Its round-trip statistics, once a ping was answered.
    pub(super) fn quality(&self) -> Option<Quality> {
        let level = self.level()?;
        let record = self.record.as_ref()?;
        let millis = |fixed: u32| f64::from(fixed) / f64::from(FRACTION);
        Some(Quality {
            level,
            round_trip_ms: millis(record.smoothed),
            min_ms: record.min_ms,
            mean_ms: f64::from(record.sum_ms) / f64::from(record.count),
            max_ms: record.max_ms,
            jitter_ms: millis(record.jitter),
            stability: record.stability(),
        })
    }

    pub(super) fn traffic(&self) -> Traffic {
        let (errors, drops) =
            self.record.as_ref().map_or((0, 0), |record| (record.errors, record.drops));
        Traffic { sent: self.sent, received: self.received, errors, drops }
    }
}

impl RoundTrips {
    fn add(&mut self, round_trip_ms: u32) {
        let fixed = round_trip_ms.saturating_mul(FRACTION);
        if self.count == 0 {
            (self.min_ms, self.smoothed) = (round_trip_ms, fixed);
        } else {
            let differs = round_trip_ms.abs_diff(self.last_ms).saturating_mul(FRACTION);
            self.smoothed = approach(self.smoothed, fixed, SMOOTHING);
            self.jitter = approach(self.jitter, differs, JITTER_SMOOTHING);
        }
        self.min_ms = self.min_ms.min(round_trip_ms);
        self.max_ms = self.max_ms.max(round_trip_ms);
        self.last_ms = round_trip_ms;
        // Halving keeps the mean; new values then weigh more.
        while self.sum_ms.checked_add(round_trip_ms).is_none() && self.count > 1 {
            let kept = self.count / 2;
            let sum_ms = u64::from(self.sum_ms) * u64::from(kept) / u64::from(self.count);
            (self.sum_ms, self.count) = (u32::try_from(sum_ms).unwrap_or(u32::MAX), kept);
        }
        (self.sum_ms, self.count) = (self.sum_ms.saturating_add(round_trip_ms), self.count + 1);
    }

    fn stability(&self) -> u32 {
        let of_jitter = (self.jitter / FRACTION).min(JITTER_POINTS_MAX);
        100 - of_jitter - self.lost.count_ones() * POINTS_PER_LOST_PING
    }
}

const _: () = assert!(JITTER_POINTS_MAX + u8::BITS * POINTS_PER_LOST_PING <= 100);

/// Moves `from` towards `to` by one of so many parts, rounded to the nearest.
fn approach(from: u32, to: u32, parts: i64) -> u32 {
    let step = (i64::from(to) - i64::from(from) + parts / 2).div_euclid(parts);
    u32::try_from(i64::from(from) + step).unwrap_or(to)
}

/// A moment in ms, modulo 2³²: seven weeks, and pings are more frequent.
fn wrapped_ms(moment: Moment) -> u32 {
    (moment.as_millis() & u64::from(u32::MAX)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::schema_tests::assert_words;

    #[test]
    fn the_schema_has_the_levels() {
        let place = "/replies/admin:connections/properties/connections/items/properties/quality";
        assert_words(&format!("{place}/properties/level/enum"), Level::ALL.map(Level::as_str));
    }

    fn at(millis: u64) -> Moment {
        Moment::from_millis(millis)
    }

    /// The health of a connection that answered each ping after so long, one ping a minute.
    fn after(round_trips_ms: &[u64]) -> Health {
        let mut health = Health::new(at(0));
        for (minute, round_trip_ms) in round_trips_ms.iter().enumerate() {
            let sent = 60_000 * minute as u64;
            let carried = health.ping(at(sent), 7);
            assert_eq!(
                health.answered(at(sent + round_trip_ms), &carried).map(u64::from),
                Some(*round_trip_ms)
            );
        }
        health
    }

    #[test]
    fn a_level_is_that_of_the_smoothed_round_trip() {
        for (round_trip_ms, level) in [
            (0, Level::Excellent),
            (19, Level::Excellent),
            (20, Level::Good),
            (49, Level::Good),
            (50, Level::Fair),
            (99, Level::Fair),
            (100, Level::Poor),
            (199, Level::Poor),
            (200, Level::Critical),
            (u64::from(u32::MAX), Level::Critical),
        ] {
            assert_eq!(after(&[round_trip_ms]).level(), Some(level), "{round_trip_ms}");
        }
        // One slow answer among many fast ones does not make it slow.
        assert_eq!(after(&[10, 10, 10, 80]).level(), Some(Level::Excellent));
        assert_eq!(after(&[10; 20]).quality().unwrap().round_trip_ms, 10.0);
        let slower = [&[10][..], &[60; 60]].concat();
        assert_eq!(after(&slower).level(), Some(Level::Fair));
    }

    #[test]
    fn what_is_told_of_round_trips_is_what_they_were() {
        let quality = after(&[10, 26, 10]).quality().unwrap();
        assert_eq!((quality.min_ms, quality.max_ms), (10, 26));
        assert!((quality.mean_ms - 46.0 / 3.0).abs() < 1e-9);
        // RFC 3550 §6.4.1: 0 + 16/16 = 1, and 1 + (16 - 1)/16.
        assert_eq!(quality.jitter_ms, 1.0 + 15.0 / 16.0);
        assert_eq!(quality.stability, 99);
    }

    #[test]
    fn a_pong_that_answers_no_ping_is_passed_over() {
        let mut health = Health::new(at(0));
        assert_eq!(health.answered(at(1), b""), None);
        assert_eq!(health.answered(at(1), &[0, 0]), None, "none was sent");
        let first = health.ping(at(10), 1);
        let second = health.ping(at(20), 2);
        assert_eq!(health.answered(at(30), &first), None, "an older one's");
        assert_eq!(health.answered(at(30), &second), Some(10));
        assert_eq!(health.answered(at(31), &second), None, "once");
        assert_ne!(health.ping(at(40), 0), [0, 0]);
    }

    #[test]
    fn pings_without_an_answer_and_jitter_take_stability() {
        let mut health = after(&[10]);
        assert_eq!(health.quality().unwrap().stability, 100);
        for n in 0..20 {
            health.ping(at(60_000 + n), 9);
        }
        // The newest one is still pending.
        assert_eq!(health.quality().unwrap().stability, 60);
        let swings: Vec<u64> = (0..200).map(|n| n % 2 * 2_000).collect();
        assert_eq!(after(&swings).quality().unwrap().stability, 40);
    }

    #[test]
    fn the_mean_of_very_many_stays_a_mean() {
        let day = 86_400_000_u64;
        let mean_ms = after(&[day; 200]).quality().unwrap().mean_ms;
        assert!((mean_ms / day as f64 - 1.0).abs() < 0.01, "{mean_ms}");
    }

    #[test]
    fn a_round_trip_is_the_same_where_the_clock_wraps() {
        let mut health = Health::new(at(0));
        let wraps = u64::from(u32::MAX);
        let carried = health.ping(at(wraps - 5), 3);
        assert_eq!(health.millis_since_ping(at(wraps + 5)), 10);
        assert_eq!(health.answered(at(wraps + 20), &carried), Some(25));
    }

    #[test]
    fn a_connection_that_only_talks_owns_no_record() {
        let mut health = Health::new(at(0));
        health.sent(3);
        health.received();
        assert!(health.record.is_none() && health.quality().is_none());
        health.count_error();
        for _ in 0..5 {
            health.dropped(1);
        }
        let traffic = Traffic { sent: 3, received: 1, errors: 1, drops: 5 };
        assert_eq!(health.traffic(), traffic);
        assert!(health.quality().is_none(), "no ping was answered");
        assert!(size_of::<Health>() <= 24 && size_of::<RoundTrips>() <= 40);
    }
}
