//! Publishes how the server is, to its own stream.

use super::calls::CallWaiter;
use super::chat::Chat;
use super::surveys::{Survey, SurveyReader};
use crate::base::limits::{POOLS_CHECKED_MS, VITALS_EVERY_MS};
use crate::base::{Data, Moment, Origin, StreamId};
use crate::config::VITALS;
use crate::hub::Input;
use crate::hub::streams::Publisher;
use crate::server::metrics::pools::{POOLS, Used};
use crate::server::metrics::snapshot::MetricsSnapshot;
use crate::store::RecordStore;
use crate::web::Net;

/// What was counted when the server last told how it is.
#[derive(Debug, Default)]
pub(super) struct Vitals {
    last: Option<(Moment, MetricsSnapshot)>,
    /// When it last counted. With several threads that is more often: for the pools of all.
    counted_at: Option<Moment>,
    /// The threads are asked.
    is_asked: bool,
    /// How much memory the process has now, if something tells.
    resident_bytes: Option<fn() -> Option<u64>>,
    memory_bytes: Option<u64>,
}

impl Vitals {
    /// What of the process is in memory, and what may be, in bytes.
    pub(super) fn memory(&self) -> (Option<u64>, Option<u64>) {
        (self.resident_bytes.and_then(|read| read()), self.memory_bytes)
    }
}

impl<S: RecordStore> Chat<S> {
    /// How to find out how much memory the process has, and how much it may have, in bytes.
    pub(crate) fn measure_memory(&mut self, now: fn() -> Option<u64>, max: Option<u64>) {
        (self.vitals.resident_bytes, self.vitals.memory_bytes) = (Some(now), max);
    }

    /// Tells how the server is, or plans to if that was done a moment ago.
    pub(super) fn tell_vitals(&mut self, net: &mut Net<'_>) {
        let now = net.now();
        let due = self.vitals.counted_at.map(|at| at.plus_millis(self.counts_every_ms()));
        if let Some(due) = due.filter(|due| now < *due) {
            return net.wake_at(due);
        }
        if self.number != 0 || std::mem::replace(&mut self.vitals.is_asked, true) {
            return;
        }
        self.survey(net, Survey::Metrics, SurveyReader::Vitals);
    }

    fn counts_every_ms(&self) -> u64 {
        if self.shared.is_alone() { VITALS_EVERY_MS } else { POOLS_CHECKED_MS }
    }

    /// Tells nothing this time.
    pub(super) fn vitals_left_out(&mut self, net: &mut Net<'_>) {
        self.vitals.is_asked = false;
        net.wake_at(net.now().plus_millis(VITALS_EVERY_MS));
    }

    /// Publishes what has happened on all threads since the last time.
    pub(super) fn publish_vitals(&mut self, net: &mut Net<'_>, counted: MetricsSnapshot) {
        let now = net.now();
        if !self.shared.is_alone()
            && let Ok(pools) = <&[Used; POOLS.len()]>::try_from(&counted.pools[..])
        {
            self.pools.log_changes(now, pools);
        }
        (self.vitals.counted_at, self.vitals.is_asked) = (Some(now), false);
        net.wake_at(now.plus_millis(self.counts_every_ms()));
        // What counts a little early counts for this time.
        let early = now.plus_millis(POOLS_CHECKED_MS / 2);
        let is_due = |at: &Moment| early >= at.plus_millis(VITALS_EVERY_MS);
        if self.vitals.last.as_ref().is_some_and(|(at, _)| !is_due(at)) {
            return;
        }
        let told = self.vitals.last.as_ref().map(|(_, before)| counted.vitals_since(before));
        self.vitals.last = Some((now, counted));
        if let Some(told) = told {
            self.publish_own(net, VITALS, told);
        }
    }

    /// Publishes to one of the server's own streams.
    pub(super) fn publish_own(&mut self, net: &mut Net<'_>, name: &str, data: String) {
        let Ok(stream) = StreamId::parse(name) else { return };
        let call = self.calls.begin(CallWaiter::Own(stream.clone()));
        let (origin, publisher) = (Origin::Call(call), Publisher::Source);
        let data = Data::Json(data.into());
        self.decide(net, Input::Publish { origin, publisher, stream, data, id: None });
    }
}
