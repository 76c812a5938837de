//! The chat server as an application of WebSockets: sessions between the wire and the hub.

use super::apply::Decisions;
use super::audit::Audit;
use super::calls::Calls;
use super::drain::StopStage;
use super::errands::JobPurpose;
use super::paths::PathCalls;
use super::scan_queue::ScanQueue;
use super::session::{Session, SessionPhase, SignedIn};
use super::sessions::Sessions;
use super::state::CachedReadiness;
use super::store_client::StoreClient;
use super::storing::Stored;
use super::surveys::Surveys;
use super::team::{Seat, Team};
use super::vitals::Vitals;
use crate::auth::failed_proofs::FailedProofs;
use crate::auth::{Keys, Verifier};
use crate::backend::{Finish, Outbound};
use crate::base::{Chance, ConnId, Moment, Snapshot, WallClock};
use crate::config::{Config, Listener, https_port};
use crate::http1::{RequestHead, Response};
use crate::hub::{Hub, Input};
use crate::server::embed::Paths;
use crate::server::embed::call_queue::ServerThread;
use crate::server::embed::challenges::Challenges;
use crate::server::embed::handler::Registered;
use crate::server::embed::shared::Shared;
use crate::server::http::{Visitor, sealed, with_fallback};
use crate::server::metrics::Counters;
use crate::server::metrics::pools::Pools;
use crate::server::proof::SenderResult;
use crate::store::{RecordStore, Store};
use crate::web::{
    Application, Exchange, HttpAnswer, Message, Net, SocketEnd, Web, WebConfig, WebRequest,
};
use crate::wire::close_codes::{AUTH_TIMEOUT, SLOW, TOKEN_EXPIRED};
use crate::wire::server_encode;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// How long before its expiry a token's end is announced.
const EXPIRY_NOTICE_MS: i64 = 60_000;

/// The chat server on a store. [`Server`](super::super::Server) puts it on the real store and on
/// sockets.
#[derive(Debug)]
pub struct Chat<S = Store> {
    pub(super) config: Config,
    /// What it has in common with the server's other threads.
    pub(super) team: Team,
    /// Which of the threads it is on. The first one does what is done once.
    pub(super) number: usize,
    pub(super) verifier: Verifier,
    pub(super) hub: Hub,
    pub(super) store_client: StoreClient<S>,
    pub(super) shared: Arc<Shared>,
    pub(super) handlers: HashMap<String, Registered>,
    pub(super) sessions: Sessions,
    pub(super) decisions: Decisions,
    pub(super) calls: Calls,
    /// All listeners; there is at least one.
    pub(super) listeners: Vec<Listener>,
    pub(super) https_port: Option<u16>,
    /// Reads challenges, for a server with a listener that serves them.
    pub(super) challenges: Option<Challenges>,
    /// Who waits to have events compared with filters.
    pub(super) scan_queue: ScanQueue,
    /// What users store.
    pub(super) stored: Stored,
    /// The pools, and whether they fill up.
    pub(super) pools: Pools,
    /// The embedding program's paths.
    pub(super) paths: Paths,
    pub(super) path_calls: PathCalls,
    /// Who sends requests that are handed over again in this turn.
    pub(super) senders: BTreeMap<Exchange, SenderResult>,
    /// The jobs for the application's backend.
    pub(super) outbound: Outbound<JobPurpose>,
    /// The last answer of `/readyz`.
    pub(super) cached_readiness: Option<CachedReadiness>,
    pub(super) counters: Counters,
    pub(super) vitals: Vitals,
    /// What was asked of other threads.
    pub(super) surveys: Surveys,
    pub(super) audit: Audit,
    pub(super) failed_proofs: FailedProofs,
    /// The hub has looked for what became due before the start.
    has_begun: bool,
    pub(super) stopping: Option<StopStage>,
    pub(super) started: Moment,
}

/// What the connections go by.
fn web_config(config: &Config, listeners: &[Listener], team: &Team) -> WebConfig {
    WebConfig {
        limits: config.limits.clone(),
        compression: config.compression.enabled.then_some(config.compression.codecs),
        proxies: config.proxies.clone(),
        listeners: listeners.iter().map(Listener::own_rules).collect(),
        common: Some(team.web.clone()),
    }
}

impl<S: RecordStore> Chat<S> {
    /// Builds what answers requests and speaks with WebSockets, from what the store remembers:
    /// everything but the sockets and the store's own work. `config` has been checked, `keys` were
    /// read from its sources, `listeners` are its own, with the addresses at which they listen, and
    /// `started` is now. A chat that is not alone gets no streams of the snapshot: its team has them.
    /// `seed` is for hashing, jitter and made-up
    /// names: the same seed and the same calls give the same results.
    pub fn build(
        config: Config,
        listeners: Vec<Listener>,
        keys: Keys,
        (store, snapshot): (S, Snapshot),
        seat: Seat<'_>,
        started: Moment,
        seed: u64,
    ) -> Web<Chat<S>> {
        let mut verifier = Verifier::new(keys, config.expected());
        verifier.set_others(config.authenticate.is_some() || config.auth_url.is_some());
        for revocation in &snapshot.revocations {
            verifier.revocations_mut().insert(revocation);
        }
        let mut chance = Chance::new(seed);
        let of_rooms = snapshot.rooms.iter().map(|room| room.ts);
        let of_streams = snapshot.streams.iter().map(|stream| stream.ts);
        let newest = of_rooms.chain(of_streams).max();
        let mut hub = Hub::new(config.settings(), snapshot, chance.next_u64());
        let team_seed = chance.next_u64();
        let (team, number) = match seat {
            Seat::Alone(wake) => {
                let hubs = hub.common().clone();
                (Team::of(hubs, &config, &listeners, vec![wake], team_seed), 0)
            }
            Seat::Of(team, number) => {
                hub.join_others(team.hubs.clone(), number, store.told_count());
                (team.clone(), number)
            }
        };
        // A room or stream without an entry has the time 0.
        let newest = newest.max(team.newest_event).filter(|ts| ts.0 > 0);
        let shared = Arc::clone(&team.shared);
        let web_config = web_config(&config, &listeners, &team);
        let web_seed = chance.next_u64();
        let of_jobs = Arc::clone(&shared);
        let finish: Arc<Finish> = Arc::new(move |id, outcome| {
            let thread = of_jobs.thread(number);
            thread.queue().outcomes.push((id, outcome));
            thread.wake.wake();
        });
        let outbound = Outbound::new(&config.limits, finish, chance.next_u64());
        let chat = Chat {
            sessions: Sessions::new(&team.sessions),
            failed_proofs: FailedProofs::of(Arc::clone(&team.failed_proofs)),
            store_client: StoreClient::new(store, Arc::clone(&team.refused)),
            team,
            number,
            verifier,
            hub,
            shared,
            handlers: HashMap::new(),
            decisions: Decisions::new(WallClock::new(newest)),
            calls: Calls::default(),
            https_port: https_port(&listeners),
            challenges: None,
            listeners,
            scan_queue: ScanQueue::default(),
            stored: Stored::default(),
            pools: Pools::default(),
            paths: Paths::default(),
            path_calls: PathCalls::default(),
            senders: BTreeMap::new(),
            config,
            outbound,
            cached_readiness: None,
            counters: Counters::default(),
            vitals: Vitals::default(),
            surveys: Surveys::default(),
            audit: Audit::default(),
            has_begun: false,
            stopping: None,
            started,
        };
        Web::new(chat, web_config, web_seed)
    }

    /// Its listeners.
    pub(crate) fn listeners(&self) -> &[Listener] {
        &self.listeners
    }

    /// Its store.
    pub fn store(&mut self) -> &mut S {
        &mut self.store_client.store
    }

    /// Its thread, as others reach it.
    pub(super) fn thread(&self) -> &ServerThread {
        self.shared.thread(self.number)
    }

    /// The state of rooms and users.
    pub fn hub(&self) -> &Hub {
        &self.hub
    }

    /// The user or guest on a connection, if known.
    pub(super) fn signed_in(&self, conn: ConnId) -> Option<&SignedIn> {
        self.sessions.get(conn)?.signed_in()
    }

    /// Sets a session's next deadline.
    pub(super) fn arm(&mut self, net: &mut Net<'_>, conn: ConnId) {
        let (now, timestamp) = (net.now(), net.timestamp());
        let leeway_ms = self.verifier.leeway_ms();
        let Some(session) = self.sessions.get_mut(conn) else { return };
        let of_phase = match &session.phase {
            SessionPhase::Anonymous { deadline, .. } => *deadline,
            SessionPhase::Arriving(_) => Moment::NEVER,
            SessionPhase::Known(known) => match known.expires() {
                None => Moment::NEVER,
                Some(expires) => {
                    let last = if known.is_expiry_told { leeway_ms } else { -EXPIRY_NOTICE_MS };
                    let left = expires.0.saturating_add(last).saturating_sub(timestamp.0);
                    now.plus_millis(u64::try_from(left).unwrap_or(0))
                }
            },
        };
        // That time may have come, and the timer not yet.
        let unread_until = Some(session.unread_until()).filter(|until| *until > Moment::ZERO);
        let deadline = of_phase.min(session.anonymous_deadline());
        let deadline = unread_until.map_or(deadline, |until| deadline.min(until));
        if deadline != Moment::NEVER {
            net.set_deadline(conn, deadline);
        }
    }
}

impl<S: RecordStore> Application for Chat<S> {
    fn request(
        &mut self,
        net: &mut Net<'_>,
        exchange: Exchange,
        request: &WebRequest<'_>,
    ) -> HttpAnswer {
        self.hear_first(net);
        self.answered(net, exchange, request)
    }

    fn body_bytes_max(&self, head: &RequestHead<'_>, usual: usize) -> usize {
        self.content_bytes_max(head, usual)
    }

    fn before_body(
        &mut self,
        net: &mut Net<'_>,
        conn: ConnId,
        peer: IpAddr,
        head: &RequestHead<'_>,
    ) -> Option<Response> {
        self.refused_before_body(net, conn, peer, head)
    }

    fn adjust_unread_refusal(&self, response: Response) -> Response {
        with_fallback(response)
    }

    fn sealed(&self, response: Response) -> Response {
        sealed(response)
    }

    fn opened(&mut self, net: &mut Net<'_>, conn: ConnId) {
        let Some(session) = self.sessions.get_mut(conn) else { return };
        let resumes = session.is_announcing_resume;
        let SessionPhase::Arriving(arriving) = &mut session.phase else {
            self.arm(net, conn);
            return;
        };
        let (name, listen_target) = (arriving.name.take(), arriving.listen_target.take());
        session.phase = SessionPhase::Known(arriving.known.clone());
        self.arrived(net, conn);
        match listen_target {
            None => self.let_in(net, conn, name, resumes),
            Some(what) => self.begin_events(net, conn, name, what),
        }
    }

    fn message(&mut self, net: &mut Net<'_>, conn: ConnId, message: Message<'_>) {
        self.hear_first(net);
        match self.visitor(conn) {
            Some(Visitor::Watch(_)) => self.ignore_message(net, conn),
            Some(Visitor::Own(_)) => self.own_message(net, conn, message),
            None => self.received(net, conn, message),
        }
    }

    fn took_bytes(&mut self, net: &mut Net<'_>, conn: ConnId, bytes: usize) {
        self.spend_bytes(net, conn, bytes);
    }

    fn closed(&mut self, net: &mut Net<'_>, conn: ConnId, over: SocketEnd) {
        self.note_departure(net, conn, over);
        self.counters.closed(over);
        let session = self.sessions.remove(conn);
        self.audit.forget(conn);
        let visitor = session.as_ref().and_then(|session| session.signed_in()?.visitor.as_deref());
        if let Some(Visitor::Own(own)) = visitor {
            self.own_closed(net, own, over);
        }
        let counted = session.filter(|session| session.is_counted);
        if let Some(known) = counted.as_ref().and_then(Session::signed_in) {
            self.index_departure(&known.user);
        }
        self.team.remotes().forget(conn);
        self.scan_queue.forget(conn);
        self.decide(net, Input::Disconnected { conn });
    }

    fn deadline(&mut self, net: &mut Net<'_>, conn: ConnId) {
        let (now, timestamp) = (net.now(), net.timestamp());
        let leeway_ms = self.verifier.leeway_ms();
        let Some(session) = self.sessions.get_mut(conn) else { return };
        session.end_pause(now);
        let due = session.due_anonymous(now);
        let mut tells_expiry = None;
        match &mut session.phase {
            SessionPhase::Anonymous { deadline, .. } if *deadline <= now => {
                self.close_with(net, conn, AUTH_TIMEOUT, "no token arrived in time");
                return;
            }
            SessionPhase::Anonymous { .. } | SessionPhase::Arriving(_) => {}
            SessionPhase::Known(known) => {
                if let Some(expires) = known.expires() {
                    if timestamp.0 >= expires.0.saturating_add(leeway_ms) {
                        self.close_with(net, conn, TOKEN_EXPIRED, "the token has expired");
                        return;
                    }
                    if timestamp.0 >= expires.0.saturating_sub(EXPIRY_NOTICE_MS)
                        && !known.is_expiry_told
                    {
                        known.is_expiry_told = true;
                        tells_expiry = Some(expires);
                    }
                }
            }
        }
        // It may have been left unread until now.
        self.settle_pause(net, conn);
        if let Some(error) = due {
            self.say(net, conn, &error.to_message(None));
        }
        if let Some(expires) = tells_expiry.filter(|_| self.push_form(net, conn).has_envelopes()) {
            self.say(net, conn, &server_encode::token_expiring(expires));
        }
        self.arm(net, conn);
    }

    fn beat(&mut self, net: &mut Net<'_>, conn: ConnId) {
        self.keep_alive(net, conn);
    }

    fn drained(&mut self, net: &mut Net<'_>, conn: ConnId) {
        self.decide(net, Input::Drained { conn });
    }

    fn stalled(&mut self, net: &mut Net<'_>, conn: ConnId) {
        self.close_with(net, conn, SLOW, "you have not read what waits for you for too long");
    }

    fn woken(&mut self, net: &mut Net<'_>) {
        if self.shared.has_died() {
            // What they have in common is in doubt. What was acknowledged is on disk.
            log::error!("another thread has ended after an internal error");
            return net.stop_by(net.now());
        }
        self.thread().has_turned.store(true, Ordering::Release);
        // The first time before anybody is greeted: removes what became too old while nobody
        // served.
        if !std::mem::replace(&mut self.has_begun, true) {
            self.decide(net, Input::Woken);
            self.declare_sources(net);
        }
        self.take_told(net);
        self.take_calls(net);
        self.run_errands(net);
        self.advance_stop(net);
    }

    fn turned(&mut self, net: &mut Net<'_>) {
        if self.store_client.store.turn_ends() {
            self.take_told(net);
            self.advance_stop(net);
        }
        if self.store_client.answers_soon(net.now()) {
            net.stay_awake();
        }
    }

    fn timer_fired(&mut self, net: &mut Net<'_>) {
        self.decide(net, Input::Woken);
        self.take_surveys(net);
        self.run_errands(net);
        self.advance_stop(net);
    }

    fn is_poisoned(&self) -> bool {
        self.decisions.is_under_way
    }
}
