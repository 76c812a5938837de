//! Looking at streams without watching them: which there are, the newest of one, who watches it.

use super::declaration::Declaration;
use super::rights::StreamRights;
use super::stream::{Stream, Subscription};
use super::table::{FORBIDDEN, NO_SUCH_STREAM, Streams};
use crate::base::{ConnId, Event, StreamId};
use crate::hub::effect::{Answer, Effect, Effects, Refusal, RefusalCode};
use crate::hub::input::Origin;
use std::ops::Bound;
use std::rc::Rc;

/// What somebody wants to know.
#[derive(Clone, Debug)]
pub enum StreamQuery {
    /// Which streams there are that one may watch.
    List {
        /// Only those after this name.
        after: Option<StreamId>,
        /// Most streams.
        limit: usize,
    },
    /// The newest event of one.
    Newest(StreamId),
    /// Who watches one, and how far they are: for admins.
    Subscribers {
        /// Which.
        stream: StreamId,
        /// Only those after this connection.
        after: Option<ConnId>,
        /// Most subscribers.
        limit: usize,
    },
}

/// A stream, as it is now.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamInfo {
    /// Its name.
    pub stream: StreamId,
    /// What it is declared to be.
    pub declaration: Rc<Declaration>,
    /// The number of its newest event; 0 if there was none.
    pub seq: u64,
    /// Its life; none of a family's that is not there yet.
    pub epoch: Option<Rc<str>>,
    /// Its newest event.
    pub newest: Option<Rc<Event>>,
    /// How many watch it.
    pub subscribers: usize,
}

/// Somebody who watches a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubscriberInfo {
    /// On which connection.
    pub conn: ConnId,
    /// The last event that was sent to it.
    pub sent: u64,
    /// Up to where it says that it has come, if the stream asks for it.
    pub acked: Option<u64>,
    /// How many events it is behind the newest, of those that are kept: since the one that it has
    /// acknowledged, if there is more that it could acknowledge, or else since the one that was sent.
    pub lag: u64,
}

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
        effects.push(Effect::Answer { origin, answer });
    }

    fn list(&self, rights: &StreamRights, after: Option<&StreamId>, limit: usize) -> Answer {
        let limit = limit.min(self.settings.page);
        let from = (after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
        let named = self.by_name.range::<StreamId, _>(from);
        let mut seen = named
            .map(|(_, ix)| &self.streams[ix.0 as usize])
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
            Some(ix) => self.streams[ix.0 as usize].info(),
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
        let stream = self.ix(name).map(|ix| &self.streams[ix.0 as usize]);
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
    /// How far a subscriber is behind the newest event, of what is kept.
    fn lag(&self, subscription: &Subscription) -> u64 {
        let owes = self.declaration.ack && subscription.acked < subscription.sent;
        // Whoever has acknowledged all that was sent is as far as this: what a filter or a rate left out
        // is nothing that they could acknowledge.
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
