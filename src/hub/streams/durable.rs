//! Durable streams: their events are committed before anybody receives them, and survive a restart.
//!
//! The store numbers the events, as it does rooms' entries. A failed publication uses no number,
//! and publications in flight together keep the order in which they were decided.

use super::publish::{MISMATCH, NewEvent, Publication, PublishResult, read};
use super::stale::LastHeard;
use super::stream::{Stream, StreamIx};
use super::table::Streams;
use crate::base::declaration::Declaration;
use crate::base::{Answer, Data, Effects, Now, Outcome, Record, Refusal, StreamEvent, StreamState};
use std::rc::Rc;

impl Streams {
    /// Takes over a stream from the store. If it is no longer declared, only its epoch and head are
    /// remembered.
    pub(super) fn restore(&mut self, state: StreamState) {
        let StreamState { stream: name, epoch, head, ts, events } = state;
        let epoch: Rc<str> = Rc::from(&*epoch);
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

    /// Handles an event's outcome. Only now do subscribers receive it.
    pub(in crate::hub) fn stored(
        &mut self,
        Publication { stream: name, data, id }: Publication,
        outcome: &Outcome,
        effects: &mut Effects,
    ) -> Result<Answer, Refusal> {
        let name = &name;
        if let Some(in_flight) = self.in_flight.get_mut(name) {
            *in_flight -= 1;
            if *in_flight == 0 {
                self.in_flight.remove(name);
            }
        }
        let ix = self.ix(name).filter(|ix| self.streams[*ix].declaration.durable);
        let Outcome::Event { epoch, seq, ts, is_duplicate } = outcome else {
            if let Some(ix) = ix {
                self.touch(effects.now.moment, ix);
                self.forget_if_empty(ix);
            }
            return Err(match outcome {
                Outcome::Mismatch => MISMATCH,
                other => Refusal::from(other),
            });
        };
        let (seq, duplicate) = (*seq, *is_duplicate);
        let answer = Answer::Published { stream: name.clone(), seq, ts: *ts, duplicate };
        if duplicate {
            if let Some(ix) = ix {
                self.touch(effects.now.moment, ix);
            }
            return Ok(answer);
        }
        match ix {
            Some(ix) => {
                let stream = &mut self.streams[ix];
                assert_eq!((&*stream.epoch, stream.head + 1), (&**epoch, seq), "of {name}");
                if is_of_kind(&data, &stream.declaration) {
                    let tree = read(&data, self.settings.read_json);
                    self.append(ix, NewEvent { ts: *ts, data, id, tree }, effects);
                } else {
                    stream.skip_number(seq);
                    self.touch(effects.now.moment, ix);
                }
            }
            // The declaration was removed meanwhile, so nobody watches.
            None => {
                self.dormant.insert(name.clone(), (Rc::from(&**epoch), seq));
            }
        }
        Ok(answer)
    }
}

/// Whether data are JSON or bytes, as declared. The kind may have been redeclared meanwhile.
fn is_of_kind(data: &Data, declaration: &Declaration) -> bool {
    matches!(data, Data::Binary(_)) == declaration.binary
}
