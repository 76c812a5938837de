//! How long things took: a histogram with steps of a sixteenth of their size.

use std::time::Duration;

const STEPS: u32 = 16;

#[derive(Clone, Debug)]
pub struct Latency {
    counts: Vec<u64>,
    total: u64,
}

impl Default for Latency {
    fn default() -> Latency {
        Latency { counts: vec![0; (64 * STEPS) as usize], total: 0 }
    }
}

impl Latency {
    pub fn note(&mut self, time: Duration) {
        let nanos = (time.as_nanos() as u64).max(u64::from(STEPS));
        let power = nanos.ilog2();
        let step = (nanos >> (power - STEPS.ilog2())) as u32 - STEPS;
        self.counts[(power * STEPS + step) as usize] += 1;
        self.total += 1;
    }

    /// The time within which this part of all were done, in ns; 0 if there were none.
    pub fn quantile(&self, part: f64) -> u64 {
        let wanted = (self.total as f64 * part).ceil() as u64;
        let mut seen = 0;
        for (place, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted && seen > 0 {
                let (power, step) = (place as u32 / STEPS, place as u32 % STEPS);
                return u64::from(STEPS + step + 1) << (power - STEPS.ilog2());
            }
        }
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_right_to_a_sixteenth() {
        let mut latency = Latency::default();
        for micros in 1..=1_000 {
            latency.note(Duration::from_micros(micros));
        }
        for (part, expected) in [(0.5, 500_000.0), (0.99, 990_000.0)] {
            let found = latency.quantile(part) as f64;
            assert!((1.0..1.07).contains(&(found / expected)), "{found}");
        }
    }
}
