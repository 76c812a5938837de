//! Asks what is due, takes what came, publishes what has changed.

use super::calls::CallWaiter;
use super::chat::Chat;
use super::errands::JobPurpose;
use crate::backend::{JobId, JobResult};
use crate::base::rates::Asker;
use crate::base::subscription::{Ask, Form};
use crate::base::{ConnId, Origin, Refusal, RequestId, StreamId, StreamRights};
use crate::hub::Input;
use crate::hub::streams::Publisher;
use crate::server::sources::table::{DuePoll, PollResult};
use crate::store::Backend;
use crate::web::Net;

impl<S: Backend> Chat<S> {
    /// Goes by what is declared to feed streams.
    pub(super) fn declare_sources(&mut self, net: &mut Net<'_>) {
        let config = &self.config;
        self.sources.declare(net.now(), &config.limits, &config.feeds, &config.streams);
        self.ask_sources(net);
    }

    /// Asks what is due, and sees to be called when something is again.
    pub(super) fn ask_sources(&mut self, net: &mut Net<'_>) {
        let now = net.now();
        if self.is_stopping() {
            return;
        }
        while let Some(DuePoll { stream, task, bounds, pass }) = self.sources.take_due(now) {
            let purpose = JobPurpose::Poll(stream.clone());
            match self.outbound.poll(task, bounds, pass.is_trial, purpose) {
                Ok(id) => self.sources.began(now, &stream, id, pass),
                Err((_, failure)) => self.sources.not_begun(now, &stream, &pass, &failure),
            }
        }
        let look = self.sources.look_for_late(now);
        for at in self.sources.next_due().into_iter().chain(look) {
            net.wake_at(at);
        }
    }

    /// Lets a connection watch streams. Of those that are polled because somebody watches them, a user, and an
    /// address of guests, have a share.
    pub(super) fn subscribe(
        &mut self,
        net: &mut Net<'_>,
        by: (ConnId, RequestId),
        rights: StreamRights,
        form: Form,
        asks: Vec<Ask>,
    ) {
        let begins = |ask: &&Ask| {
            let declaration = self.hub.streams().declaration(&ask.stream);
            declaration.is_some_and(|one| self.sources.would_begin(&ask.stream, one))
        };
        let begun = asks.iter().filter(begins).count() as u64;
        if begun > 0 {
            let payer = self.payer_on(net, by.0);
            let limits = &self.config.limits;
            let (most, limit) = match payer {
                Asker::User(_) => (limits.polled_streams_per_user, "polled_streams_per_user"),
                Asker::Address(_) | Asker::Others => {
                    (limits.polled_streams_per_address, "polled_streams_per_address")
                }
            };
            if self.sources.payers.of(&Some(payer)) + begun > most.into() {
                let message = "the limit of streams polled for you is reached";
                let refusal = Refusal::quota(limit, message, most.into());
                return self.refused(net, &Origin::Conn(by.0, by.1), &refusal);
            }
        }
        let holder = self.holder(net, &Origin::Conn(by.0, None), &rights);
        self.decide(net, Input::Subscribe { by, rights, holder, form, asks });
    }

    /// A stream that may be polled is watched by somebody, for whom it counts, or by nobody any more.
    pub(super) fn stream_watched(
        &mut self,
        net: &mut Net<'_>,
        stream: &StreamId,
        by: Option<ConnId>,
    ) {
        let by = by.map(|conn| Some(self.payer_on(net, conn)));
        if let Some(declaration) = self.hub.streams().declaration(stream) {
            self.sources.watched(net.now(), stream, declaration, by);
        }
        self.ask_sources(net);
    }

    /// What came of a poll.
    pub(super) fn poll_finished(
        &mut self,
        net: &mut Net<'_>,
        stream: &StreamId,
        id: JobId,
        outcome: JobResult,
    ) {
        let (data, is_programs, id) = match self.sources.take_result(net.now(), stream, id, outcome)
        {
            Some(PollResult::Fresh { data, is_programs, id }) => (data, is_programs, id),
            Some(PollResult::Same) => {
                return self.decide(net, Input::Heard { stream: stream.clone() });
            }
            None => return,
        };
        let call = self.new_call(CallWaiter::Source(stream.clone(), id));
        let publisher = if is_programs { Publisher::Program } else { Publisher::Source };
        let (origin, stream) = (Origin::Call(call), stream.clone());
        self.decide(net, Input::Publish { origin, publisher, stream, data, id: None });
    }

    /// A stream has not taken what its source had.
    pub(super) fn source_refused(&mut self, stream: &StreamId, why: &str) {
        let declaration = self.hub.streams().declaration(stream);
        if let Some(name) = declaration.map(|declaration| declaration.pattern.as_str().to_owned()) {
            self.sources.note_refused(&name, why);
        }
    }
}
