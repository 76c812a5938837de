//! The text of the metrics, written by `prometheus-client` in the format of OpenMetrics 1.0, which
//! Prometheus reads.

use crate::base::Histogram;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::exemplar::Exemplar;
use std::fmt::Error;

/// The `Content-Type` of the text.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

const NO_EXEMPLAR: Option<&Exemplar<NoLabelSet, u64>> = None;
const US_PER_SECOND: f64 = 1_000_000.0;

/// Writes metrics one after the other. Names are without the prefix of all, and those of counters
/// without `_total`.
#[derive(Debug)]
pub(crate) struct Page<'a>(pub(in crate::server) DescriptorEncoder<'a>);

impl Page<'_> {
    /// A number that only grows.
    pub(crate) fn counter(&mut self, name: &str, help: &str, value: u64) -> Result<(), Error> {
        self.0
            .encode_descriptor(name, help, None, MetricType::Counter)?
            .encode_counter(&value, NO_EXEMPLAR)
    }

    /// Numbers that only grow, each with its labels.
    pub(crate) fn counters<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (L, u64)>,
    ) -> Result<(), Error> {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, value) in values {
            family.encode_family(&labels)?.encode_counter(&value, NO_EXEMPLAR)?;
        }
        Ok(())
    }

    /// How much of something there is now.
    pub(crate) fn gauge(&mut self, name: &str, help: &str, value: u64) -> Result<(), Error> {
        self.0.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(&value)
    }

    /// The same of several things, each with its labels.
    pub(crate) fn gauges<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (L, u64)>,
    ) -> Result<(), Error> {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in values {
            family.encode_family(&labels)?.encode_gauge(&value)?;
        }
        Ok(())
    }

    /// A duration of now, in seconds.
    pub(crate) fn seconds(&mut self, name: &str, help: &str, millis: u64) -> Result<(), Error> {
        let seconds = millis as f64 / 1_000.0;
        self.0.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(&seconds)
    }

    /// Durations of now of several things, in seconds, each with its labels.
    pub(super) fn all_seconds<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (L, u64)>,
    ) -> Result<(), Error> {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, millis) in values {
            family.encode_family(&labels)?.encode_gauge(&(millis as f64 / 1_000.0))?;
        }
        Ok(())
    }

    /// How numbers are spread.
    pub(crate) fn histogram<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        histogram: &Histogram<N>,
    ) -> Result<(), Error> {
        self.buckets(name, help, histogram, 1.0)
    }

    /// How durations are spread that were counted in µs: in seconds.
    pub(crate) fn durations<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        histogram: &Histogram<N>,
    ) -> Result<(), Error> {
        self.buckets(name, help, histogram, US_PER_SECOND)
    }

    fn buckets<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        histogram: &Histogram<N>,
        per_unit: f64,
    ) -> Result<(), Error> {
        let below = histogram.buckets().map(|(bound, count)| (bound as f64 / per_unit, count));
        let buckets: Vec<(f64, u64)> = below.chain([(f64::INFINITY, histogram.above())]).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        let sum = histogram.sum() as f64 / per_unit;
        self.0
            .encode_descriptor(name, help, None, MetricType::Histogram)?
            .encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }
}
