//! How the server is, for people: what has happened within a few seconds, and how much there is of
//! everything. `docs/operations.md` describes the members.

use super::pools::POOLS;
use super::snapshot::MetricsSnapshot;
use crate::base::Histogram;
use crate::wire::json::{Writer, object};

impl MetricsSnapshot {
    /// The data of an event of `parlor:vitals`: this moment, and what has happened since another.
    pub(crate) fn vitals_since(&self, before: &MetricsSnapshot) -> String {
        object(|w| {
            w.number("ms", self.uptime_ms.saturating_sub(before.uptime_ms));
            w.number("uptime_ms", self.uptime_ms);
            self.write_state(w);
            self.write_traffic(w, before);
            self.write_times(w, before);
            self.write_troubles(w, before);
            w.object_in("pools", |w| {
                for (pool, used) in POOLS.iter().zip(&self.pools) {
                    w.array(pool.name, &[used.taken, used.max], |w, n| w.raw_item(&n.to_string()));
                }
            });
        })
    }

    fn write_state(&self, w: &mut Writer) {
        w.number("websockets", self.of_web.websockets);
        w.number("events", self.of_web.endless);
        let others = self.of_web.websockets + self.of_web.endless;
        w.number("http", self.connections.saturating_sub(others));
        w.number("online", self.counts.online as u64);
        w.number("rooms", self.counts.rooms as u64);
        w.number("streams", self.counts.streams as u64);
        w.number("subscriptions", self.counts.subscriptions as u64);
        w.number("behind", self.counts.behind as u64);
        w.number("outbox_bytes", self.waiting_bytes);
        w.number("store_queue", self.waiting_at_store);
        w.if_some("resident_bytes", self.resident_bytes, Writer::number);
        w.if_some("memory_bytes", self.memory_bytes, Writer::number);
        let expires = self.certificate_expiry.map(|expires| expires.0);
        w.if_some("certificate_expires", expires, Writer::number);
    }

    fn write_traffic(&self, w: &mut Writer, before: &MetricsSnapshot) {
        let mut since = |name, of: fn(&MetricsSnapshot) -> u64| {
            w.number(name, of(self).saturating_sub(of(before)));
        };
        since("accepted", |one| one.of_loop.accepted);
        since("received", |one| one.of_web.messages_received);
        since("sent", |one| one.of_web.messages_sent);
        since("received_bytes", |one| one.of_loop.bytes_received);
        since("sent_bytes", |one| one.of_loop.bytes_sent);
        since("requests", |one| one.of_chat.requests_ok);
    }

    fn write_times(&self, w: &mut Writer, before: &MetricsSnapshot) {
        let mut times = Times(w);
        times.write("commits", &self.of_store.commits.since(&before.of_store.commits));
        times.write("deliveries", &self.of_chat.deliveries.since(&before.of_chat.deliveries));
        times.write("round_trips", &self.of_web.round_trips.since(&before.of_web.round_trips));
        times.write("turns", &self.of_loop.turns.since(&before.of_loop.turns));
    }

    fn write_troubles(&self, w: &mut Writer, before: &MetricsSnapshot) {
        let mut since = |name, of: fn(&MetricsSnapshot) -> u64| {
            w.number(name, of(self).saturating_sub(of(before)));
        };
        since("refused", |one| one.of_chat.all_refused());
        since("dropped", |one| one.of_chat.dropped_pushes + one.of_chat.skipped_events);
        since("cut", |one| one.of_loop.cut_for_room);
        since("store_failures", |one| one.of_store.failures);
        since("store_refusals", |one| {
            let counts = &one.of_chat;
            counts.store_overloaded + counts.store_unavailable + counts.store_damaged
        });
        since("connections_refused", |one| {
            let counts = &one.of_web;
            counts.over_limit + counts.over_address_limit + counts.over_address_minute_limit
        });
        w.object_in("limits", |w| {
            for ((limit, count), (_, before)) in self.of_chat.limits().zip(before.of_chat.limits())
            {
                if count > before {
                    w.number(limit, count - before);
                }
            }
        });
    }
}

struct Times<'w>(&'w mut Writer);

impl Times<'_> {
    /// How many there were, and what half of them and 99 % did not pass, in µs.
    fn write<const N: usize>(&mut self, name: &str, times: &Histogram<N>) {
        self.0.object_in(name, |w| {
            w.number("count", times.count());
            w.if_some("p50_us", times.percentile(50), Writer::number);
            w.if_some("p99_us", times.percentile(99), Writer::number);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::limits::VITALS_BYTES_MAX;
    use crate::server::metrics::counters::LIMITS;
    use crate::server::metrics::pools::Used;

    /// A moment at which everything was counted so often.
    fn moment(n: u64) -> MetricsSnapshot {
        let mut all =
            MetricsSnapshot { uptime_ms: n, connections: n, ..MetricsSnapshot::default() };
        all.pools = vec![Used { taken: n, max: n, is_enough: false }; POOLS.len()];
        all.of_web.websockets = n;
        all.of_web.messages_received = n;
        all.of_chat.requests_ok = n;
        all.of_chat.dropped_pushes = n;
        (all.resident_bytes, all.memory_bytes) = (Some(n), Some(n));
        all
    }

    #[test]
    fn what_was_counted_is_told_of_the_interval_and_what_there_is_of_now() {
        let (before, mut after) = (moment(10), moment(15));
        after.of_store.commits.observe(70);
        after.of_chat.limited("rooms");
        let data: serde_json::Value = serde_json::from_str(&after.vitals_since(&before)).unwrap();
        assert_eq!(
            (&data["ms"], &data["websockets"], &data["received"]),
            (&5.into(), &15.into(), &5.into())
        );
        assert_eq!(
            data["commits"],
            serde_json::json!({ "count": 1, "p50_us": 100, "p99_us": 100 })
        );
        assert_eq!(data["turns"], serde_json::json!({ "count": 0 }));
        assert_eq!(data["limits"], serde_json::json!({ "rooms": 1 }));
        assert_eq!(data["pools"]["rooms"], serde_json::json!([15, 15]));
    }

    #[test]
    fn the_largest_event_is_within_its_bound_and_the_document_has_its_members() {
        let mut after = moment(u64::MAX);
        LIMITS.iter().for_each(|limit| after.of_chat.limited(limit));
        let text = after.vitals_since(&MetricsSnapshot::default());
        assert!(text.len() * 2 < VITALS_BYTES_MAX as usize, "{}", text.len());
        let data: serde_json::Value = serde_json::from_str(&text).unwrap();
        let document = include_str!("../../../docs/operations.md");
        let (_, of_vitals) = document.split_once("### `parlor:vitals`").unwrap();
        let (of_vitals, _) = of_vitals.split_once("\n### ").unwrap();
        for name in data.as_object().unwrap().keys() {
            assert!(of_vitals.contains(&format!("`{name}`")), "{name}");
        }
    }
}
