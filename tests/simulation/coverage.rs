//! What a run has come across: faults that never happen prove nothing.

use std::collections::BTreeMap;
use std::fmt::Write;

/// Counts by name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Coverage {
    counts: BTreeMap<&'static str, u64>,
}

impl Coverage {
    pub(crate) fn count(&mut self, what: &'static str) {
        self.add(what, 1);
    }

    /// Adds what another has counted.
    pub(crate) fn add_all(&mut self, other: &Coverage) {
        for (what, count) in &other.counts {
            self.add(what, *count);
        }
    }

    pub(crate) fn add(&mut self, what: &'static str, by: u64) {
        *self.counts.entry(what).or_insert(0) += by;
    }
}

/// Of many runs: how often, and in how many.
#[derive(Debug, Default)]
pub(crate) struct Total {
    pub(crate) runs: u64,
    of: BTreeMap<&'static str, (u64, u64)>,
}

impl Total {
    pub(crate) fn add(&mut self, run: &Coverage) {
        self.runs += 1;
        for (what, count) in &run.counts {
            let (sum, seeds) = self.of.entry(what).or_insert((0, 0));
            *sum += count;
            *seeds += u64::from(*count > 0);
        }
    }

    pub(crate) fn merge(&mut self, other: &Total) {
        self.runs += other.runs;
        for (what, (count, of)) in &other.of {
            let (sum, seeds) = self.of.entry(what).or_insert((0, 0));
            *sum += count;
            *seeds += of;
        }
    }

    /// A line for each, and what is too seldom: a mean seed has so many of some, and so many of a
    /// hundred seeds have any of others.
    pub(crate) fn report(
        &self,
        wanted: &[(&'static str, f64)],
        faults: &[&'static str],
        seeds_percent: f64,
    ) -> (String, String) {
        let runs = self.runs.max(1) as f64;
        let (mut lines, mut thin) = (String::new(), String::new());
        for (what, (sum, seeds)) in &self.of {
            let (mean, percent) = (*sum as f64 / runs, *seeds as f64 * 100.0 / runs);
            let _ =
                writeln!(lines, "  {what:<28} {mean:>9.2} a seed, in {percent:>5.1} % of seeds");
        }
        for what in faults {
            let percent = self.of.get(what).map_or(0.0, |(_, of)| *of as f64 * 100.0 / runs);
            if percent < seeds_percent {
                let _ = writeln!(thin, "{what}: in {percent:.1} % of seeds only");
            }
        }
        for (what, least) in wanted {
            let mean = self.of.get(what).map_or(0.0, |(sum, _)| *sum as f64 / runs);
            if mean < *least {
                let _ = writeln!(thin, "{what}: {mean:.2} a seed, wanted are {least}");
            }
        }
        (lines, thin)
    }
}
