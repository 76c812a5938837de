//! Places of polled streams for which somebody is being let in: so that requests on two threads do not
//! both have the last one.

use super::Sources;
use crate::base::StreamId;
use crate::base::rates::Payer;

impl Sources {
    /// Reserves a place for each of these streams, if no more than `most` are polled for the payer then.
    /// Returns those for which it has: another request of theirs may have one already.
    pub(crate) fn reserve(
        &mut self,
        payer: &Payer,
        streams: &[StreamId],
        most: u64,
    ) -> Option<Vec<StreamId>> {
        let is_new =
            |stream: &&StreamId| !self.reserved.contains(&((*stream).clone(), payer.clone()));
        let new: Vec<StreamId> = streams.iter().filter(is_new).cloned().collect();
        if self.payers.of(payer) + new.len() as u64 > most && !new.is_empty() {
            return None;
        }
        for stream in &new {
            self.reserved.insert((stream.clone(), payer.clone()));
            self.payers.add(payer, 1);
        }
        Some(new)
    }

    /// Gives back what was reserved, as far as nobody watches it for that.
    pub(crate) fn release(&mut self, payer: &Payer, streams: &[StreamId]) {
        for stream in streams {
            self.take_reserved(stream, payer);
        }
    }

    /// A stream is polled for a payer: that counts in place of what was reserved.
    pub(super) fn take_reserved(&mut self, stream: &StreamId, payer: &Payer) {
        if self.reserved.remove(&(stream.clone(), payer.clone())) {
            self.payers.remove(payer, 1);
        }
    }
}
