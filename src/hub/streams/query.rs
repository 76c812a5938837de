//! Queries about streams without watching them: the list, the newest event of one, its subscribers.

use super::stream::{Stream, Subscription};
use super::table::{NO_SUCH_STREAM, Streams};
use crate::base::subscription::{StreamInfo, StreamQuery, SubscriberInfo};
use crate::base::table::following;
use crate::base::{Answer, ConnId, Refusal, StreamId, StreamRights};
use std::sync::Arc;

impl Streams {
    pub(in crate::hub) fn query(
        &self,
        rights: &StreamRights,
        query: StreamQuery,
    ) -> Result<Answer, Refusal> {
        match query {
            StreamQuery::List { after, limit } => Ok(self.list(rights, after.as_ref(), limit)),
            StreamQuery::Newest(name) => self.newest(rights, &name),
            StreamQuery::Subscribers { stream, after, limit } => {
                self.subscribers(rights, &stream, after, limit)
            }
        }
    }

    /// The connection for which a stream is polled.
    #[must_use]
    pub fn payer(&self, name: &StreamId) -> Option<ConnId> {
        let (conn, _) = self.streams[self.ix(name)?].payer?;
        Some(conn)
    }

    fn list(&self, rights: &StreamRights, after: Option<&StreamId>, limit: usize) -> Answer {
        let limit = limit.min(self.settings.limits.page as usize);
        let mut seen = following(&self.by_name, after)
            .map(|(_, ix)| &self.streams[*ix])
            .filter(|stream| !stream.declaration.is_of_server())
            .filter(|stream| rights.may_watch(&stream.declaration, stream.name.as_str()));
        let streams = seen.by_ref().take(limit).map(Stream::info).collect();
        Answer::Streams { streams, more: seen.next().is_some() }
    }

    fn newest(&self, rights: &StreamRights, name: &StreamId) -> Result<Answer, Refusal> {
        let declaration = self.to_watch(name, rights)?;
        let info = match self.ix(name) {
            Some(ix) => self.streams[ix].info(),
            None => StreamInfo {
                stream: name.clone(),
                declaration: Arc::clone(declaration),
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
            return Err(Refusal::FOR_ADMINS);
        }
        self.declaration(name).ok_or(NO_SUCH_STREAM)?;
        let limit = limit.min(self.settings.limits.page as usize);
        let (mut seq, mut subscribers, mut more) = (0, Vec::new(), false);
        if let Some(stream) = self.ix(name).map(|ix| &self.streams[ix]) {
            seq = stream.head;
            let mut found = following(&stream.subscribers, after.as_ref());
            let info = |(conn, one): (&ConnId, &Subscription)| stream.subscriber_info(*conn, one);
            subscribers = found.by_ref().take(limit).map(info).collect();
            more = found.next().is_some();
        }
        Ok(Answer::Subscribers { stream: name.clone(), seq, subscribers, more })
    }
}

impl Stream {
    fn subscriber_info(&self, conn: ConnId, subscription: &Subscription) -> SubscriberInfo {
        let acked = self.declaration.ack.then_some(subscription.acked);
        SubscriberInfo { conn, sent: subscription.sent, acked, lag: self.lag(subscription) }
    }

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
            declaration: Arc::clone(&self.declaration),
            seq: self.head,
            epoch: Some(Arc::clone(&self.epoch)),
            newest: self.newest().cloned(),
            subscribers: self.subscribers.len(),
        }
    }
}
