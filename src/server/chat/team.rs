//! What the threads of a server have in common beside their store, as far as it is of the chat: what
//! holds for a user or an address holds on whichever thread they are.

use super::errands::DealtErrand;
use super::pace::Budgets;
use super::sessions::SessionCounts;
use super::store_client::TAKES;
use super::surveys::SurveyDesk;
use crate::auth::failed_proofs::FailedProofs;
use crate::base::limits::STORERS_MAX;
use crate::base::rates::Rates;
use crate::base::{Chance, StreamState};
use crate::config::{Config, Listener};
use crate::hub::Common;
use crate::reactor::Wake;
use crate::server::embed::shared::Shared;
use crate::server::events::Tickets;
use crate::server::proof::Proofs;
use crate::server::remote::Remotes;
use crate::server::sources::Sources;
use crate::web::Admissions;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Where a chat is: on a thread alone, which is woken so, or on that of a number among others.
#[derive(Debug)]
pub enum Seat<'a> {
    /// Alone.
    Alone(Wake),
    /// The thread of this number, below 64.
    Of(&'a Team, usize),
}

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
    /// The handlers at the application's backend.
    remotes: Arc<Mutex<Remotes>>,
    /// Who sends requests whose tokens do not say it.
    proofs: Arc<Mutex<Proofs>>,
    /// What one thread has found for another, by the number of that one.
    dealt_errands: Arc<[Mutex<Vec<DealtErrand>>]>,
    pub(super) shared: Arc<Shared>,
    pub(super) admissions: Admissions,
    /// By the number of the thread.
    survey_desks: Arc<[SurveyDesk]>,
    /// When the store has refused to write.
    pub(super) refused: Arc<AtomicU64>,
}

impl Team {
    /// What threads that are woken so have in common, with the streams of their store; `seed` is for
    /// hashing and for epochs.
    #[must_use]
    pub fn new(
        config: &Config,
        listeners: &[Listener],
        streams: Vec<StreamState>,
        wakes: Vec<Wake>,
        seed: u64,
    ) -> Team {
        let mut chance = Chance::new(seed);
        let hubs = Common::new(&config.settings(), streams, wakes.len(), chance.next_u64());
        Team::of(hubs, config, listeners, wakes, chance.next_u64())
    }

    /// What threads have in common whose hubs have this.
    pub(super) fn of(
        hubs: Common,
        config: &Config,
        listeners: &[Listener],
        wakes: Vec<Wake>,
        seed: u64,
    ) -> Team {
        let rules: Vec<_> = listeners.iter().map(Listener::own_rules).collect();
        let admissions = Admissions::new(&rules, &config.limits, seed);
        let survey_desks = wakes.iter().map(|_| SurveyDesk::default()).collect();
        let dealt_errands = wakes.iter().map(|_| Mutex::default()).collect();
        let shared = Shared::new(wakes, config);
        Team {
            hubs,
            budgets: Arc::new(Budgets::new(seed)),
            stored: Arc::new(Rates::new(STORERS_MAX, seed)),
            failed_proofs: Arc::new(FailedProofs::new(seed)),
            tickets: Arc::default(),
            sessions: Arc::default(),
            sources: Arc::new(Mutex::new(Sources::new(&config.limits))),
            remotes: Arc::new(Mutex::new(Remotes::new(&config.limits, &config.handlers))),
            proofs: Arc::new(Mutex::new(Proofs::new(&config.limits))),
            dealt_errands,
            shared,
            admissions,
            survey_desks,
            refused: Arc::new(AtomicU64::new(TAKES)),
        }
    }

    /// What other threads share with the server.
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// That of a thread; of the first, if there is no such thread.
    pub(super) fn survey_desk(&self, thread: usize) -> &SurveyDesk {
        self.survey_desks.get(thread).unwrap_or(&self.survey_desks[0])
    }

    /// The first thread polls for all.
    pub(super) fn wake_first(&self) {
        self.shared.thread(0).wake.wake();
    }

    /// As [`Team::sources`].
    pub(super) fn remotes(&self) -> MutexGuard<'_, Remotes> {
        self.remotes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As [`Team::sources`].
    pub(super) fn proofs(&self) -> MutexGuard<'_, Proofs> {
        self.proofs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What others have found for a thread; for the first, if there is no such thread.
    pub(super) fn dealt_errands(&self, thread: usize) -> MutexGuard<'_, Vec<DealtErrand>> {
        let desk = self.dealt_errands.get(thread).unwrap_or(&self.dealt_errands[0]);
        desk.lock().unwrap_or_else(PoisonError::into_inner)
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
