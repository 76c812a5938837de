//! `GET /metrics`: all numbers of a moment.

use super::chat::Chat;
use crate::base::Timestamp;
use crate::http1::{Response, Status};
use crate::server::metrics::page::CONTENT_TYPE;
use crate::server::metrics::snapshot::MetricsSnapshot;
use crate::store::Backend;
use crate::web::Net;

impl<S: Backend> Chat<S> {
    /// The answer to `GET /metrics`.
    pub(super) fn metrics(&self, net: &Net<'_>) -> Response {
        let snapshot = MetricsSnapshot {
            of_loop: net.loop_counters().clone(),
            of_web: net.counters().clone(),
            of_chat: self.counters.clone(),
            of_store: self.store.counters(),
            counts: self.hub.counts(),
            pools: self.pools_used(net).to_vec(),
            connections: net.connections() as u64,
            waiting_bytes: net.all_waiting_bytes() as u64,
            waiting_at_store: self.at_store as u64,
            uptime_ms: net.now().millis_since(self.started),
            sources: self.sources.metrics(),
            remotes: self.remotes.metrics(),
            ages_ms: self.stream_ages_ms(net.timestamp()),
        };
        let body = snapshot.text().into_bytes();
        Response::new(Status::Ok, CONTENT_TYPE, body).with("Cache-Control", "no-store")
    }

    fn stream_ages_ms(&self, now: Timestamp) -> Vec<(String, u64)> {
        let times = self.hub.streams().newest_times().into_iter();
        let age = |ts: Timestamp| u64::try_from(now.0.saturating_sub(ts.0)).unwrap_or_default();
        times.map(|(stream, ts)| (stream.to_owned(), age(ts))).collect()
    }
}
