//! What the threads of a server have in common beside their store, as far as it is of the chat: what
//! holds for a user or an address holds on whichever thread they are.

use super::pace::Budgets;
use super::sessions::SessionCounts;
use crate::auth::failed_proofs::FailedProofs;
use crate::base::limits::STORERS_MAX;
use crate::base::rates::Rates;
use crate::base::{Chance, Limits, StreamState};
use crate::config::Config;
use crate::hub::Common;
use crate::reactor::Wake;
use crate::server::events::Tickets;
use crate::server::sources::Sources;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// What threads have in common.
#[derive(Clone, Debug)]
pub struct Team {
    pub(super) hubs: Common,
    pub(super) budgets: Arc<Budgets>,
    /// What users store.
    pub(super) stored: Arc<Rates>,
    /// Proofs that failed, by address.
    pub(super) failed_proofs: Arc<FailedProofs>,
    tickets: Arc<Mutex<Tickets>>,
    pub(super) sessions: Arc<Mutex<SessionCounts>>,
    /// What feeds streams beside clients. Whoever has it asks for no lock of the hubs.
    sources: Arc<Mutex<Sources>>,
    /// Wakes the first thread, which polls for all.
    first: Arc<OnceLock<Wake>>,
}

impl Team {
    /// What so many threads have in common, with the streams of their store; `seed` is for hashing
    /// and for epochs.
    #[must_use]
    pub fn new(config: &Config, streams: Vec<StreamState>, threads: usize, seed: u64) -> Team {
        let mut chance = Chance::new(seed);
        let hubs = Common::new(&config.settings(), streams, threads, chance.next_u64());
        Team::of(hubs, &config.limits, chance.next_u64())
    }

    /// What threads have in common whose hubs have this.
    pub(super) fn of(hubs: Common, limits: &Limits, seed: u64) -> Team {
        Team {
            hubs,
            budgets: Arc::new(Budgets::new(seed)),
            stored: Arc::new(Rates::new(STORERS_MAX, seed)),
            failed_proofs: Arc::new(FailedProofs::new(seed)),
            tickets: Arc::default(),
            sessions: Arc::default(),
            sources: Arc::new(Mutex::new(Sources::new(limits))),
            first: Arc::default(),
        }
    }

    /// The first thread begins.
    pub(super) fn begins(&self, wake: &Wake) {
        // Nobody sets it twice.
        let _ = self.first.set(wake.clone());
    }

    pub(super) fn wake_first(&self) {
        if let Some(wake) = self.first.get() {
            wake.wake();
        }
    }

    /// A thread that panics while it holds this ends the process.
    pub(super) fn sources(&self) -> MutexGuard<'_, Sources> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // Whoever panics while they hold this leaves nothing half done.
    pub(super) fn tickets(&self) -> MutexGuard<'_, Tickets> {
        self.tickets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
