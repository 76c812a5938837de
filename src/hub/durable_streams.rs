//! Durable streams: publications on their way to the store and back.

use super::hub::Hub;
use super::pending::Pending;
use super::streams::{Publication, PublishResult, Publisher, Streams};
use crate::base::{Answer, Effect, Effects, Origin, Refusal};

impl Hub {
    pub(super) fn publish(
        &mut self,
        origin: Origin,
        publisher: &Publisher,
        publication: Publication,
        effects: &mut Effects,
    ) {
        let publish = |all: &mut Streams, effects: &mut Effects| {
            all.publish(publisher, &publication, effects)
        };
        let record = match self.streams.with(effects, publish) {
            Ok(PublishResult::ToStore(record)) => record,
            Ok(PublishResult::Told(answer)) => return effects.answer(origin, Ok(answer)),
            Err(refusal) => return effects.answer(origin, Err(refusal)),
        };
        let conn = origin.conn();
        let ticket = self.ticket(Pending::Publish { origin, stream: publication.stream });
        effects.push(Effect::Persist { ticket, record });
        if let Some(conn) = conn
            && let Some(connection) = self.connections.get_mut(conn)
        {
            connection.writes += 1;
            self.settle_hold(conn, effects);
        }
    }

    /// A publication has come back from the store, which told its event before, or has none.
    pub(super) fn publication_returned(
        &mut self,
        origin: Origin,
        answer: Result<Answer, Refusal>,
        effects: &mut Effects,
    ) {
        let conn = origin.conn();
        effects.answer(origin, answer);
        self.settled(conn, |connection| &mut connection.writes, effects);
    }
}
