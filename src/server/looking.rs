//! Whose events are looked into for their filters: of those who are behind in logs, a page after the other, in turns.
//! Who owes for work waits until it is paid off, and all together have [`LOOKED_INTO_PER_TURN_BYTES`] of a turn, and
//! at most a page more.

use super::chat::Chat;
use super::web::Net;
use crate::base::limits::LOOKED_INTO_PER_TURN_BYTES;
use crate::base::{ConnId, Moment};
use crate::hub::Input;
use crate::store::Backend;
use std::collections::BTreeMap;

/// Those who wait, each once.
#[derive(Debug, Default)]
pub(super) struct Looking {
    /// From when on each may be looked into, and in which order those of one moment have come.
    waiting: BTreeMap<(Moment, u64), ConnId>,
    places: BTreeMap<ConnId, (Moment, u64)>,
    next: u64,
    /// The turn in which was last looked, by its time, and how many bytes.
    turn: Moment,
    bytes: usize,
}

impl Looking {
    /// Lets a connection wait until `from` at least, behind all who came before; one that waits goes on waiting.
    pub(super) fn put(&mut self, conn: ConnId, from: Moment) {
        if self.places.contains_key(&conn) {
            return;
        }
        let place = (from, self.next);
        self.next += 1;
        self.places.insert(conn, place);
        self.waiting.insert(place, conn);
    }

    /// A connection is over.
    pub(super) fn forget(&mut self, conn: ConnId) {
        if let Some(place) = self.places.remove(&conn) {
            self.waiting.remove(&place);
        }
    }

    /// So many bytes were looked into.
    pub(super) fn count(&mut self, now: Moment, bytes: usize) {
        if self.turn != now {
            (self.turn, self.bytes) = (now, 0);
        }
        self.bytes += bytes;
    }

    /// When the first of those who wait may go on; none if nobody waits.
    fn due(&self, now: Moment) -> Option<Moment> {
        let ((from, _), _) = self.waiting.first_key_value()?;
        let is_turn_over = self.turn == now && self.bytes >= LOOKED_INTO_PER_TURN_BYTES;
        Some(if is_turn_over { (*from).max(now.plus_millis(1)) } else { *from })
    }

    fn take(&mut self) -> Option<ConnId> {
        let (_, conn) = self.waiting.pop_first()?;
        self.places.remove(&conn);
        Some(conn)
    }
}

impl<S: Backend> Chat<S> {
    /// The next connection for which may be looked now.
    pub(super) fn next_look(&mut self, net: &mut Net<'_>) -> Option<Input> {
        let now = net.now();
        loop {
            let due = self.looking.due(now)?;
            if due > now {
                net.wake_at(due);
                return None;
            }
            let conn = self.looking.take()?;
            match self.owed_on(net, conn) {
                Some((wait_ms, _)) => self.looking.put(conn, now.plus_millis(wait_ms.max(1))),
                None => return Some(Input::Look { conn }),
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

    #[test]
    fn they_take_turns_and_a_turn_has_its_bytes() {
        let mut looking = Looking::default();
        let [a, b, c] = [1, 2, 3].map(|of| ConnId::new(of, 1));
        assert_eq!(looking.due(at(5)), None);
        for (conn, from) in [(c, 5), (b, 7), (a, 5)] {
            looking.put(conn, at(from));
        }
        assert_eq!(looking.due(at(5)), Some(at(5)));
        assert_eq!(looking.take(), Some(c));
        looking.count(at(5), LOOKED_INTO_PER_TURN_BYTES - 1);
        looking.put(c, at(5));
        looking.put(c, at(1));
        assert_eq!(looking.due(at(5)), Some(at(5)), "there is a byte left");
        looking.count(at(5), 1);
        assert_eq!(looking.due(at(5)), Some(at(6)), "the turn has had its bytes");
        assert_eq!(looking.due(at(6)), Some(at(5)), "the next one has its own");
        assert_eq!([looking.take(), looking.take()], [Some(a), Some(c)], "behind who came before");
        assert_eq!(looking.due(at(6)), Some(at(7)), "one waits until it may");
        looking.forget(b);
        assert_eq!((looking.due(at(9)), looking.places.len()), (None, 0));
    }
}
