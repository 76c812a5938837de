//! A polled stream: its next poll, its last data, its circuit.

use crate::backend::{Cause, Circuit, CircuitSettings, Failure, JobId, Pass};
use crate::base::rates::Payer;
use crate::base::{ConnId, Data, Moment};
use std::sync::Arc;

/// For whom a stream of a family is polled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PolledFor {
    /// Nobody watches it.
    Nobody,
    /// For this connection; it counts for the payer.
    Here(ConnId, Payer),
    /// For this connection of another thread, which says for whom it counts.
    Elsewhere(ConnId),
}

#[derive(Debug)]
pub(crate) struct Polled {
    /// The declared name of what feeds it.
    pub(super) feed: Arc<str>,
    /// Somebody watches it, or it is always polled.
    pub(super) is_watched: bool,
    /// In whose turn it is polled: for a stream of a family, one of its watchers.
    pub(super) payer: Payer,
    /// The connection for which it is, if it is for one.
    pub(super) conn: Option<ConnId>,
    /// When it is looked at next.
    pub(super) due: Moment,
    /// It waits for its turn.
    pub(super) is_ready: bool,
    /// When it was polled last, with whatever result, or was first to be polled.
    pub(super) polled_at: Moment,
    pub(super) circuit: Circuit,
    /// The job under way, and when it began.
    pub(super) job: Option<(JobId, Pass, Moment)>,
    /// The last data, to tell whether they change, and their job.
    last: Option<(Data, JobId)>,
    /// The stream refused the last data.
    pub(super) is_refused: bool,
}

impl Polled {
    pub(super) fn new(
        feed: Arc<str>,
        (payer, conn): (Payer, Option<ConnId>),
        due: Moment,
    ) -> Polled {
        Polled {
            feed,
            is_watched: true,
            payer,
            conn,
            due,
            is_ready: false,
            polled_at: due,
            circuit: Circuit::default(),
            job: None,
            last: None,
            is_refused: false,
        }
    }

    /// Permission to ask now, if nothing is under way.
    ///
    /// # Errors
    /// When to look again.
    pub(super) fn pass(&mut self, now: Moment) -> Result<Pass, Moment> {
        if self.job.is_some() {
            return Err(Moment::NEVER);
        }
        self.circuit.pass(now).map_err(|left_ms| now.plus_millis(left_ms))
    }

    /// Ends a job, if it is this stream's.
    pub(super) fn take_job(&mut self, id: JobId) -> Option<(Pass, Moment)> {
        let (_, pass, begun) = self.job.take_if(|(own, ..)| *own == id)?;
        Some((pass, begun))
    }

    /// Returns whether this opens its circuit.
    pub(super) fn failed(
        &mut self,
        pass: &Pass,
        failure: &Failure,
        now: Moment,
        settings: CircuitSettings,
    ) -> bool {
        if !failure.is_backends() {
            self.circuit.unused(pass);
            return false;
        }
        self.circuit.failed((pass, Cause::Backend), now, settings)
    }

    /// Whether data differ from the last, which they replace.
    pub(super) fn has_changed(&mut self, data: &Data, id: JobId) -> bool {
        let has_changed = self.last.as_ref().is_none_or(|(last, _)| last != data);
        if has_changed {
            self.last = Some((data.clone(), id));
            self.is_refused = false;
        }
        has_changed
    }

    /// The stream refused a job's data. If it may take them `later`, they are offered again.
    pub(super) fn refuse(&mut self, id: JobId, later: bool) {
        if self.last.as_ref().is_some_and(|(_, own)| *own == id) {
            self.is_refused = true;
            if later {
                self.last = None;
            }
        }
    }

    /// Offers refused data again, because the stream may take them now.
    pub(super) fn offer_again(&mut self) {
        if self.is_refused {
            self.last = None;
        }
    }
}
