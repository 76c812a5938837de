//! What the threads of a server have in common beside their store, as far as it is of the chat: what
//! holds for a user or an address holds on whichever thread they are.

use super::pace::Budgets;
use crate::auth::failed_proofs::FailedProofs;
use crate::base::limits::STORERS_MAX;
use crate::base::rates::Rates;
use crate::base::{Chance, StreamState};
use crate::config::Config;
use crate::hub::Common;
use crate::server::events::Tickets;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
}

impl Team {
    /// What so many threads have in common, with the streams of their store; `seed` is for hashing
    /// and for epochs.
    #[must_use]
    pub fn new(config: &Config, streams: Vec<StreamState>, threads: usize, seed: u64) -> Team {
        let mut chance = Chance::new(seed);
        let hubs = Common::new(&config.settings(), streams, threads, chance.next_u64());
        Team::of(hubs, chance.next_u64())
    }

    /// What threads have in common whose hubs have this.
    pub(super) fn of(hubs: Common, seed: u64) -> Team {
        Team {
            hubs,
            budgets: Arc::new(Budgets::new(seed)),
            stored: Arc::new(Rates::new(STORERS_MAX, seed)),
            failed_proofs: Arc::new(FailedProofs::new(seed)),
            tickets: Arc::default(),
        }
    }

    // Whoever panics while they hold this leaves nothing half done.
    pub(super) fn tickets(&self) -> MutexGuard<'_, Tickets> {
        self.tickets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
