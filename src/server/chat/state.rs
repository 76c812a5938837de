//! The state of the server: the rules for requests, what `/readyz` and `/metrics` say, and whether
//! a pool fills up.

use super::chat::Chat;
use crate::base::limits::{READINESS_STREAMS_MS, REVOCATIONS_MAX, TICKETS_MAX};
use crate::base::{Address, ConnId, Moment, Timestamp};
use crate::config::Listener;
use crate::http1::{Response, Status};
use crate::server::http::{Readiness, Rules};
use crate::server::metrics::pools::{POOLS, Used};
use crate::server::metrics::snapshot::MetricsSnapshot;
use crate::server::sources::Overview;
use crate::store::RecordStore;
use crate::web::Net;
use crate::wire::json::{Writer, object};

/// The last answer of `/readyz`, so that frequent requests do not look through all streams each
/// time.
#[derive(Debug)]
pub(super) struct CachedReadiness {
    at: Moment,
    readiness: Readiness,
    body: Vec<u8>,
}

impl<S: RecordStore> Chat<S> {
    /// Answers whether the server is ready, with the state of each stream.
    pub(super) fn readyz(&mut self, net: &Net<'_>) -> Response {
        let now = net.now();
        let readiness = self.readiness(net);
        let is_current = |cached: &&CachedReadiness| {
            cached.readiness == readiness && now.millis_since(cached.at) < READINESS_STREAMS_MS
        };
        let body = match self.cached_readiness.as_ref().filter(is_current) {
            Some(cached) => cached.body.clone(),
            None => {
                let body = self.write_readiness(net, readiness).into_bytes();
                let cached = CachedReadiness { at: now, readiness, body: body.clone() };
                self.cached_readiness = Some(cached);
                body
            }
        };
        let response = match readiness.refusal() {
            None => Response::new(Status::Ok, "application/json", body),
            Some(refusal) => Response { body: body.into(), ..refusal.into() },
        };
        response.with("Cache-Control", "no-store")
    }

    fn write_readiness(&self, net: &Net<'_>, readiness: Readiness) -> String {
        let timestamp = net.timestamp();
        object(|w| {
            match readiness.refusal() {
                None => w.text("status", "ready"),
                Some(refusal) => w.object_in("error", |w| {
                    w.text("code", refusal.code);
                    w.text("message", &refusal.message);
                }),
            }
            // Nobody needs the streams of a server that stops.
            if readiness == Readiness::Stopping || self.config.streams.is_empty() {
                return;
            }
            let streams = self.hub.streams();
            let newest = streams.newest_times();
            let sources = self.team.sources();
            let overviews = sources.overviews();
            w.array("streams", &*self.config.streams, |w, declaration| {
                let name = declaration.pattern.as_str();
                w.object(|w| {
                    w.text("stream", name);
                    if let Some(Overview { state, is_required, down, every_ms, late }) =
                        overviews.get(name)
                    {
                        w.text("state", state);
                        if *is_required {
                            w.flag("required", true);
                        }
                        if *down > 0 {
                            w.number("down", *down as u64);
                        }
                        if let Some(every_ms) = every_ms {
                            w.number("every_ms", *every_ms);
                            w.number("polled_ms", late.longest_ms);
                        }
                        if late.streams > 0 {
                            w.number("late", late.streams);
                        }
                    }
                    let age = |newest: &Timestamp| timestamp.0.saturating_sub(newest.0).max(0);
                    w.if_some("age_ms", newest.get(name).map(age), Writer::number);
                });
            });
        })
    }

    /// Whether the server can do its work.
    pub(super) fn readiness(&self, net: &Net<'_>) -> Readiness {
        match self.stopping {
            Some(_) => Readiness::Stopping,
            None if self.store_client.store.has_lost_files() => Readiness::StoreRefuses,
            None if self.disk_is_reserved() => Readiness::DiskIsFull,
            None if self.store_client.has_refused_lately(net.now()) => Readiness::StoreRefuses,
            None if self.team.sources().lacks_required() => Readiness::SourceDown,
            None => Readiness::Ready,
        }
    }

    /// The rules for a request's head now. `is_elsewhere` if a proxy says that it comes from
    /// another machine; `address` pays for bad tokens.
    pub(super) fn rules(
        &self,
        net: &Net<'_>,
        conn: ConnId,
        address: Address,
        is_elsewhere: bool,
    ) -> Rules<'_> {
        Rules {
            verifier: &self.verifier,
            payer: self.failed_proofs.payer(address, net.now(), &self.config.limits),
            config: &self.config,
            now: net.timestamp(),
            is_elsewhere,
            readiness: self.readiness(net),
            paths: &self.paths,
            certificate_expiry: self.shared.certificate_expiry(),
            listener: self.listener(net, conn),
            https_port: self.https_port,
            proven: None,
        }
    }

    /// The listener by which a connection came.
    pub(super) fn listener(&self, net: &Net<'_>, conn: ConnId) -> &Listener {
        let place = net.listener(conn).index();
        self.listeners.get(place).unwrap_or(&self.listeners[0])
    }

    /// How much of each of [`POOLS`] is taken.
    pub(super) fn pools_used(&self, net: &Net<'_>) -> [Used; POOLS.len()] {
        let limits = &self.config.limits;
        let counts = self.hub.counts();
        let (streams, stream_bytes) = self.hub.streams().pinned();
        let disk = self.store_client.store.space().map_or(Used::default(), |space| Used {
            taken: space.total.saturating_sub(space.free),
            max: space.total.saturating_sub(limits.disk_reserve_bytes).max(1),
            is_enough: false,
        });
        let polls_max = limits.backend_poll_threads as usize;
        let calls_max = limits.backend_call_threads as usize;
        let (proofs, proofs_max) = self.team.proofs().used();
        let remotes = self.team.remotes();
        let (calls_under_way, calls_waiting) = (remotes.under_way(), remotes.waiting());
        drop(remotes);
        let sources = self.team.sources();
        let (polls_under_way, polls_waiting) = (sources.under_way(), sources.waiting());
        drop(sources);
        [
            Used::new(net.places().0, net.places().1),
            Used::new(self.sessions.guests(), limits.guests as usize),
            Used::new(counts.rooms, limits.all_rooms as usize),
            Used::new(streams, limits.streams as usize),
            Used::new(stream_bytes, limits.all_streams_bytes),
            Used::of_places(polls_under_way, polls_max, polls_waiting),
            Used::of_places(calls_under_way, calls_max, calls_waiting),
            Used::new(proofs, proofs_max),
            Used::new(self.team.tickets().len(), TICKETS_MAX),
            Used::new(net.all_waiting_bytes(), net.all_waiting_bytes_max()),
            Used::new(self.calls.len(), self.http_calls_max()),
            self.store_client.used(),
            Used::new(self.verifier.revocations().len(), REVOCATIONS_MAX),
            disk,
        ]
    }

    /// Looks whether a pool fills up, or plans to look later if that was done a moment ago.
    /// Where there are several threads, the first one looks at those of all, as often.
    pub(super) fn check_pools(&mut self, net: &mut Net<'_>) {
        if !self.shared.is_alone() {
            return;
        }
        match self.pools.is_due(net.now()) {
            Ok(()) => {
                let used = self.pools_used(net);
                self.pools.log_changes(net.now(), &used);
            }
            Err(next) => net.wake_at(next),
        }
    }

    /// What is counted on this thread, and of the server.
    pub(super) fn metrics(&self, net: &Net<'_>) -> MetricsSnapshot {
        // Its lock is given back before more is counted.
        let sources = self.team.sources().metrics();
        let remotes = self.team.remotes().metrics();
        MetricsSnapshot {
            sources,
            remotes,
            ages_ms: self.stream_ages_ms(net.timestamp()),
            ..self.counted(net)
        }
    }

    /// What was counted, and how much there is now, but of single streams and handlers.
    pub(super) fn counted(&self, net: &Net<'_>) -> MetricsSnapshot {
        let (resident_bytes, memory_bytes) = self.vitals.memory();
        MetricsSnapshot {
            of_loop: net.loop_counters().clone(),
            of_web: net.counters().clone(),
            of_chat: self.counters.clone(),
            of_store: self.store_client.store.counters(),
            counts: self.hub.counts(),
            pools: self.pools_used(net).to_vec(),
            connections: net.connections() as u64,
            waiting_bytes: net.all_waiting_bytes() as u64,
            waiting_at_store: self.store_client.waiting() as u64,
            certificate_expiry: self.shared.certificate_expiry(),
            uptime_ms: net.now().millis_since(self.started),
            threads: self.shared.len() as u64,
            resident_bytes,
            memory_bytes,
            ..MetricsSnapshot::default()
        }
    }

    fn stream_ages_ms(&self, now: Timestamp) -> Vec<(String, u64)> {
        let streams = self.hub.streams();
        let times = streams.newest_times().into_iter();
        let age = |ts: Timestamp| u64::try_from(now.0.saturating_sub(ts.0)).unwrap_or_default();
        times.map(|(stream, ts)| (stream.to_owned(), age(ts))).collect()
    }
}
