//! Durable streams: their events are committed before anybody receives them, and survive a restart.
//!
//! The store numbers the events, as it does rooms' entries. A failed publication uses no number,
//! and publications in flight together keep the order in which they were decided.

use super::publish::{MISMATCH, NewEvent, Publication, PublishResult, read};
use super::stale::LastHeard;
use super::stream::{Stream, StreamIx};
use super::table::Streams;
use crate::base::declaration::Declaration;
use crate::base::{
    Answer, Data, Effects, Now, Outcome, Record, Refusal, StreamEvent, StreamId, StreamState,
};
use std::sync::Arc;

impl Streams {
    /// Takes over a stream from the store. If it is no longer declared, only its epoch and head are
    /// remembered.
    pub(super) fn restore(&mut self, state: StreamState) {
        let StreamState { stream: name, epoch, head, ts, events } = state;
        let epoch: Arc<str> = Arc::from(&*epoch);
        let declaration = self.declaration(&name).filter(|one| one.durable).cloned();
        let Some(declaration) = declaration else {
            self.dormant.insert(name, (epoch, head));
            return;
        };
        let is_fit = |event: &&StreamEvent| is_of_kind(&event.data, &declaration);
        let fit = events.iter().rev().take_while(is_fit).count();
        let max = self.settings.limits.all_streams_bytes;
        let mut left = max.saturating_sub(self.holdings.all_bytes());
        let newest = events.iter().rev().take(fit).take_while(|event| {
            let fits = event.bytes() <= left;
            left = left.saturating_sub(event.bytes());
            fits
        });
        let gone = events.len() - newest.count();
        let mut stream = Stream::new(name.clone(), declaration, epoch);
        stream.last_heard = (head > 0).then(|| LastHeard::before(ts));
        let events = events.into_iter().skip(gone).collect();
        stream.restore_log(head, events, self.settings.limits.stream_bytes as usize);
        let ix = StreamIx(self.streams.insert(stream) as u32);
        self.by_name.insert(name, ix);
        self.count(ix, None);
    }

    /// Whether the store has a stream's numbers, or will: then it is not forgotten.
    pub(super) fn is_stored(&self, stream: &Stream) -> bool {
        stream.declaration.durable && (stream.head > 0 || self.in_flight.contains_key(&stream.name))
    }

    pub(super) fn hand_over(
        &mut self,
        now: Now,
        ix: StreamIx,
        publication: &Publication,
    ) -> PublishResult {
        let stream = &self.streams[ix];
        *self.in_flight.entry(stream.name.clone()).or_insert(0) += 1;
        let record = Record::Event {
            stream: stream.name.clone(),
            epoch: (*stream.epoch).into(),
            data: publication.data.clone(),
            keep: stream.declaration.keep.events() as u64,
            id: publication.id.clone(),
        };
        self.touch(now.moment, ix);
        PublishResult::ToStore(record)
    }

    /// A publication is no longer in flight.
    pub(in crate::hub) fn returned(&mut self, name: &StreamId) {
        if let Some(in_flight) = self.in_flight.get_mut(name) {
            *in_flight -= 1;
            if *in_flight == 0 {
                self.in_flight.remove(name);
            }
        }
    }

    /// The answer to a publication that has added no event.
    pub(in crate::hub) fn not_stored(
        &mut self,
        now: Now,
        name: &StreamId,
        outcome: &Outcome,
    ) -> Result<Answer, Refusal> {
        let ix = self.durable_ix(name);
        if let Some(ix) = ix {
            self.touch(now.moment, ix);
        }
        if let Outcome::Earlier { seq, ts } = *outcome {
            return Ok(Answer::Published { stream: name.clone(), seq, ts, duplicate: true });
        }
        if let Some(ix) = ix {
            self.forget_if_empty(ix);
        }
        Err(match outcome {
            Outcome::Mismatch => MISMATCH,
            other => Refusal::from(other),
        })
    }

    /// An event is committed. Only now do subscribers receive it.
    pub(in crate::hub) fn stored(
        &mut self,
        name: &StreamId,
        epoch: &str,
        StreamEvent { seq, ts, data, id }: StreamEvent,
        effects: &mut Effects,
    ) {
        let Some(ix) = self.durable_ix(name) else {
            // The declaration was removed meanwhile, so nobody watches.
            let dormant = self.dormant.entry(name.clone()).or_insert((Arc::from(epoch), seq));
            dormant.1 = dormant.1.max(seq);
            return;
        };
        let stream = &mut self.streams[ix];
        if seq <= stream.head {
            // Another hub has heard of it first, and all have these streams.
            return;
        }
        assert_eq!((&*stream.epoch, stream.head + 1), (epoch, seq), "of {name}");
        if is_of_kind(&data, &stream.declaration) {
            let tree = read(&data, self.settings.read_json);
            self.append(ix, NewEvent { ts, data, id, tree }, effects);
        } else {
            stream.skip_number(seq);
            self.touch(effects.now.moment, ix);
        }
    }

    fn durable_ix(&self, name: &StreamId) -> Option<StreamIx> {
        self.ix(name).filter(|ix| self.streams[*ix].declaration.durable)
    }
}

/// Whether data are JSON or bytes, as declared. The kind may have been redeclared meanwhile.
fn is_of_kind(data: &Data, declaration: &Declaration) -> bool {
    matches!(data, Data::Binary(_)) == declaration.binary
}
