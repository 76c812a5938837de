//! Requests that wait for the backend to say who sends them. Addresses take turns, and none has
//! more places than are free.

use crate::auth::Identity;
use crate::backend::{Cause, Circuit, CircuitSettings, FairQueue, HttpRequest, Pass, QueueBounds};
use crate::base::limits::PROOFS_WAITING_MAX;
use crate::base::{Address, ConnId, Limits, Moment, Shares};
use crate::http1::Response;
use crate::web::Exchange;

/// What was found out about a request: who sends it, if anybody who is known, or its answer.
pub(crate) type SenderResult = Result<Option<Box<Identity>>, Response>;

/// Requests that wait, on all threads, and for which of them the backend is asked.
#[derive(Debug)]
pub(crate) struct Proofs {
    pub(crate) circuit: Circuit,
    line: FairQueue<Address, ProofRequest>,
    under_way: Shares<Address>,
    under_way_max: u64,
}

/// A request whose sender the backend is to name.
#[derive(Debug)]
pub(crate) struct ProofRequest {
    pub(crate) exchange: Exchange,
    pub(crate) request: HttpRequest,
    /// When nobody waits for it any more.
    pub(crate) until: Moment,
    /// It shows cookies and nothing else.
    pub(crate) has_only_cookies: bool,
}

/// A place among the requests for which the backend is asked.
#[derive(Debug)]
pub(crate) struct ProofPlace {
    pub(crate) address: Address,
    pass: Pass,
}

/// The next request for which there is a place.
#[derive(Debug)]
pub(crate) enum NextProof {
    /// The backend is asked: the place is taken until [`Proofs::done`] or [`Proofs::not_asked`].
    Ask(ProofPlace, ProofRequest),
    /// The circuit is open.
    CircuitOpen(ProofRequest),
}

impl Proofs {
    pub(crate) fn new(limits: &Limits) -> Proofs {
        Proofs {
            circuit: Circuit::default(),
            line: FairQueue::default(),
            under_way: Shares::default(),
            under_way_max: limits.auth_url_threads.into(),
        }
    }

    /// How many requests have a place or wait, and how many may.
    pub(crate) fn used(&self) -> (usize, usize) {
        let count = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        (
            count(self.under_way.total()) + self.line.len(),
            count(self.under_way_max) + PROOFS_WAITING_MAX,
        )
    }

    /// Whether none waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.line.is_empty()
    }

    /// If the queue is full, removes the requests of closed connections.
    pub(crate) fn make_room(&mut self, is_gone: impl Fn(ConnId) -> bool) {
        if self.line.len() >= PROOFS_WAITING_MAX {
            self.line.forget(|asking| is_gone(asking.exchange.conn()));
        }
    }

    /// Queues a request of an address; [`Proofs::next`] may take it out at once. Returns the
    /// requests for which the queue has no room.
    pub(crate) fn wait(&mut self, address: Address, asking: ProofRequest) -> Vec<ProofRequest> {
        let until = asking.until;
        let room = QueueBounds { len: PROOFS_WAITING_MAX, bytes: usize::MAX };
        self.line.push(address, (asking, 0), until, room)
    }

    pub(crate) fn next(&mut self, now: Moment) -> Option<NextProof> {
        if self.circuit.left_alone_ms(now).is_some() {
            return self.line.pop().map(NextProof::CircuitOpen);
        }
        let (under_way, max) = (&self.under_way, self.under_way_max);
        let (address, asking) = self.line.pop_of(|address| under_way.may_add(address, max))?;
        let Ok(pass) = self.circuit.pass(now) else { return Some(NextProof::CircuitOpen(asking)) };
        self.under_way.add(&address, 1);
        Some(NextProof::Ask(ProofPlace { address, pass }, asking))
    }

    /// Takes out the requests that have waited as long as they may.
    pub(crate) fn late(&mut self, now: Moment) -> Vec<ProofRequest> {
        self.line.late(now)
    }

    /// When the next request has waited as long as it may.
    pub(crate) fn next_late(&self) -> Option<Moment> {
        self.line.next_late()
    }

    /// The backend was not asked after all.
    pub(crate) fn not_asked(&mut self, place: &ProofPlace) {
        self.under_way.remove(&place.address, 1);
        self.circuit.unused(&place.pass);
    }

    /// The backend has answered, or failed.
    pub(crate) fn done(
        &mut self,
        place: &ProofPlace,
        now: Moment,
        limits: &Limits,
        failed: Option<Cause>,
    ) {
        let (settings, ProofPlace { address, pass }) = (CircuitSettings::from(limits), place);
        self.under_way.remove(address, 1);
        let has_opened =
            failed.is_some_and(|cause| self.circuit.failed((pass, cause), now, settings));
        if has_opened && !pass.is_trial {
            log::warn!("auth.url is left alone for {} ms", settings.open_ms);
        } else if failed.is_none() && self.circuit.succeeded(pass) {
            log::info!("auth.url answers again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn asking(number: usize) -> ProofRequest {
        ProofRequest {
            exchange: Exchange { conn: ConnId::new(number as u32, 0), number: 0 },
            request: HttpRequest { url: "http://a/".into(), fields: Vec::new(), body: None },
            until: Moment::from_millis(1_000_000),
            has_only_cookies: true,
        }
    }

    proptest! {
        /// Other addresses ask as much as they can, and the backend answers slowly. An address that
        /// asks for no more than a fair share of the places has at least half of it, over a time in
        /// which each place was given back often.
        #[test]
        fn the_modest_have_half_of_a_fair_share(
            places in 1u32..12,
            greedy in 1usize..6,
            takes in prop::collection::vec(20u64..400, 64),
        ) {
            const END: u64 = 20_000;
            const STEP: u64 = 10;
            let limits = Limits { auth_url_threads: places, ..Limits::default() };
            let mut proofs = Proofs::new(&limits);
            let address = |number: usize| Address::of([10, 0, 0, number as u8].into());
            let (askers, modest) = (greedy + 1, greedy);
            let fair = f64::from(places) / askers as f64;
            let mut outstanding = vec![0; askers];
            let mut under_way = Vec::<(u64, ProofPlace)>::new();
            let (mut begun, mut held) = (0, 0u64);
            for now in (0..END).step_by(STEP as usize) {
                let moment = Moment::from_millis(now);
                for (until, place) in std::mem::take(&mut under_way) {
                    if until > now {
                        under_way.push((until, place));
                        continue;
                    }
                    let asker = (0..askers).find(|asker| address(*asker) == place.address).unwrap();
                    outstanding[asker] -= 1;
                    proofs.done(&place, moment, &limits, None);
                }
                for (asker, outstanding) in outstanding.iter_mut().enumerate() {
                    let most = if asker == modest { fair.ceil() as u32 } else { 4 * places };
                    while *outstanding < most {
                        prop_assert!(proofs.wait(address(asker), asking(asker)).is_empty());
                        *outstanding += 1;
                    }
                }
                while let Some(NextProof::Ask(place, _)) = proofs.next(moment) {
                    begun += 1;
                    under_way.push((now + takes[begun % takes.len()], place));
                }
                let is_modest = |(_, place): &&(u64, ProofPlace)| place.address == address(modest);
                held += under_way.iter().filter(is_modest).count() as u64 * STEP;
            }
            let had = held as f64 / END as f64;
            prop_assert!(had >= fair / 2.0 * 0.9, "{had} of {fair}: {places} places, {greedy} others");
        }
    }
}
