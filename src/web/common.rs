//! What the reactors of a server have in common.

use super::admission::Admission;
use super::body_room::BodyRoom;
use super::idle::IdleConnections;
use super::listeners::ListenerRules;
use crate::base::limits::{
    BODIES_BYTES_MAX, BODIES_PER_ADDRESS_BYTES_MAX, LOG_REFUSALS_PER_SECOND,
};
use crate::base::{Limits, LineRate, ListenerId};
use crate::reactor::Wake;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

/// The connections that addresses have, which of them are idle, the memory of incomplete bodies and
/// of windows, and the rate of the log's lines.
#[derive(Clone, Debug)]
pub struct WebCommon(Arc<OfReactors>);

#[derive(Debug)]
struct OfReactors {
    rules: Vec<ListenerRules>,
    /// For the listeners with limits of their own; by listener.
    apart: Vec<Option<Admission>>,
    /// For all others.
    admission: Admission,
    body_room: BodyRoom,
    /// For lines about clients that are refused.
    refusal_lines: LineRate,
    idle: IdleConnections,
    /// The agreed size of the windows of permessage-deflate.
    windows_bytes: Arc<AtomicUsize>,
}

impl WebCommon {
    /// Nobody has any. Reactors are woken so, by their numbers; one that is alone need not be. `seed`
    /// is for hashing.
    #[must_use]
    pub fn new(rules: &[ListenerRules], limits: &Limits, wakes: &[Wake], seed: u64) -> WebCommon {
        let apart = |rules: &ListenerRules| {
            rules.counts_apart().then(|| Admission::new(&rules.limits(limits), seed))
        };
        WebCommon(Arc::new(OfReactors {
            rules: rules.to_vec(),
            apart: rules.iter().map(apart).collect(),
            admission: Admission::new(limits, seed),
            body_room: BodyRoom::new(BODIES_BYTES_MAX, BODIES_PER_ADDRESS_BYTES_MAX),
            refusal_lines: LineRate::new(LOG_REFUSALS_PER_SECOND),
            idle: IdleConnections::new(wakes),
            windows_bytes: Arc::default(),
        }))
    }

    /// Applies new limits to addresses; open connections stay.
    pub fn set_limits(&self, limits: &Limits) {
        self.0.admission.set_limits(limits);
        for (rules, apart) in self.0.rules.iter().zip(&self.0.apart) {
            if let Some(admission) = apart {
                admission.set_limits(&rules.limits(limits));
            }
        }
    }

    /// Counts the connections of a listener by their addresses.
    pub(super) fn admission(&self, listener: ListenerId) -> &Admission {
        let apart = self.0.apart.get(listener.index()).and_then(Option::as_ref);
        apart.unwrap_or(&self.0.admission)
    }

    pub(super) fn body_room(&self) -> &BodyRoom {
        &self.0.body_room
    }

    pub(super) fn idle(&self) -> &IdleConnections {
        &self.0.idle
    }

    pub(super) fn windows_bytes(&self) -> &Arc<AtomicUsize> {
        &self.0.windows_bytes
    }

    pub(super) fn refusal_lines(&self) -> &LineRate {
        &self.0.refusal_lines
    }
}
