//! The order in which connections that are behind in logs have events compared with their filters:
//! a page after another, in turns by payer. A payer that owes work waits until it is paid off.
//! Together they have [`SCANNED_PER_TURN_BYTES`] of a turn, and at most one page more.

use super::chat::Chat;
use super::pace::TooSoon;
use crate::base::limits::SCANNED_PER_TURN_BYTES;
use crate::base::{ConnId, Moment};
use crate::hub::Input;
use crate::store::RecordStore;
use crate::web::Net;
use std::collections::BTreeMap;
use std::num::NonZeroU32;

/// Where a connection waits.
#[derive(Clone, Copy, Debug)]
enum WaitingPlace {
    /// Not before this moment.
    Later(Moment, u64),
    /// In this round.
    Ready(u64, u64),
}

/// The connections that wait, each once.
#[derive(Debug, Default)]
pub(super) struct ScanQueue {
    places: BTreeMap<ConnId, WaitingPlace>,
    later: BTreeMap<(Moment, u64), (ConnId, NonZeroU32)>,
    /// In each round every payer has one turn, however many connections it has.
    ready: BTreeMap<(u64, u64), (ConnId, NonZeroU32)>,
    /// The last round in which each payer has a turn. Only payers that wait are here.
    rounds: BTreeMap<NonZeroU32, u64>,
    round: u64,
    next: u64,
    /// The turn of the loop in which events were compared last, by its time, and how many bytes.
    turn: Moment,
    bytes: usize,
}

impl ScanQueue {
    /// Queues a connection, unless it waits already.
    fn put(&mut self, conn: ConnId, payer: NonZeroU32) {
        if self.places.contains_key(&conn) {
            return;
        }
        let last = self.rounds.entry(payer).or_insert(self.round);
        *last += 1;
        let key = (*last, self.next);
        self.next += 1;
        self.ready.insert(key, (conn, payer));
        self.places.insert(conn, WaitingPlace::Ready(key.0, key.1));
    }

    /// Lets a connection wait until a moment, and then for its turn.
    fn put_later(&mut self, conn: ConnId, payer: NonZeroU32, from: Moment) {
        let key = (from, self.next);
        self.next += 1;
        self.later.insert(key, (conn, payer));
        self.places.insert(conn, WaitingPlace::Later(key.0, key.1));
    }

    /// A connection is closed.
    pub(super) fn forget(&mut self, conn: ConnId) {
        match self.places.remove(&conn) {
            Some(WaitingPlace::Later(from, at)) => {
                self.later.remove(&(from, at));
            }
            Some(WaitingPlace::Ready(round, at)) => {
                if let Some((_, payer)) = self.ready.remove(&(round, at)) {
                    self.end_round(payer, round);
                }
            }
            None => {}
        }
    }

    /// Counts bytes of events that were compared.
    pub(super) fn count(&mut self, now: Moment, bytes: usize) {
        if self.turn != now {
            (self.turn, self.bytes) = (now, 0);
        }
        self.bytes += bytes;
    }

    /// Nobody waits for a moment any more, only for a turn: what they owe may have changed.
    pub(super) fn retry_now(&mut self) {
        self.let_in(Moment::NEVER);
    }

    fn let_in(&mut self, now: Moment) {
        while let Some(first) = self.later.first_entry()
            && first.key().0 <= now
        {
            let (conn, payer) = first.remove();
            self.places.remove(&conn);
            self.put(conn, payer);
        }
    }

    /// When somebody may go on; `None` if nobody waits.
    fn due(&mut self, now: Moment) -> Option<Moment> {
        self.let_in(now);
        if self.ready.is_empty() {
            return self.later.first_key_value().map(|((from, _), _)| *from);
        }
        let is_turn_over = self.turn == now && self.bytes >= SCANNED_PER_TURN_BYTES;
        Some(if is_turn_over { now.plus_millis(1) } else { now })
    }

    fn take(&mut self) -> Option<(ConnId, NonZeroU32)> {
        let ((round, _), (conn, payer)) = self.ready.pop_first()?;
        self.round = round;
        self.places.remove(&conn);
        self.end_round(payer, round);
        Some((conn, payer))
    }

    fn end_round(&mut self, payer: NonZeroU32, round: u64) {
        if self.rounds.get(&payer) == Some(&round) {
            self.rounds.remove(&payer);
        }
    }
}

impl<S: RecordStore> Chat<S> {
    /// A connection waits to have events that it missed compared with its filters.
    pub(super) fn queue_scan(&mut self, net: &Net<'_>, conn: ConnId) {
        let payer = self.team.budgets.number_of(&self.payer_on(net, conn));
        self.scan_queue.put(conn, payer);
    }

    /// The next connection whose turn it is.
    pub(super) fn next_scan(&mut self, net: &mut Net<'_>) -> Option<Input> {
        let now = net.now();
        loop {
            let due = self.scan_queue.due(now)?;
            if due > now {
                net.wake_at(due);
                return None;
            }
            let (conn, payer) = self.scan_queue.take()?;
            match self.owed_on(net, conn) {
                Some(TooSoon { retry_after_ms, .. }) => {
                    let from = now.plus_millis(retry_after_ms.max(1));
                    self.scan_queue.put_later(conn, payer, from);
                }
                None => return Some(Input::Scan { conn }),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Moment {
        Moment::from_millis(ms)
    }

    fn of(number: u32) -> NonZeroU32 {
        NonZeroU32::new(number).unwrap()
    }

    #[test]
    fn those_who_pay_take_turns_however_many_connections_they_have() {
        let mut scan_queue = ScanQueue::default();
        for number in 0..100 {
            scan_queue.put(ConnId::new(number, 1), of(1));
        }
        let took = |scan_queue: &mut ScanQueue| scan_queue.take().map(|(conn, _)| conn.index());
        assert_eq!([took(&mut scan_queue), took(&mut scan_queue)], [Some(0), Some(1)]);
        scan_queue.put(ConnId::new(200, 1), of(2));
        scan_queue.put(ConnId::new(201, 1), of(3));
        scan_queue.put(ConnId::new(0, 1), of(1));
        let order = [(); 4].map(|()| took(&mut scan_queue));
        assert_eq!(order, [Some(2), Some(200), Some(201), Some(3)]);
        scan_queue.forget(ConnId::new(0, 1));
        while took(&mut scan_queue).is_some_and(|conn| conn != 0) {}
        let left = (scan_queue.places.len(), scan_queue.ready.len(), scan_queue.rounds.len());
        assert_eq!(left, (0, 0, 0));
    }

    #[test]
    fn a_turn_has_its_bytes_and_who_owes_waits() {
        let mut scan_queue = ScanQueue::default();
        let [a, b, c] = [1, 2, 3].map(|of| ConnId::new(of, 1));
        assert_eq!(scan_queue.due(at(5)), None);
        scan_queue.put(a, of(1));
        scan_queue.put(a, of(1));
        scan_queue.put_later(b, of(2), at(7));
        scan_queue.put_later(c, of(3), at(9));
        assert_eq!(scan_queue.due(at(5)), Some(at(5)));
        scan_queue.count(at(5), SCANNED_PER_TURN_BYTES - 1);
        assert_eq!(scan_queue.due(at(5)), Some(at(5)), "there is a byte left");
        scan_queue.count(at(5), 1);
        assert_eq!(scan_queue.due(at(5)), Some(at(6)), "the turn has had its bytes");
        assert_eq!(scan_queue.due(at(6)), Some(at(6)), "the next one has its own");
        assert_eq!((scan_queue.take(), scan_queue.due(at(6))), (Some((a, of(1))), Some(at(7))));
        assert_eq!((scan_queue.due(at(7)), scan_queue.take()), (Some(at(7)), Some((b, of(2)))));
        scan_queue.retry_now();
        assert_eq!(scan_queue.due(at(7)), Some(at(7)));
        scan_queue.forget(c);
        assert_eq!((scan_queue.due(at(9)), scan_queue.places.len()), (None, 0));
    }
}
