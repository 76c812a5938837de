//! The text of the metrics, written by `prometheus-client` in the format of OpenMetrics 1.0, which
//! Prometheus reads.

use crate::base::Histogram;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeGaugeValue, EncodeLabelSet, MetricEncoder, NoLabelSet,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::exemplar::Exemplar;
use std::collections::HashMap;
use std::fmt;
use std::sync::LazyLock;

/// The `Content-Type` of the text.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// The beginning of each metric's name.
pub(super) const PREFIX: &str = "parlor";

const NO_EXEMPLAR: Option<&Exemplar<NoLabelSet, u64>> = None;
const US_PER_SECOND: f64 = 1_000_000.0;

/// What each metric is, by its name without the prefix and `_total`. This is the last column of the
/// table in `docs/metrics.md`, so that the page and the document cannot differ.
static HELP: LazyLock<HashMap<&str, &str>> = LazyLock::new(|| {
    let row = |line: &'static str| {
        let (name, rest) = line.strip_prefix("| `parlor_")?.split_once("` |")?;
        let (_, help) = rest.strip_suffix(" |")?.rsplit_once("| ")?;
        Some((name.strip_suffix("_total").unwrap_or(name), help))
    };
    include_str!("../../../docs/metrics.md").lines().filter_map(row).collect()
});

/// Milliseconds as seconds.
pub(super) fn seconds(millis: u64) -> f64 {
    millis as f64 / 1_000.0
}

/// Numbers with one label each, which has this name.
pub(super) fn by<V, N>(
    label: &'static str,
    numbers: impl IntoIterator<Item = (V, N)>,
) -> impl Iterator<Item = ([(&'static str, V); 1], N)> {
    numbers.into_iter().map(move |(value, number)| ([(label, value)], number))
}

/// Writes metrics one after another. Names are given without the prefix, those of counters without
/// `_total`.
#[derive(Debug)]
pub(super) struct Page<'a>(pub(super) DescriptorEncoder<'a>);

impl Page<'_> {
    fn metric(
        &mut self,
        name: &'static str,
        kind: MetricType,
    ) -> Result<MetricEncoder<'_>, fmt::Error> {
        self.0.encode_descriptor(name, HELP.get(name).copied().unwrap_or_default(), None, kind)
    }

    /// A number that only grows.
    pub(super) fn counter(&mut self, name: &'static str, value: u64) -> fmt::Result {
        self.metric(name, MetricType::Counter)?.encode_counter(&value, NO_EXEMPLAR)
    }

    /// Numbers that only grow, each with its labels.
    pub(super) fn counters<L: EncodeLabelSet>(
        &mut self,
        name: &'static str,
        values: impl IntoIterator<Item = (L, u64)>,
    ) -> fmt::Result {
        let mut family = self.metric(name, MetricType::Counter)?;
        for (labels, value) in values {
            family.encode_family(&labels)?.encode_counter(&value, NO_EXEMPLAR)?;
        }
        Ok(())
    }

    /// How much of something there is now.
    pub(super) fn gauge(
        &mut self,
        name: &'static str,
        value: impl EncodeGaugeValue,
    ) -> fmt::Result {
        self.metric(name, MetricType::Gauge)?.encode_gauge(&value)
    }

    /// As [`Page::gauge`] for several things, each with its labels.
    pub(super) fn gauges<L: EncodeLabelSet>(
        &mut self,
        name: &'static str,
        values: impl IntoIterator<Item = (L, impl EncodeGaugeValue)>,
    ) -> fmt::Result {
        let mut family = self.metric(name, MetricType::Gauge)?;
        for (labels, value) in values {
            family.encode_family(&labels)?.encode_gauge(&value)?;
        }
        Ok(())
    }

    /// The distribution of numbers.
    pub(super) fn histogram<const N: usize>(
        &mut self,
        name: &'static str,
        histogram: &Histogram<N>,
    ) -> fmt::Result {
        self.buckets(name, histogram, 1.0)
    }

    /// The distribution of durations, counted in µs and written in seconds.
    pub(super) fn durations<const N: usize>(
        &mut self,
        name: &'static str,
        histogram: &Histogram<N>,
    ) -> fmt::Result {
        self.buckets(name, histogram, US_PER_SECOND)
    }

    fn buckets<const N: usize>(
        &mut self,
        name: &'static str,
        histogram: &Histogram<N>,
        per_unit: f64,
    ) -> fmt::Result {
        let below = histogram.buckets().map(|(bound, count)| (bound as f64 / per_unit, count));
        let buckets: Vec<(f64, u64)> = below.chain([(f64::INFINITY, histogram.above())]).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        let sum = histogram.sum() as f64 / per_unit;
        self.metric(name, MetricType::Histogram)?
            .encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }
}
