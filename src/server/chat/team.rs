//! What the threads of a server have in common beside their store, as far as it is of the chat: what
//! holds for a user or an address holds on whichever thread they are.

use super::audit::AuditedRefusals;
use super::errands::DealtErrand;
use super::journal::Journal;
use super::pace::Budgets;
use super::sessions::SessionCounts;
use super::store_client::TAKES;
use super::surveys::SurveyDesk;
use crate::base::limits::{FAILED_PROOF_ADDRESSES_MAX, ISSUED_AHEAD_MS, STORERS_MAX};
use crate::base::rates::Rates;
use crate::base::{Chance, StreamState, Timestamp};
use crate::config::{Config, Listener};
use crate::hub::Common;
use crate::reactor::Wake;
use crate::server::embed::shared::Shared;
use crate::server::events::Tickets;
use crate::server::proof::Proofs;
use crate::server::remote::Remotes;
use crate::server::sources::Sources;
use crate::web::WebCommon;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
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
    pub(super) failed_proofs: Arc<Rates>,
    tickets: Arc<Mutex<Tickets>>,
    pub(super) sessions: Arc<Mutex<SessionCounts>>,
    pub(super) audited_refusals: Arc<AuditedRefusals>,
    /// The rates of the log's lines.
    pub(super) journal: Arc<Journal>,
    /// What feeds streams beside clients. Whoever has it asks for no lock of the hubs.
    sources: Arc<Mutex<Sources>>,
    /// The handlers at the application's backend.
    remotes: Arc<Mutex<Remotes>>,
    /// Who sends requests whose tokens do not say it.
    proofs: Arc<Mutex<Proofs>>,
    /// What one thread has found for another, by the number of that one: no more than waited in handlers'
    /// lines and for `auth.url`, which have bounds.
    dealt_errands: Arc<[Mutex<Vec<DealtErrand>>]>,
    pub(super) shared: Arc<Shared>,
    pub(super) web: WebCommon,
    /// By the number of the thread.
    survey_desks: Arc<[SurveyDesk]>,
    /// The newest time at which any thread has let somebody in without a token, or made a cookie, in
    /// ms since the Unix epoch.
    issued: Arc<AtomicI64>,
    /// When the newest event of the store's streams was published, where they are not a snapshot's.
    pub(super) newest_event: Option<Timestamp>,
    /// The number of the configuration that holds for all threads.
    configured: Arc<Mutex<u64>>,
    /// How many threads wait for nothing any more, at the end.
    settled: Arc<AtomicUsize>,
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
        let newest_event = streams.iter().map(|stream| stream.ts).max();
        let hubs = Common::new(&config.settings(), streams, wakes.len(), chance.next_u64());
        Team { newest_event, ..Team::of(hubs, config, listeners, wakes, chance.next_u64()) }
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
        let web = WebCommon::new(&rules, &config.limits, &wakes, seed);
        let survey_desks = wakes.iter().map(|_| SurveyDesk::default()).collect();
        let dealt_errands = wakes.iter().map(|_| Mutex::default()).collect();
        let shared = Shared::new(wakes, config);
        Team {
            hubs,
            budgets: Arc::new(Budgets::new(seed)),
            stored: Arc::new(Rates::new(STORERS_MAX, seed)),
            failed_proofs: Arc::new(Rates::new(FAILED_PROOF_ADDRESSES_MAX, seed)),
            tickets: Arc::default(),
            sessions: Arc::default(),
            audited_refusals: Arc::default(),
            journal: Arc::default(),
            sources: Arc::new(Mutex::new(Sources::new(&config.limits))),
            remotes: Arc::new(Mutex::new(Remotes::new(&config.limits, &config.handlers))),
            proofs: Arc::new(Mutex::new(Proofs::new(&config.limits))),
            dealt_errands,
            shared,
            web,
            survey_desks,
            issued: Arc::new(AtomicI64::new(i64::MIN)),
            newest_event: None,
            configured: Arc::default(),
            settled: Arc::default(),
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

    /// Something stands for somebody from this time on: the time of a thread's turn.
    pub(super) fn note_issued(&self, at: Timestamp) {
        self.issued.fetch_max(at.0, Ordering::AcqRel);
    }

    /// Not before anything that was issued, at the time of this turn: another thread's turn may have
    /// begun later.
    pub(super) fn until_now(&self, now: Timestamp) -> Timestamp {
        // A clock may have been ahead, and set back.
        let latest = Timestamp(now.0.saturating_add(ISSUED_AHEAD_MS));
        now.max(Timestamp(self.issued.load(Ordering::Acquire)).min(latest))
    }

    /// A thread that ends waits for nothing any more. The last one wakes the others.
    pub(super) fn settle(&self) {
        self.settled.fetch_add(1, Ordering::AcqRel);
        if self.is_settled() {
            self.shared.wake_all();
        }
    }

    /// Whether no thread waits for anything any more.
    pub(super) fn is_settled(&self) -> bool {
        self.settled.load(Ordering::Acquire) >= self.shared.len()
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

    /// Held while that changes. A thread that panics meanwhile ends the process.
    pub(super) fn configured(&self) -> MutexGuard<'_, u64> {
        self.configured.lock().unwrap_or_else(PoisonError::into_inner)
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
