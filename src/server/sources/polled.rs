//! One stream that is polled: when it is next, what it had last, and how its circuit is.

use crate::backend::{Cause, Circuit, CircuitSettings, CircuitState, Failure, JobId, Pass};
use crate::base::rates::Payer;
use crate::base::{Data, Moment};
use std::sync::Arc;

/// A stream that is polled.
#[derive(Debug)]
pub(crate) struct Polled {
    /// The name of what feeds it, as it is declared.
    pub(super) feed: Arc<str>,
    /// Somebody watches it, or it is polled anyway.
    pub(super) is_watched: bool,
    /// For whom it is polled: one of those who watch it, if it is a family's.
    pub(super) payer: Payer,
    /// When it is looked at next.
    pub(super) due: Moment,
    /// It waits for its turn.
    pub(super) is_ready: bool,
    /// When it was polled last, whatever came of it, or was to be for the first time.
    pub(super) polled_at: Moment,
    circuit: Circuit,
    /// The job that is under way, and when it was begun.
    job: Option<(JobId, Pass, Moment)>,
    /// What it had last, to tell whether it has changed, and by which job.
    last: Option<(Data, JobId)>,
    /// The stream has not taken that.
    is_refused: bool,
}

impl Polled {
    pub(super) fn new(feed: Arc<str>, payer: Payer, due: Moment) -> Polled {
        Polled {
            feed,
            is_watched: true,
            payer,
            due,
            is_ready: false,
            polled_at: due,
            circuit: Circuit::default(),
            job: None,
            last: None,
            is_refused: false,
        }
    }

    pub(super) fn state(&self) -> CircuitState {
        self.circuit.state()
    }

    /// Leave to ask now, if nothing is under way.
    ///
    /// # Errors
    /// When to look again.
    pub(super) fn pass(&mut self, now: Moment) -> Result<Pass, Moment> {
        if self.job.is_some() {
            return Err(Moment::NEVER);
        }
        self.circuit.pass(now).map_err(|left_ms| now.plus_millis(left_ms))
    }

    pub(super) fn began(&mut self, now: Moment, id: JobId, pass: Pass) {
        self.job = Some((id, pass, now));
    }

    /// Nothing could be asked with this pass.
    pub(super) fn unused(&mut self, pass: &Pass) {
        self.circuit.unused(pass);
    }

    /// Whether a job is its own; then it is over.
    pub(super) fn take_job(&mut self, id: JobId) -> Option<(Pass, Moment)> {
        let (_, pass, begun) = self.job.take_if(|(own, ..)| *own == id)?;
        Some((pass, begun))
    }

    /// Whether its circuit is closed by this.
    pub(super) fn succeeded(&mut self, pass: &Pass) -> bool {
        self.circuit.succeeded(pass)
    }

    /// Whether its circuit is opened by this.
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

    /// Whether data are others than the last.
    pub(super) fn has_changed(&mut self, data: &Data, id: JobId) -> bool {
        let has_changed = self.last.as_ref().is_none_or(|(last, _)| last != data);
        if has_changed {
            self.last = Some((data.clone(), id));
            self.is_refused = false;
        }
        has_changed
    }

    /// The stream has not taken what a job had. What it may take `later` is offered again.
    pub(super) fn refuse(&mut self, id: JobId, later: bool) {
        if self.last.as_ref().is_some_and(|(_, own)| *own == id) {
            self.is_refused = true;
            if later {
                self.last = None;
            }
        }
    }

    /// What the stream has not taken is offered again: it may take it now.
    pub(super) fn offer_again(&mut self) {
        if self.is_refused {
            self.last = None;
        }
    }

    /// Whether the stream has what it had last.
    pub(super) fn is_taken(&self) -> bool {
        !self.is_refused
    }
}
