//! What is counted and measured in a run.

use super::slo::Which;
use crate::cli::shown;
use hdrhistogram::Histogram;
use std::collections::BTreeMap;
use std::time::Duration;

/// Latencies are kept in µs, up to this, with three digits.
const LATENCY_US_MAX: u64 = 3_600_000_000;
const DIGITS: u8 = 3;
/// More characters of a cause are not kept.
const CAUSE_MAX: usize = 160;
/// More causes of errors are counted together.
const CAUSES_MAX: usize = 64;

/// A second of a run.
#[derive(Clone, Debug, Default)]
pub(super) struct Second {
    pub(super) open: u64,
    pub(super) sent: u64,
    pub(super) came: u64,
    /// Once it is over.
    pub(super) p99_us: u64,
}

/// All of it.
#[derive(Clone, Debug)]
pub(super) struct Figures {
    /// Messages that were meant to leave, and that left.
    pub(super) meant: u64,
    pub(super) sent: u64,
    pub(super) acknowledged: u64,
    pub(super) came: u64,
    /// So many should have come.
    pub(super) expected: u64,
    pub(super) lost: u64,
    pub(super) repeated: u64,
    pub(super) reordered: u64,
    /// Of another room, another run, or with another content.
    pub(super) foreign: u64,
    pub(super) bytes_sent: u64,
    pub(super) bytes_came: u64,
    pub(super) opened: u64,
    /// By cause.
    pub(super) causes: BTreeMap<String, u64>,
    delivery: Histogram<u64>,
    /// From when a message left.
    service: Histogram<u64>,
    ack: Histogram<u64>,
    connect: Histogram<u64>,
    /// How late messages left.
    pub(super) late: Histogram<u64>,
    pub(super) seconds: Vec<Second>,
    /// Latencies of the last second: of the others their p99 is kept.
    this_second: Histogram<u64>,
    /// How long messages were sent.
    pub(super) sending: Duration,
    /// Of this process, while messages were sent.
    pub(super) processor: Duration,
}

fn histogram() -> Histogram<u64> {
    // The bounds are right, and the same each time: it has no error.
    Histogram::new_with_bounds(1, LATENCY_US_MAX, DIGITS)
        .unwrap_or_else(|_| unreachable!("the bounds of the histogram are constants"))
}

fn record(histogram: &mut Histogram<u64>, latency: Duration) {
    histogram.saturating_record(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX));
}

impl Figures {
    pub(super) fn new() -> Figures {
        Figures {
            meant: 0,
            sent: 0,
            acknowledged: 0,
            came: 0,
            expected: 0,
            lost: 0,
            repeated: 0,
            reordered: 0,
            foreign: 0,
            bytes_sent: 0,
            bytes_came: 0,
            opened: 0,
            causes: BTreeMap::new(),
            delivery: histogram(),
            service: histogram(),
            ack: histogram(),
            connect: histogram(),
            late: histogram(),
            seconds: Vec::new(),
            this_second: histogram(),
            sending: Duration::ZERO,
            processor: Duration::ZERO,
        }
    }

    /// Another second begins, with so many connections.
    pub(super) fn begin_second(&mut self, open: u64) {
        self.end_second();
        self.seconds.push(Second { open, ..Second::default() });
    }

    pub(super) fn end_second(&mut self) {
        if let Some(second) = self.seconds.last_mut() {
            second.p99_us = self.this_second.value_at_quantile(0.99);
        }
        self.this_second.reset();
    }

    /// A message came, so long after it was meant to leave.
    pub(super) fn delivered(&mut self, since_meant: Duration) {
        self.came += 1;
        record(&mut self.delivery, since_meant);
        if let Some(second) = self.seconds.last_mut() {
            second.came += 1;
            record(&mut self.this_second, since_meant);
        }
    }

    /// The same, so long after it left.
    pub(super) fn served(&mut self, since_sent: Duration) {
        record(&mut self.service, since_sent);
    }

    pub(super) fn acked(&mut self, since_meant: Duration) {
        self.acknowledged += 1;
        record(&mut self.ack, since_meant);
    }

    pub(super) fn connected(&mut self, took: Duration) {
        self.opened += 1;
        record(&mut self.connect, took);
    }

    pub(super) fn left(&mut self, late: Duration) {
        self.sent += 1;
        record(&mut self.late, late);
        if let Some(second) = self.seconds.last_mut() {
            second.sent += 1;
        }
    }

    /// Something went wrong; a server may have written the cause.
    pub(super) fn failed(&mut self, cause: &str) {
        let cause: &str = &shown(cause).chars().take(CAUSE_MAX).collect::<String>();
        let is_known = self.causes.contains_key(cause) || self.causes.len() < CAUSES_MAX;
        let cause = if is_known { cause } else { "others" };
        match self.causes.get_mut(cause) {
            Some(count) => *count += 1,
            None => drop(self.causes.insert(cause.to_owned(), 1)),
        }
    }

    pub(super) fn errors(&self) -> u64 {
        self.causes.values().sum()
    }

    /// Messages that came, per second of sending.
    pub(super) fn rate(&self) -> f64 {
        let seconds = self.sending.as_secs_f64();
        if seconds > 0.0 { self.came as f64 / seconds } else { 0.0 }
    }

    pub(super) fn latency(&self, which: Which) -> &Histogram<u64> {
        match which {
            Which::Delivery => &self.delivery,
            Which::Ack => &self.ack,
            Which::Connect => &self.connect,
        }
    }

    pub(super) fn service(&self) -> &Histogram<u64> {
        &self.service
    }
}
