//! What a client does at a later time.

use crate::base::{Moment, RoomId, StreamId, UserId};
use std::collections::{BTreeMap, BTreeSet};

/// What is due then.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// The connection is not open, or not greeted, in time.
    Opening,
    /// The next attempt.
    Waiting,
    /// The connection has lasted.
    Stable,
    /// No answer to the question whether the server is there.
    Probe,
    /// The round trip is measured.
    Measure,
    /// No answer to that.
    Answer,
    /// The token ends soon.
    Refresh,
    /// The rate allows another request.
    Pump,
    /// A request was not answered in time.
    Late(u64),
    /// What was received is acknowledged.
    Ack,
    /// The server is told how far this user has read.
    Read(RoomId),
    /// Somebody has stopped typing without a word.
    Typing(RoomId, UserId),
    /// What is missing of a room is asked for again.
    Missing(RoomId),
    /// What is unsent in a room is sent again.
    Unsent(RoomId),
    /// Who is online is asked again.
    Presence,
    /// A stream is subscribed to again.
    Stream(StreamId),
}

impl Timer {
    /// Those of one connection, which end with it.
    const OF_CONNECTION: [Timer; 7] = [
        Timer::Opening,
        Timer::Waiting,
        Timer::Stable,
        Timer::Probe,
        Timer::Measure,
        Timer::Answer,
        Timer::Refresh,
    ];
}

/// When what is due; of each at most one.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    order: BTreeSet<(Moment, Timer)>,
    due: BTreeMap<Timer, Moment>,
}

impl Deadlines {
    /// Sets one, also if it was set for another time.
    pub(super) fn set(&mut self, timer: Timer, at: Moment) {
        self.clear(&timer);
        self.order.insert((at, timer.clone()));
        self.due.insert(timer, at);
    }

    /// Sets one, unless it is set.
    pub(super) fn set_once(&mut self, timer: Timer, at: Moment) {
        if !self.is_set(&timer) {
            self.set(timer, at);
        }
    }

    pub(super) fn is_set(&self, timer: &Timer) -> bool {
        self.due.contains_key(timer)
    }

    /// How many are set.
    pub(super) fn len(&self) -> usize {
        self.due.len()
    }

    pub(super) fn clear(&mut self, timer: &Timer) {
        if let Some(at) = self.due.remove(timer) {
            self.order.remove(&(at, timer.clone()));
        }
    }

    /// Clears those of the connection.
    pub(super) fn end_connection(&mut self) {
        for timer in &Timer::OF_CONNECTION {
            self.clear(timer);
        }
    }

    /// Clears those of who types in a room.
    pub(super) fn end_typing(&mut self, room: &RoomId) {
        let of_room = |timer: &&Timer| matches!(timer, Timer::Typing(of, _) if of == room);
        // Behind it in order come those who type.
        let begin = Timer::Read(room.clone());
        let all = self.due.range(begin..).map(|(timer, _)| timer);
        let all: Vec<Timer> = all
            .skip_while(|timer| matches!(timer, Timer::Read(_)))
            .filter(of_room)
            .cloned()
            .collect();
        for timer in all {
            self.clear(&timer);
        }
    }

    /// When the next is due.
    pub(super) fn next(&self) -> Moment {
        self.order.first().map_or(Moment::NEVER, |(at, _)| *at)
    }

    /// One that is due.
    pub(super) fn take_due(&mut self, now: Moment) -> Option<Timer> {
        self.order.first().filter(|(at, _)| *at <= now)?;
        let (_, timer) = self.order.pop_first()?;
        self.due.remove(&timer);
        Some(timer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_due_once_and_in_order() {
        let mut deadlines = Deadlines::default();
        let at = Moment::from_millis;
        deadlines.set(Timer::Ack, at(5));
        deadlines.set(Timer::Probe, at(3));
        deadlines.set(Timer::Ack, at(2));
        deadlines.set_once(Timer::Ack, at(9));
        deadlines.set(Timer::Late(1), at(8));
        assert_eq!((deadlines.next(), deadlines.take_due(at(1))), (at(2), None));
        assert_eq!(deadlines.take_due(at(9)), Some(Timer::Ack));
        deadlines.end_connection();
        assert_eq!(deadlines.take_due(at(9)), Some(Timer::Late(1)));
        assert_eq!((deadlines.take_due(at(9)), deadlines.next()), (None, Moment::NEVER));
    }
}
