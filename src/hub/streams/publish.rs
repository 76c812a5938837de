//! Publishing: keeps the event and delivers it to subscribers at the head.

use super::holdings::Holder;
use super::places::Purpose;
use super::stream::{FilterIx, Stream, StreamIx};
use super::subscribe::source;
use super::table::{NO_SUCH_STREAM, Streams};
use crate::base::subscription::Form;
use crate::base::{
    Answer, ConnId, Data, Effect, Effects, Notice, Now, PublicationId, Record, Refusal,
    RefusalCode, StreamEvent, StreamId, StreamRights, Timestamp, Tree,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Who publishes.
#[derive(Clone, Debug)]
pub enum Publisher {
    /// A client, with its rights and the holder of a stream that it begins.
    Client(StreamRights, Holder),
    /// A client that may store nothing more, and perhaps repeats an earlier publication: it gets
    /// the first one's answer.
    Again(StreamRights),
    /// The embedding program, if the stream accepts its events.
    Program,
    /// A source that is declared with the stream.
    Source,
}

#[derive(Debug)]
pub(in crate::hub) struct Publication {
    pub(in crate::hub) stream: StreamId,
    pub(in crate::hub) data: Data,
    /// The publisher's id for it.
    pub(in crate::hub) id: Option<Arc<PublicationId>>,
}

pub(super) const MISMATCH: Refusal =
    Refusal::new(RefusalCode::DuplicateMismatch, "this id was used before for another event");

#[derive(Debug)]
pub(in crate::hub) enum PublishResult {
    /// It was delivered, and this is the answer.
    Told(Answer),
    /// It is delivered once this record is stored.
    ToStore(Record),
}

#[derive(Debug)]
pub(super) struct NewEvent {
    pub(super) ts: Timestamp,
    pub(super) data: Data,
    pub(super) id: Option<Arc<PublicationId>>,
    /// The parsed data, if they are JSON.
    pub(super) tree: Option<Tree>,
}

impl Streams {
    /// Handles a publication. For a durable stream it returns a record, to store before anybody
    /// receives the event.
    pub(in crate::hub) fn publish(
        &mut self,
        publisher: &Publisher,
        publication: &Publication,
        effects: &mut Effects,
    ) -> Result<PublishResult, Refusal> {
        let Publication { stream: name, data, id } = publication;
        let (declaration, holder) = match publisher {
            Publisher::Client(rights, holder) => (self.to_publish(name, rights)?, *holder),
            Publisher::Again(rights) => (self.to_publish(name, rights)?, None),
            Publisher::Source => (&**self.declaration(name).ok_or(NO_SUCH_STREAM)?, None),
            Publisher::Program => {
                (self.declaration(name).ok_or(NO_SUCH_STREAM)?.of_program()?, None)
            }
        };
        let tree = declaration.judge(data, self.settings.read_json)?;
        let is_permanent = declaration.is_permanent();
        if let Some(answer) = self.repeated(effects.now, publication)? {
            return Ok(PublishResult::Told(answer));
        }
        if matches!(publisher, Publisher::Again(_)) {
            // A repeat adds nothing, so nothing is dropped for it. Without the stream, the event
            // was never stored.
            let ix = self.ix(name).ok_or(NO_SUCH_STREAM)?;
            return Ok(self.hand_over(effects.now, ix, publication));
        }
        let bytes = StreamEvent::bytes_of(data, id.as_deref());
        let more = self.check_room(name, is_permanent, (holder, bytes))?;
        let ix = match self.find_existing(name) {
            Some(ix) => ix,
            None => {
                let found = self.obtain(holder, &[name], Purpose::Publish, effects)?;
                *found.first().ok_or(NO_SUCH_STREAM)?
            }
        };
        if let Err(refusal) = self.make_room(effects.now, ix, (holder, more)) {
            self.release(effects.now, ix);
            return Err(refusal);
        }
        let stream = &mut self.streams[ix];
        stream.is_obtained = false;
        stream.filled_by = holder;
        let is_begun = stream.is_begun && (stream.head > 0 || self.in_flight.contains_key(name));
        if !is_begun {
            (stream.made_by, stream.is_begun) = (holder, true);
        }
        if stream.declaration.durable {
            return Ok(self.hand_over(effects.now, ix, publication));
        }
        let new = NewEvent { ts: effects.now.timestamp, data: data.clone(), id: id.clone(), tree };
        let event = self.append(ix, new, effects);
        let (stream, seq, ts) = (name.clone(), event.seq, event.ts);
        Ok(PublishResult::Told(Answer::Published { stream, seq, ts, duplicate: false }))
    }

    /// The stream, if it exists and needs no new place.
    fn find_existing(&mut self, name: &StreamId) -> Option<StreamIx> {
        let ix = self.ix(name)?;
        let stream = &self.streams[ix];
        let becomes_pinned = stream.declaration.durable
            && stream.declaration.pattern.is_open()
            && !self.is_stored(stream);
        if becomes_pinned {
            return None;
        }
        self.streams[ix].is_obtained = true;
        Some(ix)
    }

    /// The answer to an earlier publication with this id, if the stream keeps it.
    fn repeated(&mut self, now: Now, publication: &Publication) -> Result<Option<Answer>, Refusal> {
        let Publication { stream, data, id } = publication;
        let (Some(id), Some(ix)) = (id, self.ix(stream)) else { return Ok(None) };
        let Some(first) = self.streams[ix].published(id) else { return Ok(None) };
        if first.data != *data {
            return Err(MISMATCH);
        }
        let (stream, seq, ts) = (stream.clone(), first.seq, first.ts);
        self.touch(now.moment, ix);
        Ok(Some(Answer::Published { stream, seq, ts, duplicate: true }))
    }

    pub(super) fn append(
        &mut self,
        ix: StreamIx,
        NewEvent { ts, data, id, tree }: NewEvent,
        effects: &mut Effects,
    ) -> Arc<StreamEvent> {
        self.note_heard(ix, effects);
        let bytes_max = self.settings.limits.stream_bytes as usize;
        let stream = &mut self.streams[ix];
        let before = stream.head;
        let (event, cut) = stream.append(ts, data, id, bytes_max);
        self.cut_events += cut;
        // Each filter is evaluated once, however many subscribers have it.
        let most = stream.filters.iter().map(|(ix, _)| ix + 1).max().unwrap_or(0);
        let mut passes = vec![false; most];
        for (ix, shared) in &stream.filters {
            passes[ix] = tree.as_ref().is_some_and(|tree| shared.filter.passes(tree));
        }
        let is_state = stream.is_state();
        let mut held = Vec::new();
        let mut groups: BTreeMap<(u64, Form), Vec<ConnId>> = BTreeMap::new();
        let Stream { subscribers, filters, .. } = stream;
        for (conn, subscription) in subscribers {
            // A subscriber behind is fed, by its rate or when its outbox has drained.
            if subscription.position != before {
                let replaced = match subscription.filter {
                    None => before,
                    Some(FilterIx(ix)) if passes[ix] => {
                        filters[ix].newest.as_ref().map_or(0, |newest| newest.seq)
                    }
                    Some(_) => 0,
                };
                // A rate's skips were asked for; a slow reader's were not.
                if is_state && subscription.rate.is_none() && replaced > subscription.position {
                    effects.push(Effect::Skipped { conn: *conn, count: 1 });
                }
                continue;
            }
            if subscription.filter.is_some_and(|filter| !passes[filter.0]) {
                subscription.position = event.seq;
            } else if subscription.is_due(effects.now.moment) {
                let prev = subscription.send(event.seq, effects.now.moment);
                groups.entry((prev, subscription.form)).or_default().push(*conn);
            } else {
                held.push(*conn);
            }
        }
        self.cut_events += stream.note_passed(&passes, bytes_max);
        for ((prev, form), conns) in groups {
            let notice = self.notice(ix, &event, prev, form);
            effects.deliver(notice, conns);
        }
        for conn in held {
            self.hold_back(conn, ix, effects);
        }
        let filled_by = self.streams[ix].filled_by;
        self.touch(effects.now.moment, ix);
        // Those in flight together were each admitted alone.
        self.shrink_to(self.settings.limits.all_streams_bytes, Some((filled_by, 0)));
        event
    }

    pub(super) fn notice(
        &self,
        ix: StreamIx,
        event: &Arc<StreamEvent>,
        prev: u64,
        form: Form,
    ) -> Notice {
        let stream = &self.streams[ix];
        Notice::Event {
            stream: stream.name.clone(),
            declaration: Arc::clone(&stream.declaration),
            event: Arc::clone(event),
            prev,
            form,
            source: source(ix),
        }
    }

    /// An event's JSON, parsed; `None` for bytes.
    pub(super) fn tree(&self, event: &StreamEvent) -> Option<Tree> {
        read(&event.data, self.settings.read_json)
    }
}

/// As [`Streams::tree`].
pub(super) fn read(data: &Data, read_json: fn(&str) -> Option<Tree>) -> Option<Tree> {
    match data {
        Data::Json(text) => read_json(text),
        Data::Binary(_) => None,
    }
}
