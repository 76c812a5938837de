//! The handlers that the configuration declares, and the state of each.

use crate::backend::{
    Cause, Circuit, CircuitSettings, CircuitState, FairQueue, HttpRequest, Pass, QueueBounds,
};
use crate::base::limits::HANDLER_WAITING_BYTES_MAX;
use crate::base::rates::Payer;
use crate::base::{ConnId, Limits, Moment, Origin, Shares};
use crate::config::BackendHandler;
use std::array::from_fn;
use std::sync::Arc;

/// All handlers, in the order in which they are searched for a type.
#[derive(Debug)]
pub(crate) struct Remotes {
    list: Vec<Remote>,
    /// The handler that is looked at first when a place is free.
    turn: usize,
    /// Requests under way at all handlers, also at those no longer declared.
    under_way: Shares<Payer>,
    under_way_max: u32,
    settings: CircuitSettings,
}

/// A handler.
#[derive(Debug)]
pub(super) struct Remote {
    /// It also names the handler, as long as its declaration does not change.
    pub(super) declared: Arc<BackendHandler>,
    circuit: Circuit,
    under_way: Shares<Payer>,
    /// Requests that wait for a place.
    line: FairQueue<Payer, BackendRequest>,
    waited: u64,
    turned_away: [u64; TURNED_AWAY.len()],
    counts: [u64; OUTCOMES.len()],
}

/// The results of requests, as the metrics name them, in the order of [`CallOutcome`].
const OUTCOMES: [&str; 4] = ["ok", "refused", "failed", "not_asked"];

/// Why requests were turned away, as the metrics name it: the queue was full, or they waited too
/// long.
const TURNED_AWAY: [&str; 2] = ["full", "late"];

/// The result of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallOutcome {
    /// The backend has answered it.
    Ok = 0,
    /// The backend has refused it.
    Refused = 1,
    /// The backend has failed.
    Failed = 2,
    /// It was not asked: the client has gone, or the circuit is open.
    NotAsked = 3,
}

/// The next request for which there is a place.
#[derive(Debug)]
pub(crate) enum NextRequest {
    /// It is asked, and counts as under way until [`Remotes::done`].
    Ask(RequestPlace, BackendRequest),
    /// The circuit is open; the backend is tried again in so many ms.
    CircuitOpen(BackendRequest, u64),
}

/// A request's place at a handler.
#[derive(Debug)]
pub(crate) struct RequestPlace {
    handler: Arc<BackendHandler>,
    pub(crate) payer: Payer,
    pass: Pass,
}

impl RequestPlace {
    /// The handler's first type, which names it.
    pub(crate) fn name(&self) -> &str {
        self.handler.name()
    }
}

/// The metrics of a handler.
#[derive(Clone, Debug, Default)]
pub(crate) struct RemoteMetrics {
    /// Its first type.
    pub(crate) handler: String,
    pub(crate) outcomes: [(&'static str, u64); OUTCOMES.len()],
    pub(crate) under_way: u64,
    pub(crate) waiting: u64,
    /// Requests that waited and were then asked.
    pub(crate) waited: u64,
    pub(crate) turned_away: [(&'static str, u64); TURNED_AWAY.len()],
    /// Its circuit is not closed.
    pub(crate) is_down: bool,
}

impl Remotes {
    pub(crate) fn new(limits: &Limits, declared: &[BackendHandler]) -> Remotes {
        let settings = CircuitSettings::from(limits);
        let under_way_max = limits.backend_call_threads;
        let (list, turn, under_way) = (Vec::new(), 0, Shares::default());
        let mut remotes = Remotes { list, turn, under_way, under_way_max, settings };
        let _nobody_waits_yet = remotes.declare(limits, declared);
        remotes
    }

    /// Takes a new configuration. Handlers with an unchanged declaration go on. Returns the
    /// requests that waited for removed ones.
    pub(crate) fn declare(
        &mut self,
        limits: &Limits,
        declared: &[BackendHandler],
    ) -> Vec<BackendRequest> {
        self.settings = CircuitSettings::from(limits);
        let mut before = std::mem::take(&mut self.list);
        for handler in declared {
            let place = before.iter().position(|old| *old.declared == *handler);
            let remote = place.map(|place| before.swap_remove(place)).unwrap_or_else(|| Remote {
                declared: Arc::new(handler.clone()),
                circuit: Circuit::default(),
                under_way: Shares::default(),
                line: FairQueue::default(),
                waited: 0,
                turned_away: [0; TURNED_AWAY.len()],
                counts: [0; OUTCOMES.len()],
            });
            self.list.push(remote);
        }
        before.iter_mut().flat_map(|remote| remote.line.drain()).collect()
    }

    fn get(&mut self, handler: &Arc<BackendHandler>) -> Option<&mut Remote> {
        self.list.iter_mut().find(|remote| Arc::ptr_eq(&remote.declared, handler))
    }

    /// Queues a request; [`Remotes::next`] may take it out at once. Returns the requests for which
    /// the queue has no room.
    pub(crate) fn wait(
        &mut self,
        kind: &str,
        payer: Payer,
        asking: BackendRequest,
    ) -> Vec<BackendRequest> {
        let (all, all_max) = (&self.under_way, self.under_way_max);
        let found = self.list.iter_mut().find(|remote| remote.declared.takes(kind));
        let Some(remote) = found else { return vec![asking] };
        let BackendHandler { waiting, waiting_ms, concurrency, .. } = *remote.declared;
        let (until, bytes) = (asking.since.plus_millis(waiting_ms), asking.bytes());
        // A request with a free place does not wait, so it needs no room, whatever its size.
        let room =
            if may_add(&remote.under_way, &payer, concurrency) && may_add(all, &payer, all_max) {
                QueueBounds { len: usize::MAX, bytes: usize::MAX }
            } else {
                QueueBounds { len: waiting as usize, bytes: HANDLER_WAITING_BYTES_MAX }
            };
        let out = remote.line.push(payer, (asking, bytes), until, room);
        remote.turned_away[0] += out.len() as u64;
        out
    }

    /// The next request for which there is a place. Handlers take turns, and so do payers; no payer
    /// has more places than are free.
    pub(crate) fn next(&mut self, now: Moment) -> Option<NextRequest> {
        // While a circuit is open, a request needs no place to be told so.
        for remote in &mut self.list {
            let Some(retry_after_ms) = remote.circuit.left_alone_ms(now) else { continue };
            let Some(asking) = remote.line.pop() else { continue };
            remote.counts[CallOutcome::NotAsked as usize] += 1;
            return Some(NextRequest::CircuitOpen(asking, retry_after_ms));
        }
        let (handlers, all_max) = (self.list.len(), self.under_way_max);
        let all = &mut self.under_way;
        for step in 0..handlers {
            let place = (self.turn + step) % handlers;
            let Some(remote) = self.list.get_mut(place) else { continue };
            let (own, own_max) = (&remote.under_way, remote.declared.concurrency);
            let may = |payer: &_| may_add(all, payer, all_max) && may_add(own, payer, own_max);
            let Some((payer, asking)) = remote.line.pop_of(may) else { continue };
            self.turn = place + 1;
            return Some(match remote.circuit.pass(now) {
                Ok(pass) => {
                    remote.under_way.add(&payer, 1);
                    all.add(&payer, 1);
                    let handler = Arc::clone(&remote.declared);
                    NextRequest::Ask(RequestPlace { handler, payer, pass }, asking)
                }
                Err(retry_after_ms) => {
                    remote.counts[CallOutcome::NotAsked as usize] += 1;
                    NextRequest::CircuitOpen(asking, retry_after_ms)
                }
            });
        }
        None
    }

    /// Counts a request that is asked now: it has waited if it came before.
    pub(crate) fn note_asked(&mut self, now: Moment, place: &RequestPlace, since: Moment) {
        if let Some(remote) = self.get(&place.handler) {
            remote.waited += u64::from(since < now);
        }
    }

    /// A connection has closed: its requests do not wait any more.
    pub(crate) fn forget(&mut self, conn: ConnId) {
        for remote in self.list.iter_mut().filter(|remote| !remote.line.is_empty()) {
            let gone = remote.line.forget(|asking| asking.origin.conn() == Some(conn));
            remote.counts[CallOutcome::NotAsked as usize] += gone.len() as u64;
        }
    }

    /// Takes out the requests that have waited as long as they may.
    pub(crate) fn late(&mut self, now: Moment) -> Vec<BackendRequest> {
        let of_one = |remote: &mut Remote| {
            let late = remote.line.late(now);
            remote.turned_away[1] += late.len() as u64;
            late
        };
        self.list.iter_mut().flat_map(of_one).collect()
    }

    /// When the next request has waited as long as it may.
    pub(crate) fn next_late(&self) -> Option<Moment> {
        self.list.iter().filter_map(|remote| remote.line.next_late()).min()
    }

    /// A request is over. If its handler is no longer declared, only its place among all is given
    /// back.
    pub(crate) fn done(
        &mut self,
        now: Moment,
        place: &RequestPlace,
        outcome: CallOutcome,
        cause: Cause,
    ) {
        let (settings, RequestPlace { handler, payer, pass }) = (self.settings, place);
        self.under_way.remove(payer, 1);
        let Some(remote) = self.get(handler) else { return };
        remote.under_way.remove(payer, 1);
        remote.counts[outcome as usize] += 1;
        let name = remote.declared.name();
        match outcome {
            CallOutcome::Ok | CallOutcome::Refused => {
                if remote.circuit.succeeded(pass) {
                    log::info!("the backend of {name} answers again");
                }
            }
            CallOutcome::Failed => {
                if remote.circuit.failed((pass, cause), now, settings) && !pass.is_trial {
                    log::warn!("the backend of {name} is left alone for {} ms", settings.open_ms);
                }
            }
            CallOutcome::NotAsked => remote.circuit.unused(pass),
        }
    }

    /// How many requests wait for a place.
    pub(crate) fn waiting(&self) -> usize {
        self.list.iter().map(|remote| remote.line.len()).sum()
    }

    /// How many requests are under way.
    pub(crate) fn under_way(&self) -> usize {
        usize::try_from(self.under_way.total()).unwrap_or(usize::MAX)
    }

    pub(crate) fn metrics(&self) -> Vec<RemoteMetrics> {
        let of_one = |remote: &Remote| {
            let (counts, turned_away) = (remote.counts, remote.turned_away);
            RemoteMetrics {
                waiting: remote.line.len() as u64,
                waited: remote.waited,
                turned_away: from_fn(|at| (TURNED_AWAY[at], turned_away[at])),
                handler: remote.declared.name().to_owned(),
                outcomes: from_fn(|at| (OUTCOMES[at], counts[at])),
                under_way: remote.under_way.total(),
                is_down: remote.circuit.state() != CircuitState::Closed,
            }
        };
        self.list.iter().map(of_one).collect()
    }
}

/// Whether a payer may have one more of `max` places. Users and addresses get a share, others any
/// place that is free.
fn may_add(under_way: &Shares<Payer>, payer: &Payer, max: u32) -> bool {
    match payer {
        Some(_) => under_way.may_add(payer, max.into()),
        None => under_way.total() < max.into(),
    }
}

impl NextRequest {
    /// The thread that has the client.
    pub(crate) fn thread(&self) -> usize {
        let (NextRequest::Ask(_, asking) | NextRequest::CircuitOpen(asking, _)) = self;
        asking.thread
    }
}

/// A request for the backend that waits for a place.
#[derive(Debug)]
pub(crate) struct BackendRequest {
    pub(crate) request: HttpRequest,
    /// How long to wait for the answer, in ms, and its maximum in bytes.
    pub(crate) bounds: (u64, usize),
    pub(crate) origin: Origin,
    /// The thread that has the client.
    pub(crate) thread: usize,
    /// When it came.
    pub(crate) since: Moment,
}

impl BackendRequest {
    /// About how many bytes it occupies.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<BackendRequest>() + self.request.body.as_ref().map_or(0, Vec::len)
    }

    #[cfg(test)]
    pub(crate) fn of_test(url: &str, since: Moment) -> BackendRequest {
        let request = HttpRequest { url: url.into(), fields: Vec::new(), body: Some(Vec::new()) };
        BackendRequest { request, bounds: (0, 0), origin: Origin::Call(0), thread: 0, since }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::UserId;
    use proptest::prelude::*;

    impl Remotes {
        /// The handler for a type: the first that takes it.
        fn find(&self, kind: &str) -> Option<Arc<BackendHandler>> {
            let remote = self.list.iter().find(|remote| remote.declared.takes(kind));
            remote.map(|remote| Arc::clone(&remote.declared))
        }
    }

    fn remotes(handlers: &[BackendHandler]) -> Remotes {
        Remotes::new(&Limits::default(), handlers)
    }

    fn asking(user: &str, ms: u64) -> BackendRequest {
        BackendRequest::of_test(user, Moment::from_millis(ms))
    }

    fn payer(user: &str) -> Payer {
        UserId::parse(user).ok().map(crate::base::rates::Asker::User)
    }

    fn wait(remotes: &mut Remotes, kind: &str, user: &str) -> Vec<BackendRequest> {
        remotes.wait(kind, payer(user), asking(user, 0))
    }

    /// Ends a request whose failure only the backend could cause.
    fn done(remotes: &mut Remotes, now: Moment, place: &RequestPlace, outcome: CallOutcome) {
        remotes.done(now, place, outcome, Cause::Backend);
    }

    /// Queues one request, and takes the next.
    fn begin(
        remotes: &mut Remotes,
        now: Moment,
        (kind, user): (&str, &str),
    ) -> Result<RequestPlace, Option<u64>> {
        assert!(wait(remotes, kind, user).is_empty());
        match remotes.next(now) {
            Some(NextRequest::Ask(place, _)) => Ok(place),
            Some(NextRequest::CircuitOpen(_, retry_after_ms)) => Err(Some(retry_after_ms)),
            None => Err(None),
        }
    }

    #[test]
    fn so_many_are_under_way_and_the_next_waits_for_its_turn() {
        let mut handler = BackendHandler::new(&["a.*"], "http://a/");
        (handler.concurrency, handler.waiting, handler.waiting_ms) = (2, 2, 50);
        let mut remotes = remotes(&[handler]);
        let now = Moment::ZERO;
        assert_eq!(wait(&mut remotes, "b", "ada").len(), 1, "nobody is for it");
        let place = begin(&mut remotes, now, ("a.1", "ada")).unwrap();
        let _two_are_under_way = begin(&mut remotes, now, ("a.2", "cem")).unwrap();
        for (user, out) in [("ada", 0), ("ada", 0), ("ada", 1), ("bob", 0)] {
            // Bob has no waiting request, so his replaces one of ada's.
            let out = if user == "bob" { 1 } else { out };
            assert_eq!(wait(&mut remotes, "a.3", user).len(), out, "{user}");
        }
        assert!(remotes.next(now).is_none());
        done(&mut remotes, now, &place, CallOutcome::Ok);
        let later = Moment::from_millis(20);
        assert!(matches!(remotes.next(later), Some(NextRequest::Ask(..))));
        assert!(remotes.next(later).is_none());
        assert_eq!(remotes.next_late(), Some(Moment::from_millis(50)));
        assert_eq!(remotes.late(Moment::from_millis(50)).len(), 1);
        let metrics = remotes.metrics().remove(0);
        assert_eq!((metrics.under_way, metrics.waiting, metrics.is_down), (2, 0, false));
        assert_eq!((metrics.waited, metrics.turned_away), (0, [("full", 2), ("late", 1)]));
        assert_eq!(metrics.outcomes.map(|(_, count)| count), [1, 0, 0, 0]);
    }

    #[test]
    fn handlers_share_the_threads_in_turns() {
        let one = BackendHandler::new(&["a"], "http://a/");
        let other = BackendHandler::new(&["b"], "http://b/");
        let limits = Limits { backend_call_threads: 1, ..Limits::default() };
        let mut remotes = Remotes::new(&limits, &[one, other]);
        let now = Moment::ZERO;
        for kind in ["a", "a", "b"] {
            assert!(wait(&mut remotes, kind, "ada").is_empty());
        }
        let mut asked = Vec::new();
        while let Some(NextRequest::Ask(place, _)) = remotes.next(now) {
            assert!(remotes.next(now).is_none());
            asked.push(place.handler.url.to_string());
            done(&mut remotes, now, &place, CallOutcome::Ok);
        }
        assert_eq!(asked, ["http://a/", "http://b/", "http://a/"]);
    }

    #[test]
    fn a_backend_that_fails_is_left_alone_and_refusals_are_no_failures() {
        let mut remotes = remotes(&[BackendHandler::new(&["a"], "http://a/")]);
        let mut end = |now: u64, outcome| {
            let now = Moment::from_millis(now);
            match begin(&mut remotes, now, ("a", "ada")) {
                Ok(place) => {
                    done(&mut remotes, now, &place, outcome);
                    None
                }
                Err(retry_after_ms) => retry_after_ms,
            }
        };
        for _ in 0..9 {
            assert_eq!(end(0, CallOutcome::Failed), None);
        }
        assert_eq!(end(0, CallOutcome::Refused), None);
        for _ in 0..10 {
            assert_eq!(end(0, CallOutcome::Failed), None);
        }
        assert_eq!(end(1_000, CallOutcome::Ok), Some(29_000));
        assert_eq!(end(30_000, CallOutcome::Ok), None);
        assert_eq!(end(30_000, CallOutcome::Ok), None);
    }

    #[test]
    fn what_is_declared_as_before_goes_on_and_what_has_gone_is_nobody() {
        let (one, other) =
            (BackendHandler::new(&["a"], "http://a/"), BackendHandler::new(&["b"], "http://b/"));
        let mut remotes = remotes(&[one.clone(), other.clone()]);
        let now = Moment::ZERO;
        let of_one = begin(&mut remotes, now, ("a", "ada")).unwrap();
        let of_other = begin(&mut remotes, now, ("b", "ada")).unwrap();
        for kind in ["a", "b"] {
            assert!(wait(&mut remotes, kind, "ada").is_empty());
        }
        assert_eq!(remotes.declare(&Limits::default(), &[other]).len(), 1, "what waited for it");
        done(&mut remotes, now, &of_one, CallOutcome::Failed);
        assert!(remotes.find("a").is_none() && remotes.find("b").is_some());
        assert_eq!((remotes.metrics()[0].under_way, remotes.metrics()[0].waiting), (1, 1));
        assert!(Arc::ptr_eq(&remotes.list[0].declared, &of_other.handler));
        assert_eq!(remotes.under_way.total(), 1);
    }

    #[test]
    fn whoever_asks_slowly_leaves_places_to_others_and_those_without_a_share_have_all() {
        let (one, other) =
            (BackendHandler::new(&["a"], "http://a/"), BackendHandler::new(&["b"], "http://b/"));
        let limits = Limits { backend_call_threads: 12, ..Limits::default() };
        let mut remotes = Remotes::new(&limits, &[one, other]);
        let now = Moment::ZERO;
        let mut held = Vec::new();
        let mut begins = |kind, user: &str| {
            assert!(wait(&mut remotes, kind, user).is_empty());
            let mut begun = 0;
            while let Some(NextRequest::Ask(place, _)) = remotes.next(now) {
                held.push(place);
                begun += 1;
            }
            begun
        };
        let mut all_of = |kind, user| (0..9).map(|_| begins(kind, user)).sum::<u32>();
        assert_eq!(all_of("a", "mallory"), 4, "half of the handler's");
        assert_eq!(all_of("b", "mallory"), 2, "half of all threads");
        assert_eq!(all_of("a", "ada"), 2);
        assert_eq!(all_of("a", "bob"), 1);
        assert_eq!(all_of("a", ""), 1, "the embedding program is nobody");
        let place = held.iter().position(|place| place.payer == payer("mallory")).unwrap();
        done(&mut remotes, now, &held.swap_remove(place), CallOutcome::Ok);
        let Some(NextRequest::Ask(next, _)) = remotes.next(now) else { panic!("a place is free") };
        assert_ne!(next.payer, payer("mallory"));
    }

    #[test]
    fn what_one_user_provokes_leaves_the_backend_to_the_others() {
        let mut remotes = remotes(&[BackendHandler::new(&["a"], "http://a/")]);
        let now = Moment::ZERO;
        let mut fail = |user| {
            let place = begin(&mut remotes, now, ("a", user))?;
            remotes.done(now, &place, CallOutcome::Failed, Cause::Asker(user.len() as u64));
            Ok::<_, Option<u64>>(())
        };
        for _ in 0..40 {
            assert_eq!(fail("mallory"), Ok(()));
        }
        assert_eq!(fail("ada"), Ok(()));
        assert_eq!(fail("ada"), Err(Some(30_000)), "of two it is the backend's doing");
    }

    proptest! {
        /// Others ask without a pause, and the answers are slow. A user who asks for no more than a
        /// fair share of the places has at least half of it, over a time in which each place was
        /// given back many times. A fifth of it is allowed for the beginning, and for own requests
        /// that happen to be answered sooner than those of others.
        #[test]
        fn the_modest_have_half_of_a_fair_share(
            places in 1u32..12,
            greedy in 1usize..6,
            takes in prop::collection::vec(20u64..400, 64),
            head_start in 0u64..2_000,
        ) {
            const END: u64 = 20_000;
            const STEP: u64 = 10;
            let mut handler = BackendHandler::new(&["a"], "http://a/");
            (handler.concurrency, handler.waiting, handler.waiting_ms) = (places, 1_000, 60_000);
            let mut remotes = remotes(&[handler]);
            let names: Vec<String> = (0..=greedy).map(|number| format!("u{number}")).collect();
            let (modest, mut under_way) = (names.len() - 1, Vec::<(u64, RequestPlace)>::new());
            let fair = f64::from(places) / names.len() as f64;
            let mut outstanding = vec![0; names.len()];
            let (mut begun, mut held) = (0, 0u64);
            for now in (0..END).step_by(STEP as usize) {
                let moment = Moment::from_millis(now);
                let (over, rest) = under_way.into_iter().partition(|(until, _)| *until <= now);
                under_way = rest;
                let over: Vec<(u64, RequestPlace)> = over;
                for (_, place) in over {
                    let asker = names.iter().position(|name| payer(name) == place.payer).unwrap();
                    outstanding[asker] -= 1;
                    done(&mut remotes, moment, &place, CallOutcome::Ok);
                }
                for (asker, name) in names.iter().enumerate() {
                    let most = if asker == modest { fair.ceil() as u32 } else { 4 * places };
                    let may = asker != modest || now >= head_start;
                    while may && outstanding[asker] < most {
                        prop_assert!(remotes.wait("a", payer(name), asking(name, now)).is_empty());
                        outstanding[asker] += 1;
                    }
                }
                while let Some(NextRequest::Ask(place, _)) = remotes.next(moment) {
                    begun += 1;
                    under_way.push((now + takes[begun % takes.len()], place));
                }
                let of_modest = under_way.iter().filter(|(_, place)| place.payer == payer(&names[modest]));
                held += if now >= head_start { of_modest.count() as u64 * STEP } else { 0 };
            }
            let had = held as f64 / (END - head_start) as f64;
            prop_assert!(had >= fair / 2.0 * 0.8, "{had} of {fair}, with {places} places and {greedy} others");
        }
    }
}
