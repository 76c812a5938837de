//! All numbers of one moment, and their names.

use crate::base::counters::Handshakes;
use crate::base::{LoopCounters, StoreCounters, Timestamp};
use crate::http1::Status;
use crate::hub::HubCounts;
use crate::server::metrics::Counters;
use crate::server::metrics::counters::Closes;
use crate::server::metrics::page::{PREFIX, Page, by, seconds};
use crate::server::metrics::pools::{POOLS, Used};
use crate::server::remote::RemoteMetrics;
use crate::server::sources::SourceMetrics;
use crate::web::{Level, WebCounters};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, text};
use prometheus_client::registry::Registry;
use std::fmt;

/// All counts, and how much there is of everything now.
#[derive(Debug, Default)]
pub(crate) struct MetricsSnapshot {
    pub(crate) of_loop: LoopCounters,
    pub(crate) of_web: WebCounters,
    pub(crate) of_chat: Counters,
    pub(crate) of_store: StoreCounters,
    pub(crate) counts: HubCounts,
    pub(crate) pools: Vec<Used>,
    pub(crate) connections: u64,
    pub(crate) waiting_bytes: u64,
    pub(crate) waiting_at_store: u64,
    /// With TLS.
    pub(crate) certificate_expiry: Option<Timestamp>,
    pub(crate) uptime_ms: u64,
    /// How many threads serve.
    pub(crate) threads: u64,
    /// What of the process is in memory; `None` if nobody tells.
    pub(crate) resident_bytes: Option<u64>,
    /// What it may have.
    pub(crate) memory_bytes: Option<u64>,
    pub(crate) sources: Vec<SourceMetrics>,
    pub(crate) remotes: Vec<RemoteMetrics>,
    /// The age in ms of the newest event of each declared stream that had one.
    pub(crate) ages_ms: Vec<(String, u64)>,
}

impl MetricsSnapshot {
    /// Adds what is of another thread of the same server alone.
    pub(crate) fn add(&mut self, other: &MetricsSnapshot) {
        self.of_loop.add(&other.of_loop);
        self.of_web.add(&other.of_web);
        self.of_chat.add(&other.of_chat);
        self.counts.connections += other.counts.connections;
        self.counts.behind += other.counts.behind;
        for ((pool, used), more) in POOLS.iter().zip(&mut self.pools).zip(&other.pools) {
            pool.add(used, *more);
        }
        self.connections += other.connections;
        self.waiting_bytes += other.waiting_bytes;
        self.waiting_at_store += other.waiting_at_store;
    }

    /// The text of the metrics.
    pub(crate) fn text(self) -> String {
        let mut registry = Registry::with_prefix(PREFIX);
        registry.register_collector(Box::new(self));
        let mut text = String::new();
        // Writing to a string does not fail, and every metric's name and labels are valid.
        if let Err(error) = text::encode(&mut text, &registry) {
            log::error!("the metrics could not be written: {error}");
        }
        text
    }

    fn connections(&self, page: &mut Page<'_>) -> fmt::Result {
        let WebCounters { websockets, websockets_opened, endless, .. } = self.of_web;
        let others = self.connections.saturating_sub(websockets + endless);
        let kinds = [("websocket", websockets), ("events", endless), ("http", others)];
        page.gauges("connections", by("kind", kinds))?;
        page.counter("connections_accepted", self.of_loop.accepted)?;
        let refused = [
            ("limit", self.of_web.over_limit),
            ("address_limit", self.of_web.over_address_limit),
            ("address_minute_limit", self.of_web.over_address_minute_limit),
            ("proxy", self.of_web.bad_proxy_headers),
        ];
        let refused = refused.into_iter().chain(self.upgrades_refused());
        page.counters("connections_refused", by("reason", refused))?;
        let Handshakes { full, resumed, failed } = self.of_loop.handshakes;
        let handshakes = [("full", full), ("resumed", resumed), ("failed", failed)];
        page.counters("tls_handshakes", by("outcome", handshakes))?;
        page.counter("idle_connections_ended", self.of_web.idle_ended)?;
        page.counter("websockets_opened", websockets_opened)?;
        let closes = |by: &'static str, closes: &Closes| {
            let labels = |code: Option<u16>| {
                let code = code.map_or_else(|| "other".to_owned(), |code| code.to_string());
                [("by", by.to_owned()), ("code", code)]
            };
            closes.iter().map(|(code, count)| (labels(code), count)).collect::<Vec<_>>()
        };
        let mut closed = closes("client", &self.of_chat.closed_by_client);
        closed.extend(closes("server", &self.of_chat.closed_by_server));
        page.counters("websockets_closed", closed)?;
        self.health(page)
    }

    fn health(&self, page: &mut Page<'_>) -> fmt::Result {
        let WebCounters { websockets, levels, round_trips, jitters, stabilities, .. } =
            &self.of_web;
        page.durations("round_trip_seconds", round_trips)?;
        page.durations("jitter_seconds", jitters)?;
        page.histogram("stability_points", stabilities)?;
        self.over(page)?;
        let known = Level::ALL.iter().map(|level| level.as_str()).zip(*levels);
        let unknown = websockets.saturating_sub(levels.iter().sum());
        page.gauges("websockets_by_level", by("level", known.chain([("unknown", unknown)])))
    }

    fn over(&self, page: &mut Page<'_>) -> fmt::Result {
        let over = &self.of_web.over;
        page.durations("connection_round_trip_min_seconds", &over.shortest)?;
        page.durations("connection_round_trip_mean_seconds", &over.mean)?;
        page.durations("connection_round_trip_max_seconds", &over.longest)?;
        page.histogram("connection_sent_messages", &over.sent)?;
        page.histogram("connection_received_messages", &over.received)?;
        page.histogram("connection_errors", &over.errors)?;
        page.histogram("connection_drops", &over.drops)
    }

    /// The reasons for refused upgrades, by the status of the answer.
    fn upgrades_refused(&self) -> impl Iterator<Item = (&'static str, u64)> {
        const REASONS: [(Status, &str); 5] = [
            (Status::BadRequest, "bad_request"),
            (Status::Unauthorized, "unauthorized"),
            (Status::Forbidden, "forbidden"),
            (Status::NotFound, "not_found"),
            (Status::ServiceUnavailable, "draining"),
        ];
        let refused = || self.of_web.upgrades_refused.iter();
        let reasons = REASONS.into_iter().map(move |(status, reason)| {
            let counts = refused().filter(|(one, _)| *one == status).map(|(_, count)| count);
            (reason, counts.sum())
        });
        let is_other = |(status, _): &(Status, u64)| REASONS.iter().all(|(one, _)| one != status);
        let other = refused().filter(is_other).map(|(_, count)| count).sum();
        reasons.chain([("other", other)])
    }

    fn traffic(&self, page: &mut Page<'_>) -> fmt::Result {
        page.counter("messages_received", self.of_web.messages_received)?;
        page.counter("messages_sent", self.of_web.messages_sent)?;
        page.counter("received_bytes", self.of_loop.bytes_received)?;
        page.counter("sent_bytes", self.of_loop.bytes_sent)?;
        page.gauge("outbox_waiting_bytes", self.waiting_bytes)?;
        page.counter("outbox_cut_connections", self.of_loop.cut_for_room)?;
        page.gauge("cursors_behind", self.counts.behind as u64)?;
        let of_chat = &self.of_chat;
        let dropped = [("ephemeral", of_chat.dropped_pushes), ("state", of_chat.skipped_events)];
        page.counters("pushes_dropped", by("kind", dropped))?;
        let refused = of_chat.refusals().map(|(code, count)| (code.as_str(), count));
        let outcomes = [("ok", of_chat.requests_ok)]
            .into_iter()
            .chain(refused)
            .chain([("other", of_chat.refused_otherwise)]);
        page.counters("requests", by("outcome", outcomes))?;
        page.counters("limited", by("limit", of_chat.limits()))?;
        let responses = self.of_web.responses.iter();
        let responses = responses.map(|(status, count)| (number(status), count));
        page.counters("http_responses", by("status", responses))
    }

    fn state(&self, page: &mut Page<'_>) -> fmt::Result {
        let HubCounts { online, rooms, streams, subscriptions, .. } = self.counts;
        page.gauge("users_online", online as u64)?;
        page.gauge("rooms", rooms as u64)?;
        page.gauge("streams", streams as u64)?;
        page.gauge("subscriptions", subscriptions as u64)?;
        page.counter("stream_events_cut", self.counts.cut_events)
    }

    fn store(&self, page: &mut Page<'_>) -> fmt::Result {
        let StoreCounters { batches, commits, failures, pages } = &self.of_store;
        page.gauge("store_queue", self.waiting_at_store)?;
        page.histogram("store_batch_records", batches)?;
        page.durations("store_commit_seconds", commits)?;
        page.durations("delivery_seconds", &self.of_chat.deliveries)?;
        page.counter("store_failures", *failures)?;
        page.counter("store_pages_read", *pages)?;
        let Counters { store_overloaded, store_unavailable, store_damaged, .. } = self.of_chat;
        let refusals = [
            ("overloaded", store_overloaded),
            ("unavailable", store_unavailable),
            ("damaged", store_damaged),
        ];
        page.counters("store_refusals", by("reason", refusals))
    }

    fn process(&self, page: &mut Page<'_>) -> fmt::Result {
        page.counters("clock_jumps", by("direction", self.of_chat.clock_jumps()))?;
        page.durations("loop_turn_seconds", &self.of_loop.turns)?;
        if let Some(expires) = self.certificate_expiry {
            page.gauge("tls_certificate_expiry_seconds", expires.seconds())?;
        }
        if let Some(resident) = self.resident_bytes {
            page.gauge("resident_memory_bytes", resident)?;
        }
        if let Some(memory) = self.memory_bytes {
            page.gauge("memory_limit_bytes", memory)?;
        }
        page.gauge("threads", self.threads)?;
        page.gauge("uptime_seconds", seconds(self.uptime_ms))?;
        page.gauges("build_info", by("version", [(env!("CARGO_PKG_VERSION"), 1)]))
    }
}

fn number(status: Status) -> &'static str {
    status.line().split(' ').next().unwrap_or_default()
}

impl Collector for MetricsSnapshot {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let page = &mut Page(encoder);
        self.connections(page)?;
        self.traffic(page)?;
        self.state(page)?;
        pools(&self.pools, page)?;
        sources(&self.sources, &self.ages_ms, page)?;
        remotes(&self.remotes, page)?;
        self.store(page)?;
        self.process(page)
    }
}

/// How full the pools are.
pub(super) fn pools(used: &[Used], page: &mut Page<'_>) -> fmt::Result {
    let of_each = |value: fn(&Used) -> u64| {
        let all = POOLS.iter().zip(used).filter(|(_, used)| used.max > 0);
        by("pool", all.map(move |(pool, used)| (pool.name, value(used))))
    };
    page.gauges("pool_taken", of_each(|used| used.taken))?;
    page.gauges("pool_size", of_each(|used| used.max))
}

/// The state of the sources.
pub(super) fn sources(
    sources: &[SourceMetrics],
    ages_ms: &[(String, u64)],
    page: &mut Page<'_>,
) -> fmt::Result {
    if !ages_ms.is_empty() {
        let ages = ages_ms.iter().map(|(stream, ms)| (stream.clone(), seconds(*ms)));
        page.gauges("stream_event_age_seconds", by("stream", ages))?;
    }
    if sources.is_empty() {
        return Ok(());
    }
    let of_one = |one: &SourceMetrics| ("stream", one.stream.clone());
    let states = sources.iter().flat_map(|one| {
        let labels = |state: &str| [of_one(one), ("state", state.to_owned())];
        one.states.map(|(state, count)| (labels(state), count))
    });
    page.gauges("sources", states)?;
    let polled = || sources.iter().filter(|one| one.every_ms.is_some());
    if polled().next().is_some() {
        let ages = polled().map(|one| ([of_one(one)], seconds(one.late.longest_ms)));
        page.gauges("source_poll_age_seconds", ages)?;
        let late = polled().map(|one| ([of_one(one)], one.late.streams));
        page.gauges("source_late_streams", late)?;
    }
    let of_each = |value: fn(&SourceMetrics) -> u64| {
        sources.iter().map(move |one| ([of_one(one)], value(one)))
    };
    page.counters("source_failures", of_each(|one| one.failures))?;
    page.counters("source_refused", of_each(|one| one.refused))
}

/// The results of requests to the application's backend.
pub(super) fn remotes(remotes: &[RemoteMetrics], page: &mut Page<'_>) -> fmt::Result {
    if remotes.is_empty() {
        return Ok(());
    }
    let of_one = |one: &RemoteMetrics| ("handler", one.handler.clone());
    let of_each = |value: fn(&RemoteMetrics) -> u64| {
        remotes.iter().map(move |one| ([of_one(one)], value(one)))
    };
    let outcomes = remotes.iter().flat_map(|one| {
        let labels = |outcome: &str| [of_one(one), ("outcome", outcome.to_owned())];
        one.outcomes.map(|(outcome, count)| (labels(outcome), count))
    });
    page.counters("handler_requests", outcomes)?;
    page.gauges("handler_requests_under_way", of_each(|one| one.under_way))?;
    page.gauges("handler_requests_waiting", of_each(|one| one.waiting))?;
    page.counters("handler_requests_waited", of_each(|one| one.waited))?;
    let turned_away = remotes.iter().flat_map(|one| {
        let labels = |why: &str| [of_one(one), ("why", why.to_owned())];
        one.turned_away.map(|(why, count)| (labels(why), count))
    });
    page.counters("handler_requests_turned_away", turned_away)?;
    page.gauges("handler_down", of_each(|one| one.is_down.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Histogram;
    use crate::server::sources::operate::STATES;

    /// `| name | type | labels | help |` for each metric, named as its samples are.
    fn rows(text: &str) -> Vec<String> {
        let mut rows = Vec::new();
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            let Some(described) = line.strip_prefix("# HELP ") else { continue };
            let (name, help) = described.split_once(' ').unwrap();
            let of_type = lines.next().unwrap().strip_prefix("# TYPE ").unwrap();
            let kind = of_type.strip_prefix(name).unwrap().trim_start();
            let suffix = if kind == "counter" { "_total" } else { "" };
            let sample = text.lines().find(|line| line.starts_with(&format!("{name}{suffix}{{")));
            let labels: Vec<&str> = sample
                .and_then(|line| line.split_once('{')?.1.split_once('}'))
                .map(|(labels, _)| labels.split(',').map(|label| label.split('=').next().unwrap()))
                .map(Iterator::collect)
                .unwrap_or_default();
            let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
            rows.push(format!("| `{name}{suffix}` | {kind} | {} | {help} |", labels.join(", ")));
        }
        rows
    }

    #[test]
    fn the_documents_list_every_metric_and_no_other() {
        // Counts of streams are only written if there is a stream.
        let states = STATES.map(|state| (state, 1));
        let source = SourceMetrics { states, every_ms: Some(1), ..SourceMetrics::default() };
        let ages_ms = vec![(String::new(), 1)];
        let remotes = vec![RemoteMetrics::default()];
        let pools = vec![Used { max: 1, ..Used::default() }];
        let sources = vec![source];
        let certificate_expiry = Some(Timestamp(1));
        let snapshot = MetricsSnapshot {
            sources,
            pools,
            remotes,
            ages_ms,
            certificate_expiry,
            resident_bytes: Some(1),
            memory_bytes: Some(1),
            ..MetricsSnapshot::default()
        };
        let rows = rows(&snapshot.text());
        assert!(rows.len() > 20, "{rows:?}");
        let document = include_str!("../../../docs/metrics.md");
        let described: Vec<&str> =
            document.lines().filter(|line| line.starts_with("| `parlor_")).collect();
        assert_eq!(described, rows, "the table of docs/metrics.md is to be:\n{}", rows.join("\n"));
    }

    #[test]
    fn a_histogram_is_cumulative_and_in_seconds() {
        let mut snapshot = MetricsSnapshot::default();
        snapshot.of_store.commits = Histogram::new(&crate::base::counters::DURATION_BOUNDS_US);
        for took_us in [40, 50, 60, 2_000_000, 20_000_000] {
            snapshot.of_store.commits.observe(took_us);
        }
        let text = snapshot.text();
        for line in [
            "parlor_store_commit_seconds_count 5",
            "parlor_store_commit_seconds_sum 22.00015",
            r#"parlor_store_commit_seconds_bucket{le="0.00005"} 2"#,
            r#"parlor_store_commit_seconds_bucket{le="0.0001"} 3"#,
            r#"parlor_store_commit_seconds_bucket{le="1.0"} 3"#,
            r#"parlor_store_commit_seconds_bucket{le="2.5"} 4"#,
            r#"parlor_store_commit_seconds_bucket{le="+Inf"} 5"#,
        ] {
            assert!(text.lines().any(|one| one == line), "{line} is missing:\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }
}
