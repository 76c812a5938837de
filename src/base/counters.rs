//! Counters for monitoring: plain numbers of the thread that counts.
//!
//! Counting costs one addition. This module does not know how they are shown.

/// Upper bounds of durations in microseconds: 50 µs to 10 s.
pub const DURATION_BOUNDS_US: [u64; 16] = [
    50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 10_000_000,
];

/// Upper bounds of durations that are counted in whole milliseconds, in microseconds: 1 ms to 10 s.
pub const DELIVERY_BOUNDS_US: [u64; 12] = [
    1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000, 2_500_000,
    10_000_000,
];

/// Upper bounds of the records of a transaction.
pub const BATCH_BOUNDS: [u64; 10] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512];

/// A histogram: how many values fell within each bound, and their sum.
#[derive(Clone, Debug)]
pub struct Histogram<const N: usize> {
    bounds: &'static [u64; N],
    /// Per bound: values above the previous bound and not above this one.
    within: [u64; N],
    above: u64,
    sum: u64,
}

impl<const N: usize> Histogram<N> {
    /// An empty histogram. `bounds` must rise.
    #[must_use]
    pub const fn new(bounds: &'static [u64; N]) -> Histogram<N> {
        Histogram { bounds, within: [0; N], above: 0, sum: 0 }
    }

    /// Counts a value, in the unit of the bounds.
    pub fn observe(&mut self, value: u64) {
        let place = self.bounds.partition_point(|bound| *bound < value);
        *self.within.get_mut(place).unwrap_or(&mut self.above) += 1;
        self.sum = self.sum.saturating_add(value);
    }

    /// Each bound, and how many values are at most that and above the one before it.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64)> {
        self.bounds.iter().copied().zip(self.within)
    }

    /// What was counted since `earlier`, a former state of this histogram.
    #[must_use]
    pub fn since(&self, earlier: &Histogram<N>) -> Histogram<N> {
        let mut within = self.within;
        for (count, before) in within.iter_mut().zip(earlier.within) {
            *count = count.saturating_sub(before);
        }
        let above = self.above.saturating_sub(earlier.above);
        let sum = self.sum.saturating_sub(earlier.sum);
        Histogram { bounds: self.bounds, within, above, sum }
    }

    /// Adds what another one has counted within the same bounds.
    pub fn add(&mut self, other: &Histogram<N>) {
        for (count, more) in self.within.iter_mut().zip(other.within) {
            *count += more;
        }
        self.above += other.above;
        self.sum = self.sum.saturating_add(other.sum);
    }

    /// The number of values.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.within.iter().sum::<u64>() + self.above
    }

    /// A bound that at least `percent` of the values do not pass: the true one is in the bucket
    /// below it. Values above all bounds count as the last bound. `None` without values.
    #[must_use]
    pub fn percentile(&self, percent: u64) -> Option<u64> {
        let wanted = self.count().saturating_mul(percent).div_ceil(100).max(1);
        let mut seen = 0;
        let reaches = |(_, count): &(u64, u64)| {
            seen += count;
            seen >= wanted
        };
        let found = self.buckets().find(reaches).map(|(bound, _)| bound);
        if self.count() == 0 { None } else { found.or(self.bounds.last().copied()) }
    }

    /// Values above all bounds.
    #[must_use]
    pub const fn above(&self) -> u64 {
        self.above
    }

    /// The sum of all values.
    #[must_use]
    pub const fn sum(&self) -> u64 {
        self.sum
    }
}

/// How the handshakes of connections ended, where a transport has one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Handshakes {
    /// Done, with certificate and signature.
    pub full: u64,
    /// Done, as the client resumed an earlier session.
    pub resumed: u64,
    /// Begun and not done.
    pub failed: u64,
}

/// Counters of the reactor's loop.
#[derive(Clone, Debug)]
pub struct LoopCounters {
    /// Connections accepted.
    pub accepted: u64,
    /// Bytes read from connections.
    pub bytes_received: u64,
    /// Bytes that the system accepted for sending.
    pub bytes_sent: u64,
    /// Connections cut because all outboxes together were full and theirs held most.
    pub cut_for_room: u64,
    /// Handshakes of transports.
    pub handshakes: Handshakes,
    /// How long turns took without their wait, in µs.
    pub turns: Histogram<16>,
}

impl LoopCounters {
    /// Adds what another loop has counted.
    pub fn add(&mut self, other: &LoopCounters) {
        self.accepted += other.accepted;
        self.bytes_received += other.bytes_received;
        self.bytes_sent += other.bytes_sent;
        self.cut_for_room += other.cut_for_room;
        self.handshakes.full += other.handshakes.full;
        self.handshakes.resumed += other.handshakes.resumed;
        self.handshakes.failed += other.handshakes.failed;
        self.turns.add(&other.turns);
    }
}

impl Default for LoopCounters {
    fn default() -> LoopCounters {
        LoopCounters {
            accepted: 0,
            bytes_received: 0,
            bytes_sent: 0,
            cut_for_room: 0,
            handshakes: Handshakes::default(),
            turns: Histogram::new(&DURATION_BOUNDS_US),
        }
    }
}

/// Counters of a store.
#[derive(Clone, Debug)]
pub struct StoreCounters {
    /// Records per transaction.
    pub batches: Histogram<10>,
    /// How long transactions took, in µs.
    pub commits: Histogram<16>,
    /// Transactions that failed to commit.
    pub failures: u64,
    /// Pages read.
    pub pages: u64,
}

impl Default for StoreCounters {
    fn default() -> StoreCounters {
        StoreCounters {
            batches: Histogram::new(&BATCH_BOUNDS),
            commits: Histogram::new(&DURATION_BOUNDS_US),
            failures: 0,
            pages: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_counted_at_the_first_bound_that_it_does_not_pass() {
        let mut histogram = Histogram::new(&[1, 10, 100]);
        for value in [0, 1, 2, 10, 11, 100, 101, u64::MAX] {
            histogram.observe(value);
        }
        let buckets: Vec<(u64, u64)> = histogram.buckets().collect();
        assert_eq!(buckets, [(1, 2), (10, 2), (100, 2)]);
        assert_eq!((histogram.above(), histogram.sum()), (2, u64::MAX));
    }

    #[test]
    fn a_percentile_is_the_bound_of_its_bucket_and_an_interval_has_its_own() {
        let mut histogram = Histogram::new(&[1, 10, 100]);
        assert_eq!(histogram.percentile(50), None);
        (0..99).for_each(|_| histogram.observe(5));
        histogram.observe(50);
        assert_eq!([50, 99, 100].map(|p| histogram.percentile(p)), [Some(10), Some(10), Some(100)]);
        let before = histogram.clone();
        assert_eq!(histogram.since(&before).percentile(50), None);
        histogram.observe(1_000);
        let since = histogram.since(&before);
        assert_eq!((since.count(), since.sum(), since.percentile(1)), (1, 1_000, Some(100)));
    }

    #[test]
    fn bounds_rise_and_reach_the_largest_batch() {
        assert!(DURATION_BOUNDS_US.is_sorted_by(|a, b| a < b));
        assert!(BATCH_BOUNDS.is_sorted_by(|a, b| a < b));
        assert_eq!(BATCH_BOUNDS.last(), Some(&(crate::base::limits::BATCH_RECORDS_MAX as u64)));
    }
}
