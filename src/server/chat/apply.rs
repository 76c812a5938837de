//! Carries out the hub's effects: answers, deliveries, records; and tells the time at which it
//! decides.

use super::chat::Chat;
use super::deliver::{EncodedNotice, PushForm};
use crate::base::limits::{DELIVERIES_PER_TURN, REQUESTS_IN_FLIGHT_MAX, TOLD_PER_TURN};
use crate::base::{
    Answer, Class, ClockChange, ConnId, Effect, Effects, Moment, Notice, Now, Origin, Record,
    Refusal, Told, UserId, WallClock,
};
use crate::hub::Input;
use crate::protocol::Message;
use crate::protocol::endpoint::Broadcast;
use crate::store::{NotTaken, RecordStore};
use crate::web::Net;
use crate::wire::close_codes::{KICKED, OVERLOADED, SLOW, TOO_MANY};
use crate::wire::encode::{self, WireBody};
use std::collections::{BTreeSet, VecDeque};

/// Tells the hub that a connection had no room for a notice that is not in a log or a stream.
fn missed(conn: ConnId, notice: &Notice) -> Option<Input> {
    match notice {
        Notice::Online { .. } | Notice::Offline { .. } | Notice::Count { .. } => {
            Some(Input::PresenceMissed { conn })
        }
        Notice::Updated { source, .. } => Some(Input::UpdateMissed { conn, source: *source }),
        Notice::Age { source, .. } => Some(Input::AgeMissed { conn, source: *source }),
        // The newest state wins, the connection is gone, or a cursor goes on where it was.
        Notice::Typing { .. }
        | Notice::Read { .. }
        | Notice::Delivered { .. }
        | Notice::Unsubscribed { .. }
        | Notice::Invited(_)
        | Notice::Removed { .. }
        | Notice::Entry { .. }
        | Notice::Event { .. } => None,
    }
}

/// What the hub has still to hear, and what it decided with.
#[derive(Debug, Default)]
pub(super) struct Decisions {
    inputs: VecDeque<Input>,
    effects: Effects,
    /// The hub or the store is at work: a panic now leaves them in doubt.
    pub(super) is_under_way: bool,
    /// Frames that were handed to connections in this turn.
    deliveries: usize,
    /// What this turn was told by the store.
    heard: usize,
    /// The turn in which these are counted.
    counted_at: Moment,
    /// The hub is to be told everything that has come, before it decides anything else. That does
    /// not wait for another turn: the frames of it are bounded by what may wait for a connection.
    catches_up: bool,
    /// Connections whose outboxes had no room for something of a source, until the hub has been told
    /// so: later things of it must not overtake the first.
    refused: BTreeSet<(ConnId, u32)>,
    wall_clock: WallClock,
}

impl Decisions {
    pub(super) fn new(wall_clock: WallClock) -> Decisions {
        Decisions { wall_clock, ..Decisions::default() }
    }
}

impl<S: RecordStore> Chat<S> {
    /// Hands an input to the hub, and carries out its effects and what follows from them.
    pub(super) fn decide(&mut self, net: &mut Net<'_>, input: Input) {
        self.decisions.inputs.push_back(input);
        while let Some(input) = self.next_input(net) {
            let now = self.read_clocks(net);
            // A panic in here leaves the hub in doubt, so the process ends. What was acknowledged
            // is on disk.
            self.decisions.is_under_way = true;
            let mut effects = std::mem::take(&mut self.decisions.effects);
            self.hub.handle(now, input, &mut effects);
            self.apply(net, now, &effects);
            effects.clear();
            self.decisions.effects = effects;
            self.decisions.is_under_way = false;
            self.count_nothing();
            self.write_resumed(net);
        }
        self.check_pools(net);
    }

    /// What follows from what was decided comes first, so that no cursor takes a later entry of what
    /// the hub is told for one that it has.
    fn next_input(&mut self, net: &mut Net<'_>) -> Option<Input> {
        if let Some(input) = self.decisions.inputs.pop_front() {
            return Some(input);
        }
        self.decisions.refused.clear();
        if self.decisions.catches_up {
            if let Some(told) = self.next_told(net) {
                return Some(Input::Told(told));
            }
            self.decisions.catches_up = false;
        }
        self.next_scan(net)
    }

    fn apply(&mut self, net: &mut Net<'_>, now: Now, effects: &Effects) {
        for effect in &effects.list {
            match effect {
                Effect::Answer { origin: Origin::Call(call), answer } => {
                    self.call_answered(net, *call, answer);
                }
                Effect::Answer { origin: origin @ Origin::Conn(conn, id), answer } => {
                    self.answer_on(net, (*conn, id.as_deref()), origin, answer);
                }
                Effect::Greet { conn, rooms, invites } => {
                    let origin = Origin::Conn(*conn, None);
                    self.index_arrival(*conn);
                    self.greet(net, &origin, rooms, invites);
                }
                Effect::Deliver { recipients, notice } => {
                    let recipients = &effects.recipients[recipients.clone()];
                    self.deliver(net, recipients, notice);
                }
                Effect::TakeBack { conn, source } => {
                    // What a connection was sent before it closed goes before its Close.
                    if self.sessions.get(*conn).is_some() {
                        net.take_back(*conn, *source);
                    }
                    self.forget_missed(*conn, *source);
                }
                Effect::Watched { stream, by } => self.stream_watched(net, stream, *by),
                Effect::Skipped { conn, count } => {
                    net.count_drops(*conn, *count);
                    self.counters.skipped_events += u64::from(*count);
                }
                Effect::WaitToScan { conn } => self.queue_scan(net, *conn),
                Effect::Scanned { conn, bytes } => {
                    self.scan_queue.count(net.now(), *bytes);
                    self.pay_for_answer(net, &Origin::Conn(*conn, None), *bytes);
                }
                Effect::Tell { hub, news } => self.store_client.store.tell(*hub, news),
                Effect::CatchUp => {
                    self.keep_count();
                    self.store_client.fetch();
                    self.decisions.catches_up = true;
                }
                Effect::CaughtUp => self.resume_count(),
                Effect::TellDrained { conn } => net.tell_drained(*conn),
                Effect::Persist { ticket, record } => self.persist(net, now, *ticket, record),
                Effect::Load { ticket, query } => {
                    let (timestamp, query) = (net.timestamp(), query.clone());
                    self.ask_store(net, *ticket, |store| store.read(*ticket, timestamp, query));
                }
                Effect::Seek { ticket, rooms, since } => {
                    let (timestamp, rooms, since) = (net.timestamp(), rooms.clone(), *since);
                    self.ask_store(net, *ticket, |store| {
                        store.seek(*ticket, timestamp, rooms, since)
                    });
                }
                Effect::Hold { conn } | Effect::Release { conn } => {
                    let holds = matches!(effect, Effect::Hold { .. });
                    if let Some(session) = self.sessions.get_mut(*conn) {
                        session.is_held = holds;
                    }
                    self.settle_pause(net, *conn);
                }
                Effect::Resume { conn } => self.audit.resume(*conn),
                Effect::TooMany { conn } => {
                    self.close_with(net, *conn, TOO_MANY, "you have too many connections");
                }
                Effect::Revoked { origin, revocation } => {
                    self.revoked(net, origin.as_ref(), revocation)
                }
                Effect::TooSlow { conn } => {
                    let message = "what you have not read is no longer kept";
                    self.close_with(net, *conn, SLOW, message);
                }
                Effect::StaleMembership { conn } => {
                    let message = "leaving a room failed: you will hear of it when you reconnect";
                    self.close_with(net, *conn, OVERLOADED, message);
                }
                Effect::WakeAt(moment) => net.wake_at(*moment),
            }
        }
    }

    fn answer_on(
        &mut self,
        net: &mut Net<'_>,
        (conn, id): (ConnId, Option<&str>),
        origin: &Origin,
        answer: &Result<Answer, Refusal>,
    ) {
        if answer.is_ok() {
            self.counters.requests_ok += 1;
        }
        match (answer, id) {
            (Ok(answer), Some(id)) => {
                let text = encode::reply(id, |w| self.answer(w, net, origin, answer));
                self.pay_for_answer(net, origin, text.len());
                self.say(net, conn, &text);
            }
            (Ok(Answer::Subscribed(streams)), None) => self.has_subscribed(net, conn, streams),
            (answer, None) => match (self.push_form(net, conn), answer) {
                (PushForm::Stream(_), Err(refusal)) => {
                    self.cannot_watch(net, conn, refusal);
                    self.end_watching(net, conn);
                }
                (PushForm::Events | PushForm::Stream(_), _) => self.has_resumed(net, conn, answer),
                (PushForm::Messages | PushForm::Own, Ok(_)) => {}
                (PushForm::Messages | PushForm::Own, Err(refusal)) => {
                    self.refused(net, origin, refusal);
                }
            },
            (Err(refusal), Some(_)) => self.refused(net, origin, refusal),
        }
    }

    fn persist(&mut self, net: &mut Net<'_>, now: Now, ticket: u64, record: &Record) {
        let record = self.count_for(ticket, record.clone());
        // This time tells which revocations are old enough to be forgotten; they have no date of
        // their own.
        let is_revocation = matches!(record, Record::Revoke { .. });
        let now = if is_revocation { now.age_by } else { now.timestamp };
        self.store_client.note_written(ticket, net.now());
        self.ask_store(net, ticket, |store| store.write(ticket, now, record));
    }

    /// Asks the store for something; the hub is told when it does not take that.
    fn ask_store(
        &mut self,
        net: &Net<'_>,
        ticket: u64,
        ask: impl FnOnce(&mut S) -> Result<(), NotTaken>,
    ) {
        let Err(reason) = self.store_client.ask(ask) else { return };
        self.counters.count_not_taken(reason);
        let told = Told::Answer { ticket, outcome: reason.into() };
        self.settle_count(net.now(), &told);
        self.decisions.inputs.push_back(Input::Told(told));
    }

    /// Encodes a notice once and hands it to all its recipients.
    fn deliver(&mut self, net: &mut Net<'_>, recipients: &[ConnId], notice: &Notice) {
        let encoded = encode::notice(notice);
        let mut broadcast = Broadcast::new(match &encoded.body {
            WireBody::Text(text) => Message::Text(text),
            WireBody::Binary(bytes) => Message::Binary(bytes),
        });
        self.decisions.deliveries += recipients.len();
        let mut told = EncodedNotice::new(notice, &encoded);
        for &conn in recipients {
            if let Notice::Unsubscribed { message, .. } = notice
                && matches!(self.push_form(net, conn), PushForm::Stream(_))
            {
                self.close_with(net, conn, KICKED, *message);
                continue;
            }
            if self.decisions.refused.contains(&(conn, encoded.source)) {
                self.decisions.inputs.extend(missed(conn, notice));
                continue;
            }
            if net.broadcast(conn, &mut broadcast, encoded.class, encoded.source).is_ok() {
                continue;
            }
            if net.is_endless(conn) {
                let of_conn = (conn, 0)..=(conn, u32::MAX);
                let misses_some = self.decisions.refused.range(of_conn).next().is_some();
                if self.piece(net, conn, &mut told, misses_some).is_ok() {
                    continue;
                }
            }
            if encoded.class == Class::Ephemeral && net.is_open(conn) {
                net.count_drops(conn, 1);
                self.counters.dropped_pushes += 1;
            }
            match notice {
                Notice::Entry { entry, source, .. } => {
                    self.decisions.refused.insert((conn, *source));
                    let behind =
                        Input::Behind { conn, source: *source, seq: entry.seq, ts: entry.ts };
                    self.decisions.inputs.push_back(behind);
                }
                Notice::Event { event, prev, source, .. } => {
                    self.decisions.refused.insert((conn, *source));
                    let (source, seq, prev) = (*source, event.seq, *prev);
                    self.decisions.inputs.push_back(Input::EventMissed { conn, source, seq, prev });
                }
                _ => self.decisions.inputs.extend(missed(conn, notice)),
            }
        }
    }

    /// A subscription has ended: what its connection has missed of it is of nobody any more. A new one
    /// of the same stream may have begun in the same input.
    fn forget_missed(&mut self, conn: ConnId, missed: u32) {
        if self.decisions.refused.remove(&(conn, missed)) {
            let is_other = |input: &Input| !matches!(input, Input::EventMissed { conn: of, source, .. } if (*of, *source) == (conn, missed));
            self.decisions.inputs.retain(is_other);
        }
    }

    /// Takes what the store tells.
    pub(super) fn take_told(&mut self, net: &mut Net<'_>) {
        if std::mem::replace(&mut self.decisions.counted_at, net.now()) != net.now() {
            (self.decisions.deliveries, self.decisions.heard) = (0, 0);
        }
        while self.decisions.deliveries < DELIVERIES_PER_TURN
            && self.decisions.heard < TOLD_PER_TURN
        {
            self.decisions.heard += 1;
            // No more is fetched before that is heard: what is not fetched holds the store back.
            if !self.store_client.has_told() {
                self.store_client.fetch();
            }
            let Some(told) = self.next_told(net) else { return };
            self.decide(net, Input::Told(told));
        }
        // The rest comes in the next turn, when these have been sent.
        self.thread().wake.wake();
    }

    /// What the hub is to be told next.
    fn next_told(&mut self, net: &Net<'_>) -> Option<Told> {
        let told = self.store_client.next(net.now())?;
        self.counters.count_told(&told);
        if let Some(ms) = self.store_client.took_ms(&told, net.now()) {
            self.counters.deliveries.observe(ms * 1_000);
        }
        self.settle_count(net.now(), &told);
        Some(told)
    }

    /// Before something from outside is judged: it may be about what others have been told.
    pub(super) fn hear_first(&mut self, net: &mut Net<'_>) {
        if self.hub.is_behind() {
            self.store_client.fetch();
            while let Some(told) = self.next_told(net) {
                self.decide(net, Input::Told(told));
            }
        }
    }

    /// Reads from a connection, unless the hub holds it, too many of its calls wait for handlers,
    /// it sent too many bytes, or the server stops.
    pub(super) fn settle_pause(&mut self, net: &mut Net<'_>, conn: ConnId) {
        let (is_stopping, now) = (self.is_stopping(), net.now());
        let Some(session) = self.sessions.get_mut(conn) else { return };
        let is_busy = session.is_held || session.calls >= REQUESTS_IN_FLIGHT_MAX;
        if is_busy || session.unread_until() > now || is_stopping {
            net.pause(conn);
        } else {
            net.resume(conn);
        }
    }

    /// Counts a new connection for the handles.
    fn index_arrival(&mut self, conn: ConnId) {
        let user = self.sessions.get_mut(conn).and_then(|session| {
            session.is_counted = true;
            session.signed_in().map(|known| known.user.clone())
        });
        if let Some(user) = user.filter(|_| self.shared.has_handles()) {
            *self.shared.online().entry(user).or_insert(0) += 1;
        }
    }

    /// Stops counting a closed connection for the handles.
    pub(super) fn index_departure(&self, user: &UserId) {
        let mut online = self.shared.online();
        if let Some(count) = online.get_mut(user) {
            *count -= 1;
            if *count == 0 {
                online.remove(user);
            }
        }
    }

    /// The time of what is decided now. Logs jumps of the wall clock.
    pub(super) fn read_clocks(&mut self, net: &Net<'_>) -> Now {
        let (moment, wall) = (net.now(), net.timestamp());
        // Time also passes while the machine sleeps.
        let since_start = moment.plus_millis(net.slept_ms());
        let change = self.decisions.wall_clock.observe(since_start, wall);
        // All threads see the same clock.
        if let Some(change) = change.filter(|_| self.number == 0) {
            self.note_clock(change);
        }
        Now {
            moment,
            timestamp: self.decisions.wall_clock.date(since_start, wall),
            age_by: self.decisions.wall_clock.age_by(since_start, wall),
        }
    }
    fn note_clock(&mut self, change: ClockChange) {
        match change {
            ClockChange::Behind(by_ms) => log::warn!(
                by_ms; "the system's clock is behind the newest entry: times stand still until it has caught up"
            ),
            ClockChange::Jumped(by_ms) => {
                self.counters.clock_jumped(by_ms);
                log::warn!(
                    by_ms; "the system's clock has jumped: nothing is removed by age for that, and no entry is dated \
                    ahead, until it has held for an hour"
                );
            }
            ClockChange::Believed(by_ms) => {
                log::warn!(by_ms; "the system's clock has held for an hour, and entries go by it");
            }
        }
    }
}
