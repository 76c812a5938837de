//! How full what has a bound is, looked at as time goes by.

use crate::base::limits::{HTTP_CALLS_MAX, REVOCATIONS_MAX, STORE_QUEUE_MAX, TICKETS_MAX};
use crate::server::chat::chat::Chat;
use crate::server::metrics::pools::{POOLS, Used};
use crate::store::Backend;
use crate::web::Net;

impl<S: Backend> Chat<S> {
    /// How much of each of [`POOLS`] is taken.
    pub(super) fn pools_used(&self, net: &Net<'_>) -> [Used; POOLS.len()] {
        let limits = &self.config.limits;
        let counts = self.hub.counts();
        let (streams, stream_bytes) = self.hub.streams().staying();
        let disk = self.store.space().map_or(Used::default(), |space| Used {
            taken: space.total.saturating_sub(space.free),
            max: space.total.saturating_sub(limits.disk_reserve_bytes).max(1),
            is_enough: false,
        });
        let (proofs, proofs_max) = self.proofs.used();
        [
            Used::new(net.connections(), net.connections_max()),
            Used::new(self.guests, limits.guests as usize),
            Used::new(counts.rooms, limits.all_rooms as usize),
            Used::new(streams, limits.streams as usize),
            Used::new(stream_bytes, limits.all_streams_bytes),
            Used::of_places(
                self.sources.under_way(),
                limits.backend_poll_threads as usize,
                self.sources.waiting(),
            ),
            Used::of_places(
                self.remotes.under_way(),
                limits.backend_call_threads as usize,
                self.remotes.waiting(),
            ),
            Used::new(proofs, proofs_max),
            Used::new(self.tickets.len(), TICKETS_MAX),
            Used::new(net.all_waiting_bytes(), net.all_waiting_bytes_max()),
            Used::new(self.calls.len(), HTTP_CALLS_MAX),
            Used::new(self.at_store, STORE_QUEUE_MAX),
            Used::new(self.verifier.revocations().len(), REVOCATIONS_MAX),
            disk,
        ]
    }

    /// Looks whether a pool fills: at once, or a moment after the last time.
    pub(super) fn look_at_pools(&mut self, net: &mut Net<'_>) {
        match self.pools.is_due(net.now()) {
            Ok(()) => {
                let used = self.pools_used(net);
                self.pools.look(net.now(), &used);
            }
            Err(next) => net.wake_at(next),
        }
    }
}
