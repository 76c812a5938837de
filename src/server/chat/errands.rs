//! Jobs for the application's backend, and where their results go.

use super::chat::Chat;
use super::proof::ProofJob;
use super::remote::RemoteCall;
use crate::backend::{JobId, JobResult};
use crate::base::StreamId;
use crate::store::RecordStore;
use crate::web::Net;

/// What a job is for.
#[derive(Debug)]
pub(super) enum JobPurpose {
    /// The data of a stream.
    Poll(StreamId),
    /// A request of a client.
    Remote(RemoteCall),
    /// Who sends a request.
    Proof(ProofJob),
}

impl<S: RecordStore> Chat<S> {
    /// Takes the results of jobs, and begins what is due.
    pub(super) fn run_errands(&mut self, net: &mut Net<'_>) {
        let now = net.now();
        // Those that are left are of connections that have closed meanwhile.
        self.proofs.senders.clear();
        let outcomes = std::mem::take(&mut self.thread().queue().outcomes);
        for (id, outcome) in outcomes {
            if let Some((purpose, outcome)) = self.outbound.take_result(now, id, outcome) {
                self.errand_done(net, id, purpose, outcome);
            }
        }
        for (id, purpose, failure) in self.outbound.start_due_retries(now) {
            self.errand_done(net, id, purpose, Err(failure));
        }
        if let Some(at) = self.outbound.next_due() {
            net.wake_at(at);
        }
        self.check_pools(net);
        self.tell_vitals(net);
        self.ask_remotes(net);
        self.ask_for_senders(net);
        if self.number == 0 {
            self.ask_sources(net);
        }
    }

    fn errand_done(
        &mut self,
        net: &mut Net<'_>,
        id: JobId,
        purpose: JobPurpose,
        outcome: JobResult,
    ) {
        match purpose {
            JobPurpose::Poll(stream) => self.poll_finished(net, &stream, id, outcome),
            JobPurpose::Remote(call) => {
                self.remote_over(net, call, outcome);
                self.ask_remotes(net);
            }
            JobPurpose::Proof(job) => {
                self.proof_over(net, job, outcome);
                self.ask_for_senders(net);
            }
        }
    }
}
