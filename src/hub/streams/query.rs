//! Queries about streams without watching them: the list, the newest event of one, its subscribers.

use super::stream::{Stream, Subscription};
use super::table::{FORBIDDEN, NO_SUCH_STREAM, Streams};
use crate::base::subscription::{StreamInfo, StreamQuery, SubscriberInfo};
use crate::base::{Answer, ConnId, Effects, Origin, Refusal, RefusalCode, StreamId, StreamRights};
use std::ops::Bound;
use std::rc::Rc;

impl Streams {
    pub(in crate::hub) fn look(
        &self,
        origin: Origin,
        rights: &StreamRights,
        query: StreamQuery,
        effects: &mut Effects,
    ) {
        let answer = match query {
            StreamQuery::List { after, limit } => Ok(self.list(rights, after.as_ref(), limit)),
            StreamQuery::Newest(name) => self.newest(rights, &name),
            StreamQuery::Subscribers { stream, after, limit } => {
                self.subscribers(rights, &stream, after, limit)
            }
        };
        effects.answer(origin, answer);
    }

    fn list(&self, rights: &StreamRights, after: Option<&StreamId>, limit: usize) -> Answer {
        let limit = limit.min(self.settings.page);
        let from = (after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
        let named = self.by_name.range::<StreamId, _>(from);
        let mut seen = named
            .map(|(_, ix)| &self.streams[*ix])
            .filter(|stream| rights.may_watch(&stream.declaration, stream.name.as_str()));
        let streams = seen.by_ref().take(limit).map(Stream::info).collect();
        Answer::Streams { streams, more: seen.next().is_some() }
    }

    fn newest(&self, rights: &StreamRights, name: &StreamId) -> Result<Answer, Refusal> {
        let declaration = self.declaration(name).ok_or(NO_SUCH_STREAM)?;
        if !rights.may_watch(declaration, name.as_str()) {
            return Err(FORBIDDEN);
        }
        let info = match self.ix(name) {
            Some(ix) => self.streams[ix].info(),
            None => StreamInfo {
                stream: name.clone(),
                declaration: Rc::clone(declaration),
                seq: 0,
                epoch: None,
                newest: None,
                subscribers: 0,
            },
        };
        Ok(Answer::Stream(Box::new(info)))
    }

    fn subscribers(
        &self,
        rights: &StreamRights,
        name: &StreamId,
        after: Option<ConnId>,
        limit: usize,
    ) -> Result<Answer, Refusal> {
        if !rights.is_admin {
            return Err(Refusal::new(RefusalCode::Forbidden, "this is for admins"));
        }
        self.declaration(name).ok_or(NO_SUCH_STREAM)?;
        let limit = limit.min(self.settings.page);
        let mut subscribers = Vec::new();
        let mut more = false;
        let stream = self.ix(name).map(|ix| &self.streams[ix]);
        for (conn, subscription) in stream.into_iter().flat_map(|stream| &stream.subscribers) {
            if after.is_some_and(|after| *conn <= after) {
                continue;
            }
            if subscribers.len() == limit {
                more = true;
                break;
            }
            let ack = stream.is_some_and(|stream| stream.declaration.ack);
            let acked = ack.then_some(subscription.acked);
            let lag = stream.map_or(0, |stream| stream.lag(subscription));
            subscribers.push(SubscriberInfo { conn: *conn, sent: subscription.sent, acked, lag });
        }
        let seq = stream.map_or(0, |stream| stream.head);
        Ok(Answer::Subscribers { stream: name.clone(), seq, subscribers, more })
    }
}

impl Stream {
    /// How many kept events a subscriber is behind.
    fn lag(&self, subscription: &Subscription) -> u64 {
        let owes = self.declaration.ack && subscription.acked < subscription.sent;
        // All that was sent is acknowledged: what a filter or a rate left out cannot be.
        let reached = if owes { subscription.acked } else { subscription.position };
        self.head - reached.max(self.first() - 1).min(self.head)
    }

    fn info(&self) -> StreamInfo {
        StreamInfo {
            stream: self.name.clone(),
            declaration: Rc::clone(&self.declaration),
            seq: self.head,
            epoch: Some(Rc::clone(&self.epoch)),
            newest: self.newest().cloned(),
            subscribers: self.subscribers.len(),
        }
    }
}
