//! When all outboxes together are full, the holder of the most bytes loses a connection.

use super::io::Io;
use super::slot::CloseCause;
use crate::base::ConnId;
use crate::base::limits::{FULL_LOGGED_EVERY_MS, OUTBOXES_FULL_MS};
use std::collections::{BTreeMap, BinaryHeap};
use std::num::NonZeroU32;

/// The holder of a connection: connections of one holder count together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum ConnectionHolder {
    /// A holder of several connections.
    Many(NonZeroU32),
    /// A connection on its own.
    One(u64),
}

impl Io {
    /// Counts what waits for this connection together with what waits for the other connections of
    /// `holder`, when the reactor looks for the largest holder. Without this call it counts alone.
    pub fn set_holder(&mut self, conn: ConnId, holder: NonZeroU32) {
        if let Some(slot) = self.slot(conn) {
            slot.holder = Some(holder);
        }
    }

    /// Makes room when all outboxes together have been full for long. Until then no connection is
    /// cut: slow ones are served later, and most such periods pass.
    pub(super) fn check_budget(&mut self) {
        self.tell_cuts();
        if !self.budget.is_spent() {
            self.full_since = None;
            return;
        }
        let until = self.full_since.get_or_insert(self.now).plus_millis(OUTBOXES_FULL_MS);
        if self.now >= until || self.budget.is_over() {
            self.make_room();
            self.tell_cuts();
        } else {
            self.wake_at(until);
        }
    }

    /// Cuts connections until there is room: each time the largest one of the largest holder.
    pub(super) fn make_room(&mut self) {
        let mut holders: BTreeMap<ConnectionHolder, Vec<(usize, ConnId)>> = BTreeMap::new();
        for (index, slot) in &self.table {
            let conn = self.id(index, slot.generation);
            let held = slot.outbox.held_bytes();
            if held > 0 && !slot.is_cut() {
                let holder = slot
                    .holder
                    .map_or(ConnectionHolder::One(conn.to_u64()), ConnectionHolder::Many);
                holders.entry(holder).or_default().push((held, conn));
            }
        }
        let mut largest: BinaryHeap<(usize, Vec<(usize, ConnId)>)> = holders
            .into_values()
            .map(|mut conns| {
                conns.sort_unstable_by_key(|(held, _)| *held);
                (conns.iter().map(|(held, _)| held).sum(), conns)
            })
            .collect();
        while !self.budget.has_room()
            && let Some((held_by_all, mut conns)) = largest.pop()
        {
            if let Some((held, conn)) = conns.pop() {
                self.cut_for(conn, CloseCause::HeldMost);
                self.counters.cut_for_room += 1;
                largest.push((held_by_all - held, conns));
            }
        }
        self.full_since = None;
    }

    /// Logs how many connections were cut: the first at once, those soon after it a moment later.
    fn tell_cuts(&mut self) {
        let ever = self.counters.cut_for_room;
        let cut = ever - self.told_cuts;
        if cut == 0 {
            return;
        }
        let due = self.told_cuts_at.map_or(self.now, |at| at.plus_millis(FULL_LOGGED_EVERY_MS));
        if self.now < due {
            self.wake_at(due);
            return;
        }
        (self.told_cuts, self.told_cuts_at) = (ever, Some(self.now));
        log::warn!(
            "all outboxes together were full: {cut} connections for which most waited were cut ({ever} since the \
             start), {} bytes wait now",
            self.budget.used()
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::outbox::NO_SOURCE;
    use crate::base::{Class, Frame, Limits, Moment, Timestamp};

    const MIB: usize = 1024 * 1024;

    fn io(all_outboxes_bytes: usize) -> Io {
        let limits = Limits { all_outboxes_bytes, ..Limits::default() };
        Io::new(&limits, Moment::ZERO, Timestamp(0))
    }

    fn ask(io: &mut Io, conn: ConnId, bytes: usize) {
        let _ = io.push(conn, Frame::Own(vec![0; bytes].into()), Class::Reply, NO_SOURCE);
    }

    #[test]
    fn beyond_the_bound_the_holder_of_most_goes_first_and_those_of_one_holder_count_together() {
        let mut io = io(4 * MIB);
        let conns: Vec<ConnId> = (0..40).map(|_| io.open()).collect();
        let (greedy, modest) = conns.split_at(30);
        for conn in greedy {
            io.set_holder(*conn, NonZeroU32::MIN);
        }
        // Each modest connection holds more than each greedy one, but the greedy ones count as one.
        for conn in modest {
            ask(&mut io, *conn, 200_000);
        }
        for turn in 0..100 {
            for conn in greedy {
                ask(&mut io, *conn, 10_000);
                assert!(io.waiting_bytes() <= 5 * MIB + 20_000, "turn {turn}");
            }
        }
        assert!(modest.iter().all(|conn| io.is_open(*conn)));
        let gone = greedy.iter().filter(|conn| !io.is_open(**conn)).count();
        assert!(gone > 0, "some have gone");
        assert_eq!(io.counters().cut_for_room, gone as u64);
    }

    #[test]
    fn what_is_shared_is_held_by_each_in_part() {
        let mut io = io(4 * MIB);
        let conns: Vec<ConnId> = (0..11).map(|_| io.open()).collect();
        let (alone, room) = conns.split_first().unwrap();
        for _ in 0..8 {
            let frame = Frame::shared(vec![0; 250_000]);
            for conn in room {
                let _ = io.push(*conn, frame.clone(), Class::Durable, 1);
            }
        }
        ask(&mut io, *alone, 900_000);
        assert_eq!(io.waiting_bytes() / 100_000, 19, "four of the eight, which lie there once");
        ask(&mut io, *alone, 900_000);
        assert!(io.is_open(*alone));
        for _ in 0..4 {
            ask(&mut io, *alone, 900_000);
        }
        assert!(!io.is_open(*alone), "what the ten hold together is less for each");
        assert!(room.iter().all(|conn| io.is_open(*conn)));
    }

    #[test]
    fn what_is_full_for_long_is_made_room_in_and_what_passes_is_not() {
        let mut io = io(4 * MIB);
        let (large, small) = (io.open(), io.open());
        ask(&mut io, large, 4 * MIB);
        ask(&mut io, small, 100);
        io.check_budget();
        assert_eq!(io.tick_at, Moment::from_millis(OUTBOXES_FULL_MS), "it is looked again");
        io.now = Moment::from_millis(OUTBOXES_FULL_MS - 1);
        io.check_budget();
        // There is room for a moment.
        io.slot(large).unwrap().outbox.clear();
        io.check_budget();
        ask(&mut io, large, 4 * MIB);
        for (at, is_open) in [(0, true), (OUTBOXES_FULL_MS - 1, true), (OUTBOXES_FULL_MS, false)] {
            io.now = Moment::from_millis(OUTBOXES_FULL_MS - 1 + at);
            io.check_budget();
            assert_eq!(io.is_open(large), is_open, "after {at} ms");
        }
        assert!(io.is_open(small));
        assert_eq!(io.told_cuts, 1, "and it is told");
        // A cut soon after it is logged a second later.
        let other = io.open();
        ask(&mut io, other, 6 * MIB);
        io.check_budget();
        assert_eq!((io.is_open(other), io.counters().cut_for_room, io.told_cuts), (false, 2, 1));
        io.tick_at = Moment::NEVER;
        io.check_budget();
        assert_eq!(io.tick_at, io.now.plus_millis(FULL_LOGGED_EVERY_MS), "it is looked again");
        io.now = io.tick_at;
        io.check_budget();
        assert_eq!(io.told_cuts, 2);
    }
}
