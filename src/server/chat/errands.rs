//! Jobs for the application's backend, and where their results go.

use super::chat::Chat;
use super::proof::ProofJob;
use super::remote::RemoteCall;
use crate::backend::{JobId, JobResult};
use crate::base::StreamId;
use crate::http1::Response;
use crate::server::proof::ProofPlace;
use crate::server::proof::line::ProofRequest;
use crate::server::remote::table::{BackendRequest, NextRequest};
use crate::store::RecordStore;
use crate::web::{Exchange, Net};

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

/// What a thread has found to be the next for a request, which may be of another thread.
#[derive(Debug)]
pub(super) enum DealtErrand {
    /// The backend is not asked, as the message says.
    Refuse(BackendRequest, &'static str),
    /// It is the request's turn.
    Ask(NextRequest),
    /// The answer to who sends a request.
    Settle(Exchange, Response),
    /// The backend is asked who sends a request.
    AskFor(ProofPlace, ProofRequest),
}

impl DealtErrand {
    fn thread(&self) -> usize {
        match self {
            DealtErrand::Refuse(asking, _) => asking.thread,
            DealtErrand::Ask(next) => next.thread(),
            DealtErrand::Settle(exchange, _) => exchange.conn().reactor(),
            DealtErrand::AskFor(_, asking) => asking.exchange.conn().reactor(),
        }
    }
}

impl<S: RecordStore> Chat<S> {
    /// Does an errand, or gives it to the thread that it is of.
    pub(super) fn deal(&mut self, net: &mut Net<'_>, errand: DealtErrand) {
        let thread = errand.thread();
        if thread == self.number {
            return self.do_errand(net, errand);
        }
        self.team.dealt_errands(thread).push(errand);
        self.shared.thread(thread).wake.wake();
    }

    fn do_errand(&mut self, net: &mut Net<'_>, errand: DealtErrand) {
        match errand {
            DealtErrand::Refuse(asking, message) => self.refuse_remote(net, &asking, message),
            DealtErrand::Ask(next) => self.ask_next(net, next),
            DealtErrand::Settle(exchange, response) => {
                self.settle_sender(net, exchange, Err(response));
            }
            DealtErrand::AskFor(place, asking) => self.ask_for(net, place, asking),
        }
    }

    /// Takes the results of jobs, and begins what is due.
    pub(super) fn run_errands(&mut self, net: &mut Net<'_>) {
        let now = net.now();
        // Those that are left are of connections that have closed meanwhile.
        self.senders.clear();
        if !self.shared.is_alone() {
            let dealt = std::mem::take(&mut *self.team.dealt_errands(self.number));
            dealt.into_iter().for_each(|errand| self.do_errand(net, errand));
        }
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
